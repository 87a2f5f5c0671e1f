"""Images with any number of classes: drawn postcards, perhaps with a sun, tree, house, boat or balloon.

The postcards are drawn from random colours, sizes and places; things stand in front of each other and are cut
off at the edge, and clouds, hills, rocks and flowers, which have no label, share their colours and forms. The
truth is what was drawn and can still be seen for a third.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from truthloop_cli.demo_data import Example, Plan, Sizes
from truthloop_cli.demo_data.drawing import ZOOM, finished, specks, varied

PLAN = Plan(
    name="postcards",
    what="drawn postcards",
    label_categories=["sun", "tree", "house", "boat", "balloon"],
    label_attribute="shows",
    labeling={
        "task_title": "What does the postcard show? / 絵葉書に何が描かれていますか",
        "task_description": "Choose everything that the postcard shows.",
        "task_keywords": ["image", "postcards"],
        "instructions": "Rocks, hills, clouds and flowers have no label.\n"
        "岩・丘・雲・花にラベルはありません。",
    },
    sizes=Sizes(60, 2000, 500),
    seed_size=25,
    round_size=25,
    rounds=5,
    seconds=2,
)

WIDTH, HEIGHT = 128, 96
_WIDE, _HIGH = WIDTH * ZOOM, HEIGHT * ZOOM
_SHARE = 0.35
_VISIBLE = 1 / 3
# Behind the hills.
_FAR = ("sun", "balloon")
_SKIES = [(150, 195, 230), (190, 210, 225), (235, 200, 170), (120, 140, 175)]
_LANDS = [(120, 160, 90), (190, 175, 120), (150, 140, 120), (90, 130, 150)]
_BRIGHTS = [(200, 70, 60), (230, 180, 60), (80, 110, 180), (240, 235, 225), (150, 90, 140)]


def examples(size: int, seed: int) -> Iterator[Example]:
    """`size` postcards."""
    for number in range(size):
        yield _postcard(np.random.default_rng([seed, number]), number)


def _postcard(random: np.random.Generator, number: int) -> Example:
    image = Image.new("RGB", (_WIDE, _HIGH), varied(_SKIES[random.integers(len(_SKIES))], random, 12))
    draw = ImageDraw.Draw(image)
    horizon = random.uniform(0.45, 0.7) * _HIGH
    chosen = [label for label in PLAN.label_categories if random.random() < _SHARE]
    far, near = [each for each in chosen if each in _FAR], [each for each in chosen if each not in _FAR]
    visible = _Visible(image)
    _clouds(draw, random, horizon)
    for label in far:
        visible.draw(label, lambda draw_it=_DRAWN[label]: draw_it(draw, random, horizon))
    visible.draw(None, lambda: _land(draw, random, horizon))
    for place in random.permutation(len(near)):
        visible.draw(near[place], lambda draw_it=_DRAWN[near[place]]: draw_it(draw, random, horizon))
    content = finished(image, random, random.uniform(6, 16), 0.25, random.uniform(0.3, 0.9))
    return Example(
        content, [label for label in chosen if visible.shows(label)], {"postcard": {"number": number}}
    )


class _Visible:
    """Notes which pixels each thing changed last."""

    def __init__(self, image: Image.Image) -> None:
        self._image = image
        self._pixels: dict[str, NDArray[np.bool_]] = {}
        self._drawn: dict[str, int] = {}

    def draw(self, label: str | None, draw_it: Callable[[], None]) -> None:
        before = np.array(self._image)
        draw_it()
        changed = (np.asarray(self._image) != before).any(axis=-1)
        for pixels in self._pixels.values():
            pixels &= ~changed
        if label is not None:
            self._pixels[label], self._drawn[label] = changed, int(changed.sum())

    def shows(self, label: str) -> bool:
        return bool(self._pixels[label].sum() > _VISIBLE * self._drawn[label])


def _clouds(draw: ImageDraw.ImageDraw, random: np.random.Generator, horizon: float) -> None:
    for _ in range(int(random.integers(0, 4))):
        _cloud(draw, random, horizon)


def _land(draw: ImageDraw.ImageDraw, random: np.random.Generator, horizon: float) -> None:
    for _ in range(int(random.integers(0, 3))):
        middle, radius = random.uniform(0, _WIDE), random.uniform(25, 50) * ZOOM
        hill = varied(_LANDS[random.integers(len(_LANDS))], random, 15)
        draw.ellipse((middle - radius, horizon - radius / 3, middle + radius, horizon + radius), fill=hill)
    draw.rectangle((0, horizon, _WIDE, _HIGH), fill=varied(_LANDS[random.integers(len(_LANDS))], random, 15))
    specks(draw, (_WIDE, _HIGH), random, int(random.integers(0, 10)), _BRIGHTS)
    for _ in range(int(random.integers(0, 3))):
        _rock(draw, random, horizon)


def _cloud(draw: ImageDraw.ImageDraw, random: np.random.Generator, horizon: float) -> None:
    x, y = random.uniform(0, _WIDE), random.uniform(0, horizon)
    white = varied((235, 235, 235), random, 12)
    for _ in range(4):
        radius = random.uniform(4, 9) * ZOOM
        left, top = x + random.normal(0, 9) * ZOOM, y + random.normal(0, 2) * ZOOM
        draw.ellipse((left - radius, top - radius * 0.7, left + radius, top + radius * 0.7), fill=white)


def _rock(draw: ImageDraw.ImageDraw, random: np.random.Generator, horizon: float) -> None:
    x, y, radius = random.uniform(0, _WIDE), random.uniform(horizon, _HIGH), random.uniform(4, 11) * ZOOM
    corners = [
        (x + radius * np.cos(angle) * random.uniform(0.7, 1.2), y + radius * 0.7 * np.sin(angle))
        for angle in np.linspace(0, 6.28, 7, endpoint=False)
    ]
    draw.polygon(corners, fill=varied((130, 120, 115), random, 20))


def _sun(draw: ImageDraw.ImageDraw, random: np.random.Generator, horizon: float) -> None:
    x, y, radius = (
        random.uniform(0.05, 0.95) * _WIDE,
        random.uniform(0.1, 0.75) * horizon,
        random.uniform(6, 11) * ZOOM,
    )
    color = varied((245, 215, 90), random, 18)
    for angle in np.linspace(0, 6.28, 9, endpoint=False):
        ray = np.array([np.cos(angle), np.sin(angle)]) * radius
        draw.line(
            (x + ray[0] * 1.2, y + ray[1] * 1.2, x + ray[0] * 1.7, y + ray[1] * 1.7), fill=color, width=ZOOM
        )
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)


def _balloon(draw: ImageDraw.ImageDraw, random: np.random.Generator, horizon: float) -> None:
    x, y, radius = (
        random.uniform(0.1, 0.9) * _WIDE,
        random.uniform(0.15, 0.7) * horizon,
        random.uniform(7, 12) * ZOOM,
    )
    color = varied(_BRIGHTS[random.integers(len(_BRIGHTS))], random, 20)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius * 1.1), fill=color)
    draw.ellipse(
        (x - radius * 0.4, y - radius, x + radius * 0.4, y + radius * 1.1), fill=varied(color, random, 40)
    )
    basket = y + radius * 1.7
    for side in (-1, 1):
        draw.line(
            (x + side * radius * 0.7, y + radius * 0.8, x + side * radius * 0.2, basket),
            fill=(70, 60, 50),
            width=2,
        )
    draw.rectangle((x - radius * 0.3, basket, x + radius * 0.3, basket + radius * 0.4), fill=(120, 85, 50))


def _tree(draw: ImageDraw.ImageDraw, random: np.random.Generator, horizon: float) -> None:
    x, foot, high = (
        random.uniform(0.05, 0.95) * _WIDE,
        random.uniform(horizon, _HIGH),
        random.uniform(22, 40) * ZOOM,
    )
    trunk = high * 0.07
    draw.rectangle((x - trunk, foot - high * 0.5, x + trunk, foot), fill=varied((100, 70, 45), random, 12))
    green = varied((60, 115, 60), random, 18)
    if random.random() < 0.5:
        wide = high * 0.3
        for step in range(3):
            top, bottom = foot - high * (1 - 0.2 * step), foot - high * (0.6 - 0.2 * step)
            draw.polygon([(x, top), (x + wide, bottom), (x - wide, bottom)], fill=green)
    else:
        for _ in range(6):
            left, top = x + random.normal(0, 0.12) * high, foot - high * random.uniform(0.5, 0.85)
            radius = high * random.uniform(0.12, 0.2)
            draw.ellipse((left - radius, top - radius, left + radius, top + radius), fill=green)


def _house(draw: ImageDraw.ImageDraw, random: np.random.Generator, horizon: float) -> None:
    x, foot = random.uniform(0.1, 0.9) * _WIDE, random.uniform(horizon + 3 * ZOOM, _HIGH)
    wide, high = random.uniform(10, 16) * ZOOM, random.uniform(12, 20) * ZOOM
    draw.rectangle((x - wide, foot - high, x + wide, foot), fill=varied((225, 210, 190), random, 20))
    roof = [(x - wide * 1.2, foot - high), (x + wide * 1.2, foot - high), (x, foot - high - wide * 0.8)]
    draw.polygon(roof, fill=varied((150, 75, 60), random, 20))
    for side in (-0.5, 0.5):
        left = x + side * wide - 2 * ZOOM
        draw.rectangle((left, foot - high * 0.75, left + 4 * ZOOM, foot - high * 0.45), fill=(70, 85, 105))
    draw.rectangle((x - 2 * ZOOM, foot - high * 0.4, x + 2 * ZOOM, foot), fill=(95, 65, 45))


def _boat(draw: ImageDraw.ImageDraw, random: np.random.Generator, horizon: float) -> None:
    x, foot, wide = (
        random.uniform(0.1, 0.9) * _WIDE,
        random.uniform(horizon + 5 * ZOOM, _HIGH),
        random.uniform(11, 18) * ZOOM,
    )
    hull = [
        (x - wide, foot - wide * 0.35),
        (x + wide, foot - wide * 0.35),
        (x + wide * 0.7, foot),
        (x - wide * 0.7, foot),
    ]
    draw.polygon(hull, fill=varied((120, 75, 50), random, 25))
    mast = foot - wide * 2
    draw.line((x, foot - wide * 0.35, x, mast), fill=(80, 60, 45), width=ZOOM)
    sail = varied(_BRIGHTS[random.integers(len(_BRIGHTS))], random, 20)
    draw.polygon(
        [(x + ZOOM, mast), (x + ZOOM, foot - wide * 0.5), (x + wide * 0.9, foot - wide * 0.5)], fill=sail
    )
    draw.polygon(
        [(x - ZOOM, mast + wide * 0.3), (x - ZOOM, foot - wide * 0.5), (x - wide * 0.6, foot - wide * 0.5)],
        fill=sail,
    )


_DRAWN: dict[str, Callable[[ImageDraw.ImageDraw, np.random.Generator, float], Any]] = {
    "sun": _sun,
    "balloon": _balloon,
    "tree": _tree,
    "house": _house,
    "boat": _boat,
}
