"""The record of which IAM role made which call, for proving least privilege."""

from __future__ import annotations

import contextlib
import io
import json
import re
import threading
from collections import Counter
from typing import Any
from urllib.parse import parse_qs

from moto.core.request import Request
from moto.core.routing import NotFound, get_service_router

from local_aws import settings

_SCOPE = re.compile(r"Credential=(?P<key>[^/]+)/[^/]+/(?P<region>[^/]+)/(?P<service>[^/]+)/")

_counts: Counter[tuple[str, str, str, str, bool]] = Counter()
_lock = threading.Lock()


def record(role_arn: str, service: str, action: str, resource: str, allowed: bool) -> None:
    """Count one call.

    Parameters
    ----------
    role_arn
        The role that made it.
    service, action
        As an IAM policy writes them on both sides of the colon: ``s3``, ``GetObject``.
    resource
        The ARN of what it acted on, or ``*`` where the action knows no resources.
    allowed
        Whether the role may.
    """
    with _lock:
        _counts[role_arn, service, action, resource, allowed] += 1


def seen() -> list[dict[str, Any]]:
    """Return every different call with how often it was made, sorted by role, service and action."""
    names = ("role", "service", "action", "resource", "allowed")
    with _lock:
        counts = sorted(_counts.items())
    return [{**dict(zip(names, call, strict=True)), "count": count} for call, count in counts]


def reset() -> None:
    """Forget all calls."""
    with _lock:
        _counts.clear()


def scope(environ: dict[str, Any]) -> re.Match[str] | None:
    """Return the groups ``key``, ``region`` and ``service`` of a request's signature; None if it has none."""
    if authorization := environ.get("HTTP_AUTHORIZATION"):
        return _SCOPE.search(authorization)
    # A presigned URL has its signature in the query; one of the older kind, for S3 alone, the key only.
    query = parse_qs(environ.get("QUERY_STRING", ""))
    if "X-Amz-Credential" in query:
        return _SCOPE.search(f"Credential={query['X-Amz-Credential'][0]}")
    if "AWSAccessKeyId" in query:
        return _SCOPE.search(f"Credential={query['AWSAccessKeyId'][0]}/-/{settings.REGION}/s3/")
    return None


def operation(environ: dict[str, Any], service: str) -> tuple[str, dict[str, Any]]:
    """Return the name of a request's operation and its parameters as far as they are easily read.

    Parameters
    ----------
    environ
        The WSGI environment; its body can be read again afterwards.
    service
        The service in the signature's scope, such as ``states``.
    """
    if service == "s3" and (plain := _plain_object(environ)):
        return plain
    parameters: dict[str, Any] = {}
    # Other bodies are objects and events, not parameters.
    if service != "s3" and not environ["PATH_INFO"].endswith("/invocations"):
        body = environ["wsgi.input"].read()
        environ["wsgi.input"] = io.BytesIO(body)
        if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
            parameters = {
                name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()
            }
        elif body[:1] == b"{":
            with contextlib.suppress(ValueError):
                parameters = json.loads(body)
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return target.rsplit(".", 1)[-1], parameters
    if "Action" in parameters:
        return parameters["Action"], parameters
    try:
        matched, labels = get_service_router(service).match(Request(environ))
    except (NotFound, NotImplementedError, LookupError):
        return f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}", parameters
    return matched.name, {**parameters, **labels}


# moto's router needs a quarter of a millisecond, and nearly all calls of a campaign are of this kind.
_PLAIN = {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject"}


def _plain_object(environ: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Return the operation and the parameters of a request about a whole object; None for any other."""
    name = _PLAIN.get(environ["REQUEST_METHOD"])
    if name is None or environ.get("QUERY_STRING") or "HTTP_X_AMZ_COPY_SOURCE" in environ:
        return None
    _, bucket, key = (*environ["PATH_INFO"].encode("latin-1").decode().split("/", 2), "", "")[:3]
    return (name, {"Bucket": bucket, "Key": key}) if key else None
