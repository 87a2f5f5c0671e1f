"""A labelling job on the running server: deployed functions, buckets, and the event at a rule's target."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conftest import Account

PRE = """
    def lambda_handler(event, context):
        return {"taskInput": {"taskObject": event["dataObject"]["source"], "labels": ["no", "yes"]}}
"""
POST = """
    import json
    import boto3

    def lambda_handler(event, context):
        bucket, _, key = event["payload"]["s3Uri"].removeprefix("s3://").partition("/")
        items = json.loads(boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
        return [
            {
                "datasetObjectId": item["datasetObjectId"],
                "consolidatedAnnotation": {"content": {"answer": json.loads(
                    item["annotations"][0]["annotationData"]["content"])["choice"]["label"]}},
            }
            for item in items
        ]
"""
TEMPLATE = """<crowd-form><crowd-classifier name="choice" categories="{{ task.input.labels | to_json }}">
  <classification-target>{{ task.input.taskObject }}</classification-target>
</crowd-classifier></crowd-form>"""


def create_job(account: Account, texts: dict[str, str]) -> dict[str, Any]:
    """Create a labelling job over texts and return its request."""
    bucket, s3, sagemaker = account.bucket(), account.client("s3"), account.client("sagemaker")
    s3.put_object(Bucket=bucket, Key="template.liquid.html", Body=TEMPLATE.encode())
    manifest = "".join(json.dumps({"source": text}) + "\n" for text in texts)
    s3.put_object(Bucket=bucket, Key="input.manifest", Body=manifest.encode())
    name = f"job-{uuid.uuid4().hex[:8]}"
    member = {"UserPool": "us-east-1_LOCALPOOL", "ClientId": "local-client", "UserGroup": "labelers"}
    team = sagemaker.create_workteam(
        WorkteamName=name,
        WorkforceName="default",
        Description="People who label",
        MemberDefinitions=[{"CognitoMemberDefinition": member}],
    )
    functions = [
        account.function(code, grants=[("s3:GetObject", f"arn:aws:s3:::{bucket}/output/*")])
        for code in (PRE, POST)
    ]
    request: dict[str, Any] = {
        "LabelingJobName": name,
        "LabelAttributeName": "answer",
        "InputConfig": {"DataSource": {"S3DataSource": {"ManifestS3Uri": f"s3://{bucket}/input.manifest"}}},
        "OutputConfig": {"S3OutputPath": f"s3://{bucket}/output"},
        "RoleArn": account.role(
            f"labeling-{uuid.uuid4().hex[:8]}",
            ("s3:GetObject", f"arn:aws:s3:::{bucket}/*"),
            ("s3:PutObject", f"arn:aws:s3:::{bucket}/output/*"),
            ("lambda:InvokeFunction", functions),
        ),
        "HumanTaskConfig": {
            "WorkteamArn": team["WorkteamArn"],
            "UiConfig": {"UiTemplateS3Uri": f"s3://{bucket}/template.liquid.html"},
            "PreHumanTaskLambdaArn": functions[0],
            "TaskTitle": "Yes or no",
            "TaskDescription": "Answer the question",
            "NumberOfHumanWorkersPerDataObject": 2,
            "TaskTimeLimitInSeconds": 600,
            "AnnotationConsolidationConfig": {"AnnotationConsolidationLambdaArn": functions[1]},
        },
    }
    sagemaker.create_labeling_job(**request)
    return request


def test_a_job_goes_through_the_deployed_functions_and_its_event_reaches_a_target(account: Account) -> None:
    url, queue_arn = account.queue()
    client, rule = account.client("events"), f"rule-{uuid.uuid4().hex[:8]}"
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Ground Truth Labeling Job State Change"],
        "detail": {"LabelingJobStatus": ["Completed", "Failed", "Stopped"]},
    }
    client.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    client.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": queue_arn}])
    texts = {"Is water wet?": "yes", "Is fire cold?": "no"}
    people = [{"name": name, "accuracy": 1.0, "seconds_median": 3.0} for name in ("a", "b", "c")]
    account.aws.control("POST", "annotators", {"seed": 1, "truth": texts, "annotators": people})

    request = create_job(account, texts)

    (message,) = account.messages(url)
    event = json.loads(message["Body"])
    description = account.client("sagemaker").describe_labeling_job(
        LabelingJobName=request["LabelingJobName"]
    )
    assert event["resources"] == [description["LabelingJobArn"]]
    assert event["detail"] == {"LabelingJobStatus": "Completed"}
    assert event["id"]
    assert event["time"]
    bucket, _, key = description["LabelingJobOutput"]["OutputDatasetS3Uri"][5:].partition("/")
    body = account.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    assert {row["source"]: row["answer"] for row in map(json.loads, body.splitlines())} == texts
    jobs = {job["name"]: job["status"] for job in account.aws.control("GET", "labeling-jobs")}
    assert jobs[request["LabelingJobName"]] == "Completed"
    seen = {
        (c["service"], c["action"])
        for c in account.aws.control("GET", "calls")
        if c["role"] == request["RoleArn"]
    }
    assert seen == {("s3", "GetObject"), ("s3", "PutObject"), ("lambda", "InvokeFunction")}
