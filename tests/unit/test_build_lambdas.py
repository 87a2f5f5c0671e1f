"""The packages that Terraform deploys are reproducible and complete."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("build_lambdas", ROOT / "scripts" / "build_lambdas.py")
assert spec
assert spec.loader
build_lambdas = importlib.util.module_from_spec(spec)
# Dataclasses look their module up while they are made.
sys.modules[spec.name] = build_lambdas
spec.loader.exec_module(build_lambdas)


# ---- the same bytes everywhere -----------------------------------------------------------------------------


def copied_tree(folder: Path) -> Path:
    """A copy of what the packages are made of, with the wheels that `make build` has downloaded."""
    shutil.copytree(ROOT / "lambdas", folder / "lambdas", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "build_lambdas.py", folder / "scripts")
    if build_lambdas.WHEELS.is_dir():
        shutil.copytree(build_lambdas.WHEELS, folder / "build" / "wheels")
    return folder


def build(tree: Path, umask: int = 0o022, **variables: str) -> str:
    """Build a copied tree in a process of its own; return the checksums that it prints."""
    command = [sys.executable, str(tree / "scripts" / "build_lambdas.py"), "--checksums"]
    environment = {**os.environ, **variables}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, umask=umask, cwd="/", check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("\n")[2]


def test_two_builds_in_two_folders_give_the_same_sha_256_for_every_zip_and_layer(tmp_path: Path) -> None:
    one = copied_tree(tmp_path / "one")
    two = copied_tree(tmp_path / "somewhere" / "else" / "two")
    for number, path in enumerate(sorted((two / "lambdas").rglob("*"))):
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.utime(path, (10**9 + number, 10**9 + number))
    # What editors, tests and operating systems leave behind.
    for litter in (
        "decide/__pycache__/handler.cpython-312.pyc",
        "decide/.DS_Store",
        "shared/.mypy_cache/x.json",
        "decide/handler.py~",
    ):
        (two / "lambdas" / litter).parent.mkdir(exist_ok=True)
        (two / "lambdas" / litter).write_text("litter")
    first = build(one, TZ="UTC", PYTHONHASHSEED="0", LC_ALL="C")
    second = build(two, umask=0o077, TZ="Asia/Tokyo", PYTHONHASHSEED="1", LC_ALL="C.UTF-8")
    assert first == second
    built = {line.split("  ")[1] for line in first.splitlines()}
    assert built == {f"dist/lambdas/{name}.zip" for name in build_lambdas.function_names()} | {
        f"dist/layers/{layer.name}.zip" for layer in build_lambdas.LAYERS
    }
    assert len(built) > 10


def test_the_checksums_are_those_of_the_files(tmp_path: Path) -> None:
    package = tmp_path / "dist" / "lambdas" / "one.zip"
    assert build_lambdas.write_if_changed(package, b"one")
    (line,) = build_lambdas.checksums(tmp_path / "dist")
    assert line == f"{hashlib.sha256(b'one').hexdigest()}  dist/lambdas/one.zip"


# ---- the packages ------------------------------------------------------------------------------------------


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


def test_only_the_function_whose_source_changed_is_written(tmp_path: Path) -> None:
    tree = copied_tree(tmp_path)
    build(tree)
    handler = tree / "lambdas" / "decide" / "handler.py"
    handler.write_text(handler.read_text() + "\n# changed\n")
    command = [sys.executable, str(tree / "scripts" / "build_lambdas.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("1 written (decide)")


def test_a_changed_byte_changes_the_package() -> None:
    assert build_lambdas.zip_bytes({"a.py": b"1"}) != build_lambdas.zip_bytes({"a.py": b"2"})


def test_a_file_that_would_be_twice_in_a_package_is_refused() -> None:
    with pytest.raises(build_lambdas.BuildError, match=r"a\.py would be twice"):
        build_lambdas.merged({"a.py": b"1"}, {"a.py": b"1"})


def test_the_package_of_a_function_that_is_gone_is_removed(tmp_path: Path) -> None:
    stale = tmp_path / "lambdas" / "gone.zip"
    stale.parent.mkdir()
    stale.write_bytes(b"old")
    build_lambdas.remove_stale(["decide"], tmp_path)
    assert not stale.exists()


def test_the_readme_lists_every_function() -> None:
    readme = (build_lambdas.LAMBDAS / "README.md").read_text()
    functions, _, _ = readme.partition("\n## ")
    listed = [line.split("`")[1] for line in functions.splitlines() if line.startswith("| `")]
    assert sorted(listed) == build_lambdas.function_names()


# ---- the layer ---------------------------------------------------------------------------------------------


def wheel(folder: Path, name: str, files: dict[str, str]) -> str:
    """Write a wheel and return its hash."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_layer_is_what_the_pinned_wheels_put_beside_other_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "one/": "",
        "one/__init__.py": "A = 1",
        "one-1.0.data/purelib/extra.py": "",
        "one-1.0.data/scripts/one": "#!python",
        "one-1.0.dist-info/METADATA": "",
        "one-1.0.dist-info/RECORD": "",
    }
    digest = wheel(tmp_path / "wheels", "one", files)
    wheel(tmp_path / "wheels", "other", {"other.py": ""})
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"# Why.\none==1.0 \\\n    --hash=sha256:{digest}\n")
    monkeypatch.setattr(build_lambdas, "WHEELS", tmp_path / "wheels")
    layer = build_lambdas.Layer("one", requirements)
    assert build_lambdas.build_layer(layer, tmp_path)
    assert not build_lambdas.build_layer(layer, tmp_path)
    with zipfile.ZipFile(tmp_path / "layers" / "one.zip") as archive:
        assert archive.namelist() == [
            "python/extra.py",
            "python/one-1.0.dist-info/METADATA",
            "python/one/__init__.py",
        ]


def test_a_wheel_that_is_not_the_pinned_one_is_never_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(tmp_path / "wheels", "one", {"one.py": "changed"})
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"one==1.0 --hash=sha256:{'0' * 64}\n")
    monkeypatch.setattr(build_lambdas, "_download", lambda *_: None)
    with pytest.raises(build_lambdas.BuildError, match=r"no wheel of one 1\.0 that has the hash"):
        build_lambdas.wheels(requirements, tmp_path / "wheels")


@pytest.mark.parametrize(
    "text", ["one\n", "one>=1\n", "one==1.0\n", "one==1.0 --hash=sha256:12\n", "# none\n"]
)
def test_a_requirement_without_version_and_hash_is_refused(text: str) -> None:
    with pytest.raises(build_lambdas.BuildError, match=r"lambdas/requirements\.txt"):
        build_lambdas.pinned(text)


def test_without_the_index_the_message_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"surely-not-there==1.0 --hash=sha256:{'0' * 64}\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(build_lambdas.BuildError, match="pip could not fetch"):
        build_lambdas.wheels(requirements, tmp_path / "wheels")


def pinned_by(layer: str) -> dict[str, str]:
    """The versions by name of what a layer carries."""
    [requirements] = [each.requirements for each in build_lambdas.LAYERS if each.name == layer]
    return {one.name: one.version for one in build_lambdas.pinned(requirements.read_text())}


def test_the_imaging_layer_pins_what_masks_need_and_nothing_else() -> None:
    assert pinned_by("imaging").keys() == {"numpy", "pillow"}
    assert {layer.name for layer in build_lambdas.LAYERS} == {"powertools", "imaging"}


def test_a_large_layer_keeps_the_wheels_compression_and_leaves_out_what_nothing_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    path = folder / "numeric-1.0-py3-none-any.whl"
    kept = {
        "numeric/__init__.py": "A = 1\n" * 999,
        "numeric/core.so": "\0" * 999,
        "numeric/lib/a.py": "B = 2",
    }
    left_out = dict.fromkeys(
        ("numeric/core.pyi", "numeric/tests/test_core.py", "numeric/f2py/run.py"), "unused"
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, text in {**kept, **left_out}.items():
            archive.writestr(name, text)
        inside = {info.filename: info.compress_size for info in archive.infolist()}
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"numeric==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n")
    monkeypatch.setattr(build_lambdas, "WHEELS", folder)
    [imaging] = [layer for layer in build_lambdas.LAYERS if layer.name == "imaging"]
    assert build_lambdas.build_layer(dataclasses.replace(imaging, requirements=requirements), tmp_path)
    with zipfile.ZipFile(tmp_path / "layers" / "imaging.zip") as archive:
        assert archive.testzip() is None
        found = {name: archive.read(f"python/{name}").decode() for name in kept}
        assert archive.namelist() == [f"python/{name}" for name in sorted(kept)]
        sizes = {info.filename.removeprefix("python/"): info.compress_size for info in archive.infolist()}
    assert found == kept
    assert sizes == {name: inside[name] for name in kept}
    monkeypatch.setattr(build_lambdas, "UPLOAD_BYTES_MAXIMUM", 100)
    with pytest.raises(build_lambdas.BuildError, match="Lambda takes at most 100"):
        build_lambdas.build_layer(dataclasses.replace(imaging, requirements=requirements), tmp_path)


def test_no_function_imports_the_numerics_but_to_consolidate_masks() -> None:
    """Only one function has the layer with numpy and Pillow; the others must not even try."""
    program = """
        import importlib, pkgutil, sys
        sys.modules.update(dict.fromkeys(("numpy", "PIL")))
        import truthloop
        for module in pkgutil.walk_packages(truthloop.__path__, "truthloop."):
            if module.name != "truthloop.consolidation.masks":
                importlib.import_module(module.name)
        from truthloop import task_types
        for name in task_types.names():
            module = task_types.get(name)
            print(name, module.task_input({module.SOURCE_KEY: "x"}, ["a"])["taskObject"])
        """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": str(build_lambdas.SHARED)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "semantic-segmentation x" in result.stdout


def test_the_layer_carries_the_powertools_that_the_tests_run_with() -> None:
    versions = pinned_by("powertools")
    powertools = pytest.importorskip("aws_lambda_powertools.shared.version")
    assert versions["aws-lambda-powertools"] == powertools.VERSION
