"""Filter patterns of CloudWatch Logs: which log events a subscription gets.

The language: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

from __future__ import annotations

import functools
import json
import operator
import re
from collections.abc import Callable
from typing import Any

#: Whether a log event's message matches.
Matcher = Callable[[str], bool]
_Test = Callable[[Any], bool]

_ABSENT = object()
_TERMS = re.compile(r'[-?]?(?:"(?:[^"\\]|\\.)*"|%[^%]+%|[^\s"%]+)')
_TOKENS = re.compile(
    r"""\s*(?:
        (?P<word>&&|\|\||!=|>=|<=|[()=<>])
      | (?P<path>\$[^\s=!<>()&|]*)
      | (?P<text>"(?:[^"\\]|\\.)*")
      | (?P<regex>%[^%]+%)
      | (?P<bare>[^\s()=<>&|!]+)
    )""",
    re.VERBOSE,
)
_STEPS = re.compile(r"\.([\w-]+)|\[(\d+)\]|\[['\"]([^'\"]+)['\"]\]")
_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_IS = {"TRUE": True, "FALSE": False, "NULL": None}


class InvalidPattern(ValueError):
    """A filter pattern that is none, or of a kind that isn't known here."""


@functools.lru_cache(maxsize=256)
def compiled(pattern: str) -> Matcher:
    """Return what tells whether a message matches a pattern; the empty one matches every message.

    Raises
    ------
    InvalidPattern
        The pattern cannot be read; the text says where.
    """
    text = pattern.strip()
    if text.startswith("{") and text.endswith("}"):
        test = _Json(text[1:-1]).test()
        return lambda message: _of_json(test, message)
    if text.startswith(("{", "[")):
        raise InvalidPattern(f"the pattern {pattern!r} is not supported; use terms, or {{ $.key = … }}")
    return _terms(text)


# Terms


def _terms(text: str) -> Matcher:
    every, some, none = [], [], []
    for term in _TERMS.findall(text):
        group = none if term[0] == "-" else some if term[0] == "?" else every
        group.append(_term(term if group is every else term[1:]))
    return lambda message: (
        all(test(message) for test in every)
        and (not some or any(test(message) for test in some))
        and not any(test(message) for test in none)
    )


def _term(term: str) -> Matcher:
    if term.startswith("%"):
        expression = re.compile(term[1:-1])
        return lambda message: expression.search(message) is not None
    word = re.sub(r"\\(.)", r"\1", term[1:-1]) if term.startswith('"') else term
    return lambda message: word in message


# JSON


def _of_json(test: _Test, message: str) -> bool:
    try:
        document = json.loads(message)
    except ValueError:
        return False
    return isinstance(document, dict | list) and test(document)


class _Json:
    """Reads ``$.a = "b" && ($.c > 1 || $.d NOT EXISTS)``; ``&&`` binds more than ``||``."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str]] = []
        position = 0
        while text[position:].strip():
            found = _TOKENS.match(text, position)
            if found is None or found.lastgroup is None:
                raise self._invalid()
            self._tokens.append((found.lastgroup, found[found.lastgroup]))
            position = found.end()

    def test(self) -> _Test:
        """Return the test of the whole text."""
        found = self._any()
        if self._tokens:
            raise self._invalid()
        return found

    def _invalid(self) -> InvalidPattern:
        return InvalidPattern(f"the pattern {{{self._text}}} cannot be read; expected {{ $.key = value }}")

    def _take(self, *words: str) -> str | None:
        """Take the next token if it is one of the words."""
        if self._tokens and self._tokens[0][1] in words and self._tokens[0][0] in ("word", "bare"):
            return self._tokens.pop(0)[1]
        return None

    def _any(self) -> _Test:
        tests = [self._all()]
        while self._take("||"):
            tests.append(self._all())
        return lambda document: any(test(document) for test in tests)

    def _all(self) -> _Test:
        tests = [self._one()]
        while self._take("&&"):
            tests.append(self._one())
        return lambda document: all(test(document) for test in tests)

    def _one(self) -> _Test:
        if self._take("("):
            found = self._any()
            if not self._take(")"):
                raise self._invalid()
            return found
        if not self._tokens or self._tokens[0][0] != "path":
            raise self._invalid()
        path = self._tokens.pop(0)[1][1:]
        steps = [int(index) if index else name or quoted for name, index, quoted in _STEPS.findall(path)]
        if _STEPS.sub("", path) or not steps:
            raise self._invalid()
        fits = self._condition()
        return lambda document: fits(_value(document, steps))

    def _condition(self) -> _Test:
        """Return the test of one value."""
        if self._take("EXISTS"):
            return lambda value: value is not _ABSENT
        if self._take("NOT"):
            if not self._take("EXISTS"):
                raise self._invalid()
            return lambda value: value is _ABSENT
        if self._take("IS"):
            if (word := self._take(*_IS)) is None:
                raise self._invalid()
            return lambda value: value is _IS[word]
        sign = self._take("=", "!=", "<", "<=", ">", ">=")
        if sign is None or not self._tokens or self._tokens[0][0] not in ("text", "regex", "bare"):
            raise self._invalid()
        kind, text = self._tokens.pop(0)
        if sign in _ORDER:
            try:
                limit = float(text)
            except ValueError:
                raise self._invalid() from None
            return lambda value: _is_number(value) and _ORDER[sign](value, limit)
        equal = _equality(kind, text)
        return equal if sign == "=" else lambda value: value is not _ABSENT and not equal(value)


def _equality(kind: str, text: str) -> _Test:
    if kind == "regex":
        expression = re.compile(text[1:-1])
        return lambda value: isinstance(value, str) and expression.search(value) is not None
    if kind == "bare":
        try:
            number = float(text)
        except ValueError:
            number = None
        if number is not None:
            return lambda value: (_is_number(value) and value == number) or value == text
    else:
        text = re.sub(r"\\(.)", r"\1", text[1:-1])
    expression = re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL)
    return lambda value: isinstance(value, str) and expression.fullmatch(value) is not None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _value(document: Any, steps: list[Any]) -> Any:
    for step in steps:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return document
