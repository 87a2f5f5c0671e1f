"""Finds what people are called, in the user pool of their team, for one report; nothing is kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from truthloop.trace.people import Identity, People

# `sub` goes into a filter's quotes: what could end them is no sub.
_SUB = re.compile(r"[0-9A-Za-z_-]{1,128}")
_COGNITO = re.compile(
    r"https://cognito-idp\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?/(?P<pool>[\w-]+_[0-9a-zA-Z]+)"
)
# In this order; the first that a person has.
_ATTRIBUTES = ("name", "preferred_username", "email")

UNKNOWN = "unknown"


def find_names(pseudonyms: Iterable[str], people: People, cognito: Callable[[], Any]) -> dict[str, str]:
    """What each pseudonym's person is called, "unknown (why)" where that cannot be found out.

    Parameters
    ----------
    cognito
        Makes the client of Cognito's user pools when it is needed.
    """
    return {name: _name(people.identity(name), cognito) for name in sorted(set(pseudonyms))}


def _name(identity: Identity | None, cognito: Callable[[], Any]) -> str:
    if identity is None:
        return f"{UNKNOWN} (forgotten)"
    pool = _COGNITO.fullmatch(identity.issuer or "")
    if pool is None or identity.sub is None or _SUB.fullmatch(identity.sub) is None:
        return f"{UNKNOWN} (not of a Cognito user pool)"
    try:
        users = cognito().list_users(UserPoolId=pool["pool"], Filter=f'sub = "{identity.sub}"', Limit=1)[
            "Users"
        ]
    except ClientError as error:
        return f"{UNKNOWN} ({error.response['Error'].get('Code')})"
    if not users:
        return f"{UNKNOWN} (not in the user pool any more)"
    known: Mapping[str, str] = {each["Name"]: each["Value"] for each in users[0].get("Attributes", [])}
    return next((known[name] for name in _ATTRIBUTES if known.get(name)), users[0]["Username"])
