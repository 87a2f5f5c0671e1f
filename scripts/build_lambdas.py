"""Builds the Lambda packages and their layer into dist/, with the same bytes on every machine.

Entries are sorted, stored uncompressed (deflate's bytes differ between zlib builds), and carry a fixed
date and mode. A package is written only when its bytes change, so Terraform sees only true changes.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAMBDAS = ROOT / "lambdas"
SHARED = LAMBDAS / "shared"
REQUIREMENTS = LAMBDAS / "requirements.txt"
ZIP_DATE = (1980, 1, 1, 0, 0, 0)
FILE_MODE = 0o100644 << 16
LAMBDA_PYTHON = "3.12"
LAMBDA_PLATFORM = "manylinux2014_x86_64"
SKIPPED_DIRECTORIES = {"__pycache__", "bin"}
# What pip writes about its own run: the time and the machine, nothing that the code needs.
SKIPPED_FILES = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}


def function_names(lambdas: Path = LAMBDAS) -> list[str]:
    """Return the functions' names: the folders of `lambdas` that hold a handler.py."""
    return sorted(path.parent.name for path in lambdas.glob("*/handler.py"))


def files_below(folder: Path, prefix: str = "") -> list[tuple[str, Path]]:
    """Return (archive name, path) of every file below a folder that belongs into a package."""
    return [
        (prefix + path.relative_to(folder).as_posix(), path)
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix != ".pyc"
        and path.name not in SKIPPED_FILES
        and not SKIPPED_DIRECTORIES.intersection(path.relative_to(folder).parts)
        and not any(part.endswith(".egg-info") for part in path.relative_to(folder).parts)
    ]


def zip_bytes(entries: Iterable[tuple[str, Path]]) -> bytes:
    """Return a zip archive of (archive name, path) entries whose bytes depend on names and contents alone."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, path in sorted(entries):
            info = zipfile.ZipInfo(name, ZIP_DATE)
            info.external_attr = FILE_MODE
            # Fixed, because the default records the system that ran the build.
            info.create_system = 3
            archive.writestr(info, path.read_bytes())
    return buffer.getvalue()


def write_if_changed(target: Path, content: bytes) -> bool:
    """Write a file unless it holds these bytes already; return whether it was written."""
    if target.exists() and target.read_bytes() == content:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(target)
    return True


def build_function(name: str, dist: Path) -> bool:
    """Build dist/lambdas/<name>.zip: the function's folder and the shared package."""
    entries = files_below(LAMBDAS / name) + files_below(SHARED)
    return write_if_changed(dist / "lambdas" / f"{name}.zip", zip_bytes(entries))


def build_layer(dist: Path) -> bool:
    """Build dist/layers/powertools.zip from the pinned requirements, unless it is there for them."""
    target = dist / "layers" / "powertools.zip"
    stamp = target.with_suffix(".requirements")
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if target.exists() and stamp.exists() and stamp.read_text() == digest:
        return False
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--no-compile", "--no-deps", "--only-binary=:all:", "--platform", LAMBDA_PLATFORM]
        command += ["--python-version", LAMBDA_PYTHON, "--target", folder, "--requirement", str(REQUIREMENTS)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            sys.exit(
                f"The layer could not be built: pip could not fetch {REQUIREMENTS.relative_to(ROOT)}.\n"
                f"Check that PyPI is reachable, then run `make build` again.\n{result.stderr}"
            )
        written = write_if_changed(target, zip_bytes(files_below(Path(folder), prefix="python/")))
    stamp.write_text(digest)
    return written


def remove_stale(names: Iterable[str], dist: Path) -> None:
    """Remove the packages of functions that no longer exist."""
    kept = {f"{name}.zip" for name in names}
    for package in (dist / "lambdas").glob("*.zip"):
        if package.name not in kept:
            package.unlink()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="where to build (default: dist)")
    parser.add_argument("--clean", action="store_true", help="build everything anew")
    arguments = parser.parse_args(argv)
    if arguments.clean:
        shutil.rmtree(arguments.dist, ignore_errors=True)
    names = function_names()
    if not names:
        sys.exit(f"No function found: {LAMBDAS} holds no folder with a handler.py.")
    written = [name for name in names if build_function(name, arguments.dist)]
    written += ["powertools layer"] if build_layer(arguments.dist) else []
    remove_stale(names, arguments.dist)
    print(
        f"build: {len(names)} functions and 1 layer, {len(written)} written"
        + (f" ({', '.join(written)})" if written else "")
    )


if __name__ == "__main__":
    main()
