"""The label kind `classes`: each row has any number of the label categories, none among them.

A model gives each category a probability of its own. The categories of a row are those above one half.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from truthloop.errors import InvalidManifest
from truthloop.labels import ALLOWED, CLASSES, refusal
from truthloop.manifest import Row
from truthloop_batch.acquisition import InvalidProbabilities
from truthloop_batch.kinds import Evidence, counts, joined

if TYPE_CHECKING:
    from truthloop_batch.context import Context

NAME = CLASSES
METRIC = "macro_f1"
ROWS_AT_ONCE = 512
# The classifiers' widgets take no initial value.
suggestion_of = None
# From here on a category is said to apply.
THRESHOLD = 0.5

_CONFIDENCE_DIGITS = 6
_PROBABILITY_MINIMUM = 1e-12


def read_label(context: Context, row: Row) -> tuple[int, ...] | None:
    """The sorted indices of the row's categories, of which there may be none."""
    label = row.get(context.request.label_attribute)
    if label is None:
        return None
    found = refusal(CLASSES, row, context.request.label_attribute, context.classes)
    if found is not None:
        raise InvalidManifest(f"the label is wrong, {found}; allowed: {ALLOWED[CLASSES]}")
    return tuple(sorted(label))


def targets(context: Context, rows: Sequence[Row], inputs: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each category applies, [n, classes]."""
    return _table([context.label(row) for row in rows], len(context.classes))


def scores(predictions: NDArray[np.floating]) -> dict[str, NDArray[Any]]:
    """Each category of probabilities [n, classes] is a decision between yes and no.

    The margin |2 p - 1| and the confidence max(p, 1 - p) are means over the categories, the entropy is that
    of all decisions together: the sum, as if they were independent. Means over the categories are the
    aggregation "average" of Esuli and Sebastiani (2009), https://doi.org/10.1007/978-3-642-00958-7_12; a
    minimum would follow the one category that is hard in every row.
    """
    if not ((predictions >= 0) & (predictions <= 1)).all():
        raise InvalidProbabilities(
            "a probability of a category is not from 0 to 1. Return one probability per category and row."
        )
    lead = np.abs(2 * predictions - 1)
    return {
        "predicted": np.full(len(predictions), -1, np.int16),
        "confidence": ((1 + lead) / 2).mean(axis=1).astype(np.float32),
        "margin": lead.mean(axis=1).astype(np.float32),
        "entropy": (_surprise(predictions) + _surprise(1 - predictions)).sum(axis=1).astype(np.float32),
    }


def compare(labels: Sequence[tuple[int, ...]], predictions: NDArray[np.floating], classes: int) -> Evidence:
    """Hits and occurrences per row and category, and each row's mean log-loss over the categories."""
    truth, predicted = _table(labels, classes), predictions >= THRESHOLD
    likelihood = np.maximum(np.where(truth, predictions, 1 - predictions), _PROBABILITY_MINIMUM)
    return {
        "counts": np.stack([truth & predicted, truth, predicted], axis=1).astype(np.int64),
        "loss": -np.log(likelihood).mean(axis=1),
    }


def quality(evidence: Sequence[Evidence], classes: Sequence[str], seed: int) -> dict[str, Any]:
    """Macro-F1: the mean of the categories' F1 over those that occur; 1 when none occurs and none is said."""
    found = counts.measured(joined(evidence)["counts"], classes, counts.f1, seed)
    return {
        "quality": found["quality"],
        "interval": found["interval"],
        "macro_f1": found["quality"],
        "confusion": None,
        "per_class": found["per_class"],
    }


def log_loss(evidence: Sequence[Evidence]) -> float:
    """The mean negative log-likelihood of a single yes or no."""
    return float(joined(evidence)["loss"].mean())


def agreement(label: tuple[int, ...], prediction: NDArray[np.floating], classes: int) -> float:
    """The share of the categories in either set that are in both; 1 for two empty sets."""
    truth, predicted = set(label), set(_chosen(prediction))
    return len(truth & predicted) / len(truth | predicted) if truth | predicted else 1.0


def label_of(
    context: Context, row: Row, prediction: NDArray[np.floating]
) -> tuple[list[int], dict[str, Any]]:
    """The categories that apply, each with its probability as the confidence."""
    chosen = _chosen(prediction)
    return chosen, {
        "class-map": {str(index): context.classes[index] for index in chosen},
        "confidence-map": {
            str(index): round(float(prediction[index]), _CONFIDENCE_DIGITS) for index in chosen
        },
    }


def _chosen(prediction: NDArray[np.floating]) -> list[int]:
    return [int(index) for index in np.flatnonzero(prediction >= THRESHOLD)]


def _table(labels: Sequence[tuple[int, ...]], classes: int) -> NDArray[np.bool_]:
    table = np.zeros((len(labels), classes), dtype=bool)
    for row, label in enumerate(labels):
        table[row, list(label)] = True
    return table


def _surprise(probabilities: NDArray[np.floating]) -> NDArray[np.floating]:
    # The smallest number for 0 keeps 0 ln 0 = 0; -0.0 would print as a negative entropy.
    return np.maximum(-probabilities * np.log(np.maximum(probabilities, np.finfo(np.float64).tiny)), 0)
