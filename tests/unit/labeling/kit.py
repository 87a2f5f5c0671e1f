"""What the labelling tests share: a campaign, records, a backend in memory, and executions that wait."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from truthloop.campaign import Campaign, InputManifest
from truthloop.labeling.backend import Job, JobNameTaken, JobNotFound, JobStatus, JobSubmission
from truthloop.labeling.creation import Functions
from truthloop.labeling.jobs import JobRecord
from truthloop.layout import CampaignLayout
from truthloop.prices import Prices
from truthloop.request import parse_request

ROOT = Path(__file__).resolve().parents[3]
BUCKET = "data-bucket"
TABLE = "jobs"
LAYOUT = CampaignLayout(BUCKET, "digits")
NOW = datetime(2030, 1, 31, 12, 0, 0, tzinfo=UTC)
REGION_AND_ACCOUNT = "us-east-1:123456789012"
WORKTEAM = f"arn:aws:sagemaker:{REGION_AND_ACCOUNT}:workteam/private-crowd/annotators"
FUNCTIONS = Functions(
    role_arn="arn:aws:iam::123456789012:role/labeling",
    pre_annotation_arn=f"arn:aws:lambda:{REGION_AND_ACCOUNT}:function:pre-annotation",
    post_annotation_arn=f"arn:aws:lambda:{REGION_AND_ACCOUNT}:function:post-annotation",
)
CATEGORIES = ("cat", "dog", "bird")


def campaign(**changes: Any) -> Campaign:
    """A prepared campaign; `changes` are keys of the request."""
    request = parse_request(
        {
            "campaign": LAYOUT.campaign,
            "task_type": "image-classification",
            "manifest_uri": "s3://images/all.manifest",
            "label_categories": list(CATEGORIES),
            **changes,
        }
    )
    return Campaign(
        request=request,
        request_sha256=request.sha256(),
        workteam_arn=WORKTEAM,
        prices=Prices(0.08, 0.012, 0.04, 0.004),
        input=InputManifest('"etag"', "0" * 64, 3),
        execution_arn=f"arn:aws:states:{REGION_AND_ACCOUNT}:execution:loop:one",
        created_at=NOW,
    )


def record(name: str = "digits-r0-a1-0123abcd", **changes: Any) -> JobRecord:
    known = JobRecord(
        job_name=name,
        campaign=LAYOUT.campaign,
        campaign_uri=LAYOUT.uri,
        round=0,
        attempt=1,
        task_type="image-classification",
        label_categories=CATEGORIES,
        label_attribute="label",
        task_token="token-1",
        waiting_since=NOW.isoformat(),
    )
    return replace(known, **changes)


def submission(name: str = "digits-r0-a1-0123abcd", **changes: Any) -> JobSubmission:
    known = JobSubmission(
        name=name,
        manifest_uri=LAYOUT.selection_manifest(0),
        output_uri=LAYOUT.labeling_prefix(),
        label_attribute="label",
        label_categories_uri=LAYOUT.label_categories(),
        template_uri=f"s3://{BUCKET}/templates/image-classification/template.liquid.html",
        role_arn=FUNCTIONS.role_arn,
        pre_annotation_function_arn=FUNCTIONS.pre_annotation_arn,
        post_annotation_function_arn=FUNCTIONS.post_annotation_arn,
        workteam_arn=WORKTEAM,
        workers_per_object=3,
        task_title="Choose the label",
        task_description="Look at the item and choose the label that fits it.",
        task_keywords=("labeling",),
        task_time_limit_seconds=600,
        task_availability_seconds=864_000,
        max_concurrent_tasks=1_000,
    )
    return replace(known, **changes)


@dataclass
class BackendInMemory:
    """A labelling backend without people: a test says when a job ends."""

    jobs: dict[str, Job] = field(default_factory=dict)
    on_submit: Callable[[JobSubmission], None] = lambda job: None
    broken: set[str] = field(default_factory=set)

    def submit(self, job: JobSubmission) -> None:
        self.on_submit(job)
        if job.name in self.jobs:
            raise JobNameTaken(job.name)
        self.jobs[job.name] = Job(job.name, JobStatus.IN_PROGRESS, job.manifest_uri, job.output_uri)

    def describe(self, name: str) -> Job:
        if name in self.broken:
            raise client_error("ThrottlingException", "DescribeLabelingJob")
        if name not in self.jobs:
            raise JobNotFound(name)
        return self.jobs[name]

    def stop(self, name: str) -> None:
        self.finish(name, JobStatus.STOPPED)

    def finish(self, name: str, status: JobStatus, **changes: Any) -> None:
        self.jobs[name] = replace(self.jobs[name], status=status, **changes)


@dataclass
class WaitingExecutions:
    """Step Functions as seen by whoever holds task tokens: a token works once, dead ones are refused."""

    dead: dict[str, str] = field(default_factory=dict)
    successes: dict[str, Any] = field(default_factory=dict)
    failures: dict[str, tuple[str, str]] = field(default_factory=dict)
    heartbeats: list[str] = field(default_factory=list)
    on_send: Callable[[], None] = lambda: None

    def send_task_success(self, *, taskToken: str, output: str) -> None:
        self._use(taskToken, "SendTaskSuccess")
        self.successes[taskToken] = json.loads(output)

    def send_task_failure(self, *, taskToken: str, error: str, cause: str) -> None:
        self._use(taskToken, "SendTaskFailure")
        self.failures[taskToken] = (error, cause)

    def send_task_heartbeat(self, *, taskToken: str) -> None:
        self._check(taskToken, "SendTaskHeartbeat")
        self.heartbeats.append(taskToken)

    def _use(self, token: str, operation: str) -> None:
        self._check(token, operation)
        self.dead[token] = "InvalidToken"
        self.on_send()

    def _check(self, token: str, operation: str) -> None:
        if token in self.dead:
            raise client_error(self.dead[token], operation)


def client_error(code: str, operation: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def load_handler(function: str) -> ModuleType:
    """Import `lambdas/<function>/handler.py` under a name of its own."""
    spec = importlib.util.spec_from_file_location(
        f"handler_of_{function}", ROOT / "lambdas" / function / "handler.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up while they are made.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def lambda_context(function: str) -> Any:
    return SimpleNamespace(
        function_name=function,
        memory_limit_in_mb=256,
        invoked_function_arn=f"arn:aws:lambda:{REGION_AND_ACCOUNT}:function:{function}",
        aws_request_id="00000000-0000-0000-0000-000000000000",
    )
