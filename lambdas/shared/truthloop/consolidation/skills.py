"""What a campaign knows of its workers: sums of counts that every label kind names in its own way.

A count is a number under a text key, so that batches and rounds are added up without knowing the kind:

- classes of an object: `<true>:<answered>`, the expected number of such answers;
- several labels of an object: `<label>/<true>:<answered>`, with 0 and 1 for absent and present;
- boxes: `<true>:<answered>` with 1 for a real and a drawn box (found, missed, invented), `images` answered,
  and the number of `edges` compared with others' and the sum of their squared errors, `edge_error`;
- masks: `masks` compared with others', and the sum of their parts that are `right`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_DIGITS = 6


@dataclass(frozen=True)
class Evidence:
    """What one answer says about the worker who gave it.

    Attributes
    ----------
    agreement
        How far the answer agrees with the consolidated label, 0 to 1.
    counts
        What consolidation needs to judge the worker's later answers.
    """

    agreement: float
    counts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Skill:
    """What all answers of one worker say.

    Attributes
    ----------
    answers
        Answers that could be compared with those of other people.
    agreement
        The sum of their agreements.
    """

    answers: int = 0
    agreement: float = 0.0
    counts: Mapping[str, float] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """The entry of a worker in workers.json; `agreement` is there as a mean."""
        return {
            "answers": self.answers,
            "agreement": round(self.agreement / self.answers, _DIGITS) if self.answers else None,
            "agreement_sum": round(self.agreement, _DIGITS),
            "counts": {name: round(count, _DIGITS) for name, count in sorted(self.counts.items())},
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Skill:
        return cls(document["answers"], document["agreement_sum"], document["counts"])


def add(skills: Mapping[str, Skill], evidence: Iterable[tuple[str, Evidence]]) -> dict[str, Skill]:
    """The skills by worker, sorted, with further pairs (worker, evidence) added to them."""
    answers: Counter[str] = Counter()
    agreement: dict[str, float] = {}
    counts: dict[str, dict[str, float]] = {}
    for worker, skill in skills.items():
        answers[worker] = skill.answers
        agreement[worker] = skill.agreement
        counts[worker] = dict(skill.counts)
    for worker, each in evidence:
        answers[worker] += 1
        agreement[worker] = agreement.get(worker, 0.0) + each.agreement
        of_worker = counts.setdefault(worker, {})
        for name, count in each.counts.items():
            of_worker[name] = of_worker.get(name, 0.0) + count
    return {worker: Skill(answers[worker], agreement[worker], counts[worker]) for worker in sorted(answers)}


def pair_key(true: int, answered: int, prefix: str = "") -> str:
    """The key of a count of answers `answered` to what is `true`."""
    return f"{prefix}{true}:{answered}"


def pairs(counts: Mapping[str, float], prefix: str = "") -> dict[tuple[int, int], float]:
    """The counts under `pair_key`s of that prefix, as (true, answered) -> count."""
    found = {}
    for name, count in counts.items():
        if name.startswith(prefix):
            true, colon, answered = name.removeprefix(prefix).partition(":")
            if colon and true.isdigit() and answered.isdigit():
                found[int(true), int(answered)] = count
    return found
