"""The errors that Truthloop raises on purpose: they name the thing, the value, what is allowed, what to do.

The state machine sees a failed function's class name as `Error` and its text as `Cause`, so the class names
here are part of the contract with `terraform/state_machines`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class TruthloopError(Exception):
    """Base of every error that Truthloop raises on purpose."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a campaign request or with what it points to.

    Attributes
    ----------
    path
        Where: the key in the request (`splits.test_fraction`), or the object it names.
    value
        What was found there, as text for a reader.
    allowed
        What may stand there.
    remedy
        What to do next, one sentence.
    """

    path: str
    value: str
    allowed: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path} is {self.value}; allowed: {self.allowed}. {self.remedy}"


# Step Functions cuts a cause at 32,768 characters, and it has to hold the text as JSON beside a stack trace.
_TEXT_CHARACTERS_MAXIMUM = 20_000


class InvalidRequest(TruthloopError):
    """A campaign request cannot be run; carries every problem that was found, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        noun = "problem" if len(self.problems) == 1 else "problems"
        text = f"The campaign request has {len(self.problems)} {noun}; nothing was created."
        for number, problem in enumerate(self.problems, start=1):
            line = f"\n{number}. {problem}"
            if len(text) + len(line) > _TEXT_CHARACTERS_MAXIMUM:
                text += f"\nAnd {len(self.problems) - number + 1} more."
                break
            text += line
        super().__init__(text)


class MissingEnvironment(TruthloopError):
    """Environment variables that a function needs are missing or empty."""


class InvalidUri(TruthloopError):
    """A text is not an `s3://bucket/key` URI."""


class ObjectNotFound(TruthloopError):
    """An S3 object or its bucket does not exist."""


class AccessRefused(TruthloopError):
    """AWS refuses the call to the role that makes it."""


class ObjectExists(TruthloopError):
    """An S3 object that is written once is there already, with another content."""


class ObjectChanged(TruthloopError):
    """An S3 object was changed by somebody else between our read and our conditional write."""


class InvalidText(TruthloopError):
    """A line of an S3 object is not UTF-8, or too long to be a line of text."""


class InvalidManifest(TruthloopError):
    """A manifest row breaks the rules of an augmented manifest."""


class DuplicateObject(TruthloopError):
    """Two rows of a manifest are the same object."""


class UnknownRow(TruthloopError):
    """A row update names an id that the manifest does not have."""


class CampaignExists(TruthloopError):
    """A campaign of this name exists with another request."""


class CampaignFinished(TruthloopError):
    """The campaign has already succeeded; there is nothing to resume."""


class MissingPrice(TruthloopError):
    """A cost cannot be computed because the price list lacks a price."""
