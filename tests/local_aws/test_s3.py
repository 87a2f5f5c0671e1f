"""Objects, conditional writes and versions, on the fast path and beside it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from conftest import Account


def code(problem: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = problem.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_an_object_comes_back_with_its_bytes_type_and_etag(account: Account) -> None:
    s3, bucket = account.client("s3"), account.bucket()
    put = s3.put_object(Bucket=bucket, Key="a/ü b+c.png", Body=b"\x89PNG", ContentType="image/png")
    got = s3.get_object(Bucket=bucket, Key="a/ü b+c.png")
    head = s3.head_object(Bucket=bucket, Key="a/ü b+c.png")
    assert got["Body"].read() == b"\x89PNG"
    assert got["ContentType"] == head["ContentType"] == "image/png"
    assert put["ETag"] == got["ETag"] == head["ETag"]
    assert head["ContentLength"] == 4
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["a/ü b+c.png"]


def test_the_checksum_that_was_sent_is_kept(account: Account) -> None:
    s3, bucket = account.client("s3"), account.bucket()
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"x", ChecksumAlgorithm="SHA256")
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"x"
    assert put["ChecksumSHA256"] == got["ChecksumSHA256"]


def test_metadata_tags_and_ranges_are_not_lost_on_the_fast_path(account: Account) -> None:
    s3, bucket = account.client("s3"), account.bucket()
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789", Metadata={"round": "3"}, Tagging="a=b")
    assert s3.get_object(Bucket=bucket, Key="k")["Metadata"] == {"round": "3"}
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "a", "Value": "b"}]
    assert s3.get_object(Bucket=bucket, Key="k", Range="bytes=2-4")["Body"].read() == b"234"


def test_a_missing_object_and_a_missing_bucket_are_told_apart(account: Account) -> None:
    s3, bucket = account.client("s3"), account.bucket()
    with pytest.raises(ClientError) as problem:
        s3.get_object(Bucket=bucket, Key="missing")
    assert code(problem) == ("NoSuchKey", 404)
    with pytest.raises(ClientError) as problem:
        s3.put_object(Bucket="no-such-bucket-here", Key="k", Body=b"")
    assert code(problem) == ("NoSuchBucket", 404)


def test_if_none_match_writes_only_what_is_not_there(account: Account) -> None:
    s3, bucket = account.client("s3"), account.bucket()
    s3.put_object(Bucket=bucket, Key="k", Body=b"first", IfNoneMatch="*")
    with pytest.raises(ClientError) as problem:
        s3.put_object(Bucket=bucket, Key="k", Body=b"second", IfNoneMatch="*")
    assert code(problem) == ("PreconditionFailed", 412)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"first"


def test_if_match_writes_only_over_the_version_that_was_read(account: Account) -> None:
    s3, bucket = account.client("s3"), account.bucket()
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"first")["ETag"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"second", IfMatch=etag)
    with pytest.raises(ClientError) as problem:
        s3.put_object(Bucket=bucket, Key="k", Body=b"third", IfMatch=etag)
    assert code(problem) == ("PreconditionFailed", 412)
    with pytest.raises(ClientError) as problem:
        s3.put_object(Bucket=bucket, Key="missing", Body=b"", IfMatch=etag)
    assert code(problem) == ("NoSuchKey", 404)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"second"


def test_a_deleted_object_of_a_versioned_bucket_may_be_written_anew(account: Account) -> None:
    s3, bucket = account.client("s3"), account.bucket()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=bucket, Key="k", Body=b"first")
    s3.delete_object(Bucket=bucket, Key="k")
    with pytest.raises(ClientError) as problem:
        s3.get_object(Bucket=bucket, Key="k")
    assert code(problem) == ("NoSuchKey", 404)
    s3.put_object(Bucket=bucket, Key="k", Body=b"second", IfNoneMatch="*")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"second"


def test_one_of_many_writers_at_a_time_wins(account: Account) -> None:
    s3, bucket = account.client("s3"), account.bucket()

    def write(key: str, number: int) -> bool:
        try:
            s3.put_object(Bucket=bucket, Key=key, Body=str(number).encode(), IfNoneMatch="*")
        except ClientError as problem:
            if problem.response["Error"]["Code"] != "PreconditionFailed":
                raise
            return False
        return True

    with ThreadPoolExecutor(12) as pool:
        for key in ("a", "b", "c"):
            wins = list(pool.map(lambda number, key=key: write(key, number), range(12)))
            assert wins.count(True) == 1
            assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == str(wins.index(True)).encode()


def test_previous_versions_are_kept(account: Account) -> None:
    s3, bucket = account.client("s3"), account.bucket()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"first")["VersionId"]
    second = s3.put_object(Bucket=bucket, Key="k", Body=b"second")["VersionId"]
    assert first != second
    assert s3.get_object(Bucket=bucket, Key="k")["VersionId"] == second
    assert s3.get_object(Bucket=bucket, Key="k", VersionId=first)["Body"].read() == b"first"
    versions = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert {version["VersionId"]: version["IsLatest"] for version in versions} == {first: False, second: True}


def test_a_versioned_bucket_is_emptied_of_versions_and_delete_markers(account: Account) -> None:
    s3, bucket = account.client("s3"), account.bucket()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.delete_object(Bucket=bucket, Key="k")
    listed = s3.list_object_versions(Bucket=bucket)
    left = [*listed["Versions"], *listed["DeleteMarkers"]]
    assert len(left) == 2
    objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in left]
    assert "Errors" not in s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})
    s3.delete_bucket(Bucket=bucket)


def test_a_bucket_policy_that_denies_plain_http_does_not_lock_everybody_out(account: Account) -> None:
    s3, bucket = account.client("s3"), account.bucket()
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", IfNoneMatch="*")
    assert s3.get_object(Bucket=bucket, Key="k", Range="bytes=0-0")["Body"].read() == b"x"


def test_a_bucket_says_that_it_tells_eventbridge(account: Account) -> None:
    s3, bucket = account.client("s3"), account.bucket()
    assert "EventBridgeConfiguration" not in s3.get_bucket_notification_configuration(Bucket=bucket)
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    assert s3.get_bucket_notification_configuration(Bucket=bucket)["EventBridgeConfiguration"] == {}


def test_a_default_encryption_shows_on_the_fast_path(account: Account) -> None:
    s3, bucket = account.client("s3"), account.bucket()
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ServerSideEncryption"] == "AES256"
    assert s3.get_object(Bucket=bucket, Key="k")["ServerSideEncryption"] == "AES256"
