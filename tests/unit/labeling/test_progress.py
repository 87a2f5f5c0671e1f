"""The progress of open labelling jobs: what the reconciler notes of it, and what it measures."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from truthloop import aws
from truthloop.labeling.backend import JobCounters, JobStatus
from truthloop.labeling.jobs import JobsTable
from truthloop.labeling.waiting import Outcome, ReconciliationIncomplete, Waiting
from truthloop.layout import CampaignLayout
from truthloop.manifest import encode_row, with_provenance
from truthloop.s3 import S3Gateway
from unit.core.emf import NAMESPACE, Point, declared, points
from unit.labeling.kit import (
    BUCKET,
    LAYOUT,
    NOW,
    TABLE,
    BackendInMemory,
    WaitingExecutions,
    client_error,
    lambda_context,
    load_handler,
    record,
    submission,
)

NAME = record().job_name


def later(hours: float) -> Any:
    return NOW + timedelta(hours=hours)


@pytest.fixture
def reconcile(jobs: JobsTable, backend: BackendInMemory, executions: WaitingExecutions) -> Any:
    """Run the reconciler at an hour after the start."""

    def run(hours: float) -> Any:
        return Waiting(jobs, backend, executions, lambda: later(hours)).reconcile()  # type: ignore[arg-type]

    return run


def start(jobs: JobsTable, backend: BackendInMemory, executions: WaitingExecutions, **changes: Any) -> None:
    name = changes.pop("name", NAME)
    waiting = Waiting(jobs, backend, executions, lambda: NOW)  # type: ignore[arg-type]
    waiting.start(record(name, **changes), submission(name))


def item() -> dict[str, Any]:
    return boto3.client("dynamodb").get_item(TableName=TABLE, Key={"job_name": {"S": NAME}})["Item"]


# ---- what is noted


def test_the_clock_of_a_job_starts_again_only_when_its_counters_change(
    jobs: JobsTable, backend: BackendInMemory, executions: WaitingExecutions, reconcile: Any
) -> None:
    start(jobs, backend, executions)
    since = []
    for hours, labeled in [(1, 0), (2, 0), (3, 1), (4, 1), (30, 1), (31, 2)]:
        backend.finish(NAME, JobStatus.IN_PROGRESS, counters=JobCounters(labeled, 0, 9 - labeled))
        [job] = reconcile(hours).open_jobs
        since.append(job.unchanged_since)
    assert since == [later(1), later(1), later(3), later(3), later(3), later(31)]
    assert jobs.require(NAME).counters == JobCounters(2, 0, 7)


def test_noting_the_same_progress_again_changes_nothing(
    jobs: JobsTable, backend: BackendInMemory, executions: WaitingExecutions, reconcile: Any
) -> None:
    start(jobs, backend, executions)
    stale = jobs.require(NAME)
    reconcile(1)
    noted = item()
    reconcile(2)
    # A second run that read the record before the first one wrote it.
    jobs.note_progress(stale, JobCounters(), later(3))
    assert item() == noted


def test_progress_is_never_noted_of_a_job_that_was_released_or_is_gone(
    jobs: JobsTable, backend: BackendInMemory, executions: WaitingExecutions
) -> None:
    start(jobs, backend, executions)
    known = jobs.require(NAME)
    jobs.mark_released(known, "Completed", NOW)
    released = item()
    jobs.note_progress(known, JobCounters(5), later(1))
    assert item() == released
    jobs.note_progress(record("gone"), JobCounters(5), later(1))
    assert jobs.find("gone") is None


def test_another_execution_that_waits_for_a_job_does_not_start_its_clock_again(
    jobs: JobsTable, backend: BackendInMemory, executions: WaitingExecutions, reconcile: Any
) -> None:
    start(jobs, backend, executions)
    reconcile(1)
    start(jobs, backend, executions, task_token="token-2", waiting_since=later(20).isoformat())
    [job] = reconcile(30).open_jobs
    assert job.unchanged_since == later(1)
    assert jobs.require(NAME).task_token == "token-2"


def test_a_failure_to_note_the_progress_is_an_error_of_that_job(
    jobs: JobsTable,
    backend: BackendInMemory,
    executions: WaitingExecutions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start(jobs, backend, executions)

    def refuse(**_: Any) -> Any:
        raise client_error("ThrottlingException", "UpdateItem")

    monkeypatch.setattr(aws.dynamodb(), "update_item", refuse)
    with pytest.raises(ClientError, match="ThrottlingException"):
        jobs.note_progress(jobs.require(NAME), JobCounters(5), NOW)


# ---- which jobs are open


def test_a_job_whose_description_fails_stays_open_and_its_clock_runs_on(
    jobs: JobsTable, backend: BackendInMemory, executions: WaitingExecutions, reconcile: Any
) -> None:
    start(jobs, backend, executions)
    reconcile(1)
    backend.broken = {NAME}
    result = reconcile(30)
    assert list(result.errors) == [NAME]
    [job] = result.open_jobs
    assert (job.job_name, job.campaign, job.unchanged_since) == (NAME, LAYOUT.campaign, later(1))


def test_a_job_that_could_never_be_described_stands_still_since_its_creation(
    jobs: JobsTable, backend: BackendInMemory, executions: WaitingExecutions, reconcile: Any
) -> None:
    start(jobs, backend, executions)
    backend.broken = {NAME}
    [job] = reconcile(30).open_jobs
    assert job.unchanged_since == NOW


def test_a_job_that_has_ended_is_open_no_more(
    jobs: JobsTable, backend: BackendInMemory, executions: WaitingExecutions, reconcile: Any
) -> None:
    start(jobs, backend, executions)
    backend.finish(NAME, JobStatus.COMPLETED)
    assert reconcile(1).open_jobs == []


def test_a_job_whose_execution_is_gone_is_open_as_long_as_people_are_asked_to_label(
    jobs: JobsTable, backend: BackendInMemory, executions: WaitingExecutions, reconcile: Any
) -> None:
    start(jobs, backend, executions)
    executions.dead["token-1"] = "TaskTimedOut"
    assert [job.job_name for job in reconcile(1).open_jobs] == [NAME]


def test_the_end_of_a_job_is_counted_by_one_of_the_calls_that_tell_of_it(
    jobs: JobsTable, backend: BackendInMemory, executions: WaitingExecutions, waiting: Waiting
) -> None:
    start(jobs, backend, executions)
    backend.finish(NAME, JobStatus.COMPLETED)
    releases = []
    # The schedule comes between the event's reading of the record and its writing.
    executions.on_send = lambda: releases.append(waiting.release(NAME)) if not releases else None
    releases.append(waiting.release(NAME))
    releases.append(waiting.release(NAME))
    assert [release.ended for release in releases].count(True) == 1


def test_a_job_that_is_told_of_too_early_is_counted_when_it_is_told_for_good(
    jobs: JobsTable, backend: BackendInMemory, executions: WaitingExecutions, waiting: Waiting
) -> None:
    start(jobs, backend, executions)
    backend.finish(NAME, JobStatus.COMPLETED)
    # Another execution stores its token while the first one is told.
    executions.on_send = lambda: jobs.open(record(task_token="token-2"))
    first = waiting.release(NAME)
    executions.on_send = lambda: None
    second = waiting.release(NAME)
    assert (first.outcome, first.ended) == (Outcome.SUPERSEDED, False)
    assert (second.outcome, second.ended) == (Outcome.RESUMED, True)


# ---- what the functions write


class SageMaker:
    """Describes jobs as the service does; a job that it has no answer for is refused."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}

    def put(self, name: str, status: str, **counters: int) -> None:
        self.jobs[name] = {
            "LabelingJobName": name,
            "LabelingJobStatus": status,
            "InputConfig": {"DataSource": {"S3DataSource": {"ManifestS3Uri": "s3://b/m"}}},
            "OutputConfig": {"S3OutputPath": "s3://b/o/"},
            "LabelCounters": counters,
        }

    def describe_labeling_job(self, LabelingJobName: str) -> dict[str, Any]:
        if LabelingJobName not in self.jobs:
            raise client_error("AccessDeniedException", "DescribeLabelingJob")
        return self.jobs[LabelingJobName]


@pytest.fixture
def sagemaker(jobs: JobsTable, executions: WaitingExecutions, monkeypatch: pytest.MonkeyPatch) -> SageMaker:
    service = SageMaker()
    monkeypatch.setattr(aws, "sagemaker", lambda: service)
    monkeypatch.setattr(aws, "stepfunctions", lambda: executions)
    monkeypatch.setenv("JOBS_TABLE", TABLE)
    monkeypatch.setenv("DATA_BUCKET", BUCKET)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", NAMESPACE)
    return service


@pytest.fixture
def measure(sagemaker: SageMaker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Call a function; the values that it wrote, also when it failed."""

    def run(function: str, event: Any) -> list[Point]:
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", function)
        capsys.readouterr()
        with suppress(ReconciliationIncomplete):
            load_handler(function).lambda_handler(event, lambda_context(function))
        return points(capsys.readouterr().out)

    return run


def event_of(name: str) -> dict[str, Any]:
    return {"resources": [f"arn:aws:sagemaker:us-east-1:123456789012:labeling-job/{name}"]}


def values(written: list[Point], campaign: str | None) -> dict[str, float]:
    return {point.metric: point.value for point in written if point.campaign == campaign}


def test_the_schedule_writes_open_and_ended_jobs_by_campaign_and_for_the_stack(
    jobs: JobsTable, sagemaker: SageMaker, measure: Any
) -> None:
    cats = CampaignLayout(BUCKET, "cats")
    jobs.open(record("digits-job"))
    jobs.open(record("cats-job", campaign="cats", campaign_uri=cats.uri, task_token="token-2"))
    jobs.open(record("ended-job", task_token="token-3"))
    sagemaker.put("digits-job", "InProgress", TotalLabeled=1)
    sagemaker.put("cats-job", "InProgress", Unlabeled=5)
    sagemaker.put("ended-job", "Failed")
    written = measure("reconcile_labeling_jobs", {})
    assert {point.series for point in written} == declared()["reconcile_labeling_jobs"]
    assert values(written, "digits")["OpenLabelingJobs"] == 1
    assert values(written, "cats")["OpenLabelingJobs"] == 1
    stack = values(written, None)
    assert (stack["OpenLabelingJobs"], stack["LabelingJobsFailed"]) == (2, 1)
    assert (stack["LabelingJobsCompleted"], stack["LabelingJobsStopped"]) == (0, 0)
    # Both were seen for the first time just now.
    assert 0 <= stack["HoursWithoutProgress"] < 0.1


def test_the_schedule_writes_its_metrics_before_it_fails(
    jobs: JobsTable, sagemaker: SageMaker, measure: Any
) -> None:
    jobs.open(record())
    written = values(measure("reconcile_labeling_jobs", {}), None)
    assert written["OpenLabelingJobs"] == 1


def test_the_schedule_writes_zero_when_no_job_is_open(measure: Any) -> None:
    written = measure("reconcile_labeling_jobs", {})
    assert values(written, None) == {"OpenLabelingJobs": 0, "HoursWithoutProgress": 0}
    assert {point.campaign for point in written} == {None}


def test_an_event_writes_the_end_of_a_job_once(jobs: JobsTable, sagemaker: SageMaker, measure: Any) -> None:
    jobs.open(record())
    sagemaker.put(NAME, "Stopped")
    written = measure("release_labeling_job", event_of(NAME))
    assert {point.series for point in written} == declared()["release_labeling_job"]
    assert values(written, None)["LabelingJobsStopped"] == 1
    assert measure("release_labeling_job", event_of(NAME)) == []
    assert measure("release_labeling_job", event_of("somebody-elses")) == []


def test_a_merge_writes_the_objects_that_failed_and_the_same_again(
    s3: S3Gateway, jobs: JobsTable, measure: Any
) -> None:
    rows = [with_provenance({"source-ref": f"s3://images/{number}.png"}, "label") for number in range(2)]
    output = LAYOUT.labeling_output_manifest(NAME)
    s3.write_bytes(LAYOUT.master_manifest(), "\n".join(map(encode_row, rows)).encode())
    labeled = {**rows[0], "label": 1, "label-metadata": {"class-name": "dog"}}
    s3.write_bytes(output, "\n".join([encode_row(labeled), encode_row(rows[1])]).encode())
    jobs.open(record())
    labeling = {"job_name": NAME, "status": "Completed", "output_manifest_uri": output}
    event = {"campaign": {"name": LAYOUT.campaign}, "round": 0, "labeling": labeling}
    for _ in range(2):
        written = measure("merge_labels", event)
        assert {point.series for point in written} == declared()["merge_labels"]
        assert values(written, LAYOUT.campaign) == {"ObjectsFailed": 1}
