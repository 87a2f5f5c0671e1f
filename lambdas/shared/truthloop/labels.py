"""The kinds of labels that a row can have, and whether a value is one: Ground Truth's own formats.

https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from truthloop import palette
from truthloop.errors import InvalidManifest, TruthloopError
from truthloop.manifest import METADATA_SUFFIX, class_index
from truthloop.s3 import parse_uri

CLASS = "class"
"""One category: its index."""
CLASSES = "classes"
"""Any number of categories: the list of their indices."""
BOXES = "boxes"
"""Boxes, each of a category: {"image_size": […], "annotations": […]}."""
MASK = "mask"
"""The category of every pixel: the S3 URI of a palette PNG."""
KINDS = (CLASS, CLASSES, BOXES, MASK)

ALLOWED: Mapping[str, str] = {
    CLASS: "the index of a label category, from 0",
    CLASSES: "a list of different indices of label categories, from 0",
    BOXES: 'an object {"image_size": [{"width", "height", "depth"}], '
    '"annotations": [{"class_id", "left", "top", "width", "height"}]}',
    MASK: "the S3 URI of a palette PNG",
}

NONE_OF_THESE = "None of these · 該当なし"
"""What stands for no category in a list of them, where people choose or read one."""

# A suggestion is a label that nobody confirmed; it stands beside the place of the label, with its own
# metadata.
_SUGGESTION_SUFFIX = "-suggestion"


def suggestion_key(attribute: str) -> str:
    """The key of a row that holds what a model suggests for a label attribute."""
    return attribute + _SUGGESTION_SUFFIX


def confidence(kind: str, metadata: Any) -> float | None:
    """How sure a label is, as its metadata tell: the mean of its parts, None when they tell nothing.

    A mask's background counts only where there is nothing else. Metadata from elsewhere may have any form.
    """
    if not isinstance(metadata, dict):
        return None
    if kind == CLASS:
        told = [metadata.get("confidence")]
    elif kind == CLASSES:
        parts = metadata.get("confidence-map")
        told = list(parts.values()) if isinstance(parts, dict) else []
    elif kind == BOXES:
        told = [each.get("confidence") for each in _entries(metadata, "objects")]
    else:
        entries = _entries(metadata, "internal-color-map")
        drawn = [each for each in entries if each.get("class-name") != palette.BACKGROUND]
        told = [each.get("confidence") for each in drawn or entries]
    numbers = [float(each) for each in told if isinstance(each, int | float) and not isinstance(each, bool)]
    return fmean(numbers) if numbers else None


def is_by_reference(kind: str) -> bool:
    """Whether the label is an S3 URI, so that its attribute's name has to end in `-ref`."""
    return kind == MASK


def refusal(kind: str, row: Mapping[str, Any], attribute: str, label_categories: Sequence[str]) -> str | None:
    """Why the row's label isn't one of its kind and these categories, None when it is.

    Parameters
    ----------
    row
        A row that has something under the label attribute.
    """
    value = row[attribute]
    metadata = row.get(attribute + METADATA_SUFFIX) or {}
    if kind == MASK:
        return None if _is_uri(value) else f"{attribute}: {value!r}"
    indices = _indices(kind, row, attribute)
    if indices is None or not all(0 <= index < len(label_categories) for index in indices):
        return f"{attribute}: {value!r}"
    if kind == CLASS:
        named = {str(index): metadata.get("class-name", label_categories[index]) for index in indices}
    else:
        named = metadata.get("class-map") or {}
    if not isinstance(named, dict):
        return f"class-map: {named!r}"
    for index in indices:
        name = named.get(str(index), label_categories[index])
        if name != label_categories[index]:
            return f"{index} is {label_categories[index]!r}, in the metadata {name!r}"
    return None


def _entries(metadata: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects in a list or an object of the metadata."""
    found = metadata.get(key)
    if isinstance(found, dict):
        found = list(found.values())
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _indices(kind: str, row: Mapping[str, Any], attribute: str) -> list[int] | None:
    """The indices of categories that a label names, None when it has another form."""
    value = row[attribute]
    if kind == CLASS:
        try:
            index = class_index(row, attribute)
        except InvalidManifest:
            return None
        return None if index is None else [index]
    if kind == CLASSES:
        indices = value
    else:
        annotations = value.get("annotations") if isinstance(value, dict) else None
        if not isinstance(annotations, list) or not all(map(_is_box, annotations)):
            return None
        indices = [annotation["class_id"] for annotation in annotations]
    if not isinstance(indices, list) or not all(type(index) is int for index in indices):
        return None
    return None if kind == CLASSES and len(set(indices)) < len(indices) else indices


def _is_box(annotation: Any) -> bool:
    return isinstance(annotation, dict) and all(
        type(annotation.get(key)) in (int, float) for key in ("class_id", "left", "top", "width", "height")
    )


def _is_uri(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return bool(parse_uri(value).key)
    except TruthloopError:
        return False
