"""The Batch program takes what the state machine and the job definition give it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from terraform.checks.loop import batch_states
from terraform.checks.registry import check
from terraform.repository import Repository, some

_PROGRAM = "batch_image/truthloop_batch"
_MAIN = f"{_PROGRAM}/__main__.py"
_DOCKERFILE = "batch_image/Dockerfile"


def _subcommands(repository: Repository) -> dict[str, str]:
    """The module of each subcommand."""
    for node in ast.parse(repository.text(_MAIN)).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SUBCOMMANDS":
            table = node.value
            if isinstance(table, ast.Dict):
                return {
                    ast.literal_eval(key): ast.literal_eval(value.args[0])
                    for key, value in zip(table.keys, table.values, strict=True)
                    if isinstance(key, ast.Constant) and isinstance(value, ast.Call)
                }
    return some({}, f"SUBCOMMANDS in {_MAIN}")


@check
def every_job_is_a_subcommand_and_every_subcommand_a_job(repository: Repository) -> Iterator[str]:
    asked = {
        state["Parameters"].get("Parameters", {}).get("subcommand"): name
        for name, state in batch_states(repository).items()
    }
    known = _subcommands(repository)
    for subcommand, name in asked.items():
        if subcommand not in known:
            yield f"state {name} asks for {subcommand}, which is no subcommand of the program"
    for subcommand in sorted(known.keys() - asked.keys()):
        yield f"no state asks for the subcommand {subcommand}"


@check
def every_subcommand_has_its_module(repository: Repository) -> Iterator[str]:
    for subcommand, module in _subcommands(repository).items():
        text = repository.files.get(f"batch_image/{module.replace('.', '/')}.py", "")
        runs = {
            node.name: len(node.args.args)
            for node in ast.parse(text).body
            if isinstance(node, ast.FunctionDef)
        }
        if runs.get("run") != 1:
            yield f"the subcommand {subcommand} names {module}, which has no run(context)"


@check
def the_job_passes_the_arguments_that_the_program_takes(repository: Repository) -> Iterator[str]:
    command = list(repository.root.named("module").get("batch", {}).get("command", []))
    some(command, "command of the job definition")
    taken = {
        node.args[0].value
        for node in ast.walk(ast.parse(repository.text(_MAIN)))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".add_argument")
        if isinstance(node.args[0], ast.Constant)
    }
    if command[0] != "Ref::subcommand":
        yield f"the job's command begins with {command[0]}, not with the subcommand"
    for flag, value in zip(command[1::2], command[2::2], strict=False):
        if flag not in taken:
            yield f"the job's command passes {flag}, which the program does not take"
        if value != f"Ref::{flag.removeprefix('--').replace('-', '_')}":
            yield f"the job's command passes {value} as {flag}"
    for flag in sorted(taken - set(command)):
        yield f"the job's command does not pass {flag}, which the program wants"


@check
def the_image_starts_the_program_as_nobody_in_particular(repository: Repository) -> Iterator[str]:
    text = repository.text(_DOCKERFILE)
    entry = re.search(r'^ENTRYPOINT \["python", "-m", "(\w+)"\]$', text, re.MULTILINE)
    if entry is None or f"batch_image/{entry[1]}/__main__.py" not in repository.files:
        yield f"{_DOCKERFILE} starts no program of batch_image"
    copied = re.findall(r"^COPY (\S+) (\S+)$", text, re.MULTILINE)
    for package in (_PROGRAM, "lambdas/shared/truthloop"):
        if package not in dict(copied):
            yield f"{_DOCKERFILE} does not copy {package}"
    folders = {str(parent) for path in repository.files for parent in PurePosixPath(path).parents}
    for source, _ in copied:
        if source not in folders | repository.files.keys():
            yield f"{_DOCKERFILE} copies {source}, which does not exist"
    user = re.findall(r"^USER (\S+)$", text, re.MULTILINE)
    if not user or user[-1] in ("0", "root"):
        yield f"{_DOCKERFILE} runs the program as root"
    module = repository.module("batch").resource("aws_batch_job_definition").get("container_properties")
    if re.search(r"\b(entryPoint|user)\b", str(module)):
        yield "the job definition overrides what the image starts, or as whom"
