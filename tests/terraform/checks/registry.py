"""Where every check registers itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from terraform.repository import Repository

Check = Callable[[Repository], Iterator[str]]
CHECKS: dict[str, Check] = {}


def check(function: Check) -> Check:
    """Register a check under its name, which is the promise that it guards."""
    CHECKS[function.__name__] = function
    return function
