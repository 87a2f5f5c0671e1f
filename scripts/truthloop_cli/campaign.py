"""Starts a campaign's execution and follows it: its state, what was bought, how good the model is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from truthloop.errors import TruthloopError
from truthloop.layout import CampaignLayout
from truthloop.s3 import S3Gateway

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# What a person reads for the states of terraform/state_machines/active_learning_loop.asl.json.
ACTIVITIES = {
    "Preflight": "checking the request",
    "Prepare": "freezing manifest and splits",
    "PrepareFailed": "failing",
    "WhereToBegin": "starting",
    "Score": "scoring the pool",
    "Select": "selecting what people label",
    "CreateLabelingJob": "people are labelling",
    "MergeLabels": "merging labels",
    "AuditOrTrain": "merging labels",
    "Audit": "auditors are checking the labels",
    "MergeAudit": "merging the audit",
    "Train": "training",
    "Evaluate": "evaluating on the frozen test split",
    "Decide": "asking the stop rules",
    "StopOrNextRound": "asking the stop rules",
    "NextRound": "starting the next round",
    "Finalise": "writing labels and report",
    "RecordSuccess": "recording the outcome",
    "CampaignSucceeded": "finished",
    "ReadRefusal": "request refused",
    "RequestRefused": "request refused",
    "PreflightFailed": "failed",
    "RecordFailure": "recording the failure",
    "CampaignFailed": "failed",
    "FailureNotRecorded": "failed",
}


# The states that belong to the work of one round; the others are the campaign's.
ROUND_STATES = frozenset(
    {
        "Score",
        "Select",
        "CreateLabelingJob",
        "MergeLabels",
        "AuditOrTrain",
        "Audit",
        "MergeAudit",
        "Train",
        "Evaluate",
    }
)


class CampaignFailed(TruthloopError):
    """A campaign's execution ended without success; the message says where and why."""


@dataclass(frozen=True)
class RoundResult:
    """What a finished round brought.

    Attributes
    ----------
    number
        The round, from 0.
    labels
        Objects that people have labelled so far, splits included.
    metric
        What the quality is: "accuracy", "macro_f1", "map_50" or "mean_iou".
    quality
        On the frozen test split, by arm: "model", and "strategy" and "control" where there is a control.
    trained_on
        Labels that each arm's model was trained on.
    cost_usd
        The campaign's cost so far.
    """

    number: int
    labels: int
    metric: str
    quality: dict[str, float]
    trained_on: dict[str, int]
    cost_usd: float


@dataclass
class Progress:
    """A campaign as it stands."""

    status: str = "RUNNING"
    state: str = "Preflight"
    round: int = 0
    rounds: list[RoundResult] = field(default_factory=list)
    error: str = ""
    cause: str = ""

    @property
    def activity(self) -> str:
        """What the campaign is doing, for a person."""
        activity = ACTIVITIES.get(self.state, self.state)
        return f"round {self.round}: {activity}" if self.state in ROUND_STATES else activity


def start(stepfunctions: SFNClient, state_machine_arn: str, request: dict[str, Any]) -> str:
    """Start a campaign; return the execution's ARN. The same request again resumes what was interrupted."""
    name = f"{request.get('campaign', 'campaign')}-{int(time.time() * 1000)}"[:80]
    answer = stepfunctions.start_execution(
        stateMachineArn=state_machine_arn, name=name, input=json.dumps(request, ensure_ascii=False)
    )
    return answer["executionArn"]


def follow(
    stepfunctions: SFNClient,
    s3: S3Gateway,
    execution_arn: str,
    layout: CampaignLayout,
    seconds: float = 1.0,
) -> Iterator[Progress]:
    """Yield the campaign's progress every few seconds until its execution has ended."""
    progress = Progress()
    while True:
        described = stepfunctions.describe_execution(executionArn=execution_arn)
        progress.status = described["status"]
        progress.state = _current_state(stepfunctions, execution_arn) or progress.state
        while result := _round_result(s3, layout, len(progress.rounds)):
            progress.rounds.append(result)
        progress.round = len(progress.rounds)
        if progress.status != "RUNNING":
            progress.error = described.get("error", "")
            progress.cause = described.get("cause", "")
            yield progress
            return
        yield progress
        time.sleep(seconds)


def _current_state(stepfunctions: SFNClient, execution_arn: str) -> str | None:
    """The name of the state that was entered last, among the newest events."""
    history = stepfunctions.get_execution_history(
        executionArn=execution_arn, reverseOrder=True, maxResults=20, includeExecutionData=False
    )
    for event in history["events"]:
        if "stateEnteredEventDetails" in event:
            return event["stateEnteredEventDetails"]["name"]
    return None


def _round_result(s3: S3Gateway, layout: CampaignLayout, number: int) -> RoundResult | None:
    decision = s3.find_json(layout.decision(number))
    if decision is None:
        return None
    evaluation = s3.read_json(layout.evaluation(number))
    arms = evaluation["arms"]
    return RoundResult(
        number=number,
        labels=decision["labels"]["cumulative_people"],
        metric=evaluation["metric"],
        quality={name: arm["quality"] for name, arm in arms.items()},
        trained_on={name: arm["labels"] for name, arm in arms.items()},
        cost_usd=decision["cost_usd"]["cumulative"],
    )
