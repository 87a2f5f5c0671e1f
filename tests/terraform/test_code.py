"""What the deployed code can reach is found, and no more than it can reach."""

from __future__ import annotations

import pytest

from terraform import code

GATEWAY = """
class Gateway:
    def __init__(self, client):
        self._client = client

    def read(self, uri):
        return self._client.get_object(Key=uri)

    def replace(self, uri, content, etag):
        self._client.put_object(Key=uri, Body=content)

    def pages(self):
        return self._client.get_paginator("list_objects_v2").paginate()
"""


def actions(handler: str) -> set[str]:
    files = {"lambdas/shared/truthloop/gateway.py": GATEWAY, "lambdas/f/handler.py": handler}
    modules = code.load(files, "lambdas/f/handler.py")
    return set(code.actions(code.reachable(modules, ("lambdas/f/handler.py", "lambda_handler"))))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return Gateway(None).read('a')", {"s3:GetObject"}),
        ("return helper(Gateway(None))", {"s3:GetObject"}),
        ("return helper(Gateway(None).pages)", {"s3:GetObject", "s3:ListBucket"}),
        # The method of a text, which the gateway's parameters don't fit.
        ("return Gateway(None), 'text'.replace('a', 'b')", set()),
        ("return Gateway(None), 'text'.replace('a', 'b', 1)", {"s3:PutObject"}),
        ("return Gateway(None).replace(**{})", {"s3:PutObject"}),
        ("return None", set()),
    ],
)
def test_a_handler_does_what_the_methods_do_that_its_calls_may_mean(body: str, expected: set[str]) -> None:
    handler = f"""
from truthloop.gateway import Gateway

def helper(gateway):
    return gateway.read("a") if "pages" not in str(gateway) else gateway()

def lambda_handler(event, context):
    {body}
"""
    if "helper" not in body:
        handler = handler.replace("gateway.read", "gateway.find")
    assert actions(handler) == expected


def test_what_is_imported_for_types_alone_is_not_reached() -> None:
    handler = """
from __future__ import annotations
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from truthloop.gateway import Gateway

def lambda_handler(event: Gateway, context):
    return event.read("a")
"""
    assert actions(handler) == set()


def test_what_was_caught_has_no_methods_of_ours() -> None:
    handler = """
from truthloop.gateway import Gateway

def lambda_handler(event, context):
    try:
        return Gateway(None)
    except UnicodeDecodeError as error:
        return error.read
"""
    assert actions(handler) == set()


def test_a_word_that_is_also_an_operation_counts_for_a_client_alone() -> None:
    handler = """
from truthloop import aws

def lambda_handler(event, context):
    event.search("x")
    aws.sns().publish(Message="x")
"""
    assert actions(handler) == {"sns:Publish"}
