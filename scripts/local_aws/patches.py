"""Replacing an internal of moto, so that a release of moto that changed it is noticed at once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

#: The release whose internals the modules of this package were written against.
MOTO_VERSION = "5.2.5"


class MotoChanged(RuntimeError):
    """An internal of moto that the embedded AWS replaces is not what it was."""


@dataclass(frozen=True)
class Patch:
    """One replaced attribute."""

    owner: str
    name: str
    original: Any
    replacement: Any


applied: list[Patch] = []


def check_version() -> None:
    """Raise `MotoChanged` unless the installed moto is the one that was read."""
    installed = version("moto")
    if installed != MOTO_VERSION:
        raise MotoChanged(
            f"moto {installed} is installed; local_aws replaces internals of moto {MOTO_VERSION}. Install "
            f"moto=={MOTO_VERSION}, or read the replaced internals anew and change patches.MOTO_VERSION."
        )


def _parameters(thing: Any) -> list[str] | None:
    if isinstance(thing, (staticmethod, classmethod)):
        thing = thing.__func__
    return list(inspect.signature(thing).parameters) if inspect.isroutine(thing) else None


def replace(owner: Any, name: str, replacement: Any) -> Any:
    """Replace an attribute of a module or class and return what it was.

    Parameters
    ----------
    owner
        A module or a class of moto.
    name
        An attribute that `owner` itself defines.
    replacement
        What takes its place; a function must have the parameters of the one that it replaces.

    Raises
    ------
    MotoChanged
        If the attribute is gone, or is a function with other parameters.
    """
    label = f"{owner.__module__}.{owner.__qualname__}" if inspect.isclass(owner) else owner.__name__
    if name not in vars(owner):
        raise MotoChanged(f"{label}.{name} is gone from moto {version('moto')}: local_aws replaces it.")
    original = vars(owner)[name]
    wanted, found = _parameters(replacement), _parameters(original)
    if None not in (wanted, found) and wanted != found:
        raise MotoChanged(
            f"{label}.{name} takes {found} in moto {version('moto')}; local_aws expects {wanted}."
        )
    setattr(owner, name, replacement)
    applied.append(Patch(label, name, original, replacement))
    return original


def add(owner: type, name: str, attribute: Any) -> None:
    """Give a class an attribute that it lacks.

    Raises
    ------
    MotoChanged
        If the class has it by now.
    """
    label = f"{owner.__module__}.{owner.__qualname__}"
    if hasattr(owner, name):
        raise MotoChanged(f"{label}.{name} exists in moto {version('moto')}: local_aws need not add it.")
    setattr(owner, name, attribute)
    applied.append(Patch(label, name, None, attribute))


def method(owner: type, name: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Replace a method of a class by the decorated function, which finds the former one as ``.original``."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        function.original = replace(owner, name or function.__name__, function)  # type: ignore[attr-defined]
        return function

    return decorate


def route(paths: dict[str, Any], path: str, former: type, response: type) -> None:
    """Let a subclass of moto's response class answer the requests to a path of its table of URLs."""
    if path not in paths or paths[path] != former.dispatch:
        raise MotoChanged(
            f"moto {version('moto')} no longer answers {path!r} by {former.__qualname__}.dispatch."
        )
    paths[path] = response.dispatch
    applied.append(Patch(former.__module__.replace("responses", "urls"), path, former, response))
