"""Every template of the repository, answered in the browser in both languages, and read by its task type."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from truthloop import task_types
from truthloop.layout import AUDIT_TEMPLATE
from ui.person import PHONE, Person, index_mask

FOLDER = Path(__file__).resolve().parents[2] / "ui_templates"
# The auditors' template has its own tests, in test_audit.
TEMPLATES = [FOLDER / name / "template.liquid.html" for name in task_types.names()]
DRAWN = ("bounding-box", "semantic-segmentation")


def work(worker: Person, task_type: str) -> None:
    """Do what a person does in a task of this type."""
    worker.press("2")
    if task_type in DRAWN:
        worker.drag((100, 100), (500, 400))


def check_answer(answer, task_type: str, labels: list[str]) -> None:
    (name,) = answer
    module = task_types.get(task_type)
    assert name == module.ANSWER_NAME
    # What the post-annotation function does with it: it refuses what it cannot read.
    assert module.read_answer(json.loads(json.dumps(answer)), labels) is not None
    value = answer[name]
    if task_type == "bounding-box":
        assert value["boundingBoxes"][-1] == {
            "height": 300,
            "label": labels[1],
            "left": 100,
            "top": 100,
            "width": 400,
        }
        assert value["inputImageProperties"] == {"height": 640, "width": 960}
    elif task_type == "semantic-segmentation":
        mask = index_mask(value, labels)
        assert set(np.unique(mask)) == {0, 2}
        assert (mask[245:256, 295:306] == 2).all()
        assert list(value["labelMappings"]) == [labels[1]]
    elif task_type == "image-multi-label":
        assert value == {"labels": [labels[1]]}
    else:
        assert value == {"label": labels[1]}


def test_there_is_a_template_for_every_task_type_and_one_for_auditors():
    found = {each.parent.name for each in FOLDER.glob("*/template.liquid.html")}
    assert found == {*task_types.names(), AUDIT_TEMPLATE}


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.parent.name)
def test_a_template_is_answered_in_the_browser(person, template, language):
    task_type = template.parent.name
    sample = json.loads((template.parent / "sample_input.json").read_text("utf-8"))
    worker = person(
        template, sample, language=language, viewport={"width": 1440, "height": 860}, dark=language == "ja"
    )
    work(worker, task_type)
    worker.look(f"{task_type}-{language}")
    check_answer(worker.submit(), task_type, sample["labels"])


@pytest.mark.parametrize(
    "template",
    [each for each in TEMPLATES if each.parent.name not in DRAWN],
    ids=lambda path: path.parent.name,
)
def test_a_classification_is_answered_on_a_phone(person, template):
    task_type = template.parent.name
    sample = json.loads((template.parent / "sample_input.json").read_text("utf-8"))
    worker = person(template, sample, viewport=PHONE, touch=True)
    assert worker.find("body").evaluate("() => document.documentElement.scrollWidth") <= PHONE["width"]
    worker.find(".choice").nth(1).tap()
    worker.look(f"phone-{task_type}")
    with worker.page.expect_response("**/portal/api/submit"):
        worker.find(".submit").tap()
    check_answer(worker.portal.answers[-1], task_type, sample["labels"])


@pytest.mark.parametrize("task_type", DRAWN)
def test_a_suggestion_is_shown_to_begin_with(person, task_type):
    template = FOLDER / task_type / "template.liquid.html"
    sample = json.loads((template.parent / "sample_input_with_suggestion.json").read_text("utf-8"))
    worker = person(template, sample, viewport={"width": 1440, "height": 860})
    worker.look(f"{task_type}-suggestion")
    if task_type == "bounding-box":
        assert worker.submit()["boundingBox"]["initialValueModified"] is False
        assert worker.portal.answers[-1]["boundingBox"]["boundingBoxes"] == [
            {key: box[key] for key in ("height", "label", "left", "top", "width")}
            for box in sample["suggestion"]
        ]
    else:
        worker.drag((100, 100), (500, 400))
        answer = worker.submit()["crowd-semantic-segmentation"]
        assert answer["initialValueModified"] is True
        assert answer["labelMappings"]["Cat"] == sample["suggestion"]["labelMappings"]["Cat"]
