"""What a labelling job needs from outside: objects, functions, an event sink and a clock."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol


class ObjectUnreadable(LookupError):
    """An object of the job (manifest, template, label categories) cannot be read; the text says which."""


class FunctionFailed(RuntimeError):
    """A function call ended with an error or could not be made; the text is the function's error."""


class World(Protocol):
    """The outside of a job. Every method may be called from several threads at a time.

    An exception other than the two above passes through the engine untouched, so a host can use its own to
    abandon a job.
    """

    def read_object(self, uri: str) -> bytes:
        """Return the body of ``s3://bucket/key``; raises `ObjectUnreadable`."""
        ...

    def write_object(self, uri: str, body: bytes) -> None:
        """Store ``body`` under ``s3://bucket/key``."""
        ...

    def invoke_function(self, arn: str, payload: dict[str, Any]) -> Any:
        """Call a function and return its decoded JSON result; raises `FunctionFailed`."""
        ...

    def publish(self, event: dict[str, Any]) -> None:
        """Send an EventBridge event; the receiver adds ``id`` and ``time``, as the event bus does."""
        ...

    def clock(self) -> datetime:
        """Return the job's present time, timezone-aware."""
        ...


class VirtualClock:
    """A clock that stands still until it is moved: a simulated job takes no real time.

    Parameters
    ----------
    start
        Timezone-aware; the moment at which the job is created.
    """

    def __init__(self, start: datetime) -> None:
        self._now = start

    def __call__(self) -> datetime:
        return self._now

    def advance_to(self, moment: datetime) -> None:
        """Move forward to ``moment``; raises `ValueError` when that lies in the past."""
        if moment < self._now:
            raise ValueError(
                f"the clock stands at {self._now.isoformat()} and cannot go back to {moment.isoformat()}"
            )
        self._now = moment
