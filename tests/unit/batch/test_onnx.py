"""A network of one's own is run as it is, and learnt on; without a runtime the error says so."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from truthloop_batch.adapters import create_adapter
from truthloop_batch.adapters.base import Adapter, InvalidHyperparameters, UnreadableContent
from truthloop_batch.adapters.onnx import MissingLibrary
from truthloop_batch.kinds import class_set, single_class
from truthloop_batch.model import Model, pack_model, unpack_model

onnx = pytest.importorskip("onnx", reason="onnx is not installed: install the extra onnx")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: install the extra onnx")

URI = "s3://bucket/network.onnx"
PLAIN = {"mean": [0, 0, 0], "deviation": [1, 1, 1]}


def network(outputs: dict[str, np.ndarray], shape: tuple[object, ...] = (1, 3, 8, 8)) -> bytes:
    """A network that says, per output, the image's values times a matrix [3 * 8 * 8, d]."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = [helper.make_node("Flatten", ["image"], ["flat"])]
    weights = []
    for name, matrix in outputs.items():
        nodes.append(helper.make_node("MatMul", ["flat", f"weights-{name}"], [name]))
        weights.append(numpy_helper.from_array(matrix.astype(np.float32), f"weights-{name}"))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, m.shape[1]))
            for name, m in outputs.items()
        ],
        weights,
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


def picture(seed: int, kind: int) -> bytes:
    """Noise with more of one colour."""
    values = np.random.default_rng(seed).integers(0, 120, (8, 8, 3))
    values[..., kind] += 40
    buffer = io.BytesIO()
    Image.fromarray(values.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def reader_of(adapter: Adapter, content: bytes) -> Callable[[bytes], np.ndarray]:
    def fetch(uri: str) -> bytes:
        assert uri == URI
        return content

    return adapter.reader(fetch)


def make(kind: str = "class", **hyperparameters: object) -> Adapter:
    return create_adapter("onnx", {"model_uri": URI, **PLAIN, **hyperparameters}, kind)


def projection(columns: int = 24) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1, (192, columns))


def test_a_head_learns_on_the_embedding_and_better_with_more_labels() -> None:
    adapter = make()
    read = reader_of(adapter, network({"embedding": projection()}))
    inputs = np.stack([read(picture(seed, seed % 3)) for seed in range(360)])
    truth = np.arange(360) % 3
    found = []
    for labels in (9, 200):
        artifacts = adapter.fit(inputs[:labels], truth[:labels], 3, seed=1)
        predictions = adapter.predict(artifacts, inputs[200:])
        np.testing.assert_allclose(predictions.sum(axis=1), 1)
        found.append((predictions.argmax(axis=1) == truth[200:]).mean())
    assert found[0] > 0.4
    assert found[1] > 0.8
    model = Model("class", adapter, artifacts, ("r", "g", "b"), 200)
    copy = unpack_model(pack_model(model), "it")
    assert copy.adapter == adapter
    np.testing.assert_array_equal(copy.predict(inputs[200:]), predictions)


def test_a_head_learns_classes_that_apply_by_themselves() -> None:
    adapter = make("classes")
    read = reader_of(adapter, network({"embedding": projection()}))
    inputs = np.stack([read(picture(seed, seed % 3)) for seed in range(300)])
    truth = np.stack([np.arange(300) % 3 == 0, np.arange(300) % 3 != 1, np.zeros(300, bool)], axis=1)
    artifacts = adapter.fit(inputs[:200], truth[:200], 3, seed=1)
    predictions = adapter.predict(artifacts, inputs[200:])
    assert ((predictions[:, :2] > 0.5) == truth[200:, :2]).mean() > 0.8
    # Nobody said it of 200 rows.
    np.testing.assert_allclose(predictions[:, 2], 1 / 202)
    assert set(class_set.scores(predictions)) == {"predicted", "confidence", "margin", "entropy"}


def test_logits_and_probabilities_are_the_networks_own() -> None:
    matrix = projection(3) / 50
    content = picture(1, 0)
    with Image.open(io.BytesIO(content)) as image:
        values = np.asarray(image).astype(float).transpose(2, 0, 1).reshape(-1) / 255
    logits = values @ matrix
    read = {}
    for kind, expected in (
        ("class", np.exp(logits) / np.exp(logits).sum()),
        ("classes", 1 / (1 + np.exp(-logits))),
    ):
        adapter = make(kind, output="logits")
        read[kind] = reader_of(adapter, network({"logits": matrix}))(content)[None]
        targets = np.array([1]) if kind == "class" else np.array([[True, False, False]])
        artifacts = adapter.fit(read[kind], targets, 3, seed=1)
        np.testing.assert_allclose(adapter.predict(artifacts, read[kind]), [expected], rtol=1e-4)
    adapter = make(output="probabilities")
    artifacts = adapter.fit(read["class"], np.array([1]), 3, seed=1)
    np.testing.assert_allclose(adapter.predict(artifacts, read["class"]), [logits], rtol=1e-4)
    with pytest.raises(InvalidHyperparameters, match="the network has 3 outputs; allowed: 4"):
        adapter.fit(read["class"], np.array([1]), 4, seed=1)


def test_the_values_are_normalised_as_the_hyperparameters_say() -> None:
    sums = np.zeros((192, 3))
    for channel in range(3):
        sums[64 * channel : 64 * (channel + 1), channel] = 1 / 64
    adapter = create_adapter(
        "onnx", {"model_uri": URI, "mean": [0.5, 0, 0], "deviation": [1, 0.5, 1]}, "class"
    )
    buffer = io.BytesIO()
    Image.new("RGB", (30, 20), (255, 51, 102)).save(buffer, "PNG")
    found = reader_of(adapter, network({"means": sums}))(buffer.getvalue())
    np.testing.assert_allclose(found, [0.5, 0.4, 0.4], atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 8, 8, 3), ("n", "h", "w", 3), (1, 3, None, None)])
def test_either_order_of_axes_and_open_sizes_are_understood(shape: tuple[object, ...]) -> None:
    adapter = make(image_size=8)
    read = reader_of(adapter, network({"embedding": projection(4)}, shape))
    assert read(picture(1, 1)).shape == (4,)


def test_the_named_output_is_taken_and_an_unknown_one_refused() -> None:
    content = network({"first": projection(4), "second": projection(7)})
    assert reader_of(make(), content)(picture(1, 1)).shape == (4,)
    assert reader_of(make(output_name="second"), content)(picture(1, 1)).shape == (7,)
    with pytest.raises(InvalidHyperparameters, match="output_name is 'third'; allowed: first, second"):
        reader_of(make(output_name="third"), content)


def test_what_is_no_network_or_takes_no_images_is_refused() -> None:
    with pytest.raises(InvalidHyperparameters, match=r"s3://bucket/network\.onnx, which is no network"):
        reader_of(make(), b"not a network")
    with pytest.raises(InvalidHyperparameters, match=r"allowed: \[1, 3, h, w\]"):
        reader_of(make(), network({"embedding": projection(4)}, (1, 12, 16, 1)))


def test_a_broken_image_is_the_rows_matter() -> None:
    with pytest.raises(UnreadableContent):
        reader_of(make(), network({"embedding": projection(4)}))(b"no image")


def test_without_the_runtime_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingLibrary, match=r"needs the library onnxruntime.*requirements-onnx\.txt"):
        reader_of(make(), b"")


@pytest.mark.parametrize(
    ("hyperparameters", "told"),
    [
        ({"model_uri": "network.onnx"}, "model_uri is 'network.onnx'; allowed: the S3 URI"),
        ({"output": "classes"}, "output is 'classes'; allowed: embedding, probabilities, logits"),
        ({"output_name": 1}, "output_name is 1"),
        ({"mean": [0.5]}, "mean is .*allowed: a list of three numbers"),
        ({"deviation": [1, 0, 1]}, "deviation is 0; allowed: a number above 0"),
        ({"image_size": 0}, "image_size is 0"),
        ({"regularisation": -1}, "regularisation is -1"),
    ],
)
def test_a_wrong_hyperparameter_is_named_with_what_is_allowed(
    hyperparameters: dict[str, object], told: str
) -> None:
    with pytest.raises(InvalidHyperparameters, match=told):
        make(**hyperparameters)


def test_the_networks_uri_is_asked_for() -> None:
    with pytest.raises(InvalidHyperparameters, match=r"lacks a key that the adapter onnx needs: .*model_uri"):
        create_adapter("onnx", {}, "class")


def test_a_campaign_learns_with_a_network_from_s3(make_world: Callable) -> None:
    weights = np.random.default_rng(1).normal(0, 1, (192, 40))
    world = make_world(
        model={
            "adapter": "onnx",
            "hyperparameters": {"model_uri": "s3://truthloop-test-data/net.onnx", **PLAIN},
        },
    )
    world.s3.write_bytes("s3://truthloop-test-data/net.onnx", network({"embedding": weights}))
    world.play(0, 1, 2)
    quality = [world.evaluation(number)["arms"]["model"]["quality"] for number in range(3)]
    assert quality[-1] > quality[0]
    assert quality[-1] > 0.4
    assert world.evaluation(2)["metric"] == single_class.METRIC
