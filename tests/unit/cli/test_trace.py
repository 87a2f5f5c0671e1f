"""The life of one object is told in its order: who, when, why, in the terminal and for machines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console
from typer import Typer
from typer.testing import CliRunner, Result

from truthloop.errors import TruthloopError
from truthloop.layout import AuditLayout
from truthloop.manifest import encode_row, with_provenance
from truthloop.names import audit_job_name, audit_name, labeling_job_name
from truthloop.splits import Splits
from truthloop_cli import main, trace, trace_story
from truthloop_cli.trace_stack import TracedStack
from unit.trace.kit import ANNA, BEN, BUCKET, CHIE, DORA, LAYOUT, PREFIX, START, Stack, answer, deployed

SOURCE = "s3://images/0007.png"
OTHER = "s3://images/0001.png"
COMMENT = "犬ではなく猫です。\x1b[31m見直してください"
FIRST_AUDIT = AuditLayout(BUCKET, "digits", audit_name(LAYOUT, 0))
SECOND_AUDIT = AuditLayout(BUCKET, "digits", audit_name(LAYOUT, 1))
AUDIT_JOBS = (audit_job_name(FIRST_AUDIT.uri, 1, 1), audit_job_name(SECOND_AUDIT.uri, 1, 1))
JOB = labeling_job_name(LAYOUT, 1, 2)
# The first attempt failed after one answer.
FAILED_JOB = labeling_job_name(LAYOUT, 1, 1)


def at(minutes: float) -> str:
    return (START + timedelta(minutes=minutes)).isoformat()


def metadata(category: str, human: str = "yes", **more: Any) -> dict[str, Any]:
    return {"class-name": category, "confidence": 0.97, "human-annotated": human, **more}


AUTO_LABELED = {
    "at": at(1),
    "event": "auto-labeled",
    "round": 0,
    "job": None,
    "model": "r0/model",
    "confidence": 0.97,
}
REJECTED = {
    "at": at(10), "event": "audited", "round": 0, "job": AUDIT_JOBS[0], "decision": "reject",
    "reason": "wrong-label", "comment": COMMENT, "why": "auto",
}  # fmt: skip
REVOKED = {
    "at": at(11), "event": "revoked", "round": 0, "job": None,
    "reason": "7 of 10 labels that were sampled are right, below the promised 0.95",
}  # fmt: skip
SELECTED = {"at": at(20), "event": "selected", "round": 1, "job": None, "reason": "strategy", "score": 0.25}
LABELED = {"at": at(30), "event": "labeled", "round": 1, "job": JOB, "annotators": 3}
ACCEPTED = {
    "at": at(40), "event": "audited", "round": 1, "job": AUDIT_JOBS[1], "decision": "accept", "reason": "",
    "comment": "", "why": "random",
}  # fmt: skip
HISTORY = [AUTO_LABELED, REJECTED, REVOKED, SELECTED, LABELED, ACCEPTED]


def row(source: str = SOURCE, label: int | None = None, **told: Any) -> dict[str, Any]:
    known = with_provenance({"source-ref": source}, "label")
    if label is not None:
        known |= {"label": label, "label-metadata": metadata(("cat", "dog")[label])}
    return {**known, "truthloop": {**known["truthloop"], **told}}


def box(category: int) -> dict[str, int]:
    return {"class_id": category, "left": 1, "top": 1, "width": 1, "height": 1}


def write(stack: Stack, uri: str, *rows: dict[str, Any]) -> None:
    stack.s3.write_bytes(uri, "".join(f"{encode_row(each)}\n" for each in rows).encode())


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """A campaign with an object that was auto-labelled, audited, revoked, labelled by three and accepted."""
    with deployed(monkeypatch) as made:
        _live(made)
        yield made


def _live(stack: Stack) -> None:
    stack.campaign(audit={"policy": "sample"}, auto_labeling={"target_precision": 0.95})
    s3 = stack.s3
    held_out = str(row(OTHER)["truthloop"]["id"])
    s3.write_json(LAYOUT.splits(), Splits(1, (held_out,), (), None).to_document())
    write(stack, LAYOUT.auto_manifest(0), row(OTHER, 0), row(label=1, history=[AUTO_LABELED], round=0))
    s3.write_json(LAYOUT.selection(0), {"round": 0})
    uris = []

    def audit(layout: AuditLayout, number: int, job: str, index: int, decided: dict[str, Any]) -> None:
        s3.write_json(layout.document(), {"campaign": {"name": "digits", "uri": LAYOUT.uri, "round": number}})
        s3.write_json(layout.step(1), {"step": 1, "purpose": "audit", "objects": index + 1})
        s3.write_json(layout.verdicts(1), {"verdicts": []})
        s3.write_json(layout.cases(1), {})
        write(stack, layout.step_manifest(1), *[row(OTHER, 0)] * index, row(label=1))
        write(stack, layout.audited_manifest(), decided)
        stack.job(job, purpose="audit", number=number)
        uris.append(
            stack.respond(job, index, [answer(DORA, 5000 + number, seconds=4)], layout.labeling_prefix())
        )

    audit(FIRST_AUDIT, 0, AUDIT_JOBS[0], 2, {**row(history=HISTORY[:3]), "label": None})
    gold = {"source-ref": "s3://images/gold.png", "truthloop": {"id": "0" * 32, "gold": True}}
    chosen = row(history=[*HISTORY[:3], SELECTED], reason="strategy", score=0.25, model="r0/model", round=1)
    write(stack, LAYOUT.selection_manifest(1), gold, row(OTHER), chosen)
    for job in (FAILED_JOB, JOB):
        stack.job(job, number=1)
    uris.append(stack.respond(FAILED_JOB, 2, [answer(ANNA, 2000, seconds=99)]))
    # Simulated people's clocks run ahead of the functions' clock, here by days.
    people = [
        answer(ANNA, 3000, {"c": {"initialValueModified": False}}, seconds=11.5),
        answer(BEN, 3001, seconds=20),
        answer(CHIE, 3002, seconds=30),
    ]
    uris.append(stack.respond(JOB, 2, people))
    uris.append(stack.respond(JOB, 1, [answer(ANNA, 2900)]))
    uris.append(stack.evidence(JOB, {"2": {ANNA.worker_id: 1.0, BEN.worker_id: 1.0, CHIE.worker_id: 0.0}}))
    labeled = {**chosen, "label": 0, "label-metadata": {**metadata("cat"), "confidence": 0.93}}
    output = f"{LAYOUT.labeling_prefix()}{JOB}/manifests/output/output.manifest"
    write(stack, output, gold, row(OTHER, 1), labeled)
    audit(SECOND_AUDIT, 1, AUDIT_JOBS[1], 0, row(label=0, history=HISTORY))
    recorder = stack.recorder()
    for uri in uris:
        recorder.record(uri)
    final = {
        **labeled,
        "truthloop": {**labeled["truthloop"], "history": HISTORY, "labeled_by": "people", "job": JOB},
    }
    final["truthloop"]["audit"] = {"status": "accepted", "why": "random"}
    other = row(OTHER, 0, labeled_by="input")
    write(stack, LAYOUT.master_manifest(), other, final)
    write(stack, LAYOUT.labels_manifest(), other, final)


def app() -> Typer:
    commands = Typer(pretty_exceptions_enable=False)
    commands.command()(trace.trace)
    return commands


def run(*arguments: str) -> Result:
    environment = {"TRUTHLOOP_PREFIX": PREFIX, "COLUMNS": "160"}
    return CliRunner().invoke(app(), ["--campaign", "digits", *arguments], env=environment)


def refused(*arguments: str) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, TruthloopError), result.output
    return str(result.exception)


def document(wanted: str) -> dict[str, Any]:
    result = run(wanted, "--json")
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)


def test_an_object_that_was_labelled_revoked_and_labelled_again_has_exactly_that_story(stack: Stack) -> None:
    found = document(SOURCE)
    anna, ben, chie, dora = (stack.worker(who) for who in (ANNA, BEN, CHIE, DORA))
    assert (found["id"], found["source"], found["split"]) == (row()["truthloop"]["id"], SOURCE, "pool")
    assert [(each["event"], each["round"], each["by"]) for each in found["events"]] == [
        ("arrived", None, []),
        ("auto-labeled", 0, ["model"]),
        ("judged", 0, [dora]),
        ("audited", 0, [dora]),
        ("revoked", 0, []),
        ("selected", 1, []),
        ("answered", 1, [anna]),
        ("answered", 1, [anna]),
        ("answered", 1, [ben]),
        ("answered", 1, [chie]),
        ("labeled", 1, [anna, ben, chie]),
        ("judged", 1, [dora]),
        ("audited", 1, [dora]),
        ("final", 1, []),
    ]
    (_, auto, _, rejected, revoked, selected, failed, first, _, third, labeled, _, accepted, final) = found[
        "events"
    ]
    assert (auto["label"], auto["confidence"], auto["model"]) == ("dog", 0.97, "r0/model")
    assert (rejected["decision"], rejected["reason"], rejected["comment"]) == (
        "reject",
        "wrong-label",
        COMMENT,
    )
    assert "below the promised 0.95" in revoked["reason"]
    assert (selected["reason"], selected["score"], selected["model"]) == ("strategy", 0.25, "r0/model")
    assert (failed["job"], first["job"]) == (FAILED_JOB, JOB)
    assert (first["seconds"], first["agreement"], first["suggestion"]) == (11.5, 1.0, "accepted")
    assert third["agreement"] == 0
    assert (labeled["label"], labeled["confidence"]) == ("cat", 0.93)
    assert (accepted["decision"], accepted["why"]) == ("accept", "random")
    assert (final["label"], final["labeled_by"], final["audit"]) == ("cat", "people", "accepted")
    assert final["in_labels_manifest"] is True


def test_the_terminal_tells_it_in_words_with_the_comment_and_no_controls(stack: Stack) -> None:
    shown = " ".join(run(SOURCE).stdout.split())
    story = [
        "0007.png",
        "arrived in s3://images/all.manifest; in the pool",
        "round 0",
        "auto-labelled “dog”, confidence 0.97, by the model r0/model",
        f"rejected by {stack.worker(DORA)}: wrong label",
        "犬ではなく猫です。",
        "見直してください",
        "revoked the label is gone, the object is back in the pool: 7 of 10",
        "round 1",
        "to be labelled by people: strategy, score 0.25, by r0/model",
        f"by {stack.worker(ANNA)}, in 11.5 s, agreement with the label 100%, left the suggestion as it was",
        "labelled “cat”, confidence 0.93, from the answers of 3 people",
        f"accepted by {stack.worker(DORA)} (audited: random)",
        "now “cat”, confidence 0.93, from people; accepted by an audit; in labels.manifest",
    ]
    places = [shown.find(each) for each in story]
    assert -1 not in places, story[places.index(-1)] + "\n" + shown
    assert places == sorted(places)
    assert "\x1b" not in shown
    assert not any(name in shown for who in (ANNA, BEN, CHIE, DORA) for name in who.identifiers)


@pytest.mark.parametrize(
    "command", [["trace"], *(["workers", each] for each in ("report", "forget", "retain", "load"))]
)
def test_every_command_is_there_and_explains_itself_with_examples(command: list[str]) -> None:
    shown = CliRunner().invoke(main.commands, [*command, "--help"])
    assert shown.exit_code == 0
    assert "Examples:" in shown.stdout
    assert "TRUTHLOOP_PREFIX" in shown.stdout


def test_the_id_and_the_uri_name_the_same_object(stack: Stack) -> None:
    assert document(str(row()["truthloop"]["id"])) == document(SOURCE)


def test_an_object_of_the_test_split_that_came_with_its_label_has_a_short_story(stack: Stack) -> None:
    found = document(OTHER)
    assert found["split"] == "test"
    assert (found["events"][0]["event"], found["events"][0]["label"]) == ("arrived", "cat")


def test_an_unknown_object_is_refused_with_the_closest(stack: Stack) -> None:
    assert f"Perhaps you mean {SOURCE}" in refused("0007.png")
    assert f"Perhaps you mean {SOURCE}" in refused("s3://images/00007.png")
    assert "campaigns: digits" in refused(SOURCE, "--campaign", "digit")


def test_a_row_whose_audit_is_not_merged_yet_is_told_all_the_same(stack: Stack) -> None:
    write(stack, LAYOUT.master_manifest(), row(OTHER, 0), row(label=0, history=HISTORY[:1]))
    events = [each["event"] for each in document(SOURCE)["events"]]
    assert events.count("audited") == 2
    assert "revoked" in events


@pytest.mark.parametrize(
    ("task_type", "attribute", "label", "more", "words"),
    [
        ("image-multi-label", "label", [0, 2], {}, "cat, bird"),
        ("image-multi-label", "label", [], {}, "None of these"),
        (
            "bounding-box",
            "label",
            {"annotations": [box(1), box(1), box(0)]},
            {},
            "2 × dog, 1 × cat",
        ),
        (
            "semantic-segmentation",
            "label-ref",
            "s3://masks/1.png",
            {"internal-color-map": {"0": {"class-name": "BACKGROUND"}, "1": {"class-name": "dog"}}},
            "a mask of dog",
        ),
        ("image-classification", "label", {"strange": "猫"}, {}, '{"strange": "猫"}'),
    ],
)  # fmt: skip
def test_labels_of_every_kind_are_described_in_words(
    stack: Stack, task_type: str, attribute: str, label: Any, more: dict[str, Any], words: str
) -> None:
    stack.campaign(task_type=task_type, label_attribute=attribute)
    whole = {**row(), attribute: label, f"{attribute}-metadata": more}
    write(stack, LAYOUT.master_manifest(), whole)
    final = document(SOURCE)["events"][-1]
    assert words in final["label"]


def test_a_wide_comment_is_folded_and_not_cut(stack: Stack) -> None:
    story = trace_story.tell(TracedStack.find(PREFIX, ""), "digits", SOURCE)
    console = Console(width=70, record=True, file=None, quiet=False)
    with console.capture() as capture:
        trace.show(console, story)
    assert "見直してください" in "".join(capture.get().split())
