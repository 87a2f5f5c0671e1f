"""The deployed definitions really run: every function gets what the states before it found, on every path.

The functions are stand-ins that keep their events and answer as the test says; Batch jobs are left out.
"""

from __future__ import annotations

import io
import json
import re
import time
import uuid
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import boto3
import pytest

from local_aws.process import LocalAws
from state_machines.soundness import NAMES, Definition, load

ACCOUNT, REGION = "123456789012", "us-east-1"
CAMPAIGN_URI = "s3://data/campaigns/digits/"
AUDIT_URI = f"{CAMPAIGN_URI}audits/digits-r1-00000000/"
JOB = {
    "job_name": "digits-r1-a1-00000000",
    "status": "Completed",
    "output_manifest_uri": f"{CAMPAIGN_URI}labeling/digits-r1-a1-00000000/manifests/output/output.manifest",
    "counters": {"labeled": 5, "failed": 0},
}

# Keeps each event and gives the answers in their order, the last one again and again. A function that gets a
# task token answers by it, as the real ones do in the end.
STAND_IN = """
import json
import boto3

class Planned(Exception):
    pass

def lambda_handler(event, context):
    name = context.function_name
    s3 = boto3.client("s3")
    script = json.loads(s3.get_object(Bucket="stand-ins", Key=f"{name}/answers")["Body"].read())
    number = s3.list_objects_v2(Bucket="stand-ins", Prefix=f"{name}/events/").get("KeyCount", 0)
    s3.put_object(Bucket="stand-ins", Key=f"{name}/events/{number:05d}", Body=json.dumps(event).encode())
    answer = script[min(number, len(script) - 1)]
    states = boto3.client("stepfunctions")
    if "task_token" in event and "fails" in answer:
        failure = {"error": "LabelingJobFailed", "cause": answer["fails"]}
        states.send_task_failure(taskToken=event["task_token"], **failure)
    elif "task_token" in event:
        states.send_task_success(taskToken=event["task_token"], output=json.dumps(answer))
    elif "fails" in answer:
        raise Planned(answer["fails"])
    return answer
"""


class Machine:
    """One deployed definition, whose functions are stand-ins of this machine alone."""

    def __init__(self, aws: LocalAws, name: str) -> None:
        environment = aws.environment()
        self._settings = {
            "endpoint_url": aws.endpoint,
            "region_name": REGION,
            "aws_access_key_id": environment["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
        }
        self._prefix = f"{name.replace('_', '-')[:8]}-{uuid.uuid4().hex[:6]}"
        definition = without_batch(load(name))
        self.functions = sorted(set(re.findall(r"\$\{(\w+)_function_arn\}", json.dumps(definition))))
        text = json.dumps(definition)
        for function in self.functions:
            text = text.replace(f"${{{function}_function_arn}}", self._deploy(function))
        self._arn = self._client("stepfunctions").create_state_machine(
            name=self._prefix, definition=text, roleArn=self._role("lambda:InvokeFunction")
        )["stateMachineArn"]

    def _client(self, service: str) -> Any:
        return boto3.client(service, **self._settings)

    def _role(self, *actions: str) -> str:
        name = f"role-{uuid.uuid4().hex[:8]}"
        services = {"Service": ["lambda.amazonaws.com", "states.amazonaws.com"]}
        trust = {"Effect": "Allow", "Principal": services, "Action": "sts:AssumeRole"}
        rights = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        iam = self._client("iam")
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]
        iam.put_role_policy(RoleName=name, PolicyName="rights", PolicyDocument=document(rights))
        return str(role["Arn"])

    def _deploy(self, function: str) -> str:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as package:
            package.writestr("handler.py", STAND_IN)
        rights = ("logs:*", "s3:*", "states:SendTaskFailure", "states:SendTaskSuccess")
        return str(
            self._client("lambda").create_function(
                FunctionName=self._name(function),
                Runtime="python3.12",
                Role=self._role(*rights),
                Handler="handler.lambda_handler",
                Code={"ZipFile": archive.getvalue()},
                Timeout=20,
            )["FunctionArn"]
        )

    def _name(self, function: str) -> str:
        return f"{self._prefix}-{function.replace('_', '-')}"

    def run(self, given: Mapping[str, Any], **answers: Sequence[Any]) -> dict[str, Any]:
        """Execute it with the functions' answers, and return the description of the end."""
        s3, states = self._client("s3"), self._client("stepfunctions")
        for item in s3.list_objects_v2(Bucket="stand-ins", Prefix=self._prefix).get("Contents", []):
            s3.delete_object(Bucket="stand-ins", Key=item["Key"])
        assert set(answers) <= set(self.functions)
        for function in self.functions:
            script = json.dumps(answers.get(function, [{"fails": f"nobody expected {function}"}]))
            s3.put_object(Bucket="stand-ins", Key=f"{self._name(function)}/answers", Body=script.encode())
        execution = states.start_execution(stateMachineArn=self._arn, input=json.dumps(given))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            ended = states.describe_execution(executionArn=execution["executionArn"])
            if ended["status"] != "RUNNING":
                return dict(ended)
            time.sleep(0.05)
        return pytest.fail(f"the execution did not end: {self.events()}")

    def events(self, function: str | None = None) -> Any:
        """What a function got, in order; without one, what each got."""
        if function is None:
            return {name: self.events(name) for name in self.functions}
        s3, prefix = self._client("s3"), f"{self._name(function)}/events/"
        found = s3.list_objects_v2(Bucket="stand-ins", Prefix=prefix).get("Contents", [])
        keys = sorted(item["Key"] for item in found)
        return [json.loads(s3.get_object(Bucket="stand-ins", Key=key)["Body"].read()) for key in keys]


def document(statement: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def without_batch(definition: Definition) -> Definition:
    """The definition with a state that does nothing in place of each that submits a Batch job."""
    states = {
        name: {"Type": "Pass", "Next": state["Next"]} if "batch:" in state.get("Resource", "") else state
        for name, state in definition["States"].items()
    }
    return {**definition, "States": states}


def without_tokens(events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Events without their task tokens, each of which must have been another one."""
    tokens = [event["task_token"] for event in events]
    assert all(tokens)
    assert len(set(tokens)) == len(tokens)
    return [{key: value for key, value in event.items() if key != "task_token"} for event in events]


@pytest.fixture(scope="module")
def machines() -> Iterator[Mapping[str, Machine]]:
    with LocalAws(time_scale=0) as aws:
        found = {name: Machine(aws, name) for name in NAMES}
        found["label_audit"]._client("s3").create_bucket(Bucket="stand-ins")
        yield found


# ---- an audit ----------------------------------------------------------------------------------------------


@pytest.fixture
def audit(machines: Mapping[str, Machine]) -> Machine:
    return machines["label_audit"]


START = {"audit_uri": AUDIT_URI, "labeling": None}


def advanced(step: int, done: bool = False) -> dict[str, Any]:
    return {"audit_uri": AUDIT_URI, "done": done, "step": step}


def test_an_audit_without_anything_to_do_ends_without_a_job(audit: Machine) -> None:
    ended = audit.run(START, advance_audit=[advanced(0, done=True)], finish_audit=[{}])
    assert ended["status"] == "SUCCEEDED"
    assert audit.events("advance_audit") == [{"audit_uri": AUDIT_URI, "labeling": None}]
    assert audit.events("create_labeling_job") == []
    assert audit.events("finish_audit") == [{"audit_uri": AUDIT_URI, "error": None}]


def test_each_step_of_an_audit_hears_what_the_job_before_brought(audit: Machine) -> None:
    jobs = [{**JOB, "job_name": f"digits-r1-s{step}-a1"} for step in (1, 2, 3)]
    steps = [advanced(1), advanced(2), advanced(3), advanced(3, done=True)]
    ended = audit.run(START, advance_audit=steps, create_labeling_job=jobs, finish_audit=[{}])
    assert ended["status"] == "SUCCEEDED"
    assert [event["labeling"] for event in audit.events("advance_audit")] == [None, *jobs]
    assert without_tokens(audit.events("create_labeling_job")) == [
        {"audit_uri": AUDIT_URI, "step": step} for step in (1, 2, 3)
    ]
    assert len(audit.events("finish_audit")) == 1


def test_a_job_that_fails_ends_the_audit_which_says_why(audit: Machine) -> None:
    ended = audit.run(
        START,
        advance_audit=[advanced(1)],
        create_labeling_job=[{"fails": "no work team"}],
        finish_audit=[{}],
    )
    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", "AuditFailed", "no work team")
    error = {"Error": "LabelingJobFailed", "Cause": "no work team"}
    assert audit.events("finish_audit") == [{"audit_uri": AUDIT_URI, "error": error}]


@pytest.mark.parametrize("function", ["advance_audit", "finish_audit"])
def test_a_function_that_fails_ends_the_audit_which_says_why(audit: Machine, function: str) -> None:
    answers = {"advance_audit": [advanced(0, done=True)], "finish_audit": [{}]}
    answers[function] = [{"fails": "broken"}, {}]
    ended = audit.run(START, **answers)
    assert (ended["status"], ended["error"]) == ("FAILED", "AuditFailed")
    assert json.loads(ended["cause"])["errorMessage"] == "broken"
    told = audit.events("finish_audit")[-1]
    assert told["error"]["Error"] == "Planned"


def test_a_failure_that_nobody_can_be_told_of_keeps_its_own_reason(audit: Machine) -> None:
    ended = audit.run(START, advance_audit=[{"fails": "first"}], finish_audit=[{"fails": "second"}])
    assert (ended["status"], ended["error"]) == ("FAILED", "AuditFailed")
    assert json.loads(ended["cause"])["errorMessage"] == "first"


# ---- a campaign --------------------------------------------------------------------------------------------


@pytest.fixture
def loop(machines: Mapping[str, Machine]) -> Machine:
    return machines["active_learning_loop"]


MERGED = {"accepted": 4, "fixed": 1, "relabeled": 0, "revoked": 0, "unresolved": 0}
AUDITED = {"audit_uri": AUDIT_URI, "result": {"audited": 5}}


def campaign(audit: bool) -> dict[str, Any]:
    return {"name": "digits", "uri": CAMPAIGN_URI, "shards": 2, "audit": audit}


def answers(audit: bool, rounds: int = 1) -> dict[str, list[Any]]:
    """What the functions of a campaign answer that ends after some rounds."""
    return {
        "preflight": [{"request": {"campaign": "digits"}}],
        "prepare": [{"campaign": campaign(audit), "round": 0, "stage": "select"}],
        "create_labeling_job": [JOB],
        "merge_labels": [{"labeled": 5, "failed": 0}],
        "decide": [{"stop": n + 1 == rounds, "next_round": n + 1} for n in range(rounds)],
        "record_outcome": [{"message": "all is said"}],
    }


def test_a_campaign_with_an_audit_waits_for_it_and_merges_it_in_every_round(loop: Machine) -> None:
    given = answers(audit=True, rounds=2)
    ended = loop.run({"campaign": "digits"}, start_audit=[AUDITED], merge_audit=[MERGED], **given)
    assert ended["status"] == "SUCCEEDED"
    rounds = [{"campaign": campaign(True), "round": number} for number in (0, 1)]
    assert without_tokens(loop.events("start_audit")) == [{**each, "labeling": JOB} for each in rounds]
    assert loop.events("merge_audit") == [{**each, "audit": AUDITED} for each in rounds]
    assert json.loads(ended["output"])["audited"] == MERGED


def test_a_campaign_without_an_audit_never_asks_for_one(loop: Machine) -> None:
    ended = loop.run({"campaign": "digits"}, **answers(audit=False, rounds=2))
    assert ended["status"] == "SUCCEEDED"
    assert loop.events("start_audit") == loop.events("merge_audit") == []
    assert len(loop.events("decide")) == 2


@pytest.mark.parametrize(
    ("function", "error"), [("start_audit", "LabelingJobFailed"), ("merge_audit", "Planned")]
)
def test_an_audit_that_fails_ends_the_campaign_before_anything_is_learned(
    loop: Machine, function: str, error: str
) -> None:
    audited = {"start_audit": [AUDITED], "merge_audit": [MERGED], function: [{"fails": "nobody came"}]}
    ended = loop.run({"campaign": "digits"}, **audited, **answers(audit=True))
    assert (ended["status"], ended["error"]) == ("FAILED", "CampaignFailed")
    assert loop.events("decide") == []
    (outcome,) = loop.events("record_outcome")
    assert (outcome["outcome"], outcome["campaign"], outcome["round"]) == ("FAILED", campaign(True), 0)
    assert outcome["error"]["Error"] == error
