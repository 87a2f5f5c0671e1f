"""What people of the team do: commands of the control plane for a worker portal, below /_local/portal/.

Every command is a POST of a JSON object with ``worker``, the person's name. A refused one answers
``{"code", "message"}``; the codes are those of `Refusal`.

- ``jobs`` → ``{"jobs": […]}``: the labelling jobs in progress of the person's work team, those with tasks
  first.
- ``next {"job", "window"?}`` → ``{"task": … or null}``: the task of this window, else a new one. A person may
  have several windows open, which get different objects. When nothing new is left, a window gets what the
  person holds elsewhere, so that the task of a closed window is not lost.
- ``task {"task"}`` → ``{"task": …}``: a task that the person holds.
- ``submit {"task", "answer"}``, ``decline {"task"}``, ``return {"task"}`` → ``{}``.
- ``grant {"task", "uri"}`` → ``{"token"}``: what the Liquid filter grant_read_access asks for.
- ``read {"token"}`` → ``{"body", "media_type"}``: that object in Base64, while the person holds the task,
  read with the rights of the labelling job's role.
"""

from __future__ import annotations

import base64
import mimetypes
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from labeling_engine import HumanAnnotator, JobStatus, ObjectUnreadable, Task, TaskGone, Worker
from local_aws import control, labeling_jobs, sagemaker, settings
from local_aws.labeling_jobs import Abandoned, Job

_UNKNOWN_TYPES = ("", "binary/octet-stream", "application/octet-stream")


class Refusal(Exception):
    """A command that is refused.

    Parameters
    ----------
    code
        InvalidRequest, UnknownWorker, UnknownJob, TaskGone, JobFailed or ObjectRefused.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


_STATUSES = {
    "InvalidRequest": 400,
    "ObjectRefused": 403,
    "UnknownWorker": 404,
    "UnknownJob": 404,
    "JobFailed": 409,
    "TaskGone": 410,
}


@dataclass(frozen=True)
class _Grant:
    person: HumanAnnotator
    task_id: str
    uri: str


_grants: dict[str, _Grant] = {}
# Of tasks that people hold or have held, the window that each was last given to.
_windows: dict[tuple[HumanAnnotator, str], str] = {}
# Under it a task is looked up and then answered: nothing comes between the two.
_lock = threading.RLock()


def _jobs(person: HumanAnnotator, _body: dict[str, Any]) -> dict[str, Any]:
    jobs = [
        job
        for job in sagemaker.all_jobs()
        if job.engine.status is JobStatus.IN_PROGRESS and job.is_for(person)
    ]
    found = [_describe(job, job.worker(person)) for job in jobs]
    return {"jobs": sorted(found, key=lambda job: not job["available"])}


def _describe(job: Job, worker: Worker) -> dict[str, Any]:
    specification, task = job.engine.specification, job.request["HumanTaskConfig"]
    available, submitted = job.engine.tally(worker)
    return {
        "name": specification.name,
        "title": task["TaskTitle"],
        "description": task["TaskDescription"],
        "task_type": _task_type(specification.template_uri),
        "available": available + len(job.engine.open_tasks(worker)),
        "submitted": submitted,
        "seconds": specification.task_time_limit.total_seconds(),
    }


def _task_type(template_uri: str) -> str:
    """Return the task type that a template is for, if it lies in a folder that is named like one."""
    folder = template_uri.split("/")[-2]
    known = [path.name for path in (settings.REPOSITORY_ROOT / "ui_templates").iterdir()]
    return folder if folder in known else ""


def _next(person: HumanAnnotator, body: dict[str, Any]) -> dict[str, Any]:
    job, window = _job(_text(body, "job"), person), _text(body, "window", "")
    worker = job.worker(person)
    labeling_jobs.note_sign_of_life(person)
    held = job.engine.open_tasks(worker)
    own = [task for task in held if _windows.get((person, _task_id(job, task))) == window]
    task = own[0] if own else job.engine.next_task(worker, another=True)
    if task is None and held:
        task = held[0]
    if task is None:
        return {"task": None}
    _windows[person, _task_id(job, task)] = window
    return {"task": _show(job, task)}


def _task(person: HumanAnnotator, body: dict[str, Any]) -> dict[str, Any]:
    return {"task": _show(*_held(person, _text(body, "task")))}


def _submit(person: HumanAnnotator, body: dict[str, Any]) -> dict[str, Any]:
    answer = body.get("answer")
    if not isinstance(answer, dict):
        raise Refusal("InvalidRequest", f"answer is {answer!r}; give an object by the names of the elements")
    return _end(person, body, lambda job, worker, task: job.engine.submit(worker, task.object_id, answer))


def _decline(person: HumanAnnotator, body: dict[str, Any]) -> dict[str, Any]:
    return _end(person, body, lambda job, worker, task: job.engine.decline(worker, task.object_id))


def _return(person: HumanAnnotator, body: dict[str, Any]) -> dict[str, Any]:
    return _end(person, body, lambda job, worker, task: job.engine.return_task(worker, task.object_id))


def _end(
    person: HumanAnnotator, body: dict[str, Any], act: Callable[[Job, Worker, Task], None]
) -> dict[str, Any]:
    task_id = _text(body, "task")
    job, task = _held(person, task_id)
    try:
        act(job, job.worker(person), task)
    except (Abandoned, TaskGone):
        raise
    except Exception as error:
        # As when a simulated annotator's answer cannot be written.
        job.fail(error)
        raise Refusal(
            "JobFailed", f"The labelling job {job.engine.specification.name} failed: {error}"
        ) from None
    _windows.pop((person, task_id), None)
    for token in [
        token for token, grant in _grants.items() if (grant.person, grant.task_id) == (person, task_id)
    ]:
        del _grants[token]
    labeling_jobs.note_sign_of_life(person)
    job.wake()
    return {}


def _grant(person: HumanAnnotator, body: dict[str, Any]) -> dict[str, Any]:
    task_id, uri = _text(body, "task"), _text(body, "uri")
    _held(person, task_id)
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key:
        raise Refusal("InvalidRequest", f"uri is {uri!r}; give s3://bucket/key")
    token = secrets.token_urlsafe(24)
    _grants[token] = _Grant(person, task_id, uri)
    return {"token": token}


def _read(person: HumanAnnotator, body: dict[str, Any]) -> dict[str, Any]:
    grant = _grants.get(_text(body, "token"))
    if grant is None or grant.person != person:
        raise Refusal("ObjectRefused", "No object was granted with this token; load the task again.")
    job, _ = _held(person, grant.task_id)
    try:
        stored = job.world.open_object(grant.uri)
    except ObjectUnreadable as error:
        raise Refusal("ObjectRefused", str(error)) from None
    media_type = stored.metadata.get("Content-Type") or ""
    if media_type in _UNKNOWN_TYPES:
        media_type = mimetypes.guess_type(grant.uri)[0] or "application/octet-stream"
    return {"body": base64.b64encode(stored.value).decode(), "media_type": media_type}


# What the commands are about


def _person(body: dict[str, Any]) -> HumanAnnotator:
    name, people = _text(body, "worker"), labeling_jobs.people()
    for person in people:
        if person.name == name:
            return person
    known = ", ".join(repr(person.name) for person in people) or "nobody"
    raise Refusal(
        "UnknownWorker",
        f"{name!r} is not in the team; its people are: {known}. POST /_local/annotators adds some.",
    )


def _job(name: str, person: HumanAnnotator) -> Job:
    for job in sagemaker.all_jobs():
        if job.engine.specification.name == name:
            if not job.is_for(person):
                raise Refusal("UnknownJob", f"{name!r} is no job of {person.name!r}: another work team's.")
            return job
    raise Refusal("UnknownJob", f"There is no labelling job {name!r}.")


def _held(person: HumanAnnotator, task_id: str) -> tuple[Job, Task]:
    """Return a task that a person holds, with its job."""
    for job in sagemaker.all_jobs():
        if job.engine.specification.name == task_id.partition("_")[0]:
            for task in job.engine.open_tasks(job.worker(person)):
                if _task_id(job, task) == task_id:
                    return job, task
    raise TaskGone(
        "The task is over: it was submitted or given back, its time ran out, or the job has ended."
    )


def _task_id(job: Job, task: Task) -> str:
    # The names of jobs have no underscores.
    return f"{job.engine.specification.name}_{task.object_id}_{task.attempt}"


def _show(job: Job, task: Task) -> dict[str, Any]:
    return {
        "id": _task_id(job, task),
        "job": job.engine.specification.name,
        "accepted_at": task.accepted_at.timestamp(),
        "deadline": task.deadline.timestamp(),
        "seconds_left": (task.deadline - job.world.clock()).total_seconds(),
        "template_uri": job.engine.specification.template_uri,
        "template": job.engine.template,
        "input": task.input,
    }


def _text(body: dict[str, Any], key: str, default: str | None = None) -> str:
    value = body.get(key, default)
    if not isinstance(value, str):
        raise Refusal("InvalidRequest", f"{key} is {value!r}; give a text")
    return value


# For the server

_COMMANDS: dict[str, Callable[[HumanAnnotator, dict[str, Any]], dict[str, Any]]] = {
    "jobs": _jobs,
    "next": _next,
    "task": _task,
    "submit": _submit,
    "decline": _decline,
    "return": _return,
    "grant": _grant,
    "read": _read,
}


def _answer(groups: dict[str, str], body: Any) -> tuple[int, Any]:
    try:
        if not isinstance(body, dict):
            raise Refusal("InvalidRequest", f"The body is {body!r}; give an object.")
        with _lock:
            return 200, _COMMANDS[groups["command"]](_person(body), body)
    except Refusal as refusal:
        code, message = refusal.code, str(refusal)
    except TaskGone as gone:
        code, message = "TaskGone", str(gone)
    except Abandoned:
        code, message = "TaskGone", "The task is over: the embedded AWS was reset."
    return _STATUSES[code], {"code": code, "message": message}


def reset() -> None:
    """Forget which tasks and objects people have been given."""
    with _lock:
        _grants.clear()
        _windows.clear()


def install() -> None:
    """Add the commands to the control plane."""
    control.route("POST", f"portal/(?P<command>{'|'.join(_COMMANDS)})", _answer)
    control.reset_hooks.append(reset)
