"""The two annotation contracts of Ground Truth: a task from a row, and labels from all workers' answers.

https://docs.aws.amazon.com/sagemaker/latest/dg/sms-custom-templates-step3-lambda-requirements.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from truthloop import task_types
from truthloop.agreement import agreement
from truthloop.audit import audit_attribute
from truthloop.audit.display import audit_task
from truthloop.audit.feedback import feedback_task
from truthloop.audit.verdicts import METADATA_TYPE, Audited
from truthloop.consolidation.skills import Evidence
from truthloop.errors import InvalidText, InvalidUri, ObjectNotFound, TruthloopError, UnknownRow
from truthloop.labeling.jobs import EXPERT, RELABEL, VERDICTS, JobRecord
from truthloop.manifest import SOURCE, SOURCE_REF, metadata_key
from truthloop.names import labeling_job_name_of
from truthloop.s3 import parse_uri
from truthloop.task_types import ConsolidatedLabel, ConsolidationHelp, MalformedAnswer, TaskType

# https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
_CREATION_DATE = "%Y-%m-%dT%H:%M:%S.%f"

ReadJson = Callable[[str], Any]
_NO_HELP = ConsolidationHelp()
_NOTHING_KNOWN: Mapping[str, Callable[[], Any]] = {}


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
    gold
        By object with a known label and by worker how far the answer agrees with it, 0 to 1. An answer that
        cannot be read is not counted as a wrong one.
    """

    entries: list[dict[str, Any]]
    rejected: list[Rejected]
    answers: int
    evidence: dict[str, Mapping[str, Evidence]]
    gold: dict[str, dict[str, float]] = field(default_factory=dict)


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

    Auditors get a label to judge; people who label again what was rejected also see why.
    `isHumanAnnotationRequired` is a boolean: a text, or the key without "is", would be ignored.
    """
    row = event["dataObject"]
    if job.purpose in VERDICTS:
        task_input = audit_task(row, job)
    else:
        task_input = task_types.get(job.task_type).task_input(
            row, job.label_categories, job.label_attribute, job.instructions
        )
    if job.purpose in (RELABEL, EXPERT):
        task_input |= feedback_task(row, job)
    return {"taskInput": task_input, "isHumanAnnotationRequired": True}


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


class Reading(Protocol):
    """How a job's answers are read and made one."""

    @property
    def attribute(self) -> str:
        """The key of a row that gets the result."""

    @property
    def metadata_type(self) -> str:
        """`type` in the result's metadata."""

    def read(self, item: Mapping[str, Any], content: Any) -> Any:
        """One worker's answer about an object of the payload; raises `MalformedAnswer`."""

    def consolidate(
        self, answers: Mapping[str, Sequence[tuple[str, Any]]], help: ConsolidationHelp
    ) -> dict[str, ConsolidatedLabel]:
        """The results of a batch; for each object at least one (worker, answer), one per worker."""


class LabelReading:
    """Answers that are labels."""

    def __init__(self, job: JobRecord) -> None:
        self._job = job
        self._task_type: TaskType = task_types.get(job.task_type)
        self.attribute = job.label_attribute
        self.metadata_type = self._task_type.METADATA_TYPE

    def read(self, item: Mapping[str, Any], content: Any) -> Any:
        return self._task_type.read_answer(content, self._job.label_categories)

    def consolidate(
        self, answers: Mapping[str, Sequence[tuple[str, Any]]], help: ConsolidationHelp
    ) -> dict[str, ConsolidatedLabel]:
        return self._task_type.consolidate(answers, self._job.label_categories, help)


class VerdictReading:
    """Answers that are verdicts on the labels of the job's rows.

    Parameters
    ----------
    rows
        The job's rows in the order of its manifest.
    read_bytes
        Reads the mask at an S3 URI.
    """

    metadata_type = METADATA_TYPE

    def __init__(
        self,
        job: JobRecord,
        rows: Sequence[Mapping[str, Any]],
        read_bytes: Callable[[str], bytes],
        now: datetime,
    ) -> None:
        self.attribute = audit_attribute(job.label_attribute)
        self._job = job
        self._audited = Audited(
            task_type=job.task_type,
            label_attribute=job.label_attribute,
            label_categories=job.label_categories,
            rows={str(position): row for position, row in enumerate(rows)},
            label_metadata=lambda people: _metadata(
                task_types.get(job.task_type).METADATA_TYPE, job, now, people
            ),
            read_bytes=read_bytes,
        )

    def read(self, item: Mapping[str, Any], content: Any) -> Any:
        identifier = str(item["datasetObjectId"])
        row = self._audited.rows.get(identifier)
        if row is None or not _is_of(row, item.get("dataObject")):
            raise UnknownRow(
                f"The object {identifier} of the labelling job {self._job.job_name!r}, "
                f"{item.get('dataObject')!r}, is not the row at that position of {self._job.manifest_uri}. "
                "Nothing was consolidated, so that no verdict meets another label than it is about."
            )
        return self._audited.read(identifier, content)

    def consolidate(
        self, answers: Mapping[str, Sequence[tuple[str, Any]]], help: ConsolidationHelp
    ) -> dict[str, ConsolidatedLabel]:
        return self._audited.consolidate(answers, help)


def consolidate(
    payload: list[Mapping[str, Any]],
    job: JobRecord,
    read_json: ReadJson,
    now: datetime,
    help: ConsolidationHelp = _NO_HELP,
    reading: Reading | None = None,
    known: Mapping[str, Callable[[], Any]] = _NOTHING_KNOWN,
) -> Batch:
    """Make one label, or one verdict, of all workers' answers to an object.

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
    reading
        How answers are read, None for labels.
    known
        For the objects with known labels what gives the label, as `agreement.known_label` does.
    """
    reading = LabelReading(job) if reading is None else reading
    originals = {str(item["datasetObjectId"]): item["datasetObjectId"] for item in payload}
    answers: dict[str, dict[str, Any]] = {identifier: {} for identifier in originals}
    rejected: dict[str, list[Rejected]] = {identifier: [] for identifier in originals}
    for item in payload:
        identifier = str(item["datasetObjectId"])
        for annotation in item.get("annotations") or []:
            worker = str(annotation.get("workerId")) if isinstance(annotation, dict) else "?"
            try:
                answer = reading.read(item, _read_content(annotation, read_json))
            except MalformedAnswer as error:
                rejected[identifier].append(Rejected(identifier, worker, str(error)))
            else:
                answers[identifier][worker] = answer
    labels = reading.consolidate(
        {identifier: list(given.items()) for identifier, given in answers.items() if given}, help
    )
    for identifier, label in labels.items():
        for worker, reason in label.rejected.items():
            rejected[identifier].append(Rejected(identifier, worker, reason))
            del answers[identifier][worker]

    entries = []
    for identifier, original in originals.items():
        metadata = _metadata(reading.metadata_type, job, now, len(answers[identifier]))
        malformed = rejected[identifier]
        if malformed:
            # Without the workers' ids, which have no business in a training set; the log has them.
            metadata["malformed-answers"] = len(malformed)
        content: dict[str, Any] = {}
        if answers[identifier]:
            content[reading.attribute] = labels[identifier].value
            metadata.update(labels[identifier].metadata)
        elif malformed:
            metadata["failure-reason"] = (
                f"None of {len(malformed)} answers could be read. The first: {malformed[0].reason}"
            )
        else:
            metadata["failure-reason"] = "Nobody answered."
        content[metadata_key(reading.attribute)] = metadata
        entries.append({"datasetObjectId": original, "consolidatedAnnotation": {"content": content}})
    return Batch(
        entries=entries,
        rejected=[each for reasons in rejected.values() for each in reasons],
        answers=sum(len(given) for given in answers.values()),
        evidence={identifier: label.evidence for identifier, label in labels.items() if label.evidence},
        gold=_scores(answers, job, known),
    )


def _scores(
    answers: Mapping[str, Mapping[str, Any]], job: JobRecord, known: Mapping[str, Callable[[], Any]]
) -> dict[str, dict[str, float]]:
    kind = task_types.get(job.task_type).LABEL_KIND
    scores = {}
    for identifier, given in answers.items():
        if identifier in known and given:
            label = known[identifier]()
            scores[identifier] = {worker: agreement(kind, answer, label) for worker, answer in given.items()}
    return scores


def _metadata(metadata_type: str, job: JobRecord, now: datetime, people: int) -> dict[str, Any]:
    return {
        "type": metadata_type,
        "human-annotated": "yes",
        "creation-date": now.strftime(_CREATION_DATE),
        "job-name": f"labeling-job/{job.job_name}",
        "annotators": people,
    }


def _is_of(row: Mapping[str, Any], data_object: Any) -> bool:
    """Whether an object of the payload is a row's, as far as the payload tells."""
    if not isinstance(data_object, dict):
        return True
    shown = data_object.get("s3Uri") or data_object.get("content")
    return shown is None or shown == row.get(SOURCE_REF, row.get(SOURCE))


def read_within(bucket: str, read_json: ReadJson) -> ReadJson:
    """A reader that refuses what lies outside a bucket, whoever asks for it."""

    def read(uri: str) -> Any:
        if parse_uri(uri).bucket != bucket:
            raise InvalidUri(
                f"{uri} is not in {bucket}, the bucket that holds all that labelling jobs write."
            )
        return read_json(uri)

    return read


def _read_content(annotation: Any, read_json: ReadJson) -> Any:
    if not isinstance(annotation, dict) or not annotation.get("workerId"):
        raise MalformedAnswer("the annotation has no workerId")
    data = annotation.get("annotationData")
    if not isinstance(data, dict):
        raise MalformedAnswer("the annotation has no annotationData with content or s3Uri")
    try:
        return _content(data, read_json)
    except (ObjectNotFound, InvalidUri, InvalidText, ValueError, RecursionError) as error:
        raise MalformedAnswer(f"the answer cannot be read: {error}") from error


def _content(data: Mapping[str, Any], read_json: ReadJson) -> Any:
    """What lies under `content`, as text or parsed, or in the object that `s3Uri` names."""
    # Samples that AWS publishes spell the key in lower case too.
    uri = data.get("s3Uri") or data.get("s3uri")
    if uri:
        return read_json(str(uri))
    content = data.get("content")
    return json.loads(content) if isinstance(content, str) else content
