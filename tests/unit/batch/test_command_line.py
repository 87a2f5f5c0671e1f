"""The command line explains itself, imports little, and ends with the exit code that the caller acts on."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from truthloop_batch.__main__ import SUBCOMMANDS, main
from truthloop_batch.usage import Resources, resources


def program(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "truthloop_batch", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_each_subcommand_explains_itself_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    example = next(
        line for line in text.splitlines() if f"python -m truthloop_batch {name} --campaign-uri" in line
    )
    assert example.endswith("--campaign-uri s3://my-data-bucket/campaigns/digits/ --round 1")
    assert "rounds/<n>/" in text or "report/" in text


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["train"],
        ["guess", "--campaign-uri", "s3://b/campaigns/x/", "--round", "1"],
        ["train", "--campaign-uri", "s3://b/campaigns/x/", "--round", "-1"],
        ["train", "--campaign-uri", "s3://b/campaigns/x/", "--round", "one"],
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("s3://bucket/somewhere", "InvalidUri"),
        ("s3://truthloop-test-data/campaigns/absent/", "ObjectNotFound"),
    ],
)
def test_a_campaign_that_is_none_ends_with_2_and_one_line(
    make_world: Callable, capsys: pytest.CaptureFixture[str], uri: str, error: str
) -> None:
    make_world(images=3)
    assert main(["train", "--campaign-uri", uri, "--round", "0"]) == 2
    line = json.loads(capsys.readouterr().out)
    assert (line["milestone"], line["step"], line["error"]) == ("refused", "train", error)
    assert uri in line["message"]


@pytest.mark.parametrize(
    ("round_number", "index", "told"), [(0, 0, "the round is 0"), (1, 2, "array index is 2")]
)
def test_a_score_job_of_another_shape_ends_with_2(
    make_world: Callable, capsys: pytest.CaptureFixture[str], round_number: int, index: int, told: str
) -> None:
    world = make_world(images=10)
    assert world.run("score", round_number, index) == 2
    assert told in json.loads(capsys.readouterr().out)["message"]


def test_the_process_ends_with_the_codes_of_its_contract() -> None:
    assert program("train", "--help").returncode == 0
    refused = program("train", "--campaign-uri", "s3://bucket/somewhere", "--round", "0")
    assert refused.returncode == 2
    assert len(refused.stdout.splitlines()) == 1
    assert refused.stderr == ""


def test_an_unforeseen_error_passes_through(make_world: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(images=10)

    def broken(context: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr("truthloop_batch.selection.run", broken)
    with pytest.raises(RuntimeError, match="unforeseen"):
        world.run("select", 0)
    assert list(world.s3.list(world.layout.usage_prefix(0))) == []


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [
        ("truthloop_batch.evaluation", ("sklearn", "scipy", "pyarrow")),
        ("truthloop_batch.scoring", ("sklearn", "scipy")),
        ("truthloop_batch.selection", ("sklearn", "scipy", "PIL")),
        ("truthloop_batch.training", ("sklearn", "pyarrow")),
        ("truthloop_batch.__main__", ("numpy", "boto3")),
    ],
)
def test_a_step_starts_without_the_libraries_that_it_does_not_need(
    module: str, unneeded: tuple[str, ...]
) -> None:
    code = f"import sys, {module}; print([name for name in {unneeded!r} if name in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert found.stdout.strip() == "[]"


@pytest.fixture
def task_metadata() -> Iterator[Callable[[dict[str, dict]], str]]:
    """Starts the container agent's endpoint with some answers by path."""
    servers = []

    def start(answers: dict[str, dict]) -> str:
        class Agent(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(answers[self.path]).encode())

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Agent)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/v4/1"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_usage_is_the_tasks_reservation_where_it_has_one(task_metadata: Callable) -> None:
    uri = task_metadata({"/v4/1/task": {"Limits": {"CPU": 0.5, "Memory": 1024}}})
    assert resources({"ECS_CONTAINER_METADATA_URI_V4": uri}) == Resources(0.5, 1024)


def test_usage_is_else_the_containers_reservation_in_shares(task_metadata: Callable) -> None:
    uri = task_metadata({"/v4/1/task": {}, "/v4/1": {"Limits": {"CPU": 2048, "Memory": 4096}}})
    assert resources({"ECS_CONTAINER_METADATA_URI_V4": uri}) == Resources(2.0, 4096)
