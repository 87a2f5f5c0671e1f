"""Turns what moto does not implement into a clear client error: a server error is retried for minutes."""

from __future__ import annotations

import functools
import json
import sys
import threading
import traceback
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any
from xml.sax.saxutils import escape

import moto.core.responses
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse

from local_aws import calls, patches

# moto checks a condition and writes in two steps; a lock makes them one, as the services promise. Services
# whose calls wait for something (Lambda, SQS) must not hold a lock meanwhile.
_LOCKED = {service: threading.RLock() for service in ("dynamodb", "logs", "batch")}


def lock(service: str) -> Any:
    """Return the lock that every request to a service holds; no lock for a service that needs none."""
    return _LOCKED.get(service) or nullcontext()


class NotImplementedHere(ServiceException):
    """The error code and message of an operation that the embedded AWS lacks."""

    code = "UnsupportedOperationException"

    def __init__(self, service: str, name: str) -> None:
        super().__init__(
            f"The embedded AWS does not implement {service}:{name}. Add it in scripts/local_aws, "
            "or do without it."
        )


def install() -> None:
    """Make every service answer an operation that it lacks with status 400."""
    # Looked up for each request, and slow for the classes with hundreds of operations.
    patches.replace(
        moto.core.responses,
        "method_names_from_class",
        functools.cache(moto.core.responses.method_names_from_class),
    )

    @patches.method(BaseResponse)
    def call_action(self: BaseResponse) -> Any:
        with lock(str(self.service_name)):
            try:
                return call_action.original(self)
            except NotImplementedError:
                service, name = self.boto3_service_name, str(self._get_action())
        status, headers, body = self.serialized(ActionResult(NotImplementedHere(service, name)))
        return 400 if status >= 500 else status, {**headers, "status": "400"}, body


class ClearErrors:
    """WSGI middleware for requests that fail before or outside of an operation of moto."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        answer: list[Any] = []

        def remember(status: str, headers: list[tuple[str, str]], _error: Any = None) -> None:
            answer[:] = status, headers

        try:
            body = self.app(environ, remember)
        except NotImplementedError:
            return self._unsupported(environ, start_response)
        except Exception as problem:
            # The terminal is where somebody who extends the embedded AWS looks.
            traceback.print_exc(file=sys.stderr)
            start_response("500 Internal Server Error", [("Content-Type", "application/json")])
            message = f"{type(problem).__name__}: {str(problem)[:500]}"
            return [json.dumps({"__type": "InternalFailure", "message": message}).encode()]
        status, headers = answer
        no_route = status.startswith(("404", "405")) and any(
            name.lower() == "content-type" and value.startswith("text/html") for name, value in headers
        )
        # A HEAD answer has no body, so moto leaves the framework's content type on it.
        if no_route and environ["REQUEST_METHOD"] != "HEAD":
            # moto does not know the path of this operation.
            return self._unsupported(environ, start_response)
        start_response(status, headers)
        return body

    @staticmethod
    def _unsupported(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        scope = calls.scope(environ)
        service = scope["service"] if scope else "unknown"
        problem = NotImplementedHere(service, calls.operation(environ, service)[0])
        status, headers, body = answer(service, problem.message)
        start_response(status, headers)
        return [body]


def answer(service: str, message: str) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return status, headers and body of an answer that says what the embedded AWS cannot do."""
    code = NotImplementedHere.code
    if service == "s3":
        kind, text = (
            "application/xml",
            f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>",
        )
    else:
        kind, text = "application/json", json.dumps({"__type": code, "message": message})
    body = text.encode()
    headers = [
        ("Content-Type", kind),
        ("Content-Length", str(len(body))),
        ("x-amzn-ErrorType", code),
    ]
    return "400 Bad Request", headers, body
