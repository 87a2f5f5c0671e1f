"""Finds in a worker template the crowd element that takes the answer, and resolves its attributes."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

_TASK_INPUT = re.compile(r"\{\{-?\s*task\.input\.([\w-]+)")
# `{% if … %}` around an attribute is none itself.
_LIQUID_TAG = re.compile(r"\{%.*?%\}", re.DOTALL)


class UnusableTemplate(ValueError):
    """The template has no element that can be answered, or the element lacks what an answer needs."""


@dataclass(frozen=True)
class CrowdElement:
    """A crowd element of a template: ``<crowd-image-classifier name="label" categories="…">``."""

    tag: str
    name: str
    attributes: Mapping[str, str]

    def resolve(self, attribute: str, task_input: Mapping[str, Any]) -> Any:
        """Return an attribute's value as the worker's browser has it.

        A Liquid expression ``{{ task.input.<key> … }}`` gives that key of the pre-annotation function's
        ``taskInput``; everything else is read as a literal, with the single quotes that crowd elements allow.

        Raises
        ------
        UnusableTemplate
            The attribute is missing or no literal, or the key is not in ``taskInput``.
        """
        text = self.attributes.get(attribute)
        if text is None:
            raise UnusableTemplate(f"<{self.tag} name={self.name!r}> has no attribute {attribute}; add it")
        if expression := _TASK_INPUT.search(text):
            key = expression.group(1)
            if key not in task_input:
                raise UnusableTemplate(
                    f"<{self.tag} name={self.name!r}> takes {attribute} from task.input.{key}, but the "
                    f"pre-annotation function's taskInput has only {sorted(task_input)}; add {key!r} there "
                    "or change the template"
                )
            return task_input[key]
        try:
            return ast.literal_eval(text.strip())
        except (SyntaxError, ValueError):
            raise UnusableTemplate(
                f"<{self.tag} name={self.name!r}> has {attribute}={text!r}; expected a list or a "
                "task.input expression"
            ) from None

    def begins_with(self, attribute: str, task_input: Mapping[str, Any]) -> bool:
        """Whether the attribute gives the worker something to begin with, such as `initial-value`."""
        expression = _TASK_INPUT.search(self.attributes.get(attribute, ""))
        return bool(task_input.get(expression[1])) if expression else attribute in self.attributes


def has_inputs(template: str, names: Collection[str]) -> bool:
    """Whether a template has an element of each of these names, of whatever kind."""
    parser = _Elements()
    parser.feed(_LIQUID_TAG.sub("", template))
    parser.close()
    return set(names) <= {attributes.get("name") for _, attributes in parser.found}


def answer_element(template: str, tags: Collection[str]) -> CrowdElement:
    """Return the first element of a template whose tag is one of ``tags``; its name is the key of the answer.

    Raises
    ------
    UnusableTemplate
        No such element, or it has no ``name``.
    """
    parser = _Elements()
    parser.feed(_LIQUID_TAG.sub("", template))
    parser.close()
    for tag, attributes in parser.found:
        if tag in tags:
            if not attributes.get("name"):
                raise UnusableTemplate(f"<{tag}> has no name attribute; its answers would have no key")
            return CrowdElement(tag, attributes["name"], attributes)
    crowd = sorted({tag for tag, _ in parser.found if tag.startswith("crowd-")})
    present = ", ".join(crowd) or "no crowd element"
    raise UnusableTemplate(f"the template has {present}; expected one of {', '.join(sorted(tags))}")


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {key: value or "" for key, value in attrs}))
