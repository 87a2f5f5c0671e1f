"""Rows of the master manifest: reading, stable ids, label access, key-wise merging by id, counting.

A row is one JSON object of an augmented manifest: `source-ref` or `source`, the label under the label
attribute, its `<label attribute>-metadata`, our own `truthloop` object, and any keys of the user's, which
pass through untouched. "The id of a row" always means `row["truthloop"]["id"]`; a top-level `id` is the
user's.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, fields
from itertools import tee
from typing import Any, NoReturn, TypeAlias

from truthloop.errors import InvalidManifest, ObjectChanged, UnknownRow
from truthloop.s3 import JSON_LINES, S3Gateway, spooled_lines

Row: TypeAlias = dict[str, Any]

# https://docs.aws.amazon.com/sagemaker/latest/dg/sms-input-data-input-manifest.html
LINE_CHARACTERS_MAXIMUM = 100_000
VALUE_CHARACTERS_MAXIMUM = 20_000
# What the truthloop object, the label and its metadata may add to a line on its way to Ground Truth.
LINE_CHARACTERS_RESERVED = 2_000

SOURCE_REF = "source-ref"
SOURCE = "source"
# Ground Truth has no key for the version of an object; a row that names one is another object than without.
VERSION_ID = "source-ref-version-id"
TRUTHLOOP = "truthloop"
HISTORY = "history"
METADATA_SUFFIX = "-metadata"
RESERVED_KEYS = frozenset({SOURCE_REF, SOURCE, VERSION_ID, TRUTHLOOP, "id"})

# After so many labelling jobs without a label a row is left alone: an object that cannot be shown would be
# sent, and billed, for ever.
FAILURES_MAXIMUM = 3

_MERGE_ATTEMPTS = 5
# JSON allows these inside a string, but line-wise readers other than ours cut there.
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNICODE_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def decode_row(text: str) -> Row:
    """Parse one line.

    Raises
    ------
    InvalidManifest
        When it is not a JSON object; names the column. What could not be written back is refused: numbers
        beyond all bounds and halves of surrogate pairs.
    """
    if text.startswith("\ufeff"):
        raise InvalidManifest("not JSON: it begins with a byte order mark; save the file without one")
    try:
        row = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite_float)
    except json.JSONDecodeError as error:
        raise InvalidManifest(f"not JSON at column {error.pos + 1}: {error.msg}") from error
    except RecursionError as error:
        raise InvalidManifest("not a row: the JSON is nested too deeply") from error
    if not isinstance(row, dict):
        raise InvalidManifest(f"a JSON {_json_type(row)}, not an object with source-ref or source")
    # Only an escape can bring in half of a pair, so other lines need not be searched.
    if "\\ud" in text.lower() and _SURROGATE.search(encode_row(row)):
        raise InvalidManifest("not a row: a text in it holds half of a surrogate pair")
    return row


def encode_row(row: Mapping[str, Any]) -> str:
    """One line of JSON without its line end; `decode_row` gives the same row back, key order included."""
    text = json.dumps(row, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.translate(_UNICODE_LINE_ENDS)


def numbered_rows(lines: Iterable[tuple[int, str]], name: str = "the manifest") -> Iterator[tuple[int, Row]]:
    """Parse numbered lines; blank lines are skipped.

    Raises
    ------
    InvalidManifest
        At the first line that is not a JSON object, with its number and column.
    """
    for number, text in lines:
        if not text.strip():
            continue
        try:
            yield number, decode_row(text)
        except InvalidManifest as error:
            raise InvalidManifest(f"Line {number} of {name} is {error}. Repair that line.") from error


def read_rows(lines: Iterable[tuple[int, str]], name: str = "the manifest") -> Iterator[Row]:
    """Like `numbered_rows`, without the numbers."""
    return (row for _, row in numbered_rows(lines, name))


def read_master(s3: S3Gateway, uri: str) -> Iterator[Row]:
    """Stream the rows of a manifest in S3."""
    return read_rows(s3.lines(uri), uri)


def stable_id(row: Mapping[str, Any]) -> str:
    """The id of an object: 32 hexadecimal characters that depend on what it is, never on where its line is.

    SHA-256 over the object's URI, with its version when the row names one under `source-ref-version-id`, or
    over its text; the two kinds cannot meet.

    Raises
    ------
    InvalidManifest
        When the row has neither a `source-ref` nor a `source` text, or both.
    """
    return digest_id(*source_parts(row))


def source_parts(row: Mapping[str, Any]) -> list[str]:
    """What makes the row's object what it is: the key of its source, its URI or text, its version if any.

    Raises
    ------
    InvalidManifest
        When the row has neither a `source-ref` nor a `source` text, or both.
    """
    reference, text = row.get(SOURCE_REF), row.get(SOURCE)
    if isinstance(reference, str) and SOURCE not in row:
        version = row.get(VERSION_ID)
        return [SOURCE_REF, reference] + ([version] if isinstance(version, str) else [])
    if isinstance(text, str) and SOURCE_REF not in row:
        return [SOURCE, text]
    raise InvalidManifest("a row needs exactly one of source-ref and source, and it must be a text")


def digest_id(*parts: str) -> str:
    """32 hexadecimal characters of the SHA-256 over the parts."""
    # As JSON the parts cannot run into each other.
    identity = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(identity.encode("utf-8")).hexdigest()[:32]


def row_id(row: Mapping[str, Any]) -> str:
    """The id that prepare gave the row.

    Raises
    ------
    InvalidManifest
        When the row has none, so it isn't from a master manifest.
    """
    identifier = provenance(row).get("id")
    if not isinstance(identifier, str):
        raise InvalidManifest(
            f"the row has no truthloop.id: {encode_row(row)[:200]}. Only rows of a master manifest have one; "
            "start the campaign again so that prepare writes it."
        )
    return identifier


def provenance(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row's `truthloop` object: who labelled it, when, and why; empty when it has none."""
    found = row.get(TRUTHLOOP)
    return found if isinstance(found, dict) else {}


def metadata_key(attribute: str) -> str:
    """The key beside a label attribute that holds the label's metadata."""
    return attribute + METADATA_SUFFIX


def is_labeled(row: Mapping[str, Any], attribute: str) -> bool:
    """Whether anybody labelled the row; a null is no label."""
    return row.get(attribute) is not None


def class_index(row: Mapping[str, Any], attribute: str) -> int | None:
    """The label of a classification row as an index into the label categories, None when unlabelled.

    Ground Truth writes an integer, and in some samples of its documentation the integer as a text.

    Raises
    ------
    InvalidManifest
        When the label is something else.
    """
    label = row.get(attribute)
    if label is None:
        return None
    if isinstance(label, int) and not isinstance(label, bool):
        return label
    if isinstance(label, str) and label.isascii() and label.isdigit():
        return int(label)
    raise InvalidManifest(f"the label {attribute} is {label!r}; allowed: the index of a label category")


def with_provenance(row: Mapping[str, Any], attribute: str) -> Row:
    """The input row as a master row: all its keys, and a new `truthloop` object.

    A label that is there already is kept with the reason "input". A `truthloop` object from an earlier
    campaign is replaced, because it tells that campaign's story.
    """
    origin = "input" if is_labeled(row, attribute) else None
    return {
        **row,
        TRUTHLOOP: {
            "id": stable_id(row),
            "round": None,
            "reason": origin,
            "score": None,
            "model": None,
            "job": None,
            "labeled_by": origin,
            "annotators": None,
            "failures": 0,
        },
    }


def merge_row(row: Row, update: Mapping[str, Any]) -> Row:
    """The row with the update's keys in place; keys that the update doesn't name stay as they are.

    A key whose value is None in the update is removed. The `truthloop` object is merged key by key in the
    same way, except that a None in it stays and that its `history` is joined with the row's: see
    `joined_history`. The same update again changes nothing.

    Raises
    ------
    InvalidManifest
        When the update would make the row another object.
    """
    merged = {
        key: value for key, value in {**row, **update}.items() if value is not None or key not in update
    }
    if TRUTHLOOP in update:
        merged[TRUTHLOOP] = {**provenance(row), **update[TRUTHLOOP]}
        if HISTORY in update[TRUTHLOOP]:
            history = joined_history(provenance(row).get(HISTORY) or [], update[TRUTHLOOP][HISTORY])
            merged[TRUTHLOOP][HISTORY] = history
    for key in (SOURCE, SOURCE_REF, VERSION_ID):
        if merged.get(key) != row.get(key):
            raise InvalidManifest(f"an update may not change {key} of the row {row_id(row)}")
    if row_id(merged) != row_id(row):
        raise InvalidManifest(f"an update may not change truthloop.id of the row {row_id(row)}")
    return merged


def joined_history(
    history: Iterable[Mapping[str, Any]], more: Iterable[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The entries of both in the order of time, each once: what happened to a row.

    An entry is {"at": ISO 8601, "event": …, "round": …, "job": …, …}; one that has the same moment, event and
    job is the same.
    """
    joined = {(str(each["at"]), str(each["event"]), str(each.get("job"))): each for each in [*history, *more]}
    return [joined[key] for key in sorted(joined)]


def merge_rows(rows: Iterable[Row], updates: Mapping[str, Mapping[str, Any]]) -> Iterator[Row]:
    """The rows in their order, each merged with the update that `updates` holds under its id.

    Raises
    ------
    UnknownRow
        At the end, when `updates` holds ids that no row has.
    """
    unused = set(updates)
    for row in rows:
        identifier = row_id(row)
        update = updates.get(identifier)
        if update is None:
            yield row
        else:
            unused.discard(identifier)
            yield merge_row(row, update)
    if unused:
        raise UnknownRow(
            f"{len(unused)} updated rows are not in the manifest, such as {', '.join(sorted(unused)[:3])}. "
            "The updates belong to another campaign."
        )


@dataclass(frozen=True)
class Merge:
    """What a merge did: all rows of the manifest, and those that it changed."""

    rows: int
    changed: int


def merge_into(s3: S3Gateway, uri: str, updates: Mapping[str, Mapping[str, Any]]) -> Merge:
    """Merge updates by row id into a manifest in S3, in place and all or nothing.

    Nothing is written when no row changes, so a repetition leaves the object as it is. When somebody else
    replaces the manifest meanwhile, it is read and merged again.

    Raises
    ------
    UnknownRow
        When `updates` holds ids that the manifest lacks; nothing is written.
    ObjectChanged
        When the manifest kept changing.
    """
    for attempt in range(1, _MERGE_ATTEMPTS + 1):
        lines = s3.lines(uri)
        tally = _Tally()
        with spooled_lines(_merged_lines(read_rows(lines, uri), updates, tally)) as file:
            if tally.changed:
                try:
                    s3.replace(uri, file, lines.etag, JSON_LINES)
                except ObjectChanged:
                    if attempt == _MERGE_ATTEMPTS:
                        raise
                    continue
            break
    return Merge(tally.rows, tally.changed)


@dataclass(frozen=True)
class Counts:
    """Row counts of a master manifest.

    Attributes
    ----------
    rows, labeled
        All rows, and those with a label.
    by_people, by_input, by_model
        Labelled rows by who gave the label.
    held_out_unlabeled
        Rows of the test and validation split without a label.
    pool, pool_unlabeled
        Rows outside both splits, and those of them that can still be sent to people.
    given_up
        Unlabelled rows that failed in `FAILURES_MAXIMUM` jobs and are not sent again.
    """

    rows: int
    labeled: int
    by_people: int
    by_input: int
    by_model: int
    held_out_unlabeled: int
    pool: int
    pool_unlabeled: int
    given_up: int


def count(rows: Iterable[Row], attribute: str, held_out: Set[str]) -> Counts:
    """Count master rows; `held_out` are the ids of the test and the validation split together."""
    tally: Counter[str] = Counter()
    for row in rows:
        tally["rows"] += 1
        in_pool = row_id(row) not in held_out
        tally["pool"] += in_pool
        if is_labeled(row, attribute):
            tally["labeled"] += 1
            tally[f"by_{provenance(row).get('labeled_by')}"] += 1
        elif is_given_up(row):
            tally["given_up"] += 1
        else:
            tally["pool_unlabeled" if in_pool else "held_out_unlabeled"] += 1
    return Counts(**{field.name: tally[field.name] for field in fields(Counts)})


def is_given_up(row: Mapping[str, Any]) -> bool:
    """Whether the row failed so often that it isn't sent to people any more."""
    return int(provenance(row).get("failures") or 0) >= FAILURES_MAXIMUM


@dataclass
class _Tally:
    rows: int = 0
    changed: int = 0


def _merged_lines(
    rows: Iterator[Row], updates: Mapping[str, Mapping[str, Any]], tally: _Tally
) -> Iterator[str]:
    before, after = tee(rows)
    for old, new in zip(before, merge_rows(after, updates), strict=True):
        tally.rows += 1
        line = encode_row(new)
        tally.changed += new is not old and line != encode_row(old)
        yield line


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidManifest(f"not JSON: {name} is not a JSON number")


def _finite_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise InvalidManifest(f"not a row: the number {text} is too large to be kept")
    return number


def _json_type(value: object) -> str:
    names = {list: "array", str: "text", bool: "boolean", int: "number", float: "number", type(None): "null"}
    return names[type(value)]
