"""Builds a whole campaign on scikit-learn's digits in a simulated S3, played by the program's own steps.

People are three simulated workers; what they answered is kept beside the campaign, so that tests can count
it independently of what the report reads back.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from PIL import Image
from sklearn.datasets import load_digits

from truthloop import aws, task_types
from truthloop.campaign import Campaign, InputManifest
from truthloop.decide import assess
from truthloop.layout import CampaignLayout
from truthloop.manifest import (
    Row,
    count,
    encode_row,
    merge_into,
    merge_row,
    read_master,
    row_id,
    with_provenance,
)
from truthloop.names import labeling_job_name
from truthloop.prices import Prices
from truthloop.request import parse_request
from truthloop.s3 import S3Gateway
from truthloop.splits import Splits, candidate, draw
from truthloop_batch import evaluation, scoring, selection, training
from truthloop_batch.context import Context

BUCKET = "truthloop-test-data"
ATTRIBUTE = "digit"
CLASSES = tuple(str(digit) for digit in range(10))
PRICES = Prices(0.08, 0.012, 0.04, 0.004)
STARTED = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
# Name, accuracy, seconds per answer.
WORKERS = (
    ("private.us-east-1.aaaa111122223333", 0.95, 4.0),
    ("private.us-east-1.bbbb111122223333", 0.85, 6.5),
    ("private.us-east-1.cccc111122223333", 0.60, 2.5),
)


@dataclass(frozen=True)
class GivenAnswer:
    """What a simulated worker did."""

    job: str
    object: int
    worker: str
    label: int
    seconds: float


@dataclass
class BuiltCampaign:
    """A campaign whose rounds are all done, and that nobody has finalised."""

    context: Context
    inputs: list[Row]
    truth: dict[str, int]
    answers: list[GivenAnswer] = field(default_factory=list)
    consolidated: dict[tuple[str, int], int] = field(default_factory=dict)

    @property
    def s3(self) -> S3Gateway:
        return self.context.s3

    @property
    def layout(self) -> CampaignLayout:
        return self.context.layout

    def labels_manifest(self) -> list[Row]:
        lines = self.s3.read_bytes(self.layout.labels_manifest()).decode().split("\n")
        assert lines.pop() == ""
        return [json.loads(line) for line in lines]

    def master(self) -> list[Row]:
        return list(read_master(self.s3, self.layout.master_manifest()))

    def report(self) -> Any:
        return self.s3.read_json(self.layout.report_document())

    def page(self) -> str:
        return self.s3.read_bytes(self.layout.report()).decode()

    def documents(self, name: str) -> list[Any]:
        """One document of every round, such as "decision"."""
        return [
            self.s3.read_json(f"{self.layout.round_prefix(number)}{name}.json")
            for number in range(self.context.round + 1)
        ]


@cache
def digit_files() -> tuple[list[bytes], list[int]]:
    """All digits as PNG files of 64 x 64 pixels, ink on paper, and what they show."""
    data = load_digits()
    files = []
    for pixels in data.images:
        buffer = io.BytesIO()
        ink = Image.fromarray((255 - pixels * (255 / 16)).astype("uint8"))
        ink.resize((64, 64), Image.Resampling.BICUBIC).save(buffer, "PNG")
        files.append(buffer.getvalue())
    return files, [int(digit) for digit in data.target]


def upload_digits(count: int) -> None:
    """Store the first digits; all campaigns share them."""
    for number, content in enumerate(digit_files()[0][:count]):
        put_object(image_uri(number), content)


def put_object(uri: str, content: bytes) -> None:
    aws.s3().put_object(Bucket=BUCKET, Key=uri.removeprefix(f"s3://{BUCKET}/"), Body=content)


def image_uri(number: int) -> str:
    return f"s3://{BUCKET}/images/{number:04d}.png"


def build_campaign(
    name: str = "digits",
    images: int = 160,
    rounds: int = 3,
    classes: Sequence[str] = CLASSES,
    labeled: Callable[[int], bool] = lambda number: False,
    fails: Callable[[int], bool] = lambda number: False,
    responses: bool = True,
    response_fields: Sequence[str] = ("submissionTime", "acceptanceTime", "timeSpentInSeconds"),
    **settings: Any,
) -> BuiltCampaign:
    """Play a campaign on the first digits, which are stored already, up to its last decision.

    Parameters
    ----------
    labeled, fails
        By a digit's number: whether its row comes with a label; whether no worker ever answers for it.
    responses, response_fields
        Whether the workers' single answers are kept in S3, and with which optional fields.
    settings
        Further keys of the campaign request.
    """
    s3, layout = S3Gateway(), CampaignLayout(BUCKET, name)
    digits = digit_files()[1]
    truth: dict[str, int] = {}
    inputs: list[Row] = []
    for number in range(images):
        uri = image_uri(number)
        truth[uri] = digits[number]
        row = {"source-ref": uri, "id": f"user-{number}", "scan": {"form": "数字", "note": "a\u2028b 🖊"}}
        inputs.append({**row, ATTRIBUTE: digits[number]} if labeled(number) else row)
    context = _prepare(s3, layout, inputs, classes, rounds, settings)
    built = BuiltCampaign(context, inputs, truth)
    decisions: list[dict[str, Any]] = []
    for number in range(rounds):
        context = Context.open(layout.uri, number, s3=s3)
        if number:
            for shard in range(context.request.scoring.shards):
                scoring.run(Context.open(layout.uri, number, shard, s3))
        selection.run(context)
        merge = _label(built, number, fails, responses, response_fields)
        training.run(context)
        evaluation.run(context)
        usage = [{"step": "train", "index": None, "seconds": 30.0 + number, "vcpus": 1, "memory_mib": 2048}]
        s3.write_json(layout.usage(number, "train"), usage[0])
        decisions.append(
            assess(
                campaign=context.campaign,
                round_number=number,
                previous=decisions,
                merge=merge,
                evaluation=s3.read_json(layout.evaluation(number)),
                usage=usage,
                counts=count(context.rows(), ATTRIBUTE, context.splits.held_out),
                now=STARTED + timedelta(minutes=10 * (number + 1)),
            )
        )
        s3.write_json(layout.decision(number), decisions[-1])
    built.context = Context.open(layout.uri, rounds - 1, s3=s3)
    return built


def _prepare(
    s3: S3Gateway,
    layout: CampaignLayout,
    inputs: Sequence[Row],
    classes: Sequence[str],
    rounds: int,
    settings: dict[str, Any],
) -> Context:
    request = parse_request(
        {
            "campaign": layout.campaign,
            "task_type": "image-classification",
            "manifest_uri": f"s3://{BUCKET}/input.manifest",
            "label_categories": list(classes),
            "label_attribute": ATTRIBUTE,
            "selection": {"strategy": "margin", "seed_size": 12, "round_size": 8, "random_control": True},
            "splits": {"test_fraction": 0.25, "validation_fraction": 0.1},
            "scoring": {"shards": 2},
            "stop": {"max_rounds": rounds, "budget_usd": 50},
            **settings,
        }
    )
    rows = [with_provenance(row, ATTRIBUTE) for row in inputs]
    splits: Splits = draw(
        [candidate(row_id(row), row, ATTRIBUTE, None) for row in rows],
        request.splits.test_fraction,
        request.splits.validation_fraction,
        request.seed,
    )
    campaign = Campaign(
        request=request,
        request_sha256=request.sha256(),
        workteam_arn="arn:aws:sagemaker:us-east-1:123456789012:workteam/private-crowd/annotators",
        prices=PRICES,
        input=InputManifest(etag="", sha256="", rows=len(rows)),
        execution_arn="arn:aws:states:us-east-1:123456789012:execution:loop:1",
        created_at=STARTED,
    )
    s3.write_json(layout.campaign_document(), campaign.to_document())
    s3.write_json(layout.splits(), splits.to_document())
    s3.write_lines_once(layout.master_manifest(), map(encode_row, rows))
    return Context.open(layout.uri, 0, s3=s3)


def _label(
    built: BuiltCampaign,
    number: int,
    fails: Callable[[int], bool],
    responses: bool,
    response_fields: Sequence[str],
) -> dict[str, Any]:
    """Play the round's labelling job as Ground Truth leaves it in S3, and merge its labels."""
    s3, layout, context = built.s3, built.layout, built.context
    job = labeling_job_name(layout, number, 1)
    sent = list(read_master(s3, layout.selection_manifest(number)))
    if not sent:
        merge = {"job": None, "status": "NothingToLabel", "labeled": 0, "failed": 0, "answers": 0}
        s3.write_json(layout.merge(number), merge)
        return merge
    given: dict[str, list[tuple[str, int]]] = {}
    for line, row in enumerate(sent):
        if fails(int(row["id"].removeprefix("user-"))):
            continue
        given[str(line)] = _answers(built, job, line, row)
    labels = task_types.get("image-classification").consolidate(given, context.classes)
    output, updates = [], {}
    for line, row in enumerate(sent):
        metadata: dict[str, Any] = {
            "type": "groundtruth/image-classification",
            "human-annotated": "yes",
            "creation-date": "2026-03-01T09:05:00.000000",
            "job-name": f"labeling-job/{job}",
        }
        label = labels.get(str(line))
        if label is None:
            output.append(
                {**row, f"{ATTRIBUTE}-metadata": {**metadata, "failure-reason": "Nobody answered."}}
            )
            updates[row_id(row)] = {"truthloop": {"failures": row["truthloop"]["failures"] + 1}}
            continue
        built.consolidated[job, line] = label.value
        update = {
            ATTRIBUTE: label.value,
            f"{ATTRIBUTE}-metadata": {**metadata, **label.metadata},
            "truthloop": {
                **{key: row["truthloop"][key] for key in ("reason", "score", "model")},
                "round": number,
                "job": job,
                "labeled_by": "people",
                "annotators": len(given[str(line)]),
            },
        }
        output.append({key: value for key, value in merge_row(row, update).items() if key != "truthloop"})
        updates[row_id(row)] = update
    s3.write_lines_once(layout.labeling_output_manifest(job), map(encode_row, output))
    if responses:
        _write_responses(built, job, response_fields)
    merge_into(s3, layout.master_manifest(), updates)
    merge = {
        "job": job,
        "status": "Completed",
        "labeled": len(labels),
        "failed": len(sent) - len(labels),
        "answers": sum(len(each) for each in given.values()),
    }
    s3.write_json(layout.merge(number), merge)
    return merge


def _answers(built: BuiltCampaign, job: str, line: int, row: Row) -> list[tuple[str, int]]:
    answers = []
    for worker, accuracy, speed in WORKERS:
        # The same object gets the same answers in whatever order it is asked for.
        luck = random.Random(f"{row['source-ref']}:{worker}")  # noqa: S311
        right = built.truth[row["source-ref"]]
        label = right if luck.random() < accuracy else (right + luck.choice([3, 5])) % 10
        seconds = round(speed * luck.uniform(0.5, 1.8), 3)
        built.answers.append(GivenAnswer(job, line, worker, label, seconds))
        answers.append((worker, label))
    return answers


def _write_responses(built: BuiltCampaign, job: str, response_fields: Sequence[str]) -> None:
    by_object: dict[int, list[GivenAnswer]] = {}
    for answer in built.answers:
        if answer.job == job:
            by_object.setdefault(answer.object, []).append(answer)
    for line, given in by_object.items():
        entries = []
        for answer in given:
            accepted = STARTED + timedelta(seconds=line)
            optional = {
                "acceptanceTime": _iso(accepted),
                "submissionTime": _iso(accepted + timedelta(seconds=answer.seconds)),
                "timeSpentInSeconds": answer.seconds,
            }
            label = built.context.classes[answer.label]
            entries.append(
                {
                    "answerContent": {"crowd-image-classifier": {"label": label}},
                    "workerId": answer.worker,
                    "workerMetadata": {"identityData": {"sub": f"person-{answer.worker[-4:]}"}},
                    **{key: optional[key] for key in response_fields},
                }
            )
        folder = f"{built.layout.labeling_prefix()}{job}/annotations/worker-response/iteration-1/{line}/"
        built.s3.write_json(f"{folder}2026-03-01_09:00:00.json", {"answers": entries})


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
