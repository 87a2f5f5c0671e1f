"""The terraform command for tests: on copies, and with a provider from a local mirror or loudly skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from terraform.repository import ROOT
from truthloop_cli.terraform_tools import find_plugin_dir

needs_terraform = pytest.mark.skipif(
    shutil.which("terraform") is None,
    reason="NOT CHECKED BY TERRAFORM: there is no terraform on the PATH; `make setup` installs one",
)
needs_provider = pytest.mark.skipif(
    find_plugin_dir() is None,
    reason="NOT VALIDATED: no mirror holds the AWS provider; run `terraform providers mirror DIR` in "
    "terraform/ on a connected machine and set TF_PLUGIN_DIR=DIR",
)
# As `terraform_tools` gives it, for `terraform init`.
INIT = ("init", "-backend=false", "-input=false", f"-plugin-dir={find_plugin_dir()}")


def copy_of_terraform(folder: Path) -> Path:
    """Copy what Terraform reads, because `init` writes a lock file beside the configuration."""
    ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*")
    shutil.copytree(ROOT / "terraform", folder / "terraform", ignore=ignored)
    shutil.copytree(ROOT / "ui_templates", folder / "ui_templates")
    return folder / "terraform"


def terraform(
    *arguments: str, folder: Path, data: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder; `data` keeps what `init` makes, `environment` names the AWS to talk to."""
    return subprocess.run(
        ["terraform", f"-chdir={folder}", *arguments, "-no-color"],
        env={
            **os.environ,
            **(environment or {}),
            "TF_DATA_DIR": str(data),
            "TF_CLI_CONFIG_FILE": os.devnull,
            "CHECKPOINT_DISABLE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
