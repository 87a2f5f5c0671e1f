"""Consolidates all workers' answers into one label per object; the labelling service calls it per batch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from truthloop import environment
from truthloop.labeling.annotations import consolidate, job_name_of, read_payload, read_within
from truthloop.labeling.jobs import JobsTable
from truthloop.s3 import S3Gateway

logger = Logger()


@dataclass(frozen=True)
class Environment:
    JOBS_TABLE: str
    DATA_BUCKET: str


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> list[dict[str, Any]]:
    settings = environment.load(Environment)
    job = JobsTable(settings.JOBS_TABLE).require(job_name_of(event))
    read_json = read_within(settings.DATA_BUCKET, S3Gateway().read_json)
    batch = consolidate(read_payload(event, read_json), job, read_json, datetime.now(UTC))
    for rejected in batch.rejected:
        logger.warning(
            "malformed answer",
            job_name=job.job_name,
            object_id=rejected.object_id,
            worker_id=rejected.worker_id,
            reason=rejected.reason,
        )
    logger.info(
        "consolidated",
        job_name=job.job_name,
        objects=len(batch.entries),
        answers=batch.answers,
        malformed=len(batch.rejected),
    )
    return batch.entries
