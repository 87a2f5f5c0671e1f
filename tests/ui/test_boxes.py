"""Bounding boxes: drawn, moved, resized, nudged, copied, deleted and sent as people do it."""

from __future__ import annotations

import numpy as np
import pytest

from ui.person import INSTRUCTIONS, Person

LABELS = ["face", "eye", "nose"]
TEMPLATE = f"""<crowd-form><crowd-bounding-box name="boundingBox" header="Draw"
 src="{{{{ task.input.taskObject | grant_read_access }}}}"
 labels="{{{{ task.input.labels | to_json | escape }}}}"
 >{INSTRUCTIONS}</crowd-bounding-box></crowd-form>"""
WITH_SUGGESTION = TEMPLATE.replace(
    " >", ' initial-value="{{ task.input.suggestion | to_json | escape }}" >', 1
)
INPUT = {"taskObject": "s3://amzn-s3-demo-bucket/images/one.png", "labels": LABELS}


def box(label: str, left: int, top: int, width: int, height: int) -> dict[str, object]:
    return {"height": height, "label": label, "left": left, "top": top, "width": width}


@pytest.fixture
def drawer(person) -> Person:
    return person(TEMPLATE, INPUT)


def test_a_box_around_a_thing_on_the_screen_has_the_pixels_of_that_thing(drawer):
    """Found by colour on the screen, not by the page's own arithmetic."""
    scene = drawer.scene().astype(int)
    red = (scene[..., 0] > 220) & (scene[..., 1] < 40)
    rows, columns = np.nonzero(red)
    assert len(rows) > 1000
    stage = drawer.find(".stage").bounding_box()
    start = (stage["x"] + float(columns.min()), stage["y"] + float(rows.min()))
    end = (stage["x"] + float(columns.max()) + 1, stage["y"] + float(rows.max()) + 1)
    drawer.page.mouse.move(*start)
    drawer.page.mouse.down()
    drawer.page.mouse.move(*end, steps=4)
    drawer.page.mouse.up()
    assert drawer.submit() == {
        "boundingBox": {
            "boundingBoxes": [box("face", 50, 30, 50, 40)],
            "inputImageProperties": {"height": 120, "width": 200},
        }
    }


def test_digits_choose_the_class_of_the_next_box_and_boxes_lie_within_others(drawer):
    drawer.drag((20, 10), (180, 110))
    drawer.press("2")
    drawer.drag((60, 40), (80, 50))
    drawer.press("3")
    drawer.drag((150, 90), (90, 60))
    drawer.look("boxes")
    assert drawer.submit()["boundingBox"]["boundingBoxes"] == [
        box("face", 20, 10, 160, 100),
        box("eye", 60, 40, 20, 10),
        box("nose", 90, 60, 60, 30),
    ]


def test_a_chosen_box_moves_resizes_and_changes_its_class(drawer):
    drawer.drag((20, 20), (60, 60))
    drawer.click(40, 40)
    drawer.drag((40, 40), (70, 50))
    drawer.drag((90, 70), (110, 100))
    drawer.drag((50, 65), (40, 65))
    drawer.press("2")
    assert drawer.submit()["boundingBox"]["boundingBoxes"] == [box("eye", 40, 30, 70, 70)]


def test_a_click_chooses_the_innermost_box_whichever_was_drawn_first(drawer):
    drawer.drag((20, 10), (90, 90))
    drawer.press("2")
    drawer.drag((40, 40), (60, 50))
    drawer.drag((130, 40), (150, 50))
    drawer.press("1")
    drawer.drag((110, 10), (180, 90))
    drawer.click(50, 45)
    drawer.press("Delete")
    drawer.click(140, 45)
    drawer.press("Delete")
    assert [each["label"] for each in drawer.submit()["boundingBox"]["boundingBoxes"]] == ["face", "face"]


def test_arrows_nudge_and_resize_and_stay_inside_the_picture(drawer):
    drawer.drag((20, 20), (60, 60))
    drawer.press(
        "ArrowRight", "ArrowDown", "ArrowDown", "Shift+ArrowRight", "Alt+ArrowLeft", "Alt+Shift+ArrowDown"
    )
    drawer.press(*["Shift+ArrowUp"] * 5)
    assert drawer.submit()["boundingBox"]["boundingBoxes"] == [box("face", 31, 0, 39, 50)]


def test_a_box_can_be_made_without_a_mouse(drawer):
    drawer.press("3", "n", "Shift+ArrowLeft", "Enter")
    drawer.page.locator("#answer").wait_for()
    assert drawer.portal.answers[-1]["boundingBox"]["boundingBoxes"] == [box("nose", 65, 45, 50, 30)]


def test_copy_and_delete_by_key_and_by_button(drawer):
    drawer.drag((20, 20), (60, 60))
    drawer.press("c")
    drawer.press("c")
    drawer.find(".shape-list li").nth(1).get_by_label("Delete").click()
    drawer.find(".shape-list li").first.locator(".shape").click()
    drawer.press("Delete")
    assert drawer.submit()["boundingBox"]["boundingBoxes"] == [box("face", 44, 44, 40, 40)]


def test_undo_and_redo_go_through_every_step(drawer):
    drawer.drag((20, 20), (60, 60))
    drawer.drag((100, 20), (140, 60))
    drawer.press("ArrowRight", "Delete")
    drawer.press("u", "u", "Control+z")
    drawer.press("y", "Control+Shift+z", "Control+z")
    assert drawer.submit()["boundingBox"]["boundingBoxes"] == [
        box("face", 20, 20, 40, 40),
        box("face", 100, 20, 40, 40),
    ]


def test_zoom_keeps_the_point_under_the_pointer_and_space_moves_the_picture(drawer):
    place = drawer.at(150, 90)
    drawer.page.mouse.move(*place)
    for _ in range(4):
        drawer.page.mouse.wheel(0, -120)
    drawer.find(".zoom").wait_for()
    assert drawer.at(150, 90) == pytest.approx(place, abs=2)
    before = drawer.at(0, 0)
    drawer.page.keyboard.down(" ")
    drawer.drag((150, 90), (160, 80))
    drawer.page.keyboard.up(" ")
    after = drawer.at(0, 0)
    assert after[0] - before[0] > 20
    assert after[1] - before[1] < -20
    drawer.drag((140, 80), (160, 100))
    assert drawer.submit()["boundingBox"]["boundingBoxes"] == [box("face", 140, 80, 20, 20)]


def test_the_middle_button_moves_the_picture_and_draws_nothing(drawer):
    before = drawer.at(0, 0)
    drawer.drag((100, 60), (120, 70), button="middle")
    assert drawer.at(0, 0)[0] > before[0] + 20
    drawer.press("z")
    assert drawer.at(0, 0) == pytest.approx(before, abs=1)
    assert drawer.find(".shape-list li").count() == 0


def test_boxes_end_at_the_edge_of_the_picture(drawer):
    drawer.drag((150, 90), (207, 124))
    assert drawer.submit()["boundingBox"]["boundingBoxes"] == [box("face", 150, 90, 50, 30)]


def test_an_answer_without_boxes_has_to_be_confirmed(drawer):
    drawer.press("Enter")
    drawer.find(".notice").get_by_text("Submit again").wait_for()
    assert drawer.portal.answers == []
    assert drawer.submit()["boundingBox"]["boundingBoxes"] == []


def test_a_suggestion_is_sent_as_it_came_and_a_correction_is_marked(person):
    suggestion = [{"label": "eye", "left": 10, "top": 12, "width": 30, "height": 20}]
    input_ = {**INPUT, "suggestion": suggestion}
    first = person(WITH_SUGGESTION, input_)
    expected = box("eye", 10, 12, 30, 20)
    assert first.submit()["boundingBox"] == {
        "boundingBoxes": [expected],
        "initialValueModified": False,
        "inputImageProperties": {"height": 120, "width": 200},
    }
    first.wait()
    first.click(20, 20)
    first.press("ArrowLeft")
    second = first.submit()["boundingBox"]
    assert second["boundingBoxes"] == [{**expected, "left": 9}]
    assert second["initialValueModified"] is True


def test_a_suggestion_with_a_label_that_is_not_offered_is_reported(person):
    worker = person(
        WITH_SUGGESTION,
        {**INPUT, "suggestion": [{"label": "ear", "left": 1, "top": 1, "width": 9, "height": 9}]},
    )
    worker.expected_errors.append('initial-value has the label "ear"')
    worker.press("Enter")
    assert worker.submit()["boundingBox"]["boundingBoxes"] == []


def test_a_click_draws_no_box(drawer):
    drawer.click(100, 60)
    assert drawer.find(".shape-list li").count() == 0


def test_labels_can_be_read_and_set_by_a_template(person):
    worker = person(
        TEMPLATE + "<script>document.addEventListener('all-crowd-elements-ready', () => {"
        "const widget = document.querySelector('crowd-bounding-box');"
        "widget.labels = [...widget.labels, 'whisker']; });</script>",
        INPUT,
    )
    worker.press("4")
    worker.drag((20, 20), (60, 60))
    assert worker.submit()["boundingBox"]["boundingBoxes"] == [box("whisker", 20, 20, 40, 40)]
