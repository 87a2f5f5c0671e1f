"""Takes the link between pseudonyms and people out of everything that the stack keeps.

Files that name a person by the labelling service's worker id or the identity provider's `sub` get the
pseudonym in its place, so that every total stays; their older versions are deleted. The identity in the
workers table goes last: an interrupted run is repeated with the same command, and does only what is left.
"""

from __future__ import annotations

import html
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from truthloop.errors import TruthloopError
from truthloop.labeling.jobs import OPEN
from truthloop.trace.people import PSEUDONYM, Identity, shortened_id
from truthloop_cli.trace_stack import TracedStack, closest, concurrently

# Of all that a campaign or the labelling service writes, these may name workers; manifests never do.
_FILES = (".json", ".html")
# A shorter identifier may stand by chance within other words, so it counts as a whole JSON text alone.
_SPECIFIC_CHARACTERS = 12
_ATTEMPTS = 5
_KINDS = (
    ("/annotations/worker-response/", "worker responses"),
    ("/consolidation-request/", "consolidation requests"),
    ("/consolidation-response/", "consolidation responses"),
    ("/consolidated-annotation/workers/", "evidence files"),
    ("/workers.json", "workers.json"),
    ("/report/", "reports"),
)

OUT_OF_REACH = (
    "The log group /aws/sagemaker/groundtruth/WorkerActivity and the functions' logs: they end by retention.",
    "The person's user in the Cognito user pool or other identity provider, and the work team's members.",
    "Functions that keep pseudonyms in memory for some minutes: repeat it if the person answers meanwhile.",
    "Backups of the tables (point-in-time recovery, 35 days), copies outside this bucket, and reports that "
    "somebody has exported.",
)


class UnknownWorker(TruthloopError):
    """There is no worker of a pseudonym."""


class WorkUnderWay(TruthloopError):
    """A labelling job that somebody worked in still writes files."""


@dataclass
class Deeds:
    """What was done.

    Attributes
    ----------
    files_read
        Versions of files that were looked through.
    rewritten
        URIs of the files that have the pseudonym now.
    versions_deleted
        Older versions that named the person.
    items_deleted
        Items of the workers table.
    """

    files_read: int = 0
    rewritten: list[str] = field(default_factory=list)
    versions_deleted: int = 0
    items_deleted: int = 0

    def kinds(self) -> dict[str, int]:
        """The rewritten files by what they are."""
        found = Counter(
            next((kind for part, kind in _KINDS if part in uri), "other files") for uri in self.rewritten
        )
        return dict(sorted(found.items()))


def find_identities(stack: TracedStack, pseudonym: str) -> list[Identity]:
    """Everything that is known of the person behind a pseudonym; nothing when that was forgotten already.

    One person may have two pseudonyms, when two files that knew different names came at the same moment.

    Raises
    ------
    UnknownWorker
        When nobody has had this pseudonym.
    """
    known = list(stack.people.identities())
    wanted = [each for each in known if each.worker == pseudonym]
    if not wanted:
        if PSEUDONYM.fullmatch(pseudonym) and stack.answers.last_answer_at(pseudonym) is not None:
            return []
        near = closest(pseudonym, (each.worker for each in known))
        raise UnknownWorker(
            f"There is no worker {pseudonym!r}; allowed: a pseudonym, w- and 12 hexadecimal digits"
            f"{', such as ' + ', '.join(near) if near else ''}. `truthloop workers report` lists them, with "
            "--names beside what people are called."
        )
    return same_people(wanted, known)


def same_people(some: Iterable[Identity], known: Sequence[Identity]) -> list[Identity]:
    """These identities, and others that share a name with one of them."""
    names = {name for each in some for name in each.identifiers}
    wanted = {each.worker for each in some}
    return [each for each in known if each.worker in wanted or each.identifiers & names]


def find_expired(stack: TracedStack, days: int, now: datetime) -> list[Identity]:
    """The people whose last answer, or without any whose first mention, is more than so many days ago."""
    oldest = (now - timedelta(days=days)).isoformat()
    known = list(stack.people.identities())

    def last_seen(identity: Identity) -> str:
        # ISO 8601 in UTC in both: the same to the second, and that is enough.
        return max(
            stack.answers.last_answer_at(each.worker) or each.known_since
            for each in same_people([identity], known)
        )

    seen = concurrently(last_seen, known)
    return [each for each, at in zip(known, seen, strict=True) if at[:19] < oldest[:19]]


def check_idle(stack: TracedStack, identities: Sequence[Identity]) -> None:
    """Check that no job that these people worked in still writes files.

    Raises
    ------
    WorkUnderWay
        Names the jobs.
    """
    jobs = {answer.job for each in identities for answer in stack.answers.of_worker(each.worker)}
    running = {each.job_name for each in stack.jobs.open_records() if each.state == OPEN} & jobs
    if running:
        raise WorkUnderWay(
            f"Labelling jobs that this concerns are still open: {', '.join(sorted(running))}. They would "
            "write the names again; wait for their end or stop them, then repeat the command."
        )


def forget(
    stack: TracedStack, identities: Sequence[Identity], progress: Callable[[Deeds], None] = lambda deeds: None
) -> Deeds:
    """Put the pseudonyms into every file that names these people, then delete who they are.

    Raises
    ------
    WorkUnderWay
        When jobs that they worked in are open; nothing is changed.
    """
    check_idle(stack, identities)
    deeds = Deeds()
    names = Names(identities)
    for found in concurrently(lambda versions: _clean(stack, names, versions), _files(stack)):
        deeds.files_read += found.files_read
        deeds.rewritten += found.rewritten
        deeds.versions_deleted += found.versions_deleted
        progress(deeds)
    deeds.items_deleted = stack.people.forget(frozenset(each.worker for each in identities))
    progress(deeds)
    return deeds


class Names:
    """Finds names of people in the bytes of a file, however JSON or HTML writes them, and replaces them."""

    def __init__(self, identities: Iterable[Identity]) -> None:
        self._pseudonyms: dict[bytes, bytes] = {}
        patterns = []
        for identity in identities:
            # A document may hold two worker ids of one person as keys, which have to stay two.
            marks = {name: "~" * number for number, name in enumerate(sorted(identity.worker_ids))}
            marks = {shortened_id(name): mark for name, mark in marks.items()} | marks
            for name in identity.identifiers:
                pseudonym = f"{identity.worker}{marks.get(name, '')}".encode()
                for written in _writings(name):
                    self._pseudonyms[written] = pseudonym
        # The longest first: the log's worker id is the end of the files' one.
        for written in sorted(self._pseudonyms, key=len, reverse=True):
            is_specific = len(written) >= _SPECIFIC_CHARACTERS
            before, after = (
                (b"(?<![0-9A-Za-z])", b"(?![0-9A-Za-z])") if is_specific else (b'(?<=")', b'(?=")')
            )
            patterns.append(before + re.escape(written) + after)
        self._pattern = re.compile(b"|".join(patterns)) if patterns else None

    def are_in(self, body: bytes) -> bool:
        return self._pattern is not None and self._pattern.search(body) is not None

    def replaced(self, body: bytes) -> bytes:
        if self._pattern is None:
            return body
        return self._pattern.sub(lambda match: self._pseudonyms[match[0]], body)


def _writings(name: str) -> set[bytes]:
    escaped = json.dumps(name)[1:-1]
    unescaped = json.dumps(name, ensure_ascii=False)[1:-1]
    texts = {name, escaped, unescaped, html.escape(name)}
    return {text.encode() for each in texts for text in (each, each.replace("/", "\\/"))}


def _files(stack: TracedStack) -> Iterator[list[Mapping[str, Any]]]:
    """The versions of each file that may name workers, file by file, the newest first."""
    pages = stack.s3_client.get_paginator("list_object_versions").paginate(Bucket=stack.data_bucket)
    versions = (each for page in pages for each in page.get("Versions", []) if each["Key"].endswith(_FILES))
    for _, group in itertools.groupby(versions, key=lambda each: each["Key"]):
        yield list(group)


def _clean(stack: TracedStack, names: Names, versions: Sequence[Mapping[str, Any]]) -> Deeds:
    """Rewrite a file that names somebody, and delete its versions that do."""
    deeds = Deeds()
    s3, bucket = stack.s3_client, stack.data_bucket
    for version in versions:
        where = {"Bucket": bucket, "Key": version["Key"]}
        deeds.files_read += 1
        try:
            body = s3.get_object(**where, VersionId=version["VersionId"])["Body"].read()
        except ClientError as error:
            # Somebody deleted it since it was listed.
            if error.response["Error"].get("Code") not in ("NoSuchKey", "NoSuchVersion"):
                raise
            continue
        if not names.are_in(body):
            continue
        replacement = None
        if version["IsLatest"]:
            replacement = _rewrite(s3, where, names)
            deeds.rewritten.append(f"s3://{bucket}/{version['Key']}")
        # Without versioning the new content has taken the old one's place.
        if version["VersionId"] != replacement:
            s3.delete_object(**where, VersionId=version["VersionId"])
            deeds.versions_deleted += 1
    return deeds


def _rewrite(s3: Any, where: Mapping[str, str], names: Names) -> str:
    """Write the file with pseudonyms over what is there now; returns the new version's id."""
    for attempt in itertools.count(1):
        found = s3.get_object(**where)
        body = found["Body"].read()
        try:
            answer = s3.put_object(
                **where,
                Body=names.replaced(body),
                ContentType=found["ContentType"],
                Metadata=found["Metadata"],
                IfMatch=found["ETag"],
            )
        except ClientError as error:
            changed = error.response["Error"].get("Code") in (
                "PreconditionFailed",
                "ConditionalRequestConflict",
            )
            if not changed or attempt == _ATTEMPTS:
                raise
        else:
            return str(answer.get("VersionId", "null"))
    raise AssertionError("the loop ends by returning or raising")
