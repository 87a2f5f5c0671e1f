"""The demo's data: a module for each task type, which makes objects whose truth is known.

To give a task type a demo, add a module with `PLAN` and `examples`, and name it in `_MODULES`.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

from truthloop.errors import TruthloopError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DEFAULT_TASK = "image-classification"
_MODULES = {
    "image-classification": "digits",
    "text-classification": "messages",
    "image-multi-label": "postcards",
    "bounding-box": "faces",
    "semantic-segmentation": "cells",
}


class UnknownTask(TruthloopError):
    """There is no demo of a task type."""


class InvalidSize(TruthloopError):
    """A demo was asked for more or fewer objects than it can be made of."""


@dataclass(frozen=True)
class Sizes:
    """How many objects a demo can be made of."""

    least: int
    most: int
    default: int


@dataclass(frozen=True)
class Plan:
    """What the demo of a task type consists of.

    Attributes
    ----------
    name
        One word for its objects in names: of the campaign, the manifest and the folder.
    what
        What the objects are, for a person, as the end of "300 …".
    label_categories, label_attribute, labeling
        As in the campaign request.
    sizes
        How many objects there can be.
    seed_size, round_size, rounds
        Objects in the seed set, and per round and arm; rounds in all, the seed round included.
    seconds
        How often the time of a choice among images somebody needs for one object.
    confusion
        By annotator the labels that this annotator takes for others.
    """

    name: str
    what: str
    label_categories: list[str]
    label_attribute: str
    labeling: Mapping[str, Any]
    sizes: Sizes
    seed_size: int
    round_size: int
    rounds: int
    seconds: float = 1.0
    confusion: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def check_size(self, size: int | None) -> int:
        """The number of objects for a size that is asked for, None for the default; raises `InvalidSize`."""
        number = self.sizes.default if size is None else size
        if not self.sizes.least <= number <= self.sizes.most:
            raise InvalidSize(
                f"The size is {number}; allowed: {self.sizes.least} to {self.sizes.most} {self.what}. "
                "Give a number in that range."
            )
        return number


@dataclass(frozen=True)
class Example:
    """One object.

    Attributes
    ----------
    content
        A PNG file, or a text.
    truth
        As the simulated annotators know it: see `labeling_engine.simulated_answers`.
    keys
        What else its row carries; it has to be there at the end, untouched.
    """

    content: bytes | str
    truth: Any
    keys: Mapping[str, Any] = field(default_factory=dict)


class Maker(Protocol):
    """What a module of this package offers."""

    PLAN: Plan

    def examples(self, size: int, seed: int) -> Iterator[Example]:
        """`size` objects; the same for the same seed, and the first ones the same for every size."""


@dataclass(frozen=True)
class DemoData:
    """The objects of a demo in the customer's bucket.

    Attributes
    ----------
    bucket
        Holds images and manifest.
    plan
        What they are.
    images
        PNG files by key; none for texts.
    truth
        By S3 URI or text: known to the simulated annotators alone.
    manifest
        The input manifest, one unlabelled row per object.
    """

    bucket: str
    plan: Plan
    images: Mapping[str, bytes]
    truth: Mapping[str, Any]
    manifest: str

    @property
    def manifest_key(self) -> str:
        return f"{self.plan.name}.manifest"

    @property
    def manifest_uri(self) -> str:
        return f"s3://{self.bucket}/{self.manifest_key}"


def tasks() -> tuple[str, ...]:
    """The task types that have a demo."""
    return tuple(_MODULES)


def plan_of(task: str) -> Plan:
    """The plan of a task type's demo; raises `UnknownTask`."""
    return _maker(task).PLAN


def make(task: str, bucket: str, size: int | None, seed: int) -> DemoData:
    """Make a demo's objects and their manifest.

    Parameters
    ----------
    size
        How many; None for the plan's default.

    Raises
    ------
    UnknownTask
        For a task type without a demo.
    InvalidSize
        When there cannot be so many objects.
    """
    maker = _maker(task)
    plan = maker.PLAN
    images: dict[str, bytes] = {}
    truth: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    for number, example in enumerate(maker.examples(plan.check_size(size), seed)):
        if isinstance(example.content, str):
            key, source = "source", example.content
        else:
            name = f"{plan.name}/{number:04d}.png"
            key, source = "source-ref", f"s3://{bucket}/{name}"
            images[name] = example.content
        truth[source] = example.truth
        rows.append({key: source, **example.keys})
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return DemoData(bucket, plan, images, truth, lines)


def create_bucket(bucket: str, s3: S3Client) -> None:
    """Make the customer's bucket, with the CORS rule that labelling in a browser needs."""
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_cors(
        Bucket=bucket,
        CORSConfiguration={
            "CORSRules": [
                {
                    "AllowedMethods": ["GET"],
                    "AllowedOrigins": ["*"],
                    "ExposeHeaders": ["Access-Control-Allow-Origin"],
                }
            ]
        },
    )


def upload(data: DemoData, s3: S3Client) -> None:
    """Put images and manifest into their bucket."""

    def put(item: tuple[str, bytes]) -> None:
        s3.put_object(Bucket=data.bucket, Key=item[0], Body=item[1], ContentType="image/png")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, data.images.items()))
    s3.put_object(Bucket=data.bucket, Key=data.manifest_key, Body=data.manifest.encode())


def _maker(task: str) -> Maker:
    if task not in _MODULES:
        raise UnknownTask(
            f"The task type is {task!r}; there are demos of {', '.join(_MODULES)}. Choose one of them."
        )
    return cast("Maker", importlib.import_module(f"{__name__}.{_MODULES[task]}"))
