"""SageMaker training jobs: the image's program is run as `train`, with the folders that SageMaker gives it.

SageMaker mounts them at /opt/ml, where a process may not write. They lie in a folder of the job's own, which
the program finds in SAGEMAKER_BASE_DIR, the variable of the public training toolkit for just that.
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
import threading
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import boto3
from moto.sagemaker.models import FakeTrainingJob

from local_aws import children, events, images, settings

_LONGEST_REASON = 1024
_SESSION = "SageMaker"
_running: dict[str, subprocess.Popen[bytes]] = {}
_stopped: set[str] = set()
_overdue: set[str] = set()


class Unsupported(RuntimeError):
    """The request asks for something that the embedded AWS does not do."""


def start(job: FakeTrainingJob, environment: dict[str, str] | None) -> None:
    """Run a training job that was just created; `environment` is the request's."""
    _set(job, "InProgress", "Starting")
    threading.Thread(target=_run, args=(job, environment or {}), daemon=True).start()


def stop(job: FakeTrainingJob) -> None:
    """End a job that runs; it becomes Stopped."""
    _stopped.add(job.arn)
    if process := _running.get(job.arn):
        children.stop_program(process)


def reset() -> None:
    """End all jobs; moto forgets them."""
    for process in list(_running.values()):
        children.stop_program(process)
    _stopped.clear()
    _overdue.clear()


def _run(job: FakeTrainingJob, environment: dict[str, str]) -> None:
    base = settings.current.scratch / "training" / uuid.uuid4().hex
    try:
        _lay_out(job, base)
        _set(job, "InProgress", "Training")
        code = _train(job, base, environment)
        if job.arn in _stopped:
            _set(job, "Stopped", "MaxRuntimeExceeded" if job.arn in _overdue else "Stopped")
        elif code == 0:
            _upload_model(job, base / "model")
            _set(job, "Completed", "Completed")
        else:
            _fail(job, _failure(base, code))
    except Exception as error:
        _fail(job, f"ClientError: {error}")
    finally:
        _running.pop(job.arn, None)
        shutil.rmtree(base, ignore_errors=True)
    events.emit(
        {
            "source": "aws.sagemaker",
            "detail-type": "SageMaker Training Job State Change",
            "resources": [job.arn],
            "detail": {
                "TrainingJobName": job.training_job_name,
                "TrainingJobArn": job.arn,
                "TrainingJobStatus": job.training_job_status,
            },
        }
    )


def _lay_out(job: FakeTrainingJob, base: Path) -> None:
    """Write the configuration files, and copy each channel's objects to input/data/<channel>."""
    config = base / "input" / "config"
    for folder in (config, base / "model", base / "output"):
        folder.mkdir(parents=True)
    channels = job.input_data_config or []
    described = {
        channel["ChannelName"]: {"TrainingInputMode": "File", "ContentType": channel.get("ContentType")}
        for channel in channels
    }
    resources = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "lo"}
    documents = {
        "hyperparameters.json": job.hyper_parameters or {},
        "inputdataconfig.json": described,
        "resourceconfig.json": resources,
    }
    for name, document in documents.items():
        (config / name).write_text(json.dumps(document))
    for channel in channels:
        _copy(job, channel, base / "input" / "data" / channel["ChannelName"])


def _copy(job: FakeTrainingJob, channel: dict[str, Any], target: Path) -> None:
    source = channel["DataSource"].get("S3DataSource", {})
    if channel.get("InputMode", "File") != "File" or source.get("S3DataType") != "S3Prefix":
        raise Unsupported(
            f"channel {channel['ChannelName']}: the embedded AWS trains on S3Prefix sources in File mode only"
        )
    bucket, _, prefix = source["S3Uri"].removeprefix("s3://").partition("/")
    s3 = _client(job)
    target.mkdir(parents=True)
    found = 0
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            relative = item["Key"][len(prefix) :].lstrip("/") or item["Key"].rpartition("/")[2]
            path = target / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read())
            found += 1
    if not found:
        raise Unsupported(f"channel {channel['ChannelName']}: no object lies below {source['S3Uri']}")


def _train(job: FakeTrainingJob, base: Path, environment: dict[str, str]) -> int:
    """Run the program for at most as long as the stopping condition says, and return its exit code."""
    declared = {
        **environment,
        "SAGEMAKER_BASE_DIR": str(base),
        "TRAINING_JOB_NAME": job.training_job_name,
        "TRAINING_JOB_ARN": job.arn,
    }
    process = children.start_program(
        [*images.entrypoint(), "train"],
        images.environment(job.role_arn, declared, _SESSION),
        base,
        stdout=(base / "output" / "log").open("wb"),
        stderr=subprocess.STDOUT,
    )
    _running[job.arn] = process
    if job.arn in _stopped:
        children.stop_program(process)
    seconds = (job.stopping_condition or {}).get("MaxRuntimeInSeconds", 86400)
    timer = threading.Timer(seconds, _time_out, [job])
    timer.daemon = True
    timer.start()
    try:
        return children.exit_code(process)
    finally:
        timer.cancel()


def _time_out(job: FakeTrainingJob) -> None:
    _overdue.add(job.arn)
    stop(job)


def _failure(base: Path, code: int) -> str:
    """The program's own words in output/failure, or the end of what it printed."""
    told = base / "output" / "failure"
    text = told if told.is_file() else base / "output" / "log"
    return f"AlgorithmError: {text.read_text(errors='replace').strip()[-800:]}, exit code: {code}"


def _upload_model(job: FakeTrainingJob, model: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(model, arcname=".")
    uri = job.model_artifacts["S3ModelArtifacts"]
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    _client(job).put_object(Bucket=bucket, Key=key, Body=buffer.getvalue())


def _client(job: FakeTrainingJob) -> Any:
    found = images.environment(job.role_arn, {}, _SESSION)
    return cast(Any, boto3).client(
        "s3",
        endpoint_url=settings.current.endpoint,
        region_name=settings.REGION,
        aws_access_key_id=found["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=found["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=found["AWS_SESSION_TOKEN"],
    )


def _fail(job: FakeTrainingJob, reason: str) -> None:
    job.failure_reason = reason[:_LONGEST_REASON]  # type: ignore[attr-defined]
    _set(job, "Failed", "Failed")


def _set(job: FakeTrainingJob, status: str, secondary: str) -> None:
    job.last_modified_time = datetime.now(UTC).replace(tzinfo=None)
    job.secondary_status = secondary
    job.training_job_status = status
