"""Scans the Python code with bandit's rules, and lists what is exempt from them."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from scanners import tools
from scanners.outcome import Accepted, Finding, NotScanned, Outcome

FOLDERS = ("lambdas", "batch_image", "scripts")


def scan() -> Outcome:
    """Let ruff check the code, once with the project's exemptions and once without any."""
    ruff = [sys.executable, "-m", "ruff", "check", "--no-cache"]
    files = tools.run([*ruff, "--show-files", *FOLDERS]).stdout.splitlines()
    if not files:
        raise NotScanned(f"ruff found no files in {', '.join(FOLDERS)}.")
    # S are bandit's rules; they are on here whatever pyproject.toml selects.
    rules = ("--select", "S", "--output-format", "json")
    shown = tools.read_json(tools.run([*ruff, *rules, *FOLDERS]), "ruff")
    known = tools.read_json(tools.run([*ruff, *rules, "--isolated", "--ignore-noqa", *FOLDERS]), "ruff")
    outcome = judge(tools.ROOT, shown, known)
    outcome.checked = f"{len(files)} files, {len(shown)} findings, {len(known) - len(shown)} exempt"
    return outcome


def judge(root: Path, shown: list[dict[str, Any]], known: list[dict[str, Any]]) -> Outcome:
    """Return the violations that ruff shows; and of the others that it knows, why they are exempt.

    A `noqa` needs a reason, behind it or in a comment on the line above. The exemptions of whole folders are
    counted.
    """
    outcome = Outcome()
    for violation in shown:
        place = f"{_below(root, violation)}:{violation['location']['row']}"
        advice = f"mend it; {violation['url']} says how"
        outcome.findings.append(Finding(violation["code"], place, violation["message"], advice))
    elsewhere = Counter[tuple[str, str]]()
    seen = {_key(violation) for violation in shown}
    for violation in known:
        if _key(violation) in seen:
            continue
        file, row, code = _below(root, violation), violation["noqa_row"], violation["code"]
        lines = ["", *Path(violation["filename"]).read_text().splitlines()]
        noqa = re.search(rf"# noqa: [A-Z0-9, ]*\b{code}\b(.*)", lines[row])
        if not noqa:
            elsewhere[code, file.split("/")[0]] += 1
            continue
        above = lines[row - 1].strip()
        reason = noqa[1].strip(" -#()") or (above.lstrip("# ") if above.startswith("#") else "")
        outcome.accepted.append(Accepted(code, f"{file}:{row}", reason))
        if not reason:
            advice = f"write it behind `# noqa: {code}`, or in a comment on the line above"
            outcome.findings.append(Finding(code, f"{file}:{row}", "the exemption has no reason", advice))
    for (code, folder), number in sorted(elsewhere.items()):
        places = f"{folder}/** ({number} place{'s' if number > 1 else ''})"
        outcome.accepted.append(Accepted(code, places, "per-file-ignores in pyproject.toml"))
    return outcome


def _key(violation: dict[str, Any]) -> tuple[str, int, int, str]:
    location = violation["location"]
    return violation["filename"], location["row"], location["column"], violation["code"]


def _below(root: Path, violation: dict[str, Any]) -> str:
    return Path(violation["filename"]).relative_to(root).as_posix()
