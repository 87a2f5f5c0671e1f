"""The promises that the Terraform files keep: functions from the repository's files to the problems found."""

from __future__ import annotations

from terraform.checks import data, environments, functions, loop, rights, shape, wiring
from terraform.checks.registry import CHECKS, Check

__all__ = ["CHECKS", "Check", "data", "environments", "functions", "loop", "rights", "shape", "wiring"]
