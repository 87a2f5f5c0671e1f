"""The portal of a person in the team of a running embedded AWS, by the commands of its control plane."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from worker_ui.contract import Job, PortalError, StoredObject, Task, TaskGone

_SECONDS = 60

# A proxy of the caller's environment cannot reach this machine's own address.
_without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class UnknownJob(PortalError):
    """There is no labelling job of that name."""


class UnknownWorker(PortalError):
    """The person is not in the team of the embedded AWS."""


class JobFailed(PortalError):
    """The labelling job failed when it took the answer."""


class ObjectRefused(PortalError):
    """The object was not granted in a task that the person holds, or the job's role may not read it."""


_ERRORS: dict[str, type[PortalError]] = {
    error.__name__: error for error in (TaskGone, UnknownJob, UnknownWorker, JobFailed, ObjectRefused)
}


class Portal:
    """Hands a person the tasks of the labelling jobs in an embedded AWS; a `worker_ui.contract.Portal`.

    Parameters
    ----------
    endpoint
        The embedded AWS's, such as ``http://127.0.0.1:5432``.
    worker
        The name of a person in its team: ``POST /_local/annotators {"people": [{"name": "me"}], …}``.
    """

    def __init__(self, endpoint: str, worker: str = "me") -> None:
        self.worker = worker
        self._endpoint = endpoint.rstrip("/")

    def jobs(self) -> Sequence[Job]:
        """Return the labelling jobs in progress, those with tasks first."""
        return [Job(**job) for job in self._command("jobs")["jobs"]]

    def next(self, job: str, window: str = "") -> Task | None:
        """Return the task that a window of this person holds in a job, else a new one; None without any.

        Parameters
        ----------
        window
            Two windows get different objects; when nothing new is left, what another window holds.
        """
        task = self._command("next", job=job, window=window)["task"]
        return None if task is None else _task(task)

    def task(self, task: str) -> Task:
        """Return a task that the person holds; raises `TaskGone`."""
        return _task(self._command("task", task=task)["task"])

    def submit(self, task: str, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give an answer by the names of the template's elements; raises `TaskGone`."""
        return self._command("submit", task=task, answer=dict(answer))

    def decline(self, task: str) -> None:
        """Refuse a task for good; raises `TaskGone`."""
        self._command("decline", task=task)

    def return_(self, task: str) -> None:
        """Give a task back, which may come again when nothing new is left; raises `TaskGone`."""
        self._command("return", task=task)

    def grant_read_access(self, task: str, uri: str) -> str:
        """Return a token for the object of an ``s3://`` URI, valid while the person holds the task."""
        return str(self._command("grant", task=task, uri=uri)["token"])

    def read_object(self, token: str) -> StoredObject:
        """Return a granted object, read with the rights of the job's role; raises `ObjectRefused`."""
        answer = self._command("read", token=token)
        return StoredObject(base64.b64decode(answer["body"]), answer["media_type"])

    def _command(self, name: str, **members: Any) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - always the embedded AWS's http://127.0.0.1
            f"{self._endpoint}/_local/portal/{name}",
            json.dumps({"worker": self.worker, **members}).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with _without_proxy.open(request, timeout=_SECONDS) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as problem:
            text = problem.read().decode(errors="replace")
            raise _error(problem.code, text) from None
        except (urllib.error.URLError, TimeoutError, ConnectionError) as problem:
            reason = getattr(problem, "reason", problem)
            raise PortalError(
                f"The embedded AWS at {self._endpoint} does not answer: {reason}; is it still running?"
            ) from None


def _task(document: dict[str, Any]) -> Task:
    return Task(**{key: value for key, value in document.items() if key != "template_uri"})


def _error(status: int, text: str) -> PortalError:
    try:
        document = json.loads(text)
        return _ERRORS.get(document["code"], PortalError)(document["message"])
    except (ValueError, KeyError, TypeError):
        return PortalError(f"The embedded AWS failed with status {status}: {text[:500]}")
