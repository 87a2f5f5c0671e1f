"""Merges what people, and the model by itself, labelled in a round into the master manifest; counts it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from truthloop.campaign import load_campaign
from truthloop.errors import TruthloopError, UnknownRow
from truthloop.gold import is_gold
from truthloop.labeling.backend import JobStatus
from truthloop.labeling.jobs import JobRecord, JobsTable
from truthloop.labeling.outputs import output_rows, responses
from truthloop.labeling.waiting import NOTHING_TO_LABEL
from truthloop.labeling.workers import sum_up
from truthloop.layout import CampaignLayout
from truthloop.manifest import (
    HISTORY,
    SOURCE,
    SOURCE_REF,
    TRUTHLOOP,
    Row,
    is_labeled,
    merge_into,
    merge_row,
    metadata_key,
    provenance,
    read_master,
    row_id,
)
from truthloop.precedence import MODEL, PEOPLE, combined, label_age, may_replace, moment, with_label
from truthloop.s3 import S3Gateway
from truthloop.splits import Splits

# What select wrote into the rows that it sent, and the master does not have yet.
_FROM_SELECTION = ("reason", "score", "model")

# Events of a row's history.
SELECTED = "selected"
LABELED = "labeled"


class WrongLabelingJob(TruthloopError):
    """A labelling job belongs to another campaign or round than the one that merges it."""


@dataclass(frozen=True)
class GoldCount:
    """A job's gold items that got a label, and all answers about gold items: they are paid for as well."""

    objects: int = 0
    answers: int = 0


@dataclass(frozen=True)
class MergeSummary:
    """What a round's labelling brought.

    Attributes
    ----------
    job
        The job's name, None when there was nothing to label.
    labeled, failed
        Objects with a label, and objects that the job could not label; without the gold items.
    answers
        Answers of all workers about these, those that could not be read included: they are paid for.
    gold
        The gold items, which no manifest of the campaign's gets.
    auto
        Rows that the model labelled by itself.
    """

    job: str | None
    status: str
    labeled: int
    failed: int
    answers: int
    gold: GoldCount = GoldCount()
    auto: int = 0


def merge_labels(
    s3: S3Gateway,
    jobs: JobsTable,
    layout: CampaignLayout,
    round_number: int,
    labeling: Mapping[str, Any],
) -> MergeSummary:
    """Merge a round's labels into the master manifest; write the round's workers.json and merge.json.

    These are the labels of its labelling job, if it had one, and those that the model gave by itself.
    Merging again, or rounds in another order, gives the same manifest.

    Parameters
    ----------
    labeling
        What the waiting state got: {"job_name", "status", "output_manifest_uri", …}.

    Raises
    ------
    UnknownRow
        When the job's output, or the model's, holds an object that the master manifest lacks; nothing is
        written.
    WrongLabelingJob
        When the job is another round's.
    """
    name, status = labeling["job_name"], labeling["status"]
    results = None
    if status != NOTHING_TO_LABEL:
        job = jobs.require(name)
        if (job.campaign_uri, job.round) != (layout.uri, round_number):
            raise WrongLabelingJob(
                f"The labelling job {name!r} is of round {job.round} of {job.campaign_uri}, not of round "
                f"{round_number} of {layout.uri}. Merge it there."
            )
        results = _Results(job, status)
        folder = layout.labeling_job(name)
        output = labeling["output_manifest_uri"] or folder.output_manifest()
        for row in output_rows(s3, output, status, folder.intermediate_prefix()):
            results.add(row)
    auto = _read_auto_labels(s3, layout, round_number)
    updates = _updates(read_master(s3, layout.master_manifest()), results, auto, layout)
    if updates:
        merge_into(s3, layout.master_manifest(), updates)
    summary = _summary(s3, layout, round_number, results, auto)
    sum_up(s3, layout, round_number, summary.job)
    s3.write_json(layout.merge(round_number), asdict(summary))
    return summary


def _summary(
    s3: S3Gateway,
    layout: CampaignLayout,
    round_number: int,
    results: _Results | None,
    auto: _AutoLabels | None,
) -> MergeSummary:
    automatic = 0 if auto is None else len(auto.rows)
    if results is None:
        return MergeSummary(None, NOTHING_TO_LABEL, labeled=0, failed=0, answers=0, auto=automatic)
    job = results.job.job_name
    answers = responses(s3, layout.labeling_job(job).worker_responses_prefix(), with_content=False)
    about_gold = sum(len(answers.get(name, [])) for name in _gold_objects(s3, layout, round_number))
    return MergeSummary(
        job=job,
        status=results.status,
        labeled=len(results.labeled),
        failed=len(results.failed),
        answers=sum(map(len, answers.values())) - about_gold,
        gold=GoldCount(len(results.gold), about_gold),
        auto=automatic,
    )


def _updates(
    master: Iterator[Row], results: _Results | None, auto: _AutoLabels | None, layout: CampaignLayout
) -> dict[str, Row]:
    """What changes in the master rows.

    Raises
    ------
    UnknownRow
        When there are rows that the master lacks.
    """
    updates: dict[str, Row] = {}
    missing = {**(results.rows if results else {}), **(auto.rows if auto else {})}
    for row in master if missing else ():
        identifier = row_id(row)
        if missing.pop(identifier, None) is None:
            continue
        update = results.update(row) if results else None
        if auto:
            # The round's people go first, for the model's label gives way to theirs.
            update = combined(update, auto.update(merge_row(row, update) if update else row))
        if update:
            updates[identifier] = update
    if missing:
        shown = ", ".join(
            f"{identifier} ({row.get(SOURCE_REF) or row.get(SOURCE)})"
            for identifier, row in sorted(missing.items())[:3]
        )
        job = f"labelling job {results.job.job_name!r}" if results else "model"
        raise UnknownRow(
            f"The output of the {job} has {len(missing)} rows that the master manifest of {layout.uri} "
            f"lacks, such as {shown}. Nothing was merged; check that it labelled this campaign's selection."
        )
    return updates


class _Results:
    """The output rows of one job, by row id; gold items apart from the campaign's rows."""

    def __init__(self, job: JobRecord, status: str) -> None:
        self.job = job
        self.status = status
        self._metadata = metadata_key(job.label_attribute)
        self.labeled: dict[str, Row] = {}
        self.failed: dict[str, Row] = {}
        self.gold: set[str] = set()

    @property
    def rows(self) -> dict[str, Row]:
        return {**self.labeled, **self.failed}

    def add(self, row: Row) -> None:
        """Take one output row; of two rows of one object the later counts."""
        identifier = row_id(row)
        if is_gold(row):
            if is_labeled(row, self.job.label_attribute):
                self.gold.add(identifier)
            return
        self.labeled.pop(identifier, None)
        self.failed.pop(identifier, None)
        if is_labeled(row, self.job.label_attribute):
            self.labeled[identifier] = row
        # A stopped job leaves rows that it never came to; a completed one has given up what it didn't label.
        elif self.status == JobStatus.COMPLETED or "failure-reason" in (row.get(self._metadata) or {}):
            self.failed[identifier] = row

    def update(self, row: Row) -> Row | None:
        """What changes in a master row."""
        identifier = row_id(row)
        if identifier in self.failed:
            return self._failure(self.failed[identifier], row)
        return self._label(self.labeled[identifier], row) if identifier in self.labeled else None

    def _label(self, output: Row, row: Row) -> Row:
        attribute = self.job.label_attribute
        metadata = output.get(self._metadata) or {}
        history = [*self._selected(output), self._labeled(metadata)]
        if not may_replace(row, attribute, PEOPLE, label_age(output, attribute, self.job.job_name)):
            return {TRUTHLOOP: {HISTORY: history}}
        story = {
            **_from_selection(output),
            "round": self.job.round,
            "job": self.job.job_name,
            "labeled_by": PEOPLE,
            "annotators": metadata.get("annotators"),
            HISTORY: history,
        }
        return with_label(row, attribute, output[attribute], metadata, story)

    def _failure(self, output: Row, row: Row) -> Row | None:
        """One failure more; a label that the row has stays."""
        known = provenance(row)
        if self.job.job_name in known.get("failed_jobs", []):
            return None
        return {
            TRUTHLOOP: {
                "failures": int(known.get("failures") or 0) + 1,
                "failed_jobs": sorted([*known.get("failed_jobs", []), self.job.job_name]),
                HISTORY: self._selected(output),
            }
        }

    def _selected(self, output: Row) -> list[Mapping[str, Any]]:
        """What select wrote into the row's history; the master does not have it yet."""
        return [
            entry
            for entry in provenance(output).get(HISTORY) or []
            if (entry.get("event"), entry.get("round")) == (SELECTED, self.job.round)
        ]

    def _labeled(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        # The time that the label carries, not that of the merge: a repeated merge tells the same story.
        given = metadata.get("creation-date")
        return {
            "at": moment(given).isoformat() if given else self.job.created_at,
            "event": LABELED,
            "round": self.job.round,
            "job": self.job.job_name,
            "annotators": metadata.get("annotators"),
        }


class _AutoLabels:
    """The rows that the model labelled in a round, by id, without those that are held out."""

    def __init__(self, attribute: str, rows: Mapping[str, Row]) -> None:
        self._attribute = attribute
        self.rows = rows

    def update(self, row: Row) -> Row | None:
        """What changes in a master row."""
        output = self.rows.get(row_id(row))
        if output is None:
            return None
        known = provenance(output)
        history = {HISTORY: known.get(HISTORY) or []}
        if not may_replace(row, self._attribute, MODEL, label_age(output, self._attribute, None)):
            return {TRUTHLOOP: history}
        story = {
            **_from_selection(output),
            "round": known.get("round"),
            "job": None,
            "labeled_by": MODEL,
            "annotators": None,
            **history,
        }
        metadata = output.get(metadata_key(self._attribute)) or {}
        return with_label(row, self._attribute, output[self._attribute], metadata, story)


def _from_selection(output: Row) -> dict[str, Any]:
    selected = provenance(output)
    return {key: selected[key] for key in _FROM_SELECTION if key in selected}


def _read_auto_labels(s3: S3Gateway, layout: CampaignLayout, round_number: int) -> _AutoLabels | None:
    """The round's auto.manifest, None when the model labelled nothing in it."""
    uri = layout.auto_manifest(round_number)
    if not s3.exists(uri):
        return None
    attribute = load_campaign(s3, layout).request.label_attribute
    held_out = Splits.from_document(s3.read_json(layout.splits())).held_out
    rows = {
        row_id(row): row
        for row in read_master(s3, uri)
        if row_id(row) not in held_out and is_labeled(row, attribute)
    }
    return _AutoLabels(attribute, rows)


def _gold_objects(s3: S3Gateway, layout: CampaignLayout, round_number: int) -> list[str]:
    """The gold items of a round's job, by what the service calls an object: its line's index, from 0."""
    if not s3.exists(layout.gold_manifest()):
        return []
    selection = read_master(s3, layout.selection_manifest(round_number))
    return [str(index) for index, row in enumerate(selection) if is_gold(row)]
