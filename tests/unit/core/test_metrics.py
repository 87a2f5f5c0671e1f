"""What the functions measure, and how it gets into their logs."""

from __future__ import annotations

import json
import logging
from datetime import timedelta

import pytest

from truthloop import metrics
from truthloop.labeling.backend import JobStatus
from truthloop.labeling.waiting import OpenJob, Outcome, Release
from truthloop.metrics import Sample, of_audit, of_ended_jobs, of_merge, of_open_jobs, of_round, write
from unit.core.emf import DECISION, NAMESPACE, RESULT, declared, points
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
from unit.labeling.kit import NOW

CAMPAIGN = {"name": "digits", "uri": f"s3://{DATA_BUCKET}/campaigns/digits/", "shards": 2}


def named(sample: Sample) -> dict[str, float]:
    return {metric.name: value for metric, value in sample.values.items()}


# ---- the values


def test_a_round_is_measured_by_campaign_and_its_budget_for_the_whole_stack_too():
    own, stack = of_round("digits", DECISION, budget_usd=16.0)
    assert (own.campaign, stack.campaign) == ("digits", None)
    assert named(own) == {
        "RoundLabels": 10,
        "RoundCost": 1.5,
        "CampaignLabels": 25,
        "CampaignCost": 4.0,
        "TestQuality": 87.5,
        "BudgetUsed": 25.0,
    }
    assert named(stack) == {"BudgetUsed": 25.0}


def test_a_campaign_without_a_budget_uses_none():
    [own] = of_round("digits", DECISION, budget_usd=None)
    assert "BudgetUsed" not in named(own)


def test_the_objects_that_a_job_gave_up_are_measured_and_so_is_their_absence():
    assert [named(sample) for sample in of_merge("digits", 3)] == [{"ObjectsFailed": 3}]
    assert [named(sample) for sample in of_merge("digits", 0)] == [{"ObjectsFailed": 0}]


def test_an_audit_is_measured_by_what_it_found():
    [sample] = of_audit("digits", RESULT)
    assert sample.campaign == "digits"
    assert named(sample) == {
        "LabelsAudited": 40,
        "LabelsRejected": 3,
        "LabelsTakenBack": 13,
        "InitialErrorRate": 10.0,
        "FinalErrorRate": 0.0,
        "AutoLabelPrecision": 75.0,
    }


def test_an_error_rate_that_nothing_tells_is_no_value():
    estimates = {"initial": {"rate": None}, "auto": None, "final": None}
    [sample] = of_audit("digits", {**RESULT, "estimates": estimates})
    assert set(named(sample)) == {"LabelsAudited", "LabelsRejected", "LabelsTakenBack"}


def test_the_jobs_of_audits_outside_campaigns_count_for_the_stack_alone():
    jobs = [OpenJob("a", "", NOW - timedelta(hours=3)), OpenJob("b", "cats", NOW)]
    found = {sample.campaign: named(sample)["OpenLabelingJobs"] for sample in of_open_jobs(jobs, NOW)}
    assert found == {None: 2, "cats": 1}


def test_ended_jobs_are_counted_by_how_they_ended_and_each_by_one_call():
    releases = [
        Release("a", Outcome.RESUMED, JobStatus.COMPLETED, ended=True),
        Release("b", Outcome.NOBODY_WAITS, JobStatus.COMPLETED, ended=True),
        Release("c", Outcome.RESUMED, JobStatus.FAILED, ended=True),
        Release("d", Outcome.RESUMED, "NeverCreated", ended=True),
        Release("e", Outcome.RESUMED, JobStatus.STOPPED, ended=True),
        Release("f", Outcome.SUPERSEDED, JobStatus.FAILED),
        Release("g", Outcome.TOLD_BEFORE, JobStatus.FAILED),
        Release("h", Outcome.NOT_FINISHED),
    ]
    [sample] = of_ended_jobs(releases)
    assert sample.campaign is None
    assert named(sample) == {
        "LabelingJobsCompleted": 2,
        "LabelingJobsFailed": 2,
        "LabelingJobsStopped": 1,
    }
    assert of_ended_jobs(releases[5:]) == []


def test_the_job_that_stands_still_longest_counts_by_campaign_and_for_the_stack():
    jobs = [
        OpenJob("a", "digits", NOW - timedelta(hours=3)),
        OpenJob("b", "cats", NOW - timedelta(minutes=30)),
        OpenJob("c", "digits", NOW - timedelta(hours=26)),
    ]
    found = {sample.campaign: named(sample) for sample in of_open_jobs(jobs, NOW)}
    assert found == {
        None: {"OpenLabelingJobs": 3, "HoursWithoutProgress": 26.0},
        "digits": {"OpenLabelingJobs": 2, "HoursWithoutProgress": 26.0},
        "cats": {"OpenLabelingJobs": 1, "HoursWithoutProgress": 0.5},
    }


def test_no_open_job_is_a_value_because_silence_means_that_nobody_looked():
    [sample] = of_open_jobs([], NOW)
    assert (sample.campaign, named(sample)) == (None, {"OpenLabelingJobs": 0, "HoursWithoutProgress": 0.0})


def test_no_two_metrics_have_one_name():
    names = [value.name for value in vars(metrics).values() if isinstance(value, metrics.Metric)]
    assert len(names) == len(set(names)) >= 12


# ---- the log


@pytest.fixture
def settings(monkeypatch):
    monkeypatch.setenv("DATA_BUCKET", DATA_BUCKET)
    monkeypatch.setenv("LEDGER_TABLE", LEDGER_TABLE)
    monkeypatch.setenv("WORKTEAM_ARN", WORKTEAM_ARN)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", NAMESPACE)
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "decide")


@pytest.fixture
def merged(world, settings):
    """A campaign with a budget whose first round waits for its decision."""
    for number in range(20):
        world.put(image_row(number)["source-ref"], b"\x89PNG")
    world.put_manifest([image_row(number) for number in range(20)])
    request = request_document(stop={"max_rounds": 2, "budget_usd": 50.0})
    call("prepare", {"request": request, "execution_arn": EXECUTION_ARN})
    uri = CAMPAIGN["uri"]
    world.s3.write_json(f"{uri}rounds/0/merge.json", {"labeled": 10, "answers": 30})
    world.s3.write_json(
        f"{uri}rounds/0/evaluation.json",
        {"metric": "accuracy", "arms": {"model": {"quality": 0.5, "interval": [0.4, 0.6]}}},
    )
    return world


def call(function, event):
    return load_handler(function).lambda_handler(event, lambda_context(function))


def test_decide_writes_what_the_round_brought(merged, capsys):
    call("decide", {"campaign": CAMPAIGN, "round": 0})
    written = points(capsys.readouterr().out)
    assert {point.series for point in written} == declared()["decide"]
    assert {point.campaign for point in written} == {"digits", None}
    decision = merged.s3.read_json(f"{CAMPAIGN['uri']}rounds/0/decision.json")
    values = {point.metric: point.value for point in written}
    assert values["RoundLabels"] == 10
    assert values["TestQuality"] == 50
    assert values["CampaignCost"] == decision["cost_usd"]["cumulative"] > 0
    assert values["BudgetUsed"] == pytest.approx(2 * decision["cost_usd"]["cumulative"])


def test_a_repeated_decision_writes_the_same_values_again(merged, capsys):
    event = {"campaign": CAMPAIGN, "round": 0}
    call("decide", event)
    first = points(capsys.readouterr().out)
    call("decide", event)
    assert points(capsys.readouterr().out) == first != []


def test_a_function_whose_metrics_cannot_be_written_does_its_work_and_says_so(
    merged, monkeypatch, capsys, caplog
):
    monkeypatch.delenv("POWERTOOLS_METRICS_NAMESPACE")
    assert call("decide", {"campaign": CAMPAIGN, "round": 0})["next_round"] == 1
    assert points(capsys.readouterr().out) == []
    [complaint] = [each for each in caplog.records if each.message == "the metrics could not be written"]
    assert complaint.levelno == logging.ERROR
    assert complaint.exc_info


def test_what_could_not_be_written_does_not_come_out_with_the_next_sample(merged, capsys):
    sink = load_handler("decide").metrics
    unwritable = Sample("digits", {metrics.OBJECTS_FAILED: 1, metrics.ROUND_LABELS: "many"})
    write(sink, logging.getLogger("test"), [unwritable])
    write(sink, logging.getLogger("test"), of_open_jobs([], NOW))
    assert {(point.campaign, point.metric) for point in points(capsys.readouterr().out)} == {
        (None, "OpenLabelingJobs"),
        (None, "HoursWithoutProgress"),
    }


def test_the_decision_is_logged_with_the_fields_that_a_query_can_name(merged, caplog):
    call("decide", {"campaign": CAMPAIGN, "round": 0})
    [logged] = [vars(each) for each in caplog.records if each.message == "the round is decided"]
    assert json.loads(json.dumps(logged["labels"]))["people"] == 10
    assert (logged["campaign"], logged["round"], logged["stop"]) == ("digits", 0, False)
