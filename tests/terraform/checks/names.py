"""Names carry the prefix, fit their services, and mean the same wherever they are put together."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from terraform.checks.registry import check
from terraform.repository import Repository, Stack, some

# The longest name of each thing, by the quotas in the services' own guides.
_LONGEST = {
    "aws_batch_job_definition": 128,
    "aws_batch_job_queue": 128,
    "aws_budgets_budget": 100,
    "aws_cloudwatch_composite_alarm": 255,
    "aws_cloudwatch_dashboard": 255,
    "aws_cloudwatch_event_rule": 64,
    "aws_cloudwatch_log_group": 512,
    "aws_cloudwatch_log_metric_filter": 512,
    "aws_cloudwatch_log_subscription_filter": 512,
    "aws_cloudwatch_metric_alarm": 255,
    "aws_cloudwatch_query_definition": 255,
    "aws_dynamodb_table": 255,
    "aws_ecr_repository": 256,
    "aws_iam_instance_profile": 128,
    "aws_iam_role": 64,
    "aws_kms_alias": 256,
    "aws_lambda_function": 64,
    "aws_lambda_layer_version": 140,
    "aws_launch_template": 128,
    "aws_s3_bucket": 63,
    "aws_sagemaker_workteam": 63,
    "aws_security_group": 255,
    "aws_sfn_state_machine": 80,
    "aws_sns_topic": 256,
    "aws_sqs_queue": 80,
}
_NAMING_ARGUMENTS = (
    "alarm_name",
    "bucket",
    "dashboard_name",
    "function_name",
    "layer_name",
    "name",
    "name_prefix",
    "workteam_name",
)
_NAMING_INPUTS = {
    "alias_name",
    "auditors_workteam_name",
    "bucket_name",
    "function_name",
    "layer_name",
    "name",
    "name_prefix",
    "role_name",
    "workteam_name",
}
# What Terraform puts behind a name_prefix, so that a new thing may stand beside the old one.
_GENERATED = "x" * 26
_OWN_ACCOUNT = "${data.aws_caller_identity.current.account_id}"


def _calls(repository: Repository) -> list[tuple[Stack, str, Stack, dict[str, str]]]:
    """(root, call, module, naming inputs) of every module call, with `local.names` filled in."""
    names = some(repository.root.locals().get("names"), "names in the root's locals")
    longest = max(len(folder) for folder in repository.functions())
    found = []
    for root in repository.roots():
        for call, body in root.named("module").items():
            given = {}
            for key in sorted(_NAMING_INPUTS & body.keys()):
                name = str(body[key])
                for local, value in names.items():
                    name = name.replace(f"${{local.names.{local}}}", str(value))
                if "module." in name or "var.existing" in name:
                    continue  # It names what another module makes, or what exists.
                given[key] = re.sub(r"\$\{replace\(each\.key[^}]*\}", "f" * longest, name)
            if given:
                found.append((root, call, repository.stack(repository.source(root, body)), given))
    return some(found, "names that the roots give")


def _named_things(stack: Stack) -> Iterator[tuple[str, str, str, str]]:
    """(type, label, argument, value) of everything that a stack names, with its locals filled in."""
    texts = {f"${{local.{name}}}": value for name, value in stack.locals().items() if isinstance(value, str)}
    for (type_, label), body in stack.typed("resource").items():
        for key in _NAMING_ARGUMENTS:
            # A policy is named inside its role, a companion of a bucket names the bucket, and a log group to
            # subscribe to has the name that AWS gives it.
            named_elsewhere = str(body.get(key)).startswith(("${aws_", "${var.log_group_name}"))
            if key in body and type_ != "aws_iam_role_policy" and not named_elsewhere:
                yield type_, label, key, texts.get(str(body[key]), str(body[key]))


def _greatest_prefix(root: Stack) -> int | None:
    prefix = root.named("variable").get("name_prefix", {})
    longest = re.search(r"length\(var\.name_prefix\) <= (\d+)", str(prefix.get("validation")))
    return int(longest[1]) if longest else None


@check
def every_name_begins_with_the_prefix(repository: Repository) -> Iterator[str]:
    for root, call, _, given in _calls(repository):
        for name in given.values():
            if not name.startswith("${var.name_prefix}"):
                yield f"{root.path}: module {call} is given the name {name!r}, which lacks the prefix"


@check
def modules_take_their_names_from_their_inputs(repository: Repository) -> Iterator[str]:
    named = [
        (f"{stack.path}: {type_}.{label}", key, name)
        for stack in repository.modules()
        for type_, label, key, name in _named_things(stack)
    ]
    for where, key, name in some(named, "names of resources"):
        if "${var." not in name:
            yield f"{where} has the fixed {key} {name!r}"


@check
def no_name_is_longer_than_its_service_allows(repository: Repository) -> Iterator[str]:
    for root, call, module, given in _calls(repository):
        greatest = _greatest_prefix(root)
        if greatest is None:
            yield f"{root.path}: name_prefix has no greatest length"
            continue
        for type_, label, key, name in _named_things(module):
            if type_ not in _LONGEST:
                if key in ("name", "name_prefix"):
                    yield f"{module.path}: how long may the name of {type_}.{label} be? Add it to _LONGEST"
                continue
            filled = _filled(name, module, given, greatest) + (_GENERATED if key == "name_prefix" else "")
            if len(filled) > _LONGEST[type_] or "${" in filled:
                what = f"the name {filled!r} of {type_}.{label}"
                yield f"{root.path}: module {call}: {what} has {len(filled)} of {_LONGEST[type_]} characters"


def _filled(name: str, module: Stack, given: Mapping[str, str], greatest: int) -> str:
    """A name at its longest: the inputs of the call, the longest prefix and the longest key of a for_each."""
    keys = [key for value in module.locals().values() if isinstance(value, Mapping) for key in value]
    filled = name
    for key, value in given.items():
        filled = filled.replace(f"${{var.{key}}}", value)
    filled = filled.replace("${each.key}", max(keys, key=len, default=""))
    filled = filled.replace("${var.name_prefix}", "p" * greatest)
    return filled.replace("${local.account_id}", "1" * 12).replace(_OWN_ACCOUNT, "1" * 12)


@check
def an_arn_is_made_of_the_name_that_its_module_gives(repository: Repository) -> Iterator[str]:
    root = repository.root
    arns = some(root.locals().get("arns"), "ARNs in the root's locals")
    batch = repository.module("batch")
    for arn, type_ in (("job_definition", "aws_batch_job_definition"), ("job_queue", "aws_batch_job_queue")):
        name = batch.resource(type_).get("name", "no name")
        if f"/{name}" not in str(arns.get(arn)):
            yield f"local.arns.{arn} does not end in {name}, which module batch calls it"
    made = str(root.named("module").get("function", {}).get("function_name")).replace("each.key", "folder")
    if not str(root.locals().get("function_arns")).replace('"\\"', '"').count(f":function:{made}"):
        yield f"local.function_arns does not end in {made}, which module function calls them"
    for name, arn in arns.items():
        for used in re.findall(r"local\.names\.(\w+)", str(arn)):
            if used not in root.locals().get("names", {}):
                yield f"local.arns.{name} is made of local.names.{used}, which does not exist"
            elif used != {"executions": "state_machine", "audit_executions": "audit_state_machine"}.get(
                name, name
            ):
                yield f"local.arns.{name} is made of the name of {used}"


@check
def the_command_line_knows_what_names_are_allowed(repository: Repository) -> Iterator[str]:
    text = repository.text("scripts/truthloop_cli/environments.py")
    constants = {
        target.id: node.value.value
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    variables = repository.root.named("variable")
    for variable, constant in (("name_prefix", "NAME_PREFIX_PATTERN"), ("image_tag", "IMAGE_TAG_PATTERN")):
        wanted = f'regex("{constants.get(constant)}", var.{variable})'
        if wanted not in str(variables.get(variable, {}).get("validation")).replace("\\\\", "\\"):
            yield f"{constant} is not the pattern of the root's {variable}"
    if constants.get("NAME_PREFIX_LONGEST") != _greatest_prefix(repository.root):
        yield "NAME_PREFIX_LONGEST is not the greatest length of the root's name_prefix"
