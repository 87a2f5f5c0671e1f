"""The typed contract between a function and its environment variables, declared once per handler.

A handler declares what it reads as a frozen dataclass whose fields are the variables' names::

    @dataclass(frozen=True)
    class Environment:
        DATA_BUCKET: str
        LEDGER_TABLE: str
        AUDITORS_WORKTEAM_ARN: str = ""

A variable with a default may be missing or empty. The declaration is plain enough to be read without
importing the handler, so that a test can compare it with what Terraform sets.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import TypeVar

from truthloop.errors import MissingEnvironment

Contract = TypeVar("Contract")


def load(contract: type[Contract], variables: Mapping[str, str] | None = None) -> Contract:
    """Read the variables that `contract` declares.

    Parameters
    ----------
    contract
        A dataclass whose fields, all of type `str`, are the variables' names.
    variables
        Where to read them; the process environment by default.

    Raises
    ------
    MissingEnvironment
        Names every variable that is missing or empty, not only the first.
    """
    found = os.environ if variables is None else variables
    if not dataclasses.is_dataclass(contract):
        raise TypeError(f"{contract.__name__} is not a dataclass: declare it with @dataclass(frozen=True)")
    fields = dataclasses.fields(contract)
    names = [field.name for field in fields]
    missing = [
        field.name for field in fields if field.default is dataclasses.MISSING and not found.get(field.name)
    ]
    if missing:
        raise MissingEnvironment(
            f"The environment variables {', '.join(missing)} are missing or empty; the function reads "
            f"{', '.join(names)}. Set them in its Terraform module."
        )
    return contract(**{name: found[name] for name in names if found.get(name)})
