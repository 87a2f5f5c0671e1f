"""Rows' contents as model inputs: read by many threads, in order, and kept for the later rounds.

Reading and decoding an object costs milliseconds, and every round needs nearly the same ones again. So each
step keeps the inputs that it decoded, below `inputs/<adapter>/<step>/`, one object per round with what was
new in it; the same step of a later round reads those instead. A kept input is found by the row's id, which
names the object and its version. Kept inputs are files that are mapped into memory, so a process holds
what it uses of them at a time.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

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
        self._read = adapter.reader(context.s3.read_bytes)
        self._shelf = shelf
        base = join_uri(context.layout.uri, "inputs", _fingerprint(adapter))
        self._prefix = join_uri(base, shelf or "") + ("/" if shelf else "")
        self._part = f"{self._prefix}{context.round:05d}.npy"
        self._folder = tempfile.TemporaryDirectory()
        self._shelved = _Shelf(self._download())
        self._fresh: _NewPart | None = None
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
        batches = list(self.batches(rows))
        self.check(len(rows), purpose)
        values = [batch.values for batch in batches if len(batch.rows)]
        return Inputs(
            [row for batch in batches for row in batch.rows],
            np.concatenate(values) if values else np.empty((0, 0)),
        )

    def check(self, rows: int, purpose: str) -> None:
        """Refuse a result from too few of the `rows` rows that were read so far; see `read_all`."""
        failed = self.unreadable
        if rows - len(failed) < READABLE_SHARE_MINIMUM * rows:
            named = "; ".join(f"{item.source}: {item.reason}" for item in failed[:_NAMED_ROWS])
            raise UnreadableObjects(
                f"{len(failed)} of the {rows} objects for {purpose} cannot be read; allowed: at most "
                f"{1 - READABLE_SHARE_MINIMUM:.0%}. Repair or grant access to them, such as {named}"
            )

    def keep(self) -> None:
        """Store what was decoded anew for the same step of later rounds."""
        if self._fresh is not None:
            with self._fresh.file() as file:
                self._s3.write_file_once(self._part, file, "application/octet-stream")

    def _download(self) -> Iterator[Path]:
        for number, uri in enumerate(self._s3.list(self._prefix)):
            path = Path(self._folder.name) / f"kept-{number}"
            self._s3.download(uri, path)
            yield path

    def _read_batch(self, rows: list[Row], threads: ThreadPoolExecutor) -> Inputs:
        ids = [row_id(row).encode() for row in rows]
        found: dict[int, NDArray[Any]] = {}
        missing = []
        for position, identifier in enumerate(ids):
            kept = self._shelved.find(identifier)
            if kept is None:
                missing.append(position)
            else:
                found[position] = kept
        contents = threads.map(self._read_row, [rows[position] for position in missing])
        for position, content in zip(missing, contents, strict=True):
            if isinstance(content, Unreadable):
                self.unreadable.append(content)
                report("object-unreadable", **asdict(content))
            else:
                found[position] = content
                if self._shelf is not None:
                    if self._fresh is None:
                        self._fresh = _NewPart(Path(self._folder.name), content)
                    self._fresh.add(ids[position], content)
        readable = sorted(found)
        values = np.stack([found[position] for position in readable]) if readable else np.empty((0, 0))
        return Inputs([rows[position] for position in readable], values)

    def _read_row(self, row: Row) -> NDArray[Any] | Unreadable:
        try:
            if SOURCE in row:
                return self._read(row[SOURCE].encode())
            return self._read(self._s3.read_bytes(row[SOURCE_REF], row.get(VERSION_ID)))
        # A role that may not list a bucket is refused missing objects too, so refusal is a row's matter.
        except (UnreadableContent, ObjectNotFound, AccessRefused, InvalidUri) as error:
            return Unreadable(row_id(row), row.get(SOURCE_REF, "the row's own text"), str(error))


class _Shelf:
    """The inputs of kept parts, by row id; the values stay in the files until they are asked for."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._places: dict[bytes, tuple[NDArray[Any], int]] = {}
        for path in paths:
            with path.open("rb") as file:
                ids = np.load(file, allow_pickle=False)
                values = _mapped(path, file)
            self._places.update((bytes(key), (values, number)) for number, key in enumerate(ids))

    def find(self, identifier: bytes) -> NDArray[Any] | None:
        """A copy of the row's input, None when it isn't kept."""
        if identifier not in self._places:
            return None
        values, number = self._places[identifier]
        return np.array(values[number])


class _NewPart:
    """Inputs on their way into a part: the ids in memory, the values in a file.

    A part is two arrays in the format of numpy one after the other: ids [n], inputs [n, …].
    """

    def __init__(self, folder: Path, first: NDArray[Any]) -> None:
        self._folder = folder
        self._shape, self._type = first.shape, first.dtype
        self._ids: list[bytes] = []
        self._values: IO[bytes] = (folder / "values").open("w+b")

    def add(self, identifier: bytes, value: NDArray[Any]) -> None:
        self._ids.append(identifier)
        self._values.write(np.ascontiguousarray(value).tobytes())

    def file(self) -> IO[bytes]:
        """The part, from its beginning."""
        part = (self._folder / "part").open("w+b")
        np.save(part, np.array(self._ids, _ID_TYPE))
        header = np.lib.format.header_data_from_array_1_0(np.empty((0, *self._shape), self._type))
        np.lib.format.write_array_header_1_0(part, {**header, "shape": (len(self._ids), *self._shape)})
        self._values.seek(0)
        shutil.copyfileobj(self._values, part)
        part.seek(0)
        return part


def _mapped(path: Path, file: IO[bytes]) -> NDArray[Any]:
    """The array in the format of numpy that begins at the position of an open file."""
    np.lib.format.read_magic(file)
    shape, _, kind = np.lib.format.read_array_header_1_0(file)
    return np.memmap(path, kind, "r", file.tell(), shape)


def _fingerprint(adapter: Adapter) -> str:
    """Names the adapter with all its hyperparameters: another one's inputs may have another shape."""
    hyperparameters = json.dumps(asdict(adapter), sort_keys=True)
    return f"{adapter.name}-{hashlib.sha256(hyperparameters.encode()).hexdigest()[:8]}"
