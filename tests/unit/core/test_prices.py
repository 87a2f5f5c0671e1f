"""What things cost."""

from __future__ import annotations

import pytest

from truthloop import prices, task_types
from truthloop.errors import MissingPrice
from truthloop.prices import NAMES, Prices

PRICES = Prices(
    ground_truth_per_object_usd=0.08,
    answer_usd=0.012,
    batch_vcpu_hour_usd=0.04,
    batch_gib_hour_usd=0.005,
)


def test_labels_cost_their_objects_and_their_answers():
    assert PRICES.labeling(objects=100, answers=290) == pytest.approx(100 * 0.08 + 290 * 0.012)
    assert PRICES.labeling(0, 0) == 0


def test_computing_costs_processors_and_memory_by_the_second():
    jobs = [
        {"seconds": 1800, "vcpus": 2, "memory_mib": 4096, "step": "train"},
        {"seconds": 36, "vcpus": 0.5, "memory_mib": 1024},
    ]
    expected = 0.5 * (2 * 0.04 + 4 * 0.005) + 0.01 * (0.5 * 0.04 + 1 * 0.005)
    assert PRICES.compute(jobs) == pytest.approx(expected)
    assert PRICES.compute([]) == 0


def test_every_registered_task_type_has_all_prices():
    assert task_types.names()
    for task_type in task_types.names():
        assert all(getattr(prices.resolve(task_type, {}), name) > 0 for name in NAMES)


def test_overrides_win_over_the_list_and_the_price_of_an_answer_over_both():
    found = prices.resolve("image-classification", {"answer_usd": 0.5, "batch_gib_hour_usd": 0})
    assert (found.answer_usd, found.batch_gib_hour_usd) == (0.5, 0)
    assert found.batch_vcpu_hour_usd == prices.resolve("image-classification", {}).batch_vcpu_hour_usd
    assert prices.resolve("image-classification", {"answer_usd": 0.5}, 0.7).answer_usd == 0.7
    assert prices.resolve("image-classification", {"answer_usd": 0.5}, 0.0).answer_usd == 0.0


def test_a_price_that_nobody_knows_is_asked_for():
    with pytest.raises(
        MissingPrice, match="no ground_truth_per_object_usd and no answer_usd for the task type x"
    ):
        prices.resolve("x", {})
    given = {"ground_truth_per_object_usd": 1, "answer_usd": 2}
    assert prices.resolve("x", given).ground_truth_per_object_usd == 1


def test_a_verdict_costs_what_an_answer_does_unless_it_has_a_price():
    shown = PRICES.labeling(objects=3, answers=0)
    assert PRICES.auditing(objects=3, verdicts=5) == pytest.approx(shown + 5 * PRICES.answer_usd)
    assert PRICES.auditing(3, 5, verdict_usd=0.0) == pytest.approx(shown)
    assert PRICES.auditing(3, 5, verdict_usd=2.0) == pytest.approx(shown + 10)
