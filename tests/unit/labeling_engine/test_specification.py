"""What the engine takes from a CreateLabelingJob request, and which rules it checks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from labeling_engine import InvalidJobRequest, JobSpecification
from unit.labeling_engine.job_kit import PRE, request

ARN = "arn:aws:sagemaker:us-east-1:123456789012:labeling-job/digits-r0"
BUILT_IN = "arn:aws:lambda:us-east-1:432418664414:function:"


def problems(**changes: Any) -> list[str]:
    with pytest.raises(InvalidJobRequest) as caught:
        JobSpecification.from_request(request(**changes), ARN)
    return caught.value.problems


def test_defaults_are_those_of_a_private_work_team() -> None:
    document = request()
    del document["HumanTaskConfig"]["TaskAvailabilityLifetimeInSeconds"]
    specification = JobSpecification.from_request(document, ARN)
    assert specification.task_availability == timedelta(days=30)
    assert specification.max_concurrent_objects == 1000
    assert specification.max_human_labeled_objects is None
    assert specification.max_percentage_labeled is None


@pytest.mark.parametrize("path", ["s3://bucket/output", "s3://bucket/output/"])
def test_the_output_lies_below_the_jobs_name(path: str) -> None:
    specification = JobSpecification.from_request(request(OutputConfig={"S3OutputPath": path}), ARN)
    assert (
        specification.output_manifest_uri == "s3://bucket/output/digits-r0/manifests/output/output.manifest"
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"LabelAttributeName": "label-metadata"}, "may not end in -metadata"),
        ({"LabelAttributeName": "source"}, "reserved"),
        ({"LabelAttributeName": "source-ref"}, "reserved"),
        ({"PreHumanTaskLambdaArn": None}, "PreHumanTaskLambdaArn is missing"),
        ({"AnnotationConsolidationConfig": None}, "AnnotationConsolidationConfig is missing"),
        ({"UiConfig": {}}, "give one of UiTemplateS3Uri and HumanTaskUiArn"),
        ({"UiConfig": {"UiTemplateS3Uri": "s3://b/t", "HumanTaskUiArn": "arn"}}, "give one of"),
        ({"UiConfig": {"HumanTaskUiArn": "arn"}}, "not available"),
        ({"TaskTimeLimitInSeconds": 28_801}, "28801 is more than 28800"),
        ({"TaskAvailabilityLifetimeInSeconds": 2_592_001}, "2592001 is more than 2592000"),
        ({"InputConfig": {"DataSource": {}}}, "S3DataSource is missing"),
        ({"InputConfig": {"DataSource": {"SnsDataSource": {"SnsTopicArn": "arn"}}}}, "streaming jobs"),
    ],
)
def test_a_rule_that_the_api_model_lacks_is_checked(changes: dict[str, Any], told: str) -> None:
    (problem,) = problems(**changes)
    assert told in problem


def test_automated_data_labelling_is_refused() -> None:
    document = {**request(), "LabelingJobAlgorithmsConfig": {"LabelingJobAlgorithmSpecificationArn": "arn:x"}}
    with pytest.raises(InvalidJobRequest, match="automated data labelling"):
        JobSpecification.from_request(document, ARN)


@pytest.mark.parametrize(
    ("function", "attribute", "allowed"),
    [
        ("PRE-SemanticSegmentation", "mask-ref", True),
        ("PRE-SemanticSegmentation", "mask", False),
        ("PRE-AdjustmentSemanticSegmentation", "mask", False),
        ("PRE-VerificationSemanticSegmentation", "mask-ref", False),
        ("PRE-VerificationSemanticSegmentation", "audit", True),
        ("PRE-AdjustmentVideoObjectTracking", "tracks-ref", True),
        ("PRE-3DPointCloudObjectTracking", "tracks", False),
        ("PRE-ImageMultiClass", "label-ref", False),
        ("PRE-ImageMultiClass", "label", True),
        ("PRE-PassThrough", "label-ref", True),
        ("tests-pre-annotation", "label-ref", True),
    ],
)
def test_only_labels_that_are_files_have_names_in_ref(function: str, attribute: str, allowed: bool) -> None:
    document = request(LabelAttributeName=attribute, PreHumanTaskLambdaArn=BUILT_IN + function)
    if allowed:
        assert JobSpecification.from_request(document, ARN).label_attribute == attribute
    else:
        with pytest.raises(InvalidJobRequest, match="-ref"):
            JobSpecification.from_request(document, ARN)


def test_the_task_type_is_known_from_the_consolidation_function_too() -> None:
    consolidation = {"AnnotationConsolidationLambdaArn": BUILT_IN + "ACS-SemanticSegmentation"}
    (problem,) = problems(PreHumanTaskLambdaArn=PRE, AnnotationConsolidationConfig=consolidation)
    assert "must end in -ref" in problem


def test_all_broken_rules_are_told_at_once() -> None:
    found = problems(
        LabelAttributeName="x-metadata",
        InputConfig={"DataSource": {}},
        PreHumanTaskLambdaArn=None,
        AnnotationConsolidationConfig=None,
        UiConfig={},
        TaskTimeLimitInSeconds=90_000,
    )
    assert len(found) == 6
