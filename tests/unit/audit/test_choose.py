from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from truthloop.audit.choose import ANSWERS_OF_A_NEW_WORKER, Candidate, choose, draw, risk
from truthloop.consolidation.skills import Evidence
from truthloop.labeling.workers import keep_evidence, sum_up
from truthloop.manifest import read_master, row_id
from truthloop.splits import random_order
from unit.audit.kit import JOB, ROUND, Studio, policy
from unit.labeling.kit import CATEGORIES, LAYOUT, record

ROWS = [Candidate(f"{number:03d}", risk=number / 1000) for number in range(200)]
SAMPLE = policy(policy="sample", minimum=5, random_share=0.1, risk_share=0.05)


def test_all_means_all_and_none_means_none() -> None:
    assert choose(ROWS, policy(), 1) == {each.id: "all" for each in ROWS}
    assert choose(ROWS, policy(policy="none"), 1) == {}


def test_a_sample_has_a_random_and_a_risky_part() -> None:
    chosen = choose(ROWS, SAMPLE, 1)
    drawn = {name for name, why in chosen.items() if why == "random"}
    risky = {name for name, why in chosen.items() if why == "risk"}
    assert (len(drawn), len(risky)) == (20, 10)
    assert drawn == {
        each.id for each in sorted(ROWS, key=lambda each: random_order(1, f"random:{each.id}"))[:20]
    }
    # The most doubtful of what chance left.
    left = [each.id for each in reversed(ROWS) if each.id not in drawn]
    assert risky == set(left[:10])


def test_the_choice_depends_on_the_seed_and_not_on_the_order() -> None:
    turned = ROWS[1::2] + ROWS[::2][::-1]
    assert sorted(each.id for each in turned) == [each.id for each in ROWS]
    assert choose(ROWS, SAMPLE, 1) == choose(turned, SAMPLE, 1)
    assert choose(ROWS, SAMPLE, 1) != choose(ROWS, SAMPLE, 2)


def test_the_random_part_takes_no_account_of_risk() -> None:
    other = [replace(each, risk=1 - each.risk) for each in ROWS]
    drawn = [
        {name for name, why in choose(rows, SAMPLE, 1).items() if why == "random"} for rows in (ROWS, other)
    ]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(
    ("rows", "changes", "expected"),
    [
        (200, {"minimum": 30}, (30, 10)),
        (3, {"minimum": 30}, (3, 0)),
        (25, {"random_share": 0.29, "minimum": 1}, (7, 1)),
        (50, {"random_share": 0.29, "minimum": 1, "risk_share": 0.0}, (15, 0)),
        (10, {"random_share": 0.5, "risk_share": 1.0}, (5, 5)),
        (0, {}, (0, 0)),
    ],
)
def test_shares_are_of_all_rows_rounded_half_up(
    rows: int, changes: dict[str, Any], expected: tuple[int, int]
) -> None:
    whys = list(choose(ROWS[:rows], replace(SAMPLE, **changes), 1).values())
    assert (whys.count("random"), whys.count("risk")) == expected


def test_rows_of_equal_risk_come_at_random() -> None:
    equal = [Candidate(each.id) for each in ROWS]
    risky = [
        {name for name, why in choose(equal, SAMPLE, seed).items() if why == "risk"} for seed in range(20)
    ]
    # In the order of the ids the same few would come every time.
    assert len(set().union(*risky)) > 100


def test_draws_for_different_purposes_are_independent() -> None:
    ids = [each.id for each in ROWS]
    first, second = (set(draw(ids, 40, 1, purpose)) for purpose in ("random", "final"))
    assert 0 < len(first & second) < 20


# ---- what makes a label doubtful

CLASS = {"label": 1, "label-metadata": {"class-name": "dog", "confidence": 0.9}}


def of(row: dict[str, Any], answers: tuple[int, ...] = (), kind: str = "class") -> float:
    return risk(kind, row, "label", CATEGORIES, answers)


def test_the_less_confident_a_label_the_greater_its_risk() -> None:
    assert of(CLASS) == pytest.approx(0.1)
    assert of({**CLASS, "label-metadata": {"confidence": 0.3}}) == pytest.approx(0.7)
    # Ground Truth's own consolidation writes 0.00 for one worker; of other metadata nothing is known.
    assert of({**CLASS, "label-metadata": {"confidence": 0.0}}) == 1
    assert of({**CLASS, "label-metadata": {}}) == of({"label": 1}) == 0.5


@pytest.mark.parametrize(
    ("kind", "value", "other", "agreed"),
    [
        ("class", 1, 1, 1.0),
        ("class", 1, 2, 0.0),
        ("classes", [0, 1], [1, 2], 1 / 3),
        (
            "boxes",
            {"annotations": [{"class_id": 0, "left": 0, "top": 0, "width": 4, "height": 4}]},
            {"annotations": [{"class_id": 1, "left": 0, "top": 0, "width": 4, "height": 4}]},
            0.0,
        ),
        ("mask", "s3://b/one.png", "s3://b/other.png", 1.0),
    ],
)
def test_a_label_that_the_model_did_not_suggest_is_doubtful(
    kind: str, value: Any, other: Any, agreed: float
) -> None:
    row = {"label": value, "label-suggestion": other}
    assert of(row, kind=kind) == pytest.approx(1 - 0.5 * agreed)
    # What is no label of the kind says nothing.
    assert of({**row, "label-suggestion": {"odd": 1}}, kind=kind) == pytest.approx(0.5)


def test_a_new_workers_label_is_more_doubtful() -> None:
    known = ANSWERS_OF_A_NEW_WORKER
    assert of(CLASS, (known, known)) == of(CLASS)
    assert of(CLASS, (known, known - 1)) == pytest.approx(1 - 0.9 * 0.75)


def test_the_labels_of_a_worker_who_is_new_in_this_round_are_audited_first(studio: Studio) -> None:
    earlier = record("digits-r0", round=0)
    known = {str(number): {"private.us-east-1.ann": Evidence(1.0)} for number in range(30)}
    keep_evidence(studio.s3, earlier, known)
    sum_up(studio.s3, LAYOUT, 0, earlier.job_name)
    studio.label("image-classification", [0] * 10)
    prefix = LAYOUT.labeling_job(JOB).worker_responses_prefix()
    uris = {uri.split("/")[-2]: uri for uri in studio.s3.list(prefix)}
    for name in ("4", "7"):
        document = studio.s3.read_json(uris[name])
        document["answers"][0]["workerId"] = "private.us-east-1.newcomer"
        studio.s3.write_json(uris[name], document)
    studio.begin(policy(policy="sample", minimum=1, random_share=0.0, risk_share=0.2))
    studio.advance()
    rows = list(read_master(studio.s3, studio.layout.step_manifest(1)))
    assert len(rows) == 3
    assert {4, 7} <= {studio.made[row_id(row)] for row in rows}
    assert ROUND == 1
