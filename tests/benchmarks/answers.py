"""How fast answers load into the table: through the commands' own code, and beside it the bare table.

Run it as a script. It starts the embedded AWS, writes the files of so many answers, and loads them with what
`truthloop workers load` does; then the same items go into the same table with plain calls, which says what
the table itself can take here. In AWS a new on-demand table takes 4,000 writes a second:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html
"""

# A script's output.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("lambdas/shared", "batch_image", "scripts", "tests")]

from local_aws.process import LocalAws  # noqa: E402
from truthloop.trace.answers import AnswersTable  # noqa: E402
from truthloop.trace.people import People  # noqa: E402
from truthloop.trace.recording import JobBook, Recorder  # noqa: E402
from truthloop_cli import workers_load  # noqa: E402
from truthloop_cli.trace_stack import THREADS, TracedStack, client  # noqa: E402
from unit.trace.kit import LAYOUT, PREFIX, Someone, Stack, answer, make_stack  # noqa: E402

ANSWERS_PER_FILE = 3
PEOPLE = 30
JOB = "digits-r0-a1-0123abcd"
BATCH = 25
LONGEST_PLAIN = 10_000

CROWD = [
    Someone(f"private.us-east-1.{number:016x}", f"{number:08x}-1111-4222-8333-444444444444")
    for number in range(PEOPLE)
]
CONTENT = {
    "boundingBox": {
        "boundingBoxes": [
            {"label": "digit", "left": 10 * each, "top": 7, "width": 30, "height": 40} for each in range(5)
        ],
        "inputImageProperties": {"width": 640, "height": 480},
        "initialValueModified": True,
    },
    "clientTiming": json.dumps({"wallMs": 13500, "activeMs": 9100}),
}


def entries(index: int) -> list[dict[str, Any]]:
    """The answers of a file: an object's, by different people."""
    return [
        answer(CROWD[(index * ANSWERS_PER_FILE + each) % PEOPLE], index / 100, CONTENT)
        for each in range(ANSWERS_PER_FILE)
    ]


def per_second(number: int, work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return number / (time.perf_counter() - start)


def in_threads(work: Callable[[int], object], number: int) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(work, range(number)):
            pass


def bare_items(prefix: str, number: int) -> Iterator[dict[str, Any]]:
    """Items as a record of an answer is one, under keys of their own."""
    table = f"{PREFIX}-answers"
    page = client("dynamodb").scan(TableName=table, Limit=1)
    (model,) = [item for item in page["Items"] if "source" in item]
    for index in range(number):
        yield {**model, "answer_of": {"S": f"{prefix}#{index}"}}


class NoTable:
    """A table that takes everything and keeps nothing: what is left is our own work."""

    def __init__(self) -> None:
        self.writes = 0

    def update_item(self, **arguments: Any) -> dict[str, Any]:
        self.writes += 1
        return {"Attributes": {"pseudonym": {"S": "w-0123456789ab"}}}

    def get_item(self, **arguments: Any) -> dict[str, Any]:
        return {}

    def batch_write_item(self, **arguments: Any) -> dict[str, Any]:
        self.writes += 1
        return {}


class NoBucket:
    """Files that are bytes already."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def read_json(self, uri: str) -> Any:
        return json.loads(self._body)


def own_microseconds(number: int) -> float:
    """Processor time of our own code for each answer, from a file's bytes to the arguments of the write."""
    table: Any = NoTable()
    body: Any = NoBucket(json.dumps({"answers": entries(0)}).encode())
    jobs: Any = type("NoJobs", (), {"find": staticmethod(lambda name: None)})()
    recorder = Recorder(body, AnswersTable("answers", table), People("workers", table), JobBook(jobs))
    uri = f"{LAYOUT.labeling_prefix()}{JOB}/annotations/worker-response/iteration-1/0/x.json"
    recorder.record(uri)
    files = max(number // ANSWERS_PER_FILE, 1)
    before = time.process_time()
    for _ in range(files):
        recorder.record_many([uri])
    return (time.process_time() - before) / (files * ANSWERS_PER_FILE) * 1e6


def write_files(stack: Stack, files: int) -> None:
    stack.job(JOB)
    in_threads(lambda index: stack.respond(JOB, index, entries(index)), files)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--answers", type=int, default=100_000)
    number = arguments.parse_args().answers
    files = -(-number // ANSWERS_PER_FILE)
    number = files * ANSWERS_PER_FILE
    plain = min(number, LONGEST_PLAIN)
    print(f"our own code alone: {own_microseconds(20_000):.0f} µs of processor time for each answer")
    with LocalAws(time_scale=0, dockerfile=ROOT / "batch_image" / "Dockerfile") as embedded:
        os.environ |= embedded.environment()
        stack = make_stack(client)
        print(f"writing {files:,} files with {number:,} answers …", flush=True)
        write_files(stack, files)
        loaded = workers_load.load(TracedStack.find(PREFIX, ""), [LAYOUT.labeling_prefix()])
        kept = len(stack.answers.of_campaign("digits").answers)
        if (kept, loaded.rejected) != (number, 0):
            raise SystemExit(f"{kept:,} of {number:,} answers are in the table, {loaded.rejected:,} rejected")
        print(
            f"loaded {kept:,} answers in {loaded.seconds:,.1f} s: "
            f"{loaded.answers_per_second:,.0f} answers/s, "
            "reading the files included",
            flush=True,
        )
        table, dynamodb = f"{PREFIX}-answers", client("dynamodb")
        updated = list(bare_items("update", plain))
        put = [{"PutRequest": {"Item": item}} for item in bare_items("put", plain)]
        uris = list(itertools.islice(stack.s3.list(LAYOUT.labeling_prefix()), plain))

        def update(index: int) -> None:
            item = dict(updated[index])
            key = {name: item.pop(name) for name in ("answer_of", "worker")}
            dynamodb.update_item(
                TableName=table,
                Key=key,
                UpdateExpression=f"SET {', '.join(f'#{name} = :{name}' for name in item)}",
                ExpressionAttributeNames={f"#{name}": name for name in item},
                ExpressionAttributeValues={f":{name}": value for name, value in item.items()},
            )

        def write(index: int) -> None:
            dynamodb.batch_write_item(RequestItems={table: put[index * BATCH : (index + 1) * BATCH]})

        rate = per_second(plain, lambda: in_threads(update, plain))
        print(f"the same table, plain UpdateItem:     {rate:,.0f} items/s ({plain:,} items)", flush=True)
        writes = per_second(plain, lambda: in_threads(write, -(-plain // BATCH)))
        print(f"the same table, plain BatchWriteItem: {writes:,.0f} items/s ({plain:,} items)", flush=True)
        reads = per_second(len(uris), lambda: in_threads(lambda i: stack.s3.read_bytes(uris[i]), len(uris)))
        print(f"the same bucket, plain GetObject:     {reads:,.0f} files/s ({len(uris):,} files)")
        least = number / writes + files / reads
        print(
            f"loading took {loaded.seconds / least:.2f} times as long as plain reads and batched writes take"
        )


if __name__ == "__main__":
    main()
