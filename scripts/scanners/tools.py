"""Installs the scanners' programs apart from the project, and runs them."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from scanners.outcome import NotScanned
from truthloop_cli import rendered

ROOT = Path(__file__).resolve().parents[2]
# checkov pins a boto3 of its own, which would fight with the project's.
VENV = ROOT / "build" / "scan-venv"
# parliament imports pkg_resources, which setuptools has no longer from 82 on.
PROGRAMS = ("checkov==3.3.30", "parliament==1.6.4", "pip-audit==2.10.1", "setuptools==80.9.0")
# The environment whose values matter most.
ENVIRONMENT = "prod"


def run(command: list[str | Path], stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command in the repository's root; its exit code is the caller's business."""
    return subprocess.run(command, cwd=ROOT, input=stdin, capture_output=True, text=True, check=False)


def read_json(result: subprocess.CompletedProcess[str], program: str) -> Any:
    """Return the JSON that a program printed.

    Raises
    ------
    NotScanned
        If it printed none; the end of its complaint is in the message.
    """
    try:
        return json.loads(result.stdout)
    except json.JSONDecodeError:
        complaint = end_of(result.stderr)
        raise NotScanned(
            f"{program} ended with exit code {result.returncode} and without a result: {complaint}"
        ) from None


def end_of(text: str) -> str:
    """Return the last two lines of a complaint, shortened, in one line."""
    lines = [textwrap.shorten(line, 200, placeholder=" …") for line in text.strip().splitlines()[-2:]]
    return " | ".join(lines) or "it printed nothing"


@functools.cache
def programs() -> Path:
    """Return the folder of the scanners' programs; they are installed where these versions are not there yet.

    Raises
    ------
    NotScanned
        If pip cannot install them.
    """
    stamp, wanted = VENV / ".programs", "\n".join((sys.version, *PROGRAMS))
    if stamp.is_file() and stamp.read_text() == wanted:
        return VENV / "bin"
    print(f" installing {', '.join(PROGRAMS)} (once) …", end="", flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    pip = [VENV / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in ([sys.executable, "-m", "venv", VENV], [*pip, *PROGRAMS]):
        result = run(command)
        if result.returncode:
            raise NotScanned(
                f"The scanners' programs could not be installed: {end_of(result.stderr)}. pip takes them "
                "from its index: check the network, or set PIP_INDEX_URL to a mirror."
            )
    stamp.write_text(wanted)
    return VENV / "bin"


@functools.cache
def plan() -> dict[str, Any]:
    """Return the plan of the stack as production would get it.

    Raises
    ------
    NotScanned
        If it cannot be made.
    """
    try:
        return rendered.plan(ENVIRONMENT)
    except rendered.RenderingFailed as problem:
        raise NotScanned(f"The stack of {ENVIRONMENT} could not be planned: {problem}") from None
