"""What the deployed Python can reach from where it starts: which functions, and which calls to AWS.

The answer errs on the side of more: a method that is called on something unknown is that method of every
class which the reachable code names and whose parameters the call fits. So what is not found here is not
called, unless by a name made at run time.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import botocore.loaders
from botocore import xform_name

# The roots of the import paths, in the repository.
_IMPORT_ROOTS = ("lambdas/shared/", "batch_image/")
# As `boto3.client` and as IAM call the services.
SERVICES = {
    "dynamodb": "dynamodb",
    "s3": "s3",
    "sagemaker": "sagemaker",
    "sns": "sns",
    "stepfunctions": "states",
}
# S3's actions are not called after its operations.
_ACTIONS = {
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:GetBucketCors": "s3:GetBucketCORS",
}

_CLIENT = re.compile(rf"client$|^aws\.(?:{'|'.join(SERVICES)})\(\)$")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Node = tuple[str, str]


@functools.cache
def operations() -> Mapping[str, str]:
    """The IAM action of every method of a boto3 client that the code may use."""
    loader = botocore.loaders.Loader()
    found = {}
    for service, prefix in SERVICES.items():
        for operation in loader.load_service_model(service, "service-2")["operations"]:
            action = f"{prefix}:{operation}"
            found[xform_name(operation)] = _ACTIONS.get(action, action)
    return found


@dataclass
class Module:
    """One parsed Python file: its functions and methods by qualified name, its classes and its imports."""

    name: str
    tree: ast.Module
    functions: dict[str, Function] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)

    @classmethod
    def parse(cls, name: str, text: str) -> Module:
        module = cls(name, ast.parse(text))
        for node in module.tree.body:
            if isinstance(node, Function):
                module.functions[node.name] = node
            elif isinstance(node, ast.ClassDef):
                module.classes[node.name] = node
                for item in node.body:
                    if isinstance(item, Function):
                        module.functions[f"{node.name}.{item.name}"] = item
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    module.imports[alias.asname or alias.name] = (alias.name, None)
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    module.imports[alias.asname or alias.name] = (node.module, alias.name)
        return module


@functools.cache
def _parse(name: str, text: str) -> Module:
    return Module.parse(name, text)


def load(files: Mapping[str, str], *entries: str) -> dict[str, Module]:
    """The importable modules and the entry files, which are modules named after their path."""
    modules = {}
    for path, text in files.items():
        if not path.endswith(".py"):
            continue
        root = next((root for root in _IMPORT_ROOTS if path.startswith(root)), None)
        if root:
            name = ".".join(PurePosixPath(path.removeprefix(root)).with_suffix("").parts)
            name = name.removesuffix(".__init__")
        elif path in entries:
            name = path
        else:
            continue
        modules[name] = _parse(name, text)
    return modules


def reachable(modules: Mapping[str, Module], *entries: Node) -> dict[Node, Function]:
    """The functions that (module, qualified name) entries reach, themselves among them."""
    search = _Search(modules)
    for entry in entries:
        search.enter_module(entry[0])
        search.enter(entry)
    search.run()
    return {node: modules[node[0]].functions[node[1]] for node in search.seen}


class _Search:
    def __init__(self, modules: Mapping[str, Module]) -> None:
        self._modules = modules
        self._open: list[Node] = []
        self.seen: set[Node] = set()
        self._entered: set[str] = set()
        self._classes: set[tuple[str, str]] = set()
        # The calls of each method name, None for a mention without a call.
        self._calls: dict[str, list[ast.Call | None]] = {}

    def run(self) -> None:
        while self._open:
            module, name = self._open.pop()
            self._read(self._modules[module], self._modules[module].functions[name])

    def enter(self, node: Node) -> None:
        if node not in self.seen:
            self.seen.add(node)
            self._open.append(node)

    def enter_module(self, name: str) -> None:
        """Importing a module runs its top level, and so the imports there."""
        if name in self._entered or name not in self._modules:
            return
        self._entered.add(name)
        module = self._modules[name]
        for statement in module.tree.body:
            if not isinstance(statement, Function | ast.ClassDef):
                self._read(module, statement)

    def _read(self, module: Module, tree: ast.AST) -> None:
        nodes = list(_without_annotations(tree))
        called = {id(node.func): node for node in nodes if isinstance(node, ast.Call)}
        # What was caught is an error, and errors have no methods of ours.
        errors = {node.name for node in nodes if isinstance(node, ast.ExceptHandler) and node.name}
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._import(node)
            elif isinstance(node, ast.Name):
                self._mention(module, node.id)
            elif isinstance(node, ast.Attribute) and getattr(node.value, "id", None) not in errors:
                self._read_attribute(module, node, called.get(id(node)))

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.ImportFrom):
            self.enter_module(node.module or "")
            for alias in node.names:
                self.enter_module(f"{node.module}.{alias.name}")
        else:
            for alias in node.names:
                self.enter_module(alias.name)

    def _mention(self, module: Module, name: str) -> None:
        if name in module.functions:
            self.enter((module.name, name))
        elif name in module.classes:
            self._enter_class(module.name, name)
        elif name in module.imports:
            source, original = module.imports[name]
            if original and source in self._modules:
                self._mention(self._modules[source], original)

    def _read_attribute(self, module: Module, node: ast.Attribute, call: ast.Call | None) -> None:
        if isinstance(node.value, ast.Name) and node.value.id in module.imports:
            source, original = module.imports[node.value.id]
            target = source if original is None else f"{source}.{original}"
            if target in self._modules:
                self._mention(self._modules[target], node.attr)
                return
        self._calls.setdefault(node.attr, []).append(call)
        for module_name, class_name in list(self._classes):
            self._enter_method(module_name, class_name, node.attr, [call])

    def _enter_class(self, module: str, name: str) -> None:
        if (module, name) in self._classes:
            return
        self._classes.add((module, name))
        body = self._modules[module].classes[name]
        for base in body.bases:
            if isinstance(base, ast.Name):
                self._mention(self._modules[module], base.id)
        for item in body.body:
            if isinstance(item, Function):
                calls = [None] if item.name.startswith("__") else self._calls.get(item.name, [])
                self._enter_method(module, name, item.name, calls)
            else:
                self._read(self._modules[module], item)

    def _enter_method(self, module: str, class_: str, name: str, calls: list[ast.Call | None]) -> None:
        method = self._modules[module].functions.get(f"{class_}.{name}")
        if method and any(call is None or _fits(call, method) for call in calls):
            self.enter((module, f"{class_}.{name}"))


def _fits(call: ast.Call, method: Function) -> bool:
    """Whether a method takes the arguments of a call."""
    if any(isinstance(item, ast.Starred) for item in call.args) or any(
        not item.arg for item in call.keywords
    ):
        return True
    positional = [item.arg for item in [*method.args.posonlyargs, *method.args.args]][1:]
    given = {*positional[: len(call.args)], *(item.arg for item in call.keywords)}
    required = {
        *positional[: len(positional) - len(method.args.defaults)],
        *(
            item.arg
            for item, default in zip(method.args.kwonlyargs, method.args.kw_defaults, strict=True)
            if not default
        ),
    }
    known = {*positional, *(item.arg for item in method.args.kwonlyargs)}
    few = len(call.args) <= len(positional) or method.args.vararg is not None
    return few and required <= given and (given <= known or method.args.kwarg is not None)


def _without_annotations(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes of a tree but those of its types, and of what is only imported for them."""
    yield tree
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns"):
            continue
        if isinstance(tree, ast.If) and "TYPE_CHECKING" in ast.unparse(tree.test):
            continue
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, ast.AST):
                yield from _without_annotations(item)


def actions(functions: Mapping[Node, Function]) -> dict[str, Node]:
    """The IAM action of every call to AWS in some functions, with one function that makes it."""
    known = operations()
    found: dict[str, Node] = {}
    for where, function in sorted(functions.items(), key=lambda item: item[0]):
        for node in ast.walk(function):
            name = _operation(node)
            if name in known:
                found.setdefault(known[name], where)
    return found


def _operation(node: ast.AST) -> str | None:
    """The method of a client that a node names: `client.put_object`, `client.get_paginator("query")`."""
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".get_paginator"):
        return str(ast.literal_eval(node.args[0]))
    # A single word such as search or publish is a common name: there the object must be a client.
    if isinstance(node, ast.Attribute) and ("_" in node.attr or _CLIENT.search(ast.unparse(node.value))):
        return node.attr
    return None
