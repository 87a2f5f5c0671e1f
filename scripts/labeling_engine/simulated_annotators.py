"""Simulated annotators of stated accuracy and speed, and the driver that has them do a labelling job."""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import json
import math
import random
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from statistics import NormalDist
from typing import Any

from labeling_engine.job import LabelingJob, Task, TaskGone, Worker
from labeling_engine.presence import Presence
from labeling_engine.simulated_answers import ELEMENTS, InvalidTruth, Person, choose_one
from labeling_engine.simulated_auditors import INPUTS, UnusableAudit, audit
from labeling_engine.template import CrowdElement, UnusableTemplate, answer_element, has_inputs
from labeling_engine.world import Clock, ObjectUnreadable

_SHORTEST_SECONDS = 0.001
# Least, most and default of an annotator's numbers. Who gives nearly everything back never gets done.
_RANGES: dict[str, tuple[float, float, float | None]] = {
    "accuracy": (0, 1, None),
    "seconds_median": (_SHORTEST_SECONDS, 86_400, None),
    "seconds_spread": (0, 3, 0),
    "decline_rate": (0, 1, 0),
    "return_rate": (0, 0.9, 0),
    "fix_rate": (0, 1, 0),
}
_ANNOTATOR_KEYS = {"name", "confusion", "workteam", *_RANGES}
# WorkteamName in the SageMaker API reference.
_WORKTEAM = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


class InvalidAnnotators(ValueError):
    """A description of simulated annotators is not usable; the text lists every reason."""


class SimulationFailed(RuntimeError):
    """The annotators cannot do the job (unknown truth, template or task input that nobody could answer)."""


@dataclass(frozen=True)
class Annotator:
    """One simulated annotator.

    Attributes
    ----------
    accuracy
        How good the annotator is, 0 to 1: the probability of the true category where one is chosen, and what
        `labeling_engine.simulated_answers` makes of it where several are chosen, or boxes and masks drawn;
        of an auditor, the probability of the right verdict.
    seconds_median, seconds_spread
        Median in seconds and standard deviation of the logarithm of the log-normal time per task.
    decline_rate, return_rate
        Probability of declining an object for good, and of giving it back unfinished each time it comes.
    confusion
        For some true labels the one that a wrong answer names; else a wrong answer is any other label.
    fix_rate
        How often an auditor who finds a wrong category gives the right one instead of sending it back.
    workteam
        The work team whose jobs this annotator does; None for those of every team that nobody names.
    """

    name: str
    accuracy: float
    seconds_median: float
    seconds_spread: float = 0.0
    decline_rate: float = 0.0
    return_rate: float = 0.0
    confusion: Mapping[str, str] = field(default_factory=dict)
    fix_rate: float = 0.0
    workteam: str | None = None

    def choose(
        self, seed: int, source: str, truth: str, categories: Sequence[str], comments: int = 0
    ) -> str | None:
        """Return the category that this annotator sees in an object; None when declining it.

        The same for a seed, a name, an object and how many comments of auditors came with it, however often
        and in whatever order it is asked.
        """
        declines, right, which = _uniforms(*self._look(seed, source, comments))
        if declines < self.decline_rate:
            return None
        if right < self.accuracy:
            return truth
        others = [category for category in categories if category != truth]
        return self.confusion.get(truth) or others[int(which * len(others))]

    def answer(
        self, seed: int, source: str, tag: str, truth: Any, labels: Sequence[str], comments: int = 0
    ) -> dict[str, Any] | None:
        """Return what this annotator answers with a crowd element; None when declining the object.

        Whoever is told that a label was rejected looks again: another number of comments is another draw.

        Raises
        ------
        labeling_engine.simulated_answers.InvalidTruth
            The truth is not of the element's form.
        """
        if tag in _SINGLE:
            if not isinstance(truth, str) or truth not in labels or len(labels) < 2:
                raise InvalidTruth("one of two labels or more")
            label = self.choose(seed, source, truth, labels, comments)
            return None if label is None else choose_one(label)
        look = self._look(seed, source, comments)
        declines, _, _ = _uniforms(*look)
        if declines < self.decline_rate:
            return None
        return ELEMENTS[tag](Person(self.accuracy, self.confusion, _draw(*look, tag)), truth, labels)

    def verdict(
        self,
        seed: int,
        source: str,
        truth: Any,
        task_input: Mapping[str, Any],
        read_object: Callable[[str], bytes],
    ) -> dict[str, str] | None:
        """Return how this annotator answers an audit's form; None when declining the object.

        Each further verdict on an object is another draw.

        Raises
        ------
        labeling_engine.simulated_auditors.UnusableAudit
            The task's input is not of the form of an audit's.
        labeling_engine.simulated_answers.InvalidTruth
            The truth is not of the form of the kind of label.
        """
        look = seed, self.name, source, "audit", len(task_input.get("history") or [])
        declines, _, _ = _uniforms(*look)
        if declines < self.decline_rate:
            return None
        return audit(self.accuracy, self.fix_rate, _draw(*look), truth, task_input, read_object)

    def _look(self, seed: int, source: str, comments: int) -> tuple[str | int, ...]:
        """The identity that the draws of an answer follow from."""
        return (seed, self.name, source, comments) if comments else (seed, self.name, source)

    def pace(self, seed: int, source: str, attempt: int) -> tuple[float, bool]:
        """Return the seconds of one attempt at an object, and whether it ends in giving the object back."""
        time, returns, _ = _uniforms(seed, self.name, source, attempt)
        normal = NormalDist().inv_cdf(min(max(time, 1e-12), 1 - 1e-12))
        seconds = self.seconds_median * math.exp(self.seconds_spread * normal)
        return max(_SHORTEST_SECONDS, round(seconds, 3)), returns < self.return_rate

    def worker(self, region: str, issuer: str, identity_provider: str) -> Worker:
        """Return this annotator as a member of a private workforce; the same for the same name."""
        pseudonym = hashlib.sha256(self.name.encode()).hexdigest()[:16]
        sub = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{issuer}/{self.name}"))
        return Worker(
            worker_id=f"private.{region}.{pseudonym}",
            sub=sub,
            issuer=issuer,
            identity_provider=identity_provider,
        )


@dataclass(frozen=True)
class SimulatedAnnotators:
    """A team of simulated annotators and the truth that they alone know.

    Attributes
    ----------
    seed
        Everything that they do follows from it.
    truth
        By ``source-ref`` or ``source`` text: the true category; for the other elements what
        `labeling_engine.simulated_answers` expects of them.
    mistakes
        What all of them take some objects for, in the form of the truth, until a task comes with an auditor's
        comment. Auditors don't share them.
    """

    seed: int
    truth: Mapping[str, Any]
    annotators: tuple[Annotator, ...]
    mistakes: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_document(cls, document: Any) -> SimulatedAnnotators:
        """Read ``{"seed", "truth": {…} or path of a JSON file, "annotators": [{"name", "accuracy", …}]}``.

        ``mistakes``, of the form of ``truth``, may be left out.

        Raises
        ------
        InvalidAnnotators
            Lists every unknown key and every value out of range.
        """
        if not isinstance(document, dict):
            raise InvalidAnnotators("the annotators are no JSON object; expected seed, truth and annotators")
        known = {"seed", "truth", "mistakes", "annotators"}
        problems = [f"unknown key {key!r}" for key in document.keys() - known]
        seed = document.get("seed")
        if not isinstance(seed, int) or isinstance(seed, bool):
            problems.append(f"seed is {seed!r}; give an integer")
        truth = _read_truth("truth", document.get("truth"), problems)
        mistakes = _read_truth("mistakes", document.get("mistakes", {}), problems)
        if unknown := sorted(mistakes.keys() - truth.keys()):
            problems.append(f"mistakes has {unknown[0]!r}, of which the truth is not given; add it there")
        entries = document.get("annotators")
        if not isinstance(entries, list) or not entries:
            problems.append("annotators is no list with at least one annotator")
            entries = []
        for index, entry in enumerate(entries):
            problems += [f"annotators[{index}]: {problem}" for problem in _annotator_problems(entry)]
        names = [entry.get("name") for entry in entries if isinstance(entry, dict)]
        problems += [
            f"the name {name!r} is given more than once" for name in {n for n in names if names.count(n) > 1}
        ]
        if problems:
            raise InvalidAnnotators("; ".join(problems))
        return cls(document["seed"], truth, tuple(Annotator(**entry) for entry in entries), mistakes)

    def belief(self, source: str, *, is_told: bool) -> Any:
        """Return what annotators take an object for; they may have been told by an auditor."""
        truth = self.truth.get(source)
        return truth if is_told else self.mistakes.get(source, truth)


def simulate(
    job: LabelingJob,
    team: SimulatedAnnotators,
    clock: Clock,
    *,
    region: str,
    issuer: str,
    identity_provider: str = "Cognito",
    presence: Presence | None = None,
    speed: float = 1.0,
    is_over: Callable[[], bool] = lambda: False,
) -> None:
    """Have a team work on a started job until it is finished, in virtual time or beside people.

    A discrete-event simulation: each annotator takes the next task as soon as the last one is done, so they
    work in parallel and a fast one does more. In virtual time the order of events follows from the seed.

    Parameters
    ----------
    clock
        The clock of the job's world, which is advanced from event to event: a `VirtualClock` takes no time, a
        `RunningClock` waits, and must be woken when a person has done something.
    region, issuer, identity_provider
        Region of the workers' ids; issuer and type (Cognito or Oidc) of their identity provider.
    presence
        The people on the same job, for whom the annotators leave places.
    speed
        How many times faster than at their own pace the annotators work.
    is_over
        Asked after each event: whether to leave the job as it is.

    Raises
    ------
    SimulationFailed
        The truth of an object is not known, or the template or a task's input cannot be answered.
    """
    form = _form(job.template)
    workers = [annotator.worker(region, issuer, identity_provider) for annotator in team.annotators]
    busy: list[tuple[datetime, int, _Action]] = []
    idle = set(range(len(workers)))
    next_task = job.next_task if presence is None else presence.next_task
    job.tick()
    while not is_over() and (deadline := job.next_deadline()) is not None:
        for number in sorted(idle):
            task = next_task(workers[number])
            if task is not None:
                idle.remove(number)
                moment, action = _plan(job, team, team.annotators[number], workers[number], form, task)
                moment = min(task.accepted_at + (moment - task.accepted_at) / speed, task.deadline)
                heapq.heappush(busy, (moment, number, action))
        deadline = job.next_deadline() or deadline
        if presence is not None:
            deadline = min(deadline, presence.next_change() or deadline)
        if busy and busy[0][0] < deadline:
            clock.advance_to(busy[0][0])
            # The wait for a running clock is shorter when a person has done something.
            if busy[0][0] <= clock():
                _, number, action = heapq.heappop(busy)
                # Stopped or failed from outside in the meantime: the answer is lost, as it is for a person.
                with contextlib.suppress(TaskGone):
                    action()
                idle.add(number)
        else:
            clock.advance_to(deadline)
            while busy and busy[0][0] <= min(deadline, clock()):
                idle.add(heapq.heappop(busy)[1])
        job.tick()


_Action = Callable[[], None]


def _form(template: str) -> CrowdElement | None:
    """Return the element that a template is answered with; None for the form of an audit."""
    try:
        return answer_element(template, {*_SINGLE, *ELEMENTS})
    except UnusableTemplate as error:
        if has_inputs(template, INPUTS):
            return None
        raise SimulationFailed(f"the simulated annotators cannot use the worker template: {error}") from None


def _plan(
    job: LabelingJob,
    team: SimulatedAnnotators,
    annotator: Annotator,
    worker: Worker,
    form: CrowdElement | None,
    task: Task,
) -> tuple[datetime, _Action]:
    """Return when the annotator is done with a task, and what the annotator does then."""
    seconds, gives_back = annotator.pace(team.seed, task.source, task.attempt)
    done_at = min(task.accepted_at + timedelta(seconds=seconds), task.deadline)
    if gives_back:
        return done_at, lambda: job.return_task(worker, task.object_id)
    if task.source not in team.truth:
        raise SimulationFailed(
            f"the simulated annotators have no truth for {task.source!r}; add it to their document"
        )
    answer = (
        _verdict(job, team, annotator, task, seconds) if form is None else _label(team, annotator, form, task)
    )
    if answer is None:
        return done_at, lambda: job.decline(worker, task.object_id)
    return done_at, lambda: job.submit(worker, task.object_id, answer)


def _verdict(
    job: LabelingJob, team: SimulatedAnnotators, annotator: Annotator, task: Task, seconds: float
) -> dict[str, Any] | None:
    """Return an auditor's answer, None when declining the object."""
    truth = team.truth[task.source]
    try:
        answer = annotator.verdict(team.seed, task.source, truth, task.input, job.read_object)
    except InvalidTruth as error:
        raise SimulationFailed(
            f"the auditors see {task.source!r} with its truth {_shortened(truth)}; expected {error}"
        ) from None
    except (UnusableAudit, ObjectUnreadable) as error:
        raise SimulationFailed(f"the auditors cannot judge {task.source!r}: {error}") from None
    if answer is None:
        return None
    milliseconds = round(1000 * seconds)
    # Nobody looks away meanwhile.
    return {**answer, "clientTiming": json.dumps({"wallMs": milliseconds, "activeMs": milliseconds})}


def _label(
    team: SimulatedAnnotators, annotator: Annotator, element: CrowdElement, task: Task
) -> dict[str, Any] | None:
    """Return an annotator's answer, None when declining the object."""
    comments = task.input.get("feedback") or []
    truth = team.belief(task.source, is_told=bool(comments))
    attribute = _LABELS.get(element.tag, "labels")
    try:
        labels = element.resolve(attribute, task.input)
    except UnusableTemplate as error:
        raise SimulationFailed(f"the simulated annotators cannot use the worker template: {error}") from None
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
        raise SimulationFailed(
            f"the workers see the {attribute} {labels!r} for {task.source!r}; expected a list of names"
        )
    try:
        content = annotator.answer(team.seed, task.source, element.tag, truth, labels, len(comments))
    except InvalidTruth as error:
        raise SimulationFailed(
            f"the workers see the {attribute} {labels!r} for {task.source!r} with its truth "
            f"{_shortened(truth)}; expected {error}"
        ) from None
    if content is None:
        return None
    if element.begins_with("initial-value", task.input):
        # They draw everything themselves, whatever they are shown.
        content["initialValueModified"] = True
    return {element.name: content}


# The elements with which one label is chosen.
_SINGLE = frozenset({"crowd-classifier", "crowd-image-classifier"})
# The attribute that lists the labels, for the elements whose attribute isn't `labels`.
# Source: "Crowd HTML elements reference" in the SageMaker developer guide.
_LABELS = dict.fromkeys([*_SINGLE, "crowd-image-classifier-multi-select"], "categories")


def _shortened(truth: Any) -> str:
    text = repr(truth)
    return text if len(text) <= 100 else text[:100] + "…"


def _uniforms(*identity: str | int) -> tuple[float, float, float]:
    """Return three numbers in [0, 1) that follow from an identity alone, on every machine."""
    digest = hashlib.sha256(json.dumps(identity).encode()).digest()
    first, second, third = (int.from_bytes(digest[start : start + 6]) / 2**48 for start in (0, 6, 12))
    return first, second, third


def _draw(*identity: str | int) -> random.Random:
    """Return random numbers that follow from an identity alone, whatever the order of the objects."""
    return random.Random(json.dumps(identity))  # noqa: S311


def _read_truth(name: str, truth: Any, problems: list[str]) -> dict[str, Any]:
    if isinstance(truth, str):
        try:
            truth = json.loads(Path(truth).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            problems.append(
                f"{name} {truth!r} cannot be read: {error}; give a JSON file or the object itself"
            )
            return {}
    if not isinstance(truth, dict) or not all(
        isinstance(value, str | list | dict) for value in truth.values()
    ):
        problems.append(
            f"{name} is no object of category names, lists of them, boxes or masks by source; give that or "
            "the path of such a file"
        )
        return {}
    return truth


def _annotator_problems(entry: Any) -> list[str]:
    if not isinstance(entry, dict):
        return [f"{entry!r} is no object; give name, accuracy and seconds_median"]
    problems = [
        f"unknown key {key!r}; allowed are {sorted(_ANNOTATOR_KEYS)}"
        for key in entry.keys() - _ANNOTATOR_KEYS
    ]
    if not isinstance(entry.get("name"), str) or not entry["name"]:
        problems.append(f"name is {entry.get('name')!r}; give a non-empty string")
    for key, (least, most, default) in _RANGES.items():
        value: Any = entry.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            problems.append(f"{key} is {value!r}; give a number from {least} to {most}")
    problems += workteam_problems(entry)
    confusion = entry.get("confusion", {})
    if not isinstance(confusion, dict) or not all(
        isinstance(v, str) and v != k for k, v in confusion.items()
    ):
        problems.append(f"confusion is {confusion!r}; give an object of one other category by true category")
    return problems


def workteam_problems(entry: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the work team that somebody's description names, if it names one."""
    name = entry.get("workteam")
    if name is None or (isinstance(name, str) and _WORKTEAM.fullmatch(name)):
        return []
    return [f"workteam is {name!r}; give the name of a work team, not its ARN, or leave it out"]
