"""The subcommand `evaluate`: how good the round's models are on the frozen splits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from truthloop.errors import TruthloopError
from truthloop.manifest import row_id
from truthloop_batch.arms import CONTROL, MODEL, STRATEGY
from truthloop_batch.context import Context
from truthloop_batch.inputs import InputReader
from truthloop_batch.milestones import report
from truthloop_batch.model import load_model

# The 97.5 % quantile of the standard normal distribution, for intervals of 95 %.
_Z = 1.959963984540054
_PROBABILITY_MINIMUM = 1e-12


class NothingToMeasure(TruthloopError):
    """No row of the test split has a label."""


def run(context: Context) -> None:
    """Write evaluation.json: each arm's quality on the test split, the model's on the validation split."""
    output = context.layout.evaluation(context.round)
    if context.s3.exists(output):
        report("already-done", output=output)
        return
    names = [MODEL, STRATEGY, CONTROL] if context.request.selection.random_control else [MODEL]
    models = {name: load_model(context, context.layout.model_of_arm(context.round, name)) for name in names}
    reader = InputReader(context, models[MODEL].adapter, "evaluate")
    held_out = context.splits.held_out
    labeled = [row for row in context.rows() if row_id(row) in held_out and context.label(row) is not None]
    inputs = reader.read_all(labeled, "evaluation")
    reader.keep()
    test_ids = frozenset(context.splits.test)
    truth = np.array([context.label(row) for row in inputs.rows], dtype=np.int64)
    in_test = np.array([identifier in test_ids for identifier in inputs.ids], dtype=bool)
    if not in_test.any():
        raise NothingToMeasure(
            f"none of the {len(test_ids)} rows of the test split has a label and a readable object, so no "
            "model can be measured. See the labelling job of round 0 for why its objects failed."
        )
    arms = {}
    for name, model in models.items():
        predicted = model.predict(inputs.values[in_test]).probabilities.argmax(axis=1)
        arms[name] = {"labels": model.labels, **quality(truth[in_test], predicted, context.classes)}
        report("evaluated", arm=name, labels=model.labels, accuracy=arms[name]["accuracy"])
    probabilities = models[MODEL].predict(inputs.values[~in_test]).probabilities
    context.s3.write_json_once(
        output,
        {
            "round": context.round,
            "model_uri": context.layout.model(context.round),
            "test": {"rows": int(in_test.sum())},
            "arms": arms,
            "validation": likelihood(truth[~in_test], probabilities),
        },
    )


def quality(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: tuple[str, ...]
) -> dict[str, Any]:
    """How predictions [n] of class indices agree with the truth [n], n >= 1."""
    table = confusion_matrix(truth, predicted, len(classes))
    correct = int(np.trace(table))
    return {
        "accuracy": correct / len(truth),
        "interval": list(wilson_interval(correct, len(truth))),
        "macro_f1": macro_f1(table),
        "confusion": table.tolist(),
        "per_class": [
            {
                "label": label,
                "precision": _share(int(table[index, index]), int(table[:, index].sum())),
                "recall": _share(int(table[index, index]), int(table[index].sum())),
                "rows": int(table[index].sum()),
            }
            for index, label in enumerate(classes)
        ],
    }


def likelihood(truth: NDArray[np.int64], probabilities: NDArray[np.float64]) -> dict[str, Any]:
    """Accuracy and mean negative log-likelihood, in nats, of the true classes; null without rows."""
    if len(truth) == 0:
        return {"rows": 0, "accuracy": None, "log_loss": None}
    of_truth = np.maximum(probabilities[np.arange(len(truth)), truth], _PROBABILITY_MINIMUM)
    return {
        "rows": len(truth),
        "accuracy": float((probabilities.argmax(axis=1) == truth).mean()),
        "log_loss": float(-np.log(of_truth).mean()),
    }


def confusion_matrix(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """Counts [classes, classes]: a row per true class, a column per predicted one."""
    return np.bincount(truth * classes + predicted, minlength=classes**2).reshape(classes, classes)


def macro_f1(table: NDArray[np.int64]) -> float:
    """The mean of the classes' F1 = 2 TP / (2 TP + FP + FN), over the classes that occur in either role."""
    hits = np.diag(table)
    occurrences = table.sum(axis=0) + table.sum(axis=1)
    occurring = occurrences > 0
    return float((2 * hits[occurring] / occurrences[occurring]).mean())


def wilson_interval(correct: int, rows: int) -> tuple[float, float]:
    """The 95 % score interval of a share, rows >= 1.

    Wilson (1927), https://doi.org/10.1080/01621459.1927.10502953.
    """
    share = correct / rows
    spread = _Z**2 / rows
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * share * (1 - share) + spread**2 / 4) / (1 + spread)
    # At the ends the difference of two equal numbers leaves a rounding error.
    return (0.0 if correct == 0 else centre - half), (1.0 if correct == rows else centre + half)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
