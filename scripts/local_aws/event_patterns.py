"""EventBridge's event patterns, compiled once, so that matching an event takes microseconds.

The language: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html

moto matches too, but copies each event through JSON for each rule, and each object written to a bucket
is an event.
"""

from __future__ import annotations

import functools
import ipaddress
import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

#: Whether an event, or a part of one, matches.
Matcher = Callable[[Any], bool]

_ABSENT = object()
_COMPARISONS = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
}


class InvalidPattern(ValueError):
    """A pattern that EventBridge would refuse, or an operator that isn't known here."""


@functools.lru_cache(maxsize=1024)
def compiled(text: str) -> Matcher:
    """Return what tells whether an event matches a pattern, given as JSON.

    Raises
    ------
    InvalidPattern
        The pattern is none; the text says what is wrong with it.
    """
    try:
        pattern = json.loads(text)
    except ValueError:
        raise InvalidPattern("Invalid JSON") from None
    if not isinstance(pattern, dict) or not pattern:
        raise InvalidPattern("Filter is not an object")
    return _object(pattern)


def _object(pattern: Mapping[str, Any]) -> Matcher:
    if not pattern:
        raise InvalidPattern("Empty objects are not allowed")
    parts = [_either(value) if key == "$or" else _member(key, value) for key, value in pattern.items()]
    return lambda node: all(part(node) for part in parts)


def _either(patterns: Any) -> Matcher:
    if not isinstance(patterns, list) or len(patterns) < 2:
        raise InvalidPattern("'$or' must be an array of two objects or more")
    choices = [_object(pattern) for pattern in patterns]
    return lambda node: any(choice(node) for choice in choices)


def _member(key: str, value: Any) -> Matcher:
    if isinstance(value, dict):
        inner = _object(value)
        return lambda node: any(inner(member) for member in _objects(_get(node, key)))
    if not isinstance(value, list):
        raise InvalidPattern(f"'{key}' must be an object or an array")
    if not value:
        raise InvalidPattern("Empty arrays are not allowed")
    filters = [_filter(item) for item in value]

    def matches(node: Any) -> bool:
        found = _get(node, key)
        # A list matches by any of its values; nothing but `exists` asks for what is not there.
        values = found if isinstance(found, list) and found else [found]
        return any(fits(each) for each in values for fits in filters)

    return matches


def _get(node: Any, key: str) -> Any:
    return node.get(key, _ABSENT) if isinstance(node, Mapping) else _ABSENT


def _objects(found: Any) -> Iterator[Any]:
    """Yield what a nested pattern is matched with: an object, each one of a list, or nothing at all."""
    if isinstance(found, list):
        yield from found
    else:
        yield found


def _filter(item: Any) -> Matcher:
    if isinstance(item, dict):
        if len(item) != 1:
            raise InvalidPattern("Only one key allowed in match expression")
        ((name, argument),) = item.items()
        if name not in _OPERATORS:
            raise InvalidPattern(f"Unrecognized match type {name}")
        return _OPERATORS[name](argument)
    if isinstance(item, list):
        raise InvalidPattern("Match value must be String, number, true, false, or null")
    # In JSON 1 is no true.
    return lambda value: value == item and isinstance(value, bool) == isinstance(item, bool)


# The operators


def _exists(argument: Any) -> Matcher:
    if not isinstance(argument, bool):
        raise InvalidPattern("exists match pattern must be either true or false.")
    return lambda value: (value is not _ABSENT) == argument


def _text(name: str, test: Callable[[str, str], bool]) -> Callable[[Any], Matcher]:
    def make(argument: Any) -> Matcher:
        folded = isinstance(argument, dict) and list(argument) == ["equals-ignore-case"]
        wanted = argument["equals-ignore-case"] if folded else argument
        if not isinstance(wanted, str) or not wanted:
            raise InvalidPattern(f"{name} match pattern must be a string")
        if folded:
            wanted = wanted.casefold()
            return lambda value: isinstance(value, str) and test(value.casefold(), wanted)
        return lambda value: isinstance(value, str) and test(value, wanted)

    return make


def _equals_ignore_case(argument: Any) -> Matcher:
    if not isinstance(argument, str):
        raise InvalidPattern("equals-ignore-case match pattern must be a string")
    wanted = argument.casefold()
    return lambda value: isinstance(value, str) and value.casefold() == wanted


def _wildcard(argument: Any) -> Matcher:
    if not isinstance(argument, str):
        raise InvalidPattern("wildcard match pattern must be a string")
    parts = re.findall(r"\\[*\\]|\*|[^*\\]+|\\", argument)
    if ("*", "*") in pairwise(parts):
        raise InvalidPattern("wildcard match pattern has consecutive wildcard characters")
    expression = re.compile(
        "".join(".*" if part == "*" else re.escape(part[-1] if part[0] == "\\" else part) for part in parts),
        re.DOTALL,
    )
    return lambda value: isinstance(value, str) and expression.fullmatch(value) is not None


def _numeric(argument: Any) -> Matcher:
    if not isinstance(argument, list) or len(argument) not in (2, 4):
        raise InvalidPattern("Value of numeric must be an array of one or two comparisons")
    tests: list[tuple[Callable[[Any, Any], bool], float]] = []
    for sign, number in zip(argument[::2], argument[1::2], strict=True):
        if sign not in _COMPARISONS or isinstance(number, bool) or not isinstance(number, int | float):
            raise InvalidPattern(f"Unrecognized numeric comparison {sign} {number}")
        tests.append((_COMPARISONS[sign], number))

    def matches(value: Any) -> bool:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and all(test(value, number) for test, number in tests)

    return matches


def _anything_but(argument: Any) -> Matcher:
    if isinstance(argument, dict):
        if len(argument) != 1:
            raise InvalidPattern("Only one key allowed in match expression")
        ((name, values),) = argument.items()
        if name not in ("prefix", "suffix", "wildcard", "equals-ignore-case"):
            raise InvalidPattern(f"Unsupported anything-but pattern: {name}")
        excluded = [_OPERATORS[name](value) for value in _listed(values)]
    else:
        excluded = [_filter(value) for value in _listed(argument)]
    return lambda value: value is not _ABSENT and not any(test(value) for test in excluded)


def _listed(values: Any) -> Sequence[Any]:
    found = values if isinstance(values, list) else [values]
    if not found:
        raise InvalidPattern("Empty arrays are not allowed")
    return found


def _cidr(argument: Any) -> Matcher:
    try:
        network = ipaddress.ip_network(argument)
    except ValueError:
        raise InvalidPattern(f"Malformed CIDR, one '/' required: {argument}") from None

    def matches(value: Any) -> bool:
        try:
            return isinstance(value, str) and ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return matches


_OPERATORS: dict[str, Callable[[Any], Matcher]] = {
    "anything-but": _anything_but,
    "cidr": _cidr,
    "equals-ignore-case": _equals_ignore_case,
    "exists": _exists,
    "numeric": _numeric,
    "prefix": _text("prefix", str.startswith),
    "suffix": _text("suffix", str.endswith),
    "wildcard": _wildcard,
}
