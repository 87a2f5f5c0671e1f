"""Images with one class per pixel: a filter bank, and a small network on what it sees around each pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from truthloop.labels import MASK
from truthloop_batch.adapters.base import Artifacts, MaskPrediction
from truthloop_batch.adapters.checks import check_integer
from truthloop_batch.adapters.filter_bank import filter_bank, smoothed
from truthloop_batch.adapters.pixels import fit_pixels, named, of_stage, predict_pixels
from truthloop_batch.images import read_picture

# At which the second stage sees what the first one says of the surroundings.
_CONTEXT_SCALES = (2.0, 4.0, 8.0)


@dataclass(frozen=True)
class PixelClassifier:
    """Classifies the pixels of images by their surroundings, twice.

    The first network sees what the filter bank says of a pixel. The second one sees that, and what the first
    one thinks of the surroundings, up to 32 pixels of the working size away ("auto-context": Tu and Bai
    2010, https://doi.org/10.1109/TPAMI.2009.186): a disc is known by its whole, not by its edge.

    An image is read at the working size, stretched to a square; its predictions are drawn in the size that
    it has.

    Attributes
    ----------
    image_size
        Side of the working size in pixels, 32 to 512.
    hidden
        Units of the network's hidden layer, 4 to 256.
    pixels
        About so many labelled pixels are learnt from, 1,000 to 1,000,000.
    epochs
        How often each of them is seen, 1 to 200.
    """

    name: ClassVar[str] = "pixel-classifier"
    kinds: ClassVar[tuple[str, ...]] = (MASK,)

    image_size: int = 96
    hidden: int = 32
    pixels: int = 20_000
    epochs: int = 20

    def __post_init__(self) -> None:
        check_integer("image_size", self.image_size, 32, 512)
        check_integer("hidden", self.hidden, 4, 256)
        check_integer("pixels", self.pixels, 1_000, 1_000_000)
        check_integer("epochs", self.epochs, 1, 200)

    def reader(self, fetch: Callable[[str], bytes]) -> Callable[[bytes], NDArray[Any]]:
        """Reads images as `truthloop_batch.images.read_picture` does."""
        return lambda content: read_picture(content, self.image_size)

    def fit(self, inputs: NDArray[Any], targets: NDArray[np.uint8], classes: int, seed: int) -> Artifacts:
        """Fit to pictures [n] and masks [n, image_size, image_size], 0 for the background."""
        settings = (targets, classes + 1, self.pixels, self.hidden, self.epochs)
        pixels = inputs["pixels"]
        first = fit_pixels(map(filter_bank, pixels), *settings, seed)
        second = fit_pixels((_in_context(first, image) for image in pixels), *settings, seed + 1)
        return named("first", first) | named("second", second)

    def predict(self, artifacts: Artifacts, inputs: NDArray[Any]) -> list[MaskPrediction]:
        """What it says of pictures [n]."""
        first, second = of_stage("first", artifacts), of_stage("second", artifacts)
        return [
            MaskPrediction(
                (int(picture["width"]), int(picture["height"])),
                predict_pixels(second, _in_context(first, picture["pixels"])),
            )
            for picture in inputs
        ]


def _in_context(first: Artifacts, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the second stage sees of an image, [h, w, d]."""
    features = filter_bank(pixels)
    opinion = predict_pixels(first, features)
    around = np.concatenate([smoothed(opinion, scale) for scale in _CONTEXT_SCALES])
    return np.concatenate([features, around.transpose(1, 2, 0)], axis=2)
