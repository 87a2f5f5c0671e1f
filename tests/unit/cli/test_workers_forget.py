"""Forgetting somebody leaves no identifier anywhere within reach, and every total as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from truthloop.errors import TruthloopError
from truthloop.labeling.workers import earlier_skills
from truthloop.trace.people import Identity, People, Person, shortened_id
from truthloop_cli import workers, workers_forget
from truthloop_cli.trace_stack import TracedStack
from unit.trace.kit import (
    ANNA,
    BEN,
    BUCKET,
    CHIE,
    LAYOUT,
    PREFIX,
    START,
    Someone,
    Stack,
    answer,
    deployed,
    time_text,
    verdict,
)

JOBS = ("digits-r0-a1-0123abcd", "digits-r1-a1-0123abcd")
AUDIT_JOB = "digits-r0-0000abcd-s1-a1-0123abcd"
AUDIT_FOLDER = f"{LAYOUT.audits_prefix()}digits-r0-0000abcd/jobs/"


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """Two rounds, an audit and a job of no campaign, with every file that names people, in versions."""
    with deployed(monkeypatch) as made:
        _work(made)
        yield made


def _work(stack: Stack) -> None:
    stack.campaign()
    recorder = stack.recorder()
    for number, job in enumerate(JOBS):
        stack.job(job, number=number)
        for index in range(3):
            first = [answer(ANNA, number * 10 + index)]
            # Answers of one second share a file, which is written again for the second one.
            stack.respond(job, index, first)
            recorder.record(stack.respond(job, index, [*first, answer(BEN, number * 10 + index)]))
        people = {ANNA.worker_id: 1.0, BEN.worker_id: 0.5}
        recorder.record(stack.evidence(job, {str(index): people for index in range(3)}))
        request = [
            {
                "datasetObjectId": "0",
                "annotations": [
                    {"workerId": who.worker_id, "annotationData": {"content": "{}"}} for who in (ANNA, BEN)
                ],
            }
        ]
        consolidated = f"{LAYOUT.labeling_prefix()}{job}/annotations/consolidated-annotation/"
        stack.s3.write_json(f"{consolidated}consolidation-request/iteration-1/a.json", request)
        skills = {
            each: {"answers": 3, "agreement": 1.0, "agreement_sum": 3.0, "counts": {"right": 3.0}}
            for each in people
        }
        stack.s3.write_json(LAYOUT.workers(number), {"round": number, "workers": skills})
    stack.job(AUDIT_JOB, purpose="audit")
    recorder.record(stack.respond(AUDIT_JOB, 0, [answer(CHIE, 50), answer(ANNA, 51)], AUDIT_FOLDER))
    recorder.record(stack.respond("my-own-job", 0, [answer(ANNA, 60)], f"s3://{BUCKET}/by-hand/"))
    recorder.record(stack.verdicts([verdict(JOBS[0], 0, "reject")]))
    # The report shortens worker ids.
    page = "".join(f"<td>{shortened_id(who.worker_id)}</td>" for who in (ANNA, BEN))
    stack.s3.write_bytes(LAYOUT.report(), page.encode(), "text/html")
    stack.s3.write_json(LAYOUT.report_document(), {"annotators": [{"worker": ANNA.worker_id}]})
    # Somebody wrote something else over a file that named her.
    stack.s3.write_json(f"{LAYOUT.uri}note.json", {"by": ANNA.sub})
    stack.s3.write_json(f"{LAYOUT.uri}note.json", {"by": "nobody"})
    gone = stack.respond(JOBS[0], 9, [answer(ANNA)])
    stack.client.delete_object(Bucket=BUCKET, Key=gone.removeprefix(f"s3://{BUCKET}/"))


def run(*arguments: str, **options: Any) -> Result:
    environment = {"TRUTHLOOP_PREFIX": PREFIX, "COLUMNS": "200"}
    return CliRunner().invoke(workers.app, list(arguments), env=environment, **options)


def refused(*arguments: str) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, TruthloopError), result.output
    return str(result.exception)


def totals(*campaigns: str) -> list[Any]:
    found = []
    for campaign in campaigns or ("digits", "-"):
        result = run("report", "--campaign", campaign, "--json")
        assert result.exit_code == 0, result.output
        found.append(json.loads(result.stdout))
    return found


def forget(pseudonym: str) -> Result:
    result = run("forget", pseudonym, "--yes")
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def uris(stack: Stack) -> list[str]:
    return list(stack.s3.list(f"s3://{BUCKET}/"))


def test_afterwards_nothing_holds_the_identifier_and_all_totals_are_the_same(stack: Stack) -> None:
    anna, before, files = stack.worker(ANNA), totals(), uris(stack)
    bare = shortened_id(ANNA.worker_id)
    assert bare == "a" * 16
    assert all(f">{bare}<" in stack.everything() and name in stack.everything() for name in ANNA.identifiers)
    shown = forget(anna).stdout
    everything = stack.everything()
    assert not any(name in everything for name in (*ANNA.identifiers, bare))
    assert all(name in everything for who in (BEN, CHIE) for name in who.identifiers)
    assert totals() == before
    assert uris(stack) == files
    assert "8 worker responses have the pseudonym now" in shown
    assert "2 consolidation requests" in shown
    assert "2 evidence files" in shown
    assert "2 workers.json" in shown
    assert "2 reports" in shown
    assert "Cognito" in shown
    assert "WorkerActivity" in shown


def test_the_rewritten_files_make_no_second_record_and_no_new_person(stack: Stack) -> None:
    anna = stack.worker(ANNA)
    before = [stack.answers.of_campaign(each) for each in ("digits", "-")]
    forget(anna)
    recorder = stack.recorder()
    for uri in uris(stack):
        recorder.record(uri)
    assert [stack.answers.of_campaign(each) for each in ("digits", "-")] == before
    assert {each.sub for each in stack.people.identities()} == {BEN.sub, CHIE.sub}


def test_the_rewritten_files_are_still_what_they_were(stack: Stack) -> None:
    anna = stack.worker(ANNA)
    skills = earlier_skills(stack.s3, LAYOUT, 2)
    forget(anna)
    after = earlier_skills(stack.s3, LAYOUT, 2)
    assert after == {anna if worker == ANNA.worker_id else worker: skill for worker, skill in skills.items()}
    response = next(uri for uri in uris(stack) if "worker-response" in uri)
    document = stack.s3.read_json(response)
    assert document["answers"][0]["workerId"] == anna
    assert document["answers"][0]["workerMetadata"]["identityData"]["sub"] == anna
    assert stack.s3.head(response).content_type == "application/json"
    assert stack.s3.head(LAYOUT.report()).content_type == "text/html"


def test_forgetting_again_changes_nothing_and_says_so(stack: Stack) -> None:
    anna = stack.worker(ANNA)
    forget(anna)
    everything = stack.everything()
    assert "forgotten already" in forget(anna).stdout
    assert stack.everything() == everything


@pytest.mark.parametrize("calls", [1, 4, 9, 16])
def test_an_interrupted_run_is_finished_by_the_same_command(
    stack: Stack, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, before = stack.worker(ANNA), totals()
    original, left = workers_forget._clean, iter(range(calls))

    def tired(*arguments: Any) -> Any:
        if next(left, None) is None:
            raise ClientError({"Error": {"Code": "SlowDown", "Message": ""}}, "GetObject")
        return original(*arguments)

    with monkeypatch.context() as context:
        context.setattr(workers_forget, "_clean", tired)
        assert "SlowDown" in refused("forget", anna, "--yes")
    assert stack.people.identity(anna) is not None
    forget(anna)
    everything = stack.everything()
    assert not any(name in everything for name in ANNA.identifiers)
    assert totals() == before


def test_a_file_that_changes_meanwhile_is_read_again(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    anna = stack.worker(ANNA)
    uri = LAYOUT.workers(1)
    known = TracedStack.find(PREFIX, "")
    put, raced = known.s3_client.put_object, []

    def put_object(**arguments: Any) -> Any:
        if not raced and arguments["Key"] in uri:
            raced.append(True)
            stack.s3.write_json(uri, {"round": 1, "workers": {ANNA.worker_id: {"answers": 99}}})
        return put(**arguments)

    monkeypatch.setattr(known.s3_client, "put_object", put_object)
    workers_forget.forget(known, workers_forget.find_identities(known, anna))
    assert raced
    assert stack.s3.read_json(uri) == {"round": 1, "workers": {anna: {"answers": 99}}}


def test_open_jobs_of_the_person_are_named_and_nothing_is_changed(stack: Stack) -> None:
    stack.jobs.open(replace(stack.jobs.require(JOBS[1]), state="open"))
    everything = stack.everything()
    assert JOBS[1] in refused("forget", stack.worker(ANNA), "--yes")
    assert stack.everything() == everything
    # Of those whom it doesn't concern, nothing is asked.
    forget(stack.worker(CHIE))


def test_two_worker_ids_of_one_person_stay_two_entries(stack: Stack) -> None:
    again = Someone("private.us-east-1.eeeeeeeeeeeeeeee", ANNA.sub)
    stack.recorder().record(stack.respond(JOBS[1], 5, [answer(again, 70)]))
    anna = stack.worker(ANNA)
    skills = {who.worker_id: {"answers": number} for number, who in enumerate((ANNA, again, BEN))}
    stack.s3.write_json(LAYOUT.workers(1), {"round": 1, "workers": skills})
    forget(anna)
    left = stack.s3.read_json(LAYOUT.workers(1))["workers"]
    assert sorted(each["answers"] for each in left.values()) == [0, 1, 2]
    assert not any(name in stack.everything() for name in (*ANNA.identifiers, again.worker_id))


def test_two_pseudonyms_of_one_person_are_forgotten_together(stack: Stack) -> None:
    # As after two files that knew different names of somebody new came at the same moment.
    second = "w-222222222222"
    stack.people._set(second, {"sub": {"S": ANNA.sub}}, "private.us-east-1.ffffffffffffffff")
    forget(second)
    assert {each.sub for each in stack.people.identities()} == {BEN.sub, CHIE.sub}


@pytest.mark.parametrize(
    ("sub", "text"),
    [
        ("auth0|5f3a1b2c4d", r'{"sub": "auth0|5f3a1b2c4d", "x": "auth0|5f3a1b2c4d9"}'),
        ("corp/people/5f3a1b", r'{"sub": "corp\/people\/5f3a1b"}'),
        (
            "山田太郎@example.jp",
            '{"sub": "\\u5c71\\u7530\\u592a\\u90ce@example.jp", "y": "山田太郎@example.jp"}',
        ),
        ("a&b<c>0123456789", "<td>a&amp;b&lt;c&gt;0123456789</td>"),
        ("me", '{"sub": "me", "name": "some", "me": ["me"]}'),
    ],
)
def test_names_are_found_however_they_are_written_and_nothing_else_is(sub: str, text: str) -> None:
    names = workers_forget.Names([Identity("w-000000000001", frozenset(), sub, None, None, "")])
    assert names.are_in(text.encode())
    replaced = names.replaced(text.encode()).decode()
    assert "w-000000000001" in replaced
    assert not names.are_in(replaced.encode())
    assert "5f3a1b2c4d9" in replaced or "5f3a1b2c4d9" not in text
    assert "some" in replaced or "some" not in text


def test_it_asks_before_and_does_nothing_without_a_yes(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    anna, everything = stack.worker(ANNA), stack.everything()
    assert "--yes" in refused("forget", anna)
    assert stack.everything() == everything


def test_an_unknown_pseudonym_is_refused_with_the_closest(stack: Stack) -> None:
    anna = stack.worker(ANNA)
    assert anna in refused("forget", anna[:-1], "--yes")
    assert "w- and 12 hexadecimal digits" in refused("forget", "anna@example.org", "--yes")


def test_without_versions_the_rewritten_file_stays(stack: Stack) -> None:
    other = "without-versions"
    stack.client.create_bucket(Bucket=other)
    uri = f"s3://{other}/labeling/{JOBS[0]}/annotations/worker-response/iteration-1/0/a.json"
    stack.s3.write_json(uri, {"answers": [answer(ANNA)]})
    anna = stack.worker(ANNA)
    result = run("forget", anna, "--yes", "--bucket", other)
    assert result.exit_code == 0, result.exception
    text = stack.s3.read_bytes(uri).decode()
    assert anna in text
    assert not any(name in text for name in ANNA.identifiers)


def test_retention_forgets_those_whose_last_answer_is_older(stack: Stack) -> None:
    now = datetime.now(UTC)
    old = Someone("private.us-east-1.1111111111111111", "11111111-1111-4222-8333-444444444444")
    new = Someone("private.us-east-1.2222222222222222", "22222222-1111-4222-8333-444444444444")
    recorder = stack.recorder()
    for index, (who, days) in enumerate([(old, 400), (old, 31), (new, 400), (new, 29)]):
        at = time_text(now - timedelta(days=days))
        entry = answer(who, submissionTime=at, acceptanceTime=None)
        recorder.record(stack.respond(JOBS[0], 20 + index, [entry]))
    # The others' answers are in the future, as simulated annotators' may be.
    assert now < START
    kept = {each.sub for each in stack.people.identities()} - {old.sub}
    assert stack.worker(old) in run("retain", "--days", "30", "--yes").stdout
    assert {each.sub for each in stack.people.identities()} == kept
    assert not any(name in stack.everything() for name in old.identifiers)
    assert "nothing to do" in run("retain", "--days", "30", "--yes").stdout


def test_retention_keeps_somebody_who_is_new_and_has_not_answered(stack: Stack) -> None:
    people = People(f"{PREFIX}-workers")
    people.pseudonym_of(Person(None, "33333333-1111-4222-8333-444444444444"))
    known = TracedStack.find(PREFIX, "")
    assert workers_forget.find_expired(known, 30, datetime.now(UTC)) == []
    later = datetime.now(UTC) + timedelta(days=31)
    assert [each.sub for each in workers_forget.find_expired(known, 30, later)] == [
        "33333333-1111-4222-8333-444444444444"
    ]
