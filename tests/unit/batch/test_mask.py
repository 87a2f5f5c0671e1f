"""Labels of masks: exact from PNG to PNG, measured by overlap, unsure where pixels are."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import jaccard_score

from truthloop import palette
from truthloop.consolidation.masks import palette_png
from truthloop.errors import InvalidManifest, ObjectNotFound
from truthloop_batch.adapters.base import MaskPrediction
from truthloop_batch.kinds import mask
from unit.batch.kind_kit import KindContext, Request, row

CLASSES = ("cat", "dog", "owl")
URI = "s3://bucket/mask.png"
MASKS = arrays(np.uint8, (5, 7), elements=st.integers(0, 3))


@dataclass
class MaskContext(KindContext):
    """Its rows' labels are masks."""

    def label(self, given: dict) -> NDArray[np.uint8]:
        return mask.read_label(self, given)


def context(content: bytes = b"") -> MaskContext:
    made = MaskContext(request=Request("mask-ref"))
    made.s3.objects[URI] = content
    return made


def labeled(metadata: object = None) -> dict:
    return row(URI, metadata, "mask-ref")


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def certain(values: NDArray[np.uint8], probability: float = 0.97) -> MaskPrediction:
    """A prediction that gives each pixel's class this probability, and the others the rest."""
    table = np.full((4, *values.shape), (1 - probability) / 3, np.float32)
    np.put_along_axis(table, values[None].astype(np.int64), probability, axis=0)
    return MaskPrediction((values.shape[1], values.shape[0]), table)


@given(MASKS)
def test_a_mask_survives_the_way_into_a_png_and_back(values: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(mask.read_label(context(palette_png(values)), labeled()), values)


def test_the_colour_map_says_what_the_palette_means() -> None:
    values = np.array([[0, 1, 2, 5]], np.uint8)
    metadata = {
        "internal-color-map": {
            "0": {"class-name": "BACKGROUND"},
            "1": {"class-name": "owl"},
            "2": {"class-name": "cat"},
            "5": {"class-name": "BACKGROUND"},
        }
    }
    found = mask.read_label(context(palette_png(values)), labeled(metadata))
    assert found.tolist() == [[0, 3, 1, 0]]


@pytest.mark.parametrize(
    ("content", "metadata", "told"),
    [
        (palette_png(np.array([[4]], np.uint8)), None, "palette entry 4; allowed: 0 .* 1 to 3"),
        (
            palette_png(np.array([[2]], np.uint8)),
            {"internal-color-map": {"1": {"class-name": "cat"}}},
            "palette entry 2",
        ),
        (
            palette_png(np.array([[1]], np.uint8)),
            {"internal-color-map": {"1": {"class-name": "cow"}}},
            "'cow'",
        ),
        (png(Image.new("RGB", (3, 3))), None, "mode RGB; allowed: a PNG with a palette"),
        (b"no image", None, "cannot be read"),
        (palette_png(np.ones((40, 40), np.uint8))[:60], None, "cannot be read"),
    ],
)
def test_what_is_no_mask_of_the_categories_is_named(content: bytes, metadata: object, told: str) -> None:
    with pytest.raises(InvalidManifest, match=told):
        mask.read_label(context(content), labeled(metadata))


def test_a_label_that_is_no_uri_or_leads_nowhere_is_named() -> None:
    assert mask.read_label(context(), row()) is None
    with pytest.raises(InvalidManifest, match="allowed: the S3 URI of a mask"):
        mask.read_label(context(), row(3, None, "mask-ref"))
    with pytest.raises(ObjectNotFound):
        mask.read_label(context(), row("s3://bucket/absent.png", None, "mask-ref"))


def test_the_targets_are_masks_in_the_models_size() -> None:
    values = np.zeros((40, 20), np.uint8)
    values[:20] = 2
    inputs = np.zeros(2, [("pixels", "u1", (8, 8, 3))])
    found = mask.targets(context(palette_png(values)), [labeled(), labeled()], inputs)
    assert found.shape == (2, 8, 8)
    assert (found[:, :4] == 2).all()
    assert (found[:, 4:] == 0).all()


@given(st.lists(st.tuples(MASKS, MASKS), min_size=1, max_size=4))
def test_the_overlap_is_scikit_learns_jaccard_score_over_all_pixels(pairs: list[tuple]) -> None:
    evidence = [mask.compare([label], [certain(predicted)], 3) for label, predicted in pairs]
    found = mask.quality(evidence, CLASSES, seed=1)
    truth, predicted = (np.concatenate([pair[side].reshape(-1) for pair in pairs]) for side in (0, 1))
    occurring = [index for index in (1, 2, 3) if index in truth or index in predicted]
    scores = jaccard_score(truth, predicted, labels=occurring, average=None) if occurring else [1.0]
    assert found["quality"] == pytest.approx(np.mean(scores))
    assert found["interval"][0] <= found["interval"][1]
    for index, entry in enumerate(found["per_class"], 1):
        assert entry["rows"] == sum(index in label for label, _ in pairs)
        if index in occurring:
            assert entry["score"] == pytest.approx(scores[occurring.index(index)])
        else:
            assert entry["score"] is None


@given(MASKS, MASKS)
def test_the_overlap_is_1_with_itself_and_symmetric(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> None:
    assert mask.agreement(one, certain(one), 3) == 1
    assert mask.agreement(one, certain(other), 3) == pytest.approx(mask.agreement(other, certain(one), 3))


def test_a_prediction_is_compared_in_the_labels_own_size() -> None:
    small = np.zeros((8, 8), np.uint8)
    small[:, 4:] = 1
    label = np.zeros((80, 160), np.uint8)
    label[:, 80:] = 1
    assert mask.agreement(label, certain(small), 3) > 0.97


def test_images_with_doubtful_pixels_are_uncertain_however_large_the_rest_is() -> None:
    values = np.zeros((20, 20), np.uint8)
    sure = certain(values, 0.99)
    patchy = certain(values, 0.99)
    patchy.probabilities[:, :4, :10] = np.array([0.4, 0.35, 0.15, 0.1])[:, None, None]
    found = mask.scores([sure, patchy])
    assert found["predicted"].tolist() == [-1, -1]
    assert found["margin"][0] == pytest.approx(0.99 - 0.01 / 3, abs=1e-5)
    # The doubtful tenth is the whole of what counts.
    assert found["margin"][1] == pytest.approx(0.05, abs=1e-5)
    assert found["confidence"][1] == pytest.approx(0.4, abs=1e-5)
    expected = -sum(p * math.log(p) for p in (0.4, 0.35, 0.15, 0.1))
    assert found["entropy"][1] == pytest.approx(expected, abs=1e-5)
    assert found["entropy"][0] < 0.1


def test_the_columns_keep_their_bounds() -> None:
    random = np.random.default_rng(1)
    tables = [
        random.dirichlet(np.full(4, 0.3), (6, 5)).transpose(2, 0, 1).astype(np.float32) for _ in range(8)
    ]
    found = mask.scores([MaskPrediction((5, 6), table) for table in tables])
    for name in ("margin", "confidence", "entropy"):
        assert found[name].dtype == np.float32
        assert (found[name] >= 0).all()
        assert (found[name] <= (math.log(4) if name == "entropy" else 1)).all()


def test_a_prediction_is_written_as_ground_truth_writes_labels() -> None:
    values = np.zeros((6, 9), np.uint8)
    values[2:4, 3:6] = 3
    made = context()
    uri, metadata = mask.label_of(made, row(), certain(values, 0.9))
    base = f"s3://bucket/campaigns/pets/report/masks/{'a' * 32}"
    assert uri == f"{base}.png"
    assert metadata["overlay-ref"] == f"{base}-overlay.png"
    colors = metadata["internal-color-map"]
    assert {key: (entry["class-name"], entry["hex-color"]) for key, entry in colors.items()} == {
        "0": ("BACKGROUND", "#ffffff"),
        "3": ("owl", palette.color(2)),
    }
    # 6 pixels of 0.9, and 48 others of 0.1 / 3 that might belong to them.
    assert colors["3"]["confidence"] == pytest.approx(5.4 / (6 + 48 * 0.1 / 3), abs=1e-5)
    np.testing.assert_array_equal(mask.read_label(made, row(uri, metadata, "mask-ref")), values)
    with Image.open(io.BytesIO(made.s3.objects[uri])) as image:
        red_green_blue = np.asarray(image.convert("RGB"))
    assert tuple(red_green_blue[3, 4]) == palette.rgb(palette.color(2))
    assert tuple(red_green_blue[0, 0]) == (255, 255, 255)
    with Image.open(io.BytesIO(made.s3.objects[metadata["overlay-ref"]])) as overlay:
        alpha = np.asarray(overlay)[..., 3]
    assert ((alpha > 0) == (values > 0)).all()


def test_a_suggestion_lies_beside_the_round_and_has_the_images_own_size() -> None:
    values = np.zeros((8, 8), np.uint8)
    values[:, 4:] = 1
    prediction = MaskPrediction((30, 50), certain(values).probabilities)
    made = context()
    uri, metadata = mask.suggestion_of(made, row(), prediction)
    assert uri == f"s3://bucket/campaigns/pets/rounds/3/suggestions/{'a' * 32}.png"
    assert set(metadata) == {"internal-color-map"}
    found = mask.read_label(made, row(uri, metadata, "mask-ref"))
    assert found.shape == (50, 30)
    assert (found[:, :14] == 0).all()
    assert (found[:, 16:] == 1).all()


@given(MASKS)
def test_equal_masks_give_equal_bytes(values: NDArray[np.uint8]) -> None:
    first, second = context(), context()
    for made in (first, second):
        mask.label_of(made, row(), certain(values))
    assert first.s3.objects == second.s3.objects
