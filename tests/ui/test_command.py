"""`truthloop ui` from a terminal: what it prints, writes and refuses, and how it ends."""

from __future__ import annotations

import http.client
import io
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from worker_ui.contract import Job

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = "from truthloop_cli import main, ui; main.run(ui.app, 'truthloop', 'interrupted')"
AUDIT = REPOSITORY / "ui_templates" / "audit"
TEMPLATE = "<crowd-form>{{ task.input.text }}</crowd-form>"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, *arguments]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=60, check=False, cwd=REPOSITORY
    )


def call(port: int, path: str, body: dict[str, Any]) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert response.status == 200
    value = json.loads(response.read())
    connection.close()
    return value


def get(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    response = connection.getresponse()
    assert response.status == 200
    content = response.read()
    connection.close()
    return content


@pytest.fixture
def template(tmp_path: Path) -> Path:
    (tmp_path / "template.liquid.html").write_text(TEMPLATE, "utf-8")
    (tmp_path / "sample_input.json").write_text('{"text": "one"}', "utf-8")
    return tmp_path


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_preview_says_its_address_keeps_the_answer_and_ends_by_a_signal(template, end):
    out = template / "answers" / "answer.json"
    arguments = command("--template", str(template), "--port", "0", "--out", str(out))
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            port = int(re.fullmatch(r"Open http://127\.0\.0\.1:(\d+)/portal/ in a browser\. .*\n", line)[1])
            task = call(port, "/portal/api/next", {"job": "preview"})["task"]
            answer = {"label": "猫", "png": "x" * 5000}
            call(port, "/portal/api/submit", {"task": task["id"], "answer": answer})
            process.send_signal(end)
            printed, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 0
    assert errors == ""
    assert json.loads(out.read_text("utf-8")) == answer
    assert "猫" in printed
    assert "(5000 characters)" in printed
    assert "x" * 200 not in printed
    assert printed.endswith("The portal has ended.\n")


def test_the_auditors_page_is_previewed_with_an_overlay_for_its_mask():
    sample = AUDIT / "sample_input.json"
    arguments = command("--template", str(AUDIT), "--input", str(sample), "--port", "0")
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        try:
            port = int(re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())[1])
            task = call(port, "/portal/api/next", {"job": "preview"})["task"]
            page = get(port, task["page"]).decode()
            [address] = re.findall(r'class="overlay" src="http://[^/]*([^"]*)"', page)
            overlay = get(port, address)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
        finally:
            process.kill()
    assert 'name="auditDecision"' in page
    with Image.open(io.BytesIO(overlay)) as image:
        assert image.mode == "RGBA"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--template", "nowhere.html"], "There is no template nowhere.html"),
        (
            ["--template", "{folder}/template.liquid.html", "--input", "missing.json"],
            "no sample input missing.json",
        ),
        (["--template", "{folder}", "--input", "{folder}/list.json"], "no JSON object"),
        (["--template", "{folder}", "--input", "{folder}/broken.json"], "no JSON: "),
        (["--out", "answer.json"], "--out is for the preview of a template"),
        (["--endpoint", "http://127.0.0.1:9"], "does not answer"),
        (["--template", "{folder}", "--port", "{taken}"], "cannot be used"),
        (["check", "{folder}/nowhere"], ""),
    ],
)
def test_what_cannot_work_is_one_clear_line(template, arguments, message):
    import socket

    (template / "list.json").write_text("[]")
    (template / "broken.json").write_text("{")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = run(*[each.format(folder=template, taken=port) for each in arguments])
    assert refused.returncode == 1
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr


def test_check_passes_the_templates_of_the_repository_and_names_what_is_wrong_with_another(template):
    passed = run("check")
    assert (passed.returncode, passed.stderr) == (0, "")
    assert re.fullmatch(r"\d+ templates checked: nothing to correct\.\n", passed.stdout)
    failed = run("check", str(template))
    assert failed.returncode == 1
    assert f"{template}/template.liquid.html:" in failed.stdout


@pytest.mark.parametrize("arguments", [[], ["check"], ["preview-aws"]])
def test_help_has_examples(arguments):
    shown = run(*arguments, "--help")
    assert shown.returncode == 0
    assert "truthloop ui" in " ".join(shown.stdout.split())
    assert "Example" in shown.stdout


def test_the_portal_of_the_embedded_aws_is_served_for_the_named_worker(monkeypatch):
    import worker_ui.portal
    import worker_ui.server
    from truthloop_cli import ui

    asked: list[tuple[Any, ...]] = []

    class Portal:
        def __init__(self, endpoint: str, worker: str) -> None:
            asked.append((endpoint, worker))

        def jobs(self) -> list[Job]:
            asked.append(("jobs",))
            return []

    monkeypatch.setattr(worker_ui.portal, "Portal", Portal)
    monkeypatch.setattr(
        worker_ui.server, "serve", lambda portal, port, announce: asked.append((type(portal), port))
    )
    arguments = ["--endpoint", "http://127.0.0.1:5432", "--worker", "you", "--port", "0"]
    assert ui.app(arguments, standalone_mode=False) is None
    assert asked == [("http://127.0.0.1:5432", "you"), ("jobs",), (Portal, 0)]
