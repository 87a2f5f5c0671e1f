"""What every subcommand is given: the campaign, where its objects lie, the round and the gateway to S3.

A subcommand is a module with ``run(context: Context) -> None``. It reads below ``context.layout``, writes
each output once through ``context.s3`` (``write_…_once``: a repetition finds it there and leaves it), and
raises `truthloop.errors.TruthloopError` where the campaign's own data are at fault, which ends the program
with exit code 2 and that one message; every other error ends it with 1 and a traceback.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from truthloop import task_types
from truthloop.campaign import Campaign, load_campaign
from truthloop.errors import InvalidManifest
from truthloop.layout import CampaignLayout
from truthloop.manifest import Row, is_labeled, read_master, row_id
from truthloop.request import CampaignRequest
from truthloop.s3 import S3Gateway
from truthloop.splits import Splits
from truthloop_batch import kinds, model_labels
from truthloop_batch.kinds import Kind


@dataclass(frozen=True)
class Context:
    """One run of one subcommand.

    Attributes
    ----------
    campaign
        campaign.json: the request, and what was resolved when the campaign was created. All configuration
        comes from it.
    layout
        The URIs of everything that the campaign owns.
    round
        The round that this run belongs to, from 0.
    s3
        Reads and writes objects by URI; many threads may use it.
    array_index
        Which child of an array job this is, from 0; None for a single job.
    """

    campaign: Campaign
    layout: CampaignLayout
    round: int
    s3: S3Gateway
    array_index: int | None = None

    @classmethod
    def open(
        cls, campaign_uri: str, round_number: int, array_index: int | None = None, s3: S3Gateway | None = None
    ) -> Context:
        """The context of a campaign by its URI, `s3://<data bucket>/campaigns/<campaign>/`.

        Raises
        ------
        InvalidUri, ObjectNotFound
            When the URI is not a campaign's, or there is no such campaign.
        """
        layout = CampaignLayout.from_uri(campaign_uri)
        gateway = S3Gateway() if s3 is None else s3
        return cls(load_campaign(gateway, layout), layout, round_number, gateway, array_index)

    @property
    def request(self) -> CampaignRequest:
        return self.campaign.request

    @property
    def seed(self) -> int:
        return self.request.seed

    @property
    def classes(self) -> tuple[str, ...]:
        """The label categories; a label is an index into them, and so is a column of probabilities."""
        return self.request.label_categories

    @cached_property
    def splits(self) -> Splits:
        """The frozen splits; `splits.held_out` are the ids that are in neither the pool nor the training."""
        return Splits.from_document(self.s3.read_json(self.layout.splits()))

    def rows(self) -> Iterator[Row]:
        """The rows of the master manifest, streamed in the manifest's order."""
        return read_master(self.s3, self.layout.master_manifest())

    @property
    def kind(self) -> Kind:
        """The label kind of the campaign's task type."""
        return kinds.get(task_types.get(self.request.task_type).LABEL_KIND)

    @cached_property
    def began_at(self) -> datetime:
        """When the round began: when the round before was decided, for round 0 when the campaign was made.

        The steps that leave a moment in rows take this one, so that their repetition writes the same bytes.
        """
        if self.round == 0:
            return self.campaign.created_at
        return datetime.fromisoformat(self.s3.read_json(self.layout.decision(self.round - 1))["at"])

    def is_labeled(self, row: Row) -> bool:
        """Whether the row has a label; cheaper than reading it."""
        return is_labeled(row, self.request.label_attribute)

    def is_labeled_by_people(self, row: Row) -> bool:
        """Whether the row has a label that no model gave: what models learn from and are measured on."""
        return model_labels.is_labeled_by_people(row, self.request.label_attribute)

    def is_labeled_by_model(self, row: Row) -> bool:
        """Whether a model labelled the row in one of the rounds."""
        return model_labels.is_labeled_by_model(row, self.request.label_attribute)

    def label(self, row: Row) -> Any | None:
        """The row's label as the label kind reads it, None when nobody labelled it.

        Raises
        ------
        InvalidManifest
            When the label is none of the kind.
        """
        try:
            return self.kind.read_label(self, row)
        except InvalidManifest as error:
            raise InvalidManifest(
                f"In the row {row_id(row)}, {error}. Correct the row, or the categories in a new campaign."
            ) from error
