from __future__ import annotations

import pytest
from liquid import Environment

from worker_ui.markup import mark_lines, parse, read_marks


def test_elements_know_their_parents_attributes_text_and_content() -> None:
    page = parse('<div class=a><p title="&lt;&#39;">x &amp; <b>y</b></p><img src="i"></div>')
    assert page.flaws == []
    assert [element.tag for element in page.elements] == ["div", "p", "b", "img"]
    [paragraph] = page.of("p")
    assert paragraph.attributes == {"title": "<'"}
    assert paragraph.text == "x & y"
    assert paragraph.content == "x &amp; <b>y</b>"
    assert [each.tag for each in page.of("b")[0].ancestors()] == ["p", "div"]


@pytest.mark.parametrize(
    ("html", "line", "what"),
    [
        ("<a>\n<b></a>", 2, "<b> is not closed"),
        ("<a>\n</b></a>", 2, "</b> closes an element that is not open; the open element is <a> of line 1"),
        ("\n</b>", 2, "</b> closes an element that is not open"),
        ("\n<a>", 2, "<a> is not closed"),
        ("<a/></a>", 1, "stays open"),
        ("<br></br>", 1, "closes an element that is never open"),
        ("<a b=1\nb=2></a>", 1, "b twice"),
        ("<p><i>\n<ul></ul></i></p>", 2, "<ul> inside <p>"),
    ],
)
def test_markup_that_browsers_repair_is_a_flaw_with_its_line(html: str, line: int, what: str) -> None:
    assert [(flaw.line, what in flaw.what) for flaw in parse(html).flaws] == [(line, True)]


@pytest.mark.parametrize(
    "html", ["<br/>", "<br>", "<svg><rect /><g><path /></g></svg>", "<p></p><ul><li>x</li></ul>", "<A></a>"]
)
def test_good_markup_has_no_flaws(html: str) -> None:
    assert parse(html).flaws == []


def test_the_parts_of_a_page_are_found_on_the_templates_lines() -> None:
    template = (
        "<a></a>\n"
        "{% for x in xs %}\n"
        "<b title='{{ x }}'\n"
        "   class='{% if x %}c{% endif %}'></b>\n"
        "{% endfor %}\n"
        "{% capture\n"
        "  y %}\n"
        "text\n"
        "{% endcapture %}\n"
        "<c></c>{{\n"
        "  y }}<d></d>\n"
        "<e></e>\n"
    )
    values = {"xs": ["one\ntwo", "three"]}
    marked = Environment().from_string(mark_lines(template)).render(**values)
    html, lines = read_marks(marked)
    assert html == Environment().from_string(template).render(**values)
    assert [(each.tag, each.line) for each in parse(html, lines).elements] == [
        ("a", 1),
        ("b", 3),
        ("b", 3),
        ("c", 10),
        ("d", 10),
        ("e", 12),
    ]
