"""Selection takes what its rules say, whatever the shards, the manifest's order and the ties."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from truthloop.errors import UnknownRow
from truthloop.manifest import row_id
from truthloop_batch import scores, selection
from truthloop_batch.context import Context
from truthloop_batch.scores import SCHEMA, Scores
from truthloop_batch.selection import FirstInOrder, smallest_margins


def batch(rows: list[tuple[str, float]]) -> Scores:
    return Scores(np.array([row[0] for row in rows], "S32"), np.array([row[1] for row in rows], np.float32))


POOLS = st.lists(
    # Few different margins, so that ties are the rule.
    st.tuples(st.uuids().map(lambda u: u.hex), st.sampled_from([0.0, 0.125, 0.25, 0.5, 1.0])),
    max_size=40,
    unique_by=lambda row: row[0],
)


@given(POOLS, st.integers(1, 12), st.randoms(use_true_random=False), st.integers(1, 6))
def test_the_smallest_margins_are_those_of_a_full_sort_for_any_batches(
    pool: list[tuple[str, float]], size: int, shuffle: object, parts: int
) -> None:
    expected = sorted(pool, key=lambda row: (row[1], row[0]))[:size]
    shuffled = list(pool)
    shuffle.shuffle(shuffled)
    assert smallest_margins([batch(shuffled[part::parts]) for part in range(parts)], size) == expected


def test_selection_keeps_no_more_than_a_batch_and_what_it_chose() -> None:
    def batches() -> Iterator[Scores]:
        random = np.random.default_rng(1)
        for part in range(100):
            ids = np.array([f"{part:04d}{row:028d}" for row in range(500)], "S32")
            yield Scores(ids, random.random(500, dtype=np.float32))

    tracemalloc.start()
    chosen = smallest_margins(batches(), 100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(chosen) == 100
    # 50,000 ids are 1.6 MB as bytes and several times that as texts.
    assert peak < 0.4e6


@given(st.sets(st.uuids().map(lambda u: u.hex), max_size=40), st.integers(1, 12), st.integers(0, 9))
def test_the_random_order_is_the_seeded_hash_whatever_came_first(ids: set[str], size: int, seed: int) -> None:
    def order(identifier: str) -> str:
        return hashlib.sha256(f"{seed}:{identifier}".encode()).hexdigest()

    for given_order in (sorted(ids), sorted(ids, reverse=True)):
        first = FirstInOrder(size, seed)
        for identifier in given_order:
            first.add(identifier)
        assert first.ids() == sorted(ids, key=order)[:size]


def test_the_random_order_needs_no_memory_for_the_pool() -> None:
    first = FirstInOrder(3, 1)
    for number in range(20_000):
        first.add(f"{number:032x}")
        assert len(first._kept) < 2_000
    assert len(first.ids()) == 3


def in_random_order(ids: set[str], seed: int = 1) -> list[str]:
    return sorted(ids, key=lambda key: hashlib.sha256(f"{seed}:{key}".encode()).hexdigest())


def context_of(world: object, round_number: int) -> Context:
    return Context.open(world.layout.uri, round_number)


def test_round_0_takes_the_seed_set_and_all_held_out_rows(make_world: Callable) -> None:
    world = make_world()
    assert world.run("select", 0) == 0
    pool = {row_id(row) for row in world.master()} - world.held_out()
    seeds = in_random_order(pool)[:20]
    told = world.selection(0)
    assert told == {
        "round": 0,
        "strategy": "margin",
        "to_label": 20 + len(world.held_out()),
        "gold": 0,
        "candidates": len(pool),
        "arms": {"strategy": seeds, "control": seeds},
        "auto": None,
    }
    reasons = {row_id(row): row["truthloop"]["reason"] for row in world.selected(0)}
    assert reasons == {
        **dict.fromkeys(seeds, "seed"),
        **dict.fromkeys(world.splits()["test"], "test"),
        **dict.fromkeys(world.splits()["validation"], "validation"),
    }


def test_a_chosen_row_keeps_its_keys_and_says_why_it_was_chosen(make_world: Callable) -> None:
    world = make_world()
    world.play(0)
    world.score(1)
    world.run("select", 1)
    before = {row_id(row): row for row in world.master()}
    rows = world.selected(1)
    assert [row_id(row) for row in rows] == sorted(row_id(row) for row in rows)
    for row in rows:
        master = before[row_id(row)]
        assert {key: row[key] for key in ("source-ref", "id", "note")} == {
            key: master[key] for key in ("source-ref", "id", "note")
        }
        story = row["truthloop"]
        assert story["round"] == 1
        if story["reason"] == "margin":
            assert 0 <= story["score"] <= 1
            assert story["model"] == world.layout.model_of_arm(0, "strategy")
        else:
            assert story["reason"] == "random-control"
            assert (story["score"], story["model"]) == (None, None)
        (event,) = story["history"]
        assert (event["event"], event["round"], event["job"]) == ("selected", 1, None)
        assert (event["reason"], event["score"]) == (story["reason"], story["score"])
        # The round began when the one before was decided.
        assert event["at"] == world.s3.read_json(world.layout.decision(0))["at"]
        changed = {"round", "reason", "score", "model", "history"}
        assert {k: v for k, v in story.items() if k not in changed} == {
            k: v for k, v in master["truthloop"].items() if k not in changed
        }
    assert {row["truthloop"]["reason"] for row in rows} == {"margin", "random-control"}


def test_the_strategy_takes_the_least_certain_rows_and_the_control_the_next_in_random_order(
    make_world: Callable,
) -> None:
    world = make_world()
    world.play(0, 1)
    world.score(2)
    world.run("select", 2)
    taken = {name: set() for name in ("strategy", "control")}
    for number in (0, 1):
        for name, ids in world.selection(number)["arms"].items():
            assert not taken[name] & set(ids)
            taken[name].update(ids)
    pool = {row_id(row) for row in world.master()} - world.held_out()
    told = world.selection(2)
    assert told["candidates"] == len(pool - taken["strategy"])
    assert told["arms"]["control"] == in_random_order(pool - taken["control"])[:10]
    scored = [
        (float(margin), bytes(key).decode())
        for shard in range(2)
        for part in scores.read_shard(world.s3, world.layout.scores(2, shard))
        for key, margin in zip(part.ids, part.margin, strict=True)
    ]
    assert {identifier for _, identifier in scored} == pool - taken["strategy"]
    assert told["arms"]["strategy"] == [identifier for _, identifier in sorted(scored)[:10]]
    # Both arms are as large as each other after every round.
    assert len(told["arms"]["strategy"]) == len(told["arms"]["control"]) == 10


def test_labelled_rows_of_the_other_arm_join_without_being_labelled_again(make_world: Callable) -> None:
    world = make_world()
    world.play(0)
    world.score(1)
    world.run("select", 1)
    arms = world.selection(1)["arms"]
    # One row that the control takes in round 1 gets its label beforehand, as if the strategy had bought it.
    bought = next(identifier for identifier in arms["control"] if identifier not in arms["strategy"])
    world.update(bought, label=3, truthloop={"labeled_by": "people", "round": 0})
    for uri in (world.layout.selection(1), world.layout.selection_manifest(1)):
        world.delete(uri)
    world.run("select", 1)
    assert bought in world.selection(1)["arms"]["control"]
    assert bought not in {row_id(row) for row in world.selected(1)}
    assert world.selection(1)["to_label"] == len(world.selected(1))


def test_held_out_rows_are_never_chosen_after_round_0(make_world: Callable) -> None:
    world = make_world(images=60)
    world.play(0, 1)
    # One of them lost its label, and another never got one.
    for identifier in sorted(world.held_out())[:2]:
        world.update(identifier, label=None)
    world.play(2, 3)
    for number in (1, 2, 3):
        assert not {row_id(row) for row in world.selected(number)} & world.held_out()
        for ids in world.selection(number)["arms"].values():
            assert not set(ids) & world.held_out()


def test_rows_whose_labelling_failed_are_taken_again_until_the_third_time(make_world: Callable) -> None:
    world = make_world(images=40, selection={"strategy": "margin", "seed_size": 4, "round_size": 100})
    world.run("select", 0)
    unlucky = world.selection(0)["arms"]["strategy"][0]
    world.label(0, fail=lambda row: row_id(row) == unlucky)
    world.run("train", 0)
    for number in (1, 2):
        world.score(number)
        world.run("select", number)
        assert [row["truthloop"]["failures"] for row in world.selected(number) if row_id(row) == unlucky] == [
            number
        ]
        world.label(number, fail=lambda row: row_id(row) == unlucky)
        world.run("train", number)
    world.score(3)
    world.run("select", 3)
    assert world.selection(3) == {
        "round": 3,
        "strategy": "margin",
        "to_label": 0,
        "gold": 0,
        "candidates": 0,
        "arms": {"strategy": [], "control": []},
        "auto": None,
    }
    assert world.selected(3) == []


def test_fewer_candidates_than_asked_are_all_taken(make_world: Callable) -> None:
    world = make_world(images=40)
    world.settings["selection"]["seed_size"] = 20
    world.play(0)
    world.score(1)
    world.run("select", 1)
    told = world.selection(1)
    assert told["candidates"] == 8
    assert len(told["arms"]["strategy"]) == len(told["arms"]["control"]) == 8
    assert told["to_label"] == 8
    # The strategy's reason stands where both arms take a row.
    assert {row["truthloop"]["reason"] for row in world.selected(1)} == {"margin"}


def test_without_a_control_nothing_is_taken_at_random(make_world: Callable) -> None:
    world = make_world(selection={"strategy": "margin", "seed_size": 20, "round_size": 10})
    world.play(0)
    assert world.selection(0)["arms"]["control"] == []
    world.score(1)
    world.run("select", 1)
    assert world.selection(1)["arms"]["control"] == []
    assert world.selection(1)["to_label"] == 10
    assert {row["truthloop"]["model"] for row in world.selected(1)} == {world.layout.model(0)}


def test_the_random_strategy_follows_the_seeded_order_without_scores(make_world: Callable) -> None:
    world = make_world(selection={"strategy": "random", "seed_size": 20, "round_size": 10})
    world.play(0)
    world.run("select", 1)
    pool = {row_id(row) for row in world.master()} - world.held_out()
    assert world.selection(1)["arms"]["strategy"] == in_random_order(pool)[20:30]
    stories = [row["truthloop"] for row in world.selected(1)]
    assert {(story["reason"], story["score"], story["model"]) for story in stories} == {
        ("random", None, None)
    }


def test_rows_labelled_in_the_input_belong_to_both_arms_from_the_start(make_world: Callable) -> None:
    world = make_world(labeled=lambda number: number % 4 == 0)
    world.run("select", 0)
    given = {row_id(row) for row in world.master() if "label" in row}
    assert not given & {row_id(row) for row in world.selected(0)}
    world.label(0)
    world.run("train", 0)
    world.score(1)
    world.run("select", 1)
    assert not given & {identifier for ids in world.selection(1)["arms"].values() for identifier in ids}


@pytest.mark.parametrize("shards", [3, 7])
def test_the_choice_is_the_same_for_any_number_of_shards_and_order_of_the_manifest(
    make_world: Callable, shards: int
) -> None:
    plain = make_world("plain")
    other = make_world("other", scoring={"shards": shards}, reverse=True)
    for world in (plain, other):
        world.play(0, 1)
        world.score(2)
        world.run("select", 2)
    for number in (0, 1, 2):
        assert plain.selection(number) == other.selection(number)
        assert [row_id(row) for row in plain.selected(number)] == [
            row_id(row) for row in other.selected(number)
        ]


def test_another_seed_chooses_another_seed_set(make_world: Callable) -> None:
    chosen = []
    for seed in (1, 2):
        world = make_world(f"seed-{seed}", seed=seed)
        world.run("select", 0)
        chosen.append(set(world.selection(0)["arms"]["strategy"]))
    assert chosen[0] != chosen[1]


def test_a_missing_shard_is_named_and_nothing_is_written(
    make_world: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world()
    world.play(0)
    assert world.run("score", 1, 0) == 0
    assert world.run("select", 1) == 2
    assert "part-00001.parquet" in capsys.readouterr().out
    assert not world.s3.exists(world.layout.selection(1))
    assert not world.s3.exists(world.layout.selection_manifest(1))


def test_scores_of_another_campaign_are_refused(make_world: Callable) -> None:
    world = make_world()
    world.play(0)
    world.decide(0)
    foreign = pa.table(
        {"id": ["f" * 32], "predicted": [1], "confidence": [0.5], "margin": [0.0], "entropy": [1.0]},
        schema=SCHEMA,
    )
    for shard in range(2):
        scores.write_shard(world.s3, world.layout.scores(1, shard), [foreign] if shard == 0 else [])
    with pytest.raises(UnknownRow, match=r"ffff.* belong to another campaign"):
        selection.run(context_of(world, 1))
