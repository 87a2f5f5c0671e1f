"""A copy of the root stack's settings, and fake commands that write down how they were called."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import boto3

TERRAFORM = Path(__file__).resolve().parents[3] / "terraform"
# The account of moto.
ACCOUNT = "123456789012"
STATE_BUCKET = f"acme-state-{ACCOUNT}"
IMAGE = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/acme"


@dataclass
class Environments:
    """terraform/ with its variables and environments, and the environment `team` with a team's own values."""

    folder: Path

    def path(self, file: str) -> Path:
        return self.folder / "envs" / file

    def edit(self, file: str, old: str, new: str) -> None:
        text = self.path(file).read_text()
        assert old in text, f"{file} does not hold {old!r}"
        self.path(file).write_text(text.replace(old, new))

    def without(self, file: str, key: str) -> None:
        """Take a one-line setting out of a file."""
        lines = self.path(file).read_text().splitlines(keepends=True)
        kept = [line for line in lines if line.split("=")[0].strip() != key]
        assert len(kept) == len(lines) - 1, f"{file} has no line with {key}"
        self.path(file).write_text("".join(kept))


@dataclass
class Commands:
    """The only folder on the PATH: what is put there is found, and writes its calls into one file."""

    folder: Path

    def add(self, name: str, script: str = "") -> None:
        """Add a command that writes down its arguments, and what it reads if it is a login."""
        path = self.folder / name
        path.write_text(
            "#!/bin/sh\n"
            f'echo "{name} $*" >> {self.folder}/calls\n'
            f'case "$1" in login) read -r password; echo "password $password" >> {self.folder}/calls;; esac\n'
            f"{script}\n"
        )
        path.chmod(0o755)

    def engine(self, name: str, script: str = "") -> None:
        """Add a container engine that says who it is."""
        title = {"docker": "Docker version 28.2.2, build e6534b4"}.get(name, f"{name} version 5.0.0")
        self.add(name, f'if [ "$1" = --version ]; then echo "{title}"; fi\n{script}')

    def calls(self, *names: str) -> list[str]:
        """The calls of some commands in their order, without the questions about version and health."""
        file = self.folder / "calls"
        calls = file.read_text().splitlines() if file.exists() else []
        asked = ("--version", "info", "buildx version")
        return [
            call
            for call in calls
            if (not names or call.split()[0] in names) and not call.partition(" ")[2].startswith(asked)
        ]


def push_image(tag: str) -> None:
    """Let the repository have an image under this tag."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"digest": "sha256:" + "0" * 64},
        "layers": [],
    }
    boto3.client("ecr").put_image(repositoryName="acme", imageManifest=json.dumps(manifest), imageTag=tag)
