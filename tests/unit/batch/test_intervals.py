"""The intervals are those of the textbooks, and hold in bounded memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from truthloop_batch.intervals import bootstrap_interval


def mean_of(values: NDArray[np.float64]):
    return lambda drawn: drawn @ values / drawn.sum(axis=1)


def test_the_bootstrap_of_a_mean_is_near_the_normal_interval() -> None:
    values = np.random.default_rng(1).normal(5, 2, 400)
    lower, upper = bootstrap_interval(mean_of(values), 400, seed=1)
    half = 1.96 * values.std() / np.sqrt(400)
    assert lower == pytest.approx(values.mean() - half, abs=0.05)
    assert upper == pytest.approx(values.mean() + half, abs=0.05)


def test_the_bootstrap_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    values = np.random.default_rng(1).random(30)
    found = [bootstrap_interval(mean_of(values), 30, seed) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


def test_the_bootstrap_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for trial in range(200):
        values = (np.random.default_rng(trial).random(100) < 0.3).astype(float)
        lower, upper = bootstrap_interval(mean_of(values), 100, seed=trial)
        covered += lower <= 0.3 <= upper
    assert 0.9 <= covered / 200 <= 0.99


def test_resamples_without_a_value_are_left_out() -> None:
    # Only the first row has a value, and a third of the resamples lack it.
    first = lambda drawn: np.where(drawn[:, 0] > 0, 0.7, np.nan)  # noqa: E731
    assert bootstrap_interval(first, 5, seed=1) == pytest.approx((0.7, 0.7))
    assert bootstrap_interval(lambda drawn: np.full(len(drawn), np.nan), 5, seed=1) == (0, 1)


def test_the_bootstrap_needs_no_memory_for_all_resamples() -> None:
    values = np.random.default_rng(1).random(20_000)
    tracemalloc.start()
    bootstrap_interval(mean_of(values), 20_000, seed=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # All thousand resamples at once would be 160 MB.
    assert peak < 20e6
