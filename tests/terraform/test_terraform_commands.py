"""Terraform itself accepts the files: their form, both roots, and the example in every module's README."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from terraform.repository import ROOT, Repository
from truthloop_cli.terraform_tools import find_plugin_dir

EXAMPLE = re.compile(r"```hcl\n(.*?)```", re.DOTALL)
SOURCE = re.compile(r"git::https://[^\"]+//terraform/modules/(\w+)\?ref=[^\"]+")

pytestmark = [
    pytest.mark.terraform,
    pytest.mark.skipif(
        shutil.which("terraform") is None,
        reason="NOT CHECKED BY TERRAFORM: there is no terraform on the PATH; `make setup` installs one",
    ),
]
needs_provider = pytest.mark.skipif(
    find_plugin_dir() is None,
    reason="NOT VALIDATED: no mirror holds the AWS provider; run `terraform providers mirror DIR` in "
    "terraform/ on a connected machine and set TF_PLUGIN_DIR=DIR",
)


def terraform(*arguments: str, folder: Path, data: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "TF_DATA_DIR": str(data),
        "TF_CLI_CONFIG_FILE": os.devnull,
        "CHECKPOINT_DISABLE": "1",
    }
    return subprocess.run(
        ["terraform", f"-chdir={folder}", *arguments, "-no-color"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def validate(folder: Path, data: Path) -> None:
    """Fail with Terraform's own words unless it accepts a folder."""
    init = terraform(
        "init", "-backend=false", "-input=false", f"-plugin-dir={find_plugin_dir()}", folder=folder, data=data
    )
    assert init.returncode == 0, init.stdout + init.stderr
    result = terraform("validate", folder=folder, data=data)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what Terraform reads: `init` writes a lock file beside the configuration."""
    ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*")
    shutil.copytree(ROOT / "terraform", tmp_path / "terraform", ignore=ignored)
    shutil.copytree(ROOT / "ui_templates", tmp_path / "ui_templates")
    return tmp_path / "terraform"


def test_the_files_are_formatted(tmp_path: Path) -> None:
    result = terraform("fmt", "-check", "-diff", "-recursive", folder=ROOT / "terraform", data=tmp_path)
    assert result.returncode == 0, f"run: make format\n{result.stdout}{result.stderr}"


@needs_provider
@pytest.mark.parametrize("root", [".", "bootstrap"])
def test_the_provider_accepts_the_root(root: str, copy: Path, tmp_path: Path) -> None:
    validate(copy / root, tmp_path / "data")


@needs_provider
def test_the_provider_accepts_the_example_in_every_readme(copy: Path, tmp_path: Path) -> None:
    examples = [
        (stack.name, EXAMPLE.search(Repository.load().text(f"{stack.path}/README.md")))
        for stack in Repository.load().modules()
    ]
    folder = tmp_path / "examples"
    folder.mkdir()
    assert examples
    for name, example in examples:
        assert example, f"the README of {name} has no example"
        text = SOURCE.sub(r"../terraform/modules/\1", example[1])
        (folder / f"{name}.tf").write_text(text)
        # What the example packages or uploads is the reader's own.
        for path in re.findall(r"\$\{path\.root\}/([^\"]+)", text):
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).touch()
    shutil.copy(copy / "versions.tf", folder)
    validate(folder, tmp_path / "data")
    formatted = terraform("fmt", "-check", "-diff", folder=folder, data=tmp_path / "data")
    assert formatted.returncode == 0, formatted.stdout
