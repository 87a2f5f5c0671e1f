"""What simulated auditors promise: the stated accuracy, a fitting reason, and words that help."""

# The draws are seeded on purpose.
# ruff: noqa: S311

from __future__ import annotations

import base64
import io
import json
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from labeling_engine import JobStatus, SimulatedAnnotators, SimulationFailed
from labeling_engine.simulated_annotators import Annotator
from labeling_engine.simulated_answers import ELEMENTS, InvalidTruth, Person, draw_boxes, paint_mask
from labeling_engine.simulated_auditors import INPUTS, UnusableAudit, audit
from labeling_engine.template import UnusableTemplate, answer_element, has_inputs
from unit.labeling_engine.job_kit import POST, PRE, annotator, image_rows, make_job, run, truth_of

LABELS = ["cat", "dog", "fox"]
REASONS = [
    {"code": code, "en": code, "ja": code}
    for code in ("wrong-label", "missing", "superfluous", "inexact", "unreadable", "other")
]
COLORS = {"cat": "#ff0000", "dog": "#00ff00", "fox": "#0000ff"}
AUDIT_TEMPLATE = """<crowd-form><img src="{{ task.input.taskObject | grant_read_access }}">
  <input type="hidden" name="auditDecision"><input type="hidden" name="auditReason">
  <textarea name="auditComment"></textarea><input type="hidden" name="auditFix" value="">
  <input type="hidden" name="clientTiming"></crowd-form>"""
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


def box(label: str, left: int, top: int, side: int = 20) -> dict[str, Any]:
    return {"label": label, "left": left, "top": top, "width": side, "height": side, "color": "#123456"}


def boxes(*found: dict[str, Any]) -> dict[str, Any]:
    return {"width": 100, "height": 100, "boxes": list(found)}


def png(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def areas(*found: tuple[int, int, int, int, int]) -> np.ndarray[Any, Any]:
    """Return the indices [60, 80] of a mask with rectangles (number, top, left, bottom, right)."""
    mask = np.zeros((60, 80), np.uint8)
    for number, top, left, bottom, right in found:
        mask[top:bottom, left:right] = number
    return mask


def true_mask(mask: np.ndarray[Any, Any]) -> dict[str, Any]:
    return {"mask": base64.b64encode(png(Image.fromarray(mask))).decode(), "labels": LABELS}


def rgba(mask: np.ndarray[Any, Any]) -> bytes:
    table = np.array([[0, 0, 0, 0], *([*bytes.fromhex(COLORS[name][1:]), 160] for name in LABELS)], np.uint8)
    return png(Image.fromarray(table[mask]))


def palette(mask: np.ndarray[Any, Any]) -> bytes:
    image = Image.frombytes("P", mask.shape[::-1], mask.tobytes())
    image.putpalette(
        [255, 255, 255, *(value for name in LABELS for value in bytes.fromhex(COLORS[name][1:]))]
    )
    return png(image, transparency=0)


def overlay() -> dict[str, Any]:
    return {
        "overlay": "s3://data/overlay.png",
        "legend": [{"label": label, "color": color} for label, color in COLORS.items()],
    }


def names(*found: str) -> dict[str, Any]:
    return {"names": list(found)}


def verdict(
    kind: str,
    truth: Any,
    label: Any,
    *,
    accuracy: float = 1.0,
    fix_rate: float = 0.0,
    seed: int = 0,
    content: bytes = b"",
    **changes: Any,
) -> dict[str, str]:
    shown = {"kind": kind, "label": label, "labels": LABELS, "reasons": REASONS, **changes}
    return audit(accuracy, fix_rate, random.Random(seed), truth, shown, lambda _uri: content)


TRUE_MASK = areas((1, 5, 5, 30, 30), (2, 35, 40, 55, 75))
TRUE_BOXES = boxes(box("cat", 0, 0), box("dog", 50, 50), box("fox", 10, 70))
ONE_BOX = boxes(box("cat", 0, 0))
# Kind, truth, a right label, a wrong one, the reason for rejecting that, and a word of the comment.
CASES: list[tuple[str, Any, Any, Any, str, str]] = [
    ("class", "cat", names("cat"), names("dog"), "wrong-label", "cat"),
    ("class", "cat", names("cat"), names(), "wrong-label", "cat"),
    ("classes", ["cat", "fox"], names("fox", "cat"), names("cat"), "missing", "fox"),
    ("classes", ["cat"], names("cat"), names("cat", "dog"), "superfluous", "dog"),
    ("classes", ["cat"], names("cat"), names("dog"), "wrong-label", "dog"),
    ("classes", [], names(), names("dog"), "superfluous", "dog"),
    (
        "boxes",
        TRUE_BOXES,
        boxes(box("cat", 2, 1), box("dog", 49, 51), box("fox", 10, 70)),
        boxes(box("cat", 0, 0), box("cat", 50, 50), box("cat", 10, 70)),
        "wrong-label",
        "(50, 50)",
    ),
    ("boxes", TRUE_BOXES, TRUE_BOXES, boxes(box("cat", 0, 0)), "missing", "dog, fox"),
    ("boxes", ONE_BOX, ONE_BOX, boxes(box("cat", 0, 0), box("dog", 9, 60)), "superfluous", "dog"),
    ("boxes", ONE_BOX, boxes(box("cat", 1, 1)), boxes(box("cat", 15, 15)), "inexact", "cat"),
    ("boxes", boxes(), boxes(), boxes(box("dog", 0, 0)), "superfluous", "dog"),
]  # fmt: skip
CASE_IDS = [f"{case[0]} {case[4]} {number}" for number, case in enumerate(CASES)]


@pytest.mark.parametrize(("kind", "truth", "right", "wrong", "reason", "word"), CASES, ids=CASE_IDS)
def test_a_right_label_is_accepted_and_a_wrong_one_rejected_for_a_fitting_reason(
    kind: str, truth: Any, right: Any, wrong: Any, reason: str, word: str
) -> None:
    assert verdict(kind, truth, right) == {**dict.fromkeys(INPUTS, ""), "auditDecision": "accept"}
    found = verdict(kind, truth, wrong)
    assert (found["auditDecision"], found["auditReason"], found["auditFix"]) == ("reject", reason, "")
    assert word in found["auditComment"]


MASKS: list[tuple[Any, str]] = [
    (areas((3, 5, 5, 30, 30), (2, 35, 40, 55, 75)), "wrong-label"),
    (areas((2, 35, 40, 55, 75)), "missing"),
    (areas((1, 5, 5, 30, 30), (2, 35, 40, 55, 75), (3, 0, 60, 10, 80)), "accepted"),
    (areas((1, 5, 5, 30, 30), (3, 0, 60, 10, 80)), "missing"),
    (areas((1, 5, 5, 12, 12), (2, 35, 40, 43, 55)), "inexact"),
]


@pytest.mark.parametrize("draw", [rgba, palette])
@pytest.mark.parametrize(("mask", "reason"), MASKS, ids=[f"{n} {m[1]}" for n, m in enumerate(MASKS)])
def test_a_mask_is_judged_by_its_overlay(draw: Any, mask: np.ndarray[Any, Any], reason: str) -> None:
    truth = true_mask(TRUE_MASK)
    assert verdict("mask", truth, overlay(), content=draw(TRUE_MASK))["auditDecision"] == "accept"
    found = verdict("mask", truth, overlay(), content=draw(mask))
    # A small area too much among much that is right is let pass: the mean is two thirds.
    assert found["auditReason"] == ("" if reason == "accepted" else reason)


def test_a_mask_with_something_that_is_not_there_is_told() -> None:
    truth = true_mask(areas((1, 5, 5, 30, 30)))
    found = verdict("mask", truth, overlay(), content=rgba(areas((1, 5, 5, 30, 30), (2, 40, 40, 60, 60))))
    assert (found["auditReason"], "dog" in found["auditComment"]) == ("superfluous", True)


def test_an_empty_mask_of_an_empty_image_is_right() -> None:
    nothing = areas()
    assert verdict("mask", true_mask(nothing), overlay(), content=rgba(nothing))["auditDecision"] == "accept"


def test_good_painters_pass_and_planted_mistakes_do_not() -> None:
    """What a skilled person paints is right; the same with the largest label taken for another is not."""
    passed, caught = [], []
    for seed in range(40):
        truth = true_mask(TRUE_MASK)
        mistake = {**truth, "labels": ["cat", "fox", "dog"]}
        for told, outcome in ((truth, passed), (mistake, caught)):
            answer = paint_mask(Person(0.98, {}, random.Random(seed)), told, LABELS)
            legend = [
                {"label": name, "color": each["color"]} for name, each in answer["labelMappings"].items()
            ]
            content = base64.b64decode(answer["labeledImage"]["pngImageData"])
            shown = {"overlay": "s3://data/o.png", "legend": legend}
            outcome.append(verdict("mask", truth, shown, content=content)["auditDecision"])
    assert passed.count("accept") >= 38
    assert set(caught) == {"reject"}


def test_good_drawers_pass_and_planted_mistakes_do_not() -> None:
    mistake = boxes(*({**each, "label": "cat"} for each in TRUE_BOXES["boxes"]))
    passed, caught = [], []
    for seed in range(60):
        for told, outcome in ((TRUE_BOXES, passed), (mistake, caught)):
            drawn = draw_boxes(Person(0.99, {}, random.Random(seed)), told, LABELS)["boundingBoxes"]
            outcome.append(verdict("boxes", TRUE_BOXES, boxes(*drawn))["auditDecision"])
    assert passed.count("accept") >= 54
    assert set(caught) == {"reject"}


# Accuracy


@pytest.mark.parametrize("accuracy", [0.0, 0.8, 0.95, 1.0])
def test_misses_and_false_alarms_are_as_frequent_as_stated(accuracy: float) -> None:
    misses = [verdict("class", "cat", names("dog"), accuracy=accuracy, seed=n) for n in range(2000)]
    alarms = [verdict("class", "cat", names("cat"), accuracy=accuracy, seed=n) for n in range(2000)]
    for found, mistaken in ((misses, "accept"), (alarms, "reject")):
        share = sum(answer["auditDecision"] == mistaken for answer in found) / len(found)
        assert share == pytest.approx(1 - accuracy, abs=0.03)


@pytest.mark.parametrize(("kind", "truth", "right"), [(case[0], case[1], case[2]) for case in CASES])
def test_a_false_alarm_has_a_reason_and_a_comment_too(kind: str, truth: Any, right: Any) -> None:
    found = verdict(kind, truth, right, accuracy=0.0)
    assert found["auditDecision"] == "reject"
    assert found["auditReason"] in [reason["code"] for reason in REASONS]
    assert found["auditComment"]


def test_a_false_alarm_names_another_category_than_the_shown_one() -> None:
    comments = {
        verdict("class", "cat", names("cat"), accuracy=0.0, seed=n)["auditComment"] for n in range(50)
    }
    assert all("dog" in comment or "fox" in comment for comment in comments)


def test_a_fix_gives_the_true_category_as_often_as_stated() -> None:
    found = [verdict("class", "cat", names("dog"), fix_rate=0.3, seed=n) for n in range(2000)]
    fixes = [answer for answer in found if answer["auditDecision"] == "fix"]
    assert len(fixes) / 2000 == pytest.approx(0.3, abs=0.04)
    assert {answer["auditFix"] for answer in fixes} == {'{"label": "cat"}'}
    assert {answer["auditReason"] for answer in fixes} == {"wrong-label"}


def test_only_classes_are_fixed() -> None:
    for kind, truth, _right, wrong, _reason, _word in CASES:
        if kind != "class":
            assert verdict(kind, truth, wrong, fix_rate=1.0)["auditDecision"] == "reject"


def test_some_comments_are_japanese_and_others_english() -> None:
    for kind, truth, _right, wrong, _reason, _word in CASES:
        comments = [verdict(kind, truth, wrong, seed=n)["auditComment"] for n in range(200)]
        share = sum(bool(JAPANESE.search(comment)) for comment in comments) / len(comments)
        assert 0.25 < share < 0.55
        assert all(len(comment) <= 1000 for comment in comments)


def test_a_reason_that_the_form_does_not_offer_becomes_another() -> None:
    offered = [{"code": "inexact"}, {"code": "other"}]
    assert verdict("class", "cat", names("dog"), reasons=offered)["auditReason"] == "other"
    assert verdict("class", "cat", names("dog"), reasons=offered[:1])["auditReason"] == "inexact"


# The same for the same seed


def test_a_second_audit_of_an_object_is_another_draw_and_a_repeated_one_is_not() -> None:
    person = Annotator("ann", 0.5, 1.0)

    def verdicts(earlier: int) -> list[Any]:
        shown = {"kind": "class", "label": names("dog"), "labels": LABELS, "reasons": REASONS}
        history = [{"event": "audited", "decision": "reject"}] * earlier
        return [
            person.verdict(1, f"s3://{number}", "cat", {**shown, "history": history}, lambda _uri: b"")
            for number in range(40)
        ]

    assert verdicts(0) == verdicts(0)
    assert verdicts(0) != verdicts(1) != verdicts(2)


def test_auditors_decline_as_often_as_stated() -> None:
    person = Annotator("ann", 1.0, 1.0, decline_rate=0.25)
    shown = {"kind": "class", "label": names("dog"), "labels": LABELS, "reasons": REASONS}
    found = [person.verdict(1, f"s3://{number}", "cat", shown, lambda _uri: b"") for number in range(2000)]
    assert found.count(None) / 2000 == pytest.approx(0.25, abs=0.04)


# In a job


def an_audit(rows: list[dict[str, Any]], people: list[dict[str, Any]], **inputs: Any) -> Any:
    """Run a job with the audit's form over digits that are labelled "1" all, and return it with its world."""
    job, world = make_job(rows, NumberOfHumanWorkersPerDataObject=1)
    world.objects["s3://bucket/template.liquid.html"] = AUDIT_TEMPLATE.encode()
    shown = {
        "kind": "class",
        "label": names("1"),
        "labels": ["0", "1", "2"],
        "reasons": REASONS,
        "history": [],
    }

    def pre(event: dict[str, Any]) -> dict[str, Any]:
        return {"taskInput": {"taskObject": event["dataObject"]["source-ref"], **shown, **inputs}}

    def post(event: dict[str, Any]) -> list[dict[str, Any]]:
        attribute, entries = event["labelAttributeName"], []
        for item in json.loads(world.objects[event["payload"]["s3Uri"]]):
            content = json.loads(item["annotations"][0]["annotationData"]["content"])
            entries.append(
                {
                    "datasetObjectId": item["datasetObjectId"],
                    "consolidatedAnnotation": {"content": {attribute: content}},
                }
            )
        return entries

    world.functions[PRE], world.functions[POST] = pre, post
    document = {"seed": 1, "truth": truth_of(rows), "annotators": people}
    # What annotators believe is none of an auditor's business.
    document["mistakes"] = dict.fromkeys(truth_of(rows), "1")
    run(job, world, SimulatedAnnotators.from_document(document))
    return job, world


def test_an_audit_s_form_is_known_by_its_inputs_and_answered_by_the_truth() -> None:
    rows = image_rows(9)
    job, world = an_audit(rows, [annotator("ann", accuracy=1.0)])
    assert job.status is JobStatus.COMPLETED, job.failure_reason
    decisions = {row["source-ref"]: row["label"]["auditDecision"] for row in world.rows()}
    assert decisions == {
        source: "accept" if truth == "1" else "reject" for source, truth in truth_of(rows).items()
    }
    (record,) = world.json(world.paths("annotations/worker-response")[0])["answers"]
    assert set(record["answerContent"]) == {*INPUTS, "clientTiming"}
    timing = json.loads(record["answerContent"]["clientTiming"])
    assert timing["wallMs"] == pytest.approx(1000 * record["timeSpentInSeconds"], abs=2)
    assert 0 < timing["activeMs"] <= timing["wallMs"]


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"kind": "poem"}, "a label of kind 'poem'; expected one of"),
        ({"label": {"name": "1"}}, 'expected {"names"'),
        ({"reasons": []}, "the task gives the reasons"),
        ({"labels": "0, 1"}, "expected a list of names"),
        ({"kind": "mask", "label": overlay()}, "expected an object"),
    ],
)
def test_an_audit_that_nobody_could_judge_fails_the_job_with_what_is_wrong(
    inputs: dict[str, Any], told: str
) -> None:
    with pytest.raises(SimulationFailed, match=re.escape(told)):
        an_audit(image_rows(1), [annotator("ann")], **inputs)


def test_the_repository_s_audit_template_is_known_and_no_label_template_is_taken_for_it() -> None:
    templates = {
        path.parent.name: path.read_text(encoding="utf-8")
        for path in (Path(__file__).parents[3] / "ui_templates").glob("*/template.liquid.html")
    }
    assert len(templates) > 5
    assert [name for name, template in templates.items() if has_inputs(template, INPUTS)] == ["audit"]
    with pytest.raises(UnusableTemplate):
        answer_element(templates["audit"], {*ELEMENTS, "crowd-classifier", "crowd-image-classifier"})


def a_mask_audit(content: bytes | None) -> Any:
    """Run a job in which one auditor sees a mask that is right or not there; return it with its world."""
    rows = image_rows(1)
    job, world = make_job(rows, NumberOfHumanWorkersPerDataObject=1)
    world.objects["s3://bucket/template.liquid.html"] = AUDIT_TEMPLATE.encode()
    if content is not None:
        world.objects["s3://data/overlay.png"] = content
    shown = {"kind": "mask", "label": overlay(), "labels": LABELS, "reasons": REASONS}
    world.functions[PRE] = lambda _event: {"taskInput": shown}
    world.functions[POST] = lambda _event: [
        {"datasetObjectId": "0", "consolidatedAnnotation": {"content": {"label": 1}}}
    ]
    truth = {rows[0]["source-ref"]: true_mask(TRUE_MASK)}
    document = {"seed": 1, "truth": truth, "annotators": [annotator("ann", accuracy=1.0)]}
    run(job, world, SimulatedAnnotators.from_document(document))
    return world


def test_an_overlay_is_read_as_the_job_reads_it() -> None:
    world = a_mask_audit(rgba(TRUE_MASK))
    (path,) = world.paths("annotations/worker-response")
    assert world.json(path)["answers"][0]["answerContent"]["auditDecision"] == "accept"
    with pytest.raises(SimulationFailed, match=r"cannot judge .*: s3://data/overlay.png does not exist"):
        a_mask_audit(None)


def test_a_form_without_all_inputs_of_an_audit_is_none() -> None:
    rows = image_rows(1)
    job, world = make_job(rows)
    template = AUDIT_TEMPLATE.replace('name="auditFix"', 'name="fix"')
    world.objects["s3://bucket/template.liquid.html"] = template.encode()
    document = {"seed": 1, "truth": truth_of(rows), "annotators": [annotator("ann")]}
    with pytest.raises(SimulationFailed, match="cannot use the worker template"):
        run(job, world, SimulatedAnnotators.from_document(document))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"no picture", "cannot be read"),
        (png(Image.new("RGBA", (80, 60), (1, 2, 3, 255))), "4800 pixels of the overlay have colours"),
        (png(Image.new("RGBA", (8, 6), (0, 0, 0, 0))), "the object has"),
    ],
)
def test_an_overlay_that_cannot_be_judged_is_told(content: bytes, told: str) -> None:
    with pytest.raises(UnusableAudit, match=told):
        verdict("mask", true_mask(TRUE_MASK), overlay(), content=content)


@pytest.mark.parametrize(
    ("kind", "truth"), [("class", "cow"), ("classes", "cat"), ("boxes", ["cat"]), ("mask", {"mask": "x"})]
)
def test_a_truth_of_another_form_than_the_label_is_refused(kind: str, truth: Any) -> None:
    labels = {"mask": overlay(), "boxes": boxes()}
    with pytest.raises(InvalidTruth):
        verdict(kind, truth, labels.get(kind, names("cat")), content=rgba(TRUE_MASK))
