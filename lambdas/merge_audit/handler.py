"""Merges what the audit of a round decided into the campaign's master manifest."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from truthloop import environment
from truthloop.layout import AuditLayout, CampaignLayout
from truthloop.merge_audit import merge_audit
from truthloop.metrics import of_audit, write
from truthloop.s3 import S3Gateway

logger = Logger()
metrics = Metrics()


@dataclass(frozen=True)
class Environment:
    """What the function reads from its environment."""

    DATA_BUCKET: str


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """{"campaign", "round", "audit": {"audit_uri", …}} -> rows by what became of them."""
    settings = environment.load(Environment)
    s3 = S3Gateway()
    layout = CampaignLayout(settings.DATA_BUCKET, event["campaign"]["name"])
    audit_uri = event["audit"]["audit_uri"]
    summary = merge_audit(s3, layout, event["round"], audit_uri)
    logger.info("merged", campaign=layout.campaign, round=event["round"], **asdict(summary))
    if audit_uri is not None:
        result = s3.read_json(AuditLayout.from_uri(audit_uri).result())
        write(metrics, logger, of_audit(layout.campaign, result))
    return asdict(summary)
