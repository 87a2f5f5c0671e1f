"""What an audit is made of in S3: it is resumed from any point, and nothing is done twice."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import IO, Any

import pytest

from truthloop import aws
from truthloop.audit.advance import AuditOutOfStep, Progress, advance
from truthloop.audit.document import AuditDocument, load_audit
from truthloop.errors import ObjectNotFound
from truthloop.labeling.backend import JobStatus
from truthloop.layout import AuditLayout, JobLayout
from truthloop.manifest import TRUTHLOOP, read_master, row_id
from truthloop.names import audit_job_name, standalone_audit_name
from truthloop.s3 import S3Gateway
from unit.audit.kit import (
    ARN,
    AT,
    JOB,
    ROUND,
    Studio,
    accept,
    attribute_of,
    fix,
    lines,
    model_row,
    policy,
    reject,
    response,
    scripted,
)
from unit.labeling import answers
from unit.labeling.kit import BUCKET, CATEGORIES, LAYOUT


class Crash(Exception):
    """The function's container is gone."""


class CrashingGateway(S3Gateway):
    """Dies after each object that it really writes."""

    def _put(self, uri: str, content: bytes | IO[bytes], content_type: str, **conditions: str) -> str:
        super()._put(uri, content, content_type, **conditions)
        raise Crash(uri)


def objects_of(studio: Studio, prefix: str) -> dict[str, bytes]:
    """What lies there, without the moments at which the annotation functions ran."""
    return {
        uri: re.sub(rb'"creation-date":"[^"]*"', b"", studio.s3.read_bytes(uri))
        for uri in studio.s3.list(prefix)
    }


SCRIPT = scripted(
    {0: [reject(), accept()], 1: [reject("inexact", "<b>ずれ</b>\n2行目")], 2: [None], 6: [reject()]},
    finals={3: [reject("other", "x")], 4: [fix({"label": "bird"})]},
    labels={("relabel", 0): [1], ("expert", 1): [None], ("expert", 3): [2]},
)


def begin(studio: Studio) -> None:
    studio.label("image-classification", [0, 0, 0, 0, 0])
    auto = [model_row(studio, number, 1) for number in range(5, 12)]
    rules = policy(relabel_rounds=1, final_sample=10, auto_sample=4)
    studio.begin(rules, auto, target_precision=0.9)


def test_a_crash_after_any_write_changes_nothing_in_the_end(studio: Studio) -> None:
    begin(studio)
    # The sample of the model's labels holds whatever the seed draws.
    expected = studio.run(SCRIPT)
    whole = objects_of(studio, studio.layout.uri)
    steps = studio.worked.copy()
    assert [purpose for purpose, _ in steps] == ["audit", "relabel", "audit", "expert", "final", "expert"]
    for uri in [*whole]:
        aws.s3().delete_object(Bucket=BUCKET, Key=uri.split("/", 3)[3])
    studio.backend.jobs.clear()
    studio.inputs.clear()
    studio.worked.clear()
    studio.seconds = 5
    studio.s3.write_json_once(studio.layout.document(), studio.document.to_document())  # type: ignore[union-attr]

    crashes: list[str] = []
    labeling = None
    while True:
        try:
            progress = advance(CrashingGateway(), studio.layout, labeling, AT)
        except Crash as crash:
            crashes.append(str(crash))
            continue
        if progress.done:
            break
        # Before the job, a new execution knows of no labelling and is told the same step.
        assert advance(studio.s3, studio.layout, None, AT) == progress
        labeling = studio.work(progress.step, SCRIPT)
        studio.executions.dead.clear()
    assert len(crashes) == len(set(crashes))
    written = {f"{number:05d}{kind}" for number in range(1, 7) for kind in (".json", ".manifest")}
    written |= {f"{number:05d}.cases.manifest" for number in range(7)}
    written |= {f"{number:05d}.verdicts.json" for number in (1, 3, 5)}
    names = {uri.removeprefix(studio.layout.uri).removeprefix("steps/") for uri in crashes}
    assert names == written | {"label_categories.json", "audited.manifest", "result.json"}
    assert studio.worked == steps
    assert studio.s3.read_json(studio.layout.result()) == expected
    assert objects_of(studio, studio.layout.uri) == whole


def test_a_repeated_call_changes_nothing_and_gives_the_same_answer(studio: Studio) -> None:
    begin(studio)
    labeling: dict[str, Any] | None = None
    for _ in range(20):
        progress = studio.advance(labeling)
        before = objects_of(studio, studio.layout.uri)
        for repeated in (labeling, None, labeling):
            assert advance(studio.s3, studio.layout, repeated, AT + timedelta(days=1)) == progress
        assert objects_of(studio, studio.layout.uri) == before
        if progress.done:
            break
        labeling = studio.work(progress.step, SCRIPT)
    assert progress == Progress(done=True, step=6)


def test_the_moment_of_a_verdict_is_one_whichever_call_goes_on(studio: Studio) -> None:
    studio.label("image-classification", [0])
    studio.begin()
    labeling = studio.work(studio.advance().step, scripted())
    gateway = CrashingGateway()
    for hours in range(3):
        with pytest.raises(Crash):
            advance(gateway, studio.layout, labeling, AT + timedelta(hours=hours))
    later = AT + timedelta(hours=9)
    assert advance(studio.s3, studio.layout, labeling, later).done
    [verdict] = studio.s3.read_json(studio.layout.verdicts(1))["verdicts"]
    row = studio.audited()[0]["truthloop"]
    assert verdict["at"] == row["audit"]["at"] == row["history"][0]["at"] == AT.isoformat()
    assert studio.s3.read_json(studio.layout.result())["at"] == later.isoformat()


def test_what_another_steps_job_brought_is_not_taken(studio: Studio) -> None:
    studio.label("image-classification", [0])
    studio.begin()
    progress = studio.advance()
    labeling = studio.work(progress.step, scripted({0: [reject()]}))
    foreign = {**labeling, "job_name": audit_job_name(studio.layout.uri, 2, 1)}
    assert studio.advance(foreign) == Progress(done=False, step=1)
    assert studio.advance({**labeling, "job_name": "digits-r1-a1-00000000"}).step == 1
    assert studio.advance(labeling).step == 2
    # The same news again, when the next step is planned.
    assert studio.advance(labeling).step == 2


def test_an_audit_of_nothing_is_done_at_once(studio: Studio) -> None:
    studio.label("image-classification", [])
    studio.begin(policy(final_sample=5))
    assert studio.advance() == Progress(done=True, step=0)
    result = studio.s3.read_json(studio.layout.result())
    assert (result["rows"], result["audited"], result["steps"]) == (0, 0, [])
    assert result["estimates"] == {"initial": None, "auto": None, "final": None}
    assert studio.audited() == {}


def test_an_audit_whose_files_are_gone_says_which(studio: Studio) -> None:
    studio.label("image-classification", [0])
    studio.begin()
    labeling = studio.work(studio.advance().step, scripted())
    aws.s3().delete_object(Bucket=BUCKET, Key=studio.layout.cases(0).split("/", 3)[3])
    with pytest.raises(AuditOutOfStep, match=r"00000\.cases\.manifest is missing"):
        studio.advance(labeling)
    with pytest.raises(ObjectNotFound, match=r"audit\.json"):
        advance(studio.s3, AuditLayout(BUCKET, None, "unknown"), None, AT)


def test_the_document_is_read_as_it_is_written(studio: Studio) -> None:
    studio.label("image-classification", [0])
    studio.begin()
    document = studio.s3.read_json(studio.layout.document())
    assert load_audit(studio.s3, studio.layout) == studio.document
    assert AuditDocument.from_document(document).to_document() == document
    assert document["policy"]["policy"] == "all"
    assert document["source"]["label_categories"] == list(CATEGORIES)


def test_step_files_have_the_form_that_other_parts_read(studio: Studio) -> None:
    studio.label("image-classification", [0, 1])
    studio.begin(policy(relabel_rounds=1))
    studio.run(scripted({0: [reject("wrong-label", "犬"), accept()]}, labels={("relabel", 0): [1]}))
    assert studio.s3.read_json(studio.layout.step(2)) == {
        "step": 2,
        "purpose": "relabel",
        "objects": 1,
        "manifest_uri": studio.layout.step_manifest(2),
        "workteam_arn": studio.document.labeling.workteam_arn,  # type: ignore[union-attr]
        "workers_per_object": 2,
        "label_attribute": "label",
        "task_title": "画像の分類",
        "task_description": "Choose.",
    }
    first = studio.s3.read_json(studio.layout.verdicts(1))["verdicts"]
    assert [each["decision"] for each in first].count("reject") == 1
    [rejected] = [each for each in first if each["decision"] == "reject"]
    assert rejected == {
        "job_name": JOB,
        "object": "0",
        "decision": "reject",
        "reason": "wrong-label",
        "purpose": "audit",
        "why": "all",
        "at": AT.isoformat(),
    }
    # The second verdict is on the label of the second step, whose only object it was.
    [second] = studio.s3.read_json(studio.layout.verdicts(3))["verdicts"]
    assert (second["job_name"], second["object"]) == (audit_job_name(studio.layout.uri, 2, 1), "0")
    assert not studio.s3.exists(studio.layout.verdicts(2))
    [row] = read_master(studio.s3, studio.layout.step_manifest(2))
    assert set(row) == {"source-ref", "truthloop", "label-suggestion", "label-suggestion-metadata"}
    assert set(row["truthloop"]) == {"id", "history"}
    steps = studio.s3.read_json(studio.layout.result())["steps"]
    assert [(each["step"], each["purpose"], each["objects"], each["answers"]) for each in steps] == [
        (1, "audit", 2, 2),
        (2, "relabel", 1, 2),
        (3, "audit", 1, 1),
    ]


def test_no_row_names_a_worker(studio: Studio) -> None:
    begin(studio)
    studio.run(SCRIPT)
    for uri in (studio.layout.audited_manifest(), studio.layout.cases(6), studio.layout.result()):
        text = studio.s3.read_bytes(uri).decode()
        assert "private.us-east-1" not in text
        assert "sub-of" not in text
        assert text.strip()


def test_a_comment_survives_as_it_was_written(studio: Studio) -> None:
    comment = '左端が欠けている 🐈‍⬛ "quoted" </script> {{ x }}\u2028次の行'
    studio.label("image-classification", [0])
    studio.begin(policy(relabel_rounds=0))
    studio.run(scripted({0: [reject("inexact", comment)]}))
    row = studio.audited()[0]
    assert row["truthloop"]["history"][0]["comment"] == comment
    assert studio.inputs["expert", 0][0]["feedback"][0]["comment"] == comment


# ---- which rows


def test_gold_items_and_rows_without_a_label_are_not_audited(studio: Studio) -> None:
    studio.task_type = "image-classification"
    gold = studio.row(99)
    gold[TRUTHLOOP] = {"id": row_id(gold), "gold": True}
    studio.label("image-classification", [0, None, 1], extra=[gold])
    labeled = list(read_master(studio.s3, LAYOUT.labeling_output_manifest(JOB)))
    assert [row.get("label") for row in labeled] == [0, None, 1, 0]
    assert labeled[3]["truthloop"]["gold"] is True
    studio.begin()
    result = studio.run(scripted())
    assert sorted(studio.worked[0][1]) == [0, 2]
    assert result["rows"] == 2


def test_rows_that_came_with_another_jobs_label_are_not_this_jobs(studio: Studio) -> None:
    studio.label("image-classification", [0, 1])
    uri = LAYOUT.labeling_output_manifest(JOB)
    rows = list(read_master(studio.s3, uri))
    rows[0]["label-metadata"]["job-name"] = "labeling-job/another"
    rows[1]["label-metadata"]["job-name"] = JOB
    studio.s3.write_bytes(uri, lines(rows))
    studio.begin()
    assert studio.run(scripted())["rows"] == 1
    assert studio.worked == [("audit", [1])]


def test_of_two_rows_of_one_object_the_later_is_audited_once(studio: Studio) -> None:
    studio.label("image-classification", [0, 1])
    uri = LAYOUT.labeling_output_manifest(JOB)
    rows = list(read_master(studio.s3, uri))
    twin = {**rows[0], "label": 2, "label-metadata": {"class-name": "bird"}}
    studio.s3.write_bytes(uri, lines([*rows, twin]))
    studio.begin()
    result = studio.run(scripted())
    assert result["rows"] == 2
    assert studio.audited()[0]["label"] == 2
    verdicts = studio.s3.read_json(studio.layout.verdicts(1))["verdicts"]
    assert sorted(each["object"] for each in verdicts) == ["1", "2"]


def test_the_order_of_the_rows_decides_nothing(studio: Studio) -> None:
    studio.label("image-classification", [0] * 30)
    uri = LAYOUT.labeling_output_manifest(JOB)
    chosen = []
    for turned in (False, True):
        rows = list(read_master(studio.s3, uri))
        studio.s3.write_bytes(uri, lines(rows[::-1] if turned else rows))
        studio.begin(policy(policy="sample", minimum=5, random_share=0.2, risk_share=0.1))
        studio.advance()
        chosen.append(studio.s3.read_bytes(studio.layout.step_manifest(1)))
        for each in studio.s3.list(studio.layout.uri):
            aws.s3().delete_object(Bucket=BUCKET, Key=each.split("/", 3)[3])
    assert chosen[0] == chosen[1]
    assert len(chosen[0].splitlines()) == 9


def test_a_label_that_ground_truth_cannot_take_stays_unaudited(studio: Studio) -> None:
    studio.label("bounding-box", [0, 1])
    uri = LAYOUT.labeling_output_manifest(JOB)
    rows = list(read_master(studio.s3, uri))
    rows[0]["label"]["annotations"] *= 400
    rows[1]["label"]["image_size"] = []
    studio.s3.write_bytes(uri, lines(rows))
    studio.begin()
    assert studio.advance() == Progress(done=True, step=0)
    assert studio.statuses() == {0: "unaudited", 1: "unaudited"}
    assert studio.s3.read_json(studio.layout.result())["unaudited"] == 2


def test_a_mask_without_an_overlay_is_shown_on_a_transparent_background(studio: Studio) -> None:
    studio.label("semantic-segmentation", [0, 1])
    uri = LAYOUT.labeling_output_manifest(JOB)
    rows = list(read_master(studio.s3, uri))
    for row in rows:
        del row["label-ref-metadata"]["overlay-ref"]
    rows[1]["label-ref"] = f"s3://{BUCKET}/nothing-there.png"
    studio.s3.write_bytes(uri, lines(rows))
    studio.begin(policy(relabel_rounds=0))
    studio.run(scripted({0: [fix({"categories": {"cat": "bird"}})]}, "semantic-segmentation"))
    assert studio.statuses() == {0: "fixed", 1: "unaudited"}
    overlay = studio.inputs["audit", 0][0]["label"]["overlay"]
    assert overlay.startswith(f"{studio.layout.uri}overlays/")
    assert b"tRNS" in studio.s3.read_bytes(overlay)
    # The fixed mask has an overlay of its own.
    assert studio.audited()[0]["label-ref-metadata"]["overlay-ref"] != overlay


# ---- the model's labels


def auto_audit(studio: Studio, right: int, sample: int = 20, target: float | None = 0.95) -> dict[str, Any]:
    """20 labels by people, 40 by the model; all but `right` of those in the sample are rejected."""
    studio.label("image-classification", [0] * 2)
    auto = [model_row(studio, number, 1) for number in range(2, 42)]
    studio.begin(policy(auto_sample=sample, relabel_rounds=1), auto, target)
    progress = studio.advance()
    rows = list(read_master(studio.s3, studio.layout.step_manifest(1)))
    sampled = [studio.made[row_id(row)] for row in rows if studio.made[row_id(row)] >= 2]
    assert len(sampled) == sample
    wrong = sampled[right:]
    script = scripted(
        {number: [reject("wrong-label"), accept()] for number in wrong},
        labels={("relabel", number): [2] for number in wrong},
    )
    labeling = None
    while not progress.done:
        labeling = studio.work(progress.step, script)
        progress = studio.advance(labeling)
    return studio.s3.read_json(studio.layout.result())


def test_the_models_labels_stand_when_the_sample_keeps_the_promise(studio: Studio) -> None:
    result = auto_audit(studio, right=19)
    auto = result["estimates"]["auto"]
    assert (auto["errors"], auto["sampled"], auto["rows"]) == (1, 20, 40)
    assert (auto["promise"], auto["revoked"]) == (0.95, False)
    assert (result["auto_rows"], result["revoked"], result["relabeled"]) == (40, 0, 1)
    statuses = studio.statuses()
    assert len(statuses) == 22
    assert sorted({statuses[number] for number in statuses if number >= 2}) == ["accepted", "relabeled"]
    accepted = next(row for number, row in studio.audited().items() if number >= 2 and row["label"] == 1)
    assert accepted["truthloop"]["labeled_by"] == "model"
    assert accepted["truthloop"]["audit"]["why"] == "auto"


def test_a_promise_that_is_just_kept_is_kept(studio: Studio) -> None:
    # 0.14 * 50 is a little more than 7.
    studio.label("image-classification", [0])
    auto = [model_row(studio, number, 1) for number in range(1, 51)]
    studio.begin(policy(auto_sample=50, relabel_rounds=0), auto, target_precision=0.14)
    result = studio.run(scripted({number: [reject()] for number in range(8, 51)}))
    assert (result["estimates"]["auto"]["errors"], result["estimates"]["auto"]["sampled"]) == (43, 50)
    assert result["estimates"]["auto"]["revoked"] is False


def test_a_broken_promise_revokes_all_labels_that_nobody_stands_for(studio: Studio) -> None:
    result = auto_audit(studio, right=18)
    auto = result["estimates"]["auto"]
    assert (auto["errors"], auto["sampled"], auto["revoked"]) == (2, 20, True)
    assert (result["revoked"], result["relabeled"]) == (20, 2)
    assert result["decisions"] == {"accept": 20, "reject": 2, "fix": 0}
    audited = studio.audited()
    assert len(audited) == 42
    statuses = list(studio.statuses().values())
    assert {each: statuses.count(each) for each in set(statuses)} == {
        "accepted": 20,
        "relabeled": 2,
        "revoked": 20,
    }
    for row in audited.values():
        revoked = row["truthloop"]["audit"]["status"] == "revoked"
        assert (row["label"] is None) == (row["label-metadata"] is None) == revoked
        if revoked:
            assert row["truthloop"]["labeled_by"] is None
            last = row["truthloop"]["history"][-1]
            assert (last["event"], last["round"]) == ("revoked", ROUND)
            assert "18 of 20" in last["reason"]
            assert row["truthloop"]["history"][0]["event"] == "auto-labeled"
    # The labels by people are none of the model's: their estimate doesn't know of its errors.
    assert result["estimates"]["initial"]["sampled"] == 2
    # No people answered for the model's labels, so their verdicts belong to no answer.
    verdicts = studio.s3.read_json(studio.layout.verdicts(1))["verdicts"]
    assert len(verdicts) == 2


def test_a_label_that_broke_the_promise_tells_how_it_went_on(studio: Studio) -> None:
    auto_audit(studio, right=18)
    # The studio's clock stands still, so the entries are in the order of their names.
    told = [
        [entry["event"] for entry in row["truthloop"]["history"]]
        for row in studio.audited().values()
        if row["truthloop"]["audit"]["status"] == "relabeled"
    ]
    assert told == [["auto-labeled", "audited", "audited", "relabeled", "revoked"]] * 2


def test_without_a_promise_nothing_is_revoked(studio: Studio) -> None:
    result = auto_audit(studio, right=0, target=None)
    assert (result["estimates"]["auto"]["revoked"], result["revoked"]) == (False, 0)
    assert result["estimates"]["auto"]["errors"] == 20


def test_a_label_of_the_sample_that_nobody_judged_is_revoked_with_the_others(studio: Studio) -> None:
    studio.label("image-classification", [0])
    auto = [model_row(studio, number, 1) for number in (1, 2, 3)]
    studio.begin(policy(auto_sample=3, relabel_rounds=0), auto, target_precision=0.9)
    script = scripted({1: [reject()], 2: [None]}, labels={("expert", 1): [None]})
    result = studio.run(script)
    assert studio.statuses() == {0: "accepted", 1: "unresolved", 2: "revoked", 3: "accepted"}
    assert (result["revoked"], result["unresolved"]) == (1, 1)
    assert studio.audited()[2]["label"] is None


def test_a_sample_that_nobody_judged_says_nothing_against_the_promise(studio: Studio) -> None:
    studio.label("image-classification", [0])
    auto = [model_row(studio, number, 1) for number in (1, 2)]
    studio.begin(policy(), auto, target_precision=0.99)
    result = studio.run(scripted({1: [None], 2: [None]}))
    assert result["revoked"] == 0
    assert result["estimates"]["auto"]["rate"] is None


def test_a_label_by_people_goes_before_the_models(studio: Studio) -> None:
    studio.label("image-classification", [0, 0])
    auto = [model_row(studio, number, 1) for number in (0, 2)]
    studio.begin(policy(relabel_rounds=0), auto, target_precision=0.9)
    result = studio.run(scripted({2: [reject()]}))
    assert (result["rows"], result["auto_rows"]) == (2, 1)
    assert studio.audited()[0]["label"] == 0
    assert studio.statuses() == {0: "accepted", 1: "accepted", 2: "expert"}


# ---- the final sample


def test_the_final_sample_is_of_all_labels_as_they_are_in_the_end(studio: Studio) -> None:
    studio.label("image-classification", [0] * 6)
    rules = policy(policy="sample", minimum=2, random_share=0.0, risk_share=0.0)
    studio.begin(replace(rules, final_sample=6, relabel_rounds=1))
    first = studio.advance()
    drawn = [studio.made[row_id(row)] for row in read_master(studio.s3, studio.layout.step_manifest(1))]
    assert len(drawn) == 2
    bad, relabeled = drawn
    other, wrong = [number for number in range(6) if number not in drawn][:2]
    script = scripted(
        {bad: [reject()], relabeled: [reject(), accept()]},
        finals={other: [fix({"label": "dog"})], wrong: [reject("inexact", "late")]},
        labels={
            ("relabel", bad): [None],
            ("expert", bad): [None],
            ("relabel", relabeled): [1],
            ("expert", wrong): [2],
        },
    )
    progress, labeling = first, None
    while not progress.done:
        labeling = studio.work(progress.step, script)
        progress = studio.advance(labeling)
    purposes = [purpose for purpose, _ in studio.worked]
    assert purposes == ["audit", "relabel", "audit", "expert", "final", "expert"]
    # What was taken back is no label any more; everything else is drawn, whatever was said of it before.
    assert sorted(studio.worked[4][1]) == sorted(set(range(6)) - {bad})
    assert studio.worked[5] == ("expert", [wrong])
    assert [entry["decision"] for entry in studio.inputs["final", relabeled][0]["history"]] == [
        "reject",
        "accept",
    ]
    result = studio.s3.read_json(studio.layout.result())
    final = result["estimates"]["final"]
    assert (final["errors"], final["sampled"], final["rows"]) == (2, 5, 5)
    assert final["interval"] == [0.4, 0.4]
    initial = result["estimates"]["initial"]
    assert (initial["errors"], initial["sampled"], initial["rows"]) == (2, 2, 6)
    assert result["audited"] == 2
    assert result["unaudited"] == 0
    statuses = studio.statuses()
    assert (statuses[bad], statuses[relabeled]) == ("unresolved", "relabeled")
    assert (statuses[other], statuses[wrong]) == ("fixed", "expert")
    assert studio.audited()[wrong]["label"] == 2
    assert studio.audited()[wrong]["truthloop"]["audit"]["why"] == "final"
    assert studio.audited()[wrong]["truthloop"]["audit"]["attempts"] == 0
    verdicts = studio.s3.read_json(studio.layout.verdicts(5))["verdicts"]
    assert {each["purpose"] for each in verdicts} == {each["why"] for each in verdicts} == {"final"}


def test_the_final_sample_does_not_depend_on_what_was_chosen_first(studio: Studio) -> None:
    studio.label("image-classification", [0] * 40)
    rules = policy(policy="sample", minimum=10, random_share=0.0, risk_share=0.0, final_sample=10)
    studio.begin(rules)
    studio.run(scripted())
    first, final = (set(numbers) for _, numbers in studio.worked)
    assert len(first) == len(final) == 10
    # The same order would draw the same ten again.
    assert len(first & final) < 8


def test_a_final_verdict_by_the_labels_own_person_is_void_too(studio: Studio) -> None:
    studio.label("image-classification", [0], people=("ann",))
    studio.begin(policy(final_sample=1))
    people = {"audit": ("bob",), "final": ("ann",)}
    result = studio.run(scripted(), people)
    assert [purpose for purpose, _ in studio.worked] == ["audit", "final", "final", "final"]
    assert result["self_audits"] == 3
    assert result["estimates"]["final"]["sampled"] == 0
    assert studio.statuses() == {0: "accepted"}


def test_who_fixed_a_label_does_not_judge_it_in_the_end(studio: Studio) -> None:
    studio.label("image-classification", [0])
    studio.begin(policy(final_sample=1))
    result = studio.run(scripted({0: [fix({"label": "dog"})]}))
    assert [purpose for purpose, _ in studio.worked] == ["audit", "final", "final", "final"]
    assert result["self_audits"] == 3
    assert studio.statuses() == {0: "fixed"}


# ---- outside campaigns


@pytest.mark.parametrize("task_type", ["image-classification", "text-classification", "bounding-box"])
@pytest.mark.parametrize(
    "foreign",
    [{}, {"truthloop": "mine"}, {"truthloop": {"id": "all the same", "history": [{"note": "mine"}]}}],
)
def test_a_job_outside_campaigns_is_audited_alike(
    studio: Studio, task_type: str, foreign: dict[str, Any]
) -> None:
    studio.label(task_type, [0, 1, 2], people=("ann",))
    attribute = attribute_of(task_type)
    rows = [
        {key: value for key, value in row.items() if key != "truthloop"} | foreign
        for row in read_master(studio.s3, LAYOUT.labeling_output_manifest(JOB))
    ]
    folder = JobLayout("s3://data-bucket/somewhere/", "byhand")
    for row in rows:
        row[f"{attribute}-metadata"]["job-name"] = "labeling-job/byhand"
    studio.s3.write_bytes(folder.output_manifest(), lines(rows))
    content = answers.answer(task_type, CATEGORIES, 0)
    for position in range(3):
        studio.s3.write_json(
            f"{folder.worker_responses_prefix()}iteration-1/{position}/2030-01-01_00:00:0{position}.json",
            {"answers": [response("aud-1" if position == 2 else "ann", content, position)]},
        )
    name = standalone_audit_name(ARN + "byhand")
    layout = AuditLayout(BUCKET, None, name)
    studio.begin()
    source = replace(
        studio.document.source,  # type: ignore[union-attr]
        job_name="byhand",
        job_arn=ARN + "byhand",
        output_manifest_uri=folder.output_manifest(),
        worker_response_prefix=folder.worker_responses_prefix(),
        auto_manifest_uri=None,
    )
    studio.begin(policy(relabel_rounds=1), name=name, uri=layout.uri, campaign=None, source=source)
    assert studio.layout.uri == f"s3://{BUCKET}/audits/{name}/"
    script = scripted({0: [reject(), accept()]}, task_type, labels={("relabel", 0): [1]})
    result = studio.run(script)
    assert result["campaign"] is None
    assert result["job_name"] == "byhand"
    # The auditor had labelled the last one, and again in each of its three audits.
    assert result["self_audits"] == 3
    assert studio.statuses() == {0: "relabeled", 1: "accepted", 2: "unaudited"}
    row = studio.audited()[0]
    assert row["truthloop"]["round"] is None
    assert row["truthloop"]["id"] == next(key for key, number in studio.made.items() if number == 0)
    record = studio.jobs.require(result["steps"][1]["job_name"])
    assert (record.campaign, record.campaign_uri, record.round) == ("", "", 0)


def test_a_stopped_job_that_is_audited_is_read_from_its_intermediate_manifests(studio: Studio) -> None:
    studio.label("image-classification", [0, None])
    folder = LAYOUT.labeling_job(JOB)
    body = studio.s3.read_bytes(folder.output_manifest())
    studio.s3.write_bytes(f"{folder.intermediate_prefix()}1/annotations.manifest", body)
    aws.s3().delete_object(Bucket=BUCKET, Key=folder.output_manifest().split("/", 3)[3])
    studio.begin()
    assert studio.run(scripted())["rows"] == 1


def test_the_status_of_a_stopped_step_is_that_of_the_job(studio: Studio) -> None:
    studio.label("image-classification", [0])
    studio.begin()
    labeling = studio.work(studio.advance().step, scripted({0: [None]}), status=JobStatus.STOPPED)
    assert json.loads(json.dumps(labeling))["status"] == "Stopped"
    assert studio.advance(labeling).done
    assert studio.statuses() == {0: "unaudited"}
