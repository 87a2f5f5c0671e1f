"""The small pictures that the page embeds."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from truthloop_batch.adapters.base import UnreadableContent
from truthloop_batch.report.gallery import thumbnail


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(uri: str) -> Image.Image:
    kind, _, content = uri.partition(";base64,")
    assert kind in {"data:image/png", "data:image/jpeg"}
    return Image.open(io.BytesIO(base64.b64decode(content, validate=True)))


def test_large_images_become_small_and_keep_their_proportions() -> None:
    uri = thumbnail(encoded(Image.effect_noise((1600, 800), 80).convert("RGB"), "JPEG"))
    assert decoded(uri).size == (192, 96)
    assert len(uri) < 30_000


def test_small_images_are_not_blown_up() -> None:
    assert decoded(thumbnail(encoded(Image.new("L", (8, 8), 100)))).size == (8, 8)


def test_the_orientation_of_a_photograph_is_applied_and_its_metadata_are_dropped() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "taken at home"
    shown = decoded(thumbnail(encoded(Image.new("RGB", (100, 50), "red"), "JPEG", exif=exif)))
    assert shown.size == (50, 100)
    assert not shown.getexif()
    assert "exif" not in shown.info


def test_transparent_parts_are_white() -> None:
    image = Image.new("RGBA", (10, 10), (255, 0, 0, 0))
    shown = decoded(thumbnail(encoded(image))).convert("RGB")
    assert min(shown.getpixel((5, 5))) > 250


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_images_of_any_mode_are_shown(mode: str) -> None:
    assert decoded(thumbnail(encoded(Image.new(mode, (12, 12))))).size == (12, 12)


def test_what_is_not_an_image_is_refused() -> None:
    with pytest.raises(UnreadableContent, match="not a readable image"):
        thumbnail(b"%!PS-Adobe-3.0 EPSF-3.0")
