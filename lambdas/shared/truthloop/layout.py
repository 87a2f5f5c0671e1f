"""Where everything of a campaign lies in S3, below s3://<data bucket>/campaigns/<campaign>/."""

from __future__ import annotations

import re
from dataclasses import dataclass

from truthloop.errors import InvalidUri

CAMPAIGN_NAME = re.compile(r"[a-z0-9](-?[a-z0-9]){0,31}")
_CAMPAIGN_URI = re.compile(r"s3://(?P<bucket>[^/]+)/campaigns/(?P<campaign>[^/]+)/?")


@dataclass(frozen=True)
class CampaignLayout:
    """The URIs of one campaign; every method returns a text `s3://bucket/key`.

    Methods that end in `_prefix` and `uri` return a folder, with its closing slash.
    """

    bucket: str
    campaign: str

    @classmethod
    def from_uri(cls, uri: str) -> CampaignLayout:
        """Read a campaign's URI, `s3://bucket/campaigns/name/`.

        Raises
        ------
        InvalidUri
            When the text has another form.
        """
        match = _CAMPAIGN_URI.fullmatch(uri)
        if match is None or CAMPAIGN_NAME.fullmatch(match["campaign"]) is None:
            raise InvalidUri(
                f"{uri!r} is not the URI of a campaign; allowed: s3://<data bucket>/campaigns/<campaign>/. "
                "Pass the uri that the prepare function returned."
            )
        return cls(match["bucket"], match["campaign"])

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/campaigns/{self.campaign}/"

    def campaign_document(self) -> str:
        return f"{self.uri}campaign.json"

    def label_categories(self) -> str:
        return f"{self.uri}label_categories.json"

    def master_manifest(self) -> str:
        return f"{self.uri}manifest/master.manifest"

    def splits(self) -> str:
        return f"{self.uri}splits.json"

    def round_prefix(self, round_number: int) -> str:
        return f"{self.uri}rounds/{round_number}/"

    def selection(self, round_number: int) -> str:
        return f"{self.round_prefix(round_number)}selection.json"

    def selection_manifest(self, round_number: int) -> str:
        return f"{self.round_prefix(round_number)}selection.manifest"

    def merge(self, round_number: int) -> str:
        return f"{self.round_prefix(round_number)}merge.json"

    def workers(self, round_number: int) -> str:
        """What is known of the workers after the round; see `labeling.workers`."""
        return f"{self.round_prefix(round_number)}workers.json"

    def train_manifest(self, round_number: int) -> str:
        return f"{self.round_prefix(round_number)}train.manifest"

    def model(self, round_number: int) -> str:
        return self.model_of_arm(round_number, "model")

    def model_of_arm(self, round_number: int, arm: str) -> str:
        """`arm` is "model" (all labelled rows), "strategy" or "control"."""
        return f"{self.round_prefix(round_number)}model/{arm}.tar.gz"

    def evaluation(self, round_number: int) -> str:
        return f"{self.round_prefix(round_number)}evaluation.json"

    def scores_prefix(self, round_number: int) -> str:
        return f"{self.round_prefix(round_number)}scores/"

    def scores(self, round_number: int, shard: int) -> str:
        return f"{self.scores_prefix(round_number)}part-{shard:05d}.parquet"

    def decision(self, round_number: int) -> str:
        return f"{self.round_prefix(round_number)}decision.json"

    def usage_prefix(self, round_number: int) -> str:
        return f"{self.round_prefix(round_number)}usage/"

    def usage(self, round_number: int, step: str, index: int | None = None) -> str:
        """`index` is the child's index of an array job, None for a single job."""
        suffix = "" if index is None else f"-{index:05d}"
        return f"{self.usage_prefix(round_number)}{step}{suffix}.json"

    def labeling_prefix(self) -> str:
        """Ground Truth's S3OutputPath; it adds a folder per job of its own."""
        return f"{self.uri}labeling/"

    def labeling_output_manifest(self, job_name: str) -> str:
        return f"{self.labeling_prefix()}{job_name}/manifests/output/output.manifest"

    def consolidated_prefix(self, job_name: str) -> str:
        """Where Ground Truth's own consolidation keeps the masks of a job, and where ours does."""
        return f"{self.labeling_prefix()}{job_name}/annotations/consolidated-annotation/output/"

    def worker_evidence_prefix(self, job_name: str) -> str:
        """What the batches of a job say of their workers."""
        return f"{self.labeling_prefix()}{job_name}/annotations/consolidated-annotation/workers/"

    def report_prefix(self) -> str:
        return f"{self.uri}report/"

    def report(self) -> str:
        return f"{self.report_prefix()}index.html"

    def report_document(self) -> str:
        return f"{self.report_prefix()}report.json"

    def labels_manifest(self) -> str:
        return f"{self.report_prefix()}labels.manifest"


def template(bucket: str, task_type: str) -> str:
    """The URI of the worker template of a task type, which Terraform uploads."""
    return f"s3://{bucket}/templates/{task_type}/template.liquid.html"
