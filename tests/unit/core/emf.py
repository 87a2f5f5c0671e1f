"""Reads the metrics that a function wrote to its log, as CloudWatch does with the embedded metric format."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from truthloop.labeling.backend import JobStatus
from truthloop.labeling.waiting import OpenJob, Outcome, Release
from truthloop.metrics import Sample, of_audit, of_ended_jobs, of_merge, of_open_jobs, of_round
from unit.labeling.kit import NOW

NAMESPACE = "Truthloop/test"
DECISION = {
    "labels": {"people": 10, "answers": 29, "cumulative_people": 25},
    "cost_usd": {"labeling": 1.29, "compute": 0.21, "total": 1.5, "cumulative": 4.0},
    "quality": {"metric": "accuracy", "value": 0.875, "interval": [0.8, 0.92]},
}
RESULT = {
    "audited": 40,
    "decisions": {"accept": 36, "fix": 1, "reject": 3},
    "unresolved": 1,
    "revoked": 12,
    "estimates": {"initial": {"rate": 0.1}, "auto": {"rate": 0.25}, "final": {"rate": 0.0}},
}
UNITS = {"Count", "Percent", "None"}


@dataclass(frozen=True)
class Point:
    """One value in CloudWatch: its function, its campaign or None, its metric, unit and value."""

    service: str
    campaign: str | None
    metric: str
    unit: str
    value: float

    @property
    def series(self) -> tuple[str, bool, str]:
        return self.service, self.campaign is not None, self.metric


def points(log: str) -> list[Point]:
    """The values in a log; every document in it has to have the structure that CloudWatch asks for.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [point for line in lines if "_aws" in line for point in _points(line)]


def _points(document: dict[str, Any]) -> Iterable[Point]:
    about = document["_aws"]
    # CloudWatch takes milliseconds, of the last two weeks.
    assert isinstance(about["Timestamp"], int)
    assert abs(about["Timestamp"] / 1000 - time.time()) < 3600
    [directive] = about["CloudWatchMetrics"]
    assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
    assert directive["Namespace"] == NAMESPACE
    [dimensions] = directive["Dimensions"]
    assert set(dimensions) in ({"service"}, {"campaign", "service"})
    assert all(isinstance(document[name], str) and document[name] for name in dimensions)
    names = [definition["Name"] for definition in directive["Metrics"]]
    assert 0 < len(names) == len(set(names)) <= 100
    assert set(document) == {"_aws", *dimensions, *names}
    for definition in directive["Metrics"]:
        assert definition["Unit"] in UNITS
        [value] = document[definition["Name"]]
        assert isinstance(value, float)
        yield Point(
            document["service"], document.get("campaign"), definition["Name"], definition["Unit"], value
        )


def declared() -> dict[str, set[tuple[str, bool, str]]]:
    """What truthloop.metrics has each function write: (function, whether by campaign, metric)."""
    release = Release("job", Outcome.RESUMED, JobStatus.COMPLETED, ended=True)
    ended, standing = of_ended_jobs([release]), of_open_jobs([OpenJob("job", "digits", NOW)], NOW)
    written = {
        "decide": of_round("digits", DECISION, budget_usd=10.0),
        "merge_audit": of_audit("digits", RESULT),
        "merge_labels": of_merge("digits", failed=1),
        "reconcile_labeling_jobs": [*ended, *standing],
        "release_labeling_job": ended,
    }
    return {service: _series(service, samples) for service, samples in written.items()}


def _series(service: str, samples: Iterable[Sample]) -> set[tuple[str, bool, str]]:
    return {
        (service, sample.campaign is not None, metric.name) for sample in samples for metric in sample.values
    }
