"""Makes the page that a worker's browser gets from a template, with the stand-in for AWS's crowd elements.

The page has an origin of its own (the `sandbox` of its policy): a template can neither read the portal nor
talk to it, except by the messages of `static/crowd/90_start.js`. Its own inline scripts run by a nonce that
is put into the template's text *before* rendering, so that a script which comes with the data has none and
stays dead, even where a template prints the data with `skip_autoescape`. Handlers in attributes
(`onclick="…"`) cannot carry a nonce and don't run; AWS documents no policy, and the listener of a script
works there and here.
"""

from __future__ import annotations

import html
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from truthloop import palette
from worker_ui.rendering import GrantReadAccess, TemplateProblem, render

STATIC = Path(__file__).resolve().parent / "static"
LANGUAGES = ("en", "ja")
THEMES = ("light", "dark", "auto")

# The labels of one task; AWS allows 50 in a job's label configuration for boxes and masks.
_LABEL_COLORS = 50
_AWS_SCRIPT = re.compile(
    r"""<script\b[^>]*\bsrc\s*=\s*["']https://assets\.crowd\.aws/[^"'>]*["'][^>]*>\s*</script\s*>""", re.I
)
_AWS_STYLE = re.compile(
    r"""<link\b[^>]*\bhref\s*=\s*["']https://assets\.crowd\.aws/[^"'>]*["'][^>]*>""", re.I
)
_INLINE_SCRIPT = re.compile(r"<script(?=[\s>])(?![^>]*\bsrc\s*=)", re.I)
_WHOLE_DOCUMENT = re.compile(r"\s*(<!doctype\b|<html\b)", re.I)


@dataclass(frozen=True)
class Page:
    """A worker's page.

    Attributes
    ----------
    html
        The document.
    policy
        Its Content-Security-Policy.
    problem
        Why the template could not be rendered; the document then says so.
    """

    html: str
    policy: str
    problem: TemplateProblem | None = None


def task_page(
    template: str,
    task_input: Mapping[str, Any],
    grant_read_access: GrantReadAccess,
    *,
    origin: str,
    script: str,
    objects: str,
    language: str = "en",
    theme: str = "light",
) -> Page:
    """Render a template into a page that runs with the stand-in.

    Parameters
    ----------
    template, task_input, grant_read_access
        As for `rendering.render`.
    origin
        The server's, `http://host:port`.
    script
        Path of the stand-in on the server.
    objects
        Path below which the server has the S3 objects; ends with `/`.
    language, theme
        One of `LANGUAGES` and of `THEMES`.
    """
    nonce = secrets.token_urlsafe(16)
    prepared = _INLINE_SCRIPT.sub(
        f'<script nonce="{nonce}"', _AWS_SCRIPT.sub(_STAND_IN, _AWS_STYLE.sub("", template))
    )
    rendering = render(
        prepared.replace(_STAND_IN, f'<script src="{script}"></script>'), task_input, grant_read_access
    )
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {origin}{script.partition('?')[0]} 'nonce-{nonce}'",
            # Templates bring styles of their own, in elements and in attributes.
            "style-src 'unsafe-inline'",
            f"img-src {origin}{objects} data: blob:",
            f"media-src {origin}{objects}",
            f"connect-src {origin}{objects}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'self'",
            "sandbox allow-scripts",
        )
    )
    if rendering.html is None:
        return Page(_document(_problem_text(rendering.problem), language, theme), policy, rendering.problem)
    if _WHOLE_DOCUMENT.match(rendering.html):
        return Page(rendering.html, policy)
    return Page(_document(rendering.html, language, theme), policy)


# Stands for the stand-in's script until inline scripts have got their nonce.
_STAND_IN = "<!--crowd-html-elements-->"


def _document(body: str, language: str, theme: str) -> str:
    return (
        f'<!doctype html>\n<html lang="{language}" data-theme="{theme}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>Task</title>\n</head>\n'
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _problem_text(problem: TemplateProblem | None) -> str:
    return (
        '<main style="max-width: 640px; margin: 48px auto; padding: 0 20px; font: 16px/1.6 sans-serif">'
        "<h1>The template cannot be rendered · テンプレートを表示できません</h1>"
        f"<p><code>{html.escape(str(problem))}</code></p></main>"
    )


@cache
def crowd_script() -> str:
    """The stand-in for `crowd-html-elements.js` as one classic script, its styles and colours included."""
    folder = STATIC / "crowd"
    sources = sorted(folder.glob("*.js"))
    if not sources:
        raise FileNotFoundError(f"{folder} has no scripts; is the package complete?")
    constants = {
        "ELEMENTS_CSS": (folder / "elements.css").read_text("utf-8"),
        "PAGE_CSS": (folder / "page.css").read_text("utf-8"),
        "LABEL_COLORS": [palette.color(index) for index in range(_LABEL_COLORS)],
    }
    lines = [f"const {name} = {json.dumps(value)};" for name, value in constants.items()]
    # One scope of its own: nothing of the stand-in becomes a name that a template's script could clash with.
    return "\n".join(
        ['(() => {\n"use strict";', *lines, *(each.read_text("utf-8") for each in sources), "})();\n"]
    )
