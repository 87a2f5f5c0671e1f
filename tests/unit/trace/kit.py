"""What the traceability tests share: a stack's tables and versioned bucket, and the files that jobs write."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from truthloop import aws
from truthloop.campaign import Campaign, InputManifest
from truthloop.labeling.jobs import JobRecord, JobsTable
from truthloop.layout import AuditLayout, CampaignLayout
from truthloop.prices import Prices
from truthloop.request import parse_request
from truthloop.s3 import S3Gateway
from truthloop.trace.answers import AnswersTable
from truthloop.trace.people import People
from truthloop.trace.recording import JobBook, Recorder
from truthloop_cli import trace_stack

PREFIX = "truthloop-test"
BUCKET = f"{PREFIX}-data-123456789012"
LAYOUT = CampaignLayout(BUCKET, "digits")
ISSUER = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_TEAM"
START = datetime(2030, 1, 31, 12, tzinfo=UTC)
ACCOUNT_AND_REGION = "us-east-1:123456789012"


@dataclass(frozen=True)
class Someone:
    """A person as the labelling service's files name them."""

    worker_id: str
    sub: str

    @property
    def identifiers(self) -> tuple[str, str]:
        return self.worker_id, self.sub


ANNA = Someone("private.us-east-1.aaaaaaaaaaaaaaaa", "0aaaaaaa-1111-4222-8333-444444444444")
BEN = Someone("private.us-east-1.bbbbbbbbbbbbbbbb", "0bbbbbbb-1111-4222-8333-444444444444")
CHIE = Someone("private.us-east-1.cccccccccccccccc", "0ccccccc-1111-4222-8333-444444444444")
DORA = Someone("private.us-east-1.dddddddddddddddd", "0ddddddd-1111-4222-8333-444444444444")


def time_text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def answer(
    who: Someone, minute: float = 0, content: Any = None, seconds: float = 12.5, **changes: Any
) -> dict[str, Any]:
    """An answer as Ground Truth writes it, submitted so many minutes after START."""
    submitted = START + timedelta(minutes=minute)
    whole = {
        "answerContent": {"class": {"label": "cat"}} if content is None else content,
        "acceptanceTime": time_text(submitted - timedelta(seconds=seconds + 1)),
        "submissionTime": time_text(submitted),
        "timeSpentInSeconds": seconds,
        "workerId": who.worker_id,
        "workerMetadata": {
            "identityData": {"identityProviderType": "Cognito", "issuer": ISSUER, "sub": who.sub}
        },
        **changes,
    }
    return {key: value for key, value in whole.items() if value is not None}


@dataclass
class Stack:
    """A deployed stack as far as traceability sees it."""

    s3: S3Gateway
    answers: AnswersTable
    people: People
    jobs: JobsTable
    client: Any

    def recorder(self) -> Recorder:
        """A new one, as in a new container: it remembers nothing."""
        return Recorder(self.s3, self.answers, People(f"{PREFIX}-workers"), JobBook(self.jobs))

    def job(self, name: str, purpose: str = "label", number: int = 0, campaign: str = "digits") -> None:
        """Make a job known, as before it is created; it has ended."""
        self.jobs.open(
            JobRecord(
                job_name=name,
                campaign=campaign,
                campaign_uri=LAYOUT.uri if campaign else "",
                round=number,
                attempt=1,
                task_type="image-classification",
                label_categories=("cat", "dog", "bird"),
                label_attribute="label",
                task_token="token",
                waiting_since=START.isoformat(),
                purpose=purpose,
            )
        )
        self.jobs.mark_released(self.jobs.require(name), "Completed", START)

    def respond(
        self, job: str, index: int, answers: Iterable[Any], folder: str | None = None, second: int = 0
    ) -> str:
        """Write a worker-response file; returns its URI."""
        prefix = LAYOUT.labeling_prefix() if folder is None else folder
        where = f"{prefix}{job}/annotations/worker-response/iteration-1/{index}/"
        uri = f"{where}2030-01-31_12:00:{second:02d}.json"
        self.s3.write_bytes(uri, json.dumps({"answers": list(answers)}).encode(), "application/json")
        return uri

    def evidence(
        self,
        job: str,
        objects: Mapping[str, Mapping[str, float]],
        gold: Mapping[str, Mapping[str, float]] | None = None,
    ) -> str:
        """Write an evidence file: agreement by object and worker id, and scores on gold items."""
        uri = f"{LAYOUT.worker_evidence_prefix(job)}{'0' * 32}.json"
        document = {
            "objects": {
                index: {
                    worker: {"agreement": each, "counts": {"right": each}} for worker, each in workers.items()
                }
                for index, workers in objects.items()
            },
            "gold": gold or {},
        }
        self.s3.write_json(uri, document)
        return uri

    def verdicts(self, verdicts: Iterable[Mapping[str, Any]], step: int = 1) -> str:
        """Write the verdicts of a step of an audit of the campaign."""
        uri = AuditLayout(BUCKET, "digits", "digits-r0-0000abcd").verdicts(step)
        self.s3.write_json(uri, {"verdicts": list(verdicts)})
        return uri

    def campaign(self, **changes: Any) -> Campaign:
        """Freeze a campaign."""
        request = parse_request(
            {
                "campaign": LAYOUT.campaign,
                "task_type": "image-classification",
                "manifest_uri": "s3://images/all.manifest",
                "label_categories": ["cat", "dog", "bird"],
                **changes,
            }
        )
        campaign = Campaign(
            request=request,
            request_sha256=request.sha256(),
            workteam_arn=f"arn:aws:sagemaker:{ACCOUNT_AND_REGION}:workteam/private-crowd/labelers",
            prices=Prices(0.08, 0.02, 0.04, 0.004),
            input=InputManifest('"etag"', "0" * 64, 3),
            execution_arn=f"arn:aws:states:{ACCOUNT_AND_REGION}:execution:loop:one",
            created_at=START - timedelta(hours=1),
        )
        self.s3.write_json(LAYOUT.campaign_document(), campaign.to_document())
        return campaign

    def worker(self, who: Someone) -> str:
        """The pseudonym of somebody who is known."""
        (found,) = [each.worker for each in self.people.identities() if who.sub == each.sub]
        return found

    def everything(self) -> str:
        """All items of all tables and all versions of all objects, as one text."""
        dynamodb = mocked_client("dynamodb")
        parts = [
            json.dumps(page["Items"], default=str)
            for name in dynamodb.list_tables()["TableNames"]
            for page in dynamodb.get_paginator("scan").paginate(TableName=name)
        ]
        versions = self.client.list_object_versions(Bucket=BUCKET).get("Versions", [])
        for each in versions:
            body = self.client.get_object(Bucket=BUCKET, Key=each["Key"], VersionId=each["VersionId"])["Body"]
            parts.append(f"{each['Key']}\n{body.read().decode('utf-8', 'replace')}")
        return "\n".join(parts)


def verdict(job: str, index: int, decision: str, minute: float = 60, **changes: Any) -> dict[str, Any]:
    return {
        "job_name": job,
        "object": str(index),
        "decision": decision,
        "reason": "wrong-label" if decision == "reject" else "",
        "purpose": "audit",
        "why": "random",
        "at": (START + timedelta(minutes=minute)).isoformat(),
        **changes,
    }


@cache
def mocked_client(service: str) -> Any:
    """A client that never reaches a network, one for all tests: making one takes longer than most of them."""
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    return session.client(service, config=Config(max_pool_connections=32))  # type: ignore[call-overload]


@contextmanager
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """A deployed stack in an AWS in this process, which the package and the commands talk to."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "TRUTHLOOP_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(aws, "client", mocked_client)
    monkeypatch.setattr(trace_stack, "client", mocked_client)
    with mock_aws():
        yield make_stack(mocked_client)


def make_stack(client: Callable[[str], Any]) -> Stack:
    """Make the tables as terraform does, and a versioned bucket."""
    dynamodb, s3 = client("dynamodb"), client("s3")
    _table(
        dynamodb,
        f"{PREFIX}-answers",
        ("answer_of", "worker"),
        {"by-campaign": ("campaign", "submitted_at"), "by-worker": ("worker", "submitted_at")},
    )
    _table(dynamodb, f"{PREFIX}-workers", ("worker",), {})
    _table(dynamodb, f"{PREFIX}-jobs", ("job_name",), {"by-state": ("state", "created_at")})
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return Stack(
        S3Gateway(s3),
        AnswersTable(f"{PREFIX}-answers", dynamodb),
        People(f"{PREFIX}-workers", dynamodb),
        JobsTable(f"{PREFIX}-jobs", dynamodb),
        s3,
    )


def _table(dynamodb: Any, name: str, key: tuple[str, ...], indexes: Mapping[str, tuple[str, str]]) -> None:
    def schema(names: tuple[str, ...]) -> list[dict[str, str]]:
        return [
            {"AttributeName": each, "KeyType": kind}
            for each, kind in zip(names, ("HASH", "RANGE"), strict=False)
        ]

    names = {*key, *(each for pair in indexes.values() for each in pair)}
    options: dict[str, Any] = {}
    if indexes:
        options["GlobalSecondaryIndexes"] = [
            {"IndexName": index, "KeySchema": schema(pair), "Projection": {"ProjectionType": "ALL"}}
            for index, pair in indexes.items()
        ]
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=schema(key),
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in sorted(names)],
        **options,
    )


def delivery(records: Iterable[Any], kind: str = "DATA_MESSAGE") -> dict[str, Any]:
    """What CloudWatch Logs sends to a subscription: records are texts, or objects to be written as JSON."""
    document = {
        "messageType": kind,
        "owner": "123456789012",
        "logGroup": "/aws/sagemaker/groundtruth/WorkerActivity",
        "logEvents": [
            {
                "id": str(number),
                "timestamp": 0,
                "message": each if isinstance(each, str) else json.dumps(each),
            }
            for number, each in enumerate(records)
        ],
    }
    return {"awslogs": {"data": base64.b64encode(gzip.compress(json.dumps(document).encode())).decode()}}


def activity(who: Someone, job: str, kind: str = "TasksDeclined", **changes: Any) -> dict[str, Any]:
    """A record of the log of the workers' activity, whose worker_id is another than in the files."""
    ended = "Thu Jan 31 12:05:09 UTC 2030"
    return {
        "worker_id": who.worker_id.rpartition(".")[2],
        "cognito_user_pool_id": "us-east-1_TEAM",
        "cognito_sub_id": who.sub,
        "task_accepted_time": "Thu Jan 31 12:05:00 UTC 2030",
        "task_submitted_time": ended if kind == "TasksSubmitted" else "",
        "task_returned_time": ended if kind == "TasksReturned" else "",
        "task_declined_time": ended if kind == "TasksDeclined" else "",
        "workteam_arn": f"arn:aws:sagemaker:{ACCOUNT_AND_REGION}:workteam/private-crowd/labelers",
        "labeling_job_arn": f"arn:aws:sagemaker:{ACCOUNT_AND_REGION}:labeling-job/{job}",
        "job_type": "Private",
        "event_type": kind,
        "event_timestamp": "1896091509",
        **changes,
    }
