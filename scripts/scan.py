"""Scans Terraform, IAM policies, dependencies and code; `make scan` runs it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from scanners import checkov, code, dependencies, policies
from scanners.outcome import Finding, NotScanned, Outcome

SCANNERS: dict[str, Callable[[], Outcome]] = {
    "checkov": checkov.scan,
    "policies": policies.scan,
    "dependencies": dependencies.scan,
    "code": code.scan,
}

EPILOG = """examples:
  make scan                                        everything
  python scripts/scan.py --only checkov,policies   the infrastructure alone
  python scripts/scan.py --json build/scan.json    for another program, too
  SCAN_REQUIRE_ALL=1 make scan                     what could not be checked is a failure

exit code: 0 nothing found; 1 something found, or a scanner could not work; 2 wrong options"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="scan.py",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", metavar="NAMES", help=f"some of {','.join(SCANNERS)}")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the outcome to this file, too")
    arguments = parser.parse_args(argv)
    names = arguments.only.split(",") if arguments.only is not None else list(SCANNERS)
    if unknown := [name for name in names if name not in SCANNERS]:
        parser.error(f"--only: there is no scanner {unknown[0]!r}; choose from {','.join(SCANNERS)}")
    outcomes = {name: perform(name) for name in SCANNERS if name in names}
    print(table(outcomes))
    print(details(outcomes))
    failing = {"FAILED", "NOT CHECKED"} if os.environ.get("SCAN_REQUIRE_ALL") == "1" else {"FAILED"}
    failed = any(outcome.status in failing for outcome in outcomes.values())
    if arguments.json:
        scanners = {name: {"status": outcome.status, **asdict(outcome)} for name, outcome in outcomes.items()}
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps({"passed": not failed, "scanners": scanners}, indent=2) + "\n")
    return int(failed)


def perform(name: str) -> Outcome:
    """Run a scanner; what keeps it from its work becomes a finding, so that nothing passes unscanned."""
    print(f"scan: {name} …", end="", flush=True)
    start = time.monotonic()
    try:
        outcome = SCANNERS[name]()
    except NotScanned as problem:
        outcome = Outcome(
            "nothing", [Finding("NOT_SCANNED", name, str(problem), "mend this, and scan again")]
        )
    outcome.seconds = round(time.monotonic() - start, 1)
    print(f" {outcome.status} ({outcome.seconds} s)", flush=True)
    return outcome


def table(outcomes: dict[str, Outcome]) -> str:
    """Return one line for each scanner."""
    rows = [f"{'scanner':<14}{'result':<13}{'seconds':>7}  checked"]
    rows += [f"{name:<14}{it.status:<13}{it.seconds:>7.1f}  {it.checked}" for name, it in outcomes.items()]
    return "\n".join(["", *rows])


def details(outcomes: dict[str, Outcome]) -> str:
    """Return what was accepted, what was found, and, as the last that is read, what was not checked."""
    lines = []
    for name, outcome in outcomes.items():
        lines += [f"\n{name}: accepted"] if outcome.accepted else []
        for accepted in outcome.accepted:
            lines += [f"  {accepted.rule}  {accepted.place}", f"      {accepted.reason or '(no reason)'}"]
    for name, outcome in outcomes.items():
        lines += [f"\n{name}: found"] if outcome.findings else []
        for found in outcome.findings:
            lines += [f"  {found.rule}  {found.place}", f"      {found.problem}", f"      -> {found.advice}"]
    for name, outcome in outcomes.items():
        lines += [f"\nNOT CHECKED: {name}: {reason}" for reason in outcome.unchecked]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
