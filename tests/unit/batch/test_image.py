"""The image holds what the program imports, in versions that the project allows, and runs without root."""

from __future__ import annotations

import importlib.metadata
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "batch_image" / "Dockerfile").read_text(encoding="utf-8")


def pins(file: str) -> dict[str, Requirement]:
    return {
        canonicalize_name(requirement.name): requirement
        for line in (ROOT / "batch_image" / file).read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
        for requirement in [Requirement(line)]
    }


PINS, ONNX_PINS = pins("requirements.txt"), pins("requirements-onnx.txt")


def project_requirements(extra: str = "batch") -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = project["dependencies"] + project["optional-dependencies"][extra]
    assert len(texts) >= 2
    return [Requirement(text) for text in texts]


def closure(*extras: str) -> set[str]:
    """All distributions that these extras of the project lead to, as they are installed here."""
    waiting, found = [each.name for extra in extras for each in project_requirements(extra)], set()
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in found:
            found.add(name)
            for text in importlib.metadata.requires(name) or []:
                requirement = Requirement(text)
                if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                    waiting.append(requirement.name)
    return found


def instructions(word: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return [line.removeprefix(word).strip() for line in joined.splitlines() if line.startswith(f"{word} ")]


def test_every_library_has_one_exact_version() -> None:
    for name, pin in (PINS | ONNX_PINS).items():
        assert re.fullmatch(r"==\d[\w.]*", str(pin.specifier)), name


def test_the_versions_are_those_that_the_project_allows() -> None:
    pinned = PINS | ONNX_PINS
    for requirement in project_requirements() + project_requirements("onnx"):
        version = str(pinned[canonicalize_name(requirement.name)].specifier).removeprefix("==")
        assert requirement.specifier.contains(version), requirement


def test_no_library_is_missing_or_left_over() -> None:
    assert set(PINS) == closure("batch")


def test_the_optional_libraries_are_those_that_onnx_adds() -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: install the extra onnx")
    assert set(ONNX_PINS) == closure("batch", "onnx") - set(PINS)


def test_the_base_is_one_exact_python_of_the_series_that_the_functions_run_on() -> None:
    (base,) = instructions("FROM")
    assert re.fullmatch(r"python:3\.12\.\d+-slim-\w+", base)


def test_the_program_does_not_run_as_root() -> None:
    (user,) = instructions("USER")
    assert user.isdigit()
    assert int(user) > 0


def test_the_entrypoint_is_the_program() -> None:
    assert instructions("ENTRYPOINT") == ['["python", "-m", "truthloop_batch"]']


@pytest.mark.parametrize("line", instructions("COPY"))
def test_what_is_copied_exists_and_is_not_ignored(line: str) -> None:
    source = shlex.split(line)[0]
    assert (ROOT / source).exists()
    assert f"!{source}" in (ROOT / "batch_image" / "Dockerfile.dockerignore").read_text().splitlines()
