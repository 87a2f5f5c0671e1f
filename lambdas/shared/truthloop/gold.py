"""Gold items: objects with known labels, mixed into the labelling jobs to see how well each worker does.

They are no rows of the campaign. Their ids are others than those of any object, a job's manifest holds them
without their labels and marked with `truthloop.gold`, and the merge leaves them out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import ceil
from typing import Any

from truthloop import labels, task_types
from truthloop.errors import DuplicateObject, InvalidManifest
from truthloop.labels import suggestion_key
from truthloop.layout import CampaignLayout
from truthloop.manifest import (
    TRUTHLOOP,
    Row,
    digest_id,
    encode_row,
    is_labeled,
    metadata_key,
    numbered_rows,
    provenance,
    read_master,
    source_parts,
)
from truthloop.request import CampaignRequest
from truthloop.s3 import S3Gateway

GOLD = "gold"


def gold_id(row: Mapping[str, Any]) -> str:
    """The id of a gold item: like a row's, but another than the same object has as a row of the campaign."""
    return digest_id(GOLD, *source_parts(row))


def is_gold(row: Mapping[str, Any]) -> bool:
    """Whether a row of a job is a gold item."""
    return provenance(row).get(GOLD) is True


def items_in_job(objects: int, share: float) -> int:
    """How many gold items go into a job of so many objects to label, if there are so many; rounded up."""
    # The shortest decimal is what the user wrote: 0.07 of 100 is 7, although 0.07 * 100 is more.
    return ceil(objects * Fraction(repr(share)))


def read_input(s3: S3Gateway, request: CampaignRequest) -> list[Row]:
    """The gold items of a request as they are frozen, none when it names no manifest.

    A row keeps its keys, its label included, but for what a model suggests. The order is that of the ids,
    whatever the manifest's was.

    Raises
    ------
    DuplicateObject, InvalidManifest, InvalidText
        When the manifest breaks the rules that preflight checks: at least one row, all different objects,
        each with a label of the task type.
    """
    uri = request.gold.manifest_uri
    if uri is None:
        return []
    kind = task_types.get(request.task_type).LABEL_KIND
    suggestion = suggestion_key(request.label_attribute)
    found: dict[str, Row] = {}
    line_of: dict[str, int] = {}
    for number, row in numbered_rows(s3.lines(uri), uri):
        try:
            identifier = gold_id(row)
        except InvalidManifest as error:
            raise InvalidManifest(f"Line {number} of {uri}: {error}. Repair that line.") from error
        first = line_of.setdefault(identifier, number)
        if first != number:
            raise DuplicateObject(
                f"Lines {first} and {number} of {uri} are the same object. Remove one of them."
            )
        if not is_labeled(row, request.label_attribute):
            raise InvalidManifest(
                f"Line {number} of {uri} has no label under {request.label_attribute}. A gold item is an "
                "object with a known label: add it, or remove the line."
            )
        refusal = _refusal(kind, row, request)
        if refusal is not None:
            raise InvalidManifest(
                f"Line {number} of {uri} has another label than {labels.ALLOWED[kind]}: {refusal}. "
                "Correct it."
            )
        kept = {key: row[key] for key in row if key not in (suggestion, metadata_key(suggestion))}
        found[identifier] = {**kept, TRUTHLOOP: {"id": identifier, GOLD: True}}
    if not found:
        raise InvalidManifest(f"{uri} has no rows. Add objects with known labels, or name no gold manifest.")
    return [found[identifier] for identifier in sorted(found)]


def freeze(s3: S3Gateway, layout: CampaignLayout, items: Sequence[Row]) -> None:
    """Keep the gold items for the campaign; the first ones that were kept stay."""
    if items:
        s3.write_lines_once(layout.gold_manifest(), map(encode_row, items))


def read(s3: S3Gateway, layout: CampaignLayout) -> Iterator[Row]:
    """The frozen gold items with their labels.

    Raises
    ------
    ObjectNotFound
        When the campaign has none.
    """
    return read_master(s3, layout.gold_manifest())


def _refusal(kind: str, row: Row, request: CampaignRequest) -> str | None:
    metadata = row.get(metadata_key(request.label_attribute), {})
    if not isinstance(metadata, dict):
        return f"{metadata_key(request.label_attribute)}: {metadata!r}"
    return labels.refusal(kind, row, request.label_attribute, request.label_categories)
