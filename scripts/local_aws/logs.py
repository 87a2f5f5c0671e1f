"""CloudWatch Logs: subscription filters deliver to Lambda, and services write to groups that exist."""

from __future__ import annotations

import base64
import gzip
import json
import sys
import threading
from typing import Any

from moto.awslambda.models import lambda_backends
from moto.core.utils import unix_time_millis
from moto.logs.exceptions import InvalidParameterException
from moto.logs.models import LogsBackend, LogStream, logs_backends

from local_aws import authorization, lambda_functions, log_patterns, patches, settings, unsupported
from local_aws.lanes import Lanes
from local_aws.resources import Need

# AWS gathers log events for some seconds; whoever waits for a demo doesn't.
_GATHER_SECONDS = 0.3

#: A subscription and the stream that its events are of: function, filter, group and stream.
_Subscription = tuple[str, str, str, str]

_lanes = Lanes("log-subscriptions", 1)
_gathered: dict[_Subscription, list[dict[str, Any]]] = {}
_lock = threading.Lock()


def write(group: str, stream: str, message: str) -> None:
    """Write a log event of an AWS service; nothing where there is no such group."""
    backend: LogsBackend = logs_backends[settings.ACCOUNT_ID][settings.REGION]
    if group not in backend.groups:
        return
    with unsupported.lock("logs"):
        if group in backend.groups:
            backend.ensure_log_stream(group, stream)
            # The time at which the event arrives; jobs in virtual time run ahead of what the service accepts.
            backend.put_log_events(
                group, stream, [{"timestamp": int(unix_time_millis()), "message": message}]
            )


def reset() -> None:
    """Forget what has not been delivered."""
    _lanes.clear()
    with _lock:
        _gathered.clear()


def _gather(subscription: _Subscription, events: list[dict[str, Any]]) -> None:
    with _lock:
        is_first = subscription not in _gathered
        _gathered.setdefault(subscription, []).extend(events)
    if is_first:
        _lanes.submit(subscription, lambda: _deliver(subscription), _GATHER_SECONDS)


def _deliver(subscription: _Subscription) -> None:
    """Hand all that has been gathered for a subscription to its function, which must let the service in."""
    function_arn, name, group, stream = subscription
    with _lock:
        events = _gathered.pop(subscription, [])
    function = lambda_backends[settings.ACCOUNT_ID][settings.REGION].get_function_by_arn(function_arn)
    if function is None or not _may_invoke(group, function_arn):
        print(
            f"local_aws: the subscription {name} of {group} could not reach {function_arn}: there is none, "
            "or its policy does not let CloudWatch Logs in",
            file=sys.stderr,
        )
        return
    lambda_functions.invoke_later(function, payload(name, group, stream, events))


def payload(name: str, group: str, stream: str, events: list[dict[str, Any]]) -> str:
    """Return the event that a subscribed function gets, as JSON.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html#LambdaFunctionExample
    """
    document = {
        "messageType": "DATA_MESSAGE",
        "owner": settings.ACCOUNT_ID,
        "logGroup": group,
        "logStream": stream,
        "subscriptionFilters": [name],
        "logEvents": [{**event, "id": f"{event['id']:056d}"} for event in events],
    }
    packed = gzip.compress(json.dumps(document).encode(), compresslevel=1)
    return json.dumps({"awslogs": {"data": base64.b64encode(packed).decode()}})


def _may_invoke(group: str, function_arn: str) -> bool:
    source = f"arn:aws:logs:{settings.REGION}:{settings.ACCOUNT_ID}:log-group:{group}:*"
    need = Need("lambda:InvokeFunction", function_arn)
    return any(
        authorization.lets_in(principal, source, need)
        for principal in (f"logs.{settings.REGION}.amazonaws.com", "logs.amazonaws.com")
    )


def install() -> None:
    """Let subscription filters of moto's log groups reach functions that let CloudWatch Logs in."""

    @patches.method(LogsBackend)
    def put_subscription_filter(
        self: LogsBackend,
        log_group_name: str,
        filter_name: str,
        filter_pattern: str,
        destination_arn: str,
        role_arn: str,
    ) -> None:
        try:
            log_patterns.compiled(filter_pattern)
        except log_patterns.InvalidPattern as problem:
            raise InvalidParameterException(f"Invalid filter pattern: {problem}") from None
        is_function = destination_arn.split(":")[2:3] == ["lambda"]
        if is_function and not _may_invoke(log_group_name, destination_arn):
            raise InvalidParameterException(
                "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission "
                "to execute your function."
            )
        put_subscription_filter.original(
            self, log_group_name, filter_name, filter_pattern, destination_arn, role_arn
        )

    @patches.method(LogStream)
    def _send_log_events(
        self: LogStream,
        service: str,
        destination_arn: str,
        filter_name: str,
        log_events: list[dict[str, Any]],
    ) -> None:
        group = self.log_group
        fits = log_patterns.compiled(group.subscription_filters[filter_name].filter_pattern)
        found = [event for event in log_events if fits(event["message"])]
        if found and service == "lambda":
            _gather((destination_arn, filter_name, group.name, self.log_stream_name), found)
        elif found:
            _send_log_events.original(self, service, destination_arn, filter_name, found)
