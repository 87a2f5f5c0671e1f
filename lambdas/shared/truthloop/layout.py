"""Where everything of a campaign lies in S3, below s3://<data bucket>/campaigns/<campaign>/."""

from __future__ import annotations

import re
from dataclasses import dataclass

from truthloop.errors import InvalidUri

CAMPAIGN_NAME = re.compile(r"[a-z0-9](-?[a-z0-9]){0,31}")
_CAMPAIGN_URI = re.compile(r"s3://(?P<bucket>[^/]+)/campaigns/(?P<campaign>[^/]+)/?")


@dataclass(frozen=True)
class JobLayout:
    """Ground Truth's folder of one labelling job, `<S3OutputPath>/<job name>/`.

    https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
    """

    output_uri: str
    name: str

    @property
    def uri(self) -> str:
        return f"{self.output_uri.rstrip('/')}/{self.name}/"

    def output_manifest(self) -> str:
        return f"{self.uri}manifests/output/output.manifest"

    def intermediate_prefix(self) -> str:
        """The manifests that the job writes while it runs."""
        return f"{self.uri}annotations/intermediate/"

    def worker_responses_prefix(self) -> str:
        """Every worker's answers, `<iteration>/<object>/<time>.json`."""
        return f"{self.uri}annotations/worker-response/"

    def consolidated_prefix(self) -> str:
        """Where Ground Truth's own consolidation keeps the masks of a job, and where ours does."""
        return f"{self.uri}annotations/consolidated-annotation/output/"

    def worker_evidence_prefix(self) -> str:
        """What the batches of a job say of their workers."""
        return f"{self.uri}annotations/consolidated-annotation/workers/"


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

    def labeling_job(self, job_name: str) -> JobLayout:
        return JobLayout(self.labeling_prefix(), job_name)

    def labeling_output_manifest(self, job_name: str) -> str:
        return self.labeling_job(job_name).output_manifest()

    def consolidated_prefix(self, job_name: str) -> str:
        return self.labeling_job(job_name).consolidated_prefix()

    def worker_evidence_prefix(self, job_name: str) -> str:
        return self.labeling_job(job_name).worker_evidence_prefix()

    def gold_manifest(self) -> str:
        """The objects with known labels, frozen; see `truthloop.gold`."""
        return f"{self.uri}gold.manifest"

    def auto_manifest(self, round_number: int) -> str:
        """The rows that the model labelled by itself in the round, with their labels."""
        return f"{self.round_prefix(round_number)}auto.manifest"

    def audits_prefix(self) -> str:
        return f"{self.uri}audits/"

    def report_prefix(self) -> str:
        return f"{self.uri}report/"

    def report(self) -> str:
        return f"{self.report_prefix()}index.html"

    def report_document(self) -> str:
        return f"{self.report_prefix()}report.json"

    def labels_manifest(self) -> str:
        return f"{self.report_prefix()}labels.manifest"


_AUDIT_URI = re.compile(r"s3://(?P<bucket>[^/]+)/(campaigns/(?P<campaign>[^/]+)/)?audits/(?P<name>[^/]+)/?")


@dataclass(frozen=True)
class AuditLayout:
    """The URIs of one audit, below its campaign's folder or, for a stand-alone job, below `audits/`."""

    bucket: str
    campaign: str | None
    name: str

    @classmethod
    def from_uri(cls, uri: str) -> AuditLayout:
        """Read an audit's URI, `s3://bucket/[campaigns/campaign/]audits/name/`.

        Raises
        ------
        InvalidUri
            When the text has another form.
        """
        match = _AUDIT_URI.fullmatch(uri)
        if match is None:
            raise InvalidUri(
                f"{uri!r} is not the URI of an audit; allowed: s3://<data bucket>/audits/<audit>/ or "
                "s3://<data bucket>/campaigns/<campaign>/audits/<audit>/."
            )
        return cls(match["bucket"], match["campaign"], match["name"])

    @property
    def uri(self) -> str:
        campaign = "" if self.campaign is None else f"campaigns/{self.campaign}/"
        return f"s3://{self.bucket}/{campaign}audits/{self.name}/"

    def document(self) -> str:
        """What is audited and how, frozen."""
        return f"{self.uri}audit.json"

    def step(self, number: int) -> str:
        """A step's plan: its purpose, its job and how many objects it has. Steps are numbered from 1."""
        return f"{self.uri}steps/{number:05d}.json"

    def step_manifest(self, number: int) -> str:
        """The rows of a step's job."""
        return f"{self.uri}steps/{number:05d}.manifest"

    def cases(self, number: int) -> str:
        """How the audited rows stand after a step; those of step 0 are as they were chosen."""
        return f"{self.uri}steps/{number:05d}.cases.manifest"

    def verdicts(self, number: int) -> str:
        """The verdicts of a step, by the job and the object whose label they judge."""
        return f"{self.uri}steps/{number:05d}.verdicts.json"

    def label_categories(self) -> str:
        return f"{self.uri}label_categories.json"

    def overlay(self, name: str) -> str:
        """A mask with a transparent background, of a label that came without one."""
        return f"{self.uri}overlays/{name}.png"

    def labeling_prefix(self) -> str:
        """The S3OutputPath of the audit's jobs."""
        return f"{self.uri}jobs/"

    def labeling_job(self, job_name: str) -> JobLayout:
        return JobLayout(self.labeling_prefix(), job_name)

    def result(self) -> str:
        return f"{self.uri}result.json"

    def audited_manifest(self) -> str:
        """The rows that the audit decided on: their labels, or null for a label that was taken back."""
        return f"{self.uri}audited.manifest"


AUDIT_TEMPLATE = "audit"
"""The folder of ui_templates with the auditors' template; it serves every task type."""


def template(bucket: str, task_type: str) -> str:
    """The URI of the worker template of a task type or of `AUDIT_TEMPLATE`, which Terraform uploads."""
    return f"s3://{bucket}/templates/{task_type}/template.liquid.html"
