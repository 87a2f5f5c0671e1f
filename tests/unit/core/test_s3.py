"""The gateway to S3."""

from __future__ import annotations

import hashlib
import io

import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from truthloop import s3 as s3_module
from truthloop.errors import (
    AccessRefused,
    InvalidText,
    InvalidUri,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
)
from truthloop.s3 import JSON_LINES, Lines, S3Gateway, join_uri, parse_uri, spooled_lines
from unit.core.kit import DATA_BUCKET, examples

URI = f"s3://{DATA_BUCKET}/folder/object"


def lines_of(content: bytes, chunk: int = 1 << 20) -> Lines:
    """Lines of an object that arrives in pieces of `chunk` bytes."""

    class Trickle(io.BytesIO):
        def read(self, size: int = -1) -> bytes:
            return super().read(min(size, chunk) if size >= 0 else size)

    return Lines(URI, '"etag"', StreamingBody(Trickle(content), len(content)))


def test_uris_are_parsed_and_joined():
    assert parse_uri("s3://bucket/a/b c.png").key == "a/b c.png"
    assert str(parse_uri("s3://bucket/a/")) == "s3://bucket/a/"
    assert join_uri("s3://bucket/a/", "/b/", "c") == "s3://bucket/a/b/c"


@pytest.mark.parametrize("text", ["", "bucket/key", "http://bucket/key", "s3:///key", "S3://bucket/key"])
def test_what_is_no_uri_is_refused_by_name(text):
    with pytest.raises(InvalidUri, match="is not an S3 URI"):
        parse_uri(text)


@examples
@given(
    texts=st.lists(st.text(alphabet=st.characters(exclude_characters="\n", exclude_categories=["Cs"]))),
    chunk=st.integers(1, 7),
    closing=st.booleans(),
)
def test_characters_survive_any_cut_of_the_stream(texts, chunk, closing):
    content = "\n".join(texts) + ("\n" if closing and texts else "")
    expected = content.split("\n")
    if expected[-1] == "":
        expected.pop()
    found = list(lines_of(content.encode(), chunk))
    assert found == [(number, text.removesuffix("\r")) for number, text in enumerate(expected, start=1)]


def test_only_line_feeds_end_lines():
    text = "犬\u2028猫\u0085\x0b\x0c鳥\r\nnext"
    assert list(lines_of(text.encode())) == [(1, "犬\u2028猫\u0085\x0b\x0c鳥"), (2, "next")]


def test_a_line_that_is_not_utf8_is_named():
    with pytest.raises(InvalidText, match=r"Line 2 of .* is not UTF-8 at byte 3: 0xe9"):
        list(lines_of(b"good\n" + b"caf\xe9"[1:]))


def test_an_endless_line_is_refused_before_it_fills_the_memory(monkeypatch):
    monkeypatch.setattr(s3_module, "LINE_BYTES_MAXIMUM", 10)
    with pytest.raises(InvalidText, match=r"Line 2 .* longer than 10 bytes"):
        list(lines_of(b"short\n" + b"x" * 100, chunk=4))


def test_the_digest_is_that_of_all_bytes():
    lines = lines_of(b"a\r\nb", chunk=2)
    list(lines)
    assert lines.sha256 == hashlib.sha256(b"a\r\nb").hexdigest()


def test_lines_come_from_one_version_and_name_it(world):
    world.put(URI, "a\nb\n")
    lines = world.s3.lines(URI)
    assert list(lines) == [(1, "a"), (2, "b")]
    assert lines.etag == world.s3.head(URI).etag


def test_json_survives_with_its_japanese(world):
    document = {"名前": "犬と\u2028「猫」", "number": 0.1}
    world.s3.write_json(URI, document)
    assert world.s3.read_json(URI) == document
    assert "犬".encode() in world.s3.read_bytes(URI)


def test_what_json_cannot_say_is_not_written(world):
    with pytest.raises(ValueError, match="JSON compliant"):
        world.s3.write_json(URI, {"x": float("nan")})
    assert not world.s3.exists(URI)


def test_a_document_that_is_not_json_is_named(world):
    world.put(URI, "{")
    with pytest.raises(InvalidText, match="is not a JSON document"):
        world.s3.read_json(URI)


@pytest.mark.parametrize("uri", [URI, "s3://truthloop-no-such-bucket/key"])
def test_a_missing_object_is_named(world, uri):
    for read in (world.s3.read_bytes, world.s3.head, world.s3.lines, world.s3.read_json):
        with pytest.raises(ObjectNotFound, match=uri):
            read(uri)
    assert world.s3.find_json(uri) is None
    assert not world.s3.exists(uri)


def test_refused_access_is_told_from_absence(world):
    with Stubber(world.client) as stub:
        stub.add_client_error("get_object", "AccessDenied", http_status_code=403)
        with pytest.raises(AccessRefused, match=r"Cannot read s3://.* AWS refuses it to this role"):
            S3Gateway(world.client).read_bytes(URI)


def test_other_errors_of_aws_pass_through(world):
    with Stubber(world.client) as stub:
        stub.add_client_error("get_object", "SlowDown", http_status_code=503)
        with pytest.raises(ClientError, match="SlowDown"):
            S3Gateway(world.client).read_bytes(URI)


def test_an_object_written_once_keeps_its_first_content(world):
    assert world.s3.write_json_once(URI, {"first": 1}) is True
    assert world.s3.write_json_once(URI, {"second": 2}) is False
    assert world.s3.write_bytes_once(URI, b"third") is False
    assert world.s3.write_lines_once(URI, ["fourth"]) is False
    assert world.s3.read_json(URI) == {"first": 1}


def test_a_frozen_document_may_be_frozen_again_but_not_differently(world):
    world.s3.freeze_json(URI, {"labels": ["猫"]})
    world.s3.freeze_json(URI, {"labels": ["猫"]})
    with pytest.raises(ObjectExists, match="written only once"):
        world.s3.freeze_json(URI, {"labels": ["犬"]})


def test_a_replacement_of_the_version_that_was_read_succeeds(world):
    world.put(URI, "old\n")
    with spooled_lines(["new", "犬"]) as file:
        etag = world.s3.replace(URI, file, world.s3.lines(URI).etag, JSON_LINES)
    assert list(world.s3.lines(URI)) == [(1, "new"), (2, "犬")]
    assert etag == world.s3.head(URI).etag


def test_a_replacement_of_an_outdated_version_changes_nothing(world):
    world.put(URI, "old\n")
    outdated = world.s3.lines(URI).etag
    world.put(URI, "somebody else's\n")
    with pytest.raises(ObjectChanged, match="changed by somebody else"):
        world.s3.replace(URI, b"new\n", outdated)
    assert world.s3.read_bytes(URI) == b"somebody else's\n"


def test_listing_gives_all_uris_below_a_prefix(world):
    for number in range(3):
        world.put(f"s3://{DATA_BUCKET}/a/{number}", b"")
    world.put(f"s3://{DATA_BUCKET}/b", b"")
    assert list(world.s3.list(f"s3://{DATA_BUCKET}/a/")) == [f"s3://{DATA_BUCKET}/a/{n}" for n in range(3)]


def test_files_are_carried_both_ways(world, tmp_path):
    source = tmp_path / "model.tar.gz"
    source.write_bytes(b"\x00" * 10)
    assert world.s3.upload_once(source, URI) is True
    source.write_bytes(b"\x01")
    assert world.s3.upload_once(source, URI) is False
    world.s3.download(URI, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"\x00" * 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "model.tar.gz"]


def test_buckets_tell_their_region_and_rules(world):
    assert world.s3.bucket_region(DATA_BUCKET) == "us-east-1"
    world.client.create_bucket(
        Bucket="truthloop-tokyo", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"}
    )
    assert world.s3.bucket_region("truthloop-tokyo") == "ap-northeast-1"
    assert world.s3.cors_rules("truthloop-tokyo") == []
    assert world.s3.cors_rules(DATA_BUCKET)[0]["AllowedMethods"] == ["GET"]
