"""Reads the JSON that crowd elements take in attributes: with single quotes, bare keys and trailing commas.

AWS documents no grammar. This one is what the examples of its pages use, such as
`{ text: 'None of the above' }` and `[{label: "x", left: 1,},]`:
https://docs.aws.amazon.com/sagemaker/latest/dg/sms-ui-template-reference.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

_BLANKS = (" ", "\t", "\r", "\n")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?")
_WORD = re.compile(r"[A-Za-z_$][\w$]*")
# Control characters are allowed: attributes go over several lines.
_STRING = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_LITERALS = {"true": True, "false": False, "null": None}
_DEPTH_MAXIMUM = 100
_SHOWN_CHARACTERS = 20


class RelaxedJsonError(ValueError):
    """The text is not even relaxed JSON; says where, what was expected and what is there."""


def loads(text: str) -> Any:
    """The value of a relaxed JSON text; every JSON text is one and has the same value.

    Raises
    ------
    RelaxedJsonError
        When it isn't one.
    """
    reader = _Reader(text)
    value = reader.value(0)
    if reader.peek():
        reader.refuse("the end")
    return value


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def peek(self) -> str:
        """The next character that is no blank; empty at the end."""
        while self._text[self._at : self._at + 1] in _BLANKS:
            self._at += 1
        return self._text[self._at : self._at + 1]

    def refuse(self, expected: str) -> NoReturn:
        found = self._text[self._at : self._at + _SHOWN_CHARACTERS]
        raise RelaxedJsonError(
            f"at character {self._at + 1}: expected {expected}, found {repr(found) if found else 'the end'}"
        )

    def value(self, depth: int) -> Any:
        if depth > _DEPTH_MAXIMUM:
            self.refuse(f"at most {_DEPTH_MAXIMUM} levels")
        first = self.peek()
        if first == "{":
            return dict(self._members("}", lambda: self._pair(depth + 1)))
        if first == "[":
            return list(self._members("]", lambda: self.value(depth + 1)))
        if first and first in "'\"":
            return self._string()
        if (match := _NUMBER.match(self._text, self._at)) is not None:
            self._at = match.end()
            return json.loads(match[0])
        if (match := _WORD.match(self._text, self._at)) is not None and match[0] in _LITERALS:
            self._at = match.end()
            return _LITERALS[match[0]]
        return self.refuse("a value (texts need quotes)")

    def _members(self, closing: str, member: Callable[[], Any]) -> list[Any]:
        self._at += 1
        found = []
        while self.peek() != closing:
            found.append(member())
            if self.peek() == ",":
                self._at += 1
            elif self.peek() != closing:
                self.refuse(f"a comma or {closing}")
        self._at += 1
        return found

    def _pair(self, depth: int) -> tuple[str, Any]:
        first = self.peek()
        if first and first in "'\"":
            key = self._string()
        elif (match := _WORD.match(self._text, self._at)) is not None:
            key = match[0]
            self._at = match.end()
        else:
            self.refuse("a key")
        if self.peek() != ":":
            self.refuse("a colon")
        self._at += 1
        return key, self.value(depth)

    def _string(self) -> str:
        match = _STRING.match(self._text, self._at)
        if match is None:
            self.refuse("a text that ends with the quote it begins with")
        content = match[0][1:-1]
        if match[0][0] == "'":
            # JSON knows the escaped double quote, not the escaped single one.
            content = re.sub(
                r"""\\.|\"""",
                lambda found: {"\\'": "'", '"': '\\"'}.get(found[0], found[0]),
                content,
                flags=re.DOTALL,
            )
        try:
            text: str = json.loads(f'"{content}"', strict=False)
        except json.JSONDecodeError as error:
            self.refuse(f"a text with JSON's escapes ({error.msg})")
        self._at = match.end()
        return text
