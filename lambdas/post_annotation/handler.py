"""Makes one label, or one verdict, of all workers' answers; the labelling service calls it per batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from truthloop import environment
from truthloop.consolidation.skills import Skill
from truthloop.labeling.annotations import (
    VerdictReading,
    consolidate,
    job_name_of,
    read_payload,
    read_within,
)
from truthloop.labeling.jobs import VERDICTS, JobRecord, JobsTable
from truthloop.labeling.workers import earlier_skills, keep_evidence, known_labels, rows_of, store_of
from truthloop.layout import CampaignLayout
from truthloop.manifest import Row
from truthloop.s3 import S3Gateway
from truthloop.task_types import ConsolidationHelp

logger = Logger()


@dataclass(frozen=True)
class Environment:
    JOBS_TABLE: str
    DATA_BUCKET: str


# These are cached per container: what they find doesn't change while a job runs, and a job has many batches.


@cache
def find_job(table: str, job_name: str) -> JobRecord:
    return JobsTable(table).require(job_name)


@cache
def find_skills(campaign_uri: str, round_number: int) -> dict[str, Skill]:
    # The rounds before a job's own are done. A job outside campaigns has none.
    if not campaign_uri:
        return {}
    return earlier_skills(S3Gateway(), CampaignLayout.from_uri(campaign_uri), round_number)


@cache
def find_rows(table: str, job_name: str) -> list[Row]:
    return rows_of(S3Gateway(), find_job(table, job_name))


@cache
def find_known_labels(table: str, job_name: str) -> dict[str, Callable[[], Any]]:
    return known_labels(S3Gateway(), find_job(table, job_name))


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> list[dict[str, Any]]:
    settings = environment.load(Environment)
    s3 = S3Gateway()
    now = datetime.now(UTC)
    job = find_job(settings.JOBS_TABLE, job_name_of(event))
    read_json = read_within(settings.DATA_BUCKET, s3.read_json)
    payload = read_payload(event, read_json)
    if job.purpose in VERDICTS:
        # What is known of people as labellers says nothing of them as auditors.
        rows = find_rows(settings.JOBS_TABLE, job.job_name)
        reading = VerdictReading(job, rows, s3.read_bytes, now)
        help = ConsolidationHelp(store=store_of(s3, job))
        batch = consolidate(payload, job, read_json, now, help, reading)
    else:
        skills = find_skills(job.campaign_uri, job.round)
        counts = {worker: skill.counts for worker, skill in skills.items()}
        help = ConsolidationHelp(counts, store_of(s3, job))
        known = find_known_labels(settings.JOBS_TABLE, job.job_name)
        batch = consolidate(payload, job, read_json, now, help, known=known)
    keep_evidence(s3, job, batch.evidence, batch.gold)
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
