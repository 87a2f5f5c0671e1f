"""The gateway to Amazon S3: URIs, lines, JSON documents, objects written once, conditional replacement."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from botocore.response import StreamingBody

from truthloop import aws
from truthloop.errors import (
    AccessRefused,
    InvalidText,
    InvalidUri,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CORSRuleOutputTypeDef

_SCHEME = "s3://"
_CHUNK_BYTES = 1 << 20
# Four bytes for each of Ground Truth's 100,000 characters would be 400,000; what is far beyond isn't lines.
LINE_BYTES_MAXIMUM = 4 << 20
_JSON = "application/json"
JSON_LINES = "application/x-ndjson"

_ABSENT = {"404", "NoSuchKey", "NoSuchBucket", "NoSuchVersion"}
_REFUSED = {"403", "AccessDenied", "AllAccessDisabled", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
_PRECONDITION_FAILED = {"412", "PreconditionFailed"}
# Another conditional write of the same key was under way: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
_CONFLICT = {"409", "ConditionalRequestConflict"}


@dataclass(frozen=True)
class S3Uri:
    """A bucket and a key; the key may be empty or end in a slash for a folder."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.key}"


def parse_uri(uri: str) -> S3Uri:
    """Split `s3://bucket/key`.

    Raises
    ------
    InvalidUri
        When the scheme or the bucket is missing.
    """
    bucket, _, key = uri.removeprefix(_SCHEME).partition("/")
    if not uri.startswith(_SCHEME) or not bucket:
        raise InvalidUri(f"{uri!r} is not an S3 URI; allowed: s3://bucket/key. Write the bucket and the key.")
    return S3Uri(bucket, key)


def join_uri(base: str, *parts: str) -> str:
    """Append path parts to a folder's URI, with exactly one slash between them."""
    return "/".join([base.rstrip("/"), *(part.strip("/") for part in parts)])


@dataclass(frozen=True)
class ObjectInfo:
    """What HeadObject says: size in bytes, the ETag with its quotes, the content type."""

    uri: str
    size: int
    etag: str
    content_type: str


class Lines:
    """The lines of one version of an S3 object, read in one pass, as (line number from 1, text).

    Lines end at LF or CRLF. The bytes are cut at LF before they are decoded, so a character of several bytes
    that the network delivers in two pieces stays whole, and the other line separators of Unicode are text.
    A closing line end opens no further line. The first line's byte order mark isn't removed.

    Attributes
    ----------
    etag
        The version that is being read: pass it to a conditional replacement.
    sha256
        Hexadecimal digest of the bytes read so far, of the whole object once the lines are exhausted.
    """

    def __init__(self, uri: str, etag: str, body: StreamingBody) -> None:
        self.uri = uri
        self.etag = etag
        self._body = body
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def encoded(self) -> Iterator[tuple[int, bytes]]:
        """The lines before decoding.

        Raises
        ------
        InvalidText
            When a line is longer than `LINE_BYTES_MAXIMUM` bytes.
        """
        number = 0
        rest = b""
        try:
            while chunk := self._body.read(_CHUNK_BYTES):
                self._digest.update(chunk)
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    number += 1
                    yield number, line.removesuffix(b"\r")
                if len(rest) > LINE_BYTES_MAXIMUM:
                    raise InvalidText(
                        f"Line {number + 1} of {self.uri} is longer than {LINE_BYTES_MAXIMUM} bytes; "
                        "allowed: JSON Lines, one object per line. Check that the file is a manifest."
                    )
            if rest:
                yield number + 1, rest.removesuffix(b"\r")
        finally:
            self._body.close()

    def __iter__(self) -> Iterator[tuple[int, str]]:
        for number, line in self.encoded():
            try:
                yield number, line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise InvalidText(
                    f"Line {number} of {self.uri} is not UTF-8 at byte {error.start + 1}: "
                    f"0x{line[error.start]:02x}. Save the file as UTF-8."
                ) from error


class S3Gateway:
    """Reads and writes objects by URI.

    Every method raises `ObjectNotFound` for a missing object or bucket, `AccessRefused` when the role may
    not do it, and `InvalidUri` for a malformed URI; other AWS errors pass through.
    """

    def __init__(self, client: S3Client | None = None) -> None:
        self._client = aws.s3() if client is None else client

    def head(self, uri: str, version_id: str | None = None) -> ObjectInfo:
        where = parse_uri(uri)
        version: dict[str, Any] = {} if version_id is None else {"VersionId": version_id}
        with _explained("read", uri):
            answer = self._client.head_object(Bucket=where.bucket, Key=where.key, **version)
        return ObjectInfo(uri, answer["ContentLength"], answer["ETag"], answer.get("ContentType", ""))

    def exists(self, uri: str) -> bool:
        try:
            self.head(uri)
        except ObjectNotFound:
            return False
        return True

    def read_bytes(self, uri: str, version_id: str | None = None, first: int | None = None) -> bytes:
        """The object's bytes, or only its `first` ones."""
        where = parse_uri(uri)
        options: dict[str, Any] = {} if version_id is None else {"VersionId": version_id}
        if first is not None:
            options["Range"] = f"bytes=0-{first - 1}"
        with _explained("read", uri):
            body = self._client.get_object(Bucket=where.bucket, Key=where.key, **options)["Body"]
        with body:
            return body.read()

    def read_json(self, uri: str) -> Any:
        """The parsed document.

        Raises
        ------
        InvalidText
            When the object is not a JSON document in UTF-8.
        """
        try:
            return json.loads(self.read_bytes(uri))
        except ValueError as error:
            raise InvalidText(f"{uri} is not a JSON document in UTF-8: {error}.") from error

    def find_json(self, uri: str) -> Any | None:
        """The parsed document, or None when there is no such object."""
        try:
            return self.read_json(uri)
        except ObjectNotFound:
            return None

    def lines(self, uri: str) -> Lines:
        """Open an object for reading line by line; memory is bounded by the longest line."""
        where = parse_uri(uri)
        with _explained("read", uri):
            answer = self._client.get_object(Bucket=where.bucket, Key=where.key)
        return Lines(uri, answer["ETag"], answer["Body"])

    def list(self, prefix: str) -> Iterator[str]:
        """The URIs of all objects below a prefix, in the order of their keys."""
        where = parse_uri(prefix)
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=where.bucket, Prefix=where.key)
        with _explained("list", prefix):
            for page in pages:
                for item in page.get("Contents", []):
                    yield str(S3Uri(where.bucket, item["Key"]))

    def write_bytes(self, uri: str, content: bytes, content_type: str = "application/octet-stream") -> None:
        self._put(uri, content, content_type)

    def write_json(self, uri: str, document: Any) -> None:
        self._put(uri, _encode_json(document), _JSON)

    def write_bytes_once(
        self, uri: str, content: bytes, content_type: str = "application/octet-stream"
    ) -> bool:
        """Write the object unless it exists; True when this call wrote it, False when it was there."""
        return self._put_once(uri, content, content_type)

    def write_json_once(self, uri: str, document: Any) -> bool:
        """Like `write_bytes_once`, for a JSON document."""
        return self._put_once(uri, _encode_json(document), _JSON)

    def freeze_json(self, uri: str, document: Any) -> None:
        """Write a document once; a repetition with the same content is harmless.

        Raises
        ------
        ObjectExists
            When the object is there with another content.
        """
        if not self.write_json_once(uri, document) and self.read_json(uri) != document:
            raise ObjectExists(f"{uri} exists with another content and is written only once.")

    def write_file_once(self, uri: str, file: IO[bytes], content_type: str) -> bool:
        """Like `write_bytes_once`, for an open file, from its position on; see `spooled_lines`."""
        return self._put_once(uri, file, content_type)

    def write_lines_once(self, uri: str, lines: Iterable[str]) -> bool:
        """Like `write_bytes_once`, for lines without their ends; memory is bounded by the longest one."""
        with spooled_lines(lines) as file:
            return self._put_once(uri, file, JSON_LINES)

    def replace(
        self, uri: str, content: bytes | IO[bytes], etag: str, content_type: str = "application/octet-stream"
    ) -> str:
        """Replace the version `etag` of an object; returns the ETag of the new version.

        Raises
        ------
        ObjectChanged
            When the object isn't that version any more: read it again and repeat.
        """
        try:
            return self._put(uri, content, content_type, IfMatch=etag)
        except ClientError as error:
            if _code(error) in _PRECONDITION_FAILED | _CONFLICT:
                raise ObjectChanged(
                    f"{uri} was changed by somebody else since it was read (it is no longer {etag}). "
                    "Read it again and repeat the change."
                ) from error
            raise

    def download(self, uri: str, path: Path) -> None:
        """Write the object to a local file; the file appears only when it is whole."""
        where = parse_uri(uri)
        with _explained("read", uri):
            body = self._client.get_object(Bucket=where.bucket, Key=where.key)["Body"]
        part = path.with_name(path.name + ".part")
        with body, part.open("wb") as file:
            shutil.copyfileobj(body, file, _CHUNK_BYTES)
        part.replace(path)

    def upload_once(self, path: Path, uri: str, content_type: str = "application/octet-stream") -> bool:
        """Write a local file unless the object exists; see `write_bytes_once`."""
        with path.open("rb") as file:
            return self._put_once(uri, file, content_type)

    def bucket_region(self, bucket: str) -> str:
        """The region of a bucket, such as "eu-west-1"."""
        with _explained("ask for the region of", f"{_SCHEME}{bucket}"):
            constraint = self._client.get_bucket_location(Bucket=bucket)["LocationConstraint"]
        # The two oldest regions have names of their own:
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
        return {None: "us-east-1", "": "us-east-1", "EU": "eu-west-1"}.get(constraint, constraint)

    def cors_rules(self, bucket: str) -> Sequence[CORSRuleOutputTypeDef]:
        """The bucket's CORS rules, none when it has no configuration."""
        try:
            with _explained("ask for the CORS rules of", f"{_SCHEME}{bucket}"):
                return self._client.get_bucket_cors(Bucket=bucket)["CORSRules"]
        except ClientError as error:
            if _code(error) == "NoSuchCORSConfiguration":
                return []
            raise

    def _put(self, uri: str, content: bytes | IO[bytes], content_type: str, **conditions: str) -> str:
        where = parse_uri(uri)
        options: dict[str, Any] = dict(conditions)
        with _explained("write", uri):
            answer = self._client.put_object(
                Bucket=where.bucket, Key=where.key, Body=content, ContentType=content_type, **options
            )
        return answer["ETag"]

    def _put_once(self, uri: str, content: bytes | IO[bytes], content_type: str) -> bool:
        try:
            self._put(uri, content, content_type, IfNoneMatch="*")
        except ClientError as error:
            if _code(error) in _PRECONDITION_FAILED:
                return False
            raise
        return True


@contextmanager
def spooled_lines(lines: Iterable[str]) -> Iterator[IO[bytes]]:
    """Lines, given without their ends, in a temporary file that is ready to be read from its start."""
    with tempfile.TemporaryFile() as file:
        for line in lines:
            file.write(line.encode("utf-8"))
            file.write(b"\n")
        file.seek(0)
        yield file


def _encode_json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False).encode() + b"\n"


def _code(error: ClientError) -> str:
    return error.response["Error"].get("Code", "")


@contextmanager
def _explained(action: str, uri: str) -> Iterator[None]:
    """Turn S3's codes for absence and refusal into errors that say what to do."""
    try:
        yield
    except ClientError as error:
        code = _code(error)
        if code in _ABSENT:
            what = "the bucket does not exist" if code == "NoSuchBucket" else "there is no such object"
            raise ObjectNotFound(f"Cannot {action} {uri}: {what}. Check the bucket and the key.") from error
        if code in _REFUSED:
            raise AccessRefused(
                f"Cannot {action} {uri}: AWS refuses it to this role ({code}). Grant the role the access; "
                "a missing object looks the same to a role that may not list the bucket."
            ) from error
        raise
