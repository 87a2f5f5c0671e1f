"""The subcommand `evaluate`: how good the round's models are on the frozen splits."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from truthloop.errors import TruthloopError
from truthloop.manifest import Row, row_id
from truthloop_batch.arms import CONTROL, MODEL, STRATEGY
from truthloop_batch.context import Context
from truthloop_batch.inputs import READING_THREADS, InputReader
from truthloop_batch.kinds import Evidence
from truthloop_batch.milestones import report
from truthloop_batch.model import Model, load_model


class NothingToMeasure(TruthloopError):
    """No row of the test split has a label."""


def run(context: Context) -> None:
    """Write evaluation.json: each arm's quality on the test split, the model's on the validation split."""
    output = context.layout.evaluation(context.round)
    if context.s3.exists(output):
        report("already-done", output=output)
        return
    kind = context.kind
    names = [MODEL, STRATEGY, CONTROL] if context.request.selection.random_control else [MODEL]
    models = {name: load_model(context, context.layout.model_of_arm(context.round, name)) for name in names}
    reader = InputReader(context, models[MODEL].adapter, "evaluate")
    test_ids, held_out = frozenset(context.splits.test), context.splits.held_out
    # Sorted, because the resampled intervals depend on the order.
    labeled = sorted(
        (row for row in context.rows() if row_id(row) in held_out and context.is_labeled_by_people(row)),
        key=row_id,
    )
    tested = compare(context, models, reader, [row for row in labeled if row_id(row) in test_ids])
    validated = compare(
        context,
        {MODEL: models[MODEL]},
        reader,
        [row for row in labeled if row_id(row) not in test_ids],
    )
    reader.check(len(labeled), "evaluation")
    reader.keep()
    if not tested.rows:
        raise NothingToMeasure(
            f"none of the {len(test_ids)} rows of the test split has a label and a readable object, so no "
            "model can be measured. See the labelling job of round 0 for why its objects failed."
        )
    arms = {}
    for name, model in models.items():
        arms[name] = {
            "labels": model.labels,
            **kind.quality(tested.evidence[name], context.classes, context.seed),
        }
        report("evaluated", arm=name, labels=model.labels, metric=kind.METRIC, quality=arms[name]["quality"])
    evidence = validated.evidence[MODEL]
    context.s3.write_json_once(
        output,
        {
            "round": context.round,
            "model_uri": context.layout.model(context.round),
            "kind": kind.NAME,
            "metric": kind.METRIC,
            "test": {"rows": len(tested.rows)},
            "arms": arms,
            "validation": {
                "rows": len(validated.rows),
                "quality": (
                    kind.quality(evidence, context.classes, context.seed)["quality"] if evidence else None
                ),
                "log_loss": kind.log_loss(evidence) if evidence else None,
            },
        },
    )


@dataclass(frozen=True)
class Comparison:
    """The ids of the rows that were compared, and for each model what its predictions were worth on them."""

    rows: list[str]
    evidence: dict[str, list[Evidence]]


def compare(
    context: Context, models: Mapping[str, Model], reader: InputReader, rows: list[Row]
) -> Comparison:
    """Compare the models' predictions with the labels of labelled rows; unreadable rows are left out.

    Memory is bounded by a batch of labels and one model's predictions for it.
    """
    kind, classes = context.kind, len(context.classes)
    found = Comparison([], {name: [] for name in models})
    with ThreadPoolExecutor(READING_THREADS) as threads:
        for batch in reader.batches(rows):
            for start in range(0, len(batch.rows), kind.ROWS_AT_ONCE):
                part = slice(start, start + kind.ROWS_AT_ONCE)
                labels = list(threads.map(context.label, batch.rows[part]))
                found.rows.extend(batch.ids[part])
                for name, model in models.items():
                    predictions = model.predict(batch.values[part])
                    found.evidence[name].append(kind.compare(labels, predictions, classes))
    return found
