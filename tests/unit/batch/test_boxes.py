"""Labels of boxes: read strictly, measured as VOC and COCO do, unsure where detections are doubtful."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from truthloop.errors import InvalidManifest
from truthloop_batch.adapters.base import Detections
from truthloop_batch.kinds import boxes
from truthloop_batch.kinds.boxes import Boxes, PrecisionCurve, overlaps
from unit.batch.kind_kit import KindContext, row

CLASSES = ("cat", "dog", "owl")
SIDE = st.integers(1, 40)
FRAMES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), SIDE, SIDE), min_size=1, max_size=6)


def truth(*found: tuple[int, float, float, float, float]) -> Boxes:
    table = np.array(found, float).reshape(-1, 5)
    return Boxes((100, 100), table[:, 0].astype(np.int64), table[:, 1:])


def detected(*found: tuple[int, float, float, float, float, float]) -> Detections:
    """Detections (class, left, top, width, height, probability); what is left over is for nothing."""
    table = np.array(found, float).reshape(-1, 6)
    probabilities = np.zeros((len(table), 4))
    for number, (kind, probability) in enumerate(zip(table[:, 0], table[:, 5], strict=True)):
        probabilities[number, int(kind) + 1], probabilities[number, 0] = probability, 1 - probability
    return Detections((100, 100), table[:, 1:5], probabilities)


def measured(*pairs: tuple[Boxes, Detections]) -> dict:
    evidence = [boxes.compare([label], [prediction], 3) for label, prediction in pairs]
    return boxes.quality(evidence, CLASSES, seed=1)


def label_of(*found: dict, size: object = None) -> dict:
    return {
        "image_size": [{"width": 100, "height": 80, "depth": 3}] if size is None else size,
        "annotations": list(found),
    }


BOX = {"class_id": 1, "left": 10, "top": 20, "width": 30, "height": 40}


def test_a_label_is_read_with_its_size() -> None:
    label = boxes.read_label(KindContext(), row(label_of(BOX)))
    assert label.size == (100, 80)
    assert label.classes.tolist() == [1]
    assert label.frames.tolist() == [[10, 20, 30, 40]]
    assert boxes.read_label(KindContext(), row(label_of())).frames.shape == (0, 4)
    assert boxes.read_label(KindContext(), row()) is None


def test_a_box_without_an_area_is_left_out() -> None:
    label = boxes.read_label(KindContext(), row(label_of({**BOX, "width": 0}, BOX)))
    assert label.frames.tolist() == [[10, 20, 30, 40]]


@pytest.mark.parametrize(
    "label",
    [
        [],
        "box",
        {"annotations": [BOX]},
        label_of({**BOX, "class_id": 3}),
        label_of({**BOX, "class_id": "1"}),
        label_of({key: value for key, value in BOX.items() if key != "top"}),
        label_of({**BOX, "left": "10"}),
        label_of(BOX, size=[]),
        label_of(BOX, size=[{"width": 0, "height": 80}]),
        label_of(BOX, size=[{"width": "100", "height": 80}]),
    ],
)
def test_what_are_no_boxes_is_named(label: object) -> None:
    with pytest.raises(InvalidManifest, match=r"the label is wrong.*allowed: an object"):
        boxes.read_label(KindContext(), row(label))


def test_the_targets_are_parts_of_the_sides() -> None:
    class Context(KindContext):
        def label(self, given: dict) -> Boxes:
            return boxes.read_label(self, given)

    found = boxes.targets(Context(), [row(label_of(BOX)), row(label_of())], np.empty(2))
    assert found[0].tolist() == [[1, 0.1, 0.25, 0.3, 0.5]]
    assert found[1].shape == (0, 5)
    assert found[np.array([False, True])][0].shape == (0, 5)


@given(FRAMES, FRAMES)
def test_an_overlap_is_symmetric_from_0_to_1_and_1_only_for_the_same_box(
    some: list[tuple], others: list[tuple]
) -> None:
    one, other = np.array(some, float), np.array(others, float)
    table = overlaps(one, other)
    np.testing.assert_allclose(table, overlaps(other, one).T)
    assert ((table >= 0) & (table <= 1)).all()
    np.testing.assert_allclose(table == 1, (one[:, None] == other[None]).all(axis=-1))
    np.testing.assert_allclose(table, overlaps(one * 3 + [5, 7, 0, 0], other * 3 + [5, 7, 0, 0]))


@given(FRAMES, FRAMES)
def test_an_overlap_is_what_counting_pixels_gives(some: list[tuple], others: list[tuple]) -> None:
    def pixels(frame: tuple) -> np.ndarray:
        field = np.zeros((110, 110), bool)
        left, top, width, height = frame
        field[top : top + height, left : left + width] = True
        return field

    table = overlaps(np.array(some, float), np.array(others, float))
    for number, one in enumerate(some):
        for place, other in enumerate(others):
            both = pixels(one) & pixels(other)
            either = pixels(one) | pixels(other)
            assert table[number, place] == pytest.approx(both.sum() / either.sum())


def test_average_precision_is_that_of_the_hand_computed_curve() -> None:
    # By score: hit, miss, hit, hit, miss; 5 boxes. Precisions at the hits 1, 2/3, 3/4, of which 2/3 is raised
    # to 3/4: the area is (1 + 3/4 + 3/4) / 5.
    places = [0, 200, 20, 40, 300]
    label = truth(*((0, left, 0, 10, 10) for left in (0, 20, 40, 60, 80)))
    prediction = detected(
        *((0, left, 0, 10, 10, score) for left, score in zip(places, (0.9, 0.8, 0.7, 0.6, 0.55), strict=True))
    )
    found = measured((label, prediction))
    assert found["quality"] == pytest.approx(2.5 / 5)
    assert found["per_class"][0] == {
        "label": "cat",
        "score": pytest.approx(0.5),
        "precision": pytest.approx(3 / 5),
        "recall": pytest.approx(3 / 5),
        "rows": 1,
    }
    assert found["per_class"][1]["score"] is None
    assert found["confusion"] is None
    assert found["macro_f1"] is None


def test_a_perfect_model_has_1_and_a_blind_one_0() -> None:
    label = truth((0, 0, 0, 10, 10), (2, 50, 50, 20, 30))
    perfect = detected((0, 0, 0, 10, 10, 0.6), (2, 50, 50, 20, 30, 0.2))
    assert measured((label, perfect), (truth(), detected()))["quality"] == 1
    assert measured((label, detected()))["quality"] == 0


def test_without_any_box_in_the_labels_silence_is_perfect_and_noise_is_not() -> None:
    assert measured((truth(), detected()))["quality"] == 1
    assert measured((truth(), detected((0, 0, 0, 10, 10, 0.9))))["quality"] == 0


def test_a_box_is_found_once_by_its_class_at_an_overlap_of_a_half() -> None:
    label = truth((0, 0, 0, 10, 10))
    twice = boxes.found_boxes(
        label, np.array([[0, 0, 10, 10], [0, 0, 10, 10.0]]), np.array([0, 0]), np.array([0.3, 0.9])
    )
    assert twice.tolist() == [False, True]
    half, less = [0, 0, 10, 20.0], [0, 0, 10, 20.1]
    for frame, kind, hit in ((half, 0, True), (less, 0, False), (half, 1, False)):
        assert boxes.found_boxes(label, np.array([frame]), np.array([kind]), np.array([1.0])) == [hit]


def test_a_detection_takes_the_next_box_when_its_best_one_is_taken() -> None:
    label = truth((0, 0, 0, 10, 10), (0, 2, 0, 10, 10))
    frames = np.array([[0, 0, 10, 10], [0.5, 0, 10, 10.0]])
    assert boxes.found_boxes(label, frames, np.array([0, 0]), np.array([0.9, 0.8])).all()


DETECTION = st.tuples(st.integers(0, 3), st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]), st.booleans())


@given(st.lists(DETECTION, max_size=15), st.lists(st.integers(0, 4), min_size=4, max_size=4), st.randoms())
def test_average_precision_depends_neither_on_the_order_nor_on_the_scale_of_the_scores(
    found: list[tuple], often: list[int], shuffle: object
) -> None:
    def curve(detections: list[tuple], power: float = 1) -> PrecisionCurve:
        table = np.array(
            [(number, 0, score**power, hit) for number, score, hit in detections], boxes._DETECTION
        )
        return PrecisionCurve(table, np.full(4, 15))

    drawn = np.array([often], float)
    expected = curve(found).average_precision(drawn)
    shuffled = list(found)
    shuffle.shuffle(shuffled)
    for other in (curve(shuffled), curve(found, power=3)):
        np.testing.assert_allclose(other.average_precision(drawn), expected)
    if sum(often):
        assert 0 <= expected[0] <= 1
    else:
        assert np.isnan(expected[0])


@given(st.lists(DETECTION, max_size=12), st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_a_resample_is_measured_as_if_its_rows_were_there_so_often(
    found: list[tuple], often: list[int]
) -> None:
    table = np.array([(number, 0, score, hit) for number, score, hit in found], boxes._DETECTION)
    weighted = PrecisionCurve(table, np.full(4, 15)).average_precision(np.array([often], float))
    copies = [(number, time) for number in range(4) for time in range(often[number])]
    place = {copy: position for position, copy in enumerate(copies)}
    repeated = np.array(
        [
            (place[number, time], 0, score, hit)
            for number, score, hit in found
            for time in range(often[number])
        ],
        boxes._DETECTION,
    )
    plain = PrecisionCurve(repeated, np.full(len(copies), 15)).average_precision(np.ones((1, len(copies))))
    np.testing.assert_allclose(weighted, plain)


def test_the_interval_holds_the_quality_and_shrinks_with_more_images() -> None:
    def pairs(number: int) -> list[tuple[Boxes, Detections]]:
        random = np.random.default_rng(1)
        label = truth((0, 0, 0, 10, 10))
        return [
            (label, detected((0, 0 if random.random() < 0.7 else 50, 0, 10, 10, random.random())))
            for _ in range(number)
        ]

    widths = []
    for number in (20, 300):
        found = measured(*pairs(number))
        lower, upper = found["interval"]
        assert lower <= found["quality"] <= upper
        widths.append(upper - lower)
    assert widths[1] < widths[0] / 2


def test_doubtful_detections_make_an_image_uncertain_and_each_one_adds_to_it() -> None:
    sure, unsure = (0, 0, 0, 10, 10, 0.99), (1, 50, 0, 10, 10, 0.55)
    images = [detected(), detected(sure), detected(sure, unsure), detected(sure, unsure, unsure)]
    found = boxes.scores(images)
    assert found["predicted"].tolist() == [-1] * 4
    assert found["margin"].tolist() == sorted(found["margin"], reverse=True)
    assert len(set(found["margin"])) == 4
    assert (np.diff(found["entropy"]) > 0).all()
    assert (np.diff(found["confidence"]) < 0).all()
    assert (found["margin"][0], found["confidence"][0], found["entropy"][0]) == (1, 1, 0)
    # Brust et al.: the squared complement of the lead, summed.
    doubt = (1 - 0.98) ** 2 + (1 - 0.1) ** 2
    assert found["margin"][2] == pytest.approx(1 / (1 + doubt))
    surprise = -sum(p * math.log(p) for p in (0.99, 0.01, 0.55, 0.45))
    assert found["entropy"][2] == pytest.approx(surprise, rel=1e-5)


def test_a_confusion_between_classes_is_doubt_as_much_as_one_with_nothing() -> None:
    between = Detections((9, 9), np.ones((1, 4)), np.array([[0.0, 0.55, 0.45, 0.0]]))
    assert boxes.scores([between])["margin"] == boxes.scores([detected((0, 0, 0, 9, 9, 0.55))])["margin"]


def test_the_agreement_is_the_f1_of_the_shown_boxes() -> None:
    label = truth((0, 0, 0, 10, 10), (1, 50, 50, 10, 10))
    one = detected((0, 0, 0, 10, 10, 0.9), (1, 50, 50, 10, 10, 0.3))
    assert boxes.agreement(label, one, 3) == pytest.approx(2 / 3)
    assert boxes.agreement(truth(), detected(), 3) == 1
    assert boxes.agreement(label, detected(), 3) == 0


def test_a_prediction_is_written_as_ground_truth_writes_labels() -> None:
    prediction = detected((1, 50.4, 10.6, 20, 20, 0.6), (0, -3, 90, 10.4, 30, 0.8), (2, 0, 0, 9, 9, 0.4))
    context = KindContext()
    for value, metadata in (
        boxes.label_of(context, row(), prediction),
        boxes.suggestion_of(context, row(), prediction),
    ):
        assert value == {
            "image_size": [{"width": 100, "height": 100, "depth": 3}],
            "annotations": [
                {"class_id": 0, "left": 0, "top": 90, "width": 7, "height": 10},
                {"class_id": 1, "left": 50, "top": 11, "width": 20, "height": 20},
            ],
        }
        assert metadata == {
            "class-map": {"0": "cat", "1": "dog"},
            "objects": [{"confidence": 0.8}, {"confidence": 0.6}],
        }
        assert boxes.read_label(context, row(value, metadata)).classes.tolist() == [0, 1]


@given(st.lists(st.tuples(*[st.floats(-50, 150)] * 2, *[st.floats(0.01, 200)] * 2), max_size=5))
def test_every_written_box_lies_in_the_image_and_has_an_area(frames: list[tuple]) -> None:
    prediction = detected(*((0, *frame, 0.9) for frame in frames))
    value, _ = boxes.label_of(KindContext(), row(), prediction)
    assert len(value["annotations"]) == len(frames)
    for box in value["annotations"]:
        assert 0 <= box["left"] < box["left"] + box["width"] <= 100
        assert 0 <= box["top"] < box["top"] + box["height"] <= 100


def test_no_more_boxes_are_written_than_a_line_can_hold() -> None:
    many = detected(*((0, 3, 3, 20, 20, 0.5 + number / 1000) for number in range(300)))
    value, metadata = boxes.label_of(KindContext(), row(), many)
    assert len(value["annotations"]) == len(metadata["objects"]) == boxes.BOXES_MAXIMUM
    confidences = [each["confidence"] for each in metadata["objects"]]
    assert all(one > other for one, other in pairwise(confidences))
    assert confidences[0] == pytest.approx(0.799)
