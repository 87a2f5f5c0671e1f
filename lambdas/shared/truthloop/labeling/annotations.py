"""The two annotation contracts of Ground Truth: a task from a row, and labels from all workers' answers.

https://docs.aws.amazon.com/sagemaker/latest/dg/sms-custom-templates-step3-lambda-requirements.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from truthloop import task_types
from truthloop.consolidation.skills import Evidence
from truthloop.errors import InvalidText, InvalidUri, ObjectNotFound, TruthloopError
from truthloop.labeling.jobs import JobRecord
from truthloop.manifest import metadata_key
from truthloop.names import labeling_job_name_of
from truthloop.s3 import parse_uri
from truthloop.task_types import ConsolidationHelp, MalformedAnswer, TaskType

# https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
_CREATION_DATE = "%Y-%m-%dT%H:%M:%S.%f"

ReadJson = Callable[[str], Any]
_NO_HELP = ConsolidationHelp()


class InvalidAnnotationEvent(TruthloopError):
    """An event of an annotation function breaks Ground Truth's contract."""


@dataclass(frozen=True)
class Rejected:
    """One worker's answer that was left out, and why."""

    object_id: str
    worker_id: str
    reason: str


@dataclass(frozen=True)
class Batch:
    """The consolidated batch.

    Attributes
    ----------
    entries
        The function's response: one entry per object, in the order of the payload.
    rejected
        The answers that were left out.
    answers
        How many answers were used.
    evidence
        By object and worker what the answers say of the workers.
    """

    entries: list[dict[str, Any]]
    rejected: list[Rejected]
    answers: int
    evidence: dict[str, Mapping[str, Evidence]]


def job_name_of(event: Mapping[str, Any]) -> str:
    """The name of the job that an annotation function is called for.

    Raises
    ------
    InvalidAnnotationEvent
        When `labelingJobArn` isn't the ARN of a labelling job.
    """
    name = labeling_job_name_of(str(event.get("labelingJobArn")))
    if name is None:
        raise InvalidAnnotationEvent(
            f"labelingJobArn is {event.get('labelingJobArn')!r}; allowed: the ARN of a labelling job. "
            "Only labelling jobs call this function."
        )
    return name


def prepare_task(event: Mapping[str, Any], job: JobRecord) -> dict[str, Any]:
    """The pre-annotation response: what the worker template finds under `task.input`.

    `isHumanAnnotationRequired` is a boolean: a text, or the key without "is", would be ignored.
    """
    task_type = task_types.get(job.task_type)
    return {
        "taskInput": task_type.task_input(
            event["dataObject"], job.label_categories, job.label_attribute, job.instructions
        ),
        "isHumanAnnotationRequired": True,
    }


def read_payload(event: Mapping[str, Any], read_json: ReadJson) -> list[Mapping[str, Any]]:
    """The objects of a post-annotation event, whether it points to them or carries them.

    Raises
    ------
    InvalidAnnotationEvent
        When they aren't a list of objects with an id: an empty answer would lose their labels silently.
    """
    payload = event.get("payload")
    if isinstance(payload, dict):
        try:
            payload = _content(payload, read_json)
        except json.JSONDecodeError as error:
            raise InvalidAnnotationEvent(f"payload.content is not JSON: {error}.") from error
    if not isinstance(payload, list) or not all(
        isinstance(item, dict) and "datasetObjectId" in item for item in payload
    ):
        raise InvalidAnnotationEvent(
            f"the payload of {event.get('labelingJobArn')} is not a JSON list of objects with a "
            "datasetObjectId. Check the file that payload.s3Uri names."
        )
    return payload


def consolidate(
    payload: list[Mapping[str, Any]],
    job: JobRecord,
    read_json: ReadJson,
    now: datetime,
    help: ConsolidationHelp = _NO_HELP,
) -> Batch:
    """Make one label of all workers' answers to an object.

    An answer that cannot be read is left out and reported; an object without any answer that can be read
    gets no label, but a `failure-reason` in its metadata.

    Parameters
    ----------
    payload
        Objects {"datasetObjectId", "annotations": [{"workerId", "annotationData": {"content"|"s3Uri"}}]}.
    read_json
        Reads the JSON document at an S3 URI.
    help
        What is known of the workers, and where files of labels go.
    """
    task_type = task_types.get(job.task_type)
    originals = {str(item["datasetObjectId"]): item["datasetObjectId"] for item in payload}
    answers: dict[str, dict[str, Any]] = {identifier: {} for identifier in originals}
    rejected: dict[str, list[Rejected]] = {identifier: [] for identifier in originals}
    for item in payload:
        identifier = str(item["datasetObjectId"])
        for annotation in item.get("annotations") or []:
            worker = str(annotation.get("workerId")) if isinstance(annotation, dict) else "?"
            try:
                answer = _read_answer(annotation, task_type, job.label_categories, read_json)
            except MalformedAnswer as error:
                rejected[identifier].append(Rejected(identifier, worker, str(error)))
            else:
                answers[identifier][worker] = answer
    labels = task_type.consolidate(
        {identifier: list(given.items()) for identifier, given in answers.items() if given},
        job.label_categories,
        help,
    )
    for identifier, label in labels.items():
        for worker, reason in label.rejected.items():
            rejected[identifier].append(Rejected(identifier, worker, reason))
            del answers[identifier][worker]

    entries = []
    for identifier, original in originals.items():
        metadata: dict[str, Any] = {
            "type": task_type.METADATA_TYPE,
            "human-annotated": "yes",
            "creation-date": now.strftime(_CREATION_DATE),
            "job-name": f"labeling-job/{job.job_name}",
            "annotators": len(answers[identifier]),
        }
        malformed = rejected[identifier]
        if malformed:
            # Without the workers' ids, which have no business in a training set; the log has them.
            metadata["malformed-answers"] = len(malformed)
        content: dict[str, Any] = {}
        if identifier in labels:
            content[job.label_attribute] = labels[identifier].value
            metadata.update(labels[identifier].metadata)
        elif malformed:
            metadata["failure-reason"] = (
                f"None of {len(malformed)} answers could be read. The first: {malformed[0].reason}"
            )
        else:
            metadata["failure-reason"] = "Nobody answered."
        content[metadata_key(job.label_attribute)] = metadata
        entries.append({"datasetObjectId": original, "consolidatedAnnotation": {"content": content}})
    return Batch(
        entries=entries,
        rejected=[each for reasons in rejected.values() for each in reasons],
        answers=sum(len(given) for given in answers.values()),
        evidence={identifier: label.evidence for identifier, label in labels.items() if label.evidence},
    )


def read_within(bucket: str, read_json: ReadJson) -> ReadJson:
    """A reader that refuses what lies outside a bucket, whoever asks for it."""

    def read(uri: str) -> Any:
        if parse_uri(uri).bucket != bucket:
            raise InvalidUri(
                f"{uri} is not in {bucket}, the bucket that holds all that labelling jobs write."
            )
        return read_json(uri)

    return read


def _read_answer(
    annotation: Any, task_type: TaskType, label_categories: tuple[str, ...], read_json: ReadJson
) -> Any:
    if not isinstance(annotation, dict) or not annotation.get("workerId"):
        raise MalformedAnswer("the annotation has no workerId")
    data = annotation.get("annotationData")
    if not isinstance(data, dict):
        raise MalformedAnswer("the annotation has no annotationData with content or s3Uri")
    try:
        content = _content(data, read_json)
    except (ObjectNotFound, InvalidUri, InvalidText, json.JSONDecodeError) as error:
        raise MalformedAnswer(f"the answer cannot be read: {error}") from error
    return task_type.read_answer(content, label_categories)


def _content(data: Mapping[str, Any], read_json: ReadJson) -> Any:
    """What lies under `content`, as text or parsed, or in the object that `s3Uri` names."""
    # Samples that AWS publishes spell the key in lower case too.
    uri = data.get("s3Uri") or data.get("s3uri")
    if uri:
        return read_json(str(uri))
    content = data.get("content")
    return json.loads(content) if isinstance(content, str) else content
