from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from truthloop.consolidation.skills import Evidence, Skill, add
from truthloop.labeling.jobs import JobsTable
from truthloop.labeling.workers import earlier_skills, keep_evidence, store_of, sum_up
from truthloop.manifest import encode_row, read_master, with_provenance
from truthloop.merge import merge_labels
from truthloop.s3 import S3Gateway
from unit.labeling import answers
from unit.labeling.kit import BUCKET, LAYOUT, TABLE, lambda_context, load_handler, record

GOOD = Evidence(1.0, {"0:0": 1.0})
BAD = Evidence(0.0, {"0:1": 0.75, "1:1": 0.25})


def workers(s3: S3Gateway, round_number: int) -> Any:
    return s3.read_json(LAYOUT.workers(round_number))["workers"]


def test_skills_add_up_over_batches_and_rounds(s3: S3Gateway) -> None:
    first, second = record("digits-r0"), record("digits-r1", round=1)
    keep_evidence(s3, first, {"0": {"ann": GOOD, "bo": BAD}})
    keep_evidence(s3, first, {"1": {"ann": GOOD}})
    sum_up(s3, LAYOUT, 0, first.job_name)
    keep_evidence(s3, second, {"0": {"ann": BAD, "cy": GOOD}})
    sum_up(s3, LAYOUT, 1, second.job_name)
    assert workers(s3, 0) == {
        "ann": {"answers": 2, "agreement": 1.0, "agreement_sum": 2.0, "counts": {"0:0": 2.0}},
        "bo": {"answers": 1, "agreement": 0.0, "agreement_sum": 0.0, "counts": {"0:1": 0.75, "1:1": 0.25}},
    }
    assert workers(s3, 1)["ann"] == {
        "answers": 3,
        "agreement": pytest.approx(2 / 3, abs=1e-6),
        "agreement_sum": 2.0,
        "counts": {"0:0": 2.0, "0:1": 0.75, "1:1": 0.25},
    }
    assert list(workers(s3, 1)) == ["ann", "bo", "cy"]


def test_a_batch_that_is_consolidated_again_and_a_round_that_is_merged_again_count_once(
    s3: S3Gateway,
) -> None:
    job = record("digits-r0")
    for _ in range(2):
        keep_evidence(s3, job, {"0": {"ann": GOOD}, "1": {"ann": BAD}})
        keep_evidence(s3, job, {"1": {"ann": BAD}})
        sum_up(s3, LAYOUT, 0, job.job_name)
    assert workers(s3, 0)["ann"]["answers"] == 2


def test_an_object_that_came_in_two_batches_counts_once_and_the_others_are_kept(s3: S3Gateway) -> None:
    job = record("digits-r0")
    keep_evidence(s3, job, {"0": {"ann": GOOD}, "1": {"ann": GOOD}})
    keep_evidence(s3, job, {"0": {"ann": GOOD}, "2": {"ann": GOOD}})
    sum_up(s3, LAYOUT, 0, job.job_name)
    assert workers(s3, 0)["ann"]["answers"] == 3


def test_a_round_without_a_job_hands_the_skills_on(s3: S3Gateway) -> None:
    job = record("digits-r0")
    keep_evidence(s3, job, {"0": {"ann": GOOD}})
    sum_up(s3, LAYOUT, 0, job.job_name)
    sum_up(s3, LAYOUT, 1, None)
    assert workers(s3, 1) == workers(s3, 0)


def test_the_newest_earlier_round_is_what_is_known(s3: S3Gateway) -> None:
    assert earlier_skills(s3, LAYOUT, 3) == {}
    job = record("digits-r0")
    keep_evidence(s3, job, {"0": {"ann": GOOD}})
    sum_up(s3, LAYOUT, 0, job.job_name)
    assert earlier_skills(s3, LAYOUT, 0) == {}
    assert earlier_skills(s3, LAYOUT, 3) == {"ann": Skill(1, 1.0, {"0:0": 1.0})}


def test_answers_without_another_to_compare_with_leave_nothing(s3: S3Gateway) -> None:
    keep_evidence(s3, record("digits-r0"), {})
    assert list(s3.list(LAYOUT.uri)) == []


def test_adding_leaves_what_was_known_as_it_was() -> None:
    before = {"ann": Skill(1, 1.0, {"0:0": 1.0})}
    assert add(before, [("ann", GOOD)]) == {"ann": Skill(2, 2.0, {"0:0": 2.0})}
    assert before == {"ann": Skill(1, 1.0, {"0:0": 1.0})}


def test_files_of_labels_lie_below_their_job_under_any_name(s3: S3Gateway) -> None:
    store = store_of(s3, record("digits-r0"))
    prefix = LAYOUT.consolidated_prefix("digits-r0")
    assert prefix.startswith(LAYOUT.labeling_prefix() + "digits-r0/")
    for name in ("7.png", "../../x/7.png", "犬.png"):
        uri = store(name, name.encode(), "image/png")
        assert uri.startswith(prefix)
        assert "/" not in uri.removeprefix(prefix)
        assert s3.read_bytes(uri) == name.encode()
        assert s3.head(uri).content_type == "image/png"
    assert len(list(s3.list(prefix))) == 3


# ---- through the functions

ARN = "arn:aws:sagemaker:us-east-1:123456789012:labeling-job/"
NAMES = ("cat", "dog", "bird")


@pytest.fixture
def post(s3: S3Gateway, jobs: JobsTable, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The post-annotation function as one warm container has it."""
    monkeypatch.setenv("JOBS_TABLE", TABLE)
    monkeypatch.setenv("DATA_BUCKET", BUCKET)
    handler = load_handler("post_annotation")

    def call(job: str, *payload: Any) -> Any:
        event = {"labelingJobArn": ARN + job, "payload": {"content": list(payload)}}
        return json.loads(json.dumps(handler.lambda_handler(event, lambda_context("post_annotation"))))

    return call


def consolidated(entries: Any) -> list[Any]:
    return [entry["consolidatedAnnotation"]["content"] for entry in entries]


def test_the_skill_of_one_round_decides_in_the_next(s3: S3Gateway, jobs: JobsTable, post: Any) -> None:
    """A worker who was right all along outweighs two who were not, in a round of one object."""
    first, second = record("digits-r0"), record("digits-r1", round=1)
    jobs.open(first)
    jobs.open(second)
    rows = [with_provenance({"source-ref": f"s3://images/{number}.png"}, "label") for number in range(40)]
    s3.write_bytes(LAYOUT.master_manifest(), "".join(encode_row(row) + "\n" for row in rows).encode())

    def choice(number: int) -> Any:
        return answers.one("crowd-image-classifier", NAMES[number % 3])

    payload = [
        answers.item(
            str(number),
            {
                **{f"good-{each}": choice(number) for each in range(4)},
                "bad-1": choice(number + 1),
                "bad-2": choice(number + 2),
            },
        )
        for number in range(40)
    ]
    labels = consolidated(post(first.job_name, *payload))
    output = "".join(encode_row({**row, **label}) + "\n" for row, label in zip(rows, labels, strict=True))
    s3.write_bytes(LAYOUT.labeling_output_manifest(first.job_name), output.encode())
    done = {"job_name": first.job_name, "status": "Completed", "output_manifest_uri": None}
    for _ in range(2):
        merge_labels(s3, jobs, LAYOUT, 0, done)
    known = workers(s3, 0)
    assert known["private.us-east-1.good-0"]["agreement"] == 1
    assert known["private.us-east-1.bad-1"]["agreement"] == 0
    assert known["private.us-east-1.bad-1"]["answers"] == 40

    disputed = answers.item("0", {"good-0": choice(0), "bad-1": choice(1), "bad-2": choice(1)})
    assert consolidated(post(first.job_name, disputed))[0]["label"] == 1
    assert consolidated(post(second.job_name, disputed))[0]["label"] == 0


def test_skills_are_read_once_for_all_batches_of_a_job(
    s3: S3Gateway, jobs: JobsTable, post: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.open(record("digits-r1", round=1))
    s3.write_json(LAYOUT.workers(0), {"round": 0, "workers": {}})
    read = []
    find = S3Gateway.find_json
    monkeypatch.setattr(S3Gateway, "find_json", lambda self, uri: read.append(uri) or find(self, uri))
    for number in range(3):
        post("digits-r1", answers.item(str(number), {"ann": answers.one("crowd-image-classifier", "cat")}))
    assert read == [LAYOUT.workers(0)]


def test_a_batch_of_masks_that_is_tried_again_writes_the_same_files(
    s3: S3Gateway, jobs: JobsTable, post: Any
) -> None:
    job = record("digits-r0", task_type="semantic-segmentation", label_attribute="label-ref")
    jobs.open(job)
    given = {worker: answers.answer("semantic-segmentation", NAMES, 1) for worker in ("ann", "bo")}
    contents = []
    for _ in range(2):
        [label] = consolidated(post(job.job_name, answers.item("7", given)))
        listed = boto3.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
        contents.append({each["Key"]: each["ETag"] for each in listed})
    assert contents[0] == contents[1]
    assert label["label-ref"] == f"{LAYOUT.consolidated_prefix(job.job_name)}7.png"
    overlay = label["label-ref-metadata"]["overlay-ref"]
    assert overlay == f"{LAYOUT.consolidated_prefix(job.job_name)}7.overlay.png"
    for uri in (label["label-ref"], overlay):
        assert s3.read_bytes(uri).startswith(b"\x89PNG")
    assert list(read_master(s3, s3_manifest(s3, {"source-ref": "s3://images/7.png", **label})))


def s3_manifest(s3: S3Gateway, row: Any) -> str:
    uri = f"s3://{BUCKET}/row.manifest"
    s3.write_bytes(uri, encode_row(row).encode())
    return uri
