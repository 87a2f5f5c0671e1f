"""The subcommand `finalise`: labels what is left, and writes the labelled manifest and the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import islice
from typing import Any

from truthloop import precedence
from truthloop.manifest import TRUTHLOOP, Row, encode_row, merge_row, metadata_key, provenance, row_id
from truthloop_batch.context import Context
from truthloop_batch.inputs import BATCH_ROWS, READING_THREADS, InputReader
from truthloop_batch.milestones import report
from truthloop_batch.model import Model, load_model, predict_batches
from truthloop_batch.model_labels import REST, labeled_by_model
from truthloop_batch.report import data, page
from truthloop_batch.report.gallery import HardestRows, Opinion
from truthloop_batch.report.pictures import pictures

# Why a row of labels.manifest has no label, under truthloop.reason.
NOT_SELECTED = "not-selected"
NO_ANSWER = "no-answer"
HELD_OUT = "held-out"
UNREADABLE = "unreadable"
TAKEN_BACK = "taken-back"

_DIGITS = 6


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
    reader = InputReader(context, model.adapter)
    counts, hardest = data.LabelCounts(context), HardestRows(context)

    def lines() -> Iterator[str]:
        for row, opinion in finished_rows(context, model, reader, labeled_at):
            counts.add(row)
            if opinion is not None:
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
    # Once more for the few rows that are shown, because predictions of all rows need not fit into memory.
    shown = hardest.rows()
    predictions = {
        identifier: prediction
        for ids, found in predict_batches(model, reader, shown.values())
        for identifier, prediction in zip(ids, found, strict=True)
    }
    document = data.collect(context, rounds, model.adapter.name, labels, hardest.document(predictions))
    s3.write_json_once(layout.report_document(), document)
    html = page.render(document, pictures(context, shown, predictions)).encode()
    s3.write_bytes_once(layout.report(), html, "text/html; charset=utf-8")
    report("report-written", output=layout.report(), bytes=len(html))


def finished_rows(
    context: Context, model: Model, reader: InputReader, labeled_at: datetime
) -> Iterator[tuple[Row, Opinion | None]]:
    """The rows of labels.manifest in the order of the input, each with what the model says of it.

    A row that the model did not see has no opinion; one that a model labelled in an earlier round keeps that
    label and that model's opinion. Memory is bounded by a batch of rows and by as many predictions as the
    label kind holds.
    """
    rows = context.rows()
    with ThreadPoolExecutor(READING_THREADS) as threads:
        while batch := list(islice(rows, BATCH_ROWS)):
            seen = {
                row_id(row): row
                for row in batch
                if not context.is_labeled_by_model(row)
                and (context.is_labeled(row) or _is_for_the_model(context, row))
            }
            finished: dict[str, tuple[Row, Opinion]] = {}
            for ids, predictions in predict_batches(model, reader, seen.values()):
                scores = context.kind.scores(predictions)
                finish = _finisher(context, labeled_at)
                finished.update(
                    zip(
                        ids,
                        threads.map(
                            finish,
                            [seen[identifier] for identifier in ids],
                            predictions,
                            scores["confidence"],
                            scores["margin"],
                        ),
                        strict=True,
                    )
                )
            for row in batch:
                if row_id(row) in finished:
                    yield finished[row_id(row)]
                elif context.is_labeled_by_model(row):
                    yield row, _own_opinion(context, row)
                else:
                    yield row if context.is_labeled(row) else left_unlabeled(context, row), None


def _finisher(context: Context, labeled_at: datetime) -> Callable[..., tuple[Row, Opinion]]:
    """What makes a row and the model's prediction of it a row of labels.manifest and an opinion.

    Threads call it: labels and masks are read and written in S3 one by one.
    """
    kind, classes = context.kind, len(context.classes)

    def finish(row: Row, prediction: Any, confidence: float, margin: float) -> tuple[Row, Opinion]:
        told = round(float(confidence), _DIGITS), round(float(margin), _DIGITS)
        if not context.is_labeled(row):
            labeled = labeled_by_model(
                context,
                row,
                kind.label_of(context, row, prediction),
                labeled_at,
                reason=REST,
                score=round(1 - told[1], _DIGITS),
                confidence=told[0],
                model=context.layout.model(context.round),
            )
            return labeled, Opinion(*told, agreement=None)
        agreement = kind.agreement(context.label(row), prediction, classes)
        return row, Opinion(*told, agreement=round(agreement, _DIGITS))

    return finish


def left_unlabeled(context: Context, row: Row) -> Row:
    """The row with the reason why nobody labelled it."""
    if _is_for_the_model(context, row):
        reason = UNREADABLE
    elif (provenance(row).get(precedence.AUDIT) or {}).get("status") in precedence.TAKEN_BACK:
        reason = TAKEN_BACK
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


def _own_opinion(context: Context, row: Row) -> Opinion:
    """What the model said of the row that labelled it."""
    metadata = row[metadata_key(context.request.label_attribute)]
    return Opinion(metadata["confidence"], round(1 - provenance(row)["score"], _DIGITS), agreement=None)
