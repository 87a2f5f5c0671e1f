"""The adapters of images with tags, boxes and masks learn drawn scenes, and know which ones are hard."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from truthloop.labels import KINDS as KINDS_OF_LABELS
from truthloop_batch.adapters import ADAPTERS, DEFAULTS, create_adapter, default_adapter
from truthloop_batch.adapters.base import Adapter, Artifacts, InvalidHyperparameters, UnreadableContent
from truthloop_batch.adapters.box_detector import _candidates, _crops, _rasterised
from truthloop_batch.kinds import get
from truthloop_batch.kinds.boxes import Boxes, overlaps
from truthloop_batch.kinds.counts import HITS, PREDICTED, TRUE
from truthloop_batch.model import Model, pack_model, unpack_model
from unit.batch.made_data import SHAPES, Scene, scene

QUICK = {"image_size": 64, "pixels": 6_000, "epochs": 10}
# The kind, its adapter with quick hyperparameters, and the least quality after 10 and after 120 scenes.
LEARNERS = {
    "classes": ("image-tagger", {"image_size": 64}, 0.3, 0.75),
    "boxes": ("box-detector", QUICK, 0.4, 0.7),
    "mask": ("pixel-classifier", QUICK, 0.25, 0.55),
}
KINDS = pytest.mark.parametrize("kind", LEARNERS)
TEST = range(5_000, 5_060)


@cache
def scenes(first: int, number: int, noise: float = 22) -> tuple[Scene, ...]:
    return tuple(scene(first + each, noise=noise) for each in range(number))


def adapter_of(kind: str) -> Adapter:
    name, hyperparameters, _, _ = LEARNERS[kind]
    return create_adapter(name, hyperparameters, kind)


def read(adapter: Adapter, made: tuple[Scene, ...]) -> NDArray:
    reader = adapter.reader(lambda uri: b"")
    return np.stack([reader(each.png) for each in made])


def targets_of(kind: str, made: tuple[Scene, ...], side: int) -> NDArray:
    if kind == "classes":
        return np.array([[index in {box[0] for box in each.boxes} for index in range(3)] for each in made])
    if kind == "mask":
        small = [Image.fromarray(each.mask).resize((side, side), Image.Resampling.NEAREST) for each in made]
        return np.stack([np.asarray(each) for each in small])
    found = np.empty(len(made), dtype=object)
    for number, each in enumerate(made):
        found[number] = np.array(each.boxes, float).reshape(-1, 5) / [1, 96, 96, 96, 96]
    return found


def labels_of(kind: str, made: tuple[Scene, ...]) -> list:
    if kind == "classes":
        return [tuple(sorted({box[0] for box in each.boxes})) for each in made]
    if kind == "mask":
        return [each.mask for each in made]
    tables = [np.array(each.boxes, float).reshape(-1, 5) for each in made]
    return [Boxes((96, 96), table[:, 0].astype(np.int64), table[:, 1:]) for table in tables]


@cache
def fitted(kind: str, number: int) -> Artifacts:
    adapter, made = adapter_of(kind), scenes(0, number)
    return adapter.fit(read(adapter, made), targets_of(kind, made, 64), 3, seed=1)


def quality(kind: str, number: int) -> float:
    adapter, unknown = adapter_of(kind), scenes(5_000, 60)
    predictions = adapter.predict(fitted(kind, number), read(adapter, unknown))
    evidence = get(kind).compare(labels_of(kind, unknown), predictions, 3)
    return get(kind).quality([evidence], SHAPES, seed=1)["quality"]


@KINDS
def test_scenes_are_learnt_and_better_from_more_of_them(kind: str) -> None:
    _, _, least, expected = LEARNERS[kind]
    few, many = quality(kind, 10), quality(kind, 120)
    assert few > least
    assert many > expected
    assert many > few + 0.1


@KINDS
def test_hard_scenes_are_less_certain_than_easy_ones(kind: str) -> None:
    adapter, made = adapter_of(kind), scenes(0, 80, noise=8) + scenes(80, 80, noise=45)
    artifacts = adapter.fit(read(adapter, made), targets_of(kind, made, 64), 3, seed=1)
    columns = [
        get(kind).scores(adapter.predict(artifacts, read(adapter, scenes(7_000, 50, noise=noise))))
        for noise in (8, 45)
    ]
    easy, hard = (each["margin"] for each in columns)
    # The chance that a hard scene has the smaller margin of the two.
    assert (hard[:, None] < easy[None]).mean() > 0.65
    assert columns[1]["entropy"].mean() > columns[0]["entropy"].mean()
    assert columns[1]["confidence"].mean() < columns[0]["confidence"].mean()


@KINDS
def test_uncertainty_finds_the_scenes_that_the_model_gets_wrong(kind: str) -> None:
    adapter, made = adapter_of(kind), scenes(5_000, 60)
    predictions = adapter.predict(fitted(kind, 120), read(adapter, made))
    margins = get(kind).scores(predictions)["margin"]
    counts = get(kind).compare(labels_of(kind, made), predictions, 3)["counts"]
    # What the label has alone, and what the prediction has alone: labels, boxes or pixels.
    errors = (counts[:, TRUE] + counts[:, PREDICTED] - 2 * counts[:, HITS]).sum(axis=1)
    order = np.argsort(margins)
    assert errors[order[:20]].mean() > 2 * errors[order[-20:]].mean() > 0


@KINDS
def test_the_same_scenes_give_the_same_model(kind: str) -> None:
    adapter, made = adapter_of(kind), scenes(0, 10)
    again = adapter.fit(read(adapter, made), targets_of(kind, made, 64), 3, seed=1)
    first = fitted(kind, 10)
    assert set(again) == set(first)
    for name, values in first.items():
        np.testing.assert_array_equal(values, again[name])


@KINDS
def test_a_model_archive_gives_the_same_predictions_back(kind: str) -> None:
    adapter = adapter_of(kind)
    model = Model(kind, adapter, fitted(kind, 10), SHAPES, 10)
    archive = pack_model(model)
    copy = unpack_model(archive, "it")
    assert (copy.kind, copy.adapter, copy.classes, copy.labels) == (kind, adapter, SHAPES, 10)
    assert pack_model(copy) == archive
    inputs = read(adapter, scenes(5_000, 5))
    for mine, others in zip(model.predict(inputs), copy.predict(inputs), strict=True):
        if kind == "classes":
            np.testing.assert_array_equal(mine, others)
        else:
            np.testing.assert_array_equal(mine.probabilities, others.probabilities)
            assert mine.size == others.size


@KINDS
def test_a_row_is_predicted_alike_in_any_company(kind: str) -> None:
    adapter = adapter_of(kind)
    inputs = read(adapter, scenes(5_000, 6))
    scores = get(kind).scores
    whole = scores(adapter.predict(fitted(kind, 10), inputs))["margin"]
    alone = [
        scores(adapter.predict(fitted(kind, 10), inputs[number : number + 1]))["margin"][0]
        for number in range(6)
    ]
    np.testing.assert_allclose(whole, alone, rtol=1e-5)


@KINDS
def test_a_single_empty_scene_is_enough_to_fit(kind: str) -> None:
    adapter, made = adapter_of(kind), (scene(1, objects=0),)
    assert not made[0].boxes
    artifacts = adapter.fit(read(adapter, made), targets_of(kind, made, 64), 3, seed=1)
    predictions = adapter.predict(artifacts, read(adapter, scenes(5_000, 3)))
    columns = get(kind).scores(predictions)
    assert all(np.isfinite(values).all() for values in columns.values())
    evidence = get(kind).compare(labels_of(kind, scenes(5_000, 3)), predictions, 3)
    assert get(kind).quality([evidence], SHAPES, seed=1)["quality"] < 0.2


@KINDS
def test_a_class_that_no_scene_has_is_never_impossible_and_never_said(kind: str) -> None:
    adapter = adapter_of(kind)
    made = tuple(each for each in scenes(0, 60) if all(box[0] != 2 for box in each.boxes))
    assert len(made) > 10
    artifacts = adapter.fit(read(adapter, made), targets_of(kind, made, 64), 3, seed=1)
    for prediction in adapter.predict(artifacts, read(adapter, scenes(5_000, 8))):
        if kind == "classes":
            unseen = prediction[2:]
        else:
            unseen = prediction.probabilities[:, 3] if kind == "boxes" else prediction.probabilities[3]
        assert (unseen > 0).all()
        assert (unseen < 0.2).all()


def test_predictions_are_in_the_pixels_of_the_image_whatever_its_size() -> None:
    wide = scene(3, size=(192, 96), objects=3)
    with Image.open(io.BytesIO(wide.png)) as image:
        assert image.size == (192, 96)
    boxes = adapter_of("boxes")
    (found,) = boxes.predict(fitted("boxes", 120), np.stack([boxes.reader(lambda uri: b"")(wide.png)]))
    assert found.size == (192, 96)
    assert (found.frames[:, 0] + found.frames[:, 2] <= 192 + 1e-6).all()
    assert found.frames[:, 0].max() > 96
    masks = adapter_of("mask")
    (found,) = masks.predict(fitted("mask", 120), np.stack([masks.reader(lambda uri: b"")(wide.png)]))
    drawn, probability = found.drawn(found.size)
    assert drawn.shape == probability.shape == (96, 192)


def test_detections_of_one_object_are_merged_into_one() -> None:
    adapter = adapter_of("boxes")
    for found in adapter.predict(fitted("boxes", 120), read(adapter, scenes(5_000, 20))):
        table = overlaps(found.frames, found.frames)
        np.fill_diagonal(table, 0)
        assert not (table > 0.4).any()
        scores = found.best()[1]
        assert (np.diff(scores) <= 0).all()
        np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)


def test_objects_that_touch_are_told_apart_by_their_cores() -> None:
    # A perfect first stage on two boxes side by side: one part as a whole, two cores.
    frames = np.array([[10.0, 20, 20, 20], [30, 20, 20, 20]])
    target = _rasterised(frames, 64)
    map_ = np.stack([target == kind for kind in range(3)]).astype(np.float32)
    map_[1][target == 255] = 1
    assert (overlaps(frames, _candidates(map_)).max(axis=1) > 0.8).all()


def test_the_corners_of_a_box_are_not_learnt_from_and_small_boxes_stand_in_front() -> None:
    target = _rasterised(np.array([[0.0, 0, 60, 60], [25, 25, 10, 10]]), 64)
    assert target[1, 1] == 255
    assert target[63, 63] == 0
    assert target[30, 30] == 2
    assert target[26, 30] == 1
    assert target[30, 10] == 1


def test_a_crop_shows_the_frame_and_some_of_what_is_around_it() -> None:
    pixels = np.zeros((60, 60, 3), np.uint8)
    pixels[20:40, 10:50] = 200
    (crop,) = _crops(pixels, np.array([[10.0, 20, 40, 20]])).reshape(-1, 12, 12, 3)
    assert (crop[3:9, 3:9] == 200).all()
    assert (crop[0] == 0).all()
    assert (crop[:, -1] == 0).all()
    assert _crops(pixels, np.empty((0, 4))).shape == (0, 432)


@pytest.mark.parametrize("content", [b"", b"not an image", scene(1).png[:200]])
@KINDS
def test_what_is_no_image_is_unreadable(kind: str, content: bytes) -> None:
    with pytest.raises(UnreadableContent, match="not a readable image"):
        adapter_of(kind).reader(lambda uri: b"")(content)


def test_the_exif_orientation_is_followed_in_pixels_and_size() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    values = np.zeros((40, 80, 3), np.uint8)
    values[:, 40:] = 255
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "JPEG", exif=exif, quality=95)
    record = adapter_of("mask").reader(lambda uri: b"")(buffer.getvalue())
    assert (int(record["width"]), int(record["height"])) == (40, 80)
    assert record["pixels"][:28].max() < 40
    assert record["pixels"][36:].min() > 215


@pytest.mark.parametrize(
    ("kind", "hyperparameters", "told"),
    [
        ("mask", {"image_size": 31}, "image_size is 31; allowed: an integer from 32 to 512"),
        ("mask", {"hidden": 1000}, "hidden is 1000"),
        ("mask", {"pixels": 10}, "pixels is 10"),
        ("mask", {"epochs": 2.5}, "epochs is 2.5"),
        ("boxes", {"landmarks": 0}, "landmarks is 0"),
        ("boxes", {"kernel_gamma": -1}, "kernel_gamma is -1"),
        ("classes", {"regularisation": True}, "regularisation is True"),
        ("classes", {"words": 3}, "unknown keys words; the adapter image-tagger knows image_size"),
    ],
)
def test_a_wrong_hyperparameter_is_named_with_what_is_allowed(
    kind: str, hyperparameters: dict[str, object], told: str
) -> None:
    with pytest.raises(InvalidHyperparameters, match=told):
        create_adapter(LEARNERS[kind][0], hyperparameters, kind)


def test_an_adapter_of_another_kind_is_refused_with_the_remedy() -> None:
    with pytest.raises(
        InvalidHyperparameters, match=r"'pixel-classifier', for labels of the kind mask; .*boxes"
    ):
        create_adapter("pixel-classifier", {}, "boxes")


def test_every_default_adapter_exists_and_learns_the_kind() -> None:
    assert len(DEFAULTS) == 5
    for (kind, source), name in DEFAULTS.items():
        assert default_adapter(kind, source) == name
        assert create_adapter(name, {}, kind).name == name
    with pytest.raises(InvalidHyperparameters, match="null, and there is no adapter for the label kind mask"):
        default_adapter("mask", "source")


@pytest.mark.parametrize("name", ADAPTERS)
def test_every_adapter_is_registered_under_its_own_name(name: str) -> None:
    needed = {"model_uri": "s3://bucket/model.onnx"} if name == "onnx" else {}
    learnt = []
    for kind in KINDS_OF_LABELS:
        try:
            learnt.append(create_adapter(name, needed, kind))
        except InvalidHyperparameters:
            continue
    assert learnt
    assert {adapter.name for adapter in learnt} == {name}
    assert len(learnt) == len(learnt[0].kinds)
