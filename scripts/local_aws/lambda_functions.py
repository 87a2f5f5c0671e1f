"""Lambda: an invocation runs the deployed package in a warm process that sees what the runtime shows it."""

from __future__ import annotations

import base64
import contextlib
import functools
import importlib.util
import io
import json
import os
import queue
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import uuid
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moto.awslambda.models import LambdaBackend, LambdaFunction, lambda_backends
from moto.core.exceptions import JsonRESTError
from moto.core.utils import unix_time_millis

from local_aws import (
    authorization,
    children,
    events,
    layers,
    patches,
    resources,
    roles,
    settings,
    unsupported,
)
from local_aws.lanes import Lanes
from local_aws.resources import Need
from local_aws.roles import Session

# What the real runtime carries beside the standard library; a package must bring everything else.
_RUNTIME_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
_WORKER = str(Path(__file__).with_name("lambda_worker.py"))
_LENGTH = struct.Struct("!I")
_CONCURRENCY = 8
# Of a function's events, how many it works on at a time: each one more is one more process to start.
_EVENTS_AT_A_TIME = 2
_INIT_SECONDS = 60
# Lambda tries an asynchronous event three times, after one and two minutes; here after seconds.
_ASYNC_RETRY_SECONDS = (1.0, 2.0)
_LOG_RESULT_BYTES = 4096

# A lane for each function.
_later = Lanes("lambda-events", _EVENTS_AT_A_TIME)
_lock = threading.Lock()


class FunctionError(Exception):
    """A function raised, ran out of time or died.

    Attributes
    ----------
    type
        The error type as Step Functions matches it, such as ``ValueError`` or ``Sandbox.Timedout``.
    message
        The error message.
    payload
        The whole answer: errorMessage, errorType, stackTrace, requestId.
    """

    def __init__(self, payload: dict[str, Any]) -> None:
        super().__init__(f"{payload.get('errorType', 'Unhandled')}: {payload['errorMessage']}")
        self.type: str = payload.get("errorType", "Unhandled")
        self.message: str = payload["errorMessage"]
        self.payload = payload


class UnknownFunction(Exception):
    """No function has this name or ARN."""


class _WorkerDied(Exception):
    """The process of a worker ended during an invocation."""


def invoke(arn: str, payload: Any, caller: Session) -> Any:
    """Invoke a function and return its result.

    Parameters
    ----------
    arn
        The function's ARN or name.
    payload
        Anything that JSON can hold; the handler's event.
    caller
        The role that invokes it.

    Raises
    ------
    FunctionError
        If the function fails.
    UnknownFunction
        If there is none.
    authorization.Refused
        If the role may not invoke it.
    """
    authorization.check(caller, Need("lambda:InvokeFunction", resources.function_arn(arn)))
    backend: LambdaBackend = lambda_backends[settings.ACCOUNT_ID][settings.REGION]
    try:
        function = backend.get_function(arn)
    except JsonRESTError as problem:
        raise UnknownFunction(f"There is no Lambda function {arn}.") from problem
    outcome = _invoke(function, json.dumps(payload))
    if outcome.error:
        raise FunctionError(outcome.error)
    return json.loads(outcome.result)


def invoke_later(function: LambdaFunction, event: str) -> None:
    """Invoke a function for an event: nobody waits, a failure is tried twice more, then goes to a queue."""
    _later.submit(function.function_arn, functools.partial(_run_event, function, event))


def reset() -> None:
    """Forget all events and end all workers; the functions are moto's."""
    _later.clear()
    with _lock:
        pools = list(_pools.values())
        _pools.clear()
    for pool in pools:
        pool.close()


class _Code:
    """Unpacked packages and layers, once for each content."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def directory(self, sha256: str, content: bytes) -> Path:
        """Return the directory that holds an archive's files."""
        name = base64.b64decode(sha256 + "==").hex()[:24] if sha256 else "empty"
        target = settings.current.scratch / "code" / name
        with self._lock:
            if not target.exists():
                partial = target.with_suffix(".partial")
                shutil.rmtree(partial, ignore_errors=True)
                with zipfile.ZipFile(io.BytesIO(content)) as archive:
                    archive.extractall(partial)
                partial.rename(target)
        return target

    def layer(self, sha256: str, content: bytes) -> Path:
        """Return the directory that holds a layer's modules, in a form that this Python can import."""
        unpacked = self.directory(sha256, content) / "python"
        with self._lock:
            return layers.importable(unpacked)

    def runtime(self) -> Path:
        """Return the directory with links to the packages that the real runtime carries."""
        target = settings.current.scratch / "runtime"
        with self._lock:
            if not target.exists():
                partial = target.with_suffix(".partial")
                partial.mkdir(parents=True)
                for package in _RUNTIME_PACKAGES:
                    spec = importlib.util.find_spec(package)
                    if spec is None or spec.origin is None:
                        raise RuntimeError(
                            f"{package}, which the Lambda runtime carries, is not installed here."
                        )
                    origin = Path(spec.origin)
                    source = origin.parent if origin.name == "__init__.py" else origin
                    (partial / source.name).symlink_to(source)
                partial.rename(target)
        return target


_code = _Code()


class _Worker:
    """One process that serves one invocation at a time."""

    def __init__(self, function: LambdaFunction) -> None:
        now = datetime.now(UTC)
        self.log_stream = f"{now:%Y/%m/%d}/[{function.version}]{uuid.uuid4().hex}"
        self._log_path = settings.current.scratch / "logs" / uuid.uuid4().hex
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        backend = lambda_backends[function.account_id][function.region]
        versions = [backend.layers_versions_by_arn(layer["Arn"]) for layer in function.layers]
        task = _code.directory(function.code_sha_256, function.code_bytes)
        opt = [_code.layer(layer.code_sha_256, layer.code_bytes) for layer in versions if layer]
        ours, theirs = socket.socketpair()
        with theirs, self._log_path.open("ab") as log:
            self._process = children.start(
                [
                    *children.ISOLATED_PYTHON,
                    _WORKER,
                    str(theirs.fileno()),
                    *map(str, [task, *opt, _code.runtime()]),
                ],
                _environment(function, task, self.log_stream),
                task,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
            )
        self._control = ours
        self._ready = False
        self._log = self._log_path.open("rb")

    def invoke(self, invocation: dict[str, Any]) -> dict[str, Any]:
        """Return the worker's answer; after a TimeoutError or `_WorkerDied` the worker is of no use."""
        try:
            if not self._ready:
                # As in Lambda, what happens at import is not counted against the function's timeout.
                self._message(time.monotonic() + _INIT_SECONDS)
                self._ready = True
            deadline = time.monotonic() + invocation["timeout"]
            message = json.dumps(invocation).encode()
            self._control.settimeout(invocation["timeout"])
            self._control.sendall(_LENGTH.pack(len(message)) + message)
            return json.loads(self._message(deadline))
        except TimeoutError:
            raise
        except (OSError, EOFError):
            code = children.exit_code(self._process)
            raise _WorkerDied(f"exit status {code}" if code < 128 else f"signal: {code - 128}") from None

    def _message(self, deadline: float) -> bytes:
        (length,) = _LENGTH.unpack(self._receive(_LENGTH.size, deadline))
        return self._receive(length, deadline)

    def _receive(self, left: int, deadline: float) -> bytes:
        parts = []
        while left:
            # 0 would mean to wait for ever no longer.
            self._control.settimeout(max(0.001, deadline - time.monotonic()))
            part = self._control.recv(min(left, 1 << 20))
            if not part:
                raise EOFError
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def new_log_lines(self) -> list[str]:
        """Return what the handler printed since the last call."""
        return self._log.read().decode("utf-8", "replace").splitlines()

    def kill(self) -> None:
        """End the process; who waits for its answer learns that it died."""
        children.kill(self._process)

    def close(self) -> None:
        """End the process and let go of what was needed to talk to it."""
        self.kill()
        self._control.close()
        self._log.close()
        self._log_path.unlink(missing_ok=True)


class _Pool:
    """The workers of one deployed state of one function."""

    def __init__(self) -> None:
        self._slots = threading.Semaphore(_CONCURRENCY)
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._all: set[_Worker] = set()
        self.closed = False

    @contextlib.contextmanager
    def worker(self, function: LambdaFunction) -> Any:
        """Lend a worker; one whose invocation did not end is not lent again."""
        with self._slots:
            try:
                worker = self._idle.get_nowait()
            except queue.Empty:
                worker = _Worker(function)
                self._all.add(worker)
            try:
                yield worker
            except BaseException:
                self._end(worker)
                raise
            if self.closed:
                self._end(worker)
            else:
                self._idle.put(worker)

    def _end(self, worker: _Worker) -> None:
        self._all.discard(worker)
        worker.close()

    def retire(self) -> None:
        """End the idle workers now, and the busy ones after their invocation."""
        self.closed = True
        with contextlib.suppress(queue.Empty):
            while True:
                self._end(self._idle.get_nowait())

    def close(self) -> None:
        """End all workers, also in the middle of an invocation, which then fails."""
        self.retire()
        for worker in list(self._all):
            worker.kill()


_pools: dict[tuple[str, str], _Pool] = {}


def _pool(function: LambdaFunction) -> _Pool:
    state = json.dumps(
        [
            function.code_sha_256,
            function.handler,
            function.role,
            function.timeout,
            function.memory_size,
            function.environment_vars,
            [layer["Arn"] for layer in function.layers],
        ]
    )
    with _lock:
        stale = [key for key in _pools if key[0] == function.function_arn and key[1] != state]
        retired = [_pools.pop(key) for key in stale]
        pool = _pools.setdefault((function.function_arn, state), _Pool())
    for former in retired:
        former.retire()
    return pool


def _environment(function: LambdaFunction, task: Path, log_stream: str) -> dict[str, str]:
    # https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
    return {
        "_HANDLER": function.handler,
        "AWS_DEFAULT_REGION": function.region,
        "AWS_ENDPOINT_URL": settings.current.endpoint,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.run_time}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
        "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
        "AWS_LAMBDA_FUNCTION_VERSION": str(function.version),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": _log_group(function),
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_REGION": function.region,
        "LAMBDA_TASK_ROOT": str(task),
        "LANG": "en_US.UTF-8",
        "PATH": os.defpath,
        "TZ": ":UTC",
        **roles.environment(function.role, function.function_name),
        **function.environment_vars,
    }


def _session(function: LambdaFunction) -> Session:
    return Session(function.role, function.function_name)


def _log_group(function: LambdaFunction) -> str:
    return getattr(function, "logging_config", {}).get("LogGroup") or function.logs_group_name


@dataclass(frozen=True)
class _Outcome:
    """What came of an invocation: the result as JSON text, or the error, and what was logged."""

    result: str
    error: dict[str, Any] | None
    log: str


def _invoke(function: LambdaFunction, event: str) -> _Outcome:
    request_id = str(uuid.uuid4())
    invocation = {
        "request_id": request_id,
        "trace_id": f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Sampled=0",
        "arn": function.function_arn,
        "timeout": int(function.timeout),
        "event": event,
    }
    lines = [f"START RequestId: {request_id} Version: {function.version}"]
    error: dict[str, Any] | None = None
    result = "null"
    stream = ""
    started = time.monotonic()
    with contextlib.suppress(TimeoutError, _WorkerDied), _pool(function).worker(function) as worker:
        stream = worker.log_stream
        started = time.monotonic()
        try:
            answer = worker.invoke(invocation)
            error, result = answer.get("error"), answer.get("result", "null")
        except TimeoutError:
            text = f"RequestId: {request_id} Error: Task timed out after {int(function.timeout):.2f} seconds"
            error = {"errorType": "Sandbox.Timedout", "errorMessage": text}
            raise
        except _WorkerDied as problem:
            text = f"RequestId: {request_id} Error: Runtime exited with error: {problem}"
            error = {"errorType": "Runtime.ExitError", "errorMessage": text}
            raise
        finally:
            lines += worker.new_log_lines()
    milliseconds = (time.monotonic() - started) * 1000
    if error and error["errorType"] in ("Sandbox.Timedout", "Runtime.ExitError"):
        lines.append(error["errorMessage"])
    lines.append(f"END RequestId: {request_id}")
    lines.append(
        f"REPORT RequestId: {request_id}\tDuration: {milliseconds:.2f} ms\t"
        f"Memory Size: {function.memory_size} MB"
    )
    _write_log(function, stream, lines)
    return _Outcome(result, error, "\n".join(lines))


def _write_log(function: LambdaFunction, stream: str, lines: list[str]) -> None:
    logs = function.logs_backend
    group = _log_group(function)
    now = int(unix_time_millis())
    needs = [resources.log_need(name, group, stream) for name in ("CreateLogStream", "PutLogEvents")]
    if group not in logs.groups:
        needs.insert(0, resources.log_need("CreateLogGroup", group))
    try:
        authorization.check(_session(function), *needs)
    except authorization.Refused:
        # A function that may not write its log runs all the same; nobody is told.
        return
    with unsupported.lock("logs"):
        logs.ensure_log_group(group)
        logs.ensure_log_stream(group, stream)
        logs.put_log_events(group, stream, [{"timestamp": now, "message": line} for line in lines])


def _run_event(function: LambdaFunction, event: str, attempt: int = 0) -> None:
    config = function.event_invoke_config[0].config if function.event_invoke_config else {}
    retries = int(config.get("MaximumRetryAttempts", len(_ASYNC_RETRY_SECONDS)))
    error = _invoke(function, event).error
    if error is None:
        return
    if attempt < retries:
        again = functools.partial(_run_event, function, event, attempt + 1)
        _later.submit(function.function_arn, again, _ASYNC_RETRY_SECONDS[attempt])
        return
    destination = config.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    dead_letters = getattr(function, "dead_letter_config", {}).get("TargetArn")
    print(f"local_aws: {function.function_name} failed on an event: {FunctionError(error)}", file=sys.stderr)
    if destination:
        record = {
            "version": "1.0",
            "timestamp": datetime.now(UTC).isoformat(),
            "requestContext": {
                "requestId": error.get("requestId", ""),
                "functionArn": f"{function.function_arn}:{function.version}",
                "condition": "RetriesExhausted",
                "approximateInvokeCount": retries + 1,
            },
            "requestPayload": json.loads(event),
            "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
            "responsePayload": error,
        }
        _send(function, destination, json.dumps(record), {})
    if dead_letters:
        attributes = {
            "RequestID": error.get("requestId") or "unknown",
            "ErrorCode": "200",
            "ErrorMessage": error["errorMessage"],
        }
        _send(function, dead_letters, event, attributes)


def _send(function: LambdaFunction, arn: str, body: str, attributes: dict[str, str]) -> None:
    try:
        events.send(arn, body, attributes, sender=_session(function))
    except authorization.Refused as refusal:
        print(f"local_aws: a failed event of {function.function_name} is lost: {refusal}", file=sys.stderr)


def install() -> None:
    """Let moto's Lambda run what was deployed, and keep what Terraform declares."""

    @patches.method(LambdaFunction)
    def invoke(self: LambdaFunction, body: str, request_headers: Any, response_headers: Any) -> bytes:
        kind = request_headers.get("X-Amz-Invocation-Type", "RequestResponse")
        event = body or "{}"
        try:
            json.loads(event)
        except ValueError as problem:
            raise JsonRESTError(
                "InvalidRequestContentException", f"Could not parse request body into json: {problem}"
            ) from None
        if kind == "DryRun":
            return b""
        if kind == "Event":
            invoke_later(self, event)
            return b""
        response_headers["x-amz-executed-version"] = str(self.version)
        outcome = _invoke(self, event)
        response_headers["x-amz-log-result"] = base64.b64encode(
            outcome.log.encode()[-_LOG_RESULT_BYTES:]
        ).decode()
        if outcome.error:
            response_headers["x-amz-function-error"] = "Unhandled"
            return json.dumps(outcome.error).encode()
        return outcome.result.encode()

    @patches.method(LambdaFunction)
    def __init__(self: LambdaFunction, account_id: str, spec: Any, region: str, version: Any = 1) -> None:
        _check_role(spec["Role"])
        __init__.original(self, account_id, spec, region, version)
        _keep(self, spec)

    @patches.method(LambdaFunction)
    def update_configuration(self: LambdaFunction, config_updates: dict[str, Any]) -> dict[str, Any]:
        if "Role" in config_updates:
            _check_role(config_updates["Role"])
        _keep(self, config_updates)
        return update_configuration.original(self, config_updates)

    @patches.method(LambdaFunction)
    def get_configuration(self: LambdaFunction, on_create: bool = False) -> dict[str, Any]:
        logging = {"LogFormat": "Text", "LogGroup": self.logs_group_name, **self.logging_config}
        configuration = get_configuration.original(self, on_create)
        configuration["LoggingConfig"] = logging
        if self.dead_letter_config:
            configuration["DeadLetterConfig"] = self.dead_letter_config
        return configuration

    @patches.method(LambdaBackend)
    def put_function_event_invoke_config(
        self: LambdaBackend, function_name: str, config: dict[str, Any]
    ) -> dict[str, Any]:
        # moto appends, and reads the first.
        self.get_function(function_name).event_invoke_config.clear()
        return put_function_event_invoke_config.original(self, function_name, config)


def _check_role(role_arn: str) -> None:
    if not authorization.trusts(role_arn, "lambda.amazonaws.com", ""):
        raise JsonRESTError(
            "InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda."
        )


def _keep(function: LambdaFunction, spec: dict[str, Any]) -> None:
    """Keep the settings that moto drops."""
    function.logging_config = spec.get("LoggingConfig") or getattr(function, "logging_config", {})
    function.dead_letter_config = spec.get("DeadLetterConfig") or getattr(function, "dead_letter_config", {})
    if "TracingConfig" in spec:
        function.tracing_config = spec["TracingConfig"]
