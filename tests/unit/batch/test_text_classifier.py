"""The text adapter learns topics in English and Japanese from a few texts, and reads whatever it is given."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from truthloop_batch.adapters import create_adapter
from truthloop_batch.adapters.base import InvalidHyperparameters, UnreadableContent
from truthloop_batch.adapters.text_classifier import TextClassifier
from truthloop_batch.kinds import single_class
from unit.batch.made_data import text

ADAPTER = TextClassifier()


def corpus(texts: int, japanese: bool, first: int = 0) -> tuple[NDArray, NDArray[np.int64]]:
    topics = np.random.default_rng(first).integers(0, 3, texts)
    made = [text(first + number, int(topic), japanese) for number, topic in enumerate(topics)]
    return np.stack([ADAPTER.read(each.encode()) for each in made]), topics


def accuracy(labels: int, japanese: bool) -> float:
    inputs, topics = corpus(labels, japanese)
    unknown, truth = corpus(300, japanese, first=10_000)
    artifacts = ADAPTER.fit(inputs, topics, 3, seed=1)
    return float((ADAPTER.predict(artifacts, unknown).argmax(axis=1) == truth).mean())


@pytest.mark.parametrize("japanese", [False, True])
def test_topics_are_learnt_and_better_from_more_texts(japanese: bool) -> None:
    few, many = accuracy(15, japanese), accuracy(150, japanese)
    assert few > 0.42
    assert many > 0.93
    assert many > few + 0.15


def test_texts_without_a_hint_are_the_least_certain() -> None:
    inputs, topics = corpus(150, japanese=False)
    artifacts = ADAPTER.fit(inputs, topics, 3, seed=1)
    clear, vague = (
        np.stack([ADAPTER.read(text(20_000 + number, 1, hints=hints).encode()) for number in range(60)])
        for hints in (4, 0)
    )
    margins = [single_class.scores(ADAPTER.predict(artifacts, each))["margin"] for each in (clear, vague)]
    assert np.quantile(margins[0], 0.25) > np.quantile(margins[1], 0.75)


def test_probabilities_are_those_of_tf_idf_and_softmax_by_hand() -> None:
    texts = ["ab ab c", "ab d", "e d d"]
    adapter = TextClassifier(characters=1)
    inputs = np.stack([adapter.read(each.encode()) for each in texts])
    artifacts = adapter.fit(inputs, np.array([0, 1, 1]), 2, seed=1)

    def ngrams(content: str) -> Counter[str]:
        words = content.split()
        pairs = [" ".join(pair) for pair in pairwise(words)]
        return Counter([f"w{each}" for each in words + pairs] + [f"c{each}" for each in content])

    def weights(content: str) -> dict[str, float]:
        counted = [ngrams(each) for each in texts]
        idf = {
            name: math.log(4 / (1 + sum(name in other for other in counted))) + 1
            for name in set().union(*counted)
        }
        values = {
            name: (1 + math.log(count)) * idf[name] for name, count in ngrams(content).items() if name in idf
        }
        length = math.sqrt(sum(value**2 for value in values.values()))
        return {name: value / length for name, value in values.items()}

    place = {name: number for number, name in enumerate(artifacts["vocabulary"].tolist())}
    for content in (*texts, "ab unknown"):
        scores = artifacts["bias"] + sum(
            value * artifacts["weights"][place[crc32(name.encode()) & 0xFFFFFF]]
            for name, value in weights(content).items()
        )
        expected = np.exp(scores) / np.exp(scores).sum()
        found = adapter.predict(artifacts, adapter.read(content.encode())[None])
        np.testing.assert_allclose(found, [expected], rtol=1e-5)


def test_width_case_and_blanks_make_no_difference() -> None:
    variants = ["Ｔｅｓｔ  ｶﾅ", "test カナ", " TEST\n\tカナ "]
    first, *others = [ADAPTER.read(each.encode()) for each in variants]
    for other in others:
        assert other == first


def test_two_processes_name_n_grams_alike() -> None:
    # Names that were computed once, elsewhere: a hash with a random seed would not give them again.
    record = TextClassifier(characters=1, ngrams=64).read(b"a")
    assert record["names"][-2:].tolist() == [0x12AC00, 0xBC7B55]
    assert record["counts"].sum() == 2


@given(st.text(max_size=400))
def test_every_text_becomes_a_record_of_the_same_type(content: str) -> None:
    adapter = TextClassifier(ngrams=64)
    record = adapter.read(content.encode("utf-8", "replace"))
    assert record.dtype == adapter.read(b"").dtype
    used = record["counts"] > 0
    names = record["names"][used]
    assert (np.diff(names.astype(np.int64)) > 0).all()
    # The empty slots stand first, so that the names ascend as a whole.
    assert (np.diff(used.astype(int)) >= 0).all()


def test_of_a_long_text_the_most_frequent_n_grams_are_kept() -> None:
    adapter = TextClassifier(ngrams=64, characters=1)
    content = " ".join(["often"] * 300 + [f"rare{number}" for number in range(500)])
    record = adapter.read(content.encode())
    assert (record["counts"] > 0).all()
    assert record["counts"].max() == 255
    often = adapter.read(b"often")
    assert set(often["names"][often["counts"] > 0]) <= set(record["names"])


def test_what_is_no_utf_8_is_unreadable_with_its_place() -> None:
    with pytest.raises(UnreadableContent, match="UTF-8: byte 3 is wrong"):
        ADAPTER.read(b"ab\xff")


@pytest.mark.parametrize("texts", [[""], ["", ""], ["only one"]])
def test_texts_that_say_nothing_still_fit(texts: list[str]) -> None:
    inputs = np.stack([ADAPTER.read(each.encode()) for each in texts])
    artifacts = ADAPTER.fit(inputs, np.arange(len(texts)), 4, seed=1)
    found = ADAPTER.predict(artifacts, inputs)
    assert found.shape == (len(texts), 4)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found > 0).all()


def test_the_same_texts_give_the_same_model() -> None:
    inputs, topics = corpus(40, japanese=True)
    first, second = (ADAPTER.fit(inputs, topics, 3, seed=1) for _ in range(2))
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


@pytest.mark.parametrize(
    ("hyperparameters", "told"),
    [
        ({"characters": 0}, "characters is 0; allowed: an integer from 1 to 6"),
        ({"ngrams": 63}, "ngrams is 63"),
        ({"regularisation": 0}, "regularisation is 0; allowed: a number above 0"),
        ({"words": 2}, "unknown keys words"),
    ],
)
def test_a_wrong_hyperparameter_is_named_with_what_is_allowed(
    hyperparameters: dict[str, object], told: str
) -> None:
    with pytest.raises(InvalidHyperparameters, match=told):
        create_adapter("text-classifier", hyperparameters, "class")
