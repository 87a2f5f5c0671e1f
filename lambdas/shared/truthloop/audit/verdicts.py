"""What auditors' answers mean: each is read strictly, all on one label become one verdict, a fix is applied.

A verdict needs more than half of the auditors; without that the label is rejected, because nobody can stand
for it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from truthloop import labels, palette, task_types, tasks
from truthloop.audit import ACCEPT, COMMENT_CHARACTERS_MAXIMUM, DECISIONS, FIX, REASONS, REJECT
from truthloop.audit.display import OVERLAY, image_size_of
from truthloop.audit.overlays import drawn_categories
from truthloop.consolidation.skills import Evidence
from truthloop.errors import ObjectNotFound
from truthloop.manifest import class_index, metadata_key
from truthloop.task_types import ConsolidatedLabel, ConsolidationHelp, InvalidDataObject, MalformedAnswer

METADATA_TYPE = "groundtruth/label-verification"
"""`type` in the metadata of a verdict."""

_PNG = "image/png"
_DEPTH = 3
# The label of a fix was seen by the people who gave it, by the auditor who judged it and by who wrote it.
_CONFIDENCE = 1.0
_OTHER = "other"
_DIGEST_CHARACTERS = 16


@dataclass(frozen=True)
class Verdict:
    """What one auditor, or the majority of them, says of a label.

    Attributes
    ----------
    reason
        A code of `REASONS`; may be empty where the label isn't rejected.
    fix
        What is right instead, in the form of the kind of label; None unless the decision is a fix.
    """

    decision: str
    reason: str = ""
    comment: str = ""
    fix: Mapping[str, Any] | None = field(default=None, hash=False)

    @property
    def fix_digest(self) -> str | None:
        """What tells two fixes apart in short."""
        if self.fix is None:
            return None
        return hashlib.sha256(_canonical(self.fix).encode()).hexdigest()[:_DIGEST_CHARACTERS]


def read_verdict(
    content: Any, kind: str, row: Mapping[str, Any], attribute: str, label_categories: Sequence[str]
) -> Verdict:
    """One auditor's answer.

    Parameters
    ----------
    content
        {"auditDecision", "auditReason", "auditComment", "auditFix"}: what the audit template submits, all
        texts; `auditFix` is the JSON of {"label"}, {"labels"}, {"boxes"} or {"categories"}, by kind.
    row
        The row whose label was judged.

    Raises
    ------
    MalformedAnswer
        When it is no verdict, a rejection lacks its reason or its comment, or a fix changes nothing.
    """
    decision = tasks.part_of(content, "auditDecision", str, ", ".join(DECISIONS))
    if decision not in DECISIONS:
        raise MalformedAnswer(f"auditDecision is {decision!r}; allowed: {', '.join(DECISIONS)}")
    reason, comment = _text(content, "auditReason"), cut(_text(content, "auditComment"))
    if reason and reason not in REASONS:
        raise MalformedAnswer(f"auditReason is {reason!r}; allowed: {', '.join(REASONS)}")
    if decision == REJECT:
        if not reason:
            raise MalformedAnswer(f"auditReason is empty; allowed in a rejection: {', '.join(REASONS)}")
        if not comment:
            raise MalformedAnswer("auditComment is empty; allowed in a rejection: what is wrong, in words")
    if decision == ACCEPT:
        reason = ""
    fix = None
    if decision == FIX:
        try:
            given = json.loads(_text(content, "auditFix"))
        except (ValueError, RecursionError) as error:
            # A number of too many digits is no JSONDecodeError.
            raise MalformedAnswer(f"auditFix is not JSON: {error}") from error
        fix = _read_fix(given, kind, row, attribute, label_categories)
    return Verdict(decision, reason, comment, fix)


def decide(verdicts: Mapping[str, Verdict]) -> Verdict:
    """The verdict of several auditors, by worker, at least one; the same in any order.

    The reason is the one that most of those give who are followed, and so is the fix; their comments are
    joined. Without a majority those are followed who don't accept the label.
    """
    given = [verdict for _, verdict in sorted(verdicts.items())]
    counts = Counter(verdict.decision for verdict in given)
    decision = next((name for name in DECISIONS if 2 * counts[name] > len(given)), REJECT)
    followed = [verdict for verdict in given if verdict.decision == decision]
    if 2 * counts[decision] <= len(given):
        followed = [verdict for verdict in given if verdict.decision != ACCEPT]
    reasons = Counter(verdict.reason for verdict in followed if verdict.reason)
    reason = max(REASONS, key=lambda code: reasons[code]) if reasons else ""
    fix = None
    if decision == FIX:
        fixes = Counter(_canonical(verdict.fix or {}) for verdict in followed)
        # The first of equals, in the order of the workers.
        fix = json.loads(max(fixes, key=lambda each: fixes[each]))
    return Verdict(
        decision,
        reason or (_OTHER if decision == REJECT else ""),
        cut("\n".join(dict.fromkeys(verdict.comment for verdict in followed if verdict.comment))),
        fix,
    )


def cut(comment: str) -> str:
    """A comment as it may stand in a row: without blanks around it, and cut where it is too long."""
    # Half of a surrogate pair cannot be written.
    text = comment.encode("utf-8", "replace").decode("utf-8").strip()
    if len(text) <= COMMENT_CHARACTERS_MAXIMUM:
        return text
    return text[: COMMENT_CHARACTERS_MAXIMUM - 1] + "…"


@dataclass(frozen=True)
class Audited:
    """The labels that a job's auditors judge, and how their answers become verdicts.

    Attributes
    ----------
    rows
        The rows of the job, by the ids of its objects.
    label_metadata
        What every label's metadata has, for the number of people who gave it.
    read_bytes
        Reads the mask at an S3 URI.
    """

    task_type: str
    label_attribute: str
    label_categories: tuple[str, ...]
    rows: Mapping[str, Mapping[str, Any]]
    label_metadata: Callable[[int], Mapping[str, Any]]
    read_bytes: Callable[[str], bytes]

    @property
    def kind(self) -> str:
        return task_types.get(self.task_type).LABEL_KIND

    def read(self, identifier: str, content: Any) -> Verdict:
        """One auditor's answer about an object; raises `MalformedAnswer`."""
        return read_verdict(
            content, self.kind, self.rows[identifier], self.label_attribute, self.label_categories
        )

    def consolidate(
        self, answers: Mapping[str, Sequence[tuple[str, Verdict]]], help: ConsolidationHelp
    ) -> dict[str, ConsolidatedLabel]:
        """The verdict on each object; an answer whose fix cannot be applied is left out."""
        return {name: self._consolidate(name, dict(given), help) for name, given in answers.items()}

    def _consolidate(
        self, name: str, given: Mapping[str, Verdict], help: ConsolidationHelp
    ) -> ConsolidatedLabel:
        verdicts, rejected = dict(given), {}
        while verdicts:
            verdict = decide(verdicts)
            value: dict[str, Any] = {
                "decision": verdict.decision,
                "reason": verdict.reason,
                "comment": verdict.comment,
            }
            if verdict.fix is None:
                break
            authors = [worker for worker, each in verdicts.items() if each.fix == verdict.fix]
            try:
                label, metadata = self._fixed(name, verdict.fix, help)
            except MalformedAnswer as error:
                for worker in authors:
                    rejected[worker] = str(error)
                    del verdicts[worker]
                continue
            value["fix"] = verdict.fix_digest
            value["label"] = {
                "value": label,
                "metadata": {**self.label_metadata(len(authors)), **metadata},
            }
            break
        if not verdicts:
            return ConsolidatedLabel(None, rejected=rejected)
        return ConsolidatedLabel(
            value,
            evidence={
                worker: Evidence(float(each.decision == verdict.decision))
                for worker, each in verdicts.items()
                if len(verdicts) > 1
            },
            rejected=rejected,
        )

    def _fixed(
        self, name: str, fix: Mapping[str, Any], help: ConsolidationHelp
    ) -> tuple[Any, dict[str, Any]]:
        row = self.rows[name]
        if self.kind == labels.MASK:
            return _repainted(
                name, row, self.label_attribute, self.label_categories, fix, help, self.read_bytes
            )
        return fixed_label(self.kind, row, self.label_attribute, self.label_categories, fix)


def fixed_label(
    kind: str,
    row: Mapping[str, Any],
    attribute: str,
    label_categories: Sequence[str],
    fix: Mapping[str, Any],
) -> tuple[Any, dict[str, Any]]:
    """The label that a fix makes, and what its kind adds to the metadata; of every kind but masks."""
    if kind == labels.CLASS:
        return label_categories.index(fix["label"]), {"class-name": fix["label"], "confidence": _CONFIDENCE}
    if kind == labels.CLASSES:
        indices = [label_categories.index(name) for name in fix["labels"]]
        return indices, {
            "class-map": {str(index): label_categories[index] for index in indices},
            "confidence-map": {str(index): _CONFIDENCE for index in indices},
        }
    width, height = _image_size(row[attribute])
    drawn = tasks.drawn_boxes(fix["boxes"], height, width, label_categories, _ALLOWED[labels.BOXES])
    annotations = [tasks.box_annotation(box) for box in drawn]
    indices = sorted({each["class_id"] for each in annotations})
    return {
        "image_size": [{"width": width, "height": height, "depth": _DEPTH}],
        "annotations": annotations,
    }, {
        "class-map": {str(index): label_categories[index] for index in indices},
        "objects": [{"confidence": _CONFIDENCE} for _ in annotations],
    }


_ALLOWED = {
    labels.CLASS: '{"label": "<category>"}',
    labels.CLASSES: '{"labels": ["<category>", …]}',
    labels.BOXES: '{"boxes": [{"label", "left", "top", "width", "height"}]}',
    labels.MASK: '{"categories": {"<category of the mask>": "<category>" or null}}',
}


def _read_fix(
    given: Any, kind: str, row: Mapping[str, Any], attribute: str, label_categories: Sequence[str]
) -> dict[str, Any]:
    """A fix in the form in which equal ones are equal."""
    allowed = _ALLOWED[kind]
    fix: dict[str, Any]
    if kind == labels.CLASS:
        index = tasks.category_index(tasks.part_of(given, "label", str, allowed), label_categories)
        fix, unchanged = {"label": label_categories[index]}, index == class_index(row, attribute)
    elif kind == labels.CLASSES:
        found = {
            tasks.category_index(name, label_categories)
            for name in tasks.part_of(given, "labels", list, allowed)
        }
        fix = {"labels": [label_categories[index] for index in sorted(found)]}
        unchanged = found == set(row[attribute])
    elif kind == labels.BOXES:
        width, height = _image_size(row[attribute])
        boxes = tasks.drawn_boxes(
            tasks.part_of(given, "boxes", list, allowed), height, width, label_categories, allowed
        )
        annotations = sorted((tasks.box_annotation(box) for box in boxes), key=_canonical)
        fix = {
            "boxes": [
                {
                    "label": label_categories[each["class_id"]],
                    **{side: each[side] for side in tasks.BOX_SIDES},
                }
                for each in annotations
            ]
        }
        before = [
            {"class_id": each["class_id"], **{side: round(each[side]) for side in tasks.BOX_SIDES}}
            for each in row[attribute]["annotations"]
        ]
        unchanged = annotations == sorted(before, key=_canonical)
    else:
        fix = {"categories": _read_repainting(given, row, attribute, label_categories)}
        unchanged = not fix["categories"]
    if unchanged:
        raise MalformedAnswer("auditFix changes nothing; allowed: another label than the one that was shown")
    return fix


def _read_repainting(
    given: Any, row: Mapping[str, Any], attribute: str, label_categories: Sequence[str]
) -> dict[str, str | None]:
    allowed = _ALLOWED[labels.MASK]
    drawn = {each.label for each in _drawn(row, attribute, label_categories).values()}
    repainting = {}
    for name, other in tasks.part_of(given, "categories", dict, allowed).items():
        if name not in drawn:
            raise MalformedAnswer(
                f"auditFix repaints {name!r}; allowed: what the mask has: {', '.join(sorted(drawn))}"
            )
        if other is not None:
            tasks.category_index(other, label_categories)
        if other != name:
            repainting[name] = other
    return repainting


def _drawn(row: Mapping[str, Any], attribute: str, label_categories: Sequence[str]) -> Any:
    color_map = (row.get(metadata_key(attribute)) or {}).get("internal-color-map")
    try:
        return drawn_categories(color_map, label_categories)
    except InvalidDataObject as error:
        raise MalformedAnswer(f"the mask cannot be repainted: {error}") from error


def _repainted(
    name: str,
    row: Mapping[str, Any],
    attribute: str,
    label_categories: Sequence[str],
    fix: Mapping[str, Any],
    help: ConsolidationHelp,
    read_bytes: Callable[[str], bytes],
) -> tuple[str, dict[str, Any]]:
    """The mask with categories painted as others or removed, as consolidation writes masks."""
    # The numerics come with a layer of the one function that consolidates.
    import numpy as np

    from truthloop.consolidation import masks

    color_map = (row.get(metadata_key(attribute)) or {}).get("internal-color-map")
    try:
        indices = masks.read_palette(read_bytes(row[attribute]), color_map, label_categories)
    except (masks.UnreadableMask, ObjectNotFound) as error:
        raise MalformedAnswer(f"the mask cannot be repainted: {error}") from error
    table = np.arange(len(label_categories) + 1, dtype=np.uint8)
    for category, other in fix["categories"].items():
        target = 0 if other is None else label_categories.index(other) + 1
        table[label_categories.index(category) + 1] = target
    painted = table[indices]
    if not np.any(painted != indices):
        raise MalformedAnswer("auditFix changes nothing: the mask has no pixel of what it repaints")
    found = [int(index) for index in np.unique(painted)]
    return help.store(f"{name}.png", masks.palette_png(painted), _PNG), {
        "internal-color-map": {
            str(index): {
                "class-name": label_categories[index - 1] if index else palette.BACKGROUND,
                "hex-color": palette.color(index - 1) if index else palette.WHITE,
                "confidence": _CONFIDENCE,
            }
            for index in found
        },
        OVERLAY: help.store(f"{name}.overlay.png", masks.overlay_png(painted), _PNG),
    }


def _image_size(value: Mapping[str, Any]) -> tuple[int, int]:
    size = image_size_of(value)
    if size is None:
        raise MalformedAnswer("the label doesn't say how large its image is, so its boxes cannot be fixed")
    return size


def _text(content: Mapping[str, Any], key: str) -> str:
    """A text of an answer; the template leaves out what is empty."""
    value = content.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MalformedAnswer(f"{key} is {value!r}; allowed: a text")
    return value


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
