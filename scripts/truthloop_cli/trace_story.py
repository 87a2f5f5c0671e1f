"""The life of one object of a campaign, put together from everything that speaks of it.

What happened stands in the row's history, with the time of the function that noted it; who answered stands in
the answers table, with the labelling service's times. The two clocks need not agree, so answers come before
what came of them, whatever their times say.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from truthloop import labels, palette, task_types
from truthloop.campaign import Campaign
from truthloop.errors import ObjectNotFound, TruthloopError
from truthloop.labeling.jobs import LABEL, VERDICTS
from truthloop.layout import AuditLayout, CampaignLayout
from truthloop.manifest import (
    HISTORY,
    SOURCE,
    SOURCE_REF,
    Row,
    is_labeled,
    joined_history,
    metadata_key,
    provenance,
    read_rows,
)
from truthloop.names import audit_job_name, labeling_job_name
from truthloop.s3 import join_uri, parse_uri
from truthloop.splits import Splits
from truthloop.trace.answers import Answer
from truthloop_cli.trace_stack import TracedStack, closest

# Retries of a job have names of their own; nobody tries more often.
_ATTEMPTS = range(1, 21)
_STEP = re.compile(r"/steps/(\d+)\.json$")
_SUGGESTIONS = 5
_NAMES_KEPT = 20_000

ARRIVED = "arrived"
ANSWERED = "answered"
JUDGED = "judged"
FINAL = "final"
# What comes of people's answers, by the job's name.
_OUTCOMES = frozenset({"labeled", "relabeled", "expert-labeled", "audited"})


class UnknownObject(TruthloopError):
    """A campaign has no object of an id or URI."""


@dataclass(frozen=True)
class Event:
    """Something that happened to the object.

    Attributes
    ----------
    at
        ISO 8601; None when nothing says when.
    by
        Pseudonyms, or "model"; nobody for what the pipeline did.
    details
        What else is known, by name.
    """

    event: str
    at: str | None = None
    round: int | None = None
    job: str | None = None
    by: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        return {
            "at": self.at,
            "event": self.event,
            "round": self.round,
            "job": self.job,
            "by": list(self.by),
            **self.details,
        }


@dataclass(frozen=True)
class Story:
    """One object and what happened to it, in order."""

    campaign: str
    id: str
    source: str
    split: str
    events: list[Event]

    def to_document(self) -> dict[str, Any]:
        return {
            "campaign": self.campaign,
            "id": self.id,
            "source": self.source,
            "split": self.split,
            "events": [each.to_document() for each in self.events],
        }


@dataclass(frozen=True)
class _Episode:
    """One labelling job in which people saw the object; `row` is the object's in the job's manifest."""

    job: str
    purpose: str
    round: int | None
    output_prefix: str
    index: int
    row: Row
    answers: tuple[Answer, ...]


def tell(stack: TracedStack, campaign_name: str, wanted: str) -> Story:
    """The life of the object with an id, a source URI or a source text.

    Raises
    ------
    UnknownCampaign, UnknownObject
        With what comes closest to the name.
    """
    campaign = stack.campaign(campaign_name)
    return _Teller(stack, campaign, stack.layout(campaign_name)).tell(wanted)


class _Teller:
    def __init__(self, stack: TracedStack, campaign: Campaign, layout: CampaignLayout) -> None:
        self._stack = stack
        self._campaign = campaign
        self._layout = layout
        self._attribute = campaign.request.label_attribute
        self._categories = campaign.request.label_categories
        self._kind = task_types.get(campaign.request.task_type).LABEL_KIND

    def tell(self, wanted: str) -> Story:
        row = self._find(wanted)
        identifier = str(provenance(row)["id"])
        split = self._split(identifier)
        # In each round people label before others audit; the sort keeps the order of attempts and steps.
        episodes = sorted(
            [*self._rounds(identifier), *self._audits(identifier)],
            key=lambda each: -1 if each.round is None else each.round,
        )
        audited = self._audited(identifier)
        history = joined_history(
            provenance(row).get(HISTORY) or [],
            [
                entry
                for other in [*(each.row for each in episodes), *audited]
                for entry in provenance(other).get(HISTORY) or []
            ],
        )
        events = [self._arrival(row, split), *self._happened(history, episodes, identifier, audited)]
        events.append(self._end(row, identifier))
        source = str(row.get(SOURCE_REF) or row.get(SOURCE))
        return Story(self._layout.campaign, identifier, source, split, events)

    def _find(self, wanted: str) -> Row:
        known: list[str] = []
        for row in read_rows(self._stack.s3.lines(self._layout.master_manifest())):
            names = [str(provenance(row).get("id")), str(row.get(SOURCE_REF) or row.get(SOURCE))]
            if wanted in names:
                return row
            # A file's name, or the first digits of an id, are what people remember.
            if any(wanted in name for name in names):
                known[:0] = names[1:]
            elif len(known) < _NAMES_KEPT:
                known += names[1:]
        near = [name for name in known if wanted in name] or closest(wanted, known)
        shown = ", ".join(near[:_SUGGESTIONS])
        raise UnknownObject(
            f"The campaign {self._layout.campaign} has no object {wanted!r}; allowed: an object's id "
            f"(truthloop.id in {self._layout.master_manifest()}), its source URI or its text."
            + (f" Perhaps you mean {shown}." if shown else "")
        )

    def _split(self, identifier: str) -> str:
        splits = Splits.from_document(self._stack.s3.read_json(self._layout.splits()))
        if identifier in splits.test:
            return "test"
        return "validation" if identifier in splits.validation else "pool"

    def _arrival(self, row: Row, split: str) -> Event:
        details: dict[str, Any] = {"manifest": self._campaign.request.manifest_uri, "split": split}
        if provenance(row).get("labeled_by") == "input":
            details["label"] = self._described(row)
        return Event(ARRIVED, self._campaign.created_at.isoformat(), details=details)

    def _rounds(self, identifier: str) -> Iterator[_Episode]:
        jobs = set(self._folders(self._layout.labeling_prefix()))
        for number in sorted(
            int(name) for name in self._folders(f"{self._layout.uri}rounds/") if name.isdigit()
        ):
            found = self._in_manifest(self._layout.selection_manifest(number), identifier)
            if found is None:
                continue
            index, row = found
            for attempt in _ATTEMPTS:
                name = labeling_job_name(self._layout, number, attempt)
                if name in jobs:
                    yield self._episode(name, LABEL, number, self._layout.labeling_prefix(), index, row)

    def _audits(self, identifier: str) -> Iterator[_Episode]:
        for audit in self._audit_layouts():
            document = self._stack.s3.find_json(audit.document()) or {}
            number = (document.get("campaign") or {}).get("round")
            jobs = set(self._folders(audit.labeling_prefix()))
            for uri in self._stack.s3.list(f"{audit.uri}steps/"):
                if (match := _STEP.search(uri)) is None:
                    continue
                step = int(match[1])
                place = self._in_manifest(audit.step_manifest(step), identifier)
                if place is None:
                    continue
                purpose = str(self._stack.s3.read_json(uri)["purpose"])
                for attempt in _ATTEMPTS:
                    name = audit_job_name(audit.uri, step, attempt)
                    if name in jobs:
                        yield self._episode(name, purpose, number, audit.labeling_prefix(), *place)

    def _audited(self, identifier: str) -> list[Row]:
        """What the audits decided on the object."""
        found = [self._in_manifest(audit.audited_manifest(), identifier) for audit in self._audit_layouts()]
        return [each[1] for each in found if each is not None]

    def _audit_layouts(self) -> list[AuditLayout]:
        names = self._folders(self._layout.audits_prefix())
        return [AuditLayout(self._layout.bucket, self._layout.campaign, name) for name in names]

    def _episode(
        self, job: str, purpose: str, number: int | None, output_prefix: str, index: int, row: Row
    ) -> _Episode:
        answers = self._stack.answers.of_object(job, str(index))
        return _Episode(job, purpose, number, output_prefix, index, row, tuple(answers))

    def _happened(
        self,
        history: list[Mapping[str, Any]],
        episodes: list[_Episode],
        identifier: str,
        audited: list[Row],
    ) -> Iterator[Event]:
        """The history, with people's answers before what came of them."""
        outcomes = _match(history, episodes)
        told: set[str] = set()
        for place, entry in enumerate(history):
            episode = outcomes.get(place)
            if episode is not None:
                # Jobs that came to nothing, and whose answers nobody merged, come before the next that did.
                for other in episodes[: episodes.index(episode) + 1]:
                    if other.job not in told:
                        told.add(other.job)
                        yield from _answered(other)
            yield self._entry(entry, episode, identifier, audited)
        for other in episodes:
            if other.job not in told:
                yield from _answered(other)

    def _entry(
        self, entry: Mapping[str, Any], episode: _Episode | None, identifier: str, audited: list[Row]
    ) -> Event:
        known = {key: value for key, value in entry.items() if key not in ("at", "event", "round", "job")}
        number, by = entry.get("round"), tuple[str, ...]()
        if entry["event"] == "auto-labeled":
            by = ("model",)
            found = None
            if number is not None:
                found = self._in_manifest(self._layout.auto_manifest(number), identifier)
            known |= {} if found is None else {"label": self._described(found[1])}
        elif entry["event"] == "audited":
            by = () if episode is None else tuple(each.worker for each in episode.answers)
            if entry.get("decision") == "fix":
                fixed = [each for each in audited if is_labeled(each, self._attribute)]
                known |= {"label": self._described(fixed[-1])} if fixed else {}
        elif episode is not None:
            by = tuple(each.worker for each in episode.answers)
            known |= self._result(episode)
        elif entry["event"] == "selected":
            known |= self._selection(number, identifier)
        return Event(str(entry["event"]), str(entry["at"]), number, entry.get("job"), by, known)

    def _selection(self, number: int | None, identifier: str) -> dict[str, Any]:
        if number is None:
            return {}
        found = self._in_manifest(self._layout.selection_manifest(number), identifier)
        model = None if found is None else provenance(found[1]).get("model")
        return {} if model is None else {"model": model}

    def _result(self, episode: _Episode) -> dict[str, Any]:
        """The label that a job's answers became."""
        uri = join_uri(episode.output_prefix, episode.job, "manifests/output/output.manifest")
        try:
            for index, row in enumerate(read_rows(self._stack.s3.lines(uri), uri)):
                if index == episode.index:
                    return self._told(row)
        except ObjectNotFound:
            pass
        return {}

    def _end(self, row: Row, identifier: str) -> Event:
        known = provenance(row)
        details: dict[str, Any] = {"labeled_by": known.get("labeled_by"), **self._told(row)}
        if audit := known.get("audit"):
            details["audit"] = audit.get("status")
        details["in_labels_manifest"] = (
            self._in_manifest(self._layout.labels_manifest(), identifier) is not None
        )
        return Event(FINAL, None, known.get("round"), known.get("job"), (), details)

    def _told(self, row: Row) -> dict[str, Any]:
        if not is_labeled(row, self._attribute):
            return {"label": None}
        confidence = labels.confidence(self._kind, row.get(metadata_key(self._attribute)))
        told: dict[str, Any] = {"label": self._described(row)}
        return told if confidence is None else {**told, "confidence": confidence}

    def _described(self, row: Row) -> str:
        """A label in a few words."""
        value = row.get(self._attribute)
        if value is None:
            return "none"
        if self._kind == labels.MASK:
            entries = (row.get(metadata_key(self._attribute)) or {}).get("internal-color-map") or {}
            names = [str(each.get("class-name")) for each in entries.values() if isinstance(each, dict)]
            return "a mask of " + (", ".join(n for n in names if n != palette.BACKGROUND) or "nothing")
        if labels.refusal(self._kind, row, self._attribute, self._categories) is not None:
            return json.dumps(value, ensure_ascii=False)
        if self._kind == labels.BOXES:
            counts = Counter(self._categories[each["class_id"]] for each in value["annotations"])
            return ", ".join(f"{number} × {name}" for name, number in counts.items()) or "no boxes"
        chosen = value if isinstance(value, list) else [int(value)]
        return ", ".join(self._categories[index] for index in chosen) or labels.NONE_OF_THESE

    def _in_manifest(self, uri: str, identifier: str) -> tuple[int, Row] | None:
        """The object's index and row in a manifest, None where either is missing."""
        try:
            lines = self._stack.s3.lines(uri)
        except ObjectNotFound:
            return None
        for index, (number, text) in enumerate(lines):
            if identifier in text:
                row = next(read_rows([(number, text)], uri))
                if provenance(row).get("id") == identifier:
                    return index, row
        return None

    def _folders(self, prefix: str) -> list[str]:
        where = parse_uri(prefix)
        pages = self._stack.s3_client.get_paginator("list_objects_v2").paginate(
            Bucket=where.bucket, Prefix=where.key, Delimiter="/"
        )
        found = [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])]
        return [each.removesuffix("/").rpartition("/")[2] for each in found]


def _match(history: list[Mapping[str, Any]], episodes: list[_Episode]) -> dict[int, _Episode]:
    """Which job each outcome in the history comes from: the one that it names."""
    by_job = {each.job: each for each in episodes}
    found: dict[int, _Episode] = {}
    for place, entry in enumerate(history):
        if entry["event"] in _OUTCOMES and (episode := by_job.get(str(entry.get("job")))) is not None:
            found[place] = episode
    return found


def _answered(episode: _Episode) -> Iterator[Event]:
    for each in episode.answers:
        known: dict[str, Any] = {
            "purpose": each.purpose,
            "seconds": each.worked_seconds,
            "agreement": each.agreement,
            "gold": each.gold,
            "suggestion": each.suggestion,
        }
        yield Event(
            JUDGED if episode.purpose in VERDICTS else ANSWERED,
            each.submitted_at,
            episode.round,
            episode.job,
            (each.worker,),
            {name: value for name, value in known.items() if value is not None},
        )
