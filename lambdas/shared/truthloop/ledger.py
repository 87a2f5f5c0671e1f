"""The gateway to the ledger table: how each campaign stands, and what each of its rounds brought and cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeSerializer

from truthloop import aws
from truthloop.errors import CampaignExists, CampaignFinished

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

RUNNING = "RUNNING"
SUCCEEDED = "SUCCEEDED"
FAILED = "FAILED"

_CAMPAIGN_ENTRY = "campaign"


@dataclass(frozen=True)
class Outcome:
    """How an execution ended, SUCCEEDED or FAILED; `error` and `state` say why and where it failed."""

    status: str
    at: datetime
    error: str | None = None
    state: str | None = None


class Ledger:
    """Writes the entries of campaigns: "campaign" for the whole, "round#00003" for a round."""

    def __init__(self, table: str, client: DynamoDBClient | None = None) -> None:
        self._table = table
        self._client = aws.dynamodb() if client is None else client

    def start(self, campaign: str, request_sha256: str, execution_arn: str, at: datetime) -> None:
        """Mark a campaign as running under an execution, for the first time or again.

        The time of the first start stays; what an earlier failure left is cleared. The same call again
        changes nothing.

        Raises
        ------
        CampaignExists
            When another request runs under this name.
        CampaignFinished
            When the campaign has succeeded.
        """
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key(campaign, _CAMPAIGN_ENTRY),
                UpdateExpression=(
                    "SET #status = :running, request_sha256 = :request, execution_arn = :execution, "
                    "started_at = if_not_exists(started_at, :at) REMOVE finished_at, #error, #state"
                ),
                ConditionExpression=(
                    "attribute_not_exists(campaign) OR (request_sha256 = :request AND #status <> :succeeded)"
                ),
                ExpressionAttributeNames={"#status": "status", "#error": "error", "#state": "state"},
                ExpressionAttributeValues=_serialised(
                    {
                        ":running": RUNNING,
                        ":succeeded": SUCCEEDED,
                        ":request": request_sha256,
                        ":execution": execution_arn,
                        ":at": at.isoformat(),
                    }
                ),
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            item = self._client.get_item(
                TableName=self._table, Key=_key(campaign, _CAMPAIGN_ENTRY), ConsistentRead=True
            )["Item"]
            if item["request_sha256"]["S"] != request_sha256:
                raise campaign_exists(campaign) from error
            raise CampaignFinished(
                f"The campaign {campaign} has succeeded at {item['finished_at']['S']}; there is nothing to "
                "resume. Read its report, or choose another campaign name to run the request again."
            ) from error

    def finish(self, campaign: str, execution_arn: str, outcome: Outcome) -> bool:
        """Record how an execution ended; the same call again changes nothing but the time.

        Returns
        -------
        bool
            False, and nothing is written, when the campaign runs under another execution or is unknown.
        """
        names = {"#status": "status", "#error": "error", "#state": "state"}
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key(campaign, _CAMPAIGN_ENTRY),
                UpdateExpression="SET #status = :status, finished_at = :at, #error = :error, #state = :state",
                ConditionExpression="execution_arn = :execution",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=_serialised(
                    {
                        ":status": outcome.status,
                        ":at": outcome.at.isoformat(),
                        ":error": outcome.error,
                        ":state": outcome.state,
                        ":execution": execution_arn,
                    }
                ),
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def record_round(self, campaign: str, decision: Mapping[str, Any]) -> None:
        """Write the entry of a round from its decision; the same decision again changes nothing."""
        entry = f"round#{decision['round']:05d}"
        self._client.put_item(TableName=self._table, Item={**_key(campaign, entry), **_serialised(decision)})


def campaign_exists(campaign: str) -> CampaignExists:
    """The error for a name that another request has."""
    return CampaignExists(
        f"A campaign {campaign} exists with another request. To resume it, start its own request again "
        "(campaign.json below its folder holds it); for a new campaign choose another name."
    )


def _key(campaign: str, entry: str) -> dict[str, Any]:
    return {"campaign": {"S": campaign}, "entry": {"S": entry}}


def _serialised(values: Mapping[str, Any]) -> dict[str, Any]:
    serialiser = TypeSerializer()
    return {name: serialiser.serialize(_with_decimals(value)) for name, value in values.items()}


def _with_decimals(value: Any) -> Any:
    """DynamoDB takes no binary floating point; the shortest decimal is the number that was meant."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, Mapping):
        return {key: _with_decimals(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_with_decimals(inner) for inner in value]
    return value
