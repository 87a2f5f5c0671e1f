"""Terraform deploys the functions in lambdas/, with the environment that their code declares."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from terraform.checks.registry import check
from terraform.repository import Repository, some


@check
def every_function_folder_is_deployed_and_no_other(repository: Repository) -> Iterator[str]:
    folders, declared = set(repository.handlers()), set(repository.functions())
    for name in sorted(folders - declared):
        yield f"lambdas/{name} is not among the root's functions"
    for name in sorted(declared - folders):
        yield f"the root has the function {name}, but there is no lambdas/{name}/handler.py"


@check
def every_handler_exists(repository: Repository) -> Iterator[str]:
    handler = str(repository.module("lambda_function").resource("aws_lambda_function").get("handler"))
    for folder, text in repository.handlers().items():
        takes = {
            f"handler.{node.name}": len(node.args.args)
            for node in ast.parse(text).body
            if isinstance(node, ast.FunctionDef)
        }
        if takes.get(handler) != 2:
            yield f"lambdas/{folder} has no {handler}(event, context)"


def _declared_environment(handler: str) -> set[str]:
    """The fields of the handler's class Environment, which truthloop.environment.load reads."""
    return {
        field.target.id
        for node in ast.parse(handler).body
        if isinstance(node, ast.ClassDef) and node.name == "Environment"
        for field in node.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }


@check
def every_function_gets_exactly_the_environment_that_it_declares(repository: Repository) -> Iterator[str]:
    handlers, functions = repository.handlers(), repository.functions()
    for folder in sorted(handlers.keys() & functions.keys()):
        declared = some(_declared_environment(handlers[folder]), f"class Environment in lambdas/{folder}")
        given = set(functions[folder]["environment"])
        for name in sorted(declared - given):
            yield f"lambdas/{folder} declares {name}, which Terraform does not set"
        for name in sorted(given - declared):
            yield f"Terraform sets {name}, which lambdas/{folder} does not declare"
        if re.search(r"os\.environ|getenv", handlers[folder]):
            yield f"lambdas/{folder} reads its environment past its declaration"


@check
def packages_are_built_for_the_python_that_runs_them(repository: Repository) -> Iterator[str]:
    built = re.search(r'^LAMBDA_PYTHON = "(.+)"$', repository.text("scripts/build_lambdas.py"), re.MULTILINE)
    wanted = f"python{built[1]}" if built else "no version"
    runtime = repository.module("lambda_function").resource("aws_lambda_function").get("runtime")
    runtimes = (
        repository.module("lambda_layer").resource("aws_lambda_layer_version").get("compatible_runtimes")
    )
    if runtime != wanted:
        yield f"functions run on {runtime}, scripts/build_lambdas.py builds for {wanted}"
    if runtimes != [wanted]:
        yield f"the layer is for {runtimes}, scripts/build_lambdas.py builds for {wanted}"


@check
def a_package_that_changes_is_deployed(repository: Repository) -> Iterator[str]:
    packaged = [
        (f"{stack.path}: {type_}.{name}", body)
        for stack in repository.modules()
        for (type_, name), body in stack.typed("resource").items()
        if "filename" in body
    ]
    for where, body in some(packaged, "resources with a package"):
        path = body["filename"].removeprefix("${").removesuffix("}")
        if body.get("source_code_hash") != f"${{filebase64sha256({path})}}":
            yield f"{where} must have source_code_hash = filebase64sha256({path})"


@check
def what_fails_after_an_event_is_kept(repository: Repository) -> Iterator[str]:
    invoked = {
        name
        for body in repository.root.named("module").values()
        if body["source"] == "./modules/event_rule"
        for name in re.findall(r'module\.function\["(\w+)"\]', str(body["function_arn"]))
    }
    some(invoked, "functions that event rules invoke")
    asynchronous = {name for name, function in repository.functions().items() if function["asynchronous"]}
    for name in sorted(invoked - asynchronous):
        yield f"an event rule invokes {name}, which is not asynchronous and so has no failure queue"
    for name in sorted(asynchronous - invoked):
        yield f"{name} is asynchronous, but no event rule invokes it"


@check
def every_task_type_has_a_template_that_is_uploaded(repository: Repository) -> Iterator[str]:
    repository.matching("ui_templates/*/template.liquid.html")
    if '"*/template.liquid.html"' not in str(repository.root.locals().get("template_paths")):
        yield "the root does not upload ui_templates/*/template.liquid.html"
