"""The score shards, Parquet: what the model thinks of each row of the pool, one object per array child."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from truthloop.errors import TruthloopError
from truthloop.s3 import S3Gateway

# `predicted` is -1 where a prediction is no single class; the others are of the whole row.
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("predicted", pa.int16()),
        ("confidence", pa.float32()),
        ("margin", pa.float32()),
        ("entropy", pa.float32()),
    ]
)
BATCH_ROWS = 65_536
_CONTENT_TYPE = "application/vnd.apache.parquet"


class InvalidScores(TruthloopError):
    """An object is not a score shard."""


@dataclass(frozen=True)
class Scores:
    """Some rows of a shard.

    Attributes
    ----------
    ids
        Row ids as bytes [n], so that they sort and compare in numpy.
    margin
        float32 [n], small for unsure rows; see `scores` of the label kind.
    """

    ids: NDArray[np.bytes_]
    margin: NDArray[np.float32]


@dataclass(frozen=True)
class Confidences:
    """Some rows of a shard, with what the model would label them.

    Attributes
    ----------
    ids, margin
        As in `Scores`.
    predicted
        The most probable class, int16 [n]; -1 where a prediction is no single class.
    confidence
        float32 [n], from 0 to 1.
    """

    ids: NDArray[np.bytes_]
    predicted: NDArray[np.int16]
    confidence: NDArray[np.float32]
    margin: NDArray[np.float32]

    def where(self, kept: NDArray[np.bool_]) -> Confidences:
        """The rows that `kept` [n] says."""
        return Confidences(self.ids[kept], self.predicted[kept], self.confidence[kept], self.margin[kept])


def score_table(ids: Sequence[str], columns: Mapping[str, NDArray[Any]]) -> pa.Table:
    """The scores of n rows: the other columns of `SCHEMA`, [n], as a label kind's `scores` gives them."""
    return pa.table({"id": list(ids), **columns}, schema=SCHEMA)


def write_shard(s3: S3Gateway, uri: str, tables: Sequence[pa.Table]) -> bool:
    """Write a shard once, sorted by id; True when this call wrote it. No tables make a shard without rows."""
    table = pa.concat_tables([SCHEMA.empty_table(), *tables]).sort_by("id")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shard.parquet"
        pq.write_table(table, path, row_group_size=BATCH_ROWS)
        return s3.upload_once(path, uri, _CONTENT_TYPE)


def read_shard(s3: S3Gateway, uri: str) -> Iterator[Scores]:
    """Stream the ids and margins of a shard; memory is bounded by `BATCH_ROWS`.

    Raises
    ------
    ObjectNotFound
        When the shard is missing.
    InvalidScores
        When the object is not a shard.
    """
    for ids, margin in _columns(s3, uri, "margin"):
        yield Scores(ids, margin)


def read_confidences(s3: S3Gateway, uri: str) -> Iterator[Confidences]:
    """Like `read_shard`, with the predicted classes and their confidences."""
    for ids, predicted, confidence, margin in _columns(s3, uri, "predicted", "confidence", "margin"):
        yield Confidences(ids, predicted, confidence, margin)


def _columns(s3: S3Gateway, uri: str, *names: str) -> Iterator[tuple[NDArray[Any], ...]]:
    """The ids, and the named columns, of `BATCH_ROWS` rows at a time."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shard.parquet"
        s3.download(uri, path)
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(BATCH_ROWS, columns=["id", *names]):
                    ids = np.array(batch["id"].to_pylist(), dtype="S32")
                    yield ids, *(batch[name].to_numpy(zero_copy_only=False) for name in names)
        except (pa.ArrowInvalid, KeyError) as error:
            raise InvalidScores(
                f"{uri} is not a shard of scores: {error}. Delete it and score again."
            ) from error
