"""The command line explains itself, fails with one clear line, and shows a campaign as it goes."""

from __future__ import annotations

import io
import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from truthloop.layout import CampaignLayout
from truthloop_cli import campaign, live
from truthloop_cli.demo import DemoSettings
from truthloop_cli.digits import CLASSES, make_digits
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


# ---- the demo's data ---------------------------------------------------------------------------------------


def test_the_digits_are_png_files_without_labels_whose_truth_is_apart() -> None:
    digits = make_digits("bucket", 30)
    rows = [json.loads(line) for line in digits.manifest.splitlines()]
    assert [row.keys() for row in rows] == [{"source-ref", "scan"}] * 30
    assert {row["source-ref"] for row in rows} == set(digits.truth)
    assert set(digits.truth.values()) == set(CLASSES)
    with Image.open(io.BytesIO(digits.images["digits/0000.png"])) as image:
        assert image.format == "PNG"
        # Dark ink on white paper, as a person expects it.
        assert image.getpixel((0, 0)) > 200
        assert image.getextrema()[0] < 40


def test_a_number_of_digits_that_there_are_not_is_refused() -> None:
    with pytest.raises(ValueError, match=r"size is 1798.*1 to 1797"):
        make_digits("bucket", 1798)


def test_the_demo_request_is_valid_and_keeps_the_truth_out_of_it() -> None:
    from truthloop.request import parse_request

    settings = DemoSettings(seed=9)
    digits = make_digits("bucket", 20)
    request = settings.request(digits)
    parsed = parse_request(request)
    assert parsed.seed == 9
    assert parsed.selection.random_control
    assert "truth" not in json.dumps(request)


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


def finished_round(layout: CampaignLayout, number: int) -> dict[str, Any]:
    return {
        layout.decision(number): {
            "labels": {"cumulative_people": 100 + number},
            "cost_usd": {"cumulative": 10.5 + number},
        },
        layout.evaluation(number): {
            "arms": {
                "strategy": {"labels": 50, "accuracy": 0.91},
                "control": {"labels": 50, "accuracy": 0.85},
            }
        },
    }


def follow(executions: Executions, documents: dict[str, Any], layout: CampaignLayout) -> list[str]:
    output = io.StringIO()
    console = Console(file=output, soft_wrap=True, width=200)
    updates = campaign.follow(executions, Documents(documents), "arn", layout, seconds=0)  # type: ignore[arg-type]
    ended = live.show(console, updates)
    return [ended.status, ended.cause, output.getvalue()]


def test_a_followed_campaign_shows_states_labels_accuracy_and_money() -> None:
    layout = CampaignLayout("bucket", "digits")
    documents = {**finished_round(layout, 0), **finished_round(layout, 1)}
    executions = Executions(["Prepare", "CreateLabelingJob", "Train", "CampaignSucceeded"])
    status, _, shown = follow(executions, documents, layout)
    assert status == "SUCCEEDED"
    assert "freezing manifest and splits" in shown
    assert "round 2: training" in shown
    assert "101 labels bought" in shown
    assert "strategy 91.0%, control 85.0%" in shown
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
