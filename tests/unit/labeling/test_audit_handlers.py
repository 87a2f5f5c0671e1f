"""The functions that begin, end, merge and look after audits, as events and state machines call them."""

from __future__ import annotations

import json
import logging
from dataclasses import fields
from typing import Any

import boto3
import pytest

from truthloop import aws
from truthloop.audit.choose import draw
from truthloop.audit.document import AuditDocument, load_audit
from truthloop.auditing import NoAuditors, seed_of
from truthloop.errors import MissingEnvironment, ObjectNotFound
from truthloop.labeling.jobs import AUDIT, RELABEL, JobsTable
from truthloop.labeling.waiting import ReconciliationIncomplete
from truthloop.layout import AuditLayout
from truthloop.manifest import encode_row
from truthloop.names import audit_name, standalone_audit_name
from truthloop.s3 import S3Gateway
from truthloop.standalone import UnauditableJob
from unit.core.emf import NAMESPACE, points
from unit.labeling.audit_kit import AUDITORS, MACHINE_ARN, AuditExecutions
from unit.labeling.kit import (
    BUCKET,
    CATEGORIES,
    LAYOUT,
    REGION_AND_ACCOUNT,
    TABLE,
    WORKTEAM,
    campaign,
    client_error,
    lambda_context,
    load_handler,
    record,
)
from unit.labeling.test_handlers import state_change
from unit.labeling.test_merge import (
    IDS,
    JOB,
    ROUND,
    auto,
    gold_row,
    labeled,
    master,
    master_row,
    selected,
    write_output,
)
from unit.labeling.test_merge_audit import accepted, revoked, write_audited

OTHERS = "theirs-vehicles"
VARIABLES = {
    "DATA_BUCKET": BUCKET,
    "JOBS_TABLE": TABLE,
    "AUDIT_STATE_MACHINE_ARN": MACHINE_ARN,
    "AUDITORS_WORKTEAM_ARN": AUDITORS,
    "STANDALONE_AUDITS": json.dumps(
        {
            "job_name_prefix": "theirs-",
            "policy": {"policy": "all", "minimum": None},
            "workers_per_object": 2,
        }
    ),
    "NOTIFICATION_TOPIC_ARN": f"arn:aws:sns:{REGION_AND_ACCOUNT}:notifications",
}
READS = {
    "start_audit": {
        "DATA_BUCKET",
        "JOBS_TABLE",
        "AUDIT_STATE_MACHINE_ARN",
        "STANDALONE_AUDITS",
        "AUDITORS_WORKTEAM_ARN",
    },
    "finish_audit": {"JOBS_TABLE", "NOTIFICATION_TOPIC_ARN"},
    "merge_audit": {"DATA_BUCKET"},
}
OF_ROUND = AuditLayout(BUCKET, LAYOUT.campaign, audit_name(LAYOUT, ROUND))
RESULT = {
    "name": OF_ROUND.name,
    "campaign": None,
    "job_name": JOB,
    "rows": 200,
    "auto_rows": 0,
    "audited": 40,
    "decisions": {"accept": 36, "fix": 1, "reject": 3},
    "reasons": {"missing": 1, "wrong-label": 2},
    "relabeled": 2,
    "expert": 1,
    "unresolved": 1,
    "unaudited": 0,
    "self_audits": 0,
    "revoked": 0,
    "estimates": {
        "initial": {
            "errors": 4,
            "sampled": 40,
            "rows": 200,
            "rate": 0.1,
            "interval": [0.035, 0.22],
            "confidence": 0.95,
        },
        "auto": None,
        "final": None,
    },
}


class SageMaker:
    """Labelling jobs as SageMaker describes them."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}

    def describe_labeling_job(self, LabelingJobName: str) -> dict[str, Any]:
        if LabelingJobName not in self.jobs:
            raise client_error("ResourceNotFound", "DescribeLabelingJob")
        return self.jobs[LabelingJobName]

    def add(self, name: str, status: str = "Completed", output_uri: str = "", **changes: Any) -> None:
        folder = output_uri or LAYOUT.labeling_prefix()
        self.jobs[name] = {
            "LabelingJobName": name,
            "LabelingJobArn": arn(name),
            "LabelingJobStatus": status,
            "LabelAttributeName": "label",
            "InputConfig": {"DataSource": {"S3DataSource": {"ManifestS3Uri": "s3://in/put"}}},
            "OutputConfig": {"S3OutputPath": folder},
            "LabelingJobOutput": {"OutputDatasetS3Uri": f"{folder}{name}/manifests/output/output.manifest"},
            "LabelCounters": {},
            "HumanTaskConfig": {
                "WorkteamArn": WORKTEAM,
                "TaskTitle": "Their title",
                "TaskDescription": "Their description",
                "TaskTimeLimitInSeconds": 300,
                "NumberOfHumanWorkersPerDataObject": 1,
            },
            **changes,
        }


def arn(name: str) -> str:
    return f"arn:aws:sagemaker:{REGION_AND_ACCOUNT}:labeling-job/{name}"


@pytest.fixture
def sagemaker(monkeypatch: pytest.MonkeyPatch) -> SageMaker:
    service = SageMaker()
    monkeypatch.setattr(aws, "sagemaker", lambda: service)
    return service


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> AuditExecutions:
    service = AuditExecutions()
    monkeypatch.setattr(aws, "stepfunctions", lambda: service)
    return service


@pytest.fixture
def deployed(
    s3: S3Gateway,
    jobs: JobsTable,
    sagemaker: SageMaker,
    states: AuditExecutions,
    monkeypatch: pytest.MonkeyPatch,
) -> S3Gateway:
    """A stack, and a campaign whose round was labelled."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    prepare(s3)
    s3.write_lines_once(LAYOUT.master_manifest(), map(encode_row, map(master_row, IDS)))
    jobs.open(record(JOB, round=ROUND))
    sagemaker.add(JOB)
    write_output(s3, [labeled("a"), selected("b")])
    return s3


def prepare(s3: S3Gateway, policy: str = "sample", **changes: Any) -> None:
    document = campaign(audit={"policy": policy}, **changes).to_document()
    s3.write_json(LAYOUT.campaign_document(), document)


def call(function: str, event: Any) -> Any:
    result = load_handler(function).lambda_handler(event, lambda_context(function))
    return json.loads(json.dumps(result))


def tell(job: str = JOB, status: str = "Completed") -> Any:
    return call("start_audit", state_change(status, arn(job)))


def ask(waits: str = "token-1", job: str | None = JOB, status: str = "Completed") -> Any:
    labeling = {"job_name": job, "status": status, "output_manifest_uri": None, "counters": {}}
    state = {"name": "digits", "uri": LAYOUT.uri, "shards": 2, "audit": True}
    return call("start_audit", {"campaign": state, "round": ROUND, "labeling": labeling, "task_token": waits})


@pytest.mark.parametrize("function", READS)
def test_each_function_declares_what_it_reads_and_names_what_is_missing(
    function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    handler = load_handler(function)
    assert {field.name for field in fields(handler.Environment)} == READS[function]
    with pytest.raises(MissingEnvironment) as caught:
        handler.lambda_handler({}, lambda_context(function))
    assert all(name in str(caught.value) for name in READS[function])


# ---- a campaign's round


def test_the_end_of_a_campaigns_job_starts_its_audit_once(
    deployed: S3Gateway, states: AuditExecutions
) -> None:
    outcomes = [tell()["outcome"] for _ in range(3)]
    assert outcomes == ["started", "started before", "started before"]
    assert states.inputs == {f"{OF_ROUND.name}-1": {"audit_uri": OF_ROUND.uri, "labeling": None}}


def test_what_is_audited_of_a_round_is_frozen_as_documented(deployed: S3Gateway) -> None:
    prepare(
        deployed,
        labeling={"instructions": "Look at the ears.", "workers_per_object": 2, "price_per_answer_usd": 0.3},
        auto_labeling={"target_precision": 0.9},
        seed=7,
    )
    deployed.write_bytes(LAYOUT.auto_manifest(ROUND), encode_row(auto("c")).encode())
    tell()
    document = deployed.read_json(OF_ROUND.document())
    assert AuditDocument.from_document(document).to_document() == document
    created_at = document.pop("created_at")
    assert created_at.endswith("+00:00")
    assert document.pop("seed") == seed_of(7, ROUND)
    responses = f"{LAYOUT.labeling_prefix()}{JOB}/annotations/worker-response/"
    assert document == {
        "name": OF_ROUND.name,
        "uri": OF_ROUND.uri,
        "campaign": {"name": "digits", "uri": LAYOUT.uri, "round": ROUND},
        "source": {
            "job_name": JOB,
            "job_arn": arn(JOB),
            "output_manifest_uri": LAYOUT.labeling_output_manifest(JOB),
            "worker_response_prefix": responses,
            "auto_manifest_uri": LAYOUT.auto_manifest(ROUND),
            "task_type": "image-classification",
            "label_attribute": "label",
            "label_categories": list(CATEGORIES),
            "instructions": "Look at the ears.",
        },
        "policy": campaign(audit={"policy": "sample"}).request.to_document()["audit"],
        "target_precision": 0.9,
        "labeling": {
            "workteam_arn": WORKTEAM,
            "auditors_workteam_arn": AUDITORS,
            "experts_workteam_arn": AUDITORS,
            "workers_per_object": 2,
            "task_title": "Choose the label",
            "task_description": "Look at the item and choose the label that fits it.",
            "task_keywords": ["labeling"],
            "task_time_limit_seconds": 600,
            "task_availability_seconds": 864_000,
            "max_concurrent_tasks": 1_000,
            "price_per_answer_usd": 0.3,
        },
    }


def test_a_round_draws_otherwise_than_the_rounds_before() -> None:
    # Of 80 labels of the model 60 are revoked unseen; given again, they have the chances of new ones.
    drawn = 0
    for seed in range(100):
        ids = {f"{seed}-{number}" for number in range(80)}
        again = ids - set(draw(ids, 20, seed_of(seed, 0), "auto"))
        new = {f"{seed}-new-{number}" for number in range(60)}
        drawn += len(again & set(draw(again | new, 20, seed_of(seed, 1), "auto")))
    assert drawn / 100 == pytest.approx(10, abs=1)


def test_the_requests_auditors_and_experts_win_over_the_stacks(deployed: S3Gateway) -> None:
    teams = {"workteam_arn": f"{AUDITORS}-2", "expert_workteam_arn": f"{AUDITORS}-3"}
    document = campaign(audit={"policy": "all", **teams}).to_document()
    deployed.write_json(LAYOUT.campaign_document(), document)
    tell()
    labeling = load_audit(deployed, OF_ROUND).labeling
    assert labeling.auditors_workteam_arn == f"{AUDITORS}-2"
    assert labeling.experts_workteam_arn == f"{AUDITORS}-3"


def test_what_an_earlier_call_froze_stays(deployed: S3Gateway) -> None:
    tell()
    before = deployed.read_bytes(OF_ROUND.document())
    prepare(deployed, seed=8)
    tell()
    ask()
    assert deployed.read_bytes(OF_ROUND.document()) == before


@pytest.mark.parametrize("event_first", [True, False])
def test_event_and_campaign_start_one_audit_and_the_campaign_is_told_its_end(
    deployed: S3Gateway, states: AuditExecutions, event_first: bool
) -> None:
    for each in [tell, ask] if event_first else [ask, tell]:
        each()
    assert len(states.inputs) == 1
    deployed.write_json(OF_ROUND.result(), RESULT)
    finished = call("finish_audit", {"audit_uri": OF_ROUND.uri, "error": None})
    assert finished["outcome"] == "told"
    assert states.successes["token-1"]["audit_uri"] == OF_ROUND.uri
    assert states.successes["token-1"]["result"]["audited"] == 40
    assert len(json.dumps(states.successes["token-1"])) < 2_000


def test_a_campaign_that_asks_after_the_audit_is_told_at_once(
    deployed: S3Gateway, states: AuditExecutions
) -> None:
    tell()
    deployed.write_json(OF_ROUND.result(), RESULT)
    call("finish_audit", {"audit_uri": OF_ROUND.uri, "error": None})
    assert ask()["outcome"] == "told"
    assert states.successes["token-1"]["result"]["relabeled"] == 2
    assert len(states.inputs) == 1


def test_a_campaign_without_an_audit_policy_is_left_alone(
    deployed: S3Gateway, states: AuditExecutions
) -> None:
    prepare(deployed, policy="none")
    assert tell() == {"audit": None, "outcome": "nothing to audit"}
    assert ask()["outcome"] == "nothing to audit"
    assert states.inputs == {}
    assert states.successes == {"token-1": {"audit_uri": None, "result": None}}
    assert not deployed.exists(OF_ROUND.document())


@pytest.mark.parametrize("status", ["Failed", "InProgress"])
def test_a_job_that_failed_or_goes_on_is_not_audited_whatever_the_event_says(
    deployed: S3Gateway, sagemaker: SageMaker, states: AuditExecutions, status: str
) -> None:
    # Another job of the round gives the labels, and the model's are audited with them.
    deployed.write_bytes(LAYOUT.auto_manifest(ROUND), encode_row(auto("c")).encode())
    sagemaker.add(JOB, status)
    assert tell()["outcome"] == "nothing to audit"
    assert states.inputs == {}
    assert not deployed.exists(OF_ROUND.document())


def test_a_stopped_job_is_audited_though_it_left_intermediate_manifests_alone(
    deployed: S3Gateway, sagemaker: SageMaker, states: AuditExecutions
) -> None:
    uri = LAYOUT.labeling_output_manifest(JOB)
    boto3.client("s3").delete_object(Bucket=BUCKET, Key=uri.removeprefix(f"s3://{BUCKET}/"))
    sagemaker.add(JOB, "Stopped", LabelingJobOutput={})
    assert tell(status="Stopped")["outcome"] == "nothing to audit"
    write_output(deployed, [labeled("a")], at="annotations/intermediate/1/annotations")
    assert tell(status="Stopped")["outcome"] == "started"
    source = load_audit(deployed, OF_ROUND).source
    assert (source.job_name, source.output_manifest_uri) == (JOB, None)


def test_a_job_that_labelled_gold_items_alone_is_not_audited(
    deployed: S3Gateway, states: AuditExecutions
) -> None:
    write_output(deployed, [selected("b"), gold_row("gold-1", label=1)])
    assert tell()["outcome"] == "nothing to audit"
    assert ask()["outcome"] == "nothing to audit"
    assert states.inputs == {}


def test_a_round_for_the_model_alone_is_audited_when_the_campaign_asks(
    deployed: S3Gateway, states: AuditExecutions
) -> None:
    assert ask("token-0", job=None, status="NothingToLabel")["outcome"] == "nothing to audit"
    deployed.write_bytes(LAYOUT.auto_manifest(ROUND), b"")
    assert ask("token-1", job=None, status="NothingToLabel")["outcome"] == "nothing to audit"
    deployed.write_bytes(LAYOUT.auto_manifest(ROUND), encode_row(auto("c")).encode())
    assert ask("token-2", job=None, status="NothingToLabel")["outcome"] == "started"
    source = load_audit(deployed, OF_ROUND).source
    assert (source.job_name, source.job_arn, source.output_manifest_uri) == (None, None, None)
    assert source.auto_manifest_uri == LAYOUT.auto_manifest(ROUND)
    assert list(states.successes) == ["token-0", "token-1"]


@pytest.mark.parametrize("purpose", [AUDIT, RELABEL])
def test_the_jobs_of_an_audit_are_not_audited(
    deployed: S3Gateway, jobs: JobsTable, states: AuditExecutions, purpose: str
) -> None:
    name = "theirs-vehicles-12345678-s1-a1-89abcdef"
    jobs.open(record(name, purpose=purpose, audit_uri=OF_ROUND.uri))
    assert tell(name) is None
    assert states.inputs == {}


@pytest.mark.parametrize("auditors", ["", WORKTEAM])
def test_an_audit_needs_other_people(
    deployed: S3Gateway, states: AuditExecutions, monkeypatch: pytest.MonkeyPatch, auditors: str
) -> None:
    monkeypatch.setenv("AUDITORS_WORKTEAM_ARN", auditors)
    with pytest.raises(NoAuditors, match=r"work team"):
        tell()
    assert states.inputs == {}


# ---- other people's jobs


def write_others(s3: S3Gateway, sagemaker: SageMaker, rows: list[dict[str, Any]], **changes: Any) -> None:
    folder = f"s3://{BUCKET}/theirs/"
    sagemaker.add(OTHERS, output_uri=folder, **changes)
    uri = f"{folder}{OTHERS}/manifests/output/output.manifest"
    s3.write_bytes(uri, "".join(encode_row(row) + "\n" for row in rows).encode())


def their_row(number: int, label: int = 1, name: str = "dog", **keys: Any) -> dict[str, Any]:
    metadata = {"type": "groundtruth/image-classification", "class-name": name}
    return {
        "source-ref": f"s3://{BUCKET}/{number}.png",
        "label": label,
        "label-metadata": {**metadata, "job-name": f"labeling-job/{OTHERS}"},
        **keys,
    }


def test_a_job_by_hand_gets_its_audit_by_its_name(
    deployed: S3Gateway, sagemaker: SageMaker, states: AuditExecutions
) -> None:
    write_others(
        deployed,
        sagemaker,
        [their_row(1), their_row(2, 0, "cat")],
        LabelCategoryConfigS3Uri=LAYOUT.label_categories(),
    )
    deployed.write_json(LAYOUT.label_categories(), {"labels": [{"label": each} for each in CATEGORIES]})
    layout = AuditLayout(BUCKET, None, standalone_audit_name(arn(OTHERS)))
    outcomes = [tell(OTHERS) for _ in range(3)]
    assert outcomes[0] == {"audit": layout.name, "outcome": "started"}
    assert states.inputs == {f"{layout.name}-1": {"audit_uri": layout.uri, "labeling": None}}
    audit = load_audit(deployed, layout)
    assert audit.campaign is None
    assert audit.target_precision is None
    assert audit.source.job_arn == arn(OTHERS)
    assert audit.source.label_categories == CATEGORIES
    assert audit.source.worker_response_prefix == (
        f"s3://{BUCKET}/theirs/{OTHERS}/annotations/worker-response/"
    )
    assert (audit.policy.policy, audit.policy.minimum) == ("all", 20)
    assert audit.labeling.workers_per_object == 2
    assert audit.labeling.task_title == "Their title"
    assert audit.labeling.task_availability_seconds == 864_000
    assert 0 <= audit.seed < 2**31


@pytest.mark.parametrize(
    "settings",
    [
        {"job_name_prefix": None, "policy": {"policy": "all"}, "workers_per_object": 1},
        {"job_name_prefix": "others-", "policy": {"policy": "all"}, "workers_per_object": 1},
        {"job_name_prefix": "theirs-", "policy": {"policy": "none"}, "workers_per_object": 1},
    ],
)
def test_a_job_that_nobody_wants_audited_is_ignored_and_logged(
    deployed: S3Gateway,
    states: AuditExecutions,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    settings: dict[str, Any],
) -> None:
    monkeypatch.setenv("STANDALONE_AUDITS", json.dumps(settings))
    # It isn't even asked for.
    assert tell(OTHERS) is None
    assert states.inputs == {}
    assert [vars(each)["job_name"] for each in caplog.records] == [OTHERS]


@pytest.mark.parametrize("status", ["Failed", "InProgress"])
def test_a_job_by_hand_that_failed_or_goes_on_is_not_audited(
    deployed: S3Gateway, sagemaker: SageMaker, states: AuditExecutions, status: str
) -> None:
    write_others(deployed, sagemaker, [their_row(1)], status=status)
    assert tell(OTHERS)["outcome"] == "nothing to audit"
    write_others(deployed, sagemaker, [{"source-ref": "s3://in/1.png"}])
    assert tell(OTHERS)["outcome"] == "nothing to audit"
    assert states.inputs == {}


def test_a_job_by_hand_whose_labels_are_of_no_known_kind_is_an_error(
    deployed: S3Gateway, sagemaker: SageMaker, states: AuditExecutions
) -> None:
    write_others(deployed, sagemaker, [their_row(1, label={"entities": []})])  # type: ignore[arg-type]
    with pytest.raises(UnauditableJob, match=OTHERS):
        tell(OTHERS)
    assert states.inputs == {}


def test_an_event_about_something_else_is_ignored(deployed: S3Gateway, states: AuditExecutions) -> None:
    assert call("start_audit", {**state_change("Completed"), "resources": []}) is None
    assert states.inputs == {}


# ---- the end


@pytest.fixture
def notified(deployed: S3Gateway) -> Any:
    """What is published while a test runs."""
    boto3.client("sns").create_topic(Name="notifications")
    messages: list[tuple[str, str]] = []
    events = aws.sns().meta.events

    def remember(params: Any, **_: Any) -> None:
        messages.append((params["Subject"], params["Message"]))

    events.register("provide-client-params.sns.Publish", remember)
    yield messages
    events.unregister("provide-client-params.sns.Publish", remember)


def test_the_end_of_a_job_by_hands_audit_is_told_in_words_with_its_figures(
    deployed: S3Gateway, sagemaker: SageMaker, notified: list[tuple[str, str]]
) -> None:
    write_others(deployed, sagemaker, [their_row(1)])
    tell(OTHERS)
    layout = AuditLayout(BUCKET, None, standalone_audit_name(arn(OTHERS)))
    deployed.write_json(layout.result(), {**RESULT, "name": layout.name, "job_name": OTHERS})
    answer = call("finish_audit", {"audit_uri": layout.uri, "error": None})
    assert answer["outcome"] == "nobody waits"
    assert notified == [(f"Truthloop: audit {layout.name} succeeded", answer["message"])]
    for part in (
        f"The audit {layout.name} of the labelling job {OTHERS} ended.",
        "40 of 200 labels were looked at: 36 accepted, 1 fixed, 3 rejected.",
        "Reasons: wrong-label 2, missing 1.",
        "Wrong labels before the audit: 10.0% (4 of 40; 95% interval 3.5% to 22.0%).",
        "Labelled again by others: 2, by an expert: 1.",
        f"Result: {layout.result()}\nLabels: {layout.audited_manifest()}",
    ):
        assert part in answer["message"]


def test_a_campaigns_audit_that_ends_well_bothers_nobody(
    deployed: S3Gateway, notified: list[tuple[str, str]]
) -> None:
    ask()
    deployed.write_json(OF_ROUND.result(), RESULT)
    call("finish_audit", {"audit_uri": OF_ROUND.uri, "error": None})
    assert notified == []


def test_a_failed_audit_fails_its_campaign_and_is_told(
    deployed: S3Gateway, states: AuditExecutions, notified: list[tuple[str, str]]
) -> None:
    ask()
    cause = json.dumps({"errorMessage": "The CORS rule is missing", "errorType": "AuditOutOfStep"})
    error = {"Error": "AuditOutOfStep", "Cause": cause}
    answer = call("finish_audit", {"audit_uri": OF_ROUND.uri, "error": error})
    assert answer["outcome"] == "told"
    assert states.failures["token-1"] == (
        "AuditFailed",
        f"{OF_ROUND.name}: AuditOutOfStep: The CORS rule is missing",
    )
    [(subject, message)] = notified
    assert subject == f"Truthloop: audit {OF_ROUND.name} failed"
    assert "Reason: AuditOutOfStep: The CORS rule is missing" in message
    assert "start the campaign's request again" in message


def test_an_audit_that_says_it_ended_without_a_result_is_an_error(
    deployed: S3Gateway, states: AuditExecutions
) -> None:
    ask()
    with pytest.raises(ObjectNotFound, match=r"result\.json"):
        call("finish_audit", {"audit_uri": OF_ROUND.uri, "error": None})
    assert (states.successes, states.failures) == ({}, {})


# ---- the merge


def test_the_merge_of_an_audit_says_what_became_of_the_rows_and_measures_it(
    deployed: S3Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", NAMESPACE)
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "merge_audit")
    write_audited(deployed, [accepted(labeled("a")), revoked("c")])
    deployed.write_json(OF_ROUND.result(), RESULT)
    event = {
        "campaign": {"name": "digits"},
        "round": ROUND,
        "audit": {"audit_uri": OF_ROUND.uri, "result": {}},
    }
    expected = {"accepted": 1, "fixed": 0, "relabeled": 0, "revoked": 1, "unresolved": 0}
    assert call("merge_audit", event) == expected
    assert master(deployed)["a"]["truthloop"]["audit"]["status"] == "accepted"
    written = {point.metric: point.value for point in points(capsys.readouterr().out)}
    assert written == {
        "LabelsAudited": 40,
        "LabelsRejected": 3,
        "LabelsTakenBack": 1,
        "InitialErrorRate": 10,
    }


def test_a_round_with_nothing_to_audit_is_merged_as_that(
    deployed: S3Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    event = {"campaign": {"name": "digits"}, "round": ROUND, "audit": {"audit_uri": None, "result": None}}
    assert set(call("merge_audit", event).values()) == {0}
    assert points(capsys.readouterr().out) == []


# ---- the schedule


def test_the_schedule_finds_the_audit_whose_end_was_lost(
    deployed: S3Gateway, states: AuditExecutions, jobs: JobsTable
) -> None:
    jobs.mark_released(jobs.require(JOB), "Completed", record().unchanged_since)
    ask()
    counts = call("reconcile_labeling_jobs", {})
    assert (counts["audits_running"], counts["audits_told"], counts["errors"]) == (1, 0, 0)
    assert states.heartbeats == ["token-1"]
    states.statuses[f"{OF_ROUND.name}-1"] = "TIMED_OUT"
    assert call("reconcile_labeling_jobs", {})["audits_told"] == 1
    assert states.failures["token-1"][0] == "AuditFailed"


def test_the_schedule_fails_loudly_when_it_cannot_see_an_audit(
    deployed: S3Gateway, states: AuditExecutions, jobs: JobsTable
) -> None:
    jobs.mark_released(jobs.require(JOB), "Completed", record().unchanged_since)
    ask()
    states.statuses[f"{OF_ROUND.name}-1"] = "UNKNOWN"
    with pytest.raises(ReconciliationIncomplete, match=f"audit/{OF_ROUND.name}"):
        call("reconcile_labeling_jobs", {})


def test_no_function_logs_a_token(
    deployed: S3Gateway, states: AuditExecutions, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="service_undefined")
    ask("token-of-a-campaign")
    call("reconcile_labeling_jobs", {})
    deployed.write_json(OF_ROUND.result(), RESULT)
    call("finish_audit", {"audit_uri": OF_ROUND.uri, "error": None})
    logged = [str(vars(each)) for each in caplog.records if "service" in each.name]
    assert any(OF_ROUND.name in each for each in logged)
    assert not any("token-of-a-campaign" in each for each in logged)
