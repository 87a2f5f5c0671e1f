"""The auditors' page: verdicts by keyboard, mouse and finger, and what becomes of them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from truthloop import palette, task_types
from truthloop.audit import ANSWER_NAMES, REASONS
from truthloop.labels import BOXES, CLASS, CLASSES
from ui.audits import (
    BOXES_GIVEN,
    FOLDER,
    HEIGHT,
    WIDTH,
    Audit,
    at,
    drag,
    focused,
    mask,
    pixel,
    submit,
)
from ui.person import IMAGE_URI, PHONE, Person

COMMENT = "左端が欠けています。「猫」の耳まで塗ってください。🐈"
HOSTILE = (
    "\"'</textarea></crowd-form><script>document.title='x'</script><b>bold</b> "
    "{{ task.input }} &amp; 文字 שלום"
)
GREY = (128, 128, 128)


def rgb(category: int) -> tuple[int, int, int]:
    return palette.rgb(palette.color(category))


def pressed(worker: Person, group: str) -> list[str]:
    return [
        each.get_attribute("data-decision") or each.get_attribute("data-code") or each.inner_text().strip()
        for each in worker.find(f"{group} [aria-pressed=true]").all()
    ]


def refused(worker: Person, english: str, japanese: str) -> None:
    """The answer was not sent, and the page says why, also to who cannot see it."""
    problem = worker.find("#problem")
    problem.get_by_text(english).wait_for()
    assert japanese in problem.inner_text()
    assert problem.get_attribute("role") == "alert"
    assert problem.get_attribute("aria-live") == "assertive"
    assert problem.evaluate(
        "(node) => { const { top, bottom } = node.getBoundingClientRect(); "
        "return top >= 0 && bottom <= innerHeight; }"
    )
    assert worker.portal.answers == []


# ---- by the keyboard alone, through the real annotation functions ----


@pytest.mark.parametrize("task_type", task_types.names())
def test_a_label_is_accepted_by_the_keyboard_alone(person, task_type):
    audit = Audit(task_type)
    worker = audit.open(person)
    worker.look(f"audit-{task_type}")
    worker.press("a")
    answer = submit(worker)
    assert sorted(answer) == sorted(ANSWER_NAMES)
    assert all(isinstance(value, str) for value in answer.values())
    assert audit.verdict(answer) == {"decision": "accept", "reason": "", "comment": ""}


@pytest.mark.parametrize("task_type", task_types.names())
def test_a_reject_is_refused_without_a_reason_and_a_comment_and_then_goes_to_who_labels_again(
    person, task_type
):
    audit = Audit(task_type)
    worker = audit.open(person)
    worker.press("r", "Control+Enter")
    refused(worker, "a reject needs both", "理由の選択とコメントの両方")
    assert focused(worker) == next(iter(REASONS))
    worker.press("2")
    assert pressed(worker, "#reasons") == ["missing"]
    assert focused(worker) == "comment"
    worker.press("Control+Enter")
    refused(worker, "Write what has to be done differently", "どう直すべきかを書いてください")
    assert focused(worker) == "comment"
    assert worker.find("#comment").get_attribute("aria-invalid") == "true"
    worker.look(f"audit-{task_type}-refused")
    worker.page.keyboard.insert_text(COMMENT)
    assert worker.find("#problem").inner_text() == ""
    verdict = audit.verdict(submit(worker))
    assert verdict == {"decision": "reject", "reason": "missing", "comment": COMMENT}

    labeler = person(
        FOLDER / task_type / "template.liquid.html",
        audit.to_label_again(verdict),
        objects=audit.files,
        viewport={"width": 1440, "height": 860},
    )
    shown = labeler.find("body").inner_text()
    for text in ("An auditor sent this back · 検品で差し戻されました", COMMENT, *REASONS["missing"]):
        assert text in shown
    assert "Sent back by an auditor" in labeler.find(".title, h1").first.inner_text()
    labeler.look(f"relabel-{task_type}")
    kind = task_types.get(task_type).LABEL_KIND
    if kind in (CLASS, CLASSES):
        assert "Earlier answer · 前回の回答" in shown
        assert ("cat" if kind == CLASS else "cat, bird") in shown
    elif kind == BOXES:
        boxes = labeler.submit()["boundingBox"]["boundingBoxes"]
        assert [box["left"] for box in boxes] == [box["left"] for box in BOXES_GIVEN]
    else:
        assert labeler.submit()["crowd-semantic-segmentation"]["initialValueModified"] is False


@pytest.mark.parametrize("blank", [" \n\t", "\u3000\u3000", "\u200b\u2060", ""])
def test_a_comment_that_says_nothing_is_none(person, blank):
    worker = Audit("image-classification").open(person)
    worker.press("r", "1")
    worker.find("#comment").fill(blank)
    worker.press("Control+Enter")
    refused(worker, "Write what has to be done differently", "どう直すべきか")


def test_nothing_is_sent_without_a_verdict_or_with_a_fix_that_fixes_nothing(person):
    worker = Audit("image-classification").open(person)
    worker.press("Control+Enter")
    refused(worker, "Choose a verdict first", "先に判定")
    assert focused(worker) == "verdict accept"
    # Nor by the button, which AWS's form listens to.
    worker.find("crowd-button").click()
    refused(worker, "Choose a verdict first", "先に判定")
    worker.press("f", "1", "Control+Enter")
    refused(worker, "Nothing is corrected yet", "まだ何も修正されていません")
    worker.press("Enter")
    assert worker.portal.answers == []


@pytest.mark.parametrize("task_type", ["image-classification", "text-classification"])
def test_a_class_is_fixed_by_the_keyboard(person, task_type):
    audit = Audit(task_type)
    worker = audit.open(person)
    worker.press("f", "3")
    worker.look(f"audit-{task_type}-fix")
    verdict = audit.verdict(submit(worker))
    assert verdict["decision"] == "fix"
    assert verdict["label"]["value"] == 2
    assert verdict["label"]["metadata"]["class-name"] == "bird"


def test_classes_are_fixed_by_the_keyboard(person):
    audit = Audit("image-multi-label")
    worker = audit.open(person)
    worker.press("f", "1", "4", "2", "z")
    assert pressed(worker, "#categories") == ["3\nbird", "4\ntree"]
    assert audit.verdict(submit(worker))["label"]["value"] == [2, 3]


def test_all_classes_can_be_taken_away(person):
    audit = Audit("image-multi-label")
    worker = audit.open(person)
    worker.press("f", "1", "3")
    assert audit.verdict(submit(worker))["label"]["value"] == []


def test_boxes_are_fixed_by_the_keyboard_alone(person):
    audit = Audit("bounding-box")
    worker = audit.open(person)
    # Fixing begins with the first box.
    worker.press("f", "ArrowRight", "ArrowRight", "Shift+ArrowDown", "Alt+ArrowLeft", "Alt+ArrowUp", "3")
    worker.press("Tab", "Delete")
    assert worker.find("#status").inner_text().startswith("Box 2 is deleted.")
    worker.press("n", "4")
    worker.look("audit-bounding-box-fix")
    assert worker.find("#drawn .box").count() == 2
    verdict = audit.verdict(submit(worker))
    side = HEIGHT // 5
    assert verdict["label"]["value"]["annotations"] == [
        {"class_id": 2, "left": 52, "top": 40, "width": 49, "height": 39},
        {
            "class_id": 3,
            "left": (WIDTH - side) // 2,
            "top": (HEIGHT - side) // 2,
            "width": side,
            "height": side,
        },
    ]


def test_a_box_is_chosen_by_the_tab_key_and_stays_inside_the_image(person):
    audit = Audit("bounding-box")
    worker = audit.open(person)
    worker.press("f")
    worker.find("#drawn .box").nth(1).focus()
    assert worker.find("#drawn .box.chosen").get_attribute("aria-label").startswith("Box · 枠 2: dog, 10, 80")
    for _ in range(5):
        worker.press("Shift+ArrowDown", "Shift+ArrowLeft")
    [_, box] = json.loads(worker.find("[name=auditFix]").input_value())["boxes"]
    assert (box["left"], box["top"]) == (0, HEIGHT - box["height"])
    # Ten presses of one key are one step back.
    worker.press("Control+z")
    assert json.loads(worker.find("[name=auditFix]").input_value())["boxes"][1]["top"] == 80


def test_categories_of_a_mask_are_repainted_and_erased_by_the_keyboard(person):
    audit = Audit("semantic-segmentation")
    worker = audit.open(person)
    worker.press("f", "3", "Tab", "Delete")
    assert worker.find("#items").inner_text().split("\n") == ["cat → bird", "dog → nothing · 消す"]
    worker.look("audit-semantic-segmentation-fix")
    verdict = audit.verdict(submit(worker))
    label, metadata = verdict["label"]["value"], verdict["label"]["metadata"]
    expected = np.where(mask() == 1, 3, 0)
    assert (audit.indices(label) == expected).all()
    assert {each["class-name"] for each in metadata["internal-color-map"].values()} == {"BACKGROUND", "bird"}


# ---- the mouse ----


def boxes_of(worker: Person) -> list[dict]:
    return json.loads(worker.find("[name=auditFix]").input_value())["boxes"]


def test_boxes_are_drawn_moved_resized_and_deleted_with_the_mouse(person):
    audit = Audit("bounding-box")
    worker = audit.open(person)
    worker.find("[data-decision=fix]").click()
    drag(worker, (120, 20), (180, 60))
    assert boxes_of(worker)[2] == {"label": "cat", "left": 120, "top": 20, "width": 60, "height": 40}
    worker.find("#categories button").nth(2).click()
    # The drawn box is the chosen one: it is moved from within, and resized at a corner.
    drag(worker, (150, 40), (155, 50))
    drag(worker, (185, 70), (195, 110))
    assert boxes_of(worker)[2] == {"label": "bird", "left": 125, "top": 30, "width": 70, "height": 80}
    # With Shift, a box is drawn inside the chosen one.
    worker.page.keyboard.down("Shift")
    drag(worker, (140, 45), (160, 65))
    worker.page.keyboard.up("Shift")
    assert boxes_of(worker)[3] == {"label": "bird", "left": 140, "top": 45, "width": 20, "height": 20}
    # A click chooses the smallest box under the pointer.
    worker.page.mouse.click(*at(worker, 75, 50))
    assert worker.find("#drawn .box.chosen").get_attribute("aria-label").startswith("Box · 枠 1")
    worker.find("#remove").click()
    worker.look("audit-boxes-by-mouse")
    assert audit.verdict(worker_submits_by_button(worker))["label"]["value"]["annotations"] == [
        {"class_id": 1, "left": 10, "top": 80, "width": 30, "height": 20},
        {"class_id": 2, "left": 140, "top": 45, "width": 20, "height": 20},
        {"class_id": 2, "left": 125, "top": 30, "width": 70, "height": 80},
    ]


def worker_submits_by_button(worker: Person):
    with worker.page.expect_response("**/portal/api/submit"):
        worker.find("crowd-button").click()
    return worker.portal.answers[-1]


def test_a_box_is_not_changed_before_the_auditor_fixes(person):
    worker = Audit("bounding-box").open(person)
    drag(worker, (75, 50), (90, 60))
    worker.press("Delete", "n", "a")
    answer = submit(worker)
    # N begins a fix; what follows it counts.
    assert (answer["auditDecision"], answer["auditFix"]) == ("accept", "")


# ---- what is seen ----


def test_the_label_lies_over_the_image_as_strongly_as_the_slider_says(person):
    worker = Audit("semantic-segmentation").open(person)
    slider = worker.find("#opacity")
    inside, outside = (20, 15), (150, 20)
    seen = {}
    for percent in (0, 50, 100):
        slider.fill(str(percent))
        seen[percent] = pixel(worker, *inside)
        assert pixel(worker, *outside) == GREY
    assert seen[0] == GREY
    assert seen[100] == rgb(0)
    middle = [(one + other) / 2 for one, other in zip(GREY, rgb(0), strict=True)]
    assert np.abs(np.array(seen[50]) - middle).max() <= 1
    # By the keyboard too: brackets anywhere, arrows on the slider itself.
    slider.fill("60")
    worker.find("#stage").focus()
    worker.press("[", "[", "]")
    assert slider.input_value() == "50"
    slider.focus()
    worker.press("ArrowRight")
    assert slider.input_value() == "55"


@pytest.mark.parametrize("task_type", ["semantic-segmentation", "bounding-box"])
def test_the_label_is_hidden_and_shown_by_a_key(person, task_type):
    worker = Audit(task_type).open(person)
    worker.find("#opacity").fill("100")
    # On the second box's left edge, or within the first category.
    place = (10, 90) if task_type == "bounding-box" else (20, 15)
    shown = pixel(worker, *place)
    assert shown != GREY
    worker.press("m")
    assert pixel(worker, *place) == GREY
    assert worker.find("#toggle").get_attribute("aria-pressed") == "false"
    worker.press("m")
    assert pixel(worker, *place) == shown


def test_only_the_chosen_category_is_shown_by_a_key_and_repainting_is_seen_at_once(person):
    worker = Audit("semantic-segmentation").open(person)
    worker.find("#opacity").fill("100")
    first, second = (20, 15), (180, 100)
    worker.find("#items button").nth(1).click()
    worker.press("s")
    assert (pixel(worker, *first), pixel(worker, *second)) == (GREY, rgb(1))
    worker.press("s")
    assert (pixel(worker, *first), pixel(worker, *second)) == (rgb(0), rgb(1))
    worker.press("f", "1")
    assert (pixel(worker, *first), pixel(worker, *second)) == (rgb(0), rgb(0))
    worker.press("Delete")
    assert (pixel(worker, *first), pixel(worker, *second)) == (rgb(0), GREY)
    worker.press("2")
    assert (pixel(worker, *first), pixel(worker, *second)) == (rgb(0), rgb(1))


def test_the_image_is_zoomed_and_moved_by_keys_wheel_and_dragging(person):
    worker = Audit("semantic-segmentation").open(person)

    def scale() -> float:
        return worker.find("#scene").bounding_box()["width"] / WIDTH

    whole = scale()
    worker.press("+", "=")
    assert scale() == pytest.approx(whole * 1.25**2)
    worker.press("-")
    assert scale() == pytest.approx(whole * 1.25)
    worker.press("0")
    assert scale() == pytest.approx(whole)
    # The point under the pointer stays there.
    before = at(worker, 60, 40)
    worker.page.mouse.move(*before)
    worker.page.mouse.wheel(0, -300)
    assert scale() > whole * 1.5
    assert at(worker, 60, 40) == pytest.approx(before, abs=1)
    drag(worker, (60, 40), (70, 45))
    moved = (before[0] + 10 * scale(), before[1] + 5 * scale())
    assert at(worker, 60, 40) == pytest.approx(moved, abs=1)
    worker.find("#stage").focus()
    worker.press("ArrowRight", "ArrowDown")
    assert at(worker, 60, 40) == pytest.approx((moved[0] - 60, moved[1] - 60), abs=1)
    for selector, factor in (("#zoom-in", 1.25), ("#zoom-out", 0.8)):
        now = scale()
        worker.find(selector).click()
        assert scale() == pytest.approx(now * factor)
    worker.find("#zoom-fit").click()
    assert scale() == pytest.approx(whole)


def test_a_text_is_enlarged_by_keys(person):
    worker = Audit("text-classification").open(person)
    size = "(node) => parseFloat(getComputedStyle(node).fontSize)"
    before = worker.find(".reading .said").evaluate(size)
    worker.press("+")
    assert worker.find(".reading .said").evaluate(size) == pytest.approx(before * 1.25)


def test_earlier_verdicts_are_shown_with_their_reasons_in_both_languages(person):
    history = [
        {"event": "labeled", "annotators": 3},
        {"event": "audited", "decision": "reject", "reason": "inexact", "comment": "The edge is off."},
        {"event": "relabeled", "annotators": 3, "attempt": 1},
        {"event": "audited", "decision": "accept", "reason": "", "comment": ""},
    ]
    worker = Audit("image-classification", history=history).open(person)
    shown = [each.inner_text().split("\n") for each in worker.find("#earlier li").all()]
    assert shown == [
        ["Rejected · 差し戻し", " · ".join(REASONS["inexact"]), "The edge is off."],
        ["Accepted · 合格"],
    ]


# ---- texts ----


@pytest.mark.parametrize("task_type", task_types.names())
def test_hostile_texts_stay_texts_and_labels_come_back_as_they_are(person, task_type):
    labels = (f"plain {HOSTILE}", f"鳥 🐦 {HOSTILE}", f"third {HOSTILE}")
    history = [{"event": "audited", "decision": "reject", "reason": "other", "comment": HOSTILE}]
    audit = Audit(
        task_type, labels=labels, text=HOSTILE, history=history, context=HOSTILE, instructions=HOSTILE
    )
    worker = audit.open(person)
    worker.look(f"audit-{task_type}-hostile")
    assert worker.find("b", has_text="bold").count() == 0
    assert worker.find("script").count() == 2
    assert worker.find("title").inner_text() != "x"
    shown = worker.find("body").inner_text()
    assert shown.count(HOSTILE) >= 4
    worker.press("f", "2")
    if audit.kind == BOXES:
        assert worker.find("#drawn .box text").first.evaluate("(node) => node.textContent") == labels[1]
    worker.find("#comment").fill(HOSTILE)
    verdict = audit.verdict(submit(worker))
    assert verdict["comment"] == HOSTILE
    label = verdict["label"]["value"]
    if audit.kind == CLASS:
        assert label == 1
    elif audit.kind == CLASSES:
        assert label == [0, 1, 2]
    elif audit.kind == BOXES:
        assert [box["class_id"] for box in label["annotations"]] == [1, 1]
    else:
        assert set(np.unique(audit.indices(label))) == {0, 2}


def test_no_key_does_anything_but_write_while_the_comment_has_the_focus(person):
    worker = Audit("semantic-segmentation").open(person)
    worker.press("r", "1")
    assert focused(worker) == "comment"
    worker.page.keyboard.type("a far mess 123 +-0 [z] ")
    assert worker.find("#comment").input_value() == "a far mess 123 +-0 [z] "
    assert pressed(worker, "#verdicts") == ["reject"]
    assert pressed(worker, "#reasons") == ["wrong-label"]
    assert worker.find("#toggle").get_attribute("aria-pressed") == "true"
    assert worker.find("#opacity").input_value() == "60"
    worker.press("Escape", "a")
    assert pressed(worker, "#verdicts") == ["accept"]
    # What an input method is composing is no key of the page either.
    worker.find("#stage").evaluate(
        "(node) => node.dispatchEvent("
        "new KeyboardEvent('keydown', {key: 'r', isComposing: true, bubbles: true}))"
    )
    assert pressed(worker, "#verdicts") == ["accept"]


def test_keys_in_the_guide_give_no_verdict(person):
    worker = Audit("image-classification").open(person)
    worker.find("crowd-instructions button").first.click()
    worker.find("short-summary").get_by_text("Somebody has labelled this object").wait_for()
    worker.look("audit-guide")
    worker.press("r")
    worker.press("Escape")
    assert pressed(worker, "#verdicts") == []
    worker.press("r")
    assert pressed(worker, "#verdicts") == ["reject"]


# ---- everything around ----


def test_a_verdict_in_the_making_survives_a_reload(person):
    worker = Audit("bounding-box").open(person)
    worker.press("f", "ArrowRight", "2")
    worker.find("#comment").fill("途中")
    before = worker.find("[name=auditFix]").input_value()
    worker.wait_for_draft()
    worker.page.wait_for_timeout(400)
    worker.page.reload()
    worker.wait()
    assert pressed(worker, "#verdicts") == ["fix"]
    assert worker.find("#drawn .box").first.get_attribute("aria-label").startswith("Box · 枠 1: dog, 51")
    answer = submit(worker)
    assert (answer["auditFix"], answer["auditComment"]) == (before, "途中")


def test_the_time_is_sent_that_the_page_was_open_and_that_it_was_used(person):
    worker = Audit("image-classification").open(person)
    worker.page.wait_for_timeout(400)
    worker.press("a")
    timing = json.loads(submit(worker)["clientTiming"])
    assert sorted(timing) == ["activeMs", "wallMs"]
    assert 400 <= timing["activeMs"] <= timing["wallMs"] < 60_000
    assert all(isinstance(value, int) for value in timing.values())


def test_an_image_that_cannot_be_loaded_is_said(person):
    worker = Audit("image-classification", files={IMAGE_URI: b"no image"}).open(person, start=False)
    worker.page.locator(".job .button").click()
    worker.find("#stage-message.bad").get_by_text("could not be loaded").wait_for()
    assert "読み込めませんでした" in worker.find("#stage-message").inner_text()


@pytest.mark.parametrize("task_type", task_types.names())
def test_an_audit_is_done_on_a_phone(person, task_type):
    audit = Audit(task_type)
    worker = audit.open(person, viewport=PHONE, touch=True)
    width = "() => document.documentElement.scrollWidth"
    assert worker.find("body").evaluate(width) <= PHONE["width"]
    worker.look(f"phone-audit-{task_type}")
    worker.find("[data-decision=reject]").tap()
    worker.find("#reasons [data-code=inexact]").tap()
    worker.find("#comment").fill(COMMENT)
    assert worker.find("body").evaluate(width) <= PHONE["width"]
    worker.look(f"phone-audit-{task_type}-reject")
    with worker.page.expect_response("**/portal/api/submit"):
        worker.find("crowd-button").tap()
    verdict = audit.verdict(worker.portal.answers[-1])
    assert verdict == {"decision": "reject", "reason": "inexact", "comment": COMMENT}


NAMELESS = """() => [...document.querySelectorAll(
  "button, input:not([type=hidden]), textarea, img, [role=button], [role=group], [tabindex]")]
  .filter((node) => node.checkVisibility())
  .filter((node) => ![node.getAttribute("aria-label"), node.getAttribute("alt"), node.textContent,
    document.getElementById(node.getAttribute("aria-labelledby"))?.textContent, node.labels?.[0]?.textContent]
    .some((name) => /\\p{L}/u.test(name ?? "")))
  .map((node) => node.outerHTML.slice(0, 100))"""
PALE = """() => {
  const numbers = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const light = (color) => numbers(color).slice(0, 3).map((value) => linear(value / 255))
    .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (node) => {
    for (let each = node; each; each = each.parentElement) {
      const color = getComputedStyle(each).backgroundColor;
      if (numbers(color).length === 3 || numbers(color)[3] === 1) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const found = [];
  for (const node of document.querySelectorAll("#audit *:not(svg, svg *)")) {
    const own = [...node.childNodes].some((each) => each.nodeType === 3 && each.textContent.trim());
    if (!own || !node.checkVisibility()) continue;
    if (node.closest(":disabled, crowd-button, crowd-instructions")) continue;
    const pair = [light(getComputedStyle(node).color), light(ground(node))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${node.className} ${node.textContent.trim()}`);
  }
  return found;
}"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("task_type", task_types.names())
def test_everything_has_a_name_and_enough_contrast(person, task_type, dark):
    history = [{"event": "audited", "decision": "reject", "reason": "inexact", "comment": "The edge is off."}]
    worker = Audit(task_type, history=history).open(person, dark=dark)
    for keys in (["a"], ["r", "1", "Control+Enter", "Escape"], ["f"]):
        worker.press(*keys)
        assert worker.find("body").evaluate(NAMELESS) == []
        assert worker.find("body").evaluate(PALE) == []
    worker.look(f"audit-{task_type}-{'dark' if dark else 'light'}")


def test_the_whole_page_is_reached_by_the_tab_key_and_the_focus_is_seen(person):
    worker = Audit("bounding-box").open(person)
    worker.press("f")
    worker.find("#items button").first.focus()
    reached = []
    for _ in range(40):
        worker.press("Tab")
        reached.append(focused(worker))
        outline = worker.find("body").evaluate(
            "() => { const style = getComputedStyle(document.activeElement); "
            "return style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth); }"
        )
        if reached[-1] not in ("crowd-button", "crowd-instructions"):
            assert outline > 0, reached[-1]
        if reached[-1] == "crowd-button":
            break
    assert reached[-1] == "crowd-button"
    for control in ("stage", "zoom-fit", "toggle", "opacity", "verdict accept", "new", "remove", "comment"):
        assert control in reached
