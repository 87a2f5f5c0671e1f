from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from truthloop.audit.estimates import estimate, interval

# Rounding decides no tie: a probability of exactly 0.025 still allows for a number.
ALPHA = 0.025 * (1 - 1e-8)
NUMBERS = st.integers(1, 120).flatmap(
    lambda rows: st.integers(1, rows).flatmap(
        lambda sampled: st.tuples(st.integers(0, sampled), st.just(sampled), st.just(rows))
    )
)


@settings(max_examples=150, deadline=None)
@given(numbers=NUMBERS)
def test_the_interval_is_all_that_the_hypergeometric_distribution_allows_for(
    numbers: tuple[int, int, int],
) -> None:
    errors, sampled, rows = numbers
    possible = [
        wrong
        for wrong in range(errors, rows - (sampled - errors) + 1)
        if hypergeom.sf(errors - 1, rows, wrong, sampled) > ALPHA
        and hypergeom.cdf(errors, rows, wrong, sampled) > ALPHA
    ]
    assert interval(errors, sampled, rows) == (min(possible) / rows, max(possible) / rows)


@pytest.mark.parametrize(("rows", "sampled", "wrong"), [(60, 20, 6), (40, 25, 1), (200, 30, 50), (30, 10, 0)])
def test_the_interval_holds_the_truth_as_often_as_it_says(rows: int, sampled: int, wrong: int) -> None:
    held = 0.0
    for errors in range(min(wrong, sampled) + 1):
        if errors <= sampled <= rows - (wrong - errors):
            lower, upper = interval(errors, sampled, rows)
            if lower <= wrong / rows <= upper:
                held += hypergeom.pmf(errors, rows, wrong, sampled)
    assert held >= 0.95


def test_a_sample_of_everything_leaves_no_doubt() -> None:
    assert interval(3, 40, 40) == (3 / 40, 3 / 40)
    assert interval(0, 1, 1) == (0.0, 0.0)


def test_a_tie_makes_the_wider_interval() -> None:
    # One wrong row of 40 is found in a sample of one with a probability of exactly 0.025.
    assert interval(1, 1, 40) == (1 / 40, 1.0)
    assert interval(0, 1, 40) == (0.0, 39 / 40)


def test_a_larger_confidence_makes_a_wider_interval() -> None:
    narrow, wide = interval(5, 50, 500, 0.8), interval(5, 50, 500, 0.99)
    assert wide[0] < narrow[0] < 0.1 < narrow[1] < wide[1]


@pytest.mark.parametrize(
    ("errors", "sampled", "rows"), [(50_000, 100_000, 10**6), (250_000, 500_000, 10**6), (0, 50, 10**6)]
)
def test_a_million_rows_take_no_time_and_agree_with_scipy(errors: int, sampled: int, rows: int) -> None:
    begun = time.process_time()
    lower, upper = (round(each * rows) for each in interval(errors, sampled, rows))
    assert time.process_time() - begun < 1
    assert (
        hypergeom.cdf(errors, rows, upper, sampled) > 0.025 >= hypergeom.cdf(errors, rows, upper + 1, sampled)
    )
    if errors:
        assert hypergeom.sf(errors - 1, rows, lower, sampled) > 0.025
        assert hypergeom.sf(errors - 1, rows, lower - 1, sampled) <= 0.025


def test_what_was_not_looked_at_may_be_anything() -> None:
    assert estimate(0, 0, 7) == {
        "errors": 0,
        "sampled": 0,
        "rows": 7,
        "rate": None,
        "interval": [0.0, 1.0],
        "confidence": 0.95,
    }


@pytest.mark.parametrize("numbers", [(2, 1, 5), (0, 6, 5), (-1, 1, 5)])
def test_impossible_numbers_are_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="allowed: 0 <= errors <= sampled <= rows"):
        interval(*numbers)
