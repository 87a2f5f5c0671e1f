"""The command line: `python -m truthloop_batch <subcommand> --campaign-uri … --round …`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

_STARTED = time.monotonic()

# The matrices of one process are small, and more threads only fight over them; the array job is what scales.
# The libraries read these when they are imported, so nothing that needs numpy may be imported above.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

_SUCCESS, _INVALID = 0, 2


@dataclass(frozen=True)
class Subcommand:
    """A step of a round; its module has `run(context)` and is imported only when it is asked for."""

    module: str
    summary: str
    outputs: str


SUBCOMMANDS = {
    "train": Subcommand(
        "truthloop_batch.training",
        "Fit a model to the rows of the pool that people labelled.",
        "rounds/<n>/train.manifest and model/model.tar.gz, and with a random control\n"
        "model/strategy.tar.gz and model/control.tar.gz",
    ),
    "evaluate": Subcommand(
        "truthloop_batch.evaluation",
        "Measure the round's models on the frozen splits.",
        "rounds/<n>/evaluation.json",
    ),
    "score": Subcommand(
        "truthloop_batch.scoring",
        "Score this array child's share of the pool with the model of the round before.",
        "rounds/<n>/scores/part-<array index>.parquet",
    ),
    "select": Subcommand(
        "truthloop_batch.selection",
        "Choose the rows that people label in this round, and those that the model may label.",
        "rounds/<n>/auto.manifest where the campaign has one, selection.manifest, selection.json",
    ),
    "finalise": Subcommand(
        "truthloop_batch.finalise",
        "Write the labelled manifest and the report of the finished campaign.",
        "report/labels.manifest, report.json, index.html",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Returns
    -------
    int
        The exit code: 0, or 2 where the campaign's data are at fault. Wrong usage ends in SystemExit(2);
        what nobody foresaw passes through, and ends the process with a traceback and 1.
    """
    chosen = _parser().parse_args(arguments)
    started = _STARTED if arguments is None else time.monotonic()

    from truthloop.errors import TruthloopError
    from truthloop_batch import usage
    from truthloop_batch.context import Context
    from truthloop_batch.milestones import report

    array_index = os.environ.get("AWS_BATCH_JOB_ARRAY_INDEX")
    try:
        context = Context.open(
            chosen.campaign_uri, chosen.round, None if array_index is None else int(array_index)
        )
        importlib.import_module(SUBCOMMANDS[chosen.subcommand].module).run(context)
    except TruthloopError as error:
        report("refused", step=chosen.subcommand, error=type(error).__name__, message=str(error))
        return _INVALID
    seconds = time.monotonic() - started
    usage.record(context, chosen.subcommand, seconds, os.environ)
    report("finished", step=chosen.subcommand, round=chosen.round, seconds=round(seconds, 3))
    return _SUCCESS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m truthloop_batch",
        description="The steps of a labelling campaign that compute. All configuration comes from the "
        "campaign's campaign.json. Outputs are written once: a repeated step finds them and leaves them.",
        epilog="Exit codes: 0 done, 1 unexpected error, 2 wrong usage or the campaign's data are at fault.",
    )
    subparsers = parser.add_subparsers(dest="subcommand", required=True, metavar="SUBCOMMAND")
    for name, subcommand in SUBCOMMANDS.items():
        index = "AWS_BATCH_JOB_ARRAY_INDEX=0 " if name == "score" else ""
        subparser = subparsers.add_parser(
            name,
            help=subcommand.summary,
            description=f"{subcommand.summary}\nWrites {subcommand.outputs}.",
            # Keeps the example on one line, so that it can be copied.
            formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog=f"Example:\n  {index}python -m truthloop_batch {name} "
            "--campaign-uri s3://my-data-bucket/campaigns/digits/ --round 1",
        )
        subparser.add_argument(
            "--campaign-uri",
            required=True,
            help="the campaign's folder, s3://<data bucket>/campaigns/<campaign>/",
        )
        subparser.add_argument("--round", required=True, type=_round, help="the round's number, from 0")
    return parser


def _round(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a round; allowed: an integer from 0")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
