"""What the audit's tests share: a studio in which scripted people work through the real functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from truthloop.audit import ACCEPT, FIX, REJECT
from truthloop.audit.advance import Progress, advance
from truthloop.audit.document import AuditDocument, CampaignRound, Labeling, Source
from truthloop.audit.steps import Step
from truthloop.labeling.backend import JobStatus
from truthloop.labeling.creation import create_audit_job
from truthloop.labeling.jobs import LABEL, JobsTable
from truthloop.labeling.waiting import Waiting
from truthloop.layout import AuditLayout, JobLayout
from truthloop.manifest import Row, encode_row, read_master, row_id, with_provenance
from truthloop.names import audit_name, labeling_job_name
from truthloop.request import Audit
from truthloop.s3 import S3Gateway
from unit.labeling import answers
from unit.labeling.kit import (
    BUCKET,
    CATEGORIES,
    FUNCTIONS,
    LAYOUT,
    WORKTEAM,
    BackendInMemory,
    WaitingExecutions,
    lambda_context,
    load_handler,
    record,
)

TASK_TYPES = (
    "bounding-box",
    "image-classification",
    "image-multi-label",
    "semantic-segmentation",
    "text-classification",
)
ROUND = 1
JOB = labeling_job_name(LAYOUT, ROUND, 1)
AUDITORS = WORKTEAM.replace("annotators", "auditors")
EXPERTS = WORKTEAM.replace("annotators", "experts")
AT = datetime(2030, 2, 1, 9, 0, 0, tzinfo=UTC)
ARN = "arn:aws:sagemaker:us-east-1:123456789012:labeling-job/"
COMMENT = "左端が欠けている"

Answer = Mapping[str, Any] | None
Script = Callable[[str, int, int, str, Mapping[str, Any]], Answer]
"""What a worker answers: purpose, object, how often it came for that purpose (from 1), worker, task input."""


def attribute_of(task_type: str) -> str:
    return "label-ref" if task_type == "semantic-segmentation" else "label"


def accept() -> dict[str, Any]:
    return {"auditDecision": ACCEPT, "auditReason": "", "auditComment": "", "auditFix": ""}


def reject(reason: str = "missing", comment: str = COMMENT) -> dict[str, Any]:
    return {"auditDecision": REJECT, "auditReason": reason, "auditComment": comment, "auditFix": ""}


def fix(content: Any, reason: str = "", comment: str = "") -> dict[str, Any]:
    return {
        "auditDecision": FIX,
        "auditReason": reason,
        "auditComment": comment,
        "auditFix": json.dumps(content, ensure_ascii=False),
    }


FIXES: Mapping[str, Any] = {
    "bounding-box": {"boxes": [{"label": "bird", "left": 1, "top": 2, "width": 3, "height": 4}]},
    "image-classification": {"label": "bird"},
    "image-multi-label": {"labels": ["bird", "cat"]},
    "semantic-segmentation": {"categories": {"cat": "bird"}},
    "text-classification": {"label": "bird"},
}
"""For each task type a fix of the label that `answers.answer(task_type, CATEGORIES, 0)` gives."""


def scripted(
    verdicts: Mapping[int, Sequence[Answer]] | None = None,
    task_type: str = "image-classification",
    finals: Mapping[int, Sequence[Answer]] | None = None,
    labels: Mapping[tuple[str, int], Sequence[int | None]] | None = None,
) -> Script:
    """Auditors accept what has no verdict here, others choose the first category; the last item repeats.

    Parameters
    ----------
    verdicts, finals
        By object what auditors answer, one time after the other.
    labels
        By purpose and object the category that is chosen, None for no answer.
    """

    def answer(purpose: str, number: int, turn: int, worker: str, task_input: Mapping[str, Any]) -> Answer:
        if purpose in ("audit", "final"):
            given = ((verdicts if purpose == "audit" else finals) or {}).get(number, [accept()])
            return given[min(turn, len(given)) - 1]
        chosen = (labels or {}).get((purpose, number), [0])
        category = chosen[min(turn, len(chosen)) - 1]
        return None if category is None else answers.answer(task_type, CATEGORIES, category)

    return answer


def policy(**changes: Any) -> Audit:
    return replace(Audit(policy="all"), **changes)


@dataclass
class Studio:
    """A stack in which people work off the jobs of one audit.

    `made` are the sources' numbers by row id; `worked` what was done, as (purpose, numbers of the objects).
    """

    s3: S3Gateway
    jobs: JobsTable
    waiting: Waiting
    backend: BackendInMemory
    executions: WaitingExecutions
    task_type: str = "image-classification"
    made: dict[str, int] = field(default_factory=dict)
    worked: list[tuple[str, list[int]]] = field(default_factory=list)
    inputs: dict[tuple[str, int], list[Any]] = field(default_factory=dict)
    document: AuditDocument | None = None
    seconds: int = 0

    @property
    def attribute(self) -> str:
        return attribute_of(self.task_type)

    @property
    def metadata(self) -> str:
        return f"{self.attribute}-metadata"

    @property
    def layout(self) -> AuditLayout:
        assert self.document is not None
        return self.document.layout

    @cached_property
    def functions(self) -> dict[str, Any]:
        return {name: load_handler(name) for name in ("pre_annotation", "post_annotation")}

    def call(self, function: str, event: Any) -> Any:
        answer = self.functions[function].lambda_handler(
            json.loads(json.dumps(event)), lambda_context(function)
        )
        return json.loads(json.dumps(answer, allow_nan=False))

    # The labels that are audited

    def row(self, number: int) -> Row:
        if self.task_type == "text-classification":
            row: Row = {"source": f"text {number}"}
        else:
            row = {"source-ref": f"s3://images/{number}.png"}
        made = with_provenance({**row, "weather": "雨"}, self.attribute)
        self.made[row_id(made)] = number
        return made

    def label(
        self,
        task_type: str,
        choices: Sequence[int | None],
        people: Sequence[str] = ("ann",),
        extra: Sequence[Row] = (),
    ) -> None:
        """Have a round's job label as many objects, each with the category that is chosen for it."""
        self.task_type = task_type
        rows = [self.row(number) for number in range(len(choices))]
        self.s3.write_bytes(LAYOUT.selection_manifest(ROUND), lines([*rows, *extra]))
        known = record(
            JOB,
            round=ROUND,
            task_type=task_type,
            label_attribute=self.attribute,
            manifest_uri=LAYOUT.selection_manifest(ROUND),
            output_uri=LAYOUT.labeling_prefix(),
            purpose=LABEL,
        )
        self.jobs.open(known)

        def answer(purpose: str, number: int, turn: int, worker: str, shown: Mapping[str, Any]) -> Answer:
            # What comes beside the objects is labelled with the first category.
            chosen = choices[number] if number < len(choices) else 0
            return None if chosen is None else answers.answer(task_type, CATEGORIES, chosen)

        self._work_off(JOB, LABEL, [*rows, *extra], self.attribute, LAYOUT.labeling_prefix(), answer, people)

    def begin(
        self,
        rules: Audit | None = None,
        auto: Sequence[Row] | None = None,
        target_precision: float | None = None,
        **changes: Any,
    ) -> None:
        """Freeze the audit of the round."""
        name = audit_name(LAYOUT, ROUND)
        folder = JobLayout(LAYOUT.labeling_prefix(), JOB)
        if auto is not None:
            self.s3.write_bytes(LAYOUT.auto_manifest(ROUND), lines(auto))
        layout = AuditLayout(BUCKET, LAYOUT.campaign, name)
        document = AuditDocument(
            name=name,
            uri=layout.uri,
            created_at=AT.isoformat(),
            campaign=CampaignRound(LAYOUT.campaign, LAYOUT.uri, ROUND),
            source=Source(
                job_name=JOB,
                job_arn=ARN + JOB,
                output_manifest_uri=folder.output_manifest(),
                worker_response_prefix=folder.worker_responses_prefix(),
                auto_manifest_uri=LAYOUT.auto_manifest(ROUND),
                task_type=self.task_type,
                label_attribute=self.attribute,
                label_categories=CATEGORIES,
                instructions="Look <twice>.",
            ),
            policy=policy() if rules is None else rules,
            target_precision=target_precision,
            seed=7,
            labeling=Labeling(
                workteam_arn=WORKTEAM,
                auditors_workteam_arn=AUDITORS,
                experts_workteam_arn=EXPERTS,
                workers_per_object=2,
                task_title="画像の分類",
                task_description="Choose.",
                task_keywords=("images", "animals"),
                task_time_limit_seconds=600,
                task_availability_seconds=3_600,
                max_concurrent_tasks=10,
                price_per_answer_usd=0.03,
            ),
        )
        self.document = replace(document, **changes)
        self.s3.write_json_once(self.layout.document(), self.document.to_document())

    # The audit

    def advance(self, labeling: Mapping[str, Any] | None = None) -> Progress:
        return advance(self.s3, self.layout, labeling, AT)

    def step(self, number: int) -> Step:
        return Step.from_document(self.s3.read_json(self.layout.step(number)))

    def work(
        self,
        number: int,
        script: Script,
        people: Mapping[str, Sequence[str]] | None = None,
        status: JobStatus = JobStatus.COMPLETED,
    ) -> dict[str, Any]:
        """Create the job of a step, have people work it off, and return what the waiting state gets."""
        step = self.step(number)
        token = f"token-{number}"
        create_audit_job(self.s3, self.waiting, self.layout, number, token, FUNCTIONS, AT)
        [name] = [
            name
            for name, job in self.backend.jobs.items()
            if job.manifest_uri == step.manifest_uri and not job.status.is_final
        ]
        rows = list(read_master(self.s3, step.manifest_uri))
        assert len(rows) == step.objects
        teams = {"relabel": ("rob", "ria"), "expert": ("eve",), **(people or {})}
        workers = teams.get(step.purpose, ("aud-1", "aud-2", "aud-3", "aud-4"))[: step.workers_per_object]
        uri = self._work_off(
            name, step.purpose, rows, step.label_attribute, self.layout.labeling_prefix(), script, workers
        )
        self.worked.append((step.purpose, [self.made[row_id(row)] for row in rows]))
        self.backend.finish(name, status, output_manifest_uri=uri)
        self.waiting.release(name)
        return self.executions.successes[token]

    def run(
        self, script: Script, people: Mapping[str, Sequence[str]] | None = None, steps: int = 30
    ) -> dict[str, Any]:
        """Drive the audit as its state machine does; returns result.json."""
        labeling = None
        for _ in range(steps):
            progress = self.advance(labeling)
            if progress.done:
                return self.s3.read_json(self.layout.result())
            labeling = self.work(progress.step, script, people)
        raise AssertionError(f"the audit is not done after {steps} steps: {self.worked}")

    def audited(self) -> dict[int, Row]:
        """audited.manifest by the numbers of the sources."""
        rows = list(read_master(self.s3, self.layout.audited_manifest()))
        found = {self.made[row_id(row)]: row for row in rows}
        assert len(found) == len(rows)
        return found

    def statuses(self) -> dict[int, str]:
        return {number: row["truthloop"]["audit"]["status"] for number, row in self.audited().items()}

    def events(self, number: int) -> list[str]:
        return [entry["event"] for entry in self.audited()[number]["truthloop"]["history"]]

    def _work_off(
        self,
        name: str,
        purpose: str,
        rows: Sequence[Row],
        attribute: str,
        output_uri: str,
        script: Script,
        workers: Sequence[str],
    ) -> str:
        """A job in Ground Truth's layout, through the two annotation functions; the output manifest's URI."""
        folder = JobLayout(output_uri, name)
        payload, outputs = [], [dict(row) for row in rows]
        for position, row in enumerate(rows):
            task = self.call("pre_annotation", {"labelingJobArn": ARN + name, "dataObject": row})
            number = self.made[row_id(row)]
            seen = self.inputs.setdefault((purpose, number), [])
            seen.append(task["taskInput"])
            annotations = []
            for worker in workers:
                content = script(purpose, number, len(seen), worker, task["taskInput"])
                if content is None:
                    continue
                annotations.append(answers.annotation(worker, content))
                self.s3.write_json(
                    f"{folder.worker_responses_prefix()}iteration-1/{position}/{self._now()}.json",
                    {"answers": [response(worker, content, self.seconds)]},
                )
            if annotations:
                shown = {"s3Uri": row["source-ref"]} if "source-ref" in row else {"content": row["source"]}
                payload.append(
                    {"datasetObjectId": str(position), "dataObject": shown, "annotations": annotations}
                )
        uri = f"{folder.uri}annotations/consolidated-annotation/consolidation-request/iteration-1/1.json"
        self.s3.write_json(uri, payload)
        for entry in self.call("post_annotation", {"labelingJobArn": ARN + name, "payload": {"s3Uri": uri}}):
            content = entry["consolidatedAnnotation"]["content"]
            assert set(content) <= {attribute, f"{attribute}-metadata"}
            outputs[int(entry["datasetObjectId"])] |= content
        self.s3.write_bytes(folder.output_manifest(), lines(outputs))
        return folder.output_manifest()

    def _now(self) -> str:
        self.seconds += 1
        return f"2030-02-01_09:{self.seconds // 60:02d}:{self.seconds % 60:02d}"


def response(worker: str, content: Any, seconds: int, **changes: Any) -> dict[str, Any]:
    """One answer as Ground Truth writes it into a worker response."""
    return {
        "answerContent": content,
        "submissionTime": f"2030-02-01T09:{seconds // 60:02d}:{seconds % 60:02d}.000Z",
        "workerId": f"private.us-east-1.{worker}",
        "workerMetadata": {"identityData": {"identityProviderType": "Cognito", "sub": f"sub-of-{worker}"}},
        **changes,
    }


def lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return "".join(encode_row(row) + "\n" for row in rows).encode()


def model_row(studio: Studio, number: int, category: int, confidence: float = 0.97) -> Row:
    """A row that the model labelled, of a classification."""
    row = studio.row(number)
    told = {"labeled_by": "model", "reason": "auto", "score": 0.03, "model": "s3://m", "round": ROUND}
    return {
        **row,
        "label": category,
        "label-metadata": {
            "class-name": CATEGORIES[category],
            "confidence": confidence,
            "human-annotated": "no",
            "type": "groundtruth/image-classification",
        },
        "truthloop": {
            **row["truthloop"],
            **told,
            "history": [
                {"at": "2030-01-31T00:00:00+00:00", "event": "auto-labeled", "round": ROUND, "job": None}
            ],
        },
    }
