"""Texts with one class each: logistic regression on hashed n-grams of characters and words."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from truthloop.labels import CLASS
from truthloop_batch.adapters.base import Artifacts, UnreadableContent
from truthloop_batch.adapters.checks import check_integer, check_number
from truthloop_batch.adapters.regression import fit_regression, probabilities

# 2^24 names for n-grams: of a vocabulary of 100,000 about 300 pairs share one.
_HASH_MASK = (1 << 24) - 1
_WORD = re.compile(r"\w+")
_BLANKS = re.compile(r"\s+")
_WORDS_MAXIMUM = 2
_COUNT_MAXIMUM = 255
# Rows whose weights are looked up at a time, which bounds memory.
_BLOCK_ROWS = 64


@dataclass(frozen=True)
class TextClassifier:
    """Logistic regression on tf-idf weights of hashed n-grams.

    A text is brought to one form (Unicode NFKC, case folded). Its n-grams are one and two words in a row,
    and 1 to `characters` characters in a row, which carry languages without blanks between the words, such
    as Japanese, and endings and misspellings in the others. They are hashed (the hashing trick: Weinberger et
    al. 2009, https://doi.org/10.1145/1553374.1553516), so that an input has a fixed size and needs no
    vocabulary; the weight of an n-gram is (1 + ln count) * idf, with
    idf = ln((1 + n) / (1 + rows with it)) + 1 over the n labelled rows, and the weights of a text have the
    length one. N-grams that no labelled row has
    are left out.

    Attributes
    ----------
    characters
        Longest n-gram of characters, 1 to 6.
    ngrams
        Of a text, at most so many different n-grams count, the most frequent ones, 64 to 16,384. An input
        has five bytes for each.
    regularisation
        Inverse strength of the penalty, above 0 to 1e6: scikit-learn's C.
    """

    name: ClassVar[str] = "text-classifier"
    kinds: ClassVar[tuple[str, ...]] = (CLASS,)

    characters: int = 4
    ngrams: int = 1024
    regularisation: float = 30.0

    def __post_init__(self) -> None:
        check_integer("characters", self.characters, 1, 6)
        check_integer("ngrams", self.ngrams, 64, 16_384)
        check_number("regularisation", self.regularisation, 0, 1e6)

    def reader(self, fetch: Callable[[str], bytes]) -> Callable[[bytes], NDArray[Any]]:
        """Reads texts with `read`."""
        return self.read

    def read(self, content: bytes) -> NDArray[np.void]:
        """A text in UTF-8 as one record: `names` uint32 [ngrams], ascending, and `counts` uint8 [ngrams].

        Counts of 0 fill up, and stand first.
        """
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UnreadableContent(f"not a text in UTF-8: byte {error.start + 1} is wrong") from error
        record = np.zeros((), [("names", "<u4", (self.ngrams,)), ("counts", "u1", (self.ngrams,))])
        # Equal counts are in the order of the text, which begins with what matters more often than not.
        kept = sorted(Counter(_names(text, self.characters)).most_common(self.ngrams))
        if kept:
            names, counts = zip(*kept, strict=True)
            record["names"][-len(kept) :] = names
            record["counts"][-len(kept) :] = np.minimum(counts, _COUNT_MAXIMUM)
        return record

    def fit(self, inputs: NDArray[Any], targets: NDArray[np.int64], classes: int, seed: int) -> Artifacts:
        """Fit to texts [n] and class indices [n]."""
        from scipy.sparse import csr_matrix

        used = inputs["counts"] > 0
        vocabulary, rows_with = np.unique(inputs["names"][used], return_counts=True)
        idf = np.log((1 + len(inputs)) / (1 + rows_with)) + 1
        if len(vocabulary) == 0:
            # Empty texts alone: one n-gram that no text has leaves the classes' shares.
            vocabulary, idf = np.array([_HASH_MASK + 1], np.uint32), np.ones(1)
        places, values = self._weights({"vocabulary": vocabulary, "idf": idf}, inputs)
        row, slot = np.nonzero(values)
        features = csr_matrix(
            (values[row, slot], (row, places[row, slot])), shape=(len(inputs), len(vocabulary))
        )
        regression = fit_regression(features, targets, classes, self.regularisation)
        return regression | {
            "vocabulary": vocabulary,
            "idf": idf,
            "weights": regression["weights"].astype(np.float32),
        }

    def predict(self, artifacts: Artifacts, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """Probabilities [n, classes]."""
        weights = artifacts["weights"]
        scores = np.empty((len(inputs), weights.shape[1]))
        for start in range(0, len(inputs), _BLOCK_ROWS):
            places, values = self._weights(artifacts, inputs[start : start + _BLOCK_ROWS])
            scores[start : start + _BLOCK_ROWS] = np.einsum("ns,nsc->nc", values, weights[places])
        return probabilities(artifacts, scores + artifacts["bias"])

    def _weights(
        self, artifacts: Artifacts, inputs: NDArray[Any]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Each slot's place in the vocabulary and its weight, 0 for what isn't in it: both [n, ngrams]."""
        vocabulary = artifacts["vocabulary"]
        places = np.minimum(np.searchsorted(vocabulary, inputs["names"]), len(vocabulary) - 1)
        counts = inputs["counts"].astype(np.float64)
        known = (vocabulary[places] == inputs["names"]) & (counts > 0)
        values = np.where(known, (1 + np.log(np.maximum(counts, 1))) * artifacts["idf"][places], 0)
        lengths = np.sqrt((values**2).sum(axis=1, keepdims=True))
        return places, values / np.maximum(lengths, np.finfo(np.float64).tiny)


def _names(text: str, characters: int) -> Iterator[int]:
    normal = _BLANKS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()
    words = _WORD.findall(normal)
    for size in range(1, _WORDS_MAXIMUM + 1):
        for start in range(len(words) - size + 1):
            yield _name("w", " ".join(words[start : start + size]))
    for size in range(1, characters + 1):
        for start in range(len(normal) - size + 1):
            yield _name("c", normal[start : start + size])


def _name(space: str, ngram: str) -> int:
    # Python's own hash differs from process to process.
    return crc32(f"{space}{ngram}".encode("utf-8", "surrogatepass")) & _HASH_MASK
