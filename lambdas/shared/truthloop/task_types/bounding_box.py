"""Bounding boxes: a worker sees one image and draws a box around every object of every category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from truthloop import tasks
from truthloop.consolidation import boxes
from truthloop.consolidation.boxes import Box
from truthloop.labels import BOXES, refusal
from truthloop.manifest import SOURCE_REF
from truthloop.task_types import (
    ConsolidatedLabel,
    ConsolidationHelp,
    InvalidDataObject,
)

LABEL_KIND = BOXES
# https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
METADATA_TYPE = "groundtruth/object-detection"
ANSWER_NAME = "boundingBox"
SOURCE_KEY = SOURCE_REF

_NO_HELP = ConsolidationHelp()
_ALLOWED = '{"boundingBoxes": [{"label", "left", "top", "width", "height"}], "inputImageProperties": {…}}'
# Of a colour image; workers' answers don't say it.
_DEPTH = 3


@dataclass(frozen=True)
class Drawing:
    """One worker's boxes, and the size in pixels of the image that they saw."""

    height: int
    width: int
    boxes: tuple[Box, ...]


def task_input(
    data_object: Mapping[str, Any],
    label_categories: Sequence[str],
    label_attribute: str = "label",
    instructions: str = "",
) -> dict[str, Any]:
    """The image's S3 URI and the labels; `suggestion` is [{"label", "left", "top", "width", "height"}]."""
    value, metadata = tasks.suggested(data_object, label_attribute)
    suggestion = None
    if value is not None:
        found = refusal(BOXES, {"label": value, "label-metadata": metadata}, "label", label_categories)
        if found is not None:
            raise InvalidDataObject(
                f"the boxes to begin with cannot be shown, {found}. Correct or remove {label_attribute}."
            )
        suggestion = [
            {"label": label_categories[each["class_id"]], **{side: each[side] for side in tasks.BOX_SIDES}}
            for each in value["annotations"]
        ]
    return tasks.task(data_object, SOURCE_KEY, label_categories, instructions, suggestion)


def read_answer(content: Any, label_categories: Sequence[str]) -> Drawing:
    """The boxes, cut at the image's edges, from `{"boundingBox": {"boundingBoxes": […], …}}`."""
    height, width = tasks.image_size(content, ANSWER_NAME)
    drawn = tasks.part_of(content, f"{ANSWER_NAME}.boundingBoxes", list, _ALLOWED)
    return Drawing(height, width, tasks.drawn_boxes(drawn, height, width, label_categories, _ALLOWED))


def consolidate(
    answers: Mapping[str, Sequence[tuple[str, Drawing]]],
    label_categories: Sequence[str],
    help: ConsolidationHelp = _NO_HELP,
) -> dict[str, ConsolidatedLabel]:
    """The boxes that the crowd holds for real, in whole pixels; see `consolidation.boxes`."""
    sorted_out = {name: tasks.of_one_size(given) for name, given in answers.items()}
    result = boxes.consolidate(
        {
            name: [(worker, drawing.boxes) for worker, drawing in kept]
            for name, (kept, _) in sorted_out.items()
        },
        help.skills,
    )
    labels = {}
    for name, fused in result.objects.items():
        kept, rejected = sorted_out[name]
        image = kept[0][1]
        labels[name] = ConsolidatedLabel(
            value={
                "image_size": [{"width": image.width, "height": image.height, "depth": _DEPTH}],
                "annotations": [tasks.box_annotation(each.box) for each in fused],
            },
            metadata={
                "class-map": {
                    str(index): label_categories[index]
                    for index in sorted({each.box.class_id for each in fused})
                },
                "objects": [{"confidence": tasks.rounded(each.confidence)} for each in fused],
            },
            evidence=result.evidence.get(name, {}),
            rejected=rejected,
        )
    return labels
