"""Inputs are kept between rounds whatever their type, and a process holds what it uses of them at a time."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from truthloop_batch.adapters.base import UnreadableContent
from truthloop_batch.context import Context
from truthloop_batch.inputs import InputReader, UnreadableObjects

RECORD = np.dtype([("width", "<i4"), ("pixels", "u1", (3, 2))])


@dataclass(frozen=True)
class Echo:
    """Makes an input of a text's first letters; counts how often."""

    name: ClassVar[str] = "echo"
    kind: str = "record"

    def reader(self, fetch: Callable[[str], bytes]) -> Callable[[bytes], NDArray]:
        def read(content: bytes) -> NDArray:
            CALLS.append(content)
            if content.startswith(b"broken"):
                raise UnreadableContent("it is broken")
            if self.kind == "large":
                return np.full(100_000, content[0], np.uint8)
            if self.kind == "vector":
                return np.frombuffer(content[:4].ljust(4), np.uint8).astype(np.float32)
            record = np.zeros((), RECORD)
            record["width"], record["pixels"] = len(content), content[0]
            return record

        return read


CALLS: list[bytes] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    CALLS.clear()


def rows(*texts: str) -> list[dict]:
    return [{"source": each, "truthloop": {"id": each.ljust(32, "0")}} for each in texts]


@pytest.fixture
def context_of(make_world: Callable) -> Callable[[int], Context]:
    world = make_world(images=3)
    return lambda number: Context.open(world.layout.uri, number)


@pytest.mark.parametrize("kind", ["record", "vector"])
def test_kept_inputs_are_read_in_later_rounds_with_the_same_values(
    context_of: Callable[[int], Context], kind: str
) -> None:
    adapter = Echo(kind)
    first = InputReader(context_of(0), adapter, "train")
    fresh = first.read_all(rows("b", "a"), "a test")
    first.keep()
    second = InputReader(context_of(1), adapter, "train")
    mixed = second.read_all(rows("a", "c", "b"), "a test")
    second.keep()
    assert CALLS == [b"b", b"a", b"c"]
    assert mixed.values.dtype == fresh.values.dtype
    np.testing.assert_array_equal(mixed.values[[2, 0]], fresh.values)
    third = InputReader(context_of(2), adapter, "train").read_all(rows("c", "b", "a"), "a test")
    assert len(CALLS) == 3
    np.testing.assert_array_equal(third.values, mixed.values[[1, 2, 0]])
    # Without a shelf all steps' inputs are found; another step's shelf is its own.
    InputReader(context_of(2), adapter).read_all(rows("a", "c"), "a test")
    assert len(CALLS) == 3
    InputReader(context_of(2), adapter, "evaluate").read_all(rows("a"), "a test")
    assert len(CALLS) == 4


def test_another_hyperparameter_finds_none_of_the_kept_inputs(context_of: Callable[[int], Context]) -> None:
    reader = InputReader(context_of(0), Echo("record"), "train")
    reader.read_all(rows("a"), "a test")
    reader.keep()
    InputReader(context_of(1), Echo("vector"), "train").read_all(rows("a"), "a test")
    assert len(CALLS) == 2


def test_a_long_run_holds_no_more_than_a_batch(context_of: Callable[[int], Context]) -> None:
    many = rows(*(f"{number:05d}" for number in range(1_200)))
    tracemalloc.start()
    reader = InputReader(context_of(0), Echo("large"), "score")
    for batch in reader.batches(many):
        assert len(batch.rows) <= 512
        del batch
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # All inputs are 120 MB; a batch is 51 MB, once as single inputs and once as their table.
    assert peak < 112e6
    assert CALLS[0] == b"00000"


def test_too_many_unreadable_rows_are_refused_by_the_share_of_all_that_were_read(
    context_of: Callable[[int], Context],
) -> None:
    good, bad = [f"good{number}" for number in range(9)], ["broken1", "broken2"]
    reader = InputReader(context_of(0), Echo(), "train")
    assert len(reader.read_all(rows(*good, bad[0]), "a test").rows) == 9
    list(reader.batches(rows(bad[1])))
    with pytest.raises(UnreadableObjects, match=r"2 of the 11 objects for measuring cannot be read.*broken"):
        reader.check(11, "measuring")
