"""The page's headline figures and paragraphs: what the numbers say in plain words, whichever way it went."""

from __future__ import annotations

from truthloop_batch.report.document import Report
from truthloop_batch.report.learning import certainty
from truthloop_batch.report.words import count, counted, dollars, interval, percent

REASONS = {
    "seed": "drawn at random for the first round",
    "margin": "chosen because the model could hardly decide",
    "random": "drawn at random",
    "random-control": "drawn at random, as the control",
    "test": "held out to measure accuracy",
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
    "target_accuracy": "reaching the target accuracy",
    "plateau_rounds": "a plateau of the accuracy",
    "deadline": "the deadline",
    "nothing_left": "having nothing left to label",
}


def tiles(report: Report) -> list[dict[str, str]]:
    """The headline figures: name, value, note."""
    labels, model = report["labels"], report["model"]
    answers = sum(entry["answers"] for entry in report["rounds"])
    rule = report["stop"]["rule"]
    return [
        {
            "name": "Test accuracy",
            "value": percent(model["accuracy"]),
            "note": f"95% interval {interval(model['interval'])}, "
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
            "note": _mistakes_expected(report)
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
        "certainty": certainty(report["learning"]["comparison"], report["learning"]["test_rows"]),
        "cost": _cost(report),
        "round_0": _round_0(report),
        "everything": _everything(report),
        "labels": _labels(report),
        "sources": ", ".join(f"{name} {count(rows)}" for _, name, rows in sources(report)),
        "model": _model(report),
        "people": _people(report),
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


def _mistakes_expected(report: Report) -> str:
    wrong = round(report["labels"]["model"] * (1 - report["model"]["accuracy"]))
    return f"about {counted(wrong, 'mistake')} among them, if they are as hard as the test set"


def _cost_note(report: Report) -> str:
    cost = report["cost"]
    everything = cost["all_by_people_usd"]
    if everything and cost["total_usd"] < everything:
        return f"{percent(1 - cost['total_usd'] / everything, 0)} less than labelling everything by people"
    if cost["per_person_label_usd"] is not None:
        return f"{dollars(cost['per_person_label_usd'])} for each label by people"
    return "nothing was labelled by people"


def _learning(report: Report) -> str:
    said = "Accuracy on test rows that were set aside before the first round and that no model labels"
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
        said += " Nobody has checked the model’s labels: the test set tells how often they should be right."
    return said


def _model(report: Report) -> str:
    model = report["model"]
    said = (
        f"The model of round {model['round']}, trained on {counted(model['labels'], 'label')}, gives "
        f"{percent(model['accuracy'])} of the test rows their right label (macro F1 {model['macro_f1']:.3f})."
    )
    if model["most_confused"]:
        pair = model["most_confused"][0]
        often = {1: "once", 2: "twice"}.get(pair["rows"], f"{count(pair['rows'])} times")
        said += f" Its most frequent mistake is to take “{pair['label']}” for “{pair['predicted']}”, {often}."
    return said


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
            f" {counted(len(annotators), 'annotator')} agreed with the consolidated label in "
            f"{percent(min(rates))} to {percent(max(rates))} of their answers."
        )
    return said


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
