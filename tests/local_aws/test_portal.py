"""A person labels in the running embedded AWS: from the deployed functions to the output manifest."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from worker_ui.contract import PortalError, Task, TaskGone
from worker_ui.portal import ObjectRefused, Portal, UnknownJob, UnknownWorker

if TYPE_CHECKING:
    from conftest import Account

PRE = """
    def lambda_handler(event, context):
        text = event["dataObject"]["source"]
        return {"taskInput": {"taskObject": text.upper(), "labels": ["no", "yes", "mine"]}}
"""
# The label is all answers by worker, so that a test sees whose went in.
POST = """
    import json
    import boto3

    def lambda_handler(event, context):
        bucket, _, key = event["payload"]["s3Uri"].removeprefix("s3://").partition("/")
        items = json.loads(boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
        return [
            {
                "datasetObjectId": item["datasetObjectId"],
                "consolidatedAnnotation": {"content": {"answer": {
                    each["workerId"]: json.loads(each["annotationData"]["content"])["choice"]["label"]
                    for each in item["annotations"]
                }}},
            }
            for item in items
        ]
"""
TEXTS = ["Is water wet?", "Is fire cold?", "Is it late?"]
MINE = {"choice": {"label": "mine"}}


@pytest.fixture
def me(account: Account) -> Iterator[Portal]:
    """A person's portal; afterwards the team is gone and its jobs are stopped."""
    yield Portal(account.aws.endpoint, "me")
    account.aws.control("POST", "annotators", {})
    for job in account.aws.control("GET", "labeling-jobs"):
        if job["status"] == "InProgress":
            account.client("sagemaker").stop_labeling_job(LabelingJobName=job["name"])


def set_team(account: Account, simulated: int = 3, *names: str, **changes: Any) -> None:
    """Set a team of quick simulated annotators and people."""
    annotators = {
        "seed": 1,
        "truth": dict.fromkeys(TEXTS, "yes"),
        "annotators": [
            {"name": f"a{number}", "accuracy": 1.0, "seconds_median": 0.05} for number in range(simulated)
        ],
    }
    people = [{"name": name} for name in names or ("me",)]
    team = {**(annotators if simulated else {}), "people": people, **changes}
    account.aws.control("POST", "annotators", team)


def create(account: Account, **changes: Any) -> str:
    """Create a labelling job and return its name."""
    request = account.labeling_job(PRE, POST, TEXTS, **changes)
    return str(request["LabelingJobName"])


def first(account: Account, portal: Portal, job: str, window: str = "") -> Task:
    """Wait until a job has a task and take it."""
    return account.eventually(lambda: portal.next(job, window))


def output(account: Account, job: str) -> list[dict[str, Any]]:
    """Wait for the end of a job and return the rows of its output manifest."""

    def ended() -> Any:
        description = account.client("sagemaker").describe_labeling_job(LabelingJobName=job)
        return description if description["LabelingJobStatus"] in ("Completed", "Failed", "Stopped") else None

    description = account.eventually(ended, 30)
    assert description["LabelingJobStatus"] == "Completed", description
    return [
        json.loads(line) for line in read(account, description["LabelingJobOutput"]["OutputDatasetS3Uri"])
    ]


def read(account: Account, uri: str) -> list[bytes]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body: bytes = account.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return body.splitlines()


def test_a_persons_answers_reach_the_output_manifest_beside_those_of_simulated_annotators(
    account: Account, me: Portal
) -> None:
    set_team(account)
    job = create(account)
    seen = []
    task: Task | None = first(account, me, job)
    while task is not None:
        seen.append(task.input["taskObject"])
        me.submit(task.id, MINE)
        task = me.next(job)
    # The input is what the deployed pre-annotation function made of the line.
    assert sorted(seen) == sorted(text.upper() for text in TEXTS)
    rows = output(account, job)
    assert [row["source"] for row in rows] == TEXTS
    for row in rows:
        assert sorted(row["answer"].values()) == ["mine", "yes"]
    (who,) = {worker for row in rows for worker, label in row["answer"].items() if label == "mine"}
    assert who.startswith("private.us-east-1.")


def test_the_portal_lists_a_persons_jobs_with_what_there_is_to_do(account: Account, me: Portal) -> None:
    set_team(account, 0)
    job = create(account, TaskTimeLimitInSeconds=90)
    task = first(account, me, job)
    (listed,) = [each for each in me.jobs() if each.name == job]
    assert (listed.title, listed.description) == ("Yes or no", "Answer the question")
    assert (listed.available, listed.submitted, listed.seconds) == (3, 0, 90.0)
    assert listed.task_type == ""
    me.submit(task.id, MINE)
    (listed,) = [each for each in me.jobs() if each.name == job]
    assert (listed.available, listed.submitted) == (2, 1)
    while rest := me.next(job):
        me.submit(rest.id, MINE)
    later = create(account)
    first(account, me, later)
    listed_names = [each.name for each in me.jobs() if each.name in (job, later)]
    assert listed_names == [later, job]


def test_a_task_has_the_template_its_input_and_the_time_that_is_left(account: Account, me: Portal) -> None:
    set_team(account, 0)
    task = first(account, me, create(account))
    assert task.template.startswith("<crowd-form>")
    assert task.input["labels"] == ["no", "yes", "mine"]
    assert task.deadline - task.accepted_at == pytest.approx(600)
    assert 590 < task.seconds_left <= 600
    assert abs(task.accepted_at - time.time()) < 10
    assert me.next(task.job) is not None
    again = me.task(task.id)
    assert (again.id, again.deadline, again.input) == (task.id, task.deadline, task.input)


def test_two_windows_of_a_person_get_different_objects_and_none_comes_twice(
    account: Account, me: Portal
) -> None:
    set_team(account, 0)
    job = create(account)
    left, right = first(account, me, job, "left"), first(account, me, job, "right")
    assert left.input["taskObject"] != right.input["taskObject"]
    again = [first(account, me, job, window).id for window in ("left", "right")]
    assert again == [left.id, right.id]
    third = first(account, me, job, "third")
    assert len({left.id, right.id, third.id}) == 3
    # Nothing new is left: another window takes up what a closed one held.
    assert first(account, me, job, "fourth").id == left.id
    for task in (left, right, third):
        me.submit(task.id, MINE)
    assert me.next(job, "left") is None


def test_a_declined_task_is_gone_and_a_returned_one_comes_again_last(account: Account, me: Portal) -> None:
    set_team(account, 0)
    job = create(account)
    declined = first(account, me, job)
    me.decline(declined.id)
    returned = first(account, me, job)
    me.return_(returned.id)
    other = first(account, me, job)
    me.submit(other.id, MINE)
    again = first(account, me, job)
    assert len({each.input["taskObject"] for each in (declined, returned, other)}) == 3
    assert again.input == returned.input
    assert again.id != returned.id
    me.submit(again.id, MINE)
    assert me.next(job) is None
    for end in (me.task, me.decline, me.return_, lambda task: me.submit(task, MINE)):
        for gone in (declined, returned, other, again):
            with pytest.raises(TaskGone):
                end(gone.id)


def test_simulated_annotators_finish_what_a_person_leaves(account: Account, me: Portal) -> None:
    set_team(account, patience_seconds=0.5)
    job = create(account)
    began = time.monotonic()
    rows = output(account, job)
    assert time.monotonic() - began > 0.4
    assert [sorted(row["answer"].values()) for row in rows] == [["yes", "yes"]] * 3


def test_people_who_come_later_find_the_jobs_in_progress_and_without_them_time_is_virtual_again(
    account: Account, me: Portal
) -> None:
    job = create(account)
    with pytest.raises(UnknownWorker, match="people are: nobody"):
        me.jobs()
    set_team(account, 3, "me", "you", patience_seconds=600)
    me.submit(first(account, me, job).id, MINE)
    you = Portal(account.aws.endpoint, "you")
    taken = first(account, you, job)
    slow = [{"name": f"a{number}", "accuracy": 1.0, "seconds_median": 300} for number in range(3)]
    simulated = {"seed": 1, "truth": dict.fromkeys(TEXTS, "yes"), "annotators": slow}
    account.aws.control("POST", "annotators", simulated)
    labels = [label for row in output(account, job) for label in row["answer"].values()]
    assert (labels.count("mine"), labels.count("yes")) == (1, 5)
    with pytest.raises(UnknownWorker):
        you.submit(taken.id, MINE)


def test_an_object_is_readable_by_the_token_of_its_task_alone(account: Account, me: Portal) -> None:
    set_team(account, 0, "me", "you")
    request = account.labeling_job(PRE, POST, TEXTS)
    job, bucket = request["LabelingJobName"], request["OutputConfig"]["S3OutputPath"].split("/")[2]
    task = first(account, me, job)
    token = me.grant_read_access(task.id, f"s3://{bucket}/beside/picture.png")
    assert len(token) >= 32
    picture = me.read_object(token)
    assert (picture.body, picture.media_type) == (b"picture", "image/png")
    for wrong in ("", token[:-1], "in/input.manifest", f"s3://{bucket}/beside/picture.png"):
        with pytest.raises(ObjectRefused, match="No object was granted"):
            me.read_object(wrong)
    you = Portal(account.aws.endpoint, "you")
    with pytest.raises(ObjectRefused):
        you.read_object(token)
    with pytest.raises(TaskGone):
        you.grant_read_access(task.id, f"s3://{bucket}/beside/picture.png")
    me.submit(task.id, MINE)
    with pytest.raises(ObjectRefused):
        me.read_object(token)
    with pytest.raises(TaskGone):
        me.grant_read_access(task.id, f"s3://{bucket}/beside/picture.png")


def test_an_object_is_read_with_the_rights_of_the_jobs_role(account: Account, me: Portal) -> None:
    set_team(account, 0)
    request = account.labeling_job(PRE, POST, TEXTS)
    role, bucket = request["RoleArn"], request["OutputConfig"]["S3OutputPath"].split("/")[2]
    task = first(account, me, request["LabelingJobName"])
    for key, reason in {
        "secret.png": "not authorized to perform: s3:GetObject",
        # Who may not list the bucket is not told that an object does not exist.
        "beside/absent.png": "not authorized to perform: s3:ListBucket",
    }.items():
        token = me.grant_read_access(task.id, f"s3://{bucket}/{key}")
        with pytest.raises(ObjectRefused, match=reason):
            me.read_object(token)
    recorded = {
        (call["action"], call["resource"].rpartition("/")[2], call["allowed"])
        for call in account.aws.control("GET", "calls")
        if call["role"] == role and "secret" in call["resource"]
    }
    assert recorded == {("GetObject", "secret.png", False)}


def test_what_the_portal_does_not_know_is_refused_by_name(account: Account, me: Portal) -> None:
    set_team(account, 0)
    with pytest.raises(UnknownJob, match="no labelling job 'nonsense'"):
        me.next("nonsense")
    with pytest.raises(TaskGone):
        me.task("nonsense_0_1")
    stranger = Portal(account.aws.endpoint, "stranger")
    with pytest.raises(UnknownWorker, match="'stranger' is not in the team; its people are: 'me'"):
        stranger.jobs()
    task = first(account, me, create(account))
    for uri in ("https://example.com/a.png", "s3://bucket", "s3://bucket/", "s3:///key"):
        with pytest.raises(PortalError, match="give s3://bucket/key"):
            me.grant_read_access(task.id, uri)
    for answer in (None, [], "yes"):
        with pytest.raises(PortalError, match="answer is"):
            me._command("submit", task=task.id, answer=answer)
    assert me.task(task.id).id == task.id
    with pytest.raises(PortalError, match="There is no POST /_local/portal/nonsense"):
        me._command("nonsense")


def test_a_stopped_job_takes_no_answer_and_keeps_those_it_has(account: Account, me: Portal) -> None:
    set_team(account, 0)
    job = create(account)
    me.submit(first(account, me, job).id, MINE)
    held = first(account, me, job)
    account.client("sagemaker").stop_labeling_job(LabelingJobName=job)
    with pytest.raises(TaskGone):
        me.submit(held.id, MINE)
    assert me.next(job) is None

    def stopped() -> Any:
        description = account.client("sagemaker").describe_labeling_job(LabelingJobName=job)
        return description if description["LabelingJobStatus"] == "Stopped" else None

    description = account.eventually(stopped)
    assert description["LabelCounters"]["TotalLabeled"] == 1
    assert all(each.name != job for each in me.jobs())


def test_an_answer_that_cannot_be_written_fails_the_job(account: Account, me: Portal) -> None:
    set_team(account, 0)
    request = account.labeling_job(PRE, POST, TEXTS)
    task = first(account, me, request["LabelingJobName"])
    account.allow(request["RoleArn"].rpartition("/")[2], ("s3:GetObject", "*"))
    with pytest.raises(PortalError, match=r"failed: User: .* is not authorized to perform: s3:PutObject"):
        me.submit(task.id, MINE)
    description = account.client("sagemaker").describe_labeling_job(LabelingJobName=task.job)
    assert description["LabelingJobStatus"] == "Failed"
    assert "s3:PutObject" in description["FailureReason"]


def test_an_embedded_aws_that_is_gone_is_told(account: Account) -> None:
    with pytest.raises(PortalError, match="does not answer"):
        Portal("http://127.0.0.1:9").jobs()
