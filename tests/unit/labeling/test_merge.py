from __future__ import annotations

import itertools
from typing import Any

import pytest

from truthloop import manifest
from truthloop.errors import ObjectChanged, ObjectNotFound, UnknownRow
from truthloop.gold import gold_id
from truthloop.labeling.jobs import JobsTable, UnknownLabelingJob
from truthloop.manifest import Row, encode_row, is_given_up, read_master, with_provenance
from truthloop.merge import WrongLabelingJob, merge_labels
from truthloop.s3 import S3Gateway
from unit.labeling.kit import LAYOUT, record
from unit.labeling.kit import campaign as prepared_campaign

ROUND = 3
JOB = "digits-r3-a1-0123abcd"
OTHER_JOB = "digits-r4-a1-4567cdef"
IDS = "abcd"
NOTHING = {"job_name": None, "status": "NothingToLabel", "output_manifest_uri": None, "counters": {}}


def source(name: str) -> str:
    return f"s3://images/{name}.png"


def master_row(name: str, **keys: Any) -> Row:
    return with_provenance({"source-ref": source(name), "weather": f"rain over {name}", **keys}, "label")


def identifier(name: str) -> str:
    return master_row(name)["truthloop"]["id"]


def selected(name: str, **truthloop: Any) -> Row:
    """A row as select sends it to people: it says why."""
    row = master_row(name)
    row["truthloop"] |= {"round": ROUND, "reason": "margin", "score": 0.25, "model": "s3://m", **truthloop}
    return row


def metadata(job: str, date: str, **keys: Any) -> dict[str, Any]:
    return {
        "type": "groundtruth/image-classification",
        "human-annotated": "yes",
        "creation-date": f"2030-01-{date}T12:00:00.000000",
        "job-name": f"labeling-job/{job}",
        **keys,
    }


def labeled(name: str, label: int = 1, job: str = JOB, date: str = "10") -> Row:
    details = {"class-name": "dog", "confidence": 0.93, "annotators": 3}
    return {**selected(name), "label": label, "label-metadata": metadata(job, date, **details)}


def failed(name: str, job: str = JOB) -> Row:
    reason = {"failure-reason": "None of 3 answers could be read."}
    return {**selected(name), "label-metadata": metadata(job, "10", **reason)}


def task_output(job: str = JOB, status: str = "Completed", uri: str | None = "") -> dict[str, Any]:
    uri = LAYOUT.labeling_output_manifest(job) if uri == "" else uri
    return {"job_name": job, "status": status, "output_manifest_uri": uri, "counters": {}}


@pytest.fixture
def campaign(s3: S3Gateway, jobs: JobsTable) -> S3Gateway:
    s3.write_lines_once(LAYOUT.master_manifest(), map(encode_row, map(master_row, IDS)))
    jobs.open(record(JOB, round=ROUND))
    jobs.open(record(OTHER_JOB, round=ROUND + 1))
    return s3


def write_output(s3: S3Gateway, rows: list[Row], job: str = JOB, at: str = "manifests/output/output") -> None:
    uri = f"{LAYOUT.labeling_prefix()}{job}/{at}.manifest"
    s3.write_bytes(uri, "".join(encode_row(row) + "\n" for row in rows).encode())


def master(s3: S3Gateway) -> dict[str, Row]:
    """The rows by the name of their image, in the manifest's order."""
    rows = list(read_master(s3, LAYOUT.master_manifest()))
    return {row["source-ref"].removeprefix("s3://images/").removesuffix(".png"): row for row in rows}


def test_a_jobs_labels_reach_their_rows_and_nothing_else_changes(
    campaign: S3Gateway, jobs: JobsTable
) -> None:
    write_output(campaign, [labeled("c", label=2), labeled("a")])
    summary = merge_labels(campaign, jobs, LAYOUT, ROUND, task_output())
    assert (summary.labeled, summary.failed) == (2, 0)
    rows = master(campaign)
    assert list(rows) == list(IDS)
    assert (rows["b"], rows["d"]) == (master_row("b"), master_row("d"))
    assert rows["c"]["label"] == 2
    assert rows["c"]["weather"] == "rain over c"
    assert rows["c"]["label-metadata"] == labeled("c")["label-metadata"]
    assert rows["c"]["truthloop"] == {
        "id": identifier("c"),
        "round": ROUND,
        "reason": "margin",
        "score": 0.25,
        "model": "s3://m",
        "job": JOB,
        "labeled_by": "people",
        "annotators": 3,
        "failures": 0,
        "history": [
            {
                "at": "2030-01-10T12:00:00+00:00",
                "event": "labeled",
                "round": ROUND,
                "job": JOB,
                "annotators": 3,
            }
        ],
    }


def test_the_output_is_read_from_where_the_service_says_it_is(campaign: S3Gateway, jobs: JobsTable) -> None:
    write_output(campaign, [labeled("a")], at="elsewhere")
    uri = f"{LAYOUT.labeling_prefix()}{JOB}/elsewhere.manifest"
    assert merge_labels(campaign, jobs, LAYOUT, ROUND, task_output(uri=uri)).labeled == 1


def test_merging_twice_equals_merging_once(campaign: S3Gateway, jobs: JobsTable) -> None:
    write_output(campaign, [labeled("a"), failed("b")])
    first = merge_labels(campaign, jobs, LAYOUT, ROUND, task_output())
    etag = campaign.head(LAYOUT.master_manifest()).etag
    rows = master(campaign)
    assert merge_labels(campaign, jobs, LAYOUT, ROUND, task_output()) == first
    assert master(campaign) == rows
    assert campaign.head(LAYOUT.master_manifest()).etag == etag


def test_jobs_give_the_same_manifest_in_any_order_and_any_number(
    campaign: S3Gateway, jobs: JobsTable
) -> None:
    write_output(campaign, [labeled("a", label=0, date="10"), failed("b"), labeled("c", label=2, date="20")])
    write_output(
        campaign,
        [
            labeled("a", label=1, job=OTHER_JOB, date="11"),
            failed("b", job=OTHER_JOB),
            failed("c", job=OTHER_JOB),
        ],
        job=OTHER_JOB,
    )
    merges = [(ROUND, task_output()), (ROUND + 1, task_output(OTHER_JOB))]
    results = []
    for order in [*itertools.permutations(merges), merges * 2, merges[::-1] * 2]:
        campaign.write_bytes(
            LAYOUT.master_manifest(), "".join(encode_row(master_row(name)) + "\n" for name in IDS).encode()
        )
        for round_number, labeling in order:
            merge_labels(campaign, jobs, LAYOUT, round_number, labeling)
        results.append(master(campaign))
    assert all(rows == results[0] for rows in results)
    rows = results[0]
    assert (rows["a"]["label"], rows["a"]["truthloop"]["job"]) == (1, OTHER_JOB)
    assert rows["b"]["truthloop"]["failures"] == 2
    assert (rows["c"]["label"], rows["c"]["truthloop"]["failures"]) == (2, 1)


def test_a_failed_object_counts_one_failure_for_each_job_and_is_given_up_after_three(
    campaign: S3Gateway, jobs: JobsTable
) -> None:
    for number in range(3):
        name = f"digits-r{number}-a1-0000000{number}"
        jobs.open(record(name, round=number))
        write_output(campaign, [failed("a", job=name)], job=name)
        for _ in range(2):
            summary = merge_labels(campaign, jobs, LAYOUT, number, task_output(name))
            assert (summary.labeled, summary.failed) == (0, 1)
        row = master(campaign)["a"]
        assert row["truthloop"]["failures"] == number + 1
        assert "label" not in row
        assert "label-metadata" not in row
    assert is_given_up(master(campaign)["a"])
    assert len(master(campaign)["a"]["truthloop"]["failed_jobs"]) == 3


def test_an_object_that_a_completed_job_left_without_a_label_has_failed(
    campaign: S3Gateway, jobs: JobsTable
) -> None:
    write_output(campaign, [selected("a")])
    assert merge_labels(campaign, jobs, LAYOUT, ROUND, task_output()).failed == 1
    assert master(campaign)["a"]["truthloop"]["failures"] == 1


def test_a_persons_label_is_never_overwritten_by_none(campaign: S3Gateway, jobs: JobsTable) -> None:
    write_output(campaign, [labeled("a", label=2)])
    merge_labels(campaign, jobs, LAYOUT, ROUND, task_output())
    write_output(campaign, [failed("a", job=OTHER_JOB)], job=OTHER_JOB)
    merge_labels(campaign, jobs, LAYOUT, ROUND + 1, task_output(OTHER_JOB))
    row = master(campaign)["a"]
    assert (row["label"], row["truthloop"]["labeled_by"], row["truthloop"]["job"]) == (2, "people", JOB)
    assert "failure-reason" not in row["label-metadata"]


def test_a_stopped_jobs_labels_are_kept_and_what_it_never_reached_has_not_failed(
    campaign: S3Gateway, jobs: JobsTable
) -> None:
    write_output(campaign, [labeled("a"), selected("b"), failed("c")])
    summary = merge_labels(campaign, jobs, LAYOUT, ROUND, task_output(status="Stopped"))
    assert (summary.status, summary.labeled, summary.failed) == ("Stopped", 1, 1)
    rows = master(campaign)
    assert rows["a"]["label"] == 1
    assert rows["b"] == master_row("b")


@pytest.mark.parametrize("uri", [None, ""])
def test_a_stopped_job_without_an_output_manifest_gives_its_latest_intermediate_labels(
    campaign: S3Gateway, jobs: JobsTable, uri: str | None
) -> None:
    folder = "annotations/intermediate"
    write_output(campaign, [labeled("a", label=0), labeled("b", label=0)], at=f"{folder}/2/annotations")
    write_output(campaign, [labeled("a", label=2), labeled("c", label=2)], at=f"{folder}/10/annotations")
    campaign.write_bytes(f"{LAYOUT.labeling_prefix()}{JOB}/{folder}/11/annotations.manifest-sample", b"{")
    summary = merge_labels(campaign, jobs, LAYOUT, ROUND, task_output(status="Stopped", uri=uri))
    assert summary.labeled == 3
    assert [master(campaign)[name].get("label") for name in IDS] == [2, 0, 2, None]


def test_a_stopped_job_without_any_output_brings_nothing(campaign: S3Gateway, jobs: JobsTable) -> None:
    before = master(campaign)
    summary = merge_labels(campaign, jobs, LAYOUT, ROUND, task_output(status="Stopped", uri=None))
    assert (summary.labeled, summary.failed, summary.answers) == (0, 0, 0)
    assert master(campaign) == before


def test_a_completed_job_without_its_output_is_an_error(campaign: S3Gateway, jobs: JobsTable) -> None:
    with pytest.raises(ObjectNotFound, match=r"output\.manifest"):
        merge_labels(campaign, jobs, LAYOUT, ROUND, task_output())


def test_an_output_row_of_no_master_row_is_named_and_nothing_is_written(
    campaign: S3Gateway, jobs: JobsTable
) -> None:
    write_output(campaign, [labeled("a"), labeled("stranger")])
    before = master(campaign)
    with pytest.raises(UnknownRow) as caught:
        merge_labels(campaign, jobs, LAYOUT, ROUND, task_output())
    for part in (JOB, identifier("stranger"), source("stranger"), "1 rows"):
        assert part in str(caught.value)
    assert master(campaign) == before
    assert not campaign.exists(LAYOUT.merge(ROUND))


def test_a_manifest_that_changes_meanwhile_is_merged_again(
    campaign: S3Gateway, jobs: JobsTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_output(campaign, [labeled("a")])
    replace, refused = campaign.replace, []

    def refuse_once(uri: str, *rest: Any) -> str:
        if not refused:
            refused.append(uri)
            rows = {**master(campaign), "d": {**master_row("d"), "note": "somebody was here"}}
            campaign.write_bytes(uri, "".join(encode_row(row) + "\n" for row in rows.values()).encode())
            raise ObjectChanged(uri)
        return replace(uri, *rest)

    monkeypatch.setattr(campaign, "replace", refuse_once)
    merge_labels(campaign, jobs, LAYOUT, ROUND, task_output())
    assert refused == [LAYOUT.master_manifest()]
    assert master(campaign)["a"]["label"] == 1
    assert master(campaign)["d"]["note"] == "somebody was here"


def test_the_answers_are_counted_from_what_the_workers_sent(campaign: S3Gateway, jobs: JobsTable) -> None:
    write_output(campaign, [labeled("a"), labeled("b")])
    responses = f"{LAYOUT.labeling_prefix()}{JOB}/annotations/worker-response/iteration-1"
    first, second = (
        {
            "answerContent": {"crowd-image-classifier": {"label": "dog"}},
            "acceptanceTime": "2030-01-10T11:00:00.000Z",
            "submissionTime": f"2030-01-10T11:00:0{number}.000Z",
            "timeSpentInSeconds": 3.2,
            "workerId": f"private.us-east-1.{number}",
        }
        for number in (1, 2)
    )
    campaign.write_json(f"{responses}/0/2030-01-10_11:00:01.json", {"answers": [first]})
    # A later file may repeat the earlier answers of its object.
    campaign.write_json(f"{responses}/0/2030-01-10_11:00:02.json", {"answers": [first, second]})
    campaign.write_json(f"{responses}/1/2030-01-10_11:00:01.json", {"answers": [first]})
    assert merge_labels(campaign, jobs, LAYOUT, ROUND, task_output()).answers == 3


def test_the_round_records_what_the_merge_brought(campaign: S3Gateway, jobs: JobsTable) -> None:
    write_output(campaign, [labeled("a"), failed("b")])
    merge_labels(campaign, jobs, LAYOUT, ROUND, task_output())
    assert campaign.read_json(LAYOUT.merge(ROUND)) == {
        "job": JOB,
        "status": "Completed",
        "labeled": 1,
        "failed": 1,
        "answers": 0,
        "gold": {"objects": 0, "answers": 0},
        "auto": 0,
    }


def test_a_round_with_nothing_to_label_is_recorded_and_merges_nothing(
    campaign: S3Gateway, jobs: JobsTable
) -> None:
    before = master(campaign)
    merge_labels(campaign, jobs, LAYOUT, ROUND, NOTHING)
    assert master(campaign) == before
    assert campaign.read_json(LAYOUT.merge(ROUND)) == {
        "job": None,
        "status": "NothingToLabel",
        "labeled": 0,
        "failed": 0,
        "answers": 0,
        "gold": {"objects": 0, "answers": 0},
        "auto": 0,
    }


def test_another_rounds_job_is_refused(campaign: S3Gateway, jobs: JobsTable) -> None:
    with pytest.raises(WrongLabelingJob, match="round 4"):
        merge_labels(campaign, jobs, LAYOUT, ROUND, task_output(OTHER_JOB))
    with pytest.raises(UnknownLabelingJob):
        merge_labels(campaign, jobs, LAYOUT, ROUND, task_output("unknown"))


def test_a_merge_that_keeps_losing_the_race_fails_clearly(
    campaign: S3Gateway, jobs: JobsTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(uri: str, *_: Any) -> str:
        raise ObjectChanged(uri)

    write_output(campaign, [labeled("a")])
    monkeypatch.setattr(campaign, "replace", refuse)
    with pytest.raises(ObjectChanged):
        merge_labels(campaign, jobs, LAYOUT, ROUND, task_output())
    assert not campaign.exists(LAYOUT.merge(ROUND))
    assert manifest.is_labeled(master(campaign)["a"], "label") is False


# ---- history


def selection_event(round_number: int = ROUND) -> dict[str, Any]:
    return {
        "at": "2030-01-09T12:00:00+00:00",
        "event": "selected",
        "round": round_number,
        "job": None,
        "reason": "margin",
        "score": 0.25,
    }


def events(row: Row) -> list[tuple[str, int]]:
    return [(each["event"], each["round"]) for each in row["truthloop"]["history"]]


def test_a_row_remembers_why_it_was_chosen_and_that_it_was_labelled(
    campaign: S3Gateway, jobs: JobsTable
) -> None:
    chosen, unlucky = labeled("a"), failed("b")
    chosen["truthloop"]["history"] = [selection_event()]
    unlucky["truthloop"]["history"] = [selection_event()]
    write_output(campaign, [chosen, unlucky])
    merge_labels(campaign, jobs, LAYOUT, ROUND, task_output())
    rows = master(campaign)
    assert events(rows["a"]) == [("selected", ROUND), ("labeled", ROUND)]
    assert rows["a"]["truthloop"]["history"][0] == selection_event()
    assert events(rows["b"]) == [("selected", ROUND)]


def test_a_label_that_came_too_late_to_stand_is_remembered_too(campaign: S3Gateway, jobs: JobsTable) -> None:
    write_output(campaign, [labeled("a", label=0, date="10")])
    write_output(campaign, [labeled("a", label=1, job=OTHER_JOB, date="11")], job=OTHER_JOB)
    merge_labels(campaign, jobs, LAYOUT, ROUND + 1, task_output(OTHER_JOB))
    merge_labels(campaign, jobs, LAYOUT, ROUND, task_output())
    row = master(campaign)["a"]
    assert row["label"] == 1
    assert events(row) == [("labeled", ROUND), ("labeled", ROUND + 1)]


# ---- gold items


def gold_row(name: str, **keys: Any) -> Row:
    row = {"source-ref": source(name), **keys}
    return {**row, "truthloop": {"id": gold_id(row), "gold": True, "round": ROUND, "reason": "gold"}}


def answer(worker: int, second: int = 0) -> dict[str, Any]:
    return {
        "answerContent": {},
        "submissionTime": f"2030-01-10T11:00:{second:02d}.000Z",
        "workerId": f"private.us-east-1.{worker}",
    }


def test_gold_items_are_counted_and_never_reach_the_master(campaign: S3Gateway, jobs: JobsTable) -> None:
    campaign.write_lines_once(LAYOUT.gold_manifest(), [encode_row(gold_row("gold-1", label=1))])
    sent = [selected("a"), gold_row("gold-1"), selected("b"), gold_row("gold-2")]
    campaign.write_lines_once(LAYOUT.selection_manifest(ROUND), map(encode_row, sent))
    details = metadata(JOB, "10", annotators=3)
    reason = metadata(JOB, "10", **{"failure-reason": "Nobody answered."})
    write_output(
        campaign,
        [
            labeled("a"),
            gold_row("gold-1", label=0, **{"label-metadata": details}),
            failed("b"),
            gold_row("gold-2", **{"label-metadata": reason}),
        ],
    )
    responses = f"{LAYOUT.labeling_prefix()}{JOB}/annotations/worker-response/iteration-1"
    for index, workers in ((0, 3), (1, 2), (2, 3), (3, 1)):
        for worker in range(workers):
            campaign.write_json(f"{responses}/{index}/{worker}.json", {"answers": [answer(worker)]})
    before = list(master(campaign))
    summary = merge_labels(campaign, jobs, LAYOUT, ROUND, task_output())
    assert (summary.labeled, summary.failed, summary.answers) == (1, 1, 6)
    assert campaign.read_json(LAYOUT.merge(ROUND))["gold"] == {"objects": 1, "answers": 3}
    assert list(master(campaign)) == before
    assert not [row for row in master(campaign).values() if row["truthloop"].get("gold")]
    assert merge_labels(campaign, jobs, LAYOUT, ROUND, task_output()) == summary


# ---- what the model labels


MODEL = "s3://data-bucket/campaigns/digits/rounds/2/model/model.tar.gz"


def auto(name: str, label: int = 0, date: str = "09", round_number: int = ROUND) -> Row:
    """A row as select writes it into auto.manifest."""
    at = f"2030-01-{date}T12:00:00+00:00"
    row = master_row(name)
    row["truthloop"] |= {
        "round": round_number,
        "reason": "auto",
        "score": 0.01,
        "model": MODEL,
        "labeled_by": "model",
        "history": [
            {
                "at": at,
                "event": "auto-labeled",
                "round": round_number,
                "job": None,
                "model": MODEL,
                "confidence": 0.99,
            }
        ],
    }
    described = {
        "type": "groundtruth/image-classification",
        "human-annotated": "no",
        "class-name": "cat",
        "confidence": 0.99,
        "creation-date": f"2030-01-{date}T12:00:00.000000",
        "job-name": "truthloop/digits",
    }
    return {**row, "label": label, "label-metadata": described}


def write_auto(
    s3: S3Gateway, rows: list[Row], round_number: int = ROUND, held_out: tuple[str, ...] = ()
) -> None:
    s3.write_json(LAYOUT.campaign_document(), prepared_campaign().to_document())
    splits = {"seed": 1, "test": [identifier(name) for name in held_out], "validation": []}
    s3.write_json(LAYOUT.splits(), {**splits, "stratified_by": None})
    uri = LAYOUT.auto_manifest(round_number)
    s3.write_bytes(uri, "".join(encode_row(row) + "\n" for row in rows).encode())


def test_a_round_merges_the_models_labels_beside_peoples(campaign: S3Gateway, jobs: JobsTable) -> None:
    write_output(campaign, [labeled("a", label=2)])
    write_auto(campaign, [auto("c"), auto("d", label=1)])
    summary = merge_labels(campaign, jobs, LAYOUT, ROUND, task_output())
    assert (summary.labeled, summary.auto) == (1, 2)
    rows = master(campaign)
    assert [rows[name].get("label") for name in IDS] == [2, None, 0, 1]
    assert rows["c"]["weather"] == "rain over c"
    assert rows["c"]["label-metadata"]["human-annotated"] == "no"
    assert rows["c"]["truthloop"] == {**auto("c")["truthloop"], "failures": 0}
    etag = campaign.head(LAYOUT.master_manifest()).etag
    assert merge_labels(campaign, jobs, LAYOUT, ROUND, task_output()) == summary
    assert campaign.head(LAYOUT.master_manifest()).etag == etag


def test_a_round_with_nothing_for_people_still_merges_the_models_labels(
    campaign: S3Gateway, jobs: JobsTable
) -> None:
    write_auto(campaign, [auto("c")])
    summary = merge_labels(campaign, jobs, LAYOUT, ROUND, NOTHING)
    assert (summary.job, summary.labeled, summary.auto) == (None, 0, 1)
    assert master(campaign)["c"]["truthloop"]["labeled_by"] == "model"
    assert campaign.read_json(LAYOUT.merge(ROUND))["auto"] == 1


def test_an_empty_manifest_of_the_models_labels_is_no_label(campaign: S3Gateway, jobs: JobsTable) -> None:
    before = master(campaign)
    write_auto(campaign, [])
    assert merge_labels(campaign, jobs, LAYOUT, ROUND, NOTHING).auto == 0
    assert master(campaign) == before


@pytest.mark.parametrize("people_first", [True, False])
@pytest.mark.parametrize("date", ["08", "12"])
def test_the_model_never_replaces_a_persons_label(
    campaign: S3Gateway, jobs: JobsTable, people_first: bool, date: str
) -> None:
    write_output(campaign, [labeled("a", label=2)])
    write_auto(campaign, [auto("a", date=date, round_number=ROUND + 1)], ROUND + 1)
    merges = [(ROUND, task_output()), (ROUND + 1, NOTHING)]
    for round_number, labeling in merges if people_first else merges[::-1]:
        merge_labels(campaign, jobs, LAYOUT, round_number, labeling)
    row = master(campaign)["a"]
    assert (row["label"], row["truthloop"]["labeled_by"], row["truthloop"]["job"]) == (2, "people", JOB)
    assert row["truthloop"]["reason"] == "margin"
    assert sorted(events(row)) == [("auto-labeled", ROUND + 1), ("labeled", ROUND)]


def test_in_one_round_a_persons_label_stands_before_the_models(campaign: S3Gateway, jobs: JobsTable) -> None:
    write_output(campaign, [labeled("a", label=2), failed("b")])
    write_auto(campaign, [auto("a", date="20"), auto("b", date="20")])
    merge_labels(campaign, jobs, LAYOUT, ROUND, task_output())
    rows = master(campaign)
    assert (rows["a"]["label"], rows["a"]["truthloop"]["labeled_by"]) == (2, "people")
    assert events(rows["a"]) == [("labeled", ROUND), ("auto-labeled", ROUND)]
    # Whom people could not label the model may, and the failure still counts.
    assert (rows["b"]["label"], rows["b"]["truthloop"]["labeled_by"]) == (0, "model")
    assert rows["b"]["truthloop"]["failures"] == 1


def test_a_label_of_the_input_stays_and_held_out_rows_are_left_alone(
    campaign: S3Gateway, jobs: JobsTable
) -> None:
    given = {**master_row("a", label=2)}
    rows = [given, *(master_row(name) for name in IDS[1:])]
    uri = LAYOUT.master_manifest()
    campaign.write_bytes(uri, "".join(encode_row(row) + "\n" for row in rows).encode())
    write_auto(campaign, [auto("a"), auto("b"), auto("c")], held_out=("b",))
    assert merge_labels(campaign, jobs, LAYOUT, ROUND, NOTHING).auto == 2
    found = master(campaign)
    assert (found["a"]["label"], found["a"]["truthloop"]["labeled_by"]) == (2, "input")
    assert found["b"] == master_row("b")
    assert found["c"]["label"] == 0


def test_a_row_of_the_models_that_the_master_lacks_is_named(campaign: S3Gateway, jobs: JobsTable) -> None:
    write_auto(campaign, [auto("stranger")])
    with pytest.raises(UnknownRow, match="output of the model has 1 rows"):
        merge_labels(campaign, jobs, LAYOUT, ROUND, NOTHING)
    assert not campaign.exists(LAYOUT.merge(ROUND))
