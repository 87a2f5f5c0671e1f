"""Intervals of 95 %: Wilson's and Clopper and Pearson's for shares, Korn and Graubard's for shares of strata,
and the bootstrap over rows for the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from truthloop.audit.estimates import interval

CERTAINTY = 0.95
"""The confidence of every interval and bound."""
RESAMPLES = 1000
# The 97.5 % quantile of the standard normal distribution.
_Z = 1.959963984540054
_PERCENTILES = (2.5, 97.5)
_TAIL = (1 - CERTAINTY) / 2
# Of the table of resamples that is in memory at a time.
_BLOCK_NUMBERS = 1 << 18


def wilson_interval(correct: float, rows: int) -> tuple[float, float]:
    """The 95 % score interval of a share, rows >= 1.

    Wilson (1927), https://doi.org/10.1080/01621459.1927.10502953. `correct` may be a sum of scores from 0 to
    1 rather than a number of rows: they spread no more than zeros and ones of the same mean, so the interval
    is wide enough for their mean too.
    """
    share = correct / rows
    spread = _Z**2 / rows
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * share * (1 - share) + spread**2 / 4) / (1 + spread)
    # At the ends the difference of two equal numbers leaves a rounding error.
    return (0.0 if correct == 0 else centre - half), (1.0 if correct == rows else centre + half)


def lower_bound(correct: float, rows: int) -> float:
    """The one-sided 95 % lower bound of a share, rows >= 1: a share below it gives so many in 5 % at most.

    Clopper and Pearson (1934), https://doi.org/10.1093/biomet/26.4.404. `correct` may be a number that is
    expected, with a fraction.
    """
    from scipy.special import betaincinv

    if correct == 0:
        return 0.0
    return float(betaincinv(correct, rows - correct + 1, 1 - CERTAINTY))


@dataclass(frozen=True)
class Stratum:
    """A part of all rows, of which a simple random sample was looked at.

    Attributes
    ----------
    errors
        Wrong rows in the sample.
    sampled
        Rows in the sample, at least 1.
    rows
        Rows in the stratum, at least `sampled`.
    """

    errors: int
    sampled: int
    rows: int


def stratified_share(strata: Sequence[Stratum]) -> tuple[float, tuple[float, float]]:
    """The share of wrong rows in all strata together, at least one, and its 95 % interval.

    The estimate weights each stratum's share with its rows. The interval is Korn and Graubard's (1998,
    https://www150.statcan.gc.ca/n1/en/catalogue/12-001-X19980024356): Clopper and Pearson's for the estimate
    and an effective sample size, the size of a simple random sample that would tell as much. It is the
    smaller one of two:

    - p (1 - p) / v, with the variance v = sum (N_h / N)^2 (1 - f_h) p_h (1 - p_h) / (n_h - 1), where f_h =
      n_h / N_h is what a stratum's sample has of it, and the authors' ratio of Student's quantiles;
    - what it would be if all strata had the same share, 1 / sum (N_h / N)^2 g_h / n_h.

    Few errors tell nothing of the variance (a stratum without any seems to have none), and then the first
    alone is much too large: in simulations it covered as little as a tenth. In the second the
    finite-population factor is g = f / -ln(1 - f) rather than 1 - f: a sample misses each of a few errors
    with the probability 1 - f, as one of N (-ln(1 - f)) rows with replacement does, and for many errors g is
    on the safe side. A stratum that was looked at as a whole leaves no doubt. Neither end contradicts what
    was seen. A single stratum has the exact interval of the audit itself.
    """
    from scipy.special import betaincinv, stdtrit

    if len(strata) == 1:
        (only,) = strata
        return only.errors / only.sampled, interval(only.errors, only.sampled, only.rows)
    errors, sampled, rows = (
        np.array([getattr(stratum, name) for stratum in strata], np.float64)
        for name in ("errors", "sampled", "rows")
    )
    weight, part, shares = rows / rows.sum(), sampled / rows, errors / sampled
    share = float((weight * shares).sum())
    whole = part == 1
    factor = np.where(whole, 0, part / -np.log1p(-np.where(whole, 0.5, part)))
    spread = float((weight**2 * factor / sampled).sum())
    if spread == 0:
        return share, (share, share)
    size = 1 / spread
    variance = (weight**2 * (1 - part) * shares * (1 - shares) / np.maximum(sampled - 1, 1)).sum()
    freedom = sampled.sum() - len(strata)
    if variance > 0 and freedom > 0:
        quantiles = stdtrit(sampled.sum() - 1, 1 - _TAIL) / stdtrit(freedom, 1 - _TAIL)
        size = min(size, share * (1 - share) / variance * quantiles**2)
    wrong = share * size
    lower = 0.0 if errors.sum() == 0 else betaincinv(wrong, size - wrong + 1, _TAIL)
    upper = 1.0 if errors.sum() == sampled.sum() else betaincinv(wrong + 1, size - wrong, 1 - _TAIL)
    seen = errors.sum() / rows.sum(), (sampled - errors).sum() / rows.sum()
    return share, (float(max(lower, seen[0])), float(min(upper, 1 - seen[1])))


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
