"""Semantic segmentation: a worker sees one image and paints every pixel that belongs to a category."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from truthloop import palette, tasks
from truthloop.labels import MASK
from truthloop.manifest import SOURCE_REF
from truthloop.task_types import (
    ConsolidatedLabel,
    ConsolidationHelp,
    InvalidDataObject,
    MalformedAnswer,
)

# The numerics come with a layer of the one function that consolidates, so no other function may import them.
if TYPE_CHECKING:
    from truthloop.consolidation.masks import Mask

LABEL_KIND = MASK
# https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
METADATA_TYPE = "groundtruth/semantic-segmentation"
ANSWER_NAME = "crowd-semantic-segmentation"
SOURCE_KEY = SOURCE_REF

_NO_HELP = ConsolidationHelp()
_PNG = "image/png"
_BACKGROUND_INDEX = "0"
_ALLOWED = '{"labeledImage": {"pngImageData": "<base64>"}, "labelMappings": {…}, "inputImageProperties": {…}}'


def task_input(
    data_object: Mapping[str, Any],
    label_categories: Sequence[str],
    label_attribute: str = "label-ref",
    instructions: str = "",
) -> dict[str, Any]:
    """The image's S3 URI and the labels; `suggestion` is {"src", "labelMappings": {label: {"color"}}}."""
    uri, metadata = tasks.suggested(data_object, label_attribute)
    suggestion = None
    if uri is not None:
        mappings = _label_mappings(metadata)
        if not isinstance(uri, str) or mappings is None:
            raise InvalidDataObject(
                f"the mask to begin with cannot be shown: {uri!r} with the internal-color-map "
                f"{metadata.get('internal-color-map')!r}. Correct or remove {label_attribute}."
            )
        suggestion = {"src": uri, "labelMappings": mappings}
    return tasks.task(data_object, SOURCE_KEY, label_categories, instructions, suggestion)


def read_answer(content: Any, label_categories: Sequence[str]) -> Mask:
    """The mask, from `{"crowd-semantic-segmentation": {"labeledImage": {"pngImageData": "…"}, …}}`."""
    from truthloop.consolidation import masks

    height, width = tasks.image_size(content, ANSWER_NAME)
    mappings = tasks.part_of(content, f"{ANSWER_NAME}.labelMappings", dict, _ALLOWED)
    encoded = tasks.part_of(content, f"{ANSWER_NAME}.labeledImage.pngImageData", str, _ALLOWED)
    colors = _colors(mappings, label_categories)
    try:
        png = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedAnswer(f"pngImageData is not base64: {error}") from error
    try:
        return masks.decode(png, colors, height, width)
    except masks.UnreadableMask as error:
        raise MalformedAnswer(str(error)) from error


def consolidate(
    answers: Mapping[str, Sequence[tuple[str, Mask]]],
    label_categories: Sequence[str],
    help: ConsolidationHelp = _NO_HELP,
) -> dict[str, ConsolidatedLabel]:
    """The URIs of palette PNGs; `overlay-ref` is RGBA; `consolidation.masks` defines `confidence`."""
    from truthloop.consolidation import masks

    sorted_out = {name: tasks.of_one_size(given) for name, given in answers.items()}
    kept = {name: given for name, (given, _) in sorted_out.items()}
    labels = {}
    for name, mask in masks.consolidate(kept, len(label_categories), help.skills).items():
        labels[name] = ConsolidatedLabel(
            value=help.store(f"{name}.png", masks.palette_png(mask.indices), _PNG),
            metadata={
                "internal-color-map": {
                    str(index): _entry(index, confidence, label_categories)
                    for index, confidence in mask.confidences.items()
                },
                "overlay-ref": help.store(f"{name}.overlay.png", masks.overlay_png(mask.indices), _PNG),
            },
            evidence=mask.evidence,
            rejected=sorted_out[name][1],
        )
    return labels


def _entry(index: int, confidence: float, label_categories: Sequence[str]) -> dict[str, Any]:
    name, color = (
        (label_categories[index - 1], palette.color(index - 1))
        if index
        else (palette.BACKGROUND, palette.WHITE)
    )
    return {"class-name": name, "hex-color": color, "confidence": tasks.rounded(confidence)}


def _label_mappings(metadata: Mapping[str, Any]) -> dict[str, dict[str, str]] | None:
    """`labelMappings` of an internal-color-map without its background, None when it has another form."""
    entries = metadata.get("internal-color-map")
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        return None
    found = {
        entry.get("class-name"): entry.get("hex-color")
        for index, entry in entries.items()
        if index != _BACKGROUND_INDEX
    }
    if not all(isinstance(text, str) for item in found.items() for text in item):
        return None
    return {str(name): {"color": str(color)} for name, color in found.items()}


def _colors(mappings: Mapping[str, Any], label_categories: Sequence[str]) -> dict[str, int]:
    """The index of each colour that a worker used, from 1."""
    colors: dict[str, int] = {}
    for label, mapping in mappings.items():
        index = tasks.category_index(label, label_categories) + 1
        color = mapping.get("color") if isinstance(mapping, dict) else None
        try:
            palette.rgb(color if isinstance(color, str) else "")
        except ValueError as error:
            raise MalformedAnswer(
                f"labelMappings of {label!r}: the colour is {color!r}; allowed: #rrggbb"
            ) from error
        name = str(color).lower()
        if name == palette.WHITE:
            raise MalformedAnswer(f"labelMappings of {label!r}: white is the background's colour")
        if name in colors:
            raise MalformedAnswer(f"labelMappings has the colour {name} twice; allowed: one for each label")
        colors[name] = index
    return colors
