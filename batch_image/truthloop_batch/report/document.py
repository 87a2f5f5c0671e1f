"""The shape of report.json: stable keys that other programs may read, and everything that the page shows.

Shares, qualities and confidences lie between 0 and 1, money is in US dollars, durations are in seconds,
times are ISO 8601 in UTC. A value that the campaign does not have is null; keys are never left out.
`schema_version` rises when a key changes its meaning or goes away, not when one is added. Version 2 came with
the label kinds: what was called accuracy is `quality`, and `metric` says what it measures. Version 3 came
with audits: the total cost has a third part, and the labels of the model are those of all rounds.
"""

from __future__ import annotations

from typing import Literal, TypedDict

SCHEMA_VERSION = 3

Source = Literal["people", "model", "input"]
Kind = Literal["class", "classes", "boxes", "mask"]


class SplitSizes(TypedDict):
    """Rows of each part of the frozen split; `pool` are the rows that may be selected."""

    test: int
    validation: int
    pool: int


class Campaign(TypedDict):
    """What was asked for."""

    name: str
    uri: str
    task_type: str
    kind: Kind
    manifest_uri: str
    label_attribute: str
    categories: list[str]
    rows: int
    splits: SplitSizes
    strategy: str
    random_control: bool
    seed_size: int
    round_size: int
    adapter: str
    workers_per_object: int
    label_remaining: str
    seed: int
    started_at: str
    finished_at: str


class Metric(TypedDict):
    """What `quality` and the classes' `score` measure, in words; `key` is as in evaluation.json."""

    key: Literal["accuracy", "macro_f1", "map_50", "mean_iou"]
    name: str
    meaning: str
    class_score: str
    class_meaning: str


class Stop(TypedDict):
    """Which rule ended the campaign, after which round, and why in words."""

    round: int
    rule: str | None
    reason: str


class Round(TypedDict):
    """One round's purchase; `people` are the objects that people labelled in it, `answers` their answers.

    `labeling_usd` pays these and the gold items among them, `audit_usd` all that the audit of their labels
    asked of people.
    """

    round: int
    people: int
    cumulative_people: int
    answers: int
    labeling_usd: float
    audit_usd: float
    compute_usd: float
    total_usd: float
    cumulative_usd: float
    finished_at: str


class Point(TypedDict):
    """A model's quality on the frozen test split beside the labels that it was trained on.

    `interval` is that of the quality at 95 %: Wilson's of an accuracy, else the bootstrap's over rows.
    `macro_f1` is null for boxes and masks.
    """

    round: int
    labels: int
    quality: float
    interval: list[float]
    macro_f1: float | None


class Arms(TypedDict):
    """The learning curves; `strategy` and `control` are empty without a random control."""

    model: list[Point]
    strategy: list[Point]
    control: list[Point]


class Reached(TypedDict):
    """The labels with which an arm got to a quality: as measured, and on the line between two rounds."""

    first_round: int
    first_labels: int
    interpolated_labels: float


class Comparison(TypedDict):
    """The strategy against the random control, at the quality with which the control ended.

    `saved_share` is 1 - strategy / control of the interpolated labels, null when the strategy never got it.
    `quality_difference` is strategy - control at `same_labels`, where the shorter curve ends, on the
    straight lines between the rounds. `intervals_overlap` compares the intervals of both last rounds.
    """

    target_quality: float
    strategy: Reached | None
    control: Reached
    saved_share: float | None
    same_labels: int
    quality_difference: float
    intervals_overlap: bool
    won: bool


class Learning(TypedDict):
    """The learning curves and what they amount to, in one plain sentence."""

    test_rows: int
    arms: Arms
    comparison: Comparison | None
    sentence: str


class Cost(TypedDict):
    """What the campaign cost up to its last decision: the step that writes this report is not part of it.

    `per_person_label_usd` is the labelling cost of one object that people labelled, `per_label_usd` the
    whole cost over every label that the campaign added, `all_by_people_usd` the price of
    labelling all rows that came without a label, by as many workers each.
    """

    labeling_usd: float
    audit_usd: float
    compute_usd: float
    total_usd: float
    budget_usd: float | None
    per_person_label_usd: float | None
    per_label_usd: float | None
    all_by_people_usd: float | None


class ClassCount(TypedDict):
    """What carries one label, by who gave it: see `Labels.counted`."""

    label: str
    people: int
    model: int
    input: int


class Labels(TypedDict):
    """All rows by who labelled them and, in `reasons`, by `truthloop.reason`.

    `per_class` counts rows, those with several labels under each of them, or the boxes where rows have boxes;
    `counted` says which. A mask has the classes that its internal-color-map names.
    """

    people: int
    model: int
    input: int
    nobody: int
    counted: Literal["rows", "boxes"]
    per_class: list[ClassCount]
    reasons: dict[str, int]


class ClassQuality(TypedDict):
    """One class on the test split, `score` as `metric.class_score` says; `rows` have this true label.

    The precision of a class that the model never gives is null, and the recall of one that no row has.
    """

    label: str
    score: float | None
    precision: float | None
    recall: float | None
    rows: int


class Confusion(TypedDict):
    """A pair of classes that the model mixes up: `rows` of `label` were taken for `predicted`."""

    label: str
    predicted: str
    rows: int


class Model(TypedDict):
    """The last model. `confusion[i][j]` are test rows of class i that it takes for class j.

    `confusion` and `most_confused` are null where a row does not have exactly one class.
    """

    round: int
    uri: str
    labels: int
    quality: float
    interval: list[float]
    macro_f1: float | None
    validation_rows: int
    validation_quality: float | None
    validation_log_loss: float | None
    confusion: list[list[int]] | None
    per_class: list[ClassQuality]
    most_confused: list[Confusion] | None


class AutoLabels(TypedDict):
    """What the model labelled by itself in a round, and the validation rows that allowed it or didn't.

    `rows` may be fewer by now: audits take labels back. From `threshold` on it was sure enough; null when it
    abstained. Of the `judged` validation rows at or above it `right` are right, which gives the precision the
    lower `bound` (95 %, Clopper and Pearson). `why` says what decided.
    """

    round: int
    rows: int
    threshold: float | None
    judged: int
    right: int
    bound: float | None
    why: str


class AuditDecisions(TypedDict):
    """Rows by the first valid verdict on their label."""

    accept: int
    fix: int
    reject: int


class ErrorRate(TypedDict):
    """The part of `rows` labels that is wrong: `errors` were, of the `sampled` ones drawn at random.

    Wrong is what an auditor first rejected or fixed. The 95 % interval of a round is exact (hypergeometric),
    that of all rounds is Korn and Graubard's with the rounds as strata; `rate` weights them by their rows.
    """

    errors: int
    sampled: int
    rows: int
    rate: float
    interval: list[float]


class AutoPrecision(ErrorRate):
    """The same of a round's labels by the model, whose precision is 1 - `rate`.

    `promise` is the precision that was promised; `revoked` says that it was not kept, so that all labels of
    the model in this round that no auditor had confirmed were taken back.
    """

    promise: float | None
    revoked: bool


class AuditRound(TypedDict):
    """The audit of one round's labels.

    `rows` labels by people and `auto_rows` by the model were there to be audited, `audited` were. Rejected
    ones were labelled again by people (`relabeled`) or by an expert; `unresolved` ones got no new label and
    lost the old. `unaudited` were chosen but not judged, `self_audits` are verdicts that did not count
    because their author had labelled the object, `revoked` labels of the model were taken back. `objects`
    and `answers` are what the audit's jobs asked people. `initial` is of the labels as they were given,
    `final` of those after the audit; null where no random sample was judged.
    """

    round: int
    name: str
    rows: int
    auto_rows: int
    audited: int
    decisions: AuditDecisions
    reasons: dict[str, int]
    relabeled: int
    expert: int
    unresolved: int
    unaudited: int
    self_audits: int
    revoked: int
    objects: int
    answers: int
    initial: ErrorRate | None
    final: ErrorRate | None
    auto: AutoPrecision | None


class Audit(TypedDict):
    """What auditors found, by round and in the sum of the rounds that were audited."""

    rounds: list[AuditRound]
    rows: int
    auto_rows: int
    audited: int
    decisions: AuditDecisions
    reasons: dict[str, int]
    relabeled: int
    expert: int
    unresolved: int
    unaudited: int
    revoked: int
    initial: ErrorRate | None
    final: ErrorRate | None
    auto: ErrorRate | None


class GoldScore(TypedDict):
    """A worker's answers to objects with known labels, and how right they are on average, from 0 to 1.

    Each is measured as an answer's agreement with a label is. The interval is Wilson's at 95 %.
    """

    answers: int
    score: float
    interval: list[float]


class LabelSkill(TypedDict):
    """One label: the shares of answers that give it where it applies, and leave it out where it doesn't."""

    label: str
    found: float | None
    excluded: float | None


class Annotator(TypedDict):
    """One worker, by the pseudonymous id that Ground Truth gives.

    `malformed` answers cannot be read. `compared` answers are of objects that others answered too;
    `agreement` is the mean over them of how far they are the consolidated label, null when there are none.
    Its interval (Wilson, 95 %) is there for single classes alone, where an answer agrees or doesn't.
    `seconds_median` is null when no answer says how long it took.

    `skill` is what consolidation believes of the worker after the last round: `right` answers (one class) or
    pixels (masks); labels `found` and `excluded` (several classes); boxes `found`, `invented` per image, and
    the `edge_error`, the root mean square in parts of a side. `per_label` is there for one or several
    classes. `gold` is null when the worker had no object with a known label.
    """

    worker: str
    answers: int
    malformed: int
    seconds_median: float | None
    compared: int
    agreement: float | None
    agreement_interval: list[float] | None
    skill: dict[str, float | None]
    per_label: list[LabelSkill] | None
    gold: GoldScore | None


class Job(TypedDict):
    """One labelling job; `status` is how it ended, null when its round went on with another attempt.

    `gold` items came beside its `objects`; their answers are among the `answers`. `malformed` answers were
    left out, because they could not be read or did not fit the others.
    """

    name: str
    round: int
    attempt: int
    status: str | None
    objects: int
    gold: int
    labeled: int
    failed: int
    answers: int
    malformed: int


class Reason(TypedDict):
    """A reason in words, and how many objects or answers it was given for."""

    reason: str
    count: int


class Problems(TypedDict):
    """The most frequent reasons of objects that jobs gave no label, and of answers that cannot be read.

    `other_failures` and `other_malformed` count those with rarer reasons.
    """

    failures: list[Reason]
    other_failures: int
    malformed: list[Reason]
    other_malformed: int


class Spread(TypedDict):
    """How a set of scores is spread: its size, lowest and highest, 10th, 50th and 90th percentile."""

    rows: int
    lowest: float
    p10: float
    median: float
    p90: float
    highest: float


class Selection(TypedDict):
    """The margins before a round, small for unsure rows: of the pool and of the chosen rows."""

    round: int
    pool: Spread
    selected: Spread | None


class Named(TypedDict):
    """A label of an item, and how often it has it: more than once only with boxes."""

    label: str
    count: int


class Box(TypedDict):
    """A box in pixels."""

    label: str
    left: float
    top: float
    width: float
    height: float


class Boxes(TypedDict):
    """The first boxes of an image of `width` x `height` pixels; `left_out` are not listed."""

    width: float
    height: float
    boxes: list[Box]
    left_out: int


class Item(TypedDict):
    """One row of the gallery: `content` is its `source-ref` or text, `label` what labels.manifest says.

    The confidence of a label of several parts is their mean. `agreement` is how far the model's opinion is
    the label: 0 or 1 (one class), the common share of labels (several), F1 of the boxes, mean IoU of the
    masks; it is null when the label is the model's own. `mask_uri` is the label's PNG.
    """

    id: str
    content: str
    is_text: bool
    label: list[Named]
    labeled_by: Source
    reason: str | None
    round: int | None
    annotators: int | None
    confidence: float | None
    model_label: list[Named]
    model_confidence: float
    margin: float
    agreement: float | None
    boxes: Boxes | None
    model_boxes: Boxes | None
    mask_uri: str | None
    split: Literal["pool", "test", "validation"]


class Hardest(TypedDict):
    """The hardest rows, hardest first.

    `least_agreed` have the lowest confidence among the labels of people, `disputed` are those where the last
    model agrees least with the label that people gave, and of equals where it is surest, `least_certain` have
    the smallest margin among the labels of the model, of the one that gave them.
    """

    least_agreed: list[Item]
    disputed: list[Item]
    least_certain: list[Item]


class Report(TypedDict):
    """The whole document."""

    schema_version: int
    campaign: Campaign
    metric: Metric
    stop: Stop
    rounds: list[Round]
    learning: Learning
    cost: Cost
    labels: Labels
    model: Model
    annotators: list[Annotator]
    jobs: list[Job]
    problems: Problems
    audit: Audit | None
    auto_labels: list[AutoLabels]
    selection: list[Selection]
    hardest: Hardest
