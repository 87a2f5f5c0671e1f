"""``python -m local_aws``: an AWS of one process on this machine, for demos and tests."""

from __future__ import annotations

import argparse
from pathlib import Path

from local_aws import server, settings


def _scale(text: str) -> float:
    value = float(text)
    if value < 0:
        raise argparse.ArgumentTypeError(
            f"{text} is negative; 0 means that schedules never fire by themselves"
        )
    return value


def main() -> None:
    """Read the options and serve until standard input ends."""
    parser = argparse.ArgumentParser(
        prog="python -m local_aws",
        description=__doc__,
        epilog="The server ends when its standard input does: it never outlives the program that started it.",
    )
    parser.add_argument("--port", type=int, default=0, help="port of 127.0.0.1; 0 (default): any free one")
    parser.add_argument(
        "--ready-file", type=Path, help="gets the endpoint and the process id when all is ready"
    )
    parser.add_argument(
        "--annotators", type=Path, help="describes who labels: simulated annotators, people (JSON)"
    )
    parser.add_argument(
        "--time-scale",
        type=_scale,
        default=1.0,
        help="how many times faster than in AWS rate(…) schedules fire; 0: never by themselves (default: 1)",
    )
    parser.add_argument(
        "--dockerfile",
        type=Path,
        default=settings.current.dockerfile,
        help="its ENTRYPOINT is the program of every container image (default: batch_image/Dockerfile)",
    )
    arguments = parser.parse_args()
    settings.current.annotators = arguments.annotators
    settings.current.time_scale = arguments.time_scale
    settings.current.dockerfile = arguments.dockerfile.resolve()
    server.serve(arguments.port, arguments.ready_file)


if __name__ == "__main__":
    main()
