"""Which people are at work on a job, so that simulated annotators leave them something to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from labeling_engine.job import LabelingJob, Task, Worker
from labeling_engine.world import Clock


class Presence:
    """The people of a job's team, each at work or away.

    A person is at work while holding a task, and for as long as the patience lasts after each sign of life.
    Simulated annotators leave whoever is at work a place in every object that this person has not had yet;
    for whom is away they leave none, so a job ends without them too.

    Parameters
    ----------
    patience
        How long simulated annotators wait for a person who holds no task; from now on at first.
    clock
        The clock of the job's world.
    """

    def __init__(
        self, job: LabelingJob, people: Iterable[Worker], patience: timedelta, clock: Callable[[], datetime]
    ) -> None:
        self._job = job
        self._patience = patience
        self._clock = clock
        self._until = {person: clock() + patience for person in people}

    def sign_of_life(self, person: Worker) -> None:
        """Note that a person has just done something, in this job or in another one."""
        self._until[person] = self._clock() + self._patience

    def at_work(self) -> frozenset[str]:
        """Return the ids of those who are at work."""
        now = self._clock()
        return frozenset(
            person.worker_id
            for person, until in self._until.items()
            if now < until or self._job.open_tasks(person)
        )

    def next_task(self, colleague: Worker) -> Task | None:
        """Return the next task of somebody who leaves those at work their places; None when there is none."""
        return self._job.next_task(colleague, leaving_room_for=self.at_work())

    def next_change(self) -> datetime | None:
        """Return when the patience with one of them ends next; None when it has ended with all."""
        now = self._clock()
        return min((until for until in self._until.values() if now < until), default=None)


def attend(job: LabelingJob, clock: Clock, is_over: Callable[[], bool]) -> None:
    """Keep a started job going on which people alone work, until it is finished.

    Parameters
    ----------
    clock
        The clock of the job's world; its waits must end when somebody has done something.
    is_over
        Asked after each wait: whether to leave the job as it is.
    """
    job.tick()
    while not is_over() and (deadline := job.next_deadline()) is not None:
        clock.advance_to(deadline)
        job.tick()
