"""The workforce's user pool knows who labels by the sub that their answers carry."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from labeling_engine import HumanAnnotator

if TYPE_CHECKING:
    from conftest import Account

POOL = "us-east-1_LOCALPOOL"
ISSUER = f"https://cognito-idp.us-east-1.amazonaws.com/{POOL}"


@pytest.fixture
def team(account: Account) -> Iterator[list[str]]:
    """The names of those who label; other tests have others."""
    mark = uuid.uuid4().hex[:6]
    names = [f"Ann {mark}", f"ann-{mark}", f"私 {mark}"]
    document = {
        "seed": 1,
        "truth": {"x": "1"},
        "annotators": [{"name": name, "accuracy": 1.0, "seconds_median": 1} for name in names[:2]],
        "people": [{"name": names[2], "workteam": "auditors"}],
    }
    account.aws.control("POST", "annotators", document)
    yield names
    account.aws.control("POST", "annotators", {})


def attributes(user: dict[str, Any], key: str) -> dict[str, str]:
    return {attribute["Name"]: attribute["Value"] for attribute in user[key]}


def test_everybody_in_the_team_is_found_by_the_sub(account: Account, team: list[str]) -> None:
    cognito = account.client("cognito-idp")
    sub = HumanAnnotator(team[2]).worker("us-east-1", ISSUER, "Cognito").sub
    (user,) = cognito.list_users(UserPoolId=POOL, Filter=f'sub = "{sub}"')["Users"]
    found = attributes(user, "Attributes")
    assert (found["sub"], found["name"]) == (sub, team[2])
    assert "@" in found["email"]
    for name in (user["Username"], sub):
        again = cognito.admin_get_user(UserPoolId=POOL, Username=name)
        assert attributes(again, "UserAttributes")["name"] == team[2]


def test_two_people_of_like_names_are_two_users(account: Account, team: list[str]) -> None:
    users = account.client("cognito-idp").list_users(UserPoolId=POOL)["Users"]
    found = {attributes(user, "Attributes")["name"]: user["Username"] for user in users}
    assert set(team) <= set(found)
    assert len({found[name] for name in team}) == 3


def test_nobody_else_is_known(account: Account, team: list[str]) -> None:
    cognito = account.client("cognito-idp")
    assert cognito.list_users(UserPoolId=POOL, Filter=f'sub = "{uuid.uuid4()}"')["Users"] == []
    with pytest.raises(ClientError) as problem:
        cognito.admin_get_user(UserPoolId=POOL, Username="nobody")
    assert problem.value.response["Error"]["Code"] == "UserNotFoundException"
    with pytest.raises(ClientError) as problem:
        cognito.list_users(UserPoolId="us-east-1_OTHERPOOL")
    assert problem.value.response["Error"]["Code"] == "ResourceNotFoundException"
