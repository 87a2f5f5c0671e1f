"""A stand-in for the context that a label kind reads and writes with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from truthloop.errors import ObjectNotFound
from truthloop.layout import CampaignLayout


@dataclass
class Store:
    """The objects of an S3 that a kind reads and writes."""

    objects: dict[str, bytes] = field(default_factory=dict)

    def read_bytes(self, uri: str) -> bytes:
        if uri not in self.objects:
            raise ObjectNotFound(uri)
        return self.objects[uri]

    def write_bytes_once(self, uri: str, content: bytes, content_type: str) -> bool:
        assert content_type == "image/png"
        self.objects.setdefault(uri, content)
        return True


@dataclass
class Request:
    label_attribute: str = "label"


@dataclass
class KindContext:
    """What a kind needs of `truthloop_batch.context.Context`."""

    classes: tuple[str, ...] = ("cat", "dog", "owl")
    request: Request = field(default_factory=Request)
    s3: Store = field(default_factory=Store)
    round: int = 3
    layout: CampaignLayout = field(default_factory=lambda: CampaignLayout("bucket", "pets"))


def row(label: Any = None, metadata: Any = None, attribute: str = "label") -> dict[str, Any]:
    told = {} if label is None else {attribute: label}
    if metadata is not None:
        told[f"{attribute}-metadata"] = metadata
    return {"source-ref": "s3://bucket/a.png", **told, "truthloop": {"id": "a" * 32}}
