"""Reads the image files of people we don't know: what formats are allowed, and one error for the rest."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from truthloop_batch.adapters.base import UnreadableContent

# Formats are named because Pillow's others include interpreters of untrusted programs, such as PostScript.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
# What Pillow raises on broken files, a bomb of pixels among it.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    OverflowError,
    Image.DecompressionBombError,
)
# https://www.cipa.jp/std/documents/download_e.html?DC-008-Translation-2023-E, section 4.6.5.1, Orientation
_ORIENTATION = 0x0112
_QUARTER_TURNS = (5, 6, 7, 8)


@contextmanager
def opened_image(content: bytes) -> Iterator[Image.Image]:
    """Open an image file for the length of a `with` block; decoding happens there.

    Raises
    ------
    UnreadableContent
        When it is none of `FORMATS`, or is found broken in the block.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            yield image
    except _BROKEN as error:
        raise UnreadableContent(f"not a readable image ({', '.join(FORMATS)}): {error}") from error


def opaque(image: Image.Image) -> Image.Image:
    """The image without transparency, which is seen on white, and with 8 bits per channel.

    Raises
    ------
    ValueError
        For values without a fixed range; within `opened_image` it becomes `UnreadableContent`.
    """
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode.startswith("I;16"):
        # Pillow's conversion cuts 16 bits off at 255 rather than scale them.
        return Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    if image.mode in {"I", "F"}:
        raise ValueError(f"grey values of mode {image.mode} have no fixed range; save it with 8 or 16 bits")
    return image


def read_picture(content: bytes, side: int) -> NDArray[np.void]:
    """An image file as one record: `width` and `height` of the image in pixels, and `pixels`.

    The pixels, uint8 [side, side, 3], are the whole image as red, green and blue, stretched to a square and
    turned as its EXIF orientation says; of several frames the first counts. A record has the same type for
    every image, so that records can be stacked.

    Raises
    ------
    UnreadableContent
        When it is none of `FORMATS`, or broken.
    """
    record = np.zeros((), [("width", "<i4"), ("height", "<i4"), ("pixels", "u1", (side, side, 3))])
    with opened_image(content) as image:
        # Before `draft`, which changes the size; a quarter turn swaps the sides.
        turned = image.getexif().get(_ORIENTATION, 1) in _QUARTER_TURNS
        record["width"], record["height"] = image.size[::-1] if turned else image.size
        image.draft("RGB", (2 * side, 2 * side))
        colored = opaque(ImageOps.exif_transpose(image)).convert("RGB")
        record["pixels"] = np.asarray(colored.resize((side, side), Image.Resampling.BILINEAR))
    return record
