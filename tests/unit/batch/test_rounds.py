"""Whole rounds: each step writes what the next one reads, once, with the same bytes when it is repeated."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from truthloop import aws
from truthloop.manifest import row_id
from truthloop_batch.adapters import create_adapter
from truthloop_batch.context import Context
from truthloop_batch.inputs import InputReader
from truthloop_batch.model import InvalidModel, load_model, pack_model, predict_batches, unpack_model

OTHER_TASK_TYPES = ("text-classification", "image-multi-label", "bounding-box", "semantic-segmentation")


def milestones(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def model_document(world: object, uri: str) -> dict:
    with tarfile.open(fileobj=io.BytesIO(world.s3.read_bytes(uri))) as tar:
        return json.load(tar.extractfile("model.json"))


@pytest.mark.parametrize("fixture", ["make_world", "make_world_on_moto"])
def test_three_rounds_learn_and_every_step_says_what_it_did(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str], fixture: str
) -> None:
    world = request.getfixturevalue(fixture)()
    world.play(0, 1, 2)
    accuracy = [world.evaluation(number)["arms"]["strategy"]["quality"] for number in range(3)]
    assert accuracy[-1] > accuracy[0]
    assert accuracy[-1] > 0.6
    told = milestones(capsys.readouterr().out)
    finished = [(line["round"], line["step"]) for line in told if line["milestone"] == "finished"]
    assert finished[:3] == [(0, "select"), (0, "train"), (0, "evaluate")]
    assert finished[3:8] == [(1, "score"), (1, "score"), (1, "select"), (1, "train"), (1, "evaluate")]


def test_each_arm_is_fitted_to_its_own_rows_and_the_model_to_all(make_world: Callable) -> None:
    world = make_world(labeled=lambda number: number < 10)
    world.play(0, 1)
    pool = {row_id(row) for row in world.master()} - world.held_out()
    given = {row_id(row) for row in world.master() if row["truthloop"]["labeled_by"] == "input"} & pool
    members = {
        name: set().union(*(world.selection(number)["arms"][name] for number in (0, 1))) | given
        for name in ("strategy", "control")
    }
    assert members["strategy"] != members["control"]
    labels = {
        name: model_document(world, world.layout.model_of_arm(1, name))["labels"]
        for name in ("strategy", "control", "model")
    }
    everything = members["strategy"] | members["control"]
    assert labels == {
        "strategy": len(members["strategy"]),
        "control": len(members["control"]),
        "model": len(everything),
    }
    trained = [row_id(json.loads(line)) for _, line in world.s3.lines(world.layout.train_manifest(1))]
    assert trained == sorted(everything)


def test_without_a_control_there_is_one_model_and_one_arm(make_world: Callable) -> None:
    world = make_world(selection={"strategy": "margin", "seed_size": 20, "round_size": 10})
    world.play(0, 1)
    assert not world.s3.exists(world.layout.model_of_arm(0, "strategy"))
    assert list(world.evaluation(1)["arms"]) == ["model"]


@pytest.mark.parametrize(
    ("task_type", "kind", "metric"),
    [
        ("image-classification", "class", "accuracy"),
        ("text-classification", "class", "accuracy"),
        ("image-multi-label", "classes", "macro_f1"),
        ("bounding-box", "boxes", "map_50"),
        ("semantic-segmentation", "mask", "mean_iou"),
    ],
)
def test_the_evaluation_has_the_contracts_form(
    make_world: Callable, task_type: str, kind: str, metric: str
) -> None:
    world = make_world(task_type=task_type)
    world.play(0)
    told = world.evaluation(0)
    assert list(told) == ["round", "model_uri", "kind", "metric", "test", "arms", "validation"]
    assert told["model_uri"] == world.layout.model(0)
    assert (told["kind"], told["metric"]) == (kind, metric)
    assert told["test"] == {"rows": 24}
    assert list(told["arms"]) == ["model", "strategy", "control"]
    categories = world.settings["label_categories"]
    for arm in told["arms"].values():
        assert list(arm) == ["labels", "quality", "interval", "macro_f1", "confusion", "per_class"]
        assert arm["labels"] == 20
        assert 0 <= arm["interval"][0] <= arm["quality"] <= arm["interval"][1] <= 1
        assert [entry["label"] for entry in arm["per_class"]] == categories
        keys = ["label", "score", "precision", "recall", "rows"]
        assert [list(entry) for entry in arm["per_class"]] == [keys] * len(categories)
        assert 0 < max(entry["rows"] for entry in arm["per_class"]) <= 24
        assert (arm["macro_f1"] is None) == (kind not in ("class", "classes"))
        if kind == "class":
            assert sum(map(sum, arm["confusion"])) == 24
        else:
            assert arm["confusion"] is None
    # Both arms have the seed set alone after round 0.
    assert told["arms"]["strategy"] == told["arms"]["control"] == told["arms"]["model"]
    assert list(told["validation"]) == ["rows", "quality", "log_loss"]
    assert told["validation"]["rows"] == 12
    assert 0 <= told["validation"]["quality"] <= 1
    assert (told["validation"]["log_loss"] is None) == (kind in ("boxes", "mask"))


def test_no_validation_rows_give_nulls(make_world: Callable) -> None:
    world = make_world(splits={"test_fraction": 0.2, "validation_fraction": 0, "stratify_by": None})
    world.play(0)
    assert world.evaluation(0)["validation"] == {"rows": 0, "quality": None, "log_loss": None}


@pytest.mark.parametrize("task_type", OTHER_TASK_TYPES)
def test_every_task_type_goes_through_its_rounds_and_learns(make_world: Callable, task_type: str) -> None:
    world = make_world(
        task_type=task_type,
        images=140,
        selection={"strategy": "margin", "seed_size": 6, "round_size": 30, "random_control": True},
    )
    world.play(0, 1, 2)
    for arm in ("model", "strategy", "control"):
        quality = [world.evaluation(number)["arms"][arm]["quality"] for number in range(3)]
        assert quality[-1] > quality[0] + 0.05
        assert quality[-1] > 0.4
    for number in (1, 2):
        assert world.selection(number)["to_label"] > 0
        stories = [row["truthloop"] for row in world.selected(number)]
        assert {story["reason"] for story in stories} == {"margin", "random-control"}
        assert all(0 <= story["score"] <= 1 for story in stories if story["reason"] == "margin")


@pytest.mark.parametrize("task_type", OTHER_TASK_TYPES)
def test_the_scores_of_every_task_type_are_the_same_for_any_shards_and_repetition(
    make_world: Callable, task_type: str
) -> None:
    worlds = [
        make_world(f"shards-{shards}", images=60, task_type=task_type, scoring={"shards": shards})
        for shards in (2, 5)
    ]
    found = []
    for world in worlds:
        world.play(0)
        world.score(1)
        tables = [
            pq.read_table(io.BytesIO(world.s3.read_bytes(world.layout.scores(1, shard)))).to_pylist()
            for shard in range(world.settings["scoring"]["shards"])
        ]
        found.append(sorted((row for table in tables for row in table), key=lambda row: row["id"]))
    assert len(found[0]) == 22
    assert found[0] == found[1]
    for row in found[0]:
        assert row["predicted"] == -1 or task_type == "text-classification"
        assert 0 <= row["margin"] <= 1
        assert 0 <= row["confidence"] <= 1
        assert row["entropy"] >= 0
    assert len({row["margin"] for row in found[0]}) > 10
    uri = worlds[0].layout.scores(1, 0)
    first = worlds[0].s3.read_bytes(uri)
    worlds[0].delete(uri)
    assert worlds[0].run("score", 1, 0) == 0
    assert worlds[0].s3.read_bytes(uri) == first


@pytest.mark.parametrize("task_type", OTHER_TASK_TYPES)
def test_a_lost_output_of_every_task_type_is_written_with_the_same_bytes(
    make_world: Callable, task_type: str
) -> None:
    world = make_world(images=60, task_type=task_type)
    world.play(0, 1)
    before = world.digests()
    lost = [uri for uri in before if "/rounds/1/" in uri and not uri.endswith((".parquet", "merge.json"))]
    assert len(lost) >= 6
    for uri in lost:
        world.delete(uri)
    for step in ("select", "train", "evaluate"):
        assert world.run(step, 1) == 0
    after = world.digests()
    # The labels are there by now, so none of the rows has to be shown again.
    labeled = ("selection.manifest", "selection.json", "/suggestions/")
    assert {uri: after[uri] for uri in lost if not any(part in uri for part in labeled)} == {
        uri: before[uri] for uri in lost if not any(part in uri for part in labeled)
    }


def test_a_held_out_row_without_a_label_is_left_out_of_the_measurement(make_world: Callable) -> None:
    world = make_world()
    world.run("select", 0)
    unlabeled = world.splits()["test"][0]
    world.label(0, fail=lambda row: row_id(row) == unlabeled)
    world.run("train", 0)
    world.run("evaluate", 0)
    assert world.evaluation(0)["test"] == {"rows": 23}


def test_labels_of_the_held_out_rows_change_no_model(make_world: Callable) -> None:
    honest, wrong = make_world("honest"), make_world("wrong")
    for world in (honest, wrong):
        world.run("select", 0)
        world.label(0)
    for identifier in wrong.held_out():
        wrong.update(identifier, label=5)
    for world in (honest, wrong):
        world.run("train", 0)
    assert honest.s3.read_bytes(honest.layout.model(0)) == wrong.s3.read_bytes(wrong.layout.model(0))


def test_a_repeated_step_leaves_everything_as_it_is_and_says_so(
    make_world: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world()
    world.play(0, 1)
    before = world.digests()
    usage = {uri: world.s3.read_bytes(uri) for uri in world.s3.list(world.layout.usage_prefix(1))}
    capsys.readouterr()
    for step, index in (("score", 0), ("score", 1), ("select", None), ("train", None), ("evaluate", None)):
        assert world.run(step, 1, index) == 0
        assert milestones(capsys.readouterr().out)[0]["milestone"] == "already-done"
    assert world.digests() == before
    assert {uri: world.s3.read_bytes(uri) for uri in world.s3.list(world.layout.usage_prefix(1))} == usage


@pytest.mark.parametrize("kept", [True, False], ids=["with kept inputs", "from the objects"])
def test_a_step_whose_outputs_were_lost_writes_the_same_bytes_again(make_world: Callable, kept: bool) -> None:
    world = make_world()
    world.play(0)
    world.score(1)
    assert world.run("select", 1) == 0
    before = world.digests()
    for uri in before:
        lost = "/rounds/1/" in uri or ("/inputs/" in uri and not kept)
        if lost:
            world.delete(uri)
    world.score(1)
    assert world.run("select", 1) == 0
    world.label(1)
    world.run("train", 1)
    world.run("evaluate", 1)
    first = world.digests()
    assert {uri: first[uri] for uri in before if "/rounds/1/" in uri} == {
        uri: digest for uri, digest in before.items() if "/rounds/1/" in uri
    }
    for uri in first:
        if any(part in uri for part in ("/1/train.manifest", "/1/model/", "/1/evaluation")):
            world.delete(uri)
    world.run("train", 1)
    world.run("evaluate", 1)
    assert world.digests() == first


def test_a_training_that_died_halfway_is_finished_by_its_repetition(make_world: Callable) -> None:
    world = make_world()
    world.play(0)
    complete = world.digests()
    world.delete(world.layout.model(0))
    world.delete(world.layout.model_of_arm(0, "control"))
    assert world.run("train", 0) == 0
    assert world.digests() == complete


def test_a_child_without_rows_writes_a_valid_empty_shard(make_world: Callable) -> None:
    world = make_world(
        images=10, scoring={"shards": 9}, selection={"strategy": "margin", "seed_size": 6, "round_size": 1}
    )
    world.play(0)
    world.score(1)
    counts = [
        pq.read_table(io.BytesIO(world.s3.read_bytes(world.layout.scores(1, shard)))).num_rows
        for shard in range(9)
    ]
    assert sum(counts) == 1
    assert 0 in counts
    assert world.run("select", 1) == 0
    assert world.selection(1)["to_label"] == 1


def test_the_single_job_is_the_first_shard(make_world: Callable) -> None:
    world = make_world()
    world.play(0)
    assert world.run("score", 1) == 0
    assert world.s3.exists(world.layout.scores(1, 0))
    assert not world.s3.exists(world.layout.scores(1, 1))


def test_a_score_is_what_the_strategys_model_says(make_world: Callable) -> None:
    world = make_world()
    world.play(0)
    world.score(1)
    context = Context.open(world.layout.uri, 1)
    model = load_model(context, world.layout.model_of_arm(0, "strategy"))
    table = pq.read_table(io.BytesIO(world.s3.read_bytes(world.layout.scores(1, 0)))).to_pydict()
    rows = {row_id(row): row for row in world.master()}
    reader = InputReader(context, model.adapter)
    (found,) = predict_batches(model, reader, (rows[identifier] for identifier in table["id"]))
    ids, probabilities = found
    assert ids == table["id"]
    assert probabilities.shape == (len(ids), 10)
    assert table["predicted"] == probabilities.argmax(axis=1).tolist()
    assert table["confidence"] == pytest.approx(probabilities.max(axis=1))


def test_later_rounds_read_only_the_objects_that_are_new_to_a_step(
    make_world: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world()
    world.play(0, 1)
    read = []
    original = InputReader._read_row
    monkeypatch.setattr(
        InputReader, "_read_row", lambda self, row: (read.append(row_id(row)), original(self, row))[1]
    )
    world.score(2)
    world.run("evaluate", 2)
    world.run("select", 2)
    assert read == []
    world.label(2)
    world.run("train", 2)
    assert sorted(read) == [row_id(row) for row in world.selected(2)]


def test_a_broken_object_is_skipped_in_scoring_and_counted(
    make_world: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world()
    world.play(0)
    taken = set(world.selection(0)["arms"]["strategy"]) | world.held_out()
    broken, gone = [row for row in world.master() if row_id(row) not in taken][:2]
    world.s3.write_bytes(broken["source-ref"], b"no image")
    world.delete(gone["source-ref"])
    capsys.readouterr()
    world.score(1)
    told = milestones(capsys.readouterr().out)
    unreadable = {line["id"]: line for line in told if line["milestone"] == "object-unreadable"}
    assert set(unreadable) == {row_id(broken), row_id(gone)}
    assert unreadable[row_id(broken)]["source"] == broken["source-ref"]
    assert "not a readable image" in unreadable[row_id(broken)]["reason"]
    assert "no such object" in unreadable[row_id(gone)]["reason"]
    assert sum(line["unreadable"] for line in told if line["milestone"] == "scored") == 2
    assert world.run("select", 1) == 0
    assert not {row_id(broken), row_id(gone)} & set(world.selection(1)["arms"]["strategy"])


def test_training_goes_on_without_a_few_broken_objects_and_refuses_many(
    make_world: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world()
    world.run("select", 0)
    world.label(0)
    seeds = [row for row in world.selected(0) if row["truthloop"]["reason"] == "seed"]
    for row in seeds[:3]:
        world.s3.write_bytes(row["source-ref"], b"no image")
    assert world.run("train", 0) == 2
    refused = milestones(capsys.readouterr().out)[-1]
    assert refused["error"] == "UnreadableObjects"
    assert "3 of the 20 objects for training cannot be read; allowed: at most 10%" in refused["message"]
    assert seeds[0]["source-ref"] in refused["message"]
    assert not world.s3.exists(world.layout.model(0))
    world.s3.write_bytes(seeds[0]["source-ref"], world.s3.read_bytes(seeds[5]["source-ref"]))
    assert world.run("train", 0) == 0
    trained = [row_id(json.loads(line)) for _, line in world.s3.lines(world.layout.train_manifest(0))]
    assert len(trained) == 18
    assert not {row_id(row) for row in seeds[1:3]} & set(trained)
    assert model_document(world, world.layout.model(0))["labels"] == 18


def test_texts_are_read_from_the_row_itself_and_objects_in_their_version(make_world: Callable) -> None:
    world = make_world(images=10)
    bucket = world.layout.bucket
    uri = f"s3://{bucket}/versioned.txt"
    version = aws.s3().put_object(Bucket=bucket, Key="versioned.txt", Body=b"first")["VersionId"]
    aws.s3().put_object(Bucket=bucket, Key="versioned.txt", Body=b"second")

    reader = InputReader.__new__(InputReader)
    reader._s3, reader._read = world.s3, lambda content: content
    story = {"truthloop": {"id": "0" * 32}}
    assert reader._read_row({"source": "Grüße", **story}) == "Grüße".encode()
    assert reader._read_row({"source-ref": uri, **story}) == b"second"
    assert reader._read_row({"source-ref": uri, "source-ref-version-id": version, **story}) == b"first"


def test_a_label_outside_the_categories_is_named(
    make_world: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world()
    world.run("select", 0)
    world.label(0)
    identifier = world.selection(0)["arms"]["strategy"][0]
    for label, told in ((10, "the label is 10; allowed: 0 to 9"), ("seven", "'seven'")):
        world.update(identifier, label=label)
        assert world.run("train", 0) == 2
        message = milestones(capsys.readouterr().out)[-1]["message"]
        assert told in message
        assert identifier in message


def test_training_without_any_label_says_what_is_missing(
    make_world: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world()
    world.run("select", 0)
    assert world.run("train", 0) == 2
    assert milestones(capsys.readouterr().out)[-1]["error"] == "NothingLabeled"


def test_measuring_without_any_test_label_says_what_is_missing(
    make_world: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world()
    world.run("select", 0)
    world.label(0, fail=lambda row: row["truthloop"]["reason"] == "test")
    world.run("train", 0)
    assert world.run("evaluate", 0) == 2
    assert milestones(capsys.readouterr().out)[-1]["error"] == "NothingToMeasure"


def test_a_model_of_other_categories_is_refused(
    make_world: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world()
    world.play(0)
    document = world.s3.read_json(world.layout.campaign_document())
    document["label_categories"][0] = "zero"
    world.s3.write_json(world.layout.campaign_document(), document)
    assert world.run("score", 1, 0) == 2
    assert "It belongs to another campaign" in milestones(capsys.readouterr().out)[-1]["message"]


def test_a_model_of_another_label_kind_is_refused(make_world: Callable) -> None:
    world = make_world(task_type="image-multi-label", images=60)
    world.play(0)
    uri = world.layout.model(0)
    model = unpack_model(world.s3.read_bytes(uri), uri)
    network = create_adapter("onnx", {"model_uri": "s3://bucket/network.onnx"}, "class")
    world.s3.write_bytes(uri, pack_model(replace(model, kind="class", adapter=network)))
    with pytest.raises(InvalidModel, match=r"predicts class of .*allowed: the campaign's classes of"):
        load_model(Context.open(world.layout.uri, 1), uri)


def test_the_usage_of_every_job_and_child_is_recorded(make_world: Callable) -> None:
    world = make_world()
    world.play(0, 1)
    found = [uri.rsplit("/", 1)[1] for uri in world.s3.list(world.layout.usage_prefix(1))]
    assert found == ["evaluate.json", "score-00000.json", "score-00001.json", "select.json", "train.json"]
    told = world.s3.read_json(world.layout.usage(1, "score", 1))
    assert list(told) == ["step", "index", "seconds", "vcpus", "memory_mib", "attempt"]
    assert (told["step"], told["index"], told["attempt"]) == ("score", 1, 1)
    assert 0 < told["seconds"] < 60
    assert told["vcpus"] >= 1
    assert told["memory_mib"] > 20
