"""On a schedule, releases the labelling jobs whose event was lost and keeps the waiting executions alive."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from truthloop import environment
from truthloop.labeling.ground_truth import GroundTruthBackend
from truthloop.labeling.jobs import JobsTable
from truthloop.labeling.waiting import Waiting
from truthloop.metrics import of_ended_jobs, of_open_jobs, write

logger = Logger()
metrics = Metrics()


@dataclass(frozen=True)
class Environment:
    JOBS_TABLE: str


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    settings = environment.load(Environment)
    result = Waiting(JobsTable(settings.JOBS_TABLE), GroundTruthBackend()).reconcile()
    for release in result.releases:
        logger.info("labelling job", **release.to_log())
    for job_name, error in result.errors.items():
        logger.error("labelling job not reconciled", job_name=job_name, error=repr(error))
    logger.info("reconciled", **result.counts())
    write(metrics, logger, of_ended_jobs(result.releases))
    write(metrics, logger, of_open_jobs(result.open_jobs, datetime.now(UTC)))
    result.raise_for_errors()
    return result.counts()
