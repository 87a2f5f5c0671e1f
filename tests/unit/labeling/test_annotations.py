from __future__ import annotations

import json
import re
from typing import Any

import pytest

from truthloop.errors import AccessRefused, InvalidUri, ObjectNotFound
from truthloop.labeling.annotations import (
    InvalidAnnotationEvent,
    consolidate,
    job_name_of,
    prepare_task,
    read_payload,
    read_within,
)
from truthloop.task_types import InvalidDataObject
from unit.labeling.kit import BUCKET, CATEGORIES, NOW, record

JOB = record()
ARN = f"arn:aws:sagemaker:us-east-1:123456789012:labeling-job/{JOB.job_name}"
REQUEST_URI = (
    f"s3://{BUCKET}/campaigns/digits/labeling/{JOB.job_name}/annotations/consolidated-annotation/"
    "consolidation-request/iteration-1/2030-01-31_11:59:58.json"
)


def event(**changes: Any) -> dict[str, Any]:
    """A post-annotation event in the documented form."""
    return {
        "version": "2018-10-16",
        "labelingJobArn": ARN,
        "labelCategories": list(CATEGORIES),
        "labelAttributeName": "label",
        "roleArn": "arn:aws:iam::123456789012:role/labeling",
        "payload": {"s3Uri": REQUEST_URI},
        **changes,
    }


def annotation(worker: str, label: Any) -> dict[str, Any]:
    content = json.dumps({"crowd-image-classifier": {"label": label}})
    return {"workerId": f"private.us-east-1.{worker}", "annotationData": {"content": content}}


def item(identifier: str, *annotations: Any) -> dict[str, Any]:
    return {
        "datasetObjectId": identifier,
        "dataObject": {"s3Uri": f"s3://images/{identifier}.png"},
        "annotations": list(annotations),
    }


def no_documents(uri: str) -> Any:
    raise ObjectNotFound(f"Cannot read {uri}: there is no such object.")


def content_of(entries: list[dict[str, Any]], identifier: str) -> dict[str, Any]:
    [entry] = [entry for entry in entries if entry["datasetObjectId"] == identifier]
    return entry["consolidatedAnnotation"]["content"]


# ---- pre-annotation


def test_a_manifest_line_becomes_a_task_with_a_boolean_flag() -> None:
    line = {"source-ref": "s3://images/1.png", "truthloop": {"id": "1"}, "weather": "rain"}
    response = prepare_task({"version": "2018-10-16", "labelingJobArn": ARN, "dataObject": line}, JOB)
    assert response == {
        "taskInput": {
            "taskObject": "s3://images/1.png",
            "labels": ["cat", "dog", "bird"],
            "suggestion": None,
            "instructions": "",
            "context": "",
            "feedback": [],
            "previous": "",
        },
        "isHumanAnnotationRequired": True,
    }
    assert response["isHumanAnnotationRequired"] is True


def test_a_line_without_an_image_is_refused() -> None:
    with pytest.raises(InvalidDataObject, match="source-ref"):
        prepare_task({"labelingJobArn": ARN, "dataObject": {"source": "a text"}}, JOB)


def test_the_job_is_taken_from_the_arn() -> None:
    assert job_name_of(event()) == JOB.job_name


@pytest.mark.parametrize("arn", [None, "", "arn:aws:lambda:us-east-1:123456789012:function:x"])
def test_a_call_that_no_labelling_job_makes_is_refused(arn: Any) -> None:
    with pytest.raises(InvalidAnnotationEvent, match="allowed: the ARN of a labelling job"):
        job_name_of(event(labelingJobArn=arn))


# ---- post-annotation: reading


@pytest.mark.parametrize("key", ["s3Uri", "s3uri"])
def test_the_payload_is_read_from_where_the_event_points(key: str) -> None:
    documents = {REQUEST_URI: [item("0", annotation("ann", "cat"))]}
    assert read_payload(event(payload={key: REQUEST_URI}), documents.__getitem__) == documents[REQUEST_URI]


def test_a_payload_inside_the_event_is_taken_as_it_is() -> None:
    objects = [item("0", annotation("ann", "cat"))]
    for payload in (objects, {"content": objects}, {"content": json.dumps(objects)}):
        assert read_payload(event(payload=payload), no_documents) == objects


@pytest.mark.parametrize(
    "payload", [None, {}, {"content": "{"}, {"content": "{}"}, [1], [{"annotations": []}]]
)
def test_a_payload_that_breaks_the_contract_fails_rather_than_lose_labels(payload: Any) -> None:
    with pytest.raises(InvalidAnnotationEvent, match="payload"):
        read_payload(event(payload=payload), no_documents)


def test_nothing_outside_the_data_bucket_is_read() -> None:
    read = read_within(BUCKET, lambda uri: "read")
    assert read(REQUEST_URI) == "read"
    with pytest.raises(InvalidUri, match="not in data-bucket"):
        read("s3://data-bucket-of-another/secret.json")


# ---- post-annotation: consolidating


def test_every_object_has_one_entry_made_of_all_workers_answers() -> None:
    payload = [
        item("7", annotation("ann", "dog"), annotation("bo", "dog"), annotation("cy", "cat")),
        item("0", annotation("ann", "bird"), annotation("bo", "bird"), annotation("cy", "bird")),
    ]
    batch = consolidate(payload, JOB, no_documents, NOW)
    assert [entry["datasetObjectId"] for entry in batch.entries] == ["7", "0"]
    content = content_of(batch.entries, "7")
    assert content["label"] == 1
    assert content["label-metadata"].pop("confidence") > 0.5
    assert content == {
        "label": 1,
        "label-metadata": {
            "class-name": "dog",
            "type": "groundtruth/image-classification",
            "human-annotated": "yes",
            "creation-date": "2030-01-31T12:00:00.000000",
            "job-name": f"labeling-job/{JOB.job_name}",
            "annotators": 3,
        },
    }
    assert batch.answers == 6
    assert batch.rejected == []
    json.dumps(batch.entries)


def test_the_label_stands_under_the_campaigns_attribute_and_indexes_its_categories() -> None:
    job = record(label_attribute="species", label_categories=("bird", "cat"))
    content = content_of(
        consolidate([item("0", annotation("ann", "cat"))], job, no_documents, NOW).entries, "0"
    )
    assert set(content) == {"species", "species-metadata"}
    assert content["species"] == 1


def test_an_answer_may_lie_in_s3_or_be_parsed_already() -> None:
    answer = {"crowd-image-classifier": {"label": "bird"}}
    payload = [
        item("0", {"workerId": "ann", "annotationData": {"s3Uri": f"s3://{BUCKET}/answer.json"}}),
        item("1", {"workerId": "ann", "annotationData": {"content": answer}}),
    ]
    batch = consolidate(payload, JOB, {f"s3://{BUCKET}/answer.json": answer}.__getitem__, NOW)
    assert [content_of(batch.entries, identifier)["label"] for identifier in ("0", "1")] == [2, 2]


MALFORMED = {
    "no JSON": {"workerId": "bo", "annotationData": {"content": "{"}},
    "nested too deeply": {"workerId": "bo", "annotationData": {"content": "[" * 100_000}},
    "too many digits": {"workerId": "bo", "annotationData": {"content": "9" * 5_000}},
    "another label": annotation("bo", "fish"),
    "another widget": {"workerId": "bo", "annotationData": {"content": '{"crowd-input": "cat"}'}},
    "no content": {"workerId": "bo", "annotationData": {}},
    "no data": {"workerId": "bo"},
    "null": None,
    "a text": "cat",
    "no worker": {"annotationData": {"content": '{"crowd-image-classifier": {"label": "cat"}}'}},
    "a missing file": {"workerId": "bo", "annotationData": {"s3Uri": f"s3://{BUCKET}/missing.json"}},
    "no URI": {"workerId": "bo", "annotationData": {"s3Uri": "answer.json"}},
}


@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_answer_is_left_out_counted_and_reported(malformed: Any) -> None:
    read = read_within(BUCKET, no_documents)
    payload = [item("4", annotation("ann", "dog"), malformed, annotation("cy", "dog"))]
    batch = consolidate(payload, JOB, read, NOW)
    content = content_of(batch.entries, "4")
    assert content["label"] == 1
    assert content["label-metadata"]["annotators"] == 2
    assert content["label-metadata"]["malformed-answers"] == 1
    [rejected] = batch.rejected
    assert rejected.object_id == "4"
    assert rejected.reason


def test_the_report_names_object_and_worker_and_the_row_names_no_worker() -> None:
    batch = consolidate([item("4", annotation("ann", "fish"))], JOB, no_documents, NOW)
    [rejected] = batch.rejected
    assert (rejected.object_id, rejected.worker_id) == ("4", "private.us-east-1.ann")
    assert "'fish' is not a category" in rejected.reason
    assert "private.us-east-1" not in json.dumps(batch.entries)


def test_an_object_whose_answers_are_all_malformed_has_a_reason_in_place_of_a_label() -> None:
    payload = [
        item("0", annotation("ann", "fish"), annotation("bo", None)),
        item("1", annotation("ann", "cat")),
        item("2"),
    ]
    batch = consolidate(payload, JOB, no_documents, NOW)
    failed = content_of(batch.entries, "0")
    assert set(failed) == {"label-metadata"}
    assert "None of 2 answers could be read" in failed["label-metadata"]["failure-reason"]
    assert "class-name" not in failed["label-metadata"]
    assert content_of(batch.entries, "1")["label"] == 0
    assert content_of(batch.entries, "2")["label-metadata"]["failure-reason"] == "Nobody answered."


def test_a_batch_of_nothing_but_malformed_answers_still_has_its_entries() -> None:
    batch = consolidate([item("0", None)], JOB, no_documents, NOW)
    assert len(batch.entries) == 1


def test_an_object_that_comes_in_two_pieces_has_one_entry() -> None:
    payload = [
        item("0", annotation("ann", "cat")),
        item("0", annotation("bo", "cat"), annotation("ann", "cat")),
    ]
    [entry] = consolidate(payload, JOB, no_documents, NOW).entries
    assert entry["consolidatedAnnotation"]["content"]["label-metadata"]["annotators"] == 2


def test_a_missing_right_to_read_fails_the_batch_rather_than_the_answers() -> None:
    def refuse(uri: str) -> Any:
        raise AccessRefused(f"Cannot read {uri}")

    payload = [item("0", {"workerId": "ann", "annotationData": {"s3Uri": f"s3://{BUCKET}/answer.json"}})]
    with pytest.raises(AccessRefused):
        consolidate(payload, JOB, refuse, NOW)


def test_the_creation_date_always_has_microseconds() -> None:
    content = content_of(
        consolidate([item("0", annotation("ann", "cat"))], JOB, no_documents, NOW).entries, "0"
    )
    date = content["label-metadata"]["creation-date"]
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}", date)


def test_a_repeated_batch_gives_the_same_labels() -> None:
    payload = [item(str(number), annotation("ann", "cat"), annotation("bo", "dog")) for number in range(20)]
    first = consolidate(payload, JOB, no_documents, NOW)
    assert consolidate(list(reversed(payload)), JOB, no_documents, NOW).entries == first.entries[::-1]
