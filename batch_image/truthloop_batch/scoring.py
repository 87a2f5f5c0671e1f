"""The subcommand `score`: this array child's share of the pool, as the model of the round before sees it."""

from __future__ import annotations

from collections.abc import Iterator

from truthloop.errors import TruthloopError
from truthloop.manifest import Row
from truthloop_batch import scores
from truthloop_batch.arms import STRATEGY, load_arms, scoring_model
from truthloop_batch.context import Context
from truthloop_batch.inputs import InputReader
from truthloop_batch.milestones import report
from truthloop_batch.model import load_model, predict_batches


class InvalidShard(TruthloopError):
    """The array job has another size than the campaign has shards, or the round has nothing to score."""


def run(context: Context) -> None:
    """Write scores/part-<array index>.parquet with every row that the strategy could still pick."""
    index, shards = context.array_index or 0, context.request.scoring.shards
    if index >= shards:
        raise InvalidShard(
            f"the array index is {index}; allowed: 0 to {shards - 1}, as the campaign has {shards} shards. "
            "Submit the array job with the campaign's size."
        )
    if context.round == 0:
        raise InvalidShard(
            "the round is 0, which has no model to score with; allowed: from 1. Begin with select."
        )
    uri = context.layout.scores(context.round, index)
    if context.s3.exists(uri):
        report("already-done", output=uri)
        return
    model_uri = scoring_model(context)
    model = load_model(context, model_uri)
    reader = InputReader(context, model.adapter, f"score-{index:05d}")
    tables = [
        scores.score_table(ids, context.kind.scores(predictions))
        for ids, predictions in predict_batches(model, reader, _share(context, index, shards))
    ]
    reader.keep()
    scores.write_shard(context.s3, uri, tables)
    report(
        "scored",
        output=uri,
        model=model_uri,
        rows=sum(table.num_rows for table in tables),
        unreadable=len(reader.unreadable),
    )


def _share(context: Context, index: int, shards: int) -> Iterator[Row]:
    """Every `shards`-th row of the manifest, if the strategy may take it.

    Counted over the whole manifest, so a row stays in its shard for the campaign, and with it its kept input.
    """
    strategy = load_arms(context, range(context.round))[STRATEGY]
    for number, row in enumerate(context.rows()):
        if number % shards == index and strategy.may_take(row):
            yield row
