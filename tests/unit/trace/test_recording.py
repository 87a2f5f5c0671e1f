"""Files become records: once, whatever their order, and whatever they hold."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest

from truthloop.errors import ObjectNotFound
from truthloop.trace.answers import NO_CAMPAIGN, Answer, Records, TableOverloaded
from truthloop.trace.people import PSEUDONYM
from truthloop.trace.recording import Kind, kind_of
from unit.trace.kit import ANNA, BEN, BUCKET, CHIE, ISSUER, LAYOUT, Stack, answer, verdict

JOB = "digits-r0-a1-0123abcd"


def records(stack: Stack, campaign: str = "digits") -> Records:
    return stack.answers.of_campaign(campaign)


def only(stack: Stack, campaign: str = "digits") -> Answer:
    (found,) = records(stack, campaign).answers
    return found


def test_an_answer_becomes_a_record_with_all_that_its_file_says(stack: Stack) -> None:
    stack.job(JOB, number=3)
    content = {
        "boxes": {"boundingBoxes": [], "initialValueModified": True},
        "clientTiming": json.dumps({"wallMs": 13000, "activeMs": 9000}),
    }
    uri = stack.respond(JOB, 7, [answer(ANNA, 5, content, seconds=12.5)])
    recorded = stack.recorder().record(uri)
    assert recorded is not None
    assert (recorded.kind, recorded.records, recorded.rejected) == (Kind.ANSWERS, 1, ())
    found = only(stack)
    assert found.worker == stack.worker(ANNA)
    assert PSEUDONYM.fullmatch(found.worker)
    assert (found.campaign, found.round, found.purpose) == ("digits", 3, "label")
    assert (found.job, found.object, found.answer_of, found.iteration) == (JOB, "7", f"{JOB}#7", 1)
    assert (found.accepted_at, found.submitted_at) == ("2030-01-31T12:04:46.500Z", "2030-01-31T12:05:00.000Z")
    assert (found.seconds, found.wall_seconds, found.active_ms) == (12.5, 13.5, 9000)
    assert found.suggestion == "changed"
    assert found.source == uri
    assert (found.agreement, found.gold, found.verdict) == (None, None, None)


def test_a_file_that_is_read_twice_makes_one_record(stack: Stack) -> None:
    stack.job(JOB)
    uri = stack.respond(JOB, 0, [answer(ANNA), answer(BEN, 1)])
    for _ in range(2):
        stack.recorder().record(uri)
    first = records(stack)
    stack.recorder().record(uri)
    assert records(stack) == first
    assert len(first.answers) == 2
    assert len(list(stack.people.identities())) == 2


def test_the_order_of_events_does_not_matter_and_neither_does_repetition(stack: Stack) -> None:
    stack.job(JOB)
    uris = [
        stack.respond(JOB, 0, [answer(ANNA), answer(BEN)]),
        stack.evidence(JOB, {"0": {ANNA.worker_id: 1.0, BEN.worker_id: 0.25}}, {"1": {ANNA.worker_id: 0.5}}),
        stack.respond(JOB, 1, [answer(ANNA, 2)]),
        stack.verdicts([verdict(JOB, 0, "reject")], 1),
        stack.verdicts([verdict(JOB, 0, "accept", minute=90)], 2),
    ]
    # Fixed pseudonyms, so that the same records can be compared.
    for uri in (uris[0], uris[2]):
        stack.recorder().record(uri)
    expected = None
    orders = list(itertools.permutations(uris))
    for order in random.Random(1).sample(orders, 5):  # noqa: S311 (no secret)
        _empty_answers(stack)
        for uri in [*order, *order[:2]]:
            stack.recorder().record(uri)
        found = sorted(records(stack).answers, key=lambda each: (each.answer_of, each.worker))
        expected = expected or found
        assert found == expected
    anna, ben = stack.worker(ANNA), stack.worker(BEN)
    assert expected is not None
    by_key = {(each.object, each.worker): each for each in expected}
    assert {key: (each.agreement, each.gold) for key, each in by_key.items()} == {
        ("0", anna): (1.0, None),
        ("0", ben): (0.25, None),
        ("1", anna): (None, 0.5),
    }
    decisions = {key: each.verdict and each.verdict.decision for key, each in by_key.items()}
    assert decisions == {("0", anna): "accept", ("0", ben): "accept", ("1", anna): None}


def _empty_answers(stack: Stack) -> None:
    table = "truthloop-test-answers"
    client = stack.answers._client
    for item in client.scan(TableName=table)["Items"]:
        client.delete_item(TableName=table, Key={key: item[key] for key in ("answer_of", "worker")})


def test_of_two_answers_of_one_worker_to_one_object_the_later_stays(stack: Stack) -> None:
    stack.job(JOB)
    late = stack.respond(JOB, 0, [answer(ANNA, 9, {"class": {"label": "dog"}})], second=9)
    early = stack.respond(JOB, 0, [answer(ANNA, 1)], second=1)
    for uri in (late, early):
        stack.recorder().record(uri)
    assert only(stack).source == late


def test_optional_fields_may_be_missing(stack: Stack) -> None:
    stack.job(JOB)
    bare = answer(ANNA, acceptanceTime=None, timeSpentInSeconds=None, workerMetadata=None)
    stack.recorder().record(stack.respond(JOB, 0, [bare]))
    found = only(stack)
    assert (found.accepted_at, found.seconds, found.wall_seconds, found.active_ms) == (None,) * 4
    assert (found.suggestion, found.worked_seconds) == (None, None)


def test_the_files_name_says_the_time_where_the_answer_does_not(stack: Stack) -> None:
    stack.job(JOB)
    stack.recorder().record(stack.respond(JOB, 0, [answer(ANNA, submissionTime=None)], second=42))
    assert only(stack).submitted_at == "2030-01-31T12:00:42.000Z"


def test_a_job_of_no_campaign_is_recorded_all_the_same(stack: Stack) -> None:
    folder = f"s3://{BUCKET}/by-hand/"
    stack.recorder().record(stack.respond("my-own-job", 0, [answer(ANNA)], folder))
    found = only(stack, NO_CAMPAIGN)
    assert (found.campaign, found.round, found.purpose) == ("-", None, "label")


def test_the_audit_of_a_job_of_no_campaign_has_its_purpose(stack: Stack) -> None:
    stack.job("my-own-audit-s1-a1-0", purpose="audit", campaign="")
    folder = f"s3://{BUCKET}/audits/my-own-audit/jobs/"
    stack.recorder().record(stack.respond("my-own-audit-s1-a1-0", 0, [answer(ANNA)], folder))
    found = only(stack, NO_CAMPAIGN)
    assert (found.round, found.purpose, found.is_verdict) == (None, "audit", True)


def test_the_digest_is_of_the_answer_and_not_of_its_time_or_its_writing(stack: Stack) -> None:
    stack.job(JOB)
    timed = {"class": {"label": "cat"}, "more": [1], "clientTiming": '{"activeMs": 5}'}
    other_order = {"more": [1], "clientTiming": '{"activeMs": 7}', "class": {"label": "cat"}}
    another = {"class": {"label": "dog"}, "more": [1]}
    for index, content in enumerate((timed, other_order, another)):
        stack.recorder().record(stack.respond(JOB, index, [answer(ANNA, content=content)]))
    first, second, third = (each.answer_sha256 for each in records(stack).answers)
    assert first == second
    assert first != third


@pytest.mark.parametrize(
    ("content", "suggestion"),
    [
        ({"box": {"initialValueModified": False}}, "accepted"),
        ({"a": {"initialValueModified": False}, "b": [{"initialValueModified": True}]}, "changed"),
        ({"box": {"initialValueModified": "no"}}, None),
        ({"box": {}}, None),
    ],
)
def test_what_became_of_a_suggestion_is_found_anywhere_in_the_answer(
    stack: Stack, content: Any, suggestion: str | None
) -> None:
    stack.job(JOB)
    stack.recorder().record(stack.respond(JOB, 0, [answer(ANNA, content=content)]))
    assert only(stack).suggestion == suggestion


DEEP = json.loads("[" * 900 + "]" * 900)
HOSTILE: list[Any] = [
    None,
    "text",
    [],
    {},
    answer(ANNA, workerId=7, workerMetadata=None),
    answer(ANNA, workerId="", workerMetadata=None),
    answer(ANNA, workerId="x" * 5000, workerMetadata=None),
    answer(ANNA, workerId="\ud800", workerMetadata=None),
    answer(ANNA, workerId={"a": 1}, workerMetadata={"identityData": [1]}),
]
STRANGE_BUT_READABLE: list[Any] = [
    answer(ANNA, submissionTime="yesterday"),
    answer(ANNA, submissionTime="0001-01-01T00:00:00Z"),
    answer(ANNA, acceptanceTime=5, timeSpentInSeconds="12"),
    answer(ANNA, timeSpentInSeconds=True),
    answer(ANNA, timeSpentInSeconds=-1),
    answer(ANNA, timeSpentInSeconds=1e300),
    answer(ANNA, timeSpentInSeconds=float("nan")),
    answer(ANNA, timeSpentInSeconds=float("inf")),
    answer(ANNA, acceptanceTime="2031-01-01T00:00:00Z"),
    answer(ANNA, content="only text"),
    answer(ANNA, content=[1, 2]),
    answer(ANNA, content={"clientTiming": "{", "x": "\x00\u202e=cmd()"}),
    answer(ANNA, content={"clientTiming": '{"activeMs": "much"}'}),
    answer(ANNA, content={"clientTiming": "[" * 5000}),
    answer(ANNA, content={"deep": DEEP}),
    answer(ANNA, content={"half": "\ud800"}),
    answer(ANNA, workerMetadata={"identityData": {"sub": 5, "issuer": None}}),
]


def test_hostile_answers_are_left_out_with_a_reason_and_the_others_stay(stack: Stack) -> None:
    stack.job(JOB)
    recorded = stack.recorder().record(stack.respond(JOB, 0, [*HOSTILE, answer(BEN)]))
    assert recorded is not None
    assert (recorded.records, len(recorded.rejected)) == (1, len(HOSTILE))
    assert only(stack).worker == stack.worker(BEN)


@pytest.mark.parametrize("entry", STRANGE_BUT_READABLE, ids=range(len(STRANGE_BUT_READABLE)))
def test_strange_answers_are_records_without_what_cannot_be_read(stack: Stack, entry: Any) -> None:
    stack.job(JOB)
    recorded = stack.recorder().record(stack.respond(JOB, 0, [entry]))
    assert recorded is not None
    assert recorded.records == 1
    found = only(stack)
    for number in (found.seconds, found.wall_seconds, found.active_ms):
        assert number is None or 0 <= number < 1e8


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\xff\xfe", b"[]", b"null", b'{"answers": 5}', b"{" * 100_000, b'{"answers":' + b"[" * 100_000,
        b"9" * 10_000,
    ],
    ids=["empty", "binary", "list", "null", "number", "braces", "brackets", "long number"],
)  # fmt: skip
@pytest.mark.parametrize("kind", list(Kind))
def test_a_file_that_is_no_such_file_is_left_out_with_a_reason(stack: Stack, kind: Kind, body: bytes) -> None:
    uri = {
        Kind.ANSWERS: stack.respond(JOB, 0, []),
        Kind.EVIDENCE: stack.evidence(JOB, {}),
        Kind.VERDICTS: stack.verdicts([]),
    }[kind]
    stack.s3.write_bytes(uri, body)
    recorded = stack.recorder().record(uri)
    assert recorded is not None
    assert (recorded.kind, recorded.records) == (kind, 0)
    assert recorded.rejected or (
        kind == Kind.EVIDENCE and body in (b"[]", b"null", b'{"answers": 5}', b"9" * 10_000)
    )
    assert records(stack, NO_CAMPAIGN) == Records([], [])


def test_hostile_evidence_and_verdicts_are_left_out_with_a_reason(stack: Stack) -> None:
    stack.job(JOB)
    evidence = stack.evidence(JOB, {})
    stack.s3.write_json(
        evidence,
        {
            "objects": {"0": {BEN.worker_id: {"agreement": 2}, ANNA.worker_id: {"agreement": 0.5}}, "1": [3]},
            "gold": {"0": {ANNA.worker_id: "all", "": 1}},
        },
    )
    recorded = stack.recorder().record(evidence)
    assert recorded is not None
    assert (recorded.records, len(recorded.rejected)) == (1, 3)
    good = verdict(JOB, 0, "accept")
    bad = [
        None,
        {},
        {**good, "decision": "burn"},
        {**good, "at": "soon"},
        {**good, "job_name": 5},
        {**good, "decision": ["fix"]},
    ]
    recorded = stack.recorder().record(stack.verdicts([*bad, good]))
    assert recorded is not None
    assert (recorded.records, len(recorded.rejected)) == (1, len(bad))


def test_a_file_of_a_forgotten_person_is_recognised_by_the_pseudonym(stack: Stack) -> None:
    stack.job(JOB)
    recorder = stack.recorder()
    uri = stack.respond(JOB, 0, [answer(ANNA)])
    recorder.record(uri)
    pseudonym = stack.worker(ANNA)
    before = records(stack)
    stack.people.forget(frozenset({pseudonym}))
    body = stack.s3.read_bytes(uri).decode()
    for name in ANNA.identifiers:
        body = body.replace(name, pseudonym)
    stack.s3.write_bytes(uri, body.encode())
    stack.recorder().record(uri)
    assert records(stack) == before
    assert list(stack.people.identities()) == []


def test_a_file_that_is_gone_is_said_to_be_gone(stack: Stack) -> None:
    uri = stack.respond(JOB, 0, [answer(ANNA)])
    stack.client.delete_object(Bucket=BUCKET, Key=uri.removeprefix(f"s3://{BUCKET}/"))
    with pytest.raises(ObjectNotFound):
        stack.recorder().record(uri)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (
            "campaigns/c/labeling/j-1/annotations/worker-response/iteration-1/0/2030-01-31_12:00:00.json",
            "answers",
        ),
        ("j/annotations/worker-response/iteration-12/any/x.json", "answers"),
        ("audits/a/jobs/a-s1-a1-0/annotations/worker-response/iteration-1/0/x.json", "answers"),
        ("campaigns/c/labeling/j/annotations/consolidated-annotation/workers/ab.json", "evidence"),
        ("campaigns/c/audits/a/steps/00001.verdicts.json", "verdicts"),
        ("audits/a/steps/00001.verdicts.json", "verdicts"),
        ("audits/a/steps/00001.json", None),
        ("campaigns/c/labeling/j/manifests/output/output.manifest", None),
        ("campaigns/c/labeling/a_b/annotations/worker-response/iteration-1/0/x.json", None),
        ("j/annotations/consolidated-annotation/consolidation-request/iteration-1/x.json", None),
    ],
)
def test_keys_tell_what_a_file_holds(key: str, kind: str | None) -> None:
    assert kind_of(key) == kind


def test_queries_go_over_all_pages(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.job(JOB)
    recorder = stack.recorder()
    for index in range(7):
        recorder.record(stack.respond(JOB, index, [answer(ANNA, index), answer(CHIE, index)]))
    client = stack.answers._client
    original = client.get_paginator

    class SmallPages:
        def __init__(self, name: str) -> None:
            self._paginator = original(name)

        def paginate(self, **arguments: Any) -> Any:
            return self._paginator.paginate(**arguments, PaginationConfig={"PageSize": 3})

    monkeypatch.setattr(client, "get_paginator", SmallPages)
    assert len(records(stack).answers) == 14
    assert len(list(stack.answers.of_worker(stack.worker(CHIE)))) == 7
    assert [each.worker for each in stack.answers.of_object(JOB, "3")] == sorted(
        [stack.worker(ANNA), stack.worker(CHIE)]
    )


def test_many_files_at_once_make_the_same_records(stack: Stack) -> None:
    stack.job(JOB)
    uris = [stack.respond(JOB, index, [answer(ANNA, index), answer(BEN, index)]) for index in range(10)]
    uris.append(stack.respond(JOB, 0, [answer(ANNA, 99)], second=9))
    uris.append(stack.evidence(JOB, {str(index): {ANNA.worker_id: 0.5} for index in range(10)}))
    uris.append(stack.verdicts([verdict(JOB, 3, "reject")]))
    recorder = stack.recorder()
    for uri in uris:
        recorder.record(uri)
    expected = records(stack)
    assert len(expected.answers) == 20
    _empty_answers(stack)
    gone = f"{LAYOUT.labeling_prefix()}{JOB}/annotations/worker-response/iteration-1/0/gone.json"
    recorded = stack.recorder().record_many([*uris, gone, f"{LAYOUT.uri}splits.json"])
    assert [uri for uri, _ in recorded] == uris
    assert sum(each.records for _, each in recorded) == 21 + 10 + 1
    assert sorted(map(repr, records(stack).answers)) == sorted(map(repr, expected.answers))


def test_items_that_the_table_leaves_for_later_are_written_later(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.job(JOB)
    uris = [stack.respond(JOB, index, [answer(ANNA, index)]) for index in range(30)]
    client = stack.answers._client
    original, refusals = client.batch_write_item, iter([20, 10, 5, 0, 5])

    def reluctant(*, RequestItems: Any) -> Any:
        ((table, requests),) = RequestItems.items()
        assert len(requests) <= 25
        kept = len(requests) - min(next(refusals, 0), len(requests) - 1)
        original(RequestItems={table: requests[:kept]})
        return {"UnprocessedItems": {table: requests[kept:]} if requests[kept:] else {}}

    monkeypatch.setattr(client, "batch_write_item", reluctant)
    stack.recorder().record_many(uris)
    assert len(records(stack).answers) == 30
    assert next(refusals, None) is None


def test_a_table_that_refuses_for_long_is_said_to(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = stack.respond(JOB, 0, [answer(ANNA)])
    client = stack.answers._client
    monkeypatch.setattr("truthloop.trace.answers.time.sleep", lambda seconds: None)
    monkeypatch.setattr(client, "batch_write_item", lambda RequestItems: {"UnprocessedItems": RequestItems})
    with pytest.raises(TableOverloaded, match="still refuses 1 items"):
        stack.recorder().record_many([uri])


def test_the_issuer_is_kept_so_that_names_can_be_found(stack: Stack) -> None:
    stack.recorder().record(stack.respond(JOB, 0, [answer(ANNA)]))
    (identity,) = stack.people.identities()
    assert (identity.issuer, identity.identity_provider, identity.sub) == (ISSUER, "Cognito", ANNA.sub)
    assert identity.worker_ids == {ANNA.worker_id}
