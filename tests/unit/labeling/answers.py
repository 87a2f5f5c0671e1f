"""Answers as the worker templates submit them, by task type, and the rows that they are about."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 12, 16
SIZE = {"height": HEIGHT, "width": WIDTH}
COLORS = ("#ff7f0e", "#2CA02C", "#1f77b4")


def one(widget: str, label: Any) -> dict[str, Any]:
    return {widget: {"label": label}}


def several(labels: Any) -> dict[str, Any]:
    return {"crowd-image-classifier-multi-select": {"labels": labels}}


def box(label: Any, left: Any = 2, top: Any = 3, width: Any = 6, height: Any = 5) -> dict[str, Any]:
    return {"label": label, "left": left, "top": top, "width": width, "height": height}


def boxes(*drawn: Any, size: Any = SIZE, **keys: Any) -> dict[str, Any]:
    return {"boundingBox": {"boundingBoxes": list(drawn), "inputImageProperties": size, **keys}}


def indices(*regions: tuple[int, slice, slice], height: int = HEIGHT, width: int = WIDTH) -> Any:
    """[height, width]: 0 but for the regions (index, rows, columns)."""
    drawn = np.zeros((height, width), np.uint8)
    for index, rows, columns in regions:
        drawn[rows, columns] = index
    return drawn


def rgba(drawn: Any, colors: Sequence[str] = COLORS) -> Any:
    """The pixels [height, width, 4] as AWS's widget colours them; the background is transparent."""
    pixels = np.zeros((*drawn.shape, 4), np.uint8)
    for index, color in enumerate(colors, start=1):
        pixels[drawn == index] = (*bytes.fromhex(color[1:]), 255)
    return pixels


def png(pixels: Any, **options: Any) -> bytes:
    """A PNG of an array or an image."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def mask(
    content: bytes | str,
    labels: Sequence[str],
    size: Any = SIZE,
    colors: Sequence[str] = COLORS,
    **keys: Any,
) -> dict[str, Any]:
    encoded = base64.b64encode(content).decode() if isinstance(content, bytes) else content
    return {
        "crowd-semantic-segmentation": {
            "labeledImage": {"pngImageData": encoded},
            "labelMappings": {label: {"color": color} for label, color in zip(labels, colors, strict=False)},
            "inputImageProperties": size,
            **keys,
        }
    }


def answer(task_type: str, labels: Sequence[str], chosen: int = 0) -> dict[str, Any]:
    """A good answer with one category: its class, the only label, a box of it, a region of it."""
    if task_type == "image-multi-label":
        return several([labels[chosen]])
    if task_type == "bounding-box":
        return boxes(box(labels[chosen]))
    if task_type == "semantic-segmentation":
        drawn = indices((chosen + 1, slice(3, 8), slice(2, 8)))
        return mask(png(rgba(drawn)), labels[:3], initialValueModified=True)
    return one(
        {"text-classification": "crowd-classifier"}.get(task_type, "crowd-image-classifier"), labels[chosen]
    )


def row(task_type: str, text: str = "I like it.") -> dict[str, Any]:
    if task_type == "text-classification":
        return {"source": text}
    return {"source-ref": "s3://images/1.png"}


def annotation(worker: str, content: Any) -> dict[str, Any]:
    """A worker's answer in a consolidation request; a text stands for itself."""
    written = content if isinstance(content, str) else json.dumps(content)
    return {"workerId": f"private.us-east-1.{worker}", "annotationData": {"content": written}}


def item(identifier: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """An object of a consolidation request with answers by worker."""
    return {
        "datasetObjectId": identifier,
        "dataObject": {"s3Uri": f"s3://images/{identifier}.png"},
        "annotations": [annotation(worker, content) for worker, content in given.items()],
    }
