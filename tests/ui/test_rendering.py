"""Liquid as Ground Truth's documentation has it; these need no browser."""

from __future__ import annotations

import html
import json

import pytest

from worker_ui.rendering import render

INPUT = {
    "text": "James & 'the' <b>Giant</b> \"Peach\"",
    "labels": ["it's", '"q"', "<i>", "猫"],
    "escaped": "&amp; &",
    "image": "s3://bucket/a key+1.png",
    "nothing": None,
    "source-ref": "hyphen",
    "map-metadata": {"internal-color-map": {"0": {"class-name": "BACKGROUND"}, "1": {"class-name": "cat"}}},
}


def rendered(template: str) -> str:
    result = render(template, INPUT, lambda uri: f"https://signed.example/{uri[5:]}?a=1&b=2")
    assert result.problem is None
    assert result.html is not None
    return result.html


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ task.input.text }}", INPUT["text"]),
        ("{{ task.input.text | escape }}", INPUT["text"]),
        ("{{ task.input.escaped | escape_once }}", "& &"),
        ("{{ task.input.source-ref }}", "hyphen"),
        ("{{ task.input['source-ref'] }}", "hyphen"),
        ("{{ task.input.image | grant_read_access }}", "https://signed.example/bucket/a key+1.png?a=1&b=2"),
        ("{{ 'https://a.example/?x=1&y=2' | grant_read_access }}", "https://a.example/?x=1&y=2"),
        (
            "{% for each in task.input.map-metadata.internal-color-map %}"
            "{{ each[1]['class-name'] }} {% endfor %}",
            "BACKGROUND cat ",
        ),
        ("{% if task.input.missing %}yes{% else %}no{% endif %}", "no"),
        ("{{ task.input.nothing | to_json }}", "null"),
    ],
)
def test_what_a_template_prints_is_escaped_once(template, text):
    assert html.unescape(rendered(template)) == text


@pytest.mark.parametrize("filters", ["to_json", "to_json | escape"])
def test_labels_in_an_attribute_are_json_after_the_browsers_unescaping(filters):
    attribute = rendered("{{ task.input.labels | " + filters + " }}")
    assert not set("<>\"'") & set(attribute)
    assert json.loads(html.unescape(attribute)) == INPUT["labels"]


def test_skip_autoescape_prints_what_it_gets():
    assert rendered("{{ task.input.text | skip_autoescape }}") == INPUT["text"]


def test_an_object_without_to_json_prints_as_json():
    assert json.loads(html.unescape(rendered("{{ task.input.map-metadata }}"))) == INPUT["map-metadata"]
    assert json.loads(html.unescape(rendered("{{ task.input.labels }}"))) == INPUT["labels"]


@pytest.mark.parametrize(
    ("template", "line", "part"),
    [
        ("a\n{{ task.input.missing }}", 2, "task.input.missing is undefined"),
        ("{{ task.input.missing | to_json }}", 1, "task.input.missing is undefined"),
        ("\n\n<a {{ task.input.missing | grant_read_access }}>", 3, "task.input.missing is undefined"),
        ("{{ task.input.missing | skip_autoescape }}", 1, "task.input.missing is undefined"),
        ("\n{{ task.input.text | s3_presign }}", 2, "unknown filter 's3_presign'"),
        ("{{ task.input.text | grant_read_access }}", 1, "expected an s3://bucket/key URI"),
        ("\n\n{% if %}{% endif %}", 3, "missing expression"),
        ("{% if task.input.text %}\nopen\n", 3, "expected tag endif"),
    ],
)
def test_what_is_wrong_with_a_template_is_a_value_with_its_line(template, line, part):
    result = render(template, INPUT, lambda uri: uri)
    assert result.html is None
    assert result.problem is not None
    assert result.problem.line == line
    assert part in result.problem.message
    assert str(result.problem).startswith(f"line {line}: ")
