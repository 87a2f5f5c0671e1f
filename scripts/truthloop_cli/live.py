"""The live view of a campaign in the terminal, and plain lines where the output is no terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from truthloop_batch.report.measures import MEASURES
from truthloop_cli.campaign import Progress, RoundResult


def rounds_table(progress: Progress) -> Table:
    """The campaign's rounds as a table: labels, quality of each arm, money."""
    control = any("control" in result.quality for result in progress.rounds)
    metric = MEASURES[progress.rounds[0].metric].name if progress.rounds else "quality"
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2))
    table.add_column("round", justify="right")
    table.add_column("labels bought", justify="right")
    table.add_column("trained on", justify="right")
    table.add_column(f"{metric}: strategy" if control else metric, justify="right", style="cyan")
    if control:
        table.add_column("random control", justify="right")
    table.add_column("cost so far", justify="right")
    for result in progress.rounds:
        table.add_row(*_cells(result, control))
    return table


def _cells(result: RoundResult, control: bool) -> list[str]:
    arm = "strategy" if control else "model"
    shown = MEASURES[result.metric].value
    cells = [
        str(result.number),
        str(result.labels),
        str(result.trained_on[arm]),
        shown(result.quality[arm]),
    ]
    if control:
        cells.append(shown(result.quality["control"]))
    return [*cells, f"${result.cost_usd:,.2f}"]


def show(console: Console, updates: Iterable[Progress]) -> Progress:
    """Show a campaign until it ends; return how it ended."""
    return _show_live(console, updates) if console.is_terminal else _print_lines(console, updates)


def _show_live(console: Console, updates: Iterable[Progress]) -> Progress:
    spinner = Spinner("dots")
    progress = Progress()
    with Live(console=console, refresh_per_second=8, transient=False) as live:
        for progress in updates:
            running = progress.status == "RUNNING"
            spinner.update(text=Text(progress.activity, style="bold"))
            parts: list[RenderableType] = [rounds_table(progress)] if progress.rounds else []
            live.update(Group(*parts, *([spinner] if running else [])))
    return progress


def _print_lines(console: Console, updates: Iterable[Progress]) -> Progress:
    progress = Progress()
    printed_state, printed_rounds = "", 0
    for progress in updates:
        for result in progress.rounds[printed_rounds:]:
            measure = MEASURES[result.metric]
            arms = ", ".join(f"{arm} {measure.value(quality)}" for arm, quality in result.quality.items())
            console.print(
                f"  round {result.number} done: {result.labels} labels bought, "
                f"{measure.name}: {arms}, ${result.cost_usd:,.2f}"
            )
        printed_rounds = len(progress.rounds)
        if progress.state != printed_state and progress.status == "RUNNING":
            printed_state = progress.state
            console.print(f"  {progress.activity}")
    if progress.rounds:
        console.print(rounds_table(progress))
    return progress
