"""The model labels only what it is sure enough of to keep the promise, and leaves alone what is people's."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from truthloop import names
from truthloop.layout import AuditLayout
from truthloop.manifest import row_id
from truthloop_batch import auto_labels, scores
from truthloop_batch.auto_labels import Judged, choose_threshold
from truthloop_batch.context import Context
from truthloop_batch.inputs import InputReader
from truthloop_batch.intervals import lower_bound
from truthloop_batch.model import load_model, predict_batches


def judged(*parts: tuple[int, float, bool]) -> Judged:
    """(how many, confidence, right)."""
    return Judged(
        np.concatenate([np.full(number, confidence) for number, confidence, _ in parts]),
        np.concatenate([np.full(number, right) for number, _, right in parts]),
    )


def spread(right: NDArray[np.bool_], sure: int = 59) -> Judged:
    """Rows of falling confidence; the model is sure of the first ones, with which the search begins."""
    rest = max(0, len(right) - sure)
    confidence = np.concatenate([np.linspace(0.9999, 0.999, sure), np.linspace(0.4, 0.3, rest)])
    return Judged(confidence[: len(right)], right)


# ----------------------------------------------------------------------------------------- the threshold


def test_without_mistakes_all_validation_rows_count_and_the_least_sure_is_the_threshold() -> None:
    found = choose_threshold(spread(np.full(80, True)), 0.95)
    assert found.value == pytest.approx(0.3)
    assert (found.judged, found.right, found.bound) == (80, 80, pytest.approx(lower_bound(80, 80)))
    assert "0.95" in found.why


def test_the_threshold_is_the_last_confidence_whose_bound_keeps_the_promise() -> None:
    right = np.full(200, True)
    right[100:] = False
    found = choose_threshold(spread(right), 0.95)
    last = next(n for n in range(100, 200) if lower_bound(100, n + 1) < 0.95)
    # With so many right rows some mistakes are allowed.
    assert last > 100
    assert (found.judged, found.right) == (last, 100)
    assert found.value == pytest.approx(spread(right).confidence[last - 1])
    assert found.bound == pytest.approx(lower_bound(100, last))


def test_the_order_of_the_rows_does_not_matter() -> None:
    random = np.random.default_rng(3)
    rows = Judged(random.random(300), random.random(300) < 0.99)
    order = random.permutation(300)
    assert choose_threshold(rows, 0.9) == choose_threshold(
        Judged(rows.confidence[order], rows.right[order]), 0.9
    )


@pytest.mark.parametrize(("promise", "fewest"), [(0.95, 59), (0.99, 299), (0.5, 5)])
def test_too_few_validation_rows_are_said_with_how_many_it_takes(promise: float, fewest: int) -> None:
    found = choose_threshold(spread(np.full(fewest - 1, True)), promise)
    assert (found.value, found.judged, found.right) == (None, fewest - 1, fewest - 1)
    assert f"{fewest - 1} rows" in found.why
    assert f"{fewest} right ones" in found.why
    assert choose_threshold(spread(np.full(fewest, True)), promise).value is not None


def test_no_validation_rows_are_too_few() -> None:
    found = choose_threshold(spread(np.empty(0, bool)), 0.95)
    assert (found.value, found.judged, found.right, found.bound) == (None, 0, 0, None)
    assert "abstained" in found.why


def test_a_mistake_among_the_surest_rows_is_too_much() -> None:
    right = np.full(500, True)
    right[3] = False
    found = choose_threshold(spread(right), 0.95)
    assert found.value is None
    assert (found.judged, found.right) == (59, 58)
    assert found.bound == pytest.approx(lower_bound(58, 59))
    assert "59 validation rows" in found.why


def test_the_search_ends_at_the_first_threshold_that_does_not_hold() -> None:
    # After 70 rows come two mistakes, after which many right rows would lift the bound again.
    right = np.full(400, True)
    right[70:72] = False
    found = choose_threshold(spread(right), 0.95)
    assert found.judged == 70
    assert lower_bound(398, 400) > 0.95


def test_rows_of_equal_confidence_are_above_a_threshold_together() -> None:
    # 60 of the surest would do, but the mistakes are as sure as they are.
    assert choose_threshold(judged((60, 0.9, True), (10, 0.9, False)), 0.95).value is None
    found = choose_threshold(judged((60, 0.9, True), (10, 0.8, False)), 0.95)
    assert (found.value, found.judged) == (0.9, 60)


def test_the_search_begins_where_the_model_expects_most_and_a_mistake_does_not_end_what_many_rows_allow() -> (
    None
):
    # One mistake among the first 60 is too much for 60 rows and little for 400.
    right = np.full(400, True)
    right[3] = False
    assert choose_threshold(spread(right), 0.95).value is None
    sure = Judged(np.linspace(0.9999, 0.999, 400), right)
    assert choose_threshold(sure, 0.95).judged == 400
    # What the model expects is as good as what it says: with doubts about the last it begins before them.
    doubtful = Judged(np.append(np.linspace(0.9999, 0.999, 200), np.linspace(0.2, 0.1, 200)), right)
    doubtful.right[250:] = False
    found = choose_threshold(doubtful, 0.95)
    assert found.judged == 250 + next(n for n in range(200) if lower_bound(249, 250 + n + 1) < 0.95)


@pytest.mark.parametrize("rows", [180, 500])
@pytest.mark.parametrize("lowest", [0.2, 0.94, 0.9999])
def test_a_promise_that_no_threshold_keeps_is_broken_in_5_percent_of_all_campaigns_at_most(
    rows: int, lowest: float
) -> None:
    # Confidence tells nothing here, and the precision is just too low everywhere: the hardest case.
    random = np.random.default_rng(2)
    confidence = np.linspace(1, lowest, rows)
    broken = sum(
        choose_threshold(Judged(confidence, random.random(rows) < 0.945), 0.95).value is not None
        for _ in range(600)
    )
    assert 0 < broken / 600 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)


def test_after_a_revocation_the_threshold_is_where_the_audit_would_have_found_the_promise_kept() -> None:
    validation = spread(np.full(400, True))
    assert choose_threshold(validation, 0.95).value == pytest.approx(0.3)
    audit = judged((30, 0.95, True), (10, 0.35, False))
    found = choose_threshold(validation, 0.95, [audit])
    assert found.value is not None
    # 0.35 and all below would let the mistakes in: the lowest confidence above it.
    assert found.value == pytest.approx(min(c for c in validation.confidence if c > 0.35))
    assert "revoked" in found.why
    assert "revoked" not in choose_threshold(validation, 0.95).why


def test_every_revoked_round_has_its_say_and_none_makes_up_for_another() -> None:
    validation = spread(np.full(400, True))
    good, bad = judged((1000, 0.35, True)), judged((9, 0.35, True), (1, 0.35, False))
    assert choose_threshold(validation, 0.95, [good]).value == pytest.approx(0.3)
    found = choose_threshold(validation, 0.95, [good, bad])
    assert found.value == pytest.approx(min(c for c in validation.confidence if c > 0.35))


def test_an_audit_whose_mistakes_were_as_sure_as_any_row_makes_the_model_abstain() -> None:
    validation = spread(np.full(400, True))
    found = choose_threshold(validation, 0.95, [judged((10, 1.0, False), (30, 0.6, True))])
    assert found.value is None
    assert "audits" in found.why
    assert found.judged == 59


def test_an_audit_never_lowers_the_bar() -> None:
    right = np.full(200, True)
    right[90:] = False
    validation = spread(right)
    alone = choose_threshold(validation, 0.95)
    assert choose_threshold(validation, 0.95, [judged((500, 0.5, True))]) == alone


# ----------------------------------------------------------------------------------------------- the round

# Half of the rows are validation, so that a promise can be shown.
AUTO: dict[str, Any] = {
    "images": 300,
    "auto_labeling": {"target_precision": 0.8},
    "audit": {"policy": "sample"},
    "splits": {"test_fraction": 0.1, "validation_fraction": 0.4, "stratify_by": None},
    "selection": {"strategy": "margin", "seed_size": 20, "round_size": 10, "random_control": True},
}


def rows_of(world: Any, uri: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in world.s3.read_bytes(uri).splitlines()]


def auto_rows(world: Any, number: int) -> list[dict[str, Any]]:
    return rows_of(world, world.layout.auto_manifest(number))


def selected_in_round_1(make_world: Callable, **changes: Any) -> Any:
    world = make_world(**{**AUTO, **changes})
    world.play(0)
    world.score(1)
    assert world.run("select", 1) == 0
    return world


def shards(world: Any, number: int) -> dict[str, tuple[int, float, float]]:
    return {
        bytes(key).decode(): (int(predicted), float(confidence), float(margin))
        for shard in range(world.settings["scoring"]["shards"])
        for part in scores.read_confidences(world.s3, world.layout.scores(number, shard))
        for key, predicted, confidence, margin in zip(
            part.ids, part.predicted, part.confidence, part.margin, strict=True
        )
    }


def test_the_model_labels_the_rows_that_it_is_sure_enough_of_and_says_so(make_world: Callable) -> None:
    world = selected_in_round_1(make_world)
    told = world.selection(1)["auto"]
    rows = auto_rows(world, 1)
    assert told["rows"] == len(rows) > 10
    chosen = {identifier for ids in world.selection(1)["arms"].values() for identifier in ids}
    scored = shards(world, 1)
    free = {row_id(row) for row in world.master() if "label" not in row} - world.held_out() - chosen
    expected = {key for key in free if scored[key][1] >= told["threshold"]}
    assert {row_id(row) for row in rows} == expected
    assert expected < free
    before = {row_id(row): row for row in world.master()}
    for row in rows:
        predicted, confidence, margin = scored[row_id(row)]
        assert row["label"] == predicted
        assert row["label-metadata"] == {
            "class-name": str(predicted),
            "confidence": pytest.approx(confidence, abs=1e-6),
            "type": "groundtruth/image-classification",
            "human-annotated": "no",
            "creation-date": "2026-01-01T01:00:00.000000",
            "job-name": "truthloop/digits",
        }
        story, model = row["truthloop"], world.layout.model_of_arm(0, "strategy")
        assert story == {
            **before[row_id(row)]["truthloop"],
            "labeled_by": "model",
            "reason": "auto",
            "score": pytest.approx(1 - margin, abs=1e-5),
            "model": model,
            "round": 1,
            "history": [
                {
                    "at": "2026-01-01T01:00:00+00:00",
                    "event": "auto-labeled",
                    "round": 1,
                    "job": None,
                    "model": model,
                    "confidence": pytest.approx(confidence, abs=1e-6),
                }
            ],
        }
        assert {key: row[key] for key in ("source-ref", "id", "note")} == {
            key: before[row_id(row)][key] for key in ("source-ref", "id", "note")
        }


def test_the_threshold_rests_on_peoples_labels_of_the_validation_split_and_the_scoring_model(
    make_world: Callable,
) -> None:
    world = make_world(**AUTO)
    world.play(0)
    # A validation row that nobody labelled says nothing, nor does one with a model's label.
    unlabeled, by_model = world.splits()["validation"][:2]
    world.update(unlabeled, label=None)
    world.update(by_model, truthloop={"labeled_by": "model"})
    world.score(1)
    assert world.run("select", 1) == 0
    context = Context.open(world.layout.uri, 1)
    model = load_model(context, world.layout.model_of_arm(0, "strategy"))
    rows = [row for row in world.master() if row_id(row) in world.splits()["validation"][2:]]
    confidence, right = [], []
    for ids, probabilities in predict_batches(model, InputReader(context, model.adapter), rows):
        assert len(ids) == 118
        for identifier, each in zip(ids, probabilities, strict=True):
            confidence.append(np.float32(each.max()))
            right.append(each.argmax() == world.truth[identifier]["label"])
    expected = choose_threshold(Judged(np.array(confidence), np.array(right)), 0.8)
    told = world.selection(1)["auto"]
    assert expected.value is not None
    assert told["threshold"] == pytest.approx(expected.value, abs=1e-6)
    assert told["validation"] == {
        "judged": expected.judged,
        "right": expected.right,
        "bound": pytest.approx(expected.bound),
    }
    assert told["why"] == expected.why


def test_without_a_promise_and_in_round_0_the_model_labels_nothing(make_world: Callable) -> None:
    world = selected_in_round_1(make_world)
    assert world.selection(0)["auto"] is None
    assert not world.s3.exists(world.layout.auto_manifest(0))
    plain = selected_in_round_1(make_world, name="plain", auto_labeling={"target_precision": None})
    assert plain.selection(1)["auto"] is None
    assert not plain.s3.exists(plain.layout.auto_manifest(1))


def test_where_the_validation_data_cannot_support_the_promise_the_manifest_is_empty(
    make_world: Callable,
) -> None:
    world = selected_in_round_1(make_world, auto_labeling={"target_precision": 0.99})
    assert auto_rows(world, 1) == []
    told = world.selection(1)["auto"]
    assert (told["rows"], told["threshold"]) == (0, None)
    assert told["validation"]["judged"] == 120
    assert "299 right ones" in told["why"]


def test_rows_that_are_peoples_or_given_up_or_were_corrected_are_left_to_people(make_world: Callable) -> None:
    first = selected_in_round_1(make_world)
    free = [row_id(row) for row in auto_rows(first, 1)]
    given_up, revoked, returned, failed_once = free[:4]
    world = make_world("other", **AUTO)
    world.play(0)
    world.score(1)

    def event(name: str) -> dict[str, Any]:
        return {"at": "2025-12-31T00:00:00+00:00", "event": name, "round": 0, "job": "j"}

    world.update(given_up, truthloop={"failures": 3})
    world.update(failed_once, truthloop={"failures": 1})
    world.update(revoked, truthloop={"history": [event("auto-labeled"), event("revoked")]})
    world.update(returned, truthloop={"history": [event("labeled"), event("taken-back")]})
    labeled = free[4]
    world.update(labeled, label=3, truthloop={"labeled_by": "people"})
    assert world.run("select", 1) == 0
    found = {row_id(row): row for row in auto_rows(world, 1)}
    assert not {given_up, revoked, returned, labeled} & set(found)
    assert failed_once in found
    assert not set(found) & world.held_out()
    people = {row_id(row) for row in world.selected(1)}
    assert people
    assert not people & set(found)


def audit(world: Any, number: int, revoked: bool | None) -> None:
    layout = world.layout
    uri = AuditLayout(layout.bucket, layout.campaign, names.audit_name(layout, number)).result()
    auto = None if revoked is None else {"revoked": revoked}
    world.s3.write_json(uri, {"estimates": {"initial": None, "auto": auto, "final": None}})


@pytest.mark.parametrize(("revoked", "raised"), [(True, True), (False, False), (None, False)])
def test_a_revoked_round_raises_the_bar_by_what_its_auditors_said(
    make_world: Callable, revoked: bool | None, raised: bool
) -> None:
    world = selected_in_round_1(make_world)
    before = world.selection(1)["auto"]
    labeled = auto_rows(world, 1)
    for row in labeled:
        world.update(row_id(row), label=row["label"], truthloop=row["truthloop"])
    # Auditors looked at all of them and rejected what was less sure than the surest tenth.
    sureness = sorted(row["truthloop"]["history"][0]["confidence"] for row in labeled)
    bar = sureness[-max(2, len(sureness) // 10)]
    for row in labeled:
        accepted = row["truthloop"]["history"][0]["confidence"] >= bar
        verdict = {"at": "2026-01-01T01:30:00+00:00", "round": 1, "job": "a", "event": "audited"}
        again = {**verdict, "at": "2026-01-01T01:40:00+00:00", "decision": "accept", "why": "auto"}
        verdict |= {"decision": "accept" if accepted else "reject", "why": "auto"}
        # The label that people gave instead is accepted: that says nothing of the model.
        world.update(row_id(row), truthloop={"history": [verdict, again]})
    audit(world, 1, revoked)
    world.label(1)
    world.run("train", 1)
    world.run("evaluate", 1)
    world.score(2)
    assert world.run("select", 2) == 0
    told = world.selection(2)["auto"]
    if raised:
        assert told["threshold"] is None or told["threshold"] > sureness[-max(2, len(sureness) // 10) - 1]
        assert ("revoked" in told["why"]) or ("audits" in told["why"])
    else:
        assert told["threshold"] is not None
        assert told["threshold"] < bar
        assert before["threshold"] is not None


def test_a_verdict_counts_for_the_round_whose_label_it_is_about() -> None:
    def entry(event: str, number: int, **keys: Any) -> dict[str, Any]:
        return {"event": event, "round": number, **keys}

    history = [
        entry("audited", 1, why="auto", decision="accept"),
        entry("auto-labeled", 2, confidence=0.75),
        entry("audited", 2, why="final", decision="accept"),
        entry("audited", 2, why="auto", decision="fix"),
        entry("audited", 2, why="auto", decision="accept"),
    ]
    row = {"truthloop": {"id": "0" * 32, "history": history}}
    assert list(auto_labels._verdicts(row)) == [(2, 0.75, False)]
    assert list(auto_labels._verdicts({"truthloop": {"id": "0" * 32}})) == []


def test_the_auto_labels_are_the_same_for_any_shards_order_and_repetition(make_world: Callable) -> None:
    plain = selected_in_round_1(make_world)
    other = selected_in_round_1(make_world, name="other", scoring={"shards": 5}, reverse=True)
    key = row_id

    def found(world: Any) -> list[Any]:
        # All but the names of the campaign in it.
        return [(row_id(row), row["label"]) for row in sorted(auto_rows(world, 1), key=key)]

    assert found(plain) == found(other)
    # In the order of the manifest, so that no row has to be kept in memory.
    order = [row_id(row) for row in other.master()]
    places = [order.index(row_id(row)) for row in auto_rows(other, 1)]
    assert places == sorted(places)
    before = plain.digests()
    for uri in (plain.layout.auto_manifest(1), plain.layout.selection(1), plain.layout.selection_manifest(1)):
        plain.delete(uri)
    assert plain.run("select", 1) == 0
    assert plain.digests() == before


def test_selection_does_not_take_the_place_of_what_evaluation_keeps(make_world: Callable) -> None:
    world = make_world(**AUTO)
    world.play(0)
    late = world.splits()["validation"][0]
    world.update(late, label=None)
    for uri in list(world.s3.list(world.layout.uri)):
        if "/inputs/" in uri and "/evaluate/" in uri:
            world.delete(uri)
    world.score(1)
    assert world.run("select", 1) == 0
    kept = [uri for uri in world.s3.list(world.layout.uri) if "/inputs/" in uri and "/evaluate/" in uri]
    assert kept == []


def test_the_scores_of_the_pool_need_no_memory() -> None:
    # One row in a thousand is sure.
    rows, parts = 2_000, 60

    def read(s3: Any, uri: str) -> Any:
        part = int(uri)
        ids = np.array([f"{part:04d}{row:028d}" for row in range(rows)], "S32")
        confidence = np.where(np.arange(rows) % 1000 == 0, 0.99, 0.5).astype(np.float32)
        yield scores.Confidences(ids, np.zeros(rows, np.int16), confidence, confidence)

    context: Any = type("C", (), {})()
    context.s3, context.round = None, 1
    context.layout = type("L", (), {"scores": staticmethod(lambda number, shard: str(shard))})()
    context.request = type("R", (), {"scoring": type("S", (), {"shards": parts})()})()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auto_labels, "read_confidences", read)
        tracemalloc.start()
        found = auto_labels._sure(context, 0.9)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert len(found.ids) == parts * 2
    assert (np.sort(found.ids) == found.ids).all()
    # All ids would be 3.8 MB.
    assert peak < 1.2e6


# --------------------------------------------------------------------------------- what is done with them


def labeled_by_the_model(make_world: Callable) -> tuple[Any, list[dict[str, Any]]]:
    world = selected_in_round_1(make_world)
    rows = auto_rows(world, 1)
    for row in rows:
        world.update(row_id(row), **{key: row[key] for key in ("label", "label-metadata", "truthloop")})
    return world, rows


def test_no_model_learns_from_a_models_label(make_world: Callable) -> None:
    world, rows = labeled_by_the_model(make_world)
    world.label(1)
    assert world.run("train", 1) == 0
    trained = {row_id(row) for row in rows_of(world, world.layout.train_manifest(1))}
    assert trained
    assert not trained & {row_id(row) for row in rows}
    first = {name: world.s3.read_bytes(world.layout.model_of_arm(1, name)) for name in ("model", "control")}
    # Other labels in their place change nothing.
    for row in rows:
        world.update(row_id(row), label=(row["label"] + 1) % 10)
    for name in ("model", "strategy", "control"):
        world.delete(world.layout.model_of_arm(1, name))
    world.delete(world.layout.train_manifest(1))
    assert world.run("train", 1) == 0
    for name, archive in first.items():
        assert world.s3.read_bytes(world.layout.model_of_arm(1, name)) == archive


def test_a_models_label_is_in_no_arm_and_is_taken_by_none_until_it_is_revoked(make_world: Callable) -> None:
    world, rows = labeled_by_the_model(make_world)
    world.label(1)
    world.run("train", 1)
    world.run("evaluate", 1)
    revoked = [row_id(row) for row in rows[:12]]
    for identifier in revoked:
        event = {"at": "2026-01-01T01:30:00+00:00", "event": "revoked", "round": 1, "job": "a"}
        changes = {"labeled_by": None, "history": [event]}
        world.update(identifier, **{"label": None, "label-metadata": None, "truthloop": changes})
    kept = {row_id(row) for row in rows} - set(revoked)
    assert kept
    world.score(2)
    assert set(revoked) <= set(shards(world, 2))
    assert not kept & set(shards(world, 2))
    assert world.run("select", 2) == 0
    for ids in world.selection(2)["arms"].values():
        assert not kept & set(ids)
    # The random control takes the pool in its order: the revoked rows are part of it again.
    assert set(revoked) & {row_id(row) for row in world.selected(2)}
    assert not set(revoked) & {row_id(row) for row in auto_rows(world, 2)}


def test_a_row_that_failed_in_an_arm_and_was_labelled_by_the_model_does_not_count_as_held(
    make_world: Callable,
) -> None:
    world, _ = labeled_by_the_model(make_world)
    (member, *_) = world.selection(0)["arms"]["strategy"]
    world.update(member, label=5, truthloop={"labeled_by": "model"})
    world.label(1)
    world.run("train", 1)
    trained = {row_id(row) for row in rows_of(world, world.layout.train_manifest(1))}
    assert member not in trained


def test_a_model_is_measured_on_peoples_labels_alone(make_world: Callable) -> None:
    world = make_world(images=60)
    world.run("select", 0)
    world.label(0)
    world.update(world.splits()["test"][0], truthloop={"labeled_by": "model"})
    world.run("train", 0)
    world.run("evaluate", 0)
    assert world.evaluation(0)["test"] == {"rows": len(world.splits()["test"]) - 1}
