"""Cognito: the user pool of the account's private workforce, whose users are those who label."""

from __future__ import annotations

import re
import threading
from typing import Any

from moto.cognitoidp.models import CognitoIdpBackend, CognitoIdpUser, CognitoIdpUserPool

from labeling_engine import Worker
from local_aws import labeling_jobs, patches, settings
from local_aws.sagemaker import USER_POOL

_lock = threading.Lock()


def _know_everybody(backend: CognitoIdpBackend) -> None:
    """Give the workforce's pool, which exists before anything is deployed, a user for all who may label."""
    pool = backend.user_pools.get(USER_POOL)
    if pool is None:
        pool = CognitoIdpUserPool(settings.ACCOUNT_ID, settings.REGION, "workforce", {})
        pool.arn = pool.arn.replace(pool.id, USER_POOL)
        pool.id = USER_POOL
        backend.user_pools[USER_POOL] = pool
    issuer = f"https://cognito-idp.{settings.REGION}.amazonaws.com/{USER_POOL}"
    known = {user.id for user in pool.users.values()}
    for name, worker in labeling_jobs.everybody(settings.REGION, issuer, "Cognito"):
        if worker.sub not in known:
            user = _user(name, worker, pool.users)
            pool.users[user.username] = user


def _user(name: str, worker: Worker, others: dict[str, Any]) -> CognitoIdpUser:
    username = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "worker"
    if username in others:
        username = f"{username}-{worker.sub[:8]}"
    attributes = {
        "sub": worker.sub,
        "name": name,
        "email": f"{username}@example.com",
        "email_verified": "true",
    }
    user = CognitoIdpUser(USER_POOL, username, None, "CONFIRMED", [])
    user.id = worker.sub
    user.update_attributes([{"Name": key, "Value": value} for key, value in attributes.items()])
    return user


def install() -> None:
    """Let moto know the pool and its users whenever somebody asks for them."""

    @patches.method(CognitoIdpBackend)
    def describe_user_pool(self: CognitoIdpBackend, user_pool_id: str) -> CognitoIdpUserPool:
        # Asked first by every operation on a pool.
        if user_pool_id == USER_POOL and self.region_name == settings.REGION:
            with _lock:
                _know_everybody(self)
        return describe_user_pool.original(self, user_pool_id)

    @patches.method(CognitoIdpUserPool)
    def _get_user(self: CognitoIdpUserPool, username: str) -> CognitoIdpUser | None:
        # Cognito knows a user by the sub too.
        by_sub = (user for user in list(self.users.values()) if user.id == username)
        return _get_user.original(self, username) or next(by_sub, None)
