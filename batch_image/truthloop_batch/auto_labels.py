"""What the model labels by itself: the rows of the pool that it is sure enough of to keep a promise.

`choose_threshold` says how sure that is, from arrays alone; `label_rows` writes a round's auto.manifest.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from truthloop import names
from truthloop.audit import ACCEPT
from truthloop.layout import AuditLayout
from truthloop.manifest import HISTORY, Row, encode_row, is_given_up, provenance, row_id
from truthloop_batch.arms import scoring_model
from truthloop_batch.context import Context
from truthloop_batch.intervals import CERTAINTY, lower_bound
from truthloop_batch.milestones import report
from truthloop_batch.model_labels import AUTO, AUTO_LABELED, labeled_by_model
from truthloop_batch.scores import Confidences, read_confidences

# Events of a row's history: an auditor's verdict, and what takes a label away.
_AUDITED = "audited"
_TAKEN_AWAY = frozenset({"revoked", "taken-back"})
_DIGITS = 6


@dataclass(frozen=True)
class Judged:
    """Predictions whose truth is known.

    Attributes
    ----------
    confidence
        The model's confidence in each, floating [n].
    right
        Whether each is right, bool [n].
    """

    confidence: NDArray[np.floating]
    right: NDArray[np.bool_]


@dataclass(frozen=True)
class Threshold:
    """From which confidence on the model labels.

    Attributes
    ----------
    value
        Rows at or above it may be labelled; None when none may.
    judged, right, bound
        The validation rows that decided: how many are at or above the threshold, how many of them are right,
        and the lower bound of the precision; None without any row.
    why
        What decided, in a sentence.
    """

    value: float | None
    judged: int
    right: int
    bound: float | None
    why: str


def choose_threshold(validation: Judged, promise: float, revoked: Sequence[Judged] = ()) -> Threshold:
    """The lowest confidence from which on the model's labels keep a promised precision, or none.

    A threshold holds when the one-sided 95 % lower bound (Clopper and Pearson 1934,
    https://doi.org/10.1093/biomet/26.4.404) of the precision among the validation rows at or above it is at
    least the promise. The search begins at the threshold where the model expects the highest bound, goes
    downwards, and ends before the first one that does not hold. As the confidences alone decide on that
    order, no label does, all thresholds together are wrong with at most 5 % (fixed-sequence testing: Maurer,
    Hothorn and Lehmacher 1995; for thresholds: Angelopoulos et al. 2021, https://arxiv.org/abs/2110.01052,
    section 2.3). The lowest threshold that holds by itself would be wrong several times as often, because it
    is the best of many. A model whose confidences say little begins badly and abstains.

    Where audits found that a round's labels broke the promise, that round's audited rows have their say: the
    threshold is one from which on they would have kept it, each round's sample by itself, with the confidence
    that each row was labelled with.

    Parameters
    ----------
    validation
        Rows that the model has never seen.
    promise
        The precision, above 0 and below 1.
    revoked
        For each earlier round whose labels were revoked, what auditors said of its sample.
    """
    fewest = math.ceil(math.log(1 - CERTAINTY) / math.log(promise) - 1e-9)
    order = np.argsort(-validation.confidence, kind="stable")
    confidence, right = validation.confidence[order], validation.right[order].cumsum()
    # Rows of equal confidence are above a threshold together: the last of them stands for all.
    last = np.flatnonzero(np.append(confidence[1:] != confidence[:-1], [True] * min(1, len(confidence))))
    places = last[last + 1 >= fewest]
    if not len(places):
        return _threshold(
            None,
            right,
            len(confidence) - 1,
            f"abstained: the validation split has {len(confidence)} rows, and not even {fewest} right ones, "
            f"the fewest that can show {promise:g}",
        )
    sums = confidence.cumsum(dtype=np.float64)
    expected = [lower_bound(float(sums[place]), int(place) + 1) for place in places]
    tried = places[int(np.argmax(expected)) :]
    held = []
    for place in tried:
        if lower_bound(int(right[place]), int(place) + 1) < promise:
            break
        held.append(place)
    if not held:
        return _threshold(
            None,
            right,
            tried[0],
            f"abstained: the lower bound of the precision among the {tried[0] + 1} validation rows that the "
            f"model is surest of is below {promise:g}",
        )
    kept = [place for place in held if all(_keeps(promise, each, confidence[place]) for each in revoked)]
    if not kept:
        return _threshold(
            None,
            right,
            held[0],
            f"abstained: the validation split shows {promise:g}, but at none of its confidences would the "
            "audits have found it in the rounds that they revoked",
        )
    why = f"the lowest confidence down to which the lower bound of the precision is at least {promise:g}"
    if kept[-1] != held[-1]:
        why += ", raised to where the revoked rounds would have kept it"
    return _threshold(float(confidence[kept[-1]]), right, kept[-1], why)


def _keeps(promise: float, judged: Judged, threshold: float) -> bool:
    """Whether a sample's rows at or above a threshold are right often enough; none of them says nothing."""
    above = judged.confidence >= threshold
    return not above.any() or bool(judged.right[above].mean() >= promise)


def _threshold(value: float | None, right: NDArray[np.int64], place: int, why: str) -> Threshold:
    """What is said of the rows up to a place in the order of falling confidence; -1 for none."""
    judged = int(place) + 1
    found = int(right[place]) if judged else 0
    return Threshold(value, judged, found, lower_bound(found, judged) if judged else None, why)


# ----------------------------------------------------------------------------------------------- the round


def label_rows(context: Context, for_people: Set[str]) -> dict[str, Any] | None:
    """Write auto.manifest, the rows that the model labels in this round; returns what selection.json says.

    None, and no manifest, where the campaign leaves all to people and in round 0, which has no model. Rows
    that are labelled, held out, given up or chosen for people are left alone, and so are those that an audit
    once took a label from. Memory is bounded by the scores of the rows that are sure enough.

    Parameters
    ----------
    for_people
        The ids that the round chose for people.
    """
    promise = context.request.auto_labeling.target_precision
    if promise is None or context.round == 0:
        return None
    threshold = choose_threshold(_validation(context), promise, _revoked(context))
    rows = 0

    def lines() -> Iterator[str]:
        nonlocal rows
        for row in _labeled(context, _sure(context, threshold.value), for_people):
            rows += 1
            yield encode_row(row)

    output = context.layout.auto_manifest(context.round)
    context.s3.write_lines_once(output, lines())
    report("auto-labeled", output=output, rows=rows, threshold=threshold.value, why=threshold.why)
    return {
        "rows": rows,
        "threshold": threshold.value,
        "validation": {"judged": threshold.judged, "right": threshold.right, "bound": threshold.bound},
        "why": threshold.why,
    }


def _validation(context: Context) -> Judged:
    """The scoring model's predictions of the validation rows that people labelled."""
    from truthloop_batch.inputs import InputReader
    from truthloop_batch.model import load_model, predict_batches

    ids = frozenset(context.splits.validation)
    rows = {
        row_id(row): row for row in context.rows() if row_id(row) in ids and context.is_labeled_by_people(row)
    }
    model = load_model(context, scoring_model(context))
    # What evaluation kept of them is read; to keep more here would take its place in this round.
    reader = InputReader(context, model.adapter, "evaluate")
    confidence, right = [np.empty(0, np.float32)], [np.empty(0, bool)]
    for found, predictions in predict_batches(model, reader, rows.values()):
        scores = context.kind.scores(predictions)
        labels = np.array([context.label(rows[identifier]) for identifier in found])
        confidence.append(scores["confidence"])
        right.append(scores["predicted"] == labels)
    return Judged(np.concatenate(confidence), np.concatenate(right))


def _revoked(context: Context) -> list[Judged]:
    """What auditors said of the model's labels, for each earlier round whose audit revoked them."""
    layout = context.layout
    revoked = set()
    for number in range(context.round):
        audit = AuditLayout(layout.bucket, layout.campaign, names.audit_name(layout, number))
        result = context.s3.find_json(audit.result())
        if result is not None and (result["estimates"]["auto"] or {}).get("revoked"):
            revoked.add(number)
    if not revoked:
        return []
    verdicts: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for row in context.rows():
        for number, confidence, accepted in _verdicts(row):
            if number in revoked:
                verdicts[number].append((confidence, accepted))
    return [
        Judged(np.array([each[0] for each in found]), np.array([each[1] for each in found], bool))
        for _, found in sorted(verdicts.items())
    ]


def _verdicts(row: Row) -> Iterator[tuple[int, float, bool]]:
    """For each round whose label by the model was audited: round, confidence, and whether it was accepted.

    The first verdict counts: later ones are about the label that people gave instead.
    """
    confidences: dict[int, float] = {}
    for entry in provenance(row).get(HISTORY) or []:
        number = entry.get("round")
        if entry["event"] == AUTO_LABELED:
            confidences[number] = entry["confidence"]
        elif entry["event"] == _AUDITED and entry.get("why") == AUTO and number in confidences:
            yield number, confidences.pop(number), entry["decision"] == ACCEPT


def _sure(context: Context, threshold: float | None) -> Confidences:
    """The scores at or above a threshold, sorted by id; none without one."""
    kept = [Confidences(np.empty(0, "S32"), *(np.empty(0, kind) for kind in (np.int16, *2 * [np.float32])))]
    if threshold is not None:
        for shard in range(context.request.scoring.shards):
            for batch in read_confidences(context.s3, context.layout.scores(context.round, shard)):
                kept.append(batch.where(batch.confidence >= np.float32(threshold)))
    ids, predicted, confidence, margin = (
        np.concatenate([getattr(batch, name) for batch in kept])
        for name in ("ids", "predicted", "confidence", "margin")
    )
    order = np.argsort(ids)
    return Confidences(ids[order], predicted[order], confidence[order], margin[order])


def _labeled(context: Context, sure: Confidences, for_people: Set[str]) -> Iterator[Row]:
    """The rows among those with their labels, in the manifest's order."""
    model = scoring_model(context)
    for row in context.rows():
        place = int(np.searchsorted(sure.ids, row_id(row).encode()))
        if place == len(sure.ids) or sure.ids[place].decode() != row_id(row):
            continue
        if row_id(row) in for_people or not _is_free(context, row):
            continue
        index, confidence = int(sure.predicted[place]), round(float(sure.confidence[place]), _DIGITS)
        yield labeled_by_model(
            context,
            row,
            (index, {"class-name": context.classes[index], "confidence": confidence}),
            context.began_at,
            reason=AUTO,
            score=round(1 - float(sure.margin[place]), _DIGITS),
            confidence=confidence,
            model=model,
        )


def _is_free(context: Context, row: Row) -> bool:
    """Whether a model may label the row: of the pool, without a label, and never corrected before."""
    events = {entry["event"] for entry in provenance(row).get(HISTORY) or []}
    return not (
        row_id(row) in context.splits.held_out
        or context.is_labeled(row)
        or is_given_up(row)
        or events & _TAKEN_AWAY
    )
