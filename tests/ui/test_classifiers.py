"""Classifiers: answered with digits and Enter, by mouse, and by a finger on a phone."""

from __future__ import annotations

from ui.person import INSTRUCTIONS, PHONE, Person

IMAGE = f"""<crowd-form><crowd-image-classifier name="crowd-image-classifier" header="Which?"
 src="{{{{ task.input.taskObject | grant_read_access }}}}"
 categories="{{{{ task.input.labels | to_json | escape }}}}"
 >{INSTRUCTIONS}<worker-comment header="Why?" link-text="Say why" placeholder="Because"></worker-comment>
 </crowd-image-classifier></crowd-form>"""
SEVERAL = """<crowd-form><crowd-image-classifier-multi-select name="several" header="Which?"
 src="{{ task.input.taskObject | grant_read_access }}" categories="{{ task.input.labels | to_json | escape }}"
 exclusion-category="{ text: 'None of these' }"></crowd-image-classifier-multi-select></crowd-form>"""
TEXT = """<crowd-form><crowd-classifier name="crowd-classifier" header="Which?"
 categories="{{ task.input.labels | to_json | escape }}"><classification-target>
 <p id="target">{{ task.input.taskObject }}</p></classification-target></crowd-classifier></crowd-form>"""
TEXTS = """<crowd-form><crowd-classifier-multi-select name="texts" header="Which?"
 categories="['a', 'b', 'c',]"><classification-target>{{ task.input.taskObject }}</classification-target>
 </crowd-classifier-multi-select></crowd-form>"""
HOSTILE = [
    'say "yes"',
    "it's",
    "</script><script>alert(1)</script>",
    "{{ task.input }} {% if x %}",
    "<img src=x onerror=alert(1)>",
    "犬と猫",
    "👩‍👩‍👧‍👦 \U0001f408",
    "שלום عربى",
    "a\\b\\u0041\n\ttab",
    "x" * 256,
]


def test_a_digit_and_enter_answer_an_image(person):
    worker = person(IMAGE)
    worker.press("2")
    worker.look("image-classifier")
    assert worker.submit() == {"crowd-image-classifier": {"label": "dog"}}


def test_the_mouse_answers_and_the_comment_goes_along_only_when_there_is_one(person):
    worker = person(IMAGE)
    worker.find(".choice", has_text="cat").click()
    worker.find(".comment summary").get_by_text("Say why").click()
    worker.find(".comment textarea").fill("  ")
    assert worker.submit(None) == {"crowd-image-classifier": {"label": "cat"}}
    worker.wait()
    worker.press("1", "c")
    worker.page.keyboard.type("too dark, 2 cats")
    worker.press("Escape")
    expected = {"crowd-image-classifier": {"label": "cat", "workerComment": "too dark, 2 cats"}}
    assert worker.submit() == expected


def test_nothing_is_sent_before_a_label_is_chosen(person):
    worker = person(IMAGE)
    worker.press("Enter")
    worker.find(".notice").get_by_text("Choose a label first").wait_for()
    worker.find(".submit").click()
    assert worker.portal.answers == []
    worker.press("1")
    assert worker.find(".notice").inner_text() == ""
    assert worker.submit() == {"crowd-image-classifier": {"label": "cat"}}


def test_instructions_and_keys_open_and_close_by_key(person):
    worker = person(IMAGE)
    assert worker.find("#short").is_visible()
    assert not worker.find("#full").is_visible()
    worker.press("i")
    worker.find("#full").wait_for()
    # What is pressed in a dialog belongs to the dialog.
    worker.press("2", "Escape")
    worker.find("#full").wait_for(state="hidden")
    worker.press("?")
    worker.find("dialog[open]").get_by_text("choose a label", exact=True).wait_for()
    worker.press("Escape", "1")
    assert worker.submit() == {"crowd-image-classifier": {"label": "cat"}}


def test_several_labels_toggle_and_none_of_these_excludes_them(person):
    worker = person(SEVERAL)
    worker.press("2", "1", "2")
    assert worker.submit() == {"several": {"labels": ["cat"]}}
    worker.wait()
    worker.press("1", "2", "3")
    assert worker.submit() == {"several": {"labels": ["None of these"]}}
    worker.wait()
    worker.press("3", "2")
    assert worker.submit() == {"several": {"labels": ["dog"]}}


def test_no_label_at_all_has_to_be_confirmed_where_none_stands_for_it(person):
    worker = person(TEXTS, {"taskObject": "text"})
    worker.press("Enter")
    worker.find(".notice").get_by_text("Submit again").wait_for()
    worker.press("2", "2", "Enter")
    assert worker.portal.answers == []
    assert worker.submit() == {"texts": {"labels": []}}


def test_labels_and_texts_survive_whatever_they_contain(person):
    worker = person(TEXT, *[{"taskObject": text, "labels": HOSTILE} for text in HOSTILE])
    for digit, hostile in zip("1234567890", HOSTILE, strict=True):
        assert worker.find("#target").evaluate("(node) => node.textContent") == hostile
        shown = worker.find(".choice-list").evaluate(
            "(list) => [...list.querySelectorAll('.choice-text')].map((node) => node.textContent)"
        )
        assert shown == HOSTILE
        worker.press(digit)
        assert worker.submit() == {"crowd-classifier": {"label": hostile}}
        worker.wait()
    assert len(worker.portal.answers) == len(HOSTILE)


def test_a_phone_answers_with_a_finger_and_needs_no_sideways_scrolling(person):
    worker = person(IMAGE, viewport=PHONE, touch=True)
    worker.look("phone-image-classifier")
    width = worker.find("body").evaluate("() => document.documentElement.scrollWidth")
    assert width <= PHONE["width"]
    for choice in worker.find(".choice").all():
        assert choice.bounding_box()["height"] >= 44
    submit = worker.find(".submit").bounding_box()
    assert submit["y"] + submit["height"] <= PHONE["height"]
    worker.find(".choice", has_text="dog").tap()
    with worker.page.expect_response("**/portal/api/submit"):
        worker.find(".submit").tap()
    assert worker.portal.answers == [{"crowd-image-classifier": {"label": "dog"}}]


def test_an_overlay_lies_over_the_image_and_can_be_hidden(person):
    template = IMAGE.replace(
        " categories",
        """ overlay='{"boundingBox": {"labels": ["x"], "value": [{"label": "x", "left": 120,
        "top": 20, "width": 60, "height": 60}]}}' categories""",
    )
    worker: Person = person(template)
    with_overlay = worker.scene()
    worker.press("h")
    without = worker.scene()
    assert (with_overlay != without).any()
    worker.press("h")
    assert (worker.scene() == with_overlay).all()


def test_an_image_that_cannot_be_loaded_is_said_and_not_hidden(person):
    worker = person(IMAGE, {"taskObject": "https://images.invalid/one.png", "labels": ["cat"]}, start=False)
    worker.expected_errors.append("Content Security Policy")
    worker.expected_errors.append("failed: https://images.invalid")
    worker.page.locator(".job .button").click()
    worker.find(".stage-message").get_by_text("could not be loaded").wait_for()
