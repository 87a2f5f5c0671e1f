"""The workers' answers as labelling jobs leave them in S3: how many, how fast, how often as consolidated."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from truthloop import task_types
from truthloop.errors import ObjectNotFound
from truthloop.manifest import class_index, read_master
from truthloop.task_types import MalformedAnswer
from truthloop_batch.context import Context
from truthloop_batch.evaluation import wilson_interval
from truthloop_batch.report.document import Annotator, Job
from truthloop_batch.report.words import parse_time

# The answers of a large campaign are many small objects: hides S3's latency, as in reading inputs.
_READING_THREADS = 16
_UNKNOWN = "unknown"

# https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
_JOB_FILE = re.compile(r"(?P<name>[^/]+-r(?P<round>\d+)-a(?P<attempt>\d+)-[0-9a-f]{8})/(?P<path>.+)")
_RESPONSE = re.compile(r"annotations/worker-response/[^/]+/(?P<object>[^/]+)/[^/]+\.json")


@dataclass
class JobFiles:
    """A labelling job's folder: its worker responses, as (object's line in the job's manifest, URI)."""

    name: str
    round: int
    attempt: int
    responses: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Answer:
    """One worker's answer to one object; `content` is what the template submitted."""

    object: str
    worker: str
    submitted: str
    seconds: float | None
    content: Any


@dataclass
class _Record:
    """What is known of one worker."""

    answers: int = 0
    seconds: list[float] = field(default_factory=list)
    compared: int = 0
    agreed: int = 0


def job_folders(context: Context) -> list[JobFiles]:
    """The labelling jobs of the campaign's rounds so far, in the order of rounds and attempts."""
    prefix = context.layout.labeling_prefix()
    jobs: dict[str, JobFiles] = {}
    for uri in context.s3.list(prefix):
        found = _JOB_FILE.fullmatch(uri.removeprefix(prefix))
        if found is None or int(found["round"]) > context.round:
            continue
        job = jobs.setdefault(
            found["name"], JobFiles(found["name"], int(found["round"]), int(found["attempt"]))
        )
        if response := _RESPONSE.fullmatch(found["path"]):
            job.responses.append((response["object"], uri))
    return sorted(jobs.values(), key=lambda job: (job.round, job.attempt, job.name))


def read_answers(document: Mapping[str, Any], object_id: str) -> Iterator[Answer]:
    """The answers in one worker-response file; every field but the answer itself may be missing."""
    for entry in document.get("answers") or []:
        yield Answer(
            object_id,
            str(entry.get("workerId") or _UNKNOWN),
            str(entry.get("submissionTime") or ""),
            _seconds(entry),
            entry.get("answerContent"),
        )


def collect(context: Context, merges: Sequence[Mapping[str, Any]]) -> tuple[list[Annotator], list[Job]]:
    """Read all answers of the campaign.

    Parameters
    ----------
    merges
        merge.json of the rounds, in order.

    Returns
    -------
    The annotators, those with most answers first, and the jobs in the order of rounds and attempts.
    """
    records: dict[str, _Record] = defaultdict(_Record)
    jobs: list[Job] = []
    with ThreadPoolExecutor(_READING_THREADS) as threads:
        for folder in job_folders(context):
            documents = threads.map(context.s3.read_json, [uri for _, uri in folder.responses])
            # Two files may repeat an answer: the service writes one per second, with what it has by then.
            answers = {
                (answer.object, answer.worker, answer.submitted): answer
                for (object_id, _), document in zip(folder.responses, documents, strict=True)
                for answer in read_answers(document, object_id)
            }
            _add(records, answers.values(), _consolidated(context, folder.name), context)
            jobs.append(_job(context, folder, len(answers), merges[folder.round]))
    annotators = [_annotator(worker, record) for worker, record in records.items()]
    return sorted(annotators, key=lambda entry: (-entry["answers"], entry["worker"])), jobs


def _add(
    records: dict[str, _Record], answers: Iterable[Answer], labels: Mapping[str, int], context: Context
) -> None:
    task_type = task_types.get(context.request.task_type)
    for answer in answers:
        record = records[answer.worker]
        record.answers += 1
        if answer.seconds is not None:
            record.seconds.append(answer.seconds)
        if answer.object not in labels:
            continue
        try:
            given = task_type.read_answer(answer.content, context.classes)
        except MalformedAnswer:
            # The job that consolidated it has reported it; there is nothing to compare.
            continue
        record.compared += 1
        record.agreed += given == labels[answer.object]


def _consolidated(context: Context, name: str) -> dict[str, int]:
    """The job's labels by the line of its output manifest, which is the object's id in the job."""
    labels: dict[str, int] = {}
    try:
        for number, row in enumerate(read_master(context.s3, context.layout.labeling_output_manifest(name))):
            label = class_index(row, context.request.label_attribute)
            if label is not None:
                labels[str(number)] = label
    except ObjectNotFound:
        # A job that failed or was stopped may have none.
        return {}
    return labels


def _job(context: Context, folder: JobFiles, answers: int, merge: Mapping[str, Any]) -> Job:
    merged = merge.get("job") == folder.name
    return {
        "name": folder.name,
        "round": folder.round,
        "attempt": folder.attempt,
        "status": merge["status"] if merged else None,
        "objects": context.s3.read_json(context.layout.selection(folder.round))["to_label"],
        "labeled": merge["labeled"] if merged else 0,
        "failed": merge["failed"] if merged else 0,
        "answers": answers,
    }


def _annotator(worker: str, record: _Record) -> Annotator:
    return {
        "worker": worker,
        "answers": record.answers,
        "seconds_median": median(record.seconds) if record.seconds else None,
        "compared": record.compared,
        "agreement": record.agreed / record.compared if record.compared else None,
        "agreement_interval": list(wilson_interval(record.agreed, record.compared))
        if record.compared
        else None,
    }


def _seconds(entry: Mapping[str, Any]) -> float | None:
    """The time that an answer took: as the service measured it, without pauses, else from start to end."""
    spent = entry.get("timeSpentInSeconds")
    if isinstance(spent, int | float) and not isinstance(spent, bool) and spent >= 0:
        return float(spent)
    try:
        accepted, submitted = parse_time(entry["acceptanceTime"]), parse_time(entry["submissionTime"])
    except (KeyError, TypeError, ValueError):
        return None
    return max(0.0, (submitted - accepted).total_seconds())
