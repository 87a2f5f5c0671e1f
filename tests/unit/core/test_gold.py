"""Gold items: objects with known labels."""

from __future__ import annotations

import pytest

from truthloop import gold, labels, task_types
from truthloop.errors import DuplicateObject, InvalidManifest, ObjectNotFound
from truthloop.layout import CampaignLayout
from truthloop.manifest import read_master, row_id, stable_id
from truthloop.prepare import prepare
from truthloop.request import parse_request
from unit.core.kit import (
    DATA_BUCKET,
    EXECUTION_ARN,
    GOLD_URI,
    WORKTEAM_ARN,
    image_row,
    request_document,
)
from unit.labeling.kit import NOW

LAYOUT = CampaignLayout(DATA_BUCKET, "digits")


def request(**changes):
    return parse_request(request_document(**{"gold": {"manifest_uri": GOLD_URI}, **changes}))


def frozen(world, rows, **changes) -> list[dict]:
    """The gold items of a campaign that is prepared with these rows."""
    world.put_manifest([image_row(number) for number in range(20)])
    world.put_manifest(rows, GOLD_URI)
    prepare(world.s3, world.ledger, LAYOUT, request(**changes), WORKTEAM_ARN, EXECUTION_ARN, NOW)
    return list(gold.read(world.s3, LAYOUT))


def items(count=5, **keys) -> list[dict]:
    return [image_row(1000 + number, **{"label": number % 2, **keys}) for number in range(count)]


def test_gold_items_are_frozen_with_their_labels_and_ids_of_their_own(world):
    rows = items(site="north", **{"label-metadata": {"class-name": "cat"}, "truthloop": {"id": "x"}})
    for row in rows:
        row["label-metadata"] = {"class-name": ["cat", "dog"][row["label"]]}
    made = frozen(world, rows)
    assert sorted((row["source-ref"], row["label"]) for row in made) == sorted(
        (row["source-ref"], row["label"]) for row in rows
    )
    for row in made:
        assert row["site"] == "north"
        assert row["label-metadata"]["class-name"] in ("cat", "dog")
        assert row["truthloop"] == {"id": gold.gold_id(row), "gold": True}
        assert gold.is_gold(row)
        assert len(row_id(row)) == 32
        assert row_id(row) != stable_id(row)


def test_no_gold_item_is_a_row_of_the_campaign(world):
    made = frozen(world, items())
    rows = list(read_master(world.s3, LAYOUT.master_manifest()))
    assert not {row_id(row) for row in rows} & {row_id(row) for row in made}
    assert not any(gold.is_gold(row) for row in rows)


def test_the_same_object_is_another_as_gold_item_than_as_row():
    row = image_row(1)
    assert gold.gold_id(row) == gold.gold_id({**row, "label": 1})
    assert gold.gold_id(row) not in (stable_id(row), gold.gold_id(image_row(2)))
    assert gold.gold_id({"source": "x"}) != gold.gold_id({"source-ref": "x"})


def test_what_a_model_suggests_of_a_gold_item_is_not_kept(world):
    made = frozen(world, items(**{"label-suggestion": 1, "label-suggestion-metadata": {"confidence": 1}}))
    assert not [key for row in made for key in row if "suggestion" in key]


def test_the_order_of_the_lines_does_not_matter(world):
    rows = items(9)
    world.put_manifest(rows, GOLD_URI)
    first = gold.read_input(world.s3, request())
    world.put_manifest(rows[::-1], GOLD_URI)
    assert gold.read_input(world.s3, request()) == first
    assert [row_id(row) for row in first] == sorted(row_id(row) for row in first)


def test_the_first_items_that_were_frozen_stay(world):
    first = frozen(world, items(3))
    world.put_manifest(items(5), GOLD_URI)
    gold.freeze(world.s3, LAYOUT, gold.read_input(world.s3, request()))
    assert list(gold.read(world.s3, LAYOUT)) == first


def test_a_campaign_without_gold_items_has_no_manifest_of_them(world):
    world.put_manifest([image_row(number) for number in range(20)])
    plain = parse_request(request_document())
    prepare(world.s3, world.ledger, LAYOUT, plain, WORKTEAM_ARN, EXECUTION_ARN, NOW)
    assert not world.s3.exists(LAYOUT.gold_manifest())
    with pytest.raises(ObjectNotFound):
        list(gold.read(world.s3, LAYOUT))


@pytest.mark.parametrize(
    ("rows", "error", "says"),
    [
        ([], InvalidManifest, "has no rows"),
        ([image_row(1)], InvalidManifest, "Line 1 of .* has no label under label"),
        ([image_row(1, label=None)], InvalidManifest, "Line 1 of .* has no label"),
        ([image_row(1, label=1), image_row(2, label=2)], InvalidManifest, "Line 2 of .*: label: 2"),
        ([image_row(1, label=1, **{"label-metadata": "x"})], InvalidManifest, "label-metadata: 'x'"),
        (
            [image_row(1, label=1, **{"label-metadata": {"class-name": "cat"}})],
            InvalidManifest,
            "1 is 'dog', in the metadata 'cat'",
        ),
        ([{"label": 1}], InvalidManifest, "Line 1 of .*exactly one of source-ref and source"),
        ([image_row(1, label=1), image_row(1, label=0)], DuplicateObject, "Lines 1 and 2"),
        ([7], InvalidManifest, "Line 1 of .* a JSON number"),
    ],
)
def test_a_gold_item_that_is_none_is_refused_by_its_line(world, rows, error, says):
    world.put_manifest(rows, GOLD_URI)
    with pytest.raises(error, match=says):
        gold.read_input(world.s3, request())


@pytest.mark.parametrize(
    ("task_type", "value"),
    [
        ("image-classification", 1),
        ("image-multi-label", [0, 1]),
        ("bounding-box", {"image_size": [], "annotations": []}),
        ("semantic-segmentation", "s3://bucket/mask.png"),
    ],
)
def test_gold_items_can_have_labels_of_every_kind(world, task_type, value):
    kind = task_types.get(task_type).LABEL_KIND
    attribute = "label-ref" if kind == labels.MASK else "label"
    world.put_manifest([image_row(1, **{attribute: value})], GOLD_URI)
    [item] = gold.read_input(world.s3, request(task_type=task_type, label_attribute=attribute))
    assert item[attribute] == value


@pytest.mark.parametrize(
    ("objects", "share", "expected"),
    [(0, 0.05, 0), (1, 0.05, 1), (100, 0.07, 7), (50, 0.05, 3), (10, 0.5, 5)],
)
def test_a_job_has_its_share_of_gold_items_rounded_up(objects, share, expected):
    assert gold.items_in_job(objects, share) == expected
