"""What the program does with labels of each kind: read, learn from, measure, score, write; a module each.

A task type names its kind (`LABEL_KIND`), and every step of the program asks the kind for whatever depends on
it. A *label* is the Python value that `read_label` makes of a row; a *prediction* is what a model of the kind
says of one row, and `predictions` are n of them in a sequence (an array for `class` and `classes`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from truthloop.errors import TruthloopError
from truthloop.labels import BOXES, CLASS, CLASSES, MASK
from truthloop.manifest import Row

if TYPE_CHECKING:
    from truthloop_batch.context import Context

_MODULES = {CLASS: "single_class", CLASSES: "class_set", BOXES: "boxes", MASK: "mask"}

# Arrays whose first axis are the compared rows; what `quality` and `log_loss` add up.
Evidence: TypeAlias = Mapping[str, NDArray[Any]]


class UnknownKind(TruthloopError):
    """A task type names a label kind that the program doesn't have."""


class Kind(Protocol):
    """What a module of this package offers."""

    @property
    def NAME(self) -> str:
        """One of `truthloop.labels.KINDS`."""

    @property
    def METRIC(self) -> str:
        """What `quality` measures: "accuracy", "macro_f1", "map_50" or "mean_iou"."""

    @property
    def ROWS_AT_ONCE(self) -> int:
        """How many predictions are held in memory at a time."""

    def read_label(self, context: Context, row: Row) -> Any | None:
        """The row's label, None when nobody labelled it.

        Raises
        ------
        InvalidManifest
            When the label has another form, or names a category that there isn't.
        """

    def targets(self, context: Context, rows: Sequence[Row], inputs: NDArray[Any]) -> NDArray[Any]:
        """What an adapter of the kind is fitted to: one element for each labelled row and its input."""

    def scores(self, predictions: Sequence[Any]) -> dict[str, NDArray[Any]]:
        """The columns of the score shards: predicted int16, confidence, margin and entropy float32, all [n].

        `predicted` is -1 where a prediction is no single class. The margin is small for unsure rows, from 0
        to 1; the confidence is from 0 to 1, and the entropy in nats.
        """

    def compare(self, labels: Sequence[Any], predictions: Sequence[Any], classes: int) -> Evidence:
        """How predictions agree with labels, row by row."""

    def quality(self, evidence: Sequence[Evidence], classes: Sequence[str], seed: int) -> dict[str, Any]:
        """`quality`, its 95 % `interval`, `macro_f1`, `confusion` and `per_class` over at least one row."""

    def log_loss(self, evidence: Sequence[Evidence]) -> float | None:
        """The mean negative log-likelihood of the labels in nats, None where it isn't defined."""

    def agreement(self, label: Any, prediction: Any, classes: int) -> float:
        """How far one prediction is the label, from 0 to 1."""

    def label_of(self, context: Context, row: Row, prediction: Any) -> tuple[Any, dict[str, Any]]:
        """The prediction as the row's label in Ground Truth's format, and the metadata that the kind adds.

        What cannot stand in a row, a mask's pictures, is written below report/masks/.
        """

    @property
    def suggestion_of(self) -> Callable[[Context, Row, Any], tuple[Any, dict[str, Any]]] | None:
        """Like `label_of`, for what workers are shown to correct; None where no widget can show a label.

        Pictures are written below rounds/<round>/suggestions/.
        """


@cache
def get(name: str) -> Kind:
    """The module of a kind.

    Raises
    ------
    UnknownKind
        When there is none of this name.
    """
    if name not in _MODULES:
        raise UnknownKind(
            f"the label kind is {name!r}; allowed: {', '.join(_MODULES)}. Correct the task type."
        )
    return cast("Kind", importlib.import_module(f"{__name__}.{_MODULES[name]}"))


def joined(evidence: Sequence[Evidence]) -> dict[str, NDArray[Any]]:
    """The evidence of several batches as one."""
    return {name: np.concatenate([part[name] for part in evidence]) for name in evidence[0]}
