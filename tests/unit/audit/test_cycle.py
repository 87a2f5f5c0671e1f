"""Whole audits, for every kind of label, through the real annotation functions and a bucket in memory."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from truthloop import aws
from truthloop.audit import REASONS
from truthloop.audit.advance import Progress
from truthloop.labeling.backend import JobStatus
from truthloop.labeling.creation import create_audit_job
from truthloop.manifest import merge_row
from truthloop.names import audit_job_name
from unit.audit.kit import (
    AT,
    AUDITORS,
    COMMENT,
    EXPERTS,
    FIXES,
    JOB,
    ROUND,
    TASK_TYPES,
    Studio,
    accept,
    fix,
    policy,
    reject,
    scripted,
)
from unit.labeling import answers
from unit.labeling.kit import BUCKET, CATEGORIES, FUNCTIONS, LAYOUT, WORKTEAM


def category_of(studio: Studio, row: Any) -> list[int]:
    """The categories of a label, whatever its kind."""
    value = row[studio.attribute]
    if studio.task_type == "semantic-segmentation":
        image = Image.open(io.BytesIO(studio.s3.read_bytes(value)))
        return [int(index) - 1 for index in np.unique(np.asarray(image)) if index]
    if studio.task_type == "bounding-box":
        return [each["class_id"] for each in value["annotations"]]
    return value if isinstance(value, list) else [value]


# ---- the way of a label


@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_accepted_labels_stay_and_their_rows_tell_who_when_and_why(studio: Studio, task_type: str) -> None:
    studio.label(task_type, [0, 1, 2])
    studio.begin()
    result = studio.run(scripted(task_type=task_type))
    assert studio.worked == [("audit", studio.worked[0][1])]
    assert sorted(studio.worked[0][1]) == [0, 1, 2]
    assert result["decisions"] == {"accept": 3, "reject": 0, "fix": 0}
    assert (result["rows"], result["audited"], result["unaudited"]) == (3, 3, 0)
    assert result["estimates"]["initial"] == {
        "errors": 0,
        "sampled": 3,
        "rows": 3,
        "rate": 0.0,
        "interval": [0.0, 0.0],
        "confidence": 0.95,
    }
    assert result["estimates"]["auto"] is None
    assert result["estimates"]["final"] is None
    for number, row in studio.audited().items():
        assert category_of(studio, row) == [number]
        assert row["weather"] == "雨"
        assert row["truthloop"]["audit"] == {
            "status": "accepted",
            "why": "all",
            "decision": "accept",
            "reason": "",
            "comment": "",
            "job": audit_job_name(studio.layout.uri, 1, 1),
            "at": AT.isoformat(),
            "attempts": 0,
        }
        assert (row["truthloop"]["labeled_by"], row["truthloop"]["job"]) == ("people", JOB)
        assert (row["truthloop"]["round"], row["truthloop"]["annotators"]) == (ROUND, 1)


@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_a_rejected_label_is_given_again_and_judged_again_with_the_comment_in_sight(
    studio: Studio, task_type: str
) -> None:
    studio.label(task_type, [0, 0, 1])
    studio.begin()
    script = scripted({1: [reject("wrong-label"), accept()]}, task_type, labels={("relabel", 1): [2]})
    result = studio.run(script)
    assert [purpose for purpose, _ in studio.worked] == ["audit", "relabel", "audit"]
    assert studio.worked[1:] == [("relabel", [1]), ("audit", [1])]
    row = studio.audited()[1]
    assert category_of(studio, row) == [2]
    assert studio.statuses() == {0: "accepted", 1: "relabeled", 2: "accepted"}
    assert row["truthloop"]["audit"]["attempts"] == 1
    assert row["truthloop"]["audit"]["decision"] == "accept"
    assert row["truthloop"]["job"] == audit_job_name(studio.layout.uri, 2, 1)
    assert row["truthloop"]["annotators"] == 2
    assert row[studio.metadata]["job-name"] == f"labeling-job/{audit_job_name(studio.layout.uri, 2, 1)}"
    history = row["truthloop"]["history"]
    assert [entry["event"] for entry in history] == ["audited", "audited", "relabeled"]
    assert {entry["round"] for entry in history} == {ROUND}
    assert {entry["comment"] for entry in history if entry.get("decision") == "reject"} == {COMMENT}
    [shown] = studio.inputs["relabel", 1]
    assert shown["feedback"] == [
        {
            "comment": COMMENT,
            "reason": "wrong-label",
            "reasonEn": REASONS["wrong-label"][0],
            "reasonJa": REASONS["wrong-label"][1],
        }
    ]
    named = {"image-classification": "cat", "text-classification": "cat", "image-multi-label": "cat"}
    assert shown["previous"] == named.get(task_type, "")
    if task_type == "bounding-box":
        assert [box["label"] for box in shown["suggestion"]] == ["cat"]
    if task_type == "semantic-segmentation":
        assert shown["suggestion"]["labelMappings"].keys() == {"cat"}
    assert [entry["decision"] for entry in studio.inputs["audit", 1][1]["history"]] == ["reject"]
    assert not [key for key in row if "suggestion" in key]
    assert result["decisions"] == {"accept": 2, "reject": 1, "fix": 0}
    assert result["reasons"] == {"wrong-label": 1}
    assert result["estimates"]["initial"]["errors"] == 1
    assert result["estimates"]["initial"]["interval"] == [1 / 3, 1 / 3]
    assert result["paid"] == {"objects": 1, "answers": 2, "audit_objects": 4, "audit_answers": 4}


@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_a_fixed_label_is_the_auditors_and_needs_nobody_else(studio: Studio, task_type: str) -> None:
    studio.label(task_type, [0, 0])
    studio.begin()
    result = studio.run(scripted({1: [fix(FIXES[task_type], "wrong-label", "鳥です")]}, task_type))
    assert [purpose for purpose, _ in studio.worked] == ["audit"]
    assert studio.statuses() == {0: "accepted", 1: "fixed"}
    row = studio.audited()[1]
    expected = [0, 2] if task_type == "image-multi-label" else [2]
    assert category_of(studio, row) == expected
    metadata = row[studio.metadata]
    assert metadata["human-annotated"] == "yes"
    assert metadata["type"] == studio.audited()[0][studio.metadata]["type"]
    assert metadata["annotators"] == 1
    job = audit_job_name(studio.layout.uri, 1, 1)
    assert (row["truthloop"]["job"], row["truthloop"]["labeled_by"]) == (job, "people")
    assert row["truthloop"]["audit"]["comment"] == "鳥です"
    assert result["decisions"] == {"accept": 1, "reject": 0, "fix": 1}
    assert result["estimates"]["initial"]["errors"] == 1
    if task_type == "semantic-segmentation":
        assert row["label-ref"].startswith(studio.layout.labeling_prefix())
        before = studio.audited()[0]["label-ref"]
        old, new = (
            np.asarray(Image.open(io.BytesIO(studio.s3.read_bytes(uri))))
            for uri in (before, row["label-ref"])
        )
        assert (new == np.where(old == 1, 3, 0)).all()
        assert {each["class-name"] for each in metadata["internal-color-map"].values()} == {
            "BACKGROUND",
            "bird",
        }
        overlay = np.asarray(Image.open(io.BytesIO(studio.s3.read_bytes(metadata["overlay-ref"]))))
        assert ((overlay[..., 3] > 0) == (new > 0)).all()
    if task_type == "bounding-box":
        assert row["label"] == {
            "image_size": [{"width": answers.WIDTH, "height": answers.HEIGHT, "depth": 3}],
            "annotations": [{"class_id": 2, "left": 1, "top": 2, "width": 3, "height": 4}],
        }
        assert metadata["class-map"] == {"2": "bird"}


@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_after_the_last_attempt_an_expert_has_the_last_word(studio: Studio, task_type: str) -> None:
    studio.label(task_type, [0])
    studio.begin(policy(relabel_rounds=2))
    result = studio.run(scripted({0: [reject()]}, task_type, labels={("expert", 0): [2]}))
    assert [purpose for purpose, _ in studio.worked] == [
        "audit",
        "relabel",
        "audit",
        "relabel",
        "audit",
        "expert",
    ]
    row = studio.audited()[0]
    assert category_of(studio, row) == [2]
    assert row["truthloop"]["audit"]["status"] == "expert"
    assert row["truthloop"]["audit"]["attempts"] == 2
    assert studio.events(0).count("audited") == 3
    assert studio.events(0).count("expert-labeled") == 1
    assert len(studio.inputs["expert", 0][0]["feedback"]) == 3
    assert (result["expert"], result["relabeled"], result["unresolved"]) == (1, 0, 0)
    # What counts is what was said of the label that was audited, once.
    assert result["decisions"] == {"accept": 0, "reject": 1, "fix": 0}
    assert result["paid"] == {"objects": 3, "answers": 5, "audit_objects": 3, "audit_answers": 3}


def test_without_relabelling_a_rejected_label_goes_to_the_expert_at_once(studio: Studio) -> None:
    studio.label("image-classification", [0, 1])
    studio.begin(policy(relabel_rounds=0))
    studio.run(scripted({0: [reject()]}, labels={("expert", 0): [1]}))
    assert studio.worked[1:] == [("expert", [0])]
    assert studio.audited()[0]["label"] == 1


@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_a_label_for_which_nobody_has_a_better_one_is_taken_back(studio: Studio, task_type: str) -> None:
    studio.label(task_type, [0, 1])
    studio.begin(policy(relabel_rounds=1))
    script = scripted({0: [reject()]}, task_type, labels={("relabel", 0): [None], ("expert", 0): [None]})
    result = studio.run(script)
    # Nobody gave another label, so there is nothing to judge again.
    assert [purpose for purpose, _ in studio.worked] == ["audit", "relabel", "expert"]
    row = studio.audited()[0]
    assert row[studio.attribute] is None
    assert row[studio.metadata] is None
    assert row["truthloop"]["audit"]["status"] == "unresolved"
    assert row["truthloop"]["audit"]["attempts"] == 1
    assert {row["truthloop"][key] for key in ("labeled_by", "job", "annotators", "round", "reason")} == {None}
    assert studio.events(0) == ["audited", "taken-back"]
    assert result["unresolved"] == 1
    # Merged into the master, the row is in the pool again.
    master = {**studio.row(0), studio.attribute: 1, studio.metadata: {}}
    merged = merge_row(master, row)
    assert studio.attribute not in merged
    assert studio.metadata not in merged
    assert merged["truthloop"]["labeled_by"] is None


def test_a_relabelling_without_an_answer_is_an_attempt_and_the_next_one_may_succeed(studio: Studio) -> None:
    studio.label("image-classification", [0])
    studio.begin(policy(relabel_rounds=2))
    result = studio.run(scripted({0: [reject(), accept()]}, labels={("relabel", 0): [None, 2]}))
    assert [purpose for purpose, _ in studio.worked] == ["audit", "relabel", "relabel", "audit"]
    assert studio.audited()[0]["label"] == 2
    assert studio.audited()[0]["truthloop"]["audit"]["attempts"] == 2
    assert result["relabeled"] == 1


def test_each_step_goes_to_its_own_team_under_its_own_template_and_attribute(studio: Studio) -> None:
    studio.label("semantic-segmentation", [0])
    rules = policy(relabel_rounds=1, auditors_per_object=3, price_per_answer_usd=0.5)
    studio.begin(rules)
    submitted: list[Any] = []
    studio.backend.on_submit = submitted.append
    studio.run(scripted({0: [reject()]}, "semantic-segmentation"))
    assert [(job.workteam_arn, job.workers_per_object, job.label_attribute) for job in submitted] == [
        (AUDITORS, 3, "label-audit"),
        (WORKTEAM, 2, "label-ref"),
        (AUDITORS, 3, "label-audit"),
        (EXPERTS, 1, "label-ref"),
    ]
    folders = [job.template_uri.split("/")[-2] for job in submitted]
    assert folders == ["audit", "semantic-segmentation", "audit", "semantic-segmentation"]
    assert [job.task_title for job in submitted] == ["Check the label", "画像の分類"] * 2
    assert [job.price_per_answer_usd for job in submitted] == [0.5, 0.03] * 2
    assert {job.output_uri for job in submitted} == {studio.layout.labeling_prefix()}
    categories = studio.s3.read_json(submitted[0].label_categories_uri)
    assert [each["label"] for each in categories["labels"]] == list(CATEGORIES)
    stored = studio.jobs.require(submitted[0].name)
    assert (stored.purpose, stored.label_attribute) == ("audit", "label-ref")
    assert (stored.campaign, stored.round, stored.audit_uri) == ("digits", ROUND, studio.layout.uri)
    assert stored.instructions == "Look <twice>."
    assert stored.manifest_uri == studio.layout.step_manifest(1)
    assert studio.inputs["audit", 0][0]["instructions"] == "Look <twice>."


# ---- several auditors, and those who judge their own


def by_worker(**verdicts: Any) -> Any:
    """Auditors who say the same of every object, by name; `label` is what others choose."""

    def script(purpose: str, number: int, turn: int, worker: str, shown: Any) -> Any:
        if purpose in ("audit", "final"):
            return verdicts[worker.replace("-", "_")]
        return answers.answer("image-classification", CATEGORIES, 2)

    return script


def test_a_verdict_by_the_labeller_is_void_and_somebody_else_is_asked(studio: Studio) -> None:
    studio.label("image-classification", [0, 1], people=("ann",))
    studio.begin()
    progress = studio.advance()
    labeling = studio.work(progress.step, by_worker(ann=reject(), bob=accept()), {"audit": ("ann",)})
    second = studio.advance(labeling)
    assert (second.done, second.step) == (False, 2)
    assert studio.step(2).purpose == "audit"
    assert studio.advance(studio.work(second.step, by_worker(bob=accept()), {"audit": ("bob",)})).done
    result = studio.s3.read_json(studio.layout.result())
    assert result["self_audits"] == 2
    assert result["decisions"] == {"accept": 2, "reject": 0, "fix": 0}
    assert studio.statuses() == {0: "accepted", 1: "accepted"}
    assert studio.events(0) == ["audited"]
    verdicts = studio.s3.read_json(studio.layout.verdicts(1))
    assert verdicts == {"verdicts": []}


def test_a_label_that_only_its_labeller_judges_stays_unaudited_in_the_end(studio: Studio) -> None:
    studio.label("image-classification", [0])
    studio.begin()
    result = studio.run(by_worker(ann=accept()), {"audit": ("ann",)})
    assert [purpose for purpose, _ in studio.worked] == ["audit"] * 3
    assert (result["self_audits"], result["unaudited"], result["audited"]) == (3, 1, 0)
    assert studio.statuses() == {0: "unaudited"}
    assert studio.audited()[0]["label"] == 0
    assert studio.audited()[0]["truthloop"]["audit"]["decision"] is None
    assert result["estimates"]["initial"]["sampled"] == 0
    assert result["estimates"]["initial"]["interval"] == [0.0, 1.0]


def test_among_several_auditors_only_the_labellers_own_voice_is_left_out(studio: Studio) -> None:
    studio.label("image-classification", [0], people=("ann",))
    studio.begin(policy(auditors_per_object=3, relabel_rounds=0))
    # With the labeller's the label would be accepted.
    script = by_worker(ann=accept(), aud_1=accept(), aud_2=reject("missing", "足りない"), eve=None)
    result = studio.run(script, {"audit": ("ann", "aud-1", "aud-2")})
    assert result["self_audits"] == 1
    assert result["decisions"] == {"accept": 0, "reject": 1, "fix": 0}
    assert studio.audited()[0]["truthloop"]["history"][0]["comment"] == "足りない"


def test_a_fix_that_counts_only_without_the_labeller_was_never_applied_and_is_void(studio: Studio) -> None:
    studio.label("image-classification", [0], people=("ann",))
    studio.begin(policy(auditors_per_object=2))
    bird, dog = fix({"label": "bird"}), fix({"label": "dog"})
    # By the order of the workers the labeller's fix was the one that was applied.
    progress = studio.advance()
    labeling = studio.work(progress.step, by_worker(ann=dog, bob=bird), {"audit": ("ann", "bob")})
    assert studio.advance(labeling).step == 2
    same = studio.work(2, by_worker(ann=bird, bob=bird), {"audit": ("ann", "bob")})
    assert studio.advance(same).done
    assert studio.audited()[0]["label"] == 2


@pytest.mark.parametrize(
    ("told", "self_audits"),
    [
        ({"workerId": "private.us-east-1.another-pseudonym"}, 3),
        ({"workerMetadata": {"identityData": {"sub": "somebody-else"}}}, 0),
        ({"workerMetadata": {}}, 3),
        ({"workerMetadata": {}, "workerId": "private.us-east-1.bob"}, 0),
    ],
)
def test_people_are_known_by_their_sub_and_without_it_by_their_pseudonym(
    studio: Studio, told: dict[str, Any], self_audits: int
) -> None:
    studio.label("image-classification", [0], people=("ann",))
    [uri] = studio.s3.list(LAYOUT.labeling_job(JOB).worker_responses_prefix())
    document = studio.s3.read_json(uri)
    document["answers"][0] |= told
    studio.s3.write_json(uri, document)
    studio.begin()
    assert studio.run(by_worker(ann=accept()), {"audit": ("ann",)})["self_audits"] == self_audits


def test_who_relabelled_an_object_does_not_judge_it(studio: Studio) -> None:
    studio.label("image-classification", [0])
    studio.begin()
    people = {"audit": ("rob",)}
    result = studio.run(scripted({0: [reject(), accept()]}), people)
    # The labeller's object came to the auditors once, the relabeller's own three times.
    assert [purpose for purpose, _ in studio.worked] == ["audit", "relabel", "audit", "audit", "audit"]
    assert result["self_audits"] == 3
    # What people labelled again and nobody judged is still theirs.
    assert studio.statuses() == {0: "relabeled"}
    assert result["unaudited"] == 0


# ---- what was not answered


def test_of_a_stopped_job_what_was_answered_counts_and_the_rest_is_unaudited(studio: Studio) -> None:
    studio.label("image-classification", [0, 1, 2])
    studio.begin(policy(relabel_rounds=0))
    progress = studio.advance()
    script = scripted({0: [reject()], 1: [None]}, labels={("expert", 0): [2]})
    labeling = studio.work(progress.step, script, status=JobStatus.STOPPED)
    assert labeling["status"] == "Stopped"
    second = studio.advance(labeling)
    assert studio.step(second.step).purpose == "expert"
    assert studio.advance(studio.work(second.step, script)).done
    result = studio.s3.read_json(studio.layout.result())
    assert (result["audited"], result["unaudited"]) == (2, 1)
    assert studio.statuses() == {0: "expert", 1: "unaudited", 2: "accepted"}
    initial = result["estimates"]["initial"]
    assert (initial["errors"], initial["sampled"], initial["rows"]) == (1, 2, 3)
    assert initial["interval"] == [1 / 3, 2 / 3]


def test_a_stopped_job_without_an_output_manifest_is_read_from_its_intermediate_ones(
    studio: Studio,
) -> None:
    studio.label("image-classification", [0, 1])
    studio.begin()
    progress = studio.advance()
    labeling = studio.work(progress.step, scripted({1: [None]}), status=JobStatus.STOPPED)
    folder = studio.layout.labeling_job(labeling["job_name"])
    body = studio.s3.read_bytes(folder.output_manifest())
    studio.s3.write_bytes(f"{folder.intermediate_prefix()}1/annotations.manifest", body)
    aws.s3().delete_object(Bucket=BUCKET, Key=folder.output_manifest().split("/", 3)[3])
    assert studio.advance({**labeling, "output_manifest_uri": None}).done
    assert studio.statuses() == {0: "accepted", 1: "unaudited"}


def test_an_answer_that_breaks_the_rules_judges_nothing(studio: Studio) -> None:
    studio.label("image-classification", [0, 1])
    studio.begin()
    result = studio.run(scripted({0: [reject(comment="  ")]}))
    assert studio.statuses() == {0: "unaudited", 1: "accepted"}
    # It is paid for all the same.
    assert result["paid"]["audit_answers"] == 2
    assert result["paid"]["audit_objects"] == 1


def test_a_failed_job_is_tried_again_under_the_next_attempt_and_its_output_is_taken(studio: Studio) -> None:
    studio.label("image-classification", [0])
    studio.begin()
    assert studio.advance().step == 1
    create_audit_job(studio.s3, studio.waiting, studio.layout, 1, "first", FUNCTIONS, AT)
    [first] = studio.backend.jobs
    studio.backend.finish(first, JobStatus.FAILED, failure_reason="no access")
    studio.waiting.release(first)
    assert studio.executions.failures["first"] == ("LabelingJobFailed", f"{first}: no access")
    # A new execution asks again what to do.
    assert studio.advance() == Progress(done=False, step=1)
    labeling = studio.work(1, scripted())
    second = audit_job_name(studio.layout.uri, 1, 2)
    assert first == audit_job_name(studio.layout.uri, 1, 1)
    assert labeling["job_name"] == second
    assert studio.jobs.require(second).attempt == 2
    assert studio.advance(labeling).done
    assert studio.s3.read_json(studio.layout.result())["steps"][0]["job_name"] == second
