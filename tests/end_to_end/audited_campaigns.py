"""What the end-to-end tests look at in a campaign whose labels are audited: audits, answers and people."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from labeling_engine.simulated_annotators import Annotator
from truthloop import names
from truthloop.layout import AuditLayout, CampaignLayout
from truthloop.trace.answers import Answer, AnswersTable

if TYPE_CHECKING:
    from end_to_end.conftest import Deployment
    from truthloop_cli.campaign import Progress


@dataclass(frozen=True)
class AuditedCampaign:
    """A campaign that has ended."""

    deployment: Deployment
    request: dict[str, Any]
    progress: Progress

    @property
    def name(self) -> str:
        return str(self.request["campaign"])

    @property
    def layout(self) -> CampaignLayout:
        return self.deployment.layout(self.name)

    def audit(self, round_number: int) -> AuditLayout:
        layout = self.layout
        return AuditLayout(layout.bucket, layout.campaign, names.audit_name(layout, round_number))

    def result(self, round_number: int) -> dict[str, Any]:
        """What a round's audit brought."""
        result: dict[str, Any] = self.deployment.s3.read_json(self.audit(round_number).result())
        return result

    @cached_property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The rows of the labelled manifest by their images."""
        return {row["source-ref"]: row for row in self.deployment.labels(self.name)}

    def executions(self) -> list[dict[str, Any]]:
        """The executions of the audit machine for this campaign."""
        pages = self.deployment.clients.stepfunctions.get_paginator("list_executions").paginate(
            stateMachineArn=self.deployment.outputs["audit_state_machine_arn"]
        )
        return [
            each for page in pages for each in page["executions"] if each["name"].startswith(f"{self.name}-")
        ]

    def jobs_of_rounds(self) -> list[str]:
        """The names of the rounds' own jobs, without those of the audits."""
        merges = [self.layout.merge(each.number) for each in self.progress.rounds]
        return [str(self.deployment.s3.read_json(uri)["job"]) for uri in merges]

    def first_labels(self) -> dict[str, int]:
        """By image what the annotators said at first, before any audit."""
        attribute = self.request["label_attribute"]
        found = {}
        for name in self.jobs_of_rounds():
            for _, line in self.deployment.s3.lines(self.layout.labeling_output_manifest(name)):
                row = json.loads(line)
                if not row["truthloop"].get("gold") and row.get(attribute) is not None:
                    found[row["source-ref"]] = row[attribute]
        return found

    def responses(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Every answer in the files of all of the campaign's jobs: job, index of the object, answer."""
        s3 = self.deployment.s3
        prefixes = [self.layout.labeling_prefix()]
        prefixes += [self.audit(each.number).labeling_prefix() for each in self.progress.rounds]
        for prefix in prefixes:
            for uri in s3.list(prefix):
                parts = uri.removeprefix(prefix).split("/")
                if parts[1:3] == ["annotations", "worker-response"]:
                    for answer in s3.read_json(uri)["answers"]:
                        yield parts[0], parts[4], answer

    def records(self) -> list[Answer]:
        """The records of the campaign's answers."""
        table = AnswersTable(
            self.deployment.outputs["answers_table_name"], self.deployment.client("dynamodb")
        )
        return list(table.of_campaign(self.name).answers)


def everything_below(deployment: Deployment, prefix: str) -> Iterator[tuple[str, bytes]]:
    """The key and content of every version of every object below a prefix of the data bucket."""
    s3, bucket = deployment.clients.s3, deployment.outputs["data_bucket_name"]
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for each in page.get("Versions", []):
            body = s3.get_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])["Body"]
            yield each["Key"], body.read()


def command(deployment: Deployment, *arguments: str) -> str:
    """What a command of the operator's prints, run on the deployed stack."""
    environment = {**os.environ, **deployment.aws.environment(), "TRUTHLOOP_PREFIX": deployment.name_prefix}
    done = subprocess.run(
        [sys.executable, "-m", "truthloop_cli.main", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def story_of(campaign: AuditedCampaign, source: str) -> dict[str, Any]:
    """What `truthloop trace` tells of an object, as JSON."""
    told = command(campaign.deployment, "trace", source, "--campaign", campaign.name, "--json")
    story: dict[str, Any] = json.loads(told)
    return story


def workers_report(campaign: AuditedCampaign) -> dict[str, Any]:
    """What `truthloop workers report` says of a campaign's workers, as JSON."""
    told = command(campaign.deployment, "workers", "report", "--campaign", campaign.name, "--json")
    report: dict[str, Any] = json.loads(told)
    return report


def worker_id_of(annotator: str) -> str:
    """The last part of a simulated annotator's worker id."""
    return Annotator(annotator, 1, 1).worker("", "", "").worker_id.rpartition(".")[2]
