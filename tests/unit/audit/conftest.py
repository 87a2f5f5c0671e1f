from __future__ import annotations

import pytest

from truthloop.labeling.jobs import JobsTable
from truthloop.labeling.waiting import Waiting
from truthloop.s3 import S3Gateway
from unit.audit.kit import Studio
from unit.labeling.conftest import backend, executions, jobs, mocked_aws, s3, waiting
from unit.labeling.kit import BUCKET, TABLE, BackendInMemory, WaitingExecutions

__all__ = ["backend", "executions", "jobs", "mocked_aws", "s3", "studio", "waiting"]


@pytest.fixture
def studio(
    s3: S3Gateway,
    jobs: JobsTable,
    waiting: Waiting,
    backend: BackendInMemory,
    executions: WaitingExecutions,
    monkeypatch: pytest.MonkeyPatch,
) -> Studio:
    monkeypatch.setenv("JOBS_TABLE", TABLE)
    monkeypatch.setenv("DATA_BUCKET", BUCKET)
    return Studio(s3, jobs, waiting, backend, executions)
