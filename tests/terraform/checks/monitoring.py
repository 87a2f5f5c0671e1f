"""Every alarm tells somebody what to do, and measures what the code writes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from terraform.checks.contracts import programs
from terraform.checks.registry import check
from terraform.checks.rights import statements
from terraform.repository import Repository, some

_METRICS = "lambdas/shared/truthloop/metrics.py"


def _alarms(repository: Repository) -> dict[str, Mapping[str, Any]]:
    found = {
        f"{stack.path}: {name}": body
        for stack in repository.modules()
        for (type_, name), body in stack.typed("resource").items()
        if type_ in ("aws_cloudwatch_metric_alarm", "aws_cloudwatch_composite_alarm")
    }
    return some(found, "alarms")


@check
def every_alarm_tells_somebody(repository: Repository) -> Iterator[str]:
    for where, body in _alarms(repository).items():
        if body.get("alarm_actions") != ["${var.alarm_topic_arn}"]:
            yield f"{where} does not notify the topic"
        if body.get("actions_enabled") is False:
            yield f"{where} is silent"


@check
def every_alarm_says_what_no_data_means(repository: Repository) -> Iterator[str]:
    for where, body in _alarms(repository).items():
        if body.get("treat_missing_data") not in ("breaching", "ignore", "missing", "notBreaching"):
            yield f"{where} does not say what missing data mean"
        if body.get("treat_missing_data") == "missing" and not body.get("insufficient_data_actions"):
            yield f"{where} notices that data are missing and tells nobody"


@check
def every_alarm_says_what_to_do_as_its_readme_does(repository: Repository) -> Iterator[str]:
    readme = repository.text("terraform/modules/monitoring/README.md")
    rows = re.findall(
        r"^\| `([\w-]+)` \| ([^|]+) \| ([^|]+) \|$", readme.partition("## Alarms")[2], re.MULTILINE
    )
    described = {name: f"{means} {first}" for name, means, first in rows if not means.startswith("ARN of")}
    written = {
        str(body.get("alarm_name")).removeprefix("${var.name_prefix}-"): str(body.get("alarm_description"))
        for body in _alarms(repository).values()
    }
    for name in sorted(written.keys() - described.keys()):
        yield f"the README of the module monitoring has no row for the alarm {name}"
    for name in sorted(written.keys() & described.keys()):
        if written[name] != described[name]:
            yield f"the alarm {name} says something else than its row in the README"
    inputs = repository.module("monitoring").named("variable").keys()
    outputs = repository.module("monitoring").named("output").keys()
    alarms = (
        repository.text("terraform/modules/monitoring/README.md")
        .partition("## Alarms")[2]
        .partition("\n## ")[0]
    )
    for name in re.findall(r"^\| `([\w-]+)` \|", alarms, re.MULTILINE):
        if name not in written and name not in inputs and name not in outputs:
            yield f"the README of the module monitoring describes {name}, which is no alarm"


@check
def every_metric_that_is_watched_is_one_that_a_function_writes(repository: Repository) -> Iterator[str]:
    constants = dict(re.findall(r'^([A-Z_]+) = Metric\("(\w+)"', repository.text(_METRICS), re.MULTILINE))
    written = {
        (name, constants[word])
        for name, program in programs(repository).items()
        for word in program.words & some(constants, f"metrics in {_METRICS}").keys()
    }
    module = "".join(repository.module("monitoring").files.values())
    watched = {
        *(
            (service, name)
            for name, service in re.findall(r'name\s*=\s*"(\w+)",\s*service\s*=\s*"(\w+)"', module)
        ),
        *(
            (service, name)
            for name, service in re.findall(
                r'\[var\.metrics_namespace, "(\w+)"[^\]]*"service", "(\w+)"', module
            )
        ),
    }
    for body in _alarms(repository).values():
        if body.get("namespace") == "${var.metrics_namespace}":
            watched.add((body["dimensions"].get("service"), body["metric_name"]))
    for service, name in sorted(some(watched, "metrics that are watched") - written):
        yield f"the module monitoring watches {name} of {service}, which that function does not write"
    for service, name in sorted(written - watched):
        yield f"{service} writes {name}, which nothing watches"


@check
def metrics_of_functions_come_under_the_name_that_is_watched(repository: Repository) -> Iterator[str]:
    calls = repository.root.named("module")
    given = {name: calls.get(name, {}).get("metrics_namespace") for name in ("function", "monitoring")}
    if None in given.values() or len(set(given.values())) != 1:
        yield f"the functions write metrics to {given['function']}, {given['monitoring']} is watched"
    environment = repository.module("lambda_function").locals().get("environment")
    if "POWERTOOLS_METRICS_NAMESPACE = var.metrics_namespace" not in re.sub(r"\s+", " ", str(environment)):
        yield "the module lambda_function does not tell its function the namespace"
    if calls.get("function", {}).get("service_name") != "${each.key}":
        yield "the functions' metrics are not named after their folders"


@check
def what_notifies_the_topic_is_let_in_by_it_and_by_its_key(repository: Repository) -> Iterator[str]:
    types = sorted({type_ for type_, _ in repository.module("monitoring").typed("resource")})
    publishers = {
        "aws_budgets_budget": "budgets.amazonaws.com",
        "aws_cloudwatch_metric_alarm": "cloudwatch.amazonaws.com",
    }
    notifying = some([publishers[type_] for type_ in types if type_ in publishers], "alarms and budgets")
    for module, action in (("notifications", "sns:Publish"), ("kms_key", "kms:GenerateDataKey")):
        admitted = {
            name
            for (type_, _), document in repository.module(module).typed("data").items()
            if type_ == "aws_iam_policy_document"
            for statement in statements(document)
            if action in [item.removesuffix("*") for item in statement["actions"]]
            and statement.get("effect") != "Deny"
            for principal in statement.get("principals", [])
            for name in principal["identifiers"]
        }
        for name in notifying:
            if name not in admitted:
                yield f"module {module} does not let {name} {action}, so what it tells is lost without a sign"
    if "alias/aws/sns" in str(repository.module("notifications").resource("aws_sns_topic")):
        yield "the topic is encrypted with alias/aws/sns, a key that lets no service in"
