"""What labelling and computing cost: the price list, a campaign's overrides of it, and the sums."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from truthloop.errors import MissingPrice

# The names of the price list; the first two have one price per task type.
_PER_TASK_TYPE = ("ground_truth_per_object_usd", "answer_usd")
NAMES = (*_PER_TASK_TYPE, "batch_vcpu_hour_usd", "batch_gib_hour_usd")

_SECONDS_PER_HOUR = 3_600
_MIB_PER_GIB = 1_024


@dataclass(frozen=True)
class Prices:
    """The prices of one campaign, in USD.

    Attributes
    ----------
    ground_truth_per_object_usd
        What the labelling service takes for each labelled object.
    answer_usd
        What one answer of one worker costs.
    batch_vcpu_hour_usd, batch_gib_hour_usd
        One vCPU, and one GiB of memory, for one hour.
    """

    ground_truth_per_object_usd: float
    answer_usd: float
    batch_vcpu_hour_usd: float
    batch_gib_hour_usd: float

    def labeling(self, objects: float, answers: float) -> float:
        """The cost in USD of `objects` labelled objects with `answers` answers in all."""
        return objects * self.ground_truth_per_object_usd + answers * self.answer_usd

    def auditing(self, objects: float, verdicts: float, verdict_usd: float | None = None) -> float:
        """The cost in USD of audit tasks for `objects` objects with `verdicts` verdicts in all.

        The labelling service takes the same for a label that is judged as for one that is given.

        Parameters
        ----------
        verdict_usd
            What one verdict costs; None for the price of an answer.
        """
        return objects * self.ground_truth_per_object_usd + verdicts * (
            self.answer_usd if verdict_usd is None else verdict_usd
        )

    def compute(self, usage: Iterable[Mapping[str, Any]]) -> float:
        """The cost in USD of Batch jobs.

        Parameters
        ----------
        usage
            Documents `usage/<step>.json`: {"seconds", "vcpus", "memory_mib", …}, one per job or child.
        """
        return sum(
            float(job["seconds"])
            / _SECONDS_PER_HOUR
            * (
                float(job["vcpus"]) * self.batch_vcpu_hour_usd
                + float(job["memory_mib"]) / _MIB_PER_GIB * self.batch_gib_hour_usd
            )
            for job in usage
        )


def resolve(
    task_type: str, overrides: Mapping[str, float], price_per_answer_usd: float | None = None
) -> Prices:
    """The prices of a campaign: the price list's, then `overrides` by name, then the price of an answer.

    Raises
    ------
    MissingPrice
        When neither the price list nor the overrides have a price that depends on the task type.
    """
    found = dict(overrides)
    if price_per_answer_usd is not None:
        found["answer_usd"] = price_per_answer_usd
    published = _price_list()
    missing = []
    for name in NAMES:
        if name in found:
            continue
        price = published[name].get(task_type) if name in _PER_TASK_TYPE else published[name]
        if price is None:
            missing.append(name)
        else:
            found[name] = price
    if missing:
        raise MissingPrice(
            f"The price list has no {' and no '.join(missing)} for the task type {task_type}. "
            'Set it in the request, such as "prices": {"' + missing[0] + '": 0.08}.'
        )
    return Prices(**found)


def _price_list() -> dict[str, Any]:
    text = resources.files("truthloop").joinpath("data/prices.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document
