"""Merges what people labelled in a job into the master manifest, and counts it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from truthloop.errors import ObjectNotFound, TruthloopError, UnknownRow
from truthloop.labeling.backend import JobStatus
from truthloop.labeling.jobs import JobRecord, JobsTable
from truthloop.labeling.waiting import NOTHING_TO_LABEL
from truthloop.labeling.workers import sum_up
from truthloop.layout import CampaignLayout
from truthloop.manifest import (
    SOURCE,
    SOURCE_REF,
    TRUTHLOOP,
    Row,
    is_labeled,
    merge_into,
    metadata_key,
    provenance,
    read_master,
    row_id,
)
from truthloop.s3 import S3Gateway, join_uri

_READERS = 16
_INTERMEDIATE = re.compile(r"/annotations/intermediate/(\d+)/annotations\.manifest$")
# What select wrote into the rows that it sent, and the master does not have yet.
_FROM_SELECTION = ("reason", "score", "model")


class WrongLabelingJob(TruthloopError):
    """A labelling job belongs to another campaign or round than the one that merges it."""


@dataclass(frozen=True)
class MergeSummary:
    """What a round's labelling brought.

    Attributes
    ----------
    job
        The job's name, None when there was nothing to label.
    labeled, failed
        Objects with a label, and objects that the job could not label.
    answers
        Answers of all workers, those that could not be read included: they are paid for.
    """

    job: str | None
    status: str
    labeled: int
    failed: int
    answers: int


def merge_labels(
    s3: S3Gateway,
    jobs: JobsTable,
    layout: CampaignLayout,
    round_number: int,
    labeling: Mapping[str, Any],
) -> MergeSummary:
    """Merge a round's labelling job into the master manifest; write the round's workers.json and merge.json.

    Merging again, or jobs in another order, gives the same manifest.

    Parameters
    ----------
    labeling
        What the waiting state got: {"job_name", "status", "output_manifest_uri", …}.

    Raises
    ------
    UnknownRow
        When the job's output holds an object that the master manifest lacks; nothing is written.
    WrongLabelingJob
        When the job is another round's.
    """
    name, status = labeling["job_name"], labeling["status"]
    if status == NOTHING_TO_LABEL:
        summary = MergeSummary(None, status, labeled=0, failed=0, answers=0)
    else:
        job = jobs.require(name)
        if (job.campaign_uri, job.round) != (layout.uri, round_number):
            raise WrongLabelingJob(
                f"The labelling job {name!r} is of round {job.round} of {job.campaign_uri}, not of round "
                f"{round_number} of {layout.uri}. Merge it there."
            )
        results = _Results(job, status)
        for row in _output_rows(s3, layout, labeling):
            results.add(row)
        master = layout.master_manifest()
        if updates := results.updates(read_master(s3, master)):
            merge_into(s3, master, updates)
        answers = count_answers(s3, join_uri(layout.labeling_prefix(), name, "annotations/worker-response/"))
        summary = MergeSummary(name, status, len(results.labeled), len(results.failed), answers)
    sum_up(s3, layout, round_number, summary.job)
    s3.write_json(layout.merge(round_number), asdict(summary))
    return summary


class _Results:
    """The output rows of one job, by row id."""

    def __init__(self, job: JobRecord, status: str) -> None:
        self._job = job
        self._status = status
        self._metadata = metadata_key(job.label_attribute)
        self.labeled: dict[str, Row] = {}
        self.failed: dict[str, Row] = {}

    def add(self, row: Row) -> None:
        """Take one output row; of two rows of one object the later counts."""
        identifier = row_id(row)
        self.labeled.pop(identifier, None)
        self.failed.pop(identifier, None)
        if is_labeled(row, self._job.label_attribute):
            self.labeled[identifier] = row
        # A stopped job leaves rows that it never came to; a completed one has given up what it didn't label.
        elif self._status == JobStatus.COMPLETED or "failure-reason" in (row.get(self._metadata) or {}):
            self.failed[identifier] = row

    def updates(self, master: Iterable[Row]) -> dict[str, Row]:
        """What changes in the master rows that the job labelled or failed.

        Raises
        ------
        UnknownRow
            When the job has rows that the master lacks.
        """
        updates: dict[str, Row] = {}
        missing = {**self.labeled, **self.failed}
        for row in master:
            identifier = row_id(row)
            if missing.pop(identifier, None) is None:
                continue
            if identifier in self.failed:
                if self._job.job_name not in provenance(row).get("failed_jobs", []):
                    updates[identifier] = self._failure(row)
            elif not self._is_outdated(self.labeled[identifier], row):
                updates[identifier] = self._label(self.labeled[identifier])
        if missing:
            shown = ", ".join(
                f"{identifier} ({row.get(SOURCE_REF) or row.get(SOURCE)})"
                for identifier, row in sorted(missing.items())[:3]
            )
            raise UnknownRow(
                f"The output of the labelling job {self._job.job_name!r} has {len(missing)} rows that the "
                f"master manifest of {self._job.campaign_uri} lacks, such as {shown}. Nothing was merged; "
                "check that the job labelled this campaign's selection."
            )
        return updates

    def _label(self, output: Row) -> Row:
        metadata = output.get(self._metadata) or {}
        selected = provenance(output)
        return {
            self._job.label_attribute: output[self._job.label_attribute],
            self._metadata: metadata,
            TRUTHLOOP: {
                **{key: selected[key] for key in _FROM_SELECTION if key in selected},
                "round": self._job.round,
                "job": self._job.job_name,
                "labeled_by": "people",
                "annotators": metadata.get("annotators"),
            },
        }

    def _failure(self, row: Row) -> Row:
        """One failure more; a label that the row has stays."""
        known = provenance(row)
        return {
            TRUTHLOOP: {
                "failures": int(known.get("failures") or 0) + 1,
                "failed_jobs": sorted([*known.get("failed_jobs", []), self._job.job_name]),
            }
        }

    def _is_outdated(self, output: Row, row: Row) -> bool:
        """Whether people labelled the row later in another job: the newest label stays, in any order."""
        if provenance(row).get("labeled_by") != "people":
            return False
        return _age(row, self._metadata, provenance(row).get("job")) > _age(
            output, self._metadata, self._job.job_name
        )


def _age(row: Row, metadata: str, job: Any) -> tuple[str, str]:
    # The format's order is that of time: YYYY-MM-DDTHH:MM:SS.ffffff.
    return str((row.get(metadata) or {}).get("creation-date") or ""), str(job)


def _output_rows(s3: S3Gateway, layout: CampaignLayout, labeling: Mapping[str, Any]) -> Iterator[Row]:
    """The rows of the output manifest; of a stopped job that has none, of its intermediate manifests."""
    name = labeling["job_name"]
    uri = labeling["output_manifest_uri"] or layout.labeling_output_manifest(name)
    try:
        yield from read_master(s3, uri)
    except ObjectNotFound:
        if labeling["status"] != JobStatus.STOPPED:
            raise
        # In the order of iterations, so that of an object that occurs in several the last counts.
        found = {}
        for candidate in s3.list(join_uri(layout.labeling_prefix(), name, "annotations/intermediate/")):
            if match := _INTERMEDIATE.search(candidate):
                found[int(match[1])] = candidate
        for _, intermediate in sorted(found.items()):
            yield from read_master(s3, intermediate)


def count_answers(s3: S3Gateway, prefix: str) -> int:
    """How many answers workers gave, from the worker responses `<iteration>/<object>/<time>.json`.

    An answer that two files repeat counts once.
    """
    uris = [uri for uri in s3.list(prefix) if uri.endswith(".json")]
    with ThreadPoolExecutor(_READERS) as readers:
        documents = readers.map(s3.read_json, uris)
        return len(
            {
                (uri.split("/")[-2], answer.get("workerId"), answer.get("submissionTime"))
                for uri, document in zip(uris, documents, strict=True)
                for answer in document.get("answers") or []
            }
        )
