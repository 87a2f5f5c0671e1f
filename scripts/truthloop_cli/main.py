"""The command line's entry point: reads arguments, prints errors as one clear line, and sets exit codes."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from truthloop.errors import TruthloopError
from truthloop_cli import demo_data, trace, ui, workers
from truthloop_cli.demo_data import DEFAULT_TASK

# The exit code of a command that Ctrl-C ended, by the shells' convention: 128 + SIGINT.
INTERRUPTED = 130

commands = typer.Typer(
    help="Active-learning labelling campaigns on AWS.", no_args_is_help=True, pretty_exceptions_enable=False
)
commands.add_typer(ui.app, name="ui")
commands.add_typer(workers.app, name="workers")
commands.command(epilog=trace.EPILOG)(trace.trace)


@commands.callback()
def _root() -> None:
    """Active-learning labelling campaigns on AWS."""


@commands.command(
    epilog="Examples: `truthloop demo`, `truthloop demo --seed 7`, `truthloop demo --task bounding-box`, "
    "`truthloop demo --task semantic-segmentation --audit all`, "
    "`truthloop demo --task text-classification --annotator me`"
)
def demo(
    task: Annotated[str, typer.Option(help=f"Task type: {', '.join(demo_data.tasks())}.")] = DEFAULT_TASK,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.")] = 1,
    size: Annotated[int | None, typer.Option(help="Number of objects; default: the task type's own.")] = None,
    annotator: Annotated[
        str, typer.Option(help="Your name in the team, such as me: label in the browser beside the others.")
    ] = "",
    audit: Annotated[
        str,
        typer.Option(help="Labels that auditors check: none, sample, all. With planted mistakes to find."),
    ] = "none",
    output: Annotated[Path, typer.Option(help="Folder for report, labels and model.")] = Path("build/demo"),
) -> None:
    """Deploy to the embedded AWS with Terraform and run a whole campaign there; needs no AWS account."""
    try:
        plan = demo_data.plan_of(task)
    except demo_data.UnknownTask as error:
        raise typer.BadParameter(str(error), param_hint="--task") from None
    try:
        plan.check_size(size)
    except demo_data.InvalidSize as error:
        raise typer.BadParameter(str(error), param_hint="--size") from None

    from truthloop_cli import demo as program

    if audit not in program.AUDITS:
        raise typer.BadParameter(
            f"{audit!r} is no audit policy; allowed: {', '.join(program.AUDITS)}.", param_hint="--audit"
        )
    if annotator in {person["name"] for person in [*program.ANNOTATORS, *program.AUDITORS]}:
        raise typer.BadParameter(
            f"{annotator} is one of the simulated annotators; take another name.", param_hint="--annotator"
        )
    if annotator:
        settings = program.DemoSettings.beside(annotator, task, seed, size, audit)
    else:
        settings = program.DemoSettings(task, seed, size, audit=audit)
    program.run(settings, output, Console(highlight=False, soft_wrap=True))


def _terminate(signum: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt(f"signal {signum}")


def run(program: Callable[[], object], name: str, interrupted: str) -> None:
    """Run a program whose errors become one clear message and an exit code.

    Parameters
    ----------
    program
        What to run; it stops what it started on every way out.
    name
        What the message begins with.
    interrupted
        What a person is told after Ctrl-C.
    """
    signal.signal(signal.SIGTERM, _terminate)
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        program()
    except TruthloopError as error:
        errors.print(f"{name}: {error}", markup=False, style="red")
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print(f"\n{interrupted}", markup=False)
        sys.exit(INTERRUPTED)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            errors.print(f"\n{interrupted}", markup=False)
        raise


def app() -> None:
    """Run the command line; everything that was started is stopped on every way out."""
    run(commands, "truthloop", "interrupted; everything that was started has been stopped")


if __name__ == "__main__":
    app()
