from __future__ import annotations

import pytest

from truthloop.errors import ObjectNotFound
from truthloop.labeling.outputs import Response, output_rows, responses
from truthloop.layout import JobLayout
from truthloop.s3 import S3Gateway
from unit.labeling.kit import BUCKET

FOLDER = JobLayout(f"s3://{BUCKET}/out/", "job")


def answer(worker: str, second: int, sub: str | None = "one") -> dict[str, object]:
    identity = {} if sub is None else {"workerMetadata": {"identityData": {"sub": sub}}}
    return {
        "workerId": worker,
        "submissionTime": f"2030-01-01T00:00:0{second}.000Z",
        "answerContent": {"x": second},
        **identity,
    }


def put(s3: S3Gateway, iteration: str, name: str, second: int, *answers: object) -> None:
    uri = f"{FOLDER.worker_responses_prefix()}{iteration}/{name}/2030-01-01_00:00:0{second}.json"
    s3.write_json(uri, {"answers": list(answers)})


def test_an_answer_that_two_files_repeat_counts_once_and_a_second_one_counts(s3: S3Gateway) -> None:
    put(s3, "iteration-1", "7", 1, answer("a", 1))
    put(s3, "iteration-1", "7", 2, answer("a", 1), answer("a", 2), answer("b", 0))
    put(s3, "iteration-2", "7", 3, answer("a", 2))
    put(s3, "iteration-1", "8", 1, answer("a", 1))
    found = responses(s3, FOLDER.worker_responses_prefix())
    assert [(each.worker_id, each.content["x"]) for each in found["7"]] == [("b", 0), ("a", 1), ("a", 2)]
    assert len(found["8"]) == 1
    assert responses(s3, FOLDER.worker_responses_prefix(), {"8", "9"}).keys() == {"8"}
    assert responses(s3, f"s3://{BUCKET}/nothing/") == {}


def test_answers_that_are_only_counted_keep_nothing_of_what_was_submitted(s3: S3Gateway) -> None:
    put(s3, "iteration-1", "0", 1, answer("a", 1))
    [counted] = responses(s3, FOLDER.worker_responses_prefix(), with_content=False)["0"]
    assert (counted.worker_id, counted.sub, counted.content) == ("a", "one", None)


def test_answers_of_years_ago_lack_identity_and_time(s3: S3Gateway) -> None:
    put(s3, "iteration-1", "0", 1, {"workerId": "a", "answerContent": {}}, {"workerMetadata": None})
    [first, second] = responses(s3, FOLDER.worker_responses_prefix())["0"]
    assert {first.worker_id, second.worker_id} == {"a", "None"}
    assert (first.sub, first.submitted_at) == (None, None)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("a", "s"), ("b", "s"), True),
        (("a", "s"), ("a", "t"), False),
        (("a", None), ("a", "t"), True),
        (("a", None), ("b", None), False),
    ],
)
def test_the_same_person_is_known_by_sub_first(
    one: tuple[str, str | None], other: tuple[str, str | None], same: bool
) -> None:
    first, second = (Response(worker, sub, None, None) for worker, sub in (one, other))
    assert first.is_by_author_of(second) is second.is_by_author_of(first) is same


def test_only_a_stopped_job_may_lack_its_output_manifest(s3: S3Gateway) -> None:
    for iteration, label in ((10, 3), (9, 2), (1, 1)):
        uri = f"{FOLDER.intermediate_prefix()}{iteration}/annotations.manifest"
        s3.write_bytes(uri, b'{"label":%d}\n' % label)
    where = (FOLDER.output_manifest(), FOLDER.intermediate_prefix())
    assert [row["label"] for row in output_rows(s3, where[0], "Stopped", where[1])] == [1, 2, 3]
    with pytest.raises(ObjectNotFound):
        list(output_rows(s3, where[0], "Completed", where[1]))
    s3.write_bytes(where[0], b'{"label":4}\n')
    assert [row["label"] for row in output_rows(s3, where[0], "Stopped", where[1])] == [4]
