"""The subcommand `select`: which rows people label in this round, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from truthloop.errors import UnknownRow
from truthloop.manifest import TRUTHLOOP, Row, encode_row, is_given_up, is_labeled, provenance, row_id
from truthloop.splits import random_order
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
    """Write selection.manifest, the rows to label, and selection.json, what each arm gains."""
    output = context.layout.selection(context.round)
    if context.s3.exists(output):
        report("already-done", output=output)
        return
    selection = choose_seed(context) if context.round == 0 else choose(context)
    lines = [encode_row(row) for row in rows_to_label(context, selection.choices)]
    context.s3.write_lines_once(context.layout.selection_manifest(context.round), lines)
    document = {
        "round": context.round,
        "strategy": context.request.selection.strategy,
        "to_label": len(lines),
        "candidates": selection.candidates,
        "arms": selection.arms,
    }
    context.s3.write_json_once(output, document)
    gains = {name: len(ids) for name, ids in selection.arms.items()}
    report("selected", output=output, to_label=len(lines), candidates=selection.candidates, arms=gains)


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
    """The chosen rows that people are asked about, sorted by id, with their choice in `truthloop`.

    Sorted so that the order tells workers nothing of why a row was chosen.

    Raises
    ------
    UnknownRow
        When a chosen row is not in the master manifest.
    """
    attribute = context.request.label_attribute
    missing = set(choices)
    chosen = []
    for row in context.rows():
        identifier = row_id(row)
        if identifier in choices:
            missing.discard(identifier)
            if not is_labeled(row, attribute) and not is_given_up(row):
                told = {**provenance(row), "round": context.round, **asdict(choices[identifier])}
                chosen.append({**row, TRUTHLOOP: told})
    if missing:
        raise UnknownRow(
            f"{len(missing)} chosen rows are not in the master manifest, such as "
            f"{', '.join(sorted(missing)[:3])}. The scores or splits belong to another campaign: delete them "
            "and run the round again."
        )
    return sorted(chosen, key=row_id)


def _scores(context: Context) -> Iterator[Scores]:
    for shard in range(context.request.scoring.shards):
        yield from read_shard(context.s3, context.layout.scores(context.round, shard))
