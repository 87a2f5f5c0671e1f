"""Merges the labels of a round's labelling job into the campaign's master manifest."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from truthloop import environment
from truthloop.labeling.jobs import JobsTable
from truthloop.layout import CampaignLayout
from truthloop.merge import merge_labels
from truthloop.metrics import of_merge, write
from truthloop.s3 import S3Gateway

logger = Logger()
metrics = Metrics()


@dataclass(frozen=True)
class Environment:
    DATA_BUCKET: str
    JOBS_TABLE: str


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    settings = environment.load(Environment)
    summary = merge_labels(
        s3=S3Gateway(),
        jobs=JobsTable(settings.JOBS_TABLE),
        layout=CampaignLayout(settings.DATA_BUCKET, event["campaign"]["name"]),
        round_number=event["round"],
        labeling=event["labeling"],
    )
    logger.info("merged", campaign=event["campaign"]["name"], round=event["round"], **asdict(summary))
    write(metrics, logger, of_merge(event["campaign"]["name"], summary.failed))
    return {"labeled": summary.labeled, "failed": summary.failed, "auto": summary.auto}
