"""Gold items go into the jobs in turn, without their labels, and nothing gives them away."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from truthloop import gold, task_types
from truthloop.manifest import encode_row, row_id
from truthloop_batch.selection import gold_items
from unit.batch.conftest import BUCKET, MATERIALS

GOLD: dict[str, Any] = {"manifest_uri": f"s3://{BUCKET}/gold.manifest", "share": 0.25}


def with_gold(world: Any, items: int, task_type: str = "image-classification", first: int = 300) -> list[str]:
    """Freeze gold items, which are other objects than the campaign's; their ids."""
    material, rows = MATERIALS[task_type], []
    for number in range(first, first + items):
        content, label = material.row(world.s3, number)
        metadata = {f"{material.attribute}-metadata": {"class-name": "known", "human-annotated": "yes"}}
        row = {**content, "id": f"user-{number}", "note": {"kept": True}, **label, **metadata}
        rows.append({**row, "truthloop": {"id": gold.gold_id(row), "gold": True}})
    rows.sort(key=row_id)
    world.s3.write_lines_once(world.layout.gold_manifest(), map(encode_row, rows))
    return [row_id(row) for row in rows]


def sent(world: Any, number: int) -> list[str]:
    return [row_id(row) for row in world.selected(number) if row["truthloop"].get("gold")]


def label_the_others(world: Any, number: int) -> None:
    """People label the campaign's rows; what they say of gold items stays out of the manifest."""
    updates = [row for row in world.selected(number) if not row["truthloop"].get("gold")]
    for row in updates:
        world.update(row_id(row), **world.truth[row_id(row)], truthloop={"labeled_by": "people"})


def play(world: Any, rounds: int) -> None:
    for number in range(rounds):
        if number:
            world.score(number)
        assert world.run("select", number) == 0
        label_the_others(world, number)
        assert world.run("train", number) == 0
        assert world.run("evaluate", number) == 0


def test_a_share_of_the_rows_to_label_is_added_as_gold_items_rounded_up(make_world: Callable) -> None:
    world = make_world(gold=GOLD)
    known = with_gold(world, 40)
    play(world, 1)
    told = world.selection(0)
    assert told["to_label"] == 20 + len(world.held_out()) == 56
    assert told["gold"] == len(sent(world, 0)) == 14
    assert len(world.selected(0)) == 70
    assert set(sent(world, 0)) <= set(known)
    # Arms and candidates know nothing of them.
    assert not set(known) & {identifier for ids in told["arms"].values() for identifier in ids}
    assert told["candidates"] == 84


@pytest.mark.parametrize(
    ("share", "to_label", "expected"),
    # 0.07 * 100 is more than 7 in floating point.
    [(0.05, 20, 1), (0.05, 21, 2), (0.07, 100, 7), (0.5, 3, 2), (0.5, 1000, 40), (0.05, 0, 0)],
)
def test_gold_items_are_as_many_as_the_share_says_and_as_there_are(
    make_world: Callable, share: float, to_label: int, expected: int
) -> None:
    from truthloop_batch.context import Context

    world = make_world(gold={**GOLD, "share": share})
    with_gold(world, 40)
    items = gold_items(Context.open(world.layout.uri, 0), to_label)
    assert len(items) == len({row_id(item) for item in items}) == expected


def test_a_gold_item_carries_its_object_and_no_label(make_world: Callable) -> None:
    world = make_world(gold=GOLD)
    with_gold(world, 40)
    assert world.run("select", 0) == 0
    frozen = {row_id(row): row for row in gold.read(world.s3, world.layout)}
    items = [row for row in world.selected(0) if gold.is_gold(row)]
    assert items
    for item in items:
        known = frozen[row_id(item)]
        kept = {key: known[key] for key in ("source-ref", "id", "note")}
        told = {"id": row_id(item), "gold": True, "round": 0, "reason": "gold"}
        assert item == {**kept, "truthloop": told}
        assert "label" in known


def test_the_place_in_the_job_tells_nothing(make_world: Callable) -> None:
    world = make_world(gold=GOLD)
    with_gold(world, 40)
    assert world.run("select", 0) == 0
    ids = [row_id(row) for row in world.selected(0)]
    assert ids == sorted(ids)
    places = [place for place, row in enumerate(world.selected(0)) if gold.is_gold(row)]
    # Neither all in front nor all behind.
    assert places[0] < 35 < places[-1]


def test_the_rounds_take_the_gold_items_in_turn_and_begin_again(make_world: Callable) -> None:
    world = make_world(gold={**GOLD, "share": 0.15})
    known = with_gold(world, 12)
    play(world, 4)
    numbers = [world.selection(number)["gold"] for number in range(4)]
    assert numbers[0] == 9
    assert all(number > 0 for number in numbers)
    assert sum(numbers) > 12
    order: list[str] = []
    for number in range(4):
        found = sent(world, number)
        assert len(found) == len(set(found)) == numbers[number]
        order += sorted(found, key=lambda identifier: (identifier in order,))
    # Nobody comes a second time before all came once.
    assert set(order[:12]) == set(known)
    other = make_world("other", gold={**GOLD, "share": 0.15}, seed=2)
    with_gold(other, 12)
    assert other.run("select", 0) == 0
    assert set(sent(other, 0)) != set(sent(world, 0))


def test_a_job_that_is_smaller_than_the_gold_set_has_no_item_twice_and_nothing_to_label_sends_none(
    make_world: Callable,
) -> None:
    world = make_world(images=40, gold={**GOLD, "share": 0.5}, selection={"seed_size": 30, "round_size": 5})
    with_gold(world, 3)
    play(world, 1)
    assert world.selection(0)["gold"] == 3
    world.score(1)
    assert world.run("select", 1) == 0
    assert (world.selection(1)["to_label"], world.selection(1)["gold"]) == (0, 0)
    assert world.selected(1) == []


@pytest.mark.parametrize("task_type", ["bounding-box", "semantic-segmentation"])
def test_gold_items_have_the_models_suggestion_like_all_others(make_world: Callable, task_type: str) -> None:
    world = make_world(task_type=task_type, images=60, gold=GOLD)
    with_gold(world, 8, task_type)
    play(world, 1)
    world.score(1)
    assert world.run("select", 1) == 0
    rows = world.selected(1)
    assert any(gold.is_gold(row) for row in rows)
    key = f"{world.attribute}-suggestion"
    assert all(key in row and f"{key}-metadata" in row for row in rows)
    # What a worker sees of them has the same keys.
    categories = world.settings["label_categories"]
    shown = {tuple(task_types.get(task_type).task_input(row, categories, world.attribute)) for row in rows}
    assert len(shown) == 1
    # What the training finds in the manifest is not changed by what was read for them.
    label_the_others(world, 1)
    assert world.run("train", 1) == 0
    trained = {row_id(json.loads(line)) for _, line in world.s3.lines(world.layout.train_manifest(1))}
    assert not trained & {row_id(row) for row in gold.read(world.s3, world.layout)}


def test_a_lost_selection_is_written_again_with_the_same_gold_items(make_world: Callable) -> None:
    world = make_world(gold=GOLD)
    with_gold(world, 40)
    play(world, 1)
    world.score(1)
    assert world.run("select", 1) == 0
    before = world.digests()
    for uri in (world.layout.selection(1), world.layout.selection_manifest(1)):
        world.delete(uri)
    assert world.run("select", 1) == 0
    assert world.digests() == before


def test_without_a_gold_manifest_none_is_looked_for(make_world: Callable) -> None:
    world = make_world()
    assert world.run("select", 0) == 0
    assert world.selection(0)["gold"] == 0
    assert not sent(world, 0)
