"""Consolidation keeps its promises of quality on simulated crowds; see tests/benchmarks/consolidation.py."""

from __future__ import annotations

from statistics import fmean

import pytest

from benchmarks import consolidation, crowds
from truthloop.consolidation import dawid_skene

SEEDS = range(3)


@pytest.mark.parametrize(
    ("classes", "least_gain"), [(3, 0.03), (5, 0.02), (10, 0.01)], ids=lambda value: str(value)
)
def test_classes_are_right_more_often_than_by_the_majority_vote_and_by_the_best_worker(
    classes: int, least_gain: float
) -> None:
    measured = consolidation.measure_classes(200, classes, SEEDS)
    assert measured["ours"] >= measured["majority"] + least_gain
    assert measured["ours"] >= measured["best worker"] + 0.02
    assert abs(measured["our confidence"] - measured["ours"]) < 0.02


def test_classes_are_as_right_as_by_the_best_public_implementation() -> None:
    pytest.importorskip(
        "crowdkit", reason="crowd-kit isn't installed; the benchmark says how to compare with it"
    )
    for classes in (3, 5, 10):
        measured = consolidation.measure_classes(1_000, classes, SEEDS)
        assert measured["ours"] >= measured["crowd-kit"] - 0.002


def test_several_labels_are_right_more_often_than_by_the_majority_vote_and_by_the_best_worker() -> None:
    measured = consolidation.measure_labels(100, 6, SEEDS)
    assert measured["ours"] >= measured["majority"] + 0.005
    assert measured["ours"] >= measured["best worker"] + 0.005


def test_fused_boxes_are_better_than_those_of_the_best_worker_and_rated_as_good_as_they_are() -> None:
    measured = consolidation.measure_boxes(60, 3, SEEDS, crowds.SKILLS)
    assert measured["our F1"] >= measured["best worker F1"] + 0.01
    assert measured["our IoU"] >= measured["best worker IoU"] + 0.01
    assert abs(measured["our confidence"] - measured["IoU reached"]) < 0.04


def test_equal_workers_together_draw_much_better_boxes_than_one_of_them() -> None:
    measured = consolidation.measure_boxes(60, 3, SEEDS, (0.75, 0.75, 0.75))
    assert measured["our F1"] >= measured["best worker F1"] + 0.05
    assert measured["our IoU"] >= measured["best worker IoU"] + 0.03
    assert abs(measured["our confidence"] - measured["IoU reached"]) < 0.04


def test_voted_masks_are_better_than_those_of_the_best_worker_and_rated_as_good_as_they_are() -> None:
    measured = consolidation.measure_masks(40, 3, range(5), crowds.SKILLS)
    assert measured["our IoU"] >= measured["best worker IoU"] + 0.01
    assert measured["our IoU"] >= measured["majority IoU"] + 0.01
    assert abs(measured["our confidence"] - measured["IoU reached"]) < 0.06


def test_skill_carried_over_from_a_large_round_improves_a_small_one() -> None:
    gains = []
    for seed in range(20):
        crowd = crowds.class_crowd(220, 5, seed, (0.5, 0.55, 0.95))
        names = sorted(crowd.answers)
        earlier = {name: crowd.answers[name] for name in names[:200]}
        known: dict[str, dict[tuple[int, int], float]] = {}
        for workers in dawid_skene.evidence(earlier, dawid_skene.consolidate(earlier, 5)).values():
            for worker, counts in workers.items():
                of_worker = known.setdefault(worker, {})
                for pair, count in counts.items():
                    of_worker[pair] = of_worker.get(pair, 0.0) + count
        batch = {name: crowd.answers[name] for name in names[200:]}
        truth = {name: crowd.truth[name] for name in batch}
        alone, carried = (
            {name: each.choice for name, each in dawid_skene.consolidate(batch, 5, prior).objects.items()}
            for prior in (None, known)
        )
        gains.append(crowds.accuracy(carried, truth) - crowds.accuracy(alone, truth))
    assert fmean(gains) >= 0.03
