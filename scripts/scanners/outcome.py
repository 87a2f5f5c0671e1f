"""What a scanner says, in the form that all of them share."""

from __future__ import annotations

from dataclasses import dataclass, field


class NotScanned(Exception):
    """A scanner could not do its work; the message says why, and what to do."""


@dataclass(frozen=True)
class Finding:
    """A weakness: the rule that it breaks, where, what is wrong, and what to do."""

    rule: str
    place: str
    problem: str
    advice: str


@dataclass(frozen=True)
class Accepted:
    """A finding that somebody accepted, with the reason."""

    rule: str
    place: str
    reason: str


@dataclass
class Outcome:
    """What one scanner looked at, what it found, what was accepted, and what it could not check."""

    checked: str = ""
    findings: list[Finding] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def status(self) -> str:
        if self.findings:
            return "FAILED"
        return "NOT CHECKED" if self.unchecked else "passed"
