"""A training job runs the image's program as SageMaker does: folders, status, model, failure, stop."""

from __future__ import annotations

import io
import json
import tarfile
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conftest import Account


def request(account: Account, longest: int = 60, **parameters: str) -> dict[str, Any]:
    """A CreateTrainingJob request over two numbers that lie in a bucket of its own."""
    bucket = account.bucket()
    for key, number in (("data/a.txt", b"40"), ("data/deep/b.txt", b"2")):
        account.client("s3").put_object(Bucket=bucket, Key=key, Body=number)
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/data/"}
    return {
        "TrainingJobName": f"train-{uuid.uuid4().hex[:8]}",
        "HyperParameters": parameters,
        "Environment": {"UNIT": "labels"},
        "AlgorithmSpecification": {"TrainingImage": "repository/program:1", "TrainingInputMode": "File"},
        "RoleArn": account.role("training"),
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/models"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": longest},
    }


def create(account: Account, longest: int = 60, **parameters: str) -> str:
    """Start a training job; return its name."""
    job = request(account, longest, **parameters)
    account.client("sagemaker").create_training_job(**job)
    return str(job["TrainingJobName"])


def ended(account: Account, name: str) -> dict[str, Any]:
    sagemaker = account.client("sagemaker")

    def is_over() -> bool:
        return sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] != "InProgress"

    account.eventually(is_over)
    return sagemaker.describe_training_job(TrainingJobName=name)


def test_a_training_job_runs_the_program_on_its_channels_and_keeps_the_model(account: Account) -> None:
    asked = request(account)
    account.client("sagemaker").create_training_job(**asked)
    name, output = asked["TrainingJobName"], asked["OutputDataConfig"]["S3OutputPath"]
    job = ended(account, name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == f"{output}/{name}/output/model.tar.gz"
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    packed = account.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        model = archive.extractfile("./sum.json")
        assert model is not None
        assert json.loads(model.read()) == {"sum": 42, "unit": "labels"}


def test_a_failed_training_job_tells_the_programs_reason(account: Account) -> None:
    name = create(account, failure="no label in line 7")
    job = ended(account, name)
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: no label in line 7, exit code: 1"


def test_a_stopped_training_job_ends_at_once(account: Account) -> None:
    name = create(account, seconds="60")
    account.client("sagemaker").stop_training_job(TrainingJobName=name)
    assert ended(account, name)["TrainingJobStatus"] == "Stopped"


def test_a_training_job_that_takes_too_long_is_stopped(account: Account) -> None:
    name = create(account, longest=1, seconds="60")
    job = ended(account, name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_a_state_machine_waits_for_its_training_job(account: Account) -> None:
    def train(**parameters: str) -> dict[str, Any]:
        state = {
            "Type": "Task",
            "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
            "Parameters": request(account, **parameters),
            "ResultSelector": {"status.$": "$.TrainingJobStatus"},
            "End": True,
        }
        return account.run({"Train": state}, {})

    done = train(seconds="1")
    assert (done["status"], json.loads(done["output"])) == ("SUCCEEDED", {"status": "Completed"})
    failed = train(failure="no label in line 7")
    assert failed["status"] == "FAILED"
    assert "no label in line 7" in failed["cause"]
