"""How well consolidation does on simulated crowds, against the majority vote, the best worker and crowd-kit.

Run it as a script; nothing is timed. crowd-kit is compared with when it is installed: `pip install
crowd-kit`, best into an environment of its own, with boto3, numpy and pillow.
"""

# A script's output.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "lambdas" / "shared"), str(ROOT / "tests")]

from benchmarks import crowds  # noqa: E402
from truthloop.consolidation import boxes, dawid_skene, masks, multi_label  # noqa: E402

try:
    import pandas
    from crowdkit.aggregation import DawidSkene
except ImportError:
    DawidSkene = None


def by_crowd_kit(answers: Mapping[str, Sequence[tuple[str, int]]]) -> dict[str, int] | None:
    """crowd-kit's Dawid-Skene with its defaults, None when it isn't installed."""
    if DawidSkene is None:
        return None
    table = pandas.DataFrame(
        [(name, worker, answer) for name, given in answers.items() for worker, answer in given],
        columns=["task", "worker", "label"],
    )
    found = DawidSkene(n_iter=100).fit_predict(table)
    return {str(name): int(label) for name, label in found.items()}


def measure_classes(objects: int, classes: int, seeds: Sequence[int]) -> dict[str, float]:
    rows = []
    for seed in seeds:
        crowd = crowds.class_crowd(objects, classes, seed)
        result = dawid_skene.consolidate(crowd.answers, classes)
        estimates = result.objects.values()
        row = {
            "best worker": max(crowds.accuracy(crowd.of_worker(each), crowd.truth) for each in crowd.workers),
            "majority": crowds.accuracy(crowds.majority(crowd.answers), crowd.truth),
            "ours": crowds.accuracy(
                {name: each.choice for name, each in result.objects.items()}, crowd.truth
            ),
            "our confidence": fmean(each.confidence for each in estimates),
        }
        theirs = by_crowd_kit(crowd.answers)
        if theirs is not None:
            row["crowd-kit"] = crowds.accuracy(theirs, crowd.truth)
        rows.append(row)
    return _means(rows)


def measure_labels(objects: int, classes: int, seeds: Sequence[int]) -> dict[str, float]:
    rows = []
    for seed in seeds:
        crowd = crowds.label_crowd(objects, classes, seed)
        ours = multi_label.consolidate(crowd.answers, classes).objects
        votes = {
            name: {
                each for each in range(classes) if 2 * sum(each in chosen for _, chosen in given) > len(given)
            }
            for name, given in crowd.answers.items()
        }
        rows.append(
            {
                "best worker": max(
                    crowds.label_accuracy(crowd.of_worker(each), crowd.truth, classes)
                    for each in crowd.workers
                ),
                "majority": crowds.label_accuracy(votes, crowd.truth, classes),
                "ours": crowds.label_accuracy(ours, crowd.truth, classes),
            }
        )
    return _means(rows)


def measure_boxes(
    objects: int, classes: int, seeds: Sequence[int], skills: Sequence[float]
) -> dict[str, float]:
    rows = []
    for seed in seeds:
        crowd = crowds.box_crowd(objects, classes, seed, skills)
        fused = boxes.consolidate(crowd.answers).objects
        ours = crowds.box_score(
            {name: [each.box for each in found] for name, found in fused.items()}, crowd.truth
        )
        workers = [crowds.box_score(crowd.of_worker(each), crowd.truth) for each in crowd.workers]
        reached = [
            max(crowds.matched_ious([each.box], crowd.truth[name]), default=0.0)
            for name, found in fused.items()
            for each in found
        ]
        rows.append(
            {
                "best worker F1": max(each.f1 for each in workers),
                "our F1": ours.f1,
                "best worker IoU": max(each.iou for each in workers),
                "our IoU": ours.iou,
                "our confidence": fmean(each.confidence for found in fused.values() for each in found),
                "IoU reached": fmean(reached),
            }
        )
    return _means(rows)


def measure_masks(
    objects: int, classes: int, seeds: Sequence[int], skills: Sequence[float]
) -> dict[str, float]:
    rows = []
    for seed in seeds:
        crowd = crowds.mask_crowd(objects, classes, seed, skills)
        packed = {
            name: [(worker, masks.Mask.of(drawn)) for worker, drawn in given]
            for name, given in crowd.answers.items()
        }
        result = masks.consolidate(packed, classes)
        voted = {name: result[name] for name in result}
        confidences, reached = [], []
        for name, label in voted.items():
            for index, confidence in label.confidences.items():
                if index != masks.BACKGROUND_INDEX:
                    one, other = label.indices == index, crowd.truth[name] == index
                    confidences.append(confidence)
                    reached.append(float((one & other).sum() / (one | other).sum()))
        rows.append(
            {
                "best worker IoU": max(
                    crowds.mean_iou(crowd.of_worker(each), crowd.truth, classes) for each in crowd.workers
                ),
                "majority IoU": crowds.mean_iou(_pixel_majority(crowd), crowd.truth, classes),
                "our IoU": crowds.mean_iou(
                    {name: label.indices for name, label in voted.items()}, crowd.truth, classes
                ),
                "our confidence": fmean(confidences),
                "IoU reached": fmean(reached),
            }
        )
    return _means(rows)


def _pixel_majority(crowd: crowds.Crowd) -> dict[str, Any]:
    return {
        name: sum(
            (answer[None] == np.arange(crowd.classes + 1)[:, None, None]).astype(int) for _, answer in given
        ).argmax(axis=0)
        for name, given in crowd.answers.items()
    }


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {key: fmean(row[key] for row in rows) for key in rows[0]}


def _show(title: str, values: Mapping[str, float]) -> None:
    print(f"{title:<52}" + "  ".join(f"{key} {value:.4f}" for key, value in values.items()))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="crowds for each line (default: 5)")
    parser.add_argument("--objects", type=int, default=300, help="objects in each crowd (default: 300)")
    arguments = parser.parse_args(argv)
    seeds = range(arguments.seeds)
    sizes = (20, 100, arguments.objects, 5 * arguments.objects)
    people = ", ".join(map(str, crowds.SKILLS))
    print(f"Five workers of the skills {people}; means over {arguments.seeds} crowds\n")
    print("Classes: accuracy" + ("" if DawidSkene else " (crowd-kit isn't installed)"))
    for objects in sizes:
        for classes in (3, 5, 10):
            _show(f"  {objects} objects, {classes} classes", measure_classes(objects, classes, seeds))
    print("\nSeveral labels: part of all questions answered right")
    for objects in sizes[:3]:
        _show(f"  {objects} objects, 6 labels", measure_labels(objects, 6, seeds))
    for name, measure in (("Boxes", measure_boxes), ("Masks", measure_masks)):
        print(f"\n{name}")
        for objects in (20, 100):
            for skills in (crowds.SKILLS, crowds.SKILLS[::2], (0.75,) * 3, (0.8, 0.8)):
                shown = " ".join(map(str, skills))
                _show(f"  {objects} images, skills {shown}", measure(objects, 3, seeds, skills))


if __name__ == "__main__":
    main()
