"""What a work team's members do, as Ground Truth logs it to CloudWatch: the events of WorkerActivity."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labeling_engine.job import Worker
    from labeling_engine.specification import JobSpecification

#: The log group that the service writes to where it exists.
LOG_GROUP = "/aws/sagemaker/groundtruth/WorkerActivity"


class ActivityType(StrEnum):
    """What a worker has done with a task, as ``event_type`` names it."""

    ACCEPTED = "TasksAccepted"
    SUBMITTED = "TasksSubmitted"
    RETURNED = "TasksReturned"
    DECLINED = "TasksDeclined"


def activity_record(
    kind: ActivityType, worker: Worker, specification: JobSpecification, accepted_at: datetime, now: datetime
) -> dict[str, str]:
    """Return the log event of something that a worker has just done.

    All values are texts, those that do not apply are empty, and times have whole seconds. The worker's id is
    the bare one, without the type and region that other files put before it; the object is not named.

    Notes
    -----
    Source: "Track worker performance" (workteam-private-tracking) in the SageMaker developer guide.
    """
    _, _, _, _, account, _ = specification.arn.split(":", 5)
    is_cognito = worker.identity_provider == "Cognito"
    ends = (ActivityType.SUBMITTED, ActivityType.RETURNED, ActivityType.DECLINED)
    submitted, returned, declined = (_log_time(now) if kind is end else "" for end in ends)
    return {
        "worker_id": worker.worker_id.rpartition(".")[2],
        "cognito_user_pool_id": worker.issuer.rpartition("/")[2] if is_cognito else "",
        "cognito_sub_id": worker.sub if is_cognito else "",
        "task_accepted_time": _log_time(accepted_at),
        "task_submitted_time": submitted,
        "task_returned_time": returned,
        "task_declined_time": declined,
        "workteam_arn": specification.workteam_arn,
        "labeling_job_arn": specification.arn,
        "work_requester_account_id": account,
        "job_reference_code": specification.reference_code,
        "job_type": "Private",
        "event_type": str(kind),
        "event_timestamp": str(int(now.timestamp())),
    }


def _log_time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%a %b %d %H:%M:%S} UTC {moment.astimezone(UTC):%Y}"
