"""How an audited label goes from verdict to verdict, step by step; pure functions on plain values.

A label is judged (AUDIT). A rejected one is given again by people who see why (RELABEL) and judged again, a
limited number of times; after that an expert gives the last one (EXPERT), and without that the label is taken
back. When nothing is rejected any more, a random sample of all labels may be judged once more (FINAL); what
is rejected there goes to the experts at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from truthloop.audit import ACCEPT, FIX, REJECT
from truthloop.audit.choose import WHY_AUTO
from truthloop.audit.display import AUDITED
from truthloop.labeling.jobs import AUDIT, EXPERT, FINAL, RELABEL
from truthloop.manifest import (
    HISTORY,
    TRUTHLOOP,
    Row,
    joined_history,
    metadata_key,
    provenance,
    row_id,
)
from truthloop.request import Audit

# Where a case stands.
OPEN = "open"
REJECTED = "rejected"
SETTLED = "settled"

# Where the label of a case comes from.
ORIGINAL = "original"
FIXED = "fixed"
RELABELED = "relabeled"
EXPERTS = "expert"
TAKEN_BACK = "taken back"

# What became of a row, beside the three above.
ACCEPTED = "accepted"
UNRESOLVED = "unresolved"
REVOKED = "revoked"
UNAUDITED = "unaudited"

# Verdicts by people on their own labels after which the label is judged again; one more and it is left.
_REPEATS_MAXIMUM = 2
_PEOPLE = "people"


@dataclass(frozen=True)
class Step:
    """A step as it is planned: which rows go to whom, for what."""

    step: int
    purpose: str
    objects: int
    manifest_uri: str
    workteam_arn: str
    workers_per_object: int
    label_attribute: str
    task_title: str
    task_description: str

    def to_document(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Step:
        return cls(**document)


@dataclass(frozen=True)
class Judgement:
    """The last verdict on a case that counts.

    Attributes
    ----------
    step, job, at
        When it was given, and in which auditors' job.
    of_job, of_object
        The labelling job and the object in it whose label it is about, None for one by the model.
    """

    decision: str
    reason: str
    comment: str
    step: int
    job: str
    at: str
    of_job: str | None
    of_object: str | None


@dataclass(frozen=True)
class Case:
    """A row that is audited.

    Attributes
    ----------
    row
        With its present label, null after that was taken back.
    why
        Why it is audited; see `choose`.
    job, object
        The labelling job and the object in it that the present label is from, None for one by the model.
    state
        Whether it waits for a verdict (OPEN), for another label (REJECTED) or for nothing (SETTLED).
    origin
        Where the present label comes from.
    attempts
        How often people were asked for another label.
    voids
        Verdicts on the present label that its own labellers gave.
    first
        The decision and the reason of the first verdict, in an AUDIT step: the one on the original label.
    final
        None until the row is drawn for the FINAL step; then OPEN, the decision there, or UNAUDITED.
    overlay
        The present mask with a transparent background, where its metadata name none.
    """

    row: Row
    why: str
    job: str | None
    object: str | None
    state: str = OPEN
    origin: str = ORIGINAL
    attempts: int = 0
    voids: int = 0
    first: Mapping[str, str] | None = None
    verdict: Judgement | None = None
    final: str | None = None
    overlay: str | None = None

    @property
    def id(self) -> str:
        return row_id(self.row)

    @property
    def is_auto(self) -> bool:
        """Whether the model gave the original label."""
        return self.why == WHY_AUTO

    @property
    def status(self) -> str:
        """What became of the row, but for REVOKED, which isn't the case's own matter."""
        if self.origin == TAKEN_BACK:
            return UNRESOLVED
        if self.origin != ORIGINAL:
            return self.origin
        accepted = self.verdict is not None and self.verdict.decision == ACCEPT
        return ACCEPTED if accepted else UNAUDITED

    def to_document(self) -> dict[str, Any]:
        return {
            name: asdict(value) if isinstance(value, Judgement) else value
            for name, value in vars(self).items()
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Case:
        verdict = document["verdict"]
        return cls(**{**document, "verdict": None if verdict is None else Judgement(**verdict)})


@dataclass(frozen=True)
class Moment:
    """The step in which something happens to a case.

    Attributes
    ----------
    object
        The case's object in the step's job.
    """

    step: int
    job: str
    object: str
    at: str
    round: int | None
    label_attribute: str


@dataclass(frozen=True)
class Given:
    """A label that a step brought: its value and its metadata."""

    value: Any
    metadata: Mapping[str, Any]


def next_purpose(cases: Sequence[Case], policy: Audit) -> str | None:
    """What the next step is for, None when no case waits for anything."""
    for purpose in (RELABEL, AUDIT, FINAL, EXPERT):
        if any(is_due(case, purpose, policy) for case in cases):
            return purpose
    return None


def is_due(case: Case, purpose: str, policy: Audit) -> bool:
    """Whether a case takes part in a step of that purpose."""
    if purpose == AUDIT:
        return case.state == OPEN and case.final is None
    if purpose == FINAL:
        return case.state == OPEN and case.final is not None
    if case.state != REJECTED:
        return False
    # A label that is rejected in the end has no more than the experts' attempt before it.
    may_repeat = case.final is None and case.attempts < policy.relabel_rounds
    return may_repeat if purpose == RELABEL else not may_repeat


def plan(
    cases: Sequence[Case],
    policy: Audit,
    prepare: Callable[[Case, str], Case | None],
    draw_final: Callable[[Sequence[Case]], Sequence[Case]],
) -> list[Case]:
    """The cases ready for the next step: what cannot be shown to anybody is given up.

    Parameters
    ----------
    prepare
        The case as it can be shown in a step of that purpose, None when it cannot.
    draw_final
        The cases with those that are drawn for the FINAL step, once all others are settled.
    """
    ready = list(cases)
    while True:
        purpose = next_purpose(ready, policy)
        if purpose is None:
            if policy.final_sample == 0 or any(case.final is not None for case in ready):
                return ready
            drawn = list(draw_final(ready))
            if not any(case.final is not None for case in drawn):
                return ready
            ready = drawn
            continue
        fitting = 0
        for position, case in enumerate(ready):
            if is_due(case, purpose, policy):
                prepared = prepare(case, purpose)
                fitting += prepared is not None
                ready[position] = give_up(case, purpose) if prepared is None else prepared
        if fitting:
            return ready


def judge(case: Case, decision: str, reason: str, comment: str, given: Given | None, when: Moment) -> Case:
    """A verdict that counts; `given` is the label of a fix."""
    judgement = Judgement(decision, reason, comment, when.step, when.job, when.at, case.job, case.object)
    is_final = case.final is not None
    told = {
        "decision": decision,
        "reason": reason,
        "comment": comment,
        "why": FINAL if is_final else case.why,
    }
    judged = replace(
        case,
        row=_with_event(case.row, AUDITED, when, **told),
        verdict=judgement,
        first=case.first if is_final or case.first else {"decision": decision, "reason": reason},
        final=decision if is_final else None,
        state=REJECTED if decision == REJECT else SETTLED,
    )
    if decision == FIX and given is not None:
        return _with_label(judged, given, FIXED, when)
    return judged


def void(case: Case) -> Case:
    """A verdict that one of the label's own people gave: somebody else is asked, but not for ever."""
    voided = replace(case, voids=case.voids + 1)
    purpose = AUDIT if case.final is None else FINAL
    return voided if voided.voids <= _REPEATS_MAXIMUM else give_up(voided, purpose)


def relabel(case: Case, given: Given, when: Moment) -> Case:
    """Another label by people, which is judged again."""
    labeled = _with_label(case, given, RELABELED, when)
    event = {"annotators": given.metadata.get("annotators"), "attempt": case.attempts + 1}
    return replace(
        labeled,
        row=_with_event(labeled.row, "relabeled", when, **event),
        attempts=case.attempts + 1,
        state=OPEN,
    )


def take_experts_label(case: Case, given: Given, when: Moment) -> Case:
    """The experts' label, which is final."""
    labeled = _with_label(case, given, EXPERTS, when)
    event = {"annotators": given.metadata.get("annotators")}
    return replace(labeled, row=_with_event(labeled.row, "expert-labeled", when, **event), state=SETTLED)


def take_back(case: Case, when: Moment) -> Case:
    """A rejected label for which nobody has a better one: the row has none any more."""
    row = without_label(case.row, when.label_attribute)
    event = {"reason": "rejected, and the experts gave no other label"}
    return replace(
        case,
        row=_with_event(row, "taken-back", when, **event),
        state=SETTLED,
        origin=TAKEN_BACK,
        job=None,
        object=None,
        overlay=None,
    )


def give_up(case: Case, purpose: str) -> Case:
    """A case of which a step brought nothing.

    A label that nobody judged stays as it is; one that nobody gave counts as an attempt. Without an experts'
    label see `take_back`.
    """
    if purpose == AUDIT:
        return replace(case, state=SETTLED)
    if purpose == FINAL:
        return replace(case, state=SETTLED, final=UNAUDITED)
    return replace(case, attempts=case.attempts + 1)


def without_label(row: Row, label_attribute: str) -> Row:
    """The row with nulls for its label, and with nothing told of who gave it."""
    nobody = dict.fromkeys(("round", "reason", "score", "model", "job", "labeled_by", "annotators"))
    return {
        **row,
        label_attribute: None,
        metadata_key(label_attribute): None,
        TRUTHLOOP: {**provenance(row), **nobody},
    }


def with_history(row: Row, entry: Mapping[str, Any]) -> Row:
    """The row with one more entry of what happened to it."""
    known = provenance(row)
    return {**row, TRUTHLOOP: {**known, HISTORY: joined_history(known.get(HISTORY) or [], [entry])}}


def _with_event(row: Row, event: str, when: Moment, **details: Any) -> Row:
    return with_history(row, {"at": when.at, "event": event, "round": when.round, "job": when.job, **details})


def _with_label(case: Case, given: Given, origin: str, when: Moment) -> Case:
    told = {
        "labeled_by": _PEOPLE,
        "job": when.job,
        "annotators": given.metadata.get("annotators"),
        "round": when.round,
    }
    row = {
        **case.row,
        when.label_attribute: given.value,
        metadata_key(when.label_attribute): dict(given.metadata),
        TRUTHLOOP: {**provenance(case.row), **told},
    }
    return replace(case, row=row, origin=origin, job=when.job, object=when.object, voids=0, overlay=None)
