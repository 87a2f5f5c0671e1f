"""The rules for the page that a template renders to: what AWS's elements need, and what the code reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from truthloop import task_types
from truthloop.audit import ANSWER_NAMES
from truthloop.layout import AUDIT_TEMPLATE
from worker_ui import crowd_elements, relaxed_json
from worker_ui.crowd_elements import ELEMENTS, FORM, REGION_ATTRIBUTES, WIDGETS, CrowdElement
from worker_ui.findings import Report, similar
from worker_ui.markup import Element, Page
from worker_ui.script_rules import check_scripts, is_own

GRANTED = "https://granted.invalid/"
"""How the addresses begin that stand for what `grant_read_access` makes."""

# Of an instruction with its pictures:
# https://docs.aws.amazon.com/sagemaker/latest/dg/sms-creating-instruction-pages.html
_REGION_BYTES_MAXIMUM = 100_000
_WEB_ADDRESS = re.compile("https?://")
_STYLE_LOADS = re.compile(r"url\(|@import", re.IGNORECASE)
_URL_ATTRIBUTES = frozenset(
    {"src", "href", "poster", "srcset", "data", "action", "formaction", "icon-url", "image", "background"}
)
_GLOBAL_ATTRIBUTES = frozenset(
    {"class", "dir", "hidden", "id", "lang", "role", "slot", "style", "tabindex", "title"}
)
_NATIVE_INPUTS = frozenset({"input", "select", "textarea"})
_BUTTON_TYPES = frozenset({"button", "image", "reset", "submit"})
COLOR = re.compile("#[0-9A-Fa-f]{6}")


def check_page(report: Report, page: Page, sample: Mapping[str, Any], reader: str | None) -> None:
    """Add what is wrong with a page.

    Parameters
    ----------
    sample
        The `task.input` that it was rendered with; its S3 URIs were granted below `GRANTED`.
    reader
        Whose code has to understand the answer: a registered task type, `AUDIT_TEMPLATE`, or None.
    """
    check_flaws(report, page)
    check_scripts(report, page)
    _check_form(report, page)
    with_script = any(is_own(script) for script in page.of("script"))
    for element in page.elements:
        _check_urls(report, element)
        _check_attributes(report, element)
        _check_input(report, element, with_script)
    for element, description in documented(page):
        _check_regions(report, page, element, description.regions)
        _check_json(report, element, description, sample)
    _check_instructions(report, page)
    if reader == AUDIT_TEMPLATE:
        _check_audit_names(report, page)
    elif reader is not None:
        _check_answer_name(report, page, reader)


def check_flaws(report: Report, page: Page) -> None:
    """Add what is wrong with a page's markup."""
    for flaw in page.flaws:
        report.add(flaw.line, flaw.what, flaw.advice)


def _check_form(report: Report, page: Page) -> None:
    forms = page.of(FORM)
    if page.of(crowd_elements.SELF_CONTAINED):
        for form in forms:
            report.add(
                form.line,
                f"<{crowd_elements.SELF_CONTAINED}> brings its own form",
                f"Remove <{FORM}> and its end tag.",
            )
        return
    if not forms:
        report.add(1, f"there is no <{FORM}>, so no answer is sent", f"Put everything into one <{FORM}>.")
    for form in forms[1:]:
        report.add(form.line, f"there is more than one <{FORM}>", "Put everything into the first one.")
    for form in page.of("form"):
        report.add(
            form.line, "a native <form> submits to nowhere", f"Remove it: <{FORM}> collects the answer."
        )
    for element in page.elements:
        answers = element.tag in _NATIVE_INPUTS or (element.tag in ELEMENTS and ELEMENTS[element.tag].answers)
        if answers and not any(each.tag == FORM for each in element.ancestors()):
            report.add(
                element.line,
                f"<{element.tag}> is outside <{FORM}>, so its answer is lost",
                f"Move it into <{FORM}>.",
            )


def _check_attributes(report: Report, element: Element) -> None:
    for name in element.attributes:
        if name.startswith("on"):
            report.add(
                element.line,
                f"<{element.tag}> runs a script in {name}",
                "Do without: the crowd elements ask and send, and nothing else is tested here.",
            )
    if element.tag in ELEMENTS:
        allowed = ELEMENTS[element.tag].attributes
        for name in sorted(ELEMENTS[element.tag].required - element.attributes.keys()):
            report.add(element.line, f"<{element.tag}> lacks {name}", f'Add {name}="…".')
        for name in sorted(ELEMENTS[element.tag].required & element.attributes.keys()):
            if not element.attributes[name].strip():
                report.add(element.line, f"{name} of <{element.tag}> is empty", "Fill it in.")
    elif element.tag in REGION_ATTRIBUTES:
        allowed = REGION_ATTRIBUTES[element.tag]
    elif element.tag.startswith("crowd-"):
        report.add(
            element.line,
            f"there is no element <{element.tag}>",
            f"Use a documented one.{similar(element.tag, ELEMENTS)}",
        )
        return
    else:
        return
    for name in element.attributes.keys() - allowed - _GLOBAL_ATTRIBUTES:
        if not name.startswith(("aria-", "data-", "on")):
            report.add(
                element.line,
                f"<{element.tag}> has no attribute {name}",
                f"Allowed: {', '.join(sorted(allowed)) or 'none of its own'}.{similar(name, allowed)}",
            )


def _check_input(report: Report, element: Element, with_script: bool) -> None:
    if element.tag not in _NATIVE_INPUTS or element.attributes.get("type") in _BUTTON_TYPES:
        return
    if with_script and element.attributes.get("type") == "range" and "name" not in element.attributes:
        # Such as an overlay's opacity: it changes what the worker sees, and nobody asked for its value.
        return
    if not element.attributes.get("name"):
        report.add(
            element.line,
            f"<{element.tag}> has no name, so the answer does not have its value",
            'Add name="…".',
        )
    if element.attributes.get("type") in {"checkbox", "radio"}:
        kind = element.attributes["type"]
        report.add(
            element.line,
            f"how a native {kind} appears in an answer is not documented",
            f"Use <crowd-{'checkbox' if kind == 'checkbox' else 'radio-button'}>.",
        )


def _check_regions(report: Report, page: Page, element: Element, regions: Mapping[str, bool]) -> None:
    children = [each for each in page.elements if each.parent is element and each.tag in REGION_ATTRIBUTES]
    for child in children:
        if child.tag not in regions:
            report.add(
                child.line,
                f"<{element.tag}> has no region <{child.tag}>",
                "Move it to one that has.",
            )
        elif len(child.content.encode()) > _REGION_BYTES_MAXIMUM:
            report.add(
                child.line,
                f"<{child.tag}> has {len(child.content.encode())} bytes; allowed: {_REGION_BYTES_MAXIMUM}",
                "Shrink its pictures.",
            )
    for name, needed in regions.items():
        found = [child for child in children if child.tag == name]
        if needed and not found:
            report.add(
                element.line, f"<{element.tag}> has no <{name}>", f"Add <{name}>…</{name}> directly below it."
            )
        for child in found[1:]:
            report.add(child.line, f"<{element.tag}> has <{name}> twice", "Put all into the first one.")
        for child in found:
            if needed and not child.content.strip():
                report.add(child.line, f"<{name}> is empty", "Say what the worker has to do.")


def _check_instructions(report: Report, page: Page) -> None:
    """A page of one's own markup, without AWS's widgets, needs instructions too."""
    if page.of(*WIDGETS):
        return
    for names in (
        (crowd_elements.SHORT_INSTRUCTIONS, "short-summary"),
        (crowd_elements.FULL_INSTRUCTIONS, "detailed-instructions"),
    ):
        if not any(region.text.strip() for region in page.of(*names)):
            report.add(
                1,
                f"there is no <{names[0]}> with instructions",
                f"Add it to <{FORM}>, or a <crowd-instructions> with <{names[1]}>.",
            )


def _check_answer_name(report: Report, page: Page, task_type: str) -> None:
    expected = task_types.get(task_type).ANSWER_NAME
    asking = page.of(*WIDGETS) or [
        element for element in page.elements if element.attributes.get("name") == expected
    ]
    if not asking:
        report.add(
            1,
            f"nothing has the name {expected}, under which the code of {task_type} reads the answer",
            f'Give the element that asks name="{expected}".',
        )
    for widget in asking[1:]:
        report.add(widget.line, f"<{widget.tag}> is a second widget", "Ask one question per template.")
    for widget in asking[:1]:
        name = widget.attributes.get("name", "")
        if name != expected:
            report.add(
                widget.line,
                f"<{widget.tag}> has the name {name!r}, but the code of {task_type} reads {expected!r}",
                f'Write name="{expected}".',
            )


def _check_audit_names(report: Report, page: Page) -> None:
    """The auditors' page has one field under each name that the code reads, and none that it doesn't."""
    fields = [element for element in page.elements if element.tag in _NATIVE_INPUTS]
    found = [element.attributes["name"] for element in fields if "name" in element.attributes]
    for name in ANSWER_NAMES:
        if found.count(name) != 1:
            report.add(
                1,
                f"{found.count(name) or 'no'} fields have the name {name}; allowed: one, because the code of "
                "audits reads it",
                f'Give one <input type="hidden"> or <textarea> name="{name}".',
            )
    for element in page.elements:
        answers = element in fields or (element.tag in ELEMENTS and ELEMENTS[element.tag].answers)
        name = element.attributes.get("name", "")
        if answers and name and name not in ANSWER_NAMES:
            report.add(
                element.line,
                f"<{element.tag}> has the name {name!r}, which the code of audits doesn't read",
                f"Allowed: {', '.join(ANSWER_NAMES)}.{similar(name, ANSWER_NAMES)}",
            )


def _check_urls(report: Report, element: Element) -> None:
    for name, value in element.attributes.items():
        if name == "style" and _STYLE_LOADS.search(value):
            report.add(element.line, f"style of <{element.tag}> loads something", "Use <img> for pictures.")
        if name not in _URL_ATTRIBUTES:
            if "s3://" in value:
                _report_no_access(report, element, name)
            continue
        url = value.strip()
        if element.tag == "script" or url.startswith((GRANTED, "data:image/", "#")) or not url:
            continue
        if url.startswith("s3://"):
            _report_no_access(report, element, name)
        elif element.tag != "a" or not _WEB_ADDRESS.match(url):
            report.add(
                element.line,
                f"{name} of <{element.tag}> is {url[:60]!r}, which is not granted",
                "Take it from task.input by grant_read_access, or embed it as data:image/… or <svg>.",
            )
    if element.tag == "style" and _STYLE_LOADS.search(element.text):
        report.add(element.line, "<style> loads something", "Use <img> for pictures.")


def _report_no_access(report: Report, element: Element, name: str) -> None:
    report.add(
        element.line,
        f"{name} of <{element.tag}> gives the browser an S3 URI, which it cannot read",
        "Add | grant_read_access.",
    )


# Relaxed JSON in attributes.


def documented(page: Page) -> Iterator[tuple[Element, CrowdElement]]:
    """The page's crowd elements, and what is documented about them."""
    for element in page.elements:
        if element.tag in ELEMENTS:
            yield element, ELEMENTS[element.tag]


def relaxed(text: str) -> Any:
    """The value of relaxed JSON, or the error."""
    try:
        return relaxed_json.loads(text)
    except relaxed_json.RelaxedJsonError as error:
        return error


def _check_json(
    report: Report,
    element: Element,
    description: CrowdElement,
    sample: Mapping[str, Any],
) -> None:
    values = {}
    for name in sorted(description.json & element.attributes.keys()):
        value = relaxed(element.attributes[name])
        if isinstance(value, relaxed_json.RelaxedJsonError):
            report.add(
                element.line,
                f"{name} of <{element.tag}> is no JSON, {value}",
                "Print lists and objects by to_json, and texts in JSON too.",
            )
        else:
            values[name] = value
            _check_granted(report, element, name, value)
    labels = values.get(description.labels or "")
    if description.labels in values:
        _check_labels(report, element, description.labels or "", labels)
    if "exclusion-category" in values:
        _check_exclusion(report, element, values["exclusion-category"], labels)
    if "initial-value" in values:
        _check_initial_value(report, element, values["initial-value"], labels)
    elif "initial-value" in description.attributes and sample.get("suggestion") is not None:
        report.add(
            element.line,
            f"<{element.tag}> doesn't show task.input.suggestion",
            "Add initial-value where there is a suggestion.",
        )


def _check_labels(report: Report, element: Element, name: str, labels: Any) -> None:
    if not isinstance(labels, list) or not labels:
        report.add(
            element.line,
            f"{name} of <{element.tag}> is {json.dumps(labels)[:60]}; allowed: a list of labels",
            f'Write {name}="{{{{ task.input.labels | to_json | escape }}}}".',
        )


def report_written_labels(report: Report, element: Element, name: str) -> None:
    """Add that a widget offers other labels than the campaign's."""
    report.add(
        element.line,
        f"{name} of <{element.tag}> are not the campaign's labels, task.input.labels",
        f'Write {name}="{{{{ task.input.labels | to_json | escape }}}}".',
    )


def _check_exclusion(report: Report, element: Element, exclusion: Any, labels: Any) -> None:
    text = exclusion.get("text") if isinstance(exclusion, dict) else None
    if not isinstance(text, str) or not text.strip():
        report.add(
            element.line,
            f"exclusion-category of <{element.tag}> has no text",
            'Write exclusion-category=\'{"text": "…"}\'.',
        )
    elif isinstance(labels, list) and text in labels:
        report.add(
            element.line, f"the exclusion category {text!r} is a label too", "Give it a text of its own."
        )


def _check_initial_value(report: Report, element: Element, value: Any, labels: Any) -> None:
    named: Iterable[Any] = ()
    if element.tag == "crowd-semantic-segmentation":
        mappings = value.get("labelMappings") if isinstance(value, dict) else None
        if not isinstance(mappings, dict) or not isinstance(value.get("src"), str):
            report.add(
                element.line,
                "initial-value has another form than the widget takes",
                'Write {"src": "<mask>", "labelMappings": {"<label>": {"color": "#rrggbb"}}}.',
            )
            return
        named = mappings
        for label, mapping in mappings.items():
            color = mapping.get("color") if isinstance(mapping, dict) else None
            if not isinstance(color, str) or COLOR.fullmatch(color) is None:
                report.add(
                    element.line,
                    f"the colour of {label!r} in initial-value is {color!r}; allowed: #rrggbb",
                    "Correct it.",
                )
    elif element.tag == "crowd-bounding-box":
        sides = ("height", "left", "top", "width")
        boxes: list[Any] = value if isinstance(value, list) else [None]
        if not all(
            isinstance(box, dict) and all(isinstance(box.get(side), int | float) for side in sides)
            for box in boxes
        ):
            report.add(
                element.line,
                "initial-value has another form than the widget takes",
                'Write [{"label", "left", "top", "width", "height"}], in pixels.',
            )
            return
        named = [box.get("label") for box in boxes]
    unknown = [label for label in named if isinstance(labels, list) and label not in labels]
    if unknown:
        report.add(
            element.line,
            f"initial-value has {unknown[0]!r}, which is no label, so the widget drops it",
            "Suggest the campaign's labels only.",
        )


def _check_granted(report: Report, element: Element, name: str, value: Any) -> None:
    if isinstance(value, dict):
        source = value.get("src")
        if isinstance(source, str) and not source.startswith((GRANTED, "s3://")):
            report.add(
                element.line,
                f"src in {name} of <{element.tag}> is {source[:60]!r}, which is not granted",
                "Take it from task.input by grant_read_access.",
            )
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_granted(report, element, name, each)
