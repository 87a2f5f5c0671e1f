"""What the end-to-end tests look at in a small campaign of a task type: its labels, answers and masks."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from truthloop import palette, task_types
from truthloop.labels import BOXES, CLASS, CLASSES, MASK
from truthloop.task_types import MalformedAnswer
from truthloop_batch import kinds
from truthloop_cli.demo_data import agreement

if TYPE_CHECKING:
    from end_to_end.conftest import Deployment
    from truthloop_cli.campaign import Progress


@dataclass(frozen=True)
class SmallCampaign:
    """A campaign that has ended."""

    task: str
    deployment: Deployment
    request: dict[str, Any]
    progress: Progress

    @property
    def kind(self) -> str:
        return task_types.get(self.task).LABEL_KIND

    @property
    def metric(self) -> str:
        return kinds.get(self.kind).METRIC

    @property
    def attribute(self) -> str:
        return str(self.request["label_attribute"])

    @property
    def categories(self) -> list[str]:
        return list(self.request["label_categories"])

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        return self.deployment.labels(self.request["campaign"])

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the labelled manifest, one for each that went in."""
        given = self.deployment.others[self.task].manifest.splitlines()
        assert len(given) == len(self._rows) > 50
        return self._rows

    def agreement_of_labels(self) -> dict[str, float]:
        """By object how far people's label is the truth."""
        found = {}
        for row in self.rows():
            if row["truthloop"]["labeled_by"] == "people":
                label = agreement.label_of(self.kind, row, self.attribute, self._read)
                found[source(row)] = self._score(source(row), label)
        return found

    def agreement_of_answers(self) -> dict[str, dict[str, float]]:
        """By worker and object how far the worker's answer is the truth; 0 for what cannot be read."""
        found: dict[str, dict[str, float]] = {}
        for summary in self.deployment.labeling_jobs(self.request["campaign"]):
            prefix = self.deployment.layout(self.request["campaign"]).labeling_prefix()
            folder = f"{prefix}{summary['LabelingJobName']}/"
            output = self.deployment.s3.lines(folder + "manifests/output/output.manifest")
            objects = [json.loads(line) for _, line in output]
            for uri in self.deployment.s3.list(folder + "annotations/worker-response/"):
                where = source(objects[int(uri.split("/")[-2])])
                for answer in self.deployment.s3.read_json(uri)["answers"]:
                    score = self._score(where, self._read_answer(answer["answerContent"]))
                    found.setdefault(answer["workerId"], {})[where] = score
        return found

    def check_format(self, row: dict[str, Any]) -> None:
        """Assert that the row's label and its metadata are as Ground Truth writes them."""
        label, metadata = row[self.attribute], row[f"{self.attribute}-metadata"]
        assert metadata["type"] == task_types.get(self.task).METADATA_TYPE
        assert metadata["human-annotated"] == {"people": "yes", "model": "no"}[row["truthloop"]["labeled_by"]]
        assert metadata["creation-date"]
        assert metadata["job-name"]
        checks = {
            CLASS: self._check_class,
            CLASSES: self._check_classes,
            BOXES: self._check_boxes,
            MASK: self._check_mask,
        }
        checks[self.kind](label, metadata)

    def _check_class(self, label: Any, metadata: dict[str, Any]) -> None:
        assert metadata["class-name"] == self.categories[label]
        assert 0 <= metadata["confidence"] <= 1

    def _check_classes(self, label: Any, metadata: dict[str, Any]) -> None:
        assert label == sorted(set(label))
        assert metadata["class-map"] == {str(index): self.categories[index] for index in label}
        assert metadata["confidence-map"].keys() == metadata["class-map"].keys()
        assert all(0 <= confidence <= 1 for confidence in metadata["confidence-map"].values())

    def _check_boxes(self, label: Any, metadata: dict[str, Any]) -> None:
        (size,) = label["image_size"]
        assert len(metadata["objects"]) == len(label["annotations"])
        for box, told in zip(label["annotations"], metadata["objects"], strict=True):
            assert 0 <= box["left"] < box["left"] + box["width"] <= size["width"]
            assert 0 <= box["top"] < box["top"] + box["height"] <= size["height"]
            assert metadata["class-map"][str(box["class_id"])] == self.categories[box["class_id"]]
            assert 0 <= told["confidence"] <= 1

    def _check_mask(self, label: Any, metadata: dict[str, Any]) -> None:
        assert self.attribute.endswith("-ref")
        colors = metadata["internal-color-map"]
        with Image.open(io.BytesIO(self._read(label))) as mask:
            assert (mask.format, mask.mode) == ("PNG", "P")
            indices, table = np.array(mask), np.array(mask.getpalette("RGB")).reshape(-1, 3)
        assert set(map(str, np.unique(indices))) <= set(colors)
        for index, told in colors.items():
            name = [palette.BACKGROUND, *self.categories][int(index)]
            assert told["class-name"] == name
            assert tuple(table[int(index)]) == palette.rgb(told["hex-color"])
            assert 0 <= told["confidence"] <= 1
        with Image.open(io.BytesIO(self._read(metadata["overlay-ref"]))) as overlay:
            assert (overlay.format, overlay.mode, overlay.size) == ("PNG", "RGBA", indices.shape[::-1])
            assert ((np.array(overlay)[..., 3] > 0) == (indices > 0)).all()

    def _read(self, uri: str) -> bytes:
        return self.deployment.s3.read_bytes(uri)

    def _score(self, where: str, given: Any) -> float:
        truth = self.deployment.others[self.task].truth[where]
        return agreement.agreement(self.kind, truth, given, self.categories)

    def _read_answer(self, content: Any) -> Any:
        try:
            answer = task_types.get(self.task).read_answer(content, self.categories)
        except MalformedAnswer:
            return None
        if self.kind == BOXES:
            return list(answer.boxes)
        return answer.indices() if self.kind == MASK else answer


def source(row: dict[str, Any]) -> str:
    """What the row is about: its S3 URI or its text."""
    return str(row["source-ref"] if "source-ref" in row else row["source"])
