"""What the tests of the core share: a stack in an in-process AWS, and the request that they vary."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError
from hypothesis import settings

from truthloop import aws
from truthloop.ledger import Ledger
from truthloop.s3 import S3Gateway, parse_uri

REGION = "us-east-1"
DATA_BUCKET = "truthloop-test-data"
INPUT_BUCKET = "truthloop-test-input"
LEDGER_TABLE = "truthloop-test-ledger"
MANIFEST_URI = f"s3://{INPUT_BUCKET}/objects.manifest"
WORKTEAM_ARN = f"arn:aws:sagemaker:{REGION}:123456789012:workteam/private-crowd/annotators"
AUDITORS_ARN = f"arn:aws:sagemaker:{REGION}:123456789012:workteam/private-crowd/auditors"
GOLD_URI = f"s3://{INPUT_BUCKET}/gold.manifest"
EXECUTION_ARN = f"arn:aws:states:{REGION}:123456789012:execution:loop:first"
# Other processes may be using the machine, so that no example can be held to a time.
examples = settings(max_examples=50, deadline=None)
LAMBDAS = Path(__file__).parents[3] / "lambdas"


@dataclass
class Teams:
    """Stands in for SageMaker, which moto knows no work teams of."""

    arns: tuple[str, ...] = (WORKTEAM_ARN, AUDITORS_ARN)
    meta: Any = field(default_factory=lambda: SimpleNamespace(region_name=REGION))

    def describe_workteam(self, WorkteamName: str) -> dict[str, Any]:
        for arn in self.arns:
            if arn.endswith(f"/{WorkteamName}"):
                return {"Workteam": {"WorkteamArn": arn, "WorkteamName": WorkteamName}}
        error = {"Code": "ValidationException", "Message": f"Work team {WorkteamName} does not exist."}
        raise ClientError({"Error": error}, "DescribeWorkteam")


@dataclass
class World:
    """A deployed stack as far as the core sees it, and a customer's bucket."""

    client: Any
    s3: S3Gateway
    ledger: Ledger
    teams: Teams = field(default_factory=Teams)

    def put(self, uri: str, content: bytes | str) -> None:
        where = parse_uri(uri)
        body = content.encode() if isinstance(content, str) else content
        self.client.put_object(Bucket=where.bucket, Key=where.key, Body=body)

    def put_manifest(self, rows: list[dict[str, Any]], uri: str = MANIFEST_URI) -> None:
        self.put(uri, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    def keys(self, bucket: str) -> dict[str, str]:
        """Key -> ETag of all objects."""
        listed = self.client.list_objects_v2(Bucket=bucket).get("Contents", [])
        return {item["Key"]: item["ETag"] for item in listed}

    def ledger_entries(self) -> list[dict[str, Any]]:
        return aws.dynamodb().scan(TableName=LEDGER_TABLE)["Items"]


def cors_rule(**changes: Any) -> dict[str, Any]:
    return {
        "AllowedMethods": ["GET"],
        "AllowedOrigins": ["*"],
        "ExposeHeaders": ["Access-Control-Allow-Origin"],
        **changes,
    }


def image_row(number: int, **keys: Any) -> dict[str, Any]:
    return {"source-ref": f"s3://{INPUT_BUCKET}/images/{number:04d}.png", **keys}


def request_document(**changes: Any) -> dict[str, Any]:
    """A small valid request; a section given in `changes` replaces only the keys that it names."""
    document: dict[str, Any] = {
        "campaign": "digits",
        "task_type": "image-classification",
        "manifest_uri": MANIFEST_URI,
        "label_categories": ["cat", "dog"],
        "selection": {"seed_size": 4, "round_size": 3},
    }
    for key, value in changes.items():
        known = document.get(key)
        document[key] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
    return document


def load_handler(function: str) -> ModuleType:
    """Import a function's handler.py as Lambda does, under a name of its own."""
    name = f"handler_of_{function}"
    spec = importlib.util.spec_from_file_location(name, LAMBDAS / function / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def lambda_context(function: str) -> SimpleNamespace:
    return SimpleNamespace(
        function_name=function,
        memory_limit_in_mb=512,
        invoked_function_arn=f"arn:aws:lambda:{REGION}:123456789012:function:{function}",
        aws_request_id="request",
    )
