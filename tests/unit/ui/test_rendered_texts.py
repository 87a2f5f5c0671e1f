from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from truthloop import task_types
from worker_ui.crowd_elements import WIDGETS
from worker_ui.markup import Element, Page, parse
from worker_ui.relaxed_json import loads
from worker_ui.rendering import render

TEMPLATES = Path(__file__).resolve().parents[3] / "ui_templates"
NASTY = st.sampled_from(
    [
        "'", '"', "\\", "`", "&", "&amp;", "&#39;", "&lt", "<", ">", "</script>", "<script>alert(1)</script>",
        "</crowd-form>", "<!--", "]]>", "{{", "}}", "{% if x %}", "{%", "{{ task.input.labels }}", "%}", "{#",
        "', 'x': '", '", "x": "', "]", "}", "\n", "\t", "  ", "\u3000", "\u2028",
        "日本語", "ﾊﾝｶｸ", "🐈‍⬛", "👩🏽‍🚀", "e\u0301",
        "שלום", "مرحبا", "\u202e", "\u200f", "\u200b", "\ufeff", "javascript:", "s3://b/k", "null", "0", " ",
    ]
)  # fmt: skip
# Without what no browser shows as it is: carriage returns become line breaks, NUL becomes U+FFFD.
ANY = st.characters(exclude_categories=["Cs"], exclude_characters="\r\0")
TEXTS = st.lists(NASTY | ANY, min_size=1, max_size=30).map("".join).filter(str.strip)
LABELS = st.lists(
    TEXTS.map(lambda text: text[:256]).filter(str.strip) | st.just("ラ" * 256) | st.just('"' * 256),
    min_size=2,
    max_size=6,
    unique=True,
)
EXAMPLES = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(params=task_types.names(), scope="module")
def task_type(request: pytest.FixtureRequest) -> str:
    return request.param


def task(task_type: str, **changes: Any) -> dict[str, Any]:
    sample = json.loads((TEMPLATES / task_type / "sample_input.json").read_text(encoding="utf-8"))
    return {**sample, **changes}


def page(task_type: str, task_input: dict[str, Any]) -> Page:
    template = (TEMPLATES / task_type / "template.liquid.html").read_text(encoding="utf-8")
    rendering = render(template, task_input, lambda uri: f"https://granted.invalid/{len(uri)}?a=1&b=2")
    assert rendering.html is not None, rendering.problem
    return parse(rendering.html)


def widget(page: Page) -> Element:
    [element] = page.of(*WIDGETS)
    return element


def shown(page: Page, region: str) -> list[str]:
    """The texts of the campaign, the row or the object in a region."""
    return [
        element.text
        for element in page.of("div")
        if "pre-wrap" in element.attributes.get("style", "")
        and any(each.tag == region for each in element.ancestors())
    ]


@EXAMPLES
@given(labels=LABELS)
def test_labels_survive_exactly(task_type: str, labels: list[str]) -> None:
    rendered = page(task_type, task(task_type, labels=labels))
    element = widget(rendered)
    assert loads(element.attributes[WIDGETS[element.tag].labels or ""]) == labels
    # What the page itself would parse, too.
    assert json.loads(element.attributes[WIDGETS[element.tag].labels or ""]) == labels


@EXAMPLES
@given(instructions=TEXTS, context=TEXTS)
def test_instructions_and_context_survive_exactly(task_type: str, instructions: str, context: str) -> None:
    rendered = page(task_type, task(task_type, instructions=instructions, context=context))
    assert shown(rendered, "short-instructions") == [context, instructions]
    assert shown(rendered, "full-instructions") == [instructions]


@EXAMPLES
@given(text=TEXTS)
def test_a_text_to_classify_survives_exactly(text: str) -> None:
    rendered = page("text-classification", task("text-classification", taskObject=text))
    assert shown(rendered, "classification-target") == [text]


@EXAMPLES
@given(labels=LABELS, instructions=TEXTS, context=TEXTS)
def test_no_text_changes_the_page(task_type: str, labels: list[str], instructions: str, context: str) -> None:
    plain = page(task_type, task(task_type, instructions="x", context="x"))
    other = page(task_type, task(task_type, labels=labels, instructions=instructions, context=context))
    assert other.flaws == []
    assert [(each.tag, sorted(each.attributes)) for each in other.elements] == [
        (each.tag, sorted(each.attributes)) for each in plain.elements
    ]


@EXAMPLES
@given(labels=LABELS, left=st.floats(0, 4000), top=st.integers(0, 4000))
def test_suggested_boxes_survive_exactly(labels: list[str], left: float, top: int) -> None:
    boxes = [
        {"label": label, "left": left, "top": top, "width": 10 + position, "height": 0.5}
        for position, label in enumerate(labels)
    ]
    rendered = page("bounding-box", task("bounding-box", labels=labels, suggestion=boxes))
    assert loads(widget(rendered).attributes["initial-value"]) == boxes


@EXAMPLES
@given(labels=LABELS)
def test_a_suggested_mask_survives_exactly(labels: list[str]) -> None:
    mappings = {label: {"color": f"#{position:06x}"} for position, label in enumerate(labels)}
    suggestion = {"src": "s3://bucket/mask.png", "labelMappings": mappings}
    rendered = page(
        "semantic-segmentation", task("semantic-segmentation", labels=labels, suggestion=suggestion)
    )
    assert loads(widget(rendered).attributes["initial-value"]) == {
        "src": "https://granted.invalid/20?a=1&b=2",
        "labelMappings": mappings,
    }


@EXAMPLES
@given(labels=LABELS, data=st.data())
def test_a_label_goes_from_the_row_to_the_page_to_the_answer_and_back_to_its_index(
    labels: list[str], data: st.DataObject
) -> None:
    for name in ("image-classification", "text-classification"):
        module = task_types.get(name)
        row = {module.SOURCE_KEY: "s3://bucket/image.png"}
        rendered = page(name, module.task_input(row, labels))
        element = widget(rendered)
        choices = loads(element.attributes["categories"])
        index = data.draw(st.integers(0, len(labels) - 1))
        answer = json.dumps({element.attributes["name"]: {"label": choices[index]}})
        assert module.read_answer(json.loads(answer), labels) == index


@EXAMPLES
@given(labels=LABELS, text=TEXTS, comment=TEXTS)
def test_an_auditors_page_has_every_text_exactly_and_no_script_changes(
    labels: list[str], text: str, comment: str
) -> None:
    sample = json.loads((TEMPLATES / "audit" / "sample_input_text.json").read_text(encoding="utf-8"))
    told = {"event": "audited", "decision": "reject", "reason": "other"}
    plain = page("audit", {**sample, "labels": ["x"] * len(labels), "history": [{**told, "comment": "x"}]})
    shown = page(
        "audit",
        {
            **sample,
            "taskObject": text,
            "labels": labels,
            "label": {"names": [labels[0]]},
            "history": [{**told, "comment": comment}],
        },
    )
    [root] = [each for each in shown.elements if each.attributes.get("id") == "audit"]
    assert json.loads(root.attributes["data-labels"]) == labels
    assert json.loads(root.attributes["data-names"]) == [labels[0]]
    said = [each.text for each in shown.elements if each.attributes.get("class") == "said"]
    assert said[:2] == [text, comment]
    names = [each.text for each in shown.elements if each.attributes.get("class") == "name"]
    assert names[-len(labels) :] == labels
    assert [each.content for each in shown.of("script")] == [each.content for each in plain.of("script")]
    assert [(each.tag, sorted(each.attributes)) for each in shown.elements] == [
        (each.tag, sorted(each.attributes)) for each in plain.elements
    ]
