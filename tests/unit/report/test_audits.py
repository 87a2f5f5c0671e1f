"""Audits, gold items and the model's labels of the rounds: in labels.manifest, in the report, on the page."""

from __future__ import annotations

import copy
import re
from collections import Counter
from statistics import fmean
from typing import Any

import pytest

from truthloop.audit import REASONS
from truthloop.audit.estimates import estimate
from truthloop.manifest import is_labeled, merge_into, row_id
from truthloop_batch import finalise
from truthloop_batch.intervals import Stratum, stratified_share, wilson_interval
from truthloop_batch.report import audits, charts, page, sentences
from truthloop_batch.report.annotators import gold_score
from unit.report.campaigns import (
    ATTRIBUTE,
    PRICES,
    WORKERS,
    BuiltCampaign,
    audit_of,
    build_campaign,
    digit_files,
)
from unit.report.test_charts import drawings, marks
from unit.report.test_page import EVIL, Document

GOLD_ITEMS = range(140, 158)
AUDITED: dict[str, Any] = {
    "images": 140,
    "rounds": 3,
    "gold_items": GOLD_ITEMS,
    "selection": {"strategy": "margin", "seed_size": 20, "round_size": 8, "random_control": True},
    "splits": {"test_fraction": 0.15, "validation_fraction": 0.3},
    "gold": {"manifest_uri": "s3://truthloop-test-data/gold.manifest", "share": 0.1},
    "auto_labeling": {"target_precision": 0.6},
    "audit": {"policy": "sample", "price_per_answer_usd": 0.5},
}


def told(row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = row["truthloop"]
    return found


def result(number: int, **changes: Any) -> dict[str, Any]:
    """result.json of a round's audit."""
    return {
        "name": f"audited-r{number}-00000000",
        "campaign": None,
        "job_name": "job",
        "rows": 60,
        "auto_rows": 0,
        "audited": 25,
        "decisions": {"accept": 20, "fix": 2, "reject": 3},
        "reasons": {"wrong-label": 2, "unreadable": 1},
        "relabeled": 1,
        "expert": 1,
        "unresolved": 1,
        "unaudited": 1,
        "self_audits": 2,
        "revoked": 0,
        "estimates": {"initial": estimate(3, 20, 60), "auto": None, "final": None},
        "paid": {"objects": 2, "answers": 4, "audit_objects": 25, "audit_answers": 26},
        "steps": [],
        "at": "2026-03-01T09:07:00+00:00",
        **changes,
    }


def event(name: str, number: int, **keys: Any) -> dict[str, Any]:
    return {
        "at": f"2026-03-01T09:{10 * number + 7:02d}:00+00:00",
        "event": name,
        "round": number,
        "job": "a",
        **keys,
    }


def take_back(row: dict[str, Any], number: int, status: str) -> dict[str, Any]:
    """What the merge of an audit does to a row whose label it took back."""
    untold = dict.fromkeys(("round", "reason", "score", "model", "job", "labeled_by", "annotators"))
    verdict = {"status": status, "why": "random", "decision": "reject", "at": event("", number)["at"]}
    events = [event("audited", number, decision="reject", why="auto"), event("revoked", number)]
    return {
        ATTRIBUTE: None,
        f"{ATTRIBUTE}-metadata": None,
        "truthloop": {**untold, "audit": verdict, "history": events},
    }


def audit(built: BuiltCampaign, number: int) -> dict[str, Any] | None:
    """Round 0: one label fixed, one taken back. Round 1: the model's labels revoked but for one."""
    rows = sorted(built.master(), key=row_id)
    pool = [row for row in rows if row_id(row) not in built.context.splits.held_out]
    if number == 0:
        fixed, lost = [row for row in pool if is_labeled(row, ATTRIBUTE)][:2]
        verdict = {"status": "fixed", "why": "random", "decision": "fix", "at": event("", 0)["at"]}
        metadata = {"human-annotated": "yes", "confidence": 1, "creation-date": "2026-03-01T09:06:00.000000"}
        updates = {
            row_id(fixed): {
                ATTRIBUTE: (fixed[ATTRIBUTE] + 1) % 10,
                f"{ATTRIBUTE}-metadata": metadata,
                "truthloop": {
                    "audit": verdict,
                    "history": [event("audited", 0, decision="fix", why="random")],
                },
            },
            row_id(lost): take_back(lost, 0, "unresolved"),
        }
        merge_into(built.s3, built.layout.master_manifest(), updates)
        return result(
            0, estimates={"initial": estimate(3, 20, 60), "auto": None, "final": estimate(0, 10, 59)}
        )
    automatic = [row for row in pool if told(row)["labeled_by"] == "model" and told(row)["round"] == number]
    estimates: dict[str, Any] = {"initial": estimate(1, 10, 16), "auto": None, "final": estimate(1, 12, 20)}
    if number == 1:
        assert len(automatic) > 8
        lost_ones = automatic[1:]
        updates = {row_id(row): take_back(row, 1, "revoked") for row in lost_ones}
        merge_into(built.s3, built.layout.master_manifest(), updates)
        estimates["auto"] = {
            **estimate(4, 8, len(automatic)),
            "promise": 0.6,
            "revoked": True,
        }
        return result(1, rows=16, auto_rows=len(automatic), revoked=len(lost_ones), estimates=estimates)
    return None


@pytest.fixture(scope="module")
def audited(cloud: None) -> BuiltCampaign:
    built = build_campaign(
        name="audited", audited=audit, fails=lambda number: number in (141, 143), **AUDITED
    )
    finalise.run(built.context)
    return built


@pytest.fixture
def report(audited: BuiltCampaign) -> Any:
    return copy.deepcopy(audited.report())


# -------------------------------------------------------------------------------------- labels.manifest


def test_labels_that_the_rounds_left_are_kept_with_their_verdicts_and_their_history(
    audited: BuiltCampaign,
) -> None:
    written = {row_id(row): row for row in audited.labels_manifest()}
    assert [row["source-ref"] for row in audited.labels_manifest()] == [
        row["source-ref"] for row in audited.inputs
    ]
    kept = [row for row in audited.master() if is_labeled(row, ATTRIBUTE)]
    for row in kept:
        assert written[row_id(row)] == row
    automatic = [row for row in kept if told(row)["reason"] == "auto"]
    assert automatic
    assert {told(row)["labeled_by"] for row in automatic} == {"model"}
    assert {told(row)["history"][-1]["event"] for row in automatic} == {"auto-labeled"}
    (fixed,) = [row for row in kept if (told(row).get("audit") or {}).get("status") == "fixed"]
    assert [entry["event"] for entry in told(fixed)["history"]] == ["selected", "audited"]


def test_labels_that_an_audit_took_back_are_given_by_the_last_model(audited: BuiltCampaign) -> None:
    before = {row_id(row): row for row in audited.master()}
    taken_back = {
        identifier
        for identifier, row in before.items()
        if (told(row).get("audit") or {}).get("status") in ("revoked", "unresolved")
        and not is_labeled(row, ATTRIBUTE)
    }
    assert len(taken_back) > 5
    for row in audited.labels_manifest():
        if row_id(row) in taken_back:
            assert (told(row)["labeled_by"], told(row)["reason"]) == ("model", "model")
            # The verdict was on the label before; the history keeps it.
            assert told(row)["audit"] is None
            history = told(row)["history"]
            assert history[:-1] == told(before[row_id(row)])["history"]
            assert {key: history[-1][key] for key in ("event", "round", "job", "model", "at")} == {
                "event": "auto-labeled",
                "round": 2,
                "job": None,
                "model": audited.layout.model(2),
                "at": "2026-03-01T09:30:00+00:00",
            }
            assert history[-1]["confidence"] == pytest.approx(row[f"{ATTRIBUTE}-metadata"]["confidence"])


def test_the_same_rows_say_that_an_audit_took_their_label_back_when_nobody_labels_them(cloud: None) -> None:
    built = build_campaign(name="taken", audited=audit, label_remaining="nobody", **AUDITED)
    finalise.run(built.context)
    reasons = Counter(told(row)["reason"] for row in built.labels_manifest() if ATTRIBUTE not in row)
    unlabeled = [row for row in built.master() if not is_labeled(row, ATTRIBUTE)]
    taken_back = [row for row in unlabeled if told(row).get("audit")]
    assert reasons["taken-back"] == len(taken_back) > 5
    assert built.report()["labels"]["reasons"]["taken-back"] == len(taken_back)
    assert sentences.REASONS["taken-back"] in Document(built.page()).text


def test_no_gold_item_reaches_the_labels(audited: BuiltCampaign) -> None:
    sent = audited.s3.lines(audited.layout.selection_manifest(0))
    assert any('"gold":true' in line for _, line in sent)
    names = {f"user-{number}" for number in GOLD_ITEMS}
    rows = audited.labels_manifest()
    assert len(rows) == 140
    assert not names & {row["id"] for row in rows}
    assert not [row for row in rows if told(row).get("gold")]


def test_the_gallery_shows_the_models_labels_with_what_the_model_said_that_gave_them(
    audited: BuiltCampaign,
) -> None:
    rows = {row_id(row): row for row in audited.labels_manifest()}
    shown = audited.report()["hardest"]["least_certain"]
    scores = sorted(
        (told(row)["score"] for row in rows.values() if told(row)["labeled_by"] == "model"), reverse=True
    )
    assert [1 - item["margin"] for item in shown] == pytest.approx(scores[:12], abs=1e-5)
    for item in shown:
        row = rows[item["id"]]
        assert item["agreement"] is None
        assert item["model_confidence"] == pytest.approx(row[f"{ATTRIBUTE}-metadata"]["confidence"], abs=1e-5)
    # Disputes are about labels of people and of the input.
    assert {item["labeled_by"] for item in audited.report()["hardest"]["disputed"]} <= {"people", "input"}


def test_the_gallery_needs_no_last_model_for_what_an_earlier_one_labelled(cloud: None) -> None:
    built = build_campaign(name="own", label_remaining="nobody", **{**AUDITED, "rounds": 2})
    finalise.run(built.context)
    automatic = {row_id(row): row for row in built.labels_manifest() if told(row)["labeled_by"] == "model"}
    assert len(automatic) > 12
    assert {told(row)["reason"] for row in automatic.values()} == {"auto"}
    shown = built.report()["hardest"]["least_certain"]
    assert [item["id"] for item in shown] == sorted(
        automatic, key=lambda identifier: (-told(automatic[identifier])["score"], identifier)
    )[:12]
    for item in shown:
        assert item["label"] == item["model_label"]
        assert item["reason"] == "auto"


# ------------------------------------------------------------------------------------------ report.json


def test_the_audits_are_told_by_round_and_in_their_sum(audited: BuiltCampaign) -> None:
    found = audited.report()["audit"]
    documents = [audited.s3.read_json(audit_of(audited.layout, number).result()) for number in (0, 1)]
    assert [each["round"] for each in found["rounds"]] == [0, 1]
    for each, document in zip(found["rounds"], documents, strict=True):
        same = (
            *("name", "rows", "auto_rows", "audited", "decisions", "reasons", "relabeled", "expert"),
            *("unresolved", "unaudited", "self_audits", "revoked"),
        )
        assert {key: each[key] for key in same} == {key: document[key] for key in same}
        assert (each["objects"], each["answers"]) == (27, 30)
        for name in ("initial", "final"):
            expected = document["estimates"][name]
            assert each[name] == {
                key: expected[key] for key in ("errors", "sampled", "rows", "rate", "interval")
            }
    assert found["rounds"][0]["auto"] is None
    auto = documents[1]["estimates"]["auto"]
    assert found["rounds"][1]["auto"] == {key: auto[key] for key in auto if key != "confidence"}
    for key in ("rows", "auto_rows", "audited", "relabeled", "expert", "unresolved", "unaudited", "revoked"):
        assert found[key] == sum(each[key] for each in found["rounds"])
    assert found["decisions"] == {"accept": 40, "fix": 4, "reject": 6}
    assert found["reasons"] == {"wrong-label": 4, "unreadable": 2}


def test_the_rates_of_the_campaign_have_the_rounds_as_strata(audited: BuiltCampaign) -> None:
    found = audited.report()["audit"]
    share, interval = stratified_share([Stratum(3, 20, 60), Stratum(1, 10, 16)])
    assert found["initial"] == {
        "errors": 4,
        "sampled": 30,
        "rows": 76,
        "rate": pytest.approx(share),
        "interval": pytest.approx(list(interval)),
    }
    assert found["final"]["rate"] == pytest.approx(20 / 79 * 1 / 12)
    # The only round with labels of the model tells all of them.
    only = found["rounds"][1]["auto"]
    assert found["auto"] == {key: only[key] for key in ("errors", "sampled", "rows", "rate", "interval")}


def test_a_round_in_which_nothing_was_judged_says_nothing_of_the_rate(audited: BuiltCampaign) -> None:
    silent = result(0, estimates={"initial": estimate(0, 0, 60), "auto": None, "final": None})
    one = audits._round(0, silent)
    assert one["initial"] is None
    together = audits.summary([one, audits._round(1, result(1))])
    assert together["initial"]["sampled"] == 20
    assert together["initial"]["rows"] == 60
    assert audits.summary([one])["initial"] is None


def test_reasons_come_most_frequent_first_and_an_unknown_one_is_not_lost() -> None:
    given = {"other": 2, "wrong-label": 2, "new-code": 2, "missing": 5, "inexact": 0}
    found = audits._round(0, result(0, reasons=given))["reasons"]
    assert list(found.items()) == [("missing", 5), ("wrong-label", 2), ("other", 2), ("new-code", 2)]


def test_audits_are_a_part_of_the_costs_of_their_own(audited: BuiltCampaign) -> None:
    report = audited.report()
    again = PRICES.labeling(2, 4)
    verdicts = 25 * PRICES.ground_truth_per_object_usd + 26 * 0.5
    assert [entry["audit_usd"] for entry in report["rounds"]] == pytest.approx(
        [again + verdicts, again + verdicts, 0], abs=1e-5
    )
    for entry in report["rounds"]:
        parts = entry["labeling_usd"] + entry["audit_usd"] + entry["compute_usd"]
        assert entry["total_usd"] == pytest.approx(parts, abs=1e-5)
    cost = report["cost"]
    assert cost["audit_usd"] == pytest.approx(2 * (again + verdicts), abs=1e-5)
    assert cost["total_usd"] == pytest.approx(
        cost["labeling_usd"] + cost["audit_usd"] + cost["compute_usd"], abs=1e-5
    )


def test_the_models_labels_of_the_rounds_are_told_with_what_allowed_them(audited: BuiltCampaign) -> None:
    selections = audited.documents("selection")
    found = audited.report()["auto_labels"]
    assert [entry["round"] for entry in found] == [1, 2]
    for entry in found:
        auto = selections[entry["round"]]["auto"]
        assert (entry["rows"], entry["threshold"], entry["why"]) == (
            auto["rows"],
            auto["threshold"],
            auto["why"],
        )
        assert {key: entry[key] for key in ("judged", "right", "bound")} == auto["validation"]
    assert found[0]["rows"] > 8
    labels = audited.report()["labels"]
    automatic = [row for row in audited.labels_manifest() if told(row)["reason"] == "auto"]
    assert labels["reasons"]["auto"] == len(automatic)
    assert labels["model"] == len(automatic) + labels["reasons"]["model"]


def test_annotators_are_scored_on_gold(audited: BuiltCampaign) -> None:
    sent = {
        (merge["job"], line): int(row["id"].removeprefix("user-"))
        for number, merge in enumerate(audited.documents("merge"))
        for line, row in enumerate(_rows(audited, audited.layout.selection_manifest(number)))
        if told(row).get("gold")
    }
    assert len(sent) > 6
    entries = {entry["worker"]: entry for entry in audited.report()["annotators"]}
    for worker, _, _ in WORKERS:
        scores = [
            float(answer.label == digit_files()[1][sent[answer.job, answer.object]])
            for answer in audited.answers
            if answer.worker == worker and (answer.job, answer.object) in sent
        ]
        gold = entries[worker]["gold"]
        assert gold["answers"] == len(scores) > 5
        assert gold["score"] == pytest.approx(fmean(scores))
        assert gold["interval"] == pytest.approx(list(wilson_interval(round(sum(scores)), len(scores))))
    good, bad = (entries[WORKERS[number][0]]["gold"]["score"] for number in (0, 2))
    assert good > bad


def _rows(built: BuiltCampaign, uri: str) -> list[dict[str, Any]]:
    from truthloop.manifest import read_master

    return list(read_master(built.s3, uri))


def test_jobs_count_gold_items_beside_their_objects_and_not_among_the_failed(audited: BuiltCampaign) -> None:
    selections = audited.documents("selection")
    jobs = audited.report()["jobs"]
    for job, selection, merge in zip(jobs, selections, audited.documents("merge"), strict=True):
        assert job["gold"] == selection["gold"] > 0
        assert job["objects"] == selection["to_label"] == job["labeled"] + job["failed"]
        assert job["answers"] == merge["answers"] + merge["gold"]["answers"]
    # Nobody answered for two of the gold items, which is nobody's loss.
    assert sum(merge["gold"]["objects"] for merge in audited.documents("merge")) < sum(
        job["gold"] for job in jobs
    )
    assert audited.report()["problems"]["failures"] == []


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], None),
        ([1.0, 0.0, 1.0, 1.0], (4, 0.75, wilson_interval(3, 4))),
        ([0.5, 0.75], (2, 0.625, wilson_interval(1.25, 2))),
    ],
)
def test_the_score_on_gold_is_a_mean_with_an_interval(scores: list[float], expected: Any) -> None:
    found = gold_score(scores)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert (found["answers"], found["score"], tuple(found["interval"])) == expected


def test_an_object_that_came_in_two_batches_is_scored_once(cloud: None) -> None:
    built = build_campaign(name="scored", **{**AUDITED, "rounds": 1, "auto_labeling": {}})
    job = built.documents("merge")[0]["job"]
    prefix = built.layout.worker_evidence_prefix(job)
    (kept,) = list(built.s3.list(prefix))
    document = built.s3.read_json(kept)
    built.s3.write_json(f"{prefix}second.json", {"objects": {}, "gold": document["gold"]})
    built.s3.write_json(f"{prefix}of-an-older-program.json", {"objects": {}})
    finalise.run(built.context)
    answered = sum(len(scores) for scores in document["gold"].values())
    assert answered > 10
    assert sum(entry["gold"]["answers"] for entry in built.report()["annotators"]) == answered


def test_a_campaign_without_audits_has_no_audit_and_its_page_says_nothing_of_any(
    campaign: BuiltCampaign,
) -> None:
    report = campaign.report()
    assert report["audit"] is None
    assert report["auto_labels"] == []
    assert report["cost"]["audit_usd"] == 0
    assert {entry["gold"] for entry in report["annotators"]} == {None}
    text = Document(campaign.page()).text.lower()
    for word in ("audit", "gold", "revoked"):
        assert not re.search(rf"\b{word}", text)


def test_an_audit_that_was_asked_for_and_never_came_to_a_result_is_left_out(cloud: None) -> None:
    built = build_campaign(name="waiting", **{**AUDITED, "rounds": 1})
    finalise.run(built.context)
    assert built.report()["audit"] is None
    assert 'id="audit"' not in built.page()


# ------------------------------------------------------------------------------------------------- page


def test_the_page_tells_the_audits(audited: BuiltCampaign) -> None:
    report, document = audited.report(), Document(audited.page())
    text = document.text.replace("\u2060", "")
    assert "#audit" in {attributes.get("href") for attributes in document.named("a")}
    found = report["audit"]
    assert f"they accepted {found['decisions']['accept']}, fixed 4 and rejected 6" in text
    for rate in (found["initial"], found["final"]):
        low, high = rate["interval"]
        assert f"{rate['rate'] * 100:.1f}% of the labels were wrong" in text
        assert f"{low * 100:.1f}–{high * 100:.1f}%" in text
    for each in found["rounds"]:
        assert f"{each['initial']['rate'] * 100:.1f}%" in text
    assert REASONS["wrong-label"][0] in text
    assert f"In round 1 they broke the promise: {found['revoked']} labels were taken back." in text
    assert f"${report['cost']['audit_usd']:,.2f} for audits" in text
    for entry in report["auto_labels"]:
        assert entry["why"] in text
    for entry in report["annotators"]:
        assert f"{entry['gold']['score'] * 100:.1f}%" in text
    # Six charts of three sections, the margins and the two of the audit, each in two widths.
    assert len([a for a in document.named("svg") if a.get("class") == "chart"]) == 14
    assert text.count("Wrong labels") >= 2


def test_texts_of_an_audit_can_neither_break_the_page_nor_run(report: Any) -> None:
    report["audit"]["reasons"] = {EVIL: 3}
    for each in report["audit"]["rounds"]:
        each["name"] = EVIL
    report["auto_labels"][0]["why"] = EVIL
    html = page.render(report, {})
    assert len(Document(html).named("script")) == 1
    assert "alert(1)" not in re.sub(r"&lt;script&gt;alert\(1\)", "", html)


def test_what_an_audit_lacks_is_left_out_or_said(report: Any) -> None:
    found = report["audit"]
    for each in [found, *found["rounds"]]:
        each |= {"initial": None, "final": None, "auto": None, "reasons": {}, "unresolved": 0, "unaudited": 0}
        each |= {"relabeled": 0, "expert": 0}
    found["rounds"] = found["rounds"][:1]
    document = Document(page.render(report, {}))
    assert "the error rate is not known" in document.text
    assert "No label was rejected." in document.text
    assert "broke the promise" not in document.text
    assert "Of the rejected ones" not in document.text
    assert "lost the old one" not in document.text
    assert "No verdict" not in document.text.replace("By experts Unresolved No verdict", "")
    assert "None" not in document.text
    assert len([a for a in document.named("svg") if a.get("class") == "chart"]) == 12


def test_the_headline_is_the_rate_that_is_left(report: Any) -> None:
    def tile() -> dict[str, str] | None:
        found = [each for each in sentences.tiles(report) if each["name"] == "Wrong labels"]
        return found[0] if found else None

    rate = report["audit"]["final"]["rate"]
    assert tile() is not None
    assert tile()["value"] == f"{rate * 100:.1f}%"
    assert "after the audit" in tile()["note"]
    assert f"{report['audit']['initial']['rate'] * 100:.1f}% before" in tile()["note"]
    report["audit"]["final"] = None
    assert tile()["value"] == f"{report['audit']['initial']['rate'] * 100:.1f}%"
    assert "before the audit" in tile()["note"]
    assert "what is left is not known" in sentences.paragraphs(report)["audit_rates"]
    report["audit"]["initial"] = None
    assert tile() is None
    report["audit"] = None
    assert tile() is None


def test_who_checked_the_models_labels_is_said_as_it_is(report: Any) -> None:
    checked = report["audit"]["auto"]["sampled"]
    assert f"Auditors checked {checked} labels" in sentences.paragraphs(report)["labels"]
    assert "Nobody has checked those of the last model" in sentences.paragraphs(report)["labels"]
    report["labels"]["reasons"].pop("model")
    assert "Nobody" not in sentences.paragraphs(report)["labels"]
    report["audit"]["auto"] = None
    assert "Nobody has checked the model’s labels" in sentences.paragraphs(report)["labels"]


def test_a_promise_that_was_kept_is_said_to_be_kept(report: Any) -> None:
    report["audit"]["rounds"][1]["auto"]["revoked"] = False
    assert "No round’s labels were revoked." in sentences.paragraphs(report)["audit_auto"]
    for each in report["audit"]["rounds"]:
        each["auto"] = {**report["audit"]["rounds"][1]["auto"], "revoked": True}
    report["audit"]["revoked"] = 1
    said = sentences.paragraphs(report)["audit_auto"]
    assert "In rounds 0, 1 they broke the promise: 1 label was taken back." in said


def test_how_often_the_model_abstained_is_said(report: Any) -> None:
    rows = sum(entry["rows"] for entry in report["auto_labels"])
    for entry in report["auto_labels"]:
        entry["threshold"] = 0.9
    assert f"labelled {rows} rows by itself in the rounds. It labels" in sentences.paragraphs(report)["auto"]
    report["auto_labels"][0] |= {"threshold": None, "rows": 0}
    assert "in 1 of 2 rounds it abstained" in sentences.paragraphs(report)["auto"]
    report["auto_labels"] = []
    assert sentences.paragraphs(report)["auto"] == ""


# ----------------------------------------------------------------------------------------------- charts


def test_verdicts_are_stacked_in_proportion_and_those_without_any_are_left_out(report: Any) -> None:
    found = report["audit"]
    found["rounds"][0]["decisions"] = {"accept": 30, "fix": 0, "reject": 10}
    found["rounds"][1]["decisions"] = {"accept": 10, "fix": 5, "reject": 20}
    for drawing in drawings(charts.verdicts(found, "summary")):
        first, second = marks(drawing, "column")
        bars = first.findall("rect")[1:]
        assert [bar.get("class") for bar in bars] == ["bar people", "bar machine"]
        heights = [float(bar.get("height")) for bar in bars]
        assert heights[0] / heights[1] == pytest.approx(3, rel=0.01)
        bars = second.findall("rect")[1:]
        assert [bar.get("class") for bar in bars] == ["bar people", "bar fixed", "bar machine"]
        assert float(bars[2].get("height")) / heights[1] == pytest.approx(2, rel=0.01)
        assert second.get("aria-label") == "Round 1: 10 accepted, 5 fixed, 20 rejected"
        texts = [element.text for element in drawing.iter("text")]
        assert "labels" in texts


def test_few_verdicts_have_an_axis_of_whole_labels(report: Any) -> None:
    found = report["audit"]
    for each in found["rounds"]:
        each["decisions"] = {"accept": 1, "fix": 0, "reject": 0}
    for drawing in drawings(charts.verdicts(found, "")):
        words = [
            e.text for e in drawing.iter("text") if e.get("class") == "tick" and e.get("text-anchor") == "end"
        ]
        assert [word for word in words if word] == ["0", "1"]


def test_rates_stand_between_the_ends_of_their_intervals_per_round_and_for_all(report: Any) -> None:
    found = report["audit"]
    for drawing in drawings(charts.error_rates(found, "summary")):
        before, after = marks(drawing, "control"), marks(drawing, "strategy")
        assert len(before) == len(after) == 3
        assert before[-1].get("aria-label").startswith("All rounds, before the audit: ")
        scale = None
        for mark, rate in zip(
            before, [*(each["initial"] for each in found["rounds"]), found["initial"]], strict=True
        ):
            stem = mark.findall("line")[0]
            low, high = float(stem.get("y1")), float(stem.get("y2"))
            middle = float(mark.findall("rect")[-1].get("y")) + 4.5
            assert high <= middle <= low
            width = rate["interval"][1] - rate["interval"][0]
            scale = scale or (low - high) / width
            assert low - high == pytest.approx(scale * width, abs=0.05)
            assert low - middle == pytest.approx(scale * (rate["rate"] - rate["interval"][0]), abs=0.05)
        assert all(mark.findall("circle") for mark in after)


def test_a_single_round_stands_alone_and_what_is_not_known_is_not_drawn(report: Any) -> None:
    found = report["audit"]
    found["rounds"] = found["rounds"][:1]
    found["rounds"][0]["final"] = None
    for drawing in drawings(charts.error_rates(found, "")):
        assert len(marks(drawing, "control")) == 1
        assert marks(drawing, "strategy") == []
        assert "all" not in [element.text for element in drawing.iter("text")]


def test_labels_without_any_error_can_be_drawn(report: Any) -> None:
    found = report["audit"]
    for each in [found, *found["rounds"]]:
        each["initial"] = {"errors": 0, "sampled": 20, "rows": 20, "rate": 0.0, "interval": [0.0, 0.0]}
        each["final"] = None
    for drawing in drawings(charts.error_rates(found, "")):
        assert len(marks(drawing, "control")) == 3
        for line in drawing.iter("line"):
            assert "nan" not in (line.get("y1"), line.get("y2"))
