"""A backlog in one lane keeps nobody else waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from local_aws.lanes import Lanes


def wait(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_call_overtakes_the_backlog_of_another_lane() -> None:
    lanes, blocked, done = Lanes("test", 2), threading.Event(), threading.Event()
    for _ in range(50):
        lanes.submit("busy", lambda: bool(blocked.wait(5)))
    lanes.submit("other", done.set)
    assert done.wait(2)
    blocked.set()


def test_no_more_calls_of_a_lane_run_at_a_time_than_it_is_wide() -> None:
    lanes, running, most, count, lock = Lanes("test", 2), 0, 0, 0, threading.Lock()

    def call() -> None:
        nonlocal running, most, count
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1
            count += 1

    for _ in range(12):
        lanes.submit("one", call)
    wait(lambda: count == 12)
    assert most == 2


def test_calls_are_made_in_their_order_and_late_ones_when_they_are_due() -> None:
    lanes, made = Lanes("test", 1), []
    started = time.monotonic()
    lanes.submit("one", lambda: made.append(("late", time.monotonic() - started)), 0.2)
    for number in range(3):
        lanes.submit("one", lambda number=number: made.append((number, 0.0)))
    wait(lambda: len(made) == 4)
    assert [name for name, _ in made] == [0, 1, 2, "late"]
    assert made[-1][1] >= 0.2


def test_a_call_that_fails_ends_neither_its_lane_nor_its_thread(capsys: pytest.CaptureFixture[str]) -> None:
    lanes, done = Lanes("test", 1), threading.Event()

    def fail() -> None:
        raise ValueError("broken")

    lanes.submit("one", fail)
    lanes.submit("one", done.set)
    assert done.wait(2)
    assert "ValueError: broken" in capsys.readouterr().err


def test_what_has_not_begun_can_be_forgotten_and_the_lane_goes_on_afterwards() -> None:
    lanes, made, done = Lanes("test", 1), [], threading.Event()
    for number in range(3):
        lanes.submit("one", lambda number=number: made.append(number), 0.2)
    lanes.clear()
    time.sleep(0.3)
    assert made == []
    lanes.submit("one", done.set)
    assert done.wait(2)


def test_an_empty_lane_keeps_no_thread() -> None:
    lanes, done = Lanes("lane-that-ends", 2), threading.Event()
    lanes.submit("one", done.set)
    assert done.wait(2)
    wait(lambda: all(thread.name != "lane-that-ends" for thread in threading.enumerate()))
