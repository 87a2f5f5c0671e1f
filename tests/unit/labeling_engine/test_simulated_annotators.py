"""What simulated annotators promise: the stated accuracy and speed, and the same work for the same seed."""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from labeling_engine import InvalidAnnotators, JobStatus, SimulatedAnnotators, SimulationFailed, Task, Worker
from labeling_engine.simulated_annotators import Annotator
from labeling_engine.template import answer_element
from unit.labeling_engine.job_kit import (
    ISSUER,
    POST,
    PRE,
    START,
    InMemoryWorld,
    annotator,
    image_rows,
    make_job,
    run,
    team,
    truth_of,
)

DIGITS = [str(number) for number in range(10)]
SOURCES = [f"s3://bucket/{number}.png" for number in range(4000)]


def answers(world: InMemoryWorld) -> list[dict[str, Any]]:
    """Return all worker responses with the object id added, in the order of submission."""
    found = [
        {**record, "object_id": path.split("/")[3]}
        for path in world.paths("annotations/worker-response/")
        for record in world.json(path)["answers"]
    ]
    return sorted(found, key=lambda record: (record["submissionTime"], record["workerId"]))


def a_run(seed: int = 1, delay: Any = None, count: int = 30, **changes: Any) -> InMemoryWorld:
    rows = image_rows(count)
    job, world = make_job(rows, **changes)
    world.delay = delay
    people = [
        annotator("ann", accuracy=0.95, seconds_median=3.0),
        annotator("bob", accuracy=0.8, seconds_median=5.0, decline_rate=0.1, return_rate=0.1),
        annotator("cy", accuracy=0.6, seconds_median=9.0),
        annotator("di", accuracy=0.9, seconds_median=4.0),
    ]
    run(job, world, team(rows, people, seed))
    assert job.status is JobStatus.COMPLETED
    return world


# Skill


@pytest.mark.parametrize("accuracy", [0.0, 0.5, 0.85, 0.97, 1.0])
def test_the_share_of_true_answers_is_the_stated_accuracy(accuracy: float) -> None:
    person = Annotator("ann", accuracy, 4.0)
    right = sum(person.choose(7, source, "3", DIGITS) == "3" for source in SOURCES)
    deviation = math.sqrt(accuracy * (1 - accuracy) / len(SOURCES))
    assert abs(right / len(SOURCES) - accuracy) <= 4 * deviation


def test_wrong_answers_are_spread_over_the_other_categories() -> None:
    person = Annotator("ann", 0.0, 4.0)
    counts = Counter(person.choose(7, source, "3", DIGITS) for source in SOURCES)
    assert set(counts) == set(DIGITS) - {"3"}
    assert min(counts.values()) > len(SOURCES) / 9 * 0.75


def test_a_confusion_names_the_wrong_answer() -> None:
    person = Annotator("ann", 0.5, 4.0, confusion={"3": "8"})
    assert {person.choose(7, source, "3", DIGITS) for source in SOURCES} == {"3", "8"}
    assert len({person.choose(7, source, "5", DIGITS) for source in SOURCES}) == 10


def test_the_share_of_declined_and_returned_tasks_is_as_stated() -> None:
    person = Annotator("ann", 0.9, 4.0, decline_rate=0.2, return_rate=0.3)
    declined = sum(person.choose(7, source, "3", DIGITS) is None for source in SOURCES)
    returned = sum(person.pace(7, source, 1)[1] for source in SOURCES)
    assert declined / len(SOURCES) == pytest.approx(0.2, abs=0.03)
    assert returned / len(SOURCES) == pytest.approx(0.3, abs=0.03)


def test_the_time_per_task_is_log_normal_with_the_stated_median_and_spread() -> None:
    person = Annotator("ann", 0.9, 4.0, seconds_spread=0.4)
    logs = [math.log(person.pace(7, source, 1)[0]) for source in SOURCES]
    assert statistics.median(logs) == pytest.approx(math.log(4.0), abs=0.03)
    assert statistics.stdev(logs) == pytest.approx(0.4, abs=0.03)


def test_annotators_err_independently_of_each_other() -> None:
    first, second = Annotator("ann", 0.5, 4.0), Annotator("bob", 0.5, 4.0)
    both = sum(
        first.choose(7, source, "3", DIGITS) == "3" and second.choose(7, source, "3", DIGITS) == "3"
        for source in SOURCES
    )
    assert both / len(SOURCES) == pytest.approx(0.25, abs=0.04)


def test_a_job_shows_the_stated_accuracy_in_its_answers() -> None:
    rows = image_rows(400)
    job, world = make_job(rows, NumberOfHumanWorkersPerDataObject=1)
    run(job, world, team(rows, [annotator("ann", accuracy=0.8)]))
    truth = truth_of(rows)
    right = [
        record["answerContent"]["digit"]["label"] == truth[rows[int(record["object_id"])]["source-ref"]]
        for record in answers(world)
    ]
    assert len(right) == 400
    assert sum(right) / 400 == pytest.approx(0.8, abs=0.08)


# The same work for the same seed


def test_the_same_seed_gives_the_same_files_whatever_the_timing_of_the_functions() -> None:
    calm = a_run(seed=5)
    jittery = a_run(seed=5, delay=lambda payload: (len(str(payload)) * 7919 % 5) / 1000)
    assert calm.objects == jittery.objects


def test_another_seed_gives_other_answers() -> None:
    first, second = ([r["answerContent"] for r in answers(a_run(seed=seed))] for seed in (1, 2))
    assert first != second


def test_a_person_sees_the_same_in_an_object_whatever_else_is_in_the_job() -> None:
    def labels(world: InMemoryWorld, count: int) -> dict[tuple[str, str], str]:
        sources = [row["source-ref"] for row in image_rows(count)]
        return {
            (record["workerId"], sources[int(record["object_id"])]): record["answerContent"]["digit"]["label"]
            for record in answers(world)
        }

    small, large = labels(a_run(count=10), 10), labels(a_run(count=30, MaxConcurrentTaskCount=7), 30)
    shared = small.keys() & large.keys()
    assert len(shared) > 10
    assert {key: small[key] for key in shared} == {key: large[key] for key in shared}


# Time


def test_times_start_at_the_creation_of_the_job_and_follow_the_annotators_speed() -> None:
    records = answers(a_run())
    times = [
        (datetime.fromisoformat(r["acceptanceTime"]), datetime.fromisoformat(r["submissionTime"]))
        for r in records
    ]
    assert min(accepted for accepted, _ in times) == START
    for record, (accepted, submitted) in zip(records, times, strict=True):
        assert record["timeSpentInSeconds"] == pytest.approx(
            (submitted - accepted).total_seconds(), abs=0.002
        )
    assert max(submitted for _, submitted in times) - START < timedelta(minutes=10)


def test_annotators_work_in_parallel_and_each_on_one_task_at_a_time() -> None:
    records = answers(a_run())
    by_worker: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        by_worker.setdefault(record["workerId"], []).append(record)
    assert len(by_worker) == 4
    for own in by_worker.values():
        for before, after in pairwise(own):
            assert before["submissionTime"] <= after["acceptanceTime"]
    wall = max(r["submissionTime"] for r in records)
    total = sum(r["timeSpentInSeconds"] for r in records)
    assert total > 1.5 * (datetime.fromisoformat(wall) - START).total_seconds()


def test_the_faster_annotator_does_more() -> None:
    rows = image_rows(60)
    job, world = make_job(rows, NumberOfHumanWorkersPerDataObject=1)
    run(
        job,
        world,
        team(rows, [annotator("slow", seconds_median=12.0), annotator("fast", seconds_median=3.0)]),
    )
    counts = sorted(Counter(record["workerId"] for record in answers(world)).values())
    assert counts[1] > 2.5 * counts[0]


def test_a_simulated_day_takes_no_real_time_to_wait_for() -> None:
    rows = image_rows(2)
    job, world = make_job(rows, TaskAvailabilityLifetimeInSeconds=2_592_000)
    run(job, world, team(rows, [annotator("only")]))
    assert job.status is JobStatus.COMPLETED
    assert world.clock() == START + timedelta(days=30)
    assert job.counters["HumanLabeled"] == 2


def test_who_is_too_slow_for_the_time_limit_leaves_no_answer() -> None:
    rows = image_rows(3)
    job, world = make_job(
        rows,
        NumberOfHumanWorkersPerDataObject=1,
        TaskTimeLimitInSeconds=30,
        TaskAvailabilityLifetimeInSeconds=600,
    )
    run(job, world, team(rows, [annotator("slow", seconds_median=120.0, seconds_spread=0.0)]))
    assert job.counters["FailedNonRetryableError"] == 3
    assert answers(world) == []


def test_who_runs_out_of_time_goes_on_at_once() -> None:
    rows = image_rows(2)
    job, world = make_job(
        rows,
        NumberOfHumanWorkersPerDataObject=1,
        TaskTimeLimitInSeconds=30,
        TaskAvailabilityLifetimeInSeconds=100,
    )
    accepted = []
    next_task = job.next_task

    def noted(who: Worker) -> Task | None:
        task = next_task(who)
        if task:
            accepted.append((task.accepted_at - START).total_seconds())
        return task

    job.next_task = noted  # type: ignore[method-assign]
    run(job, world, team(rows, [annotator("slow", seconds_median=120.0, seconds_spread=0.0)]))
    assert accepted == [0, 30, 60, 90]


def test_of_two_who_are_free_the_first_in_the_document_gets_the_first_object() -> None:
    rows = image_rows(2)
    job, world = make_job(rows, NumberOfHumanWorkersPerDataObject=1)
    run(job, world, team(rows, [annotator("zoe"), annotator("ann")]))
    zoe = Annotator("zoe", 0.9, 4.0).worker("us-east-1", ISSUER, "Cognito")
    assert [record["object_id"] for record in answers(world) if record["workerId"] == zoe.worker_id] == ["0"]


def test_who_gives_an_object_back_may_do_it_the_next_time() -> None:
    rows = image_rows(20)
    job, world = make_job(rows, NumberOfHumanWorkersPerDataObject=1)
    run(job, world, team(rows, [annotator("ann", return_rate=0.5)]))
    assert job.counters["HumanLabeled"] == 20
    assert world.clock() < START + timedelta(minutes=10)


# Answers in the form of the template


def test_answers_have_the_name_of_the_templates_element() -> None:
    rows = image_rows(2)
    job, world = make_job(rows, NumberOfHumanWorkersPerDataObject=1)
    template = """<crowd-form><crowd-input name="note"></crowd-input>
        <crowd-classifier name="topic" categories="['0', '1', '2',]"></crowd-classifier></crowd-form>"""
    world.objects["s3://bucket/template.liquid.html"] = template.encode()
    world.functions[PRE] = lambda event: {"taskInput": {"taskObject": event["dataObject"]["source-ref"]}}
    world.functions[POST] = lambda _: []
    run(job, world, team(rows, [annotator("ann", accuracy=1.0)]))
    assert [record["answerContent"] for record in answers(world)] == [
        {"topic": {"label": "0"}},
        {"topic": {"label": "1"}},
    ]


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("<crowd-form></crowd-form>", "crowd-form; expected one of crowd-bounding-box, crowd-classifier"),
        ("<p>hello</p>", "no crowd element"),
        ("<crowd-image-classifier categories='[]'>", "no name attribute"),
        ("<crowd-image-classifier name='x'>", "no attribute categories"),
        (
            "<crowd-classifier name='x' categories='{{ task.input.choices | to_json }}'>",
            "task.input.choices",
        ),
        ("<crowd-image-classifier name='x' categories='A, B or C'>", "expected a list"),
        ("<crowd-image-classifier name='x' categories='[\"a\", \"b\"]'>", "with its truth '0'"),
    ],
)
def test_a_template_that_nobody_could_answer_is_told(template: str, reason: str) -> None:
    rows = image_rows(1)
    job, world = make_job(rows)
    world.objects["s3://bucket/template.liquid.html"] = template.encode()
    with pytest.raises(SimulationFailed) as caught:
        run(job, world, team(rows, [annotator("ann")]))
    assert reason in str(caught.value)


def test_an_object_of_unknown_truth_is_told() -> None:
    job, world = make_job(image_rows(2))
    with pytest.raises(SimulationFailed, match=r"no truth for 's3://bucket/images/0001\.png'"):
        run(job, world, team(image_rows(1), [annotator("ann"), annotator("bob")]))


def test_a_job_stopped_from_outside_ends_in_the_middle() -> None:
    rows = image_rows(20)
    job, world = make_job(rows, NumberOfHumanWorkersPerDataObject=1)
    submit = job.submit

    def stop_after_some(*arguments: Any) -> None:
        submit(*arguments)
        if len(answers(world)) == 5:
            job.stop()

    job.submit = stop_after_some  # type: ignore[method-assign]
    run(job, world, team(rows, [annotator("ann"), annotator("bob")]))
    assert job.status is JobStatus.STOPPED
    assert job.counters["HumanLabeled"] == 5


def test_an_element_behind_liquid_tags_is_found_and_what_it_begins_with_is_known() -> None:
    template = """<crowd-form><crowd-bounding-box name="boundingBox"
        {% if task.input.suggestion %}initial-value="{{ task.input.suggestion | to_json }}"{% endif %}
        labels="{{ task.input.labels | to_json | escape }}"></crowd-bounding-box></crowd-form>"""
    element = answer_element(template, {"crowd-bounding-box"})
    assert element.resolve("labels", {"labels": ["a", "b"]}) == ["a", "b"]
    assert element.begins_with("initial-value", {"suggestion": [{"label": "a"}]})
    assert not element.begins_with("initial-value", {"suggestion": None})
    assert not element.begins_with("overlay", {"suggestion": [{"label": "a"}]})


@pytest.mark.parametrize("suggestion", [None, [{"label": "0", "left": 1, "top": 1, "width": 2, "height": 2}]])
def test_an_answer_says_that_what_was_suggested_has_been_changed(suggestion: Any) -> None:
    rows = image_rows(1)
    job, world = make_job(rows, NumberOfHumanWorkersPerDataObject=1)
    world.objects["s3://bucket/template.liquid.html"] = b"""<crowd-bounding-box name="boundingBox"
        initial-value="{{ task.input.suggestion | to_json }}" labels="['0', '1']">"""
    world.functions[PRE] = lambda event: {"taskInput": {"suggestion": suggestion}}
    world.functions[POST] = lambda _: []
    box = {"label": "1", "left": 5, "top": 6, "width": 10, "height": 12}
    document = {
        "seed": 1,
        "truth": {rows[0]["source-ref"]: {"width": 40, "height": 30, "boxes": [box]}},
        "annotators": [annotator("ann", accuracy=1.0)],
    }
    run(job, world, SimulatedAnnotators.from_document(document))
    (record,) = answers(world)
    content = record["answerContent"]["boundingBox"]
    assert content["inputImageProperties"] == {"height": 30, "width": 40}
    assert content.get("initialValueModified") == (None if suggestion is None else True)


@pytest.mark.parametrize(
    ("tag", "truth", "expected"),
    [
        ("crowd-image-classifier-multi-select", "0", "a list of some of the labels"),
        ("crowd-image-classifier-multi-select", ["7"], "a list of some of the labels"),
        ("crowd-bounding-box", {"boxes": []}, '"width", "height", "boxes"'),
        ("crowd-bounding-box", {"width": 5, "height": 5, "boxes": [{"label": "7"}]}, '"left", "top"'),
        ("crowd-semantic-segmentation", {"mask": "no base64", "labels": ["0"]}, "base64 of a PNG"),
    ],
)
def test_a_truth_that_is_not_of_the_elements_form_is_told(tag: str, truth: Any, expected: str) -> None:
    rows = image_rows(1)
    job, world = make_job(rows)
    attribute = "categories" if "select" in tag else "labels"
    world.objects["s3://bucket/template.liquid.html"] = f"""<{tag} name="x" {attribute}="['0']">""".encode()
    document = {"seed": 1, "truth": {rows[0]["source-ref"]: truth}, "annotators": [annotator("ann")]}
    with pytest.raises(SimulationFailed) as caught:
        run(job, world, SimulatedAnnotators.from_document(document))
    assert expected in str(caught.value)


# Who they are


def test_a_worker_is_the_same_person_in_every_job() -> None:
    ann, bob = (Annotator(name, 0.9, 4.0).worker("us-east-1", ISSUER, "Cognito") for name in ("ann", "bob"))
    assert ann == Annotator("ann", 0.5, 9.0).worker("us-east-1", ISSUER, "Cognito")
    assert ann.worker_id.startswith("private.us-east-1.")
    assert ann.worker_id != bob.worker_id
    assert ann.sub != bob.sub


# The document


def test_a_document_may_name_a_file_with_the_truth(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"s3://bucket/a.png": "0"}))
    document = {"seed": 3, "truth": str(path), "annotators": [annotator("ann", confusion={"0": "1"})]}
    found = SimulatedAnnotators.from_document(document)
    assert found.truth == {"s3://bucket/a.png": "0"}
    assert found.annotators == (
        Annotator(
            "ann", 0.9, 4.0, seconds_spread=0.4, decline_rate=0.0, return_rate=0.0, confusion={"0": "1"}
        ),
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seed": "1"}, "seed is '1'"),
        ({"speed": 3}, "unknown key 'speed'"),
        ({"truth": ["0"]}, "truth is no object"),
        ({"truth": {"a": 1}}, "truth is no object of category names, lists of them, boxes or masks"),
        ({"truth": "no/such/file.json"}, "'no/such/file.json' cannot be read"),
        ({"annotators": []}, "at least one annotator"),
        ({"annotators": ["ann"]}, "annotators[0]: 'ann' is no object"),
        ({"annotators": [annotator("a"), annotator("a")]}, "'a' is given more than once"),
        ({"annotators": [annotator("")]}, "name is ''"),
        ({"annotators": [annotator("a", accuracy=1.1)]}, "accuracy is 1.1; give a number from 0 to 1"),
        ({"annotators": [annotator("a", accuracy=True)]}, "accuracy is True"),
        ({"annotators": [{"name": "a", "seconds_median": 1}]}, "accuracy is None"),
        ({"annotators": [annotator("a", seconds_median=0)]}, "seconds_median is 0"),
        ({"annotators": [annotator("a", seconds_spread=-1)]}, "seconds_spread is -1"),
        ({"annotators": [annotator("a", decline_rate=2)]}, "decline_rate is 2"),
        (
            {"annotators": [annotator("a", return_rate=1.0)]},
            "return_rate is 1.0; give a number from 0 to 0.9",
        ),
        ({"annotators": [annotator("a", confusion={"1": "1"})]}, "confusion is"),
        ({"annotators": [annotator("a", skill=2)]}, "annotators[0]: unknown key 'skill'"),
    ],
)
def test_a_wrong_document_is_told_by_name_and_value(changes: dict[str, Any], told: str) -> None:
    document = {"seed": 1, "truth": {"a": "0"}, "annotators": [annotator("ann")], **changes}
    with pytest.raises(InvalidAnnotators) as caught:
        SimulatedAnnotators.from_document(document)
    assert told in str(caught.value)


def test_all_mistakes_of_a_document_are_told_at_once() -> None:
    with pytest.raises(InvalidAnnotators) as caught:
        SimulatedAnnotators.from_document({"truth": 1, "annotators": [annotator("a", accuracy=-1), 5]})
    for told in (
        "seed is None",
        "truth is no object",
        "annotators[0]: accuracy is -1",
        "annotators[1]: 5 is no",
    ):
        assert told in str(caught.value)
