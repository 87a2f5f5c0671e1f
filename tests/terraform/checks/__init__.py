"""The promises that the Terraform files keep: functions from the repository's files to the problems found."""

from __future__ import annotations

from terraform.checks import (
    batch,
    contracts,
    data,
    environments,
    events,
    examples,
    functions,
    loop,
    monitoring,
    names,
    plans,
    programs,
    rights,
    shape,
    wiring,
)
from terraform.checks.registry import CHECKS, Check, problems_of

__all__ = [
    "CHECKS",
    "Check",
    "batch",
    "contracts",
    "data",
    "environments",
    "events",
    "examples",
    "functions",
    "loop",
    "monitoring",
    "names",
    "plans",
    "problems_of",
    "programs",
    "rights",
    "shape",
    "wiring",
]
