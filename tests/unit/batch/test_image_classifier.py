"""The image adapter reads what cameras and screens write, learns digits, and never loses a class."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from truthloop_batch.adapters import create_adapter
from truthloop_batch.adapters.base import InvalidHyperparameters, UnreadableContent
from truthloop_batch.adapters.image_classifier import ImageClassifier

ADAPTER = ImageClassifier()
Digits = tuple[list[bytes], list[int]]


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def picture() -> Image.Image:
    """Dark but for a white upper left quarter."""
    values = np.zeros((64, 64), np.uint8)
    values[:32, :32] = 255
    return Image.fromarray(values)


def as_square(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return values.reshape(16, 16)


def test_an_image_becomes_a_small_grey_picture() -> None:
    values = ADAPTER.read(encoded(picture()))
    assert values.shape == (256,)
    assert values.dtype == np.uint8
    assert (as_square(values)[:8, :8] == 255).all()
    assert values.sum() == 64 * 255


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_every_usual_format_reads_alike(kind: str, mode: str) -> None:
    values = ADAPTER.read(encoded(picture().convert(mode), kind)).astype(int)
    assert abs(values - ADAPTER.read(encoded(picture()))).mean() < 5


@pytest.mark.parametrize("mode", ["P", "1", "CMYK", "LA", "RGBA"])
def test_every_colour_mode_reads_alike(mode: str) -> None:
    kind = "TIFF" if mode == "CMYK" else "PNG"
    values = ADAPTER.read(encoded(picture().convert(mode), kind)).astype(int)
    assert abs(values - ADAPTER.read(encoded(picture()))).max() <= 1


def test_sixteen_bits_are_scaled_and_not_cut_off() -> None:
    grey = Image.fromarray(np.full((20, 20), 0x8080, np.uint16))
    assert (ADAPTER.read(encoded(grey)) == 0x80).all()


def test_transparent_parts_are_white() -> None:
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    assert (ADAPTER.read(encoded(clear)) == 255).all()


def test_the_exif_orientation_is_followed() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned = as_square(ADAPTER.read(encoded(picture(), "JPEG", exif=exif, quality=95)))
    assert turned[8:, 8:].mean() > 240
    assert turned[:8, :8].mean() < 15


def test_a_large_jpeg_reads_like_its_png() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (16, 16), dtype=np.uint8)
    large = Image.fromarray(noise).resize((800, 600), Image.Resampling.BICUBIC)
    from_jpeg = ADAPTER.read(encoded(large, "JPEG", quality=95)).astype(int)
    assert abs(from_jpeg - ADAPTER.read(encoded(large))).max() < 25


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not an image",
        encoded(picture())[:70],
        encoded(picture()).replace(b"IDAT", b"IDAX"),
        encoded(picture(), "JPEG")[:150],
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        encoded(picture(), "PPM"),
    ],
    ids=["empty", "text", "cut", "damaged", "cut jpeg", "postscript", "a format that is not allowed"],
)
def test_what_is_no_image_is_unreadable_with_a_reason(content: bytes) -> None:
    with pytest.raises(UnreadableContent, match="not a readable image"):
        ADAPTER.read(content)


def test_grey_values_without_a_range_are_unreadable_with_the_remedy() -> None:
    with pytest.raises(UnreadableContent, match=r"mode F.* save it with 8 or 16 bits"):
        ADAPTER.read(encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"))


def test_digits_are_learnt(digits: Digits) -> None:
    files, labels = digits
    inputs = np.stack([ADAPTER.read(file) for file in files[:900]])
    truth = np.array(labels[:900])
    artifacts = ADAPTER.fit(inputs[:600], truth[:600], 10, seed=1)
    predictions = ADAPTER.predict(artifacts, inputs[600:])
    assert (predictions.argmax(axis=1) == truth[600:]).mean() > 0.9
    of_truth = predictions[np.arange(300), truth[600:]]
    assert -np.log(of_truth).mean() < 0.4
    np.testing.assert_allclose(predictions.sum(axis=1), 1)


def test_more_labels_than_landmarks_still_learn(digits: Digits) -> None:
    files, labels = digits
    adapter = ImageClassifier(landmarks=100)
    inputs, truth = np.stack([adapter.read(file) for file in files[:900]]), np.array(labels[:900])
    artifacts = adapter.fit(inputs[:600], truth[:600], 10, seed=1)
    assert artifacts["landmarks"].shape == (100, 256)
    predicted = adapter.predict(artifacts, inputs[600:]).argmax(axis=1)
    assert (predicted == truth[600:]).mean() > 0.85


def test_the_same_labels_give_the_same_model(digits: Digits) -> None:
    inputs, truth = np.stack([ADAPTER.read(file) for file in digits[0][:60]]), np.array(digits[1][:60])
    first, second = (ADAPTER.fit(inputs, truth, 10, seed=3) for _ in range(2))
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


@pytest.mark.parametrize("seen", [[4], [2, 7], [0, 1, 9]], ids=["one class", "two classes", "three classes"])
def test_classes_without_a_label_keep_a_small_probability(digits: Digits, seen: list[int]) -> None:
    chosen = [number for number, label in enumerate(digits[1][:300]) if label in seen]
    inputs = np.stack([ADAPTER.read(digits[0][number]) for number in chosen])
    truth = np.array([digits[1][number] for number in chosen])
    others = np.stack([ADAPTER.read(file) for file in digits[0][:50]])
    probabilities = ADAPTER.predict(ADAPTER.fit(inputs, truth, 10, seed=1), others)
    assert probabilities.shape == (50, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    unseen = [digit for digit in range(10) if digit not in seen]
    np.testing.assert_allclose(probabilities[:, unseen], 1 / (len(truth) + 10))
    on_training = ADAPTER.predict(ADAPTER.fit(inputs, truth, 10, seed=1), inputs)
    assert (on_training.argmax(axis=1) == truth).mean() > 0.95


@pytest.mark.parametrize("count", [1, 3])
def test_equal_images_or_a_single_one_are_enough_to_fit(count: int) -> None:
    inputs = np.zeros((count, 256), np.uint8)
    probabilities = ADAPTER.predict(ADAPTER.fit(inputs, np.arange(count), 3, seed=1), inputs)
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("hyperparameters", "told"),
    [
        ({"image_size": 3}, "image_size is 3; allowed: an integer from 4 to 64"),
        ({"image_size": 8.0}, "image_size is 8.0"),
        ({"image_size": True}, "image_size is True"),
        ({"kernel_gamma": 0}, "kernel_gamma is 0; allowed: a number above 0"),
        ({"regularisation": "1"}, "regularisation is '1'"),
        ({"landmarks": 0}, "landmarks is 0"),
        ({"imagesize": 8}, "unknown keys imagesize; .* image_size, kernel_gamma, regularisation, landmarks"),
    ],
)
def test_a_wrong_hyperparameter_is_named_with_what_is_allowed(
    hyperparameters: dict[str, object], told: str
) -> None:
    with pytest.raises(InvalidHyperparameters, match=told):
        create_adapter("image-classifier", hyperparameters, "class")


def test_an_unknown_adapter_is_named_with_those_that_exist() -> None:
    with pytest.raises(InvalidHyperparameters, match="'resnet'; allowed: box-detector, image-classifier"):
        create_adapter("resnet", {}, "class")
