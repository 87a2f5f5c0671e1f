"""Jobs run their image's program with their command, environment, retries, timeout and array index."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from conftest import Account


def test_a_job_runs_the_command_with_its_parameters(account: Account) -> None:
    definition = account.job_definition(
        "Ref::subcommand", "--round", "Ref::round", parameters={"subcommand": "train"}
    )
    job = account.finished(account.submit(definition, parameters={"round": "3"}))
    assert job["status"] == "SUCCEEDED"
    assert job["container"]["command"] == ["train", "--round", "3"]
    assert job["container"]["exitCode"] == 0
    assert job["createdAt"] <= job["startedAt"] <= job["stoppedAt"]
    assert account.job_log(job) == ['arguments ["train", "--round", "3"]']


def test_overrides_take_the_place_of_the_definition(account: Account) -> None:
    definition = account.job_definition(
        "environment", properties={"environment": [{"name": "A", "value": "1"}]}
    )
    overrides = {"environment": [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}]}
    job = account.finished(account.submit(definition, containerOverrides=overrides))
    environment = json.loads(account.job_log(job)[0])
    assert (environment["A"], environment["B"]) == ("2", "3")
    overrides = {"command": ["other"]}
    job = account.finished(account.submit(definition, containerOverrides=overrides))
    assert account.job_log(job) == ['arguments ["other"]']


def test_a_job_is_told_who_and_where_it_is(account: Account) -> None:
    definition = account.job_definition("environment", properties={"jobRoleArn": account.role("job")})
    job = account.finished(account.submit(definition))
    environment = json.loads(account.job_log(job)[0])
    assert environment["AWS_BATCH_JOB_ID"] == job["jobId"]
    assert environment["AWS_BATCH_JOB_ATTEMPT"] == "1"
    assert "AWS_BATCH_JOB_ARRAY_INDEX" not in environment
    assert environment["AWS_ENDPOINT_URL"] == account.aws.endpoint
    assert "PYTEST_CURRENT_TEST" not in environment


def test_a_job_acts_as_its_role_and_without_one_not_at_all(account: Account) -> None:
    bucket = account.bucket()
    definition = account.job_definition("put", bucket, "k", properties={"jobRoleArn": account.role("putter")})
    assert account.finished(account.submit(definition))["status"] == "SUCCEEDED"
    calls = account.aws.control("GET", "calls")
    assert [call["action"] for call in calls if call["role"] == account.role("putter")] == ["PutObject"]
    definition = account.job_definition("put", bucket, "k")
    job = account.finished(account.submit(definition))
    assert job["status"] == "FAILED"
    assert "NoCredentials" in "".join(account.job_log(job))


def test_the_exit_code_and_reason_of_a_failure_are_told(account: Account) -> None:
    job = account.finished(account.submit(account.job_definition("fail", "5")))
    assert job["status"] == "FAILED"
    assert job["statusReason"] == "Essential container in task exited"
    assert job["container"]["exitCode"] == 5
    assert job["attempts"][0]["container"]["exitCode"] == 5


def test_a_job_is_tried_as_often_as_its_retry_strategy_says(account: Account) -> None:
    definition = account.job_definition("fail-attempts", "2", retryStrategy={"attempts": 3})
    job = account.finished(account.submit(definition))
    assert job["status"] == "SUCCEEDED"
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [4, 4, 0]
    assert account.job_log(job) == ["attempt 3"]
    job = account.finished(account.submit(definition, retryStrategy={"attempts": 2}))
    assert job["status"] == "FAILED"
    assert len(job["attempts"]) == 2


def test_a_retry_strategy_may_give_up_by_exit_code(account: Account) -> None:
    rules = [{"onExitCode": "2", "action": "EXIT"}, {"onReason": "*", "action": "RETRY"}]
    strategy = {"attempts": 3, "evaluateOnExit": rules}
    job = account.finished(account.submit(account.job_definition("fail", "2", retryStrategy=strategy)))
    assert len(job["attempts"]) == 1
    job = account.finished(account.submit(account.job_definition("fail", "1", retryStrategy=strategy)))
    assert len(job["attempts"]) == 3


def test_a_job_that_takes_too_long_is_killed_with_all_it_started(account: Account) -> None:
    definition = account.job_definition(
        "sleep", "60", timeout={"attemptDurationSeconds": 2}, retryStrategy={"attempts": 3}
    )
    job = account.finished(account.submit(definition))
    assert job["status"] == "FAILED"
    assert job["statusReason"] == "Job attempt duration exceeded timeout"
    assert job["container"]["exitCode"] == 137
    assert len(job["attempts"]) == 1
    pids = [int(pid) for pid in account.job_log(job)[0].split()[1:]]
    account.eventually(lambda: not any(map(account.alive, pids)))


def test_a_terminated_job_ends_with_the_reason_given(account: Account) -> None:
    job_id = account.submit(account.job_definition("sleep", "60", retryStrategy={"attempts": 3}))
    account.eventually(lambda: account.job(job_id)["status"] == "RUNNING")
    account.client("batch").terminate_job(jobId=job_id, reason="no longer needed")
    job = account.finished(job_id)
    assert (job["status"], job["statusReason"]) == ("FAILED", "no longer needed")


def test_all_children_of_an_array_job_run_with_an_index_each(account: Account) -> None:
    job_id = account.submit(account.job_definition("environment"), arrayProperties={"size": 3})
    job = account.finished(job_id)
    assert job["status"] == "SUCCEEDED"
    assert job["arrayProperties"]["size"] == 3
    assert job["arrayProperties"]["statusSummary"]["SUCCEEDED"] == 3
    assert job["startedAt"] <= job["stoppedAt"]
    environments = [json.loads(account.job_log(account.job(f"{job_id}:{index}"))[0]) for index in range(3)]
    assert [environment["AWS_BATCH_JOB_ARRAY_INDEX"] for environment in environments] == ["0", "1", "2"]
    children = account.client("batch").list_jobs(arrayJobId=job_id, jobStatus="SUCCEEDED")["jobSummaryList"]
    assert {child["jobId"] for child in children} == {f"{job_id}:{index}" for index in range(3)}
    assert environments[1]["AWS_BATCH_JOB_ID"] == f"{job_id}:1"


def test_a_failing_child_fails_the_array_job_after_the_others_ended(account: Account) -> None:
    job_id = account.submit(account.job_definition("fail-index", "0"), arrayProperties={"size": 3})
    job = account.finished(job_id)
    assert job["status"] == "FAILED"
    assert job["arrayProperties"]["statusSummary"]["FAILED"] == 1
    assert job["arrayProperties"]["statusSummary"]["SUCCEEDED"] == 2
    assert account.job(f"{job_id}:0")["container"]["exitCode"] == 3


def test_terminating_an_array_job_ends_its_children(account: Account) -> None:
    job_id = account.submit(account.job_definition("sleep", "60"), arrayProperties={"size": 3})
    account.eventually(lambda: account.job(job_id)["arrayProperties"]["statusSummary"]["RUNNING"] == 2)
    account.client("batch").terminate_job(jobId=job_id, reason="stop")
    assert account.finished(job_id)["arrayProperties"]["statusSummary"]["FAILED"] == 3


def test_a_job_waits_for_the_job_that_it_depends_on(account: Account) -> None:
    first = account.submit(account.job_definition("sleep", "0.5"))
    second = account.submit(account.job_definition("hello"), dependsOn=[{"jobId": first}])
    job = account.finished(second)
    assert job["status"] == "SUCCEEDED"
    assert job["startedAt"] >= account.job(first)["stoppedAt"]
    failed = account.submit(account.job_definition("fail", "1"))
    job = account.finished(account.submit(account.job_definition("hello"), dependsOn=[{"jobId": failed}]))
    assert job["status"] == "FAILED"
    assert "startedAt" not in job


@pytest.mark.parametrize("size", [1, 10001])
def test_an_array_has_the_documented_sizes(account: Account, size: int) -> None:
    with pytest.raises(ClientError, match="must be between 2 and 10000"):
        account.submit(account.job_definition("hello"), arrayProperties={"size": size})


def test_logs_go_to_the_declared_group(account: Account) -> None:
    options = {"awslogs-group": "/batch/own", "awslogs-stream-prefix": "program"}
    configuration = {"logDriver": "awslogs", "options": options}
    job = account.finished(
        account.submit(account.job_definition("hi", properties={"logConfiguration": configuration}))
    )
    assert job["container"]["logStreamName"].startswith("program/default/")
    assert account.logs("/batch/own") == ['arguments ["hi"]']


def test_what_pulls_the_image_and_keeps_the_log_is_the_execution_role(account: Account) -> None:
    role = account.role("execution")
    account.finished(account.submit(account.job_definition("hi", properties={"executionRoleArn": role})))
    made = {
        (call["service"], call["action"])
        for call in account.aws.control("GET", "calls")
        if call["role"] == role
    }
    assert {("ecr", "BatchGetImage"), ("logs", "PutLogEvents")} <= made


def test_a_compute_environment_needs_no_service_role(account: Account) -> None:
    answer = account.client("batch").create_compute_environment(
        computeEnvironmentName="linked", type="UNMANAGED", state="ENABLED"
    )
    assert answer["computeEnvironmentArn"].endswith("compute-environment/linked")


def test_a_compute_environment_shows_what_it_was_changed_to(account: Account) -> None:
    batch = account.client("batch")
    environment = on_instances(account, "changing")
    batch.update_compute_environment(
        computeEnvironment=environment,
        computeResources={"maxvCpus": 32, "launchTemplate": {"launchTemplateName": "t", "version": "2"}},
        updatePolicy={"terminateJobsOnUpdate": False, "jobExecutionTimeoutMinutes": 120},
    )
    (shown,) = batch.describe_compute_environments(computeEnvironments=[environment])["computeEnvironments"]
    assert shown["updatePolicy"] == {"terminateJobsOnUpdate": False, "jobExecutionTimeoutMinutes": 120}
    assert shown["computeResources"]["maxvCpus"] == 32
    assert shown["computeResources"]["launchTemplate"]["version"] == "2"
    assert shown["computeResources"]["instanceTypes"] == ["g5.xlarge"]


def test_a_compute_environment_that_is_used_is_not_deleted(account: Account) -> None:
    batch = account.client("batch")
    environment = on_instances(account, "used")
    queue = batch.create_job_queue(
        jobQueueName="using",
        state="ENABLED",
        priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": environment}],
    )["jobQueueArn"]
    with pytest.raises(ClientError, match="must be disabled"):
        batch.delete_compute_environment(computeEnvironment=environment)
    batch.update_compute_environment(computeEnvironment=environment, state="DISABLED")
    with pytest.raises(ClientError, match="existing JobQueue relationship"):
        batch.delete_compute_environment(computeEnvironment=environment)
    batch.delete_job_queue(jobQueue=queue)
    batch.delete_compute_environment(computeEnvironment=environment)
    shown = batch.describe_compute_environments(computeEnvironments=[environment])
    assert shown["computeEnvironments"] == []


def test_a_queue_keeps_its_time_limits(account: Account) -> None:
    batch = account.client("batch")
    limit = {"state": "RUNNABLE", "action": "CANCEL", "reason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"}
    queue = batch.create_job_queue(
        jobQueueName="limited",
        state="ENABLED",
        priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": on_instances(account, "limited")}],
        jobStateTimeLimitActions=[{**limit, "maxTimeSeconds": 600}],
    )["jobQueueArn"]

    def limits() -> list[dict[str, object]]:
        (shown,) = batch.describe_job_queues(jobQueues=[queue])["jobQueues"]
        return shown["jobStateTimeLimitActions"]

    assert limits() == [{**limit, "maxTimeSeconds": 600}]
    batch.update_job_queue(jobQueue=queue, priority=2)
    assert limits() == [{**limit, "maxTimeSeconds": 600}]
    batch.update_job_queue(jobQueue=queue, jobStateTimeLimitActions=[])
    assert limits() == []
    batch.delete_job_queue(jobQueue=queue)


def test_a_revision_has_the_platform_that_it_was_registered_with(account: Account) -> None:
    batch = account.client("batch")
    revisions = [
        batch.register_job_definition(
            jobDefinitionName="moving",
            type="container",
            platformCapabilities=[platform],
            containerProperties={
                "image": "program:1",
                "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}],
            },
        )["jobDefinitionArn"]
        for platform in ("FARGATE", "EC2")
    ]
    shown = [
        definition["platformCapabilities"]
        for revision in revisions
        for definition in batch.describe_job_definitions(jobDefinitions=[revision])["jobDefinitions"]
    ]
    assert shown == [["FARGATE"], ["EC2"]]


def test_a_launch_templates_own_tags_are_not_those_of_its_instances(account: Account) -> None:
    ec2 = account.client("ec2")
    template = ec2.create_launch_template(
        LaunchTemplateName="tagged",
        LaunchTemplateData={
            "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "Of", "Value": "instance"}]}]
        },
        TagSpecifications=[{"ResourceType": "launch-template", "Tags": [{"Key": "Of", "Value": "template"}]}],
    )["LaunchTemplate"]["LaunchTemplateId"]
    (version,) = ec2.describe_launch_template_versions(LaunchTemplateId=template)["LaunchTemplateVersions"]
    assert version["LaunchTemplateData"]["TagSpecifications"] == [
        {"ResourceType": "instance", "Tags": [{"Key": "Of", "Value": "instance"}]}
    ]
    ec2.create_tags(Resources=[template], Tags=[{"Key": "Of", "Value": "another"}])
    (shown,) = ec2.describe_launch_templates(LaunchTemplateIds=[template])["LaunchTemplates"]
    assert [(tag["Key"], tag["Value"]) for tag in shown["Tags"]] == [("Of", "another")]


def test_at_most_two_programs_run_at_a_time(account: Account) -> None:
    definition = account.job_definition("sleep", "0.6")
    started = time.monotonic()
    for job_id in [account.submit(definition) for _ in range(4)]:
        account.finished(job_id)
    assert time.monotonic() - started >= 1.2


def on_instances(account: Account, name: str) -> str:
    """Create a compute environment of GPU instances and return its ARN."""
    ec2, iam = account.client("ec2"), account.client("iam")
    (subnet, *_) = ec2.describe_subnets()["Subnets"]
    (group, *_) = ec2.describe_security_groups()["SecurityGroups"]
    profile = iam.create_instance_profile(InstanceProfileName=f"instance-{name}")["InstanceProfile"]["Arn"]
    return str(
        account.client("batch").create_compute_environment(
            computeEnvironmentName=name,
            type="MANAGED",
            state="ENABLED",
            computeResources={
                "type": "EC2",
                "minvCpus": 0,
                "maxvCpus": 16,
                "instanceTypes": ["g5.xlarge"],
                "instanceRole": profile,
                "subnets": [subnet["SubnetId"]],
                "securityGroupIds": [group["GroupId"]],
            },
        )["computeEnvironmentArn"]
    )
