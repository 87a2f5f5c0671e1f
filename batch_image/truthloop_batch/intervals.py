"""Intervals of 95 % around a measured quality: Wilson's for shares, the bootstrap over rows for the rest."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
# The 97.5 % quantile of the standard normal distribution.
_Z = 1.959963984540054
_PERCENTILES = (2.5, 97.5)
# Of the table of resamples that is in memory at a time.
_BLOCK_NUMBERS = 1 << 18


def wilson_interval(correct: int, rows: int) -> tuple[float, float]:
    """The 95 % score interval of a share, rows >= 1.

    Wilson (1927), https://doi.org/10.1080/01621459.1927.10502953.
    """
    share = correct / rows
    spread = _Z**2 / rows
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * share * (1 - share) + spread**2 / 4) / (1 + spread)
    # At the ends the difference of two equal numbers leaves a rounding error.
    return (0.0 if correct == 0 else centre - half), (1.0 if correct == rows else centre + half)


def bootstrap_interval(
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]], rows: int, seed: int
) -> tuple[float, float]:
    """The 95 % percentile interval of a statistic over rows that are drawn again with replacement.

    Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 13. Memory is bounded by blocks of
    resamples.

    Parameters
    ----------
    statistic
        Takes how often each row was drawn, float64 [resamples, rows], and returns the statistic of each
        resample, float64 [resamples]; nan where it isn't defined, which is left out. Without any value the
        interval is 0 to 1.
    rows
        How many rows there are, at least 1.
    seed
        The same seed draws the same resamples.
    """
    random = np.random.default_rng(seed)
    step = max(1, _BLOCK_NUMBERS // rows)
    values = []
    for start in range(0, RESAMPLES, step):
        drawn = random.multinomial(rows, np.full(rows, 1 / rows), min(step, RESAMPLES - start))
        values.append(statistic(drawn.astype(np.float64)))
    every = np.concatenate(values)
    defined = every[~np.isnan(every)]
    if len(defined) == 0:
        return 0.0, 1.0
    lower, upper = np.percentile(defined, _PERCENTILES)
    return float(lower), float(upper)
