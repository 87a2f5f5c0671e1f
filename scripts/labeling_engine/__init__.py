"""A labelling-job engine that behaves as SageMaker Ground Truth is documented to, free of any AWS library."""

from __future__ import annotations

from labeling_engine.job import JobStatus, LabelingJob, Task, TaskGone, Worker
from labeling_engine.simulated_annotators import (
    InvalidAnnotators,
    SimulatedAnnotators,
    SimulationFailed,
    simulate,
)
from labeling_engine.specification import InvalidJobRequest, JobSpecification
from labeling_engine.world import FunctionFailed, ObjectUnreadable, VirtualClock, World

__all__ = [
    "FunctionFailed",
    "InvalidAnnotators",
    "InvalidJobRequest",
    "JobSpecification",
    "JobStatus",
    "LabelingJob",
    "ObjectUnreadable",
    "SimulatedAnnotators",
    "SimulationFailed",
    "Task",
    "TaskGone",
    "VirtualClock",
    "Worker",
    "World",
    "simulate",
]
