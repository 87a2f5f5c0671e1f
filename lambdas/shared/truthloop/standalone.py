"""What a labelling job of somebody else's labelled, so that it can be audited though no campaign tells.

The service says where the labels lie and who gave them. What kind of labels they are stands in their
metadata, or is told by how they look; the categories stand in the job's configuration, or in the labels'
metadata.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from truthloop import labels, task_types
from truthloop.audit.document import AuditDocument, Labeling, Source
from truthloop.auditing import AUDITED_STATUSES, auditors_of, has_labels, labeled_rows, seed_of
from truthloop.errors import AccessRefused, InvalidText, ObjectNotFound, TruthloopError
from truthloop.labeling.backend import Job
from truthloop.labeling.ground_truth import read_description
from truthloop.layout import AuditLayout, JobLayout
from truthloop.manifest import SOURCE, SOURCE_REF, Row, metadata_key
from truthloop.names import standalone_audit_name
from truthloop.request import Audit, Integer, parse_audit
from truthloop.s3 import S3Gateway

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

_REFERENCE_SUFFIX = "-ref"
_BACKGROUND_INDEX = 0
_SHOWN_ROWS = 3
_WORKERS = Integer(1, 9)
# What CreateLabelingJob fills in where the job's maker leaves it out:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_HumanTaskConfig.html
_AVAILABILITY_SECONDS = 864_000
_CONCURRENT_TASKS = 1_000
_KEYWORDS = ("audit",)


class UnauditableJob(TruthloopError):
    """The labels of a labelling job are of no kind that can be audited."""


class InvalidSettings(TruthloopError):
    """The stack's settings for stand-alone audits break their rules."""


@dataclass(frozen=True)
class StandaloneAudits:
    """Which jobs that belong to no campaign are audited, and how.

    Attributes
    ----------
    job_name_prefix
        How the names of such jobs begin; None to audit none.
    policy
        As in a campaign's request.
    workers_per_object
        People who label a rejected object again.
    """

    job_name_prefix: str | None
    policy: Audit
    workers_per_object: int

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> StandaloneAudits:
        """Read {"job_name_prefix", "policy", "workers_per_object"}.

        Raises
        ------
        InvalidRequest
            When the policy breaks the rules of a request's `audit`.
        InvalidSettings
            When something else is wrong.
        """
        prefix, workers = document.get("job_name_prefix"), document.get("workers_per_object")
        if prefix is not None and (not isinstance(prefix, str) or not prefix):
            raise InvalidSettings(
                f"job_name_prefix is {prefix!r}; allowed: how the jobs' names begin, or null for none. "
                "Correct the stack's standalone_audits."
            )
        if _WORKERS.refusal(workers) is not None:
            raise InvalidSettings(
                f"workers_per_object is {workers!r}; allowed: {_WORKERS.allowed}. "
                "Correct the stack's standalone_audits."
            )
        return cls(prefix, parse_audit(document.get("policy") or {}), int(workers or 0))

    def want(self, job_name: str) -> bool:
        """Whether a job of that name is audited."""
        return (
            self.job_name_prefix is not None
            and job_name.startswith(self.job_name_prefix)
            and self.policy.is_wanted
        )


def audit_of_job(
    s3: S3Gateway,
    sagemaker: SageMakerClient,
    data_bucket: str,
    job_name: str,
    settings: StandaloneAudits,
    auditors_workteam_arn: str | None,
    now: datetime,
) -> AuditDocument | None:
    """What is audited of a job; None when it has failed, goes on, or has no label.

    Parameters
    ----------
    auditors_workteam_arn
        The stack's own auditors, None when it has none.

    Raises
    ------
    NoAuditors
        When there is no team but the one that labelled.
    UnauditableJob
        When its labels are of no kind that a task type has.
    """
    description = sagemaker.describe_labeling_job(LabelingJobName=job_name)
    job, job_arn = read_description(description), description["LabelingJobArn"]
    if job.status not in AUDITED_STATUSES:
        return None
    attribute = description["LabelAttributeName"]
    if not has_labels(s3, job, attribute):
        return None
    audit = AuditLayout(data_bucket, None, standalone_audit_name(job_arn))
    configured = _configured_categories(s3, description.get("LabelCategoryConfigS3Uri"))
    task_type, categories = recognise(_Rows(s3, job, attribute), attribute, configured, job_name)
    return AuditDocument(
        name=audit.name,
        uri=audit.uri,
        created_at=now.isoformat(),
        campaign=None,
        source=Source(
            job_name=job_name,
            job_arn=job_arn,
            output_manifest_uri=job.output_manifest_uri,
            worker_response_prefix=JobLayout(job.output_uri, job_name).worker_responses_prefix(),
            auto_manifest_uri=None,
            task_type=task_type,
            label_attribute=attribute,
            label_categories=categories,
            instructions="",
        ),
        policy=settings.policy,
        target_precision=None,
        seed=seed_of(job_arn),
        labeling=_labeling(description["HumanTaskConfig"], settings, auditors_workteam_arn),
    )


class _Rows:
    """A job's labelled rows, read again for each pass: a large job's would not fit into the memory."""

    def __init__(self, s3: S3Gateway, job: Job, attribute: str) -> None:
        self._source = (s3, job, attribute)

    def __iter__(self) -> Iterator[Row]:
        return labeled_rows(*self._source)


def recognise(
    rows: Iterable[Row], attribute: str, categories: Sequence[str] | None, job_name: str = "the job"
) -> tuple[str, tuple[str, ...]]:
    """The task type of labelled rows, and their label categories.

    The metadata's `type` names the task type; where it names none, the task type is one whose labels look
    like these. All rows have to be of it.

    Parameters
    ----------
    rows
        Gone through several times.
    categories
        As the job's configuration lists them; None to read them from the labels' metadata.

    Raises
    ------
    UnauditableJob
        Says what the rows have instead.
    """
    found = [name for name in task_types.names() if _is_shown(task_types.get(name).SOURCE_KEY, rows)]
    types = {_metadata(row, attribute).get("type") for row in rows}
    named = [name for name in found if {task_types.get(name).METADATA_TYPE} == types]
    refused: dict[str, str] = {}
    for name in named or found:
        kind = task_types.get(name).LABEL_KIND
        if labels.is_by_reference(kind) != attribute.endswith(_REFERENCE_SUFFIX):
            refused[name] = f"{attribute}, which is a name for other labels"
            continue
        known = tuple(categories or _categories_of(kind, rows, attribute))
        problem = _first_refusal(kind, rows, attribute, known)
        if problem is None:
            return name, known
        refused[name] = problem
    shown = "; ".join(f"{name}: {problem}" for name, problem in list(refused.items())[:_SHOWN_ROWS])
    raise UnauditableJob(
        f"The labels of {job_name} under {attribute}, of type "
        f"{', '.join(sorted(str(each) for each in types))}, are none of a known task type"
        f"{f' ({shown})' if shown else ''}; allowed: {', '.join(task_types.names())}. "
        "Audit this job by hand, or take its name out of standalone_audits.job_name_prefix."
    )


def _is_shown(source_key: str, rows: Iterable[Row]) -> bool:
    other = SOURCE if source_key == SOURCE_REF else SOURCE_REF
    return all(isinstance(row.get(source_key), str) and other not in row for row in rows)


def _first_refusal(kind: str, rows: Iterable[Row], attribute: str, categories: Sequence[str]) -> str | None:
    for row in rows:
        if (refusal := labels.refusal(kind, row, attribute, categories)) is not None:
            return refusal
    return None


def _metadata(row: Mapping[str, Any], attribute: str) -> Mapping[str, Any]:
    found = row.get(metadata_key(attribute))
    return found if isinstance(found, dict) else {}


def _categories_of(kind: str, rows: Iterable[Row], attribute: str) -> list[str]:
    """The categories that the labels' metadata name, by their indices; one that no label has is numbered."""
    names: dict[int, str] = {}
    for row in rows:
        for index, name in _named(kind, row, attribute):
            names.setdefault(index, name)
    return [names.get(index, f"category {index}") for index in range(max(names, default=-1) + 1)]


def _named(kind: str, row: Row, attribute: str) -> Iterator[tuple[int, str]]:
    """The categories that one label's metadata name."""
    metadata = _metadata(row, attribute)
    if kind == labels.CLASS:
        label = row[attribute]
        entries: Any = {str(label): metadata.get("class-name")}
    elif kind == labels.MASK:
        entries = {
            # Index 0 is the background's, so the first category is 1.
            str(int(index) - 1): entry.get("class-name")
            for index, entry in _items(metadata.get("internal-color-map"))
            if index.isdigit() and int(index) != _BACKGROUND_INDEX and isinstance(entry, dict)
        }
    else:
        entries = metadata.get("class-map")
    for index, name in _items(entries):
        if index.isascii() and index.isdigit() and isinstance(name, str):
            yield int(index), name


def _items(document: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(document, dict):
        yield from document.items()


def _configured_categories(s3: S3Gateway, uri: str | None) -> list[str] | None:
    """The labels of a label category configuration; None when it cannot be read or lists none.

    https://docs.aws.amazon.com/sagemaker/latest/dg/sms-label-cat-config-attributes.html
    """
    if uri is None:
        return None
    try:
        document = s3.read_json(uri)
    except (ObjectNotFound, AccessRefused, InvalidText):
        # It may have been removed since, or lie where this stack may not read; the metadata tell them too.
        return None
    entries = document.get("labels") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        return None
    names = [entry.get("label") if isinstance(entry, dict) else None for entry in entries]
    known = [name for name in names if isinstance(name, str)]
    # A label is an index into the list, so none may be left out.
    return known if known and len(known) == len(names) else None


def _labeling(
    task: Mapping[str, Any], settings: StandaloneAudits, auditors_workteam_arn: str | None
) -> Labeling:
    policy = settings.policy
    auditors = auditors_of(policy.workteam_arn, auditors_workteam_arn, task["WorkteamArn"])
    return Labeling(
        workteam_arn=task["WorkteamArn"],
        auditors_workteam_arn=auditors,
        experts_workteam_arn=policy.expert_workteam_arn or auditors,
        workers_per_object=settings.workers_per_object,
        task_title=task["TaskTitle"],
        task_description=task["TaskDescription"],
        task_keywords=tuple(task.get("TaskKeywords") or _KEYWORDS),
        task_time_limit_seconds=task["TaskTimeLimitInSeconds"],
        task_availability_seconds=task.get("TaskAvailabilityLifetimeInSeconds", _AVAILABILITY_SECONDS),
        max_concurrent_tasks=task.get("MaxConcurrentTaskCount", _CONCURRENT_TASKS),
        price_per_answer_usd=_price(task),
    )


def _price(task: Mapping[str, Any]) -> float | None:
    """What the job pays a public crowd for an answer, in USD; None for other teams."""
    amount = task.get("PublicWorkforceTaskPrice", {}).get("AmountInUsd")
    if amount is None:
        return None
    tenths_of_a_cent = 1_000 * amount.get("Dollars", 0) + 10 * amount.get("Cents", 0)
    return float(tenths_of_a_cent + amount.get("TenthFractionsOfACent", 0)) / 1_000
