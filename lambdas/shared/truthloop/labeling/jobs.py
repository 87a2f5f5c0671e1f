"""The jobs table: which labelling job belongs to which campaign, and which execution waits for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from truthloop import aws
from truthloop.errors import TruthloopError
from truthloop.labeling.backend import JobCounters

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LABEL = "label"
"""A round's labelling."""
AUDIT = "audit"
"""Auditors judge labels."""
RELABEL = "relabel"
"""People label again what auditors rejected."""
EXPERT = "expert"
"""Experts give the last label."""
FINAL = "final"
"""Auditors judge a random sample of the final labels."""
VERDICTS = frozenset({AUDIT, FINAL})
"""The purposes whose answers are verdicts on labels."""

OPEN = "open"
RELEASED = "released"
_BY_STATE = "by-state"


class UnknownLabelingJob(TruthloopError):
    """The jobs table does not know a labelling job."""


class ForeignLabelingJob(TruthloopError):
    """A labelling job's name is taken by something that isn't this round's job."""


@dataclass(frozen=True)
class JobRecord:
    """One labelling job of a round.

    Attributes
    ----------
    task_token
        Of the execution that waits for the job. A secret: whoever has it can resume the execution.
    state
        "open" while an execution waits, "released" after it was told.
    waiting_since
        When the token was stored, ISO 8601.
    instructions
        What the campaign tells the workers, beside what the template does.
    campaign, campaign_uri, round
        Empty texts and 0 for a job that belongs to the audit of a stand-alone job.
    purpose
        What the workers do: LABEL, or in an audit AUDIT, RELABEL, EXPERT or FINAL.
    manifest_uri
        The job's rows: an object's id in the backend is the position of its row, from 0.
    output_uri
        The folder below which the backend makes one of the job's name.
    audit_uri
        The audit that a job belongs to, None for a round's own.
    status
        The job's status when the execution was told; None before.
    counters, counters_since
        The counters that were noted last, and since when they are so, ISO 8601; None before the first time.
    """

    job_name: str
    campaign: str
    campaign_uri: str
    round: int
    attempt: int
    task_type: str
    label_categories: tuple[str, ...]
    label_attribute: str
    task_token: str
    waiting_since: str
    instructions: str = ""
    purpose: str = LABEL
    manifest_uri: str = ""
    output_uri: str = ""
    audit_uri: str | None = None
    state: str = OPEN
    created_at: str = ""
    status: str | None = None
    released_at: str | None = None
    counters: JobCounters | None = None
    counters_since: str | None = None

    @property
    def unchanged_since(self) -> datetime:
        """Since when no progress is known: the last change of the counters, or else the job's beginning."""
        return datetime.fromisoformat(self.counters_since or self.created_at or self.waiting_since)


# What `open` leaves as it is or removes.
_KEPT_OR_REMOVED = {"job_name", "created_at", "status", "released_at", "counters", "counters_since"}


class JobsTable:
    """Reads and writes job records; every read sees all earlier writes, but for `open_records`."""

    def __init__(self, table: str, client: DynamoDBClient | None = None) -> None:
        self._table = table
        self._client = aws.dynamodb() if client is None else client

    def find(self, job_name: str) -> JobRecord | None:
        item = self._client.get_item(TableName=self._table, Key=_key(job_name), ConsistentRead=True).get(
            "Item"
        )
        return None if item is None else _record(item)

    def require(self, job_name: str) -> JobRecord:
        """The record of a job.

        Raises
        ------
        UnknownLabelingJob
            When there is none.
        """
        record = self.find(job_name)
        if record is None:
            raise UnknownLabelingJob(
                f"The table {self._table} has no labelling job {job_name!r}. "
                "Only jobs that a campaign created can be worked here; check the function's configuration."
            )
        return record

    def open(self, record: JobRecord) -> None:
        """Store a job before it is created; of a known job, replace the token and open it again.

        The counters stay: who waits for a job says nothing about its progress.

        Raises
        ------
        ForeignLabelingJob
            When the name is another campaign's.
        """
        values = {name: value for name, value in _values(record).items() if name not in _KEPT_OR_REMOVED}
        assignments = [f"#{name} = :{name}" for name in values]
        # The first creation is the job's; a later token doesn't change when it was.
        assignments.append("#created_at = if_not_exists(#created_at, :waiting_since)")
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key(record.job_name),
                UpdateExpression=f"SET {', '.join(assignments)} REMOVE #status, #released_at",
                ConditionExpression="attribute_not_exists(job_name) OR #campaign_uri = :campaign_uri",
                ExpressionAttributeNames=_names(*values, "created_at", "status", "released_at"),
                ExpressionAttributeValues=_serialised(values),
            )
        except ClientError as error:
            if not _condition_failed(error):
                raise
            raise ForeignLabelingJob(
                f"The labelling job {record.job_name!r} belongs to another campaign than "
                f"{record.campaign_uri}. Choose another campaign name."
            ) from error

    def mark_released(self, record: JobRecord, status: str, now: datetime) -> str | None:
        """Note that the execution with the record's token was told.

        Returns
        -------
        The state before, which is "open" for one call alone; None when a newer token was stored meanwhile:
        another execution waits, and the job stays open.
        """
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=_key(record.job_name),
                UpdateExpression="SET #state = :state, #status = :status, #released_at = :released_at",
                ConditionExpression="#task_token = :task_token",
                ExpressionAttributeNames=_names("state", "status", "released_at", "task_token"),
                ExpressionAttributeValues=_serialised(
                    {
                        "state": RELEASED,
                        "status": status,
                        "released_at": now.isoformat(),
                        "task_token": record.task_token,
                    }
                ),
                ReturnValues="ALL_OLD",
            )
        except ClientError as error:
            if _condition_failed(error):
                return None
            raise
        return answer["Attributes"]["state"]["S"]

    def note_progress(self, record: JobRecord, counters: JobCounters, now: datetime) -> JobRecord:
        """Note an open job's counters and that they are so since now; the same ones again change nothing.

        Returns
        -------
        The record with what is known now.
        """
        if record.counters == counters:
            return record
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key(record.job_name),
                UpdateExpression="SET #counters = :counters, #counters_since = :now",
                ConditionExpression=(
                    "#state = :open AND (attribute_not_exists(#counters) OR #counters <> :counters)"
                ),
                ExpressionAttributeNames=_names("counters", "counters_since", "state"),
                ExpressionAttributeValues=_serialised(
                    {"counters": asdict(counters), "now": now.isoformat(), "open": OPEN}
                ),
            )
        except ClientError as error:
            # Another run noted the same just now, or the job was released: there is nothing left to note.
            if not _condition_failed(error):
                raise
        return replace(record, counters=counters, counters_since=now.isoformat())

    def open_records(self) -> Iterator[JobRecord]:
        """The open jobs, oldest first; from the index, which lags a moment behind."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=_BY_STATE,
            KeyConditionExpression="#state = :state",
            ExpressionAttributeNames=_names("state"),
            ExpressionAttributeValues=_serialised({"state": OPEN}),
        )
        for page in pages:
            for item in page["Items"]:
                yield _record(item)


def _key(job_name: str) -> dict[str, Any]:
    return {"job_name": {"S": job_name}}


def _names(*names: str) -> dict[str, str]:
    # All of them, because state, status and others are reserved words of DynamoDB.
    return {f"#{name}": name for name in names}


def _serialised(values: Mapping[str, Any]) -> dict[str, Any]:
    serialise = TypeSerializer().serialize
    return {f":{name}": serialise(value) for name, value in values.items()}


def _values(record: JobRecord) -> dict[str, Any]:
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {**values, "label_categories": list(record.label_categories)}


def _record(item: Mapping[str, Any]) -> JobRecord:
    deserialise = TypeDeserializer().deserialize
    names = {field.name for field in fields(JobRecord)}
    values = {name: deserialise(value) for name, value in item.items() if name in names}
    return JobRecord(
        **{
            **values,
            "round": int(values["round"]),
            "attempt": int(values["attempt"]),
            "label_categories": tuple(values["label_categories"]),
            "counters": _counters(values.get("counters")),
        }
    )


def _counters(document: Mapping[str, Any] | None) -> JobCounters | None:
    if document is None:
        return None
    return JobCounters(**{name: int(value) for name, value in document.items()})


def _condition_failed(error: ClientError) -> bool:
    return error.response["Error"].get("Code") == "ConditionalCheckFailedException"
