"""A labelling job on the running server: deployed functions, buckets, and the event at a rule's target."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

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

    request = account.labeling_job(PRE, POST, texts)

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
