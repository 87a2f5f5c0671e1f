"""How audits begin once, and how a campaign waits for one: an item of the jobs table for each audit.

An event may begin an audit before its campaign asks for it, and the audit may end before, between or after.
The item is written before the execution is started, so that an end always finds it, and every change of it
is conditional: of the end and the token one sees the other, whichever comes first. The campaign is told
first and the item marked afterwards, so that a crash between the two repeats a harmless call.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import BotoCoreError, ClientError

from truthloop import aws
from truthloop.errors import TruthloopError
from truthloop.labeling.waiting import delivered
from truthloop.layout import AuditLayout
from truthloop.outcome import readable_reason

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_stepfunctions import SFNClient

AUDIT_FAILED = "AuditFailed"
"""The error that a campaign sees when its audit failed."""

# States of an item; none is "open", which is a labelling job's.
STARTED = "audit-started"
WAITING = "audit-waiting"
ENDED = "audit-ended"

SUCCEEDED = "SUCCEEDED"
FAILED = "FAILED"

_BY_STATE = "by-state"
_RUNNING = {"RUNNING", "PENDING_REDRIVE"}
# Each try is lost only to another call about the same audit, of which there are few.
_ATTEMPTS = 10
# Small numbers of result.json that the campaign's execution carries on.
_RESULT_KEYS = (
    "rows",
    "auto_rows",
    "audited",
    "relabeled",
    "expert",
    "unresolved",
    "unaudited",
    "revoked",
)


class AuditOutcome(StrEnum):
    """What became of a call about an audit."""

    STARTED = "started"
    """An execution was started, or found running."""
    STARTED_BEFORE = "started before"
    """An earlier call started it; a repeated event changes nothing."""
    TOLD = "told"
    """The campaign that waits was told how the audit ended."""
    NOBODY_WAITS = "nobody waits"
    """No campaign waits for the audit, or its token is used up."""
    RUNNING = "running"
    """The audit goes on."""
    NOTHING_TO_AUDIT = "nothing to audit"
    """The round has no label that could be audited."""


@dataclass(frozen=True)
class AuditRecord:
    """An audit in the jobs table, under `audit/<name>`.

    Attributes
    ----------
    audit_uri
        The folder of the audit.
    state
        "audit-started" when no campaign has asked for it, "audit-waiting" while one waits, "audit-ended".
    attempt
        From 1; the next follows one that failed.
    execution_arn
        Of the attempt; None until it is started.
    task_token
        Of the campaign that waits. A secret: whoever has it can resume the campaign.
    ended
        How the attempt ended: "SUCCEEDED" or "FAILED", None before.
    """

    audit_uri: str
    state: str
    attempt: int
    created_at: str
    execution_arn: str | None = None
    task_token: str | None = None
    ended: str | None = None

    @property
    def name(self) -> str:
        return AuditLayout.from_uri(self.audit_uri).name


@dataclass(frozen=True)
class AuditReconciliation:
    """What a run over the waiting audits did: outcomes by name, and errors of those that were left."""

    outcomes: dict[str, AuditOutcome] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        found = list(self.outcomes.values())
        return {
            "audits_running": found.count(AuditOutcome.RUNNING),
            "audits_told": found.count(AuditOutcome.TOLD),
        }


class AuditsTable:
    """Reads and writes the audits in the jobs table; every read but `waiting` sees all earlier writes."""

    def __init__(self, table: str, client: DynamoDBClient | None = None) -> None:
        self._table = table
        self._client = aws.dynamodb() if client is None else client

    def find(self, name: str) -> AuditRecord | None:
        item = self._client.get_item(TableName=self._table, Key=_key(name), ConsistentRead=True).get("Item")
        return None if item is None else _record(item)

    def create(self, record: AuditRecord) -> bool:
        """Store a new audit; False when there is one of its name."""
        return self._write(record, "attribute_not_exists(job_name)", {}, new_attempt=True)

    def replace(self, known: AuditRecord, record: AuditRecord) -> bool:
        """Store what became of an audit; False when it isn't any more as it was known."""
        conditions = {"known_state": known.state, "known_attempt": known.attempt}
        condition = "#state = :known_state AND #attempt = :known_attempt AND "
        if known.task_token is None:
            condition += "attribute_not_exists(#task_token)"
        else:
            condition += "#task_token = :known_token"
            conditions["known_token"] = known.task_token
        return self._write(record, condition, conditions, new_attempt=record.attempt != known.attempt)

    def note_execution(self, record: AuditRecord, execution_arn: str) -> None:
        """Note the execution of an attempt; of a later attempt nothing is known here."""
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key(record.name),
                UpdateExpression="SET #execution_arn = :execution_arn",
                ConditionExpression="#attempt = :attempt",
                ExpressionAttributeNames={"#execution_arn": "execution_arn", "#attempt": "attempt"},
                ExpressionAttributeValues=_serialised(
                    {"execution_arn": execution_arn, "attempt": record.attempt}
                ),
            )
        except ClientError as error:
            if not _condition_failed(error):
                raise

    def waiting(self) -> Iterator[AuditRecord]:
        """The audits that campaigns wait for, oldest first; from the index, which lags a moment behind."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=_BY_STATE,
            KeyConditionExpression="#state = :state",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues=_serialised({"state": WAITING}),
        )
        for page in pages:
            for item in page["Items"]:
                yield _record(item)

    def _write(
        self, record: AuditRecord, condition: str, conditions: Mapping[str, Any], new_attempt: bool
    ) -> bool:
        """Write a record but for its execution, which `note_execution` keeps and a new attempt forgets."""
        values = asdict(record)
        if not new_attempt:
            del values["execution_arn"]
        kept = {name: value for name, value in values.items() if value is not None}
        removed = [name for name, value in values.items() if value is None]
        expression = "SET " + ", ".join(f"#{name} = :{name}" for name in kept)
        if removed:
            expression += " REMOVE " + ", ".join(f"#{name}" for name in removed)
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key(record.name),
                UpdateExpression=expression,
                ConditionExpression=condition,
                ExpressionAttributeNames={f"#{name}": name for name in values},
                ExpressionAttributeValues=_serialised({**kept, **conditions}),
            )
        except ClientError as error:
            if _condition_failed(error):
                return False
            raise
        return True


class AuditWaiting:
    """Starts audits, tells campaigns how theirs ended, and finds those whose end was lost."""

    def __init__(
        self,
        audits: AuditsTable,
        state_machine_arn: str | None = None,
        states: SFNClient | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`state_machine_arn` is the audits'; whoever starts none needs none."""
        self._audits = audits
        self._state_machine_arn = state_machine_arn
        self._states = aws.stepfunctions() if states is None else states
        self._now = now

    def start(self, layout: AuditLayout) -> AuditOutcome:
        """Start an audit because an event asks for it; one that was ever started is left alone."""
        record = AuditRecord(layout.uri, STARTED, 1, self._now().isoformat())
        if not self._audits.create(record):
            known = self._audits.find(layout.name)
            # Only the campaign tries again what has failed.
            if known is None or known.execution_arn or known.attempt > 1 or known.state == ENDED:
                return AuditOutcome.STARTED_BEFORE
            record = known
        self._start(record)
        return AuditOutcome.STARTED

    def wait(self, layout: AuditLayout, task_token: str, result: Mapping[str, Any] | None) -> AuditOutcome:
        """Have a campaign wait for its audit, which is started unless it was.

        One that has ended well is told at once. One that failed is started again: that is what a campaign
        that goes on asks for.

        Parameters
        ----------
        result
            The audit's result.json, None while there is none.
        """
        for _ in range(_ATTEMPTS):
            known = self._audits.find(layout.name)
            if known is None:
                record = AuditRecord(layout.uri, WAITING, 1, self._now().isoformat(), task_token=task_token)
                stored = self._audits.create(record)
            elif known.state == ENDED and known.ended == SUCCEEDED:
                return self._tell_success(layout.uri, task_token, result)
            elif known.state == ENDED:
                record = AuditRecord(
                    layout.uri, WAITING, known.attempt + 1, known.created_at, task_token=task_token
                )
                stored = self._audits.replace(known, record)
            else:
                record = replace(known, state=WAITING, task_token=task_token)
                stored = self._audits.replace(known, record)
            if stored:
                if record.execution_arn is not None:
                    return AuditOutcome.RUNNING
                self._start(record)
                return AuditOutcome.STARTED
        raise _contended(layout)

    def skip(self, task_token: str) -> AuditOutcome:
        """Resume a campaign whose round has nothing to audit."""
        told = self._tell_success(None, task_token, None)
        return AuditOutcome.NOTHING_TO_AUDIT if told is AuditOutcome.TOLD else told

    def end(
        self,
        layout: AuditLayout,
        error: Mapping[str, Any] | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> AuditOutcome:
        """Note that an audit has ended, and tell the campaign that waits for it; harmless to repeat.

        Parameters
        ----------
        error
            {"Error", "Cause"} when it failed.
        result
            Its result.json, for the small numbers in it.
        """
        for _ in range(_ATTEMPTS):
            known = self._audits.find(layout.name)
            if known is None or known.state == ENDED:
                return AuditOutcome.NOBODY_WAITS
            outcome = AuditOutcome.NOBODY_WAITS
            if known.task_token is not None:
                if error is None:
                    outcome = self._tell_success(layout.uri, known.task_token, result)
                else:
                    outcome = self._tell_failure(layout, known.task_token, error)
            ended = SUCCEEDED if error is None else FAILED
            if self._audits.replace(known, replace(known, state=ENDED, ended=ended, task_token=None)):
                return outcome
            # A campaign asked for the audit meanwhile, or asked again: it has to be told as well.
        raise _contended(layout)

    def reconcile(self) -> AuditReconciliation:
        """Look at every audit that a campaign waits for: tell of those whose end was lost.

        A campaign whose audit goes on gets a heartbeat. An error with one audit doesn't keep the others from
        their turn.
        """
        result = AuditReconciliation()
        for listed in list(self._audits.waiting()):
            try:
                result.outcomes[listed.name] = self._attend_to(listed)
            except (TruthloopError, ClientError, BotoCoreError) as error:
                result.errors[f"audit/{listed.name}"] = error
        return result

    def _attend_to(self, listed: AuditRecord) -> AuditOutcome:
        known = self._audits.find(listed.name)
        if known is None or known.state != WAITING or known.task_token is None:
            return AuditOutcome.NOBODY_WAITS
        error = self._failure(known.execution_arn) if known.execution_arn else _GOES_ON
        if error is not _GOES_ON:
            return self.end(AuditLayout.from_uri(known.audit_uri), error)
        alive = delivered(self._states.send_task_heartbeat, taskToken=known.task_token)
        return AuditOutcome.RUNNING if alive else AuditOutcome.NOBODY_WAITS

    def _failure(self, execution_arn: str) -> Mapping[str, Any] | None:
        """Why an execution failed; `_GOES_ON` when it has not ended, None when it ended well."""
        try:
            answer = self._states.describe_execution(executionArn=execution_arn)
        except ClientError as error:
            if error.response["Error"].get("Code") != "ExecutionDoesNotExist":
                raise
            return {"Error": "ExecutionDoesNotExist", "Cause": f"{execution_arn} is gone."}
        status = answer["status"]
        if status in _RUNNING:
            return _GOES_ON
        if status == SUCCEEDED:
            return None
        return {"Error": answer.get("error") or status, "Cause": answer.get("cause") or ""}

    def _start(self, record: AuditRecord) -> None:
        """Start the attempt's execution, or find it: its name is the attempt's."""
        if self._state_machine_arn is None:
            raise TypeError("no state machine: pass the audits' to whoever starts them")
        name = f"{record.name}-{record.attempt}"
        try:
            execution_arn = self._states.start_execution(
                stateMachineArn=self._state_machine_arn,
                name=name,
                # The same text every time, so that a repetition finds the execution that runs.
                input=json.dumps({"audit_uri": record.audit_uri, "labeling": None}),
            )["executionArn"]
        except ClientError as error:
            if error.response["Error"].get("Code") != "ExecutionAlreadyExists":
                raise
            execution_arn = self._state_machine_arn.replace(":stateMachine:", ":execution:") + f":{name}"
        self._audits.note_execution(record, execution_arn)

    def _tell_success(
        self, audit_uri: str | None, task_token: str, result: Mapping[str, Any] | None
    ) -> AuditOutcome:
        numbers = None if result is None else {key: result.get(key) for key in _RESULT_KEYS}
        told = delivered(
            self._states.send_task_success,
            taskToken=task_token,
            output=json.dumps({"audit_uri": audit_uri, "result": numbers}),
        )
        return AuditOutcome.TOLD if told else AuditOutcome.NOBODY_WAITS

    def _tell_failure(self, layout: AuditLayout, task_token: str, error: Mapping[str, Any]) -> AuditOutcome:
        told = delivered(
            self._states.send_task_failure,
            taskToken=task_token,
            error=AUDIT_FAILED,
            cause=f"{layout.name}: {readable_reason(error)}",
        )
        return AuditOutcome.TOLD if told else AuditOutcome.NOBODY_WAITS


_GOES_ON: Mapping[str, Any] = {}


class AuditContended(TruthloopError):
    """Other calls kept changing an audit's item."""


def _contended(layout: AuditLayout) -> AuditContended:
    return AuditContended(
        f"The audit {layout.name} was changed by others {_ATTEMPTS} times in a row. Call again; if that goes "
        "on, look for executions that repeat themselves."
    )


def _key(name: str) -> dict[str, Any]:
    return {"job_name": {"S": f"audit/{name}"}}


def _serialised(values: Mapping[str, Any]) -> dict[str, Any]:
    serialise = TypeSerializer().serialize
    return {f":{name}": serialise(value) for name, value in values.items()}


def _record(item: Mapping[str, Any]) -> AuditRecord:
    deserialise = TypeDeserializer().deserialize
    names = {each.name for each in fields(AuditRecord)}
    values = {name: deserialise(value) for name, value in item.items() if name in names}
    return AuditRecord(**{**values, "attempt": int(values["attempt"])})


def _condition_failed(error: ClientError) -> bool:
    return error.response["Error"].get("Code") == "ConditionalCheckFailedException"
