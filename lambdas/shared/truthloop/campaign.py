"""The frozen campaign document, campaign.json: the request, and what prepare resolved when it froze it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from truthloop.layout import CampaignLayout
from truthloop.prices import Prices
from truthloop.request import CampaignRequest, parse_request
from truthloop.s3 import S3Gateway

_PREPARED = "prepared"


@dataclass(frozen=True)
class InputManifest:
    """The input manifest as it was read: its ETag, the SHA-256 of its bytes, its rows."""

    etag: str
    sha256: str
    rows: int


@dataclass(frozen=True)
class Campaign:
    """A campaign that exists.

    Attributes
    ----------
    request
        As the user sent it, with the defaults filled in.
    request_sha256
        Digest of that request; another one under the same name is another campaign.
    workteam_arn
        The work team: the request's, or the stack's own.
    prices
        All prices, resolved when the campaign was created, so that its costs stay comparable.
    """

    request: CampaignRequest
    request_sha256: str
    workteam_arn: str
    prices: Prices
    input: InputManifest
    execution_arn: str
    created_at: datetime

    def to_document(self) -> dict[str, Any]:
        """campaign.json: the keys of the request, and `prepared` beside them."""
        return {
            **self.request.to_document(),
            _PREPARED: {
                "request_sha256": self.request_sha256,
                "workteam_arn": self.workteam_arn,
                "prices": asdict(self.prices),
                "input": asdict(self.input),
                "execution_arn": self.execution_arn,
                "created_at": self.created_at.isoformat(),
            },
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Campaign:
        prepared = document[_PREPARED]
        return cls(
            request=parse_request({key: value for key, value in document.items() if key != _PREPARED}),
            request_sha256=prepared["request_sha256"],
            workteam_arn=prepared["workteam_arn"],
            prices=Prices(**prepared["prices"]),
            input=InputManifest(**prepared["input"]),
            execution_arn=prepared["execution_arn"],
            created_at=datetime.fromisoformat(prepared["created_at"]),
        )


def load_campaign(s3: S3Gateway, layout: CampaignLayout) -> Campaign:
    """Read campaign.json.

    Raises
    ------
    ObjectNotFound
        When there is no such campaign.
    """
    return Campaign.from_document(s3.read_json(layout.campaign_document()))


def find_campaign(s3: S3Gateway, layout: CampaignLayout) -> Campaign | None:
    """Read campaign.json, None when there is no such campaign."""
    document = s3.find_json(layout.campaign_document())
    return None if document is None else Campaign.from_document(document)
