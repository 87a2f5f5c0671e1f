"""Deterministic names: the same campaign, round and attempt always give the same labelling job."""

from __future__ import annotations

import hashlib
import json

from truthloop.layout import AuditLayout, CampaignLayout

# CreateLabelingJob, LabelingJobName: 1-63 of [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}, unique whatever the case.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateLabelingJob.html
LABELING_JOB_NAME_MAXIMUM = 63
_DIGEST_CHARACTERS = 8
# An execution's name has at most 80 characters, and ends in the audit's attempt.
_AUDIT_NAME_MAXIMUM = 63


def labeling_job_name(layout: CampaignLayout, round_number: int, attempt: int) -> str:
    """The name of a round's labelling job, `<campaign>-r<round>-a<attempt>-<8 hexadecimal digits>`.

    The digest covers the campaign's URI, so that campaigns of one name in two data buckets of an account
    have different jobs. A long campaign name is cut to keep the whole within 63 characters; the digest
    keeps it unique.

    Parameters
    ----------
    round_number
        From 0.
    attempt
        From 1; the next one follows a job that failed.
    """
    digest = _digest(layout.uri, round_number, attempt)
    return _cut(layout.campaign, f"-r{round_number}-a{attempt}-{digest}", LABELING_JOB_NAME_MAXIMUM)


def audit_name(layout: CampaignLayout, round_number: int) -> str:
    """The name of a round's audit, `<campaign>-r<round>-<8 hexadecimal digits>`."""
    digest = _digest(layout.uri, round_number, "audit")
    return _cut(layout.campaign, f"-r{round_number}-{digest}", _AUDIT_NAME_MAXIMUM)


def standalone_audit_name(labeling_job_arn: str) -> str:
    """The name of the audit of a labelling job that belongs to no campaign, from the job's name and ARN."""
    name = labeling_job_name_of(labeling_job_arn) or "job"
    return _cut(name, f"-{_digest(labeling_job_arn, 'audit')}", _AUDIT_NAME_MAXIMUM)


def audit_job_name(audit_uri: str, step: int, attempt: int) -> str:
    """The name of the labelling job of an audit's step, `<audit>-s<step>-a<attempt>-<8 digits>`.

    Parameters
    ----------
    step, attempt
        From 1.
    """
    digest = _digest(audit_uri, step, attempt)
    name = AuditLayout.from_uri(audit_uri).name
    return _cut(name, f"-s{step}-a{attempt}-{digest}", LABELING_JOB_NAME_MAXIMUM)


def _digest(*identity: str | int) -> str:
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:_DIGEST_CHARACTERS]


def _cut(name: str, suffix: str, maximum: int) -> str:
    return name[: maximum - len(suffix)] + suffix


def labeling_job_name_of(arn: str) -> str | None:
    """The job's name from `arn:<partition>:sagemaker:<region>:<account>:labeling-job/<name>`, else None."""
    kind, _, name = arn.rpartition(":")[2].partition("/")
    return name if kind == "labeling-job" and name else None
