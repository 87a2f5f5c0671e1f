"""Images with masks: drawn pictures of cells as a microscope shows them.

No microscope was used: cells, of which some have a nucleus, and threads of dust are drawn with random stains,
sizes and shapes. They overlap, the stain differs from slide to slide so that one slide's cells have the
colour of another one's nuclei, and light, focus and noise are as bad as in a hurry. The truth is what was
drawn last at each pixel.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw

from truthloop_cli.demo_data import Example, Plan, Sizes
from truthloop_cli.demo_data.drawing import ZOOM, blob, finished, mask_of, specks, varied

PLAN = Plan(
    name="cells",
    what="drawn microscope pictures of cells",
    label_categories=["cell", "nucleus", "dust"],
    label_attribute="cells-ref",
    labeling={
        "task_title": "Paint cells, nuclei and dust / 細胞・核・ほこりを塗ってください",
        "task_description": "Paint each cell, each nucleus, and each thread of dust.",
        "task_keywords": ["image", "segmentation"],
        "instructions": "A cell is its light body; its darker nucleus, if there is one, is a nucleus.\n"
        "細胞の明るい部分を cell、その中の濃い核を nucleus、糸状のごみを dust として塗ってください。",
    },
    sizes=Sizes(60, 1200, 200),
    seed_size=5,
    round_size=8,
    rounds=5,
    seconds=20,
    confusion={"annotator-5": {"dust": "cell"}},
)

SIDE = 112
_BIG = SIDE * ZOOM
_CELL, _NUCLEUS, _DUST = 1, 2, 3
_GROUNDS = [(235, 230, 222), (222, 228, 235), (240, 228, 232), (205, 205, 200)]
_STAINS = [(214, 150, 160), (180, 160, 205), (205, 170, 140), (160, 175, 190)]


def examples(size: int, seed: int) -> Iterator[Example]:
    """`size` pictures."""
    for number in range(size):
        yield _picture(np.random.default_rng([seed, number]), number)


def _picture(random: np.random.Generator, number: int) -> Example:
    ground = varied(_GROUNDS[random.integers(len(_GROUNDS))], random, 8)
    image, mask = Image.new("RGB", (_BIG, _BIG), ground), Image.new("L", (_BIG, _BIG), 0)
    draw, marks = ImageDraw.Draw(image), ImageDraw.Draw(mask)
    specks(draw, (_BIG, _BIG), random, int(random.integers(3, 12)), [ground, (170, 165, 160)])
    stain = np.array(varied(_STAINS[random.integers(len(_STAINS))], random, 12))
    depth = random.uniform(0.55, 0.8)
    for _ in range(int(random.integers(3, 8))):
        middle = tuple(random.uniform(0.05, 0.95, 2) * _BIG)
        radius = random.uniform(9, 17) * ZOOM
        body = varied(stain, random, 10)
        outline = blob(middle, (radius, radius * random.uniform(0.75, 1)), random, 0.12)
        draw.polygon(outline, fill=body, outline=varied(stain * 0.85, random, 6))
        marks.polygon(outline, fill=_CELL)
        if random.random() < 0.6:
            inner = radius * random.uniform(0.35, 0.6)
            shifted = (
                middle[0] + random.normal(0, 0.12) * radius,
                middle[1] + random.normal(0, 0.12) * radius,
            )
            core = blob(shifted, (inner, inner * random.uniform(0.65, 1)), random, 0.2)
            draw.polygon(core, fill=varied(stain * depth * np.array([0.8, 0.75, 1.0]), random, 10))
            marks.polygon(core, fill=_NUCLEUS)
        else:
            # The pale middle of a cell without a nucleus.
            pale = blob(middle, (radius * 0.4, radius * 0.35), random, 0.1)
            draw.polygon(pale, fill=varied(np.array(body) * 0.5 + np.array(ground) * 0.5, random, 5))
    for _ in range(int(random.integers(0, 4))):
        thread = _thread(random)
        width = int(random.uniform(3, 5) * ZOOM)
        draw.line(
            thread, fill=varied(stain * random.uniform(0.5, 0.9), random, 25), width=width, joint="curve"
        )
        marks.line(thread, fill=_DUST, width=width, joint="curve")
    content = finished(image, random, random.uniform(5, 14), 0.3, random.uniform(0.4, 1.1))
    indices = np.asarray(mask.resize((SIDE, SIDE), Image.Resampling.NEAREST))
    truth = {"mask": base64.b64encode(mask_of(indices)).decode(), "labels": PLAN.label_categories}
    return Example(content, truth, {"slide": {"number": number}})


def _thread(random: np.random.Generator) -> list[tuple[float, float]]:
    place, angle = random.uniform(0.1, 0.9, 2) * _BIG, random.uniform(0, 6.28)
    points = []
    for _ in range(12):
        points.append((float(place[0]), float(place[1])))
        angle += random.normal(0, 0.35)
        place = place + np.array([np.cos(angle), np.sin(angle)]) * 3.5 * ZOOM
    return points
