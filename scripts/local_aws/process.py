"""Starting the embedded AWS from Python: ``with LocalAws() as aws: …`` ends it with all that it started."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

_START_SECONDS = 60
_END_SECONDS = 5

# A proxy of the caller's environment cannot reach this machine's own address.
_without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class LocalAwsFailed(RuntimeError):
    """The embedded AWS did not start, or refused a control command."""


class LocalAws:
    """A running embedded AWS, ended with the ``with`` block and all that it started.

    Parameters
    ----------
    annotators
        Who labels: a document as `labeling_engine.Team` reads it, or the path of a file with it.
    time_scale
        How many times faster than in AWS schedules fire; 0: never by themselves.
    dockerfile
        Whose ENTRYPOINT every container image runs; default: that of the Batch image.
    log
        The file that gets the server's output; default: none is kept unless the start fails.

    Attributes
    ----------
    endpoint
        The URL for every client.
    pid
        The server's process id, which is also its session's.
    """

    def __init__(
        self,
        annotators: dict[str, Any] | Path | None = None,
        time_scale: float = 1.0,
        dockerfile: Path | None = None,
        log: Path | None = None,
    ) -> None:
        self.endpoint = ""
        self.pid = 0
        self._annotators = annotators
        self._time_scale = time_scale
        self._dockerfile = dockerfile
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._directory: Path | None = None

    def __enter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="local-aws-run-"))
        try:
            self._start(self._directory)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def environment(self) -> dict[str, str]:
        """Return the variables that point boto3, the AWS provider and the AWS command line at this AWS."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "AKIAEMBEDDEDOPERATOR",
            "AWS_SECRET_ACCESS_KEY": "embedded-aws-has-no-secrets",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            # Nothing of a real account's configuration may be read.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Send a command to the control plane and return its answer.

        Parameters
        ----------
        method, path
            Such as ``POST`` and ``faults``, or ``GET`` and ``calls``.
        body
            What the command needs, as JSON can hold it.

        Raises
        ------
        LocalAwsFailed
            If it is refused; the message says why.
        """
        request = urllib.request.Request(  # noqa: S310 - always our own http://127.0.0.1
            f"{self.endpoint}/_local/{path}",
            json.dumps(body).encode() if body is not None else None,
            method=method,
        )
        try:
            with _without_proxy.open(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as problem:
            raise LocalAwsFailed(f"{method} {path}: {problem.read().decode()}") from None

    def close(self) -> None:
        """End the server and all that it started; more than once does no harm."""
        process, self._process = self._process, None
        if process is not None:
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _start(self, directory: Path) -> None:
        ready = directory / "ready.json"
        log = self._log or directory / "log"
        command = [
            sys.executable,
            "-m",
            "local_aws",
            "--ready-file",
            str(ready),
            f"--time-scale={self._time_scale}",
        ]
        if self._dockerfile is not None:
            command += ["--dockerfile", str(self._dockerfile)]
        if self._annotators is not None:
            command += ["--annotators", str(self._annotators_file(directory))]
        with log.open("ab") as output:
            # A session of its own: Ctrl-C reaches the caller, which then ends the server in its own order.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # The caller's account and its settings are none of this AWS's business.
                env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            )
        deadline = time.monotonic() + _START_SECONDS
        while not ready.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise LocalAwsFailed(
                    f"The embedded AWS did not start:\n{log.read_text(errors='replace')[-4000:]}"
                )
            time.sleep(0.02)
        answer = json.loads(ready.read_text())
        self.endpoint, self.pid = answer["endpoint"], answer["pid"]

    def _annotators_file(self, directory: Path) -> Path:
        if isinstance(self._annotators, Path):
            return self._annotators
        path = directory / "annotators.json"
        path.write_text(json.dumps(self._annotators))
        return path
