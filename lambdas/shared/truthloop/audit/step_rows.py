"""The rows of a step's job: what its workers are to see of a case, and no more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from truthloop import task_types
from truthloop.audit.display import OVERLAY, shown_label, verdicts_on
from truthloop.audit.document import AuditDocument
from truthloop.audit.steps import Case
from truthloop.labeling.jobs import VERDICTS
from truthloop.labels import suggestion_key
from truthloop.manifest import (
    HISTORY,
    LINE_CHARACTERS_MAXIMUM,
    SOURCE,
    SOURCE_REF,
    TRUTHLOOP,
    VALUE_CHARACTERS_MAXIMUM,
    VERSION_ID,
    Row,
    encode_row,
    metadata_key,
)
from truthloop.task_types import InvalidDataObject

_CONTEXT = "context"
_OBJECT = (SOURCE_REF, SOURCE, VERSION_ID, _CONTEXT)
# Of ten comments of full length a row is still within Ground Truth's limit.
_VERDICTS_SHOWN = 10


def step_row(audit: AuditDocument, case: Case, purpose: str) -> Row | None:
    """The row of a case in a step, None when Ground Truth or the template cannot take it.

    Auditors get the label under its attribute. For people who label again the attribute is free, and the old
    label is what they begin with, where it can be shown; such a row can always be made.
    """
    attribute = audit.source.label_attribute
    row: Row = {key: case.row[key] for key in _OBJECT if key in case.row}
    row[TRUTHLOOP] = {"id": case.id, HISTORY: verdicts_on(case.row)[-_VERDICTS_SHOWN:]}
    value, metadata = case.row.get(attribute), dict(case.row.get(metadata_key(attribute)) or {})
    if purpose not in VERDICTS:
        key = suggestion_key(attribute)
        begun = {**row, key: value, metadata_key(key): metadata}
        return begun if fits(begun) and _can_begin(audit, begun) else row
    if case.overlay is not None:
        metadata[OVERLAY] = case.overlay
    shown = {**row, attribute: value, metadata_key(attribute): metadata}
    return shown if fits(shown) and _can_judge(audit, shown) else None


def needs_overlay(audit: AuditDocument, case: Case) -> bool:
    """Whether a mask has no file with a transparent background yet."""
    metadata = case.row.get(metadata_key(audit.source.label_attribute))
    named = isinstance(metadata, dict) and isinstance(metadata.get(OVERLAY), str)
    return case.overlay is None and not named


def fits(row: Mapping[str, Any]) -> bool:
    """Whether a row is within Ground Truth's limits of a line and of a value."""
    return len(encode_row(row)) <= LINE_CHARACTERS_MAXIMUM and all(
        len(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        <= VALUE_CHARACTERS_MAXIMUM
        for value in row.values()
    )


def _can_judge(audit: AuditDocument, row: Row) -> bool:
    source = audit.source
    try:
        shown_label(audit.kind, row, source.label_attribute, source.label_categories)
    except InvalidDataObject:
        return False
    return True


def _can_begin(audit: AuditDocument, row: Row) -> bool:
    source = audit.source
    try:
        task_types.get(source.task_type).task_input(row, source.label_categories, source.label_attribute)
    except InvalidDataObject:
        return False
    return True
