"""Subscription filters of CloudWatch Logs deliver to functions that let the service in."""

from __future__ import annotations

import base64
import gzip
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from conftest import Account

# Writes each event that it gets into a bucket.
LISTENER = """
import boto3, json, os
def lambda_handler(event, context):
    body = json.dumps(event)
    boto3.client("s3").put_object(Bucket=os.environ["BUCKET"], Key=context.aws_request_id, Body=body)
"""
DECLINES = '{ ($.event_type = "TasksDeclined") || ($.event_type = "TasksReturned") }'


class Listener:
    """A function that is subscribed to a log group, and what it has heard."""

    def __init__(self, account: Account, group: str) -> None:
        self.account, self.group = account, group
        self.bucket = account.bucket()
        self.arn = account.function(
            LISTENER,
            variables={"BUCKET": self.bucket},
            grants=[("s3:PutObject", f"arn:aws:s3:::{self.bucket}/*")],
        )

    def let_in(self, principal: str, source: str | None = None) -> None:
        self.account.client("lambda").add_permission(
            FunctionName=self.arn,
            StatementId=uuid.uuid4().hex,
            Action="lambda:InvokeFunction",
            Principal=principal,
            SourceArn=source or f"arn:aws:logs:us-east-1:123456789012:log-group:{self.group}:*",
            SourceAccount="123456789012",
        )

    def subscribe(self, pattern: str = "") -> None:
        self.account.client("logs").put_subscription_filter(
            logGroupName=self.group, filterName="heard", filterPattern=pattern, destinationArn=self.arn
        )

    def deliveries(self) -> list[dict[str, Any]]:
        """Return what the function has been given, unpacked as AWS documents."""
        s3 = self.account.client("s3")
        found = []
        for item in s3.list_objects_v2(Bucket=self.bucket).get("Contents", []):
            event = json.loads(s3.get_object(Bucket=self.bucket, Key=item["Key"])["Body"].read())
            assert list(event) == ["awslogs"]
            found.append(json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"]))))
        return found

    def messages(self) -> list[str]:
        return [event["message"] for delivery in self.deliveries() for event in delivery["logEvents"]]


@pytest.fixture
def listener(account: Account) -> Listener:
    group = f"/group/{uuid.uuid4().hex[:8]}"
    account.client("logs").create_log_group(logGroupName=group)
    account.client("logs").create_log_stream(logGroupName=group, logStreamName="stream/1")
    return Listener(account, group)


def put(listener: Listener, *messages: str) -> None:
    now = int(time.time() * 1000)
    listener.account.client("logs").put_log_events(
        logGroupName=listener.group,
        logStreamName="stream/1",
        logEvents=[{"timestamp": now, "message": message} for message in messages],
    )


def test_log_events_reach_a_subscribed_function_in_the_documented_form(listener: Listener) -> None:
    listener.let_in("logs.us-east-1.amazonaws.com")
    listener.subscribe()
    put(listener, "first", "second")
    put(listener, "third")
    listener.account.eventually(lambda: len(listener.messages()) == 3)
    delivery = listener.deliveries()[0]
    assert {key: delivery[key] for key in delivery if key != "logEvents"} == {
        "messageType": "DATA_MESSAGE",
        "owner": "123456789012",
        "logGroup": listener.group,
        "logStream": "stream/1",
        "subscriptionFilters": ["heard"],
    }
    event = delivery["logEvents"][0]
    assert set(event) == {"id", "timestamp", "message"}
    assert isinstance(event["id"], str)
    assert sorted(listener.messages()) == ["first", "second", "third"]


def test_a_subscription_gets_what_its_pattern_chooses(listener: Listener) -> None:
    listener.let_in("logs.amazonaws.com")
    listener.subscribe(DECLINES)
    kinds = ["TasksAccepted", "TasksDeclined", "TasksSubmitted", "TasksReturned"]
    put(listener, *(json.dumps({"event_type": kind}) for kind in kinds))
    listener.account.eventually(listener.messages)
    time.sleep(0.5)
    found = [json.loads(message)["event_type"] for message in listener.messages()]
    assert found == ["TasksDeclined", "TasksReturned"]


@pytest.mark.parametrize(
    ("principal", "source"),
    [
        (None, None),
        ("events.amazonaws.com", None),
        ("logs.amazonaws.com", "arn:aws:logs:us-east-1:123456789012:log-group:another:*"),
        ("logs.eu-west-1.amazonaws.com", None),
    ],
)
def test_a_function_that_does_not_let_the_service_in_cannot_be_subscribed(
    listener: Listener, principal: str | None, source: str | None
) -> None:
    if principal:
        listener.let_in(principal, source)
    with pytest.raises(ClientError, match="Could not execute the lambda function") as problem:
        listener.subscribe()
    assert problem.value.response["Error"]["Code"] == "InvalidParameterException"


def test_a_function_that_no_longer_lets_the_service_in_hears_nothing(listener: Listener) -> None:
    client = listener.account.client("lambda")
    listener.let_in("logs.amazonaws.com")
    listener.subscribe()
    statement = json.loads(client.get_policy(FunctionName=listener.arn)["Policy"])["Statement"][0]["Sid"]
    client.remove_permission(FunctionName=listener.arn, StatementId=statement)
    put(listener, "secret")
    time.sleep(1.2)
    assert listener.deliveries() == []


def test_a_pattern_that_cannot_be_read_is_refused(listener: Listener) -> None:
    listener.let_in("logs.amazonaws.com")
    with pytest.raises(ClientError, match="Invalid filter pattern") as problem:
        listener.subscribe("{ $.a }")
    assert problem.value.response["Error"]["Code"] == "InvalidParameterException"


def test_a_deleted_subscription_hears_nothing_more(listener: Listener) -> None:
    listener.let_in("logs.amazonaws.com")
    listener.subscribe()
    logs = listener.account.client("logs")
    (found,) = logs.describe_subscription_filters(logGroupName=listener.group)["subscriptionFilters"]
    assert (found["filterName"], found["destinationArn"]) == ("heard", listener.arn)
    logs.delete_subscription_filter(logGroupName=listener.group, filterName="heard")
    put(listener, "later")
    time.sleep(0.8)
    assert listener.deliveries() == []
