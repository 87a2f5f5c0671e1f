"""What an auditor is shown of a row: the object, its label, and what was said of the label before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from truthloop import labels, palette, task_types, tasks
from truthloop.audit import REASONS
from truthloop.audit.overlays import drawn_categories
from truthloop.labeling.jobs import JobRecord
from truthloop.manifest import HISTORY, SOURCE, class_index, metadata_key, provenance
from truthloop.task_types import InvalidDataObject

AUDITED = "audited"
"""The event of a row's history that is a verdict."""
OVERLAY = "overlay-ref"
"""The key of a mask's metadata that names its file with a transparent background."""
_TOLD = ("event", "decision", "reason", "comment")
_CONFIDENCE_DIGITS = 4


def audit_task(row: Mapping[str, Any], job: JobRecord) -> dict[str, Any]:
    """What the audit template finds under `task.input` for a row whose label is to be judged.

    Raises
    ------
    InvalidDataObject
        When the row lacks the object or a label that can be shown.
    """
    task_type = task_types.get(job.task_type)
    kind, attribute = task_type.LABEL_KIND, job.label_attribute
    shown = tasks.task(row, task_type.SOURCE_KEY, job.label_categories, job.instructions)
    confidence = labels.confidence(kind, row.get(metadata_key(attribute)))
    return {
        "taskObject": shown["taskObject"],
        "objectKind": "text" if task_type.SOURCE_KEY == SOURCE else "image",
        "labels": shown["labels"],
        "kind": kind,
        "label": shown_label(kind, row, attribute, job.label_categories),
        "reasons": [
            {"code": code, "en": english, "ja": japanese} for code, (english, japanese) in REASONS.items()
        ],
        "history": [{key: entry.get(key) for key in _TOLD} for entry in verdicts_on(row)],
        "confidence": None if confidence is None else round(confidence, _CONFIDENCE_DIGITS),
        "instructions": shown["instructions"],
        "context": shown["context"],
    }


def verdicts_on(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The earlier verdicts on a row's labels, oldest first."""
    history = provenance(row).get(HISTORY)
    entries = history if isinstance(history, list) else []
    return [entry for entry in entries if isinstance(entry, dict) and entry.get("event") == AUDITED]


def shown_label(
    kind: str, row: Mapping[str, Any], attribute: str, label_categories: Sequence[str]
) -> dict[str, Any]:
    """The label as the audit template draws it.

    Returns
    -------
    dict
        {"names": […]} for categories; {"width", "height", "boxes": [{"label", "left", "top", "width",
        "height", "color"}]}; {"overlay": S3 URI of a PNG with a transparent background, "legend": [{"label",
        "color"}]} for a mask.

    Raises
    ------
    InvalidDataObject
        When the row has no such label.
    """
    found = "there is none"
    if row.get(attribute) is not None:
        found = labels.refusal(kind, row, attribute, label_categories) or ""
    if found:
        raise InvalidDataObject(
            f"the label cannot be shown, {found}; allowed: {labels.ALLOWED[kind]}. "
            f"Correct or remove {attribute}."
        )
    value, metadata = row[attribute], row.get(metadata_key(attribute)) or {}
    if kind == labels.BOXES:
        return {
            **_image_size(value, attribute),
            "boxes": [
                {
                    "label": label_categories[each["class_id"]],
                    **{side: each[side] for side in tasks.BOX_SIDES},
                    "color": palette.color(each["class_id"] % palette.CATEGORIES_MAXIMUM),
                }
                for each in value["annotations"]
            ],
        }
    if kind == labels.MASK:
        if not isinstance(metadata.get(OVERLAY), str):
            raise InvalidDataObject(
                f"the mask cannot be shown: {metadata_key(attribute)} has no {OVERLAY}. "
                "Write the URI of the mask with a transparent background there."
            )
        drawn = drawn_categories(metadata.get("internal-color-map"), label_categories)
        return {
            "overlay": metadata[OVERLAY],
            "legend": [{"label": each.label, "color": each.color} for _, each in sorted(drawn.items())],
        }
    return {"names": names_of(kind, row, attribute, label_categories)}


def names_of(kind: str, row: Mapping[str, Any], attribute: str, label_categories: Sequence[str]) -> list[str]:
    """The categories of a label that is a class or a list of them."""
    if kind == labels.CLASS:
        index = class_index(row, attribute)
        return [] if index is None else [label_categories[index]]
    return [label_categories[index] for index in row[attribute]]


def image_size_of(value: Mapping[str, Any]) -> tuple[int, int] | None:
    """Width and height in pixels of the image that a label of boxes is about, None when it doesn't tell."""
    sizes = value.get("image_size")
    size = sizes[0] if isinstance(sizes, list) and sizes else None
    if not isinstance(size, dict):
        return None
    width, height = (_pixels(size.get(side)) for side in ("width", "height"))
    return None if width is None or height is None else (width, height)


def _pixels(value: Any) -> int | None:
    return int(value) if type(value) in (int, float) and value >= 1 else None


def _image_size(value: Mapping[str, Any], attribute: str) -> dict[str, int]:
    size = image_size_of(value)
    if size is None:
        raise InvalidDataObject(
            f"the boxes cannot be shown: image_size is {value.get('image_size')!r}; allowed: "
            f'[{{"width", "height", "depth"}}]. Correct or remove {attribute}.'
        )
    return {"width": size[0], "height": size[1]}
