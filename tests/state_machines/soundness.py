"""What a state machine must be to be deployed: a sound graph whose tasks can fail without harm."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session

FOLDER = Path(__file__).resolve().parents[2] / "terraform" / "state_machines"
NAMES = sorted(path.name.removesuffix(".asl.json") for path in FOLDER.glob("*.asl.json"))
# What a state adds to the history. A task is entered, scheduled, started, ended and left; one that waits for
# a job or a token was submitted too.
_EVENTS = {"Choice": 2, "Pass": 2, "Task": 5}

Definition = dict[str, Any]


def load(name: str) -> Definition:
    """A definition as it stands in the repository, with its placeholders."""
    return json.loads((FOLDER / f"{name}.asl.json").read_text())


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


def events(state: Definition) -> int:
    """How many events a state adds to the history when nothing is repeated."""
    return _EVENTS[state["Type"]] + (state.get("Resource", "").endswith((".sync", ".waitForTaskToken")))


def cycles(definition: Definition, start: str) -> list[list[str]]:
    """The states that one round passes through, for every way from `start` until it comes round again."""
    found, open_ = [], [[start]]
    while open_:
        path = open_.pop()
        state = definition["States"][path[-1]]
        followers = {state[key] for key in ("Next", "Default") if key in state}
        followers |= {choice["Next"] for choice in state.get("Choices", [])}
        for name in sorted(followers):
            if name == start:
                found.append(path)
            elif name not in path:
                open_.append([*path, name])
    assert found, f"nothing comes back to {start}"
    return found
