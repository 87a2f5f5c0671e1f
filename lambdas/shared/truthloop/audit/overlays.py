"""Masks to be laid over their image: a palette PNG gets a transparent background, by its chunks alone.

The pixels stay compressed as they are: only the palette (PLTE) and its transparency (tRNS) are written anew,
which takes the standard library and no time. https://www.w3.org/TR/png-3/#11PLTE
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from truthloop import palette
from truthloop.task_types import InvalidDataObject

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LENGTH = struct.Struct(">I")
# Width, height, bits per sample, colour type, compression, filter, interlace.
_HEADER = struct.Struct(">IIBBBBB")
_PALETTE_COLORS = 3
_WITH_ALPHA = frozenset({4, 6})
_OPAQUE = 255
_ENTRIES = 256


@dataclass(frozen=True)
class Drawn:
    """A category of a mask as it is drawn: its name and its colour `#rrggbb`."""

    label: str
    color: str


def drawn_categories(color_map: object, label_categories: Sequence[str]) -> dict[int, Drawn]:
    """The categories by their index in a mask's PNG, without the background.

    Parameters
    ----------
    color_map
        The label's `internal-color-map`. Without one, the index i is the category i - 1 in the colour of
        `truthloop.palette`; so is a colour that the map doesn't tell.

    Raises
    ------
    InvalidDataObject
        When the map names something that is no category, or under no index.
    """
    if not isinstance(color_map, dict):
        return {
            index: Drawn(name, _own_color(index - 1)) for index, name in enumerate(label_categories, start=1)
        }
    drawn = {}
    for text, entry in color_map.items():
        name = entry.get("class-name") if isinstance(entry, dict) else None
        if name == palette.BACKGROUND:
            continue
        if name not in label_categories or not str(text).isdigit() or not 0 <= int(text) < _ENTRIES:
            raise InvalidDataObject(
                f"internal-color-map has {text!r}: {entry!r}; allowed: an index of the PNG and the "
                "class-name of a label category. Correct the label's metadata."
            )
        color = str(entry.get("hex-color")).lower()
        known = color if _is_color(color) else _own_color(label_categories.index(name))
        drawn[int(text)] = Drawn(str(name), known)
    return drawn


def transparent(png: bytes, drawn: Mapping[int, Drawn]) -> bytes:
    """The same mask with its categories in their colours and everything else transparent.

    A PNG that has an alpha channel is taken for an overlay as it is.

    Raises
    ------
    InvalidDataObject
        When the file is no whole PNG, or has neither a palette nor an alpha channel.
    """
    chunks = list(_chunks(png))
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != _HEADER.size:
        raise InvalidDataObject("the mask is no PNG: its header is missing. Write a palette PNG.")
    color_type = _HEADER.unpack(chunks[0][1])[3]
    if color_type in _WITH_ALPHA:
        return png
    entries = next((data for kind, data in chunks if kind == b"PLTE"), b"")
    if color_type != _PALETTE_COLORS or not entries:
        raise InvalidDataObject(
            f"the mask is a PNG of the colour type {color_type}; allowed: {_PALETTE_COLORS}, with a palette"
        )
    colors = bytearray(entries)
    alpha = bytearray(len(entries) // 3)
    for index, category in drawn.items():
        if index < len(alpha):
            colors[3 * index : 3 * index + 3] = bytes(palette.rgb(category.color))
            alpha[index] = _OPAQUE
    written = [_SIGNATURE]
    for kind, data in chunks:
        if kind == b"PLTE":
            # Transparency has to come behind the palette and before the pixels.
            written += [_chunk(kind, bytes(colors)), _chunk(b"tRNS", bytes(alpha))]
        elif kind != b"tRNS":
            written.append(_chunk(kind, data))
    return b"".join(written)


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and data of each chunk, the last one included."""
    if not png.startswith(_SIGNATURE):
        raise InvalidDataObject("the mask is no PNG. Write a palette PNG.")
    position = len(_SIGNATURE)
    while True:
        if position + 8 > len(png):
            raise InvalidDataObject("the mask is no whole PNG: its end is missing. Write the file again.")
        (length,) = _LENGTH.unpack_from(png, position)
        kind = png[position + 4 : position + 8]
        data = png[position + 8 : position + 8 + length]
        if len(data) < length:
            raise InvalidDataObject("the mask is no whole PNG: its end is missing. Write the file again.")
        yield kind, data
        if kind == b"IEND":
            return
        position += length + 12


def _chunk(kind: bytes, data: bytes) -> bytes:
    return _LENGTH.pack(len(data)) + kind + data + _LENGTH.pack(zlib.crc32(kind + data))


def _own_color(category: int) -> str:
    return palette.color(category % palette.CATEGORIES_MAXIMUM)


def _is_color(text: str) -> bool:
    try:
        palette.rgb(text)
    except ValueError:
        return False
    return True
