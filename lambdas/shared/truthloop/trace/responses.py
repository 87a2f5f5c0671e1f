"""Reads the files that workers' answers come in; whatever they hold, reading ends with answers and reasons.

Ground Truth writes `annotations/worker-response/iteration-<N>/<object>/<time>.json`; answers of one second
share a file, and every field but the answer may be missing:
https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from truthloop.trace.answers import ACCEPTED, CHANGED
from truthloop.trace.people import Person

# A day longer than Ground Truth's longest job: what is longer than that is no duration.
_SECONDS_MAXIMUM = timedelta(days=31).total_seconds()
_IDENTIFIER_CHARACTERS_MAXIMUM = 512
_TIMING = "clientTiming"
_MODIFIED = "initialValueModified"
_FILE_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[_T ](\d{2}:\d{2}:\d{2})")


@dataclass(frozen=True)
class Response:
    """What one answer says, before it is known which job it belongs to; see `answers.Answer`."""

    person: Person
    submitted_at: str
    accepted_at: str | None
    seconds: float | None
    wall_seconds: float | None
    active_ms: float | None
    answer_sha256: str
    suggestion: str | None


@dataclass(frozen=True)
class Responses:
    """The answers of a file that could be read, and why the others couldn't."""

    answers: list[Response]
    rejected: list[str]


class _Unreadable(Exception):
    """An answer lacks what a record needs."""


def read_responses(document: Any, file_name: str) -> Responses:
    """Read the answers of a worker-response file.

    Parameters
    ----------
    document
        The parsed file, {"answers": [{"answerContent", "submissionTime", "acceptanceTime",
        "timeSpentInSeconds", "workerId", "workerMetadata": {"identityData": {…}}}]}.
    file_name
        Such as `2030-01-31_12:00:00.json`: says the time where an answer doesn't.
    """
    entries = document.get("answers") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        return Responses([], ["the file is not a JSON object with a list `answers`"])
    answers, rejected = [], []
    for number, entry in enumerate(entries, start=1):
        try:
            answers.append(_read(entry, file_name))
        except _Unreadable as error:
            rejected.append(f"answer {number} {error}")
        except RecursionError:
            rejected.append(f"answer {number} is nested too deeply")
    return Responses(answers, rejected)


def timestamp(moment: datetime) -> str:
    """A moment as records hold it, in UTC; the order of these texts is that of time."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def read_time(value: Any) -> datetime | None:
    """The moment that a text in ISO 8601 names, None for anything else; UTC unless it says otherwise."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        # Years before 1000 would be written with fewer digits.
        return moment.replace(tzinfo=moment.tzinfo or UTC) if moment.year >= 1000 else None
    except ValueError:
        return None


def identifier(value: Any) -> str | None:
    """A text that can be a key, None for anything else."""
    if not isinstance(value, str) or not 0 < len(value) <= _IDENTIFIER_CHARACTERS_MAXIMUM:
        return None
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return None
    return value


def number_between(value: Any, least: float, most: float) -> float | None:
    """A finite number within bounds, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if least <= value <= most and math.isfinite(value) else None


def _read(entry: Any, file_name: str) -> Response:
    if not isinstance(entry, dict):
        raise _Unreadable("is not a JSON object")
    submitted = read_time(entry.get("submissionTime")) or _time_of(file_name)
    if submitted is None:
        raise _Unreadable("has no submissionTime that can be read, and the file's name says no time")
    accepted = read_time(entry.get("acceptanceTime"))
    wall = None if accepted is None else (submitted - accepted).total_seconds()
    content = entry.get("answerContent")
    return Response(
        person=_person(entry),
        submitted_at=timestamp(submitted),
        accepted_at=None if accepted is None else timestamp(accepted),
        seconds=number_between(entry.get("timeSpentInSeconds"), 0, _SECONDS_MAXIMUM),
        wall_seconds=number_between(wall, 0, _SECONDS_MAXIMUM),
        active_ms=_active_ms(content),
        answer_sha256=_digest(content),
        suggestion=_suggestion(content),
    )


def _person(entry: Mapping[str, Any]) -> Person:
    metadata = entry.get("workerMetadata")
    data = metadata.get("identityData") if isinstance(metadata, dict) else None
    known: Mapping[str, Any] = data if isinstance(data, dict) else {}
    worker_id, sub = identifier(entry.get("workerId")), identifier(known.get("sub"))
    if worker_id is None and sub is None:
        raise _Unreadable("says neither a workerId nor a sub that can be used")
    return Person(
        worker_id, sub, identifier(known.get("issuer")), identifier(known.get("identityProviderType"))
    )


def _time_of(file_name: str) -> datetime | None:
    match = _FILE_TIME.match(file_name)
    return None if match is None else read_time(f"{match[1]}T{match[2]}")


def _digest(content: Any) -> str:
    # The same answer in other words of JSON, or given in another time, is the same answer.
    if isinstance(content, dict):
        content = {key: value for key, value in content.items() if key != _TIMING}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _active_ms(content: Any) -> float | None:
    timing = content.get(_TIMING) if isinstance(content, dict) else None
    if isinstance(timing, str):
        try:
            timing = json.loads(timing)
        except (ValueError, RecursionError):
            return None
    return (
        number_between(timing.get("activeMs"), 0, _SECONDS_MAXIMUM * 1000)
        if isinstance(timing, dict)
        else None
    )


def _suggestion(content: Any) -> str | None:
    """Whether any element of the answer says that its initial value was changed, or was not."""
    found = set()
    rest = [content]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            if isinstance(value.get(_MODIFIED), bool):
                found.add(value[_MODIFIED])
            rest.extend(value.values())
        elif isinstance(value, list):
            rest.extend(value)
    if not found:
        return None
    return CHANGED if True in found else ACCEPTED
