"""What the model suggests stands in the rows that people are sent, in the form that widgets begin with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from truthloop import task_types
from truthloop.manifest import row_id
from truthloop_batch import selection
from truthloop_batch.context import Context
from truthloop_batch.inputs import InputReader
from truthloop_batch.kinds import mask
from truthloop_batch.model import load_model, predict_batches

SUGGESTING = ("bounding-box", "semantic-segmentation")
OTHERS = ("image-classification", "text-classification", "image-multi-label")


def selected_in_round_1(world: object) -> list[dict]:
    world.play(0)
    world.score(1)
    assert world.run("select", 1) == 0
    rows = world.selected(1)
    assert len(rows) > 10
    return rows


@pytest.mark.parametrize("task_type", SUGGESTING)
def test_boxes_and_masks_are_suggested_from_round_1_on(make_world: Callable, task_type: str) -> None:
    world = make_world(task_type=task_type, images=80)
    world.run("select", 0)
    key = f"{world.attribute}-suggestion"
    assert all(key not in row for row in world.selected(0))
    # Round 2, before which the arms' models differ for the first time.
    world.play(0, 1)
    world.score(2)
    assert world.run("select", 2) == 0
    rows = world.selected(2)
    context = Context.open(world.layout.uri, 2)
    model = load_model(context, world.layout.model(1))
    reader = InputReader(context, model.adapter)
    predictions = {}
    for ids, found in predict_batches(model, reader, rows):
        predictions.update(zip(ids, found, strict=True))
    for row in rows:
        # Both arms' rows have the suggestion of the model of all labels.
        expected = context.kind.suggestion_of(context, row, predictions[row_id(row)])
        assert (row[key], row[f"{key}-metadata"]) == expected
        assert world.attribute not in row
    assert {row["truthloop"]["reason"] for row in rows} == {"margin", "random-control"}


@pytest.mark.parametrize("task_type", SUGGESTING)
def test_the_task_that_a_worker_sees_begins_with_the_suggestion(make_world: Callable, task_type: str) -> None:
    world = make_world(task_type=task_type, images=80)
    rows = selected_in_round_1(world)
    categories = world.settings["label_categories"]
    shown = [
        task_types.get(task_type).task_input(row, categories, world.attribute)["suggestion"] for row in rows
    ]
    assert all(each is not None for each in shown)
    if task_type == "bounding-box":
        boxes = [box for each in shown for box in each]
        assert boxes
        assert all(box["label"] in categories and box["width"] >= 1 for box in boxes)
    else:
        assert {label for each in shown for label in each["labelMappings"]} == set(categories)
        for each in shown:
            drawn = mask.decode_mask(world.s3.read_bytes(each["src"]))
            assert drawn.shape == (96, 96)
            assert set(np.unique(drawn)) - {0} <= set(range(1, 4))


@pytest.mark.parametrize("task_type", OTHERS)
def test_nothing_is_suggested_where_no_widget_can_show_it(make_world: Callable, task_type: str) -> None:
    for row in selected_in_round_1(make_world(task_type=task_type, images=80)):
        assert not [key for key in row if "suggestion" in key]


def test_a_row_that_cannot_be_read_is_sent_without_a_suggestion(make_world: Callable) -> None:
    world = make_world(
        task_type="bounding-box",
        images=80,
        selection={"strategy": "random", "seed_size": 20, "round_size": 12},
    )
    world.play(0)
    world.decide(0)
    context = Context.open(world.layout.uri, 1)
    chosen = sorted(selection.rows_to_label(context, selection.choose(context).choices), key=row_id)
    assert len(chosen) == 12
    for broken in (chosen[0], chosen[5], chosen[11]):
        world.s3.write_bytes(broken["source-ref"], b"no image")
    assert world.run("select", 1) == 0
    rows = world.selected(1)
    assert [row_id(row) for row in rows] == [row_id(row) for row in chosen]
    without = [number for number, row in enumerate(rows) if "label-suggestion" not in row]
    assert without == [0, 5, 11]


def test_a_suggestion_that_would_make_the_line_too_long_is_left_out(
    make_world: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(task_type="bounding-box", images=80)
    world.play(0)
    world.score(1)
    monkeypatch.setattr(selection, "LINE_CHARACTERS_MAXIMUM", selection.LINE_CHARACTERS_RESERVED + 300)
    assert world.run("select", 1) == 0
    rows = world.selected(1)
    assert rows
    assert all("label-suggestion" not in row for row in rows)


def test_the_training_finds_what_the_selection_read(
    make_world: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(task_type="bounding-box", images=80)
    selected_in_round_1(world)
    world.label(1)
    read = []
    original = InputReader._read_row
    monkeypatch.setattr(
        InputReader, "_read_row", lambda self, row: (read.append(row_id(row)), original(self, row))[1]
    )
    assert world.run("train", 1) == 0
    assert read == []
