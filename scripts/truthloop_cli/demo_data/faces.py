"""Images with boxes: drawn faces with eyes, noses and mouths.

They are nobody's: each face is drawn from random colours, sizes and positions. Hair hangs over eyes, glasses
lie on them, beards hide mouths, faces are turned, and buttons and spots on the wall look like eyes. The truth
are the boxes around what was drawn and can be seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from truthloop_cli.demo_data import Example, Plan, Sizes
from truthloop_cli.demo_data.drawing import ZOOM, finished, specks, varied

PLAN = Plan(
    name="faces",
    what="drawn faces",
    label_categories=["eye", "nose", "mouth"],
    label_attribute="parts",
    labeling={
        "task_title": "Find eyes, noses and mouths / 目・鼻・口を囲んでください",
        "task_description": "Draw a tight box around each eye, nose and mouth that you see.",
        "task_keywords": ["image", "boxes"],
        "instructions": "A box for each eye. Leave out what is hidden behind hair.\n"
        "目は1つずつ囲んでください。髪に隠れているものは囲みません。",
    },
    sizes=Sizes(60, 1200, 240),
    seed_size=8,
    round_size=12,
    rounds=5,
    seconds=8,
    confusion={"annotator-4": {"nose": "mouth"}},
)

SIDE = 112
_BIG = SIDE * ZOOM
_SKINS = [(244, 208, 177), (224, 172, 125), (198, 134, 88), (141, 85, 54), (92, 56, 40)]
_HAIRS = [(40, 28, 22), (92, 58, 30), (170, 120, 60), (120, 120, 124), (150, 60, 30)]
_WALLS = [(170, 190, 205), (205, 195, 170), (150, 170, 140), (190, 160, 165), (110, 120, 140)]
_DARK = [(40, 40, 45), (80, 50, 40), (60, 70, 100)]


def examples(size: int, seed: int) -> Iterator[Example]:
    """`size` pictures with one face each, sometimes two."""
    for number in range(size):
        yield _picture(np.random.default_rng([seed, number]), number)


def _picture(random: np.random.Generator, number: int) -> Example:
    image = Image.new("RGB", (_BIG, _BIG), varied(_WALLS[random.integers(len(_WALLS))], random, 12))
    draw = ImageDraw.Draw(image)
    for _ in range(int(random.integers(0, 4))):
        x, width = random.uniform(0, _BIG), random.uniform(10, 60) * ZOOM
        stripe = varied(_WALLS[random.integers(len(_WALLS))], random, 20)
        draw.rectangle((x, 0, x + width, _BIG), fill=stripe)
    specks(draw, (_BIG, _BIG), random, int(random.integers(2, 9)), _DARK)
    boxes: list[dict[str, Any]] = []
    if random.random() < 0.2:
        for middle in (0.27, 0.73):
            _face(draw, random, middle * _BIG, random.uniform(0.4, 0.6) * _BIG, 0.21 * _BIG, boxes)
    else:
        place = random.uniform(0.4, 0.6, 2) * _BIG
        _face(draw, random, float(place[0]), float(place[1]), random.uniform(0.24, 0.36) * _BIG, boxes)
    content = finished(image, random, random.uniform(6, 16), 0.3, random.uniform(0.3, 0.9))
    truth = {"width": SIDE, "height": SIDE, "boxes": [_small(box) for box in boxes]}
    return Example(content, truth, {"photo": {"number": number}})


def _face(
    draw: ImageDraw.ImageDraw,
    random: np.random.Generator,
    x: float,
    y: float,
    radius: float,
    boxes: list[dict[str, Any]],
) -> None:
    skin = varied(_SKINS[random.integers(len(_SKINS))], random, 10)
    hair = varied(_HAIRS[random.integers(len(_HAIRS))], random, 12)
    high = radius * random.uniform(1.15, 1.35)
    shoulders = varied(_WALLS[random.integers(len(_WALLS))], random, 40)
    draw.ellipse((x - 1.6 * radius, y + high * 0.85, x + 1.6 * radius, y + 3 * high), fill=shoulders)
    for step in range(int(random.integers(0, 3))):
        _spot(draw, x, y + high * (1.15 + 0.25 * step), radius * 0.07, varied(_DARK[0], random, 20))
    draw.ellipse((x - 1.08 * radius, y - 1.12 * high, x + 1.08 * radius, y + 0.5 * high), fill=hair)
    draw.ellipse((x - radius, y - high, x + radius, y + high), fill=skin)
    for _ in range(int(random.integers(0, 10))):
        freckle = np.array([x, y]) + random.normal(0, 0.35, 2) * radius
        _spot(draw, freckle[0], freckle[1], radius * 0.03, _shaded(skin, 0.75))
    # Turned faces: everything moves to a side, and what is there gets narrower.
    turn = random.uniform(-0.3, 0.3)
    tilt = random.normal(0, 0.08)
    eye_wide, eye_high = radius * random.uniform(0.19, 0.27), radius * random.uniform(0.1, 0.17)
    iris = varied(_DARK[random.integers(len(_DARK))], random, 20)
    glasses = random.random() < 0.25
    covered = int(random.integers(2)) if random.random() < 0.2 else None
    for side in (0, 1):
        sign = 2 * side - 1
        wide = eye_wide * (1 - sign * turn * 0.7)
        middle = x + radius * (0.42 * sign + turn), y - high * 0.12 + radius * tilt * sign
        if side == covered:
            lock = [(middle[0] - wide * 1.6, y - high), (middle[0] + wide * 1.6, y - high)]
            lock += [
                (middle[0] + wide * 1.4, middle[1] + eye_high * 2),
                (middle[0] - wide * 1.5, middle[1] + eye_high * 3),
            ]
            draw.polygon(lock, fill=hair)
            continue
        frame = _frame(*middle, wide, eye_high)
        draw.ellipse(frame, fill=(240, 238, 232), outline=_shaded(skin, 0.5), width=ZOOM)
        pupil = min(eye_high * 0.95, wide * 0.7)
        _spot(draw, middle[0] + turn * wide, middle[1], pupil, iris)
        _spot(draw, middle[0] + turn * wide, middle[1], pupil * 0.45, (15, 15, 18))
        brow = middle[1] - eye_high * random.uniform(1.9, 2.6)
        draw.line((middle[0] - wide, brow, middle[0] + wide, brow), fill=hair, width=int(radius * 0.07))
        if glasses:
            ring = _frame(*middle, wide * 1.5, eye_high * 2.1)
            draw.ellipse(ring, outline=(40, 40, 44), width=int(0.8 * ZOOM))
        boxes.append(_box("eye", frame))
    nose_wide, nose_high = radius * random.uniform(0.13, 0.2), radius * random.uniform(0.2, 0.3)
    nose = x + radius * turn * 1.3, y + high * 0.17
    shade = _shaded(skin, random.uniform(0.68, 0.82))
    corners = [
        (nose[0] - turn * nose_wide, nose[1] - nose_high),
        (nose[0] + nose_wide, nose[1] + nose_high * 0.8),
        (nose[0], nose[1] + nose_high),
        (nose[0] - nose_wide, nose[1] + nose_high * 0.8),
    ]
    draw.polygon(corners, fill=shade)
    for sign in (-1, 1):
        _spot(
            draw,
            nose[0] + sign * nose_wide * 0.5,
            nose[1] + nose_high * 0.7,
            nose_wide * 0.22,
            _shaded(skin, 0.45),
        )
    boxes.append(_box("nose", _frame(*nose, nose_wide, nose_high)))
    mouth_wide, mouth_high = radius * random.uniform(0.28, 0.46), radius * random.uniform(0.07, 0.15)
    mouth = x + radius * turn, y + high * random.uniform(0.5, 0.6)
    lips = _frame(*mouth, mouth_wide, mouth_high)
    if random.random() < 0.15:
        # A beard hides the mouth.
        draw.ellipse(_frame(*mouth, mouth_wide * 1.4, radius * 0.24), fill=hair)
    else:
        draw.ellipse(lips, fill=varied((178, 72, 72), random, 18))
        draw.line((lips[0], mouth[1], lips[2], mouth[1]), fill=(110, 40, 45), width=ZOOM)
        boxes.append(_box("mouth", lips))


def _frame(x: float, y: float, wide: float, high: float) -> tuple[float, float, float, float]:
    return x - wide, y - high, x + wide, y + high


def _spot(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, color: Any) -> None:
    draw.ellipse(_frame(x, y, radius, radius), fill=color)


def _shaded(color: tuple[int, int, int], share: float) -> tuple[int, int, int]:
    red, green, blue = (int(value * share) for value in color)
    return red, green, blue


def _box(label: str, frame: tuple[float, float, float, float]) -> dict[str, Any]:
    return {"label": label, "frame": frame}


def _small(box: dict[str, Any]) -> dict[str, Any]:
    """A box in pixels of the finished picture."""
    left, top, right, bottom = (min(max(round(edge / ZOOM), 0), SIDE) for edge in box["frame"])
    return {
        "label": box["label"],
        "left": left,
        "top": top,
        "width": max(right - left, 1),
        "height": max(bottom - top, 1),
    }
