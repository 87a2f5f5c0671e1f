"""What the checks of a worker template find, each with its place and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path


@dataclass(frozen=True, order=True)
class Finding:
    """Something about a template or its files that has to be corrected.

    Attributes
    ----------
    line
        From 1; of a template the line that the page's part was rendered from.
    advice
        What to do, one sentence or two.
    """

    file: Path
    line: int
    what: str
    advice: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}. {self.advice}"


@dataclass
class Report:
    """The findings about one file; the same thing is found once, however many samples show it."""

    file: Path
    _findings: dict[tuple[int, str], Finding] = field(default_factory=dict)

    @property
    def findings(self) -> list[Finding]:
        return list(self._findings.values())

    def add(self, line: int, what: str, advice: str) -> None:
        self._findings.setdefault((line, what), Finding(self.file, line, what, advice))


def similar(name: str, names: Iterable[str]) -> str:
    """A sentence, with a blank before it, that proposes the name that was probably meant; else nothing."""
    close = get_close_matches(name, sorted(names), n=1)
    return f" Did you mean {close[0]}?" if close else ""
