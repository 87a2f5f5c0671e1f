"""The people, from what labelling jobs leave in S3: answers, speed, skill, and what could not be used."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from statistics import fmean, median
from typing import Any

from truthloop import task_types
from truthloop.consolidation.skills import Skill, pair_key, pairs
from truthloop.errors import ObjectNotFound
from truthloop.gold import is_gold
from truthloop.manifest import is_labeled, metadata_key, read_master
from truthloop.task_types import MalformedAnswer
from truthloop_batch.context import Context
from truthloop_batch.intervals import wilson_interval
from truthloop_batch.report.document import Annotator, GoldScore, Job, LabelSkill, Problems, Reason
from truthloop_batch.report.words import parse_time

# The answers of a large campaign are many small objects: hides S3's latency, as in reading inputs.
_READING_THREADS = 16
# Of answers that are in memory at a time; one of a mask holds a whole picture.
_READ_AT_ONCE = 64
_UNKNOWN = "unknown"
# Reasons carry what a worker or a service wrote, so neither their number nor their length has a bound.
_REASONS = 8
_REASONS_KEPT = 1_000
_REASON_CHARACTERS = 300

# https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
_JOB_FILE = re.compile(r"(?P<name>[^/]+-r(?P<round>\d+)-a(?P<attempt>\d+)-[0-9a-f]{8})/(?P<path>.+)")
_RESPONSE = re.compile(r"annotations/worker-response/[^/]+/(?P<object>[^/]+)/[^/]+\.json")
# What consolidation adds to the metadata of labels and failures.
_MALFORMED = "malformed-answers"
_FAILURE = "failure-reason"


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


class Reasons:
    """Counts reasons in words; memory is bounded, and what is too rare to be kept counts as other."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._total = 0

    def add(self, reason: str) -> None:
        self._total += 1
        shown = reason[:_REASON_CHARACTERS]
        if shown in self._counts or len(self._counts) < _REASONS_KEPT:
            self._counts[shown] += 1

    def most_frequent(self) -> tuple[list[Reason], int]:
        """The most frequent reasons, and how often any other was given."""
        ordered = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))[:_REASONS]
        reasons: list[Reason] = [{"reason": reason, "count": count} for reason, count in ordered]
        return reasons, self._total - sum(count for _, count in ordered)


@dataclass
class _Record:
    """What is known of one worker."""

    answers: int = 0
    malformed: int = 0
    seconds: list[float] = field(default_factory=list)
    gold: list[float] = field(default_factory=list)


@dataclass
class _Tally:
    """What all jobs together left."""

    records: dict[str, _Record] = field(default_factory=lambda: defaultdict(_Record))
    failures: Reasons = field(default_factory=Reasons)
    malformed: Reasons = field(default_factory=Reasons)


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


def collect(
    context: Context, merges: Sequence[Mapping[str, Any]]
) -> tuple[list[Annotator], list[Job], Problems]:
    """Read all answers of the campaign, `_READ_AT_ONCE` files at a time.

    Parameters
    ----------
    merges
        merge.json of the rounds, in order.

    Returns
    -------
    The annotators, those with most answers first, the jobs in the order of rounds and attempts, and what went
    wrong in them.
    """
    tally = _Tally()
    jobs = []
    for folder in job_folders(context):
        answers = _add_answers(tally, _answers_of(context, folder), context)
        malformed = _add_results(tally, context, folder.name)
        _add_gold(tally, context, folder.name)
        jobs.append(_job(context, folder, answers, malformed, merges[folder.round]))
    skills = _skills(context)
    annotators = [
        _annotator(context, worker, record, skills.get(worker, Skill()))
        for worker, record in tally.records.items()
    ]
    failures, other_failures = tally.failures.most_frequent()
    unreadable, other_malformed = tally.malformed.most_frequent()
    problems: Problems = {
        "failures": failures,
        "other_failures": other_failures,
        "malformed": unreadable,
        "other_malformed": other_malformed,
    }
    return sorted(annotators, key=lambda entry: (-entry["answers"], entry["worker"])), jobs, problems


def _answers_of(context: Context, folder: JobFiles) -> Iterator[Answer]:
    """The job's answers, each once: the service writes one file per second, with what it has by then."""
    seen: set[tuple[str, str, str]] = set()
    responses = iter(folder.responses)
    with ThreadPoolExecutor(_READING_THREADS) as threads:
        while batch := list(islice(responses, _READ_AT_ONCE)):
            documents = threads.map(context.s3.read_json, [uri for _, uri in batch])
            for (object_id, _), document in zip(batch, documents, strict=True):
                for answer in read_answers(document, object_id):
                    key = (answer.object, answer.worker, answer.submitted)
                    if key not in seen:
                        seen.add(key)
                        yield answer


def _add_answers(tally: _Tally, answers: Iterable[Answer], context: Context) -> int:
    """Count answers by worker; returns how many there are."""
    task_type = task_types.get(context.request.task_type)
    number = 0
    for answer in answers:
        number += 1
        record = tally.records[answer.worker]
        record.answers += 1
        if answer.seconds is not None:
            record.seconds.append(answer.seconds)
        try:
            task_type.read_answer(answer.content, context.classes)
        except MalformedAnswer as error:
            record.malformed += 1
            tally.malformed.add(str(error))
    return number


def _add_results(tally: _Tally, context: Context, name: str) -> int:
    """Count why objects have no label; returns how many answers the job left out."""
    attribute = context.request.label_attribute
    malformed = 0
    try:
        for row in read_master(context.s3, context.layout.labeling_output_manifest(name)):
            metadata = row.get(metadata_key(attribute))
            if not isinstance(metadata, dict):
                continue
            left_out = metadata.get(_MALFORMED)
            malformed += left_out if isinstance(left_out, int) else 0
            if not is_labeled(row, attribute) and _FAILURE in metadata and not is_gold(row):
                tally.failures.add(str(metadata[_FAILURE]))
    except ObjectNotFound:
        # A job that failed or was stopped may have none.
        return 0
    return malformed


def _add_gold(tally: _Tally, context: Context, name: str) -> None:
    """Add the scores that workers got for objects with known labels, each object of a job once."""
    objects: dict[str, Mapping[str, float]] = {}
    for uri in context.s3.list(context.layout.worker_evidence_prefix(name)):
        # An object that came in two batches has two scores, of which one stands.
        objects.update(context.s3.read_json(uri).get("gold") or {})
    for _, scores in sorted(objects.items()):
        for worker, score in scores.items():
            tally.records[worker].gold.append(score)


def _skills(context: Context) -> dict[str, Skill]:
    """What consolidation knows of the workers after the last round; nothing where that is not kept."""
    document = context.s3.find_json(context.layout.workers(context.round)) or {"workers": {}}
    return {worker: Skill.from_document(known) for worker, known in document["workers"].items()}


def _job(context: Context, folder: JobFiles, answers: int, malformed: int, merge: Mapping[str, Any]) -> Job:
    merged = merge.get("job") == folder.name
    selection = context.s3.read_json(context.layout.selection(folder.round))
    return {
        "name": folder.name,
        "round": folder.round,
        "attempt": folder.attempt,
        "status": merge["status"] if merged else None,
        "objects": selection["to_label"],
        "gold": selection.get("gold", 0),
        "labeled": merge["labeled"] if merged else 0,
        "failed": merge["failed"] if merged else 0,
        "answers": answers,
        "malformed": malformed,
    }


def _annotator(context: Context, worker: str, record: _Record, known: Skill) -> Annotator:
    kind = context.kind.NAME
    interval = None
    if known.answers and kind == "class":
        # With a single class each agreement is 0 or 1, so their sum is a number of answers.
        interval = list(wilson_interval(round(known.agreement), known.answers))
    return {
        "worker": worker,
        "answers": record.answers,
        "malformed": record.malformed,
        "seconds_median": median(record.seconds) if record.seconds else None,
        "compared": known.answers,
        "agreement": known.agreement / known.answers if known.answers else None,
        "agreement_interval": interval,
        "skill": skill(kind, known.counts),
        "per_label": skill_per_label(kind, known.counts, context.classes),
        "gold": gold_score(record.gold),
    }


def gold_score(scores: Sequence[float]) -> GoldScore | None:
    """The mean of scores from 0 to 1 with its interval, None without any."""
    if not scores:
        return None
    return {
        "answers": len(scores),
        "score": fmean(scores),
        "interval": list(wilson_interval(sum(scores), len(scores))),
    }


# ------------------------------------------------------------------------------------------------- skill


def skill(kind: str, counts: Mapping[str, float]) -> dict[str, float | None]:
    """What the counts of `truthloop.consolidation.skills` amount to, by the keys of `document.Annotator`."""
    if kind == "class":
        answered = pairs(counts)
        right = sum(count for (true, answer), count in answered.items() if true == answer)
        return {"right": _ratio(right, sum(answered.values()))}
    if kind == "classes":
        found, excluded = _found_and_excluded(_sum_over_labels(counts))
        return {"found": found, "excluded": excluded}
    if kind == "boxes":
        found = counts.get(pair_key(1, 1), 0.0)
        error = _ratio(counts.get("edge_error", 0.0), counts.get("edges", 0.0))
        return {
            "found": _ratio(found, found + counts.get(pair_key(1, 0), 0.0)),
            "invented": _ratio(counts.get(pair_key(0, 1), 0.0), counts.get("images", 0.0)),
            # The others' own error is subtracted from the squares, so few boxes can leave less than nothing.
            "edge_error": None if error is None else math.sqrt(max(error, 0.0)),
        }
    return {"right": _ratio(counts.get("right", 0.0), counts.get("masks", 0.0))}


def skill_per_label(
    kind: str, counts: Mapping[str, float], classes: Sequence[str]
) -> list[LabelSkill] | None:
    """The same for each label; None for kinds whose counts do not tell labels apart."""
    if kind not in ("class", "classes"):
        return None
    skills: list[LabelSkill] = []
    for index, label in enumerate(classes):
        answers = pairs(counts, f"{index}/") if kind == "classes" else _as_yes_or_no(pairs(counts), index)
        found, excluded = _found_and_excluded(answers)
        skills.append({"label": label, "found": found, "excluded": excluded})
    return skills


def _sum_over_labels(counts: Mapping[str, float]) -> dict[tuple[int, int], float]:
    """The counts `<label>/<true>:<answered>` without their labels."""
    totals: dict[tuple[int, int], float] = defaultdict(float)
    for name, count in counts.items():
        for pair, of_label in pairs({name.partition("/")[2]: count}).items():
            totals[pair] += of_label
    return totals


def _as_yes_or_no(answered: Mapping[tuple[int, int], float], label: int) -> dict[tuple[int, int], float]:
    """Answers to one question of many labels as answers to whether it is this one."""
    found: dict[tuple[int, int], float] = defaultdict(float)
    for (true, answer), count in answered.items():
        found[int(true == label), int(answer == label)] += count
    return found


def _found_and_excluded(answered: Mapping[tuple[int, int], float]) -> tuple[float | None, float | None]:
    """The shares of right answers where the label applies, and where it does not."""
    yes, no = answered.get((1, 1), 0.0), answered.get((0, 0), 0.0)
    return _ratio(yes, yes + answered.get((1, 0), 0.0)), _ratio(no, no + answered.get((0, 1), 0.0))


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


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
