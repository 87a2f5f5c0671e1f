"""The stop rules: pure functions of a campaign's progress that say why it should end, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from truthloop.request import Stop

_METRIC_NAMES = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "map_50": "mAP@0.5",
    "mean_iou": "mean IoU",
}


@dataclass(frozen=True)
class Quality:
    """Quality on the frozen test split with its 95 % interval, all as fractions of 1.

    Attributes
    ----------
    value, lower, upper
        The quality and the ends of its interval.
    metric
        What it is: "accuracy", "macro_f1", "map_50" or "mean_iou"; see evaluation.json.
    """

    value: float
    lower: float
    upper: float
    metric: str = "accuracy"

    @property
    def name(self) -> str:
        """The metric as a reader knows it."""
        return _METRIC_NAMES.get(self.metric, self.metric)


@dataclass(frozen=True)
class Progress:
    """What a campaign looks like at the end of a round.

    Attributes
    ----------
    round
        The round that has ended, from 0.
    now
        The time, with its offset.
    cost_usd
        What all rounds cost so far.
    next_round_usd
        What another round is expected to cost.
    left_to_label
        Rows outside the splits that people could still label.
    quality
        Of each round from 0 to this one.
    """

    round: int
    now: datetime
    cost_usd: float
    next_round_usd: float
    left_to_label: int
    quality: tuple[Quality, ...]


@dataclass(frozen=True)
class Verdict:
    """The rule that ends the campaign, by its key in the request, and the reason as a sentence."""

    rule: str
    reason: str


Rule = Callable[[Stop, Progress], str | None]


def target_quality(stop: Stop, progress: Progress) -> str | None:
    """Holds when the lower end of the quality's interval reaches the target: luck alone does not end it."""
    reached = progress.quality[-1]
    if stop.target_quality is None or reached.lower < stop.target_quality:
        return None
    return (
        f"The {reached.name} is {reached.value:.4f}; the lower end of its 95 % interval, "
        f"{reached.lower:.4f}, reaches the target of {stop.target_quality:.4f}."
    )


def nothing_left(stop: Stop, progress: Progress) -> str | None:
    """Holds when people can label no further row outside the splits."""
    return None if progress.left_to_label else "No row outside the splits is left for people to label."


def max_rounds(stop: Stop, progress: Progress) -> str | None:
    """Holds after the last allowed round; the seed round counts."""
    done = progress.round + 1
    return f"{done} of at most {stop.max_rounds} rounds are done." if done >= stop.max_rounds else None


def budget_usd(stop: Stop, progress: Progress) -> str | None:
    """Holds when another round is expected to cost more than the budget has left."""
    if stop.budget_usd is None or progress.cost_usd + progress.next_round_usd <= stop.budget_usd:
        return None
    return (
        f"Another round is expected to cost {progress.next_round_usd:.2f} USD; of the budget of "
        f"{stop.budget_usd:.2f} USD {progress.cost_usd:.2f} USD are spent."
    )


def plateau_rounds(stop: Stop, progress: Progress) -> str | None:
    """Holds when no round of the last `plateau_rounds` was significantly better than all before them.

    A gain is significant when the lower end of the later quality's 95 % interval is above the best earlier
    quality. Both are measured on the same rows, so this asks for rather more than a gain at 95 %.
    """
    if stop.plateau_rounds is None:
        return None
    before = [quality.value for quality in progress.quality[: -stop.plateau_rounds]]
    recent = progress.quality[-stop.plateau_rounds :]
    if not before or any(quality.lower > max(before) for quality in recent):
        return None
    best = max(quality.value for quality in recent)
    return (
        f"The last {stop.plateau_rounds} rounds reached a {recent[-1].name} of {best:.4f}, "
        f"no significant gain over the {max(before):.4f} before them."
    )


def deadline(stop: Stop, progress: Progress) -> str | None:
    """Holds when the deadline has passed; a round that runs is not cut short."""
    if stop.deadline is None or progress.now < stop.deadline:
        return None
    return f"The deadline {stop.deadline.isoformat()} has passed."


# The first that holds is the one that is named: reaching the aim comes before running out of anything.
RULES: tuple[Rule, ...] = (target_quality, nothing_left, max_rounds, budget_usd, plateau_rounds, deadline)


def first_to_hold(stop: Stop, progress: Progress) -> Verdict | None:
    """The rule that ends the campaign now, None when it goes on."""
    for rule in RULES:
        reason = rule(stop, progress)
        if reason is not None:
            return Verdict(rule.__name__, reason)
    return None
