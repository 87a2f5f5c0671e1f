"""Renders the root stack offline: a plan with the policies and definitions that AWS would get."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from truthloop.errors import TruthloopError
from truthloop_cli.terraform_tools import find_plugin_dir

ROOT = Path(__file__).resolve().parents[2]
# The run in this file plans the whole stack, and says what stands for the things that AWS alone knows.
STACK = "tests/stack.tftest.hcl"
_SECONDS = 240
# What would lead Terraform to other settings, or to a real account.
_FOREIGN = ("AWS_", "TF_")


class RenderingFailed(TruthloopError):
    """The stack could not be planned; the message holds Terraform's own diagnostics."""


@dataclass(frozen=True)
class Report:
    """What `terraform test` said about one environment.

    Attributes
    ----------
    plan
        The plan of the file's last run: `resource_changes` and `output_changes` as `terraform show -json` has
        them; None if none was made.
    passed
        The names of the runs whose assertions all hold.
    errors
        The diagnostics: assertions that don't hold, and what stopped Terraform.
    warnings
        What Terraform found odd, such as an override whose target is gone.
    """

    plan: dict[str, Any] | None
    passed: tuple[str, ...]
    errors: tuple[str, ...]
    warnings: tuple[str, ...]


def plan(environment: str) -> dict[str, Any]:
    """Return the plan of the root stack with terraform/envs/<environment>.tfvars.

    It is made with fake credentials and without a network; account 111122223333 is assumed.

    Raises
    ------
    RenderingFailed
        If there is no such environment, no Terraform, no provider, or the plan fails.
    """
    with prepared() as folder:
        report = run_tests(folder, environment)
    if report.plan is None:
        raise RenderingFailed(
            f"The stack of the environment {environment} has no plan:\n" + "\n".join(report.errors)
        )
    return report.plan


def policies(plan: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return every policy document of a plan that is known, by the address of its resource.

    A document is any text attribute that holds a JSON object with a `Statement`: so no kind of policy is
    missed.

    Raises
    ------
    RenderingFailed
        If a resource has two of them: one would hide the other.
    """
    found: dict[str, dict[str, Any]] = {}
    for change in plan["resource_changes"]:
        if change["mode"] != "managed":
            continue
        for value in (change["change"]["after"] or {}).values():
            if not isinstance(value, str) or not value.lstrip().startswith("{"):
                continue
            document = json.loads(value)
            if "Statement" not in document:
                continue
            if change["address"] in found:
                raise RenderingFailed(f"{change['address']} holds two policy documents.")
            found[change["address"]] = document
    return found


@contextlib.contextmanager
def prepared() -> Iterator[Path]:
    """Yield a scratch copy of terraform/ in which `terraform init` has run; it may be edited.

    The packages in it are empty files, so that nothing need be built: a plan asks for their names and hashes.
    """
    if not shutil.which("terraform"):
        raise RenderingFailed("There is no terraform on the PATH: run `make setup`, which installs one.")
    with tempfile.TemporaryDirectory(prefix="truthloop-rendered-") as scratch:
        ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*")
        folder = Path(scratch) / "terraform"
        shutil.copytree(ROOT / "terraform", folder, ignore=ignored)
        shutil.copytree(ROOT / "ui_templates", folder.parent / "ui_templates")
        functions = [path.parent.name for path in (ROOT / "lambdas").glob("*/handler.py")]
        layers = ["layers/imaging.zip", "layers/powertools.zip"]
        for package in [*layers, *(f"lambdas/{name}.zip" for name in functions)]:
            path = folder.parent / "dist" / package
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        plugins = find_plugin_dir()
        init = _terraform(
            folder, "init", "-backend=false", "-input=false", *([f"-plugin-dir={plugins}"] if plugins else [])
        )
        if init.returncode:
            raise RenderingFailed(
                "terraform init failed; the AWS provider must come from the registry, or from a mirror that "
                "TF_PLUGIN_DIR names (`terraform providers mirror DIR` on a connected machine fills one):\n"
                f"{init.stdout}{init.stderr}"
            )
        yield folder


def run_tests(folder: Path, environment: str, file: str = STACK) -> Report:
    """Run one test file of a prepared copy with the settings of an environment.

    Raises
    ------
    RenderingFailed
        If there is no such environment, or nothing is run.
    """
    known = sorted(path.stem for path in (folder / "envs").glob("*.tfvars"))
    if environment not in known:
        raise RenderingFailed(
            f"There is no environment {environment!r}: terraform/envs has {', '.join(known)}."
        )
    result = _terraform(
        folder, "test", "-json", "-verbose", f"-filter={file}", f"-var-file=envs/{environment}.tfvars"
    )
    plans: dict[str, dict[str, Any]] = {}
    runs: list[str] = []
    passed: list[str] = []
    messages: dict[str, list[str]] = {"error": [], "warning": []}
    for line in result.stdout.splitlines():
        record = json.loads(line)
        if record["type"] == "test_abstract":
            runs = record["test_abstract"].get(file, [])
        elif record["type"] == "test_plan":
            made = {key: value for key, value in record["test_plan"].items() if key != "provider_schemas"}
            plans[record["@testrun"]] = made
        elif record["type"] == "diagnostic":
            messages[record["diagnostic"]["severity"]].append(_words(record["diagnostic"]))
        elif record["type"] == "test_run" and record["test_run"].get("status") == "pass":
            passed.append(record["test_run"]["run"])
    if not passed and not messages["error"]:
        raise RenderingFailed(f"terraform test ran nothing in {file}:\n{result.stdout}{result.stderr}")
    return Report(
        plan=plans.get(runs[-1]) if runs else None,
        passed=tuple(passed),
        errors=tuple(messages["error"]),
        warnings=tuple(messages["warning"]),
    )


def _words(diagnostic: dict[str, Any]) -> str:
    place = diagnostic.get("range")
    where = f"{place['filename']}:{place['start']['line']}: " if place else ""
    return f"{where}{diagnostic['summary']}: {diagnostic['detail']}".removesuffix(": ")


def _terraform(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return subprocess.run(
        ["terraform", f"-chdir={folder}", *arguments, "-no-color"],
        env={
            **environment,
            # Nothing of a real account's configuration may be read, and no metadata service is asked.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "CHECKPOINT_DISABLE": "1",
            "TF_CLI_CONFIG_FILE": os.devnull,
            "TF_DATA_DIR": str(folder.parent / "terraform-data"),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
