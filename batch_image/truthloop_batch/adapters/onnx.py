"""A network of one's own in the ONNX format: used as it is, or with a head that learns on its embedding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from truthloop.errors import TruthloopError
from truthloop.labels import CLASS, CLASSES
from truthloop_batch.adapters.base import Artifacts, InvalidHyperparameters
from truthloop_batch.adapters.checks import check_integer, check_number, refusal
from truthloop_batch.adapters.regression import (
    decisions,
    fit_decisions,
    fit_regression,
    probabilities,
    sigmoid,
    softmax,
)
from truthloop_batch.images import opaque, opened_image

EMBEDDING, PROBABILITIES, LOGITS = "embedding", "probabilities", "logits"
_OUTPUTS = (EMBEDDING, PROBABILITIES, LOGITS)
_CHANNELS = 3


class MissingLibrary(TruthloopError):
    """The campaign needs a library that the image doesn't hold."""


@dataclass(frozen=True)
class Onnx:
    """Runs a network by ONNX Runtime when a row is read; what it says is the row's input.

    So each object passes the network once in the steps that need it, inputs are small, and fitting and
    predicting are numpy and a regression. The network isn't fine-tuned: with the output "embedding" a
    logistic regression on it is fitted to the labels in every round (a linear probe: Alain and Bengio 2016,
    https://arxiv.org/abs/1610.01644), with the other outputs nothing is learnt, and the outputs must be the
    label categories in their order. onnxruntime isn't in the image unless its
    requirements name it.

    A network's URI names its content: put a changed network under another one, since inputs of earlier
    rounds are kept.

    Attributes
    ----------
    model_uri
        The network's S3 URI. Its first input takes images, float32 [1, 3, h, w] or [1, h, w, 3].
    output
        What the network says: "embedding", "probabilities" or "logits".
    output_name
        Which of the network's outputs, the first when empty.
    image_size
        Side of the images in pixels, 1 to 2,048, where the network leaves it open.
    mean, deviation
        Of red, green and blue from 0 to 1, three numbers each: a value x becomes (x - mean) / deviation.
    regularisation
        Inverse strength of the head's penalty, above 0 to 1e6: scikit-learn's C.
    """

    name: ClassVar[str] = "onnx"
    kinds: ClassVar[tuple[str, ...]] = (CLASS, CLASSES)

    model_uri: str
    output: str = EMBEDDING
    output_name: str = ""
    image_size: int = 224
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    deviation: tuple[float, ...] = (0.229, 0.224, 0.225)
    regularisation: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.model_uri, str) or not self.model_uri.startswith("s3://"):
            raise refusal("model_uri", self.model_uri, "the S3 URI of an ONNX file, s3://bucket/key")
        if self.output not in _OUTPUTS:
            raise refusal("output", self.output, ", ".join(_OUTPUTS))
        if not isinstance(self.output_name, str):
            raise refusal("output_name", self.output_name, "the name of an output, or an empty text")
        check_integer("image_size", self.image_size, 1, 2048)
        for name, values, lower in (("mean", self.mean, -1e6), ("deviation", self.deviation, 0)):
            if not isinstance(values, tuple) or len(values) != _CHANNELS:
                raise refusal(name, values, "a list of three numbers, for red, green and blue")
            for value in values:
                check_number(name, value, lower, 1e6)
        check_number("regularisation", self.regularisation, 0, 1e6)

    def reader(self, fetch: Callable[[str], bytes]) -> Callable[[bytes], NDArray[np.float32]]:
        """Reads an image as what the network says of it, float32 [outputs]; the network is fetched once."""
        run, height, width, channels_first = self._opened(fetch(self.model_uri))

        def read(content: bytes) -> NDArray[np.float32]:
            with opened_image(content) as image:
                colored = opaque(ImageOps.exif_transpose(image)).convert("RGB")
                pixels = np.asarray(colored.resize((width, height), Image.Resampling.BILINEAR))
            values = (pixels.astype(np.float32) / 255 - np.float32(self.mean)) / np.float32(self.deviation)
            batch = values.transpose(2, 0, 1)[None] if channels_first else values[None]
            said: NDArray[np.float32] = run(np.ascontiguousarray(batch)).astype(np.float32).reshape(-1)
            return said

        return read

    def fit(self, inputs: NDArray[np.float32], targets: NDArray[Any], classes: int, seed: int) -> Artifacts:
        """Fit the head to outputs [n, d] and the targets of either kind; without one check the outputs."""
        if self.output != EMBEDDING:
            if inputs.shape[1] != classes:
                raise InvalidHyperparameters(
                    f"model.hyperparameters.output is {self.output!r}, and the network has {inputs.shape[1]} "
                    f"outputs; allowed: {classes}, one per label category. Use a network of these, "
                    f"or {EMBEDDING!r} to learn them."
                )
            # Several classes that apply by themselves, or one of all: the targets tell.
            return {"independent": np.array(targets.ndim == 2)}
        centre = inputs.mean(axis=0)
        scale = np.maximum(inputs.std(axis=0), 1e-6)
        standard = ((inputs - centre) / scale).astype(np.float64)
        strength = self.regularisation / inputs.shape[1]
        if targets.ndim == 2:
            head = fit_decisions(standard, targets, strength)
        else:
            head = fit_regression(standard, targets, classes, strength)
        return head | {"centre": centre, "scale": scale, "independent": np.array(targets.ndim == 2)}

    def predict(self, artifacts: Artifacts, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities [n, classes] of either kind."""
        values, independent = inputs.astype(np.float64), bool(artifacts["independent"])
        if self.output == PROBABILITIES:
            return values
        if self.output == LOGITS:
            return sigmoid(values) if independent else softmax(values)
        standard = (values - artifacts["centre"]) / artifacts["scale"]
        if independent:
            return decisions(artifacts, standard)
        return probabilities(artifacts, standard @ artifacts["weights"] + artifacts["bias"])

    def _opened(self, network: bytes) -> tuple[Callable[[NDArray[np.float32]], Any], int, int, bool]:
        """What runs the network, and the height, width and order of the axes that it takes."""
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingLibrary(
                "the adapter onnx needs the library onnxruntime, which is not installed. Add the lines of "
                "batch_image/requirements-onnx.txt to requirements.txt, and build the image again; or choose "
                "another adapter."
            ) from error
        options = onnxruntime.SessionOptions()
        # Many rows are read at once; each needs one thread.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        # onnxruntime's exceptions have no common class of their own.
        except Exception as error:
            raise InvalidHyperparameters(
                f"model.hyperparameters.model_uri is {self.model_uri}, which is no network that ONNX Runtime "
                f"{onnxruntime.__version__} can run: {error}. Export it again."
            ) from error
        (name, shape), *_ = [(each.name, each.shape) for each in session.get_inputs()]
        outputs = [each.name for each in session.get_outputs()]
        wanted = self.output_name or outputs[0]
        if wanted not in outputs:
            raise refusal("output_name", wanted, ", ".join(outputs))
        if len(shape) != 4 or _CHANNELS not in (shape[1], shape[3]):
            raise InvalidHyperparameters(
                f"the network {self.model_uri} takes {name} of the shape {shape}; allowed: [1, 3, h, w] or "
                "[1, h, w, 3]. Export it with images for its input."
            )
        channels_first = shape[1] == _CHANNELS
        sides = shape[2:] if channels_first else shape[1:3]
        height, width = (side if isinstance(side, int) and side > 0 else self.image_size for side in sides)
        return lambda batch: session.run([wanted], {name: batch})[0], height, width, channels_first
