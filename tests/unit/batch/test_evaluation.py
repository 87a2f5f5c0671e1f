"""The figures of evaluation.json are those of the textbooks and of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix as reference_confusion
from sklearn.metrics import f1_score, log_loss, precision_recall_fscore_support

from truthloop_batch.intervals import wilson_interval
from truthloop_batch.kinds import Evidence, single_class
from truthloop_batch.kinds.single_class import confusion_matrix, macro_f1


def compared(truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> Evidence:
    """The evidence of predictions that are certain."""
    return single_class.compare(list(truth), np.eye(len(CLASSES))[predicted], len(CLASSES))


CLASSES = ("cat", "dog", "owl", "never")
INDICES = st.integers(0, 2)
PAIRS = st.lists(st.tuples(INDICES, INDICES), min_size=1, max_size=40)


@given(PAIRS)
def test_confusion_f1_precision_and_recall_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    table = confusion_matrix(truth, predicted, len(CLASSES))
    np.testing.assert_array_equal(table, reference_confusion(truth, predicted, labels=range(len(CLASSES))))
    assert macro_f1(table) == pytest.approx(f1_score(truth, predicted, average="macro", zero_division=0))
    found = single_class.quality([compared(truth, predicted)], CLASSES, seed=1)
    assert found["quality"] == pytest.approx((truth == predicted).mean())
    precision, recall, f1, rows = precision_recall_fscore_support(
        truth, predicted, labels=range(len(CLASSES)), zero_division=np.nan
    )
    for index, entry in enumerate(found["per_class"]):
        assert entry["label"] == CLASSES[index]
        assert entry["rows"] == rows[index]
        assert (entry["score"] is None) == (index not in {*truth, *predicted})
        for value, expected in (
            (entry["precision"], precision[index]),
            (entry["recall"], recall[index]),
            (entry["score"], f1[index]),
        ):
            if value is not None and np.isnan(expected):
                # scikit-learn leaves open what is 0: the F1 of a class that one side lacks.
                expected = 0.0
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


def test_log_loss_is_that_of_scikit_learn() -> None:
    probabilities = np.random.default_rng(1).dirichlet(np.ones(4), 30)
    truth = np.random.default_rng(2).integers(0, 4, 30)
    evidence = [
        single_class.compare(list(truth[part]), probabilities[part], 4) for part in (slice(20), slice(20, 30))
    ]
    assert single_class.log_loss(evidence) == pytest.approx(log_loss(truth, probabilities, labels=range(4)))


def test_a_probability_of_zero_for_the_truth_leaves_the_log_loss_finite() -> None:
    evidence = [single_class.compare([1], np.array([[1.0, 0.0]]), 2)]
    assert single_class.log_loss(evidence) == pytest.approx(27.631, abs=1e-3)
