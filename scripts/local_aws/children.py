"""Starting and ending the processes of Lambda functions and containers, none of which outlives the server."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

# Linux ends a child when the *thread* that forked it ends, so one thread that never ends forks all of them.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")
_running: set[subprocess.Popen[bytes]] = set()
_lock = threading.Lock()

#: A Python of this environment that sees neither the environment's packages nor PYTHON* variables.
ISOLATED_PYTHON = (sys.executable, "-I", "-S", "-X", "utf8")
_SUPERVISOR = str(Path(__file__).with_name("supervisor.py"))


def start(
    command: Sequence[str], environment: Mapping[str, str], cwd: Path, **options: Any
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own.

    Its standard input is a pipe that nobody writes to: it reaches its end when the server is gone, however
    the server ended, and the process must end then. The options are those of `subprocess.Popen`.
    """

    def spawn() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, env=dict(environment), cwd=cwd, stdin=subprocess.PIPE, start_new_session=True, **options
        )

    process = _spawner.submit(spawn).result()
    with _lock:
        _running.add(process)
    return process


def start_program(
    command: Sequence[str], environment: Mapping[str, str], cwd: Path, **options: Any
) -> subprocess.Popen[bytes]:
    """Start a container's program below a supervisor that ends it, with all it started, with the server."""
    return start([*ISOLATED_PYTHON, _SUPERVISOR, *command], environment, cwd, **options)


def stop_program(process: subprocess.Popen[bytes]) -> None:
    """Kill a program of `start_program` and all that it started."""
    if process.stdin is not None:
        process.stdin.close()


def exit_code(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process and return its exit code as a container has it: 128 + n after signal n."""
    code = process.wait()
    forget(process)
    return 128 - code if code < 0 else code


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the session of a process of `start` and wait for its end."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    forget(process)


def forget(process: subprocess.Popen[bytes]) -> None:
    """Let go of a process that has ended."""
    if process.stdin is not None:
        process.stdin.close()
    with _lock:
        _running.discard(process)


def kill_all() -> None:
    """End every process; supervisors end their programs before themselves."""
    with _lock:
        processes = list(_running)
    for process in processes:
        if process.stdin is not None:
            process.stdin.close()
    for process in processes:
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            kill(process)
        forget(process)
