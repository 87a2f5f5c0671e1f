"""The functions that begin, judge and end a campaign, as the state machine calls them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from boto3.dynamodb.types import TypeDeserializer
from botocore.stub import Stubber

from truthloop import aws
from truthloop.errors import CampaignExists, InvalidRequest, MissingEnvironment
from unit.core.kit import (
    DATA_BUCKET,
    EXECUTION_ARN,
    LEDGER_TABLE,
    WORKTEAM_ARN,
    image_row,
    lambda_context,
    load_handler,
    request_document,
)

TOPIC_ARN = "arn:aws:sns:us-east-1:123456789012:notifications"
URI = f"s3://{DATA_BUCKET}/campaigns/digits/"
CAMPAIGN = {"name": "digits", "uri": URI, "shards": 2, "audit": False}


@pytest.fixture
def settings(monkeypatch):
    monkeypatch.setenv("DATA_BUCKET", DATA_BUCKET)
    monkeypatch.setenv("LEDGER_TABLE", LEDGER_TABLE)
    monkeypatch.setenv("WORKTEAM_ARN", WORKTEAM_ARN)
    monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", TOPIC_ARN)


def call(function, event):
    """Invoke a function; what goes in and comes out has to be JSON."""
    handler = load_handler(function).lambda_handler
    return json.loads(json.dumps(handler(json.loads(json.dumps(event)), lambda_context(function))))


def supply(world, rows=20):
    for number in range(rows):
        world.put(image_row(number)["source-ref"], b"\x89PNG")
    world.put_manifest([image_row(number) for number in range(rows)])


@pytest.fixture
def team(cloud):
    """SageMaker that knows the stack's work team."""
    with Stubber(aws.sagemaker()) as stub:
        team = {
            "WorkteamName": "annotators",
            "MemberDefinitions": [{"OidcMemberDefinition": {"Groups": ["annotators"]}}],
            "WorkteamArn": WORKTEAM_ARN,
            "Description": "d",
        }
        stub.add_response("describe_workteam", {"Workteam": team}, {"WorkteamName": "annotators"})
        yield


def campaign_entry(world):
    read = TypeDeserializer().deserialize
    found = [item for item in world.ledger_entries() if item["entry"]["S"] == "campaign"]
    return {key: read(value) for key, value in found[0].items()} if found else None


@pytest.mark.parametrize("function", ["preflight", "prepare", "decide", "record_outcome"])
def test_a_function_without_its_environment_says_what_it_needs(cloud, monkeypatch, function):
    for name in ("DATA_BUCKET", "LEDGER_TABLE", "WORKTEAM_ARN", "NOTIFICATION_TOPIC_ARN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MissingEnvironment, match=r"DATA_BUCKET|NOTIFICATION_TOPIC_ARN"):
        call(function, {"request": request_document(), "campaign": CAMPAIGN, "round": 0})


def test_a_request_passes_preflight_and_prepare(world, settings, team):
    supply(world)
    cleared = call("preflight", {"request": request_document()})
    assert cleared["estimate"]["rows"] == 20
    assert call("prepare", {"request": cleared["request"], "execution_arn": EXECUTION_ARN}) == {
        "campaign": CAMPAIGN,
        "round": 0,
        "stage": "select",
    }


def test_the_state_machine_learns_whether_labels_are_audited(world, settings):
    supply(world)
    request = request_document(audit={"policy": "sample"})
    prepared = call("prepare", {"request": request, "execution_arn": EXECUTION_ARN})
    assert prepared["campaign"]["audit"] is True


@pytest.mark.parametrize("auditors", [None, ""])
def test_a_stack_without_auditors_still_checks_requests(world, settings, team, monkeypatch, auditors):
    supply(world)
    if auditors is not None:
        monkeypatch.setenv("AUDITORS_WORKTEAM_ARN", auditors)
    with pytest.raises(InvalidRequest, match=r"1\. audit\.workteam_arn is missing"):
        call("preflight", {"request": request_document(audit={"policy": "all"})})


def test_five_mistakes_are_one_answer_and_nothing_is_created(world, settings, team):
    supply(world)
    before = world.keys(DATA_BUCKET)
    document = request_document(
        campaign="Digits!",
        label_categories=["cat", "cat"],
        labeling={"workers_per_object": 0},
        stop={"max_round": 3},
        seed="1",
    )
    with pytest.raises(InvalidRequest) as raised:
        call("preflight", {"request": document})
    message = str(raised.value)
    assert "has 5 problems; nothing was created" in message
    for part in (
        "campaign is",
        "label_categories is",
        "labeling.workers_per_object is",
        "stop.max_round is",
        "seed is",
    ):
        assert part in message
    assert world.keys(DATA_BUCKET) == before
    assert world.ledger_entries() == []


def test_a_round_is_decided(world, settings):
    supply(world)
    call("prepare", {"request": request_document(stop={"max_rounds": 1}), "execution_arn": EXECUTION_ARN})
    world.s3.write_json(f"{URI}rounds/0/merge.json", {"labeled": 10, "answers": 30})
    world.s3.write_json(
        f"{URI}rounds/0/evaluation.json",
        {"metric": "accuracy", "arms": {"model": {"quality": 0.5, "interval": [0.4, 0.6]}}},
    )
    assert call("decide", {"campaign": CAMPAIGN, "round": 0}) == {
        "stop": True,
        "rule": "max_rounds",
        "reason": "1 of at most 1 rounds are done.",
        "next_round": 1,
    }


@pytest.fixture
def notified(cloud):
    """What is published while a test runs."""
    topic = aws.sns().create_topic(Name="notifications")["TopicArn"]
    assert topic == TOPIC_ARN
    messages = []
    publish = aws.sns().meta.events

    def remember(params, **_):
        messages.append((params["Subject"], params["Message"]))

    publish.register("provide-client-params.sns.Publish", remember)
    yield messages
    publish.unregister("provide-client-params.sns.Publish", remember)


def failed_history(stub, state, first=None):
    """Answer the history of an execution whose last state but one failed."""
    if first is not None:
        started = {"executionStartedEventDetails": {"input": json.dumps(first)}}
        event = {"timestamp": 0, "id": 1, "type": "ExecutionStarted", **started}
        stub.add_response(
            "get_execution_history",
            {"events": [event]},
            {"executionArn": EXECUTION_ARN, "maxResults": 1, "includeExecutionData": True},
        )
    events = [
        {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "RecordFailure"}},
        {"type": "TaskFailed"},
        {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": state}},
    ]
    stub.add_response(
        "get_execution_history",
        {"events": [{"timestamp": 0, "id": 1, **event} for event in events]},
        {"executionArn": EXECUTION_ARN, "reverseOrder": True, "includeExecutionData": False},
    )


def test_a_success_is_booked_and_told(world, settings, notified):
    world.ledger.start("digits", "sha", EXECUTION_ARN, datetime.now(UTC))
    event = {
        "campaign": CAMPAIGN,
        "round": 2,
        "outcome": "SUCCEEDED",
        "execution_arn": EXECUTION_ARN,
        "error": None,
    }
    result = call("record_outcome", event)
    assert result["outcome"] == "SUCCEEDED"
    assert (
        result["message"] == f"The campaign digits succeeded after 3 rounds.\nReport: {URI}report/index.html"
    )
    assert notified == [("Truthloop: campaign digits succeeded", result["message"])]
    assert campaign_entry(world)["status"] == "SUCCEEDED"


def test_a_failure_is_booked_and_told_with_its_state_and_reason(world, settings, notified):
    world.ledger.start("digits", "sha", EXECUTION_ARN, datetime.now(UTC))
    error = {"Error": "LabelingJobFailed", "Cause": "The CORS rule is missing"}
    event = {
        "campaign": CAMPAIGN,
        "round": 2,
        "outcome": "FAILED",
        "execution_arn": EXECUTION_ARN,
        "error": error,
    }
    with Stubber(aws.stepfunctions()) as states:
        failed_history(states, "CreateLabelingJob")
        result = call("record_outcome", event)
    for part in (
        "digits failed in round 2, in the state CreateLabelingJob",
        "CORS rule",
        "start the same request again",
    ):
        assert part in result["message"]
    assert notified == [("Truthloop: campaign digits failed", result["message"])]
    entry = campaign_entry(world)
    assert (entry["status"], entry["state"]) == ("FAILED", "CreateLabelingJob")
    assert entry["error"] == "LabelingJobFailed: The CORS rule is missing"


def test_an_execution_that_was_refused_a_name_does_not_fail_the_campaign_that_has_it(
    world, settings, notified
):
    supply(world)
    call("prepare", {"request": request_document(), "execution_arn": EXECUTION_ARN + "-first"})
    with pytest.raises(CampaignExists) as raised:
        call("prepare", {"request": request_document(seed=2), "execution_arn": EXECUTION_ARN})
    cause = json.dumps({"errorMessage": str(raised.value), "errorType": "CampaignExists"})
    event = {
        "campaign": None,
        "round": None,
        "outcome": "FAILED",
        "execution_arn": EXECUTION_ARN,
        "error": {"Error": "CampaignExists", "Cause": cause},
    }
    with Stubber(aws.stepfunctions()) as states:
        failed_history(states, "Prepare", first=request_document(seed=2))
        result = call("record_outcome", event)
    assert "The campaign digits failed before its first round, in the state Prepare." in result["message"]
    assert "choose another name" in result["message"]
    assert len(notified) == 1
    assert campaign_entry(world)["status"] == "RUNNING"


def test_a_failure_of_prepare_is_booked_when_the_campaign_is_its_own(world, settings, notified):
    world.ledger.start("digits", "sha", EXECUTION_ARN, datetime.now(UTC))
    event = {
        "campaign": None,
        "round": None,
        "outcome": "FAILED",
        "execution_arn": EXECUTION_ARN,
        "error": {"Error": "States.Timeout"},
    }
    with Stubber(aws.stepfunctions()) as states:
        failed_history(states, "Prepare", first=request_document())
        call("record_outcome", event)
    entry = campaign_entry(world)
    assert (entry["status"], entry["state"]) == ("FAILED", "Prepare")
    assert notified
