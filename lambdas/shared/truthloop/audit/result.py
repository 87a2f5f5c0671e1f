"""What an audit found, as result.json and as the rows that it decided on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from truthloop.audit import ACCEPT, DECISIONS, FIX, REASONS, REJECT
from truthloop.audit.choose import WHY_ALL, WHY_AUTO, WHY_FINAL, WHY_RANDOM
from truthloop.audit.document import AuditDocument
from truthloop.audit.estimates import estimate
from truthloop.audit.steps import (
    EXPERTS,
    FIXED,
    REJECTED,
    RELABELED,
    REVOKED,
    TAKEN_BACK,
    UNAUDITED,
    UNRESOLVED,
    Case,
    Judgement,
    with_history,
    without_label,
)
from truthloop.labeling.jobs import VERDICTS
from truthloop.manifest import HISTORY, TRUTHLOOP, Row, provenance, row_id

_ERRORS = frozenset({REJECT, FIX})
# What an auditor or a person after them stands for is not the model's label any more.
_STANDING = frozenset({FIXED, RELABELED, EXPERTS, UNRESOLVED})


@dataclass(frozen=True)
class Tally:
    """What lies beside the cases of a step.

    Attributes
    ----------
    rows, auto_rows
        All labels by people and by the model that the audit is about; of step 0 alone.
    objects, answers
        What the step's job brought: objects with a verdict or a label, and workers' answers.
    self_audits
        Verdicts that one of the label's own people gave.
    """

    step: int
    rows: int = 0
    auto_rows: int = 0
    purpose: str | None = None
    job_name: str | None = None
    objects: int = 0
    answers: int = 0
    self_audits: int = 0


@dataclass(frozen=True)
class Promise:
    """Whether the model's labels of a round are as right as they have to be.

    Attributes
    ----------
    estimate
        Of their errors, from the random sample.
    is_broken
        Whether the part of the sample that is right is below the target.
    """

    estimate: dict[str, Any]
    target: float | None
    is_broken: bool


def promise(audit: AuditDocument, cases: Sequence[Case], auto_rows: int) -> Promise | None:
    """What the sample says of the model's labels; None when there are none."""
    if auto_rows == 0:
        return None
    firsts = [case.first["decision"] for case in cases if case.is_auto and case.first is not None]
    errors = sum(decision in _ERRORS for decision in firsts)
    found = estimate(errors, len(firsts), auto_rows)
    target = audit.target_precision
    # Exactly: 19 of 20 reach 0.95, and 55 of 100 reach 0.55, although 0.55 * 100 is more than 55.
    is_broken = (
        bool(firsts)
        and target is not None
        and Fraction(len(firsts) - errors, len(firsts)) < Fraction(repr(target))
    )
    return Promise(found, target, is_broken)


def summary(audit: AuditDocument, cases: Sequence[Case], tallies: Sequence[Tally], at: str) -> dict[str, Any]:
    """result.json.

    Parameters
    ----------
    tallies
        Of all steps, the choice (step 0) first.
    """
    rows, auto_rows = tallies[0].rows, tallies[0].auto_rows
    statuses = Counter(case.status for case in cases)
    firsts = [case.first for case in cases if case.first is not None]
    decisions = Counter(first["decision"] for first in firsts)
    reasons = Counter(first["reason"] for first in firsts if first["reason"])
    found = promise(audit, cases, auto_rows)
    return {
        "name": audit.name,
        "campaign": None
        if audit.campaign is None
        else {"name": audit.campaign.name, "uri": audit.campaign.uri, "round": audit.campaign.round},
        "job_name": audit.source.job_name,
        "rows": rows,
        "auto_rows": auto_rows,
        "audited": len(firsts),
        "decisions": {decision: decisions[decision] for decision in DECISIONS},
        "reasons": {code: reasons[code] for code in REASONS if reasons[code]},
        "relabeled": statuses[RELABELED],
        "expert": statuses[EXPERTS],
        "unresolved": statuses[UNRESOLVED],
        "unaudited": sum(case.status == UNAUDITED and case.why != WHY_FINAL for case in cases),
        "self_audits": sum(tally.self_audits for tally in tallies),
        "revoked": auto_rows - sum(case.is_auto and not is_revoked(case) for case in cases)
        if found is not None and found.is_broken
        else 0,
        "estimates": {
            "initial": _initial(cases, rows),
            "auto": None
            if found is None
            else {**found.estimate, "promise": found.target, "revoked": found.is_broken},
            "final": _final(cases, rows),
        },
        "paid": _paid(tallies),
        "steps": [
            {
                "step": tally.step,
                "purpose": tally.purpose,
                "job_name": tally.job_name,
                "objects": tally.objects,
                "answers": tally.answers,
            }
            for tally in tallies[1:]
        ],
        "at": at,
    }


def decided_rows(
    audit: AuditDocument,
    cases: Sequence[Case],
    auto_rows: Iterable[Row],
    found: Promise | None,
    at: str,
) -> Iterator[Row]:
    """The rows that the audit decided on, with `truthloop.audit`; those of revoked labels have none.

    Parameters
    ----------
    auto_rows
        All rows that the model labelled: if its promise is broken they are revoked, unless an auditor, or
        people after them, stand for the label.
    found
        What the sample says of the model's labels.
    """
    is_broken = found is not None and found.is_broken
    for case in cases:
        if not (is_broken and is_revoked(case)):
            yield _with_audit(case.row, case.status, case.why, case.verdict, case.attempts)
    if found is None or not is_broken:
        return
    known = {case.id: case for case in cases}
    for row in auto_rows:
        sample = known.get(row_id(row))
        if sample is not None and not is_revoked(sample):
            continue
        bare = without_label(row if sample is None else sample.row, audit.source.label_attribute)
        verdict, attempts = (None, 0) if sample is None else (sample.verdict, sample.attempts)
        told = with_revocation(bare, found, audit.round, at)
        yield _with_audit(told, REVOKED, WHY_AUTO, verdict, attempts)


def revoke_rejected(
    cases: Iterable[Case], found: Promise | None, round_number: int | None, at: str
) -> list[Case]:
    """The cases, in which a broken promise is told of the model's labels that were rejected.

    They go on to people at once; the model's other labels are taken back in the end, see `decided_rows`.
    """
    if found is None or not found.is_broken:
        return list(cases)
    return [
        replace(case, row=with_revocation(case.row, found, round_number, at))
        if case.is_auto and case.state == REJECTED
        else case
        for case in cases
    ]


def with_revocation(row: Row, found: Promise, round_number: int | None, at: str) -> Row:
    """The row with the entry that says why the model's label is revoked, if it isn't told already."""
    if any(entry["event"] == REVOKED for entry in provenance(row).get(HISTORY) or []):
        return row
    sampled, errors = found.estimate["sampled"], found.estimate["errors"]
    entry = {
        "at": at,
        "event": REVOKED,
        "round": round_number,
        "job": None,
        "reason": f"{sampled - errors} of {sampled} labels that were sampled are right, below the promised "
        f"{found.target}",
    }
    return with_history(row, entry)


def is_revoked(case: Case) -> bool:
    """Whether a broken promise takes the case's label with it."""
    if not case.is_auto or case.status in _STANDING:
        return False
    return case.verdict is None or case.verdict.decision != ACCEPT


def verdicts_of(step: int, purpose: str, cases: Iterable[Case]) -> dict[str, Any]:
    """The step's verdicts.json: which label each is about, by its job and object; none on the model's."""
    return {
        "verdicts": [
            {
                "job_name": case.verdict.of_job,
                "object": case.verdict.of_object,
                "decision": case.verdict.decision,
                "reason": case.verdict.reason,
                "purpose": purpose,
                "why": case.why if case.final is None else WHY_FINAL,
                "at": case.verdict.at,
            }
            for case in cases
            if case.verdict is not None and case.verdict.step == step and case.verdict.of_job is not None
        ]
    }


def _initial(cases: Sequence[Case], rows: int) -> dict[str, Any] | None:
    """From the labels by people that were drawn at random, or all: risk says nothing of the others."""
    if rows == 0:
        return None
    firsts = [case.first for case in cases if case.why in (WHY_ALL, WHY_RANDOM) and case.first is not None]
    return estimate(sum(first["decision"] in _ERRORS for first in firsts), len(firsts), rows)


def _final(cases: Sequence[Case], rows: int) -> dict[str, Any] | None:
    """The labels as they were when the FINAL step drew from them; its own corrections come after."""
    finals = [case.final for case in cases if case.final is not None]
    if not finals:
        return None
    judged = [decision for decision in finals if decision in DECISIONS]
    gone = sum(case.origin == TAKEN_BACK and case.final is None and not case.is_auto for case in cases)
    return estimate(sum(decision in _ERRORS for decision in judged), len(judged), rows - gone)


def _paid(tallies: Sequence[Tally]) -> dict[str, int]:
    paid = dict.fromkeys(("objects", "answers", "audit_objects", "audit_answers"), 0)
    for tally in tallies:
        prefix = "audit_" if tally.purpose in VERDICTS else ""
        paid[f"{prefix}objects"] += tally.objects
        paid[f"{prefix}answers"] += tally.answers
    return paid


def _with_audit(row: Row, status: str, why: str, verdict: Judgement | None, attempts: int) -> Row:
    said: Mapping[str, Any] = {} if verdict is None else vars(verdict)
    told = {key: said.get(key) for key in ("decision", "reason", "comment", "job", "at")}
    audited = {"status": status, "why": why, **told, "attempts": attempts}
    return {**row, TRUTHLOOP: {**provenance(row), "audit": audited}}
