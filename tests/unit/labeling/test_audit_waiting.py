from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from truthloop.labeling.audit_waiting import (
    ENDED,
    STARTED,
    WAITING,
    AuditOutcome,
    AuditRecord,
    AuditsTable,
    AuditWaiting,
)
from truthloop.labeling.jobs import JobsTable
from truthloop.layout import AuditLayout
from truthloop.names import audit_name
from unit.labeling.audit_kit import MACHINE_ARN, AuditExecutions, arn_of
from unit.labeling.kit import BUCKET, LAYOUT, NOW, TABLE, client_error

AUDIT = AuditLayout(BUCKET, LAYOUT.campaign, audit_name(LAYOUT, 3))
FIRST, SECOND = f"{AUDIT.name}-1", f"{AUDIT.name}-2"
RESULT = {
    "rows": 20,
    "auto_rows": 4,
    "audited": 9,
    "relabeled": 2,
    "expert": 1,
    "unresolved": 0,
    "unaudited": 1,
    "revoked": 3,
    "reasons": {"missing": 2},
}
NUMBERS = {key: value for key, value in RESULT.items() if key != "reasons"}
TOLD = {"audit_uri": AUDIT.uri, "result": NUMBERS}
FAILURE = {"Error": "ObjectNotFound", "Cause": "there is no such object"}


@pytest.fixture
def audits(jobs: JobsTable) -> AuditsTable:
    return AuditsTable(TABLE)


@pytest.fixture
def states() -> AuditExecutions:
    return AuditExecutions()


@pytest.fixture
def waiting(audits: AuditsTable, states: AuditExecutions) -> AuditWaiting:
    return AuditWaiting(audits, MACHINE_ARN, states, lambda: NOW)  # type: ignore[arg-type]


def known(audits: AuditsTable) -> AuditRecord:
    record = audits.find(AUDIT.name)
    assert record is not None
    return record


# ---- the event


def test_the_same_event_three_times_makes_one_execution(
    waiting: AuditWaiting, audits: AuditsTable, states: AuditExecutions
) -> None:
    outcomes = [waiting.start(AUDIT) for _ in range(3)]
    assert outcomes == [AuditOutcome.STARTED, AuditOutcome.STARTED_BEFORE, AuditOutcome.STARTED_BEFORE]
    assert states.inputs == {FIRST: {"audit_uri": AUDIT.uri, "labeling": None}}
    assert known(audits) == AuditRecord(AUDIT.uri, STARTED, 1, NOW.isoformat(), arn_of(FIRST))


def test_two_events_at_once_make_one_execution(waiting: AuditWaiting, states: AuditExecutions) -> None:
    states.on_start = lambda: _once(states, lambda: waiting.start(AUDIT))
    waiting.start(AUDIT)
    assert list(states.inputs) == [FIRST]


def _once(states: AuditExecutions, call: Callable[[], object]) -> None:
    states.on_start = lambda: None
    call()


def test_the_execution_is_started_after_its_item_is_there(
    waiting: AuditWaiting, audits: AuditsTable, states: AuditExecutions
) -> None:
    found = []
    states.on_start = lambda: found.append(audits.find(AUDIT.name))
    waiting.start(AUDIT)
    assert found == [AuditRecord(AUDIT.uri, STARTED, 1, NOW.isoformat())]


@pytest.mark.parametrize("cut", ["start_execution", "note_execution"])
def test_an_event_that_was_cut_off_between_its_writes_is_made_good_by_its_repetition(
    waiting: AuditWaiting,
    audits: AuditsTable,
    states: AuditExecutions,
    monkeypatch: pytest.MonkeyPatch,
    cut: str,
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise client_error("ThrottlingException", cut)

    with monkeypatch.context() as patch:
        patch.setattr(states if cut == "start_execution" else audits, cut, refuse)
        with pytest.raises(ClientError, match="ThrottlingException"):
            waiting.start(AUDIT)
    assert waiting.start(AUDIT) is AuditOutcome.STARTED
    assert list(states.inputs) == [FIRST]
    assert known(audits).execution_arn == arn_of(FIRST)


def test_an_audit_that_failed_is_never_started_again_by_an_event(
    waiting: AuditWaiting, audits: AuditsTable, states: AuditExecutions
) -> None:
    waiting.start(AUDIT)
    waiting.end(AUDIT, FAILURE)
    states.statuses[FIRST] = "FAILED"
    assert waiting.start(AUDIT) is AuditOutcome.STARTED_BEFORE
    assert list(states.inputs) == [FIRST]
    assert known(audits).state == ENDED


def test_an_event_leaves_a_campaigns_later_attempt_alone(
    waiting: AuditWaiting, states: AuditExecutions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> Any:
        raise client_error("ThrottlingException", "StartExecution")

    waiting.start(AUDIT)
    waiting.end(AUDIT, FAILURE)
    with monkeypatch.context() as patch:
        patch.setattr(states, "start_execution", refuse)
        with pytest.raises(ClientError):
            waiting.wait(AUDIT, "token-1", None)
    assert waiting.start(AUDIT) is AuditOutcome.STARTED_BEFORE
    assert list(states.inputs) == [FIRST]


def test_an_event_after_the_end_of_an_execution_that_was_never_noted_changes_nothing(
    waiting: AuditWaiting, audits: AuditsTable, states: AuditExecutions, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(audits, "note_execution", lambda *_: None)
        waiting.start(AUDIT)
    waiting.end(AUDIT, None, RESULT)
    states.statuses[FIRST] = "SUCCEEDED"
    assert waiting.start(AUDIT) is AuditOutcome.STARTED_BEFORE
    assert known(audits).execution_arn is None


def test_an_execution_that_ended_before_it_was_noted_is_found_by_its_name(
    waiting: AuditWaiting, audits: AuditsTable, states: AuditExecutions, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(audits, "note_execution", lambda *_: None)
        waiting.start(AUDIT)
    states.statuses[FIRST] = "SUCCEEDED"
    assert waiting.start(AUDIT) is AuditOutcome.STARTED
    assert known(audits).execution_arn == arn_of(FIRST)
    assert list(states.inputs) == [FIRST]


# ---- the campaign


def test_a_campaign_whose_event_was_lost_starts_the_audit_itself(
    waiting: AuditWaiting, audits: AuditsTable, states: AuditExecutions
) -> None:
    assert waiting.wait(AUDIT, "token-1", None) is AuditOutcome.STARTED
    assert list(states.inputs) == [FIRST]
    assert known(audits) == AuditRecord(
        AUDIT.uri, WAITING, 1, NOW.isoformat(), arn_of(FIRST), task_token="token-1"
    )
    assert waiting.end(AUDIT, None, RESULT) is AuditOutcome.TOLD
    assert states.successes == {"token-1": TOLD}
    assert known(audits).state == ENDED
    assert known(audits).task_token is None


@pytest.mark.parametrize("event_first", [True, False])
def test_event_and_campaign_make_one_execution_whichever_comes_first(
    waiting: AuditWaiting, states: AuditExecutions, event_first: bool
) -> None:
    calls: list[Callable[[], AuditOutcome]] = [
        lambda: waiting.start(AUDIT),
        lambda: waiting.wait(AUDIT, "token-1", None),
    ]
    first, second = calls if event_first else calls[::-1]
    assert first() is AuditOutcome.STARTED
    assert second() is (AuditOutcome.RUNNING if event_first else AuditOutcome.STARTED_BEFORE)
    assert list(states.inputs) == [FIRST]
    waiting.end(AUDIT, None, RESULT)
    assert states.successes == {"token-1": TOLD}


def test_an_audit_that_was_over_before_its_campaign_asked_is_told_at_once(
    waiting: AuditWaiting, states: AuditExecutions
) -> None:
    waiting.start(AUDIT)
    assert waiting.end(AUDIT, None, RESULT) is AuditOutcome.NOBODY_WAITS
    assert waiting.wait(AUDIT, "token-1", RESULT) is AuditOutcome.TOLD
    assert states.successes == {"token-1": TOLD}
    assert list(states.inputs) == [FIRST]
    # A campaign that is resumed later asks again.
    waiting.wait(AUDIT, "token-2", RESULT)
    assert states.successes["token-2"] == TOLD


def test_a_repeated_state_waits_with_its_newer_token(waiting: AuditWaiting, states: AuditExecutions) -> None:
    waiting.wait(AUDIT, "token-1", None)
    assert waiting.wait(AUDIT, "token-2", None) is AuditOutcome.RUNNING
    waiting.end(AUDIT, None, RESULT)
    assert list(states.successes) == ["token-2"]
    assert list(states.inputs) == [FIRST]


def test_a_failed_audit_fails_its_campaign_and_the_next_campaign_starts_it_again(
    waiting: AuditWaiting, audits: AuditsTable, states: AuditExecutions
) -> None:
    waiting.wait(AUDIT, "token-1", None)
    assert waiting.end(AUDIT, FAILURE) is AuditOutcome.TOLD
    states.statuses[FIRST] = "FAILED"
    assert states.failures == {
        "token-1": ("AuditFailed", f"{AUDIT.name}: ObjectNotFound: there is no such object")
    }
    assert waiting.wait(AUDIT, "token-2", None) is AuditOutcome.STARTED
    assert list(states.inputs) == [FIRST, SECOND]
    assert known(audits).attempt == 2
    assert known(audits).execution_arn == arn_of(SECOND)
    # An event that comes again changes nothing, and the end is the second attempt's.
    assert waiting.start(AUDIT) is AuditOutcome.STARTED_BEFORE
    waiting.end(AUDIT, None, RESULT)
    assert list(states.successes) == ["token-2"]
    assert list(states.inputs) == [FIRST, SECOND]


def test_an_audit_that_failed_before_its_campaign_asked_is_started_again_by_it(
    waiting: AuditWaiting, states: AuditExecutions
) -> None:
    waiting.start(AUDIT)
    waiting.end(AUDIT, FAILURE)
    assert waiting.wait(AUDIT, "token-1", None) is AuditOutcome.STARTED
    assert list(states.inputs) == [FIRST, SECOND]
    assert states.failures == {}


@pytest.mark.parametrize("cut", ["start_execution", "note_execution"])
def test_a_campaign_that_was_cut_off_between_its_writes_goes_on_when_it_asks_again(
    waiting: AuditWaiting,
    audits: AuditsTable,
    states: AuditExecutions,
    monkeypatch: pytest.MonkeyPatch,
    cut: str,
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise client_error("ThrottlingException", cut)

    with monkeypatch.context() as patch:
        patch.setattr(states if cut == "start_execution" else audits, cut, refuse)
        with pytest.raises(ClientError):
            waiting.wait(AUDIT, "token-1", None)
    assert waiting.wait(AUDIT, "token-2", None) is AuditOutcome.STARTED
    waiting.end(AUDIT, None, RESULT)
    assert list(states.inputs) == [FIRST]
    assert states.successes == {"token-2": TOLD}


def test_a_round_with_nothing_to_audit_goes_on_at_once(
    waiting: AuditWaiting, audits: AuditsTable, states: AuditExecutions
) -> None:
    assert waiting.skip("token-1") is AuditOutcome.NOTHING_TO_AUDIT
    assert states.successes == {"token-1": {"audit_uri": None, "result": None}}
    assert waiting.skip("token-1") is AuditOutcome.NOBODY_WAITS
    assert audits.find(AUDIT.name) is None
    assert states.inputs == {}


# ---- the end


def test_an_end_that_comes_twice_tells_once(waiting: AuditWaiting, states: AuditExecutions) -> None:
    waiting.wait(AUDIT, "token-1", None)
    told = [waiting.end(AUDIT, None, RESULT) for _ in range(2)]
    assert told == [AuditOutcome.TOLD, AuditOutcome.NOBODY_WAITS]
    assert waiting.end(AUDIT, FAILURE) is AuditOutcome.NOBODY_WAITS
    assert states.failures == {}


def test_an_end_that_was_cut_off_after_telling_is_repeated_without_harm(
    waiting: AuditWaiting, audits: AuditsTable, states: AuditExecutions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise client_error("ThrottlingException", "UpdateItem")

    waiting.wait(AUDIT, "token-1", None)
    with monkeypatch.context() as patch:
        patch.setattr(audits, "replace", refuse)
        with pytest.raises(ClientError):
            waiting.end(AUDIT, None, RESULT)
    assert states.successes == {"token-1": TOLD}
    assert waiting.end(AUDIT, None, RESULT) is AuditOutcome.NOBODY_WAITS
    assert known(audits).state == ENDED


def test_a_token_that_is_stored_while_the_end_is_noted_is_told_too(
    waiting: AuditWaiting, audits: AuditsTable, states: AuditExecutions, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting.start(AUDIT)
    replace, interrupted = audits.replace, []

    def after_another(*arguments: Any) -> bool:
        if not interrupted:
            interrupted.append(True)
            assert waiting.wait(AUDIT, "token-1", None) is AuditOutcome.RUNNING
        return replace(*arguments)

    monkeypatch.setattr(audits, "replace", after_another)
    assert waiting.end(AUDIT, None, RESULT) is AuditOutcome.TOLD
    assert states.successes == {"token-1": TOLD}
    assert known(audits).state == ENDED


def test_an_end_that_comes_while_the_token_is_stored_is_not_lost(
    waiting: AuditWaiting, audits: AuditsTable, states: AuditExecutions, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting.start(AUDIT)
    replace, interrupted = audits.replace, []

    def after_the_end(*arguments: Any) -> bool:
        if not interrupted:
            interrupted.append(True)
            assert waiting.end(AUDIT, None, RESULT) is AuditOutcome.NOBODY_WAITS
        return replace(*arguments)

    monkeypatch.setattr(audits, "replace", after_the_end)
    assert waiting.wait(AUDIT, "token-1", RESULT) is AuditOutcome.TOLD
    assert states.successes == {"token-1": TOLD}


def test_a_campaign_that_replaces_its_token_while_it_is_told_is_told_again(
    waiting: AuditWaiting, states: AuditExecutions
) -> None:
    waiting.wait(AUDIT, "token-1", None)
    states.on_send = lambda: _replace_token(waiting, states)
    assert waiting.end(AUDIT, None, RESULT) is AuditOutcome.TOLD
    assert list(states.successes) == ["token-1", "token-2"]


def _replace_token(waiting: AuditWaiting, states: AuditExecutions) -> None:
    states.on_send = lambda: None
    waiting.wait(AUDIT, "token-2", None)


def test_the_end_of_an_audit_that_nobody_began_here_tells_nobody(
    waiting: AuditWaiting, audits: AuditsTable
) -> None:
    assert waiting.end(AUDIT, None, RESULT) is AuditOutcome.NOBODY_WAITS
    assert audits.find(AUDIT.name) is None


def test_the_end_of_a_campaign_that_is_gone_is_noted(
    waiting: AuditWaiting, audits: AuditsTable, states: AuditExecutions
) -> None:
    waiting.wait(AUDIT, "token-1", None)
    states.dead["token-1"] = "TaskTimedOut"
    assert waiting.end(AUDIT, None, RESULT) is AuditOutcome.NOBODY_WAITS
    assert known(audits).ended == "SUCCEEDED"


# ---- the schedule


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        ("FAILED", "States.Runtime: bad path"),
        ("TIMED_OUT", "TIMED_OUT"),
        ("ABORTED", "ABORTED"),
    ],
)
def test_a_lost_end_is_found_by_the_schedule(
    waiting: AuditWaiting, audits: AuditsTable, states: AuditExecutions, status: str, cause: str
) -> None:
    waiting.wait(AUDIT, "token-1", None)
    states.statuses[FIRST] = status
    if status == "FAILED":
        states.errors[FIRST] = {"error": "States.Runtime", "cause": "bad path"}
    result = waiting.reconcile()
    assert result.outcomes == {AUDIT.name: AuditOutcome.TOLD}
    assert result.counts() == {"audits_running": 0, "audits_told": 1}
    assert states.failures == {"token-1": ("AuditFailed", f"{AUDIT.name}: {cause}")}
    assert known(audits).ended == "FAILED"
    assert waiting.reconcile().outcomes == {}
    # The campaign that goes on tries again.
    waiting.wait(AUDIT, "token-2", None)
    assert list(states.inputs) == [FIRST, SECOND]


def test_a_good_end_that_was_lost_is_told_by_the_schedule(
    waiting: AuditWaiting, states: AuditExecutions
) -> None:
    waiting.wait(AUDIT, "token-1", None)
    states.statuses[FIRST] = "SUCCEEDED"
    waiting.reconcile()
    assert states.successes == {"token-1": {"audit_uri": AUDIT.uri, "result": None}}


def test_an_execution_that_is_gone_has_failed(waiting: AuditWaiting, states: AuditExecutions) -> None:
    waiting.wait(AUDIT, "token-1", None)
    del states.statuses[FIRST]
    waiting.reconcile()
    assert "ExecutionDoesNotExist" in states.failures["token-1"][1]


def test_a_campaign_whose_audit_goes_on_gets_a_heartbeat(
    waiting: AuditWaiting, audits: AuditsTable, states: AuditExecutions
) -> None:
    waiting.wait(AUDIT, "token-1", None)
    assert waiting.reconcile().counts() == {"audits_running": 1, "audits_told": 0}
    assert states.heartbeats == ["token-1"]
    states.dead["token-1"] = "TaskTimedOut"
    assert waiting.reconcile().outcomes == {AUDIT.name: AuditOutcome.NOBODY_WAITS}
    assert known(audits).state == WAITING


def test_audits_that_nobody_waits_for_are_not_looked_at(
    waiting: AuditWaiting, states: AuditExecutions
) -> None:
    waiting.start(AUDIT)
    states.statuses[FIRST] = "FAILED"
    assert waiting.reconcile().outcomes == {}
    assert states.describes == []


def test_an_error_with_one_audit_leaves_the_others_their_turn(
    waiting: AuditWaiting, states: AuditExecutions
) -> None:
    audits = [AuditLayout(BUCKET, LAYOUT.campaign, audit_name(LAYOUT, number)) for number in range(3)]
    for number, audit in enumerate(audits):
        waiting.wait(audit, f"token-{number}", None)
    states.statuses[f"{audits[0].name}-1"] = "UNKNOWN"
    states.statuses[f"{audits[2].name}-1"] = "TIMED_OUT"
    result = waiting.reconcile()
    assert list(result.errors) == [f"audit/{audits[0].name}"]
    assert states.heartbeats == ["token-1"]
    assert list(states.failures) == ["token-2"]


# ---- the table


def test_an_audit_is_no_labelling_job_and_its_name_is_no_jobs(waiting: AuditWaiting, jobs: JobsTable) -> None:
    waiting.wait(AUDIT, "token-1", None)
    assert list(jobs.open_records()) == []
    assert jobs.find(AUDIT.name) is None
    [item] = boto3.client("dynamodb").scan(TableName=TABLE)["Items"]
    assert item["job_name"] == {"S": f"audit/{AUDIT.name}"}
    assert item["created_at"] == {"S": NOW.isoformat()}


def test_the_time_of_the_first_attempt_stays(audits: AuditsTable, states: AuditExecutions) -> None:
    for days, token in ((0, "token-1"), (2, "token-2")):
        moment = NOW + timedelta(days=days)
        waiting = AuditWaiting(audits, MACHINE_ARN, states, lambda moment=moment: moment)  # type: ignore[arg-type, misc]
        waiting.wait(AUDIT, token, None)
        waiting.end(AUDIT, FAILURE)
        states.statuses[f"{AUDIT.name}-{1 if days == 0 else 2}"] = "FAILED"
    assert known(audits).created_at == NOW.isoformat()
