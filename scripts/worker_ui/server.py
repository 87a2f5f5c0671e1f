"""Serves the worker portal on 127.0.0.1: its page, its JSON API, the rendered tasks and their S3 objects.

Who may ask: the worker's own browser. The `Host` header must be this server's (a name that an attacker
points at 127.0.0.1 is refused), changes must come from the portal's own page, and every answer has a policy
that loads nothing from anywhere else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

import waitress

from worker_ui.contract import Portal, PortalError, Task, TaskGone
from worker_ui.page import LANGUAGES, STATIC, THEMES, crowd_script, task_page

# The mask of a 100-megapixel image stays far below this.
_BODY_BYTES_MAXIMUM = 64 * 2**20
_THREADS = 8
_ID = r"[A-Za-z0-9_-]{1,200}"
_NOT_STORED = {"Cache-Control": "no-store"}
_PORTAL_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "frame-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True)
class Request:
    """What the routes read of a request."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Response:
    """Status, bytes, and the headers that are not the same everywhere."""

    status: HTTPStatus
    body: bytes
    media_type: str
    headers: Mapping[str, str]


class _Refused(Exception):
    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class Application:
    """The WSGI application of one portal.

    Parameters
    ----------
    portal
        Hands out the tasks.
    hosts
        The values of `Host` that are this server's.
    """

    def __init__(self, portal: Portal, hosts: Iterable[str]) -> None:
        self._portal = portal
        self.hosts = frozenset(hosts)
        self._routes: list[tuple[str, re.Pattern[str], Callable[[Request, str], Response]]] = [
            ("GET", re.compile("/()"), lambda *_: _redirect("/portal/")),
            ("GET", re.compile("/portal()"), lambda *_: _redirect("/portal/")),
            ("GET", re.compile("/portal/()"), lambda *_: _portal_file("portal.html")),
            ("GET", re.compile(r"/portal/static/([a-z]+\.(?:js|css))"), lambda _, name: _portal_file(name)),
            # Browsers ask for it on their own, and its absence would be the only error of a clean run.
            (
                "GET",
                re.compile(r"/favicon\.ico()"),
                lambda *_: _answer(HTTPStatus.NO_CONTENT, b"", "image/x-icon"),
            ),
            ("GET", re.compile("/portal/api/jobs()"), self._jobs),
            ("POST", re.compile("/portal/api/(next|submit|decline|return)"), self._change),
            ("GET", re.compile(f"/portal/task/({_ID})"), self._task),
            ("GET", re.compile(f"/portal/object/({_ID})"), self._object),
        ]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        response = self._respond(environ)
        headers = {
            "Content-Type": response.media_type,
            "Content-Length": str(len(response.body)),
            **_EVERYWHERE,
            "Content-Security-Policy": _PORTAL_POLICY,
            **response.headers,
        }
        start_response(f"{response.status.value} {response.status.phrase}", list(headers.items()))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [response.body]

    def _respond(self, environ: dict[str, Any]) -> Response:
        try:
            request = self._request(environ)
            method = "GET" if request.method == "HEAD" else request.method
            matches = [
                (verb, handler, match)
                for verb, path, handler in self._routes
                if (match := path.fullmatch(request.path))
            ]
            for verb, handler, match in matches:
                if verb == method:
                    return handler(request, match.group(1))
            status = HTTPStatus.METHOD_NOT_ALLOWED if matches else HTTPStatus.NOT_FOUND
            return _problem(status, f"There is no {request.method} {request.path} here.")
        except _Refused as refused:
            return _problem(refused.status, str(refused))
        except TaskGone as error:
            return _problem(HTTPStatus.CONFLICT, str(error))
        except PortalError as error:
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        except Exception:
            # The worker gets a sentence, whoever started the server the whole story.
            traceback.print_exc()
            return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "The portal failed; its terminal says why.")

    def _request(self, environ: dict[str, Any]) -> Request:
        headers = {
            key[5:].replace("_", "-").lower(): value
            for key, value in environ.items()
            if key.startswith("HTTP_")
        }
        method = environ["REQUEST_METHOD"]
        if headers.get("host") not in self.hosts:
            raise _Refused(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"This server is {' or '.join(sorted(self.hosts))}, not {headers.get('host')!r}; "
                "open it by that name.",
            )
        path = environ["PATH_INFO"]
        if path.startswith("/portal/api/"):
            self._check_same_origin(headers)
        body = b""
        if method == "POST":
            if environ.get("CONTENT_TYPE", "").partition(";")[0].strip() != "application/json":
                raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send application/json.")
            length = int(environ.get("CONTENT_LENGTH") or 0)
            if length > _BODY_BYTES_MAXIMUM:
                raise _Refused(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"The answer has {length:,} bytes; {_BODY_BYTES_MAXIMUM:,} are allowed.",
                )
            body = environ["wsgi.input"].read(length)
        return Request(method, path, parse_qs(environ.get("QUERY_STRING", "")), headers, body)

    def _check_same_origin(self, headers: Mapping[str, str]) -> None:
        # Browsers send these by themselves and no page can forge them; other clients send neither.
        origin = headers.get("origin")
        if origin is not None and origin not in {f"http://{host}" for host in self.hosts}:
            raise _Refused(HTTPStatus.FORBIDDEN, f"Requests from {origin} are not answered.")
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise _Refused(HTTPStatus.FORBIDDEN, "Requests from other sites are not answered.")

    def _jobs(self, _request: Request, _: str) -> Response:
        return _json({"worker": self._portal.worker, "jobs": [asdict(job) for job in self._portal.jobs()]})

    def _change(self, request: Request, action: str) -> Response:
        values = _members(request.body)
        if action == "next":
            task = self._portal.next(_text(values, "job"), _text(values, "window", ""))
            return _json({"task": None if task is None else _public(task)})
        name = _text(values, "task")
        if action == "submit":
            answer = values.get("answer")
            if not isinstance(answer, dict):
                raise _Refused(
                    HTTPStatus.BAD_REQUEST, "answer is missing or no object; give the answers by name."
                )
            return _json(dict(self._portal.submit(name, answer) or {}))
        (self._portal.decline if action == "decline" else self._portal.return_)(name)
        return _json({})

    def _task(self, request: Request, name: str) -> Response:
        task = self._portal.task(name)
        page = task_page(
            task.template,
            task.input,
            lambda uri: (
                f"http://{request.headers['host']}/portal/object/{self._portal.grant_read_access(name, uri)}"
            ),
            origin=f"http://{request.headers['host']}",
            script=f"/portal/static/crowd.js?{_versions()['crowd.js']}",
            objects="/portal/object/",
            language=_one_of(request, "language", LANGUAGES),
            theme=_one_of(request, "theme", THEMES),
        )
        return _answer(
            HTTPStatus.OK,
            page.html.encode(),
            "text/html",
            {"Content-Security-Policy": page.policy, **_NOT_STORED},
        )

    def _object(self, _request: Request, token: str) -> Response:
        try:
            stored = self._portal.read_object(token)
        except PortalError as error:
            raise _Refused(HTTPStatus.FORBIDDEN, str(error)) from None
        return _answer(
            HTTPStatus.OK,
            stored.body,
            stored.media_type,
            {
                # As the bucket's own CORS rule allows: the task's page has an origin of its own.
                "Access-Control-Allow-Origin": "*",
                "Cross-Origin-Resource-Policy": "cross-origin",
                # An object that is opened as a page does nothing.
                "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
                "Cache-Control": "private, max-age=3600",
            },
        )


class PortalServer:
    """A portal that listens; a context manager that ends it.

    Parameters
    ----------
    portal
        Hands out the tasks.
    port
        0 for any that is free.
    """

    def __init__(self, portal: Portal, port: int = 0) -> None:
        self._application = Application(portal, ())
        # A page that is left in the middle of an answer is nobody's problem.
        logging.getLogger("waitress").setLevel(logging.ERROR)
        self._server = waitress.create_server(
            self._application,
            host="127.0.0.1",
            port=port,
            threads=_THREADS,
            max_request_body_size=_BODY_BYTES_MAXIMUM * 2,
            clear_untrusted_proxy_headers=True,
            ident="truthloop",
        )
        self.port = int(self._server.effective_port)
        self._application.hosts = frozenset({f"127.0.0.1:{self.port}", f"localhost:{self.port}"})
        self._thread = threading.Thread(target=self._server.run, name="portal", daemon=True)

    @property
    def url(self) -> str:
        """Where the worker's browser finds the portal."""
        return f"http://127.0.0.1:{self.port}/portal/"

    def __enter__(self) -> PortalServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the server and its threads."""
        # What is being answered is answered first: its thread still needs the loop.
        self._server.task_dispatcher.shutdown()
        # The sockets belong to the loop's thread, which ends by itself once it has none. Where it is quicker
        # than this call, they are closed before the bell has rung.
        with contextlib.suppress(OSError):
            self._server.trigger.pull_trigger(self._close_sockets)
        self._thread.join(timeout=10)

    def _close_sockets(self) -> None:
        for channel in list(self._server.active_channels.values()):
            channel.handle_close()
        self._server.close()


def serve(portal: Portal, port: int, announce: Callable[[str], None] = print) -> None:
    """Serve until Ctrl-C or a signal that raises.

    Parameters
    ----------
    portal
        Hands out the tasks.
    port
        On 127.0.0.1; 0 for any that is free.
    announce
        Gets the portal's URL once it answers.
    """
    with PortalServer(portal, port) as server:
        announce(server.url)
        threading.Event().wait()


def _public(task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "job": task.job,
        "accepted_at": task.accepted_at,
        "deadline": task.deadline,
        "seconds_left": task.seconds_left,
        "page": f"/portal/task/{task.id}",
    }


def _one_of(request: Request, key: str, allowed: tuple[str, ...]) -> str:
    value = request.query.get(key, allowed)[0]
    return value if value in allowed else allowed[0]


def _members(body: bytes) -> dict[str, Any]:
    try:
        values = json.loads(body)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise _Refused(HTTPStatus.BAD_REQUEST, "The body is not a JSON object.")
    return values


def _text(values: Mapping[str, Any], key: str, otherwise: str | None = None) -> str:
    value = values.get(key, otherwise)
    if not isinstance(value, str):
        raise _Refused(HTTPStatus.BAD_REQUEST, f"{key} is missing or no text.")
    return value


def _answer(
    status: HTTPStatus, body: bytes, media_type: str, headers: Mapping[str, str] | None = None
) -> Response:
    charset = "; charset=utf-8" if media_type.startswith("text/") else ""
    return Response(status, body, media_type + charset, headers or {})


def _json(value: Any, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return _answer(status, json.dumps(value, ensure_ascii=False).encode(), "application/json", _NOT_STORED)


def _problem(status: HTTPStatus, message: str) -> Response:
    return _json({"message": message}, status)


def _redirect(path: str) -> Response:
    return _answer(HTTPStatus.FOUND, b"", "text/plain", {"Location": path})


_MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


@cache
def _files() -> dict[str, str]:
    files = {each.name: each.read_text("utf-8") for each in STATIC.glob("portal.*")}
    return {**files, "crowd.js": crowd_script()}


@cache
def _versions() -> dict[str, str]:
    return {name: hashlib.sha256(text.encode()).hexdigest()[:12] for name, text in _files().items()}


def _portal_file(name: str) -> Response:
    files = _files()
    if name not in files:
        raise _Refused(HTTPStatus.NOT_FOUND, f"There is no {name} here.")
    text = files[name]
    if name == "portal.html":
        for file, version in _versions().items():
            text = text.replace(f'static/{file}"', f'static/{file}?{version}"')
    # The versions in the addresses change with the files, so a browser may keep what it has.
    age = _NOT_STORED if name == "portal.html" else {"Cache-Control": "max-age=31536000, immutable"}
    media_type = _MEDIA_TYPES["." + name.rpartition(".")[2]]
    return _answer(HTTPStatus.OK, text.encode(), media_type, age)
