from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from truthloop import palette, task_types
from truthloop.labeling.annotations import prepare_task
from truthloop.labeling.jobs import LABEL, RELABEL, JobRecord
from truthloop.labels import BOXES, CLASSES, MASK, suggestion_key
from truthloop.layout import AUDIT_TEMPLATE
from truthloop.prepare import label_category_configuration
from unit.labeling.kit import ROOT
from worker_ui.crowd_elements import WIDGETS
from worker_ui.lint import check
from worker_ui.markup import Element, Page, parse
from worker_ui.relaxed_json import loads
from worker_ui.rendering import render

FOLDERS = [ROOT / "ui_templates" / name for name in task_types.names()]
REGIONS = ("short-instructions", "full-instructions")
SUGGESTED = "sample_input_with_suggestion.json"
SENT_BACK = "sample_input_with_feedback.json"
ATTRIBUTE = "label-ref"


@pytest.fixture(params=FOLDERS, ids=lambda path: path.name)
def folder(request: pytest.FixtureRequest) -> Path:
    return request.param


def sample(folder: Path, name: str = "sample_input.json") -> dict[str, Any]:
    return json.loads((folder / name).read_text(encoding="utf-8"))


def page(folder: Path, task_input: dict[str, Any]) -> Page:
    template = (folder / "template.liquid.html").read_text(encoding="utf-8")
    rendering = render(template, task_input, lambda uri: f"https://granted.invalid/{uri[5:]}?X=1&Y=2")
    assert rendering.html is not None, rendering.problem
    return parse(rendering.html)


def widget(page: Page) -> Element:
    [element] = page.of(*WIDGETS)
    return element


def region(page: Page, name: str) -> Element:
    [element] = page.of(name)
    return element


def row_of(folder: Path, task_input: dict[str, Any]) -> dict[str, Any]:
    """The manifest row that the sample was made of."""
    module = task_types.get(folder.name)
    row: dict[str, Any] = {module.SOURCE_KEY: task_input["taskObject"], "context": task_input["context"]}
    suggestion, labels = task_input["suggestion"], task_input["labels"]
    row["truthloop"] = {
        "history": [
            {"event": "audited", "decision": "reject", "reason": each["reason"], "comment": each["comment"]}
            for each in task_input["feedback"]
        ]
    }
    if task_input["previous"]:
        indices = [labels.index(name) for name in task_input["previous"].split(", ")]
        row[suggestion_key(ATTRIBUTE)] = indices if module.LABEL_KIND == CLASSES else indices[0]
    if suggestion is not None and module.LABEL_KIND == BOXES:
        row[ATTRIBUTE] = {
            "image_size": [{"width": 640, "height": 480, "depth": 3}],
            "annotations": [
                {"class_id": labels.index(box["label"])} | {key: box[key] for key in box if key != "label"}
                for box in suggestion
            ],
        }
    elif suggestion is not None:
        assert module.LABEL_KIND == MASK
        row[ATTRIBUTE] = suggestion["src"]
        row[f"{ATTRIBUTE}-metadata"] = {
            "internal-color-map": {"0": {"class-name": palette.BACKGROUND, "hex-color": palette.WHITE}}
            | {
                str(labels.index(label) + 1): {"class-name": label, "hex-color": mapping["color"]}
                for label, mapping in suggestion["labelMappings"].items()
            }
        }
    return row


def test_every_task_type_has_a_folder_and_every_folder_a_task_type_but_the_auditors() -> None:
    found = {path.name for path in (ROOT / "ui_templates").iterdir() if path.is_dir()}
    assert found == {*task_types.names(), AUDIT_TEMPLATE}


def test_the_checks_find_nothing(folder: Path) -> None:
    assert check(folder) == []


def test_a_folder_has_its_files_and_says_which_widget_it_uses(folder: Path) -> None:
    files = {path.name for path in folder.iterdir()}
    assert files - {SUGGESTED} == {
        "README.md",
        "label_categories.json",
        "sample_input.json",
        SENT_BACK,
        "template.liquid.html",
    }
    readme = (folder / "README.md").read_text(encoding="utf-8")
    tag = widget(page(folder, sample(folder))).tag
    assert f"[`{tag}`](https://docs.aws.amazon.com/sagemaker/latest/dg/sms-ui-template-{tag[:22]}" in readme
    assert f'{{"{task_types.get(folder.name).ANSWER_NAME}": ' in readme


def test_a_suggestion_is_shown_wherever_awss_widget_can_show_one(folder: Path) -> None:
    takes_one = "initial-value" in WIDGETS[widget(page(folder, sample(folder))).tag].attributes
    assert (folder / SUGGESTED).exists() == takes_one
    assert sample(folder)["suggestion"] is None


def test_the_samples_are_what_the_pre_annotation_function_makes_of_a_row(folder: Path) -> None:
    for file in folder.glob("sample_input*.json"):
        task_input = sample(folder, file.name)
        job = JobRecord(
            job_name="job",
            campaign="",
            campaign_uri="",
            round=0,
            attempt=1,
            task_type=folder.name,
            label_categories=tuple(task_input["labels"]),
            label_attribute=ATTRIBUTE,
            task_token="",
            waiting_since="",
            instructions=task_input["instructions"],
            purpose=RELABEL if file.name == SENT_BACK else LABEL,
        )
        made = prepare_task({"dataObject": row_of(folder, task_input)}, job)["taskInput"]
        assert made == task_input
        assert bool(task_input["feedback"]) == (file.name == SENT_BACK)


def test_the_label_configuration_is_what_a_campaign_with_these_labels_writes(folder: Path) -> None:
    assert sample(folder, "label_categories.json") == label_category_configuration(sample(folder)["labels"])


def test_the_page_shows_the_object_and_offers_exactly_the_campaigns_labels(folder: Path) -> None:
    task_input = sample(folder)
    element = widget(page(folder, task_input))
    assert element.attributes["name"] == task_types.get(folder.name).ANSWER_NAME
    assert loads(element.attributes[WIDGETS[element.tag].labels or ""]) == task_input["labels"]
    if "src" in WIDGETS[element.tag].attributes:
        shown = element.attributes["src"]
        assert shown == f"https://granted.invalid/{task_input['taskObject'][5:]}?X=1&Y=2"
    else:
        target = region(page(folder, task_input), "classification-target")
        assert target.text.strip() == task_input["taskObject"]


def test_both_instructions_are_in_english_and_japanese_with_pictures_of_good_and_bad(folder: Path) -> None:
    shown = page(folder, sample(folder) | {"instructions": "", "context": ""})
    for name in REGIONS:
        text = region(shown, name).text
        assert re.search(r"[A-Za-z]{4}", text), f"{name} has no English"
        assert re.search(r"[぀-ヿ]", text), f"{name} has no Japanese"
    languages = {element.attributes["lang"] for element in shown.elements if "lang" in element.attributes}
    assert languages == {"en", "ja"}
    pictures = [
        each
        for each in shown.of("svg")
        if any(above.tag == "short-instructions" for above in each.ancestors())
    ]
    marks = {picture.attributes["aria-label"][-400:].count("✓") > 0 for picture in pictures}
    assert marks == {True, False}, "a good and a bad example"
    for picture in pictures:
        assert picture.attributes["role"] == "img"
        assert {"✓", "✗"} & set(picture.text), "the sign is for those who don't see the colour"


def test_the_campaigns_instructions_and_the_rows_context_are_shown_where_there_are_any(folder: Path) -> None:
    texts = {"instructions": " two\n  lines ", "context": "from the east gate"}
    filled = page(folder, sample(folder) | texts)
    empty = page(folder, sample(folder) | {"instructions": "", "context": ""})
    for name in REGIONS:
        assert texts["instructions"] in region(filled, name).text
        assert "What to know" not in region(empty, name).text
    assert texts["context"] in region(filled, "short-instructions").text
    assert "About this" not in region(empty, "short-instructions").text


def test_a_suggestion_is_what_the_widget_begins_with(folder: Path) -> None:
    assert "initial-value" not in widget(page(folder, sample(folder))).attributes
    if not (folder / SUGGESTED).exists():
        return
    task_input = sample(folder, SUGGESTED)
    shown = page(folder, task_input)
    expected = task_input["suggestion"]
    if isinstance(expected, dict):
        expected = expected | {"src": f"https://granted.invalid/{expected['src'][5:]}?X=1&Y=2"}
    assert loads(widget(shown).attributes["initial-value"]) == expected
    assert "suggestion" in region(shown, "short-instructions").text
    assert "提案" in region(shown, "short-instructions").text


def test_an_auditors_words_are_shown_to_who_labels_again(folder: Path) -> None:
    task_input = sample(folder, SENT_BACK)
    shown, first = page(folder, task_input), page(folder, sample(folder))
    [verdict] = task_input["feedback"]
    for text in (verdict["comment"], verdict["reasonEn"], verdict["reasonJa"], task_input["previous"]):
        assert text in region(shown, "short-instructions").text
    for language in ("An auditor sent this back", "検品で差し戻されました"):
        assert language in region(shown, "short-instructions").text
        assert language not in region(first, "short-instructions").text
    # Where the instructions are folded up, the title tells.
    assert "Sent back" in widget(shown).attributes["header"]
    assert "差し戻し" in widget(shown).attributes["header"]
    assert "Sent back" not in widget(first).attributes["header"]
    # The old answer: in the widget where it takes one, otherwise by name.
    assert ("initial-value" in widget(shown).attributes) != bool(task_input["previous"])
    assert ("Earlier answer" in region(shown, "short-instructions").text) == bool(task_input["previous"])


def test_suggested_boxes_that_a_worker_leaves_as_they_are_come_back_as_answer() -> None:
    folder = ROOT / "ui_templates" / "bounding-box"
    task_input = sample(folder, SUGGESTED)
    boxes = loads(widget(page(folder, task_input)).attributes["initial-value"])
    answer = {"boundingBoxes": boxes, "inputImageProperties": {"width": 640, "height": 480}}
    module = task_types.get(folder.name)
    drawing = module.read_answer({module.ANSWER_NAME: answer}, task_input["labels"])
    assert [task_input["labels"][box.class_id] for box in drawing.boxes] == ["eye", "eye", "nose"]


def test_who_chooses_the_exclusion_category_answers_that_no_label_applies() -> None:
    tried = 0
    for folder in FOLDERS:
        module = task_types.get(folder.name)
        if module.LABEL_KIND != CLASSES:
            continue
        tried += 1
        exclusion = loads(widget(page(folder, sample(folder))).attributes["exclusion-category"])["text"]
        # AWS documents neither of the two.
        for labels in ([exclusion], []):
            content = {module.ANSWER_NAME: {"labels": labels}}
            assert not module.read_answer(content, sample(folder)["labels"])
    assert tried
