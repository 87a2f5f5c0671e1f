"""A labelling job: sends objects to workers, has their answers consolidated and writes the output."""

from __future__ import annotations

import heapq
import json
import threading
from collections import defaultdict, deque
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import Any

from labeling_engine.activity import ActivityType, activity_record
from labeling_engine.annotation_functions import (
    MalformedResponse,
    PreAnnotation,
    consolidation_entry,
    failure_reason,
    post_annotation_request,
    pre_annotation_request,
    read_post_annotation,
    read_pre_annotation,
)
from labeling_engine.manifest import InvalidManifest, read_manifest, source_of, write_manifest
from labeling_engine.specification import JobSpecification
from labeling_engine.world import FunctionFailed, ObjectUnreadable, World

POST_ANNOTATION_ATTEMPTS = 3
PRE_ANNOTATIONS_AT_A_TIME = 4
# A share of all objects. The documentation says that a job fails when too many of its objects do, without a
# number for human-only jobs; failures of the two functions alone count: they point to an error in the job.
MOST_FUNCTION_FAILURES = 0.5
# Source: LabelingJobStoppingConditions in the SageMaker API reference.
LONGEST_JOB = timedelta(days=30)
_LONGEST_FAILURE_REASON = 1024
# An iteration is a round of automated data labelling; a human-only job has one.
_ITERATION = "iteration-1"
# Stands for the worker in the deadline of an object as a whole.
_NOBODY = ""


class JobStatus(StrEnum):
    """LabelingJobStatus as DescribeLabelingJob gives it."""

    INITIALIZING = "Initializing"
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"


_FINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.STOPPED})


class TaskGone(LookupError):
    """The worker doesn't hold the task: it timed out, expired, was answered already, or the job is over."""


@dataclass(frozen=True)
class Worker:
    """A member of the work team as the job's files name one.

    ``sub`` and ``issuer`` identify the person at the identity provider (Cognito or Oidc); ``worker_id`` is a
    pseudonym.
    """

    worker_id: str
    sub: str
    issuer: str
    identity_provider: str


@dataclass(frozen=True)
class Task:
    """One object in one worker's hands.

    ``input`` is what the template sees as ``task.input``, ``source`` the object's S3 URI or text, ``attempt``
    counts from 1 how often this worker has had the object, and from ``deadline`` on no answer is taken.
    """

    object_id: str
    input: dict[str, Any]
    source: str
    attempt: int
    accepted_at: datetime
    deadline: datetime


class _State(Enum):
    WAITING = "not yet sent to workers"
    SENT = "open for workers"
    ANSWERED = "waiting for consolidation"
    LABELED = "labelled"
    FAILED = "failed"
    EXEMPT = "needs no person's answer"


@dataclass
class _Object:
    index: int
    row: dict[str, Any]
    state: _State = _State.WAITING
    task_input: dict[str, Any] = field(default_factory=dict)
    expires_at: datetime = field(init=False)
    tasks: dict[str, Task] = field(default_factory=dict)
    answers: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    done_with: set[str] = field(default_factory=set)
    attempts: dict[str, int] = field(default_factory=dict)
    declines: int = 0
    label: dict[str, Any] | None = None

    @property
    def object_id(self) -> str:
        return str(self.index)


class LabelingJob:
    """A labelling job as a state machine that a host drives.

    The host calls `start` once, `tick` whenever time has passed or a worker has done something, and on the
    workers' behalf `next_task`, `submit`, `decline` and `return_task`, from any thread. Workers' calls are
    quick: the two functions are called in `tick` alone.

    Documented behaviour: an object goes to ``workers_per_object`` different workers. A worker who declined or
    answered it doesn't see it again; after ``workers_per_object`` declines it goes to nobody else. A returned
    task and one whose time limit has passed are open again, to the same worker only when nothing else is left
    for that worker. When an object's availability ends, the answers so far are consolidated; without an
    answer the object has failed. At most ``max_concurrent_objects`` are open at a time, and answers are
    consolidated in batches of that size. Stopping keeps everything that was answered.
    """

    def __init__(self, specification: JobSpecification, world: World) -> None:
        self.specification = specification
        self._world = world
        self._status = JobStatus.INITIALIZING
        self._failure_reason: str | None = None
        self._template = ""
        self._label_categories: list[str] | None = None
        self._objects: list[_Object] = []
        self._waiting: deque[_Object] = deque()
        self._sent: list[_Object] = []
        self._open_objects = 0
        self._reopened: dict[int, _Object] = {}
        self._cursors: dict[str, int] = {}
        self._held: defaultdict[str, dict[str, _Object]] = defaultdict(dict)
        self._answered: list[_Object] = []
        self._deadlines: list[tuple[datetime, int, str]] = []
        self._responses: dict[tuple[int, str], list[dict[str, Any]]] = {}
        self._batch_times: set[str] = set()
        self._function_failures = 0
        self._last_function_failure = ""
        self._label_limit: int | None = None
        self._labeled_here = 0
        self._must_end_at = world.clock() + LONGEST_JOB
        # The first lock guards the state and is held briefly; under the second, functions are called.
        self._lock = threading.RLock()
        self._advancing = threading.Lock()

    # What a host reads

    @property
    def status(self) -> JobStatus:
        """The job's present status."""
        return self._status

    @property
    def is_finished(self) -> bool:
        """Whether the status is final."""
        return self._status in _FINAL

    @property
    def failure_reason(self) -> str | None:
        """Why the job failed, at most 1,024 characters."""
        return self._failure_reason

    @property
    def template(self) -> str:
        """The worker template's Liquid text; empty before `start`."""
        return self._template

    @property
    def counters(self) -> dict[str, int]:
        """LabelCounters: labelled, failed and unlabelled objects add up to the lines of the input manifest.

        Lines that came with a label count by their metadata's ``human-annotated``. An object that the
        pre-annotation function exempted stays unlabelled.
        """
        with self._lock:
            labeled = [o for o in self._objects if o.state is _State.LABELED]
            human = sum(self._is_human(o) for o in labeled)
            failed = sum(o.state is _State.FAILED for o in self._objects)
            return {
                "TotalLabeled": len(labeled),
                "HumanLabeled": human,
                "MachineLabeled": len(labeled) - human,
                "FailedNonRetryableError": failed,
                "Unlabeled": len(self._objects) - len(labeled) - failed,
            }

    def read_object(self, uri: str) -> bytes:
        """Return an object that workers are shown, with the job's rights; raises `ObjectUnreadable`."""
        return self._world.read_object(uri)

    def next_deadline(self) -> datetime | None:
        """Return when `tick` has something to end even if nobody works; None when the job is over."""
        with self._lock:
            if self.is_finished:
                return None
            while self._deadlines and not self._is_due_ever(*self._deadlines[0]):
                heapq.heappop(self._deadlines)
            return min(self._deadlines[0][0], self._must_end_at) if self._deadlines else self._must_end_at

    # What a host does

    def start(self) -> None:
        """Read the manifest, the template and the label categories; the job is then in progress or failed."""
        specification = self.specification
        try:
            rows = read_manifest(self._world.read_object(specification.manifest_uri))
            template = self._world.read_object(specification.template_uri).decode("utf-8")
            categories = self._read_label_categories()
        except (ObjectUnreadable, InvalidManifest, UnicodeDecodeError) as error:
            self.fail(f"ClientError: {error}")
            return
        with self._lock:
            self._template, self._label_categories = template, categories
            self._objects = [_Object(index, row) for index, row in enumerate(rows)]
            for item in self._objects:
                if specification.label_attribute in item.row:
                    item.state = _State.LABELED
                else:
                    self._waiting.append(item)
            self._label_limit = self._limit_of_labels()
            if self._status is JobStatus.INITIALIZING:
                self._status = JobStatus.IN_PROGRESS

    def tick(self) -> None:
        """Do what is due: end overdue tasks, send objects, consolidate answers, finish the job."""
        with self._advancing:
            if self._status not in (JobStatus.IN_PROGRESS, JobStatus.STOPPING):
                return
            with self._lock:
                self._end_overdue()
            while self._send_objects() or self._consolidate():
                self._stop_when_enough()
            self._stop_when_enough()
            self._finish_when_done()
            if not self.is_finished and self._world.clock() >= self._must_end_at:
                self.fail(f"ClientError: the labelling job did not end within {LONGEST_JOB.days} days")

    def stop(self) -> None:
        """Ask the job to stop; the next `tick` consolidates what has been answered and writes the output."""
        with self._lock:
            if self._status not in (JobStatus.INITIALIZING, JobStatus.IN_PROGRESS):
                return
            self._status = JobStatus.STOPPING
            for item in [o for o in self._sent if o.state is _State.SENT]:
                self._close(item, _State.WAITING)

    def fail(self, reason: str) -> None:
        """End the job as failed; finished jobs stay as they are."""
        with self._lock:
            if self.is_finished:
                return
            self._held.clear()
            self._failure_reason = reason[:_LONGEST_FAILURE_REASON]
            self._status = JobStatus.FAILED
        self._publish_status()

    # What workers do

    def next_task(
        self, worker: Worker, *, another: bool = False, leaving_room_for: Collection[str] = ()
    ) -> Task | None:
        """Return the worker's open task, or else accept the next one; None when there is none.

        Parameters
        ----------
        another
            Accept one although the worker has open ones; never of the same object.
        leaving_room_for
            Ids of workers. An object that is new to some of them is accepted only if it has a free place for
            each of those besides.
        """
        with self._lock:
            held = self.open_tasks(worker)
            if held and not another:
                return held[0]
            if self._status is not JobStatus.IN_PROGRESS:
                return None
            item = self._choose(worker.worker_id, leaving_room_for)
            return None if item is None else self._accept(item, worker)

    def open_tasks(self, worker: Worker) -> list[Task]:
        """Return the tasks that the worker holds, in the order in which they were accepted."""
        with self._lock:
            self._end_overdue()
            return [item.tasks[worker.worker_id] for item in self._held[worker.worker_id].values()]

    def tally(self, worker: Worker) -> tuple[int, int]:
        """Return how many objects the worker could accept now, and how many the worker has answered."""
        with self._lock:
            self._end_overdue()
            available = sum(self._is_open_to(item, worker.worker_id) for item in self._sent)
            answered = sum(
                worker.worker_id == answered_by for item in self._sent for answered_by, _ in item.answers
            )
            return available if self._status is JobStatus.IN_PROGRESS else 0, answered

    def submit(self, worker: Worker, object_id: str, answer: dict[str, Any]) -> None:
        """Take a worker's answer, an object by the names of the template's elements; raises `TaskGone`."""
        if not isinstance(answer, dict):
            raise TypeError(
                f"the answer to object {object_id} is {answer!r}; expected an object by element names"
            )
        with self._lock:
            item, task = self._held_task(worker, object_id)
            self._write_response(worker, item, task, answer)
            item.answers.append((worker.worker_id, answer))
            item.done_with.add(worker.worker_id)
            self._release(item, worker.worker_id)
            self._log(ActivityType.SUBMITTED, worker, task)

    def decline(self, worker: Worker, object_id: str) -> None:
        """Refuse a task for good: it goes to other workers; raises `TaskGone`."""
        with self._lock:
            item, task = self._held_task(worker, object_id)
            item.declines += 1
            item.done_with.add(worker.worker_id)
            self._release(item, worker.worker_id)
            self._log(ActivityType.DECLINED, worker, task)

    def return_task(self, worker: Worker, object_id: str) -> None:
        """Give a task back unfinished: it is sent again; raises `TaskGone`."""
        with self._lock:
            item, task = self._held_task(worker, object_id)
            self._release(item, worker.worker_id)
            self._log(ActivityType.RETURNED, worker, task)

    # Tasks (all under the lock)

    def _choose(self, worker_id: str, others: Collection[str]) -> _Object | None:
        """Return an object that is new to the worker, in manifest order; else one that came back."""
        reopened = [
            item
            for item in self._reopened.values()
            if self._is_open_to(item, worker_id) and self._leaves_room(item, worker_id, others)
        ]
        for item in reopened:
            if worker_id not in item.attempts:
                return item
        # Objects behind the cursor that gain a free place are found through `_reopened`; one whose place is
        # kept for others doesn't gain any when they go, so the cursor waits there.
        cursor, kept, found = self._cursors.get(worker_id, 0), None, None
        while found is None and cursor < len(self._sent):
            item = self._sent[cursor]
            if self._has_place(item) and worker_id not in item.attempts:
                if self._leaves_room(item, worker_id, others):
                    found = item
                elif kept is None:
                    kept = cursor
            cursor += 1
        self._cursors[worker_id] = cursor if kept is None else kept
        return found or (reopened[0] if reopened else None)

    def _is_open_to(self, item: _Object, worker_id: str) -> bool:
        return self._has_place(item) and worker_id not in item.done_with and worker_id not in item.tasks

    def _leaves_room(self, item: _Object, worker_id: str, others: Collection[str]) -> bool:
        free = self.specification.workers_per_object - len(item.answers) - len(item.tasks)
        return free > sum(other != worker_id and other not in item.attempts for other in others)

    def _has_place(self, item: _Object) -> bool:
        wanted = self.specification.workers_per_object
        return (
            item.state is _State.SENT
            and len(item.answers) + len(item.tasks) < wanted
            and item.declines < wanted
        )

    def _log(self, kind: ActivityType, worker: Worker, task: Task) -> None:
        now = self._world.clock()
        self._world.log_activity(activity_record(kind, worker, self.specification, task.accepted_at, now))

    def _accept(self, item: _Object, worker: Worker) -> Task:
        now, worker_id = self._world.clock(), worker.worker_id
        attempt = item.attempts.get(worker_id, 0) + 1
        task = Task(
            object_id=item.object_id,
            input=item.task_input,
            source=source_of(item.row),
            attempt=attempt,
            accepted_at=now,
            deadline=min(now + self.specification.task_time_limit, item.expires_at),
        )
        item.attempts[worker_id] = attempt
        item.tasks[worker_id] = task
        self._held[worker_id][item.object_id] = item
        heapq.heappush(self._deadlines, (task.deadline, item.index, worker_id))
        if not self._has_place(item):
            self._reopened.pop(item.index, None)
        self._log(ActivityType.ACCEPTED, worker, task)
        return task

    def _held_task(self, worker: Worker, object_id: str) -> tuple[_Object, Task]:
        self._end_overdue()
        item = self._held[worker.worker_id].get(object_id)
        if item is None:
            raise TaskGone(
                f"worker {worker.worker_id} does not hold object {object_id} of {self.specification.name} "
                f"({self._status}): it timed out or is done; ask for the next task"
            )
        return item, item.tasks[worker.worker_id]

    def _release(self, item: _Object, worker_id: str) -> None:
        """Take the task from the worker; the object opens again, or closes when nobody else shall have it."""
        del item.tasks[worker_id]
        del self._held[worker_id][item.object_id]
        wanted = self.specification.workers_per_object
        if len(item.answers) == wanted or (item.declines >= wanted and not item.tasks):
            self._close(
                item, _State.FAILED, f"declined by {item.declines} workers; the object is not sent again"
            )
        elif self._has_place(item):
            self._reopened[item.index] = item

    def _end_overdue(self) -> None:
        """End tasks past their time limit and objects past their availability."""
        now = self._world.clock()
        while self._deadlines and self._deadlines[0][0] <= now:
            moment, index, worker_id = heapq.heappop(self._deadlines)
            if not self._is_due_ever(moment, index, worker_id):
                continue
            item = self._objects[index]
            if worker_id == _NOBODY:
                seconds = int(self.specification.task_availability.total_seconds())
                self._close(item, _State.FAILED, f"expired: no worker answered within {seconds} seconds")
            else:
                self._release(item, worker_id)

    def _is_due_ever(self, moment: datetime, index: int, worker_id: str) -> bool:
        """Whether a noted deadline still stands; notes of ended tasks and closed objects are left behind."""
        item = self._objects[index]
        if worker_id == _NOBODY:
            return item.state is _State.SENT
        return worker_id in item.tasks and item.tasks[worker_id].deadline == moment

    def _close(self, item: _Object, without_answers: _State, reason: str = "") -> None:
        """End an object's work: on to consolidation with its answers, or to the given state without any."""
        for worker_id in item.tasks:
            del self._held[worker_id][item.object_id]
        item.tasks.clear()
        self._reopened.pop(item.index, None)
        self._open_objects -= 1
        if item.answers:
            item.state = _State.ANSWERED
            self._answered.append(item)
        elif without_answers is _State.FAILED:
            self._fail_object(item, reason)
        else:
            item.state = without_answers

    # Sending

    def _send_objects(self) -> bool:
        """Open as many waiting objects as there is room for; return whether there were any."""
        batch = self._take_batch()
        if not batch:
            return False
        with ThreadPoolExecutor(PRE_ANNOTATIONS_AT_A_TIME) as pool:
            outcomes = list(pool.map(self._pre_annotate, batch))
        with self._lock:
            now = self._world.clock()
            for item, outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, str):
                    self._fail_by_function(item, outcome)
                elif not outcome.human_annotation_required:
                    item.state = _State.EXEMPT
                elif self._status is JobStatus.IN_PROGRESS:
                    item.task_input = outcome.task_input
                    item.state = _State.SENT
                    item.expires_at = now + self.specification.task_availability
                    heapq.heappush(self._deadlines, (item.expires_at, item.index, _NOBODY))
                    self._sent.append(item)
                    self._open_objects += 1
        self._fail_when_too_many()
        return True

    def _take_batch(self) -> list[_Object]:
        with self._lock:
            if self._status is not JobStatus.IN_PROGRESS:
                return []
            room = self.specification.max_concurrent_objects - self._open_objects
            if self._label_limit is not None:
                room = min(
                    room, self._label_limit - self._labeled_here - self._open_objects - len(self._answered)
                )
            return [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]

    def _pre_annotate(self, item: _Object) -> PreAnnotation | str:
        request = pre_annotation_request(self.specification.arn, item.row)
        try:
            return read_pre_annotation(
                self._world.invoke_function(self.specification.pre_annotation_arn, request)
            )
        except MalformedResponse as error:
            return str(error)
        except FunctionFailed as error:
            return f"the pre-annotation function failed: {error}"

    # Consolidating

    def _consolidate(self) -> bool:
        """Consolidate one batch of answered objects, if one is complete; return whether there was one."""
        with self._lock:
            size = self.specification.max_concurrent_objects
            is_last = not self._open_objects
            if self.is_finished or not self._answered or (len(self._answered) < size and not is_last):
                return False
            batch = sorted(self._answered[:size], key=lambda item: item.index)
            del self._answered[:size]
            batch_time = self._batch_time()
        outcomes = self._post_annotate(batch, batch_time)
        with self._lock:
            for item in batch:
                outcome = outcomes[item.object_id]
                if isinstance(outcome, str):
                    self._fail_by_function(item, outcome)
                else:
                    self._label(item, outcome)
            intermediate = write_manifest(self._output_rows())
        self._write("annotations/intermediate/1/annotations.manifest", intermediate)
        self._fail_when_too_many()
        return True

    def _post_annotate(self, batch: list[_Object], batch_time: str) -> dict[str, dict[str, Any] | str]:
        """Return for each object of a batch the content of its consolidated annotation, or why not."""
        specification = self.specification
        folder = "annotations/consolidated-annotation"
        entries = [consolidation_entry(item.object_id, item.row, item.answers) for item in batch]
        payload_uri = self._write_json(
            f"{folder}/consolidation-request/{_ITERATION}/{batch_time}.json", entries
        )
        request = post_annotation_request(
            specification.arn,
            self._label_categories,
            specification.label_attribute,
            specification.role_arn,
            payload_uri,
        )
        object_ids = [item.object_id for item in batch]
        failure = ""
        for _ in range(POST_ANNOTATION_ATTEMPTS):
            try:
                response = self._world.invoke_function(specification.post_annotation_arn, request)
            except FunctionFailed as error:
                failure = f"the post-annotation function failed {POST_ANNOTATION_ATTEMPTS} times: {error}"
                continue
            self._write_json(f"{folder}/consolidation-response/{_ITERATION}/{batch_time}.json", response)
            try:
                return read_post_annotation(response, object_ids, specification.label_attribute)
            except MalformedResponse as error:
                failure = str(error)
                break
        return dict.fromkeys(object_ids, failure)

    def _batch_time(self) -> str:
        """Return a file name's time that no earlier batch of the job has."""
        moment = self._world.clock()
        while (text := _file_time(moment)) in self._batch_times:
            moment += timedelta(seconds=1)
        self._batch_times.add(text)
        return text

    # Ending

    def _limit_of_labels(self) -> int | None:
        """Return how many objects this job may label under its stopping conditions; None without one."""
        specification, limits = self.specification, []
        if specification.max_human_labeled_objects is not None:
            limits.append(specification.max_human_labeled_objects)
        if specification.max_percentage_labeled is not None:
            share = max(1, len(self._objects) * specification.max_percentage_labeled // 100)
            came_labeled = sum(specification.label_attribute in item.row for item in self._objects)
            limits.append(max(0, share - came_labeled))
        return min(limits, default=None)

    def _stop_when_enough(self) -> None:
        with self._lock:
            if self._label_limit is not None and self._waiting and self._labeled_here >= self._label_limit:
                self.stop()

    def _finish_when_done(self) -> None:
        with self._lock:
            if self.is_finished or self._open_objects or self._answered:
                return
            output = write_manifest(self._output_rows())
        self._write("manifests/output/output.manifest", output)
        with self._lock:
            if self.is_finished:
                return
            stopped = self._status is JobStatus.STOPPING
            self._status = JobStatus.STOPPED if stopped else JobStatus.COMPLETED
        self._publish_status()

    def _fail_when_too_many(self) -> None:
        failures, total = self._function_failures, len(self._objects)
        if failures > MOST_FUNCTION_FAILURES * total:
            self.fail(
                f"ClientError: {failures} of {total} objects failed in the annotation functions, more than "
                f"{MOST_FUNCTION_FAILURES:.0%}; {self._last_function_failure}"
            )

    def _publish_status(self) -> None:
        arn = self.specification.arn
        _, _, _, region, account, _ = arn.split(":", 5)
        self._world.publish(
            {
                "version": "0",
                "source": "aws.sagemaker",
                "detail-type": "SageMaker Ground Truth Labeling Job State Change",
                "account": account,
                "region": region,
                "resources": [arn],
                "detail": {"LabelingJobStatus": str(self._status)},
            }
        )

    # Rows and files

    def _label(self, item: _Object, content: dict[str, Any]) -> None:
        """Keep an object's label, or the function's reason for giving none.

        The input's own keys are never overwritten by other keys of the content.
        """
        reason = failure_reason(content, self.specification.label_attribute)
        if reason is not None:
            # The function worked: the answers were no good. That is no failure of the function.
            self._fail_object(item, reason)
            return
        attribute, metadata_attribute = (
            self.specification.label_attribute,
            self.specification.metadata_attribute,
        )
        item.label = {key: value for key, value in content.items() if key not in item.row}
        item.label[attribute] = content[attribute]
        given = content.get(metadata_attribute, {})
        item.label[metadata_attribute] = self._metadata() | given if isinstance(given, dict) else given
        item.state = _State.LABELED
        self._labeled_here += 1

    def _fail_object(self, item: _Object, reason: str) -> None:
        item.state = _State.FAILED
        item.row = item.row | {
            self.specification.metadata_attribute: self._metadata() | {"failure-reason": reason}
        }

    def _fail_by_function(self, item: _Object, reason: str) -> None:
        self._function_failures += 1
        self._last_function_failure = f"object {item.object_id}: {reason}"
        self._fail_object(item, reason)

    def _metadata(self) -> dict[str, Any]:
        return {
            "type": "groundtruth/custom",
            "job-name": f"labeling-job/{self.specification.name}",
            "human-annotated": "yes",
            "creation-date": self._world.clock().strftime("%Y-%m-%dT%H:%M:%S.%f"),
        }

    def _is_human(self, item: _Object) -> bool:
        metadata = item.row.get(self.specification.metadata_attribute) if item.label is None else None
        return not isinstance(metadata, dict) or metadata.get("human-annotated") != "no"

    def _output_rows(self) -> list[dict[str, Any]]:
        return [item.row if item.label is None else item.row | item.label for item in self._objects]

    def _write_response(self, worker: Worker, item: _Object, task: Task, answer: dict[str, Any]) -> None:
        """Write a worker's answer; the second names the file, so answers of one second share it."""
        now = self._world.clock()
        record = {
            "answerContent": answer,
            "acceptanceTime": _iso_time(task.accepted_at),
            "submissionTime": _iso_time(now),
            "timeSpentInSeconds": round((now - task.accepted_at).total_seconds(), 3),
            "workerId": worker.worker_id,
            "workerMetadata": {
                "identityData": {
                    "identityProviderType": worker.identity_provider,
                    "issuer": worker.issuer,
                    "sub": worker.sub,
                }
            },
        }
        second = _file_time(now)
        answers = [*self._responses.get((item.index, second), []), record]
        path = f"annotations/worker-response/{_ITERATION}/{item.object_id}/{second}.json"
        self._write_json(path, {"answers": answers})
        self._responses[item.index, second] = answers

    def _read_label_categories(self) -> list[str] | None:
        uri = self.specification.label_categories_uri
        if uri is None:
            return None
        body = self._world.read_object(uri)
        try:
            return [entry["label"] for entry in json.loads(body)["labels"]]
        except (ValueError, KeyError, TypeError):
            raise InvalidManifest(
                f'the label category configuration {uri} is not of the form {{"labels": [{{"label": "…"}}]}}'
            ) from None

    def _write_json(self, path: str, document: Any) -> str:
        return self._write(path, json.dumps(document).encode())

    def _write(self, path: str, body: bytes) -> str:
        uri = f"{self.specification.output_prefix}/{path}"
        self._world.write_object(uri, body)
        return uri


def _iso_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _file_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d_%H:%M:%S}"
