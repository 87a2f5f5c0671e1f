"""The page's headline figures and paragraphs: what the numbers say in plain words, whichever way it went."""

from __future__ import annotations

from truthloop_batch.report.document import Report
from truthloop_batch.report.learning import certainty
from truthloop_batch.report.measures import MEASURES, WORDS, Measure
from truthloop_batch.report.words import count, counted, dollars, percent

REASONS = {
    "seed": "drawn at random for the first round",
    "margin": "chosen because the model could hardly decide",
    "random": "drawn at random",
    "random-control": "drawn at random, as the control",
    "test": "held out to measure the model",
    "validation": "held out to tune the model",
    "input": "labelled before the campaign",
    "model": "labelled by the last model",
    "not-selected": "unlabelled: nobody was asked",
    "no-answer": "unlabelled: people were asked and gave no label",
    "held-out": "unlabelled: held out, so only people may label it",
    "unreadable": "unlabelled: the model cannot read the object",
}
RULES_IN_WORDS = {
    "max_rounds": "the limit of rounds",
    "budget_usd": "the budget",
    "target_quality": "reaching the target quality",
    "plateau_rounds": "a plateau of the quality",
    "deadline": "the deadline",
    "nothing_left": "having nothing left to label",
}


def measure_of(report: Report) -> Measure:
    """What the report's `quality` measures."""
    return MEASURES[report["metric"]["key"]]


def tiles(report: Report) -> list[dict[str, str]]:
    """The headline figures: name, value, note."""
    labels, model, measure = report["labels"], report["model"], measure_of(report)
    answers = sum(entry["answers"] for entry in report["rounds"])
    rule = report["stop"]["rule"]
    return [
        {
            "name": f"Test {measure.name}",
            "value": measure.value(model["quality"]),
            "note": f"95% interval {measure.bounds(model['interval'])}, "
            f"{counted(report['learning']['test_rows'], 'frozen test row')}",
        },
        {
            "name": "Labelled by people",
            "value": count(labels["people"]),
            "note": f"{percent(labels['people'] / max(1, report['campaign']['rows']))} of the rows, "
            f"{counted(answers, 'answer')}",
        },
        {
            "name": "Labelled by the model",
            "value": count(labels["model"]),
            "note": _expected(report)
            if labels["model"]
            else "every label was given by people or came with the input",
        },
        {"name": "Cost", "value": dollars(report["cost"]["total_usd"]), "note": _cost_note(report)},
        {
            "name": "Rounds",
            "value": count(len(report["rounds"])),
            "note": f"ended by {RULES_IN_WORDS.get(rule, rule) if rule else 'no stop rule'}",
        },
    ]


def paragraphs(report: Report) -> dict[str, str]:
    """What stands under the page's headings, by section."""
    return {
        "learning": _learning(report),
        "certainty": certainty(
            measure_of(report), report["learning"]["comparison"], report["learning"]["test_rows"]
        ),
        "cost": _cost(report),
        "round_0": _round_0(report),
        "everything": _everything(report),
        "labels": _labels(report),
        "sources": ", ".join(f"{name} {count(rows)}" for _, name, rows in sources(report)),
        "model": _model(report),
        "validation": _validation(report),
        "people": _people(report),
        "compared": _compared(report),
        "malformed": _malformed(report),
        "selection": _selection(report),
    }


def sources(report: Report) -> list[tuple[str, str, int]]:
    """(kind, name, rows) of those who labelled; the input and nobody only where they have rows."""
    labels = report["labels"]
    found = [("people", "people", labels["people"]), ("model", "model", labels["model"])]
    if labels["input"]:
        found.append(("input", "came with the input", labels["input"]))
    if labels["nobody"]:
        found.append(("nobody", "nobody", labels["nobody"]))
    return found


def _expected(report: Report) -> str:
    """What the model's labels are worth, as far as the test set tells."""
    measure, quality = measure_of(report), report["model"]["quality"]
    if measure.is_share:
        wrong = round(report["labels"]["model"] * (1 - quality))
        return f"about {counted(wrong, 'mistake')} among them, if they are as hard as the test set"
    return f"with a {measure.name} of about {measure.value(quality)}, if they are as hard as the test set"


def _cost_note(report: Report) -> str:
    cost = report["cost"]
    everything = cost["all_by_people_usd"]
    if everything and cost["total_usd"] < everything:
        return f"{percent(1 - cost['total_usd'] / everything, 0)} less than labelling everything by people"
    if cost["per_person_label_usd"] is not None:
        return f"{dollars(cost['per_person_label_usd'])} for each label by people"
    return "nothing was labelled by people"


def _learning(report: Report) -> str:
    measure = measure_of(report)
    said = (
        f"The {measure.name} is {measure.meaning}. It is measured on test rows that were set aside before "
        "the first round and that no model labels"
    )
    if report["learning"]["comparison"] is None:
        return f"{said}, after each round of labels."
    return (
        f"{said}. Both arms begin with the same seed set and get the same number of labels; one lets the "
        "model choose them, the other draws them at random."
    )


def _cost(report: Report) -> str:
    cost = report["cost"]
    said = (
        f"{dollars(cost['total_usd'])} in all: {dollars(cost['labeling_usd'])} for labelling and "
        f"{dollars(cost['compute_usd'])} for compute."
    )
    if cost["per_person_label_usd"] is not None and cost["per_label_usd"] is not None:
        said += (
            f" A label by people cost {dollars(cost['per_person_label_usd'])}, a label of any kind "
            f"{dollars(cost['per_label_usd'])}."
        )
    if cost["budget_usd"]:
        used = percent(cost["total_usd"] / cost["budget_usd"], 0)
        said += f" That is {used} of the budget of {dollars(cost['budget_usd'])}."
    return said


def _round_0(report: Report) -> str:
    reasons = report["labels"]["reasons"]
    held_out = reasons.get("test", 0) + reasons.get("validation", 0)
    if not held_out:
        return ""
    return f"Round 0 includes the {counted(held_out, 'test and validation row')} that people labelled."


def _everything(report: Report) -> str:
    labels = report["labels"]
    unlabelled = report["campaign"]["rows"] - labels["input"]
    return (
        f"What people would cost for all {counted(unlabelled, 'row')} that came without a label, with "
        "the same number of workers for each, beside what the campaign cost with "
        f"{counted(labels['people'], 'row')} labelled by people."
    )


def _labels(report: Report) -> str:
    labels = report["labels"]
    said = f"People labelled {counted(labels['people'], 'row')}, the model {count(labels['model'])}"
    if labels["input"]:
        said += f", and {count(labels['input'])} came with a label"
    said += "."
    if labels["nobody"]:
        said += f" {counted(labels['nobody'], 'row')} stayed without a label."
    if labels["model"]:
        worth = "how often they should be right" if measure_of(report).is_share else "how good they should be"
        said += f" Nobody has checked the model’s labels: the test set tells {worth}."
    return said


def _model(report: Report) -> str:
    model, measure = report["model"], measure_of(report)
    said = f"The model of round {model['round']}, trained on {counted(model['labels'], 'label')}, "
    if measure.is_share:
        said += f"gives {measure.value(model['quality'])} of the test rows their right label"
    else:
        said += f"has a {measure.name} of {measure.value(model['quality'])} on the test rows"
    if model["macro_f1"] is not None and report["metric"]["key"] != "macro_f1":
        said += f" (macro F1 {model['macro_f1']:.3f})"
    said += "."
    if model["most_confused"]:
        pair = model["most_confused"][0]
        often = {1: "once", 2: "twice"}.get(pair["rows"], f"{count(pair['rows'])} times")
        said += f" Its most frequent mistake is to take “{pair['label']}” for “{pair['predicted']}”, {often}."
    if model["most_confused"] is None:
        said += _best_and_worst(report)
    return said


def _best_and_worst(report: Report) -> str:
    scored = [
        (each["score"], each["label"]) for each in report["model"]["per_class"] if each["score"] is not None
    ]
    if len(scored) < 2:
        return ""
    (best, easy), (worst, hard) = max(scored, key=_score), min(scored, key=_score)
    name = measure_of(report).class_score
    return f" Its best class is “{easy}” with {name} {best:.3f}, its worst “{hard}” with {worst:.3f}."


def _score(scored: tuple[float, str]) -> float:
    return scored[0]


def _validation(report: Report) -> str:
    model, measure = report["model"], measure_of(report)
    if model["validation_quality"] is None:
        return ""
    said = (
        f"On the {counted(model['validation_rows'], 'validation row')} its {measure.name} is "
        f"{measure.value(model['validation_quality'])}"
    )
    if model["validation_log_loss"] is not None:
        said += f", with a log loss of {model['validation_log_loss']:.3f}"
    return f"{said}."


def _people(report: Report) -> str:
    annotators, jobs = report["annotators"], report["jobs"]
    if not jobs:
        return "No labelling job was needed: nothing was asked of people."
    objects, failed = sum(job["objects"] for job in jobs), sum(job["failed"] for job in jobs)
    said = f"{counted(len(jobs), 'labelling job')} with {counted(objects, 'object')}; "
    said += f"{count(failed)} of them failed." if failed else "none of them failed."
    if not annotators:
        return f"{said} The workers’ single answers are not there, so nothing is said about them."
    rates = [entry["agreement"] for entry in annotators if entry["agreement"] is not None]
    if len(rates) > 1:
        said += (
            f" {counted(len(rates), 'annotator')} agreed with the consolidated label by "
            f"{percent(min(rates))} to {percent(max(rates))}."
        )
    return said


def _compared(report: Report) -> str:
    words = WORDS[report["campaign"]["kind"]]
    return (
        "Workers go by the pseudonym that the labelling service gives them. "
        f"{words.agreement} An annotator’s own answer is part of that label, so agreement flatters everybody "
        f"a little; compare annotators with each other. {words.skill_meaning}"
    )


def _malformed(report: Report) -> str:
    """What the jobs left out, as far as it is known; empty when that is nothing."""
    unreadable = sum(entry["malformed"] for entry in report["annotators"])
    left_out = sum(job["malformed"] for job in report["jobs"])
    if not unreadable and not left_out:
        return ""
    said = f"{counted(unreadable, 'answer')} could not be read"
    if left_out > unreadable:
        said += f", and {counted(left_out - unreadable, 'answer')} did not fit those of others"
    return f"{said}. The labels are made of the rest."


def _selection(report: Report) -> str:
    said = "How sure the model was of the pool before each round, and of the rows that were chosen from it."
    chosen = [(entry, entry["selected"]) for entry in report["selection"] if entry["selected"] is not None]
    if len(chosen) > 1:
        (first, first_chosen), (last, last_chosen) = chosen[0], chosen[-1]
        said += (
            f" From round {first['round']} to {last['round']} the pool’s median margin went from "
            f"{first['pool']['median']:.2f} to {last['pool']['median']:.2f}, that of the chosen rows from "
            f"{first_chosen['median']:.2f} to {last_chosen['median']:.2f}."
        )
    return said
