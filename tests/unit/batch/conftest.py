"""A small campaign on scikit-learn's digits in a simulated S3, for the steps of the Batch program."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
from truthloop.layout import CampaignLayout
from truthloop.manifest import encode_row, merge_into, read_master, row_id, with_provenance
from truthloop.prices import Prices
from truthloop.request import parse_request
from truthloop.s3 import S3Gateway
from truthloop.splits import candidate, draw
from truthloop_batch.__main__ import main

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


@dataclass
class World:
    """One campaign, whose labels people give without a labelling job."""

    s3: S3Gateway
    layout: CampaignLayout
    monkeypatch: pytest.MonkeyPatch
    truth: dict[str, int]
    settings: dict[str, Any]

    def run(self, subcommand: str, round_number: int, index: int | None = None) -> int:
        """One subcommand in this process, as a Batch job would start it."""
        if index is None:
            self.monkeypatch.delenv("AWS_BATCH_JOB_ARRAY_INDEX", raising=False)
        else:
            self.monkeypatch.setenv("AWS_BATCH_JOB_ARRAY_INDEX", str(index))
        return main([subcommand, "--campaign-uri", self.layout.uri, "--round", str(round_number)])

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
                    "label": self.truth[row["source-ref"]],
                    "truthloop": {**story, "labeled_by": "people", "annotators": 3},
                }
        merge_into(self.s3, self.layout.master_manifest(), updates)

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
    labeled: Callable[[int], bool] = lambda number: False,
    reverse: bool = False,
    **settings: Any,
) -> World:
    s3 = S3Gateway()
    layout = CampaignLayout(BUCKET, name)
    files, digits = digit_images()
    truth, rows = {}, []
    for number in range(images):
        uri = f"s3://{BUCKET}/images/{number:04d}.png"
        s3.write_bytes(uri, files[number], "image/png")
        truth[uri] = digits[number]
        row = {"source-ref": uri, "id": f"user-{number}", "note": {"kept": True}}
        rows.append(with_provenance({**row, "label": digits[number]} if labeled(number) else row, "label"))
    if reverse:
        rows.reverse()
    document = {
        "campaign": name,
        "task_type": "image-classification",
        "manifest_uri": f"s3://{BUCKET}/input.manifest",
        "label_categories": [str(digit) for digit in range(10)],
        "selection": {"strategy": "margin", "seed_size": 20, "round_size": 10, "random_control": True},
        "splits": {"test_fraction": 0.2, "validation_fraction": 0.1, "stratify_by": None},
        "scoring": {"shards": 2},
        "seed": 1,
        **settings,
    }
    request = parse_request(document)
    splits = draw(
        [candidate(row_id(row), row, "label", None) for row in rows],
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
