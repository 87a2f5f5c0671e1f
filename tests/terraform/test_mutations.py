"""Every check notices the mistake that it is there for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from terraform.checks import CHECKS, problems_of
from terraform.mutations import MUTATIONS, Mutation
from terraform.repository import Repository


@pytest.fixture(scope="module")
def repository() -> Repository:
    return Repository.load()


@pytest.fixture(scope="module")
def before(repository: Repository) -> Callable[[str], list[str]]:
    """What a check reports about the files as they are."""
    return cache(lambda name: problems_of(name, repository))


def _name(mutation: Mutation) -> str:
    check, path, old, *_ = mutation
    return f"{check}: {path}{'' if old else ' missing'}"


@pytest.mark.parametrize("mutation", MUTATIONS, ids=_name)
def test_a_check_notices_its_mistake(
    mutation: Mutation, repository: Repository, before: Callable[[str], list[str]]
) -> None:
    name, path, old, new, problem = mutation
    if old is not None:
        changed = repository.edited(path, old, new or "")
    elif new is not None:
        changed = repository.with_file(path, new)
    else:
        changed = repository.without(path)
    found = set(problems_of(name, changed)) - set(before(name))
    assert any(problem in text for text in found), found


def test_every_check_has_been_seen_to_notice_something() -> None:
    assert {name for name, *_ in MUTATIONS} == set(CHECKS)
