"""The page's charts as inline SVG: plain values in, markup out; colours and fonts come from style.css.

Every mark that stands for a value holds a `<title>` with that value in words, which browsers show on hover
and page.js turns into a tooltip that the keyboard reaches too. A text inside SVG does not wrap or grow with
the screen, so a chart is drawn twice, for wide and for narrow screens, and the style sheet shows one of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, tostring

from markupsafe import Markup

from truthloop_batch.report.document import Audit, Comparison, ErrorRate, Point, Round, Selection
from truthloop_batch.report.measures import Measure
from truthloop_batch.report.words import count, counted, dollars, interval, percent, shorten, width

_WIDE, _NARROW = 1000, 380


@dataclass(frozen=True)
class Frame:
    """The plotting area in the drawing's own units, and the room around it for axes and labels."""

    width: int
    height: int
    left: int
    right: int
    top: int = 30
    bottom: int = 48

    @property
    def x(self) -> tuple[float, float]:
        return self.left, self.width - self.right

    @property
    def y(self) -> tuple[float, float]:
        """From the bottom edge to the top edge."""
        return self.height - self.bottom, self.top


@dataclass(frozen=True)
class Scale:
    """A linear map of values to positions."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def ticks(low: float, high: float, about: int) -> list[float]:
    """About so many round numbers (1, 2 or 5 times a power of ten apart) that enclose both bounds."""
    if high <= low:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def element(name: str, *children: Element | str, **attributes: object) -> Element:
    """An element; `class_` is class, other `_` in names are `-`, attributes that are None are left out."""
    made = Element(name)
    for key, value in attributes.items():
        if value is not None:
            made.set(key.rstrip("_").replace("_", "-"), _value(value))
    for child in children:
        if isinstance(child, Element):
            made.append(child)
        else:
            made.text = (made.text or "") + child
    return made


def _value(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def responsive(draw: Callable[[bool], Element]) -> Markup:
    """The drawing for wide screens (`draw(False)`) and for narrow ones (`draw(True)`), as markup."""
    both = element(
        "div", element("div", draw(False), class_="wide"), element("div", draw(True), class_="narrow")
    )
    # ElementTree has escaped all texts and values.
    return Markup(tostring(both, encoding="unicode", short_empty_elements=False))  # noqa: S704


def _svg(frame: Frame, summary: str, *children: Element) -> Element:
    return element(
        "svg",
        *children,
        class_="chart",
        viewBox=f"0 0 {frame.width} {frame.height}",
        role="group",
        aria_label=summary,
    )


def _mark(tip: str, *shapes: Element, class_: str) -> Element:
    return element("g", element("title", tip), *shapes, class_=f"mark {class_}", role="img", aria_label=tip)


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Element:
    return element("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=class_)


def _text(x: float, y: float, words: str, class_: str, anchor: str | None = None) -> Element:
    return element("text", words, x=float(x), y=float(y), class_=class_, text_anchor=anchor)


def _path(points: Sequence[tuple[float, float]], class_: str, closed: bool = False) -> Element:
    steps = "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return element("path", d=f"M{steps}{'Z' if closed else ''}", class_=class_)


def _axes(
    frame: Frame,
    y: Scale,
    y_ticks: Sequence[tuple[float, str]],
    x_ticks: Sequence[tuple[float, str]],
    x_title: str,
    y_title: str,
) -> Element:
    """Grid lines and labels for y, labels for x (given as positions), and the titles of both axes."""
    left, right = frame.x
    bottom, _ = frame.y
    parts = []
    for value, words in y_ticks:
        parts.append(_line(left, y(value), right, y(value), "grid"))
        parts.append(_text(left - 8, y(value) + 4, words, "tick", "end"))
    parts.append(_line(left, bottom, right, bottom, "axis"))
    for position, words in x_ticks:
        parts.append(_text(position, bottom + 18, words, "tick", "middle"))
    parts.append(_text((left + right) / 2, frame.height - 6, x_title, "axis-title", "middle"))
    parts.append(_text(0, 12, y_title, "axis-title"))
    return element("g", *parts, aria_hidden="true")


def _thinned(labels: Sequence[str], most: int) -> list[str]:
    """The labels with only every n-th kept, so that at most `most` are left."""
    every = max(1, math.ceil(len(labels) / most))
    return [words if number % every == 0 else "" for number, words in enumerate(labels)]


# ---------------------------------------------------------------------------------------- learning curve


def learning_curve(
    measure: Measure,
    curves: Sequence[tuple[str, str, Sequence[Point]]],
    comparison: Comparison | None,
    summary: str,
) -> Markup:
    """Quality on the test split against training labels, with a band for the 95 % interval.

    Parameters
    ----------
    measure
        What the points' quality measures.
    curves
        (name, kind, points): kind is "strategy" (circles) or "control" (squares, dashed).
    comparison
        Marks the labels that the strategy saved at the control's final quality.
    """

    def draw(narrow: bool) -> Element:
        room = max(width(name) for name, _, _ in curves) * 8 + 22
        frame = (
            Frame(_NARROW, 320, left=44, right=14)
            if narrow
            else Frame(_WIDE, 420, left=56, right=min(room, 190))
        )
        every = [point for _, _, points in curves for point in points]
        y_values = ticks(
            min(point["interval"][0] for point in every), max(point["interval"][1] for point in every), 6
        )
        y_values = [value for value in y_values if -1e-9 <= value <= 1 + 1e-9]
        x_values = ticks(
            min(point["labels"] for point in every),
            max(point["labels"] for point in every),
            4 if narrow else 8,
        )
        y = Scale(y_values[0], y_values[-1], *frame.y)
        x = Scale(x_values[0], x_values[-1], *frame.x)
        step = y_values[1] - y_values[0]
        parts = [
            _axes(
                frame,
                y,
                [(value, measure.tick(value, step)) for value in y_values],
                [(x(value), count(value)) for value in x_values],
                "training labels",
                f"test {measure.name}",
            )
        ]
        parts += [_band(points, kind, x, y) for _, kind, points in curves if len(points) > 1]
        if comparison is not None and comparison["strategy"] is not None and comparison["won"]:
            parts.append(_saving(comparison, frame, x, y))
        parts += [
            _path([(x(p["labels"]), y(p["quality"])) for p in points], f"curve {kind}")
            for _, kind, points in curves
            if len(points) > 1
        ]
        # The first curve is the one that the reader came for: its marks come last, on top.
        for name, kind, points in reversed(curves):
            parts += [_measurement(measure, name, kind, point, x, y) for point in points]
        if not narrow:
            parts.append(_end_labels(curves, x, y))
        return _svg(frame, summary, *parts)

    return responsive(draw)


def _band(points: Sequence[Point], kind: str, x: Scale, y: Scale) -> Element:
    upper = [(x(point["labels"]), y(point["interval"][1])) for point in points]
    lower = [(x(point["labels"]), y(point["interval"][0])) for point in reversed(points)]
    return _path([*upper, *lower], f"band {kind}", closed=True)


def _measurement(measure: Measure, name: str, kind: str, point: Point, x: Scale, y: Scale) -> Element:
    across, down = x(point["labels"]), y(point["quality"])
    tip = (
        f"{name}, round {point['round']}: {measure.name} {measure.value(point['quality'])} "
        f"({measure.bounds(point['interval'])}) with {counted(point['labels'], 'training label')}"
    )
    shape = (
        element("rect", x=across - 4.5, y=down - 4.5, width=9, height=9, class_="dot")
        if kind == "control"
        else element("circle", cx=across, cy=down, r=5.5, class_="dot")
    )
    return _mark(tip, element("circle", cx=across, cy=down, r=12, class_="hit"), shape, class_=kind)


def _saving(comparison: Comparison, frame: Frame, x: Scale, y: Scale) -> Element:
    """The labels that each arm needed for the control's final quality, led down to the axis and compared."""
    ours, theirs, saved = comparison["strategy"], comparison["control"], comparison["saved_share"]
    if ours is None or saved is None:
        return element("g")
    left, right = x(ours["interpolated_labels"]), x(theirs["interpolated_labels"])
    level, bottom = y(comparison["target_quality"]), frame.y[0]
    across = bottom - 16
    parts = [
        _line(left, level, right, level, "reference"),
        _line(left, level, left, bottom, "reference"),
        _line(right, level, right, bottom, "reference"),
        _line(left, across, right, across, "saving"),
        _line(left, across - 5, left, across + 5, "saving"),
        _line(right, across - 5, right, across + 5, "saving"),
    ]
    words = f"{percent(saved, 0)} fewer labels"
    middle = min(max((left + right) / 2, frame.left + width(words) * 4), frame.x[1] - width(words) * 4)
    parts.append(_text(middle, across - 10, words, "saving-words", "middle"))
    return element("g", *parts, aria_hidden="true")


def _end_labels(curves: Sequence[tuple[str, str, Sequence[Point]]], x: Scale, y: Scale) -> Element:
    """The curves' names at their ends, moved apart where they would touch."""
    ends = sorted(
        ((y(points[-1]["quality"]), x(points[-1]["labels"]), name, kind) for name, kind, points in curves),
    )
    parts: list[Element] = []
    lowest = -math.inf
    for down, across, name, kind in ends:
        lowest = max(down + 4, lowest + 18)
        parts.append(_text(across + 14, lowest, shorten(name, 24), f"end {kind}"))
    return element("g", *parts, aria_hidden="true")


# --------------------------------------------------------------------------------------------------- cost


def cost_per_round(rounds: Sequence[Round], summary: str) -> Markup:
    """Stacked columns: what labelling, auditing and computing cost in each round."""
    columns = []
    for entry in rounds:
        audit = entry["audit_usd"]
        tip = f"Round {entry['round']}: {dollars(entry['labeling_usd'])} labelling, "
        tip += f"{dollars(audit)} audit, " if audit else ""
        tip += f"{dollars(entry['compute_usd'])} compute"
        parts = [("people", entry["labeling_usd"]), ("audit", audit), ("machine", entry["compute_usd"])]
        columns.append(Column(str(entry["round"]), tip, parts))
    return _columns(columns, "US dollars", _axis_dollars, summary)


@dataclass(frozen=True)
class Column:
    """A stacked column: its name below the axis, its values in words, (kind, value) from the bottom up."""

    name: str
    tip: str
    parts: Sequence[tuple[str, float]]


def _columns(
    columns: Sequence[Column],
    y_title: str,
    tick: Callable[[float, Sequence[float]], str],
    summary: str,
) -> Markup:
    """Stacked columns over the rounds, as wide as half the page; parts of nothing are left out."""

    def draw(narrow: bool) -> Element:
        frame = Frame(_NARROW, 260, left=54, right=8) if narrow else Frame(480, 290, left=58, right=8)
        values = ticks(0, max(sum(value for _, value in column.parts) for column in columns), 4)
        y = Scale(0, values[-1], *frame.y)
        step = (frame.x[1] - frame.x[0]) / len(columns)
        middles = [frame.left + step * (number + 0.5) for number in range(len(columns))]
        labels = _thinned([column.name for column in columns], 14)
        drawn = [
            _axes(
                frame,
                y,
                [(value, tick(value, values)) for value in values],
                list(zip(middles, labels, strict=True)),
                "round",
                y_title,
            )
        ]
        thickness = min(step * 0.62, 44)
        for column, middle in zip(columns, middles, strict=True):
            bars, height = [], 0.0
            for kind, value in column.parts:
                if value > 0:
                    bottom, top = y(height), y(height + value)
                    left = middle - thickness / 2
                    bars.append(
                        element(
                            "rect",
                            x=left,
                            y=top,
                            width=thickness,
                            height=bottom - top,
                            class_=f"bar {kind}",
                        )
                    )
                height += value
            hit = element(
                "rect",
                x=middle - step / 2,
                y=frame.top,
                width=step,
                height=frame.y[0] - frame.top,
                class_="hit",
            )
            drawn.append(_mark(column.tip, hit, *bars, class_="column"))
        return _svg(frame, summary, *drawn)

    return responsive(draw)


def cumulative_cost(rounds: Sequence[Round], budget: float | None, summary: str) -> Markup:
    """The cost so far after each round, and the budget as a line where there is one."""

    def draw(narrow: bool) -> Element:
        frame = Frame(_NARROW, 260, left=54, right=14) if narrow else Frame(480, 290, left=58, right=14)
        values = ticks(0, max(*(entry["cumulative_usd"] for entry in rounds), budget or 0.0), 4)
        y = Scale(0, values[-1], *frame.y)
        step = (frame.x[1] - frame.x[0]) / len(rounds)
        middles = [frame.left + step * (number + 0.5) for number in range(len(rounds))]
        labels = _thinned([str(entry["round"]) for entry in rounds], 14)
        parts = [
            _axes(
                frame,
                y,
                [(value, _axis_dollars(value, values)) for value in values],
                list(zip(middles, labels, strict=True)),
                "round",
                "US dollars",
            )
        ]
        if budget is not None:
            level = y(budget)
            below = level + 16 if level - frame.top < 16 else level - 7
            parts.append(_line(frame.x[0], level, frame.x[1], level, "budget"))
            parts.append(
                _text(frame.x[0] + 6, below, f"budget {dollars(budget)}", "budget-words"),
            )
        line = [(middle, y(entry["cumulative_usd"])) for middle, entry in zip(middles, rounds, strict=True)]
        bottom = frame.y[0]
        if len(line) > 1:
            parts.append(
                _path([(line[0][0], bottom), *line, (line[-1][0], bottom)], "area total", closed=True)
            )
            parts.append(_path(line, "curve total"))
        for entry, (across, down) in zip(rounds, line, strict=True):
            tip = f"After round {entry['round']}: {dollars(entry['cumulative_usd'])} in all"
            if budget:
                tip += f", {percent(entry['cumulative_usd'] / budget, 0)} of the budget"
            parts.append(
                _mark(
                    tip,
                    element("circle", cx=across, cy=down, r=12, class_="hit"),
                    element("circle", cx=across, cy=down, r=4.5, class_="dot"),
                    class_="total",
                )
            )
        return _svg(frame, summary, *parts)

    return responsive(draw)


def _axis_dollars(value: float, values: Sequence[float]) -> str:
    """A tick's amount with as many decimals as the axis needs."""
    step = values[1] - values[0]
    decimals = 0 if step >= 1 else max(2, -math.floor(math.log10(step)))
    return f"${value:,.{decimals}f}"


# -------------------------------------------------------------------------------------------------- audit


def verdicts(audit: Audit, summary: str) -> Markup:
    """Stacked columns: how many labels auditors accepted, fixed and rejected in each round."""
    columns = []
    for entry in audit["rounds"]:
        found = entry["decisions"]
        tip = (
            f"Round {entry['round']}: {count(found['accept'])} accepted, {count(found['fix'])} fixed, "
            f"{count(found['reject'])} rejected"
        )
        parts = [("people", found["accept"]), ("fixed", found["fix"]), ("machine", found["reject"])]
        columns.append(Column(str(entry["round"]), tip, parts))
    return _columns(columns, "labels", _axis_count, summary)


def error_rates(audit: Audit, summary: str) -> Markup:
    """The part of labels that is wrong before and after the audit, with intervals: per round, and of all."""
    places = [
        (f"Round {each['round']}", str(each["round"]), each["initial"], each["final"])
        for each in audit["rounds"]
    ]
    if len(places) > 1:
        places.append(("All rounds", "all", audit["initial"], audit["final"]))
    rates = [rate for _, _, *pair in places for rate in pair if rate is not None]

    def draw(narrow: bool) -> Element:
        frame = Frame(_NARROW, 260, left=54, right=8) if narrow else Frame(480, 290, left=58, right=8)
        values = ticks(0, max(rate["interval"][1] for rate in rates), 4)
        y = Scale(0, values[-1], *frame.y)
        step = (frame.x[1] - frame.x[0]) / len(places)
        middles = [frame.left + step * (number + 0.5) for number in range(len(places))]
        labels = [*_thinned([name for _, name, _, _ in places[:-1]], 12), places[-1][1]]
        decimals = 0 if values[1] - values[0] > 0.0099 else 1
        parts = [
            _axes(
                frame,
                y,
                [(value, percent(value, decimals)) for value in values],
                list(zip(middles, labels, strict=True)),
                "round",
                "wrong labels",
            )
        ]
        if len(places) > 1:
            edge = (middles[-2] + middles[-1]) / 2
            parts.append(_line(edge, frame.top, edge, frame.y[0], "grid"))
        apart = min(step * 0.2, 12)
        for (name, _, before, after), middle in zip(places, middles, strict=True):
            for rate, kind, across in (
                (before, "control", middle - apart),
                (after, "strategy", middle + apart),
            ):
                if rate is not None:
                    parts.append(_rate(name, kind, rate, across, y))
        return _svg(frame, summary, *parts)

    return responsive(draw)


def _rate(name: str, kind: str, rate: ErrorRate, across: float, y: Scale) -> Element:
    lower, upper, down = y(rate["interval"][0]), y(rate["interval"][1]), y(rate["rate"])
    when = "before" if kind == "control" else "after"
    tip = (
        f"{name}, {when} the audit: {percent(rate['rate'])} wrong ({interval(rate['interval'])}), "
        f"{count(rate['errors'])} of {counted(rate['sampled'], 'label')} drawn at random"
    )
    shape = (
        element("rect", x=across - 4.5, y=down - 4.5, width=9, height=9, class_="dot")
        if kind == "control"
        else element("circle", cx=across, cy=down, r=5.5, class_="dot")
    )
    whisker = [
        _line(across, lower, across, upper, "whisker"),
        _line(across - 4, lower, across + 4, lower, "whisker"),
        _line(across - 4, upper, across + 4, upper, "whisker"),
    ]
    return _mark(tip, element("circle", cx=across, cy=down, r=12, class_="hit"), *whisker, shape, class_=kind)


def _axis_count(value: float, values: Sequence[float]) -> str:
    """A tick of whole things; between them stands nothing."""
    return count(value) if value == round(value) else ""


# ---------------------------------------------------------------------------------------------- confusion


def confusion_matrix(categories: Sequence[str], confusion: Sequence[Sequence[int]], summary: str) -> Markup:
    """Rows are true classes, columns predictions; shades are shares of the row, figures are rows."""

    def draw(narrow: bool) -> Element:
        size, names = len(categories), [shorten(name, 12) for name in categories]
        side = max(width(name) for name in names) * 7 + 34
        drawn = _NARROW if narrow else 560
        cell = (drawn - side - 6) / size
        upright = max(width(name) for name in names) * 7 < cell
        top = 22 if upright else min(side, 96)
        frame = Frame(drawn, round(top + cell * size + 26), left=side, right=6, top=top, bottom=26)
        parts: list[Element] = []
        for row, (name, values) in enumerate(zip(names, confusion, strict=True)):
            middle = top + cell * (row + 0.5)
            parts.append(_text(side - 8, middle + 4, name, "tick", "end"))
            parts.append(_column_name(name, side + cell * (row + 0.5), top - 8, upright))
            for column, value in enumerate(values):
                parts.append(
                    _cell(
                        tip=_confusion_tip(categories[row], categories[column], value, sum(values)),
                        x=side + cell * column,
                        y=top + cell * row,
                        size=cell,
                        value=value,
                        share=value / sum(values) if value else 0.0,
                        right=row == column,
                    )
                )
        parts.append(
            _text(side + cell * size / 2, frame.height - 6, "predicted by the model", "axis-title", "middle")
        )
        parts.append(
            element(
                "text",
                "true label",
                transform=f"translate(12 {top + cell * size / 2:.1f}) rotate(-90)",
                class_="axis-title",
                text_anchor="middle",
            )
        )
        grid = _svg(frame, summary, *parts)
        return element("div", grid, data_columns=size)

    return responsive(draw)


def _column_name(name: str, x: float, y: float, upright: bool) -> Element:
    if upright:
        return _text(x, y, name, "tick", "middle")
    return element("text", name, transform=f"translate({x + 4:.1f} {y:.1f}) rotate(-60)", class_="tick")


def _confusion_tip(true: str, predicted: str, value: int, rows: int) -> str:
    if true == predicted:
        return f"{true}: {value} of {counted(rows, 'test row')} right"
    return f"{true} taken for {predicted}: {value} of {counted(rows, 'test row')}"


def _cell(tip: str, x: float, y: float, size: float, value: int, share: float, right: bool) -> Element:
    shape = element(
        "rect",
        x=x + 1,
        y=y + 1,
        width=size - 2,
        height=size - 2,
        rx=min(4.0, size / 6),
        class_="empty" if not value else "right" if right else "wrong",
        # A root makes the few mistakes visible beside rows that are nearly all right.
        fill_opacity=round(0.12 + 0.88 * (share if right else share**0.5), 3) if value else None,
    )
    shapes = [shape]
    if value and size >= 15:
        deep = share > 0.5 if right else share > 0.3
        shapes.append(
            _text(x + size / 2, y + size / 2 + 4, count(value), "figure deep" if deep else "figure", "middle")
        )
    return _mark(tip, *shapes, class_="cell")


# ---------------------------------------------------------------------------------------------- selection


def margins(selection: Sequence[Selection], summary: str) -> Markup:
    """Per round, the margins of the pool (10th to 90th percentile, median) and of the chosen rows."""

    def draw(narrow: bool) -> Element:
        frame = Frame(_NARROW, 280, left=44, right=8) if narrow else Frame(_WIDE, 340, left=56, right=16)
        values = [0.0, 0.25, 0.5, 0.75, 1.0]
        y = Scale(0, 1, *frame.y)
        step = (frame.x[1] - frame.x[0]) / len(selection)
        middles = [frame.left + step * (number + 0.5) for number in range(len(selection))]
        labels = _thinned([str(entry["round"]) for entry in selection], 14)
        parts = [
            _axes(
                frame,
                y,
                [(value, f"{value:g}") for value in values],
                list(zip(middles, labels, strict=True)),
                "before round",
                "margin",
            )
        ]
        box = min(step * 0.3, 40)
        for entry, middle in zip(selection, middles, strict=True):
            pool, chosen = entry["pool"], entry["selected"]
            left = middle - box * 1.1
            parts.append(
                _mark(
                    f"Before round {entry['round']}, pool of {counted(pool['rows'], 'row')}: median margin "
                    f"{pool['median']:.2f}, 10th to 90th percentile {pool['p10']:.2f}–{pool['p90']:.2f}",
                    element(
                        "rect",
                        x=left,
                        y=y(pool["p90"]),
                        width=box,
                        height=max(2.0, y(pool["p10"]) - y(pool["p90"])),
                        rx=3,
                        class_="range",
                    ),
                    _line(left, y(pool["median"]), left + box, y(pool["median"]), "median"),
                    class_="pool",
                )
            )
            if chosen is None:
                continue
            right = middle + box * 0.1
            parts.append(
                _mark(
                    f"Chosen for round {entry['round']}, {counted(chosen['rows'], 'row')}: median margin "
                    f"{chosen['median']:.3f}, lowest {chosen['lowest']:.3f}, highest {chosen['highest']:.3f}",
                    element(
                        "rect",
                        x=right,
                        y=y(chosen["highest"]),
                        width=box,
                        height=max(2.0, y(chosen["lowest"]) - y(chosen["highest"])),
                        rx=3,
                        class_="range",
                    ),
                    _line(right, y(chosen["median"]), right + box, y(chosen["median"]), "median"),
                    class_="strategy",
                )
            )
        return _svg(frame, summary, *parts)

    return responsive(draw)
