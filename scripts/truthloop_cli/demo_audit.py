"""What a demo says of its audit: what was found of the planted mistakes, beside the truth; who did what."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from truthloop import task_types
from truthloop.campaign import load_campaign
from truthloop.errors import TruthloopError
from truthloop.layout import CampaignLayout
from truthloop.s3 import S3Gateway
from truthloop_cli.demo_data import DemoData
from truthloop_cli.demo_data.mistakes import SHARE, Labels

if TYPE_CHECKING:
    from local_aws.process import LocalAws

_COMMAND_SECONDS = 120


class CommandFailed(TruthloopError):
    """A command that the demo shows ended with an error."""


@dataclass(frozen=True)
class Audited:
    """A finished campaign of the demo whose labels were audited.

    Attributes
    ----------
    outputs
        Of the Terraform stack.
    mistakes
        What all annotators took some objects for, by source.
    output
        The demo's folder, with the campaign's report.
    """

    aws: LocalAws
    outputs: Mapping[str, Any]
    data: DemoData
    mistakes: Mapping[str, Any]
    layout: CampaignLayout
    s3: S3Gateway
    output: Path
    console: Console

    def summarise(self) -> None:
        """Print what the auditors found, and write the workers' report."""
        audit = json.loads((self.output / "report" / "report.json").read_text())["audit"]
        task = load_campaign(self.s3, self.layout).request.task_type
        labels = Labels(self.data, task_types.get(task).LABEL_KIND, self.s3.read_bytes)
        first = labels.wrong(self._first_rows())
        manifest = (self.output / "report" / "labels.manifest").read_text()
        rows = [json.loads(line) for line in manifest.splitlines()]
        last = labels.wrong(row for row in rows if labels.source(row) in first)
        planted = self.mistakes.keys() & first.keys()
        made = sorted(source for source in planted if first[source])
        corrected = [source for source in made if not last.get(source, True)]
        self.console.print(
            f"\n[bold]6.[/] The audit: {audit['audited']} labels looked at, {audit['decisions']['reject']} "
            f"rejected and {audit['decisions']['fix']} corrected by auditors; {audit['relabeled']} labelled "
            f"again by the annotators with the auditor's comment, {audit['expert']} by an expert"
        )
        self.console.print(
            f"   {len(planted)} of the {len(first)} objects that people labelled are planted mistakes "
            f"({SHARE:.0%} of all objects are): {len(made)} were made, {len(corrected)} of them are right in "
            "the end"
        )
        for name, told, truth in (("first", audit["initial"], first), ("final", audit["final"], last)):
            if told is not None:
                low, high = told["interval"]
                self.console.print(
                    f"   wrong among the {name} labels: estimated {told['rate']:.1%} "
                    f"[{low:.1%} to {high:.1%}] from {told['sampled']} verdicts; in truth "
                    f"{mean(truth.values()):.1%} of {len(truth)}",
                    markup=False,
                )
        self._command("workers", "report", "--output", str(self.output / "workers"))
        self.console.print(f"\n   annotators and auditors   {self.output / 'workers' / 'index.html'}")
        if corrected:
            self.console.print("\n[bold]7.[/] The life of one of them, as `truthloop trace` tells it:\n")
            self.console.print(Text.from_ansi(self._command("trace", corrected[0])), soft_wrap=True)

    def _first_rows(self) -> Iterator[dict[str, Any]]:
        """The rows as the rounds' own jobs labelled them, before any audit."""
        for number in count():
            merge = self.s3.find_json(self.layout.merge(number))
            if merge is None:
                return
            if merge["job"] is not None:
                for _, line in self.s3.lines(self.layout.labeling_output_manifest(merge["job"])):
                    yield json.loads(line)

    def _command(self, *arguments: str) -> str:
        """What a command of `truthloop` prints about the campaign."""
        prefix = self.outputs["answers_table_name"].removesuffix("-answers")
        done = subprocess.run(
            [sys.executable, "-m", "truthloop_cli.main", *arguments, "--campaign", self.layout.campaign],
            env={
                **os.environ,
                **self.aws.environment(),
                "TRUTHLOOP_PREFIX": prefix,
                "COLUMNS": str(self.console.width),
            },
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        if done.returncode:
            raise CommandFailed(f"truthloop {' '.join(arguments)} failed: {done.stderr.strip()}")
        return done.stdout
