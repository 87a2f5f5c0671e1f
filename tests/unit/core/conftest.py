"""An in-process AWS for the tests of the core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import boto3
import pytest
from moto import mock_aws

from truthloop import aws
from truthloop.ledger import Ledger
from truthloop.s3 import S3Gateway
from unit.core.kit import DATA_BUCKET, INPUT_BUCKET, LEDGER_TABLE, REGION, World, cors_rule


@pytest.fixture(scope="session")
def clients() -> Callable[[str], Any]:
    """Clients that never reach a network: making one takes longer than most tests."""
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
    return cache(session.client)


@pytest.fixture
def cloud(clients: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty AWS in this process, which the package's own clients talk to."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(aws, "client", clients)
    with mock_aws():
        yield


@pytest.fixture
def world(cloud: None) -> World:
    """A deployed stack as far as the core sees it, and a customer's bucket."""
    client = aws.s3()
    for bucket in (DATA_BUCKET, INPUT_BUCKET):
        client.create_bucket(Bucket=bucket)
        client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [cors_rule()]})
    for folder in ("image-classification", "audit"):
        client.put_object(Bucket=DATA_BUCKET, Key=f"templates/{folder}/template.liquid.html", Body=b"<p></p>")
    aws.dynamodb().create_table(
        TableName=LEDGER_TABLE,
        KeySchema=[
            {"AttributeName": "campaign", "KeyType": "HASH"},
            {"AttributeName": "entry", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "campaign", "AttributeType": "S"},
            {"AttributeName": "entry", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return World(client, S3Gateway(), Ledger(LEDGER_TABLE))
