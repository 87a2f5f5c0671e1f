"""The demo: the real Terraform into an embedded AWS, then a whole campaign with simulated annotators."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from truthloop import task_types
from truthloop.labels import BOXES, CLASS, CLASSES, MASK
from truthloop.layout import CampaignLayout
from truthloop.s3 import S3Gateway
from truthloop_cli import campaign, demo_data, live
from truthloop_cli.demo_data import DEFAULT_TASK, DemoData, Plan
from truthloop_cli.embedded import isolated
from truthloop_cli.stack import Stack

if TYPE_CHECKING:
    from local_aws.process import LocalAws

STATE_BUCKET = "truthloop-local-state"

# What a campaign is made of in which a person labels every object: about 40 of them.
# The numbers of the rounds are the seed set's size, a round's size, and the rounds.
_PERSON_SIZE, _PERSON_ROUNDS = 60, (8, 4, 3)
# How long the simulated annotators leave a person a place in every object.
_PATIENCE_SECONDS = 120

# Five people of different skill; three of them see each object. Seconds are medians of a log-normal, for a
# choice among images.
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
        "seconds_median": 1.6,
        "seconds_spread": 0.50,
        "decline_rate": 0.02,
    },
    {
        "name": "annotator-5",
        "accuracy": 0.80,
        "seconds_median": 1.2,
        "seconds_spread": 0.60,
        "decline_rate": 0.02,
    },
]

# Who looks at the labels where they are audited; one of them sees each label.
AUDITORS: list[dict[str, Any]] = [
    {"name": "auditor-1", "accuracy": 0.99, "seconds_median": 1.6, "seconds_spread": 0.35},
    {"name": "auditor-2", "accuracy": 0.98, "seconds_median": 1.4, "seconds_spread": 0.40},
    {"name": "auditor-3", "accuracy": 0.96, "seconds_median": 1.2, "seconds_spread": 0.40},
]

# Of each round's labels, how many are audited once more in the end.
_FINAL_SAMPLE = 20
NO_AUDIT = "none"
AUDITS = (NO_AUDIT, "sample", "all")


@dataclass(frozen=True)
class DemoSettings:
    """What a run of the demo can vary.

    Attributes
    ----------
    task
        The task type.
    seed
        Of every random choice: made data, splits, seed set, random control, annotators.
    size
        Number of objects; None for the task type's own.
    seed_size, round_size, max_rounds
        Objects in the seed set, and per round and arm; rounds after which the campaign stops, the seed round
        included. None for the task type's own.
    person
        The name of somebody who labels in the browser beside the simulated annotators; "" for nobody.
    audit
        Which labels auditors look at, one of `AUDITS`. With an audit, the annotators share planted mistakes.
    """

    task: str = DEFAULT_TASK
    seed: int = 1
    size: int | None = None
    seed_size: int | None = None
    round_size: int | None = None
    max_rounds: int | None = None
    person: str = ""
    audit: str = NO_AUDIT

    @classmethod
    def beside(
        cls, person: str, task: str, seed: int, size: int | None, audit: str = NO_AUDIT
    ) -> DemoSettings:
        """A demo that is small enough for a person to be one of the annotators."""
        return cls(task, seed, size or _PERSON_SIZE, *_PERSON_ROUNDS, person, audit)

    @property
    def plan(self) -> Plan:
        return demo_data.plan_of(self.task)

    @property
    def rounds(self) -> int:
        return self.max_rounds or self.plan.rounds

    @property
    def bucket(self) -> str:
        """The customer's bucket; rows are known by where they lie, so it is part of what a seed gives."""
        return f"truthloop-demo-{self.plan.name}"

    def data(self, bucket: str = "") -> DemoData:
        """The objects to label, in a bucket of their own or in another one."""
        return demo_data.make(self.task, bucket or self.bucket, self.size, self.seed)

    def request(self, data: DemoData) -> dict[str, Any]:
        """The campaign request, as a user would write it."""
        plan = self.plan
        return {
            "schema_version": 1,
            "campaign": f"{plan.name}-{self.seed}",
            "task_type": self.task,
            "manifest_uri": data.manifest_uri,
            "label_categories": plan.label_categories,
            "label_attribute": plan.label_attribute,
            "labeling": {"workers_per_object": 3, **plan.labeling},
            "selection": {
                "strategy": "margin",
                "seed_size": self.seed_size or plan.seed_size,
                "round_size": self.round_size or plan.round_size,
                "random_control": True,
            },
            "audit": {"policy": self.audit, "final_sample": _FINAL_SAMPLE},
            "stop": {"max_rounds": self.rounds, "budget_usd": 500},
            "seed": self.seed,
        }

    def annotators(self, data: DemoData, auditors_team: str = "") -> dict[str, Any]:
        """Who labels: the simulated annotators, who alone know the truth, and the person beside them.

        Parameters
        ----------
        auditors_team
            The name of the auditors' work team, whose members they are where labels are audited.
        """
        people = [
            {
                **person,
                "seconds_median": person["seconds_median"] * self.plan.seconds,
                "confusion": dict(self.plan.confusion.get(person["name"], {})),
            }
            for person in ANNOTATORS
        ]
        team = {"seed": self.seed, "truth": dict(data.truth), "annotators": people}
        if self.audit != NO_AUDIT:
            people += [{**auditor, "workteam": auditors_team} for auditor in AUDITORS]
            team["mistakes"] = self.mistakes(data)
        if not self.person:
            return team
        # Nobody wants to wait for colleagues: whatever they do takes them half the time of a choice.
        speed = 2 * self.plan.seconds
        return {
            **team,
            "people": [{"name": self.person}],
            "speed": speed,
            "patience_seconds": _PATIENCE_SECONDS,
        }

    def mistakes(self, data: DemoData) -> dict[str, Any]:
        """What all annotators take some objects for, by source; nothing without an audit."""
        if self.audit == NO_AUDIT:
            return {}
        # It needs numpy, and the other steps of the demo do not.
        from truthloop_cli.demo_data.mistakes import planted

        return planted(data, task_types.get(self.task).LABEL_KIND, self.seed)


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


def stack_variables(bucket: str) -> dict[str, Any]:
    """Terraform variables that the demo sets on top of envs/local.tfvars."""
    return {"image_tag": "local", "input_buckets": [bucket]}


@contextmanager
def deployed(aws: LocalAws, bucket: str, progress: Any = None) -> Iterator[tuple[Stack, dict[str, Any]]]:
    """Apply the root stack, which may read from `bucket`, to the embedded AWS; yield it with its outputs."""
    clients = Clients.of(aws.environment())
    clients.s3.create_bucket(Bucket=STATE_BUCKET)
    with Stack("local", aws.environment(), stack_variables(bucket)) as stack:
        stack.init()
        stack.apply(progress)
        yield stack, stack.outputs()


def run(settings: DemoSettings, output: Path, console: Console) -> None:
    """Run the demo from the first unlabelled row to the trained model; write what came out to `output`."""
    from local_aws.process import LocalAws

    began = time.monotonic()
    data = settings.data()
    console.print(f"[bold]1.[/] {len(data.truth)} {data.plan.what}, none labelled")
    with isolated({}), LocalAws() as aws:
        console.print(f"[bold]2.[/] embedded AWS on {aws.endpoint}")
        clients = Clients.of(aws.environment())
        uploading = _Background(_upload, data, clients.s3)
        with (
            _bar(console, "[bold]3.[/] terraform apply") as progress,
            deployed(aws, data.bucket, progress) as (_, outputs),
        ):
            uploading.join()
            progress.stop()
            auditors_team = outputs["auditors_workteam_arn"].rpartition("/")[2]
            aws.control("POST", "annotators", settings.annotators(data, auditors_team))
            with _desk(settings, aws, console):
                _campaign(settings, data, aws, outputs, clients, output, console)
    console.print(f"\nAll of it took {time.monotonic() - began:.0f} s; nothing is left running.")
    console.print(f"Open [bold]{output / 'report' / 'index.html'}[/]")


def _upload(data: DemoData, s3: Any) -> None:
    demo_data.create_bucket(data.bucket, s3)
    demo_data.upload(data, s3)


@contextmanager
def _desk(settings: DemoSettings, aws: LocalAws, console: Console) -> Iterator[None]:
    """Serve the worker portal while the campaign runs, where a person is one of the annotators."""
    if not settings.person:
        yield
        return
    from worker_ui.portal import Portal
    from worker_ui.server import PortalServer

    with PortalServer(Portal(aws.endpoint, settings.person)) as server:
        console.print(
            f"   You are [bold]{settings.person}[/] in the team: label at [bold]{server.url}[/]\n"
            "   The others leave you a place in every object, and go on without you where you do nothing for "
            f"{_PATIENCE_SECONDS} s."
        )
        yield


def _campaign(
    settings: DemoSettings,
    data: DemoData,
    aws: LocalAws,
    outputs: dict[str, Any],
    clients: Clients,
    output: Path,
    console: Console,
) -> None:
    request = settings.request(data)
    layout = CampaignLayout(outputs["data_bucket_name"], request["campaign"])
    gateway = S3Gateway(clients.s3)
    console.print(
        f"[bold]4.[/] campaign {request['campaign']} ({settings.task}): {settings.rounds} rounds, margin "
        f"sampling beside a random control of equal size; {len(ANNOTATORS)} simulated annotators, "
        f"{request['labeling']['workers_per_object']} answers per object"
    )
    arn = campaign.start(clients.stepfunctions, outputs["state_machine_arn"], request)
    ended = live.show(console, campaign.follow(clients.stepfunctions, gateway, arn, layout))
    if ended.status != "SUCCEEDED":
        raise campaign.CampaignFailed(f"The campaign ended as {ended.status}: {ended.error}: {ended.cause}")
    download(gateway, layout, len(ended.rounds) - 1, output)
    _summary(settings, data, gateway, output, console)
    if settings.audit != NO_AUDIT:
        # It needs numpy, and the other steps of the demo do not.
        from truthloop_cli.demo_audit import Audited

        Audited(aws, outputs, data, settings.mistakes(data), layout, gateway, output, console).summarise()


def download(s3: S3Gateway, layout: CampaignLayout, last_round: int, output: Path) -> None:
    """Fetch report, labels, model and request of a finished campaign into a folder."""
    report = output / "report"
    for uri in s3.list(layout.report_prefix()):
        path = report / uri.removeprefix(layout.report_prefix())
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.download(uri, path)
    s3.download(layout.model(last_round), output / "model.tar.gz")
    s3.download(layout.campaign_document(), output / "campaign.json")


def _summary(settings: DemoSettings, data: DemoData, s3: S3Gateway, output: Path, console: Console) -> None:
    # It needs numpy, and the demo's other steps do not.
    from truthloop_cli.demo_data.agreement import agreement, label_of

    report = json.loads((output / "report" / "report.json").read_text())
    console.print(f"\n[bold]5.[/] {report['learning']['sentence']}")
    plan, kind = data.plan, task_types.get(settings.task).LABEL_KIND
    agreed: dict[str, list[float]] = {}
    for line in (output / "report" / "labels.manifest").read_text().splitlines():
        row = json.loads(line)
        truth = data.truth[row["source-ref"] if "source-ref" in row else row["source"]]
        given = label_of(kind, row, plan.label_attribute, s3.read_bytes)
        by = row["truthloop"]["labeled_by"] or "nobody"
        agreed.setdefault(by, []).append(agreement(kind, truth, given, plan.label_categories))
    for by, found in sorted(agreed.items()):
        console.print(f"   {len(found):5d} rows labelled by {by}: {_AGREEMENT[kind].format(mean(found))}")
    console.print(f"\n   report    {output / 'report' / 'index.html'}")
    console.print(f"   labels    {output / 'report' / 'labels.manifest'}")
    if masks := _save_masks(data, s3, output):
        console.print(f"   masks     {masks}")
    console.print(f"   figures   {output / 'report' / 'report.json'}")
    console.print(f"   model     {output / 'model.tar.gz'}")


# What `agreement` measures for each kind of label, with its mean over the rows.
_AGREEMENT = {
    CLASS: "{:.1%} agree with the truth",
    CLASSES: "{:.1%} of the labels are judged as the truth has them",
    BOXES: "F1 {:.3f} against the true boxes (IoU 0.5)",
    MASK: "mean IoU {:.3f} with the true masks",
}


def _save_masks(data: DemoData, s3: S3Gateway, output: Path) -> Path | None:
    """Save the masks that labels.manifest refers to, under their images' names; S3 ends with the demo."""
    folder, saved = output / "masks", 0
    metadata = f"{data.plan.label_attribute}-metadata"
    for line in (output / "report" / "labels.manifest").read_text().splitlines():
        row = json.loads(line)
        overlay = (row.get(metadata) or {}).get("overlay-ref")
        if overlay is not None:
            name = Path(row["source-ref"]).stem
            folder.mkdir(parents=True, exist_ok=True)
            s3.download(row[data.plan.label_attribute], folder / f"{name}.png")
            s3.download(overlay, folder / f"{name}.overlay.png")
            saved += 1
    return folder if saved else None


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
