"""A campaign on the deployed stack keeps its promises, from the first unlabelled row to the trained model."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from end_to_end.conftest import SETTINGS

if TYPE_CHECKING:
    from end_to_end.conftest import Deployment
    from truthloop_cli.campaign import Progress

pytestmark = [pytest.mark.end_to_end, pytest.mark.terraform, pytest.mark.timeout(400)]

# Facts of a label that do not depend on which run bought it.
STABLE = ("digit", "reason", "labeled_by", "round", "score")


def stable_labels(rows: list[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    return {
        row["source-ref"]: (row.get("digit"), *(row["truthloop"][key] for key in STABLE[1:])) for row in rows
    }


@pytest.fixture(scope="module")
def finished(deployment: Deployment) -> tuple[str, str, Progress]:
    request = deployment.request()
    arn = deployment.start(request)
    return arn, request["campaign"], deployment.finish(arn, request["campaign"])


def test_a_second_plan_changes_nothing(deployment: Deployment) -> None:
    assert len(deployment.stack.resources()) > 50
    assert not deployment.stack.has_changes()


def test_the_campaign_succeeds_after_its_rounds(finished: tuple[str, str, Progress]) -> None:
    _, _, progress = finished
    assert progress.status == "SUCCEEDED", progress.cause
    assert [result.number for result in progress.rounds] == list(range(SETTINGS.max_rounds))
    bought = [result.labels for result in progress.rounds]
    assert bought == sorted(set(bought))
    assert progress.rounds[-1].accuracy["model"] > 0.75


def test_every_input_row_comes_back_once_with_its_keys_and_says_who_labelled_it_and_why(
    deployment: Deployment, finished: tuple[str, str, Progress]
) -> None:
    rows = deployment.labels(finished[1])
    given = [json.loads(line) for line in deployment.digits.manifest.splitlines()]
    assert [row["source-ref"] for row in rows] == [row["source-ref"] for row in given]
    for row, source in zip(rows, given, strict=True):
        assert {key: row[key] for key in source} == source
        assert row["truthloop"]["labeled_by"] in ("people", "model")
        assert row["truthloop"]["reason"]
        human = row["digit-metadata"]["human-annotated"]
        assert human == {"people": "yes", "model": "no"}[row["truthloop"]["labeled_by"]]
    reasons = Counter(row["truthloop"]["reason"] for row in rows)
    assert {"seed", "test", "validation", "margin", "random-control", "model"} <= set(reasons)


def test_people_label_better_than_one_of_them_alone(
    deployment: Deployment, finished: tuple[str, str, Progress]
) -> None:
    rows = [row for row in deployment.labels(finished[1]) if row["truthloop"]["labeled_by"] == "people"]
    correct = sum(
        row["digit-metadata"]["class-name"] == deployment.digits.truth[row["source-ref"]] for row in rows
    )
    assert len(rows) > 100
    # The mean annotator of the demo is right in 92 % of the answers.
    assert correct / len(rows) > 0.94


def test_the_frozen_splits_are_labelled_by_people_alone_and_never_trained_on(
    deployment: Deployment, finished: tuple[str, str, Progress]
) -> None:
    layout = deployment.layout(finished[1])
    splits = deployment.s3.read_json(layout.splits())
    frozen = {*splits["test"], *splits["validation"]}
    rows = {row["truthloop"]["id"]: row["truthloop"] for row in deployment.labels(finished[1])}
    assert frozen <= rows.keys()
    assert {rows[key]["reason"] for key in frozen} == {"test", "validation"}
    for number in range(SETTINGS.max_rounds):
        lines = deployment.s3.lines(layout.train_manifest(number))
        trained = {json.loads(line)["truthloop"]["id"] for _, line in lines}
        assert trained
        assert not trained & frozen


def test_each_round_adds_fewer_than_sixty_events(
    deployment: Deployment, finished: tuple[str, str, Progress]
) -> None:
    entered = [
        (event["id"], event["stateEnteredEventDetails"]["name"])
        for event in deployment.history(finished[0])
        if "stateEnteredEventDetails" in event
    ]
    starts = [number for number, name in entered if name == "Select"]
    assert len(starts) == SETTINGS.max_rounds
    assert all(later - earlier < 60 for earlier, later in itertools.pairwise(starts))


def test_the_ledger_holds_the_campaign_and_every_round(
    deployment: Deployment, finished: tuple[str, str, Progress]
) -> None:
    table = deployment.client("dynamodb")
    items = table.query(
        TableName=deployment.outputs["ledger_table_name"],
        KeyConditionExpression="campaign = :c",
        ExpressionAttributeValues={":c": {"S": finished[1]}},
    )["Items"]
    entries = {item["entry"]["S"]: item for item in items}
    assert set(entries) == {"campaign", *(f"round#{n:05d}" for n in range(SETTINGS.max_rounds))}
    assert entries["campaign"]["status"]["S"] == "SUCCEEDED"


def test_the_execution_adds_no_events_while_people_label(deployment: Deployment) -> None:
    deployment.send_everybody_home()
    try:
        request = deployment.request(stop={"max_rounds": 1})
        arn = deployment.start(request)
        deadline = time.monotonic() + 60
        while not labeling_jobs(deployment, request["campaign"]):
            assert time.monotonic() < deadline, "no labelling job was created"
            time.sleep(0.3)
        time.sleep(1.5)
        before = deployment.history(arn)
        time.sleep(4)
        assert deployment.history(arn) == before
    finally:
        deployment.annotate()
    assert deployment.finish(arn, request["campaign"]).status == "SUCCEEDED"


def test_without_the_event_the_reconciler_finds_the_job_and_the_labels_are_the_same(
    deployment: Deployment, finished: tuple[str, str, Progress]
) -> None:
    request = deployment.request()
    deployment.aws.control("POST", "faults", {"drop_events": 1000})
    try:
        arn = deployment.start(request)
        rule = f"{deployment.name_prefix}-reconcile-labeling-jobs"
        while deployment.clients.stepfunctions.describe_execution(executionArn=arn)["status"] == "RUNNING":
            if any(
                job["LabelingJobStatus"] == "Completed"
                for job in labeling_jobs(deployment, request["campaign"])
            ):
                deployment.aws.control("POST", f"schedules/{rule}", {})
            time.sleep(0.5)
    finally:
        deployment.aws.control("POST", "faults", {"drop_events": 0})
    assert deployment.finish(arn, request["campaign"]).status == "SUCCEEDED"
    assert stable_labels(deployment.labels(request["campaign"])) == stable_labels(
        deployment.labels(finished[1])
    )


def test_with_every_event_sent_twice_the_labels_are_the_same(
    deployment: Deployment, finished: tuple[str, str, Progress]
) -> None:
    request = deployment.request()
    deployment.aws.control("POST", "faults", {"duplicate_events": 1000})
    try:
        assert deployment.run(request).status == "SUCCEEDED"
    finally:
        deployment.aws.control("POST", "faults", {"duplicate_events": 0})
    assert stable_labels(deployment.labels(request["campaign"])) == stable_labels(
        deployment.labels(finished[1])
    )


def test_a_request_with_five_mistakes_gets_one_answer_and_creates_nothing(deployment: Deployment) -> None:
    request = deployment.request(
        task_type="image-clasification",
        manifest_uri=f"s3://{deployment.digits.bucket}/no-such.manifest",
        label_attribute="digit_label",
        splits={"test_fraction": 1.5},
        rounds=3,
    )
    ended = deployment.run(request)
    assert ended.status == "FAILED"
    assert ended.error == "InvalidRequest"
    for mistake in ("image-clasification", "no-such.manifest", "digit_label", "1.5", "rounds"):
        assert mistake in ended.cause
    assert "5 problems" in ended.cause
    assert not list(deployment.s3.list(deployment.layout(request["campaign"]).uri))
    assert not labeling_jobs(deployment, request["campaign"])
    ledger = deployment.client("dynamodb").query(
        TableName=deployment.outputs["ledger_table_name"],
        KeyConditionExpression="campaign = :c",
        ExpressionAttributeValues={":c": {"S": request["campaign"]}},
    )
    assert ledger["Items"] == []


def test_a_failed_campaign_says_where_and_why_and_goes_on_when_started_again(deployment: Deployment) -> None:
    request = deployment.request(stop={"max_rounds": 1})
    broken = deployment.layout(request["campaign"]).model(0)
    # Train finds its output and leaves it alone; the next step cannot read it.
    deployment.s3.write_bytes(broken, b"not a model")
    ended = deployment.run(request)
    assert ended.status == "FAILED"
    assert "round 0, in the state Evaluate" in ended.cause
    ledger = deployment.client("dynamodb").get_item(
        TableName=deployment.outputs["ledger_table_name"],
        Key={"campaign": {"S": request["campaign"]}, "entry": {"S": "campaign"}},
    )["Item"]
    assert ledger["status"]["S"] == "FAILED"
    parts = broken.removeprefix("s3://").split("/", 1)
    deployment.clients.s3.delete_object(Bucket=parts[0], Key=parts[1])
    assert deployment.run(request).status == "SUCCEEDED"


def test_destroy_leaves_nothing_behind(deployment: Deployment) -> None:
    prefix = deployment.name_prefix
    deployment.stack.destroy()
    assert deployment.stack.resources() == []
    names = [
        *deployment.client("dynamodb").list_tables()["TableNames"],
        *(f["FunctionName"] for f in deployment.client("lambda").list_functions()["Functions"]),
        *(m["name"] for m in deployment.clients.stepfunctions.list_state_machines()["stateMachines"]),
        *(b["Name"] for b in deployment.clients.s3.list_buckets()["Buckets"]),
        *(q["jobQueueName"] for q in deployment.client("batch").describe_job_queues()["jobQueues"]),
        *(r["RoleName"] for r in deployment.client("iam").list_roles()["Roles"]),
        *(r["Name"] for r in deployment.client("events").list_rules()["Rules"]),
        *(t["TopicArn"] for t in deployment.client("sns").list_topics()["Topics"]),
        *deployment.client("sqs").list_queues().get("QueueUrls", []),
        *(w["WorkteamName"] for w in deployment.client("sagemaker").list_workteams()["Workteams"]),
        *(g["logGroupName"] for g in deployment.client("logs").describe_log_groups()["logGroups"]),
        *(r["repositoryName"] for r in deployment.client("ecr").describe_repositories()["repositories"]),
    ]
    assert not [name for name in names if prefix in name and name != "truthloop-local-state"]


def labeling_jobs(deployment: Deployment, name: str) -> list[dict[str, Any]]:
    """The labelling jobs of a campaign in the embedded SageMaker, whatever their status."""
    jobs = deployment.client("sagemaker").list_labeling_jobs(NameContains=name)
    return jobs["LabelingJobSummaryList"]
