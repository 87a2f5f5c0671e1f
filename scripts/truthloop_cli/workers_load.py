"""Reads the files of answers again into the table: what lost events left out, or what was there before it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from truthloop.layout import CampaignLayout
from truthloop.s3 import parse_uri
from truthloop.trace.recording import Kind, kind_of
from truthloop_cli.trace_stack import TracedStack, concurrently

_REASONS_KEPT = 20
# Files that one thread reads before it writes: their answers fill some batches of the table.
_FILES_AT_A_TIME = 50


@dataclass
class Loaded:
    """What was read.

    Attributes
    ----------
    files, records
        Files and what they brought, by kind.
    rejected
        How many answers, scores and verdicts could not be read; `reasons` are the first of them.
    seconds
        How long it took.
    """

    files: int = 0
    records: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))
    rejected: int = 0
    reasons: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def answers_per_second(self) -> float:
        return self.records[Kind.ANSWERS] / self.seconds if self.seconds else 0.0


def prefixes(layout: CampaignLayout) -> list[str]:
    """Where the files of a campaign's jobs and audits lie."""
    return [layout.labeling_prefix(), layout.audits_prefix()]


def load(
    stack: TracedStack, where: Iterable[str], progress: Callable[[Loaded], None] = lambda loaded: None
) -> Loaded:
    """Record every file of answers, evidence and verdicts below some prefixes; harmless to repeat."""
    loaded = Loaded()
    start = time.monotonic()

    # Made before the threads ask for it.
    recorder = stack.recorder
    chunks = concurrently(recorder.record_many, _chunks(_files(stack, where)))
    for uri, recorded in itertools.chain.from_iterable(chunks):
        loaded.files += 1
        loaded.records[recorded.kind] += recorded.records
        loaded.rejected += len(recorded.rejected)
        room = _REASONS_KEPT - len(loaded.reasons)
        loaded.reasons += [f"{uri}: {reason}" for reason in recorded.rejected[: max(room, 0)]]
        loaded.seconds = time.monotonic() - start
        progress(loaded)
    return loaded


def _files(stack: TracedStack, where: Iterable[str]) -> Iterator[str]:
    for prefix in where:
        yield from (uri for uri in stack.s3.list(prefix) if kind_of(parse_uri(uri).key) is not None)


def _chunks(uris: Iterator[str]) -> Iterator[list[str]]:
    while chunk := list(itertools.islice(uris, _FILES_AT_A_TIME)):
        yield chunk
