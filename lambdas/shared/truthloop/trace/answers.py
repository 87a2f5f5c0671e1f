"""The gateway to the answers table: one record per answer, whatever order its parts arrive in, and how often.

What is known of an answer comes with events that may come twice, late, or in any order. So each file writes
items of its own, which say the same when they are written again, nothing reads before it writes, and the
parts are joined when they are read:

- (`<job>#<index>`, `<pseudonym>`) is an answer,
- (`<job>#<index>`, `evidence#<pseudonym>`) what consolidation says of it,
- (`<job>#<index>`, `verdict#<job>#<index>`) the verdict on the label, which several people made,
- (`activity#<job>`, `<pseudonym>#<event>#<time>`) a task that was declined or returned.

All have `campaign` and `submitted_at`, so the index of a campaign gives them all.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError

from truthloop import aws
from truthloop.errors import TruthloopError
from truthloop.labeling.jobs import VERDICTS

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NO_CAMPAIGN = "-"
"""The campaign of jobs that belong to none."""

ACCEPTED = "accepted"
CHANGED = "changed"
"""What became of a suggestion that the worker got."""

DECLINED = "declined"
RETURNED = "returned"

_BY_CAMPAIGN = "by-campaign"
_BY_WORKER = "by-worker"
_VERDICT = "verdict#"
_EVIDENCE = "evidence#"
_ACTIVITY = "activity#"
# Evidence has no time of its own, but the index wants one.
_NO_TIME = "-"
# BatchWriteItem takes so many items, and may leave some for another call.
_BATCH = 25
_BATCH_ATTEMPTS = 10
_BATCH_PAUSE_SECONDS = 0.05
# More decimals would be noise, and DynamoDB takes no binary floating point.
_DECIMALS = 6


class TableOverloaded(TruthloopError):
    """The table refuses more items than it is given time for."""


@dataclass(frozen=True)
class Verdict:
    """What auditors said of a label.

    Attributes
    ----------
    decision
        "accept", "reject" or "fix".
    reason
        The reason's code, empty when there is none.
    at
        ISO 8601.
    purpose, why
        The audit step's purpose, and why the label was chosen.
    """

    decision: str
    reason: str
    at: str
    purpose: str = ""
    why: str = ""


@dataclass(frozen=True)
class Answer:
    """One answer of one worker to one object.

    Attributes
    ----------
    job, object
        The labelling job, and the object's index in its manifest.
    worker
        The pseudonym.
    campaign, round, purpose
        Those of the job; "-", None and "label" for a job that belongs to no campaign.
    submitted_at, accepted_at
        YYYY-MM-DDTHH:MM:SS.mmmZ, UTC. Accepted is None when it isn't known, like what follows.
    seconds
        Time actively worked, as the labelling service says, without pauses.
    wall_seconds
        From acceptance to submission.
    active_ms
        Milliseconds in which something happened on the page, as the page says.
    answer_sha256
        Digest of the answer, the page's timing left out.
    suggestion
        "accepted" or "changed" when the worker was shown a suggestion.
    source
        URI of the file that the answer was read from.
    agreement, gold
        Agreement with the consolidated label, and score against a known label; 0 to 1.
    """

    job: str
    object: str
    worker: str
    campaign: str
    purpose: str
    submitted_at: str
    answer_sha256: str
    source: str
    iteration: int
    round: int | None = None
    accepted_at: str | None = None
    seconds: float | None = None
    wall_seconds: float | None = None
    active_ms: float | None = None
    suggestion: str | None = None
    agreement: float | None = None
    gold: float | None = None
    verdict: Verdict | None = None

    @property
    def answer_of(self) -> str:
        return answer_of(self.job, self.object)

    @property
    def is_verdict(self) -> bool:
        """Whether it judges a label rather than giving one."""
        return self.purpose in VERDICTS

    @property
    def worked_seconds(self) -> float | None:
        """Time worked: what the labelling service says, else from acceptance to submission."""
        return self.wall_seconds if self.seconds is None else self.seconds


@dataclass(frozen=True)
class Evidence:
    """What consolidation says of an answer: agreement with the label, score against a known label; 0 to 1."""

    job: str
    object: str
    worker: str
    campaign: str
    agreement: float | None = None
    gold: float | None = None


@dataclass(frozen=True)
class Activity:
    """A task that a worker took and gave back without an answer: "declined" or "returned"."""

    job: str
    worker: str
    event: str
    at: str
    campaign: str
    round: int | None = None
    purpose: str = ""


@dataclass(frozen=True)
class Records:
    """Answers with their verdicts, and what was given back."""

    answers: list[Answer] = field(default_factory=list)
    activities: list[Activity] = field(default_factory=list)


def answer_of(job: str, index: str) -> str:
    """The first key of an answer's record."""
    return f"{job}#{index}"


# What other events write, and what is a key or made of one.
_SCORES = ("agreement", "gold")
_NOT_WRITTEN = {"worker", "verdict", *_SCORES}
_ANSWER_NAMES = tuple(each.name for each in fields(Answer) if each.name not in _NOT_WRITTEN)
_NUMBERS = {"round", "iteration", "seconds", "wall_seconds", "active_ms", "agreement", "gold"}


class AnswersTable:
    """Writes and reads the records; writing the same thing again changes nothing."""

    def __init__(self, table: str, client: DynamoDBClient | None = None) -> None:
        self._table = table
        self._client = aws.dynamodb() if client is None else client

    def record(self, answer: Answer) -> bool:
        """Record one answer; of two answers of one worker to one object the later stays.

        Agreement, gold and verdict aren't written: they come from elsewhere.

        Returns
        -------
        False when a later answer is there already.
        """
        return self._update(
            answer.answer_of,
            answer.worker,
            _answer_values(answer),
            "attribute_not_exists(#submitted_at) OR #submitted_at <= :submitted_at",
        )

    def record_many(self, entries: Iterable[Answer | Evidence]) -> None:
        """Record answers and evidence, 25 at a time; of two on one answer the later stays.

        What is in the table already is replaced whatever its time: for single answers see `record`.

        Raises
        ------
        TableOverloaded
            When the table still refuses some of them after several attempts.
        """
        items: dict[tuple[str, str], dict[str, Any]] = {}
        for entry in entries:
            item = _item(entry)
            key = item["answer_of"]["S"], item["worker"]["S"]
            if key not in items or items[key]["submitted_at"]["S"] <= item["submitted_at"]["S"]:
                items[key] = item
        puts: list[Any] = [{"PutRequest": {"Item": item}} for item in items.values()]
        for start in range(0, len(puts), _BATCH):
            self._put(puts[start : start + _BATCH])

    def record_verdict(
        self, job: str, index: str, verdict: Verdict, campaign: str, round_number: int | None
    ) -> bool:
        """Note what auditors said of the label that a job gave an object.

        Returns
        -------
        False when a later verdict is there already.
        """
        name = answer_of(job, index)
        values: dict[str, Any] = {
            "campaign": campaign,
            "job": job,
            "object": index,
            "submitted_at": verdict.at,
            **{each.name: getattr(verdict, each.name) for each in fields(Verdict) if each.name != "at"},
        }
        if round_number is not None:
            values["round"] = round_number
        return self._update(
            name,
            f"{_VERDICT}{name}",
            values,
            "attribute_not_exists(#submitted_at) OR #submitted_at <= :submitted_at",
        )

    def record_activity(self, activity: Activity) -> None:
        values: dict[str, Any] = {
            "campaign": activity.campaign,
            "job": activity.job,
            "event": activity.event,
            "submitted_at": activity.at,
            "purpose": activity.purpose,
            "person": activity.worker,
        }
        if activity.round is not None:
            values["round"] = activity.round
        key = f"{activity.worker}#{activity.event}#{activity.at}"
        self._update(f"{_ACTIVITY}{activity.job}", key, values)

    def of_object(self, job: str, index: str) -> list[Answer]:
        """All answers to one object of one job, in the order of their submission."""
        items = self._query("answer_of", answer_of(job, index), index=None)
        return sorted(_joined(items).answers, key=lambda each: (each.submitted_at, each.worker))

    def of_campaign(self, campaign: str) -> Records:
        """All records of a campaign, or of `NO_CAMPAIGN`, in the order of their times."""
        return _joined(self._query("campaign", campaign, _BY_CAMPAIGN))

    def of_worker(self, worker: str) -> Iterator[Answer]:
        """A worker's answers, oldest first, without verdicts; from the index, which lags a moment behind."""
        return (_answer(item) for item in self._query("worker", worker, _BY_WORKER))

    def last_answer_at(self, worker: str) -> str | None:
        """When a worker submitted the last answer; None without any."""
        answer = self._client.query(
            TableName=self._table,
            IndexName=_BY_WORKER,
            KeyConditionExpression="worker = :worker",
            ExpressionAttributeValues={":worker": {"S": worker}},
            ScanIndexForward=False,
            Limit=1,
        )
        return answer["Items"][0]["submitted_at"]["S"] if answer["Items"] else None

    def _put(self, requests: list[Any]) -> None:
        for attempt in range(_BATCH_ATTEMPTS):
            if attempt:
                time.sleep(_BATCH_PAUSE_SECONDS * 2**attempt * random.random())  # noqa: S311 (no secret)
            answer = self._client.batch_write_item(RequestItems={self._table: requests})
            requests = list(answer.get("UnprocessedItems", {}).get(self._table, []))
            if not requests:
                return
        raise TableOverloaded(
            f"The table {self._table} still refuses {len(requests)} items after {_BATCH_ATTEMPTS} attempts. "
            "Wait a moment, then repeat: what is there already does no harm."
        )

    def _update(
        self, name: str, worker: str, values: Mapping[str, Any], condition: str | None = None
    ) -> bool:
        options: dict[str, Any] = {} if condition is None else {"ConditionExpression": condition}
        names = tuple(values)
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"answer_of": {"S": name}, "worker": {"S": worker}},
                UpdateExpression=_assignment(names),
                ExpressionAttributeNames=_placeholders(names),
                ExpressionAttributeValues={f":{each}": _value(each, values[each]) for each in names},
                **options,
            )
        except ClientError as error:
            if error.response["Error"].get("Code") != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def _query(self, key: str, value: str, index: str | None) -> Iterator[Mapping[str, Any]]:
        # An index has no consistent reads.
        where: dict[str, Any] = {"ConsistentRead": True} if index is None else {"IndexName": index}
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="#key = :value",
            ExpressionAttributeNames={"#key": key},
            ExpressionAttributeValues={":value": {"S": value}},
            **where,
        )
        for page in pages:
            yield from page["Items"]


def _answer_values(answer: Answer) -> dict[str, Any]:
    return {name: value for name in _ANSWER_NAMES if (value := getattr(answer, name)) is not None}


def _item(entry: Answer | Evidence) -> dict[str, Any]:
    """The whole item of an answer, or of what consolidation says of one."""
    if isinstance(entry, Answer):
        worker, values = entry.worker, _answer_values(entry)
    else:
        worker = f"{_EVIDENCE}{entry.worker}"
        values = {
            "campaign": entry.campaign,
            "submitted_at": _NO_TIME,
            "person": entry.worker,
            **{name: score for name in _SCORES if (score := getattr(entry, name)) is not None},
        }
    return {
        "answer_of": {"S": answer_of(entry.job, entry.object)},
        "worker": {"S": worker},
        **{name: _value(name, value) for name, value in values.items()},
    }


@cache
def _assignment(names: tuple[str, ...]) -> str:
    return f"SET {', '.join(f'#{name} = :{name}' for name in names)}"


@cache
def _placeholders(names: tuple[str, ...]) -> dict[str, str]:
    # All of them, because source, round and others are reserved words of DynamoDB.
    return {f"#{name}": name for name in names}


def _value(name: str, value: Any) -> Any:
    if name in _NUMBERS:
        return {"N": str(value) if isinstance(value, int) else f"{value:.{_DECIMALS}f}"}
    return {"S": value}


_deserialise = TypeDeserializer().deserialize


def _joined(items: Iterable[Mapping[str, Any]]) -> Records:
    """Answers with all that is known of them; what is known of answers that didn't arrive is left out."""
    found: list[Mapping[str, Any]] = []
    activities: list[Activity] = []
    verdicts: dict[str, Verdict] = {}
    scores: dict[tuple[str, str], dict[str, float]] = {}
    for item in items:
        name, worker = item["answer_of"]["S"], item["worker"]["S"]
        if name.startswith(_ACTIVITY):
            activities.append(_activity(item))
        elif worker.startswith(_VERDICT):
            plain = _plain(item)
            verdicts[name] = Verdict(
                plain["decision"], plain["reason"], plain["submitted_at"], plain["purpose"], plain["why"]
            )
        elif worker.startswith(_EVIDENCE):
            plain = _plain(item)
            scores[name, plain["person"]] = {each: plain[each] for each in _SCORES if each in plain}
        else:
            found.append(item)
    answers = []
    for item in found:
        name, worker = item["answer_of"]["S"], item["worker"]["S"]
        answers.append(_answer(item, verdict=verdicts.get(name), **scores.get((name, worker), {})))
    return Records(answers, activities)


def _answer(item: Mapping[str, Any], **more: Any) -> Answer:
    plain = _plain(item)
    names = ("worker", *_ANSWER_NAMES)
    return Answer(**{name: plain[name] for name in names if name in plain}, **more)


def _activity(item: Mapping[str, Any]) -> Activity:
    plain = _plain(item)
    return Activity(
        job=plain["job"],
        worker=plain["person"],
        event=plain["event"],
        at=plain["submitted_at"],
        campaign=plain["campaign"],
        round=plain.get("round"),
        purpose=plain["purpose"],
    )


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {name: _deserialise(value) for name, value in item.items()}
    for name in _NUMBERS & plain.keys():
        number = plain[name]
        plain[name] = int(number) if name in ("round", "iteration") else float(number)
    return plain
