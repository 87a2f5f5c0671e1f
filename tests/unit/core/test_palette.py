"""The colours of the label categories."""

from __future__ import annotations

from itertools import combinations

import pytest

from truthloop.palette import CATEGORIES_MAXIMUM, WHITE, color, rgb

ALL = [color(category) for category in range(CATEGORIES_MAXIMUM)]


def test_every_category_has_a_colour_that_can_be_told_from_the_others_and_from_white():
    assert CATEGORIES_MAXIMUM == 199
    for one, other in combinations([WHITE, *ALL], 2):
        assert max(abs(a - b) for a, b in zip(rgb(one), rgb(other), strict=True)) >= 30


def test_the_first_colours_stay_what_they_are_in_the_masks_that_exist():
    assert ALL[:4] == ["#e69f00", "#0072b2", "#009e73", "#d55e00"]
    assert all(each == each.lower() for each in ALL)


@pytest.mark.parametrize("category", [-1, CATEGORIES_MAXIMUM])
def test_a_category_without_a_colour_is_refused(category):
    with pytest.raises(ValueError, match=r"allowed: 0\.\.198"):
        color(category)


@pytest.mark.parametrize("text", ["", "red", "#fff", "#ggoooo", "#1234567", "#12345\n", "123456", "# 12345"])
def test_a_text_that_is_no_colour_is_refused(text):
    with pytest.raises(ValueError, match="allowed: #rrggbb"):
        rgb(text)


def test_a_colour_is_read_in_either_case():
    assert rgb("#FF7f0e") == (255, 127, 14)
