"""One mistake each in a copy of the real files, at least one for every check, which must report it.

Check, file, what stands there (None: there is no such file), what shall stand there instead (both None: the
file is missing), part of the problem.
"""

from __future__ import annotations

from terraform.mutations import (
    batch,
    contracts,
    data,
    environments,
    events,
    examples,
    functions,
    loop,
    monitoring,
    names,
    plans,
    programs,
    rights,
    shape,
    wiring,
)

Mutation = tuple[str, str, str | None, str | None, str]

MUTATIONS: list[Mutation] = [
    *batch.MUTATIONS,
    *contracts.MUTATIONS,
    *data.MUTATIONS,
    *environments.MUTATIONS,
    *events.MUTATIONS,
    *examples.MUTATIONS,
    *functions.MUTATIONS,
    *loop.MUTATIONS,
    *monitoring.MUTATIONS,
    *names.MUTATIONS,
    *plans.MUTATIONS,
    *programs.MUTATIONS,
    *rights.MUTATIONS,
    *shape.MUTATIONS,
    *wiring.MUTATIONS,
]
