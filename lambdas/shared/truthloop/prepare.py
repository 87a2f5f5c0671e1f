"""The beginning of a campaign: its frozen request, master manifest and splits, or the round to resume at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from truthloop import gold, prices
from truthloop.campaign import Campaign, InputManifest, find_campaign
from truthloop.errors import DuplicateObject, InvalidManifest, ObjectChanged
from truthloop.layout import CampaignLayout
from truthloop.ledger import Ledger, campaign_exists
from truthloop.manifest import Row, encode_row, numbered_rows, row_id, with_provenance
from truthloop.request import CampaignRequest
from truthloop.s3 import JSON_LINES, Lines, S3Gateway, spooled_lines
from truthloop.splits import Candidate, Splits, candidate, draw

SELECT = "select"
SCORE = "score"

# https://docs.aws.amazon.com/sagemaker/latest/dg/sms-label-cat-config-attributes.html
_LABEL_CATEGORIES_VERSION = "2018-11-28"


@dataclass(frozen=True)
class Start:
    """Where an execution begins; `stage` is the first step of the round, "select" or "score"."""

    campaign: Campaign
    layout: CampaignLayout
    round: int
    stage: str


def prepare(
    s3: S3Gateway,
    ledger: Ledger,
    layout: CampaignLayout,
    request: CampaignRequest,
    workteam_arn: str,
    execution_arn: str,
    now: datetime,
) -> Start:
    """Create a campaign, or take it up where an earlier execution left it.

    Everything is written once and in an order in which each object stands for those before it, the master
    manifest last; so whatever an interrupted call left, the next one completes it to the same result.

    Raises
    ------
    CampaignExists
        When another request has the name.
    CampaignFinished
        When the campaign has succeeded.
    DuplicateObject, InvalidManifest, InvalidText
        When the input manifest or that of the gold items breaks the rules that preflight checks; nothing has
        been written.
    ObjectChanged
        When the input manifest was changed before its campaign was complete.
    """
    campaign = find_campaign(s3, layout)
    if campaign is not None and campaign.request_sha256 != request.sha256():
        raise campaign_exists(layout.campaign)
    if campaign is None or not s3.exists(layout.master_manifest()):
        campaign = _create(s3, layout, request, workteam_arn, execution_arn, now)
    ledger.start(layout.campaign, campaign.request_sha256, execution_arn, now)
    round_number = round_to_resume(s3, layout)
    return Start(campaign, layout, round_number, SELECT if round_number == 0 else SCORE)


def round_to_resume(s3: S3Gateway, layout: CampaignLayout) -> int:
    """The first round without a decision, or the last one when its decision was to stop.

    The steps of a round that is done find their outputs there, so an execution that failed after its last
    decision passes quickly to what follows it.
    """
    round_number = 0
    while (decision := s3.find_json(layout.decision(round_number))) is not None:
        if decision["stop"]:
            return round_number
        round_number += 1
    return round_number


def label_category_configuration(label_categories: Sequence[str]) -> dict[str, Any]:
    """Ground Truth's label category configuration file; a label is an index into its list."""
    return {
        "document-version": _LABEL_CATEGORIES_VERSION,
        "labels": [{"label": label} for label in label_categories],
    }


def _create(
    s3: S3Gateway,
    layout: CampaignLayout,
    request: CampaignRequest,
    workteam_arn: str,
    execution_arn: str,
    now: datetime,
) -> Campaign:
    gold_items = gold.read_input(s3, request)
    lines = s3.lines(request.manifest_uri)
    candidates: list[Candidate] = []
    with spooled_lines(_master_lines(lines, request, candidates)) as master:
        campaign = Campaign(
            request=request,
            request_sha256=request.sha256(),
            workteam_arn=request.labeling.workteam_arn or workteam_arn,
            prices=prices.resolve(request.task_type, request.prices, request.labeling.price_per_answer_usd),
            input=InputManifest(etag=lines.etag, sha256=lines.sha256, rows=len(candidates)),
            execution_arn=execution_arn,
            created_at=now,
        )
        campaign = _freeze(s3, layout, campaign)
        s3.freeze_json(layout.label_categories(), label_category_configuration(request.label_categories))
        s3.freeze_json(layout.splits(), draw_splits(request, candidates).to_document())
        gold.freeze(s3, layout, gold_items)
        s3.write_file_once(layout.master_manifest(), master, JSON_LINES)
    return campaign


def draw_splits(request: CampaignRequest, candidates: Sequence[Candidate]) -> Splits:
    """The splits of a request over its rows."""
    return draw(candidates, request.splits.test_fraction, request.splits.validation_fraction, request.seed)


def _freeze(s3: S3Gateway, layout: CampaignLayout, campaign: Campaign) -> Campaign:
    """Write campaign.json, or return the one that is there when it is of the same request and input."""
    if s3.write_json_once(layout.campaign_document(), campaign.to_document()):
        return campaign
    frozen = find_campaign(s3, layout)
    if frozen is None or frozen.request_sha256 != campaign.request_sha256:
        raise campaign_exists(layout.campaign)
    if frozen.input.sha256 != campaign.input.sha256:
        raise ObjectChanged(
            f"{campaign.request.manifest_uri} has changed since the campaign {layout.campaign} was created "
            f"from it (SHA-256 {campaign.input.sha256}, was {frozen.input.sha256}). Put the earlier version "
            "back to resume, or choose another campaign name."
        )
    return frozen


def _master_lines(lines: Lines, request: CampaignRequest, candidates: list[Candidate]) -> Iterator[str]:
    """The lines of the master manifest; fills `candidates` as it goes."""
    line_of: dict[str, int] = {}
    for number, row in numbered_rows(lines, lines.uri):
        master_row = _master_row(row, request, f"Line {number} of {lines.uri}")
        identifier = row_id(master_row)
        first = line_of.setdefault(identifier, number)
        if first != number:
            raise DuplicateObject(
                f"Lines {first} and {number} of {lines.uri} are the same object. Remove one of them."
            )
        splits = request.splits
        candidates.append(candidate(identifier, row, request.label_attribute, splits.stratify_by))
        yield encode_row(master_row)


def _master_row(row: Row, request: CampaignRequest, where: str) -> Row:
    try:
        return with_provenance(row, request.label_attribute)
    except InvalidManifest as error:
        raise InvalidManifest(f"{where}: {error}. Repair that line.") from error
