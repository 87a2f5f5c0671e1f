"""Creates a campaign's frozen objects, or finds the round at which it is resumed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from truthloop import environment
from truthloop.layout import CampaignLayout
from truthloop.ledger import Ledger
from truthloop.prepare import prepare
from truthloop.request import parse_request
from truthloop.s3 import S3Gateway

logger = Logger()


@dataclass(frozen=True)
class Environment:
    """What the function reads from its environment."""

    DATA_BUCKET: str
    LEDGER_TABLE: str
    WORKTEAM_ARN: str


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """{"request", "execution_arn"} -> {"campaign": {"name", "uri", "shards", "audit"}, "round", "stage"}."""
    settings = environment.load(Environment)
    request = parse_request(event["request"])
    start = prepare(
        S3Gateway(),
        Ledger(settings.LEDGER_TABLE),
        CampaignLayout(settings.DATA_BUCKET, request.campaign),
        request,
        workteam_arn=settings.WORKTEAM_ARN,
        execution_arn=event["execution_arn"],
        now=datetime.now(UTC),
    )
    logger.info("the campaign is ready", campaign=request.campaign, round=start.round, stage=start.stage)
    return {
        "campaign": {
            "name": request.campaign,
            "uri": start.layout.uri,
            "shards": request.scoring.shards,
            "audit": request.audit.is_wanted,
        },
        "round": start.round,
        "stage": start.stage,
    }
