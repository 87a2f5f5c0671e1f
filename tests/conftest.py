"""Says at the end how many Terraform checks hold, and that each was seen to notice its mistake."""

from __future__ import annotations

import re

import pytest

_CHECK = re.compile(r"terraform/test_consistency\.py::test_the_promise_holds\[(.+)\]$")
_MUTATION = re.compile(r"terraform/test_mutations\.py::test_a_check_notices_its_mistake\[(.+)\]$")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    held, not_held = _outcomes(terminalreporter, _CHECK)
    caught, missed = _outcomes(terminalreporter, _MUTATION)
    if not (held or not_held or caught or missed):
        return
    tried = len(caught) + len(missed)
    hold = f"{len(held)} of {len(held) + len(not_held)}" if not_held else str(len(held))
    outcome = f"{len(caught)} caught" if missed or not tried else "all caught"
    terminalreporter.write_line(f"terraform: {hold} checks hold; {tried} mutations tried, {outcome}")
    for name in not_held:
        terminalreporter.write_line(f"terraform: does not hold: {name}")
    for name in missed:
        terminalreporter.write_line(f"terraform: not caught: {name}")


def _outcomes(reporter: pytest.TerminalReporter, pattern: re.Pattern[str]) -> tuple[list[str], list[str]]:
    """The names of the passed tests that match, and of those that failed or could not be run."""
    good, bad = (
        [
            match[1]
            for kind in kinds
            for report in reporter.stats.get(kind, [])
            if (match := pattern.search(report.nodeid))
        ]
        for kinds in (("passed",), ("failed", "error"))
    )
    return good, bad
