"""The labelled manifest and the report's numbers, counted again from what lies in S3 and what people did."""

from __future__ import annotations

import io
import json
from collections import Counter
from statistics import median
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from truthloop import aws
from truthloop.manifest import row_id
from truthloop_batch import finalise
from truthloop_batch.__main__ import main
from truthloop_batch.context import Context
from truthloop_batch.model import load_model
from truthloop_batch.report.data import UnfinishedRound
from truthloop_batch.report.document import Report
from unit.report.campaigns import (
    ATTRIBUTE,
    BUCKET,
    CLASSES,
    PRICES,
    WORKERS,
    BuiltCampaign,
    build_campaign,
    put_object,
)

# No control, and as few objects as the steps need.
SMALL: dict[str, Any] = {"images": 40, "selection": {"seed_size": 10, "round_size": 6}}


def told(row: dict[str, Any]) -> dict[str, Any]:
    return row["truthloop"]


def put(built: BuiltCampaign, path: str, document: Any) -> None:
    built.s3.write_json(built.layout.uri + path, document)


def delete(uri: str) -> None:
    aws.s3().delete_object(Bucket=BUCKET, Key=uri.removeprefix(f"s3://{BUCKET}/"))


# ------------------------------------------------------------------------------------ labels.manifest


def test_labels_manifest_has_each_input_object_once_and_in_the_order_of_the_input(
    campaign: BuiltCampaign,
) -> None:
    written = [row["source-ref"] for row in campaign.labels_manifest()]
    assert written == [row["source-ref"] for row in campaign.inputs]
    assert len(written) == 160


def test_keys_that_the_input_carried_are_untouched(campaign: BuiltCampaign) -> None:
    for given, written in zip(campaign.inputs, campaign.labels_manifest(), strict=True):
        assert given.items() <= written.items()
        assert set(written) - set(given) <= {ATTRIBUTE, f"{ATTRIBUTE}-metadata", "truthloop"}


def test_every_row_says_who_labelled_it_and_why(campaign: BuiltCampaign) -> None:
    rows = campaign.labels_manifest()
    reasons: dict[str | None, set[str]] = {}
    for row in rows:
        assert {"labeled_by", "reason", "round", "score", "model", "job", "annotators"} <= set(told(row))
        reasons.setdefault(told(row)["labeled_by"], set()).add(told(row)["reason"])
        assert (ATTRIBUTE in row) is (told(row)["labeled_by"] is not None)
    assert reasons == {
        "people": {"seed", "margin", "random-control", "test", "validation"},
        "model": {"model"},
        "input": {"input"},
        None: {"no-answer"},
    }


def test_labels_of_people_and_of_the_input_are_those_of_the_master_manifest(campaign: BuiltCampaign) -> None:
    written = {row_id(row): row for row in campaign.labels_manifest()}
    labeled = [row for row in campaign.master() if ATTRIBUTE in row]
    assert len(labeled) > 80
    for row in labeled:
        assert written[row_id(row)] == row


def test_the_model_labels_the_rest_with_its_own_prediction_in_ground_truths_shape(
    campaign: BuiltCampaign,
) -> None:
    uri = campaign.layout.model(2)
    model = load_model(campaign.context, uri)
    rows = [row for row in campaign.labels_manifest() if told(row)["labeled_by"] == "model"]
    assert len(rows) > 20
    for row in rows:
        content = campaign.s3.read_bytes(row["source-ref"])
        (probabilities,) = model.predict(np.stack([model.adapter.reader(campaign.s3.read_bytes)(content)]))
        second, first = np.sort(probabilities)[-2:]
        assert row[ATTRIBUTE] == int(probabilities.argmax())
        metadata = row[f"{ATTRIBUTE}-metadata"]
        assert metadata["confidence"] == pytest.approx(first, abs=1e-5)
        assert {key: metadata[key] for key in set(metadata) - {"confidence"}} == {
            "class-name": CLASSES[row[ATTRIBUTE]],
            "type": "groundtruth/image-classification",
            "human-annotated": "no",
            "creation-date": "2026-03-01T09:30:00.000000",
            "job-name": "truthloop/digits",
        }
        assert told(row)["score"] == pytest.approx(1 - (first - second), abs=1e-5)
        assert told(row)["round"] == 2
        assert told(row)["model"] == uri
        assert told(row)["job"] is None
        assert told(row)["annotators"] is None


def test_held_out_rows_without_an_answer_are_never_labelled_by_the_model(campaign: BuiltCampaign) -> None:
    held_out = campaign.context.splits.held_out
    rows = campaign.labels_manifest()
    assert not [row for row in rows if row_id(row) in held_out and told(row)["labeled_by"] == "model"]
    left = [row for row in rows if told(row)["labeled_by"] is None]
    assert left
    assert {row_id(row) for row in left} <= held_out


def test_rows_that_people_failed_on_keep_their_count_of_failures(campaign: BuiltCampaign) -> None:
    before = {row_id(row): told(row)["failures"] for row in campaign.master()}
    assert any(before.values())
    assert {row_id(row): told(row)["failures"] for row in campaign.labels_manifest()} == before


def test_nobody_labels_the_rest_when_the_request_says_so(cloud: None) -> None:
    built = build_campaign(
        name="nobody", rounds=2, fails=lambda n: n % 10 == 3, label_remaining="nobody", **SMALL
    )
    finalise.run(built.context)
    rows = built.labels_manifest()
    failed = {row_id(row) for row in built.master() if told(row)["failures"]}
    reasons = {row_id(row): told(row)["reason"] for row in rows if told(row)["labeled_by"] is None}
    assert set(reasons.values()) == {"not-selected", "no-answer"}
    assert {identifier for identifier, reason in reasons.items() if reason == "no-answer"} == failed
    assert not [row for row in rows if told(row)["labeled_by"] == "model"]
    labels = built.report()["labels"]
    assert labels["model"] == 0
    assert labels["nobody"] == len(reasons) == len(rows) - labels["people"]
    assert "stayed without a label" in built.page()


def test_an_object_that_the_model_cannot_read_stays_unlabelled_and_says_so(cloud: None) -> None:
    built = build_campaign(name="unreadable", rounds=1, **SMALL)
    broken = next(
        row["source-ref"]
        for row in built.master()
        if ATTRIBUTE not in row and row_id(row) not in built.context.splits.held_out
    )
    whole = built.s3.read_bytes(broken)
    put_object(broken, b"not an image")
    finalise.run(built.context)
    (row,) = [row for row in built.labels_manifest() if row["source-ref"] == broken]
    assert ATTRIBUTE not in row
    assert (told(row)["labeled_by"], told(row)["reason"]) == (None, "unreadable")
    assert built.report()["labels"]["reasons"]["unreadable"] == 1
    put_object(broken, whole)


# --------------------------------------------------------------------------------------- the subcommand


def test_the_subcommand_finalises_the_campaign_and_a_repetition_changes_nothing(cloud: None) -> None:
    built = build_campaign(name="twice", rounds=1, **SMALL)
    arguments = ["finalise", "--campaign-uri", built.layout.uri, "--round", "0"]
    outputs = [built.layout.labels_manifest(), built.layout.report_document(), built.layout.report()]
    assert main(arguments) == 0
    first = [built.s3.read_bytes(uri) for uri in outputs]
    assert main(arguments) == 0
    assert [built.s3.read_bytes(uri) for uri in outputs] == first
    # A job that died between its outputs writes what is missing, and the same again.
    for uri in outputs:
        delete(uri)
    assert main(arguments) == 0
    assert [built.s3.read_bytes(uri) for uri in outputs] == first
    head = aws.s3().head_object(Bucket=BUCKET, Key="campaigns/twice/report/index.html")
    assert head["ContentType"] == "text/html; charset=utf-8"


def test_a_round_that_is_not_done_is_named(
    cloud: None, campaign: BuiltCampaign, capsys: pytest.CaptureFixture[str]
) -> None:
    delete(campaign.layout.report())
    context = Context.open(campaign.layout.uri, 7, s3=campaign.s3)
    with pytest.raises(UnfinishedRound, match=r"up to round 7 .*rounds/3/decision\.json") as caught:
        finalise.run(context)
    assert "give the last round that is done" in str(caught.value)
    assert main(["finalise", "--campaign-uri", campaign.layout.uri, "--round", "7"]) == 2
    assert "UnfinishedRound" in capsys.readouterr().out
    finalise.run(campaign.context)


# -------------------------------------------------------------------------------------- report.json


def test_labels_are_counted_by_source_class_and_reason(campaign: BuiltCampaign) -> None:
    rows, labels = campaign.labels_manifest(), campaign.report()["labels"]
    sources = Counter(told(row)["labeled_by"] for row in rows)
    assert (labels["people"], labels["model"], labels["input"], labels["nobody"]) == (
        sources["people"],
        sources["model"],
        sources["input"],
        sources[None],
    )
    assert labels["reasons"] == Counter(told(row)["reason"] for row in rows)
    by_class = Counter((row[ATTRIBUTE], told(row)["labeled_by"]) for row in rows if ATTRIBUTE in row)
    for index, entry in enumerate(labels["per_class"]):
        assert entry["label"] == CLASSES[index]
        for source in ("people", "model", "input"):
            assert entry[source] == by_class[index, source]


def test_costs_follow_from_the_prices_and_from_what_people_did(campaign: BuiltCampaign) -> None:
    report = campaign.report()
    answers = Counter(answer.job for answer in campaign.answers)
    objects = Counter(job for job, _ in campaign.consolidated)
    hours = 1 / 3600
    for number, entry in enumerate(report["rounds"]):
        (job,) = [name for name in answers if f"-r{number}-" in name]
        labeling = objects[job] * PRICES.ground_truth_per_object_usd + answers[job] * PRICES.answer_usd
        compute = (30 + number) * hours * (PRICES.batch_vcpu_hour_usd + 2 * PRICES.batch_gib_hour_usd)
        assert entry["people"] == objects[job]
        assert entry["answers"] == answers[job]
        assert entry["labeling_usd"] == pytest.approx(labeling, abs=1e-6)
        assert entry["compute_usd"] == pytest.approx(compute, abs=1e-6)
        assert entry["total_usd"] == pytest.approx(labeling + compute, abs=1e-6)
    cost, labels = report["cost"], report["labels"]
    total = sum(entry["total_usd"] for entry in report["rounds"])
    assert report["rounds"][-1]["cumulative_usd"] == pytest.approx(total, abs=1e-5)
    assert cost["total_usd"] == pytest.approx(total, abs=1e-5)
    assert cost["total_usd"] == pytest.approx(cost["labeling_usd"] + cost["compute_usd"], abs=1e-5)
    assert cost["per_person_label_usd"] == pytest.approx(cost["labeling_usd"] / sum(objects.values()))
    assert cost["per_label_usd"] == pytest.approx(total / (labels["people"] + labels["model"]), abs=1e-6)
    assert cost["all_by_people_usd"] == pytest.approx((160 - labels["input"]) * (0.08 + 3 * 0.012))
    assert cost["budget_usd"] == 50


def test_annotators_are_measured_by_their_own_answers(campaign: BuiltCampaign) -> None:
    entries = {entry["worker"]: entry for entry in campaign.report()["annotators"]}
    assert set(entries) == {worker for worker, _, _ in WORKERS}
    for worker, entry in entries.items():
        given = [answer for answer in campaign.answers if answer.worker == worker]
        agreed = [campaign.consolidated[answer.job, answer.object] == answer.label for answer in given]
        assert entry["answers"] == len(given)
        assert entry["compared"] == len(given)
        assert entry["seconds_median"] == pytest.approx(median(answer.seconds for answer in given))
        assert entry["agreement"] == pytest.approx(sum(agreed) / len(agreed))
        low, high = entry["agreement_interval"]
        assert low <= entry["agreement"] <= high
        assert low < high
    good, bad = (entries[WORKERS[number][0]]["agreement"] for number in (0, 2))
    assert good > bad


def test_jobs_tell_their_status_and_what_failed(campaign: BuiltCampaign) -> None:
    jobs = campaign.report()["jobs"]
    assert [job["round"] for job in jobs] == [0, 1, 2]
    merges = campaign.documents("merge")
    selections = campaign.documents("selection")
    for job, merge, selection in zip(jobs, merges, selections, strict=True):
        assert (job["name"], job["status"], job["attempt"]) == (merge["job"], "Completed", 1)
        assert (job["labeled"], job["failed"], job["answers"]) == (
            merge["labeled"],
            merge["failed"],
            merge["answers"],
        )
        assert job["objects"] == selection["to_label"] == job["labeled"] + job["failed"]
    assert sum(job["failed"] for job in jobs) > 0


def test_learning_curves_are_the_evaluations(campaign: BuiltCampaign) -> None:
    report, evaluations = campaign.report(), campaign.documents("evaluation")
    for arm in ("model", "strategy", "control"):
        points = report["learning"]["arms"][arm]
        assert [point["round"] for point in points] == [0, 1, 2]
        for point, evaluation in zip(points, evaluations, strict=True):
            measured = evaluation["arms"][arm]
            assert point.items() <= {**measured, "round": evaluation["round"]}.items()
    last = evaluations[-1]["arms"]["model"]
    model = report["model"]
    assert model["confusion"] == last["confusion"]
    assert model["quality"] == last["quality"]
    assert model["uri"] == campaign.layout.model(2)
    mistakes = sum(map(sum, last["confusion"])) - sum(last["confusion"][i][i] for i in range(10))
    assert 0 < sum(pair["rows"] for pair in model["most_confused"]) <= mistakes
    counts = [pair["rows"] for pair in model["most_confused"]]
    assert counts == sorted(counts, reverse=True)
    top = model["most_confused"][0]
    assert last["confusion"][CLASSES.index(top["label"])][CLASSES.index(top["predicted"])] == top["rows"]


def test_margins_of_pool_and_of_chosen_rows_are_those_of_the_score_shards(campaign: BuiltCampaign) -> None:
    selection = campaign.report()["selection"]
    assert [entry["round"] for entry in selection] == [1, 2]
    for entry in selection:
        number = entry["round"]
        margins: dict[str, float] = {}
        for shard in range(2):
            content = campaign.s3.read_bytes(campaign.layout.scores(number, shard))
            for row in pq.read_table(io.BytesIO(content)).to_pylist():
                margins[row["id"]] = row["margin"]
        chosen = campaign.s3.read_json(campaign.layout.selection(number))["arms"]["strategy"]
        for spread, values in (
            (entry["pool"], list(margins.values())),
            (entry["selected"], [margins[identifier] for identifier in chosen]),
        ):
            assert spread["rows"] == len(values)
            assert spread["lowest"] == pytest.approx(min(values), abs=1e-5)
            assert spread["highest"] == pytest.approx(max(values), abs=1e-5)
            assert spread["median"] == pytest.approx(median(values), abs=1e-5)


def test_the_gallery_holds_the_hardest_rows_hardest_first(campaign: BuiltCampaign) -> None:
    rows, hardest = campaign.labels_manifest(), campaign.report()["hardest"]
    confidences = sorted(
        row[f"{ATTRIBUTE}-metadata"]["confidence"]
        for row in rows
        if told(row)["labeled_by"] == "people" and row[f"{ATTRIBUTE}-metadata"]["confidence"] < 1
    )
    shown = [item["confidence"] for item in hardest["least_agreed"]]
    assert shown == confidences[:12]
    assert shown

    scores = sorted((told(row)["score"] for row in rows if told(row)["labeled_by"] == "model"), reverse=True)
    assert [1 - item["margin"] for item in hardest["least_certain"]] == pytest.approx(scores[:12])

    assert hardest["disputed"]
    for item in hardest["disputed"]:
        assert item["labeled_by"] in {"people", "input"}
        assert item["label"] != item["model_label"]
    sureness = [item["model_confidence"] for item in hardest["disputed"]]
    assert sureness == sorted(sureness, reverse=True)

    by_id = {row_id(row): row for row in rows}
    for item in [item for group in hardest.values() for item in group]:
        row = by_id[item["id"]]
        assert item["content"] == row["source-ref"]
        assert item["label"] == [{"label": CLASSES[row[ATTRIBUTE]], "count": 1}]
        assert (item["labeled_by"], item["reason"]) == (told(row)["labeled_by"], told(row)["reason"])


def test_facts_of_the_campaign_are_the_requests(campaign: BuiltCampaign) -> None:
    report = campaign.report()
    assert report["schema_version"] == 3
    facts = report["campaign"]
    assert facts["rows"] == 160
    assert facts["splits"] == {"test": 40, "validation": 16, "pool": 104}
    assert facts["categories"] == list(CLASSES)
    assert facts["started_at"] == "2026-03-01T09:00:00+00:00"
    assert facts["finished_at"] == "2026-03-01T09:30:00+00:00"
    decision = campaign.documents("decision")[-1]
    assert report["stop"] == {"round": 2, "rule": "max_rounds", "reason": decision["reason"]}


# ------------------------------------------------------------------------------------ missing pieces


def test_one_round_without_a_control_and_without_answers_gives_a_whole_report(cloud: None) -> None:
    built = build_campaign(name="least", rounds=1, responses=False, **SMALL)
    finalise.run(built.context)
    report = built.report()
    assert report["learning"]["comparison"] is None
    assert report["learning"]["arms"]["strategy"] == report["learning"]["arms"]["control"] == []
    assert len(report["learning"]["arms"]["model"]) == 1
    assert report["annotators"] == []
    assert report["selection"] == []
    assert [job["answers"] for job in report["jobs"]] == [0]
    page = built.page()
    assert "random control" not in page.split("<main")[1].split('id="facts"')[0].lower().replace(
        "no random control", ""
    )
    assert "single answers are not there" in page


def test_a_campaign_whose_input_had_all_labels_asked_nobody(cloud: None) -> None:
    built = build_campaign(name="given", rounds=1, labeled=lambda number: True, **SMALL)
    finalise.run(built.context)
    report = built.report()
    assert report["jobs"] == report["annotators"] == []
    assert (report["labels"]["input"], report["labels"]["people"], report["labels"]["model"]) == (40, 0, 0)
    cost = report["cost"]
    assert cost["per_person_label_usd"] is cost["per_label_usd"] is None
    assert cost["all_by_people_usd"] == 0
    assert "nothing was asked of people" in built.page()


@pytest.mark.parametrize(
    ("fields", "known"),
    [(["submissionTime", "acceptanceTime"], True), (["submissionTime"], False), ([], False)],
)
def test_the_time_of_an_answer_may_be_missing(cloud: None, fields: list[str], known: bool) -> None:
    name = f"times-{len(fields)}"
    built = build_campaign(name=name, rounds=1, response_fields=fields, **SMALL)
    finalise.run(built.context)
    for entry in built.report()["annotators"]:
        given = [answer.seconds for answer in built.answers if answer.worker == entry["worker"]]
        assert entry["answers"] == len(given)
        if known:
            # The service's times have milliseconds.
            assert entry["seconds_median"] == pytest.approx(median(given), abs=0.002)
        else:
            assert entry["seconds_median"] is None


def test_repeated_malformed_and_foreign_answer_files_do_not_mislead(cloud: None) -> None:
    built = build_campaign(name="odd", rounds=1, **SMALL)
    job = built.documents("merge")[0]["job"]
    folder = f"labeling/{job}/annotations/worker-response/iteration-1/0/"
    first = built.s3.read_json(f"{built.layout.uri}{folder}2026-03-01_09:00:00.json")
    put(built, f"{folder}2026-03-01_09:00:09.json", first)
    worker = WORKERS[0][0]
    odd = {"answerContent": {"other-form": 1}, "submissionTime": "2026-03-01T10:00:00.000Z"}
    put(built, f"{folder}2026-03-01_10:00:00.json", {"answers": [{**odd, "workerId": worker}, odd]})
    put(built, f"labeling/{job}/annotation-tool/data.json", {"answers": "nobody's"})
    put(built, "labeling/odd-r0-a2-00000000/annotations/intermediate/1/annotations.manifest", {})
    put(built, "labeling/odd-r7-a1-00000000/annotations/worker-response/iteration-1/0/now.json", first)
    finalise.run(built.context)
    entries = {entry["worker"]: entry for entry in built.report()["annotators"]}
    given = sum(answer.worker == worker for answer in built.answers)
    assert entries[worker]["answers"] == given + 1
    assert entries[worker]["compared"] == given
    assert (entries["unknown"]["answers"], entries["unknown"]["agreement"]) == (1, None)
    assert [entries[name]["malformed"] for name in (worker, "unknown", WORKERS[1][0])] == [1, 1, 0]
    (reason,) = built.report()["problems"]["malformed"]
    assert reason["count"] == 2
    assert "crowd-image-classifier.label" in reason["reason"]
    merged, other = built.report()["jobs"]
    assert (merged["name"], merged["status"]) == (job, "Completed")
    assert (other["attempt"], other["status"], other["answers"]) == (2, None, 0)
    assert "not merged" in built.page()


def test_answers_of_workers_of_whom_nothing_is_known_are_counted_and_not_compared(cloud: None) -> None:
    built = build_campaign(name="failed", rounds=1, **SMALL)
    job = built.documents("merge")[0]["job"]
    delete(built.layout.labeling_output_manifest(job))
    delete(built.layout.workers(0))
    finalise.run(built.context)
    assert built.report()["annotators"]
    for entry in built.report()["annotators"]:
        assert entry["answers"] > 0
        assert (entry["compared"], entry["agreement"], entry["agreement_interval"]) == (0, None, None)
        assert entry["skill"] == {"right": None}
    assert [job["malformed"] for job in built.report()["jobs"]] == [0]


def test_the_document_is_plain_json_with_every_key_of_its_schema(campaign: BuiltCampaign) -> None:
    content = campaign.s3.read_bytes(campaign.layout.report_document())
    assert set(json.loads(content)) == set(Report.__annotations__)
    assert b"NaN" not in content
    assert b"Infinity" not in content
