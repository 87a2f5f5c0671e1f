"""Rows of the master manifest."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truthloop.errors import InvalidManifest, ObjectChanged, UnknownRow
from truthloop.manifest import (
    Counts,
    class_index,
    count,
    decode_row,
    encode_row,
    joined_history,
    merge_into,
    merge_row,
    merge_rows,
    read_master,
    read_rows,
    row_id,
    stable_id,
    with_provenance,
)
from unit.core.kit import DATA_BUCKET, examples, image_row

URI = f"s3://{DATA_BUCKET}/campaigns/digits/manifest/master.manifest"

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
rows = st.dictionaries(texts, values, max_size=5)


def master(count_: int = 4, **keys) -> list[dict]:
    return [with_provenance(image_row(number, **keys), "label") for number in range(count_)]


@examples
@given(rows)
def test_rows_survive_writing_and_reading_in_value_and_order(row):
    line = encode_row(row)
    again = decode_row(line)
    assert again == row
    assert list(again) == list(row)
    assert len(line.splitlines()) == 1


def test_japanese_quotes_and_newlines_survive_byte_for_byte():
    row = {
        "source": '「引用」"quoted"\n\r\n\t\\ 犬\u2028猫\u2029\u0085\U0001f600',
        "数": [1, 0.1, 1e300, 2**70],
    }
    assert decode_row(encode_row(row)) == row
    assert len(encode_row(row).splitlines()) == 1
    # Escaped, the limits of 100,000 and 20,000 characters would be reached six times as soon.
    assert "犬" in encode_row(row)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"source": "a"', "column 15"),
        ('{"source": "犬", }', "column 17"),
        ('["source"]', "a JSON array"),
        ("null", "a JSON null"),
        ('{"source": NaN}', "NaN is not a JSON number"),
        ('{"source": "a", "x": 1e999}', "1e999 is too large"),
        (r'{"source": "\ud83d"}', "surrogate"),
        (r'{"source": "a", "x": {"y": ["\uDE00"]}}', "surrogate"),
        ('\ufeff{"source": "a"}', "byte order mark"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_row_is_refused_with_the_place(line, why):
    with pytest.raises(InvalidManifest, match=why):
        decode_row(line)


def test_a_whole_surrogate_pair_is_one_character():
    assert decode_row(r'{"source": "\ud83d\ude00"}') == {"source": "\U0001f600"}


def test_a_bad_line_is_named_with_its_manifest_and_blank_ones_are_skipped():
    assert list(read_rows([(1, '{"a": 1}'), (2, ""), (3, " \t")])) == [{"a": 1}]
    with pytest.raises(InvalidManifest, match="Line 2 of s3://b/m is not JSON at column 1"):
        list(read_rows([(1, "{}"), (2, "x")], "s3://b/m"))


def test_ids_depend_on_the_object_alone():
    row = {"source-ref": "s3://bucket/key"}
    assert (
        stable_id(row) == stable_id({"id": 7, "label": 1, **row}) == stable_id(with_provenance(row, "label"))
    )
    different = [
        row,
        {"source-ref": "s3://bucket/key2"},
        {"source-ref": "s3://bucket/key", "source-ref-version-id": "v1"},
        {"source-ref": "s3://bucket/key", "source-ref-version-id": "v2"},
        {"source-ref": "s3://bucket/key\0v1"},
        {"source": "s3://bucket/key"},
        {"source": "key"},
    ]
    assert len({stable_id(each) for each in different}) == len(different)


@pytest.mark.parametrize(
    ("row", "identifier"),
    [
        ({"source-ref": "s3://bucket/key"}, "26684ffe5051685f366fbb147230a337"),
        (
            {"source-ref": "s3://bucket/key", "source-ref-version-id": "v1"},
            "3229958061cf4ef495b4552dda89ed28",
        ),
        ({"source": "犬"}, "6dc794b81f9252abd74caf7256ae8306"),
    ],
)
def test_ids_never_change(row, identifier):
    assert stable_id(row) == identifier


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"source": "a", "source-ref": "s3://b/k"},
        {"source": 1},
        {"source-ref": None},
        {"source": "a", "source-ref": 1},
    ],
)
def test_a_row_without_one_object_has_no_id(row):
    with pytest.raises(InvalidManifest, match="exactly one of source-ref and source"):
        stable_id(row)


def test_a_master_row_keeps_all_keys_and_says_where_its_label_came_from():
    row = image_row(1, id="mine", scan={"形": [1]}, label=0, **{"label-metadata": {"class-name": "cat"}})
    made = with_provenance(row, "label")
    assert {key: made[key] for key in row} == row
    assert made["truthloop"] == {
        "id": stable_id(row),
        "round": None,
        "reason": "input",
        "score": None,
        "model": None,
        "job": None,
        "labeled_by": "input",
        "annotators": None,
        "failures": 0,
    }
    unlabeled = with_provenance(image_row(1, label=None), "label")["truthloop"]
    assert (unlabeled["reason"], unlabeled["labeled_by"]) == (None, None)


def test_the_story_of_an_earlier_campaign_is_not_taken_over():
    old = with_provenance(image_row(1), "label") | {"truthloop": {"id": "x", "job": "old-r0", "failures": 3}}
    assert with_provenance(old, "label") == with_provenance(image_row(1), "label")


def test_a_row_from_elsewhere_has_no_row_id():
    with pytest.raises(InvalidManifest, match=r"has no truthloop\.id"):
        row_id({"source": "a", "id": "mine"})


@pytest.mark.parametrize(("label", "index"), [(3, 3), ("3", 3), (0, 0), (None, None)])
def test_a_class_is_read_in_both_documented_forms(label, index):
    assert class_index({"label": label}, "label") == index


@pytest.mark.parametrize("label", [True, 1.0, "cat", "-1", "", "²", {}, [0]])
def test_what_is_no_class_is_refused(label):
    with pytest.raises(InvalidManifest, match="allowed: the index of a label category"):
        class_index({"label": label}, "label")


keys = st.sampled_from(["label", "label-metadata", "other", "数"])
truthloop_updates = st.dictionaries(
    st.sampled_from(["round", "reason", "job", "failures"]), st.integers(0, 3)
)


@st.composite
def disjoint_updates(draw):
    """Updates of four rows, cut into two lots that never name the same key of the same row."""
    lots: tuple[dict, dict] = ({}, {})
    for row in master():
        whole = draw(st.dictionaries(keys, values, max_size=4))
        if draw(st.booleans()):
            whole["truthloop"] = draw(truthloop_updates)
        for key, value in whole.items():
            if key == "truthloop":
                for inner, inner_value in value.items():
                    lot = lots[draw(st.integers(0, 1))]
                    lot.setdefault(row_id(row), {}).setdefault("truthloop", {})[inner] = inner_value
            else:
                lots[draw(st.integers(0, 1))].setdefault(row_id(row), {})[key] = value
    return lots


@examples
@given(disjoint_updates())
def test_updates_merge_in_any_order_and_any_number_of_times(lots):
    first, second = lots
    one_way = list(merge_rows(merge_rows(master(), first), second))
    other_way = list(merge_rows(merge_rows(master(), second), first))
    again = list(merge_rows(merge_rows(one_way, second), first))
    assert one_way == other_way == again


@examples
@given(disjoint_updates())
def test_merging_touches_nothing_that_no_update_names(lots):
    before = master(scan={"form": "数字"}, id=5)
    after = list(merge_rows(before, lots[0]))
    assert [row_id(row) for row in after] == [row_id(row) for row in before]
    for old, new in zip(before, after, strict=True):
        update = lots[0].get(row_id(old), {})
        assert {key: new[key] for key in old if key not in update} == {
            key: old[key] for key in old if key not in update
        }
        provenance_update = update.get("truthloop", {})
        assert new["truthloop"] == {**old["truthloop"], **provenance_update}


@pytest.mark.parametrize(
    "update",
    [
        {"source-ref": "s3://b/other.png"},
        {"source": "text"},
        {"source-ref-version-id": "v"},
        {"truthloop": {"id": "x"}},
    ],
)
def test_an_update_cannot_make_a_row_another_object(update):
    with pytest.raises(InvalidManifest, match="may not change"):
        merge_row(master(1)[0], update)


def test_an_update_of_a_row_that_is_not_there_is_an_error():
    with pytest.raises(UnknownRow, match=r"2 updated rows .* such as a, b"):
        list(merge_rows(master(), {"b": {}, "a": {}}))


def test_a_merge_in_s3_keeps_the_order_and_counts(world):
    world.put_manifest(master(scan="犬"), URI)
    changed = row_id(master()[2])
    result = merge_into(world.s3, URI, {changed: {"label": 1}})
    assert (result.rows, result.changed) == (4, 1)
    found = list(read_master(world.s3, URI))
    assert [row.get("label") for row in found] == [None, None, 1, None]
    assert [row_id(row) for row in found] == [row_id(row) for row in master()]
    assert all(row["scan"] == "犬" for row in found)


def test_a_merge_that_changes_nothing_writes_nothing(world):
    world.put_manifest(master(), URI)
    update = {row_id(master()[0]): {"label": 1}}
    merge_into(world.s3, URI, update)
    modified = world.client.head_object(Bucket=DATA_BUCKET, Key=URI.split("/", 3)[3])["LastModified"]
    world.client.put_bucket_versioning(Bucket=DATA_BUCKET, VersioningConfiguration={"Status": "Enabled"})
    assert merge_into(world.s3, URI, update).changed == 0
    head = world.client.head_object(Bucket=DATA_BUCKET, Key=URI.split("/", 3)[3])
    assert head["LastModified"] == modified
    assert head.get("VersionId", "null") == "null"


def test_a_merge_with_an_unknown_row_writes_nothing(world):
    world.put_manifest(master(), URI)
    before = world.keys(DATA_BUCKET)
    with pytest.raises(UnknownRow):
        merge_into(world.s3, URI, {row_id(master()[0]): {"label": 1}, "unknown": {"label": 1}})
    assert world.keys(DATA_BUCKET) == before


class Interfering:
    """A gateway during whose reading somebody else merges, `times` times."""

    def __init__(self, world, times):
        self._s3, self._times = world.s3, times
        self.reads = 0

    def lines(self, uri):
        found = self._s3.lines(uri)
        self.reads += 1
        if self.reads <= self._times:
            other = master()[1]
            merge_into(self._s3, uri, {row_id(other): {"label": self.reads}})
        return found

    def replace(self, *arguments):
        return self._s3.replace(*arguments)


def test_a_merge_loses_nothing_to_another_merge(world):
    world.put_manifest(master(), URI)
    interfering = Interfering(world, 2)
    merge_into(interfering, URI, {row_id(master()[0]): {"label": 9}})
    assert [row.get("label") for row in read_master(world.s3, URI)] == [9, 2, None, None]
    assert interfering.reads == 3


def test_a_merge_gives_up_on_a_manifest_that_never_rests(world):
    world.put_manifest(master(), URI)
    with pytest.raises(ObjectChanged):
        merge_into(Interfering(world, math.inf), URI, {row_id(master()[0]): {"label": 9}})


def test_counts_tell_who_labelled_and_what_is_left():
    labeled = [
        merge_row(row, {"label": 0, "truthloop": {"labeled_by": who}})
        for row, who in zip(master(3), ["people", "model", "people"], strict=True)
    ]
    given = with_provenance(image_row(10, label=1), "label")
    failed = merge_row(with_provenance(image_row(11), "label"), {"truthloop": {"failures": 3}})
    nearly = merge_row(with_provenance(image_row(12), "label"), {"truthloop": {"failures": 2}})
    tested = with_provenance(image_row(13), "label")
    held_out = {row_id(tested), row_id(given)}
    assert count([*labeled, given, failed, nearly, tested], "label", held_out) == Counts(
        rows=7,
        labeled=4,
        by_people=2,
        by_input=1,
        by_model=1,
        held_out_unlabeled=1,
        pool=5,
        pool_unlabeled=1,
        given_up=1,
    )


def test_a_line_is_plain_json():
    assert json.loads(encode_row(master(1)[0])) == master(1)[0]


# ---- taking back and history


def entry(at, event="labeled", **keys) -> dict:
    return {"at": f"2030-01-{at:02d}T00:00:00+00:00", "event": event, "round": 0, "job": "job", **keys}


def test_a_null_takes_a_label_away_and_the_row_can_be_labelled_again():
    row = {**master(1)[0], "label": 1, "label-metadata": {"class-name": "dog"}, "site": None}
    before = count([row], "label", frozenset())
    bare = merge_row(row, {"label": None, "label-metadata": None})
    assert "label" not in bare
    assert "label-metadata" not in bare
    assert bare["site"] is None
    after = count([bare], "label", frozenset())
    assert (before.labeled, before.pool_unlabeled) == (1, 0)
    assert (after.labeled, after.pool_unlabeled) == (0, 1)
    assert merge_row(bare, {"label": None, "label-metadata": None}) == bare


def test_a_row_labelled_by_a_model_counts_as_labelled():
    row = {**master(1)[0], "label": 1}
    row["truthloop"]["labeled_by"] = "model"
    counts = count([row], "label", frozenset())
    assert (counts.labeled, counts.by_model, counts.pool, counts.pool_unlabeled) == (1, 1, 1, 0)


def test_histories_are_joined_in_the_order_of_time_whatever_came_first():
    entries = [entry(1, "selected"), entry(2), entry(3, "audited"), entry(3, "revoked"), entry(4)]
    for more in (entries, entries[::-1], entries[2:] + entries[:3], entries * 2):
        row = master(1)[0]
        for each in more:
            row = merge_row(row, {"truthloop": {"history": [each]}})
        assert row["truthloop"]["history"] == joined_history(entries, [])
    assert [each["at"][8:10] for each in row["truthloop"]["history"]] == ["01", "02", "03", "03", "04"]


def test_two_events_of_one_moment_and_kind_are_one_unless_their_jobs_differ():
    assert joined_history([entry(1)], [entry(1)]) == [entry(1)]
    assert len(joined_history([entry(1)], [entry(1, job="other")])) == 2
