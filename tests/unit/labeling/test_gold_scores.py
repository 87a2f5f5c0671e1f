"""Gold items in a round's job: each worker's answers are scored against the known labels."""

from __future__ import annotations

import json
from typing import Any

import pytest

from truthloop.consolidation.masks import palette_png
from truthloop.gold import gold_id
from truthloop.labeling.jobs import JobsTable
from truthloop.labeling.workers import sum_up
from truthloop.manifest import encode_row, with_provenance
from truthloop.s3 import S3Gateway
from unit.labeling import answers
from unit.labeling.kit import BUCKET, CATEGORIES, LAYOUT, TABLE, lambda_context, load_handler, record

ARN = "arn:aws:sagemaker:us-east-1:123456789012:labeling-job/"
TASK_TYPES = {
    "bounding-box": {
        "image_size": [{"width": 16, "height": 12, "depth": 3}],
        "annotations": [{"class_id": 1, "left": 2, "top": 3, "width": 6, "height": 5}],
    },
    "image-classification": 1,
    "image-multi-label": [1],
    "semantic-segmentation": f"s3://{BUCKET}/gold.png",
    "text-classification": 1,
}


@pytest.fixture
def post(s3: S3Gateway, jobs: JobsTable, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("JOBS_TABLE", TABLE)
    monkeypatch.setenv("DATA_BUCKET", BUCKET)
    handler = load_handler("post_annotation")

    def call(job: str, *payload: Any) -> Any:
        event = {"labelingJobArn": ARN + job, "payload": {"content": list(payload)}}
        return json.loads(json.dumps(handler.lambda_handler(event, lambda_context("post_annotation"))))

    return call


def prepare(s3: S3Gateway, jobs: JobsTable, task_type: str, **changes: Any) -> str:
    """A job over two objects of the campaign and, between them, a gold item."""
    attribute = "label-ref" if task_type == "semantic-segmentation" else "label"
    key = "source" if task_type == "text-classification" else "source-ref"
    sources = [{key: f"s3://images/{number}.png"} for number in range(3)]
    first, gold, last = sources
    s3.write_bytes(f"s3://{BUCKET}/gold.png", palette_png(answers.indices((2, slice(3, 8), slice(2, 8)))))
    item = {
        **gold,
        attribute: TASK_TYPES[task_type],
        f"{attribute}-metadata": {},
        "truthloop": {"id": gold_id(gold), "gold": True},
    }
    s3.write_bytes(LAYOUT.gold_manifest(), (encode_row(item) + "\n").encode())
    sent = {**gold, "truthloop": {"id": gold_id(gold), "gold": True, "round": 0, "reason": "gold"}}
    rows = [with_provenance(first, attribute), sent, with_provenance(last, attribute)]
    s3.write_bytes(LAYOUT.selection_manifest(0), "".join(encode_row(row) + "\n" for row in rows).encode())
    job = record(
        "digits-r0",
        task_type=task_type,
        label_attribute=attribute,
        **{"manifest_uri": LAYOUT.selection_manifest(0), "output_uri": LAYOUT.labeling_prefix(), **changes},
    )
    jobs.open(job)
    return job.job_name


def evidence(s3: S3Gateway, job: str) -> list[Any]:
    return [s3.read_json(uri) for uri in s3.list(LAYOUT.worker_evidence_prefix(job))]


@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_each_workers_answer_to_a_gold_item_is_scored_and_no_other(
    s3: S3Gateway, jobs: JobsTable, post: Any, task_type: str
) -> None:
    job = prepare(s3, jobs, task_type)
    right, wrong = (answers.answer(task_type, CATEGORIES, chosen) for chosen in (1, 0))
    given = {"ann": right, "bo": wrong, "cy": {"odd": 1}}
    source = {"content": "s3://images/1.png"} if task_type == "text-classification" else None
    payload = [answers.item(str(number), given) for number in range(3)]
    for item in payload:
        item["dataObject"] = source or item["dataObject"]
    post(job, *payload)
    [document] = evidence(s3, job)
    assert document["gold"].keys() == {"1"}
    scores = document["gold"]["1"]
    # An answer that cannot be read is malformed, not wrong.
    assert scores.keys() == {"private.us-east-1.ann", "private.us-east-1.bo"}
    assert scores["private.us-east-1.ann"] == 1.0
    assert scores["private.us-east-1.bo"] < 0.5
    assert document["objects"].keys() == {"0", "1", "2"}
    # A batch that is tried again replaces its own file, and the sums go by the objects alone.
    post(job, *payload)
    assert evidence(s3, job) == [document]
    sum_up(s3, LAYOUT, 0, job)
    assert s3.read_json(LAYOUT.workers(0))["workers"]["private.us-east-1.ann"]["answers"] == 3


def test_a_gold_item_with_one_answer_is_scored_though_there_is_nothing_to_compare_with(
    s3: S3Gateway, jobs: JobsTable, post: Any
) -> None:
    job = prepare(s3, jobs, "image-classification")
    post(job, answers.item("1", {"ann": answers.answer("image-classification", CATEGORIES, 1)}))
    [document] = evidence(s3, job)
    assert document == {"objects": {}, "gold": {"1": {"private.us-east-1.ann": 1.0}}}


@pytest.mark.parametrize("changes", [{"manifest_uri": ""}, {"purpose": "relabel"}])
def test_other_jobs_have_no_gold(s3: S3Gateway, jobs: JobsTable, post: Any, changes: dict[str, Any]) -> None:
    job = prepare(s3, jobs, "image-classification", **changes)
    post(job, answers.item("1", {"ann": answers.answer("image-classification", CATEGORIES, 1)}))
    assert evidence(s3, job) == []


def test_a_campaign_without_gold_reads_no_manifest(
    s3: S3Gateway, jobs: JobsTable, post: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = prepare(s3, jobs, "image-classification")
    from truthloop import aws

    aws.s3().delete_object(Bucket=BUCKET, Key=LAYOUT.gold_manifest().split("/", 3)[3])
    monkeypatch.setattr(S3Gateway, "lines", None)
    entries = post(job, answers.item("1", {"ann": answers.answer("image-classification", CATEGORIES, 1)}))
    assert entries[0]["consolidatedAnnotation"]["content"]["label"] == 1


def test_the_known_labels_are_read_once_for_all_batches(
    s3: S3Gateway, jobs: JobsTable, post: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = prepare(s3, jobs, "image-classification")
    read = []
    lines = S3Gateway.lines
    monkeypatch.setattr(S3Gateway, "lines", lambda self, uri: read.append(uri) or lines(self, uri))
    for _ in range(3):
        post(job, answers.item("1", {"ann": answers.answer("image-classification", CATEGORIES, 1)}))
    assert sorted(read) == sorted([LAYOUT.gold_manifest(), LAYOUT.selection_manifest(0)])
