"""The state machine gets what it names, and may call what it calls."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from terraform.checks.registry import check
from terraform.checks.rights import statements
from terraform.repository import Repository, parse_expression, some

_PATH = "state_machines/active_learning_loop.asl.json"
_LAMBDA = "arn:aws:states:::lambda:invoke"
_BATCH = "arn:aws:states:::batch:submitJob"
_PLACEHOLDER = re.compile(r'"\$\{(\w+)\}"')


def _variables(repository: Repository) -> Mapping[str, Any]:
    """What the root gives the template, by name."""
    definition = str(repository.root.named("module").get("active_learning_loop", {}).get("definition"))
    call = re.fullmatch(
        rf'\$\{{templatefile\("\$\{{path\.module\}}/{_PATH}", (?P<variables>\{{.*\}})\)\}}',
        definition,
        re.DOTALL,
    )
    return some(parse_expression(call["variables"]) if call else {}, f"variables for {_PATH}")


def _tasks(repository: Repository, integration: str) -> Mapping[str, Any]:
    """The states that use a service integration, by name."""
    states = json.loads(repository.text(f"terraform/{_PATH}")).get("States", {})
    found = {
        name: state for name, state in states.items() if state.get("Resource", "").startswith(integration)
    }
    return some(found, f"states with {integration}")


def _given(repository: Repository, placeholder: str) -> str:
    return str(_variables(repository).get(placeholder.strip("${}"), f"nothing for {placeholder}"))


def _invoked(repository: Repository) -> dict[str, str]:
    """The folder of the function that each state invokes."""
    return {
        name: _given(repository, state["Parameters"]["FunctionName"]).removeprefix("${local.function_arns.")[
            :-1
        ]
        for name, state in _tasks(repository, _LAMBDA).items()
    }


def _granted(repository: Repository, action: str) -> set[str]:
    """The resources on which the machine's role may do something."""
    document = repository.root.typed("data").get(("aws_iam_policy_document", "active_learning_loop"), {})
    return {
        resource
        for statement in statements(document)
        if action in statement["actions"]
        for resource in statement["resources"]
    }


@check
def the_loop_gets_exactly_what_it_names(repository: Repository) -> Iterator[str]:
    text = repository.text(f"terraform/{_PATH}")
    named, given = set(_PLACEHOLDER.findall(text)), set(_variables(repository))
    for name in sorted(named - given):
        yield f"{_PATH} names {name}, which the root does not give"
    for name in sorted(given - named):
        yield f"the root gives {name}, which {_PATH} does not name"
    for name in re.findall(r"\$\{[^}]*\}", _PLACEHOLDER.sub("", text)):
        yield f"{_PATH} has {name} where it is not the whole of a text"


@check
def the_loop_may_invoke_its_functions_and_no_other(repository: Repository) -> Iterator[str]:
    invoked = {f"${{local.function_arns.{folder}}}" for folder in _invoked(repository).values()}
    granted = _granted(repository, "lambda:InvokeFunction")
    for arn in sorted(invoked - granted):
        yield f"the loop invokes {arn}, but may not"
    for arn in sorted(granted - invoked):
        yield f"the loop may invoke {arn}, but does not"


@check
def the_loop_may_submit_its_jobs(repository: Repository) -> Iterator[str]:
    granted = _granted(repository, "batch:SubmitJob")
    for name, state in _tasks(repository, _BATCH).items():
        for key in ("JobQueue", "JobDefinition"):
            arn = _given(repository, state["Parameters"][key])
            if arn not in granted:
                yield f"state {name} submits with the {key} {arn}, but may not"


@check
def every_job_gets_exactly_the_parameters_of_its_command(repository: Repository) -> Iterator[str]:
    command = repository.root.named("module").get("batch", {}).get("command", [])
    wanted = {part.removeprefix("Ref::") for part in command if part.startswith("Ref::")}
    some(wanted, "parameters in the job definition's command")
    for name, state in _tasks(repository, _BATCH).items():
        given = {key.removesuffix(".$") for key in state["Parameters"].get("Parameters", {})}
        for key in sorted(wanted - given):
            yield f"state {name} does not pass {key}"
        for key in sorted(given - wanted):
            yield f"state {name} passes {key}, which the command does not take"


@check
def no_function_may_run_longer_than_its_state_waits(repository: Repository) -> Iterator[str]:
    tasks = _tasks(repository, _LAMBDA)
    for name, folder in _invoked(repository).items():
        may_run = repository.functions().get(folder, {}).get("timeout_seconds", 0)
        waits = tasks[name].get("TimeoutSeconds", 0)
        if may_run > waits:
            yield f"state {name} waits {waits} s for {folder}, which may run {may_run} s"
