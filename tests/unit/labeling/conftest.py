from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from truthloop import aws
from truthloop.labeling.jobs import JobsTable
from truthloop.labeling.waiting import Waiting
from truthloop.s3 import S3Gateway
from unit.labeling.kit import BUCKET, NOW, TABLE, BackendInMemory, WaitingExecutions


@pytest.fixture
def mocked_aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        aws.client.cache_clear()
        yield
    aws.client.cache_clear()


@pytest.fixture
def s3(mocked_aws: None) -> S3Gateway:
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    return S3Gateway()


@pytest.fixture
def jobs(mocked_aws: None) -> JobsTable:
    boto3.client("dynamodb").create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "job_name", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("job_name", "state", "created_at")
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-state",
                "KeySchema": [
                    {"AttributeName": "state", "KeyType": "HASH"},
                    {"AttributeName": "created_at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    return JobsTable(TABLE)


@pytest.fixture
def backend() -> BackendInMemory:
    return BackendInMemory()


@pytest.fixture
def executions() -> WaitingExecutions:
    return WaitingExecutions()


@pytest.fixture
def waiting(jobs: JobsTable, backend: BackendInMemory, executions: WaitingExecutions) -> Waiting:
    return Waiting(jobs, backend, executions, lambda: NOW)  # type: ignore[arg-type]
