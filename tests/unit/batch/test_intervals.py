"""The bootstrap holds in bounded memory what it promises; bounds and shares cover as often as they say."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from truthloop.audit.estimates import interval as exact_interval
from truthloop_batch.intervals import (
    Stratum,
    bootstrap_interval,
    lower_bound,
    stratified_share,
    wilson_interval,
)


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


@pytest.mark.parametrize(("correct", "rows"), [(0, 1), (1, 1), (0, 40), (37, 40), (59, 59), (950, 1000)])
def test_the_lower_bound_is_the_one_sided_test_of_scipy(correct: int, rows: int) -> None:
    reference = stats.binomtest(correct, rows, alternative="greater").proportion_ci(0.95, "exact")
    assert lower_bound(correct, rows) == pytest.approx(reference.low, abs=1e-12)


def test_59_right_rows_show_a_precision_of_95_percent_and_58_do_not() -> None:
    assert lower_bound(58, 58) < 0.95 <= lower_bound(59, 59)


def test_wilsons_interval_of_scores_is_that_of_as_many_right_answers() -> None:
    assert wilson_interval(3.0, 4) == wilson_interval(3, 4)
    low, high = wilson_interval(2.5, 4)
    assert wilson_interval(2, 4)[0] < low < wilson_interval(3, 4)[0]
    assert wilson_interval(2, 4)[1] < high < wilson_interval(3, 4)[1]


# ------------------------------------------------------------------------------------------------- strata


def test_the_share_of_strata_weights_each_with_its_rows() -> None:
    share, _ = stratified_share([Stratum(1, 10, 100), Stratum(10, 20, 300)])
    assert share == pytest.approx(0.25 * 0.1 + 0.75 * 0.5)


def test_a_single_stratum_has_the_exact_interval_of_its_audit() -> None:
    share, interval = stratified_share([Stratum(2, 30, 80)])
    assert share == 2 / 30
    assert interval == exact_interval(2, 30, 80)


def test_large_strata_of_one_share_have_clopper_and_pearsons_interval_of_all_samples_together() -> None:
    # Hardly anything of them was looked at, so that they are as good as infinite.
    share, (low, high) = stratified_share([Stratum(6, 60, 10**9)] * 3)
    reference = stats.binomtest(18, 180).proportion_ci(0.95, "exact")
    assert share == pytest.approx(0.1)
    # Three strata are estimated: Student's quantiles and n - 1 cost the rest.
    assert (low, high) == pytest.approx((reference.low, reference.high), abs=0.002)
    assert low <= reference.low
    assert high >= reference.high


def test_the_effective_size_is_korn_and_graubards_where_the_variance_is_known_well() -> None:
    strata = [Stratum(120, 400, 100_000), Stratum(40, 100, 900_000)]
    share, (low, high) = stratified_share(strata)
    weights, shares, sampled = np.array([0.1, 0.9]), np.array([0.3, 0.4]), np.array([400, 100])
    parts = sampled / np.array([100_000, 900_000])
    variance = (weights**2 * (1 - parts) * shares * (1 - shares) / (sampled - 1)).sum()
    ratio = stats.t.ppf(0.975, 499) / stats.t.ppf(0.975, 498)
    size = share * (1 - share) / variance * ratio**2
    # The same share in both would allow for more.
    assert size < 1 / (weights**2 / sampled).sum()
    assert share == pytest.approx(0.39)
    assert low == pytest.approx(stats.beta.ppf(0.025, share * size, size - share * size + 1))
    assert high == pytest.approx(stats.beta.ppf(0.975, share * size + 1, size - share * size))


def test_a_stratum_that_was_looked_at_as_a_whole_adds_no_doubt() -> None:
    seen = [Stratum(3, 50, 50), Stratum(0, 20, 20)]
    assert stratified_share(seen) == (pytest.approx(3 / 70), (pytest.approx(3 / 70), pytest.approx(3 / 70)))
    # Half of the rows are certain, so the doubt about the other half counts half.
    alone, (_, high) = stratified_share([Stratum(0, 40, 4000)])
    assert alone == 0
    assert stratified_share([Stratum(0, 40, 4000), Stratum(0, 4000, 4000)])[1][1] < 0.6 * high


def test_errors_that_a_sample_may_well_have_missed_are_in_the_interval() -> None:
    strata = [Stratum(0, 80, 100)] * 2
    _, (_, high) = stratified_share(strata)
    # Two wrong rows in 200 stay unseen in 0.2 * 0.2 of all audits, which is more than a tail of 2.5 %.
    assert high >= 2 / 200
    size = 200 * np.log(5)
    assert high == pytest.approx(1 - 0.025 ** (1 / size))


def test_more_of_the_rows_looked_at_makes_the_interval_narrower() -> None:
    widths = [
        (lambda ends: ends[1] - ends[0])(stratified_share([Stratum(2, 40, rows)] * 3)[1])
        for rows in (10_000, 200, 60, 41)
    ]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.4 * widths[0]


STRATA = st.lists(
    st.tuples(st.integers(1, 60), st.integers(0, 60), st.integers(0, 400)).map(
        lambda drawn: Stratum(drawn[1] % (drawn[0] + 1), drawn[0], drawn[0] + drawn[2])
    ),
    min_size=1,
    max_size=6,
)


@given(STRATA)
def test_the_interval_holds_the_share_and_contradicts_nothing_that_was_seen(
    strata: list[Stratum],
) -> None:
    share, (low, high) = stratified_share(strata)
    rows = sum(each.rows for each in strata)
    wrong, right = sum(each.errors for each in strata), sum(each.sampled - each.errors for each in strata)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1
    assert low >= wrong / rows - 1e-12
    assert high <= 1 - right / rows + 1e-12


SETTINGS = [
    # Rows of the strata, their samples, and how the strata's rates differ.
    ((100, 100), (80, 80), (1, 1)),
    ((40,) * 5, (20,) * 5, (1,) * 5),
    ((600, 100, 100, 100), (30, 20, 20, 20), (2, 1, 1, 0.2)),
    ((1000, 50, 50), (20, 40, 50), (0.2, 1, 2)),
    ((1000, 100), (20, 80), (0.1, 2)),
    ((2000,) * 3, (100,) * 3, (1, 1, 1)),
]


@pytest.mark.parametrize("rate", [0.005, 0.02, 0.05, 0.2])
@pytest.mark.parametrize(("rows", "sampled", "factors"), SETTINGS)
def test_the_interval_of_strata_covers_the_truth_in_95_percent_of_all_audits(
    rows: tuple[int, ...], sampled: tuple[int, ...], factors: tuple[float, ...], rate: float
) -> None:
    random = np.random.default_rng(1)
    wrong = [min(size, round(size * rate * factor)) for size, factor in zip(rows, factors, strict=True)]
    truth = sum(wrong) / sum(rows)
    audits = 400
    drawn = np.stack(
        [
            random.hypergeometric(bad, size - bad, looked, audits)
            for bad, size, looked in zip(wrong, rows, sampled, strict=True)
        ],
        axis=1,
    )
    covered = 0
    for errors in drawn:
        strata = [Stratum(int(e), n, size) for e, n, size in zip(errors, sampled, rows, strict=True)]
        low, high = stratified_share(strata)[1]
        covered += low - 1e-12 <= truth <= high + 1e-12
    # Three standard errors of the simulation below what is promised.
    assert covered / audits >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / audits)
