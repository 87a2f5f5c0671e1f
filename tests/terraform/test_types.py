"""A value is compared with its type to the last field."""

from __future__ import annotations

from typing import Any

import pytest

from terraform.types import UnknownType, misfits, parse, without_optional

JOB = """object({
  name  = string
  sizes = optional(list(number), [1, 2])
  on    = optional(object({ gpu = bool }), { gpu = true })
})"""


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("string", "a"),
        ("number", 1.5),
        ("bool", False),
        ("set(string)", ["a", "b"]),
        ("map(number)", {"a": 1}),
        (JOB, {"name": "a"}),
        (JOB, {"name": "a", "sizes": [1], "on": {"gpu": True}}),
        (JOB, {"name": "a", "sizes": None}),
    ],
)
def test_what_fits_is_accepted(type_: str, value: Any) -> None:
    assert not list(misfits(value, type_, "x"))


@pytest.mark.parametrize(
    ("type_", "value", "problem"),
    [
        ("string", 1, "x must be a string, not 1"),
        ("number", True, "x must be a number, not True"),
        ("bool", "true", "x must be a bool, not 'true'"),
        ("list(string)", "a", "x must be a list, not 'a'"),
        ("list(string)", ["a", 1], "x[1] must be a string, not 1"),
        ("map(number)", {"a": "1"}, "x.a must be a number, not '1'"),
        (JOB, {}, "x lacks name"),
        (JOB, {"name": "a", "size": 1}, "x has no size"),
        (JOB, {"name": "a", "on": {"gpu": 1}}, "x.on.gpu must be a bool, not 1"),
        (JOB, ["a"], "x must be an object, not ['a']"),
    ],
)
def test_what_does_not_fit_is_named(type_: str, value: Any, problem: str) -> None:
    assert list(misfits(value, type_, "x")) == [problem]


def test_what_may_be_left_out_makes_no_other_type() -> None:
    assert without_optional(parse("object({ a = optional(number, 1) })")) == parse("object({ a = number })")


@pytest.mark.parametrize("text", ["", "text", "list(any)", "tuple([string])"])
def test_an_unknown_type_is_refused(text: str) -> None:
    with pytest.raises(UnknownType):
        list(misfits([], text, "x"))
