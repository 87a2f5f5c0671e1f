"""The campaign's state machine never polls, stays within its history, and records every failure."""

from __future__ import annotations

import pytest

from state_machines.soundness import Definition, cycles, events, load, tasks
from truthloop_cli.campaign import ACTIVITIES


@pytest.fixture
def definition() -> Definition:
    return load("active_learning_loop")


def test_a_round_adds_fewer_than_sixty_events_whether_it_is_audited_or_not(definition: Definition) -> None:
    rounds = cycles(definition, "Score")
    assert {"Audit" in states for states in rounds} == {True, False}
    for states in rounds:
        assert len(states) >= 8
        assert sum(events(definition["States"][name]) for name in states) < 60


@pytest.mark.parametrize(("state", "days"), [("CreateLabelingJob", 30), ("Audit", 120)])
def test_the_wait_for_people_outlasts_them_and_notices_a_dead_reconciler(
    definition: Definition, state: str, days: int
) -> None:
    waiting = definition["States"][state]
    # Ground Truth keeps a job for 30 days, and an audit consists of several one after another.
    assert waiting["TimeoutSeconds"] > days * 86400
    # The reconciler beats every 15 minutes: two hours are eight lost beats.
    assert 4 * 900 <= waiting["HeartbeatSeconds"] <= 86400


def test_labels_are_audited_after_they_are_merged_and_before_anything_is_learned_from_them(
    definition: Definition,
) -> None:
    states = definition["States"]
    assert states["MergeLabels"]["Next"] == "AuditOrTrain"
    assert states["Audit"]["Next"] == "MergeAudit"
    assert states["MergeAudit"]["Next"] == "Train"
    assert states["MergeAudit"]["Parameters"]["Payload"]["audit.$"] == states["Audit"]["ResultPath"]


def test_a_refused_request_reaches_no_state_that_creates_anything(definition: Definition) -> None:
    states = definition["States"]
    assert definition["StartAt"] == "Preflight"
    caught = {catch["Next"]: catch["ErrorEquals"] for catch in states["Preflight"]["Catch"]}
    assert caught == {"ReadRefusal": ["InvalidRequest"], "PreflightFailed": ["States.ALL"]}
    assert states["ReadRefusal"]["Next"] == "RequestRefused"
    assert {states[name]["Type"] for name in ("RequestRefused", "PreflightFailed")} == {"Fail"}


def test_every_failure_is_recorded_before_the_execution_fails(definition: Definition) -> None:
    exempt = {"Preflight", "Prepare", "RecordFailure"}
    caught = {
        name: {catch["Next"] for catch in state["Catch"]}
        for name, state in tasks(definition)
        if name not in exempt
    }
    assert len(caught) >= 11
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
