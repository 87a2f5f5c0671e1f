"""The end of a round: what it brought and cost, whether the campaign goes on, and the record of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from truthloop.campaign import Campaign, load_campaign
from truthloop.layout import CampaignLayout
from truthloop.ledger import Ledger
from truthloop.manifest import Counts, count, read_master
from truthloop.s3 import S3Gateway
from truthloop.splits import Splits
from truthloop.stop_rules import Progress, Quality, first_to_hold

_READERS = 16


def decide(
    s3: S3Gateway, ledger: Ledger, layout: CampaignLayout, round_number: int, now: datetime
) -> dict[str, Any]:
    """Make, freeze and book the decision of a round.

    A decision that is there already is booked again and returned as it stands, whatever the time is now.

    Returns
    -------
    dict
        The document decision.json.
    """
    decision = s3.find_json(layout.decision(round_number))
    if decision is None:
        decision = _new_decision(s3, layout, round_number, now)
        if not s3.write_json_once(layout.decision(round_number), decision):
            decision = s3.read_json(layout.decision(round_number))
    ledger.record_round(layout.campaign, decision)
    result: dict[str, Any] = decision
    return result


def assess(
    campaign: Campaign,
    round_number: int,
    previous: Sequence[Mapping[str, Any]],
    merge: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    usage: Sequence[Mapping[str, Any]],
    counts: Counts,
    now: datetime,
) -> dict[str, Any]:
    """The document decision.json of a round, from the documents of that round.

    Parameters
    ----------
    previous
        The decisions of all earlier rounds, in order.
    merge
        merge.json: {"labeled", "answers", …}, what people did in this round.
    evaluation
        evaluation.json: {"metric", "arms": {"model": {"quality", "interval"}}}; that arm is the one that
    counts. usage
        usage/*.json of the round.
    counts
        Of the master manifest after the merge.
    """
    prices = campaign.prices
    labeled, answers = merge["labeled"], merge["answers"]
    labeling_usd = prices.labeling(labeled, answers)
    compute_usd = prices.compute(usage)
    total_usd = labeling_usd + compute_usd
    cumulative_usd = total_usd + (previous[-1]["cost_usd"]["cumulative"] if previous else 0.0)
    cumulative_people = labeled + (previous[-1]["labels"]["cumulative_people"] if previous else 0)
    model = evaluation["arms"]["model"]
    quality = {
        "metric": evaluation["metric"],
        "value": model["quality"],
        "interval": model["interval"],
    }
    next_objects = min(campaign.request.selection.rows_per_round, counts.pool_unlabeled)
    next_answers = next_objects * campaign.request.labeling.workers_per_object
    progress = Progress(
        round=round_number,
        now=now,
        cost_usd=cumulative_usd,
        # A later round's computing is taken to cost what this one's did.
        next_round_usd=prices.labeling(next_objects, next_answers) + compute_usd,
        left_to_label=counts.pool_unlabeled,
        quality=tuple(
            Quality(each["value"], each["interval"][0], each["interval"][1], each["metric"])
            for each in [*(earlier["quality"] for earlier in previous), quality]
        ),
    )
    verdict = first_to_hold(campaign.request.stop, progress)
    return {
        "round": round_number,
        "stop": verdict is not None,
        "rule": None if verdict is None else verdict.rule,
        "reason": "No stop rule holds." if verdict is None else verdict.reason,
        "labels": {"people": labeled, "answers": answers, "cumulative_people": cumulative_people},
        "cost_usd": {
            "labeling": _usd(labeling_usd),
            "compute": _usd(compute_usd),
            "total": _usd(total_usd),
            "cumulative": _usd(cumulative_usd),
        },
        "quality": quality,
        "at": now.isoformat(),
    }


def _new_decision(s3: S3Gateway, layout: CampaignLayout, round_number: int, now: datetime) -> dict[str, Any]:
    campaign = load_campaign(s3, layout)
    splits = Splits.from_document(s3.read_json(layout.splits()))
    rows = read_master(s3, layout.master_manifest())
    return assess(
        campaign=campaign,
        round_number=round_number,
        previous=list(_read_all(s3, [layout.decision(number) for number in range(round_number)])),
        merge=s3.read_json(layout.merge(round_number)),
        evaluation=s3.read_json(layout.evaluation(round_number)),
        usage=list(_read_all(s3, list(s3.list(layout.usage_prefix(round_number))))),
        counts=count(rows, campaign.request.label_attribute, splits.held_out),
        now=now,
    )


def _read_all(s3: S3Gateway, uris: Sequence[str]) -> Iterator[Any]:
    with ThreadPoolExecutor(_READERS) as readers:
        yield from readers.map(s3.read_json, uris)


def _usd(amount: float) -> float:
    # A millionth of a dollar keeps the sum of many small jobs right and the document readable.
    return round(amount, 6)
