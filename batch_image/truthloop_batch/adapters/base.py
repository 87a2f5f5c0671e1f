"""What the program asks of a model adapter, and what its models say of a row.

An adapter turns the content of one row (an object's bytes, or a text in UTF-8) into one input of fixed shape,
fits a model to labelled inputs, and predicts what its label kinds call for. A fitted model is nothing but
named numpy arrays, so it is stored without pickles, and predicts without the library that fitted it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from truthloop.errors import TruthloopError

Artifacts: TypeAlias = dict[str, NDArray[Any]]


class InvalidHyperparameters(TruthloopError):
    """The campaign's hyperparameters are not those of its adapter."""


class UnreadableContent(TruthloopError):
    """The content of one row is not what the adapter reads; the text says why, without naming the row."""


@dataclass(frozen=True)
class Detections:
    """What a model of boxes says of one image.

    Attributes
    ----------
    size
        Width and height of the image in pixels.
    frames
        float64 [detections, 4]: left, top, width, height in the image's pixels.
    probabilities
        float64 [detections, 1 + classes]: that there is nothing, then the classes; rows sum to one.
    """

    size: tuple[int, int]
    frames: NDArray[np.float64]
    probabilities: NDArray[np.float64]

    def best(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The most probable class of each detection, and its probability: both [detections]."""
        classes = self.probabilities[:, 1:].argmax(axis=1)
        return classes, self.probabilities[np.arange(len(classes)), classes + 1]


@dataclass(frozen=True)
class MaskPrediction:
    """What a model of masks says of one image.

    Attributes
    ----------
    size
        Width and height of the image in pixels.
    probabilities
        float32 [1 + classes, h, w] of the background and the classes, in the size that the model works in;
        they sum to one over the first axis.
    """

    size: tuple[int, int]
    probabilities: NDArray[np.float32]

    def drawn(self, size: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """The most probable class of each pixel and its probability, both [height, width] of that size.

        The probabilities are interpolated class by class, so memory is bounded by three tables of the size.
        """
        from PIL import Image

        width, height = size
        mask = np.zeros((height, width), np.uint8)
        best = np.full((height, width), -1, np.float32)
        for number, values in enumerate(self.probabilities):
            if values.shape != best.shape:
                values = np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR))
            larger = values > best
            mask[larger] = number
            best = np.where(larger, values, best)
        return mask, best


class Adapter(Protocol):
    """A kind of model; its dataclass fields are its hyperparameters."""

    name: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]
    """The label kinds that it learns, see `truthloop_batch.kinds`."""
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def reader(self, fetch: Callable[[str], bytes]) -> Callable[[bytes], NDArray[Any]]:
        """What turns one row's content into one input; the same shape and type for every row.

        Many threads call it. `fetch` reads an object of S3 by its URI, for adapters that need more than their
        hyperparameters. What it returns raises `UnreadableContent` when the content is damaged or of another
        kind.
        """
        ...

    def fit(self, inputs: NDArray[Any], targets: NDArray[Any], classes: int, seed: int) -> Artifacts:
        """Fit to inputs [n, …] and the kind's targets [n, …]; n >= 1, any class may be missing.

        The same arguments give the same arrays.
        """
        ...

    def predict(self, artifacts: Artifacts, inputs: NDArray[Any]) -> Sequence[Any]:
        """The kind's predictions for inputs [n, …], n >= 1.

        float64 [n, classes] of probabilities for `class` (rows sum to one) and `classes`, n `Detections` for
        `boxes`, n `MaskPrediction` for `mask`.
        """
        ...
