"""What labels of each kind hold."""

from __future__ import annotations

from typing import Any

import pytest

from truthloop import labels
from truthloop_batch.report import contents

CLASSES = ("eye", "nose", "mouth")


def box(
    class_id: int, left: float = 1, top: float = 2, width: float = 3, height: float = 4
) -> dict[str, Any]:
    return {"class_id": class_id, "left": left, "top": top, "width": width, "height": height}


def boxes(*annotations: dict[str, Any]) -> dict[str, Any]:
    return {"image_size": [{"width": 64, "height": 48, "depth": 3}], "annotations": list(annotations)}


def colors(*names: str) -> dict[str, Any]:
    return {
        "internal-color-map": {
            str(number): {"class-name": name, "hex-color": "#123456", "confidence": 0.5 + number / 10}
            for number, name in enumerate(names)
        }
    }


@pytest.mark.parametrize(
    ("kind", "value", "metadata", "expected"),
    [
        ("class", 1, {}, {1: 1}),
        ("class", "1", {}, {1: 1}),
        ("classes", [2, 0], {}, {0: 1, 2: 1}),
        ("classes", [], {}, {}),
        ("boxes", boxes(box(2), box(0), box(2)), {}, {0: 1, 2: 2}),
        ("boxes", boxes(), {}, {}),
        ("mask", "s3://b/m.png", colors("BACKGROUND", "mouth", "eye"), {0: 1, 2: 1}),
        ("mask", "s3://b/m.png", colors("BACKGROUND"), {}),
        ("mask", "s3://b/m.png", None, {}),
    ],
)
def test_categories_are_counted_as_often_as_the_label_has_them(
    kind: str, value: Any, metadata: Any, expected: dict[int, int]
) -> None:
    found = contents.categories(kind, value, metadata, CLASSES)
    assert dict(found) == expected
    assert list(found) == sorted(expected)


@pytest.mark.parametrize(
    ("kind", "metadata", "expected"),
    [
        ("class", {"confidence": 0.7}, 0.7),
        ("classes", {"confidence-map": {"0": 0.6, "2": 0.9}}, 0.75),
        ("boxes", {"objects": [{"confidence": 0.5}, {"confidence": 1}]}, 0.75),
        # The background is everywhere and certain nearly everywhere.
        ("mask", colors("BACKGROUND", "eye", "nose"), 0.65),
        ("mask", colors("BACKGROUND"), 0.5),
    ],
)
def test_the_confidence_of_a_label_is_the_mean_of_its_parts(
    kind: str, metadata: Any, expected: float
) -> None:
    assert labels.confidence(kind, metadata) == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["class", "classes", "boxes", "mask"])
@pytest.mark.parametrize(
    "metadata",
    [
        None,
        "text",
        {},
        {"confidence": "high", "confidence-map": [], "objects": {}, "internal-color-map": "none"},
        {"confidence": True, "confidence-map": {"0": None}, "objects": [3], "internal-color-map": {"1": 2}},
    ],
)
def test_metadata_of_another_form_tell_nothing(kind: str, metadata: Any) -> None:
    assert labels.confidence(kind, metadata) is None


def test_boxes_are_those_of_the_label_and_what_is_left_out_is_counted() -> None:
    many = [box(number % 3, left=number) for number in range(contents.BOXES_SHOWN + 7)]
    shown = contents.boxes(boxes(*many), CLASSES)
    assert (shown["width"], shown["height"], shown["left_out"]) == (64, 48, 7)
    assert len(shown["boxes"]) == contents.BOXES_SHOWN
    assert shown["boxes"][4] == {"label": "nose", "left": 4, "top": 2, "width": 3, "height": 4}
