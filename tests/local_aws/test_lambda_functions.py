"""An invocation runs the deployed package, and nothing but the deployed package."""

from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from conftest import Account


def test_the_deployed_handler_runs_with_its_event_and_context(account: Account) -> None:
    function = account.function(
        """
        def lambda_handler(event, context):
            return {"event": event, "name": context.function_name, "arn": context.invoked_function_arn,
                    "left": context.get_remaining_time_in_millis(), "id": context.aws_request_id}
        """,
        timeout=7,
    )
    result = account.invoke(function, {"a": [1, "ü"]})
    assert result["event"] == {"a": [1, "ü"]}
    assert function.endswith(result["name"])
    assert result["arn"] == function
    assert 0 < result["left"] <= 7000
    assert result["id"]


def test_the_environment_is_the_declared_one_and_the_runtimes(account: Account) -> None:
    function = account.function(
        "import os\ndef lambda_handler(event, context):\n    return dict(os.environ)",
        variables={"DATA_BUCKET": "b", "LOG_LEVEL": "INFO"},
    )
    seen = set(account.invoke(function))
    declared = {"DATA_BUCKET", "LOG_LEVEL"}
    runtime = {name for name in seen if name.startswith(("AWS_", "LAMBDA_", "_"))} | {"LANG", "PATH", "TZ"}
    assert declared <= seen
    assert seen - declared - runtime <= {"LC_CTYPE"}
    assert {"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_LAMBDA_FUNCTION_NAME", "AWS_ENDPOINT_URL"} <= runtime


def test_only_the_package_its_layers_and_the_runtimes_modules_can_be_imported(account: Account) -> None:
    layer = account.client("lambda").publish_layer_version(
        LayerName="layer", Content={"ZipFile": account.package({"python/from_layer.py": "VALUE = 'layer'"})}
    )
    source = """
        import importlib, from_layer
        def lambda_handler(event, context):
            found = {"layer": from_layer.VALUE}
            for name in event:
                try:
                    importlib.import_module(name)
                    found[name] = True
                except ImportError:
                    found[name] = False
            return found
        """
    function = account.function(source, Layers=[layer["LayerVersionArn"]], files={"own.py": ""})
    names = [
        "own",
        "boto3",
        "botocore",
        "truthloop",
        "truthloop_batch",
        "local_aws",
        "moto",
        "yaml",
        "pytest",
        "numpy",
    ]
    assert account.invoke(function, names) == {
        "layer": "layer",
        **dict.fromkeys(names, False),
        **dict.fromkeys(("own", "boto3", "botocore"), True),
    }


def test_the_package_comes_before_the_layer(account: Account) -> None:
    layer = account.client("lambda").publish_layer_version(
        LayerName="both", Content={"ZipFile": account.package({"python/both.py": "VALUE = 'layer'"})}
    )
    function = account.function(
        "import both\ndef lambda_handler(event, context):\n    return both.VALUE",
        files={"both.py": "VALUE = 'package'"},
        Layers=[layer["LayerVersionArn"]],
    )
    assert account.invoke(function) == "package"


def test_a_module_missing_from_the_package_fails_as_in_aws(account: Account) -> None:
    function = account.function("import truthloop\ndef lambda_handler(event, context):\n    return 1")
    error = account.invoke(function)
    assert error["errorType"] == "Runtime.ImportModuleError"
    assert error["errorMessage"] == "Unable to import module 'handler': No module named 'truthloop'"


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("class Odd(Exception): pass\ndef lambda_handler(e, c): raise Odd('odd')", "Odd", "odd"),
        (
            "def other(e, c): pass",
            "Runtime.HandlerNotFound",
            "Handler 'lambda_handler' missing on module 'handler'",
        ),
        ("def lambda_handler(e, c): return {1, 2}", "Runtime.MarshalError", "not JSON serializable"),
        (
            "def lambda_handler(e, c) return 1",
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module 'handler'",
        ),
        ("import os\ndef lambda_handler(e, c): os._exit(7)", "Runtime.ExitError", "exit status 7"),
        ("raise ValueError('at import')", "ValueError", "at import"),
    ],
)
def test_a_failure_has_the_runtimes_type_and_message(
    account: Account, source: str, kind: str, message: str
) -> None:
    function = account.function(source)
    answer = account.client("lambda").invoke(FunctionName=function, Payload=b"{}")
    error = json.loads(answer["Payload"].read())
    assert answer["FunctionError"] == "Unhandled"
    assert error["errorType"] == kind
    assert message in error["errorMessage"]


def test_a_stack_trace_begins_in_the_handler(account: Account) -> None:
    function = account.function("def lambda_handler(event, context):\n    raise KeyError('x')")
    trace = account.invoke(function)["stackTrace"]
    assert len(trace) == 1
    assert "handler.py" in trace[0]
    assert "line 2, in lambda_handler" in trace[0]


def test_a_function_that_runs_too_long_is_ended_and_works_again(account: Account) -> None:
    function = account.function(
        """
        import os, time
        def lambda_handler(event, context):
            time.sleep(event)
            return os.getpid()
        """,
        timeout=1,
    )
    before = account.invoke(function, 0)
    started = time.monotonic()
    error = account.invoke(function, 30)
    assert time.monotonic() - started < 5
    assert error["errorType"] == "Sandbox.Timedout"
    assert "Task timed out after 1.00 seconds" in error["errorMessage"]
    assert account.invoke(function, 0) != before


def test_a_warm_worker_serves_the_next_invocation(account: Account) -> None:
    function = account.function(
        """
        import os
        count = 0
        def lambda_handler(event, context):
            global count
            count += 1
            return [os.getpid(), count]
        """
    )
    (first, one), (second, two) = account.invoke(function), account.invoke(function)
    assert (first, one, two) == (second, 1, 2)


def test_invocations_at_the_same_time_run_in_workers_of_their_own(account: Account) -> None:
    function = account.function(
        "import os, time\ndef lambda_handler(event, context):\n    time.sleep(0.5)\n    return os.getpid()"
    )
    with ThreadPoolExecutor(3) as pool:
        workers = list(pool.map(lambda _: account.invoke(function), range(3)))
    assert len(set(workers)) == 3


def test_new_code_and_new_variables_take_effect(account: Account) -> None:
    function = account.function("def lambda_handler(event, context):\n    return 1")
    assert account.invoke(function) == 1
    client = account.client("lambda")
    source = "import os\ndef lambda_handler(event, context):\n    return os.environ.get('V', 'none')"
    client.update_function_code(FunctionName=function, ZipFile=account.package({"handler.py": source}))
    assert account.invoke(function) == "none"
    client.update_function_configuration(FunctionName=function, Environment={"Variables": {"V": "2"}})
    assert account.invoke(function) == "2"


def test_what_a_handler_prints_and_raises_is_in_its_log_group(account: Account) -> None:
    function = account.function(
        """
        import sys
        def lambda_handler(event, context):
            print("to stdout")
            print("to stderr", file=sys.stderr)
            raise ValueError("bad")
        """,
        name="talker",
    )
    answer = account.client("lambda").invoke(FunctionName=function, Payload=b"{}", LogType="Tail")
    tail = base64.b64decode(answer["LogResult"]).decode() if "LogResult" in answer else ""
    messages = account.logs("/aws/lambda/talker")
    assert "to stdout" in messages
    assert "to stderr" in messages
    assert "[ERROR] ValueError: bad" in messages
    assert sum(message.startswith("REPORT RequestId") for message in messages) == 1
    assert "to stdout" in tail


def test_a_declared_log_group_is_used_and_shown(account: Account) -> None:
    function = account.function(
        "def lambda_handler(event, context):\n    print('hello')", LoggingConfig={"LogGroup": "/own/group"}
    )
    account.invoke(function)
    assert "hello" in account.logs("/own/group")
    shown = account.client("lambda").get_function_configuration(FunctionName=function)
    assert shown["LoggingConfig"]["LogGroup"] == "/own/group"


def test_a_handler_reaches_the_embedded_aws_as_its_role(account: Account) -> None:
    bucket = account.bucket()
    function = account.function(
        """
        import boto3
        def lambda_handler(event, context):
            boto3.client("s3").put_object(Bucket=event, Key="from/lambda", Body=b"1")
        """,
        role=account.role("writer", ("s3:PutObject", f"arn:aws:s3:::{bucket}/from/*")),
    )
    assert account.invoke(function, bucket) is None
    assert account.client("s3").get_object(Bucket=bucket, Key="from/lambda")["Body"].read() == b"1"
    made = [
        call
        for call in account.aws.control("GET", "calls")
        if call["resource"] == f"arn:aws:s3:::{bucket}/from/lambda"
    ]
    assert made == [
        {
            "role": account.role("writer"),
            "service": "s3",
            "action": "PutObject",
            "resource": f"arn:aws:s3:::{bucket}/from/lambda",
            "allowed": True,
            "count": 1,
        }
    ]


def failing(account: Account, queue_arn: str, **settings: Any) -> tuple[str, str]:
    """Return a function that counts its attempts in a bucket and fails, and the bucket.

    It may tell a queue of its failures.
    """
    bucket = account.bucket()
    function = account.function(
        """
        import boto3, os
        def lambda_handler(event, context):
            boto3.client("s3").put_object(Bucket=os.environ["BUCKET"], Key=context.aws_request_id, Body=b"")
            raise RuntimeError("never works")
        """,
        variables={"BUCKET": bucket},
        grants=[("s3:PutObject", f"arn:aws:s3:::{bucket}/*"), ("sqs:SendMessage", queue_arn)],
        **settings,
    )
    return function, bucket


def test_a_failing_event_is_tried_three_times_then_goes_to_the_dead_letter_queue(account: Account) -> None:
    url, arn = account.queue()
    function, bucket = failing(account, arn, DeadLetterConfig={"TargetArn": arn})
    answer = account.client("lambda").invoke(
        FunctionName=function, InvocationType="Event", Payload=b'{"n": 1}'
    )
    assert answer["StatusCode"] == 202
    (message,) = account.messages(url)
    assert json.loads(message["Body"]) == {"n": 1}
    assert message["MessageAttributes"]["ErrorMessage"]["StringValue"] == "never works"
    assert account.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 3


def test_the_event_configuration_of_a_function_is_kept_and_obeyed(account: Account) -> None:
    url, arn = account.queue()
    function, bucket = failing(account, arn)
    client = account.client("lambda")
    for retries in (2, 0):
        client.put_function_event_invoke_config(
            FunctionName=function,
            MaximumRetryAttempts=retries,
            DestinationConfig={"OnFailure": {"Destination": arn}},
        )
    assert client.get_function_event_invoke_config(FunctionName=function)["MaximumRetryAttempts"] == 0
    client.invoke(FunctionName=function, InvocationType="Event", Payload=b"{}")
    (message,) = account.messages(url)
    assert json.loads(message["Body"])["responsePayload"]["errorType"] == "RuntimeError"
    assert account.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 1


def test_an_unknown_function_is_a_client_error(account: Account) -> None:
    with pytest.raises(ClientError) as problem:
        account.client("lambda").invoke(FunctionName="nobody", Payload=b"{}")
    assert problem.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_five_hundred_invocations_are_a_matter_of_seconds(account: Account) -> None:
    function = account.function("def lambda_handler(event, context):\n    return {'taskInput': event}")
    account.invoke(function)
    started = time.monotonic()
    for number in range(100):
        assert account.invoke(function, number) == {"taskInput": number}
    assert (time.monotonic() - started) * 5 < 30
