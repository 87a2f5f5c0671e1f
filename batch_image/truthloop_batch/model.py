"""The model archive, model.tar.gz: written with the same bytes for the same model, read without pickles."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from truthloop.errors import TruthloopError
from truthloop.manifest import Row
from truthloop_batch import kinds
from truthloop_batch.adapters import create_adapter
from truthloop_batch.adapters.base import Adapter, Artifacts
from truthloop_batch.context import Context
from truthloop_batch.inputs import InputReader

FORMAT = 2
_DOCUMENT = "model.json"
_ARRAYS = "arrays.npz"


class InvalidModel(TruthloopError):
    """A model archive is damaged, or is another campaign's."""


@dataclass(frozen=True)
class Model:
    """A fitted model.

    Attributes
    ----------
    kind
        The label kind that it predicts, see `truthloop_batch.kinds`.
    adapter, artifacts
        What reads rows and predicts, and the arrays that it fitted.
    classes
        The label categories, in the order of the probabilities.
    labels
        How many labelled rows it was fitted to.
    """

    kind: str
    adapter: Adapter
    artifacts: Artifacts
    classes: tuple[str, ...]
    labels: int

    def predict(self, inputs: NDArray[Any]) -> Sequence[Any]:
        """The kind's predictions for inputs [n, …], n >= 1."""
        return self.adapter.predict(self.artifacts, inputs)


def pack_model(model: Model) -> bytes:
    """The archive: `model.json`, which names kind, adapter and classes, and `arrays.npz`."""
    document = {
        "format": FORMAT,
        "kind": model.kind,
        "adapter": model.adapter.name,
        "hyperparameters": asdict(model.adapter),
        "classes": list(model.classes),
        "labels": model.labels,
    }
    arrays = io.BytesIO()
    np.savez(arrays, **dict(sorted(model.artifacts.items())))
    archive = io.BytesIO()
    # Neither the tar members nor the gzip header may carry the time: a retry must write the same bytes.
    with (
        gzip.GzipFile(filename="", fileobj=archive, mode="wb", mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, content in (
            (_DOCUMENT, json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"),
            (_ARRAYS, arrays.getvalue()),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def unpack_model(archive: bytes, name: str) -> Model:
    """The model in an archive; `name` is what the archive is called in errors.

    Raises
    ------
    InvalidModel
        When it is not such an archive.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            contents = {member.name: _content(tar, member) for member in tar if member.isfile()}
            document = json.loads(contents[_DOCUMENT])
            if document["format"] != FORMAT:
                raise InvalidModel(
                    f"{name} has the format {document['format']!r}; allowed: {FORMAT}. Use the program that "
                    "wrote it."
                )
            with np.load(io.BytesIO(contents[_ARRAYS]), allow_pickle=False) as arrays:
                artifacts = {key: arrays[key] for key in arrays.files}
        kind = document["kind"]
        return Model(
            kind,
            create_adapter(document["adapter"], document["hyperparameters"], kind),
            artifacts,
            tuple(document["classes"]),
            int(document["labels"]),
        )
    except (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError, KeyError, ValueError) as error:
        raise InvalidModel(
            f"{name} is not a model archive of this program: {error!r}. Train it again."
        ) from error


def load_model(context: Context, uri: str) -> Model:
    """Read a model archive from S3.

    Raises
    ------
    ObjectNotFound
        When there is none.
    InvalidModel
        When it is damaged, or its label kind or classes are not the campaign's.
    """
    model = unpack_model(context.s3.read_bytes(uri), uri)
    if (model.kind, model.classes) != (context.kind.NAME, context.classes):
        raise InvalidModel(
            f"{uri} predicts {model.kind} of {list(model.classes)}; allowed: the campaign's "
            f"{context.kind.NAME} of {list(context.classes)}. It belongs to another campaign: train again."
        )
    return model


def predict_batches(
    model: Model, reader: InputReader, rows: Iterable[Row]
) -> Iterator[tuple[list[str], Sequence[Any]]]:
    """Predict for rows in their order: (ids, predictions), as many rows at a time as the kind can hold.

    Rows whose object cannot be read are left out, and stand in `reader.unreadable`.
    """
    step = kinds.get(model.kind).ROWS_AT_ONCE
    for batch in reader.batches(rows):
        for start in range(0, len(batch.rows), step):
            part = slice(start, start + step)
            yield batch.ids[part], model.predict(batch.values[part])


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return b"" if file is None else file.read()
