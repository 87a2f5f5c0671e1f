"""The AWS provider is found where the user says, and else where Terraform itself would look."""

from __future__ import annotations

from pathlib import Path

import pytest

from truthloop_cli.terraform_tools import PROVIDER, find_plugin_dir


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TF_PLUGIN_DIR", raising=False)
    return tmp_path


@pytest.mark.parametrize("place", [".terraform.d/plugins", ".local/share/terraform/plugins"])
def test_the_folders_that_terraform_knows_are_searched(home: Path, place: str) -> None:
    (home / place / PROVIDER).mkdir(parents=True)
    assert find_plugin_dir() == home / place


def test_the_folder_that_the_user_names_comes_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".terraform.d/plugins" / PROVIDER).mkdir(parents=True)
    (home / "named" / PROVIDER).mkdir(parents=True)
    monkeypatch.setenv("TF_PLUGIN_DIR", str(home / "named"))
    assert find_plugin_dir() == home / "named"


def test_a_folder_without_the_provider_does_not_count(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_PLUGIN_DIR", str(home / "empty"))
    (home / "empty").mkdir()
    (home / ".terraform.d/plugins" / PROVIDER).mkdir(parents=True)
    assert find_plugin_dir() == home / ".terraform.d/plugins"
