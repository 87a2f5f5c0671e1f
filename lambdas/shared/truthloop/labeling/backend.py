"""What the workflow asks of a labelling backend: submit a job, describe it, stop it; free of any one service.

Besides these calls a backend sends one event when a job has ended, and writes its results in Ground Truth's
output layout below the job's output URI.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from truthloop.errors import TruthloopError


class JobNameTaken(TruthloopError):
    """A job of this name exists."""


class JobNotFound(TruthloopError):
    """There is no job of this name."""


class JobStatus(StrEnum):
    """Where a job stands."""

    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"

    @property
    def is_final(self) -> bool:
        return self is not JobStatus.IN_PROGRESS


@dataclass(frozen=True)
class JobSubmission:
    """A labelling job as the workflow wants it.

    Attributes
    ----------
    manifest_uri
        The rows to label, as an augmented manifest.
    output_uri
        The folder below which the backend makes one of the job's name.
    label_categories_uri
        The label category configuration.
    template_uri
        The worker template of the task type.
    role_arn
        The role as which the backend reads the data and calls the two functions.
    pre_annotation_function_arn, post_annotation_function_arn
        What makes a task of a row, and a label of the answers.
    task_time_limit_seconds, task_availability_seconds
        Time for one task, and time until a task that nobody took expires.
    price_per_answer_usd
        What a public crowd is paid for one answer, None for the others.
    """

    name: str
    manifest_uri: str
    output_uri: str
    label_attribute: str
    label_categories_uri: str
    template_uri: str
    role_arn: str
    pre_annotation_function_arn: str
    post_annotation_function_arn: str
    workteam_arn: str
    workers_per_object: int
    task_title: str
    task_description: str
    task_keywords: tuple[str, ...]
    task_time_limit_seconds: int
    task_availability_seconds: int
    max_concurrent_tasks: int
    price_per_answer_usd: float | None = None


@dataclass(frozen=True)
class JobCounters:
    """Objects of a job: labelled, failed for good, not labelled."""

    labeled: int = 0
    failed: int = 0
    unlabeled: int = 0


@dataclass(frozen=True)
class Job:
    """What a backend says about a job.

    Attributes
    ----------
    manifest_uri, output_uri
        As they were submitted; they tell whether a job is the one that was meant.
    output_manifest_uri
        Where the labelled rows lie; None while there are none.
    failure_reason
        Why a failed job failed; empty otherwise.
    """

    name: str
    status: JobStatus
    manifest_uri: str
    output_uri: str
    output_manifest_uri: str | None = None
    failure_reason: str = ""
    counters: JobCounters = JobCounters()


class LabelingBackend(Protocol):
    """A service that has people label the rows of a manifest."""

    def submit(self, job: JobSubmission) -> None:
        """Start a job; `JobNameTaken` when one of its name exists."""

    def describe(self, name: str) -> Job:
        """Look a job up; `JobNotFound` when there is none of this name."""

    def stop(self, name: str) -> None:
        """End a job early, keeping its labels; `JobNotFound` when there is none of this name."""
