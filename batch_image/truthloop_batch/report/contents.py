"""What a label in Ground Truth's format holds, whatever its kind: its categories and its boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from truthloop.manifest import Row, metadata_key
from truthloop_batch.report.document import Box, Boxes, Named

# An image with more is a blur of lines in a small picture; the rest stays in labels.manifest.
BOXES_SHOWN = 40


def categories(kind: str, value: Any, metadata: Any, classes: Sequence[str]) -> Counter[int]:
    """The indices of a label's categories, in their order; boxes may have one several times.

    Parameters
    ----------
    value, metadata
        A label of the kind as it stands in a row, and what stands beside it.
    """
    if kind == "class":
        return Counter([int(value)])
    if kind == "classes":
        return Counter(sorted(value))
    if kind == "boxes":
        return Counter(sorted(annotation["class_id"] for annotation in value["annotations"]))
    named = {entry.get("class-name") for entry in _entries(metadata, "internal-color-map")}
    return Counter(index for index, name in enumerate(classes) if name in named)


def of_row(kind: str, row: Row, attribute: str, classes: Sequence[str]) -> Counter[int]:
    """The categories of a labelled row."""
    return categories(kind, row[attribute], row.get(metadata_key(attribute)), classes)


def named(found: Mapping[int, int], classes: Sequence[str]) -> list[Named]:
    """Categories by their names."""
    return [{"label": classes[index], "count": count} for index, count in found.items()]


def boxes(value: Mapping[str, Any], classes: Sequence[str]) -> Boxes:
    """The boxes of a label, `BOXES_SHOWN` at most."""
    size, annotations = value["image_size"][0], value["annotations"]
    shown: list[Box] = [
        {
            "label": classes[each["class_id"]],
            "left": each["left"],
            "top": each["top"],
            "width": each["width"],
            "height": each["height"],
        }
        for each in annotations[:BOXES_SHOWN]
    ]
    return {
        "width": size["width"],
        "height": size["height"],
        "boxes": shown,
        "left_out": len(annotations) - len(shown),
    }


def _entries(metadata: Any, key: str) -> list[dict[str, Any]]:
    """The objects in a list or object of the metadata; those of the input may have any form."""
    found = metadata.get(key) if isinstance(metadata, dict) else None
    if isinstance(found, dict):
        found = list(found.values())
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
