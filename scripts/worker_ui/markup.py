"""Parses the HTML of a rendered worker template into elements that know their place in the template."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from html.parser import HTMLParser

# Noncharacters of Unicode: no text has them.
_MARK = "\ufdd0%d\ufdd1"
_MARKS = re.compile("\ufdd0(\\d+)\ufdd1")
_LIQUID = re.compile(
    r"\{%-?\s*(raw|capture|comment)\b.*?\{%-?\s*end\1\s*-?%\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL
)
VOID_ELEMENTS = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
# A paragraph ends where one of these begins, and its end tag then makes another, empty one.
_NOT_IN_PARAGRAPHS = frozenset(
    {"article", "aside", "blockquote", "details", "div", "dl", "fieldset", "figure", "footer", "form"}
    | {"h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "main", "nav", "ol", "p", "pre", "section"}
    | {"table", "ul"}
)


@dataclass(eq=False)
class Element:
    """An element of the page.

    Attributes
    ----------
    attributes
        With character references resolved; empty for those without a value.
    line
        In the template, from 1.
    text
        All text below it.
    content
        The markup between its tags.
    """

    tag: str
    attributes: dict[str, str]
    line: int
    parent: Element | None
    text: str = ""
    content: str = ""
    start: int = field(default=0, repr=False)

    def ancestors(self) -> list[Element]:
        """Its parent, whose parent, and so on."""
        return [self.parent, *self.parent.ancestors()] if self.parent else []


@dataclass(frozen=True)
class Flaw:
    """Something about the markup that browsers repair in ways that nobody meant."""

    line: int
    what: str
    advice: str


@dataclass
class Page:
    """A rendered template's elements in the order of their start tags, and the flaws of its markup."""

    elements: list[Element] = field(default_factory=list)
    flaws: list[Flaw] = field(default_factory=list)

    def of(self, *tags: str) -> list[Element]:
        return [element for element in self.elements if element.tag in tags]


@dataclass(frozen=True)
class Lines:
    """Finds the line of the template from a place in the page that was rendered from it."""

    offsets: list[int]
    numbers: list[int]

    def at(self, offset: int) -> int:
        return self.numbers[max(bisect_right(self.offsets, offset) - 1, 0)]


def mark_lines(template: str) -> str:
    """A template that renders to the same page with marks, by which `read_marks` finds the lines again."""
    marked, position, number = [_MARK % 1], 0, 1
    spans = [match.span() for match in _LIQUID.finditer(template)]
    for newline in re.finditer("\n", template):
        number += 1
        place = newline.end()
        if not any(start < place < end for start, end in spans):
            marked += [template[position:place], _MARK % number]
            position = place
    return "".join([*marked, template[position:]])


def read_marks(rendered: str) -> tuple[str, Lines]:
    """The page without its marks, and where its parts stand in the template."""
    pieces = _MARKS.split(rendered)
    page, offsets, numbers = [pieces[0]], [0], [1]
    length = len(pieces[0])
    for number, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        offsets.append(length)
        numbers.append(int(number))
        page.append(piece)
        length += len(piece)
    return "".join(page), Lines(offsets, numbers)


def parse(html: str, lines: Lines | None = None) -> Page:
    """The elements of a page; without `lines`, they have the page's own line numbers."""
    parser = _Parser(html, lines)
    parser.feed(html)
    parser.close()
    parser.end()
    return parser.page


class _Parser(HTMLParser):
    def __init__(self, html: str, lines: Lines | None) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self._html = html
        self._lines = lines
        self._starts = [0, *(match.end() for match in re.finditer("\n", html))]
        self._open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = self._add(tag, attrs)
        if tag not in VOID_ELEMENTS:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = self._add(tag, attrs)
        if tag not in VOID_ELEMENTS and tag != "svg" and not self._in_svg():
            self._flaw(
                f"<{tag} … /> stays open, because HTML ignores the slash",
                f"Write <{tag} …></{tag}>.",
            )
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID_ELEMENTS:
            self._flaw(f"</{tag}> closes an element that is never open", "Remove it.")
            return
        if not any(element.tag == tag for element in self._open):
            inner = self._open[-1] if self._open else None
            where = f"; the open element is <{inner.tag}> of line {inner.line}" if inner else ""
            self._flaw(
                f"</{tag}> closes an element that is not open{where}", "Remove it, or name the open element."
            )
            return
        while (element := self._open.pop()).tag != tag:
            self._unclosed(element)
        element.content = self._html[element.start : self._offset()]

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def end(self) -> None:
        while self._open:
            self._unclosed(self._open.pop())

    def _add(self, tag: str, attrs: list[tuple[str, str | None]]) -> Element:
        offset = self._offset()
        attributes: dict[str, str] = {}
        for name, value in attrs:
            if name in attributes:
                self._flaw(f"<{tag}> has {name} twice; only the first counts", "Remove one of them.")
            else:
                attributes[name] = value or ""
        if tag in _NOT_IN_PARAGRAPHS and any(element.tag == "p" for element in self._open):
            self._flaw(f"<{tag}> inside <p> ends the paragraph", "Close it before, or use <div>.")
        parent = self._open[-1] if self._open else None
        start = offset + len(self.get_starttag_text() or "")
        element = Element(tag, attributes, self._line(offset), parent, start=start)
        self.page.elements.append(element)
        return element

    def _in_svg(self) -> bool:
        return any(element.tag == "svg" for element in self._open)

    def _unclosed(self, element: Element) -> None:
        element.content = self._html[element.start : self._offset()]
        self.page.flaws.append(
            Flaw(element.line, f"<{element.tag}> is not closed", f"Write </{element.tag}> where it ends.")
        )

    def _flaw(self, what: str, advice: str) -> None:
        self.page.flaws.append(Flaw(self._line(self._offset()), what, advice))

    def _offset(self) -> int:
        line, column = self.getpos()
        return self._starts[line - 1] + column

    def _line(self, offset: int) -> int:
        return self._lines.at(offset) if self._lines else bisect_right(self._starts, offset)
