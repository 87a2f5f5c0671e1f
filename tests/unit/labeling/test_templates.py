from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from truthloop import task_types
from unit.labeling.kit import ROOT

TEMPLATES = sorted((ROOT / "ui_templates").glob("*/template.liquid.html"))
EXPRESSION = re.compile(r"\{\{\s*task\.input\.([A-Za-z_-]+)\s*\|\s*([^}]*?)\s*\}\}")
# The limits of UiTemplate.Content, the one limit for templates that the API model states.
CHARACTERS_MAXIMUM = 128_000
VOID_ELEMENTS = {"br", "img", "input", "meta", "link", "hr"}


class Page(HTMLParser):
    """A page's elements with their attributes, the text below each, and the tags that are closed wrongly."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, str] = {}
        self.mismatches: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        self.mismatches += [f"{tag} is not closed" for tag in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID_ELEMENTS:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.mismatches.append(f"</{tag}> closes another element")

    def handle_data(self, data: str) -> None:
        for tag in self._open:
            self.texts[tag] = self.texts.get(tag, "") + data

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def render(template: str, task_input: dict[str, Any]) -> str:
    """Render as Ground Truth does, for the expressions that our templates may use.

    Output is escaped by default, and `escape` after `to_json` doesn't escape twice.
    """

    def value(match: re.Match[str]) -> str:
        found, filters = task_input[match[1]], match[2].replace(" ", "")
        if filters == "grant_read_access":
            return html.escape(found.replace("s3://", "https://") + "?X-Amz-Signature=1&X-Amz-Expires=2")
        assert filters == "to_json|escape", f"unexpected filters: {match[0]}"
        return html.escape(json.dumps(found, ensure_ascii=False))

    return EXPRESSION.sub(value, template)


def widget_of(page: Page, path: Path) -> dict[str, str]:
    """The attributes of the element that takes the answer."""
    name = task_types.get(path.parent.name).ANSWER_NAME
    [attributes] = [attributes for _, attributes in page.elements if attributes.get("name") == name]
    return attributes


def test_there_are_templates() -> None:
    assert TEMPLATES


@pytest.fixture(params=TEMPLATES, ids=lambda path: path.parent.name)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


def sample(path: Path) -> dict[str, Any]:
    return json.loads(path.with_name("sample_input.json").read_text(encoding="utf-8"))


def test_the_sample_input_is_what_the_pre_annotation_function_makes(path: Path) -> None:
    task_input = sample(path)
    row = {"source-ref": task_input["taskObject"]}
    assert task_types.get(path.parent.name).task_input(row, task_input["labels"]) == task_input


def test_the_page_shows_the_image_and_offers_exactly_the_campaigns_labels(path: Path) -> None:
    task_input = sample(path)
    page = Page(render(path.read_text(encoding="utf-8"), task_input))
    widget = widget_of(page, path)
    assert json.loads(widget["categories"]) == task_input["labels"]
    assert widget["src"].startswith("https://")
    assert "&X-Amz-Expires" in widget["src"]


def test_a_label_cannot_break_out_of_the_page(path: Path) -> None:
    labels = [
        '" onload="alert(1)',
        "</crowd-form><script>alert(1)</script>",
        "{{ task.input.taskObject }}",
        "猫🐈",
    ]
    page = Page(render(path.read_text(encoding="utf-8"), {**sample(path), "labels": labels}))
    assert page.mismatches == []
    assert len(page.of("script")) == 1
    widget = widget_of(page, path)
    assert json.loads(widget["categories"]) == labels


def test_the_page_is_one_well_formed_crowd_form_with_both_instructions(path: Path) -> None:
    page = Page(path.read_text(encoding="utf-8"))
    assert page.mismatches == []
    assert len(page.of("crowd-form")) == 1
    for region in ("short-instructions", "full-instructions"):
        assert len(page.of(region)) == 1
        assert re.search(r"[A-Za-z]{4}", page.texts[region]), f"{region} has no English"
        assert re.search(r"[぀-ヿ]", page.texts[region]), f"{region} has no Japanese"


def test_the_template_loads_awss_elements_alone_and_keeps_to_the_documented_filters(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.of("script") == [{"src": "https://assets.crowd.aws/crowd-html-elements.js"}]
    assert len(text) <= CHARACTERS_MAXIMUM
    assert "{" not in EXPRESSION.sub("", text)
    assert "skip_autoescape" not in text
    used = {match[1] for match in EXPRESSION.finditer(text)}
    assert used == set(sample(path))
