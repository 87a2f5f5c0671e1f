"""The control plane under /_local/: what one does to the embedded AWS that AWS itself has no API for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data

from local_aws import batch, calls, events, lambda_functions, logs, step_functions

PREFIX = "/_local/"

#: Answers a request: the groups of its path and its JSON body in, a status and a JSON answer out.
Handler = Callable[[dict[str, str], Any], tuple[int, Any]]

_routes: list[tuple[str, re.Pattern[str], Handler]] = []


def route(method: str, path: str, handler: Handler) -> None:
    """Let a handler answer a method on a path below /_local/.

    Parameters
    ----------
    method
        Such as ``POST``.
    path
        A regular expression for the rest of the path; its named groups are the handler's first argument.
    """
    _routes.append((method, re.compile(path), handler))


def _reset(_groups: dict[str, str], _body: Any) -> tuple[int, Any]:
    reset()
    return 200, {}


def reset() -> None:
    """End everything that runs and forget all state, as if the embedded AWS had just started."""
    step_functions.reset()
    batch.reset()
    for hook in reset_hooks:
        hook()
    events.reset()
    logs.reset()
    lambda_functions.reset()
    calls.reset()
    BackendDict.reset()
    reset_model_data()


#: What other modules do at a reset, before moto forgets its state.
reset_hooks: list[Callable[[], None]] = []


def _faults(_groups: dict[str, str], body: Any) -> tuple[int, Any]:
    unknown = set(body) - {"drop_events", "duplicate_events", "source"}
    if unknown:
        return 400, {
            "message": f"Unknown faults {sorted(unknown)}; there are drop_events and duplicate_events, and "
            "source for the events of one source alone."
        }
    events.faults.source = body.get("source")
    events.faults.drop = int(body.get("drop_events", 0))
    events.faults.duplicate = int(body.get("duplicate_events", 0))
    return 200, {}


def _fire(groups: dict[str, str], _body: Any) -> tuple[int, Any]:
    if events.fire_schedule(groups["rule"]):
        return 200, {}
    return 404, {"message": f"There is no rule with a schedule named {groups['rule']!r} on the default bus."}


def _calls(_groups: dict[str, str], _body: Any) -> tuple[int, Any]:
    return 200, calls.seen()


def install() -> None:
    """Add the routes of the modules that have none of their own."""
    route("POST", "reset", _reset)
    route("POST", "faults", _faults)
    route("POST", r"schedules/(?P<rule>[\w.\-]+)", _fire)
    route("GET", "calls", _calls)


class ControlPlane:
    """WSGI middleware for the paths below /_local/."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if not environ["PATH_INFO"].startswith(PREFIX):
            return self.app(environ, start_response)
        status, answer = self._answer(environ)
        text = json.dumps(answer).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(text)))]
        start_response(f"{status} {'OK' if status < 400 else 'Error'}", headers)
        return [text]

    @staticmethod
    def _answer(environ: dict[str, Any]) -> tuple[int, Any]:
        path = environ["PATH_INFO"].removeprefix(PREFIX)
        for method, pattern, handler in _routes:
            match = pattern.fullmatch(path)
            if match and method == environ["REQUEST_METHOD"]:
                try:
                    body = json.loads(environ["wsgi.input"].read() or b"{}")
                except ValueError as problem:
                    return 400, {"message": f"The body is no JSON: {problem}"}
                return handler(match.groupdict(), body)
        return 404, {"message": f"There is no {environ['REQUEST_METHOD']} {PREFIX}{path}."}
