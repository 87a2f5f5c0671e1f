"""What the program asks of a model adapter.

An adapter turns the content of one row (an object's bytes, or a text in UTF-8) into one input of fixed shape,
fits a model to labelled inputs, and predicts class probabilities. A fitted model is nothing but named numpy
arrays, so it is stored without pickles, and predicts without the library that fitted it.
"""

from __future__ import annotations

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
class Predictions:
    """What a model says of n inputs.

    Attributes
    ----------
    probabilities
        float64 [n, classes]; every row sums to one, classes that no label showed included.
    embeddings
        float32 [n, d]; near inputs are alike to the model.
    """

    probabilities: NDArray[np.float64]
    embeddings: NDArray[np.float32]


class Adapter(Protocol):
    """A kind of model; its dataclass fields are its hyperparameters."""

    name: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def read(self, content: bytes) -> NDArray[Any]:
        """One row's content as one input; the same shape and type for every row.

        Raises
        ------
        UnreadableContent
            When the content is damaged or of another kind.
        """
        ...

    def fit(self, inputs: NDArray[Any], labels: NDArray[np.int64], classes: int, seed: int) -> Artifacts:
        """Fit to inputs [n, …] and labels [n], indices below `classes`; n >= 1, any class may be missing.

        The same arguments give the same arrays.
        """
        ...

    def predict(self, artifacts: Artifacts, inputs: NDArray[Any]) -> Predictions:
        """Predict for inputs [n, …]; n may be 0."""
        ...
