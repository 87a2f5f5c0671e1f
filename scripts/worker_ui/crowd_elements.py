"""AWS's crowd elements as its pages document them: attributes, regions and what they take as JSON.

One page each, from https://docs.aws.amazon.com/sagemaker/latest/dg/sms-ui-template-reference.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LOADER = "https://assets.crowd.aws/crowd-html-elements.js"
"""The script that makes the elements work."""

SHORT_INSTRUCTIONS = "short-instructions"
FULL_INSTRUCTIONS = "full-instructions"
CLASSIFICATION_TARGET = "classification-target"
WORKER_COMMENT = "worker-comment"
FORM = "crowd-form"
SELF_CONTAINED = "crowd-entity-annotation"
"""The widget that brings its own form and must not be inside another."""


@dataclass(frozen=True)
class CrowdElement:
    """What an element may have.

    Attributes
    ----------
    attributes
        All documented ones.
    required
        Those without which it cannot work.
    regions
        The child elements that it gives a meaning; `True` for those that it needs.
    json
        The attributes that are relaxed JSON.
    labels
        The attribute with the labels to choose from, if any.
    labels_maximum
        The documented limit of their number, if any.
    answers
        Whether the worker's answer has something under its `name`.
    """

    attributes: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    regions: Mapping[str, bool] = field(default_factory=dict)
    json: frozenset[str] = frozenset()
    labels: str | None = None
    labels_maximum: int | None = None
    answers: bool = False


_INSTRUCTIONS = {SHORT_INSTRUCTIONS: True, FULL_INSTRUCTIONS: True}
_JSON = frozenset({"categories", "labels", "initial-value", "exclusion-category", "overlay", "label-colors"})


def _element(
    attributes: str = "", required: str = "", regions: str = "", answers: bool = False
) -> CrowdElement:
    """An element without labels."""
    allowed = frozenset(attributes.split())
    return CrowdElement(
        attributes=allowed,
        required=frozenset(required.split()),
        regions=dict.fromkeys(regions.split(), False),
        answers=answers,
    )


def _widget(
    attributes: str, optional: str = "", labels_maximum: int | None = None, **regions: bool
) -> CrowdElement:
    """A labelling widget: its answer is what the task is about, and it needs both instructions."""
    required = frozenset(attributes.split())
    allowed = required | frozenset(optional.split())
    return CrowdElement(
        attributes=allowed,
        required=required,
        regions={**_INSTRUCTIONS, **{name.replace("_", "-"): needed for name, needed in regions.items()}},
        json=allowed & _JSON,
        labels="categories" if "categories" in allowed else "labels",
        labels_maximum=labels_maximum,
        answers=True,
    )


# 50 labels: the quota of jobs with several labels, https://docs.aws.amazon.com/sagemaker/latest/dg/input-data-limits.html;
# the page of crowd-bounding-box still says 10.
WIDGETS: Mapping[str, CrowdElement] = {
    "crowd-bounding-box": _widget("header labels name src", "initial-value", 50),
    "crowd-classifier": _widget("categories header name", classification_target=True),
    "crowd-classifier-multi-select": _widget(
        "categories header name", "exclusion-category", 50, classification_target=True
    ),
    "crowd-entity-annotation": _widget("header labels name text", "initial-value"),
    "crowd-image-classifier": _widget("categories header name src", "overlay", 10, worker_comment=False),
    "crowd-image-classifier-multi-select": _widget(
        "categories header name src", "exclusion-category", 50, worker_comment=False
    ),
    # Its page lacks initial-value, the pages on adjusting labels use it.
    "crowd-instance-segmentation": _widget("header labels name src", "initial-value"),
    "crowd-keypoint": _widget("header labels name src", "initial-value"),
    "crowd-line": _widget("labels name src", "header initial-value label-colors", 10),
    "crowd-polygon": _widget("header labels name src", "initial-value"),
    "crowd-polyline": _widget("labels name src", "header initial-value label-colors", 10),
    "crowd-semantic-segmentation": _widget("header labels name src", "initial-value"),
}
"""The elements that ask the question of a task."""

ELEMENTS: Mapping[str, CrowdElement] = {
    **WIDGETS,
    "crowd-alert": _element("dismissible type"),
    "crowd-badge": _element("for icon label"),
    "crowd-button": _element("disabled form-action href icon icon-align icon-url loading target variant"),
    "crowd-card": _element("heading image"),
    "crowd-checkbox": _element("checked disabled name required value", "name", answers=True),
    "crowd-fab": _element("disabled icon label title"),
    FORM: _element(regions=f"{SHORT_INSTRUCTIONS} {FULL_INSTRUCTIONS}"),
    "crowd-icon-button": _element("disabled icon"),
    "crowd-input": _element(
        "allowed-pattern auto-focus auto-validate disabled error-message label max-length min-length name "
        "placeholder required type value",
        "name",
        answers=True,
    ),
    "crowd-instructions": _element(
        "link-text link-type", regions="short-summary detailed-instructions positive-example negative-example"
    ),
    "crowd-modal": _element("link-text link-type"),
    "crowd-radio-button": _element("checked disabled name value", "name", answers=True),
    "crowd-radio-group": _element(),
    "crowd-slider": _element(
        "disabled editable max min name pin required secondary-progress step value", "name", answers=True
    ),
    "crowd-tab": _element("header"),
    "crowd-tabs": _element(),
    "crowd-text-area": _element(
        "auto-focus auto-validate char-counter disabled error-message label max-length max-rows name "
        "placeholder rows value",
        "name",
        answers=True,
    ),
    # `opened` stands in its page's example only.
    "crowd-toast": _element("duration opened text"),
    "crowd-toggle-button": _element("checked disabled invalid name required value", "name", answers=True),
}
"""All documented elements."""

REGION_ATTRIBUTES: Mapping[str, frozenset[str]] = {
    SHORT_INSTRUCTIONS: frozenset(),
    FULL_INSTRUCTIONS: frozenset({"header"}),
    CLASSIFICATION_TARGET: frozenset(),
    WORKER_COMMENT: frozenset({"header", "link-text", "placeholder"}),
    "short-summary": frozenset(),
    "detailed-instructions": frozenset(),
    "positive-example": frozenset(),
    "negative-example": frozenset(),
}
"""The regions with their attributes."""
