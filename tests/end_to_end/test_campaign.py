"""A campaign on the deployed stack keeps its promises, from the first unlabelled row to the trained model."""

from __future__ import annotations

import itertools
import json
import os
import re
import time
import uuid
from collections import Counter
from statistics import mean
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from end_to_end import rights
from end_to_end.audited_campaigns import (
    AuditedCampaign,
    command,
    everything_below,
    story_of,
    worker_id_of,
    workers_report,
)
from end_to_end.conftest import SETTINGS, SMALL
from end_to_end.handmade_job import PREFIX, HandmadeJob
from end_to_end.small_campaigns import SmallCampaign
from truthloop.labels import CLASS
from truthloop_cli.demo import ANNOTATORS
from truthloop_cli.demo_data.mistakes import planted as mistakes_in

if TYPE_CHECKING:
    from end_to_end.conftest import Deployment
    from truthloop_cli.campaign import Progress

pytestmark = [pytest.mark.end_to_end, pytest.mark.terraform, pytest.mark.timeout(400)]

PASSER_BY = "passer-by"
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
    assert progress.rounds[-1].quality["model"] > 0.75


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
        deployment.wait_for_labeling_job(request["campaign"])
        time.sleep(1.5)
        before = deployment.history(arn)
        # It tells the execution that its job is alive.
        deployment.fire_reconciler()
        time.sleep(4)
        assert deployment.history(arn) == before
    finally:
        deployment.annotate()
    assert deployment.finish(arn, request["campaign"]).status == "SUCCEEDED"


def test_without_the_event_the_reconciler_finds_the_job_and_the_labels_are_the_same(
    deployment: Deployment, finished: tuple[str, str, Progress]
) -> None:
    request = deployment.request()
    deployment.aws.control("POST", "faults", {"drop_events": 1000, "source": "aws.sagemaker"})
    try:
        arn = deployment.start(request)
        while deployment.clients.stepfunctions.describe_execution(executionArn=arn)["status"] == "RUNNING":
            if any(
                job["LabelingJobStatus"] == "Completed"
                for job in deployment.labeling_jobs(request["campaign"])
            ):
                deployment.fire_reconciler()
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
    deployment.aws.control("POST", "faults", {"duplicate_events": 1000, "source": "aws.sagemaker"})
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
    assert not deployment.labeling_jobs(request["campaign"])
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


@pytest.mark.parametrize("told_by", ["event", "reconciler"])
def test_a_labelling_job_that_fails_fails_the_campaign_with_its_reason(
    deployment: Deployment, told_by: str
) -> None:
    deployment.send_everybody_home()
    request = deployment.request(stop={"max_rounds": 1})
    arn = deployment.start(request)
    try:
        job = deployment.wait_for_labeling_job(request["campaign"])
        deployment.aws.control(
            "POST",
            "faults",
            {"drop_events": 1000 if told_by == "reconciler" else 0, "source": "aws.sagemaker"},
        )
        deployment.annotate_nonsense()
        sagemaker = deployment.client("sagemaker")
        deployment.eventually(
            lambda: sagemaker.describe_labeling_job(LabelingJobName=job)["LabelingJobStatus"] == "Failed"
        )
        if told_by == "reconciler":
            deployment.fire_reconciler()
        reason = sagemaker.describe_labeling_job(LabelingJobName=job)["FailureReason"]
        ended = deployment.finish(arn, request["campaign"])
    finally:
        deployment.aws.control("POST", "faults", {"drop_events": 0})
        deployment.annotate()
    assert ended.status == "FAILED"
    assert reason in ended.cause


def test_a_stopped_execution_ends_its_batch_job(deployment: Deployment) -> None:
    request = deployment.request()
    arn = deployment.start(request)
    batch, queue = deployment.client("batch"), deployment.outputs["job_queue_arn"]

    def running() -> list[str]:
        jobs = batch.list_jobs(jobQueue=queue, jobStatus="RUNNING")["jobSummaryList"]
        return [job["jobId"] for job in jobs]

    (job_id,) = deployment.eventually(running)
    deployment.clients.stepfunctions.stop_execution(executionArn=arn)
    (job,) = deployment.eventually(
        lambda: [job for job in batch.describe_jobs(jobs=[job_id])["jobs"] if job["status"] == "FAILED"]
    )
    assert job["statusReason"] == "Terminated by Step Functions"


@pytest.mark.parametrize("function", ["release-labeling-job", "reconcile-labeling-jobs"])
def test_an_event_that_a_function_fails_on_is_kept_in_the_dead_letter_queue(
    deployment: Deployment, function: str
) -> None:
    functions, sqs = deployment.client("lambda"), deployment.client("sqs")
    name = f"{deployment.name_prefix}-{function}"
    url = sqs.get_queue_url(QueueName=f"{deployment.name_prefix}-dead-letters")["QueueUrl"]
    event = {"marker": uuid.uuid4().hex}
    functions.update_function_configuration(FunctionName=name, Handler="missing.lambda_handler")
    try:
        functions.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event))
        kept = deployment.eventually(
            lambda: [
                json.loads(message["Body"])
                for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
            ]
        )
    finally:
        functions.update_function_configuration(FunctionName=name, Handler="handler.lambda_handler")
    assert event in [message["requestPayload"] for message in kept]
    assert kept[0]["requestContext"]["condition"] == "RetriesExhausted"


def test_a_campaign_that_has_succeeded_is_not_run_again(
    deployment: Deployment, finished: tuple[str, str, Progress]
) -> None:
    execution = deployment.clients.stepfunctions.describe_execution(executionArn=finished[0])
    ended = deployment.run(json.loads(execution["input"]))
    assert ended.status == "FAILED"
    assert "has succeeded at" in ended.cause


@pytest.mark.parametrize("function", ["create-labeling-job", "post-annotation", "prepare"])
def test_a_function_tells_a_missing_object_from_a_refused_one(
    deployment: Deployment, finished: tuple[str, str, Progress], function: str
) -> None:
    bucket, request = deployment.outputs["data_bucket_name"], deployment.request()
    job = deployment.labeling_jobs(finished[1])[0]["LabelingJobArn"]
    payload = f"s3://{bucket}/campaigns/{finished[1]}/labeling/gone.json"
    events: dict[str, dict[str, Any]] = {
        "create-labeling-job": {"campaign": {"name": "gone"}, "round": 0, "task_token": "none"},
        "post-annotation": {"labelingJobArn": job, "payload": {"s3Uri": payload}},
        "prepare": {
            "request": {**request, "manifest_uri": f"s3://{deployment.digits.bucket}/gone.manifest"},
            "execution_arn": finished[0],
        },
    }
    answer = deployment.client("lambda").invoke(
        FunctionName=f"{deployment.name_prefix}-{function}", Payload=json.dumps(events[function])
    )
    error = json.loads(answer["Payload"].read())
    assert error["errorType"] == "ObjectNotFound", error
    assert "gone" in error["errorMessage"]


def test_an_image_that_vanishes_costs_its_row_and_not_the_campaign(deployment: Deployment) -> None:
    deployment.send_everybody_home()
    request = deployment.request(stop={"max_rounds": 1})
    arn = deployment.start(request)
    try:
        deployment.wait_for_labeling_job(request["campaign"])
        manifest = deployment.s3.lines(deployment.layout(request["campaign"]).selection_manifest(0))
        asked = {json.loads(line)["source-ref"] for _, line in manifest}
        lost = next(uri for uri in deployment.digits.truth if uri not in asked)
        bucket, key = lost.removeprefix("s3://").split("/", 1)
        deployment.clients.s3.delete_object(Bucket=bucket, Key=key)
    finally:
        deployment.annotate()
    ended = deployment.finish(arn, request["campaign"])
    deployment.clients.s3.put_object(Bucket=bucket, Key=key, Body=deployment.digits.images[key])
    assert ended.status == "SUCCEEDED", ended.cause
    labels = {row["source-ref"]: row for row in deployment.labels(request["campaign"])}
    assert labels[lost]["truthloop"]["labeled_by"] is None
    assert sum(row["truthloop"]["labeled_by"] is None for row in labels.values()) == 1


def test_a_row_that_names_a_version_gets_that_version(deployment: Deployment) -> None:
    s3, bucket = deployment.clients.s3, deployment.digits.bucket
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    rows = [json.loads(line) for line in deployment.digits.manifest.splitlines()]
    for row in rows:
        key = row["source-ref"].removeprefix(f"s3://{bucket}/")
        body = deployment.digits.images[key]
        row["source-ref-version-id"] = s3.put_object(Bucket=bucket, Key=key, Body=body)["VersionId"]
        s3.put_object(Bucket=bucket, Key=key, Body=b"overwritten since")
    manifest = "".join(json.dumps(row) + "\n" for row in rows)
    s3.put_object(Bucket=bucket, Key="versions.manifest", Body=manifest.encode())
    request = deployment.request(manifest_uri=f"s3://{bucket}/versions.manifest", stop={"max_rounds": 1})
    ended = deployment.run(request)
    for key, body in deployment.digits.images.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    assert ended.status == "SUCCEEDED", ended.cause
    assert {row["truthloop"]["labeled_by"] for row in deployment.labels(request["campaign"])} == {
        "people",
        "model",
    }


# The other task types. They are here because one deployment serves a whole file, and because the rights of
# the roles below are compared with what their campaigns make them do as well.


@pytest.fixture(scope="module")
def small_campaigns(deployment: Deployment) -> dict[str, SmallCampaign]:
    """A finished campaign of each of the other task types; they run side by side."""
    requests = {task: deployment.small_request(task) for task in SMALL}
    arns = {task: deployment.start(request) for task, request in requests.items()}
    return {
        task: SmallCampaign(task, deployment, request, deployment.finish(arns[task], request["campaign"]))
        for task, request in requests.items()
    }


@pytest.fixture(params=list(SMALL))
def small(request: pytest.FixtureRequest, small_campaigns: dict[str, SmallCampaign]) -> SmallCampaign:
    return small_campaigns[request.param]


def test_a_campaign_of_any_task_type_succeeds_and_its_model_learns(small: SmallCampaign) -> None:
    assert small.progress.status == "SUCCEEDED", small.progress.cause
    first, last = small.progress.rounds[0], small.progress.rounds[-1]
    assert first.metric == last.metric == small.metric
    assert last.quality["model"] > first.quality["model"] + 0.1


def test_people_of_any_task_type_label_better_than_one_of_them_alone(small: SmallCampaign) -> None:
    labels, answers = small.agreement_of_labels(), small.agreement_of_answers()
    assert len(labels) > 20
    assert len(answers) == 5
    together = mean(labels.values())
    # Of people who answered different objects, each is compared on their own.
    alone = [mean(scores.values()) for scores in answers.values()]
    assert together > mean(alone) + 0.01
    beaten = [
        mean(labels[source] for source in scores) >= mean(scores.values()) for scores in answers.values()
    ]
    assert sum(beaten) >= 3


def test_labels_of_any_task_type_are_in_the_format_of_ground_truth(small: SmallCampaign) -> None:
    rows = small.rows()
    assert {row["truthloop"]["labeled_by"] for row in rows} == {"people", "model"}
    for row in rows:
        small.check_format(row)


# Audits. One campaign has all of it: each label audited, mistakes that all annotators share, known objects
# among those to label, every event delivered twice.


@pytest.fixture(scope="module")
def mistakes(deployment: Deployment) -> dict[str, str]:
    """What all annotators take a tenth of the digits for."""
    planted: dict[str, str] = mistakes_in(deployment.digits, CLASS, SETTINGS.seed)
    assert len(planted) == 26
    return planted


@pytest.fixture(scope="module")
def audited(deployment: Deployment, mistakes: dict[str, str]) -> AuditedCampaign:
    """A finished campaign whose labels are all audited, and some of whose objects are gold."""
    known = deployment.known()
    categories = SETTINGS.plan.label_categories
    gold = "".join(
        json.dumps({"source-ref": source, "digit": categories.index(label)}) + "\n"
        for source, label in known.items()
    )
    bucket = deployment.digits.bucket
    deployment.clients.s3.put_object(Bucket=bucket, Key="gold.manifest", Body=gold.encode())
    request = deployment.request(
        audit={"policy": "all", "final_sample": 20},
        gold={"manifest_uri": f"s3://{bucket}/gold.manifest", "share": 0.1},
        stop={"max_rounds": 2},
    )
    # Somebody who works in this campaign alone.
    people = [*deployment.annotators()["annotators"], {**ANNOTATORS[0], "name": PASSER_BY}]
    deployment.annotate(mistakes=mistakes, annotators=people)
    deployment.aws.control("POST", "faults", {"duplicate_events": 100_000})
    try:
        ended = deployment.run(request)
    finally:
        deployment.aws.control("POST", "faults", {"duplicate_events": 0})
        deployment.annotate()
    assert ended.status == "SUCCEEDED", ended.cause
    return AuditedCampaign(deployment, request, ended)


def test_each_round_has_one_audit_though_every_event_came_twice(audited: AuditedCampaign) -> None:
    audits = [audited.audit(each.number).name for each in audited.progress.rounds]
    assert sorted(each["name"] for each in audited.executions()) == sorted(f"{name}-1" for name in audits)
    assert {each["status"] for each in audited.executions()} == {"SUCCEEDED"}


def test_the_next_model_waits_for_the_audit(deployment: Deployment, audited: AuditedCampaign) -> None:
    machine = deployment.outputs["state_machine_arn"]
    executions = deployment.clients.stepfunctions.list_executions(stateMachineArn=machine)["executions"]
    (arn,) = [each["executionArn"] for each in executions if each["name"].startswith(f"{audited.name}-")]
    entered = [
        event["stateEnteredEventDetails"]["name"]
        for event in deployment.history(arn)
        if "stateEnteredEventDetails" in event
    ]
    assert "MergeLabels AuditOrTrain Audit MergeAudit Train" in " ".join(entered)
    assert entered.count("MergeAudit") == 2


def test_auditors_find_the_mistakes_that_everybody_shares_and_they_are_corrected(
    deployment: Deployment, audited: AuditedCampaign, mistakes: dict[str, str]
) -> None:
    categories, first = SETTINGS.plan.label_categories, audited.first_labels()
    shared = mistakes.keys() & first.keys()
    assert len(shared) >= 8
    # Nobody outvotes a mistake that all share.
    assert sum(categories[first[source]] == mistakes[source] for source in shared) >= 0.8 * len(shared)
    corrected = [
        source
        for source in shared
        if categories[audited.rows[source]["digit"]] == deployment.digits.truth[source]
    ]
    assert len(corrected) >= 0.8 * len(shared)
    for source in corrected:
        told = audited.rows[source]["truthloop"]
        events = [each["event"] for each in told["history"]]
        assert events[:2] == ["selected", "labeled"] or events[0] == "labeled"
        assert "audited" in events
        assert told["audit"]["status"] in ("fixed", "relabeled", "expert", "accepted")
    rejected = [
        each
        for source in corrected
        for each in audited.rows[source]["truthloop"]["history"]
        if each.get("decision") == "reject"
    ]
    assert rejected
    assert all(each["comment"].strip() and each["reason"] for each in rejected)


def test_the_estimates_of_an_audit_are_near_the_truth(
    deployment: Deployment, audited: AuditedCampaign
) -> None:
    categories, first = SETTINGS.plan.label_categories, audited.first_labels()
    results = [audited.result(each.number) for each in audited.progress.rounds]
    assert sum(result["rows"] for result in results) == len(first)
    wrong = sum(categories[label] != deployment.digits.truth[source] for source, label in first.items())
    errors = sum(result["estimates"]["initial"]["errors"] for result in results)
    assert wrong > 0.08 * len(first)
    # Auditors of 96 to 99 % miss some and accuse others.
    assert abs(errors - wrong) <= 0.06 * len(first)
    for result in results:
        final = result["estimates"]["final"]
        low, high = final["interval"]
        assert low <= final["rate"] <= high
        assert final["sampled"] == min(20, result["rows"])
        assert final["errors"] < 0.3 * final["sampled"]


def test_auditors_are_never_those_who_labelled(audited: AuditedCampaign) -> None:
    labelers, auditors = set(), set()
    rounds = audited.jobs_of_rounds()
    for job, _, answer in audited.responses():
        sub = answer["workerMetadata"]["identityData"]["sub"]
        if "auditDecision" in answer["answerContent"]:
            auditors.add(sub)
        elif job in rounds:
            labelers.add(sub)
    assert len(labelers) == 6
    assert len(auditors) == 3
    assert not labelers & auditors
    assert all(audited.result(each.number)["self_audits"] == 0 for each in audited.progress.rounds)


def test_known_objects_measure_the_workers_and_never_reach_a_manifest(
    deployment: Deployment, audited: AuditedCampaign
) -> None:
    known = deployment.known()
    asked = {
        json.loads(line)["source-ref"]
        for each in audited.progress.rounds
        for _, line in deployment.s3.lines(audited.layout.selection_manifest(each.number))
    }
    assert asked & known.keys()
    assert not audited.rows.keys() & known.keys()
    master = {
        json.loads(line)["source-ref"] for _, line in deployment.s3.lines(audited.layout.master_manifest())
    }
    assert not master & known.keys()
    scores = [record.gold for record in audited.records() if record.gold is not None]
    assert len(scores) >= 3 * len(asked & known.keys()) * 0.9
    assert 0.7 < mean(scores) < 1


def test_every_answer_is_one_record(deployment: Deployment, audited: AuditedCampaign) -> None:
    given = Counter((job, index) for job, index, _ in audited.responses())
    assert sum(given.values()) > 300
    deployment.eventually(lambda: len(audited.records()) >= sum(given.values()))
    records = audited.records()
    assert Counter((each.job, each.object) for each in records) == given
    assert all(each.seconds and each.submitted_at for each in records)
    text = repr(records)
    for _, _, answer in audited.responses():
        assert answer["workerId"] not in text
        assert answer["workerMetadata"]["identityData"]["sub"] not in text
    assert {each.verdict.decision for each in records if each.verdict} >= {"accept", "reject"}
    assert mean(each.agreement for each in records if each.agreement is not None) > 0.8


def test_a_function_that_gets_an_event_three_times_starts_one_audit(
    deployment: Deployment, audited: AuditedCampaign
) -> None:
    name, before = audited.jobs_of_rounds()[0], audited.executions()
    (job,) = [each for each in deployment.labeling_jobs(name) if each["LabelingJobName"] == name]
    event = {
        "source": "aws.sagemaker",
        "detail-type": "SageMaker Ground Truth Labeling Job State Change",
        "resources": [job["LabelingJobArn"]],
        "detail": {"LabelingJobStatus": "Completed"},
    }
    for _ in range(3):
        answer = deployment.client("lambda").invoke(
            FunctionName=f"{deployment.name_prefix}-start-audit", Payload=json.dumps(event)
        )
        assert "FunctionError" not in answer, answer["Payload"].read()
    assert audited.executions() == before


def test_an_audit_whose_events_are_lost_is_made_and_told_all_the_same(deployment: Deployment) -> None:
    request = deployment.request(audit={"policy": "sample", "minimum": 15}, stop={"max_rounds": 1})
    deployment.aws.control("POST", "faults", {"drop_events": 100_000})
    try:
        arn = deployment.start(request)
        while deployment.clients.stepfunctions.describe_execution(executionArn=arn)["status"] == "RUNNING":
            deployment.fire_reconciler()
            time.sleep(1)
    finally:
        deployment.aws.control("POST", "faults", {"drop_events": 0})
    ended = deployment.finish(arn, request["campaign"])
    assert ended.status == "SUCCEEDED", ended.cause
    result = AuditedCampaign(deployment, request, ended).result(0)
    assert 15 <= result["audited"] < result["rows"]


def test_a_labelling_job_made_by_hand_is_audited(deployment: Deployment) -> None:
    job = HandmadeJob.create(deployment, f"{PREFIX}{uuid.uuid4().hex[:8]}")
    audit = deployment.eventually(job.audit_result, 120)
    assert audit["campaign"] is None
    assert audit["job_name"] == job.name
    assert audit["rows"] == len(job.sources)
    assert audit["audited"] >= 1
    audited_rows = job.audited_rows()
    assert {row["source-ref"] for row in audited_rows} <= set(job.sources)
    assert all(row["truthloop"]["audit"]["decision"] in ("accept", "reject", "fix") for row in audited_rows)


def test_labels_by_the_model_that_break_their_promise_are_revoked_and_people_label_them(
    deployment: Deployment,
) -> None:
    request = deployment.request(
        audit={"policy": "sample", "minimum": 10, "auto_sample": 40},
        auto_labeling={"target_precision": 0.8},
        selection={"strategy": "margin", "seed_size": 60, "round_size": 10},
        splits={"test_fraction": 0.2, "validation_fraction": 0.3},
        stop={"max_rounds": 2},
    )
    layout = deployment.layout(request["campaign"])
    arn = deployment.start(request)
    deployment.eventually(lambda: deployment.s3.exists(layout.decision(0)), 240)
    # The next job waits; the model labels by itself before there is one.
    deployment.send_everybody_home()
    try:
        deployment.eventually(lambda: deployment.s3.exists(layout.selection(1)), 120)
        auto = [json.loads(line) for _, line in deployment.s3.lines(layout.auto_manifest(1))]
        assert len(auto) > 30
        # What the model took for its label is something else after all, for every other one of them.
        truth = deployment.annotators()["truth"]
        categories = request["label_categories"]
        for row in auto[::2]:
            truth[row["source-ref"]] = categories[(row["digit"] + 1) % len(categories)]
    finally:
        deployment.annotate(**({"truth": truth} if "truth" in locals() else {}))
    try:
        ended = deployment.finish(arn, request["campaign"])
    finally:
        deployment.annotate()
    assert ended.status == "SUCCEEDED", ended.cause
    campaign = AuditedCampaign(deployment, request, ended)
    estimate = campaign.result(1)["estimates"]["auto"]
    assert estimate["revoked"]
    assert 1 - estimate["rate"] < estimate["promise"] == 0.8
    stories = {
        source: [each["event"] for each in row["truthloop"].get("history", [])]
        for source, row in campaign.rows.items()
    }
    told = [
        source for source, events in stories.items() if "auto-labeled" in events and "relabeled" in events
    ]
    assert told
    story = story_of(campaign, told[0])
    kinds = [each["event"] for each in story["events"]]
    order = ["arrived", "auto-labeled", "audited", "revoked", "relabeled", "audited", "final"]
    position = -1
    for kind in order:
        assert kind in kinds[position + 1 :], (kind, kinds)
        position = kinds.index(kind, position + 1)
    assert kinds.count("answered") == 3
    assert kinds.count("judged") >= 2


def test_who_is_forgotten_is_in_no_record_and_the_totals_stay(
    deployment: Deployment, audited: AuditedCampaign
) -> None:
    before = workers_report(audited)
    table = deployment.outputs["workers_table_name"]
    bare = worker_id_of(PASSER_BY)
    (item,) = [
        item
        for item in deployment.client("dynamodb").scan(TableName=table)["Items"]
        if any(each.endswith(bare) for each in item.get("worker_ids", {}).get("SS", []))
    ]
    pseudonym = item["worker"]["S"]
    # Ground Truth's own logs call a worker by the last part of the id.
    identifiers = [item["sub"]["S"].encode()]
    identifiers += [each.rpartition(".")[2].encode() for each in item["worker_ids"]["SS"]]
    prefix = f"campaigns/{audited.name}/"
    before_it = list(everything_below(deployment, prefix))
    assert all(any(identifier in body for _, body in before_it) for identifier in identifiers)
    command(deployment, "workers", "forget", pseudonym, "--yes")
    left = [
        key
        for key, body in everything_below(deployment, prefix)
        if any(identifier in body for identifier in identifiers)
    ]
    assert left == []
    for table in ("answers_table_name", "workers_table_name"):
        items = deployment.client("dynamodb").scan(TableName=deployment.outputs[table])["Items"]
        text = json.dumps(items, default=str)
        assert not any(identifier.decode() in text for identifier in identifiers)
    after = workers_report(audited)
    assert after["totals"] == before["totals"]
    assert {each["worker"]: each["answers"] for each in after["workers"]} == {
        each["worker"]: each["answers"] for each in before["workers"]
    }


# What the roles may do, after all that the tests above made them do.


Recorded: TypeAlias = tuple[list[rights.Role], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def recorded(deployment: Deployment, request: pytest.FixtureRequest) -> Recorded:
    """The roles of the stack and the calls that they made in all the tests above."""
    selected = {item.nodeid for item in request.session.items}
    here = {name for name in globals() if name.startswith("test_")}
    if {re.sub(r".*::(\w+).*", r"\1", item) for item in selected if "test_campaign" in item} != here:
        pytest.skip("what the roles use shows only when all tests of this file run")
    return rights.roles(deployment), rights.calls(deployment)


def test_no_call_of_a_role_was_refused(recorded: Recorded) -> None:
    _, calls = recorded
    assert len(calls) > 100
    assert [call for call in calls if not call["allowed"]] == []


def test_every_right_of_every_role_is_used_or_has_a_reason(recorded: Recorded) -> None:
    roles, calls = recorded
    assert len(roles) > 10
    grants = {grant for role in roles for grant in role.grants}
    unused = grants - rights.used(roles, calls)
    reasons = rights.reasons()
    unexplained = [grant for grant in unused if not any(reason.is_for(grant) for reason in reasons)]
    assert sorted(grant.key for grant in unexplained) == []


def test_no_reason_is_out_of_date(recorded: Recorded) -> None:
    roles, calls = recorded
    grants = {grant for role in roles for grant in role.grants}
    used = rights.used(roles, calls)
    for reason in rights.reasons():
        meant = {grant for grant in grants if reason.is_for(grant)}
        assert {grant.action for grant in meant} == set(reason.actions), f"{reason} is for what nobody may do"
        assert sorted(grant.key for grant in meant & used) == [], f"{reason} is for what is used"


def test_every_star_has_its_reason_in_terraform(recorded: Recorded) -> None:
    stars = {grant.why for role in recorded[0] for grant in role.grants if "*" in grant.resources}
    assert stars
    assert sorted(stars - rights.comments().keys()) == []


def test_the_table_of_rights_says_what_the_policies_and_the_runs_do(recorded: Recorded) -> None:
    roles, calls = recorded
    table = rights.table(roles, rights.used(roles, calls), rights.reasons())
    if os.environ.get("TRUTHLOOP_WRITE_RIGHTS"):
        rights.TABLE.write_text(table)
    assert rights.TABLE.read_text() == table, "run `make rights` and look at what has changed"


@pytest.mark.parametrize(
    ("role", "policy", "statement", "told"),
    [
        ("preflight", "function", "LookAtWorkTeams", "not authorized to perform: sagemaker:DescribeWorkteam"),
        ("batch-job", "job", "WriteCampaigns", "AWS refuses it to this role (AccessDenied)"),
    ],
)
def test_a_right_that_is_taken_away_fails_the_step_that_needs_it(
    deployment: Deployment, role: str, policy: str, statement: str, told: str
) -> None:
    iam, name = deployment.client("iam"), f"{deployment.name_prefix}-{role}"
    document = rights.documents(deployment, name)[policy]
    rest = [item for item in document["Statement"] if item["Sid"] != statement]
    assert len(rest) == len(document["Statement"]) - 1

    def put(statements: list[dict[str, Any]]) -> None:
        text = json.dumps({**document, "Statement": statements})
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=text)

    put(rest)
    try:
        ended = deployment.run(deployment.request(stop={"max_rounds": 1}))
    finally:
        put(document["Statement"])
    assert ended.status == "FAILED"
    # Of a job's program the campaign knows only where its log is.
    log = re.search(r"log stream (\S+)$", ended.cause, re.MULTILINE)
    text = ended.cause if log is None else deployment.job_log(log[1])
    assert told in text, text


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
