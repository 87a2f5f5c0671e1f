"""Creates a round's labelling job and leaves the execution waiting for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from truthloop import environment
from truthloop.labeling.creation import Functions, create_labeling_job
from truthloop.labeling.ground_truth import GroundTruthBackend
from truthloop.labeling.jobs import JobsTable
from truthloop.labeling.waiting import Waiting
from truthloop.layout import CampaignLayout
from truthloop.s3 import S3Gateway

logger = Logger()


@dataclass(frozen=True)
class Environment:
    DATA_BUCKET: str
    JOBS_TABLE: str
    LABELING_ROLE_ARN: str
    PRE_ANNOTATION_FUNCTION_ARN: str
    POST_ANNOTATION_FUNCTION_ARN: str


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    settings = environment.load(Environment)
    campaign = event["campaign"]
    release = create_labeling_job(
        s3=S3Gateway(),
        waiting=Waiting(JobsTable(settings.JOBS_TABLE), GroundTruthBackend()),
        layout=CampaignLayout(settings.DATA_BUCKET, campaign["name"]),
        round_number=event["round"],
        task_token=event["task_token"],
        functions=Functions(
            role_arn=settings.LABELING_ROLE_ARN,
            pre_annotation_arn=settings.PRE_ANNOTATION_FUNCTION_ARN,
            post_annotation_arn=settings.POST_ANNOTATION_FUNCTION_ARN,
        ),
        now=datetime.now(UTC),
    )
    logger.info("labelling job", campaign=campaign["name"], round=event["round"], **release.to_log())
    # The state waits for the token; what the function returns is for a reader of its log.
    return release.to_log()
