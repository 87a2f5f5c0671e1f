"""Runs Terraform on the root stack and reports its progress; nothing survives an interrupted run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from local_aws import supervisor
from truthloop.errors import TruthloopError
from truthloop_cli.terraform_tools import find_plugin_dir

ROOT = Path(__file__).resolve().parents[2]
TERRAFORM = ROOT / "terraform"
# The provider spends its time in timers that wait for things to settle, not in work: many at a time is right.
PARALLELISM = 40
Progress = Callable[[int, int], None]


class TerraformFailed(TruthloopError):
    """Terraform ended with an error; the message holds its own diagnostics."""


class TerraformMissing(TruthloopError):
    """There is no terraform, or no AWS provider, to run."""


class Stack:
    """The root stack of one environment.

    Parameters
    ----------
    name
        The environment: terraform/envs/<name>.tfvars with <name>.s3.tfbackend.
    environment
        Variables for the Terraform process: credentials, region, and the endpoint of an embedded AWS.
    variables
        Terraform variables on top of the environment's file.
    """

    def __init__(self, name: str, environment: Mapping[str, str], variables: Mapping[str, Any]) -> None:
        self.name = name
        self._variables = {**variables}
        self._data = tempfile.TemporaryDirectory(prefix="truthloop-terraform-")
        self._environment = {
            **os.environ,
            **environment,
            "TF_DATA_DIR": self._data.name,
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }
        config = self._environment.get("TF_CLI_CONFIG_FILE")
        if config and not Path(config).exists():
            # Terraform would print a warning about the missing file into every command's output.
            self._environment["TF_CLI_CONFIG_FILE"] = os.devnull

    def __enter__(self) -> Stack:
        return self

    def __exit__(self, *_: object) -> None:
        self._data.cleanup()

    def init(self) -> None:
        """Prepare backend, modules and provider."""
        if not shutil.which("terraform"):
            raise TerraformMissing("There is no terraform on the PATH: run `make setup`, which installs one.")
        plugins = find_plugin_dir()
        arguments = [
            "init",
            "-no-color",
            "-reconfigure",
            "-upgrade",
            f"-backend-config=envs/{self.name}.s3.tfbackend",
        ]
        try:
            self._run([*arguments, *([f"-plugin-dir={plugins}"] if plugins else [])])
        except TerraformFailed as error:
            if plugins or "registry" not in str(error):
                raise
            raise TerraformMissing(
                "The AWS provider for Terraform could not be had: no local mirror holds hashicorp/aws, and "
                "the registry did not answer. Connect to the internet, or put the provider into a mirror "
                "(`terraform providers mirror DIR` on a connected machine) and set TF_PLUGIN_DIR=DIR.\n"
                f"{error}"
            ) from error

    def apply(self, progress: Progress | None = None) -> None:
        """Create or change what the stack describes; `progress(done, total)` follows it."""
        self._change("apply", progress)

    def destroy(self, progress: Progress | None = None) -> None:
        """Destroy everything that the stack has created."""
        self._change("destroy", progress)

    def has_changes(self) -> bool:
        """Return whether a plan made now would change anything."""
        code = self._run(
            ["plan", "-no-color", "-detailed-exitcode", "-lock=false", *self._settings()], accept=(0, 2)
        )
        return code == 2

    def outputs(self) -> dict[str, Any]:
        """Return the root's outputs by name."""
        lines: list[str] = []
        self._run(["output", "-json"], lines.append)
        return {name: item["value"] for name, item in json.loads("".join(lines)).items()}

    def resources(self) -> list[str]:
        """Return the addresses of all resources in the state."""
        lines: list[str] = []
        self._run(["state", "list"], lines.append)
        return [line.strip() for line in lines if line.strip()]

    def _settings(self) -> list[str]:
        pairs = [
            f"-var={key}={value if isinstance(value, str) else json.dumps(value)}"
            for key, value in self._variables.items()
        ]
        return ["-input=false", f"-parallelism={PARALLELISM}", f"-var-file=envs/{self.name}.tfvars", *pairs]

    def _change(self, command: str, progress: Progress | None) -> None:
        done = total = 0
        errors: list[str] = []

        def read(line: str) -> None:
            nonlocal done, total
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                kind = event.get("type")
                # Data sources are planned and "applied" too, by being read.
                if kind == "planned_change" and event["change"]["action"] not in ("noop", "read"):
                    total += 1
                if kind == "apply_complete" and event["hook"]["action"] != "read":
                    done += 1
                    if progress:
                        progress(done, total)
                if kind == "diagnostic" and event["diagnostic"]["severity"] == "error":
                    diagnostic = event["diagnostic"]
                    errors.append(f"{diagnostic['summary']}: {diagnostic.get('detail', '')}".strip())

        try:
            self._run([command, "-auto-approve", "-json", *self._settings()], read)
        except TerraformFailed as error:
            raise TerraformFailed("\n".join(errors) or str(error)) from error

    def _run(
        self,
        arguments: list[str],
        read: Callable[[str], None] | None = None,
        accept: tuple[int, ...] = (0,),
    ) -> int:
        output: list[str] = []
        with _supervised(["terraform", f"-chdir={TERRAFORM}", *arguments], self._environment) as process:
            assert process.stdout  # noqa: S101 (Popen was asked for a pipe)
            for line in process.stdout:
                output.append(line)
                if read:
                    read(line)
            code = process.wait()
        if code not in accept:
            text = "".join(output).strip()
            raise TerraformFailed(f"terraform {arguments[0]} ended with exit code {code}:\n{text[-4000:]}")
        return code


@contextlib.contextmanager
def _supervised(command: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run a command below a supervisor that ends it, with its plugins, on every way out of this process."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", supervisor.__file__, *command],
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Ctrl-C reaches this process, which then ends the command in its own order.
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # The supervisor takes the end of its standard input for the end of this process.
        process.communicate()
