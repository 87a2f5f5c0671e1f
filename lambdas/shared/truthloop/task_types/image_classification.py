"""Image classification: a worker sees one image and chooses one label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from truthloop.consolidation import dawid_skene
from truthloop.manifest import SOURCE_REF
from truthloop.task_types import ConsolidatedLabel, InvalidDataObject, MalformedAnswer

# https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
METADATA_TYPE = "groundtruth/image-classification"
ANSWER_NAME = "crowd-image-classifier"
# Ground Truth writes confidences of two digits.
_CONFIDENCE_DIGITS = 2


def task_input(data_object: Mapping[str, Any], label_categories: Sequence[str]) -> dict[str, Any]:
    """`taskObject`, the image's S3 URI, and `labels`: the names that Ground Truth's own functions use."""
    image = data_object.get(SOURCE_REF)
    if not isinstance(image, str) or not image:
        raise InvalidDataObject(
            f"{SOURCE_REF} is {image!r}; allowed: the S3 URI of an image. "
            "Give every row of an image task a source-ref."
        )
    return {"taskObject": image, "labels": list(label_categories)}


def read_answer(content: Any, label_categories: Sequence[str]) -> int:
    """The index of the chosen label, from `{"crowd-image-classifier": {"label": "…"}}`."""
    answer = content.get(ANSWER_NAME) if isinstance(content, dict) else None
    label = answer.get("label") if isinstance(answer, dict) else None
    if not isinstance(label, str):
        raise MalformedAnswer(f'the answer lacks {ANSWER_NAME}.label; allowed: {{"label": "<category>"}}')
    try:
        return label_categories.index(label)
    except ValueError:
        shown = ", ".join(label_categories[:10])
        raise MalformedAnswer(f"the label {label!r} is not a category; allowed: {shown}") from None


def consolidate(
    answers: Mapping[str, Sequence[tuple[str, int]]], label_categories: Sequence[str]
) -> dict[str, ConsolidatedLabel]:
    """Dawid-Skene's choice for each object; the confidence is its posterior probability, 0.00 to 1.00."""
    estimates = dawid_skene.consolidate(answers, len(label_categories)).objects
    return {
        name: ConsolidatedLabel(
            value=estimate.choice,
            metadata={
                "class-name": label_categories[estimate.choice],
                "confidence": round(estimate.confidence, _CONFIDENCE_DIGITS),
            },
        )
        for name, estimate in estimates.items()
    }
