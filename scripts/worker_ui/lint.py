"""Checks worker templates before any worker sees them: what they use, ask and send fits the code around them.

A template is rendered with sample inputs, with their texts left out, and with labels and texts that try to
break out of it; what is checked is mostly the page that comes out. Behind `truthloop ui check`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from liquid import BoundTemplate
from liquid.exceptions import LiquidError

from truthloop import task_types
from truthloop.errors import TruthloopError
from truthloop.labels import CLASS, CLASSES
from truthloop.layout import AUDIT_TEMPLATE
from worker_ui import relaxed_json
from worker_ui.audit_samples import made_of_its_row
from worker_ui.crowd_elements import WIDGETS
from worker_ui.findings import Finding, Report, similar
from worker_ui.markup import Page, mark_lines, parse, read_marks
from worker_ui.page_rules import (
    COLOR,
    GRANTED,
    check_flaws,
    check_page,
    documented,
    relaxed,
    report_written_labels,
)
from worker_ui.rendering import CONTENT_CHARACTERS_MAXIMUM, environment
from worker_ui.script_rules import check_same_scripts

TEMPLATE_FILE = "template.liquid.html"
SAMPLES_PATTERN = "sample_input*.json"
LABELS_FILE = "label_categories.json"

# https://docs.aws.amazon.com/sagemaker/latest/dg/sms-label-cat-config-attributes.html
_LABELS_VERSION = "2018-11-28"
_LABEL_CHARACTERS_MAXIMUM = 256
# Noncharacters of Unicode: no sample has them.
_PRINTED = re.compile("\ufdd2([^\ufdd3]*)\ufdd3")
_UNQUOTED = re.compile(r"=\s*\{\{")
_HOSTILE = "\"'\\ <b>&amp; {{ task.input }} {% if %} </crowd-form><script>alert(1)</script> 文字 שלום 🐈"
_S3 = "s3://"
_WEB_ADDRESS = re.compile("^https?://")
_COMPARING = re.compile(r"\{%-?\s*(?:if|elsif|unless|case|when)\b(.*?)%\}", re.DOTALL)
_LITERAL = re.compile(r"\"([^\"]+)\"|'([^']+)'")
_OF_ANOTHER_ANSWER = frozenset({"suggestion", "feedback", "previous"})
_SIZES = frozenset({"size", "first", "last"})


@dataclass(frozen=True)
class _Sample:
    file: Path
    task_input: Mapping[str, Any]


def check(path: Path, samples: Sequence[Mapping[str, Any]] | None = None) -> list[Finding]:
    """All that is wrong with a worker template and the files beside it.

    Parameters
    ----------
    path
        A folder as in `ui_templates`, or a template.
    samples
        What the pre-annotation function returns as `taskInput`, for several rows; None for the files
        `sample_input*.json` beside the template. Between them they should show every branch of the template.

    Returns
    -------
    list
        By file and line; empty when nothing is wrong. A folder that is named after a registered task type is
        also compared with the code of that type.
    """
    template_file = path / TEMPLATE_FILE if path.is_dir() else path
    report = Report(template_file)
    others: list[Finding] = []
    if samples is None:
        given, others = _read_samples(template_file.parent)
    else:
        given = [_Sample(template_file, sample) for sample in samples]
    try:
        template = template_file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        report.add(1, "there is no such file", f"Name a template, or a folder with a {TEMPLATE_FILE}.")
    except UnicodeDecodeError as error:
        report.add(1, f"byte {error.start} is not UTF-8", "Save the template as UTF-8.")
    else:
        if not given and not others:
            report.add(
                1,
                "there is no sample input",
                "Write what the pre-annotation function returns as taskInput into sample_input.json.",
            )
        folder = template_file.resolve().parent.name
        task_type = folder if folder in task_types.names() else None
        reader = AUDIT_TEMPLATE if folder == AUDIT_TEMPLATE else task_type
        _check_template(report, template, [sample.task_input for sample in given], reader)
        others += _check_label_configuration(template_file.parent / LABELS_FILE, template, given, task_type)
        if reader is not None:
            others += _check_samples(reader, given)
    return sorted([*report.findings, *others])


def _read_samples(folder: Path) -> tuple[list[_Sample], list[Finding]]:
    samples, findings = [], []
    for file in sorted(folder.glob(SAMPLES_PATTERN)):
        document, finding = _read_json(file)
        if finding is not None:
            findings.append(finding)
        elif isinstance(document, dict):
            samples.append(_Sample(file, document))
        else:
            findings.append(Finding(file, 1, "it is no JSON object", "Write the object that is task.input."))
    return samples, findings


def _read_json(file: Path) -> tuple[Any, Finding | None]:
    try:
        return json.loads(file.read_bytes().decode("utf-8")), None
    except UnicodeDecodeError as error:
        return None, Finding(file, 1, f"byte {error.start} is not UTF-8", "Save the file as UTF-8.")
    except json.JSONDecodeError as error:
        return None, Finding(file, error.lineno, f"it is no JSON: {error.msg}", "Correct it there or before.")


# The template's text and its variables.


def _check_template(
    report: Report, template: str, samples: Sequence[Mapping[str, Any]], reader: str | None
) -> None:
    if not 0 < len(template) <= CONTENT_CHARACTERS_MAXIMUM:
        report.add(
            1,
            f"the template has {len(template)} characters; allowed: 1..{CONTENT_CHARACTERS_MAXIMUM}",
            "Remove embedded pictures or scripts." if template else "Write the template.",
        )
        return
    for match in _UNQUOTED.finditer(template):
        report.add(
            _line(template, match.start()),
            "an attribute takes a value of Liquid without quotes, so a blank in it ends the attribute",
            'Write ="{{ … }}".',
        )
    try:
        parsed = environment(_grant).from_string(template)
    except LiquidError as error:
        report.add(_line_of(error), f"it is no Liquid template: {error.message}", "Correct the Liquid there.")
        return
    _check_variables(report, template, parsed, samples)
    codes = _codes(template)
    tasks = [_local(sample) for sample in samples]
    for sample in tasks:
        page = _render(report, template, sample)
        if page is not None:
            check_page(report, page, sample, reader)
            without = _render(report, template, _without_texts(sample, codes))
            if without is not None:
                check_flaws(report, without)
            _check_escaping(report, template, sample, codes)


def _check_variables(
    report: Report, template: str, parsed: BoundTemplate, samples: Sequence[Mapping[str, Any]]
) -> None:
    analysis = parsed.analyze()
    for name, spans in analysis.filters.items():
        for span in spans:
            line = _line(template, span.index)
            if name == "skip_autoescape":
                report.add(
                    line,
                    "skip_autoescape lets a label or a text bring markup and scripts into the worker's page",
                    "Remove it.",
                )
            elif name not in parsed.env.filters:
                report.add(
                    line,
                    f"there is no filter {name}",
                    f"Use Liquid's and Ground Truth's own.{similar(name, parsed.env.filters)}",
                )
    used: set[str] = set()
    for name, variables in analysis.globals.items():
        for variable in variables:
            line = _line(template, variable.span.index)
            segments = variable.segments
            if name != "task" or len(segments) < 2 or segments[1] != "input":
                report.add(
                    line,
                    f"there is no {_path(segments)}",
                    "Take everything from task.input, which is what the pre-annotation function returns.",
                )
                continue
            if len(segments) > 2:
                used.add(str(segments[2]))
            _check_variable(report, line, segments, samples)
    for key in {key for sample in samples for key, value in sample.items() if value is not None} - used:
        report.add(
            1,
            f"task.input.{key} is given and never shown",
            "Use it, or leave it out of what the pre-annotation function returns.",
        )


def _check_variable(
    report: Report, line: int, segments: Sequence[Any], samples: Sequence[Mapping[str, Any]]
) -> None:
    outcomes = {_resolve(sample, segments[2:]) for sample in samples}
    if outcomes and "found" not in outcomes:
        if "null" in outcomes:
            report.add(
                line,
                f"{_path(segments)} is in none of the samples, where what precedes it is null",
                "Add a sample in which it isn't null, such as sample_input_with_suggestion.json.",
            )
        else:
            names = sorted({key for sample in samples for key in sample})
            report.add(
                line,
                f"{_path(segments)} is not in what the pre-annotation function returns",
                f"Correct the name, or return it.{similar(str(segments[-1]), names)}",
            )


def _resolve(value: Any, segments: Sequence[Any]) -> str:
    """Whether a value has something under a path: found, null on the way, or missing."""
    for segment in segments:
        if value is None:
            return "null"
        if isinstance(segment, list) or (segment in _SIZES and isinstance(value, list | str)):
            # What a computed key finds is only known when it is rendered.
            return "found"
        try:
            value = value[segment]
        except (IndexError, KeyError, TypeError):
            return "missing"
    return "found"


# Rendering.


class _PrintedObject(dict[str, Any]):
    """A JSON object that leaves a mark where it is printed without `to_json`."""

    def __str__(self) -> str:
        return "\ufdd2an object\ufdd3"


class _PrintedArray(list[Any]):
    """A JSON array that leaves a mark where it is printed without `to_json`."""

    def __html__(self) -> str:
        return "\ufdd2a list\ufdd3"


def _render(report: Report, template: str, task_input: Mapping[str, Any]) -> Page | None:
    """The page, or None when Liquid refuses."""
    try:
        parsed = environment(_grant).from_string(mark_lines(template))
        rendered, lines = read_marks(parsed.render(task={"input": _marked(task_input)}))
    except LiquidError as error:
        report.add(
            _line_of(error),
            f"it cannot be rendered: {error.message}",
            "Correct the Liquid, or the sample if the pre-annotation function returns something else.",
        )
        return None
    for match in _PRINTED.finditer(rendered):
        report.add(
            lines.at(match.start()), f"it prints {match[1]}, which has no form of its own", "Add | to_json."
        )
    return parse(rendered, lines)


def _marked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _PrintedObject({key: _marked(each) for key, each in value.items()})
    if isinstance(value, list | tuple):
        return _PrintedArray(_marked(each) for each in value)
    return value


def _grant(uri: str) -> str:
    # As long and as full of ampersands as a presigned address.
    return f"{GRANTED}{quote(uri.removeprefix(_S3))}?X-Amz-Expires=900&X-Amz-Signature={'0' * 64}"


def _mapped(
    value: Any, change: Callable[[str], str], change_key: Callable[[str], str] = lambda key: key
) -> Any:
    """A JSON value with its texts changed, and its keys in their own way."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change_key(key): _mapped(each, change, change_key) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(each, change, change_key) for each in value]
    return value


def _codes(template: str) -> set[str]:
    """The words that the template itself compares with: they choose what is shown and are no texts."""
    tags = "".join(_COMPARING.findall(template))
    return {one or other for one, other in _LITERAL.findall(tags)}


def _local(sample: Mapping[str, Any]) -> dict[str, Any]:
    """A sample with its web addresses in S3, because `grant_read_access` lets web addresses pass."""
    return {key: _mapped(value, lambda text: _WEB_ADDRESS.sub(_S3, text)) for key, value in sample.items()}


def _is_text(value: Any, codes: set[str]) -> bool:
    """Whether a value is what people read: no address, no colour, no code."""
    return (
        isinstance(value, str)
        and not value.startswith(_S3)
        and COLOR.fullmatch(value) is None
        and value not in codes
    )


def _without_texts(sample: Mapping[str, Any], codes: set[str]) -> dict[str, Any]:
    """A sample without the texts that a row or a campaign may lack."""
    return {
        key: "" if key != "taskObject" and _is_text(value, codes) else value for key, value in sample.items()
    }


def _check_escaping(report: Report, template: str, sample: Mapping[str, Any], codes: set[str]) -> None:
    """Compare the page with one whose labels and texts try to break out of their place."""
    labels = sample.get("labels")
    known = {label for label in labels if isinstance(label, str)} if isinstance(labels, list) else set()

    def with_texts(change: Callable[[str], str]) -> dict[str, Any]:
        changed = {
            key: _mapped(
                value,
                lambda text: change(text) if text in known or (text and _is_text(text, codes)) else text,
                lambda text: change(text) if text in known else text,
            )
            for key, value in sample.items()
        }
        for key, value in sample.items():
            # Those that the sample lacks too: what is shown for them has to be safe.
            if _is_text(value, codes):
                changed[key] = change("text")
        return changed

    tame = _render(report, template, with_texts(lambda text: f"{text} tame"))
    hostile_task = with_texts(lambda text: f"{text} {_HOSTILE}")
    hostile = _render(report, template, hostile_task)
    if tame is None or hostile is None:
        return
    advice = "Quote attributes, print without skip_autoescape, and lists and texts in JSON by to_json."
    for expected, found in zip(tame.elements, hostile.elements, strict=False):
        if (expected.tag, sorted(expected.attributes)) != (found.tag, sorted(found.attributes)):
            report.add(found.line, f"a label or text can change the page, here to <{found.tag}>", advice)
            return
    if len(tame.elements) != len(hostile.elements):
        report.add(1, "a label or text can add or remove elements of the page", advice)
    check_same_scripts(report, tame, hostile)
    for element, description in documented(hostile):
        for name in sorted(description.json & element.attributes.keys()):
            value = relaxed(element.attributes[name])
            if isinstance(value, relaxed_json.RelaxedJsonError):
                report.add(
                    element.line, f"a label with quotes breaks {name} of <{element.tag}>: {value}", advice
                )
            elif name == description.labels and known and value != hostile_task["labels"]:
                report_written_labels(report, element, name)


# The files beside the template.


def _check_label_configuration(
    file: Path, template: str, samples: Sequence[_Sample], task_type: str | None
) -> list[Finding]:
    """What is wrong with an example of Ground Truth's label category configuration, where there is one."""
    if not file.exists():
        return []
    document, finding = _read_json(file)
    if finding is not None:
        return [finding]
    report = Report(file)
    version = document.get("document-version") if isinstance(document, dict) else None
    if version != _LABELS_VERSION:
        report.add(
            1,
            f"document-version is {json.dumps(version)}; allowed: {json.dumps(_LABELS_VERSION)}",
            "Write it beside labels.",
        )
    entries = document.get("labels") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries:
        report.add(1, "labels is no list of labels", 'Write "labels": [{"label": "…"}].')
        return report.findings
    labels = [entry.get("label") if isinstance(entry, dict) else None for entry in entries]
    for position, label in enumerate(labels, 1):
        if not isinstance(label, str) or not label.strip() or len(label) > _LABEL_CHARACTERS_MAXIMUM:
            shown = json.dumps(label, ensure_ascii=False)[:60]
            report.add(
                1,
                f"label {position} is {shown}; allowed: 1 to {_LABEL_CHARACTERS_MAXIMUM} characters",
                'Write {"label": "…"}.',
            )
    for label in sorted({label for label in labels if isinstance(label, str) and labels.count(label) > 1}):
        report.add(1, f"the label {label!r} stands there twice", "Name it once.")
    for tag, widget in WIDGETS.items():
        if (
            widget.labels_maximum is not None
            and len(labels) > widget.labels_maximum
            and re.search(rf"<{tag}\s", template)
        ):
            report.add(
                1,
                f"there are {len(labels)} labels; allowed: {widget.labels_maximum} for <{tag}>",
                "Use fewer.",
            )
    if task_type is not None and task_types.get(task_type).LABEL_KIND in (CLASS, CLASSES) and len(labels) < 2:
        report.add(1, "there is one label only", "Give at least two to choose from.")
    for sample in samples:
        if sample.task_input.get("labels") != labels:
            report.add(1, f"its labels are not those of {sample.file.name}", "Write the same into both.")
    return report.findings


def _check_samples(reader: str, samples: Sequence[_Sample]) -> list[Finding]:
    """Where samples differ from what the code makes of a row: a task type's, or that of audits."""
    findings = []
    for sample in samples:
        given = sample.task_input
        try:
            made = made_of_its_row(given) if reader == AUDIT_TEMPLATE else _made(reader, given)
        except TruthloopError as error:
            findings.append(
                Finding(sample.file, 1, f"no row gives this task.input: {error}", "Correct the sample.")
            )
            continue
        for key in sorted(made.keys() | given.keys()):
            # What a suggestion and an auditor's verdict were made of is not known here.
            if key in made and key in given and (made[key] == given[key] or key in _OF_ANOTHER_ANSWER):
                continue
            findings.append(
                Finding(
                    sample.file,
                    1,
                    f"{key} is {_shown(given, key)}, but the code of {reader} makes {_shown(made, key)}",
                    "Write what the pre-annotation function returns.",
                )
            )
    return findings


def _made(task_type: str, given: Mapping[str, Any]) -> dict[str, Any]:
    module = task_types.get(task_type)
    row = {module.SOURCE_KEY: given.get("taskObject")}
    if given.get("context"):
        row["context"] = given["context"]
    return module.task_input(row, given.get("labels") or [], instructions=given.get("instructions") or "")


def _shown(document: Mapping[str, Any], key: str) -> str:
    return json.dumps(document[key], ensure_ascii=False)[:60] if key in document else "missing"


def _path(segments: Sequence[Any]) -> str:
    return ".".join("[…]" if isinstance(segment, list) else str(segment) for segment in segments)


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, max(offset, 0)) + 1


def _line_of(error: LiquidError) -> int:
    context = error.context()
    return context[0] if context is not None else 1
