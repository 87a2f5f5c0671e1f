"""The command line's entry point: reads arguments, prints errors as one clear line, and sets exit codes."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import click
import typer
from rich.console import Console

from truthloop.errors import TruthloopError

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

    run(DemoSettings(seed=seed, size=size), output, Console(highlight=False))


def _terminate(signum: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt(f"signal {signum}")


def app() -> None:
    """Run the command line; everything that was started is stopped on every way out."""
    signal.signal(signal.SIGTERM, _terminate)
    errors = Console(stderr=True, highlight=False)
    try:
        sys.exit(commands(standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except TruthloopError as error:
        errors.print(f"truthloop: {error}", markup=False, style="red")
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        errors.print("\ninterrupted; everything that was started has been stopped")
        sys.exit(130)


if __name__ == "__main__":
    app()
