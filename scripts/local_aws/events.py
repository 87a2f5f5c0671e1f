"""EventBridge: rules reach their Lambda, Step Functions and SQS targets, and rate schedules fire."""

from __future__ import annotations

import functools
import json
import re
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from jsonpath_ng.ext import parse as parse_json_path
from moto.awslambda.models import lambda_backends
from moto.events.exceptions import InvalidEventPatternException
from moto.events.models import EventPattern, EventPatternParser, Rule, events_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from local_aws import authorization, event_patterns, patches, settings
from local_aws.lanes import Lanes
from local_aws.resources import Need
from local_aws.roles import Session

_RATE = re.compile(r"rate\((?P<number>\d+) (?P<unit>minute|hour|day)s?\)")
_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
# EventBridge tries for 24 hours; whoever waits for a demo doesn't.
_ATTEMPTS = 3
_RETRY_SECONDS = 0.5

# A lane for each target of each rule.
_deliveries = Lanes("events", 2)


class DeliveryFailed(Exception):
    """A target could not be reached; code and message go to the dead-letter queue."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class _Faults:
    """How many of the next events that some rule waits for are lost, or delivered twice.

    With a source, such as ``aws.s3``, those of this source alone.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        self.drop = 0
        self.duplicate = 0
        self.source: str | None = None

    def copies(self, source: str) -> int:
        """Return how often the next event, which is of this source, is delivered: 0, 1 or 2."""
        with self._lock:
            if self.source not in (None, source):
                return 1
            if self.drop:
                self.drop -= 1
                return 0
            if self.duplicate:
                self.duplicate -= 1
                return 2
            return 1


faults = _Faults()


def emit(event: dict[str, Any]) -> None:
    """Put an event of an AWS service on the default bus.

    Parameters
    ----------
    event
        At least ``source``, ``detail-type`` and ``detail``; ``resources``, ``time`` and ``id`` are optional.
    """
    full = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "account": settings.ACCOUNT_ID,
        "region": settings.REGION,
        "time": _iso(time.time()),
        "resources": [],
        **event,
    }
    matching = [rule for rule in _rules() if _matches(rule, full)]
    copies = faults.copies(full["source"]) if matching else 0
    for rule in matching * copies:
        _send(rule, full)


def fire_schedule(name: str) -> bool:
    """Let a scheduled rule of the default bus fire now; return whether there is one of that name."""
    rule = next((rule for rule in _rules() if rule.name == name and rule.scheduled_expression), None)
    if rule is None:
        return False
    event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "source": "aws.events",
        "detail-type": "Scheduled Event",
        "account": settings.ACCOUNT_ID,
        "region": settings.REGION,
        "time": _iso(time.time()),
        "resources": [rule.arn],
        "detail": {},
    }
    _send(rule, event)
    return True


def reset() -> None:
    """Forget the faults and what has not been delivered; rules are moto's."""
    faults.reset()
    _deliveries.clear()


def install() -> None:
    """Let moto's rules reach their targets and start the clock of the schedules."""

    @patches.method(Rule)
    def send_to_targets(self: Rule, original_event: Any, transform_input: bool = True) -> None:
        event = {**original_event, "time": _iso(original_event["time"])}
        event.pop("ingestion-time", None)
        if not _matches(self, event):
            return
        for _ in range(faults.copies(event["source"])):
            _send(self, event)

    @patches.method(EventPattern)
    def matches_event(self: EventPattern, event: Any) -> bool:
        raw = self.dump()
        return event_patterns.compiled(raw)(event) if raw else True

    @patches.method(EventPatternParser)
    def parse(self: EventPatternParser) -> dict[str, Any]:
        if self.pattern:
            try:
                event_patterns.compiled(self.pattern)
            except event_patterns.InvalidPattern as problem:
                raise InvalidEventPatternException(reason=str(problem)) from None
        parsed: dict[str, Any] = parse.original(self)
        return parsed

    threading.Thread(target=_run_schedules, name="schedules", daemon=True).start()


def _rules() -> list[Rule]:
    return list(events_backends[settings.ACCOUNT_ID][settings.REGION].event_buses["default"].rules.values())


def _matches(rule: Rule, event: dict[str, Any]) -> bool:
    # moto matches a rule without a pattern, one with a schedule alone, with every event.
    return (
        rule.state == "ENABLED"
        and bool(rule.event_pattern.get_pattern())
        and rule.event_pattern.matches_event(event)
    )


def _iso(when: Any) -> str:
    if isinstance(when, str) and not re.fullmatch(r"[\d.]+", when):
        return when
    return datetime.fromtimestamp(float(when), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _send(rule: Rule, event: dict[str, Any]) -> None:
    for target in list(rule.targets):
        attempts = min(_ATTEMPTS, 1 + target.get("RetryPolicy", {}).get("MaximumRetryAttempts", _ATTEMPTS))
        _submit(rule, target, event, attempts)


def _submit(
    rule: Rule, target: dict[str, Any], event: dict[str, Any], attempts: int, delay: float = 0.0
) -> None:
    call = functools.partial(_deliver, rule, target, event, attempts)
    _deliveries.submit((rule.arn, target["Id"]), call, delay)


def _deliver(rule: Rule, target: dict[str, Any], event: dict[str, Any], attempts: int) -> None:
    """Hand an event over to a target, which may take so many attempts more."""
    body = target_input(target, event)
    try:
        _hand_over(rule, target, body)
    except DeliveryFailed as failure:
        error = failure
    except Exception as problem:
        error = DeliveryFailed("INTERNAL_ERROR", f"{type(problem).__name__}: {problem}")
    else:
        return
    if attempts > 1:
        _submit(rule, target, event, attempts - 1, _RETRY_SECONDS)
        return
    print(f"local_aws: rule {rule.name} could not reach {target['Arn']}: {error}", file=sys.stderr)
    if queue_arn := target.get("DeadLetterConfig", {}).get("Arn"):
        attributes = {
            "RULE_ARN": rule.arn,
            "TARGET_ARN": target["Arn"],
            "ERROR_CODE": error.code,
            "ERROR_MESSAGE": error.message,
        }
        try:
            _let_in(rule, _sending(queue_arn))
        except DeliveryFailed as failure:
            print(f"local_aws: an event of rule {rule.name} is lost: {failure}", file=sys.stderr)
        else:
            send(queue_arn, body, attributes)


def _hand_over(rule: Rule, target: dict[str, Any], body: str) -> None:
    arn = target["Arn"]
    service = arn.split(":")[2]
    if service == "lambda":
        _to_lambda(rule, arn, body)
    elif service == "states":
        _to_step_functions(rule, target, body)
    elif service in ("sqs", "sns"):
        _let_in(rule, _sending(arn))
        send(arn, body, {}, target.get("SqsParameters", {}).get("MessageGroupId"))
    else:
        raise DeliveryFailed("UNSUPPORTED_TARGET", f"the embedded AWS delivers no events to {service}: {arn}")


def _to_lambda(rule: Rule, arn: str, body: str) -> None:
    from local_aws import lambda_functions

    function = lambda_backends[settings.ACCOUNT_ID][settings.REGION].get_function_by_arn(arn)
    if function is None:
        raise DeliveryFailed("RESOURCE_NOT_FOUND", f"there is no function {arn}")
    _let_in(rule, Need("lambda:InvokeFunction", arn))
    lambda_functions.invoke_later(function, body)


def _let_in(rule: Rule, need: Need) -> None:
    if not authorization.lets_in("events.amazonaws.com", rule.arn, need):
        raise DeliveryFailed(
            "NO_PERMISSIONS",
            f"the policy of {need.resource} lets no events.amazonaws.com for {rule.arn} in",
        )


def _sending(arn: str) -> Need:
    """Return what who sends to a queue or a topic needs."""
    service = arn.split(":")[2]
    return Need("sqs:SendMessage" if service == "sqs" else "sns:Publish", arn)


def _to_step_functions(rule: Rule, target: dict[str, Any], body: str) -> None:
    role = target.get("RoleArn")
    if not role:
        raise DeliveryFailed("NO_PERMISSIONS", f"target {target['Id']} has no RoleArn")
    if not authorization.trusts(role, "events.amazonaws.com", rule.arn):
        raise DeliveryFailed("NO_PERMISSIONS", f"events.amazonaws.com cannot take the role {role}")
    try:
        authorization.check(Session(role, "events"), Need("states:StartExecution", target["Arn"]))
    except authorization.Refused as refusal:
        raise DeliveryFailed("NO_PERMISSIONS", str(refusal)) from None
    backend = stepfunctions_parser_backends[settings.ACCOUNT_ID][settings.REGION]
    backend.start_execution(target["Arn"], str(uuid.uuid4()), body)


def send(
    arn: str, body: str, attributes: dict[str, str], group: str | None = None, sender: Session | None = None
) -> None:
    """Send a message with string attributes to an SQS queue or SNS topic of this account.

    Parameters
    ----------
    arn
        The queue's or the topic's.
    body, attributes
        The message.
    group
        The message group of a FIFO queue.
    sender
        The role that sends it.

    Raises
    ------
    authorization.Refused
        If the role may not.
    """
    service, region, account, name = arn.split(":")[2:]
    if sender:
        authorization.check(sender, _sending(arn))
    values = {key: {"DataType": "String", "StringValue": value[:1024]} for key, value in attributes.items()}
    if service == "sqs":
        sqs_backends[account][region].send_message(name, body, message_attributes=values, group_id=group)
    else:
        sns_backends[account][region].publish(body, arn=arn)


def target_input(target: dict[str, Any], event: dict[str, Any]) -> str:
    """Return the JSON text that a target receives of an event.

    A target has at most one of ``Input``, ``InputPath`` and ``InputTransformer``:
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
    """
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        return json.dumps(_extract(target["InputPath"], event))
    if "InputTransformer" in target:
        return _transform(target["InputTransformer"], event)
    return json.dumps(event)


def _extract(path: str, event: dict[str, Any]) -> Any:
    # A member such as detail-type needs quotes in jsonpath_ng, not in EventBridge.
    quoted = re.sub(r"\.([A-Za-z0-9_]*-[A-Za-z0-9_-]*)", r'."\1"', path)
    found = parse_json_path(quoted).find(event)
    return found[0].value if found else None


def _transform(transformer: dict[str, Any], event: dict[str, Any]) -> str:
    values = {name: _extract(path, event) for name, path in transformer.get("InputPathsMap", {}).items()}
    values["aws.events.event.json"] = event
    values["aws.events.event.ingestion-time"] = event["time"]
    # Inside the quotes of a JSON string a value is written bare, elsewhere as JSON.
    return "".join(_substituted(transformer["InputTemplate"], values))


def _substituted(template: str, values: dict[str, Any]) -> Iterator[str]:
    in_string = False
    position = 0
    while position < len(template):
        variable = re.compile(r"<([A-Za-z0-9_.\-]+)>").match(template, position)
        if variable and variable[1] in values:
            value = values[variable[1]]
            text = json.dumps(value)
            yield text if not in_string else _inside_string(value, text)
            position = variable.end()
            continue
        character = template[position]
        if character == "\\":
            yield template[position : position + 2]
            position += 2
            continue
        in_string ^= character == '"'
        yield character
        position += 1


def _inside_string(value: Any, text: str) -> str:
    if value is None:
        return ""
    return text[1:-1] if isinstance(value, str) else json.dumps(text)[1:-1]


def _run_schedules() -> None:
    due: dict[tuple[str, str], float] = {}
    while True:
        time.sleep(0.1)
        scale = settings.current.time_scale
        if not scale:
            continue
        now = time.monotonic()
        known = {}
        for rule in _rules():
            rate = _RATE.fullmatch(rule.scheduled_expression or "")
            if rate is None or rule.state != "ENABLED":
                continue
            period = int(rate["number"]) * _SECONDS[rate["unit"]] / scale
            key = rule.arn, rule.scheduled_expression
            known[key] = due.get(key, now + period)
            if now >= known[key]:
                known[key] = now + period
                fire_schedule(rule.name)
        due = known
