"""audit.json: what is audited and how, frozen when the audit begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from truthloop import task_types
from truthloop.errors import InvalidUri
from truthloop.layout import AuditLayout
from truthloop.request import Audit
from truthloop.s3 import S3Gateway


@dataclass(frozen=True)
class CampaignRound:
    """The round of a campaign whose labels are audited."""

    name: str
    uri: str
    round: int


@dataclass(frozen=True)
class Source:
    """The labels that are audited.

    Attributes
    ----------
    job_name, job_arn, output_manifest_uri
        The labelling job and its labelled rows; None when a round has labels by the model alone.
    worker_response_prefix
        Who gave the labels; None where nothing tells.
    auto_manifest_uri
        The rows that the model labelled in the round, None outside campaigns.
    instructions
        What the labellers were told.
    """

    job_name: str | None
    job_arn: str | None
    output_manifest_uri: str | None
    worker_response_prefix: str | None
    auto_manifest_uri: str | None
    task_type: str
    label_attribute: str
    label_categories: tuple[str, ...]
    instructions: str


@dataclass(frozen=True)
class Labeling:
    """How the audit's jobs are shown and paid; the keys are those of the request's `labeling`."""

    workteam_arn: str
    auditors_workteam_arn: str
    experts_workteam_arn: str
    workers_per_object: int
    task_title: str
    task_description: str
    task_keywords: tuple[str, ...]
    task_time_limit_seconds: int
    task_availability_seconds: int
    max_concurrent_tasks: int
    price_per_answer_usd: float | None


@dataclass(frozen=True)
class AuditDocument:
    """An audit that has begun.

    Attributes
    ----------
    campaign
        None for a labelling job outside campaigns.
    target_precision
        The promise about the model's labels, None when there is none.
    seed
        Of every random choice.
    """

    name: str
    uri: str
    created_at: str
    campaign: CampaignRound | None
    source: Source
    policy: Audit
    target_precision: float | None
    seed: int
    labeling: Labeling

    @property
    def layout(self) -> AuditLayout:
        return AuditLayout.from_uri(self.uri)

    @property
    def kind(self) -> str:
        """How a label looks: one of `truthloop.labels.KINDS`."""
        return task_types.get(self.source.task_type).LABEL_KIND

    @property
    def round(self) -> int | None:
        return None if self.campaign is None else self.campaign.round

    def to_document(self) -> dict[str, Any]:
        document = asdict(self)
        document["source"]["label_categories"] = list(self.source.label_categories)
        document["labeling"]["task_keywords"] = list(self.labeling.task_keywords)
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> AuditDocument:
        source, labeling, campaign = document["source"], document["labeling"], document["campaign"]
        return cls(
            name=document["name"],
            uri=document["uri"],
            created_at=document["created_at"],
            campaign=None if campaign is None else CampaignRound(**campaign),
            source=Source(**{**source, "label_categories": tuple(source["label_categories"])}),
            policy=Audit(**document["policy"]),
            target_precision=document["target_precision"],
            seed=document["seed"],
            labeling=Labeling(**{**labeling, "task_keywords": tuple(labeling["task_keywords"])}),
        )


def audit_within(bucket: str, uri: str) -> AuditLayout:
    """The layout of an audit in the data bucket.

    Raises
    ------
    InvalidUri
        When the URI has another form, or lies in another bucket.
    """
    layout = AuditLayout.from_uri(uri)
    if layout.bucket != bucket:
        raise InvalidUri(f"{uri} is not in {bucket}, the bucket that holds all audits.")
    return layout


def load_audit(s3: S3Gateway, layout: AuditLayout) -> AuditDocument:
    """Read audit.json.

    Raises
    ------
    ObjectNotFound
        When there is no such audit.
    """
    return AuditDocument.from_document(s3.read_json(layout.document()))
