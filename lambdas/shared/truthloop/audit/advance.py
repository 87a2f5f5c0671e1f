"""An audit's next step, from what lies in S3 alone: a repeated call, or one after a crash, goes on there.

Each step leaves, in this order: how all cases stand after it, its verdicts, the next step's rows, and the
next step's plan. Every object is written once, and the later ones are made of the earlier ones as they are
read back, so that whichever call writes first, all go the same way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import chain
from typing import Any

from truthloop import labels
from truthloop.audit import FIX, audit_attribute
from truthloop.audit.choose import (
    SAMPLE,
    WHY_AUTO,
    WHY_FINAL,
    Candidate,
    choose,
    draw,
    risk,
)
from truthloop.audit.document import AuditDocument, load_audit
from truthloop.audit.overlays import drawn_categories, transparent
from truthloop.audit.result import Tally, decided_rows, promise, revoke_rejected, summary, verdicts_of
from truthloop.audit.source import labels_by_model, labels_by_people, without_suggestion
from truthloop.audit.step_rows import needs_overlay, step_row
from truthloop.audit.steps import (
    OPEN,
    TAKEN_BACK,
    Case,
    Given,
    Moment,
    Step,
    give_up,
    is_due,
    judge,
    next_purpose,
    plan,
    relabel,
    take_back,
    take_experts_label,
    void,
)
from truthloop.audit.verdicts import Verdict, decide, read_verdict
from truthloop.errors import ObjectNotFound, TruthloopError
from truthloop.labeling.jobs import EXPERT, RELABEL, VERDICTS
from truthloop.labeling.outputs import Response, output_rows, responses
from truthloop.labeling.workers import earlier_skills
from truthloop.layout import AuditLayout, CampaignLayout
from truthloop.manifest import Row, encode_row, is_labeled, metadata_key, read_rows, row_id
from truthloop.names import audit_job_name
from truthloop.prepare import label_category_configuration
from truthloop.s3 import S3Gateway
from truthloop.task_types import InvalidDataObject, MalformedAnswer

_AUDITORS_TITLE = "Check the label"
_AUDITORS_DESCRIPTION = (
    "Look at the object and its label: accept the label, reject it with a comment, or correct it."
)
# After so many failed jobs of one step nobody would still be trying.
_ATTEMPTS_MAXIMUM = 1_000
_PNG = "image/png"


class AuditOutOfStep(TruthloopError):
    """What lies in S3 of an audit contradicts itself."""


@dataclass(frozen=True)
class Progress:
    """Where an audit stands: whether it is done, and the step that is planned or was the last."""

    done: bool
    step: int


def advance(
    s3: S3Gateway, layout: AuditLayout, labeling: Mapping[str, Any] | None, now: datetime
) -> Progress:
    """Take what the last step's job brought, and plan the next step or write the result.

    Parameters
    ----------
    labeling
        What the waiting state got of the step's job, {"job_name", "status", "output_manifest_uri", …}; None
        before the first step, or where it is not known: the step that is planned is then named again.
    """
    audit = load_audit(s3, layout)
    steps = list(_planned_steps(s3, layout))
    if s3.exists(layout.result()):
        return Progress(done=True, step=len(steps))
    number = len(steps)
    standing = _find_cases(s3, layout, number)
    if standing is None:
        at = now.isoformat()
        if number == 0:
            begun, tally = _begin(s3, audit)
        elif labeling is None or not _is_of_step(layout, number, str(labeling["job_name"])):
            return Progress(done=False, step=number)
        else:
            begun, tally = _collect(s3, audit, steps[-1], labeling, at)
        standing = _keep_cases(s3, audit, number, tally, begun)
    cases = standing[1]
    if number and steps[-1].purpose in VERDICTS:
        s3.write_json_once(layout.verdicts(number), verdicts_of(number, steps[-1].purpose, cases))
    purpose = next_purpose(cases, audit.policy)
    if purpose is None:
        _write_result(s3, audit, number, cases, now.isoformat())
        return Progress(done=True, step=number)
    _plan_step(s3, audit, number + 1, purpose, cases)
    return Progress(done=False, step=number + 1)


# What is read and kept


def _planned_steps(s3: S3Gateway, layout: AuditLayout) -> Iterator[Step]:
    number = 1
    while (document := s3.find_json(layout.step(number))) is not None:
        yield Step.from_document(document)
        number += 1


def _find_cases(s3: S3Gateway, layout: AuditLayout, number: int) -> tuple[Tally, list[Case]] | None:
    """What a step left: its tally on the first line, then one case a line; None before its end."""
    uri = layout.cases(number)
    try:
        lines = s3.lines(uri)
    except ObjectNotFound:
        return None
    documents = read_rows(lines, uri)
    tally = Tally(**next(documents))
    return tally, [Case.from_document(document) for document in documents]


def _tally(s3: S3Gateway, layout: AuditLayout, number: int) -> Tally:
    uri = layout.cases(number)
    return Tally(**next(read_rows(s3.lines(uri), uri)))


def _keep_cases(
    s3: S3Gateway, audit: AuditDocument, number: int, tally: Tally, begun: Sequence[Case]
) -> tuple[Tally, list[Case]]:
    """Keep the cases, ready for the next step; what another call kept before stands."""
    cases = plan(
        begun,
        audit.policy,
        lambda case, purpose: _prepared(s3, audit, case, purpose),
        lambda settled: _draw_final(s3, audit, settled),
    )
    documents = chain([asdict(tally)], (case.to_document() for case in cases))
    s3.write_lines_once(audit.layout.cases(number), map(encode_row, documents))
    kept = _find_cases(s3, audit.layout, number)
    if kept is None:
        raise AuditOutOfStep(f"{audit.layout.cases(number)} was written and is gone. Start the audit again.")
    return kept


def _is_of_step(layout: AuditLayout, number: int, job_name: str) -> bool:
    attempts = range(1, _ATTEMPTS_MAXIMUM + 1)
    return any(audit_job_name(layout.uri, number, attempt) == job_name for attempt in attempts)


# The choice


def _begin(s3: S3Gateway, audit: AuditDocument) -> tuple[list[Case], Tally]:
    """The cases as they are chosen. The rows are read twice, so that only the chosen ones are in memory."""
    attribute = audit.source.label_attribute
    answers_of = _answers_of_labelers(s3, audit)
    candidates = {
        row_id(row): Candidate(
            row_id(row), risk(audit.kind, row, attribute, audit.source.label_categories, answers_of(name))
        )
        for name, row in labels_by_people(s3, audit)
    }
    why = choose(list(candidates.values()), audit.policy, audit.seed)
    chosen = _cases_of(s3, audit, why)
    auto_ids = {row_id(row) for row in labels_by_model(s3, audit, set(candidates))}
    drawn = set(draw(auto_ids, audit.policy.auto_sample, audit.seed, WHY_AUTO))
    for row in labels_by_model(s3, audit, set(candidates)):
        if row_id(row) in drawn:
            chosen[row_id(row)] = Case(without_suggestion(row, attribute), WHY_AUTO, None, None)
    tally = Tally(0, rows=len(candidates), auto_rows=len(auto_ids))
    return [case for _, case in sorted(chosen.items())], tally


def _cases_of(s3: S3Gateway, audit: AuditDocument, why: Mapping[str, str]) -> dict[str, Case]:
    """New cases for labels by people, by row id."""
    attribute, job = audit.source.label_attribute, audit.source.job_name
    return {
        row_id(row): Case(without_suggestion(row, attribute), why[row_id(row)], job, name)
        for name, row in labels_by_people(s3, audit)
        if row_id(row) in why
    }


def _answers_of_labelers(s3: S3Gateway, audit: AuditDocument) -> Callable[[str], list[int]]:
    """By object, how many answers of each of its labellers earlier rounds could compare with others'."""
    prefix, campaign = audit.source.worker_response_prefix, audit.campaign
    if campaign is None or prefix is None or audit.policy.policy != SAMPLE or not audit.policy.risk_share:
        return lambda name: []
    skills = earlier_skills(s3, CampaignLayout.from_uri(campaign.uri), campaign.round)
    if not skills:
        # In the beginning everybody is new.
        return lambda name: []
    known = {worker: skill.answers for worker, skill in skills.items()}
    answers = responses(s3, prefix, with_content=False)
    return lambda name: [known.get(response.worker_id, 0) for response in answers.get(name, [])]


def _draw_final(s3: S3Gateway, audit: AuditDocument, settled: Sequence[Case]) -> list[Case]:
    """The settled cases, and those that are drawn from all labels by people as they are now."""
    cases = {case.id: case for case in settled}
    labeled = {
        row_id(row)
        for _, row in labels_by_people(s3, audit)
        if row_id(row) not in cases or cases[row_id(row)].origin != TAKEN_BACK
    }
    drawn = draw(labeled, audit.policy.final_sample, audit.seed, WHY_FINAL)
    new = _cases_of(s3, audit, {name: WHY_FINAL for name in drawn if name not in cases})
    for name in drawn:
        cases[name] = replace(cases.get(name) or new[name], state=OPEN, final=OPEN, voids=0)
    return [case for _, case in sorted(cases.items())]


# A step


def _prepared(s3: S3Gateway, audit: AuditDocument, case: Case, purpose: str) -> Case | None:
    """The case as it can be shown in a step, a mask with its overlay; None when it cannot be shown."""
    if purpose in VERDICTS and audit.kind == labels.MASK and needs_overlay(audit, case):
        try:
            case = replace(case, overlay=_write_overlay(s3, audit, case))
        except (InvalidDataObject, ObjectNotFound):
            return None
    return None if step_row(audit, case, purpose) is None else case


def _write_overlay(s3: S3Gateway, audit: AuditDocument, case: Case) -> str:
    attribute = audit.source.label_attribute
    mask_uri = case.row[attribute]
    if labels.refusal(audit.kind, case.row, attribute, audit.source.label_categories) is not None:
        raise InvalidDataObject(f"{attribute} is {mask_uri!r}; allowed: {labels.ALLOWED[audit.kind]}.")
    metadata = case.row.get(metadata_key(attribute)) or {}
    drawn = drawn_categories(metadata.get("internal-color-map"), audit.source.label_categories)
    name = hashlib.sha256(json.dumps([case.id, mask_uri]).encode()).hexdigest()[:32]
    uri = audit.layout.overlay(name)
    s3.write_bytes_once(uri, transparent(s3.read_bytes(mask_uri), drawn), _PNG)
    return uri


def _plan_step(s3: S3Gateway, audit: AuditDocument, number: int, purpose: str, cases: Sequence[Case]) -> None:
    layout, labeling, policy = audit.layout, audit.labeling, audit.policy
    rows = [
        row
        for case in cases
        if is_due(case, purpose, policy) and (row := step_row(audit, case, purpose)) is not None
    ]
    attribute = audit.source.label_attribute
    judges = purpose in VERDICTS
    teams = {RELABEL: labeling.workteam_arn, EXPERT: labeling.experts_workteam_arn}
    workers = {RELABEL: labeling.workers_per_object, EXPERT: 1}
    step = Step(
        step=number,
        purpose=purpose,
        objects=len(rows),
        manifest_uri=layout.step_manifest(number),
        workteam_arn=teams.get(purpose, labeling.auditors_workteam_arn),
        workers_per_object=workers.get(purpose, policy.auditors_per_object),
        label_attribute=audit_attribute(attribute) if judges else attribute,
        task_title=_AUDITORS_TITLE if judges else labeling.task_title,
        task_description=_AUDITORS_DESCRIPTION if judges else labeling.task_description,
    )
    s3.write_json_once(layout.label_categories(), label_category_configuration(audit.source.label_categories))
    s3.write_lines_once(step.manifest_uri, map(encode_row, rows))
    # Last: a step that has its plan has all that its job needs.
    s3.write_json_once(layout.step(number), step.to_document())


def _collect(
    s3: S3Gateway, audit: AuditDocument, step: Step, labeling: Mapping[str, Any], at: str
) -> tuple[list[Case], Tally]:
    """The cases after a step's job; what of a stopped job was answered counts."""
    before = _find_cases(s3, audit.layout, step.step - 1)
    if before is None:
        raise AuditOutOfStep(
            f"{audit.layout.cases(step.step - 1)} is missing, though step {step.step} was planned from it. "
            "Put its earlier version back."
        )
    folder = audit.layout.labeling_job(labeling["job_name"])
    outputs = {
        row_id(row): row
        for row in output_rows(
            s3,
            labeling["output_manifest_uri"] or folder.output_manifest(),
            labeling["status"],
            folder.intermediate_prefix(),
        )
        if is_labeled(row, step.label_attribute)
    }
    judges = step.purpose in VERDICTS
    answers = responses(s3, folder.worker_responses_prefix(), with_content=judges)
    # The order in which the step's manifest was written.
    due = [case for case in before[1] if is_due(case, step.purpose, audit.policy)]
    moments = {
        case.id: Moment(
            step.step,
            labeling["job_name"],
            str(position),
            at,
            audit.round,
            audit.source.label_attribute,
        )
        for position, case in enumerate(due)
    }
    self_audits = 0
    after: dict[str, Case] = {}
    if judges:
        makers = _makers(s3, audit, [case for case in due if case.id in outputs])
        for case in due:
            when = moments[case.id]
            output = outputs.get(case.id)
            if output is None:
                after[case.id] = give_up(case, step.purpose)
                continue
            own_people = makers.get((case.job, case.object), [])
            given = answers.get(when.object, [])
            own = [each for each in given if any(each.is_by_author_of(other) for other in own_people)]
            self_audits += len(own)
            content = output[step.label_attribute]
            if own:
                others = [each for each in given if each not in own]
                after[case.id] = _judge_by(audit, case, others, content, when)
            else:
                after[case.id] = judge(
                    case,
                    content["decision"],
                    content["reason"],
                    content["comment"],
                    _given(content.get("label")),
                    when,
                )
    else:
        for case in due:
            output = outputs.get(case.id)
            when = moments[case.id]
            given_label = None if output is None else _label_of(output, step.label_attribute)
            if given_label is not None:
                take = relabel if step.purpose == RELABEL else take_experts_label
                after[case.id] = take(case, given_label, when)
            elif step.purpose == RELABEL:
                after[case.id] = give_up(case, RELABEL)
            else:
                after[case.id] = take_back(case, when)
    tally = Tally(
        step.step,
        purpose=step.purpose,
        job_name=labeling["job_name"],
        objects=len(outputs),
        answers=sum(map(len, answers.values())),
        self_audits=self_audits,
    )
    cases = [after.get(case.id, case) for case in before[1]]
    if judges:
        found = promise(audit, cases, _tally(s3, audit.layout, 0).auto_rows)
        cases = revoke_rejected(cases, found, audit.round, at)
    return cases, tally


def _makers(
    s3: S3Gateway, audit: AuditDocument, cases: Sequence[Case]
) -> dict[tuple[str | None, str | None], list[Response]]:
    """The answers of which the cases' present labels were made, by job and object."""
    objects: dict[str, set[str]] = {}
    for case in cases:
        if case.job is not None and case.object is not None:
            objects.setdefault(case.job, set()).add(case.object)
    found: dict[tuple[str | None, str | None], list[Response]] = {}
    for job, names in sorted(objects.items()):
        prefix: str | None = audit.layout.labeling_job(job).worker_responses_prefix()
        if job == audit.source.job_name:
            prefix = audit.source.worker_response_prefix
        if prefix is not None:
            for name, answers in responses(s3, prefix, names, with_content=False).items():
                found[job, name] = answers
    return found


def _judge_by(
    audit: AuditDocument, case: Case, others: Sequence[Response], content: Mapping[str, Any], when: Moment
) -> Case:
    """The verdict of those auditors alone who did not give the label.

    A fix that they alone would have made otherwise is void too: it was never applied.
    """
    source = audit.source
    verdicts: dict[str, Verdict] = {}
    for response in others:
        try:
            verdicts[response.worker_id] = read_verdict(
                response.content, audit.kind, case.row, source.label_attribute, source.label_categories
            )
        except MalformedAnswer:
            # The post-annotation function has reported and left out the same answer.
            continue
    if not verdicts:
        return void(case)
    verdict = decide(verdicts)
    if verdict.decision == FIX and verdict.fix_digest != content.get("fix"):
        return void(case)
    label = content.get("label") if verdict.decision == FIX else None
    return judge(case, verdict.decision, verdict.reason, verdict.comment, _given(label), when)


def _given(label: Any) -> Given | None:
    return None if label is None else Given(label["value"], label["metadata"])


def _label_of(output: Row, attribute: str) -> Given:
    return Given(output[attribute], output.get(metadata_key(attribute)) or {})


# The end


def _write_result(s3: S3Gateway, audit: AuditDocument, number: int, cases: Sequence[Case], at: str) -> None:
    tallies = [_tally(s3, audit.layout, step) for step in range(number + 1)]
    found = promise(audit, cases, tallies[0].auto_rows)
    revocable: Iterator[Row] = iter(())
    if found is not None and found.is_broken:
        people = {row_id(row) for _, row in labels_by_people(s3, audit)}
        revocable = labels_by_model(s3, audit, people)
    rows = decided_rows(audit, cases, revocable, found, at)
    s3.write_lines_once(audit.layout.audited_manifest(), map(encode_row, rows))
    s3.write_json_once(audit.layout.result(), summary(audit, cases, tallies, at))
