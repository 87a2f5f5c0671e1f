"""Container images: without a container runtime, an image is the program that its Dockerfile starts."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping

from local_aws import roles, settings


class NoProgram(RuntimeError):
    """The Dockerfile does not say what an image starts."""


def entrypoint() -> list[str]:
    """Return the ENTRYPOINT of the Dockerfile, with this Python in place of ``python``.

    Raises
    ------
    NoProgram
        If there is no Dockerfile, or no ENTRYPOINT in JSON form in it.
    """
    dockerfile = settings.current.dockerfile
    if not dockerfile.is_file():
        raise NoProgram(f"There is no Dockerfile at {dockerfile}; its ENTRYPOINT is what a job would run.")
    found = [
        line.split(maxsplit=1)[1]
        for line in dockerfile.read_text().splitlines()
        if line.split(maxsplit=1)[:1] == ["ENTRYPOINT"]
    ]
    try:
        program = json.loads(found[-1])
    except (IndexError, ValueError):
        raise NoProgram(
            f'{dockerfile} needs a line such as ENTRYPOINT ["python", "-m", "program"].'
        ) from None
    return [sys.executable if program[0] in ("python", "python3") else program[0], *program[1:]]


def environment(role_arn: str | None, declared: Mapping[str, str], session: str) -> dict[str, str]:
    """Return what a container's program finds in its environment.

    Parameters
    ----------
    role_arn
        The role that it acts as; without one it has no credentials.
    declared
        The variables of the job.
    session
        The name of the role's session.
    """
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(settings.current.scratch),
        "LANG": "C.UTF-8",
        # A container's output is read while it runs.
        "PYTHONUNBUFFERED": "1",
        "AWS_DEFAULT_REGION": settings.REGION,
        "AWS_REGION": settings.REGION,
        "AWS_ENDPOINT_URL": settings.current.endpoint,
        **(roles.environment(role_arn, session) if role_arn else {}),
        **declared,
    }
