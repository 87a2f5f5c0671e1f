"""The shape of report.json: stable keys that other programs may read, and everything that the page shows.

Shares, qualities and confidences lie between 0 and 1, money is in US dollars, durations are in seconds,
times are ISO 8601 in UTC. A value that the campaign does not have is null; keys are never left out.
`schema_version` rises when a key changes its meaning or goes away, not when one is added. Version 2 came with
the label kinds: what was called accuracy is `quality`, and `metric` says what it measures.
"""

from __future__ import annotations

from typing import Literal, TypedDict

SCHEMA_VERSION = 2

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
    """One round's purchase; `people` are the objects that people labelled in it, `answers` their answers."""

    round: int
    people: int
    cumulative_people: int
    answers: int
    labeling_usd: float
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
    classes.
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


class Job(TypedDict):
    """One labelling job; `status` is how it ended, null when its round went on with another attempt.

    `malformed` answers were left out, because they could not be read or did not fit the others.
    """

    name: str
    round: int
    attempt: int
    status: str | None
    objects: int
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
    the smallest margin among the labels of the model.
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
    selection: list[Selection]
    hardest: Hardest
