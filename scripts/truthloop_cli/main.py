"""The command line's entry point: reads arguments, prints errors as one clear line, and sets exit codes."""

from __future__ import annotations

import signal
import sys
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
    from truthloop_cli.demo import DemoSettings, run

    run(DemoSettings(seed=seed, size=size), output, Console(highlight=False, soft_wrap=True))


def _terminate(signum: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt(f"signal {signum}")


def app() -> None:
    """Run the command line; everything that was started is stopped on every way out."""
    signal.signal(signal.SIGTERM, _terminate)
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        commands()
    except TruthloopError as error:
        errors.print(f"truthloop: {error}", markup=False, style="red")
        sys.exit(1)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            errors.print("\ninterrupted; everything that was started has been stopped")
        raise


if __name__ == "__main__":
    app()
