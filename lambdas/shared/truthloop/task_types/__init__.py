"""The task types: every module of this package is one, named after it with underscores for the hyphens.

A task type says what a worker is shown, how an answer is read and how answers become one label. To add one,
add a module that has what `TaskType` lists, and its folder in `ui_templates`; nothing else names it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol, cast

from truthloop.errors import TruthloopError


class UnknownTaskType(TruthloopError):
    """A task type that no module registers."""


class MalformedAnswer(TruthloopError):
    """A worker's answer that cannot be read; its text says why."""


class InvalidDataObject(TruthloopError):
    """A manifest row that lacks what a worker of this task type must be shown."""


@dataclass(frozen=True)
class ConsolidatedLabel:
    """One object's label.

    Attributes
    ----------
    value
        What stands in the row under the label attribute.
    metadata
        What the task type adds to the label's metadata, such as `class-name` and `confidence`.
    """

    value: Any
    metadata: Mapping[str, Any] = field(default_factory=dict)


class TaskType(Protocol):
    """What a module of this package offers."""

    @property
    def METADATA_TYPE(self) -> str:
        """`type` in the label's metadata, such as "groundtruth/image-classification"."""

    @property
    def ANSWER_NAME(self) -> str:
        """The name of the worker template's widget, and so the key of its answer."""

    def task_input(self, data_object: Mapping[str, Any], label_categories: Sequence[str]) -> dict[str, Any]:
        """What the worker template finds under `task.input` for one manifest row.

        Raises
        ------
        InvalidDataObject
            When the row lacks the object to show.
        """

    def read_answer(self, content: Any, label_categories: Sequence[str]) -> Any:
        """One worker's answer from the parsed JSON that the template submitted.

        Raises
        ------
        MalformedAnswer
            When it isn't an answer to this task.
        """

    def consolidate(
        self, answers: Mapping[str, Sequence[tuple[str, Any]]], label_categories: Sequence[str]
    ) -> dict[str, ConsolidatedLabel]:
        """The labels of a batch; for each object at least one (worker, answer), one per worker."""


@cache
def names() -> tuple[str, ...]:
    """The registered task types, sorted."""
    return tuple(sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__)))


def get(name: str) -> TaskType:
    """The module of a task type.

    Raises
    ------
    UnknownTaskType
        When there is none of this name.
    """
    if name not in names():
        raise UnknownTaskType(
            f"The task type {name!r} is unknown; allowed: {', '.join(names())}. "
            "Choose one of them, or add its module."
        )
    return cast("TaskType", importlib.import_module(f"{__name__}.{name.replace('-', '_')}"))
