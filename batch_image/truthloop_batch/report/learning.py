"""What the learning curves amount to: the labels that the strategy needed, beside the random control."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from truthloop_batch.report.document import Comparison, Point, Reached
from truthloop_batch.report.measures import Measure
from truthloop_batch.report.words import count, counted, percent


def reached(curve: Sequence[Point], quality: float) -> Reached | None:
    """The labels with which a curve first has a quality, None when it never does.

    Between the last round below the quality and the first one that has it, the labels are interpolated on
    the straight line; an arm that has it in its first round needed what it had there.
    """
    previous: Point | None = None
    for point in curve:
        if point["quality"] >= quality:
            labels = float(point["labels"])
            if previous is not None:
                step = (quality - previous["quality"]) / (point["quality"] - previous["quality"])
                labels = previous["labels"] + step * (point["labels"] - previous["labels"])
            return {
                "first_round": point["round"],
                "first_labels": point["labels"],
                "interpolated_labels": labels,
            }
        previous = point
    return None


def compare(strategy: Sequence[Point], control: Sequence[Point]) -> Comparison | None:
    """Compare two arms at the control's final quality; None when one of them has no points.

    The control is measured by the same rule as the strategy: where its own curve first had that quality,
    which may be before its last round.
    """
    if not strategy or not control:
        return None
    target = control[-1]["quality"]
    by_strategy, by_control = reached(strategy, target), reached(control, target)
    if by_control is None:
        raise AssertionError("a curve reaches its own last quality")
    saved = None
    if by_strategy is not None:
        saved = 1 - by_strategy["interpolated_labels"] / by_control["interpolated_labels"]
    # The arms rarely end with equally many labels, because objects fail: their curves are compared where the
    # shorter one ends.
    same_labels = min(strategy[-1]["labels"], control[-1]["labels"])
    difference = _quality_at(strategy, same_labels) - _quality_at(control, same_labels)
    ours, theirs = strategy[-1]["interval"], control[-1]["interval"]
    return {
        "target_quality": target,
        "strategy": by_strategy,
        "control": by_control,
        "saved_share": saved,
        "same_labels": same_labels,
        "quality_difference": difference,
        "intervals_overlap": ours[0] <= theirs[1] and theirs[0] <= ours[1],
        "won": saved is not None and saved > 0,
    }


def outcome(measure: Measure, name: str, model: Sequence[Point], comparison: Comparison | None) -> str:
    """The outcome in plain words, whichever way it went.

    Parameters
    ----------
    measure
        What the curves measure.
    name
        The strategy's name, such as "margin".
    model
        The curve of the model that is trained on all labels, with at least one point.
    comparison
        None when the campaign had no random control.
    """
    strategy = f"{name.capitalize()} sampling"
    if comparison is None:
        last = model[-1]
        return (
            f"The model reached {_reading(measure, last['quality'])} on the frozen test set with "
            f"{counted(last['labels'], 'training label')}. The campaign had no random control, so what "
            f"{name} sampling saved is not known."
        )
    target, ours, theirs = (
        measure.value(comparison["target_quality"]),
        comparison["strategy"],
        comparison["control"],
    )
    needed = theirs["interpolated_labels"]
    if ours is None:
        return (
            f"{strategy} did not win: it never reached the {measure.name} of {target} with which the "
            f"random control ended, and which random sampling had with {count(needed)} labels."
            + _at_the_same_labels(measure, comparison)
        )
    labels, saved = ours["interpolated_labels"], comparison["saved_share"]
    if comparison["won"] and saved is not None:
        return (
            f"{strategy} first reached the random control’s final {measure.name} of {target} with "
            f"{count(labels)} training labels, random sampling with {count(needed)}: "
            f"{percent(saved, 0)} fewer (interpolated between rounds; a round first measured it with "
            f"{count(ours['first_labels'])})."
        )
    if round(labels) == round(needed):
        verdict = f"it needed as many labels as random sampling, {count(needed)}"
    else:
        verdict = f"it needed {count(labels)} labels and random sampling {count(needed)}"
    return (
        f"{strategy} did not win: for the random control’s final {measure.name} of {target} {verdict}."
        + _at_the_same_labels(measure, comparison)
    )


def certainty(measure: Measure, comparison: Comparison | None, test_rows: int) -> str:
    """How far the test split can tell the arms apart, in plain words."""
    bands = f"Bands are {measure.interval_name} over {counted(test_rows, 'test row')}"
    if comparison is None:
        return f"{bands}."
    if comparison["intervals_overlap"]:
        return f"{bands}; at the end those of the two arms overlap, so that difference alone may be chance."
    return f"{bands}; at the end those of the two arms do not overlap."


def _quality_at(curve: Sequence[Point], labels: int) -> float:
    """The quality with so many labels, on the straight lines between the rounds."""
    return float(
        np.interp(labels, [point["labels"] for point in curve], [point["quality"] for point in curve])
    )


def _reading(measure: Measure, quality: float) -> str:
    """A quality with its name: "95.3% accuracy", "a mean IoU of 0.712"."""
    value = measure.value(quality)
    return f"{value} {measure.name}" if measure.is_share else f"a {measure.name} of {value}"


def _at_the_same_labels(measure: Measure, comparison: Comparison) -> str:
    labels, difference = count(comparison["same_labels"]), comparison["quality_difference"]
    if f"{abs(difference):.3f}" == "0.000":
        return f" With {labels} labels both were equally good."
    verdict = "better" if difference > 0 else "worse"
    return f" With {labels} labels it was {measure.difference(difference)} {verdict}."
