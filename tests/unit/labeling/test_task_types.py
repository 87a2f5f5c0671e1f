from __future__ import annotations

from typing import Any

import pytest

from truthloop import labels, task_types
from truthloop.layout import AUDIT_TEMPLATE
from truthloop.task_types import InvalidDataObject, MalformedAnswer, UnknownTaskType
from unit.labeling.kit import CATEGORIES, ROOT

IMAGES = task_types.get("image-classification")
ROW = {"source-ref": "s3://images/1.png", "truthloop": {"id": "1"}}


def test_every_module_is_a_task_type_with_a_template_of_the_same_name() -> None:
    folders = {path.parent.name for path in (ROOT / "ui_templates").glob("*/template.liquid.html")}
    assert {*task_types.names(), AUDIT_TEMPLATE} == folders
    assert "image-classification" in folders
    for name in task_types.names():
        module = task_types.get(name)
        assert module.METADATA_TYPE.startswith("groundtruth/")
        assert module.LABEL_KIND in labels.KINDS
        assert module.SOURCE_KEY in ("source", "source-ref")
        assert callable(module.task_input)
        assert callable(module.read_answer)
        assert callable(module.consolidate)


@pytest.mark.parametrize("name", ["image_classification", "bounding-boxes", ""])
def test_an_unknown_task_type_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(UnknownTaskType, match=r"allowed: .*image-classification"):
        task_types.get(name)


def test_the_task_shows_the_image_and_the_categories() -> None:
    shown = IMAGES.task_input({**ROW, "context": "a farm"}, CATEGORIES, "label", "Look twice.")
    assert shown == {
        "taskObject": "s3://images/1.png",
        "labels": ["cat", "dog", "bird"],
        "suggestion": None,
        "instructions": "Look twice.",
        "context": "a farm",
        "feedback": [],
        "previous": "",
    }


@pytest.mark.parametrize("row", [{}, {"source": "a text"}, {"source-ref": None}])
def test_a_row_without_an_image_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(InvalidDataObject, match="source-ref"):
        IMAGES.task_input(row, CATEGORIES)


def test_an_answer_is_the_index_of_its_label() -> None:
    assert IMAGES.read_answer({"crowd-image-classifier": {"label": "bird"}}, CATEGORIES) == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "lacks crowd-image-classifier.label"),
        ([], "lacks"),
        ("bird", "lacks"),
        ({}, "lacks"),
        ({"crowd-image-classifier": "bird"}, "lacks"),
        ({"crowd-image-classifier": {}}, "lacks"),
        ({"crowd-image-classifier": {"label": 2}}, "lacks"),
        ({"crowd-image-classifier": {"label": ["bird"]}}, "lacks"),
        ({"crowd-classifier": {"label": "bird"}}, "lacks"),
        ({"crowd-image-classifier": {"label": "fish"}}, "'fish' is not a category; allowed: cat, dog, bird"),
    ],
)
def test_an_answer_to_another_question_is_malformed(content: Any, reason: str) -> None:
    with pytest.raises(MalformedAnswer, match=reason):
        IMAGES.read_answer(content, CATEGORIES)


def test_the_consolidated_label_is_an_index_with_its_name_and_confidence() -> None:
    labels = IMAGES.consolidate({"0": [("ann", 1), ("bo", 1), ("cy", 2)]}, CATEGORIES)
    assert labels["0"].value == 1
    assert labels["0"].metadata["class-name"] == "dog"
    confidence = labels["0"].metadata["confidence"]
    assert 0.5 < confidence <= 1
    assert confidence == round(confidence, 2)
