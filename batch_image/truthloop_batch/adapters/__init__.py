"""The registry of model adapters: a name in the campaign request, and the class behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from truthloop_batch.adapters.base import Adapter, InvalidHyperparameters
from truthloop_batch.adapters.image_classifier import ImageClassifier

ADAPTERS: dict[str, type[Any]] = {adapter.name: adapter for adapter in (ImageClassifier,)}


def create_adapter(name: str, hyperparameters: Mapping[str, Any]) -> Adapter:
    """The adapter of that name with its hyperparameters; those that are not given have their defaults.

    Raises
    ------
    InvalidHyperparameters
        For an unknown adapter, an unknown hyperparameter, or a value that is not allowed.
    """
    if name not in ADAPTERS:
        raise InvalidHyperparameters(
            f"model.adapter is {name!r}; allowed: {', '.join(sorted(ADAPTERS))}. Name one of them, or "
            "register yours in truthloop_batch.adapters."
        )
    known = [field.name for field in fields(ADAPTERS[name])]
    unknown = sorted(set(hyperparameters) - set(known))
    if unknown:
        raise InvalidHyperparameters(
            f"model.hyperparameters has the unknown keys {', '.join(unknown)}; the adapter {name} knows "
            f"{', '.join(known)}. Remove or rename them."
        )
    adapter: Adapter = ADAPTERS[name](**hyperparameters)
    return adapter
