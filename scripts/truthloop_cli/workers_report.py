"""Shows the figures of a campaign's workers in the terminal, and writes them as CSV and Parquet."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from truthloop.trace.answers import Answer
from truthloop_cli.trace_stack import printable
from truthloop_cli.workers_figures import LABELS, VERDICTS, Figures, Report, Share, steps_of

# What a spreadsheet takes for the beginning of a formula, also in the wide forms of East Asian keyboards.
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NONE = "–"
ALL = "all"


def table(report: Report, names: Mapping[str, str]) -> Table:
    """The report as a table for the terminal; `names` are what pseudonyms stand for, if that was asked."""
    by_round = any(each.round is not None for each in report.workers)
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("worker", no_wrap=True)
    if names:
        shown.add_column("name")
    shown.add_column("work")
    if by_round:
        shown.add_column("round", justify="right")
    for heading in _COLUMNS:
        shown.add_column(heading, justify="right")
    for figures in [*report.workers, *report.totals]:
        shown.add_row(
            figures.worker or ALL,
            *([escape(printable(names.get(figures.worker, "")))] if names else []),
            figures.work,
            *(["" if figures.round is None else str(figures.round)] if by_round else []),
            *(cell(figures) for cell in _COLUMNS.values()),
            style=None if figures.worker else "bold",
        )
    return shown


_COLUMNS: dict[str, Callable[[Figures], str]] = {
    "answers": lambda each: f"{each.answers:,}",
    "per hour": lambda each: _number(each.per_hour, ",.0f"),
    "median s": lambda each: _number(each.median_seconds, ",.1f"),
    "p90 s": lambda each: _number(each.p90_seconds, ",.1f"),
    "agreement": lambda each: _number(each.agreement, ".1%"),
    "gold": lambda each: interval(each.gold),
    "audit pass": lambda each: interval(each.audit_pass),
    "declined": lambda each: str(each.declined),
    "returned": lambda each: str(each.returned),
    "suggestions kept": lambda each: (
        f"{each.suggestions_accepted / each.suggestions:.0%} of {each.suggestions}"
        if each.suggestions
        else _NONE
    ),
    "cost": lambda each: f"${each.cost_usd:,.2f}",
    "per accepted": lambda each: _number(each.cost_per_accepted_usd, ",.4f", "$"),
}


def cells(figures: Figures) -> list[str]:
    """A row of the report as people read it; the headings are `headings`."""
    return [cell(figures) for cell in _COLUMNS.values()]


def headings() -> list[str]:
    return list(_COLUMNS)


def learning_tables(report: Report) -> list[Table]:
    """Agreement and pace over time, by work, two rows for each worker; none without enough answers."""
    tables = []
    for work in (LABELS, VERDICTS):
        learners = [each for each in report.workers if each.learning and each.work == work]
        names = steps_of(learners)
        if len(names) < 2:
            continue
        shown = Table(box=None, pad_edge=False, header_style="bold")
        shown.add_column(f"{work} over time", no_wrap=True)
        shown.add_column("")
        for name in names:
            shown.add_column(name, justify="right")
        for each in learners:
            known = {step.name: step for step in each.learning}
            agreement = [_number(known[name].agreement, ".0%") if name in known else _NONE for name in names]
            pace = [_number(known[name].median_seconds, ",.1f") if name in known else _NONE for name in names]
            for heading, row in (("agreement", agreement), ("median s", pace)):
                if set(row) != {_NONE}:
                    shown.add_row(each.worker, heading, *row)
        tables.append(shown)
    return tables


def interval(share: Share | None) -> str:
    return _NONE if share is None else f"{share.value:.0%} ({share.low:.0%}–{share.high:.0%}, n={share.of})"


def show(console: Console, report: Report, names: Mapping[str, str]) -> None:
    """Print the report; a narrow terminal wraps no row, so that it can be searched and piped."""
    scope = f"campaign {report.campaign}" + (f", job {report.job}" if report.job else "")
    workers = len({each.worker for each in report.workers})
    console.print(f"{scope}: {workers} {'worker' if workers == 1 else 'workers'}", markup=False, style="bold")
    shown = table(report, names)
    wide = Console(
        file=console.file,
        width=max(console.width, 220),
        highlight=False,
        force_terminal=console.is_terminal,
    )
    wide.print(shown)
    for learning in learning_tables(report):
        wide.print()
        wide.print(learning)
    console.print(
        "Intervals are of 95 %. Agreement is with the consolidated label; audit pass is the share of audited "
        "labels that the worker contributed to and that weren't rejected; the cost per accepted label is "
        "that of the answers to audited labels alone.",
        style="dim",
    )


def document(report: Report, names: Mapping[str, str]) -> dict[str, Any]:
    """The report for machines."""
    return {
        "campaign": report.campaign,
        "job": report.job,
        "workers": [_entry(each, names) for each in report.workers],
        "totals": [_entry(each, {}) for each in report.totals],
    }


def export(report: Report, answers: Sequence[Answer], names: Mapping[str, str], folder: Path) -> list[Path]:
    """Write workers.csv, answers.csv and both as Parquet; returns the files."""
    import pyarrow
    import pyarrow.parquet

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, rows, columns in (
        (
            "workers",
            [_flat(each, names) for each in [*report.workers, *report.totals]],
            _flat_columns(bool(names)),
        ),
        ("answers", [_flat_answer(each) for each in answers], _ANSWER_COLUMNS),
    ):
        path = folder / f"{name}.csv"
        # With a byte order mark, without which spreadsheets take Japanese names for Latin-1.
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows([safe_cell(row[column]) for column in columns] for row in rows)
        files.append(path)
        path = folder / f"{name}.parquet"
        types = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
        schema = pyarrow.schema([(column, types[kind]) for column, kind in columns.items()])
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema), path)
        files.append(path)
    return files


def safe_cell(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula; numbers stay numbers."""
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _entry(figures: Figures, names: Mapping[str, str]) -> dict[str, Any]:
    named = {"name": names[figures.worker]} if figures.worker in names else {}
    return {**named, **asdict(figures), "worker": figures.worker or ALL}


def _flat_columns(named: bool) -> dict[str, type]:
    columns: dict[str, type] = {"worker": str}
    if named:
        columns["name"] = str
    for field in fields(Figures):
        if field.name in ("worker", "learning"):
            continue
        if field.name in ("gold", "audit_pass"):
            columns |= {f"{field.name}{suffix}": float for suffix in ("", "_low", "_high")}
            columns[f"{field.name}_of"] = int
        else:
            columns[field.name] = _KINDS.get(str(field.type).partition(" ")[0], float)
    return columns


_KINDS: dict[str, type] = {"str": str, "int": int, "float": float}


def _flat(figures: Figures, names: Mapping[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {"name": names.get(figures.worker, "")}
    for field in fields(Figures):
        value = getattr(figures, field.name)
        if field.name in ("gold", "audit_pass"):
            share: Share | None = value
            row[field.name] = None if share is None else share.value
            row[f"{field.name}_low"] = None if share is None else share.low
            row[f"{field.name}_high"] = None if share is None else share.high
            row[f"{field.name}_of"] = 0 if share is None else share.of
        else:
            row[field.name] = value
    row["worker"] = figures.worker or ALL
    return row


_ANSWER_COLUMNS: dict[str, type] = {
    **{
        each.name: _KINDS.get(str(each.type).partition(" ")[0], float)
        for each in fields(Answer)
        if each.name != "verdict"
    },
    "verdict": str,
    "verdict_reason": str,
    "verdict_at": str,
}


def _flat_answer(answer: Answer) -> dict[str, Any]:
    row = {each.name: getattr(answer, each.name) for each in fields(Answer)}
    verdict = answer.verdict
    row["verdict"] = None if verdict is None else verdict.decision
    row["verdict_reason"] = None if verdict is None else verdict.reason
    row["verdict_at"] = None if verdict is None else verdict.at
    return row


def _number(value: float | None, form: str, sign: str = "") -> str:
    return _NONE if value is None else f"{sign}{value:{form}}"
