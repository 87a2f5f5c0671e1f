"""One person has one pseudonym, whoever asks and by whatever name, and it says nothing of the person."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from truthloop.trace.people import PSEUDONYM, People, Person
from unit.trace.kit import ANNA, ISSUER, PREFIX, Stack

WHOLE = Person(ANNA.worker_id, ANNA.sub, ISSUER, "Cognito")


def table() -> People:
    """As in a new container: nothing is remembered."""
    return People(f"{PREFIX}-workers")


def test_a_person_keeps_the_pseudonym(stack: Stack) -> None:
    first = table().pseudonym_of(WHOLE)
    assert PSEUDONYM.fullmatch(first)
    assert table().pseudonym_of(WHOLE) == first
    assert table().pseudonym_of(Person(ANNA.worker_id)) == first
    assert table().pseudonym_of(Person(None, ANNA.sub)) == first


def test_evidence_that_comes_before_the_answer_knows_the_same_person(stack: Stack) -> None:
    first = table().pseudonym_of(Person(ANNA.worker_id))
    assert table().pseudonym_of(WHOLE) == first
    (identity,) = table().identities()
    assert (identity.sub, identity.issuer) == (ANNA.sub, ISSUER)


def test_the_log_knows_the_same_person_although_it_writes_the_worker_id_differently(stack: Stack) -> None:
    first = table().pseudonym_of(WHOLE)
    bare = ANNA.worker_id.rpartition(".")[2]
    assert table().pseudonym_of(Person(bare, ANNA.sub)) == first
    # A workforce whose members come from another identity provider has no sub in its log.
    assert table().pseudonym_of(Person(bare)) == first


def test_two_functions_that_see_somebody_new_at_once_agree(stack: Stack) -> None:
    start, one_at_a_time = threading.Barrier(8), threading.Lock()

    class Atomic:
        """DynamoDB changes an item in one piece; moto's threads may come between reading and writing it."""

        def __init__(self, client: Any) -> None:
            self._client = client

        def __getattr__(self, name: str) -> Any:
            def call(**arguments: Any) -> Any:
                with one_at_a_time:
                    return getattr(self._client, name)(**arguments)

            return call

    def ask(_: int) -> str:
        people = People(f"{PREFIX}-workers", cast("Any", Atomic(stack.people._client)))
        start.wait()
        return people.pseudonym_of(WHOLE)

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(ask, range(8)))
    assert len(found) == 1
    assert {each.worker for each in table().identities()} == found


def test_different_people_have_different_pseudonyms(stack: Stack) -> None:
    people = table()
    assert len({people.pseudonym_of(Person(f"w{n}", f"s{n}")) for n in range(10)}) == 10


def test_a_pseudonym_stands_for_itself_and_leaves_no_item(stack: Stack) -> None:
    assert table().pseudonym_of(Person("w-0123456789ab", "w-0123456789ab")) == "w-0123456789ab"
    assert table().pseudonym_of(Person("w-0123456789ab~")) == "w-0123456789ab"
    assert list(table().identities()) == []


def test_look_ups_do_not_hold_the_identifier(stack: Stack) -> None:
    table().pseudonym_of(WHOLE)
    keys = [item["worker"]["S"] for item in stack.people._scan()]
    assert len(keys) == 3
    assert not any(name in key for key in keys for name in ANNA.identifiers)


def test_forgetting_leaves_nothing_and_a_return_is_a_new_person(stack: Stack) -> None:
    people = table()
    first = people.pseudonym_of(WHOLE)
    other = people.pseudonym_of(Person("somebody", "else"))
    assert people.forget(frozenset({first})) == 3
    assert [each.worker for each in people.identities()] == [other]
    assert people.identity(first) is None
    assert people.pseudonym_of(WHOLE) != first
    assert people.forget(frozenset({first})) == 0
