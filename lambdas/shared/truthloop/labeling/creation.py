"""The labelling job of a round: its attempt, its record and its submission, from what the campaign froze."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import count

from truthloop.campaign import Campaign, load_campaign
from truthloop.labeling.backend import JobStatus, JobSubmission
from truthloop.labeling.jobs import JobRecord
from truthloop.labeling.waiting import Release, Waiting
from truthloop.layout import CampaignLayout, template
from truthloop.names import labeling_job_name
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
    attempt = next_attempt(waiting, layout, round_number)
    name = labeling_job_name(layout, round_number, attempt)
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
    )
    return waiting.start(record, submission(campaign, layout, round_number, name, functions))


def next_attempt(waiting: Waiting, layout: CampaignLayout, round_number: int) -> int:
    """The first attempt, from 1, whose job has not failed."""
    for attempt in count(1):
        job = waiting.find_job(labeling_job_name(layout, round_number, attempt))
        if job is None or job.status is not JobStatus.FAILED:
            return attempt
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
