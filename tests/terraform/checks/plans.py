"""Terraform's own tests ask the real provider, replace what exists, and see every validation refuse."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from terraform.checks.registry import check
from terraform.expressions import expression
from terraform.repository import Repository, Stack, parse_hcl, some

_PATTERN = "terraform/tests/*.tftest.hcl"
_TARGET = re.compile(
    r"(?:module\.(?P<call>\w+)(?:\[[^\]]*\])?\.)?(?:data\.)?(?P<type>aws_\w+)\.(?P<name>\w+)"
)


def _files(repository: Repository) -> dict[str, Mapping[str, Any]]:
    return {path: parse_hcl(text) for path, text in repository.matching(_PATTERN).items()}


def _runs(file: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {name: body for block in file.get("run", []) for name, body in block.items()}


def _tested(repository: Repository, run: Mapping[str, Any]) -> Stack:
    """What a run plans: the module that it names, or the root."""
    source = run.get("module", [{}])[0].get("source")
    if source is None:
        return repository.root
    return repository.stack(repository.source(repository.root, {"source": source}))


@check
def terraform_tests_ask_the_real_provider(repository: Repository) -> Iterator[str]:
    for path, file in _files(repository).items():
        if "mock_provider" in file or "provider" not in file:
            yield f"{path} does not use the real provider, so it proves nothing about policies"
        runs = some(_runs(file), f"runs in {path}")
        if not any(body.keys() & {"assert", "expect_failures"} for body in runs.values()):
            yield f"{path} claims nothing"
        for name, body in runs.items():
            if body.get("command", "apply") != "plan" and body.keys() & {"assert", "expect_failures"}:
                yield f"{path}: the run {name} applies, for which there is no AWS"


@check
def terraform_tests_set_and_replace_what_exists(repository: Repository) -> Iterator[str]:
    for path, file in _files(repository).items():
        runs = _runs(file)
        stacks = [_tested(repository, body) for body in runs.values()]
        for name, body in runs.items():
            inputs = _tested(repository, body).named("variable")
            given = {key for block in body.get("variables", []) for key in block}
            for key in sorted(given - inputs.keys()):
                yield f"{path}: the run {name} sets {key}, which is no input"
        for block in [*file.get("override_resource", []), *file.get("override_data", [])]:
            target = expression(block.get("target"))
            if not any(_exists(repository, stack, target) for stack in stacks):
                yield f"{path} replaces {target}, which does not exist"


def _exists(repository: Repository, stack: Stack, target: str) -> bool:
    match = _TARGET.fullmatch(target)
    if match is None:
        return False
    if match["call"]:
        call = stack.named("module").get(match["call"])
        if call is None:
            return False
        stack = repository.stack(repository.source(stack, call))
    return (match["type"], match["name"]) in {**stack.typed("resource"), **stack.typed("data")}


@check
def every_validation_of_the_stack_is_seen_to_refuse_something(repository: Repository) -> Iterator[str]:
    refused = {
        expression(variable).removeprefix("var.")
        for file in _files(repository).values()
        for body in _runs(file).values()
        if "module" not in body
        for variable in body.get("expect_failures", [])
    }
    validated = {name for name, body in repository.root.named("variable").items() if "validation" in body}
    for name in sorted(some(validated, "validations of the root") - refused):
        yield f"no run of {_PATTERN} expects {name} to be refused"
    for name in sorted(refused - validated):
        yield f"a run of {_PATTERN} expects {name} to be refused, which has no validation"
