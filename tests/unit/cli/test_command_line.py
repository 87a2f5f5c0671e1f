"""The command line explains itself, fails with one clear line, and shows a campaign as it goes."""

from __future__ import annotations

import io
import json
import re
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from labeling_engine import Team
from local_aws.process import LocalAws
from truthloop import task_types
from truthloop.layout import CampaignLayout
from truthloop.request import parse_request
from truthloop_cli import campaign, live
from truthloop_cli.demo import ANNOTATORS, AUDITORS, DemoSettings, _desk
from truthloop_cli.stack import Stack, TerraformFailed, TerraformMissing


def truthloop(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "truthloop_cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


def test_help_has_examples() -> None:
    shown = truthloop("demo", "--help")
    assert shown.returncode == 0
    assert "truthloop demo --seed 7" in " ".join(shown.stdout.split())


def test_a_size_that_is_not_allowed_is_refused_by_name() -> None:
    refused = truthloop("demo", "--size", "5000")
    assert refused.returncode == 2
    assert "--size" in refused.stderr
    assert "1797" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_task_type_without_a_demo_is_refused_with_those_that_have_one() -> None:
    refused = truthloop("demo", "--task", "bounding-boxes")
    assert refused.returncode == 2
    assert "bounding-boxes" in refused.stderr
    for name in task_types.names():
        assert name in refused.stderr.replace("\n", " ")
    assert "Traceback" not in refused.stderr


def test_an_audit_policy_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    refused = truthloop("demo", "--audit", "some")
    assert refused.returncode == 2
    assert "some" in refused.stderr
    for name in ("none", "sample", "all"):
        assert name in refused.stderr


def test_an_audited_demo_has_auditors_of_their_own_team_and_mistakes_to_find() -> None:
    settings = DemoSettings(size=200, audit="all")
    data = settings.data()
    assert parse_request(settings.request(data)).audit.policy == "all"
    team = Team.from_document(settings.annotators(data, "checkers"))
    assert team.simulated is not None
    assert [each.name for each in team.simulated.annotators if each.workteam == "checkers"] == [
        auditor["name"] for auditor in AUDITORS
    ]
    assert len(team.simulated.mistakes) == 20
    alone = Team.from_document(DemoSettings(size=200).annotators(data))
    assert alone.simulated is not None
    assert not alone.simulated.mistakes
    assert len(alone.simulated.annotators) == len(ANNOTATORS)


def test_a_person_cannot_have_the_name_of_a_simulated_annotator() -> None:
    refused = truthloop("demo", "--annotator", ANNOTATORS[0]["name"])
    assert refused.returncode == 2
    assert "another name" in refused.stderr


def test_the_worker_interface_is_a_command_of_its_own() -> None:
    shown = truthloop("ui", "--help")
    assert shown.returncode == 0
    assert "preview-aws" in shown.stdout


# ---- what the demo asks for --------------------------------------------------------------------------------


@pytest.mark.parametrize("task", task_types.names())
def test_the_demo_request_is_valid_and_keeps_the_truth_out_of_it(task: str) -> None:
    settings = DemoSettings(task, seed=9, size=60)
    data = settings.data()
    request = settings.request(data)
    parsed = parse_request(request)
    assert parsed.seed == 9
    assert parsed.task_type == task
    assert parsed.selection.random_control
    # There must be something left to choose in the last round, of the size that it has by itself.
    pool = settings.plan.sizes.default * (1 - parsed.splits.test_fraction - parsed.splits.validation_fraction)
    assert parsed.selection.seed_size + 2 * parsed.selection.round_size * settings.rounds < pool
    assert "truth" not in json.dumps(request).replace("truthloop", "")


@pytest.mark.parametrize("task", task_types.names())
def test_the_demos_annotators_know_the_truth_and_their_confusions_are_labels(task: str) -> None:
    settings = DemoSettings(task, size=60)
    document = settings.annotators(settings.data())
    team = Team.from_document(document)
    assert team.simulated is not None
    assert len(team.simulated.truth) == 60
    assert team.people == ()
    for annotator in team.simulated.annotators:
        named = {*annotator.confusion, *annotator.confusion.values()}
        assert named <= set(settings.plan.label_categories)


def test_beside_a_person_the_demo_is_small_and_the_others_are_quick() -> None:
    settings = DemoSettings.beside("me", "semantic-segmentation", seed=1, size=None)
    data = settings.data()
    team = Team.from_document(settings.annotators(data))
    assert [person.name for person in team.people] == ["me"]
    assert team.simulated is not None
    request = parse_request(settings.request(data))
    frozen = len(data.truth) * (request.splits.test_fraction + request.splits.validation_fraction)
    asked = frozen + request.selection.seed_size + 2 * request.selection.round_size * (settings.rounds - 1)
    assert asked < 50
    slowest = max(annotator.seconds_median for annotator in team.simulated.annotators)
    assert slowest / team.speed < 3


def test_a_person_in_the_demo_gets_the_address_of_the_portal_and_it_answers() -> None:
    settings = DemoSettings.beside("me", "image-classification", seed=1, size=None)
    output = io.StringIO()
    with (
        LocalAws(annotators=settings.annotators(settings.data())) as aws,
        _desk(settings, aws, Console(file=output, soft_wrap=True, width=200)),
    ):
        address = re.search(r"http://127\.0\.0\.1:\d+/portal/", output.getvalue())
        assert address, output.getvalue()
        with urllib.request.urlopen(f"{address[0]}api/jobs", timeout=10) as answer:  # noqa: S310
            assert json.load(answer) == {"worker": "me", "jobs": []}
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address[0], timeout=10)  # noqa: S310


# ---- following a campaign ----------------------------------------------------------------------------------


class Executions:
    """Step Functions as `follow` calls it: one state per look, then the end."""

    def __init__(self, states: list[str], status: str = "SUCCEEDED", cause: str = "") -> None:
        self._states, self._status, self._cause = states, status, cause
        self._looks = 0

    def describe_execution(self, executionArn: str) -> dict[str, Any]:
        self._looks += 1
        done = self._looks >= len(self._states)
        return {
            "status": self._status if done else "RUNNING",
            "error": "Failed" if self._cause else "",
            "cause": self._cause,
        }

    def get_execution_history(self, **_: Any) -> dict[str, Any]:
        name = self._states[min(self._looks, len(self._states)) - 1]
        return {"events": [{"stateEnteredEventDetails": {"name": name}}, {"id": 1}]}


class Documents:
    """The gateway to S3 as `follow` calls it."""

    def __init__(self, documents: dict[str, Any]) -> None:
        self._documents = documents

    def find_json(self, uri: str) -> Any:
        return self._documents.get(uri)

    def read_json(self, uri: str) -> Any:
        return self._documents[uri]


def finished_round(layout: CampaignLayout, number: int, metric: str = "accuracy") -> dict[str, Any]:
    return {
        layout.decision(number): {
            "labels": {"cumulative_people": 100 + number},
            "cost_usd": {"cumulative": 10.5 + number},
        },
        layout.evaluation(number): {
            "metric": metric,
            "arms": {
                "strategy": {"labels": 50, "quality": 0.91},
                "control": {"labels": 50, "quality": 0.85},
            },
        },
    }


def follow(executions: Executions, documents: dict[str, Any], layout: CampaignLayout) -> list[str]:
    output = io.StringIO()
    console = Console(file=output, soft_wrap=True, width=200)
    updates = campaign.follow(executions, Documents(documents), "arn", layout, seconds=0)  # type: ignore[arg-type]
    ended = live.show(console, updates)
    return [ended.status, ended.cause, output.getvalue()]


@pytest.mark.parametrize(
    ("metric", "shown_as"),
    [
        ("macro_f1", "macro-F1: strategy 0.910, control 0.850"),
        ("map_50", "mAP@0.5: strategy 0.910, control 0.850"),
        ("mean_iou", "mean IoU: strategy 0.910, control 0.850"),
    ],
)
def test_a_followed_campaign_names_its_metric(metric: str, shown_as: str) -> None:
    layout = CampaignLayout("bucket", "objects")
    executions = Executions(["Prepare", "CampaignSucceeded"])
    _, _, shown = follow(executions, finished_round(layout, 0, metric), layout)
    assert shown_as in shown
    # And in the table at the end.
    assert shown.count(shown_as.partition(":")[0]) == 2
    assert shown.count("0.910") == shown.count("0.850") == 2


def test_a_followed_campaign_shows_states_labels_quality_and_money() -> None:
    layout = CampaignLayout("bucket", "digits")
    documents = {**finished_round(layout, 0), **finished_round(layout, 1)}
    executions = Executions(["Prepare", "CreateLabelingJob", "Train", "CampaignSucceeded"])
    status, _, shown = follow(executions, documents, layout)
    assert status == "SUCCEEDED"
    assert "freezing manifest and splits" in shown
    assert "round 2: training" in shown
    assert "101 labels bought" in shown
    assert "accuracy: strategy 91.0%, control 85.0%" in shown
    assert "$11.50" in shown


def test_a_failed_campaign_keeps_its_cause() -> None:
    layout = CampaignLayout("bucket", "digits")
    executions = Executions(["Preflight", "RequestRefused"], "FAILED", "5 problems")
    status, cause, _ = follow(executions, {}, layout)
    assert (status, cause) == ("FAILED", "5 problems")


# ---- Terraform ---------------------------------------------------------------------------------------------


def terraform_that(folder: Path, script: str) -> None:
    fake = folder / "terraform"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)


def stack(path: Path) -> Stack:
    return Stack("local", {"PATH": f"{path}:/bin:/usr/bin", "TF_PLUGIN_DIR": ""}, {"image_tag": "t"})


def test_without_terraform_the_message_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with stack(tmp_path) as one, pytest.raises(TerraformMissing, match="make setup"):
        one.init()


def test_without_mirror_and_registry_the_message_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terraform_that(tmp_path, "echo could not connect to registry.terraform.io; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr("truthloop_cli.stack.find_plugin_dir", lambda: None)
    with stack(tmp_path) as one, pytest.raises(TerraformMissing, match=r"hashicorp/aws.*TF_PLUGIN_DIR"):
        one.init()


def test_a_failed_apply_shows_terraforms_own_diagnostics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = {
        "type": "diagnostic",
        "diagnostic": {"severity": "error", "summary": "creating bucket", "detail": "taken"},
    }
    terraform_that(tmp_path, f"echo '{json.dumps(event)}'; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with stack(tmp_path) as one, pytest.raises(TerraformFailed, match=r"^creating bucket: taken$"):
        one.apply()


def test_an_apply_reports_resources_as_they_finish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [
        {"type": "planned_change", "change": {"action": "create"}},
        {"type": "planned_change", "change": {"action": "create"}},
        {"type": "planned_change", "change": {"action": "read"}},
        {"type": "planned_change", "change": {"action": "noop"}},
        {"type": "apply_complete", "hook": {"action": "read"}},
        {"type": "apply_complete", "hook": {"action": "create"}},
        {"type": "apply_complete", "hook": {"action": "create"}},
    ]
    terraform_that(tmp_path, "\n".join(f"echo '{json.dumps(event)}'" for event in events))
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    seen: list[tuple[int, int]] = []
    with stack(tmp_path) as one:
        one.apply(lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]
