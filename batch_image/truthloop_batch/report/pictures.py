"""Small pictures for the page: thumbnails of images, and masks to be laid over them, each of bounded size."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from truthloop import palette
from truthloop.errors import AccessRefused, ObjectNotFound
from truthloop.manifest import SOURCE_REF, VERSION_ID, Row, provenance, row_id
from truthloop_batch.adapters.base import UnreadableContent
from truthloop_batch.context import Context
from truthloop_batch.images import opaque, opened_image

# Of a picture's longer side. What is drawn on an image needs more of it.
PIXELS = 192
PIXELS_DRAWN_ON = 256
# Of a data URI. The page shows 36 pictures at most, each with two masks.
PICTURE_CHARACTERS = 12_000
MASK_CHARACTERS = 4_000

_QUALITIES = (80, 60, 40, 25)
_READING_THREADS = 8
# Beside the background a palette has room for so many.
_COLORS = 255


@dataclass(frozen=True)
class Thumbnail:
    """A small picture as a data URI, and its size in pixels."""

    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Picture:
    """What the page shows of one row: an image, and for masks what people and model painted on it.

    The masks are data URIs of pictures in the proportions of the image, transparent where there is nothing.
    The label's is None when the label is the model's own.
    """

    image: Thumbnail
    label_mask: str | None = None
    model_mask: str | None = None


def pictures(context: Context, rows: Mapping[str, Row], predictions: Mapping[str, Any]) -> dict[str, Picture]:
    """Pictures of rows by id; rows of text and unreadable objects have none.

    Parameters
    ----------
    predictions
        What the model says of the rows, by id.
    """
    kind = context.kind.NAME
    side = PIXELS_DRAWN_ON if kind in ("boxes", "mask") else PIXELS

    def made(row: Row) -> Picture | None:
        try:
            image = thumbnail(context.s3.read_bytes(row[SOURCE_REF], row.get(VERSION_ID)), side)
        except (UnreadableContent, ObjectNotFound, AccessRefused):
            # The page says that there is no preview; the object's URI is there to look it up.
            return None
        prediction = predictions.get(row_id(row))
        if kind != "mask" or prediction is None:
            return Picture(image)
        size = (image.width, image.height)
        by_model, _ = prediction.drawn(size)
        label_mask = None
        if provenance(row)["labeled_by"] != "model":
            label: Any = context.label(row)
            label_mask = mask_picture(_resized(label, size))
        return Picture(image, label_mask, model_mask=mask_picture(by_model))

    with ThreadPoolExecutor(_READING_THREADS) as threads:
        images = {identifier: row for identifier, row in rows.items() if SOURCE_REF in row}
        found = zip(images, threads.map(made, images.values()), strict=True)
        return {identifier: picture for identifier, picture in found if picture is not None}


def thumbnail(content: bytes, side: int = PIXELS) -> Thumbnail:
    """An image file as a picture of at most `side` pixels and `PICTURE_CHARACTERS`, without its metadata.

    Raises
    ------
    UnreadableContent
        When it is not an image that the program reads.
    """
    with opened_image(content) as image:
        image.draft("RGB", (side, side))
        picture = opaque(ImageOps.exif_transpose(image))
        picture = picture.convert("L" if picture.mode in {"1", "L"} else "RGB")
    picture.thumbnail((side, side))
    picture.info.clear()
    size = picture.size
    while True:
        uri = _smallest_uri(picture)
        if len(uri) <= PICTURE_CHARACTERS:
            return Thumbnail(uri, *size)
        # Noise compresses badly in any quality; the page scales the picture up again.
        picture = picture.resize((max(1, picture.width // 2), max(1, picture.height // 2)))


def mask_picture(mask: NDArray[np.uint8]) -> str:
    """A mask [height, width] as a PNG of at most `MASK_CHARACTERS`, in the categories' colours."""
    while True:
        uri = _data_uri("png", _mask_png(mask))
        if len(uri) <= MASK_CHARACTERS:
            return uri
        mask = np.ascontiguousarray(mask[::2, ::2])


def _smallest_uri(picture: Image.Image) -> str:
    """As PNG, or as JPEG in the best quality that is small enough; the worst one if none is."""
    encodings = [_data_uri("png", _saved(picture, "png", optimize=True))]
    for quality in _QUALITIES:
        encodings.append(_data_uri("jpeg", _saved(picture, "jpeg", quality=quality)))
        if min(map(len, encodings)) <= PICTURE_CHARACTERS:
            break
    return min(encodings, key=len)


def _resized(mask: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))


def _mask_png(mask: NDArray[np.uint8]) -> bytes:
    used = int(mask.max())
    colors = [palette.WHITE, *(palette.color(category) for category in range(min(used, _COLORS)))]
    image = Image.fromarray(mask).convert("P")
    image.putdata(mask.reshape(-1).tolist())
    image.putpalette([channel for color in colors for channel in palette.rgb(color)])
    return _saved(image, "png", optimize=True, transparency=0)


def _saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
