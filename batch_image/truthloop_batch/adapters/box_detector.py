"""Images with boxes: where something may be by its pixels, and what it is by a second look at each place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from truthloop.labels import BOXES
from truthloop_batch.adapters.base import Artifacts, Detections
from truthloop_batch.adapters.checks import check_integer, check_number
from truthloop_batch.adapters.filter_bank import filter_bank
from truthloop_batch.adapters.kernel import fit_kernel_regression, predict_kernel_regression
from truthloop_batch.adapters.pixels import IGNORED, fit_pixels, named, of_stage, predict_pixels
from truthloop_batch.images import read_picture
from truthloop_batch.kinds.boxes import corners, overlaps

# The pixels' classes of the first stage.
_OUTSIDE, _RIM, _CORE = range(3)
# Of a box's axes; touching objects are apart in their cores.
_CORE_SHARE = 0.6
_THRESHOLDS = (0.25, 0.5, 0.75)
_CORE_THRESHOLDS = (0.3, 0.5, 0.7)
# In pixels of the working size.
_SIDE_MINIMUM = 3
_CANDIDATES_MAXIMUM = 60

# The second stage sees a candidate with this much around it, as so many pixels.
_MARGIN = 0.2
_CROP_SIDE = 12
# From this overlap with a labelled box on a candidate is an example of its class; below the other one, of
# nothing. Between them it is neither.
_OBJECT_IOU, _NOTHING_IOU = 0.6, 0.45
_JITTERS = 2
_JITTER = 0.08
_STRAYS = 3
# Detections that overlap more than this are taken for one object.
_SAME_IOU = 0.4
_PROBABILITY_MINIMUM = 0.05


@dataclass(frozen=True)
class BoxDetector:
    """Proposes regions from a map of the pixels, and classifies each.

    The first stage gives each pixel the probabilities of being outside of any box, in the rim, or in the core
    of one: pixels of the ellipse that a box holds are in it, those in its corners are not learnt from. The
    connected parts of the map above several thresholds are candidates, and those of the cores, widened to
    whole boxes, which tell apart what touches. The second stage classifies a small picture of each candidate
    by kernel logistic regression, with "nothing" for a further class that it learns from wrong candidates
    (regions with a classifier: Girshick et al. 2014, https://arxiv.org/abs/1311.2524). Of candidates that
    overlap, the most probable stays. Prediction needs scipy.ndimage beside numpy.

    What it can't do: tell apart objects that cover each other for the most part, or find ones smaller than a
    few pixels of the working size.

    Attributes
    ----------
    image_size
        Side of the working size in pixels, 32 to 512; images are stretched to a square.
    hidden
        Units of the pixel network's hidden layer, 4 to 256.
    pixels
        About so many labelled pixels are learnt from, 1,000 to 1,000,000.
    epochs
        How often each of them is seen, 1 to 200.
    kernel_gamma, regularisation, landmarks
        Of the second stage, as those of the image-classifier.
    """

    name: ClassVar[str] = "box-detector"
    kinds: ClassVar[tuple[str, ...]] = (BOXES,)

    image_size: int = 96
    hidden: int = 32
    pixels: int = 20_000
    epochs: int = 20
    kernel_gamma: float = 0.5
    regularisation: float = 100.0
    landmarks: int = 500

    def __post_init__(self) -> None:
        check_integer("image_size", self.image_size, 32, 512)
        check_integer("hidden", self.hidden, 4, 256)
        check_integer("pixels", self.pixels, 1_000, 1_000_000)
        check_integer("epochs", self.epochs, 1, 200)
        check_number("kernel_gamma", self.kernel_gamma, 0, 100)
        check_number("regularisation", self.regularisation, 0, 1e6)
        check_integer("landmarks", self.landmarks, 1, 10_000)

    def reader(self, fetch: Callable[[str], bytes]) -> Callable[[bytes], NDArray[Any]]:
        """Reads images as `truthloop_batch.images.read_picture` does."""
        return lambda content: read_picture(content, self.image_size)

    def fit(self, inputs: NDArray[Any], targets: NDArray[np.object_], classes: int, seed: int) -> Artifacts:
        """Fit to pictures [n], and for each float64 [boxes, 5]: class, and a frame in parts of the sides."""
        side = self.image_size
        frames = [target[:, 1:] * side for target in targets]
        maps = np.stack([_rasterised(each, side) for each in frames])
        pixels = inputs["pixels"]
        network = fit_pixels(map(filter_bank, pixels), maps, 3, self.pixels, self.hidden, self.epochs, seed)
        random = np.random.default_rng(seed)
        crops, labels = [], []
        for image, target, true in zip(pixels, targets, frames, strict=True):
            proposed = _candidates(predict_pixels(network, filter_bank(image)))
            examples = np.concatenate([true, _jittered(true, random), _strays(side, random), proposed])
            table = overlaps(examples, true) if len(true) else np.zeros((len(examples), 1))
            best, overlap = table.argmax(axis=1), table.max(axis=1)
            is_object = overlap >= _OBJECT_IOU
            chosen = is_object | (overlap < _NOTHING_IOU)
            of_class = target[best, 0].astype(np.int64) + 1 if len(true) else np.zeros(len(best), np.int64)
            crops.append(_crops(image, examples[chosen]))
            labels.append(np.where(is_object, of_class, 0)[chosen])
        regression = fit_kernel_regression(
            np.concatenate(crops),
            np.concatenate(labels),
            classes + 1,
            self.kernel_gamma,
            self.regularisation,
            self.landmarks,
            seed,
        )
        return named("pixels", network) | named("regions", regression)

    def predict(self, artifacts: Artifacts, inputs: NDArray[Any]) -> list[Detections]:
        """What it says of pictures [n]; the most probable detections first."""
        network, regression = of_stage("pixels", artifacts), of_stage("regions", artifacts)
        found = []
        for picture in inputs:
            frames = _candidates(predict_pixels(network, filter_bank(picture["pixels"])))
            table = predict_kernel_regression(
                regression, _crops(picture["pixels"], frames), self.kernel_gamma
            )
            kept = _distinct(frames, table[:, 1:].max(axis=1))
            width, height = int(picture["width"]), int(picture["height"])
            scale = np.array([width, height, width, height]) / self.image_size
            found.append(Detections((width, height), frames[kept] * scale, table[kept]))
        return found


def _rasterised(frames: NDArray[np.float64], side: int) -> NDArray[np.uint8]:
    """The first stage's classes [side, side] for frames [boxes, 4] in pixels."""
    target = np.full((side, side), _OUTSIDE, np.uint8)
    # Small boxes last, so that one in front of another stays whole.
    ordered = frames[np.argsort(-frames[:, 2:].prod(axis=1), kind="stable")]
    centres = np.arange(side) + 0.5
    for left, top, width, height in ordered:
        across = (centres - left - width / 2) / (width / 2)
        down = (centres - top - height / 2) / (height / 2)
        distance = np.sqrt(down[:, None] ** 2 + across[None] ** 2)
        corner = (np.abs(down)[:, None] <= 1) & (np.abs(across)[None] <= 1) & (distance > 1)
        target[corner & (target == _OUTSIDE)] = IGNORED
        target[distance <= 1] = _RIM
        target[distance <= _CORE_SHARE] = _CORE
    return target


def _candidates(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Frames [candidates, 4] in pixels from the first stage's map [3, side, side]."""
    # Ten times as long to import as to use once, and only this adapter needs it.
    from scipy.ndimage import find_objects, label

    side = probabilities.shape[1]
    found = []
    for values, thresholds, share in (
        (1 - probabilities[_OUTSIDE], _THRESHOLDS, 1.0),
        (probabilities[_CORE], _CORE_THRESHOLDS, _CORE_SHARE),
    ):
        for threshold in thresholds:
            parts, _ = label(values > threshold)
            for rows, columns in find_objects(parts):
                width, height = (columns.stop - columns.start) / share, (rows.stop - rows.start) / share
                middle = (columns.start + columns.stop) / 2, (rows.start + rows.stop) / 2
                if min(width, height) >= _SIDE_MINIMUM:
                    found.append((middle[0] - width / 2, middle[1] - height / 2, width, height))
    frames = np.array(sorted(found, key=lambda frame: -frame[2] * frame[3]), np.float64).reshape(-1, 4)
    edges = corners(frames).clip(0, side)
    frames = np.concatenate([edges[:, :2], edges[:, 2:] - edges[:, :2]], axis=1)
    return np.unique(frames, axis=0)[:_CANDIDATES_MAXIMUM] if len(frames) else frames


def _crops(pixels: NDArray[np.uint8], frames: NDArray[np.float64]) -> NDArray[np.uint8]:
    """What frames [n, 4] hold, with some of what is around them: uint8 [n, _CROP_SIDE^2 * 3]."""
    side = len(pixels)
    steps = (np.arange(_CROP_SIDE) + 0.5) / _CROP_SIDE * (1 + 2 * _MARGIN) - _MARGIN
    columns = frames[:, :1] + steps * frames[:, 2:3] - 0.5
    rows = frames[:, 1:2] + steps * frames[:, 3:] - 0.5
    (above, below, down), (before, behind, across) = (_between(places, side) for places in (rows, columns))
    values = pixels.astype(np.float32)

    def picked(row: NDArray[np.int64], column: NDArray[np.int64]) -> NDArray[np.float32]:
        return values[row[:, :, None], column[:, None, :]]

    down, across = down[:, :, None, None], across[:, None, :, None]
    upper = picked(above, before) * (1 - across) + picked(above, behind) * across
    lower = picked(below, before) * (1 - across) + picked(below, behind) * across
    mixed = upper * (1 - down) + lower * down
    return np.rint(mixed).astype(np.uint8).reshape(len(frames), 3 * _CROP_SIDE**2)


def _between(
    places: NDArray[np.float64], side: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """The two pixels that each place lies between, and how far it is from the first to the second."""
    inside = places.clip(0, side - 1)
    first = np.floor(inside).astype(np.int64)
    return first, np.minimum(first + 1, side - 1), (inside - first).astype(np.float32)


def _jittered(frames: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Frames that are a little off, as candidates are."""
    many = np.repeat(frames, _JITTERS, axis=0)
    sides = np.tile(many[:, 2:], 2)
    return many + random.normal(0, _JITTER, many.shape) * sides * [1, 1, 0.5, 0.5]


def _strays(side: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Frames anywhere, so that the second stage knows the ground as well."""
    sizes = random.uniform(0.1, 0.5, (_STRAYS, 2)) * side
    return np.concatenate([random.uniform(0, 1, (_STRAYS, 2)) * (side - sizes), sizes], axis=1)


def _distinct(frames: NDArray[np.float64], scores: NDArray[np.float64]) -> list[int]:
    """The positions of the most probable frames that don't show the same object, in that order."""
    table = overlaps(frames, frames)
    kept: list[int] = []
    for number in np.argsort(-scores, kind="stable"):
        if scores[number] >= _PROBABILITY_MINIMUM and not (table[number, kept] > _SAME_IOU).any():
            kept.append(int(number))
    return kept
