"""A labelling job is done by the members of its work team."""

from __future__ import annotations

from typing import Any

import pytest

from labeling_engine import InvalidAnnotators, Team
from unit.labeling_engine.job_kit import annotator


def document(*annotators: dict[str, Any], people: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    beside = {} if people is None else {"people": people}
    return {"seed": 1, "truth": {"x": "1"}, "annotators": list(annotators), **beside}


def names(team: Team | None) -> list[str] | None:
    if team is None:
        return None
    simulated = () if team.simulated is None else team.simulated.annotators
    return [each.name for each in (*simulated, *team.people)]


def test_a_team_that_somebody_names_is_done_by_those_who_name_it() -> None:
    team = Team.from_document(document(annotator("ann"), annotator("bob", workteam="auditors")))
    assert names(team.members_of("auditors")) == ["bob"]


def test_whoever_names_no_team_works_for_every_team_that_nobody_names() -> None:
    team = Team.from_document(document(annotator("ann"), annotator("bob", workteam="auditors")))
    assert names(team.members_of("labelers")) == names(team.members_of("others")) == ["ann"]


def test_a_team_without_members_is_done_by_nobody() -> None:
    team = Team.from_document(document(annotator("bob", workteam="auditors")))
    assert names(team.members_of("labelers")) is None


def test_people_are_in_teams_too_and_simulated_members_keep_their_truth() -> None:
    team = Team.from_document(
        document(
            annotator("ann"),
            annotator("bob", workteam="auditors"),
            people=[
                {"name": "me"},
                {"name": "you", "workteam": "auditors"},
                {"name": "she", "workteam": "experts"},
            ],
        )
    )
    assert names(team.members_of("labelers")) == ["ann", "me"]
    assert names(team.members_of("auditors")) == ["bob", "you"]
    assert names(team.members_of("experts")) == ["she"]
    auditors, experts = team.members_of("auditors"), team.members_of("experts")
    assert auditors is not None
    assert auditors.simulated is not None
    assert auditors.simulated.truth == {"x": "1"}
    assert experts is not None
    assert experts.simulated is None


def test_a_team_of_simulated_members_alone_needs_no_real_time() -> None:
    team = Team.from_document(document(annotator("bob", workteam="auditors"), people=[{"name": "me"}]))
    auditors = team.members_of("auditors")
    assert auditors is not None
    assert auditors.people == ()


@pytest.mark.parametrize("workteam", ["", 3, "arn:aws:sagemaker:us-east-1:1:workteam/private-crowd/a", "a_b"])
def test_a_work_team_is_given_by_its_name(workteam: Any) -> None:
    for wrong in (
        document(annotator("ann", workteam=workteam)),
        document(annotator("ann"), people=[{"name": "me", "workteam": workteam}]),
    ):
        with pytest.raises(InvalidAnnotators, match="give the name of a work team, not its ARN"):
            Team.from_document(wrong)
