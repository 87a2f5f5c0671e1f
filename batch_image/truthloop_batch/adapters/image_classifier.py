"""Images with one class each: a small grey picture of each, and logistic regression on Gaussian kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from truthloop_batch.adapters.base import Artifacts, InvalidHyperparameters, Predictions
from truthloop_batch.images import opened_image


@dataclass(frozen=True)
class ImageClassifier:
    """Kernel logistic regression on small greyscale images.

    An image becomes ``image_size`` x ``image_size`` grey values. These are centred per pixel, and scaled by
    one common factor, so that a border which is always empty stays quiet. The features of an input x are its
    similarities to m landmarks z, which are labelled inputs (the Nyström method; Williams and Seeger 2001,
    https://papers.nips.cc/paper/1866):

        k(x, z) = exp(-kernel_gamma * |x - z|^2 / d),        d = image_size^2

    and a logistic regression on them gives the probabilities. It is convex, so that the same labels give the
    same model, and needs no calibration afterwards. A class without any label yet is given the probability
    1 / (n + classes) after n labels (Laplace's rule of succession), so no label is ever thought impossible.

    Attributes
    ----------
    image_size
        Side of the grey picture in pixels, 4 to 64.
    kernel_gamma
        Inverse width of the kernel, above 0 to 100; the mean of |x - z|^2 / d over a data set is 2.
    regularisation
        Inverse strength of the penalty, above 0 to 1e6: scikit-learn's C.
    landmarks
        At most so many labelled inputs are landmarks, 1 to 10,000; they bound the model's size.
    """

    name: ClassVar[str] = "image-classifier"

    image_size: int = 16
    kernel_gamma: float = 0.5
    regularisation: float = 100.0
    landmarks: int = 1000

    def __post_init__(self) -> None:
        _check("image_size", self.image_size, 4, 64, whole=True)
        _check("kernel_gamma", self.kernel_gamma, 0, 100)
        _check("regularisation", self.regularisation, 0, 1e6)
        _check("landmarks", self.landmarks, 1, 10_000, whole=True)

    def read(self, content: bytes) -> NDArray[np.uint8]:
        """An image file as grey values, uint8 [image_size^2], turned as its EXIF orientation says.

        Transparent parts are seen on white; of several frames the first counts. Memory per call is that of
        the decoded image; JPEG is decoded at a reduced scale.
        """
        with opened_image(content) as image:
            image.draft("L", (2 * self.image_size, 2 * self.image_size))
            grey = _greyscale(ImageOps.exif_transpose(image))
            small = grey.resize((self.image_size, self.image_size), Image.Resampling.BOX)
        return np.asarray(small, dtype=np.uint8).reshape(-1)

    def fit(self, inputs: NDArray[np.uint8], labels: NDArray[np.int64], classes: int, seed: int) -> Artifacts:
        """Fit to inputs [n, d] and labels [n]; the arrays are those that `predict` reads."""
        # scikit-learn takes over a second to import, and only training needs it.
        from sklearn.kernel_approximation import Nystroem
        from sklearn.linear_model import LogisticRegression

        values = inputs.astype(np.float64)
        centre = values.mean(axis=0)
        # One grey level at least: a single image, or equal ones, have no spread.
        spread = max(float((values - centre).std()), 1.0)
        standard = (values - centre) / spread
        seen, counts = np.unique(labels, return_counts=True)
        kernel = Nystroem(
            kernel="rbf",
            gamma=self.kernel_gamma / standard.shape[1],
            n_components=min(self.landmarks, len(standard)),
            random_state=seed,
        )
        features = kernel.fit_transform(standard)
        if len(seen) == 1:
            weights, bias = np.zeros((features.shape[1], 1)), np.zeros(1)
        else:
            regression = LogisticRegression(C=self.regularisation, max_iter=2000).fit(features, labels)
            weights, bias = regression.coef_.T, regression.intercept_
            if len(seen) == 2:
                # scikit-learn keeps only the second class's score of two.
                weights, bias = np.hstack([np.zeros_like(weights), weights]), np.concatenate([[0.0], bias])
        return {
            "centre": centre,
            "spread": np.array(spread),
            # As grey values, an eighth of the size of the standardised ones.
            "landmarks": inputs[kernel.component_indices_],
            # The whitening of the kernel features is folded into the weights: the score is k(x, Z) @ weights.
            "weights": kernel.normalization_.T @ weights,
            "bias": bias,
            "seen": seen,
            "counts": counts,
            "classes": np.array(classes),
        }

    def predict(self, artifacts: Artifacts, inputs: NDArray[np.uint8]) -> Predictions:
        """Probabilities [n, classes]; the embeddings are the standardised grey values [n, d]."""
        centre, spread = artifacts["centre"], artifacts["spread"]
        landmarks = (artifacts["landmarks"].astype(np.float64) - centre) / spread
        standard = (inputs.astype(np.float64) - centre) / spread
        distances = (
            (standard**2).sum(axis=1)[:, None] + (landmarks**2).sum(axis=1) - 2 * standard @ landmarks.T
        )
        similarities = np.exp(-self.kernel_gamma / landmarks.shape[1] * np.maximum(distances, 0))
        scores = similarities @ artifacts["weights"] + artifacts["bias"]
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        seen, classes = artifacts["seen"], int(artifacts["classes"])
        unseen = 1 / (artifacts["counts"].sum() + classes)
        probabilities = np.full((len(inputs), classes), unseen)
        probabilities[:, seen] = odds / odds.sum(axis=1, keepdims=True) * (1 - unseen * (classes - len(seen)))
        return Predictions(probabilities, standard.astype(np.float32))


def _greyscale(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    elif image.mode.startswith("I;16"):
        # Pillow's conversion cuts 16 bits off at 255 rather than scale them.
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    elif image.mode in {"I", "F"}:
        raise ValueError(f"grey values of mode {image.mode} have no fixed range; save it with 8 or 16 bits")
    return image.convert("L")


def _check(name: str, value: Any, lower: float, upper: float, whole: bool = False) -> None:
    kinds = (int,) if whole else (int, float)
    inside = (
        isinstance(value, kinds)
        and not isinstance(value, bool)
        and (lower <= value <= upper if whole else lower < value <= upper)
    )
    if not inside:
        allowed = f"an integer from {lower} to {upper}" if whole else f"a number above {lower:g} to {upper:g}"
        raise InvalidHyperparameters(
            f"model.hyperparameters.{name} is {value!r}; allowed: {allowed}. Correct it in the request."
        )
