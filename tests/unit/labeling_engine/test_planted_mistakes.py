"""Mistakes that all annotators share, which no consolidation finds, until an auditor has told them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from labeling_engine import InvalidAnnotators, JobStatus, SimulatedAnnotators
from unit.labeling_engine.job_kit import PRE, annotator, image_rows, make_job, pre_annotate, run, truth_of

ROWS = image_rows(12)
TRUTH = truth_of(ROWS)
SOURCES = list(TRUTH)
WRONG = {SOURCES[0]: "2", SOURCES[4]: "0"}
PEOPLE = [annotator(name, accuracy=1.0) for name in ("ann", "bob", "cy")]
COMMENT = {"comment": "Look again", "reason": "wrong-label", "reasonEn": "", "reasonJa": ""}


def team(**changes: Any) -> SimulatedAnnotators:
    document = {"seed": 1, "truth": TRUTH, "annotators": PEOPLE, "mistakes": WRONG, **changes}
    return SimulatedAnnotators.from_document(document)


def labels(annotators: SimulatedAnnotators, feedback: list[dict[str, Any]] | None) -> dict[str, str]:
    """Run a job whose tasks show feedback, or do not know of any, and return its labels."""
    job, world = make_job(ROWS)
    more = {} if feedback is None else {"feedback": feedback}

    def pre(event: dict[str, Any]) -> dict[str, Any]:
        answer = pre_annotate(event)
        return {**answer, "taskInput": {**answer["taskInput"], **more}}

    world.functions[PRE] = pre
    run(job, world, annotators)
    assert job.status is JobStatus.COMPLETED
    return {row["source-ref"]: row["label-metadata"]["class-name"] for row in world.rows()}


def test_everybody_takes_the_object_for_the_same_wrong_thing() -> None:
    assert labels(team(), None) == labels(team(), []) == {**TRUTH, **WRONG}


def test_whoever_is_told_answers_from_the_truth() -> None:
    assert labels(team(), [COMMENT]) == TRUTH


def test_each_further_comment_makes_an_annotator_look_again() -> None:
    bad = [annotator("ann", accuracy=0.5), *PEOPLE[1:]]
    person = team(annotators=bad).annotators[0]
    looks = [
        [person.answer(1, source, "crowd-classifier", "1", ["0", "1", "2"], comments) for source in SOURCES]
        for comments in range(3)
    ]
    assert looks[0] != looks[1] != looks[2]
    assert looks[0] == [person.answer(1, s, "crowd-classifier", "1", ["0", "1", "2"]) for s in SOURCES]


def test_mistakes_may_be_in_a_file_like_the_truth(tmp_path: Path) -> None:
    path = tmp_path / "mistakes.json"
    path.write_text(json.dumps(WRONG))
    assert team(mistakes=str(path)).mistakes == WRONG


@pytest.mark.parametrize(
    ("mistakes", "told"),
    [
        ([], "mistakes is no object of category names"),
        ({SOURCES[0]: 3}, "mistakes is no object of category names"),
        ("nowhere.json", "mistakes 'nowhere.json' cannot be read"),
        ({"s3://other": "1"}, "mistakes has 's3://other', of which the truth is not given"),
    ],
)
def test_a_wrong_document_of_mistakes_is_told(mistakes: Any, told: str) -> None:
    with pytest.raises(InvalidAnnotators, match=told):
        team(mistakes=mistakes)
