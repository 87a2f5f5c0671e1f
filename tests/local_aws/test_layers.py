"""A layer whose compiled packages are for another Python works with this environment's copies of them."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import TYPE_CHECKING

import numpy
import pytest

from local_aws import layers

if TYPE_CHECKING:
    from conftest import Account

FOREIGN = "core.cpython-399-x86_64-linux-gnu.so"


def layer(folder: Path, *files: str) -> Path:
    python = folder / "python"
    for name in files:
        path = python / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("VALUE = 'layer'\n")
    return python


def test_a_layer_that_this_python_can_import_is_used_as_it_is(tmp_path: Path) -> None:
    names = [f"numpy/core{suffix}" for suffix in EXTENSION_SUFFIXES]
    python = layer(tmp_path, "numpy/__init__.py", "plain/__init__.py", "single.py", *names)
    assert layers.foreign_packages(python) == []
    assert layers.importable(python) == python


def test_exactly_the_foreign_packages_are_replaced(tmp_path: Path) -> None:
    python = layer(tmp_path, "numpy/__init__.py", f"numpy/deep/{FOREIGN}", "plain/__init__.py", "single.py")
    found = layers.importable(python)
    assert layers.foreign_packages(python) == ["numpy"]
    assert {path.name for path in found.iterdir()} == {"numpy", "plain", "single.py"}
    assert (found / "numpy").resolve() == Path(numpy.__file__).resolve().parent
    assert (found / "plain" / "__init__.py").read_text() == (found / "single.py").read_text()
    assert layers.importable(python) == found


def test_a_foreign_package_that_is_not_installed_here_is_named(tmp_path: Path) -> None:
    python = layer(tmp_path, "surely_nowhere/__init__.py", f"surely_nowhere/{FOREIGN}")
    with pytest.raises(RuntimeError, match="surely_nowhere for another Python"):
        layers.importable(python)


def test_a_function_imports_this_environments_numerics_and_the_rest_of_the_layer(account: Account) -> None:
    files = {
        "python/numpy/__init__.py": "raise ImportError('for another Python')",
        f"python/numpy/{FOREIGN}": "",
        "python/PIL/__init__.py": "raise ImportError('for another Python')",
        f"python/PIL/{FOREIGN}": "",
        "python/numpy.libs/libblas.so": "",
        "python/plain.py": "VALUE = 'layer'",
    }
    version = account.client("lambda").publish_layer_version(
        LayerName="numerics", Content={"ZipFile": account.package(files)}
    )
    source = """
        import importlib.util
        import numpy, plain
        from PIL import Image
        def lambda_handler(event, context):
            pixels = numpy.asarray(Image.new("L", (3, 2), 7))
            return [pixels.sum().item(), plain.VALUE, importlib.util.find_spec("scipy") is None]
        """
    function = account.function(source, Layers=[version["LayerVersionArn"]])
    assert account.invoke(function, {}) == [42, "layer", True]
