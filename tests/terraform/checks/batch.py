"""The Batch environment can be changed in place, and a job always means the same program and has bounds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from terraform.checks.registry import check
from terraform.repository import Repository

# With these alone Batch changes a compute environment in place.
# https://docs.aws.amazon.com/batch/latest/userguide/updating-compute-environments.html
_CHANGEABLE = {"BEST_FIT_PROGRESSIVE", "SPOT_CAPACITY_OPTIMIZED", "SPOT_PRICE_CAPACITY_OPTIMIZED"}


def _environment(repository: Repository) -> Mapping[str, Any]:
    return repository.module("batch").resource("aws_batch_compute_environment")


def _definition(repository: Repository) -> Mapping[str, Any]:
    return repository.module("batch").resource("aws_batch_job_definition")


def _container(repository: Repository) -> str:
    return str(_definition(repository).get("container_properties"))


@check
def the_compute_environment_can_be_changed_and_replaced(repository: Repository) -> Iterator[str]:
    environment = _environment(repository)
    lifecycle = environment.get("lifecycle", [{}])[0]
    if lifecycle.get("create_before_destroy") is not True:
        yield "the compute environment is destroyed before its successor is made"
    if "desired_vcpus" not in str(lifecycle.get("ignore_changes")):
        yield "an apply would take back the number of vCPUs that Batch has chosen"
    if "service_role" in environment:
        yield "with a service role of its own the compute environment can't be changed in place"
    if "tags" in environment.get("compute_resources", [{}])[0]:
        yield "a change of compute_resources' tags would replace the compute environment"


@check
def instances_are_allocated_so_that_they_can_be_changed(repository: Repository) -> Iterator[str]:
    strategy = str(_environment(repository).get("compute_resources", [{}])[0].get("allocation_strategy"))
    named = set(re.findall(r'"([A-Z_]{5,})"', strategy)) - {"FARGATE_SPOT", "FARGATE"}
    if not named:
        yield "the compute environment names no allocation strategy"
    for name in sorted(named - _CHANGEABLE):
        yield f"with the allocation strategy {name} the compute environment can't be changed in place"


@check
def instances_keep_their_credentials_to_themselves(repository: Repository) -> Iterator[str]:
    template = repository.module("batch").resource("aws_launch_template")
    options = template.get("metadata_options", [{}])[0]
    if options.get("http_tokens") != "required":
        yield "instances answer questions after their credentials without a token"
    if options.get("http_put_response_hop_limit") != 1:
        yield "a container may ask for its instance's credentials"
    for device in template.get("block_device_mappings", [{}]):
        if device.get("ebs", [{}])[0].get("encrypted") is not True:
            yield "an instance's disk is not encrypted"
    version = str(_environment(repository).get("compute_resources", [{}])[0])
    if "latest_version" not in version:
        yield "a new version of the launch template does not reach the instances"


@check
def the_queue_names_its_environments_in_order(repository: Repository) -> Iterator[str]:
    queue = repository.module("batch").resource("aws_batch_job_queue")
    if "aws_batch_compute_environment.this" not in str(queue.get("compute_environment_order")):
        yield "the job queue has no compute_environment_order with the compute environment"
    if "job_state_time_limit_action" not in str(queue):
        yield "a job that can never start waits, and blocks the queue, for ever"


@check
def a_job_definition_always_means_the_same_program(repository: Repository) -> Iterator[str]:
    if _definition(repository).get("deregister_on_new_revision") is not False:
        yield "a new revision of the job definition ends what runs with the last one"
    tags = repository.module("ecr_repository").resource("aws_ecr_repository").get("image_tag_mutability")
    if tags != "IMMUTABLE":
        yield "image tags may move"
    for stack, name in ((repository.module("batch"), "image"), (repository.root, "image_tag")):
        if "latest" not in str(stack.named("variable").get(name, {}).get("validation")):
            yield f"{stack.path}: {name} may be latest, which names no image"


@check
def jobs_have_bounds(repository: Repository) -> Iterator[str]:
    definition = _definition(repository)
    for key, value in (("timeout", "attempt_duration_seconds"), ("retry_strategy", "attempts")):
        if value not in definition.get(key, [{}])[0]:
            yield f"the job definition has no {key} with {value}"
    job = repository.module("batch").named("variable").get("job", {})
    for bound in ("var.job.timeout_seconds >= 60", "var.job.attempts >= 1", "var.job.attempts <= 10"):
        if bound not in str(job.get("validation")):
            yield f"module batch: job needs a validation with {bound}"


@check
def jobs_run_on_what_their_definition_asks_for(repository: Repository) -> Iterator[str]:
    container = _container(repository)
    for key in ("executionRoleArn", "jobRoleArn", "logConfiguration", "resourceRequirements"):
        if not re.search(rf"\b{key}\s*=", container):
            yield f"the job definition has no {key}"
    for kind in ("VCPU", "MEMORY", "GPU"):
        if f'"{kind}"' not in container:
            yield f"the job definition asks for no {kind}"
    capabilities = str(_definition(repository).get("platform_capabilities"))
    uses_ec2 = str(repository.module("batch").locals().get("uses_ec2"))
    if set(re.findall(r'"(\w+)"', uses_ec2)) != {"EC2", "SPOT"} or "var.compute_type" not in uses_ec2:
        yield "module batch does not say that EC2 and SPOT are what needs instances"
    if not re.search(r'local\.uses_ec2 \? "EC2" : "FARGATE"', capabilities):
        yield f"the job definition's platform is {capabilities}, whatever the compute type"


@check
def jobs_have_no_rights_over_their_host(repository: Repository) -> Iterator[str]:
    container = _container(repository)
    for key in ("privileged", "linuxParameters", "volumes", "mountPoints"):
        if re.search(rf"\b{key}\b", container):
            yield f"the job definition sets {key}"
    if not re.search(r'assignPublicIp\s*=\s*"DISABLED"', container):
        yield "a job may have a public address"


@check
def the_loop_asks_for_the_newest_job_definition(repository: Repository) -> Iterator[str]:
    definition = str(repository.root.locals().get("arns", {}).get("job_definition", "none"))
    if re.search(r":\d+$|revision", definition) or not definition.startswith("arn:"):
        yield f"local.arns.job_definition is {definition}, which is no ARN without a revision"
    if "= local.arns.job_definition" not in re.sub(r"\s+", " ", repository.root.files.get("main.tf", "")):
        yield "the state machine is given another job definition than local.arns.job_definition"
