"""The figures of evaluation.json are those of the textbooks and of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix as reference_confusion
from sklearn.metrics import f1_score, log_loss, precision_recall_fscore_support

from truthloop_batch.evaluation import confusion_matrix, likelihood, macro_f1, quality, wilson_interval

CLASSES = ("cat", "dog", "owl", "never")
INDICES = st.integers(0, 2)
PAIRS = st.lists(st.tuples(INDICES, INDICES), min_size=1, max_size=40)


@given(PAIRS)
def test_confusion_f1_precision_and_recall_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    table = confusion_matrix(truth, predicted, len(CLASSES))
    np.testing.assert_array_equal(table, reference_confusion(truth, predicted, labels=range(len(CLASSES))))
    assert macro_f1(table) == pytest.approx(f1_score(truth, predicted, average="macro", zero_division=0))
    found = quality(truth, predicted, CLASSES)
    assert found["accuracy"] == pytest.approx((truth == predicted).mean())
    precision, recall, _, rows = precision_recall_fscore_support(
        truth, predicted, labels=range(len(CLASSES)), zero_division=np.nan
    )
    for index, entry in enumerate(found["per_class"]):
        assert entry["label"] == CLASSES[index]
        assert entry["rows"] == rows[index]
        for value, expected in ((entry["precision"], precision[index]), (entry["recall"], recall[index])):
            assert (value is None) == bool(np.isnan(expected))
            assert value is None or value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("correct", "rows", "lower", "upper"),
    # Newcombe (1998), table I, the column of the score method without continuity correction.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_wilsons(correct: int, rows: int, lower: float, upper: float) -> None:
    assert wilson_interval(correct, rows) == pytest.approx((lower, upper), abs=1e-4)


@given(st.integers(1, 500).flatmap(lambda rows: st.tuples(st.integers(0, rows), st.just(rows))))
def test_the_interval_holds_the_share_and_stays_between_0_and_1(counts: tuple[int, int]) -> None:
    correct, rows = counts
    lower, upper = wilson_interval(correct, rows)
    assert 0 <= lower <= correct / rows <= upper <= 1
    mirrored = wilson_interval(rows - correct, rows)
    assert (lower, upper) == pytest.approx((1 - mirrored[1], 1 - mirrored[0]))


def test_log_loss_and_accuracy_of_the_validation_rows_are_those_of_scikit_learn() -> None:
    probabilities = np.random.default_rng(1).dirichlet(np.ones(4), 30)
    truth = np.random.default_rng(2).integers(0, 4, 30)
    found = likelihood(truth, probabilities)
    assert found["log_loss"] == pytest.approx(log_loss(truth, probabilities, labels=range(4)))
    assert found["accuracy"] == (probabilities.argmax(axis=1) == truth).mean()
    assert found["rows"] == 30


def test_a_probability_of_zero_for_the_truth_leaves_the_log_loss_finite() -> None:
    assert likelihood(np.array([1]), np.array([[1.0, 0.0]]))["log_loss"] == pytest.approx(27.631, abs=1e-3)


def test_no_validation_rows_give_nulls() -> None:
    assert likelihood(np.empty(0, np.int64), np.empty((0, 3))) == {
        "rows": 0,
        "accuracy": None,
        "log_loss": None,
    }
