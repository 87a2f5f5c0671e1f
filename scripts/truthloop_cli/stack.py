"""Runs Terraform: quietly below a supervisor, or in the terminal, where Ctrl-C lets it keep its state."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

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


class Terraform:
    """The terraform command in one folder.

    Parameters
    ----------
    folder
        The root module's folder.
    environment
        Variables for the process on top of this one's: the credentials and the endpoint of an embedded AWS;
        none for the AWS that this process has credentials of.
    data
        Folder for modules, provider and the backend's settings; default: one that is removed at the end.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], data: Path | None = None) -> None:
        self.folder = folder
        self._temporary = None if data else tempfile.TemporaryDirectory(prefix="truthloop-terraform-")
        # The files of an environment say where its state is; a workspace of the shell's would say otherwise.
        inherited = {name: value for name, value in os.environ.items() if name != "TF_WORKSPACE"}
        self._environment = {
            **inherited,
            **environment,
            "TF_DATA_DIR": str(data.resolve()) if data else str(self._temporary and self._temporary.name),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }
        config = self._environment.get("TF_CLI_CONFIG_FILE")
        if config and not Path(config).exists():
            # Terraform would print a warning about the missing file into every command's output.
            self._environment["TF_CLI_CONFIG_FILE"] = os.devnull

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._temporary:
            self._temporary.cleanup()

    def init(self, *options: str) -> None:
        """Prepare backend, modules and provider."""
        if not shutil.which("terraform"):
            raise TerraformMissing("There is no terraform on the PATH: run `make setup`, which installs one.")
        plugins = find_plugin_dir()
        arguments = ["init", "-no-color", "-input=false", "-reconfigure", "-upgrade", *options]
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

    def show(self, arguments: list[str]) -> None:
        """Run a command whose output goes to the terminal as it comes.

        An interrupt is passed on: Terraform then ends what it has begun, writes its state and gives its lock
        back. A killed Terraform would leave resources behind that no state knows.
        """
        colour = [] if sys.stdout.isatty() else ["-no-color"]
        with _Interrupts() as interrupts:
            process = subprocess.Popen(
                ["terraform", f"-chdir={self.folder}", *arguments, *colour],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                # Ctrl-C must reach Terraform once: the second time it ends at once.
                start_new_session=True,
            )
            interrupts.pass_on_to(process)
            code = process.wait()
        if interrupts.seen:
            raise KeyboardInterrupt
        if code:
            raise TerraformFailed(
                f"terraform {arguments[0]} ended with exit code {code}; its own message is above."
            )

    def _run(
        self,
        arguments: list[str],
        read: Callable[[str], None] | None = None,
        accept: tuple[int, ...] = (0,),
    ) -> int:
        output: list[str] = []
        with _supervised(["terraform", f"-chdir={self.folder}", *arguments], self._environment) as process:
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


class Stack(Terraform):
    """The root stack of one environment.

    Parameters
    ----------
    name
        The environment: terraform/envs/<name>.tfvars with <name>.s3.tfbackend.
    environment, data
        As for Terraform.
    variables
        Terraform variables on top of the environment's file.
    folder
        The root stack's folder.
    """

    def __init__(
        self,
        name: str,
        environment: Mapping[str, str],
        variables: Mapping[str, Any],
        data: Path | None = None,
        folder: Path = TERRAFORM,
    ) -> None:
        super().__init__(folder, environment, data)
        self.name = name
        self._variables = {**variables}
        # A real AWS throttles; Terraform's own default suits it.
        self._parallelism = [f"-parallelism={PARALLELISM}"] if environment else []

    def init(self, *options: str) -> None:
        """Prepare backend, modules and provider."""
        super().init(f"-backend-config=envs/{self.name}.s3.tfbackend", *options)

    def plan(self, file: Path | None = None) -> None:
        """Show what would change; with a file, keep the plan there for apply_plan."""
        self.show(["plan", *self._settings(), *([f"-out={file}"] if file else [])])

    def apply_plan(self, file: Path) -> None:
        """Do what a kept plan says, in the terminal."""
        self.show(["apply", "-input=false", *self._parallelism, str(file)])

    def show_destroy(self) -> None:
        """Destroy everything that the stack has created, in the terminal."""
        self.show(["destroy", "-auto-approve", *self._settings()])

    def show_outputs(self) -> None:
        """Print the root's outputs."""
        self.show(["output"])

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
        return ["-input=false", *self._parallelism, f"-var-file=envs/{self.name}.tfvars", *pairs]

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


class _Interrupts:
    """Collects interrupts and passes each on to a process, also one that comes while the process starts."""

    def __init__(self) -> None:
        self.seen = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._before = {
            number: signal.signal(number, self._take) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def pass_on_to(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        if self.seen:
            process.send_signal(signal.SIGINT)

    def _take(self, _number: int, _frame: object) -> None:
        self.seen += 1
        if self._process:
            self._process.send_signal(signal.SIGINT)


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
