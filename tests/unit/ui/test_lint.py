from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from worker_ui.crowd_elements import ELEMENTS, WIDGETS
from worker_ui.findings import Finding
from worker_ui.lint import check

TEMPLATES = Path(__file__).resolve().parents[3] / "ui_templates"
SCRIPT = '<script src="https://assets.crowd.aws/crowd-html-elements.js"></script>'
LABELS = 'labels="{{ task.input.labels | to_json | escape }}"'
CATEGORIES = 'categories="{{ task.input.labels | to_json | escape }}"'
SRC = 'src="{{ task.input.taskObject | grant_read_access }}"'
REGIONS = "<short-instructions>Draw.</short-instructions><full-instructions>Draw well.</full-instructions>"

# A faulty template: the task type, a text of its template, what stands there instead, and what is found.
FAULTS = {
    # What was wrong in the seeds' templates.
    "wrong end tag": (
        "semantic-segmentation",
        "</crowd-semantic-segmentation>",
        "</crowd-instance-segmentation>",
        "</crowd-instance-segmentation> closes an element that is not open; the open element is "
        "<crowd-semantic-segmentation> of line 3",
    ),
    "labels in the template": (
        "semantic-segmentation",
        LABELS,
        "labels=\"['Cat', 'Dog', 'Bird']\"",
        "labels of <crowd-semantic-segmentation> are not the campaign's labels",
    ),
    "no instructions": (
        "bounding-box",
        "</full-instructions>",
        "</full-instructions><!--",
        "<crowd-bounding-box> is not closed",
    ),
    "another answer name": (
        "semantic-segmentation",
        'name="crowd-semantic-segmentation"',
        'name="annotatedResult"',
        "has the name 'annotatedResult', but the code of semantic-segmentation reads "
        "'crowd-semantic-segmentation'",
    ),
    "no read access": (
        "bounding-box",
        "taskObject | grant_read_access",
        "taskObject",
        "src of <crowd-bounding-box> gives the browser an S3 URI",
    ),
    # Variables.
    "variable that is not returned": (
        "image-classification",
        "task.input.taskObject",
        "task.input.sourceRef",
        "task.input.sourceRef is not in what the pre-annotation function returns",
    ),
    "variable that is not returned, in a branch that no sample takes": (
        "image-classification",
        "</crowd-form>",
        "{% if task.input.suggestion %}{{ task.input.hint }}{% endif %}</crowd-form>",
        "task.input.hint is not in what the pre-annotation function returns",
    ),
    "variable that is null in all samples": (
        "image-classification",
        "</crowd-form>",
        "{% if task.input.suggestion %}{{ task.input.suggestion.label }}{% endif %}</crowd-form>",
        "task.input.suggestion.label is in none of the samples",
    ),
    "variable from nowhere": ("image-classification", "task.input.taskObject", "image_url", "no image_url"),
    "task without input": (
        "image-classification",
        "task.input.taskObject",
        "task.taskObject",
        "there is no task.taskObject",
    ),
    "unguarded null": (
        "bounding-box",
        "</crowd-form>",
        "{{ task.input.suggestion[0].label | upcase }}</crowd-form>",
        "it cannot be rendered",
    ),
    "unknown filter": ("image-classification", "| to_json", "| tojson", "there is no filter tojson"),
    "unknown filter in a branch that no sample takes": (
        "image-classification",
        "</crowd-form>",
        "{% if task.input.suggestion %}{{ task.input.context | shout }}{% endif %}</crowd-form>",
        "there is no filter shout",
    ),
    "broken Liquid": ("image-classification", "{% endif %}", "", "it is no Liquid template"),
    # Escaping.
    "skip_autoescape": (
        "text-classification",
        "{{ task.input.taskObject }}",
        "{{ task.input.taskObject | skip_autoescape }}",
        "a label or text can change the page",
    ),
    "skip_autoescape at the end": (
        "image-classification",
        "</crowd-form>",
        "</crowd-form>{{ task.input.context | skip_autoescape }}",
        "a label or text can add or remove elements of the page",
    ),
    "skip_autoescape in a branch that no sample takes": (
        "image-classification",
        "</crowd-form>",
        "{% if task.input.suggestion %}{{ task.input.context | skip_autoescape }}{% endif %}</crowd-form>",
        "skip_autoescape lets a label or a text bring markup",
    ),
    "printed list": (
        "image-classification",
        "task.input.labels | to_json | escape",
        "task.input.labels",
        "it prints a list",
    ),
    "printed object": (
        "semantic-segmentation",
        "task.input.suggestion.labelMappings | to_json | escape",
        "task.input.suggestion.labelMappings",
        "it prints an object",
    ),
    "value without quotes": (
        "text-classification",
        '<div dir="auto"',
        "<div title={{ task.input.context }}",
        "without quotes",
    ),
    "labels in quotes by hand": (
        "image-classification",
        CATEGORIES,
        "categories=\"[{% for label in task.input.labels %}'{{ label }}',{% endfor %}]\"",
        "a label with quotes breaks categories",
    ),
    # Markup.
    "unclosed element": ("image-classification", "</ol>", "", "<ol> is not closed"),
    "unclosed element in the branch with texts": (
        "image-classification",
        "</crowd-form>",
        '{% if task.input.context != "" %}<em>{% endif %}</crowd-form>',
        "<em> is not closed",
    ),
    "unclosed element in the branch without texts": (
        "image-classification",
        "</crowd-form>",
        '{% if task.input.context == "" %}<em>{% endif %}</crowd-form>',
        "<em> is not closed",
    ),
    "self-closed element": (
        "image-classification",
        "</crowd-form>",
        '<crowd-input name="more" /></crowd-form>',
        "<crowd-input … /> stays open",
    ),
    "two forms": (
        "image-classification",
        "</crowd-form>",
        "</crowd-form><crowd-form></crowd-form>",
        "more than",
    ),
    "native form": ("image-classification", "</crowd-form>", "<form></form></crowd-form>", "a native <form>"),
    "input outside the form": (
        "image-classification",
        "</crowd-form>",
        '</crowd-form><crowd-input name="more"></crowd-input>',
        "<crowd-input> is outside <crowd-form>",
    ),
    # Elements and attributes.
    "unknown element": (
        "image-classification",
        "</crowd-form>",
        "<crowd-texts></crowd-texts></crowd-form>",
        "there is no element <crowd-texts>",
    ),
    "unknown attribute": (
        "image-classification",
        "header=",
        'headline="x" header=',
        "<crowd-image-classifier> has no attribute headline",
    ),
    "initial-value where none is taken": (
        "text-classification",
        "header=",
        "initial-value='{}' header=",
        "<crowd-classifier> has no attribute initial-value",
    ),
    "missing attribute": ("bounding-box", SRC, "", "<crowd-bounding-box> lacks src"),
    "empty attribute": (
        "bounding-box",
        'name="boundingBox"',
        'name=""',
        "name of <crowd-bounding-box> is empty",
    ),
    "missing region": (
        "text-classification",
        "classification-target>",
        "div>",
        "<crowd-classifier> has no <classification-target>",
    ),
    "region of another element": (
        "image-classification",
        "<short-instructions>",
        "<classification-target></classification-target><short-instructions>",
        "<crowd-image-classifier> has no region <classification-target>",
    ),
    "region twice": (
        "image-classification",
        "<short-instructions>",
        "<short-instructions>x</short-instructions><short-instructions>",
        "<crowd-image-classifier> has <short-instructions> twice",
    ),
    "empty region": (
        "image-classification",
        "<short-instructions>",
        "<short-instructions> </short-instructions><short-instructions>",
        "<short-instructions> is empty",
    ),
    "region that is too large": (
        "image-classification",
        "<short-instructions>",
        f"<short-instructions>{'絵' * 33_400}",
        "<short-instructions> has 10",
    ),
    "second widget": (
        "bounding-box",
        "</crowd-form>",
        f'<crowd-polygon name="p" header="h" {LABELS} {SRC}>{REGIONS}</crowd-polygon></crowd-form>',
        "<crowd-polygon> is a second widget",
    ),
    "native input without a name": (
        "image-classification",
        "</crowd-form>",
        '<input type="hidden" value="1"></crowd-form>',
        "<input> has no name",
    ),
    "native text area without a name": (
        "image-classification",
        "</crowd-form>",
        "<textarea></textarea></crowd-form>",
        "<textarea> has no name",
    ),
    "native checkbox": (
        "image-classification",
        "</crowd-form>",
        '<input type="checkbox" name="x"></crowd-form>',
        "how a native checkbox appears in an answer is not documented",
    ),
    # Scripts and addresses.
    "module": (
        "image-classification",
        SCRIPT,
        SCRIPT + '<script type="module" src="https://assets.crowd.aws/crowd-html-elements.js"></script>',
        "modules don't run",
    ),
    "script of one's own": (
        "image-classification",
        SCRIPT,
        SCRIPT + "<script>1</script>",
        "it runs a script",
    ),
    "label in a script": (
        "audit",
        "  const SVG =",
        "  {% endraw %}const label = {{ task.input.labels[0] | to_json }};{% raw %}\n  const SVG =",
        "a label or text becomes part of a script",
    ),
    "text in a script, in quotes": (
        "audit",
        "  const SVG =",
        "  {% endraw %}const text = '{{ task.input.context }}';{% raw %}\n  const SVG =",
        "a label or text becomes part of a script",
    ),
    "signed address in a script": (
        "audit",
        "  const SVG =",
        "  {% endraw %}const at = '{{ task.input.taskObject | grant_read_access }}';{% raw %}\n  const SVG =",
        "a script has an address in it: 'https:'",
    ),
    "script of another type": (
        "audit",
        "<script>{% raw %}",
        '<script type="text/babel">{% raw %}',
        "a script has the type 'text/babel'",
    ),
    "module in a template of one's own markup": (
        "audit",
        "<script>{% raw %}",
        '<script type="module">{% raw %}',
        "modules don't run",
    ),
    "script from elsewhere in a template of one's own markup": (
        "audit",
        SCRIPT,
        SCRIPT + '<script src="https://example.com/x.js"></script>',
        "it runs a script that is not",
    ),
    "script in an attribute of a template of one's own markup": (
        "audit",
        '<div class="verdicts"',
        '<div onclick="accept()" class="verdicts"',
        "<div> runs a script in onclick",
    ),
    "widget beside a script": (
        "audit",
        "</crowd-form>",
        f'<crowd-polygon name="p" header="h" {LABELS} {SRC}>{REGIONS}</crowd-polygon></crowd-form>',
        "it runs a script that is not",
    ),
    # The auditors' answer.
    "field of another name": (
        "audit",
        'name="auditReason"',
        'name="reason"',
        "<input> has the name 'reason', which the code of audits doesn't read",
    ),
    "missing field": ("audit", 'name="auditReason"', 'name="reason"', "no fields have the name auditReason"),
    "field twice": (
        "audit",
        '<input type="hidden" name="auditFix" value="">',
        '<input type="hidden" name="auditFix" value=""><input type="hidden" name="auditFix" value="">',
        "2 fields have the name auditFix",
    ),
    "field that nobody reads": (
        "audit",
        "</crowd-form>",
        '<crowd-input name="mood"></crowd-input></crowd-form>',
        "<crowd-input> has the name 'mood', which the code of audits doesn't read",
    ),
    "comment without escaping": (
        "audit",
        "{{ entry.comment }}",
        "{{ entry.comment | skip_autoescape }}",
        "a label or text can",
    ),
    "auditor's words without escaping": (
        "bounding-box",
        "{{ verdict.comment }}",
        "{{ verdict.comment | skip_autoescape }}",
        "a label or text can",
    ),
    "slider without a name where no script could read it": (
        "image-classification",
        "</crowd-form>",
        '<input type="range"></crowd-form>',
        "<input> has no name",
    ),
    "text field without a name beside a script": (
        "audit",
        "</crowd-form>",
        '<input type="text"></crowd-form>',
        "<input> has no name",
    ),
    "script in an attribute": (
        "image-classification",
        "<ol>",
        '<ol onclick="x()">',
        "runs a script in onclick",
    ),
    "no crowd elements": ("image-classification", SCRIPT, "", "nothing makes the crowd elements work"),
    "picture from elsewhere": (
        "image-classification",
        "</crowd-form>",
        '<img src="https://example.com/x.png"></crowd-form>',
        "src of <img> is 'https://example.com/x.png', which is not granted",
    ),
    "picture from nowhere": (
        "image-classification",
        "</crowd-form>",
        '<img src="x.png"></crowd-form>',
        "which is not granted",
    ),
    "S3 URI in another attribute": (
        "image-classification",
        "<ol>",
        '<ol data-image="{{ task.input.taskObject }}">',
        "data-image of <ol> gives the browser an S3 URI",
    ),
    "picture in a style": (
        "image-classification",
        "<ol>",
        '<ol style="background: url(https://example.com/x.png)">',
        "style of <ol> loads something",
    ),
    "picture in a style sheet": (
        "image-classification",
        "</crowd-form>",
        "<style>@import 'x';</style></crowd-form>",
        "<style> loads something",
    ),
    # Relaxed JSON.
    "attribute that is no JSON": (
        "image-multi-label",
        """'{"text": "None of these · 該当なし"}'""",
        "'None of these'",
        "exclusion-category of <crowd-image-classifier-multi-select> is no JSON",
    ),
    "exclusion category without text": (
        "image-multi-label",
        """'{"text": "None of these · 該当なし"}'""",
        "'[]'",
        "exclusion-category of <crowd-image-classifier-multi-select> has no text",
    ),
    "exclusion category that is a label": (
        "image-multi-label",
        """'{"text": "None of these · 該当なし"}'""",
        "\"{text: 'cat'}\"",
        "the exclusion category 'cat' is a label too",
    ),
    "labels that are no list": (
        "bounding-box",
        LABELS,
        'labels="{}"',
        "labels of <crowd-bounding-box> is {}",
    ),
    "mask without read access": (
        "semantic-segmentation",
        "task.input.suggestion.src | grant_read_access",
        "task.input.suggestion.src",
        "initial-value of <crowd-semantic-segmentation> gives the browser an S3 URI",
    ),
    "mask from elsewhere": (
        "semantic-segmentation",
        "{{ task.input.suggestion.src | grant_read_access }}",
        "masks/{{ task.input.suggestion.src | size }}.png",
        "src in initial-value of <crowd-semantic-segmentation> is 'masks/",
    ),
    "mask to verify from elsewhere": (
        "image-classification",
        "header=",
        """overlay="{semanticSegmentation: [{'src': 'https://example.com/x.png'}]}" header=""",
        "src in overlay of <crowd-image-classifier> is 'https://example.com/x.png', which is not granted",
    ),
    "colours that are missing": (
        "semantic-segmentation",
        "{{ task.input.suggestion.labelMappings | to_json | escape }}",
        '{% if task.input.suggestion.labelMappings %}{"Cat": {}}{% endif %}',
        "the colour of 'Cat' in initial-value is None",
    ),
    "mask in another form": (
        "semantic-segmentation",
        '"labelMappings":',
        '"colors":',
        "initial-value has another form",
    ),
    "boxes in another form": (
        "bounding-box",
        "{{ task.input.suggestion | to_json | escape }}",
        "{{ task.input.suggestion[0] | to_json | escape }}",
        "initial-value has another form",
    ),
    "suggestion of an unknown label": (
        "bounding-box",
        "{{ task.input.suggestion | to_json | escape }}",
        "[{label: 'ear', left: {{ task.input.suggestion[0].left }}, top: 1, width: 1, height: 1}]",
        "initial-value has 'ear', which is no label",
    ),
    "suggestion not shown": (
        "bounding-box",
        'initial-value="{{ task.input.suggestion | to_json | escape }}"',
        "",
        "<crowd-bounding-box> doesn't show task.input.suggestion",
    ),
    "too long": (
        "image-classification",
        "</crowd-form>",
        "<!--" + "x" * 128_000 + "--></crowd-form>",
        "; allowed: 1..",
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[str], Path]:
    def copy(task_type: str) -> Path:
        return Path(shutil.copytree(TEMPLATES / task_type, tmp_path / task_type))

    return copy


def rewrite(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def line_of(file: Path, text: str) -> int:
    content = file.read_text(encoding="utf-8")
    return content[: content.index(text)].count("\n") + 1


def texts(findings: list[Finding]) -> list[str]:
    return [finding.what for finding in findings]


@pytest.mark.parametrize("task_type", sorted(path.name for path in TEMPLATES.iterdir() if path.is_dir()))
def test_our_templates_have_no_fault(task_type: str) -> None:
    assert check(TEMPLATES / task_type) == []
    assert check(TEMPLATES / task_type / "template.liquid.html") == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(folder: Callable[[str], Path], fault: str) -> None:
    task_type, old, new, what = FAULTS[fault]
    path = folder(task_type)
    rewrite(path / "template.liquid.html", old, new)
    findings = check(path)
    assert any(what in text for text in texts(findings)), texts(findings)
    assert all(finding.advice.endswith((".", "?")) for finding in findings)


# What a script of one's own must not do, by what is found.
SCRIPT_FAULTS = {
    "uses the network": [
        "fetch('/x')",
        "window.fetch",
        "new XMLHttpRequest()",
        "new WebSocket(address)",
        "new EventSource(address)",
        "report.sendBeacon(address, answer)",
        "import('./x.js')",
        "importScripts('x.js')",
        "new Worker('x.js')",
        "new Image()",
        "image.src = address",
        "image.srcset=address",
        "link.href = address",
        "form.action = address",
        "image.setAttribute('src', address)",
        'image.setAttributeNS(null, "href", address)',
        "node.style.background = 'url(x.png)'",
        "// we fetch it later",
    ],
    "has an address in it": [
        "const host = 'https://example.com/'",
        "const host = 'ws://example.com/'",
        "const mask = 's3://bucket/key'",
        "const space = 'http://www.w3.org/2000/svg.example.com'",
        "const run = 'javascript:x()'",
    ],
    "makes code of a text": [
        "eval(text)",
        "window.eval(text)",
        "new Function(text)()",
        "(() => {}).constructor(text)()",
        "setTimeout('x()', 1)",
        'setInterval("x()", 1)',
        "Reflect.get(window, name)",
        "atob(text)",
    ],
    "makes markup of a text": [
        "node.innerHTML = text",
        "node.outerHTML = text",
        "node.insertAdjacentHTML('beforeend', text)",
        "document.write(text)",
        "new DOMParser()",
        "range.createContextualFragment(text)",
        "frame.srcdoc = text",
        "document.createElement('script')",
        'document.createElement("iframe")',
        "node.setAttribute('onclick', text)",
    ],
    "stores something in the browser": [
        "localStorage.x = 1",
        "sessionStorage.setItem('x', 1)",
        "indexedDB.open('x')",
        "document.cookie = 'x=1'",
        "caches.open('x')",
    ],
    "reaches out of its page": [
        "window.parent.document",
        "parent.postMessage(answer, '*')",
        "top.x = 1",
        "window.open(page)",
        "window.opener.x()",
        "new BroadcastChannel('x')",
        "location = page",
        "history.pushState(null, '', page)",
        "navigator.clipboard.writeText(text)",
        "new Notification(text)",
    ],
    "can hide what it uses": [
        "window['fe' + 'tch']",
        "globalThis[name]",
        "self [name]()",
        "document[name]",
        "\\u0066etch",
        "'\\x66etch'",
    ],
}


@pytest.mark.parametrize(
    ("does", "code"), [(does, code) for does, codes in SCRIPT_FAULTS.items() for code in codes]
)
def test_a_script_of_ones_own_works_on_its_page_and_on_nothing_else(
    folder: Callable[[str], Path], does: str, code: str
) -> None:
    path = folder("audit")
    template = path / "template.liquid.html"
    rewrite(template, "  const SVG =", f"  {code};\n  const SVG =")
    sample = json.loads((path / "sample_input_class.json").read_text(encoding="utf-8"))
    findings = [each for each in check(path, [sample]) if f"a script {does}: " in each.what]
    assert findings
    assert findings[0].line == line_of(template, f"  {code};\n")


@pytest.mark.parametrize(
    "code",
    [
        "const top = box.top, parent = node.parentElement, opened = box.left",
        "const history = past, cookies = 3, prefetch = 1, image = toImage(event)",
        "node.dataset.code === other.dataset.code",
        "node.src === other.src",
        'const SPACE = "http://www.w3.org/2000/svg"',
        "image.style.filter = 'url(#repaint)'",
        "setTimeout(() => show(), 10)",
    ],
)
def test_what_a_script_may_do_is_not_taken_for_what_it_may_not(
    folder: Callable[[str], Path], code: str
) -> None:
    path = folder("audit")
    rewrite(path / "template.liquid.html", "  const SVG =", f"  {code};\n  const SVG =")
    assert check(path) == []


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('"kind": "class"', '"kind": "choice"', "kind is 'choice'; allowed: class, classes, boxes, mask"),
        ('"names": ["seaside"]', '"names": ["harbour"]', "label has not the form of class"),
        ('"names"', '"labels"', "label has not the form of class"),
        ('"objectKind": "image"', '"objectKind": "sound"', 'objectKind is "sound", but the code of audit'),
        ('"en": "Wrong label"', '"en": "Wrong"', "reasons is"),
        ('"history": []', '"history": [{"event": "labeled"}]', "history is"),
        ('"history": [],', "", "history is missing, but the code of audit makes []"),
    ],
)
def test_a_sample_that_the_code_of_audits_would_not_make_is_found(
    folder: Callable[[str], Path], old: str, new: str, what: str
) -> None:
    path = folder("audit")
    file = path / "sample_input_class.json"
    rewrite(file, old, new)
    assert any(finding.file == file and what in finding.what for finding in check(path)), texts(check(path))


@pytest.mark.parametrize(
    ("task_type", "key"), [("text-classification", "instructions"), ("image-classification", "context")]
)
def test_what_is_given_has_to_be_shown(folder: Callable[[str], Path], task_type: str, key: str) -> None:
    path = folder(task_type)
    for expression in (f"{{{{ task.input.{key} }}}}", f'{{% if task.input.{key} != "" %}}'):
        rewrite(path / "template.liquid.html", expression, "" if "{{" in expression else "{% if true %}")
    assert texts(check(path)) == [f"task.input.{key} is given and never shown"]


@pytest.mark.parametrize(
    ("fault", "place"),
    [
        ("printed object", "initial-value"),
        ("unknown attribute", "<crowd-image-classifier"),
        ("variable that is null in all samples", "{% if task.input.suggestion %}"),
        ("picture in a style", "<ol style"),
        ("unclosed element", "<ol>"),
    ],
)
def test_a_finding_names_the_templates_line(folder: Callable[[str], Path], fault: str, place: str) -> None:
    task_type, old, new, what = FAULTS[fault]
    path = folder(task_type)
    template = path / "template.liquid.html"
    rewrite(template, old, new)
    [finding] = [each for each in check(path) if what in each.what][:1]
    assert (finding.file, finding.line) == (template, line_of(template, place))
    assert str(finding).startswith(f"{template}:{finding.line}: ")


def test_the_same_fault_is_found_once_however_many_samples_show_it(folder: Callable[[str], Path]) -> None:
    path = folder("bounding-box")
    rewrite(path / "template.liquid.html", "name=", 'headline="x" name=')
    assert texts(check(path)) == ["<crowd-bounding-box> has no attribute headline"]


# A faulty label configuration: a text of the example for boxes, what stands there instead, and what is found.
LABEL_FAULTS = {
    # The seed's: no comma after the version.
    "missing comma": ('"2018-11-28",', '"2018-11-28"', "it is no JSON"),
    "another version": ("2018-11-28", "2020-03-01", 'document-version is "2020-03-01"'),
    "no version": ('"document-version": "2018-11-28",', "", "document-version is null"),
    "no labels": ('"labels"', '"categories"', "labels is no list of labels"),
    "bare text": ('{"label": "nose"}', '"nose"', "label 2 is null"),
    "empty label": ('"nose"', '" "', 'label 2 is " "'),
    "label that is too long": ('"nose"', f'"{"n" * 257}"', "allowed: 1 to 256 characters"),
    "label twice": ('"nose"', '"eye"', "the label 'eye' stands there twice"),
    "labels of another sample": ('"nose"', '"mouth"', "its labels are not those of sample_input.json"),
}


@pytest.mark.parametrize("fault", LABEL_FAULTS)
def test_a_fault_in_the_label_configuration_is_found(folder: Callable[[str], Path], fault: str) -> None:
    old, new, what = LABEL_FAULTS[fault]
    path = folder("bounding-box")
    rewrite(path / "label_categories.json", old, new)
    findings = check(path)
    assert {finding.file.name for finding in findings} == {"label_categories.json"}
    assert any(what in text for text in texts(findings)), texts(findings)


@pytest.mark.parametrize(
    ("task_type", "number", "what"),
    [
        ("image-classification", 10, None),
        ("image-classification", 11, "there are 11 labels; allowed: 10 for <crowd-image-classifier>"),
        ("image-classification", 1, "there is one label only"),
        (
            "image-multi-label",
            51,
            "there are 51 labels; allowed: 50 for <crowd-image-cl",
        ),
        ("bounding-box", 51, "there are 51 labels; allowed: 50 for <crowd-bounding-box>"),
        ("text-classification", 51, None),
    ],
)
def test_a_widgets_documented_number_of_labels_is_kept(
    folder: Callable[[str], Path], task_type: str, number: int, what: str | None
) -> None:
    path = folder(task_type)
    labels = ["l" * 256, *(f"label {position}" for position in range(number - 1))]
    configuration = {"document-version": "2018-11-28", "labels": [{"label": label} for label in labels]}
    (path / "label_categories.json").write_text(json.dumps(configuration), encoding="utf-8")
    for file in path.glob("sample_input*.json"):
        sample = {**json.loads(file.read_text(encoding="utf-8")), "labels": labels, "suggestion": None}
        file.write_text(json.dumps(sample), encoding="utf-8")
    found = [text for text in texts(check(path)) if "label" in text and "sample" not in text]
    found = [text for text in found if "suggestion" not in text]
    assert len(found) == (what is not None)
    assert all(text.startswith(str(what)) for text in found)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"labels": None}, "labels is null"),
        ({"extra": 1}, "extra is 1, but the code of image-classification makes missing"),
        ({"context": None}, 'context is null, but the code of image-classification makes ""'),
        ({"taskObject": ""}, "no row gives this task.input"),
    ],
)
def test_a_sample_that_the_code_would_not_make_is_found(
    folder: Callable[[str], Path], changes: dict[str, Any], what: str
) -> None:
    path = folder("image-classification")
    file = path / "sample_input.json"
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **changes}), encoding="utf-8")
    assert any(finding.file == file and what in finding.what for finding in check(path)), texts(check(path))


def test_a_sample_that_lacks_a_key_is_found(folder: Callable[[str], Path]) -> None:
    path = folder("image-classification")
    rewrite(path / "sample_input.json", '"suggestion": null,', "")
    assert texts(check(path)) == ["suggestion is missing, but the code of image-classification makes null"]


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"{", "it is no JSON"), (b"[]", "it is no JSON object"), (b"\xff", "byte 0 is not UTF-8")],
)
def test_an_unreadable_sample_is_found(folder: Callable[[str], Path], content: bytes, what: str) -> None:
    path = folder("image-classification")
    (path / "sample_input.json").write_bytes(content)
    assert any(what in text for text in texts(check(path)))


def test_a_folder_without_samples_or_template_is_told_what_it_lacks(folder: Callable[[str], Path]) -> None:
    path = folder("image-classification")
    for sample in path.glob("sample_input*.json"):
        sample.unlink()
    assert "there is no sample input" in texts(check(path))
    (path / "template.liquid.html").unlink()
    assert texts(check(path)) == ["there is no such file"]


def test_a_template_that_is_not_utf_8_is_found(folder: Callable[[str], Path]) -> None:
    path = folder("image-classification")
    (path / "template.liquid.html").write_bytes(b"<p>\xff</p>")
    assert texts(check(path)) == ["byte 3 is not UTF-8"]


def template_of_ones_own(tmp_path: Path, markup: str) -> Path:
    file = tmp_path / "mine" / "template.liquid.html"
    file.parent.mkdir()
    file.write_text(SCRIPT + markup, encoding="utf-8")
    return file


def test_samples_can_be_given_instead_of_files(tmp_path: Path) -> None:
    file = template_of_ones_own(
        tmp_path,
        f'<crowd-form><crowd-polygon name="p" header="h" {LABELS} '
        f'src="{{{{ task.input.url | grant_read_access }}}}">{REGIONS}</crowd-polygon></crowd-form>',
    )
    assert check(file, [{"labels": ["a"], "url": "https://example.com/x.png"}]) == []
    assert texts(check(file, [{"labels": ["a"]}])) == [
        "it cannot be rendered: task.input.url is undefined",
        "task.input.url is not in what the pre-annotation function returns",
    ]


def test_a_page_of_ones_own_markup_needs_instructions_and_a_form(tmp_path: Path) -> None:
    file = template_of_ones_own(tmp_path, '<crowd-text-area name="t">{{ task.input.text }}</crowd-text-area>')
    assert texts(check(file, [{"text": "x"}])) == [
        "<crowd-text-area> is outside <crowd-form>, so its answer is lost",
        "there is no <crowd-form>, so no answer is sent",
        "there is no <full-instructions> with instructions",
        "there is no <short-instructions> with instructions",
    ]
    file.write_text(
        SCRIPT + f'<crowd-form>{REGIONS}<p>{{{{ task.input.text }}}}</p><crowd-input name="t" required>'
        "</crowd-input></crowd-form>",
        encoding="utf-8",
    )
    assert check(file, [{"text": "x"}]) == []


def test_a_page_of_ones_own_markup_answers_under_the_name_that_the_code_reads(
    folder: Callable[[str], Path],
) -> None:
    path = folder("text-classification")
    keys = ("taskObject", "instructions", "context", "previous")
    shown = "".join(f"{{{{ task.input.{key} }}}}" for key in keys)
    lists = "{{ task.input.labels | to_json }} {{ task.input.feedback | to_json }}"
    markup = (
        f"{SCRIPT}<crowd-form>{REGIONS}<p>{shown} {lists}</p>"
        '<crowd-input name="NAME"></crowd-input></crowd-form>'
    )
    (path / "template.liquid.html").write_text(markup, encoding="utf-8")
    assert texts(check(path)) == [
        "nothing has the name crowd-classifier, under which the code of text-classification reads the answer"
    ]
    (path / "template.liquid.html").write_text(markup.replace("NAME", "crowd-classifier"), encoding="utf-8")
    assert check(path) == []


def test_the_widget_with_a_form_of_its_own_must_not_be_in_another(tmp_path: Path) -> None:
    widget = (
        '<crowd-entity-annotation name="e" header="h" text="{{ task.input.text }}" '
        f"labels=\"[{{'label': 'person'}}]\">{REGIONS}</crowd-entity-annotation>"
    )
    file = template_of_ones_own(tmp_path, f"<crowd-form>{widget}</crowd-form>")
    sample = [{"text": "Ada"}]
    assert texts(check(file, sample)) == ["<crowd-entity-annotation> brings its own form"]
    file.write_text(SCRIPT + widget, encoding="utf-8")
    assert check(file, sample) == []


def test_every_widget_asks_by_name_and_has_both_instructions() -> None:
    assert WIDGETS
    for name, widget in WIDGETS.items():
        assert widget.labels in widget.required, name
        assert {"name", widget.labels} <= widget.attributes, name
        assert widget.regions["short-instructions"], name
        assert widget.regions["full-instructions"], name
        assert widget.answers, name
    assert all(element.required <= element.attributes for element in ELEMENTS.values())
    assert all(element.json <= element.attributes for element in ELEMENTS.values())
