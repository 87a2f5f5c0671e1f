"""What a labelling job promises: who gets which task, what becomes of the answers, and what is written."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling_engine import FunctionFailed, JobStatus, TaskGone, Worker
from unit.labeling_engine.job_kit import (
    CATEGORIES,
    ISSUER,
    POST,
    PRE,
    PREFIX,
    START,
    accept,
    annotator,
    answer,
    failing,
    image_rows,
    majority,
    make_job,
    pre_annotate,
    run,
    started_job,
    team,
    watched,
    work_through,
    worker,
)

ANNE, BEN, CARA, DAN, EVE = (worker(name) for name in ("anne", "ben", "cara", "dan", "eve"))


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def finish(job: Any, *people: Any) -> None:
    """Let people answer everything that is left."""
    job.tick()
    while not job.is_finished:
        done = [object_id for person in people for object_id in work_through(job, person)]
        assert done, "nobody has anything to do"
        job.tick()


# Starting


def test_the_pre_annotation_function_gets_each_line_whole() -> None:
    rows = [{"source-ref": "s3://bucket/a.png", "weather": {"rain": [1, 2.5]}}, {"source": "text", "id": 7}]
    _, world = started_job(rows)
    assert sorted(world.requests(PRE), key=lambda event: "source" in event["dataObject"]) == [
        {
            "version": "2018-10-16",
            "labelingJobArn": "arn:aws:sagemaker:us-east-1:123456789012:labeling-job/digits-r0",
            "dataObject": row,
        }
        for row in rows
    ]


def test_workers_see_the_task_input_of_the_pre_annotation_function() -> None:
    job, _ = started_job(image_rows(1))
    task = accept(job, ANNE)
    assert task.input == {"taskObject": "s3://bucket/images/0000.png", "labels": CATEGORIES}
    assert (task.object_id, task.source, task.accepted_at) == ("0", "s3://bucket/images/0000.png", START)


def test_pre_annotation_calls_run_a_few_at_a_time() -> None:
    job, world = make_job(image_rows(24))
    noted = watched(world, PRE, pre_annotate)
    job.start()
    job.tick()
    assert len(noted) == 24
    assert 1 < max(noted) <= 4


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("s3://bucket/input.manifest", "input.manifest"),
        ("s3://bucket/template.liquid.html", "template.liquid.html"),
        ("s3://bucket/label_categories.json", "label_categories.json"),
    ],
)
def test_a_job_fails_with_the_name_of_an_unreadable_object(missing: str, named: str) -> None:
    job, world = make_job(image_rows(1))
    del world.objects[missing]
    job.start()
    assert job.status is JobStatus.FAILED
    assert job.failure_reason is not None
    assert named in job.failure_reason
    assert [event["detail"] for event in world.events] == [{"LabelingJobStatus": "Failed"}]


def test_a_label_category_file_of_another_form_fails_the_job() -> None:
    job, world = make_job(image_rows(1))
    world.objects["s3://bucket/label_categories.json"] = b'["a", "b"]'
    job.start()
    assert job.status is JobStatus.FAILED
    assert "label_categories.json" in str(job.failure_reason)


def test_a_job_is_initializing_until_it_is_started_and_has_no_tasks_yet() -> None:
    job, _ = make_job(image_rows(1))
    assert job.status is JobStatus.INITIALIZING
    assert job.next_task(ANNE) is None
    job.tick()
    assert job.status is JobStatus.INITIALIZING
    job.start()
    assert job.status is JobStatus.IN_PROGRESS


# Who gets which task


def test_each_object_goes_to_that_many_different_workers() -> None:
    job, world = started_job(image_rows(5), NumberOfHumanWorkersPerDataObject=2)
    finish(job, ANNE, BEN, CARA)
    (request,) = world.paths("annotations/consolidated-annotation/consolidation-request/")
    for entry in world.json(request):
        workers = [annotation["workerId"] for annotation in entry["annotations"]]
        assert len(workers) == len(set(workers)) == 2


def test_an_object_is_in_no_more_hands_at_a_time_than_answers_are_wanted() -> None:
    job, _ = started_job(image_rows(1), NumberOfHumanWorkersPerDataObject=2)
    accept(job, ANNE)
    accept(job, BEN)
    assert job.next_task(CARA) is None


def test_a_worker_who_answered_an_object_never_sees_it_again() -> None:
    job, _ = started_job(image_rows(4))
    assert work_through(job, ANNE) == ["0", "1", "2", "3"]
    assert job.next_task(ANNE) is None


def test_asking_again_gives_the_worker_the_task_in_hand() -> None:
    job, world = started_job(image_rows(3))
    first = accept(job, ANNE)
    world.clock.advance_to(START + seconds(30))
    assert job.next_task(ANNE) == first


def test_a_declined_task_goes_to_others_and_not_to_the_same_worker() -> None:
    job, _ = started_job(image_rows(1), NumberOfHumanWorkersPerDataObject=2)
    job.decline(ANNE, accept(job, ANNE).object_id)
    assert job.next_task(ANNE) is None
    finish(job, BEN, CARA)
    assert job.status is JobStatus.COMPLETED
    assert job.counters["HumanLabeled"] == 1


def test_an_object_that_all_workers_declined_fails_and_is_never_sent_again() -> None:
    job, world = started_job(image_rows(1), NumberOfHumanWorkersPerDataObject=2)
    for person in (ANNE, BEN):
        job.decline(person, accept(job, person).object_id)
    assert job.next_task(CARA) is None
    job.tick()
    assert job.status is JobStatus.COMPLETED
    (row,) = world.rows()
    assert "declined by 2 workers" in row["label-metadata"]["failure-reason"]
    assert "label" not in row
    assert world.requests(POST) == []


def test_an_object_declined_by_as_many_keeps_the_answers_that_it_has() -> None:
    job, world = started_job(image_rows(1), NumberOfHumanWorkersPerDataObject=2)
    job.submit(ANNE, accept(job, ANNE).object_id, answer("2"))
    for person in (BEN, CARA):
        job.decline(person, accept(job, person).object_id)
    job.tick()
    assert job.status is JobStatus.COMPLETED
    assert world.rows()[0]["label"] == 2


def test_who_holds_a_task_may_answer_after_enough_others_declined() -> None:
    job, world = started_job(image_rows(1), NumberOfHumanWorkersPerDataObject=3)
    for person in (ANNE, BEN, CARA):
        accept(job, person)
    for person in (BEN, CARA):
        job.decline(person, "0")
    accept(job, DAN)
    job.decline(DAN, "0")
    assert job.next_task(EVE) is None
    job.tick()
    assert job.status is JobStatus.IN_PROGRESS
    job.submit(ANNE, "0", answer("1"))
    job.tick()
    assert job.status is JobStatus.COMPLETED
    assert world.rows()[0]["label"] == 1


def test_a_returned_task_is_sent_again_first_to_others() -> None:
    job, _ = started_job(image_rows(2), NumberOfHumanWorkersPerDataObject=1)
    job.return_task(ANNE, accept(job, ANNE).object_id)
    assert accept(job, ANNE).object_id == "1"
    assert accept(job, BEN).object_id == "0"


def test_a_returned_task_comes_back_to_the_same_worker_when_nothing_else_is_left() -> None:
    job, _ = started_job(image_rows(1), NumberOfHumanWorkersPerDataObject=1)
    job.return_task(ANNE, accept(job, ANNE).object_id)
    again = accept(job, ANNE)
    assert (again.object_id, again.attempt) == ("0", 2)
    finish(job, ANNE)
    assert job.status is JobStatus.COMPLETED


def test_a_task_taken_again_has_its_full_time() -> None:
    job, world = started_job(image_rows(1), NumberOfHumanWorkersPerDataObject=1, TaskTimeLimitInSeconds=60)
    job.return_task(ANNE, accept(job, ANNE).object_id)
    world.clock.advance_to(START + seconds(30))
    again = accept(job, ANNE)
    world.clock.advance_to(START + seconds(60))
    job.tick()
    assert job.next_task(ANNE) == again


def test_a_freed_place_goes_to_workers_who_are_further_on() -> None:
    job, _ = started_job(image_rows(3), NumberOfHumanWorkersPerDataObject=1)
    accept(job, ANNE)
    assert work_through(job, BEN) == ["1", "2"]
    job.return_task(ANNE, "0")
    assert accept(job, BEN).object_id == "0"


def test_after_the_task_time_limit_the_task_goes_to_another_worker_and_the_answer_is_refused() -> None:
    job, world = started_job(image_rows(1), NumberOfHumanWorkersPerDataObject=1, TaskTimeLimitInSeconds=60)
    accept(job, ANNE)
    assert job.next_task(BEN) is None
    world.clock.advance_to(START + seconds(60))
    with pytest.raises(TaskGone, match=r"anne does not hold object 0"):
        job.submit(ANNE, "0", answer("0"))
    job.submit(BEN, accept(job, BEN).object_id, answer("2"))
    job.tick()
    assert world.rows()[0]["label"] == 2
    assert len(world.paths("annotations/worker-response/")) == 1


def test_an_answer_within_the_task_time_limit_is_taken() -> None:
    job, world = started_job(image_rows(1), NumberOfHumanWorkersPerDataObject=1, TaskTimeLimitInSeconds=60)
    task = accept(job, ANNE)
    assert task.deadline == START + seconds(60)
    world.clock.advance_to(START + seconds(59.999))
    job.submit(ANNE, "0", answer("1"))
    job.tick()
    assert job.status is JobStatus.COMPLETED


@pytest.mark.parametrize("call", ["submit", "decline", "return_task"])
def test_only_the_holder_of_a_task_can_end_it(call: str) -> None:
    job, _ = started_job(image_rows(2))
    accept(job, ANNE)
    arguments = [answer("1")] if call == "submit" else []
    with pytest.raises(TaskGone):
        getattr(job, call)(BEN, "0", *arguments)
    with pytest.raises(TaskGone):
        getattr(job, call)(ANNE, "1", *arguments)


def test_an_answer_that_is_no_object_is_refused() -> None:
    job, _ = started_job(image_rows(1))
    accept(job, ANNE)
    with pytest.raises(TypeError, match="expected an object by element names"):
        job.submit(ANNE, "0", "1")  # type: ignore[arg-type]
    assert job.next_task(ANNE) is not None


# Expiry


def test_an_object_that_nobody_answered_in_time_fails_without_a_consolidation_call() -> None:
    job, world = started_job(image_rows(1), TaskAvailabilityLifetimeInSeconds=3600)
    accept(job, ANNE)
    world.clock.advance_to(START + seconds(3600))
    job.tick()
    assert job.status is JobStatus.COMPLETED
    assert "expired" in world.rows()[0]["label-metadata"]["failure-reason"]
    assert world.requests(POST) == []
    with pytest.raises(TaskGone):
        job.submit(ANNE, "0", answer("1"))


def test_an_object_with_one_answer_at_its_expiry_is_labelled_by_that_one() -> None:
    job, world = started_job(image_rows(1), TaskAvailabilityLifetimeInSeconds=3600)
    job.submit(ANNE, accept(job, ANNE).object_id, answer("2"))
    accept(job, BEN)
    world.clock.advance_to(START + seconds(3600))
    job.tick()
    assert job.counters["HumanLabeled"] == 1
    assert world.rows()[0]["label"] == 2
    (request,) = world.paths("annotations/consolidated-annotation/consolidation-request/")
    assert [a["workerId"] for a in world.json(request)[0]["annotations"]] == [ANNE.worker_id]


def test_a_task_ends_no_later_than_its_object() -> None:
    job, world = started_job(image_rows(1), TaskAvailabilityLifetimeInSeconds=100, TaskTimeLimitInSeconds=60)
    world.clock.advance_to(START + seconds(70))
    assert accept(job, ANNE).deadline == START + seconds(100)


def test_who_held_an_expired_object_gets_the_next_one() -> None:
    job, world = started_job(image_rows(2), MaxConcurrentTaskCount=1, TaskAvailabilityLifetimeInSeconds=100)
    accept(job, ANNE)
    world.clock.advance_to(START + seconds(100))
    job.tick()
    with pytest.raises(TaskGone):
        job.submit(ANNE, "0", answer("1"))
    assert accept(job, ANNE).object_id == "1"


def test_the_next_deadline_is_the_first_of_time_limits_and_expiry() -> None:
    job, world = started_job(image_rows(1), TaskTimeLimitInSeconds=60, TaskAvailabilityLifetimeInSeconds=100)
    assert job.next_deadline() == START + seconds(100)
    accept(job, ANNE)
    assert job.next_deadline() == START + seconds(60)
    job.submit(ANNE, "0", answer("1"))
    assert job.next_deadline() == START + seconds(100)
    world.clock.advance_to(START + seconds(100))
    job.tick()
    assert job.next_deadline() is None


def test_a_job_that_is_unfinished_after_thirty_days_fails() -> None:
    job, world = started_job(
        image_rows(2), MaxConcurrentTaskCount=1, TaskAvailabilityLifetimeInSeconds=20 * 86_400
    )
    for days in (20, 30):
        assert job.next_deadline() == START + timedelta(days=days)
        world.clock.advance_to(START + timedelta(days=days))
        job.tick()
    assert job.status is JobStatus.FAILED
    assert "30 days" in str(job.failure_reason)


# How many at a time


def test_no_more_than_the_concurrent_objects_are_open_and_new_ones_follow() -> None:
    job, world = started_job(image_rows(5), NumberOfHumanWorkersPerDataObject=1, MaxConcurrentTaskCount=2)
    assert len(world.requests(PRE)) == 2
    assert work_through(job, ANNE) == ["0", "1"]
    job.tick()
    assert len(world.requests(PRE)) == 4
    assert work_through(job, ANNE) == ["2", "3"]
    finish(job, ANNE)
    assert len(world.requests(PRE)) == 5


def test_answers_are_consolidated_in_batches_of_the_concurrent_objects() -> None:
    job, world = started_job(image_rows(5), NumberOfHumanWorkersPerDataObject=1, MaxConcurrentTaskCount=2)
    finish(job, ANNE)
    paths = world.paths("annotations/consolidated-annotation/consolidation-request/")
    assert [[entry["datasetObjectId"] for entry in world.json(path)] for path in paths] == [
        ["0", "1"],
        ["2", "3"],
        ["4"],
    ]
    assert len(world.requests(POST)) == 3


def test_answers_wait_until_their_batch_is_complete_and_are_in_the_order_of_the_input() -> None:
    job, world = started_job(image_rows(3), NumberOfHumanWorkersPerDataObject=1)
    accept(job, ANNE)
    assert work_through(job, BEN) == ["1", "2"]
    job.tick()
    assert world.requests(POST) == []
    finish(job, ANNE)
    (path,) = world.paths("annotations/consolidated-annotation/consolidation-request/")
    assert [entry["datasetObjectId"] for entry in world.json(path)] == ["0", "1", "2"]


# Stopping


def test_stopping_keeps_what_was_answered_and_leaves_the_rest_as_it_came() -> None:
    rows = image_rows(4)
    job, world = started_job(rows, NumberOfHumanWorkersPerDataObject=2)
    for person in (ANNE, BEN):
        job.submit(person, accept(job, person).object_id, answer("1"))
    job.submit(ANNE, accept(job, ANNE).object_id, answer("2"))
    accept(job, BEN)
    job.stop()
    assert job.status is JobStatus.STOPPING
    with pytest.raises(TaskGone):
        job.submit(BEN, "1", answer("0"))
    job.tick()
    assert job.status is JobStatus.STOPPED
    written = world.rows()
    assert [row.get("label") for row in written] == [1, 2, None, None]
    assert written[2:] == rows[2:]
    assert job.counters == {
        "TotalLabeled": 2,
        "HumanLabeled": 2,
        "MachineLabeled": 0,
        "FailedNonRetryableError": 0,
        "Unlabeled": 2,
    }


def test_a_stopped_job_gives_out_no_more_tasks_and_ends_once() -> None:
    job, world = started_job(image_rows(2))
    job.stop()
    assert job.next_task(ANNE) is None
    job.tick()
    job.stop()
    job.tick()
    job.fail("too late")
    assert job.status is JobStatus.STOPPED
    assert [event["detail"] for event in world.events] == [{"LabelingJobStatus": "Stopped"}]


def test_a_job_stopped_before_it_began_returns_its_rows() -> None:
    rows = image_rows(2)
    job, world = make_job(rows)
    job.stop()
    job.start()
    job.tick()
    assert job.status is JobStatus.STOPPED
    assert world.rows() == rows


def test_the_maximum_of_human_labelled_objects_stops_the_job_exactly_there() -> None:
    job, world = started_job(
        image_rows(6),
        NumberOfHumanWorkersPerDataObject=1,
        StoppingConditions={"MaxHumanLabeledObjectCount": 4},
    )
    assert work_through(job, ANNE) == ["0", "1", "2", "3"]
    job.tick()
    assert job.status is JobStatus.STOPPED
    assert job.counters["HumanLabeled"] == 4
    assert len(world.requests(PRE)) == 4


def test_the_maximum_holds_when_it_is_more_than_one_batch() -> None:
    job, world = started_job(
        image_rows(6),
        NumberOfHumanWorkersPerDataObject=1,
        MaxConcurrentTaskCount=2,
        StoppingConditions={"MaxHumanLabeledObjectCount": 3},
    )
    finish(job, ANNE)
    assert job.status is JobStatus.STOPPED
    assert job.counters["HumanLabeled"] == len(world.requests(PRE)) == 3


def test_objects_that_were_being_prepared_when_the_job_was_stopped_are_not_sent() -> None:
    rows = image_rows(3)
    job, world = make_job(rows)

    def stop_meanwhile(event: dict[str, Any]) -> Any:
        job.stop()
        return pre_annotate(event)

    world.functions[PRE] = stop_meanwhile
    job.start()
    job.tick()
    assert job.status is JobStatus.STOPPED
    assert world.rows() == rows


def test_a_failed_object_does_not_count_towards_the_maximum() -> None:
    job, world = started_job(
        image_rows(4),
        NumberOfHumanWorkersPerDataObject=1,
        StoppingConditions={"MaxHumanLabeledObjectCount": 2},
    )
    job.decline(ANNE, accept(job, ANNE).object_id)
    finish(job, ANNE)
    assert job.status is JobStatus.STOPPED
    assert [row.get("label") for row in world.rows()] == [None, 1, 1, None]


def test_the_maximum_percentage_counts_lines_that_came_with_a_label() -> None:
    rows = image_rows(10)
    rows[0] |= {"label": 0, "label-metadata": {"human-annotated": "no"}}
    job, _ = started_job(
        rows,
        NumberOfHumanWorkersPerDataObject=1,
        StoppingConditions={"MaxPercentageOfInputDatasetLabeled": 40},
    )
    finish(job, ANNE)
    assert job.status is JobStatus.STOPPED
    assert job.counters["TotalLabeled"] == 4


def test_a_maximum_that_all_objects_meet_completes_the_job() -> None:
    job, _ = started_job(
        image_rows(3),
        NumberOfHumanWorkersPerDataObject=1,
        StoppingConditions={"MaxHumanLabeledObjectCount": 3},
    )
    finish(job, ANNE)
    assert job.status is JobStatus.COMPLETED


# What is written


def test_a_worker_response_has_the_documented_form_and_place() -> None:
    job, world = started_job(image_rows(1), NumberOfHumanWorkersPerDataObject=1)
    world.clock.advance_to(START + seconds(1.25))
    accept(job, ANNE)
    world.clock.advance_to(START + seconds(6.0004))
    job.submit(ANNE, "0", answer("1"))
    assert world.json("annotations/worker-response/iteration-1/0/2026-03-01_09:00:06.json") == {
        "answers": [
            {
                "answerContent": {"digit": {"label": "1"}},
                "acceptanceTime": "2026-03-01T09:00:01.250Z",
                "submissionTime": "2026-03-01T09:00:06.000Z",
                "timeSpentInSeconds": 4.75,
                "workerId": "private.us-east-1.anne",
                "workerMetadata": {
                    "identityData": {"identityProviderType": "Cognito", "issuer": ISSUER, "sub": "sub-anne"}
                },
            }
        ]
    }


def test_two_answers_within_one_second_are_both_kept() -> None:
    job, world = started_job(image_rows(1))
    for person in (ANNE, BEN):
        job.submit(person, accept(job, person).object_id, answer("1"))
    (path,) = world.paths("annotations/worker-response/iteration-1/0/")
    assert [a["workerId"] for a in world.json(path)["answers"]] == [ANNE.worker_id, BEN.worker_id]


def test_the_post_annotation_function_gets_the_documented_request_and_payload() -> None:
    job, world = started_job([{"source": "a text", "extra": 1}], NumberOfHumanWorkersPerDataObject=1)
    finish(job, ANNE)
    folder = f"{PREFIX}/annotations/consolidated-annotation/consolidation-request/iteration-1"
    uri = f"{folder}/2026-03-01_09:00:00.json"
    assert world.requests(POST) == [
        {
            "version": "2018-10-16",
            "labelingJobArn": "arn:aws:sagemaker:us-east-1:123456789012:labeling-job/digits-r0",
            "labelCategories": CATEGORIES,
            "labelAttributeName": "label",
            "roleArn": "arn:aws:iam::123456789012:role/labeling",
            "payload": {"s3Uri": uri},
        }
    ]
    assert json.loads(world.objects[uri]) == [
        {
            "datasetObjectId": "0",
            "dataObject": {"content": "a text"},
            "annotations": [
                {
                    "workerId": "private.us-east-1.anne",
                    "annotationData": {"content": '{"digit": {"label": "1"}}'},
                }
            ],
        }
    ]


def test_an_image_is_named_by_its_uri_in_the_payload() -> None:
    job, world = started_job(image_rows(1), NumberOfHumanWorkersPerDataObject=1)
    finish(job, ANNE)
    (path,) = world.paths("annotations/consolidated-annotation/consolidation-request/")
    assert world.json(path)[0]["dataObject"] == {"s3Uri": "s3://bucket/images/0000.png"}


def test_without_label_categories_the_post_annotation_function_gets_null() -> None:
    job, world = started_job(
        image_rows(1), NumberOfHumanWorkersPerDataObject=1, LabelCategoryConfigS3Uri=None
    )
    finish(job, ANNE)
    assert world.requests(POST)[0]["labelCategories"] is None


def test_the_consolidation_response_is_kept() -> None:
    job, world = started_job(image_rows(1), NumberOfHumanWorkersPerDataObject=1)
    finish(job, ANNE)
    path = "annotations/consolidated-annotation/consolidation-response/iteration-1/2026-03-01_09:00:00.json"
    assert world.json(path)[0]["datasetObjectId"] == "0"


def test_batches_of_one_second_do_not_overwrite_each_other() -> None:
    job, world = started_job(image_rows(3), NumberOfHumanWorkersPerDataObject=1, MaxConcurrentTaskCount=1)
    finish(job, ANNE)
    assert len(world.paths("annotations/consolidated-annotation/consolidation-request/iteration-1/")) == 3


def test_the_intermediate_manifest_has_a_line_per_input_line_while_the_job_runs() -> None:
    rows = image_rows(3)
    job, world = started_job(rows, NumberOfHumanWorkersPerDataObject=1, MaxConcurrentTaskCount=1)
    job.submit(ANNE, accept(job, ANNE).object_id, answer("2"))
    job.tick()
    assert job.status is JobStatus.IN_PROGRESS
    partial = world.rows("annotations/intermediate/1/annotations.manifest")
    assert [row.get("label") for row in partial] == [2, None, None]
    assert partial[1:] == rows[1:]


def test_output_rows_carry_the_label_with_the_documented_metadata() -> None:
    job, world = started_job(image_rows(1), NumberOfHumanWorkersPerDataObject=1)
    world.clock.advance_to(START + seconds(3.5))
    finish(job, ANNE)
    assert world.rows() == [
        {
            "source-ref": "s3://bucket/images/0000.png",
            "label": 1,
            "label-metadata": {
                "type": "groundtruth/custom",
                "job-name": "labeling-job/digits-r0",
                "human-annotated": "yes",
                "creation-date": "2026-03-01T09:00:03.500000",
                "class-name": "1",
                "confidence": 1.0,
            },
        }
    ]


def test_metadata_of_the_post_annotation_function_replaces_the_services() -> None:
    job, world = started_job(image_rows(1), NumberOfHumanWorkersPerDataObject=1)
    content = {
        "label": {"mask-ref": "s3://b/m.png"},
        "label-metadata": {"type": "ours/mask"},
        "agreement": 0.5,
    }
    world.functions[POST] = lambda _: [
        {"datasetObjectId": "0", "consolidatedAnnotation": {"content": content}}
    ]
    finish(job, ANNE)
    (row,) = world.rows()
    assert row["label"] == {"mask-ref": "s3://b/m.png"}
    assert row["agreement"] == 0.5
    assert row["label-metadata"]["type"] == "ours/mask"
    assert row["label-metadata"]["human-annotated"] == "yes"


def test_the_post_annotation_function_cannot_overwrite_a_key_of_the_input() -> None:
    job, world = started_job([{"source": "text", "id": "mine"}], NumberOfHumanWorkersPerDataObject=1)
    world.functions[POST] = lambda _: [
        {
            "datasetObjectId": "0",
            "consolidatedAnnotation": {"content": {"label": 1, "id": "theirs", "source": ""}},
        }
    ]
    finish(job, ANNE)
    (row,) = world.rows()
    assert (row["id"], row["source"], row["label"]) == ("mine", "text", 1)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
own_keys = st.text(min_size=1).filter(
    lambda key: not key.startswith("$") and key not in ("label", "label-metadata", "source", "source-ref")
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.dictionaries(own_keys, json_values, max_size=4), min_size=1, max_size=4))
def test_every_key_of_the_input_passes_through_untouched_and_in_order(extras: list[dict[str, Any]]) -> None:
    rows = [{"source": f"text {index}", **extra} for index, extra in enumerate(extras)]
    job, world = started_job(rows, NumberOfHumanWorkersPerDataObject=1)
    finish(job, ANNE)
    written = [{key: row[key] for key in row if not key.startswith("label")} for row in world.rows()]
    kept = [{key: row[key] for key in row if not key.startswith("label")} for row in rows]
    assert written == kept


def test_output_rows_are_in_the_order_of_the_input_whatever_the_order_of_the_answers() -> None:
    rows = image_rows(4)
    job, world = started_job(rows, NumberOfHumanWorkersPerDataObject=1)
    accept(job, ANNE)
    work_through(job, BEN)
    finish(job, ANNE)
    assert [row["source-ref"] for row in world.rows()] == [row["source-ref"] for row in rows]


def test_lines_that_came_with_a_label_are_not_sent_and_stay_as_they_are() -> None:
    labeled = {
        "source": "done",
        "label": 0,
        "label-metadata": {"human-annotated": "yes", "job-name": "labeling-job/before"},
    }
    auto = {"source": "auto", "label": 2, "label-metadata": {"human-annotated": "no"}}
    job, world = started_job([labeled, {"source": "new"}, auto], NumberOfHumanWorkersPerDataObject=1)
    finish(job, ANNE)
    first, second, third = world.rows()
    assert (first, third) == (labeled, auto)
    assert second["label"] == 1
    assert [event["dataObject"]["source"] for event in world.requests(PRE)] == ["new"]
    assert (job.counters["HumanLabeled"], job.counters["MachineLabeled"]) == (2, 1)


def test_a_line_that_failed_before_is_sent_again_and_loses_its_failure() -> None:
    rows = [{"source": "text", "label-metadata": {"failure-reason": "expired"}}]
    job, world = started_job(rows, NumberOfHumanWorkersPerDataObject=1)
    finish(job, ANNE)
    (row,) = world.rows()
    assert row["label"] == 1
    assert "failure-reason" not in row["label-metadata"]


def test_lone_surrogates_do_not_cost_the_output() -> None:
    body = b'{"source": "broken \\ud83d"}\n'
    job, world = started_job(body, NumberOfHumanWorkersPerDataObject=1)
    finish(job, ANNE)
    assert world.rows()[0]["source"] == "broken \ud83d"


# The event


@pytest.mark.parametrize("ending", ["Completed", "Failed", "Stopped"])
def test_one_event_tells_the_end_with_the_name_in_the_resources_alone(ending: str) -> None:
    job, world = started_job(image_rows(1), NumberOfHumanWorkersPerDataObject=1)
    if ending == "Stopped":
        job.stop()
    if ending == "Failed":
        job.fail("told to")
    else:
        work_through(job, ANNE)
    job.tick()
    job.tick()
    assert job.status == ending
    assert world.events == [
        {
            "version": "0",
            "source": "aws.sagemaker",
            "detail-type": "SageMaker Ground Truth Labeling Job State Change",
            "account": "123456789012",
            "region": "us-east-1",
            "resources": ["arn:aws:sagemaker:us-east-1:123456789012:labeling-job/digits-r0"],
            "detail": {"LabelingJobStatus": ending},
        }
    ]


def test_the_status_and_the_output_stand_before_the_event_goes_out() -> None:
    job, world = started_job(image_rows(1), NumberOfHumanWorkersPerDataObject=1)
    seen = []
    world.publish = lambda event: seen.append((job.status, len(world.rows())))  # type: ignore[method-assign]
    finish(job, ANNE)
    assert seen == [(JobStatus.COMPLETED, 1)]


# Functions that fail


def some_fail(function: Any, bad: str, broken: Any) -> Any:
    """Return a pre-annotation function that does `broken` for one source."""

    def call(event: dict[str, Any]) -> Any:
        return broken(event) if event["dataObject"]["source-ref"].endswith(bad) else function(event)

    return call


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (failing("KeyError: 'image'"), "pre-annotation function failed: KeyError: 'image'"),
        (lambda _: {"labels": []}, "whose taskInput is an object"),
        (lambda _: "ok", "whose taskInput is an object"),
        (lambda _: {"taskInput": {}, "isHumanAnnotationRequired": "true"}, "expected true or false"),
    ],
)
def test_a_failing_pre_annotation_fails_its_object_with_the_reason_and_no_other(
    broken: Any, reason: str
) -> None:
    job, world = make_job(image_rows(3), NumberOfHumanWorkersPerDataObject=1)
    world.functions[PRE] = some_fail(pre_annotate, "0001.png", broken)
    job.start()
    job.tick()
    finish(job, ANNE)
    assert job.status is JobStatus.COMPLETED
    rows = world.rows()
    assert reason in rows[1]["label-metadata"]["failure-reason"]
    assert [row.get("label") for row in rows] == [1, None, 1]
    assert job.counters["FailedNonRetryableError"] == 1


def test_objects_that_need_no_person_are_not_sent_and_stay_unlabelled() -> None:
    job, world = make_job(image_rows(3), NumberOfHumanWorkersPerDataObject=1)
    exempt = {"taskInput": {}, "isHumanAnnotationRequired": False}
    world.functions[PRE] = some_fail(pre_annotate, "0001.png", lambda _: exempt)
    job.start()
    job.tick()
    assert work_through(job, ANNE) == ["0", "2"]
    job.tick()
    assert job.status is JobStatus.COMPLETED
    assert world.rows()[1] == {"source-ref": "s3://bucket/images/0001.png"}
    assert job.counters["Unlabeled"] == 1


def test_human_annotation_is_required_unless_the_function_says_otherwise() -> None:
    job, world = make_job(image_rows(1))
    world.functions[PRE] = lambda _: {"taskInput": {"x": 1}, "humanAnnotationRequired": "false"}
    job.start()
    job.tick()
    assert accept(job, ANNE).input == {"x": 1}


def test_a_failing_post_annotation_is_tried_three_times() -> None:
    job, world = started_job(image_rows(2), NumberOfHumanWorkersPerDataObject=1)
    tries = []

    def flaky(event: dict[str, Any]) -> Any:
        tries.append(event)
        if len(tries) < 3:
            raise FunctionFailed("timed out")
        return majority(world)(event)

    world.functions[POST] = flaky
    finish(job, ANNE)
    assert job.status is JobStatus.COMPLETED
    assert len(tries) == 3
    assert tries[0] == tries[2]
    assert job.counters["HumanLabeled"] == 2


def test_after_three_failures_of_the_post_annotation_its_objects_fail_with_the_reason() -> None:
    job, world = started_job(image_rows(4), NumberOfHumanWorkersPerDataObject=1, MaxConcurrentTaskCount=2)
    good, calls = world.functions[POST], []

    def second_batch_fails(event: dict[str, Any]) -> Any:
        calls.append(event)
        if len(calls) > 1:
            raise FunctionFailed("MemoryError: too big")
        return good(event)

    world.functions[POST] = second_batch_fails
    finish(job, ANNE)
    assert len(calls) == 4
    assert job.status is JobStatus.COMPLETED
    reasons = [row["label-metadata"].get("failure-reason") for row in world.rows()]
    assert reasons == [None, None, *["the post-annotation function failed 3 times: MemoryError: too big"] * 2]


def entry(object_id: Any = "0", **content: Any) -> dict[str, Any]:
    return {"datasetObjectId": object_id, "consolidatedAnnotation": {"content": content or {"label": 1}}}


def test_objects_that_the_function_finds_no_label_for_fail_by_its_reason_and_do_not_fail_the_job() -> None:
    job, world = started_job(image_rows(3), NumberOfHumanWorkersPerDataObject=1)
    refusal = {"label-metadata": {"failure-reason": "no answer could be used"}}
    world.functions[POST] = lambda _: [entry("0"), entry("1", **refusal), entry("2", **refusal)]
    finish(job, ANNE)
    assert job.status is JobStatus.COMPLETED
    reasons = [row["label-metadata"].get("failure-reason") for row in world.rows()]
    assert reasons == [None, "no answer could be used", "no answer could be used"]
    assert job.counters["FailedNonRetryableError"] == 2


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ([entry("0"), entry("1")], "returned no entry for the object"),
        ([entry("0"), entry("1"), {"datasetObjectId": "2"}], "expected consolidatedAnnotation.content with"),
        ([entry("0"), entry("1"), entry("2", labels=1)], "with the key 'label'"),
        ([entry("0"), entry("1"), entry("2"), entry("2")], "returned 2 entries for the object"),
        (
            [entry("0"), entry("1"), {**entry("2"), "consolidatedAnnotation": []}],
            "expected consolidatedAnnotation",
        ),
    ],
)
def test_an_object_without_a_usable_entry_fails_with_the_reason(response: Any, reason: str) -> None:
    job, world = started_job(image_rows(3), NumberOfHumanWorkersPerDataObject=1)
    world.functions[POST] = lambda _: response
    finish(job, ANNE)
    assert job.status is JobStatus.COMPLETED
    rows = world.rows()
    assert [row.get("label") for row in rows] == [1, 1, None]
    assert reason in rows[2]["label-metadata"]["failure-reason"]


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ({"statusCode": 200}, "expected a list with an entry per object"),
        (None, "expected a list with an entry per object"),
        (["0"], "expected a list with an entry per object"),
        ([entry("7")], "datasetObjectId '7' was not in its request"),
        ([entry(0)], "datasetObjectId 0 was not in its request"),
        ([{"id": "0"}], "datasetObjectId None was not in its request"),
    ],
)
def test_a_malformed_response_is_told_in_the_failure_reason(response: Any, reason: str) -> None:
    job, world = started_job(image_rows(1), NumberOfHumanWorkersPerDataObject=1)
    world.functions[POST] = lambda _: response
    work_through(job, ANNE)
    job.tick()
    assert job.status is JobStatus.FAILED
    assert reason in str(job.failure_reason)
    assert "object 0" in str(job.failure_reason)
    assert len(world.requests(POST)) == 1


def test_a_job_fails_when_more_than_half_of_its_objects_fail_in_a_function() -> None:
    job, world = make_job(image_rows(4))
    world.functions[PRE] = failing("ImportError: no module named handler")
    job.start()
    job.tick()
    assert job.status is JobStatus.FAILED
    assert "4 of 4 objects failed" in str(job.failure_reason)
    assert "ImportError" in str(job.failure_reason)
    assert job.counters["FailedNonRetryableError"] == 4
    assert job.next_task(ANNE) is None


def test_a_job_with_half_of_its_objects_failed_goes_on() -> None:
    job, world = make_job(image_rows(2), NumberOfHumanWorkersPerDataObject=1)
    world.functions[PRE] = some_fail(pre_annotate, "0001.png", failing("no"))
    job.start()
    job.tick()
    finish(job, ANNE)
    assert job.status is JobStatus.COMPLETED


def test_objects_that_expire_or_are_declined_do_not_fail_the_job() -> None:
    job, world = started_job(image_rows(4), TaskAvailabilityLifetimeInSeconds=60)
    world.clock.advance_to(START + seconds(60))
    job.tick()
    assert job.status is JobStatus.COMPLETED
    assert job.counters["FailedNonRetryableError"] == 4


def test_a_failure_reason_has_at_most_1024_characters() -> None:
    job, _ = started_job(image_rows(1))
    job.fail("x" * 5000)
    assert len(str(job.failure_reason)) == 1024


def test_an_exception_of_the_host_passes_through() -> None:
    class Abandoned(Exception):
        pass

    job, world = make_job(image_rows(2))

    def abandon(_event: dict[str, Any]) -> Any:
        raise Abandoned

    world.functions[PRE] = abandon
    job.start()
    with pytest.raises(Abandoned):
        job.tick()
    assert not job.is_finished


# Everything together


def test_many_workers_at_once_get_every_object_to_the_wanted_number_of_them() -> None:
    job, world = started_job(image_rows(40), NumberOfHumanWorkersPerDataObject=3, MaxConcurrentTaskCount=10)
    failures: list[BaseException] = []

    def work(person: Worker) -> None:
        try:
            while not job.is_finished:
                work_through(job, person)
                job.tick()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=[worker(f"w{number}")]) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert failures == []
    assert job.status is JobStatus.COMPLETED
    paths = world.paths("annotations/consolidated-annotation/consolidation-request/")
    entries = [entry for path in paths for entry in world.json(path)]
    assert sorted(int(entry["datasetObjectId"]) for entry in entries) == list(range(40))
    for entry in entries:
        assert len({annotation["workerId"] for annotation in entry["annotations"]}) == 3
    assert len(world.events) == 1


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 12),
    people=st.integers(1, 5),
    wanted=st.integers(1, 4),
    concurrent=st.integers(1, 12),
    decline_rate=st.sampled_from([0.0, 0.3, 1.0]),
    return_rate=st.sampled_from([0.0, 0.4]),
    limit=st.none() | st.integers(1, 12),
)
def test_whatever_workers_do_every_object_is_accounted_for_once(
    seed: int,
    count: int,
    people: int,
    wanted: int,
    concurrent: int,
    decline_rate: float,
    return_rate: float,
    limit: int | None,
) -> None:
    rows = image_rows(count)
    job, world = make_job(
        rows,
        NumberOfHumanWorkersPerDataObject=wanted,
        MaxConcurrentTaskCount=concurrent,
        TaskTimeLimitInSeconds=30,
        TaskAvailabilityLifetimeInSeconds=3600,
        **({"StoppingConditions": {"MaxHumanLabeledObjectCount": limit}} if limit else {}),
    )
    annotators = [
        annotator(
            f"a{n}",
            seconds_median=10.0 + n,
            seconds_spread=1.0,
            decline_rate=decline_rate,
            return_rate=return_rate,
        )
        for n in range(people)
    ]
    run(job, world, team(rows, annotators, seed))
    counters = job.counters
    written = world.rows()
    labeled = sum("label" in row for row in written)
    failed = sum("failure-reason" in row.get("label-metadata", {}) for row in written)
    assert job.status is (
        JobStatus.STOPPED if limit and labeled == limit < count - failed else JobStatus.COMPLETED
    )
    assert counters["TotalLabeled"] == counters["HumanLabeled"] + counters["MachineLabeled"] == labeled
    assert counters["FailedNonRetryableError"] == failed
    assert sum(counters[key] for key in ("TotalLabeled", "FailedNonRetryableError", "Unlabeled")) == count
    assert [row["source-ref"] for row in written] == [row["source-ref"] for row in rows]
    assert limit is None or labeled <= limit

    submitted: dict[str, list[str]] = {}
    for path in world.paths("annotations/worker-response/"):
        object_id = path.split("/")[3]
        submitted.setdefault(object_id, []).extend(a["workerId"] for a in world.json(path)["answers"])
    consolidated: dict[str, list[str]] = {}
    for path in world.paths("annotations/consolidated-annotation/consolidation-request/"):
        for item in world.json(path):
            assert item["datasetObjectId"] not in consolidated
            consolidated[item["datasetObjectId"]] = [a["workerId"] for a in item["annotations"]]
    assert {key: sorted(value) for key, value in submitted.items()} == {
        key: sorted(value) for key, value in consolidated.items()
    }
    for workers in consolidated.values():
        assert 1 <= len(workers) == len(set(workers)) <= wanted
