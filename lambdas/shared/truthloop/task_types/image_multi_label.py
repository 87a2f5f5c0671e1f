"""Multi-label image classification: a worker sees one image and chooses every label that applies, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from truthloop import tasks
from truthloop.consolidation import multi_label
from truthloop.labels import CLASSES, NONE_OF_THESE
from truthloop.manifest import SOURCE_REF
from truthloop.task_types import ConsolidatedLabel, ConsolidationHelp

LABEL_KIND = CLASSES
# https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
METADATA_TYPE = "groundtruth/image-classification-multilabel"
ANSWER_NAME = "crowd-image-classifier-multi-select"
SOURCE_KEY = SOURCE_REF

_NO_HELP = ConsolidationHelp()


def task_input(
    data_object: Mapping[str, Any],
    label_categories: Sequence[str],
    label_attribute: str = "label",
    instructions: str = "",
) -> dict[str, Any]:
    """The image's S3 URI and the labels; AWS's widget takes no suggestion."""
    return tasks.task(data_object, SOURCE_KEY, label_categories, instructions)


def read_answer(content: Any, label_categories: Sequence[str]) -> frozenset[int]:
    """The indices of the chosen labels, from `{"crowd-image-classifier-multi-select": {"labels": […]}}`.

    `NONE_OF_THESE` is the template's exclusion category. AWS does not say whether the widget names it; both
    forms are no label.
    """
    labels = tasks.part_of(content, f"{ANSWER_NAME}.labels", list, '{"labels": ["<category>", …]}')
    if labels == [NONE_OF_THESE]:
        return frozenset()
    return frozenset(tasks.category_index(label, label_categories) for label in labels)


def consolidate(
    answers: Mapping[str, Sequence[tuple[str, frozenset[int]]]],
    label_categories: Sequence[str],
    help: ConsolidationHelp = _NO_HELP,
) -> dict[str, ConsolidatedLabel]:
    """The indices of the labels that apply; each confidence is the probability that it does, 0.50 to 1.00."""
    result = multi_label.consolidate(answers, len(label_categories), help.skills)
    return {
        name: ConsolidatedLabel(
            value=list(labels),
            metadata={
                "class-map": {str(index): label_categories[index] for index in labels},
                "confidence-map": {
                    str(index): tasks.rounded(probability) for index, probability in labels.items()
                },
            },
            evidence=result.evidence.get(name, {}),
        )
        for name, labels in result.objects.items()
    }
