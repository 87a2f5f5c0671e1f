"""The frozen splits."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from truthloop.manifest import stable_id
from truthloop.splits import Candidate, Splits, candidate, draw, random_order
from unit.core.kit import examples, image_row


def members(strata: dict[str, int]) -> list[Candidate]:
    return [
        Candidate(stable_id({"source": f"{stratum}/{number}"}), stratum, "label")
        for stratum, size in strata.items()
        for number in range(size)
    ]


def rounded(fraction: float, rows: int) -> int:
    return int(Fraction(repr(fraction)) * rows + Fraction(1, 2))


strata = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 30), min_size=1)
fractions = st.sampled_from([0.01, 0.1, 0.15, 0.2, 0.29, 1 / 3, 0.45])


@examples
@given(strata, fractions, fractions, st.integers(0, 5), st.randoms(use_true_random=False))
def test_the_split_is_the_same_for_any_order_of_the_rows(sizes, test, validation, seed, shuffler):
    ordered = members(sizes)
    shuffled = ordered.copy()
    shuffler.shuffle(shuffled)
    assert draw(ordered, test, validation, seed) == draw(shuffled, test, validation, seed)


@examples
@given(strata, fractions, fractions, st.integers(0, 5))
@example({"a": 50}, 0.29, 0.01, 0)
def test_splits_are_disjoint_and_have_exactly_their_fraction(sizes, test, validation, seed):
    rows = members(sizes)
    splits = draw(rows, test, validation, seed)
    assert not set(splits.test) & set(splits.validation)
    assert splits.held_out <= {row.id for row in rows}
    assert len(splits.test) == len(set(splits.test)) == rounded(test, len(rows))
    assert len(splits.validation) == len(set(splits.validation)) == rounded(validation, len(rows))


@examples
@given(strata, fractions, st.integers(0, 5))
def test_each_stratum_is_within_one_row_of_its_fraction(sizes, test, seed):
    rows = members(sizes)
    stratum_of = {row.id: row.stratum for row in rows}
    drawn = Counter(stratum_of[identifier] for identifier in draw(rows, test, 0, seed).test)
    for stratum, size in sizes.items():
        assert abs(drawn[stratum] - size * test) < 1


@pytest.mark.parametrize("rows", [*range(1, 60), 99, 100, 101, 500, 1999, 2000])
def test_the_default_fractions_leave_a_pool_for_every_total(rows):
    splits = draw(members({"": rows}), 0.2, 0.1, 1)
    assert rows - len(splits.held_out) >= rows // 2


def test_a_row_of_a_tiny_stratum_is_not_drawn_twice():
    rows = members({f"{number:03d}": 1 for number in range(100)})
    splits = draw(rows, 0.45, 0.45, 1)
    assert (len(splits.test), len(splits.validation), len(splits.held_out)) == (45, 45, 90)


def test_many_tiny_strata_are_drawn_without_favour():
    sizes = {f"{number:03d}": 1 for number in range(100)}
    rows = members(sizes)
    chosen = [
        {row.stratum for row in rows if row.id in set(draw(rows, 0.1, 0, seed).test)} for seed in range(5)
    ]
    assert len(set().union(*chosen)) > 30


def test_another_seed_is_another_split():
    rows = members({"a": 40})
    assert draw(rows, 0.2, 0.1, 1).test != draw(rows, 0.2, 0.1, 2).test


def test_sorted_input_still_gives_every_class():
    rows = members({"cat": 50, "dog": 50})
    test = set(draw(rows, 0.1, 0.1, 1).test)
    assert Counter(row.stratum for row in rows if row.id in test) == {"cat": 5, "dog": 5}


def test_a_row_belongs_to_its_label_then_to_its_key_then_to_the_rest():
    def stratum(**keys):
        return candidate("id", image_row(1, **keys), "label", "site")

    assert stratum(label=1) == stratum(label=1, site="x") != stratum(label=0)
    assert stratum(site="x") != stratum(site="y")
    assert stratum(site="x").stratified_by == "site"
    assert stratum(label=1).stratified_by == "label"
    assert stratum(label=1).stratum != stratum(site=1).stratum
    assert stratum() == Candidate("id", "", None)
    assert stratum(site=["a", {"b": "犬"}]).stratum == stratum(site=["a", {"b": "犬"}]).stratum


@pytest.mark.parametrize(
    ("origins", "named"), [(["label", "site", None], "label"), (["site", None], "site"), ([None], None)]
)
def test_the_document_says_what_the_strata_were(origins, named):
    rows = [Candidate(str(number), str(origin), origin) for number, origin in enumerate(origins)]
    assert draw(rows, 0.1, 0.1, 1).stratified_by == named


def test_the_document_is_read_back():
    splits = draw(members({"a": 20}), 0.2, 0.1, 3)
    assert Splits.from_document(splits.to_document()) == splits
    assert splits.to_document()["seed"] == 3


def test_the_random_order_is_fixed_by_the_seed():
    identifiers = [row.id for row in members({"a": 20})]
    order = sorted(identifiers, key=lambda identifier: random_order(1, identifier))
    random.Random(0).shuffle(identifiers)  # noqa: S311 (an order for a test)
    assert sorted(identifiers, key=lambda identifier: random_order(1, identifier)) == order
    assert sorted(identifiers, key=lambda identifier: random_order(2, identifier)) != order


@pytest.mark.parametrize(
    "label",
    [
        {"image_size": [{"width": 9, "height": 9, "depth": 3}], "annotations": []},
        "s3://bucket/masks/1.png",
    ],
)
def test_boxes_and_masks_are_no_strata(label: Any) -> None:
    row = {"source-ref": "s3://bucket/1.png", "label": label, "site": "north"}
    assert candidate("1", row, "label", "site").stratified_by == "site"
    assert candidate("1", row, "label", None).stratum == ""
