"""Jobs run on instances with GPUs, and one apply moves them to Fargate without a queue that leads nowhere."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from local_aws.process import LocalAws
from terraform.command import INIT, copy_of_terraform, needs_provider, needs_terraform, terraform

pytestmark = [pytest.mark.terraform, needs_terraform, needs_provider]

PROGRAM = "import sys\nprint('arguments', *sys.argv[1:])\n"
# Every account of the embedded AWS has a default network; a network of its own would only take time.
CONFIGURATION = """
data "aws_caller_identity" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
}

data "aws_vpc" "default" {
  default = true
}

data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
}

data "aws_iam_policy_document" "program" {
  statement {
    actions   = ["s3:GetObject"]
    resources = ["arn:aws:s3:::my-bucket/*"]
  }
}

variable "compute_type" {
  type = string
}

variable "instance_types" {
  type    = list(string)
  default = null
}

variable "job" {
  type = object({ vcpus = number, memory_mib = number, gpus = optional(number) })
}

variable "root_volume" {
  type    = object({ size_gib = number })
  default = null
}

module "batch" {
  source = "./terraform/modules/batch"

  name_prefix          = "my-team"
  account_id           = local.account_id
  aws_region           = "us-east-1"
  vpc_id               = data.aws_vpc.default.id
  subnet_ids           = data.aws_subnets.default.ids
  image                = "${local.account_id}.dkr.ecr.us-east-1.amazonaws.com/program:1"
  image_repository_arn = "arn:aws:ecr:us-east-1:${local.account_id}:repository/program"
  command              = ["Ref::subcommand"]
  job_policy_json      = data.aws_iam_policy_document.program.json
  compute_type         = var.compute_type
  instance_types       = var.instance_types
  job                  = var.job
  root_volume          = var.root_volume
  tags                 = { Team = "vision" }
}

output "batch" {
  value = module.batch
}
"""
FARGATE = {"compute_type": "FARGATE", "job": {"vcpus": 4, "memory_mib": 16384}}
GPUS = {
    "compute_type": "EC2",
    "instance_types": ["g5.xlarge"],
    "job": {"vcpus": 4, "memory_mib": 14336, "gpus": 1},
    "root_volume": {"size_gib": 200},
}


class Jobs:
    """The module in an embedded AWS of its own."""

    def __init__(self, folder: Path, aws: LocalAws) -> None:
        self._folder, self._aws = folder, aws

    def terraform(self, *arguments: str, accept: tuple[int, ...] = (0,)) -> Any:
        result = terraform(
            *arguments,
            folder=self._folder,
            data=self._folder / ".data",
            environment=self._aws.environment(),
        )
        assert result.returncode in accept, result.stdout + result.stderr
        return result

    def apply(self, settings: dict[str, Any]) -> None:
        """Apply, and see that nothing is left to change."""
        given = _variables(settings)
        self.terraform("apply", "-auto-approve", "-input=false", "-parallelism=40", *given)
        again = self.terraform("plan", "-input=false", "-detailed-exitcode", *given, accept=(0, 2))
        assert again.returncode == 0, again.stdout

    def client(self, service: str) -> Any:
        environment = self._aws.environment()
        return boto3.session.Session().client(
            service,
            endpoint_url=self._aws.endpoint,
            region_name="us-east-1",
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )

    def environment(self) -> dict[str, Any]:
        """What the jobs run on: the one compute environment that there is, which the queue uses."""
        batch = self.client("batch")
        (environment,) = batch.describe_compute_environments()["computeEnvironments"]
        (queue,) = batch.describe_job_queues()["jobQueues"]
        (entry,) = queue["computeEnvironmentOrder"]
        assert entry["computeEnvironment"] == environment["computeEnvironmentArn"]
        return environment["computeResources"]

    def made_for_instances(self) -> list[Any]:
        """The instance profiles and launch templates."""
        return [
            *self.client("iam").list_instance_profiles()["InstanceProfiles"],
            *self.client("ec2").describe_launch_templates()["LaunchTemplates"],
        ]

    def finished_job(self, seconds: float = 30) -> dict[str, Any]:
        """Submit a job to what the module gives out and return its description when it has ended."""
        output = json.loads(self.terraform("output", "-json", "batch").stdout)
        batch = self.client("batch")
        job = batch.submit_job(
            jobName="job",
            jobQueue=output["job_queue_arn"],
            jobDefinition=output["job_definition_name"],
            parameters={"subcommand": "train"},
        )["jobId"]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            (described,) = batch.describe_jobs(jobs=[job])["jobs"]
            if described["status"] in ("SUCCEEDED", "FAILED"):
                return described
            time.sleep(0.1)
        return pytest.fail(f"the job did not end within {seconds} s")


def _variables(settings: dict[str, Any]) -> list[str]:
    return [
        f"-var={name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in settings.items()
    ]


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    folder = tmp_path_factory.mktemp("batch")
    copy_of_terraform(folder)
    (folder / "main.tf").write_text(CONFIGURATION)
    (folder / "program.py").write_text(PROGRAM)
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text(f'FROM python:3.12\nENTRYPOINT ["python", "{folder / "program.py"}"]\n')
    with LocalAws(time_scale=0, dockerfile=dockerfile) as aws:
        jobs = Jobs(folder, aws)
        jobs.terraform(*INIT)
        yield jobs


def test_jobs_run_on_instances_with_gpus_and_move_to_fargate(jobs: Jobs) -> None:
    jobs.apply(GPUS)
    environment = jobs.environment()
    assert environment["ec2Configuration"] == [{"imageType": "ECS_AL2023_NVIDIA"}]
    assert environment["allocationStrategy"] == "BEST_FIT_PROGRESSIVE"
    job = jobs.finished_job()
    assert (job["status"], job["platformCapabilities"]) == ("SUCCEEDED", ["EC2"])
    assert {"type": "GPU", "value": "1"} in job["container"]["resourceRequirements"]
    assert job["container"]["command"] == ["train"]

    template = jobs.environment()["launchTemplate"]
    (version,) = jobs.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=template["launchTemplateId"], Versions=[template["version"]]
    )["LaunchTemplateVersions"]
    (volume,) = version["LaunchTemplateData"]["BlockDeviceMappings"]
    assert (volume["Ebs"]["VolumeSize"], volume["Ebs"]["Encrypted"]) == (200, True)
    assert version["LaunchTemplateData"]["MetadataOptions"]["HttpTokens"] == "required"

    # The queue takes the new environment before the old one goes: Batch deletes none that is used.
    jobs.apply(FARGATE)
    assert jobs.environment()["type"] == "FARGATE"
    job = jobs.finished_job()
    assert (job["status"], job["platformCapabilities"]) == ("SUCCEEDED", ["FARGATE"])
    assert jobs.made_for_instances() == []
