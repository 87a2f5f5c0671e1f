"""What a labelling job that belongs to no campaign labelled."""

from __future__ import annotations

import json
from typing import Any

import pytest

from truthloop import labels, task_types
from truthloop.errors import InvalidRequest
from truthloop.manifest import Row, encode_row
from truthloop.request import Audit
from truthloop.s3 import S3Gateway
from truthloop.standalone import (
    InvalidSettings,
    StandaloneAudits,
    UnauditableJob,
    audit_of_job,
    recognise,
)
from unit.labeling.audit_kit import AUDITORS
from unit.labeling.kit import BUCKET, NOW, WORKTEAM
from unit.labeling.test_audit_handlers import SageMaker

NAMES = ("cat", "dog")
SETTINGS = StandaloneAudits("theirs-", Audit(policy="all"), workers_per_object=3)
JOB = "theirs-1"
FOLDER = f"s3://{BUCKET}/theirs/"

COLORS = {
    "0": {"class-name": "BACKGROUND", "hex-color": "#ffffff"},
    "1": {"class-name": "cat", "hex-color": "#2ca02c"},
    "2": {"class-name": "dog", "hex-color": "#1f77b4"},
}
BOX = {"class_id": 1, "left": 1, "top": 2, "width": 3, "height": 4}
# By kind: two labels with the metadata that Ground Truth writes.
LABELS: dict[str, list[tuple[Any, dict[str, Any]]]] = {
    labels.CLASS: [(1, {"class-name": "dog"}), (0, {"class-name": "cat"})],
    labels.CLASSES: [([0, 1], {"class-map": {"0": "cat", "1": "dog"}}), ([], {"class-map": {}})],
    labels.BOXES: [
        (
            {"image_size": [{"width": 9, "height": 9, "depth": 3}], "annotations": [BOX]},
            {"class-map": {"1": "dog"}},
        ),
        (
            {"image_size": [{"width": 9, "height": 9, "depth": 3}], "annotations": [BOX | {"class_id": 0}]},
            {"class-map": {"0": "cat"}},
        ),
    ],
    labels.MASK: [
        ("s3://bucket/1.png", {"internal-color-map": {key: COLORS[key] for key in "02"}}),
        ("s3://bucket/2.png", {"internal-color-map": {key: COLORS[key] for key in "01"}}),
    ],
}


def attribute_of(task_type: str) -> str:
    return "mask-ref" if task_types.get(task_type).LABEL_KIND == labels.MASK else "what"


def rows_of(task_type: str, metadata_type: str | None = "") -> list[Row]:
    """Two labelled rows of a task type as Ground Truth leaves them, with another `type` if one is given."""
    module, attribute = task_types.get(task_type), attribute_of(task_type)
    found = module.METADATA_TYPE if metadata_type == "" else metadata_type
    kind_of_label = {} if found is None else {"type": found}
    return [
        {
            module.SOURCE_KEY: f"s3://bucket/{number}.jpg",
            attribute: value,
            f"{attribute}-metadata": {**metadata, **kind_of_label, "human-annotated": "yes"},
        }
        for number, (value, metadata) in enumerate(LABELS[module.LABEL_KIND])
    ]


@pytest.mark.parametrize("metadata_type", ["", "groundtruth/custom", None])
@pytest.mark.parametrize("task_type", task_types.names())
def test_every_task_type_is_told_by_its_metadata_or_by_how_its_labels_look(
    task_type: str, metadata_type: str | None
) -> None:
    rows = rows_of(task_type, metadata_type)
    assert recognise(rows, attribute_of(task_type), NAMES) == (task_type, NAMES)
    # Without a configuration the metadata tell the categories too.
    assert recognise(rows, attribute_of(task_type), None) == (task_type, NAMES)


def test_a_category_that_no_label_has_is_numbered() -> None:
    [row, _] = rows_of("image-classification")
    assert recognise([row], "what", None) == ("image-classification", ("category 0", "dog"))


def test_a_class_written_as_a_text_is_one() -> None:
    rows = [{**row, "what": str(row["what"])} for row in rows_of("image-classification")]
    assert recognise(rows, "what", None) == ("image-classification", NAMES)


def test_rows_of_two_types_are_told_by_how_they_look() -> None:
    first, second = rows_of("bounding-box")
    second["what-metadata"]["type"] = "groundtruth/custom"
    assert recognise([first, second], "what", NAMES)[0] == "bounding-box"


@pytest.mark.parametrize(
    ("rows", "attribute", "categories", "says"),
    [
        (
            [{**row, "what": {"entities": []}} for row in rows_of("text-classification")],
            "what",
            NAMES,
            "text-classification: what: {'entities': []}",
        ),
        ([*rows_of("text-classification"), *rows_of("image-classification")], "what", NAMES, "allowed: "),
        (rows_of("image-classification"), "what", ("cat",), "what: 1"),
        (rows_of("image-classification"), "what", ("dog", "cat"), "in the metadata 'dog'"),
        ([*rows_of("image-classification"), *rows_of("bounding-box")], "what", NAMES, "what: "),
        (
            [{**rows_of("image-classification")[0], "x-ref": 1}],
            "x-ref",
            NAMES,
            "image-classification: x-ref, which is a name for other labels",
        ),
        ([{"source": "a", "source-ref": "s3://b/c", "what": 1}], "what", NAMES, "none of a known task type;"),
    ],
)
def test_labels_of_no_task_type_are_refused_with_what_they_are(
    rows: list[Row], attribute: str, categories: tuple[str, ...], says: str
) -> None:
    with pytest.raises(UnauditableJob) as caught:
        recognise(rows, attribute, categories, JOB)
    text = str(caught.value)
    assert says in text
    assert f"The labels of {JOB} under {attribute}, of type " in text
    assert all(name in text for name in task_types.names())
    assert "standalone_audits.job_name_prefix" in text


def described(s3: S3Gateway, rows: list[Row], **changes: Any) -> SageMaker:
    sagemaker = SageMaker()
    sagemaker.add(JOB, output_uri=FOLDER, LabelAttributeName="what", **changes)
    uri = f"{FOLDER}{JOB}/manifests/output/output.manifest"
    s3.write_bytes(uri, "".join(encode_row(row) + "\n" for row in rows).encode())
    return sagemaker


def audit(s3: S3Gateway, sagemaker: SageMaker, settings: StandaloneAudits = SETTINGS) -> Any:
    found = audit_of_job(s3, sagemaker, BUCKET, JOB, settings, AUDITORS, NOW)  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.parametrize(
    "content",
    [None, b"{", b"[]", b'{"labels": []}', b'{"labels": [{"label": "x"}, {}]}', b'{"labels": "cat"}'],
)
def test_a_configuration_that_tells_nothing_leaves_it_to_the_metadata(
    s3: S3Gateway, content: bytes | None
) -> None:
    uri = f"{FOLDER}categories.json"
    if content is not None:
        s3.write_bytes(uri, content)
    sagemaker = described(s3, rows_of("image-classification"), LabelCategoryConfigS3Uri=uri)
    assert audit(s3, sagemaker).source.label_categories == NAMES


def test_the_configuration_wins_over_the_metadata(s3: S3Gateway) -> None:
    uri = f"{FOLDER}categories.json"
    s3.write_json(uri, {"labels": [{"label": name} for name in (*NAMES, "bird")]})
    sagemaker = described(s3, rows_of("image-classification"), LabelCategoryConfigS3Uri=uri)
    assert audit(s3, sagemaker).source.label_categories == (*NAMES, "bird")


def test_rows_without_a_label_do_not_matter(s3: S3Gateway) -> None:
    failed = {"source-ref": "s3://bucket/9.jpg", "what-metadata": {"failure-reason": "Nobody answered."}}
    sagemaker = described(s3, [failed, *rows_of("image-classification")])
    assert audit(s3, sagemaker).source.task_type == "image-classification"


def test_the_people_and_prices_are_the_jobs_and_the_auditors_the_policys(s3: S3Gateway) -> None:
    task = {
        "WorkteamArn": WORKTEAM,
        "TaskTitle": "t",
        "TaskDescription": "d",
        "TaskKeywords": ["a", "b"],
        "TaskTimeLimitInSeconds": 60,
        "TaskAvailabilityLifetimeInSeconds": 3_600,
        "MaxConcurrentTaskCount": 5,
        "PublicWorkforceTaskPrice": {"AmountInUsd": {"Dollars": 1, "Cents": 3, "TenthFractionsOfACent": 6}},
    }
    policy = Audit(policy="sample", workteam_arn=f"{AUDITORS}-2", expert_workteam_arn=f"{AUDITORS}-3")
    settings = StandaloneAudits("theirs-", policy, workers_per_object=4)
    sagemaker = described(s3, rows_of("image-classification"), HumanTaskConfig=task)
    labeling = audit(s3, sagemaker, settings).labeling
    assert vars(labeling) == {
        "workteam_arn": WORKTEAM,
        "auditors_workteam_arn": f"{AUDITORS}-2",
        "experts_workteam_arn": f"{AUDITORS}-3",
        "workers_per_object": 4,
        "task_title": "t",
        "task_description": "d",
        "task_keywords": ("a", "b"),
        "task_time_limit_seconds": 60,
        "task_availability_seconds": 3_600,
        "max_concurrent_tasks": 5,
        "price_per_answer_usd": 1.036,
    }


def test_the_same_job_gives_the_same_choices_and_another_job_others(s3: S3Gateway) -> None:
    sagemaker = described(s3, rows_of("image-classification"))
    first = audit(s3, sagemaker).seed
    assert audit(s3, sagemaker).seed == first
    sagemaker.jobs[JOB]["LabelingJobArn"] += "-2"
    assert audit(s3, sagemaker).seed != first


def test_the_settings_are_those_of_a_request_and_a_null_is_the_default() -> None:
    document = {
        "job_name_prefix": "theirs-",
        "policy": {"policy": "sample", "final_sample": None, "relabel_rounds": 1},
        "workers_per_object": 3,
    }
    settings = StandaloneAudits.from_document(json.loads(json.dumps(document)))
    assert settings == StandaloneAudits("theirs-", Audit(policy="sample", relabel_rounds=1), 3)
    assert settings.want("theirs-1")
    assert not settings.want("others-1")
    assert not StandaloneAudits.from_document({**document, "job_name_prefix": None}).want("theirs-1")


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"job_name_prefix": ""}, InvalidSettings, "job_name_prefix is ''"),
        ({"job_name_prefix": 1}, InvalidSettings, "job_name_prefix is 1"),
        ({"workers_per_object": 10}, InvalidSettings, "an integer from 1 to 9"),
        ({"workers_per_object": None}, InvalidSettings, "workers_per_object is None"),
        ({"policy": {"policy": "some"}}, InvalidRequest, r"audit\.policy is"),
    ],
)
def test_settings_that_break_the_rules_are_named(changes: Any, error: type[Exception], says: str) -> None:
    document = {"job_name_prefix": "x", "policy": {"policy": "all"}, "workers_per_object": 1}
    with pytest.raises(error, match=says):
        StandaloneAudits.from_document({**document, **changes})
