"""The small pictures that the page embeds."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from truthloop import palette
from truthloop_batch.adapters.base import UnreadableContent
from truthloop_batch.report.pictures import (
    MASK_CHARACTERS,
    PICTURE_CHARACTERS,
    PIXELS_DRAWN_ON,
    Thumbnail,
    mask_picture,
    thumbnail,
)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(picture: Thumbnail | str) -> Image.Image:
    uri = picture if isinstance(picture, str) else picture.uri
    kind, _, content = uri.partition(";base64,")
    assert kind in {"data:image/png", "data:image/jpeg"}
    return Image.open(io.BytesIO(base64.b64decode(content, validate=True)))


def colors_of(uri: str) -> dict[tuple[int, ...], int]:
    """How many pixels of a mask's picture have each colour that can be seen."""
    pixels = np.asarray(decoded(uri).convert("RGBA")).reshape(-1, 4)
    colors, counts = np.unique(pixels[pixels[:, 3] > 0][:, :3], axis=0, return_counts=True)
    return {tuple(map(int, color)): int(count) for color, count in zip(colors, counts, strict=True)}


def test_large_images_become_small_and_keep_their_proportions() -> None:
    picture = thumbnail(encoded(Image.linear_gradient("L").resize((1600, 800)).convert("RGB"), "JPEG"))
    assert decoded(picture).size == (picture.width, picture.height) == (192, 96)


def test_small_images_are_not_blown_up() -> None:
    assert decoded(thumbnail(encoded(Image.new("L", (8, 8), 100)))).size == (8, 8)


@pytest.mark.parametrize("side", [192, PIXELS_DRAWN_ON])
def test_no_picture_is_longer_than_its_bound_whatever_it_shows(side: int) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (600, 800, 3), np.uint8)
    picture = thumbnail(encoded(Image.fromarray(noise)), side)
    assert 0 < len(picture.uri) <= PICTURE_CHARACTERS
    # Boxes and masks are laid over the size that it says, even when the pixels have become fewer.
    assert (picture.width, picture.height) == (side, side * 3 // 4)
    shown = decoded(picture)
    assert shown.width / shown.height == pytest.approx(4 / 3, rel=0.05)


def test_a_pictures_quality_is_only_lowered_as_far_as_it_must() -> None:
    smooth = Image.radial_gradient("L").convert("RGB")
    assert decoded(thumbnail(encoded(smooth), PIXELS_DRAWN_ON)).size == (256, 256)


def test_the_orientation_of_a_photograph_is_applied_and_its_metadata_are_dropped() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "taken at home"
    picture = thumbnail(encoded(Image.new("RGB", (100, 50), "red"), "JPEG", exif=exif))
    shown = decoded(picture)
    assert shown.size == (picture.width, picture.height) == (50, 100)
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


def test_a_mask_has_the_categories_colours_and_a_transparent_background() -> None:
    mask = np.zeros((40, 60), np.uint8)
    mask[:10, :20] = 1
    mask[20:, :30] = 3
    shown = decoded(mask_picture(mask))
    assert shown.size == (60, 40)
    assert colors_of(mask_picture(mask)) == {
        palette.rgb(palette.color(0)): 200,
        palette.rgb(palette.color(2)): 600,
    }


def test_an_empty_mask_shows_nothing() -> None:
    assert colors_of(mask_picture(np.zeros((5, 5), np.uint8))) == {}


def test_no_mask_is_longer_than_its_bound_whatever_it_shows() -> None:
    noise = np.random.default_rng(2).integers(0, 200, (192, 256), np.uint8)
    uri = mask_picture(noise)
    assert 0 < len(uri) <= MASK_CHARACTERS
    shown = decoded(uri)
    assert shown.width / shown.height == pytest.approx(4 / 3, rel=0.1)
