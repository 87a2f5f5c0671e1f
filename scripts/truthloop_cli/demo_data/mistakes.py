"""Mistakes that a demo plants: objects that all annotators alike take for something else.

No consolidation finds such a mistake, because nobody is outvoted; an auditor does. Whoever gets an auditor's
comment sees what is there.
"""

from __future__ import annotations

import base64
import io
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from labeling_engine.simulated_auditors import RIGHT_BOXES_F1, RIGHT_MASK_IOU
from truthloop.labels import BOXES, CLASS, CLASSES, MASK
from truthloop_cli.demo_data import DemoData
from truthloop_cli.demo_data.agreement import agreement, label_of

SHARE = 0.1

# A label is right that agrees so far with the truth: the simulated auditors' own bounds.
_RIGHT = {CLASS: 1.0, CLASSES: 1.0, BOXES: RIGHT_BOXES_F1, MASK: RIGHT_MASK_IOU}


@dataclass(frozen=True)
class Labels:
    """Tells right labels from wrong ones.

    Attributes
    ----------
    kind
        One of `truthloop.labels.KINDS`.
    read
        Returns the object of an S3 URI.
    """

    data: DemoData
    kind: str
    read: Callable[[str], bytes]

    @property
    def right_from(self) -> float:
        """How far a right label agrees with the truth at least."""
        return _RIGHT[self.kind]

    def wrong(self, rows: Iterable[Mapping[str, Any]]) -> dict[str, bool]:
        """By source whether the label is wrong, as the auditors see it; rows without one are left out."""
        found = {}
        for row in rows:
            given = label_of(self.kind, row, self.data.plan.label_attribute, self.read)
            if given is not None and self.source(row) in self.data.truth:
                truth = self.data.truth[self.source(row)]
                agreed = agreement(self.kind, truth, given, self.data.plan.label_categories)
                found[self.source(row)] = agreed < self.right_from
        return found

    @staticmethod
    def source(row: Mapping[str, Any]) -> str:
        """What a row is about: its S3 URI or its text."""
        return str(row["source-ref"] if "source-ref" in row else row["source"])


def planted(data: DemoData, kind: str, seed: int) -> dict[str, Any]:
    """What the annotators believe instead of the truth, for `SHARE` of the objects, rounded.

    Parameters
    ----------
    kind
        One of `truthloop.labels.KINDS`.

    Returns
    -------
    dict
        By source, in the form of the truth; the same for the same data and seed.
    """
    draw = random.Random(f"mistakes {seed}")  # noqa: S311 - seeded on purpose
    chosen = draw.sample(sorted(data.truth), round(SHARE * len(data.truth)))
    labels = data.plan.label_categories
    return {source: mistaken(kind, data.truth[source], labels, draw) for source in chosen}


def mistaken(kind: str, truth: Any, labels: Sequence[str], draw: random.Random) -> Any:
    """A gross mistake about one object.

    Another class; of several labels one that is left out, or else one that is added; the first half of the
    boxes, rounded up, under other labels; the category that covers most of an image painted as another one.
    """
    if kind == CLASS:
        return _other(truth, labels, draw)
    if kind == CLASSES:
        left_out = draw.choice(truth) if truth else None
        added = [] if truth else [draw.choice(list(labels))]
        return [label for label in truth if label != left_out] + added
    if kind == BOXES:
        half = (len(truth["boxes"]) + 1) // 2
        boxes = [
            {**box, "label": _other(box["label"], labels, draw)} if number < half else box
            for number, box in enumerate(truth["boxes"])
        ]
        return {**truth, "boxes": boxes}
    largest = _largest(truth)
    names = [
        _other(name, labels, draw) if number == largest else name
        for number, name in enumerate(truth["labels"], start=1)
    ]
    return {**truth, "labels": names}


def _other(label: str, labels: Sequence[str], draw: random.Random) -> str:
    return draw.choice([other for other in labels if other != label])


def _largest(truth: Mapping[str, Any]) -> int:
    """The value of the category that covers most pixels of a true mask, from 1."""
    with Image.open(io.BytesIO(base64.b64decode(truth["mask"]))) as mask:
        pixels = np.bincount(np.array(mask).ravel())
    return 1 + int(pixels[1:].argmax())
