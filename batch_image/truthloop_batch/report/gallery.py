"""The hardest rows of a campaign, found in one pass over all rows."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from truthloop import labels
from truthloop.manifest import SOURCE, SOURCE_REF, Row, metadata_key, provenance, row_id
from truthloop_batch.context import Context
from truthloop_batch.report import contents
from truthloop_batch.report.document import Boxes, Hardest, Item

GROUP_ITEMS = 12
_TEXT_CHARACTERS = 1_000
_DIGITS = 6


@dataclass(frozen=True)
class Opinion:
    """What a model says of a row, in numbers: the one that labelled it, or else the last.

    Attributes
    ----------
    confidence, margin
        As in the score shards.
    agreement
        How far the prediction is the row's label, 0 to 1; None for a row that a model labelled.
    """

    confidence: float
    margin: float
    agreement: float | None


class _Smallest:
    """Keeps the items with the smallest values; equal values are ordered by id. Memory is bounded."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: list[tuple[tuple[float, ...], str, Row, Opinion]] = []

    def add(self, value: tuple[float, ...], row: Row, opinion: Opinion) -> None:
        self._kept.append((value, row_id(row), row, opinion))
        if len(self._kept) >= 8 * self._size:
            self._kept = self._ordered()

    def items(self) -> list[tuple[Row, Opinion]]:
        return [(row, opinion) for _, _, row, opinion in self._ordered()]

    def _ordered(self) -> list[tuple[tuple[float, ...], str, Row, Opinion]]:
        return heapq.nsmallest(self._size, self._kept, key=lambda entry: entry[:2])


class HardestRows:
    """Collects the gallery while the finished rows pass by; see `document.Hardest` for the groups."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._kind = context.kind.NAME
        self._attribute = context.request.label_attribute
        self._least_agreed = _Smallest(GROUP_ITEMS)
        self._disputed = _Smallest(GROUP_ITEMS)
        self._least_certain = _Smallest(GROUP_ITEMS)

    def add(self, row: Row, opinion: Opinion) -> None:
        """Take one labelled row and what the model says of it."""
        if opinion.agreement is None:
            self._least_certain.add((opinion.margin,), row, opinion)
            return
        confidence = self._confidence(row)
        # At a confidence of 1 nobody hesitated.
        if provenance(row)["labeled_by"] == "people" and confidence is not None and confidence < 1:
            self._least_agreed.add((confidence,), row, opinion)
        if opinion.agreement < 1:
            self._disputed.add((opinion.agreement, -opinion.confidence), row, opinion)

    def rows(self) -> dict[str, Row]:
        """The rows of all groups, by id."""
        groups = (self._least_agreed, self._disputed, self._least_certain)
        return {row_id(row): row for group in groups for row, _ in group.items()}

    def document(self, predictions: Mapping[str, Any]) -> Hardest:
        """The groups; `predictions` are the last model's for all of `rows` that it can read, by id."""

        def items(group: _Smallest) -> list[Item]:
            return [self._item(row, opinion, predictions.get(row_id(row))) for row, opinion in group.items()]

        return {
            "least_agreed": items(self._least_agreed),
            "disputed": items(self._disputed),
            "least_certain": items(self._least_certain),
        }

    def _item(self, row: Row, opinion: Opinion, prediction: Any) -> Item:
        told, classes = provenance(row), self._context.classes
        label = contents.of_row(self._kind, row, self._attribute, classes)
        boxes = contents.boxes(row[self._attribute], classes) if self._kind == "boxes" else None
        if opinion.agreement is None:
            model_label, model_boxes = label, None
        else:
            model_label, model_boxes = self._opinion_in_full(row, prediction)
        return {
            "id": row_id(row),
            "content": _shortened(row[SOURCE]) if SOURCE in row else row[SOURCE_REF],
            "is_text": SOURCE in row,
            "label": contents.named(label, classes),
            "labeled_by": told["labeled_by"],
            "reason": told["reason"],
            "round": told["round"],
            "annotators": told["annotators"],
            "confidence": self._confidence(row),
            "model_label": contents.named(model_label, classes),
            "model_confidence": opinion.confidence,
            "margin": opinion.margin,
            "agreement": opinion.agreement,
            "boxes": boxes,
            "model_boxes": model_boxes,
            "mask_uri": row[self._attribute] if self._kind == "mask" else None,
            "split": self._split(row_id(row)),
        }

    def _opinion_in_full(self, row: Row, prediction: Any) -> tuple[Counter[int], Boxes | None]:
        """The categories and boxes of a prediction."""
        context = self._context
        if self._kind == "mask":
            # As the model sees the image: a label would be written to S3, where nobody asked for it.
            drawn = np.unique(prediction.probabilities.argmax(axis=0))
            return Counter(int(index) - 1 for index in drawn if index), None
        value, metadata = context.kind.label_of(context, row, prediction)
        found = contents.categories(self._kind, value, metadata, context.classes)
        return found, contents.boxes(value, context.classes) if self._kind == "boxes" else None

    def _confidence(self, row: Row) -> float | None:
        told = labels.confidence(self._kind, row.get(metadata_key(self._attribute)))
        return None if told is None else round(told, _DIGITS)

    def _split(self, identifier: str) -> Literal["pool", "test", "validation"]:
        splits = self._context.splits
        if identifier not in splits.held_out:
            return "pool"
        return "test" if identifier in splits.test else "validation"


def _shortened(text: str) -> str:
    return text if len(text) <= _TEXT_CHARACTERS else text[: _TEXT_CHARACTERS - 1] + "…"
