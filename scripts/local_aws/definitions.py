"""Finds what is wrong with a state machine's definition that moto's parser lets through."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# The fields of the optimised integrations; moto drops a misspelt one, Step Functions refuses it.
# https://docs.aws.amazon.com/step-functions/latest/dg/connect-lambda.html (and connect-batch.html)
_PARAMETERS = {
    "lambda:invoke": {"ClientContext", "FunctionName", "InvocationType", "Payload", "Qualifier"},
    "batch:submitJob": {
        "ArrayProperties",
        "ContainerOverrides",
        "DependsOn",
        "EksPropertiesOverride",
        "JobDefinition",
        "JobName",
        "JobQueue",
        "NodeOverrides",
        "Parameters",
        "PropagateTags",
        "RetryStrategy",
        "SchedulingPriorityOverride",
        "ShareIdentifier",
        "Tags",
        "Timeout",
    },
}
_REQUIRED_PARAMETERS = {
    "lambda:invoke": {"FunctionName"},
    "batch:submitJob": {"JobDefinition", "JobName", "JobQueue"},
}
_WITHOUT_TOKEN = ("sagemaker:",)


@dataclass(frozen=True)
class Problem:
    """One diagnostic, as ValidateStateMachineDefinition returns it."""

    code: str
    message: str
    location: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message} at {self.location}"


def problems(definition: str) -> list[Problem]:
    """Return what is wrong with the states and their transitions; an empty list for a sound definition."""
    try:
        document = json.loads(definition)
    except ValueError as problem:
        return [Problem("INVALID_JSON_DESCRIPTION", f"The definition is no JSON: {problem}", "")]
    if not isinstance(document, dict):
        return [Problem("INVALID_JSON_DESCRIPTION", "The definition is no JSON object.", "")]
    return list(_machine(document, ""))


def _machine(machine: dict[str, Any], path: str) -> Iterator[Problem]:
    states = machine.get("States") or {}
    start = machine.get("StartAt")
    if start not in states:
        yield Problem("MISSING_TRANSITION_TARGET", f"Missing 'StartAt' target: {start}", f"{path}/StartAt")
    reached = {start}
    for name, state in states.items():
        location = f"{path}/States/{name}"
        for field, target in _transitions(state):
            reached.add(target)
            if target not in states:
                last = field.rsplit("/", 1)[-1]
                yield Problem(
                    "MISSING_TRANSITION_TARGET", f"Missing '{last}' target: {target}", f"{location}/{field}"
                )
        yield from _ending(state, location)
        yield from _task(state, location)
        for part, inner in _inner_machines(state):
            yield from _machine(inner, f"{location}/{part}")
    for name in states:
        if name not in reached:
            yield Problem(
                "MISSING_TRANSITION_TARGET", f'State "{name}" is not reachable.', f"{path}/States/{name}"
            )


def _transitions(state: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for field in ("Next", "Default"):
        if field in state:
            yield field, state[field]
    for field in ("Choices", "Catch"):
        for index, rule in enumerate(state.get(field, [])):
            if "Next" in rule:
                yield f"{field}[{index}]/Next", rule["Next"]


def _ending(state: dict[str, Any], location: str) -> Iterator[Problem]:
    if state.get("Type") in ("Succeed", "Fail", "Choice"):
        return
    if ("Next" in state) == (state.get("End") is True):
        yield Problem("SCHEMA_VALIDATION_FAILED", "A state needs either Next or End: true", location)


def _task(state: dict[str, Any], location: str) -> Iterator[Problem]:
    resource = state.get("Resource")
    if state.get("Type") != "Task" or not isinstance(resource, str):
        return
    action, _, pattern = resource.partition(":::")[2].partition(".")
    if pattern == "waitForTaskToken":
        if action.startswith(_WITHOUT_TOKEN):
            yield Problem(
                "SCHEMA_VALIDATION_FAILED", f"{action} has no .waitForTaskToken", f"{location}/Resource"
            )
        if "$$.Task.Token" not in json.dumps(state) and "$states.context.Task.Token" not in json.dumps(state):
            yield Problem(
                "SCHEMA_VALIDATION_FAILED",
                "Ensure that the task token is passed on: $$.Task.Token",
                f"{location}/Parameters",
            )
    timeout, heartbeat = state.get("TimeoutSeconds"), state.get("HeartbeatSeconds")
    if isinstance(timeout, int) and isinstance(heartbeat, int) and heartbeat >= timeout:
        yield Problem(
            "SCHEMA_VALIDATION_FAILED",
            "HeartbeatSeconds must be less than TimeoutSeconds",
            f"{location}/HeartbeatSeconds",
        )
    parameters = state.get("Parameters", state.get("Arguments"))
    if action not in _PARAMETERS or not isinstance(parameters, dict):
        return
    names = {name.removesuffix(".$") for name in parameters}
    for name in sorted(names - _PARAMETERS[action]):
        yield Problem(
            "SCHEMA_VALIDATION_FAILED",
            f'The field "{name}" is not supported by Step Functions',
            f"{location}/Parameters",
        )
    for name in sorted(_REQUIRED_PARAMETERS[action] - names):
        yield Problem("SCHEMA_VALIDATION_FAILED", f'The field "{name}" is required', f"{location}/Parameters")


def _inner_machines(state: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for index, branch in enumerate(state.get("Branches", [])):
        yield f"Branches[{index}]", branch
    for field in ("ItemProcessor", "Iterator"):
        if field in state:
            yield field, state[field]
