"""The audit through the functions' handlers, and what they refuse."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest

from truthloop import aws
from truthloop.errors import InvalidUri, MissingEnvironment, UnknownRow
from truthloop.labeling.jobs import JobsTable
from truthloop.names import audit_job_name
from unit.audit.kit import ARN, AUDITORS, Studio, accept, fix, policy, reject, scripted
from unit.labeling import answers
from unit.labeling.kit import BUCKET, FUNCTIONS, TABLE, client_error, lambda_context, load_handler, record


class SageMaker:
    def __init__(self) -> None:
        self.jobs: dict[str, Any] = {}

    def create_labeling_job(self, **request: Any) -> None:
        self.jobs[request["LabelingJobName"]] = {**request, "LabelingJobStatus": "InProgress"}

    def describe_labeling_job(self, LabelingJobName: str) -> Any:
        if LabelingJobName not in self.jobs:
            raise client_error("ResourceNotFound", "DescribeLabelingJob")
        return self.jobs[LabelingJobName]


def call(function: str, event: Any) -> Any:
    handler = load_handler(function)
    return json.loads(json.dumps(handler.lambda_handler(event, lambda_context(function))))


def test_a_step_is_planned_and_its_job_created_through_the_functions(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.label("image-classification", [0, 1])
    studio.begin(policy(auditors_per_object=2))
    sagemaker = SageMaker()
    monkeypatch.setattr(aws, "sagemaker", lambda: sagemaker)
    monkeypatch.setattr(aws, "stepfunctions", lambda: studio.executions)
    monkeypatch.setenv("LABELING_ROLE_ARN", FUNCTIONS.role_arn)
    monkeypatch.setenv("PRE_ANNOTATION_FUNCTION_ARN", FUNCTIONS.pre_annotation_arn)
    monkeypatch.setenv("POST_ANNOTATION_FUNCTION_ARN", FUNCTIONS.post_annotation_arn)
    planned = call("advance_audit", {"audit_uri": studio.layout.uri, "labeling": None})
    assert planned == {"audit_uri": studio.layout.uri, "done": False, "step": 1}
    name = audit_job_name(studio.layout.uri, 1, 1)
    created = call(
        "create_labeling_job", {"audit_uri": studio.layout.uri, "step": 1, "task_token": "secret-token"}
    )
    assert created == {"job_name": name, "outcome": "not finished", "status": None}
    request = sagemaker.jobs[name]
    assert request["LabelAttributeName"] == "label-audit"
    assert request["HumanTaskConfig"]["WorkteamArn"] == AUDITORS
    assert request["HumanTaskConfig"]["NumberOfHumanWorkersPerDataObject"] == 2
    assert request["InputConfig"]["DataSource"]["S3DataSource"]["ManifestS3Uri"] == (
        studio.layout.step_manifest(1)
    )
    assert JobsTable(TABLE).require(name).task_token == "secret-token"


def test_the_function_that_advances_reads_what_it_declares(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = load_handler("advance_audit")
    assert {field.name for field in fields(handler.Environment)} == {"DATA_BUCKET"}
    monkeypatch.delenv("DATA_BUCKET", raising=False)
    with pytest.raises(MissingEnvironment, match="DATA_BUCKET"):
        handler.lambda_handler({}, lambda_context("advance_audit"))


@pytest.mark.parametrize("uri", ["s3://another/audits/a/", f"s3://{BUCKET}/campaigns/c/", "audits/a"])
def test_only_audits_of_the_data_bucket_are_advanced(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_BUCKET", BUCKET)
    with pytest.raises(InvalidUri):
        call("advance_audit", {"audit_uri": uri, "labeling": None})


# ---- consolidating verdicts


@pytest.fixture
def name(studio: Studio) -> str:
    """An audit job over two objects with the label of the first category."""
    studio.label("image-classification", [0, 0])
    studio.begin(policy(auditors_per_object=3))
    studio.advance()
    name = audit_job_name(studio.layout.uri, 1, 1)
    studio.jobs.open(
        record(
            name,
            purpose="audit",
            audit_uri=studio.layout.uri,
            manifest_uri=studio.layout.step_manifest(1),
            output_uri=studio.layout.labeling_prefix(),
        )
    )
    return name


def post(studio: Studio, name: str, *items: Any) -> list[Any]:
    entries = studio.call("post_annotation", {"labelingJobArn": ARN + name, "payload": {"content": items}})
    return [entry["consolidatedAnnotation"]["content"] for entry in entries]


def item(identifier: str, given: dict[str, Any]) -> dict[str, Any]:
    made = answers.item(identifier, given)
    del made["dataObject"]
    return made


def test_a_verdict_is_one_value_with_its_metadata(studio: Studio, name: str) -> None:
    given = {"x": fix({"label": "dog"}, "wrong-label", "犬"), "y": fix({"label": "dog"}), "z": accept()}
    fixed, rejected = post(
        studio, name, item("0", given), item("1", {"x": reject(), "y": reject("other", "x")})
    )
    verdict, metadata = fixed["label-audit"], fixed["label-audit-metadata"]
    label = verdict.pop("label")
    assert verdict.pop("fix")
    assert verdict == {"decision": "fix", "reason": "wrong-label", "comment": "犬"}
    assert label["value"] == 1
    assert label["metadata"].pop("creation-date") == metadata["creation-date"]
    assert label["metadata"] == {
        "type": "groundtruth/image-classification",
        "human-annotated": "yes",
        "job-name": f"labeling-job/{name}",
        "annotators": 2,
        "class-name": "dog",
        "confidence": 1.0,
    }
    assert metadata["type"] == "groundtruth/label-verification"
    assert metadata["annotators"] == 3
    assert rejected["label-audit"]["decision"] == "reject"
    assert "label" not in rejected["label-audit"]
    [uri] = studio.s3.list(studio.layout.labeling_job(name).worker_evidence_prefix())
    evidence = studio.s3.read_json(uri)
    assert evidence["gold"] == {}
    assert {worker[-1]: each["agreement"] for worker, each in evidence["objects"]["0"].items()} == {
        "x": 1.0,
        "y": 1.0,
        "z": 0.0,
    }


def test_a_malformed_verdict_is_left_out_and_alone_it_is_none(studio: Studio, name: str) -> None:
    bad = reject(comment="")
    first, second = post(studio, name, item("0", {"x": bad, "y": accept()}), item("1", {"x": bad}))
    assert first["label-audit"]["decision"] == "accept"
    assert first["label-audit-metadata"]["malformed-answers"] == 1
    assert set(second) == {"label-audit-metadata"}
    assert "auditComment is empty" in second["label-audit-metadata"]["failure-reason"]


def test_a_verdict_never_meets_another_object_than_it_is_about(studio: Studio, name: str) -> None:
    wrong = {**answers.item("0", {"x": accept()}), "dataObject": {"s3Uri": "s3://images/elsewhere.png"}}
    with pytest.raises(UnknownRow, match="is not the row at that position"):
        post(studio, name, wrong)
    with pytest.raises(UnknownRow):
        post(studio, name, item("2", {"x": accept()}))


def test_a_mask_whose_file_is_gone_cannot_be_fixed_and_the_other_voices_count(studio: Studio) -> None:
    studio.label("semantic-segmentation", [0])
    studio.begin(policy(auditors_per_object=3, relabel_rounds=0))
    progress = studio.advance()
    [row] = [json.loads(line) for _, line in studio.s3.lines(studio.layout.step_manifest(1))]
    aws.s3().delete_object(Bucket=BUCKET, Key=row["label-ref"].split("/", 3)[3])
    repaint = fix({"categories": {"cat": None}})

    def script(purpose: str, number: int, turn: int, worker: str, shown: Any) -> Any:
        if purpose != "audit":
            return answers.answer("semantic-segmentation", ["cat", "dog", "bird"], 1)
        return {"aud-1": repaint, "aud-2": repaint, "aud-3": reject()}[worker]

    labeling = studio.work(progress.step, script)
    assert studio.advance(labeling).step == 2
    assert studio.step(2).purpose == "expert"
    assert studio.s3.read_json(studio.layout.verdicts(1))["verdicts"][0]["decision"] == "reject"


def test_a_mask_can_lose_a_category_and_join_two(studio: Studio) -> None:
    studio.label("semantic-segmentation", [0, 1])
    studio.begin()
    studio.run(
        scripted(
            {0: [fix({"categories": {"cat": None}})], 1: [fix({"categories": {"dog": "cat"}})]},
            "semantic-segmentation",
        )
    )
    audited = studio.audited()
    assert set(audited[0]["label-ref-metadata"]["internal-color-map"]) == {"0"}
    assert audited[1]["label-ref-metadata"]["internal-color-map"]["1"]["class-name"] == "cat"
    assert set(audited[1]["label-ref-metadata"]["internal-color-map"]) == {"0", "1"}
