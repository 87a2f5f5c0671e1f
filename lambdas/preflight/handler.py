"""Lists every problem of a campaign request before anything is spent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from truthloop import aws, environment, preflight
from truthloop.s3 import S3Gateway

logger = Logger()


@dataclass(frozen=True)
class Environment:
    """What the function reads from its environment."""

    DATA_BUCKET: str
    WORKTEAM_ARN: str
    # A stack may have no auditors.
    AUDITORS_WORKTEAM_ARN: str = ""


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """{"request"} -> {"request": the same with all defaults, "estimate": rows, objects and cost, or null}.

    Raises
    ------
    InvalidRequest
        A numbered list of all problems.
    """
    settings = environment.load(Environment)
    clearance = preflight.check(
        event["request"],
        s3=S3Gateway(),
        sagemaker=aws.sagemaker(),
        data_bucket=settings.DATA_BUCKET,
        workteam_arn=settings.WORKTEAM_ARN,
        now=datetime.now(UTC),
        auditors_workteam_arn=settings.AUDITORS_WORKTEAM_ARN or None,
    )
    logger.info("the request can be run", campaign=clearance.request.campaign)
    return clearance.to_document()
