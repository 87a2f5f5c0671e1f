"""Where every check registers itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from terraform.repository import NothingFound, Repository

Check = Callable[[Repository], Iterator[str]]
CHECKS: dict[str, Check] = {}


def check(function: Check) -> Check:
    """Register a check under its name, which is the promise that it guards."""
    CHECKS[function.__name__] = function
    return function


def problems_of(name: str, repository: Repository) -> list[str]:
    """The problems that a check reports; having nothing to check is one."""
    try:
        return list(CHECKS[name](repository))
    except NothingFound as error:
        return [str(error)]
