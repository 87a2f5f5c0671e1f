"""The embedded AWS of ENV=local: finds it on its port, or starts it in the background, and ends it again."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from local_aws.process import LocalAws
from truthloop.errors import TruthloopError

#: The port of `make local-aws`.
PORT = 4566
#: Log and process id of an embedded AWS that was started here.
FOLDER = Path(__file__).resolve().parents[2] / "build" / "local-aws"
_START_SECONDS = 60
_END_SECONDS = 10


class EmbeddedAwsFailed(TruthloopError):
    """The embedded AWS did not start, or something else has its port."""


def endpoint() -> str:
    """Return the URL for every client."""
    return f"http://127.0.0.1:{PORT}"


def environment() -> dict[str, str]:
    """Return the variables that point every client at the embedded AWS."""
    aws = LocalAws()
    aws.endpoint = endpoint()
    return aws.environment()


@contextlib.contextmanager
def isolated(variables: Mapping[str, str]) -> Iterator[None]:
    """Let this process and its children see nothing of a real account, such as AWS_PROFILE.

    Parameters
    ----------
    variables
        What they see instead: `environment()`, or nothing for an embedded AWS that is still to be started.
    """
    before = dict(os.environ)
    for name in before:
        if name.startswith("AWS_"):
            del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def is_running() -> bool:
    """Return whether the embedded AWS answers on its port.

    Raises
    ------
    EmbeddedAwsFailed
        If something else answers there.
    """
    try:
        # Only the embedded AWS has a control plane.
        with urllib.request.urlopen(f"{endpoint()}/_local/calls", timeout=10) as answer:  # noqa: S310
            json.load(answer)
    except (urllib.error.HTTPError, ValueError):
        raise EmbeddedAwsFailed(
            f"Port {PORT} of 127.0.0.1 is taken by something that is not the embedded AWS (LocalStack uses "
            "it too): end that first. Nothing was created."
        ) from None
    except OSError:
        return False
    return True


def start() -> None:
    """Start the embedded AWS in the background; it outlives this process, until `stop`."""
    _forget()
    FOLDER.mkdir(parents=True, exist_ok=True)
    # The server ends when its standard input does. It gets a pipe whose other end it holds itself.
    reading, writing = os.pipe()
    with log().open("wb") as output, isolated({}):
        process = subprocess.Popen(
            [sys.executable, "-m", "local_aws", "--port", str(PORT), "--ready-file", str(_record())],
            stdin=reading,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[writing],
            start_new_session=True,
        )
    os.close(reading)
    os.close(writing)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _record().exists():
            if process.poll() is not None or time.monotonic() > deadline:
                text = log().read_text(errors="replace").strip()
                raise EmbeddedAwsFailed(f"The embedded AWS did not start:\n{text[-4000:]}")
            time.sleep(0.05)
    except BaseException:
        process.kill()
        raise


def stop() -> bool:
    """End the embedded AWS if it was started here; return whether it was."""
    pid = _started()
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _END_SECONDS
    while _started() is not None:
        if time.monotonic() > deadline:
            os.killpg(pid, signal.SIGKILL)
            break
        time.sleep(0.05)
    _forget()
    return True


def log() -> Path:
    """Return the file with the output of the embedded AWS that was started here."""
    return FOLDER / "log"


def _forget() -> None:
    _record().unlink(missing_ok=True)
    # A server that was killed leaves its scratch folder beside its record.
    for scratch in FOLDER.glob("local-aws-*"):
        shutil.rmtree(scratch, ignore_errors=True)


def _record() -> Path:
    return FOLDER / "server.json"


def _started() -> int | None:
    """Return the process id of the embedded AWS that was started here and still runs."""
    try:
        pid = int(json.loads(_record().read_text())["pid"])
    except FileNotFoundError:
        return None
    # A process of the same number may be another one by now: ours names its record in its command.
    return pid if str(_record()) in _command(pid) else None


def _command(pid: int) -> str:
    if Path("/proc/self/cmdline").exists():
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
        return ""
    shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True)
    return shown.stdout
