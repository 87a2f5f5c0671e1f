"""The label kind `mask`: each pixel of a row's image has one of the label categories, or none.

Masks are arrays of uint8 [height, width]: 0 is the background, i is the category i - 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from truthloop import palette
from truthloop.errors import InvalidManifest
from truthloop.labels import MASK
from truthloop.manifest import Row, metadata_key, row_id
from truthloop.s3 import join_uri
from truthloop_batch.adapters.base import MaskPrediction, UnreadableContent
from truthloop_batch.kinds import Evidence, counts, joined

if TYPE_CHECKING:
    from truthloop_batch.context import Context

NAME = MASK
METRIC = "mean_iou"
ROWS_AT_ONCE = 16
# Of an image's pixels, the least certain, which its scores are the means of.
UNCERTAIN_SHARE = 0.1

_CONFIDENCE_DIGITS = 6
_READING_THREADS = 16
_PALETTE_ENTRIES = 256
_PNG = "image/png"


def read_label(context: Context, row: Row) -> NDArray[np.uint8] | None:
    """The mask that the row's label refers to, [height, width], read from S3.

    The metadata's `internal-color-map` says what the entries of the PNG's palette mean; without one they
    are in the order of the categories.
    """
    uri = row.get(context.request.label_attribute)
    if uri is None:
        return None
    if not isinstance(uri, str):
        raise InvalidManifest(f"the label is {uri!r}; allowed: the S3 URI of a mask, a palette PNG")
    try:
        entries = decode_mask(context.s3.read_bytes(uri))
    except UnreadableContent as error:
        raise InvalidManifest(f"the mask {uri} cannot be read: {error}") from error
    metadata = row.get(metadata_key(context.request.label_attribute))
    meaning = _meaning(metadata, context.classes)
    mask = meaning[entries]
    if (mask < 0).any():
        entry = int(entries[mask < 0][0])
        raise InvalidManifest(
            f"the mask {uri} has pixels with the palette entry {entry}; allowed: 0 for the background, and "
            f"1 to {len(context.classes)} for the label categories, or what its internal-color-map names"
        )
    return mask.astype(np.uint8)


def targets(context: Context, rows: Sequence[Row], inputs: NDArray[Any]) -> NDArray[np.uint8]:
    """The masks in the size of the inputs' pixels: uint8 [n, height, width]; read by many threads."""
    from PIL import Image

    height, width = inputs["pixels"].shape[1:3]

    def small(row: Row) -> NDArray[np.uint8]:
        mask = Image.fromarray(context.label(row))
        return np.asarray(mask.resize((width, height), Image.Resampling.NEAREST))

    with ThreadPoolExecutor(_READING_THREADS) as threads:
        found = list(threads.map(small, rows))
    return np.array(found, dtype=np.uint8).reshape(len(rows), height, width)


def scores(predictions: Sequence[MaskPrediction]) -> dict[str, NDArray[Any]]:
    """Means over the `UNCERTAIN_SHARE` of an image's pixels whose margins are smallest.

    A pixel's margin is the lead of its most probable class over the second, the background among them. A
    mean over all pixels would follow the size of the background, which is certain everywhere; taking the
    pixels beyond a quantile is the threshold-level aggregation that Kahl et al. (2024),
    https://arxiv.org/abs/2401.08501, compare with others. Confidence and entropy are means over the same
    pixels.
    """
    table = np.empty((3, len(predictions)), dtype=np.float32)
    for number, prediction in enumerate(predictions):
        probabilities = prediction.probabilities.reshape(len(prediction.probabilities), -1)
        first, second = np.partition(probabilities, (-2, -1), axis=0)[[-1, -2]]
        lead = first - second
        size = max(1, round(UNCERTAIN_SHARE * lead.size))
        doubtful = np.argpartition(lead, size - 1)[:size]
        chosen = probabilities[:, doubtful].astype(np.float64)
        surprise = -(chosen * np.log(np.maximum(chosen, np.finfo(np.float64).tiny))).sum(axis=0)
        table[:, number] = first[doubtful].mean(), lead[doubtful].mean(), max(surprise.mean(), 0.0)
    return {
        "predicted": np.full(len(predictions), -1, np.int16),
        "confidence": table[0],
        "margin": table[1],
        "entropy": table[2],
    }


def compare(
    labels: Sequence[NDArray[np.uint8]], predictions: Sequence[MaskPrediction], classes: int
) -> Evidence:
    """The pixels per row and category, counted in the label's own size."""
    tallies = np.stack(
        [_pixels(label, prediction, classes) for label, prediction in zip(labels, predictions, strict=True)]
    )
    return {"counts": tallies}


def quality(evidence: Sequence[Evidence], classes: Sequence[str], seed: int) -> dict[str, Any]:
    """The mean over the categories of the intersection over union of all rows' pixels together.

    Everingham et al. (2015), https://doi.org/10.1007/s11263-014-0733-5, section 4.1; the background is left
    out of the mean, since it is what has no category, and so are categories that occur nowhere.
    """
    found = counts.measured(joined(evidence)["counts"], classes, counts.iou, seed)
    return {
        "quality": found["quality"],
        "interval": found["interval"],
        "macro_f1": None,
        "confusion": None,
        "per_class": found["per_class"],
    }


def log_loss(evidence: Sequence[Evidence]) -> None:
    """Not measured: neighbouring pixels aren't independent, so their sum would say little."""
    return


def agreement(label: NDArray[np.uint8], prediction: MaskPrediction, classes: int) -> float:
    """The mean intersection over union of this image's categories; 1 when neither has any."""
    return float(counts.macro(counts.iou(_pixels(label, prediction, classes).astype(np.float64))))


def label_of(context: Context, row: Row, prediction: MaskPrediction) -> tuple[str, dict[str, Any]]:
    """The mask's URI below report/masks/, and beside it an overlay with a transparent background.

    A class's confidence is the intersection over union that its pixels' probabilities let expect, as in
    `truthloop.consolidation.masks`.
    """
    from truthloop.consolidation import masks

    mask, _ = prediction.drawn(prediction.size)
    base = join_uri(context.layout.report_prefix(), "masks", row_id(row))
    context.s3.write_bytes_once(f"{base}.png", masks.palette_png(mask), _PNG)
    context.s3.write_bytes_once(f"{base}-overlay.png", masks.overlay_png(mask), _PNG)
    return f"{base}.png", {
        "internal-color-map": _color_map(context.classes, _confidences(prediction, mask)),
        "overlay-ref": f"{base}-overlay.png",
    }


def suggestion_of(context: Context, row: Row, prediction: MaskPrediction) -> tuple[str, dict[str, Any]]:
    """The mask's URI below rounds/<round>/suggestions/, for workers to correct."""
    from truthloop.consolidation import masks

    mask, _ = prediction.drawn(prediction.size)
    uri = join_uri(context.layout.round_prefix(context.round), "suggestions", f"{row_id(row)}.png")
    context.s3.write_bytes_once(uri, masks.palette_png(mask), _PNG)
    return uri, {"internal-color-map": _color_map(context.classes, _confidences(prediction, mask))}


def decode_mask(content: bytes) -> NDArray[np.uint8]:
    """The palette entries [height, width] of a mask.

    Raises
    ------
    UnreadableContent
        When it is no PNG with a palette.
    """
    from truthloop_batch.images import opened_image

    with opened_image(content) as image:
        if image.format != "PNG" or image.mode != "P":
            raise UnreadableContent(
                f"it is {image.format} of mode {image.mode}; allowed: a PNG with a palette, whose entries "
                "are the categories"
            )
        return np.array(image)


def _meaning(metadata: Any, classes: Sequence[str]) -> NDArray[np.int16]:
    """What each palette entry means: 0 for the background, i for category i - 1, -1 for nothing."""
    meaning = np.full(_PALETTE_ENTRIES, -1, dtype=np.int16)
    colors = metadata.get("internal-color-map") if isinstance(metadata, dict) else None
    if not colors:
        meaning[: len(classes) + 1] = range(len(classes) + 1)
        return meaning
    # Pixels that nobody marked are background, whether the map names it or not.
    meaning[0] = 0
    place = {palette.BACKGROUND: 0} | {label: number for number, label in enumerate(classes, 1)}
    for entry, told in colors.items():
        name = told.get("class-name") if isinstance(told, dict) else None
        if name not in place or not str(entry).isdigit() or int(entry) >= _PALETTE_ENTRIES:
            raise InvalidManifest(
                f"internal-color-map names {name!r} for the palette entry {entry}; allowed: "
                f"{palette.BACKGROUND} and the label categories, for entries from 0 to 255"
            )
        meaning[int(entry)] = place[name]
    return meaning


def _confidences(prediction: MaskPrediction, mask: NDArray[np.uint8]) -> dict[int, float]:
    """For each class of a drawn mask: the overlap with the truth that the probabilities let expect."""
    chosen = prediction.probabilities.argmax(axis=0)
    found = {}
    for number in np.unique(mask):
        probability, inside = prediction.probabilities[number].astype(np.float64), chosen == number
        union = inside.sum() + probability[~inside].sum()
        found[int(number)] = round(float(probability[inside].sum() / union), _CONFIDENCE_DIGITS)
    return found


def _color_map(classes: Sequence[str], confidences: dict[int, float]) -> dict[str, Any]:
    named = [(palette.BACKGROUND, palette.WHITE)] + [
        (label, palette.color(category)) for category, label in enumerate(classes)
    ]
    return {
        str(number): {"class-name": name, "hex-color": color, "confidence": confidences[number]}
        for number, (name, color) in enumerate(named)
        if number in confidences
    }


def _pixels(label: NDArray[np.uint8], prediction: MaskPrediction, classes: int) -> NDArray[np.int64]:
    """Hits and occurrences [3, classes], without the background."""
    predicted, _ = prediction.drawn((label.shape[1], label.shape[0]))
    hits = label[label == predicted]
    return np.stack(
        [np.bincount(each.reshape(-1), minlength=classes + 1)[1:] for each in (hits, label, predicted)]
    )
