"""Event patterns match as EventBridge documents, and the wrong ones are refused with the reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_aws.event_patterns import InvalidPattern, compiled

KEY = "campaigns/c/labeling/j/annotations/worker-response/iteration-1/3/2026-01-01_10:00:00.json"
EVENT = {
    "source": "aws.s3",
    "detail-type": "Object Created",
    "resources": ["arn:aws:s3:::told", "arn:other"],
    "detail": {
        "bucket": {"name": "told"},
        "object": {"key": KEY, "size": 5},
        "ip": "10.1.2.3",
        "flag": True,
        "nothing": None,
        "parts": [{"n": 1, "kind": "a"}, {"n": 2, "kind": "b"}],
        "empty": [],
    },
}


def key(*filters: Any) -> dict[str, Any]:
    return {"detail": {"object": {"key": list(filters)}}}


def detail(**members: Any) -> dict[str, Any]:
    return {"detail": members}


MATCHING = [
    {"source": ["aws.s3"]},
    {"source": ["aws.sagemaker", "aws.s3"], "detail-type": ["Object Created"]},
    {"resources": ["arn:other"]},
    key({"wildcard": "*/annotations/worker-response/*.json"}),
    key({"wildcard": "campaigns/*"}),
    key({"wildcard": KEY}),
    key({"prefix": "campaigns/"}),
    key({"suffix": ".json"}, "another"),
    key({"suffix": {"equals-ignore-case": ".JSON"}}),
    key({"prefix": {"equals-ignore-case": "CAMPAIGNS/"}}),
    key({"equals-ignore-case": KEY.upper()}),
    key({"anything-but": "x"}),
    key({"anything-but": ["x", "y"]}),
    key({"anything-but": {"prefix": "audits/"}}),
    key({"anything-but": {"suffix": [".png", ".jpg"]}}),
    key({"anything-but": {"wildcard": "*/consolidated-annotation/*"}}),
    detail(object={"size": [{"numeric": [">", 0, "<=", 5]}]}),
    detail(object={"size": [5]}),
    detail(flag=[True]),
    detail(nothing=[None]),
    detail(nothing=[{"exists": True}]),
    detail(missing=[{"exists": False}]),
    detail(missing={"deeper": [{"exists": False}]}),
    detail(ip=[{"cidr": "10.0.0.0/8"}]),
    detail(parts={"kind": ["b"]}),
    {"$or": [{"source": ["aws.batch"]}, {"detail": {"bucket": {"name": ["told"]}}}]},
    detail(**{"$or": [{"flag": [False]}, {"ip": [{"prefix": "10."}]}]}),
]
NOT_MATCHING = [
    {"source": ["aws.batch"]},
    {"source": ["aws.s3"], "detail-type": ["Object Deleted"]},
    {"resources": ["arn:third"]},
    key({"wildcard": "*/worker-response/*.png"}),
    key({"wildcard": "annotations/*"}),
    key({"wildcard": r"campaigns/\*"}),
    key({"prefix": "audits/"}, {"suffix": ".png"}),
    key({"anything-but": [KEY]}),
    key({"anything-but": {"prefix": ["audits/", "campaigns/"]}}),
    key({"anything-but": {"wildcard": "*/worker-response/*"}}),
    detail(object={"size": [{"numeric": [">", 5]}]}),
    detail(object={"size": ["5"]}),
    detail(flag=[1]),
    detail(missing=["x"]),
    detail(missing=[{"anything-but": "x"}]),
    detail(missing=[{"exists": True}]),
    detail(flag=[{"exists": False}]),
    detail(ip=[{"cidr": "192.168.0.0/16"}]),
    detail(object={"key": [{"cidr": "10.0.0.0/8"}]}),
    detail(parts={"kind": ["c"]}),
    detail(empty=["x"]),
    detail(bucket=["told"]),
    {"$or": [{"source": ["aws.batch"]}, {"detail": {"bucket": {"name": ["else"]}}}]},
]


@pytest.mark.parametrize("pattern", MATCHING, ids=map(json.dumps, MATCHING))
def test_an_event_matches(pattern: dict[str, Any]) -> None:
    assert compiled(json.dumps(pattern))(EVENT)


@pytest.mark.parametrize("pattern", NOT_MATCHING, ids=map(json.dumps, NOT_MATCHING))
def test_an_event_does_not_match(pattern: dict[str, Any]) -> None:
    assert not compiled(json.dumps(pattern))(EVENT)


def test_a_wildcard_is_a_star_alone_and_a_backslash_takes_its_meaning_away() -> None:
    matches = compiled(json.dumps(key({"wildcard": r"a.c/\**/[x]?"})))
    found = [
        text
        for text in ("a.c/*b/[x]?", "a.c/*/[x]?", "abc/*b/[x]?", "a.c/bb/[x]?", "a.c/*b/xy")
        if matches({"detail": {"object": {"key": text}}})
    ]
    assert found == ["a.c/*b/[x]?", "a.c/*/[x]?"]


WRONG = [
    ("no JSON", "Invalid JSON"),
    ("[]", "Filter is not an object"),
    ("{}", "Filter is not an object"),
    ('{"source": "aws.s3"}', "'source' must be an object or an array"),
    ('{"source": []}', "Empty arrays are not allowed"),
    ('{"detail": {}}', "Empty objects are not allowed"),
    ('{"source": [{"regex": "x"}]}', "Unrecognized match type regex"),
    ('{"source": [{"prefix": "a", "suffix": "b"}]}', "Only one key allowed"),
    ('{"source": [{"prefix": 3}]}', "prefix match pattern must be a string"),
    ('{"source": [{"wildcard": "a**b"}]}', "consecutive wildcard characters"),
    ('{"source": [{"exists": "yes"}]}', "must be either true or false"),
    ('{"source": [{"numeric": [">"]}]}', "Value of numeric"),
    ('{"source": [{"numeric": ["~", 1]}]}', "Unrecognized numeric comparison"),
    ('{"source": [{"anything-but": {"exists": true}}]}', "Unsupported anything-but pattern"),
    ('{"source": [["a"]]}', "Match value must be"),
    ('{"source": [{"cidr": "10"}]}', "Malformed CIDR"),
    ('{"$or": [{"source": ["a"]}]}', r"'\$or' must be an array"),
]


@pytest.mark.parametrize(("pattern", "reason"), WRONG)
def test_a_wrong_pattern_is_refused(pattern: str, reason: str) -> None:
    with pytest.raises(InvalidPattern, match=reason):
        compiled(pattern)
