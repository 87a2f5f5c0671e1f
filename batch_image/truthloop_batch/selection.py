"""The subcommand `select`: which rows people label in this round and why, and which the model labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction

import numpy as np

from truthloop import gold
from truthloop.errors import UnknownRow
from truthloop.labels import suggestion_key
from truthloop.manifest import (
    HISTORY,
    LINE_CHARACTERS_MAXIMUM,
    LINE_CHARACTERS_RESERVED,
    TRUTHLOOP,
    Row,
    encode_row,
    is_given_up,
    joined_history,
    metadata_key,
    provenance,
    row_id,
)
from truthloop.splits import random_order
from truthloop_batch import auto_labels
from truthloop_batch.arms import CONTROL, STRATEGY, load_arms, scoring_model
from truthloop_batch.context import Context
from truthloop_batch.milestones import report
from truthloop_batch.scores import Scores, read_shard

# The strategies of the campaign request.
MARGIN = "margin"
RANDOM = "random"


@dataclass(frozen=True)
class Choice:
    """Why a row was chosen; `score` and `model` when a model's uncertainty chose it."""

    reason: str
    score: float | None = None
    model: str | None = None


@dataclass(frozen=True)
class Selection:
    """What a round chose.

    Attributes
    ----------
    candidates
        How many rows the strategy chose from.
    arms
        What each arm gains, in the order of choice; labelled rows may be among them.
    choices
        The reason of every chosen row by its id, the held-out rows of round 0 included.
    """

    candidates: int
    arms: Mapping[str, list[str]]
    choices: Mapping[str, Choice]


class FirstInOrder:
    """Keeps the first `size` added ids of the seeded random order, in memory bounded by `size`."""

    def __init__(self, size: int, seed: int) -> None:
        self._size = size
        self._seed = seed
        self._kept: list[tuple[str, str]] = []

    def add(self, identifier: str) -> None:
        self._kept.append((random_order(self._seed, identifier), identifier))
        if len(self._kept) >= 2 * self._size + 1024:
            self._cut()

    def ids(self) -> list[str]:
        self._cut()
        return [identifier for _, identifier in self._kept]

    def _cut(self) -> None:
        self._kept = sorted(self._kept)[: self._size]


def smallest_margins(batches: Iterable[Scores], size: int) -> list[tuple[str, float]]:
    """The `size` rows whose margins are smallest, with their margins, in that order; ties are broken by id.

    The result depends on the rows alone, not on how or in which order they come in batches. Memory is
    bounded by `size` and the largest batch.
    """
    ids, margins = np.empty(0, "S32"), np.empty(0, np.float32)
    for batch in batches:
        close = np.full(len(batch.ids), True) if len(ids) < size else batch.margin <= margins[-1]
        ids = np.concatenate([ids, batch.ids[close]])
        margins = np.concatenate([margins, batch.margin[close]])
        order = np.lexsort((ids, margins))[:size]
        ids, margins = ids[order], margins[order]
    return [(bytes(key).decode(), float(value)) for key, value in zip(ids, margins, strict=True)]


def run(context: Context) -> None:
    """Write auto.manifest, what the model labels, selection.manifest, what people do, and selection.json."""
    output = context.layout.selection(context.round)
    if context.s3.exists(output):
        report("already-done", output=output)
        return
    selection = choose_seed(context) if context.round == 0 else choose(context)
    auto = auto_labels.label_rows(context, selection.choices.keys())
    rows = rows_to_label(context, selection.choices)
    known = gold_items(context, len(rows))
    # Sorted so that the order tells workers nothing: neither why a row was chosen nor which are known.
    mixed = sorted([*rows, *known], key=row_id)
    lines = [encode_row(row) for row in with_suggestions(context, mixed)]
    context.s3.write_lines_once(context.layout.selection_manifest(context.round), lines)
    document = {
        "round": context.round,
        "strategy": context.request.selection.strategy,
        "to_label": len(rows),
        "gold": len(known),
        "candidates": selection.candidates,
        "arms": selection.arms,
        "auto": auto,
    }
    context.s3.write_json_once(output, document)
    gains = {name: len(ids) for name, ids in selection.arms.items()}
    report(
        "selected",
        output=output,
        to_label=len(rows),
        gold=len(known),
        candidates=selection.candidates,
        arms=gains,
    )


def choose_seed(context: Context) -> Selection:
    """Round 0: the first `seed_size` rows of the pool in the seeded random order, and all held-out rows."""
    settings = context.request.selection
    first = FirstInOrder(settings.seed_size, context.seed)
    candidates = 0
    for row in context.rows():
        if row_id(row) not in context.splits.held_out:
            candidates += 1
            first.add(row_id(row))
    seeds = first.ids()
    choices = {identifier: Choice("seed") for identifier in seeds}
    choices.update({identifier: Choice("test") for identifier in context.splits.test})
    choices.update({identifier: Choice("validation") for identifier in context.splits.validation})
    arms = {STRATEGY: seeds, CONTROL: seeds if settings.random_control else []}
    return Selection(candidates, arms, choices)


def choose(context: Context) -> Selection:
    """A later round: what the strategy takes, and as many rows at random when there is a control."""
    settings = context.request.selection
    arms = load_arms(context, range(context.round))
    size = settings.round_size
    first = {name: FirstInOrder(size, context.seed) for name in arms}
    candidates = 0
    for row in context.rows():
        candidates += arms[STRATEGY].may_take(row)
        for name, arm in arms.items():
            if arm.may_take(row):
                first[name].add(row_id(row))
    control = first[CONTROL].ids() if settings.random_control else []
    choices = {identifier: Choice("random-control") for identifier in control}
    if settings.strategy == RANDOM:
        strategy = first[STRATEGY].ids()
        choices.update({identifier: Choice(RANDOM) for identifier in strategy})
    else:
        best = smallest_margins(_scores(context), size)
        model = scoring_model(context)
        strategy = [identifier for identifier, _ in best]
        choices.update(
            {identifier: Choice(MARGIN, round(1 - margin, 6), model) for identifier, margin in best}
        )
    return Selection(candidates, {STRATEGY: strategy, CONTROL: control}, choices)


def rows_to_label(context: Context, choices: Mapping[str, Choice]) -> list[Row]:
    """The chosen rows that people are asked about, with their choice in `truthloop` and in its history.

    Raises
    ------
    UnknownRow
        When a chosen row is not in the master manifest.
    """
    missing = set(choices)
    chosen = []
    for row in context.rows():
        identifier = row_id(row)
        if identifier in choices:
            missing.discard(identifier)
            if not context.is_labeled(row) and not is_given_up(row):
                choice = choices[identifier]
                event = {
                    "at": context.began_at.isoformat(),
                    "event": "selected",
                    "round": context.round,
                    "job": None,
                    "reason": choice.reason,
                    "score": choice.score,
                }
                told = {
                    **provenance(row),
                    "round": context.round,
                    **asdict(choice),
                    HISTORY: joined_history(provenance(row).get(HISTORY) or [], [event]),
                }
                chosen.append({**row, TRUTHLOOP: told})
    if missing:
        raise UnknownRow(
            f"{len(missing)} chosen rows are not in the master manifest, such as "
            f"{', '.join(sorted(missing)[:3])}. The scores or splits belong to another campaign: delete them "
            "and run the round again."
        )
    return chosen


def gold_items(context: Context, to_label: int) -> list[Row]:
    """The gold items that are sent with so many rows: without their labels, in turn over the rounds.

    Their order is the campaign's seeded random one, and each round goes on where the one before stopped; no
    job has an item twice. Without rows to label there is no job, and none is sent.
    """
    settings, attribute = context.request.gold, context.request.label_attribute
    if settings.manifest_uri is None or to_label == 0:
        return []
    items = sorted(
        gold.read(context.s3, context.layout), key=lambda item: random_order(context.seed, row_id(item))
    )
    # The shortest decimal is what the user wrote: 0.07 of 100 are 7, although 0.07 * 100 is more.
    number = min(math.ceil(Fraction(repr(settings.share)) * to_label), len(items))
    sent = sum(
        context.s3.read_json(context.layout.selection(earlier))["gold"] for earlier in range(context.round)
    )
    label = {attribute, metadata_key(attribute)}
    return [
        {
            **{key: value for key, value in items[place % len(items)].items() if key not in label},
            TRUTHLOOP: {
                "id": row_id(items[place % len(items)]),
                gold.GOLD: True,
                "round": context.round,
                "reason": gold.GOLD,
            },
        }
        for place in range(sent, sent + number)
    ]


def with_suggestions(context: Context, rows: Sequence[Row]) -> Iterator[Row]:
    """The rows with what the model of the round before suggests, where workers can be shown it.

    It is the model of all labels, for both arms' rows, so that these are labelled alike; round 0 has none. A
    row stays without a suggestion when its object cannot be read, or when its line would get too long. Gold
    items have one too, because a worker would know them by its absence.
    """
    suggestion_of = context.kind.suggestion_of
    if suggestion_of is None or context.round == 0 or not rows:
        yield from rows
        return
    from truthloop_batch.inputs import InputReader
    from truthloop_batch.model import load_model, predict_batches

    model = load_model(context, context.layout.model(context.round - 1))
    # The training is the next to read these rows.
    reader = InputReader(context, model.adapter, "train")
    waiting = iter(rows)
    key = suggestion_key(context.request.label_attribute)
    for ids, predictions in predict_batches(model, reader, rows):
        for identifier, prediction in zip(ids, predictions, strict=True):
            for row in waiting:
                if row_id(row) != identifier:
                    yield row
                    continue
                value, metadata = suggestion_of(context, row, prediction)
                suggested = {**row, key: value, metadata_key(key): metadata}
                fits = len(encode_row(suggested)) <= LINE_CHARACTERS_MAXIMUM - LINE_CHARACTERS_RESERVED
                yield suggested if fits else row
                break
    yield from waiting
    reader.keep()


def _scores(context: Context) -> Iterator[Scores]:
    for shard in range(context.request.scoring.shards):
        yield from read_shard(context.s3, context.layout.scores(context.round, shard))
