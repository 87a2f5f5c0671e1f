"""DynamoDB: plain assignments take a short way; moto needs 14 ms to update 14 attributes."""

from __future__ import annotations

import functools
import re
from typing import Any

import moto.dynamodb.models
from moto.dynamodb.exceptions import ExpressionAttributeNameNotDefined
from moto.dynamodb.models import UpdateExpressionExecutor, UpdateExpressionValidator
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.dynamodb.parsing.expressions import UpdateExpressionParser
from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

from local_aws import patches

_ASSIGNMENT = r"(#\w+|[A-Za-z_]\w*)\s*=\s*(:\w+)"
_ASSIGNMENTS = re.compile(rf"\s*SET\s+{_ASSIGNMENT}(?:\s*,\s*{_ASSIGNMENT})*\s*", re.IGNORECASE)
_EACH = re.compile(_ASSIGNMENT)


@functools.cache
def _reserved() -> frozenset[str]:
    return frozenset(ReservedKeywords.get_reserved_keywords())


class _Assignments:
    """An update that sets some attributes to given values, in the place of moto's checked syntax tree."""

    def __init__(self, values: dict[str, dict[str, Any]]) -> None:
        self.values = values

    def validate(self) -> _Assignments:
        return self

    def normalize(self) -> None: ...


def _assigned(
    pairs: list[tuple[str, str]], names: dict[str, str], values: dict[str, dict[str, Any]], table: Table
) -> dict[str, dict[str, Any]] | None:
    """Return the new values by attribute; None where something is wrong, which is for moto to say."""
    found: dict[str, dict[str, Any]] = {}
    types = {each["AttributeName"]: each["AttributeType"] for each in table.attr}
    for placeholder, value_name in pairs:
        if placeholder.startswith("#") and placeholder not in names:
            # moto fails with a server error.
            raise ExpressionAttributeNameNotDefined(placeholder)
        name = names.get(placeholder, placeholder)
        value = values.get(value_name)
        if (
            value is None
            or name in found
            or name in table.table_key_attrs
            or (name is placeholder and name.upper() in _reserved())
            # Keys of indexes have a type, and are not empty.
            or (name in types and (list(value) != [types[name]] or not value[types[name]]))
        ):
            return None
        found[name] = value
    return found


def install() -> None:
    """Let moto go through no syntax tree for plain assignments, and parse each expression once."""
    parse = UpdateExpressionParser.make

    @functools.lru_cache(maxsize=512)
    def parsed(expression_str: str) -> Any:
        # Whoever changes the tree works on a copy.
        tree = parse(expression_str)
        is_plain = _ASSIGNMENTS.fullmatch(expression_str)
        tree.assignments = _EACH.findall(expression_str) if is_plain else []
        return tree

    def make(cls: type, expression_str: str) -> Any:
        return parsed(expression_str)

    patches.replace(UpdateExpressionParser, "make", classmethod(make))

    def validator(
        expression: Any,
        expression_attribute_names: dict[str, str],
        expression_attribute_values: dict[str, dict[str, Any]],
        item: Item,
        table: Table,
    ) -> Any:
        pairs = expression.assignments
        names, values = expression_attribute_names or {}, expression_attribute_values or {}
        found = _assigned(pairs, names, values, table) if pairs else None
        if found is not None:
            return _Assignments(found)
        return UpdateExpressionValidator(
            expression, expression_attribute_names, expression_attribute_values, item, table
        )

    patches.replace(moto.dynamodb.models, "UpdateExpressionValidator", validator)

    class Executor(UpdateExpressionExecutor):
        def execute(self, node: Any = None) -> None:
            if not isinstance(self.update_ast, _Assignments):
                super().execute(node)
                return
            for name, value in self.update_ast.values.items():
                self.item.attrs[name] = DynamoType(value)

    patches.replace(moto.dynamodb.models, "UpdateExpressionExecutor", Executor)
