"""The colours of the label categories: one fixed palette, the same in every mask, template and report.

A worker's answer names its own colours; what consolidation writes, and what the model suggests, uses these.
"""

from __future__ import annotations

import re

BACKGROUND = "BACKGROUND"
"""The name that Ground Truth gives to what belongs to no category."""
WHITE = "#ffffff"
"""The colour of the background, and of the entries of a PNG's palette that no category uses."""

_HEXADECIMAL = re.compile("#[0-9A-Fa-f]{6}")
# Chosen by hand to be told apart on photographs; the first six are among Okabe and Ito's for colour-blind
# readers, https://jfly.uni-koeln.de/color/.
_CHOSEN = (
    "#e69f00", "#0072b2", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#b5a800", "#5e3c99",
    "#e6194b", "#3cb44b", "#4363d8", "#911eb4", "#00f0e0", "#f032e6", "#708000", "#9a6324",
    "#800000", "#000075", "#469990", "#fa8072",
)  # fmt: skip
# The further ones come from a grid of the colour cube.
_GRID = (16, 64, 112, 160, 208, 240)
# In the channel in which two colours differ most.
_DISTANCE_MINIMUM = 30


def color(category: int) -> str:
    """The colour of a category, as `#rrggbb` in lower case; all are different, and none is nearly white.

    Parameters
    ----------
    category
        Index into the label categories, from 0.

    Raises
    ------
    ValueError
        When the palette has no colour left for the category.
    """
    if not 0 <= category < CATEGORIES_MAXIMUM:
        raise ValueError(f"category is {category}; allowed: 0..{CATEGORIES_MAXIMUM - 1}")
    return _COLORS[category]


def rgb(text: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of `#rrggbb`.

    Raises
    ------
    ValueError
        When the text has another form.
    """
    if _HEXADECIMAL.fullmatch(text) is None:
        raise ValueError(f"the colour is {text!r}; allowed: #rrggbb")
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _distance(one: str, other: str) -> int:
    return max(abs(a - b) for a, b in zip(rgb(one), rgb(other), strict=True))


def _colors() -> tuple[str, ...]:
    cube = [f"#{red:02x}{green:02x}{blue:02x}" for red in _GRID for green in _GRID for blue in _GRID]
    # A stride without a common divisor with the cube's size puts neighbours far from each other.
    spread = [cube[position * 65 % len(cube)] for position in range(len(cube))]
    free = [
        each
        for each in spread
        if all(_distance(each, other) >= _DISTANCE_MINIMUM for other in (WHITE, *_CHOSEN))
    ]
    return (*_CHOSEN, *free)


_COLORS = _colors()
CATEGORIES_MAXIMUM = len(_COLORS)
"""How many categories a mask can tell apart; a palette PNG has 255 entries beside the background."""
