"""Labelling jobs made by hand: whose team does them, what they tell, and what of it is logged."""

from __future__ import annotations

import base64
import gzip
import json
import time
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from labeling_engine.activity import LOG_GROUP
from worker_ui.portal import Portal, UnknownJob

if TYPE_CHECKING:
    from conftest import Account

PRE = """
    def lambda_handler(event, context):
        return {"taskInput": {"taskObject": event["dataObject"]["source"], "labels": ["no", "yes"]}}
"""
# The label is all answers by worker, so that a test sees whose went in.
POST = """
    import json
    import boto3

    def lambda_handler(event, context):
        bucket, _, key = event["payload"]["s3Uri"].removeprefix("s3://").partition("/")
        items = json.loads(boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
        return [
            {
                "datasetObjectId": item["datasetObjectId"],
                "consolidatedAnnotation": {"content": {"answer": {
                    each["workerId"]: json.loads(each["annotationData"]["content"])["choice"]["label"]
                    for each in item["annotations"]
                }}},
            }
            for item in items
        ]
"""
TEXTS = {"Is water wet?": "yes", "Is fire cold?": "no", "Is it late?": "yes"}


def person(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "accuracy": 1.0, "seconds_median": 3.0, **changes}


@pytest.fixture(autouse=True)
def clean(account: Account) -> Iterator[None]:
    """Afterwards nobody labels, and no job is left."""
    yield
    account.aws.control("POST", "annotators", {})
    for job in account.aws.control("GET", "labeling-jobs"):
        if job["status"] == "InProgress":
            account.client("sagemaker").stop_labeling_job(LabelingJobName=job["name"])


def label(account: Account, *annotators: dict[str, Any], **more: Any) -> None:
    account.aws.control(
        "POST", "annotators", {"seed": 1, "truth": TEXTS, "annotators": list(annotators), **more}
    )


def status(account: Account, job: str) -> str:
    return str(account.client("sagemaker").describe_labeling_job(LabelingJobName=job)["LabelingJobStatus"])


def workers(account: Account, request: dict[str, Any]) -> set[str]:
    """Wait for a job's end and return the ids of the workers whose answers went in."""
    job = request["LabelingJobName"]
    account.eventually(lambda: status(account, job) == "Completed")
    bucket, _, folder = request["OutputConfig"]["S3OutputPath"].removeprefix("s3://").partition("/")
    key = f"{folder}/{job}/manifests/output/output.manifest"
    body = account.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return {worker for row in map(json.loads, body.splitlines()) for worker in row["answer"]}


def team_of(request: dict[str, Any]) -> str:
    return str(request["HumanTaskConfig"]["WorkteamArn"].rpartition("/")[2])


# Work teams


def test_a_job_is_done_by_the_members_of_its_work_team(account: Account) -> None:
    first = account.labeling_job(PRE, POST, TEXTS)
    second = account.labeling_job(PRE, POST, TEXTS)
    label(
        account,
        *(person(name) for name in ("a", "b", "c")),
        *(person(name, workteam=team_of(second)) for name in ("d", "e")),
    )
    labelers, auditors = workers(account, first), workers(account, second)
    assert len(labelers) == 3
    assert len(auditors) == 2
    assert not labelers & auditors


def test_a_job_whose_team_has_no_members_waits_for_some(account: Account) -> None:
    request = account.labeling_job(PRE, POST, TEXTS)
    label(account, *(person(name, workteam="others") for name in ("a", "b")))
    account.eventually(lambda: status(account, request["LabelingJobName"]) == "InProgress")
    time.sleep(0.3)
    assert status(account, request["LabelingJobName"]) == "InProgress"
    label(account, *(person(name, workteam=team_of(request)) for name in ("a", "b")))
    assert len(workers(account, request)) == 2


def test_a_job_without_members_can_be_stopped(account: Account) -> None:
    request = account.labeling_job(PRE, POST, TEXTS)
    label(account, person("a", workteam="others"))
    account.eventually(lambda: status(account, request["LabelingJobName"]) == "InProgress")
    account.client("sagemaker").stop_labeling_job(LabelingJobName=request["LabelingJobName"])
    account.eventually(lambda: status(account, request["LabelingJobName"]) == "Stopped")


def test_a_person_sees_the_jobs_of_the_own_team_alone(account: Account) -> None:
    mine, other = (account.labeling_job(PRE, POST, TEXTS) for _ in range(2))
    people = [{"name": "me", "workteam": team_of(mine)}, {"name": "you", "workteam": team_of(other)}]
    account.aws.control("POST", "annotators", {"people": people})
    me = Portal(account.aws.endpoint, "me")
    assert [job.name for job in account.eventually(me.jobs)] == [mine["LabelingJobName"]]
    assert account.eventually(lambda: me.next(mine["LabelingJobName"]))
    with pytest.raises(UnknownJob):
        me.next(other["LabelingJobName"])


def test_simulated_annotators_of_another_team_wait_for_nobody(account: Account) -> None:
    """Beside a person a job runs in real time and waits; one of another team does not."""
    request = account.labeling_job(PRE, POST, TEXTS)
    label(
        account,
        *(person(name, seconds_median=300.0, workteam=team_of(request)) for name in ("a", "b")),
        people=[{"name": "me"}],
    )
    assert len(workers(account, request)) == 2


# What a job tells


def test_each_answer_s_file_and_the_end_of_a_stand_alone_job_are_told_by_events(account: Account) -> None:
    """All that an audit and a record of answers start from, of a job that nothing but boto3 has made."""
    events, s3 = account.client("events"), account.client("s3")
    answers_url, answers_arn = account.queue()
    end_url, end_arn = account.queue()
    request = account.labeling_job(PRE, POST, TEXTS)
    bucket, job = request["OutputConfig"]["S3OutputPath"].split("/")[2], request["LabelingJobName"]
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    patterns = {
        answers_arn: {
            "source": ["aws.s3"],
            "detail-type": ["Object Created"],
            "detail": {
                "bucket": {"name": [bucket]},
                "object": {"key": [{"wildcard": "*/annotations/worker-response/*.json"}]},
            },
        },
        end_arn: {
            "source": ["aws.sagemaker"],
            "detail-type": ["SageMaker Ground Truth Labeling Job State Change"],
            "resources": [{"suffix": f"/{job}"}],
        },
    }
    for arn, pattern in patterns.items():
        name = f"rule-{uuid.uuid4().hex[:8]}"
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    label(account, *(person(name) for name in ("a", "b", "c")))
    workers(account, request)

    (end,) = account.messages(end_url)
    assert json.loads(end["Body"])["detail"] == {"LabelingJobStatus": "Completed"}
    prefix = f"output/{job}/annotations/worker-response/"
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    told = [json.loads(message["Body"])["detail"] for message in account.messages(answers_url, len(listed))]
    assert {detail["object"]["key"] for detail in told} == {item["Key"] for item in listed}
    found = 0
    for key in {detail["object"]["key"] for detail in told}:
        document = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        found += len(document["answers"])
    assert found == 2 * len(TEXTS)


# What workers do is logged


@pytest.fixture
def activity(account: Account) -> Iterator[Any]:
    """What the log group of the workers' activity holds while it exists."""
    logs = account.client("logs")
    logs.create_log_group(logGroupName=LOG_GROUP)

    def records() -> list[dict[str, Any]]:
        return [json.loads(message) for message in account.logs(LOG_GROUP)]

    yield records
    logs.delete_log_group(logGroupName=LOG_GROUP)


def test_what_workers_do_is_logged_where_the_group_exists(account: Account, activity: Any) -> None:
    request = account.labeling_job(PRE, POST, TEXTS)
    label(account, *(person(name) for name in ("a", "b")), person("c", decline_rate=1.0))
    workers(account, request)
    records = [r for r in activity() if r["labeling_job_arn"].endswith(f"/{request['LabelingJobName']}")]
    kinds = [record["event_type"] for record in records]
    assert kinds.count("TasksSubmitted") == 2 * len(TEXTS)
    assert kinds.count("TasksDeclined") >= 1
    assert {record["workteam_arn"] for record in records} == {request["HumanTaskConfig"]["WorkteamArn"]}
    assert {record["cognito_user_pool_id"] for record in records} == {"us-east-1_LOCALPOOL"}
    (stream,) = account.client("logs").describe_log_streams(logGroupName=LOG_GROUP)["logStreams"]
    folder = "aws/sagemaker/groundtruth/worker-activity/123456789012-us-east-1/"
    assert stream["logStreamName"].startswith(folder)


def test_without_the_group_nothing_is_logged_and_none_is_made(account: Account) -> None:
    request = account.labeling_job(PRE, POST, TEXTS)
    label(account, *(person(name) for name in ("a", "b")))
    workers(account, request)
    assert account.client("logs").describe_log_groups(logGroupNamePrefix=LOG_GROUP)["logGroups"] == []


def test_declines_reach_a_subscribed_function(account: Account, activity: Any) -> None:
    bucket = account.bucket()
    function = account.function(
        """
        import boto3, json, os
        def lambda_handler(event, context):
            key, body = context.aws_request_id, json.dumps(event)
            boto3.client("s3").put_object(Bucket=os.environ["BUCKET"], Key=key, Body=body)
        """,
        variables={"BUCKET": bucket},
        grants=[("s3:PutObject", f"arn:aws:s3:::{bucket}/*")],
    )
    account.client("lambda").add_permission(
        FunctionName=function,
        StatementId="logs",
        Action="lambda:InvokeFunction",
        Principal="logs.amazonaws.com",
        SourceArn=f"arn:aws:logs:us-east-1:123456789012:log-group:{LOG_GROUP}:*",
    )
    account.client("logs").put_subscription_filter(
        logGroupName=LOG_GROUP,
        filterName="given-back",
        filterPattern='{ ($.event_type = "TasksDeclined") || ($.event_type = "TasksReturned") }',
        destinationArn=function,
    )
    request = account.labeling_job(PRE, POST, TEXTS)
    label(account, *(person(name) for name in ("a", "b")), person("c", decline_rate=1.0))
    workers(account, request)
    s3 = account.client("s3")
    wanted = [r for r in activity() if r["event_type"] in ("TasksDeclined", "TasksReturned")]
    assert wanted

    def heard() -> list[dict[str, Any]]:
        found = []
        for item in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
            data = json.loads(s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read())["awslogs"]["data"]
            delivery = json.loads(gzip.decompress(base64.b64decode(data)))
            found += [json.loads(event["message"]) for event in delivery["logEvents"]]
        return found

    account.eventually(lambda: len(heard()) >= len(wanted))
    assert sorted(map(str, heard())) == sorted(map(str, wanted))
