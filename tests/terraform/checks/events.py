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
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
    "aws.s3": ({"Object Created"}, {"bucket", "object", "reason"}, {"s3:PutObject"}),
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
# How labelling jobs end, and which ends a function is told of: a job that failed has no labels to audit.
_ENDED = {"Completed", "Failed", "Stopped"}
_TOLD = {"release_labeling_job": _ENDED, "start_audit": _ENDED - {"Failed"}}


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


def _invoked(body: Mapping[str, Any]) -> str | None:
    """The folder of the function that a module call invokes."""
    function = re.fullmatch(r'\$\{module\.function\["(\w+)"\]\.function_arn\}', str(body.get("function_arn")))
    return function[1] if function else None


def _matches(wildcard: str, key: str) -> bool:
    """Whether EventBridge's wildcard, in which * is any text, matches a key."""
    return re.fullmatch(".*".join(map(re.escape, wildcard.split("*"))), key) is not None


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
        body = _rules(repository)[name]
        if not pattern.get("detail") and not pattern.get("resources"):
            yield f"module {name} takes every event of its kind"
        if "LabelingJobStatus" not in pattern.get("detail", {}):
            continue
        statuses, wanted = set(pattern["detail"]["LabelingJobStatus"]), _TOLD.get(str(_invoked(body)), _ENDED)
        if statuses != wanted:
            yield f"module {name} waits for {sorted(statuses)}, and its function for {sorted(wanted)}"


@check
def no_rule_sets_itself_off(repository: Repository) -> Iterator[str]:
    for name, pattern in _patterns(repository).items():
        function = _invoked(_rules(repository)[name])
        if function is None:
            yield f"module {name} invokes something else than one of the stack's functions"
            continue
        allowed = {action for statement in document(repository, function) for action in statement["actions"]}
        for source in pattern.get("source", []):
            for action in sorted(allowed & _KNOWN.get(source, (set(), set(), set()))[2]):
                yield f"module {name} invokes {function}, which may {action} and so set the rule off"


@check
def the_rule_for_answers_takes_all_files_that_the_code_records(repository: Repository) -> Iterator[str]:
    rules = {
        name: pattern["detail"]
        for name, pattern in _patterns(repository).items()
        if pattern.get("source") == ["aws.s3"]
    }
    ((name, detail),) = some(rules, "rules for objects").items()
    if detail.get("bucket", {}).get("name") != ["${local.data_bucket_name}"]:
        yield f"module {name} waits for objects of other buckets than the stack's own"
    if _invoked(_rules(repository)[name]) != "record_answers":
        yield f"module {name} does not invoke record_answers"
    patterns = [item.get("wildcard", "") for item in detail.get("object", {}).get("key", [])]
    for pattern in patterns:
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
        if not pattern or "**" in pattern:
            yield f"module {name} has the key {pattern!r}, which is no wildcard that EventBridge takes"
    keys = {
        f"{folder}{file}"
        for folder in ("campaigns/c/labeling/j/", "campaigns/c/audits/a/jobs/j/", "audits/a/jobs/j/")
        for file in (
            "annotations/worker-response/iteration-1/0/2030-01-01_00:00:00.json",
            "annotations/consolidated-annotation/workers/0.json",
        )
    } | {f"{folder}audits/a/steps/00001.verdicts.json" for folder in ("campaigns/c/", "")}
    for key in sorted(keys):
        if not any(_matches(pattern, key) for pattern in patterns):
            yield f"module {name} passes over {key}"
    for key in (
        "campaigns/c/manifest/master.manifest",
        "campaigns/c/audits/a/steps/00001.json",
        "audits/a/audit.json",
    ):
        if any(_matches(pattern, key) for pattern in patterns):
            yield f"module {name} takes {key}, which holds no answer"


@check
def the_data_bucket_tells_eventbridge(repository: Repository) -> Iterator[str]:
    enabled = repository.module("storage").named("variable").get("eventbridge_enabled", {})
    if (
        repository.root.named("module").get("storage", {}).get("eventbridge_enabled", enabled.get("default"))
        is not True
    ):
        yield "the data bucket does not send its events to EventBridge"
    notification = repository.module("storage").resource("aws_s3_bucket_notification")
    if notification.get("eventbridge") != "${var.eventbridge_enabled}":
        yield "the module storage does not send events to EventBridge where it is asked to"


@check
def a_log_is_delivered_only_after_its_function_lets_it_in(repository: Repository) -> Iterator[str]:
    module = repository.module("log_subscription")
    delivery = module.resource("aws_cloudwatch_log_subscription_filter")
    for needed in ("aws_cloudwatch_log_group.this", "aws_lambda_permission.this"):
        if f"${{{needed}}}" not in delivery.get("depends_on", []):
            yield f"the subscription may be made before {needed}"
    if delivery.get("destination_arn") != "${var.function_arn}":
        yield "the subscription delivers to something else than the function"
    calls = {
        name: body
        for name, body in repository.root.named("module").items()
        if body["source"] == "./modules/log_subscription"
    }
    for name, body in some(calls, "log subscriptions").items():
        if _invoked(body) is None:
            yield f"module {name} delivers to something else than one of the stack's functions"
        if "worker_activity" not in str(body.get("count")):
            yield f"module {name} is made whether worker_activity is set or not"
