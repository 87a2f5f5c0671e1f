"""Labels that a model gives by itself, as they stand in rows: during the rounds and at the end alike."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from truthloop import precedence, task_types
from truthloop.manifest import HISTORY, Row, is_labeled, merge_row, provenance

if TYPE_CHECKING:
    from truthloop_batch.context import Context

AUTO = "auto"
"""Their `truthloop.reason` when a round's model was sure enough."""
REST = "model"
"""Their `truthloop.reason` when the last model labelled what was left."""
AUTO_LABELED = "auto-labeled"
"""What `truthloop.history` calls it."""

_CREATION_DATE = "%Y-%m-%dT%H:%M:%S.%f"


def is_labeled_by_model(row: Row, attribute: str) -> bool:
    """Whether the row's label is a model's; one that an auditor corrected is people's."""
    return is_labeled(row, attribute) and provenance(row)["labeled_by"] == precedence.MODEL


def is_labeled_by_people(row: Row, attribute: str) -> bool:
    """Whether the row's label is people's or came with the input: models learn from these alone."""
    return is_labeled(row, attribute) and provenance(row)["labeled_by"] != precedence.MODEL


def labeled_by_model(
    context: Context,
    row: Row,
    label: tuple[Any, Mapping[str, Any]],
    at: datetime,
    *,
    reason: str,
    score: float,
    confidence: float,
    model: str,
) -> Row:
    """The row with a model's label, in Ground Truth's shape: `human-annotated` is "no".

    Parameters
    ----------
    label
        The value and what the label kind adds to its metadata.
    at
        When it was labelled.
    reason, score, model
        As they stand under `truthloop`: AUTO or REST, 1 - margin, the model's URI.
    confidence
        The model's, from 0 to 1; it stands in the row's history.
    """
    attribute = context.request.label_attribute
    value, described = label
    metadata = {
        **described,
        "type": task_types.get(context.request.task_type).METADATA_TYPE,
        "human-annotated": "no",
        "creation-date": at.strftime(_CREATION_DATE),
        "job-name": f"truthloop/{context.request.campaign}",
    }
    event = {
        "at": at.isoformat(),
        "event": AUTO_LABELED,
        "round": context.round,
        "job": None,
        "model": model,
        "confidence": confidence,
    }
    told = {
        "round": context.round,
        "reason": reason,
        "score": score,
        "model": model,
        "labeled_by": precedence.MODEL,
        HISTORY: [event],
    }
    return merge_row(row, precedence.with_label(row, attribute, value, metadata, told))
