"""What the functions measure: the metrics' names and units, once, and their values from plain data.

A function writes them to its log in CloudWatch's embedded metric format; there they become metrics of the
namespace POWERTOOLS_METRICS_NAMESPACE with the dimensions `service`, the function's folder, and `campaign`:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

Alarms can't watch "any campaign", so what they need is written a second time for the whole stack, without the
dimension `campaign`. A repeated round gives the same values again: all metrics but the ended jobs are meant
to be read by their maximum, which repetition leaves alone, and an ended job is counted by one call alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from truthloop.labeling.backend import JobStatus
from truthloop.labeling.waiting import OpenJob, Release

CAMPAIGN = "campaign"


@dataclass(frozen=True)
class Metric:
    """A metric's name, which terraform/modules/monitoring uses too, and its unit in CloudWatch's words."""

    name: str
    unit: str


ROUND_LABELS = Metric("RoundLabels", "Count")
ROUND_COST = Metric("RoundCost", "None")
CAMPAIGN_LABELS = Metric("CampaignLabels", "Count")
CAMPAIGN_COST = Metric("CampaignCost", "None")
BUDGET_USED = Metric("BudgetUsed", "Percent")
TEST_QUALITY = Metric("TestQuality", "Percent")
OBJECTS_FAILED = Metric("ObjectsFailed", "Count")
LABELS_AUDITED = Metric("LabelsAudited", "Count")
LABELS_REJECTED = Metric("LabelsRejected", "Count")
LABELS_TAKEN_BACK = Metric("LabelsTakenBack", "Count")
INITIAL_ERROR_RATE = Metric("InitialErrorRate", "Percent")
FINAL_ERROR_RATE = Metric("FinalErrorRate", "Percent")
AUTO_PRECISION = Metric("AutoLabelPrecision", "Percent")
OPEN_LABELING_JOBS = Metric("OpenLabelingJobs", "Count")
HOURS_WITHOUT_PROGRESS = Metric("HoursWithoutProgress", "None")
LABELING_JOBS_COMPLETED = Metric("LabelingJobsCompleted", "Count")
LABELING_JOBS_FAILED = Metric("LabelingJobsFailed", "Count")
LABELING_JOBS_STOPPED = Metric("LabelingJobsStopped", "Count")


@dataclass(frozen=True)
class Sample:
    """Values of one campaign, or of the whole stack when `campaign` is None."""

    campaign: str | None
    values: Mapping[Metric, float]


class Sink(Protocol):
    """What takes the values: Powertools' `Metrics`."""

    def add_dimension(self, name: str, value: str) -> None: ...

    def add_metric(self, name: str, unit: str, value: float) -> None: ...

    def flush_metrics(self) -> None: ...

    def clear_metrics(self) -> None: ...


class Log(Protocol):
    """What takes the complaint when nothing could be written."""

    def exception(self, msg: str) -> None: ...


def of_round(campaign: str, decision: Mapping[str, Any], budget_usd: float | None) -> list[Sample]:
    """What a round brought and cost, from its decision.json; amounts are US dollars."""
    cost, labels = decision["cost_usd"], decision["labels"]
    values = {
        ROUND_LABELS: labels["people"],
        ROUND_COST: cost["total"],
        CAMPAIGN_LABELS: labels["cumulative_people"],
        CAMPAIGN_COST: cost["cumulative"],
        TEST_QUALITY: 100 * decision["quality"]["value"],
    }
    if budget_usd is None:
        return [Sample(campaign, values)]
    used = {BUDGET_USED: 100 * cost["cumulative"] / budget_usd}
    return [Sample(campaign, values | used), Sample(None, used)]


def of_merge(campaign: str, failed: int) -> list[Sample]:
    """The objects that a round's labelling job gave up."""
    return [Sample(campaign, {OBJECTS_FAILED: failed})]


def of_audit(campaign: str, result: Mapping[str, Any]) -> list[Sample]:
    """What the audit of a round found, from its result.json; a rate that nothing tells is left out."""
    estimates = result["estimates"]
    values: dict[Metric, float] = {
        LABELS_AUDITED: result["audited"],
        LABELS_REJECTED: result["decisions"]["reject"],
        LABELS_TAKEN_BACK: result["unresolved"] + result["revoked"],
    }
    for key, metric in (("initial", INITIAL_ERROR_RATE), ("final", FINAL_ERROR_RATE)):
        if (rate := _rate(estimates[key])) is not None:
            values[metric] = 100 * rate
    if (rate := _rate(estimates["auto"])) is not None:
        values[AUTO_PRECISION] = 100 * (1 - rate)
    return [Sample(campaign, values)]


def of_ended_jobs(releases: Iterable[Release]) -> list[Sample]:
    """The labelling jobs that ended, by how they did; nothing when none has."""
    ended = Counter(release.status for release in releases if release.ended)
    if not ended:
        return []
    completed, stopped = ended[JobStatus.COMPLETED], ended[JobStatus.STOPPED]
    return [
        Sample(
            None,
            {
                LABELING_JOBS_COMPLETED: completed,
                # A job that was never created has failed as well.
                LABELING_JOBS_FAILED: ended.total() - completed - stopped,
                LABELING_JOBS_STOPPED: stopped,
            },
        )
    ]


def of_open_jobs(jobs: Sequence[OpenJob], now: datetime) -> list[Sample]:
    """How many labelling jobs are open, and the hours since the one that makes least progress made any.

    The whole stack's values are there even when no job is open: their absence says that nobody looks.
    """
    # The jobs of a stand-alone audit belong to none.
    campaigns = sorted({job.campaign for job in jobs} - {""})
    return [
        _standing(None, jobs, now),
        *(_standing(name, [job for job in jobs if job.campaign == name], now) for name in campaigns),
    ]


def write(sink: Sink, log: Log, samples: Iterable[Sample]) -> None:
    """Write samples at once, so that no later error can lose them.

    A failure is logged and goes no further: no campaign should end for want of a curve.
    """
    try:
        for sample in samples:
            if sample.campaign is not None:
                sink.add_dimension(name=CAMPAIGN, value=sample.campaign)
            for metric, value in sample.values.items():
                sink.add_metric(name=metric.name, unit=metric.unit, value=value)
            sink.flush_metrics()
    except Exception:
        # What is left in it would be written with the next sample's dimensions.
        sink.clear_metrics()
        log.exception("the metrics could not be written")


def _rate(estimate: Mapping[str, Any] | None) -> float | None:
    return None if estimate is None else estimate["rate"]


def _standing(campaign: str | None, jobs: Sequence[OpenJob], now: datetime) -> Sample:
    longest = max((now - job.unchanged_since for job in jobs), default=timedelta(0))
    return Sample(
        campaign,
        {OPEN_LABELING_JOBS: len(jobs), HOURS_WITHOUT_PROGRESS: longest / timedelta(hours=1)},
    )
