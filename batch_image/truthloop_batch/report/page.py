"""Renders the report's document as one self-contained HTML page: no request leaves it, scripts are pinned."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from truthloop import palette
from truthloop_batch.report import charts, sentences, words
from truthloop_batch.report.document import Audit, Boxes, Item, Named, Point, Report
from truthloop_batch.report.measures import WORDS
from truthloop_batch.report.pictures import Picture

_FOLDER = Path(__file__).parent
# With more classes the cells are too small to read; the list of mistakes stands alone then.
_CONFUSION_CLASSES = 30
# The same for a table with a column for each label.
_LABEL_COLUMNS = 20
# Of one label's names on a card, and of the classes in a legend.
_NAMES_SHOWN = 8
_LEGEND_CLASSES = 24


def render(report: Report, pictures: Mapping[str, Picture]) -> str:
    """The page as HTML.

    Parameters
    ----------
    pictures
        Pictures of gallery items by the item's id; an item without one says so.
    """
    kind, measure = report["campaign"]["kind"], sentences.measure_of(report)
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": words.count,
        "dollars": words.dollars,
        "interval": words.interval,
        "moment": words.moment,
        "percent": words.percent,
        "seconds": words.seconds,
        "bounds": measure.bounds,
        "color": _color_of(report),
        "decimal": _decimal,
        "file_name": _file_name,
        "meaning": lambda reason: sentences.REASONS.get(reason, ""),
        "audit_reason": sentences.audit_reason,
        "outlines": _outlines,
        "quality": measure.value,
        "said": _said,
        "story": lambda item: _story(kind, item),
    }
    script = _own_text("page.js")
    return environment.get_template("report.html.j2").render(
        report=report,
        kind=kind,
        measure=measure,
        kind_words=WORDS[kind],
        # Each picture stands in the page once, whatever number of cards shows it.
        pictures={
            identifier: (f"picture-{number}", each)
            for number, (identifier, each) in enumerate(sorted(pictures.items()))
        },
        names_shown=_NAMES_SHOWN,
        legend_classes=report["campaign"]["categories"][:_LEGEND_CLASSES],
        skill_by_label=len(report["campaign"]["categories"]) <= _LABEL_COLUMNS
        and any(entry["per_label"] for entry in report["annotators"]),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=_own_text("style.css"),
        tiles=sentences.tiles(report),
        words=sentences.paragraphs(report),
        charts=_charts(report),
        cost_parts=_cost_parts(report),
        curve_names=[(kind, name) for name, kind, _ in _curves(report)],
        arm_names=_arm_names(report),
        comparison_bars=_comparison_bars(report),
        sources=sentences.sources(report),
        largest_class=max(
            1, *(entry["people"] + entry["model"] + entry["input"] for entry in report["labels"]["per_class"])
        ),
        facts=_facts(report),
    )


def _own_text(name: str) -> Markup:
    """A file of this package that goes into the page as it is."""
    return Markup((_FOLDER / name).read_text(encoding="utf-8"))  # noqa: S704 - a file of this package


# ------------------------------------------------------------------------------------------------ charts


def _curves(report: Report) -> list[tuple[str, str, list[Point]]]:
    arms = report["learning"]["arms"]
    strategy = report["campaign"]["strategy"]
    if arms["strategy"] and arms["control"]:
        return [
            (f"{strategy} sampling", "strategy", arms["strategy"]),
            ("random control", "control", arms["control"]),
        ]
    return [(f"{strategy} sampling", "strategy", arms["model"])]


def _arm_names(report: Report) -> list[tuple[str, str]]:
    strategy = report["campaign"]["strategy"]
    return [
        ("strategy", f"{strategy} sampling"),
        ("control", "random control"),
        ("model", "all labels"),
    ]


def _charts(report: Report) -> dict[str, Any]:
    campaign, learning, rounds, model = (
        report["campaign"],
        report["learning"],
        report["rounds"],
        report["model"],
    )
    selection, said = report["selection"], sentences.paragraphs(report)
    return {
        "learning": charts.learning_curve(
            sentences.measure_of(report),
            _curves(report),
            learning["comparison"],
            f"Learning curve. {learning['sentence']}",
        ),
        "rounds": charts.cost_per_round(rounds, f"Cost of each round. {said['cost']}"),
        "cumulative": charts.cumulative_cost(
            rounds, report["cost"]["budget_usd"], f"Cost so far after each round. {said['cost']}"
        ),
        "confusion": charts.confusion_matrix(
            campaign["categories"], model["confusion"], f"Confusion matrix. {said['model']}"
        )
        if model["confusion"] is not None and len(campaign["categories"]) <= _CONFUSION_CLASSES
        else None,
        "margins": charts.margins(selection, f"Margins per round. {said['selection']}")
        if selection
        else None,
        **_audit_charts(report["audit"], said),
    }


def _audit_charts(audit: Audit | None, said: Mapping[str, str]) -> dict[str, Any]:
    if audit is None:
        return {}
    rates = [
        rate for each in audit["rounds"] for rate in (each["initial"], each["final"]) if rate is not None
    ]
    return {
        "verdicts": charts.verdicts(audit, f"Verdicts of each round. {said['audit']}"),
        "rates": charts.error_rates(audit, f"Wrong labels. {said['audit_rates']}") if rates else None,
    }


def _cost_parts(report: Report) -> list[tuple[str, str]]:
    """The legend of the costs."""
    audit = [("audit", "audit")] if report["cost"]["audit_usd"] else []
    return [("people", "labelling"), *audit, ("machine", "compute")]


def _comparison_bars(report: Report) -> list[tuple[str, float, float, str]]:
    cost = report["cost"]
    everything = cost["all_by_people_usd"]
    if not everything:
        return []
    most = max(everything, cost["total_usd"])
    return [
        ("This campaign", cost["total_usd"], cost["total_usd"] / most, "people"),
        ("Everything by people", everything, everything / most, "input"),
    ]


# --------------------------------------------------------------------------------------- gallery and facts


def _file_name(uri: str) -> str:
    return uri.rsplit("/", 1)[-1]


def _decimal(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _color_of(report: Report) -> Callable[[str], str]:
    """The colour of a label by its name, as in masks; a palette that is used up begins again."""
    places = {label: index for index, label in enumerate(report["campaign"]["categories"])}
    return lambda label: palette.color(places[label] % palette.CATEGORIES_MAXIMUM)


def _outlines(boxes: Boxes) -> list[tuple[str, int, str]]:
    """For each label of boxes: its name, how many there are, and their outlines as an SVG path."""
    paths: dict[str, list[str]] = {}
    for box in boxes["boxes"]:
        left, top, width, height = (f"{box[side]:g}" for side in ("left", "top", "width", "height"))
        paths.setdefault(box["label"], []).append(f"M{left} {top}h{width}v{height}h-{width}z")
    return [(label, len(drawn), "".join(drawn)) for label, drawn in paths.items()]


def _said(label: list[Named], nothing: str) -> str:
    """A label in words: "2 × eye, nose"."""
    return (
        ", ".join(
            each["label"] if each["count"] == 1 else f"{each['count']} × {each['label']}" for each in label
        )
        or nothing
    )


def _story(kind: str, item: Item) -> list[str]:
    """How far the model agrees, why the row was asked, when, and by how many it was answered."""
    if item["agreement"] is None:
        said = [f"margin {item['margin']:.3f}"]
    else:
        # With one class each it is 0 or 1, and both labels stand above.
        said = [] if kind == "class" else [f"agreement {item['agreement']:.2f}"]
    left_out = sum(drawn["left_out"] for drawn in (item["boxes"], item["model_boxes"]) if drawn is not None)
    said += [words.counted(left_out, "box", "boxes") + " not drawn"] if left_out else []
    if item["agreement"] is None:
        return said
    said += [item["reason"]] if item["reason"] else []
    if item["round"] is not None:
        said.append(f"round {item['round']}")
    if item["annotators"]:
        said.append(words.counted(item["annotators"], "annotator"))
    return said


def _facts(report: Report) -> list[tuple[str, str, bool]]:
    """(name, value, whether it takes the whole width)."""
    campaign, splits = report["campaign"], report["campaign"]["splits"]
    duration = words.parse_time(campaign["finished_at"]) - words.parse_time(campaign["started_at"])
    return [
        ("Task", campaign["task_type"], False),
        ("Measure", report["metric"]["name"], False),
        ("Label attribute", campaign["label_attribute"], False),
        ("Rows", words.count(campaign["rows"]), False),
        (
            "Splits",
            f"test {words.count(splits['test'])}, validation {words.count(splits['validation'])}, "
            f"pool {words.count(splits['pool'])}",
            False,
        ),
        ("Strategy", campaign["strategy"], False),
        ("Random control", "yes, of equal size" if campaign["random_control"] else "no", False),
        ("Seed set", words.counted(campaign["seed_size"], "row"), False),
        ("Rows per round", words.count(campaign["round_size"]), False),
        ("Workers per object", words.count(campaign["workers_per_object"]), False),
        ("Model adapter", campaign["adapter"], False),
        ("Remaining rows", f"labelled by {campaign['label_remaining']}", False),
        ("Random seed", str(campaign["seed"]), False),
        ("Started", words.moment(campaign["started_at"]), False),
        (
            "Finished",
            f"{words.moment(campaign['finished_at'])}, {words.seconds(duration.total_seconds())}",
            False,
        ),
        ("Stop rule", f"{report['stop']['rule'] or 'none'}: {report['stop']['reason']}", True),
        ("Categories", ", ".join(campaign["categories"]), True),
        ("Input", campaign["manifest_uri"], True),
        ("Campaign", campaign["uri"], True),
        ("Model", report["model"]["uri"], True),
    ]
