"""How far labels and answers agree with the truth, which only a demo knows."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from truthloop.consolidation.boxes import Box
from truthloop.labels import BOXES, CLASS, CLASSES, MASK

# Two boxes of one class that overlap so far are the same object.
_SAME_IOU = 0.5
_SIDES = ("left", "top", "width", "height")


def label_of(kind: str, row: Mapping[str, Any], attribute: str, read: Callable[[str], bytes]) -> Any:
    """A row's label for `agreement`, None when it has none.

    Parameters
    ----------
    kind
        One of `truthloop.labels.KINDS`.
    read
        Returns the object of an S3 URI.
    """
    value = row.get(attribute)
    if value is None:
        return None
    if kind == BOXES:
        return [Box(each["class_id"], *(each[side] for side in _SIDES)) for each in value["annotations"]]
    if kind == MASK:
        return np.array(Image.open(io.BytesIO(read(value))))
    return frozenset(value) if kind == CLASSES else int(value)


def agreement(kind: str, truth: Any, given: Any, labels: Sequence[str]) -> float:
    """How far one object's label is the truth, from 0 to 1.

    Parameters
    ----------
    truth
        As the simulated annotators know it, see `labeling_engine.simulated_answers`.
    given
        By the kind an index, a set of indices, boxes, or an array [h, w] with 0 for the background; None for
        no label.

    Returns
    -------
    float
        Whether it is the class; the share of the labels that are judged rightly; F1 of the boxes of the same
        class that overlap by half or more (IoU); the mean IoU of the labels that either mask has.
    """
    if given is None:
        return 0.0
    if kind == CLASS:
        return float(labels[given] == truth)
    if kind == CLASSES:
        return float(np.mean([(index in given) == (label in truth) for index, label in enumerate(labels)]))
    if kind == BOXES:
        true = [Box(labels.index(box["label"]), *(box[side] for side in _SIDES)) for box in truth["boxes"]]
        return _f1(given, true)
    return _mean_iou(given, _mask(truth, labels))


def _f1(given: Sequence[Box], true: Sequence[Box]) -> float:
    pairs = sorted(
        (
            (one.iou(other), i, j)
            for i, one in enumerate(given)
            for j, other in enumerate(true)
            if one.class_id == other.class_id and one.iou(other) >= _SAME_IOU
        ),
        reverse=True,
    )
    found: set[int] = set()
    taken: set[int] = set()
    for _, i, j in pairs:
        if i not in found and j not in taken:
            found.add(i)
            taken.add(j)
    return 2 * len(found) / (len(given) + len(true)) if given or true else 1.0


def _mask(truth: Mapping[str, Any], labels: Sequence[str]) -> NDArray[Any]:
    content = base64.b64decode(truth["mask"])
    table = np.array([0, *(labels.index(label) + 1 for label in truth["labels"])])
    return table[np.array(Image.open(io.BytesIO(content)))]


def _mean_iou(given: NDArray[Any], true: NDArray[Any]) -> float:
    classes = np.union1d(given, true)
    ious = [
        ((given == number) & (true == number)).sum() / ((given == number) | (true == number)).sum()
        for number in classes
        if number
    ]
    return float(np.mean(ious)) if ious else 1.0
