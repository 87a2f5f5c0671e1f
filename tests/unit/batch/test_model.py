"""A model archive gives the same model back, with the same bytes each time, and runs nothing."""

from __future__ import annotations

import io
import pickle
import tarfile
import time

import numpy as np
import pytest

from truthloop_batch.adapters.image_classifier import ImageClassifier
from truthloop_batch.model import InvalidModel, Model, pack_model, unpack_model

INPUTS = np.random.default_rng(1).integers(0, 255, (12, 64), dtype=np.uint8)


def fitted() -> Model:
    adapter = ImageClassifier(image_size=8, landmarks=10)
    artifacts = adapter.fit(INPUTS, np.arange(12) % 3, 4, seed=1)
    return Model("class", adapter, artifacts, ("a", "b", "ü", "d"), 12)


def archive_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def contents(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def test_an_archive_gives_the_same_model_back() -> None:
    model = fitted()
    copy = unpack_model(pack_model(model), "it")
    assert (copy.kind, copy.adapter, copy.classes, copy.labels) == ("class", model.adapter, model.classes, 12)
    np.testing.assert_array_equal(copy.predict(INPUTS), model.predict(INPUTS))


def test_an_archive_has_the_same_bytes_at_another_time() -> None:
    model = fitted()
    first = pack_model(model)
    time.sleep(1.1)  # the times in archives have whole seconds
    assert pack_model(model) == first


class Explosive:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("the archive ran code",))


def test_a_pickle_in_an_archive_is_refused_and_not_run() -> None:
    members = contents(pack_model(fitted()))
    buffer = io.BytesIO()
    np.savez(buffer, centre=np.array([Explosive()], dtype=object))
    for arrays in (buffer.getvalue(), pickle.dumps(Explosive())):
        with pytest.raises(InvalidModel, match="Train it again"):
            unpack_model(archive_of({**members, "arrays.npz": arrays}), "s3://b/model.tar.gz")


@pytest.mark.parametrize(
    "damage",
    [
        lambda archive: b"",
        lambda archive: b"not an archive",
        lambda archive: archive[: len(archive) // 2],
        lambda archive: archive_of({"arrays.npz": contents(archive)["arrays.npz"]}),
        lambda archive: archive_of({"model.json": contents(archive)["model.json"]}),
        lambda archive: archive_of({**contents(archive), "model.json": b"{}"}),
    ],
    ids=["empty", "text", "cut", "no document", "no arrays", "empty document"],
)
def test_a_damaged_archive_is_named(damage: object) -> None:
    with pytest.raises(InvalidModel, match=r"s3://b/model\.tar\.gz"):
        unpack_model(damage(pack_model(fitted())), "s3://b/model.tar.gz")


def test_an_archive_of_a_later_format_is_refused() -> None:
    members = contents(pack_model(fitted()))
    later = members["model.json"].replace(b'"format": 2', b'"format": 3')
    with pytest.raises(InvalidModel, match="format 3; allowed: 2"):
        unpack_model(archive_of({**members, "model.json": later}), "it")
