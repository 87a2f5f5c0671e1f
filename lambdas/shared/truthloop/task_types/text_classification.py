"""Text classification: a worker reads one text and chooses one label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from truthloop import tasks
from truthloop.labels import CLASS
from truthloop.manifest import SOURCE
from truthloop.task_types import ConsolidatedLabel, ConsolidationHelp

LABEL_KIND = CLASS
# https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
METADATA_TYPE = "groundtruth/text-classification"
ANSWER_NAME = "crowd-classifier"
SOURCE_KEY = SOURCE

_NO_HELP = ConsolidationHelp()


def task_input(
    data_object: Mapping[str, Any],
    label_categories: Sequence[str],
    label_attribute: str = "label",
    instructions: str = "",
) -> dict[str, Any]:
    """The text and the labels; AWS's widget takes no suggestion."""
    return tasks.task(data_object, SOURCE_KEY, label_categories, instructions)


def read_answer(content: Any, label_categories: Sequence[str]) -> int:
    """The index of the chosen label, from `{"crowd-classifier": {"label": "…"}}`."""
    return tasks.chosen_category(content, ANSWER_NAME, label_categories)


def consolidate(
    answers: Mapping[str, Sequence[tuple[str, int]]],
    label_categories: Sequence[str],
    help: ConsolidationHelp = _NO_HELP,
) -> dict[str, ConsolidatedLabel]:
    """Dawid-Skene's choice for each object, an index."""
    return tasks.consolidate_classes(answers, label_categories, help)
