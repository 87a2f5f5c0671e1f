"""Answers are in the form of their element, as good as the skill, and the same in whatever order."""

from __future__ import annotations

import base64
import io
import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from PIL import Image

from labeling_engine.simulated_annotators import Annotator
from labeling_engine.simulated_answers import ELEMENTS, InvalidTruth, Person, draw_boxes, paint_mask
from truthloop import palette, task_types
from truthloop.consolidation.boxes import Box

LABELS = ["cat", "dog", "bird"]
SELECT = "crowd-image-classifier-multi-select"
BOXES, MASK = "crowd-bounding-box", "crowd-semantic-segmentation"
TASKS = {SELECT: "image-multi-label", BOXES: "bounding-box", MASK: "semantic-segmentation"}
WIDTH, HEIGHT = 120, 80
BOX_TRUTH = {
    "width": WIDTH,
    "height": HEIGHT,
    "boxes": [
        {"label": "cat", "left": 0, "top": 0, "width": 30, "height": 20},
        {"label": "dog", "left": 60, "top": 30, "width": 25, "height": 25},
        {"label": "bird", "left": 95, "top": 60, "width": 25, "height": 20},
    ],
}
SKILLS = [0.55, 0.75, 0.95]


def painted(*areas: tuple[int, int, int, int, int]) -> np.ndarray[Any, Any]:
    """A mask with rectangles: value, left, top, right, bottom."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for value, left, top, right, bottom in areas:
        mask[top:bottom, left:right] = value
    return mask


TRUE_MASK = painted((1, 10, 10, 50, 40), (2, 20, 15, 35, 30), (1, 70, 20, 110, 70), (3, 5, 55, 40, 75))


def mask_truth(mask: np.ndarray[Any, Any], labels: list[str] | None = None) -> dict[str, Any]:
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    return {"mask": base64.b64encode(buffer.getvalue()).decode(), "labels": labels or LABELS}


TRUTHS: dict[str, Any] = {SELECT: ["cat", "bird"], BOXES: BOX_TRUTH, MASK: mask_truth(TRUE_MASK)}


def person(skill: float, seed: int = 0, **confusion: str) -> Person:
    return Person(skill, confusion, random.Random(seed))  # noqa: S311


def decoded(answer: dict[str, Any], labels: list[str] = LABELS) -> np.ndarray[Any, Any]:
    """The answer's mask as the post-annotation function reads it."""
    content = {"crowd-semantic-segmentation": answer}
    return np.asarray(task_types.get("semantic-segmentation").read_answer(content, labels).indices())


def overlap(one: Any, other: Any) -> float:
    ious = [((one == n) & (other == n)).sum() / ((one == n) | (other == n)).sum() for n in (1, 2, 3)]
    return float(np.mean(ious))


@pytest.mark.parametrize("tag", ELEMENTS)
@pytest.mark.parametrize("skill", [0.0, 0.5, 0.9, 1.0])
def test_every_answer_is_read_by_the_post_annotation_function(tag: str, skill: float) -> None:
    task_type = task_types.get(TASKS[tag])
    for seed in range(40):
        answer = ELEMENTS[tag](person(skill, seed), TRUTHS[tag], LABELS)
        task_type.read_answer({task_type.ANSWER_NAME: answer}, LABELS)


@pytest.mark.parametrize("tag", ELEMENTS)
def test_an_answer_depends_on_seed_annotator_and_object_alone(tag: str) -> None:
    ann, bob = Annotator("ann", 0.7, 4.0), Annotator("bob", 0.7, 4.0)
    sources = [f"s3://bucket/{number}.png" for number in range(20)]

    def given(who: Annotator, seed: int, order: list[str]) -> dict[str, str]:
        return {source: repr(who.answer(seed, source, tag, TRUTHS[tag], LABELS)) for source in order}

    first = given(ann, 1, sources)
    assert given(ann, 1, sources[::-1]) == first
    assert len(set(first.values())) > 3
    for other in (given(bob, 1, sources), given(ann, 2, sources)):
        assert sum(other[source] == first[source] for source in sources) < 15


@pytest.mark.parametrize("tag", ELEMENTS)
def test_objects_are_declined_as_often_as_stated(tag: str) -> None:
    who = Annotator("ann", 0.9, 4.0, decline_rate=0.3)
    declined = sum(who.answer(1, f"object {n}", tag, TRUTHS[tag], LABELS) is None for n in range(600))
    assert declined / 600 == pytest.approx(0.3, abs=0.06)


# Several labels


@pytest.mark.parametrize("skill", [0.0, *SKILLS, 1.0])
def test_each_label_is_judged_rightly_as_often_as_stated(skill: float) -> None:
    right = 0
    for seed in range(800):
        chosen = ELEMENTS[SELECT](person(skill, seed), ["cat", "bird"], LABELS)["labels"]
        right += sum((label in chosen) == (label in ("cat", "bird")) for label in LABELS)
    assert right / 2400 == pytest.approx(skill, abs=0.035)


def test_nothing_may_apply() -> None:
    assert ELEMENTS[SELECT](person(1.0), [], LABELS) == {"labels": []}


# Boxes


def test_boxes_are_whole_pixels_inside_the_image_in_the_form_of_the_element() -> None:
    drawn = [draw_boxes(person(0.3, seed), BOX_TRUTH, LABELS) for seed in range(200)]
    boxes = [box for answer in drawn for box in answer["boundingBoxes"]]
    assert len(boxes) > 200
    for answer in drawn:
        assert answer["inputImageProperties"] == {"height": HEIGHT, "width": WIDTH}
    for box in boxes:
        assert list(box) == ["height", "label", "left", "top", "width"]
        assert all(type(box[side]) is int for side in ("left", "top", "width", "height"))
        assert 0 <= box["left"] < box["left"] + box["width"] <= WIDTH
        assert 0 <= box["top"] < box["top"] + box["height"] <= HEIGHT


@pytest.mark.parametrize("skill", SKILLS)
def test_boxes_are_overlooked_and_invented_as_often_as_the_skill_says(skill: float) -> None:
    one = {**BOX_TRUTH, "boxes": BOX_TRUTH["boxes"][1:2]}
    true = Box(1, 60, 30, 25, 25)
    found = invented = mistaken = 0
    for seed in range(1500):
        near, far = [], []
        for each in draw_boxes(person(skill, seed), one, LABELS)["boundingBoxes"]:
            box = Box(LABELS.index(each["label"]), each["left"], each["top"], each["width"], each["height"])
            (near if box.iou(true) > 0.35 else far).append(box)
        found += bool(near)
        mistaken += bool(near) and near[0].class_id != 1
        invented += bool(far)
    error = 1 - skill
    # A slip may make a found box an invented one, and the other way round.
    assert found / 1500 == pytest.approx(skill, abs=0.06)
    assert invented / 1500 == pytest.approx(error, abs=0.07)
    assert mistaken / found == pytest.approx(error / 2, abs=0.06)


def test_boxes_are_the_closer_the_more_skilled_their_drawer_is() -> None:
    def closeness(skill: float) -> float:
        true = Box(1, 60, 30, 25, 25)
        ious = []
        for seed in range(300):
            for each in draw_boxes(person(skill, seed), BOX_TRUTH, LABELS)["boundingBoxes"]:
                iou = Box(1, each["left"], each["top"], each["width"], each["height"]).iou(true)
                ious += [iou] if iou > 0.3 else []
        return float(np.mean(ious))

    rough, fair, good = map(closeness, SKILLS)
    assert rough + 0.03 < fair < good - 0.03
    assert good > 0.85


def test_a_confusion_names_the_label_of_a_mistaken_box() -> None:
    one = {**BOX_TRUTH, "boxes": BOX_TRUTH["boxes"][1:2]}
    seen = Counter(
        box["label"]
        for seed in range(300)
        for box in draw_boxes(person(0.6, seed, dog="cat"), one, LABELS)["boundingBoxes"][:1]
        if abs(box["left"] - 60) < 15 and abs(box["top"] - 30) < 15
    )
    assert seen["cat"] > 20
    assert seen["bird"] < seen["cat"] / 4


def test_an_image_without_objects_mostly_gets_no_boxes() -> None:
    empty = {**BOX_TRUTH, "boxes": []}
    numbers = Counter(
        len(draw_boxes(person(0.9, seed), empty, LABELS)["boundingBoxes"]) for seed in range(300)
    )
    assert set(numbers) == {0, 1}
    assert numbers[1] / 300 == pytest.approx(0.1, abs=0.06)


# Masks


def test_a_mask_is_an_rgba_png_with_the_colours_that_it_names() -> None:
    answer = paint_mask(person(0.95), TRUTHS[MASK], LABELS)
    with Image.open(io.BytesIO(base64.b64decode(answer["labeledImage"]["pngImageData"]))) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGBA", (WIDTH, HEIGHT))
        pixels = np.asarray(image)
    assert answer["inputImageProperties"] == {"height": HEIGHT, "width": WIDTH}
    opaque = {tuple(map(int, color)) for color in np.unique(pixels[pixels[..., 3] > 0], axis=0)}
    named = {(*palette.rgb(mapping["color"]), 255) for mapping in answer["labelMappings"].values()}
    assert opaque == named
    assert (pixels[..., 3] == 0).any()


def test_only_painted_labels_are_mapped() -> None:
    truth = mask_truth(painted((2, 20, 20, 60, 60)))
    answer = paint_mask(person(1.0), truth, LABELS)
    assert list(answer["labelMappings"]) == ["dog"]
    assert paint_mask(person(1.0), mask_truth(painted()), LABELS)["labelMappings"] == {}


def test_a_mask_is_the_closer_the_more_skilled_its_painter_is() -> None:
    def closeness(skill: float) -> float:
        masks = [decoded(paint_mask(person(skill, seed), TRUTHS[MASK], LABELS)) for seed in range(40)]
        return float(np.mean([overlap(mask, TRUE_MASK) for mask in masks]))

    rough, fair, good, best = map(closeness, [*SKILLS, 1.0])
    assert rough + 0.05 < fair < good - 0.05
    assert good > 0.75
    assert 0.9 < best < 1


def test_regions_are_overlooked_and_taken_for_others_as_a_whole() -> None:
    middles = {(25, 65): 3, (90, 45): 1, (27, 22): 2}
    seen: dict[tuple[int, int], Counter[int]] = {place: Counter() for place in middles}
    for seed in range(400):
        mask = decoded(paint_mask(person(0.6, seed), TRUTHS[MASK], LABELS))
        for x, y in middles:
            seen[x, y][int(mask[y, x])] += 1
    for place, true in middles.items():
        found = seen[place]
        assert found[0] / 400 == pytest.approx(0.2, abs=0.08)
        # Overlooked before it can be taken for another one.
        assert found[true] / 400 == pytest.approx(0.8 * 0.8, abs=0.09)
        assert set(found) == {0, 1, 2, 3}


def test_two_regions_of_one_label_are_judged_apart() -> None:
    both, one = 0, 0
    for seed in range(300):
        mask = decoded(paint_mask(person(0.6, seed), TRUTHS[MASK], LABELS))
        seen = int(mask[35, 15] == 1) + int(mask[45, 90] == 1)
        both, one = both + (seen == 2), one + (seen == 1)
    assert both > 50
    assert one > 50


def test_a_skilled_painter_follows_ragged_forms() -> None:
    grid = np.add.outer(np.arange(HEIGHT), np.arange(WIDTH))
    winding = ((grid // 9) % 4 == 0).astype(np.uint8)
    mask = decoded(paint_mask(person(1.0), mask_truth(winding), LABELS))
    assert ((mask == 1) & (winding == 1)).sum() / ((mask == 1) | (winding == 1)).sum() > 0.6


def test_the_truths_labels_may_be_in_another_order_than_the_workers() -> None:
    truth = mask_truth(painted((1, 20, 20, 60, 60)), ["bird", "cat"])
    mask = decoded(paint_mask(person(1.0), truth, LABELS))
    assert set(np.unique(mask)) == {0, LABELS.index("bird") + 1}


def test_there_are_as_many_colours_as_labels() -> None:
    labels = [f"label {number}" for number in range(250)]
    truth = mask_truth(np.repeat(np.arange(250, dtype=np.uint8), 8)[:, None].repeat(8, 1) + 1, labels)
    answer = paint_mask(person(1.0), truth, labels)
    colors = [mapping["color"] for mapping in answer["labelMappings"].values()]
    assert len(colors) > 200
    assert len(set(colors)) == len(colors)
    assert len(np.unique(decoded(answer, labels))) == len(colors)


@pytest.mark.parametrize(
    "truth",
    [
        {"mask": mask_truth(TRUE_MASK)["mask"], "labels": ["cat"]},
        {"mask": mask_truth(TRUE_MASK)["mask"], "labels": ["cat", "dog", "fish"]},
        {"mask": base64.b64encode(b"no png").decode(), "labels": LABELS},
    ],
)
def test_a_mask_that_the_labels_do_not_explain_is_refused(truth: dict[str, Any]) -> None:
    with pytest.raises(InvalidTruth):
        paint_mask(person(1.0), truth, LABELS)
