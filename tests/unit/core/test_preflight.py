"""The checks before anything is spent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from truthloop import aws, labels, preflight, task_types
from truthloop.errors import AccessRefused, InvalidRequest
from truthloop.layout import CampaignLayout
from truthloop.prepare import prepare
from truthloop.request import parse_request
from truthloop.s3 import S3Gateway
from unit.core.kit import (
    AUDITORS_ARN,
    DATA_BUCKET,
    EXECUTION_ARN,
    GOLD_URI,
    INPUT_BUCKET,
    MANIFEST_URI,
    WORKTEAM_ARN,
    Teams,
    cors_rule,
    image_row,
    request_document,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def put_objects(world, rows) -> None:
    for row in rows:
        if "source-ref" in row:
            world.put(row["source-ref"], b"\x89PNG")


def supply(world, rows=20, **keys) -> None:
    """A manifest of `rows` rows, and their objects."""
    made = [image_row(number, **keys) for number in range(rows)]
    world.put_manifest(made)
    put_objects(world, made)


def supply_gold(world, rows=4, **keys) -> list[dict]:
    """A manifest of `rows` labelled rows of other objects than the campaign's, and their objects."""
    made = [image_row(1000 + number, **{"label": number % 2, **keys}) for number in range(rows)]
    world.put_manifest(made, GOLD_URI)
    put_objects(world, made)
    return made


def check(world, document=None, auditors=AUDITORS_ARN, **changes):
    return preflight.check(
        request_document(**changes) if document is None else document,
        s3=world.s3,
        sagemaker=world.teams,
        data_bucket=DATA_BUCKET,
        workteam_arn=WORKTEAM_ARN,
        now=NOW,
        auditors_workteam_arn=auditors,
    )


def refusals(world, document=None, **changes) -> list[tuple[str, str]]:
    """The paths and texts of all problems."""
    with pytest.raises(InvalidRequest) as raised:
        check(world, document, **changes)
    return [(problem.path, str(problem)) for problem in raised.value.problems]


def only_refusal(world, document=None, **changes) -> str:
    found = refusals(world, document, **changes)
    assert len(found) == 1, found
    return found[0][1]


def test_a_good_request_comes_back_complete_with_an_estimate(world):
    supply(world)
    clearance = check(world).to_document()
    assert clearance["request"] == parse_request(request_document()).to_document()
    # 4 test and 2 validation rows, a seed set of 4, then 10 left for up to 9 rounds of 3.
    assert clearance["estimate"] == {
        "rows": 20,
        "labeled": 0,
        "test": 4,
        "validation": 2,
        "pool": 14,
        "pool_unlabeled": 14,
        "seed_round_objects": 10,
        "round_objects": 3,
        "objects": 20,
        "gold_objects": 0,
        "audited_objects": 0,
        "first_rounds_usd": round(13 * (0.08 + 3 * 0.012), 2),
        "labeling_usd": round(20 * (0.08 + 3 * 0.012), 2),
        "audit_usd": 0.0,
    }


@pytest.mark.parametrize("task_type", task_types.names())
def test_a_manifest_has_the_objects_that_the_task_type_shows(world, task_type):
    module = task_types.get(task_type)
    attribute = "label-ref" if module.LABEL_KIND == labels.MASK else "label"
    changes = {"task_type": task_type, "label_attribute": attribute}
    world.put(f"s3://{DATA_BUCKET}/templates/{task_type}/template.liquid.html", "<p></p>")
    images, texts = [image_row(number) for number in range(20)], [{"source": str(n)} for n in range(20)]
    put_objects(world, images)
    right, wrong = (texts, images) if module.SOURCE_KEY == "source" else (images, texts)
    world.put_manifest(right)
    assert check(world, **changes).estimate.rows == 20
    world.put_manifest(wrong)
    assert "cannot be shown to a worker" in only_refusal(world, **changes)


def test_nothing_is_created_whatever_the_answer(world):
    supply(world)
    before = world.keys(DATA_BUCKET), world.keys(INPUT_BUCKET), world.ledger_entries()
    check(world)
    refusals(world, seed="x")
    assert (world.keys(DATA_BUCKET), world.keys(INPUT_BUCKET), world.ledger_entries()) == before


def test_mistakes_of_the_request_and_of_what_it_points_to_come_in_one_answer(world):
    world.put_manifest([image_row(1), image_row(1), {"source-ref": "s3://bucket"}])
    world.client.delete_bucket_cors(Bucket=INPUT_BUCKET)
    world.teams = Teams(arns=())
    found = refusals(world, campaign="Digits", labeling={"workers_per_object": 10}, sed=3)
    assert [path for path, _ in found[:3]] == ["campaign", "labeling.workers_per_object", "sed"]
    texts = "\n".join(text for _, text in found[3:])
    for part in (
        "Work team annotators does not exist",
        "repeat the object",
        "not an S3 URI",
        "CORS",
        "no such object",
    ):
        assert part in texts
    assert len(found) >= 8


def test_labels_of_the_input_are_not_bought_again(world):
    supply(world, 20, label=1)
    world.put_manifest([image_row(number, **({"label": 1} if number < 10 else {})) for number in range(20)])
    estimate = check(world, selection={"seed_size": 2}).estimate
    assert estimate.labeled == 10
    assert estimate.objects == 10
    assert estimate.pool_unlabeled < estimate.pool


def test_a_control_is_part_of_the_estimate(world):
    supply(world, 200)
    plain = check(world, stop={"max_rounds": 3}).estimate
    doubled = check(world, stop={"max_rounds": 3}, selection={"random_control": True}).estimate
    assert plain.objects == 60 + 4 + 2 * 3
    assert doubled.objects == 60 + 4 + 2 * 6
    assert check(world, stop={"max_rounds": 1}).estimate.objects == 64


@pytest.mark.parametrize(
    "uri", ["s3://truthloop-no-such-bucket/x.manifest", f"s3://{INPUT_BUCKET}/missing.manifest"]
)
def test_a_manifest_that_is_not_there_is_named(world, uri):
    assert f"Cannot read {uri}" in only_refusal(world, manifest_uri=uri)


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_an_empty_manifest_is_refused(world, content):
    world.put(MANIFEST_URI, content)
    assert "no rows" in only_refusal(world)


def test_the_faults_of_all_lines_are_in_the_answer(world):
    supply(world)
    good = world.s3.read_bytes(MANIFEST_URI)
    world.put(MANIFEST_URI, good + b'{"source-ref": "s3://b\n\n{"source": 1}\n' + b'{"a": "\xff"}\n')
    texts = "\n".join(text for _, text in refusals(world))
    assert "line 21 (not JSON at column 16" in texts
    assert "line 23 (source)" in texts
    assert "line 24 (byte 8 is 0xff)" in texts


def test_an_object_that_is_not_there_is_named(world):
    supply(world, 3)
    rows = [image_row(number) for number in range(3)]
    world.client.delete_object(Bucket=INPUT_BUCKET, Key="images/0001.png")
    text = only_refusal(world, selection={"seed_size": 2})
    assert rows[1]["source-ref"] in text
    assert "there is no such object" in text


def test_an_empty_object_is_named(world):
    supply(world, 3)
    world.put(image_row(2)["source-ref"], b"")
    assert "0002.png with 0 bytes" in only_refusal(world, selection={"seed_size": 2})


def test_an_object_that_is_too_large_is_named(world, monkeypatch):
    supply(world, 3)
    monkeypatch.setattr(preflight, "_IMAGE_BYTES_MAXIMUM", 3)
    found = refusals(world, selection={"seed_size": 2})
    assert len(found) == 3
    assert "with 4 bytes; allowed: objects of 1 to 3 bytes" in found[0][1]


def test_a_bucket_without_the_rule_for_browsers_is_named(world):
    supply(world)
    world.client.delete_bucket_cors(Bucket=INPUT_BUCKET)
    text = only_refusal(world)
    assert INPUT_BUCKET in text
    assert "AllowedMethods GET" in text


@pytest.mark.parametrize(
    ("rules", "allows"),
    [
        ([], False),
        ([cors_rule()], True),
        ([cors_rule(AllowedMethods=["PUT"])], False),
        ([cors_rule(AllowedOrigins=["https://example.com"])], False),
        ([cors_rule(ExposeHeaders=[])], False),
        ([cors_rule(ExposeHeaders=["ACCESS-CONTROL-ALLOW-ORIGIN"])], True),
        ([cors_rule(AllowedMethods=["PUT"]), cors_rule(AllowedMethods=["HEAD", "GET"])], True),
        ([{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}], False),
    ],
)
def test_one_rule_has_to_allow_all_that_a_browser_needs(rules, allows):
    assert preflight.allows_labeling(rules) is allows


def test_objects_of_another_region_are_named(world):
    client = aws.s3()
    client.create_bucket(
        Bucket="truthloop-tokyo", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"}
    )
    client.put_bucket_cors(Bucket="truthloop-tokyo", CORSConfiguration={"CORSRules": [cors_rule()]})
    rows = [{"source-ref": f"s3://truthloop-tokyo/{number}.png"} for number in range(10)]
    world.put_manifest(rows)
    put_objects(world, rows)
    text = only_refusal(world)
    assert "truthloop-tokyo in ap-northeast-1; allowed: buckets in us-east-1" in text


def test_a_bucket_that_is_not_there_is_named_once(world):
    world.put_manifest([{"source-ref": f"s3://truthloop-nowhere/{number}.png"} for number in range(10)])
    assert "the bucket does not exist" in only_refusal(world)


@pytest.mark.parametrize(
    ("arn", "says"),
    [
        (WORKTEAM_ARN + "-2", "Work team annotators-2 does not exist"),
        (WORKTEAM_ARN.replace("us-east-1", "eu-west-1"), "a work team in us-east-1"),
        (WORKTEAM_ARN.replace("123456789012", "210987654321"), f"such as {WORKTEAM_ARN}"),
    ],
)
def test_a_team_that_cannot_work_is_named(world, arn, says):
    supply(world)
    assert says in only_refusal(world, labeling={"workteam_arn": arn})


def test_the_stacks_own_team_is_checked_when_the_request_names_none(world):
    supply(world)
    world.teams = Teams(arns=())
    assert WORKTEAM_ARN in only_refusal(world)


def test_a_vendors_team_is_not_looked_up(world):
    supply(world)
    arn = WORKTEAM_ARN.replace("private-crowd", "vendor-crowd")
    assert check(world, labeling={"workteam_arn": arn}).request.labeling.workteam_arn == arn


def test_a_task_type_without_a_deployed_template_is_named(world):
    supply(world)
    world.client.delete_object(Bucket=DATA_BUCKET, Key="templates/image-classification/template.liquid.html")
    assert "templates/image-classification/template.liquid.html does not exist" in only_refusal(world)


@pytest.mark.parametrize(
    ("rows", "changes", "path", "says"),
    [
        (20, {"selection": {"seed_size": 15}}, "selection.seed_size", "at most 14"),
        (20, {"label_categories": list("abcde")}, "selection.seed_size", "at least 5"),
        (20, {"label_categories": [str(number) for number in range(15)]}, "manifest_uri", "at least 15 rows"),
        (20, {"splits": {"test_fraction": 0.02}}, "splits.test_fraction", "which is no row"),
        (1, {}, "splits.test_fraction", "which is no row"),
    ],
)
def test_sizes_that_cannot_work_are_named(world, rows, changes, path, says):
    supply(world, rows)
    found = [text for at, text in refusals(world, **changes) if at == path]
    assert says in "\n".join(found)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"splits": {"test_fraction": "x"}}, "splits.test_fraction"),
        ({"splits": {"validation_fraction": 2}}, "splits.validation_fraction"),
        ({"seed": "x"}, "seed"),
        ({"label_attribute": "a_b"}, "label_attribute"),
        ({"selection": {"seed_size": 0}}, "selection.seed_size"),
        ({"stop": {"max_rounds": 0}}, "stop.max_rounds"),
        ({"labeling": {"workers_per_object": 0}}, "labeling.workers_per_object"),
        ({"prices": []}, "prices"),
        ({"label_categories": "ab"}, "label_categories"),
        ({"task_type": "x"}, "task_type"),
    ],
)
def test_what_a_wrong_key_leaves_unknown_is_not_made_up(world, changes, path):
    supply(world)
    assert [at for at, _ in refusals(world, **changes)] == [path]


def test_the_seed_set_that_is_missing_is_told_beside_the_labels_that_are_there(world):
    supply(world, 40)
    world.put_manifest([image_row(number, **({"label": 0} if number < 3 else {})) for number in range(40)])
    splits = {"test_fraction": 0.02, "validation_fraction": 0}
    text = only_refusal(world, label_categories=list("abcdef"), selection={"seed_size": 1}, splits=splits)
    assert "1, beside 3 labelled rows outside the splits; allowed: at least 3" in text


def test_a_manifest_without_a_row_to_label_is_refused(world):
    supply(world, 20, label=1)
    assert "no unlabelled one outside the splits" in only_refusal(world)


def test_labelled_rows_count_towards_the_categories_that_can_occur(world):
    supply(world, 40)
    world.put_manifest(
        [image_row(number, **({"label": number % 5} if number < 20 else {})) for number in range(40)]
    )
    check(world, label_categories=list("abcde"), selection={"seed_size": 1})


def test_a_job_that_is_too_large_for_ground_truth_is_named(world, monkeypatch):
    supply(world)
    monkeypatch.setattr(preflight, "_OBJECTS_PER_JOB", 9)
    assert "4, which makes a labelling job of 10 objects" in only_refusal(world)


def test_a_budget_for_less_than_two_rounds_is_refused_and_a_tight_one_is_not(world):
    supply(world)
    # 13 objects at 0.08 USD and three answers of 0.012 USD each.
    assert "at least 1.51" in only_refusal(world, stop={"budget_usd": 1.5})
    assert check(world, stop={"budget_usd": 1.51}).estimate.labeling_usd == pytest.approx(2.32)
    dearer = {"stop": {"budget_usd": 1.51}, "labeling": {"price_per_answer_usd": 0.02}}
    assert "at least 1.82" in only_refusal(world, **dearer)
    assert check(world, stop={"budget_usd": 1.51}, prices={"ground_truth_per_object_usd": 0.01})


def test_a_deadline_in_the_past_is_refused(world):
    supply(world)
    assert "a time in the future" in only_refusal(world, stop={"deadline": NOW.isoformat()})
    check(world, stop={"deadline": (NOW + timedelta(days=1)).isoformat()})


def begin(world, **changes) -> None:
    request = parse_request(request_document(**changes))
    layout = CampaignLayout(DATA_BUCKET, request.campaign)
    prepare(world.s3, world.ledger, layout, request, WORKTEAM_ARN, EXECUTION_ARN, NOW)


def test_a_name_that_another_request_has_is_refused(world):
    supply(world)
    begin(world)
    text = only_refusal(world, seed=2)
    assert "the name of a campaign of 2026-01-01 00:00 with another request" in text
    assert "campaign" in [path for path, _ in refusals(world, seed="x")]


def test_a_campaign_is_resumed_without_its_manifest(world):
    supply(world)
    deadline = {"deadline": (NOW - timedelta(days=1)).isoformat()}
    begin(world, stop=deadline)
    world.client.delete_object(Bucket=INPUT_BUCKET, Key="objects.manifest")
    clearance = check(world, stop=deadline)
    assert clearance.to_document()["estimate"] is None


def test_a_campaign_that_was_not_completely_prepared_still_needs_its_manifest(world):
    supply(world)
    begin(world)
    world.client.delete_object(Bucket=DATA_BUCKET, Key="campaigns/digits/manifest/master.manifest")
    world.client.delete_object(Bucket=INPUT_BUCKET, Key="objects.manifest")
    assert "there is no such object" in only_refusal(world)


def test_a_data_bucket_that_may_not_be_read_is_one_problem_among_the_others(world):
    supply(world)

    class Refusing(S3Gateway):
        def head(self, uri, version_id=None):
            if uri.startswith(f"s3://{DATA_BUCKET}/"):
                raise AccessRefused(f"Cannot read {uri}")
            return super().head(uri, version_id)

    world.s3 = Refusing(world.client)
    found = refusals(world, seed="x")
    assert [path for path, _ in found] == ["seed", "campaign"]
    assert f"Cannot read s3://{DATA_BUCKET}/templates" in found[1][1]


@pytest.mark.parametrize("document", [None, [], "digits"])
def test_what_is_no_request_is_refused(world, document):
    with pytest.raises(InvalidRequest, match="a JSON object"):
        preflight.check(document, world.s3, world.teams, DATA_BUCKET, WORKTEAM_ARN, NOW)


# ---- audits


AUDITED = {"policy": "sample"}


def test_auditors_are_looked_up_only_where_labels_are_audited(world):
    supply(world)
    world.teams = Teams(arns=(WORKTEAM_ARN,))
    check(world)
    text = only_refusal(world, audit=AUDITED)
    assert text.startswith("audit.workteam_arn is ")
    assert "Work team auditors does not exist" in text


def test_an_audit_without_auditors_is_refused(world):
    supply(world)
    assert refusals(world, auditors=None, audit=AUDITED) == [
        (
            "audit.workteam_arn",
            "audit.workteam_arn is missing; allowed: the ARN of a work team, because the stack has no "
            "auditors of its own. Name a team of auditors, deploy the stack with one, or audit nothing.",
        )
    ]
    check(world, auditors=None, audit={**AUDITED, "workteam_arn": AUDITORS_ARN})


@pytest.mark.parametrize(
    ("auditors", "audit", "labeling"),
    [
        (WORKTEAM_ARN, {}, {}),
        (None, {"workteam_arn": WORKTEAM_ARN}, {}),
        (AUDITORS_ARN, {}, {"workteam_arn": AUDITORS_ARN}),
        (AUDITORS_ARN, {"workteam_arn": AUDITORS_ARN}, {"workteam_arn": AUDITORS_ARN}),
    ],
)
def test_nobody_audits_their_own_labels(world, auditors, audit, labeling):
    supply(world)
    found = refusals(world, auditors=auditors, audit=AUDITED | audit, labeling=labeling)
    assert [path for path, _ in found] == ["audit.workteam_arn"]
    assert "which labels as well" in found[0][1]


def test_the_experts_team_is_looked_up_too(world):
    supply(world)
    experts = AUDITORS_ARN.replace("auditors", "experts")
    text = only_refusal(world, audit={**AUDITED, "expert_workteam_arn": experts})
    assert text.startswith("audit.expert_workteam_arn is ")
    assert "Work team experts does not exist" in text


def test_an_audit_without_a_deployed_template_is_named(world):
    supply(world)
    world.client.delete_object(Bucket=DATA_BUCKET, Key="templates/audit/template.liquid.html")
    check(world)
    assert "templates/audit/template.liquid.html does not exist" in only_refusal(world, audit=AUDITED)


def test_the_verdicts_are_part_of_the_cost(world):
    supply(world)
    audit = {"policy": "all", "auditors_per_object": 2, "final_sample": 1}
    estimate = check(world, audit=audit).estimate
    # Of 10, 3, 3, 3 and 1 objects all are audited, and one of each round once more.
    assert estimate.audited_objects == 25
    assert estimate.audit_usd == pytest.approx(25 * (0.08 + 2 * 0.012))
    assert estimate.labeling_usd == pytest.approx(20 * (0.08 + 3 * 0.012))
    first = 13 * (0.08 + 3 * 0.012) + 15 * (0.08 + 2 * 0.012)
    assert estimate.first_rounds_usd == pytest.approx(first, abs=0.005)
    dearer = check(world, audit={**audit, "price_per_answer_usd": 0.5}).estimate
    assert dearer.audit_usd == pytest.approx(25 * (0.08 + 2 * 0.5))
    assert "and their audit" in only_refusal(world, audit=audit, stop={"budget_usd": first - 0.02})
    assert check(world, audit=audit, stop={"budget_usd": first + 0.02})


def test_the_models_labels_are_audited_from_the_first_round_with_a_model(world):
    supply(world)
    audit = {"policy": "all", "auto_sample": 7}
    plain = check(world, audit=audit).estimate.audited_objects
    promised = check(world, audit=audit, auto_labeling={"target_precision": 0.9}).estimate.audited_objects
    assert promised == plain + 4 * 7


# ---- gold items


GOLD = {"manifest_uri": GOLD_URI, "share": 0.2}


def test_gold_items_are_part_of_the_cost(world):
    supply(world)
    supply_gold(world)
    estimate = check(world, gold=GOLD).estimate
    # A fifth of 10, 3, 3, 3 and 1 objects, rounded up.
    assert (estimate.objects, estimate.gold_objects) == (20, 2 + 1 + 1 + 1 + 1)
    assert estimate.labeling_usd == pytest.approx(26 * (0.08 + 3 * 0.012), abs=0.005)
    supply_gold(world, rows=1)
    assert check(world, gold=GOLD).estimate.gold_objects == 5


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "Cannot read s3://truthloop-test-input/gold.manifest"),
        (b"", "a manifest with no rows"),
        (b'{"source-ref": 7}\n', "don't name one object"),
        (b"{\n", "not a JSON object"),
    ],
)
def test_a_gold_manifest_that_cannot_be_used_is_named(world, content, says):
    supply(world)
    if content is not None:
        world.put(GOLD_URI, content)
    found = refusals(world, gold=GOLD)
    assert {path for path, _ in found} == {"gold.manifest_uri"}
    assert says in "\n".join(text for _, text in found)


def test_the_faults_of_gold_items_are_all_told_by_their_lines(world):
    supply(world)
    rows = supply_gold(world, rows=6)
    del rows[0]["label"]
    rows[1]["label"] = None
    rows[2]["label"] = 2
    rows[3]["label-metadata"] = "by hand"
    rows[5] = rows[4]
    world.put_manifest(rows, GOLD_URI)
    found = refusals(world, gold=GOLD)
    assert {path for path, _ in found} == {"gold.manifest_uri"}
    texts = "\n".join(text for _, text in found)
    for part in (
        "have no label, 2 in all: line 1 (label), line 2 (label)",
        "line 3 (label: 2)",
        "line 4 ('by hand')",
        "line 6 (as line 5)",
    ):
        assert part in texts


def test_a_gold_item_is_no_object_of_the_campaign(world):
    supply(world)
    rows = supply_gold(world)
    world.put_manifest([*rows, image_row(3, label=1)], GOLD_URI)
    text = only_refusal(world, gold=GOLD)
    assert "show an object of manifest_uri as well, 1 in all: line 5" in text


def test_the_objects_of_gold_items_are_looked_at_too(world):
    supply(world)
    supply_gold(world)
    world.client.delete_object(Bucket=INPUT_BUCKET, Key="images/1002.png")
    text = only_refusal(world, gold=GOLD)
    assert text.startswith("gold.manifest_uri is a manifest of objects such as ")
    assert "1002.png" in text


@pytest.mark.parametrize("task_type", task_types.names())
def test_gold_items_have_labels_of_the_task_type(world, task_type):
    module = task_types.get(task_type)
    attribute = "label-ref" if module.LABEL_KIND == labels.MASK else "label"
    changes = {"task_type": task_type, "label_attribute": attribute, "gold": GOLD}
    world.put(f"s3://{DATA_BUCKET}/templates/{task_type}/template.liquid.html", "<p></p>")
    images = [image_row(number) for number in range(24)]
    texts = [{"source": str(number)} for number in range(24)]
    put_objects(world, images)
    rows = texts if module.SOURCE_KEY == "source" else images
    world.put_manifest(rows[:20])
    values = {
        labels.CLASS: 1,
        labels.CLASSES: [0, 1],
        labels.BOXES: {"image_size": [], "annotations": []},
        labels.MASK: "s3://bucket/mask.png",
    }
    for kind, value in values.items():
        world.put_manifest([{**row, attribute: value} for row in rows[20:]], GOLD_URI)
        if kind == module.LABEL_KIND:
            assert check(world, **changes).estimate.gold_objects
        else:
            assert "something else than a label" in only_refusal(world, **changes)
