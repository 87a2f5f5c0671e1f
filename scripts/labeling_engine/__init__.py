"""A labelling-job engine that behaves as SageMaker Ground Truth is documented to, free of any AWS library."""

from __future__ import annotations

from labeling_engine.job import JobStatus, LabelingJob, Task, TaskGone, Worker
from labeling_engine.presence import Presence, attend
from labeling_engine.simulated_annotators import (
    InvalidAnnotators,
    SimulatedAnnotators,
    SimulationFailed,
    simulate,
)
from labeling_engine.specification import InvalidJobRequest, JobSpecification
from labeling_engine.team import HumanAnnotator, Team
from labeling_engine.world import Clock, FunctionFailed, ObjectUnreadable, RunningClock, VirtualClock, World

__all__ = [
    "Clock",
    "FunctionFailed",
    "HumanAnnotator",
    "InvalidAnnotators",
    "InvalidJobRequest",
    "JobSpecification",
    "JobStatus",
    "LabelingJob",
    "ObjectUnreadable",
    "Presence",
    "RunningClock",
    "SimulatedAnnotators",
    "SimulationFailed",
    "Task",
    "TaskGone",
    "Team",
    "VirtualClock",
    "Worker",
    "World",
    "attend",
    "simulate",
]
