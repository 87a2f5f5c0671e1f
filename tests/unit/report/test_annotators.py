"""What consolidation's counts say of a worker."""

from __future__ import annotations

import pytest

from truthloop_batch.report.annotators import Reasons, skill, skill_per_label

CLASSES = ("cat", "dog")


def test_the_skill_of_one_class_is_the_expected_share_of_right_answers() -> None:
    counts = {"0:0": 6.0, "0:1": 2.0, "1:0": 1.0, "1:1": 3.0}
    assert skill("class", counts) == {"right": pytest.approx(9 / 12)}
    cat, dog = skill_per_label("class", counts, CLASSES) or []
    assert cat == {"label": "cat", "found": pytest.approx(6 / 8), "excluded": pytest.approx(3 / 4)}
    assert dog == {"label": "dog", "found": pytest.approx(3 / 4), "excluded": pytest.approx(6 / 8)}


def test_the_skill_of_several_classes_tells_overlooked_labels_from_invented_ones() -> None:
    counts = {"0/1:1": 8.0, "0/1:0": 2.0, "0/0:0": 30.0, "1/1:1": 1.0, "1/1:0": 1.0, "1/0:1": 10.0}
    assert skill("classes", counts) == {"found": pytest.approx(9 / 12), "excluded": pytest.approx(30 / 40)}
    cat, dog = skill_per_label("classes", counts, CLASSES) or []
    assert (cat["found"], cat["excluded"]) == (pytest.approx(0.8), 1)
    assert (dog["found"], dog["excluded"]) == (pytest.approx(0.5), 0)


def test_the_skill_of_boxes_tells_missed_ones_from_invented_ones_and_from_bad_edges() -> None:
    counts = {"1:1": 9.0, "1:0": 3.0, "0:1": 2.0, "images": 8.0, "edges": 36.0, "edge_error": 0.09}
    assert skill("boxes", counts) == {
        "found": pytest.approx(0.75),
        "invented": pytest.approx(0.25),
        "edge_error": pytest.approx(0.05),
    }
    assert skill_per_label("boxes", counts, CLASSES) is None


def test_edges_that_are_better_than_the_crowds_estimate_have_no_error_and_no_imaginary_one() -> None:
    assert skill("boxes", {"edges": 4.0, "edge_error": -0.01})["edge_error"] == 0


def test_the_skill_of_masks_is_the_share_of_right_pixels() -> None:
    assert skill("mask", {"masks": 4.0, "right": 3.4}) == {"right": pytest.approx(0.85)}
    assert skill_per_label("mask", {}, CLASSES) is None


@pytest.mark.parametrize("kind", ["class", "classes", "boxes", "mask"])
def test_nothing_is_said_of_a_worker_of_whom_nothing_is_known(kind: str) -> None:
    assert set(skill(kind, {}).values()) == {None}
    for label in skill_per_label(kind, {}, CLASSES) or []:
        assert (label["found"], label["excluded"]) == (None, None)


def test_reasons_are_few_and_short_and_none_is_lost_from_the_count() -> None:
    reasons = Reasons()
    for number in range(5_000):
        reasons.add(f"{number} is not a category")
    for _ in range(7):
        reasons.add("x" * 10_000)
    for _ in range(3):
        reasons.add("the answer lacks a label")
    kept, others = reasons.most_frequent()
    assert len(kept) == 8
    assert all(len(entry["reason"]) <= 300 for entry in kept)
    assert sum(entry["count"] for entry in kept) + others == 5_010


def test_the_most_frequent_reason_comes_first() -> None:
    reasons = Reasons()
    for reason in ("b", "a", "c", "c"):
        reasons.add(reason)
    kept, others = reasons.most_frequent()
    assert [(entry["reason"], entry["count"]) for entry in kept] == [("c", 2), ("a", 1), ("b", 1)]
    assert others == 0
