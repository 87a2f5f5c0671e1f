"""The demo's objects are what they say they are, with their truth apart, and the same for a seed."""

from __future__ import annotations

import base64
import io
import json
import random
from typing import Any

import numpy as np
import pytest
from PIL import Image

from labeling_engine.simulated_answers import ELEMENTS, Person
from truthloop import task_types
from truthloop.consolidation.boxes import Box
from truthloop.labels import BOXES, CLASS, CLASSES, KINDS, MASK
from truthloop_cli import demo_data
from truthloop_cli.demo_data.agreement import agreement, label_of
from truthloop_cli.demo_data.mistakes import Labels, mistaken, planted

TASKS = demo_data.tasks()
IMAGES = [task for task in TASKS if task_types.get(task).SOURCE_KEY == "source-ref"]
MADE = [task for task in TASKS if task != "image-classification"]


def made(task: str, size: int = 60, seed: int = 1) -> demo_data.DemoData:
    return demo_data.make(task, "bucket", size, seed)


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def mask_of(truth: dict[str, Any]) -> Any:
    return np.array(opened(base64.b64decode(truth["mask"])))


def test_every_task_type_has_a_demo() -> None:
    assert set(TASKS) == set(task_types.names())
    assert {task_types.get(task).LABEL_KIND for task in TASKS} == set(KINDS)


@pytest.mark.parametrize("task", TASKS)
def test_rows_are_unlabelled_and_each_has_its_truth_apart(task: str) -> None:
    data = made(task)
    rows = [json.loads(line) for line in data.manifest.splitlines()]
    key = task_types.get(task).SOURCE_KEY
    assert len({row[key] for row in rows}) == 60
    assert {row[key] for row in rows} == set(data.truth)
    assert not any(data.plan.label_attribute in row for row in rows)
    # Something of the customer's own that has to come back untouched.
    assert all(len(row) == 2 for row in rows)


@pytest.mark.parametrize("task", IMAGES)
def test_pictures_are_png_files_of_a_size_for_people(task: str) -> None:
    data = made(task)
    assert {f"s3://bucket/{key}" for key in data.images} == set(data.truth)
    for content in data.images.values():
        with opened(content) as image:
            assert image.format == "PNG"
            assert 64 <= min(image.size) <= max(image.size) <= 160
            # Not one flat colour.
            assert max(high - low for low, high in np.atleast_2d(image.getextrema())) > 60


@pytest.mark.parametrize("task", MADE)
def test_the_same_seed_makes_the_same_objects_and_another_one_others(task: str) -> None:
    first, again, other = made(task), made(task), made(task, seed=2)
    assert (first.images, first.manifest, first.truth) == (again.images, again.manifest, again.truth)
    sources = [json.loads(line).get("source") for line in first.manifest.splitlines()]
    if any(sources):
        assert set(first.truth) != set(other.truth)
    else:
        assert not set(first.images.values()) & set(other.images.values())


@pytest.mark.parametrize("task", TASKS)
def test_a_larger_demo_begins_with_the_objects_of_a_smaller_one(task: str) -> None:
    small, large = made(task, 60), made(task, 70)
    assert large.manifest.startswith(small.manifest)
    assert small.images.items() <= large.images.items()


@pytest.mark.parametrize("task", TASKS)
def test_every_label_occurs_and_none_drowns_the_others(task: str) -> None:
    data, kind = made(task, 120), task_types.get(task).LABEL_KIND
    labels = data.plan.label_categories
    counted = dict.fromkeys(labels, 0)
    for truth in data.truth.values():
        if kind == CLASS:
            present = {truth}
        elif kind == CLASSES:
            present = set(truth)
        elif kind == BOXES:
            present = {box["label"] for box in truth["boxes"]}
        else:
            present = {truth["labels"][number - 1] for number in np.unique(mask_of(truth)) if number}
        for label in present:
            counted[label] += 1
    assert min(counted.values()) >= 5, counted
    if kind != BOXES:
        assert max(counted.values()) < 115 or kind == MASK, counted


@pytest.mark.parametrize("size", [59, 5000])
@pytest.mark.parametrize("task", TASKS)
def test_a_number_of_objects_that_there_are_not_is_refused(task: str, size: int) -> None:
    sizes = demo_data.plan_of(task).sizes
    with pytest.raises(demo_data.InvalidSize, match=rf"size is {size}.*{sizes.least} to {sizes.most}"):
        made(task, size)


def test_the_digits_are_dark_ink_on_white_paper() -> None:
    data = made("image-classification")
    assert set(data.truth.values()) == set(data.plan.label_categories)
    with opened(data.images["digits/0000.png"]) as image:
        assert image.getpixel((0, 0)) > 200
        assert image.getextrema()[0] < 40


def test_messages_are_in_both_languages_and_share_their_words_between_the_topics() -> None:
    data = made("text-classification", 600)
    languages = {json.loads(line)["ticket"]["language"] for line in data.manifest.splitlines()}
    assert languages == {"en", "ja"}
    words: dict[str, set[str]] = {}
    for text, topic in data.truth.items():
        words.setdefault(topic, set()).update(text.lower().split())
    first, *others = words.values()
    assert len(first.intersection(*others)) > 50
    assert not any(mark in text for text in data.truth for mark in "{}|()")


def test_the_boxes_of_faces_lie_in_the_picture_around_what_was_drawn() -> None:
    data = made("bounding-box", 200)
    numbers = set()
    for source, truth in data.truth.items():
        numbers.add(len(truth["boxes"]))
        with opened(data.images[source.removeprefix("s3://bucket/")]) as image:
            assert image.size == (truth["width"], truth["height"])
        for box in truth["boxes"]:
            assert 0 <= box["left"] < box["left"] + box["width"] <= truth["width"]
            assert 0 <= box["top"] < box["top"] + box["height"] <= truth["height"]
            # Large enough for a person to draw around.
            assert min(box["width"], box["height"]) >= 2
    assert min(numbers) < 4 < max(numbers)


def test_what_a_box_holds_differs_from_its_neighbourhood() -> None:
    data = made("bounding-box", 60)
    differences = []
    for source, truth in data.truth.items():
        with opened(data.images[source.removeprefix("s3://bucket/")]) as image:
            pixels = np.asarray(image.convert("RGB"), float)
        for box in truth["boxes"]:
            if box["label"] == "mouth":
                columns = slice(box["left"], box["left"] + box["width"])
                inside = pixels[box["top"] : box["top"] + box["height"], columns]
                above = pixels[box["top"] - 4 : box["top"] - 1, columns]
                differences.append(np.abs(inside.mean((0, 1)) - above.mean((0, 1))).max())
    assert len(differences) > 30
    assert np.median(differences) > 20


def test_the_masks_of_cells_have_the_size_of_their_pictures_and_follow_the_colours() -> None:
    data = made("semantic-segmentation")
    darker = []
    for source, truth in data.truth.items():
        indices = mask_of(truth)
        with opened(data.images[source.removeprefix("s3://bucket/")]) as image:
            assert indices.shape == image.size[::-1]
            grey = np.asarray(image.convert("L"), float)
        assert indices.max() <= len(truth["labels"])
        cell, nucleus = (indices == truth["labels"].index(name) + 1 for name in ("cell", "nucleus"))
        if cell.any() and nucleus.any():
            darker.append(grey[nucleus].mean() < grey[cell].mean())
    assert len(darker) > 30
    assert np.mean(darker) > 0.9


def test_what_a_postcard_hides_is_not_in_its_truth() -> None:
    from PIL import ImageDraw

    from truthloop_cli.demo_data.postcards import _Visible

    image = Image.new("RGB", (30, 30))
    draw = ImageDraw.Draw(image)
    visible = _Visible(image)
    visible.draw("sun", lambda: draw.rectangle((0, 0, 9, 9), fill="yellow"))
    visible.draw("boat", lambda: draw.rectangle((20, 0, 29, 9), fill="red"))
    visible.draw(None, lambda: draw.rectangle((0, 0, 7, 9), fill="green"))
    assert not visible.shows("sun")
    assert visible.shows("boat")


# ---- how far labels agree with the truth -------------------------------------------------------------------


LABELS = ["a", "b"]
BOX = {"label": "b", "left": 10, "top": 10, "width": 20, "height": 20}
SCENE = {"width": 50, "height": 50, "boxes": [BOX]}


def test_the_truth_agrees_with_itself_and_no_label_with_nothing() -> None:
    for task in TASKS:
        data, kind = made(task), task_types.get(task).LABEL_KIND
        labels = data.plan.label_categories
        (tag,) = {
            CLASS: [None],
            CLASSES: ["crowd-image-classifier-multi-select"],
            BOXES: ["crowd-bounding-box"],
            MASK: ["crowd-semantic-segmentation"],
        }[kind]
        for truth in list(data.truth.values())[:5]:
            if kind == CLASS:
                perfect: Any = labels.index(truth)
            elif kind == CLASSES:
                perfect = {labels.index(each) for each in ELEMENTS[tag](Person(1.0), truth, labels)["labels"]}
            elif kind == BOXES:
                perfect = [
                    Box(labels.index(box["label"]), box["left"], box["top"], box["width"], box["height"])
                    for box in truth["boxes"]
                ]
            else:
                perfect = mask_of(truth)
            assert agreement(kind, truth, perfect, labels) == 1
            assert agreement(kind, truth, None, labels) == 0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], 0.0),
        ([Box(1, 10, 10, 20, 20), Box(1, 30, 30, 5, 5)], 2 / 3),
        ([Box(0, 10, 10, 20, 20)], 0.0),
        ([Box(1, 10, 10, 20, 10)], 1.0),
        ([Box(1, 10, 10, 20, 9)], 0.0),
        # Of two boxes on one object one is right.
        ([Box(1, 10, 10, 20, 20), Box(1, 10, 10, 20, 19)], 2 / 3),
    ],
)
def test_boxes_agree_by_class_and_overlap(given: list[Box], expected: float) -> None:
    assert agreement(BOXES, SCENE, given, LABELS) == pytest.approx(expected)


def test_masks_agree_by_the_overlap_of_each_label() -> None:
    true = np.zeros((4, 4), np.uint8)
    true[:2] = 1
    buffer = io.BytesIO()
    Image.fromarray(true).save(buffer, "PNG")
    # The truth numbers its labels in an order of its own.
    truth = {"mask": base64.b64encode(buffer.getvalue()).decode(), "labels": ["b", "a"]}
    given = np.zeros((4, 4), np.uint8)
    given[:3] = 2
    assert agreement(MASK, truth, given, LABELS) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (CLASS, 1, 1),
        (CLASSES, [0, 1], {0, 1}),
        (BOXES, {"annotations": [{**BOX, "class_id": 1}]}, [Box(1, 10, 10, 20, 20)]),
    ],
)
def test_labels_are_read_from_rows(kind: str, value: Any, expected: Any) -> None:
    assert label_of(kind, {"label": value}, "label", lambda _: b"") == expected
    assert label_of(kind, {}, "label", lambda _: b"") is None


def as_label(kind: str, told: Any, labels: list[str]) -> Any:
    """A truth as `agreement` takes a label."""
    if kind == CLASS:
        return labels.index(told)
    if kind == CLASSES:
        return frozenset(map(labels.index, told))
    if kind == BOXES:
        sides = ("left", "top", "width", "height")
        return [Box(labels.index(box["label"]), *(box[side] for side in sides)) for box in told["boxes"]]
    return np.array([0, *(labels.index(label) + 1 for label in told["labels"])])[mask_of(told)]


@pytest.mark.parametrize("task", TASKS)
def test_a_tenth_of_the_objects_is_planted_with_mistakes_that_an_auditor_calls_wrong(task: str) -> None:
    data, kind = made(task), task_types.get(task).LABEL_KIND
    labels = data.plan.label_categories
    wrong = planted(data, kind, 1)
    assert wrong == planted(data, kind, 1)
    assert wrong != planted(data, kind, 2)
    assert len(wrong) == 6
    judge = Labels(data, kind, lambda uri: b"")
    for source, told in wrong.items():
        # Auditors accept what agrees so far with the truth.
        assert agreement(kind, data.truth[source], as_label(kind, told, labels), labels) < judge.right_from


def test_a_mistake_about_several_labels_changes_one_of_them() -> None:
    draw = random.Random(1)  # noqa: S311
    assert mistaken(CLASSES, ["a"], ["a", "b"], draw) == []
    assert mistaken(CLASSES, [], ["a", "b"], draw) in (["a"], ["b"])


def test_rows_are_told_right_from_wrong_and_those_without_a_label_are_left_out() -> None:
    data = made("image-classification")
    (first, truth), (second, other), (third, _) = list(data.truth.items())[:3]
    labels = data.plan.label_categories
    rows = [
        {"source-ref": first, "digit": labels.index(truth)},
        {"source-ref": second, "digit": (labels.index(other) + 1) % len(labels)},
        {"source-ref": third},
        {"source-ref": "s3://elsewhere/gold.png", "digit": 1},
    ]
    assert Labels(data, CLASS, lambda uri: b"").wrong(rows) == {first: False, second: True}
