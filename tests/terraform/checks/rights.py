"""Nobody may do more than needed, and every exception says why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from terraform.checks.registry import check
from terraform.repository import Repository, Stack, some

# These do not send the account when they take a role.
_SERVICES_WITHOUT_ACCOUNT = {"ec2.amazonaws.com", "lambda.amazonaws.com"}
# What may invoke a function, and the resource that it does so for.
_INVOKERS = {
    "events.amazonaws.com": "aws_cloudwatch_event_rule",
    # The service names itself by its region. The group of a subscription may be one that exists.
    "logs.${var.aws_region}.${data.aws_partition.current.dns_suffix}": "log group",
    "s3.amazonaws.com": "aws_s3_bucket",
    "sns.amazonaws.com": "aws_sns_topic",
}
# ECR hands out the layers of images as links to buckets of AWS, signed with AWS's own identity.
_IMAGE_LAYERS = "-starport-layer-bucket/*"
_SKIPS_MAXIMUM = 15


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


def _granting(repository: Repository) -> list[tuple[str, Mapping[str, Any]]]:
    """The statements that allow something; the policy of an endpoint only limits what passes it."""
    limits = {f"{stack.path}: {name}" for stack in repository.modules() for name in _endpoint_policies(stack)}
    allowing = [item for item in _all_statements(repository) if item[1].get("effect") != "Deny"]
    return some([item for item in allowing if item[0] not in limits], "statements that allow something")


def _endpoint_policies(stack: Stack) -> set[str]:
    """The names of the policy documents of a stack's VPC endpoints."""
    bodies = [body for (type_, _), body in stack.typed("resource").items() if type_ == "aws_vpc_endpoint"]
    return set(re.findall(r"aws_iam_policy_document\.(\w+)", str(bodies)))


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
    for where, statement in _granting(repository):
        for action in statement["actions"]:
            if "*" in action:
                yield f"{where} allows {action}"


@check
def no_right_is_given_by_exception(repository: Repository) -> Iterator[str]:
    for where, statement in _all_statements(repository):
        for key in sorted(statement.keys() & {"not_actions", "not_principals", "not_resources"}):
            yield f"{where} has {key}, which means everything but what it names"


@check
def no_role_may_raise_its_own_rights(repository: Repository) -> Iterator[str]:
    for where, statement in _granting(repository):
        for action in statement["actions"]:
            if action.startswith("iam:") and action != "iam:PassRole":
                yield f"{where} allows {action}"


@check
def everybody_is_only_ever_refused(repository: Repository) -> Iterator[str]:
    for where, statement in _granting(repository):
        for principal in statement.get("principals", []):
            if "*" in principal["identifiers"]:
                yield f"{where} allows something to everybody"


@check
def endpoints_admit_the_accounts_own_identities_alone(repository: Repository) -> Iterator[str]:
    limits = [
        (f"{stack.path}: {name}", statement)
        for stack in repository.modules()
        for name in _endpoint_policies(stack)
        for statement in statements(stack.typed("data").get(("aws_iam_policy_document", name), {}))
    ]
    for where, statement in some(limits, "statements of endpoint policies"):
        reads_layers = statement["actions"] == ["s3:GetObject"] and all(
            resource.endswith(_IMAGE_LAYERS) for resource in statement["resources"]
        )
        if not reads_layers and "aws:PrincipalAccount" not in _variables_of(statement):
            yield f"{where} lets identities of other accounts pass"


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
def services_are_let_in_only_for_this_account(repository: Repository) -> Iterator[str]:
    let_in = [
        (where, statement)
        for where, statement in _granting(repository)
        if any(principal["type"] == "Service" for principal in statement.get("principals", []))
        and "sts:AssumeRole" not in statement["actions"]
    ]
    for where, statement in some(let_in, "statements that let a service in"):
        variables = _variables_of(statement)
        # A key's policy may ask what is encrypted instead, whose ARN names the account.
        if not any(name.startswith(("aws:Source", "kms:EncryptionContext:")) for name in variables):
            yield f"{where} lets a service in, for whichever account it works"


@check
def roles_have_inline_policies_and_a_boundary(repository: Repository) -> Iterator[str]:
    roles = 0
    for stack in repository.stacks():
        for (type_, name), body in stack.typed("resource").items():
            if type_ == "aws_iam_role":
                roles += 1
                if body.get("permissions_boundary") != "${var.permissions_boundary_arn}":
                    yield f"{stack.path}: role {name} takes no permissions boundary"
            elif type_.startswith("aws_iam_") and type_ not in (
                "aws_iam_role_policy",
                "aws_iam_instance_profile",
            ):
                yield f"{stack.path}: {type_}.{name}: give roles their rights by aws_iam_role_policy"
    some(roles, "roles")


@check
def options_of_the_stack_reach_every_module(repository: Repository) -> Iterator[str]:
    passed_on = {"kms_key_arn", "log_retention_in_days", "permissions_boundary_arn"}
    for name, body in some(repository.root.named("module"), "modules of the root").items():
        inputs = repository.module(body["source"].rpartition("/")[2]).named("variable")
        for key in sorted(passed_on & inputs.keys()):
            # Of a key, the stack may make one itself.
            if body.get(key) != (f"${{local.{key}}}" if key == "kms_key_arn" else f"${{var.{key}}}"):
                yield f"the root does not pass {key} on to module {name}"


@check
def every_function_has_a_role_and_a_policy_of_its_own(repository: Repository) -> Iterator[str]:
    for name, function in repository.functions().items():
        if function["policy_json"] != f"${{data.aws_iam_policy_document.{name}.json}}":
            yield f"function {name} has the policy {function['policy_json']}, not the document {name}"
    module = repository.module("lambda_function")
    if module.resource("aws_lambda_function").get("role") != "${aws_iam_role.this.arn}":
        yield "the module lambda_function gives its function another role than the one that it makes"


@check
def what_invokes_a_function_is_named(repository: Repository) -> Iterator[str]:
    permissions = [
        (stack, name, body)
        for stack in repository.modules()
        for (type_, name), body in stack.typed("resource").items()
        if type_ == "aws_lambda_permission"
    ]
    for stack, name, body in some(permissions, "permissions to invoke a function"):
        source = _INVOKERS.get(body.get("principal", ""))
        if source is None:
            yield f"{stack.path}: {name} lets {body.get('principal')} invoke a function"
        elif source == "log group":
            if body.get("source_arn") != "${local.log_group_arn}:*" or "source_account" not in body:
                yield f"{stack.path}: {name} does not name the log group and its account"
        elif not re.fullmatch(rf"\$\{{{source}\.\w+\.arn\}}", str(body.get("source_arn"))):
            yield f"{stack.path}: {name} names no {source} as its source_arn"


@check
def every_skipped_finding_says_why(repository: Repository) -> Iterator[str]:
    files = {name: text for name, text in repository.files.items() if name.endswith(".tf")}
    skips = [
        (name, skip)
        for name, text in some(files, "Terraform files").items()
        for skip in re.findall(r"checkov:skip\s*=\s*([^\n]*)", text)
    ]
    for name, skip in skips:
        if not re.fullmatch(r"CKV2?_[A-Z]+_\d+:\s*\S.{14,}", skip):
            yield f"{name} skips {skip} without a reason behind a colon"
    if len(skips) > _SKIPS_MAXIMUM:
        yield f"{len(skips)} findings are skipped; more than {_SKIPS_MAXIMUM} are not looked at one by one"
