"""The rules for a script of a template's own: it may work on the page, and on nothing else.

A template that asks by AWS's widgets needs no script. One whose form is its own markup does: it shows what
the worker does and fills the hidden fields that crowd-form sends. Such a script stands in the template
itself, so that it loads nothing, and is the same for every task, so that no label, text or signed address
ever becomes code; what it needs to know stands in attributes of the page.

The rules find what an author does by mistake or by habit, and what a reviewer would look for. They read the
script's text and are no sandbox: somebody who wants to get around them can. What a script can really reach is
limited by the portal in which it runs; see `worker_ui.page` for ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from worker_ui import crowd_elements
from worker_ui.findings import Report
from worker_ui.markup import Element, Page

_CLASSIC = frozenset({"", "text/javascript"})


@dataclass(frozen=True)
class _Rule:
    """What a script may not contain, anywhere: in its comments and texts neither."""

    pattern: re.Pattern[str]
    does: str
    advice: str


def _rule(pattern: str, does: str, advice: str) -> _Rule:
    return _Rule(re.compile(pattern), does, advice)


_RULES = (
    _rule(
        r"\b(?:fetch|XMLHttpRequest|WebSocket|WebTransport|EventSource|RTCPeerConnection|sendBeacon)\b"
        r"|\b(?:import|importScripts|Worker|SharedWorker|serviceWorker|FontFace|Image|Audio)\b"
        r"|\.(?:src|srcset|href|action|formAction)\s*=(?!=)"
        r"|setAttribute(?:NS)?\([^)]*?['\"`](?:src|srcset|href|xlink:href|action|formaction)['\"`]"
        r"|url\((?!#)",
        "uses the network",
        "Let Liquid put addresses into src attributes, by grant_read_access.",
    ),
    _rule(
        # The name of SVG's elements is no address that anything is loaded from.
        r"\b(?:https?|wss?|ftp|s3):(?!//www\.w3\.org/2000/svg['\"`])|\b(?:javascript|blob):",
        "has an address in it",
        "Let Liquid put addresses into src attributes, by grant_read_access.",
    ),
    _rule(
        r"\b(?:eval|Function|WebAssembly|Reflect|atob)\b|\.\s*constructor\b"
        r"|\b(?:setTimeout|setInterval)\s*\(\s*['\"`]",
        "makes code of a text",
        "Write the code itself.",
    ),
    _rule(
        r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|setHTMLUnsafe|parseHTMLUnsafe|DOMParser|srcdoc)\b"
        r"|\bcreateContextualFragment\b|\bdocument\s*\.\s*write"
        r"|createElement(?:NS)?\([^)]*?['\"`](?:script|iframe|frame|object|embed|link|base)['\"`]"
        r"|setAttribute(?:NS)?\([^)]*?['\"`]on\w+['\"`]",
        "makes markup of a text",
        "Make elements one by one, and set their textContent.",
    ),
    _rule(
        r"\b(?:localStorage|sessionStorage|indexedDB|caches|cookie|cookieStore)\b",
        "stores something in the browser",
        "Keep it in the form's fields: a task is answered at once.",
    ),
    _rule(
        r"\b(?:postMessage|BroadcastChannel|MessageChannel|location|navigator|Notification)\b"
        r"|\bwindow\s*\.\s*(?:open|parent|top|opener|frames)\b"
        r"|(?<![\w.$'\"`])(?:parent|top|opener|frames)\s*\.|(?<![\w.$])history\s*\.",
        "reaches out of its page",
        "Leave the window and the portal around the page alone: crowd-form sends the answer.",
    ),
    _rule(
        r"\b(?:window|self|globalThis|document|parent|top)\s*\[|\\u\{?[0-9A-Fa-f]|\\x[0-9A-Fa-f]",
        "can hide what it uses",
        "Write names and characters as they are.",
    ),
)


def check_scripts(report: Report, page: Page) -> None:
    """Add what is wrong with a page's scripts."""
    scripts = page.of("script")
    own_markup = not page.of(*crowd_elements.WIDGETS)
    for script in scripts:
        if script.attributes.get("type") == "module":
            report.add(
                script.line,
                "modules don't run in worker templates",
                "Do without, or write a classic script.",
            )
        elif is_own(script) and own_markup:
            _check_own(report, script)
        elif script.attributes.get("src") != crowd_elements.LOADER:
            report.add(
                script.line,
                f"it runs a script that is not {crowd_elements.LOADER}",
                "Do without: the crowd elements ask and send, and nothing else is tested here. Only a "
                "template without a widget may bring a script, and only within the template.",
            )
    if not any(script.attributes.get("src") == crowd_elements.LOADER for script in scripts):
        report.add(
            1,
            "nothing makes the crowd elements work",
            f'Begin with <script src="{crowd_elements.LOADER}"></script>.',
        )


def check_same_scripts(report: Report, one: Page, other: Page) -> None:
    """Add the scripts that differ between two pages of the same template, of which only the texts differ."""
    for expected, found in zip(one.of("script"), other.of("script"), strict=False):
        if expected.content != found.content:
            report.add(
                found.line,
                "a label or text becomes part of a script",
                "Put it into a data-… attribute by to_json, and read it there; enclose the script in "
                "{% raw %} and {% endraw %}.",
            )


def is_own(script: Element) -> bool:
    """Whether a script stands in the template itself."""
    return "src" not in script.attributes


def _check_own(report: Report, script: Element) -> None:
    if script.attributes.get("type", "") not in _CLASSIC:
        report.add(
            script.line,
            f"a script has the type {script.attributes['type']!r}, so browsers don't run it",
            "Remove type.",
        )
    for rule in _RULES:
        for match in rule.pattern.finditer(script.content):
            found = " ".join(match[0].split())[:60]
            report.add(
                script.line + script.content.count("\n", 0, match.start()),
                f"a script {rule.does}: {found!r}",
                rule.advice,
            )
