"""Masks: workers' PNGs are decoded exactly, every pixel is voted on, and the result becomes PNGs again.

The vote weighs each worker by their skill, as Dawid and Skene's model (1979) does with one parameter a
worker, the part of pixels that they get right ("one coin"); full confusion matrices were worse on simulated
crowds, because the many pixels of one slip look like a habit. Three things differ from a vote on independent
questions:

- Only pixels that at least one worker gave a category are questions; the background that all agree on would
  make everybody look skilled, as Warfield et al. (2004) note for their STAPLE algorithm.
- Pixels of an object are anything but independent, so that all of them together weigh as few answers.
- There are few different combinations of answers; they are counted once, and expectation-maximisation runs on
  the counts, with the same result as on the pixels.

A category's confidence is the IoU that its region is expected to have with the truth, from the pixels'
probabilities. People err at the same edges, so a worker's pixel counts for less than one full answer; on
simulated crowds of two to five the mean confidence is then within 0.06 of the mean IoU with the truth.

References
----------
A. P. Dawid, A. M. Skene (1979). Maximum likelihood estimation of observer error-rates using the EM algorithm.
    Applied Statistics 28(1), 20-28. https://doi.org/10.2307/2346806
S. K. Warfield, K. H. Zou, W. M. Wells (2004). Simultaneous truth and performance level estimation (STAPLE).
    IEEE Transactions on Medical Imaging 23(7), 903-921. https://doi.org/10.1109/TMI.2004.828354
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from truthloop.consolidation.skills import Evidence
from truthloop.palette import BACKGROUND, WHITE, color, rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray

BACKGROUND_INDEX = 0

# The largest image that Ground Truth shows:
# https://docs.aws.amazon.com/sagemaker/latest/dg/input-data-limits.html
PIXELS_MAXIMUM = 100_000_000
# Pixels of a colour that the answer doesn't name, as edges get that were smoothed or resized.
UNMATCHED_MAXIMUM = 0.001
_OPAQUE_MINIMUM = 128
_PNG_HEADER = struct.Struct(">8sI4sII")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# The type and the checksum of the last chunk, which is always empty.
_PNG_END = b"IEND\xaeB`\x82"
# Modes with at most 8 bits a channel; Pillow cuts off others' values.
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")
_ENTRIES = 256

# What is believed of a worker before the first mask, and how many answers that belief weighs.
_INITIAL_RIGHT = 0.8
_STRENGTH = 10.0
# How many answers all pixels of one object weigh together.
_OBJECT_WEIGHT = 10.0
# The part of an answer that a worker's pixel counts for.
_INDEPENDENCE = 0.7
_ITERATIONS_MAXIMUM = 50
_CHANGE_MINIMUM = 1e-6
# Votes this close are a tie; the difference is rounding.
_TIE = 1e-9

# The keys of counts.
_MASKS, _RIGHT = "masks", "right"


class UnreadableMask(ValueError):
    """A PNG is not the mask of its answer; the text says why."""


@dataclass(frozen=True)
class Mask:
    """The category of every pixel: 0 for the background, i for the category i - 1; kept compressed."""

    height: int
    width: int
    packed: bytes

    @classmethod
    def of(cls, indices: NDArray[np.uint8]) -> Mask:
        """From an array [height, width]."""
        height, width = indices.shape
        return cls(height, width, _pack(indices))

    def indices(self) -> NDArray[np.uint8]:
        """The array [height, width], read-only."""
        return np.frombuffer(zlib.decompress(self.packed), np.uint8).reshape(self.height, self.width)


@dataclass(frozen=True)
class ConsolidatedMask:
    """One object's mask.

    Attributes
    ----------
    indices
        [height, width], as in `Mask`.
    confidences
        For the background and each category that the mask has: the IoU to be expected with the truth.
    evidence
        By worker, when there were several.
    """

    indices: NDArray[np.uint8]
    confidences: Mapping[int, float]
    evidence: Mapping[str, Evidence]


def decode(png: bytes, colors: Mapping[str, int], height: int, width: int) -> Mask:
    """Read a worker's PNG: palette, grey, RGB or RGBA, with or without tRNS.

    What is more transparent than opaque, and what is white, is background.

    Parameters
    ----------
    colors
        The index of each colour, `#rrggbb` in lower case, from 1.
    height, width
        Of the image that was shown.

    Raises
    ------
    UnreadableMask
        When the file is no whole PNG, has another size or more pixels than an image may have, or more than a
        thousandth of its pixels have a colour that isn't named.
    """
    # Before anything is decompressed: what a few bytes say of themselves is no reason to allocate gigabytes.
    _check_header(png, height, width)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
                if image.mode not in _MODES:
                    raise UnreadableMask(f"the PNG has the mode {image.mode}; allowed: 8 bits a channel")
                pixels = np.asarray(image.convert("RGBA"))
    except (OSError, SyntaxError, ValueError, EOFError, zlib.error, struct.error) as error:
        if isinstance(error, UnreadableMask):
            raise
        raise UnreadableMask(f"the PNG cannot be decoded: {error}") from error
    return Mask.of(_classify(pixels, colors))


def _check_header(png: bytes, height: int, width: int) -> None:
    if len(png) < _PNG_HEADER.size or not png.startswith(_PNG_SIGNATURE):
        raise UnreadableMask("the file is not a PNG")
    if not png.endswith(_PNG_END):
        raise UnreadableMask("the PNG cannot be decoded: its end is missing")
    _, _, _, found_width, found_height = _PNG_HEADER.unpack_from(png)
    if (found_width, found_height) != (width, height):
        raise UnreadableMask(
            f"the PNG has {found_width} x {found_height} pixels; allowed: {width} x {height}, "
            "the image's size"
        )
    if found_width * found_height > PIXELS_MAXIMUM:
        raise UnreadableMask(
            f"the PNG has {found_width} x {found_height} pixels; allowed: at most {PIXELS_MAXIMUM}"
        )


def _classify(pixels: NDArray[np.uint8], colors: Mapping[str, int]) -> NDArray[np.uint8]:
    """The index of each pixel [height, width] of RGBA values [height, width, 4]."""
    wide = pixels.astype(np.uint32)
    codes = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    background = (pixels[..., 3] < _OPAQUE_MINIMUM) | (codes == _code(WHITE))
    indices = np.zeros(codes.shape, np.uint8)
    matched = background.copy()
    for name, index in colors.items():
        of_color = ~background & (codes == _code(name))
        indices[of_color] = index
        matched |= of_color
    unmatched = matched.size - int(np.count_nonzero(matched))
    if unmatched > UNMATCHED_MAXIMUM * matched.size:
        row, column = np.argwhere(~matched)[0]
        raise UnreadableMask(
            f"{unmatched} of {matched.size} pixels have a colour that labelMappings lacks, such as "
            f"#{codes[row, column]:06x} at row {row}, column {column}; allowed: at most "
            f"{UNMATCHED_MAXIMUM:.1%}"
        )
    return indices


def _code(name: str) -> int:
    red, green, blue = rgb(name)
    return red << 16 | green << 8 | blue


def consolidate(
    answers: Mapping[str, Sequence[tuple[str, Mask]]],
    categories: int,
    known: Mapping[str, Mapping[str, float]] | None = None,
) -> Mapping[str, ConsolidatedMask]:
    """Vote on the masks of a batch; the result is the same for any order of the answers.

    Parameters
    ----------
    answers
        For each object at least one pair (worker, mask), one per worker, all of one size.
    categories
        Number of categories.
    known
        By worker the sums of this function's evidence from earlier batches.

    Returns
    -------
    The objects by name, sorted; each mask is made when it is asked for, so that one is in memory at a time.
    """
    questions = {name: _Question(dict(sorted(given)), categories) for name, given in sorted(answers.items())}
    return _Consolidation(questions, known or {}, categories)


class _Question:
    """The masks of one object as the combinations of answers that occur in it.

    Attributes
    ----------
    workers
        Their ids, sorted.
    patterns
        [combinations, workers]: the index that each worker gave; the first row is what nobody drew on.
    pixels
        [combinations]: how many pixels have each.
    """

    def __init__(self, masks: Mapping[str, Mask], categories: int) -> None:
        self.workers = tuple(masks)
        first = next(iter(masks.values()))
        self._shape = (first.height, first.width)
        drawn = np.zeros(self._shape, bool)
        for mask in masks.values():
            drawn |= mask.indices() != BACKGROUND_INDEX
        # Numbered anew after each worker, so that no number of workers and categories is too large to count
        # in.
        codes = np.zeros(np.count_nonzero(drawn), np.int64)
        columns: list[NDArray[np.int64]] = []
        for mask in masks.values():
            combined = codes * (categories + 1) + mask.indices()[drawn]
            found, codes = np.unique(combined, return_inverse=True)
            columns = [column[found // (categories + 1)] for column in columns]
            columns.append(found % (categories + 1))
        drawn_patterns = np.stack(columns, axis=1)
        nothing = np.zeros((1, len(self.workers)), np.int64)
        self.patterns = np.concatenate([nothing, drawn_patterns])
        self.pixels = np.concatenate([[drawn.size - codes.size], np.bincount(codes, minlength=len(found))])
        numbers = np.zeros(self._shape, np.uint32)
        numbers[drawn] = codes + 1
        self._numbers = _pack(numbers)

    @property
    def weights(self) -> NDArray[np.float64]:
        """[combinations]: what they count for in the estimation of skills; that of what nobody drew is 0."""
        weights = self.pixels.astype(np.float64)
        weights[0] = 0.0
        drawn = weights.sum()
        return weights * (_OBJECT_WEIGHT / drawn) if drawn else weights

    def spread(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The pixels [height, width] that have a value for each combination."""
        numbers = np.frombuffer(zlib.decompress(self._numbers), np.uint32)
        return values[numbers].reshape(self._shape)


class _Consolidation(Mapping[str, ConsolidatedMask]):
    """The consolidated masks by object; see `consolidate`."""

    def __init__(
        self, questions: Mapping[str, _Question], known: Mapping[str, Mapping[str, float]], categories: int
    ) -> None:
        self._questions = questions
        self._known = known
        self._classes = categories + 1
        workers = {worker for question in questions.values() for worker in question.workers}
        self._right = dict.fromkeys(sorted(workers | set(known)), _INITIAL_RIGHT)
        self._probabilities = {
            name: np.stack([(each.patterns == index).mean(axis=1) for index in range(self._classes)], axis=1)
            for name, each in questions.items()
        }
        for _ in range(_ITERATIONS_MAXIMUM):
            self._maximise()
            before = self._probabilities
            self._probabilities = {
                name: _softmax(self._votes(name, before[name])) for name in self._questions
            }
            changes = (np.abs(before[name] - self._probabilities[name]).max() for name in self._questions)
            if max(changes, default=0.0) < _CHANGE_MINIMUM:
                break

    def __iter__(self) -> Iterator[str]:
        return iter(self._questions)

    def __len__(self) -> int:
        return len(self._questions)

    def __getitem__(self, name: str) -> ConsolidatedMask:
        question = self._questions[name]
        votes = self._votes(name, self._probabilities[name])
        # The first of equals: the background, then the categories in their order.
        chosen = np.argmax(votes >= votes.max(axis=1, keepdims=True) - _TIE, axis=1).astype(np.uint8)
        return ConsolidatedMask(
            indices=question.spread(chosen),
            confidences=_expected_ious(_softmax(votes), chosen, question.pixels),
            evidence=self._evidence(name, chosen) if len(question.workers) > 1 else {},
        )

    def _maximise(self) -> None:
        right = {worker: counts.get(_RIGHT, 0.0) * _OBJECT_WEIGHT for worker, counts in self._known.items()}
        asked = {worker: counts.get(_MASKS, 0.0) * _OBJECT_WEIGHT for worker, counts in self._known.items()}
        for name, question in self._questions.items():
            # Alone, a worker agrees with nobody but themselves.
            if len(question.workers) > 1:
                for worker, share in self._shares_right(name).items():
                    right[worker] = right.get(worker, 0.0) + share * _OBJECT_WEIGHT
                    asked[worker] = asked.get(worker, 0.0) + _OBJECT_WEIGHT
        crowd = _shrink(sum(right.values()), sum(asked.values()), _INITIAL_RIGHT)
        self._right = {
            worker: _shrink(right.get(worker, 0.0), asked.get(worker, 0.0), crowd) for worker in self._right
        }

    def _shares_right(self, name: str) -> dict[str, float]:
        """For each worker the expected part of the drawn pixels that is right; none when nobody drew."""
        question = self._questions[name]
        weights = question.weights
        if not weights.any():
            return {}
        rows = np.arange(len(weights))
        probabilities = self._probabilities[name]
        return {
            worker: float(weights @ probabilities[rows, question.patterns[:, column]]) / _OBJECT_WEIGHT
            for column, worker in enumerate(question.workers)
        }

    def _votes(self, name: str, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """The logarithm of how probable each class of each combination is [combinations, classes]."""
        question = self._questions[name]
        shares = question.weights @ probabilities + 1
        votes = np.repeat(np.log(shares / shares.sum())[None], len(question.patterns), axis=0)
        for column, worker in enumerate(question.workers):
            votes += self._own_vote(worker, question.patterns[:, column])
        votes *= _INDEPENDENCE
        # Nobody saw anything there.
        votes[0] = -np.inf
        votes[0, BACKGROUND_INDEX] = 0.0
        return votes

    def _own_vote(self, worker: str, answers: NDArray[np.int64]) -> NDArray[np.float64]:
        """What one worker's answers add to the votes [combinations, classes]."""
        right = self._right[worker]
        wrong = (1 - right) / (self._classes - 1)
        return np.asarray(
            np.where(answers[:, None] == np.arange(self._classes), np.log(right), np.log(wrong))
        )

    def _evidence(self, name: str, chosen: NDArray[np.uint8]) -> dict[str, Evidence]:
        question = self._questions[name]
        right = self._shares_right(name)
        return {
            worker: Evidence(
                _mean_iou(question.patterns[:, column], chosen, question.pixels, self._classes),
                {_MASKS: 1.0, _RIGHT: right[worker]} if right else {},
            )
            for column, worker in enumerate(question.workers)
        }


def palette_png(indices: NDArray[np.uint8]) -> bytes:
    """A palette PNG as Ground Truth writes masks: 0 is the background, i the category i - 1, rest white."""
    palette = bytearray(rgb(WHITE) * _ENTRIES)
    for index in range(1, int(np.max(indices)) + 1):
        palette[index * 3 : index * 3 + 3] = bytes(rgb(color(index - 1)))
    image = Image.fromarray(indices)
    image.putpalette(palette)
    return _png(image)


def read_palette(png: bytes, color_map: object, label_categories: Sequence[str]) -> NDArray[np.uint8]:
    """The category of every pixel [height, width], 0 for the background, of a palette PNG that is a label.

    Parameters
    ----------
    color_map
        The label's `internal-color-map`, which says what the PNG's indices mean; None for one in which the
        index i is the category i - 1.

    Raises
    ------
    UnreadableMask
        When the file is another kind of image, or has pixels of an index that means no category.
    """
    meanings = _meanings(color_map, label_categories)
    width, height = _size_of(png)
    _check_header(png, height, width)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
                if image.mode not in ("P", "L"):
                    raise UnreadableMask(f"the PNG has the mode {image.mode}; allowed: a palette")
                found = np.asarray(image)
    except (OSError, SyntaxError, ValueError, EOFError, zlib.error, struct.error) as error:
        if isinstance(error, UnreadableMask):
            raise
        raise UnreadableMask(f"the PNG cannot be decoded: {error}") from error
    unknown = sorted({int(index) for index in np.unique(found)} - set(meanings))
    if unknown:
        raise UnreadableMask(
            f"the PNG has pixels of the indices {unknown[:3]}, which mean no category; allowed: "
            f"{', '.join(map(str, sorted(meanings)))}"
        )
    table = np.zeros(_ENTRIES, np.uint8)
    for index, category in meanings.items():
        table[index] = category
    return np.asarray(table[found])


def mean_iou(one: Mask, other: Mask) -> float:
    """The mean IoU of two masks over the categories that either has; 1 when neither has any.

    Masks of different sizes have nothing in common.
    """
    if (one.height, one.width) != (other.height, other.width):
        return 0.0
    first, second = one.indices(), other.indices()
    ious = []
    for index in np.union1d(np.unique(first), np.unique(second)):
        if index != BACKGROUND_INDEX:
            both = int(np.count_nonzero((first == index) & (second == index)))
            ious.append(both / int(np.count_nonzero((first == index) | (second == index))))
    return float(np.mean(ious)) if ious else 1.0


def _meanings(color_map: object, label_categories: Sequence[str]) -> dict[int, int]:
    """What each index of a PNG means: 0 for the background, i for the category i - 1."""
    if color_map is None:
        return {index: index for index in range(min(len(label_categories) + 1, _ENTRIES))}
    meanings = {BACKGROUND_INDEX: BACKGROUND_INDEX}
    for text, entry in (color_map if isinstance(color_map, dict) else {}).items():
        name = entry.get("class-name") if isinstance(entry, dict) else None
        if not str(text).isdigit() or not BACKGROUND_INDEX <= int(text) < _ENTRIES:
            raise UnreadableMask(f"internal-color-map has the index {text!r}; allowed: 0..{_ENTRIES - 1}")
        if name == BACKGROUND:
            meanings[int(text)] = BACKGROUND_INDEX
        elif name in label_categories:
            meanings[int(text)] = label_categories.index(name) + 1
        else:
            raise UnreadableMask(f"internal-color-map names {name!r}, which is no category")
    return meanings


def _size_of(png: bytes) -> tuple[int, int]:
    if len(png) < _PNG_HEADER.size:
        raise UnreadableMask("the file is not a PNG")
    _, _, _, width, height = _PNG_HEADER.unpack_from(png)
    return width, height


def overlay_png(indices: NDArray[np.uint8]) -> bytes:
    """An RGBA PNG to be laid over the image: categories in their colours, the background transparent."""
    colors = np.zeros((int(np.max(indices)) + 1, 4), np.uint8)
    for index in range(1, len(colors)):
        colors[index] = (*rgb(color(index - 1)), 255)
    return _png(Image.fromarray(colors[indices]))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _expected_ious(
    probabilities: NDArray[np.float64], chosen: NDArray[np.uint8], pixels: NDArray[np.int64]
) -> dict[int, float]:
    """For each class that was chosen: expected intersection by expected union of its region and the truth."""
    result = {}
    for index in np.unique(chosen):
        inside = chosen == index
        expected = probabilities[:, index] * pixels
        union = pixels[inside].sum() + expected[~inside].sum()
        result[int(index)] = float(expected[inside].sum() / union) if union else 1.0
    return result


def _mean_iou(
    one: NDArray[np.int64], other: NDArray[np.uint8], pixels: NDArray[np.int64], classes: int
) -> float:
    """The mean IoU over the categories that either has, 1 when neither has any."""
    ious = []
    for index in range(1, classes):
        union = pixels[(one == index) | (other == index)].sum()
        if union:
            ious.append(pixels[(one == index) & (other == index)].sum() / union)
    return float(np.mean(ious)) if ious else 1.0


def _softmax(votes: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(votes - votes.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _shrink(count: float, total: float, prior: float) -> float:
    return (count + _STRENGTH * prior) / (total + _STRENGTH)


def _pack(values: NDArray[np.uint8] | NDArray[np.uint32]) -> bytes:
    return zlib.compress(np.ascontiguousarray(values).tobytes(), 1)
