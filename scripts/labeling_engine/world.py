"""What a labelling job needs from outside: objects, functions, an event sink and a clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
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

    def log_activity(self, record: dict[str, str]) -> None:
        """Note what a worker has just done, as `labeling_engine.activity` describes it; must be quick."""
        ...

    def clock(self) -> datetime:
        """Return the job's present time, timezone-aware."""
        ...


class Clock(Protocol):
    """A job's time, and the wait for a moment of it."""

    def __call__(self) -> datetime:
        """Return the present time, timezone-aware."""
        ...

    def advance_to(self, moment: datetime) -> None:
        """Let the time go on until ``moment``, or shorter."""
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


class RunningClock:
    """A clock that runs as the real time does: `advance_to` waits.

    Parameters
    ----------
    start
        Timezone-aware; what the clock shows first.
    seconds
        A clock that never goes back, in seconds.
    """

    def __init__(self, start: datetime, seconds: Callable[[], float] = time.monotonic) -> None:
        self._start = start
        self._seconds = seconds
        self._began = seconds()
        self._woken = threading.Event()

    def __call__(self) -> datetime:
        return self._start + timedelta(seconds=self._seconds() - self._began)

    def advance_to(self, moment: datetime) -> None:
        """Wait until ``moment``, or until `wake`; a moment in the past takes no time."""
        left = (moment - self()).total_seconds()
        if left > 0:
            self._woken.wait(left)
        self._woken.clear()

    def wake(self) -> None:
        """End the present wait, or else the next one at once."""
        self._woken.set()
