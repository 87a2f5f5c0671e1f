"""Nothing of the embedded AWS outlives whoever started it, and a reset forgets everything."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local_aws.process import LocalAws, LocalAwsFailed

if TYPE_CHECKING:
    from conftest import Account

SLEEPER = """
import os, time, boto3
def lambda_handler(event, context):
    boto3.client("s3").put_object(Bucket=event["bucket"], Key=f"lambda-{os.getpid()}", Body=b"")
    time.sleep(600)
"""


def listening(endpoint: str) -> bool:
    port = int(endpoint.rsplit(":", 1)[1])
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def busy(account: Account, dockerfile: Path) -> Iterator[tuple[LocalAws, list[int]]]:
    """An embedded AWS in the middle of a Lambda invocation and a Batch job, with the ids of all processes."""
    with LocalAws(time_scale=0, dockerfile=dockerfile) as aws:
        own = type(account)(aws)
        bucket = own.bucket()
        function = own.function(SLEEPER, timeout=600, grants=[("s3:PutObject", f"arn:aws:s3:::{bucket}/*")])
        own.client("lambda").invoke(
            FunctionName=function, InvocationType="Event", Payload=json.dumps({"bucket": bucket})
        )
        job_id = own.submit(own.job_definition("sleep", "600"))
        (key,) = own.eventually(lambda: own.client("s3").list_objects_v2(Bucket=bucket).get("Contents"))
        own.eventually(lambda: own.job(job_id)["status"] == "RUNNING")
        lines = own.eventually(lambda: _log(own, job_id))
        pids = [aws.pid, int(key["Key"].split("-")[1]), *map(int, lines[0].split()[1:])]
        assert all(map(own.alive, pids))
        yield aws, pids


def _log(account: Account, job_id: str) -> list[str]:
    try:
        return account.job_log(account.job(job_id))
    except (ClientError, KeyError):
        return []


def assert_gone(account: Account, endpoint: str, pids: list[int]) -> None:
    account.eventually(lambda: not any(map(account.alive, pids)), 10)
    account.eventually(lambda: not listening(endpoint), 10)


def test_the_end_of_standard_input_ends_everything(
    account: Account, busy: tuple[LocalAws, list[int]]
) -> None:
    aws, pids = busy
    aws.close()
    assert_gone(account, aws.endpoint, pids)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_ends_everything(account: Account, busy: tuple[LocalAws, list[int]], number: int) -> None:
    aws, pids = busy
    os.kill(aws.pid, number)
    assert_gone(account, aws.endpoint, pids)


def test_killing_the_caller_ends_everything(account: Account, tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom local_aws.process import LocalAws\n"
        "with LocalAws() as aws:\n    print(aws.endpoint, aws.pid, flush=True)\n    time.sleep(600)\n"
    )
    # Whoever is killed cannot remove its directory.
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as caller:
        assert caller.stdout is not None
        endpoint, pid = caller.stdout.readline().split()
        assert listening(endpoint)
        caller.kill()
    assert_gone(account, endpoint, [int(pid)])


def test_the_interrupt_key_reaches_the_caller_but_not_the_server(account: Account) -> None:
    # A terminal sends Ctrl-C to the whole process group of the caller.
    assert os.getpgid(account.aws.pid) == account.aws.pid
    assert os.getsid(account.aws.pid) == account.aws.pid


def test_a_server_that_cannot_start_says_why(account: Account) -> None:
    port = account.aws.endpoint.rsplit(":", 1)[1]
    command = [sys.executable, "-m", "local_aws", "--port", port]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        (line,) = server.stderr.read().splitlines()
        assert f"cannot listen on 127.0.0.1:{port}: Address already in use; give another --port" in line
        assert server.wait(30) == 1
    with pytest.raises(LocalAwsFailed, match="negative"), LocalAws(time_scale=-1):
        pass


def test_the_environment_points_every_client_at_the_server(account: Account, tmp_path: Path) -> None:
    script = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **account.aws.environment()}
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=True)
    assert result.stdout.strip() == "123456789012"


def test_the_server_gets_nothing_of_the_callers_account(
    dockerfile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = {"AWS_PROFILE": "real", "AWS_ENDPOINT_URL": "https://example.com", "AWS_CA_BUNDLE": "/absent"}
    for name, value in {**foreign, "HTTP_PROXY": "http://127.0.0.1:9"}.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setenv(name.lower(), value)
    with LocalAws(time_scale=0, dockerfile=dockerfile) as aws:
        assert aws.control("GET", "calls") == []
        environment = Path(f"/proc/{aws.pid}/environ")
        if environment.exists():
            names = [entry.partition(b"=")[0] for entry in environment.read_bytes().split(b"\0")]
            assert b"PATH" in names
            assert [name for name in names if name.startswith(b"AWS_")] == []


def test_a_reset_ends_what_runs_and_forgets_what_was(account: Account, dockerfile: Path) -> None:
    with LocalAws(time_scale=0, dockerfile=dockerfile) as aws:
        own = type(account)(aws)
        bucket = own.bucket()
        function = own.function("def lambda_handler(event, context):\n    return 1")
        own.invoke(function)
        own.submit(own.job_definition("sleep", "600"))
        own.start(own.machine({"W": {"Type": "Wait", "Seconds": 600, "End": True}}))
        aws.control("POST", "reset")
        assert own.client("s3").list_buckets()["Buckets"] == []
        assert own.client("lambda").list_functions()["Functions"] == []
        assert own.client("stepfunctions").list_state_machines()["stateMachines"] == []
        assert own.client("batch").describe_job_queues()["jobQueues"] == []
        assert own.client("iam").list_roles()["Roles"] == []
        assert aws.control("GET", "calls") == []
        own.client("s3").create_bucket(Bucket=bucket)
        vpcs = own.client("ec2").describe_vpcs()["Vpcs"]
        assert [vpc["IsDefault"] for vpc in vpcs] == [True]


def test_an_operation_that_nobody_implements_is_a_clear_client_error(account: Account) -> None:
    cases: list[tuple[str, str, dict[str, Any], str]] = [
        ("sagemaker", "list_algorithms", {}, "ListAlgorithms"),
        (
            "lambda",
            "list_provisioned_concurrency_configs",
            {"FunctionName": "f"},
            "ListProvisionedConcurrencyConfigs",
        ),
        ("iam", "simulate_custom_policy", {"PolicyInputList": [], "ActionNames": []}, "SimulateCustomPolicy"),
        ("dynamodb", "list_global_tables", {}, "ListGlobalTables"),
    ]
    for service, operation, parameters, name in cases:
        with pytest.raises(ClientError) as problem:
            getattr(account.client(service), operation)(**parameters)
        response = problem.value.response
        assert response["ResponseMetadata"]["HTTPStatusCode"] == 400, service
        assert f"does not implement {service}:{name}" in response["Error"]["Message"]


def test_an_unknown_control_command_is_refused_by_name(account: Account) -> None:
    with pytest.raises(LocalAwsFailed, match="There is no POST /_local/nonsense"):
        account.aws.control("POST", "nonsense", {})
    with pytest.raises(LocalAwsFailed, match="Unknown faults"):
        account.aws.control("POST", "faults", {"lose_events": 1})


def test_calls_are_told_to_the_roles_that_made_them(account: Account) -> None:
    bucket = account.bucket()
    role = account.role("caller", ("*", "*"))
    keys = account.keys(role, "caller-function")
    s3 = account.client("s3", **keys)
    s3.put_object(Bucket=bucket, Key="a/b", Body=b"")
    s3.head_object(Bucket=bucket, Key="a/b")
    s3.list_objects_v2(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="c", Body=b"", IfNoneMatch="*")
    s3.list_objects_v2(Bucket=bucket, Prefix="a/")
    s3.copy_object(Bucket=bucket, Key="d", CopySource={"Bucket": bucket, "Key": "a/b"})
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "c"}, {"Key": "d & e"}]})
    account.client("sts", **keys).get_caller_identity()
    line = {"timestamp": 1, "message": "m"}
    failing: list[tuple[str, str, dict[str, Any]]] = [
        ("dynamodb", "get_item", {"TableName": "jobs", "Key": {"k": {"S": "1"}}}),
        ("dynamodb", "query", {"TableName": "jobs", "IndexName": "by-state", "KeyConditionExpression": "k"}),
        ("batch", "submit_job", {"jobName": "j", "jobQueue": "q", "jobDefinition": "d:3"}),
        ("lambda", "invoke", {"FunctionName": "f"}),
        ("lambda", "invoke", {"FunctionName": "f", "Qualifier": "7"}),
        ("stepfunctions", "send_task_heartbeat", {"taskToken": "t"}),
        ("sns", "publish", {"TopicArn": "arn:aws:sns:us-east-1:123456789012:t", "Message": "m"}),
        ("sqs", "send_message", {"QueueUrl": f"{account.aws.endpoint}/123456789012/q", "MessageBody": "m"}),
        ("sagemaker", "describe_labeling_job", {"LabelingJobName": "Job-1"}),
        ("sagemaker", "describe_workteam", {"WorkteamName": "team"}),
        ("logs", "put_log_events", {"logGroupName": "g", "logStreamName": "s", "logEvents": [line]}),
    ]
    for service, operation, parameters in failing:
        with pytest.raises(ClientError):
            getattr(account.client(service, **keys), operation)(**parameters)
    seen = {
        (f"{call['service']}:{call['action']}", call["resource"])
        for call in account.aws.control("GET", "calls")
        if call["role"] == role and call["allowed"] and "/aws/lambda/" not in call["resource"]
    }
    here = "us-east-1:123456789012"
    assert seen == {
        ("s3:PutObject", f"arn:aws:s3:::{bucket}/a/b"),
        ("s3:GetObject", f"arn:aws:s3:::{bucket}/a/b"),
        ("s3:ListBucket", f"arn:aws:s3:::{bucket}"),
        ("s3:PutObject", f"arn:aws:s3:::{bucket}/c"),
        ("s3:PutObject", f"arn:aws:s3:::{bucket}/d"),
        ("s3:DeleteObject", f"arn:aws:s3:::{bucket}/c"),
        ("s3:DeleteObject", f"arn:aws:s3:::{bucket}/d & e"),
        ("dynamodb:GetItem", f"arn:aws:dynamodb:{here}:table/jobs"),
        ("dynamodb:Query", f"arn:aws:dynamodb:{here}:table/jobs/index/by-state"),
        ("batch:SubmitJob", f"arn:aws:batch:{here}:job-queue/q"),
        ("batch:SubmitJob", f"arn:aws:batch:{here}:job-definition/d:3"),
        ("lambda:InvokeFunction", f"arn:aws:lambda:{here}:function:f"),
        ("lambda:InvokeFunction", f"arn:aws:lambda:{here}:function:f:7"),
        ("sns:Publish", f"arn:aws:sns:{here}:t"),
        ("sqs:SendMessage", f"arn:aws:sqs:{here}:q"),
        ("sagemaker:DescribeLabelingJob", f"arn:aws:sagemaker:{here}:labeling-job/job-1"),
        ("sagemaker:DescribeWorkteam", f"arn:aws:sagemaker:{here}:workteam/private-crowd/team"),
        ("logs:PutLogEvents", f"arn:aws:logs:{here}:log-group:g:log-stream:s"),
    }
