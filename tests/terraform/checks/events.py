"""Every rule waits for an event that exists, reaches one function, and cannot set itself off."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from terraform.checks.contracts import document
from terraform.checks.registry import check
from terraform.expressions import expression
from terraform.repository import Repository, parse_expression, some

# By source: the kinds of events, the detail that a pattern may filter by, and what sends such an event.
# https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-overview.html
_KNOWN = {
    "aws.batch": ({"Batch Job State Change"}, {"jobQueue", "jobName", "status"}, {"batch:SubmitJob"}),
    "aws.sagemaker": (
        {"SageMaker Ground Truth Labeling Job State Change"},
        {"LabelingJobStatus"},
        {"sagemaker:CreateLabelingJob", "sagemaker:StopLabelingJob"},
    ),
    "aws.states": (
        {"Step Functions Execution Status Change"},
        {"stateMachineArn", "status"},
        {"states:StartExecution"},
    ),
}
_ENDED = {"Completed", "Failed", "Stopped"}


def _rules(repository: Repository) -> dict[str, Mapping[str, Any]]:
    """The root's calls of the module event_rule."""
    calls = repository.root.named("module")
    return some(
        {name: body for name, body in calls.items() if body["source"] == "./modules/event_rule"},
        "event rules",
    )


def _patterns(repository: Repository) -> dict[str, Mapping[str, Any]]:
    found = {}
    for name, body in _rules(repository).items():
        pattern = re.fullmatch(r"jsonencode\((\{.*\})\)", expression(body.get("event_pattern")), re.DOTALL)
        if pattern:
            found[name] = parse_expression(pattern[1])
    return some(found, "event patterns")


@check
def every_rule_reaches_its_target_or_keeps_the_event(repository: Repository) -> Iterator[str]:
    module = repository.module("event_rule")
    target = module.resource("aws_cloudwatch_event_target")
    if target.get("rule") != "${aws_cloudwatch_event_rule.this.name}":
        yield "the module event_rule has no target for its rule"
    if "arn" not in target.get("dead_letter_config", [{}])[0]:
        yield "an event that cannot be delivered is lost"
    if not target.get("retry_policy"):
        yield "the target's retries are not stated"
    for name, body in _rules(repository).items():
        if ("event_pattern" in body) == ("schedule_expression" in body):
            yield f"module {name} must have either a pattern or a schedule"


@check
def every_rule_waits_for_events_that_exist(repository: Repository) -> Iterator[str]:
    for name, pattern in _patterns(repository).items():
        for source in pattern.get("source", ["no source"]):
            kinds, details, _ = _KNOWN.get(source, (set(), set(), set()))
            for kind in sorted(set(pattern.get("detail-type", ["no detail-type"])) - kinds):
                yield f"module {name} waits for {kind!r} of {source}, which is not known"
            for key in sorted(pattern.get("detail", {}).keys() - details):
                yield f"module {name} filters by {key}, which such an event does not have"


@check
def every_rule_waits_for_no_more_than_it_needs(repository: Repository) -> Iterator[str]:
    for name, pattern in _patterns(repository).items():
        if not pattern.get("detail") and not pattern.get("resources"):
            yield f"module {name} takes every event of its kind"
        statuses = set(pattern.get("detail", {}).get("LabelingJobStatus", _ENDED))
        if statuses != _ENDED:
            yield f"module {name} waits for {sorted(statuses)}, jobs end as {sorted(_ENDED)}"


@check
def no_rule_sets_itself_off(repository: Repository) -> Iterator[str]:
    for name, pattern in _patterns(repository).items():
        function = re.search(
            r'module\.function\["(\w+)"\]', str(_rules(repository)[name].get("function_arn"))
        )
        if function is None:
            yield f"module {name} invokes something else than one of the stack's functions"
            continue
        allowed = {
            action for statement in document(repository, function[1]) for action in statement["actions"]
        }
        for source in pattern.get("source", []):
            for action in sorted(allowed & _KNOWN.get(source, (set(), set(), set()))[2]):
                yield f"module {name} invokes {function[1]}, which may {action} and so set the rule off"
