"""The Terraform files agree with each other, with the code that they deploy, and with the house's rules."""

from __future__ import annotations

import pytest

from terraform.checks import CHECKS, problems_of
from terraform.repository import Repository


@pytest.fixture(scope="module")
def repository() -> Repository:
    return Repository.load()


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_the_promise_holds(name: str, repository: Repository) -> None:
    problems = problems_of(name, repository)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_a_check_that_finds_nothing_to_check_fails(name: str) -> None:
    assert problems_of(name, Repository({}))
