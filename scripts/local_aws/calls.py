"""The record of which IAM role made which call, for proving least privilege."""

from __future__ import annotations

import contextlib
import io
import json
import re
import threading
from collections import Counter
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

from moto.core.request import Request
from moto.core.routing import NotFound, get_service_router

from local_aws import roles

_SCOPE = re.compile(r"Credential=(?P<key>[^/]+)/[^/]+/(?P<region>[^/]+)/(?P<service>[^/]+)/")

# IAM's name of the action that allows an operation, where the two names differ.
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
_ACTIONS = {
    ("lambda", "Invoke"): "InvokeFunction",
    ("s3", "CompleteMultipartUpload"): "PutObject",
    ("s3", "CopyObject"): "PutObject",
    ("s3", "CreateMultipartUpload"): "PutObject",
    ("s3", "DeleteObjects"): "DeleteObject",
    ("s3", "GetBucketCors"): "GetBucketCORS",
    ("s3", "GetBucketNotificationConfiguration"): "GetBucketNotification",
    ("s3", "HeadBucket"): "ListBucket",
    ("s3", "HeadObject"): "GetObject",
    ("s3", "ListBuckets"): "ListAllMyBuckets",
    ("s3", "ListMultipartUploads"): "ListBucketMultipartUploads",
    ("s3", "ListObjectVersions"): "ListBucketVersions",
    ("s3", "ListObjects"): "ListBucket",
    ("s3", "ListObjectsV2"): "ListBucket",
    ("s3", "ListParts"): "ListMultipartUploadParts",
    ("s3", "UploadPart"): "PutObject",
    ("s3", "UploadPartCopy"): "PutObject",
}

# Where a request names what it acts on; the first that is there is recorded.
_RESOURCES = (
    "TableName",
    "FunctionName",
    "stateMachineArn",
    "executionArn",
    "TopicArn",
    "QueueUrl",
    "LabelingJobName",
    "TrainingJobName",
    "WorkteamName",
    "jobQueue",
    "jobId",
    "jobs",
    "logGroupName",
    "KeyId",
    "Name",
)

# Their bodies are objects and events, not parameters.
_BODIES_OF_THE_USER = ("s3", "lambda")

_counts: Counter[tuple[str, str, str, str]] = Counter()
_lock = threading.Lock()


def record(role_arn: str, service: str, action: str, resource: str = "*") -> None:
    """Count one call.

    Parameters
    ----------
    role_arn
        The role that made it.
    service, action
        As an IAM policy writes them on both sides of the colon: ``s3``, ``GetObject``.
    resource
        What it acted on, as far as is known: ``bucket/key``, or a table's, function's or job's name or ARN.
    """
    with _lock:
        _counts[role_arn, service, action, resource] += 1


def seen() -> list[dict[str, Any]]:
    """Return every different call with how often it was made, sorted by role, service and action."""
    with _lock:
        counts = sorted(_counts.items())
    return [
        {"role": role, "service": service, "action": action, "resource": resource, "count": count}
        for (role, service, action, resource), count in counts
    ]


def reset() -> None:
    """Forget all calls."""
    with _lock:
        _counts.clear()


def scope(environ: dict[str, Any]) -> re.Match[str] | None:
    """Return the groups ``key``, ``region`` and ``service`` of a request's signature; None if it has none."""
    return _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))


def operation(environ: dict[str, Any], service: str) -> tuple[str, dict[str, Any]]:
    """Return the name of a request's operation and its parameters as far as they are easily read.

    Parameters
    ----------
    environ
        The WSGI environment; its body can be read again afterwards.
    service
        The service in the signature's scope, such as ``states``.
    """
    parameters: dict[str, Any] = {}
    if service not in _BODIES_OF_THE_USER:
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


def _resource(service: str, parameters: dict[str, Any]) -> str:
    if service == "s3":
        return "/".join(parameters[label] for label in ("Bucket", "Key") if label in parameters) or "*"
    value = next((parameters[name] for name in _RESOURCES if name in parameters), "*")
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


class Recorder:
    """WSGI middleware that counts the calls made with a role's credentials."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        signature = scope(environ)
        role = roles.role_of(signature["key"]) if signature else None
        if signature and role:
            service = signature["service"]
            name, parameters = operation(environ, service)
            action = _ACTIONS.get((service, name), name)
            if service == "s3" and action == "GetObject" and "versionId=" in environ.get("QUERY_STRING", ""):
                action = "GetObjectVersion"
            record(role, service, action, _resource(service, parameters))
        return self.app(environ, start_response)
