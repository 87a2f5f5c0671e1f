"""The audit's state machine waits for people without polling, and tells of every end."""

from __future__ import annotations

import pytest

from state_machines.soundness import Definition, cycles, events, load, tasks


@pytest.fixture
def definition() -> Definition:
    return load("label_audit")


def test_a_step_adds_fewer_than_twenty_events(definition: Definition) -> None:
    # AWS ends an execution at 25,000; the longest audit has some thirty steps.
    (step,) = cycles(definition, "Advance")
    assert step == ["Advance", "DoneOrCreateJob", "CreateAuditJob"]
    assert sum(events(definition["States"][name]) for name in step) < 20


def test_the_wait_for_people_is_that_of_a_campaign(definition: Definition) -> None:
    waiting, campaigns = definition["States"]["CreateAuditJob"], load("active_learning_loop")["States"]
    for key in ("Resource", "TimeoutSeconds", "HeartbeatSeconds", "Retry"):
        assert waiting[key] == campaigns["CreateLabelingJob"][key]


def test_every_failure_is_told_before_the_execution_fails(definition: Definition) -> None:
    caught = {
        name: {catch["Next"] for catch in state["Catch"]}
        for name, state in tasks(definition)
        if name != "RecordAuditFailure"
    }
    assert set(caught) == {"Advance", "CreateAuditJob", "FinishAudit"}
    assert set(map(frozenset, caught.values())) == {frozenset({"RecordAuditFailure"})}


def test_a_failure_that_cannot_be_told_keeps_its_own_reason(definition: Definition) -> None:
    states = definition["States"]
    (catch,) = states["RecordAuditFailure"]["Catch"]
    assert (catch["Next"], catch["ResultPath"]) == ("AuditFailed", "$.recording_error")
    assert states["AuditFailed"]["CausePath"] == "$.error.Cause"


def test_only_two_states_end_an_audit(definition: Definition) -> None:
    ends = {name: state["Type"] for name, state in definition["States"].items() if "Next" not in state}
    assert ends == {"DoneOrCreateJob": "Choice", "AuditFinished": "Succeed", "AuditFailed": "Fail"}
