"""The labels that an audit is about: those of people, from their job's output, and those of the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any

from truthloop.audit.document import AuditDocument
from truthloop.errors import ObjectNotFound
from truthloop.gold import is_gold
from truthloop.labeling.backend import JobStatus
from truthloop.labeling.outputs import output_rows
from truthloop.labels import suggestion_key
from truthloop.layout import JobLayout
from truthloop.manifest import (
    TRUTHLOOP,
    Row,
    is_labeled,
    metadata_key,
    provenance,
    read_master,
    row_id,
    stable_id,
)
from truthloop.s3 import S3Gateway

_RESPONSES = "annotations/worker-response/"


def labels_by_people(s3: S3Gateway, audit: AuditDocument) -> Iterator[tuple[str, Row]]:
    """The rows that the audited job labelled, each with the object's id in that job; no gold items.

    Rows that came into the job with their label are another job's. Of two rows of one object the later
    counts, so whoever keeps them by id has the right ones.
    """
    source = audit.source
    metadata_of = metadata_key(source.label_attribute)
    for position, row in enumerate(_output(s3, audit)):
        if is_gold(row) or not is_labeled(row, source.label_attribute):
            continue
        metadata = row.get(metadata_of)
        metadata = metadata if isinstance(metadata, dict) else {}
        if not _is_of_job(metadata, source.job_name):
            continue
        # What a manifest from elsewhere says under our key is another story, or none at all.
        known = {"id": stable_id(row)} if audit.campaign is None else provenance(row)
        told = {
            "round": audit.round,
            "job": source.job_name,
            "labeled_by": "people",
            "annotators": metadata.get("annotators"),
        }
        yield str(position), {**row, metadata_of: metadata, TRUTHLOOP: {**known, **told}}


def labels_by_model(s3: S3Gateway, audit: AuditDocument, people: Set[str]) -> Iterator[Row]:
    """The rows that the model labelled in the round, none where it labelled nothing.

    Parameters
    ----------
    people
        The ids of the rows that people labelled: their labels stand above the model's.
    """
    uri = audit.source.auto_manifest_uri
    if uri is None:
        return
    try:
        for row in read_master(s3, uri):
            if is_labeled(row, audit.source.label_attribute) and row_id(row) not in people:
                yield row
    except ObjectNotFound:
        # A round whose model labels nothing leaves no such manifest.
        return


def without_suggestion(row: Row, label_attribute: str) -> Row:
    """The row without what the model suggested to its labellers, which is no part of the label."""
    key = suggestion_key(label_attribute)
    return {name: value for name, value in row.items() if name not in (key, metadata_key(key))}


def _output(s3: S3Gateway, audit: AuditDocument) -> Iterator[Row]:
    source = audit.source
    if source.job_name is None:
        return
    if source.worker_response_prefix is None:
        if source.output_manifest_uri is not None:
            yield from read_master(s3, source.output_manifest_uri)
        return
    folder = source.worker_response_prefix.removesuffix(f"/{source.job_name}/{_RESPONSES}")
    job = JobLayout(folder, source.job_name)
    # Of a stopped job the output manifest may be missing; the intermediate ones hold what was labelled.
    yield from output_rows(
        s3,
        source.output_manifest_uri or job.output_manifest(),
        JobStatus.STOPPED,
        job.intermediate_prefix(),
    )


def _is_of_job(metadata: Mapping[str, Any], job_name: str | None) -> bool:
    named = metadata.get("job-name")
    return not isinstance(named, str) or job_name is None or named.rpartition("/")[2] == job_name
