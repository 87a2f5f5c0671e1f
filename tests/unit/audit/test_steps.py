"""How one label goes on, as pure functions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from truthloop.audit.result import Tally, is_revoked, promise, summary
from truthloop.audit.steps import (
    OPEN,
    REJECTED,
    SETTLED,
    Case,
    Given,
    Moment,
    give_up,
    is_due,
    judge,
    next_purpose,
    plan,
    relabel,
    take_back,
    take_experts_label,
    void,
)
from unit.audit.kit import AT, ROUND, Studio, policy, reject, scripted

ROW: dict[str, Any] = {
    "source-ref": "s3://images/1.png",
    "label": 0,
    "label-metadata": {"class-name": "cat"},
    "truthloop": {"id": "1", "labeled_by": "people"},
}
CASE = Case(ROW, "random", "job", "17")
WHEN = Moment(3, "audit-job", "5", AT.isoformat(), ROUND, "label")
GIVEN = Given(1, {"class-name": "dog", "annotators": 2})
RULES = policy(relabel_rounds=2)


def said(case: Case, decision: str, given: Given | None = None) -> Case:
    return judge(case, decision, "other" if decision != "accept" else "", "x", given, WHEN)


def test_each_verdict_leads_to_what_it_asks_for() -> None:
    assert (said(CASE, "accept").state, said(CASE, "accept").status) == (SETTLED, "accepted")
    assert said(CASE, "reject").state == REJECTED
    fixed = said(CASE, "fix", GIVEN)
    assert (fixed.state, fixed.status, fixed.row["label"]) == (SETTLED, "fixed", 1)
    assert (fixed.job, fixed.object) == ("audit-job", "5")
    assert ROW["label"] == 0
    judged = fixed.verdict
    assert judged is not None
    assert (judged.of_job, judged.of_object, judged.job) == ("job", "17", "audit-job")


def test_the_first_verdict_on_the_original_label_is_kept() -> None:
    rejected = said(CASE, "reject")
    again = said(relabel(rejected, GIVEN, WHEN), "accept")
    assert again.first == {"decision": "reject", "reason": "other"}
    assert said(replace(CASE, final=OPEN), "reject").first is None


def test_a_new_label_may_be_judged_by_its_own_people_as_often_as_the_first() -> None:
    twice = void(void(CASE))
    assert (twice.state, void(twice).state) == (OPEN, SETTLED)
    relabeled = relabel(said(twice, "reject"), GIVEN, WHEN)
    assert relabeled.voids == 0
    assert void(void(relabeled)).state == OPEN
    assert void(void(void(relabeled))).status == "relabeled"


def test_an_overlay_is_of_one_label_alone() -> None:
    shown = replace(CASE, overlay="s3://b/overlay.png")
    assert said(shown, "reject").overlay == "s3://b/overlay.png"
    assert said(shown, "fix", GIVEN).overlay is None
    assert relabel(said(shown, "reject"), GIVEN, WHEN).overlay is None


@pytest.mark.parametrize("attempts", [0, 1, 2, 3])
def test_people_try_so_often_and_then_an_expert(attempts: int) -> None:
    rejected = replace(said(CASE, "reject"), attempts=attempts)
    expected = "relabel" if attempts < 2 else "expert"
    assert next_purpose([rejected], RULES) == expected
    assert [purpose for purpose in ("relabel", "expert") if is_due(rejected, purpose, RULES)] == [expected]
    # What is rejected in the end has no time left.
    assert next_purpose([replace(rejected, final="reject")], RULES) == "expert"


def test_relabelling_comes_before_judging_and_experts_come_last() -> None:
    rejected, exhausted = said(CASE, "reject"), replace(said(CASE, "reject"), attempts=2)
    final = replace(CASE, final=OPEN)
    assert next_purpose([CASE, exhausted, rejected], RULES) == "relabel"
    assert next_purpose([exhausted, CASE], RULES) == "audit"
    assert next_purpose([exhausted, final], RULES) == "final"
    assert next_purpose([said(CASE, "accept")], RULES) is None
    assert next_purpose([], RULES) is None


def test_what_nobody_can_be_shown_is_given_up_and_the_others_go_on() -> None:
    other = replace(CASE, row={**ROW, "truthloop": {"id": "2"}})
    ready = plan([CASE, other], RULES, lambda case, purpose: case if case.id == "2" else None, list)
    assert [(case.id, case.state, case.status) for case in ready] == [
        ("1", SETTLED, "unaudited"),
        ("2", OPEN, "unaudited"),
    ]


def test_the_final_sample_is_drawn_once_when_all_else_is_settled() -> None:
    drawn: list[Any] = []

    def draw(cases: Any) -> Any:
        drawn.append([case.state for case in cases])
        return [replace(case, final=OPEN, state=OPEN) for case in cases]

    rules = policy(final_sample=3)
    assert plan([CASE], rules, lambda case, purpose: case, draw) == [CASE]
    settled = said(CASE, "accept")
    [ready] = plan([settled], rules, lambda case, purpose: case, draw)
    assert (ready.final, ready.state) == (OPEN, OPEN)
    judged = said(ready, "accept")
    assert plan([judged], rules, lambda case, purpose: case, draw) == [judged]
    assert plan([settled], policy(final_sample=0), lambda case, purpose: case, draw) == [settled]
    assert drawn == [[SETTLED]]
    # Where the sample is empty, or nobody can be shown any of it, the audit ends all the same.
    assert plan([settled], rules, lambda case, purpose: case, list) == [settled]
    [given_up] = plan([settled], rules, lambda case, purpose: None, draw)
    assert (given_up.final, given_up.state) == ("unaudited", SETTLED)


def test_a_label_that_is_taken_back_leaves_nothing_of_its_people() -> None:
    back = take_back(said(CASE, "reject"), WHEN)
    assert (back.status, back.state, back.job, back.object) == ("unresolved", SETTLED, None, None)
    assert (back.row["label"], back.row["label-metadata"]) == (None, None)
    assert back.row["truthloop"]["labeled_by"] is None
    assert back.row["truthloop"]["id"] == "1"


def test_cases_are_read_as_they_are_written() -> None:
    for case in (CASE, said(CASE, "fix", GIVEN), take_experts_label(said(CASE, "reject"), GIVEN, WHEN)):
        assert Case.from_document(case.to_document()) == case


@pytest.mark.parametrize(
    ("case", "revoked"),
    [
        (CASE, True),
        (said(CASE, "accept"), False),
        (said(CASE, "fix", GIVEN), False),
        (said(CASE, "reject"), True),
        (relabel(said(CASE, "reject"), GIVEN, WHEN), False),
        (take_experts_label(said(CASE, "reject"), GIVEN, WHEN), False),
        (take_back(said(CASE, "reject"), WHEN), False),
        (give_up(CASE, "audit"), True),
    ],
)
def test_a_broken_promise_takes_the_models_labels_for_which_nobody_stands(case: Case, revoked: bool) -> None:
    assert is_revoked(replace(case, why="auto")) is revoked
    assert is_revoked(case) is False


def test_only_the_random_part_speaks_for_all_labels(studio: Studio) -> None:
    studio.label("image-classification", [0] * 4)
    studio.begin()
    audit = studio.document
    assert audit is not None
    found = [
        said(CASE, "accept"),
        said(replace(CASE, why="risk"), "reject"),
        said(replace(CASE, why="auto"), "reject"),
        replace(said(replace(CASE, final=OPEN, why="final"), "reject")),
    ]
    result = summary(audit, found, [Tally(0, rows=50, auto_rows=9)], "now")
    initial, auto, final = (result["estimates"][key] for key in ("initial", "auto", "final"))
    assert (initial["errors"], initial["sampled"], initial["rows"]) == (0, 1, 50)
    assert (auto["errors"], auto["sampled"], auto["rows"]) == (1, 1, 9)
    assert (final["errors"], final["sampled"], final["rows"]) == (1, 1, 50)
    assert result["audited"] == 3
    assert promise(audit, found, 0) is None


def test_a_sampled_audit_says_of_each_row_why_it_was_chosen(studio: Studio) -> None:
    studio.label("image-classification", [0] * 20)
    studio.begin(policy(policy="sample", minimum=4, random_share=0.0, risk_share=0.2, relabel_rounds=0))
    result = studio.run(scripted({number: [reject()] for number in range(20)}))
    whys = [row["truthloop"]["audit"]["why"] for row in studio.audited().values()]
    assert (whys.count("random"), whys.count("risk")) == (4, 4)
    assert (result["rows"], result["audited"]) == (20, 8)
    initial = result["estimates"]["initial"]
    assert (initial["errors"], initial["sampled"], initial["rows"]) == (4, 4, 20)
