"""What a small filter bank sees around each pixel of an image: colours, edges, blobs and texture at scales.

The filters are those of interactive pixel classification (ilastik: Berg et al. 2019,
https://doi.org/10.1038/s41592-019-0582-9): Gaussian smoothing of the colours, and of the brightness the
gradient's magnitude, the Laplacian, the eigenvalues of the Hessian, and the local spread.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

SMOOTHING_SCALES = (1.0, 2.0, 4.0, 8.0)
EDGE_SCALES = (1.0, 2.0, 4.0)
# Three colour channels, as they are and smoothed; five measures of the brightness.
FEATURES = 3 * (1 + len(SMOOTHING_SCALES)) + 5 * len(EDGE_SCALES)

_TRUNCATE = 4.0


def filter_bank(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Features [h, w, `FEATURES`] of the pixels [h, w, 3] of an image; derivatives are scale-normalised."""
    height, width = pixels.shape[:2]
    red, green, blue = (pixels.astype(np.float32) / 255).transpose(2, 0, 1)
    light = (red + green + blue) / 3
    channels = np.stack([light, red - green, (red + green) / 2 - blue])
    found = [channels]
    for scale in SMOOTHING_SCALES:
        found.append(smoothed(channels, scale))
    for scale in EDGE_SCALES:
        rows = [_gaussian(height, scale, order) * scale**order for order in range(3)]
        columns = [_gaussian(width, scale, order) * scale**order for order in range(3)]
        down, across = (_filtered(light, rows[i], columns[j]) for i, j in ((1, 0), (0, 1)))
        bent = [_filtered(light, rows[i], columns[j]) for i, j in ((2, 0), (0, 2), (1, 1))]
        half_trace = (bent[0] + bent[1]) / 2
        root = np.sqrt(((bent[0] - bent[1]) / 2) ** 2 + bent[2] ** 2)
        mean, square = (_filtered(each, rows[0], columns[0]) for each in (light, light**2))
        spread = np.sqrt(np.maximum(square - mean**2, 0))
        found.append(
            np.stack([np.hypot(down, across), 2 * half_trace, half_trace + root, half_trace - root, spread])
        )
    return np.concatenate(found).transpose(1, 2, 0)


def smoothed(images: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """Images [..., h, w] after a Gaussian whose standard deviation is `scale` pixels."""
    height, width = images.shape[-2:]
    return _filtered(images, _gaussian(height, scale, 0), _gaussian(width, scale, 0))


def _filtered(
    image: NDArray[np.float32], rows: NDArray[np.float32], columns: NDArray[np.float32]
) -> NDArray[np.float32]:
    """A separable filter of images [..., h, w] as two products of matrices, faster here than convolutions."""
    return rows @ image @ columns.T


@cache
def _gaussian(length: int, scale: float, order: int) -> NDArray[np.float32]:
    """The matrix [length, length] that convolves with a Gaussian's derivative; the image is mirrored beyond.

    The same numbers as scipy.ndimage.gaussian_filter1d with the mode "reflect".
    """
    radius = int(_TRUNCATE * scale + 0.5)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / scale) ** 2)
    kernel /= kernel.sum()
    if order == 1:
        kernel *= offsets / scale**2
    elif order == 2:
        kernel *= (offsets / scale**2) ** 2 - 1 / scale**2
    period = 2 * length
    places = np.arange(length)[:, None] + offsets
    mirrored = places % period
    mirrored = np.where(mirrored < length, mirrored, period - 1 - mirrored)
    matrix = np.zeros((length, length))
    np.add.at(matrix, (np.arange(length)[:, None], mirrored), np.broadcast_to(kernel, places.shape))
    return matrix.astype(np.float32)
