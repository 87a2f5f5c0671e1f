"""The acquisition measures agree with their textbook definitions, and refuse what isn't a distribution."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from truthloop_batch import acquisition
from truthloop_batch.acquisition import InvalidProbabilities, entropy, least_confidence, margin

MEASURES = (least_confidence, margin, entropy)


@st.composite
def distributions(draw: st.DrawFn) -> NDArray[np.float64]:
    rows, classes = draw(st.integers(0, 8)), draw(st.integers(2, 12))
    weight = st.one_of(st.just(0.0), st.floats(1e-6, 1))
    table = np.array(
        draw(st.lists(st.lists(weight, min_size=classes, max_size=classes), min_size=rows, max_size=rows))
    )
    table = table.reshape(rows, classes)
    table[:, 0] += table.sum(axis=1) == 0
    return table / table.sum(axis=1, keepdims=True)


@given(distributions())
def test_least_confidence_is_one_minus_the_largest_probability(table: NDArray[np.float64]) -> None:
    np.testing.assert_allclose(least_confidence(table), [1 - max(row) for row in table], atol=1e-6)


@given(distributions())
def test_margin_is_the_largest_minus_the_second_largest_probability(table: NDArray[np.float64]) -> None:
    expected = [sorted(row)[-1] - sorted(row)[-2] for row in table]
    np.testing.assert_allclose(margin(table), expected, atol=1e-6)


@given(distributions())
def test_entropy_is_the_mean_surprise_in_nats(table: NDArray[np.float64]) -> None:
    expected = [-sum(p * math.log(p) for p in row if p > 0) for row in table]
    np.testing.assert_allclose(entropy(table), expected, atol=1e-5)


@given(distributions())
def test_the_measures_keep_their_bounds_and_types(table: NDArray[np.float64]) -> None:
    classes = table.shape[1]
    for measure, upper in zip(MEASURES, (1 - 1 / classes, 1, math.log(classes)), strict=True):
        values = measure(table)
        assert values.shape == (len(table),)
        assert values.dtype == np.float32
        assert (values >= 0).all()
        assert (values <= upper + 1e-6).all()


@pytest.mark.parametrize("measure", MEASURES)
def test_a_long_table_gives_what_its_rows_give_alone(measure: acquisition.Callable) -> None:
    table = np.random.default_rng(1).dirichlet(np.ones(10), 10_000).astype(np.float32)
    pieces = [measure(table[start : start + 7]) for start in range(0, len(table), 7)]
    np.testing.assert_array_equal(measure(table), np.concatenate(pieces))


def test_equal_probabilities_are_the_least_certain() -> None:
    table = np.full((1, 4), 0.25)
    assert margin(table)[0] == 0
    assert least_confidence(table)[0] == pytest.approx(0.75)
    assert entropy(table)[0] == pytest.approx(math.log(4))


def test_two_equal_maxima_have_no_margin() -> None:
    assert margin(np.array([[0.4, 0.2, 0.4]]))[0] == 0


def test_the_measures_leave_their_argument_alone() -> None:
    table = np.array([[0.5, 0.3, 0.2]])
    for measure in MEASURES:
        measure(table)
    np.testing.assert_array_equal(table, [[0.5, 0.3, 0.2]])


@pytest.mark.parametrize("measure", MEASURES)
def test_memory_does_not_grow_with_the_table(measure: acquisition.Callable) -> None:
    table = np.full((100_000, 50), 1 / 50, dtype=np.float32)
    tracemalloc.start()
    measure(table)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The result is 0.4 MB, a copy of the table would be 20 MB.
    assert peak < 3e6


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    ("row", "told"),
    [
        ([np.nan, 0.5, 0.5], "row 2001 .* nan"),
        ([np.inf, 0.5, 0.5], "row 2001 .* inf"),
        ([0.5, 0.5, 0.5], "row 2001 .* sum to 1.5"),
        ([1.5, -0.5, 0.0], "row 2001 .* smallest is -0.5"),
        ([0.0, 0.0, 0.0], "row 2001 .* sum to 0"),
    ],
)
def test_what_is_no_distribution_is_refused_with_its_row(
    measure: acquisition.Callable, row: list[float], told: str
) -> None:
    table = np.full((30_000, 3), 1 / 3)
    table[2001] = row
    with pytest.raises(InvalidProbabilities, match=told):
        measure(table)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("table", [np.ones((3, 1)), np.ones(3), np.ones((2, 2, 2))])
def test_a_table_of_another_shape_is_refused(
    measure: acquisition.Callable, table: NDArray[np.float64]
) -> None:
    with pytest.raises(InvalidProbabilities, match="shape"):
        measure(table)


def test_counts_instead_of_probabilities_are_refused() -> None:
    with pytest.raises(InvalidProbabilities, match="int64"):
        margin(np.array([[1, 0]], dtype=np.int64))  # type: ignore[arg-type]


def test_rounding_of_float32_is_no_reason_to_refuse() -> None:
    table = np.random.default_rng(2).dirichlet(np.ones(1000), 50).astype(np.float32) * np.float32(1.0001)
    assert np.isfinite(entropy(table)).all()
