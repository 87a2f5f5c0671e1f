from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest

from truthloop import aws
from truthloop.errors import MissingEnvironment
from truthloop.labeling.annotations import InvalidAnnotationEvent
from truthloop.labeling.jobs import JobsTable, UnknownLabelingJob
from truthloop.labeling.waiting import ReconciliationIncomplete
from truthloop.manifest import encode_row, read_master, with_provenance
from truthloop.names import labeling_job_name
from truthloop.s3 import S3Gateway
from unit.labeling.kit import (
    BUCKET,
    FUNCTIONS,
    LAYOUT,
    REGION_AND_ACCOUNT,
    TABLE,
    WaitingExecutions,
    campaign,
    client_error,
    lambda_context,
    load_handler,
    record,
)

VARIABLES = {
    "DATA_BUCKET": BUCKET,
    "JOBS_TABLE": TABLE,
    "LABELING_ROLE_ARN": FUNCTIONS.role_arn,
    "PRE_ANNOTATION_FUNCTION_ARN": FUNCTIONS.pre_annotation_arn,
    "POST_ANNOTATION_FUNCTION_ARN": FUNCTIONS.post_annotation_arn,
}
READS = {
    "create_labeling_job": set(VARIABLES),
    "release_labeling_job": {"JOBS_TABLE"},
    "reconcile_labeling_jobs": {"JOBS_TABLE"},
    "pre_annotation": {"JOBS_TABLE"},
    "post_annotation": {"JOBS_TABLE", "DATA_BUCKET"},
    "merge_labels": {"DATA_BUCKET", "JOBS_TABLE"},
}
NAME = labeling_job_name(LAYOUT, 0, 1)
ARN = f"arn:aws:sagemaker:{REGION_AND_ACCOUNT}:labeling-job/{NAME}"
SOURCE = {"source-ref": "s3://images/1.png"}


class SageMaker:
    """The calls of the SageMaker API that the functions make."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}

    def create_labeling_job(self, **request: Any) -> dict[str, Any]:
        name = request["LabelingJobName"]
        if name in self.jobs:
            raise client_error("ResourceInUse", "CreateLabelingJob")
        self.jobs[name] = {**request, "LabelingJobStatus": "InProgress", "LabelCounters": {}}
        return {"LabelingJobArn": ARN}

    def describe_labeling_job(self, LabelingJobName: str) -> dict[str, Any]:
        if LabelingJobName not in self.jobs:
            raise client_error("ResourceNotFound", "DescribeLabelingJob")
        return self.jobs[LabelingJobName]


@pytest.fixture
def sagemaker(monkeypatch: pytest.MonkeyPatch) -> SageMaker:
    service = SageMaker()
    monkeypatch.setattr(aws, "sagemaker", lambda: service)
    return service


@pytest.fixture
def prepared(
    s3: S3Gateway,
    jobs: JobsTable,
    sagemaker: SageMaker,
    executions: WaitingExecutions,
    monkeypatch: pytest.MonkeyPatch,
) -> S3Gateway:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(aws, "stepfunctions", lambda: executions)
    s3.write_json(LAYOUT.campaign_document(), campaign().to_document())
    s3.write_json(LAYOUT.selection(0), {"round": 0, "to_label": 1})
    row = encode_row(with_provenance(SOURCE, "label"))
    s3.write_bytes(LAYOUT.master_manifest(), row.encode())
    return s3


def call(function: str, event: Any) -> Any:
    result = load_handler(function).lambda_handler(event, lambda_context(function))
    return json.loads(json.dumps(result))


def create(token: str) -> Any:
    state = {"name": "digits", "uri": LAYOUT.uri, "shards": 2}
    return call("create_labeling_job", {"campaign": state, "round": 0, "task_token": token})


def state_change(status: str, arn: str = ARN) -> dict[str, Any]:
    """The event as AWS documents it: its detail holds the status alone."""
    return {
        "version": "0",
        "id": "999cccaa-eaaa-0000-1111-123456789012",
        "detail-type": "SageMaker Ground Truth Labeling Job State Change",
        "source": "aws.sagemaker",
        "account": "123456789012",
        "time": "2030-01-31T12:00:00Z",
        "region": "us-east-1",
        "resources": [arn],
        "detail": {"LabelingJobStatus": status},
    }


@pytest.mark.parametrize("function", READS)
def test_each_function_declares_what_it_reads_and_names_what_is_missing(
    function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    handler = load_handler(function)
    assert {field.name for field in fields(handler.Environment)} == READS[function]
    with pytest.raises(MissingEnvironment) as caught:
        handler.lambda_handler({}, lambda_context(function))
    assert all(name in str(caught.value) for name in READS[function])


def test_a_round_is_labelled_and_merged_through_the_functions(
    prepared: S3Gateway, sagemaker: SageMaker, executions: WaitingExecutions
) -> None:
    assert create("token-1")["outcome"] == "not finished"
    assert sagemaker.jobs[NAME]["RoleArn"] == FUNCTIONS.role_arn

    row = next(read_master(prepared, LAYOUT.master_manifest()))
    pre = {"version": "2018-10-16", "labelingJobArn": ARN, "dataObject": row}
    assert call("pre_annotation", pre) == {
        "taskInput": {
            "taskObject": "s3://images/1.png",
            "labels": ["cat", "dog", "bird"],
            "suggestion": None,
            "instructions": "",
            "context": "",
            "feedback": [],
            "previous": "",
        },
        "isHumanAnnotationRequired": True,
    }

    answer = json.dumps({"crowd-image-classifier": {"label": "bird"}})
    payload = f"{LAYOUT.labeling_prefix()}{NAME}/annotations/consolidated-annotation/request.json"
    annotation = {"workerId": "private.us-east-1.ann", "annotationData": {"content": answer}}
    unreadable = {"workerId": "private.us-east-1.bo", "annotationData": {"content": "?"}}
    prepared.write_json(payload, [{"datasetObjectId": "0", "annotations": [annotation, unreadable]}])
    post = {"version": "2018-10-16", "labelingJobArn": ARN, "labelCategories": None}
    [entry] = call("post_annotation", {**post, "labelAttributeName": "label", "payload": {"s3Uri": payload}})
    assert entry["datasetObjectId"] == "0"
    content = entry["consolidatedAnnotation"]["content"]
    assert content["label"] == 2

    output = LAYOUT.labeling_output_manifest(NAME)
    prepared.write_bytes(output, encode_row({**row, **content}).encode())
    sagemaker.jobs[NAME] |= {
        "LabelingJobStatus": "Completed",
        "LabelingJobOutput": {"OutputDatasetS3Uri": output},
        "LabelCounters": {"TotalLabeled": 1},
    }
    assert call("release_labeling_job", state_change("Completed"))["outcome"] == "resumed"

    merged = call(
        "merge_labels",
        {"campaign": {"name": "digits"}, "round": 0, "labeling": executions.successes["token-1"]},
    )
    assert merged == {"labeled": 1, "failed": 0, "auto": 0}
    [row] = read_master(prepared, LAYOUT.master_manifest())
    assert (row["label"], row["truthloop"]["labeled_by"], row["truthloop"]["job"]) == (2, "people", NAME)


def test_a_retried_creation_finds_the_first_job(
    prepared: S3Gateway, jobs: JobsTable, sagemaker: SageMaker
) -> None:
    create("token-1")
    create("token-2")
    assert list(sagemaker.jobs) == [NAME]
    assert jobs.require(NAME).task_token == "token-2"


def test_the_status_of_the_job_counts_not_that_of_the_event(
    prepared: S3Gateway, executions: WaitingExecutions
) -> None:
    create("token-1")
    assert call("release_labeling_job", state_change("Completed"))["outcome"] == "not finished"
    assert executions.successes == {}


def test_a_repeated_event_resumes_the_execution_once(
    prepared: S3Gateway, sagemaker: SageMaker, executions: WaitingExecutions
) -> None:
    create("token-1")
    sagemaker.jobs[NAME]["LabelingJobStatus"] = "Stopped"
    outcomes = [call("release_labeling_job", state_change("Stopped"))["outcome"] for _ in range(2)]
    assert outcomes == ["resumed", "told before"]
    assert list(executions.successes) == ["token-1"]


def test_events_of_other_jobs_and_of_no_job_are_ignored(
    prepared: S3Gateway, executions: WaitingExecutions
) -> None:
    create("token-1")
    other = ARN.replace(NAME, "somebody-elses")
    assert call("release_labeling_job", state_change("Failed", other))["outcome"] == "not ours"
    assert call("release_labeling_job", {**state_change("Failed"), "resources": []}) is None
    assert (executions.successes, executions.failures) == ({}, {})


def test_the_schedule_releases_the_job_whose_event_was_lost(
    prepared: S3Gateway, sagemaker: SageMaker, executions: WaitingExecutions
) -> None:
    create("token-1")
    assert call("reconcile_labeling_jobs", {})["not_finished"] == 1
    assert executions.heartbeats == ["token-1"]
    sagemaker.jobs[NAME] |= {"LabelingJobStatus": "Failed", "FailureReason": "no access"}
    assert call("reconcile_labeling_jobs", {})["resumed"] == 1
    assert executions.failures == {"token-1": ("LabelingJobFailed", f"{NAME}: no access")}


def test_the_schedule_fails_loudly_after_it_has_done_what_it_could(
    prepared: S3Gateway, jobs: JobsTable, sagemaker: SageMaker, executions: WaitingExecutions
) -> None:
    jobs.open(record("broken", task_token="token-0"))
    sagemaker.jobs["broken"] = {"LabelingJobName": "broken"}
    create("token-1")

    def describe(LabelingJobName: str) -> dict[str, Any]:
        if LabelingJobName == "broken":
            raise client_error("AccessDeniedException", "DescribeLabelingJob")
        return sagemaker.jobs[LabelingJobName]

    sagemaker.describe_labeling_job = describe  # type: ignore[method-assign]
    with pytest.raises(ReconciliationIncomplete, match="broken"):
        call("reconcile_labeling_jobs", {})
    assert executions.heartbeats == ["token-1"]


def test_no_function_logs_a_token(
    prepared: S3Gateway, sagemaker: SageMaker, caplog: pytest.LogCaptureFixture
) -> None:
    create("token-of-an-execution")
    sagemaker.jobs[NAME]["LabelingJobStatus"] = "Completed"
    call("release_labeling_job", state_change("Completed"))
    call("reconcile_labeling_jobs", {})
    logged = [str(vars(each)) for each in caplog.records]
    assert any(NAME in each for each in logged)
    assert not any("token-of-an-execution" in each for each in logged)


def test_a_malformed_answer_is_logged_with_its_object_and_worker(
    prepared: S3Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    create("token-1")
    answer = {"workerId": "private.us-east-1.bo", "annotationData": {"content": "?"}}
    payload = [{"datasetObjectId": "17", "annotations": [answer]}]
    call("post_annotation", {"labelingJobArn": ARN, "payload": {"content": payload}})
    [logged] = [vars(each) for each in caplog.records if each.message == "malformed answer"]
    assert (logged["object_id"], logged["worker_id"]) == ("17", "private.us-east-1.bo")
    assert logged["reason"]


def test_the_job_is_looked_up_once_for_all_its_objects(
    prepared: S3Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    create("token-1")
    handler = load_handler("pre_annotation")
    event = {"version": "2018-10-16", "labelingJobArn": ARN, "dataObject": SOURCE}
    looked_up = []
    find = JobsTable.find
    monkeypatch.setattr(JobsTable, "find", lambda *known: looked_up.append(known) or find(*known))
    for _ in range(3):
        handler.lambda_handler(event, lambda_context("pre_annotation"))
    assert len(looked_up) == 1


@pytest.mark.parametrize("function", ["pre_annotation", "post_annotation"])
def test_an_annotation_function_serves_only_jobs_that_a_campaign_created(
    function: str, prepared: S3Gateway
) -> None:
    event = {"labelingJobArn": ARN, "dataObject": SOURCE, "payload": []}
    with pytest.raises(UnknownLabelingJob, match=NAME):
        call(function, event)
    with pytest.raises(InvalidAnnotationEvent):
        call(function, {**event, "labelingJobArn": "arn:aws:s3:::bucket"})
