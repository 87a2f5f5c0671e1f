"""On a schedule, tells executions of the jobs and audits whose end was lost, and keeps the others alive."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from truthloop import environment
from truthloop.labeling.audit_waiting import AuditsTable, AuditWaiting
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
    audits = AuditWaiting(AuditsTable(settings.JOBS_TABLE)).reconcile()
    for audit, outcome in audits.outcomes.items():
        logger.info("audit", audit=audit, outcome=outcome.value)
    for audit, error in audits.errors.items():
        logger.error("audit not reconciled", audit=audit, error=repr(error))
    result.errors.update(audits.errors)
    counts = {**result.counts(), **audits.counts()}
    logger.info("reconciled", **counts)
    write(metrics, logger, of_ended_jobs(result.releases))
    write(metrics, logger, of_open_jobs(result.open_jobs, datetime.now(UTC)))
    result.raise_for_errors()
    return counts
