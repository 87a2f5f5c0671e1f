"""Tells how an audit ended: the campaign that waits for it, or people where none does or the audit failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from truthloop import aws, environment, outcome
from truthloop.labeling.audit_waiting import AuditsTable, AuditWaiting
from truthloop.layout import AuditLayout
from truthloop.s3 import S3Gateway

logger = Logger()


@dataclass(frozen=True)
class Environment:
    """What the function reads from its environment."""

    JOBS_TABLE: str
    NOTIFICATION_TOPIC_ARN: str


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """{"audit_uri", "error": {"Error", "Cause"} | null} -> {"outcome", "message"}."""
    settings = environment.load(Environment)
    layout = AuditLayout.from_uri(event["audit_uri"])
    error = event["error"]
    result = None if error is not None else S3Gateway().read_json(layout.result())
    told = AuditWaiting(AuditsTable(settings.JOBS_TABLE)).end(layout, error, result)
    if result is None:
        reason = outcome.readable_reason(error)
        message = outcome.audit_failure_message(layout.name, reason, of_campaign=layout.campaign is not None)
    else:
        message = outcome.audit_message(result, layout.result(), layout.audited_manifest())
    logger.info(message, audit=layout.name, outcome=told.value)
    if error is not None or layout.campaign is None:
        aws.sns().publish(
            TopicArn=settings.NOTIFICATION_TOPIC_ARN,
            Subject=outcome.audit_subject(layout.name, "succeeded" if error is None else "failed"),
            Message=message,
        )
    return {"outcome": told.value, "message": message}
