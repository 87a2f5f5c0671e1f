"""The registry of model adapters: a name in the campaign request, and the class behind it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from truthloop.labels import BOXES, CLASS, CLASSES, MASK
from truthloop.manifest import SOURCE, SOURCE_REF
from truthloop_batch.adapters.base import Adapter, InvalidHyperparameters

# Named, not imported: each step is a process of its own, and needs one of them.
ADAPTERS = {
    "image-classifier": ("image_classifier", "ImageClassifier"),
    "text-classifier": ("text_classifier", "TextClassifier"),
    "image-tagger": ("image_tagger", "ImageTagger"),
    "box-detector": ("box_detector", "BoxDetector"),
    "pixel-classifier": ("pixel_classifier", "PixelClassifier"),
    "onnx": ("onnx", "Onnx"),
}

# The adapter of a request that names none, by label kind and by the key that holds the rows' content.
DEFAULTS = {
    (CLASS, SOURCE_REF): "image-classifier",
    (CLASS, SOURCE): "text-classifier",
    (CLASSES, SOURCE_REF): "image-tagger",
    (BOXES, SOURCE_REF): "box-detector",
    (MASK, SOURCE_REF): "pixel-classifier",
}


def default_adapter(kind: str, source: str) -> str:
    """The name of the adapter for a label kind, and rows with `source` or `source-ref`.

    Raises
    ------
    InvalidHyperparameters
        When there is none.
    """
    if (kind, source) not in DEFAULTS:
        raise InvalidHyperparameters(
            f"model.adapter is null, and there is no adapter for the label kind {kind} of rows with "
            f"{source}; allowed: {', '.join(ADAPTERS)}, or one of your own. Name the adapter in the request."
        )
    return DEFAULTS[kind, source]


def create_adapter(name: str, hyperparameters: Mapping[str, Any], kind: str) -> Adapter:
    """The adapter of that name with its hyperparameters; those that are not given have their defaults.

    Raises
    ------
    InvalidHyperparameters
        For an unknown adapter, one that doesn't learn labels of the kind, an unknown hyperparameter, or a
        value that is not allowed.
    """
    if name not in ADAPTERS:
        raise InvalidHyperparameters(
            f"model.adapter is {name!r}; allowed: {', '.join(sorted(ADAPTERS))}. Name one of them, or "
            "register yours in truthloop_batch.adapters."
        )
    module, class_name = ADAPTERS[name]
    adapter_class = getattr(importlib.import_module(f"{__name__}.{module}"), class_name)
    if kind not in adapter_class.kinds:
        raise InvalidHyperparameters(
            f"model.adapter is {name!r}, for labels of the kind {' and '.join(adapter_class.kinds)}; "
            f"the task type's are of the kind {kind}. Name another adapter, or null for the task type's own."
        )
    known = [field.name for field in fields(adapter_class)]
    unknown = sorted(set(hyperparameters) - set(known))
    if unknown:
        raise InvalidHyperparameters(
            f"model.hyperparameters has the unknown keys {', '.join(unknown)}; the adapter {name} knows "
            f"{', '.join(known)}. Remove or rename them."
        )
    # JSON has lists where dataclasses that compare by value have tuples.
    values = {
        key: tuple(value) if isinstance(value, list) else value for key, value in hyperparameters.items()
    }
    try:
        adapter: Adapter = adapter_class(**values)
    except TypeError as error:
        raise InvalidHyperparameters(
            f"model.hyperparameters lacks a key that the adapter {name} needs: {error}. Add it."
        ) from error
    return adapter
