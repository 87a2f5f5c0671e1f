"""The filter bank is made of the filters that it names."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from truthloop_batch.adapters.filter_bank import (
    EDGE_SCALES,
    FEATURES,
    SMOOTHING_SCALES,
    filter_bank,
    smoothed,
)

PIXELS = np.random.default_rng(1).integers(0, 256, (40, 56, 3), dtype=np.uint8)


@pytest.mark.parametrize("scale", [*SMOOTHING_SCALES, 20.0])
def test_smoothing_is_scipys_gaussian_filter(scale: float) -> None:
    image = PIXELS[..., 0].astype(np.float32)
    expected = ndimage.gaussian_filter(image, scale, mode="reflect")
    np.testing.assert_allclose(smoothed(image, scale), expected, rtol=1e-4, atol=1e-3)


def test_the_derivatives_are_scipys() -> None:
    light = PIXELS.astype(np.float64).mean(axis=2) / 255
    found = filter_bank(PIXELS)
    assert found.shape == (40, 56, FEATURES)
    assert found.dtype == np.float32
    first = 3 * (1 + len(SMOOTHING_SCALES))
    for number, scale in enumerate(EDGE_SCALES):
        gradient, laplacian, large, small, spread = np.moveaxis(
            found[..., first + 5 * number : first + 5 * number + 5], -1, 0
        )
        expected = scale * ndimage.gaussian_gradient_magnitude(light, scale, mode="reflect")
        np.testing.assert_allclose(gradient, expected, atol=1e-5)
        expected = scale**2 * ndimage.gaussian_laplace(light, scale, mode="reflect")
        np.testing.assert_allclose(laplacian, expected, atol=1e-4)
        np.testing.assert_allclose(large + small, laplacian, atol=1e-5)
        hessian = [
            scale**2 * ndimage.gaussian_filter(light, scale, order=order, mode="reflect")
            for order in ((2, 0), (1, 1), (0, 2))
        ]
        matrices = np.stack([[hessian[0], hessian[1]], [hessian[1], hessian[2]]]).transpose(2, 3, 0, 1)
        np.testing.assert_allclose(np.stack([small, large], axis=-1), np.linalg.eigvalsh(matrices), atol=1e-4)
        mean = ndimage.gaussian_filter(light, scale, mode="reflect")
        square = ndimage.gaussian_filter(light**2, scale, mode="reflect")
        np.testing.assert_allclose(spread**2, square - mean**2, atol=1e-5)


def test_what_is_turned_looks_turned() -> None:
    np.testing.assert_allclose(filter_bank(PIXELS[:, ::-1]), filter_bank(PIXELS)[:, ::-1], atol=1e-4)
