"""An environment of a team's own, an AWS in this process, and commands that only write down their calls."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from truthloop_cli import deployment
from unit.cli.fakes import ACCOUNT, STATE_BUCKET, TERRAFORM, Commands, Environments


@pytest.fixture
def envs(tmp_path: Path) -> Environments:
    folder = tmp_path / "terraform"
    shutil.copytree(TERRAFORM / "envs", folder / "envs")
    shutil.copy(TERRAFORM / "variables.tf", folder)
    (folder / "bootstrap").mkdir()
    found = Environments(folder)
    for file in ("tfvars", "s3.tfbackend"):
        text = found.path(f"dev.{file}").read_text()
        for placeholder, own in (
            ("111122223333", ACCOUNT),
            ("EXAMPLE", "aBcDeF123"),
            ("example", "acme"),
            ("truthloop-state", "acme-state"),
            ("dev/", "team/"),
        ):
            text = text.replace(placeholder, own)
        found.path(f"team.{file}").write_text(text)
    with found.path("team.tfvars").open("a") as settings:
        settings.write('image_repository_name = "acme"\n')
    for other in ("dev", "local", "prod", "staging"):
        with found.path(f"{other}.tfvars").open("a") as settings:
            settings.write('image_repository_name = "truthloop"\n')
    return found


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return Commands(folder)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An AWS in this process whose credentials are of ACCOUNT; it is empty."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield


@pytest.fixture
def bootstrapped(aws: None) -> None:
    boto3.client("s3").create_bucket(Bucket=STATE_BUCKET)
    boto3.client("ecr").create_repository(repositoryName="acme")


@pytest.fixture
def terraform(commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """A terraform that only writes down what it is asked; the packages count as built."""
    commands.add(
        "terraform",
        'case "$*" in *" output -json"*) echo \'{"state_machine_arn": {"value": "arn:machine"}}\';; esac',
    )
    builder = tmp_path / "build.py"
    builder.write_text("")
    monkeypatch.setattr(deployment, "BUILDER", builder)
    monkeypatch.setattr(deployment, "DATA", tmp_path / "data")
    return commands


@pytest.fixture
def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
