"""The task types: every module of this package is one, named after it with underscores for the hyphens.

A task type says what a worker is shown, how an answer is read and how answers become one label. To add one,
add a module that has what `TaskType` lists, and its folder in `ui_templates`; nothing else names it. What the
modules share is in `truthloop.tasks`; what only depends on how a label looks goes by the module's LABEL_KIND.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NoReturn, Protocol, cast

from truthloop.consolidation.skills import Evidence
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
    evidence
        By worker what their answer says about them; empty when there was one answer only.
    rejected
        By worker why their answer was left out after all, because it doesn't fit the others'.
    """

    value: Any
    metadata: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    rejected: Mapping[str, str] = field(default_factory=dict)


def _no_store(name: str, content: bytes, content_type: str) -> NoReturn:
    raise TruthloopError(
        f"The label's file {name} cannot be kept: consolidation was called without a store. Pass help.store."
    )


@dataclass(frozen=True)
class ConsolidationHelp:
    """What consolidation may use beside the answers.

    Attributes
    ----------
    skills
        By worker the sums of the counts of earlier batches' evidence.
    store
        Keeps a file of the label, (name, content, content type) -> S3 URI. The same name is the same file: a
        batch that is tried again writes it again.
    """

    skills: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    store: Callable[[str, bytes, str], str] = _no_store


class TaskType(Protocol):
    """What a module of this package offers."""

    @property
    def LABEL_KIND(self) -> str:
        """How a label looks: one of `truthloop.labels.KINDS`."""

    @property
    def METADATA_TYPE(self) -> str:
        """`type` in the label's metadata, such as "groundtruth/image-classification"."""

    @property
    def ANSWER_NAME(self) -> str:
        """The name of the worker template's widget, and so the key of its answer."""

    @property
    def SOURCE_KEY(self) -> str:
        """The key of a row that holds the object: `source-ref` for a file, `source` for a text."""

    def task_input(
        self,
        data_object: Mapping[str, Any],
        label_categories: Sequence[str],
        label_attribute: str = "label",
        instructions: str = "",
    ) -> dict[str, Any]:
        """What the worker template finds under `task.input` for one manifest row; see `truthloop.tasks.task`.

        Raises
        ------
        InvalidDataObject
            When the row lacks the object to show, or what it suggests cannot be shown.
        """

    def read_answer(self, content: Any, label_categories: Sequence[str]) -> Any:
        """One worker's answer from the parsed JSON that the template submitted.

        Raises
        ------
        MalformedAnswer
            When it isn't an answer to this task.
        """

    def consolidate(
        self,
        answers: Mapping[str, Sequence[tuple[str, Any]]],
        label_categories: Sequence[str],
        help: ConsolidationHelp = ...,
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
