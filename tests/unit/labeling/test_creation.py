from __future__ import annotations

from typing import Any

import pytest

from truthloop.errors import ObjectNotFound
from truthloop.labeling.backend import JobStatus
from truthloop.labeling.creation import create_labeling_job
from truthloop.labeling.jobs import JobsTable
from truthloop.labeling.waiting import Outcome, Release, Waiting
from truthloop.names import labeling_job_name
from truthloop.s3 import S3Gateway
from unit.labeling.kit import (
    CATEGORIES,
    FUNCTIONS,
    LAYOUT,
    NOW,
    WORKTEAM,
    BackendInMemory,
    WaitingExecutions,
    campaign,
)

FIRST, SECOND = (labeling_job_name(LAYOUT, 2, attempt) for attempt in (1, 2))


@pytest.fixture
def prepared(s3: S3Gateway) -> S3Gateway:
    labeling = {
        "workers_per_object": 5,
        "task_title": "画像の分類",
        "task_keywords": ["images", "animals"],
    }
    s3.write_json(LAYOUT.campaign_document(), campaign(labeling=labeling).to_document())
    s3.write_json(LAYOUT.selection(2), {"round": 2, "to_label": 4})
    return s3


def create(s3: S3Gateway, waiting: Waiting, token: str) -> Release:
    return create_labeling_job(s3, waiting, LAYOUT, 2, token, FUNCTIONS, NOW)


def test_the_rounds_selection_is_submitted_as_the_request_says(
    prepared: S3Gateway, waiting: Waiting, jobs: JobsTable, backend: BackendInMemory
) -> None:
    submitted: list[Any] = []
    backend.on_submit = submitted.append
    assert create(prepared, waiting, "token-1").outcome is Outcome.NOT_FINISHED
    [job] = submitted
    assert job.name == FIRST
    assert job.manifest_uri == LAYOUT.selection_manifest(2)
    assert job.output_uri == LAYOUT.labeling_prefix()
    assert job.template_uri == "s3://data-bucket/templates/image-classification/template.liquid.html"
    assert (job.workteam_arn, job.workers_per_object) == (WORKTEAM, 5)
    assert (job.task_title, job.task_keywords) == ("画像の分類", ("images", "animals"))
    stored = jobs.require(FIRST)
    assert (stored.campaign, stored.round, stored.attempt) == ("digits", 2, 1)
    assert (stored.task_type, stored.label_categories) == ("image-classification", CATEGORIES)


def test_a_retried_creation_finds_the_first_job(
    prepared: S3Gateway, waiting: Waiting, jobs: JobsTable, backend: BackendInMemory
) -> None:
    create(prepared, waiting, "token-1")
    create(prepared, waiting, "token-2")
    assert list(backend.jobs) == [FIRST]
    assert jobs.require(FIRST).task_token == "token-2"


def test_a_failed_attempt_is_followed_by_one_under_a_new_name(
    prepared: S3Gateway, waiting: Waiting, jobs: JobsTable, backend: BackendInMemory
) -> None:
    create(prepared, waiting, "token-1")
    backend.finish(FIRST, JobStatus.FAILED)
    waiting.release(FIRST)
    create(prepared, waiting, "token-2")
    assert list(backend.jobs) == [FIRST, SECOND]
    assert (jobs.require(SECOND).attempt, jobs.require(SECOND).task_token) == (2, "token-2")
    create(prepared, waiting, "token-3")
    assert list(backend.jobs) == [FIRST, SECOND]


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.STOPPED])
def test_a_resumed_campaign_whose_job_has_ended_buys_nothing_twice(
    prepared: S3Gateway,
    waiting: Waiting,
    backend: BackendInMemory,
    executions: WaitingExecutions,
    status: JobStatus,
) -> None:
    create(prepared, waiting, "token-1")
    backend.finish(FIRST, status)
    assert create(prepared, waiting, "token-2").outcome is Outcome.RESUMED
    assert list(backend.jobs) == [FIRST]
    assert executions.successes["token-2"]["job_name"] == FIRST


def test_a_round_with_nothing_to_label_goes_on_without_a_job(
    prepared: S3Gateway, waiting: Waiting, backend: BackendInMemory, executions: WaitingExecutions
) -> None:
    prepared.write_json(LAYOUT.selection(2), {"round": 2, "to_label": 0})
    create(prepared, waiting, "token-1")
    assert executions.successes["token-1"]["status"] == "NothingToLabel"
    assert backend.jobs == {}


def test_without_a_selection_no_job_is_created(
    s3: S3Gateway, waiting: Waiting, backend: BackendInMemory
) -> None:
    with pytest.raises(ObjectNotFound, match=r"selection\.json"):
        create(s3, waiting, "token-1")
    assert backend.jobs == {}
