"""What the page says of each label kind: the measure of quality, the scores of classes, how skill is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from truthloop_batch.report.words import interval, percent, points


@dataclass(frozen=True)
class Measure:
    """How good a model is, under the key that evaluation.json calls `metric`.

    Attributes
    ----------
    name, meaning
        Such as "accuracy", and what it is as the end of a sentence.
    class_score, class_meaning
        The same for the score of a single class.
    precision, recall
        What these two mean for a class, as sentences.
    interval_name
        How the 95 % interval is made.
    is_share
        Whether it is a share of the rows, said in percent. The others are means of ratios, said as decimals.
    """

    name: str
    meaning: str
    class_score: str
    class_meaning: str
    precision: str
    recall: str
    interval_name: str = "95% intervals by the bootstrap"
    is_share: bool = False

    def value(self, quality: float) -> str:
        """0.9532 -> "95.3%" or "0.953"."""
        return percent(quality) if self.is_share else f"{quality:.3f}"

    def bounds(self, ends: Sequence[float]) -> str:
        """[0.9391, 0.9702] -> "93.9–97.0%" or "0.939–0.970", which no line breaks."""
        return interval(ends) if self.is_share else f"{ends[0]:.3f}\u2060–\u2060{ends[1]:.3f}"

    def difference(self, amount: float) -> str:
        """0.0191 -> "1.9 percentage points" or "0.019"."""
        return points(amount) if self.is_share else f"{abs(amount):.3f}"

    def tick(self, value: float, step: float) -> str:
        """A label of an axis whose ticks are `step` apart."""
        if self.is_share:
            return percent(value, 0 if step > 0.0099 else 1)
        return f"{value:.{1 if step > 0.099 else 2 if step > 0.0099 else 3}f}"


_F1 = "twice the right ones by all that are given and all that there are, from 0 to 1"
MEASURES: Mapping[str, Measure] = {
    "accuracy": Measure(
        name="accuracy",
        meaning="the share of the test rows that get their right label",
        class_score="F1",
        class_meaning=_F1,
        precision="how often the label is right where the model gives it.",
        recall="the share of the rows with this label that it finds.",
        interval_name="Wilson 95% intervals",
        is_share=True,
    ),
    "macro_f1": Measure(
        name="macro-F1",
        meaning="the mean over the labels of F1, which counts labels given wrongly and labels left out, from "
        "0 to 1",
        class_score="F1",
        class_meaning=_F1,
        precision="how often the label applies where the model gives it.",
        recall="the share of the rows with this label that it finds.",
    ),
    "map_50": Measure(
        name="mAP@0.5",
        meaning="the mean over the classes of average precision, from 0 to 1, where a box is found by one "
        "that overlaps it by at least half (intersection over union)",
        class_score="AP@0.5",
        class_meaning="average precision: the area below the curve of precision over recall, from 0 to 1",
        precision="the share of the model’s boxes that find one of people’s.",
        recall="the share of people’s boxes that it finds.",
    ),
    "mean_iou": Measure(
        name="mean IoU",
        meaning="the mean over the classes of intersection over union, from 0 to 1: the pixels that people "
        "and model both give a class, by those that either of them gives it",
        class_score="IoU",
        class_meaning="intersection over union: the pixels that both give the class, by those that either "
        "does",
        precision="the share of the pixels that the model gives the class which have it.",
        recall="the share of the class’s pixels that it finds.",
    ),
}


@dataclass(frozen=True)
class SkillColumn:
    """One number of an annotator's `skill` in report.json, and how the page shows it."""

    key: str
    title: str
    is_share: bool = True


@dataclass(frozen=True)
class Words:
    """What the page calls the things of one label kind.

    Attributes
    ----------
    per_class
        The title of the table of `labels.per_class`.
    agreement
        How far one answer is the consolidated label, or the model's opinion is.
    margin
        What the margins of the selection are.
    skill, skill_meaning
        The columns of the annotators' skill, and a sentence about where they come from.
    nothing
        What stands in place of an empty label.
    """

    per_class: str
    agreement: str
    margin: str
    skill: tuple[SkillColumn, ...]
    skill_meaning: str
    nothing: str = "nothing"


_ESTIMATED = "Skill is what consolidation has learned of a worker by the last round"
WORDS: Mapping[str, Words] = {
    "class": Words(
        per_class="Rows per class",
        agreement="Agreement is the share of answers that equal the consolidated label.",
        margin="The margin is the model’s first probability minus its second: near 0 it cannot decide, near "
        "1 it is sure.",
        skill=(SkillColumn("right", "Skill"),),
        skill_meaning=f"{_ESTIMATED}: the share of right answers that Dawid and Skene’s model expects.",
    ),
    "classes": Words(
        per_class="Rows with each label",
        agreement="Agreement is the mean share of labels that answer and consolidated label have in common, "
        "among those that either has.",
        margin="The margin is the mean over the labels of |2p − 1| with their probabilities p: near 0 the "
        "model cannot decide about any, near 1 it is sure of all.",
        skill=(SkillColumn("found", "Labels found"), SkillColumn("excluded", "Wrong labels left out")),
        skill_meaning=f"{_ESTIMATED}: the share of labels that they give where they apply, and do not give "
        "where they don’t, by Dawid and Skene’s model for each label.",
        nothing="no label",
    ),
    "boxes": Words(
        per_class="Boxes per class",
        agreement="Agreement is the mean F1 of an answer’s boxes: twice those that overlap a consolidated "
        "box of their class by at least half, by the boxes of both.",
        margin="The margin is 1 / (1 + d), where d sums the doubts about an image’s detections: near 0 for "
        "many doubtful ones, 1 for an image without any.",
        skill=(
            SkillColumn("found", "Boxes found"),
            SkillColumn("invented", "Invented per image", is_share=False),
            SkillColumn("edge_error", "Error of edges"),
        ),
        skill_meaning=f"{_ESTIMATED}: the share of real boxes that they draw, the boxes of nothing per "
        "image, and how far their edges are off, in parts of the box’s side.",
        nothing="no boxes",
    ),
    "mask": Words(
        per_class="Masks with each class",
        agreement="Agreement is the mean overlap (intersection over union) of an answer’s regions with the "
        "consolidated ones.",
        margin="The margin is the mean lead of the most probable class over the second in the tenth of the "
        "image’s pixels where it is smallest: near 0 the model cannot decide there, near 1 it is sure.",
        skill=(SkillColumn("right", "Pixels right"),),
        skill_meaning=f"{_ESTIMATED}: the share of the pixels that somebody marked to which they give the "
        "right class.",
    ),
}
