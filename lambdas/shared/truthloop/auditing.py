"""The beginning of an audit: whether a labelling job that has ended is audited, and what exactly, frozen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from truthloop.audit.document import AuditDocument, CampaignRound, Labeling, Source
from truthloop.campaign import Campaign, load_campaign
from truthloop.errors import ObjectNotFound, TruthloopError
from truthloop.gold import is_gold
from truthloop.labeling.backend import Job, JobStatus
from truthloop.labeling.ground_truth import read_description
from truthloop.labeling.outputs import output_rows
from truthloop.layout import AuditLayout, CampaignLayout, JobLayout
from truthloop.manifest import Row, is_labeled
from truthloop.names import audit_name
from truthloop.request import CampaignRequest
from truthloop.s3 import S3Gateway

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

AUDITED_STATUSES = frozenset({JobStatus.COMPLETED, JobStatus.STOPPED})
"""How a job ends whose labels are audited: those of a failed one are not used."""


class NoAuditors(TruthloopError):
    """An audit is wanted, but there is no team of other people to do it."""


def begin(s3: S3Gateway, document: AuditDocument) -> AuditLayout:
    """Freeze an audit's document; the one that an earlier call froze stays."""
    s3.write_json_once(document.layout.document(), document.to_document())
    return document.layout


def audit_of_round(
    s3: S3Gateway,
    sagemaker: SageMakerClient,
    layout: CampaignLayout,
    round_number: int,
    job_name: str | None,
    auditors_workteam_arn: str | None,
    now: datetime,
) -> AuditDocument | None:
    """What is audited of a round; None when its campaign wants no audit, or the round has no label yet.

    Parameters
    ----------
    job_name
        The round's labelling job; None when there was nothing for people to label.
    auditors_workteam_arn
        The stack's own auditors, None when it has none.

    Raises
    ------
    NoAuditors
        When neither the request nor the stack names auditors.
    """
    campaign = load_campaign(s3, layout)
    if not campaign.request.audit.is_wanted:
        return None
    audit = AuditLayout(layout.bucket, layout.campaign, audit_name(layout, round_number))
    source = _source(s3, sagemaker, layout, campaign.request, round_number, job_name)
    if source is None:
        return None
    return AuditDocument(
        name=audit.name,
        uri=audit.uri,
        created_at=now.isoformat(),
        campaign=CampaignRound(layout.campaign, layout.uri, round_number),
        source=source,
        policy=campaign.request.audit,
        target_precision=campaign.request.auto_labeling.target_precision,
        seed=seed_of(campaign.request.seed, round_number),
        labeling=_labeling(campaign, auditors_workteam_arn),
    )


def auditors_of(named: str | None, stacks: str | None, labelers: str) -> str:
    """The ARN of the team that audits: the one that is named, or the stack's own.

    Raises
    ------
    NoAuditors
        When there is none, or when it is the team that labels.
    """
    auditors = named or stacks
    if not auditors:
        raise NoAuditors(
            "An audit is wanted, but neither its policy nor the stack names a work team of auditors. Set the "
            "policy's workteam_arn, or deploy the stack with auditors."
        )
    if auditors == labelers:
        raise NoAuditors(
            f"The work team {labelers} labels, so it cannot audit its own labels. Name another workteam_arn "
            "in the audit's policy."
        )
    return auditors


def seed_of(*identity: str | int) -> int:
    """The seed of an audit's random choices: the same for the same audit, and others for another.

    A row that comes back in a later round must not keep its place in the random order: what an earlier sample
    passed over, a broken promise's labels above all, would be passed over again.
    """
    return int(hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8], 16) & 0x7FFFFFFF


def labeled_rows(s3: S3Gateway, job: Job, attribute: str) -> Iterator[Row]:
    """The rows of a job with a label, without its gold items."""
    folder = JobLayout(job.output_uri, job.name)
    rows = output_rows(
        s3, job.output_manifest_uri or folder.output_manifest(), job.status, folder.intermediate_prefix()
    )
    return (row for row in rows if is_labeled(row, attribute) and not is_gold(row))


def has_labels(s3: S3Gateway, job: Job, attribute: str) -> bool:
    """Whether a job that has ended labelled anything that can be audited."""
    return next(labeled_rows(s3, job, attribute), None) is not None


def _source(
    s3: S3Gateway,
    sagemaker: SageMakerClient,
    layout: CampaignLayout,
    request: CampaignRequest,
    round_number: int,
    job_name: str | None,
) -> Source | None:
    auto_manifest = layout.auto_manifest(round_number)
    source = Source(
        job_name=None,
        job_arn=None,
        output_manifest_uri=None,
        worker_response_prefix=None,
        auto_manifest_uri=auto_manifest if _has_rows(s3, auto_manifest) else None,
        task_type=request.task_type,
        label_attribute=request.label_attribute,
        label_categories=request.label_categories,
        instructions=request.labeling.instructions,
    )
    if job_name is not None:
        description = sagemaker.describe_labeling_job(LabelingJobName=job_name)
        job = read_description(description)
        if job.status not in AUDITED_STATUSES:
            # The round isn't over: the job goes on, or has failed and is followed by another one.
            return None
        if has_labels(s3, job, request.label_attribute):
            source = replace(
                source,
                job_name=job_name,
                job_arn=description["LabelingJobArn"],
                output_manifest_uri=job.output_manifest_uri,
                worker_response_prefix=JobLayout(job.output_uri, job_name).worker_responses_prefix(),
            )
    return None if source.job_name is None and source.auto_manifest_uri is None else source


def _has_rows(s3: S3Gateway, uri: str) -> bool:
    try:
        return s3.head(uri).size > 0
    except ObjectNotFound:
        return False


def _labeling(campaign: Campaign, auditors_workteam_arn: str | None) -> Labeling:
    labeling, audit = campaign.request.labeling, campaign.request.audit
    auditors = auditors_of(audit.workteam_arn, auditors_workteam_arn, campaign.workteam_arn)
    return Labeling(
        workteam_arn=campaign.workteam_arn,
        auditors_workteam_arn=auditors,
        experts_workteam_arn=audit.expert_workteam_arn or auditors,
        workers_per_object=labeling.workers_per_object,
        task_title=labeling.task_title,
        task_description=labeling.task_description,
        task_keywords=labeling.task_keywords,
        task_time_limit_seconds=labeling.task_time_limit_seconds,
        task_availability_seconds=labeling.task_availability_seconds,
        max_concurrent_tasks=labeling.max_concurrent_tasks,
        price_per_answer_usd=labeling.price_per_answer_usd,
    )
