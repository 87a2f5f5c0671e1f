"""What the modules of task types are made of: the task that a worker sees, and the parts of an answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from sys import float_info
from typing import Any

from truthloop.consolidation import dawid_skene
from truthloop.consolidation.boxes import Box
from truthloop.consolidation.skills import Evidence, pair_key, pairs
from truthloop.labels import suggestion_key
from truthloop.manifest import is_labeled, metadata_key
from truthloop.task_types import (
    ConsolidatedLabel,
    ConsolidationHelp,
    InvalidDataObject,
    MalformedAnswer,
)

# Ground Truth writes confidences of two digits.
_CONFIDENCE_DIGITS = 2
_SHOWN_CATEGORIES = 10
_CONTEXT = "context"
BOX_SIDES = ("left", "top", "width", "height")
# Matching compares all boxes of an image; nobody draws more by hand.
_BOXES_MAXIMUM = 500
# No browser shows an image with a longer side.
_PIXELS_MAXIMUM = 1_000_000


def task(
    data_object: Mapping[str, Any],
    source_key: str,
    label_categories: Sequence[str],
    instructions: str,
    suggestion: Any = None,
) -> dict[str, Any]:
    """What the worker template finds under `task.input`.

    Returns
    -------
    dict
        `taskObject`, the object's S3 URI or text, and `labels`: the names that Ground Truth's own functions
        use; `suggestion`, what to begin with, or null; `instructions`, the campaign's; `context`, the row's
        text under that key; both are empty when there is none. `feedback` and `previous` are empty but for
        objects whose label was rejected: see `truthloop.audit.feedback`.

    Raises
    ------
    InvalidDataObject
        When the row lacks the object.
    """
    shown = data_object.get(source_key)
    if not isinstance(shown, str) or not shown.strip():
        raise InvalidDataObject(
            f"{source_key} is {shown!r}; allowed: what a worker of this task is shown. "
            f"Give every row of this task type a {source_key}."
        )
    context = data_object.get(_CONTEXT)
    return {
        "taskObject": shown,
        "labels": list(label_categories),
        "suggestion": suggestion,
        "instructions": instructions,
        "context": context if isinstance(context, str) else "",
        "feedback": [],
        "previous": "",
    }


def suggested(data_object: Mapping[str, Any], label_attribute: str) -> tuple[Any, Mapping[str, Any]]:
    """The label to begin with, and its metadata: the row's earlier one, else the model's, else None."""
    for key in (label_attribute, suggestion_key(label_attribute)):
        if is_labeled(data_object, key):
            metadata = data_object.get(metadata_key(key))
            return data_object[key], metadata if isinstance(metadata, dict) else {}
    return None, {}


def part_of(content: Any, path: str, kind: type[Any], allowed: str) -> Any:
    """The part of an answer under a dotted path.

    Raises
    ------
    MalformedAnswer
        When there is none of that type.
    """
    found = content
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, kind):
        raise MalformedAnswer(f"the answer lacks {path}; allowed: {allowed}")
    return found


def category_index(label: Any, label_categories: Sequence[str]) -> int:
    """The index of a label.

    Raises
    ------
    MalformedAnswer
        When it is no category.
    """
    try:
        return label_categories.index(label)
    except ValueError:
        shown = ", ".join(label_categories[:_SHOWN_CATEGORIES])
        raise MalformedAnswer(f"the label {label!r} is not a category; allowed: {shown}") from None


def image_size(content: Any, answer_name: str) -> tuple[int, int]:
    """Height and width of the image that a worker saw.

    Raises
    ------
    MalformedAnswer
        When the answer doesn't say so in whole pixels.
    """
    allowed = '{"inputImageProperties": {"height": <pixels>, "width": <pixels>}}'
    properties = part_of(content, f"{answer_name}.inputImageProperties", dict, allowed)
    size = []
    for key in ("height", "width"):
        value = properties.get(key)
        if type(value) not in (int, float) or not 1 <= value <= _PIXELS_MAXIMUM or value != int(value):
            raise MalformedAnswer(
                f"inputImageProperties.{key} is {value!r}; allowed: a number of pixels from 1 to "
                f"{_PIXELS_MAXIMUM}"
            )
        size.append(int(value))
    return size[0], size[1]


def drawn_boxes(
    drawn: Sequence[Any], height: int, width: int, label_categories: Sequence[str], allowed: str
) -> tuple[Box, ...]:
    """The boxes {"label", "left", "top", "width", "height"} in pixels, cut at the edges of their image.

    Raises
    ------
    MalformedAnswer
        When one has another form, no category or no part of the image, or there are too many.
    """
    if len(drawn) > _BOXES_MAXIMUM:
        raise MalformedAnswer(f"the answer has {len(drawn)} boxes; allowed: at most {_BOXES_MAXIMUM}")
    return tuple(_box(each, height, width, label_categories, allowed) for each in drawn)


def box_annotation(box: Box) -> dict[str, int]:
    """A box as it stands in a row, in whole pixels."""
    # The edges are rounded, not the sides, so that no edge moves by more than half a pixel.
    left, top, right, bottom = map(round, box.edges)
    return {
        "class_id": box.class_id,
        "left": left,
        "top": top,
        "width": max(right - left, 1),
        "height": max(bottom - top, 1),
    }


def of_one_size(
    given: Iterable[tuple[str, Any]],
) -> tuple[list[tuple[str, Any]], dict[str, str]]:
    """The answers about one image that agree on its size, and by worker why the others don't count.

    The size that most people saw is the image's, of equals the larger one. `height` and `width` are
    attributes of the answers.
    """
    answers = sorted(given, key=_worker)
    sizes = [(answer.height, answer.width) for _, answer in answers]
    if len(set(sizes)) < 2:
        return answers, {}
    size = max(set(sizes), key=lambda each: (sizes.count(each), each[0] * each[1], each))
    kept = [(worker, answer) for worker, answer in answers if (answer.height, answer.width) == size]
    rejected = {
        worker: f"the answer is about an image of {answer.width} x {answer.height} pixels; allowed: "
        f"{size[1]} x {size[0]}, as the others saw it"
        for worker, answer in answers
        if (answer.height, answer.width) != size
    }
    return kept, rejected


def chosen_category(content: Any, answer_name: str, label_categories: Sequence[str]) -> int:
    """The index of the label in `{<answer name>: {"label": "…"}}`; raises `MalformedAnswer`."""
    label = part_of(content, f"{answer_name}.label", str, '{"label": "<category>"}')
    return category_index(label, label_categories)


def consolidate_classes(
    answers: Mapping[str, Sequence[tuple[str, int]]], label_categories: Sequence[str], help: ConsolidationHelp
) -> dict[str, ConsolidatedLabel]:
    """Dawid-Skene's choice for each object; the confidence is its posterior probability, 0.00 to 1.00."""
    known = {worker: pairs(counts) for worker, counts in help.skills.items()}
    result = dawid_skene.consolidate(answers, len(label_categories), known)
    evidence = dawid_skene.evidence(answers, result)
    return {
        name: ConsolidatedLabel(
            value=estimate.choice,
            metadata={
                "class-name": label_categories[estimate.choice],
                "confidence": rounded(estimate.confidence),
            },
            evidence={
                worker: Evidence(
                    agreement=float(dict(answers[name])[worker] == estimate.choice),
                    counts={pair_key(*pair): count for pair, count in counts.items()},
                )
                for worker, counts in evidence.get(name, {}).items()
            },
        )
        for name, estimate in result.objects.items()
    }


def rounded(confidence: float) -> float:
    """A confidence as it stands in a row."""
    return round(confidence, _CONFIDENCE_DIGITS)


def _box(drawn: Any, height: int, width: int, label_categories: Sequence[str], allowed: str) -> Box:
    if not isinstance(drawn, dict):
        raise MalformedAnswer(f"a box is {drawn!r}; allowed: {allowed}")
    class_id = category_index(drawn.get("label"), label_categories)
    values = []
    for side in BOX_SIDES:
        value = drawn.get(side)
        # Neither NaN nor infinite, nor a whole number that no float can hold.
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= float_info.max:
            raise MalformedAnswer(f"{side} of a box is {value!r}; allowed: a number of pixels")
        values.append(float(value))
    left, top = max(values[0], 0.0), max(values[1], 0.0)
    right, bottom = min(values[0] + values[2], float(width)), min(values[1] + values[3], float(height))
    if right <= left or bottom <= top:
        raise MalformedAnswer(
            f"a box of {values[2]:g} x {values[3]:g} at ({values[0]:g}, {values[1]:g}) has no part of the "
            f"image of {width} x {height} pixels"
        )
    return Box(class_id, left, top, right - left, bottom - top)


def _worker(answer: tuple[str, Any]) -> str:
    return answer[0]
