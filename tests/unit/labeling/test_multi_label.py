from __future__ import annotations

import random

import pytest

from truthloop.consolidation.multi_label import agreement, consolidate

Answers = dict[str, list[tuple[str, frozenset[int]]]]


def given(*choices: set[int]) -> list[tuple[str, frozenset[int]]]:
    return [(f"worker-{number}", frozenset(choice)) for number, choice in enumerate(choices)]


def test_each_label_is_decided_by_itself() -> None:
    result = consolidate({"a": given({0, 2}, {0, 1}, {0})}, 4)
    assert list(result.objects["a"]) == [0]
    assert 0.5 < result.objects["a"][0] < 1


def test_an_object_may_have_no_label() -> None:
    assert consolidate({"a": given(set(), set()), "b": given({1}, {1})}, 2).objects["a"] == {}
    assert consolidate({"a": given(set())}, 2).objects == {"a": {}}


def test_the_labels_that_all_agree_on_stand_in_a_batch_of_one() -> None:
    assert list(consolidate({"a": given({0, 1}, {0, 1})}, 3).objects["a"]) == [0, 1]
    assert list(consolidate({"a": given({2})}, 3).objects["a"]) == [2]


def test_the_result_is_the_same_for_any_order() -> None:
    draw = random.Random(2)  # noqa: S311
    answers: Answers = {
        str(number): given(*({label for label in range(4) if draw.random() < 0.4} for _ in range(3)))
        for number in range(15)
    }
    expected = consolidate(answers, 4)
    names = draw.sample(sorted(answers), len(answers))
    assert consolidate({name: answers[name][::-1] for name in names}, 4) == expected


def test_earlier_rounds_tell_who_adds_labels_that_do_not_apply() -> None:
    careless = {"0/0:1": 50.0, "0/0:0": 50.0, "0/1:1": 50.0, "0/1:0": 50.0}
    careful = {"0/0:0": 99.0, "0/0:1": 1.0, "0/1:1": 99.0, "0/1:0": 1.0}
    known = {"worker-0": careful, "worker-1": careless, "worker-2": careless}
    answers = {"a": given({0}, set(), set())}
    assert list(consolidate(answers, 2).objects["a"]) == []
    assert list(consolidate(answers, 2, known).objects["a"]) == [0]


def test_what_a_batch_says_of_its_workers_names_the_label() -> None:
    answers = {str(number): given({0}, {0}, {0}, {0, 1}) for number in range(30)}
    evidence = consolidate(answers, 2).evidence["0"]
    assert evidence["worker-0"].agreement == 1
    assert evidence["worker-3"].agreement == 0.5
    assert evidence["worker-3"].counts["1/0:1"] > 0.9
    assert evidence["worker-0"].counts["0/1:1"] > 0.9
    assert all(key[:2] in ("0/", "1/") for key in evidence["worker-0"].counts)


def test_agreement_is_what_both_name_as_a_part_of_what_either_names() -> None:
    assert agreement(set(), set()) == 1
    assert agreement({1}, {2}) == 0
    assert agreement({1, 2}, {2, 3}) == pytest.approx(1 / 3)


@pytest.mark.parametrize("label", [-1, 2])
def test_an_index_that_is_no_label_is_refused(label: int) -> None:
    with pytest.raises(ValueError, match=r"allowed: 0\.\.1"):
        consolidate({"a": given({label})}, 2)


def test_what_a_worker_does_with_other_labels_counts_for_no_more_than_a_few_answers() -> None:
    """Coin flips about one label don't spoil the word of somebody who proves to know another."""
    flips = {"0/0:1": 500.0, "0/0:0": 500.0, "0/1:1": 500.0, "0/1:0": 500.0}
    answers = {f"{number:02d}": given(*[{1} if number % 2 else set()] * 4) for number in range(60)}
    result = consolidate({**answers, "disputed": given({1})}, 2, {"worker-0": flips})
    assert result.objects["disputed"][1] > 0.8
