"""Calls for later in lanes: each has threads of its own, so nothing waits behind the backlog of another."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Hashable


class Lanes:
    """Queues that are worked off side by side.

    Parameters
    ----------
    name
        What their threads are called.
    width
        How many calls of one lane run at a time.
    """

    def __init__(self, name: str, width: int) -> None:
        self._name = name
        self._width = width
        self._queues: dict[Hashable, list[tuple[float, int, Callable[[], None]]]] = {}
        self._threads: Counter[Hashable] = Counter()
        self._numbers = itertools.count()
        self._changed = threading.Condition()

    def submit(self, lane: Hashable, call: Callable[[], None], delay: float = 0.0) -> None:
        """Let a call be made after so many seconds, when its lane is free; the first one submitted first."""
        with self._changed:
            queue = self._queues.setdefault(lane, [])
            heapq.heappush(queue, (time.monotonic() + delay, next(self._numbers), call))
            is_free = self._threads[lane] < self._width
            self._threads[lane] += is_free
            self._changed.notify_all()
        if is_free:
            threading.Thread(target=self._work, args=(lane,), name=self._name, daemon=True).start()

    def clear(self) -> None:
        """Forget all calls that have not begun."""
        with self._changed:
            for queue in self._queues.values():
                queue.clear()
            self._changed.notify_all()

    def _work(self, lane: Hashable) -> None:
        while call := self._next(lane):
            try:
                call()
            except Exception:
                # The terminal is where somebody who extends the embedded AWS looks.
                traceback.print_exc()

    def _next(self, lane: Hashable) -> Callable[[], None] | None:
        """Wait for the lane's next call and return it; None when the lane is empty, which ends its thread."""
        with self._changed:
            while queue := self._queues[lane]:
                seconds = queue[0][0] - time.monotonic()
                if seconds <= 0:
                    return heapq.heappop(queue)[2]
                self._changed.wait(seconds)
            self._threads[lane] -= 1
            if not self._threads[lane]:
                del self._threads[lane], self._queues[lane]
            return None
