"""Acquisition measures: how unsure a model is of each item, as pure functions of its class probabilities.

Each measure takes probabilities [n, classes] of any floating type, whose rows sum to one, and returns
float32 [n]. It works in blocks of rows that stay in the processor's cache, so its extra memory is bounded
whatever n is. The survey is Settles (2009), Active Learning Literature Survey, section 3.1,
https://minds.wisconsin.edu/handle/1793/60660.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from truthloop.errors import TruthloopError

_BLOCK_BYTES = 256 * 1024
# A float32 softmax over 1,000 classes is off by about 1e-5; what is off by more isn't a distribution.
_TOLERANCE = 1e-3


class InvalidProbabilities(TruthloopError):
    """An array is not a table of class probabilities."""


def least_confidence(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    """How far the most probable class is from certain: 1 - max_c p_c, from 0 to 1 - 1 / classes.

    Large for unsure items. Lewis and Gale (1994), https://arxiv.org/abs/cmp-lg/9407020.
    """
    return _by_blocks(lambda block: 1 - block.max(axis=1), probabilities)


def margin(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    """The lead of the most probable class over the second: p_(1) - p_(2), from 0 to 1.

    **Small** for unsure items. Scheffer, Decomain and Wrobel (2001), https://doi.org/10.1007/3-540-44816-0_31.
    """
    return _by_blocks(_lead, probabilities)


def entropy(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    """The entropy of the distribution in nats: -sum_c p_c ln p_c, from 0 to ln(classes).

    Large for unsure items. Shannon (1948), https://doi.org/10.1002/j.1538-7305.1948.tb01338.x.
    """
    return _by_blocks(_entropy, probabilities)


def _lead(block: NDArray[np.floating]) -> NDArray[np.floating]:
    # Two passes for two maxima are several times faster than a partition of each row.
    rest = block.copy()
    rows = np.arange(len(block))
    first = rest.argmax(axis=1)
    rest[rows, first] = -1
    return block[rows, first] - rest.max(axis=1)


def _entropy(block: NDArray[np.floating]) -> NDArray[np.floating]:
    # The smallest number for 0 keeps 0 ln 0 = 0 without a warning.
    logarithms = np.log(np.maximum(block, np.finfo(block.dtype).tiny))
    # -0.0 for a certain item would print as a negative entropy.
    return np.maximum(-(block * logarithms).sum(axis=1), 0)


def _by_blocks(
    measure: Callable[[NDArray[np.floating]], NDArray[np.floating]], probabilities: NDArray[np.floating]
) -> NDArray[np.float32]:
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise InvalidProbabilities(
            f"the probabilities have the shape {probabilities.shape}; allowed: [items, classes] with at "
            "least 2 classes. Return one column per label category."
        )
    if not np.issubdtype(probabilities.dtype, np.floating):
        raise InvalidProbabilities(
            f"the probabilities have the type {probabilities.dtype}; allowed: a floating type. Return "
            "probabilities, not classes or counts."
        )
    scores = np.empty(len(probabilities), dtype=np.float32)
    step = max(1, _BLOCK_BYTES // (probabilities.shape[1] * probabilities.itemsize))
    for start in range(0, len(probabilities), step):
        block = probabilities[start : start + step]
        _check(block, start)
        scores[start : start + step] = measure(block)
    return scores


def _check(block: NDArray[np.floating], start: int) -> None:
    sums = block.sum(axis=1)
    # Written so that NaN, which compares false with everything, is wrong as well.
    right = (np.abs(sums - 1) <= _TOLERANCE) & (block.min(axis=1) >= 0)
    if not right.all():
        row = int(np.argmin(right))
        raise InvalidProbabilities(
            f"the probabilities of row {start + row} are no distribution: they sum to {sums[row]:.6g}, and "
            f"the smallest is {block[row].min():.6g}; allowed: numbers from 0 that sum to one. Normalise "
            "what the model returns."
        )
