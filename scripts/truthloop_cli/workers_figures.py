"""What the answers of a campaign say of each worker, as plain numbers."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from truthloop.trace.answers import ACCEPTED, CHANGED, DECLINED, RETURNED, Activity, Answer
from truthloop_batch.intervals import wilson_interval

LABELS = "labels"
VERDICTS = "verdicts"
_TENTHS = 10
_SECONDS_PER_HOUR = 3_600


@dataclass(frozen=True)
class Price:
    """What one answer costs in USD, by what it gives."""

    label_usd: float
    verdict_usd: float

    def of(self, answers: Iterable[Answer]) -> float:
        return math.fsum(self.verdict_usd if each.is_verdict else self.label_usd for each in answers)


@dataclass(frozen=True)
class Share:
    """A share with its 95 % interval; `of` is how many were counted."""

    value: float
    low: float
    high: float
    of: int


@dataclass(frozen=True)
class Step:
    """Part of a worker's answers, in the order of time: "round 3", or where there is one round "tenth 3"."""

    name: str
    answers: int
    median_seconds: float | None
    agreement: float | None


@dataclass(frozen=True)
class Figures:
    """What is known of one worker's labels or verdicts, or of all workers' together.

    Attributes
    ----------
    worker
        The pseudonym; empty for all.
    work
        "labels" or "verdicts".
    round
        None for all rounds.
    answers, objects
        Answers, and different objects of a job that they are about.
    hours
        Time worked on answers whose time is known.
    per_hour
        Those answers per hour worked.
    median_seconds, p90_seconds
        Per answer.
    agreement
        Mean agreement with the consolidated labels, 0 to 1, over `agreement_of` answers.
    gold
        Mean score against known labels.
    audited, accepted, fixed, rejected
        Labels that the worker contributed to and auditors judged, by the last verdict.
    audit_pass
        Share of these that weren't rejected.
    suggestions_accepted, suggestions
        Suggestions left as they were, and all that were shown.
    cost_usd
        Price of the answers.
    cost_per_accepted_usd
        Price of the answers to audited labels, per label that auditors accepted as it was.
    learning
        Agreement and pace over time.
    """

    worker: str
    work: str
    round: int | None
    answers: int
    objects: int
    hours: float
    per_hour: float | None
    median_seconds: float | None
    p90_seconds: float | None
    agreement: float | None
    agreement_of: int
    gold: Share | None
    audited: int
    accepted: int
    fixed: int
    rejected: int
    audit_pass: Share | None
    declined: int
    returned: int
    suggestions_accepted: int
    suggestions: int
    cost_usd: float
    cost_per_accepted_usd: float | None
    learning: tuple[Step, ...]


@dataclass(frozen=True)
class Report:
    """A campaign's workers, those with most answers first, and all of them together by work."""

    campaign: str
    job: str | None
    workers: list[Figures]
    totals: list[Figures]


def report(
    campaign: str,
    answers: Sequence[Answer],
    activities: Sequence[Activity],
    price: Price,
    job: str | None = None,
    by_round: bool = False,
) -> Report:
    """Sum up answers by worker and work, and by round if asked.

    Parameters
    ----------
    job
        Only this labelling job.
    """
    chosen = [each for each in answers if job in (None, each.job)]
    given_back = [each for each in activities if job in (None, each.job)]
    groups: dict[tuple[str, str, int | None], list[Answer]] = defaultdict(list)
    back: dict[tuple[str, str, int | None], list[Activity]] = defaultdict(list)
    for each in chosen:
        groups[each.worker, _work(each.is_verdict), each.round if by_round else None].append(each)
    verdicts = {each.job for each in chosen if each.is_verdict}
    for other in given_back:
        work = _work(other.job in verdicts or other.purpose in ("audit", "final"))
        back[other.worker, work, other.round if by_round else None].append(other)
    rounds = {(_work(each.is_verdict), each.round) for each in chosen if each.round is not None}
    # Work of several rounds is compared by round, other work by tenths of each worker's answers.
    in_rounds = {work for work in (LABELS, VERDICTS) if sum(each[0] == work for each in rounds) > 1}
    workers = [
        _figures(
            worker,
            work,
            number,
            groups[worker, work, number],
            back[worker, work, number],
            price,
            work in in_rounds,
        )
        for worker, work, number in {*groups, *back}
    ]
    workers.sort(
        key=lambda each: (each.work, -each.answers, each.worker, -1 if each.round is None else each.round)
    )
    totals = []
    for work in (LABELS, VERDICTS):
        mine = [each for each in chosen if _work(each.is_verdict) == work]
        returned = [each for key, many in back.items() if key[1] == work for each in many]
        if mine or returned:
            totals.append(_figures("", work, None, mine, returned, price, work in in_rounds))
    return Report(campaign, job, workers, totals)


def steps_of(workers: Iterable[Figures]) -> list[str]:
    """The names of all steps of these workers' learning, in the order of time."""
    names = {step.name for each in workers for step in each.learning}
    return sorted(names, key=lambda name: int(name.rpartition(" ")[2]))


def share(successes: float, of: int) -> Share | None:
    """A share with its interval, None of nothing.

    Scores between 0 and 1 may be summed up as successes: their variance is no larger than that of a yes or no
    of the same mean, so the interval is not too narrow.
    """
    if of == 0:
        return None
    # The interval's formula holds for any number between 0 and `of`.
    low, high = wilson_interval(successes, of)  # type: ignore[arg-type]
    return Share(successes / of, low, high, of)


def quantile(values: Sequence[float], part: float) -> float | None:
    """A quantile by linear interpolation, None of nothing."""
    return float(np.quantile(values, part)) if values else None


def _work(is_verdict: bool) -> str:
    return VERDICTS if is_verdict else LABELS


def _figures(
    worker: str,
    work: str,
    number: int | None,
    answers: Sequence[Answer],
    back: Sequence[Activity],
    price: Price,
    by_rounds: bool,
) -> Figures:
    seconds = [each.worked_seconds for each in answers if each.worked_seconds is not None]
    # Exact sums, so that the order in which records come doesn't change a digit.
    hours = math.fsum(seconds) / _SECONDS_PER_HOUR
    agreements = [each.agreement for each in answers if each.agreement is not None]
    gold = [each.gold for each in answers if each.gold is not None]
    # A label counts once, however many of the answers to it are in the group.
    judged = {each.answer_of: each.verdict for each in answers if each.verdict is not None}
    decisions = [verdict.decision for verdict in judged.values()]
    accepted = decisions.count("accept")
    paid = price.of(each for each in answers if each.answer_of in judged)
    shown = [each.suggestion for each in answers if each.suggestion in (ACCEPTED, CHANGED)]
    events = [each.event for each in back]
    return Figures(
        worker=worker,
        work=work,
        round=number,
        answers=len(answers),
        objects=len({each.answer_of for each in answers}),
        hours=hours,
        per_hour=len(seconds) / hours if hours else None,
        median_seconds=quantile(seconds, 0.5),
        p90_seconds=quantile(seconds, 0.9),
        agreement=statistics.fmean(agreements) if agreements else None,
        agreement_of=len(agreements),
        gold=share(math.fsum(gold), len(gold)),
        audited=len(judged),
        accepted=accepted,
        fixed=decisions.count("fix"),
        rejected=decisions.count("reject"),
        audit_pass=share(len(judged) - decisions.count("reject"), len(judged)),
        declined=events.count(DECLINED),
        returned=events.count(RETURNED),
        suggestions_accepted=shown.count(ACCEPTED),
        suggestions=len(shown),
        cost_usd=price.of(answers),
        cost_per_accepted_usd=paid / accepted if accepted else None,
        learning=tuple(_learning(answers, by_rounds)) if number is None else (),
    )


def _learning(answers: Sequence[Answer], by_rounds: bool) -> list[Step]:
    if by_rounds:
        rounds = sorted({each.round for each in answers if each.round is not None})
        return [
            _step(f"round {number}", [each for each in answers if each.round == number]) for number in rounds
        ]
    if len(answers) < _TENTHS:
        return []
    ordered = sorted(answers, key=lambda each: (each.submitted_at, each.answer_of))
    bounds = [len(ordered) * part // _TENTHS for part in range(_TENTHS + 1)]
    return [
        _step(f"tenth {part + 1}", ordered[start:end])
        for part, (start, end) in enumerate(itertools.pairwise(bounds))
    ]


def _step(name: str, answers: Sequence[Answer]) -> Step:
    seconds = [each.worked_seconds for each in answers if each.worked_seconds is not None]
    agreements = [each.agreement for each in answers if each.agreement is not None]
    return Step(
        name,
        len(answers),
        quantile(seconds, 0.5),
        statistics.fmean(agreements) if agreements else None,
    )
