"""The audit of labels: other people judge them, and what they reject is labelled again.

An audit goes in steps, each of which is one labelling job. `choose` says which labels are audited, `steps`
how a label goes from verdict to verdict, `verdicts` what an auditor's answer means, `estimates` what the
verdicts say of the labels that nobody looked at; `advance` drives all that over S3.
"""

from __future__ import annotations

from collections.abc import Mapping

ACCEPT = "accept"
REJECT = "reject"
FIX = "fix"
DECISIONS = (ACCEPT, REJECT, FIX)

REASONS: Mapping[str, tuple[str, str]] = {
    "wrong-label": ("Wrong label", "ラベルが違う"),
    "missing": ("Something is missing", "見落としがある"),
    "superfluous": ("Something is too much", "余分なものがある"),
    "inexact": ("Not exact enough", "正確さが足りない"),
    "unreadable": ("The object cannot be judged", "対象が判別できない"),
    "other": ("Another reason", "その他"),
}
"""Why a label is rejected: the code that is kept, and what people read in English and Japanese."""

COMMENT_CHARACTERS_MAXIMUM = 1_000

ANSWER_NAMES = ("auditDecision", "auditReason", "auditComment", "auditFix", "clientTiming")
"""The fields of the auditors' template, and so the keys of their answers."""

_AUDIT_SUFFIX = "-audit"
_REFERENCE_SUFFIX = "-ref"


def audit_attribute(label_attribute: str) -> str:
    """The key of a row that holds the verdict on a label, the label attribute of an auditors' job.

    Ground Truth takes names that end in `-ref` for references to files, which a verdict is not.
    """
    return label_attribute.removesuffix(_REFERENCE_SUFFIX) + _AUDIT_SUFFIX
