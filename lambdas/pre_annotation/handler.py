"""Makes a worker's task of a manifest row, for every task type; the labelling service calls it per object."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from truthloop import environment
from truthloop.labeling.annotations import job_name_of, prepare_task
from truthloop.labeling.jobs import JobRecord, JobsTable

logger = Logger()


@dataclass(frozen=True)
class Environment:
    JOBS_TABLE: str


@cache
def find_job(table: str, job_name: str) -> JobRecord:
    # Cached per container: what it is asked for doesn't change while a job runs, and there are many objects.
    return JobsTable(table).require(job_name)


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    settings = environment.load(Environment)
    return prepare_task(event, find_job(settings.JOBS_TABLE, job_name_of(event)))
