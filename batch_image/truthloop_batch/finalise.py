"""The subcommand `finalise`: labels what is left, and writes the labelled manifest and the report."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from truthloop import task_types
from truthloop.manifest import TRUTHLOOP, Row, encode_row, merge_row, metadata_key, provenance, row_id
from truthloop_batch import acquisition
from truthloop_batch.context import Context
from truthloop_batch.inputs import BATCH_ROWS, InputReader
from truthloop_batch.milestones import report
from truthloop_batch.model import Model, load_model, predict_batches
from truthloop_batch.report import data, page
from truthloop_batch.report.gallery import HardestRows, Opinion, thumbnails

# Why a row of labels.manifest has no label, under truthloop.reason.
NOT_SELECTED = "not-selected"
NO_ANSWER = "no-answer"
HELD_OUT = "held-out"
UNREADABLE = "unreadable"

_CREATION_DATE = "%Y-%m-%dT%H:%M:%S.%f"


def run(context: Context) -> None:
    """Write report/labels.manifest, report.json and index.html; `context.round` is the last round.

    The outputs depend on the campaign's objects alone, not on when the step runs.
    """
    layout, s3 = context.layout, context.s3
    if s3.exists(layout.report()):
        report("already-done", output=layout.report())
        return
    rounds = data.read_rounds(context)
    labeled_at = datetime.fromisoformat(rounds.decisions[-1]["at"])
    model = load_model(context, layout.model(context.round))
    counts, hardest = data.LabelCounts(context.classes), HardestRows(context)

    def lines() -> Iterator[str]:
        for row, opinion in finished_rows(context, model, labeled_at):
            label = context.label(row)
            counts.add(row, label)
            if label is not None and opinion is not None:
                hardest.add(row, opinion)
            yield encode_row(row)

    s3.write_lines_once(layout.labels_manifest(), lines())
    labels = counts.document()
    report(
        "labels-written",
        output=layout.labels_manifest(),
        people=labels["people"],
        model=labels["model"],
        input=labels["input"],
        nobody=labels["nobody"],
    )
    document = data.collect(context, rounds, labels, hardest.document())
    s3.write_json_once(layout.report_document(), document)
    html = page.render(document, thumbnails(context, hardest.rows())).encode()
    s3.write_bytes_once(layout.report(), html, "text/html; charset=utf-8")
    report("report-written", output=layout.report(), bytes=len(html))


def finished_rows(
    context: Context, model: Model, labeled_at: datetime
) -> Iterator[tuple[Row, Opinion | None]]:
    """The rows of labels.manifest in the order of the input, each with what the model says of it.

    A row that the model did not see has no opinion. Memory is bounded by a batch of rows.
    """
    reader = InputReader(context, model.adapter)
    rows = context.rows()
    while batch := list(islice(rows, BATCH_ROWS)):
        seen = [row for row in batch if context.label(row) is not None or _is_for_the_model(context, row)]
        opinions = _opinions(model, reader, seen)
        for row in batch:
            opinion = opinions.get(row_id(row))
            if context.label(row) is not None:
                yield row, opinion
            elif opinion is not None:
                yield labeled_by_model(context, row, opinion, labeled_at), opinion
            else:
                yield left_unlabeled(context, row), None


def labeled_by_model(context: Context, row: Row, opinion: Opinion, labeled_at: datetime) -> Row:
    """The row with the last model's label, in Ground Truth's shape: `human-annotated` is "no"."""
    attribute = context.request.label_attribute
    metadata: dict[str, Any] = {
        "class-name": context.classes[opinion.label],
        "confidence": opinion.confidence,
        "type": task_types.get(context.request.task_type).METADATA_TYPE,
        "human-annotated": "no",
        "creation-date": labeled_at.strftime(_CREATION_DATE),
        "job-name": f"truthloop/{context.request.campaign}",
    }
    told = {
        "round": context.round,
        "reason": "model",
        "score": round(1 - opinion.margin, 6),
        "model": context.layout.model(context.round),
        "labeled_by": "model",
    }
    return merge_row(row, {attribute: opinion.label, metadata_key(attribute): metadata, TRUTHLOOP: told})


def left_unlabeled(context: Context, row: Row) -> Row:
    """The row with the reason why nobody labelled it."""
    if _is_for_the_model(context, row):
        reason = UNREADABLE
    elif provenance(row)["failures"]:
        reason = NO_ANSWER
    elif row_id(row) in context.splits.held_out:
        reason = HELD_OUT
    else:
        reason = NOT_SELECTED
    return merge_row(row, {TRUTHLOOP: {"labeled_by": None, "reason": reason}})


def _is_for_the_model(context: Context, row: Row) -> bool:
    """Whether the model labels the row if nobody has: held-out rows are people's alone."""
    return context.request.label_remaining == "model" and row_id(row) not in context.splits.held_out


def _opinions(model: Model, reader: InputReader, rows: list[Row]) -> dict[str, Opinion]:
    """What the model says of rows, by id; rows whose object cannot be read are left out."""
    opinions: dict[str, Opinion] = {}
    for ids, probabilities in predict_batches(model, reader, rows):
        margins = acquisition.margin(probabilities)
        best = probabilities.argmax(axis=1)
        for number, identifier in enumerate(ids):
            opinions[identifier] = Opinion(
                int(best[number]),
                round(float(probabilities[number, best[number]]), 6),
                round(float(margins[number]), 6),
            )
    return opinions
