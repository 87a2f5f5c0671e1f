"""The two functions: events of EventBridge and deliveries of CloudWatch Logs in, records out."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from truthloop.errors import MissingEnvironment
from unit.labeling.kit import lambda_context, load_handler
from unit.trace.kit import ANNA, BUCKET, PREFIX, Stack, activity, answer, delivery, verdict

JOB = "digits-r0-a1-0123abcd"
VARIABLES = {
    name: f"{PREFIX}-{name.partition('_')[0].lower()}"
    for name in ("ANSWERS_TABLE", "WORKERS_TABLE", "JOBS_TABLE")
}


@pytest.fixture
def deployed(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    stack.job(JOB)
    return stack


def created(uri: str) -> dict[str, Any]:
    """The event as EventBridge delivers it: the key is not URL-encoded."""
    key = uri.removeprefix(f"s3://{BUCKET}/")
    return {
        "version": "0",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "detail": {"version": "0", "bucket": {"name": BUCKET}, "object": {"key": key, "size": 1}},
    }


def call(function: str, event: Any) -> Any:
    return load_handler(function).lambda_handler(event, lambda_context(function))


@pytest.mark.parametrize("function", ["record_answers", "record_activity"])
def test_each_function_declares_what_it_reads_and_names_what_is_missing(
    function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    handler = load_handler(function)
    assert {field.name for field in fields(handler.Environment)} == set(VARIABLES)
    with pytest.raises(MissingEnvironment):
        handler.lambda_handler({}, lambda_context(function))


def test_files_become_records_as_they_arrive(deployed: Stack) -> None:
    response = created(deployed.respond(JOB, 0, [answer(ANNA), "no answer"]))
    assert call("record_answers", response) == {"kind": "answers", "records": 1, "rejected": 1}
    evidence = created(deployed.evidence(JOB, {"0": {ANNA.worker_id: 0.5}}))
    assert call("record_answers", evidence) == {"kind": "evidence", "records": 1, "rejected": 0}
    verdicts = created(deployed.verdicts([verdict(JOB, 0, "fix")]))
    assert call("record_answers", verdicts) == {"kind": "verdicts", "records": 1, "rejected": 0}
    (found,) = deployed.answers.of_campaign("digits").answers
    assert found.agreement == 0.5
    assert found.verdict is not None
    assert found.verdict.decision == "fix"


def test_other_files_and_files_that_are_gone_are_ignored(deployed: Stack) -> None:
    assert call("record_answers", created(f"s3://{BUCKET}/campaigns/digits/splits.json")) is None
    uri = deployed.respond(JOB, 0, [answer(ANNA)])
    deployed.client.delete_object(Bucket=BUCKET, Key=uri.removeprefix(f"s3://{BUCKET}/"))
    assert call("record_answers", created(uri)) is None
    assert deployed.answers.of_campaign("digits").answers == []


def test_a_failure_of_a_table_is_no_record_left_out(deployed: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    # Lambda then tries again, and at last keeps the event in the queue of those that could not be handled.
    monkeypatch.setenv("ANSWERS_TABLE", "no-such-table")
    event = created(deployed.respond(JOB, 0, [answer(ANNA)]))
    with pytest.raises(Exception, match="ResourceNotFound"):
        call("record_answers", event)


def test_declines_become_records(deployed: Stack) -> None:
    event = delivery([activity(ANNA, JOB), "broken"])
    assert call("record_activity", event) == {"records": 1, "rejected": 1}
    assert len(deployed.answers.of_campaign("digits").activities) == 1
