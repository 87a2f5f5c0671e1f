"""S3: conditional writes that hold under concurrency, notifications beside the writer, and a fast path."""

from __future__ import annotations

import functools
import itertools
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import moto.s3.notifications
from moto.core.responses import ActionResult
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, S3Backend, s3_backends
from moto.s3.notifications import S3NotificationEvent
from moto.s3.responses import S3Response
from moto.s3.utils import metadata_from_headers

from local_aws import events, patches, settings

# moto answers from several threads and tests If-Match and If-None-Match apart from the write: one request at
# a time makes both one step, as S3 promises.
_one_at_a_time = threading.RLock()

_notifier = ThreadPoolExecutor(max_workers=1, thread_name_prefix="s3-notifications")

# Larger for a later event, as text too: how a reader of events knows which one of an object's is the last.
_sequence = itertools.count(time.time_ns())
# What an event gives for its reason, by the last part of the notification's name.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
_REASONS = {
    "Put": "PutObject",
    "Post": "POST Object",
    "Copy": "CopyObject",
    "CompleteMultipartUpload": "CompleteMultipartUpload",
    "Delete": "DeleteObject",
}

_PLAIN_PUT_HEADERS = {
    "HTTP_X_AMZ_CONTENT_SHA256",
    "HTTP_X_AMZ_DATE",
    "HTTP_X_AMZ_SDK_CHECKSUM_ALGORITHM",
    "HTTP_X_AMZ_SECURITY_TOKEN",
}
# Whatever changes the meaning of a request beyond "this object, all of it, now".
_SPECIAL_HEADERS = (
    "HTTP_RANGE",
    "HTTP_IF_MATCH",
    "HTTP_IF_NONE_MATCH",
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_IF_UNMODIFIED_SINCE",
    "HTTP_ORIGIN",
    "HTTP_CONTENT_ENCODING",
)


def install() -> None:
    """Add to moto's S3 what it lacks."""
    original_send_event = moto.s3.notifications.send_event

    def send_event(account_id: str, event_name: S3NotificationEvent, bucket: Any, key: Any) -> None:
        # A put without tags is told as "tags added" too; S3 tells only of the put.
        tagged = event_name is S3NotificationEvent.OBJECT_TAGGING_PUT_EVENT
        # An object of several parts is told as put before it is told as completed.
        completed = event_name is S3NotificationEvent.OBJECT_CREATED_PUT_EVENT and key.multipart is not None
        told = bucket.notification_configuration
        if told is None or completed or (tagged and not _has_tags(key)):
            return
        if told.event_bridge is not None and isinstance(key, FakeKey):
            events.emit(_event(event_name, bucket, key))
        if told.cloud_function or told.queue or told.topic:
            _notifier.submit(original_send_event, account_id, event_name, bucket, key)

    patches.replace(moto.s3.notifications, "send_event", send_event)
    # Its events have other names for some members, and go through JSON for each rule.
    patches.replace(
        moto.s3.notifications, "_send_event_bridge_message", lambda account_id, bucket, event_name, key: None
    )

    @patches.method(S3Response)
    def key_response(self: S3Response, request: Any, full_url: str, headers: dict[str, Any]) -> Any:
        with _one_at_a_time:
            return key_response.original(self, request, full_url, headers)

    @patches.method(S3Response)
    def bucket_response(self: S3Response, request: Any, full_url: str, headers: Any) -> Any:
        with _one_at_a_time:
            return bucket_response.original(self, request, full_url, headers)

    # moto lets go of the content of whatever is deleted, and a delete marker, which has none, cannot do that.
    patches.add(FakeDeleteMarker, "dispose", lambda _self, garbage=False: None)

    @patches.method(FakeBucket)
    def get_permission(self: FakeBucket, action: str, resource: str) -> Any:
        # moto applies a Deny whatever its Condition says, so the TLS-only statement would forbid everything.
        # local_aws.gate has asked the policy already.
        return PermissionResult.NEUTRAL

    @patches.method(S3Response)
    def get_bucket_notification(self: S3Response) -> Any:
        configuration = self.backend.get_bucket_notification_configuration(self.bucket_name)
        if configuration is not None and configuration.event_bridge is not None:
            serialized = self.serialized

            def with_event_bridge(answer: ActionResult) -> Any:
                return serialized(ActionResult({**(answer.result or {}), "EventBridgeConfiguration": {}}))

            self.serialized = with_event_bridge
        return get_bucket_notification.original(self)


def _event(name: S3NotificationEvent, bucket: FakeBucket, key: FakeKey) -> dict[str, Any]:
    """Return EventBridge's event of what has happened to an object.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
    """
    kind = _detail_type(name)
    what: dict[str, Any] = {"key": key.name, "size": key.size, "etag": key.etag.strip('"')}
    if key.version_id not in (None, "null"):
        what["version-id"] = key.version_id
    what["sequencer"] = f"{next(_sequence):016x}"
    detail = {
        "version": "0",
        "bucket": {"name": bucket.name},
        "object": what,
        "request-id": f"{next(_sequence):016X}",
        "requester": settings.ACCOUNT_ID,
        "source-ip-address": "127.0.0.1",
    }
    if reason := _REASONS.get(name.value.rpartition(":")[2]):
        detail["reason"] = reason
    if kind == "Object Deleted":
        detail["deletion-type"] = "Permanently Deleted"
    return {"source": "aws.s3", "detail-type": kind, "resources": [bucket.arn], "detail": detail}


# moto looks through sorted lists of all names for it.
_detail_type = functools.cache(moto.s3.notifications._detail_type)


def has_object(bucket: str, key: str, version_id: str | None = None) -> bool:
    """Tell whether an object exists, or its bucket does not, which everybody may know."""
    backend: S3Backend = s3_backends[settings.ACCOUNT_ID]["aws"]
    if bucket not in backend.buckets:
        return True
    with _one_at_a_time:
        return backend.get_object(bucket, key, version_id=version_id) is not None


def _has_tags(key: FakeKey) -> bool:
    return bool(s3_backends[key.account_id][key.partition].tagger.get_tag_dict_for_resource(key.arn))


class FastPath:
    """WSGI middleware that answers plain GetObject, HeadObject and PutObject from moto's backend itself.

    moto needs about 3 ms for one request; a campaign makes tens of thousands. A request that is conditional,
    a range, about a version, tagged, encrypted by its own key or otherwise special goes to moto.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        answer = self._answer(environ) if self._is_plain(environ) else None
        if answer is None:
            return self.app(environ, start_response)
        headers, body = answer
        start_response("200 OK", headers)
        return [body]

    @staticmethod
    def _is_plain(environ: dict[str, Any]) -> bool:
        method = environ["REQUEST_METHOD"]
        return (
            method in ("GET", "HEAD", "PUT")
            and not environ.get("QUERY_STRING")
            and "/s3/aws4_request" in environ.get("HTTP_AUTHORIZATION", "")
            and environ["PATH_INFO"].find("/", 1) > 0
            and not any(header in environ for header in _SPECIAL_HEADERS)
            and (method != "PUT" or _is_plain_put(environ))
        )

    def _answer(self, environ: dict[str, Any]) -> tuple[list[tuple[str, str]], bytes] | None:
        _, bucket_name, key_name = environ["PATH_INFO"].encode("latin-1").decode().split("/", 2)
        backend: S3Backend = s3_backends[settings.ACCOUNT_ID]["aws"]
        bucket = backend.buckets.get(bucket_name)
        if not key_name or bucket is None or bucket.object_lock_enabled or bucket.logging:
            return None
        if environ["REQUEST_METHOD"] == "PUT":
            return _put(environ, backend, bucket, key_name)
        with _one_at_a_time:
            key = backend.get_object(bucket_name, key_name)
        if key is None or key.storage_class != "STANDARD" or key.multipart:
            return None
        return _get(environ, key)


def _is_plain_put(environ: dict[str, Any]) -> bool:
    return not environ.get("HTTP_X_AMZ_CONTENT_SHA256", "").startswith("STREAMING") and all(
        name in _PLAIN_PUT_HEADERS or name.startswith("HTTP_X_AMZ_CHECKSUM_")
        for name in environ
        if name.startswith("HTTP_X_AMZ_")
    )


def _put(
    environ: dict[str, Any], backend: S3Backend, bucket: FakeBucket, key_name: str
) -> tuple[list[tuple[str, str]], bytes]:
    algorithm = environ.get("HTTP_X_AMZ_SDK_CHECKSUM_ALGORITHM", "")
    checksum = environ.get(f"HTTP_X_AMZ_CHECKSUM_{algorithm.upper()}")
    value = environ["wsgi.input"].read()
    with _one_at_a_time:
        key = backend.put_object(
            bucket.name, key_name, value, storage="STANDARD", checksum_value=checksum if algorithm else None
        )
        key.set_metadata(
            metadata_from_headers({"Content-Type": environ.get("CONTENT_TYPE") or "binary/octet-stream"})
        )
        key.set_acl(bucket.acl)
        if algorithm:
            key.checksum_algorithm = algorithm
    headers = {name: value for name, value in key.response_dict.items() if name != "content-length"}
    if checksum:
        headers[f"x-amz-checksum-{algorithm.lower()}"] = checksum
    return [*headers.items(), ("Content-Length", "0")], b""


def _get(environ: dict[str, Any], key: FakeKey) -> tuple[list[tuple[str, str]], bytes]:
    headers = {**key.response_dict, **key.metadata, "Accept-Ranges": "bytes"}
    if key.version_id != "null":
        headers["x-amz-version-id"] = key.version_id
    if environ.get("HTTP_X_AMZ_CHECKSUM_MODE") == "ENABLED" and key.checksum_algorithm and key.checksum_value:
        headers[f"x-amz-checksum-{key.checksum_algorithm.lower()}"] = key.checksum_value
    return list(headers.items()), b"" if environ["REQUEST_METHOD"] == "HEAD" else key.value
