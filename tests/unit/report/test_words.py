"""Numbers in words."""

from __future__ import annotations

import pytest

from truthloop_batch.report import words


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (0, "$0.00"),
        (0.01, "$0.01"),
        (0.00123, "$0.0012"),
        (0.0000456, "$0.000046"),
        (1234.5, "$1,234.50"),
        (-3.5, "−$3.50"),
    ],
)
def test_small_amounts_keep_two_significant_digits(amount: float, expected: str) -> None:
    assert words.dollars(amount) == expected


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (0.44, "0.4 s"),
        (4.23, "4.2 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (273600, "3 d 4 h"),
    ],
)
def test_durations_have_their_two_largest_units(duration: float, expected: str) -> None:
    assert words.seconds(duration) == expected


@pytest.mark.parametrize(
    "text", ["2026-03-01T18:05:00+09:00", "2026-03-01T09:05:00Z", "2026-03-01T09:05:00.250000"]
)
def test_times_are_shown_in_utc_whatever_their_offset(text: str) -> None:
    assert words.moment(text) == "1 Mar 2026, 09:05 UTC"


def test_intervals_stay_on_one_line() -> None:
    assert words.interval([0.9391, 0.97]).replace("\u2060", "") == "93.9–97.0%"
    assert words.interval([0.9391, 0.97]).count("\u2060") == 2


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [("short", 5, "short"), ("too long", 5, "too…"), ("手書き数字", 7, "手書き…"), ("手書き", 6, "手書き")],
)
def test_texts_are_cut_by_the_columns_that_they_take(text: str, columns: int, expected: str) -> None:
    assert words.shorten(text, columns) == expected
    assert words.width(words.shorten(text, columns)) <= columns


@pytest.mark.parametrize(("number", "expected"), [(1, "1 label"), (0, "0 labels"), (1200, "1,200 labels")])
def test_nouns_agree_with_their_number(number: int, expected: str) -> None:
    assert words.counted(number, "label") == expected


def test_differences_are_percentage_points() -> None:
    assert words.points(-0.0191) == "1.9 percentage points"
    assert words.points(0.01) == "1.0 percentage point"
