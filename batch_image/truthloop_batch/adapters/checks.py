"""Checks of hyperparameters, with one wording for all adapters."""

from __future__ import annotations

from typing import Any

from truthloop_batch.adapters.base import InvalidHyperparameters


def check_integer(name: str, value: Any, lower: int, upper: int) -> None:
    """Refuse what is no integer from `lower` to `upper`.

    Raises
    ------
    InvalidHyperparameters
        With the name, the value and what is allowed.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not lower <= value <= upper:
        raise refusal(name, value, f"an integer from {lower} to {upper}")


def check_number(name: str, value: Any, lower: float, upper: float) -> None:
    """Refuse what is no number above `lower` to `upper`; see `check_integer`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not lower < value <= upper:
        raise refusal(name, value, f"a number above {lower:g} to {upper:g}")


def refusal(name: str, value: Any, allowed: str) -> InvalidHyperparameters:
    """The error for a hyperparameter's value."""
    return InvalidHyperparameters(
        f"model.hyperparameters.{name} is {value!r}; allowed: {allowed}. Correct it in the request."
    )
