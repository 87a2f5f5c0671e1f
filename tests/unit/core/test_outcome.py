"""How a failed execution is explained."""

from __future__ import annotations

import json

import pytest
from botocore.stub import Stubber

from truthloop import aws, outcome
from truthloop.outcome import find_failed_state, readable_reason
from unit.core.kit import EXECUTION_ARN


def entered(name: str, kind: str = "Task") -> dict:
    return {"type": f"{kind}StateEntered", "stateEnteredEventDetails": {"name": name}}


def exited(name: str) -> dict:
    return {"type": "TaskStateExited", "stateExitedEventDetails": {"name": name}}


SCHEDULED = {"type": "TaskScheduled"}
SUCCEEDED = {"type": "TaskSucceeded"}
FAILED = {"type": "TaskFailed"}
STARTED = {"type": "ExecutionStarted"}


def backwards(*events: dict) -> list[dict]:
    return list(reversed(events))


def test_the_state_that_failed_is_found_behind_the_one_that_records_it():
    history = backwards(
        STARTED,
        entered("Select"),
        SCHEDULED,
        SUCCEEDED,
        exited("Select"),
        entered("Train"),
        SCHEDULED,
        FAILED,
        exited("Train"),
        entered("RecordFailure"),
        SCHEDULED,
    )
    assert find_failed_state(history) == "Train"


def test_a_state_between_the_failure_and_its_record_is_not_blamed():
    history = backwards(
        STARTED,
        entered("Prepare"),
        FAILED,
        exited("Prepare"),
        entered("PrepareFailed", "Pass"),
        exited("PrepareFailed"),
        entered("RecordFailure"),
        SCHEDULED,
    )
    assert find_failed_state(history) == "Prepare"


def test_failed_attempts_at_recording_are_not_blamed():
    history = backwards(
        STARTED, entered("Score"), FAILED, SCHEDULED, FAILED, entered("RecordFailure"), FAILED, SCHEDULED
    )
    assert find_failed_state(history) == "Score"


def test_a_retried_failure_of_an_earlier_state_is_not_blamed():
    history = backwards(
        STARTED,
        entered("Select"),
        FAILED,
        SCHEDULED,
        SUCCEEDED,
        entered("Train"),
        {"type": "TaskTimedOut"},
        entered("RecordFailure"),
    )
    assert find_failed_state(history) == "Train"


def test_a_history_without_a_failure_names_no_state():
    assert find_failed_state(backwards(STARTED, entered("RecordFailure"))) is None
    assert find_failed_state([]) is None


def test_the_history_is_read_page_by_page_and_no_further_than_needed(cloud):
    client = aws.stepfunctions()
    request = {"executionArn": EXECUTION_ARN, "reverseOrder": True, "includeExecutionData": False}

    def complete(event: dict) -> dict:
        return {"timestamp": 0, "id": 1, **event}

    pages = [
        [SCHEDULED, entered("RecordFailure"), exited("Train")],
        [FAILED, SCHEDULED],
        [entered("Train"), exited("Select")],
    ]
    with Stubber(client) as stub:
        for number, page in enumerate(pages):
            token = {} if number == 0 else {"nextToken": str(number)}
            answer = {"events": [complete(event) for event in page], "nextToken": str(number + 1)}
            stub.add_response("get_execution_history", answer, {**request, **token})
        assert outcome.failed_state(client, EXECUTION_ARN) == "Train"
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("given", "name"),
    [('{"campaign": "digits"}', "digits"), ('{"campaign": 7}', None), ("[]", None), ("{}", None)],
)
def test_the_campaign_of_a_refused_execution_is_known_from_its_input(cloud, given, name):
    client = aws.stepfunctions()
    event = {
        "timestamp": 0,
        "id": 1,
        "type": "ExecutionStarted",
        "executionStartedEventDetails": {"input": given},
    }
    with Stubber(client) as stub:
        stub.add_response(
            "get_execution_history",
            {"events": [event]},
            {"executionArn": EXECUTION_ARN, "maxResults": 1, "includeExecutionData": True},
        )
        assert outcome.requested_campaign(client, EXECUTION_ARN) == name


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (None, "not reported"),
        (
            {
                "Error": "CampaignExists",
                "Cause": json.dumps(
                    {
                        "errorMessage": "A campaign x exists",
                        "errorType": "CampaignExists",
                        "stackTrace": ["…"],
                    }
                ),
            },
            "CampaignExists: A campaign x exists",
        ),
        (
            {
                "Error": "States.TaskFailed",
                "Cause": json.dumps(
                    {
                        "JobId": "1-2",
                        "JobName": "digits-r3-train",
                        "StatusReason": "Essential container in task exited",
                        "Container": {"ExitCode": 1, "LogStreamName": "old"},
                        "Attempts": [
                            {"Container": {"ExitCode": 1, "LogStreamName": "old"}},
                            {
                                "Container": {
                                    "ExitCode": 137,
                                    "LogStreamName": "new",
                                    "Reason": "OutOfMemoryError",
                                }
                            },
                        ],
                    }
                ),
            },
            "Batch job digits-r3-train (1-2): Essential container in task exited; exit code 137; "
            "OutOfMemoryError; log stream new",
        ),
        (
            {
                "Error": "States.TaskFailed",
                "Cause": json.dumps(
                    {"JobId": "1", "JobName": "score", "Container": {"ExitCode": 2}, "Attempts": []}
                ),
            },
            "Batch job score (1): failed; exit code 2",
        ),
        ({"Error": "LabelingJobFailed", "Cause": "Bad CORS"}, "LabelingJobFailed: Bad CORS"),
        ({"Error": "States.Timeout"}, "States.Timeout: it did not end within its time limit"),
        (
            {"Error": "States.HeartbeatTimeout", "Cause": None},
            "States.HeartbeatTimeout: nothing was heard of it within its heartbeat interval",
        ),
        ({"Error": "Other", "Cause": ""}, "Other"),
        ({"Error": "Other", "Cause": '"text"'}, 'Other: "text"'),
    ],
)
def test_causes_are_made_readable(error, reason):
    assert readable_reason(error) == reason


def test_endless_causes_are_cut():
    assert len(readable_reason({"Error": "X", "Cause": "y" * 100_000})) == 4_000


def test_a_failure_says_where_why_and_what_to_do():
    message = outcome.failure_message("digits", 3, "Train", "out of memory")
    assert message.splitlines()[0] == "The campaign digits failed in round 3, in the state Train."
    assert "Reason: out of memory" in message
    assert "start the same request again" in message
    assert "resumes where it stopped" in message


def test_a_failure_before_the_first_round_promises_nothing():
    message = outcome.failure_message(None, None, None, "unknown")
    assert "(no name) failed before its first round." in message
    assert "resumes" not in message


def test_a_success_counts_the_seed_round_and_names_the_report():
    assert outcome.success_message("digits", 4, "s3://b/report") == (
        "The campaign digits succeeded after 5 rounds.\nReport: s3://b/report"
    )


def test_subjects_fit_what_sns_takes():
    subject = outcome.subject("a-" * 31 + "a", "SUCCEEDED")
    assert len(subject) <= 100
    assert subject.isascii()


# ---- audits


def estimate(errors, sampled, rate, interval) -> dict:
    return {
        "errors": errors,
        "sampled": sampled,
        "rows": 100,
        "rate": rate,
        "interval": interval,
        "confidence": 0.95,
    }


def audit_result(**changes) -> dict:
    nothing = {"initial": None, "auto": None, "final": None}
    return {
        "name": "digits-r3-12345678",
        "job_name": "digits-r3-a1-89abcdef",
        "rows": 100,
        "auto_rows": 20,
        "audited": 30,
        "decisions": {"accept": 27, "fix": 1, "reject": 2},
        "reasons": {},
        "relabeled": 1,
        "expert": 1,
        "unresolved": 0,
        "unaudited": 3,
        "revoked": 4,
        "estimates": {**nothing, **changes.pop("estimates", {})},
        **changes,
    }


def test_an_audit_is_told_with_what_it_found_and_nothing_that_it_did_not_look_for():
    found = {
        "initial": estimate(2, 20, 0.1, [0.02, 0.3]),
        "auto": {**estimate(1, 10, 0.1, [0.0025, 0.4]), "promise": 0.95, "revoked": True},
    }
    text = outcome.audit_message(audit_result(estimates=found), "s3://b/result.json", "s3://b/audited")
    assert text.splitlines() == [
        "The audit digits-r3-12345678 of the labelling job digits-r3-a1-89abcdef ended.",
        "30 of 120 labels were looked at: 27 accepted, 1 fixed, 2 rejected.",
        "Wrong labels before the audit: 10.0% (2 of 20; 95% interval 2.0% to 30.0%).",
        "Wrong labels of the model: 10.0% (1 of 10; 95% interval 0.2% to 40.0%).",
        "Labelled again by others: 1, by an expert: 1. Taken back: 0 without a right label, 4 of the "
        "model's. Left without a verdict: 3.",
        "Result: s3://b/result.json",
        "Labels: s3://b/audited",
    ]


def test_an_audit_without_a_job_or_a_verdict_is_told_too():
    found = {"initial": estimate(0, 0, None, [0.0, 1.0])}
    text = outcome.audit_message(audit_result(job_name=None, estimates=found), "s3://b/r", "s3://b/a")
    assert text.startswith("The audit digits-r3-12345678 ended.\n")
    assert "Wrong labels before the audit: not known, for none was judged." in text


@pytest.mark.parametrize(
    ("of_campaign", "advice"),
    [(True, "start the campaign's request again"), (False, "start the audit's state machine again")],
)
def test_an_audit_that_failed_says_what_to_do(of_campaign, advice):
    text = outcome.audit_failure_message("theirs-12345678", "States.Timeout: too late", of_campaign)
    assert text.startswith("The audit theirs-12345678 failed.\nReason: States.Timeout: too late\n")
    assert advice in text


def test_the_subject_about_an_audit_fits_into_a_notification():
    assert outcome.audit_subject("x" * 63, "succeeded").startswith("Truthloop: audit xxx")
    assert len(outcome.audit_subject("x" * 200, "succeeded")) == 100
