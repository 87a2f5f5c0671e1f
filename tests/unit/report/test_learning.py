"""The comparison of the strategy with the random control, with curves whose answers are known by hand."""

from __future__ import annotations

from typing import Any

import pytest

from truthloop_batch.report.learning import certainty, compare, outcome, reached
from truthloop_batch.report.measures import MEASURES

ACCURACY, MEAN_IOU = MEASURES["accuracy"], MEASURES["mean_iou"]


def curve(*points: tuple[int, float], half: float = 0.01) -> list[Any]:
    return [
        {
            "round": number,
            "labels": labels,
            "quality": quality,
            "interval": [quality - half, quality + half],
            "macro_f1": quality,
        }
        for number, (labels, quality) in enumerate(points)
    ]


def test_labels_are_interpolated_between_the_round_below_and_the_first_round_that_reaches_it() -> None:
    found = reached(curve((50, 0.70), (100, 0.80), (150, 0.90)), 0.85)
    assert found is not None
    assert found["interpolated_labels"] == pytest.approx(125)
    assert (found["first_round"], found["first_labels"]) == (2, 150)


def test_the_first_crossing_counts_when_a_curve_falls_again() -> None:
    found = reached(curve((50, 0.70), (100, 0.90), (150, 0.80), (200, 0.95)), 0.85)
    assert found is not None
    assert found["interpolated_labels"] == pytest.approx(87.5)


def test_a_quality_that_the_first_round_has_needed_its_labels() -> None:
    found = reached(curve((50, 0.70), (100, 0.80)), 0.60)
    assert found is not None
    assert found["interpolated_labels"] == 50


def test_a_quality_that_is_never_reached_has_no_labels() -> None:
    assert reached(curve((50, 0.70), (100, 0.80)), 0.81) is None


def test_the_saving_is_measured_at_the_controls_final_accuracy() -> None:
    strategy = curve((50, 0.70), (100, 0.90), (150, 0.95))
    control = curve((50, 0.70), (100, 0.75), (150, 0.80))
    comparison = compare(strategy, control)
    assert comparison is not None
    assert comparison["target_quality"] == 0.80
    # 0.80 lies halfway between 0.70 at 50 labels and 0.90 at 100.
    assert comparison["saved_share"] == pytest.approx(1 - 75 / 150)
    assert comparison["won"] is True
    sentence = outcome(ACCURACY, "margin", strategy, comparison)
    assert "80.0%" in sentence
    assert "with 75 training labels, random sampling with 150: 50% fewer" in sentence
    assert "interpolated between rounds; a round first measured it with 100" in sentence


def test_the_control_is_measured_by_the_same_rule_and_not_at_its_last_round() -> None:
    control = curve((50, 0.70), (100, 0.80), (150, 0.80))
    comparison = compare(curve((50, 0.70), (100, 0.75), (150, 0.80)), control)
    assert comparison is not None
    assert comparison["control"]["interpolated_labels"] == pytest.approx(100)
    assert comparison["won"] is False


def test_a_strategy_that_never_gets_there_is_said_not_to_win() -> None:
    strategy = curve((50, 0.70), (100, 0.72))
    comparison = compare(strategy, curve((50, 0.70), (100, 0.80)))
    assert comparison is not None
    assert comparison["strategy"] is None
    assert comparison["saved_share"] is None
    sentence = outcome(ACCURACY, "margin", strategy, comparison)
    assert sentence.startswith("Margin sampling did not win: it never reached the accuracy of 80.0%")
    assert "With 100 labels it was 8.0 percentage points worse." in sentence


def test_a_strategy_that_needs_more_labels_is_said_not_to_win() -> None:
    strategy = curve((50, 0.70), (100, 0.75), (150, 0.80), (200, 0.90))
    comparison = compare(strategy, curve((50, 0.70), (100, 0.80), (150, 0.80)))
    assert comparison is not None
    assert comparison["saved_share"] == pytest.approx(1 - 150 / 100)
    sentence = outcome(ACCURACY, "margin", strategy, comparison)
    assert "did not win" in sentence
    assert "it needed 150 labels and random sampling 100." in sentence


def test_equal_curves_are_said_to_save_nothing() -> None:
    same = curve((50, 0.70), (100, 0.80))
    comparison = compare(same, same)
    assert comparison is not None
    sentence = outcome(ACCURACY, "random", same, comparison)
    assert "did not win" in sentence
    assert "as many labels as random sampling, 100" in sentence
    assert "both were equally good" in sentence


def test_arms_of_different_lengths_are_compared_where_the_shorter_one_ends() -> None:
    comparison = compare(curve((50, 0.70), (100, 0.90)), curve((50, 0.70), (90, 0.80)))
    assert comparison is not None
    assert comparison["same_labels"] == 90
    assert comparison["quality_difference"] == pytest.approx(0.70 + 0.20 * 40 / 50 - 0.80)


def test_without_a_control_nothing_is_claimed_about_savings() -> None:
    model = curve((50, 0.70), (100, 0.80))
    assert compare(model, []) is None
    sentence = outcome(ACCURACY, "margin", model, None)
    assert "80.0% accuracy" in sentence
    assert "100 training labels" in sentence
    assert "not known" in sentence


@pytest.mark.parametrize(("half", "overlapping"), [(0.01, False), (0.06, True)])
def test_overlapping_intervals_are_said_to_leave_room_for_chance(half: float, overlapping: bool) -> None:
    comparison = compare(curve((50, 0.7), (100, 0.9), half=half), curve((50, 0.7), (100, 0.8), half=half))
    assert ("may be chance" in certainty(ACCURACY, comparison, 400)) is overlapping
    assert "Wilson 95% intervals over 400 test rows" in certainty(ACCURACY, comparison, 400)
    assert "by the bootstrap over 400 test rows" in certainty(MEAN_IOU, comparison, 400)


def test_a_mean_of_ratios_is_said_as_a_decimal_and_never_in_percent() -> None:
    strategy, control = curve((50, 0.40), (100, 0.612)), curve((50, 0.40), (100, 0.70))
    lost = outcome(MEAN_IOU, "margin", strategy, compare(strategy, control))
    assert "it never reached the mean IoU of 0.700 with which" in lost
    assert "With 100 labels it was 0.088 worse." in lost
    won = outcome(MEAN_IOU, "margin", control, compare(control, strategy))
    assert "the random control’s final mean IoU of 0.612 with" in won
    alone = outcome(MEAN_IOU, "margin", control, None)
    assert "The model reached a mean IoU of 0.700 on the frozen test set" in alone
    assert "%" not in lost + alone
