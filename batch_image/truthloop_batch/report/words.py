"""Numbers as a reader wants them: percentages, money, counts, durations, dates."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime


def percent(share: float, digits: int = 1) -> str:
    """0.9532 -> "95.3%"."""
    return f"{share * 100:.{digits}f}%"


def interval(bounds: Sequence[float]) -> str:
    """[0.9391, 0.9702] -> "93.9–97.0%", which no line breaks."""
    return f"{bounds[0] * 100:.1f}\u2060–\u2060{bounds[1] * 100:.1f}%"


def points(difference: float) -> str:
    """A difference of two shares: 0.0191 -> "1.9 percentage points"."""
    value = f"{abs(difference) * 100:.1f}"
    return f"{value} percentage point{'' if value == '1.0' else 's'}"


def count(number: float) -> str:
    """1797 -> "1,797"; a fraction is rounded."""
    return f"{round(number):,}"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """1, "label" -> "1 label"; 2 -> "2 labels"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def dollars(amount: float) -> str:
    """1234.5 -> "$1,234.50"; below a cent with two significant digits, 0.00123 -> "$0.0012"."""
    if amount == 0 or abs(amount) >= 0.01:
        return f"{'−' if amount < 0 else ''}${abs(amount):,.2f}"
    digits = 1 - math.floor(math.log10(abs(amount)))
    return f"{'−' if amount < 0 else ''}${abs(amount):.{digits}f}"


def seconds(duration: float) -> str:
    """4.23 -> "4.2 s", 200 -> "3 min 20 s", 7500 -> "2 h 5 min", 273600 -> "3 d 4 h"."""
    if duration < 60:
        return f"{duration:.1f} s"
    whole = round(duration)
    for large, large_name, small, small_name in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= large:
            rest = whole % large // small
            return f"{whole // large} {large_name}" + (f" {rest} {small_name}" if rest else "")
    raise AssertionError("unreachable")


def moment(text: str) -> str:
    """An ISO 8601 time as "20 Nov 2026, 20:14 UTC"."""
    time = parse_time(text).astimezone(UTC)
    return f"{time.day} {time:%b %Y, %H:%M} UTC"


def parse_time(text: str) -> datetime:
    """An ISO 8601 time; one without an offset is in UTC."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def width(text: str) -> int:
    """The columns that a text takes: Chinese, Japanese and Korean characters and emoji take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def shorten(text: str, columns: int) -> str:
    """Cut a text to some columns, an ellipsis in place of what was cut."""
    if width(text) <= columns:
        return text
    kept = ""
    for character in text:
        if width(kept + character) > columns - 1:
            break
        kept += character
    return kept.rstrip() + "…"
