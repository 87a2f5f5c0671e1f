"""Rows' contents as model inputs: read by many threads, in order, and kept for the later rounds.

Reading and decoding an object costs milliseconds, and every round needs nearly the same ones again. So each
step keeps the inputs that it decoded, below `inputs/<adapter>/<step>/`, one object per round with what was
new in it; the same step of a later round reads those instead. A kept input is found by the row's id, which
names the object and its version.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from truthloop.errors import AccessRefused, InvalidUri, ObjectNotFound, TruthloopError
from truthloop.manifest import SOURCE, SOURCE_REF, VERSION_ID, Row, row_id
from truthloop.s3 import join_uri
from truthloop_batch.adapters.base import Adapter, UnreadableContent
from truthloop_batch.context import Context
from truthloop_batch.milestones import report

BATCH_ROWS = 512
# Hides S3's latency of tens of milliseconds; more threads only wait for the interpreter. The client's
# connection pool has room for them.
READING_THREADS = 16
# Below this share of readable objects something is wrong with the data or the role, not with single files.
READABLE_SHARE_MINIMUM = 0.9
_NAMED_ROWS = 5
# Of a text's 128 bits in hexadecimal.
_ID_TYPE = "S32"


class UnreadableObjects(TruthloopError):
    """So many objects cannot be read that a result from the rest would mislead."""


@dataclass(frozen=True)
class Unreadable:
    """A row whose content cannot be read, and why."""

    id: str
    source: str
    reason: str


@dataclass(frozen=True)
class Inputs:
    """Rows in their order, and their inputs [len(rows), …]; unreadable rows are left out."""

    rows: list[Row]
    values: NDArray[Any]

    @property
    def ids(self) -> list[str]:
        return [row_id(row) for row in self.rows]


class InputReader:
    """Reads rows as inputs of one adapter.

    Parameters
    ----------
    context, adapter
        Where the rows' objects are, and what turns their content into inputs.
    shelf
        The name of the step whose kept inputs are used and, by `keep`, added to. None uses the kept inputs of
        all steps and adds none.

    Attributes
    ----------
    unreadable
        The rows that could not be read so far. Each was reported as a milestone.
    """

    def __init__(self, context: Context, adapter: Adapter, shelf: str | None = None) -> None:
        self._s3 = context.s3
        self._adapter = adapter
        self._shelf = shelf
        base = join_uri(context.layout.uri, "inputs", _fingerprint(adapter))
        self._prefix = join_uri(base, shelf or "") + ("/" if shelf else "")
        self._part = f"{self._prefix}{context.round:05d}.npz"
        self._ids, self._values = self._kept()
        self._fresh: dict[bytes, NDArray[Any]] = {}
        self.unreadable: list[Unreadable] = []

    def batches(self, rows: Iterable[Row]) -> Iterator[Inputs]:
        """The rows' inputs, `BATCH_ROWS` rows at a time."""
        remaining = iter(rows)
        with ThreadPoolExecutor(READING_THREADS) as threads:
            while batch := list(islice(remaining, BATCH_ROWS)):
                yield self._read_batch(batch, threads)

    def read_all(self, rows: Sequence[Row], purpose: str) -> Inputs:
        """The inputs of rows that a result rests on, such as the training.

        Raises
        ------
        UnreadableObjects
            When less than `READABLE_SHARE_MINIMUM` of the rows can be read; names some of the others.
        """
        before = len(self.unreadable)
        batches = list(self.batches(rows))
        failed = self.unreadable[before:]
        if len(rows) - len(failed) < READABLE_SHARE_MINIMUM * len(rows):
            named = "; ".join(f"{item.source}: {item.reason}" for item in failed[:_NAMED_ROWS])
            raise UnreadableObjects(
                f"{len(failed)} of the {len(rows)} objects for {purpose} cannot be read; allowed: at most "
                f"{1 - READABLE_SHARE_MINIMUM:.0%}. Repair or grant access to them, such as {named}"
            )
        values = [batch.values for batch in batches if len(batch.rows)]
        return Inputs(
            [row for batch in batches for row in batch.rows],
            np.concatenate(values) if values else np.empty((0, 0)),
        )

    def keep(self) -> None:
        """Store what was decoded anew for the same step of later rounds."""
        if self._fresh:
            ids = sorted(self._fresh)
            buffer = io.BytesIO()
            np.savez(buffer, ids=np.array(ids, _ID_TYPE), values=np.stack([self._fresh[key] for key in ids]))
            self._s3.write_bytes_once(self._part, buffer.getvalue())

    def _kept(self) -> tuple[NDArray[np.bytes_], NDArray[Any] | None]:
        parts = []
        for uri in self._s3.list(self._prefix):
            with np.load(io.BytesIO(self._s3.read_bytes(uri)), allow_pickle=False) as part:
                parts.append((part["ids"], part["values"]))
        if not parts:
            return np.empty(0, _ID_TYPE), None
        ids = np.concatenate([part[0] for part in parts])
        order = np.argsort(ids, kind="stable")
        return ids[order], np.concatenate([part[1] for part in parts])[order]

    def _read_batch(self, rows: list[Row], threads: ThreadPoolExecutor) -> Inputs:
        ids = np.array([row_id(row) for row in rows], _ID_TYPE)
        places = np.searchsorted(self._ids, ids)
        found: dict[int, NDArray[Any]] = {}
        missing = []
        for position, place in enumerate(places):
            if self._values is not None and place < len(self._ids) and self._ids[place] == ids[position]:
                found[position] = self._values[place]
            else:
                missing.append(position)
        contents = threads.map(self._read_row, [rows[position] for position in missing])
        for position, content in zip(missing, contents, strict=True):
            if isinstance(content, Unreadable):
                self.unreadable.append(content)
                report("object-unreadable", **asdict(content))
            else:
                found[position] = content
                if self._shelf is not None:
                    self._fresh[bytes(ids[position])] = content
        readable = sorted(found)
        values = np.stack([found[position] for position in readable]) if readable else np.empty((0, 0))
        return Inputs([rows[position] for position in readable], values)

    def _read_row(self, row: Row) -> NDArray[Any] | Unreadable:
        try:
            if SOURCE in row:
                return self._adapter.read(row[SOURCE].encode())
            return self._adapter.read(self._s3.read_bytes(row[SOURCE_REF], row.get(VERSION_ID)))
        # A role that may not list a bucket is refused missing objects too, so refusal is a row's matter.
        except (UnreadableContent, ObjectNotFound, AccessRefused, InvalidUri) as error:
            return Unreadable(row_id(row), row.get(SOURCE_REF, "the row's own text"), str(error))


def _fingerprint(adapter: Adapter) -> str:
    """Names the adapter with all its hyperparameters: another one's inputs may have another shape."""
    hyperparameters = json.dumps(asdict(adapter), sort_keys=True)
    return f"{adapter.name}-{hashlib.sha256(hyperparameters.encode()).hexdigest()[:8]}"
