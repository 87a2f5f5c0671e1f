"""Ground Truth's part of the SageMaker API: labelling jobs, work teams, the workforce, and tags."""

from __future__ import annotations

import io
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

import boto3
import moto.sagemaker.urls
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core.utils import get_service_model
from moto.sagemaker.responses import SageMakerResponse

from labeling_engine import InvalidAnnotators
from local_aws import (
    authorization,
    calls,
    control,
    events,
    labeling_jobs,
    lambda_functions,
    patches,
    portal,
    sagemaker,
    settings,
)
from local_aws.resources import Need
from local_aws.roles import Session

ACCOUNT, REGION = "123456789012", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/labeling"
TEAM = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:workteam/private-crowd/labelers"
CATEGORIES = ["0", "1", "2"]
TEMPLATE = """<crowd-form><crowd-image-classifier name="digit" src="{{ task.input.taskObject }}"
  categories="{{ task.input.labels | to_json | escape }}"></crowd-image-classifier></crowd-form>"""
PEOPLE = [{"name": name, "accuracy": 1.0, "seconds_median": 4.0, "seconds_spread": 0.3} for name in "abc"]


def arn_of(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"


def function_arn(name: str) -> str:
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def trust(service: str) -> str:
    principal = {"Service": f"{service}.amazonaws.com"}
    return json.dumps({"Statement": {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}})


def allow(**actions: Any) -> str:
    """Return the document of a policy that allows actions on resources; s3_GetObject is s3:GetObject."""
    statements = [
        {"Effect": "Allow", "Action": action.replace("_", ":"), "Resource": resource}
        for action, resource in actions.items()
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


# What the role of a labelling job needs.
RIGHTS = {
    "s3_GetObject": "arn:aws:s3:::data/*",
    "s3_PutObject": "arn:aws:s3:::data/output/*",
    "lambda_InvokeFunction": [function_arn("pre"), function_arn("post")],
}


def refused(code: str, call: Callable[..., Any], **request: Any) -> str:
    """Make a call that must fail with a code and return its message."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    return str(error["Message"])


class World:
    """An account with all that a labelling job needs, and two functions that run in this process."""

    def __init__(self) -> None:
        self.sagemaker = self.client("sagemaker")
        self.s3 = self.client("s3")
        self.events: list[dict[str, Any]] = []
        self.pre: Callable[[dict[str, Any]], Any] = self.pre_annotate
        self.post: Callable[[dict[str, Any]], Any] = self.post_annotate
        self.sources = [f"s3://data/images/{number}.png" for number in range(6)]
        self.truth = {source: CATEGORIES[number % 3] for number, source in enumerate(self.sources)}
        self._numbers = itertools.count()

    @staticmethod
    def client(service: str) -> Any:
        # Ours only: what the service checks is to reach it.
        config = Config(parameter_validation=False, retries={"total_max_attempts": 1})
        return boto3.client(service, region_name=REGION, config=config)

    def set_up(self) -> None:
        iam = self.client("iam")
        iam.create_role(RoleName="lambda", AssumeRolePolicyDocument=trust("lambda"))
        iam.create_role(RoleName="labeling", AssumeRolePolicyDocument=trust("sagemaker"))
        self.let_role(**RIGHTS)
        for name in ("pre", "post"):
            self.client("lambda").create_function(
                FunctionName=name,
                Runtime="python3.12",
                Role=f"arn:aws:iam::{ACCOUNT}:role/lambda",
                Handler="handler.lambda_handler",
                Code={"ZipFile": b"not run"},
            )
        self.s3.create_bucket(Bucket="data")
        self.put("template.liquid.html", TEMPLATE)
        self.put("label_categories.json", json.dumps({"labels": [{"label": name} for name in CATEGORIES]}))
        self.put(
            "input.manifest", "".join(json.dumps({"source-ref": source}) + "\n" for source in self.sources)
        )

    def let_role(self, **actions: Any) -> None:
        """Let the role of the labelling jobs do this and nothing else."""
        self.client("iam").put_role_policy(
            RoleName="labeling", PolicyName="labeling", PolicyDocument=allow(**actions)
        )

    def put(self, key: str, text: str) -> None:
        self.s3.put_object(Bucket="data", Key=key, Body=text.encode())

    def read(self, uri: str) -> str:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return str(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode())

    def invoke(self, arn: str, payload: Any, caller: Session) -> Any:
        assert caller.role_arn == ROLE
        return {"pre": self.pre, "post": self.post}[arn.rsplit(":", 1)[-1]](payload)

    def pre_annotate(self, event: dict[str, Any]) -> Any:
        return {"taskInput": {"taskObject": event["dataObject"]["source-ref"], "labels": CATEGORIES}}

    def post_annotate(self, event: dict[str, Any]) -> Any:
        return [
            {
                "datasetObjectId": item["datasetObjectId"],
                "consolidatedAnnotation": {
                    "content": {
                        "label": json.loads(item["annotations"][0]["annotationData"]["content"])["digit"][
                            "label"
                        ]
                    }
                },
            }
            for item in json.loads(self.read(event["payload"]["s3Uri"]))
        ]

    def annotators(self, **changes: Any) -> dict[str, Any]:
        return {"seed": 1, "truth": self.truth, "annotators": PEOPLE, **changes}

    def control(self, path: str, **body: Any) -> Any:
        """POST a command to the control plane and return its answer; an error's code where it is refused."""
        text = json.dumps(body).encode()
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": f"/_local/{path}",
            "wsgi.input": io.BytesIO(text),
        }
        (answer,) = control.ControlPlane(None)(environ, lambda *_: None)
        document = json.loads(answer)
        return document.get("code", document)

    def take(self, job: str) -> dict[str, Any]:
        """Wait until a person gets a task of a job."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if task := self.control("portal/next", worker="me", job=job)["task"]:
                return dict(task)
            time.sleep(0.01)
        return pytest.fail(f"{job} has no task")

    def create_team(self, name: str = "labelers", **changes: Any) -> Any:
        member = {"UserPool": sagemaker.USER_POOL, "ClientId": sagemaker.CLIENT_ID, "UserGroup": "labelers"}
        request = {
            "WorkteamName": name,
            "Description": "People who label",
            "MemberDefinitions": [{"CognitoMemberDefinition": member}],
        }
        return self.sagemaker.create_workteam(**{**request, **changes})

    def request(self, **changes: Any) -> dict[str, Any]:
        """Return a CreateLabelingJob request; changes of HumanTaskConfig's members go there."""
        task = {
            "WorkteamArn": TEAM,
            "UiConfig": {"UiTemplateS3Uri": "s3://data/template.liquid.html"},
            "PreHumanTaskLambdaArn": function_arn("pre"),
            "TaskKeywords": ["digits"],
            "TaskTitle": "Digits",
            "TaskDescription": "Which digit is it?",
            "NumberOfHumanWorkersPerDataObject": 2,
            "TaskTimeLimitInSeconds": 600,
            "AnnotationConsolidationConfig": {"AnnotationConsolidationLambdaArn": function_arn("post")},
        }
        request = {
            "LabelingJobName": f"job-{next(self._numbers)}",
            "LabelAttributeName": "label",
            "InputConfig": {"DataSource": {"S3DataSource": {"ManifestS3Uri": "s3://data/input.manifest"}}},
            "OutputConfig": {"S3OutputPath": "s3://data/output/"},
            "RoleArn": ROLE,
            "LabelCategoryConfigS3Uri": "s3://data/label_categories.json",
        }
        known = set(request) | {"Tags", "StoppingConditions", "LabelingJobAlgorithmsConfig"}
        request |= {key: value for key, value in changes.items() if key in known}
        request["HumanTaskConfig"] = task | {key: value for key, value in changes.items() if key not in known}
        return request

    def create(self, **changes: Any) -> str:
        """Create a job and return its name."""
        request = self.request(**changes)
        self.sagemaker.create_labeling_job(**request)
        return str(request["LabelingJobName"])

    def describe(self, name: str) -> dict[str, Any]:
        return dict(self.sagemaker.describe_labeling_job(LabelingJobName=name))

    def wait(self, name: str, *statuses: str) -> dict[str, Any]:
        """Wait until a job has one of the statuses and return its description."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            description = self.describe(name)
            if description["LabelingJobStatus"] in statuses:
                return description
            time.sleep(0.01)
        return pytest.fail(f"{name} is {description['LabelingJobStatus']}, not {statuses}")


@pytest.fixture(scope="module")
def shared_world() -> Iterator[World]:
    """The account that the tests share; nothing else of the process stays changed afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(moto.sagemaker.urls.url_paths, "{0}/$", SageMakerResponse.dispatch)
        patch.setattr(control, "_routes", [])
        patch.setattr(control, "reset_hooks", [])
        patch.setattr(patches, "applied", [])
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        sagemaker.install()
        portal.install()
        with mock_aws():
            world = World()
            patch.setattr(lambda_functions, "invoke", world.invoke)
            patch.setattr(events, "emit", lambda event: world.events.append(event))
            world.set_up()
            yield world


@pytest.fixture
def world(shared_world: World) -> Iterator[World]:
    """The shared account with a work team, and without jobs, annotators and events."""
    shared_world.events = []
    shared_world.pre, shared_world.post = shared_world.pre_annotate, shared_world.post_annotate
    shared_world.create_team()
    yield shared_world
    labeling_jobs.set_annotators(None)
    sagemaker.reset()
    portal.reset()
    calls.reset()


# Labelling jobs


def test_a_job_with_annotators_completes_with_the_labels_in_its_output(world: World) -> None:
    labeling_jobs.set_annotators(world.annotators())
    name = world.create()
    done = world.wait(name, "Completed", "Failed")
    assert done["LabelCounters"] == {
        "TotalLabeled": 6,
        "HumanLabeled": 6,
        "MachineLabeled": 0,
        "FailedNonRetryableError": 0,
        "Unlabeled": 0,
    }
    uri = done["LabelingJobOutput"]["OutputDatasetS3Uri"]
    assert uri == f"s3://data/output/{name}/manifests/output/output.manifest"
    rows = [json.loads(line) for line in world.read(uri).splitlines()]
    assert {row["source-ref"]: row["label"] for row in rows} == world.truth


def test_the_end_is_told_by_one_event_on_the_default_bus(world: World) -> None:
    labeling_jobs.set_annotators(world.annotators())
    name = world.create()
    world.wait(name, "Completed")
    assert [(event["resources"], event["detail"]) for event in world.events] == [
        ([arn_of("labeling-job", name)], {"LabelingJobStatus": "Completed"})
    ]


def test_a_description_repeats_the_request(world: World) -> None:
    request = world.request(
        StoppingConditions={"MaxHumanLabeledObjectCount": 9}, Tags=[{"Key": "a", "Value": "b"}]
    )
    arn = world.sagemaker.create_labeling_job(**request)["LabelingJobArn"]
    description = world.describe(request["LabelingJobName"])
    assert {key: description[key] for key in request} == request
    assert description["LabelingJobArn"] == arn == arn_of("labeling-job", request["LabelingJobName"])
    assert datetime.now(UTC) - description["CreationTime"] < timedelta(minutes=1)
    assert description["JobReferenceCode"]
    assert "LabelingJobOutput" not in description
    assert "FailureReason" not in description


def test_a_job_without_annotators_stays_in_progress_until_some_come(world: World) -> None:
    name = world.create()
    world.wait(name, "InProgress")
    time.sleep(0.05)
    assert world.describe(name)["LabelingJobStatus"] == "InProgress"
    labeling_jobs.set_annotators(world.annotators())
    assert world.wait(name, "Completed")["LabelCounters"]["HumanLabeled"] == 6


def test_a_job_that_nobody_works_on_can_be_stopped(world: World) -> None:
    name = world.create()
    world.wait(name, "InProgress")
    time.sleep(0.1)
    world.sagemaker.stop_labeling_job(LabelingJobName=name)
    stopped = world.wait(name, "Stopped")
    rows = world.read(stopped["LabelingJobOutput"]["OutputDatasetS3Uri"]).splitlines()
    assert [json.loads(row) for row in rows] == [{"source-ref": source} for source in world.sources]
    assert [event["detail"] for event in world.events] == [{"LabelingJobStatus": "Stopped"}]


def test_workers_are_known_by_the_teams_user_pool(world: World) -> None:
    labeling_jobs.set_annotators(world.annotators())
    name = world.create()
    world.wait(name, "Completed")
    keys = [
        item["Key"]
        for item in world.s3.list_objects_v2(
            Bucket="data", Prefix=f"output/{name}/annotations/worker-response/iteration-1/0/"
        )["Contents"]
    ]
    records = [record for key in keys for record in json.loads(world.read(f"s3://data/{key}"))["answers"]]
    assert len(records) == 2
    for record in records:
        assert record["workerId"].startswith(f"private.{REGION}.")
        identity = record["workerMetadata"]["identityData"]
        assert identity["issuer"] == f"https://cognito-idp.{REGION}.amazonaws.com/{sagemaker.USER_POOL}"
        assert identity["identityProviderType"] == "Cognito"


def test_a_failing_function_fails_the_job_with_its_error(world: World) -> None:
    def fail(_event: dict[str, Any]) -> Any:
        raise lambda_functions.FunctionError({"errorType": "KeyError", "errorMessage": "'image'"})

    world.pre = fail
    failed = world.wait(world.create(), "Failed")
    assert failed["FailureReason"].startswith(
        "ClientError: 6 of 6 objects failed in the annotation functions"
    )
    assert "KeyError: 'image'" in failed["FailureReason"]
    assert "LabelingJobOutput" not in failed


def test_annotators_that_cannot_do_a_job_fail_it_with_the_reason(world: World) -> None:
    labeling_jobs.set_annotators(world.annotators(truth={}))
    failed = world.wait(world.create(), "Failed")
    assert failed["FailureReason"].startswith("ClientError: the simulated annotators have no truth for ")
    assert "s3://data/images/0.png" in failed["FailureReason"]


def test_an_unforeseen_error_fails_the_job_instead_of_leaving_it(world: World) -> None:
    def break_down(_event: dict[str, Any]) -> Any:
        raise ZeroDivisionError("unforeseen")

    world.pre = break_down
    failed = world.wait(world.create(), "Failed")
    assert failed["FailureReason"] == "InternalServerError: ZeroDivisionError: unforeseen"


def test_what_the_labelling_role_does_is_recorded(world: World) -> None:
    labeling_jobs.set_annotators(world.annotators())
    name = world.create()
    world.wait(name, "Completed")
    seen = {
        (call["service"], call["action"], call["resource"]) for call in calls.seen() if call["role"] == ROLE
    }
    assert ("s3", "GetObject", "arn:aws:s3:::data/input.manifest") in seen
    assert ("s3", "GetObject", "arn:aws:s3:::data/template.liquid.html") in seen
    output = f"arn:aws:s3:::data/output/{name}/manifests/output/output.manifest"
    assert ("s3", "PutObject", output) in seen


@pytest.mark.parametrize(
    ("lacking", "told"),
    [
        ("s3_GetObject", 's3:GetObject on resource: "arn:aws:s3:::data/input.manifest"'),
        ("s3_PutObject", 's3:PutObject on resource: "arn:aws:s3:::data/output/'),
        ("lambda_InvokeFunction", f"lambda:InvokeFunction on resource: {function_arn('pre')} because"),
    ],
)
def test_a_job_whose_role_lacks_a_right_fails_with_the_refusal(
    world: World, monkeypatch: pytest.MonkeyPatch, lacking: str, told: str
) -> None:
    invoke = lambda_functions.invoke

    def checked(arn: str, payload: Any, caller: Session) -> Any:
        authorization.check(caller, Need("lambda:InvokeFunction", arn))
        return invoke(arn, payload, caller)

    monkeypatch.setattr(lambda_functions, "invoke", checked)
    world.let_role(**{action: on for action, on in RIGHTS.items() if action != lacking})
    labeling_jobs.set_annotators(world.annotators())
    failed = world.wait(world.create(), "Failed")
    assert told in failed["FailureReason"]
    assert "assumed-role/labeling/SageMaker" in failed["FailureReason"]


def test_a_written_object_reaches_the_buckets_notifications(world: World) -> None:
    sqs = world.client("sqs")
    queue = sqs.create_queue(QueueName="answers")["QueueUrl"]
    notification = {
        "QueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:answers",
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "suffix", "Value": "output.manifest"}]}},
    }
    world.s3.put_bucket_notification_configuration(
        Bucket="data", NotificationConfiguration={"QueueConfigurations": [notification]}
    )
    sqs.purge_queue(QueueUrl=queue)
    labeling_jobs.set_annotators(world.annotators())
    name = world.create()
    world.wait(name, "Completed")
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    key = json.loads(message["Body"])["Records"][0]["s3"]["object"]["key"]
    assert unquote_plus(key) == f"output/{name}/manifests/output/output.manifest"


def test_the_same_seed_gives_the_same_labels_in_another_job(world: World) -> None:
    people = [{**person, "accuracy": 0.5} for person in PEOPLE]
    labeling_jobs.set_annotators(world.annotators(annotators=people))
    outputs = []
    for _ in range(2):
        done = world.wait(world.create(), "Completed")
        rows = map(json.loads, world.read(done["LabelingJobOutput"]["OutputDatasetS3Uri"]).splitlines())
        outputs.append([row["label"] for row in rows])
    assert outputs[0] == outputs[1]


# Requests that are refused


def test_a_name_is_taken_in_whatever_case(world: World) -> None:
    world.create(LabelingJobName="Digits-1")
    request = world.request(LabelingJobName="DIGITS-1")
    assert "DIGITS-1" in refused("ResourceInUse", world.sagemaker.create_labeling_job, **request)
    assert world.describe("digits-1")["LabelingJobName"] == "Digits-1"


def test_a_refused_job_leaves_its_name_free(world: World) -> None:
    request = world.request(LabelingJobName="again", RoleArn=f"arn:aws:iam::{ACCOUNT}:role/nobody")
    refused("ValidationException", world.sagemaker.create_labeling_job, **request)
    world.create(LabelingJobName="again")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"LabelingJobName": "with_underscore"},
            "'labelingJobName' failed to satisfy constraint: Member must satisfy",
        ),
        ({"LabelingJobName": "x" * 64}, "'labelingJobName'"),
        ({"LabelAttributeName": "a_b"}, "'labelAttributeName'"),
        ({"RoleArn": "role"}, "'roleArn'"),
        ({"TaskKeywords": ["数字"]}, "'humanTaskConfig.taskKeywords.1.member'"),
        ({"TaskKeywords": ["a"] * 6}, "have length less than or equal to 5"),
        ({"TaskTitle": "x" * 129}, "have length less than or equal to 128"),
        ({"TaskTitle": ""}, "have length greater than or equal to 1"),
        ({"NumberOfHumanWorkersPerDataObject": 10}, "have value less than or equal to 9"),
        ({"NumberOfHumanWorkersPerDataObject": 0}, "have value greater than or equal to 1"),
        ({"TaskTimeLimitInSeconds": 29}, "have value greater than or equal to 30"),
        ({"MaxConcurrentTaskCount": 5001}, "have value less than or equal to 5000"),
        ({"TaskDescription": None}, "Value null at 'humanTaskConfig.taskDescription'"),
        ({"StoppingConditions": {"MaxPercentageOfInputDatasetLabeled": 101}}, "equal to 100"),
        ({"Tags": [{"Key": "bad*", "Value": "x"}]}, "'tags.1.member.key'"),
        (
            {
                "InputConfig": {
                    "DataSource": {"S3DataSource": {"ManifestS3Uri": "s3://data/input.manifest"}},
                    "DataAttributes": {"ContentClassifiers": ["Nice"]},
                }
            },
            "satisfy enum value set: [FreeOfPersonallyIdentifiableInformation, FreeOfAdultContent]",
        ),
        # Rules in prose
        ({"LabelAttributeName": "label-metadata"}, "may not end in -metadata"),
        ({"TaskTimeLimitInSeconds": 28_801}, "28801 is more than 28800"),
        ({"PreHumanTaskLambdaArn": None}, "PreHumanTaskLambdaArn is missing"),
        # What must exist
        ({"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/nobody"}, "role/nobody does not exist"),
        ({"WorkteamArn": TEAM + "-2"}, "labelers-2 doesn't exist"),
        ({"PreHumanTaskLambdaArn": function_arn("nothing")}, "function:nothing does not exist"),
        (
            {"AnnotationConsolidationConfig": {"AnnotationConsolidationLambdaArn": function_arn("nil")}},
            "function:nil does not exist",
        ),
        ({"LabelCategoryConfigS3Uri": "s3://data/none.json"}, "s3://data/none.json cannot be read"),
        ({"UiConfig": {"UiTemplateS3Uri": "s3://elsewhere/t.html"}}, "there is no bucket elsewhere"),
        ({"UiConfig": {"UiTemplateS3Uri": "https://data/t.html"}}, "give s3://bucket/key"),
    ],
)
def test_a_request_that_breaks_a_rule_is_refused(world: World, changes: dict[str, Any], told: str) -> None:
    request = world.request(**changes)
    request["HumanTaskConfig"] = {k: v for k, v in request["HumanTaskConfig"].items() if v is not None}
    assert told in refused("ValidationException", world.sagemaker.create_labeling_job, **request)
    assert world.sagemaker.list_labeling_jobs()["LabelingJobSummaryList"] == []


def test_all_broken_constraints_are_told_at_once(world: World) -> None:
    request = world.request(LabelingJobName="a_b", TaskTitle="x" * 129, TaskTimeLimitInSeconds=1)
    message = refused("ValidationException", world.sagemaker.create_labeling_job, **request)
    assert message.startswith("3 validation errors detected: ")


def test_all_missing_things_are_told_at_once(world: World) -> None:
    request = world.request(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/nobody", PreHumanTaskLambdaArn=function_arn("nothing")
    )
    message = refused("ValidationException", world.sagemaker.create_labeling_job, **request)
    assert "role/nobody" in message
    assert "function:nothing" in message


def test_a_role_that_sagemaker_cannot_assume_is_refused(world: World) -> None:
    world.client("iam").create_role(RoleName="other", AssumeRolePolicyDocument=trust("lambda"))
    request = world.request(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/other")
    assert "cannot assume" in refused("ValidationException", world.sagemaker.create_labeling_job, **request)


def test_every_pattern_of_the_operations_is_understood() -> None:
    def patterns(shape: Any) -> Iterator[str]:
        if "pattern" in shape.metadata:
            yield shape.metadata["pattern"]
        for member in shape.members.values() if shape.type_name == "structure" else ():
            yield from patterns(member)
        if shape.type_name == "list":
            yield from patterns(shape.member)

    model = get_service_model("sagemaker")
    ours = [name for name in vars(sagemaker.LocalSageMakerResponse) if not name.startswith("_")]
    operations = [
        name
        for name in model.operation_names
        # moto reads the requests about training jobs.
        if _snake(name) in ours and not name.endswith("TrainingJob")
    ]
    assert len(operations) == 18
    for operation in operations:
        for pattern in patterns(model.operation_model(operation).input_shape):
            compiled = sagemaker._pattern(pattern)
            assert "\\p{" not in compiled.pattern


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)", "Kosten-Stelle ä/日本 1", "a*"),
        ("[\\p{L}\\p{M}\\p{S}\\p{N}\\p{P}]+", "labelers-[1]_€!", "two words"),
    ],
)
def test_patterns_with_unicode_classes_let_in_what_they_should(pattern: str, good: str, bad: str) -> None:
    assert sagemaker._pattern(pattern).fullmatch(good)
    assert not sagemaker._pattern(pattern).fullmatch(bad)


@pytest.mark.parametrize("operation", ["describe_labeling_job", "stop_labeling_job"])
def test_an_unknown_job_is_not_found(world: World, operation: str) -> None:
    call = getattr(world.sagemaker, operation)
    assert "nobody-knows" in refused("ResourceNotFound", call, LabelingJobName="nobody-knows")


# Lists


def test_jobs_are_listed_by_name_status_and_time_in_pages(world: World) -> None:
    names = [world.create(LabelingJobName=name) for name in ("beta-1", "alpha", "beta-2")]
    for name in names:
        world.wait(name, "InProgress")
    world.sagemaker.stop_labeling_job(LabelingJobName="alpha")
    world.wait("alpha", "Stopped")

    def listed(**request: Any) -> list[str]:
        answer = world.sagemaker.list_labeling_jobs(**request)
        return [summary["LabelingJobName"] for summary in answer["LabelingJobSummaryList"]]

    assert listed() == names
    assert listed(SortBy="Name") == ["alpha", "beta-1", "beta-2"]
    assert listed(SortOrder="Descending") == names[::-1]
    assert listed(NameContains="beta") == ["beta-1", "beta-2"]
    assert listed(StatusEquals="Stopped") == ["alpha"]
    second = world.describe("alpha")["CreationTime"]
    assert "beta-2" in listed(CreationTimeAfter=second)
    assert "beta-1" not in listed(CreationTimeAfter=second + timedelta(seconds=1))
    pages = world.sagemaker.get_paginator("list_labeling_jobs").paginate(PaginationConfig={"PageSize": 2})
    assert [len(page["LabelingJobSummaryList"]) for page in pages] == [2, 1]


def test_the_jobs_of_a_team_are_listed_with_its_open_work(world: World) -> None:
    world.create_team("others")
    name = world.create()
    world.create(WorkteamArn=arn_of("workteam/private-crowd", "others"))
    world.wait(name, "InProgress")
    (job,) = world.sagemaker.list_labeling_jobs_for_workteam(WorkteamArn=TEAM)["LabelingJobSummaryList"]
    assert job["LabelingJobName"] == name
    assert job["LabelCounters"] == {"HumanLabeled": 0, "PendingHuman": 6, "Total": 6}
    assert job["NumberOfHumanWorkersPerDataObject"] == 2
    assert job["JobReferenceCode"] == world.describe(name)["JobReferenceCode"]
    refused("ResourceNotFound", world.sagemaker.list_labeling_jobs_for_workteam, WorkteamArn=TEAM + "-2")


# Work teams


def test_a_work_team_is_described_as_it_was_created(world: World) -> None:
    arn = world.create_team("auditors")["WorkteamArn"]
    team = world.sagemaker.describe_workteam(WorkteamName="auditors")["Workteam"]
    assert team["WorkteamArn"] == arn == arn_of("workteam/private-crowd", "auditors")
    assert team["Description"] == "People who label"
    assert team["WorkforceArn"] == arn_of("workforce", "default")
    assert team["MemberDefinitions"][0]["CognitoMemberDefinition"]["UserGroup"] == "labelers"
    assert team["SubDomain"].endswith(".labeling.us-east-1.sagemaker.aws")


def test_a_work_team_can_be_changed_listed_and_deleted(world: World) -> None:
    world.create_team("auditors")
    changed = world.sagemaker.update_workteam(WorkteamName="auditors", Description="Others")["Workteam"]
    assert changed["Description"] == "Others"
    assert changed["MemberDefinitions"]
    teams = world.sagemaker.list_workteams(NameContains="audit", SortBy="Name")["Workteams"]
    assert [team["WorkteamName"] for team in teams] == ["auditors"]
    assert world.sagemaker.delete_workteam(WorkteamName="auditors")["Success"] is True
    message = refused("ValidationException", world.sagemaker.describe_workteam, WorkteamName="auditors")
    # By these words the AWS provider for Terraform knows that a team is gone.
    assert "The work team" in message
    refused("ValidationException", world.sagemaker.delete_workteam, WorkteamName="auditors")


def test_work_teams_have_unique_names_and_a_quota(world: World) -> None:
    assert "labelers" in refused("ResourceInUse", world.create_team)
    for number in range(24):
        world.create_team(f"team-{number}")
    refused("ResourceLimitExceeded", world.create_team, name="one-more")


def test_the_members_of_a_team_must_be_of_the_workforces_kind(world: World) -> None:
    oidc = [{"OidcMemberDefinition": {"Groups": ["g"]}}]
    message = refused("ValidationException", world.create_team, name="oidc", MemberDefinitions=oidc)
    assert "CognitoMemberDefinition" in message
    refused(
        "ValidationException",
        world.sagemaker.update_workteam,
        WorkteamName="labelers",
        MemberDefinitions=oidc,
    )
    assert "No workforce" in refused("ValidationException", world.create_team, name="x", WorkforceName="mine")


# The workforce


def test_the_account_has_a_private_workforce_from_the_start(world: World) -> None:
    (workforce,) = world.sagemaker.list_workforces()["Workforces"]
    described = world.sagemaker.describe_workforce(WorkforceName="default")["Workforce"]
    assert described == workforce
    assert workforce["CognitoConfig"] == {"UserPool": sagemaker.USER_POOL, "ClientId": sagemaker.CLIENT_ID}
    assert workforce["Status"] == "Active"


def test_there_is_one_workforce_at_a_time(world: World) -> None:
    url = "https://id.example.com/x"
    endpoints = ("AuthorizationEndpoint", "TokenEndpoint", "UserInfoEndpoint", "LogoutEndpoint", "JwksUri")
    oidc = {"ClientId": "c", "ClientSecret": "s", "Issuer": url, **dict.fromkeys(endpoints, url)}
    create = world.sagemaker.create_workforce
    assert "more than one" in refused("ValidationException", create, WorkforceName="mine", OidcConfig=oidc)
    assert "work teams" in refused("ResourceInUse", world.sagemaker.delete_workforce, WorkforceName="default")
    world.sagemaker.delete_workteam(WorkteamName="labelers")
    world.sagemaker.delete_workforce(WorkforceName="default")
    refused("ValidationException", world.sagemaker.describe_workforce, WorkforceName="default")
    arn = create(WorkforceName="mine", OidcConfig=oidc)["WorkforceArn"]
    assert arn == arn_of("workforce", "mine")
    described = world.sagemaker.describe_workforce(WorkforceName="mine")["Workforce"]
    assert described["OidcConfig"]["Issuer"] == "https://id.example.com/x"
    assert "ClientSecret" not in described["OidcConfig"]


def test_a_workforce_can_be_limited_to_addresses(world: World) -> None:
    addresses = {"Cidrs": ["10.0.0.0/8"]}
    world.sagemaker.update_workforce(WorkforceName="default", SourceIpConfig=addresses)
    workforce = world.sagemaker.describe_workforce(WorkforceName="default")["Workforce"]
    assert workforce["SourceIpConfig"] == addresses


# Tags


def test_teams_workforces_and_jobs_have_tags(world: World) -> None:
    job = arn_of("labeling-job", world.create(Tags=[{"Key": "campaign", "Value": "digits"}]))
    tags = world.sagemaker.list_tags
    assert tags(ResourceArn=job)["Tags"] == [{"Key": "campaign", "Value": "digits"}]
    for arn in (job, TEAM, arn_of("workforce", "default")):
        world.sagemaker.add_tags(
            ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
        )
        world.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "3"}])
        world.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["b", "c"])
        assert {"Key": "a", "Value": "3"} in tags(ResourceArn=arn)["Tags"]
        assert "b" not in [tag["Key"] for tag in tags(ResourceArn=arn)["Tags"]]
    assert "does not exist" in refused("ValidationException", tags, ResourceArn=TEAM + "-2")


def test_tags_of_what_moto_knows_still_work(world: World) -> None:
    group = world.sagemaker.create_model_package_group(ModelPackageGroupName="group")["ModelPackageGroupArn"]
    world.sagemaker.add_tags(ResourceArn=group, Tags=[{"Key": "a", "Value": "1"}])
    assert world.sagemaker.list_tags(ResourceArn=group)["Tags"] == [{"Key": "a", "Value": "1"}]
    world.sagemaker.delete_tags(ResourceArn=group, TagKeys=["a"])
    assert world.sagemaker.list_tags(ResourceArn=group)["Tags"] == []


# The control plane


def test_the_control_plane_sets_annotators_and_lists_jobs(world: World) -> None:
    routes = {(method, pattern.pattern): handler for method, pattern, handler in control._routes}
    name = world.create()
    assert routes["POST", "annotators"]({}, world.annotators()) == (200, {})
    world.wait(name, "Completed")
    status, (job,) = routes["GET", "labeling-jobs"]({}, {})
    assert status == 200
    assert json.loads(json.dumps(job)) == job
    assert (job["name"], job["status"], job["workteam_arn"]) == (name, "Completed", TEAM)
    assert job["counters"]["HumanLabeled"] == 6
    status, answer = routes["POST", "annotators"]({}, {"seed": 1})
    assert status == 400
    assert "at least one annotator" in answer["message"]


def test_wrong_annotators_leave_the_former_ones(world: World) -> None:
    labeling_jobs.set_annotators(world.annotators())
    with pytest.raises(InvalidAnnotators):
        labeling_jobs.set_annotators({"seed": 1})
    world.wait(world.create(), "Completed")


def test_installing_calls_the_annotators_of_the_settings(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    path = tmp_path / "annotators.json"
    path.write_text(json.dumps(world.annotators()))
    monkeypatch.setattr(settings.current, "annotators", path)
    monkeypatch.setattr(control, "reset_hooks", [])
    monkeypatch.setitem(moto.sagemaker.urls.url_paths, "{0}/$", SageMakerResponse.dispatch)
    sagemaker.install()
    world.wait(world.create(), "Completed")


def test_a_reset_forgets_everything_and_ends_what_runs_without_a_trace(world: World) -> None:
    name = world.create()
    world.wait(name, "InProgress")
    job = sagemaker.backends[ACCOUNT][REGION].labeling_job(name)
    assert control.reset_hooks
    for reset in control.reset_hooks:
        reset()
    assert sagemaker.list_jobs() == []
    assert world.sagemaker.list_workteams()["Workteams"] == []
    assert len(world.sagemaker.list_workforces()["Workforces"]) == 1
    labeling_jobs.set_annotators(world.annotators())
    time.sleep(0.1)
    assert job.engine.status == "InProgress"
    assert world.events == []
    assert "Contents" not in world.s3.list_objects_v2(Bucket="data", Prefix=f"output/{name}/")


def test_a_moto_that_routes_sagemaker_otherwise_is_noticed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(moto.sagemaker.urls.url_paths, "{0}/$", print)
    with pytest.raises(patches.MotoChanged):
        sagemaker.install()


def test_moto_itself_lacks_what_is_added_here() -> None:
    ours = [name for name in vars(sagemaker.LocalSageMakerResponse) if not name.startswith("_")]
    # What extends an operation of moto, by calling it.
    added = {"add_tags", "list_tags", "delete_tags", "ground_truth", "create_training_job"}
    assert [name for name in ours if hasattr(SageMakerResponse, name) and name not in added] == []


# People

# They need far longer than a test waits.
SLOW = [{"name": name, "accuracy": 1.0, "seconds_median": 500} for name in "abc"]


@pytest.fixture
def hands(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return what moves the time of the jobs on which people work, which stands still otherwise."""
    passed = [0.0]
    monkeypatch.setattr(labeling_jobs, "_seconds", lambda: passed[0])

    def move(seconds: float) -> None:
        passed[0] += seconds
        for job in sagemaker.all_jobs():
            job.wake()

    return move


def with_me(world: World, **changes: Any) -> dict[str, Any]:
    return world.annotators(people=[{"name": "me"}], **changes)


def test_a_persons_task_expires_and_simulated_annotators_finish_it(
    world: World, hands: Callable[[float], None]
) -> None:
    labeling_jobs.set_annotators(with_me(world))
    name = world.create(TaskTimeLimitInSeconds=300)
    task = world.take(name)
    assert task["seconds_left"] == 300
    # Time to answer for the others; the person's places stay free as long as the person holds a task.
    for _ in range(30):
        hands(9)
        time.sleep(0.01)
    assert world.describe(name)["LabelingJobStatus"] == "InProgress"
    assert world.control("portal/task", worker="me", task=task["id"])["task"]["seconds_left"] == 30
    deadline = time.monotonic() + 10
    while world.describe(name)["LabelingJobStatus"] == "InProgress" and time.monotonic() < deadline:
        hands(9)
        time.sleep(0.01)
    assert world.describe(name)["LabelCounters"]["TotalLabeled"] == 6
    late = {"worker": "me", "task": task["id"], "answer": {"digit": {"label": "2"}}}
    assert world.control("portal/submit", **late) == "TaskGone"
    assert world.control("portal/return", worker="me", task=task["id"]) == "TaskGone"


def test_a_task_that_expired_and_came_back_takes_no_answer_of_its_first_time(
    world: World, hands: Callable[[float], None]
) -> None:
    world.put("one.manifest", json.dumps({"source-ref": world.sources[0]}))
    labeling_jobs.set_annotators({"people": [{"name": "me"}]})
    source = {"DataSource": {"S3DataSource": {"ManifestS3Uri": "s3://data/one.manifest"}}}
    name = world.create(TaskTimeLimitInSeconds=60, NumberOfHumanWorkersPerDataObject=1, InputConfig=source)
    before = world.take(name)
    hands(61)
    after = world.take(name)
    assert after["input"] == before["input"]
    answer = {"digit": {"label": "2"}}
    assert world.control("portal/submit", worker="me", task=before["id"], answer=answer) == "TaskGone"
    assert world.control("portal/submit", worker="me", task=after["id"], answer=answer) == {}
    done = world.wait(name, "Completed")
    (row,) = world.read(done["LabelingJobOutput"]["OutputDatasetS3Uri"]).splitlines()
    assert json.loads(row)["label"] == "2"


def test_work_on_one_job_keeps_a_persons_places_in_the_others(
    world: World, hands: Callable[[float], None]
) -> None:
    labeling_jobs.set_annotators(with_me(world, patience_seconds=100))
    names = [world.create(), world.create()]
    for _ in range(6):
        task = world.take(names[0])
        for _ in range(10):
            hands(9)
            time.sleep(0.01)
        answer = {"digit": {"label": "2"}}
        assert world.control("portal/submit", worker="me", task=task["id"], answer=answer) == {}
    assert world.wait(names[0], "Completed")["LabelCounters"]["HumanLabeled"] == 6
    assert world.describe(names[1])["LabelCounters"]["HumanLabeled"] == 0
    jobs = world.control("portal/jobs", worker="me")["jobs"]
    assert [(job["name"], job["available"]) for job in jobs] == [(names[1], 6)]


def test_a_template_in_the_folder_of_a_task_type_tells_the_portal_which_it_is(world: World) -> None:
    world.put("templates/bounding-box/template.liquid.html", TEMPLATE)
    labeling_jobs.set_annotators({"people": [{"name": "me"}]})
    world.create(UiConfig={"UiTemplateS3Uri": "s3://data/templates/bounding-box/template.liquid.html"})
    world.create()
    jobs = world.control("portal/jobs", worker="me")["jobs"]
    assert sorted(job["task_type"] for job in jobs) == ["", "bounding-box"]


def test_the_last_answer_ends_a_job_at_once(world: World) -> None:
    world.put("one.manifest", json.dumps({"source-ref": world.sources[0]}))
    labeling_jobs.set_annotators({"people": [{"name": "me"}]})
    source = {"DataSource": {"S3DataSource": {"ManifestS3Uri": "s3://data/one.manifest"}}}
    name = world.create(NumberOfHumanWorkersPerDataObject=1, InputConfig=source)
    task = world.take(name)
    # The job's thread is back in its wait.
    time.sleep(0.2)
    answer = {"digit": {"label": "2"}}
    assert world.control("portal/submit", worker="me", task=task["id"], answer=answer) == {}
    world.wait(name, "Completed")


def test_a_reset_ends_the_jobs_of_people_too(world: World) -> None:
    labeling_jobs.set_annotators(with_me(world, annotators=SLOW))
    name = world.create()
    task = world.take(name)
    time.sleep(0.2)
    (thread,) = [each for each in threading.enumerate() if each.name == f"labeling-job-{name}"]
    sagemaker.reset()
    thread.join(5)
    assert not thread.is_alive()
    assert world.control("portal/task", worker="me", task=task["id"]) == "TaskGone"
    assert world.control("portal/next", worker="me", job=name) == "UnknownJob"
    assert world.events == []


def test_the_team_of_jobs_in_progress_can_change(world: World) -> None:
    labeling_jobs.set_annotators(with_me(world, annotators=SLOW))
    name = world.create()
    world.take(name)
    time.sleep(0.2)
    labeling_jobs.set_annotators(None)
    assert world.control("portal/next", worker="me", job=name) == "UnknownWorker"
    labeling_jobs.set_annotators(world.annotators())
    assert world.wait(name, "Completed")["LabelCounters"]["HumanLabeled"] == 6


def test_a_job_of_people_whose_template_nobody_simulated_could_answer_fails_with_the_reason(
    world: World,
) -> None:
    world.put("other.html", "<crowd-form></crowd-form>")
    template = {"UiTemplateS3Uri": "s3://data/other.html"}
    labeling_jobs.set_annotators({"people": [{"name": "me"}]})
    assert world.take(world.create(UiConfig=template))["template"] == "<crowd-form></crowd-form>"
    labeling_jobs.set_annotators(with_me(world))
    failed = world.wait(world.create(UiConfig=template), "Failed")
    assert "cannot use the worker template" in failed["FailureReason"]
