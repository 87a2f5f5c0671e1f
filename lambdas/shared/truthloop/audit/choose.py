"""Which labels are audited: at random, so that the verdicts say something of all labels, and by risk.

The risk of a label combines what may be wrong with it as independent chances to err: the doubt that its
confidence leaves, how far it is from what the model suggested, and a labeller of whom little is known. Rows
of equal risk come in random order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from truthloop import labels
from truthloop.agreement import between_labels
from truthloop.labels import suggestion_key
from truthloop.manifest import is_labeled, metadata_key
from truthloop.request import Audit
from truthloop.splits import random_order

ALL = "all"
SAMPLE = "sample"

# Why a row is audited.
WHY_ALL = "all"
WHY_RANDOM = "random"
WHY_RISK = "risk"
WHY_AUTO = "auto"
WHY_FINAL = "final"

# The doubt about a label whose metadata tell no confidence, and that a new worker adds.
_UNTOLD = 0.5
_NEW_WORKER = 0.25
ANSWERS_OF_A_NEW_WORKER = 20
"""A worker with fewer answers in earlier rounds is new."""
_DIGITS = 6


@dataclass(frozen=True)
class Candidate:
    """A labelled row that may be audited: its id, and how doubtful its label looks, 0 to 1."""

    id: str
    risk: float = 0.0


def choose(candidates: Sequence[Candidate], policy: Audit, seed: int) -> dict[str, str]:
    """The rows that are audited, by id, and why each is; the same in any order of the candidates.

    The random part comes first and takes no account of risk, so that what it finds is true of all
    candidates; the risky part is of what it leaves.
    """
    if policy.policy == ALL:
        return {each.id: WHY_ALL for each in sorted(candidates, key=lambda each: each.id)}
    if policy.policy != SAMPLE:
        return {}
    rows = len(candidates)
    size = max(policy.minimum, _part_of(rows, policy.random_share))
    drawn = draw([each.id for each in candidates], size, seed, WHY_RANDOM)
    chosen = dict.fromkeys(drawn, WHY_RANDOM)
    left = sorted(
        (each for each in candidates if each.id not in chosen),
        key=lambda each: (-round(each.risk, _DIGITS), random_order(seed, f"{WHY_RISK}:{each.id}")),
    )
    for each in left[: _part_of(rows, policy.risk_share)]:
        chosen[each.id] = WHY_RISK
    return chosen


def draw(ids: Iterable[str], size: int, seed: int, purpose: str) -> list[str]:
    """At most `size` of the ids at random, in the seeded order of one purpose; purposes are independent."""
    return sorted(ids, key=lambda identifier: random_order(seed, f"{purpose}:{identifier}"))[:size]


def risk(
    kind: str,
    row: Mapping[str, Any],
    attribute: str,
    label_categories: Sequence[str],
    answers_of_labelers: Iterable[int] = (),
) -> float:
    """How doubtful a row's label looks, 0 to 1.

    Parameters
    ----------
    answers_of_labelers
        For each worker who labelled the row, how many answers of theirs in earlier rounds could be compared
        with others'; empty where that is not known.
    """
    confidence = labels.confidence(kind, row.get(metadata_key(attribute)))
    doubt = _UNTOLD if confidence is None else 1 - min(max(confidence, 0.0), 1.0)
    certain = 1 - doubt
    suggestion = suggestion_key(attribute)
    if is_labeled(row, suggestion) and labels.refusal(kind, row, suggestion, label_categories) is None:
        agreed = between_labels(kind, row[attribute], row[suggestion])
        certain *= 1.0 if agreed is None else agreed
    if any(answers < ANSWERS_OF_A_NEW_WORKER for answers in answers_of_labelers):
        certain *= 1 - _NEW_WORKER
    return 1 - certain


def _part_of(rows: int, share: float) -> int:
    # The shortest decimal is what the user wrote: 0.15 of 10 is 1.5, although 0.15 * 10 may be less.
    return int(rows * Fraction(repr(share)) + Fraction(1, 2))
