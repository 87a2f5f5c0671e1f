"""Nobody may do more than needed, and every exception says why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from terraform.checks.registry import check
from terraform.repository import Repository, some

# Lambda does not send the account when it takes a function's role.
_SERVICES_WITHOUT_ACCOUNT = {"lambda.amazonaws.com"}


def statements(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The statements of an aws_iam_policy_document, those of its dynamic blocks too."""
    dynamic = [block["statement"] for block in document.get("dynamic", []) if "statement" in block]
    return [*document.get("statement", []), *(content for block in dynamic for content in block["content"])]


def _all_statements(repository: Repository) -> list[tuple[str, Mapping[str, Any]]]:
    found = [
        (f"{stack.path}: {name}", statement)
        for stack in repository.stacks()
        for (type_, name), document in stack.typed("data").items()
        if type_ == "aws_iam_policy_document"
        for statement in statements(document)
    ]
    return some(found, "policy statements")


def _variables_of(conditions: Mapping[str, Any]) -> set[str]:
    return {condition["variable"] for condition in conditions.get("condition", [])}


@check
def every_star_has_its_reason_above_it(repository: Repository) -> Iterator[str]:
    attribute = re.compile(r"^[ \t]*(?:actions|resources)\s*=\s*\[([^\]]*)\]", re.MULTILINE)
    seen = 0
    for stack in repository.stacks():
        for name, text in stack.files.items():
            for match in attribute.finditer(text):
                seen += 1
                line = text.count("\n", 0, match.start())
                above = text.splitlines()[line - 1].strip()
                if re.search(r'"(?:\w+:)?\*"', match[1]) and not above.startswith("#"):
                    yield f"{stack.path}/{name}:{line + 1} has a star without a reason above it"
    some(seen, "actions and resources")


@check
def no_action_is_allowed_by_a_star(repository: Repository) -> Iterator[str]:
    for where, statement in _all_statements(repository):
        for action in statement["actions"]:
            if "*" in action and statement.get("effect") != "Deny":
                yield f"{where} allows {action}"


@check
def everybody_is_only_ever_refused(repository: Repository) -> Iterator[str]:
    for where, statement in _all_statements(repository):
        for principal in statement.get("principals", []):
            if "*" in principal["identifiers"] and statement.get("effect") != "Deny":
                yield f"{where} allows something to everybody"


@check
def roles_are_passed_one_by_one_and_to_one_service(repository: Repository) -> Iterator[str]:
    passing = [item for item in _all_statements(repository) if "iam:PassRole" in item[1]["actions"]]
    for where, statement in some(passing, "statements with iam:PassRole"):
        if "iam:PassedToService" not in _variables_of(statement):
            yield f"{where} passes a role without iam:PassedToService"
        if "*" in str(statement["resources"]):
            yield f"{where} passes roles by a star"
        if statement["actions"] != ["iam:PassRole"]:
            yield f"{where} mixes iam:PassRole with other actions, which its condition would refuse"


@check
def services_take_roles_only_for_this_account(repository: Repository) -> Iterator[str]:
    trusting = [item for item in _all_statements(repository) if "sts:AssumeRole" in item[1]["actions"]]
    for where, statement in some(trusting, "trust statements"):
        services = {name for item in statement["principals"] for name in item["identifiers"]}
        if services - _SERVICES_WITHOUT_ACCOUNT and "aws:SourceAccount" not in _variables_of(statement):
            yield f"{where} lets {', '.join(sorted(services))} take the role for any account"


@check
def roles_have_inline_policies_and_a_boundary(repository: Repository) -> Iterator[str]:
    roles = 0
    for stack in repository.stacks():
        for (type_, name), body in stack.typed("resource").items():
            if type_ == "aws_iam_role":
                roles += 1
                if body.get("permissions_boundary") != "${var.permissions_boundary_arn}":
                    yield f"{stack.path}: role {name} takes no permissions boundary"
            elif type_.startswith("aws_iam_") and type_ != "aws_iam_role_policy":
                yield f"{stack.path}: {type_}.{name}: give roles their rights by aws_iam_role_policy"
    some(roles, "roles")


@check
def options_of_the_stack_reach_every_module(repository: Repository) -> Iterator[str]:
    passed_on = {"kms_key_arn", "log_retention_in_days", "permissions_boundary_arn"}
    for name, body in some(repository.root.named("module"), "modules of the root").items():
        inputs = repository.module(body["source"].rpartition("/")[2]).named("variable")
        for key in sorted(passed_on & inputs.keys()):
            if body.get(key) != f"${{var.{key}}}":
                yield f"the root does not pass {key} on to module {name}"


@check
def every_function_has_a_policy_of_its_own(repository: Repository) -> Iterator[str]:
    for name, function in repository.functions().items():
        if function["policy_json"] != f"${{data.aws_iam_policy_document.{name}.json}}":
            yield f"function {name} has the policy {function['policy_json']}, not the document {name}"


@check
def what_invokes_a_function_is_named(repository: Repository) -> Iterator[str]:
    permissions = [
        (f"{stack.path}: {name}", body)
        for stack in repository.modules()
        for (type_, name), body in stack.typed("resource").items()
        if type_ == "aws_lambda_permission"
    ]
    for where, body in some(permissions, "permissions to invoke a function"):
        if "source_arn" not in body:
            yield f"{where} names no source_arn"
