"""One execution environment of a Lambda function: imports its handler and runs one invocation at a time.

Run as a script with nothing but the standard library: ``python -I -S lambda_worker.py CONTROL_FD PATH…``. The
paths come first on the module search path, before Python's own. The variables of the environment are the
function's. Standard input ends when the server is gone; the worker ends with it.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import socket
import struct
import sys
import threading
import time
import traceback
import types
from typing import Any

_LENGTH = struct.Struct("!I")


class LambdaContext:
    """The context object of the Python runtime: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html"""

    identity = None
    client_context = None

    def __init__(self, invocation: dict[str, Any]) -> None:
        self.aws_request_id = invocation["request_id"]
        self.invoked_function_arn = invocation["arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self._deadline = time.monotonic() + invocation["timeout"]

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the invocation times out."""
        return max(0, round((self._deadline - time.monotonic()) * 1000))


def _end_with_server() -> None:
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)

    def watch() -> None:
        os.read(0, 1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _receive(control: socket.socket) -> bytes:
    length = b""
    while len(length) < _LENGTH.size:
        part = control.recv(_LENGTH.size - len(length))
        if not part:
            os._exit(0)
        length += part
    (left,) = _LENGTH.unpack(length)
    parts = []
    while left:
        parts.append(control.recv(min(left, 1 << 20)))
        left -= len(parts[-1])
    return b"".join(parts)


def _send(control: socket.socket, answer: bytes) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    control.sendall(_LENGTH.pack(len(answer)) + answer)


def _frames(problem: BaseException) -> list[str]:
    # The runtime leaves out its own frame, and so does this one.
    kept = [frame for frame in traceback.extract_tb(problem.__traceback__) if frame.filename != __file__]
    return traceback.format_list(kept)


def _error(kind: str, message: str, frames: list[str]) -> dict[str, Any]:
    return {"errorMessage": message, "errorType": kind, "requestId": "", "stackTrace": frames}


def _load(name: str) -> tuple[types.FunctionType | None, dict[str, Any] | None]:
    """Return the handler, or the error that the runtime reports instead."""
    module_name, _, function_name = name.rpartition(".")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as problem:
        text = f"Unable to import module '{module_name}': {problem}"
        return None, _error("Runtime.ImportModuleError", text, [])
    except SyntaxError as problem:
        text = f"Syntax error in module '{module_name}': {problem}"
        return None, _error("Runtime.UserCodeSyntaxError", text, _frames(problem))
    except Exception as problem:
        return None, _error(type(problem).__name__, str(problem), _frames(problem))
    handler = getattr(module, function_name, None)
    if handler is None:
        text = f"Handler '{function_name}' missing on module '{module_name}'"
        return None, _error("Runtime.HandlerNotFound", text, [])
    return handler, None


def _run(handler: Any, invocation: dict[str, Any]) -> dict[str, Any]:
    """Return ``{"result": JSON text}`` or ``{"error": …}``."""
    try:
        result = handler(json.loads(invocation["event"]), LambdaContext(invocation))
    except Exception as problem:
        print(f"[ERROR] {type(problem).__name__}: {problem}\n{traceback.format_exc()}", file=sys.stderr)
        return {"error": _error(type(problem).__name__, str(problem), _frames(problem))}
    try:
        return {"result": json.dumps(result)}
    except (TypeError, ValueError) as problem:
        text = f"Unable to marshal response: {problem}"
        return {"error": _error("Runtime.MarshalError", text, [])}


def main() -> None:
    _end_with_server()
    control = socket.socket(fileno=int(sys.argv[1]))
    sys.path[:0] = sys.argv[2:]
    sys.argv[1:] = []
    handler, broken = _load(os.environ["_HANDLER"])
    _send(control, b"ready")
    while True:
        invocation = json.loads(_receive(control))
        os.environ["_X_AMZN_TRACE_ID"] = invocation["trace_id"]
        answer = {"error": dict(broken)} if broken else _run(handler, invocation)
        if broken:
            print(f"[ERROR] {broken['errorType']}: {broken['errorMessage']}", file=sys.stderr)
        if "error" in answer:
            answer["error"]["requestId"] = invocation["request_id"]
        _send(control, json.dumps(answer).encode())


if __name__ == "__main__":
    main()
