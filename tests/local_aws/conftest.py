"""One embedded AWS for all tests of this folder, with the packages and programs that they deploy to it."""

from __future__ import annotations

import io
import json
import os
import textwrap
import time
import uuid
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from local_aws import roles
from local_aws.process import LocalAws

ACCOUNT = "123456789012"
REGION = "us-east-1"

#: Actions on resources that a role may do.
Grant = tuple[str | list[str], str | list[str]]

# Who takes the tests' roles.
SERVICES = ["ecs-tasks", "events", "lambda", "sagemaker", "states"]
LOGS = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:*"
WRITE_LOGS: Grant = (["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], LOGS)
PUT_OBJECTS: Grant = ("s3:PutObject", "arn:aws:s3:::bucket-*/*")
READ_OBJECTS: Grant = (
    ["s3:GetObject", "s3:ListBucket"],
    ["arn:aws:s3:::bucket-*", "arn:aws:s3:::bucket-*/*"],
)

# What the roles may do that several tests use; a role with another name may do what its test says.
RIGHTS: dict[str, list[Grant]] = {
    "execution": [
        (["ecr:GetAuthorizationToken"], "*"),
        (
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/program",
        ),
        (["logs:CreateLogStream", "logs:PutLogEvents"], LOGS),
    ],
    "machine-role": [
        ("lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:*"),
        (
            ["batch:SubmitJob", "batch:TerminateJob"],
            [f"arn:aws:batch:{REGION}:{ACCOUNT}:{kind}/*" for kind in ("job", "job-definition", "job-queue")],
        ),
        ("batch:DescribeJobs", "*"),
        (
            ["sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob"],
            f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/*",
        ),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/training"),
        (
            ["events:DescribeRule", "events:PutRule", "events:PutTargets"],
            f"arn:aws:events:{REGION}:{ACCOUNT}:rule/StepFunctionsGetEventsFor*",
        ),
        READ_OBJECTS,
    ],
    "putter": [PUT_OBJECTS],
    "training": [READ_OBJECTS, PUT_OBJECTS],
}

# What every container image runs here: it does what its arguments say.
PROGRAM = """
import json, os, subprocess, sys, time

verb, arguments = sys.argv[1], sys.argv[2:]
if verb == "environment":
    print(json.dumps(dict(os.environ)))
elif verb == "fail":
    sys.exit(int(arguments[0]))
elif verb == "fail-index":
    sys.exit(3 if os.environ["AWS_BATCH_JOB_ARRAY_INDEX"] == arguments[0] else 0)
elif verb == "fail-attempts":
    print("attempt", os.environ["AWS_BATCH_JOB_ATTEMPT"])
    sys.exit(4 if int(os.environ["AWS_BATCH_JOB_ATTEMPT"]) <= int(arguments[0]) else 0)
elif verb == "sleep":
    grandchild = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({arguments[0]})"])
    print("sleeping", os.getpid(), grandchild.pid, flush=True)
    time.sleep(float(arguments[0]))
elif verb == "train" and "SAGEMAKER_BASE_DIR" in os.environ:
    from pathlib import Path
    base = Path(os.environ["SAGEMAKER_BASE_DIR"])
    parameters = json.loads((base / "input/config/hyperparameters.json").read_text())
    time.sleep(float(parameters.get("seconds", 0)))
    if "failure" in parameters:
        (base / "output/failure").write_text(parameters["failure"])
        sys.exit(1)
    numbers = [int(path.read_text()) for path in sorted((base / "input/data/train").rglob("*.txt"))]
    (base / "model/sum.json").write_text(json.dumps({"sum": sum(numbers), "unit": os.environ["UNIT"]}))
elif verb == "put":
    import boto3
    boto3.client("s3").put_object(Bucket=arguments[0], Key=arguments[1], Body=b"from batch")
else:
    print("arguments", json.dumps(sys.argv[1:]))
"""

# The worker template of a labelling job of the tests.
TEMPLATE = """<crowd-form><crowd-classifier name="choice" categories="{{ task.input.labels | to_json }}">
  <classification-target>{{ task.input.taskObject }}</classification-target>
</crowd-classifier></crowd-form>"""


class Account:
    """The embedded AWS as a test uses it."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self._clients: dict[str, Any] = {}

    def client(self, service: str, **overrides: Any) -> Any:
        """Return a boto3 client, the same one for the same service unless it has settings of its own."""
        if not overrides and service in self._clients:
            return self._clients[service]
        environment = self.aws.environment()
        settings = {
            "endpoint_url": self.aws.endpoint,
            "region_name": REGION,
            "aws_access_key_id": environment["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
            "config": Config(retries={"total_max_attempts": 1}, max_pool_connections=32, read_timeout=20),
            **overrides,
        }
        client = boto3.session.Session().client(service, **settings)
        if not overrides:
            self._clients[service] = client
        return client

    @staticmethod
    def eventually(what: Callable[[], Any], seconds: float = 15) -> Any:
        """Return the first true value of `what`; fail after so many seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            value = what()
            if value:
                return value
            time.sleep(0.03)
        return pytest.fail(f"did not happen within {seconds} s")

    @staticmethod
    def alive(pid: int) -> bool:
        """Tell whether a process runs; one that has ended and that nobody has waited for does not."""
        try:
            if Path("/proc/self").exists():
                return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
            os.kill(pid, 0)
        except (FileNotFoundError, ProcessLookupError):
            return False
        return True

    def role(self, name: str, *grants: Grant) -> str:
        """Return the ARN of a role; unless it is there it is made, with these rights or those of its name."""
        iam = self.client("iam")
        try:
            return str(iam.get_role(RoleName=name)["Role"]["Arn"])
        except iam.exceptions.NoSuchEntityException:
            arn = str(
                iam.create_role(RoleName=name, AssumeRolePolicyDocument=self.trust(*SERVICES))["Role"]["Arn"]
            )
        if rights := grants or RIGHTS.get(name):
            self.allow(name, *rights)
        return arn

    def allow(self, role: str, *grants: Grant) -> None:
        """Let a role do this and nothing else."""
        self.client("iam").put_role_policy(
            RoleName=role, PolicyName="rights", PolicyDocument=self.policy(*grants)
        )

    @staticmethod
    def policy(*grants: Grant) -> str:
        """Return the document of a policy that allows actions on resources."""
        statements = [
            {"Effect": "Allow", "Action": actions, "Resource": resources} for actions, resources in grants
        ]
        return json.dumps({"Version": "2012-10-17", "Statement": statements})

    @staticmethod
    def trust(*services: str, **condition: Any) -> str:
        """Return the document of a trust policy that lets services take a role."""
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": [f"{service}.amazonaws.com" for service in services]},
            "Action": "sts:AssumeRole",
            **({"Condition": condition} if condition else {}),
        }
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def keys(self, role_arn: str, name: str) -> dict[str, str]:
        """Return the settings of clients that act as a role, in the session of a function of that name."""
        # The server gives a role its key when it first acts; the test acts in its place.
        self.invoke(self.function("def lambda_handler(event, context): pass", name=name, role=role_arn))
        found = roles.environment(role_arn, name)
        return {
            "aws_access_key_id": found["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": found["AWS_SECRET_ACCESS_KEY"],
        }

    def bucket(self) -> str:
        """Create a bucket."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        self.client("s3").create_bucket(Bucket=name)
        return name

    def function(self, source: str, **settings: Any) -> str:
        """Create a function of one handler.py and return its ARN.

        `files` adds to its package, `grants` to the right to write its log.
        """
        files = {"handler.py": textwrap.dedent(source), **settings.pop("files", {})}
        grants = settings.pop("grants", [])
        name = settings.pop("name", f"function-{uuid.uuid4().hex[:8]}")
        answer = self.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=settings.pop("role", self.role(f"{name}-role", WRITE_LOGS, *grants)),
            Handler="handler.lambda_handler",
            Code={"ZipFile": self.package(files)},
            Timeout=settings.pop("timeout", 20),
            Environment={"Variables": settings.pop("variables", {})},
            **settings,
        )
        return str(answer["FunctionArn"])

    @staticmethod
    def package(files: Mapping[str, str]) -> bytes:
        """Return a zip archive of named texts."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        return buffer.getvalue()

    def invoke(self, function: str, event: Any = None, **settings: Any) -> Any:
        """Invoke a function and return its result, or its error as the client sees it."""
        answer = self.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event), **settings)
        return json.loads(answer["Payload"].read())

    def queue(self) -> tuple[str, str]:
        """Create an SQS queue that lets EventBridge in and return its URL and ARN."""
        name = f"queue-{uuid.uuid4().hex[:8]}"
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        attributes = {"Policy": self.for_events("sqs:SendMessage", arn)}
        return self.client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"], arn

    @staticmethod
    def for_events(action: str, resource: str) -> str:
        """Return the document of a resource's policy that lets EventBridge do something with it."""
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": action,
            "Resource": resource,
            "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
        }
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def labeling_job(self, pre: str, post: str, texts: Iterable[str], **changes: Any) -> dict[str, Any]:
        """Create a labelling job over texts with two functions and return its request.

        Its bucket holds ``beside/picture.png`` too, which the job's role may read, and ``secret.png``, which
        it may not. Changes are members of HumanTaskConfig.
        """
        bucket, s3, sagemaker = self.bucket(), self.client("s3"), self.client("sagemaker")
        manifest = "".join(json.dumps({"source": text}) + "\n" for text in texts)
        for key, body in {
            "in/template.liquid.html": TEMPLATE,
            "in/input.manifest": manifest,
            "beside/picture.png": "picture",
            "secret.png": "secret",
        }.items():
            s3.put_object(Bucket=bucket, Key=key, Body=body.encode())
        name = f"job-{uuid.uuid4().hex[:8]}"
        member = {"UserPool": "us-east-1_LOCALPOOL", "ClientId": "local-client", "UserGroup": "labelers"}
        team = sagemaker.create_workteam(
            WorkteamName=name,
            WorkforceName="default",
            Description="People who label",
            MemberDefinitions=[{"CognitoMemberDefinition": member}],
        )
        functions = [
            self.function(code, grants=[("s3:GetObject", f"arn:aws:s3:::{bucket}/output/*")])
            for code in (pre, post)
        ]
        folders = [f"arn:aws:s3:::{bucket}/{folder}/*" for folder in ("in", "beside", "output")]
        request: dict[str, Any] = {
            "LabelingJobName": name,
            "LabelAttributeName": "answer",
            "InputConfig": {
                "DataSource": {"S3DataSource": {"ManifestS3Uri": f"s3://{bucket}/in/input.manifest"}}
            },
            "OutputConfig": {"S3OutputPath": f"s3://{bucket}/output"},
            "RoleArn": self.role(
                f"labeling-{uuid.uuid4().hex[:8]}",
                ("s3:GetObject", folders),
                ("s3:PutObject", f"arn:aws:s3:::{bucket}/output/*"),
                ("lambda:InvokeFunction", functions),
            ),
            "HumanTaskConfig": {
                "WorkteamArn": team["WorkteamArn"],
                "UiConfig": {"UiTemplateS3Uri": f"s3://{bucket}/in/template.liquid.html"},
                "PreHumanTaskLambdaArn": functions[0],
                "TaskTitle": "Yes or no",
                "TaskDescription": "Answer the question",
                "NumberOfHumanWorkersPerDataObject": 2,
                "TaskTimeLimitInSeconds": 600,
                "AnnotationConsolidationConfig": {"AnnotationConsolidationLambdaArn": functions[1]},
                **changes,
            },
        }
        sagemaker.create_labeling_job(**request)
        return request

    def messages(self, url: str, count: int = 1, seconds: float = 15) -> list[dict[str, Any]]:
        """Return `count` messages of a queue."""
        found: list[dict[str, Any]] = []

        def receive() -> bool:
            answer = self.client("sqs").receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            )
            found.extend(answer.get("Messages", []))
            return len(found) >= count

        self.eventually(receive, seconds)
        return found

    def machine(self, states: Mapping[str, Any], start: str | None = None, **top: Any) -> str:
        """Create a state machine and return its ARN."""
        definition = {"StartAt": start or next(iter(states)), "States": states, **top}
        answer = self.client("stepfunctions").create_state_machine(
            name=f"machine-{uuid.uuid4().hex[:8]}",
            definition=json.dumps(definition),
            roleArn=self.role("machine-role"),
        )
        return str(answer["stateMachineArn"])

    def start(self, machine: str, event: Any = None) -> str:
        """Start an execution and return its ARN."""
        answer = self.client("stepfunctions").start_execution(
            stateMachineArn=machine, input=json.dumps(event or {})
        )
        return str(answer["executionArn"])

    def ended(self, execution: str, seconds: float = 30) -> dict[str, Any]:
        """Wait for the end of an execution and return its description."""

        def describe() -> Any:
            description = self.client("stepfunctions").describe_execution(executionArn=execution)
            return description if description["status"] != "RUNNING" else None

        return self.eventually(describe, seconds)

    def run(self, states: Mapping[str, Any], event: Any = None, **top: Any) -> dict[str, Any]:
        """Create a machine, execute it and return the description of its end."""
        return self.ended(self.start(self.machine(states, **top), event))

    def logs(self, group: str) -> list[str]:
        """Return all messages of a log group."""
        answer = self.client("logs").filter_log_events(logGroupName=group)
        return [event["message"] for event in answer["events"]]

    def job_queue(self) -> str:
        """Return the ARN of the one job queue of the tests."""
        batch = self.client("batch")
        queues = batch.describe_job_queues()["jobQueues"]
        if queues:
            return str(queues[0]["jobQueueArn"])
        environment = batch.create_compute_environment(
            computeEnvironmentName="computing", type="UNMANAGED", serviceRole=self.role("batch")
        )
        queue = batch.create_job_queue(
            jobQueueName="jobs",
            state="ENABLED",
            priority=1,
            computeEnvironmentOrder=[
                {"order": 1, "computeEnvironment": environment["computeEnvironmentArn"]}
            ],
        )
        return str(queue["jobQueueArn"])

    def job_definition(self, *command: str, **settings: Any) -> str:
        """Register a job definition and return its ARN."""
        properties = {
            "image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/program:1",
            "command": list(command),
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}],
            **settings.pop("properties", {}),
        }
        answer = self.client("batch").register_job_definition(
            jobDefinitionName=f"definition-{uuid.uuid4().hex[:8]}",
            type="container",
            containerProperties=properties,
            **settings,
        )
        return str(answer["jobDefinitionArn"])

    def submit(self, definition: str, **settings: Any) -> str:
        """Submit a job and return its id."""
        answer = self.client("batch").submit_job(
            jobName=settings.pop("name", "job"),
            jobQueue=self.job_queue(),
            jobDefinition=definition,
            **settings,
        )
        return str(answer["jobId"])

    def job(self, job_id: str) -> dict[str, Any]:
        """Describe a job."""
        (job,) = self.client("batch").describe_jobs(jobs=[job_id])["jobs"]
        return job

    def finished(self, job_id: str, seconds: float = 30) -> dict[str, Any]:
        """Wait for the end of a job and return its description."""

        def describe() -> Any:
            job = self.job(job_id)
            return job if job["status"] in ("SUCCEEDED", "FAILED") else None

        return self.eventually(describe, seconds)

    def job_log(self, job: dict[str, Any]) -> list[str]:
        """Return what a job's program printed."""
        answer = self.client("logs").get_log_events(
            logGroupName="/aws/batch/job", logStreamName=job["container"]["logStreamName"], startFromHead=True
        )
        return [event["message"] for event in answer["events"]]


@pytest.fixture(scope="session")
def dockerfile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Dockerfile of the test program."""
    folder = tmp_path_factory.mktemp("image")
    program = folder / "program.py"
    program.write_text(PROGRAM)
    path = folder / "Dockerfile"
    path.write_text(f'FROM python:3.12\nCOPY program.py .\nENTRYPOINT ["python", "{program}"]\n')
    return path


@pytest.fixture(scope="session")
def account(dockerfile: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """The embedded AWS that the tests of this folder share; each test makes resources of its own in it."""
    log = tmp_path_factory.mktemp("log") / "local_aws.log"
    with LocalAws(time_scale=0, dockerfile=dockerfile, log=log) as aws:
        yield Account(aws)
