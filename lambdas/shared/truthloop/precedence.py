"""Which of two labels of a row stands, so that results merge to the same manifest in any order.

The newest label stands, by the creation date in its metadata; but the model's never replaces people's or the
input's. A label that an audit took back stays away until a newer one is given. What happened to a row is
joined whatever label stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from truthloop.audit.steps import REVOKED, UNRESOLVED
from truthloop.manifest import (
    HISTORY,
    TRUTHLOOP,
    Row,
    is_labeled,
    joined_history,
    metadata_key,
    provenance,
)

PEOPLE = "people"
INPUT = "input"
MODEL = "model"
"""Who gave a label: `truthloop.labeled_by`."""

AUDIT = "audit"
"""The key of `truthloop` that holds the last verdict on a row."""
TAKEN_BACK = frozenset({REVOKED, UNRESOLVED})
"""The standings of an audited row that has lost its label."""
_TAKING_BACK = frozenset({"revoked", "taken-back"})
"""The events of a row's history that take its label back."""

Age: TypeAlias = tuple[datetime, str]
BEGINNING = datetime.min.replace(tzinfo=UTC)


def moment(text: Any) -> datetime:
    """A time that a row states, ISO 8601; without an offset it is UTC, as Ground Truth writes it.

    What is no time is before every time.
    """
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return BEGINNING
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def label_age(row: Mapping[str, Any], attribute: str, job: Any) -> Age:
    """When a row's label was given, and by which job: of labels of one moment that decides."""
    return moment((row.get(metadata_key(attribute)) or {}).get("creation-date")), str(job)


def taken_back_at(row: Mapping[str, Any], attribute: str) -> datetime:
    """When an audit last took the row's label back; before every time where it has one, or none did."""
    if is_labeled(row, attribute):
        return BEGINNING
    history = provenance(row).get(HISTORY) or []
    times = (moment(entry.get("at")) for entry in history if entry.get("event") in _TAKING_BACK)
    return max(times, default=BEGINNING)


def may_replace(row: Mapping[str, Any], attribute: str, labeled_by: str, age: Age) -> bool:
    """Whether a label of that age, given by people or the model, is to stand in the master row."""
    known = provenance(row)
    if not is_labeled(row, attribute):
        taken_back = taken_back_at(row, attribute)
        return taken_back == BEGINNING or age[0] > taken_back
    if labeled_by != known.get("labeled_by"):
        # People's replace the model's and the input's; no label of the model's replaces another's.
        return labeled_by == PEOPLE
    return age >= label_age(row, attribute, known.get("job"))


def with_label(
    row: Mapping[str, Any],
    attribute: str,
    value: Any,
    metadata: Mapping[str, Any],
    story: Mapping[str, Any],
) -> Row:
    """The update that gives a master row a label; `story` are keys of its `truthloop`."""
    provenance_: dict[str, Any] = dict(story)
    if (provenance(row).get(AUDIT) or {}).get("status") in TAKEN_BACK:
        # The verdict was on the label before this one; the history keeps it.
        provenance_.setdefault(AUDIT, None)
    return {attribute: value, metadata_key(attribute): metadata, TRUTHLOOP: provenance_}


def combined(first: Row | None, second: Row | None) -> Row:
    """One update that does what two do one after the other."""
    if not first or not second:
        return first or second or {}
    stories = [each.get(TRUTHLOOP, {}) for each in (first, second)]
    merged = {**first, **second, TRUTHLOOP: {**stories[0], **stories[1]}}
    if any(HISTORY in story for story in stories):
        merged[TRUTHLOOP][HISTORY] = joined_history(*(story.get(HISTORY) or [] for story in stories))
    return merged
