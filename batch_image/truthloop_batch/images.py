"""Opens the image files of people we don't know: what formats are read, and one error for the rest."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

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
