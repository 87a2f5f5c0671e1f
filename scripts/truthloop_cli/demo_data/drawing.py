"""What the drawn pictures of the demo have in common: lighting, noise, and PNG files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

# Pictures are drawn so many times as large and made smaller, which smooths their edges.
ZOOM = 3


def finished(
    drawn: Image.Image, random: np.random.Generator, noise: float, light: float, blur: float
) -> bytes:
    """A PNG file of a picture that was drawn `ZOOM` times as large, as a mediocre camera would take it.

    Parameters
    ----------
    noise
        Standard deviation of a channel's noise, of 255.
    light
        How uneven the light is: the largest change of the brightness from the middle to an edge, of 1.
    blur
        Radius in pixels of the finished picture.
    """
    size = drawn.width // ZOOM, drawn.height // ZOOM
    small = drawn.convert("RGB").resize(size, Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(blur))
    pixels = np.asarray(small, np.float64)
    down, across = np.mgrid[-1 : 1 : size[1] * 1j, -1 : 1 : size[0] * 1j]
    slope = random.uniform(-light, light, 2)
    lit = pixels * (1 + slope[0] * down + slope[1] * across)[..., None]
    # Grains of two pixels are harder to smooth away than single ones.
    coarse = random.normal(0, noise, (size[1] // 2 + 1, size[0] // 2 + 1, 3)).repeat(2, 0).repeat(2, 1)
    lit += 0.6 * coarse[: size[1], : size[0]] + random.normal(0, noise, lit.shape)
    return png(Image.fromarray(lit.clip(0, 255).astype(np.uint8)))


def png(image: Image.Image) -> bytes:
    """The image as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def varied(color: Sequence[int], random: np.random.Generator, spread: float) -> tuple[int, int, int]:
    """A colour near another one."""
    red, green, blue = (np.array(color) + random.normal(0, spread, 3)).clip(0, 255).astype(int).tolist()
    return red, green, blue


def blob(
    middle: tuple[float, float], radii: tuple[float, float], random: np.random.Generator, uneven: float
) -> list[Any]:
    """The corners of an uneven ellipse."""
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    reach = np.ones_like(angles)
    for waves in (2, 3, 5):
        reach += random.normal(0, uneven / waves) * np.cos(waves * angles + random.uniform(0, 6.28))
    turn = random.uniform(0, np.pi)
    x, y = radii[0] * reach * np.cos(angles), radii[1] * reach * np.sin(angles)
    return [
        (middle[0] + a * np.cos(turn) - b * np.sin(turn), middle[1] + a * np.sin(turn) + b * np.cos(turn))
        for a, b in zip(x, y, strict=True)
    ]


def specks(
    draw: ImageDraw, size: tuple[int, int], random: np.random.Generator, number: int, colors: Sequence[Any]
) -> None:
    """Small spots anywhere that are nothing."""
    for _ in range(number):
        x, y, radius = random.uniform(0, size[0]), random.uniform(0, size[1]), random.uniform(1, 2) * ZOOM
        color = varied(colors[random.integers(len(colors))], random, 15)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)


def mask_of(indices: NDArray[np.uint8]) -> bytes:
    """A PNG with grey values 0 for the background, i for the i-th label."""
    return png(Image.fromarray(indices))
