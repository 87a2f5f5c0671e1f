"""The workers table: which pseudonym stands for which person; the only place that knows.

A person is who the identity provider says (`sub`), and under it the worker ids that the labelling service
uses. An item {"worker": "w-<12 hex>", "worker_ids", "sub", "issuer", "identity_provider", "known_since"}
says who a pseudonym is, and look-up items {"worker": "id#<sha256>", "pseudonym"} find it. To forget somebody
is to delete these items.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from truthloop import aws

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Two worker ids of one person in one document stay two keys there: the second gets a tilde.
PSEUDONYM = re.compile(r"(w-[0-9a-f]{12})~*")
_LOOK_UP = "id#"


@dataclass(frozen=True)
class Person:
    """What a file or a log says of who worked; at least `worker_id` or `sub` is known."""

    worker_id: str | None
    sub: str | None = None
    issuer: str | None = None
    identity_provider: str | None = None


def shortened_id(worker_id: str) -> str:
    """The part of `private.<region>.<hex>` that is the worker's own."""
    return worker_id.rpartition(".")[2]


@dataclass(frozen=True)
class Identity:
    """Whom a pseudonym stands for.

    Attributes
    ----------
    worker_ids
        The labelling service's names for the person.
    known_since
        When the person was first seen, ISO 8601.
    """

    worker: str
    worker_ids: frozenset[str]
    sub: str | None
    issuer: str | None
    identity_provider: str | None
    known_since: str

    @property
    def identifiers(self) -> frozenset[str]:
        """Every text by which somebody could find the person; reports and logs shorten worker ids."""
        shortened = {shortened_id(each) for each in self.worker_ids}
        return self.worker_ids | shortened | ({self.sub} if self.sub else set())


class People:
    """Gives and keeps pseudonyms; one object remembers those that it gave."""

    def __init__(self, table: str, client: DynamoDBClient | None = None) -> None:
        self._table = table
        self._client = aws.dynamodb() if client is None else client
        self._known: dict[Person, str] = {}

    def pseudonym_of(self, person: Person) -> str:
        """The pseudonym of a person, given to new ones; two callers at once get the same one.

        A worker id that is a pseudonym stands for itself: files of forgotten people hold it.
        """
        if person.worker_id is not None and (match := PSEUDONYM.fullmatch(person.worker_id)):
            return match[1]
        if person not in self._known:
            self._known[person] = self._claim(person)
        return self._known[person]

    def _claim(self, person: Person) -> str:
        by_worker_id = None if person.worker_id is None else _look_up("worker_id", person.worker_id)
        candidate = f"w-{secrets.token_hex(6)}"
        if person.sub is None:
            assert by_worker_id is not None  # noqa: S101 (see Person)
            pseudonym = self._get_or_set(by_worker_id, candidate)
        else:
            if by_worker_id is not None:
                # Consolidation knows no sub, and its file may have come first.
                candidate = self._find(by_worker_id) or candidate
            pseudonym = self._get_or_set(_look_up("sub", person.sub), candidate)
            if by_worker_id is not None:
                self._set(by_worker_id, {"pseudonym": {"S": pseudonym}})
        self._set(
            pseudonym,
            {
                name: {"S": value}
                for name in ("sub", "issuer", "identity_provider")
                if (value := getattr(person, name)) is not None
            },
            person.worker_id,
        )
        return pseudonym

    def identity(self, pseudonym: str) -> Identity | None:
        """Whom a pseudonym stands for, None when that isn't known or was forgotten."""
        item = self._client.get_item(
            TableName=self._table, Key={"worker": {"S": pseudonym}}, ConsistentRead=True
        ).get("Item")
        return None if item is None else _identity(item)

    def identities(self) -> Iterator[Identity]:
        """Everybody whom the table knows."""
        return (_identity(item) for item in self._scan() if not item["worker"]["S"].startswith(_LOOK_UP))

    def forget(self, pseudonyms: frozenset[str]) -> int:
        """Delete every item of these pseudonyms; returns how many there were.

        The identities go last: until then somebody who repeats an interrupted deletion finds them.
        """
        mine = [
            item["worker"]["S"]
            for item in self._scan()
            if {item["worker"]["S"], item.get("pseudonym", {}).get("S", "")} & pseudonyms
        ]
        for name in sorted(mine, key=lambda name: not name.startswith(_LOOK_UP)):
            self._client.delete_item(TableName=self._table, Key={"worker": {"S": name}})
        self._known = {person: name for person, name in self._known.items() if name not in pseudonyms}
        return len(mine)

    def _find(self, name: str) -> str | None:
        item = self._client.get_item(
            TableName=self._table, Key={"worker": {"S": name}}, ConsistentRead=True
        ).get("Item")
        return None if item is None else item["pseudonym"]["S"]

    def _get_or_set(self, name: str, candidate: str) -> str:
        answer = self._client.update_item(
            TableName=self._table,
            Key={"worker": {"S": name}},
            UpdateExpression="SET pseudonym = if_not_exists(pseudonym, :candidate)",
            ExpressionAttributeValues={":candidate": {"S": candidate}},
            ReturnValues="ALL_NEW",
        )
        return answer["Attributes"]["pseudonym"]["S"]

    def _set(self, name: str, values: Mapping[str, Any], worker_id: str | None = None) -> None:
        assignments = [f"#{each} = :{each}" for each in values]
        arguments = {f":{each}": value for each, value in values.items()}
        addition = ""
        if not name.startswith(_LOOK_UP):
            assignments.append("known_since = if_not_exists(known_since, :now)")
            arguments[":now"] = {"S": datetime.now(UTC).isoformat()}
            if worker_id is not None:
                addition = " ADD worker_ids :worker_ids"
                arguments[":worker_ids"] = {"SS": [worker_id]}
        names: dict[str, Any] = {}
        if values:
            names["ExpressionAttributeNames"] = {f"#{each}": each for each in values}
        self._client.update_item(
            TableName=self._table,
            Key={"worker": {"S": name}},
            UpdateExpression=f"SET {', '.join(assignments)}{addition}",
            ExpressionAttributeValues=arguments,
            **names,
        )

    def _scan(self) -> Iterator[Mapping[str, Any]]:
        pages = self._client.get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True)
        for page in pages:
            yield from page["Items"]


def _look_up(kind: str, identifier: str) -> str:
    # The files write private.<region>.<id>, the log of the workers' activity the last part alone.
    known = shortened_id(identifier) or identifier if kind == "worker_id" else identifier
    digest = hashlib.sha256(json.dumps([kind, known]).encode()).hexdigest()
    return f"{_LOOK_UP}{digest}"


def _identity(item: Mapping[str, Any]) -> Identity:
    def text(name: str) -> str | None:
        value: str | None = item.get(name, {}).get("S")
        return value

    return Identity(
        worker=item["worker"]["S"],
        worker_ids=frozenset(item.get("worker_ids", {}).get("SS", [])),
        sub=text("sub"),
        issuer=text("issuer"),
        identity_provider=text("identity_provider"),
        known_since=text("known_since") or "",
    )
