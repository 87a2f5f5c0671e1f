"""Which input manifests a labelling job takes, and what it says of others."""

from __future__ import annotations

import json

import pytest

from labeling_engine.manifest import InvalidManifest, read_manifest, source_of, write_manifest


def test_lines_may_end_in_either_way_and_empty_ones_are_passed_over() -> None:
    body = '{"source": "a"}\r\n\n{"source-ref": "s3://b/é.png"}'.encode()
    assert read_manifest(body) == [{"source": "a"}, {"source-ref": "s3://b/é.png"}]


def test_a_line_separator_inside_a_text_does_not_end_the_line() -> None:
    assert read_manifest('{"source": "one\u2028two\x85three"}'.encode()) == [
        {"source": "one\u2028two\x85three"}
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"nonsense", "line 2: not JSON"),
        (b'["source"]', "line 2: not a JSON object"),
        (b"{}", "line 2: no source"),
        (b'{"source": "a", "source-ref": "s3://b/a"}', "source-ref and source; give one"),
        (b'{"source": ""}', "source is ''"),
        (b'{"source": 5}', "source is 5"),
        (b'{"source": "a", "$sequencer": 1}', "'$sequencer' begins with $"),
        (b'{"source": "a", "x": NaN}', "NaN is not JSON"),
        (b'{"source": "\xff"}', "not UTF-8"),
        (json.dumps({"source": "x" * 100_000}).encode(), "at most 100000"),
    ],
)
def test_an_invalid_line_is_told_with_its_number(line: bytes, told: str) -> None:
    with pytest.raises(InvalidManifest) as caught:
        read_manifest(b'{"source": "fine"}\n' + line + b"\n")
    assert told in str(caught.value)


def test_the_first_five_invalid_lines_are_told_and_the_rest_counted() -> None:
    with pytest.raises(InvalidManifest, match=r"line 1: .*line 5: .*\(and 2 more\)"):
        read_manifest(b"x\n" * 7)


def test_a_manifest_without_objects_is_refused() -> None:
    with pytest.raises(InvalidManifest, match="no data objects"):
        read_manifest(b"\n \n")


def test_a_manifest_with_too_many_objects_is_refused() -> None:
    with pytest.raises(InvalidManifest, match="100001 data objects"):
        read_manifest(b'{"source":"a"}\n' * 100_001)


def test_what_is_written_can_be_read_again() -> None:
    rows = [
        {"source": "line\nbreak 日本語", "n": 1.5},
        {"source-ref": "s3://b/k", "deep": {"a": [None, True]}},
    ]
    assert read_manifest(write_manifest(rows)) == rows
    assert [source_of(row) for row in rows] == ["line\nbreak 日本語", "s3://b/k"]
