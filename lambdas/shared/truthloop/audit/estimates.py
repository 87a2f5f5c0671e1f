"""How many of all labels are wrong, from those that were looked at: an exact interval for a finite number.

The sample is drawn without replacement, so the number of errors in it is hypergeometric. The interval holds
every number of errors in all labels that the sample doesn't speak against at half the error probability on
either side, as Clopper and Pearson's does for the binomial distribution; looked at as a whole, the labels
have an interval without width.

References
----------
C. J. Clopper, E. S. Pearson (1934). The use of confidence or fiducial limits illustrated in the case of the
    binomial. Biometrika 26(4), 404-413. https://doi.org/10.1093/biomet/26.4.404
T. Wright (1991). Exact Confidence Bounds when Sampling from Small Finite Universes. Lecture Notes in
    Statistics 66, Springer. https://doi.org/10.1007/978-1-4612-3140-0
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, lgamma
from typing import Any

CONFIDENCE = 0.95

# A term of a tail that is so much smaller than the sum so far ends it: the rest shrinks at least as fast.
_NEGLIGIBLE = 1e-17
# A probability that is the bound but for rounding is not below it: the wider interval is the safe one.
_ROUNDING = 1e-8


def estimate(errors: int, sampled: int, rows: int) -> dict[str, Any]:
    """The part of all labels that is wrong, as it stands in result.json.

    Parameters
    ----------
    errors, sampled
        Wrong labels among those that were drawn at random and judged.
    rows
        All labels from which they were drawn.

    Returns
    -------
    dict
        {"errors", "sampled", "rows", "rate", "interval": [lower, upper], "confidence"}: rates from 0 to 1;
        `rate` is null and the interval everything when nothing was judged.
    """
    lower, upper = interval(errors, sampled, rows)
    return {
        "errors": errors,
        "sampled": sampled,
        "rows": rows,
        "rate": errors / sampled if sampled else None,
        "interval": [lower, upper],
        "confidence": CONFIDENCE,
    }


def interval(errors: int, sampled: int, rows: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The lowest and the highest rate of errors in all rows that the sample allows for.

    Raises
    ------
    ValueError
        When there are more errors than samples, or more samples than rows.
    """
    if not 0 <= errors <= sampled <= rows:
        raise ValueError(
            f"errors, sampled, rows are {errors}, {sampled}, {rows}; allowed: 0 <= errors <= sampled <= rows"
        )
    if sampled == 0:
        return 0.0, 1.0
    alpha = (1 - confidence) / 2 * (1 - _ROUNDING)
    least, most = errors, rows - (sampled - errors)
    lower = _first(least, most, lambda wrong: _is_above(wrong, errors, sampled, rows, alpha, at_least=True))
    # The first number that is too large, less one.
    upper = (
        _first(
            lower + 1,
            most + 1,
            lambda wrong: not _is_above(wrong, errors, sampled, rows, alpha, at_least=False),
        )
        - 1
    )
    return lower / rows, upper / rows


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The smallest number from `low` for which a monotone condition holds; `high` when none below does."""
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _is_above(wrong: int, errors: int, sampled: int, rows: int, alpha: float, *, at_least: bool) -> bool:
    """Whether P(X >= errors), or else P(X <= errors), exceeds alpha when `wrong` of all rows are wrong."""
    least, most = max(0, sampled - (rows - wrong)), min(sampled, wrong)
    low, high = (max(errors, least), most) if at_least else (least, min(errors, most))
    if low > high:
        return False
    # From the largest term outwards: the terms shrink on both sides, so that few of them are needed.
    mode = (sampled + 1) * (wrong + 1) // (rows + 2)
    start = min(max(mode, low), high)
    term = exp(_log_probability(start, wrong, sampled, rows))
    total = term
    for step, end in ((1, high), (-1, low)):
        each, count = term, start
        while count != end and total <= alpha:
            each *= (
                _ratio(count, wrong, sampled, rows)
                if step > 0
                else 1 / _ratio(count - 1, wrong, sampled, rows)
            )
            count += step
            total += each
            if each <= total * _NEGLIGIBLE:
                break
    return total > alpha


def _ratio(count: int, wrong: int, sampled: int, rows: int) -> float:
    """P(X = count + 1) / P(X = count)."""
    return (wrong - count) * (sampled - count) / ((count + 1) * (rows - wrong - sampled + count + 1))


def _log_probability(count: int, wrong: int, sampled: int, rows: int) -> float:
    return (
        _log_binomial(wrong, count)
        + _log_binomial(rows - wrong, sampled - count)
        - _log_binomial(rows, sampled)
    )


def _log_binomial(total: int, chosen: int) -> float:
    return lgamma(total + 1) - lgamma(chosen + 1) - lgamma(total - chosen + 1)
