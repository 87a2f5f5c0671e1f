"""Terraform's types as texts, such as `object({ a = optional(number) })`, and whether a value fits one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_TOKEN = re.compile(r'\s*([A-Za-z_][\w-]*|"[^"]*"|-?\d+(?:\.\d+)?|[(){}\[\]=:,])')
_PRIMITIVES = {"string": str, "number": (int, float), "bool": bool}


class UnknownType(ValueError):
    """A text that is none of Terraform's types."""


def misfits(value: Any, type_: str, where: str) -> Iterator[str]:
    """What is wrong with a value of a type, recursively; nothing when it fits."""
    yield from _misfits(value, parse(type_), where)


def without_optional(type_: Any) -> Any:
    """A parsed type without saying what may be left out."""
    if isinstance(type_, str):
        return type_
    constructor, inner = type_
    if constructor == "optional":
        return without_optional(inner)
    if constructor == "object":
        return constructor, {name: without_optional(field) for name, field in inner.items()}
    return constructor, without_optional(inner)


def parse(text: str) -> Any:
    """A type as a name or as (constructor, argument); an object's argument has a type for each field."""
    tokens = _TOKEN.findall(text)
    parsed, rest = _parse_tokens(tokens)
    if rest:
        raise UnknownType(f"{text!r} is no type: {rest} is left over")
    return parsed


def _parse_tokens(tokens: list[str]) -> tuple[Any, list[str]]:
    if not tokens:
        raise UnknownType("a type ends too early")
    name, rest = tokens[0], tokens[1:]
    if rest[:1] != ["("]:
        if name not in _PRIMITIVES:
            raise UnknownType(f"{name!r} is no type")
        return name, rest
    rest = rest[1:]
    if name == "object":
        fields = {}
        rest = rest[1:]
        while rest[0] != "}":
            if rest[0] == ",":
                rest = rest[1:]
                continue
            field = rest[0]
            fields[field], rest = _parse_tokens(rest[2:])
        return (name, fields), rest[2:]
    inner, rest = _parse_tokens(rest)
    # The rest of `optional(type, default)` is the default.
    depth = 1
    while depth:
        depth += {"(": 1, "{": 1, "[": 1, ")": -1, "}": -1, "]": -1}.get(rest[0], 0)
        rest = rest[1:]
    return (name, inner), rest


def _misfits(value: Any, type_: Any, where: str) -> Iterator[str]:
    if isinstance(type_, str):
        is_bool = isinstance(value, bool)
        if not isinstance(value, _PRIMITIVES[type_]) or is_bool != (type_ == "bool"):
            yield f"{where} must be a {type_}, not {value!r}"
        return
    constructor, inner = type_
    if constructor == "optional":
        if value is not None:
            yield from _misfits(value, inner, where)
    elif constructor in ("list", "set"):
        if not isinstance(value, list):
            yield f"{where} must be a {constructor}, not {value!r}"
            return
        for number, item in enumerate(value):
            yield from _misfits(item, inner, f"{where}[{number}]")
    elif not isinstance(value, Mapping):
        article = "an" if constructor == "object" else "a"
        yield f"{where} must be {article} {constructor}, not {value!r}"
    elif constructor == "map":
        for key, item in value.items():
            yield from _misfits(item, inner, f"{where}.{key}")
    elif constructor == "object":
        for key in sorted(value.keys() - inner.keys()):
            yield f"{where} has no {key}"
        for key, field in inner.items():
            if key in value:
                yield from _misfits(value[key], field, f"{where}.{key}")
            elif field[0] != "optional":
                yield f"{where} lacks {key}"
    else:
        raise UnknownType(f"{constructor!r} is no type")
