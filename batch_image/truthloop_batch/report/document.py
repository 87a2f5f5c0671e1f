"""The shape of report.json: stable keys that other programs may read, and everything that the page shows.

Shares, accuracies and confidences lie between 0 and 1, money is in US dollars, durations are in seconds,
times are ISO 8601 in UTC. A value that the campaign does not have is null; keys are never left out.
`schema_version` rises when a key changes its meaning or goes away, not when one is added.
"""

from __future__ import annotations

from typing import Literal, TypedDict

SCHEMA_VERSION = 1

Source = Literal["people", "model", "input"]


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

    `interval` is the Wilson interval of the accuracy at 95 %.
    """

    round: int
    labels: int
    accuracy: float
    interval: list[float]
    macro_f1: float


class Arms(TypedDict):
    """The learning curves; `strategy` and `control` are empty without a random control."""

    model: list[Point]
    strategy: list[Point]
    control: list[Point]


class Reached(TypedDict):
    """The labels with which an arm got to an accuracy: as measured, and on the line between two rounds."""

    first_round: int
    first_labels: int
    interpolated_labels: float


class Comparison(TypedDict):
    """The strategy against the random control, at the accuracy with which the control ended.

    `saved_share` is 1 - strategy / control of the interpolated labels, null when the strategy never got it.
    `accuracy_difference` is strategy - control at `same_labels`, where the shorter curve ends, on the
    straight lines between the rounds. `intervals_overlap` compares the intervals of both last rounds.
    """

    target_accuracy: float
    strategy: Reached | None
    control: Reached
    saved_share: float | None
    same_labels: int
    accuracy_difference: float
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
    """Rows that carry one label, by who gave it."""

    label: str
    people: int
    model: int
    input: int


class Labels(TypedDict):
    """All rows by who labelled them and, in `reasons`, by `truthloop.reason`."""

    people: int
    model: int
    input: int
    nobody: int
    per_class: list[ClassCount]
    reasons: dict[str, int]


class ClassQuality(TypedDict):
    """Precision and recall of one class on the test split; `rows` have this true label.

    The precision of a class that the model never gives is null, and the recall of one that no row has.
    """

    label: str
    precision: float | None
    recall: float | None
    rows: int


class Confusion(TypedDict):
    """A pair of classes that the model mixes up: `rows` of `label` were taken for `predicted`."""

    label: str
    predicted: str
    rows: int


class Model(TypedDict):
    """The last model. `confusion[i][j]` are test rows of class i that it takes for class j."""

    round: int
    uri: str
    labels: int
    accuracy: float
    interval: list[float]
    macro_f1: float
    validation_rows: int
    validation_accuracy: float | None
    validation_log_loss: float | None
    confusion: list[list[int]]
    per_class: list[ClassQuality]
    most_confused: list[Confusion]


class Annotator(TypedDict):
    """One worker, by the pseudonymous id that Ground Truth gives.

    `compared` answers are of objects that have a consolidated label; `agreement` is the share of them that
    equal it, null when there are none. `seconds_median` is null when no answer says how long it took.
    """

    worker: str
    answers: int
    seconds_median: float | None
    compared: int
    agreement: float | None
    agreement_interval: list[float] | None


class Job(TypedDict):
    """One labelling job; `status` is how it ended, null when its round went on with another attempt."""

    name: str
    round: int
    attempt: int
    status: str | None
    objects: int
    labeled: int
    failed: int
    answers: int


class Spread(TypedDict):
    """How a set of scores is spread: its size, lowest and highest, 10th, 50th and 90th percentile."""

    rows: int
    lowest: float
    p10: float
    median: float
    p90: float
    highest: float


class Selection(TypedDict):
    """The margins (first minus second probability) before a round: of the pool and of the chosen rows."""

    round: int
    pool: Spread
    selected: Spread | None


class Item(TypedDict):
    """One row of the gallery: `content` is its `source-ref` or text, `label` what labels.manifest says."""

    id: str
    content: str
    is_text: bool
    label: str
    labeled_by: Source
    reason: str | None
    round: int | None
    annotators: int | None
    confidence: float | None
    model_label: str
    model_confidence: float
    margin: float
    split: Literal["pool", "test", "validation"]


class Hardest(TypedDict):
    """The hardest rows, hardest first.

    `least_agreed` have the lowest confidence among the labels of people, `disputed` are those where the
    last model is surest of another label than people gave, `least_certain` have the smallest margin among
    the labels of the model.
    """

    least_agreed: list[Item]
    disputed: list[Item]
    least_certain: list[Item]


class Report(TypedDict):
    """The whole document."""

    schema_version: int
    campaign: Campaign
    stop: Stop
    rounds: list[Round]
    learning: Learning
    cost: Cost
    labels: Labels
    model: Model
    annotators: list[Annotator]
    jobs: list[Job]
    selection: list[Selection]
    hardest: Hardest
