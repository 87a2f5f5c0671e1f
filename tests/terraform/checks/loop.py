"""The state machine gets what it names, may call what it calls, passes on little, and comes to an end."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from terraform.checks.registry import check
from terraform.checks.rights import statements
from terraform.repository import Repository, parse_expression, some

_PATH = "state_machines/active_learning_loop.asl.json"
_LAMBDA = "arn:aws:states:::lambda:invoke"
_BATCH = "arn:aws:states:::batch:submitJob"
# Names, places and numbers, and the request, whose size its schema bounds: a state may pass on 256 KiB.
_PASSED = {
    "campaign",
    "failed",
    "labeled",
    "message",
    "next_round",
    "request",
    "round",
    "stage",
    "stop",
}
_PLACEHOLDER = re.compile(r'"\$\{(\w+)\}"')


def _variables(repository: Repository) -> Mapping[str, Any]:
    """What the root gives the template, by name."""
    definition = str(repository.root.named("module").get("active_learning_loop", {}).get("definition"))
    call = re.fullmatch(
        rf'\$\{{templatefile\("\$\{{path\.module\}}/{_PATH}", (?P<variables>\{{.*\}})\)\}}',
        definition,
        re.DOTALL,
    )
    return some(parse_expression(call["variables"]) if call else {}, f"variables for {_PATH}")


def _states(repository: Repository) -> Mapping[str, Any]:
    return some(json.loads(repository.text(f"terraform/{_PATH}")).get("States", {}), f"states in {_PATH}")


def _tasks(repository: Repository, integration: str) -> Mapping[str, Any]:
    """The states that use a service integration, by name."""
    found = {
        name: state
        for name, state in _states(repository).items()
        if state.get("Resource", "").startswith(integration)
    }
    return some(found, f"states with {integration}")


def batch_states(repository: Repository) -> Mapping[str, Any]:
    """The states that submit a Batch job, by name."""
    return _tasks(repository, _BATCH)


def _given(repository: Repository, placeholder: str) -> str:
    return str(_variables(repository).get(placeholder.strip("${}"), f"nothing for {placeholder}"))


def _invoked(repository: Repository) -> dict[str, str]:
    """The folder of the function that each state invokes."""
    return {
        name: _given(repository, state["Parameters"]["FunctionName"]).removeprefix("${local.function_arns.")[
            :-1
        ]
        for name, state in _tasks(repository, _LAMBDA).items()
    }


def _granted(repository: Repository, action: str) -> set[str]:
    """The resources on which the machine's role may do something."""
    document = repository.root.typed("data").get(("aws_iam_policy_document", "active_learning_loop"), {})
    return {
        resource
        for statement in statements(document)
        if action in statement["actions"]
        for resource in statement["resources"]
    }


@check
def the_loop_gets_exactly_what_it_names(repository: Repository) -> Iterator[str]:
    text = repository.text(f"terraform/{_PATH}")
    named, given = set(_PLACEHOLDER.findall(text)), set(_variables(repository))
    for name in sorted(named - given):
        yield f"{_PATH} names {name}, which the root does not give"
    for name in sorted(given - named):
        yield f"the root gives {name}, which {_PATH} does not name"
    for name in re.findall(r"\$\{[^}]*\}", _PLACEHOLDER.sub("", text)):
        yield f"{_PATH} has {name} where it is not the whole of a text"


@check
def the_loop_may_invoke_its_functions_and_no_other(repository: Repository) -> Iterator[str]:
    invoked = {f"${{local.function_arns.{folder}}}" for folder in _invoked(repository).values()}
    granted = _granted(repository, "lambda:InvokeFunction")
    for arn in sorted(invoked - granted):
        yield f"the loop invokes {arn}, but may not"
    for arn in sorted(granted - invoked):
        yield f"the loop may invoke {arn}, but does not"


@check
def the_loop_may_submit_its_jobs(repository: Repository) -> Iterator[str]:
    granted = _granted(repository, "batch:SubmitJob")
    for name, state in batch_states(repository).items():
        for key in ("JobQueue", "JobDefinition"):
            arn = _given(repository, state["Parameters"][key])
            if arn not in granted:
                yield f"state {name} submits with the {key} {arn}, but may not"


@check
def what_waits_for_a_job_may_follow_it(repository: Repository) -> Iterator[str]:
    # https://docs.aws.amazon.com/step-functions/latest/dg/connect-batch.html#batch-iam
    needed = [
        "batch:DescribeJobs",
        "batch:TerminateJob",
        "events:DescribeRule",
        "events:PutRule",
        "events:PutTargets",
    ]
    waiting = [
        name for name, state in batch_states(repository).items() if state["Resource"].endswith(".sync")
    ]
    for action in needed:
        if waiting and not _granted(repository, action):
            yield f"state {waiting[0]} waits for its job, for which the loop needs {action}"
    for resource in _granted(repository, "events:PutRule"):
        if not resource.endswith(":rule/StepFunctionsGetEventsForBatchJobsRule"):
            yield f"the loop may change the rule {resource}, which is not the one that Step Functions keeps"


@check
def the_loop_calls_nothing_but_what_it_is_granted(repository: Repository) -> Iterator[str]:
    services = {"lambda": "lambda:InvokeFunction", "batch": "batch:SubmitJob"}
    resources = {
        name: state["Resource"] for name, state in _states(repository).items() if state["Type"] == "Task"
    }
    for name, resource in some(resources, "tasks").items():
        match = re.fullmatch(r"arn:aws:states:::(\w+):(?:invoke|submitJob)(?:\.\w+)?", resource)
        action = services.get(match[1]) if match else None
        if action is None:
            yield f"state {name} uses {resource}, whose rights nobody has looked at"
        elif not _granted(repository, action):
            yield f"state {name} uses {resource}, for which the loop needs {action}"


@check
def every_job_gets_exactly_the_parameters_of_its_command(repository: Repository) -> Iterator[str]:
    command = repository.root.named("module").get("batch", {}).get("command", [])
    wanted = {part.removeprefix("Ref::") for part in command if part.startswith("Ref::")}
    some(wanted, "parameters in the job definition's command")
    for name, state in batch_states(repository).items():
        given = {key.removesuffix(".$") for key in state["Parameters"].get("Parameters", {})}
        for key in sorted(wanted - given):
            yield f"state {name} does not pass {key}"
        for key in sorted(given - wanted):
            yield f"state {name} passes {key}, which the command does not take"


@check
def no_function_may_run_longer_than_its_state_waits(repository: Repository) -> Iterator[str]:
    tasks = _tasks(repository, _LAMBDA)
    for name, folder in _invoked(repository).items():
        may_run = repository.functions().get(folder, {}).get("timeout_seconds", 0)
        waits = tasks[name].get("TimeoutSeconds", 0)
        if may_run > waits:
            yield f"state {name} waits {waits} s for {folder}, which may run {may_run} s"


def _handler(repository: Repository, folder: str) -> ast.FunctionDef:
    tree = ast.parse(repository.text(f"lambdas/{folder}/handler.py"))
    found = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "lambda_handler"
    ]
    return some(found, f"lambda_handler in lambdas/{folder}")[0]


@check
def every_function_gets_exactly_the_payload_that_it_reads(repository: Repository) -> Iterator[str]:
    tasks = _tasks(repository, _LAMBDA)
    for name, folder in _invoked(repository).items():
        given = {key.removesuffix(".$") for key in tasks[name]["Parameters"].get("Payload", {})}
        read = {
            node.slice.value
            for node in ast.walk(_handler(repository, folder))
            if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "event"
            if isinstance(node.slice, ast.Constant)
        }
        for key in sorted(read - given):
            yield f"{folder} reads {key}, which state {name} does not pass"
        for key in sorted(given - read):
            yield f"state {name} passes {key}, which {folder} does not read"


@check
def the_loop_reads_only_what_its_functions_return(repository: Repository) -> Iterator[str]:
    tasks, compared = _tasks(repository, _LAMBDA), 0
    for name, folder in _invoked(repository).items():
        returned = {
            key.value
            for node in ast.walk(_handler(repository, folder))
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict)
            for key in node.value.keys
            if isinstance(key, ast.Constant)
        }
        selected = str(tasks[name].get("ResultSelector", {}))
        for key in re.findall(r"\$\.Payload\.(\w+)", selected) if returned else []:
            compared += 1
            if key not in returned:
                yield f"state {name} reads {key}, which {folder} does not return"
    some(compared, "answers of functions that are written down in their handlers")


@check
def only_names_places_and_numbers_pass_between_states(repository: Repository) -> Iterator[str]:
    for name, state in _states(repository).items():
        if state["Type"] != "Task" or state["Resource"].endswith(".waitForTaskToken"):
            continue  # What comes with a token is written by the code, as one short document.
        selector = state.get("ResultSelector")
        if not selector and state.get("ResultPath", "$") is not None:
            yield f"state {name} passes on all that its task returns"
        for key, path in (selector or {}).items():
            if key.removesuffix(".$") not in _PASSED or path == "$.Payload":
                yield f"state {name} passes on {key}, which may be large"


@check
def no_state_reads_what_no_state_before_it_wrote(repository: Repository) -> Iterator[str]:
    definition = json.loads(repository.text(f"terraform/{_PATH}"))
    states = _states(repository)
    # For each state the fields that every way to it has written; None while no way was found.
    there: dict[str, set[str] | None] = dict.fromkeys(states)
    there[definition["StartAt"]] = set()
    open_ = [definition["StartAt"]]
    while open_:
        name = open_.pop()
        before = there[name] or set()
        for target, after in _followers(states[name], before):
            if target not in states:
                continue
            known = there[target]
            now = after if known is None else known & after
            if now != known:
                there[target] = now
                open_.append(target)
    for name, fields in there.items():
        if fields is not None:
            for field in sorted(_read(states[name]) - fields):
                yield f"state {name} reads {field}, which some way to it does not write"


def _followers(state: Mapping[str, Any], before: set[str]) -> Iterator[tuple[str, set[str]]]:
    """Each state that may follow, with the fields of its input."""
    after = set(before)
    result = state.get("ResultPath", "$")
    if state["Type"] in ("Task", "Pass") and result == "$":
        written = state.get("ResultSelector") or (
            state.get("Parameters") if state["Type"] == "Pass" else None
        )
        after = {key.removesuffix(".$") for key in written or {}}
    elif result is not None and result != "$":
        after.add(result.removeprefix("$."))
    for key in ("Next", "Default"):
        if key in state:
            yield state[key], after
    for choice in state.get("Choices", []):
        yield choice["Next"], after
    for catch in state.get("Catch", []):
        yield catch["Next"], before | {catch["ResultPath"].removeprefix("$.")}


def _read(state: Mapping[str, Any]) -> set[str]:
    """The fields of its input that a state reads."""
    parts = [state.get("Parameters"), [choice.get("Variable") for choice in state.get("Choices", [])]]
    return set(re.findall(r"(?<![$\w])\$\.(\w+)", f"{parts} {state.get('CausePath', '')}"))


@check
def every_round_asks_whether_it_was_the_last(repository: Repository) -> Iterator[str]:
    states = _states(repository)
    deciding = {
        name
        for name, state in states.items()
        if state["Type"] == "Choice"
        and "$.decision.stop" in {item.get("Variable") for item in state["Choices"]}
    }
    some(deciding, "choice by the decision to stop")
    for start in states.keys() - deciding:
        open_, seen = [start], set()
        while open_:
            for target, _ in _followers(states[open_.pop()], set()):
                if target == start:
                    yield f"state {start} can come round again without a decision to go on"
                    open_ = []
                    break
                if target in states and target not in deciding and target not in seen:
                    seen.add(target)
                    open_.append(target)


@check
def rounds_are_counted_and_their_number_is_bounded(repository: Repository) -> Iterator[str]:
    rules = re.search(
        r"^RULES.*= \(([^)]*)\)", repository.text("lambdas/shared/truthloop/stop_rules.py"), re.MULTILINE
    )
    if rules is None or "max_rounds" not in re.findall(r"\w+", rules[1]):
        yield "the stop rules don't ask for max_rounds"
    bound = r"max_rounds: int = _key\(Integer\(1, [\d_]+\), .*, \d+\)"
    if not re.search(bound, repository.text("lambdas/shared/truthloop/request.py")):
        yield "a request may leave the number of rounds open"
    if "'next_round': decision['round'] + 1" not in ast.unparse(_handler(repository, "decide")):
        yield "decide does not count the rounds"
    if (
        _states(repository).get("NextRound", {}).get("Parameters", {}).get("round.$")
        != "$.decision.next_round"
    ):
        yield "the next round is not the one that decide names"
