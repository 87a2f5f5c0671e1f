"""The labelling job of a round or of an audit's step: its attempt, its record and its submission."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import count

from truthloop.audit.document import AuditDocument, load_audit
from truthloop.audit.steps import Step
from truthloop.campaign import Campaign, load_campaign
from truthloop.labeling.backend import JobStatus, JobSubmission
from truthloop.labeling.jobs import VERDICTS, JobRecord
from truthloop.labeling.waiting import Release, Waiting
from truthloop.layout import AUDIT_TEMPLATE, AuditLayout, CampaignLayout, template
from truthloop.names import audit_job_name, labeling_job_name
from truthloop.s3 import S3Gateway


@dataclass(frozen=True)
class Functions:
    """What labelling jobs run as: the role, and the ARNs of the two annotation functions."""

    role_arn: str
    pre_annotation_arn: str
    post_annotation_arn: str


def create_labeling_job(
    s3: S3Gateway,
    waiting: Waiting,
    layout: CampaignLayout,
    round_number: int,
    task_token: str,
    functions: Functions,
    now: datetime,
) -> Release:
    """Have the round's selection labelled, and remember who waits for it.

    A round whose job exists gets that job: running, it takes the new token; ended, its end is told at once.
    After a job that failed comes the next attempt, under a new name.
    """
    if s3.read_json(layout.selection(round_number))["to_label"] == 0:
        return waiting.skip(task_token)
    campaign = load_campaign(s3, layout)
    attempt, name = next_attempt(waiting, partial(labeling_job_name, layout, round_number))
    record = JobRecord(
        job_name=name,
        campaign=layout.campaign,
        campaign_uri=layout.uri,
        round=round_number,
        attempt=attempt,
        task_type=campaign.request.task_type,
        label_categories=campaign.request.label_categories,
        label_attribute=campaign.request.label_attribute,
        task_token=task_token,
        waiting_since=now.isoformat(),
        instructions=campaign.request.labeling.instructions,
        manifest_uri=layout.selection_manifest(round_number),
        output_uri=layout.labeling_prefix(),
    )
    return waiting.start(record, submission(campaign, layout, round_number, name, functions))


def create_audit_job(
    s3: S3Gateway,
    waiting: Waiting,
    layout: AuditLayout,
    step_number: int,
    task_token: str,
    functions: Functions,
    now: datetime,
) -> Release:
    """Have a step of an audit worked, and remember who waits for it; attempts are as those of a round."""
    audit = load_audit(s3, layout)
    step = Step.from_document(s3.read_json(layout.step(step_number)))
    attempt, name = next_attempt(waiting, partial(audit_job_name, layout.uri, step_number))
    campaign = audit.campaign
    record = JobRecord(
        job_name=name,
        campaign="" if campaign is None else campaign.name,
        campaign_uri="" if campaign is None else campaign.uri,
        round=0 if campaign is None else campaign.round,
        attempt=attempt,
        task_type=audit.source.task_type,
        label_categories=audit.source.label_categories,
        # Of a verdict too: what the label is that it is about.
        label_attribute=audit.source.label_attribute,
        task_token=task_token,
        waiting_since=now.isoformat(),
        instructions=audit.source.instructions,
        purpose=step.purpose,
        manifest_uri=layout.step_manifest(step_number),
        output_uri=layout.labeling_prefix(),
        audit_uri=layout.uri,
    )
    return waiting.start(record, audit_submission(audit, step, name, functions))


def next_attempt(waiting: Waiting, name_of: Callable[[int], str]) -> tuple[int, str]:
    """The first attempt, from 1, whose job has not failed, and the job's name."""
    for attempt in count(1):
        name = name_of(attempt)
        job = waiting.find_job(name)
        if job is None or job.status is not JobStatus.FAILED:
            return attempt, name
    raise AssertionError("unreachable: count() doesn't end")


def submission(
    campaign: Campaign, layout: CampaignLayout, round_number: int, name: str, functions: Functions
) -> JobSubmission:
    """The job over the round's selection manifest."""
    labeling = campaign.request.labeling
    return JobSubmission(
        name=name,
        manifest_uri=layout.selection_manifest(round_number),
        output_uri=layout.labeling_prefix(),
        label_attribute=campaign.request.label_attribute,
        label_categories_uri=layout.label_categories(),
        template_uri=template(layout.bucket, campaign.request.task_type),
        role_arn=functions.role_arn,
        pre_annotation_function_arn=functions.pre_annotation_arn,
        post_annotation_function_arn=functions.post_annotation_arn,
        workteam_arn=campaign.workteam_arn,
        workers_per_object=labeling.workers_per_object,
        task_title=labeling.task_title,
        task_description=labeling.task_description,
        task_keywords=labeling.task_keywords,
        task_time_limit_seconds=labeling.task_time_limit_seconds,
        task_availability_seconds=labeling.task_availability_seconds,
        max_concurrent_tasks=labeling.max_concurrent_tasks,
        price_per_answer_usd=labeling.price_per_answer_usd,
    )


def audit_submission(audit: AuditDocument, step: Step, name: str, functions: Functions) -> JobSubmission:
    """The job over a step's manifest: auditors see the audit template, others the task type's."""
    layout, labeling = audit.layout, audit.labeling
    judges = step.purpose in VERDICTS
    verdict_price = audit.policy.price_per_answer_usd
    return JobSubmission(
        name=name,
        manifest_uri=step.manifest_uri,
        output_uri=layout.labeling_prefix(),
        label_attribute=step.label_attribute,
        label_categories_uri=layout.label_categories(),
        template_uri=template(layout.bucket, AUDIT_TEMPLATE if judges else audit.source.task_type),
        role_arn=functions.role_arn,
        pre_annotation_function_arn=functions.pre_annotation_arn,
        post_annotation_function_arn=functions.post_annotation_arn,
        workteam_arn=step.workteam_arn,
        workers_per_object=step.workers_per_object,
        task_title=step.task_title,
        task_description=step.task_description,
        task_keywords=labeling.task_keywords,
        task_time_limit_seconds=labeling.task_time_limit_seconds,
        task_availability_seconds=labeling.task_availability_seconds,
        max_concurrent_tasks=labeling.max_concurrent_tasks,
        price_per_answer_usd=(
            verdict_price if judges and verdict_price is not None else labeling.price_per_answer_usd
        ),
    )
