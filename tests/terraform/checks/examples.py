"""Every module, and the whole stack, has an example that calls it as a user would."""

from __future__ import annotations

from collections.abc import Iterator

from terraform.checks.registry import check
from terraform.repository import Repository

_FILES = ("main.tf", "versions.tf")


@check
def every_module_and_the_stack_have_an_example(repository: Repository) -> Iterator[str]:
    examples = {example.name: example for example in repository.examples() if "main.tf" in example.files}
    wanted = {stack.name: stack for stack in repository.modules()} | {"complete": repository.root}
    for name in sorted(wanted.keys() - examples.keys()):
        yield f"terraform/examples/{name} is missing"
    for name in sorted(examples.keys() - wanted.keys()):
        yield f"terraform/examples/{name} is an example of nothing"
    for name in sorted(wanted.keys() & examples.keys()):
        example = examples[name]
        calls = example.named("module").values()
        if wanted[name].path not in {repository.source(example, call) for call in calls}:
            yield f"{example.path} does not call {wanted[name].path}"


@check
def every_example_has_its_two_files(repository: Repository) -> Iterator[str]:
    versions = repository.root.files.get("versions.tf")
    for example in repository.examples():
        for name in _FILES:
            if name not in example.files:
                yield f"{example.path} lacks {name}"
        if example.files.get("versions.tf") != versions:
            yield f"{example.path}/versions.tf differs from terraform/versions.tf"
        # The module's README holds the same code, and says what a user must know.
        if f"{example.path}/README.md" in repository.files:
            yield f"{example.path} has a README.md of its own"
        if example.named("variable") or example.named("provider"):
            yield f"{example.path} must run as it stands, without variables and with the caller's provider"
