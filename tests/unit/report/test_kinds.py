"""Finalise and the report for every label kind, counted again from what lies in S3 and what people did."""

from __future__ import annotations

import base64
import copy
import io
import re
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

import numpy as np
import pytest
from PIL import Image

from truthloop import palette
from truthloop.manifest import row_id
from truthloop_batch import finalise
from truthloop_batch.inputs import InputReader
from truthloop_batch.model import load_model, predict_batches
from truthloop_batch.report import page
from truthloop_batch.report.document import Report
from truthloop_batch.report.measures import MEASURES
from truthloop_batch.report.pictures import Picture, Thumbnail
from unit.batch import made_data
from unit.report import campaigns
from unit.report.campaigns import MALFORMED, BuiltCampaign, Data, build_campaign
from unit.report.test_page import EVIL, Document
from unit.report.test_pictures import colors_of, decoded

HOSTILE = (f"a{EVIL}", f"b{EVIL}", "猫\u202e🐈 & <b>")
SHAPES = made_data.SHAPES


def _hostile_answer(number: int, accuracy: float, luck: Any) -> dict[str, Any]:
    chosen = number % 3 if luck.random() < accuracy else (number + 1) % 3
    return {"crowd-classifier": {"label": HOSTILE[chosen]}}


DATA = {
    "text": campaigns.TEXTS,
    "classes": campaigns.TAGS,
    "boxes": campaigns.BOXES,
    "mask": campaigns.MASKS,
    "hostile": Data(
        "text-classification",
        "topic",
        HOSTILE,
        lambda number: {"source": f"{made_data.text(number, number % 3)} {EVIL} " * 9},
        _hostile_answer,
    ),
}
KINDS = ["text", "classes", "boxes", "mask"]
METRICS = {"text": "accuracy", "classes": "macro_f1", "boxes": "map_50", "mask": "mean_iou"}


@pytest.fixture(scope="module")
def finished(cloud: None) -> Callable[[str], BuiltCampaign]:
    """The finished campaign of a kind, with objects that nobody answered for and answers of another form."""
    campaigns.upload_scenes(50)
    made: dict[str, BuiltCampaign] = {}

    def get(name: str) -> BuiltCampaign:
        if name not in made:
            made[name] = build_campaign(
                name=name,
                data=DATA[name],
                images=50,
                rounds=2,
                fails=lambda number: number % 9 == 3,
                malformed=lambda number, worker: number % 5 == 2 and "cccc" in worker,
                selection={"seed_size": 10, "round_size": 8},
            )
            finalise.run(made[name].context)
        return made[name]

    return get


@pytest.fixture
def built(finished: Callable[[str], BuiltCampaign], request: pytest.FixtureRequest) -> BuiltCampaign:
    return finished(request.param)


every_kind = pytest.mark.parametrize("built", KINDS, indirect=True)


def only(*kinds: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("built", kinds, indirect=True)


def labeled_by(built: BuiltCampaign, who: str | None) -> list[dict[str, Any]]:
    rows = [row for row in built.labels_manifest() if row["truthloop"]["labeled_by"] == who]
    assert rows
    return rows


def metadata(built: BuiltCampaign, row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = row[f"{built.data.attribute}-metadata"]
    return found


def pixels(built: BuiltCampaign, uri: str) -> Any:
    """A PNG as Pillow reads it."""
    return Image.open(io.BytesIO(built.s3.read_bytes(uri)))


def items(built: BuiltCampaign) -> list[Any]:
    found = [item for group in built.report()["hardest"].values() for item in group]
    assert len(found) > 15
    return found


# ------------------------------------------------------------------------------------- labels.manifest


@every_kind
def test_the_model_labels_the_rest_and_says_that_it_did(built: BuiltCampaign) -> None:
    held_out = built.context.splits.held_out
    types = {
        "text": "groundtruth/text-classification",
        "classes": "groundtruth/image-classification-multilabel",
        "boxes": "groundtruth/object-detection",
        "mask": "groundtruth/semantic-segmentation",
    }
    for row in labeled_by(built, "model"):
        described = metadata(built, row)
        assert described["type"] == types[built.layout.campaign]
        assert described["human-annotated"] == "no"
        assert described["job-name"] == f"truthloop/{built.layout.campaign}"
        assert described["creation-date"] == "2026-03-01T09:20:00.000000"
        assert row["truthloop"]["model"] == built.layout.model(1)
        assert 0 <= row["truthloop"]["score"] <= 1
        assert row_id(row) not in held_out


@every_kind
def test_labels_of_people_stay_as_they_are_and_unanswered_objects_have_none(built: BuiltCampaign) -> None:
    master = {row_id(row): row for row in built.master()}
    for row in labeled_by(built, "people"):
        assert row == master[row_id(row)]
    for row in labeled_by(built, None):
        assert built.data.attribute not in row
        assert row["truthloop"]["reason"] == "no-answer"


@only("classes", "boxes", "mask")
def test_the_models_label_is_what_the_kind_makes_of_its_prediction(built: BuiltCampaign) -> None:
    context = built.context
    model = load_model(context, built.layout.model(1))
    rows = {row_id(row): row for row in labeled_by(built, "model")}
    compared = 0
    for ids, predictions in predict_batches(model, InputReader(context, model.adapter), rows.values()):
        scores = context.kind.scores(predictions)
        for number, identifier in enumerate(ids):
            row = rows[identifier]
            value, described = context.kind.label_of(context, row, predictions[number])
            assert row[built.data.attribute] == value
            assert described.items() <= metadata(built, row).items()
            assert row["truthloop"]["score"] == pytest.approx(1 - scores["margin"][number], abs=1e-5)
            compared += 1
    assert compared == len(rows)


@only("mask")
def test_masks_of_the_model_are_pictures_in_the_images_size(built: BuiltCampaign) -> None:
    for row in labeled_by(built, "model"):
        image, described = pixels(built, row["painted-ref"]), metadata(built, row)
        assert (image.mode, image.size) == ("P", (128, 96))
        used = {str(index) for index in np.unique(np.asarray(image))}
        assert used <= set(described["internal-color-map"])
        assert pixels(built, described["overlay-ref"]).mode == "RGBA"


# ----------------------------------------------------------------------------------------- report.json


@every_kind
def test_labels_are_counted_by_class_and_by_who_gave_them(built: BuiltCampaign) -> None:
    attribute, kind = built.data.attribute, built.context.kind.NAME
    counted: Counter[tuple[int, str]] = Counter()
    for who in ("people", "model"):
        for row in labeled_by(built, who):
            value = row[attribute]
            if kind == "class":
                counted[value, who] += 1
            elif kind == "classes":
                counted.update((index, who) for index in value)
            elif kind == "boxes":
                counted.update((box["class_id"], who) for box in value["annotations"])
            else:
                shown = np.unique(np.asarray(pixels(built, value)))
                counted.update((int(index) - 1, who) for index in shown if index)
    labels = built.report()["labels"]
    assert labels["counted"] == ("boxes" if kind == "boxes" else "rows")
    assert [
        (entry["label"], entry["people"], entry["model"], entry["input"]) for entry in labels["per_class"]
    ] == [
        (name, counted[index, "people"], counted[index, "model"], 0)
        for index, name in enumerate(built.data.classes)
    ]
    assert sum(counted.values()) > 20


@every_kind
def test_the_learning_curve_and_the_model_are_the_evaluations(built: BuiltCampaign) -> None:
    report, evaluations = built.report(), built.documents("evaluation")
    assert report["metric"]["key"] == evaluations[0]["metric"] == METRICS[built.layout.campaign]
    assert report["metric"]["name"] == MEASURES[report["metric"]["key"]].name
    for point, evaluation in zip(report["learning"]["arms"]["model"], evaluations, strict=True):
        measured = evaluation["arms"]["model"]
        assert point == {
            "round": evaluation["round"],
            **{key: measured[key] for key in ("labels", "quality", "interval", "macro_f1")},
        }
        low, high = point["interval"]
        assert 0 <= low <= high <= 1
    model, last = report["model"], evaluations[-1]
    for key in ("quality", "interval", "macro_f1", "confusion", "per_class"):
        assert model[key] == last["arms"]["model"][key]
    assert model["validation_quality"] == last["validation"]["quality"]
    assert (
        (model["most_confused"] is None)
        is (model["confusion"] is None)
        is (built.data.task_type[:4] != "text")
    )
    decision = built.documents("decision")[-1]
    assert decision["quality"]["value"] == model["quality"]


@every_kind
def test_annotators_are_those_who_answered_with_the_skill_that_consolidation_learned(
    built: BuiltCampaign,
) -> None:
    known = built.s3.read_json(built.layout.workers(1))["workers"]
    entries = built.report()["annotators"]
    assert {entry["worker"] for entry in entries} == set(known) == {name for name, _, _ in campaigns.WORKERS}
    for entry in entries:
        given = [answer for answer in built.answers if answer.worker == entry["worker"]]
        assert entry["answers"] == len(given)
        assert entry["malformed"] == sum(answer.content == MALFORMED for answer in given)
        assert entry["compared"] == known[entry["worker"]]["answers"]
        assert entry["agreement"] == pytest.approx(known[entry["worker"]]["agreement"], abs=1e-5)
        assert (entry["agreement_interval"] is None) is (built.context.kind.NAME != "class")
        assert entry["skill"]
        assert all(value is not None and value >= 0 for value in entry["skill"].values())
    by_name = {entry["worker"]: entry for entry in entries}
    good, bad = (by_name[campaigns.WORKERS[number][0]] for number in (0, 2))
    assert good["agreement"] > bad["agreement"]
    for key in {"found", "right"} & set(good["skill"]):
        assert good["skill"][key] > bad["skill"][key]


@every_kind
def test_malformed_answers_and_failures_are_counted_with_their_reasons(built: BuiltCampaign) -> None:
    report = built.report()
    malformed = sum(answer.content == MALFORMED for answer in built.answers)
    assert malformed > 3
    assert sum(job["malformed"] for job in report["jobs"]) == malformed
    assert sum(entry["count"] for entry in report["problems"]["malformed"]) == malformed
    failed = sum(job["failed"] for job in report["jobs"])
    assert report["problems"]["failures"] == [{"reason": "Nobody answered.", "count": failed}]
    assert failed > 2
    text = Document(built.page()).text
    assert f"{malformed} answers could not be read" in text
    assert "Nobody answered." in text
    assert report["problems"]["malformed"][0]["reason"] in text


@every_kind
def test_the_gallery_holds_the_hardest_rows_hardest_first(built: BuiltCampaign) -> None:
    hardest, rows = built.report()["hardest"], {row_id(row): row for row in built.labels_manifest()}
    assert all(hardest.values())
    confidences = [item["confidence"] for item in hardest["least_agreed"]]
    assert confidences == sorted(confidences)
    assert all(confidence < 1 for confidence in confidences)
    doubts = [(item["agreement"], -item["model_confidence"]) for item in hardest["disputed"]]
    assert doubts == sorted(doubts)
    assert all(agreement < 1 for agreement, _ in doubts)
    by_model = sorted(1 - row["truthloop"]["score"] for row in labeled_by(built, "model"))
    assert [item["margin"] for item in hardest["least_certain"]] == pytest.approx(by_model[:12], abs=1e-5)
    for item in items(built):
        row = rows[item["id"]]
        assert item["labeled_by"] == row["truthloop"]["labeled_by"]
        assert (item["agreement"] is None) is (item["labeled_by"] == "model")
        assert sum(each["count"] for each in item["label"]) == _parts(built, row)


def _parts(built: BuiltCampaign, row: dict[str, Any]) -> int:
    value = row[built.data.attribute]
    if built.context.kind.NAME == "class":
        return 1
    if built.context.kind.NAME == "classes":
        return len(value)
    if built.context.kind.NAME == "boxes":
        return len(value["annotations"])
    return len(set(np.unique(np.asarray(pixels(built, value)))) - {0})


@only("boxes")
def test_the_gallery_has_the_boxes_of_people_and_of_the_model(built: BuiltCampaign) -> None:
    rows = {row_id(row): row for row in built.labels_manifest()}
    for item in items(built):
        annotations = rows[item["id"]]["boxes"]["annotations"]
        assert (item["boxes"]["width"], item["boxes"]["height"]) == (128, 96)
        assert item["boxes"]["boxes"] == [
            {
                "label": SHAPES[each["class_id"]],
                **{side: each[side] for side in ("left", "top", "width", "height")},
            }
            for each in annotations
        ]
        assert (item["model_boxes"] is None) is (item["labeled_by"] == "model")
        if item["model_boxes"] is not None:
            named = Counter(box["label"] for box in item["model_boxes"]["boxes"])
            assert named == {each["label"]: each["count"] for each in item["model_label"]}
    assert any(item["model_boxes"] and item["model_boxes"]["boxes"] for item in items(built))


@every_kind
def test_report_json_has_the_keys_and_types_of_its_schema(built: BuiltCampaign) -> None:
    assert mismatches(built.report(), Report, "report") == []


def mismatches(value: Any, expected: Any, path: str) -> list[str]:
    """Where a document departs from the types of `document`."""
    if is_typeddict(expected):
        hints = get_type_hints(expected)
        if not isinstance(value, dict) or set(value) != set(hints):
            return [path]
        return [wrong for key in hints for wrong in mismatches(value[key], hints[key], f"{path}.{key}")]
    origin, arguments = get_origin(expected), get_args(expected)
    if origin in (list, dict) and not isinstance(value, origin):
        return [path]
    if origin is list:
        return [wrong for each in value for wrong in mismatches(each, arguments[0], f"{path}[]")]
    if origin is dict:
        return [wrong for key in value for wrong in mismatches(value[key], arguments[1], f"{path}.{key}")]
    if origin is Literal:
        return [] if value in arguments else [path]
    if origin is not None:
        found = [mismatches(value, each, path) for each in arguments]
        return [] if [] in found else found[0]
    allowed = (int, float) if expected is float else expected
    return [] if isinstance(value, allowed) and not (value is True and expected is not bool) else [path]


@every_kind
def test_a_repetition_writes_the_same_report(built: BuiltCampaign) -> None:
    outputs = [built.layout.labels_manifest(), built.layout.report_document(), built.layout.report()]
    first = [built.s3.read_bytes(uri) for uri in outputs]
    for uri in outputs:
        campaigns.aws.s3().delete_object(
            Bucket=campaigns.BUCKET, Key=uri.removeprefix(f"s3://{campaigns.BUCKET}/")
        )
    finalise.run(built.context)
    assert [built.s3.read_bytes(uri) for uri in outputs] == first


# ----------------------------------------------------------------------------------------------- page


@every_kind
def test_the_page_says_the_reports_numbers(built: BuiltCampaign) -> None:
    report, text = built.report(), Document(built.page()).text.replace("\u2060", "")
    measure = MEASURES[report["metric"]["key"]]
    assert measure.meaning in text
    assert f"Test {measure.name} {measure.value(report['model']['quality'])}" in text
    for point in report["learning"]["arms"]["model"]:
        assert measure.value(point["quality"]) in text
        assert measure.bounds(point["interval"]).replace("\u2060", "") in text
    for entry in report["model"]["per_class"]:
        score = "–" if entry["score"] is None else f"{entry['score']:.3f}"
        precision, recall = (
            "–" if share is None else f"{share * 100:.1f}%" for share in (entry["precision"], entry["recall"])
        )
        assert f"{entry['label']} {score} {precision} {recall} {entry['rows']}" in text
    for entry in report["annotators"]:
        name = entry["worker"].split(".")[-1]
        assert f"{name} {entry['answers']} {entry['malformed']} {entry['seconds_median']:.1f} s" in text
        assert f"{entry['agreement'] * 100:.1f}%" in text
    for entry in report["labels"]["per_class"]:
        assert f"{entry['label']} {entry['people']} {entry['model']}" in text
    for entry in report["selection"]:
        assert f"{entry['pool']['median']:.3f}" in text
    quality = report["model"]["validation_quality"]
    assert f"its {measure.name} is {measure.value(quality)}" in text
    assert ("Confusion on the test set" in text) is (report["model"]["confusion"] is not None)


@every_kind
def test_another_number_in_the_report_is_another_number_on_the_page(built: BuiltCampaign) -> None:
    measure = MEASURES[METRICS[built.layout.campaign]]
    report = built.report()
    before = Document(page.render(report, {})).text
    report["model"] |= {"quality": 0.12345, "validation_quality": 0.67891}
    report["learning"]["arms"]["model"][0]["quality"] = 0.23456
    report["model"]["per_class"][1] |= {"score": 0.34567, "precision": 0.45678, "recall": 0.98765}
    report["labels"]["per_class"][0]["people"] = 77_123
    report["annotators"][0] |= {"agreement": 0.56789, "malformed": 88_123}
    report["jobs"][0]["malformed"] = 99_123
    report["hardest"]["least_agreed"][0]["confidence"] = 0.0312
    after = Document(page.render(report, {})).text
    quality = [measure.value(value) for value in (0.12345, 0.67891, 0.23456)]
    for shown in (*quality, "0.346", "45.7%", "98.8%", "77,123", "56.8%", "88,123", "99,123", " 0.03 "):
        assert after.count(shown) > before.count(shown)


@every_kind
def test_the_page_loads_nothing_and_stays_below_a_megabyte(built: BuiltCampaign) -> None:
    html = built.page()
    document = Document(html)
    assert len(html.encode()) < 1_000_000
    assert not document.named("link", "iframe", "object", "embed", "form")
    for _, attributes in document.elements:
        for key in ("href", "src"):
            assert attributes.get(key, "#").startswith(
                ("#", "data:image/png;base64,", "data:image/jpeg;base64,")
            )
    for attributes in document.named("svg"):
        assert attributes.get("aria-label") or attributes.get("aria-hidden") == "true"
    ids = Counter(attributes["id"] for _, attributes in document.elements if "id" in attributes)
    assert set(ids.values()) == {1}
    for attributes in document.named("use"):
        assert attributes["href"].removeprefix("#") in ids


def test_a_page_full_of_pictures_that_compress_badly_stays_within_its_bound(
    finished: Callable[[str], BuiltCampaign],
) -> None:
    from truthloop_batch.report.pictures import MASK_CHARACTERS, PICTURE_CHARACTERS

    report = copy.deepcopy(finished("mask").report())
    one = report["hardest"]["disputed"][0]
    report["hardest"] = {
        group: [{**one, "id": f"{group}-{number}"} for number in range(12)] for group in report["hardest"]
    }
    worst = Picture(
        Thumbnail("data:image/png;base64,".ljust(PICTURE_CHARACTERS, "A"), 256, 192),
        "data:image/png;base64,".ljust(MASK_CHARACTERS, "A"),
        "data:image/png;base64,".ljust(MASK_CHARACTERS, "A"),
    )
    html = page.render(report, {item["id"]: worst for group in report["hardest"].values() for item in group})
    assert len(Document(html).named("image")) == 36 * 3
    assert 700_000 < len(html) < 1_000_000


@only("text")
def test_texts_are_shown_as_texts_without_pictures(built: BuiltCampaign) -> None:
    document = Document(built.page())
    assert not document.named("img", "image")
    assert len(document.named("blockquote")) == len(items(built))
    for item in items(built):
        assert item["is_text"]
        assert " ".join(item["content"].split()) in document.text


@only("classes")
def test_several_classes_are_chips_and_none_is_said_to_be_none(built: BuiltCampaign) -> None:
    html = built.page()
    shown = sum(
        bool(label)
        for item in items(built)
        for label in (
            (item["label"], item["model_label"]) if item["labeled_by"] != "model" else (item["label"],)
        )
    )
    assert len(Document(html).named("ul")) > shown > 0
    assert html.count('<ul class="chips">') == shown
    report = copy.deepcopy(built.report())
    report["hardest"]["disputed"][0]["label"] = []
    assert "no label" in Document(page.render(report, {})).text
    many = [{"label": SHAPES[0], "count": 1}] * 30
    report["hardest"] = {
        "least_agreed": [{**items(built)[0], "label": many}],
        "disputed": [],
        "least_certain": [],
    }
    assert "+22" in Document(page.render(report, {})).text


@only("boxes")
def test_boxes_are_drawn_where_they_are_solid_for_people_and_dashed_for_the_model(
    built: BuiltCampaign,
) -> None:
    html = built.page()
    drawn = re.findall(r'<svg class="(by-\w+)" viewBox="0 0 128 96"[^>]*>(.*?)</svg>', html, re.DOTALL)
    expected = []
    for item in items(built):
        expected.append(("by-model" if item["labeled_by"] == "model" else "by-people", item["boxes"]))
        if item["model_boxes"] is not None:
            expected.append(("by-model", item["model_boxes"]))
    assert len(drawn) == len(expected)
    total = 0
    for (who, content), (by, boxes) in zip(drawn, expected, strict=True):
        assert who == by
        found = [
            (style, *map(float, numbers))
            for path, style in re.findall(r'<path d="([^"]*)" style="--swatch: (#\w+)"', content)
            for numbers in re.findall(r"M(\S+) (\S+)h(\S+)v(\S+)h-\3z", path)
        ]
        assert sorted(found) == sorted(
            (
                palette.color(SHAPES.index(box["label"])),
                *(float(box[side]) for side in ("left", "top", "width", "height")),
            )
            for box in boxes["boxes"]
        )
        total += len(found)
    assert total > 30
    style = (page._FOLDER / "style.css").read_text()
    assert "stroke-dasharray" in style[style.index(".drawing .by-model path") :].split("}")[0]
    assert "stroke-dasharray" not in style[style.index(".drawing .by-people") :].split("}")[0]
    legend = Document(html).text.split("Hardest items")[-1][:400]
    assert all(name in legend for name in ("people", "model", *SHAPES))


@only("boxes")
def test_what_a_picture_or_a_legend_has_no_room_for_is_said(built: BuiltCampaign) -> None:
    report = built.report()
    report["campaign"]["categories"] += [f"class {number}" for number in range(40)]
    report["hardest"]["disputed"][0]["boxes"]["left_out"] = 12
    text = Document(page.render(report, {})).text
    assert "and 19 more" in text
    assert "12 boxes not drawn" in text
    assert "not drawn" not in Document(built.page()).text


@only("mask")
def test_masks_lie_over_the_image_in_the_categories_colours(built: BuiltCampaign) -> None:
    figures = re.findall(r"<figure>(<svg class=\"drawing\".*?)</figure>", built.page(), re.DOTALL)
    shown = iter(figures)
    rows = {row_id(row): row for row in built.labels_manifest()}
    model_of_round = load_model(built.context, built.layout.model(1))
    reader = InputReader(built.context, model_of_round.adapter)
    predictions = {
        identifier: prediction
        for ids, found in predict_batches(model_of_round, reader, rows.values())
        for identifier, prediction in zip(ids, found, strict=True)
    }
    for item in items(built):
        if item["labeled_by"] == "model":
            (label, who), (model, _) = ("", ""), _overlay(next(shown))
        else:
            (label, who), (model, _) = _overlay(next(shown)), _overlay(next(shown))
            assert who == "people"
        uri = rows[item["id"]]["painted-ref"]
        assert item["mask_uri"] == uri
        expected = _color_counts(np.asarray(pixels(built, uri)))
        # The pictures are as large as the images here, so that every pixel can be counted.
        assert colors_of(label or model) == expected
        assert decoded(label or model).size == (128, 96)
        predicted, _ = predictions[item["id"]].drawn((128, 96))
        assert colors_of(model) == _color_counts(predicted)
    assert next(shown, None) is None


def _color_counts(mask: Any) -> dict[tuple[int, ...], int]:
    """How many pixels of a mask have the colour of each category."""
    indices, counts = np.unique(mask, return_counts=True)
    return {
        palette.rgb(palette.color(int(index) - 1)): int(count)
        for index, count in zip(indices, counts, strict=True)
        if index
    }


def _overlay(figure: str) -> tuple[str, str]:
    """The mask of a figure as a data URI, and whose it is."""
    (uri,) = re.findall(r'<image class="mask" href="([^"]+)"', figure)
    (who,) = re.findall(r"<figcaption>(\w+)</figcaption>", figure)
    base64.b64decode(uri.partition(",")[2], validate=True)
    return uri, who


@only("hostile")
def test_hostile_categories_and_texts_of_a_whole_campaign_are_only_shown(built: BuiltCampaign) -> None:
    html = built.page()
    document = Document(html)
    assert len(document.named("script")) == 1
    assert not document.named("img", "b[onclick]")
    for _, attributes in document.elements:
        assert not [name for name in attributes if name.startswith("on")]
    assert document.text.count("alert(1)") > 50
    assert "{{ 7*7 }}" in document.text
    assert "猫\u202e🐈 & <b>" in document.text
    for item in items(built):
        assert item["content"].count(EVIL) > 3
        assert len(item["content"]) <= 1_000
        assert item["content"].endswith("…")


@only("boxes", "mask", "classes")
def test_hostile_labels_of_drawings_are_only_shown(built: BuiltCampaign) -> None:
    renamed = dict(zip(SHAPES, HOSTILE, strict=True))
    report = _renamed(built.report(), renamed)
    assert report["campaign"]["categories"] == list(HOSTILE)
    picture = Picture(
        Thumbnail("data:image/png;base64,AAAA", 4, 3), "data:image/png;base64,AA", "data:image/png;base64,AA"
    )
    html = page.render(
        report, {item["id"]: picture for group in report["hardest"].values() for item in group}
    )
    document = Document(html)
    assert len(document.named("script")) == 1
    for _, attributes in document.elements:
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("src", "data:").startswith("data:")
    assert document.text.count("alert(1)") > 20


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(each, names) for key, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, names) for each in value]
    return names.get(value, value) if isinstance(value, str) else value
