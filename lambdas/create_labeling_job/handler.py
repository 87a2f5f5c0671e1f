"""Creates the labelling job of a round or of an audit's step and leaves the execution waiting for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from truthloop import environment
from truthloop.labeling.creation import Functions, create_audit_job, create_labeling_job
from truthloop.labeling.ground_truth import GroundTruthBackend
from truthloop.labeling.jobs import JobsTable
from truthloop.labeling.waiting import Waiting
from truthloop.layout import AuditLayout, CampaignLayout
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
    """{"campaign", "round", "task_token"} or {"audit_uri", "step", "task_token"}."""
    settings = environment.load(Environment)
    functions = Functions(
        role_arn=settings.LABELING_ROLE_ARN,
        pre_annotation_arn=settings.PRE_ANNOTATION_FUNCTION_ARN,
        post_annotation_arn=settings.POST_ANNOTATION_FUNCTION_ARN,
    )
    s3 = S3Gateway()
    waiting = Waiting(JobsTable(settings.JOBS_TABLE), GroundTruthBackend())
    now = datetime.now(UTC)
    if "audit_uri" in event:
        release = create_audit_job(
            s3,
            waiting,
            AuditLayout.from_uri(event["audit_uri"]),
            event["step"],
            event["task_token"],
            functions,
            now,
        )
        about = {"audit_uri": event["audit_uri"], "step": event["step"]}
    else:
        release = create_labeling_job(
            s3,
            waiting,
            CampaignLayout(settings.DATA_BUCKET, event["campaign"]["name"]),
            event["round"],
            event["task_token"],
            functions,
            now,
        )
        about = {"campaign": event["campaign"]["name"], "round": event["round"]}
    logger.info("labelling job", **about, **release.to_log())
    # The state waits for the token; what the function returns is for a reader of its log.
    return release.to_log()
