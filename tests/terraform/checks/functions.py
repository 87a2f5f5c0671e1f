"""Terraform deploys the functions in lambdas/, with the environment that their code declares."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator

from terraform.checks.registry import check
from terraform.repository import Repository, some

# A stack may have no auditors.
_MAY_BE_EMPTY = {"AUDITORS_WORKTEAM_ARN"}


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


def _declared_environment(handler: str) -> dict[str, bool]:
    """Whether each field of the class Environment, which truthloop.environment.load reads, has a default."""
    return {
        field.target.id: field.value is not None
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
        for name in sorted(declared.keys() - given):
            yield f"lambdas/{folder} declares {name}, which Terraform does not set"
        for name in sorted(given - declared.keys()):
            yield f"Terraform sets {name}, which lambdas/{folder} does not declare"
        for name in sorted(_MAY_BE_EMPTY & declared.keys()):
            if not declared[name]:
                yield f"lambdas/{folder} must have {name}, which a stack may leave empty"
        if re.search(r"os\.environ|getenv", handlers[folder]):
            yield f"lambdas/{folder} reads its environment past its declaration"


@check
def packages_lie_where_the_build_puts_them(repository: Repository) -> Iterator[str]:
    build = repository.text("scripts/build_lambdas.py")
    if 'lambdas.glob("*/handler.py")' not in build:
        yield "scripts/build_lambdas.py does not build every lambdas/*/handler.py"
    root = "".join(repository.root.files.values())
    given = repository.root.named("module").get("function", {}).get("package_path", "")
    for built, folder in (
        ('dist / "lambdas" / f"{name}.zip"', "${path.module}/../dist/lambdas"),
        ('dist / "layers" / f"{layer.name}.zip"', "${path.module}/../dist/layers"),
    ):
        if built not in build or f'"{folder}"' not in root:
            yield f"scripts/build_lambdas.py must build {built}, and the root take it from {folder}"
    if not given.endswith("/${each.key}.zip"):
        yield f"the functions' packages are {given}, not <folder>.zip"
    declared = set(some(repository.root.locals().get("layers", {}), "layers in the root's locals"))
    for name in sorted(declared ^ set(re.findall(r'^    Layer\(\s*"(\w+)"', build, re.MULTILINE))):
        yield f"the layer {name} is not both built and deployed"
    for folder, function in repository.functions().items():
        for name in sorted(set(function["layers"]) - declared):
            yield f"the function {folder} has the layer {name}, which is not deployed"


@check
def one_python_runs_everything(repository: Repository) -> Iterator[str]:
    settings = tomllib.loads(repository.text("pyproject.toml"))
    oldest = settings["project"]["requires-python"].removeprefix(">=")
    if settings["tool"]["ruff"]["target-version"] != f"py{oldest.replace('.', '')}":
        yield f"ruff does not look for Python {oldest}, the oldest that is supported"
    if settings["tool"]["mypy"]["python_version"] != oldest:
        yield f"mypy does not look for Python {oldest}, the oldest that is supported"
    runtime = str(repository.module("lambda_function").resource("aws_lambda_function").get("runtime"))
    image = re.search(
        r"^FROM python:(\d+\.\d+)\.\d+-", repository.text("batch_image/Dockerfile"), re.MULTILINE
    )
    if image is None or f"python{image[1]}" != runtime:
        yield f"batch_image/Dockerfile is based on another Python than the functions' {runtime}"
    if tuple(map(int, runtime.removeprefix("python").split("."))) < tuple(map(int, oldest.split("."))):
        yield f"functions run on {runtime}, which is older than requires-python"


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
        if not path.startswith("var."):
            yield f"{where} takes its package from {path}; written down, it must exist to be validated"


@check
def the_size_of_a_function_is_bounded(repository: Repository) -> Iterator[str]:
    # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    variables = repository.module("lambda_function").named("variable")
    for name, least, most in (("timeout_seconds", 1, 900), ("memory_mb", 128, 10240)):
        bounds = f"var.{name} >= {least} && var.{name} <= {most}"
        if bounds not in str(variables.get(name, {}).get("validation")):
            yield f"module lambda_function: {name} needs a validation with {bounds}"
        for folder, function in repository.functions().items():
            if not least <= function[name] <= most:
                yield f"function {folder} has the {name} {function[name]}, allowed are {least} to {most}"


@check
def what_fails_after_an_event_is_kept(repository: Repository) -> Iterator[str]:
    invoked = {
        name
        for body in repository.root.named("module").values()
        if body["source"] in ("./modules/event_rule", "./modules/log_subscription")
        for name in re.findall(r'module\.function\["(\w+)"\]', str(body["function_arn"]))
    }
    some(invoked, "functions that event rules and logs invoke")
    asynchronous = {name for name, function in repository.functions().items() if function["asynchronous"]}
    for name in sorted(invoked - asynchronous):
        yield f"an event invokes {name}, which is not asynchronous and so has no failure queue"
    for name in sorted(asynchronous - invoked):
        yield f"{name} is asynchronous, but no event invokes it"
    given = str(repository.root.named("module").get("function", {}).get("failure_queue"))
    if not given.startswith("${each.value.asynchronous ? "):
        yield f"the functions' failure_queue is {given}, whether they are asynchronous or not"
    config = repository.module("lambda_function").resource("aws_lambda_function_event_invoke_config")
    if "var.failure_queue.arn" not in str(config.get("destination_config")):
        yield "the module lambda_function sends nothing to its failure_queue"


@check
def every_task_type_has_a_template_that_is_uploaded(repository: Repository) -> Iterator[str]:
    repository.matching("ui_templates/*/template.liquid.html")
    if '"*/template.liquid.html"' not in str(repository.root.locals().get("template_paths")):
        yield "the root does not upload ui_templates/*/template.liquid.html"
