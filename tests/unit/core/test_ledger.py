"""The ledger table."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from boto3.dynamodb.types import TypeDeserializer

from truthloop.errors import CampaignExists, CampaignFinished
from truthloop.ledger import FAILED, SUCCEEDED, Outcome
from unit.core.kit import EXECUTION_ARN

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 1, 2, tzinfo=UTC)


def entries(world) -> dict[str, dict]:
    read = TypeDeserializer().deserialize
    found = [{key: read(value) for key, value in item.items()} for item in world.ledger_entries()]
    return {entry.pop("entry"): entry for entry in found}


def test_a_campaign_starts_as_running(world):
    world.ledger.start("digits", "sha", EXECUTION_ARN, FIRST)
    world.ledger.start("digits", "sha", EXECUTION_ARN, LATER)
    assert entries(world) == {
        "campaign": {
            "campaign": "digits",
            "status": "RUNNING",
            "request_sha256": "sha",
            "execution_arn": EXECUTION_ARN,
            "started_at": FIRST.isoformat(),
        }
    }


def test_a_failed_campaign_starts_again_under_a_new_execution(world):
    world.ledger.start("digits", "sha", EXECUTION_ARN, FIRST)
    assert world.ledger.finish("digits", EXECUTION_ARN, Outcome(FAILED, LATER, "memory", "Train"))
    failed = entries(world)["campaign"]
    assert (failed["status"], failed["error"], failed["state"]) == ("FAILED", "memory", "Train")
    world.ledger.start("digits", "sha", EXECUTION_ARN + "-2", LATER)
    again = entries(world)["campaign"]
    assert again["status"] == "RUNNING"
    assert again["execution_arn"] == EXECUTION_ARN + "-2"
    assert again["started_at"] == FIRST.isoformat()
    assert not {"error", "state", "finished_at"} & set(again)


def test_another_request_cannot_take_the_name(world):
    world.ledger.start("digits", "sha", EXECUTION_ARN, FIRST)
    before = entries(world)
    with pytest.raises(CampaignExists, match="A campaign digits exists with another request"):
        world.ledger.start("digits", "other", EXECUTION_ARN, LATER)
    assert entries(world) == before


def test_a_campaign_that_succeeded_is_not_started_again(world):
    world.ledger.start("digits", "sha", EXECUTION_ARN, FIRST)
    world.ledger.finish("digits", EXECUTION_ARN, Outcome(SUCCEEDED, LATER))
    before = entries(world)
    assert before["campaign"]["finished_at"] == LATER.isoformat()
    with pytest.raises(CampaignFinished, match="has succeeded at 2026-01-02"):
        world.ledger.start("digits", "sha", EXECUTION_ARN, LATER)
    assert entries(world) == before


def test_an_outdated_execution_cannot_end_a_campaign(world):
    world.ledger.start("digits", "sha", EXECUTION_ARN, FIRST)
    before = entries(world)
    assert not world.ledger.finish("digits", EXECUTION_ARN + "-2", Outcome(FAILED, LATER, "x", "y"))
    assert not world.ledger.finish("unknown", EXECUTION_ARN, Outcome(FAILED, LATER, "x", "y"))
    assert entries(world) == before


def test_a_round_is_booked_once_with_its_numbers(world):
    decision = {
        "round": 3,
        "stop": False,
        "rule": None,
        "labels": {"people": 50},
        "cost_usd": {"total": 0.1},
        "quality": {"interval": [0.25, 1.0]},
    }
    world.ledger.record_round("digits", decision)
    world.ledger.record_round("digits", decision)
    found = entries(world)
    assert list(found) == ["round#00003"]
    entry = found["round#00003"]
    assert entry.pop("campaign") == "digits"
    assert str(entry["cost_usd"]["total"]) == "0.1"
    assert entry == {**decision, "cost_usd": entry["cost_usd"]}
