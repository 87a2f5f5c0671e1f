"""The packages that Terraform deploys are reproducible and complete."""

from __future__ import annotations

import hashlib
import importlib.util
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("build_lambdas", ROOT / "scripts" / "build_lambdas.py")
assert spec
assert spec.loader
build_lambdas = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build_lambdas)


def test_two_builds_in_two_folders_give_the_same_bytes(tmp_path: Path) -> None:
    names = build_lambdas.function_names()
    assert len(names) >= 10
    digests = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        for name in names:
            build_lambdas.build_function(name, folder)
        digests.append(
            {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (folder / "lambdas").iterdir()}
        )
    assert digests[0] == digests[1]
    assert set(digests[0]) == {f"{name}.zip" for name in names}


def test_a_package_holds_its_handler_and_the_shared_package_and_nothing_built(tmp_path: Path) -> None:
    build_lambdas.build_function("preflight", tmp_path)
    with zipfile.ZipFile(tmp_path / "lambdas" / "preflight.zip") as archive:
        names = archive.namelist()
        assert {info.date_time for info in archive.infolist()} == {build_lambdas.ZIP_DATE}
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    assert {"handler.py", "truthloop/__init__.py", "truthloop/data/prices.json"} <= set(names)
    assert names == sorted(names)
    assert not [name for name in names if name.endswith(".pyc") or "egg-info" in name]


def test_an_unchanged_function_is_not_written_again(tmp_path: Path) -> None:
    assert build_lambdas.build_function("decide", tmp_path)
    assert not build_lambdas.build_function("decide", tmp_path)


def test_a_changed_byte_changes_the_package(tmp_path: Path) -> None:
    source = tmp_path / "handler.py"
    source.write_text("A = 1\n")
    before = build_lambdas.zip_bytes([("handler.py", source)])
    source.write_text("A = 2\n")
    assert build_lambdas.zip_bytes([("handler.py", source)]) != before


def test_the_package_of_a_function_that_is_gone_is_removed(tmp_path: Path) -> None:
    stale = tmp_path / "lambdas" / "gone.zip"
    stale.parent.mkdir()
    stale.write_bytes(b"old")
    build_lambdas.remove_stale(["decide"], tmp_path)
    assert not stale.exists()


def test_the_layer_carries_the_powertools_that_the_tests_run_with() -> None:
    pinned = dict(line.split("==") for line in build_lambdas.REQUIREMENTS.read_text().split() if "==" in line)
    powertools = pytest.importorskip("aws_lambda_powertools.shared.version")
    assert pinned["aws-lambda-powertools"] == powertools.VERSION


def test_the_readme_lists_every_function() -> None:
    readme = (build_lambdas.LAMBDAS / "README.md").read_text()
    listed = [line.split("`")[1] for line in readme.splitlines() if line.startswith("| `")]
    assert sorted(listed) == build_lambdas.function_names()
