"""Labels to audit, and what becomes of an auditor's answer in the real annotation code."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from truthloop import palette, task_types
from truthloop.audit import audit_attribute
from truthloop.consolidation import masks
from truthloop.labeling.annotations import VerdictReading, consolidate, prepare_task
from truthloop.labeling.jobs import AUDIT, RELABEL, JobRecord
from truthloop.labels import BOXES, CLASS, CLASSES, MASK, suggestion_key
from truthloop.manifest import decode_row, encode_row, metadata_key
from truthloop.task_types import ConsolidationHelp
from ui.person import IMAGE_URI, Person, picture

FOLDER = Path(__file__).resolve().parents[2] / "ui_templates"
TEMPLATE = FOLDER / "audit" / "template.liquid.html"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
LABELS = ("cat", "dog", "bird", "tree")
TEXT = "It came two days late,\nbut all is well."
MASK_URI = "s3://data/masks/0.png"
OVERLAY_URI = "s3://data/masks/0.overlay.png"
HEIGHT, WIDTH = 120, 200
BOXES_GIVEN = [
    {"class_id": 0, "left": 50, "top": 30, "width": 50, "height": 40},
    {"class_id": 1, "left": 10, "top": 80, "width": 30, "height": 20},
]


def mask() -> np.ndarray:
    """Category 0 in the left upper quarter of the image, category 1 in its right lower one."""
    indices = np.zeros((HEIGHT, WIDTH), np.uint8)
    indices[: HEIGHT // 2, : WIDTH // 2] = 1
    indices[HEIGHT // 2 :, WIDTH // 2 :] = 2
    return indices


@dataclass
class Audit:
    """One label that is to be judged.

    Attributes
    ----------
    row
        The row of the auditors' job.
    files
        S3 objects by URI; those that consolidation writes are added.
    """

    task_type: str
    labels: tuple[str, ...] = LABELS
    text: str = TEXT
    history: list[dict[str, Any]] = field(default_factory=list)
    context: str = "Taken at the gate."
    instructions: str = "Look twice."
    files: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.files = {IMAGE_URI: picture(WIDTH, HEIGHT), **self.files}
        if self.kind == MASK:
            self.files[MASK_URI] = masks.palette_png(mask())
            self.files[OVERLAY_URI] = masks.overlay_png(mask())
        label, metadata = self._label()
        self.row: dict[str, Any] = {
            self.source: self.text if self.source == "source" else IMAGE_URI,
            "context": self.context,
            self.attribute: label,
            metadata_key(self.attribute): metadata,
            "truthloop": {"id": "0" * 32, "history": self.history},
        }

    @property
    def kind(self) -> str:
        return task_types.get(self.task_type).LABEL_KIND

    @property
    def source(self) -> str:
        return task_types.get(self.task_type).SOURCE_KEY

    @property
    def attribute(self) -> str:
        return "label-ref" if self.kind == MASK else "label"

    @property
    def job(self) -> JobRecord:
        return JobRecord(
            job_name="birds-r0-audit-0123abcd",
            campaign="birds",
            campaign_uri="s3://data/campaigns/birds/",
            round=0,
            attempt=1,
            task_type=self.task_type,
            label_categories=self.labels,
            label_attribute=self.attribute,
            task_token="token",
            waiting_since=NOW.isoformat(),
            instructions=self.instructions,
            purpose=AUDIT,
        )

    def task_input(self) -> dict[str, Any]:
        """What the real pre-annotation function gives the auditors' template."""
        row = decode_row(encode_row(self.row))
        return json.loads(json.dumps(prepare_task({"dataObject": row}, self.job)["taskInput"]))

    def open(self, person: Any, **options: Any) -> Person:
        return person(TEMPLATE, self.task_input(), objects=self.files, **options)

    def verdict(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """The verdict that the real post-annotation function makes of one auditor's answer."""
        data = {"workerId": "auditor", "annotationData": {"content": json.dumps(answer)}}
        key = "content" if self.source == "source" else "s3Uri"
        shown = {key: self.row[self.source]}
        payload = [{"datasetObjectId": "0", "dataObject": shown, "annotations": [data]}]
        reading = VerdictReading(self.job, [self.row], self.files.__getitem__, NOW)
        batch = consolidate(
            payload, self.job, lambda uri: None, NOW, ConsolidationHelp({}, self._store), reading
        )
        assert batch.rejected == []
        [entry] = batch.entries
        return entry["consolidatedAnnotation"]["content"][audit_attribute(self.attribute)]

    def to_label_again(self, verdict: Mapping[str, Any]) -> dict[str, Any]:
        """The task of the people who label the object again after a verdict."""
        row = dict(self.row)
        told = {key: verdict[key] for key in ("decision", "reason", "comment")}
        row["truthloop"] = {
            **row["truthloop"],
            "history": [*self.history, {"at": NOW.isoformat(), "event": "audited", **told}],
        }
        suggestion = suggestion_key(self.attribute)
        row[suggestion] = row.pop(self.attribute)
        row[metadata_key(suggestion)] = row.pop(metadata_key(self.attribute))
        row = decode_row(encode_row(row))
        job = replace(self.job, purpose=RELABEL)
        return json.loads(json.dumps(prepare_task({"dataObject": row}, job)["taskInput"]))

    def indices(self, uri: str) -> np.ndarray:
        """The indices of a mask that consolidation wrote."""
        with Image.open(io.BytesIO(self.files[uri])) as image:
            return np.asarray(image)

    def _label(self) -> tuple[Any, dict[str, Any]]:
        if self.kind == CLASS:
            return 0, {"class-name": self.labels[0], "confidence": 0.83}
        if self.kind == CLASSES:
            return [0, 2], {"class-map": {"0": self.labels[0], "2": self.labels[2]}}
        if self.kind == BOXES:
            return {
                "image_size": [{"width": WIDTH, "height": HEIGHT, "depth": 3}],
                "annotations": [dict(box) for box in BOXES_GIVEN],
            }, {"class-map": {"0": self.labels[0], "1": self.labels[1]}}
        return MASK_URI, {
            "overlay-ref": OVERLAY_URI,
            "internal-color-map": {
                "0": {"class-name": palette.BACKGROUND, "hex-color": palette.WHITE, "confidence": 0.9},
                **{
                    str(index + 1): {
                        "class-name": self.labels[index],
                        "hex-color": palette.color(index),
                        "confidence": 0.9,
                    }
                    for index in (0, 1)
                },
            },
        }

    def _store(self, name: str, content: bytes, content_type: str) -> str:
        uri = f"s3://data/fixed/{name}"
        self.files[uri] = content
        return uri


def at(worker: Person, x: float, y: float) -> tuple[float, float]:
    """Where a point of the image, in its pixels, is on the screen."""
    box = worker.find("#scene").bounding_box()
    scale = box["width"] / WIDTH
    return box["x"] + x * scale, box["y"] + y * scale


def drag(worker: Person, start: tuple[float, float], end: tuple[float, float]) -> None:
    mouse = worker.page.mouse
    (from_x, from_y), (to_x, to_y) = at(worker, *start), at(worker, *end)
    mouse.move(from_x, from_y)
    mouse.down()
    mouse.move((from_x + to_x) / 2, (from_y + to_y) / 2)
    mouse.move(to_x, to_y)
    mouse.up()


def pixel(worker: Person, x: float, y: float) -> tuple[int, int, int]:
    """The colour that the screen shows at a point of the image."""
    left, top = at(worker, x, y)
    shot = worker.page.screenshot(clip={"x": int(left), "y": int(top), "width": 1, "height": 1})
    with Image.open(io.BytesIO(shot)) as image:
        return image.convert("RGB").getpixel((0, 0))


def submit(worker: Person) -> Mapping[str, Any]:
    return worker.submit("Control+Enter")


def focused(worker: Person) -> str:
    """The id of the element that has the focus, or what else tells it apart."""
    return worker.find("body").evaluate(
        "() => { const found = document.activeElement; return found.id || found.dataset.code "
        "|| found.dataset.category || found.getAttribute('class') || found.localName; }"
    )
