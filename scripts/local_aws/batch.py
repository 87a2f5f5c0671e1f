"""Batch: a job runs its image's program as a process, with retries, timeouts and array jobs as documented."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import IO, Any, cast

from moto.batch.exceptions import ClientException
from moto.batch.models import BatchBackend, Job, JobDefinition, JobQueue, batch_backends
from moto.batch.responses import BatchResponse
from moto.batch.utils import JobStatus
from moto.core.utils import unix_time_millis
from moto.ec2.models.launch_templates import LaunchTemplate
from moto.iam.exceptions import NotFoundException as IAMNotFoundException

from local_aws import authorization, children, events, images, patches, resources, settings, unsupported
from local_aws.roles import Session

# Two programs at a time: a laptop's worth of computing.
_SLOTS = 2
_slots = threading.Semaphore(_SLOTS)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_ARRAY_SIZES = (2, 10000)
_LOG_GROUP = "/aws/batch/job"
_LOG_SECONDS = 0.5
# AWSServiceRoleForBatch in AWS (https://docs.aws.amazon.com/batch/latest/userguide/using-service-linked-roles.html);
# moto spells the service as its principal does.
_SERVICE_ROLE = "AWSServiceRoleForbatch"
_TIMEOUT_REASON = "Job attempt duration exceeded timeout"
_NO_LIMIT = 7 * 86400.0
_FINAL = (JobStatus.SUCCEEDED, JobStatus.FAILED)
_SUMMARY = ("STARTING", "FAILED", "RUNNING", "SUCCEEDED", "RUNNABLE", "SUBMITTED", "PENDING")


def _milliseconds() -> int:
    return int(time.time() * 1000)


class LocalJob(Job):
    """A job, an array job or one child of an array job.

    moto's class keeps the request; the life of the job is here.
    """

    retry_strategy: dict[str, Any]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.created_at = _milliseconds()
        self.started_at: int | None = None
        self.stopped_at: int | None = None
        self.container: dict[str, Any] = {}
        self.done = threading.Event()
        self.parent: LocalJob | None = None
        self.retry_strategy = self.job_definition.retry_strategy or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._state = JobStatus.SUBMITTED
        self._stopping = threading.Lock()

    @property
    def status(self) -> str:
        """One of SUBMITTED, PENDING, RUNNABLE, STARTING, RUNNING, SUCCEEDED, FAILED."""
        return self._state.value

    @status.setter
    def status(self, value: str) -> None:
        self._state = JobStatus(value)
        if self.parent is None or self._state in _FINAL:
            events.emit(
                {
                    "source": "aws.batch",
                    "detail-type": "Batch Job State Change",
                    "resources": [self.arn],
                    "detail": self.describe(),
                }
            )

    # What DescribeJobs and ListJobs show.

    def describe_short(self) -> dict[str, Any]:
        result: dict[str, Any] = {
            "jobId": self.job_id,
            "jobArn": self.arn,
            "jobName": self.job_name,
            "createdAt": self.created_at,
            "status": self.status,
            "jobDefinition": self.job_definition.arn,
            "statusReason": self.job_stopped_reason,
            "startedAt": self.started_at,
            "stoppedAt": self.stopped_at,
        }
        if "exitCode" in self.container or "reason" in self.container:
            result["container"] = {k: v for k, v in self.container.items() if k in ("exitCode", "reason")}
        if self._child_jobs is not None:
            result["arrayProperties"] = {"size": len(self._child_jobs)}
        elif "index" in self.array_properties:
            result["arrayProperties"] = {"index": self.array_properties["index"]}
        return {name: value for name, value in result.items() if value is not None}

    def describe(self) -> dict[str, Any]:
        result = self.describe_short()
        result.update(
            jobQueue=self.job_queue.arn,
            dependsOn=self.depends_on or [],
            parameters=self.parameters,
            tags=self.backend.list_tags_for_resource(self.arn),
            attempts=self.attempts,
            retryStrategy=self.retry_strategy,
            platformCapabilities=self.job_definition.platform_capabilities or [],
            container=self._container(),
        )
        if seconds := self._get_attempt_duration():
            result["timeout"] = {"attemptDurationSeconds": seconds}
        if self._child_jobs is not None:
            statuses = [child.status for child in self._child_jobs]
            result["arrayProperties"] = {
                "statusSummary": {name: statuses.count(name) for name in _SUMMARY},
                "size": len(statuses),
            }
        return result

    def _container(self) -> dict[str, Any]:
        properties = self.job_definition.container_properties or {}
        shown = {
            **{
                name: properties[name]
                for name in ("image", "jobRoleArn", "executionRoleArn")
                if name in properties
            },
            "command": self._command(),
            "environment": [{"name": name, "value": value} for name, value in self._declared().items()],
            "resourceRequirements": list(self._requirements().values()),
            **self.container,
        }
        if self.log_stream_name:
            shown["logStreamName"] = self.log_stream_name
        return shown

    def _requirements(self) -> dict[str, dict[str, str]]:
        properties = self.job_definition.container_properties or {}
        entries = [
            *properties.get("resourceRequirements", []),
            *self.container_overrides.get("resourceRequirements", []),
        ]
        return {entry["type"]: entry for entry in entries}

    def _declared(self) -> dict[str, str]:
        properties = self.job_definition.container_properties or {}
        entries = [*properties.get("environment", []), *self.container_overrides.get("environment", [])]
        return {entry["name"]: entry.get("value", "") for entry in entries}

    def _command(self) -> list[str]:
        properties = self.job_definition.container_properties or {}
        command = self.container_overrides.get("command") or properties.get("command") or []
        # The whole argument is the reference: https://docs.aws.amazon.com/batch/latest/userguide/job_definition_parameters.html
        return [
            self.parameters.get(part[len("Ref::") :], part) if part.startswith("Ref::") else part
            for part in command
        ]

    # The life of a job.

    def run(self) -> None:
        """Live through the job; each job is a thread of its own."""
        try:
            if self.depends_on and not self._dependencies_succeeded():
                self._finish(JobStatus.FAILED, self.job_stopped_reason or "Dependent Job failed")
                return
            self._run_attempts()
        except Exception as problem:
            print(f"local_aws: job {self.job_name} ({self.job_id}) could not run: {problem}", file=sys.stderr)
            self._finish(JobStatus.FAILED, f"{type(problem).__name__}: {problem}")

    def _dependencies_succeeded(self) -> bool:
        for dependency in self.depends_on or []:
            job = self.all_jobs.get(dependency.get("jobId", ""))
            if job is None:
                return False
            while not job.done.wait(0.1):
                if self.stop:
                    return False
            if job.status == JobStatus.FAILED:
                return False
        return True

    def _run_attempts(self) -> None:
        reason = ""
        for attempt in range(1, int(self.retry_strategy.get("attempts") or 1) + 1):
            self.status = JobStatus.RUNNABLE
            while not _slots.acquire(timeout=0.2):
                if self.stop:
                    break
            else:
                try:
                    self.status = JobStatus.STARTING
                    code, reason = self._run_once(attempt)
                finally:
                    _slots.release()
                if code == 0 and not self.stop:
                    self._finish(JobStatus.SUCCEEDED, reason)
                    return
            if self.stop or reason == _TIMEOUT_REASON or not self._try_again(code, reason):
                break
        self._finish(JobStatus.FAILED, self.job_stopped_reason or reason)

    def _try_again(self, code: int, reason: str) -> bool:
        """Apply evaluateOnExit: the first entry whose patterns all match decides; without a match, retry."""
        for entry in self.retry_strategy.get("evaluateOnExit", []):
            seen = {
                "onExitCode": str(code),
                "onReason": self.container.get("reason", ""),
                "onStatusReason": reason,
            }
            if all(fnmatchcase(value, entry[name]) for name, value in seen.items() if name in entry):
                return str(entry["action"]).upper() == "RETRY"
        return True

    def _run_once(self, attempt: int) -> tuple[int, str]:
        """Run the program to its end and return its exit code and the reason of the status."""
        self.log_stream_name = f"{self.job_definition.name}/default/{uuid.uuid4().hex}"
        log = _Log(self)
        started = _milliseconds()
        if problem := self._problem_of_roles(log.group):
            reason = "Task failed to start"
            self.container = {"reason": problem}
            self.attempts.append(
                {
                    "container": dict(self.container),
                    "startedAt": started,
                    "stoppedAt": _milliseconds(),
                    "statusReason": reason,
                }
            )
            return 1, reason
        work = settings.current.scratch / "jobs" / uuid.uuid4().hex
        work.mkdir(parents=True)
        timed_out = threading.Event()
        try:
            process = children.start_program(
                [*images.entrypoint(), *self._command()],
                self._environment(attempt),
                work,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            with self._stopping:
                self._process = process
            if self.stop:
                children.stop_program(process)
            self.started_at = self.started_at or started
            self.status = JobStatus.RUNNING
            timer = threading.Timer(
                self._get_attempt_duration() or _NO_LIMIT, self._time_out, [process, timed_out]
            )
            timer.daemon = True
            timer.start()
            output = cast(IO[bytes], process.stdout)
            for line in output:
                log.write(line.decode("utf-8", "replace").rstrip("\n"))
            code = children.exit_code(process)
            output.close()
            timer.cancel()
        finally:
            log.flush()
            shutil.rmtree(work, ignore_errors=True)
        reason = _TIMEOUT_REASON if timed_out.is_set() else "Essential container in task exited"
        self.container = {"exitCode": code, "logStreamName": self.log_stream_name}
        if code > 128:
            self.container["reason"] = f"Container killed by signal {code - 128}"
        self.attempts.append(
            {
                "container": dict(self.container),
                "startedAt": started,
                "stoppedAt": _milliseconds(),
                "statusReason": reason,
            }
        )
        return code, reason

    def _problem_of_roles(self, log_group: str) -> str | None:
        """Take the job's roles; return what stands against it.

        https://docs.aws.amazon.com/batch/latest/userguide/execution-IAM-role.html
        """
        properties = self.job_definition.container_properties or {}
        for name in ("executionRoleArn", "jobRoleArn"):
            role = properties.get(name)
            if role and not authorization.trusts(role, "ecs-tasks.amazonaws.com", _task_arn(self)):
                return (
                    f"ECS was unable to assume the role '{role}' that was provided for this task. Please "
                    "verify that the role being passed has the proper trust relationship and permissions."
                )
        if execution_role := properties.get("executionRoleArn"):
            # What pulls the image and brings the logs away is not the job itself.
            needs = [
                *resources.image_needs(properties["image"]),
                *(
                    resources.log_need(action, log_group, str(self.log_stream_name))
                    for action in ("CreateLogStream", "PutLogEvents")
                ),
            ]
            try:
                authorization.check(Session(execution_role, _session_name(self)), *needs)
            except authorization.Refused as refusal:
                return f"ResourceInitializationError: {refusal}"
        return None

    @staticmethod
    def _time_out(process: subprocess.Popen[bytes], timed_out: threading.Event) -> None:
        timed_out.set()
        children.stop_program(process)

    def _environment(self, attempt: int) -> dict[str, str]:
        properties = self.job_definition.container_properties or {}
        declared = {
            **self._declared(),
            "AWS_BATCH_JOB_ID": self.job_id,
            "AWS_BATCH_JOB_ATTEMPT": str(attempt),
            "AWS_BATCH_JQ_NAME": self.job_queue.name,
        }
        if "index" in self.array_properties:
            declared["AWS_BATCH_JOB_ARRAY_INDEX"] = str(self.array_properties["index"])
        return images.environment(properties.get("jobRoleArn"), declared, _session_name(self))

    def _finish(self, status: JobStatus, reason: str) -> None:
        self.job_stopped_reason = reason
        self.stopped_at = _milliseconds()
        self.job_stopped = True
        self.job_stopped_at = datetime.now(UTC)
        self.status = status
        self.done.set()
        if self.parent is not None:
            self.parent.child_finished()

    def child_finished(self) -> None:
        """End an array job with its last child: SUCCEEDED when all did."""
        with self._stopping:
            children_ = self._child_jobs or []
            if self.done.is_set() or not all(child.done.is_set() for child in children_):
                return
            self.started_at = min((child.started_at for child in children_ if child.started_at), default=None)
            if all(child.status == JobStatus.SUCCEEDED for child in children_):
                status, reason = JobStatus.SUCCEEDED, None
            else:
                status, reason = JobStatus.FAILED, self.job_stopped_reason or "Array Child Job failed"
            self._finish(status, reason)

    def terminate(self, reason: str) -> None:
        """End the job, or all children of an array job, with this reason."""
        if self.done.is_set():
            return
        self.job_stopped_reason = reason
        self.stop = True
        for child in self._child_jobs or []:
            child.terminate(reason)
        with self._stopping:
            process = self._process
        if process is not None:
            children.stop_program(process)


def _session_name(job: LocalJob) -> str:
    return str(job.job_id).replace(":", "-")


def _task_arn(job: LocalJob) -> str:
    return (
        f"arn:aws:ecs:{settings.REGION}:{settings.ACCOUNT_ID}:task/{job.job_queue.name}/{_session_name(job)}"
    )


class _Log:
    """Collects a program's lines and brings them to CloudWatch within a second."""

    def __init__(self, job: LocalJob) -> None:
        self._backend = job.backend.logs_backend
        properties = job.job_definition.container_properties or {}
        options = properties.get("logConfiguration", {}).get("options", {})
        self.group = options.get("awslogs-group", _LOG_GROUP)
        if prefix := options.get("awslogs-stream-prefix"):
            job.log_stream_name = f"{prefix}/{str(job.log_stream_name).split('/', 1)[1]}"
        self._stream = str(job.log_stream_name)
        self._lines: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def write(self, line: str) -> None:
        """Add a line."""
        with self._lock:
            first = not self._lines
            self._lines.append({"timestamp": int(unix_time_millis()), "message": line})
        if first:
            later = threading.Timer(_LOG_SECONDS, self.flush)
            later.daemon = True
            later.start()

    def flush(self) -> None:
        """Bring what was collected to CloudWatch."""
        with self._lock:
            lines, self._lines = self._lines, []
        with unsupported.lock("logs"):
            self._backend.ensure_log_group(self.group)
            self._backend.ensure_log_stream(self.group, self._stream)
            if lines:
                self._backend.put_log_events(self.group, self._stream, lines)


def wait(job_id: str, seconds: float) -> None:
    """Wait until a job has ended, at most so long."""
    job = batch_backends[settings.ACCOUNT_ID][settings.REGION]._jobs.get(job_id)
    if isinstance(job, LocalJob):
        job.done.wait(seconds)


def reset() -> None:
    """End all jobs; moto forgets them."""
    for backends in batch_backends.values():
        for backend in backends.values():
            for job in list(backend._jobs.values()):
                job.terminate("The embedded AWS was reset")


def submit(backend: BatchBackend, request: dict[str, Any]) -> LocalJob:
    """Create the job, or the array job with its children, of a SubmitJob request, and let it run."""
    if _NAME.fullmatch(request.get("jobName", "")) is None:
        raise ClientException(f"Job name should match valid pattern, got {request.get('jobName')!r}")
    # An ARN without a revision means the newest one, as a name does; moto knows that of names alone.
    definition = backend.get_job_definition(request["jobDefinition"].rpartition(":job-definition/")[2])
    if definition is None or definition.status != "ACTIVE":
        raise ClientException(f"JobDefinition {request['jobDefinition']} does not exist or is not ACTIVE")
    job_queue = backend.get_job_queue(request["jobQueue"])
    if job_queue is None or job_queue.state != "ENABLED":
        raise ClientException(f"Job queue {request['jobQueue']} does not exist or is not ENABLED")
    if any("type" in dependency for dependency in request.get("dependsOn") or []):
        raise NotImplementedError
    size = (request.get("arrayProperties") or {}).get("size")
    if size is not None and not _ARRAY_SIZES[0] <= size <= _ARRAY_SIZES[1]:
        raise ClientException(f"Array size {size} must be between {_ARRAY_SIZES[0]} and {_ARRAY_SIZES[1]}")

    def create(array: dict[str, Any], job_id: str | None) -> LocalJob:
        job = LocalJob(
            request["jobName"],
            definition,
            job_queue,
            backend,
            log_backend=backend.logs_backend,
            container_overrides=request.get("containerOverrides"),
            eks_properties_override=None,
            depends_on=request.get("dependsOn"),
            parameters=request.get("parameters"),
            all_jobs=backend._jobs,
            timeout=request.get("timeout"),
            array_properties=array,
            provided_job_id=job_id,
            tags=request.get("tags") if job_id is None else None,
        )
        job.retry_strategy = request.get("retryStrategy") or job.retry_strategy
        backend._jobs[job.job_id] = job
        return job

    job = create({}, None)
    if size is None:
        job.start()
        return job
    job._child_jobs = [create({"index": index}, f"{job.job_id}:{index}") for index in range(size)]
    job.status = JobStatus.PENDING
    runners = ThreadPoolExecutor(max_workers=_SLOTS, thread_name_prefix=f"array-{job.job_id}")
    for child in job._child_jobs:
        child.parent = job
        # A queue lists the array job; its children are listed by its id.
        job_queue.jobs.remove(child)
        runners.submit(child.run)
    runners.shutdown(wait=False)
    return job


def _service_linked_role(backend: BatchBackend) -> str:
    """Return the ARN of the role that Batch uses where a compute environment names none."""
    try:
        role = backend.iam_backend.get_role(_SERVICE_ROLE)
    except IAMNotFoundException:
        role = backend.iam_backend.create_service_linked_role("batch.amazonaws.com", "", "")
    return str(role.arn)


def _install_environments() -> None:
    """Keep all of an environment, a queue, a revision and a template; refuse to delete what is used."""

    @patches.method(BatchBackend)
    def describe_compute_environments(
        self: BatchBackend, environments: list[str] | None = None
    ) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = describe_compute_environments.original(self, environments)
        for environment in shown:
            kept = self._compute_environments[environment["computeEnvironmentArn"]]
            if hasattr(kept, "update_policy"):
                environment["updatePolicy"] = kept.update_policy
        return shown

    @patches.method(BatchResponse)
    def updatecomputeenvironment(self: BatchResponse) -> str:
        answer: str = updatecomputeenvironment.original(self)
        environment: Any = self.batch_backend.get_compute_environment(self._get_param("computeEnvironment"))
        if changes := self._get_param("computeResources"):
            environment.compute_resources = {**environment.compute_resources, **changes}
        if policy := self._get_param("updatePolicy"):
            environment.update_policy = policy
        return answer

    @patches.method(BatchBackend)
    def delete_compute_environment(self: BatchBackend, compute_environment_name: str) -> None:
        environment = self.get_compute_environment(compute_environment_name)
        if environment is not None:
            if environment.state != "DISABLED":
                raise ClientException("Cannot delete, compute environment must be disabled first")
            if any(environment in queue.environments for queue in self._job_queues.values()):
                raise ClientException("Cannot delete, found existing JobQueue relationship")
        delete_compute_environment.original(self, compute_environment_name)

    # What would be cancelled never happens here: no job waits for an instance.
    def keep_time_limits(response: BatchResponse, name: str) -> None:
        if (limits := response._get_param("jobStateTimeLimitActions")) is not None:
            queue: Any = response.batch_backend.get_job_queue(name)
            queue.time_limits = limits

    @patches.method(BatchResponse)
    def createjobqueue(self: BatchResponse) -> str:
        answer: str = createjobqueue.original(self)
        keep_time_limits(self, self._get_param("jobQueueName"))
        return answer

    @patches.method(BatchResponse)
    def updatejobqueue(self: BatchResponse) -> str:
        answer: str = updatejobqueue.original(self)
        keep_time_limits(self, self._get_param("jobQueue"))
        return answer

    @patches.method(JobQueue)
    def describe(self: JobQueue) -> dict[str, Any]:
        return {**describe.original(self), "jobStateTimeLimitActions": getattr(self, "time_limits", [])}

    @patches.method(BatchBackend)
    def register_job_definition(
        self: BatchBackend,
        def_name: str,
        parameters: dict[str, Any],
        _type: str,
        tags: dict[str, str],
        retry_strategy: dict[str, Any],
        container_properties: dict[str, Any] | None,
        node_properties: dict[str, Any] | None,
        eks_properties: dict[str, Any] | None,
        timeout: dict[str, int],
        platform_capabilities: list[str],
        propagate_tags: bool,
    ) -> JobDefinition:
        revision: JobDefinition = register_job_definition.original(
            self,
            def_name,
            parameters,
            _type,
            tags,
            retry_strategy,
            container_properties,
            node_properties,
            eks_properties,
            timeout,
            platform_capabilities,
            propagate_tags,
        )
        # moto gives a revision those of the first one.
        revision.platform_capabilities = platform_capabilities
        revision.propagate_tags = propagate_tags
        return revision

    @patches.method(LaunchTemplate)
    def create_version(self: LaunchTemplate, data: dict[str, Any], description: str) -> Any:
        # moto takes a template's own tags for tags of what is launched with it.
        tags = [
            item for item in data.pop("TagSpecifications", []) if item["ResourceType"] != "launch-template"
        ]
        return create_version.original(
            self, {**data, "TagSpecifications": tags} if tags else data, description
        )

    # moto shows a template's first tags for ever.
    patches.add(LaunchTemplate, "tags", property(LaunchTemplate.get_tags, lambda _self, _tags: None))


def install() -> None:
    """Let moto's Batch run jobs as processes."""
    _install_environments()

    @patches.method(BatchBackend)
    def create_compute_environment(
        self: BatchBackend,
        compute_environment_name: str,
        _type: str,
        state: str,
        compute_resources: dict[str, Any],
        service_role: str,
        tags: dict[str, str] | None = None,
    ) -> Any:
        role = service_role or _service_linked_role(self)
        return create_compute_environment.original(
            self, compute_environment_name, _type, state, compute_resources, role, tags
        )

    @patches.method(BatchResponse)
    def submitjob(self: BatchResponse) -> str:
        job = submit(self.batch_backend, json.loads(self.body))
        return json.dumps({"jobId": job.job_id, "jobName": job.job_name, "jobArn": job.arn})
