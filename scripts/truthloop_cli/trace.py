"""`truthloop trace`: the life of one object, as a story in the terminal or as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from truthloop.audit import REASONS
from truthloop_cli.trace_stack import Bucket, Prefix, TracedStack, explained, printable

if TYPE_CHECKING:
    from truthloop_cli.trace_story import Event, Story

EPILOG = (
    "Examples: `truthloop trace 0f3a…c1 --prefix truthloop-dev --campaign digits`, "
    "`truthloop trace s3://images/0007.png --campaign digits`, "
    "`truthloop trace s3://images/0007.png --campaign digits --json | jq .events`"
)


def trace(
    object_: Annotated[str, typer.Argument(metavar="OBJECT", help="Its id, its source URI, or its text.")],
    prefix: Prefix,
    campaign: Annotated[str, typer.Option(help="The campaign that the object belongs to.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
    bucket: Bucket = "",
) -> None:
    """Tell the life of one object: who did what with it, when and why, from arrival to final label."""
    from truthloop_cli.trace_story import tell

    with explained():
        story = tell(TracedStack.find(prefix, bucket), campaign, object_)
    if as_json:
        print(json.dumps(story.to_document(), ensure_ascii=False, indent=2))
    else:
        show(Console(highlight=False), story)


def show(console: Console, story: Story) -> None:
    """Print a story."""
    console.print(Text(printable(story.source), style="bold"), soft_wrap=True)
    console.print(Text(f"campaign {story.campaign} · id {story.id}\n", style="dim"), soft_wrap=True)
    table = Table.grid(padding=(0, 2), collapse_padding=True)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True, justify="right")
    table.add_column(overflow="fold")
    shown_round: int | None = None
    for each in story.events:
        if each.round is not None and each.round != shown_round and each.event != "final":
            shown_round = each.round
            table.add_row("", Text(f"round {each.round}", style="bold dim"), "")
        title, style = _TITLES.get(each.event, (each.event, ""))
        at = "" if each.at is None else each.at[:19].replace("T", " ")
        table.add_row(at, Text(title, style=style), sentence(each))
    console.print(table)


def sentence(event: Event) -> Text:
    """What happened, in words."""
    return Text(printable(_SENTENCES.get(event.event, _other)(event, event.details)))


_TITLES = {
    "arrived": ("arrived", "cyan"),
    "selected": ("selected", "blue"),
    "answered": ("answered", ""),
    "judged": ("looked at", ""),
    "labeled": ("labelled", "green"),
    "auto-labeled": ("auto-labelled", "yellow"),
    "audited": ("audited", "magenta"),
    "relabeled": ("relabelled", "green"),
    "expert-labeled": ("expert's label", "green"),
    "revoked": ("revoked", "red"),
    "taken-back": ("taken back", "red"),
    "final": ("now", "bold"),
}
_DECISIONS = {"accept": "accepted", "reject": "rejected", "fix": "corrected"}
_SPLITS = {
    "pool": "in the pool",
    "test": "held out for the test split",
    "validation": "held out for the validation split",
}
_SUGGESTIONS = {"accepted": "left the suggestion as it was", "changed": "changed the suggestion"}
_STATUSES = {
    "accepted": "accepted by an audit",
    "fixed": "corrected by an auditor",
    "relabeled": "given anew after a rejection",
    "expert": "given by an expert",
    "unresolved": "taken back, because nobody could give a right one",
    "revoked": "revoked",
    "unaudited": "not audited after all",
}
_LABELERS = {"people": "people", "model": "the model", "input": "the input"}


def _arrived(event: Event, known: Mapping[str, Any]) -> str:
    label = f", with the label “{known['label']}”" if "label" in known else ""
    return f"in {known['manifest']}{label}; {_SPLITS[known['split']]}"


def _selected(event: Event, known: Mapping[str, Any]) -> str:
    parts = [f"to be labelled by people: {known.get('reason') or 'no reason is kept'}"]
    if known.get("score") is not None:
        parts.append(f"score {known['score']:.3g}")
    if known.get("model"):
        parts.append(f"by {known['model']}")
    return ", ".join(parts)


def _answered(event: Event, known: Mapping[str, Any]) -> str:
    parts = [f"by {' and '.join(event.by)}"]
    if "seconds" in known:
        parts.append(f"in {known['seconds']:.1f} s")
    if "agreement" in known:
        parts.append(f"agreement with the label {known['agreement']:.0%}")
    if "gold" in known:
        parts.append(f"score against the known answer {known['gold']:.0%}")
    if "suggestion" in known:
        parts.append(_SUGGESTIONS[known["suggestion"]])
    return ", ".join(parts)


def _labelled(event: Event, known: Mapping[str, Any]) -> str:
    parts = [_label(known)]
    if event.by:
        people = len(set(event.by))
        parts.append(
            f"from the answer{'' if people == 1 else 's'} of {people} {'person' if people == 1 else 'people'}"
        )
    return ", ".join(parts)


def _auto_labelled(event: Event, known: Mapping[str, Any]) -> str:
    model = f" {known['model']}" if known.get("model") else ""
    return f"{_label(known)}, by the model{model}"


def _audited(event: Event, known: Mapping[str, Any]) -> str:
    said = _DECISIONS.get(str(known.get("decision")), str(known.get("decision")))
    if event.by:
        said += f" by {' and '.join(event.by)}"
    reason = known.get("reason")
    if reason:
        said += f": {REASONS[reason][0].lower() if reason in REASONS else reason}"
    if known.get("label"):
        said += f", now “{known['label']}”"
    if known.get("comment"):
        said += f" – “{known['comment']}”"
    return said + (f" (audited: {known['why']})" if known.get("why") else "")


def _withdrawn(event: Event, known: Mapping[str, Any]) -> str:
    reason = known.get("reason")
    return "the label is gone, the object is back in the pool" + (f": {reason}" if reason else "")


def _final(event: Event, known: Mapping[str, Any]) -> str:
    if known.get("label") is None:
        said = "without a label"
    else:
        said = f"{_label(known)}, from {_LABELERS.get(str(known.get('labeled_by')), 'nobody known')}"
    if known.get("audit"):
        said += f"; {_STATUSES.get(known['audit'], known['audit'])}"
    return said + ("; in labels.manifest" if known.get("in_labels_manifest") else "")


def _label(known: Mapping[str, Any]) -> str:
    label = known.get("label")
    said = "a label" if label is None else f"“{label}”"
    confidence = known.get("confidence")
    return said if confidence is None else f"{said}, confidence {confidence:.2f}"


def _other(event: Event, known: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in known.items() if value is not None)


_SENTENCES: dict[str, Callable[[Event, Mapping[str, Any]], str]] = {
    "arrived": _arrived,
    "selected": _selected,
    "answered": _answered,
    "judged": _answered,
    "labeled": _labelled,
    "relabeled": _labelled,
    "expert-labeled": _labelled,
    "auto-labeled": _auto_labelled,
    "audited": _audited,
    "revoked": _withdrawn,
    "taken-back": _withdrawn,
    "final": _final,
}
