"""What one run of the embedded AWS is told at its start, readable by all its modules."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ACCOUNT_ID = "123456789012"
REGION = "us-east-1"
REPOSITORY_ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Settings:
    """The options of a run.

    Attributes
    ----------
    endpoint
        The URL that every client, worker and job uses, such as ``http://127.0.0.1:5432``.
    time_scale
        How many times faster than in AWS schedules fire; 0: never by themselves.
    annotators
        The file that describes who labels, or None.
    dockerfile
        The Dockerfile whose ENTRYPOINT is the program of every container image.
    scratch
        A directory of this run, removed at its end.
    """

    endpoint: str = ""
    time_scale: float = 1.0
    annotators: Path | None = None
    dockerfile: Path = REPOSITORY_ROOT / "batch_image" / "Dockerfile"
    scratch: Path = field(default_factory=lambda: Path(tempfile.gettempdir()))

    @property
    def port(self) -> int:
        """The port of the endpoint."""
        return int(self.endpoint.rsplit(":", 1)[1])


#: The settings of this process; the server fills them in before it installs anything.
current = Settings()
