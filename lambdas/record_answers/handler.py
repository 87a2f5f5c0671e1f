"""Writes a record for each answer when its file appears in the data bucket, and what is found of it later."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from truthloop import environment
from truthloop.errors import ObjectNotFound
from truthloop.labeling.jobs import JobsTable
from truthloop.s3 import S3Gateway, S3Uri
from truthloop.trace.answers import AnswersTable
from truthloop.trace.people import People
from truthloop.trace.recording import JobBook, Recorder

logger = Logger()


@dataclass(frozen=True)
class Environment:
    ANSWERS_TABLE: str
    WORKERS_TABLE: str
    JOBS_TABLE: str


@cache
def recorder(settings: Environment) -> Recorder:
    # Cached per container: it remembers jobs and pseudonyms, which don't change.
    return Recorder(
        S3Gateway(),
        AnswersTable(settings.ANSWERS_TABLE),
        People(settings.WORKERS_TABLE),
        JobBook(JobsTable(settings.JOBS_TABLE)),
    )


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any] | None:
    """S3's "Object Created" event of EventBridge -> {"kind", "records", "rejected"}, None for other files."""
    records = recorder(environment.load(Environment))
    # EventBridge gives the key as it is, not URL-encoded as S3's own notifications do.
    uri = str(S3Uri(event["detail"]["bucket"]["name"], event["detail"]["object"]["key"]))
    try:
        recorded = records.record(uri)
    except ObjectNotFound:
        logger.warning("ignored: the file is gone", uri=uri)
        return None
    if recorded is None:
        logger.info("ignored: not a file with answers", uri=uri)
        return None
    for reason in recorded.rejected:
        logger.warning("left out", uri=uri, reason=reason)
    counts = {"kind": recorded.kind, "records": recorded.records, "rejected": len(recorded.rejected)}
    logger.info("recorded", uri=uri, **counts)
    return counts
