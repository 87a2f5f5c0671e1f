"""The language of IAM policies: whether policies allow a request, and which statement decides.

It follows the logic that AWS describes for a request within one account:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html

moto has an evaluator of its own (``moto.iam.access_control``); it takes an Allow whose condition isn't met
for a Deny, reads conditions of trust policies alone, and knows neither NotResource nor boundaries.
"""

from __future__ import annotations

import functools
import json
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

#: The condition keys that the embedded AWS fills in where AWS does; written small, as names of keys have no
#: case. A policy that asks for another key cannot be decided.
CONTEXT_KEYS = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalisawsservice",
        "aws:principalservicename",
        "aws:principaltype",
        "aws:requestedregion",
        "aws:resourceaccount",
        "aws:securetransport",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceowner",
        "aws:viaawsservice",
        "iam:passedtoservice",
        "s3:delimiter",
        "s3:max-keys",
        "s3:prefix",
        "s3:versionid",
        "s3:x-amz-server-side-encryption",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
    }
)


class Undecidable(Exception):
    """A statement holds something that this evaluator doesn't know; nothing is allowed because of it."""


class Outcome(StrEnum):
    """How a request fares."""

    ALLOWED = "allowed"
    IMPLICITLY_DENIED = "implicitly denied"
    EXPLICITLY_DENIED = "explicitly denied"


class Kind(StrEnum):
    """The kinds of policies, as AWS calls them in its messages."""

    IDENTITY = "identity-based policy"
    RESOURCE = "resource-based policy"
    BOUNDARY = "permissions boundary"


@dataclass(frozen=True)
class Caller:
    """Who asks: the session of a role, or a service on behalf of a resource.

    Attributes
    ----------
    arn
        The ARN of the role's session, or the service's name, such as ``events.amazonaws.com``.
    role_arn
        The role; None for a service.
    """

    arn: str
    role_arn: str | None = None

    @property
    def account(self) -> str | None:
        """The account of a role."""
        return self.role_arn.split(":")[4] if self.role_arn else None


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes
    ----------
    caller
        Who asks.
    action
        Such as ``s3:GetObject``.
    resource
        The ARN of what it acts on, or ``*`` where the action knows no resources.
    context
        The values of condition keys, several in a tuple. The names of the keys are written small.
    """

    caller: Caller
    action: str
    resource: str
    context: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """How a request fares, and because of what.

    Attributes
    ----------
    outcome
        Whether it is allowed.
    kind
        The kind of policy that decides; for an implicit denial the kind that says nothing.
    policy, statement
        The name of the policy and the Sid of the statement that decides, or its number; None where none does.
    """

    outcome: Outcome
    kind: Kind
    policy: str | None = None
    statement: str | None = None

    @property
    def allowed(self) -> bool:
        """Whether the request may be carried out."""
        return self.outcome is Outcome.ALLOWED


# Patterns


def _glob(pattern: str, anything: str, one: str) -> str:
    _refuse_variables(pattern)
    return "".join({"*": anything, "?": one}.get(character, re.escape(character)) for character in pattern)


def _refuse_variables(text: str) -> None:
    if "${" in text:
        raise Undecidable(f"the policy variable in {text!r} is not understood")


def _arn_pattern(pattern: str) -> str:
    """Return the regular expression of an ARN with wildcards, which reach across colons in its last part."""
    if pattern == "*":
        return ".*"
    parts = pattern.split(":", 5)
    if len(parts) < 6:
        raise Undecidable(f"{pattern!r} is no ARN: it needs six parts with colons between them, or is *")
    return ":".join([*(_glob(part, "[^:]*", "[^:]") for part in parts[:5]), _glob(parts[5], ".*", ".")])


@functools.lru_cache(maxsize=4096)
def _arns(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{_arn_pattern(pattern)})" for pattern in patterns), re.DOTALL)


def _actions(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(_glob(pattern, ".*", ".") for pattern in patterns), re.IGNORECASE)


@functools.lru_cache(maxsize=4096)
def _text(pattern: str) -> re.Pattern[str]:
    return re.compile(_glob(pattern, ".*", "."), re.DOTALL)


def _strings(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(str(item).lower() if isinstance(item, bool) else str(item) for item in values)


# Conditions: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html

Test = Callable[[str, str], bool]


def _numeric(compare: Callable[[float, float], bool]) -> Test:
    return lambda value, wanted: compare(float(value), float(wanted))


def _is_like(value: str, wanted: str) -> bool:
    return _text(wanted).fullmatch(value) is not None


def _is_like_arn(value: str, wanted: str) -> bool:
    return _arns((wanted,)).fullmatch(value) is not None


def _is(value: str, wanted: str) -> bool:
    _refuse_variables(wanted)
    return value == wanted


def _is_in_any_case(value: str, wanted: str) -> bool:
    return _is(value.casefold(), wanted.casefold())


_TESTS: dict[str, Test] = {
    "StringEquals": _is,
    "StringEqualsIgnoreCase": _is_in_any_case,
    "StringLike": _is_like,
    "ArnEquals": _is_like_arn,
    "ArnLike": _is_like_arn,
    "Bool": _is_in_any_case,
    "NumericEquals": _numeric(operator.eq),
    "NumericLessThan": _numeric(operator.lt),
    "NumericLessThanEquals": _numeric(operator.le),
    "NumericGreaterThan": _numeric(operator.gt),
    "NumericGreaterThanEquals": _numeric(operator.ge),
}
_NEGATED_TESTS = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
}


@dataclass(frozen=True)
class _Condition:
    operator: str
    key: str
    values: tuple[str, ...]

    def holds(self, request: Request) -> bool:
        found = request.context.get(self.key.lower())
        if found is None and self.key.lower() not in CONTEXT_KEYS:
            raise Undecidable(f"the condition key {self.key} is not known here")
        quantifier, _, name = self.operator.rpartition(":")
        if quantifier not in ("", "ForAllValues", "ForAnyValue"):
            raise Undecidable(f"the condition operator {self.operator} is not known here")
        if name == "Null":
            return (found is None) in [value.lower() == "true" for value in self.values]
        optional = name.endswith("IfExists")
        name = name.removesuffix("IfExists")
        negated = name in _NEGATED_TESTS
        test = _TESTS.get(_NEGATED_TESTS.get(name, name))
        if test is None:
            raise Undecidable(f"the condition operator {self.operator} is not known here")
        if found is None:
            # ForAllValues is true of no values, and so is every negated operator; ForAnyValue never is.
            return optional or quantifier == "ForAllValues" or (negated and not quantifier)
        given = (found,) if isinstance(found, str) else found
        if len(given) > 1 and not quantifier:
            raise Undecidable(
                f"{self.key} has several values: {self.operator} needs ForAllValues: or ForAnyValue:"
            )
        each = (any(test(value, wanted) for wanted in self.values) is not negated for value in given)
        return any(each) if quantifier == "ForAnyValue" else all(each)


# Statements and policies


@dataclass(frozen=True)
class Statement:
    """One statement of a policy.

    Attributes
    ----------
    name
        Its Sid, or ``statement 3``.
    allows
        Whether its effect is Allow rather than Deny.
    """

    name: str
    allows: bool
    document: Mapping[str, Any]

    def covers(self, action: str, resource: str) -> bool:
        """Tell whether the statement is about an action on a resource, whoever asks and when."""
        return self._is_about_action(action) and self._is_about_resource(resource)

    def applies(self, request: Request) -> bool:
        """Tell whether the statement is about a request."""
        return (
            self.covers(request.action, request.resource)
            and self._is_for(request.caller)
            and all(condition.holds(request) for condition in self._conditions)
        )

    @functools.cached_property
    def _is_about_action(self) -> Callable[[str], bool]:
        return self._matcher("Action", _actions)

    @functools.cached_property
    def _is_about_resource(self) -> Callable[[str], bool]:
        if not {"Resource", "NotResource"} & self.document.keys():
            # Trust policies name no resource: they are the role's.
            return lambda _: True
        return self._matcher("Resource", _arns)

    def _matcher(
        self, element: str, compiled: Callable[[tuple[str, ...]], re.Pattern[str]]
    ) -> Callable[[str], bool]:
        if element in self.document:
            pattern = compiled(_strings(self.document[element]))
            return lambda value: pattern.fullmatch(value) is not None
        if f"Not{element}" in self.document:
            pattern = compiled(_strings(self.document[f"Not{element}"]))
            return lambda value: pattern.fullmatch(value) is None
        raise Undecidable(f"it has neither {element} nor Not{element}")

    def _is_for(self, caller: Caller) -> bool:
        if "NotPrincipal" in self.document:
            raise Undecidable("NotPrincipal is not understood")
        # A policy of an identity names no principal: it is the identity's.
        principal = self.document.get("Principal", "*")
        if principal == "*":
            return True
        if caller.role_arn is None:
            return caller.arn in _strings(principal.get("Service", []))
        named = _strings(principal.get("AWS", []))
        account = {str(caller.account), f"arn:aws:iam::{caller.account}:root"}
        # To allow an account only leaves it to the account's own policies to allow it.
        return bool({"*", caller.arn, caller.role_arn} & {*named}) or (
            not self.allows and bool(account & {*named})
        )

    @functools.cached_property
    def _conditions(self) -> tuple[_Condition, ...]:
        return tuple(
            _Condition(name, key, _strings(values))
            for name, keys in self.document.get("Condition", {}).items()
            for key, values in keys.items()
        )


@dataclass(frozen=True)
class Policy:
    """A policy document that has been read."""

    name: str
    statements: tuple[Statement, ...]

    def deciding(self, request: Request, allows: bool) -> Statement | None:
        """Return the first statement of that effect which applies to a request."""
        for statement in self.statements:
            if statement.allows is allows:
                try:
                    if statement.applies(request):
                        return statement
                except Undecidable as problem:
                    raise Undecidable(
                        f"Whether {request.action} on {request.resource} is allowed cannot be decided by the "
                        f"embedded AWS: in the policy {self.name}, {statement.name}, {problem}. Change the "
                        "policy, or teach it to scripts/local_aws/policies.py."
                    ) from None
        return None


@functools.lru_cache(maxsize=4096)
def parse(name: str, text: str) -> Policy:
    """Read a policy document; the same text is read once.

    Parameters
    ----------
    name
        How messages call the policy.
    text
        The document as JSON.
    """
    document = json.loads(text)
    found = document.get("Statement", [])
    return Policy(
        name,
        tuple(
            Statement(
                statement.get("Sid") or f"statement {number}", statement["Effect"] == "Allow", statement
            )
            for number, statement in enumerate([found] if isinstance(found, dict) else found, start=1)
        ),
    )


def decide(
    request: Request,
    identity: Sequence[Policy] = (),
    boundary: Policy | None = None,
    resource: Policy | None = None,
) -> Decision:
    """Decide on a request within one account.

    Parameters
    ----------
    request
        What is asked for.
    identity
        The policies of the role that asks.
    boundary
        The role's permissions boundary: nothing is allowed that it doesn't allow too.
    resource
        The policy of what is acted on; within an account it may allow what no identity policy does.
    """
    policies = [
        *((Kind.IDENTITY, policy) for policy in identity),
        *([(Kind.RESOURCE, resource)] if resource else []),
        *([(Kind.BOUNDARY, boundary)] if boundary else []),
    ]
    for kind, policy in policies:
        if statement := policy.deciding(request, allows=False):
            return Decision(Outcome.EXPLICITLY_DENIED, kind, policy.name, statement.name)
    if boundary and not boundary.deciding(request, allows=True):
        return Decision(Outcome.IMPLICITLY_DENIED, Kind.BOUNDARY)
    for kind, policy in policies:
        if kind is not Kind.BOUNDARY and (statement := policy.deciding(request, allows=True)):
            return Decision(Outcome.ALLOWED, kind, policy.name, statement.name)
    by_resource = request.caller.role_arn is None
    return Decision(Outcome.IMPLICITLY_DENIED, Kind.RESOURCE if by_resource else Kind.IDENTITY)
