"""The report on a campaign's workers as one HTML page that holds its plots."""

from __future__ import annotations

import html
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from truthloop_cli.workers_figures import LABELS, VERDICTS, Figures, Report, Share, steps_of
from truthloop_cli.workers_report import ALL, cells, headings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Stands for the colour of the page's text, whatever its theme.
_INK = "#010203"
_COLOURS = ("#1d6fd1", "#d97706", "#0f9d76", "#c2410c", "#7c5cd6", "#be3a6c", "#5d8a1f", "#5d6775")
_MOST_SHOWN = 20
_MOST_LINES = len(_COLOURS)

_STYLE = """
:root { color-scheme: light dark; --page: light-dark(#f6f7f9, #0d1117); --surface: light-dark(#fff, #161b22);
  --ink: light-dark(#12161c, #e9eef5); --soft: light-dark(#454e5b, #b3bdca);
  --line: light-dark(#dfe4ea, #2b333e); }
body { margin: 0; background: var(--page); color: var(--ink); font: 1rem/1.5 system-ui, "Segoe UI", Roboto,
  "Noto Sans", "Hiragino Sans", "Noto Sans CJK JP", sans-serif; font-variant-numeric: tabular-nums; }
main { max-width: 1180px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 2rem; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 40px 0 12px; }
p { color: var(--soft); max-width: 75ch; margin: 8px 0; }
figure { margin: 0 0 16px; background: var(--surface); border: 1px solid var(--line); border-radius: 14px;
  padding: 16px; }
figcaption { font-weight: 600; } figcaption span { display: block; font-weight: 400; color: var(--soft); }
svg { width: 100%; height: auto; display: block; color: var(--ink); }
.figures { margin-top: 24px; display: grid; gap: 16px;
  grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); }
.wide { overflow-x: auto; background: var(--surface); border: 1px solid var(--line); border-radius: 14px; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; white-space: nowrap; }
th, td { padding: 8px 12px; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child, .text { text-align: left; } tr.all td { font-weight: 650; }
"""


def page(report: Report, names: Mapping[str, str], whole: Report) -> str:
    """The page; every text in it is escaped, and it loads nothing from elsewhere.

    Parameters
    ----------
    whole
        The report with all rounds of a worker together, for the plots.
    """
    title = f"Workers of {report.campaign}"
    scope = (
        f"The labelling job {report.job}." if report.job else "All labelling and audit jobs of the campaign."
    )
    parts = [
        f"<h1>{_text(title)}</h1><p>{_text(scope)} People are named by pseudonyms"
        f"{', and beside them as their user pool calls them' if names else ''}.</p>",
        *(_totals(each) for each in report.totals),
    ]
    figures = _figures(whole, names)
    if figures:
        parts.append(f'<div class="figures">{"".join(figures)}</div>')
    parts.append(f'<h2>Every worker</h2><div class="wide">{_table(report, names)}</div>')
    parts.append(
        "<p>Intervals are of 95 % (Wilson). Agreement is the mean agreement of the answers with the "
        "consolidated labels. Gold is the mean score against labels that were known beforehand. Audit pass "
        "is the share of audited labels that the worker contributed to and that auditors didn't reject. The "
        "cost per accepted label counts the answers to audited labels alone, so it doesn't depend on how "
        "many were audited.</p>"
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


def _totals(total: Figures) -> str:
    return (
        f"<p><strong>{total.answers:,} {total.work}</strong> on {total.objects:,} objects in "
        f"{total.hours:,.1f} hours worked, for ${total.cost_usd:,.2f}."
        + (f" {total.audited:,} labels audited, {total.rejected:,} rejected." if total.audited else "")
        + "</p>"
    )


def _table(report: Report, names: Mapping[str, str]) -> str:
    by_round = any(each.round is not None for each in report.workers)
    head = ["worker", *(["name"] if names else []), "work", *(["round"] if by_round else []), *headings()]
    rows = []
    for each in [*report.workers, *report.totals]:
        row = [
            each.worker or ALL,
            *([names.get(each.worker, "")] if names else []),
            each.work,
            *(["" if each.round is None else str(each.round)] if by_round else []),
            *cells(each),
        ]
        kind = "" if each.worker else ' class="all"'
        rows.append(f"<tr{kind}>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>")
    columns = "".join(f"<th>{_text(each)}</th>" for each in head)
    return f"<table><thead><tr>{columns}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _figures(report: Report, names: Mapping[str, str]) -> list[str]:
    """The plots for which there is something to show."""
    found = []
    for work in (LABELS, VERDICTS):
        mine = [each for each in report.workers if each.work == work and each.answers]
        shown = mine[:_MOST_SHOWN]
        if not shown:
            continue
        labels = [names.get(each.worker, each.worker) for each in shown]
        steps = steps_of(shown)
        rest = f" The {_MOST_SHOWN} with most answers of {len(mine)}." if len(mine) > _MOST_SHOWN else ""
        if any(each.median_seconds is not None for each in shown):
            found.append(
                _figure(
                    f"Seconds per answer, {work}",
                    f"Dot: median. Line: up to the 90th percentile.{rest}",
                    lambda axes, shown=shown, labels=labels: _pace(axes, shown, labels),
                    len(shown),
                )
            )
        for heading, pick, caption in (
            ("Known answers", lambda each: each.gold, "Mean score on objects whose label was known."),
            ("Audit pass", lambda each: each.audit_pass, "Share of audited labels that weren't rejected."),
        ):
            chosen = [(pick(each), label) for each, label in zip(shown, labels, strict=True) if pick(each)]
            if chosen:
                found.append(
                    _figure(
                        f"{heading}, {work}",
                        f"{caption} Line: 95 % interval.{rest}",
                        lambda axes, chosen=chosen: _shares(axes, chosen),
                        len(chosen),
                    )
                )
        for heading, value, axis in (
            ("Agreement over time", lambda step: step.agreement, "agreement"),
            ("Pace over time", lambda step: step.median_seconds, "median seconds"),
        ):
            lines = [
                (label, [(step.name, value(step)) for step in each.learning if value(step) is not None])
                for each, label in zip(shown, labels, strict=True)
            ]
            lines = [(label, points) for label, points in lines if len(points) > 1][:_MOST_LINES]
            if lines:
                found.append(
                    _figure(
                        f"{heading}, {work}",
                        "By round, or by tenth of a worker's answers where there is one round.",
                        lambda axes, lines=lines, axis=axis, steps=steps: _lines(axes, lines, axis, steps),
                        8,
                    )
                )
    return found


def _pace(axes: Axes, shown: Sequence[Figures], labels: Sequence[str]) -> None:
    for place, each in enumerate(shown):
        if each.median_seconds is None or each.p90_seconds is None:
            continue
        axes.plot([each.median_seconds, each.p90_seconds], [place, place], color=_COLOURS[0], linewidth=2)
        axes.plot([each.median_seconds], [place], "o", color=_COLOURS[0])
    _by_worker(axes, labels)
    axes.set_xlabel("seconds")
    axes.set_xlim(left=0)


def _shares(axes: Axes, chosen: Sequence[tuple[Share, str]]) -> None:
    for place, (share, _) in enumerate(chosen):
        axes.plot([share.low, share.high], [place, place], color=_COLOURS[2], linewidth=2)
        axes.plot([share.value], [place], "o", color=_COLOURS[2])
    _by_worker(axes, [label for _, label in chosen])
    axes.set_xlim(-0.02, 1.02)
    axes.xaxis.set_major_formatter(_percent())


def _lines(
    axes: Axes, lines: Sequence[tuple[str, Sequence[tuple[str, float]]]], axis: str, steps: Sequence[str]
) -> None:
    places = {name: place for place, name in enumerate(steps)}
    for colour, (label, points) in zip(_COLOURS, lines, strict=False):
        known = [(places[name], value) for name, value in points]
        axes.plot(
            [place for place, _ in known],
            [value for _, value in known],
            marker="o",
            markersize=4,
            color=colour,
            label=label,
        )
    axes.set_xticks(list(places.values()), list(places), rotation=30, ha="right")
    axes.set_ylabel(axis)
    if axis == "agreement":
        axes.set_ylim(-0.02, 1.02)
        axes.yaxis.set_major_formatter(_percent())
    else:
        axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8)


def _by_worker(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()


def _percent() -> Any:
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(1.0, decimals=0)


def _figure(heading: str, caption: str, draw: Callable[[Axes], None], rows: int) -> str:
    # Without pyplot, which would keep every figure and look for a screen.
    import matplotlib
    from matplotlib.figure import Figure

    settings: dict[str, Any] = {
        # Text stays text, in the page's font; a dollar in a name is no formula; the same data draws the same.
        "svg.fonttype": "none",
        "text.parse_math": False,
        "svg.hashsalt": "truthloop",
        "font.family": "sans-serif",
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "axes.edgecolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(6.4, max(2.0, 0.9 + 0.32 * rows)), layout="constrained")
        axes = figure.subplots()
        axes.grid(alpha=0.25)
        draw(axes)
        buffer = io.StringIO()
        with warnings.catch_warnings():
            # The page's font draws the letters that matplotlib's own lacks.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    picture = buffer.getvalue()
    picture = picture[picture.index("<svg") :].replace(_INK, "currentColor")
    return f"<figure><figcaption>{_text(heading)}<span>{_text(caption)}</span></figcaption>{picture}</figure>"


def _text(value: str) -> str:
    return html.escape(value)
