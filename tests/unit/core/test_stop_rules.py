"""The stop rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from truthloop.request import Stop
from truthloop.stop_rules import RULES, Progress, Quality, Verdict, first_to_hold

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def quality(value: float, margin: float = 0.02) -> Quality:
    return Quality(value, value - margin, value + margin)


def progress(**changes) -> Progress:
    values = {
        "round": 2,
        "now": NOW,
        "cost_usd": 60.0,
        "next_round_usd": 20.0,
        "left_to_label": 100,
        "quality": (quality(0.7), quality(0.8), quality(0.9)),
    }
    return Progress(**{**values, **changes})


def rule(stop: Stop, **changes) -> str | None:
    verdict = first_to_hold(stop, progress(**changes))
    return None if verdict is None else verdict.rule


def test_without_a_reason_the_campaign_goes_on():
    assert first_to_hold(Stop(), progress()) is None


def test_the_seed_round_counts_as_a_round():
    assert rule(Stop(max_rounds=3)) == "max_rounds"
    assert rule(Stop(max_rounds=4)) is None
    assert rule(Stop(max_rounds=1), round=0, quality=(quality(0.5),)) == "max_rounds"


def test_a_round_that_would_break_the_budget_is_not_started():
    assert rule(Stop(budget_usd=79.99)) == "budget_usd"
    assert rule(Stop(budget_usd=80.0)) is None


def test_the_target_is_met_by_the_lower_end_of_the_interval():
    assert rule(Stop(target_quality=0.88)) == "target_quality"
    assert rule(Stop(target_quality=0.881)) is None
    reason = first_to_hold(Stop(target_quality=0.88), progress()).reason
    assert "lower end of its 95 % interval, 0.8800" in reason


@pytest.mark.parametrize(
    ("values", "rounds", "holds"),
    [
        ([0.7, 0.8, 0.9], 1, False),
        ([0.7, 0.9, 0.91], 1, True),
        ([0.7, 0.9, 0.91], 2, False),
        ([0.9, 0.91, 0.915], 2, True),
        ([0.9, 0.95, 0.91], 2, False),
        ([0.9, 0.5, 0.91], 1, True),
        ([0.9, 0.91], 2, False),
        ([0.9], 1, False),
    ],
)
def test_a_plateau_is_rounds_without_a_significant_gain_over_all_before(values, rounds, holds):
    series = tuple(quality(value) for value in values)
    found = rule(Stop(plateau_rounds=rounds), quality=series, round=len(series) - 1)
    assert found == ("plateau_rounds" if holds else None)


def test_a_gain_at_the_edge_of_its_interval_is_none():
    assert rule(Stop(plateau_rounds=1), quality=(quality(0.9), Quality(0.95, 0.9, 1.0))) == "plateau_rounds"
    assert rule(Stop(plateau_rounds=1), quality=(quality(0.9), Quality(0.95, 0.9001, 1.0))) is None


def test_no_round_starts_after_the_deadline():
    assert rule(Stop(deadline=NOW)) == "deadline"
    assert rule(Stop(deadline=NOW + timedelta(seconds=1))) is None


def test_the_campaign_ends_when_nothing_is_left_to_label():
    assert rule(Stop(), left_to_label=0) == "nothing_left"
    assert rule(Stop(), left_to_label=1) is None


def test_reaching_the_aim_is_named_before_running_out():
    stop = Stop(max_rounds=3, budget_usd=1, target_quality=0.5, plateau_rounds=1, deadline=NOW)
    everything = progress(left_to_label=0, quality=(quality(0.9), quality(0.9), quality(0.9)))
    assert [each.__name__ for each in RULES if each(stop, everything)] == [
        "target_quality",
        "nothing_left",
        "max_rounds",
        "budget_usd",
        "plateau_rounds",
        "deadline",
    ]
    verdict = first_to_hold(stop, everything)
    assert isinstance(verdict, Verdict)
    assert verdict.rule == "target_quality"
