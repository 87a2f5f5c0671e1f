"""Small campaigns of every label kind in a simulated S3, for the steps of the Batch program."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError
from hypothesis import settings as hypothesis_settings
from moto import mock_aws
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression  # noqa: F401  (loads the libraries that are limited)
from threadpoolctl import threadpool_limits

from truthloop import aws
from truthloop.campaign import Campaign, InputManifest
from truthloop.consolidation.masks import palette_png
from truthloop.layout import CampaignLayout
from truthloop.manifest import encode_row, merge_into, read_master, row_id, with_provenance
from truthloop.prices import Prices
from truthloop.request import parse_request
from truthloop.s3 import S3Gateway
from truthloop.splits import candidate, draw
from truthloop_batch.__main__ import main
from unit.batch.made_data import SHAPES, TOPICS, Scene, scene, text

BUCKET = "truthloop-test-data"

# A busy machine is no reason to fail.
hypothesis_settings.register_profile("no-deadline", deadline=None)
hypothesis_settings.load_profile("no-deadline")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """The program runs its linear algebra in one thread; numpy is imported here before it can say so."""
    with threadpool_limits(1):
        yield


@cache
def digit_images() -> tuple[list[bytes], list[int]]:
    """The first digits as PNG files of 64 x 64 pixels, and what they show."""
    digits = load_digits()
    files = []
    for values in digits.images[:900]:
        image = Image.fromarray(np.uint8(values * 255 / 16)).resize((64, 64), Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        files.append(buffer.getvalue())
    return files, [int(digit) for digit in digits.target]


@pytest.fixture(scope="session")
def digits() -> tuple[list[bytes], list[int]]:
    return digit_images()


def digit_row(s3: S3Gateway, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """A row's content and its label, with the object that it names in S3; so are the further ones."""
    files, digits = digit_images()
    uri = f"s3://{BUCKET}/images/{number:04d}.png"
    s3.write_bytes(uri, files[number], "image/png")
    return {"source-ref": uri}, {"label": digits[number]}


def text_row(s3: S3Gateway, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    topic = number * 7 % 3
    content = text(number, topic, japanese=number % 2 == 1)
    return {"source": f"{content} ({number})"}, {"label": topic}


def scene_row(
    label_of: Callable[[S3Gateway, int, Scene], dict[str, Any]], s3: S3Gateway, number: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    made = scene(number)
    uri = f"s3://{BUCKET}/scenes/{number:04d}.png"
    s3.write_bytes(uri, made.png, "image/png")
    return {"source-ref": uri}, label_of(s3, number, made)


def tags_of(s3: S3Gateway, number: int, made: Scene) -> dict[str, Any]:
    return {"label": sorted({box[0] for box in made.boxes})}


def boxes_of(s3: S3Gateway, number: int, made: Scene) -> dict[str, Any]:
    sides = ("class_id", "left", "top", "width", "height")
    return {
        "label": {
            "image_size": [{"width": 96, "height": 96, "depth": 3}],
            "annotations": [dict(zip(sides, box, strict=True)) for box in made.boxes],
        },
        "label-metadata": {"objects": [{"confidence": 0.9}] * len(made.boxes)},
    }


def mask_of(s3: S3Gateway, number: int, made: Scene) -> dict[str, Any]:
    uri = f"s3://{BUCKET}/truth/{number:04d}.png"
    s3.write_bytes(uri, palette_png(made.mask), "image/png")
    return {"mask-ref": uri}


@dataclass(frozen=True)
class Material:
    """What the rows of a task type are made of."""

    row: Callable[[S3Gateway, int], tuple[dict[str, Any], dict[str, Any]]]
    categories: tuple[str, ...]
    attribute: str = "label"
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)


# A fifth of the default's time.
QUICK = {"image_size": 64, "pixels": 5_000, "epochs": 10}

MATERIALS = {
    "image-classification": Material(digit_row, tuple(str(digit) for digit in range(10))),
    "text-classification": Material(text_row, TOPICS),
    "image-multi-label": Material(partial(scene_row, tags_of), SHAPES),
    "bounding-box": Material(partial(scene_row, boxes_of), SHAPES, hyperparameters=QUICK),
    "semantic-segmentation": Material(partial(scene_row, mask_of), SHAPES, "mask-ref", QUICK),
}


@dataclass
class World:
    """One campaign, whose labels people give without a labelling job."""

    s3: S3Gateway
    layout: CampaignLayout
    monkeypatch: pytest.MonkeyPatch
    truth: Mapping[str, Mapping[str, Any]]
    settings: dict[str, Any]

    def run(self, subcommand: str, round_number: int, index: int | None = None) -> int:
        """One subcommand in this process, as a Batch job would start it."""
        if subcommand == "select" and round_number > 0:
            self.decide(round_number - 1)
        if index is None:
            self.monkeypatch.delenv("AWS_BATCH_JOB_ARRAY_INDEX", raising=False)
        else:
            self.monkeypatch.setenv("AWS_BATCH_JOB_ARRAY_INDEX", str(index))
        return main([subcommand, "--campaign-uri", self.layout.uri, "--round", str(round_number)])

    def decide(self, round_number: int) -> None:
        """End a round, with all of its decision that selection reads."""
        decided = datetime(2026, 1, 1, round_number + 1, tzinfo=UTC)
        self.s3.write_json_once(self.layout.decision(round_number), {"at": decided.isoformat()})

    def score(self, round_number: int) -> None:
        for index in range(self.settings["scoring"]["shards"]):
            assert self.run("score", round_number, index) == 0

    def play(self, *rounds: int) -> None:
        """Whole rounds: score, select, label, train, evaluate."""
        for number in rounds:
            if number > 0:
                self.score(number)
            assert self.run("select", number) == 0
            self.label(number)
            assert self.run("train", number) == 0
            assert self.run("evaluate", number) == 0

    def label(self, round_number: int, fail: Callable[[dict[str, Any]], bool] = lambda row: False) -> None:
        """People label the selected rows rightly; those that `fail` names fail once more."""
        updates = {}
        for row in self.selected(round_number):
            story = {key: row["truthloop"][key] for key in ("round", "reason", "score", "model")}
            if fail(row):
                failures = row["truthloop"]["failures"] + 1
                updates[row_id(row)] = {"truthloop": {"failures": failures}}
            else:
                updates[row_id(row)] = {
                    **self.truth[row_id(row)],
                    "truthloop": {**story, "labeled_by": "people", "annotators": 3},
                }
        merge_into(self.s3, self.layout.master_manifest(), updates)

    @property
    def attribute(self) -> str:
        return self.settings["label_attribute"]

    def update(self, identifier: str, **changes: Any) -> None:
        merge_into(self.s3, self.layout.master_manifest(), {identifier: changes})

    def master(self) -> list[dict[str, Any]]:
        return list(read_master(self.s3, self.layout.master_manifest()))

    def selected(self, round_number: int) -> list[dict[str, Any]]:
        return list(read_master(self.s3, self.layout.selection_manifest(round_number)))

    def selection(self, round_number: int) -> dict[str, Any]:
        return self.s3.read_json(self.layout.selection(round_number))

    def evaluation(self, round_number: int) -> dict[str, Any]:
        return self.s3.read_json(self.layout.evaluation(round_number))

    def splits(self) -> dict[str, Any]:
        return self.s3.read_json(self.layout.splits())

    def held_out(self) -> set[str]:
        return {*self.splits()["test"], *self.splits()["validation"]}

    def digests(self) -> dict[str, str]:
        """The SHA-256 of every object of the campaign but the usage, which holds times."""
        return {
            uri: hashlib.sha256(self.s3.read_bytes(uri)).hexdigest()
            for uri in self.s3.list(self.layout.uri)
            if "/usage/" not in uri
        }

    def delete(self, uri: str) -> None:
        aws.s3().delete_object(Bucket=BUCKET, Key=uri.removeprefix(f"s3://{BUCKET}/"))


class MemoryS3:
    """The calls of an S3 client that the gateway makes, a hundred times as fast as moto's.

    `test_rounds` plays the same rounds on moto.
    """

    def __init__(self) -> None:
        self._objects: dict[str, list[bytes]] = {}

    def put_object(self, Bucket: str, Key: str, Body: Any, ContentType: str = "", **conditions: str) -> Any:
        content = Body if isinstance(Body, bytes) else Body.read()
        if conditions.get("IfNoneMatch") == "*" and Key in self._objects:
            raise _refusal("PreconditionFailed", "PutObject")
        if "IfMatch" in conditions and conditions["IfMatch"] != self._etag(Key):
            raise _refusal("PreconditionFailed", "PutObject")
        self._objects.setdefault(Key, []).append(content)
        return {"ETag": self._etag(Key), "VersionId": str(len(self._objects[Key]))}

    def get_object(self, Bucket: str, Key: str, VersionId: str = "0") -> Any:
        return {**self.head_object(Bucket, Key), "Body": io.BytesIO(self._objects[Key][int(VersionId) - 1])}

    def head_object(self, Bucket: str, Key: str) -> Any:
        if Key not in self._objects:
            raise _refusal("NoSuchKey", "GetObject")
        return {"ContentLength": len(self._objects[Key][-1]), "ETag": self._etag(Key)}

    def delete_object(self, Bucket: str, Key: str) -> None:
        self._objects.pop(Key, None)

    def get_paginator(self, operation: str) -> MemoryS3:
        assert operation == "list_objects_v2"
        return self

    def paginate(self, Bucket: str, Prefix: str) -> Any:
        return [{"Contents": [{"Key": key} for key in sorted(self._objects) if key.startswith(Prefix)]}]

    def _etag(self, key: str) -> str:
        return hashlib.sha256(self._objects[key][-1]).hexdigest()


def _refusal(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)


MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(monkeypatch: pytest.MonkeyPatch) -> MakeWorld:
    """Makes campaigns in memory; several in one test have different names."""
    client = MemoryS3()
    monkeypatch.setattr(aws, "s3", lambda: client)
    return partial(_make_world, monkeypatch)


@pytest.fixture
def make_world_on_moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeWorld]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        aws.client.cache_clear()
        aws.s3().create_bucket(Bucket=BUCKET)
        yield partial(_make_world, monkeypatch)
    aws.client.cache_clear()


def _make_world(
    monkeypatch: pytest.MonkeyPatch,
    name: str = "digits",
    images: int = 120,
    task_type: str = "image-classification",
    labeled: Callable[[int], bool] = lambda number: False,
    reverse: bool = False,
    **settings: Any,
) -> World:
    s3 = S3Gateway()
    layout = CampaignLayout(BUCKET, name)
    material = MATERIALS[task_type]
    truth, rows = {}, []
    for number in range(images):
        content, label = material.row(s3, number)
        row = {**content, "id": f"user-{number}", "note": {"kept": True}}
        row = with_provenance({**row, **label} if labeled(number) else row, material.attribute)
        truth[row_id(row)] = label
        rows.append(row)
    if reverse:
        rows.reverse()
    document = {
        "campaign": name,
        "task_type": task_type,
        "label_attribute": material.attribute,
        "manifest_uri": f"s3://{BUCKET}/input.manifest",
        "label_categories": list(material.categories),
        "selection": {"strategy": "margin", "seed_size": 20, "round_size": 10, "random_control": True},
        "splits": {"test_fraction": 0.2, "validation_fraction": 0.1, "stratify_by": None},
        "scoring": {"shards": 2},
        "model": {"adapter": None, "hyperparameters": dict(material.hyperparameters)},
        "seed": 1,
        **settings,
    }
    request = parse_request(document)
    splits = draw(
        [candidate(row_id(row), row, material.attribute, None) for row in rows],
        request.splits.test_fraction,
        request.splits.validation_fraction,
        request.seed,
    )
    campaign = Campaign(
        request=request,
        request_sha256=request.sha256(),
        workteam_arn="arn:aws:sagemaker:us-east-1:123456789012:workteam/private-crowd/annotators",
        prices=Prices(0.08, 0.012, 0.04, 0.004),
        input=InputManifest(etag="", sha256="", rows=images),
        execution_arn="arn:aws:states:us-east-1:123456789012:execution:loop:1",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    s3.write_json(layout.campaign_document(), campaign.to_document())
    s3.write_json(layout.splits(), splits.to_document())
    s3.write_lines_once(layout.master_manifest(), map(encode_row, rows))
    return World(s3, layout, monkeypatch, truth, document)
