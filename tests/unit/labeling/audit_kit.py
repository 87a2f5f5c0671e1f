"""What the tests of audits share: Step Functions that also starts executions, and the items of audits."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from unit.labeling.kit import REGION_AND_ACCOUNT, WaitingExecutions, client_error

MACHINE_ARN = f"arn:aws:states:{REGION_AND_ACCOUNT}:stateMachine:label-audit"
AUDITORS = f"arn:aws:sagemaker:{REGION_AND_ACCOUNT}:workteam/private-crowd/auditors"


@dataclass
class AuditExecutions(WaitingExecutions):
    """Step Functions: names are unique, and a running execution is found again by its name and input."""

    inputs: dict[str, Any] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    errors: dict[str, dict[str, str]] = field(default_factory=dict)
    on_start: Callable[[], None] = lambda: None
    describes: list[str] = field(default_factory=list)

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> dict[str, str]:
        assert stateMachineArn == MACHINE_ARN
        assert len(name) <= 80
        if name in self.inputs and (
            self.inputs[name] != json.loads(input) or self.statuses[name] != "RUNNING"
        ):
            raise client_error("ExecutionAlreadyExists", "StartExecution")
        self.inputs[name] = json.loads(input)
        self.statuses.setdefault(name, "RUNNING")
        self.on_start()
        return {"executionArn": arn_of(name)}

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:
        name = executionArn.rpartition(":")[2]
        self.describes.append(name)
        if name not in self.statuses:
            raise client_error("ExecutionDoesNotExist", "DescribeExecution")
        if self.statuses[name] == "UNKNOWN":
            raise client_error("ThrottlingException", "DescribeExecution")
        return {"status": self.statuses[name], **self.errors.get(name, {})}


def arn_of(name: str) -> str:
    return f"arn:aws:states:{REGION_AND_ACCOUNT}:execution:label-audit:{name}"
