"""Step Functions: moto's interpreter with the casing of parameters, .sync jobs and task tokens mended."""

from __future__ import annotations

import copy
import json
import logging
import sys
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
import moto.stepfunctions.urls
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.model import OperationModel
from jsonata import Jsonata
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult
from moto.stepfunctions.parser.api import (
    ExecutionStatus,
    HistoryEventType,
    InvalidDefinition,
    TaskFailedEventDetails,
)
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import EvalTimeoutError
from moto.stepfunctions.parser.asl.component.state.exec.execute_state import ExecutionState
from moto.stepfunctions.parser.asl.component.state.exec.state_task import state_task_factory
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_callback as callback_module,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import (
    StateTaskService,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_batch import (
    StateTaskServiceBatch,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_lambda import (
    StateTaskServiceLambda,
)
from moto.stepfunctions.parser.asl.eval.callback.callback import (
    CallbackEndpoint,
    CallbackOutcome,
    CallbackOutcomeFailure,
    CallbackOutcomeSuccess,
    CallbackTimeoutError,
    HeartbeatEndpoint,
)
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.jsonata import jsonata as jsonata_module
from moto.stepfunctions.parser.asl.utils import boto_client as boto_client_module
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication, Execution
from moto.stepfunctions.parser.models import StepFunctionsParserBackend, stepfunctions_parser_backends
from moto.stepfunctions.responses import StepFunctionResponse

from local_aws import authorization, batch, definitions, events, patches, roles, settings
from local_aws.resources import Need
from local_aws.roles import Session

_ENDED = (
    ExecutionStatus.SUCCEEDED,
    ExecutionStatus.FAILED,
    ExecutionStatus.ABORTED,
    ExecutionStatus.TIMED_OUT,
)
_HISTORY_PAGE, _LONGEST_HISTORY_PAGE = 100, 1000
_LONGEST_OUTPUT_BYTES = 262_144
# How a job that .sync waits for is described: operation, where its status is, and the states it ends in.
_SAGEMAKER_JOBS = {
    "createTrainingJob": ("describe_training_job", "TrainingJobName", "TrainingJobStatus"),
    "createTransformJob": ("describe_transform_job", "TransformJobName", "TransformJobStatus"),
    "createProcessingJob": ("describe_processing_job", "ProcessingJobName", "ProcessingJobStatus"),
    "createLabelingJob": ("describe_labeling_job", "LabelingJobName", "LabelingJobStatus"),
}
# The rule that Step Functions itself keeps, with the role of the state machine, to learn of a job's end.
# https://docs.aws.amazon.com/step-functions/latest/dg/service-integration-iam-templates.html
_MANAGED_RULES = {
    "batch:submitJob.sync": "StepFunctionsGetEventsForBatchJobsRule",
    "sagemaker:createProcessingJob.sync": "StepFunctionsGetEventsForSageMakerProcessingJobsRule",
    "sagemaker:createTrainingJob.sync": "StepFunctionsGetEventsForSageMakerTrainingJobsRule",
    "sagemaker:createTransformJob.sync": "StepFunctionsGetEventsForSageMakerTransformJobsRule",
}
# How a state fails whose call was refused: the SDK inside of Step Functions has no class for that error and
# takes the one of the service as such.
_REFUSALS = {
    "batch": "Batch.AWSBatchException",
    "lambda": "Lambda.AWSLambdaException",
    "sagemaker": "SageMaker.AmazonSageMakerException",
}
_SESSION = "step-functions"
_tokens = threading.Lock()
_starts = threading.Lock()
_clients = threading.Lock()


# Clients of the interpreter: each acts as the role of its state machine.


@cache
def _client(region: str, service: str, role_arn: str | None) -> Any:
    session = boto3.session.Session()
    keys = roles.environment(role_arn or f"arn:aws:iam::{settings.ACCOUNT_ID}:role/none", _SESSION)
    return session.client(
        service,
        region_name=region,
        endpoint_url=settings.current.endpoint,
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        config=Config(
            parameter_validation=False,
            retries={"total_max_attempts": 1},
            connect_timeout=10,
            read_timeout=24 * 3600,
            max_pool_connections=50,
        ),
    )


def _boto_client_for(region: str, service: str, state_credentials: Any = None) -> Any:
    # boto3 makes clients from shared tables that one thread at a time may read.
    with _clients:
        return _client(region, service, getattr(state_credentials, "role_arn", None))


def _rebind_clients() -> None:
    """Give every module of the interpreter, each of which has its own name for it, our way to a client."""
    original = patches.replace(boto_client_module, "boto_client_for", _boto_client_for)
    for name, module in list(sys.modules.items()):
        if name.startswith("moto.stepfunctions.") and vars(module).get("boto_client_for") is original:
            patches.replace(module, "boto_client_for", _boto_client_for)


# Parameters and results: Step Functions writes JobName, the API of Batch jobName.


def _operation_model(task: StateTaskService, service: str | None, action: str | None) -> OperationModel:
    client = _boto_client_for(settings.REGION, task._get_boto_service_name(service))
    operation = client.meta.method_to_api_mapping[task._get_boto_service_action(action)]
    return client.meta.service_model.operation_model(operation)


def _plain(value: Any) -> Any:
    """Return a value with its times as text, which is all that JSON can hold."""
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value


def _install_casing() -> None:
    @patches.method(StateTaskService)
    def _normalise_parameters(
        self: StateTaskService,
        parameters: dict[str, Any],
        boto_service_name: str | None = None,
        service_action_name: str | None = None,
    ) -> None:
        shape = _operation_model(self, boto_service_name, service_action_name).input_shape
        if shape is not None:
            self._to_boto_request(parameters, shape)

    @patches.method(StateTaskService)
    def _normalise_response(
        self: StateTaskService,
        response: Any,
        boto_service_name: str | None = None,
        service_action_name: str | None = None,
    ) -> None:
        shape = _operation_model(self, boto_service_name, service_action_name).output_shape
        if shape is None or not isinstance(response, dict):
            return
        self._from_boto_response(response, shape)
        plain = _plain(response)
        response.clear()
        response.update(plain)


# Waiting for jobs.


class SageMakerTask(callback_module.StateTaskServiceCallback):
    """The optimised integration of SageMaker, request-response and .sync."""

    def __init__(self) -> None:
        # The base class needs a token's endpoint even where only .sync is in use.
        super().__init__({ResourceCondition.Sync, ResourceCondition.WaitForTaskToken})

    def _get_supported_parameters(self) -> set[str] | None:
        if self.resource.api_action not in _SAGEMAKER_JOBS:
            return None
        shape = _operation_model(self, None, None).input_shape
        return set(shape.members)

    def _from_error(self, env: Environment, ex: Exception) -> FailureEvent:
        if not isinstance(ex, ClientError):
            return super()._from_error(env=env, ex=ex)
        code = ex.response["Error"]["Code"].removesuffix("Exception")
        error = _REFUSALS["sagemaker"] if code == "AccessDenied" else f"SageMaker.{code}Exception"
        return self._failure(env, error, ex.response["Error"]["Message"])

    def _failure(self, env: Environment, error: str, cause: str) -> FailureEvent:
        details = TaskFailedEventDetails(
            error=error,
            cause=cause,
            resource=self._get_sfn_resource(),
            resourceType=self._get_sfn_resource_type(),
        )
        return FailureEvent(
            env=env,
            error_name=(
                StatesErrorName.from_name(error) if error.startswith("States.") else CustomErrorName(error)
            ),
            event_type=HistoryEventType.TaskFailed,
            event_details=EventDetails(taskFailedEventDetails=details),
        )

    def _eval_service_task(
        self,
        env: Environment,
        resource_runtime_part: Any,
        normalised_parameters: dict[str, Any],
        state_credentials: Any,
    ) -> None:
        client = _boto_client_for(resource_runtime_part.region, "sagemaker", state_credentials)
        response = getattr(client, self._get_boto_service_action())(**normalised_parameters)
        response.pop("ResponseMetadata", None)
        env.stack.append(response)

    def _build_sync_resolver(
        self,
        env: Environment,
        resource_runtime_part: Any,
        normalised_parameters: dict[str, Any],
        state_credentials: Any,
    ) -> Callable[[], Any]:
        client = _boto_client_for(resource_runtime_part.region, "sagemaker", state_credentials)
        operation, name, status = _SAGEMAKER_JOBS[self.resource.api_action]
        env.stack.pop()

        def resolve() -> Any:
            description = getattr(client, operation)(**{name: normalised_parameters[name]})
            description.pop("ResponseMetadata", None)
            if description[status] == "Completed":
                return _plain(description)
            if description[status] in ("Failed", "Stopped"):
                raise FailureEventException(
                    self._failure(env, "States.TaskFailed", to_json_str(_plain(description)))
                )
            return None

        return resolve


def _install_jobs() -> None:
    original = patches.replace(
        state_task_factory,
        "state_task_service_for",
        lambda service_name: SageMakerTask() if service_name == "sagemaker" else original(service_name),
    )
    # Looking twice a second would cost a campaign seconds per round; the resolver of Batch waits by itself.
    patches.replace(callback_module, "_DELAY_SECONDS_SYNC_CONDITION_CHECK", 0.05)

    @patches.method(StateTaskServiceBatch)
    def _build_sync_resolver(
        self: StateTaskServiceBatch,
        env: Environment,
        resource_runtime_part: Any,
        normalised_parameters: dict[str, Any],
        state_credentials: Any,
    ) -> Callable[[], Any]:
        job_id = env.stack[-1]["JobId"]
        resolve = _build_sync_resolver.original(
            self, env, resource_runtime_part, normalised_parameters, state_credentials
        )
        client = _boto_client_for(resource_runtime_part.region, "batch", state_credentials)

        def wait_and_resolve() -> Any:
            # The job is looked at once a second, whether the execution still runs ten times.
            for _ in range(10):
                if env.is_running():
                    batch.wait(job_id, 0.1)
            if not env.is_running():
                # Stopped or out of time: Step Functions ends the job that it started.
                client.terminate_job(jobId=job_id, reason="Terminated by Step Functions")
                raise CallbackTimeoutError
            return resolve()

        return wait_and_resolve


def _install_refusals() -> None:
    def mend(service: str, task: type) -> None:
        @patches.method(task)
        def _from_error(self: Any, env: Environment, ex: Exception) -> FailureEvent:
            event = _from_error.original(self, env, ex)
            if isinstance(ex, ClientError) and ex.response["Error"]["Code"] == "AccessDeniedException":
                event.error_name = CustomErrorName(_REFUSALS[service])
                event.event_details["taskFailedEventDetails"]["error"] = _REFUSALS[service]
            return event

    mend("batch", StateTaskServiceBatch)
    mend("lambda", StateTaskServiceLambda)


# Task tokens.


class ClientMistake(ServiceException):
    """A request that Step Functions refuses, with the documented code and message.

    A class of its own, because moto finds the shape of an error by the module of its class.
    """


def _endpoint(token: str) -> CallbackEndpoint:
    """Return the open endpoint of a token; the caller holds the lock of the tokens.

    Raises
    ------
    ClientMistake
        InvalidToken for one that was never given out, TaskTimedOut for one whose task has been closed:
        https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html
    """
    for backends in stepfunctions_parser_backends.values():
        for backend in backends.values():
            for execution in backend._get_executions():
                env = execution.exec_worker.env
                endpoint = env.callback_pool_manager.get(token) if env else None
                if endpoint is None:
                    continue
                if execution.exec_status != ExecutionStatus.RUNNING or getattr(endpoint, "closed", False):
                    raise ClientMistake(
                        "TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'"
                    )
                return endpoint
    raise ClientMistake("InvalidToken", "Invalid Token: 'Invalid token'")


def _answer(token: str, outcome: CallbackOutcome) -> None:
    with _tokens:
        endpoint = _endpoint(token)
        endpoint.closed = True
        endpoint.notify(outcome)


def _install_tokens() -> None:
    @patches.method(CallbackEndpoint)
    def interrupt_all(self: CallbackEndpoint) -> None:
        with _tokens:
            self.closed = True
        interrupt_all.original(self)

    @patches.method(CallbackEndpoint)
    def setup_heartbeat_endpoint(self: CallbackEndpoint, heartbeat_seconds: int) -> HeartbeatEndpoint:
        endpoint = setup_heartbeat_endpoint.original(self, heartbeat_seconds)
        if self.get_outcome() is not None:
            # Answered before the task began to wait; without this it would wait for a heartbeat first.
            endpoint.notify()
        return endpoint

    @patches.method(ExecutionState)
    def _evaluate_with_timeout(self: ExecutionState, env: Environment) -> None:
        _attempt(self, env)


def _attempt(state: ExecutionState, env: Environment) -> None:
    """Run one attempt of a state in a thread and take over its result.

    It differs from moto's in three ways: a retried attempt has a task token of its own, an execution that is
    stopped doesn't wait for the attempt, and a token whose attempt is out of time is closed.
    """
    context = env.states.context_object.context_object_data
    if "Task" in context and context["State"].get("RetryCount"):
        env.callback_pool_manager.add(env.states.context_object.update_task_token())
    endpoint = env.callback_pool_manager.get(context["Task"]["Token"]) if "Task" in context else None
    state.timeout.eval(env=env)
    deadline = time.monotonic() + env.stack.pop()
    frame = env.open_frame()
    frame.states.reset(input_value=env.states.get_input())
    frame.stack = copy.deepcopy(env.stack)
    problems: list[Exception] = []
    ended = threading.Event()

    def run() -> None:
        try:
            state._eval_execution(frame)
        except Exception as problem:
            problems.append(problem)
        finally:
            ended.set()

    threading.Thread(target=run, daemon=True, name=f"state-{state.name}").start()
    while not ended.wait(min(0.2, max(0.0, deadline - time.monotonic()))):
        if not env.is_running() or time.monotonic() >= deadline:
            break
    in_time = ended.is_set()
    frame.set_ended()
    env.close_frame(frame)
    if endpoint is not None:
        endpoint.interrupt_all()
    if not env.is_running():
        return
    if not in_time:
        raise EvalTimeoutError
    if problems:
        raise problems[0]
    output = frame.stack[-1]
    env.stack.append(output)
    if not state._is_language_query_jsonpath():
        env.states.set_result(output)
    for step in (state.assign_decl, state.result_selector):
        if step:
            step.eval(env=env)
    if state.result_path:
        state.result_path.eval(env)
    else:
        env.states.reset(input_value=env.stack.pop())


# The API.


class LocalStepFunctionResponse(StepFunctionResponse):
    """The operations that moto lacks or answers differently."""

    def create_state_machine(self) -> ActionResult:
        _check(self._get_param("definition"))
        arn = f"arn:aws:states:{self.region}:{self.current_account}:stateMachine:{self._get_param('name')}"
        _check_role(self._get_param("roleArn"), arn, self._get_param("definition"))
        return super().create_state_machine()

    def update_state_machine(self) -> ActionResult:
        if self._get_param("definition"):
            _check(self._get_param("definition"))
        arn = self._get_param("stateMachineArn")
        machine = self.stepfunction_backend.describe_state_machine(arn)
        _check_role(
            self._get_param("roleArn") or machine.role_arn,
            arn,
            self._get_param("definition") or machine.definition,
        )
        return super().update_state_machine()

    def validate_state_machine_definition(self) -> ActionResult:
        definition = self._get_param("definition")
        found = definitions.problems(definition)
        if not found:
            try:
                StepFunctionsParserBackend._validate_definition(definition)
            except InvalidDefinition as problem:
                found = [definitions.Problem("SCHEMA_VALIDATION_FAILED", problem.message, "/")]
        diagnostics = [
            {
                "severity": "ERROR",
                "code": problem.code,
                "message": problem.message,
                "location": problem.location,
            }
            for problem in found
        ]
        return ActionResult(
            {"result": "FAIL" if found else "OK", "diagnostics": diagnostics, "truncated": False}
        )

    def list_state_machine_versions(self) -> ActionResult:
        machine = self.stepfunction_backend.describe_state_machine(self._get_param("stateMachineArn"))
        versions = sorted(machine.versions.values(), key=lambda version: -version.version)
        return ActionResult(
            {
                "stateMachineVersions": [
                    {"stateMachineVersionArn": version.arn, "creationDate": version.creation_date}
                    for version in versions
                ]
            }
        )

    def start_execution(self) -> ActionResult:
        name = self._get_param("name") or str(uuid.uuid4())
        self.stepfunction_backend._validate_name(name)
        # moto looks for an execution of the name and makes one in two steps.
        with _starts:
            execution = self.stepfunction_backend.start_execution(
                self._get_param("stateMachineArn"), name, self._get_param("input", if_none="{}")
            )
        return ActionResult({"executionArn": execution.execution_arn, "startDate": execution.start_date})

    def describe_execution(self) -> ActionResult:
        answer = super().describe_execution()
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        if execution.stop_date:
            answer.result["stopDate"] = execution.stop_date
        if execution.exec_status == ExecutionStatus.SUCCEEDED:
            # moto gives a text bare, and nothing for null.
            answer.result["output"] = to_json_str(execution.output, separators=(",", ":"))
        return answer

    def stop_execution(self) -> ActionResult:
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        stop(execution, self._get_param("error"), self._get_param("cause"))
        return ActionResult({"stopDate": execution.stop_date})

    def get_execution_history(self) -> ActionResult:
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        history = execution.to_history_output()["events"]
        if self._get_param("reverseOrder"):
            history.reverse()
        first = int(self._get_param("nextToken") or 0)
        last = first + min(int(self._get_param("maxResults") or _HISTORY_PAGE), _LONGEST_HISTORY_PAGE)
        return ActionResult(
            {"events": history[first:last], "nextToken": str(last) if last < len(history) else None}
        )

    def send_task_success(self) -> ActionResult:
        token, output = self._get_param("taskToken"), self._get_param("output")
        try:
            json.loads(output)
        except (TypeError, ValueError) as problem:
            raise ClientMistake(
                "InvalidOutput", f"Invalid Output: 'The output is no JSON: {problem}'"
            ) from None
        if len(output.encode()) > _LONGEST_OUTPUT_BYTES:
            raise ClientMistake(
                "InvalidOutput", f"Invalid Output: 'longer than {_LONGEST_OUTPUT_BYTES} bytes'"
            )
        _answer(token, CallbackOutcomeSuccess(callback_id=token, output=output))
        return EmptyResult()

    def send_task_failure(self) -> ActionResult:
        token = self._get_param("taskToken")
        failure = CallbackOutcomeFailure(token, self._get_param("error"), self._get_param("cause"))
        _answer(token, failure)
        return EmptyResult()

    def send_task_heartbeat(self) -> ActionResult:
        with _tokens:
            _endpoint(self._get_param("taskToken")).notify_heartbeat()
        return EmptyResult()


def _check(definition: str) -> None:
    found = definitions.problems(definition)
    if found:
        text = ", ".join(map(str, found))
        raise ClientMistake("InvalidDefinition", f"Invalid State Machine Definition: '{text}'")


def _check_role(role_arn: str, machine_arn: str, definition: str) -> None:
    """Refuse a role that Step Functions cannot take, or with which it cannot learn of the ends of jobs."""
    if not authorization.trusts(role_arn, "states.amazonaws.com", machine_arn):
        raise ClientMistake(
            "AccessDeniedException",
            "Neither the global service principal states.amazonaws.com, nor the regional one is authorized "
            "to assume the provided role.",
        )
    needs = [
        Need(f"events:{action}", f"arn:aws:events:{settings.REGION}:{settings.ACCOUNT_ID}:rule/{rule}")
        for resource, rule in _MANAGED_RULES.items()
        if resource in definition
        for action in ("PutTargets", "PutRule", "DescribeRule")
    ]
    try:
        authorization.check(Session(role_arn, _SESSION), *needs)
    except authorization.Refused as refusal:
        raise ClientMistake(
            "AccessDeniedException", f"'{role_arn}' is not authorized to create managed-rule. {refusal}"
        ) from None


def machine_of(token: str) -> str | None:
    """Return the ARN of the state machine that gave out a task token; None if none did."""
    for backends in stepfunctions_parser_backends.values():
        for backend in backends.values():
            for execution in backend._get_executions():
                env = execution.exec_worker.env
                if env and env.callback_pool_manager.get(token) is not None:
                    return str(execution.state_machine_arn)
    return None


def stop(execution: Execution, error: str | None, cause: str | None) -> None:
    """Abort an execution and wait until it has ended, whatever it is waiting for."""
    if execution.exec_status in _ENDED:
        return
    while execution.exec_worker is None or execution.exec_worker.env is None:
        time.sleep(0.01)
    env = execution.exec_worker.env
    execution.stop(stop_date=datetime.now(UTC), error=error, cause=cause)
    for endpoint in list(env.callback_pool_manager._pool.values()):
        endpoint.interrupt_all()
    deadline = time.monotonic() + 5
    while execution.exec_status not in _ENDED and time.monotonic() < deadline:
        time.sleep(0.01)
    execution.error, execution.cause = error, cause


def reset() -> None:
    """Stop all executions; moto forgets them."""
    for backends in stepfunctions_parser_backends.values():
        for backend in backends.values():
            for execution in backend._get_executions(ExecutionStatus.RUNNING):
                stop(execution, None, "The embedded AWS was reset")


def _tell(execution: Execution, status: str) -> None:
    stopped = execution.stop_date
    events.emit(
        {
            "source": "aws.states",
            "detail-type": "Step Functions Execution Status Change",
            "resources": [execution.exec_arn],
            "detail": {
                "executionArn": execution.exec_arn,
                "stateMachineArn": execution.state_machine.arn,
                "name": execution.name,
                "status": status,
                "startDate": int(execution.start_date.timestamp() * 1000),
                "stopDate": int(stopped.timestamp() * 1000) if stopped else None,
                "input": execution.execution_input,
                "output": to_json_str(execution.output) if status == "SUCCEEDED" else None,
                "error": execution.error,
                "cause": execution.cause,
            },
        }
    )


def install() -> None:
    """Mend moto's interpreter; the server's configuration turns it on."""
    # It logs the whole state for each failed task, which the history tells better.
    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)
    _rebind_clients()
    _install_casing()
    _install_jobs()
    _install_refusals()
    _install_tokens()
    patches.replace(
        jsonata_module, "_eval_jsonata", lambda jsonata_expression: Jsonata(jsonata_expression).evaluate(None)
    )
    patches.route(moto.stepfunctions.urls.url_paths, "{0}/$", StepFunctionResponse, LocalStepFunctionResponse)

    @patches.method(Execution)
    def start(self: Execution) -> None:
        # Whoever lists the executions sees this one already; moto fails where it has no status yet.
        self.exec_status = ExecutionStatus.RUNNING
        _tell(self, "RUNNING")
        start.original(self)

    @patches.method(BaseExecutionWorkerCommunication)
    def terminated(self: BaseExecutionWorkerCommunication) -> None:
        terminated.original(self)
        _tell(self.execution, self.execution.status)
