"""Boxes: those of several workers are matched, their existence is judged, and their edges are fused.

1. Boxes of one class are matched across workers by overlap. Pairs are taken from the greatest intersection
   over union (IoU) down; two groups become one when they share no worker and their mean IoU over all pairs
   reaches the threshold. A worker has at most one box in a group, so two objects that one worker told apart
   stay two.
2. Whether a group shows something real is judged against everyone who saw the image, those who drew nothing
   included. Objects and each worker's invented boxes are taken to come as independent Poisson events; how
   often a worker finds an object and how many boxes they invent are estimated together with the groups'
   probabilities by expectation-maximisation. That is Dawid and Skene's idea (1979) for answers whose
   questions are not known beforehand: what everyone overlooks is seen by nobody, and so it is estimated from
   the overlaps, as in capture-recapture. Groups of different classes on one spot, drawn by different people,
   are rivals for it.
3. The edges of a group are fused by a weighted mean, as weighted boxes fusion does with detectors'
   confidences (Solovyev et al. 2021), but each worker's weight is the precision of their edges, learned from
   how far these are from those that the other workers' boxes give. An edge that is far from the median loses
   weight (Huber 1964), so that a slip doesn't draw the mean away.
4. The confidence is the probability that the object is real times the IoU with the truth that the edges'
   precision lets expect. On simulated crowds of two to five its mean is within 0.04 of the mean IoU of the
   boxes with the truth, boxes of nothing counted as 0; a single worker's boxes are rated by what is believed
   of an unknown worker, which says little.

References
----------
A. P. Dawid, A. M. Skene (1979). Maximum likelihood estimation of observer error-rates using the EM algorithm.
    Applied Statistics 28(1), 20-28. https://doi.org/10.2307/2346806
R. Solovyev, W. Wang, T. Gabruseva (2021). Weighted boxes fusion: ensembling boxes from different object
    detection models. Image and Vision Computing 107, 104117. https://doi.org/10.1016/j.imavis.2021.104117
P. J. Huber (1964). Robust estimation of a location parameter. Annals of Mathematical Statistics 35(1),
    73-101. https://doi.org/10.1214/aoms/1177703732
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import exp, fsum, pi, prod, sqrt

from truthloop.consolidation.skills import Evidence, pair_key

# Ground Truth does not publish its own threshold; half is what PASCAL VOC's measure calls a match.
_IOU_MINIMUM = 0.5
_EDGES = 4

# What is believed of a worker before the first image: the share of objects found, the boxes invented in an
# image; and how many objects or images that belief weighs.
_INITIAL_FOUND = 0.8
_INITIAL_INVENTED = 0.2
_STRENGTH = 10.0
# The part of a worker's invented boxes in an image that lie where somebody else invented one as well.
_COINCIDENCE = 0.05
_ITERATIONS_MAXIMUM = 60
_CHANGE_MINIMUM = 1e-6

# Errors of edges are fractions of the box's width or height. What is believed before the first box, and how
# many edges that belief weighs.
_INITIAL_ERROR = 0.05
_ERROR_STRENGTH = 20.0
# An edge farther off than this is another object's, and says nothing about precision.
_ERROR_MAXIMUM = 0.5
# No worker is believed to be better than this part of the crowd's error: a few lucky edges are no skill.
_ERROR_MINIMUM = 0.2
_ERROR_ROUNDS = 5
# Beyond so many spreads from the median an edge loses weight.
_OUTLIER = 2.0
# How many edges the workers' precision weighs against how far the edges of one group are apart.
_GROUP_STRENGTH = 4.0

# The keys of counts beside those of objects found and missed, and boxes invented.
_IMAGES, _EDGE_COUNT, _EDGE_ERROR = "images", "edges", "edge_error"
_FOUND, _MISSED, _INVENTED = pair_key(1, 1), pair_key(1, 0), pair_key(0, 1)


@dataclass(frozen=True, order=True)
class Box:
    """A box in pixels; `class_id` is an index into the label categories."""

    class_id: int
    left: float
    top: float
    width: float
    height: float

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return self.left, self.top, self.left + self.width, self.top + self.height

    def iou(self, other: Box) -> float:
        """Intersection over union with another box, 0 to 1, whatever their classes."""
        left, top, right, bottom = self.edges
        other_left, other_top, other_right, other_bottom = other.edges
        width = min(right, other_right) - max(left, other_left)
        height = min(bottom, other_bottom) - max(top, other_top)
        if width <= 0 or height <= 0:
            return 0.0
        intersection = width * height
        return intersection / (self.width * self.height + other.width * other.height - intersection)


@dataclass(frozen=True)
class FusedBox:
    """A box that the crowd holds for real.

    Attributes
    ----------
    box
        The fused box, in fractions of pixels.
    confidence
        The IoU that is to be expected with the true box, where none counts as 0; 0 to 1.
    workers
        How many people drew it.
    """

    box: Box
    confidence: float
    workers: int


@dataclass(frozen=True)
class Consolidation:
    """The boxes of each object, from the top down, and by object and worker what the answers say of them."""

    objects: dict[str, list[FusedBox]]
    evidence: dict[str, dict[str, Evidence]]


Group = Mapping[str, Box]
"""The boxes that show one thing, by the workers who drew them."""
Known = Mapping[str, Mapping[str, float]]
"""The workers' counts from earlier batches."""


def consolidate(
    answers: Mapping[str, Sequence[tuple[str, Sequence[Box]]]], known: Known | None = None
) -> Consolidation:
    """Match and fuse the boxes of a batch; the result does not depend on the order of objects and workers.

    Parameters
    ----------
    answers
        For each object at least one pair (worker, boxes), one per worker; the boxes may be none.
    known
        By worker the sums of this function's evidence from earlier batches.

    Examples
    --------
    >>> boxes = [("ann", [Box(0, 10, 10, 20, 20)]), ("bo", [Box(0, 12, 10, 20, 20)])]
    >>> [fused.box.left for fused in consolidate({"face.png": boxes}).objects["face.png"]]
    [11.0]
    """
    known = known or {}
    given = {name: dict(sorted(answers[name])) for name in sorted(answers)}
    candidates = [
        _Candidate(name, group, tuple(given[name])) for name, boxes in given.items() for group in match(boxes)
    ]
    probabilities = _Existence(
        candidates, {name: tuple(boxes) for name, boxes in given.items()}, known
    ).judge()
    judged = list(zip(candidates, probabilities, strict=True))
    real = [(candidate, probability) for candidate, probability in judged if probability >= 0.5]
    spreads = _Spreads([candidate.group for candidate, _ in real], known)

    objects: dict[str, list[FusedBox]] = {name: [] for name in given}
    for candidate, probability in real:
        box = spreads.fuse(candidate.group)
        confidence = probability * spreads.expected_iou(candidate.group, box)
        objects[candidate.name].append(FusedBox(box, confidence, len(candidate.group)))
    for boxes in objects.values():
        boxes.sort(key=lambda each: (each.box.top, each.box.left, each.box))
    return Consolidation(objects, _evidence(given, judged, objects, spreads))


def match(boxes: Mapping[str, Sequence[Box]]) -> list[Group]:
    """The groups of boxes of one class that overlap, each with at most one box of a worker."""
    drawn = sorted((box, worker) for worker, own in boxes.items() for box in own)
    group_of = list(range(len(drawn)))
    members = {number: [number] for number in group_of}
    overlaps = [
        (-iou, one, other)
        for one, other in combinations(range(len(drawn)), 2)
        if drawn[one][0].class_id == drawn[other][0].class_id
        and drawn[one][1] != drawn[other][1]
        and (iou := drawn[one][0].iou(drawn[other][0])) >= _IOU_MINIMUM
    ]
    # Equal overlaps are taken in the order of the boxes, in which nobody's place in a list has a part.
    for _, one, other in sorted(overlaps):
        first, second = sorted((group_of[one], group_of[other]))
        if first == second:
            continue
        workers = {drawn[each][1] for each in members[first]}
        if any(drawn[each][1] in workers for each in members[second]):
            continue
        if (
            _mean_iou([drawn[a][0] for a in members[first]], [drawn[b][0] for b in members[second]])
            < _IOU_MINIMUM
        ):
            continue
        for each in members[second]:
            group_of[each] = first
        members[first] += members.pop(second)
    return [
        dict(sorted((drawn[each][1], drawn[each][0]) for each in group))
        for _, group in sorted(members.items())
    ]


def _mean_iou(some: Sequence[Box], others: Sequence[Box]) -> float:
    return fsum(one.iou(other) for one in some for other in others) / (len(some) * len(others))


@dataclass(frozen=True)
class _Candidate:
    """A group of an object, and everyone who answered the object."""

    name: str
    group: Group
    workers: tuple[str, ...]

    @property
    def boxes(self) -> list[Box]:
        return list(self.group.values())

    def is_rival(self, other: _Candidate) -> bool:
        """Whether one of the two is a mistake: people who draw both a hat and a head mean both."""
        return (
            self.boxes[0].class_id != other.boxes[0].class_id
            and not self.group.keys() & other.group.keys()
            and _mean_iou(self.boxes, other.boxes) >= _IOU_MINIMUM
        )


class _Existence:
    """How probably each candidate is real, by expectation-maximisation."""

    def __init__(
        self, candidates: Sequence[_Candidate], workers_of: Mapping[str, Sequence[str]], known: Known
    ) -> None:
        self._candidates = candidates
        self._workers_of = workers_of
        self._known = known
        self._workers = sorted({worker for all_of in workers_of.values() for worker in all_of} | set(known))
        of_object: dict[str, list[int]] = {}
        for index, candidate in enumerate(candidates):
            of_object.setdefault(candidate.name, []).append(index)
        self._rivals: list[list[int]] = [[] for _ in candidates]
        for indices in of_object.values():
            for one, other in combinations(indices, 2):
                if candidates[one].is_rival(candidates[other]):
                    self._rivals[one].append(other)
                    self._rivals[other].append(one)
        self._objects_per_image = 1.0
        self._found = dict.fromkeys(self._workers, _INITIAL_FOUND)
        self._invented = dict.fromkeys(self._workers, _INITIAL_INVENTED)

    def judge(self) -> list[float]:
        """The probabilities, in the order of the candidates."""
        probabilities = [
            len(each.group) / len(each.workers) if len(each.workers) > 1 else _INITIAL_FOUND
            for each in self._candidates
        ]
        for _ in range(_ITERATIONS_MAXIMUM):
            self._maximise(probabilities)
            before, probabilities = probabilities, self._expect()
            if max(map(_distance, before, probabilities), default=0.0) < _CHANGE_MINIMUM:
                break
        return probabilities

    def _maximise(self, probabilities: Sequence[float]) -> None:
        real = dict.fromkeys(self._workers_of, 0.0)
        found, invented = dict.fromkeys(self._workers, 0.0), dict.fromkeys(self._workers, 0.0)
        for candidate, probability in zip(self._candidates, probabilities, strict=True):
            real[candidate.name] += probability
            # Alone, a worker agrees with nobody but themselves.
            for worker in candidate.group if len(candidate.workers) > 1 else ():
                found[worker] += probability
                invented[worker] += 1 - probability
        objects, images = dict.fromkeys(self._workers, 0.0), dict.fromkeys(self._workers, 0.0)
        for name, workers in self._workers_of.items():
            real[name] += self._objects_per_image * prod(1 - self._found[worker] for worker in workers)
            for worker in workers if len(workers) > 1 else ():
                objects[worker] += real[name]
                images[worker] += 1
        self._objects_per_image = (fsum(real.values()) + 1) / (len(real) + 1)
        for worker, counts in self._known.items():
            found[worker] += counts.get(_FOUND, 0.0)
            objects[worker] += counts.get(_FOUND, 0.0) + counts.get(_MISSED, 0.0)
            invented[worker] += counts.get(_INVENTED, 0.0)
            images[worker] += counts.get(_IMAGES, 0.0)
        found_by_all = _shrink(fsum(found.values()), fsum(objects.values()), _INITIAL_FOUND)
        invented_by_all = _shrink(fsum(invented.values()), fsum(images.values()), _INITIAL_INVENTED)
        for worker in self._workers:
            self._found[worker] = _shrink(found[worker], objects[worker], found_by_all)
            self._invented[worker] = _shrink(invented[worker], images[worker], invented_by_all)

    def _expect(self) -> list[float]:
        odds = [self._odds(candidate) for candidate in self._candidates]
        return [
            each / (1 + each + fsum(odds[rival] for rival in rivals))
            for each, rivals in zip(odds, self._rivals, strict=True)
        ]

    def _odds(self, candidate: _Candidate) -> float:
        """How much more often an object than an invention leads to a box by exactly these workers."""
        odds = self._objects_per_image / _COINCIDENCE ** (len(candidate.group) - 1)
        for worker in candidate.workers:
            found = self._found[worker]
            odds *= found / self._invented[worker] if worker in candidate.group else 1 - found
        return odds


class _Spreads:
    """How far each worker's edges are from where they belong, as a part of the box's width or height."""

    def __init__(self, groups: Sequence[Group], known: Known) -> None:
        workers = sorted({worker for group in groups for worker in group} | set(known))
        self._known = {
            worker: (counts.get(_EDGE_COUNT, 0.0), counts.get(_EDGE_ERROR, 0.0))
            for worker in workers
            for counts in [known.get(worker, {})]
        }
        self._variances = dict.fromkeys(workers, _INITIAL_ERROR**2)
        shared = [group for group in groups if len(group) > 1]
        for _ in range(_ERROR_ROUNDS):
            self._learn(shared)

    def _learn(self, groups: Sequence[Group]) -> None:
        edges = {worker: count for worker, (count, _) in self._known.items()}
        error = {worker: total for worker, (_, total) in self._known.items()}
        for group in groups:
            for worker, errors in self.errors(group).items():
                edges[worker] += len(errors)
                error[worker] += fsum(errors)
        crowd = _shrink(
            max(fsum(error.values()), 0.0), fsum(edges.values()), _INITIAL_ERROR**2, _ERROR_STRENGTH
        )
        self._variances = {
            worker: max(
                _shrink(error[worker], edges[worker], crowd, _ERROR_STRENGTH), _ERROR_MINIMUM**2 * crowd
            )
            for worker in edges
        }

    def errors(self, group: Group) -> dict[str, list[float]]:
        """For each worker the squared errors of the four edges, as the others' boxes show them.

        The others' own error is subtracted, so a single value may be negative; their mean is not biased.
        """
        result = {}
        for worker, box in group.items():
            others = {other: each for other, each in group.items() if other != worker}
            if others:
                reference = self.fuse(others)
                uncertainty = 1 / fsum(self._precisions(others))
                result[worker] = [
                    min(each, _ERROR_MAXIMUM) ** 2 - uncertainty for each in _edge_errors(box, reference)
                ]
        return result

    def fuse(self, group: Group) -> Box:
        """One box of a group's boxes."""
        boxes = list(group.values())
        precisions = self._precisions(group)
        width = fsum(box.width for box in boxes) / len(boxes)
        height = fsum(box.height for box in boxes) / len(boxes)
        left, top, right, bottom = (
            _robust_mean([box.edges[edge] for box in boxes], precisions, side)
            for edge, side in enumerate((width, height, width, height))
        )
        return Box(boxes[0].class_id, left, top, right - left, bottom - top)

    def expected_iou(self, group: Group, fused: Box) -> float:
        """The IoU with the truth that the workers' precision and their boxes' distance let expect."""
        precisions = self._precisions(group)
        apart = fsum(
            precision * error**2
            for box, precision in zip(group.values(), precisions, strict=True)
            for error in _edge_errors(box, fused)
        )
        scale = (_GROUP_STRENGTH + apart) / (_GROUP_STRENGTH + _EDGES * (len(group) - 1))
        variance = scale / fsum(precisions)
        # Each edge that is off by a part of the side costs that part of the IoU; sqrt(2 / pi) standard
        # deviations is the mean distance of a normally distributed edge.
        return exp(-_EDGES * sqrt(2 * variance / pi))

    def _precisions(self, group: Group) -> list[float]:
        return [1 / self._variances[worker] for worker in group]


def _evidence(
    given: Mapping[str, Mapping[str, Sequence[Box]]],
    judged: Sequence[tuple[_Candidate, float]],
    objects: Mapping[str, Sequence[FusedBox]],
    spreads: _Spreads,
) -> dict[str, dict[str, Evidence]]:
    counts = {
        name: {worker: {_IMAGES: 1.0} for worker in workers}
        for name, workers in given.items()
        if len(workers) > 1
    }
    for candidate, probability in judged:
        of_object = counts.get(candidate.name)
        if of_object is None:
            continue
        errors = spreads.errors(candidate.group) if probability >= 0.5 else {}
        for worker, own in of_object.items():
            if worker in candidate.group:
                _count(own, _FOUND, probability)
                _count(own, _INVENTED, 1 - probability)
            else:
                _count(own, _MISSED, probability)
            if worker in errors:
                _count(own, _EDGE_COUNT, len(errors[worker]))
                _count(own, _EDGE_ERROR, fsum(errors[worker]))
    return {
        name: {
            worker: Evidence(agreement(given[name][worker], [fused.box for fused in objects[name]]), own)
            for worker, own in of_object.items()
        }
        for name, of_object in counts.items()
    }


def agreement(drawn: Sequence[Box], label: Sequence[Box]) -> float:
    """How far one worker's boxes are the label's: the F1 score of matches, 0 to 1."""
    if not drawn and not label:
        return 1.0
    pairs_found = sum(len(group) == 2 for group in match({"drawn": drawn, "label": label}))
    return 2 * pairs_found / (len(drawn) + len(label))


def _count(counts: dict[str, float], key: str, value: float) -> None:
    counts[key] = counts.get(key, 0.0) + value


def _shrink(count: float, total: float, prior: float, strength: float = _STRENGTH) -> float:
    """The share count / total, drawn towards the prior by `strength` further observations."""
    return (count + strength * prior) / (total + strength)


def _distance(one: float, other: float) -> float:
    return abs(one - other)


def _edge_errors(box: Box, reference: Box) -> list[float]:
    sides = (reference.width, reference.height, reference.width, reference.height)
    return [
        abs(own - other) / side for own, other, side in zip(box.edges, reference.edges, sides, strict=True)
    ]


def _robust_mean(values: Sequence[float], precisions: Sequence[float], side: float) -> float:
    center = _weighted_median(values, precisions)
    weights = []
    for value, precision in zip(values, precisions, strict=True):
        spreads = abs(value - center) / side * sqrt(precision)
        weights.append(precision * min(1.0, _OUTLIER / spreads) if spreads else precision)
    return fsum(map(_product, values, weights)) / fsum(weights)


def _product(one: float, other: float) -> float:
    return one * other


def _weighted_median(values: Sequence[float], weights: Sequence[float]) -> float:
    """The value below and above which lies half of the weight; between two of them their mean."""
    ordered = sorted(zip(values, weights, strict=True))
    half = fsum(weights) / 2
    below = 0.0
    for position, (value, weight) in enumerate(ordered):
        below += weight
        if abs(below - half) <= 1e-9 * half:
            return (value + ordered[position + 1][0]) / 2
        if below > half:
            return value
    raise AssertionError("unreachable: the weights reach half of their sum")
