"""Manifests in JSON Lines: reads a labelling job's input with the service's limits and writes its output."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NoReturn

from labeling_engine.specification import SOURCE_KEYS

# Source: "Input data quotas" and "Use an input manifest file" in the SageMaker developer guide.
MAX_LINE_CHARACTERS = 100_000
MAX_OBJECTS = 100_000
_PROBLEMS_SHOWN = 5


class InvalidManifest(ValueError):
    """The input manifest breaks a rule; the text names the first lines that do."""


def read_manifest(body: bytes) -> list[dict[str, Any]]:
    """Return the rows of an input manifest in file order; empty lines are passed over.

    Raises
    ------
    InvalidManifest
        The body is not UTF-8, holds no row or more than 100,000, or a line is not a JSON object with one of
        ``source-ref`` and ``source``, is longer than 100,000 characters, or has a key that begins with ``$``.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidManifest(f"the manifest is not UTF-8: {error}; write it in UTF-8") from None
    rows, problems = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(_read_row(line.removesuffix("\r")))
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    if problems:
        more = f" (and {len(problems) - _PROBLEMS_SHOWN} more)" if len(problems) > _PROBLEMS_SHOWN else ""
        raise InvalidManifest(
            "the manifest has invalid lines: " + "; ".join(problems[:_PROBLEMS_SHOWN]) + more
        )
    if not rows:
        raise InvalidManifest("the manifest holds no data objects; give at least one line")
    if len(rows) > MAX_OBJECTS:
        raise InvalidManifest(
            f"the manifest holds {len(rows)} data objects; a job takes at most {MAX_OBJECTS}"
        )
    return rows


def write_manifest(rows: Iterable[dict[str, Any]]) -> bytes:
    """Return rows as JSON Lines, in the given order."""
    return "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows).encode()


def source_of(row: dict[str, Any]) -> str:
    """Return what identifies a row's data object: its S3 URI, or its text."""
    return str(next(row[key] for key in SOURCE_KEYS if key in row))


def _read_row(line: str) -> dict[str, Any]:
    if len(line) > MAX_LINE_CHARACTERS:
        raise ValueError(f"{len(line)} characters; at most {MAX_LINE_CHARACTERS} are allowed")
    try:
        row = json.loads(line, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg}); write one JSON object per line") from None
    if not isinstance(row, dict):
        raise ValueError("not a JSON object; write one JSON object per line")
    if reserved := [key for key in row if key.startswith("$")]:
        raise ValueError(f"the key {reserved[0]!r} begins with $; rename it")
    sources = [key for key in SOURCE_KEYS if key in row]
    if len(sources) != 1:
        raise ValueError(f"{' and '.join(sources) or 'no source'}; give one of source-ref and source")
    if not isinstance(row[sources[0]], str) or not row[sources[0]]:
        raise ValueError(f"{sources[0]} is {row[sources[0]]!r}; give a non-empty string")
    return row


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON; leave the key out or write null")
