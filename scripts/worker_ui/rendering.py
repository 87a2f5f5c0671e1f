"""Renders worker templates as Ground Truth does: Liquid with its filters, everything escaped by default.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/sms-custom-templates-step2.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/a2i-custom-templates.html. As there, an object that is printed
without `to_json` appears as JSON. A text literal in the template is the author's own and stays as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from liquid import Environment
from liquid.exceptions import LiquidError
from liquid.undefined import FalsyStrictUndefined, Undefined
from markupsafe import Markup

CONTENT_CHARACTERS_MAXIMUM = 128_000
"""The limit of `UiTemplate.Content` in RenderUiTemplate; that of a labelling job is not documented."""

GrantReadAccess = Callable[[str], str]
"""Makes a URL that the worker's browser can read from an `s3://bucket/key` URI."""


@dataclass(frozen=True)
class TemplateProblem:
    """Why a template cannot be rendered.

    Attributes
    ----------
    message
        What is wrong, for the template's author.
    line, column
        Where, from 1; the column is None where Liquid does not say.
    """

    message: str
    line: int
    column: int | None = None

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


@dataclass(frozen=True)
class Rendering:
    """A rendered template: either its HTML, or the problem that prevents it.

    Attributes
    ----------
    html
        The page as the worker's browser gets it; None when there is a problem.
    problem
        None when the template rendered.
    """

    html: str | None
    problem: TemplateProblem | None = None


def render(template: str, task_input: Mapping[str, Any], grant_read_access: GrantReadAccess) -> Rendering:
    """Render a worker template.

    Parameters
    ----------
    template
        Liquid text.
    task_input
        The pre-annotation function's `taskInput`; a variable that is not in it is a problem, no empty text.
    grant_read_access
        Called with every S3 URI that goes through the filter of that name. HTTP(S) addresses pass through.

    Returns
    -------
    Rendering
        The HTML, or the first problem with its line.
    """
    try:
        parsed = environment(grant_read_access).from_string(template)
        return Rendering(parsed.render(task={"input": _printable(task_input)}))
    except LiquidError as error:
        return Rendering(None, _problem(error, template))


def environment(grant_read_access: GrantReadAccess) -> Environment:
    """Liquid as Ground Truth's templates have it; for `render`, and for tools that look into a template."""
    liquid = Environment(autoescape=True, undefined=FalsyStrictUndefined)
    liquid.add_filter("to_json", _to_json)
    liquid.add_filter("skip_autoescape", _skip_autoescape)
    liquid.add_filter("grant_read_access", lambda value: _granted(value, grant_read_access))
    return liquid


class _Object(dict[str, Any]):
    """A JSON object that prints as JSON, where python-liquid would print Python."""

    def __str__(self) -> str:
        return _json(self)


class _Array(list[Any]):
    """A JSON array that prints as JSON, where python-liquid would join its members."""

    def __html__(self) -> str:
        return str(Markup.escape(_json(self)))


def _printable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _Object({key: _printable(each) for key, each in value.items()})
    if isinstance(value, list | tuple):
        return _Array(_printable(each) for each in value)
    return value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _to_json(value: object) -> str:
    return _json(_defined(value))


def _skip_autoescape(value: object) -> Markup:
    # The escaping is switched off because the template's author asks for it by name.
    return Markup(_defined(value))  # noqa: S704


def _granted(value: object, grant_read_access: GrantReadAccess) -> str:
    text = str(_defined(value))
    if text.startswith("s3://"):
        return grant_read_access(text)
    if re.match(r"https?://", text):
        return text
    raise LiquidError(
        f"grant_read_access got {text[:100]!r}; expected an s3://bucket/key URI or an http(s) address",
        token=None,
    )


def _defined(value: object) -> object:
    if isinstance(value, Undefined):
        # Any use raises the error that names the variable.
        str(value)
    return value


def _problem(error: LiquidError, template: str) -> TemplateProblem:
    message = str(error.message)
    context = error.context()
    if context is None:
        # A tag that is not closed is noticed at the end.
        return TemplateProblem(message, template.count("\n") + 1)
    line, column, *_ = context
    return TemplateProblem(message, line, column + 1)
