"""One embedded AWS with the root stack applied by the real Terraform, for all tests of this folder."""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from local_aws.process import LocalAws
from truthloop.layout import CampaignLayout
from truthloop.s3 import S3Gateway
from truthloop_cli import campaign, demo_data
from truthloop_cli.demo import AUDITORS, Clients, DemoSettings, deployed
from truthloop_cli.demo_data import DemoData, create_bucket, upload
from truthloop_cli.stack import Stack
from truthloop_cli.terraform_tools import find_plugin_dir

# What it asserts is explained as a test's own assertions are.
pytest.register_assert_rewrite("end_to_end.small_campaigns")

SETTINGS = DemoSettings(seed=3, size=260, seed_size=30, round_size=15, max_rounds=3)
# Campaigns of the other task types, without a control. Offline, with 8 to 12 other seeds each, the quality
# rose by 0.15 or more every time; the tests ask for 0.1.
SMALL = {
    settings.task: settings
    for settings in (
        DemoSettings("text-classification", 3, 220, 12, 80, 2),
        DemoSettings("image-multi-label", 3, 160, 5, 90, 2),
        DemoSettings("bounding-box", 3, 60, 3, 20, 2),
        DemoSettings("semantic-segmentation", 3, 60, 3, 16, 2),
    )
}

# With the digits that the annotators' skill is measured by.
_WITH_GOLD = 275


@dataclass
class Deployment:
    """The embedded AWS, the stack in it, and what campaigns label: digits, and by task type the others.

    `gold` are the same digits and more; the labels of the further ones are given away as known.
    """

    aws: LocalAws
    stack: Stack
    outputs: dict[str, Any]
    clients: Clients
    digits: DemoData
    others: dict[str, DemoData]
    gold: DemoData

    @property
    def s3(self) -> S3Gateway:
        return S3Gateway(self.clients.s3)

    @property
    def name_prefix(self) -> str:
        machine = self.outputs["state_machine_arn"].rpartition(":")[2]
        return machine.removesuffix("-active-learning-loop")

    @property
    def account_id(self) -> str:
        return str(self.outputs["state_machine_arn"].split(":")[4])

    @property
    def region(self) -> str:
        return str(self.outputs["state_machine_arn"].split(":")[3])

    def client(self, service: str) -> Any:
        environment = self.aws.environment()
        return boto3.client(
            service,
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            region_name=environment["AWS_DEFAULT_REGION"],
        )

    def request(self, **changes: Any) -> dict[str, Any]:
        """A valid request under a name of its own, with changes at the top level."""
        name = f"digits-{uuid.uuid4().hex[:8]}"
        return {**SETTINGS.request(self.digits), "campaign": name, **changes}

    def small_request(self, task: str) -> dict[str, Any]:
        """The request of a small campaign of a task type other than image-classification."""
        request = SMALL[task].request(self.others[task])
        selection = {**request["selection"], "random_control": False}
        return {**request, "campaign": f"small-{uuid.uuid4().hex[:8]}", "selection": selection}

    def annotators(self) -> dict[str, Any]:
        """The document of annotators who know the truth of all that there is to label."""
        documents = [SETTINGS.annotators(self.digits)]
        documents += [SMALL[task].annotators(data) for task, data in self.others.items()]
        people = [
            {
                **person,
                "confusion": {
                    label: wrong
                    for document in documents
                    for label, wrong in document["annotators"][number]["confusion"].items()
                },
            }
            for number, person in enumerate(documents[0]["annotators"])
        ]
        team = self.outputs["auditors_workteam_arn"].rpartition("/")[2]
        people += [{**auditor, "workteam": team} for auditor in AUDITORS]
        truth = {source: each for document in documents for source, each in document["truth"].items()}
        return {**documents[0], "truth": truth | self.known(), "annotators": people}

    def known(self) -> dict[str, str]:
        """The gold objects' labels by image."""
        return {
            source: self.gold.truth[source] for source in self.gold.truth if source not in self.digits.truth
        }

    def layout(self, name: str) -> CampaignLayout:
        return CampaignLayout(self.outputs["data_bucket_name"], name)

    def start(self, request: dict[str, Any]) -> str:
        return campaign.start(self.clients.stepfunctions, self.outputs["state_machine_arn"], request)

    def finish(self, arn: str, name: str) -> campaign.Progress:
        *_, last = campaign.follow(self.clients.stepfunctions, self.s3, arn, self.layout(name), seconds=0.3)
        return last

    def run(self, request: dict[str, Any]) -> campaign.Progress:
        return self.finish(self.start(request), request["campaign"])

    def labels(self, name: str) -> list[dict[str, Any]]:
        """The rows of a finished campaign's labelled manifest."""
        return [json.loads(line) for _, line in self.s3.lines(self.layout(name).labels_manifest())]

    def history(self, arn: str) -> list[dict[str, Any]]:
        pages = self.clients.stepfunctions.get_paginator("get_execution_history").paginate(executionArn=arn)
        return [event for page in pages for event in page["events"]]

    def annotate(self, **changes: Any) -> None:
        """Let the annotators and auditors come, with changes at the top level of their document."""
        self.aws.control("POST", "annotators", {**self.annotators(), **changes})

    def annotate_nonsense(self) -> None:
        """Let annotators come who know none of the objects: the labelling jobs fail."""
        self.aws.control("POST", "annotators", {**SETTINGS.annotators(self.digits), "truth": {"x": "1"}})

    def labeling_jobs(self, name: str) -> list[dict[str, Any]]:
        """The labelling jobs of a campaign in the embedded SageMaker, whatever their status."""
        jobs = self.client("sagemaker").list_labeling_jobs(NameContains=name)
        return jobs["LabelingJobSummaryList"]

    def wait_for_labeling_job(self, name: str) -> str:
        """Wait until a campaign has a labelling job, and return the job's name."""
        return str(self.eventually(lambda: self.labeling_jobs(name))[0]["LabelingJobName"])

    @staticmethod
    def eventually(what: Callable[[], Any], seconds: float = 60) -> Any:
        """Return the first true value of `what`; fail after so many seconds."""
        deadline = time.monotonic() + seconds
        while not (value := what()):
            assert time.monotonic() < deadline, f"did not happen within {seconds:.0f} s"
            time.sleep(0.2)
        return value

    def job_log(self, stream: str) -> str:
        """What a job's program printed."""
        group = f"/aws/batch/{self.name_prefix}"
        events = self.client("logs").get_log_events(logGroupName=group, logStreamName=stream)["events"]
        return "\n".join(event["message"] for event in events)

    def fire_reconciler(self) -> None:
        rule = f"{self.name_prefix}-reconcile-labeling-jobs"
        self.aws.control("POST", f"schedules/{rule}", {})

    def send_everybody_home(self) -> None:
        """Leave labelling jobs without annotators: they stay in progress."""
        self.aws.control("POST", "annotators")


def missing() -> str | None:
    if not shutil.which("terraform"):
        return "terraform is not on the PATH (make setup installs one)"
    if not find_plugin_dir() and not os.environ.get("TRUTHLOOP_USE_REGISTRY"):
        return (
            "no local mirror holds hashicorp/aws (set TF_PLUGIN_DIR, or TRUTHLOOP_USE_REGISTRY=1 when online)"
        )
    return None


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    if reason := missing():
        pytest.skip(f"END-TO-END TESTS NOT RUN: {reason}")
    with LocalAws() as aws:
        clients = Clients.of(aws.environment())
        digits = SETTINGS.data()
        others = {task: settings.data(SETTINGS.bucket) for task, settings in SMALL.items()}
        gold = demo_data.make(SETTINGS.task, SETTINGS.bucket, _WITH_GOLD, SETTINGS.seed)
        create_bucket(SETTINGS.bucket, clients.s3)
        # The digits last: the gold's own manifest has the same name.
        for data in (gold, *others.values(), digits):
            upload(data, clients.s3)
        with deployed(aws, SETTINGS.bucket) as (stack, outputs):
            found = Deployment(aws, stack, outputs, clients, digits, others, gold)
            found.annotate()
            yield found
