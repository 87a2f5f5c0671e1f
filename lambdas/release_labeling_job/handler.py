"""Resumes the execution that waits for a labelling job when an event says that the job has ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from truthloop import environment
from truthloop.labeling.ground_truth import GroundTruthBackend, job_name_of_event
from truthloop.labeling.jobs import JobsTable
from truthloop.labeling.waiting import Waiting
from truthloop.metrics import of_ended_jobs, write

logger = Logger()
metrics = Metrics()


@dataclass(frozen=True)
class Environment:
    JOBS_TABLE: str


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any] | None:
    settings = environment.load(Environment)
    job_name = job_name_of_event(event)
    if job_name is None:
        logger.warning("ignored: the event names no labelling job", resources=event.get("resources"))
        return None
    release = Waiting(JobsTable(settings.JOBS_TABLE), GroundTruthBackend()).release(job_name)
    logger.info("labelling job", **release.to_log())
    write(metrics, logger, of_ended_jobs([release]))
    return release.to_log()
