"""What every role of the deployed stack may do, what of it was used, and the table that says both."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_aws.policies import Statement

if TYPE_CHECKING:
    from end_to_end.conftest import Deployment

TERRAFORM = Path(__file__).resolve().parents[2] / "terraform"
TABLE = TERRAFORM / "RIGHTS.md"
UNUSED = Path(__file__).with_name("unused_rights.toml")

INTRODUCTION = """\
# What each role may do

Each role of the stack, what its policies grant, and whether the end-to-end tests have used it. The tests run
campaigns on the embedded AWS, which asks the deployed policies about every call of a role and refuses what
they do not allow; nothing was refused. This file is made from those runs: `make rights` writes it anew, and
the tests fail when it says something else than the policies and the runs do.

`<prefix>` is the `name_prefix` of the environment, `<account>` the account, `<region>` the region and
`<input-bucket>` each of `input_buckets`. With a customer-managed key the roles that handle data may use that
key too.
"""


@dataclass(frozen=True)
class Grant:
    """One of the actions that a statement of a role's policy allows."""

    role: str
    statement: str
    actions: tuple[str, ...]
    action: str
    resources: tuple[str, ...]
    conditions: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.role, self.statement, self.action

    @property
    def why(self) -> tuple[str, tuple[str, ...]]:
        """Where `comments` has its reason."""
        return self.statement, self.actions

    def covers(self, call: dict[str, Any]) -> bool:
        """Whether it is what allows a recorded call of the role."""
        statement = Statement(self.statement, True, {"Action": self.action, "Resource": list(self.resources)})
        return statement.covers(f"{call['service']}:{call['action']}", call["resource"])


@dataclass(frozen=True)
class Role:
    """A role with who may take it and what it may do."""

    name: str
    taken_by: tuple[str, ...]
    grants: tuple[Grant, ...]


@dataclass(frozen=True)
class Reason:
    """Why some grants are there though no end-to-end test uses them."""

    roles: str
    statement: str
    actions: tuple[str, ...]
    why: str

    def is_for(self, grant: Grant) -> bool:
        return (
            fnmatchcase(grant.role, self.roles)
            and grant.statement == self.statement
            and grant.action in self.actions
        )


def generic(text: str, deployment: Deployment) -> str:
    """The text without what differs from one deployment to the next."""
    for found, shown in (
        (deployment.digits.bucket, "<input-bucket>"),
        (deployment.name_prefix, "<prefix>"),
        (deployment.account_id, "<account>"),
        (deployment.region, "<region>"),
    ):
        text = text.replace(found, shown)
    return text


def roles(deployment: Deployment) -> list[Role]:
    """All roles of the stack, as they are in IAM now."""
    iam = deployment.client("iam")
    found = [
        role
        for page in iam.get_paginator("list_roles").paginate()
        for role in page["Roles"]
        if role["RoleName"].startswith(deployment.name_prefix)
    ]
    return [
        Role(
            generic(role["RoleName"], deployment),
            tuple(sorted(_services(role["AssumeRolePolicyDocument"]))),
            tuple(_grants(deployment, role["RoleName"])),
        )
        for role in sorted(found, key=lambda role: role["RoleName"])
    ]


def _services(trust: dict[str, Any]) -> Iterator[str]:
    for statement in _list(trust["Statement"]):
        yield from _list(statement["Principal"]["Service"])


def _grants(deployment: Deployment, role: str) -> Iterator[Grant]:
    for name, document in documents(deployment, role).items():
        for number, statement in enumerate(_list(document["Statement"]), start=1):
            assert statement["Effect"] == "Allow", f"{role}, {name}: the table knows Allow only"
            actions = tuple(sorted(_list(statement["Action"])))
            for action in actions:
                yield Grant(
                    generic(role, deployment),
                    statement.get("Sid", f"{name} {number}"),
                    actions,
                    action,
                    tuple(sorted(generic(item, deployment) for item in _list(statement["Resource"]))),
                    generic(json.dumps(statement.get("Condition", {}), sort_keys=True), deployment),
                )


def documents(deployment: Deployment, role: str) -> dict[str, Any]:
    """The policies of a role by name; attached ones would be an oversight of this table."""
    iam = deployment.client("iam")
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    return {
        name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in sorted(names)
    }


def calls(deployment: Deployment) -> list[dict[str, Any]]:
    """The recorded calls of the stack's roles."""
    found = []
    for call in deployment.aws.control("GET", "calls"):
        role = call["role"].rpartition("/")[2]
        if role.startswith(deployment.name_prefix):
            shown = generic(call["resource"], deployment)
            found.append({**call, "role": generic(role, deployment), "resource": shown})
    return found


def used(found: Iterable[Role], made: Iterable[dict[str, Any]]) -> set[Grant]:
    """The grants that allowed at least one of the calls."""
    by_role: dict[str, list[dict[str, Any]]] = {}
    for call in made:
        if call["allowed"]:
            by_role.setdefault(call["role"], []).append(call)
    return {
        grant
        for role in found
        for grant in role.grants
        if any(grant.covers(call) for call in by_role.get(role.name, []))
    }


def reasons() -> list[Reason]:
    """The entries of unused_rights.toml."""
    return [
        Reason(entry["roles"], entry["statement"], tuple(entry["actions"]), entry["reason"])
        for entry in tomllib.loads(UNUSED.read_text())["unused"]
    ]


def comments() -> dict[tuple[str, tuple[str, ...]], str]:
    """Why statements have their actions and resources: Terraform's comments, by sid and actions."""
    found: dict[tuple[str, tuple[str, ...]], str] = {}
    for path in sorted([*TERRAFORM.glob("*.tf"), *TERRAFORM.glob("modules/*/*.tf")]):
        for block in re.findall(
            r"^( *)(?:statement|content) \{\n(.*?)^\1\}", path.read_text(), re.DOTALL | re.MULTILINE
        ):
            sid = re.search(r'sid\s*=\s*"(\w+)"', block[1])
            actions = re.search(r"actions\s*=\s*\[(.*?)\]", block[1], re.DOTALL)
            lines = re.findall(r"((?:^ *#.*\n)+) *(?:actions|resources)\s*=", block[1], re.MULTILINE)
            if sid and actions and lines:
                text = " ".join(line.strip("# ") for part in lines for line in part.splitlines())
                found[sid[1], tuple(sorted(re.findall(r'"(.+?)"', actions[1])))] = text
    return found


def table(found: list[Role], used_grants: set[Grant], why: list[Reason]) -> str:
    """The whole of RIGHTS.md."""
    explained = comments()
    parts = [INTRODUCTION]
    for role in found:
        services = ", ".join(f"`{service}`" for service in role.taken_by)
        lines = [
            f"## `{role.name}`\n",
            f"Taken by {services}.\n",
            "| Statement | Actions | Resources | Used |",
            "| --- | --- | --- | --- |",
        ]
        rows: dict[tuple[str, str, str], list[str]] = {}
        for grant in role.grants:
            entry = next((reason.why for reason in why if reason.is_for(grant)), "no reason is given")
            is_used = "yes" if grant in used_grants else f"no: {entry}"
            rows.setdefault((grant.statement, _resources(grant, explained), is_used), []).append(grant.action)
        for (statement, resources, is_used), actions in rows.items():
            listed = "<br>".join(f"`{action}`" for action in actions)
            lines.append(f"| {statement} | {listed} | {resources} | {is_used} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _resources(grant: Grant, explained: dict[tuple[str, tuple[str, ...]], str]) -> str:
    shown = ["<br>".join(f"`{resource}`" for resource in grant.resources)]
    if grant.conditions != "{}":
        shown.append(f"only if `{grant.conditions}`")
    if any("*" in resource for resource in grant.resources) and grant.why in explained:
        shown.append(explained[grant.why])
    return "<br>".join(shown)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
