"""Consolidates all workers' answers into one label per object; the labelling service calls it per batch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from truthloop import environment
from truthloop.consolidation.skills import Skill
from truthloop.labeling.annotations import consolidate, job_name_of, read_payload, read_within
from truthloop.labeling.jobs import JobsTable
from truthloop.labeling.workers import earlier_skills, keep_evidence, store_of
from truthloop.layout import CampaignLayout
from truthloop.s3 import S3Gateway
from truthloop.task_types import ConsolidationHelp

logger = Logger()


@dataclass(frozen=True)
class Environment:
    JOBS_TABLE: str
    DATA_BUCKET: str


@cache
def find_skills(campaign_uri: str, round_number: int) -> dict[str, Skill]:
    # Cached per container: the rounds before a job's own are done, and a job has many batches.
    return earlier_skills(S3Gateway(), CampaignLayout.from_uri(campaign_uri), round_number)


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> list[dict[str, Any]]:
    settings = environment.load(Environment)
    s3 = S3Gateway()
    job = JobsTable(settings.JOBS_TABLE).require(job_name_of(event))
    read_json = read_within(settings.DATA_BUCKET, s3.read_json)
    skills = find_skills(job.campaign_uri, job.round)
    batch = consolidate(
        read_payload(event, read_json),
        job,
        read_json,
        datetime.now(UTC),
        ConsolidationHelp({worker: skill.counts for worker, skill in skills.items()}, store_of(s3, job)),
    )
    keep_evidence(s3, job, batch.evidence)
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
