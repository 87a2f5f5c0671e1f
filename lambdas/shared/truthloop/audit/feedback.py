"""What the people who label an object again read: why its label was rejected, and what the label was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from truthloop import labels, task_types
from truthloop.audit import REASONS, REJECT
from truthloop.audit.display import names_of, verdicts_on
from truthloop.labeling.jobs import JobRecord
from truthloop.labels import suggestion_key
from truthloop.manifest import is_labeled

_SEPARATOR = ", "


def feedback_task(row: Mapping[str, Any], job: JobRecord) -> dict[str, Any]:
    """The keys that a task's input has beside others when its label was rejected.

    Returns
    -------
    dict
        `feedback`: for each rejection, newest last, {"comment", "reason", "reasonEn", "reasonJa"};
        `previous`: the rejected label by name, empty for a kind whose widget begins with it.
    """
    return {
        "feedback": [
            {
                "comment": entry.get("comment") or "",
                "reason": entry.get("reason") or "other",
                "reasonEn": REASONS.get(str(entry.get("reason")), REASONS["other"])[0],
                "reasonJa": REASONS.get(str(entry.get("reason")), REASONS["other"])[1],
            }
            for entry in verdicts_on(row)
            if entry.get("decision") == REJECT
        ],
        "previous": _previous(row, job),
    }


def _previous(row: Mapping[str, Any], job: JobRecord) -> str:
    kind = task_types.get(job.task_type).LABEL_KIND
    key = suggestion_key(job.label_attribute)
    if kind not in (labels.CLASS, labels.CLASSES) or not is_labeled(row, key):
        return ""
    if labels.refusal(kind, row, key, job.label_categories) is not None:
        return ""
    return _SEPARATOR.join(names_of(kind, row, key, job.label_categories)) or labels.NONE_OF_THESE
