"""Reads the labelling service's log of its workers: tasks declined or returned, which no file holds.

The log group is /aws/sagemaker/groundtruth/WorkerActivity:
https://docs.aws.amazon.com/sagemaker/latest/dg/workteam-private-tracking.html
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from truthloop.errors import TruthloopError
from truthloop.names import labeling_job_name_of
from truthloop.trace.answers import DECLINED, RETURNED, Activity, AnswersTable
from truthloop.trace.people import People, Person
from truthloop.trace.recording import JobBook
from truthloop.trace.responses import identifier, timestamp

# An event's type, what it is called here, and the field that says when. Submitted answers have files.
_EVENTS = {
    "TasksDeclined": (DECLINED, "task_declined_time"),
    "TasksReturned": (RETURNED, "task_returned_time"),
}
_COUNTED_ELSEWHERE = frozenset({"TasksAccepted", "TasksSubmitted"})
# As in "Wed Aug 14 16:00:59 UTC 2019".
_TIME = "%a %b %d %H:%M:%S UTC %Y"


class InvalidLogDelivery(TruthloopError):
    """What CloudWatch Logs delivered cannot be unpacked."""


@dataclass(frozen=True)
class Given:
    """A task that somebody gave back."""

    job: str
    event: str
    at: str
    person: Person


@dataclass(frozen=True)
class Activities:
    """What a delivery says was given back, and why some of its records could not be read."""

    given_back: list[Given]
    rejected: list[str]


def unpack(event: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The log events of a subscription's delivery, {"awslogs": {"data": base64 of gzip of JSON}}.

    A control message, with which CloudWatch Logs tries the subscription, has none.

    Raises
    ------
    InvalidLogDelivery
        When it is something else.
    """
    try:
        delivery = json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"], validate=True)))
        if delivery["messageType"] == "CONTROL_MESSAGE":
            return []
        return list(delivery["logEvents"])
    except (KeyError, TypeError, ValueError, binascii.Error, zlib.error, OSError, EOFError) as error:
        raise InvalidLogDelivery(
            f"The event is no delivery of CloudWatch Logs: {error!r}. Only a log subscription may call this."
        ) from error


def read_activities(events: list[Mapping[str, Any]]) -> Activities:
    """The declines and returns among log events; a record that cannot be read is left out with a reason."""
    found, rejected = [], []
    for number, event in enumerate(events, start=1):
        try:
            record = json.loads(event["message"])
        except (KeyError, TypeError, ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            rejected.append(f"record {number} is not a JSON object")
            continue
        kind = identifier(record.get("event_type"))
        if kind in _COUNTED_ELSEWHERE:
            continue
        if kind not in _EVENTS:
            rejected.append(f"record {number} has an unknown event_type")
            continue
        name, time_field = _EVENTS[kind]
        job = labeling_job_name_of(str(record.get("labeling_job_arn")))
        at = _time(record.get(time_field)) or _epoch(record.get("event_timestamp"))
        person = _person(record)
        if job is None or at is None or person is None:
            rejected.append(f"record {number} lacks a labelling job, a time or a worker")
            continue
        found.append(Given(job, name, timestamp(at), person))
    return Activities(found, rejected)


def record(found: Activities, answers: AnswersTable, people: People, jobs: JobBook) -> None:
    """Write what was given back; the same delivery again changes nothing."""
    for each in found.given_back:
        facts = jobs.facts(each.job)
        worker = people.pseudonym_of(each.person)
        answers.record_activity(
            Activity(each.job, worker, each.event, each.at, facts.campaign, facts.round, facts.purpose)
        )


def _person(record: Mapping[str, Any]) -> Person | None:
    """Who it was; an OIDC workforce's log knows no sub, and its worker_id is the last part of the files'."""
    sub, worker_id = identifier(record.get("cognito_sub_id")), identifier(record.get("worker_id"))
    if sub is None:
        return None if worker_id is None else Person(worker_id)
    pool = identifier(record.get("cognito_user_pool_id"))
    issuer = None if pool is None else f"https://cognito-idp.{pool.partition('_')[0]}.amazonaws.com/{pool}"
    return Person(worker_id, sub, issuer, "Cognito")


def _time(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        return datetime.strptime(value, _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None


def _epoch(value: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(value), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
