"""The label kind `class`: each row has exactly one of the label categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from truthloop.errors import InvalidManifest
from truthloop.labels import CLASS
from truthloop.manifest import Row, class_index
from truthloop_batch import acquisition
from truthloop_batch.intervals import wilson_interval
from truthloop_batch.kinds import Evidence, joined
from truthloop_batch.kinds.counts import share

if TYPE_CHECKING:
    from truthloop_batch.context import Context

NAME = CLASS
METRIC = "accuracy"
ROWS_AT_ONCE = 512
# The classifiers' widgets take no initial value.
suggestion_of = None

_CONFIDENCE_DIGITS = 6
_PROBABILITY_MINIMUM = 1e-12


def read_label(context: Context, row: Row) -> int | None:
    """The label as an index into the categories."""
    label = class_index(row, context.request.label_attribute)
    if label is not None and not 0 <= label < len(context.classes):
        raise InvalidManifest(
            f"the label is {label}; allowed: 0 to {len(context.classes) - 1}, an index into label_categories"
        )
    return label


def targets(context: Context, rows: Sequence[Row], inputs: NDArray[Any]) -> NDArray[np.int64]:
    """Class indices [n]."""
    return np.array([context.label(row) for row in rows], dtype=np.int64)


def scores(predictions: NDArray[np.floating]) -> dict[str, NDArray[Any]]:
    """The measures of `acquisition` on probabilities [n, classes], whose rows sum to one."""
    return {
        "predicted": predictions.argmax(axis=1).astype(np.int16),
        "confidence": 1 - acquisition.least_confidence(predictions),
        "margin": acquisition.margin(predictions),
        "entropy": acquisition.entropy(predictions),
    }


def compare(labels: Sequence[int], predictions: NDArray[np.floating], classes: int) -> Evidence:
    """The true and the predicted class, and the probability of the true one."""
    truth = np.array(labels, dtype=np.int64)
    return {
        "truth": truth,
        "predicted": predictions.argmax(axis=1),
        "likelihood": predictions[np.arange(len(truth)), truth],
    }


def quality(evidence: Sequence[Evidence], classes: Sequence[str], seed: int) -> dict[str, Any]:
    """The accuracy with Wilson's interval, macro-F1, the confusion matrix, and each class's F1."""
    every = joined(evidence)
    table = confusion_matrix(every["truth"], every["predicted"], len(classes))
    correct, rows = int(np.trace(table)), len(every["truth"])
    occurrences = table.sum(axis=0) + table.sum(axis=1)
    hits = np.diag(table)
    return {
        "quality": correct / rows,
        "interval": list(wilson_interval(correct, rows)),
        "macro_f1": macro_f1(table),
        "confusion": table.tolist(),
        "per_class": [
            {
                "label": label,
                "score": share(2 * int(hits[index]), int(occurrences[index])),
                "precision": share(int(hits[index]), int(table[:, index].sum())),
                "recall": share(int(hits[index]), int(table[index].sum())),
                "rows": int(table[index].sum()),
            }
            for index, label in enumerate(classes)
        ],
    }


def log_loss(evidence: Sequence[Evidence]) -> float:
    """The mean negative log-likelihood of the true classes."""
    likelihood = np.maximum(joined(evidence)["likelihood"], _PROBABILITY_MINIMUM)
    return float(-np.log(likelihood).mean())


def agreement(label: int, prediction: NDArray[np.floating], classes: int) -> float:
    """1 when the most probable class is the label, else 0."""
    return float(prediction.argmax() == label)


def label_of(context: Context, row: Row, prediction: NDArray[np.floating]) -> tuple[int, dict[str, Any]]:
    """The index of the most probable class; its probability is the confidence."""
    best = int(prediction.argmax())
    confidence = round(float(prediction[best]), _CONFIDENCE_DIGITS)
    return best, {"class-name": context.classes[best], "confidence": confidence}


def confusion_matrix(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """Counts [classes, classes]: a row per true class, a column per predicted one."""
    return np.bincount(truth * classes + predicted, minlength=classes**2).reshape(classes, classes)


def macro_f1(table: NDArray[np.int64]) -> float:
    """The mean of the classes' F1 = 2 TP / (2 TP + FP + FN), over the classes that occur in either role."""
    hits = np.diag(table)
    occurrences = table.sum(axis=0) + table.sum(axis=1)
    occurring = occurrences > 0
    return float((2 * hits[occurring] / occurrences[occurring]).mean())
