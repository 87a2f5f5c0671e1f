"""How far one worker's answer agrees with a label that is known, from 0 to 1, for each kind of label.

Classes are right or wrong. Of lists of categories it is the Jaccard index; of boxes the F1 score, where two
boxes of one category match from an IoU of 0.5 on, as in PASCAL VOC; of masks the mean IoU over the
categories that either has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from truthloop import labels
from truthloop.consolidation.boxes import Box
from truthloop.manifest import class_index, metadata_key

# https://doi.org/10.1007/s11263-009-0275-4, section 4.2
_IOU_MINIMUM = 0.5


def known_label(
    kind: str,
    row: Mapping[str, Any],
    attribute: str,
    label_categories: Sequence[str],
    read_bytes: Callable[[str], bytes],
) -> Any:
    """A row's label as `agreement` takes it: an index, a set of them, boxes, or a `consolidation.masks.Mask`.

    Parameters
    ----------
    row
        A row whose label is one of its kind; see `labels.refusal`.
    read_bytes
        Reads the mask at an S3 URI; other kinds need none.

    Raises
    ------
    UnreadableMask
        When the mask is no palette PNG, or its colour map names other categories.
    """
    if kind == labels.CLASS:
        return class_index(row, attribute)
    value = row[attribute]
    if kind == labels.CLASSES:
        return frozenset(value)
    if kind == labels.BOXES:
        return boxes_of(value)
    # The numerics come with a layer of the one function that consolidates.
    from truthloop.consolidation import masks

    color_map = (row.get(metadata_key(attribute)) or {}).get("internal-color-map")
    return masks.Mask.of(masks.read_palette(read_bytes(value), color_map, label_categories))


def agreement(kind: str, answer: Any, known: Any) -> float:
    """How far an answer, as the task type's `read_answer` gives it, agrees with what `known_label` gives."""
    if kind == labels.CLASS:
        return float(answer == known)
    if kind == labels.CLASSES:
        return jaccard(answer, known)
    if kind == labels.BOXES:
        return boxes_f1(answer.boxes, known)
    from truthloop.consolidation import masks

    return masks.mean_iou(answer, known)


def between_labels(kind: str, one: Any, other: Any) -> float | None:
    """How far two labels of a kind agree as they stand in rows; None for masks, which lie in files.

    Parameters
    ----------
    one, other
        Labels of that kind; see `labels.refusal`.
    """
    if kind == labels.CLASS:
        return float(str(one) == str(other))
    if kind == labels.CLASSES:
        return jaccard(frozenset(one), frozenset(other))
    return boxes_f1(boxes_of(one), boxes_of(other)) if kind == labels.BOXES else None


def jaccard(one: AbstractSet[int], other: AbstractSet[int]) -> float:
    """What two sets have in common, as a part of what either has; 1 when both are empty."""
    union = one | other
    return len(one & other) / len(union) if union else 1.0


def boxes_f1(one: Sequence[Box], other: Sequence[Box]) -> float:
    """Twice the matching boxes by all boxes of both, 1 when there are none; a box matches one at most.

    Pairs are matched from the greatest overlap down.
    """
    if not one and not other:
        return 1.0
    pairs = sorted(
        (
            (-iou, position, opposite)
            for position, box in enumerate(one)
            for opposite, candidate in enumerate(other)
            if box.class_id == candidate.class_id and (iou := box.iou(candidate)) >= _IOU_MINIMUM
        ),
    )
    matched_ones: set[int] = set()
    matched_others: set[int] = set()
    for _, position, opposite in pairs:
        if position not in matched_ones and opposite not in matched_others:
            matched_ones.add(position)
            matched_others.add(opposite)
    return 2 * len(matched_ones) / (len(one) + len(other))


def boxes_of(value: Mapping[str, Any]) -> tuple[Box, ...]:
    """The boxes of a label of that kind."""
    return tuple(
        Box(each["class_id"], each["left"], each["top"], each["width"], each["height"])
        for each in value["annotations"]
    )
