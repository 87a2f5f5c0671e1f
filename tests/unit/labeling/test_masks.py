from __future__ import annotations

import io
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from truthloop.consolidation import masks
from truthloop.consolidation.masks import Mask, UnreadableMask, consolidate, decode
from truthloop.palette import CATEGORIES_MAXIMUM, color
from unit.labeling.answers import COLORS, indices, png, rgba

HEIGHT, WIDTH = 12, 16
INDEX_OF = {name.lower(): index for index, name in enumerate(COLORS, start=1)}
DRAWN = indices(
    (1, slice(0, 4), slice(0, 6)), (2, slice(3, 9), slice(5, 9)), (3, slice(11, 12), slice(15, 16))
)


def palette_image(drawn: Any, transparent: bool = False) -> bytes:
    """As a palette PNG whose background is white, or any colour but transparent by tRNS."""
    image = Image.fromarray(drawn)
    background = b"\x12\x34\x56" if transparent else b"\xff\xff\xff"
    image.putpalette(background + b"".join(bytes.fromhex(each[1:]) for each in COLORS))
    return png(image, **({"transparency": 0} if transparent else {}))


def rgb_image(drawn: Any, transparent: bool = False) -> bytes:
    background = [18, 52, 86] if transparent else [255, 255, 255]
    pixels = rgba(drawn)[..., :3].copy()
    pixels[drawn == 0] = background
    return png(pixels, **({"transparency": tuple(background)} if transparent else {}))


ENCODINGS = {
    "RGBA": lambda drawn: png(rgba(drawn)),
    "palette": palette_image,
    "palette and tRNS": lambda drawn: palette_image(drawn, transparent=True),
    "RGB": rgb_image,
    "RGB and tRNS": lambda drawn: rgb_image(drawn, transparent=True),
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_a_png_of_every_kind_is_decoded_to_the_pixel(encode: Any) -> None:
    mask = decode(encode(DRAWN), INDEX_OF, HEIGHT, WIDTH)
    assert (mask.height, mask.width) == (HEIGHT, WIDTH)
    assert (mask.indices() == DRAWN).all()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=80), st.sampled_from(sorted(ENCODINGS)))
def test_any_mask_is_decoded_to_the_pixel(values: list[int], encoding: str) -> None:
    drawn = np.array([values], np.uint8)
    mask = decode(ENCODINGS[encoding](drawn), INDEX_OF, 1, len(values))
    assert (mask.indices() == drawn).all()


@pytest.mark.parametrize(("alpha", "is_background"), [(0, True), (127, True), (128, False), (255, False)])
def test_what_is_more_transparent_than_opaque_is_background(alpha: int, is_background: bool) -> None:
    pixels = rgba(DRAWN)
    pixels[..., 3] = alpha
    pixels[DRAWN == 0] = 0
    found = decode(png(pixels), INDEX_OF, HEIGHT, WIDTH).indices()
    assert (found == (0 if is_background else DRAWN)).all()


def test_a_thousandth_of_the_pixels_may_have_another_colour_and_is_background() -> None:
    drawn = np.ones((50, 40), np.uint8)
    pixels = rgba(drawn)
    pixels[0, :2] = (1, 2, 3, 255)
    found = decode(png(pixels), INDEX_OF, 50, 40).indices()
    assert (found[0, :2] == 0).all()
    assert (found == 1).sum() == 1998
    pixels[0, 2] = (1, 2, 3, 255)
    with pytest.raises(UnreadableMask, match=r"3 of 2000 pixels .* #010203 at row 0, column 0"):
        decode(png(pixels), INDEX_OF, 50, 40)


def test_a_mask_that_was_smoothed_is_refused() -> None:
    smooth = Image.fromarray(rgba(DRAWN)).resize((64, 48), Image.Resampling.BILINEAR)
    with pytest.raises(UnreadableMask, match="colour that labelMappings lacks"):
        decode(png(smooth), INDEX_OF, 48, 64)


def test_the_size_is_read_before_anything_is_decompressed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "open", lambda *known, **options: pytest.fail("opened"))
    bomb = png(rgba(DRAWN))
    bomb = bomb[:16] + (20_000).to_bytes(4, "big") * 2 + bomb[24:]
    with pytest.raises(UnreadableMask, match="allowed: 16 x 12"):
        decode(bomb, INDEX_OF, HEIGHT, WIDTH)
    with pytest.raises(UnreadableMask, match="at most 100000000"):
        decode(bomb, INDEX_OF, 20_000, 20_000)


@pytest.mark.parametrize("cut", [0, 1, 8, 30, 33, 40, 60, -13, -20])
def test_a_truncated_png_is_refused_wherever_it_is_cut(cut: int) -> None:
    whole = png(rgba(DRAWN))
    with pytest.raises(UnreadableMask):
        decode(whole[:cut], INDEX_OF, HEIGHT, WIDTH)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damage_of_any_kind_is_either_refused_or_a_mask(data: st.DataObject) -> None:
    content = bytearray(png(rgba(DRAWN)))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        mask = decode(bytes(content), INDEX_OF, HEIGHT, WIDTH)
    except UnreadableMask:
        return
    assert mask.indices().shape == (HEIGHT, WIDTH)


# ---- the vote


def vote(*drawn: Any, categories: int = 3, known: Any = None) -> masks.ConsolidatedMask:
    answers = {"a": [(f"worker-{number}", Mask.of(each)) for number, each in enumerate(drawn)]}
    return consolidate(answers, categories, known)["a"]


def test_a_single_workers_mask_stands() -> None:
    voted = vote(DRAWN)
    assert (voted.indices == DRAWN).all()
    assert voted.evidence == {}
    assert voted.confidences.keys() == {0, 1, 2, 3}
    assert all(0 < confidence < 1 for confidence in voted.confidences.values())
    assert 0.5 < voted.confidences[2] < 0.8


def test_the_majority_of_equal_workers_decides_on_every_pixel() -> None:
    wide, narrow = indices((1, slice(2, 8), slice(2, 12))), indices((1, slice(2, 8), slice(2, 10)))
    voted = vote(wide, narrow, narrow)
    assert (voted.indices == narrow).all()
    assert voted.confidences.keys() == {0, 1}


def test_a_tie_goes_to_the_background_then_to_the_first_category() -> None:
    one, two = indices((1, slice(0, 5), slice(0, 5))), indices((2, slice(0, 5), slice(0, 5)))
    assert (vote(one, two).indices[:5, :5] == vote(two, one).indices[:5, :5]).all()
    assert set(np.unique(vote(one, two).indices)) <= {0, 1}


def test_agreement_raises_the_confidence() -> None:
    region = indices((1, slice(2, 9), slice(2, 12)))
    moved = np.roll(region, 2, axis=1)
    confidences = [
        vote(*drawn).confidences[1]
        for drawn in (
            (region, region, region, region),
            (region, region, region, moved),
            (region, region, moved, moved),
        )
    ]
    assert confidences == sorted(confidences, reverse=True)
    assert len(set(confidences)) == 3
    assert confidences[0] > 0.95


def test_the_result_is_the_same_for_any_order_of_objects_and_workers() -> None:
    draw = random.Random(0)  # noqa: S311
    answers = {
        str(number): [
            (worker, Mask.of(np.roll(DRAWN, draw.randrange(-2, 3), axis=draw.randrange(2))))
            for worker in ("ann", "bo", "cy", "di")
        ]
        for number in range(6)
    }
    expected = consolidate(answers, 3)
    for _ in range(3):
        names = draw.sample(sorted(answers), len(answers))
        found = consolidate({name: draw.sample(answers[name], 4) for name in names}, 3)
        assert list(found) == list(expected)
        for name in found:
            assert (found[name].indices == expected[name].indices).all()
            assert found[name].confidences == expected[name].confidences
            assert found[name].evidence == expected[name].evidence


def test_earlier_rounds_tell_whose_mask_counts() -> None:
    region, other = indices((1, slice(2, 9), slice(2, 12))), indices((2, slice(2, 9), slice(2, 12)))
    known = {"worker-0": {"masks": 100.0, "right": 98.0}} | {
        f"worker-{number}": {"masks": 100.0, "right": 40.0} for number in (1, 2)
    }
    assert (vote(region, other, other).indices == other).all()
    assert (vote(region, other, other, known=known).indices == region).all()


def test_what_a_mask_says_of_its_worker_is_the_part_that_is_right() -> None:
    region = indices((1, slice(2, 8), slice(2, 12)))
    half = indices((1, slice(2, 8), slice(2, 7)))
    evidence = vote(region, region, region, half).evidence
    assert evidence["worker-0"].agreement == 1
    assert evidence["worker-3"].agreement == pytest.approx(0.5)
    assert evidence["worker-0"].counts["right"] > 0.9
    assert evidence["worker-3"].counts["right"] == pytest.approx(0.5, abs=0.1)
    assert evidence["worker-3"].counts["masks"] == 1


def test_images_of_different_sizes_and_many_workers_are_one_batch() -> None:
    rows = {
        f"{size}": [(f"w{n}", Mask.of(np.full((size, 3), 199, np.uint8))) for n in range(9)]
        for size in (1, 7)
    }
    voted = consolidate(rows, 199)
    assert [voted[name].indices.shape for name in voted] == [(1, 3), (7, 3)]
    assert (voted["7"].indices == 199).all()


# ---- writing


def test_the_palette_png_has_the_fixed_colours_and_white() -> None:
    drawn = np.arange(CATEGORIES_MAXIMUM + 1, dtype=np.uint8).reshape(1, -1)
    image = Image.open(io.BytesIO(masks.palette_png(drawn)))
    assert image.mode == "P"
    assert (np.asarray(image) == drawn).all()
    colors = [bytes(each).hex() for each in np.asarray(image.convert("RGB"))[0]]
    assert colors == ["ffffff", *(color(index)[1:] for index in range(CATEGORIES_MAXIMUM))]


def test_the_overlay_is_decoded_to_the_same_mask() -> None:
    names = {color(index): index + 1 for index in range(3)}
    assert (decode(masks.overlay_png(DRAWN), names, HEIGHT, WIDTH).indices() == DRAWN).all()
    assert (decode(masks.palette_png(DRAWN), names, HEIGHT, WIDTH).indices() == DRAWN).all()


def test_the_same_mask_is_the_same_bytes() -> None:
    assert masks.palette_png(DRAWN) == masks.palette_png(DRAWN.copy())
    assert masks.overlay_png(DRAWN) == masks.overlay_png(DRAWN.copy())
