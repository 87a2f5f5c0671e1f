"""Writes a record for each task that a worker declined or returned; a log subscription calls it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from truthloop import environment
from truthloop.labeling.jobs import JobsTable
from truthloop.trace.activity import read_activities, record, unpack
from truthloop.trace.answers import AnswersTable
from truthloop.trace.people import People
from truthloop.trace.recording import JobBook

logger = Logger()


@dataclass(frozen=True)
class Environment:
    ANSWERS_TABLE: str
    WORKERS_TABLE: str
    JOBS_TABLE: str


@cache
def tables(settings: Environment) -> tuple[AnswersTable, People, JobBook]:
    # Cached per container: they remember jobs and pseudonyms, which don't change.
    return (
        AnswersTable(settings.ANSWERS_TABLE),
        People(settings.WORKERS_TABLE),
        JobBook(JobsTable(settings.JOBS_TABLE)),
    )


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """A delivery of CloudWatch Logs -> {"records", "rejected"}."""
    answers, people, jobs = tables(environment.load(Environment))
    found = read_activities(unpack(event))
    record(found, answers, people, jobs)
    for reason in found.rejected:
        logger.warning("left out", reason=reason)
    counts = {"records": len(found.given_back), "rejected": len(found.rejected)}
    logger.info("recorded", **counts)
    return counts
