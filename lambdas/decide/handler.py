"""Books what a round brought and cost, and decides whether the campaign goes on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger, Metrics

from truthloop import environment
from truthloop.campaign import load_campaign
from truthloop.decide import decide
from truthloop.layout import CampaignLayout
from truthloop.ledger import Ledger
from truthloop.metrics import of_round, write
from truthloop.s3 import S3Gateway

logger = Logger()
metrics = Metrics()


@dataclass(frozen=True)
class Environment:
    """What the function reads from its environment."""

    DATA_BUCKET: str
    LEDGER_TABLE: str


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """{"campaign", "round"} -> {"stop", "rule", "reason", "next_round"}."""
    settings = environment.load(Environment)
    s3 = S3Gateway()
    layout = CampaignLayout(settings.DATA_BUCKET, event["campaign"]["name"])
    decision = decide(s3, Ledger(settings.LEDGER_TABLE), layout, event["round"], now=datetime.now(UTC))
    logger.info("the round is decided", campaign=layout.campaign, **decision)
    budget = load_campaign(s3, layout).request.stop.budget_usd
    write(metrics, logger, of_round(layout.campaign, decision, budget))
    return {
        "stop": decision["stop"],
        "rule": decision["rule"],
        "reason": decision["reason"],
        "next_round": decision["round"] + 1,
    }
