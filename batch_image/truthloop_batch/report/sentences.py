"""The page's headline figures and paragraphs: what the numbers say in plain words, whichever way it went."""

from __future__ import annotations

from truthloop.audit import REASONS as AUDIT_REASONS
from truthloop_batch.report.document import Audit, ErrorRate, Report
from truthloop_batch.report.learning import certainty
from truthloop_batch.report.measures import MEASURES, WORDS, Measure
from truthloop_batch.report.words import count, counted, dollars, interval, percent

REASONS = {
    "seed": "drawn at random for the first round",
    "margin": "chosen because the model could hardly decide",
    "random": "drawn at random",
    "random-control": "drawn at random, as the control",
    "test": "held out to measure the model",
    "validation": "held out to tune the model",
    "input": "labelled before the campaign",
    "auto": "labelled by a round’s model that was sure enough, or corrected since by an audit",
    "model": "labelled by the last model",
    "not-selected": "unlabelled: nobody was asked",
    "no-answer": "unlabelled: people were asked and gave no label",
    "held-out": "unlabelled: held out, so only people may label it",
    "taken-back": "unlabelled: an audit took the label back",
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
    found = [
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
    if report["audit"] is not None and (audited := _audit_tile(report["audit"])):
        found.insert(3, audited)
    return found


def _audit_tile(audit: Audit) -> dict[str, str] | None:
    """The error rate that counts; None when no random sample was judged."""
    before, after = audit["initial"], audit["final"]
    if after is not None:
        note = f"after the audit, 95% interval {interval(after['interval'])}"
        note += f"; people’s were {percent(before['rate'])} before" if before is not None else ""
        return {"name": "Wrong labels", "value": percent(after["rate"]), "note": note}
    if before is not None:
        note = f"of people’s before the audit, 95% interval {interval(before['interval'])}"
        return {"name": "Wrong labels", "value": percent(before["rate"]), "note": note}
    return None


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
        "gold": _gold(report),
        "auto": _auto(report),
        **_audit(report),
    }


def audit_reason(code: str) -> str:
    """A reason of auditors in words."""
    return AUDIT_REASONS[code][0] if code in AUDIT_REASONS else code


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
    audit = f", {dollars(cost['audit_usd'])} for audits" if cost["audit_usd"] else ""
    said = (
        f"{dollars(cost['total_usd'])} in all: {dollars(cost['labeling_usd'])} for labelling{audit} and "
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
        said += f" {_checked(report)}"
    return said


def _checked(report: Report) -> str:
    """Who has looked at the model's labels."""
    worth = "how often they should be right" if measure_of(report).is_share else "how good they should be"
    audited = report["audit"]["auto"] if report["audit"] is not None else None
    if audited is None:
        return f"Nobody has checked the model’s labels: the test set tells {worth}."
    rest = report["labels"]["reasons"].get("model", 0)
    said = f"Auditors checked {counted(audited['sampled'], 'label')} that it gave in the rounds."
    return f"{said} Nobody has checked those of the last model: the test set tells {worth}." if rest else said


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


def _gold(report: Report) -> str:
    """What the workers' scores on known objects are; empty when nobody had one."""
    answers = sum(entry["gold"]["answers"] for entry in report["annotators"] if entry["gold"] is not None)
    if not answers:
        return ""
    return (
        f"The score on gold is the mean agreement with known labels over {counted(answers, 'answer')} to "
        "objects that were mixed into the jobs; nobody’s own answer is part of those labels. Its interval is "
        "Wilson’s."
    )


def _auto(report: Report) -> str:
    """What the model might label in the rounds; empty when it might nothing."""
    rounds = report["auto_labels"]
    if not rounds:
        return ""
    said = (
        f"The model labelled {counted(sum(each['rows'] for each in rounds), 'row')} by itself in the rounds"
    )
    abstained = sum(each["threshold"] is None for each in rounds)
    if abstained:
        said += f"; in {count(abstained)} of {counted(len(rounds), 'round')} it abstained"
    return (
        f"{said}. It labels a row when it is at least as sure of it as of validation rows on which its "
        "precision keeps the promise, with a lower bound at 95% (Clopper and Pearson)."
    )


def _audit(report: Report) -> dict[str, str]:
    """The paragraphs of the audit; none without one."""
    audit = report["audit"]
    if audit is None:
        return {}
    return {
        "audit": _audited(audit),
        "audit_rates": _audit_rates(audit),
        "audit_auto": _audit_auto(audit),
        "audit_method": (
            "A label is wrong when the first verdict on it was a rejection or a correction. Rates rest on "
            "labels that were drawn at random, not on those that were looked at because they seemed "
            "doubtful. A round’s interval is exact for its number of labels (hypergeometric); that of all "
            "rounds weights the rounds by their labels (Korn and Graubard)."
        ),
    }


def _audited(audit: Audit) -> str:
    found, labels = audit["decisions"], audit["rows"] + audit["auto_rows"]
    said = (
        f"Auditors looked at {count(audit['audited'])} of {counted(labels, 'label')}: they accepted "
        f"{count(found['accept'])}, fixed {count(found['fix'])} and rejected {count(found['reject'])}."
    )
    again = []
    if audit["relabeled"]:
        again.append(f"{count(audit['relabeled'])} got a new label from the labelling team")
    if audit["expert"]:
        again.append(f"{count(audit['expert'])} got one from an expert")
    if again:
        said += f" Of the rejected ones {' and '.join(again)}."
    if audit["unresolved"]:
        said += f" {counted(audit['unresolved'], 'row')} got no new label and lost the old one."
    if audit["unaudited"]:
        said += f" No verdict came back on {counted(audit['unaudited'], 'label')}."
    return said


def _audit_rates(audit: Audit) -> str:
    before, after = audit["initial"], audit["final"]
    said = []
    if before is not None:
        said.append(f"As people gave them, {_rate(before)}.")
    if after is not None:
        said.append(f"After the audit, {_rate(after)}.")
    elif before is not None:
        said.append("No sample was drawn after the audit, so what is left is not known.")
    return " ".join(said) or "No label that was drawn at random was judged, so the error rate is not known."


def _rate(rate: ErrorRate) -> str:
    return (
        f"{percent(rate['rate'])} of the labels were wrong (95% interval {interval(rate['interval'])}, from "
        f"{count(rate['sampled'])} of {count(rate['rows'])})"
    )


def _audit_auto(audit: Audit) -> str:
    """What became of the model's labels; empty when none was judged."""
    rate = audit["auto"]
    if rate is None:
        return ""
    low, high = rate["interval"]
    said = (
        f"{percent(1 - rate['rate'])} of the model’s labels were right (95% interval "
        f"{interval([1 - high, 1 - low])}, from {count(rate['sampled'])} of {count(rate['rows'])})."
    )
    autos = [(each["round"], each["auto"]) for each in audit["rounds"]]
    broken = [str(number) for number, auto in autos if auto is not None and auto["revoked"]]
    if not broken:
        return f"{said} No round’s labels were revoked."
    rounds = f"round {broken[0]}" if len(broken) == 1 else f"rounds {', '.join(broken)}"
    revoked = f"{counted(audit['revoked'], 'label')} {'was' if audit['revoked'] == 1 else 'were'} taken back"
    return f"{said} In {rounds} they broke the promise: {revoked}."


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
