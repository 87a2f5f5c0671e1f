"""Terraform itself accepts the files: their form, both roots, and with its example every module."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from terraform.command import INIT, copy_of_terraform, needs_provider, needs_terraform, terraform
from terraform.repository import ROOT, Repository

# A module is accepted with its example, which calls it with what it requires.
CONFIGURATIONS = [
    stack.path.removeprefix("terraform").removeprefix("/") or "."
    for stack in [*Repository.load().roots(), *Repository.load().examples()]
]

pytestmark = [pytest.mark.terraform, needs_terraform]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """What Terraform objects to in each configuration; two are asked at a time, as half of it is waiting."""
    scratch = tmp_path_factory.mktemp("validate")
    copy = copy_of_terraform(scratch)

    def verdict(configuration: str) -> str:
        data = scratch / "data" / configuration.replace("/", "-")
        for command in (INIT, ("validate",)):
            result = terraform(*command, folder=copy / configuration, data=data)
            if result.returncode:
                return result.stdout + result.stderr
        return ""

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(CONFIGURATIONS, pool.map(verdict, CONFIGURATIONS), strict=True))


def test_the_files_are_formatted(tmp_path: Path) -> None:
    result = terraform("fmt", "-check", "-diff", "-recursive", folder=ROOT / "terraform", data=tmp_path)
    assert result.returncode == 0, f"run: make format\n{result.stdout}{result.stderr}"


def test_every_module_is_among_what_terraform_validates() -> None:
    modules = {f"examples/{module.name}" for module in Repository.load().modules()}
    assert {".", "bootstrap", "examples/complete"} | modules == set(CONFIGURATIONS)
    assert len(modules) >= 15


@needs_provider
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_the_provider_accepts(configuration: str, verdicts: Mapping[str, str]) -> None:
    assert verdicts[configuration] == ""
