"""Merges what an audit decided into the master manifest: labels confirmed, corrected, or taken back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from truthloop.audit.steps import ACCEPTED, EXPERTS, FIXED, RELABELED, REVOKED, UNRESOLVED
from truthloop.campaign import load_campaign
from truthloop.errors import TruthloopError, UnknownRow
from truthloop.layout import AuditLayout, CampaignLayout
from truthloop.manifest import (
    HISTORY,
    SOURCE,
    SOURCE_REF,
    TRUTHLOOP,
    Row,
    is_labeled,
    merge_into,
    metadata_key,
    provenance,
    read_master,
    row_id,
)
from truthloop.names import audit_name
from truthloop.precedence import (
    AUDIT,
    BEGINNING,
    MODEL,
    PEOPLE,
    TAKEN_BACK,
    label_age,
    may_replace,
    moment,
    taken_back_at,
    with_label,
)
from truthloop.s3 import S3Gateway

# What a row tells of its label, as prepare makes it: nobody has labelled it.
_UNTOLD = ("round", "reason", "score", "model", "job", "labeled_by", "annotators")
_FROM_SELECTION = ("reason", "score", "model")


class WrongAudit(TruthloopError):
    """An audit is another round's than the one that merges it."""


@dataclass(frozen=True)
class AuditSummary:
    """What an audit brought, in rows.

    Attributes
    ----------
    accepted
        Labels that stand as they were.
    fixed
        Labels that an auditor corrected.
    relabeled
        Labels that other people gave anew, experts included.
    revoked
        Labels of the model that were taken back, because it kept its promise too seldom.
    unresolved
        Labels that were taken back, because nobody could give a right one.
    """

    accepted: int = 0
    fixed: int = 0
    relabeled: int = 0
    revoked: int = 0
    unresolved: int = 0


def merge_audit(
    s3: S3Gateway, layout: CampaignLayout, round_number: int, audit_uri: str | None
) -> AuditSummary:
    """Merge a round's audit into the master manifest; harmless to repeat, in any order with other merges.

    A label that people gave after the audit's stays; the verdict and the history reach the row all the same.

    Parameters
    ----------
    audit_uri
        Of the audit that has ended; None when there was nothing to audit.

    Raises
    ------
    UnknownRow
        When the audit holds an object that the master manifest lacks; nothing is written.
    WrongAudit
        When the audit is not this round's.
    """
    if audit_uri is None:
        return AuditSummary()
    expected = AuditLayout(layout.bucket, layout.campaign, audit_name(layout, round_number))
    if AuditLayout.from_uri(audit_uri) != expected:
        raise WrongAudit(
            f"{audit_uri} is not the audit of round {round_number} of {layout.uri}, which is {expected.uri}. "
            "Merge it where it belongs."
        )
    attribute = load_campaign(s3, layout).request.label_attribute
    audited = {row_id(row): row for row in read_master(s3, expected.audited_manifest())}
    updates: dict[str, Row] = {}
    missing = dict(audited)
    for row in read_master(s3, layout.master_manifest()):
        identifier = row_id(row)
        if (result := missing.pop(identifier, None)) is not None:
            updates[identifier] = _update(row, result, attribute, round_number)
    if missing:
        shown = ", ".join(
            f"{identifier} ({row.get(SOURCE_REF) or row.get(SOURCE)})"
            for identifier, row in sorted(missing.items())[:3]
        )
        raise UnknownRow(
            f"The audit {audit_uri} has {len(missing)} rows that the master manifest of {layout.uri} lacks, "
            f"such as {shown}. Nothing was merged; check that it audited this campaign's labels."
        )
    if updates:
        merge_into(s3, layout.master_manifest(), updates)
    counts = Counter(str((provenance(row).get(AUDIT) or {}).get("status")) for row in audited.values())
    return AuditSummary(
        accepted=counts[ACCEPTED],
        fixed=counts[FIXED],
        relabeled=counts[RELABELED] + counts[EXPERTS],
        revoked=counts[REVOKED],
        unresolved=counts[UNRESOLVED],
    )


def _update(row: Row, audited: Row, attribute: str, round_number: int) -> Row:
    """What the audit changes in a master row."""
    verdict = _newer(provenance(row).get(AUDIT), _verdict(audited, attribute))
    history = {HISTORY: provenance(audited).get(HISTORY) or []}
    if is_labeled(audited, attribute):
        metadata = audited.get(metadata_key(attribute)) or {}
        story = _story(audited, metadata, round_number)
        age = label_age(audited, attribute, story["job"])
        if may_replace(row, attribute, story["labeled_by"], age):
            return with_label(
                row, attribute, audited[attribute], metadata, {**story, **history, AUDIT: verdict}
            )
    elif _is_newer(audited, row, attribute):
        untold = dict.fromkeys(_UNTOLD)
        return {
            attribute: None,
            metadata_key(attribute): None,
            TRUTHLOOP: {**untold, **history, AUDIT: verdict},
        }
    if is_labeled(row, attribute) and (verdict or {}).get("status") in TAKEN_BACK:
        # It was on a label that another has replaced since.
        verdict = None
    return {TRUTHLOOP: {**history, AUDIT: verdict}}


def _verdict(audited: Row, attribute: str) -> dict[str, Any]:
    """The verdict on an audited row; of a label that was taken back unseen, with the time of that."""
    found = dict(provenance(audited)[AUDIT])
    if found.get("at") is None and (taken_back := taken_back_at(audited, attribute)) != BEGINNING:
        found["at"] = taken_back.isoformat()
    return found


def _story(audited: Row, metadata: Mapping[str, Any], round_number: int) -> dict[str, Any]:
    """Who gave an audited row's label, why and in which job, as the merge of labels tells it."""
    known = provenance(audited)
    by_model = known.get("labeled_by") == MODEL
    return {
        **{key: known[key] for key in _FROM_SELECTION if key in known},
        "round": round_number,
        "job": None if by_model else known.get("job"),
        "labeled_by": MODEL if by_model else PEOPLE,
        "annotators": None if by_model else metadata.get("annotators"),
    }


def _is_newer(audited: Row, row: Row, attribute: str) -> bool:
    """Whether the row's label is from before the verdict that takes it back."""
    given, _ = label_age(row, attribute, None)
    return not is_labeled(row, attribute) or taken_back_at(audited, attribute) >= given


def _newer(first: Mapping[str, Any] | None, second: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The later of two verdicts; of two of one moment the second."""
    if not first or not second:
        return second or first
    return first if moment(first.get("at")) > moment(second.get("at")) else second
