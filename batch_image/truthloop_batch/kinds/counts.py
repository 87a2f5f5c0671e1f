"""Hits and occurrences per row and category: what F1 and intersection over union are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from truthloop_batch.intervals import bootstrap_interval

# The axis of `counts`: what label and prediction have both, what the label has, what the prediction has.
HITS, TRUE, PREDICTED = range(3)

# From totals [..., 3, classes] to the score of each class, nan for one that occurs nowhere.
ClassScore = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def f1(totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """2 TP / (2 TP + FP + FN) of each class, from totals [..., 3, classes]."""
    return _ratio(2 * totals[..., HITS, :], totals[..., TRUE, :] + totals[..., PREDICTED, :])


def iou(totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of each class, from totals [..., 3, classes]."""
    hits = totals[..., HITS, :]
    return _ratio(hits, totals[..., TRUE, :] + totals[..., PREDICTED, :] - hits)


def macro(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of scores [..., classes] over the classes that have one; 1 where nothing occurs at all."""
    defined = ~np.isnan(scores)
    number = defined.sum(axis=-1)
    total = np.where(defined, scores, 0).sum(axis=-1)
    return np.where(number > 0, total / np.maximum(number, 1), 1.0)


def measured(counts: NDArray[Any], classes: Sequence[str], score: ClassScore, seed: int) -> dict[str, Any]:
    """Quality, interval and `per_class` from counts [rows, 3, classes].

    The counts of all rows are added up before a score is made of them, so a row without a class weighs
    nothing in it; the interval resamples rows.
    """
    rows = len(counts)
    flat = counts.reshape(rows, -1).astype(np.float64)

    def statistic(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        scores = score((drawn @ flat).reshape(len(drawn), *counts.shape[1:]))
        # A resample in which nothing occurs says nothing.
        return np.where(np.isnan(scores).all(axis=1), np.nan, macro(scores))

    totals = counts.sum(axis=0).astype(np.float64)
    scores = score(totals)
    return {
        "quality": float(macro(scores)),
        "interval": list(bootstrap_interval(statistic, rows, seed)),
        "per_class": [
            {
                "label": label,
                "score": None if np.isnan(scores[index]) else float(scores[index]),
                "precision": share(totals[HITS, index], totals[PREDICTED, index]),
                "recall": share(totals[HITS, index], totals[TRUE, index]),
                "rows": int((counts[:, TRUE, index] > 0).sum()),
            }
            for index, label in enumerate(classes)
        ],
    }


def share(part: float, whole: float) -> float | None:
    """A part of a whole, None of nothing."""
    return float(part / whole) if whole else None


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)
