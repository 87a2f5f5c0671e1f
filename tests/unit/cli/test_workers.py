"""The report on a campaign's workers: right numbers, safe files, names only when asked, clear refusals."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pyarrow.parquet
import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from truthloop.errors import TruthloopError
from truthloop.trace.activity import read_activities, record, unpack
from truthloop.trace.recording import JobBook
from truthloop_cli import trace_stack, workers, workers_names
from truthloop_cli.workers_figures import Price, report, share
from truthloop_cli.workers_report import safe_cell
from unit.trace.kit import (
    ANNA,
    BEN,
    CHIE,
    DORA,
    LAYOUT,
    PREFIX,
    Stack,
    activity,
    answer,
    delivery,
    deployed,
    verdict,
)

LABELING = ("digits-r0-a1-0123abcd", "digits-r1-a1-0123abcd")
REAL_CLIENT = trace_stack.client
AUDITING = "digits-r0-audit-s1-a1-0123abcd"


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    with deployed(monkeypatch) as made:
        yield made


@pytest.fixture
def campaign(stack: Stack) -> Stack:
    """Two rounds of two labellers, an auditor, gold items, suggestions, and a decline."""
    stack.campaign(audit={"policy": "sample", "price_per_answer_usd": 0.05})
    for number, job in enumerate(LABELING):
        stack.job(job, number=number)
    stack.job(AUDITING, purpose="audit")
    recorder = stack.recorder()
    uris = []
    for number, job in enumerate(LABELING):
        for index in range(10):
            suggestion = {"box": {"initialValueModified": index >= 8}}
            minute = number * 100 + index
            answers = [answer(ANNA, minute, suggestion, seconds=10 + index), answer(BEN, minute, seconds=30)]
            uris.append(stack.respond(job, index, answers))
        agreement = {
            str(index): {ANNA.worker_id: 1.0, BEN.worker_id: 0.5 + number / 4} for index in range(10)
        }
        uris.append(stack.evidence(job, agreement, {"9": {ANNA.worker_id: 1.0, BEN.worker_id: 0.0}}))
    uris += [stack.respond(AUDITING, index, [answer(CHIE, 300 + index, seconds=4)]) for index in range(4)]
    decisions = enumerate(["accept", "accept", "reject", "fix"])
    uris.append(stack.verdicts([verdict(LABELING[0], index, said) for index, said in decisions]))
    for uri in uris:
        recorder.record(uri)
    log = [activity(BEN, LABELING[0]), activity(BEN, LABELING[1], "TasksReturned")]
    record(read_activities(unpack(delivery(log))), stack.answers, stack.people, JobBook(stack.jobs))
    return stack


def run(*arguments: str, **options: Any) -> Result:
    environment = {"TRUTHLOOP_PREFIX": PREFIX, "COLUMNS": "200"}
    return CliRunner().invoke(workers.app, list(arguments), env=environment, **options)


def refused(*arguments: str) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, TruthloopError), result.output
    return str(result.exception)


def figures(*arguments: str) -> dict[str, Any]:
    result = run("report", "--campaign", "digits", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_figures_of_each_worker_are_those_of_the_answers(campaign: Stack) -> None:
    found = figures()
    anna, ben, chie = (campaign.worker(who) for who in (ANNA, BEN, CHIE))
    by_worker = {each["worker"]: each for each in found["workers"]}
    assert set(by_worker) == {anna, ben, chie}
    one = by_worker[anna]
    assert (one["work"], one["answers"], one["objects"]) == ("labels", 20, 20)
    assert one["median_seconds"] == pytest.approx(14.5)
    assert one["hours"] == pytest.approx(290 / 3600)
    assert one["per_hour"] == pytest.approx(20 / (290 / 3600))
    assert (one["agreement"], one["agreement_of"]) == (1.0, 20)
    assert by_worker[ben]["agreement"] == pytest.approx(0.625)
    assert one["gold"]["value"] == 1
    assert one["gold"]["of"] == 2
    assert 0 < one["gold"]["low"] < 1
    assert by_worker[ben]["gold"]["value"] == 0
    assert (one["audited"], one["accepted"], one["fixed"], one["rejected"]) == (4, 2, 1, 1)
    assert one["audit_pass"]["value"] == 0.75
    assert (one["suggestions_accepted"], one["suggestions"]) == (16, 20)
    assert one["cost_usd"] == pytest.approx(20 * 0.02)
    assert one["cost_per_accepted_usd"] == pytest.approx(4 * 0.02 / 2)
    assert (by_worker[ben]["declined"], by_worker[ben]["returned"]) == (1, 1)
    auditor = by_worker[chie]
    assert (auditor["work"], auditor["answers"], auditor["cost_usd"]) == ("verdicts", 4, pytest.approx(0.2))
    assert auditor["audit_pass"] is None
    totals = {each["work"]: each for each in found["totals"]}
    assert (totals["labels"]["answers"], totals["labels"]["objects"]) == (40, 20)
    # A label that two people made is one label.
    assert (totals["labels"]["audited"], totals["labels"]["rejected"]) == (4, 1)
    assert totals["labels"]["cost_per_accepted_usd"] == pytest.approx(8 * 0.02 / 2)


def test_learning_is_shown_by_round_and_by_tenth_where_there_is_one_round(campaign: Stack) -> None:
    by_worker = {each["worker"]: each for each in figures()["workers"]}
    steps = by_worker[campaign.worker(BEN)]["learning"]
    assert [(each["name"], each["answers"], each["agreement"]) for each in steps] == [
        ("round 0", 10, 0.5),
        ("round 1", 10, 0.75),
    ]
    (only,) = [
        each for each in figures("--job", LABELING[0])["workers"] if each["worker"] == campaign.worker(ANNA)
    ]
    assert [each["name"] for each in only["learning"]] == [f"tenth {number}" for number in range(1, 11)]
    assert [each["median_seconds"] for each in only["learning"]] == [10 + number for number in range(10)]


def test_by_round_gives_a_row_for_each_round_and_the_same_totals(campaign: Stack) -> None:
    whole, parts = figures(), figures("--by-round")
    anna = [each for each in parts["workers"] if each["worker"] == campaign.worker(ANNA)]
    assert [(each["round"], each["answers"]) for each in anna] == [(0, 10), (1, 10)]
    assert parts["totals"] == whole["totals"]


def test_the_terminal_shows_everybody_and_no_identifier(campaign: Stack) -> None:
    shown = run("report", "--campaign", "digits").stdout
    for who in (ANNA, BEN, CHIE):
        assert campaign.worker(who) in shown
        assert not any(name in shown for name in who.identifiers)
    assert "75% (" in shown
    assert "round 1" in shown


def test_the_files_hold_what_the_table_says(campaign: Stack, tmp_path: Path) -> None:
    result = run("report", "--campaign", "digits", "--output", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    with (tmp_path / "out" / "workers.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["worker"]: int(row["answers"]) for row in rows if row["work"] == "labels"} == {
        campaign.worker(ANNA): 20,
        campaign.worker(BEN): 20,
        "all": 40,
    }
    assert float(rows[0]["audit_pass"]) == 0.75
    table = pyarrow.parquet.read_table(tmp_path / "out" / "workers.parquet").to_pylist()
    assert [row["worker"] for row in table] == [row["worker"] for row in rows]
    answers = pyarrow.parquet.read_table(tmp_path / "out" / "answers.parquet").to_pylist()
    assert len(answers) == 44
    assert sum(row["verdict"] == "reject" for row in answers) == 2
    assert all(type(row["seconds"]) is float and type(row["round"]) is int for row in answers)
    with (tmp_path / "out" / "answers.csv").open(encoding="utf-8-sig", newline="") as file:
        assert len(list(csv.DictReader(file))) == 44


def test_the_page_is_one_file_with_its_plots(campaign: Stack, tmp_path: Path) -> None:
    run("report", "--campaign", "digits", "--by-round", "--output", str(tmp_path))
    page = (tmp_path / "index.html").read_text()
    for heading in ("Seconds per answer", "Known answers", "Audit pass", "Agreement over time"):
        assert heading in page
    assert page.count("<svg") >= 5
    assert campaign.worker(ANNA) in page
    assert "currentColor" in page
    assert "#010203" not in page
    # Nothing is loaded from elsewhere.
    assert not re.search(r"""(src|href)\s*=\s*["'](?!#)""", page)
    assert "@import" not in page


class UserPool:
    """Cognito's ListUsers as far as it is asked."""

    def __init__(self, users: dict[str, dict[str, str]]) -> None:
        self.users = users
        self.asked: list[str] = []

    def list_users(self, *, UserPoolId: str, Filter: str, Limit: int) -> dict[str, Any]:
        match = re.fullmatch(r'sub = "([^"]+)"', Filter)
        assert match is not None
        assert (UserPoolId, Limit) == ("us-east-1_TEAM", 1)
        self.asked.append(match[1])
        if match[1] == DORA.sub:
            error = {"Error": {"Code": "NotAuthorizedException", "Message": ""}}
            raise ClientError(error, "ListUsers")  # type: ignore[arg-type]
        known = self.users.get(match[1])
        attributes = [{"Name": name, "Value": value} for name, value in (known or {}).items()]
        return {"Users": [] if known is None else [{"Username": "user", "Attributes": attributes}]}


def test_names_are_looked_up_only_when_asked_and_kept_nowhere(
    campaign: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = UserPool(
        {ANNA.sub: {"email": "a@example.org", "name": "=安藤 $x$ [red]アンナ"}, BEN.sub: {"email": "b@c.d"}}
    )
    original = workers.client
    monkeypatch.setattr(workers, "client", lambda name: pool if name == "cognito-idp" else original(name))
    run("report", "--campaign", "digits")
    assert pool.asked == []
    before = campaign.everything()
    result = run("report", "--campaign", "digits", "--names", "--output", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert "=安藤 $x$ [red]アンナ" in result.stdout
    assert "b@c.d" in result.stdout
    assert "unknown (not in the user pool any more)" in result.stdout
    assert campaign.everything() == before
    assert "安藤 $x$ [red]アンナ" in (tmp_path / "index.html").read_text()
    with (tmp_path / "workers.csv").open(encoding="utf-8-sig", newline="") as file:
        names = {row["worker"]: row["name"] for row in csv.DictReader(file)}
    assert names[campaign.worker(ANNA)] == "'=安藤 $x$ [red]アンナ"


def test_a_name_that_cannot_be_found_says_why(campaign: Stack) -> None:
    job = "digits-r2-a1-0123abcd"
    oidc = {"identityData": {"identityProviderType": "Oidc", "issuer": "https://login.example", "sub": "x|1"}}
    entries = [answer(DORA), answer(BEN, workerId="other", workerMetadata=oidc)]
    campaign.recorder().record(campaign.respond(job, 0, entries))
    people = [each.worker for each in campaign.people.identities()]
    found = workers_names.find_names([*people, "w-000000000000"], campaign.people, lambda: UserPool({}))
    assert sorted(set(found.values())) == [
        "unknown (NotAuthorizedException)",
        "unknown (forgotten)",
        "unknown (not in the user pool any more)",
        "unknown (not of a Cognito user pool)",
    ]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


def test_numbers_and_plain_texts_stay_as_they_are() -> None:
    assert [safe_cell(each) for each in (-1.5, 3, "w-1", "a=b", "", None)] == [-1.5, 3, "w-1", "a=b", "", ""]


def test_an_unknown_campaign_stack_or_job_is_refused_with_what_there_is(campaign: Stack) -> None:
    assert "campaigns: digits" in refused("report", "--campaign", "digit")
    assert LABELING[0] in refused("report", "--campaign", "digits", "--job", "digits-r0")
    message = refused("report", "--campaign", "digits", "--prefix", "truthloop-tset")
    assert "truthloop-tset-answers" in message
    assert f"stacks here: {PREFIX}." in message
    assert "TRUTHLOOP_PREFIX" in message


def test_a_campaign_without_answers_says_how_to_load_them(stack: Stack) -> None:
    stack.campaign()
    assert "truthloop workers load --campaign digits" in refused("report", "--campaign", "digits")


def test_missing_credentials_are_said_in_one_sentence(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # moto puts its own credentials into the environment and wants to find them there in the end.
    with monkeypatch.context() as context:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            context.delenv(name)
        context.setattr(trace_stack, "client", REAL_CLIENT)
        context.setattr(boto3, "DEFAULT_SESSION", None)
        context.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        context.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        context.setenv("AWS_EC2_METADATA_DISABLED", "true")
        assert "There are no AWS credentials" in refused("report", "--campaign", "digits")


def test_loading_brings_back_what_lost_events_left_out(campaign: Stack) -> None:
    expected = figures()
    client = campaign.answers._client
    for item in client.scan(TableName=f"{PREFIX}-answers")["Items"]:
        if not item["answer_of"]["S"].startswith("activity#"):
            key = {name: item[name] for name in ("answer_of", "worker")}
            client.delete_item(TableName=f"{PREFIX}-answers", Key=key)
    # The audit's own job isn't below the campaign's labelling folder here, as with a job of another place.
    result = run("load", "--campaign", "digits")
    assert result.exit_code == 0, result.output
    assert "44 answers, 40 evidence, 4 verdicts" in result.stdout
    assert re.search(r"[\d,]+ answers/s", result.stdout)
    assert figures() == expected
    again = run("load", "--job-prefix", LAYOUT.labeling_prefix(), "--job-prefix", LAYOUT.audits_prefix())
    assert again.exit_code == 0, again.output
    assert figures() == expected


def test_loading_says_what_could_not_be_read(campaign: Stack) -> None:
    campaign.respond(LABELING[0], 99, ["no answer", answer(ANNA, 5)])
    shown = run("load", "--campaign", "digits").stdout
    assert "1 could not be read" in shown
    assert "/99/" in shown


def test_loading_wants_a_campaign_or_a_folder_that_holds_answers(campaign: Stack) -> None:
    assert run("load").exit_code == 2
    assert run("load", "--campaign", "digits", "--job-prefix", "s3://bucket/x").exit_code == 2
    assert "not an S3 URI" in refused("load", "--job-prefix", "bucket/x")
    assert "no files of answers" in refused("load", "--job-prefix", f"{LAYOUT.uri}rounds/")


def test_nothing_is_a_share_of_nothing() -> None:
    assert share(0, 0) is None
    found = share(1.5, 3)
    assert found is not None
    assert found.low < found.value == 0.5 < found.high
    assert report("digits", [], [], Price(1, 1)).totals == []
