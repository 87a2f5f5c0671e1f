"""Layers whose compiled packages are for another Python: this environment's own copies take their place.

Lambda runs the functions on the Python that they declare; the embedded AWS runs them on its own, which may be
another. A compiled package of a layer could not be imported then. So exactly those packages are linked to
what is installed here, and everything else of the layer stays as it was deployed. A layer that this Python
can import is used as it is.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

# Where auditwheel puts the shared libraries of a package, beside it.
_LIBRARIES = ".libs"


def foreign_packages(layer: Path) -> list[str]:
    """Return the top-level packages of a layer's `python` folder that this Python cannot import, sorted."""
    return sorted(
        entry.name
        for entry in layer.iterdir()
        if entry.is_dir() and not entry.name.endswith(_LIBRARIES) and any(_foreign_modules(entry))
    )


def importable(layer: Path) -> Path:
    """Return a folder that holds what `layer` holds, with foreign packages replaced by this environment's.

    Parameters
    ----------
    layer
        The `python` folder of an unpacked layer. The result lies beside it, and is made once.

    Raises
    ------
    RuntimeError
        If a foreign package isn't installed here.
    """
    foreign = foreign_packages(layer) if layer.is_dir() else []
    if not foreign:
        return layer
    target = layer.with_name(f"{layer.name}-here")
    if target.exists():
        return target
    partial = target.with_suffix(".partial")
    partial.mkdir()
    replaced = {name: _installed(name) for name in foreign}
    places = {installed.parent for installed in replaced.values()}
    for entry in layer.iterdir():
        source = replaced.get(entry.name, entry)
        if entry.name.endswith(_LIBRARIES):
            # A package looks for its libraries beside itself, under the path that it was imported by.
            source = next((place / entry.name for place in places if (place / entry.name).exists()), entry)
        (partial / entry.name).symlink_to(source)
    partial.rename(target)
    return target


def _foreign_modules(package: Path) -> Iterator[Path]:
    for path in package.rglob("*.so"):
        # "_imaging.cpython-312-x86_64-linux-gnu.so"; a name without a tag fits every Python.
        if "." + path.name.partition(".")[2] not in EXTENSION_SUFFIXES:
            yield path


def _installed(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise RuntimeError(
            f"A layer brings {name} for another Python, and this environment has none to take its place. "
            "Run: make setup"
        )
    return Path(spec.origin).parent
