"""What other people found when they audited the labels, from the audits that the rounds left in S3."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from truthloop import names
from truthloop.audit import REASONS
from truthloop.layout import AuditLayout
from truthloop_batch.context import Context
from truthloop_batch.intervals import Stratum, stratified_share
from truthloop_batch.report.document import Audit, AuditDecisions, AuditRound, AutoPrecision, ErrorRate

_READING_THREADS = 16
_NO_POLICY = "none"


def collect(context: Context) -> Audit | None:
    """The audits of all rounds up to `context.round`, None when there was none."""
    if context.request.audit.policy == _NO_POLICY:
        return None
    with ThreadPoolExecutor(_READING_THREADS) as threads:
        found = threads.map(lambda number: _result(context, number), range(context.round + 1))
        rounds = [_round(number, result) for number, result in enumerate(found) if result is not None]
    return summary(rounds) if rounds else None


def summary(rounds: list[AuditRound]) -> Audit:
    """What at least one round's audit and all of them together found."""
    reasons: Counter[str] = Counter()
    for each in rounds:
        reasons.update(each["reasons"])
    return {
        "rounds": rounds,
        "rows": sum(each["rows"] for each in rounds),
        "auto_rows": sum(each["auto_rows"] for each in rounds),
        "audited": sum(each["audited"] for each in rounds),
        "decisions": {
            "accept": sum(each["decisions"]["accept"] for each in rounds),
            "fix": sum(each["decisions"]["fix"] for each in rounds),
            "reject": sum(each["decisions"]["reject"] for each in rounds),
        },
        "reasons": _in_order(reasons),
        "relabeled": sum(each["relabeled"] for each in rounds),
        "expert": sum(each["expert"] for each in rounds),
        "unresolved": sum(each["unresolved"] for each in rounds),
        "unaudited": sum(each["unaudited"] for each in rounds),
        "revoked": sum(each["revoked"] for each in rounds),
        "initial": _together(each["initial"] for each in rounds),
        "final": _together(each["final"] for each in rounds),
        "auto": _together(each["auto"] for each in rounds),
    }


def _result(context: Context, number: int) -> dict[str, Any] | None:
    layout = context.layout
    audit = AuditLayout(layout.bucket, layout.campaign, names.audit_name(layout, number))
    result: dict[str, Any] | None = context.s3.find_json(audit.result())
    return result


def _round(number: int, result: Mapping[str, Any]) -> AuditRound:
    decisions: AuditDecisions = {
        "accept": result["decisions"].get("accept", 0),
        "fix": result["decisions"].get("fix", 0),
        "reject": result["decisions"].get("reject", 0),
    }
    estimates = result["estimates"]
    return {
        "round": number,
        "name": result["name"],
        "rows": result["rows"],
        "auto_rows": result["auto_rows"],
        "audited": result["audited"],
        "decisions": decisions,
        "reasons": _in_order(result["reasons"]),
        "relabeled": result["relabeled"],
        "expert": result["expert"],
        "unresolved": result["unresolved"],
        "unaudited": result["unaudited"],
        "self_audits": result["self_audits"],
        "revoked": result["revoked"],
        "objects": result["paid"]["objects"] + result["paid"]["audit_objects"],
        "answers": result["paid"]["answers"] + result["paid"]["audit_answers"],
        "initial": _rate(estimates["initial"]),
        "final": _rate(estimates["final"]),
        "auto": _precision(estimates["auto"]),
    }


def _rate(estimate: Mapping[str, Any] | None) -> ErrorRate | None:
    """An audit's own estimate; None where nothing was judged, which says nothing."""
    if estimate is None or not estimate["sampled"]:
        return None
    return {
        "errors": estimate["errors"],
        "sampled": estimate["sampled"],
        "rows": estimate["rows"],
        "rate": estimate["rate"],
        "interval": list(estimate["interval"]),
    }


def _precision(estimate: Mapping[str, Any] | None) -> AutoPrecision | None:
    rate = _rate(estimate)
    if estimate is None or rate is None:
        return None
    return {**rate, "promise": estimate["promise"], "revoked": estimate["revoked"]}


def _together(rounds: Iterable[ErrorRate | AutoPrecision | None]) -> ErrorRate | None:
    """The rate of all rounds that have one: each round is a stratum of its own."""
    found = [each for each in rounds if each is not None]
    if not found:
        return None
    share, interval = stratified_share(
        [Stratum(each["errors"], each["sampled"], each["rows"]) for each in found]
    )
    return {
        "errors": sum(each["errors"] for each in found),
        "sampled": sum(each["sampled"] for each in found),
        "rows": sum(each["rows"] for each in found),
        "rate": share,
        "interval": list(interval),
    }


def _in_order(reasons: Mapping[str, int]) -> dict[str, int]:
    """The reasons that were given, the most frequent first, and of equals in their own order."""
    known = {code: place for place, code in enumerate(REASONS)}
    given = [code for code in reasons if reasons[code]]
    return {
        code: reasons[code]
        for code in sorted(given, key=lambda code: (-reasons[code], known.get(code, len(known)), code))
    }
