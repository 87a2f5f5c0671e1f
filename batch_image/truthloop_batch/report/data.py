"""Collects everything that report.json says from what the rounds left in S3."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from truthloop.errors import ObjectNotFound, TruthloopError
from truthloop.manifest import Row, provenance
from truthloop_batch.arms import CONTROL, MODEL, STRATEGY
from truthloop_batch.context import Context
from truthloop_batch.report import annotators, audits, contents, document, learning
from truthloop_batch.report.document import Hardest, Labels, Point, Report, Spread
from truthloop_batch.report.measures import MEASURES, Measure
from truthloop_batch.report.sentences import REASONS
from truthloop_batch.scores import read_shard

_READING_THREADS = 16
_CONFUSED_PAIRS = 8


class UnfinishedRound(TruthloopError):
    """A round of the campaign lacks a document that the report needs."""


class LabelCounts:
    """Counts the finished rows by who labelled them, by class and by reason."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._classes = context.classes
        self._sources: Counter[str] = Counter()
        self._by_class: Counter[tuple[int, str]] = Counter()
        self._reasons: Counter[str] = Counter()

    def add(self, row: Row) -> None:
        """Take one row as labels.manifest has it."""
        context, told = self._context, provenance(row)
        source = told["labeled_by"] if context.is_labeled(row) else "nobody"
        self._sources[source] += 1
        self._reasons[str(told["reason"])] += 1
        if source != "nobody":
            found = contents.of_row(context.kind.NAME, row, context.request.label_attribute, self._classes)
            for index, number in found.items():
                self._by_class[index, source] += number

    def document(self) -> Labels:
        known = [reason for reason in REASONS if reason in self._reasons]
        others = sorted(set(self._reasons) - set(known))
        return {
            "people": self._sources["people"],
            "model": self._sources["model"],
            "input": self._sources["input"],
            "nobody": self._sources["nobody"],
            "counted": "boxes" if self._context.kind.NAME == "boxes" else "rows",
            "per_class": [
                {
                    "label": name,
                    "people": self._by_class[index, "people"],
                    "model": self._by_class[index, "model"],
                    "input": self._by_class[index, "input"],
                }
                for index, name in enumerate(self._classes)
            ],
            "reasons": {reason: self._reasons[reason] for reason in [*known, *others]},
        }


@dataclass(frozen=True)
class Rounds:
    """The documents that the rounds wrote, each kind in the order of the rounds from 0."""

    decisions: list[dict[str, Any]]
    evaluations: list[dict[str, Any]]
    selections: list[dict[str, Any]]
    merges: list[dict[str, Any]]


def read_rounds(context: Context) -> Rounds:
    """Read the documents of all rounds up to `context.round`.

    Raises
    ------
    UnfinishedRound
        When a round lacks its decision, evaluation, selection or merge document.
    """
    layout = context.layout

    def read(uri_of_round: Callable[[int], str]) -> list[dict[str, Any]]:
        return list(threads.map(context.s3.read_json, map(uri_of_round, range(context.round + 1))))

    with ThreadPoolExecutor(_READING_THREADS) as threads:
        try:
            return Rounds(
                read(layout.decision), read(layout.evaluation), read(layout.selection), read(layout.merge)
            )
        except ObjectNotFound as error:
            raise UnfinishedRound(
                f"The report of {layout.uri} up to round {context.round} cannot be written. {error} "
                "Run the rounds before finalise, and give the last round that is done."
            ) from error


def collect(context: Context, rounds: Rounds, adapter: str, labels: Labels, hardest: Hardest) -> Report:
    """The report of a campaign whose last round is `context.round`.

    Parameters
    ----------
    adapter
        The name of the last model's adapter; the request may have left the choice to the task type.
    labels, hardest
        What the pass over all rows found.
    """
    rows = labels["people"] + labels["model"] + labels["input"] + labels["nobody"]
    workers, jobs, problems = annotators.collect(context, rounds.merges)
    metric = rounds.evaluations[-1]["metric"]
    measure = MEASURES[metric]
    last = rounds.decisions[-1]
    return {
        "schema_version": document.SCHEMA_VERSION,
        "campaign": _campaign(context, adapter, rows, last["at"]),
        "metric": {
            "key": metric,
            "name": measure.name,
            "meaning": measure.meaning,
            "class_score": measure.class_score,
            "class_meaning": measure.class_meaning,
        },
        "stop": {"round": context.round, "rule": last["rule"], "reason": last["reason"]},
        "rounds": [_round(decision) for decision in rounds.decisions],
        "learning": _learning(context, measure, rounds.evaluations),
        "cost": _cost(context, rounds.decisions, labels),
        "labels": labels,
        "model": _model(context, rounds.evaluations[-1]),
        "annotators": workers,
        "jobs": jobs,
        "problems": problems,
        "audit": audits.collect(context),
        "auto_labels": _auto_labels(rounds.selections),
        "selection": _selection(context, rounds.selections),
        "hardest": hardest,
    }


def _campaign(context: Context, adapter: str, rows: int, finished_at: str) -> document.Campaign:
    request, splits = context.request, context.splits
    return {
        "name": request.campaign,
        "uri": context.layout.uri,
        "task_type": request.task_type,
        "kind": cast("document.Kind", context.kind.NAME),
        "manifest_uri": request.manifest_uri,
        "label_attribute": request.label_attribute,
        "categories": list(context.classes),
        "rows": rows,
        "splits": {
            "test": len(splits.test),
            "validation": len(splits.validation),
            "pool": rows - len(splits.held_out),
        },
        "strategy": request.selection.strategy,
        "random_control": request.selection.random_control,
        "seed_size": request.selection.seed_size,
        "round_size": request.selection.round_size,
        "adapter": adapter,
        "workers_per_object": request.labeling.workers_per_object,
        "label_remaining": request.label_remaining,
        "seed": request.seed,
        "started_at": context.campaign.created_at.isoformat(),
        "finished_at": finished_at,
    }


def _round(decision: Mapping[str, Any]) -> document.Round:
    # Rounds that were decided before there were audits have none in their costs.
    labels, cost = decision["labels"], decision["cost_usd"]
    return {
        "round": decision["round"],
        "people": labels["people"],
        "cumulative_people": labels["cumulative_people"],
        "answers": labels["answers"],
        "labeling_usd": cost["labeling"],
        "audit_usd": cost.get("audit", 0.0),
        "compute_usd": cost["compute"],
        "total_usd": cost["total"],
        "cumulative_usd": cost["cumulative"],
        "finished_at": decision["at"],
    }


def _learning(
    context: Context, measure: Measure, evaluations: Sequence[Mapping[str, Any]]
) -> document.Learning:
    model, strategy, control = (_curve(evaluations, arm) for arm in (MODEL, STRATEGY, CONTROL))
    comparison = learning.compare(strategy, control)
    return {
        "test_rows": evaluations[-1]["test"]["rows"],
        "arms": {"model": model, "strategy": strategy, "control": control},
        "comparison": comparison,
        "sentence": learning.outcome(measure, context.request.selection.strategy, model, comparison),
    }


def _curve(evaluations: Sequence[Mapping[str, Any]], arm: str) -> list[Point]:
    return [
        {
            "round": evaluation["round"],
            "labels": measured["labels"],
            "quality": measured["quality"],
            "interval": measured["interval"],
            "macro_f1": measured["macro_f1"],
        }
        for evaluation in evaluations
        if (measured := evaluation["arms"].get(arm)) is not None
    ]


def _cost(context: Context, decisions: Sequence[Mapping[str, Any]], labels: Labels) -> document.Cost:
    labeling = sum(decision["cost_usd"]["labeling"] for decision in decisions)
    people = sum(decision["labels"]["people"] for decision in decisions)
    total = decisions[-1]["cost_usd"]["cumulative"]
    added = labels["people"] + labels["model"]
    unlabeled = added + labels["nobody"]
    answers = unlabeled * context.request.labeling.workers_per_object
    return {
        "labeling_usd": labeling,
        "audit_usd": sum(decision["cost_usd"].get("audit", 0.0) for decision in decisions),
        "compute_usd": sum(decision["cost_usd"]["compute"] for decision in decisions),
        "total_usd": total,
        "budget_usd": context.request.stop.budget_usd,
        "per_person_label_usd": labeling / people if people else None,
        "per_label_usd": total / added if added else None,
        "all_by_people_usd": context.campaign.prices.labeling(unlabeled, answers),
    }


def _model(context: Context, evaluation: Mapping[str, Any]) -> document.Model:
    measured, validation = evaluation["arms"][MODEL], evaluation["validation"]
    return {
        "round": evaluation["round"],
        "uri": evaluation["model_uri"],
        "labels": measured["labels"],
        "quality": measured["quality"],
        "interval": measured["interval"],
        "macro_f1": measured["macro_f1"],
        "validation_rows": validation["rows"],
        "validation_quality": validation["quality"],
        "validation_log_loss": validation["log_loss"],
        "confusion": measured["confusion"],
        "per_class": measured["per_class"],
        "most_confused": _most_confused(context.classes, measured["confusion"]),
    }


def _most_confused(
    classes: Sequence[str], confusion: Sequence[Sequence[int]] | None
) -> list[document.Confusion] | None:
    """The most frequent mistakes, None where rows do not have exactly one class."""
    if confusion is None:
        return None
    pairs = [
        (-rows, true, predicted)
        for true, line in enumerate(confusion)
        for predicted, rows in enumerate(line)
        if rows and true != predicted
    ]
    return [
        {"label": classes[true], "predicted": classes[predicted], "rows": -rows}
        for rows, true, predicted in sorted(pairs)[:_CONFUSED_PAIRS]
    ]


def _auto_labels(selections: Sequence[Mapping[str, Any]]) -> list[document.AutoLabels]:
    """Of the rounds in which the model might label; none where the request leaves all to people."""
    return [
        {
            "round": selection["round"],
            "rows": auto["rows"],
            "threshold": auto["threshold"],
            "judged": auto["validation"]["judged"],
            "right": auto["validation"]["right"],
            "bound": auto["validation"]["bound"],
            "why": auto["why"],
        }
        for selection in selections
        if (auto := selection.get("auto")) is not None
    ]


def _selection(context: Context, selections: Sequence[Mapping[str, Any]]) -> list[document.Selection]:
    found: list[document.Selection] = []
    for number, selection in enumerate(selections):
        batches = [
            batch
            for uri in context.s3.list(context.layout.scores_prefix(number))
            for batch in read_shard(context.s3, uri)
        ]
        margins = np.concatenate([batch.margin for batch in batches]) if batches else np.empty(0)
        if not len(margins):
            continue
        chosen = np.array(selection["arms"][STRATEGY], dtype="S32")
        selected = np.isin(np.concatenate([batch.ids for batch in batches]), chosen)
        found.append(
            {
                "round": number,
                "pool": _spread(margins),
                "selected": _spread(margins[selected]) if selected.any() else None,
            }
        )
    return found


def _spread(values: NDArray[Any]) -> Spread:
    lowest, p10, median, p90, highest = (
        round(float(value), 6) for value in np.quantile(values, [0, 0.1, 0.5, 0.9, 1])
    )
    return {
        "rows": len(values),
        "lowest": lowest,
        "p10": p10,
        "median": median,
        "p90": p90,
        "highest": highest,
    }
