"""A labelling job that somebody makes by hand with boto3, with two functions and a template of their own."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from truthloop.layout import AuditLayout
from truthloop.names import standalone_audit_name

if TYPE_CHECKING:
    from end_to_end.conftest import Deployment

PREFIX = "standalone-"
_OBJECTS = 24
_ATTRIBUTE = "number"

_PRE = """
def handler(event, context):
    return {"taskInput": {"image": event["dataObject"]["source-ref"]}, "isHumanAnnotationRequired": True}
"""
# Whoever answered first is right, as in many a first attempt.
_POST = """
import datetime, json, boto3
CATEGORIES = %r
def handler(event, context):
    bucket, _, key = event["payload"]["s3Uri"].removeprefix("s3://").partition("/")
    objects = json.loads(boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    entries = []
    for each in objects:
        answer = json.loads(each["annotations"][0]["annotationData"]["content"])
        label = answer["crowd-image-classifier"]["label"]
        name = event["labelAttributeName"]
        metadata = {"class-name": label, "confidence": 0.0, "type": "groundtruth/image-classification",
                    "human-annotated": "yes", "job-name": event["labelingJobArn"].split("/")[-1],
                    "creation-date": datetime.datetime.now().strftime("%%Y-%%m-%%dT%%H:%%M:%%S.%%f")}
        content = {name: CATEGORIES.index(label), name + "-metadata": metadata}
        entries.append({"datasetObjectId": each["datasetObjectId"],
                        "consolidatedAnnotation": {"content": content}})
    return entries
"""
_TEMPLATE = """<script src="https://assets.crowd.aws/crowd-html-elements.js"></script>
<crowd-form><crowd-image-classifier name="crowd-image-classifier"
  src="{{ task.input.image | grant_read_access }}" header="Which digit?" categories="%s">
  <full-instructions header="Digits">Choose.</full-instructions>
  <short-instructions>Choose.</short-instructions></crowd-image-classifier></crowd-form>
"""


@dataclass(frozen=True)
class HandmadeJob:
    """A job of no campaign, and the images that it labels."""

    deployment: Deployment
    name: str
    arn: str
    sources: list[str]

    @classmethod
    def create(cls, deployment: Deployment, name: str) -> HandmadeJob:
        """Make roles, functions, template, manifest and the job, as in seed notebooks and blogs."""
        role = _role(deployment, name)
        categories = deployment.digits.plan.label_categories
        pre = _function(deployment, f"{name}-pre", _PRE, role)
        post = _function(deployment, f"{name}-post", _POST % (categories,), role)
        bucket, s3 = deployment.digits.bucket, deployment.clients.s3
        sources = sorted(deployment.digits.truth)[:_OBJECTS]
        lines = "".join(json.dumps({"source-ref": source}) + "\n" for source in sources)
        labels = {"document-version": "2018-11-28", "labels": [{"label": label} for label in categories]}
        template = _TEMPLATE % json.dumps(categories).replace('"', "&quot;")
        for key, body in (
            ("input.manifest", lines),
            ("labels.json", json.dumps(labels)),
            ("template.liquid.html", template),
        ):
            s3.put_object(Bucket=bucket, Key=f"{name}/{key}", Body=body.encode())
        answer = deployment.client("sagemaker").create_labeling_job(
            LabelingJobName=name,
            LabelAttributeName=_ATTRIBUTE,
            InputConfig={
                "DataSource": {"S3DataSource": {"ManifestS3Uri": f"s3://{bucket}/{name}/input.manifest"}}
            },
            OutputConfig={"S3OutputPath": f"s3://{bucket}/{name}/output/"},
            RoleArn=role,
            LabelCategoryConfigS3Uri=f"s3://{bucket}/{name}/labels.json",
            HumanTaskConfig={
                "WorkteamArn": deployment.outputs["workteam_arn"],
                "UiConfig": {"UiTemplateS3Uri": f"s3://{bucket}/{name}/template.liquid.html"},
                "PreHumanTaskLambdaArn": pre,
                "TaskTitle": "Digits",
                "TaskDescription": "Which digit is it?",
                "NumberOfHumanWorkersPerDataObject": 1,
                "TaskTimeLimitInSeconds": 300,
                "AnnotationConsolidationConfig": {"AnnotationConsolidationLambdaArn": post},
            },
        )
        return cls(deployment, name, answer["LabelingJobArn"], sources)

    @property
    def audit(self) -> AuditLayout:
        bucket = self.deployment.outputs["data_bucket_name"]
        return AuditLayout(bucket, None, standalone_audit_name(self.arn))

    def audit_result(self) -> dict[str, Any] | None:
        """What the job's audit brought, None before its end."""
        result: dict[str, Any] | None = self.deployment.s3.find_json(self.audit.result())
        return result

    def audited_rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for _, line in self.deployment.s3.lines(self.audit.audited_manifest())]


def _role(deployment: Deployment, name: str) -> str:
    iam = deployment.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": ["lambda.amazonaws.com", "sagemaker.amazonaws.com"]},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    rights = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["s3:*", "lambda:InvokeFunction"], "Resource": "*"}],
    }
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(rights))
    return arn


def _function(deployment: Deployment, name: str, source: str, role: str) -> str:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("main.py", source)
    answer = deployment.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=role,
        Handler="main.handler",
        Code={"ZipFile": archive.getvalue()},
        Timeout=60,
    )
    return str(answer["FunctionArn"])
