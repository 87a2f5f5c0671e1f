"""`truthloop workers`: who did how much and how well, and what is kept about people."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from truthloop.errors import TruthloopError
from truthloop.s3 import parse_uri
from truthloop.trace.answers import NO_CAMPAIGN
from truthloop_cli.trace_stack import Bucket, Prefix, TracedStack, client, closest, explained

if TYPE_CHECKING:
    from truthloop.trace.people import Identity
    from truthloop_cli.workers_figures import Price

app = typer.Typer(
    help="Workers under pseudonyms: reports, and deleting who they are.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


class NothingRecorded(TruthloopError):
    """The answers table has no records of what was asked for."""


class NotConfirmed(TruthloopError):
    """Something that cannot be undone was neither confirmed with --yes nor in a terminal."""


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask.")]


@app.command(
    epilog="Examples: `truthloop workers report --prefix truthloop-dev --campaign digits`, "
    "`truthloop workers report --campaign digits --by-round --output build/workers`, "
    "`truthloop workers report --campaign digits --names`, "
    "`truthloop workers report --campaign - --job my-own-job --json`"
)
def report(
    prefix: Prefix,
    campaign: Annotated[str, typer.Option(help="The campaign; - for jobs that belong to none.")],
    job: Annotated[str, typer.Option(help="Only this labelling job.")] = "",
    by_round: Annotated[bool, typer.Option("--by-round", help="A row for each worker and round.")] = False,
    names: Annotated[
        bool, typer.Option("--names", help="Look up in the Cognito user pool what people are called.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="Folder for a page with plots, and CSV and Parquet files.")
    ] = None,
    as_json: AsJson = False,
    bucket: Bucket = "",
) -> None:
    """Show each worker's pace, quality and cost; people are pseudonyms unless --names is given."""
    from truthloop_cli import workers_names, workers_page, workers_report
    from truthloop_cli.workers_figures import report as sum_up

    console = _console()
    with explained():
        stack = TracedStack.find(prefix, bucket)
        price = _price(stack, campaign)
        records = stack.answers.of_campaign(campaign)
        jobs = {each.job for each in [*records.answers, *records.activities]}
        if not jobs or (job and job not in jobs):
            raise _nothing(campaign, job, jobs)
        found = sum_up(campaign, records.answers, records.activities, price, job or None, by_round)
        people = [each.worker for each in found.workers]
        known = workers_names.find_names(people, stack.people, lambda: client("cognito-idp")) if names else {}
    if as_json:
        print(json.dumps(workers_report.document(found, known), ensure_ascii=False, indent=2))
    else:
        workers_report.show(console, found, known)
    if output is not None:
        chosen = [each for each in records.answers if job in ("", each.job)]
        # The page's curves need all rounds of a worker together.
        whole = sum_up(campaign, records.answers, records.activities, price, job or None)
        files = workers_report.export(found, chosen, known, output)
        page = output / "index.html"
        page.write_text(workers_page.page(found, known, whole), "utf-8")
        notes = Console(stderr=as_json, highlight=False, soft_wrap=True)
        notes.print(f"Wrote {', '.join(str(each) for each in [page, *files])}.", markup=False)
        if names:
            notes.print("These files say who people are: keep them accordingly.", style="yellow")


@app.command(
    epilog="Examples: `truthloop workers forget w-0123456789ab --prefix truthloop-dev`, "
    "`truthloop workers forget w-0123456789ab --yes`"
)
def forget(
    pseudonym: Annotated[str, typer.Argument(help="Whom, such as w-0123456789ab.")],
    prefix: Prefix,
    yes: Yes = False,
    bucket: Bucket = "",
) -> None:
    """Delete who a pseudonym is, for ever; the answers stay, under the pseudonym, and so do all totals."""
    from truthloop_cli.workers_forget import find_identities

    console = _console()
    with explained():
        stack = TracedStack.find(prefix, bucket)
        identities = find_identities(stack, pseudonym)
        if not identities:
            console.print(f"{pseudonym} was forgotten already; there is nothing left to do.", markup=False)
            return
        _forget(stack, identities, yes, console)


@app.command(
    epilog="Examples: `truthloop workers retain --days 365 --prefix truthloop-dev`, "
    "`truthloop workers retain --days 90 --yes`"
)
def retain(
    days: Annotated[int, typer.Option(min=0, help="Keep who people are so long after their last answer.")],
    prefix: Prefix,
    yes: Yes = False,
    bucket: Bucket = "",
) -> None:
    """Forget everybody whose last answer is older; meant to be run on a schedule."""
    from truthloop_cli.workers_forget import find_expired

    console = _console()
    with explained():
        stack = TracedStack.find(prefix, bucket)
        identities = find_expired(stack, days, datetime.now(UTC))
        if not identities:
            console.print(f"Everybody who is known has answered within {days} days; nothing to do.")
            return
        _forget(stack, identities, yes, console)


@app.command(
    epilog="Examples: `truthloop workers load --prefix truthloop-dev --campaign digits`, "
    "`truthloop workers load --job-prefix s3://my-bucket/labelling/my-own-job/`"
)
def load(
    prefix: Prefix,
    campaign: Annotated[str, typer.Option(help="All jobs and audits of this campaign.")] = "",
    job_prefix: Annotated[
        list[str] | None, typer.Option(help="A folder below which jobs wrote their files; repeatable.")
    ] = None,
    bucket: Bucket = "",
) -> None:
    """Read the files of answers into the table again: what lost events left out, or older jobs."""
    from truthloop_cli.workers_load import Loaded, prefixes
    from truthloop_cli.workers_load import load as load_files

    console = _console()
    if bool(campaign) == bool(job_prefix):
        raise typer.BadParameter("give either --campaign or --job-prefix.", param_hint="--campaign")
    for each in job_prefix or []:
        parse_uri(each)
    with explained():
        stack = TracedStack.find(prefix, bucket)
        if campaign:
            stack.campaign(campaign)
        where = job_prefix or prefixes(stack.layout(campaign))
        with _progress(console) as tell:

            def show(loaded: Loaded) -> None:
                tell(
                    f"{loaded.files:,} files, {sum(loaded.records.values()):,} records, "
                    f"{loaded.answers_per_second:,.0f} answers/s"
                )

            loaded = load_files(stack, where, show)
    if not loaded.files:
        raise NothingRecorded(
            f"There are no files of answers below {', '.join(where)}; allowed: a folder that holds jobs, or "
            "one job's folder. Check the bucket and the prefix."
        )
    counts = ", ".join(f"{number:,} {kind}" for kind, number in loaded.records.items())
    console.print(
        f"Read {loaded.files:,} files in {loaded.seconds:,.1f} s: {counts}; "
        f"{loaded.answers_per_second:,.0f} answers/s.",
        markup=False,
    )
    if loaded.rejected:
        console.print(f"{loaded.rejected:,} could not be read:", style="yellow")
        for reason in loaded.reasons:
            console.print(f"  {reason}", markup=False)
        if loaded.rejected > len(loaded.reasons):
            console.print(f"  and {loaded.rejected - len(loaded.reasons):,} more")


def _forget(stack: TracedStack, identities: list[Identity], yes: bool, console: Console) -> None:
    from truthloop_cli.workers_forget import OUT_OF_REACH, Deeds, check_idle
    from truthloop_cli.workers_forget import forget as forget_people

    check_idle(stack, identities)
    people = ", ".join(sorted(each.worker for each in identities))
    console.print(f"This deletes who {people} is, in {stack.prefix} and {stack.data_bucket}.", markup=False)
    if not yes:
        if not sys.stdin.isatty():
            raise NotConfirmed(
                "It cannot be undone, so it needs a yes: give --yes where nobody can be asked."
            )
        typer.confirm("It cannot be undone. Go on?", abort=True)
    with _progress(console) as tell:

        def show(deeds: Deeds) -> None:
            tell(
                f"{deeds.files_read:,} files read, {len(deeds.rewritten):,} rewritten, "
                f"{deeds.versions_deleted:,} older versions deleted"
            )

        deeds = forget_people(stack, identities, show)
    console.print("Done:", style="bold")
    for kind, number in deeds.kinds().items():
        console.print(f"  {number:,} {kind} have the pseudonym now", markup=False)
    console.print(f"  {deeds.versions_deleted:,} versions of files that named the person deleted")
    console.print(f"  {deeds.items_deleted:,} items of {stack.prefix}-workers deleted", markup=False)
    console.print("Not within this command's reach:", style="bold")
    for each in OUT_OF_REACH:
        console.print(f"  {each}", markup=False)


def _price(stack: TracedStack, campaign: str) -> Price:
    """What an answer costs in the campaign; nothing is known of jobs that belong to none."""
    from truthloop_cli.workers_figures import Price

    if campaign == NO_CAMPAIGN:
        return Price(0.0, 0.0)
    known = stack.campaign(campaign)
    label = known.prices.answer_usd
    verdict = known.request.audit.price_per_answer_usd
    return Price(label, label if verdict is None else verdict)


def _nothing(campaign: str, job: str, jobs: set[str]) -> NothingRecorded:
    if not jobs:
        return NothingRecorded(
            f"There are no answers of the campaign {campaign} yet. If people have answered, "
            f"`truthloop workers load --campaign {campaign}` reads their files."
        )
    near = ", ".join(closest(job, jobs) or sorted(jobs)[:5])
    return NothingRecorded(
        f"The campaign {campaign} has no answers of a job {job!r}; allowed: {near}. Give --job one of them, "
        "or leave it out."
    )


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[str], None]]:
    """A line that says how far something is, in a terminal alone."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("starting")
        yield lambda text: progress.update(task, description=text)
