"""Images with one class each: a small grey picture of each, and logistic regression on Gaussian kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from truthloop.labels import CLASS
from truthloop_batch.adapters.base import Artifacts
from truthloop_batch.adapters.checks import check_integer, check_number
from truthloop_batch.adapters.kernel import fit_kernel_regression, predict_kernel_regression
from truthloop_batch.images import opaque, opened_image


@dataclass(frozen=True)
class ImageClassifier:
    """Kernel logistic regression on small greyscale images, see `truthloop_batch.adapters.kernel`.

    An image becomes ``image_size`` x ``image_size`` grey values.

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
    kinds: ClassVar[tuple[str, ...]] = (CLASS,)

    image_size: int = 16
    kernel_gamma: float = 0.5
    regularisation: float = 100.0
    landmarks: int = 1000

    def __post_init__(self) -> None:
        check_integer("image_size", self.image_size, 4, 64)
        check_number("kernel_gamma", self.kernel_gamma, 0, 100)
        check_number("regularisation", self.regularisation, 0, 1e6)
        check_integer("landmarks", self.landmarks, 1, 10_000)

    def reader(self, fetch: Callable[[str], bytes]) -> Callable[[bytes], NDArray[np.uint8]]:
        """Reads images with `read`."""
        return self.read

    def read(self, content: bytes) -> NDArray[np.uint8]:
        """An image file as grey values, uint8 [image_size^2], turned as its EXIF orientation says.

        Transparent parts are seen on white; of several frames the first counts. Memory per call is that of
        the decoded image; JPEG is decoded at a reduced scale.
        """
        with opened_image(content) as image:
            image.draft("L", (2 * self.image_size, 2 * self.image_size))
            grey = opaque(ImageOps.exif_transpose(image)).convert("L")
            small = grey.resize((self.image_size, self.image_size), Image.Resampling.BOX)
        return np.asarray(small, dtype=np.uint8).reshape(-1)

    def fit(
        self, inputs: NDArray[np.uint8], targets: NDArray[np.int64], classes: int, seed: int
    ) -> Artifacts:
        """Fit to inputs [n, d] and class indices [n]."""
        return fit_kernel_regression(
            inputs, targets, classes, self.kernel_gamma, self.regularisation, self.landmarks, seed
        )

    def predict(self, artifacts: Artifacts, inputs: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Probabilities [n, classes]."""
        return predict_kernel_regression(artifacts, inputs, self.kernel_gamma)
