from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from truthloop.labeling.backend import JobCounters, JobNameTaken, JobNotFound, JobStatus
from truthloop.labeling.ground_truth import GroundTruthBackend, creation_request, job_name_of_event
from unit.labeling.kit import BUCKET, LAYOUT, WORKTEAM, submission

NAME = "digits-r0-a1-0123abcd"
ARN = f"arn:aws:sagemaker:us-east-1:123456789012:labeling-job/{NAME}"


@pytest.fixture
def client() -> Any:
    return boto3.client(
        "sagemaker", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )


def description(status: str, **changes: Any) -> dict[str, Any]:
    """A DescribeLabelingJob response with all that the API model requires."""
    moment = datetime(2030, 1, 31, tzinfo=UTC)
    return {
        "LabelingJobStatus": status,
        "LabelCounters": {
            "TotalLabeled": 7,
            "HumanLabeled": 7,
            "MachineLabeled": 0,
            "FailedNonRetryableError": 2,
            "Unlabeled": 1,
        },
        "CreationTime": moment,
        "LastModifiedTime": moment,
        "JobReferenceCode": "507354440914YHSw1jUyO0XYOgL2",
        "LabelingJobName": NAME,
        "LabelingJobArn": ARN,
        "LabelAttributeName": "label",
        "InputConfig": {"DataSource": {"S3DataSource": {"ManifestS3Uri": LAYOUT.selection_manifest(0)}}},
        "OutputConfig": {"S3OutputPath": LAYOUT.labeling_prefix()},
        "RoleArn": "arn:aws:iam::123456789012:role/labeling",
        "HumanTaskConfig": creation_request(submission())["HumanTaskConfig"],
        **changes,
    }


def violations(value: Any, shape: Any, path: str = "") -> list[str]:
    """What breaks the API model's patterns, lengths and ranges; botocore itself checks only the minima."""
    found = []
    if shape.type_name == "structure":
        for key, item in value.items():
            found += violations(item, shape.members[key], f"{path}.{key}")
    elif shape.type_name == "list":
        found += _outside(len(value), shape, f"{path} items")
        for item in value:
            found += violations(item, shape.member, f"{path}[]")
    elif shape.type_name == "string":
        found += _outside(len(value), shape, f"{path} characters")
        pattern = shape.metadata.get("pattern")
        if pattern and not re.fullmatch(pattern, value):
            found.append(f"{path}={value!r} does not match {pattern}")
    elif shape.type_name in ("integer", "long"):
        found += _outside(value, shape, path)
    return found


def _outside(number: int, shape: Any, path: str) -> list[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    inside = (low is None or number >= low) and (high is None or number <= high)
    return [] if inside else [f"{path}: {number} is outside {low}..{high}"]


def test_the_request_obeys_every_pattern_and_range_of_the_api_model() -> None:
    model = botocore.session.get_session().get_service_model("sagemaker")
    shape = model.operation_model("CreateLabelingJob").input_shape
    assert violations(creation_request(submission()), shape) == []
    # That the check above sees anything at all.
    assert violations(creation_request(submission(name="under_score")), shape)
    assert violations(creation_request(submission(workers_per_object=10)), shape)


def test_the_request_names_the_selection_the_template_the_functions_and_the_team() -> None:
    request = creation_request(submission())
    assert request["LabelingJobName"] == NAME
    assert request["LabelAttributeName"] == "label"
    assert request["InputConfig"]["DataSource"]["S3DataSource"]["ManifestS3Uri"] == (
        LAYOUT.selection_manifest(0)
    )
    assert request["OutputConfig"] == {"S3OutputPath": LAYOUT.labeling_prefix()}
    assert request["LabelCategoryConfigS3Uri"] == LAYOUT.label_categories()
    task = request["HumanTaskConfig"]
    assert task["UiConfig"] == {
        "UiTemplateS3Uri": f"s3://{BUCKET}/templates/image-classification/template.liquid.html"
    }
    assert task["WorkteamArn"] == WORKTEAM
    assert task["PreHumanTaskLambdaArn"].endswith(":pre-annotation")
    assert task["AnnotationConsolidationConfig"]["AnnotationConsolidationLambdaArn"].endswith(
        ":post-annotation"
    )
    assert task["NumberOfHumanWorkersPerDataObject"] == 3


@pytest.mark.parametrize(
    ("usd", "amount"),
    [
        (0.012, {"Dollars": 0, "Cents": 1, "TenthFractionsOfACent": 2}),
        (1.29, {"Dollars": 1, "Cents": 29, "TenthFractionsOfACent": 0}),
        (0.0, {"Dollars": 0, "Cents": 0, "TenthFractionsOfACent": 0}),
    ],
)
def test_a_price_is_named_to_the_public_crowd_alone(usd: float, amount: dict[str, int]) -> None:
    public = "arn:aws:sagemaker:us-east-1:394669845002:workteam/public-crowd/default"
    task = creation_request(submission(workteam_arn=public, price_per_answer_usd=usd))["HumanTaskConfig"]
    assert task["PublicWorkforceTaskPrice"] == {"AmountInUsd": amount}
    task = creation_request(submission(price_per_answer_usd=usd))["HumanTaskConfig"]
    assert "PublicWorkforceTaskPrice" not in task


def test_a_job_is_submitted_with_that_request(client: Any) -> None:
    with Stubber(client) as stub:
        stub.add_response("create_labeling_job", {"LabelingJobArn": ARN}, creation_request(submission()))
        GroundTruthBackend(client).submit(submission())
        stub.assert_no_pending_responses()


def test_a_name_in_use_is_told_from_other_errors(client: Any) -> None:
    with Stubber(client) as stub:
        stub.add_client_error("create_labeling_job", "ResourceInUse")
        with pytest.raises(JobNameTaken, match=NAME):
            GroundTruthBackend(client).submit(submission())
        stub.add_client_error("create_labeling_job", "ResourceLimitExceeded")
        with pytest.raises(ClientError, match="ResourceLimitExceeded"):
            GroundTruthBackend(client).submit(submission())


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("Initializing", JobStatus.IN_PROGRESS),
        ("InProgress", JobStatus.IN_PROGRESS),
        ("Stopping", JobStatus.IN_PROGRESS),
        ("Completed", JobStatus.COMPLETED),
        ("Failed", JobStatus.FAILED),
        ("Stopped", JobStatus.STOPPED),
    ],
)
def test_every_status_of_the_service_is_known(client: Any, theirs: str, ours: JobStatus) -> None:
    with Stubber(client) as stub:
        stub.add_response("describe_labeling_job", description(theirs), {"LabelingJobName": NAME})
        assert GroundTruthBackend(client).describe(NAME).status is ours


def test_a_description_carries_what_the_workflow_decides_on(client: Any) -> None:
    output = f"{LAYOUT.labeling_prefix()}{NAME}/manifests/output/output.manifest"
    answer = description(
        "Failed", LabelingJobOutput={"OutputDatasetS3Uri": output}, FailureReason="ClientError: no access"
    )
    with Stubber(client) as stub:
        stub.add_response("describe_labeling_job", answer)
        job = GroundTruthBackend(client).describe(NAME)
    assert (job.manifest_uri, job.output_uri) == (LAYOUT.selection_manifest(0), LAYOUT.labeling_prefix())
    assert job.output_manifest_uri == output
    assert job.failure_reason == "ClientError: no access"
    assert job.counters == JobCounters(labeled=7, failed=2, unlabeled=1)


def test_a_running_job_has_no_output_yet(client: Any) -> None:
    with Stubber(client) as stub:
        stub.add_response("describe_labeling_job", description("InProgress"))
        assert GroundTruthBackend(client).describe(NAME).output_manifest_uri is None


@pytest.mark.parametrize(
    ("code", "message"), [("ResourceNotFound", ""), ("ValidationException", "Requested resource not found.")]
)
@pytest.mark.parametrize("call", ["describe", "stop"])
def test_an_absent_job_is_told_from_other_errors(client: Any, call: str, code: str, message: str) -> None:
    with Stubber(client) as stub:
        stub.add_client_error(f"{call}_labeling_job", code, message)
        with pytest.raises(JobNotFound, match=NAME):
            getattr(GroundTruthBackend(client), call)(NAME)
        stub.add_client_error(f"{call}_labeling_job", "ValidationException", "The name is too long")
        with pytest.raises(ClientError, match="too long"):
            getattr(GroundTruthBackend(client), call)(NAME)


def test_a_job_is_stopped_by_name(client: Any) -> None:
    with Stubber(client) as stub:
        stub.add_response("stop_labeling_job", {}, {"LabelingJobName": NAME})
        GroundTruthBackend(client).stop(NAME)
        stub.assert_no_pending_responses()


def test_the_jobs_name_is_taken_from_the_events_resources() -> None:
    event = {
        "source": "aws.sagemaker",
        "detail-type": "SageMaker Ground Truth Labeling Job State Change",
        "resources": [ARN],
        "detail": {"LabelingJobStatus": "Completed"},
    }
    assert job_name_of_event(event) == NAME


@pytest.mark.parametrize("resources", [None, [], ["arn:aws:sagemaker:us-east-1:123456789012:model/x"]])
def test_an_event_about_something_else_names_no_job(resources: Any) -> None:
    assert job_name_of_event({"resources": resources, "detail": {}}) is None
