"""Workers' skills over batches and rounds: the evidence of each batch, and its sums in workers.json.

The post-annotation function keeps what a batch says of its workers beside the batch's other files. When the
round's job is merged, that is added to what the earlier rounds said, and the next round's batches begin with
it. The batches of one round don't wait for each other: a batch that is consolidated again gives the same
labels.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from truthloop import gold as gold_items
from truthloop import task_types
from truthloop.agreement import known_label
from truthloop.consolidation.skills import Evidence, Skill, add
from truthloop.labeling.jobs import LABEL, JobRecord
from truthloop.layout import CampaignLayout, JobLayout
from truthloop.manifest import Row, read_master, row_id
from truthloop.s3 import S3Gateway, join_uri

_DIGITS = 6
_NO_GOLD: Mapping[str, Mapping[str, float]] = {}


def earlier_skills(s3: S3Gateway, layout: CampaignLayout, round_number: int) -> dict[str, Skill]:
    """What is known of the workers before a round, by worker: the newest earlier workers.json."""
    for earlier in reversed(range(round_number)):
        document = s3.find_json(layout.workers(earlier))
        if document is not None:
            return {worker: Skill.from_document(each) for worker, each in document["workers"].items()}
    return {}


def keep_evidence(
    s3: S3Gateway,
    job: JobRecord,
    evidence: Mapping[str, Mapping[str, Evidence]],
    gold: Mapping[str, Mapping[str, float]] = _NO_GOLD,
) -> None:
    """Keep what a batch says of its workers; the same objects again replace it.

    {"objects": {<object>: {<worker>: {"agreement", "counts"}}}, "gold": {<object>: {<worker>: score}}}.

    Parameters
    ----------
    evidence
        By object and worker; an object that had one answer only is not there.
    gold
        By object with a known label and by worker how well the answer agrees with it, 0 to 1.
    """
    if not evidence and not gold:
        return
    batch = hashlib.sha256(json.dumps(sorted({*evidence, *gold})).encode()).hexdigest()[:32]
    s3.write_json(
        join_uri(folder_of(job).worker_evidence_prefix(), f"{batch}.json"),
        {
            "objects": {
                name: {
                    worker: {
                        "agreement": round(each.agreement, _DIGITS),
                        "counts": {key: round(count, _DIGITS) for key, count in sorted(each.counts.items())},
                    }
                    for worker, each in sorted(workers.items())
                }
                for name, workers in sorted(evidence.items())
            },
            "gold": {
                name: {worker: round(score, _DIGITS) for worker, score in sorted(workers.items())}
                for name, workers in sorted(gold.items())
            },
        },
    )


def folder_of(job: JobRecord) -> JobLayout:
    """Where the files of a job lie."""
    # A record from before audits doesn't say it: it is of a round.
    output_uri = job.output_uri or CampaignLayout.from_uri(job.campaign_uri).labeling_prefix()
    return JobLayout(output_uri, job.job_name)


def rows_of(s3: S3Gateway, job: JobRecord) -> list[Row]:
    """The rows of a job in the order of its manifest: an object's id is its row's position, from 0."""
    return list(read_master(s3, job.manifest_uri))


def known_labels(s3: S3Gateway, job: JobRecord) -> dict[str, Callable[[], Any]]:
    """The gold items in a round's job: by object what reads its known label; none where there are none.

    Raises
    ------
    UnreadableMask
        When a label that is asked for is a mask that isn't one of its categories.
    """
    if job.purpose != LABEL or not job.manifest_uri:
        return {}
    layout = CampaignLayout.from_uri(job.campaign_uri)
    if not s3.exists(layout.gold_manifest()):
        return {}
    items = {row_id(row): row for row in gold_items.read(s3, layout)}
    return {
        str(position): partial(
            known_label,
            task_types.get(job.task_type).LABEL_KIND,
            items[row_id(row)],
            job.label_attribute,
            job.label_categories,
            s3.read_bytes,
        )
        for position, row in enumerate(read_master(s3, job.manifest_uri))
        if gold_items.is_gold(row)
    }


def sum_up(s3: S3Gateway, layout: CampaignLayout, round_number: int, job_name: str | None) -> None:
    """Write the round's workers.json: what the earlier rounds and this one's job say; harmless to repeat.

    {"round", "workers": {<worker id>: {"answers", "agreement", "agreement_sum", "counts"}}}: answers that
    could be compared with others', their mean agreement with the labels (0 to 1), its sum, and the counts
    that `consolidation.skills` explains. All are sums over the campaign so far.
    """
    skills = earlier_skills(s3, layout, round_number)
    if job_name is not None:
        skills = add(skills, _evidence_of(s3, layout, job_name))
    s3.write_json(
        layout.workers(round_number),
        {
            "round": round_number,
            "workers": {worker: skill.to_document() for worker, skill in skills.items()},
        },
    )


def store_of(s3: S3Gateway, job: JobRecord) -> Callable[[str, bytes, str], str]:
    """Keeps files of labels where Ground Truth's own consolidation does, (name, content, type) -> S3 URI.

    The key depends on the job and the name alone, so a batch that is tried again writes over its own files.
    """
    prefix = folder_of(job).consolidated_prefix()

    def store(name: str, content: bytes, content_type: str) -> str:
        # An object may have any id, a slash included.
        uri = join_uri(prefix, quote(name, safe=""))
        s3.write_bytes(uri, content, content_type)
        return uri

    return store


def _evidence_of(s3: S3Gateway, layout: CampaignLayout, job_name: str) -> Iterator[tuple[str, Evidence]]:
    objects: dict[str, Any] = {}
    for uri in s3.list(layout.worker_evidence_prefix(job_name)):
        # An object that came in two batches has two labels, of which one stands: it counts once as well.
        objects.update(s3.read_json(uri)["objects"])
    for _, workers in sorted(objects.items()):
        for worker, each in sorted(workers.items()):
            yield worker, Evidence(each["agreement"], each["counts"])
