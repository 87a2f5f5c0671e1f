from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truthloop.layout import CAMPAIGN_NAME, CampaignLayout
from truthloop.names import labeling_job_name, labeling_job_name_of

# The pattern of LabelingJobName in the CreateLabelingJob reference.
JOB_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


@given(
    campaign=st.from_regex(CAMPAIGN_NAME, fullmatch=True),
    round_number=st.integers(0, 9_999),
    attempt=st.integers(1, 999),
)
def test_every_name_obeys_the_services_pattern_and_length(
    campaign: str, round_number: int, attempt: int
) -> None:
    name = labeling_job_name(CampaignLayout("bucket", campaign), round_number, attempt)
    assert JOB_NAME.fullmatch(name)
    assert len(name) <= 63


def test_the_same_round_and_attempt_always_have_the_same_name() -> None:
    layout = CampaignLayout("bucket", "digits")
    assert labeling_job_name(layout, 3, 2) == labeling_job_name(layout, 3, 2)
    assert re.fullmatch(r"digits-r3-a2-[0-9a-f]{8}", labeling_job_name(layout, 3, 2))


def test_another_campaign_bucket_round_or_attempt_has_another_name() -> None:
    long = "a-" * 31
    layouts = [CampaignLayout(bucket, name) for bucket in ("one", "two") for name in (long + "b", long + "c")]
    names = {
        labeling_job_name(layout, round_number, attempt)
        for layout, round_number, attempt in itertools.product(layouts, (1, 11), (1, 2))
    }
    assert len(names) == len(layouts) * 4


@pytest.mark.parametrize("partition", ["aws", "aws-cn"])
def test_the_name_is_read_from_the_jobs_arn(partition: str) -> None:
    arn = f"arn:{partition}:sagemaker:us-east-1:123456789012:labeling-job/digits-r0-a1-0123abcd"
    assert labeling_job_name_of(arn) == "digits-r0-a1-0123abcd"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "None",
        "arn:aws:sagemaker:us-east-1:123456789012:training-job/digits",
        "arn:aws:sagemaker:us-east-1:123456789012:labeling-job/",
    ],
)
def test_what_is_no_labelling_jobs_arn_has_no_name(text: str) -> None:
    assert labeling_job_name_of(text) is None
