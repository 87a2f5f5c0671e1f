"""crowd-form and its simple elements: what each one adds to the answer, and what stops an answer."""

from __future__ import annotations

from ui.person import Person

FIELDS = """<crowd-form>
<crowd-input name="title" label="Title" required max-length="20"></crowd-input>
<crowd-input name="unused" label="Unused"></crowd-input>
<crowd-text-area name="story" label="Story" rows="4" char-counter></crowd-text-area>
<crowd-slider name="level" min="0" max="10" step="2" value="4" pin></crowd-slider>
<crowd-checkbox name="seen" value="cat" checked>cat</crowd-checkbox>
<crowd-checkbox name="seen" value="dog">dog</crowd-checkbox>
<crowd-radio-group><crowd-radio-button name="left" value="l">left</crowd-radio-button>
<crowd-radio-button name="right" value="r">right</crowd-radio-button></crowd-radio-group>
<input type="hidden" name="hidden" value="h"><textarea name="plain">p</textarea>
<crowd-alert type="info" dismissible>Be careful</crowd-alert>
<crowd-instructions link-text="How?" link-type="button"><short-summary>In short</short-summary>
<detailed-instructions>At length</detailed-instructions></crowd-instructions>
</crowd-form>"""
CHECKED = """<crowd-form><crowd-input name="word"></crowd-input><div id="errors"></div>
<crowd-button form-action="submit" variant="primary">Send it</crowd-button>
<crowd-button form-action="reset">Again</crowd-button></crowd-form>
<script>
document.querySelector('crowd-form').onsubmit = (event) => {
  if (document.querySelector('crowd-input').value !== 'secret') {
    event.preventDefault();
    document.getElementById('errors').innerHTML =
      '<crowd-alert type="error" dismissible>Not that word</crowd-alert>';
  }
};
</script>"""


def test_every_field_adds_what_is_documented(person):
    worker: Person = person(FIELDS, {})
    worker.find("crowd-input[name=title] input").fill("A <b> & 'c'")
    worker.find("crowd-text-area textarea").fill("one\ntwo")
    worker.find("crowd-slider input").fill("8")
    for field in ("crowd-checkbox[value=dog]", "crowd-checkbox[value=cat]", "crowd-radio-button[name=left]"):
        worker.find(f"{field} .toggle").click()
    worker.press("ArrowDown")
    worker.find("crowd-instructions").get_by_text("How?").click()
    worker.find("short-summary").get_by_text("In short").wait_for()
    worker.press("Escape")
    worker.find("crowd-alert .alert-close").click()
    worker.look("fields")
    with worker.page.expect_response("**/portal/api/submit"):
        worker.find("crowd-button", has_text="Submit").click()
    assert worker.portal.answers == [
        {
            "title": "A <b> & 'c'",
            "story": "one\ntwo",
            "level": 8,
            "seen": {"cat": False, "dog": True},
            "left": {"l": False},
            "right": {"r": True},
            "hidden": "h",
            "plain": "p",
        }
    ]
    assert "unused" not in worker.portal.answers[0]


def test_a_required_field_and_a_limit_stop_the_answer_where_they_are(person):
    worker = person(FIELDS, {})
    worker.find("crowd-button", has_text="Submit").click()
    worker.find("crowd-input[name=title]").get_by_text("fill this in").wait_for()
    worker.page.keyboard.type("far too long a title for this")
    worker.press("Control+Enter")
    worker.find("crowd-input[name=title]").get_by_text("At most 20").wait_for()
    assert worker.portal.answers == []


def test_a_template_checks_the_answer_by_onsubmit_and_shows_an_alert(person):
    worker = person(CHECKED, {})
    # The form adds no button of its own where there is one.
    assert worker.find("crowd-button").count() == 2
    worker.find("crowd-input input").fill("wrong")
    worker.find("crowd-button", has_text="Send it").click()
    worker.find("crowd-alert[type=error]").get_by_text("Not that word").wait_for()
    assert worker.portal.answers == []
    worker.find("crowd-button", has_text="Again").click()
    assert worker.find("crowd-input input").input_value() == ""
    worker.find("crowd-input input").fill("secret")
    with worker.page.expect_response("**/portal/api/submit"):
        worker.find("crowd-button", has_text="Send it").click()
    assert worker.portal.answers == [{"word": "secret"}]


def test_a_script_of_the_template_takes_part_by_the_surface_that_aws_samples_use(person):
    worker = person(
        """<crowd-form><object-value-input name="object"></object-value-input>
        <input type="hidden" name="ready" id="ready"></crowd-form><script>
        document.addEventListener('all-crowd-elements-ready', () => {
          const object = document.querySelector('object-value-input');
          object.value = {a: [1, 2]};
          object.validate = () => document.getElementById('ready').value !== '';
          const form = document.querySelector('crowd-form');
          form.submit();
          setTimeout(() => { document.getElementById('ready').value = 'yes'; form.submit(); }, 300);
        });</script>""",
        {},
    )
    worker.page.locator("#answer").wait_for()
    assert worker.portal.answers == [{"object": {"a": [1, 2]}, "ready": "yes"}]


def test_a_script_that_comes_with_the_data_stays_dead(person):
    worker = person(
        """<crowd-form><div id="raw">{{ task.input.text | skip_autoescape }}</div>
        <input type="hidden" name="kept" value="yes"></crowd-form>""",
        {"text": "<b>bold</b><script>document.querySelector('[name=kept]').value = 'no';</script>"},
    )
    worker.expected_errors.append("Content Security Policy")
    assert worker.find("#raw b").inner_text() == "bold"
    with worker.page.expect_response("**/portal/api/submit"):
        worker.find("crowd-button").click()
    assert worker.portal.answers == [{"kept": "yes"}]


def test_an_element_that_is_not_stood_in_for_is_reported(person):
    worker = person("<crowd-form><crowd-keypoint></crowd-keypoint></crowd-form>", {})
    worker.expected_errors.append("<crowd-keypoint> is not among the elements")
    worker.find("crowd-button").wait_for()


def test_attributes_that_are_no_json_are_reported_with_their_place(person):
    worker = person(
        "<crowd-form><crowd-classifier name=\"x\" categories=\"['a' 'b']\"></crowd-classifier></crowd-form>",
        {},
    )
    worker.expected_errors.append("<crowd-classifier> categories: expected , at character 6")
    worker.find(".crowd-error").get_by_text("expected , at character 6").wait_for()


def test_attributes_take_the_relaxed_json_of_aws_pages(person):
    worker = person(
        """<crowd-form><crowd-classifier name="x"
        categories="[ 'it\\'s', &quot;a \\u0041&quot;, {label: 'c', 'more': [1.5, true, null,],}, ]">
        <classification-target>t</classification-target></crowd-classifier></crowd-form>""",
        {},
    )
    values = [each.evaluate("(input) => input.value") for each in worker.find(".choice input").all()]
    assert values == ["it's", "a A", "c"]


def test_drafts_of_fields_survive_a_reload(person):
    worker = person(FIELDS, {})
    worker.find("crowd-input[name=title] input").fill("kept")
    worker.find("textarea[name=plain]").fill("kept too")
    worker.find("crowd-radio-button[name=left] .toggle").click()
    worker.wait_for_draft()
    worker.page.wait_for_timeout(400)
    worker.page.reload()
    worker.wait()
    worker.find(".crowd-toast").wait_for()
    with worker.page.expect_response("**/portal/api/submit"):
        worker.find("crowd-button", has_text="Submit").click()
    answer = worker.portal.answers[0]
    assert (answer["title"], answer["plain"], answer["left"]) == ("kept", "kept too", {"l": True})
