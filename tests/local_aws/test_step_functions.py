"""State machines really execute: Lambda, Batch, task tokens, retries, catches, timeouts and stops."""

from __future__ import annotations

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from conftest import Account

KEEP_TOKEN = """
import boto3
def lambda_handler(event, context):
    token = event["token"].encode()
    boto3.client("s3").put_object(Bucket=event["bucket"], Key=context.aws_request_id, Body=token)
"""


def token_task(function: str, bucket: str, **more: Any) -> dict[str, Any]:
    """Return a Task that hands its token to a function, which keeps it in a bucket."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"FunctionName": function, "Payload": {"bucket": bucket, "token.$": "$$.Task.Token"}},
        "End": True,
        **more,
    }


def tokens(account: Account, bucket: str, count: int = 1) -> list[str]:
    """Wait for so many tokens in the bucket and return them, the oldest first."""
    s3 = account.client("s3")

    def kept() -> Any:
        found = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        return found if len(found) >= count else None

    found = sorted(account.eventually(kept), key=lambda item: item["LastModified"])
    return [s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read().decode() for item in found]


def history(account: Account, execution: str, **settings: Any) -> list[dict[str, Any]]:
    pages = account.client("stepfunctions").get_paginator("get_execution_history")
    return [event for page in pages.paginate(executionArn=execution, **settings) for event in page["events"]]


@pytest.fixture(scope="module")
def keeper(account: Account) -> str:
    """A function that keeps the tokens that it gets."""
    return account.function(KEEP_TOKEN, grants=[("s3:PutObject", "arn:aws:s3:::bucket-*/*")])


def test_a_lambda_task_gets_its_payload_and_gives_its_result(account: Account) -> None:
    function = account.function(
        "def lambda_handler(event, context):\n    return {'sum': event['a'] + event['b']}"
    )
    ended = account.run(
        {
            "Add": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Parameters": {"FunctionName": function, "Payload": {"a.$": "$.a", "b": 2}},
                "ResultSelector": {"sum.$": "$.Payload.sum"},
                "ResultPath": "$.added",
                "End": True,
            }
        },
        {"a": 40},
    )
    assert ended["status"] == "SUCCEEDED"
    assert json.loads(ended["output"]) == {"a": 40, "added": {"sum": 42}}


def test_the_type_of_an_error_decides_about_retry_and_catch(account: Account) -> None:
    function = account.function(
        """
        count = 0
        class Busy(Exception): pass
        def lambda_handler(event, context):
            global count
            count += 1
            if count < 3:
                raise Busy("again")
            raise ValueError("no " + event["word"])
        """
    )
    ended = account.run(
        {
            "Fail": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Parameters": {"FunctionName": function, "Payload": {"word.$": "$.word"}},
                "Retry": [
                    {"ErrorEquals": ["Busy"], "IntervalSeconds": 1, "MaxAttempts": 2, "BackoffRate": 1.0}
                ],
                "Catch": [{"ErrorEquals": ["ValueError"], "ResultPath": "$.error", "Next": "Caught"}],
                "End": True,
            },
            "Caught": {"Type": "Pass", "End": True},
        },
        {"word": "way"},
    )
    output = json.loads(ended["output"])
    assert output["error"]["Error"] == "ValueError"
    assert json.loads(output["error"]["Cause"])["errorMessage"] == "no way"


def test_an_uncaught_error_is_the_executions(account: Account) -> None:
    function = account.function("def lambda_handler(event, context):\n    raise LookupError('nothing there')")
    ended = account.run(
        {
            "Fail": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Parameters": {"FunctionName": function},
                "End": True,
            }
        }
    )
    assert (ended["status"], ended["error"]) == ("FAILED", "LookupError")
    assert "nothing there" in ended["cause"]
    assert ended["stopDate"]


def batch_task(account: Account, definition: str, **more: Any) -> dict[str, Any]:
    parameters = {
        "JobName": "job",
        "JobQueue": account.job_queue(),
        "JobDefinition": definition,
        **more.pop("job", {}),
    }
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::batch:submitJob.sync",
        "Parameters": parameters,
        "End": True,
        **more,
    }


def test_a_batch_task_waits_for_its_job(account: Account) -> None:
    definition = account.job_definition("Ref::what", "Ref::round")
    job = {
        "JobName.$": "States.Format('round-{}', $.round)",
        "Parameters": {"what": "score", "round.$": "States.Format('{}', $.round)"},
        "ContainerOverrides": {"Environment": [{"Name": "A", "Value": "1"}]},
    }
    task = batch_task(account, definition, job=job)
    del task["Parameters"]["JobName"]
    ended = account.run({"Score": task}, {"round": 2})
    assert ended["status"] == "SUCCEEDED", ended
    output = json.loads(ended["output"])
    assert (output["JobName"], output["Status"]) == ("round-2", "SUCCEEDED")
    assert output["Container"]["Command"] == ["score", "2"]


def test_an_array_task_fails_with_its_failing_child(account: Account) -> None:
    definition = account.job_definition("fail-index", "1")
    task = batch_task(account, definition, job={"ArrayProperties": {"Size.$": "$.shards"}})
    task["Catch"] = [{"ErrorEquals": ["States.TaskFailed"], "Next": "Caught"}]
    ended = account.run({"Score": task, "Caught": {"Type": "Pass", "End": True}}, {"shards": 2})
    cause = json.loads(json.loads(ended["output"])["Cause"])
    assert cause["Status"] == "FAILED"
    assert cause["ArrayProperties"]["StatusSummary"] == {
        **dict.fromkeys(("STARTING", "RUNNING", "RUNNABLE", "SUBMITTED", "PENDING"), 0),
        "FAILED": 1,
        "SUCCEEDED": 1,
    }


def test_an_array_task_succeeds_with_all_its_children(account: Account) -> None:
    task = batch_task(account, account.job_definition("hello"), job={"ArrayProperties": {"Size": 2}})
    assert account.run({"Score": task})["status"] == "SUCCEEDED"


def test_a_task_out_of_time_fails_and_ends_its_job(account: Account) -> None:
    task = batch_task(account, account.job_definition("sleep", "60"), TimeoutSeconds=1)
    ended = account.run({"Train": task})
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Timeout")
    batch = account.client("batch")
    account.eventually(
        lambda: (
            not any(
                batch.list_jobs(jobQueue=account.job_queue(), jobStatus=status)["jobSummaryList"]
                for status in ("RUNNABLE", "STARTING", "RUNNING")
            )
        )
    )


def test_a_token_releases_its_task_once(account: Account, keeper: str) -> None:
    sfn, bucket = account.client("stepfunctions"), account.bucket()
    execution = account.start(account.machine({"Wait": token_task(keeper, bucket)}))
    (token,) = tokens(account, bucket)
    before = history(account, execution)
    time.sleep(0.5)
    assert history(account, execution) == before
    sfn.send_task_success(taskToken=token, output='{"job": "done"}')
    with pytest.raises(ClientError) as problem:
        sfn.send_task_success(taskToken=token, output='{"job": "twice"}')
    assert problem.value.response["Error"]["Code"] == "TaskTimedOut"
    assert json.loads(account.ended(execution)["output"]) == {"job": "done"}
    for send in (
        lambda: sfn.send_task_success(taskToken=token, output="{}"),
        lambda: sfn.send_task_failure(taskToken=token, error="E", cause="C"),
        lambda: sfn.send_task_heartbeat(taskToken=token),
    ):
        with pytest.raises(ClientError) as problem:
            send()
        assert problem.value.response["Error"]["Code"] == "TaskTimedOut"
        assert problem.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_token_that_was_never_given_out_is_invalid(account: Account) -> None:
    with pytest.raises(ClientError) as problem:
        account.client("stepfunctions").send_task_success(taskToken=str(uuid.uuid4()), output="{}")
    assert problem.value.response["Error"]["Code"] == "InvalidToken"


def test_an_output_that_is_no_json_leaves_the_token_usable(account: Account, keeper: str) -> None:
    sfn, bucket = account.client("stepfunctions"), account.bucket()
    execution = account.start(account.machine({"Wait": token_task(keeper, bucket)}))
    (token,) = tokens(account, bucket)
    with pytest.raises(ClientError) as problem:
        sfn.send_task_success(taskToken=token, output="{")
    assert problem.value.response["Error"]["Code"] == "InvalidOutput"
    sfn.send_task_success(taskToken=token, output="1")
    assert account.ended(execution)["output"] == "1"


def test_a_failure_carries_its_error_and_cause(account: Account, keeper: str) -> None:
    sfn, bucket = account.client("stepfunctions"), account.bucket()
    catch = [{"ErrorEquals": ["LabelingJobFailed"], "Next": "Caught"}]
    states = {"Wait": token_task(keeper, bucket, Catch=catch), "Caught": {"Type": "Pass", "End": True}}
    execution = account.start(account.machine(states))
    (token,) = tokens(account, bucket)
    sfn.send_task_failure(taskToken=token, error="LabelingJobFailed", cause="nobody came")
    assert json.loads(account.ended(execution)["output"]) == {
        "Error": "LabelingJobFailed",
        "Cause": "nobody came",
    }


def test_a_retried_attempt_has_a_token_of_its_own(account: Account, keeper: str) -> None:
    sfn, bucket = account.client("stepfunctions"), account.bucket()
    retry = [{"ErrorEquals": ["Again"], "IntervalSeconds": 1, "MaxAttempts": 1, "BackoffRate": 1.0}]
    execution = account.start(account.machine({"Wait": token_task(keeper, bucket, Retry=retry)}))
    (first,) = tokens(account, bucket)
    sfn.send_task_failure(taskToken=first, error="Again", cause="")
    both = tokens(account, bucket, 2)
    (second,) = set(both) - {first}
    sfn.send_task_success(taskToken=second, output='"second"')
    assert account.ended(execution)["output"] == '"second"'


def test_a_token_answered_inside_the_function_does_not_wait_for_a_heartbeat(account: Account) -> None:
    function = account.function(
        """
        import boto3
        def lambda_handler(event, context):
            boto3.client("stepfunctions").send_task_success(taskToken=event["token"], output='"at once"')
        """,
        grants=[("states:SendTaskSuccess", "arn:aws:states:us-east-1:123456789012:stateMachine:machine-*")],
    )
    task = token_task(function, "unused", HeartbeatSeconds=20, TimeoutSeconds=60)
    started = time.monotonic()
    assert account.run({"Wait": task})["output"] == '"at once"'
    assert time.monotonic() - started < 10


def test_heartbeats_keep_a_task_alive_and_their_absence_ends_it(account: Account, keeper: str) -> None:
    sfn, bucket = account.client("stepfunctions"), account.bucket()
    task = token_task(keeper, bucket, HeartbeatSeconds=2, TimeoutSeconds=60)
    execution = account.start(account.machine({"Wait": task}))
    (token,) = tokens(account, bucket)
    for _ in range(4):
        time.sleep(0.8)
        sfn.send_task_heartbeat(taskToken=token)
    assert sfn.describe_execution(executionArn=execution)["status"] == "RUNNING"
    ended = account.ended(execution)
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Timeout")
    assert [event["type"] for event in history(account, execution)].count("TaskTimedOut") == 1


def test_a_task_without_an_answer_times_out_and_closes_its_token(account: Account, keeper: str) -> None:
    bucket = account.bucket()
    ended = account.run({"Wait": token_task(keeper, bucket, TimeoutSeconds=2)})
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Timeout")
    (token,) = tokens(account, bucket)
    with pytest.raises(ClientError) as problem:
        account.client("stepfunctions").send_task_success(taskToken=token, output="{}")
    assert problem.value.response["Error"]["Code"] == "TaskTimedOut"


def test_a_machine_out_of_time_says_so(account: Account) -> None:
    ended = account.run({"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}, TimeoutSeconds=1)
    assert ended["status"] == "TIMED_OUT"
    assert ended["stopDate"]


def test_an_execution_that_waits_can_be_stopped(account: Account, keeper: str) -> None:
    sfn, bucket = account.client("stepfunctions"), account.bucket()
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    states = {
        "Wait": token_task(keeper, bucket, Catch=catch, TimeoutSeconds=600, HeartbeatSeconds=500),
        "Caught": {"Type": "Pass", "End": True},
    }
    execution = account.start(account.machine(states))
    tokens(account, bucket)
    started = time.monotonic()
    sfn.stop_execution(executionArn=execution, error="Enough", cause="a test")
    assert time.monotonic() - started < 3
    ended = sfn.describe_execution(executionArn=execution)
    assert (ended["status"], ended["error"], ended["cause"]) == ("ABORTED", "Enough", "a test")
    assert history(account, execution)[-1]["type"] == "ExecutionAborted"


def test_a_stopped_execution_ends_the_job_that_it_waits_for(account: Account) -> None:
    execution = account.start(
        account.machine({"Train": batch_task(account, account.job_definition("sleep", "60"))})
    )
    submitted = account.eventually(
        lambda: [e for e in history(account, execution) if e["type"] == "TaskSubmitted"]
    )
    job_id = json.loads(submitted[0]["taskSubmittedEventDetails"]["output"])["JobId"]
    account.client("stepfunctions").stop_execution(executionArn=execution)
    assert account.finished(job_id)["status"] == "FAILED"


def test_the_history_is_given_in_pages_and_backwards(account: Account) -> None:
    states = {f"S{n}": {"Type": "Pass", "Next": f"S{n + 1}"} for n in range(60)}
    states["S60"] = {"Type": "Pass", "End": True}
    execution = account.start(account.machine(states))
    account.ended(execution)
    sfn = account.client("stepfunctions")
    first = sfn.get_execution_history(executionArn=execution)
    assert len(first["events"]) == 100
    everything = history(account, execution)
    assert [event["id"] for event in everything] == list(range(1, 125))
    backwards = sfn.get_execution_history(executionArn=execution, reverseOrder=True, maxResults=3)
    assert [event["type"] for event in backwards["events"]] == [
        "ExecutionSucceeded",
        "PassStateExited",
        "PassStateEntered",
    ]
    assert history(account, execution, reverseOrder=True) == everything[::-1]


def test_starting_twice_by_name_starts_once(account: Account, keeper: str) -> None:
    sfn, bucket = account.client("stepfunctions"), account.bucket()
    machine = account.machine({"Wait": token_task(keeper, bucket)})
    first = sfn.start_execution(stateMachineArn=machine, name="round-1", input="{}")
    second = sfn.start_execution(stateMachineArn=machine, name="round-1", input="{}")
    assert first["executionArn"] == second["executionArn"]
    with pytest.raises(ClientError) as problem:
        sfn.start_execution(stateMachineArn=machine, name="round-1", input='{"other": 1}')
    assert problem.value.response["Error"]["Code"] == "ExecutionAlreadyExists"
    sfn.stop_execution(executionArn=first["executionArn"])


# Starts an execution by name, as often as it is told to and all at a time.
STARTER = """
import boto3, json
from concurrent.futures import ThreadPoolExecutor
def lambda_handler(event, context):
    sfn = boto3.client("stepfunctions")
    def start(_):
        request = {"stateMachineArn": event["machine"], "name": event["name"], "input": event["input"]}
        return sfn.start_execution(**request)["executionArn"]
    try:
        with ThreadPoolExecutor(8) as pool:
            started = set(pool.map(start, range(event["times"])))
    except sfn.exceptions.ExecutionAlreadyExists:
        return {"exists": True}
    (arn,) = started
    return {"arn": arn, "status": sfn.describe_execution(executionArn=arn)["status"]}
"""


@pytest.fixture(scope="module")
def starter(account: Account) -> str:
    """A function that starts executions."""
    arns = [f"arn:aws:states:us-east-1:123456789012:{kind}:*" for kind in ("stateMachine", "execution")]
    return account.function(
        STARTER, grants=[("states:StartExecution", arns[0]), ("states:DescribeExecution", arns[1])]
    )


def test_functions_that_start_an_execution_by_name_at_the_same_time_start_one(
    account: Account, starter: str
) -> None:
    machine = account.machine({"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}})
    event = {"machine": machine, "name": "audit-1", "input": '{"n": 1}', "times": 16}
    first = account.invoke(starter, event)
    assert first["status"] == "RUNNING"
    assert account.invoke(starter, event)["arn"] == first["arn"]
    sfn = account.client("stepfunctions")
    assert len(sfn.list_executions(stateMachineArn=machine)["executions"]) == 1
    assert account.invoke(starter, {**event, "input": "{}", "times": 1}) == {"exists": True}
    sfn.stop_execution(executionArn=first["arn"])
    assert account.invoke(starter, {**event, "times": 1}) == {"exists": True}


def test_one_machine_waits_for_the_end_of_another_by_its_token(
    account: Account, starter: str, keeper: str
) -> None:
    """The outer one hands its token to a function; the inner one ends with a function that answers it."""
    bucket = account.bucket()
    outer = account.machine({"Wait": token_task(keeper, bucket)})
    finish = account.function(
        """
        import boto3
        def lambda_handler(event, context):
            sfn, output = boto3.client("stepfunctions"), '{"inner": "done"}'
            sfn.send_task_success(taskToken=event["token"], output=output)
        """,
        grants=[("states:SendTaskSuccess", outer)],
    )
    inner_bucket = account.bucket()
    ask = token_task(keeper, inner_bucket, ResultPath="$.answer", Next="Finish")
    del ask["End"]
    inner = account.machine(
        {
            "Ask": ask,
            "Finish": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Parameters": {"FunctionName": finish, "Payload": {"token.$": "$.token"}},
                "End": True,
            },
        }
    )
    waiting = account.start(outer)
    (token,) = tokens(account, bucket)
    event = {"machine": inner, "name": "a", "input": json.dumps({"token": token}), "times": 1}
    started = account.invoke(starter, event)["arn"]
    (inner_token,) = tokens(account, inner_bucket)
    assert inner_token != token
    account.client("stepfunctions").send_task_success(taskToken=inner_token, output="1")
    assert account.ended(started)["status"] == "SUCCEEDED"
    assert json.loads(account.ended(waiting)["output"]) == {"inner": "done"}


def test_executions_without_a_name_get_one_each(account: Account) -> None:
    machine = account.machine({"P": {"Type": "Pass", "End": True}})
    arns = {account.start(machine) for _ in range(3)}
    assert len(arns) == 3
    assert not any(arn.endswith("None") for arn in arns)


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ({"A": {"Type": "Pass", "Next": "B"}}, "Missing 'Next' target: B at /States/A/Next"),
        (
            {
                "A": {
                    "Type": "Choice",
                    "Choices": [{"Variable": "$.x", "IsPresent": True, "Next": "B"}],
                    "Default": "C",
                }
            },
            "Missing 'Default' target: C at /States/A/Default",
        ),
        (
            {"A": {"Type": "Pass", "End": True}, "B": {"Type": "Pass", "End": True}},
            'State "B" is not reachable. at /States/B',
        ),
        ({"A": {"Type": "Pass"}}, "either Next or End"),
        (
            {
                "A": {
                    "Type": "Task",
                    "Resource": "arn:aws:states:::lambda:invoke",
                    "Parameters": {"FuntionName": "f"},
                    "End": True,
                }
            },
            'The field "FuntionName" is not supported',
        ),
        (
            {
                "A": {
                    "Type": "Parallel",
                    "End": True,
                    "Branches": [{"StartAt": "X", "States": {"X": {"Type": "Pass", "Next": "A"}}}],
                }
            },
            "Missing 'Next' target: A at /States/A/Branches[0]/States/X/Next",
        ),
        (
            {
                "A": {
                    "Type": "Task",
                    "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
                    "Parameters": {"FunctionName": "f"},
                    "End": True,
                }
            },
            "task token is passed on",
        ),
    ],
)
def test_an_unsound_definition_is_refused_at_creation(
    account: Account, states: dict[str, Any], message: str
) -> None:
    sfn = account.client("stepfunctions")
    definition = json.dumps({"StartAt": "A", "States": states})
    with pytest.raises(ClientError) as problem:
        sfn.create_state_machine(name="unsound", definition=definition, roleArn=account.role("machine-role"))
    assert problem.value.response["Error"]["Code"] == "InvalidDefinition"
    assert message in problem.value.response["Error"]["Message"]
    validated = sfn.validate_state_machine_definition(definition=definition)
    assert validated["result"] == "FAIL"
    assert any(message in f"{d['message']} at {d['location']}" for d in validated["diagnostics"])


def test_a_definition_with_a_field_that_nobody_knows_is_refused(account: Account) -> None:
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "Nonsense": 1, "End": True}}})
    assert (
        account.client("stepfunctions").validate_state_machine_definition(definition=definition)["result"]
        == "FAIL"
    )


def test_a_sound_definition_is_valid(account: Account) -> None:
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
    answer = account.client("stepfunctions").validate_state_machine_definition(definition=definition)
    assert (answer["result"], answer["diagnostics"]) == ("OK", [])


def test_published_versions_are_listed(account: Account) -> None:
    sfn = account.client("stepfunctions")
    created = sfn.create_state_machine(
        name=f"versioned-{uuid.uuid4().hex[:6]}",
        definition=json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}),
        roleArn=account.role("machine-role"),
        publish=True,
    )
    versions = sfn.list_state_machine_versions(stateMachineArn=created["stateMachineArn"])[
        "stateMachineVersions"
    ]
    assert [version["stateMachineVersionArn"] for version in versions] == [created["stateMachineVersionArn"]]


def test_jsonata_and_variables_are_understood(account: Account) -> None:
    ended = account.run(
        {
            "A": {"Type": "Pass", "Assign": {"n": "{% $states.input.a + 1 %}"}, "Next": "B"},
            "B": {"Type": "Pass", "Output": {"n": "{% $n * 2 %}"}, "End": True},
        },
        {"a": 4},
        QueryLanguage="JSONata",
    )
    assert json.loads(ended["output"]) == {"n": 10}


def test_services_answer_the_sdk_integration(account: Account) -> None:
    bucket = account.bucket()
    account.client("s3").put_object(Bucket=bucket, Key="k", Body=b"text")
    ended = account.run(
        {
            "Get": {
                "Type": "Task",
                "Resource": "arn:aws:states:::aws-sdk:s3:getObject",
                "Parameters": {"Bucket": bucket, "Key": "k"},
                "End": True,
            }
        }
    )
    assert ended["status"] == "SUCCEEDED", ended
    assert json.loads(ended["output"])["Body"] == "text"


def test_a_machine_acts_as_its_role(account: Account) -> None:
    function = account.function("def lambda_handler(event, context):\n    return 1")
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function},
        "End": True,
    }
    account.run({"A": task})
    made = [call for call in account.aws.control("GET", "calls") if call["resource"] == function]
    assert [(call["role"], call["service"], call["action"]) for call in made] == [
        (account.role("machine-role"), "lambda", "InvokeFunction")
    ]


def test_map_and_parallel_states_gather_the_results_of_their_branches(account: Account) -> None:
    double = {"StartAt": "D", "States": {"D": {"Type": "Pass", "Parameters": {"n.$": "$"}, "End": True}}}
    branches = [
        {"StartAt": name, "States": {name: {"Type": "Pass", "Result": name, "End": True}}} for name in "XY"
    ]
    ended = account.run(
        {
            "Each": {
                "Type": "Map",
                "ItemsPath": "$.items",
                "MaxConcurrency": 2,
                "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, **double},
                "Next": "Both",
            },
            "Both": {"Type": "Parallel", "Branches": branches, "ResultPath": "$[0].both", "End": True},
        },
        {"items": [1, 2, 3]},
    )
    assert ended["status"] == "SUCCEEDED", ended
    assert json.loads(ended["output"]) == [{"n": 1, "both": ["X", "Y"]}, {"n": 2}, {"n": 3}]


def test_a_failing_branch_fails_its_parallel_state(account: Account) -> None:
    fail = {"Type": "Fail", "Error": "Broken", "Cause": "on purpose"}
    waits = {"Type": "Wait", "Seconds": 60, "End": True}
    branches = [{"StartAt": "F", "States": {"F": fail}}, {"StartAt": "W", "States": {"W": waits}}]
    catch = [{"ErrorEquals": ["Broken"], "Next": "Caught"}]
    states = {
        "Both": {"Type": "Parallel", "Branches": branches, "Catch": catch, "End": True},
        "Caught": {"Type": "Pass", "End": True},
    }
    ended = account.run(states)
    assert json.loads(ended["output"])["Error"] == "Broken"


def test_an_execution_is_running_from_its_first_moment(account: Account) -> None:
    machine = account.machine({"P": {"Type": "Pass", "End": True}})
    client = account.client("stepfunctions")
    with ThreadPoolExecutor(4) as pool:
        starts = [pool.submit(account.start, machine) for _ in range(100)]
        seen: set[str] = set()
        while not all(start.done() for start in starts):
            # Fails where an execution has no status yet.
            seen |= {each["status"] for each in client.list_executions(stateMachineArn=machine)["executions"]}
    assert len({start.result() for start in starts}) == 100
    assert seen <= {"RUNNING", "SUCCEEDED"}
    assert seen
