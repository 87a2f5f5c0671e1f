"""Scans every IAM policy of production's plan with a linter."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from scanners import tools
from scanners.outcome import Accepted, Finding, NotScanned, Outcome
from truthloop_cli import rendered

LINTER = Path(__file__).with_name("lint_policies.py")
ACCEPTED = Path(__file__).with_name("accepted_policies.toml")


def scan() -> Outcome:
    """Lint the policies as AWS would get them."""
    plan = tools.plan()
    policies = rendered.policies(plan)
    if not policies:
        raise NotScanned("The plan has no policies.")
    # parliament's own code gives warnings that say nothing of the policies.
    result = tools.run([tools.programs() / "python", "-W", "ignore", LINTER], json.dumps(policies))
    suppressions = tomllib.loads(ACCEPTED.read_text())["suppression"]
    outcome = judge(tools.read_json(result, "parliament"), suppressions)
    outcome.findings += unknown(plan)
    outcome.checked = (
        f"{len(policies)} policies, {len(outcome.findings)} findings, {len(suppressions)} suppressions"
    )
    return outcome


def judge(found: list[dict[str, str]], suppressions: list[dict[str, str]]) -> Outcome:
    """Return the linter's findings, less those that a suppression names by finding, action and policy.

    `*` in a suppression's action or policy stands for anything. A suppression without a reason is a finding
    itself, and so is one that suppresses nothing.
    """
    outcome = Outcome()
    for record in found:
        if not any(_suppresses(entry, record) for entry in suppressions):
            about = " ".join(filter(None, (record["action"], record["detail"] and f"({record['detail']})")))
            problem = f"{record['problem']}: {about}"
            advice = f"narrow it, or accept it in scripts/scanners/{ACCEPTED.name} with the reason"
            outcome.findings.append(Finding(record["finding"], record["policy"], problem, advice))
    for entry in suppressions:
        rule, place, reason = (
            entry["finding"],
            f"{entry['action']} in {entry['policy']}",
            entry.get("reason", ""),
        )
        outcome.accepted.append(Accepted(rule, place, reason))
        place = f"scripts/scanners/{ACCEPTED.name}: {place}"
        if not reason.strip():
            outcome.findings.append(Finding(rule, place, "the suppression has no reason", "write the reason"))
        if not any(_suppresses(entry, record) for record in found):
            outcome.findings.append(Finding(rule, place, "the suppression suppresses nothing", "remove it"))
    return outcome


def _suppresses(entry: dict[str, str], record: dict[str, str]) -> bool:
    def matches(key: str) -> bool:
        # The brackets of an address are no class of characters, hence no fnmatch.
        pattern = re.escape(entry[key]).replace(r"\*", ".*")
        return re.fullmatch(pattern, record[key], re.IGNORECASE) is not None

    return entry["finding"] == record["finding"] and matches("action") and matches("policy")


def unknown(plan: dict[str, Any]) -> list[Finding]:
    """Return a finding for each policy that the plan doesn't know, so that it isn't linted."""
    return [
        Finding(
            "UNKNOWN_POLICY",
            change["address"],
            "the policy is known only after an apply, so that it was not linted",
            "give terraform/tests/stack.tftest.hcl what stands for the unknown value",
        )
        for change in plan["resource_changes"]
        if change["type"].startswith(("aws_iam_", "aws_kms_key")) or change["type"].endswith("_policy")
        for attribute in ("policy", "assume_role_policy")
        if (change["change"].get("after_unknown") or {}).get(attribute) is True
    ]
