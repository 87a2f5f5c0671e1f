"""Books what a round brought and cost, and decides whether the campaign goes on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from truthloop import environment
from truthloop.decide import decide
from truthloop.layout import CampaignLayout
from truthloop.ledger import Ledger
from truthloop.s3 import S3Gateway

logger = Logger()


@dataclass(frozen=True)
class Environment:
    """What the function reads from its environment."""

    DATA_BUCKET: str
    LEDGER_TABLE: str


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """{"campaign", "round"} -> {"stop", "rule", "reason", "next_round"}."""
    settings = environment.load(Environment)
    layout = CampaignLayout(settings.DATA_BUCKET, event["campaign"]["name"])
    decision = decide(
        S3Gateway(), Ledger(settings.LEDGER_TABLE), layout, event["round"], now=datetime.now(UTC)
    )
    logger.info("the round is decided", campaign=layout.campaign, **decision)
    return {
        "stop": decision["stop"],
        "rule": decision["rule"],
        "reason": decision["reason"],
        "next_round": decision["round"] + 1,
    }
