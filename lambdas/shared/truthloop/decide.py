"""The end of a round: what it brought and cost, whether the campaign goes on, and the record of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from truthloop import gold
from truthloop.campaign import Campaign, load_campaign
from truthloop.layout import AuditLayout, CampaignLayout
from truthloop.ledger import Ledger
from truthloop.manifest import Counts, count, read_master
from truthloop.names import audit_name
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
    audit: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The document decision.json of a round, from the documents of that round.

    Parameters
    ----------
    previous
        The decisions of all earlier rounds, in order.
    merge
        merge.json: {"labeled", "answers", "gold", …}, what people did in this round.
    evaluation
        evaluation.json: {"metric", "arms": {"model": {"quality", "interval"}}}; that arm is the one that
        counts.
    usage
        usage/*.json of the round.
    counts
        Of the master manifest after the merge.
    audit
        result.json of the round's audit, None without one.
    """
    prices = campaign.prices
    labeled, answers = merge["labeled"], merge["answers"]
    known = merge.get("gold") or {"objects": 0, "answers": 0}
    labeling_usd = prices.labeling(labeled + known["objects"], answers + known["answers"])
    audited = None if audit is None else _audit_cost(campaign, audit["paid"])
    audit_usd = 0.0 if audited is None else audited["usd"]
    compute_usd = prices.compute(usage)
    total_usd = labeling_usd + audit_usd + compute_usd
    cumulative_usd = total_usd + (previous[-1]["cost_usd"]["cumulative"] if previous else 0.0)
    cumulative_people = labeled + (previous[-1]["labels"]["cumulative_people"] if previous else 0)
    model = evaluation["arms"]["model"]
    quality = {
        "metric": evaluation["metric"],
        "value": model["quality"],
        "interval": model["interval"],
    }
    progress = Progress(
        round=round_number,
        now=now,
        cost_usd=cumulative_usd,
        # A later round's computing is taken to cost what this one's did.
        next_round_usd=_next_labels_usd(campaign, counts) + compute_usd,
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
        "labels": {
            "people": labeled,
            "answers": answers,
            "cumulative_people": cumulative_people,
            "gold": dict(known),
        },
        "audit": audited,
        "cost_usd": {
            "labeling": _usd(labeling_usd),
            "audit": _usd(audit_usd),
            "compute": _usd(compute_usd),
            "total": _usd(total_usd),
            "cumulative": _usd(cumulative_usd),
        },
        "quality": quality,
        "at": now.isoformat(),
    }


def _audit_cost(campaign: Campaign, paid: Mapping[str, int]) -> dict[str, Any]:
    """What a round's audit cost: its verdicts, and the labels that were given again.

    Parameters
    ----------
    paid
        Of result.json: {"objects", "answers"} of the labels, {"audit_objects", "audit_answers"} of the
        verdicts.
    """
    prices = campaign.prices
    verdicts_usd = prices.auditing(
        paid["audit_objects"], paid["audit_answers"], campaign.request.audit.price_per_answer_usd
    )
    return {
        "objects": paid["objects"] + paid["audit_objects"],
        "answers": paid["answers"] + paid["audit_answers"],
        "usd": _usd(prices.labeling(paid["objects"], paid["answers"]) + verdicts_usd),
    }


def _next_labels_usd(campaign: Campaign, counts: Counts) -> float:
    """What people's work in another round is expected to cost: labels, known objects, and verdicts.

    That auditors will reject something is not foreseen.
    """
    request, prices = campaign.request, campaign.prices
    objects = min(request.selection.rows_per_round, counts.pool_unlabeled)
    with_gold = objects
    if request.gold.manifest_uri is not None:
        with_gold += gold.items_in_job(objects, request.gold.share)
    verdicts = request.audit.expected_verdicts(
        objects, by_model=request.auto_labeling.target_precision is not None
    )
    return prices.labeling(with_gold, with_gold * request.labeling.workers_per_object) + prices.auditing(
        verdicts, verdicts * request.audit.auditors_per_object, request.audit.price_per_answer_usd
    )


def _new_decision(s3: S3Gateway, layout: CampaignLayout, round_number: int, now: datetime) -> dict[str, Any]:
    campaign = load_campaign(s3, layout)
    splits = Splits.from_document(s3.read_json(layout.splits()))
    rows = read_master(s3, layout.master_manifest())
    audit = AuditLayout(layout.bucket, layout.campaign, audit_name(layout, round_number))
    return assess(
        campaign=campaign,
        round_number=round_number,
        previous=list(_read_all(s3, [layout.decision(number) for number in range(round_number)])),
        merge=s3.read_json(layout.merge(round_number)),
        evaluation=s3.read_json(layout.evaluation(round_number)),
        usage=list(_read_all(s3, list(s3.list(layout.usage_prefix(round_number))))),
        counts=count(rows, campaign.request.label_attribute, splits.held_out),
        now=now,
        audit=s3.find_json(audit.result()) if campaign.request.audit.is_wanted else None,
    )


def _read_all(s3: S3Gateway, uris: Sequence[str]) -> Iterator[Any]:
    with ThreadPoolExecutor(_READERS) as readers:
        yield from readers.map(s3.read_json, uris)


def _usd(amount: float) -> float:
    # A millionth of a dollar keeps the sum of many small jobs right and the document readable.
    return round(amount, 6)
