"""Scans the Terraform with checkov: the sources as they are written, and production's plan."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scanners import tools
from scanners.outcome import Accepted, Finding, NotScanned, Outcome

TERRAFORM = tools.ROOT / "terraform"
SKIPS_ALLOWED = 15


@dataclass(frozen=True)
class Skip:
    """A `# checkov:skip=<check>:<reason>` in the Terraform."""

    check: str
    file: str
    line: int
    reason: str


@dataclass(frozen=True)
class Failure:
    """A check that a block fails; the block is known by its file and lines."""

    check: str
    file: str
    lines: tuple[int, int]
    resource: str
    name: str

    def accepted_by(self, skip: Skip) -> bool:
        first, last = self.lines
        return (skip.check, skip.file) == (self.check, self.file) and first <= skip.line <= last


def scan() -> Outcome:
    """Judge the roots with the values they hand on, each module with its defaults, and production's plan."""
    configured = (tools.ROOT / ".checkov.yaml").read_text()
    with tempfile.TemporaryDirectory(prefix="truthloop-scan-") as scratch:
        folder = Path(scratch).resolve()
        # checkov sees a copy without the skips, so that it is known which of them are needed.
        copy = folder / "terraform"
        shutil.copytree(TERRAFORM, copy, ignore=shutil.ignore_patterns(".terraform*"))
        for path in copy.rglob("*.tf"):
            path.write_text(path.read_text().replace("checkov:skip=", "checkov skips "))
        sources = [report_of("--directory", part) for part in (copy, copy / "modules")]
        planned = folder / "plan.json"
        planned.write_text(json.dumps(readable(tools.plan())))
        plan = report_of("--file", planned, "--framework", "terraform_plan")
        outcome = judge(folder, sources, plan, list(skips_in(TERRAFORM)))
    if re.search(r"^skip-check", configured, re.MULTILINE):
        advice = "skip the check inside the blocks that it is about, each with its reason"
        outcome.findings.append(
            Finding("SKIPS", ".checkov.yaml", "skip-check hides a check everywhere", advice)
        )
    return outcome


def report_of(*what: str | Path) -> dict[str, Any]:
    """Return checkov's report of a folder or a plan."""
    command = [tools.programs() / "checkov", "--config-file", ".checkov.yaml", "--output", "json", *what]
    report = tools.read_json(tools.run(command), "checkov")
    if not report.get("summary", {}).get("resource_count"):
        raise NotScanned(f"checkov found no resources in {what[1]}.")
    return report


def skips_in(folder: Path) -> Iterator[Skip]:
    """Yield the skips in the Terraform below a folder."""
    for path in sorted(folder.rglob("*.tf")):
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if found := re.search(r"checkov:skip= *([\w,]+)(?::(.*))?", line):
                for check in found[1].split(","):
                    place = path.relative_to(folder.parent).as_posix()
                    yield Skip(check, place, number, (found[2] or "").strip())


def readable(plan: dict[str, Any]) -> dict[str, Any]:
    """Return a plan in the form that checkov reads; `terraform test` tells the changes alone."""
    resources = [
        {key: change[key] for key in ("address", "mode", "type", "name")}
        | {"values": change["change"]["after"]}
        for change in plan["resource_changes"]
        if change["mode"] == "managed" and change["change"]["after"] is not None
    ]
    return {
        "format_version": "1.2",
        "terraform_version": "1.0.0",
        "planned_values": {"root_module": {"resources": resources}},
        "resource_changes": plan["resource_changes"],
        "configuration": {"root_module": {}},
    }


def judge(
    folder: Path, sources: Iterable[dict[str, Any]], plan: dict[str, Any], skips: list[Skip]
) -> Outcome:
    """Return what checkov found, less what the skips accept.

    Parameters
    ----------
    folder
        The folder that the files of the reports are below.
    sources
        checkov's reports of Terraform whose skips are not in force.
    plan
        Its report of a plan. Of this only the checks of single resources count: the plan of `terraform test`
        doesn't say which resource refers to which, without which the checks of relations fail.
    skips
        The skips, each of which must have a reason and accept a failure.
    """
    failures, blocks, unread, passed = set[Failure](), dict[str, dict[str, Any]](), set[str](), 0
    for report in sources:
        results = report["results"]
        passed += len(results["passed_checks"])
        unread.update(_below(folder, path) for path in results.get("parsing_errors", []))
        for record in (*results["passed_checks"], *results["failed_checks"]):
            blocks.setdefault(_without_keys(record["resource"]), record)
        failures.update(_failure(folder, record, record) for record in results["failed_checks"])
    passed += len(plan["results"]["passed_checks"])
    for record in plan["results"]["failed_checks"]:
        if not record["check_class"].startswith("checkov.common.graph"):
            failures.add(_failure(folder, record, _written(blocks, record)))

    open_ = sorted(
        (failure for failure in failures if not any(map(failure.accepted_by, skips))),
        key=lambda failure: (failure.file, failure.lines, failure.check),
    )
    outcome = Outcome(f"{passed} checks passed, {len(open_)} failed, {len(skips)} skipped")
    for failure in open_:
        problem = f"{failure.resource}: {failure.name}"
        advice = f"meet it, or write why not inside the block: # checkov:skip={failure.check}:the reason"
        outcome.findings.append(Finding(failure.check, f"{failure.file}:{failure.lines[0]}", problem, advice))
    for path in sorted(unread):
        outcome.findings.append(Finding("PARSING", path, "checkov cannot read it", "run: terraform validate"))
    for skip in skips:
        place = f"{skip.file}:{skip.line}"
        outcome.accepted.append(Accepted(skip.check, place, skip.reason))
        if not skip.reason:
            advice = f"write # checkov:skip={skip.check}:the reason"
            outcome.findings.append(Finding(skip.check, place, "the skip has no reason", advice))
        if not any(failure.accepted_by(skip) for failure in failures):
            problem = "the skip accepts nothing: the check passes without it, or is about another block"
            outcome.findings.append(Finding(skip.check, place, problem, "remove it, or move it"))
    if len(skips) > SKIPS_ALLOWED:
        problem = f"{len(skips)} checks are skipped, and {SKIPS_ALLOWED} may be"
        outcome.findings.append(Finding("SKIPS", "terraform", problem, "meet some of them"))
    return outcome


def _failure(folder: Path, record: dict[str, Any], block: dict[str, Any]) -> Failure:
    first, last = block["file_line_range"]
    # The instances of a module share its block, which fails once.
    resource = re.sub(r"^(module\.[\w-]+\.)+", "", _without_keys(record["resource"]))
    file = _below(folder, block["file_abs_path"])
    return Failure(record["check_id"], file, (first, last), resource, record["check_name"])


def _written(blocks: dict[str, dict[str, Any]], planned: dict[str, Any]) -> dict[str, Any]:
    """Return a record of the sources about the block that a planned resource comes from."""
    resource = _without_keys(planned["resource"])
    # checkov gives what an example calls the address that it has in the example.
    names = (name for name in sorted(blocks) if f".{name}".endswith(f".{resource}"))
    return blocks.get(next(names, ""), planned)


def _without_keys(resource: str) -> str:
    # A plan has a key for each instance; of the sources checkov resolves some of them.
    return re.sub(r"\[[^]]*]", "", resource)


def _below(folder: Path, path: str) -> str:
    return Path(os.path.normpath(path)).relative_to(folder).as_posix()
