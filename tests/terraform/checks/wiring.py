"""Everything that is referred to exists, and everything that exists is referred to."""

from __future__ import annotations

import re
from collections.abc import Iterator

from terraform.checks.registry import check
from terraform.expressions import references, written
from terraform.repository import Repository, some
from terraform.types import parse, without_optional

_META_ARGUMENTS = {"source", "for_each", "count", "depends_on", "providers"}


@check
def every_reference_resolves_and_nothing_is_declared_in_vain(repository: Repository) -> Iterator[str]:
    some(list(references(repository.root)), "references in the root")
    for stack in [*repository.stacks(), *repository.examples()]:
        may_be_unused = {
            *(f"module.{name}" for name in stack.named("module")),
            *(f"{type_}.{name}" for type_, name in stack.typed("resource")),
        }
        must_be_used = {
            *(f"var.{name}" for name in stack.named("variable")),
            *(f"local.{name}" for name in stack.locals()),
            *(f"data.{type_}.{name}" for type_, name in stack.typed("data")),
        }
        used = {address for address, _ in references(stack)}
        for address in sorted(used - may_be_unused - must_be_used):
            yield f"{stack.path} refers to {address}, which nothing declares"
        for address in sorted(must_be_used - used):
            yield f"{stack.path} declares {address}, which nothing uses"


@check
def every_module_call_fits_the_module(repository: Repository) -> Iterator[str]:
    modules = {stack.path: stack for stack in [repository.root, *repository.modules()]}
    unused = set(modules) - {repository.root.path}
    for stack in [*repository.roots(), *repository.examples()]:
        called = {}
        for name, body in some(stack.named("module"), f"module calls in {stack.path}").items():
            folder = repository.source(stack, body)
            if folder not in modules:
                yield f"{stack.path}: module {name} has the source {body['source']}, which is no module"
                continue
            if stack in repository.roots():
                unused.discard(folder)
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


@check
def modules_come_from_this_repository(repository: Repository) -> Iterator[str]:
    calls = [
        (f"{stack.path}: module {name}", body)
        for stack in [*repository.stacks(), *repository.examples()]
        for name, body in stack.named("module").items()
    ]
    for where, body in some(calls, "module calls"):
        if not str(body.get("source")).startswith(("./", "../")) or "version" in body:
            yield f"{where} has the source {body.get('source')}, which is not a folder of this repository"


@check
def inputs_of_the_stack_have_the_types_of_its_modules(repository: Repository) -> Iterator[str]:
    root = repository.root
    types = {name: parse(written(body["type"]).strip('"')) for name, body in root.named("variable").items()}
    compared = 0
    for call, body in root.named("module").items():
        variables = repository.stack(repository.source(root, body)).named("variable")
        for key in sorted(body.keys() & variables.keys()):
            passed = re.fullmatch(r"\$\{var\.(\w+)(?:\.(\w+))?\}", str(body[key]))
            if passed is None or passed[1] not in types:
                continue
            given = without_optional(types[passed[1]])
            if passed[2]:
                given = given[1].get(passed[2]) if given[0] == "object" else None
            compared += 1
            if given != without_optional(parse(written(variables[key]["type"]).strip('"'))):
                yield f"the root passes {passed[0][2:-1]} to module {call}, whose {key} has another type"
    some(compared, "inputs that the root passes on")


@check
def every_field_of_the_stacks_inputs_is_used(repository: Repository) -> Iterator[str]:
    root = repository.root
    code = "".join(text for name, text in root.files.items() if name != "variables.tf")
    variables = some(root.named("variable"), "variables of the root")
    for name, body in variables.items():
        type_ = parse(written(body["type"]).strip('"'))
        if type_[0] != "object" or re.search(rf"\bvar\.{name}\b(?!\.| [!=]=)", code):
            continue  # It is no object, or is passed on as a whole.
        for field in type_[1]:
            if not re.search(rf"\bvar\.{name}\.{field}\b", code):
                yield f"the root takes {name}.{field} and does nothing with it"
