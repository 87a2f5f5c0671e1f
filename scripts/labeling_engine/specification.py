"""What a labelling job is to do, read from a request in the form of SageMaker's CreateLabelingJob."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

# Limits that the service states in prose only; the API model carries the others.
# Source: HumanTaskConfig in the SageMaker API reference (image, text and custom jobs on a private work team).
LONGEST_TASK_SECONDS = 28_800
LONGEST_AVAILABILITY_SECONDS = 2_592_000
DEFAULT_CONCURRENT_OBJECTS = 1_000
SOURCE_KEYS = ("source-ref", "source")

# The built-in task types whose label is a file: their attribute name must end in "-ref", others' must not.
_REFERENCE_TASKS = (
    "SemanticSegmentation",
    "VideoObjectDetection",
    "VideoObjectTracking",
    "3DPointCloudSemanticSegmentation",
    "3DPointCloudObjectTracking",
)


class InvalidJobRequest(ValueError):
    """The request breaks rules of CreateLabelingJob.

    Parameters
    ----------
    problems
        One sentence per broken rule; never empty.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


@dataclass(frozen=True)
class JobSpecification:
    """A labelling job's settings; `from_request` makes one and checks the rules that the API model lacks."""

    name: str
    arn: str
    label_attribute: str
    manifest_uri: str
    output_uri: str
    role_arn: str
    workteam_arn: str
    template_uri: str
    label_categories_uri: str | None
    pre_annotation_arn: str
    post_annotation_arn: str
    workers_per_object: int
    task_time_limit: timedelta
    task_availability: timedelta
    max_concurrent_objects: int
    max_human_labeled_objects: int | None
    max_percentage_labeled: int | None

    @classmethod
    def from_request(cls, request: Mapping[str, Any], arn: str) -> JobSpecification:
        """Read a CreateLabelingJob request whose members have the types and lengths of the API model.

        Parameters
        ----------
        request
            The request as boto3 takes it.
        arn
            The ARN that the job gets.

        Raises
        ------
        InvalidJobRequest
            Lists every rule that the request breaks.
        """
        problems = list(_problems(request))
        if problems:
            raise InvalidJobRequest(problems)
        task = request["HumanTaskConfig"]
        stopping = request.get("StoppingConditions", {})
        return cls(
            name=request["LabelingJobName"],
            arn=arn,
            label_attribute=request["LabelAttributeName"],
            manifest_uri=request["InputConfig"]["DataSource"]["S3DataSource"]["ManifestS3Uri"],
            output_uri=request["OutputConfig"]["S3OutputPath"].rstrip("/"),
            role_arn=request["RoleArn"],
            workteam_arn=task["WorkteamArn"],
            template_uri=task["UiConfig"]["UiTemplateS3Uri"],
            label_categories_uri=request.get("LabelCategoryConfigS3Uri"),
            pre_annotation_arn=task["PreHumanTaskLambdaArn"],
            post_annotation_arn=task["AnnotationConsolidationConfig"]["AnnotationConsolidationLambdaArn"],
            workers_per_object=task["NumberOfHumanWorkersPerDataObject"],
            task_time_limit=timedelta(seconds=task["TaskTimeLimitInSeconds"]),
            task_availability=timedelta(
                seconds=task.get("TaskAvailabilityLifetimeInSeconds", LONGEST_AVAILABILITY_SECONDS)
            ),
            max_concurrent_objects=task.get("MaxConcurrentTaskCount", DEFAULT_CONCURRENT_OBJECTS),
            max_human_labeled_objects=stopping.get("MaxHumanLabeledObjectCount"),
            max_percentage_labeled=stopping.get("MaxPercentageOfInputDatasetLabeled"),
        )

    @property
    def workteam(self) -> str:
        """The name of the work team that does the job."""
        return self.workteam_arn.rpartition("/")[2]

    @property
    def reference_code(self) -> str:
        """The code by which work teams and logs know the job."""
        return hashlib.sha256(self.arn.encode()).hexdigest()[:10]

    @property
    def output_prefix(self) -> str:
        """The S3 URI below which the job writes everything, without a slash at the end."""
        return f"{self.output_uri}/{self.name}"

    @property
    def output_manifest_uri(self) -> str:
        """The S3 URI of the output manifest."""
        return f"{self.output_prefix}/manifests/output/output.manifest"

    @property
    def metadata_attribute(self) -> str:
        """The key of a row that holds the label's metadata."""
        return f"{self.label_attribute}-metadata"


def _problems(request: Mapping[str, Any]) -> list[str]:
    """Return the broken rules of a request, one sentence each."""
    task = request["HumanTaskConfig"]
    consolidation = task.get("AnnotationConsolidationConfig", {}).get("AnnotationConsolidationLambdaArn")
    problems = _attribute_problems(
        request["LabelAttributeName"], (task.get("PreHumanTaskLambdaArn"), consolidation)
    )

    data_source = request["InputConfig"]["DataSource"]
    if "SnsDataSource" in data_source:
        problems.append(
            "InputConfig.DataSource.SnsDataSource: streaming jobs are not available; give S3DataSource"
        )
    elif "S3DataSource" not in data_source:
        problems.append("InputConfig.DataSource: S3DataSource is missing; give its ManifestS3Uri")
    if "LabelingJobAlgorithmsConfig" in request:
        problems.append(
            "LabelingJobAlgorithmsConfig: automated data labelling is not available; leave it out"
        )

    ui = task["UiConfig"]
    if ("UiTemplateS3Uri" in ui) == ("HumanTaskUiArn" in ui):
        problems.append("HumanTaskConfig.UiConfig: give one of UiTemplateS3Uri and HumanTaskUiArn")
    elif "HumanTaskUiArn" in ui:
        problems.append("HumanTaskConfig.UiConfig.HumanTaskUiArn: not available; give UiTemplateS3Uri")
    if "PreHumanTaskLambdaArn" not in task:
        problems.append("HumanTaskConfig.PreHumanTaskLambdaArn is missing; name the pre-annotation function")
    if consolidation is None:
        problems.append(
            "HumanTaskConfig.AnnotationConsolidationConfig is missing; name the post-annotation function"
        )

    for key, most in (
        ("TaskTimeLimitInSeconds", LONGEST_TASK_SECONDS),
        ("TaskAvailabilityLifetimeInSeconds", LONGEST_AVAILABILITY_SECONDS),
    ):
        if task.get(key, 0) > most:
            problems.append(f"HumanTaskConfig.{key}: {task[key]} is more than {most}; give at most {most}")
    return problems


def _attribute_problems(name: str, function_arns: tuple[str | None, ...]) -> list[str]:
    """Return what is wrong with a label attribute name.

    Notes
    -----
    The task type is known from the names of the built-in functions alone (``PRE-…``, ``ACS-…``); with
    functions of one's own either ending is allowed.
    """
    problems = []
    if name.endswith("-metadata"):
        problems.append(f"LabelAttributeName {name!r} may not end in -metadata; choose another name")
    if name in SOURCE_KEYS:
        problems.append(f"LabelAttributeName {name!r} is reserved for the data object; choose another name")
    suffixes = [arn.rsplit(":function:", 1)[-1] for arn in function_arns if arn]
    task_types = {
        s.removeprefix("PRE-").removeprefix("ACS-") for s in suffixes if s.startswith(("PRE-", "ACS-"))
    }
    for task_type in sorted(task_types - {"PassThrough"}):
        needs_reference = task_type.removeprefix("Adjustment") in _REFERENCE_TASKS
        if needs_reference and not name.endswith("-ref"):
            problems.append(f"LabelAttributeName {name!r} must end in -ref for the task type {task_type}")
        if not needs_reference and name.endswith("-ref"):
            problems.append(f"LabelAttributeName {name!r} may not end in -ref for the task type {task_type}")
    return problems
