"""The log of the workers' activity adds what no file holds: declines and returns."""

from __future__ import annotations

from typing import Any

import pytest

from truthloop.trace.activity import InvalidLogDelivery, read_activities, record, unpack
from truthloop.trace.recording import JobBook
from unit.trace.kit import ANNA, BEN, Stack, activity, answer, delivery

JOB = "digits-r2-a1-0123abcd"


def take(stack: Stack, *records: Any) -> list[str]:
    found = read_activities(unpack(delivery(records)))
    record(found, stack.answers, stack.people, JobBook(stack.jobs))
    return found.rejected


def test_a_decline_and_a_return_are_records_of_the_person_who_answers(stack: Stack) -> None:
    stack.job(JOB, number=2)
    stack.recorder().record(stack.respond(JOB, 0, [answer(ANNA)]))
    assert take(stack, activity(ANNA, JOB), activity(ANNA, JOB, "TasksReturned")) == []
    found = stack.answers.of_campaign("digits")
    assert len(found.answers) == 1
    assert {(each.worker, each.event, each.job, each.round, each.at) for each in found.activities} == {
        (stack.worker(ANNA), event, JOB, 2, "2030-01-31T12:05:09.000Z") for event in ("declined", "returned")
    }


def test_the_same_delivery_again_changes_nothing(stack: Stack) -> None:
    stack.job(JOB)
    for _ in range(3):
        take(stack, activity(ANNA, JOB))
    assert len(stack.answers.of_campaign("digits").activities) == 1


def test_accepted_and_submitted_tasks_are_counted_by_their_files(stack: Stack) -> None:
    stack.job(JOB)
    assert take(stack, activity(ANNA, JOB, "TasksAccepted"), activity(ANNA, JOB, "TasksSubmitted")) == []
    assert stack.answers.of_campaign("digits").activities == []


def test_the_worker_id_tells_who_it_was_where_there_is_no_sub(stack: Stack) -> None:
    stack.job(JOB)
    stack.recorder().record(stack.respond(JOB, 0, [answer(BEN)]))
    take(stack, activity(BEN, JOB, cognito_sub_id="", cognito_user_pool_id=""))
    (found,) = stack.answers.of_campaign("digits").activities
    assert found.worker == stack.worker(BEN)


def test_the_time_of_the_record_stands_in_for_one_that_is_missing(stack: Stack) -> None:
    stack.job(JOB)
    take(stack, activity(ANNA, JOB, task_declined_time="", event_timestamp="1896091509"))
    (found,) = stack.answers.of_campaign("digits").activities
    assert found.at == "2030-01-31T12:05:09.000Z"


@pytest.mark.parametrize(
    "broken",
    [
        "not JSON",
        "[]",
        "[" * 100_000,
        {"event_type": "TasksBurnt"},
        {"event_type": ["TasksDeclined"]},
        activity(ANNA, JOB, labeling_job_arn="arn:aws:s3:::bucket"),
        activity(ANNA, JOB, cognito_sub_id="", worker_id=""),
        activity(ANNA, JOB, task_declined_time="once", event_timestamp="1e999"),
    ],
    ids=range(8),
)
def test_a_record_that_cannot_be_read_is_left_out_with_a_reason(stack: Stack, broken: Any) -> None:
    stack.job(JOB)
    assert len(take(stack, broken, activity(BEN, JOB))) == 1
    (found,) = stack.answers.of_campaign("digits").activities
    assert found.worker == stack.worker(BEN)


def test_the_message_that_tries_the_subscription_holds_no_records() -> None:
    assert unpack(delivery(["CWL CONTROL MESSAGE: Checking health"], "CONTROL_MESSAGE")) == []


@pytest.mark.parametrize("event", [{}, {"awslogs": {"data": "%"}}, {"awslogs": {"data": "AAAA"}}])
def test_what_is_no_delivery_is_refused(event: Any) -> None:
    with pytest.raises(InvalidLogDelivery, match="no delivery of CloudWatch Logs"):
        unpack(event)
