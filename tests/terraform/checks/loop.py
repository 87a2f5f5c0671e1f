"""The state machines get what they name, may call what they call, pass on little, and come to an end."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from terraform.checks.registry import check
from terraform.checks.rights import statements
from terraform.repository import Repository, parse_expression, some

_LOOP = "active_learning_loop"
_AUDIT = "label_audit"
_LAMBDA = "arn:aws:states:::lambda:invoke"
_BATCH = "arn:aws:states:::batch:submitJob"
# Names, places and numbers, and the request, whose size its schema bounds: a state may pass on 256 KiB.
_PASSED = {
    "accepted",
    "campaign",
    "done",
    "failed",
    "fixed",
    "labeled",
    "message",
    "next_round",
    "relabeled",
    "request",
    "revoked",
    "round",
    "stage",
    "step",
    "stop",
    "unresolved",
}
# What asks, by a machine, whether it has come to its end.
_ENDS = {_LOOP: "$.decision.stop", _AUDIT: "$.next.done"}
_PLACEHOLDER = re.compile(r'"\$\{(\w+)\}"')


@dataclass(frozen=True)
class _Machine:
    """A definition in state_machines/, with the root's module and the policy document of the same name."""

    name: str
    repository: Repository

    @property
    def path(self) -> str:
        return f"state_machines/{self.name}.asl.json"

    @property
    def text(self) -> str:
        return self.repository.text(f"terraform/{self.path}")

    @property
    def definition(self) -> Mapping[str, Any]:
        return json.loads(self.text)

    @property
    def states(self) -> Mapping[str, Any]:
        return some(self.definition.get("States", {}), f"states in {self.path}")

    @property
    def variables(self) -> Mapping[str, Any]:
        """What the root gives the template, by name."""
        definition = str(self.repository.root.named("module").get(self.name, {}).get("definition"))
        call = re.fullmatch(
            rf'\$\{{templatefile\("\$\{{path\.module\}}/{self.path}", (?P<variables>\{{.*\}})\)\}}',
            definition,
            re.DOTALL,
        )
        return some(parse_expression(call["variables"]) if call else {}, f"variables for {self.path}")

    def tasks(self, integration: str) -> Mapping[str, Any]:
        """The states that use a service integration, by name."""
        return {
            name: state
            for name, state in self.states.items()
            if state.get("Resource", "").startswith(integration)
        }

    def given(self, placeholder: str) -> str:
        return str(self.variables.get(placeholder.strip("${}"), f"nothing for {placeholder}"))

    def invoked(self) -> dict[str, str]:
        """The folder of the function that each state invokes."""
        found = {
            name: self.given(state["Parameters"]["FunctionName"]).removeprefix("${local.function_arns.")[:-1]
            for name, state in self.tasks(_LAMBDA).items()
        }
        return some(found, f"states of {self.name} with {_LAMBDA}")

    def granted(self, action: str) -> set[str]:
        """The resources on which the machine's role may do something."""
        document = self.repository.root.typed("data").get(("aws_iam_policy_document", self.name), {})
        return {
            resource
            for statement in statements(document)
            if action in statement["actions"]
            for resource in statement["resources"]
        }


def _machines(repository: Repository) -> list[_Machine]:
    paths = repository.matching("terraform/state_machines/*.asl.json")
    return [_Machine(PurePosixPath(path).name.removesuffix(".asl.json"), repository) for path in paths]


def batch_states(repository: Repository) -> Mapping[str, Any]:
    """The states that submit a Batch job, by name."""
    return some(_Machine(_LOOP, repository).tasks(_BATCH), f"states with {_BATCH}")


@check
def every_definition_is_a_machine_and_every_machine_has_its_definition(
    repository: Repository,
) -> Iterator[str]:
    defined = {machine.name for machine in _machines(repository)}
    calls = repository.root.named("module").items()
    deployed = {name for name, body in calls if body["source"] == "./modules/state_machine"}
    for name in sorted(defined ^ deployed):
        yield f"{name} must be both a definition in state_machines/ and a module of the root"
    calls_of = repository.root.named("module")
    for name in sorted(defined & deployed):
        policy = calls_of[name].get("policy_json")
        if policy != f"${{data.aws_iam_policy_document.{name}.json}}":
            yield f"the machine {name} has the policy {policy}, not the document {name}"
    for name in sorted(defined ^ _ENDS.keys()):
        yield f"nobody has said how the machine {name} ends: add it to _ENDS"


@check
def a_machine_gets_exactly_what_it_names(repository: Repository) -> Iterator[str]:
    for machine in _machines(repository):
        named, given = set(_PLACEHOLDER.findall(machine.text)), set(machine.variables)
        for name in sorted(named - given):
            yield f"{machine.path} names {name}, which the root does not give"
        for name in sorted(given - named):
            yield f"the root gives {name}, which {machine.path} does not name"
        for name in re.findall(r"\$\{[^}]*\}", _PLACEHOLDER.sub("", machine.text)):
            yield f"{machine.path} has {name} where it is not the whole of a text"


@check
def a_machine_may_invoke_its_functions_and_no_other(repository: Repository) -> Iterator[str]:
    for machine in _machines(repository):
        invoked = {f"${{local.function_arns.{folder}}}" for folder in machine.invoked().values()}
        granted = machine.granted("lambda:InvokeFunction")
        for arn in sorted(invoked - granted):
            yield f"{machine.name} invokes {arn}, but may not"
        for arn in sorted(granted - invoked):
            yield f"{machine.name} may invoke {arn}, but does not"


@check
def the_loop_may_submit_its_jobs(repository: Repository) -> Iterator[str]:
    loop = _Machine(_LOOP, repository)
    granted = loop.granted("batch:SubmitJob")
    for name, state in batch_states(repository).items():
        for key in ("JobQueue", "JobDefinition"):
            arn = loop.given(state["Parameters"][key])
            if arn not in granted:
                yield f"state {name} submits with the {key} {arn}, but may not"


@check
def what_waits_for_a_job_may_follow_it(repository: Repository) -> Iterator[str]:
    loop = _Machine(_LOOP, repository)
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
        if waiting and not loop.granted(action):
            yield f"state {waiting[0]} waits for its job, for which the loop needs {action}"
    for resource in loop.granted("events:PutRule"):
        if not resource.endswith(":rule/StepFunctionsGetEventsForBatchJobsRule"):
            yield f"the loop may change the rule {resource}, which is not the one that Step Functions keeps"


@check
def a_machine_calls_nothing_but_what_it_is_granted(repository: Repository) -> Iterator[str]:
    services = {"lambda": "lambda:InvokeFunction", "batch": "batch:SubmitJob"}
    for machine in _machines(repository):
        resources = {
            name: state["Resource"] for name, state in machine.states.items() if state["Type"] == "Task"
        }
        for name, resource in some(resources, f"tasks of {machine.name}").items():
            match = re.fullmatch(r"arn:aws:states:::(\w+):(?:invoke|submitJob)(?:\.\w+)?", resource)
            action = services.get(match[1]) if match else None
            if action is None:
                yield f"state {name} uses {resource}, whose rights nobody has looked at"
            elif not machine.granted(action):
                yield f"state {name} uses {resource}, for which {machine.name} needs {action}"


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
    for machine in _machines(repository):
        for name, folder in machine.invoked().items():
            may_run = repository.functions().get(folder, {}).get("timeout_seconds", 0)
            waits = machine.states[name].get("TimeoutSeconds", 0)
            if may_run > waits:
                yield f"state {name} waits {waits} s for {folder}, which may run {may_run} s"


def _handler(repository: Repository, folder: str) -> ast.FunctionDef:
    tree = ast.parse(repository.text(f"lambdas/{folder}/handler.py"))
    found = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "lambda_handler"
    ]
    return some(found, f"lambda_handler in lambdas/{folder}")[0]


def _read_of_events(repository: Repository, folder: str) -> set[str]:
    """The keys that a handler's module reads of `event`."""
    tree = ast.parse(repository.text(f"lambdas/{folder}/handler.py"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "event":
            found.add(getattr(node.slice, "value", None))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "event.get":
            found.add(getattr(node.args[0], "value", None))
    return {key for key in found if isinstance(key, str)}


@check
def every_function_gets_exactly_the_payload_that_it_reads(repository: Repository) -> Iterator[str]:
    invocations = [
        (
            name,
            folder,
            {key.removesuffix(".$") for key in machine.states[name]["Parameters"].get("Payload", {})},
        )
        for machine in _machines(repository)
        for name, folder in machine.invoked().items()
    ]
    for folder in sorted({folder for _, folder, _ in invocations}):
        read = _read_of_events(repository, folder)
        given = {name: keys for name, other, keys in invocations if other == folder}
        for name, keys in given.items():
            for key in sorted(keys - read):
                yield f"state {name} passes {key}, which {folder} does not read"
        # What two states pass differs where the function serves two purposes; an event has keys of its own.
        for key in sorted(read - set.union(*given.values()) - _keys_of_events(repository, folder)):
            yield f"{folder} reads {key}, which state {', '.join(given)} does not pass"


def _keys_of_events(repository: Repository, folder: str) -> set[str]:
    """The keys of an EventBridge event, for a function that such events invoke too."""
    return {"detail", "detail-type", "resources"} if repository.functions()[folder]["asynchronous"] else set()


@check
def a_machine_reads_only_what_its_functions_return(repository: Repository) -> Iterator[str]:
    compared = 0
    for machine in _machines(repository):
        for name, folder in machine.invoked().items():
            returned = _returned(_handler(repository, folder))
            selected = str(machine.states[name].get("ResultSelector", {}))
            for key in re.findall(r"\$\.Payload\.(\w+)", selected) if returned else []:
                compared += 1
                if key not in returned:
                    yield f"state {name} reads {key}, which {folder} does not return"
    some(compared, "answers of functions that are written down in their handlers")


def _returned(handler: ast.FunctionDef) -> set[str]:
    return {
        key.value
        for node in ast.walk(handler)
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict)
        for key in node.value.keys
        if isinstance(key, ast.Constant)
    }


@check
def the_loop_knows_of_its_campaign_what_prepare_says(repository: Repository) -> Iterator[str]:
    said = [
        {item.value for item in value.keys if isinstance(item, ast.Constant)}
        for node in ast.walk(_handler(repository, "prepare"))
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == "campaign" and isinstance(value, ast.Dict)
    ]
    (known,) = some(said, "campaign that prepare returns")
    for key in sorted(set(re.findall(r"\$\.campaign\.(\w+)", _Machine(_LOOP, repository).text)) - known):
        yield f"the loop reads campaign.{key}, which prepare does not return"


@check
def only_names_places_and_numbers_pass_between_states(repository: Repository) -> Iterator[str]:
    for machine in _machines(repository):
        for name, state in machine.states.items():
            if state["Type"] != "Task" or state["Resource"].endswith(".waitForTaskToken"):
                continue  # What comes with a token is written by the code, as one short document.
            selector = state.get("ResultSelector")
            if not selector and state.get("ResultPath", "$") is not None:
                yield f"state {name} passes on all that its task returns"
            for key, path in (selector or {}).items():
                if key.removesuffix(".$") not in _PASSED or path == "$.Payload":
                    yield f"state {name} passes on {key}, which may be large"


def _input(repository: Repository, machine: str) -> set[str]:
    """The fields of an execution's input; the loop's first state reads it as a whole."""
    if machine == _LOOP:
        return set()
    inputs = [
        {key.value for key in node.args[0].keys if isinstance(key, ast.Constant)}
        for path, text in repository.files.items()
        if path.startswith("lambdas/") and path.endswith(".py") and ".start_execution(" in text
        for call in ast.walk(ast.parse(text))
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".start_execution")
        for keyword in call.keywords
        if keyword.arg == "input"
        for node in ast.walk(keyword.value)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "json.dumps"
        if isinstance(node.args[0], ast.Dict)
    ]
    return set.intersection(*some(inputs, f"executions of {machine} that the code starts"))


@check
def no_state_reads_what_no_state_before_it_wrote(repository: Repository) -> Iterator[str]:
    for machine in _machines(repository):
        states = machine.states
        # For each state the fields that every way to it has written; None while no way was found.
        there: dict[str, set[str] | None] = dict.fromkeys(states)
        start = machine.definition["StartAt"]
        there[start] = _input(repository, machine.name)
        open_ = [start]
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
def no_state_comes_round_again_without_a_decision_to_go_on(repository: Repository) -> Iterator[str]:
    for machine in _machines(repository):
        states = machine.states
        deciding = {
            name
            for name, state in states.items()
            if state["Type"] == "Choice"
            and _ENDS.get(machine.name) in {item.get("Variable") for item in state["Choices"]}
        }
        some(deciding, f"choice of {machine.name} by the decision to stop")
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
    bound = r"relabel_rounds: int = _key\(\s*Integer\(0, \d\),"
    if not re.search(bound, repository.text("lambdas/shared/truthloop/request.py")):
        yield "a request may leave open how often a label is given again"
    if "'next_round': decision['round'] + 1" not in ast.unparse(_handler(repository, "decide")):
        yield "decide does not count the rounds"
    next_round = _Machine(_LOOP, repository).states.get("NextRound", {})
    if next_round.get("Parameters", {}).get("round.$") != "$.decision.next_round":
        yield "the next round is not the one that decide names"


# ---- waiting -------------------------------------------------------------------------------------------


@check
def who_answers_for_a_machine_may_and_no_other(repository: Repository) -> Iterator[str]:
    """A state that waits gives its token to a function, which sends it or leaves it to others."""
    arns = {_LOOP: "${local.arns.state_machine}", _AUDIT: "${local.arns.audit_state_machine}"}
    waiting = {
        machine.name: {
            folder
            for name, folder in machine.invoked().items()
            if machine.states[name]["Resource"].endswith(".waitForTaskToken")
        }
        for machine in _machines(repository)
    }
    may = {
        (folder, resource)
        for folder in repository.functions()
        for statement in statements(
            repository.root.typed("data").get(("aws_iam_policy_document", folder), {})
        )
        if "states:SendTaskSuccess" in statement["actions"]
        for resource in statement["resources"]
    }
    everybody = {folder for folder, _ in some(may, "functions that answer for a machine")}
    for machine, folders in waiting.items():
        # Whoever gets a token answers for that machine, and the two that look after labelling jobs for both.
        for folder in sorted((folders | {"release_labeling_job", "reconcile_labeling_jobs"}) & everybody):
            if (folder, arns[machine]) not in may:
                yield f"{folder} keeps or gets tokens of {machine}, for which it may not answer"
    for folder, resource in sorted(may):
        if resource not in arns.values():
            yield f"{folder} may answer for {resource}, which is no machine of the stack"
