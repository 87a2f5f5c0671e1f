"""Builds whole campaigns of every task type in a simulated S3, played by the program's own steps.

The data are scikit-learn's digits, and texts and scenes that `unit.batch.made_data` makes. People are three
simulated workers; what they answered is kept beside the campaign, so that tests can count it independently of
what the report reads back. Their answers go through the labelling functions' own consolidation.
"""

from __future__ import annotations

import base64
import io
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from truthloop import aws, gold, palette
from truthloop.campaign import Campaign, InputManifest
from truthloop.decide import assess
from truthloop.labeling import annotations, workers
from truthloop.labeling.jobs import JobRecord
from truthloop.layout import AuditLayout, CampaignLayout
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
from truthloop.names import audit_name, labeling_job_name
from truthloop.prices import Prices
from truthloop.request import parse_request
from truthloop.s3 import S3Gateway
from truthloop.splits import Splits, candidate, draw
from truthloop.task_types import ConsolidationHelp
from truthloop_batch import evaluation, scoring, selection, training
from truthloop_batch.context import Context
from unit.batch import made_data

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
MALFORMED = {"other-form": 1}


@dataclass(frozen=True)
class Data:
    """What a task type's campaigns are about, by an object's number.

    Attributes
    ----------
    row
        The keys of the manifest's row that hold the object.
    answer
        What a worker of some accuracy submits, (number, accuracy, luck) -> answerContent.
    label
        The true label as an input manifest has it; None where tests need no labels in the input.
    """

    task_type: str
    attribute: str
    classes: tuple[str, ...]
    row: Callable[[int], dict[str, str]]
    answer: Callable[[int, float, random.Random], dict[str, Any]]
    label: Callable[[int], Any] | None = None


@dataclass(frozen=True)
class GivenAnswer:
    """What a simulated worker did."""

    job: str
    object: int
    worker: str
    content: dict[str, Any]
    seconds: float

    @property
    def label(self) -> int:
        """The index of the label, of one class."""
        return CLASSES.index(self.content["crowd-image-classifier"]["label"])


@dataclass
class BuiltCampaign:
    """A campaign whose rounds are all done, and that nobody has finalised."""

    context: Context
    data: Data
    inputs: list[Row]
    answers: list[GivenAnswer] = field(default_factory=list)
    consolidated: dict[tuple[str, int], Any] = field(default_factory=dict)

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


# ------------------------------------------------------------------------------------------------ objects


@cache
def digit_files() -> tuple[list[bytes], list[int]]:
    """All digits as PNG files of 64 x 64 pixels, ink on paper, and what they show."""
    data = load_digits()
    files = []
    for pixels in data.images:
        ink = Image.fromarray((255 - pixels * (255 / 16)).astype("uint8"))
        files.append(_png(ink.resize((64, 64), Image.Resampling.BICUBIC)))
    return files, [int(digit) for digit in data.target]


@cache
def made_scene(number: int) -> made_data.Scene:
    return made_data.scene(number, size=(128, 96), noise=14)


def upload_digits(count: int) -> None:
    """Store the first digits; all campaigns share them."""
    for number, content in enumerate(digit_files()[0][:count]):
        put_object(image_uri(number), content)


def upload_scenes(count: int) -> None:
    """Store the first scenes; all campaigns share them."""
    for number in range(count):
        put_object(scene_uri(number), made_scene(number).png)


def put_object(uri: str, content: bytes) -> None:
    aws.s3().put_object(Bucket=BUCKET, Key=uri.removeprefix(f"s3://{BUCKET}/"), Body=content)


def image_uri(number: int) -> str:
    return f"s3://{BUCKET}/images/{number:04d}.png"


def scene_uri(number: int) -> str:
    return f"s3://{BUCKET}/scenes/{number:04d}.png"


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


# ------------------------------------------------------------------------------------------------ workers


def _choose_digit(number: int, accuracy: float, luck: random.Random) -> dict[str, Any]:
    right = digit_files()[1][number]
    chosen = right if luck.random() < accuracy else (right + luck.choice([3, 5])) % 10
    return {"crowd-image-classifier": {"label": CLASSES[chosen]}}


def _choose_topic(number: int, accuracy: float, luck: random.Random) -> dict[str, Any]:
    right = number % 3
    chosen = right if luck.random() < accuracy else (right + luck.choice([1, 2])) % 3
    return {"crowd-classifier": {"label": made_data.TOPICS[chosen]}}


def _tag(number: int, accuracy: float, luck: random.Random) -> dict[str, Any]:
    shown = {kind for kind, *_ in made_scene(number).boxes}
    given = [
        shape
        for kind, shape in enumerate(made_data.SHAPES)
        if (kind in shown) == (luck.random() < (1 + accuracy) / 2)
    ]
    return {"crowd-image-classifier-multi-select": {"labels": given}}


def _draw_boxes(number: int, accuracy: float, luck: random.Random) -> dict[str, Any]:
    drawn = []
    for kind, *sides in made_scene(number).boxes:
        if luck.random() > (1 + accuracy) / 2:
            continue
        left, top, width, height = (side + luck.gauss(0, 4 * (1 - accuracy)) for side in sides)
        drawn.append({**_box(kind, left, top), "width": max(width, 4), "height": max(height, 4)})
    if luck.random() > accuracy + 0.2:
        drawn.append(_box(luck.randrange(3), luck.uniform(0, 90), luck.uniform(0, 60)))
    return {"boundingBox": {"boundingBoxes": drawn, "inputImageProperties": {"height": 96, "width": 128}}}


def _box(kind: int, left: float, top: float) -> dict[str, Any]:
    return {
        "label": made_data.SHAPES[kind],
        "left": max(left, 0),
        "top": max(top, 0),
        "width": 20,
        "height": 20,
    }


def _paint(number: int, accuracy: float, luck: random.Random) -> dict[str, Any]:
    reach = round(12 * (1 - accuracy))
    moved = (luck.randint(-reach, reach), luck.randint(-reach, reach))
    mask = np.roll(made_scene(number).mask, moved, axis=(0, 1))
    if luck.random() > (1 + accuracy) / 2:
        mask = np.where(mask == luck.randint(1, 3), 0, mask)
    colors = np.zeros((4, 4), np.uint8)
    for index in range(1, 4):
        colors[index] = (*palette.rgb(palette.color(index + 4)), 255)
    return {
        "crowd-semantic-segmentation": {
            "labeledImage": {"pngImageData": base64.b64encode(_png(Image.fromarray(colors[mask]))).decode()},
            "labelMappings": {
                shape: {"color": palette.color(index + 5)} for index, shape in enumerate(made_data.SHAPES)
            },
            "inputImageProperties": {"height": 96, "width": 128},
        }
    }


def _text_row(number: int) -> dict[str, str]:
    return {"source": made_data.text(number, number % 3, japanese=number % 5 == 0)}


DIGITS = Data(
    "image-classification",
    ATTRIBUTE,
    CLASSES,
    lambda number: {"source-ref": image_uri(number)},
    _choose_digit,
    lambda number: digit_files()[1][number],
)
TEXTS = Data("text-classification", "topic", made_data.TOPICS, _text_row, _choose_topic)


def _scene_row(number: int) -> dict[str, str]:
    return {"source-ref": scene_uri(number)}


TAGS = Data("image-multi-label", "shapes", made_data.SHAPES, _scene_row, _tag)
BOXES = Data("bounding-box", "boxes", made_data.SHAPES, _scene_row, _draw_boxes)
MASKS = Data("semantic-segmentation", "painted-ref", made_data.SHAPES, _scene_row, _paint)


# ----------------------------------------------------------------------------------------------- campaign


def build_campaign(
    name: str = "digits",
    data: Data = DIGITS,
    images: int = 160,
    rounds: int = 3,
    labeled: Callable[[int], bool] = lambda number: False,
    fails: Callable[[int], bool] = lambda number: False,
    malformed: Callable[[int, str], bool] = lambda number, worker: False,
    responses: bool = True,
    response_fields: Sequence[str] = ("submissionTime", "acceptanceTime", "timeSpentInSeconds"),
    gold_items: Sequence[int] = (),
    audited: Callable[[BuiltCampaign, int], Mapping[str, Any] | None] = lambda built, number: None,
    **settings: Any,
) -> BuiltCampaign:
    """Play a campaign on the first objects, which are stored already, up to its last decision.

    Parameters
    ----------
    labeled, fails
        By an object's number: whether its row comes with a label; whether no worker ever answers for it.
    malformed
        By an object's number and a worker: whether the answer has another form.
    responses, response_fields
        Whether the workers' single answers are kept in S3, and with which optional fields.
    gold_items
        The numbers of the objects with known labels, which are no rows of the campaign.
    audited
        What is done in a round's audit, (campaign, round) -> result.json; None without one.
    settings
        Further keys of the campaign request.
    """
    s3, layout = S3Gateway(), CampaignLayout(BUCKET, name)
    inputs: list[Row] = []
    for number in range(images):
        row = {**data.row(number), "id": f"user-{number}", "scan": {"form": "数字", "note": "a\u2028b 🖊"}}
        if labeled(number):
            assert data.label is not None
            row[data.attribute] = data.label(number)
        inputs.append(row)
    context = _prepare(s3, layout, data, inputs, rounds, settings)
    if gold_items:
        _freeze_gold(s3, layout, data, gold_items)
    built = BuiltCampaign(context, data, inputs)
    decisions: list[dict[str, Any]] = []
    for number in range(rounds):
        context = Context.open(layout.uri, number, s3=s3)
        if number:
            for shard in range(context.request.scoring.shards):
                scoring.run(Context.open(layout.uri, number, shard, s3))
        selection.run(context)
        merge = _label(built, number, fails, malformed, responses, response_fields)
        _merge_auto_labels(built, number)
        result = audited(built, number)
        if result is not None:
            s3.write_json(audit_of(layout, number).result(), result)
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
                counts=count(context.rows(), data.attribute, context.splits.held_out),
                now=STARTED + timedelta(minutes=10 * (number + 1)),
                audit=result,
            )
        )
        s3.write_json(layout.decision(number), decisions[-1])
    built.context = Context.open(layout.uri, rounds - 1, s3=s3)
    return built


def _prepare(
    s3: S3Gateway,
    layout: CampaignLayout,
    data: Data,
    inputs: Sequence[Row],
    rounds: int,
    settings: dict[str, Any],
) -> Context:
    request = parse_request(
        {
            "campaign": layout.campaign,
            "task_type": data.task_type,
            "manifest_uri": f"s3://{BUCKET}/input.manifest",
            "label_categories": list(data.classes),
            "label_attribute": data.attribute,
            "selection": {"strategy": "margin", "seed_size": 12, "round_size": 8, "random_control": True},
            "splits": {"test_fraction": 0.25, "validation_fraction": 0.1},
            "scoring": {"shards": 2},
            "stop": {"max_rounds": rounds, "budget_usd": 50},
            **settings,
        }
    )
    rows = [with_provenance(row, data.attribute) for row in inputs]
    splits: Splits = draw(
        [candidate(row_id(row), row, data.attribute, None) for row in rows],
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


def audit_of(layout: CampaignLayout, number: int) -> AuditLayout:
    return AuditLayout(layout.bucket, layout.campaign, audit_name(layout, number))


def _freeze_gold(s3: S3Gateway, layout: CampaignLayout, data: Data, numbers: Sequence[int]) -> None:
    assert data.label is not None
    items = []
    for number in numbers:
        row = {**data.row(number), "id": f"user-{number}", data.attribute: data.label(number)}
        items.append({**row, "truthloop": {"id": gold.gold_id(row), gold.GOLD: True}})
    gold.freeze(s3, layout, items)


def _merge_auto_labels(built: BuiltCampaign, number: int) -> None:
    """Merge what the model labelled by itself, as the merge of the round does."""
    uri = built.layout.auto_manifest(number)
    if not built.s3.exists(uri):
        return
    attribute = built.data.attribute
    updates = {
        row_id(row): {key: row[key] for key in (attribute, f"{attribute}-metadata", "truthloop")}
        for row in read_master(built.s3, uri)
    }
    merge_into(built.s3, built.layout.master_manifest(), updates)


def _label(
    built: BuiltCampaign,
    number: int,
    fails: Callable[[int], bool],
    malformed: Callable[[int, str], bool],
    responses: bool,
    response_fields: Sequence[str],
) -> dict[str, Any]:
    """Play the round's labelling job as Ground Truth leaves it in S3, and merge its labels."""
    s3, layout, attribute = built.s3, built.layout, built.data.attribute
    name = labeling_job_name(layout, number, 1)
    sent = list(read_master(s3, layout.selection_manifest(number)))
    if not sent:
        workers.sum_up(s3, layout, number, None)
        merge = {"job": None, "status": "NothingToLabel", "labeled": 0, "failed": 0, "answers": 0}
        s3.write_json(layout.merge(number), merge)
        return merge
    payload = []
    for line, row in enumerate(sent):
        object_number = int(row["id"].removeprefix("user-"))
        given = {} if fails(object_number) else _answers(built, name, line, object_number, malformed)
        payload.append(
            {
                "datasetObjectId": str(line),
                "annotations": [
                    {"workerId": worker, "annotationData": {"content": json.dumps(content)}}
                    for worker, content in given.items()
                ],
            }
        )
    job = JobRecord(
        job_name=name,
        campaign=layout.campaign,
        campaign_uri=layout.uri,
        round=number,
        attempt=1,
        task_type=built.data.task_type,
        label_categories=built.data.classes,
        label_attribute=attribute,
        task_token="",
        waiting_since="",
    )
    skills = workers.earlier_skills(s3, layout, number)
    batch = annotations.consolidate(
        payload,
        job,
        s3.read_json,
        STARTED + timedelta(minutes=5),
        ConsolidationHelp(
            {worker: skill.counts for worker, skill in skills.items()}, workers.store_of(s3, job)
        ),
    )
    items = {line: row for line, row in enumerate(sent) if gold.is_gold(row)}
    scores = {
        str(line): {
            answer.worker: float(answer.label == built.data.label(int(row["id"].removeprefix("user-"))))
            for answer in built.answers
            if (answer.job, answer.object) == (name, line)
        }
        for line, row in items.items()
        if built.data.label is not None
    }
    workers.keep_evidence(s3, job, batch.evidence, scores)
    output, updates = [], {}
    for line, (row, entry) in enumerate(zip(sent, batch.entries, strict=True)):
        content = entry["consolidatedAnnotation"]["content"]
        if line in items:
            output.append(merge_row(row, content))
            continue
        update: dict[str, Any]
        if attribute in content:
            built.consolidated[name, line] = content[attribute]
            told = {key: row["truthloop"][key] for key in ("reason", "score", "model", "history")}
            told |= {"round": number, "job": name, "labeled_by": "people"}
            told |= {"annotators": content[f"{attribute}-metadata"]["annotators"]}
            update = {**content, "truthloop": told}
        else:
            update = {"truthloop": {"failures": row["truthloop"]["failures"] + 1}}
        updates[row_id(row)] = update
        written = merge_row(row, content)
        output.append({key: value for key, value in written.items() if key != "truthloop"})
    s3.write_lines_once(layout.labeling_output_manifest(name), map(encode_row, output))
    workers.sum_up(s3, layout, number, name)
    if responses:
        _write_responses(built, name, response_fields)
    merge_into(s3, layout.master_manifest(), updates)
    labels = sum(attribute in update for update in updates.values())
    answers = [len(item["annotations"]) for item in payload]
    about_gold = sum(answers[line] for line in items)
    merge = {
        "job": name,
        "status": "Completed",
        "labeled": labels,
        "failed": len(updates) - labels,
        "answers": sum(answers) - about_gold,
        "gold": {"objects": sum(attribute in output[line] for line in items), "answers": about_gold},
    }
    s3.write_json(layout.merge(number), merge)
    return merge


def _answers(
    built: BuiltCampaign, job: str, line: int, number: int, malformed: Callable[[int, str], bool]
) -> Mapping[str, dict[str, Any]]:
    answers = {}
    for worker, accuracy, speed in WORKERS:
        # The same object gets the same answers in whatever order it is asked for.
        luck = random.Random(f"{number}:{worker}")  # noqa: S311
        content = built.data.answer(number, accuracy, luck)
        if malformed(number, worker):
            content = MALFORMED
        seconds = round(speed * luck.uniform(0.5, 1.8), 3)
        built.answers.append(GivenAnswer(job, line, worker, content, seconds))
        answers[worker] = content
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
            entries.append(
                {
                    "answerContent": answer.content,
                    "workerId": answer.worker,
                    "workerMetadata": {"identityData": {"sub": f"person-{answer.worker[-4:]}"}},
                    **{key: optional[key] for key in response_fields},
                }
            )
        folder = f"{built.layout.labeling_prefix()}{job}/annotations/worker-response/iteration-1/{line}/"
        built.s3.write_json(f"{folder}2026-03-01_09:00:00.json", {"answers": entries})


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
