"""The repository's files as texts, parsed on demand, so that an edited copy can be checked too."""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import hcl2

ROOT = Path(__file__).resolve().parents[2]
PATTERNS = (
    ".checkov.yaml",
    "batch_image/Dockerfile",
    "batch_image/**/*.py",
    "batch_image/requirements.txt",
    "lambdas/**/*.py",
    "pyproject.toml",
    "scripts/build_lambdas.py",
    "scripts/truthloop_cli/environments.py",
    "terraform/**/*.tf",
    "terraform/**/README.md",
    "terraform/envs/*",
    "terraform/state_machines/*.asl.json",
    "terraform/tests/*.tftest.hcl",
    "ui_templates/*/template.liquid.html",
)
# Version 8 of the parser keeps the quotes of strings and labels unless it is told not to.
_OPTIONS = hcl2.SerializationOptions(strip_string_quotes=True, explicit_blocks=False, with_comments=False)

Things = TypeVar("Things")


class NothingFound(AssertionError):
    """A check found nothing to check: it would pass whatever the files hold."""


def some(things: Things, what: str) -> Things:
    """Return a collection, or say that it is empty."""
    if not things:
        raise NothingFound(f"no {what} found")
    return things


@functools.cache
def parse_hcl(text: str) -> Mapping[str, Any]:
    """Parse a Terraform file: blocks are lists, labels keys, and expressions texts of the form `${…}`."""
    return hcl2.loads(text, serialization_options=_OPTIONS)


def parse_expression(expression: str) -> Any:
    """Parse a text such as `{a = 1}` the way a file's attribute is parsed."""
    return parse_hcl(f"x = {expression}\n")["x"]


@dataclass(frozen=True, repr=False)
class Stack:
    """One Terraform folder, a root, a module or an example: its path and its *.tf files by name."""

    path: str
    files: Mapping[str, str]

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    def blocks(self, kind: str) -> Iterator[Mapping[str, Any]]:
        """All blocks of a kind, each with its labels as nested keys."""
        for text in self.files.values():
            yield from parse_hcl(text).get(kind, [])

    def named(self, kind: str) -> dict[str, Mapping[str, Any]]:
        """The bodies of blocks with one label (variable, output, module, provider) by it."""
        return {name: body for block in self.blocks(kind) for name, body in block.items()}

    def typed(self, kind: str) -> dict[tuple[str, str], Mapping[str, Any]]:
        """The bodies of blocks with two labels (resource, data) by type and name."""
        return {
            (type_, name): body
            for block in self.blocks(kind)
            for type_, things in block.items()
            for name, body in things.items()
        }

    def resource(self, type_: str, name: str = "this") -> Mapping[str, Any]:
        """The body of one resource; empty when it isn't declared."""
        return self.typed("resource").get((type_, name), {})

    def locals(self) -> dict[str, Any]:
        return self._locals

    @functools.cached_property
    def _locals(self) -> dict[str, Any]:
        return {name: value for block in self.blocks("locals") for name, value in block.items()}


@dataclass(frozen=True, repr=False)
class Repository:
    """The files that the checks read, by their path relative to the repository."""

    files: Mapping[str, str]

    @classmethod
    def load(cls, root: Path = ROOT) -> Repository:
        paths = sorted({path for pattern in PATTERNS for path in root.glob(pattern) if path.is_file()})
        own = [path for path in paths if ".terraform" not in path.parts]
        return cls({path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in own})

    def edited(self, path: str, old: str, new: str) -> Repository:
        """A copy in which every `old` of one file is `new`; `old` must be there.

        A space or line end in `old` stands for any number of both, since `terraform fmt` aligns.
        """
        pattern = r"\s+".join(re.escape(part) for part in old.split())
        text, found = re.subn(pattern, lambda _: new, self.text(path))
        if not found:
            raise ValueError(f"{path} does not hold {old!r}")
        return Repository({**self.files, path: text})

    def with_file(self, path: str, text: str) -> Repository:
        """A copy that has a file more."""
        return Repository({**self.files, path: text})

    def without(self, path: str) -> Repository:
        """A copy that lacks a file, which must be there."""
        return Repository({name: self.files[name] for name in self.files.keys() - {path}})

    def text(self, path: str) -> str:
        if path not in self.files:
            raise NothingFound(f"no file {path} found")
        return self.files[path]

    def matching(self, pattern: str) -> dict[str, str]:
        """The texts of the files whose path matches a pattern, such as terraform/envs/*.tfvars."""
        found = {path: text for path, text in self.files.items() if PurePosixPath(path).match(pattern)}
        return some(found, pattern)

    @functools.cached_property
    def _stacks(self) -> Mapping[str, Stack]:
        """Every folder with Terraform files."""
        folders: dict[str, dict[str, str]] = {}
        for path, text in self.files.items():
            if path.endswith(".tf"):
                folder, _, name = path.rpartition("/")
                folders.setdefault(folder, {})[name] = text
        return {folder: Stack(folder, files) for folder, files in sorted(folders.items())}

    def stack(self, path: str) -> Stack:
        return some(self._stacks.get(path), f"*.tf in {path}")

    def module(self, name: str) -> Stack:
        return self.stack(f"terraform/modules/{name}")

    @property
    def root(self) -> Stack:
        return self.stack("terraform")

    def roots(self) -> list[Stack]:
        return [self.root, self.stack("terraform/bootstrap")]

    def modules(self) -> list[Stack]:
        return self._stacks_below("terraform/modules")

    def stacks(self) -> list[Stack]:
        """The two roots and all modules."""
        return [*self.roots(), *self.modules()]

    def examples(self) -> list[Stack]:
        """What shows how to call each module, and the whole stack."""
        return self._stacks_below("terraform/examples")

    def _stacks_below(self, folder: str) -> list[Stack]:
        found = [stack for path, stack in self._stacks.items() if posixpath.dirname(path) == folder]
        return some(found, f"{folder}/*/*.tf")

    def source(self, stack: Stack, call: Mapping[str, Any]) -> str:
        """The path in the repository of what a module call of a stack calls."""
        return posixpath.normpath(f"{stack.path}/{call['source']}")

    def handlers(self) -> dict[str, str]:
        """The handlers' texts by the function's folder."""
        found = self.matching("lambdas/*/handler.py")
        return {PurePosixPath(path).parent.name: text for path, text in found.items()}

    def functions(self) -> Mapping[str, Any]:
        """The functions that Terraform deploys, by folder."""
        return some(self.root.locals().get("functions", {}), "functions in the root's locals")
