"""The beginning of a campaign."""

from __future__ import annotations

import hashlib
import json
import random
from datetime import UTC, datetime

import pytest

from truthloop import preflight
from truthloop.campaign import find_campaign, load_campaign
from truthloop.errors import (
    CampaignExists,
    CampaignFinished,
    DuplicateObject,
    InvalidManifest,
    InvalidRequest,
    ObjectChanged,
    ObjectNotFound,
)
from truthloop.layout import CampaignLayout
from truthloop.ledger import SUCCEEDED, Outcome
from truthloop.manifest import count, read_master, row_id
from truthloop.prepare import prepare
from truthloop.request import parse_request
from truthloop.s3 import S3Gateway
from truthloop.splits import Splits
from unit.core.kit import (
    DATA_BUCKET,
    EXECUTION_ARN,
    GOLD_URI,
    INPUT_BUCKET,
    MANIFEST_URI,
    WORKTEAM_ARN,
    Teams,
    image_row,
    request_document,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 1, 2, tzinfo=UTC)
LAYOUT = CampaignLayout(DATA_BUCKET, "digits")


def begin(world, s3=None, execution_arn=EXECUTION_ARN, now=NOW, **changes):
    request = parse_request(request_document(**changes))
    layout = CampaignLayout(DATA_BUCKET, request.campaign)
    return prepare(s3 or world.s3, world.ledger, layout, request, WORKTEAM_ARN, execution_arn, now)


def rows_of(world) -> list[dict]:
    return list(read_master(world.s3, LAYOUT.master_manifest()))


def written(world) -> dict[str, bytes]:
    """Every object of the data bucket but the templates, by key."""
    return {
        key: world.s3.read_bytes(f"s3://{DATA_BUCKET}/{key}")
        for key in world.keys(DATA_BUCKET)
        if key.startswith("campaigns/")
    }


def without_circumstances(objects: dict[str, bytes]) -> dict[str, bytes]:
    """The objects without when and by which execution the campaign was created."""
    document = json.loads(objects["campaigns/digits/campaign.json"])
    del document["prepared"]["created_at"], document["prepared"]["execution_arn"]
    return objects | {"campaigns/digits/campaign.json": json.dumps(document).encode()}


def test_a_campaign_is_frozen_as_documented(world):
    world.put_manifest([image_row(number) for number in range(20)])
    start = begin(world, splits={"stratify_by": "site"}, prices={"answer_usd": 0.5})
    assert (start.round, start.stage, start.layout) == (0, "select", LAYOUT)
    assert sorted(written(world)) == [
        "campaigns/digits/campaign.json",
        "campaigns/digits/label_categories.json",
        "campaigns/digits/manifest/master.manifest",
        "campaigns/digits/splits.json",
    ]
    assert world.s3.read_json(LAYOUT.label_categories()) == {
        "document-version": "2018-11-28",
        "labels": [{"label": "cat"}, {"label": "dog"}],
    }
    splits = world.s3.read_json(LAYOUT.splits())
    assert (splits["seed"], len(splits["test"]), len(splits["validation"])) == (1, 4, 2)
    assert splits["stratified_by"] is None
    document = world.s3.read_json(LAYOUT.campaign_document())
    prepared = document.pop("prepared")
    assert parse_request(document) == parse_request(
        request_document(splits={"stratify_by": "site"}, prices={"answer_usd": 0.5})
    )
    content = world.s3.read_bytes(MANIFEST_URI)
    assert prepared == {
        "request_sha256": parse_request(document).sha256(),
        "workteam_arn": WORKTEAM_ARN,
        "prices": {
            "ground_truth_per_object_usd": 0.08,
            "answer_usd": 0.5,
            "batch_vcpu_hour_usd": 0.04048,
            "batch_gib_hour_usd": 0.004445,
        },
        "input": {
            "etag": world.s3.head(MANIFEST_URI).etag,
            "sha256": hashlib.sha256(content).hexdigest(),
            "rows": 20,
        },
        "execution_arn": EXECUTION_ARN,
        "created_at": NOW.isoformat(),
    }
    assert load_campaign(world.s3, LAYOUT) == start.campaign
    assert world.ledger_entries()[0]["status"] == {"S": "RUNNING"}


def test_a_campaign_that_is_not_there_is_not_found(world):
    assert find_campaign(world.s3, LAYOUT) is None
    with pytest.raises(ObjectNotFound):
        load_campaign(world.s3, LAYOUT)


def test_the_requests_team_wins_over_the_stacks(world):
    world.put_manifest([image_row(number) for number in range(20)])
    assert (
        begin(world, labeling={"workteam_arn": WORKTEAM_ARN + "-2"}).campaign.workteam_arn
        == WORKTEAM_ARN + "-2"
    )


def test_rows_keep_their_order_and_every_value(world):
    rows = [
        image_row(
            1,
            id="mine",
            text='「引用」"q"\n\r\n\t\\ 犬\u2028\u0085\U0001f600',
            numbers=[1, 0.1, 2**70, 1e300],
        ),
        image_row(
            2, label="1", nested={"数": {"深": [None, True]}}, **{"label-metadata": {"class-name": "dog"}}
        ),
        image_row(3, **{"source-ref-version-id": "v1"}),
        *[image_row(number) for number in range(4, 20)],
    ]
    lines = [json.dumps(row, ensure_ascii=number % 2 == 0) for number, row in enumerate(rows)]
    world.put(MANIFEST_URI, "\r\n\n".join(lines))
    begin(world)
    made = rows_of(world)
    assert [{key: row[key] for key in row if key != "truthloop"} for row in made] == rows
    assert [row["truthloop"]["labeled_by"] for row in made[:3]] == [None, "input", None]
    assert len({row_id(row) for row in made}) == len(rows)
    content = world.s3.read_bytes(LAYOUT.master_manifest()).decode()
    assert len(content.splitlines()) == len(rows)
    assert content.endswith("}\n")


def test_the_same_rows_in_another_order_give_the_same_ids_and_splits(world):
    rows = [image_row(number, label=number % 2) for number in range(40)]
    world.put_manifest(rows)
    begin(world)
    first, first_ids = world.s3.read_json(LAYOUT.splits()), {row_id(row) for row in rows_of(world)}
    random.Random(0).shuffle(rows)  # noqa: S311 (an order for a test)
    world.put_manifest(rows)
    begin(world, campaign="digits-2")
    layout = CampaignLayout(DATA_BUCKET, "digits-2")
    assert world.s3.read_json(layout.splits()) == first
    assert {row_id(row) for row in read_master(world.s3, layout.master_manifest())} == first_ids


class Interruption(Exception):
    """The function is killed."""


class Mortal(S3Gateway):
    """A gateway that is killed at its nth write, just before it or just after it."""

    def __init__(self, client, writes, after):
        super().__init__(client)
        self._left, self._after = writes, after

    def _put(self, *arguments, **options):
        self._left -= 1
        if self._left == 0 and not self._after:
            raise Interruption
        result = super()._put(*arguments, **options)
        if self._left == 0:
            raise Interruption
        return result


def test_a_campaign_that_was_interrupted_anywhere_is_completed_to_the_same_result(world):
    world.put_manifest([image_row(number, label=number % 2 if number < 9 else None) for number in range(30)])
    world.put_manifest([image_row(100 + number, label=1) for number in range(5)], GOLD_URI)
    gold = {"gold": {"manifest_uri": GOLD_URI}}
    begin(world, **gold)
    expected = without_circumstances(written(world))
    interruptions = 0
    for writes in range(1, 12):
        for after in (False, True):
            for key in written(world):
                world.client.delete_object(Bucket=DATA_BUCKET, Key=key)
            try:
                begin(world, Mortal(world.client, writes, after), **gold)
            except Interruption:
                interruptions += 1
            start = begin(world, execution_arn=EXECUTION_ARN + "-2", now=LATER, **gold)
            assert without_circumstances(written(world)) == expected
            assert start.campaign == load_campaign(world.s3, LAYOUT)
    # Five objects, before and after each.
    assert interruptions == 10


def test_a_repetition_changes_nothing(world):
    world.put_manifest([image_row(number) for number in range(20)])
    first = begin(world)
    before = world.keys(DATA_BUCKET)
    world.client.delete_object(Bucket=INPUT_BUCKET, Key="objects.manifest")
    assert begin(world, now=LATER, execution_arn=EXECUTION_ARN + "-2") == first
    assert world.keys(DATA_BUCKET) == before


def test_another_request_is_refused_and_leaves_the_campaign_alone(world):
    world.put_manifest([image_row(number) for number in range(20)])
    begin(world)
    before = world.keys(DATA_BUCKET), world.ledger_entries()
    with pytest.raises(CampaignExists, match="A campaign digits exists with another request"):
        begin(world, seed=2)
    assert (world.keys(DATA_BUCKET), world.ledger_entries()) == before


def test_two_requests_that_race_for_a_name_do_not_mix(world):
    world.put_manifest([image_row(number) for number in range(20)])

    class Outrun(S3Gateway):
        def write_json_once(self, uri, document):
            begin(world, seed=2)
            return super().write_json_once(uri, document)

    with pytest.raises(CampaignExists):
        begin(world, Outrun(world.client))
    assert load_campaign(world.s3, LAYOUT).request.seed == 2
    assert world.s3.read_json(LAYOUT.splits())["seed"] == 2


def test_a_campaign_that_succeeded_is_not_run_again(world):
    world.put_manifest([image_row(number) for number in range(20)])
    begin(world)
    world.ledger.finish("digits", EXECUTION_ARN, Outcome(SUCCEEDED, LATER))
    with pytest.raises(CampaignFinished, match="there is nothing to resume"):
        begin(world, execution_arn=EXECUTION_ARN + "-2")


def test_a_manifest_that_changed_before_its_campaign_was_complete_is_named(world):
    world.put_manifest([image_row(number) for number in range(20)])
    begin(world)
    world.client.delete_object(Bucket=DATA_BUCKET, Key="campaigns/digits/manifest/master.manifest")
    world.put_manifest([image_row(number) for number in range(21)])
    with pytest.raises(ObjectChanged, match="has changed since the campaign digits was created"):
        begin(world)
    assert not world.s3.exists(LAYOUT.master_manifest())


@pytest.mark.parametrize(
    ("rows", "error", "says"),
    [
        (
            [image_row(1), image_row(2), image_row(1, x=1)],
            DuplicateObject,
            "Lines 1 and 3 of s3://.* same object",
        ),
        (
            [image_row(1), {"source": "a", "source-ref": "b"}],
            InvalidManifest,
            "Line 2 of s3://.* exactly one",
        ),
        ([image_row(1), 7], InvalidManifest, "Line 2 of s3://.* a JSON number"),
    ],
)
def test_a_manifest_that_breaks_the_rules_creates_nothing(world, rows, error, says):
    world.put_manifest(rows)
    with pytest.raises(error, match=says):
        begin(world)
    assert written(world) == {}
    assert world.ledger_entries() == []


def test_a_gold_manifest_that_breaks_the_rules_creates_nothing(world):
    world.put_manifest([image_row(number) for number in range(20)])
    world.put_manifest([image_row(100)], GOLD_URI)
    with pytest.raises(InvalidManifest, match=r"Line 1 of s3://.*gold.* has no label"):
        begin(world, gold={"manifest_uri": GOLD_URI})
    assert written(world) == {}
    assert world.ledger_entries() == []


def decide_round(world, number: int, stop: bool) -> None:
    world.s3.write_json(LAYOUT.decision(number), {"round": number, "stop": stop})


def test_a_campaign_is_resumed_at_the_first_round_that_is_not_decided(world):
    world.put_manifest([image_row(number) for number in range(20)])
    begin(world)
    decide_round(world, 0, stop=False)
    start = begin(world)
    assert (start.round, start.stage) == (1, "score")
    decide_round(world, 1, stop=False)
    assert begin(world).round == 2


def test_a_campaign_that_failed_after_its_last_decision_goes_on_to_what_follows_it(world):
    world.put_manifest([image_row(number) for number in range(20)])
    begin(world)
    decide_round(world, 0, stop=False)
    decide_round(world, 1, stop=True)
    start = begin(world)
    assert (start.round, start.stage) == (1, "score")


@pytest.mark.parametrize("total", [*range(1, 13), 19, 20, 21, 99, 101, 500, 1333, 1999, 2000])
def test_every_total_leaves_a_usable_pool_or_preflight_says_why_not(world, total, monkeypatch):
    monkeypatch.setattr(preflight, "_object_problems", lambda *_: [])
    world.put_manifest([image_row(number) for number in range(total)])
    document = request_document(selection={"seed_size": 2, "round_size": 1})
    arguments = (document, world.s3, Teams(), DATA_BUCKET, WORKTEAM_ARN, NOW)
    if total < 3:
        with pytest.raises(InvalidRequest, match=r"which is no row|outside the splits"):
            preflight.check(*arguments)
        return
    preflight.check(*arguments)
    begin(world, selection={"seed_size": 2, "round_size": 1})
    splits = Splits.from_document(world.s3.read_json(LAYOUT.splits()))
    counts = count(rows_of(world), "label", splits.held_out)
    assert splits.test
    assert counts.rows == total
    assert counts.pool_unlabeled == counts.pool == total - len(splits.held_out) >= 2
