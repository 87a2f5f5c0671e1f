"""Labels of several classes: read strictly, measured as scikit-learn does, unsure where a choice is close."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import f1_score, log_loss, precision_score, recall_score

from truthloop.errors import InvalidManifest
from truthloop_batch.acquisition import InvalidProbabilities
from truthloop_batch.kinds import class_set
from unit.batch.kind_kit import KindContext, row

CLASSES = ("cat", "dog", "owl")
SETS = st.lists(st.booleans(), min_size=3, max_size=3)


@pytest.mark.parametrize(("label", "read"), [([], ()), ([2, 0], (0, 2)), (None, None)])
def test_a_label_is_the_set_of_its_indices(label: list[int] | None, read: tuple[int, ...] | None) -> None:
    assert class_set.read_label(KindContext(), row(label)) == read


@pytest.mark.parametrize("label", [[3], [-1], [0, 0], ["0"], [True], 1, "cat", {"0": 1}])
def test_what_is_no_set_of_categories_is_named(label: object) -> None:
    with pytest.raises(InvalidManifest, match=r"label: .*allowed: a list of different indices"):
        class_set.read_label(KindContext(), row(label))


@given(st.lists(st.tuples(SETS, SETS), min_size=1, max_size=30))
def test_f1_precision_and_recall_are_those_of_scikit_learn(
    pairs: list[tuple[list[bool], list[bool]]],
) -> None:
    truth, predicted = (np.array(column, bool) for column in zip(*pairs, strict=True))
    labels = [tuple(np.flatnonzero(each)) for each in truth]
    probabilities = np.where(predicted, 0.5, 0.49)
    # In two batches, since a test split comes in batches.
    half = len(pairs) // 2
    evidence = [
        class_set.compare(labels[part], probabilities[part], 3)
        for part in (slice(half), slice(half, None))
        if len(labels[part])
    ]
    found = class_set.quality(evidence, CLASSES, seed=1)
    occurring = [index for index in range(3) if truth[:, index].any() or predicted[:, index].any()]
    # Column by column, since scikit-learn takes a single column for one label with two classes.
    each = [f1_score(truth[:, index], predicted[:, index], zero_division=0) for index in occurring]
    expected = np.mean(each) if each else 1.0
    assert found["quality"] == found["macro_f1"] == pytest.approx(expected)
    assert found["interval"][0] <= found["interval"][1]
    for index, entry in enumerate(found["per_class"]):
        assert entry["rows"] == truth[:, index].sum()
        for value, measure, occurs in (
            (entry["precision"], precision_score, predicted[:, index].any()),
            (entry["recall"], recall_score, truth[:, index].any()),
            (entry["score"], f1_score, index in occurring),
        ):
            assert (value is not None) == occurs
            if occurs:
                assert value == pytest.approx(measure(truth[:, index], predicted[:, index], zero_division=0))


def test_rows_without_any_class_leave_the_interval_to_the_others() -> None:
    labels, probabilities = [()] * 8 + [(0,)] * 2, np.tile([0.1, 0.1, 0.1], (10, 1))
    found = class_set.quality([class_set.compare(labels, probabilities, 3)], CLASSES, seed=1)
    assert (found["quality"], found["interval"]) == (0, [0, 0])


def test_the_log_loss_is_the_mean_of_the_classes_log_losses() -> None:
    random = np.random.default_rng(1)
    truth, probabilities = random.random((20, 3)) < 0.4, random.uniform(0.05, 0.95, (20, 3))
    labels = [tuple(np.flatnonzero(each)) for each in truth]
    evidence = [class_set.compare(labels, probabilities, 3)]
    expected = np.mean([log_loss(truth[:, index], probabilities[:, index]) for index in range(3)])
    assert class_set.log_loss(evidence) == pytest.approx(expected)


def test_a_close_choice_is_less_certain_than_a_clear_one_in_every_column() -> None:
    table = np.array([[0.01, 0.99, 0.02], [0.45, 0.99, 0.02], [0.45, 0.6, 0.5]])
    found = class_set.scores(table)
    assert found["predicted"].tolist() == [-1, -1, -1]
    for name in ("margin", "confidence"):
        assert (np.diff(found[name]) < 0).all()
    assert (np.diff(found["entropy"]) > 0).all()
    assert found["margin"][1] == pytest.approx((0.1 + 0.98 + 0.96) / 3)
    assert found["confidence"][1] == pytest.approx((0.55 + 0.99 + 0.98) / 3)
    expected = -sum(p * math.log(p) + (1 - p) * math.log(1 - p) for p in table[2])
    assert found["entropy"][2] == pytest.approx(expected)


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**31))
def test_the_columns_keep_their_bounds(rows: int, classes: int, seed: int) -> None:
    table = np.random.default_rng(seed).random((rows, classes)).round(1)
    found = class_set.scores(table)
    for name in ("margin", "confidence", "entropy"):
        assert found[name].dtype == np.float32
        assert (found[name] >= 0).all()
        assert (found[name] <= (classes * math.log(2) + 1e-5 if name == "entropy" else 1)).all()


@pytest.mark.parametrize("wrong", [np.nan, -0.1, 1.1])
def test_what_is_no_probability_is_refused(wrong: float) -> None:
    table: NDArray[np.float64] = np.array([[0.5, wrong]])
    with pytest.raises(InvalidProbabilities):
        class_set.scores(table)


@pytest.mark.parametrize(
    ("label", "probabilities", "share"),
    [
        ((0, 1), [0.9, 0.8, 0.1], 1),
        ((0, 1), [0.9, 0.1, 0.9], 1 / 3),
        ((), [0.1, 0.1, 0.1], 1),
        ((), [1, 0, 0], 0),
    ],
)
def test_the_agreement_is_the_common_share(
    label: tuple[int, ...], probabilities: list[float], share: float
) -> None:
    assert class_set.agreement(label, np.array(probabilities), 3) == pytest.approx(share)


def test_a_prediction_is_written_as_ground_truth_writes_labels() -> None:
    value, metadata = class_set.label_of(KindContext(), row(), np.array([0.9, 0.2, 0.5]))
    assert value == [0, 2]
    assert metadata == {
        "class-map": {"0": "cat", "2": "owl"},
        "confidence-map": {"0": 0.9, "2": 0.5},
    }
    assert class_set.read_label(KindContext(), row(value, metadata)) == (0, 2)
    assert class_set.suggestion_of is None
