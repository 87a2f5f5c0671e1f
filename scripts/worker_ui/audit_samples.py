"""Finds where a sample input of the auditors' template differs from what the code makes of a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from truthloop import palette, task_types
from truthloop.audit.display import OVERLAY, audit_task
from truthloop.labeling.jobs import AUDIT, JobRecord
from truthloop.labels import BOXES, CLASS, CLASSES, KINDS
from truthloop.manifest import HISTORY, SOURCE, SOURCE_REF, TRUTHLOOP, metadata_key
from truthloop.task_types import InvalidDataObject

_ATTRIBUTE = "label-ref"
_SIDES = ("left", "top", "width", "height")


def made_of_its_row(sample: Mapping[str, Any]) -> dict[str, Any]:
    """What the pre-annotation function returns for the row that a sample is about.

    The confidence is the sample's: what it was made of cannot be told from it.

    Raises
    ------
    InvalidDataObject
        When no row gives such a sample.
    """
    kind, label_categories = sample.get("kind"), sample.get("labels")
    if kind not in KINDS:
        raise InvalidDataObject(f"kind is {kind!r}; allowed: {', '.join(KINDS)}")
    source = SOURCE if sample.get("objectKind") == "text" else SOURCE_REF
    found = [
        name
        for name in task_types.names()
        if (kind, source) == (task_types.get(name).LABEL_KIND, task_types.get(name).SOURCE_KEY)
    ]
    if not found:
        raise InvalidDataObject(f"no task type labels a {sample.get('objectKind')} with {kind}")
    try:
        label, metadata = _label(kind, sample["label"], label_categories)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise InvalidDataObject(f"label has not the form of {kind}: {error}") from error
    row = {
        source: sample.get("taskObject"),
        "context": sample.get("context"),
        _ATTRIBUTE: label,
        metadata_key(_ATTRIBUTE): metadata,
        TRUTHLOOP: {HISTORY: sample.get("history")},
    }
    job = JobRecord(
        job_name="sample",
        campaign="sample",
        campaign_uri="",
        round=0,
        attempt=1,
        task_type=found[0],
        label_categories=tuple(label_categories or ()),
        label_attribute=_ATTRIBUTE,
        task_token="",
        waiting_since="",
        instructions=sample.get("instructions") or "",
        purpose=AUDIT,
    )
    return {**audit_task(row, job), "confidence": sample.get("confidence")}


def _label(kind: str, shown: Mapping[str, Any], label_categories: Any) -> tuple[Any, dict[str, Any]]:
    """The label and the metadata that are shown so."""
    if kind in (CLASS, CLASSES):
        indices = [label_categories.index(name) for name in shown["names"]]
        return (indices[0] if kind == CLASS else indices), {}
    if kind == BOXES:
        return {
            "image_size": [{"width": shown["width"], "height": shown["height"], "depth": 3}],
            "annotations": [
                {"class_id": label_categories.index(box["label"]), **{side: box[side] for side in _SIDES}}
                for box in shown["boxes"]
            ],
        }, {}
    return shown["overlay"].replace(".overlay.png", ".png"), {
        OVERLAY: shown["overlay"],
        "internal-color-map": {
            "0": {"class-name": palette.BACKGROUND, "hex-color": palette.WHITE},
            **{
                str(label_categories.index(each["label"]) + 1): {
                    "class-name": each["label"],
                    "hex-color": each["color"],
                }
                for each in shown["legend"]
            },
        },
    }
