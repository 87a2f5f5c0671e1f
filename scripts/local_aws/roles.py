"""Credentials that say which IAM role uses them, so that every call can be told to its role."""

from __future__ import annotations

import base64
import hashlib

_roles: dict[str, str] = {}


def access_key(role_arn: str) -> str:
    """Return the access key id of a role: 20 characters, the same for the same role, and remember it."""
    digest = base64.b32encode(hashlib.sha256(role_arn.encode()).digest()).decode()
    # moto finds an access key in the Authorization header by its 20 capitals and digits.
    key = f"ASIA{digest[:16]}"
    _roles[key] = role_arn
    return key


def environment(role_arn: str) -> dict[str, str]:
    """Return the environment variables that let a program act as the role."""
    return {
        "AWS_ACCESS_KEY_ID": access_key(role_arn),
        "AWS_SECRET_ACCESS_KEY": "embedded-aws-has-no-secrets",
        "AWS_SESSION_TOKEN": "embedded-aws",
    }


def role_of(key: str) -> str | None:
    """Return the ARN of the role that an access key id stands for, or None for anybody else's."""
    return _roles.get(key)
