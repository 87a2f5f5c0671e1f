"""What preflight finds in a manifest's lines."""

from __future__ import annotations

import json

import pytest

from truthloop import inspection as inspection_module
from truthloop import labels
from truthloop.inspection import EXAMPLES_MAXIMUM, SAMPLE_SIZE, Inspection, Kind
from truthloop.manifest import (
    LINE_CHARACTERS_MAXIMUM,
    LINE_CHARACTERS_RESERVED,
    VALUE_CHARACTERS_MAXIMUM,
    stable_id,
)
from truthloop.task_types import get
from unit.core.kit import image_row

CATEGORIES = ("cat", "dog")
KINDS = {name: value for name, value in vars(inspection_module).items() if isinstance(value, Kind)} | {
    "BAD_LABEL": inspection_module.BAD_LABEL[labels.CLASS]
}


def inspect(*lines, **changes) -> Inspection:
    """Feed lines, given as bytes or as rows."""
    settings = {"attribute": "label", "label_categories": CATEGORIES, "label_kind": labels.CLASS, **changes}
    inspection = Inspection(**settings)
    for number, line in enumerate(lines, start=1):
        inspection.feed(number, line if isinstance(line, bytes) else json.dumps(line).encode())
    return inspection


def found(inspection: Inspection) -> dict[str, str]:
    """Name of the kind -> what the problem shows."""
    names = {kind.lines_that: name for name, kind in KINDS.items()}
    shown = {}
    for problem in inspection.problems():
        lines_that = next(each for each in names if f"lines that {each}, " in problem.value)
        shown[names[lines_that]] = problem.value
    return shown


def test_good_rows_have_no_problem():
    inspection = inspect(
        image_row(1),
        image_row(2, label=0, **{"label-metadata": {"class-name": "cat"}}),
        image_row(3, label="1", scan={"形": "「数字」\n"}, id=4),
        image_row(3, **{"source-ref-version-id": "v1"}),
        {
            "source-ref": "s3://bucket/日本 語/犬.JPEG",
            "label": None,
            "label-metadata": {"failure-reason": "x"},
        },
        b"",
        b"  ",
        show=lambda row: get("image-classification").task_input(row, CATEGORIES),
    )
    assert inspection.problems() == []
    assert inspection.rows == len(inspection.candidates) == 5
    assert inspection.labeled == {stable_id(image_row(2)), stable_id(image_row(3))}
    assert inspection.buckets == {"bucket", "truthloop-test-input"}


@pytest.mark.parametrize(
    ("line", "kind", "says"),
    [
        (b'{"source": "caf\xe9"}', "NOT_UTF8", "line 1 (byte 16 is 0xe9)"),
        (b'{"source": "a"', "NOT_A_ROW", "line 1 (not JSON at column 15"),
        (b"\xef\xbb\xbf{}", "NOT_A_ROW", "byte order mark"),
        (b"[1]", "NOT_A_ROW", "a JSON array"),
        ({}, "BAD_SOURCE", "line 1 (neither)"),
        ({"source": "a", "source-ref": "s3://bucket/a.png"}, "BAD_SOURCE", "source and source-ref"),
        ({"source": " "}, "BAD_SOURCE", "line 1 (source)"),
        ({"source": ["a"]}, "BAD_SOURCE", "line 1 (source)"),
        ({"source-ref": "images/1.png"}, "BAD_REFERENCE", "line 1 (images/1.png)"),
        ({"source-ref": "s3://bucket"}, "BAD_REFERENCE", "s3://bucket"),
        ({"source-ref": "s3://bucket/1.gif"}, "BAD_FORMAT", "s3://bucket/1.gif"),
        (image_row(1, **{"source-ref-version-id": 7}), "BAD_VERSION", "line 1 (7)"),
        ({"source": "a", "source-ref-version-id": "v"}, "BAD_VERSION", "'v'"),
        (image_row(1, **{"$x": 1}), "BAD_KEY", "line 1 ($x)"),
        (image_row(1, note="x" * (VALUE_CHARACTERS_MAXIMUM + 1)), "VALUE_TOO_LONG", "note, 20001 characters"),
        (image_row(1, note=["x" * VALUE_CHARACTERS_MAXIMUM]), "VALUE_TOO_LONG", "note, "),
        (image_row(1, label=2), "BAD_LABEL", "label: 2"),
        (image_row(1, label=-1), "BAD_LABEL", "label: -1"),
        (image_row(1, label="cat"), "BAD_LABEL", "label: 'cat'"),
        (image_row(1, label={"a": 1}), "BAD_LABEL", "label: {'a': 1}"),
        (image_row(1, label=0, **{"label-metadata": {"class-name": "dog"}}), "BAD_LABEL", "0 is 'cat'"),
        (image_row(1, **{"label-metadata": "x"}), "BAD_METADATA", "'x'"),
    ],
)
def test_each_fault_is_named_with_its_line(line, kind, says):
    shown = found(inspect(line))
    assert list(shown) == [kind]
    assert says in shown[kind]


def test_lines_are_limited_so_that_the_labels_still_fit():
    limit = LINE_CHARACTERS_MAXIMUM - LINE_CHARACTERS_RESERVED
    row = image_row(1, **{f"k{number}": "犬" * 19_000 for number in range(5)})
    spare = limit - len(json.dumps(row, ensure_ascii=False))
    assert spare > 0
    for extra, kinds in ((spare, []), (spare + 1, ["TOO_LONG"])):
        line = json.dumps(row, ensure_ascii=False).encode() + b" " * extra
        assert list(found(inspect(line))) == kinds


def test_a_repeated_object_is_named_with_both_lines_and_counted_once():
    inspection = inspect(image_row(1), image_row(2), image_row(1, other=1), image_row(1))
    assert "2 in all: line 3 (as line 1), line 4 (as line 1)" in found(inspection)["DUPLICATE"]
    assert len(inspection.candidates) == 2


def test_all_faults_are_counted_but_only_the_first_are_shown():
    inspection = inspect(*[b"x"] * (EXAMPLES_MAXIMUM + 5), {}, {})
    shown = found(inspection)
    assert f"{EXAMPLES_MAXIMUM + 5} in all: line 1 (" in shown["NOT_A_ROW"]
    assert shown["NOT_A_ROW"].endswith("and 5 more")
    assert shown["NOT_A_ROW"].count("line ") == EXAMPLES_MAXIMUM
    assert "2 in all" in shown["BAD_SOURCE"]


def test_endless_values_are_cut_in_messages():
    inspection = inspect(image_row(1, label="x" * 10_000))
    assert len(found(inspection)["BAD_LABEL"]) < 300


def test_a_row_that_the_task_type_cannot_show_is_named():
    show = get("image-classification").task_input
    inspection = inspect({"source": "a text"}, show=lambda row: show(row, CATEGORIES))
    assert list(found(inspection)) == ["NOT_SHOWABLE"]


def test_what_the_request_leaves_unknown_is_not_checked():
    row = image_row(1, label=99, **{"label-metadata": 7})
    assert found(inspect(row, attribute=None)) == {}
    row = image_row(1, label=99)
    assert found(inspect(row, label_categories=None)) == {}
    assert found(inspect(row, label_kind=None)) == {}


def test_the_sample_is_spread_over_the_manifest_and_always_the_same():
    rows = [image_row(number) for number in range(500)]
    sample = inspect(*rows).sample()
    assert len(sample) == len(set(sample)) == SAMPLE_SIZE
    assert set(inspect(*reversed(rows)).sample()) == set(sample)
    numbers = [int(reference.uri[-8:-4]) for reference in sample]
    assert max(numbers) - min(numbers) > 100
    assert len(inspect(image_row(1)).sample()) == 1
    versioned = inspect(image_row(1, **{"source-ref-version-id": "v1"})).sample()
    assert versioned[0].version_id == "v1"


BOXES = {
    "image_size": [{"width": 9, "height": 9, "depth": 3}],
    "annotations": [{"class_id": 1, "left": 1, "top": 2, "width": 3, "height": 4}],
}


@pytest.mark.parametrize(
    ("kind", "label", "metadata"),
    [
        (labels.CLASSES, [], {}),
        (labels.CLASSES, [1, 0], {"class-map": {"0": "cat", "1": "dog"}}),
        (labels.BOXES, BOXES, {"class-map": {"1": "dog"}}),
        (labels.BOXES, {"image_size": [], "annotations": []}, {}),
        (labels.MASK, "s3://bucket/mask.png", {}),
    ],
)
def test_a_label_of_each_kind_is_taken(kind, label, metadata):
    inspection = inspect(image_row(1, label=label, **{"label-metadata": metadata}), label_kind=kind)
    assert inspection.problems() == []
    assert inspection.labeled


@pytest.mark.parametrize(
    ("kind", "label", "metadata"),
    [
        (labels.CLASSES, 1, {}),
        (labels.CLASSES, [2], {}),
        (labels.CLASSES, [0, 0], {}),
        (labels.CLASSES, ["cat"], {}),
        (labels.CLASSES, [True], {}),
        (labels.CLASSES, [0], {"class-map": {"0": "dog"}}),
        (labels.CLASSES, [0], {"class-map": "cat"}),
        (labels.BOXES, [], {}),
        (labels.BOXES, {"annotations": [{**BOXES["annotations"][0], "class_id": 2}]}, {}),
        (labels.BOXES, {"annotations": [{**BOXES["annotations"][0], "class_id": "1"}]}, {}),
        (labels.BOXES, {"annotations": [{"class_id": 1}]}, {}),
        (labels.BOXES, BOXES, {"class-map": {"1": "cat"}}),
        (labels.MASK, "mask.png", {}),
        (labels.MASK, "s3://bucket", {}),
        (labels.MASK, [[0, 1]], {}),
    ],
)
def test_a_label_of_another_kind_is_named_with_its_line(kind, label, metadata):
    row = image_row(1, label=label, **{"label-metadata": metadata})
    [problem] = inspect(row, label_kind=kind).problems()
    assert "something else than a label" in problem.value
    assert "line 1 (" in problem.value
    assert labels.ALLOWED[kind] in problem.allowed
