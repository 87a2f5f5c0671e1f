from __future__ import annotations

import random
from typing import Any

import pytest

from truthloop.consolidation.boxes import Box, agreement, consolidate, match

Answers = dict[str, list[tuple[str, list[Box]]]]


def labels(answers: Answers, known: Any = None) -> dict[str, list[tuple[int, ...]]]:
    """By object the boxes as (class, left, top, width, height) in whole pixels."""
    return {
        name: [
            (each.box.class_id, *map(round, (each.box.left, each.box.top, each.box.width, each.box.height)))
            for each in fused
        ]
        for name, fused in consolidate(answers, known).objects.items()
    }


@pytest.mark.parametrize(
    ("other", "iou"),
    [
        (Box(0, 0, 0, 10, 10), 1.0),
        (Box(1, 0, 0, 10, 10), 1.0),
        (Box(0, 5, 0, 10, 10), 1 / 3),
        (Box(0, 0, 5, 10, 5), 0.5),
        (Box(0, 10, 0, 10, 10), 0.0),
        (Box(0, 20, 20, 1, 1), 0.0),
    ],
)
def test_overlap_is_intersection_over_union(other: Box, iou: float) -> None:
    assert Box(0, 0, 0, 10, 10).iou(other) == pytest.approx(iou)
    assert other.iou(Box(0, 0, 0, 10, 10)) == pytest.approx(iou)


def test_boxes_of_one_class_that_overlap_are_matched() -> None:
    groups = match(
        {"ann": [Box(0, 0, 0, 10, 10)], "bo": [Box(0, 1, 0, 10, 10)], "cy": [Box(1, 0, 0, 10, 10)]}
    )
    assert [sorted(group) for group in groups] == [["ann", "bo"], ["cy"]]


def test_two_objects_that_one_worker_told_apart_stay_two() -> None:
    near = [Box(0, 0, 0, 10, 10), Box(0, 3, 0, 10, 10)]
    groups = match({"ann": near, "bo": near})
    assert [group["ann"] for group in groups] == [group["bo"] for group in groups] == near


def test_the_nearest_boxes_are_matched_whatever_stands_first() -> None:
    boxes = {"ann": [Box(0, 0, 0, 10, 10)], "bo": [Box(0, 3, 0, 10, 10)], "cy": [Box(0, 6, 0, 10, 10)]}
    groups = match(boxes)
    assert sorted(map(len, groups)) == [1, 2]
    assert match(dict(reversed(boxes.items()))) == groups


def test_the_result_is_the_same_for_any_order_of_objects_workers_and_boxes() -> None:
    draw = random.Random(1)  # noqa: S311
    answers: Answers = {}
    for number in range(12):
        true = [Box(draw.randrange(2), 40 * at, 10, 30, 20) for at in range(draw.randrange(4))]
        answers[str(number)] = [
            (worker, [Box(b.class_id, b.left + draw.randrange(5), b.top, b.width, b.height) for b in true])
            for worker in ("ann", "bo", "cy")
            if draw.random() < 0.9
        ] or [("ann", [])]
    expected = consolidate(answers)
    for _ in range(5):
        names = draw.sample(sorted(answers), len(answers))
        shuffled = {
            name: [
                (worker, draw.sample(boxes, len(boxes)))
                for worker, boxes in draw.sample(answers[name], len(answers[name]))
            ]
            for name in names
        }
        assert consolidate(shuffled) == expected


def test_who_saw_nothing_votes_against_a_box() -> None:
    box = [Box(0, 10, 10, 20, 20)]
    assert labels({"a": [("ann", box), ("bo", box), ("cy", [])]}) == {"a": [(0, 10, 10, 20, 20)]}
    assert labels({"a": [("ann", box), ("bo", []), ("cy", [])]}) == {"a": []}


def test_of_two_classes_on_one_spot_the_one_with_more_votes_is_real() -> None:
    for first, second in ((0, 1), (1, 0)):
        more, fewer = [Box(first, 10, 10, 20, 20)], [Box(second, 11, 10, 20, 20)]
        answers = {"a": [("ann", more), ("bo", more), ("cy", more), ("di", fewer), ("ed", fewer)]}
        assert labels(answers) == {"a": [(first, 10, 10, 20, 20)]}


def test_two_classes_on_one_spot_are_both_real_when_everyone_draws_both() -> None:
    both = [Box(0, 10, 10, 20, 20), Box(1, 11, 10, 20, 20)]
    assert len(labels({"a": [("ann", both), ("bo", both)]})["a"]) == 2


def test_a_slip_does_not_draw_the_fused_box_away() -> None:
    box, slipped = Box(0, 100, 100, 40, 40), Box(0, 100, 100, 52, 40)
    [(_, _, _, width, _)] = labels({"a": [("ann", [box]), ("bo", [box]), ("cy", [box]), ("di", [slipped])]})[
        "a"
    ]
    assert width < 41.5


def test_the_precise_worker_has_the_greater_weight() -> None:
    draw = random.Random(3)  # noqa: S311
    answers: Answers = {}
    for number in range(60):
        left = draw.randrange(100, 200)
        answers[str(number)] = [
            ("good-1", [Box(0, left, 50, 50, 50)]),
            ("good-2", [Box(0, left, 50, 50, 50)]),
            ("rough", [Box(0, left + draw.choice([-6, 6]), 50, 50, 50)]),
        ]
    answers["last"] = [("good-1", [Box(0, 100, 50, 50, 50)]), ("rough", [Box(0, 110, 50, 50, 50)])]
    [(_, left, *_)] = labels(answers)["last"]
    assert left <= 102


def test_agreement_raises_the_confidence_and_disagreement_lowers_it() -> None:
    box, off = [Box(0, 100, 100, 40, 40)], [Box(0, 106, 100, 40, 40)]
    confidences = [
        consolidate({"a": answers}).objects["a"][0].confidence
        for answers in (
            [("ann", box), ("bo", box), ("cy", box), ("di", box)],
            [("ann", box), ("bo", box)],
            [("ann", box), ("bo", off)],
        )
    ]
    assert confidences == sorted(confidences, reverse=True)
    assert len(set(confidences)) == 3
    assert all(0 < each < 1 for each in confidences)


def test_a_single_workers_boxes_stand_with_the_confidence_of_an_unknown_worker() -> None:
    result = consolidate({"a": [("ann", [Box(0, 10, 10, 20, 20)])], "b": [("ann", [])]})
    [fused] = result.objects["a"]
    assert fused.box == Box(0, 10, 10, 20, 20)
    assert 0.5 < fused.confidence < 0.9
    assert result.objects["b"] == []
    assert result.evidence == {}


def test_earlier_rounds_tell_whose_word_counts_alone() -> None:
    box = [Box(0, 10, 10, 20, 20)]
    inventor = {"1:1": 20.0, "1:0": 80.0, "0:1": 200.0, "images": 100.0}
    seer = {"1:1": 98.0, "1:0": 2.0, "0:1": 1.0, "images": 100.0}
    blind = {"1:1": 10.0, "1:0": 90.0, "0:1": 1.0, "images": 100.0}
    assert labels({"a": [("ann", box), ("bo", []), ("cy", [])]}, {"ann": seer, "bo": blind, "cy": blind})["a"]
    assert not labels({"a": [("ann", box), ("bo", [])]}, {"ann": inventor, "bo": seer})["a"]


def test_what_a_batch_says_of_its_workers_is_found_missed_and_invented() -> None:
    real, invented = Box(0, 100, 100, 40, 40), Box(0, 300, 300, 40, 40)
    answers = {
        str(number): [("ann", [real]), ("bo", [real]), ("cy", [real, invented]), ("di", [])]
        for number in range(20)
    }
    evidence = consolidate(answers).evidence["0"]
    assert evidence["ann"].counts["1:1"] == pytest.approx(1, abs=0.05)
    assert evidence["cy"].counts["0:1"] == pytest.approx(1, abs=0.05)
    assert evidence["di"].counts["1:0"] == pytest.approx(1, abs=0.05)
    assert evidence["ann"].counts["edges"] == 4
    assert [evidence[worker].agreement for worker in ("ann", "cy", "di")] == [1, pytest.approx(2 / 3), 0]


def test_agreement_is_the_f1_score_of_matches() -> None:
    box = Box(0, 0, 0, 10, 10)
    assert agreement([], []) == 1
    assert agreement([box], []) == agreement([], [box]) == 0
    assert agreement([box], [Box(1, 0, 0, 10, 10)]) == 0
    assert agreement([box, Box(0, 50, 50, 5, 5)], [box]) == pytest.approx(2 / 3)


def test_no_answers_give_no_boxes() -> None:
    assert consolidate({}).objects == {}
    assert consolidate({"a": [("ann", []), ("bo", [])]}).objects == {"a": []}
