"""The state machine is a sound graph, calls services with parameters that exist, and never polls."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from truthloop_cli.campaign import ACTIVITIES

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "terraform" / "state_machines" / "active_learning_loop.asl.json"
Definition = dict[str, Any]


@pytest.fixture
def definition() -> Definition:
    return json.loads(SOURCE.read_text())


def targets(state: Definition) -> Iterator[str]:
    yield from (state[key] for key in ("Next", "Default") if key in state)
    for branch in [*state.get("Choices", []), *state.get("Catch", [])]:
        yield branch["Next"]


def graph_problems(definition: Definition) -> list[str]:
    states = definition["States"]
    problems = []
    reached, open_ = set(), [definition["StartAt"]]
    while open_:
        name = open_.pop()
        if name in reached:
            continue
        reached.add(name)
        if name not in states:
            problems.append(f"{name} does not exist")
            continue
        state = states[name]
        followers = list(targets(state))
        if not followers and state["Type"] not in ("Succeed", "Fail") and not state.get("End"):
            problems.append(f"{name} is a dead end")
        if state["Type"] == "Choice" and "Default" not in state:
            problems.append(f"{name} has no Default")
        open_ += followers
    problems += [f"{name} is never reached" for name in states if name not in reached]
    return problems


def task_problems(definition: Definition) -> list[str]:
    problems = []
    for name, state in tasks(definition):
        for key in ("TimeoutSeconds", "Retry", "Catch"):
            if not state.get(key):
                problems.append(f"{name} has no {key}")
        for retry in state.get("Retry", []):
            if retry["IntervalSeconds"] < 1 or retry["BackoffRate"] <= 1 or retry["MaxAttempts"] < 1:
                problems.append(f"{name} retries without backing off")
        if not any("States.ALL" in catch["ErrorEquals"] for catch in state.get("Catch", [])):
            problems.append(f"{name} does not catch everything")
    return problems


def tasks(definition: Definition) -> list[tuple[str, Definition]]:
    found = [(name, state) for name, state in definition["States"].items() if state["Type"] == "Task"]
    assert found, "the state machine has no Task"
    return found


def parameter_problems(definition: Definition) -> list[str]:
    """Compare each Task's Parameters with the shape of the API that it calls."""
    session = botocore.session.get_session()
    problems = []
    for name, state in tasks(definition):
        match = re.fullmatch(
            r"arn:aws:states:::(?P<service>\w+):(?P<action>\w+)(\.(sync|waitForTaskToken))?",
            state["Resource"],
        )
        assert match, f"{name}: unknown integration {state['Resource']}"
        model = session.get_service_model(match["service"])
        operation = match["action"][0].upper() + match["action"][1:]
        problems += [
            f"{name}: {problem}"
            for problem in shape_problems(state["Parameters"], model.operation_model(operation).input_shape)
        ]
    return problems


def shape_problems(value: Any, shape: Any, path: str = "") -> list[str]:
    if shape.type_name != "structure" or not isinstance(value, dict):
        return []
    # The Lambda integration takes the payload as JSON, and Batch's parameters are a map of the job's own.
    given = {key.removesuffix(".$"): item for key, item in value.items()}
    known = {member[0].upper() + member[1:]: shape.members[member] for member in shape.members}
    problems = [f"{path}{key} is no parameter of {shape.name}" for key in given if key not in known]
    problems += [
        f"{path}{member} is required by {shape.name}"
        for member in (item[0].upper() + item[1:] for item in shape.required_members)
        if member not in given
    ]
    for key in given.keys() & known.keys():
        problems += shape_problems(given[key], known[key], f"{path}{key}.")
    return problems


def cycle_states(definition: Definition, start: str = "Score") -> list[str]:
    """The states that one round passes through, from `start` until it comes round again."""
    path, name = [start], start
    while True:
        state = definition["States"][name]
        name = state["Default"] if state["Type"] == "Choice" else state["Next"]
        if name == start:
            return path
        assert name not in path, f"a cycle without {start}: {path}"
        path.append(name)


def test_the_graph_is_sound(definition: Definition) -> None:
    assert graph_problems(definition) == []


def test_every_task_has_timeout_retry_and_catch(definition: Definition) -> None:
    assert task_problems(definition) == []


def test_every_parameter_exists_in_the_called_api(definition: Definition) -> None:
    assert parameter_problems(definition) == []


def test_a_round_adds_fewer_than_sixty_events(definition: Definition) -> None:
    # Entered, scheduled, started, submitted, succeeded, exited at most; a Choice or Pass has two.
    round_states = [definition["States"][name] for name in cycle_states(definition)]
    assert len(round_states) >= 8
    assert sum(6 if state["Type"] == "Task" else 2 for state in round_states) < 60


def test_nothing_polls(definition: Definition) -> None:
    assert not [name for name, state in definition["States"].items() if state["Type"] == "Wait"]
    waiting = definition["States"]["CreateLabelingJob"]
    assert waiting["Resource"].endswith("lambda:invoke.waitForTaskToken")
    assert waiting["Parameters"]["Payload"]["task_token.$"] == "$$.Task.Token"


def test_the_wait_for_people_outlasts_ground_truth_and_notices_a_dead_reconciler(
    definition: Definition,
) -> None:
    waiting = definition["States"]["CreateLabelingJob"]
    thirty_days = 30 * 86400
    assert waiting["TimeoutSeconds"] > thirty_days
    # The reconciler beats every 15 minutes: two hours are eight lost beats.
    assert 4 * 900 <= waiting["HeartbeatSeconds"] <= 86400


def test_a_refused_request_reaches_no_state_that_creates_anything(definition: Definition) -> None:
    states = definition["States"]
    assert definition["StartAt"] == "Preflight"
    caught = {catch["Next"]: catch["ErrorEquals"] for catch in states["Preflight"]["Catch"]}
    assert caught == {"ReadRefusal": ["InvalidRequest"], "PreflightFailed": ["States.ALL"]}
    assert states["ReadRefusal"]["Next"] == "RequestRefused"
    assert {states[name]["Type"] for name in ("RequestRefused", "PreflightFailed")} == {"Fail"}


def test_no_state_fails_with_an_error_of_the_states_namespace(definition: Definition) -> None:
    # An ErrorPath would hand States.TaskFailed on, and an execution must not end with a reserved name.
    ends = [state for state in definition["States"].values() if state["Type"] == "Fail"]
    assert len(ends) == 4
    assert not [state for state in ends if "ErrorPath" in state or state["Error"].startswith("States.")]


def test_every_failure_is_recorded_before_the_execution_fails(definition: Definition) -> None:
    exempt = {"Preflight", "Prepare", "RecordFailure"}
    caught = {
        name: {catch["Next"] for catch in state["Catch"]}
        for name, state in tasks(definition)
        if name not in exempt
    }
    assert len(caught) >= 9
    assert set(map(frozenset, caught.values())) == {frozenset({"RecordFailure"})}


def test_the_operator_reads_an_activity_for_every_state(definition: Definition) -> None:
    assert set(definition["States"]) == set(ACTIVITIES)


def test_each_batch_step_is_a_subcommand_of_the_program(definition: Definition) -> None:
    from truthloop_batch.__main__ import SUBCOMMANDS

    steps = {
        state["Parameters"]["Parameters"]["subcommand"]
        for _, state in tasks(definition)
        if "batch:" in state["Resource"]
    }
    assert steps == set(SUBCOMMANDS)


def _dangle(definition: Definition) -> None:
    definition["States"]["Train"]["Next"] = "Evalute"


def _orphan(definition: Definition) -> None:
    definition["States"]["Alone"] = {"Type": "Succeed"}


def _no_default(definition: Definition) -> None:
    del definition["States"]["StopOrNextRound"]["Default"]


def _no_timeout(definition: Definition) -> None:
    del definition["States"]["Score"]["TimeoutSeconds"]


def _no_catch(definition: Definition) -> None:
    definition["States"]["Select"]["Catch"] = []


def _busy_retry(definition: Definition) -> None:
    definition["States"]["Select"]["Retry"][0]["BackoffRate"] = 1.0


def _misspelt(definition: Definition) -> None:
    parameters = definition["States"]["Select"]["Parameters"]
    parameters["JobNme"] = parameters.pop("JobName.$")


def _misspelt_inside(definition: Definition) -> None:
    definition["States"]["Score"]["Parameters"]["ArrayProperties"] = {"Sise.$": "$.campaign.shards"}


@pytest.mark.parametrize(
    ("check", "mutate"),
    [
        (graph_problems, _dangle),
        (graph_problems, _orphan),
        (graph_problems, _no_default),
        (task_problems, _no_timeout),
        (task_problems, _no_catch),
        (task_problems, _busy_retry),
        (parameter_problems, _misspelt),
        (parameter_problems, _misspelt_inside),
    ],
)
def test_a_mutated_state_machine_is_caught(
    definition: Definition,
    check: Callable[[Definition], list[str]],
    mutate: Callable[[Definition], None],
) -> None:
    mutant = copy.deepcopy(definition)
    mutate(mutant)
    assert check(mutant)
