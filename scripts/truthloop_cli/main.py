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

# The exit code of a command that Ctrl-C ended, by the shells' convention: 128 + SIGINT.
INTERRUPTED = 130

commands = typer.Typer(
    help="Active-learning labelling campaigns on AWS.", no_args_is_help=True, pretty_exceptions_enable=False
)


@commands.callback()
def _root() -> None:
    """Active-learning labelling campaigns on AWS."""


@commands.command(epilog="Examples: `truthloop demo`, `truthloop demo --seed 7`, `truthloop demo --size 600`")
def demo(
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.")] = 1,
    size: Annotated[int, typer.Option(min=200, max=1797, help="Number of images.")] = 1797,
    output: Annotated[Path, typer.Option(help="Folder for report, labels and model.")] = Path("build/demo"),
) -> None:
    """Deploy to the embedded AWS with Terraform and run a whole campaign there; needs no AWS account."""
    from truthloop_cli import demo as program

    settings = program.DemoSettings(seed=seed, size=size)
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
