from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from truthloop import task_types
from truthloop.agreement import agreement, between_labels, boxes_f1, jaccard, known_label
from truthloop.consolidation import masks
from truthloop.consolidation.boxes import Box
from unit.labeling import answers
from unit.labeling.kit import CATEGORIES


def nothing(uri: str) -> bytes:
    raise AssertionError(f"{uri} was read")


def drawing(*boxes: Box) -> Any:
    return SimpleNamespace(boxes=boxes)


BOX = Box(0, 0, 0, 10, 10)
HALF = Box(0, 0, 0, 10, 5)
LESS = Box(0, 0, 0, 10, 4.9)


@pytest.mark.parametrize(("answer", "known", "score"), [(1, 1, 1.0), (1, 2, 0.0)])
def test_a_class_is_right_or_wrong(answer: int, known: int, score: float) -> None:
    assert agreement("class", answer, known) == score


@pytest.mark.parametrize(
    ("one", "other", "score"),
    [({0, 1}, {1, 2}, 1 / 3), ({0}, {0}, 1.0), (set(), set(), 1.0), (set(), {1}, 0.0), ({0, 1}, {0}, 0.5)],
)
def test_lists_of_categories_agree_by_what_they_share(one: set[int], other: set[int], score: float) -> None:
    assert agreement("classes", frozenset(one), frozenset(other)) == score
    assert jaccard(other, one) == score


@pytest.mark.parametrize(
    ("one", "other", "score"),
    [
        ([], [], 1.0),
        ([BOX], [], 0.0),
        ([BOX], [BOX], 1.0),
        ([BOX], [HALF], 1.0),
        ([BOX], [LESS], 0.0),
        ([BOX], [Box(1, 0, 0, 10, 10)], 0.0),
        ([BOX, BOX], [BOX], 2 / 3),
        ([BOX, Box(0, 50, 50, 4, 4)], [BOX, Box(0, 90, 90, 4, 4)], 0.5),
    ],
)
def test_boxes_match_from_an_overlap_of_half_on_and_each_once(
    one: list[Box], other: list[Box], score: float
) -> None:
    assert boxes_f1(one, other) == pytest.approx(score)
    assert boxes_f1(other, one) == pytest.approx(score)
    assert agreement("boxes", drawing(*one), tuple(other)) == pytest.approx(score)


def test_the_best_overlaps_are_matched_first() -> None:
    near = Box(0, 1, 0, 10, 10)
    # In the order of the boxes the first would take the second's match.
    assert boxes_f1([near, BOX], [BOX, Box(0, 4, 0, 10, 10)]) == 1.0


def test_masks_agree_by_their_mean_overlap_over_what_either_has() -> None:
    one = answers.indices((1, slice(0, 4), slice(0, 4)), (2, slice(6, 8), slice(0, 4)))
    other = answers.indices((1, slice(0, 4), slice(0, 8)))
    known = masks.Mask.of(other)
    assert agreement("mask", masks.Mask.of(one), known) == pytest.approx((16 / 32 + 0) / 2)
    assert agreement("mask", known, known) == 1.0
    empty = masks.Mask.of(answers.indices())
    assert agreement("mask", empty, empty) == 1.0
    assert agreement("mask", empty, known) == 0.0
    assert agreement("mask", masks.Mask.of(answers.indices(height=5)), known) == 0.0


@pytest.mark.parametrize(
    ("task_type", "label"),
    [
        ("image-classification", 2),
        ("image-classification", "2"),
        ("image-multi-label", [2]),
        (
            "bounding-box",
            {"annotations": [{"class_id": 2, "left": 2, "top": 3, "width": 6, "height": 5}]},
        ),
        ("semantic-segmentation", "s3://gold/mask.png"),
    ],
)
def test_a_perfect_answer_agrees_with_the_known_label(task_type: str, label: Any) -> None:
    module = task_types.get(task_type)
    answer = module.read_answer(answers.answer(task_type, CATEGORIES, 2), CATEGORIES)
    other = module.read_answer(answers.answer(task_type, CATEGORIES, 0), CATEGORIES)
    png = masks.palette_png(answers.indices((3, slice(3, 8), slice(2, 8))))
    known = known_label(
        module.LABEL_KIND, {"label": label}, "label", CATEGORIES, {"s3://gold/mask.png": png}.get
    )
    assert agreement(module.LABEL_KIND, answer, known) == 1.0
    assert agreement(module.LABEL_KIND, other, known) < 0.5


def test_a_masks_indices_mean_what_its_colour_map_says() -> None:
    png = masks.palette_png(answers.indices((1, slice(0, 4), slice(0, 4)), (2, slice(5, 6), slice(0, 4))))
    color_map = {
        "0": {"class-name": "BACKGROUND"},
        "1": {"class-name": "bird"},
        "2": {"class-name": "BACKGROUND"},
    }
    read = masks.read_palette(png, color_map, CATEGORIES)
    assert (read == answers.indices((3, slice(0, 4), slice(0, 4)))).all()


@pytest.mark.parametrize(
    ("png", "color_map", "reason"),
    [
        (b"", None, "not a PNG"),
        (b"GIF89a" + bytes(60), None, "not a PNG"),
        (answers.png(np.zeros((4, 4, 3), np.uint8)), None, "mode RGB; allowed: a palette"),
        (masks.palette_png(answers.indices((9, slice(0, 1), slice(0, 1)))), None, r"indices \[9\]"),
        (masks.palette_png(answers.indices((1, slice(0, 1), slice(0, 1)))), {}, r"indices \[1\]"),
        (masks.palette_png(answers.indices()), {"1": {"class-name": "fish"}}, "names 'fish'"),
        (masks.palette_png(answers.indices()), {"x": {"class-name": "cat"}}, "index 'x'"),
        (masks.palette_png(answers.indices())[:-30], None, "cannot be decoded"),
    ],
)
def test_a_mask_that_is_no_label_is_refused(png: bytes, color_map: Any, reason: str) -> None:
    with pytest.raises(masks.UnreadableMask, match=reason):
        masks.read_palette(png, color_map, CATEGORIES)


def test_two_labels_of_rows_are_compared_without_their_files() -> None:
    assert between_labels("class", "1", 1) == 1.0
    assert between_labels("classes", [0, 1], [1]) == 0.5
    box = {"class_id": 1, "left": 0, "top": 0, "width": 4, "height": 4}
    assert between_labels("boxes", {"annotations": [box]}, {"annotations": [box]}) == 1.0
    assert between_labels("mask", "s3://b/1.png", "s3://b/2.png") is None
    assert known_label("class", {"label": 1}, "label", CATEGORIES, nothing) == 1
