"""The campaign request."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truthloop import task_types
from truthloop.errors import InvalidRequest
from truthloop.request import (
    Audit,
    CampaignRequest,
    parse_audit,
    parse_request,
    read_request,
    schema_table,
    value_of,
)
from unit.core.kit import WORKTEAM_ARN, examples, request_document

PUBLIC_CROWD = "arn:aws:sagemaker:us-east-1:394669845002:workteam/public-crowd/default"


def problems_of(document) -> dict[str, str]:
    """Path -> the problem's text."""
    return {problem.path: str(problem) for problem in read_request(document)[1]}


def test_the_defaults_are_the_documented_ones():
    document = {
        "campaign": "digits",
        "task_type": "image-classification",
        "manifest_uri": "s3://bucket/x.manifest",
        "label_categories": ["0", "1"],
    }
    assert parse_request(document).to_document() == {
        **document,
        "schema_version": 1,
        "label_attribute": "label",
        "labeling": {
            "backend": "ground-truth",
            "workteam_arn": None,
            "workers_per_object": 3,
            "task_title": "Choose the label",
            "task_description": "Look at the item and choose the label that fits it.",
            "instructions": "",
            "task_keywords": ["labeling"],
            "task_time_limit_seconds": 600,
            "task_availability_seconds": 864000,
            "max_concurrent_tasks": 1000,
            "price_per_answer_usd": None,
        },
        "selection": {"strategy": "margin", "seed_size": 50, "round_size": 50, "random_control": False},
        "splits": {"test_fraction": 0.2, "validation_fraction": 0.1, "stratify_by": None},
        "audit": {
            "policy": "none",
            "random_share": 0.05,
            "risk_share": 0.05,
            "minimum": 20,
            "auto_sample": 50,
            "final_sample": 0,
            "auditors_per_object": 1,
            "relabel_rounds": 2,
            "workteam_arn": None,
            "expert_workteam_arn": None,
            "price_per_answer_usd": None,
        },
        "gold": {"manifest_uri": None, "share": 0.05},
        "auto_labeling": {"target_precision": None},
        "model": {"adapter": None, "hyperparameters": {}},
        "scoring": {"shards": 2},
        "label_remaining": "model",
        "stop": {
            "max_rounds": 10,
            "budget_usd": None,
            "target_quality": None,
            "plateau_rounds": None,
            "deadline": None,
        },
        "prices": {},
        "seed": 1,
    }


maybe = st.none
requests = st.fixed_dictionaries(
    {
        "campaign": st.from_regex(r"[a-z0-9](-?[a-z0-9]){0,31}", fullmatch=True),
        "task_type": st.sampled_from(sorted(task_types.names())),
        "manifest_uri": st.just("s3://bucket/日本 語.manifest"),
        "label_categories": st.lists(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256),
            min_size=2,
            max_size=5,
            unique=True,
        ),
    },
    optional={
        "labeling": st.fixed_dictionaries(
            {},
            optional={
                "workers_per_object": st.integers(1, 9),
                "price_per_answer_usd": maybe() | st.floats(0, 1000),
            },
        ),
        "splits": st.fixed_dictionaries(
            {},
            optional={
                "test_fraction": st.floats(0.01, 0.4),
                "stratify_by": maybe() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
            },
        ),
        "model": st.fixed_dictionaries(
            {},
            optional={"hyperparameters": st.dictionaries(st.text(), st.integers() | st.lists(st.booleans()))},
        ),
        "stop": st.fixed_dictionaries(
            {},
            optional={
                "budget_usd": maybe() | st.integers(1, 1000) | st.floats(0.5, 1e6),
                "deadline": maybe()
                | st.datetimes(timezones=st.timezones()).map(lambda time: time.isoformat()),
            },
        ),
        "audit": st.fixed_dictionaries(
            {},
            optional={
                "policy": st.sampled_from(["none", "sample", "all"]),
                "random_share": st.floats(0, 1),
                "final_sample": st.integers(0, 10_000),
                "price_per_answer_usd": maybe() | st.floats(0, 1000),
            },
        ),
        "gold": st.fixed_dictionaries(
            {"manifest_uri": maybe() | st.just("s3://bucket/gold.manifest")},
            optional={"share": st.floats(0.001, 0.5)},
        ),
        "prices": st.dictionaries(st.sampled_from(["answer_usd", "batch_vcpu_hour_usd"]), st.floats(0, 10)),
        "seed": st.integers(0, 2**31 - 1),
    },
)


@examples
@given(requests)
def test_a_request_survives_writing_and_reading(document):
    by_reference = task_types.get(document["task_type"]).LABEL_KIND == "mask"
    document = {**document, "label_attribute": "label-ref" if by_reference else "label"}
    request = parse_request(document)
    again = parse_request(json.loads(json.dumps(request.to_document())))
    assert again == request
    assert again.to_document() == request.to_document()
    assert again.sha256() == request.sha256()


@pytest.mark.parametrize("task_type", task_types.names())
def test_the_label_attribute_says_whether_the_label_is_a_reference(task_type):
    is_mask = task_types.get(task_type).LABEL_KIND == "mask"
    refused = {
        attribute: "label_attribute"
        in problems_of(request_document(task_type=task_type, label_attribute=attribute))
        for attribute in ("label", "label-ref")
    }
    assert refused == {"label": is_mask, "label-ref": not is_mask}


def test_requests_that_mean_the_same_have_one_digest_and_others_another():
    plain = parse_request(request_document(stop={"budget_usd": 100}))
    spelt_out = parse_request(request_document(stop={"budget_usd": 100.0, "max_rounds": 10}, seed=1))
    assert plain.sha256() == spelt_out.sha256()
    for changes in ({"seed": 2}, {"stop": {"budget_usd": 101}}, {"label_categories": ["dog", "cat"]}):
        assert (
            parse_request(request_document(**{"stop": {"budget_usd": 100}, **changes})).sha256()
            != plain.sha256()
        )


def test_five_mistakes_are_listed_in_one_answer():
    document = request_document(
        campaign="Digits_1",
        task_type="image-clasification",
        labeling={"workers_per_object": 12},
        splits={"test_fraction": "0.2"},
        seeed=4,
    )
    with pytest.raises(InvalidRequest) as raised:
        parse_request(document)
    message = str(raised.value)
    assert [problem.path for problem in raised.value.problems] == [
        "campaign",
        "task_type",
        "labeling.workers_per_object",
        "splits.test_fraction",
        "seeed",
    ]
    assert "has 5 problems; nothing was created" in message
    assert '1. campaign is "Digits_1"; allowed: ' in message
    assert "Did you mean image-classification?" in message
    assert "3. labeling.workers_per_object is 12; allowed: an integer from 1 to 9. Lower it." in message
    assert "Write the number without quotes." in message
    assert "5. seeed is an unknown key" in message
    assert "Did you mean seed?" in message


@pytest.mark.parametrize(
    ("changes", "path", "says"),
    [
        ({"campaign": "a" * 33}, "campaign", "at most 32"),
        ({"campaign": "a--b"}, "campaign", "single inner hyphens"),
        ({"campaign": 7}, "campaign", "in double quotes"),
        ({"campaign": None}, "campaign", "is null"),
        ({"schema_version": 2}, "schema_version", "allowed: 1."),
        ({"schema_version": True}, "schema_version", "allowed: 1."),
        ({"manifest_uri": "https://bucket/x"}, "manifest_uri", "s3://bucket/key"),
        ({"manifest_uri": "s3://bucket/folder/"}, "manifest_uri", "s3://bucket/key"),
        ({"manifest_uri": "s3://Bucket/x"}, "manifest_uri", "s3://bucket/key"),
        ({"manifest_uri": "s3://bucket/" + "x" * 1024}, "manifest_uri", "1036 characters: shorten"),
        ({"label_categories": ["one"]}, "label_categories", "It has 1: add some."),
        ({"label_categories": ["a", "b", "a"]}, "label_categories", 'Name "a" only once'),
        ({"label_categories": ["a", "x" * 257]}, "label_categories", "Item 2"),
        ({"label_categories": ["a", ""]}, "label_categories", "Fill it in"),
        ({"label_categories": ["a", 1]}, "label_categories", "Item 2, 1, is not allowed"),
        ({"label_categories": "a,b"}, "label_categories", "JSON list"),
        ({"label_categories": ["a", "\ud800"]}, "label_categories", "surrogate"),
        ({"label_attribute": "my_label"}, "label_attribute", "no underscore"),
        ({"label_attribute": "source-ref"}, "label_attribute", "any name but"),
        ({"label_attribute": "truthloop"}, "label_attribute", "any name but"),
        ({"label_attribute": "id"}, "label_attribute", "any name but"),
        ({"label_attribute": "x-metadata"}, "label_attribute", "not ending in -metadata"),
        ({"label_attribute": "x-ref"}, "label_attribute", "not ending in -ref"),
        ({"label_attribute": "x" * 128}, "label_attribute", "shorten"),
        ({"labeling": []}, "labeling", "a JSON object"),
        ({"labeling": {"backend": "sagemaker"}}, "labeling.backend", '"ground-truth"'),
        ({"labeling": {"workteam_arn": "annotators"}}, "labeling.workteam_arn", "an ARN such as"),
        ({"labeling": {"workers_per_object": 0}}, "labeling.workers_per_object", "Raise it."),
        ({"labeling": {"workers_per_object": 3.0}}, "labeling.workers_per_object", "Write an integer."),
        ({"labeling": {"workers_per_object": True}}, "labeling.workers_per_object", "Write an integer."),
        ({"labeling": {"workers_per_object": None}}, "labeling.workers_per_object", "is null"),
        ({"labeling": {"task_title": "数" * 129}}, "labeling.task_title", "1 to 128 characters"),
        ({"labeling": {"task_description": ""}}, "labeling.task_description", "1 to 255 characters"),
        ({"labeling": {"task_keywords": ["画像"]}}, "labeling.task_keywords", "ASCII letters"),
        ({"labeling": {"task_keywords": list("abcdef")}}, "labeling.task_keywords", "It has 6: remove"),
        ({"labeling": {"task_time_limit_seconds": 29}}, "labeling.task_time_limit_seconds", "30 to 28800"),
        (
            {"labeling": {"task_availability_seconds": 60}},
            "labeling.task_time_limit_seconds",
            "at most task_av",
        ),
        ({"labeling": {"max_concurrent_tasks": 5001}}, "labeling.max_concurrent_tasks", "1 to 5000"),
        ({"labeling": {"price_per_answer_usd": -0.1}}, "labeling.price_per_answer_usd", "Raise it."),
        ({"selection": {"strategy": "entropy"}}, "selection.strategy", '"margin", "random"'),
        ({"selection": {"random_control": "yes"}}, "selection.random_control", "without quotes"),
        ({"splits": {"test_fraction": 0}}, "splits.test_fraction", "above 0"),
        ({"splits": {"test_fraction": 0.5, "validation_fraction": 0.5}}, "splits", "at most 0.9"),
        ({"model": {"adapter": "My Model"}}, "model.adapter", "inner hyphens"),
        ({"model": {"hyperparameters": [1]}}, "model.hyperparameters", "in braces"),
        ({"model": {"hyperparameters": {"x": "\ud800"}}}, "model.hyperparameters", "surrogate"),
        ({"scoring": {"shards": 1}}, "scoring.shards", "2 to 10000"),
        ({"label_remaining": "people"}, "label_remaining", '"model", "nobody"'),
        ({"audit": {"policy": "some"}}, "audit.policy", '"none", "sample", "all"'),
        ({"audit": {"policy": None}}, "audit.policy", "is null"),
        ({"audit": {"random_share": 1.1}}, "audit.random_share", "from 0 to 1"),
        ({"audit": {"risk_share": "0.1"}}, "audit.risk_share", "without quotes"),
        ({"audit": {"minimum": 0}}, "audit.minimum", "1 to 10000"),
        ({"audit": {"auto_sample": 10_001}}, "audit.auto_sample", "Lower it."),
        ({"audit": {"final_sample": -1}}, "audit.final_sample", "0 to 10000"),
        ({"audit": {"auditors_per_object": 10}}, "audit.auditors_per_object", "1 to 9"),
        ({"audit": {"relabel_rounds": 10}}, "audit.relabel_rounds", "0 to 9"),
        ({"audit": {"workteam_arn": "auditors"}}, "audit.workteam_arn", "an ARN such as"),
        (
            {"audit": {"workteam_arn": WORKTEAM_ARN}, "labeling": {"workteam_arn": WORKTEAM_ARN}},
            "audit.workteam_arn",
            "another work team than labeling.workteam_arn",
        ),
        ({"audit": {"workteam_arn": PUBLIC_CROWD}}, "audit.workteam_arn", "private or a vendor's"),
        (
            {"audit": {"expert_workteam_arn": PUBLIC_CROWD}},
            "audit.expert_workteam_arn",
            "private or a vendor's",
        ),
        ({"audit": {"price_per_answer_usd": -1}}, "audit.price_per_answer_usd", "Raise it."),
        ({"audit": {"share": 0.1}}, "audit.share", "Write it as gold.share."),
        ({"gold": {"manifest_uri": "gold.manifest"}}, "gold.manifest_uri", "s3://bucket/key"),
        ({"gold": {"share": 0}}, "gold.share", "above 0 to 0.5"),
        ({"auto_labeling": {"target_precision": 0.4}}, "auto_labeling.target_precision", "from 0.5"),
        ({"auto_labeling": {"target_precision": 1}}, "auto_labeling.target_precision", "to 0.9999"),
        ({"auto_labeling": {"target_precision": 0.95}}, "audit.policy", "a promise that nobody checks"),
        (
            {
                "auto_labeling": {"target_precision": 0.95},
                "audit": {"policy": "sample"},
                "splits": {"validation_fraction": 0},
            },
            "splits.validation_fraction",
            "chosen on the validation split",
        ),
        (
            {
                "task_type": "bounding-box",
                "auto_labeling": {"target_precision": 0.95},
                "audit": {"policy": "all"},
            },
            "auto_labeling.target_precision",
            "people label all",
        ),
        ({"stop": {"max_rounds": 0}}, "stop.max_rounds", "Raise it."),
        ({"stop": {"budget_usd": float("inf")}}, "stop.budget_usd", "Lower it."),
        ({"stop": {"budget_usd": float("nan")}}, "stop.budget_usd", "Lower it."),
        ({"stop": {"target_quality": 95}}, "stop.target_quality", "above 0 to 1"),
        ({"stop": {"target_accuracy": 0.9}}, "stop.target_accuracy", "Did you mean target_quality?"),
        ({"labeling": {"instructions": "x" * 4_001}}, "labeling.instructions", "shorten it"),
        ({"task_type": "semantic-segmentation"}, "label_attribute", "ending in -ref"),
        (
            {
                "task_type": "semantic-segmentation",
                "label_attribute": "x-ref",
                "label_categories": [str(number) for number in range(200)],
            },
            "label_categories",
            "at most 199",
        ),
        ({"stop": {"deadline": "2030-01-31T18:00:00"}}, "stop.deadline", "Add the offset"),
        ({"stop": {"deadline": "tomorrow"}}, "stop.deadline", "ISO 8601"),
        ({"stop": {"deadline": 1}}, "stop.deadline", "ISO 8601"),
        ({"prices": {"answer": 1}}, "prices", "Did you mean answer_usd?"),
        ({"prices": {"answer_usd": "1"}}, "prices", "write a number"),
        ({"prices": {"answer_usd": -1}}, "prices", "write a number"),
        ({"seed": -1}, "seed", "Raise it."),
        ({"round_size": 5}, "round_size", "Write it as selection.round_size."),
        ({"selection": {"roundsize": 5}}, "selection.roundsize", "Did you mean round_size?"),
        ({"stop": {"seed": 5}}, "stop.seed", "Write it as seed."),
    ],
)
def test_each_mistake_is_named_with_what_is_allowed(changes, path, says):
    found = problems_of(request_document(**changes))
    assert list(found) == [path]
    assert says in found[path]


@pytest.mark.parametrize("document", [None, [], "request", 1])
def test_what_is_no_object_is_refused(document):
    with pytest.raises(InvalidRequest, match="a JSON object with the keys of the schema"):
        parse_request(document)


def test_every_required_key_is_asked_for():
    assert list(problems_of({})) == ["campaign", "task_type", "manifest_uri", "label_categories"]


def test_the_public_crowd_needs_a_price_and_a_short_availability():
    arn = PUBLIC_CROWD
    found = problems_of(request_document(labeling={"workteam_arn": arn}))
    assert list(found) == ["labeling.price_per_answer_usd", "labeling.task_availability_seconds"]
    enough = {"workteam_arn": arn, "price_per_answer_usd": 0.012, "task_availability_seconds": 43_200}
    assert not problems_of(request_document(labeling=enough))


def test_endless_lists_of_problems_are_counted_but_cut():
    document = request_document(**{f"key{number}": 1 for number in range(500)})
    with pytest.raises(InvalidRequest) as raised:
        parse_request(document)
    text = str(raised.value)
    assert len(raised.value.problems) == 500
    assert "has 500 problems" in text
    assert len(text) < 21_000
    shown = text.count("is an unknown key")
    assert text.endswith(f"\nAnd {500 - shown} more.")


def test_long_values_are_cut_in_messages():
    text = problems_of(request_document(campaign="x" * 10_000))["campaign"]
    assert len(text) < 400


def test_reading_leaves_the_document_alone():
    document = request_document()
    before = copy.deepcopy(document)
    parse_request(document)
    assert document == before


def test_defaults_are_not_shared_between_requests():
    first = parse_request(request_document())
    assert first.model.hyperparameters is not parse_request(request_document()).model.hyperparameters


def test_a_wrong_key_does_not_hide_the_others():
    document = request_document(seed="x", stop={"budget_usd": 5, "max_rounds": 0}, selection="all")
    assert value_of(document, "seed") is None
    assert value_of(document, "stop", "budget_usd") == 5.0
    assert value_of(document, "stop", "max_rounds") is None
    assert value_of(document, "stop", "plateau_rounds") is None
    assert value_of(document, "selection", "seed_size") is None
    assert value_of(document, "splits", "test_fraction") == 0.2
    assert value_of({}, "campaign") is None


def test_a_deadline_is_a_point_in_time():
    request = parse_request(request_document(stop={"deadline": "2030-01-31T18:00:00+09:00"}))
    assert request.stop.deadline == datetime(2030, 1, 31, 9, tzinfo=UTC)
    assert parse_request(request_document(stop={"deadline": "2030-01-31T09:00:00Z"})).stop.deadline == (
        request.stop.deadline
    )


def test_a_control_doubles_a_round():
    assert parse_request(request_document()).selection.rows_per_round == 3
    assert parse_request(request_document(selection={"random_control": True})).selection.rows_per_round == 6


def test_the_schema_table_has_every_key_once():
    def leaves(document, path=""):
        for key, value in document.items():
            if isinstance(value, dict) and path + key not in ("prices", "model.hyperparameters"):
                yield from leaves(value, f"{path}{key}.")
            else:
                yield path + key

    table = schema_table().splitlines()
    named = [line.split("`")[1] for line in table[2:]]
    assert sorted(named) == sorted(leaves(parse_request(request_document()).to_document()))
    assert all(line.count(" | ") == 3 for line in table[2:])
    assert "| `campaign` |" in table[2]
    assert "required" in table[2]
    assert any(
        "`stop.max_rounds`" in line and "an integer from 1 to 1000" in line and "`10`" in line
        for line in table
    )


def test_requests_cannot_be_changed():
    request = parse_request(request_document())
    with pytest.raises(AttributeError):
        request.seed = 2
    assert isinstance(request, CampaignRequest)


@pytest.mark.parametrize("task_type", task_types.names())
def test_the_model_labels_by_itself_only_what_has_one_category(task_type):
    kind = task_types.get(task_type).LABEL_KIND
    found = problems_of(
        request_document(
            task_type=task_type,
            label_attribute="label-ref" if kind == "mask" else "label",
            auto_labeling={"target_precision": 0.95},
            audit={"policy": "sample"},
        )
    )
    assert list(found) == ([] if kind == "class" else ["auto_labeling.target_precision"])


def test_defaults_of_what_is_not_used_are_no_problem():
    assert problems_of(request_document(gold={"share": 0.1}, audit={"final_sample": 9})) == {}
    assert not parse_request(request_document()).audit.is_wanted
    assert parse_request(request_document(audit={"policy": "sample"})).audit.is_wanted


def test_an_audit_of_its_own_has_the_keys_of_a_requests_and_a_null_is_the_default():
    given = {"policy": "all", "random_share": None, "workteam_arn": WORKTEAM_ARN, "final_sample": 3}
    policy = parse_audit(given)
    assert policy == Audit(policy="all", workteam_arn=WORKTEAM_ARN, final_sample=3)
    assert parse_audit(policy.to_document()) == policy
    assert (
        policy.to_document()
        == parse_request(request_document(audit=given | {"random_share": 0.05})).to_document()["audit"]
    )
    with pytest.raises(InvalidRequest, match=r"audit\.minimum is 0.*\n.*audit\.sharre is an unknown key"):
        parse_audit({"minimum": 0, "sharre": 1})
    with pytest.raises(InvalidRequest, match="a JSON object"):
        parse_audit("all")


@pytest.mark.parametrize(
    ("policy", "labels", "by_model", "expected"),
    [
        ({"policy": "none", "final_sample": 5}, 100, True, 0),
        ({"policy": "all"}, 100, False, 100),
        ({"policy": "all", "final_sample": 30}, 20, False, 40),
        # 29 of 100 exactly, though 0.29 * 100 is less; at least the minimum; never more than there are.
        ({"policy": "sample", "random_share": 0.29, "risk_share": 0.07}, 100, False, 36),
        ({"policy": "sample"}, 100, False, 25),
        ({"policy": "sample"}, 10, False, 10),
        ({"policy": "sample", "auto_sample": 7}, 100, True, 32),
        ({"policy": "all"}, 0, False, 0),
    ],
)
def test_the_verdicts_of_a_round_can_be_told_before(policy, labels, by_model, expected):
    assert parse_audit(policy).expected_verdicts(labels, by_model) == expected
