"""What is replaced inside of moto is still there, in the form that the replacement was written for."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from importlib.metadata import version
from typing import Any

import pytest

from local_aws import patches

# In a process of its own: other tests use moto as it is.
REPORT = """
import inspect, json
from local_aws import patches, server, settings
settings.current.endpoint = "http://127.0.0.1:1"
server.install()
print(json.dumps([[patch.owner, patch.name] for patch in patches.applied]))
"""

# Each of them is the reason for a module of local_aws; a patch that is no longer here was lost by accident.
EXPECTED = {
    "moto.awslambda.models.LambdaBackend.put_function_event_invoke_config",
    "moto.awslambda.models.LambdaFunction.__init__",
    "moto.awslambda.models.LambdaFunction.get_configuration",
    "moto.awslambda.models.LambdaFunction.invoke",
    "moto.awslambda.models.LambdaFunction.update_configuration",
    "moto.batch.models.BatchBackend.create_compute_environment",
    "moto.batch.models.BatchBackend.delete_compute_environment",
    "moto.batch.models.BatchBackend.describe_compute_environments",
    "moto.batch.models.BatchBackend.register_job_definition",
    "moto.batch.models.JobQueue.describe",
    "moto.batch.responses.BatchResponse.createjobqueue",
    "moto.batch.responses.BatchResponse.submitjob",
    "moto.batch.responses.BatchResponse.updatecomputeenvironment",
    "moto.batch.responses.BatchResponse.updatejobqueue",
    "moto.budgets.models.Budget.resource_tags",
    "moto.budgets.responses.BudgetsResponse.create_budget",
    "moto.budgets.responses.BudgetsResponse.describe_subscribers_for_notification",
    "moto.budgets.responses.BudgetsResponse.list_tags_for_resource",
    "moto.budgets.responses.BudgetsResponse.tag_resource",
    "moto.budgets.responses.BudgetsResponse.untag_resource",
    "moto.budgets.responses.BudgetsResponse.update_budget",
    "moto.cognitoidp.models.CognitoIdpBackend.describe_user_pool",
    "moto.cognitoidp.models.CognitoIdpUserPool._get_user",
    "moto.core.responses.BaseResponse.call_action",
    "moto.core.responses.method_names_from_class",
    "moto.dynamodb.models.UpdateExpressionExecutor",
    "moto.dynamodb.models.UpdateExpressionValidator",
    "moto.dynamodb.parsing.expressions.UpdateExpressionParser.make",
    "moto.ec2.models.launch_templates.LaunchTemplate.create_version",
    "moto.ec2.models.launch_templates.LaunchTemplate.tags",
    "moto.events.models.EventPattern.matches_event",
    "moto.events.models.EventPatternParser.parse",
    "moto.events.models.Rule.send_to_targets",
    "moto.logs.models.LogStream._send_log_events",
    "moto.logs.models.LogsBackend.put_subscription_filter",
    "moto.s3.models.FakeBucket.get_permission",
    "moto.s3.models.FakeDeleteMarker.dispose",
    "moto.s3.notifications._send_event_bridge_message",
    "moto.s3.notifications.send_event",
    "moto.s3.responses.S3Response.bucket_response",
    "moto.s3.responses.S3Response.get_bucket_notification",
    "moto.s3.responses.S3Response.key_response",
    "moto.sagemaker.urls.{0}/$",
    "moto.stepfunctions.parser.asl.component.state.exec.execute_state.ExecutionState._evaluate_with_timeout",
    "moto.stepfunctions.parser.asl.component.state.exec.state_task.lambda_eval_utils.boto_client_for",
    "moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service.StateTaskService._normalise_parameters",
    "moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service.StateTaskService._normalise_response",
    "moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk.boto_client_for",
    "moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_batch.StateTaskServiceBatch._build_sync_resolver",
    "moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_batch.StateTaskServiceBatch._from_error",
    "moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_batch.boto_client_for",
    "moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback._DELAY_SECONDS_SYNC_CONDITION_CHECK",
    "moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_lambda.StateTaskServiceLambda._from_error",
    "moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task_factory.state_task_service_for",
    "moto.stepfunctions.parser.asl.eval.callback.callback.CallbackEndpoint.interrupt_all",
    "moto.stepfunctions.parser.asl.eval.callback.callback.CallbackEndpoint.setup_heartbeat_endpoint",
    "moto.stepfunctions.parser.asl.jsonata.jsonata._eval_jsonata",
    "moto.stepfunctions.parser.asl.utils.boto_client.boto_client_for",
    "moto.stepfunctions.parser.backend.execution.BaseExecutionWorkerCommunication.terminated",
    "moto.stepfunctions.parser.backend.execution.Execution.start",
    "moto.stepfunctions.urls.{0}/$",
    "waitress.channel.HTTPChannel.send_continue",
    "waitress.task.Task.build_response_header",
}  # fmt: skip


@pytest.fixture(scope="module")
def applied() -> set[str]:
    """The names of all internals that an installation replaces; it fails where one of them has changed."""
    result = subprocess.run(
        [sys.executable, "-c", REPORT], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    return {f"{owner}.{name}" for owner, name in json.loads(result.stdout)}


def test_moto_is_the_release_that_was_read() -> None:
    assert version("moto") == patches.MOTO_VERSION
    patches.check_version()


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_internal_is_still_what_its_replacement_expects(applied: set[str], name: str) -> None:
    assert name in applied


def test_every_replaced_internal_is_listed_here(applied: set[str]) -> None:
    others = {name for name in applied - EXPECTED if not name.endswith(".boto_client_for")}
    assert others == set()


def test_an_internal_that_is_gone_is_noticed() -> None:
    owner = types.ModuleType("moto.example")
    with pytest.raises(patches.MotoChanged, match=r"moto\.example\.run is gone from moto"):
        patches.replace(owner, "run", lambda: None)


def test_an_attribute_that_moto_has_by_now_is_noticed() -> None:
    class Grown:
        def run(self) -> None: ...

    with pytest.raises(patches.MotoChanged, match=r"run exists in moto"):
        patches.add(Grown, "run", lambda _self: None)


def test_an_internal_with_other_parameters_is_noticed() -> None:
    owner = types.ModuleType("moto.example")
    owner.run = lambda job, timeout: None  # type: ignore[attr-defined]
    with pytest.raises(patches.MotoChanged, match=r"takes \['job', 'timeout'\].*expects \['job'\]"):
        patches.replace(owner, "run", lambda job: None)


def test_an_inherited_internal_is_not_taken_for_the_classs_own() -> None:
    class Base:
        def run(self) -> None: ...

    class Derived(Base): ...

    with pytest.raises(patches.MotoChanged, match=r"run is gone"):
        patches.replace(Derived, "run", lambda self: None)


def test_a_path_that_another_class_answers_is_noticed() -> None:
    class Former:
        @classmethod
        def dispatch(cls) -> None: ...

    class Other(Former): ...

    for paths in ({}, {"{0}/$": Other.dispatch}):
        with pytest.raises(patches.MotoChanged, match="no longer answers"):
            patches.route(paths, "{0}/$", Former, Other)


def test_another_release_of_moto_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "MOTO_VERSION", "5.2.4")
    with pytest.raises(patches.MotoChanged, match=r"Install moto==5\.2\.4"):
        patches.check_version()


# What the modules of local_aws read of moto without replacing it.
READ: list[tuple[str, str, list[str]]] = [
    ("moto.batch.models", "Job", ["job_stopped_reason", "parameters", "all_jobs", "attempts", "_child_jobs"]),
    (
        "moto.awslambda.models",
        "LambdaFunction",
        ["code_bytes", "code_sha_256", "layers", "environment_vars", "role"],
    ),
    (
        "moto.s3.models",
        "FakeKey",
        ["response_dict", "metadata", "checksum_algorithm", "checksum_value", "multipart", "version_id"],
    ),
    (
        "moto.s3.models",
        "FakeBucket",
        ["notification_configuration", "object_lock_enabled", "logging", "acl", "self.policy: bytes"],
    ),
    (
        "moto.iam.models",
        "Role",
        ["policies", "managed_policies", "permissions_boundary_arn", "assume_role_policy_document"],
    ),
    (
        "moto.s3.models",
        "NotificationConfiguration",
        ["cloud_function", "queue", "topic", "event_bridge"],
    ),
    ("moto.logs.models", "LogGroup", ["subscription_filters", "streams"]),
    ("moto.dynamodb.models.table", "Table", ["table_key_attrs", "self.attr ="]),
    ("moto.cognitoidp.models", "CognitoIdpUser", ["self.id", "update_attributes"]),
    ("moto.iam.models", "PolicyVersion", ["document", "is_default"]),
    ("moto.awslambda.policy", "Policy", ["statements"]),
    ("moto.sns.models", "Topic", ["def policy"]),
    ("moto.sqs.models", "Queue", ["def policy"]),
    ("moto.events.models", "Rule", ["event_pattern", "scheduled_expression", "state", "targets"]),
]


@pytest.mark.parametrize(("module", "name", "attributes"), READ)
def test_what_is_read_of_moto_is_there(module: str, name: str, attributes: list[str]) -> None:
    import importlib
    import inspect

    owner: Any = getattr(importlib.import_module(module), name)
    source = inspect.getsource(owner)
    assert [attribute for attribute in attributes if attribute not in source] == []
