"""The server: moto and the modules of this package behind one port of 127.0.0.1."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import waitress

from local_aws import children, settings

# More than the calls that wait at a time: Lambda invocations, long polls, the clients of jobs and workers.
_THREADS = 64


def install() -> None:
    """Extend moto; to be called once in a process, before the first request."""
    # moto reads these when it is imported. Buckets have CORS rules of their own here.
    os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"
    os.environ["MOTO_PORT"] = str(settings.current.port)
    from moto.core.config import default_user_config

    from local_aws import (
        batch,
        budgets,
        cognito,
        control,
        dynamodb,
        events,
        lambda_functions,
        logs,
        patches,
        portal,
        s3,
        sagemaker,
        step_functions,
        unsupported,
    )

    patches.check_version()
    _mend_waitress()
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    default_user_config["batch"] = {"use_docker": True}
    for module in (
        unsupported,
        s3,
        dynamodb,
        events,
        lambda_functions,
        logs,
        batch,
        budgets,
        cognito,
        step_functions,
        sagemaker,
        portal,
        control,
    ):
        module.install()


def _mend_waitress() -> None:
    """Let waitress answer as S3's clients need it."""
    from waitress.channel import HTTPChannel
    from waitress.task import Task

    from local_aws import patches

    @patches.method(HTTPChannel)
    def send_continue(self: HTTPChannel) -> None:
        # waitress takes a request that expects a "100 Continue" for unfinished even where it has no body, and
        # waits for ever: boto3 sends one for every empty object.
        completed = self.request.completed
        send_continue.original(self)
        self.request.completed = completed

    @patches.method(Task)
    def build_response_header(self: Task) -> bytes:
        # waitress capitalises every header; S3 has the names of an object's metadata in lower case.
        header: bytes = build_response_header.original(self)
        if b"X-Amz-Meta-" not in header:
            return header
        return re.sub(rb"(?m)^X-Amz-Meta-[^:]+", lambda name: name[0].lower(), header)


def application() -> Callable[..., Any]:
    """Return the WSGI application: the control plane, the gate, S3's fast path, and moto."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    from local_aws import control, gate, s3, unsupported

    moto = s3.FastPath(DomainDispatcherApplication(create_backend_app))
    return control.ControlPlane(unsupported.ClearErrors(gate.Gate(moto)))


def serve(port: int, ready_file: Path | None) -> None:
    """Serve until standard input ends or a signal comes; then end every child and the process.

    Parameters
    ----------
    port
        The port, or 0 for any that is free.
    ready_file
        Gets ``{"endpoint", "pid"}`` as JSON once the server answers; None to print the endpoint only.
    """
    ended = threading.Event()

    def end(*_: Any) -> None:
        if ended.is_set():
            return
        ended.set()
        children.kill_all()
        shutil.rmtree(settings.current.scratch, ignore_errors=True)
        # Threads of executions may wait for weeks; nothing of a run outlives it.
        os._exit(0)

    def watch_parent() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 1024):
                pass
        end()

    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    try:
        server = waitress.create_server(
            _later,
            host="127.0.0.1",
            port=port,
            threads=_THREADS,
            connection_limit=2000,
            # select() cannot watch more than 1,024 files.
            asyncore_use_poll=True,
            channel_timeout=3600,
            clear_untrusted_proxy_headers=True,
        )
    except OSError as error:
        raise SystemExit(
            f"local_aws: cannot listen on 127.0.0.1:{port}: {error.strerror}; give another --port, or 0 for "
            "any that is free"
        ) from None
    # Beside the ready file, whose directory is the caller's to remove even where this process is killed.
    beside = ready_file.parent if ready_file else None
    settings.current.scratch = Path(tempfile.mkdtemp(prefix="local-aws-", dir=beside))
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    threading.Thread(target=watch_parent, name="parent", daemon=True).start()
    settings.current.endpoint = f"http://127.0.0.1:{server.effective_port}"
    install()
    _later.app = application()
    if ready_file is not None:
        partial = ready_file.with_name(ready_file.name + ".partial")
        partial.write_text(json.dumps({"endpoint": settings.current.endpoint, "pid": os.getpid()}))
        partial.replace(ready_file)
    print(f"local_aws: {settings.current.endpoint}", flush=True)
    server.run()
    end()


class _Later:
    """The application in waiting: a free port must be bound before the modules can be told of it."""

    app: Callable[..., Any] | None = None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if self.app is None:
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return []
        return self.app(environ, start_response)


_later = _Later()
