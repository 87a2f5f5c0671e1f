"""The subcommand `train`: fits a model to what people labelled, and with a control one per arm."""

from __future__ import annotations

import numpy as np

from truthloop import task_types
from truthloop.errors import TruthloopError
from truthloop.manifest import encode_row, row_id
from truthloop_batch.adapters import create_adapter, default_adapter
from truthloop_batch.adapters.base import Adapter
from truthloop_batch.arms import MODEL, load_arms
from truthloop_batch.context import Context
from truthloop_batch.inputs import InputReader
from truthloop_batch.milestones import report
from truthloop_batch.model import Model, pack_model

_ARCHIVE_TYPE = "application/gzip"


class NothingLabeled(TruthloopError):
    """There is no labelled row to fit a model to."""


def run(context: Context) -> None:
    """Write train.manifest, the rows that were fitted to, and the models.

    model.tar.gz comes last, so that its presence says that all are there.
    """
    output = context.layout.model(context.round)
    if context.s3.exists(output):
        report("already-done", output=output)
        return
    held_out = context.splits.held_out
    # Sorted, because the sums of a fit depend on the order in the last digit.
    labeled = sorted(
        (row for row in context.rows() if row_id(row) not in held_out and context.is_labeled_by_people(row)),
        key=row_id,
    )
    adapter = _adapter(context)
    reader = InputReader(context, adapter, "train")
    inputs = reader.read_all(labeled, "training")
    reader.keep()
    targets = context.kind.targets(context, inputs.rows, inputs.values)
    parts = {MODEL: np.full(len(inputs.rows), True)}
    if context.request.selection.random_control:
        arms = load_arms(context, range(context.round + 1))
        parts = {
            name: np.array([arm.holds(row) for row in inputs.rows], bool) for name, arm in arms.items()
        } | parts
    context.s3.write_lines_once(
        context.layout.train_manifest(context.round), (encode_row(row) for row in inputs.rows)
    )
    for name, part in parts.items():
        if not part.any():
            raise NothingLabeled(
                f"no row of the {name} arm has a label that can be trained on after round {context.round}. "
                "See the labelling jobs of the rounds so far for why their objects failed."
            )
        artifacts = adapter.fit(inputs.values[part], targets[part], len(context.classes), context.seed)
        model = Model(context.kind.NAME, adapter, artifacts, context.classes, int(part.sum()))
        uri = context.layout.model_of_arm(context.round, name)
        archive = pack_model(model)
        context.s3.write_bytes_once(uri, archive, _ARCHIVE_TYPE)
        report(
            "trained", output=uri, labels=model.labels, bytes=len(archive), unreadable=len(reader.unreadable)
        )


def _adapter(context: Context) -> Adapter:
    """The request's adapter, or the one for its task type's labels and rows."""
    settings, kind = context.request.model, context.kind.NAME
    name = settings.adapter
    if name is None:
        name = default_adapter(kind, task_types.get(context.request.task_type).SOURCE_KEY)
    return create_adapter(name, settings.hyperparameters, kind)
