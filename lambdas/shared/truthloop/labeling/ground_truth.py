"""The labelling backend on Amazon SageMaker Ground Truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from truthloop import aws
from truthloop.labeling.backend import (
    Job,
    JobCounters,
    JobNameTaken,
    JobNotFound,
    JobStatus,
    JobSubmission,
)
from truthloop.names import labeling_job_name_of

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeLabelingJob.html
_STATUSES = {
    "Initializing": JobStatus.IN_PROGRESS,
    "InProgress": JobStatus.IN_PROGRESS,
    "Stopping": JobStatus.IN_PROGRESS,
    "Completed": JobStatus.COMPLETED,
    "Failed": JobStatus.FAILED,
    "Stopped": JobStatus.STOPPED,
}
_PUBLIC_CROWD = ":workteam/public-crowd/"


class GroundTruthBackend:
    """SageMaker labelling jobs."""

    def __init__(self, client: SageMakerClient | None = None) -> None:
        self._client = aws.sagemaker() if client is None else client

    def submit(self, job: JobSubmission) -> None:
        request: Any = creation_request(job)
        try:
            self._client.create_labeling_job(**request)
        except ClientError as error:
            if error.response["Error"].get("Code") == "ResourceInUse":
                raise JobNameTaken(f"A labelling job {job.name!r} exists.") from error
            raise

    def describe(self, name: str) -> Job:
        with _absence_explained(name):
            return read_description(self._client.describe_labeling_job(LabelingJobName=name))

    def stop(self, name: str) -> None:
        with _absence_explained(name):
            self._client.stop_labeling_job(LabelingJobName=name)


def creation_request(job: JobSubmission) -> dict[str, Any]:
    """The CreateLabelingJob request.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateLabelingJob.html
    """
    task: dict[str, Any] = {
        "WorkteamArn": job.workteam_arn,
        "UiConfig": {"UiTemplateS3Uri": job.template_uri},
        "PreHumanTaskLambdaArn": job.pre_annotation_function_arn,
        "TaskKeywords": list(job.task_keywords),
        "TaskTitle": job.task_title,
        "TaskDescription": job.task_description,
        "NumberOfHumanWorkersPerDataObject": job.workers_per_object,
        "TaskTimeLimitInSeconds": job.task_time_limit_seconds,
        "TaskAvailabilityLifetimeInSeconds": job.task_availability_seconds,
        "MaxConcurrentTaskCount": job.max_concurrent_tasks,
        "AnnotationConsolidationConfig": {
            "AnnotationConsolidationLambdaArn": job.post_annotation_function_arn
        },
    }
    # A private team is paid by whoever employs it; the service takes a price for the public crowd alone.
    if job.price_per_answer_usd is not None and _PUBLIC_CROWD in job.workteam_arn:
        task["PublicWorkforceTaskPrice"] = {"AmountInUsd": _amount(job.price_per_answer_usd)}
    return {
        "LabelingJobName": job.name,
        "LabelAttributeName": job.label_attribute,
        "InputConfig": {"DataSource": {"S3DataSource": {"ManifestS3Uri": job.manifest_uri}}},
        "OutputConfig": {"S3OutputPath": job.output_uri},
        "RoleArn": job.role_arn,
        "LabelCategoryConfigS3Uri": job.label_categories_uri,
        "HumanTaskConfig": task,
    }


def read_description(answer: Mapping[str, Any]) -> Job:
    """A job from the DescribeLabelingJob response."""
    counters = answer.get("LabelCounters", {})
    return Job(
        name=answer["LabelingJobName"],
        status=_STATUSES[answer["LabelingJobStatus"]],
        manifest_uri=answer["InputConfig"]["DataSource"].get("S3DataSource", {}).get("ManifestS3Uri", ""),
        output_uri=answer["OutputConfig"]["S3OutputPath"],
        output_manifest_uri=answer.get("LabelingJobOutput", {}).get("OutputDatasetS3Uri") or None,
        failure_reason=answer.get("FailureReason", ""),
        counters=JobCounters(
            labeled=counters.get("TotalLabeled", 0),
            failed=counters.get("FailedNonRetryableError", 0),
            unlabeled=counters.get("Unlabeled", 0),
        ),
    )


def job_name_of_event(event: Mapping[str, Any]) -> str | None:
    """The job that a state-change event is about, None when it is about something else.

    The event's detail holds the status alone; the name is in the ARN under `resources`.
    https://docs.aws.amazon.com/sagemaker/latest/dg/sms-monitor-cloud-watch.html
    """
    for resource in event.get("resources") or []:
        return labeling_job_name_of(resource)
    return None


def _amount(usd: float) -> dict[str, int]:
    tenths = int((Decimal(str(usd)) * 1000).to_integral_value(ROUND_HALF_UP))
    return {
        "Dollars": tenths // 1000,
        "Cents": tenths % 1000 // 10,
        "TenthFractionsOfACent": tenths % 10,
    }


@contextmanager
def _absence_explained(name: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        details = error.response["Error"]
        code, message = details.get("Code"), details.get("Message", "").lower()
        # The API model names ResourceNotFound; the controller that AWS publishes for Kubernetes meets a
        # ValidationException: https://github.com/aws-controllers-k8s/sagemaker-controller/pull/303
        absent = code == "ResourceNotFound" or (
            code == "ValidationException" and ("not found" in message or "does not exist" in message)
        )
        if absent:
            raise JobNotFound(f"There is no labelling job {name!r}.") from error
        raise
