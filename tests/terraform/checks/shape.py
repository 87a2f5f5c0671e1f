"""Every folder has its files, every input its description, and nothing but the AWS provider is used."""

from __future__ import annotations

import re
from collections.abc import Iterator

from terraform.checks.registry import check
from terraform.expressions import input_table, output_table
from terraform.repository import Repository, parse_hcl, some

_FILES = ("README.md", "main.tf", "outputs.tf", "variables.tf", "versions.tf")
_GONE_IN_ONE_MAJOR = {
    "aws_batch_compute_environment": {
        "compute_environment_name",
        "compute_environment_name_prefix",
        "name",
        "name_prefix",
    },
    "aws_batch_job_queue": {"compute_environments"},
    "aws_cloudwatch_event_rule": {"is_enabled"},
}


@check
def every_stack_has_its_files(repository: Repository) -> Iterator[str]:
    for stack in repository.stacks():
        for name in _FILES:
            if f"{stack.path}/{name}" not in repository.files:
                yield f"{stack.path} lacks {name}"


@check
def every_variable_is_described_and_typed(repository: Repository) -> Iterator[str]:
    for stack in repository.stacks():
        for name, body in some(stack.named("variable"), f"variables in {stack.path}").items():
            if not str(body.get("description", "")).endswith("."):
                yield f"{stack.path}: variable {name} has no description that is a sentence"
            if not body.get("type") or re.search(r"\bany\b", str(body["type"])):
                yield f"{stack.path}: variable {name} has no exact type"


@check
def a_variable_is_null_only_where_null_means_something(repository: Repository) -> Iterator[str]:
    for stack in repository.stacks():
        for name, body in some(stack.named("variable"), f"variables in {stack.path}").items():
            null_is_default = "default" in body and body["default"] is None
            if (body.get("nullable") is False) == null_is_default:
                yield f"{stack.path}: variable {name} needs either nullable = false or the default null"


@check
def every_validation_says_what_is_allowed(repository: Repository) -> Iterator[str]:
    validations = [
        (f"{stack.path}: variable {name}", validation)
        for stack in repository.stacks()
        for name, body in stack.named("variable").items()
        for validation in body.get("validation", [])
    ]
    for where, validation in some(validations, "validations"):
        if not re.fullmatch(r"[A-Z].*\.", validation.get("error_message", ""), flags=re.DOTALL):
            yield f"{where} has a validation whose message is no sentence"


@check
def every_output_is_described(repository: Repository) -> Iterator[str]:
    for stack in repository.stacks():
        for name, body in some(stack.named("output"), f"outputs in {stack.path}").items():
            if not str(body.get("description", "")).endswith("."):
                yield f"{stack.path}: output {name} has no description that is a sentence"


@check
def every_readme_lists_the_inputs_and_outputs(repository: Repository) -> Iterator[str]:
    for stack in repository.stacks():
        readme = repository.text(f"{stack.path}/README.md")
        for title, table in (("Inputs", input_table(stack)), ("Outputs", output_table(stack))):
            if f"## {title}\n\n{table}\n" not in readme:
                yield f"{stack.path}/README.md: the table under '## {title}' must be\n{table}"


@check
def every_module_readme_has_an_example_with_a_pinned_source(repository: Repository) -> Iterator[str]:
    for stack in repository.modules():
        source = rf'source = "git::https://[^"]+//terraform/modules/{stack.name}\?ref=v[0-9.]+"'
        readme = repository.text(f"{stack.path}/README.md")
        if not re.search(rf"```hcl\n(?:(?!```).)*{source}", readme, flags=re.DOTALL):
            yield f"{stack.path}/README.md has no example with a pinned git source of the module"


@check
def all_stacks_want_the_same_versions(repository: Repository) -> Iterator[str]:
    wanted = repository.root.files.get("versions.tf", "")
    for stack in repository.stacks():
        if stack.files.get("versions.tf") != wanted:
            yield f"{stack.path}/versions.tf differs from terraform/versions.tf"
    for block in parse_hcl(wanted).get("terraform", []):
        for providers in block["required_providers"]:
            if set(providers) != {"aws"}:
                yield f"terraform/versions.tf requires {', '.join(providers)}, not the aws provider alone"


@check
def modules_leave_provider_and_backend_to_the_root(repository: Repository) -> Iterator[str]:
    for stack in repository.modules():
        if stack.named("provider"):
            yield f"{stack.path} configures a provider"
        if any("backend" in block for block in stack.blocks("terraform")):
            yield f"{stack.path} configures a backend"


@check
def the_root_only_composes(repository: Repository) -> Iterator[str]:
    some(repository.root.named("module"), "modules of the root")
    for type_, name in repository.root.typed("resource"):
        yield f"the root declares {type_}.{name} itself"


@check
def terraform_builds_and_runs_nothing(repository: Repository) -> Iterator[str]:
    for stack in repository.stacks():
        for (type_, name), body in {**stack.typed("resource"), **stack.typed("data")}.items():
            if not type_.startswith("aws_"):
                yield f"{stack.path}: {type_}.{name} is nothing of AWS"
            if "provisioner" in body:
                yield f"{stack.path}: {type_}.{name} has a provisioner"


@check
def only_what_both_majors_of_the_provider_accept_is_used(repository: Repository) -> Iterator[str]:
    for stack in repository.stacks():
        for (type_, name), body in stack.typed("resource").items():
            for key in sorted(body.keys() & {"region", *_GONE_IN_ONE_MAJOR.get(type_, ())}):
                yield f"{stack.path}: {type_}.{name} sets {key}, which one of the majors refuses"
        if any(type_ == "aws_region" for type_, _ in stack.typed("data")):
            yield f"{stack.path} reads data.aws_region, whose attributes differ: pass aws_region"
