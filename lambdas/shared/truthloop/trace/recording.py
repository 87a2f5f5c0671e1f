"""From a file that appears in the data bucket to records: answers, what consolidation says, verdicts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from truthloop.audit import DECISIONS
from truthloop.errors import InvalidText, ObjectNotFound
from truthloop.labeling.jobs import LABEL, JobsTable
from truthloop.s3 import S3Gateway, parse_uri
from truthloop.trace.answers import NO_CAMPAIGN, Answer, AnswersTable, Evidence, Verdict
from truthloop.trace.people import People, Person
from truthloop.trace.responses import identifier, number_between, read_responses, read_time, timestamp

# CreateLabelingJob's; what is no such name is no job.
_JOB = r"(?P<job>[a-zA-Z0-9][a-zA-Z0-9-]{0,62})"
_RESPONSE = re.compile(
    rf"(?:.*/)?{_JOB}/annotations/worker-response/iteration-(?P<iteration>\d{{1,9}})/(?P<object>[^/]{{1,512}})/"
    r"(?P<file>[^/]+)\.json"
)
_EVIDENCE = re.compile(rf"(?:.*/)?{_JOB}/annotations/consolidated-annotation/workers/[^/]+\.json")
_VERDICTS = re.compile(r"(?:campaigns/[^/]+/)?audits/[^/]+/steps/\d+\.verdicts\.json")


class Kind(StrEnum):
    """What a file holds."""

    ANSWERS = "answers"
    EVIDENCE = "evidence"
    VERDICTS = "verdicts"


@dataclass(frozen=True)
class JobFacts:
    """What a record says of its job."""

    campaign: str = NO_CAMPAIGN
    round: int | None = None
    purpose: str = LABEL


@dataclass(frozen=True)
class VerdictOn:
    """A verdict, and whose label it is about."""

    job: str
    object: str
    verdict: Verdict


@dataclass(frozen=True)
class Found:
    """What a file says, before it is written."""

    kind: Kind
    answers: tuple[Answer, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    verdicts: tuple[VerdictOn, ...] = ()
    rejected: tuple[str, ...] = ()

    @property
    def recorded(self) -> Recorded:
        return Recorded(self.kind, len(self.answers) + len(self.evidence) + len(self.verdicts), self.rejected)


@dataclass(frozen=True)
class Recorded:
    """What a file brought: how many records were written, and why the rest was left out."""

    kind: Kind
    records: int
    rejected: tuple[str, ...] = ()


class JobBook:
    """What the jobs table says of jobs; one object asks once for each."""

    def __init__(self, jobs: JobsTable) -> None:
        self._jobs = jobs
        self._known: dict[str, JobFacts] = {}

    def facts(self, job: str) -> JobFacts:
        """The facts of a job; of one that the stack didn't create, those of a job without a campaign."""
        # A job's record is written before the job is created, so one that is unknown stays so.
        if job not in self._known:
            record = self._jobs.find(job)
            if record is None:
                self._known[job] = JobFacts()
            elif not record.campaign:
                self._known[job] = JobFacts(purpose=record.purpose)
            else:
                self._known[job] = JobFacts(record.campaign, record.round, record.purpose)
        return self._known[job]


def kind_of(key: str) -> Kind | None:
    """What an object of the data bucket holds, None when it isn't for the records."""
    for kind, pattern in ((Kind.ANSWERS, _RESPONSE), (Kind.EVIDENCE, _EVIDENCE), (Kind.VERDICTS, _VERDICTS)):
        if pattern.fullmatch(key):
            return kind
    return None


class Recorder:
    """Reads files and writes their records; a file that is read again changes nothing."""

    def __init__(self, s3: S3Gateway, answers: AnswersTable, people: People, jobs: JobBook) -> None:
        self._s3 = s3
        self._answers = answers
        self._people = people
        self._jobs = jobs
        self._readers: dict[Kind, Callable[[str, Any], Found]] = {
            Kind.ANSWERS: self._answers_of,
            Kind.EVIDENCE: self._evidence_of,
            Kind.VERDICTS: self._verdicts_of,
        }

    def record(self, uri: str) -> Recorded | None:
        """Record what a file says; None when it isn't for the records.

        Raises
        ------
        ObjectNotFound
            When the file is gone.
        """
        found = self.read(uri)
        if found is None:
            return None
        for answer in found.answers:
            self._answers.record(answer)
        self._answers.record_many(found.evidence)
        self._record_verdicts(found)
        return found.recorded

    def record_many(self, uris: Iterable[str]) -> list[tuple[str, Recorded]]:
        """Like `record`, for many files with fewer calls; files that are gone are left out."""
        recorded: list[tuple[str, Recorded]] = []
        entries: list[Answer | Evidence] = []
        for uri in uris:
            try:
                found = self.read(uri)
            except ObjectNotFound:
                continue
            if found is not None:
                entries += [*found.answers, *found.evidence]
                self._record_verdicts(found)
                recorded.append((uri, found.recorded))
        self._answers.record_many(entries)
        return recorded

    def read(self, uri: str) -> Found | None:
        """What a file says, None when it isn't for the records.

        Raises
        ------
        ObjectNotFound
            When the file is gone.
        """
        kind = kind_of(parse_uri(uri).key)
        if kind is None:
            return None
        try:
            document = self._s3.read_json(uri)
        except InvalidText as error:
            return Found(kind, rejected=(str(error),))
        except RecursionError:
            return Found(kind, rejected=(f"{uri} is nested too deeply",))
        return self._readers[kind](uri, document)

    def _record_verdicts(self, found: Found) -> None:
        for each in found.verdicts:
            facts = self._jobs.facts(each.job)
            self._answers.record_verdict(each.job, each.object, each.verdict, facts.campaign, facts.round)

    def _answers_of(self, uri: str, document: Any) -> Found:
        where = _matched(_RESPONSE, uri)
        facts = self._jobs.facts(where["job"])
        found = read_responses(document, where["file"])
        answers = [
            Answer(
                job=where["job"],
                object=where["object"],
                worker=self._people.pseudonym_of(response.person),
                campaign=facts.campaign,
                round=facts.round,
                purpose=facts.purpose,
                iteration=int(where["iteration"]),
                submitted_at=response.submitted_at,
                accepted_at=response.accepted_at,
                seconds=response.seconds,
                wall_seconds=response.wall_seconds,
                active_ms=response.active_ms,
                answer_sha256=response.answer_sha256,
                suggestion=response.suggestion,
                source=uri,
            )
            for response in found.answers
        ]
        return Found(Kind.ANSWERS, answers=tuple(answers), rejected=tuple(found.rejected))

    def _evidence_of(self, uri: str, document: Any) -> Found:
        """{"objects": {index: {worker id: {"agreement", …}}}, "gold": {index: {worker id: score}}}."""
        job = _matched(_EVIDENCE, uri)["job"]
        campaign = self._jobs.facts(job).campaign
        scores: dict[tuple[str, str], dict[str, float]] = {}
        rejected = []
        for section, name in (("objects", "agreement"), ("gold", "gold")):
            for index, workers in _items(document, section):
                for worker, said in workers.items() if isinstance(workers, dict) else ():
                    value = said.get(name) if isinstance(said, dict) else said
                    score = number_between(value, 0, 1)
                    if score is None or identifier(worker) is None or identifier(index) is None:
                        rejected.append(f"the {name} of {index!r} is no number from 0 to 1 of a worker")
                    else:
                        scores.setdefault((index, worker), {})[name] = score
        evidence = [
            Evidence(job, index, self._people.pseudonym_of(Person(worker)), campaign, **each)
            for (index, worker), each in scores.items()
        ]
        return Found(Kind.EVIDENCE, evidence=tuple(evidence), rejected=tuple(rejected))

    def _verdicts_of(self, uri: str, document: Any) -> Found:
        """{"verdicts": [{"job_name", "object", "decision", "reason", "purpose", "why", "at"}]}."""
        entries = document.get("verdicts") if isinstance(document, dict) else None
        if not isinstance(entries, list):
            return Found(Kind.VERDICTS, rejected=("the file is not a JSON object with a list `verdicts`",))
        verdicts, rejected = [], []
        for number, entry in enumerate(entries, start=1):
            known = entry if isinstance(entry, dict) else {}
            job, index = identifier(known.get("job_name")), identifier(str(known.get("object", "")))
            at = read_time(known.get("at"))
            if job is None or index is None or at is None or known.get("decision") not in DECISIONS:
                rejected.append(f"verdict {number} lacks a job, an object, a decision or a time")
                continue
            verdict = Verdict(
                decision=known["decision"],
                reason=identifier(known.get("reason")) or "",
                at=timestamp(at),
                purpose=identifier(known.get("purpose")) or "",
                why=identifier(known.get("why")) or "",
            )
            verdicts.append(VerdictOn(job, index, verdict))
        return Found(Kind.VERDICTS, verdicts=tuple(verdicts), rejected=tuple(rejected))


def _matched(pattern: re.Pattern[str], uri: str) -> re.Match[str]:
    match = pattern.fullmatch(parse_uri(uri).key)
    assert match is not None  # noqa: S101 (kind_of has matched it)
    return match


def _items(document: Any, section: str) -> list[tuple[str, Any]]:
    found: Mapping[str, Any] | None = document.get(section) if isinstance(document, dict) else None
    return list(found.items()) if isinstance(found, dict) else []
