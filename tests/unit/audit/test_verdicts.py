from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from truthloop import palette, task_types
from truthloop.audit import REASONS, REJECT, audit_attribute
from truthloop.audit.verdicts import Verdict, decide, fixed_label, read_verdict
from truthloop.task_types import MalformedAnswer
from unit.audit.kit import FIXES, TASK_TYPES, accept, attribute_of, fix, reject
from unit.labeling.kit import CATEGORIES

BOX = {"class_id": 0, "left": 2, "top": 3, "width": 6, "height": 5}
DRAWN = {"label": "cat", "left": 2, "top": 3, "width": 6, "height": 5}
LABELS: dict[str, Any] = {
    "bounding-box": {"image_size": [{"width": 16, "height": 12, "depth": 3}], "annotations": [BOX]},
    "image-classification": 0,
    "image-multi-label": [0],
    "semantic-segmentation": "s3://data-bucket/mask.png",
    "text-classification": 0,
}
MAP = {
    "0": {"class-name": palette.BACKGROUND, "hex-color": palette.WHITE},
    "1": {"class-name": "cat", "hex-color": palette.color(0)},
}


def read(content: Any, task_type: str = "image-classification") -> Verdict:
    attribute = attribute_of(task_type)
    row = {attribute: LABELS[task_type], f"{attribute}-metadata": {"internal-color-map": MAP}}
    kind = task_types.get(task_type).LABEL_KIND
    return read_verdict(content, kind, row, attribute, CATEGORIES)


def test_the_attribute_of_a_verdict_is_no_reference() -> None:
    assert audit_attribute("label") == "label-audit"
    assert audit_attribute("label-ref") == "label-audit"
    assert audit_attribute("ref") == "ref-audit"


def test_the_reasons_are_these_in_two_languages() -> None:
    assert list(REASONS) == ["wrong-label", "missing", "superfluous", "inexact", "unreadable", "other"]
    assert all(english.isascii() and not japanese.isascii() for english, japanese in REASONS.values())


# ---- one answer


@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_an_answer_is_read_for_every_kind(task_type: str) -> None:
    assert read(accept(), task_type) == Verdict("accept")
    assert read(reject("inexact", " ずれ \n"), task_type) == Verdict("reject", "inexact", "ずれ")
    fixed = read(fix(FIXES[task_type], "wrong-label", "鳥"), task_type)
    assert (fixed.decision, fixed.reason, fixed.comment) == ("fix", "wrong-label", "鳥")
    assert fixed.fix
    assert fixed.fix_digest


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "lacks auditDecision"),
        ({}, "lacks auditDecision"),
        ({"auditDecision": 1}, "lacks auditDecision"),
        ({"auditDecision": "maybe"}, "auditDecision is 'maybe'; allowed: accept, reject, fix"),
        ({"auditDecision": "reject", "auditReason": "missing"}, "auditComment is empty"),
        (reject(comment=" \n"), "auditComment is empty"),
        (reject(reason=""), "auditReason is empty"),
        (reject(reason="bad"), "auditReason is 'bad'; allowed: wrong-label"),
        ({**reject(), "auditComment": 7}, "auditComment is 7; allowed: a text"),
        ({**fix({}), "auditFix": ""}, "auditFix is not JSON"),
        ({**fix({}), "auditFix": "{"}, "auditFix is not JSON"),
        ({**fix({}), "auditFix": "[" * 100_000}, "auditFix is not JSON"),
        ({**fix({}), "auditFix": "9" * 5_000}, "auditFix is not JSON"),
        (fix(None), "lacks label"),
        (fix({"label": "fish"}), "'fish' is not a category"),
        (fix({"label": "cat"}), "auditFix changes nothing"),
        (fix({"label": "dog"}, reason="bad"), "auditReason is 'bad'"),
    ],
)
def test_what_is_no_verdict_is_refused_with_what_is_allowed(content: Any, reason: str) -> None:
    with pytest.raises(MalformedAnswer, match=reason):
        read(content)


@pytest.mark.parametrize(
    ("task_type", "given", "reason"),
    [
        ("image-multi-label", {"labels": ["cat", "cat"]}, "changes nothing"),
        ("image-multi-label", {"labels": ["fish"]}, "not a category"),
        ("image-multi-label", {"labels": "cat"}, "lacks labels"),
        ("bounding-box", {"boxes": [DRAWN]}, "changes nothing"),
        ("bounding-box", {"boxes": [{**DRAWN, "left": 40}]}, "no part of the image"),
        ("bounding-box", {"boxes": [{**DRAWN, "width": "6"}]}, "width of a box is '6'"),
        ("bounding-box", {"boxes": [{**DRAWN, "left": 10**400}]}, "left of a box is 1000"),
        ("bounding-box", {"boxes": [DRAWN] * 501}, "501 boxes"),
        ("bounding-box", {}, "lacks boxes"),
        ("semantic-segmentation", {"categories": {}}, "changes nothing"),
        ("semantic-segmentation", {"categories": {"cat": "cat"}}, "changes nothing"),
        ("semantic-segmentation", {"categories": {"dog": "cat"}}, "repaints 'dog'; allowed: .*: cat"),
        ("semantic-segmentation", {"categories": {"cat": "fish"}}, "not a category"),
        ("semantic-segmentation", {"categories": {"cat": 7}}, "not a category"),
    ],
)
def test_a_fix_that_is_none_is_refused(task_type: str, given: Any, reason: str) -> None:
    with pytest.raises(MalformedAnswer, match=reason):
        read(fix(given), task_type)


def test_equal_fixes_are_equal_however_they_are_written() -> None:
    more = {"label": "dog", "left": 0, "top": 0, "width": 2, "height": 2}
    one, other = (read(fix({"boxes": boxes}), "bounding-box") for boxes in ([DRAWN, more], [more, DRAWN]))
    assert one == other
    assert one.fix_digest == other.fix_digest
    first, second = (
        read(fix({"labels": names}), "image-multi-label") for names in (["dog", "cat"], ["cat", "dog"])
    )
    assert first.fix == second.fix == {"labels": ["cat", "dog"]}
    assert read(fix({"label": "dog"})).fix_digest != read(fix({"label": "bird"})).fix_digest


def test_all_boxes_and_all_labels_may_be_removed() -> None:
    assert read(fix({"boxes": []}), "bounding-box").fix == {"boxes": []}
    assert read(fix({"labels": []}), "image-multi-label").fix == {"labels": []}
    assert read(fix({"categories": {"cat": None}}), "semantic-segmentation").fix == {
        "categories": {"cat": None}
    }


def test_a_comment_is_kept_to_its_limit_and_can_be_written() -> None:
    verdict = read(reject(comment="長" * 1_001))
    assert len(verdict.comment) == 1_000
    assert verdict.comment.endswith("長…")
    assert read(reject(comment="長" * 1_000)).comment == "長" * 1_000
    assert read(reject(comment="half \ud800 of a pair")).comment.encode()


def test_an_acceptance_has_no_reason_but_may_say_something() -> None:
    assert read({**accept(), "auditReason": "other", "auditComment": "良い"}) == Verdict("accept", "", "良い")


# ---- several

A, R, F = (
    Verdict("accept", comment="fine"),
    Verdict("reject", "missing", "足りない"),
    Verdict("fix", "", "犬", {"label": "dog"}),
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([A], "accept"),
        ([A, A, R], "accept"),
        ([A, R], "reject"),
        ([A, R, R], "reject"),
        ([A, F], "reject"),
        ([R, F], "reject"),
        ([A, R, F], "reject"),
        ([F, F, R], "fix"),
        ([A, A, R, R], "reject"),
        ([A, A, A, R, F], "accept"),
    ],
)
def test_more_than_half_decide_and_without_them_the_label_is_rejected(
    given: list[Verdict], expected: str
) -> None:
    decided = {
        decide({f"w{position}": verdict for position, verdict in enumerate(order)}).decision
        for order in itertools.permutations(given)
    }
    assert decided == {expected}


def test_the_majoritys_comments_are_joined_and_its_most_frequent_reason_is_kept() -> None:
    given = {
        "a": Verdict("reject", "inexact", "左"),
        "b": Verdict("accept", "", "nice"),
        "c": Verdict("reject", "missing", "右"),
        "d": Verdict("reject", "missing", "左"),
    }
    verdict = decide(given)
    assert (verdict.reason, verdict.comment) == ("missing", "左\n右")
    assert decide({"a": A, "b": F}) == Verdict(REJECT, "other", "犬")
    assert decide({"a": A, "b": R}) == Verdict(REJECT, "missing", "足りない")
    long = {name: Verdict("reject", "other", name * 600) for name in "ab"}
    assert len(decide(long).comment) == 1_000


def test_of_several_fixes_the_most_frequent_is_taken_else_the_first_workers() -> None:
    dog, bird = Verdict("fix", fix={"label": "dog"}), Verdict("fix", fix={"label": "bird"})
    assert decide({"a": bird, "b": dog, "c": dog}).fix == {"label": "dog"}
    assert decide({"b": dog, "a": bird}).fix == {"label": "bird"}


# ---- what a fix makes


def test_a_fix_becomes_a_label_in_ground_truths_format() -> None:
    assert fixed_label("class", {}, "label", CATEGORIES, {"label": "bird"}) == (
        2,
        {"class-name": "bird", "confidence": 1.0},
    )
    assert fixed_label("classes", {}, "label", CATEGORIES, {"labels": ["cat", "bird"]}) == (
        [0, 2],
        {"class-map": {"0": "cat", "2": "bird"}, "confidence-map": {"0": 1.0, "2": 1.0}},
    )
    boxes = {"boxes": [{**DRAWN, "left": 12}, {**DRAWN, "label": "bird"}]}
    value, metadata = fixed_label("boxes", {"label": LABELS["bounding-box"]}, "label", CATEGORIES, boxes)
    assert value["annotations"] == [
        {**BOX, "left": 12, "width": 4},
        {**BOX, "class_id": 2},
    ]
    assert metadata == {
        "class-map": {"0": "cat", "2": "bird"},
        "objects": [{"confidence": 1.0}, {"confidence": 1.0}],
    }
    assert json.dumps(value)
