"""The arms of a campaign: the rows that the strategy and the random control have, and those they may take.

Both arms begin with the rows that were labelled in the input, and are given the same seed set. An arm
*holds* a row once the row is in it and people labelled it, so a row whose labelling failed, or whose label
an audit took back, can be taken again. A row that a model labelled belongs to no arm and is not taken while
it has that label.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from truthloop.manifest import Row, is_given_up, provenance, row_id
from truthloop_batch.context import Context
from truthloop_batch.model_labels import is_labeled_by_model, is_labeled_by_people

STRATEGY = "strategy"
CONTROL = "control"
# Fitted to all labelled rows of the pool, whichever arm they belong to.
MODEL = "model"


@dataclass(frozen=True)
class Arm:
    """One arm: the ids that were added to it, and the campaign's label attribute and held-out rows."""

    members: frozenset[str]
    attribute: str
    held_out: frozenset[str]

    def holds(self, row: Row) -> bool:
        """Whether the arm's model is fitted to the row."""
        identifier = row_id(row)
        return (
            identifier not in self.held_out
            and is_labeled_by_people(row, self.attribute)
            and (identifier in self.members or provenance(row)["labeled_by"] == "input")
        )

    def may_take(self, row: Row) -> bool:
        """Whether the row may be added: of the pool, not held yet, not a model's, not given up unlabelled."""
        if row_id(row) in self.held_out or self.holds(row):
            return False
        if is_labeled_by_model(row, self.attribute):
            return False
        return is_labeled_by_people(row, self.attribute) or not is_given_up(row)


def load_arms(context: Context, rounds: Iterable[int]) -> dict[str, Arm]:
    """Both arms as the selections of `rounds` filled them."""
    members: dict[str, set[str]] = {STRATEGY: set(), CONTROL: set()}
    for number in rounds:
        selection = context.s3.read_json(context.layout.selection(number))
        for name, ids in members.items():
            ids.update(selection["arms"][name])
    return {
        name: Arm(frozenset(ids), context.request.label_attribute, context.splits.held_out)
        for name, ids in members.items()
    }


def scoring_model(context: Context) -> str:
    """The URI of the model whose uncertainty this round's strategy follows: that of the round before."""
    arm = STRATEGY if context.request.selection.random_control else MODEL
    return context.layout.model_of_arm(context.round - 1, arm)
