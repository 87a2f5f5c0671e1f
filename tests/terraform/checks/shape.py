"""Every folder has its files, every input its description, and nothing but the AWS provider is used."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from terraform.checks.registry import check
from terraform.expressions import bare_code, code_of, input_table, output_table, texts
from terraform.repository import Repository, Stack, parse_hcl, some

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

_NAME = re.compile(r"[a-z][a-z0-9_]*")
# A variable of such a name is a choice among words that AWS or the code gives.
_CHOICE = re.compile(r"(^|_)(level|mode|operator|strategy|type)$")


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


def _all(repository: Repository) -> list[Stack]:
    return [*repository.stacks(), *repository.examples()]


@check
def variables_and_outputs_stand_in_their_files_by_the_alphabet(repository: Repository) -> Iterator[str]:
    for stack in repository.stacks():
        for kind in ("variable", "output"):
            for name, text in stack.files.items():
                declared = [label for block in parse_hcl(text).get(kind, []) for label in block]
                if declared and name != f"{kind}s.tf":
                    yield f"{stack.path}/{name} declares {kind} {declared[0]}, which belongs into {kind}s.tf"
                for first, second in itertools.pairwise(declared):
                    if first > second:
                        yield f"{stack.path}/{name} has {kind} {second} after {first}"


@check
def names_are_plain_and_do_not_repeat_their_type(repository: Repository) -> Iterator[str]:
    for stack in _all(repository):
        typed = [*stack.typed("resource"), *stack.typed("data")]
        named = [name for kind in ("variable", "output", "module") for name in stack.named(kind)]
        for name in [*named, *stack.locals(), *(name for _, name in typed)]:
            if not _NAME.fullmatch(name):
                yield f"{stack.path}: the name {name} has more than small letters, digits and underscores"
        for type_, name in typed:
            if type_.rpartition("_")[2] in name.split("_"):
                yield f"{stack.path}: {type_}.{name} repeats its type in its name"


@check
def comments_begin_with_a_hash(repository: Repository) -> Iterator[str]:
    for stack in _all(repository):
        for name, text in stack.files.items():
            if match := re.search(r"//|/\*", bare_code(text)):
                yield f"{stack.path}/{name} has a comment with {match[0]}"


@check
def nothing_is_written_in_the_way_of_old_versions(repository: Repository) -> Iterator[str]:
    for stack in _all(repository):
        for name, text in stack.files.items():
            for match in re.finditer(r'"\$\{[^{}"]*\}"', re.sub(r"#.*", "", text)):
                yield f"{stack.path}/{name} has {match[0]}, where the expression alone does"
            for expression in texts(parse_hcl(text)):
                for code in code_of(expression):
                    for match in re.finditer(r"[\w\])]+\.(\d+)\b", code):
                        if not match[0][0].isdigit():
                            yield f"{stack.path}/{name} has {match[0]}, an index without brackets"


@check
def every_choice_lists_what_is_allowed(repository: Repository) -> Iterator[str]:
    choices = [
        (f"{stack.path}: variable {name}", body)
        for stack in repository.modules()
        for name, body in stack.named("variable").items()
        if _CHOICE.search(name) and body.get("type") == "string"
    ]
    for where, body in some(choices, "variables that are a choice"):
        if not re.search(r"contains\(\[", str(body.get("validation"))):
            yield f"{where} has no validation that lists what it may be"
