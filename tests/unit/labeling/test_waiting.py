from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from truthloop.labeling.backend import Job, JobCounters, JobStatus
from truthloop.labeling.jobs import ForeignLabelingJob, JobsTable, UnknownLabelingJob
from truthloop.labeling.waiting import Outcome, ReconciliationIncomplete, Waiting, task_output
from unit.labeling.kit import NOW, BackendInMemory, WaitingExecutions, client_error, record, submission

NAME = record().job_name
OUTPUT = f"{submission().output_uri}{NAME}/manifests/output/output.manifest"
COUNTERS = JobCounters(labeled=8, failed=1, unlabeled=1)


@pytest.fixture
def started(waiting: Waiting) -> Waiting:
    waiting.start(record(), submission())
    return waiting


def finish(backend: BackendInMemory, status: JobStatus, **changes: Any) -> None:
    backend.finish(NAME, status, output_manifest_uri=OUTPUT, counters=COUNTERS, **changes)


# ---- starting a job


def test_the_token_is_stored_before_the_job_exists(
    waiting: Waiting, jobs: JobsTable, backend: BackendInMemory
) -> None:
    tokens = []
    backend.on_submit = lambda job: tokens.append(jobs.require(job.name).task_token)
    assert waiting.start(record(), submission()).outcome is Outcome.NOT_FINISHED
    assert tokens == ["token-1"]
    assert jobs.require(NAME) == replace(record(), created_at=NOW.isoformat())


def test_a_token_survives_a_creation_that_fails_and_the_repetition_replaces_it(
    waiting: Waiting, jobs: JobsTable, backend: BackendInMemory
) -> None:
    def refuse(_: Any) -> None:
        raise client_error("ThrottlingException", "CreateLabelingJob")

    backend.on_submit = refuse
    with pytest.raises(ClientError, match="ThrottlingException"):
        waiting.start(record(), submission())
    backend.on_submit = lambda job: None
    waiting.start(record(task_token="token-2"), submission())
    assert jobs.require(NAME).task_token == "token-2"


def test_a_repeated_creation_finds_the_first_job_and_waits_with_the_newer_token(
    started: Waiting, jobs: JobsTable, backend: BackendInMemory, executions: WaitingExecutions
) -> None:
    later = (NOW + timedelta(minutes=5)).isoformat()
    release = started.start(record(task_token="token-2", waiting_since=later), submission())
    assert release.outcome is Outcome.NOT_FINISHED
    assert len(backend.jobs) == 1
    assert jobs.require(NAME).task_token == "token-2"
    assert jobs.require(NAME).created_at == NOW.isoformat()
    finish(backend, JobStatus.COMPLETED)
    started.release(NAME)
    assert list(executions.successes) == ["token-2"]


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.STOPPED])
def test_a_resumed_round_whose_job_has_ended_goes_on_at_once(
    started: Waiting,
    jobs: JobsTable,
    backend: BackendInMemory,
    executions: WaitingExecutions,
    status: JobStatus,
) -> None:
    finish(backend, status)
    started.release(NAME)
    release = started.start(record(task_token="token-2"), submission())
    assert release.outcome is Outcome.RESUMED
    assert executions.successes["token-2"] == executions.successes["token-1"]
    assert jobs.require(NAME).state == "released"


def test_a_job_that_failed_while_it_was_being_found_fails_the_execution_at_once(
    waiting: Waiting, backend: BackendInMemory, executions: WaitingExecutions
) -> None:
    backend.jobs[NAME] = Job(
        NAME, JobStatus.FAILED, submission().manifest_uri, submission().output_uri, failure_reason="no access"
    )
    waiting.start(record(), submission())
    assert executions.failures == {"token-1": ("LabelingJobFailed", f"{NAME}: no access")}


@pytest.mark.parametrize("theirs", [{"manifest_uri": "s3://other/x"}, {"output_uri": "s3://other/y/"}])
def test_a_job_of_somebody_elses_under_our_name_is_an_error_and_is_never_waited_for(
    waiting: Waiting, jobs: JobsTable, backend: BackendInMemory, theirs: dict[str, str]
) -> None:
    job = Job(NAME, JobStatus.COMPLETED, submission().manifest_uri, submission().output_uri)
    backend.jobs[NAME] = replace(job, **theirs)
    with pytest.raises(ForeignLabelingJob, match="s3://other"):
        waiting.start(record(), submission())
    assert list(jobs.open_records()) == []


def test_a_record_of_another_campaign_is_never_overwritten(waiting: Waiting, jobs: JobsTable) -> None:
    waiting.start(record(), submission())
    theirs = record(campaign_uri="s3://other-bucket/campaigns/digits/", task_token="token-2")
    with pytest.raises(ForeignLabelingJob, match="another campaign"):
        waiting.start(theirs, submission())
    assert jobs.require(NAME).task_token == "token-1"


def test_nothing_to_label_resumes_the_execution_without_a_job(
    waiting: Waiting, jobs: JobsTable, backend: BackendInMemory, executions: WaitingExecutions
) -> None:
    assert waiting.skip("token-1").outcome is Outcome.RESUMED
    assert executions.successes == {
        "token-1": {
            "job_name": None,
            "status": "NothingToLabel",
            "output_manifest_uri": None,
            "counters": {"labeled": 0, "failed": 0, "unlabeled": 0},
        }
    }
    assert backend.jobs == {}
    assert list(jobs.open_records()) == []
    assert waiting.skip("token-1").outcome is Outcome.NOBODY_WAITS


# ---- the release by event


def test_a_completed_job_resumes_the_execution_with_where_the_labels_lie(
    started: Waiting, jobs: JobsTable, backend: BackendInMemory, executions: WaitingExecutions
) -> None:
    finish(backend, JobStatus.COMPLETED)
    assert started.release(NAME).outcome is Outcome.RESUMED
    assert executions.successes == {
        "token-1": {
            "job_name": NAME,
            "status": "Completed",
            "output_manifest_uri": OUTPUT,
            "counters": {"labeled": 8, "failed": 1, "unlabeled": 1},
        }
    }
    told = jobs.require(NAME)
    assert (told.state, told.status, told.released_at) == ("released", "Completed", NOW.isoformat())


def test_a_stopped_job_resumes_the_execution_so_that_its_labels_are_kept(
    started: Waiting, backend: BackendInMemory, executions: WaitingExecutions
) -> None:
    finish(backend, JobStatus.STOPPED)
    started.release(NAME)
    assert executions.successes["token-1"]["status"] == "Stopped"
    assert executions.failures == {}


def test_a_failed_job_fails_the_execution_with_the_services_reason(
    started: Waiting, jobs: JobsTable, backend: BackendInMemory, executions: WaitingExecutions
) -> None:
    finish(backend, JobStatus.FAILED, failure_reason="ClientError: the manifest is empty")
    started.release(NAME)
    assert executions.failures == {
        "token-1": ("LabelingJobFailed", f"{NAME}: ClientError: the manifest is empty")
    }
    assert executions.successes == {}
    assert jobs.require(NAME).status == "Failed"


def test_a_repeated_event_resumes_the_execution_once(
    started: Waiting, backend: BackendInMemory, executions: WaitingExecutions
) -> None:
    sent = []
    executions.on_send = lambda: sent.append(1)
    finish(backend, JobStatus.COMPLETED)
    outcomes = [started.release(NAME).outcome for _ in range(3)]
    assert outcomes == [Outcome.RESUMED, Outcome.TOLD_BEFORE, Outcome.TOLD_BEFORE]
    assert sent == [1]


def test_an_event_for_a_foreign_job_is_ignored(
    started: Waiting, backend: BackendInMemory, executions: WaitingExecutions
) -> None:
    backend.jobs["theirs"] = Job("theirs", JobStatus.COMPLETED, "s3://a/b", "s3://a/c")
    assert started.release("theirs").outcome is Outcome.NOT_OURS
    assert executions.successes == {}


def test_an_event_that_comes_before_its_time_changes_nothing(
    started: Waiting, jobs: JobsTable, executions: WaitingExecutions
) -> None:
    assert started.release(NAME).outcome is Outcome.NOT_FINISHED
    assert (executions.successes, executions.failures) == ({}, {})
    assert jobs.require(NAME).state == "open"


@pytest.mark.parametrize("code", ["InvalidToken", "TaskTimedOut", "TaskDoesNotExist"])
@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.FAILED])
def test_a_dead_token_closes_the_job_without_an_error(
    started: Waiting,
    jobs: JobsTable,
    backend: BackendInMemory,
    executions: WaitingExecutions,
    code: str,
    status: JobStatus,
) -> None:
    executions.dead["token-1"] = code
    finish(backend, status)
    assert started.release(NAME).outcome is Outcome.NOBODY_WAITS
    assert jobs.require(NAME).state == "released"


def test_an_execution_that_could_not_be_told_stays_open_and_is_told_later(
    started: Waiting, jobs: JobsTable, backend: BackendInMemory, executions: WaitingExecutions
) -> None:
    finish(backend, JobStatus.COMPLETED)
    executions.dead["token-1"] = "ThrottlingException"
    with pytest.raises(ClientError, match="ThrottlingException"):
        started.release(NAME)
    assert jobs.require(NAME).state == "open"
    executions.dead.clear()
    assert started.release(NAME).outcome is Outcome.RESUMED


def test_a_token_that_was_stored_meanwhile_is_not_marked_as_told(
    started: Waiting, jobs: JobsTable, backend: BackendInMemory, executions: WaitingExecutions
) -> None:
    finish(backend, JobStatus.COMPLETED)
    executions.on_send = lambda: jobs.open(record(task_token="token-2"))
    assert started.release(NAME).outcome is Outcome.SUPERSEDED
    assert (jobs.require(NAME).state, jobs.require(NAME).task_token) == ("open", "token-2")
    executions.on_send = lambda: None
    started.release(NAME)
    assert list(executions.successes) == ["token-1", "token-2"]


# ---- the reconciler


def test_a_lost_event_is_found_by_the_reconciler(
    started: Waiting, backend: BackendInMemory, executions: WaitingExecutions
) -> None:
    finish(backend, JobStatus.COMPLETED)
    result = started.reconcile()
    assert list(executions.successes) == ["token-1"]
    assert result.counts()["resumed"] == 1
    assert started.reconcile().counts()["resumed"] == 0


def test_a_running_job_gets_a_heartbeat_and_stays_open(
    started: Waiting, jobs: JobsTable, executions: WaitingExecutions
) -> None:
    result = started.reconcile()
    assert executions.heartbeats == ["token-1"]
    assert result.counts()["not_finished"] == 1
    assert [each.job_name for each in jobs.open_records()] == [NAME]
    result.raise_for_errors()


def test_a_heartbeat_for_an_execution_that_is_gone_is_no_error(
    started: Waiting, executions: WaitingExecutions
) -> None:
    executions.dead["token-1"] = "TaskTimedOut"
    result = started.reconcile()
    assert result.counts()["nobody_waits"] == 1
    assert result.errors == {}


def test_all_open_jobs_are_reconciled_over_all_pages_though_some_fail(
    waiting: Waiting, jobs: JobsTable, backend: BackendInMemory, executions: WaitingExecutions
) -> None:
    # 300 KB each, so that a page of a query, 1 MB, doesn't hold them all.
    names = [f"digits-r{number}-a1-0123abcd" for number in range(8)]
    for number, name in enumerate(names):
        large = record(name, task_token=f"token-{number}", label_categories=("x" * 300_000,))
        waiting.start(large, submission(name))
    backend.broken = {names[0], names[6]}
    backend.finish(names[1], JobStatus.COMPLETED)
    backend.finish(names[7], JobStatus.STOPPED)
    result = waiting.reconcile()
    counts = result.counts()
    assert (counts["resumed"], counts["not_finished"], counts["errors"]) == (2, 4, 2)
    assert sorted(executions.successes) == ["token-1", "token-7"]
    assert executions.heartbeats == ["token-2", "token-3", "token-4", "token-5"]
    with pytest.raises(ReconciliationIncomplete, match=r"2 open labelling jobs.*digits-r0-.*digits-r6-"):
        result.raise_for_errors()


def test_a_job_that_is_being_created_is_left_alone_and_one_that_never_came_is_given_up(
    jobs: JobsTable, backend: BackendInMemory, executions: WaitingExecutions
) -> None:
    jobs.open(record())
    for minutes, outcome in [(14, Outcome.NOT_FINISHED), (16, Outcome.RESUMED)]:
        moment = NOW + timedelta(minutes=minutes)
        waiting = Waiting(jobs, backend, executions, lambda moment=moment: moment)  # type: ignore[arg-type, misc]
        assert waiting.release(NAME).outcome is outcome
    assert executions.failures["token-1"][0] == "LabelingJobFailed"
    assert "never created" in executions.failures["token-1"][1]
    assert list(jobs.open_records()) == []


# ---- the table


def test_a_job_that_no_campaign_created_is_unknown(jobs: JobsTable) -> None:
    assert jobs.find("theirs") is None
    with pytest.raises(UnknownLabelingJob, match="'theirs'"):
        jobs.require("theirs")


def test_the_output_fits_into_a_states_input() -> None:
    output = task_output("n" * 63, JobStatus.COMPLETED, "s3://" + "u" * 1_024, COUNTERS)
    assert len(output) < 2_000
    assert json.loads(output)["status"] == "Completed"


def test_no_token_is_ever_logged(started: Waiting, backend: BackendInMemory) -> None:
    finish(backend, JobStatus.COMPLETED)
    assert started.release(NAME).to_log() == {"job_name": NAME, "outcome": "resumed", "status": "Completed"}
