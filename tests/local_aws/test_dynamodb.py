"""Updates that take the short way leave what DynamoDB would, and the others keep their errors."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from conftest import Account

KEY = {"answer_of": {"S": "job#1"}, "worker": {"S": "w-1"}}
VALUES: dict[str, Any] = {
    "text": {"S": "x"},
    "empty": {"S": ""},
    "number": {"N": "1.5"},
    "flag": {"BOOL": False},
    "nothing": {"NULL": True},
    "list": {"L": [{"S": "a"}, {"M": {"b": {"N": "1"}}}]},
    "map": {"M": {"a": {"BOOL": True}}},
    "strings": {"SS": ["a", "b"]},
    "campaign": {"S": "c"},
    "submitted_at": {"S": "2026-01-01"},
}


@pytest.fixture(scope="module")
def table(account: Account) -> str:
    """A table with an index, as the records of answers have one."""
    name = f"answers-{uuid.uuid4().hex[:8]}"
    keys = ("answer_of", "worker", "campaign", "submitted_at")
    account.client("dynamodb").create_table(
        TableName=name,
        KeySchema=schema("answer_of", "worker"),
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-campaign",
                "KeySchema": schema("campaign", "submitted_at"),
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


def schema(hash_key: str, range_key: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": hash_key, "KeyType": "HASH"},
        {"AttributeName": range_key, "KeyType": "RANGE"},
    ]


@pytest.fixture
def update(account: Account, table: str) -> Callable[..., Any]:
    """Updates one item, and returns it as it is then."""
    client = account.client("dynamodb")
    key = {**KEY, "worker": {"S": uuid.uuid4().hex}}

    def change(expression: str, **parameters: Any) -> Any:
        client.update_item(TableName=table, Key=key, UpdateExpression=expression, **parameters)
        item = client.get_item(TableName=table, Key=key)["Item"]
        return {name: value for name, value in item.items() if name not in key}

    return change


def given(*names: str) -> dict[str, Any]:
    return {
        "ExpressionAttributeNames": {f"#{name}": name for name in names},
        "ExpressionAttributeValues": {f":{name}": VALUES[name] for name in names},
    }


def assignments(*names: str) -> str:
    return "SET " + ", ".join(f"#{name} = :{name}" for name in names)


def test_values_of_every_type_are_set_in_a_new_item_and_replaced_in_an_old_one(
    update: Callable[..., Any],
) -> None:
    item = update(assignments(*VALUES), **given(*VALUES))
    item["strings"]["SS"].sort()
    assert item == VALUES
    again = update("SET note = :x, amount=:n", ExpressionAttributeValues={":x": {"S": "y"}, ":n": {"N": "2"}})
    assert (again["note"], again["amount"], again["map"]) == ({"S": "y"}, {"N": "2"}, VALUES["map"])


def test_an_update_is_found_by_its_index(account: Account, table: str, update: Callable[..., Any]) -> None:
    campaign = uuid.uuid4().hex
    values = {":c": {"S": campaign}, ":s": {"S": "2026"}}
    update("SET campaign = :c, submitted_at = :s", ExpressionAttributeValues=values)
    found = account.client("dynamodb").query(
        TableName=table,
        IndexName="by-campaign",
        KeyConditionExpression="campaign = :c",
        ExpressionAttributeValues={":c": {"S": campaign}},
    )
    assert found["Count"] == 1


def test_a_condition_still_holds(update: Callable[..., Any]) -> None:
    update("SET #text = :text", **given("text"))
    with pytest.raises(ClientError) as problem:
        update("SET #text = :text", **given("text"), ConditionExpression="attribute_not_exists(answer_of)")
    assert problem.value.response["Error"]["Code"] == "ConditionalCheckFailedException"


@pytest.mark.parametrize(
    ("expression", "values", "told"),
    [
        ("SET worker = :x", {":x": {"S": "y"}}, "part of the key"),
        ("SET status = :x", {":x": {"S": "y"}}, "reserved keyword"),
        ("SET a = :x, a = :x", {":x": {"S": "y"}}, "Two document paths overlap"),
        ("SET #a = :x", {":x": {"S": "y"}}, "attribute name used in the document path is not defined"),
        ("SET a = :y", {":x": {"S": "y"}}, "used in expression is not defined|unused"),
        ("SET campaign = :x", {":x": {"N": "1"}}, "Type mismatch|type"),
        ("SET a = :x b = :x", {":x": {"S": "y"}}, "Syntax error"),
    ],
)
def test_what_is_wrong_is_told_as_before(
    update: Callable[..., Any], expression: str, values: dict[str, Any], told: str
) -> None:
    with pytest.raises(ClientError, match=told) as problem:
        update(expression, ExpressionAttributeValues=values)
    assert problem.value.response["Error"]["Code"] == "ValidationException"


def test_other_expressions_go_moto_s_way(update: Callable[..., Any]) -> None:
    update(
        "SET n = :n, #text = :text",
        **{**given("text"), "ExpressionAttributeValues": {":n": {"N": "1"}, ":text": {"S": "x"}}},
    )
    item = update(
        "SET n = n + :n, m = if_not_exists(m, :n) REMOVE #text",
        ExpressionAttributeNames={"#text": "text"},
        ExpressionAttributeValues={":n": {"N": "2"}},
    )
    assert item == {"n": {"N": "3"}, "m": {"N": "2"}}


def test_the_same_expression_gives_each_item_its_own_values(account: Account, table: str) -> None:
    client = account.client("dynamodb")
    for worker in ("p", "q"):
        client.update_item(
            TableName=table,
            Key={**KEY, "worker": {"S": worker}},
            UpdateExpression="SET n = if_not_exists(n, :n), m = :n",
            ExpressionAttributeValues={":n": {"S": worker}},
        )
    items = [client.get_item(TableName=table, Key={**KEY, "worker": {"S": w}})["Item"] for w in ("p", "q")]
    assert [(item["n"]["S"], item["m"]["S"]) for item in items] == [("p", "p"), ("q", "q")]
