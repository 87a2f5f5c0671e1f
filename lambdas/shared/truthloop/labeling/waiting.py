"""How an execution waits for a labelling job: its task token is stored by job name and sent back once.

An event tells that a job has ended; since events come twice, late or never, every decision rests on what the
backend says about the job, and a scheduled reconciler asks for the jobs whose event was lost. The token is
sent first and the record marked afterwards: a crash between the two repeats a harmless call, no more.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from truthloop import aws
from truthloop.errors import TruthloopError
from truthloop.labeling.backend import (
    Job,
    JobCounters,
    JobNameTaken,
    JobNotFound,
    JobStatus,
    JobSubmission,
    LabelingBackend,
)
from truthloop.labeling.jobs import OPEN, RELEASED, ForeignLabelingJob, JobRecord, JobsTable

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

NOTHING_TO_LABEL = "NothingToLabel"
JOB_FAILED = "LabelingJobFailed"
_NEVER_CREATED = "NeverCreated"
_NOT_OURS = "NotOurs"

# No creation takes longer: it is a Lambda function's maximum running time.
_CREATION_MAXIMUM = timedelta(minutes=15)

# The token was used before, or the execution has timed out, failed or been stopped.
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html
_DEAD_TOKEN = {"InvalidToken", "TaskDoesNotExist", "TaskTimedOut"}


class ReconciliationIncomplete(TruthloopError):
    """Some open labelling jobs could not be looked at."""


class Outcome(StrEnum):
    """What became of a job's waiting execution."""

    RESUMED = "resumed"
    """The execution was told just now."""
    NOBODY_WAITS = "nobody waits"
    """The execution's token is used up or has timed out."""
    SUPERSEDED = "superseded"
    """The execution was told, but a newer one waits for the same job."""
    TOLD_BEFORE = "told before"
    """The execution was told by an earlier event."""
    NOT_FINISHED = "not finished"
    """People are still at work, or the job is just being created."""
    NOT_OURS = "not ours"
    """No campaign of this stack created the job."""


@dataclass(frozen=True)
class Release:
    """What was found and done about one job.

    Attributes
    ----------
    ended
        Whether this call closed the job's record. Of all calls about a job's end one does, so it counts jobs.
    counters
        Of a job that people are at; None of the others.
    """

    job_name: str | None
    outcome: Outcome
    status: str | None = None
    ended: bool = False
    counters: JobCounters | None = None

    def to_log(self) -> dict[str, str | None]:
        """What may be logged: no token."""
        return {"job_name": self.job_name, "outcome": self.outcome.value, "status": self.status}


@dataclass(frozen=True)
class OpenJob:
    """A job that has not ended as far as is known, and since when it made no progress."""

    job_name: str
    campaign: str
    unchanged_since: datetime


@dataclass(frozen=True)
class Reconciliation:
    """What a run over the open jobs did, and the errors by job name of those that it could not handle.

    Attributes
    ----------
    open_jobs
        The jobs that are still open; one with an error stands as it was known before.
    """

    releases: list[Release] = field(default_factory=list)
    open_jobs: list[OpenJob] = field(default_factory=list)
    errors: dict[str, Exception] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Open jobs by outcome, and `errors`."""
        counts = {outcome.name.lower(): 0 for outcome in Outcome}
        for release in self.releases:
            counts[release.outcome.name.lower()] += 1
        return {**counts, "errors": len(self.errors)}

    def raise_for_errors(self) -> None:
        """Fail after everything that could be done was done, so that an alarm sees the rest."""
        if self.errors:
            reasons = "; ".join(f"{name}: {error}" for name, error in sorted(self.errors.items()))
            raise ReconciliationIncomplete(
                f"{len(self.errors)} open labelling jobs or audits could not be reconciled and stay open: "
                f"{reasons}"
            )


class Waiting:
    """Starts labelling jobs for executions, and resumes the executions when the jobs have ended."""

    def __init__(
        self,
        jobs: JobsTable,
        backend: LabelingBackend,
        states: SFNClient | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._jobs = jobs
        self._backend = backend
        self._states = aws.stepfunctions() if states is None else states
        self._now = now

    def find_job(self, name: str) -> Job | None:
        """What the backend says about a job, None when there is none of this name."""
        try:
            return self._backend.describe(name)
        except JobNotFound:
            return None

    def start(self, record: JobRecord, submission: JobSubmission) -> Release:
        """Store the token, then create the job; a job that exists is found, and its end is told at once.

        Raises
        ------
        ForeignLabelingJob
            When the name is taken by a job over other rows or with another output.
        """
        # Before the job, so that an event can never come before its token.
        self._jobs.open(record)
        try:
            self._backend.submit(submission)
        except JobNameTaken:
            job = self._backend.describe(submission.name)
            if (job.manifest_uri, job.output_uri) != (submission.manifest_uri, submission.output_uri):
                self._jobs.mark_released(record, _NOT_OURS, self._now())
                raise ForeignLabelingJob(
                    f"A labelling job {job.name!r} exists, but it labels {job.manifest_uri} into "
                    f"{job.output_uri}; expected {submission.manifest_uri} into {submission.output_uri}. "
                    "Somebody else made it; choose another campaign name."
                ) from None
            if job.status.is_final:
                return self._tell(record, job)
        return Release(record.job_name, Outcome.NOT_FINISHED)

    def skip(self, task_token: str) -> Release:
        """Resume an execution for which there is nothing to label."""
        resumed = delivered(
            self._states.send_task_success,
            taskToken=task_token,
            output=task_output(None, NOTHING_TO_LABEL, None, JobCounters()),
        )
        return Release(None, Outcome.RESUMED if resumed else Outcome.NOBODY_WAITS, NOTHING_TO_LABEL)

    def release(self, job_name: str) -> Release:
        """Resume the execution that waits for a job, if the job has ended; harmless to repeat."""
        record = self._jobs.find(job_name)
        if record is None:
            return Release(job_name, Outcome.NOT_OURS)
        if record.state == RELEASED:
            return Release(job_name, Outcome.TOLD_BEFORE, record.status)
        job = self.find_job(job_name)
        if job is not None and job.status.is_final:
            return self._tell(record, job)
        if job is None and self._now() - datetime.fromisoformat(record.waiting_since) > _CREATION_MAXIMUM:
            return self._tell_failure(record, "The labelling job was never created.", _NEVER_CREATED)
        return Release(job_name, Outcome.NOT_FINISHED, counters=None if job is None else job.counters)

    def reconcile(self) -> Reconciliation:
        """Look at every open job: release those that ended unnoticed; of the others note the progress.

        Whoever waits for a job that is open gets a heartbeat.

        An error with one job doesn't keep the others from their turn; see `Reconciliation`.
        """
        result = Reconciliation()
        for known in list(self._jobs.open_records()):
            try:
                release, record = self._attend_to(known.job_name)
            except (TruthloopError, ClientError, BotoCoreError) as error:
                result.errors[known.job_name] = error
                record = known
            else:
                result.releases.append(release)
            if record is not None:
                result.open_jobs.append(OpenJob(record.job_name, record.campaign, record.unchanged_since))
        return result

    def _attend_to(self, job_name: str) -> tuple[Release, JobRecord | None]:
        """What was done about an open job, and its record if it is still open."""
        release = self.release(job_name)
        if release.outcome is not Outcome.NOT_FINISHED:
            return release, None
        record = self._jobs.require(job_name)
        if release.counters is not None:
            record = self._jobs.note_progress(record, release.counters, self._now())
        alive = delivered(self._states.send_task_heartbeat, taskToken=record.task_token)
        return release if alive else Release(job_name, Outcome.NOBODY_WAITS), record

    def _tell(self, record: JobRecord, job: Job) -> Release:
        if job.status is JobStatus.FAILED:
            reason = job.failure_reason or "The labelling service gives no reason."
            return self._tell_failure(record, reason, job.status)
        resumed = delivered(
            self._states.send_task_success,
            taskToken=record.task_token,
            output=task_output(job.name, job.status, job.output_manifest_uri, job.counters),
        )
        return self._mark(record, job.status, resumed)

    def _tell_failure(self, record: JobRecord, reason: str, status: str) -> Release:
        resumed = delivered(
            self._states.send_task_failure,
            taskToken=record.task_token,
            error=JOB_FAILED,
            cause=f"{record.job_name}: {reason}",
        )
        return self._mark(record, status, resumed)

    def _mark(self, record: JobRecord, status: str, resumed: bool) -> Release:
        before = self._jobs.mark_released(record, status, self._now())
        if before is None:
            return Release(record.job_name, Outcome.SUPERSEDED, status)
        outcome = Outcome.RESUMED if resumed else Outcome.NOBODY_WAITS
        return Release(record.job_name, outcome, status, ended=before == OPEN)


def delivered(call: Callable[..., Any], **arguments: str) -> bool:
    """Whether the execution took a call with its task token; False when the token is dead."""
    try:
        call(**arguments)
    except ClientError as error:
        if error.response["Error"].get("Code") in _DEAD_TOKEN:
            return False
        raise
    return True


def task_output(
    job_name: str | None, status: str, output_manifest_uri: str | None, counters: JobCounters
) -> str:
    """What the waiting state gets, as JSON: where the labels lie and how many there are."""
    return json.dumps(
        {
            "job_name": job_name,
            "status": status,
            "output_manifest_uri": output_manifest_uri,
            "counters": asdict(counters),
        }
    )
