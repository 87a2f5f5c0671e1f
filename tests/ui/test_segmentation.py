"""Masks: painted, outlined, erased, filled, taken back; what is sent has the labels' colours and no other."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from truthloop import palette
from ui.person import IMAGE_URI, INSTRUCTIONS, Person, index_mask, picture, png

LABELS = ["cat", "dog"]
MASK_URI = "s3://amzn-s3-demo-bucket/suggestions/one.png"
TEMPLATE = f"""<crowd-form><crowd-semantic-segmentation name="crowd-semantic-segmentation" header="Paint"
 src="{{{{ task.input.taskObject | grant_read_access }}}}"
 labels="{{{{ task.input.labels | to_json | escape }}}}"
 {{% if task.input.suggestion %}}
 initial-value='{{"src": "{{{{ task.input.suggestion.src | grant_read_access }}}}",
 "labelMappings": {{{{ task.input.suggestion.labelMappings | to_json | escape }}}}}}'{{% endif %}}
 >{INSTRUCTIONS}</crowd-semantic-segmentation></crowd-form>"""
INPUT = {"taskObject": IMAGE_URI, "labels": LABELS}
MAPPINGS = {"cat": {"color": "#ff7f0e"}, "dog": {"color": "#1f77b4"}}


@pytest.fixture
def painter(person) -> Person:
    return person(TEMPLATE, INPUT)


def brush(person: Person, size: int) -> None:
    """Choose a brush by the keys, as many presses as it takes."""
    person.press(*["["] * 20)
    person.press(*["]"] * [1, 2, 3, 4, 6, 8, 11, 15, 20].index(size))


def sent(person: Person) -> tuple[dict[str, object], np.ndarray]:
    answer = person.submit()["crowd-semantic-segmentation"]
    return answer, index_mask(answer, LABELS)


def suggested(mask: np.ndarray) -> bytes:
    """Indices [height, width] as the palette PNG of a suggestion: 0 background, white where no label is."""
    image = Image.fromarray(mask.astype(np.uint8), "P")
    colors = [(255, 255, 255)] + [palette.rgb(MAPPINGS[label]["color"]) for label in LABELS]
    image.putpalette([part for color in colors for part in color] + [255] * 3 * (256 - len(colors)))
    output = io.BytesIO()
    image.save(output, "PNG")
    return output.getvalue()


def test_strokes_of_several_labels_are_sent_with_one_colour_for_each_label_in_use(painter):
    brush(painter, 8)
    painter.drag((40, 30), (120, 30))
    painter.press("2")
    painter.drag((40, 80), (120, 80))
    painter.look("segmentation")
    answer, mask = sent(painter)
    assert answer["inputImageProperties"] == {"height": 120, "width": 200}
    assert answer["labelMappings"] == {
        "cat": {"color": palette.color(0)},
        "dog": {"color": palette.color(1)},
    }
    assert "initialValueModified" not in answer
    assert (mask[26:34, 40:120] == 1).all()
    assert (mask[76:84, 40:120] == 2).all()
    assert (mask[[25, 34], :] == 0).all()
    assert np.bincount(mask.ravel(), minlength=3)[1] == np.bincount(mask.ravel(), minlength=3)[2]


def test_a_stroke_whose_end_is_outside_the_window_is_sent_with_its_label(painter):
    brush(painter, 8)
    mouse = painter.page.mouse
    mouse.move(*painter.at(40, 30))
    mouse.down()
    mouse.move(*painter.at(120, 30))
    answer, mask = sent(painter)
    assert list(answer["labelMappings"]) == ["cat"]
    assert (mask[26:34, 40:120] == 1).all()


def test_the_smallest_brush_paints_exactly_the_pixel_under_the_pointer(painter):
    brush(painter, 1)
    painter.click(70.5, 40.5)
    answer, mask = sent(painter)
    assert np.argwhere(mask).tolist() == [[40, 70]]
    assert list(answer["labelMappings"]) == ["cat"]


def test_a_round_brush_paints_the_pixels_whose_centres_lie_in_its_circle(painter):
    brush(painter, 11)
    painter.click(100.5, 60.5)
    _, mask = sent(painter)
    rows, columns = np.mgrid[:120, :200]
    assert (mask == (np.hypot(columns - 100, rows - 60) <= 5.5)).all()


def test_a_step_after_an_undo_is_undone_to_what_was_there(painter):
    brush(painter, 8)
    painter.drag((40, 30), (120, 30))
    painter.press("u", "2")
    painter.drag((40, 20), (120, 50))
    painter.press("u", "1")
    painter.click(150, 100)
    _, mask = sent(painter)
    assert not mask[:90].any()
    assert mask[100, 150] == 1


def test_the_eraser_clears_and_undo_brings_back_step_by_step(painter):
    brush(painter, 8)
    painter.drag((40, 30), (120, 30))
    painter.press("e")
    painter.drag((80, 30), (80, 60))
    painter.press("b", "2")
    painter.drag((40, 60), (120, 60))
    painter.press("u", "u", "Control+y")
    _, mask = sent(painter)
    assert set(np.unique(mask)) == {0, 1}
    assert (mask[27:33, 77:83] == 0).all()
    assert (mask[26:34, 40:74] == 1).all()


def test_a_polygon_paints_what_it_encloses(painter):
    painter.press("p")
    for point in [(20, 20), (80, 20), (80, 70), (20, 70)]:
        painter.click(*point)
    painter.press("Enter")
    _, mask = sent(painter)
    # The corners are where the mouse was, to a fraction of a pixel.
    assert (mask[21:69, 21:79] == 1).all()
    assert mask.sum() == pytest.approx(60 * 50, abs=120)


def test_fill_reaches_to_what_is_painted_and_keeping_protects_it(painter):
    brush(painter, 4)
    for start, end in [
        ((20, 20), (90, 20)),
        ((90, 20), (90, 90)),
        ((90, 90), (20, 90)),
        ((20, 90), (20, 20)),
    ]:
        painter.drag(start, end)
    painter.press("2", "f")
    painter.click(50, 50)
    painter.press("1", "b", "k")
    painter.drag((40, 40), (60, 40))
    _, mask = sent(painter)
    assert (mask[23:87, 23:87] == 2).all()
    assert (mask[19:21, 20:90] == 1).all()
    assert (mask[100:] == 0).all()


def test_the_mask_follows_the_opacity_and_can_be_hidden(painter):
    brush(painter, 20)
    painter.drag((60, 50), (90, 50))
    stage = painter.find(".stage").bounding_box()
    x, y = painter.at(75, 50)
    painter.page.mouse.move(stage["x"] + 10, stage["y"] + stage["height"] - 10)

    def seen() -> list[int]:
        return painter.scene()[int(y - stage["y"]), int(x - stage["x"])].tolist()

    def opacity(percent: int) -> None:
        painter.find(".tool-slider", has_text="Opacity").locator("input").fill(str(percent))

    opacity(0)
    assert seen() == [255, 0, 0]
    opacity(100)
    assert seen() == list(palette.rgb(palette.color(0)))
    painter.press("h")
    assert seen() == [255, 0, 0]
    _, mask = sent(painter)
    assert mask.any()


def test_an_untouched_suggestion_is_sent_pixel_for_pixel(person):
    generator = np.random.default_rng(3)
    mask = np.kron(generator.integers(0, 3, (24, 40)), np.ones((5, 5), int))
    mask[0, :3] = [1, 2, 1]
    suggestion = {"src": MASK_URI, "labelMappings": MAPPINGS}
    worker = person(TEMPLATE, {**INPUT, "suggestion": suggestion}, objects={MASK_URI: suggested(mask)})
    answer, again = sent(worker)
    assert answer["initialValueModified"] is False
    assert answer["labelMappings"] == MAPPINGS
    assert (again == mask).all()
    worker.wait()
    brush(worker, 1)
    worker.press("2")
    worker.click(0.5, 0.5)
    answer, corrected = sent(worker)
    assert answer["initialValueModified"] is True
    assert corrected[0, 0] == 2
    assert (corrected != mask).sum() == 1


def test_a_label_that_the_suggestion_lacks_gets_a_colour_of_its_own(person):
    mask = np.zeros((120, 200), int)
    mask[10:20, 10:20] = 2
    mappings = {"dog": {"color": palette.color(0)}}
    image = Image.fromarray((mask == 2).astype(np.uint8), "P")
    image.putpalette([255, 255, 255, *palette.rgb(palette.color(0))] + [255] * 3 * 254)
    output = io.BytesIO()
    image.save(output, "PNG")
    worker = person(
        TEMPLATE,
        {**INPUT, "suggestion": {"src": MASK_URI, "labelMappings": mappings}},
        objects={MASK_URI: output.getvalue()},
    )
    brush(worker, 4)
    worker.click(100, 60)
    answer, again = sent(worker)
    assert (again[10:20, 10:20] == 2).all()
    assert again[60, 100] == 1
    assert len({each["color"] for each in answer["labelMappings"].values()}) == 2


def test_an_empty_mask_has_to_be_confirmed_and_is_transparent(painter):
    painter.press("Enter")
    painter.find(".notice").get_by_text("Submit again").wait_for()
    answer, mask = sent(painter)
    assert answer["labelMappings"] == {}
    assert not mask.any()


def test_a_mask_of_twelve_megapixels_can_be_painted_and_taken_back(person):
    rows = np.linspace(60, 200, 2976).astype(np.uint8)
    large = png(np.broadcast_to(rows[:, None, None], (2976, 3968, 3)))
    worker = person(TEMPLATE, INPUT, objects={IMAGE_URI: large})
    worker.drag((500, 500), (3500, 2500))
    worker.drag((500, 2500), (3500, 500))
    worker.press("u")
    _, mask = sent(worker)
    assert mask.shape == (2976, 3968)
    assert (mask[480:520, 480:520] == 1).all()
    assert (mask[2480:2520, 480:520] == 0).all()


def test_a_draft_of_a_mask_survives_a_reload(painter):
    brush(painter, 8)
    painter.drag((40, 30), (120, 30))
    painter.wait_for_draft()
    painter.page.reload()
    painter.wait()
    painter.find(".crowd-toast").wait_for()
    _, mask = sent(painter)
    assert (mask[26:34, 40:120] == 1).all()


def test_two_fingers_zoom_and_leave_no_stroke(person):
    worker = person(TEMPLATE, INPUT, viewport={"width": 820, "height": 1000}, touch=True)
    session = worker.page.context.new_cdp_session(worker.page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        session.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": x, "y": y, "id": at} for at, (x, y) in enumerate(points)]},
        )

    before = worker.at(200, 0)[0] - worker.at(0, 0)[0]
    x, y = worker.at(100, 60)
    touch("touchStart", (x - 20, y))
    touch("touchMove", (x - 24, y))
    touch("touchStart", (x - 24, y), (x + 20, y))
    for step in range(1, 6):
        touch("touchMove", (x - 24 - 10 * step, y), (x + 20 + 10 * step, y))
    touch("touchEnd")
    assert worker.at(200, 0)[0] - worker.at(0, 0)[0] > 1.5 * before
    worker.find(".submit").tap()
    worker.find(".notice").get_by_text("Submit again").wait_for()


def test_a_suggestion_of_another_size_is_refused_and_said(person):
    suggestion = {"src": MASK_URI, "labelMappings": MAPPINGS}
    worker = person(
        TEMPLATE, {**INPUT, "suggestion": suggestion}, objects={MASK_URI: picture(50, 50)}, start=False
    )
    worker.page.locator(".job .button").click()
    worker.find(".stage-message").get_by_text("could not be loaded").wait_for()
