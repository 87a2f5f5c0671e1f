"""Score shards hold what the model said, row by row, in a fixed form."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from truthloop.errors import ObjectNotFound
from truthloop_batch import scores
from truthloop_batch.kinds import single_class
from truthloop_batch.scores import SCHEMA, InvalidScores, read_shard, score_table, write_shard

URI = "s3://truthloop-test-data/campaigns/digits/rounds/1/scores/part-00000.parquet"
IDS = ["c" * 32, "a" * 32, "b" * 32]
TABLE = np.array([[0.7, 0.2, 0.1], [0.1, 0.45, 0.45], [0.0, 0.0, 1.0]])


def table_of(rows: slice) -> pa.Table:
    return score_table(IDS[rows], single_class.scores(TABLE[rows]))


def test_a_shard_is_sorted_by_id_and_holds_class_confidence_margin_and_entropy(make_world: Callable) -> None:
    s3 = make_world(images=3).s3
    assert write_shard(s3, URI, [table_of(slice(2)), table_of(slice(2, 3))])
    table = pq.read_table(io.BytesIO(s3.read_bytes(URI)))
    assert table.schema.equals(SCHEMA)
    found = table.to_pydict()
    assert found["id"] == ["a" * 32, "b" * 32, "c" * 32]
    assert found["predicted"] == [1, 2, 0]
    assert found["confidence"] == pytest.approx([0.45, 1.0, 0.7])
    assert found["margin"] == pytest.approx([0.0, 1.0, 0.5])
    assert found["entropy"] == pytest.approx([0.9489, 0.0, 0.8018], abs=1e-4)


def test_the_order_of_the_rows_does_not_change_the_bytes(make_world: Callable) -> None:
    s3 = make_world(images=3).s3
    write_shard(s3, URI, [table_of(slice(3))])
    write_shard(s3, URI + "2", [table_of(slice(None, None, -1))])
    assert s3.read_bytes(URI) == s3.read_bytes(URI + "2")


def test_a_shard_without_rows_is_a_valid_one(make_world: Callable) -> None:
    s3 = make_world(images=3).s3
    assert write_shard(s3, URI, [])
    assert pq.read_table(io.BytesIO(s3.read_bytes(URI))).schema.equals(SCHEMA)
    assert sum(len(batch.ids) for batch in read_shard(s3, URI)) == 0


def test_a_shard_is_written_once(make_world: Callable) -> None:
    s3 = make_world(images=3).s3
    assert write_shard(s3, URI, [table_of(slice(3))])
    assert not write_shard(s3, URI, [])
    assert sum(len(batch.ids) for batch in read_shard(s3, URI)) == 3


def test_a_shard_is_read_in_bounded_batches(make_world: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = make_world(images=3).s3
    monkeypatch.setattr(scores, "BATCH_ROWS", 2)
    write_shard(s3, URI, [table_of(slice(3))])
    batches = list(read_shard(s3, URI))
    assert [len(batch.ids) for batch in batches] == [2, 1]
    assert [bytes(key).decode() for batch in batches for key in batch.ids] == sorted(IDS)
    assert np.concatenate([batch.margin for batch in batches]) == pytest.approx([0.0, 1.0, 0.5])


def test_a_missing_shard_and_another_file_are_named(make_world: Callable) -> None:
    s3 = make_world(images=3).s3
    with pytest.raises(ObjectNotFound, match=r"part-00000\.parquet"):
        list(read_shard(s3, URI))
    s3.write_bytes(URI, b"id,margin\n")
    with pytest.raises(InvalidScores, match=r"part-00000\.parquet"):
        list(read_shard(s3, URI))
