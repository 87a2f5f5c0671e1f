"""Renders the report's document as one self-contained HTML page: no request leaves it, scripts are pinned."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from truthloop_batch.report import charts, sentences, words
from truthloop_batch.report.document import Item, Point, Report

_FOLDER = Path(__file__).parent
# With more classes the cells are too small to read; the list of mistakes stands alone then.
_CONFUSION_CLASSES = 30


def render(report: Report, thumbnails: Mapping[str, str]) -> str:
    """The page as HTML.

    Parameters
    ----------
    thumbnails
        Pictures of gallery items as data URIs, by the item's id; an item without one says so.
    """
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
        "decimal": _decimal,
        "file_name": _file_name,
        "meaning": lambda reason: sentences.REASONS.get(reason, ""),
        "story": _story,
    }
    script = _own_text("page.js")
    return environment.get_template("report.html.j2").render(
        report=report,
        thumbnails=thumbnails,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=_own_text("style.css"),
        tiles=sentences.tiles(report),
        words=sentences.paragraphs(report),
        charts=_charts(report),
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
            _curves(report), learning["comparison"], f"Learning curve. {learning['sentence']}"
        ),
        "rounds": charts.cost_per_round(rounds, f"Cost of each round. {said['cost']}"),
        "cumulative": charts.cumulative_cost(
            rounds, report["cost"]["budget_usd"], f"Cost so far after each round. {said['cost']}"
        ),
        "confusion": charts.confusion_matrix(
            campaign["categories"], model["confusion"], f"Confusion matrix. {said['model']}"
        )
        if len(campaign["categories"]) <= _CONFUSION_CLASSES
        else None,
        "margins": charts.margins(selection, f"Margins per round. {said['selection']}")
        if selection
        else None,
    }


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


def _story(item: Item) -> list[str]:
    """Why the row was asked, when, and by how many it was answered."""
    if item["labeled_by"] == "model":
        return [f"margin {item['margin']:.3f}"]
    said = [item["reason"]] if item["reason"] else []
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
