"""Events reach the targets of the rules that match them; schedules fire; what cannot be delivered is kept."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local_aws import events
from local_aws.process import LocalAws, LocalAwsFailed

if TYPE_CHECKING:
    from conftest import Account


def rule(account: Account, target: dict[str, Any], **settings: Any) -> str:
    """Create a rule with one target and return its ARN."""
    name = settings.pop("name", f"rule-{uuid.uuid4().hex[:8]}")
    if isinstance(settings.get("EventPattern"), dict):
        settings["EventPattern"] = json.dumps(settings["EventPattern"])
    arn = account.client("events").put_rule(Name=name, **settings)["RuleArn"]
    account.client("events").put_targets(Rule=name, Targets=[{"Id": "target", **target}])
    return str(arn)


def source() -> str:
    """Return an event source of this test alone."""
    return f"test.{uuid.uuid4().hex[:8]}"


def put(account: Account, name: str, detail: dict[str, Any], **settings: Any) -> None:
    entry = {"Source": name, "DetailType": "Test", "Detail": json.dumps(detail), **settings}
    assert account.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def listener(account: Account) -> tuple[str, str]:
    """Create a function that writes its events into a bucket; return its ARN and the bucket."""
    bucket = account.bucket()
    function = account.function(
        """
        import boto3, json, os
        def lambda_handler(event, context):
            body = json.dumps(event)
            boto3.client("s3").put_object(Bucket=os.environ["BUCKET"], Key=context.aws_request_id, Body=body)
        """,
        variables={"BUCKET": bucket},
        grants=[("s3:PutObject", f"arn:aws:s3:::{bucket}/*")],
    )
    return function, bucket


def allow(account: Account, function: str, rule_arn: str) -> None:
    account.client("lambda").add_permission(
        FunctionName=function,
        StatementId=uuid.uuid4().hex,
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule_arn,
    )


def heard(account: Account, bucket: str, count: int) -> list[dict[str, Any]]:
    s3 = account.client("s3")

    def listing() -> Any:
        found = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        return found if len(found) >= count else None

    return [
        json.loads(s3.get_object(Bucket=bucket, Key=i["Key"])["Body"].read())
        for i in account.eventually(listing)
    ]


def test_an_event_reaches_a_function_as_eventbridge_sends_it(account: Account) -> None:
    name = source()
    function, bucket = listener(account)
    allow(
        account,
        function,
        rule(account, {"Arn": function}, EventPattern={"source": [name], "detail": {"n": [1]}}),
    )
    put(account, name, {"n": 2})
    put(account, name, {"n": 1}, Resources=["arn:job"])
    (event,) = heard(account, bucket, 1)
    assert event["detail"] == {"n": 1}
    assert (event["source"], event["detail-type"], event["resources"]) == (name, "Test", ["arn:job"])
    assert event["account"] == "123456789012"
    assert time.strptime(event["time"], "%Y-%m-%dT%H:%M:%SZ")
    assert "ingestion-time" not in event


def test_an_event_starts_an_execution_with_the_transformed_input(account: Account) -> None:
    name = source()
    machine = account.machine({"P": {"Type": "Pass", "End": True}})
    transformer = {
        "InputPathsMap": {"key": "$.detail.object.key", "type": "$.detail-type", "detail": "$.detail"},
        "InputTemplate": '{"uri": "s3://b/<key>", "key": <key>, "type": "<type>", "detail": <detail>}',
    }
    starter = account.role("starter", ("states:StartExecution", machine))
    target = {"Arn": machine, "RoleArn": starter, "InputTransformer": transformer}
    rule(account, target, EventPattern={"source": [name]})
    put(account, name, {"object": {"key": 'a "b".png'}})
    sfn = account.client("stepfunctions")
    (execution,) = account.eventually(lambda: sfn.list_executions(stateMachineArn=machine)["executions"])
    given = json.loads(account.ended(execution["executionArn"])["input"])
    assert given == {
        "uri": 's3://b/a "b".png',
        "key": 'a "b".png',
        "type": "Test",
        "detail": {"object": {"key": 'a "b".png'}},
    }
    assert any(
        (call["role"], call["action"], call["resource"], call["allowed"])
        == (starter, "StartExecution", machine, True)
        for call in account.aws.control("GET", "calls")
    )


def test_a_new_object_is_told_once_and_its_input_can_be_transformed(account: Account) -> None:
    bucket = account.bucket()
    account.client("s3").put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    url, arn = account.queue()
    transformer = {"InputPathsMap": {"key": "$.detail.object.key"}, "InputTemplate": '{"key": "<key>"}'}
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}
    rule(account, {"Arn": arn, "InputTransformer": transformer}, EventPattern=pattern)
    account.client("s3").put_object(Bucket=bucket, Key="fast", Body=b"x")
    account.client("s3").put_object(Bucket=bucket, Key="slow", Body=b"x", IfNoneMatch="*")
    found = account.messages(url, 2)
    time.sleep(0.3)
    found += account.client("sqs").receive_message(QueueUrl=url).get("Messages", [])
    assert sorted(json.loads(message["Body"])["key"] for message in found) == ["fast", "slow"]


def told_objects(account: Account, *prefixes: str) -> tuple[str, str]:
    """Return a bucket that tells EventBridge, and the queue that hears of new objects with such keys."""
    bucket = account.bucket()
    account.client("s3").put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    url, arn = account.queue()
    key = {"object": {"key": [{"wildcard": f"{prefix}*"} for prefix in prefixes]}} if prefixes else {}
    detail = {"bucket": {"name": [bucket]}, **key}
    rule(account, {"Arn": arn}, EventPattern={"source": ["aws.s3"], "detail": detail})
    return bucket, url


def test_a_new_object_is_told_in_the_documented_form(account: Account) -> None:
    bucket, url = told_objects(account)
    s3 = account.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    put_answer = s3.put_object(Bucket=bucket, Key="a/b c.json", Body=b"12345")
    (message,) = account.messages(url)
    event = json.loads(message["Body"])
    sequencer, request = event["detail"]["object"].pop("sequencer"), event["detail"].pop("request-id")
    assert int(sequencer, 16) > 0 < int(request, 16)
    assert event["detail"] == {
        "version": "0",
        "bucket": {"name": bucket},
        "object": {
            "key": "a/b c.json",
            "size": 5,
            "etag": put_answer["ETag"].strip('"'),
            "version-id": put_answer["VersionId"],
        },
        "requester": "123456789012",
        "source-ip-address": "127.0.0.1",
        "reason": "PutObject",
    }
    assert (event["source"], event["detail-type"]) == ("aws.s3", "Object Created")
    assert event["resources"] == [f"arn:aws:s3:::{bucket}"]


def test_objects_of_every_way_of_writing_are_told_with_a_later_one_after_an_earlier_one(
    account: Account,
) -> None:
    bucket, url = told_objects(account)
    s3 = account.client("s3")
    s3.put_object(Bucket=bucket, Key="fast", Body=b"x")
    s3.put_object(Bucket=bucket, Key="conditional", Body=b"x", IfNoneMatch="*")
    s3.copy_object(Bucket=bucket, Key="copied", CopySource=f"{bucket}/fast")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
    s3.complete_multipart_upload(
        Bucket=bucket,
        Key="parts",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )
    s3.delete_object(Bucket=bucket, Key="copied")
    found = [json.loads(message["Body"])["detail"] for message in account.messages(url, 5)]
    found.sort(key=lambda detail: detail["object"]["sequencer"])
    assert [(detail["object"]["key"], detail["reason"]) for detail in found] == [
        ("fast", "PutObject"),
        ("conditional", "PutObject"),
        ("copied", "CopyObject"),
        ("parts", "CompleteMultipartUpload"),
        ("copied", "DeleteObject"),
    ]
    assert all("version-id" not in detail["object"] for detail in found)


def test_only_objects_that_some_rule_waits_for_are_told(account: Account) -> None:
    bucket, url = told_objects(account, "answers/", "verdicts/")
    for number in range(20):
        account.client("s3").put_object(Bucket=bucket, Key=f"images/{number}", Body=b"x")
    account.client("s3").put_object(Bucket=bucket, Key="verdicts/1.json", Body=b"x")
    (message,) = account.messages(url)
    assert json.loads(message["Body"])["detail"]["object"]["key"] == "verdicts/1.json"
    time.sleep(0.2)
    assert "Messages" not in account.client("sqs").receive_message(QueueUrl=url)


def test_a_fault_can_be_about_the_events_of_one_source(account: Account) -> None:
    bucket, url = told_objects(account)
    name = source()
    other_url, arn = account.queue()
    rule(account, {"Arn": arn}, EventPattern={"source": [name]})
    account.aws.control("POST", "faults", {"duplicate_events": 1, "source": "aws.s3"})
    put(account, name, {"n": 1})
    account.client("s3").put_object(Bucket=bucket, Key="k", Body=b"x")
    assert len(account.messages(url, 2)) == 2
    account.messages(other_url)
    time.sleep(0.2)
    assert "Messages" not in account.client("sqs").receive_message(QueueUrl=other_url)
    account.aws.control("POST", "faults", {})


def test_a_wrong_pattern_is_refused_when_the_rule_is_made(account: Account) -> None:
    with pytest.raises(ClientError) as problem:
        account.client("events").put_rule(
            Name="wrong", EventPattern=json.dumps({"source": [{"regex": "aws.*"}]})
        )
    error = problem.value.response["Error"]
    assert error["Code"] == "InvalidEventPatternException"
    assert "Unrecognized match type regex" in error["Message"]


def test_many_events_for_one_function_keep_no_other_waiting(account: Account) -> None:
    """A hundred events for a function that takes 0.1 s for each are 5 s of work."""
    slow_source, quick_source = source(), source()
    slow = account.function("import time\ndef lambda_handler(event, context):\n    time.sleep(0.1)\n")
    quick, bucket = listener(account)
    allow(account, slow, rule(account, {"Arn": slow}, EventPattern={"source": [slow_source]}))
    allow(account, quick, rule(account, {"Arn": quick}, EventPattern={"source": [quick_source]}))
    put(account, quick_source, {"n": 0})
    heard(account, bucket, 1)
    for _ in range(10):
        entry = {"Source": slow_source, "DetailType": "Test", "Detail": "{}"}
        account.client("events").put_events(Entries=[entry] * 10)
    begun = time.monotonic()
    put(account, quick_source, {"n": 1})
    heard(account, bucket, 2)
    assert time.monotonic() - begun < 2.5


def test_an_event_reaches_the_subscribers_of_a_topic(account: Account) -> None:
    name = source()
    url, queue_arn = account.queue()
    topic = account.client("sns").create_topic(Name=name.replace(".", "-"))["TopicArn"]
    account.client("sns").set_topic_attributes(
        TopicArn=topic, AttributeName="Policy", AttributeValue=account.for_events("sns:Publish", topic)
    )
    account.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
    rule(account, {"Arn": topic}, EventPattern={"source": [name]})
    put(account, name, {"n": 1})
    (message,) = account.messages(url)
    assert json.loads(json.loads(message["Body"])["Message"])["detail"] == {"n": 1}


def test_a_disabled_rule_hears_nothing(account: Account) -> None:
    name = source()
    (quiet, quiet_arn), (loud, loud_arn) = account.queue(), account.queue()
    rule(account, {"Arn": quiet_arn}, EventPattern={"source": [name]}, State="DISABLED")
    rule(account, {"Arn": loud_arn}, EventPattern={"source": [name]})
    put(account, name, {"n": 1})
    account.messages(loud)
    assert "Messages" not in account.client("sqs").receive_message(QueueUrl=quiet)


def test_a_rule_with_only_a_schedule_matches_no_event(account: Account) -> None:
    name = source()
    (quiet, quiet_arn), (loud, loud_arn) = account.queue(), account.queue()
    rule(account, {"Arn": quiet_arn}, ScheduleExpression="rate(15 minutes)")
    rule(account, {"Arn": loud_arn}, EventPattern={"source": [name]})
    put(account, name, {"n": 1})
    account.messages(loud)
    assert "Messages" not in account.client("sqs").receive_message(QueueUrl=quiet)


def test_a_schedule_fires_when_it_is_told_to(account: Account) -> None:
    url, arn = account.queue()
    name = f"reconcile-{uuid.uuid4().hex[:6]}"
    rule_arn = rule(account, {"Arn": arn}, name=name, ScheduleExpression="rate(15 minutes)")
    account.aws.control("POST", f"schedules/{name}")
    (message,) = account.messages(url)
    event = json.loads(message["Body"])
    assert (event["source"], event["detail-type"], event["resources"]) == (
        "aws.events",
        "Scheduled Event",
        [rule_arn],
    )
    with pytest.raises(LocalAwsFailed, match="no rule with a schedule named 'nobody'"):
        account.aws.control("POST", "schedules/nobody")


def test_schedules_fire_as_much_faster_as_the_time_scale_says(account: Account) -> None:
    with LocalAws(time_scale=900) as aws:
        fast = type(account)(aws)
        url, arn = fast.queue()
        rule(fast, {"Arn": arn, "Input": '{"tick": 1}'}, ScheduleExpression="rate(15 minutes)")
        assert [message["Body"] for message in fast.messages(url, 2, 8)] == ['{"tick": 1}'] * 2


def test_what_cannot_be_delivered_goes_to_the_dead_letter_queue(account: Account) -> None:
    name = source()
    url, arn = account.queue()
    missing = "arn:aws:lambda:us-east-1:123456789012:function:missing"
    rule_arn = rule(
        account, {"Arn": missing, "DeadLetterConfig": {"Arn": arn}}, EventPattern={"source": [name]}
    )
    put(account, name, {"n": 1})
    (message,) = account.messages(url)
    attributes = {key: value["StringValue"] for key, value in message["MessageAttributes"].items()}
    assert attributes["ERROR_CODE"] == "RESOURCE_NOT_FOUND"
    assert (attributes["RULE_ARN"], attributes["TARGET_ARN"]) == (rule_arn, missing)
    assert json.loads(message["Body"])["detail"] == {"n": 1}


def test_a_function_that_does_not_let_the_rule_in_is_not_invoked(account: Account) -> None:
    name = source()
    url, arn = account.queue()
    function, bucket = listener(account)
    allow(account, function, "arn:aws:events:us-east-1:123456789012:rule/another")
    rule(account, {"Arn": function, "DeadLetterConfig": {"Arn": arn}}, EventPattern={"source": [name]})
    put(account, name, {"n": 1})
    (message,) = account.messages(url)
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    assert account.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_events_can_be_dropped_and_doubled_on_demand(account: Account) -> None:
    name = source()
    url, arn = account.queue()
    rule(account, {"Arn": arn}, EventPattern={"source": [name]})
    account.aws.control("POST", "faults", {"drop_events": 1})
    put(account, name, {"n": "lost"})
    put(account, name, {"n": "once"})
    account.aws.control("POST", "faults", {"duplicate_events": 1})
    put(account, name, {"n": "twice"})
    put(account, name, {"n": "last"})
    found = [json.loads(message["Body"])["detail"]["n"] for message in account.messages(url, 4)]
    assert sorted(found) == ["last", "once", "twice", "twice"]
    with pytest.raises(LocalAwsFailed, match="Unknown faults"):
        account.aws.control("POST", "faults", {"drop": 1})


def test_executions_and_jobs_tell_of_their_ends(account: Account) -> None:
    url, arn = account.queue()
    pattern = {"source": ["aws.states", "aws.batch"], "detail": {"status": ["SUCCEEDED"]}}
    name = f"ends-{uuid.uuid4().hex[:6]}"
    rule(account, {"Arn": arn}, name=name, EventPattern=pattern)
    execution = account.start(account.machine({"P": {"Type": "Pass", "End": True}}))
    job = account.submit(account.job_definition("hello"))
    found = {
        json.loads(message["Body"])["source"]: json.loads(message["Body"])
        for message in account.messages(url, 2)
    }
    account.client("events").disable_rule(Name=name)
    assert found["aws.states"]["detail-type"] == "Step Functions Execution Status Change"
    assert found["aws.states"]["detail"]["executionArn"] == execution
    assert found["aws.batch"]["detail-type"] == "Batch Job State Change"
    assert found["aws.batch"]["detail"]["jobId"] == job


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ('{"a": <n>, "b": "<n>"}', {"a": 5, "b": "5"}),
        ('{"a": <text>, "b": "say <text>"}', {"a": 'x "y"', "b": 'say x "y"'}),
        ('{"a": <object>, "b": "<object>"}', {"a": {"k": [1]}, "b": '{"k": [1]}'}),
        ('{"a": <missing>, "b": "<missing>"}', {"a": None, "b": ""}),
        ('"plain <text>"', 'plain x "y"'),
        ('{"a": <unknown>}', None),
    ],
)
def test_a_template_takes_values_as_json_outside_and_bare_inside_quotes(template: str, expected: Any) -> None:
    event = {"time": "t", "detail": {"n": 5, "text": 'x "y"', "object": {"k": [1]}}}
    names = ("n", "text", "object", "missing")
    transformer = {"InputPathsMap": {n: f"$.detail.{n}" for n in names}, "InputTemplate": template}
    text = events.target_input({"InputTransformer": transformer}, event)
    if expected is None:
        assert text == template
    else:
        assert json.loads(text) == expected
