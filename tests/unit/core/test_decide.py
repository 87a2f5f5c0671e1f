"""The end of a round."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from truthloop.decide import decide
from truthloop.errors import ObjectNotFound
from truthloop.layout import AuditLayout, CampaignLayout
from truthloop.manifest import merge_into, read_master, row_id
from truthloop.names import audit_name
from truthloop.prepare import prepare
from truthloop.request import parse_request
from truthloop.s3 import S3Gateway
from truthloop.splits import Splits
from unit.core.kit import (
    DATA_BUCKET,
    EXECUTION_ARN,
    GOLD_URI,
    WORKTEAM_ARN,
    image_row,
    request_document,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LAYOUT = CampaignLayout(DATA_BUCKET, "digits")
PRICES = {
    "ground_truth_per_object_usd": 0.1,
    "answer_usd": 0.01,
    "batch_vcpu_hour_usd": 0.04,
    "batch_gib_hour_usd": 0.005,
}


def begin(world, rows=20, **changes) -> None:
    world.put_manifest([image_row(number) for number in range(rows)])
    request = parse_request(request_document(prices=PRICES, **changes))
    prepare(world.s3, world.ledger, LAYOUT, request, WORKTEAM_ARN, EXECUTION_ARN, NOW)


def complete(
    world, number, labeled=10, answers=29, quality=0.8, margin=0.1, metric="accuracy", seconds=(3600,)
) -> None:
    """Write what the steps of a round write before its decision."""
    world.s3.write_json(
        LAYOUT.merge(number),
        {"job": f"job-{number}", "status": "Completed", "labeled": labeled, "failed": 0, "answers": answers},
    )
    measured = {
        "labels": labeled,
        "quality": quality,
        "interval": [quality - margin, quality + margin],
    }
    other = {"labels": 1, "quality": 0.99, "interval": [0.98, 1.0]}
    world.s3.write_json(
        LAYOUT.evaluation(number),
        {"round": number, "metric": metric, "arms": {"strategy": other, "model": measured}},
    )
    for index, duration in enumerate(seconds):
        world.s3.write_json(
            LAYOUT.usage(number, "score", index), {"seconds": duration, "vcpus": 1, "memory_mib": 2048}
        )


def label_pool(world, left: int) -> None:
    """Label all rows outside the splits but the last `left`."""
    splits = Splits.from_document(world.s3.read_json(LAYOUT.splits()))
    pool = [
        row_id(row)
        for row in read_master(world.s3, LAYOUT.master_manifest())
        if row_id(row) not in splits.held_out
    ]
    merge_into(
        world.s3,
        LAYOUT.master_manifest(),
        {identifier: {"label": 0} for identifier in pool[: len(pool) - left]},
    )


def run(world, number, now=NOW):
    return decide(world.s3, world.ledger, LAYOUT, number, now)


def test_a_round_is_booked_as_documented(world):
    begin(world)
    complete(world, 0, seconds=(3600, 1800))
    decision = run(world, 0)
    labeling, compute = 10 * 0.1 + 29 * 0.01, 1.5 * (0.04 + 2 * 0.005)
    assert decision == {
        "round": 0,
        "stop": False,
        "rule": None,
        "reason": "No stop rule holds.",
        "labels": {
            "people": 10,
            "answers": 29,
            "cumulative_people": 10,
            "gold": {"objects": 0, "answers": 0},
        },
        "audit": None,
        "cost_usd": {
            "labeling": pytest.approx(labeling),
            "audit": 0.0,
            "compute": pytest.approx(compute),
            "total": pytest.approx(labeling + compute),
            "cumulative": pytest.approx(labeling + compute),
        },
        "quality": {
            "metric": "accuracy",
            "value": 0.8,
            "interval": [pytest.approx(0.7), pytest.approx(0.9)],
        },
        "at": NOW.isoformat(),
    }
    assert world.s3.read_json(LAYOUT.decision(0)) == decision
    assert {item["entry"]["S"] for item in world.ledger_entries()} == {"campaign", "round#00000"}


def test_rounds_add_up(world):
    begin(world)
    for number in range(3):
        complete(world, number)
        decision = run(world, number)
    assert decision["labels"]["cumulative_people"] == 30
    assert decision["cost_usd"]["cumulative"] == pytest.approx(3 * (1.29 + 0.05))


def test_a_decision_is_made_once(world):
    begin(world)
    complete(world, 0)
    first = run(world, 0)
    complete(world, 0, labeled=999)
    entries = world.ledger_entries()
    assert run(world, 0, NOW + timedelta(days=1)) == first
    assert world.ledger_entries() == entries


def test_of_two_decisions_made_at_once_the_first_holds_for_both(world):
    begin(world)
    complete(world, 0)

    class Outrun(S3Gateway):
        def write_json_once(self, uri, document):
            run(world, 0)
            return super().write_json_once(uri, document)

    second = decide(Outrun(world.client), world.ledger, LAYOUT, 0, NOW + timedelta(days=1))
    assert second == world.s3.read_json(LAYOUT.decision(0))
    assert second["at"] == NOW.isoformat()


def test_a_decision_that_was_not_booked_is_booked_by_the_repetition(world):
    begin(world)
    complete(world, 0)

    class Failing:
        def record_round(self, *_):
            raise ConnectionError

    with pytest.raises(ConnectionError):
        decide(world.s3, Failing(), LAYOUT, 0, NOW)
    assert len(world.ledger_entries()) == 1
    run(world, 0, NOW + timedelta(days=1))
    assert len(world.ledger_entries()) == 2


def test_the_last_round_ends_the_campaign(world):
    begin(world, stop={"max_rounds": 2})
    complete(world, 0)
    assert run(world, 0)["stop"] is False
    complete(world, 1)
    decision = run(world, 1)
    assert (decision["stop"], decision["rule"]) == (True, "max_rounds")
    assert decision["reason"] == "2 of at most 2 rounds are done."


@pytest.mark.parametrize(
    ("left", "control", "budget", "rule"),
    [
        # Spent: 1.29 + 0.05. Another round: its rows at 0.1 and 3 x 0.01, and 0.05 again for computing.
        (10, False, 1.34 + 3 * 0.13 + 0.05 + 0.001, None),
        (10, False, 1.34 + 3 * 0.13 + 0.05 - 0.001, "budget_usd"),
        (10, True, 1.34 + 6 * 0.13 + 0.05 + 0.001, None),
        (10, True, 1.34 + 6 * 0.13 + 0.05 - 0.001, "budget_usd"),
        (1, True, 1.34 + 1 * 0.13 + 0.05 + 0.001, None),
        (1, True, 1.34 + 1 * 0.13 + 0.05 - 0.001, "budget_usd"),
    ],
)
def test_the_budget_is_held_against_what_another_round_really_takes(world, left, control, budget, rule):
    begin(world, selection={"random_control": control}, stop={"budget_usd": budget})
    complete(world, 0)
    label_pool(world, left)
    assert run(world, 0)["rule"] == rule


def test_the_campaign_ends_when_the_pool_is_labelled(world):
    begin(world)
    complete(world, 0)
    label_pool(world, 0)
    assert run(world, 0)["rule"] == "nothing_left"


def test_the_model_of_all_labels_is_the_one_that_counts(world):
    begin(world, stop={"target_quality": 0.75})
    complete(world, 0, quality=0.8, margin=0.1, metric="mean_iou")
    assert run(world, 0)["stop"] is False
    complete(world, 1, quality=0.85, margin=0.1, metric="mean_iou")
    decision = run(world, 1)
    assert decision["rule"] == "target_quality"
    assert decision["quality"]["metric"] == "mean_iou"
    assert decision["reason"].startswith("The mean IoU is 0.8500; ")


def test_a_plateau_is_seen_over_the_rounds(world):
    begin(world, stop={"plateau_rounds": 2})
    for number, quality in enumerate([0.6, 0.8, 0.81]):
        complete(world, number, quality=quality, margin=0.05)
        assert run(world, number)["stop"] is False
    complete(world, 3, quality=0.82, margin=0.05)
    assert run(world, 3)["rule"] == "plateau_rounds"


def test_the_deadline_ends_the_campaign_after_the_round(world):
    begin(world, stop={"deadline": (NOW + timedelta(hours=1)).isoformat()})
    complete(world, 0)
    assert run(world, 0, NOW + timedelta(hours=1))["rule"] == "deadline"


def test_a_round_that_is_not_complete_is_not_decided(world):
    begin(world)
    with pytest.raises(ObjectNotFound, match=r"merge\.json"):
        run(world, 0)
    assert not world.s3.exists(LAYOUT.decision(0))


# ---- audits and gold items


def audited(world, number, **paid) -> None:
    """Write what the audit of a round writes."""
    nothing = dict.fromkeys(("objects", "answers", "audit_objects", "audit_answers"), 0)
    audit = AuditLayout(DATA_BUCKET, "digits", audit_name(LAYOUT, number))
    world.s3.write_json(audit.result(), {"paid": {**nothing, **paid}})


def test_an_audit_is_paid_for_by_its_verdicts_and_the_labels_given_again(world):
    begin(world, audit={"policy": "all"})
    complete(world, 0)
    audited(world, 0, objects=2, answers=6, audit_objects=12, audit_answers=13)
    decision = run(world, 0)
    usd = 2 * 0.1 + 6 * 0.01 + 12 * 0.1 + 13 * 0.01
    assert decision["audit"] == {"objects": 14, "answers": 19, "usd": pytest.approx(usd)}
    cost = decision["cost_usd"]
    assert cost["audit"] == pytest.approx(usd)
    assert cost["total"] == pytest.approx(cost["labeling"] + usd + cost["compute"])
    assert decision["labels"]["people"] == 10
    complete(world, 1)
    audited(world, 1, audit_objects=1, audit_answers=1)
    assert run(world, 1)["cost_usd"]["cumulative"] == pytest.approx(
        cost["total"] + 1.29 + 0.11 + 0.05, abs=1e-6
    )


def test_a_verdict_has_its_own_price_where_one_is_given(world):
    begin(world, audit={"policy": "all", "price_per_answer_usd": 0.5})
    complete(world, 0)
    audited(world, 0, objects=2, answers=6, audit_objects=12, audit_answers=13)
    assert run(world, 0)["audit"]["usd"] == pytest.approx(2 * 0.1 + 6 * 0.01 + 12 * 0.1 + 13 * 0.5)


def test_a_round_that_had_nothing_to_audit_has_no_audit(world):
    begin(world, audit={"policy": "all"})
    complete(world, 0)
    assert run(world, 0)["audit"] is None


def test_gold_items_are_paid_for_and_are_no_labels(world):
    begin(world)
    complete(world, 0)
    merge = world.s3.read_json(LAYOUT.merge(0))
    world.s3.write_json(LAYOUT.merge(0), {**merge, "gold": {"objects": 2, "answers": 6}})
    decision = run(world, 0)
    assert decision["labels"] == {
        "people": 10,
        "answers": 29,
        "cumulative_people": 10,
        "gold": {"objects": 2, "answers": 6},
    }
    assert decision["cost_usd"]["labeling"] == pytest.approx(12 * 0.1 + 35 * 0.01)


@pytest.mark.parametrize("less", [0.001, -0.001])
def test_another_rounds_verdicts_and_gold_items_are_foreseen(world, less):
    world.put_manifest([image_row(1000 + number, label=0) for number in range(3)], GOLD_URI)
    spent = 1.29 + 0.05
    # 3 objects and 1 gold item with 3 answers each, 4 verdicts of 2 auditors, and computing.
    another = 4 * 0.13 + 4 * (0.1 + 2 * 0.02) + 0.05
    begin(
        world,
        audit={
            "policy": "all",
            "final_sample": 1,
            "auditors_per_object": 2,
            "price_per_answer_usd": 0.02,
        },
        gold={"manifest_uri": GOLD_URI, "share": 0.1},
        stop={"budget_usd": spent + another + less},
    )
    complete(world, 0)
    assert run(world, 0)["rule"] == (None if less > 0 else "budget_usd")


def test_the_models_labels_leave_less_to_label_and_are_audited(world):
    spent = 1.29 + 0.05
    another = 3 * 0.13 + 5 * 0.11 + 0.05
    promised = {"audit": {"policy": "all", "auto_sample": 2}, "auto_labeling": {"target_precision": 0.9}}
    begin(world, **promised, stop={"budget_usd": spent + another - 0.001})
    complete(world, 0)
    assert run(world, 0)["rule"] == "budget_usd"
