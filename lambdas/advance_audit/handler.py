"""Takes what an audit's last job brought, and plans the next one or writes the audit's result."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from truthloop import environment
from truthloop.audit.advance import advance
from truthloop.audit.document import audit_within
from truthloop.s3 import S3Gateway

logger = Logger()


@dataclass(frozen=True)
class Environment:
    """What the function reads from its environment."""

    DATA_BUCKET: str


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """{"audit_uri", "labeling": {…} | null} -> {"audit_uri", "done", "step"}."""
    settings = environment.load(Environment)
    layout = audit_within(settings.DATA_BUCKET, event["audit_uri"])
    progress = advance(S3Gateway(), layout, event.get("labeling"), datetime.now(UTC))
    logger.info("audit", audit=layout.name, campaign=layout.campaign, done=progress.done, step=progress.step)
    return {"audit_uri": layout.uri, "done": progress.done, "step": progress.step}
