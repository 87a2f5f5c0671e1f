"""Lints the IAM policies on standard input with parliament, in the environment where that is installed."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import parliament
from parliament.finding import Finding

# In the policy of a key `*` is that key. That of an endpoint grants nothing: it narrows what may pass.
STAR_IS_NARROW = (".aws_kms_key.", ".aws_vpc_endpoint.")
# The community's auditors look for what leads to more rights, and would complain of `sts:AssumeRole` in every
# role.
WITHOUT_AUDITORS = (".aws_iam_role.", ".aws_vpc_endpoint.")


def lint(address: str, policy: dict[str, Any]) -> list[dict[str, str]]:
    """Return a policy's findings, one for each action that a finding names."""
    report = parliament.analyze_policy_string(
        json.dumps(_with_resource(policy) if _is(address, ".aws_iam_role.") else policy),
        include_community_auditors=not _is(address, *WITHOUT_AUDITORS),
    )
    return [
        {
            "policy": address,
            "finding": finding.issue,
            "action": action,
            "problem": parliament.enhance_finding(finding).title.strip(" ."),
            "detail": detail,
        }
        for finding in report.findings
        if not (finding.issue == "RESOURCE_STAR" and _is(address, *STAR_IS_NARROW))
        for action, detail in _subjects(finding)
    ]


def _is(address: str, *types: str) -> bool:
    return any(part in f".{address}" for part in types)


def _with_resource(trust: dict[str, Any]) -> dict[str, Any]:
    # A trust policy may not name a resource, which is the role itself, and parliament asks for one.
    role = "arn:aws:iam::111122223333:role/this"
    return {**trust, "Statement": [{**statement, "Resource": role} for statement in trust["Statement"]]}


def _subjects(finding: Finding) -> list[tuple[str, str]]:
    """Return (action, detail) for each action that a finding is about, ("", detail) where it names none."""
    if finding.issue == "RESOURCE_MISMATCH":
        return [(entry["action"], f"needs {entry['required_format']}") for entry in finding.detail]
    if finding.issue == "RESOURCE_STAR":
        return [(action, "can be given resources") for action in finding.detail]
    if finding.issue == "PRIVILEGE_ESCALATION":
        return [(" + ".join(finding.location["actions"]), finding.location["type"])]
    if "actions" in finding.location:
        return [(action, "") for action in finding.location["actions"]]
    detail = str(finding.detail or finding.location.get("string", ""))
    named = re.search(r"action (\w+:\w+)$", detail)
    return [(named[1] if named else "", detail)]


if __name__ == "__main__":
    # The titles of the community's findings are in a file of their own.
    parliament.override_config(
        str(Path(parliament.__file__).parent / "community_auditors" / "config_override.yaml")
    )
    policies = json.load(sys.stdin)
    json.dump([found for address, policy in policies.items() for found in lint(address, policy)], sys.stdout)
