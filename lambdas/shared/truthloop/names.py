"""Deterministic names: the same campaign, round and attempt always give the same labelling job."""

from __future__ import annotations

import hashlib
import json

from truthloop.layout import CampaignLayout

# CreateLabelingJob, LabelingJobName: 1-63 of [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}, unique whatever the case.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateLabelingJob.html
LABELING_JOB_NAME_MAXIMUM = 63
_DIGEST_CHARACTERS = 8


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
    identity = json.dumps([layout.uri, round_number, attempt]).encode()
    digest = hashlib.sha256(identity).hexdigest()[:_DIGEST_CHARACTERS]
    suffix = f"-r{round_number}-a{attempt}-{digest}"
    return layout.campaign[: LABELING_JOB_NAME_MAXIMUM - len(suffix)] + suffix


def labeling_job_name_of(arn: str) -> str | None:
    """The job's name from `arn:<partition>:sagemaker:<region>:<account>:labeling-job/<name>`, else None."""
    kind, _, name = arn.rpartition(":")[2].partition("/")
    return name if kind == "labeling-job" and name else None
