from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from truthloop.errors import ObjectNotFound, UnknownRow
from truthloop.labeling.jobs import JobsTable
from truthloop.layout import AuditLayout
from truthloop.manifest import Row, count, encode_row
from truthloop.merge import merge_labels
from truthloop.merge_audit import AuditSummary, WrongAudit, merge_audit
from truthloop.names import audit_name
from truthloop.s3 import S3Gateway
from unit.labeling.kit import BUCKET, LAYOUT, record
from unit.labeling.kit import campaign as prepared_campaign
from unit.labeling.test_merge import (
    IDS,
    JOB,
    NOTHING,
    OTHER_JOB,
    ROUND,
    auto,
    events,
    identifier,
    labeled,
    master,
    master_row,
    metadata,
    task_output,
    write_auto,
    write_output,
)

AUDIT_JOB = "digits-r3-s1-a1-89abcdef"


def audit_of(round_number: int = ROUND) -> AuditLayout:
    return AuditLayout(BUCKET, LAYOUT.campaign, audit_name(LAYOUT, round_number))


@pytest.fixture
def campaign(s3: S3Gateway, jobs: JobsTable) -> S3Gateway:
    s3.write_lines_once(LAYOUT.master_manifest(), map(encode_row, map(master_row, IDS)))
    s3.write_json(LAYOUT.campaign_document(), prepared_campaign().to_document())
    jobs.open(record(JOB, round=ROUND))
    jobs.open(record(OTHER_JOB, round=ROUND + 1))
    return s3


def moment(date: str) -> str:
    return f"2030-01-{date}T12:00:00+00:00"


def event(name: str, date: str, job: str | None = AUDIT_JOB, **keys: Any) -> dict[str, Any]:
    return {"at": moment(date), "event": name, "round": ROUND, "job": job, **keys}


def audited(
    row: Row, status: str, date: str, *history: dict[str, Any], seen: bool = True, **story: Any
) -> Row:
    """A row as the audit leaves it in audited.manifest; one that nobody looked at has no verdict's time."""
    verdict = {"decision": "reject", "reason": "missing", "comment": "尾が無い", "job": AUDIT_JOB}
    told = {**verdict, "at": moment(date)} if seen else {**dict.fromkeys(verdict), "at": None}
    known = row["truthloop"]
    joined = [*known.get("history", []), *history]
    provenance = {**known, "labeled_by": "people", "job": JOB, "round": ROUND, **story, "history": joined}
    audit = {"status": status, "why": "all", **told, "attempts": 0}
    return {**row, "truthloop": {**provenance, "audit": audit}}


def bare(row: Row) -> Row:
    nobody = dict.fromkeys(("round", "reason", "score", "model", "job", "labeled_by", "annotators"))
    return {
        **row,
        "label": None,
        "label-metadata": None,
        "truthloop": {**row["truthloop"], **nobody},
    }


def accepted(row: Row, date: str = "12", **story: Any) -> Row:
    return audited(row, "accepted", date, event("audited", date, decision="accept"), **story)


def fixed(name: str, label: int, date: str = "12") -> Row:
    corrected = {"label": label, "label-metadata": metadata(AUDIT_JOB, date, annotators=1)}
    row = {**labeled(name), **corrected}
    return audited(row, "fixed", date, event("audited", date, decision="fix"), job=AUDIT_JOB, annotators=1)


def unresolved(name: str, date: str = "12") -> Row:
    row = audited(labeled(name), "unresolved", "11", event("audited", "11"), event("taken-back", date))
    gone = bare(row)
    gone["truthloop"] |= {key: row["truthloop"][key] for key in ("audit", "history")}
    return gone


def revoked(name: str, date: str = "12") -> Row:
    """A label of the model's that nobody looked at, and that went with the promise."""
    row = audited(auto(name), "revoked", date, event("revoked", date, job=None), seen=False)
    gone = bare(row)
    gone["truthloop"] |= {key: row["truthloop"][key] for key in ("audit", "history")}
    return gone


def write_audited(s3: S3Gateway, rows: list[Row], round_number: int = ROUND) -> None:
    uri = audit_of(round_number).audited_manifest()
    s3.write_bytes(uri, "".join(encode_row(row) + "\n" for row in rows).encode())


def merge(s3: S3Gateway, round_number: int = ROUND) -> AuditSummary:
    return merge_audit(s3, LAYOUT, round_number, audit_of(round_number).uri)


def label_and_audit(s3: S3Gateway, jobs: JobsTable, rows: list[Row]) -> AuditSummary:
    """A round in which people labelled a and b, the model c and d, and what its audit decided."""
    write_output(s3, [labeled("a"), labeled("b")])
    write_auto(s3, [auto("c"), auto("d")])
    merge_labels(s3, jobs, LAYOUT, ROUND, task_output())
    write_audited(s3, rows)
    return merge(s3)


def test_what_an_audit_decided_reaches_the_rows_and_nothing_else_changes(
    campaign: S3Gateway, jobs: JobsTable
) -> None:
    summary = label_and_audit(
        campaign,
        jobs,
        [accepted(labeled("a")), fixed("b", label=0), accepted(auto("c"), labeled_by="model", job=None)],
    )
    assert summary == AuditSummary(accepted=2, fixed=1)
    rows = master(campaign)
    assert list(rows) == list(IDS)
    assert rows["a"]["label-metadata"] == labeled("a")["label-metadata"]
    assert rows["a"]["weather"] == "rain over a"
    known = rows["a"]["truthloop"]
    assert (known["labeled_by"], known["job"], known["annotators"]) == ("people", JOB, 3)
    assert known["audit"]["comment"] == "尾が無い"
    assert events(rows["a"]) == [("labeled", ROUND), ("audited", ROUND)]
    assert (rows["b"]["label"], rows["b"]["truthloop"]["job"]) == (0, AUDIT_JOB)
    assert (rows["b"]["truthloop"]["annotators"], rows["b"]["truthloop"]["reason"]) == (1, "margin")
    assert (rows["c"]["label"], rows["c"]["truthloop"]["labeled_by"]) == (0, "model")
    assert rows["c"]["truthloop"]["audit"]["status"] == "accepted"
    assert "audit" not in rows["d"]["truthloop"]


def test_labels_given_again_are_counted_with_the_experts(campaign: S3Gateway, jobs: JobsTable) -> None:
    rows = [fixed("a", 0), fixed("b", 0)]
    rows[0]["truthloop"]["audit"]["status"] = "relabeled"
    rows[1]["truthloop"]["audit"]["status"] = "expert"
    assert label_and_audit(campaign, jobs, rows) == AuditSummary(relabeled=2)


def test_a_row_that_lost_its_label_is_in_the_pool_again(campaign: S3Gateway, jobs: JobsTable) -> None:
    held_out: frozenset[str] = frozenset()
    summary = label_and_audit(campaign, jobs, [unresolved("a"), revoked("c"), revoked("d")])
    assert summary == AuditSummary(revoked=2, unresolved=1)
    rows = master(campaign)
    counts = count(rows.values(), "label", held_out)
    assert (counts.labeled, counts.by_model, counts.pool_unlabeled) == (1, 0, 3)
    for name, story in (("a", "taken-back"), ("c", "revoked")):
        row = rows[name]
        assert "label" not in row
        assert "label-metadata" not in row
        assert {
            key: row["truthloop"][key] for key in ("labeled_by", "job", "reason", "round")
        } == dict.fromkeys(("labeled_by", "job", "reason", "round"))
        assert row["truthloop"]["history"][-1]["event"] == story
    assert rows["d"]["truthloop"]["audit"]["status"] == "revoked"
    assert rows["d"]["truthloop"]["audit"]["at"] == moment("12")


def test_a_label_that_was_taken_back_does_not_come_back_with_a_repeated_merge(
    campaign: S3Gateway, jobs: JobsTable
) -> None:
    label_and_audit(campaign, jobs, [unresolved("a"), revoked("c")])
    before = master(campaign)
    merge_labels(campaign, jobs, LAYOUT, ROUND, task_output())
    assert master(campaign) == before


def test_a_row_that_lost_its_label_can_be_labelled_again(campaign: S3Gateway, jobs: JobsTable) -> None:
    label_and_audit(campaign, jobs, [unresolved("a"), revoked("c"), revoked("d")])
    write_output(campaign, [labeled("a", 2, OTHER_JOB, "20"), labeled("c", 2, OTHER_JOB, "20")], OTHER_JOB)
    write_auto(campaign, [auto("d", label=1, date="20", round_number=ROUND + 1)], ROUND + 1)
    merge_labels(campaign, jobs, LAYOUT, ROUND + 1, task_output(OTHER_JOB))
    rows = master(campaign)
    assert [rows[name]["label"] for name in "acd"] == [2, 2, 1]
    assert [rows[name]["truthloop"]["labeled_by"] for name in "acd"] == ["people", "people", "model"]
    # That verdict was on another label; the history still tells it.
    assert all(rows[name]["truthloop"]["audit"] is None for name in "acd")
    assert events(rows["c"]) == [("auto-labeled", ROUND), ("revoked", ROUND), ("labeled", ROUND + 1)]
    etag = campaign.head(LAYOUT.master_manifest()).etag
    merge(campaign)
    assert campaign.head(LAYOUT.master_manifest()).etag == etag


def test_an_older_verdict_leaves_a_newer_label_alone_but_is_told(
    campaign: S3Gateway, jobs: JobsTable
) -> None:
    write_output(campaign, [labeled("a"), labeled("b")])
    newer = [labeled(name, 2, OTHER_JOB, "20") for name in "ab"]
    write_output(campaign, newer, OTHER_JOB)
    merge_labels(campaign, jobs, LAYOUT, ROUND, task_output())
    merge_labels(campaign, jobs, LAYOUT, ROUND + 1, task_output(OTHER_JOB))
    write_audited(campaign, [fixed("a", 0), unresolved("b")])
    merge(campaign)
    rows = master(campaign)
    assert [(rows[name]["label"], rows[name]["truthloop"]["job"]) for name in "ab"] == [(2, OTHER_JOB)] * 2
    assert rows["a"]["truthloop"]["audit"]["status"] == "fixed"
    assert rows["b"]["truthloop"]["audit"] is None
    assert events(rows["a"]) == [("labeled", ROUND), ("audited", ROUND), ("labeled", ROUND + 1)]
    assert events(rows["b"])[-1] == ("labeled", ROUND + 1)


def test_the_models_label_that_an_audit_kept_gives_way_to_a_persons(
    campaign: S3Gateway, jobs: JobsTable
) -> None:
    write_output(campaign, [labeled("c", label=2)])
    write_auto(campaign, [auto("c")])
    merge_labels(campaign, jobs, LAYOUT, ROUND, task_output())
    write_audited(campaign, [accepted(auto("c"), labeled_by="model", job=None)])
    merge(campaign)
    row = master(campaign)["c"]
    assert (row["label"], row["truthloop"]["labeled_by"], row["truthloop"]["job"]) == (2, "people", JOB)


def reset(s3: S3Gateway) -> None:
    s3.write_bytes(
        LAYOUT.master_manifest(), "".join(encode_row(master_row(name)) + "\n" for name in IDS).encode()
    )


def test_labels_and_audits_give_the_same_manifest_in_any_order_and_any_number(
    campaign: S3Gateway, jobs: JobsTable
) -> None:
    write_output(campaign, [labeled("a"), labeled("b")])
    write_auto(campaign, [auto("c"), auto("d")])
    write_audited(campaign, [unresolved("a"), fixed("b", label=0), revoked("c"), revoked("d")])
    write_output(campaign, [labeled("a", 2, OTHER_JOB, "20"), labeled("c", 2, OTHER_JOB, "20")], OTHER_JOB)
    later = audited(labeled("a", 2, OTHER_JOB, "20"), "accepted", "22", event("audited", "22"), job=OTHER_JOB)
    later["truthloop"]["round"] = ROUND + 1
    write_audited(campaign, [later], ROUND + 1)
    merges: list[Callable[[], object]] = [
        lambda: merge_labels(campaign, jobs, LAYOUT, ROUND, task_output()),
        lambda: merge(campaign),
        lambda: merge_labels(campaign, jobs, LAYOUT, ROUND + 1, task_output(OTHER_JOB)),
        lambda: merge(campaign, ROUND + 1),
    ]
    results = []
    for order in [*itertools.permutations(merges), merges * 2, merges[::-1] * 2]:
        reset(campaign)
        for each in order:
            each()
        results.append(master(campaign))
    assert len(results) == 26
    assert all(rows == results[0] for rows in results)
    rows = results[0]
    assert [rows[name].get("label") for name in IDS] == [2, 0, 2, None]
    assert rows["a"]["truthloop"]["audit"]["at"] == moment("22")
    assert rows["d"]["truthloop"]["audit"]["status"] == "revoked"


def test_merging_an_audit_twice_equals_merging_it_once(campaign: S3Gateway, jobs: JobsTable) -> None:
    first = label_and_audit(campaign, jobs, [accepted(labeled("a")), unresolved("b"), revoked("c")])
    etag = campaign.head(LAYOUT.master_manifest()).etag
    assert merge(campaign) == first
    assert campaign.head(LAYOUT.master_manifest()).etag == etag


def test_a_round_with_nothing_to_audit_merges_nothing(campaign: S3Gateway) -> None:
    before = master(campaign)
    assert merge_audit(campaign, LAYOUT, ROUND, None) == AuditSummary()
    assert master(campaign) == before


def test_an_audit_of_another_round_or_campaign_is_refused(campaign: S3Gateway) -> None:
    for uri in (audit_of(ROUND + 1).uri, f"s3://{BUCKET}/audits/job-12345678/"):
        with pytest.raises(WrongAudit, match="Merge it where it belongs"):
            merge_audit(campaign, LAYOUT, ROUND, uri)
    with pytest.raises(ObjectNotFound, match=r"audited\.manifest"):
        merge(campaign)


def test_an_audited_row_of_no_master_row_is_named_and_nothing_is_written(
    campaign: S3Gateway, jobs: JobsTable
) -> None:
    write_audited(campaign, [accepted(labeled("a")), accepted(labeled("stranger"))])
    before = master(campaign)
    with pytest.raises(UnknownRow, match=identifier("stranger")):
        merge(campaign)
    assert master(campaign) == before


def test_a_round_for_the_model_alone_is_audited_too(campaign: S3Gateway, jobs: JobsTable) -> None:
    write_auto(campaign, [auto("c")])
    merge_labels(campaign, jobs, LAYOUT, ROUND, NOTHING)
    write_audited(campaign, [revoked("c")])
    assert merge(campaign) == AuditSummary(revoked=1)
    assert "label" not in master(campaign)["c"]
