"""Filter patterns of CloudWatch Logs choose the log events that they are documented to choose."""

from __future__ import annotations

import json

import pytest

from local_aws.log_patterns import InvalidPattern, compiled

DECLINED = {
    "event_type": "TasksDeclined",
    "task_declined_time": "Wed Aug 14 16:00:59 UTC 2019",
    "task_submitted_time": "",
    "seconds": 12.5,
    "flag": True,
    "nothing": None,
    "nested": {"list": ["a", "b"]},
}

MATCHING = [
    "",
    " ",
    '{ $.event_type = "TasksDeclined" }',
    "{ $.event_type = TasksDeclined }",
    '{$.event_type="TasksDeclined"}',
    '{ $.event_type = "Tasks*" }',
    '{ ($.event_type = "TasksReturned") || ($.event_type = "TasksDeclined") }',
    '{ $.event_type = "TasksReturned" || $.event_type = "TasksDeclined" && $.seconds > 12 }',
    '{ $.event_type != "TasksSubmitted" }',
    "{ $.seconds >= 12.5 && $.seconds < 13 }",
    "{ $.seconds = 12.5 }",
    "{ $.flag IS TRUE }",
    "{ $.nothing IS NULL }",
    "{ $.missing NOT EXISTS }",
    "{ $.nested.list[1] = b }",
    "{ $.nested EXISTS }",
    "{ $.event_type = %^Tasks(Declined|Returned)$% }",
    "TasksDeclined",
    "TasksDeclined UTC",
    '"Aug 14"',
    "?TasksReturned ?TasksDeclined",
    "TasksDeclined -TasksReturned",
    "%Tasks[A-Z]eclined%",
]
NOT_MATCHING = [
    '{ $.event_type = "TasksReturned" }',
    '{ $.event_type = "Declined" }',
    '{ ($.event_type = "TasksDeclined") && ($.seconds > 13) }',
    '{ ($.event_type = "TasksReturned" || $.event_type = "TasksDeclined") && $.flag IS FALSE }',
    "{ $.missing = x }",
    "{ $.missing != x }",
    "{ $.missing EXISTS }",
    "{ $.event_type NOT EXISTS }",
    "{ $.event_type > 3 }",
    "{ $.nested.list[2] = b }",
    "TasksReturned",
    "TasksDeclined -UTC",
    "?TasksReturned ?TasksSubmitted",
    '"14 Aug"',
]


@pytest.mark.parametrize("pattern", MATCHING)
def test_an_event_is_chosen(pattern: str) -> None:
    assert compiled(pattern)(json.dumps(DECLINED))


@pytest.mark.parametrize("pattern", NOT_MATCHING)
def test_an_event_is_not_chosen(pattern: str) -> None:
    assert not compiled(pattern)(json.dumps(DECLINED))


def test_a_message_that_is_no_json_is_not_chosen_by_a_pattern_of_json() -> None:
    assert not compiled("{ $.event_type NOT EXISTS }")("START RequestId: 1")


@pytest.mark.parametrize(
    "pattern",
    [
        "{ $.a }",
        "{ $.a = }",
        "{ a = 1 }",
        "{ ($.a = 1 }",
        "{ $.a = 1 $.b = 2 }",
        "{ $.a IS MAYBE }",
        "{ $.a < text }",
        "{ $ = 1 }",
        "[ip, user]",
        "{ $.a = 1",
    ],
)
def test_a_pattern_that_cannot_be_read_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidPattern, match=r"cannot be read|is not supported"):
        compiled(pattern)
