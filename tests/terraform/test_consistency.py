"""The Terraform files agree with each other, with the code that they deploy, and with the house's rules."""

from __future__ import annotations

import pytest

from terraform.checks import CHECKS, Check
from terraform.repository import NothingFound, Repository


@pytest.fixture(scope="module")
def repository() -> Repository:
    return Repository.load()


def problems_of(check: Check, repository: Repository) -> list[str]:
    """The problems that a check reports; having nothing to check is one."""
    try:
        return list(check(repository))
    except NothingFound as error:
        return [str(error)]


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_the_promise_holds(name: str, repository: Repository) -> None:
    assert not problems_of(CHECKS[name], repository)


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_a_check_that_finds_nothing_to_check_fails(name: str) -> None:
    assert problems_of(CHECKS[name], Repository({}))
