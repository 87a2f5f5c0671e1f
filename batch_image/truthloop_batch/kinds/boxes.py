"""The label kind `boxes`: each row has any number of boxes, each of one label category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from truthloop.errors import InvalidManifest
from truthloop.labels import ALLOWED, BOXES, refusal
from truthloop.manifest import Row
from truthloop_batch.adapters.base import Detections
from truthloop_batch.intervals import bootstrap_interval
from truthloop_batch.kinds import Evidence, counts

if TYPE_CHECKING:
    from truthloop_batch.context import Context

NAME = BOXES
METRIC = "map_50"
ROWS_AT_ONCE = 16
# From this probability on a detection is a box of the label or the suggestion.
THRESHOLD = 0.5
# A detection finds a box that it overlaps so far: the measure's "50".
IOU_MINIMUM = 0.5
# Of a label or suggestion, so that its row stays within Ground Truth's limit for a line.
BOXES_MAXIMUM = 100

_CONFIDENCE_DIGITS = 6
_SIDES = ("left", "top", "width", "height")
_DETECTION = np.dtype([("row", "i8"), ("class", "i8"), ("score", "f8"), ("hit", "?")])


@dataclass(frozen=True)
class Boxes:
    """A label.

    Attributes
    ----------
    size
        Width and height of the image in pixels.
    classes
        int64 [boxes], indices into the label categories.
    frames
        float64 [boxes, 4]: left, top, width, height in pixels.
    """

    size: tuple[int, int]
    classes: NDArray[np.int64]
    frames: NDArray[np.float64]


def read_label(context: Context, row: Row) -> Boxes | None:
    """The row's boxes; those without an area are left out, since nothing can overlap with them."""
    attribute = context.request.label_attribute
    label = row.get(attribute)
    if label is None:
        return None
    found = refusal(BOXES, row, attribute, context.classes)
    width, height = _image_size(label)
    if found is not None or min(width, height) <= 0:
        raise InvalidManifest(
            f"the label is wrong, {found or 'it has no image_size with sides above 0'}; allowed: "
            f"{ALLOWED[BOXES]}"
        )
    boxes = [[box["class_id"], *(box[side] for side in _SIDES)] for box in label["annotations"]]
    table = np.array(boxes, dtype=np.float64).reshape(-1, 1 + len(_SIDES))
    table = table[(table[:, 3] > 0) & (table[:, 4] > 0)]
    return Boxes((width, height), table[:, 0].astype(np.int64), table[:, 1:])


def targets(context: Context, rows: Sequence[Row], inputs: NDArray[Any]) -> NDArray[np.object_]:
    """For each row float64 [boxes, 5]: class, left, top, width, height, in parts of the image's sides."""
    found = np.empty(len(rows), dtype=object)
    for number, row in enumerate(rows):
        label = context.label(row)
        found[number] = np.column_stack([label.classes, label.frames / np.tile(label.size, 2)])
    return found


def scores(predictions: Sequence[Detections]) -> dict[str, NDArray[Any]]:
    """How unsure a model is of an image, from the distributions of its detections over classes and "nothing".

    A detection's doubt is (1 - margin)^2 with the margin between its two most probable outcomes, the
    "1-vs-2" measure of Brust, Käding and Denzler (2019), https://doi.org/10.5220/0007248601810190, section
    3.1. It is summed over the detections (the aggregation that the same paper found best), and the column
    `margin` is 1 / (1 + sum): in the opposite order, from 0 to 1, and 1 for an image without detections.
    "nothing" counts as a class, so what may be a missed object is doubtful too. The entropy is the sum over
    the detections, the confidence their mean largest probability.
    """
    table = np.ones((3, len(predictions)), dtype=np.float32)
    for number, prediction in enumerate(predictions):
        ordered = np.sort(prediction.probabilities, axis=1)
        doubt = float(((1 - (ordered[:, -1] - ordered[:, -2])) ** 2).sum())
        surprise = -(ordered * np.log(np.maximum(ordered, np.finfo(np.float64).tiny))).sum()
        confidence = ordered[:, -1].mean() if len(ordered) else 1.0
        table[:, number] = confidence, 1 / (1 + doubt), max(surprise, 0.0)
    return {
        "predicted": np.full(len(predictions), -1, np.int16),
        "confidence": table[0],
        "margin": table[1],
        "entropy": table[2],
    }


def compare(labels: Sequence[Boxes], predictions: Sequence[Detections], classes: int) -> Evidence:
    """The boxes per row and class, and all detections with whether they found one."""
    tallies = np.zeros((len(labels), 3, classes), dtype=np.int64)
    detections = []
    for number, (label, prediction) in enumerate(zip(labels, predictions, strict=True)):
        found, probability = prediction.best()
        hit = found_boxes(label, prediction.frames, found, probability)
        record = np.zeros(len(found), _DETECTION)
        record["row"], record["class"], record["score"], record["hit"] = number, found, probability, hit
        detections.append(record)
        shown = probability >= THRESHOLD
        tallies[number, counts.TRUE] = np.bincount(label.classes, minlength=classes)
        tallies[number, counts.PREDICTED] = np.bincount(found[shown], minlength=classes)
        tallies[number, counts.HITS] = np.bincount(found[shown & hit], minlength=classes)
    return {"counts": tallies, "detections": np.concatenate([np.zeros(0, _DETECTION), *detections])}


def quality(evidence: Sequence[Evidence], classes: Sequence[str], seed: int) -> dict[str, Any]:
    """Mean average precision at an overlap of 0.5, over the classes that the labels have.

    Precision and recall of a class are those of the detections that are shown, and `rows` the images with
    the class.
    """
    tallies = np.concatenate([part["counts"] for part in evidence])
    starts = np.cumsum([0, *(len(part["counts"]) for part in evidence[:-1])])
    detections = np.concatenate([part["detections"] for part in evidence])
    detections["row"] += np.repeat(starts, [len(part["detections"]) for part in evidence])
    curves = [
        PrecisionCurve(detections[detections["class"] == index], tallies[:, counts.TRUE, index])
        for index in range(len(classes))
    ]

    def statistic(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        return _mean_precision(np.stack([curve.average_precision(drawn) for curve in curves], axis=1))

    once = np.ones((1, len(tallies)))
    scores = np.concatenate([curve.average_precision(once) for curve in curves])
    totals = tallies.sum(axis=0)
    return {
        # Without any box in the labels there is nothing to find, and what is found is wrong.
        "quality": float(np.nan_to_num(statistic(once), nan=float(len(detections) == 0))[0]),
        "interval": list(bootstrap_interval(statistic, len(tallies), seed)),
        "macro_f1": None,
        "confusion": None,
        "per_class": [
            {
                "label": label,
                "score": None if np.isnan(scores[index]) else float(scores[index]),
                "precision": counts.share(totals[counts.HITS, index], totals[counts.PREDICTED, index]),
                "recall": counts.share(totals[counts.HITS, index], totals[counts.TRUE, index]),
                "rows": int((tallies[:, counts.TRUE, index] > 0).sum()),
            }
            for index, label in enumerate(classes)
        ],
    }


def log_loss(evidence: Sequence[Evidence]) -> None:
    """Not defined: a detection and a missed box have no outcome in common."""
    return


def agreement(label: Boxes, prediction: Detections, classes: int) -> float:
    """F1 of the shown boxes: twice the found ones over those of both; 1 when neither has any."""
    shown = shown_boxes(prediction)
    found, probability = prediction.best()
    both = len(label.classes) + len(shown)
    hits = found_boxes(label, prediction.frames[shown], found[shown], probability[shown]).sum()
    return float(2 * hits / both) if both else 1.0


def label_of(context: Context, row: Row, prediction: Detections) -> tuple[dict[str, Any], dict[str, Any]]:
    """The detections from `THRESHOLD` on as whole pixels, each with its probability as the confidence."""
    width, height = prediction.size
    found, probability = prediction.best()
    annotations, objects = [], []
    for number in shown_boxes(prediction):
        left, top, right, bottom = corners(prediction.frames[number])
        left, top = min(max(round(left), 0), width - 1), min(max(round(top), 0), height - 1)
        right, bottom = min(max(round(right), left + 1), width), min(max(round(bottom), top + 1), height)
        annotations.append(
            {
                "class_id": int(found[number]),
                "left": left,
                "top": top,
                "width": right - left,
                "height": bottom - top,
            }
        )
        objects.append({"confidence": round(float(probability[number]), _CONFIDENCE_DIGITS)})
    named = sorted({box["class_id"] for box in annotations})
    value = {"image_size": [{"width": width, "height": height, "depth": 3}], "annotations": annotations}
    return value, {
        "class-map": {str(index): context.classes[index] for index in named},
        "objects": objects,
    }


def suggestion_of(
    context: Context, row: Row, prediction: Detections
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The boxes of `label_of`, for workers to correct."""
    return label_of(context, row, prediction)


def shown_boxes(prediction: Detections) -> NDArray[np.int64]:
    """The positions of the most probable `BOXES_MAXIMUM` detections from `THRESHOLD` on, in that order."""
    _, probability = prediction.best()
    order = np.argsort(-probability, kind="stable")
    return order[probability[order] >= THRESHOLD][:BOXES_MAXIMUM]


def corners(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Left, top, right, bottom [..., 4] of frames [..., 4]."""
    return np.concatenate([frames[..., :2], frames[..., :2] + frames[..., 2:]], axis=-1)


def overlaps(some: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of all pairs of frames [n, 4] and [m, 4]: [n, m], from 0 to 1.

    Everingham et al. (2010), https://doi.org/10.1007/s11263-009-0275-4, section 4.2.
    """
    one, other = corners(some)[:, None], corners(others)[None]
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    common = np.maximum(sides, 0).prod(axis=-1)
    union = some[:, None, 2:].prod(axis=-1) + others[None, :, 2:].prod(axis=-1) - common
    return common / np.maximum(union, np.finfo(np.float64).tiny)


def found_boxes(
    label: Boxes, frames: NDArray[np.float64], classes: NDArray[np.int64], scores: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which detections find a box of their class: [detections].

    The most probable detection chooses first, and each takes the box that it overlaps most among those that
    nobody has taken, as COCO's evaluation does, https://doi.org/10.1007/978-3-319-10602-1_48.
    """
    hit = np.zeros(len(frames), dtype=bool)
    table = overlaps(frames, label.frames)
    table[classes[:, None] != label.classes[None]] = 0
    for number in np.argsort(-scores, kind="stable"):
        if table.shape[1] and table[number].max() >= IOU_MINIMUM:
            hit[number] = True
            table[:, table[number].argmax()] = 0
    return hit


class PrecisionCurve:
    """Average precision of one class, for rows that count any number of times.

    The area below the precision-recall curve, whose precision at each recall is the largest at that or any
    higher recall (all points, as PASCAL VOC has it since 2010: Everingham et al. 2015,
    https://doi.org/10.1007/s11263-014-0733-5, section 3.4.1). Detections of equal score are taken together,
    so their order doesn't matter.

    Parameters
    ----------
    detections
        Of the class, in any order: row, score, hit.
    boxes
        How many boxes of the class each row's label has, [rows].
    """

    def __init__(self, detections: NDArray[Any], boxes: NDArray[np.int64]) -> None:
        ordered = detections[np.argsort(-detections["score"], kind="stable")]
        self._rows, self._hits = ordered["row"], ordered["hit"].astype(np.float64)
        # For each detection the last one of its score.
        self._last = np.searchsorted(-ordered["score"], -ordered["score"], side="right") - 1
        self._boxes = boxes.astype(np.float64)

    def average_precision(self, drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        """For each resample [resamples, rows]: [resamples]; nan where no row with a box was drawn."""
        weights = drawn[:, self._rows]
        hits = weights * self._hits
        found, taken = hits.cumsum(axis=1)[:, self._last], weights.cumsum(axis=1)[:, self._last]
        precision = found / np.maximum(taken, 1)
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        boxes = drawn @ self._boxes
        return np.where(boxes > 0, (envelope * hits).sum(axis=1) / np.maximum(boxes, 1), np.nan)


def _mean_precision(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of scores [resamples, classes] over the classes that have one; nan without any."""
    defined = ~np.isnan(scores)
    number = defined.sum(axis=1)
    total = np.where(defined, scores, 0).sum(axis=1)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _image_size(label: Any) -> tuple[int, int]:
    """Width and height, 0 where the label doesn't say them."""
    sizes = label.get("image_size") if isinstance(label, dict) else None
    size = sizes[0] if isinstance(sizes, list) and sizes and isinstance(sizes[0], dict) else {}
    width, height = (size.get(side) for side in ("width", "height"))
    return (width if type(width) is int else 0), (height if type(height) is int else 0)
