"""Every task type keeps the two annotation contracts, whatever its answers look like."""

from __future__ import annotations

import importlib
import io
import json
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from truthloop import task_types
from truthloop.labeling.annotations import Batch, consolidate, prepare_task
from truthloop.labeling.jobs import JobRecord, JobsTable
from truthloop.manifest import encode_row, read_master, with_provenance
from truthloop.merge import merge_labels
from truthloop.palette import color
from truthloop.s3 import S3Gateway
from truthloop.task_types import ConsolidationHelp, InvalidDataObject
from unit.labeling import answers
from unit.labeling.kit import BUCKET, CATEGORIES, LAYOUT, NOW, record
from worker_ui.rendering import render

TASK_TYPES = (
    "bounding-box",
    "image-classification",
    "image-multi-label",
    "semantic-segmentation",
    "text-classification",
)
ONE_COLOR = [color(index) for index in range(3)]


def job(task_type: str, **changes: Any) -> JobRecord:
    attribute = "label-ref" if task_type == "semantic-segmentation" else "label"
    return record(**{"task_type": task_type, "label_attribute": attribute, **changes})


class Store:
    """Keeps what consolidation writes, by URI."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def __call__(self, name: str, content: bytes, content_type: str) -> str:
        assert content_type == "image/png"
        uri = f"s3://{BUCKET}/{name}"
        self.files[uri] = content
        return uri


def run(
    payload: list[dict[str, Any]], known_job: JobRecord, store: Store | None = None, **more: Any
) -> Batch:
    read: Callable[[str], Any] = more.pop("read", {}.__getitem__)
    help = ConsolidationHelp(more.pop("skills", {}), store or Store())
    batch = consolidate(payload, known_job, read, NOW, help)
    json.dumps(batch.entries, allow_nan=False)
    return batch


def content(batch: Batch, position: int = 0) -> dict[str, Any]:
    return batch.entries[position]["consolidatedAnnotation"]["content"]


def pixels(png: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_these_are_the_registered_task_types() -> None:
    assert task_types.names() == TASK_TYPES
    assert [task_types.get(name).LABEL_KIND for name in TASK_TYPES] == [
        "boxes",
        "class",
        "classes",
        "mask",
        "class",
    ]


# ---- what a worker is shown


@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_a_row_becomes_a_task_with_all_that_the_templates_use(task_type: str) -> None:
    line = {**answers.row(task_type), "context": "左から2番目", "truthloop": {"id": "1"}}
    response = prepare_task({"dataObject": line}, job(task_type, instructions="Look <twice>."))
    assert response["isHumanAnnotationRequired"] is True
    assert response["taskInput"] == {
        "taskObject": line.get("source-ref") or line["source"],
        "labels": list(CATEGORIES),
        "suggestion": None,
        "instructions": "Look <twice>.",
        "context": "左から2番目",
        "feedback": [],
        "previous": "",
    }


@pytest.mark.parametrize("task_type", TASK_TYPES)
@pytest.mark.parametrize("context", [None, 7, ["a"], {"a": 1}])
def test_a_context_that_is_no_text_is_not_shown(task_type: str, context: Any) -> None:
    line = {**answers.row(task_type), "context": context}
    assert prepare_task({"dataObject": line}, job(task_type))["taskInput"]["context"] == ""


@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_a_row_without_the_task_types_object_is_refused_with_its_key(task_type: str) -> None:
    key = task_types.get(task_type).SOURCE_KEY
    other = {"source": "source-ref", "source-ref": "source"}[key]
    for line in ({other: "s3://images/1.png"}, {key: " "}, {key: 7}):
        with pytest.raises(InvalidDataObject, match=rf"^{key} is "):
            prepare_task({"dataObject": line}, job(task_type))


ANNOTATIONS = {
    "image_size": [{"width": 16, "height": 12, "depth": 3}],
    "annotations": [{"class_id": 2, "left": 1, "top": 2, "width": 3, "height": 4}],
}


@pytest.mark.parametrize("key", ["label", "label-suggestion"])
def test_a_worker_begins_with_the_boxes_of_the_row_or_of_the_model(key: str) -> None:
    line = {**answers.row("bounding-box"), key: ANNOTATIONS, f"{key}-metadata": {"class-map": {"2": "bird"}}}
    shown = prepare_task({"dataObject": line}, job("bounding-box"))["taskInput"]["suggestion"]
    assert shown == [{"label": "bird", "left": 1, "top": 2, "width": 3, "height": 4}]


def test_an_earlier_label_goes_before_the_models_suggestion() -> None:
    earlier = {"image_size": [], "annotations": []}
    line = {**answers.row("bounding-box"), "label": earlier, "label-suggestion": ANNOTATIONS}
    assert prepare_task({"dataObject": line}, job("bounding-box"))["taskInput"]["suggestion"] == []


@pytest.mark.parametrize("key", ["label-ref", "label-ref-suggestion"])
def test_a_worker_begins_with_the_mask_of_the_row_or_of_the_model(key: str) -> None:
    colors = {
        "0": {"class-name": "BACKGROUND", "hex-color": "#ffffff", "confidence": 0.9},
        "3": {"class-name": "bird", "hex-color": "#009e73", "confidence": 0.8},
    }
    line = {
        **answers.row("semantic-segmentation"),
        key: "s3://data-bucket/mask.png",
        f"{key}-metadata": {"internal-color-map": colors},
    }
    assert prepare_task({"dataObject": line}, job("semantic-segmentation"))["taskInput"]["suggestion"] == {
        "src": "s3://data-bucket/mask.png",
        "labelMappings": {"bird": {"color": "#009e73"}},
    }


@pytest.mark.parametrize(
    ("task_type", "label"),
    [
        ("bounding-box", {"annotations": [{"class_id": 9, "left": 1, "top": 1, "width": 1, "height": 1}]}),
        ("bounding-box", "s3://data-bucket/boxes.json"),
        ("semantic-segmentation", "s3://data-bucket/without-a-color-map.png"),
    ],
)
def test_what_cannot_be_begun_with_is_refused_with_its_key(task_type: str, label: Any) -> None:
    known = job(task_type)
    line = {**answers.row(task_type), known.label_attribute: label}
    with pytest.raises(InvalidDataObject, match=f"Correct or remove {known.label_attribute}"):
        prepare_task({"dataObject": line}, known)


# ---- what becomes of answers


@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_several_answers_become_one_entry_in_ground_truths_format(task_type: str) -> None:
    store, known = Store(), job(task_type)
    given = {worker: answers.answer(task_type, CATEGORIES, 1) for worker in ("ann", "bo", "cy")}
    batch = run([answers.item("17", given)], known, store)
    [entry] = batch.entries
    assert entry["datasetObjectId"] == "17"
    label = content(batch)
    attribute, metadata = known.label_attribute, label.pop(f"{known.label_attribute}-metadata")
    assert set(label) == {attribute}
    common = {"type", "human-annotated", "creation-date", "job-name", "annotators"}
    assert metadata["annotators"] == 3
    added = {key: value for key, value in metadata.items() if key not in common}
    if task_type == "image-multi-label":
        assert label == {"label": [1]}
        assert added.pop("confidence-map").keys() == {"1"}
        assert added == {"class-map": {"1": "dog"}}
    elif task_type == "bounding-box":
        assert label["label"] == {
            "image_size": [{"width": 16, "height": 12, "depth": 3}],
            "annotations": [{"class_id": 1, "left": 2, "top": 3, "width": 6, "height": 5}],
        }
        assert 0.5 < added.pop("objects")[0]["confidence"] < 1
        assert added == {"class-map": {"1": "dog"}}
    elif task_type == "semantic-segmentation":
        assert label == {"label-ref": f"s3://{BUCKET}/17.png"}
        colors = added.pop("internal-color-map")
        assert added == {"overlay-ref": f"s3://{BUCKET}/17.overlay.png"}
        assert all(0.5 < each.pop("confidence") <= 1 for each in colors.values())
        assert colors == {
            "0": {"class-name": "BACKGROUND", "hex-color": "#ffffff"},
            "2": {"class-name": "dog", "hex-color": "#0072b2"},
        }
    else:
        assert label == {"label": 1}
        assert 0.9 < added.pop("confidence") <= 1
        assert added == {"class-name": "dog"}
    assert bool(store.files) == (task_type == "semantic-segmentation")


def test_a_mask_is_kept_as_palette_and_as_transparent_overlay() -> None:
    store = Store()
    drawn = answers.indices((1, slice(0, 4), slice(0, 6)), (3, slice(6, 9), slice(2, 8)))
    given = {worker: answers.mask(answers.png(answers.rgba(drawn)), CATEGORIES) for worker in ("ann", "bo")}
    run([answers.item("5", given)], job("semantic-segmentation"), store)
    palette = Image.open(io.BytesIO(store.files[f"s3://{BUCKET}/5.png"]))
    assert palette.mode == "P"
    assert (np.asarray(palette) == drawn).all()
    colors = np.array(palette.getpalette()).reshape(-1, 3)
    named = ["#ffffff", *ONE_COLOR]
    for index in (0, 1, 3):
        assert bytes(colors[index].tolist()).hex() == named[index][1:]
    assert (colors[4:] == 255).all()
    overlay = pixels(store.files[f"s3://{BUCKET}/5.overlay.png"])
    assert overlay.shape == (12, 16, 4)
    assert ((overlay[..., 3] == 0) == (drawn == 0)).all()
    assert (overlay[0, 0] == [*bytes.fromhex(named[1][1:]), 255]).all()


def test_the_edges_of_fused_boxes_are_the_nearest_whole_pixels() -> None:
    given = {
        worker: answers.boxes(answers.box("cat", left=left, width=8 - left))
        for worker, left in (("ann", 2), ("bo", 3), ("cy", 3))
    }
    [box] = content(run([answers.item("1", given)], job("bounding-box")))["label"]["annotations"]
    assert (box["left"], box["width"]) == (3, 5)


def test_an_image_in_which_everybody_sees_nothing_is_labelled_so() -> None:
    nothing = answers.mask(answers.png(answers.rgba(answers.indices())), [])
    store = Store()
    masks = run([answers.item("5", {"ann": nothing, "bo": nothing})], job("semantic-segmentation"), store)
    assert not pixels(store.files[content(masks)["label-ref"]]).any()
    assert content(masks)["label-ref-metadata"]["internal-color-map"].keys() == {"0"}
    empty = {"ann": answers.boxes(), "bo": answers.boxes()}
    boxes = content(run([answers.item("5", empty)], job("bounding-box")))
    assert boxes["label"]["annotations"] == boxes["label-metadata"]["objects"] == []
    none = {"ann": answers.several([]), "bo": answers.several([])}
    assert content(run([answers.item("5", none)], job("image-multi-label")))["label"] == []


@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_an_answer_may_lie_in_s3(task_type: str) -> None:
    uri = f"s3://{BUCKET}/answer.json"
    payload = [{"datasetObjectId": "1", "annotations": [{"workerId": "a", "annotationData": {"s3Uri": uri}}]}]
    batch = run(payload, job(task_type), read={uri: answers.answer(task_type, CATEGORIES)}.__getitem__)
    assert job(task_type).label_attribute in content(batch)
    assert batch.answers == 1


@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_the_result_is_the_same_for_any_order_of_objects_and_answers(task_type: str) -> None:
    stores = Store(), Store()
    payload = [
        answers.item(
            str(number),
            {
                w: answers.answer(task_type, CATEGORIES, (number * i) % 3)
                for i, w in enumerate(("ann", "bo", "cy"))
            },
        )
        for number in range(6)
    ]
    turned = [{**each, "annotations": each["annotations"][::-1]} for each in reversed(payload)]
    first = run(payload, job(task_type), stores[0])
    second = run(turned, job(task_type), stores[1])
    assert second.entries[::-1] == first.entries
    assert second.evidence == first.evidence
    assert stores[0].files == stores[1].files


@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_a_worker_of_proven_skill_outweighs_two_of_proven_carelessness(task_type: str) -> None:
    """Skills come from an earlier batch, in which one worker was always right and two hardly ever."""
    known = job(task_type)
    crowd = [f"good-{number}" for number in range(4)]
    earlier = [
        answers.item(
            str(number),
            {
                **{worker: answers.answer(task_type, CATEGORIES, number % 3) for worker in crowd},
                **{
                    worker: answers.answer(task_type, CATEGORIES, (number + step) % 3)
                    for worker, step in (("bad-0", 1), ("bad-1", 2))
                },
            },
        )
        for number in range(60)
    ]
    totals: dict[str, dict[str, float]] = {}
    for workers in run(earlier, known).evidence.values():
        for worker, each in workers.items():
            of_worker = totals.setdefault(worker, {})
            for key, count in each.counts.items():
                of_worker[key] = of_worker.get(key, 0) + count
    assert len(totals) == 6
    disputed = [
        answers.item(
            "d",
            {
                "good-0": answers.answer(task_type, CATEGORIES, 0),
                "bad-0": answers.answer(task_type, CATEGORIES, 1),
                "bad-1": answers.answer(task_type, CATEGORIES, 1),
            },
        )
    ]
    without, carried = Store(), Store()
    labels = [
        content(run(disputed, known, without)),
        content(run(disputed, known, carried, skills=totals)),
    ]
    if task_type == "bounding-box":
        found = [[each["class_id"] for each in label["label"]["annotations"]] for label in labels]
        assert found == [[1], [0]]
    elif task_type == "semantic-segmentation":
        found = [set(np.unique(pixels(store.files[f"s3://{BUCKET}/d.png"]))) for store in (without, carried)]
        assert found == [{0, 2}, {0, 1}]
    else:
        expected = [[1], [0]] if task_type == "image-multi-label" else [1, 0]
        assert [label["label"] for label in labels] == expected


# ---- bad answers

GOOD_PNG = answers.png(answers.rgba(answers.indices((1, slice(3, 8), slice(2, 8)))))
WRONG_COLOR = answers.png(answers.rgba(answers.indices((1, slice(3, 8), slice(2, 8))), ["#ff7f0f"]))
HUGE = GOOD_PNG[:16] + (60_000).to_bytes(4, "big") * 2 + GOOD_PNG[24:]
SIXTEEN_BIT = answers.png(Image.fromarray(np.full((12, 16), 40_000, np.uint16)))
MALFORMED: dict[str, dict[str, tuple[Any, str]]] = {
    "image-classification": {
        "not JSON": ("{", "cannot be read"),
        "a missing field": ({"crowd-image-classifier": {}}, "lacks crowd-image-classifier.label"),
        "an unknown label": (answers.one("crowd-image-classifier", "fish"), "'fish' is not a category"),
    },
    "text-classification": {
        "not JSON": ("[", "cannot be read"),
        "another widget": (answers.one("crowd-image-classifier", "cat"), "lacks crowd-classifier.label"),
        "a list": (answers.one("crowd-classifier", ["cat"]), "lacks crowd-classifier.label"),
    },
    "image-multi-label": {
        "not JSON": ("", "cannot be read"),
        "a text": (answers.several("cat"), "multi-select.labels"),
        "an unknown label": (answers.several(["cat", "fish"]), "'fish' is not a category"),
        "a list in the list": (answers.several([["cat"]]), "is not a category"),
    },
    "bounding-box": {
        "not JSON": ("{]", "cannot be read"),
        "no boxes": (
            {"boundingBox": {"inputImageProperties": answers.SIZE}},
            "lacks boundingBox.boundingBoxes",
        ),
        "no size": ({"boundingBox": {"boundingBoxes": []}}, "lacks boundingBox.inputImageProperties"),
        "an empty size": (answers.boxes(size={"height": 0, "width": 16}), "inputImageProperties.height is 0"),
        "an infinite size": (
            answers.boxes(size={"height": float("inf"), "width": 16}),
            "inputImageProperties.height is inf; allowed: a number of pixels from 1 to 1000000",
        ),
        "a size as text": (answers.boxes(size={"height": 12, "width": "16"}), "width is '16'"),
        "an unknown label": (answers.boxes(answers.box("fish")), "'fish' is not a category"),
        "a box as text": (answers.boxes("cat"), "a box is 'cat'"),
        "a missing side": (
            answers.boxes({"label": "cat", "left": 1, "top": 1, "width": 2}),
            "height of a box",
        ),
        "a side as text": (answers.boxes(answers.box("cat", left="1")), "left of a box is '1'"),
        "outside": (answers.boxes(answers.box("cat", left=16)), "has no part of the image"),
        "no area": (answers.boxes(answers.box("cat", width=0)), "has no part of the image"),
        "endless": (
            '{"boundingBox": {"boundingBoxes": [{"label": "cat", "left": NaN, "top": 1, "width": 1, '
            '"height": 1}], "inputImageProperties": {"height": 12, "width": 16}}}',
            "left of a box",
        ),
        "too many": (answers.boxes(*[answers.box("cat")] * 501), "501 boxes"),
    },
    "semantic-segmentation": {
        "not JSON": ("mask", "cannot be read"),
        "no image": (
            {"crowd-semantic-segmentation": {"labelMappings": {}, "inputImageProperties": answers.SIZE}},
            "lacks crowd-semantic-segmentation.labeledImage.pngImageData",
        ),
        "no mappings": (
            {"crowd-semantic-segmentation": {"inputImageProperties": answers.SIZE}},
            "labelMappings",
        ),
        "no size": (answers.mask(GOOD_PNG, CATEGORIES, size=None), "inputImageProperties"),
        "not base64": (answers.mask("§§§", CATEGORIES), "not base64"),
        "not a PNG": (answers.mask(b"GIF89a" + bytes(40), CATEGORIES), "not a PNG"),
        "nothing": (answers.mask(b"", CATEGORIES), "not a PNG"),
        "a truncated PNG": (
            answers.mask(GOOD_PNG[: len(GOOD_PNG) * 2 // 3], CATEGORIES),
            "cannot be decoded",
        ),
        "a header alone": (answers.mask(GOOD_PNG[:33], CATEGORIES), "cannot be decoded"),
        "a broken PNG": (
            answers.mask(GOOD_PNG[:45] + b"\0" * 8 + GOOD_PNG[53:], CATEGORIES),
            "cannot be decoded",
        ),
        "another size": (
            answers.mask(GOOD_PNG, CATEGORIES, size={"height": 16, "width": 12}),
            "16 x 12 pixels",
        ),
        "a bomb": (
            answers.mask(HUGE, CATEGORIES, size={"height": 60_000, "width": 60_000}),
            "at most 100000000",
        ),
        "16 bits": (answers.mask(SIXTEEN_BIT, CATEGORIES), "8 bits a channel"),
        "colours not in the map": (answers.mask(WRONG_COLOR, CATEGORIES), "30 of 192 pixels .* #ff7f0f"),
        "an unknown label": (answers.mask(GOOD_PNG, ["fish"]), "'fish' is not a category"),
        "no colour": (answers.mask(GOOD_PNG, CATEGORIES, colors=["orange"] * 3), "allowed: #rrggbb"),
        "white": (answers.mask(GOOD_PNG, CATEGORIES, colors=["#FFFFFF"] * 3), "white is the background"),
        "a colour twice": (answers.mask(GOOD_PNG, CATEGORIES, colors=["#ff7f0e"] * 3), "#ff7f0e twice"),
    },
}
CASES = [(name, case) for name, cases in MALFORMED.items() for case in cases]


def test_every_task_type_has_its_malformed_answers() -> None:
    assert set(MALFORMED) == set(TASK_TYPES)


@pytest.mark.parametrize(("task_type", "case"), CASES)
def test_a_malformed_answer_is_reported_and_spoils_neither_object_nor_batch(
    task_type: str, case: str
) -> None:
    bad, reason = MALFORMED[task_type][case]
    good = answers.answer(task_type, CATEGORIES)
    known = job(task_type)
    batch = run(
        [
            answers.item("1", {"ann": good, "bo": bad, "cy": good}),
            answers.item("2", {"bo": bad}),
            answers.item("3", {}),
            answers.item("4", {"ann": good}),
        ],
        known,
    )
    alone = content(run([answers.item("1", {"ann": good, "cy": good})], known))
    first = content(batch, 0)
    attribute = known.label_attribute
    assert first[attribute] == alone[attribute]
    assert first[f"{attribute}-metadata"]["annotators"] == 2
    assert first[f"{attribute}-metadata"]["malformed-answers"] == 1
    for position, expected in ((1, "None of 1 answers could be read. The first: "), (2, "Nobody answered.")):
        failed = content(batch, position)
        assert set(failed) == {f"{attribute}-metadata"}
        assert failed[f"{attribute}-metadata"]["failure-reason"].startswith(expected)
    assert attribute in content(batch, 3)
    assert batch.answers == 3
    assert [(each.object_id, each.worker_id) for each in batch.rejected] == [
        ("1", "private.us-east-1.bo"),
        ("2", "private.us-east-1.bo"),
    ]
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(batch.rejected[0].reason)


@pytest.mark.parametrize("task_type", ["bounding-box", "semantic-segmentation"])
def test_an_answer_about_an_image_of_another_size_than_the_others_saw_is_left_out(task_type: str) -> None:
    good = answers.answer(task_type, CATEGORIES)
    size = {"height": 16, "width": 12}
    turned = answers.indices((1, slice(3, 8), slice(2, 8)), **size)
    other = {
        "bounding-box": answers.boxes(answers.box("cat"), size=size),
        "semantic-segmentation": answers.mask(answers.png(answers.rgba(turned)), CATEGORIES, size=size),
    }[task_type]
    known = job(task_type)
    batch = run([answers.item("1", {"ann": good, "bo": other, "cy": good})], known)
    [rejected] = batch.rejected
    assert rejected.worker_id == "private.us-east-1.bo"
    assert "12 x 16 pixels; allowed: 16 x 12" in rejected.reason
    assert content(batch)[f"{known.label_attribute}-metadata"]["annotators"] == batch.answers == 2
    assert "private.us-east-1.bo" not in batch.evidence["1"]


# ---- texts of all scripts

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(str.strip)
HARD = st.sampled_from(
    [
        "\"quoted\" 'single'",
        "</script><script>",
        "{{ task.input }}",
        "{% raw %}",
        "猫と犬",
        "🐈‍⬛",
        "שלום עולם",
        "\u202eevil",
    ]
)
TEXTS = ANY_TEXT | HARD


@pytest.mark.parametrize("task_type", TASK_TYPES)
@settings(max_examples=25, deadline=None)
@given(labels=st.lists(TEXTS, min_size=3, max_size=4, unique=True), text=TEXTS, data=st.data())
def test_any_text_survives_from_row_to_task_to_answer_to_label(
    task_type: str, labels: list[str], text: str, data: st.DataObject
) -> None:
    known = job(task_type, label_categories=tuple(labels), instructions=text)
    line = json.loads(encode_row({**answers.row(task_type, text), "context": text}))
    shown = json.loads(json.dumps(prepare_task({"dataObject": line}, known)))["taskInput"]
    assert shown["labels"] == labels
    assert shown["instructions"] == shown["context"] == text
    assert shown["taskObject"] in (text, "s3://images/1.png")
    chosen = data.draw(st.integers(0, 2))
    given = {worker: answers.answer(task_type, shown["labels"], chosen) for worker in ("ann", "bo")}
    batch = run([answers.item("1", given)], known)
    assert batch.rejected == []
    row = json.loads(encode_row({**line, **content(batch)}))
    metadata = row[f"{known.label_attribute}-metadata"]
    named = {
        "bounding-box": lambda: list(metadata["class-map"].values()),
        "image-multi-label": lambda: list(metadata["class-map"].values()),
        "semantic-segmentation": lambda: [
            each["class-name"] for index, each in metadata["internal-color-map"].items() if index != "0"
        ],
    }.get(task_type, lambda: [metadata["class-name"]])()
    assert named == [labels[chosen]]


# ---- one task type more

SIXTH = '''
"""Transcription: a worker types what an image says; the most frequent text is the label."""

from collections import Counter

from truthloop import tasks
from truthloop.consolidation.skills import Evidence
from truthloop.task_types import ConsolidatedLabel, ConsolidationHelp

LABEL_KIND = "class"
METADATA_TYPE = "groundtruth/custom"
ANSWER_NAME = "transcription"
SOURCE_KEY = "source-ref"


def task_input(data_object, label_categories, label_attribute="label", instructions=""):
    return tasks.task(data_object, SOURCE_KEY, label_categories, instructions)


def read_answer(content, label_categories):
    return tasks.part_of(content, ANSWER_NAME, str, '{"transcription": "<text>"}')


def consolidate(answers, label_categories, help=ConsolidationHelp()):
    labels = {}
    for name, given in answers.items():
        text, votes = Counter(text for _, text in sorted(given)).most_common(1)[0]
        labels[name] = ConsolidatedLabel(
            text,
            {"confidence": votes / len(given), "seen-before": len(help.skills)},
            {worker: Evidence(float(answer == text), {"right": float(answer == text)}) for worker, answer in
        given}, )
    return labels
'''


SIXTH_TEMPLATE = """<crowd-form><img src="{{ task.input.taskObject | grant_read_access }}">
<crowd-input name="transcription"></crowd-input></crowd-form>"""


@pytest.fixture
def sixth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A task type more: one module in a folder that the package is looked up in, and nothing else."""
    (tmp_path / "image_transcription.py").write_text(textwrap.dedent(SIXTH))
    monkeypatch.setattr(task_types, "__path__", [*task_types.__path__, str(tmp_path)])
    task_types.names.cache_clear()
    importlib.invalidate_caches()
    yield "image-transcription"
    monkeypatch.undo()
    task_types.names.cache_clear()
    sys.modules.pop("truthloop.task_types.image_transcription", None)


def test_a_task_type_is_added_by_a_module_and_a_template(sixth: str, s3: S3Gateway, jobs: JobsTable) -> None:
    assert task_types.names() == tuple(sorted([*TASK_TYPES, sixth]))
    known = record(task_type=sixth, label_categories=("a", "b"))
    jobs.open(known)
    row = with_provenance({"source-ref": "s3://images/1.png"}, "label")
    s3.write_bytes(LAYOUT.master_manifest(), encode_row(row).encode())
    task = prepare_task({"dataObject": row}, known)["taskInput"]
    page = render(SIXTH_TEMPLATE, task, lambda uri: uri.replace("s3://", "https://"))
    assert page.problem is None
    assert '<img src="https://images/1.png">' in str(page.html)
    given = {"ann": {"transcription": "出口"}, "bo": {"transcription": "出口"}, "cy": {"transcription": 7}}
    batch = run([answers.item("0", given)], known)
    assert [each.worker_id for each in batch.rejected] == ["private.us-east-1.cy"]
    s3.write_bytes(
        LAYOUT.labeling_output_manifest(known.job_name), encode_row({**row, **content(batch)}).encode()
    )
    summary = merge_labels(
        s3, jobs, LAYOUT, 0, {"job_name": known.job_name, "status": "Completed", "output_manifest_uri": None}
    )
    assert (summary.labeled, summary.failed) == (1, 0)
    [merged] = read_master(s3, LAYOUT.master_manifest())
    assert merged["label"] == "出口"
    assert merged["truthloop"]["labeled_by"] == "people"
