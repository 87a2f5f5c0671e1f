"""The example of every module is what its README shows, and can be applied and destroyed as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest

from local_aws.process import LocalAws
from terraform.command import INIT, copy_of_terraform, needs_provider, needs_terraform, terraform
from terraform.repository import ROOT, Repository

ADDRESS = "git::https://github.com/truthloop/truthloop.git//terraform/modules/"
EXAMPLE = re.compile(r"```hcl\n(.*?)```", re.DOTALL)
# What an example says about the archive that it deploys.
ARCHIVE = re.compile(r"# Made before, for instance with: python (-m zipfile -c \S+\.zip \S+)$", re.MULTILINE)
MODULES = [module.name for module in Repository.load().modules()]
# The whole stack is applied by the end-to-end tests.
APPLIED = sorted(MODULES)
PARALLELISM = 40
# What the examples make, per service: the operation that lists it, and where its answer has the list.
LISTS = (
    ("batch", "describe_compute_environments", "computeEnvironments"),
    ("batch", "describe_job_queues", "jobQueues"),
    ("cloudwatch", "describe_alarms", "MetricAlarms"),
    ("cloudwatch", "list_dashboards", "DashboardEntries"),
    ("dynamodb", "list_tables", "TableNames"),
    ("ecr", "describe_repositories", "repositories"),
    ("events", "list_rules", "Rules"),
    ("iam", "list_roles", "Roles"),
    ("kms", "list_aliases", "Aliases"),
    ("lambda", "list_functions", "Functions"),
    ("lambda", "list_layers", "Layers"),
    ("logs", "describe_log_groups", "logGroups"),
    ("s3", "list_buckets", "Buckets"),
    ("sagemaker", "list_workteams", "Workteams"),
    ("sns", "list_topics", "Topics"),
    ("sqs", "list_queues", "QueueUrls"),
    ("stepfunctions", "list_state_machines", "stateMachines"),
)


def is_of_aws(thing: Any) -> bool:
    """Whether it is a service-linked role or a managed key: those come with a service's first use."""
    names = (thing.get("Path", ""), thing.get("AliasName", "")) if isinstance(thing, dict) else ()
    return any(name.startswith(("/aws-service-role/", "alias/aws/")) for name in names)


def readme_block(module: str) -> str:
    blocks = EXAMPLE.findall(Repository.load().text(f"terraform/modules/{module}/README.md"))
    assert len(blocks) == 1, f"the README of {module} has {len(blocks)} examples"
    return str(blocks[0])


def test_there_are_modules_to_show() -> None:
    assert len(MODULES) >= 15


@pytest.mark.parametrize("module", MODULES)
def test_the_readme_shows_the_example_with_sources_that_are_pinned_to_the_version(module: str) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    example = (ROOT / "terraform" / "examples" / module / "main.tf").read_text()
    pinned, sources = re.subn(r'"\.\./\.\./modules/(\w+)"', rf'"{ADDRESS}\1?ref=v{version}"', example)
    assert sources
    assert readme_block(module) == pinned


def test_modules_have_one_address_everywhere() -> None:
    texts = {path: text for path, text in Repository.load().files.items() if path.endswith(".md")}
    addresses = {
        (path, address)
        for path, text in texts.items()
        for address in re.findall(r"git::\S+?//terraform/modules/", text)
    }
    assert {address for _, address in addresses} == {ADDRESS}, addresses


# ---- applied -----------------------------------------------------------------------------------------------


class Applied:
    """All examples in one configuration, applied to one embedded AWS."""

    def __init__(self, folder: Path, aws: LocalAws) -> None:
        self._folder, self._aws = folder, aws

    def run(self, *arguments: str, accept: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        result = terraform(
            *arguments,
            folder=self._folder,
            data=self._folder / ".data",
            environment=self._aws.environment(),
        )
        assert result.returncode in accept, result.stdout[-8000:] + result.stderr[-8000:]
        return result

    def change(self, command: str) -> None:
        self.run(command, "-auto-approve", "-input=false", f"-parallelism={PARALLELISM}")

    def resources(self) -> list[str]:
        return self.run("state", "list").stdout.split()

    def things(self) -> dict[str, list[Any]]:
        """What users made in the embedded AWS, by the operation that lists it."""
        environment = self._aws.environment()
        found = {}
        for service, operation, key in LISTS:
            client = boto3.client(
                service,
                endpoint_url=environment["AWS_ENDPOINT_URL"],
                aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
                region_name=environment["AWS_DEFAULT_REGION"],
            )
            listed = getattr(client, operation)().get(key, [])
            found[f"{service}.{operation}"] = [thing for thing in listed if not is_of_aws(thing)]
        return found


def make_archives(folder: Path) -> int:
    """Make what an example deploys, by the command that it names itself."""
    commands = ARCHIVE.findall((folder / "main.tf").read_text())
    for command in commands:
        subprocess.run([sys.executable, *command.split()], cwd=folder, check=True, timeout=60)
    return len(commands)


@pytest.fixture
def applied(tmp_path: Path) -> Iterator[tuple[Applied, Mapping[str, list[Any]]]]:
    """The applied examples, and what the embedded AWS held before."""
    examples = copy_of_terraform(tmp_path) / "examples"
    assert sum(make_archives(examples / name) for name in APPLIED) >= 3
    aggregate = tmp_path / "aggregate"
    aggregate.mkdir()
    (aggregate / "versions.tf").write_text((examples.parent / "versions.tf").read_text())
    (aggregate / "main.tf").write_text(
        "".join(f'module "{name}" {{\n  source = "../terraform/examples/{name}"\n}}\n\n' for name in APPLIED)
    )
    with LocalAws() as aws:
        stack = Applied(aggregate, aws)
        before = stack.things()
        stack.run(*INIT)
        stack.change("apply")
        yield stack, before


# Half of its two minutes the provider waits for a lifecycle configuration and a job queue to settle.
@pytest.mark.timeout(900)
@pytest.mark.terraform
@needs_terraform
@needs_provider
def test_every_example_is_applied_stays_without_changes_and_leaves_nothing_when_destroyed(
    applied: tuple[Applied, Mapping[str, list[Any]]],
) -> None:
    stack, before = applied
    assert {address.split(".")[1] for address in stack.resources()} == set(APPLIED)
    there = stack.things()
    assert [kind for kind in there if len(there[kind]) <= len(before[kind])] == [], "examples of nothing"

    plan = stack.run("plan", "-input=false", "-detailed-exitcode", accept=(0, 2))
    assert plan.returncode == 0, plan.stdout

    stack.change("destroy")
    assert stack.resources() == []
    assert stack.things() == before
