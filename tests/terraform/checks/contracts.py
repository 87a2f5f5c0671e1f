"""What the code calls, writes and shows is what its rights, tables, folders and templates are made for."""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from terraform import code
from terraform.checks.registry import check
from terraform.checks.rights import statements
from terraform.expressions import written
from terraform.repository import Repository, some
from terraform.types import parse, without_optional

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
_HANDED_ON = {
    "AUDITORS_WORKTEAM_ARN",
    "POST_ANNOTATION_FUNCTION_ARN",
    "PRE_ANNOTATION_FUNCTION_ARN",
    "WORKTEAM_ARN",
}
# These are settings of the stack, and nothing that a function could use.
_SETTINGS = {"STANDALONE_AUDITS"}
# These functions learn from the event where in the data bucket they look.
_TOLD_BY_EVENTS = {"finish_audit": {"data_bucket"}, "record_answers": {"data_bucket"}}


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
        (folders, function) of every write whose place the writing function names itself, in one of them.
    words
        Every name in the code.
    """

    actions: Mapping[str, code.Node]
    folders: frozenset[str]
    writes: tuple[tuple[frozenset[str], str], ...]
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


def _program(functions: Mapping[code.Node, code.Function], folders: Mapping[str, frozenset[str]]) -> Program:
    named: set[str] = set()
    writes, words = [], set()
    for (module, where), function in functions.items():
        nodes = list(ast.walk(function))
        assigned = {
            ast.unparse(node.targets[0]): node.value for node in nodes if isinstance(node, ast.Assign)
        }
        words |= {node.id for node in nodes if isinstance(node, ast.Name)}
        for node in nodes:
            if isinstance(node, ast.Attribute) and node.attr in folders:
                named |= folders[node.attr]
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
def _layouts(layout: str) -> Mapping[str, Any]:
    """What layout.py declares; it is executed, since mutations are made in its text."""
    names = {"__name__": __name__}
    exec(compile(layout, _LAYOUT, "exec"), names)  # noqa: S102 - the repository's own file
    return names


def _places(layout: str) -> Iterator[tuple[str, str]]:
    """(method, key in the data bucket) of everything in a campaign or in one of its audits."""
    declared = _layouts(layout)
    for instance in (declared["CampaignLayout"]("bucket", "*"), declared["AuditLayout"]("bucket", "*", "*")):
        for name, method in vars(type(instance)).items():
            if name.startswith("_") or not callable(method) or isinstance(method, classmethod):
                continue
            arguments = list(inspect.signature(method).parameters.values())[1:]
            given = [1 if "int" in str(argument.annotation) else "*" for argument in arguments]
            place = method(instance, *given)
            uri = place if isinstance(place, str) else place.uri
            yield name, uri.removeprefix("s3://bucket/")


@functools.lru_cache(maxsize=8)
def _folders(layout: str) -> Mapping[str, frozenset[str]]:
    """The folders of a campaign in which what each method of the layouts names may lie."""
    found: dict[str, frozenset[str]] = {}
    for name, key in _places(layout) if layout else ():
        folder = key.removeprefix("campaigns/*/").partition("/")[0]
        found[name] = found.get(name, frozenset()) | {folder}
    return some(found, "folders of the layout")


def _output_of_jobs(repository: Repository) -> set[str]:
    """The places of the output of all labelling jobs, as policies name them."""
    declared = _layouts(repository.text(_LAYOUT))
    outputs = (
        declared["CampaignLayout"]("bucket", "*"),
        declared["AuditLayout"]("bucket", "*", "*"),
        declared["AuditLayout"]("bucket", None, "*"),
    )
    return {
        output.labeling_prefix().replace("s3://bucket", "${local.arns.data_bucket}") + "*"
        for output in outputs
    }


def _resources(repository: Repository, name: str, action: str) -> set[str]:
    """The resources on which a document allows an action."""
    return {
        resource
        for statement in document(repository, name)
        if action in statement["actions"]
        for resource in statement["resources"]
    }


def _writable(repository: Repository, name: str) -> set[str]:
    """The folders of a campaign that a document allows to write to; * for the whole campaign."""
    return {
        match[1].partition("/")[0]
        for resource in _resources(repository, name, "s3:PutObject")
        if (match := re.fullmatch(r"\$\{local\.arns\.data_bucket\}/campaigns/(?:\*/)?(.+)", resource))
    }


@check
def nothing_is_written_where_nothing_may_be_written(repository: Repository) -> Iterator[str]:
    writes = [
        (name, folders, where)
        for name, program in programs(repository).items()
        for folders, where in program.writes
    ]
    for name, folders, where in some(writes, "writes to a campaign's folders"):
        writable = _writable(repository, name)
        if not folders & writable and "*" not in writable:
            yield f"{name} may not write to {' or '.join(sorted(folders))}, as {where} does"


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
    output = _output_of_jobs(repository)
    for name in ("labeling", "post_annotation"):
        writable = _resources(repository, name, "s3:PutObject")
        if writable != output:
            yield f"jobs write to {sorted(output)}, and {name} may to {sorted(writable)}"


@check
def audits_of_standalone_jobs_are_kept_as_those_of_campaigns(repository: Repository) -> Iterator[str]:
    bucket = "${local.arns.data_bucket}/"
    seen = 0
    for name in [*repository.functions(), "labeling"]:
        resources = {each.removeprefix(bucket) for each in _resources(repository, name, "s3:PutObject")}
        alone = {each for each in resources if each.startswith("audits/")}
        within = {each for each in resources if each.startswith("campaigns/*/audits/")}
        seen += len(within)
        for resource in sorted({each.removeprefix("campaigns/*/") for each in within} ^ alone):
            yield f"{name} must be able to write to {resource} both in a campaign and without one"
    some(seen, "rights to write to the folders of audits")


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

# The code that reads and writes each table, with the records that it keeps there.
_GATEWAYS = {
    "answers_table": {f"{_SHARED}/trace/answers.py": "Answer"},
    "jobs_table": {
        f"{_SHARED}/labeling/jobs.py": "JobRecord",
        f"{_SHARED}/labeling/audit_waiting.py": "AuditRecord",
    },
    "ledger_table": {f"{_SHARED}/ledger.py": None},
    "workers_table": {f"{_SHARED}/trace/people.py": None},
}


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


def _keys_used(tree: ast.AST) -> set[str]:
    """The attributes by which a gateway finds an item: those of `_key`, or of a dictionary that is `Key`."""
    written = {
        key.value
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "Key" and isinstance(node.value, ast.Dict)
        for key in node.value.keys
        if isinstance(key, ast.Constant)
    }
    return written | _literals(tree, "_key")


@check
def every_table_has_its_gateways(repository: Repository) -> Iterator[str]:
    calls = repository.root.named("module").items()
    tables = {name for name, body in calls if body["source"] == "./modules/table"}
    for name in sorted(some(tables, "tables") ^ _GATEWAYS.keys()):
        yield f"module {name} must be a table of the root, with the code that uses it in _GATEWAYS"


@check
def the_code_uses_the_keys_of_its_tables(repository: Repository) -> Iterator[str]:
    for call, gateways in _GATEWAYS.items():
        body = repository.root.named("module").get(call, {})
        keys = {body[key] for key in ("hash_key", "range_key") if key in body}
        for path in gateways:
            text = repository.text(path)
            used = _keys_used(ast.parse(text))
            if used != some(keys, f"keys of module {call}"):
                yield f"{path} uses the keys {sorted(used)}, module {call} has {sorted(keys)}"
            for name in re.findall(r"attribute_not_exists\((\w+)\)", text):
                if name != body.get("hash_key"):
                    yield f"{path} asks whether {name} exists, which is not the hash key of module {call}"


def _queries(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(index, attribute) of every query of an index in a gateway."""
    constants = {
        ast.unparse(node.targets[0]): node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        given = {item.arg: item.value for item in node.keywords}
        index = str(constants.get(ast.unparse(given["IndexName"]))) if "IndexName" in given else None
        if index and "KeyConditionExpression" in given:
            for name in re.findall(r"#?(\w+) = ", ast.literal_eval(given["KeyConditionExpression"])):
                yield index, name
        elif ast.unparse(node.func) == "self._query" and len(node.args) == 3:
            yield str(constants.get(ast.unparse(node.args[2]))), ast.literal_eval(node.args[0])


def _fields(tree: ast.Module, record: str) -> set[str]:
    return {
        item.target.id
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == record
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    }


@check
def every_index_is_made_used_and_allowed(repository: Repository) -> Iterator[str]:
    for call, gateways in _GATEWAYS.items():
        body = repository.root.named("module").get(call, {})
        indexes = body.get("global_secondary_indexes", {})
        trees = {path: ast.parse(repository.text(path)) for path in gateways}
        queries = {(path, *query) for path, tree in trees.items() for query in _queries(tree)}
        for name in sorted(indexes.keys() ^ {index for _, index, _ in queries}):
            yield f"the index {name} must be one of module {call} and be queried in {', '.join(gateways)}"
        for path, name, attribute in sorted(queries):
            if name in indexes and attribute not in indexes[name].values():
                yield f"{path} asks the index {name} for {attribute}, which is none of its keys"
        for name, keys in indexes.items():
            for path, record in gateways.items():
                for key in sorted(set(keys.values()) - _fields(trees[path], str(record))):
                    yield f"the index {name} has the key {key}, which no {record} has"
    indexes = repository.root.named("module").get("jobs_table", {}).get("global_secondary_indexes", {})
    # The operator's command line reads the answers; no function does.
    allowed = {
        resource.rpartition("/index/")[2]
        for folder in repository.functions()
        for resource in _resources(repository, folder, "dynamodb:Query")
    }
    if allowed != some(indexes, "indexes of module jobs_table").keys():
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
            if variable in _SETTINGS:
                continue
            if meant is None:
                yield f"function {folder}: {variable} is {value}, which is nothing of the stack's"
            elif meant not in allowed and variable not in _HANDED_ON:
                yield f"function {folder} is told {variable}, but may not use {meant}"


@check
def a_function_is_told_of_the_stores_that_it_may_use(repository: Repository) -> Iterator[str]:
    stores = {"answers_table", "data_bucket", "jobs_table", "ledger_table", "notifications", "workers_table"}
    for folder, function in repository.functions().items():
        told = {_meant(repository, value) for value in function["environment"].values()}
        told |= _TOLD_BY_EVENTS.get(folder, set())
        for statement in document(repository, folder):
            for resource in statement["resources"]:
                meant = _meant(repository, resource)
                if meant in stores - told:
                    yield f"function {folder} may use {meant}, of which its environment says nothing"


# ---- templates -------------------------------------------------------------------------------------------


def _template_of_audits(repository: Repository) -> str:
    """The folder of the one template that serves every task type."""
    return str(_layouts(repository.text(_LAYOUT)).get("AUDIT_TEMPLATE"))


@check
def every_template_shows_what_its_task_type_gives(repository: Repository) -> Iterator[str]:
    source = f"{_SHARED}/tasks.py"
    given = some(_literals(ast.parse(repository.text(source)), "task"), f"fields that {source} gives a task")
    shown_somewhere: set[str] = set()
    for path, text in repository.matching("ui_templates/*/template.liquid.html").items():
        name = PurePosixPath(path).parent.name
        if name == _template_of_audits(repository):
            continue
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
def the_audit_template_shows_what_auditors_are_given_and_sends_what_is_read(
    repository: Repository,
) -> Iterator[str]:
    source, path = (
        f"{_SHARED}/audit/display.py",
        f"ui_templates/{_template_of_audits(repository)}/template.liquid.html",
    )
    text = repository.text(path)
    given = _literals(ast.parse(repository.text(source)), "audit_task")
    shown = set(re.findall(r"task\.input\.(\w+)", text))
    for field in sorted(some(given, f"fields that {source} gives") ^ shown):
        yield f"task.input.{field} must be given by {source} and be shown by {path}"
    names = re.search(
        r"^ANSWER_NAMES = (\(.*?\))$", repository.text(f"{_SHARED}/audit/__init__.py"), re.MULTILINE
    )
    read = set(ast.literal_eval(names[1])) if names else set()
    sent = set(re.findall(r'<(?:input|textarea)[^>]*\bname="(\w+)"', text))
    for name in sorted(some(read, "names of an auditor's answer") ^ sent):
        yield f"{name} must be sent by {path} and be among ANSWER_NAMES"


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


# ---- audits ----------------------------------------------------------------------------------------------


def _rules(repository: Repository, section: str) -> dict[str, ast.Call | ast.Name]:
    """The rule of each key of a section of a campaign's request."""
    path = f"{_SHARED}/request.py"
    found = {
        item.target.id: item.value.args[0]
        for node in ast.parse(repository.text(path)).body
        if isinstance(node, ast.ClassDef) and node.name == section
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
        if isinstance(item.value, ast.Call) and ast.unparse(item.value.func) == "_key"
    }
    return some(found, f"keys of {section} in {path}")


@check
def standalone_audits_are_set_as_a_request_sets_its_own(repository: Repository) -> Iterator[str]:
    variable = repository.root.named("variable").get("standalone_audits", {})
    type_ = without_optional(parse(written(some(variable, "variable standalone_audits")["type"]).strip('"')))
    policy = type_[1]["policy"][1]
    rules = _rules(repository, "Audit")
    for name in sorted(policy.keys() ^ rules.keys()):
        yield f"{name} must be a key of the request's audit and of standalone_audits.policy"
    conditions = " ".join(str(block.get("condition")) for block in variable.get("validation", []))
    bounded = {f"policy.{name}": rules[name] for name in policy.keys() & rules.keys()}
    bounded["workers_per_object"] = _rules(repository, "Labeling")["workers_per_object"]
    for name, rule in sorted(bounded.items()):
        kind = ast.unparse(rule.func) if isinstance(rule, ast.Call) else "text"
        if kind not in ("Integer", "Number"):
            continue
        least, most = (ast.literal_eval(argument) for argument in rule.args[:2])
        value = f"var.standalone_audits.{name}"
        patterns = {
            "Integer": rf"value = {re.escape(value)}, least = {least}, most = {most}\b",
            "Number": rf"({re.escape(value)}\b.*?share|{re.escape(value)}) >= {least} && \S+ <= {most}\b",
        }
        if not re.search(patterns[kind], conditions.replace('"', ""), re.DOTALL):
            yield f"{value} must be held to {least} to {most}, as a request's {name.rpartition('.')[2]} is"
    wanted = ", ".join(option for option in _options(repository, rules["policy"]) if option != "none")
    if f"contains([{wanted}], var.standalone_audits.policy.policy)" not in conditions.replace('"', ""):
        yield f"standalone_audits.policy.policy must be one of {wanted}"


def _options(repository: Repository, rule: ast.AST) -> list[str]:
    """What a rule that is a choice lets one choose."""
    constants = dict(
        re.findall(r'^([A-Z_]+) = "(.*)"$', repository.text(f"{_SHARED}/request.py"), re.MULTILINE)
    )
    (choices,) = (node.body for node in ast.walk(rule) if isinstance(node, ast.Lambda))
    return [
        constants[item.id] if isinstance(item, ast.Name) else ast.literal_eval(item)
        for item in getattr(choices, "elts", [])
    ]
