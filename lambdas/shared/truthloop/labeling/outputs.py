"""What a labelling job left in S3: its labelled rows, and who gave which answer.

https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from truthloop.errors import ObjectNotFound
from truthloop.labeling.backend import JobStatus
from truthloop.manifest import Row, read_master
from truthloop.s3 import S3Gateway

_READERS = 16
_INTERMEDIATE = re.compile(r"/(\d+)/annotations\.manifest$")


@dataclass(frozen=True)
class Response:
    """One answer of one worker.

    Attributes
    ----------
    worker_id
        Ground Truth's pseudonym of the worker.
    sub
        The person at the identity provider, None where the job doesn't tell.
    submitted_at
        As the service writes it, None where it doesn't.
    content
        What the template submitted; None where it was not asked for.
    """

    worker_id: str
    sub: str | None
    submitted_at: str | None
    content: Any

    def is_by_author_of(self, other: Response) -> bool:
        """Whether the same person gave both; the pseudonyms decide where an identity is not told."""
        if self.sub is not None and other.sub is not None:
            return self.sub == other.sub
        return self.worker_id == other.worker_id


def output_rows(
    s3: S3Gateway, output_manifest_uri: str, status: str, intermediate_prefix: str
) -> Iterator[Row]:
    """The rows of a job's output manifest; of a stopped job that has none, of its intermediate manifests.

    An object may occur in several intermediate manifests; of its rows the last counts.

    Raises
    ------
    ObjectNotFound
        When a job that was not stopped has no output manifest.
    """
    try:
        yield from read_master(s3, output_manifest_uri)
    except ObjectNotFound:
        if status != JobStatus.STOPPED:
            raise
        found = {}
        for candidate in s3.list(intermediate_prefix):
            if match := _INTERMEDIATE.search(candidate):
                found[int(match[1])] = candidate
        for _, intermediate in sorted(found.items()):
            yield from read_master(s3, intermediate)


def responses(
    s3: S3Gateway, prefix: str, objects: Set[str] | None = None, *, with_content: bool = True
) -> Mapping[str, list[Response]]:
    """The answers of a job by object, in the order of time; an answer that two files repeat is there once.

    Parameters
    ----------
    prefix
        The job's worker responses, `<iteration>/<object>/<time>.json`.
    objects
        The ids of the objects to read the answers to, None for all.
    with_content
        False leaves None for what was submitted: the masks of a large job would not fit into the memory.
    """
    uris = [
        uri
        for uri in s3.list(prefix)
        if uri.endswith(".json") and (objects is None or _object_of(uri) in objects)
    ]

    def read(uri: str) -> list[Response]:
        return [_response(answer, with_content) for answer in s3.read_json(uri).get("answers") or []]

    found: dict[str, dict[tuple[str, str | None], Response]] = {}
    for uri, given in zip(uris, _read_all(read, uris), strict=True):
        answers = found.setdefault(_object_of(uri), {})
        for response in given:
            answers[response.worker_id, response.submitted_at] = response
    return {
        name: sorted(answers.values(), key=lambda each: (each.submitted_at or "", each.worker_id))
        for name, answers in found.items()
    }


def _read_all(read: Callable[[str], list[Response]], uris: list[str]) -> Iterator[list[Response]]:
    with ThreadPoolExecutor(_READERS) as readers:
        yield from readers.map(read, uris)


def _object_of(uri: str) -> str:
    return uri.split("/")[-2]


def _response(answer: Mapping[str, Any], with_content: bool) -> Response:
    # All but the content is optional in what the service has written over the years.
    metadata = answer.get("workerMetadata")
    identity = metadata.get("identityData") if isinstance(metadata, dict) else None
    sub = identity.get("sub") if isinstance(identity, dict) else None
    submitted_at = answer.get("submissionTime")
    return Response(
        worker_id=str(answer.get("workerId")),
        sub=str(sub) if sub else None,
        submitted_at=None if submitted_at is None else str(submitted_at),
        content=answer.get("answerContent") if with_content else None,
    )
