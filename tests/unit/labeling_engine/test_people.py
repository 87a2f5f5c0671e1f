"""A person beside simulated annotators: who gets which object, and that a job ends whatever people do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling_engine import (
    HumanAnnotator,
    InvalidAnnotators,
    JobStatus,
    LabelingJob,
    Presence,
    RunningClock,
    SimulatedAnnotators,
    Task,
    TaskGone,
    Team,
    VirtualClock,
    Worker,
    attend,
    simulate,
)
from unit.labeling_engine.job_kit import (
    ISSUER,
    START,
    InMemoryWorld,
    accept,
    annotator,
    answer,
    image_rows,
    make_job,
    started_job,
    team,
    worker,
)

ME = HumanAnnotator("me").worker("us-east-1", ISSUER, "Cognito")
PATIENCE = timedelta(seconds=60)


class Diary(VirtualClock):
    """A virtual clock that lets people act at their times, and then cuts the wait short, as a wake does."""

    def __init__(self) -> None:
        super().__init__(START)
        self.entries: list[tuple[datetime, Callable[[], None]]] = []

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        """Have somebody act so many seconds after the start."""
        self.entries.append((START + timedelta(seconds=seconds), act))
        self.entries.sort(key=lambda entry: entry[0])

    def advance_to(self, moment: datetime) -> None:
        if self.entries and self.entries[0][0] <= moment:
            when, act = self.entries.pop(0)
            super().advance_to(max(when, self()))
            act()
        else:
            super().advance_to(moment)


class Somebody:
    """A person who works on a job at a pace of their own."""

    def __init__(self, job: LabelingJob, clock: Diary, seconds: float = 10.0, who: Worker = ME) -> None:
        self.job, self.clock, self.seconds, self.who = job, clock, seconds, who
        self.presence = Presence(job, [who], PATIENCE, clock)
        self.seen: list[str] = []

    def next(self) -> Task | None:
        """Ask for the next task, as a page of the portal does."""
        self.presence.sign_of_life(self.who)
        return self.job.next_task(self.who)

    def work(self, at: float, tasks: int = 1_000) -> None:
        """From a moment on take a task and answer it, again and again."""

        def begin() -> None:
            task = self.next()
            if task is not None:
                self.seen.append(task.object_id)
                self.clock.at(at + self.seconds, lambda: finish(task))

        def finish(task: Task) -> None:
            self.job.submit(self.who, task.object_id, answer("2"))
            self.presence.sign_of_life(self.who)
            if tasks > 1:
                self.work(at + self.seconds, tasks - 1)

        self.clock.at(at, begin)


def make(count: int = 6, **changes: Any) -> tuple[LabelingJob, InMemoryWorld, Diary]:
    """Return a job over so many images, its world, and the clock of both."""
    job, world = make_job(image_rows(count), **changes)
    world.clock = clock = Diary()
    job.start()
    job.tick()
    return job, world, clock


def colleagues(count: int = 5, images: int = 6, **changes: Any) -> SimulatedAnnotators:
    return team(image_rows(images), [annotator(f"a{number}", **changes) for number in range(count)])


def run(job: LabelingJob, clock: Diary, somebody: Somebody, **options: Any) -> float:
    """Have the job done by five simulated annotators beside somebody; return the seconds it took."""
    options.setdefault("presence", somebody.presence)
    simulate(job, colleagues(), clock, region="us-east-1", issuer=ISSUER, **options)
    return (clock() - START).total_seconds()


def workers_by_object(world: InMemoryWorld) -> dict[str, list[str]]:
    """Return for each object the workers who answered it, one entry for each answer."""
    found: dict[str, list[str]] = {}
    for path in world.paths("annotations/worker-response/"):
        answers = world.json(path)["answers"]
        found.setdefault(path.split("/")[3], []).extend(record["workerId"] for record in answers)
    return found


# A person who works


def test_whoever_works_gets_every_object_and_each_has_answers_of_different_workers() -> None:
    job, world, clock = make()
    me = Somebody(job, clock)
    me.work(at=5)
    run(job, clock, me)
    assert job.status is JobStatus.COMPLETED
    assert sorted(me.seen) == ["0", "1", "2", "3", "4", "5"]
    answered = workers_by_object(world)
    assert len(answered) == 6
    for workers in answered.values():
        assert len(workers) == len(set(workers)) == 3
        assert ME.worker_id in workers


def test_simulated_annotators_do_not_wait_for_the_person_with_the_other_answers() -> None:
    job, world, clock = make()
    me = Somebody(job, clock)
    counts: list[list[int]] = []
    clock.at(50, lambda: counts.append(sorted(len(workers) for workers in workers_by_object(world).values())))
    me.work(at=55)
    run(job, clock, me)
    assert counts == [[2] * 6]


def test_a_persons_doings_hurry_nobody() -> None:
    job, world, clock = make()
    me = Somebody(job, clock, seconds=1.5)
    me.work(at=0)
    steady = colleagues(seconds_median=4.0, seconds_spread=0.0)
    simulate(job, steady, clock, region="us-east-1", issuer=ISSUER, presence=me.presence)
    times = {
        (record["workerId"] == ME.worker_id, record["timeSpentInSeconds"])
        for path in world.paths("annotations/worker-response/")
        for record in world.json(path)["answers"]
    }
    assert times == {(True, 1.5), (False, 4.0)}


def test_the_speed_is_that_of_the_simulated_annotators_alone() -> None:
    times = []
    for speed in (1.0, 4.0):
        job, _, clock = make()
        away = Somebody(job, clock)
        times.append(run(job, clock, away, speed=speed, presence=None))
    assert times[1] == pytest.approx(times[0] / 4)


def test_a_slow_colleague_beside_people_still_loses_a_task_at_its_deadline() -> None:
    job, world, clock = make(count=1, NumberOfHumanWorkersPerDataObject=1, TaskTimeLimitInSeconds=30)
    accepted: list[datetime] = []
    slow = colleagues(1, images=1, accuracy=1.0, seconds_median=4.0, seconds_spread=0.0)
    me = slow.annotators[0].worker("us-east-1", ISSUER, "Cognito")
    clock.at(35, lambda: accepted.extend(task.accepted_at for task in job.open_tasks(me)))
    clock.at(100, job.stop)
    simulate(
        job,
        slow,
        clock,
        region="us-east-1",
        issuer=ISSUER,
        speed=0.1,
    )
    assert job.status is JobStatus.STOPPED
    assert workers_by_object(world) == {}
    assert accepted == [START + timedelta(seconds=30)]


# A person who does not


def test_colleagues_finish_what_somebody_who_never_comes_leaves() -> None:
    job, world, clock = make()
    seconds = run(job, clock, Somebody(job, clock))
    assert job.status is JobStatus.COMPLETED
    answered = workers_by_object(world)
    assert [len(set(workers)) for workers in answered.values()] == [3] * 6
    assert all(ME.worker_id not in workers for workers in answered.values())
    assert PATIENCE.total_seconds() < seconds < PATIENCE.total_seconds() + 30


def test_colleagues_finish_what_somebody_leaves_who_goes_after_two_tasks() -> None:
    job, world, clock = make()
    me = Somebody(job, clock)
    me.work(at=0, tasks=2)
    seconds = run(job, clock, me)
    mine = [workers for workers in workers_by_object(world).values() if ME.worker_id in workers]
    assert len(mine) == len(me.seen) == 2
    assert job.counters["TotalLabeled"] == 6
    assert 20 + PATIENCE.total_seconds() < seconds < 20 + PATIENCE.total_seconds() + 30


def test_somebody_at_a_task_is_waited_for_beyond_the_patience() -> None:
    job, world, clock = make()
    me = Somebody(job, clock, seconds=100)
    me.work(at=0)
    run(job, clock, me)
    assert sorted(me.seen) == ["0", "1", "2", "3", "4", "5"]
    assert all(ME.worker_id in workers for workers in workers_by_object(world).values())


def test_a_task_that_somebody_walks_away_from_expires_and_colleagues_finish_it() -> None:
    job, world, clock = make(TaskTimeLimitInSeconds=120)
    me = Somebody(job, clock)
    lost: list[str] = []

    def take() -> None:
        task = me.next()
        assert task is not None
        lost.append(task.object_id)
        clock.at(500, lambda: None)

    clock.at(1, take)
    seconds = run(job, clock, me)
    assert job.counters["TotalLabeled"] == 6
    answered = workers_by_object(world)
    assert len(set(answered[lost[0]])) == 3
    assert ME.worker_id not in answered[lost[0]]
    assert 121 < seconds < 160
    with pytest.raises(TaskGone):
        job.submit(ME, lost[0], answer("1"))


def test_a_returned_task_is_not_kept_for_the_person_who_returned_it() -> None:
    job, _, clock = make(count=1, NumberOfHumanWorkersPerDataObject=1)
    me = Somebody(job, clock)
    task = me.next()
    assert task is not None
    assert me.presence.next_task(worker("a")) is None
    job.return_task(ME, task.object_id)
    me.presence.sign_of_life(ME)
    again = me.presence.next_task(worker("a"))
    assert again is not None
    assert again.object_id == task.object_id


def test_a_declined_task_never_comes_back_to_the_person_and_colleagues_do_it() -> None:
    job, world, clock = make(count=1)
    me = Somebody(job, clock)
    clock.at(1, lambda: job.decline(ME, accept_of(me)))
    run(job, clock, me)
    assert job.next_task(ME) is None
    (workers,) = workers_by_object(world).values()
    assert len(set(workers)) == 3
    assert ME.worker_id not in workers


def accept_of(somebody: Somebody) -> str:
    task = somebody.next()
    assert task is not None
    return task.object_id


def test_people_alone_do_a_job() -> None:
    job, world, clock = make(NumberOfHumanWorkersPerDataObject=1)
    me = Somebody(job, clock)
    me.work(at=0)
    attend(job, clock, is_over=lambda: False)
    assert job.status is JobStatus.COMPLETED
    assert {tuple(workers) for workers in workers_by_object(world).values()} == {(ME.worker_id,)}
    assert len(world.rows()) == 6


def test_a_job_can_be_left_and_taken_up_again() -> None:
    job, world, clock = make()
    me = Somebody(job, clock)
    left = [False]
    clock.at(3, lambda: left.__setitem__(0, True))
    run(job, clock, me, is_over=lambda: left[0])
    assert job.status is JobStatus.IN_PROGRESS
    run(job, clock, me)
    assert job.status is JobStatus.COMPLETED
    assert [len(set(workers)) for workers in workers_by_object(world).values()] == [3] * 6


# Rules of the job


def test_a_person_with_two_windows_holds_two_objects_and_never_one_twice() -> None:
    job, _ = started_job(image_rows(2))
    tasks = [accept_another(job) for _ in range(2)]
    assert {task.object_id for task in tasks} == {"0", "1"}
    assert job.next_task(ME, another=True) is None
    assert job.open_tasks(ME) == tasks
    assert job.next_task(ME) == tasks[0]
    # The object of which another worker returns a task stays one of this person's.
    accept(job, worker("a"))
    job.return_task(worker("a"), "0")
    assert job.next_task(ME, another=True) is None


def accept_another(job: LabelingJob) -> Task:
    task = job.next_task(ME, another=True)
    assert task is not None
    return task


def test_the_answer_to_one_of_two_tasks_leaves_the_other_as_it_is() -> None:
    job, world = started_job(image_rows(2), TaskTimeLimitInSeconds=60)
    first = accept_another(job)
    world.clock.advance_to(START + timedelta(seconds=30))
    second = accept_another(job)
    job.submit(ME, first.object_id, answer("1"))
    assert job.open_tasks(ME) == [second]
    world.clock.advance_to(START + timedelta(seconds=90))
    assert job.open_tasks(ME) == []
    with pytest.raises(TaskGone):
        job.submit(ME, second.object_id, answer("1"))


def test_a_place_that_was_kept_for_somebody_is_found_once_it_no_longer_is() -> None:
    job, _ = started_job(image_rows(3), NumberOfHumanWorkersPerDataObject=1)
    colleague = worker("a")
    assert job.next_task(colleague, leaving_room_for={ME.worker_id}) is None
    assert accept(job, ME).object_id == "0"
    job.decline(ME, "0")
    assert job.next_task(colleague, leaving_room_for={ME.worker_id}) is None
    assert [accept_and_answer(job, colleague) for _ in range(2)] == ["1", "2"]


def accept_and_answer(job: LabelingJob, who: Worker) -> str:
    task = accept(job, who)
    job.submit(who, task.object_id, answer("1"))
    return task.object_id


def test_a_place_is_kept_for_each_of_several_people() -> None:
    job, _ = started_job(image_rows(1))
    you = HumanAnnotator("you").worker("us-east-1", ISSUER, "Cognito")
    both = {ME.worker_id, you.worker_id}
    assert job.next_task(worker("a"), leaving_room_for=both) is not None
    assert job.next_task(worker("b"), leaving_room_for=both) is None
    assert job.next_task(ME, leaving_room_for=both) is not None
    assert job.next_task(worker("b"), leaving_room_for=both) is None
    assert job.next_task(you) is not None


def test_the_tally_counts_what_one_could_accept_and_what_one_has_answered() -> None:
    job, _ = started_job(image_rows(5), NumberOfHumanWorkersPerDataObject=1)
    assert job.tally(ME) == (5, 0)
    accept(job, worker("a"))
    assert job.tally(ME) == (4, 0)
    accept_and_answer(job, ME)
    job.decline(ME, accept(job, ME).object_id)
    assert job.tally(ME) == (2, 1)
    job.stop()
    assert job.tally(ME) == (0, 1)


@settings(max_examples=40, deadline=None)
@given(
    acts=st.lists(
        st.tuples(st.sampled_from(["next", "submit", "decline", "return"]), st.integers(1, 40)), max_size=30
    ),
    wanted=st.integers(1, 4),
    concurrent=st.integers(1, 6),
)
def test_whatever_a_person_does_the_job_ends_with_answers_of_different_workers(
    acts: list[tuple[str, int]], wanted: int, concurrent: int
) -> None:
    job, world, clock = make(
        NumberOfHumanWorkersPerDataObject=wanted,
        MaxConcurrentTaskCount=concurrent,
        TaskTimeLimitInSeconds=30,
    )
    me = Somebody(job, clock)
    ended: dict[str, list[str]] = {"submit": [], "decline": [], "return": []}

    def act(verb: str) -> None:
        me.presence.sign_of_life(ME)
        held = job.open_tasks(ME)
        assert len({task.object_id for task in held}) == len(held)
        if verb == "next":
            task = job.next_task(ME, another=True)
            assert task is None or task.object_id not in ended["submit"] + ended["decline"]
        elif held:
            ends = {"submit": lambda *of: job.submit(*of, answer("2")), "decline": job.decline}
            ends.get(verb, job.return_task)(ME, held[-1].object_id)
            ended[verb].append(held[-1].object_id)

    seconds = 0
    for verb, later in acts:
        seconds += later
        clock.at(seconds, lambda verb=verb: act(verb))
    run(job, clock, me)
    assert job.status is JobStatus.COMPLETED
    assert job.counters["TotalLabeled"] + job.counters["FailedNonRetryableError"] == 6
    answered = workers_by_object(world)
    assert all(len(workers) == len(set(workers)) <= wanted for workers in answered.values())
    mine = [each for each, workers in answered.items() if ME.worker_id in workers]
    assert sorted(mine) == sorted(ended["submit"])


# Clocks


def test_a_running_clock_runs_as_its_seconds_do() -> None:
    seconds = [100.0]
    clock = RunningClock(START, lambda: seconds[0])
    assert clock() == START
    seconds[0] += 2.5
    assert clock() == START + timedelta(seconds=2.5)


def test_the_wait_of_a_running_clock_ends_at_its_moment_or_when_woken() -> None:
    clock = RunningClock(START)
    clock.advance_to(clock() + timedelta(milliseconds=50))
    assert clock() - START > timedelta(milliseconds=45)
    clock.advance_to(START)
    waiting = threading.Thread(target=clock.advance_to, args=(START + timedelta(days=1),))
    waiting.start()
    time.sleep(0.02)
    assert waiting.is_alive()
    clock.wake()
    waiting.join(5)
    assert not waiting.is_alive()
    # Woken before it waits, as when somebody acts while the job is busy.
    clock.wake()
    clock.advance_to(START + timedelta(days=1))
    assert clock() < START + timedelta(minutes=1)


def test_a_job_beside_people_runs_in_real_time() -> None:
    job, world = make_job(image_rows(2))
    world.clock = clock = RunningClock(START)  # type: ignore[assignment]
    job.start()
    presence = Presence(job, [ME], timedelta(seconds=0.3), clock)
    quick = colleagues(3, images=2, seconds_median=0.05, seconds_spread=0.0)
    began = time.monotonic()
    simulate(job, quick, clock, region="us-east-1", issuer=ISSUER, presence=presence)
    assert 0.3 < time.monotonic() - began < 5
    assert job.status is JobStatus.COMPLETED


# The team's document


def document(**changes: Any) -> dict[str, Any]:
    return {
        "seed": 1,
        "truth": {"s3://bucket/1.png": "1"},
        "annotators": [annotator("a")],
        "people": [{"name": "me"}],
        **changes,
    }


def test_a_document_names_people_beside_simulated_annotators() -> None:
    read = Team.from_document(document(speed=4, patience_seconds=5))
    assert read.people == (HumanAnnotator("me"),)
    assert read.simulated is not None
    assert [each.name for each in read.simulated.annotators] == ["a"]
    assert (read.speed, read.patience) == (4.0, timedelta(seconds=5))


def test_people_may_be_alone_and_simulated_annotators_too() -> None:
    alone = Team.from_document({"people": [{"name": "me"}, {"name": "あなた"}]})
    assert alone.simulated is None
    assert [person.name for person in alone.people] == ["me", "あなた"]
    simulated = document()
    del simulated["people"]
    assert Team.from_document(simulated).people == ()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"people": []}, "people is []"),
        ({"people": "me"}, "people is 'me'"),
        ({"people": [{"name": ""}]}, "people[0] is {'name': ''}"),
        ({"people": [{"name": "me", "accuracy": 1}]}, "people[0] is"),
        ({"people": ["me"]}, "people[0] is 'me'"),
        ({"people": [{"name": "x" * 101}]}, "1 to 100 characters"),
        ({"people": [{"name": "me"}, {"name": "me"}]}, "'me' is given more than once"),
        ({"people": [{"name": "a"}]}, "'a' is both a person's and a simulated annotator's"),
        ({"speed": 0}, "speed is 0; give a number from 0.01 to 1000"),
        ({"speed": True}, "speed is True"),
        ({"patience_seconds": -1}, "patience_seconds is -1"),
        ({"patience_seconds": "60"}, "patience_seconds is '60'"),
        ({"seed": None}, "seed is None"),
        ({"pace": 2}, "unknown key 'pace'"),
    ],
)
def test_every_mistake_in_a_document_is_told(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidAnnotators) as caught:
        Team.from_document(document(**changes))
    assert told in str(caught.value)


def test_all_mistakes_of_a_document_are_told_together() -> None:
    with pytest.raises(InvalidAnnotators) as caught:
        Team.from_document(document(seed="one", people=[], speed=-1))
    assert all(word in str(caught.value) for word in ("seed", "people", "speed"))


def test_a_speed_without_people_is_a_mistake() -> None:
    changed = document(speed=2)
    del changed["people"]
    with pytest.raises(InvalidAnnotators, match="speed without people"):
        Team.from_document(changed)
    for nothing in (None, [], "me", 3):
        with pytest.raises(InvalidAnnotators):
            Team.from_document(nothing)


def test_a_person_is_no_simulated_annotator_of_the_same_name() -> None:
    simulated = colleagues().annotators[0]
    person = HumanAnnotator(simulated.name).worker("us-east-1", ISSUER, "Cognito")
    other = simulated.worker("us-east-1", ISSUER, "Cognito")
    assert person.worker_id != other.worker_id
    assert person.sub != other.sub
    assert person == HumanAnnotator(simulated.name).worker("us-east-1", ISSUER, "Cognito")
    assert person.worker_id.startswith("private.us-east-1.")
