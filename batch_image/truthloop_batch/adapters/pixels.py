"""Small networks that give each pixel of an image its classes' probabilities.

One hidden layer of rectified linear units, fitted by scikit-learn to a sample of the labelled pixels. What is
kept are its weights; numpy predicts.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from truthloop_batch.adapters.base import Artifacts
from truthloop_batch.adapters.regression import softmax, spread

# Pixels with this target are left out of the fit.
IGNORED = 255

_BATCH = 256
_LEARNING_RATE = 3e-3
_PENALTY = 0.1


def fit_pixels(
    features: Iterable[NDArray[np.float32]],
    targets: NDArray[np.uint8],
    classes: int,
    sample: int,
    hidden: int,
    epochs: int,
    seed: int,
) -> Artifacts:
    """Fit to images' features [h, w, d] and their pixels' classes [n, h, w], below `classes` or `IGNORED`.

    About `sample` pixels are drawn. A class's share of them is proportional to the square root of its share
    of all pixels: between the true shares, in which small objects drown, and equal ones, which would see them
    everywhere. Memory is that of the sample and one image's features.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    present, available = np.unique(targets[targets != IGNORED], return_counts=True)
    shares = np.sqrt(available) / np.sqrt(available).sum()
    chance = np.zeros(IGNORED + 1)
    chance[present] = np.minimum(sample * shares / available, 1)
    random = np.random.default_rng(seed)
    drawn = [random.random(target.shape) < chance[target] for target in targets]
    table = np.concatenate([image[chosen] for image, chosen in zip(features, drawn, strict=True)])
    truth = np.concatenate([target[chosen] for target, chosen in zip(targets, drawn, strict=True)])
    seen = np.unique(truth).astype(np.int64)
    artifacts = {"seen": seen, "labels": np.array(len(truth)), "classes": np.array(classes)}
    if len(seen) < 2:
        return artifacts
    centre = table.mean(axis=0)
    scale = np.maximum(table.std(axis=0), 1e-3)
    network = MLPClassifier(
        (hidden,),
        batch_size=min(_BATCH, len(truth)),
        learning_rate_init=_LEARNING_RATE,
        alpha=_PENALTY,
        max_iter=epochs,
        # The number of epochs is what is asked for, whatever the loss does.
        n_iter_no_change=epochs,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit((table - centre) / scale, truth)
    (first, last), (first_bias, last_bias) = network.coefs_, network.intercepts_
    if len(seen) == 2:
        # scikit-learn keeps only the second class's score of two.
        last, last_bias = np.hstack([np.zeros_like(last), last]), np.concatenate([[0.0], last_bias])
    return artifacts | {
        # Standardising is folded into the first layer.
        "first": (first / scale[:, None]).astype(np.float32),
        "first_bias": (first_bias - (centre / scale) @ first).astype(np.float32),
        "last": last.astype(np.float32),
        "last_bias": last_bias.astype(np.float32),
    }


def predict_pixels(artifacts: Artifacts, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities [classes, h, w] for one image's features [h, w, d]."""
    height, width, _ = features.shape
    if "first" in artifacts:
        table = features.reshape(height * width, -1)
        units = np.maximum(table @ artifacts["first"] + artifacts["first_bias"], 0)
        distribution = softmax(units @ artifacts["last"] + artifacts["last_bias"])
    else:
        # A single class, or none at all, was there to be learnt.
        distribution = np.ones((height * width, len(artifacts["seen"])), np.float32)
    classes = int(artifacts["classes"])
    table = spread(distribution, artifacts["seen"], int(artifacts["labels"]), classes)
    return table.T.reshape(classes, height, width)


def named(prefix: str, artifacts: Artifacts) -> Artifacts:
    """A stage's arrays under names of its own, for a model of several stages."""
    return {f"{prefix}_{name}": values for name, values in artifacts.items()}


def of_stage(prefix: str, artifacts: Artifacts) -> Artifacts:
    """The arrays that `named` put under the prefix."""
    return {
        name.removeprefix(f"{prefix}_"): values
        for name, values in artifacts.items()
        if name.startswith(f"{prefix}_")
    }
