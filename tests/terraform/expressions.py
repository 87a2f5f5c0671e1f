"""What expressions refer to, and how types and defaults are written in a README's table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from terraform.repository import Stack, parse_hcl

_REFERENCE = re.compile(
    r"(?<![\w.])(?:"
    r"(?P<declared>(?:var|local)\.\w+|data\.\w+\.\w+|aws_\w+\.\w+)"
    r"|module\.(?P<module>\w+)(?:\[[^\]]*\])?(?:\.(?P<output>\w+))?"
    r")"
)


def texts(value: Any) -> Iterator[str]:
    """Every text in a parsed value that holds an interpolation or is an expression."""
    if isinstance(value, str):
        if "${" in value:
            yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(key)
            yield from texts(item)
    elif isinstance(value, Iterable):
        for item in value:
            yield from texts(item)


def references(stack: Stack) -> Iterator[tuple[str, str | None]]:
    """Everything that a stack's expressions refer to, as (address, output of a module).

    Words inside quotes that only look like references don't count; interpolations in them do.
    """
    for text in stack.files.values():
        for expression in texts(parse_hcl(text)):
            for code in code_of(expression):
                for match in _REFERENCE.finditer(code):
                    yield match["declared"] or f"module.{match['module']}", match["output"]


def code_of(text: str) -> Iterator[str]:
    """The code of every `${…}` in a text, with the quoted texts in it emptied, and then the code of those."""
    position = 0
    while (start := text.find("${", position)) >= 0:
        code, quoted, depth, position = "", [], 1, start + 2
        while position < len(text) and depth:
            if text[position] == '"':
                end = _closing_quote(text, position)
                quoted.append(text[position + 1 : end])
                code += '""'
                position = end + 1
            else:
                depth += {"{": 1, "}": -1}.get(text[position], 0)
                code += text[position]
                position += 1
        yield code
        for inner in quoted:
            yield from code_of(inner)


def _closing_quote(text: str, start: int) -> int:
    """The index of the quote that closes the text which the quote at `start` opens."""
    position, depth = start + 1, 0
    while position < len(text):
        if text[position] == "\\":
            position += 1
        elif text.startswith("${", position):
            depth += 1
            position += 1
        elif depth and text[position] == "}":
            depth -= 1
        elif text[position] == '"':
            if not depth:
                return position
            position = _closing_quote(text, position)
        position += 1
    return position


def bare_code(text: str) -> str:
    """A file's text without what stands in quotes, and without its `#` comments."""
    return re.sub(r'"(?:[^"\\\n]|\\.)*"|#[^\n]*', "", text)


def expression(value: Any) -> str:
    """The code of an attribute that is one expression; of any other value nothing."""
    text = str(value)
    return text[2:-1] if text.startswith("${") and text.endswith("}") else ""


def written(value: Any) -> str:
    """A parsed type or default on one line, as in Terraform."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        is_expression = value.startswith("${") and value.endswith("}")
        return re.sub(r"\s+", " ", value[2:-1]) if is_expression else f'"{value}"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Iterable):
        return "[" + ", ".join(map(written, value)) + "]"
    return str(value)


def input_table(stack: Stack) -> str:
    """The table of a stack's variables, as its README must have it."""
    lines = ["| Name | Description | Type | Default |", "|---|---|---|---|"]
    for name, body in sorted(stack.named("variable").items()):
        type_ = written(body.get("type")).strip('"')
        default = f"`{written(body['default'])}`" if "default" in body else "required"
        lines.append(f"| `{name}` | {body.get('description')} | `{type_}` | {default} |")
    return "\n".join(lines)


def output_table(stack: Stack) -> str:
    """The table of a stack's outputs, as its README must have it."""
    lines = ["| Name | Description |", "|---|---|"]
    for name, body in sorted(stack.named("output").items()):
        lines.append(f"| `{name}` | {body.get('description')} |")
    return "\n".join(lines)
