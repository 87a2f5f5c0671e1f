"""What a person of stated skill answers with each crowd element: choices, boxes and painted masks.

The skill is one number, from 0 to 1, whose complement `error` makes all mistakes: those that people make, who
overlook things, take them for others, see some that are not there, and draw beside the edges.
"""

# The draws are seeded on purpose.
# ruff: noqa: S311

from __future__ import annotations

import base64
import io
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Of a box's sides, the standard deviation of where each edge is drawn: of the most skilled, and per error.
_EDGE, _EDGE_PER_ERROR = 0.02, 0.15
# The side of an invented box in an image without any, as part of the image's.
_INVENTED_SIDE = 0.2
# Of the image's shorter side, the standard deviation of a painted outline's slips, and how wide they are.
_OUTLINE, _OUTLINE_PER_ERROR = 0.004, 0.05
_SLIP_WIDTH = 0.15
# Of the image's shorter side, per error: how much wider or narrower than the truth somebody paints.
_WIDENED_PER_ERROR = 0.03
# The colours that the masks of AWS's element have, in the order of the labels: d3's, as awslabs' published
# decoder for Ground Truth's masks lists them.
_COLORS = (
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22",
    "#17becf", "#aec7e8", "#ffbb78", "#98df8a", "#ff9896", "#c5b0d5", "#c49c94", "#f7b6d2", "#c7c7c7",
    "#dbdb8d", "#9edae5",
)  # fmt: skip


class InvalidTruth(ValueError):
    """A truth that cannot be answered with the template's element; the text says what is expected."""


@dataclass(frozen=True)
class Person:
    """Who answers one task.

    Attributes
    ----------
    skill
        From 0 to 1.
    confusion
        For some true labels the one that a mistake names; else it is any other label.
    draw
        A stream of random numbers that belongs to this person and this object alone.
    """

    skill: float
    confusion: Mapping[str, str] = field(default_factory=dict)
    draw: random.Random = field(default_factory=lambda: random.Random(0))

    @property
    def error(self) -> float:
        return 1 - self.skill

    def mistaken(self, truth: str, labels: Sequence[str]) -> str:
        """The label that this person takes `truth` for."""
        others = [label for label in labels if label != truth]
        confused = self.confusion.get(truth)
        return confused if confused in others else self.draw.choice(others or [truth])


Answer: TypeAlias = dict[str, Any]


def choose_some(person: Person, truth: Any, labels: Sequence[str]) -> Answer:
    """The answer of crowd-image-classifier-multi-select: each label is judged rightly with chance `skill`.

    Parameters
    ----------
    truth
        The list of the labels that apply; it may be empty.
    """
    if not isinstance(truth, list) or not set(truth) <= set(labels):
        raise InvalidTruth("a list of some of the labels")
    # Drawn for each label in its own order, so that a label more changes nothing of the others.
    judged = {label: (label in truth) == (person.draw.random() < person.skill) for label in labels}
    return {"labels": [label for label in labels if judged[label]]}


def draw_boxes(person: Person, truth: Any, labels: Sequence[str]) -> Answer:
    """The answer of crowd-bounding-box, in whole pixels inside the image.

    An object is overlooked with the chance `error` and taken for another with half of it; each edge is off by
    a normal error that grows with it; with the chance `error` one box more is drawn where nothing is.

    Parameters
    ----------
    truth
        {"width", "height", "boxes": [{"label", "left", "top", "width", "height"}]}, in pixels.
    """
    width, height, boxes = _true_boxes(truth, labels)
    drawn = []
    spread = _EDGE + _EDGE_PER_ERROR * person.error
    for box in boxes:
        overlooked, taken = person.draw.random() < person.error, person.draw.random() < person.error / 2
        slips = [person.draw.gauss(0, spread) for _ in range(4)]
        if overlooked:
            continue
        left, top = box["left"] + slips[0] * box["width"], box["top"] + slips[1] * box["height"]
        right = box["left"] + box["width"] * (1 + slips[2])
        bottom = box["top"] + box["height"] * (1 + slips[3])
        label = person.mistaken(box["label"], labels) if taken else box["label"]
        drawn.append(_inside(label, (left, top, right, bottom), width, height))
    if person.draw.random() < person.error:
        drawn.append(_invented(person, boxes, labels, width, height))
    return {"boundingBoxes": drawn, "inputImageProperties": {"height": height, "width": width}}


def paint_mask(person: Person, truth: Any, labels: Sequence[str]) -> Answer:
    """The answer of crowd-semantic-segmentation: an RGBA PNG, as a browser's canvas makes it.

    A connected region is overlooked with the chance `error` / 2, and painted as another label with the same;
    the outlines slip smoothly to and fro, and are too wide or too narrow as a whole.

    Parameters
    ----------
    truth
        {"mask": base64 of a PNG with a palette or grey values, "labels": […]}: 0 is the background, i the
        i-th of its labels.
    """
    import numpy as np

    indices, regions, names = _true_mask(truth, tuple(labels))
    height, width = indices.shape
    # The i-th entry: what is painted for region i.
    painted = np.zeros(len(names) + 1, np.uint8)
    for number, name in enumerate(names, start=1):
        overlooked, taken = person.draw.random() < person.error / 2, person.draw.random() < person.error / 2
        shown = person.mistaken(name, labels) if taken else name
        painted[number] = 0 if overlooked else labels.index(shown) + 1
    drawn = _widened(_slipped(painted[regions], person), person)
    used = [number for number in range(1, len(labels) + 1) if (drawn == number).any()]
    return {
        "inputImageProperties": {"height": height, "width": width},
        "labelMappings": {labels[number - 1]: {"color": _color(number)} for number in used},
        "labeledImage": {"pngImageData": base64.b64encode(_canvas_png(drawn, len(labels))).decode()},
    }


def choose_one(label: str) -> Answer:
    """The answer of crowd-classifier and crowd-image-classifier."""
    return {"label": label}


#: The elements that draw or choose several; those that choose one are asked for by `Annotator.choose`.
ELEMENTS: dict[str, Callable[[Person, Any, Sequence[str]], Answer]] = {
    "crowd-image-classifier-multi-select": choose_some,
    "crowd-bounding-box": draw_boxes,
    "crowd-semantic-segmentation": paint_mask,
}


# Boxes


def _true_boxes(truth: Any, labels: Sequence[str]) -> tuple[int, int, list[dict[str, Any]]]:
    try:
        width, height = int(truth["width"]), int(truth["height"])
        boxes = [
            {"label": box["label"], **{side: float(box[side]) for side in ("left", "top", "width", "height")}}
            for box in truth["boxes"]
        ]
    except (TypeError, KeyError, ValueError):
        boxes, width, height = [], 0, 0
    if min(width, height) < 1 or not all(box["label"] in labels for box in boxes):
        raise InvalidTruth(
            'an object {"width", "height", "boxes": [{"label", "left", "top", "width", "height"}]} in '
            "pixels, with some of the labels"
        )
    return width, height, boxes


def _inside(label: str, edges: tuple[float, float, float, float], width: int, height: int) -> dict[str, Any]:
    """A box of at least one pixel, as the element gives it."""
    left, right = min(max(round(edges[0]), 0), width - 1), round(edges[2])
    top, bottom = min(max(round(edges[1]), 0), height - 1), round(edges[3])
    right, bottom = min(max(right, left + 1), width), min(max(bottom, top + 1), height)
    return {"height": bottom - top, "label": label, "left": left, "top": top, "width": right - left}


def _invented(
    person: Person, boxes: Sequence[Mapping[str, Any]], labels: Sequence[str], width: int, height: int
) -> dict[str, Any]:
    model = person.draw.choice(boxes) if boxes else {"width": width, "height": height}
    scale = 1 if boxes else _INVENTED_SIDE
    wide, high = min(model["width"] * scale, width), min(model["height"] * scale, height)
    left, top = person.draw.uniform(0, width - wide), person.draw.uniform(0, height - high)
    label = person.draw.choice(list(labels))
    return _inside(label, (left, top, left + wide, top + high), width, height)


# Masks


def _true_mask(truth: Any, labels: tuple[str, ...]) -> tuple[NDArray[np.uint8], NDArray[np.int32], list[str]]:
    try:
        content, names = base64.b64decode(truth["mask"], validate=True), tuple(truth["labels"])
        indices, regions, classes = _regions(content)
    except (TypeError, KeyError, ValueError, OSError, SyntaxError) as error:
        raise InvalidTruth(f'an object {{"mask": base64 of a PNG, "labels"}} ({error})') from None
    if not set(names) <= set(labels) or max(classes, default=0) > len(names):
        raise InvalidTruth("a mask whose labels are some of the labels, and whose values are no others")
    return indices, regions, [names[number - 1] for number in classes]


# Each object is seen by a few people one soon after the other.
@lru_cache(maxsize=64)
def _regions(content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int32], tuple[int, ...]]:
    """A mask's values [h, w], its connected regions [h, w] from 1, and the value of each region."""
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
        if image.mode not in ("P", "L"):
            raise ValueError(f"the PNG has the mode {image.mode}; expected P or L")
        indices = np.array(image)
    # Each pixel takes the smallest name among its neighbours of the same value, until none changes.
    names = np.where(indices > 0, np.arange(1, indices.size + 1).reshape(indices.shape), 0)
    while True:
        before = names.copy()
        for axis in (0, 1):
            one = names.swapaxes(0, axis)
            same = indices.swapaxes(0, axis)
            same = same[1:] == same[:-1]
            for some, others in ((one[1:], one[:-1]), (one[:-1], one[1:])):
                np.copyto(some, np.minimum(some, others), where=same)
        if (names == before).all():
            break
    found, regions = np.unique(names, return_inverse=True)
    regions = regions.reshape(indices.shape).astype(np.int32) + (found[0] != 0)
    classes = tuple(int(indices.flat[name - 1]) for name in found if name)
    return indices, regions, classes


def _slipped(indices: NDArray[np.uint8], person: Person) -> NDArray[np.uint8]:
    """The mask with each pixel taken from where a smooth field of slips points to."""
    import numpy as np

    height, width = indices.shape
    short = min(height, width)
    spread = (_OUTLINE + _OUTLINE_PER_ERROR * person.error) * short
    places = []
    down, across = np.mgrid[:height, :width]
    for place, limit in ((down, height), (across, width)):
        slip = _smooth_field(person.draw, height, width, _SLIP_WIDTH * short) * spread
        places.append(np.rint(place + slip).clip(0, limit - 1).astype(np.intp))
    return indices[places[0], places[1]]


def _smooth_field(draw: random.Random, height: int, width: int, scale: float) -> NDArray[np.float32]:
    """Random values [h, w] of about unit deviation that change over `scale` pixels."""
    import numpy as np
    from PIL import Image

    rows, columns = max(2, round(height / scale) + 1), max(2, round(width / scale) + 1)
    coarse = np.array([[draw.gauss(0, 1) for _ in range(columns)] for _ in range(rows)], np.float32)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def _widened(indices: NDArray[np.uint8], person: Person) -> NDArray[np.uint8]:
    """The mask with its outline moved out or in by a few pixels everywhere."""
    import numpy as np
    from PIL import Image, ImageFilter

    pixels = round(person.draw.gauss(0, _WIDENED_PER_ERROR * person.error) * min(indices.shape))
    if pixels == 0:
        return indices
    window = 2 * abs(pixels) + 1
    if pixels > 0:
        wide = np.asarray(Image.fromarray(indices).filter(ImageFilter.MaxFilter(window)))
        return np.where(indices > 0, indices, wide)
    inner = np.asarray(Image.fromarray(indices).filter(ImageFilter.MinFilter(window)))
    return np.where(inner > 0, indices, np.uint8(0))


def _color(number: int) -> str:
    """The colour of the label `number`, from 1; all are different."""
    if number <= len(_COLORS):
        return _COLORS[number - 1]
    # Blue counts on; d3's colours have no red of 1.
    return f"#01{number // 256:02x}{number % 256:02x}"


def _canvas_png(indices: NDArray[np.uint8], labels: int) -> bytes:
    """An RGBA PNG with a transparent background."""
    import numpy as np
    from PIL import Image

    table = np.zeros((labels + 1, 4), np.uint8)
    for number in range(1, labels + 1):
        table[number] = (*bytes.fromhex(_color(number)[1:]), 255)
    buffer = io.BytesIO()
    Image.fromarray(table[indices]).save(buffer, "PNG")
    return buffer.getvalue()
