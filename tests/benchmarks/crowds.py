"""Simulated crowds of known truth: people of stated skills answer about classes, labels, boxes and masks.

A skill is 0.55 to 0.95: for classes the part of answers that is right, for boxes and masks about the overlap
(IoU) of a worker's drawing with the truth. Mistakes are those that people make: they confuse certain classes,
overlook objects, invent some, and draw beside the edges. Every crowd follows from its seed alone.
"""

# The draws are seeded on purpose.
# ruff: noqa: S311

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from truthloop.consolidation.boxes import Box

SKILLS = (0.55, 0.65, 0.75, 0.85, 0.95)
_CONFUSED_WITH_NEIGHBOUR = 0.7
_BOX_IMAGE = 640
_BOX_SIDES = (30, 160)
_MASK_SHAPE = (96, 128)


@dataclass(frozen=True)
class Crowd:
    """Answers [(worker, answer), …] and the truth by object, and the number of classes."""

    answers: dict[str, list[tuple[str, Any]]]
    truth: dict[str, Any]
    classes: int

    def of_worker(self, worker: str) -> dict[str, Any]:
        """One worker's answers by object."""
        return {name: dict(given)[worker] for name, given in self.answers.items()}

    @property
    def workers(self) -> list[str]:
        return sorted({worker for given in self.answers.values() for worker, _ in given})


def class_crowd(objects: int, classes: int, seed: int, skills: Sequence[float] = SKILLS) -> Crowd:
    """Everyone answers everything; a mistake is mostly one of the worker's two favourite confusions."""
    draw = random.Random(seed)
    names = _names(skills)
    shifts = {name: [draw.randrange(1, classes) for _ in range(classes)] for name in names}
    truth = {_object(number): draw.randrange(classes) for number in range(objects)}
    answers: dict[str, list[tuple[str, Any]]] = {}
    for name, true in truth.items():
        answers[name] = []
        for worker, skill in zip(names, skills, strict=True):
            if draw.random() < skill:
                answer = true
            elif draw.random() < _CONFUSED_WITH_NEIGHBOUR:
                answer = (true + shifts[worker][true]) % classes
            else:
                answer = draw.choice([each for each in range(classes) if each != true])
            answers[name].append((worker, answer))
    return Crowd(answers, truth, classes)


def label_crowd(objects: int, classes: int, seed: int, skills: Sequence[float] = SKILLS) -> Crowd:
    """A quarter of all labels apply; people overlook one that does more often than they add one."""
    draw = random.Random(seed)
    truth, answers = {}, {}
    for number in range(objects):
        name = _object(number)
        truth[name] = frozenset(label for label in range(classes) if draw.random() < 0.25)
        answers[name] = [
            (
                worker,
                frozenset(
                    label
                    for label in range(classes)
                    if (draw.random() < skill if label in truth[name] else draw.random() > (2 + skill) / 3)
                ),
            )
            for worker, skill in zip(_names(skills), skills, strict=True)
        ]
    return Crowd(answers, truth, classes)


def box_crowd(objects: int, classes: int, seed: int, skills: Sequence[float] = SKILLS) -> Crowd:
    """One to nine boxes an image; people overlook, invent and confuse some, and a few edges slip far."""
    draw = random.Random(seed)
    truth = {_object(number): _box_scene(draw, classes) for number in range(objects)}
    answers = {
        name: [
            (worker, _drawn_boxes(draw, boxes, classes, skill))
            for worker, skill in zip(_names(skills), skills, strict=True)
        ]
        for name, boxes in truth.items()
    }
    return Crowd(answers, truth, classes)


def mask_crowd(objects: int, classes: int, seed: int, skills: Sequence[float] = SKILLS) -> Crowd:
    """One to four shapes an image; people draw too wide, too narrow or beside them, or miss one."""
    draw = np.random.default_rng(seed)
    truth = {_object(number): _mask_scene(draw, classes) for number in range(objects)}
    answers = {
        name: [
            (worker, _drawn_mask(draw, scene, classes, skill))
            for worker, skill in zip(_names(skills), skills, strict=True)
        ]
        for name, scene in truth.items()
    }
    return Crowd(answers, truth, classes)


def majority(answers: Mapping[str, Sequence[tuple[str, int]]], seed: int = 0) -> dict[str, int]:
    """The majority vote, ties broken at random, as in the literature."""
    draw = random.Random(seed)
    result = {}
    for name, given in answers.items():
        votes = Counter(answer for _, answer in given)
        highest = max(votes.values())
        result[name] = draw.choice(sorted(answer for answer, count in votes.items() if count == highest))
    return result


def accuracy(labels: Mapping[str, Any], truth: Mapping[str, Any]) -> float:
    """The part of objects whose label is the truth."""
    return fmean(labels[name] == true for name, true in truth.items())


def label_accuracy(labels: Mapping[str, Any], truth: Mapping[str, Any], classes: int) -> float:
    """The part of all questions, each label of each object, that are answered right."""
    return fmean(
        (label in labels[name]) == (label in true) for name, true in truth.items() for label in range(classes)
    )


@dataclass(frozen=True)
class BoxScore:
    """F1 score of boxes matched at an IoU of 0.5 within their class, and the mean IoU of those matched."""

    f1: float
    iou: float


def box_score(labels: Mapping[str, Sequence[Box]], truth: Mapping[str, Sequence[Box]]) -> BoxScore:
    """Compare the boxes of all images with the true ones."""
    ious = [iou for name, boxes in truth.items() for iou in matched_ious(labels[name], boxes)]
    drawn = sum(len(labels[name]) for name in truth)
    return BoxScore(2 * len(ious) / (drawn + sum(map(len, truth.values()))), fmean(ious or [0.0]))


def matched_ious(drawn: Sequence[Box], true: Sequence[Box]) -> list[float]:
    """The IoUs of the boxes that match a true one, the greatest first; each true box has one at most."""
    candidates = sorted(
        (
            (-one.iou(other), i, j)
            for i, one in enumerate(drawn)
            for j, other in enumerate(true)
            if one.class_id == other.class_id and one.iou(other) >= 0.5
        ),
    )
    used_drawn: set[int] = set()
    used_true: set[int] = set()
    ious = []
    for negative, i, j in candidates:
        if i not in used_drawn and j not in used_true:
            used_drawn.add(i)
            used_true.add(j)
            ious.append(-negative)
    return ious


def mean_iou(labels: Mapping[str, Any], truth: Mapping[str, Any], classes: int) -> float:
    """The mean over the categories of intersection over union, each over the pixels of all images."""
    intersections, unions = np.zeros(classes), np.zeros(classes)
    for name, true in truth.items():
        for index in range(1, classes + 1):
            one, other = labels[name] == index, true == index
            intersections[index - 1] += (one & other).sum()
            unions[index - 1] += (one | other).sum()
    present = unions > 0
    return float((intersections[present] / unions[present]).mean())


def _object(number: int) -> str:
    return f"object-{number:05d}"


def _names(skills: Sequence[float]) -> list[str]:
    return [f"worker-{number}" for number in range(len(skills))]


def _random_box(draw: random.Random, classes: int) -> Box:
    width, height = draw.uniform(*_BOX_SIDES), draw.uniform(*_BOX_SIDES)
    return Box(
        draw.randrange(classes),
        round(draw.uniform(0, _BOX_IMAGE - width)),
        round(draw.uniform(0, _BOX_IMAGE - height)),
        round(width),
        round(height),
    )


def _box_scene(draw: random.Random, classes: int) -> list[Box]:
    boxes: list[Box] = []
    for _ in range(1 + min(8, int(draw.expovariate(1 / 3)))):
        box = _random_box(draw, classes)
        if all(box.iou(other) < 0.3 for other in boxes):
            boxes.append(box)
    return boxes


def _drawn_boxes(draw: random.Random, true: Sequence[Box], classes: int, skill: float) -> list[Box]:
    drawn = []
    for box in true:
        if draw.random() > 0.5 + skill / 2:
            continue
        class_id = box.class_id if draw.random() < 0.5 + skill / 2 else draw.randrange(classes)
        spread = (0.02 + 0.18 * (1 - skill)) * (4 if draw.random() < 0.03 else 1)
        left, top, right, bottom = (
            edge + draw.gauss(0, spread) * side
            for edge, side in zip(box.edges, (box.width, box.height) * 2, strict=True)
        )
        if right - left >= 4 and bottom - top >= 4:
            drawn.append(Box(class_id, round(left), round(top), round(right - left), round(bottom - top)))
    if draw.random() < (1 - skill) * 0.8:
        drawn.append(_random_box(draw, classes))
    return drawn


def _mask_scene(draw: np.random.Generator, classes: int) -> Any:
    height, width = _MASK_SHAPE
    rows, columns = np.mgrid[:height, :width]
    scene = np.zeros(_MASK_SHAPE, np.uint8)
    for _ in range(draw.integers(1, 5)):
        down = (rows - draw.uniform(10, height - 10)) / draw.uniform(6, 26)
        across = (columns - draw.uniform(10, width - 10)) / draw.uniform(6, 26)
        shape = down**2 + across**2 < 1 if draw.random() < 0.5 else (abs(down) < 1) & (abs(across) < 1)
        scene[shape] = draw.integers(1, classes + 1)
    return scene


def _drawn_mask(draw: np.random.Generator, scene: Any, classes: int, skill: float) -> Any:
    drawn = np.zeros_like(scene)
    carelessness = 1 - skill
    reach = 0.5 + carelessness * 4
    for index in range(1, classes + 1):
        region = scene == index
        if not region.any() or draw.random() < carelessness * 0.3:
            continue
        steps = round(draw.normal(0, reach))
        region = _grown(region, steps) if steps > 0 else ~_grown(~region, -steps)
        region = _shifted(region, round(draw.normal(0, reach)), round(draw.normal(0, reach)))
        drawn[region] = index if draw.random() > carelessness * 0.3 else draw.integers(1, classes + 1)
    if draw.random() < carelessness * 0.4:
        top, left = draw.integers(0, scene.shape[0] - 20), draw.integers(0, scene.shape[1] - 20)
        height, width = draw.integers(5, 20, 2)
        drawn[top : top + height, left : left + width] = draw.integers(1, classes + 1)
    return drawn


def _grown(region: Any, steps: int) -> Any:
    for _ in range(steps):
        grown = region.copy()
        grown[1:] |= region[:-1]
        grown[:-1] |= region[1:]
        grown[:, 1:] |= region[:, :-1]
        grown[:, :-1] |= region[:, 1:]
        region = grown
    return region


def _shifted(region: Any, down: int, right: int) -> Any:
    height, width = region.shape
    moved = np.zeros_like(region)
    moved[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = region[
        max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)
    ]
    return moved
