"""What an auditor of stated accuracy answers: whether a label is right, and in words what is wrong with it.

An auditor compares the label that the task shows with the truth, which is the same to every auditor, and then
says so or, with the probability that accuracy leaves, the opposite.
"""

from __future__ import annotations

import base64
import io
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labeling_engine.simulated_answers import InvalidTruth

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: The inputs by which an audit's form is known.
INPUTS = ("auditDecision", "auditReason", "auditComment", "auditFix")
# Boxes are right from this F1 score on, where a true and a drawn box of one label match from this IoU on.
RIGHT_BOXES_F1, _MATCHING_IOU = 0.8, 0.5
#: Masks are right from this mean IoU on, over the labels that the truth or the mask has. Of 300 images of the
#: demo, what three annotators paint together reaches it in 99 %; with a planted mistake none is above 0.55.
RIGHT_MASK_IOU = 0.6
# Which part of the comments is Japanese.
_JAPANESE = 0.4


class UnusableAudit(ValueError):
    """The input of an audit's task is not of its form; the text says what is expected."""


@dataclass(frozen=True)
class Finding:
    """What is wrong with a label.

    Attributes
    ----------
    reason
        A reason code.
    english, japanese
        The comment.
    """

    reason: str
    english: str
    japanese: str


#: What looks at a label of one kind: the truth, the label, the categories and what reads objects in; None if
#: the label is right.
Judge = Callable[[Any, Any, Sequence[str], Callable[[str], bytes]], Finding | None]


def audit(
    accuracy: float,
    fix_rate: float,
    draw: random.Random,
    truth: Any,
    task_input: Mapping[str, Any],
    read_object: Callable[[str], bytes],
) -> dict[str, str]:
    """Return the answer to an audit's form: its inputs by their names.

    Parameters
    ----------
    accuracy
        The probability of the right verdict; else a wrong label is accepted, a right one rejected.
    fix_rate
        The probability that the category of a label of kind ``class`` is given instead of asked for.
    draw
        A stream of random numbers that belongs to this auditor and this verdict alone.
    truth
        The category, or what `labeling_engine.simulated_answers` expects for several, boxes or a mask.
    task_input
        ``kind``, ``label``, ``labels`` and ``reasons`` as the template sees them.
    read_object
        Returns an object that the template shows by its S3 URI.

    Raises
    ------
    UnusableAudit
        The task's input is not of the form of an audit's.
    InvalidTruth
        The truth is not of the form of the kind of label.
    """
    errs, fixes, speaks_japanese = (
        draw.random() >= accuracy,
        draw.random() < fix_rate,
        draw.random() < _JAPANESE,
    )
    kind, labels = task_input.get("kind"), task_input.get("labels")
    if kind not in _JUDGES:
        raise UnusableAudit(f"the task shows a label of kind {kind!r}; expected one of {sorted(_JUDGES)}")
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise UnusableAudit(f"the task shows the labels {labels!r}; expected a list of names")
    codes = _codes(task_input)
    finding = _JUDGES[kind](truth, task_input.get("label"), labels, read_object)
    if (finding is None) != errs:
        return dict(zip(INPUTS, ("accept", "", "", ""), strict=True))
    fix = ""
    if finding is None:
        finding = _imagined(kind, task_input["label"], labels, draw)
    elif fixes and kind == "class":
        fix = json.dumps({"label": truth}, ensure_ascii=False)
    reason = finding.reason if finding.reason in codes else "other" if "other" in codes else codes[0]
    comment = finding.japanese if speaks_japanese else finding.english
    return dict(zip(INPUTS, ("fix" if fix else "reject", reason, comment, fix), strict=True))


def _codes(task_input: Mapping[str, Any]) -> list[str]:
    try:
        codes = [str(reason["code"]) for reason in task_input["reasons"]]
    except (KeyError, TypeError):
        codes = []
    if not codes:
        raise UnusableAudit(
            f'the task gives the reasons {task_input.get("reasons")!r}; expected a list of {{"code": …}}'
        )
    return codes


def _imagined(kind: str, label: Any, labels: Sequence[str], draw: random.Random) -> Finding:
    """What somebody finds who takes a right label for wrong."""
    if kind == "class":
        shown = _names(label)
        other = draw.choice([name for name in labels if name not in shown] or list(labels))
        return _taken_for(other, shown)
    if kind == "classes":
        return Finding("other", "I am not sure about these labels.", "このラベルで正しいか確信が持てません。")
    return Finding("inexact", "The edges are not exact enough.", "輪郭が十分に正確ではありません。")


# Classes


def _judge_class(
    truth: Any, label: Any, labels: Sequence[str], _read: Callable[[str], bytes]
) -> Finding | None:
    if not isinstance(truth, str) or truth not in labels:
        raise InvalidTruth("one of the labels")
    shown = _names(label)
    return None if shown == [truth] else _taken_for(truth, shown)


def _judge_classes(
    truth: Any, label: Any, labels: Sequence[str], _read: Callable[[str], bytes]
) -> Finding | None:
    if not isinstance(truth, list) or not set(truth) <= set(labels):
        raise InvalidTruth("a list of some of the labels")
    shown = _names(label)
    return _difference(
        [name for name in truth if name not in shown], [name for name in shown if name not in truth]
    )


def _names(label: Any) -> list[str]:
    names = label.get("names") if isinstance(label, Mapping) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UnusableAudit(f'the task shows the label {_shortened(label)}; expected {{"names": […]}}')
    return names


def _taken_for(truth: str, shown: Sequence[str]) -> Finding:
    told = ", ".join(shown) or "nothing"
    return Finding(
        "wrong-label",
        f"This is {truth}, not {told}.",
        f"これは「{'、'.join(shown)}」ではなく「{truth}」です。" if shown else f"これは「{truth}」です。",
    )


def _difference(missing: Sequence[str], superfluous: Sequence[str]) -> Finding | None:
    """What is to be said of labels that are left out or added; None when there are neither."""
    if not missing and not superfluous:
        return None
    english, japanese = [], []
    if missing:
        english.append(f"{', '.join(missing)} is missing.")
        japanese.append(f"「{'、'.join(missing)}」が抜けています。")
    if superfluous:
        english.append(f"{', '.join(superfluous)} is not there.")
        japanese.append(f"「{'、'.join(superfluous)}」はありません。")
    reason = "wrong-label" if missing and superfluous else "missing" if missing else "superfluous"
    return Finding(reason, " ".join(english), "".join(japanese))


# Boxes


def _judge_boxes(
    truth: Any, label: Any, labels: Sequence[str], _read: Callable[[str], bytes]
) -> Finding | None:
    try:
        wanted = [_box(box) for box in truth["boxes"]]
    except (TypeError, KeyError, ValueError):
        raise InvalidTruth('an object {"boxes": [{"label", "left", "top", "width", "height"}]}') from None
    if not {name for name, _ in wanted} <= set(labels):
        raise InvalidTruth("boxes with some of the labels")
    try:
        drawn = [_box(box) for box in label["boxes"]]
    except (TypeError, KeyError, ValueError):
        raise UnusableAudit(
            f'the task shows the label {_shortened(label)}; expected {{"boxes": […]}}'
        ) from None
    matched = _matches(wanted, drawn)
    total = len(wanted) + len(drawn)
    if total == 0 or 2 * len(matched) / total >= RIGHT_BOXES_F1:
        return None
    left = [box for number, box in enumerate(wanted) if number not in matched]
    added = [box for number, box in enumerate(drawn) if number not in matched.values()]
    for name, edges in left:
        for other, others in added:
            if other != name and _iou(edges, others) >= _MATCHING_IOU:
                return Finding(
                    "wrong-label",
                    f"The {other} at {_place(edges)} is {name}.",
                    f"{_place(edges)} の「{other}」は「{name}」です。",
                )
    counts = Counter(name for name, _ in left), Counter(name for name, _ in added)
    missing, superfluous = (sorted((one - other).elements()) for one, other in (counts, counts[::-1]))
    return _difference(missing, superfluous) or Finding(
        "inexact",
        f"The box of {left[0][0]} at {_place(left[0][1])} does not fit.",
        f"{_place(left[0][1])} の「{left[0][0]}」の枠がずれています。",
    )


_Edges = tuple[float, float, float, float]


def _box(box: Mapping[str, Any]) -> tuple[str, _Edges]:
    left, top = float(box["left"]), float(box["top"])
    return str(box["label"]), (left, top, left + float(box["width"]), top + float(box["height"]))


def _matches(wanted: Sequence[tuple[str, _Edges]], drawn: Sequence[tuple[str, _Edges]]) -> dict[int, int]:
    """Return which true box each drawn box of its label matches, the best pairs first."""
    pairs = [
        (_iou(edges, others), one, other)
        for one, (name, edges) in enumerate(wanted)
        for other, (shown, others) in enumerate(drawn)
        if name == shown
    ]
    found: dict[int, int] = {}
    for iou, one, other in sorted(pairs, reverse=True):
        if iou >= _MATCHING_IOU and one not in found and other not in found.values():
            found[one] = other
    return found


def _iou(one: _Edges, other: _Edges) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((edges[2] - edges[0]) * (edges[3] - edges[1]) for edges in (one, other))
    return width * height / (areas - width * height)


def _place(edges: _Edges) -> str:
    return f"({round(edges[0])}, {round(edges[1])})"


# Masks


def _judge_mask(
    truth: Any, label: Any, labels: Sequence[str], read_object: Callable[[str], bytes]
) -> Finding | None:
    wanted = _true_mask(truth, labels)
    try:
        uri, legend = (
            str(label["overlay"]),
            {str(item["label"]): str(item["color"]) for item in label["legend"]},
        )
    except (TypeError, KeyError):
        raise UnusableAudit(
            f'the task shows the label {_shortened(label)}; expected {{"overlay", "legend": […]}}'
        ) from None
    painted = _painted(read_object(uri), legend, labels)
    if painted.shape != wanted.shape:
        raise UnusableAudit(f"the overlay {uri} has {painted.shape} pixels, the object has {wanted.shape}")
    overlaps = _overlaps(wanted, painted, len(labels))
    if not overlaps or sum(overlaps.values()) / len(overlaps) >= RIGHT_MASK_IOU:
        return None
    worst = min(overlaps, key=lambda number: (overlaps[number], number))
    return _about_area(worst, wanted, painted, labels)


def _true_mask(truth: Any, labels: Sequence[str]) -> NDArray[np.intp]:
    """Return for each pixel the number of its label from 1, 0 for none."""
    import numpy as np
    from PIL import Image

    try:
        names = list(truth["labels"])
        with Image.open(
            io.BytesIO(base64.b64decode(truth["mask"], validate=True)), formats=("PNG",)
        ) as image:
            indices = np.array(image)
        return np.array([0, *(labels.index(name) + 1 for name in names)], np.intp)[indices]
    except (TypeError, KeyError, ValueError, IndexError, OSError, SyntaxError) as error:
        raise InvalidTruth(
            f'an object {{"mask": base64 of a PNG, "labels": some of the labels}} ({error})'
        ) from None


def _painted(content: bytes, legend: Mapping[str, str], labels: Sequence[str]) -> NDArray[np.intp]:
    """Return the same of an overlay, by the colours of its legend; what is transparent is no label's."""
    import numpy as np
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            pixels = np.array(image.convert("RGBA"))
        colors = {
            labels.index(name) + 1: bytes.fromhex(color.removeprefix("#")) for name, color in legend.items()
        }
    except (ValueError, OSError, SyntaxError) as error:
        raise UnusableAudit(f"the overlay or its legend cannot be read: {error}") from None
    painted = np.zeros(pixels.shape[:2], np.intp)
    for number, color in colors.items():
        painted[(pixels[..., :3] == np.frombuffer(color, np.uint8)).all(axis=-1)] = number
    is_shown = pixels[..., 3] > 0
    if unknown := int((is_shown & (painted == 0)).sum()):
        raise UnusableAudit(f"{unknown} pixels of the overlay have colours that its legend does not name")
    return np.where(is_shown, painted, 0)


def _overlaps(wanted: NDArray[np.intp], painted: NDArray[np.intp], labels: int) -> dict[int, float]:
    """Return the IoU of each label that either mask has, by its number."""
    found = {}
    for number in range(1, labels + 1):
        union = ((wanted == number) | (painted == number)).sum()
        if union:
            found[number] = float(((wanted == number) & (painted == number)).sum() / union)
    return found


def _about_area(
    number: int, wanted: NDArray[np.intp], painted: NDArray[np.intp], labels: Sequence[str]
) -> Finding:
    """What is to be said of the label that fits least."""
    import numpy as np

    name = labels[number - 1]
    is_there, is_shown = wanted == number, painted == number
    if not is_there.any():
        instead = int(np.bincount(wanted[is_shown]).argmax())
        if instead:
            return _painted_as(labels[instead - 1], name)
        return Finding("superfluous", f"There is no {name}.", f"「{name}」はありません。")
    taken = int(np.bincount(painted[is_there]).argmax())
    if taken not in (0, number):
        return _painted_as(name, labels[taken - 1])
    if not is_shown.any():
        return Finding("missing", f"The {name} is not painted.", f"「{name}」が塗られていません。")
    return Finding(
        "inexact", f"The outline of {name} is not exact.", f"「{name}」の輪郭が正確ではありません。"
    )


def _painted_as(name: str, other: str) -> Finding:
    return Finding(
        "wrong-label",
        f"What is painted as {other} is {name}.",
        f"「{other}」として塗られている部分は「{name}」です。",
    )


_JUDGES: dict[str, Judge] = {
    "class": _judge_class,
    "classes": _judge_classes,
    "boxes": _judge_boxes,
    "mask": _judge_mask,
}


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:100] + "…"
