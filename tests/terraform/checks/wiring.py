"""Everything that is referred to exists, and everything that exists is referred to."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from terraform.checks.registry import check
from terraform.expressions import references
from terraform.repository import Repository, some

_META_ARGUMENTS = {"source", "for_each", "count", "depends_on", "providers"}


@check
def every_reference_resolves_and_nothing_is_declared_in_vain(repository: Repository) -> Iterator[str]:
    for stack in repository.stacks():
        may_be_unused = {
            *(f"module.{name}" for name in stack.named("module")),
            *(f"{type_}.{name}" for type_, name in stack.typed("resource")),
        }
        must_be_used = {
            *(f"var.{name}" for name in stack.named("variable")),
            *(f"local.{name}" for name in stack.locals()),
            *(f"data.{type_}.{name}" for type_, name in stack.typed("data")),
        }
        used = {address for address, _ in some(list(references(stack)), f"references in {stack.path}")}
        for address in sorted(used - may_be_unused - must_be_used):
            yield f"{stack.path} refers to {address}, which nothing declares"
        for address in sorted(must_be_used - used):
            yield f"{stack.path} declares {address}, which nothing uses"


@check
def every_module_call_fits_the_module(repository: Repository) -> Iterator[str]:
    modules = {stack.path: stack for stack in repository.modules()}
    unused = set(modules)
    for stack in repository.roots():
        called = {}
        for name, body in some(stack.named("module"), f"module calls in {stack.path}").items():
            folder = posixpath.normpath(f"{stack.path}/{body['source']}")
            unused.discard(folder)
            if folder not in modules:
                yield f"{stack.path}: module {name} has the source {body['source']}, which is no module"
                continue
            called[name] = modules[folder]
            variables = modules[folder].named("variable")
            for key in sorted(body.keys() - variables.keys() - _META_ARGUMENTS):
                yield f"{stack.path}: module {name} has no input {key}"
            for key in sorted(variables.keys() - body.keys()):
                if "default" not in variables[key]:
                    yield f"{stack.path}: module {name} is not given {key}"
        for address, output in references(stack):
            module = called.get(address.removeprefix("module."))
            if module and output and output not in module.named("output"):
                yield f"{stack.path} refers to {address}.{output}, which is no output of it"
    for path in sorted(unused):
        yield f"{path} is used by no root"
