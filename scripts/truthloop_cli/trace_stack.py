"""The deployed stack as `truthloop workers` and `truthloop trace` use it: tables and bucket, by prefix."""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, TypeVar

import boto3
import typer
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from truthloop.campaign import Campaign, find_campaign
from truthloop.errors import InvalidUri, TruthloopError
from truthloop.labeling.jobs import JobsTable
from truthloop.layout import CampaignLayout
from truthloop.s3 import S3Gateway
from truthloop.trace.answers import AnswersTable
from truthloop.trace.people import People
from truthloop.trace.recording import JobBook, Recorder

Item = TypeVar("Item")
Result = TypeVar("Result")

# Reading many small files waits rather than works.
THREADS = 32
# A table that is throttled for a while is no reason to give up: these commands may take long.
_CONFIG = Config(
    connect_timeout=5,
    read_timeout=60,
    retries={"mode": "adaptive", "total_max_attempts": 12},
    max_pool_connections=THREADS,
    user_agent_extra="truthloop",
)
_SUFFIX = "-answers"

Prefix = Annotated[
    str, typer.Option(envvar="TRUTHLOOP_PREFIX", help="The stack's name_prefix, such as truthloop-dev.")
]
Bucket = Annotated[
    str,
    typer.Option(
        envvar="TRUTHLOOP_DATA_BUCKET",
        help="Default: the stack's own data bucket, <prefix>-data-<account>.",
    ),
]


class UnknownStack(TruthloopError):
    """There is no stack of a prefix in the account and region that the credentials are for."""


class UnknownCampaign(TruthloopError):
    """The data bucket has no campaign of a name."""


class AwsRefuses(TruthloopError):
    """AWS cannot be asked, or doesn't do what it is asked."""


@dataclass(frozen=True)
class TracedStack:
    """One deployed stack; every client is made with boto3's own environment."""

    prefix: str
    data_bucket: str

    @classmethod
    def find(cls, prefix: str, bucket: str) -> TracedStack:
        """The stack of a prefix; `bucket` is empty for the stack's own data bucket.

        Raises
        ------
        UnknownStack
            When the stack has no answers table.
        """
        stack = cls(prefix, bucket or f"{prefix}-data-{client('sts').get_caller_identity()['Account']}")
        dynamodb = stack.dynamodb
        try:
            dynamodb.describe_table(TableName=f"{prefix}{_SUFFIX}")
        except dynamodb.exceptions.ResourceNotFoundException as error:
            pages = dynamodb.get_paginator("list_tables").paginate()
            names = [name for page in pages for name in page["TableNames"]]
            found = [name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)]
            raise UnknownStack(
                f"There is no table {prefix}{_SUFFIX} in {dynamodb.meta.region_name}; "
                f"{_suggestion('stacks here', prefix, found)} Give --prefix, or set TRUTHLOOP_PREFIX; "
                "region and account are those of AWS_DEFAULT_REGION and AWS_PROFILE."
            ) from error
        return stack

    @cached_property
    def dynamodb(self) -> Any:
        return client("dynamodb")

    @cached_property
    def s3(self) -> S3Gateway:
        return S3Gateway(self.s3_client)

    @cached_property
    def s3_client(self) -> Any:
        return client("s3")

    @cached_property
    def answers(self) -> AnswersTable:
        return AnswersTable(f"{self.prefix}{_SUFFIX}", self.dynamodb)

    @cached_property
    def people(self) -> People:
        return People(f"{self.prefix}-workers", self.dynamodb)

    @cached_property
    def jobs(self) -> JobsTable:
        return JobsTable(f"{self.prefix}-jobs", self.dynamodb)

    @cached_property
    def recorder(self) -> Recorder:
        return Recorder(self.s3, self.answers, self.people, JobBook(self.jobs))

    def layout(self, campaign: str) -> CampaignLayout:
        return CampaignLayout(self.data_bucket, campaign)

    def campaign(self, name: str) -> Campaign:
        """A campaign's frozen document.

        Raises
        ------
        UnknownCampaign
            When there is none of this name.
        """
        layout = self.layout(name)
        try:
            # A name with a slash in it would be somewhere else.
            CampaignLayout.from_uri(layout.uri)
            found = find_campaign(self.s3, layout)
        except InvalidUri:
            found = None
        if found is None:
            known = _suggestion("campaigns", name, self._campaigns())
            raise UnknownCampaign(
                f"{self.data_bucket} has no campaign {name!r}; {known} Give --campaign one of them, or "
                "another --prefix or --bucket."
            )
        return found

    def _campaigns(self) -> list[str]:
        pages = self.s3_client.get_paginator("list_objects_v2").paginate(
            Bucket=self.data_bucket, Prefix="campaigns/", Delimiter="/"
        )
        return [each["Prefix"].split("/")[1] for page in pages for each in page.get("CommonPrefixes", [])]


def client(service: str) -> Any:
    """A client of one AWS service that waits out throttling."""
    make: Any = boto3.client
    return make(service, config=_CONFIG)


@contextmanager
def explained() -> Iterator[None]:
    """Turn what boto3 raises into one clear message."""
    try:
        yield
    except NoCredentialsError as error:
        raise AwsRefuses("There are no AWS credentials: set AWS_PROFILE, or run `aws configure`.") from error
    except NoRegionError as error:
        raise AwsRefuses(
            "No AWS region is set: set AWS_DEFAULT_REGION, or a region in the profile."
        ) from error
    except ClientError as error:
        details = error.response["Error"]
        raise AwsRefuses(
            f"AWS refuses {error.operation_name}: {details.get('Code')}: {details.get('Message')}"
        ) from error
    except BotoCoreError as error:
        raise AwsRefuses(f"AWS cannot be asked: {error}") from error


def concurrently(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int = THREADS
) -> Iterator[Result]:
    """The results of some work, in the order of the items; only so many items are taken at a time."""
    source = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[Result]] = deque()
        try:
            for item in source:
                running.append(pool.submit(work, item))
                if len(running) >= 4 * threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for each in running:
                each.cancel()


def printable(text: str) -> str:
    """What somebody wrote, as one line without controls of the terminal."""
    return "".join(each if each.isprintable() else " " for each in text)


def closest(wanted: str, known: Iterable[str], number: int = 5) -> list[str]:
    """The known names most like the wanted one."""
    return difflib.get_close_matches(wanted, list(known), n=number, cutoff=0.3)


def _suggestion(what: str, wanted: str, known: list[str]) -> str:
    shown = closest(wanted, known) or sorted(known)[:5]
    return f"{what}: {', '.join(shown)}." if shown else f"there are no {what}."
