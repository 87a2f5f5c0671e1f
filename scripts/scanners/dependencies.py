"""Scans the packages of the project, of the layer and of the image for known vulnerabilities."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import tempfile
import textwrap
from pathlib import Path

from scanners import tools
from scanners.outcome import Finding, NotScanned, Outcome

REQUIREMENTS = ("lambdas/requirements.txt", "batch_image/requirements.txt")
# How pip-audit ends where the service fails, and not what it was given.
UNREACHABLE = re.compile(
    r"ConnectionError|ServiceError|ProxyError|SSLError|Timeout|Could not connect|be blocking"
)


def scan() -> Outcome:
    """Ask PyPI for the vulnerabilities of what is installed here, and of both requirements files."""
    outcome, looked_up, packages = Outcome(), 0, 0
    with tempfile.TemporaryDirectory(prefix="truthloop-scan-") as scratch:
        installed = Path(scratch) / "installed.txt"
        installed.write_text("".join(f"{package}\n" for package in installed_packages()))
        sets = {"installed packages": installed, **{name: tools.ROOT / name for name in REQUIREMENTS}}
        for name, path in sets.items():
            form = ("--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off")
            result = tools.run([tools.programs() / "pip-audit", "--requirement", path, *form])
            expected = sum("==" in line for line in path.read_text().splitlines())
            looked_up += read(outcome, name, expected, result)
            packages += expected
    outcome.checked = f"{looked_up} of {packages} packages, {len(outcome.findings)} vulnerabilities"
    return outcome


def installed_packages() -> list[str]:
    """Return `name==version` of every package beside the project, the project itself left out."""
    return sorted(
        f"{package.name}=={package.version}"
        for package in importlib.metadata.distributions()
        if package.name != "truthloop"
    )


def read(outcome: Outcome, name: str, expected: int, result: subprocess.CompletedProcess[str]) -> int:
    """Add what pip-audit says of a set of packages, and return how many of them it could look up.

    Raises
    ------
    NotScanned
        If pip-audit failed for another reason than a service that cannot be reached.
    """
    try:
        audited = tools.read_json(result, "pip-audit")["dependencies"]
    except NotScanned as problem:
        if not UNREACHABLE.search(result.stderr):
            raise
        outcome.unchecked.append(f"{name}: the vulnerability service cannot be reached: {problem}")
        return 0
    unknown = [package["skip_reason"] for package in audited if "skip_reason" in package]
    if unknown:
        # A mirror of the packages without vulnerabilities answers so, and pip-audit calls that a success.
        outcome.unchecked.append(f"{name}: {len(unknown)} of {expected} packages, the first: {unknown[0]}")
    if len(audited) < expected:
        outcome.unchecked.append(f"{name}: pip-audit looked at {len(audited)} of {expected} packages")
    for package in audited:
        for vulnerability in package.get("vulns", []):
            fixed = " or ".join(vulnerability["fix_versions"])
            outcome.findings.append(
                Finding(
                    vulnerability["id"],
                    f"{name}: {package['name']}=={package['version']}",
                    textwrap.shorten(vulnerability["description"], 200),
                    f"take {package['name']} {fixed}"
                    if fixed
                    else "no version mends it: replace the package",
                )
            )
    return len(audited) - len(unknown)
