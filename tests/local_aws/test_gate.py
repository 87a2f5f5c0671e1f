"""A role may do what its policies allow and nothing else; a refusal is what the service would answer."""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from conftest import Account

HERE = "us-east-1:123456789012"
TABLE = f"arn:aws:dynamodb:{HERE}:table/jobs"
KEY = {"k": {"S": "1"}}
NOTHING = "def lambda_handler(event, context):\n    return 'done'"


class Actor:
    """A role that a test acts as; at first it may nothing."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.name = f"actor-{uuid.uuid4().hex[:8]}"
        self.arn = account.role(self.name)
        self.session = f"{self.name}-function"
        self._keys = account.keys(self.arn, self.session)

    def client(self, service: str) -> Any:
        return self.account.client(service, **self._keys)

    def may(self, *statements: dict[str, Any]) -> None:
        """Let the role do what the statements say, and nothing else."""
        iam = self.account.client("iam")
        if statements:
            document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
            iam.put_role_policy(RoleName=self.name, PolicyName="rights", PolicyDocument=document)
        elif iam.list_role_policies(RoleName=self.name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=self.name, PolicyName="rights")

    def calls(self) -> set[tuple[str, str, bool]]:
        return {
            (f"{call['service']}:{call['action']}", call["resource"], call["allowed"])
            for call in self.account.aws.control("GET", "calls")
            if call["role"] == self.arn
        }


@pytest.fixture(scope="module")
def one_actor(account: Account) -> Actor:
    return Actor(account)


@pytest.fixture
def actor(one_actor: Actor) -> Iterator[Actor]:
    yield one_actor
    one_actor.may()


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any = "*") -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource}


def refusal(call: Any, **parameters: Any) -> dict[str, Any]:
    """Make a call that must fail; return the error with its HTTP status."""
    with pytest.raises(ClientError) as problem:
        call(**parameters)
    response = problem.value.response
    return {**response["Error"], "Status": response["ResponseMetadata"]["HTTPStatusCode"]}


# Service, operation, parameters, what is to be allowed on what.
CASES: list[tuple[str, str, dict[str, Any], str, str]] = [
    (
        "s3",
        "put_object",
        {"Bucket": "gate", "Key": "a/b c", "Body": b""},
        "s3:PutObject",
        "arn:aws:s3:::gate/a/b c",
    ),
    ("s3", "get_object", {"Bucket": "gate", "Key": "there"}, "s3:GetObject", "arn:aws:s3:::gate/there"),
    (
        "s3",
        "get_object",
        {"Bucket": "gate", "Key": "there", "VersionId": "null"},
        "s3:GetObjectVersion",
        "arn:aws:s3:::gate/there",
    ),
    ("s3", "list_objects_v2", {"Bucket": "gate"}, "s3:ListBucket", "arn:aws:s3:::gate"),
    ("s3", "get_bucket_cors", {"Bucket": "gate"}, "s3:GetBucketCORS", "arn:aws:s3:::gate"),
    (
        "s3",
        "delete_objects",
        {"Bucket": "gate", "Delete": {"Objects": [{"Key": "x"}]}},
        "s3:DeleteObject",
        "arn:aws:s3:::gate/x",
    ),
    ("dynamodb", "get_item", {"TableName": "jobs", "Key": KEY}, "dynamodb:GetItem", TABLE),
    (
        "dynamodb",
        "query",
        {"TableName": "jobs", "IndexName": "by-state", "KeyConditionExpression": "k = k"},
        "dynamodb:Query",
        f"{TABLE}/index/by-state",
    ),
    (
        "dynamodb",
        "transact_write_items",
        {"TransactItems": [{"Delete": {"TableName": "jobs", "Key": KEY}}]},
        "dynamodb:DeleteItem",
        TABLE,
    ),
    (
        "lambda",
        "invoke",
        {"FunctionName": "nobody"},
        "lambda:InvokeFunction",
        f"arn:aws:lambda:{HERE}:function:nobody",
    ),
    (
        "stepfunctions",
        "start_execution",
        {"stateMachineArn": f"arn:aws:states:{HERE}:stateMachine:m"},
        "states:StartExecution",
        f"arn:aws:states:{HERE}:stateMachine:m",
    ),
    (
        "stepfunctions",
        "get_execution_history",
        {"executionArn": f"arn:aws:states:{HERE}:execution:m:e"},
        "states:GetExecutionHistory",
        f"arn:aws:states:{HERE}:execution:m:e",
    ),
    (
        "sns",
        "publish",
        {"TopicArn": f"arn:aws:sns:{HERE}:t", "Message": "m"},
        "sns:Publish",
        f"arn:aws:sns:{HERE}:t",
    ),
    (
        "sqs",
        "send_message",
        {"QueueUrl": "http://sqs/123456789012/q", "MessageBody": "m"},
        "sqs:SendMessage",
        f"arn:aws:sqs:{HERE}:q",
    ),
    (
        "sagemaker",
        "describe_labeling_job",
        {"LabelingJobName": "Job-1"},
        "sagemaker:DescribeLabelingJob",
        f"arn:aws:sagemaker:{HERE}:labeling-job/job-1",
    ),
    ("sagemaker", "list_workteams", {}, "sagemaker:ListWorkteams", "*"),
    (
        "batch",
        "terminate_job",
        {"jobId": "j", "reason": "r"},
        "batch:TerminateJob",
        f"arn:aws:batch:{HERE}:job/j",
    ),
    ("batch", "describe_jobs", {"jobs": ["j"]}, "batch:DescribeJobs", "*"),
    (
        "logs",
        "create_log_stream",
        {"logGroupName": "g", "logStreamName": "s"},
        "logs:CreateLogStream",
        f"arn:aws:logs:{HERE}:log-group:g:log-stream:s",
    ),
    (
        "logs",
        "put_subscription_filter",
        {
            "logGroupName": "g",
            "filterName": "f",
            "filterPattern": "",
            "destinationArn": f"arn:aws:lambda:{HERE}:function:nobody",
        },
        "logs:PutSubscriptionFilter",
        f"arn:aws:logs:{HERE}:log-group:g:log-stream:",
    ),
    (
        "logs",
        "describe_subscription_filters",
        {"logGroupName": "g"},
        "logs:DescribeSubscriptionFilters",
        f"arn:aws:logs:{HERE}:log-group:g:log-stream:",
    ),
    (
        "logs",
        "delete_subscription_filter",
        {"logGroupName": "g", "filterName": "f"},
        "logs:DeleteSubscriptionFilter",
        f"arn:aws:logs:{HERE}:log-group:g:log-stream:",
    ),
    (
        "cognito-idp",
        "list_users",
        {"UserPoolId": "us-east-1_LOCALPOOL", "Filter": 'sub = "s"'},
        "cognito-idp:ListUsers",
        f"arn:aws:cognito-idp:{HERE}:userpool/us-east-1_LOCALPOOL",
    ),
    (
        "cognito-idp",
        "admin_get_user",
        {"UserPoolId": "us-east-1_LOCALPOOL", "Username": "u"},
        "cognito-idp:AdminGetUser",
        f"arn:aws:cognito-idp:{HERE}:userpool/us-east-1_LOCALPOOL",
    ),
    (
        "s3",
        "put_bucket_notification_configuration",
        {"Bucket": "gate", "NotificationConfiguration": {"EventBridgeConfiguration": {}}},
        "s3:PutBucketNotification",
        "arn:aws:s3:::gate",
    ),
    (
        "dynamodb",
        "batch_write_item",
        {"RequestItems": {"jobs": [{"DeleteRequest": {"Key": KEY}}]}},
        "dynamodb:BatchWriteItem",
        TABLE,
    ),
    (
        "stepfunctions",
        "describe_execution",
        {"executionArn": f"arn:aws:states:{HERE}:execution:m:e"},
        "states:DescribeExecution",
        f"arn:aws:states:{HERE}:execution:m:e",
    ),
    (
        "events",
        "put_events",
        {"Entries": [{"Source": "s", "DetailType": "d", "Detail": "{}"}]},
        "events:PutEvents",
        f"arn:aws:events:{HERE}:event-bus/default",
    ),
]
CODES = {"s3": ("AccessDenied", 403), "sns": ("AuthorizationError", 403)}
STATUSES = {"batch": 403, "lambda": 403}


@pytest.fixture(scope="module", autouse=True)
def gate_bucket(account: Account) -> None:
    s3 = account.client("s3")
    s3.create_bucket(Bucket="gate")
    s3.put_object(Bucket="gate", Key="there", Body=b"it")


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "action", "resource"),
    CASES,
    ids=[f"{case[3]} {case[4]}" for case in CASES],
)
def test_a_call_without_the_right_is_refused_and_with_it_goes_through(
    actor: Actor,
    service: str,
    operation: str,
    parameters: dict[str, Any],
    action: str,
    resource: str,
) -> None:
    call = getattr(actor.client(service), operation)
    code, status = CODES.get(service, ("AccessDeniedException", STATUSES.get(service, 400)))
    error = refusal(call, **parameters)
    assert (error["Code"], error["Status"]) == (code, status)
    shown = f'"{resource}"' if service == "s3" else resource
    assert error["Message"] == (
        f"User: arn:aws:sts::123456789012:assumed-role/{actor.name}/{actor.session} is not authorized to "
        f"perform: {action} on resource: {shown} because no identity-based policy allows the {action} action"
    )
    assert (action, resource, False) in actor.calls()
    actor.may(allow(action, f"{resource}x" if resource != "*" else "arn:aws:s3:::*"))
    assert refusal(call, **parameters)["Code"] == code
    actor.may(allow(action, resource))
    # Most of what is asked for does not exist, which is for the service to say.
    with contextlib.suppress(ClientError):
        call(**parameters)
    assert (action, resource, True) in actor.calls()


def test_the_operator_may_everything(account: Account) -> None:
    assert account.client("s3").get_object(Bucket="gate", Key="there")["Body"].read() == b"it"


def test_an_object_that_is_not_there_is_missing_only_for_who_may_list_the_bucket(actor: Actor) -> None:
    s3 = actor.client("s3")
    actor.may(allow("s3:GetObject", "arn:aws:s3:::gate/*"))
    assert s3.get_object(Bucket="gate", Key="there")["Body"].read() == b"it"
    error = refusal(s3.get_object, Bucket="gate", Key="nowhere")
    assert error["Status"] == 403
    assert 's3:ListBucket on resource: "arn:aws:s3:::gate"' in error["Message"]
    assert refusal(s3.head_object, Bucket="gate", Key="nowhere")["Code"] == "403"
    actor.may(allow(["s3:GetObject", "s3:ListBucket"], ["arn:aws:s3:::gate/*", "arn:aws:s3:::gate"]))
    assert refusal(s3.get_object, Bucket="gate", Key="nowhere")["Code"] == "NoSuchKey"
    assert refusal(s3.head_object, Bucket="gate", Key="nowhere")["Code"] == "404"
    assert refusal(s3.get_object, Bucket="no-such-bucket-here", Key="a")["Code"] == "AccessDenied"


def test_to_replace_an_object_on_a_condition_is_to_read_it(actor: Actor) -> None:
    s3 = actor.client("s3")
    actor.may(allow("s3:PutObject", "arn:aws:s3:::gate/*"))
    tag = s3.put_object(Bucket="gate", Key="replaced", Body=b"1", IfNoneMatch="*")["ETag"]
    error = refusal(s3.put_object, Bucket="gate", Key="replaced", Body=b"2", IfMatch=tag)
    assert "s3:GetObject" in error["Message"]
    actor.may(allow(["s3:PutObject", "s3:GetObject"], "arn:aws:s3:::gate/*"))
    s3.put_object(Bucket="gate", Key="replaced", Body=b"2", IfMatch=tag)


def test_to_copy_an_object_is_to_read_one_and_write_one(actor: Actor) -> None:
    s3 = actor.client("s3")
    copy = {"Bucket": "gate", "Key": "copied", "CopySource": {"Bucket": "gate", "Key": "there"}}
    actor.may(allow("s3:PutObject", "arn:aws:s3:::gate/copied"))
    assert "s3:GetObject" in refusal(s3.copy_object, **copy)["Message"]
    actor.may(
        allow("s3:PutObject", "arn:aws:s3:::gate/copied"), allow("s3:GetObject", "arn:aws:s3:::gate/there")
    )
    s3.copy_object(**copy)


def test_a_listing_can_be_limited_to_a_prefix(actor: Actor) -> None:
    s3 = actor.client("s3")
    condition = {"StringLike": {"s3:prefix": ["a/*"]}}
    actor.may(allow("s3:ListBucket", "arn:aws:s3:::gate", Condition=condition))
    s3.list_objects_v2(Bucket="gate", Prefix="a/b")
    assert refusal(s3.list_objects_v2, Bucket="gate", Prefix="b/")["Status"] == 403
    assert refusal(s3.list_objects_v2, Bucket="gate")["Status"] == 403


def test_a_presigned_url_can_what_its_role_can(actor: Actor) -> None:
    url = actor.client("s3").generate_presigned_url("get_object", Params={"Bucket": "gate", "Key": "there"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(url)  # noqa: S310
    actor.may(allow("s3:GetObject", "arn:aws:s3:::gate/there"))
    with urllib.request.urlopen(url) as answer:  # noqa: S310
        assert answer.read() == b"it"


def test_an_explicit_deny_is_told_as_such(actor: Actor) -> None:
    s3 = actor.client("s3")
    actor.may(allow("s3:*"), deny("s3:GetObject", "arn:aws:s3:::gate/*"))
    message = refusal(s3.get_object, Bucket="gate", Key="there")["Message"]
    assert message.endswith("with an explicit deny in an identity-based policy")


def test_a_permissions_boundary_limits_what_the_policies_allow(account: Account, actor: Actor) -> None:
    iam, s3 = account.client("iam"), actor.client("s3")
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow("sns:*")]})
    boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=document)["Policy"]["Arn"]
    actor.may(allow("*"))
    iam.put_role_permissions_boundary(RoleName=actor.name, PermissionsBoundary=boundary)
    try:
        message = refusal(s3.get_object, Bucket="gate", Key="there")["Message"]
        actor.client("sns").list_topics()
    finally:
        iam.delete_role_permissions_boundary(RoleName=actor.name)
    assert message.endswith("because no permissions boundary allows the s3:GetObject action")
    s3.get_object(Bucket="gate", Key="there")


def test_an_attached_policy_counts_in_its_default_version(account: Account, actor: Actor) -> None:
    iam, s3 = account.client("iam"), actor.client("s3")
    first, second = (
        json.dumps({"Version": "2012-10-17", "Statement": [allow(action)]}) for action in ("sns:*", "s3:*")
    )
    arn = iam.create_policy(PolicyName="attached", PolicyDocument=first)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=actor.name, PolicyArn=arn)
    try:
        assert refusal(s3.get_object, Bucket="gate", Key="there")["Status"] == 403
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=second, SetAsDefault=True)
        s3.get_object(Bucket="gate", Key="there")
    finally:
        iam.detach_role_policy(RoleName=actor.name, PolicyArn=arn)


def test_the_policy_of_a_bucket_denies_and_allows(account: Account, actor: Actor) -> None:
    bucket, s3 = account.bucket(), actor.client("s3")
    arn = f"arn:aws:s3:::{bucket}/*"

    def set_policy(statement: dict[str, Any]) -> None:
        text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        account.client("s3").put_bucket_policy(Bucket=bucket, Policy=text)

    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    actor.may(allow("s3:PutObject", arn))
    set_policy({**deny("s3:*", arn), "Principal": "*", "Condition": insecure})
    s3.put_object(Bucket=bucket, Key="a", Body=b"")
    set_policy({**deny("s3:PutObject", arn), "Principal": {"AWS": actor.arn}})
    message = refusal(s3.put_object, Bucket=bucket, Key="a", Body=b"")["Message"]
    assert message.endswith("with an explicit deny in a resource-based policy")
    actor.may()
    set_policy({**allow("s3:PutObject", arn), "Principal": {"AWS": actor.arn}})
    s3.put_object(Bucket=bucket, Key="a", Body=b"")


def test_what_cannot_be_decided_is_an_error_that_names_it(actor: Actor) -> None:
    actor.may(allow("s3:*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))
    error = refusal(actor.client("s3").get_object, Bucket="gate", Key="there")
    assert (error["Code"], error["Status"]) == ("UnsupportedOperationException", 400)
    assert f"{actor.name}/rights, statement 1" in error["Message"]
    assert "aws:SourceIp" in error["Message"]


def test_an_operation_whose_resources_nobody_knows_is_refused_by_name(actor: Actor) -> None:
    actor.may(allow("*"))
    error = refusal(actor.client("kms").list_keys)
    assert (error["Code"], error["Status"]) == ("UnsupportedOperationException", 400)
    assert "kms:ListKeys" in error["Message"]


# Roles that are passed on


def training_job(account: Account, role_arn: str) -> dict[str, Any]:
    return {
        "TrainingJobName": f"train-{uuid.uuid4().hex[:8]}",
        "AlgorithmSpecification": {"TrainingImage": "repository/program:1", "TrainingInputMode": "File"},
        "RoleArn": role_arn,
        "OutputDataConfig": {"S3OutputPath": "s3://gate/models"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }


def test_a_role_is_passed_only_by_who_may_and_to_the_service_that_is_named(
    account: Account, actor: Actor
) -> None:
    passed, create = account.role("training"), actor.client("sagemaker").create_training_job
    job = training_job(account, passed)
    creation = allow("sagemaker:CreateTrainingJob", f"arn:aws:sagemaker:{HERE}:training-job/*")
    for service in (None, "lambda.amazonaws.com", "sagemaker.amazonaws.com"):
        condition = {"StringEquals": {"iam:PassedToService": service}}
        actor.may(creation, *([allow("iam:PassRole", passed, Condition=condition)] if service else []))
        if service == "sagemaker.amazonaws.com":
            create(**job)
        else:
            assert f"iam:PassRole on resource: {passed}" in refusal(create, **job)["Message"]
    assert ("iam:PassRole", passed, False) in actor.calls()
    assert ("iam:PassRole", passed, True) in actor.calls()


def test_a_token_is_answered_by_who_may_answer_for_its_state_machine(account: Account, actor: Actor) -> None:
    bucket = account.bucket()
    keep = account.function(
        """
        import boto3
        def lambda_handler(event, context):
            boto3.client("s3").put_object(Bucket=event["bucket"], Key="token", Body=event["token"].encode())
        """,
        grants=[("s3:PutObject", f"arn:aws:s3:::{bucket}/token")],
    )
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"FunctionName": keep, "Payload": {"bucket": bucket, "token.$": "$$.Task.Token"}},
        "End": True,
    }
    machine = account.machine({"Wait": task})
    execution = account.start(machine)
    s3 = account.client("s3")
    account.eventually(lambda: s3.list_objects_v2(Bucket=bucket).get("Contents"))
    token = s3.get_object(Bucket=bucket, Key="token")["Body"].read().decode()
    answer = actor.client("stepfunctions").send_task_success
    actor.may(allow("states:SendTaskSuccess", f"{machine}-2"))
    error = refusal(answer, taskToken=token, output="1")
    assert f"states:SendTaskSuccess on resource: {machine} because" in error["Message"]
    actor.may(allow("states:SendTaskSuccess", machine))
    assert refusal(answer, taskToken="never given out", output="1")["Code"] == "InvalidToken"
    answer(taskToken=token, output="1")
    assert account.ended(execution)["output"] == "1"


# Services that act as a role


def a_role(account: Account, trust: str, *statements: dict[str, Any]) -> str:
    """Create a role with a trust policy and rights; return its ARN."""
    name, iam = f"role-{uuid.uuid4().hex[:8]}", account.client("iam")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    if statements:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        iam.put_role_policy(RoleName=name, PolicyName="rights", PolicyDocument=document)
    return str(arn)


def create_machine(account: Account, role_arn: str, states: dict[str, Any], **more: Any) -> str:
    definition = json.dumps({"StartAt": next(iter(states)), "States": states})
    settings = {"name": f"machine-{uuid.uuid4().hex[:8]}", **more}
    answer = account.client("stepfunctions").create_state_machine(
        definition=definition, roleArn=role_arn, **settings
    )
    return str(answer["stateMachineArn"])


def test_a_role_is_taken_only_by_a_service_that_it_trusts(account: Account) -> None:
    nobody = a_role(account, account.trust("ec2"))
    with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
        account.function(NOTHING, role=nobody)
    function = account.function(NOTHING)
    with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
        account.client("lambda").update_function_configuration(FunctionName=function, Role=nobody)
    with pytest.raises(ClientError, match=r"service principal states\.amazonaws\.com"):
        create_machine(account, nobody, {"P": {"Type": "Pass", "End": True}})
    with pytest.raises(ClientError, match="SageMaker cannot assume the role"):
        account.client("sagemaker").create_training_job(**training_job(account, nobody))
    job = account.submit(account.job_definition("hello", properties={"jobRoleArn": nobody}))
    ended = account.finished(job)
    assert ended["status"] == "FAILED"
    assert "ECS was unable to assume the role" in ended["container"]["reason"]


def test_a_trust_policy_is_told_on_whose_behalf_the_service_comes(account: Account) -> None:
    states = {"P": {"Type": "Pass", "End": True}}
    mine = {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnLike": {"aws:SourceArn": f"arn:aws:states:{HERE}:stateMachine:mine"},
    }
    role = a_role(account, account.trust("states", **mine))
    create_machine(account, role, states, name="mine")
    with pytest.raises(ClientError, match="AccessDeniedException"):
        create_machine(account, role, states, name="theirs")
    foreign = a_role(account, account.trust("states", StringEquals={"aws:SourceAccount": "210987654321"}))
    with pytest.raises(ClientError, match="AccessDeniedException"):
        create_machine(account, foreign, states)
    # Lambda alone says nothing of whom it comes for, so that such a condition keeps it out.
    strict = a_role(account, account.trust("lambda", StringEquals={"aws:SourceAccount": "123456789012"}))
    with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
        account.function(NOTHING, role=strict)


def test_a_state_whose_call_is_refused_fails_as_in_step_functions(account: Account) -> None:
    function = account.function(NOTHING)
    states: dict[str, Any] = {
        "Invoke": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": function},
            "End": True,
        }
    }
    role = a_role(account, account.trust("states"))
    ended = account.ended(account.start(create_machine(account, role, states)))
    assert (ended["status"], ended["error"]) == ("FAILED", "Lambda.AWSLambdaException")
    assert f"is not authorized to perform: lambda:InvokeFunction on resource: {function}" in ended["cause"]


def test_a_job_needs_the_right_to_its_queue_and_to_its_definition(account: Account) -> None:
    queue, definition = account.job_queue(), account.job_definition("hello").rpartition(":")[0]
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::batch:submitJob",
        "Parameters": {"JobName": "job", "JobQueue": queue, "JobDefinition": definition},
        "End": True,
    }
    for missing, given in ((definition, queue), (queue, definition)):
        role = a_role(account, account.trust("states"), allow("batch:SubmitJob", given))
        ended = account.ended(account.start(create_machine(account, role, {"Submit": state})))
        assert (ended["status"], ended["error"]) == ("FAILED", "Batch.AWSBatchException")
        assert f"batch:SubmitJob on resource: {missing} because" in ended["cause"]
    role = a_role(account, account.trust("states"), allow("batch:SubmitJob", [queue, definition]))
    ended = account.ended(account.start(create_machine(account, role, {"Submit": state})))
    assert ended["status"] == "SUCCEEDED"


def test_a_machine_that_waits_for_jobs_needs_the_right_to_its_rule(account: Account) -> None:
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::batch:submitJob.sync",
        "Parameters": {"JobName": "job", "JobQueue": "q", "JobDefinition": "d"},
        "End": True,
    }
    rule = f"arn:aws:events:{HERE}:rule/StepFunctionsGetEventsForBatchJobsRule"
    role = a_role(account, account.trust("states"), allow(["events:PutRule", "events:PutTargets"], rule))
    with pytest.raises(ClientError, match=r"not authorized to create managed-rule.*events:DescribeRule"):
        create_machine(account, role, {"Submit": state})
    rights = allow(["events:PutRule", "events:PutTargets", "events:DescribeRule"], rule)
    create_machine(account, a_role(account, account.trust("states"), rights), {"Submit": state})


def test_a_job_whose_execution_role_may_not_pull_its_image_does_not_start(account: Account) -> None:
    role = a_role(account, account.trust("ecs-tasks"), allow("ecr:GetAuthorizationToken"))
    job = account.submit(account.job_definition("hello", properties={"executionRoleArn": role}))
    ended = account.finished(job)
    assert (ended["status"], ended["statusReason"]) == ("FAILED", "Task failed to start")
    assert "ecr:BatchCheckLayerAvailability" in ended["container"]["reason"]
    assert "repository/program" in ended["container"]["reason"]


def test_a_jobs_program_gets_the_error_of_the_service(account: Account) -> None:
    role = a_role(account, account.trust("ecs-tasks"))
    job = account.submit(account.job_definition("put", "gate", "k", properties={"jobRoleArn": role}))
    ended = account.finished(job)
    assert ended["status"] == "FAILED"
    assert "AccessDenied" in "".join(account.job_log(ended))


def test_a_function_that_may_not_write_its_log_runs_without_one(account: Account) -> None:
    name = f"silent-{uuid.uuid4().hex[:8]}"
    function = account.function(NOTHING, name=name, role=a_role(account, account.trust("lambda")))
    assert account.invoke(function) == "done"
    groups = account.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")
    assert groups["logGroups"] == []


def test_a_failed_event_is_lost_where_the_function_may_not_send_it(account: Account) -> None:
    (url, arn), (other_url, other) = account.queue(), account.queue()
    broken = "def lambda_handler(event, context):\n    raise RuntimeError('no')"
    for queue, may in ((arn, other), (other, other)):
        function = account.function(broken, grants=[("sqs:SendMessage", may)])
        client = account.client("lambda")
        client.put_function_event_invoke_config(
            FunctionName=function,
            MaximumRetryAttempts=0,
            DestinationConfig={"OnFailure": {"Destination": queue}},
        )
        client.invoke(FunctionName=function, InvocationType="Event", Payload=b"{}")
    account.messages(other_url)
    account.eventually(
        lambda: [
            call
            for call in account.aws.control("GET", "calls")
            if (call["action"], call["resource"], call["allowed"]) == ("SendMessage", arn, False)
        ]
    )
    assert "Messages" not in account.client("sqs").receive_message(QueueUrl=url)


def rule(account: Account, target: dict[str, Any]) -> str:
    """Create a rule on events of a source of its own; return the source."""
    events, name = account.client("events"), f"test-{uuid.uuid4().hex[:8]}"
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    events.put_targets(Rule=name, Targets=[{"Id": "target", **target}])
    return name


def put(account: Account, source: str) -> None:
    entry = {"Source": source, "DetailType": "Test", "Detail": "{}"}
    account.client("events").put_events(Entries=[entry])


@pytest.mark.parametrize("wrong", ["trust", "right"])
def test_an_event_starts_an_execution_only_as_a_role_that_may(account: Account, wrong: str) -> None:
    machine = account.machine({"P": {"Type": "Pass", "End": True}})
    url, queue = account.queue()
    role = a_role(
        account,
        account.trust("lambda" if wrong == "trust" else "events"),
        allow("states:StartExecution", machine + ("-2" if wrong == "right" else "")),
    )
    put(account, rule(account, {"Arn": machine, "RoleArn": role, "DeadLetterConfig": {"Arn": queue}}))
    (message,) = account.messages(url)
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    assert account.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"] == []


def test_an_event_reaches_a_queue_only_if_the_queue_lets_it_in(account: Account) -> None:
    (closed_url, closed), (url, dead_letters) = account.queue(), account.queue()
    account.client("sqs").set_queue_attributes(QueueUrl=closed_url, Attributes={"Policy": ""})
    put(account, rule(account, {"Arn": closed, "DeadLetterConfig": {"Arn": dead_letters}}))
    (message,) = account.messages(url)
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    assert "Messages" not in account.client("sqs").receive_message(QueueUrl=closed_url)
