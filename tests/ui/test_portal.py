"""The portal: jobs, time, skip and return, drafts, languages, dark mode, keys, and what anyone can reach."""

from __future__ import annotations

import re

import pytest

from ui.person import IMAGE_URI, PHONE, Person
from worker_ui.contract import PortalError

TEMPLATE = """<crowd-form><crowd-image-classifier name="answer" header="Which?"
 src="{{ task.input.taskObject | grant_read_access }}"
 categories="{{ task.input.labels | to_json | escape }}">
 <worker-comment></worker-comment></crowd-image-classifier></crowd-form>"""
TASKS = [{"taskObject": IMAGE_URI, "labels": ["cat", f"dog {number}"]} for number in range(3)]


def number(worker: Person, name: str) -> str:
    return worker.page.locator(f"#{name}").inner_text()


def labels(worker: Person) -> list[str]:
    return worker.find(".choice-text").all_inner_texts()


def test_a_job_is_worked_to_its_end_and_counted(person):
    worker = person(TEMPLATE, *TASKS, repeat=False, start=False)
    assert (number(worker, "answers"), number(worker, "median"), number(worker, "available")) == (
        "0",
        "–",
        "3",
    )
    worker.look("portal")
    worker.start()
    for position in range(3):
        worker.wait()
        assert labels(worker) == ["cat", f"dog {position}"]
        worker.press("2")
        worker.submit()
    worker.page.get_by_text("No further tasks").wait_for()
    worker.page.locator("#jobs-view").wait_for()
    assert number(worker, "answers") == "3"
    assert re.fullmatch(r"\d+ s", number(worker, "median"))
    assert worker.page.locator(".job .button").is_disabled()
    assert [each["answer"]["label"] for each in worker.portal.answers] == ["dog 0", "dog 1", "dog 2"]


@pytest.mark.parametrize("way", ["button", "key"])
def test_a_skipped_task_is_declined_and_the_next_one_comes(person, way):
    worker = person(TEMPLATE, *TASKS)
    with worker.page.expect_response("**/portal/api/decline"):
        worker.press("Alt+s") if way == "key" else worker.page.locator("#decline").click()
    worker.wait()
    assert labels(worker)[1] == "dog 1"
    assert worker.portal.declined == ["preview-1"]


@pytest.mark.parametrize("way", ["button", "key"])
def test_a_returned_task_goes_back_and_may_come_again(person, way):
    worker = person(TEMPLATE, *TASKS)
    with worker.page.expect_response("**/portal/api/return"):
        worker.press("Alt+r") if way == "key" else worker.page.locator("#return").click()
    worker.page.locator("#jobs-view").wait_for()
    assert worker.portal.returned == ["preview-1"]
    worker.start()
    assert labels(worker)[1] == "dog 0"


def test_a_draft_survives_a_reload_and_ends_with_its_task(person):
    worker = person(TEMPLATE, *TASKS)
    worker.press("2", "c")
    worker.page.keyboard.type("half a thought")
    worker.wait_for_draft()
    worker.page.wait_for_timeout(400)
    worker.page.reload()
    worker.wait()
    worker.find(".crowd-toast").get_by_text("Draft restored").wait_for()
    answer = worker.submit()
    assert answer == {"answer": {"label": "dog 0", "workerComment": "half a thought"}}
    assert worker.page.evaluate("Object.keys(localStorage).filter((key) => key.includes('draft'))") == []
    worker.wait()
    worker.press("Enter")
    worker.find(".notice").get_by_text("Choose a label first").wait_for()


def test_leaving_for_the_list_keeps_the_task(person):
    worker = person(TEMPLATE, *TASKS)
    worker.page.locator("#back").click()
    assert worker.page.locator(".job .button").inner_text() == "Continue"
    worker.start()
    assert labels(worker)[1] == "dog 0"


def test_both_languages_cover_the_whole_page_and_change_without_a_reload(person):
    worker = person(TEMPLATE, *TASKS, language="ja")
    assert worker.find(".submit").inner_text().startswith("送信")
    worker.press("2")
    worker.look("japanese")
    assert worker.page.locator("#decline").inner_text() == "スキップ"
    worker.page.locator("[data-language=en]").click()
    assert worker.page.locator("#decline").inner_text() == "Skip"
    worker.find(".submit").get_by_text("Submit").wait_for()
    assert worker.find("html").get_attribute("lang") == "en"
    # Nothing that was done is lost by it.
    worker.find(".submit").click()
    worker.page.locator("#answer").wait_for()
    assert worker.portal.answers == [{"answer": {"label": "dog 0"}}]
    worker.page.reload()
    worker.wait()
    assert worker.page.locator("#decline").inner_text() == "Skip"


def test_the_list_is_in_japanese_too(person):
    worker = person(TEMPLATE, *TASKS, language="ja", start=False)
    worker.look("portal-japanese")
    text = worker.page.locator("body").inner_text()
    assert "タスク一覧" in text
    for english in ("My tasks", "Answers", "waiting", "Start", "per task"):
        assert english not in text


def test_dark_mode_follows_the_system_and_the_switch(person):
    worker = person(TEMPLATE, *TASKS, dark=True)
    worker.look("dark")

    def backgrounds() -> list[str]:
        read = "() => getComputedStyle(document.body).backgroundColor"
        return [worker.page.evaluate(read), worker.find("body").evaluate(read)]

    assert backgrounds() == ["rgb(14, 18, 23)"] * 2
    worker.page.locator("#theme").click()
    assert backgrounds() == ["rgb(245, 246, 248)"] * 2


def test_the_clock_runs_and_a_task_whose_time_is_over_goes_back(person):
    worker = person(TEMPLATE, *TASKS, seconds=2.0)
    assert re.fullmatch(r"0:0\d|0:0\d left", worker.page.locator("#clock").inner_text())
    worker.page.locator("#timer.short").wait_for()
    worker.page.get_by_text("The time for this task is over").wait_for()
    assert worker.page.locator("#jobs-view").is_visible()


def test_an_answer_that_is_refused_is_said(person):
    worker = person(TEMPLATE, *TASKS)
    worker.portal.return_("preview-1")
    worker.expected_errors.append("409")
    worker.press("1", "Enter")
    worker.page.get_by_text("no longer yours").wait_for()
    assert worker.portal.answers == []


def test_work_is_not_lost_when_the_portal_fails_once(person):
    worker = person(TEMPLATE, *TASKS)
    take = worker.portal.submit
    worker.portal.submit = lambda *_: (_ for _ in ()).throw(PortalError("The embedded AWS does not answer."))
    worker.expected_errors.append("503")
    worker.press("2", "Enter")
    worker.page.locator("#toast").get_by_text("does not answer").wait_for()
    worker.portal.submit = take
    assert worker.submit() == {"answer": {"label": "dog 0"}}


def test_a_template_that_cannot_be_rendered_says_its_line(person):
    worker = person("\n<crowd-form>{{ task.input.nothing }}</crowd-form>", {}, start=False)
    worker.page.locator(".job .button").click()
    worker.find("main").get_by_text("line 3: task.input.nothing is undefined").wait_for()


def test_the_list_fits_a_phone(person):
    worker = person(TEMPLATE, *TASKS, viewport=PHONE, touch=True, start=False)
    worker.look("phone-portal")
    assert worker.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert worker.page.locator(".job .button").bounding_box()["height"] >= 44


def test_every_control_has_a_name_and_can_be_reached_by_tab(person):
    worker = person(TEMPLATE, *TASKS)
    nameless = """() => {
      const found = [];
      const walk = (root) => {
        for (const node of root.querySelectorAll("*")) {
          if (node.shadowRoot) walk(node.shadowRoot);
          if (!node.matches("button, input, textarea, select, iframe, progress")) continue;
          const label = node.labels?.[0]?.textContent.trim();
          const name = node.getAttribute("aria-label") || node.title || node.textContent.trim() || label;
          if (!name) found.push(node.outerHTML);
        }
      };
      walk(document);
      return found;
    }"""
    assert worker.page.evaluate(nameless) == []
    assert worker.find("body").evaluate(nameless) == []
    worker.page.locator("#back").focus()
    reached = []
    for _ in range(7):
        worker.press("Tab")
        reached.append(
            worker.page.evaluate(
                "document.activeElement.id || document.activeElement.lang || document.activeElement.localName"
            )
        )
    assert reached == ["decline", "return", "en", "ja", "theme", "iframe", "iframe"]


def test_texts_can_be_read_on_their_backgrounds(person):
    """WCAG AA: a contrast of 4.5 to 1."""
    pairs = [
        ("ink", "page"),
        ("ink-soft", "surface"),
        ("ink-faint", "surface"),
        ("accent-ink", "accent"),
        ("bad", "bad-soft"),
        ("warn", "warn-soft"),
        ("accent", "accent-soft"),
    ]
    contrasts = """(pairs) => {
      const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
      const luminance = (name) => {
        const probe = document.body.appendChild(document.createElement("i"));
        probe.style.color = `var(--${name})`;
        canvas.fillStyle = getComputedStyle(probe).color;
        probe.remove();
        canvas.fillRect(0, 0, 1, 1);
        const linear = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((part) => {
          const share = part / 255;
          return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
      };
      return pairs.map(([one, other]) => {
        const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
      });
    }"""
    worker = person(TEMPLATE, *TASKS)
    for _ in ("light", "dark"):
        for place in (worker.page.locator("body"), worker.find("body")):
            found = place.evaluate(f"(_, pairs) => ({contrasts})(pairs)", pairs)
            assert len(found) == len(pairs)
            assert min(found) >= 4.5, dict(zip(map(str, pairs), found, strict=True))
        worker.page.locator("#theme").click()
