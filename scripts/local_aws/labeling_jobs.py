"""Labelling jobs that run: the team that works on them, their world in moto, the threads that drive them."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from moto.s3.exceptions import MissingBucket
from moto.s3.models import FakeKey, s3_backends

from labeling_engine import (
    Clock,
    FunctionFailed,
    HumanAnnotator,
    JobSpecification,
    JobStatus,
    LabelingJob,
    ObjectUnreadable,
    Presence,
    RunningClock,
    SimulatedAnnotators,
    SimulationFailed,
    Team,
    VirtualClock,
    Worker,
    attend,
    simulate,
)
from labeling_engine.activity import LOG_GROUP
from local_aws import authorization, resources, s3
from local_aws.resources import Need
from local_aws.roles import Session

_SESSION = "SageMaker"

_logger = logging.getLogger(__name__)

# What clocks that run count: a test replaces it to let time pass.
_seconds = time.monotonic


# The team


_team: Team | None = None
_running: set[Job] = set()
# Guards both, and is notified when the team changes and when a job shall stop or be abandoned.
_news = threading.Condition()


def set_annotators(document: Any) -> None:
    """Let a team do all labelling jobs, also those in progress; None sends it away.

    Parameters
    ----------
    document
        ``{"seed", "truth", "annotators", "people", "speed", "patience_seconds"}`` as
        `labeling_engine.Team.from_document` reads it. With people in its work team, a job runs in real time.

    Raises
    ------
    labeling_engine.InvalidAnnotators
        Lists all that is wrong; the team stays as it was.
    """
    global _team
    team = None if document is None else Team.from_document(document)
    with _news:
        _team = team
        _news.notify_all()
        jobs = list(_running)
    for job in jobs:
        job.wake()


def people() -> tuple[HumanAnnotator, ...]:
    """Return the people in the team."""
    team = _team
    return () if team is None else team.people


def everybody(region: str, issuer: str, identity_provider: str) -> Iterator[tuple[str, Worker]]:
    """Yield all who label, by name and as an identity provider's member."""
    team = _team
    if team is not None:
        for each in (*(team.simulated.annotators if team.simulated else ()), *team.people):
            yield each.name, each.worker(region, issuer, identity_provider)


def note_sign_of_life(person: HumanAnnotator) -> None:
    """Let simulated annotators know that a person has just done something in one of the jobs."""
    with _news:
        jobs = list(_running)
    for job in jobs:
        job.note_sign_of_life(person)


# A job


class Abandoned(Exception):
    """The state that a job belongs to has been reset; its thread ends without a trace."""


class MotoWorld:
    """A labelling job's world: moto's buckets, the deployed functions and the event rules.

    Without people times are virtual: they start at the job's creation and run ahead of the real time as the
    annotators work.
    """

    def __init__(self, account_id: str, role_arn: str, clock: Clock) -> None:
        self._account_id = account_id
        self._session = Session(role_arn, _SESSION)
        self.clock = clock
        self._created_at = self.modified_at = clock()
        self.abandoned = False

    def read_object(self, uri: str) -> bytes:
        body: bytes = self.open_object(uri).value
        return body

    def open_object(self, uri: str) -> FakeKey:
        """Return an object that the job's role may read; raises `ObjectUnreadable`."""
        self.go_on()
        bucket, key = _split_uri(uri)
        needs = [Need("s3:GetObject", resources.s3_arn(bucket, key)), *resources.missing_object(bucket, key)]
        try:
            authorization.check(self._session, *needs)
        except authorization.Refused as refusal:
            raise ObjectUnreadable(f"{uri} cannot be read: {refusal}") from None
        return stored_object(self._account_id, uri)

    def write_object(self, uri: str, body: bytes) -> None:
        self.go_on()
        bucket, key = _split_uri(uri)
        authorization.check(self._session, Need("s3:PutObject", resources.s3_arn(bucket, key)))
        with s3._one_at_a_time:
            s3_backends[self._account_id]["aws"].put_object(bucket, key, body, storage="STANDARD")
        self.modified_at = datetime.now(UTC)

    def invoke_function(self, arn: str, payload: dict[str, Any]) -> Any:
        from local_aws import lambda_functions

        self.go_on()
        try:
            return lambda_functions.invoke(arn, payload, self._session)
        except (
            lambda_functions.FunctionError,
            lambda_functions.UnknownFunction,
            authorization.Refused,
        ) as error:
            raise FunctionFailed(str(error)) from error

    def log_activity(self, record: dict[str, str]) -> None:
        from local_aws import logs

        self.go_on()
        _, _, _, region, account, _ = record["workteam_arn"].split(":", 5)
        folder = f"aws/sagemaker/groundtruth/worker-activity/{account}-{region}"
        logs.write(LOG_GROUP, f"{folder}/{self._created_at:%Y-%m-%d-%H-%M-%S}", json.dumps(record))

    def publish(self, event: dict[str, Any]) -> None:
        from local_aws import events

        self.go_on()
        self.modified_at = datetime.now(UTC)
        events.emit(event)

    def go_on(self) -> None:
        """Raise `Abandoned` when the job is."""
        if self.abandoned:
            raise Abandoned


class Job:
    """A labelling job with the thread that drives it."""

    def __init__(
        self,
        request: dict[str, Any],
        specification: JobSpecification,
        account_id: str,
        region: str,
        issuer: str,
        identity_provider: str,
    ) -> None:
        self.request = request
        self.arn = specification.arn
        self.created_at = datetime.now(UTC)
        self.world = MotoWorld(account_id, specification.role_arn, VirtualClock(self.created_at))
        self.engine = LabelingJob(specification, self.world)
        self._identity = {"region": region, "issuer": issuer, "identity_provider": identity_provider}
        self._presence: Presence | None = None

    def start(self) -> None:
        """Start the thread."""
        name = f"labeling-job-{self.engine.specification.name}"
        with _news:
            _running.add(self)
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def stop(self) -> None:
        """Ask the job to stop, as StopLabelingJob does."""
        self.engine.stop()
        self._tell()

    def abandon(self) -> None:
        """End the job's thread without an output or an event."""
        self.world.abandoned = True
        self._tell()

    def wake(self) -> None:
        """Let the job do at once what is due, after a person has done something."""
        clock = self.world.clock
        if isinstance(clock, RunningClock):
            clock.wake()

    def worker(self, person: HumanAnnotator) -> Worker:
        """Return a person as this job's files name one."""
        return person.worker(**self._identity)

    def is_for(self, person: HumanAnnotator) -> bool:
        """Whether a person is in the job's work team."""
        members = self._members_of(_team)
        return members is not None and person in members.people

    def note_sign_of_life(self, person: HumanAnnotator) -> None:
        """Let the simulated annotators of this job know that a person has just done something."""
        presence = self._presence
        if presence is not None and self.is_for(person):
            presence.sign_of_life(self.worker(person))

    def fail(self, error: Exception) -> None:
        """End the job as failed by an error of its world or its annotators."""
        if isinstance(error, SimulationFailed | authorization.Refused):
            self.engine.fail(f"ClientError: {error}")
        else:
            # Whatever it was, nobody may wait for this job for ever.
            _logger.error("labelling job %s failed", self.arn, exc_info=error)
            self.engine.fail(f"InternalServerError: {type(error).__name__}: {error}")

    def _tell(self) -> None:
        with _news:
            _news.notify_all()
        self.wake()

    def _run(self) -> None:
        try:
            self._work()
        except Abandoned:
            _logger.debug("labelling job %s was abandoned", self.arn)
        finally:
            with _news:
                _running.discard(self)

    def _work(self) -> None:
        try:
            self.engine.start()
            self.engine.tick()
            while not self.engine.is_finished:
                team = self._wait_for_team()
                members = self._members_of(team)
                self.world.go_on()
                if members is None:
                    self.engine.tick()
                elif members.people:
                    self._work_beside_people(members, team)
                elif members.simulated is not None:
                    self._work_in_virtual_time(members.simulated)
        except Abandoned:
            raise
        except Exception as error:
            self.fail(error)

    def _wait_for_team(self) -> Team | None:
        """Return all who label once some of them do this job; also when the job shall stop without any."""
        with _news:
            _news.wait_for(
                lambda: (
                    self._members_of(_team)
                    or self.world.abandoned
                    or self.engine.status is not JobStatus.IN_PROGRESS
                )
            )
            return _team

    def _members_of(self, team: Team | None) -> Team | None:
        """Return those of a team who are in the job's work team."""
        return None if team is None else team.members_of(self.engine.specification.workteam)

    def _work_in_virtual_time(self, annotators: SimulatedAnnotators) -> None:
        self._presence = None
        self.world.clock = clock = VirtualClock(self.world.clock())
        simulate(self.engine, annotators, clock, **self._identity)

    def _work_beside_people(self, members: Team, team: Team | None) -> None:
        """Run in real time until the job is finished or others than this team label."""
        # Virtual time may have run ahead of the real one.
        now = max(self.world.clock(), datetime.now(UTC))
        self.world.clock = clock = RunningClock(now, _seconds)
        self._presence = Presence(self.engine, map(self.worker, members.people), members.patience, clock)

        def is_over() -> bool:
            return _team is not team or self.world.abandoned

        if members.simulated is None:
            attend(self.engine, clock, is_over)
        else:
            simulate(
                self.engine,
                members.simulated,
                clock,
                **self._identity,
                presence=self._presence,
                speed=members.speed,
                is_over=is_over,
            )

    def summary(self) -> dict[str, Any]:
        """Return the members that every API answer about the job has."""
        specification = self.engine.specification
        answer = {
            "LabelingJobName": specification.name,
            "LabelingJobArn": self.arn,
            "LabelingJobStatus": str(self.engine.status),
            "LabelCounters": self.engine.counters,
            "CreationTime": self.created_at,
            "LastModifiedTime": self.world.modified_at,
            "InputConfig": self.request["InputConfig"],
        }
        if self.engine.failure_reason is not None:
            answer["FailureReason"] = self.engine.failure_reason
        if self.engine.status in (JobStatus.COMPLETED, JobStatus.STOPPED):
            answer["LabelingJobOutput"] = {"OutputDatasetS3Uri": specification.output_manifest_uri}
        return answer


# Objects


def stored_object(account_id: str, uri: str) -> FakeKey:
    """Return an object whoever asks; raises `ObjectUnreadable`."""
    bucket, name = _split_uri(uri)
    if not uri.startswith("s3://") or not name:
        raise ObjectUnreadable(f"{uri} is no S3 URI of an object; give s3://bucket/key")
    with s3._one_at_a_time:
        try:
            key = s3_backends[account_id]["aws"].get_object(bucket, name)
        except MissingBucket:
            raise ObjectUnreadable(f"{uri} cannot be read: there is no bucket {bucket}") from None
        if key is None:
            raise ObjectUnreadable(f"{uri} cannot be read: there is no such object")
        return key


def _split_uri(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
