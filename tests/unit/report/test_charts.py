"""The charts: where marks stand, and that each says its value in words."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from markupsafe import Markup

from truthloop_batch.report import charts
from truthloop_batch.report.measures import MEASURES
from unit.report.test_learning import curve

ACCURACY, MAP_50 = MEASURES["accuracy"], MEASURES["map_50"]


def drawings(markup: Markup) -> list[Any]:
    """The wide and the narrow SVG."""
    root = ElementTree.fromstring(str(markup))  # noqa: S314
    found = root.findall(".//svg")
    assert len(found) == 2
    return found


def marks(drawing: Any, kind: str) -> list[Any]:
    return [element for element in drawing.iter("g") if element.get("class") == f"mark {kind}"]


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0.7312, 0.9831), (50, 350), (0, 135.98), (0, 0.00042), (5, 5), (0, 0)]
)
def test_ticks_are_evenly_spaced_and_enclose_the_values(low: float, high: float) -> None:
    values = charts.ticks(low, high, 5)
    assert values[0] <= low + 1e-9
    assert values[-1] >= high - 1e-9
    assert 2 <= len(values) <= 12
    steps = {round(after - before, 9) for before, after in pairwise(values)}
    assert len(steps) == 1


def test_every_mark_says_its_value_in_words_for_mouse_keyboard_and_screen_reader() -> None:
    strategy, control = curve((50, 0.70), (100, 0.90)), curve((50, 0.70), (100, 0.80))
    markup = charts.learning_curve(
        ACCURACY,
        [("margin sampling", "strategy", strategy), ("random control", "control", control)],
        None,
        "summary",
    )
    for drawing in drawings(markup):
        assert drawing.get("aria-label") == "summary"
        tips = [mark.get("aria-label") for mark in marks(drawing, "strategy")]
        assert tips[1].replace("\u2060", "") == (
            "margin sampling, round 1: accuracy 90.0% (89.0–91.0%) with 100 training labels"
        )
        assert [mark.find("title").text for mark in marks(drawing, "strategy")] == tips
        assert len(marks(drawing, "control")) == 2


def test_points_stand_in_proportion_to_their_values() -> None:
    points = curve((0, 0.2), (50, 0.4), (100, 0.6))
    drawing = drawings(charts.learning_curve(ACCURACY, [("margin", "strategy", points)], None, ""))[0]
    dots = [mark.findall("circle")[-1] for mark in marks(drawing, "strategy")]
    across = [float(dot.get("cx")) for dot in dots]
    down = [float(dot.get("cy")) for dot in dots]
    assert across[2] - across[1] == pytest.approx(across[1] - across[0], abs=0.02)
    assert down[1] - down[2] == pytest.approx(down[0] - down[1], abs=0.02)
    assert down[0] > down[1] > down[2]


def test_the_axis_is_named_after_the_measure_and_counts_in_its_unit() -> None:
    points = curve((0, 0.2), (50, 0.4), (100, 0.6))
    for measure, name, ends in (
        (ACCURACY, "test accuracy", {"20%", "60%"}),
        (MAP_50, "test mAP@0.5", {"0.2", "0.6"}),
    ):
        for drawing in drawings(charts.learning_curve(measure, [("margin", "strategy", points)], None, "")):
            texts = {element.text for element in drawing.iter("text")}
            assert {name} | ends <= texts
    tip = marks(drawing, "strategy")[1].get("aria-label")
    assert "mAP@0.5 0.400 (0.390\u2060–\u20600.410) with 50" in tip


def test_a_single_round_draws_points_and_no_line() -> None:
    for drawing in drawings(charts.learning_curve(ACCURACY, [("m", "strategy", curve((50, 0.9)))], None, "")):
        assert len(marks(drawing, "strategy")) == 1
        assert not drawing.findall(".//path")
        numbers = re.findall(r"[\d.]+|nan|inf", " ".join(e.get("cx", "") for e in drawing.iter("circle")))
        assert numbers
        assert "nan" not in numbers


def cost(number: int, labeling: float, audit: float = 0.0) -> Any:
    return {
        "round": number,
        "labeling_usd": labeling,
        "audit_usd": audit,
        "compute_usd": 1.0,
        "total_usd": labeling + audit + 1,
    }


def test_columns_are_as_high_as_their_costs() -> None:
    rounds = [cost(n, labeling) for n, labeling in enumerate([40.0, 10.0, 20.0])]
    drawing = drawings(charts.cost_per_round(rounds, ""))[0]
    heights = [float(mark.findall("rect")[1].get("height")) for mark in marks(drawing, "column")]
    assert heights[0] / heights[1] == pytest.approx(4, rel=0.01)
    assert heights[2] / heights[1] == pytest.approx(2, rel=0.01)
    assert marks(drawing, "column")[1].get("aria-label") == "Round 1: $10.00 labelling, $1.00 compute"


def test_audits_stand_between_labelling_and_compute_in_the_rounds_that_had_some() -> None:
    drawing = drawings(charts.cost_per_round([cost(0, 4.0), cost(1, 4.0, audit=2.0)], ""))[0]
    plain, audited = marks(drawing, "column")
    assert [bar.get("class") for bar in plain.findall("rect")[1:]] == ["bar people", "bar machine"]
    bars = audited.findall("rect")[1:]
    assert [bar.get("class") for bar in bars] == ["bar people", "bar audit", "bar machine"]
    heights = [float(bar.get("height")) for bar in bars]
    assert heights == pytest.approx([4 * heights[2], 2 * heights[2], heights[2]], rel=0.01)
    # One stands on the other.
    tops = [float(bar.get("y")) for bar in bars]
    assert tops[0] == pytest.approx(tops[1] + heights[1], abs=0.05)
    assert tops[1] == pytest.approx(tops[2] + heights[2], abs=0.05)
    assert plain.get("aria-label") == "Round 0: $4.00 labelling, $1.00 compute"
    assert audited.get("aria-label") == "Round 1: $4.00 labelling, $2.00 audit, $1.00 compute"


def test_rounds_without_any_cost_can_be_drawn() -> None:
    free = [{**cost(0, 0.0), "compute_usd": 0.0, "cumulative_usd": 0.0}]
    assert drawings(charts.cost_per_round(free, ""))
    assert drawings(charts.cumulative_cost(free, None, ""))


def test_the_budget_stands_in_the_picture_even_when_it_is_far_away() -> None:
    rounds: list[Any] = [{"round": 0, "cumulative_usd": 1.0}, {"round": 1, "cumulative_usd": 2.0}]
    for drawing in drawings(charts.cumulative_cost(rounds, 100.0, "")):
        (line,) = [element for element in drawing.iter("line") if element.get("class") == "budget"]
        assert 0 <= float(line.get("y1")) <= 290
        assert "2% of the budget" in marks(drawing, "total")[1].get("aria-label")


def test_the_confusion_matrix_has_true_classes_in_rows_and_predictions_in_columns() -> None:
    drawing = drawings(charts.confusion_matrix(["cat", "dog"], [[8, 2], [0, 5]], ""))[0]
    tips = [mark.get("aria-label") for mark in marks(drawing, "cell")]
    assert tips == [
        "cat: 8 of 10 test rows right",
        "cat taken for dog: 2 of 10 test rows",
        "dog taken for cat: 0 of 5 test rows",
        "dog: 5 of 5 test rows right",
    ]
    kinds = [mark.find("rect").get("class") for mark in marks(drawing, "cell")]
    assert kinds == ["right", "wrong", "empty", "right"]


def test_texts_inside_a_chart_are_escaped() -> None:
    evil = '"><script>alert(1)</script>&'
    markup = charts.confusion_matrix([evil, "猫 🐈"], [[1, 1], [1, 1]], evil)
    assert "<script" not in markup
    assert "猫 🐈 taken for" in markup
    assert drawings(markup)[0].get("aria-label") == evil
