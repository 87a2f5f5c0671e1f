"""The boto3 clients, made once per container with timeouts and retries that suit a short-lived function."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_stepfunctions import SFNClient

# The default of 60 s per try and no bound on the sum would let one dead connection use up a function's time.
_CONFIG = Config(
    connect_timeout=5,
    read_timeout=30,
    retries={"mode": "standard", "total_max_attempts": 5},
    max_pool_connections=32,
    user_agent_extra="truthloop",
)


@cache
def client(service: str) -> Any:
    """The client of one AWS service, the same one on every call; `client.cache_clear()` forgets them."""
    make: Any = boto3.client
    return make(service, config=_CONFIG)


def s3() -> S3Client:
    return cast("S3Client", client("s3"))


def dynamodb() -> DynamoDBClient:
    return cast("DynamoDBClient", client("dynamodb"))


def sagemaker() -> SageMakerClient:
    return cast("SageMakerClient", client("sagemaker"))


def sns() -> SNSClient:
    return cast("SNSClient", client("sns"))


def stepfunctions() -> SFNClient:
    return cast("SFNClient", client("stepfunctions"))
