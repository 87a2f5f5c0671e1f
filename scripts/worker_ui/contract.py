"""What the worker's page needs from whoever hands out tasks: the embedded AWS, or a preview in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from truthloop.errors import TruthloopError


@dataclass(frozen=True)
class Job:
    """A labelling job as its worker sees it.

    Attributes
    ----------
    name
        The labelling job's name.
    title, description
        What the job's creator tells the workers.
    task_type
        Name of the folder in `ui_templates`, or "" where it is unknown.
    available
        Tasks that this worker could accept now.
    submitted
        Tasks that this worker has submitted.
    seconds
        The time that a worker has for one task.
    """

    name: str
    title: str
    description: str
    task_type: str
    available: int
    submitted: int
    seconds: float


@dataclass(frozen=True)
class Task:
    """One object that this worker has accepted.

    Attributes
    ----------
    id
        Unique in its portal; letters, digits, `-` and `_`.
    job
        The labelling job's name.
    accepted_at, deadline
        Seconds since 1970.
    seconds_left
        Until the deadline, by the clock of whoever measures the worker's time.
    template
        The worker template's text.
    input
        What Liquid has as `task.input`: the pre-annotation function's `taskInput`.
    """

    id: str
    job: str
    accepted_at: float
    deadline: float
    seconds_left: float
    template: str
    input: Mapping[str, Any]


@dataclass(frozen=True)
class StoredObject:
    """The bytes of an S3 object, and their media type."""

    body: bytes
    media_type: str


class PortalError(TruthloopError):
    """The portal cannot do what the worker asked for; the text is for the worker."""


class TaskGone(PortalError):
    """This worker doesn't hold the task (any more): submitted, given back, or its time ran out."""


class Portal(Protocol):
    """Hands tasks to one worker and takes the answers; its methods may be called from several threads.

    Every method that names a task raises `TaskGone` when this worker doesn't hold that task (any more).
    """

    worker: str

    def jobs(self) -> Sequence[Job]:
        """The labelling jobs of the worker's team, those with tasks first."""

    def next(self, job: str, window: str = "") -> Task | None:
        """The task that a window of this worker holds in a job, else a new one, which this call accepts."""

    def task(self, task: str) -> Task:
        """A task that the worker holds."""

    def submit(self, task: str, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take the answer, by names as crowd-form gives it; what is returned is shown to the worker."""

    def decline(self, task: str) -> None:
        """Give the task back and don't offer it to this worker again."""

    def return_(self, task: str) -> None:
        """Give the task back; the worker may get it again."""

    def grant_read_access(self, task: str, uri: str) -> str:
        """A token, unguessable and fit for a URL's path, for the object of an `s3://` URI in this task."""

    def read_object(self, token: str) -> StoredObject:
        """The object that a token was granted for; reads with the rights of the labelling job's role."""
