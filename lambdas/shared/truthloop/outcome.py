"""How an execution ended, a campaign's or an audit's: why it failed, what it found, what to do next."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_REASON_CHARACTERS = 4_000
# SNS takes at most 100 ASCII characters: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
_SUBJECT_CHARACTERS = 100

# Errors of Step Functions that come without a readable cause:
# https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
_MEANINGS = {
    "States.Timeout": "it did not end within its time limit",
    "States.HeartbeatTimeout": "nothing was heard of it within its heartbeat interval",
    "States.Permissions": "the state machine's role may not do it",
    "States.DataLimitExceeded": "its data is larger than 262,144 bytes",
}


def failed_state(client: SFNClient, execution_arn: str) -> str | None:
    """The state that failed last before the one that is running now, None when the history shows none.

    Reads the history backwards, page by page, and no further than it has to.
    """
    pages = client.get_paginator("get_execution_history").paginate(
        executionArn=execution_arn, reverseOrder=True, includeExecutionData=False
    )
    return find_failed_state(event for page in pages for event in page["events"])


def find_failed_state(events: Iterable[Mapping[str, Any]]) -> str | None:
    """Like `failed_state`, on the events of a history, the last one first."""
    remaining = iter(events)
    # The state that was entered last is the one that is recording the failure.
    _next_entered(remaining)
    for event in remaining:
        if event["type"].endswith(("Failed", "TimedOut")):
            return _next_entered(remaining)
    return None


def requested_campaign(client: SFNClient, execution_arn: str) -> str | None:
    """The campaign's name in an execution's input, None when the input has no such text."""
    history = client.get_execution_history(
        executionArn=execution_arn, maxResults=1, includeExecutionData=True
    )
    request = json.loads(history["events"][0]["executionStartedEventDetails"]["input"])
    name = request.get("campaign") if isinstance(request, dict) else None
    return name if isinstance(name, str) else None


def readable_reason(error: Mapping[str, Any] | None) -> str:
    """What a caught error, {"Error", "Cause"}, says to a reader.

    The cause of a failed function is a JSON document with the error's text and a stack trace, that of a
    failed Batch job is the job's whole description; only what matters of them is kept.
    """
    if error is None:
        return "not reported"
    name, cause = str(error.get("Error", "")), str(error.get("Cause") or "")
    try:
        document = json.loads(cause)
    except ValueError:
        document = None
    if isinstance(document, dict) and "errorMessage" in document:
        reason = f"{document.get('errorType', name)}: {document['errorMessage']}"
    elif isinstance(document, dict) and "JobId" in document:
        reason = _batch_reason(document)
    elif cause:
        reason = f"{name}: {cause}" if name else cause
    else:
        reason = f"{name}: {_MEANINGS[name]}" if name in _MEANINGS else name
    return reason if len(reason) <= _REASON_CHARACTERS else reason[: _REASON_CHARACTERS - 1] + "…"


def failure_message(campaign: str | None, round_number: int | None, state: str | None, reason: str) -> str:
    """What the owners of a failed campaign read."""
    where = "before its first round" if round_number is None else f"in round {round_number}"
    if state is not None:
        where += f", in the state {state}"
    advice = "What to do: remove the cause, then start the same request again."
    if round_number is not None:
        advice += (
            " The campaign resumes where it stopped; labels that people gave are kept, and nothing that is "
            "done is paid for twice."
        )
    return f"The campaign {campaign or '(no name)'} failed {where}.\nReason: {reason}\n{advice}"


def success_message(campaign: str, round_number: int | None, report_uri: str) -> str:
    """What the owners of a campaign that succeeded read."""
    rounds = "" if round_number is None else f" after {round_number + 1} rounds"
    return f"The campaign {campaign} succeeded{rounds}.\nReport: {report_uri}"


def subject(campaign: str | None, outcome: str) -> str:
    """The subject of the notification."""
    return f"Truthloop: campaign {campaign or '(no name)'} {outcome.lower()}"[:_SUBJECT_CHARACTERS]


def audit_subject(name: str, outcome: str) -> str:
    """The subject of the notification about an audit."""
    return f"Truthloop: audit {name} {outcome}"[:_SUBJECT_CHARACTERS]


def audit_failure_message(name: str, reason: str, of_campaign: bool) -> str:
    """What is read about an audit that failed."""
    if of_campaign:
        advice = (
            "remove the cause, then start the campaign's request again. The audit goes on where it stopped; "
            "verdicts that people gave are kept."
        )
    else:
        advice = (
            "remove the cause, then start the audit's state machine again with the input of the execution "
            "that failed. It goes on where it stopped; verdicts that people gave are kept."
        )
    return f"The audit {name} failed.\nReason: {reason}\nWhat to do: {advice}"


def audit_message(result: Mapping[str, Any], result_uri: str, manifest_uri: str) -> str:
    """What is read about an audit that ended, with its figures.

    Parameters
    ----------
    result
        The document result.json.
    """
    job = result["job_name"]
    decisions, estimates = result["decisions"], result["estimates"]
    labels = result["rows"] + result["auto_rows"]
    lines = [
        f"The audit {result['name']}{f' of the labelling job {job}' if job else ''} ended.",
        f"{result['audited']} of {labels} labels were looked at: {decisions['accept']} accepted, "
        f"{decisions['fix']} fixed, {decisions['reject']} rejected.",
    ]
    reasons = sorted(result["reasons"].items(), key=lambda item: (-item[1], item[0]))
    if reasons:
        lines.append(f"Reasons: {', '.join(f'{code} {number}' for code, number in reasons)}.")
    for key, what in (
        ("initial", "Wrong labels before the audit"),
        ("auto", "Wrong labels of the model"),
        ("final", "Wrong labels in the end"),
    ):
        if estimates[key] is not None:
            lines.append(f"{what}: {_rate(estimates[key])}.")
    lines.append(
        f"Labelled again by others: {result['relabeled']}, by an expert: {result['expert']}. Taken back: "
        f"{result['unresolved']} without a right label, {result['revoked']} of the model's. "
        f"Left without a verdict: {result['unaudited']}."
    )
    lines.append(f"Result: {result_uri}\nLabels: {manifest_uri}")
    return "\n".join(lines)


def _rate(estimate: Mapping[str, Any]) -> str:
    if estimate["rate"] is None:
        return "not known, for none was judged"
    lower, upper = estimate["interval"]
    return (
        f"{estimate['rate']:.1%} ({estimate['errors']} of {estimate['sampled']}; "
        f"{estimate['confidence']:.0%} interval {lower:.1%} to {upper:.1%})"
    )


def _next_entered(events: Iterator[Mapping[str, Any]]) -> str | None:
    for event in events:
        if event["type"].endswith("StateEntered"):
            return str(event["stateEnteredEventDetails"]["name"])
    return None


def _batch_reason(job: Mapping[str, Any]) -> str:
    container = job.get("Container") or {}
    attempts = job.get("Attempts") or []
    if attempts:
        container = {**container, **(attempts[-1].get("Container") or {})}
    parts = [f"Batch job {job.get('JobName', '')} ({job['JobId']}): {job.get('StatusReason') or 'failed'}"]
    if container.get("ExitCode") is not None:
        parts.append(f"exit code {container['ExitCode']}")
    if container.get("Reason"):
        parts.append(str(container["Reason"]))
    if container.get("LogStreamName"):
        parts.append(f"log stream {container['LogStreamName']}")
    return "; ".join(parts)
