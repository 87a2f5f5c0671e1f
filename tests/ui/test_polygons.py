"""Polygons: points set by clicks, closed by key and by mouse, moved, taken back and sent."""

from __future__ import annotations

import pytest

from ui.person import INSTRUCTIONS, Person

TEMPLATE = f"""<crowd-form><crowd-polygon name="shapes" header="Outline"
 src="{{{{ task.input.taskObject | grant_read_access }}}}" labels="['cat', 'dog']"
 initial-value="{{{{ task.input.suggestion | to_json | escape }}}}">
{INSTRUCTIONS}</crowd-polygon></crowd-form>"""
TASK_OBJECT = "s3://amzn-s3-demo-bucket/images/one.png"
SUGGESTION = [{"label": "dog", "vertices": [{"x": 10, "y": 10}, {"x": 60, "y": 10}, {"x": 30, "y": 50}]}]


@pytest.fixture
def drawer(person) -> Person:
    return person(TEMPLATE, {"taskObject": TASK_OBJECT, "suggestion": []})


def corners(*points: tuple[int, int]) -> list[dict[str, int]]:
    return [{"x": x, "y": y} for x, y in points]


def test_polygons_are_closed_by_enter_by_the_first_point_and_by_a_double_click(drawer):
    for point in [(20, 20), (60, 20), (60, 60)]:
        drawer.click(*point)
    drawer.press("Enter", "2")
    for point in [(100, 20), (150, 20), (150, 70), (100, 20)]:
        drawer.click(*point)
    for point in [(20, 80), (60, 80), (40, 110)]:
        drawer.click(*point)
    drawer.page.mouse.dblclick(*drawer.at(15, 105))
    drawer.look("polygons")
    assert drawer.submit() == {
        "shapes": {
            "inputImageProperties": {"height": 120, "width": 200},
            "polygons": [
                {"label": "cat", "vertices": corners((20, 20), (60, 20), (60, 60))},
                {"label": "dog", "vertices": corners((100, 20), (150, 20), (150, 70))},
                {"label": "dog", "vertices": corners((20, 80), (60, 80), (40, 110), (15, 105))},
            ],
            "initialValueModified": True,
        }
    }


def test_undo_takes_back_points_first_and_an_open_polygon_is_not_sent(drawer):
    for point in [(20, 20), (60, 20), (60, 60), (20, 60)]:
        drawer.click(*point)
    drawer.find(".submit").click()
    drawer.find(".notice").get_by_text("not closed").wait_for()
    assert drawer.portal.answers == []
    drawer.press("u", "Enter")
    drawer.press("u", "y")
    answer = drawer.submit()["shapes"]
    assert answer["polygons"] == [{"label": "cat", "vertices": corners((20, 20), (60, 20), (60, 60))}]


def test_a_suggested_polygon_is_kept_moved_by_its_corners_and_deleted(person):
    worker = person(TEMPLATE, {"taskObject": TASK_OBJECT, "suggestion": SUGGESTION})
    answer = worker.submit()["shapes"]
    assert answer["polygons"] == SUGGESTION
    assert answer["initialValueModified"] is False
    worker.wait()
    worker.click(30, 20)
    worker.drag((60, 10), (80, 20))
    answer = worker.submit()["shapes"]
    assert answer["polygons"] == [{"label": "dog", "vertices": corners((10, 10), (80, 20), (30, 50))}]
    assert answer["initialValueModified"] is True
    worker.wait()
    worker.click(30, 20)
    worker.press("Delete")
    assert worker.submit()["shapes"]["polygons"] == []
