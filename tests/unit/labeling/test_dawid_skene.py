# The draws are seeded on purpose.
# ruff: noqa: S311

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean

import pytest

from truthloop.consolidation.dawid_skene import consolidate

Answers = dict[str, list[tuple[str, int]]]


def structured_crowd(
    objects: int, workers: int, answers_per_object: int, classes: int, seed: int
) -> tuple[Answers, dict[str, int]]:
    """A crowd with structured confusions: workers take one class for certain others.

    One in ten answers at random, one in twenty always gives the same class.
    """
    draw = random.Random(seed)
    matrices = [_worker(draw, classes) for _ in range(workers)]
    answers: Answers = {}
    truth = {}
    for number in range(objects):
        name = f"object-{number}"
        truth[name] = draw.randrange(classes)
        answers[name] = [
            (f"worker-{worker}", draw.choices(range(classes), matrices[worker][truth[name]])[0])
            for worker in draw.sample(range(workers), answers_per_object)
        ]
    return answers, truth


def _worker(draw: random.Random, classes: int) -> list[list[float]]:
    kind = draw.random()
    if kind < 0.10:
        return [[1 / classes] * classes for _ in range(classes)]
    if kind < 0.15:
        favourite = draw.randrange(classes)
        return [
            [0.95 if answer == favourite else 0.05 / (classes - 1) for answer in range(classes)]
            for _ in range(classes)
        ]
    matrix = []
    for true in range(classes):
        accuracy = draw.betavariate(5, 2.2)
        row = [(1 - accuracy) * 0.3 / (classes - 1)] * classes
        row[true] = accuracy
        row[draw.choice([(true + 1) % classes, (true + 3) % classes])] += (1 - accuracy) * 0.7
        matrix.append(row)
    return matrix


def three_annotators(objects: int, accuracies: Sequence[float], seed: int) -> tuple[Answers, dict[str, int]]:
    """All annotators answer all objects of ten classes; mistakes are spread evenly."""
    draw = random.Random(seed)
    answers: Answers = {}
    truth = {}
    for number in range(objects):
        name = f"object-{number}"
        truth[name] = draw.randrange(10)
        others = [index for index in range(10) if index != truth[name]]
        answers[name] = [
            (f"worker-{worker}", truth[name] if draw.random() < accuracy else draw.choice(others))
            for worker, accuracy in enumerate(accuracies)
        ]
    return answers, truth


def majority(answers: Answers, seed: int = 0) -> dict[str, int]:
    """The majority vote, ties broken at random, as in the literature."""
    draw = random.Random(seed)
    result = {}
    for name, given in answers.items():
        votes = Counter(answer for _, answer in given)
        highest = max(votes.values())
        result[name] = draw.choice(sorted(answer for answer, count in votes.items() if count == highest))
    return result


def choices(answers: Answers, classes: int) -> dict[str, int]:
    return {name: estimate.choice for name, estimate in consolidate(answers, classes).objects.items()}


def accuracy(labels: Mapping[str, int], truth: Mapping[str, int]) -> float:
    return fmean(labels[name] == true for name, true in truth.items())


@pytest.mark.parametrize(
    ("objects", "workers", "answers_per_object", "least_gain"), [(300, 50, 5, 0.02), (300, 50, 3, 0.02)]
)
def test_structured_confusion_is_consolidated_better_than_by_the_majority_vote(
    objects: int, workers: int, answers_per_object: int, least_gain: float
) -> None:
    gains = []
    for seed in range(4):
        answers, truth = structured_crowd(objects, workers, answers_per_object, 10, seed)
        gains.append(accuracy(choices(answers, 10), truth) - accuracy(majority(answers), truth))
    assert fmean(gains) >= least_gain
    assert min(gains) > -0.01


def test_twenty_objects_with_three_annotators_are_consolidated_no_worse_than_by_the_majority_vote() -> None:
    ours, votes = [], []
    for seed in range(40):
        answers, truth = three_annotators(20, (0.95, 0.85, 0.7), seed)
        ours.append(accuracy(choices(answers, 10), truth))
        votes.append(accuracy(majority(answers), truth))
    assert fmean(ours) >= fmean(votes)
    assert fmean(ours) > 0.95


def test_the_one_reliable_annotator_outvotes_two_unreliable_ones() -> None:
    ours, votes = [], []
    for seed in range(20):
        answers, truth = three_annotators(50, (0.9, 0.6, 0.6), seed)
        ours.append(accuracy(choices(answers, 10), truth))
        votes.append(accuracy(majority(answers), truth))
    assert fmean(ours) >= fmean(votes) + 0.03


def test_the_confidence_is_near_the_share_that_is_right() -> None:
    confidences, right = [], []
    for seed in range(4):
        answers, truth = structured_crowd(300, 50, 5, 10, seed)
        for name, estimate in consolidate(answers, 10).objects.items():
            confidences.append(estimate.confidence)
            right.append(estimate.choice == truth[name])
    assert abs(fmean(confidences) - fmean(right)) < 0.03
    doubtful = [each for each, confidence in zip(right, confidences, strict=True) if confidence < 0.8]
    assert len(doubtful) > 50
    assert fmean(doubtful) < 0.8


def test_the_workers_are_ranked_by_their_skill() -> None:
    answers, _ = three_annotators(100, (0.95, 0.8, 0.5), seed=1)
    workers = consolidate(answers, 10).workers
    assert [workers[f"worker-{number}"].answers for number in range(3)] == [100, 100, 100]
    estimated = [workers[f"worker-{number}"].accuracy for number in range(3)]
    assert estimated == pytest.approx([0.95, 0.8, 0.5], abs=0.1)


def test_the_result_is_the_same_for_any_order_of_objects_and_workers() -> None:
    answers, _ = structured_crowd(60, 12, 3, 4, seed=5)
    expected = consolidate(answers, 4)
    draw = random.Random(0)
    for _ in range(3):
        names = draw.sample(sorted(answers), len(answers))
        shuffled = {name: draw.sample(answers[name], len(answers[name])) for name in names}
        result = consolidate(shuffled, 4)
        assert result == expected
        assert list(result.objects) == list(expected.objects)


def test_every_posterior_is_a_probability_over_all_classes() -> None:
    answers, _ = structured_crowd(80, 10, 3, 6, seed=2)
    for estimate in consolidate(answers, 6).objects.values():
        assert len(estimate.posterior) == 6
        assert sum(estimate.posterior) == pytest.approx(1)
        assert min(estimate.posterior) > 0
        assert estimate.confidence == max(estimate.posterior)


def test_a_single_workers_answers_stand_and_are_believed_as_far_as_an_unknown_worker_is() -> None:
    answers: Answers = {f"object-{number}": [("ann", number % 10)] for number in range(100)}
    result = consolidate(answers, 10)
    assert [result.objects[name].choice for name in answers] == [number % 10 for number in range(100)]
    assert result.objects["object-0"].confidence == pytest.approx(0.7, abs=0.02)
    assert result.workers["ann"].accuracy == pytest.approx(0.7)


def test_one_object_alone_is_consolidated() -> None:
    estimate = consolidate({"only": [("ann", 1), ("bo", 1), ("cy", 0)]}, 3).objects["only"]
    assert estimate.choice == 1
    assert 0.5 < estimate.confidence < 1


def test_a_tie_goes_to_the_class_that_stands_first() -> None:
    assert consolidate({"only": [("ann", 2), ("bo", 1)]}, 3).objects["only"].choice == 1


def test_a_crowd_of_hundreds_that_is_split_over_an_object_still_gives_probabilities() -> None:
    workers = [f"worker-{number:03d}" for number in range(800)]
    answers = {f"object-{number}": [(worker, number % 2) for worker in workers] for number in range(20)}
    answers["split"] = [(worker, number % 2) for number, worker in enumerate(workers)]
    result = consolidate(answers, 2).objects
    assert sum(result["split"].posterior) == pytest.approx(1)
    assert all(result[f"object-{number}"].choice == number % 2 for number in range(20))


def test_no_answers_give_no_labels() -> None:
    result = consolidate({}, 2)
    assert (result.objects, result.workers) == ({}, {})


@pytest.mark.parametrize(
    ("answers", "classes", "message"),
    [
        ({"a": [("ann", 0)]}, 1, "2 or more"),
        ({"a": []}, 2, "has no answer"),
        ({"a": [("ann", 2)]}, 2, "allowed: 0..1"),
        ({"a": [("ann", 0), ("ann", 1)]}, 2, "several answers of one worker"),
    ],
)
def test_impossible_answers_are_refused_with_their_reason(
    answers: Answers, classes: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        consolidate(answers, classes)


def test_a_thousand_objects_with_five_answers_take_less_than_three_seconds() -> None:
    answers, _ = structured_crowd(1_000, 50, 5, 10, seed=3)
    # The best of a few, because other work on the machine can only make it slower.
    for _ in range(5):
        started = time.process_time()
        consolidate(answers, 10)
        seconds = time.process_time() - started
        if seconds < 3:
            break
    assert seconds < 3
