"""The gate that every request passes: what a role's policies do not allow is refused as the service would."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from typing import Any
from xml.sax.saxutils import escape

from local_aws import authorization, calls, policies, resources, roles, unsupported

# What the services whose requests are forms call a refusal, where it isn't AccessDenied.
_FORM_CODES = {"sns": "AuthorizationError"}


class Gate:
    """WSGI middleware that lets the calls made with a role's credentials pass as far as its policies allow.

    The operator has credentials that are no role's, and may do everything.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        signature = calls.scope(environ)
        session = roles.session_of(signature["key"]) if signature else None
        if signature is None or session is None:
            return self.app(environ, start_response)
        service = signature["service"]
        name, parameters = calls.operation(environ, service)
        call = resources.Call(service, name, parameters, signature["region"], environ)
        try:
            authorization.check(session, *resources.needs(call))
        except authorization.Refused as refusal:
            status, headers, body = _refusal(environ, service, str(refusal))
        except (policies.Undecidable, resources.UnknownResources) as problem:
            status, headers, body = unsupported.answer(service, str(problem))
        else:
            return self.app(environ, start_response)
        start_response(status, headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _refusal(environ: dict[str, Any], service: str, message: str) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return the answer of a service that refuses a call: status, headers and body."""
    status, code, kind = "403 Forbidden", "AccessDeniedException", "application/json"
    request_id = str(uuid.uuid4())
    if service == "s3":
        kind = "application/xml"
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>AccessDenied</Code><Message>{escape(message)}</Message>"
            f"<RequestId>{request_id}</RequestId></Error>"
        )
    elif environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        kind = "text/xml"
        text = (
            "<ErrorResponse><Error><Type>Sender</Type>"
            f"<Code>{_FORM_CODES.get(service, 'AccessDenied')}</Code>"
            f"<Message>{escape(message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    else:
        if "HTTP_X_AMZ_TARGET" in environ:
            status = "400 Bad Request"
        text = json.dumps({"__type": code, "message": message})
    body = text.encode()
    headers = [
        ("Content-Type", kind),
        ("Content-Length", str(len(body))),
        ("x-amzn-RequestId", request_id),
        ("x-amz-request-id", request_id),
        *([("x-amzn-ErrorType", code)] if kind == "application/json" else []),
    ]
    return status, headers, body
