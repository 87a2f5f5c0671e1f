"""What a person does in the browser becomes the label in the manifest, whatever characters are in the way."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from truthloop import task_types
from truthloop.labeling.annotations import consolidate, prepare_task
from truthloop.labeling.jobs import JobRecord
from truthloop.labels import BOXES, CLASS, CLASSES
from truthloop.manifest import decode_row, encode_row, metadata_key
from truthloop.task_types import ConsolidationHelp
from ui.person import IMAGE_URI, picture

FOLDER = Path(__file__).resolve().parents[2] / "ui_templates"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
LABELS = ("plain", '"it\'s" </script> & {{ task }}', "鳥 🐦 {% raw %}", "ציפור ‮ab")
TEXT = 'He said: "it\'s </script><b>not</b> & {{ mine }}"\n鳥は 🐦\tציפור'


def job_of(task_type: str) -> JobRecord:
    return JobRecord(
        job_name="birds-r0-a1-0123abcd",
        campaign="birds",
        campaign_uri="s3://data/campaigns/birds/",
        round=0,
        attempt=1,
        task_type=task_type,
        label_categories=LABELS,
        label_attribute="label-ref" if task_type == "semantic-segmentation" else "label",
        task_token="token",
        waiting_since=NOW.isoformat(),
    )


def manifest_row(job: JobRecord, row: dict[str, Any], answer: Any, files: dict[str, bytes]) -> dict[str, Any]:
    """The row as the job's output manifest holds it, read back from its line."""

    def store(name: str, content: bytes, content_type: str) -> str:
        files[f"s3://data/{name}"] = content
        return f"s3://data/{name}"

    data = {"workerId": "me", "annotationData": {"content": json.dumps(answer)}}
    payload = [{"datasetObjectId": "0", "dataObject": {}, "annotations": [data]}]
    batch = consolidate(payload, job, lambda uri: pytest.fail(uri), NOW, ConsolidationHelp({}, store))
    assert batch.rejected == []
    return decode_row(encode_row({**row, **batch.entries[0]["consolidatedAnnotation"]["content"]}))


@pytest.mark.parametrize("chosen", [1, 2, 3])
@pytest.mark.parametrize("task_type", task_types.names())
def test_an_answer_in_the_browser_becomes_the_label_in_the_manifest(
    person, task_type: str, chosen: int
) -> None:
    job, module = job_of(task_type), task_types.get(task_type)
    row = {module.SOURCE_KEY: TEXT if module.SOURCE_KEY == "source" else IMAGE_URI, "context": TEXT}
    inputs = prepare_task({"dataObject": row}, job)["taskInput"]
    worker = person(
        FOLDER / task_type / "template.liquid.html",
        inputs,
        objects={IMAGE_URI: picture(960, 640)},
        viewport={"width": 1440, "height": 860},
    )
    if module.SOURCE_KEY == "source":
        shown = worker.find("body").evaluate("body => body.innerText")
        for word in ("</script><b>not</b> & {{ mine }}", "鳥は 🐦", "ציפור"):
            assert word in shown
    worker.press(str(chosen + 1))
    if module.LABEL_KIND not in (CLASS, CLASSES):
        worker.drag((100, 100), (500, 400))
    files: dict[str, bytes] = {}
    found = manifest_row(job, row, worker.submit(), files)

    assert {key: found[key] for key in row} == row
    label, metadata = found[job.label_attribute], found[metadata_key(job.label_attribute)]
    assert metadata["human-annotated"] == "yes"
    if module.LABEL_KIND == CLASS:
        assert (label, metadata["class-name"]) == (chosen, LABELS[chosen])
    elif module.LABEL_KIND == CLASSES:
        assert (label, metadata["class-map"]) == ([chosen], {str(chosen): LABELS[chosen]})
    elif module.LABEL_KIND == BOXES:
        [box] = label["annotations"]
        assert box == {"class_id": chosen, "left": 100, "top": 100, "width": 400, "height": 300}
        assert metadata["class-map"] == {str(chosen): LABELS[chosen]}
    else:
        mask = np.asarray(Image.open(io.BytesIO(files[label])))
        assert set(np.unique(mask)) == {0, chosen + 1}
        assert metadata["internal-color-map"][str(chosen + 1)]["class-name"] == LABELS[chosen]
