"""The hardest rows of a campaign, found in one pass over all rows, and small pictures of them."""

from __future__ import annotations

import base64
import heapq
import io
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageOps

from truthloop.errors import AccessRefused, ObjectNotFound
from truthloop.manifest import SOURCE, SOURCE_REF, VERSION_ID, Row, metadata_key, provenance, row_id
from truthloop_batch.adapters.base import UnreadableContent
from truthloop_batch.context import Context
from truthloop_batch.images import opened_image
from truthloop_batch.report.document import Hardest, Item

GROUP_ITEMS = 12
_TEXT_CHARACTERS = 1_000
_PICTURE_PIXELS = 192
_READING_THREADS = 8


@dataclass(frozen=True)
class Opinion:
    """What the last model says of a row: the class's index, its probability, its lead over the second."""

    label: int
    confidence: float
    margin: float


class _Smallest:
    """Keeps the items with the smallest values; equal values are ordered by id. Memory is bounded."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: list[tuple[float, str, Row, Opinion]] = []

    def add(self, value: float, row: Row, opinion: Opinion) -> None:
        self._kept.append((value, row_id(row), row, opinion))
        if len(self._kept) >= 8 * self._size:
            self._kept = self._ordered()

    def items(self) -> list[tuple[Row, Opinion]]:
        return [(row, opinion) for _, _, row, opinion in self._ordered()]

    def _ordered(self) -> list[tuple[float, str, Row, Opinion]]:
        return heapq.nsmallest(self._size, self._kept, key=lambda entry: entry[:2])


class HardestRows:
    """Collects the gallery while the finished rows pass by; see `document.Hardest` for the groups."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._attribute = context.request.label_attribute
        self._least_agreed = _Smallest(GROUP_ITEMS)
        self._disputed = _Smallest(GROUP_ITEMS)
        self._least_certain = _Smallest(GROUP_ITEMS)

    def add(self, row: Row, opinion: Opinion) -> None:
        """Take one labelled row and what the model says of it."""
        if provenance(row)["labeled_by"] == "model":
            self._least_certain.add(opinion.margin, row, opinion)
            return
        confidence = _confidence(row, self._attribute)
        # At a confidence of 1 nobody hesitated.
        if provenance(row)["labeled_by"] == "people" and confidence is not None and confidence < 1:
            self._least_agreed.add(confidence, row, opinion)
        if self._context.label(row) != opinion.label:
            self._disputed.add(-opinion.confidence, row, opinion)

    def rows(self) -> dict[str, Row]:
        """The rows of all groups, by id."""
        groups = (self._least_agreed, self._disputed, self._least_certain)
        return {row_id(row): row for group in groups for row, _ in group.items()}

    def document(self) -> Hardest:
        def items(group: _Smallest) -> list[Item]:
            return [self._item(row, opinion) for row, opinion in group.items()]

        return {
            "least_agreed": items(self._least_agreed),
            "disputed": items(self._disputed),
            "least_certain": items(self._least_certain),
        }

    def _item(self, row: Row, opinion: Opinion) -> Item:
        told, label = provenance(row), self._context.label(row)
        if label is None:
            raise AssertionError("the gallery holds labelled rows")
        return {
            "id": row_id(row),
            "content": row[SOURCE][:_TEXT_CHARACTERS] if SOURCE in row else row[SOURCE_REF],
            "is_text": SOURCE in row,
            "label": self._context.classes[label],
            "labeled_by": told["labeled_by"],
            "reason": told["reason"],
            "round": told["round"],
            "annotators": told["annotators"],
            "confidence": _confidence(row, self._attribute),
            "model_label": self._context.classes[opinion.label],
            "model_confidence": opinion.confidence,
            "margin": opinion.margin,
            "split": self._split(row_id(row)),
        }

    def _split(self, identifier: str) -> Literal["pool", "test", "validation"]:
        splits = self._context.splits
        if identifier not in splits.held_out:
            return "pool"
        return "test" if identifier in splits.test else "validation"


def thumbnails(context: Context, rows: Mapping[str, Row]) -> dict[str, str]:
    """Small pictures of rows as data URIs, by id; rows of text and unreadable objects have none."""
    images = {identifier: row for identifier, row in rows.items() if SOURCE_REF in row}

    def read(row: Row) -> str | None:
        try:
            return thumbnail(context.s3.read_bytes(row[SOURCE_REF], row.get(VERSION_ID)))
        except (UnreadableContent, ObjectNotFound, AccessRefused):
            # The page says that there is no preview; the object's URI is there to look it up.
            return None

    with ThreadPoolExecutor(_READING_THREADS) as threads:
        made: Iterable[str | None] = threads.map(read, images.values())
        return {
            identifier: picture
            for identifier, picture in zip(images, made, strict=True)
            if picture is not None
        }


def thumbnail(content: bytes) -> str:
    """An image file as a data URI of at most 192 x 192 pixels, without its metadata; the smaller encoding.

    Raises
    ------
    UnreadableContent
        When it is not an image that the program reads.
    """
    size = (_PICTURE_PIXELS, _PICTURE_PIXELS)
    with opened_image(content) as image:
        image.draft("RGB", size)
        picture = ImageOps.exif_transpose(image)
        if picture.has_transparency_data:
            layer = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        picture = picture.convert("L" if picture.mode in {"1", "L"} else "RGB")
    picture.thumbnail(size)
    picture.info.clear()
    encodings = []
    for kind, options in (("png", {"optimize": True}), ("jpeg", {"quality": 80})):
        buffer = io.BytesIO()
        picture.save(buffer, kind, **options)
        encodings.append((len(buffer.getvalue()), kind, buffer.getvalue()))
    _, kind, smallest = min(encodings)
    return f"data:image/{kind};base64,{base64.b64encode(smallest).decode()}"


def _confidence(row: Row, attribute: str) -> float | None:
    """The confidence of the row's label, as its metadata tell."""
    confidence = (row.get(metadata_key(attribute)) or {}).get("confidence")
    return float(confidence) if isinstance(confidence, int | float) else None
