"""Writes to the ledger how a campaign's execution ended, and tells its owners."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from truthloop import aws, environment, outcome
from truthloop.layout import CampaignLayout
from truthloop.ledger import SUCCEEDED, Ledger, Outcome

logger = Logger()


@dataclass(frozen=True)
class Environment:
    """What the function reads from its environment."""

    LEDGER_TABLE: str
    NOTIFICATION_TOPIC_ARN: str


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """{"campaign": {…} | null, "outcome", "execution_arn", "error", "round"} -> {"outcome", "message"}.

    `campaign` is null when the execution failed before there was one.
    """
    settings = environment.load(Environment)
    states = aws.stepfunctions()
    execution_arn = event["execution_arn"]
    if event["outcome"] == SUCCEEDED:
        layout = CampaignLayout.from_uri(event["campaign"]["uri"])
        name: str | None = layout.campaign
        state = reason = None
        message = outcome.success_message(layout.campaign, event["round"], layout.report())
    else:
        campaign = event["campaign"]
        name = campaign["name"] if campaign else outcome.requested_campaign(states, execution_arn)
        state = outcome.failed_state(states, execution_arn)
        reason = outcome.readable_reason(event["error"])
        message = outcome.failure_message(name, event["round"], state, reason)
    ended = Outcome(event["outcome"], datetime.now(UTC), reason, state)
    booked = name is not None and Ledger(settings.LEDGER_TABLE).finish(name, execution_arn, ended)
    logger.info(message, campaign=name, outcome=event["outcome"], booked=booked)
    aws.sns().publish(
        TopicArn=settings.NOTIFICATION_TOPIC_ARN,
        Subject=outcome.subject(name, event["outcome"]),
        Message=message,
    )
    return {"outcome": event["outcome"], "message": message}
