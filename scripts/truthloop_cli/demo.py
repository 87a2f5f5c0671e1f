"""The demo: the real Terraform into an embedded AWS, then a whole campaign with simulated annotators."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from truthloop.layout import CampaignLayout
from truthloop.s3 import S3Gateway
from truthloop_cli import campaign, live
from truthloop_cli.digits import CLASSES, Digits, make_digits, upload
from truthloop_cli.embedded import isolated
from truthloop_cli.stack import Stack

if TYPE_CHECKING:
    from local_aws.process import LocalAws

STATE_BUCKET = "truthloop-local-state"
INPUT_BUCKET = "truthloop-demo-digits"

# Five people of different skill; three of them see each object. Seconds are medians of a log-normal.
ANNOTATORS: list[dict[str, Any]] = [
    {
        "name": "annotator-1",
        "accuracy": 0.99,
        "seconds_median": 3.2,
        "seconds_spread": 0.35,
        "decline_rate": 0.0,
    },
    {
        "name": "annotator-2",
        "accuracy": 0.97,
        "seconds_median": 2.4,
        "seconds_spread": 0.40,
        "decline_rate": 0.01,
    },
    {
        "name": "annotator-3",
        "accuracy": 0.95,
        "seconds_median": 2.0,
        "seconds_spread": 0.45,
        "decline_rate": 0.01,
    },
    {
        "name": "annotator-4",
        "accuracy": 0.90,
        "confusion": {"1": "7", "9": "4"},
        "seconds_median": 1.6,
        "seconds_spread": 0.50,
        "decline_rate": 0.02,
    },
    {
        "name": "annotator-5",
        "accuracy": 0.80,
        "confusion": {"3": "8", "5": "6"},
        "seconds_median": 1.2,
        "seconds_spread": 0.60,
        "decline_rate": 0.02,
    },
]


@dataclass(frozen=True)
class DemoSettings:
    """What a run of the demo can vary.

    Attributes
    ----------
    seed
        Of every random choice: splits, seed set, random control, annotators.
    size
        Number of images, at most 1,797.
    seed_size, round_size
        Objects in the seed set, and per round and arm.
    max_rounds
        Rounds after which the campaign stops, the seed round included.
    """

    seed: int = 1
    size: int = 1797
    seed_size: int = 50
    round_size: int = 50
    max_rounds: int = 5

    def request(self, digits: Digits) -> dict[str, Any]:
        """The campaign request, as a user would write it."""
        return {
            "schema_version": 1,
            "campaign": f"digits-{self.seed}",
            "task_type": "image-classification",
            "manifest_uri": digits.manifest_uri,
            "label_categories": CLASSES,
            "label_attribute": "digit",
            "labeling": {
                "workers_per_object": 3,
                "task_title": "Which digit is it? / どの数字ですか",
                "task_description": "Choose the digit that the picture shows.",
                "task_keywords": ["image", "digits"],
            },
            "selection": {
                "strategy": "margin",
                "seed_size": self.seed_size,
                "round_size": self.round_size,
                "random_control": True,
            },
            "model": {"adapter": "image-classifier"},
            "stop": {"max_rounds": self.max_rounds, "budget_usd": 250},
            "seed": self.seed,
        }

    def annotators(self, digits: Digits) -> dict[str, Any]:
        """The simulated annotators' file; only they know the truth."""
        return {"seed": self.seed, "truth": digits.truth, "annotators": ANNOTATORS}


@dataclass(frozen=True)
class Clients:
    """What the demo calls of the embedded AWS."""

    s3: Any
    stepfunctions: Any

    @classmethod
    def of(cls, environment: dict[str, str]) -> Clients:
        session = boto3.Session(
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            region_name=environment["AWS_DEFAULT_REGION"],
        )
        config = Config(max_pool_connections=16, retries={"mode": "standard", "total_max_attempts": 5})
        endpoint = environment["AWS_ENDPOINT_URL"]
        return cls(
            s3=session.client("s3", endpoint_url=endpoint, config=config),
            stepfunctions=session.client("stepfunctions", endpoint_url=endpoint, config=config),
        )


def stack_variables() -> dict[str, Any]:
    """Terraform variables that the demo sets on top of envs/local.tfvars."""
    return {"image_tag": "local", "input_buckets": [INPUT_BUCKET]}


@contextmanager
def deployed(aws: LocalAws, progress: Any = None) -> Iterator[tuple[Stack, dict[str, Any]]]:
    """Apply the root stack to the embedded AWS; yield it with its outputs."""
    clients = Clients.of(aws.environment())
    clients.s3.create_bucket(Bucket=STATE_BUCKET)
    with Stack("local", aws.environment(), stack_variables()) as stack:
        stack.init()
        stack.apply(progress)
        yield stack, stack.outputs()


def run(settings: DemoSettings, output: Path, console: Console) -> None:
    """Run the demo from the first unlabelled row to the trained model; write what came out to `output`."""
    from local_aws.process import LocalAws

    began = time.monotonic()
    digits = make_digits(INPUT_BUCKET, settings.size)
    console.print(f"[bold]1.[/] {len(digits.images)} handwritten digits written as PNG files, none labelled")
    with isolated({}), LocalAws(annotators=settings.annotators(digits)) as aws:
        console.print(f"[bold]2.[/] embedded AWS on {aws.endpoint}")
        clients = Clients.of(aws.environment())
        uploading = _Background(upload, digits, clients.s3)
        with (
            _bar(console, "[bold]3.[/] terraform apply") as progress,
            deployed(aws, progress) as (_, outputs),
        ):
            uploading.join()
            progress.stop()
            _campaign(settings, digits, outputs, clients, output, console)
    console.print(f"\nAll of it took {time.monotonic() - began:.0f} s; nothing is left running.")
    console.print(f"Open [bold]{output / 'report' / 'index.html'}[/]")


def _campaign(
    settings: DemoSettings,
    digits: Digits,
    outputs: dict[str, Any],
    clients: Clients,
    output: Path,
    console: Console,
) -> None:
    request = settings.request(digits)
    layout = CampaignLayout(outputs["data_bucket_name"], request["campaign"])
    gateway = S3Gateway(clients.s3)
    console.print(
        f"[bold]4.[/] campaign {request['campaign']}: {settings.max_rounds} rounds, margin sampling "
        f"beside a random control of equal size; {len(ANNOTATORS)} simulated annotators, "
        f"{request['labeling']['workers_per_object']} per object"
    )
    arn = campaign.start(clients.stepfunctions, outputs["state_machine_arn"], request)
    ended = live.show(console, campaign.follow(clients.stepfunctions, gateway, arn, layout))
    if ended.status != "SUCCEEDED":
        raise campaign.CampaignFailed(f"The campaign ended as {ended.status}: {ended.error}: {ended.cause}")
    download(gateway, layout, len(ended.rounds) - 1, output)
    _summary(digits, output, console)


def download(s3: S3Gateway, layout: CampaignLayout, last_round: int, output: Path) -> None:
    """Fetch report, labels, model and request of a finished campaign into a folder."""
    report = output / "report"
    report.mkdir(parents=True, exist_ok=True)
    for uri in s3.list(layout.report_prefix()):
        s3.download(uri, report / uri.removeprefix(layout.report_prefix()))
    s3.download(layout.model(last_round), output / "model.tar.gz")
    s3.download(layout.campaign_document(), output / "campaign.json")


def _summary(digits: Digits, output: Path, console: Console) -> None:
    report = json.loads((output / "report" / "report.json").read_text())
    console.print(f"\n[bold]5.[/] {report['learning']['sentence']}")
    correct: dict[str, list[bool]] = {}
    for line in (output / "report" / "labels.manifest").read_text().splitlines():
        row = json.loads(line)
        given = row.get("digit-metadata", {}).get("class-name")
        by = row["truthloop"]["labeled_by"] or "nobody"
        correct.setdefault(by, []).append(given == digits.truth[row["source-ref"]])
    for by, hits in sorted(correct.items()):
        console.print(
            f"   {len(hits):5d} rows labelled by {by}: {sum(hits) / len(hits):.1%} agree with the truth"
        )
    console.print(f"\n   report    {output / 'report' / 'index.html'}")
    console.print(f"   labels    {output / 'report' / 'labels.manifest'}")
    console.print(f"   figures   {output / 'report' / 'report.json'}")
    console.print(f"   model     {output / 'model.tar.gz'}")


class _Background:
    """A call in a daemon thread, so that an interrupt does not wait for it; join() re-raises its error."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self._error: BaseException | None = None

        def run_it() -> None:
            try:
                call(*arguments)
            except BaseException as error:
                self._error = error

        self._thread = threading.Thread(target=run_it, daemon=True)
        self._thread.start()

    def join(self) -> None:
        self._thread.join()
        if self._error:
            raise self._error


class _Bar:
    """A progress bar for Terraform's resources; on no terminal, a line at the end."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._began = time.monotonic()
        self._done = 0
        self._bar = Progress(
            TextColumn(title),
            BarColumn(30),
            MofNCompleteColumn(),
            TextColumn("resources"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(title, total=None)
        self._bar.start()

    def __call__(self, done: int, total: int) -> None:
        self._done = done
        self._bar.update(self._task, completed=done, total=total)

    def stop(self) -> None:
        self._bar.stop()
        if not self._console.is_terminal:
            self._console.print(
                f"{self._title}: {self._done} resources in {time.monotonic() - self._began:.0f} s"
            )


@contextmanager
def _bar(console: Console, title: str) -> Iterator[_Bar]:
    bar = _Bar(console, title)
    try:
        yield bar
    finally:
        bar._bar.stop()
