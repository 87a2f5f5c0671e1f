"""What a labelling job asks its pre- and post-annotation functions, and how it reads their answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

# Source: "Processing with AWS Lambda" (custom labelling workflows) in the SageMaker developer guide.
_VERSION = "2018-10-16"


class MalformedResponse(ValueError):
    """A function answered in a form that the service does not accept; the text says what is expected."""


@dataclass(frozen=True)
class PreAnnotation:
    """A pre-annotation answer: what the template sees as ``task.input``, and whether people see it at all."""

    task_input: dict[str, Any]
    human_annotation_required: bool


def pre_annotation_request(job_arn: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return the event of a pre-annotation call for one row of the input manifest."""
    return {"version": _VERSION, "labelingJobArn": job_arn, "dataObject": row}


def read_pre_annotation(response: Any) -> PreAnnotation:
    """Read a pre-annotation answer; raises `MalformedResponse`."""
    if not isinstance(response, dict) or not isinstance(response.get("taskInput"), dict):
        raise MalformedResponse(
            f"the pre-annotation function returned {_shorten(response)}; expected an object "
            "whose taskInput is an object"
        )
    required = response.get("isHumanAnnotationRequired", True)
    if not isinstance(required, bool):
        raise MalformedResponse(
            f"the pre-annotation function returned isHumanAnnotationRequired {required!r}; "
            "expected true or false"
        )
    return PreAnnotation(response["taskInput"], required)


def consolidation_entry(
    object_id: str, row: dict[str, Any], answers: Iterable[tuple[str, dict[str, Any]]]
) -> dict[str, Any]:
    """Return one object's entry of a consolidation request.

    Parameters
    ----------
    object_id
        The line index of the object as a string.
    row
        Its line of the input manifest.
    answers
        Pairs of worker id and answer.
    """
    data_object = {"s3Uri": row["source-ref"]} if "source-ref" in row else {"content": row["source"]}
    return {
        "datasetObjectId": object_id,
        "dataObject": data_object,
        "annotations": [
            {"workerId": worker_id, "annotationData": {"content": json.dumps(answer)}}
            for worker_id, answer in answers
        ],
    }


def post_annotation_request(
    job_arn: str,
    label_categories: Sequence[str] | None,
    label_attribute: str,
    role_arn: str,
    payload_uri: str,
) -> dict[str, Any]:
    """Return the event of a post-annotation call; ``payload_uri`` is where the consolidation request lies."""
    return {
        "version": _VERSION,
        "labelingJobArn": job_arn,
        "labelCategories": None if label_categories is None else list(label_categories),
        "labelAttributeName": label_attribute,
        "roleArn": role_arn,
        "payload": {"s3Uri": payload_uri},
    }


def read_post_annotation(
    response: Any, object_ids: Sequence[str], label_attribute: str
) -> dict[str, dict[str, Any] | str]:
    """Read a post-annotation answer.

    Returns
    -------
    dict
        For each asked object its ``content``, or the reason for which it has none as a string. A content
        without the label attribute is one that says its `failure_reason`.

    Raises
    ------
    MalformedResponse
        The answer is no list of entries, or has an entry for an object that was not asked for.
    """
    if not isinstance(response, list) or not all(isinstance(entry, dict) for entry in response):
        raise MalformedResponse(
            f"the post-annotation function returned {_shorten(response)}; "
            "expected a list with an entry per object"
        )
    entries: dict[str, list[dict[str, Any]]] = {object_id: [] for object_id in object_ids}
    for entry in response:
        object_id = entry.get("datasetObjectId")
        if not isinstance(object_id, str) or object_id not in entries:
            raise MalformedResponse(
                f"the post-annotation function returned an entry whose datasetObjectId {object_id!r} "
                "was not in its request; return the ids of the request"
            )
        entries[object_id].append(entry)
    return {object_id: _content(found, label_attribute) for object_id, found in entries.items()}


def _content(entries: list[dict[str, Any]], label_attribute: str) -> dict[str, Any] | str:
    """Return the content of an object's only entry, or what is wrong with it."""
    if not entries:
        return "the post-annotation function returned no entry for the object"
    if len(entries) > 1:
        return f"the post-annotation function returned {len(entries)} entries for the object; expected one"
    annotation = entries[0].get("consolidatedAnnotation")
    content = annotation.get("content") if isinstance(annotation, dict) else None
    if isinstance(content, dict) and failure_reason(content, label_attribute) is not None:
        return content
    if not isinstance(content, dict) or label_attribute not in content:
        return (
            f"the post-annotation function returned {_shorten(entries[0])}; "
            f"expected consolidatedAnnotation.content with the key {label_attribute!r}"
        )
    return content


def failure_reason(content: dict[str, Any], label_attribute: str) -> str | None:
    """Return why the function found no label for an object, None when the content holds one."""
    metadata = content.get(f"{label_attribute}-metadata")
    if label_attribute in content or not isinstance(metadata, dict) or "failure-reason" not in metadata:
        return None
    return str(metadata["failure-reason"])


def _shorten(value: Any, most: int = 200) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= most else text[:most] + "…"
