"""What a run used, for the round's costs: rounds/<n>/usage/<step>[-<index>].json."""

from __future__ import annotations

import json
import os
import resource
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from truthloop_batch.context import Context

_METADATA_TIMEOUT_SECONDS = 5
_CPU_SHARES_PER_VCPU = 1024


@dataclass(frozen=True)
class Resources:
    """What the run is charged for: virtual processors, and memory in MiB."""

    vcpus: float
    memory_mib: int


def resources(environment: Mapping[str, str]) -> Resources:
    """What the container has reserved; on a plain machine, its processors and the peak of this process.

    On AWS the reservation is told by the task metadata endpoint: by the task's limits in vCPU where it has
    some (Fargate), else by the container's, in CPU shares.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-response.html
    """
    endpoint = environment.get("ECS_CONTAINER_METADATA_URI_V4")
    if endpoint is None:
        peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return Resources(os.cpu_count() or 1, -(-peak_kib // 1024))
    task = _document(f"{endpoint}/task").get("Limits")
    if task is not None:
        return Resources(task["CPU"], task["Memory"])
    container = _document(endpoint)["Limits"]
    return Resources(container["CPU"] / _CPU_SHARES_PER_VCPU, container["Memory"])


def record(context: Context, step: str, seconds: float, environment: Mapping[str, str]) -> None:
    """Write the usage of a step that has ended well, once."""
    used = resources(environment)
    context.s3.write_json_once(
        context.layout.usage(context.round, step, context.array_index),
        {
            "step": step,
            "index": context.array_index,
            "seconds": round(seconds, 3),
            "vcpus": used.vcpus,
            "memory_mib": used.memory_mib,
            "attempt": int(environment.get("AWS_BATCH_JOB_ATTEMPT", "1")),
        },
    )


def _document(url: str) -> dict[str, Any]:
    # The address is the container agent's own, from the environment: no scheme but http occurs.
    with urllib.request.urlopen(url, timeout=_METADATA_TIMEOUT_SECONDS) as answer:  # noqa: S310
        document: dict[str, Any] = json.load(answer)
        return document
