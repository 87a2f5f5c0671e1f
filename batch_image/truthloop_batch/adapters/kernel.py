"""Kernel logistic regression: a regression on similarities to landmarks among the labelled inputs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from truthloop_batch.adapters.base import Artifacts
from truthloop_batch.adapters.regression import fit_regression, probabilities


def fit_kernel_regression(
    inputs: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: int,
    kernel_gamma: float,
    regularisation: float,
    landmarks: int,
    seed: int,
) -> Artifacts:
    """Fit to inputs [n, d] of grey or colour values and labels [n], indices below `classes`.

    The inputs are centred per value, and scaled by one common factor, so that a value which is always the
    same stays quiet. The features of an input x are its similarities to m landmarks z, which are inputs (the
    Nyström method; Williams and Seeger 2001, https://papers.nips.cc/paper/1866):

        k(x, z) = exp(-kernel_gamma * |x - z|^2 / d)

    and a logistic regression on them gives the probabilities. It is convex, so that the same labels give the
    same model, and needs no calibration afterwards.
    """
    from sklearn.kernel_approximation import Nystroem

    values = inputs.astype(np.float64)
    centre = values.mean(axis=0)
    # One grey level at least: a single image, or equal ones, have no spread.
    scale = max(float((values - centre).std()), 1.0)
    standard = (values - centre) / scale
    kernel = Nystroem(
        kernel="rbf",
        gamma=kernel_gamma / standard.shape[1],
        n_components=min(landmarks, len(standard)),
        random_state=seed,
    )
    regression = fit_regression(kernel.fit_transform(standard), labels, classes, regularisation)
    return {
        **regression,
        "centre": centre,
        "spread": np.array(scale),
        # As bytes, an eighth of the size of the standardised ones.
        "landmarks": inputs[kernel.component_indices_],
        # The whitening of the kernel features is folded into the weights: the score is k(x, Z) @ weights.
        "weights": kernel.normalization_.T @ regression["weights"],
    }


def predict_kernel_regression(
    artifacts: Artifacts, inputs: NDArray[np.uint8], kernel_gamma: float
) -> NDArray[np.float64]:
    """Probabilities [n, classes] of inputs [n, d]."""
    centre, scale = artifacts["centre"], artifacts["spread"]
    landmarks = (artifacts["landmarks"].astype(np.float64) - centre) / scale
    standard = (inputs.astype(np.float64) - centre) / scale
    distances = (standard**2).sum(axis=1)[:, None] + (landmarks**2).sum(axis=1) - 2 * standard @ landmarks.T
    similarities = np.exp(-kernel_gamma / landmarks.shape[1] * np.maximum(distances, 0))
    return probabilities(artifacts, similarities @ artifacts["weights"] + artifacts["bias"])
