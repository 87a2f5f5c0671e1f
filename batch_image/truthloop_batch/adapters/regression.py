"""Logistic regression as arrays: fitted by scikit-learn, predicted by numpy, with a chance for the unseen.

A class without any label yet is given the probability 1 / (n + classes) after n labels (Laplace's rule of
succession), so no label is ever thought impossible.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from truthloop_batch.adapters.base import Artifacts

_ITERATIONS_MAXIMUM = 2000


def fit_regression(
    features: Any, labels: NDArray[np.int64], classes: int, regularisation: float
) -> Artifacts:
    """Fit to features [n, d], dense or a scipy.sparse matrix, and labels [n], indices below `classes`.

    Returns
    -------
    dict
        weights [d, seen], bias [seen], seen (the classes with labels), counts (their labels), classes.
    """
    # scikit-learn takes over a second to import, and only training needs it.
    from sklearn.linear_model import LogisticRegression

    seen, counts = np.unique(labels, return_counts=True)
    if len(seen) == 1:
        weights, bias = np.zeros((features.shape[1], 1)), np.zeros(1)
    else:
        regression = LogisticRegression(C=regularisation, max_iter=_ITERATIONS_MAXIMUM)
        regression.fit(features, labels)
        weights, bias = regression.coef_.T, regression.intercept_
        if len(seen) == 2:
            # scikit-learn keeps only the second class's score of two.
            weights, bias = np.hstack([np.zeros_like(weights), weights]), np.concatenate([[0.0], bias])
    return {"weights": weights, "bias": bias, "seen": seen, "counts": counts, "classes": np.array(classes)}


def probabilities(artifacts: Artifacts, scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probabilities [n, classes] from the scores [n, seen] of a fitted regression."""
    return spread(
        softmax(scores), artifacts["seen"], int(artifacts["counts"].sum()), int(artifacts["classes"])
    )


def softmax(scores: NDArray[np.floating]) -> NDArray[np.floating]:
    """Distributions over the last axis."""
    odds = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return odds / odds.sum(axis=-1, keepdims=True)


def spread(
    distribution: NDArray[np.floating], seen: NDArray[np.int64], labels: int, classes: int
) -> NDArray[Any]:
    """Distributions [n, seen] over the seen classes as such over all classes, [n, classes]."""
    unseen = 1 / (labels + classes)
    table = np.full((len(distribution), classes), unseen, distribution.dtype)
    table[:, seen] = distribution * (1 - unseen * (classes - len(seen)))
    return table


def fit_decisions(
    features: NDArray[np.float64], applies: NDArray[np.bool_], regularisation: float
) -> Artifacts:
    """Fit a decision for each class by itself, to features [n, d] and whether it applies [n, classes].

    A class that applies to all rows or to none gets the probability of Laplace's rule for every row.

    Returns
    -------
    dict
        weights [d, classes] and bias [classes], for `decisions`.
    """
    classes = applies.shape[1]
    weights, bias = np.zeros((features.shape[1], classes)), np.empty(classes)
    for number in range(classes):
        often = int(applies[:, number].sum())
        bias[number] = np.log((often + 1) / (len(applies) - often + 1))
        if 0 < often < len(applies):
            regression = fit_regression(features, applies[:, number].astype(np.int64), 2, regularisation)
            weights[:, number], bias[number] = regression["weights"][:, 1], regression["bias"][1]
    return {"weights": weights, "bias": bias}


def decisions(artifacts: Artifacts, features: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability that each class applies, [n, classes], for features [n, d]."""
    return sigmoid(features @ artifacts["weights"] + artifacts["bias"])


def sigmoid(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(-score)), without an overflow for large scores of either sign."""
    return (1 + np.tanh(scores / 2)) / 2
