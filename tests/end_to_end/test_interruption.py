"""An interrupted demo leaves no process and no listening port behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from end_to_end.conftest import missing

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.terraform,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to find what is left running"),
]
MARK = "TRUTHLOOP_TEST_MARK"


def marked_processes(mark: str) -> list[str]:
    """The command lines of all processes whose environment carries the mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def listens(port: int) -> bool:
    """Whether something accepts connections on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_demo_leaves_nothing_running(signal_number: int, tmp_path: Path) -> None:
    if reason := missing():
        pytest.skip(f"END-TO-END TEST NOT RUN: {reason}")
    mark = uuid.uuid4().hex
    command = [sys.executable, "-m", "truthloop_cli.main", "demo", "--size", "200", "--output", str(tmp_path)]
    process = subprocess.Popen(
        command,
        env={**os.environ, MARK: mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout
        port = 0
        for line in process.stdout:
            if match := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                port = int(match[1])
                break
        assert port
        deadline = time.monotonic() + 60
        # Terraform's provider is the last of the processes to come up before the long wait of the apply.
        while not any("terraform-provider" in command for command in marked_processes(mark)):
            assert time.monotonic() < deadline, "Terraform was never started"
            time.sleep(0.2)
        process.send_signal(signal_number)
        code = process.wait(timeout=30)
        assert code == {signal.SIGINT: 130, signal.SIGTERM: 130, signal.SIGKILL: -9}[signal_number]
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and (marked_processes(mark) or listens(port)):
            time.sleep(0.2)
        assert marked_processes(mark) == []
        assert not listens(port)
    finally:
        process.kill()
        process.wait()
