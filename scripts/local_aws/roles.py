"""Credentials that say which IAM role uses them, so that every call can be told to its role."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Session:
    """A role in somebody's hands.

    Attributes
    ----------
    role_arn
        The role.
    name
        Who holds it, such as the name of a function.
    """

    role_arn: str
    name: str

    @property
    def arn(self) -> str:
        """The ARN that messages name as the user."""
        partition, account = self.role_arn.split(":")[1], self.role_arn.split(":")[4]
        role = self.role_arn.rpartition("/")[2]
        return f"arn:{partition}:sts::{account}:assumed-role/{role}/{self.name}"


_sessions: dict[str, Session] = {}


def access_key(session: Session) -> str:
    """Return the access key id of a session: 20 characters, the same for the same one, and remember it."""
    digest = base64.b32encode(hashlib.sha256(session.arn.encode()).digest()).decode()
    # moto finds an access key in the Authorization header by its 20 capitals and digits.
    key = f"ASIA{digest[:16]}"
    _sessions[key] = session
    return key


def environment(role_arn: str, name: str) -> dict[str, str]:
    """Return the environment variables that let a program act as the role, in a session of that name."""
    return {
        "AWS_ACCESS_KEY_ID": access_key(Session(role_arn, name)),
        "AWS_SECRET_ACCESS_KEY": "embedded-aws-has-no-secrets",
        "AWS_SESSION_TOKEN": "embedded-aws",
    }


def session_of(key: str) -> Session | None:
    """Return the session that an access key id stands for, or None for anybody else's."""
    return _sessions.get(key)
