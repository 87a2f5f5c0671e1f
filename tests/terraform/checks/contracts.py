"""What the code calls, writes and shows is what its rights, tables, folders and templates are made for."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from terraform import code
from terraform.checks.registry import check
from terraform.checks.rights import statements
from terraform.repository import Repository, some

_SHARED = "lambdas/shared/truthloop"
_LAYOUT = f"{_SHARED}/layout.py"
_PROGRAM = "batch_job"
# How the methods of the gateway to S3 begin that write.
_WRITING = ("write_", "freeze_", "replace", "upload_")
# Rights that no call has the name of, and the call that uses them.
_USED_BY = {
    # Without it S3 says of a missing object that it may not be read.
    "s3:ListBucket": "s3:GetObject",
    # For an object by its version.
    "s3:GetObjectVersion": "s3:GetObject",
    "iam:PassRole": "sagemaker:CreateLabelingJob",
}
_NEEDED = ("iam:PassRole",)
# These ARNs a function hands on or writes down, and calls nothing with them.
_HANDED_ON = {"POST_ANNOTATION_FUNCTION_ARN", "PRE_ANNOTATION_FUNCTION_ARN", "WORKTEAM_ARN"}


def document(repository: Repository, name: str) -> list[Mapping[str, Any]]:
    """The statements of one of the root's policy documents, those of its sources too."""
    body = repository.root.typed("data").get(("aws_iam_policy_document", name), {})
    sources = [
        re.fullmatch(r"\$\{data\.aws_iam_policy_document\.(\w+)\.json\}", source)
        for source in body.get("source_policy_documents", [])
    ]
    found = [each for source in sources if source for each in document(repository, source[1])]
    return [*found, *statements(body)]


@dataclass(frozen=True)
class Program:
    """What a Lambda function, or the Batch program, can do from where it starts.

    Attributes
    ----------
    actions
        The IAM action of every call to AWS, with the function that makes it.
    folders
        The folders of a campaign that the code names.
    writes
        (folder, function) of every write whose place the writing function names itself.
    words
        Every name in the code.
    """

    actions: Mapping[str, code.Node]
    folders: frozenset[str]
    writes: tuple[tuple[str, str], ...]
    words: frozenset[str]


def programs(repository: Repository) -> Mapping[str, Program]:
    """What each program can do, by the name of its policy document."""
    return _programs(tuple((path, text) for path, text in repository.files.items() if path.endswith(".py")))


@functools.lru_cache(maxsize=8)
def _programs(files: tuple[tuple[str, str], ...]) -> Mapping[str, Program]:
    texts = dict(files)
    handlers = {PurePosixPath(path).parent.name: path for path in texts if path.endswith("/handler.py")}
    found = {
        folder: code.reachable(code.load(texts, path), (path, "lambda_handler"))
        for folder, path in some(handlers, "handlers").items()
    }
    modules = code.load(texts)
    starts = [
        (name, function)
        for name, module in modules.items()
        for function in ("main", "run")
        if name.startswith("truthloop_batch") and function in module.functions
    ]
    found[_PROGRAM] = code.reachable(modules, *some(starts, "subcommands of the Batch program"))
    folders = _folders(texts.get(_LAYOUT, ""))
    return {name: _program(functions, folders) for name, functions in found.items()}


def _program(functions: Mapping[code.Node, code.Function], folders: Mapping[str, str]) -> Program:
    named, writes, words = set(), [], set()
    for (module, where), function in functions.items():
        nodes = list(ast.walk(function))
        assigned = {
            ast.unparse(node.targets[0]): node.value for node in nodes if isinstance(node, ast.Assign)
        }
        words |= {node.id for node in nodes if isinstance(node, ast.Name)}
        for node in nodes:
            if isinstance(node, ast.Attribute) and node.attr in folders:
                named.add(folders[node.attr])
            if not isinstance(node, ast.Call) or not node.args:
                continue
            if ast.unparse(node.func) == "join_uri":
                named |= {str(item.value) for item in node.args[1:2] if isinstance(item, ast.Constant)}
            if isinstance(node.func, ast.Attribute) and node.func.attr.startswith(_WRITING):
                place = assigned.get(ast.unparse(node.args[0]), node.args[0])
                method = getattr(place.func, "attr", None) if isinstance(place, ast.Call) else None
                if method in folders:
                    writes.append((folders[method], f"{module}.{where}"))
    return Program(code.actions(functions), frozenset(named), tuple(writes), frozenset(words))


@check
def the_code_asks_for_clients_in_one_place(repository: Repository) -> Iterator[str]:
    path = f"{_SHARED}/aws.py"
    made = set(re.findall(r'\bclient\("(\w+)"\)', repository.text(path)))
    for service in sorted(some(made, f"clients in {path}") - code.SERVICES.keys()):
        yield f"{path} makes a client of {service}, whose calls nobody compares with the rights"
    for name, text in repository.files.items():
        own = re.search(r"\bboto3\.(client|resource|Session)\b", text)
        if own and name.startswith(("lambdas/", "batch_image/")) and name != path:
            yield f"{name} makes its own {own[0]}"


@check
def nothing_is_called_that_may_not_be_called(repository: Repository) -> Iterator[str]:
    for name, program in programs(repository).items():
        allowed = {action for statement in document(repository, name) for action in statement["actions"]}
        called = program.actions
        for action, (module, function) in called.items():
            if action not in allowed:
                yield f"{name} may not {action}, which {module}.{function} does"
        for action in _NEEDED:
            if _USED_BY[action] in called and action not in allowed:
                yield f"{name} may not {action}, which {_USED_BY[action]} needs"


@check
def nothing_may_be_called_that_is_not_called(repository: Repository) -> Iterator[str]:
    for name, program in programs(repository).items():
        called = program.actions
        for statement in document(repository, name):
            for action in statement["actions"]:
                if action not in called and _USED_BY.get(action) not in called:
                    yield f"{name} may {action}, which its code never does"


# ---- folders ---------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=8)
def _folders(layout: str) -> Mapping[str, str]:
    """The first part of the path, below the campaign's folder, of what each method of the layout names."""
    methods = {
        item.name: item.body[-1].value
        for node in ast.parse(layout).body
        if isinstance(node, ast.ClassDef) and node.name == "CampaignLayout"
        for item in node.body
        if isinstance(item, ast.FunctionDef) and isinstance(item.body[-1], ast.Return)
    }

    def path(name: str) -> str | None:
        value = methods[name]
        if (
            isinstance(value, ast.Call)
            and isinstance(value.func, ast.Attribute)
            and value.func.attr in methods
        ):
            return path(value.func.attr)
        if not isinstance(value, ast.JoinedStr) or not isinstance(value.values[0], ast.FormattedValue):
            return None
        base, rest = ast.unparse(value.values[0].value), ast.unparse(value)[2:-1].partition("}")[2]
        if base == "self.uri":
            return rest
        above = re.match(r"self\.(\w+)", base)
        return path(above[1]) if above and above[1] in methods else None

    paths = {name: path(name) for name in methods}
    return some(
        {name: text.partition("/")[0] for name, text in paths.items() if text}, "folders of the layout"
    )


def _writable(repository: Repository, name: str) -> set[str]:
    """The folders of a campaign that a document allows to write to; * for the whole campaign."""
    return {
        match[1].partition("/")[0]
        for statement in document(repository, name)
        if "s3:PutObject" in statement["actions"]
        for resource in statement["resources"]
        if (match := re.fullmatch(r"\$\{local\.arns\.data_bucket\}/campaigns/(?:\*/)?(.+)", resource))
    }


@check
def nothing_is_written_where_nothing_may_be_written(repository: Repository) -> Iterator[str]:
    writes = [
        (name, folder, where)
        for name, program in programs(repository).items()
        for folder, where in program.writes
    ]
    for name, folder, where in some(writes, "writes to a campaign's folders"):
        writable = _writable(repository, name)
        if folder not in writable and "*" not in writable:
            yield f"{name} may not write to {folder}, as {where} does"


@check
def nothing_may_be_written_where_nothing_is_written(repository: Repository) -> Iterator[str]:
    folders = [
        (name, program, folder)
        for name, program in programs(repository).items()
        for folder in sorted(_writable(repository, name) - {"*"})
    ]
    for name, program, folder in some(folders, "folders that may be written to"):
        if folder not in program.folders:
            yield f"{name} may write to {folder}, which its code does not name"


@check
def labeling_jobs_write_where_they_may(repository: Repository) -> Iterator[str]:
    output = _folders(repository.text(_LAYOUT)).get("labeling_prefix")
    if _writable(repository, "labeling") != {output}:
        yield f"labelling jobs write to {output}, and may to {sorted(_writable(repository, 'labeling'))}"
    answers = {
        resource
        for statement in document(repository, "post_annotation")
        if "s3:GetObject" in statement["actions"]
        for resource in statement["resources"]
    }
    folders = _folders(repository.text(_LAYOUT))
    wanted = {
        f"${{local.arns.data_bucket}}/campaigns/*/{each}/*" for each in (output, folders.get("workers"))
    }
    if answers != wanted:
        yield f"post_annotation reads {sorted(answers)}, not the answers and skills in {sorted(wanted)}"


@check
def templates_lie_where_the_code_looks_for_them(repository: Repository) -> Iterator[str]:
    key = str(repository.module("labeling").resource("aws_s3_object", "template").get("key"))
    looked_for = re.search(r's3://\{bucket\}/([^"]+)"', repository.text(_LAYOUT))
    if looked_for is None or looked_for[1].replace("{task_type}", "${each.key}") != key:
        yield f"templates are uploaded to {key}, and looked for at {looked_for and looked_for[1]}"
    readable = "${local.arns.data_bucket}/" + key.partition("/")[0] + "/*"
    for name in ("labeling", "preflight"):
        if not any(readable in statement["resources"] for statement in document(repository, name)):
            yield f"{name} may not read {readable}"


# ---- tables ----------------------------------------------------------------------------------------------

_GATEWAYS = {"jobs_table": f"{_SHARED}/labeling/jobs.py", "ledger_table": f"{_SHARED}/ledger.py"}


def _literals(tree: ast.AST, function: str) -> set[str]:
    """The keys of the dictionaries that a function returns."""
    return {
        key.value
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == function
        for item in ast.walk(node)
        if isinstance(item, ast.Return) and isinstance(item.value, ast.Dict)
        for key in item.value.keys
        if isinstance(key, ast.Constant)
    }


@check
def the_code_uses_the_keys_of_its_tables(repository: Repository) -> Iterator[str]:
    for call, path in _GATEWAYS.items():
        body = repository.root.named("module").get(call, {})
        keys = {body[key] for key in ("hash_key", "range_key") if key in body}
        text = repository.text(path)
        used = _literals(ast.parse(text), "_key")
        if used != some(keys, f"keys of module {call}"):
            yield f"{path} uses the keys {sorted(used)}, module {call} has {sorted(keys)}"
        for name in re.findall(r"attribute_not_exists\((\w+)\)", text):
            if name != body.get("hash_key"):
                yield f"{path} asks whether {name} exists, which is not the hash key of module {call}"


@check
def every_index_is_made_used_and_allowed(repository: Repository) -> Iterator[str]:
    body = repository.root.named("module").get("jobs_table", {})
    indexes = some(body.get("global_secondary_indexes", {}), "indexes of module jobs_table")
    path = _GATEWAYS["jobs_table"]
    tree = ast.parse(repository.text(path))
    constants = {
        ast.unparse(node.targets[0]): node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }
    keywords = [
        {item.arg: item.value for item in node.keywords}
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    ]
    queried = {
        str(constants.get(ast.unparse(call["IndexName"]))): ast.literal_eval(call["KeyConditionExpression"])
        for call in keywords
        if "IndexName" in call
    }
    for name in sorted(indexes.keys() ^ queried.keys()):
        yield f"the index {name} must be one of module jobs_table and be queried in {path}"
    fields = {
        item.target.id
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == "JobRecord"
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    }
    for name in sorted(indexes.keys() & queried.keys()):
        keys = set(indexes[name].values())
        for key in sorted(set(re.findall(r"#(\w+)", queried[name])) - keys):
            yield f"{path} asks the index {name} for {key}, which is none of its keys"
        for key in sorted(keys - fields):
            yield f"the index {name} has the key {key}, which no job record has"
    allowed = {
        resource.rpartition("/index/")[2]
        for folder in repository.functions()
        for statement in document(repository, folder)
        if "dynamodb:Query" in statement["actions"]
        for resource in statement["resources"]
    }
    if allowed != indexes.keys():
        yield f"the indexes {sorted(allowed)} may be queried, but there are {sorted(indexes)}"


# ---- environment -----------------------------------------------------------------------------------------


def _meant(repository: Repository, value: str) -> str | None:
    """The name in `local.arns` or `local.function_arns` of what an environment variable or a resource is."""
    arns = repository.root.locals().get("arns", {})
    if match := re.search(r"local\.(arns|function_arns)\.(\w+)", value):
        return match[2]
    inner = value.removeprefix("${").removesuffix("}")
    return next((name for name, arn in arns.items() if f"${{{inner}}}" in str(arn)), None)


@check
def a_function_may_use_what_its_environment_names(repository: Repository) -> Iterator[str]:
    for folder, function in repository.functions().items():
        allowed = {
            _meant(repository, resource)
            for statement in document(repository, folder)
            for resource in statement["resources"]
        }
        for variable, value in function["environment"].items():
            meant = _meant(repository, value)
            if meant is None:
                yield f"function {folder}: {variable} is {value}, which is nothing of the stack's"
            elif meant not in allowed and variable not in _HANDED_ON:
                yield f"function {folder} is told {variable}, but may not use {meant}"


@check
def a_function_is_told_of_the_stores_that_it_may_use(repository: Repository) -> Iterator[str]:
    stores = {"data_bucket", "jobs_table", "ledger_table", "notifications"}
    for folder, function in repository.functions().items():
        told = {_meant(repository, value) for value in function["environment"].values()}
        for statement in document(repository, folder):
            for resource in statement["resources"]:
                meant = _meant(repository, resource)
                if meant in stores - told:
                    yield f"function {folder} may use {meant}, of which its environment says nothing"


# ---- templates -------------------------------------------------------------------------------------------


@check
def every_template_shows_what_its_task_type_gives(repository: Repository) -> Iterator[str]:
    source = f"{_SHARED}/tasks.py"
    given = some(_literals(ast.parse(repository.text(source)), "task"), f"fields that {source} gives a task")
    shown_somewhere: set[str] = set()
    for path, text in repository.matching("ui_templates/*/template.liquid.html").items():
        name = PurePosixPath(path).parent.name
        module = f"{_SHARED}/task_types/{name.replace('-', '_')}.py"
        if module not in repository.files:
            yield f"{path} is for the task type {name}, but there is no {module}"
        shown = set(re.findall(r"task\.input\.(\w+)", text))
        shown_somewhere |= shown
        for field in sorted(shown - given):
            yield f"{path} shows task.input.{field}, which {source} does not give"
        # Which widgets can begin with a suggestion is AWS's matter; all else is for every worker to see.
        for field in sorted(given - shown - {"suggestion"}):
            yield f"{source} gives {field}, which {path} does not show"
    for field in sorted(given - shown_somewhere):
        yield f"{source} gives {field}, which no template shows"


@check
def every_template_is_a_form_that_the_portal_can_show(repository: Repository) -> Iterator[str]:
    for path, text in repository.matching("ui_templates/*/template.liquid.html").items():
        if text.count("<crowd-form>") != 1 or text.count("</crowd-form>") != 1:
            yield f"{path} must have one crowd-form"
        if "https://assets.crowd.aws/crowd-html-elements.js" not in text:
            yield f"{path} does not load the crowd elements"
        source = f"{_SHARED}/task_types/{PurePosixPath(path).parent.name.replace('-', '_')}.py"
        answer = re.search(r'^ANSWER_NAME = "(.+)"$', repository.files.get(source, ""), re.MULTILINE)
        if answer and f'name="{answer[1]}"' not in text:
            yield f"{path} has no widget named {answer[1]}, as which {source} reads the answer"
