"""Policies allow and deny what IAM's documents say; what is not understood is an error, never a right."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_aws import policies
from local_aws.policies import Caller, Decision, Kind, Outcome, Policy, Request, Undecidable

ROLE = "arn:aws:iam::123456789012:role/reader"
SESSION = "arn:aws:sts::123456789012:assumed-role/reader/session"
OBJECT = "arn:aws:s3:::data/campaigns/a/b.json"


def request(
    action: str = "s3:GetObject", resource: str = OBJECT, caller: Caller | None = None, **context: Any
) -> Request:
    """A request of a role; a context key is written with _ for its colon."""
    return Request(
        caller or Caller(SESSION, ROLE),
        action,
        resource,
        {key.replace("_", ":", 1): value for key, value in context.items()},
    )


def policy(*statements: dict[str, Any], name: str = "policy") -> Policy:
    return policies.parse(name, json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))


def allow(action: Any = "s3:GetObject", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "s3:GetObject", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def outcome(asked: Request, *statements: dict[str, Any]) -> str:
    return policies.decide(asked, [policy(*statements)]).outcome


@pytest.mark.parametrize(
    ("action", "asked", "matches"),
    [
        ("s3:GetObject", "s3:GetObject", True),
        ("S3:getobject", "s3:GetObject", True),
        ("s3:GetObject", "s3:GetObjectVersion", False),
        ("s3:Get*", "s3:GetObjectVersion", True),
        ("s3:*", "s3:PutObject", True),
        ("*", "s3:PutObject", True),
        ("s3:?etObject", "s3:GetObject", True),
        ("s3:?etObject", "s3:etObject", False),
        ("s3:*", "s3-outposts:GetObject", False),
        (["sns:Publish", "s3:GetObject"], "s3:GetObject", True),
        ([], "s3:GetObject", False),
        ("s3.GetObject", "s3:GetObject", False),
    ],
)
def test_an_action_is_matched_in_any_case_and_with_wildcards(action: Any, asked: str, matches: bool) -> None:
    assert (outcome(request(asked), allow(action)) == "allowed") is matches


@pytest.mark.parametrize(
    ("resource", "asked", "matches"),
    [
        ("arn:aws:s3:::data/*", "arn:aws:s3:::data/a/b", True),
        ("arn:aws:s3:::data/*", "arn:aws:s3:::data", False),
        ("arn:aws:s3:::data", "arn:aws:s3:::data/a", False),
        ("arn:aws:s3:::data/*", "arn:aws:s3:::DATA/a", False),
        ("arn:aws:s3:::data/?", "arn:aws:s3:::data/a", True),
        ("arn:aws:s3:::data/?", "arn:aws:s3:::data/ab", False),
        ("arn:aws:s3:::data/*.json", "arn:aws:s3:::data/a/b.json", True),
        ("arn:aws:s3:::data.x/*", "arn:aws:s3:::dataxx/a", False),
        ("arn:aws:s3:::data/*", "arn:aws:s3:::data/line\nbreak", True),
        # Beyond a colon in the last part only.
        ("arn:aws:logs:*:1:log-group:/a:*", "arn:aws:logs:eu:1:log-group:/a:log-stream:x", True),
        ("arn:aws:logs:*:log-group:/a:*", "arn:aws:logs:eu:1:log-group:/a:log-stream:x", False),
        ("arn:*:s3:::data/a", "arn:aws-cn:s3:::data/a", True),
        ("arn:aws:lambda:eu:1:function:f", "arn:aws:lambda:eu:1:function:f:7", False),
        ("arn:aws:dynamodb:eu:1:table/t", "arn:aws:dynamodb:eu:1:table/t/index/i", False),
        (["arn:aws:s3:::a", "arn:aws:s3:::b"], "arn:aws:s3:::b", True),
        ("*", "arn:aws:s3:::b", True),
        # An action without resources is asked of *.
        ("*", "*", True),
        ("arn:aws:s3:::*", "*", False),
    ],
)
def test_a_resource_is_matched_part_by_part(resource: Any, asked: str, matches: bool) -> None:
    assert (outcome(request(resource=asked), allow(resource=resource)) == "allowed") is matches


def test_not_action_and_not_resource_are_about_all_others() -> None:
    others = {"Effect": "Allow", "NotAction": ["iam:*", "s3:Delete*"], "Resource": "*"}
    assert outcome(request("s3:GetObject"), others) == "allowed"
    assert outcome(request("s3:DeleteObject"), others) == "implicitly denied"
    outside = {"Effect": "Deny", "Action": "s3:*", "NotResource": "arn:aws:s3:::data/*"}
    assert outcome(request(), allow(), outside) == "allowed"
    assert outcome(request(resource="arn:aws:s3:::other/a"), allow(), outside) == "explicitly denied"


@pytest.mark.parametrize(
    ("operator", "wanted", "given", "holds"),
    [
        ("StringEquals", "a", "a", True),
        ("StringEquals", ["b", "a"], "a", True),
        ("StringEquals", "a", "A", False),
        ("StringEquals", "*", "a", False),
        ("StringEquals", "a", None, False),
        ("StringNotEquals", ["b", "c"], "a", True),
        ("StringNotEquals", ["b", "a"], "a", False),
        ("StringNotEquals", "a", None, True),
        ("StringEqualsIgnoreCase", "a", "A", True),
        ("StringNotEqualsIgnoreCase", "a", "A", False),
        ("StringLike", "a/*", "a/b/c", True),
        ("StringLike", "a/?", "a/bc", False),
        ("StringLike", "a*", None, False),
        ("StringNotLike", "a*", "abc", False),
        ("StringNotLike", "a*", None, True),
        ("ArnLike", "arn:aws:events:*:1:rule/*", "arn:aws:events:eu:1:rule/r", True),
        ("ArnEquals", "arn:aws:events:*:1:rule/*", "arn:aws:events:eu:1:rule/r", True),
        ("ArnLike", "arn:aws:events:*", "arn:aws:events:eu:1:rule/r", None),
        ("ArnNotLike", "arn:aws:events:*:1:rule/*", "arn:aws:events:eu:1:rule/r", False),
        ("ArnNotEquals", "arn:aws:events:*:2:rule/*", "arn:aws:events:eu:1:rule/r", True),
        ("Bool", "true", "True", True),
        ("Bool", True, "true", True),
        ("Bool", False, "true", False),
        ("Bool", "false", None, False),
        ("Null", "true", None, True),
        ("Null", "true", "a", False),
        ("Null", False, "a", True),
        ("Null", False, None, False),
        ("NumericEquals", 10, "10.0", True),
        ("NumericNotEquals", "10", "11", True),
        ("NumericLessThan", "10", "9", True),
        ("NumericLessThanEquals", "10", "10", True),
        ("NumericGreaterThan", "10", "10", False),
        ("NumericGreaterThanEquals", "10", "10", True),
        ("StringEqualsIfExists", "a", None, True),
        ("StringEqualsIfExists", "a", "b", False),
        ("BoolIfExists", "true", None, True),
        ("StringNotEqualsIfExists", "a", "a", False),
        ("ForAnyValue:StringEquals", ["a", "b"], ("x", "b"), True),
        ("ForAnyValue:StringEquals", ["a", "b"], ("x", "y"), False),
        ("ForAnyValue:StringEquals", "a", None, False),
        ("ForAnyValue:StringNotEquals", "a", None, False),
        ("ForAllValues:StringEquals", ["a", "b"], ("a", "b", "a"), True),
        ("ForAllValues:StringEquals", ["a", "b"], ("a", "c"), False),
        ("ForAllValues:StringEquals", "a", None, True),
        ("ForAllValues:StringLike", "a*", "abc", True),
        # What is not known here is told.
        ("StringEquals", "${aws:username}", "a", None),
        ("StringLike", "${aws:username}/*", "a", None),
        ("StringEquals", "a", ("a", "b"), None),
        ("StringMatches", "a", "a", None),
        ("IpAddress", "10.0.0.0/8", "10.0.0.1", None),
        ("DateLessThan", "2030-01-01T00:00:00Z", "2025-01-01T00:00:00Z", None),
        ("ForSomeValues:StringEquals", "a", "a", None),
    ],
)
def test_a_condition_holds_as_documented(operator: str, wanted: Any, given: Any, holds: bool | None) -> None:
    asked = request(**({} if given is None else {"aws_sourcearn": given}))
    statement = allow(Condition={operator: {"aws:SourceArn": wanted}})
    if holds is None:
        with pytest.raises(Undecidable):
            outcome(asked, statement)
    else:
        assert (outcome(asked, statement) == "allowed") is holds


def test_all_conditions_must_hold_and_keys_have_no_case() -> None:
    statement = allow(
        Condition={
            "StringEquals": {"AWS:SourceAccount": "1", "aws:PrincipalType": "AssumedRole"},
            "Bool": {"aws:securetransport": "true"},
        }
    )
    context = {"aws_sourceaccount": "1", "aws_principaltype": "AssumedRole", "aws_securetransport": "true"}
    assert outcome(request(**context), statement) == "allowed"
    for key in context:
        assert outcome(request(**{**context, key: "x"}), statement) == "implicitly denied"


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (allow(Condition={"StringMatches": {"aws:SourceArn": "a"}}), "operator StringMatches is not known"),
        (allow(Condition={"StringEquals": {"aws:Nonsense": "a"}}), "key aws:Nonsense is not known"),
        (deny(Condition={"StringEquals": {"s3:TlsVersion": "1"}}), "key s3:TlsVersion is not known"),
        (allow(resource="arn:aws:s3:::${aws:username}/*"), "policy variable"),
        (allow("${service}:GetObject"), "policy variable"),
        (allow(resource="data/*"), "is no ARN"),
        ({"Effect": "Allow", "Resource": "*"}, "neither Action nor NotAction"),
        (allow(NotPrincipal={"AWS": "*"}), "NotPrincipal"),
    ],
)
def test_what_is_not_understood_names_itself_its_statement_and_its_policy(
    statement: dict[str, Any], told: str
) -> None:
    with pytest.raises(Undecidable) as problem:
        policies.decide(request(), [policy({**statement, "Sid": "Odd"}, name="reader/inline")])
    assert told in str(problem.value)
    assert "reader/inline, Odd" in str(problem.value)
    assert "s3:GetObject" in str(problem.value)


def test_a_statement_about_something_else_is_not_asked_for_its_conditions() -> None:
    odd = allow("s3:PutObject", Condition={"StringMatches": {"aws:Nonsense": "a"}})
    assert outcome(request(), odd, allow()) == "allowed"


# Policies of several kinds together


def test_nothing_is_allowed_that_no_policy_allows() -> None:
    assert policies.decide(request()) == Decision(Outcome.IMPLICITLY_DENIED, Kind.IDENTITY)
    assert outcome(request()) == "implicitly denied"


def test_the_decision_names_the_statement() -> None:
    first, second = policy(allow("sns:Publish"), name="first"), policy(allow(), allow(Sid="X"), name="second")
    expected = Decision(Outcome.ALLOWED, Kind.IDENTITY, "second", "statement 1")
    assert policies.decide(request(), [first, second]) == expected
    denying = policy(deny(Sid="Never"), name="third")
    expected = Decision(Outcome.EXPLICITLY_DENIED, Kind.IDENTITY, "third", "Never")
    assert policies.decide(request(), [second, denying]) == expected


def test_a_single_statement_needs_no_list() -> None:
    single = policies.parse("single", json.dumps({"Statement": allow()}))
    assert policies.decide(request(), [single]).allowed


@pytest.mark.parametrize("kind", ["identity", "boundary", "resource"])
def test_a_deny_of_any_kind_wins(kind: str) -> None:
    everything = allow("*", Principal="*")
    never = {**deny(), "Principal": "*"}
    found = {
        name: policy(everything, *([never] if name == kind else []))
        for name in ("identity", "boundary", "resource")
    }
    decision = policies.decide(request(), [found["identity"]], found["boundary"], found["resource"])
    assert decision.outcome == "explicitly denied"
    assert kind in decision.kind


def test_a_boundary_allows_nothing_and_limits_everything() -> None:
    wide, narrow = policy(allow("*")), policy(allow("s3:*"))
    assert policies.decide(request(), [wide], narrow).allowed
    assert not policies.decide(request(), [], narrow).allowed
    refused = policies.decide(request("sns:Publish", "*"), [wide], narrow)
    assert refused == Decision(Outcome.IMPLICITLY_DENIED, Kind.BOUNDARY)


@pytest.mark.parametrize(
    ("principal", "effect", "applies"),
    [
        ("*", "Allow", True),
        ({"AWS": "*"}, "Allow", True),
        ({"AWS": ROLE}, "Allow", True),
        ({"AWS": [SESSION]}, "Allow", True),
        ({"AWS": "arn:aws:iam::123456789012:role/other"}, "Allow", False),
        # To name the account leaves it to the account's policies.
        ({"AWS": "123456789012"}, "Allow", False),
        ({"AWS": "arn:aws:iam::123456789012:root"}, "Allow", False),
        ({"AWS": "arn:aws:iam::123456789012:root"}, "Deny", True),
        ({"AWS": "123456789012"}, "Deny", True),
        ({"AWS": "210987654321"}, "Deny", False),
        ({"Service": "events.amazonaws.com"}, "Allow", False),
    ],
)
def test_the_policy_of_a_resource_is_for_its_principals(principal: Any, effect: str, applies: bool) -> None:
    ours = policy({**allow(Principal=principal), "Effect": effect})
    identity = [policy(allow())] if effect == "Deny" else []
    decision = policies.decide(request(), identity, resource=ours)
    assert (decision.kind is Kind.RESOURCE) is applies


def test_a_service_is_let_in_by_its_name_and_only_for_the_named_source() -> None:
    rule = "arn:aws:events:us-east-1:123456789012:rule/nightly"
    service = Caller("events.amazonaws.com")
    ours = policy(
        allow(
            "lambda:InvokeFunction",
            "arn:aws:lambda:us-east-1:123456789012:function:f",
            Principal={"Service": "events.amazonaws.com"},
            Condition={"ArnLike": {"AWS:SourceArn": rule}},
        )
    )

    def invoke(caller: Caller, source: str) -> Decision:
        asked = request(
            "lambda:InvokeFunction",
            "arn:aws:lambda:us-east-1:123456789012:function:f",
            caller=caller,
            aws_sourcearn=source,
        )
        return policies.decide(asked, resource=ours)

    assert invoke(service, rule).allowed
    assert invoke(service, rule + "-2") == Decision(Outcome.IMPLICITLY_DENIED, Kind.RESOURCE)
    assert not invoke(Caller("sns.amazonaws.com"), rule).allowed


def test_a_trust_policy_has_no_resource() -> None:
    trust = policy(
        {
            "Effect": "Allow",
            "Principal": {"Service": ["states.amazonaws.com"]},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}},
        }
    )
    asked = request(
        "sts:AssumeRole", ROLE, caller=Caller("states.amazonaws.com"), aws_sourceaccount="123456789012"
    )
    assert policies.decide(asked, resource=trust).allowed
    asked = request("sts:AssumeRole", ROLE, caller=Caller("states.amazonaws.com"))
    assert not policies.decide(asked, resource=trust).allowed
