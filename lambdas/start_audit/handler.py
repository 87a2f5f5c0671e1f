"""Starts the audit of labels once: when an event tells of a job's end, or when a campaign asks for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from truthloop import aws, environment
from truthloop.audit.document import AuditDocument
from truthloop.auditing import audit_of_round, begin
from truthloop.labeling.audit_waiting import AuditOutcome, AuditsTable, AuditWaiting
from truthloop.labeling.ground_truth import job_name_of_event
from truthloop.labeling.jobs import LABEL, JobsTable
from truthloop.layout import CampaignLayout
from truthloop.s3 import S3Gateway
from truthloop.standalone import StandaloneAudits, audit_of_job

logger = Logger()


@dataclass(frozen=True)
class Environment:
    """What the function reads from its environment.

    `STANDALONE_AUDITS` is JSON: {"job_name_prefix", "policy", "workers_per_object"}.
    """

    DATA_BUCKET: str
    JOBS_TABLE: str
    AUDIT_STATE_MACHINE_ARN: str
    STANDALONE_AUDITS: str
    # A stack may have no auditors.
    AUDITORS_WORKTEAM_ARN: str = ""


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any] | None:
    """An event about a job, or {"campaign", "round", "labeling", "task_token"} from a campaign."""
    settings = environment.load(Environment)
    waiting = AuditWaiting(AuditsTable(settings.JOBS_TABLE), settings.AUDIT_STATE_MACHINE_ARN)
    if "task_token" in event:
        return _for_campaign(event, settings, waiting)
    return _for_event(event, settings, waiting)


def _for_campaign(event: dict[str, Any], settings: Environment, waiting: AuditWaiting) -> dict[str, Any]:
    s3 = S3Gateway()
    layout = CampaignLayout(settings.DATA_BUCKET, event["campaign"]["name"])
    document = _of_round(s3, settings, layout, event["round"], event["labeling"]["job_name"])
    if document is None:
        outcome = waiting.skip(event["task_token"])
        name = None
    else:
        audit = begin(s3, document)
        outcome = waiting.wait(audit, event["task_token"], s3.find_json(audit.result()))
        name = audit.name
    logger.info("audit", campaign=layout.campaign, round=event["round"], audit=name, outcome=outcome.value)
    # The state waits for the token; what the function returns is for a reader of its log.
    return {"audit": name, "outcome": outcome.value}


def _for_event(event: dict[str, Any], settings: Environment, waiting: AuditWaiting) -> dict[str, Any] | None:
    s3 = S3Gateway()
    job_name = job_name_of_event(event)
    if job_name is None:
        logger.warning("ignored: the event names no labelling job", resources=event.get("resources"))
        return None
    job = JobsTable(settings.JOBS_TABLE).find(job_name)
    standalone = StandaloneAudits.from_document(json.loads(settings.STANDALONE_AUDITS))
    if job is None:
        if not standalone.want(job_name):
            logger.info("ignored: neither a campaign's job nor one to audit", job_name=job_name)
            return None
        document = audit_of_job(
            s3,
            aws.sagemaker(),
            settings.DATA_BUCKET,
            job_name,
            standalone,
            settings.AUDITORS_WORKTEAM_ARN or None,
            datetime.now(UTC),
        )
    elif job.purpose == LABEL:
        layout = CampaignLayout.from_uri(job.campaign_uri)
        document = _of_round(s3, settings, layout, job.round, job_name)
    else:
        logger.info("ignored: the job is an audit's own", job_name=job_name)
        return None
    if document is None:
        logger.info("ignored: there is nothing to audit", job_name=job_name)
        return {"audit": None, "outcome": AuditOutcome.NOTHING_TO_AUDIT.value}
    audit = begin(s3, document)
    outcome = waiting.start(audit)
    logger.info("audit", job_name=job_name, audit=audit.name, outcome=outcome.value)
    return {"audit": audit.name, "outcome": outcome.value}


def _of_round(
    s3: S3Gateway, settings: Environment, layout: CampaignLayout, round_number: int, job_name: str | None
) -> AuditDocument | None:
    return audit_of_round(
        s3,
        aws.sagemaker(),
        layout,
        round_number,
        job_name,
        settings.AUDITORS_WORKTEAM_ARN or None,
        datetime.now(UTC),
    )
