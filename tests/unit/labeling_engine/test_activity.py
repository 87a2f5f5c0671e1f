"""What workers do is logged as Ground Truth logs it, with the documented members."""

from __future__ import annotations

from datetime import timedelta

import pytest

from labeling_engine import Worker
from unit.labeling_engine.job_kit import (
    ISSUER,
    START,
    accept,
    annotator,
    answer,
    image_rows,
    make_job,
    run,
    started_job,
    team,
    worker,
)


def test_an_answer_is_logged_with_the_times_of_acceptance_and_submission() -> None:
    job, world = started_job(image_rows(1))
    task = accept(job, worker("e52d58eb96bfba08"))
    world.clock.advance_to(START + timedelta(seconds=5.4))
    job.submit(worker("e52d58eb96bfba08"), task.object_id, answer("1"))
    accepted, submitted = world.activity
    assert submitted == {
        "worker_id": "e52d58eb96bfba08",
        "cognito_user_pool_id": ISSUER.rpartition("/")[2],
        "cognito_sub_id": "sub-e52d58eb96bfba08",
        "task_accepted_time": f"{START:%a %b %d %H:%M:%S} UTC {START:%Y}",
        "task_submitted_time": f"{START + timedelta(seconds=5):%a %b %d %H:%M:%S} UTC {START:%Y}",
        "task_returned_time": "",
        "task_declined_time": "",
        "workteam_arn": "arn:aws:sagemaker:us-east-1:123456789012:workteam/private-crowd/tests",
        "labeling_job_arn": "arn:aws:sagemaker:us-east-1:123456789012:labeling-job/digits-r0",
        "work_requester_account_id": "123456789012",
        "job_reference_code": job.specification.reference_code,
        "job_type": "Private",
        "event_type": "TasksSubmitted",
        "event_timestamp": str(int(START.timestamp()) + 5),
    }
    assert (accepted["event_type"], accepted["task_submitted_time"]) == ("TasksAccepted", "")
    assert accepted["task_accepted_time"] == submitted["task_accepted_time"]
    assert len(job.specification.reference_code) == 10


@pytest.mark.parametrize(("act", "member"), [("decline", "declined"), ("return_task", "returned")])
def test_what_is_given_back_is_logged_though_it_reaches_no_file(act: str, member: str) -> None:
    job, world = started_job(image_rows(1))
    task = accept(job, worker("a"))
    world.clock.advance_to(START + timedelta(seconds=61))
    getattr(job, act)(worker("a"), task.object_id)
    record = world.activity[-1]
    assert record["event_type"] == f"Tasks{member.capitalize()}"
    times = {key: bool(record[f"task_{key}_time"]) for key in ("submitted", "returned", "declined")}
    assert times == {key: key == member for key in times}
    assert record["task_accepted_time"]
    assert world.paths("annotations/worker-response") == []


def test_a_worker_of_another_identity_provider_has_no_cognito_user() -> None:
    job, world = started_job(image_rows(1))
    accept(job, Worker("private.us-east-1.a", "sub-a", "https://login.example.com", "Oidc"))
    (record,) = world.activity
    assert (record["cognito_user_pool_id"], record["cognito_sub_id"]) == ("", "")
    assert record["worker_id"] == "a"


def test_every_answer_decline_and_return_of_a_whole_job_is_logged_once() -> None:
    rows = image_rows(40)
    job, world = make_job(rows)
    people = [
        annotator(name, decline_rate=0.1, return_rate=0.1) for name in ("ann", "bob", "cy", "di", "eve")
    ]
    run(job, world, team(rows, people))
    counts = {
        kind: sum(record["event_type"] == kind for record in world.activity)
        for kind in ("TasksAccepted", "TasksSubmitted", "TasksReturned", "TasksDeclined")
    }
    answers = sum(len(world.json(path)["answers"]) for path in world.paths("annotations/worker-response"))
    assert counts["TasksSubmitted"] == answers > 100
    assert counts["TasksReturned"] > 0 < counts["TasksDeclined"]
    assert counts["TasksAccepted"] == sum(counts.values()) - counts["TasksAccepted"]
