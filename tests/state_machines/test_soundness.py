"""Every state machine is a sound graph, calls services with parameters that exist, and never polls."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from state_machines.soundness import (
    NAMES,
    Definition,
    graph_problems,
    load,
    parameter_problems,
    task_problems,
    tasks,
)


@pytest.fixture(params=NAMES)
def definition(request: pytest.FixtureRequest) -> Definition:
    return load(request.param)


def test_there_are_state_machines() -> None:
    assert NAMES == ["active_learning_loop", "label_audit"]


def test_the_graph_is_sound(definition: Definition) -> None:
    assert graph_problems(definition) == []


def test_every_task_has_timeout_retry_and_catch(definition: Definition) -> None:
    assert task_problems(definition) == []


def test_every_parameter_exists_in_the_called_api(definition: Definition) -> None:
    assert parameter_problems(definition) == []


def test_nothing_polls(definition: Definition) -> None:
    assert not [name for name, state in definition["States"].items() if state["Type"] == "Wait"]


def test_what_waits_for_people_gives_its_token_away_and_asks_for_heartbeats(definition: Definition) -> None:
    waiting = [state for _, state in tasks(definition) if state["Resource"].endswith(".waitForTaskToken")]
    assert waiting
    for state in waiting:
        assert state["Parameters"]["Payload"]["task_token.$"] == "$$.Task.Token"
        assert state["HeartbeatSeconds"] < state["TimeoutSeconds"]


def test_no_state_fails_with_an_error_of_the_states_namespace(definition: Definition) -> None:
    # An ErrorPath would hand States.TaskFailed on, and an execution must not end with a reserved name.
    ends = [state for state in definition["States"].values() if state["Type"] == "Fail"]
    assert ends
    assert not [state for state in ends if "ErrorPath" in state or state["Error"].startswith("States.")]


# ---- proved by what would break them -----------------------------------------------------------------------


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
    check: Callable[[Definition], list[str]], mutate: Callable[[Definition], None]
) -> None:
    mutant = copy.deepcopy(load("active_learning_loop"))
    mutate(mutant)
    assert check(mutant)
