"""An in-memory world and a job in it, shared by the tests of the labelling engine."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from labeling_engine import (
    FunctionFailed,
    JobSpecification,
    LabelingJob,
    ObjectUnreadable,
    SimulatedAnnotators,
    Task,
    VirtualClock,
    Worker,
    simulate,
)

START = datetime(2026, 3, 1, 9, 0, 0, tzinfo=UTC)
CATEGORIES = ["0", "1", "2"]
PRE = "arn:aws:lambda:us-east-1:123456789012:function:tests-pre-annotation"
POST = "arn:aws:lambda:us-east-1:123456789012:function:tests-post-annotation"
ISSUER = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Tests"
PREFIX = "s3://bucket/output/digits-r0"
TEMPLATE = """
<crowd-form>
  <crowd-image-classifier name="digit" src="{{ task.input.taskObject | grant_read_access }}"
      categories="{{ task.input.labels | to_json | escape }}" header="Which digit?">
    <full-instructions header="How">Look closely.</full-instructions>
  </crowd-image-classifier>
</crowd-form>
"""

Function = Callable[[dict[str, Any]], Any]


@dataclass
class InMemoryWorld:
    """Objects in a dict, functions in Python, events in a list, and a clock that the test moves."""

    objects: dict[str, bytes] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    activity: list[dict[str, str]] = field(default_factory=list)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(START))
    delay: Callable[[dict[str, Any]], float] | None = None

    def read_object(self, uri: str) -> bytes:
        if uri not in self.objects:
            raise ObjectUnreadable(f"{uri} does not exist")
        return self.objects[uri]

    def write_object(self, uri: str, body: bytes) -> None:
        self.objects[uri] = body

    def invoke_function(self, arn: str, payload: dict[str, Any]) -> Any:
        if self.delay:
            time.sleep(self.delay(payload))
        self.calls.append((arn, payload))
        return json.loads(json.dumps(self.functions[arn](json.loads(json.dumps(payload)))))

    def publish(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    def log_activity(self, record: dict[str, str]) -> None:
        self.activity.append(record)

    def json(self, path: str) -> Any:
        """Return a JSON object below the job's folder."""
        return json.loads(self.objects[f"{PREFIX}/{path}"])

    def paths(self, below: str) -> list[str]:
        """Return the paths below a folder of the job, sorted."""
        start = f"{PREFIX}/{below}"
        return sorted(uri.removeprefix(PREFIX + "/") for uri in self.objects if uri.startswith(start))

    def requests(self, arn: str) -> list[dict[str, Any]]:
        """Return the events that a function was called with, in order."""
        return [payload for called, payload in self.calls if called == arn]

    def rows(self, path: str = "manifests/output/output.manifest") -> list[dict[str, Any]]:
        """Return the rows of a manifest below the job's folder."""
        return [json.loads(line) for line in self.objects[f"{PREFIX}/{path}"].decode().splitlines()]


def pre_annotate(event: dict[str, Any]) -> dict[str, Any]:
    """A pre-annotation function as the documentation describes one."""
    row = event["dataObject"]
    return {
        "taskInput": {"taskObject": row.get("source-ref", row.get("source")), "labels": CATEGORIES},
        "isHumanAnnotationRequired": True,
    }


def majority(world: InMemoryWorld) -> Function:
    """Return a post-annotation function that takes the most frequent label."""

    def post_annotate(event: dict[str, Any]) -> list[dict[str, Any]]:
        attribute = event["labelAttributeName"]
        entries = []
        for item in json.loads(world.objects[event["payload"]["s3Uri"]]):
            labels = [
                json.loads(a["annotationData"]["content"])["digit"]["label"] for a in item["annotations"]
            ]
            winner = max(sorted(set(labels)), key=labels.count)
            content = {
                attribute: CATEGORIES.index(winner),
                f"{attribute}-metadata": {
                    "class-name": winner,
                    "confidence": labels.count(winner) / len(labels),
                },
            }
            entries.append(
                {"datasetObjectId": item["datasetObjectId"], "consolidatedAnnotation": {"content": content}}
            )
        return entries

    return post_annotate


def image_rows(count: int) -> list[dict[str, Any]]:
    """Return manifest rows of images whose truth is their number modulo three."""
    return [{"source-ref": f"s3://bucket/images/{index:04d}.png"} for index in range(count)]


def truth_of(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Return the truth of such rows by source."""
    return {row["source-ref"]: CATEGORIES[index % 3] for index, row in enumerate(rows)}


def request(**changes: Any) -> dict[str, Any]:
    """Return a CreateLabelingJob request; a change's key may lie in HumanTaskConfig or at the top."""
    document: dict[str, Any] = {
        "LabelingJobName": "digits-r0",
        "LabelAttributeName": "label",
        "InputConfig": {"DataSource": {"S3DataSource": {"ManifestS3Uri": "s3://bucket/input.manifest"}}},
        "OutputConfig": {"S3OutputPath": "s3://bucket/output/"},
        "RoleArn": "arn:aws:iam::123456789012:role/labeling",
        "LabelCategoryConfigS3Uri": "s3://bucket/label_categories.json",
        "HumanTaskConfig": {
            "WorkteamArn": "arn:aws:sagemaker:us-east-1:123456789012:workteam/private-crowd/tests",
            "UiConfig": {"UiTemplateS3Uri": "s3://bucket/template.liquid.html"},
            "PreHumanTaskLambdaArn": PRE,
            "TaskTitle": "Digits",
            "TaskDescription": "Name the digit",
            "NumberOfHumanWorkersPerDataObject": 3,
            "TaskTimeLimitInSeconds": 600,
            "TaskAvailabilityLifetimeInSeconds": 86_400,
            "AnnotationConsolidationConfig": {"AnnotationConsolidationLambdaArn": POST},
        },
    }
    for key, value in changes.items():
        place = document if key in document or key == "StoppingConditions" else document["HumanTaskConfig"]
        if value is None:
            del place[key]
        else:
            place[key] = value
    return document


def make_job(rows: list[dict[str, Any]] | bytes, **changes: Any) -> tuple[LabelingJob, InMemoryWorld]:
    """Return a job that is created but not started, and its world."""
    world = InMemoryWorld()
    body = rows if isinstance(rows, bytes) else "".join(json.dumps(row) + "\n" for row in rows).encode()
    labels = {"document-version": "2018-11-28", "labels": [{"label": name} for name in CATEGORIES]}
    world.objects = {
        "s3://bucket/input.manifest": body,
        "s3://bucket/template.liquid.html": TEMPLATE.encode(),
        "s3://bucket/label_categories.json": json.dumps(labels).encode(),
    }
    world.functions = {PRE: pre_annotate, POST: majority(world)}
    arn = "arn:aws:sagemaker:us-east-1:123456789012:labeling-job/digits-r0"
    return LabelingJob(JobSpecification.from_request(request(**changes), arn), world), world


def started_job(rows: list[dict[str, Any]] | bytes, **changes: Any) -> tuple[LabelingJob, InMemoryWorld]:
    """Return a job in progress whose first objects are open to workers, and its world."""
    job, world = make_job(rows, **changes)
    job.start()
    job.tick()
    return job, world


def worker(name: str) -> Worker:
    """Return a worker."""
    return Worker(
        worker_id=f"private.us-east-1.{name}", sub=f"sub-{name}", issuer=ISSUER, identity_provider="Cognito"
    )


def accept(job: LabelingJob, who: Worker) -> Task:
    """Return the worker's next task, which must be there."""
    task = job.next_task(who)
    assert task is not None
    return task


def answer(label: str) -> dict[str, Any]:
    """Return an answer in the form of the template's element."""
    return {"digit": {"label": label}}


def work_through(job: LabelingJob, who: Worker, label: str = "1") -> list[str]:
    """Let a worker answer everything that is to be had; return the object ids in order."""
    done = []
    while task := job.next_task(who):
        job.submit(who, task.object_id, answer(label))
        done.append(task.object_id)
    return done


def annotator(name: str, **changes: Any) -> dict[str, Any]:
    """Return an annotator's description."""
    return {"name": name, "accuracy": 0.9, "seconds_median": 4.0, "seconds_spread": 0.4, **changes}


def team(rows: list[dict[str, Any]], annotators: list[dict[str, Any]], seed: int = 1) -> SimulatedAnnotators:
    """Return simulated annotators who know the truth of `image_rows`."""
    return SimulatedAnnotators.from_document(
        {"seed": seed, "truth": truth_of(rows), "annotators": annotators}
    )


def run(job: LabelingJob, world: InMemoryWorld, annotators: SimulatedAnnotators) -> None:
    """Start a job and have it done by simulated annotators."""
    job.start()
    simulate(job, annotators, world.clock, region="us-east-1", issuer=ISSUER)


def failing(message: str) -> Function:
    """Return a function that always ends with an error."""

    def fail(_event: dict[str, Any]) -> Any:
        raise FunctionFailed(message)

    return fail


def watched(world: InMemoryWorld, arn: str, function: Function) -> list[int]:
    """Let a function note how many of its calls ran at a time; returns the list that it notes them in."""
    running, noted, lock = 0, [], threading.Lock()

    def call(event: dict[str, Any]) -> Any:
        nonlocal running
        with lock:
            running += 1
            noted.append(running)
        time.sleep(0.002)
        with lock:
            running -= 1
        return function(event)

    world.functions[arn] = call
    return noted
