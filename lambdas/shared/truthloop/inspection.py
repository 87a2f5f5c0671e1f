"""A request's manifest as preflight sees it: the faults of its lines by kind, and what its rows add up to."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Set
from dataclasses import dataclass

from truthloop import labels
from truthloop.errors import InvalidManifest, Problem, TruthloopError
from truthloop.manifest import (
    LINE_CHARACTERS_MAXIMUM,
    LINE_CHARACTERS_RESERVED,
    METADATA_SUFFIX,
    SOURCE,
    SOURCE_REF,
    VALUE_CHARACTERS_MAXIMUM,
    VERSION_ID,
    Row,
    decode_row,
    encode_row,
    is_labeled,
    metadata_key,
    stable_id,
)
from truthloop.request import S3_OBJECT
from truthloop.s3 import parse_uri
from truthloop.splits import Candidate, candidate

EXAMPLES_MAXIMUM = 20
SAMPLE_SIZE = 5
_SHOWN_CHARACTERS = 60

# What a worker's browser can show: https://docs.aws.amazon.com/sagemaker/latest/dg/input-data-limits.html
_IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Kind:
    """A kind of fault that lines can have: what the lines are, what is allowed, what to do."""

    lines_that: str
    allowed: str
    remedy: str


_LINE_LIMIT = LINE_CHARACTERS_MAXIMUM - LINE_CHARACTERS_RESERVED

NOT_UTF8 = Kind("are not UTF-8", "UTF-8", "Save the manifest as UTF-8.")
NOT_A_ROW = Kind(
    "are not a JSON object",
    'one JSON object per line, such as {"source-ref": "s3://bucket/image.png"}',
    "Write the rows with a JSON library, not by joining strings.",
)
TOO_LONG = Kind(
    "are too long",
    f"{_LINE_LIMIT} characters ({LINE_CHARACTERS_MAXIMUM} less {LINE_CHARACTERS_RESERVED} for the labels)",
    "Shorten the rows; move what workers need not see to another file.",
)
VALUE_TOO_LONG = Kind(
    "have a value that is too long",
    f"{VALUE_CHARACTERS_MAXIMUM} characters per value",
    f"Shorten the value, or put the text into an S3 object and name it under {SOURCE_REF}.",
)
BAD_KEY = Kind("have a key that begins with $", "keys that begin with another character", "Rename the keys.")
BAD_SOURCE = Kind(
    "don't name one object",
    f"exactly one of {SOURCE} and {SOURCE_REF}, as a text that is not empty",
    "Give every row the one of them that the task type shows.",
)
BAD_REFERENCE = Kind(
    f"have a {SOURCE_REF} that is not an S3 URI", "s3://bucket/key", "Write the object's bucket and key."
)
BAD_FORMAT = Kind(
    "refer to an object of another format",
    f"file names ending in {', '.join(_IMAGE_EXTENSIONS)}",
    "Convert the objects, and name them so.",
)
BAD_VERSION = Kind(
    f"have a {VERSION_ID} that is not a version", "a text, beside source-ref", "Correct or remove it."
)
NOT_SHOWABLE = Kind(
    "cannot be shown to a worker",
    "what the task type shows",
    "Choose the task type that fits the rows, or the rows that fit the task type.",
)
DUPLICATE = Kind(
    "repeat the object of an earlier line",
    "each object once",
    "Remove the repetitions; an object has one label.",
)
IN_CAMPAIGN = Kind(
    "show an object of manifest_uri as well",
    "objects that the campaign doesn't label",
    "Remove them from one of the two manifests.",
)
# By how a label of the task type looks.
BAD_LABEL = {
    kind: Kind(
        "have something else than a label under the label attribute",
        f"{labels.ALLOWED[kind]}; where the metadata has names, those of the label categories",
        "Write it so, remove the label, or choose another label_attribute.",
    )
    for kind in labels.KINDS
}
NO_LABEL = Kind(
    "have no label",
    "rows with a label under label_attribute",
    "Add the label that is known to be right, or remove the lines.",
)
BAD_METADATA = Kind(
    f"have something else than metadata under the label attribute with {METADATA_SUFFIX}",
    "a JSON object, and only beside a label",
    "Remove it, or choose another label_attribute.",
)


@dataclass(frozen=True)
class Reference:
    """An S3 object that a row shows."""

    uri: str
    version_id: str | None


class Inspection:
    """Takes in a manifest line by line; its faults and counts hold for what it has seen so far.

    What the request leaves unknown, because it is wrong there, is None; what depends on it isn't checked.

    Parameters
    ----------
    attribute, label_categories, stratify_by
        Of the request.
    label_kind
        How a label looks, one of `labels.KINDS`.
    show
        Makes what a worker sees of a row; raises `TruthloopError` when it cannot.
    path
        The key of the request that names the manifest.
    labeled_only
        Whether a row without a label is a fault.
    elsewhere
        Ids of objects that must not occur.

    Attributes
    ----------
    path
        As it was given.
    rows
        Lines that are JSON objects.
    candidates
        The different objects, for drawing the splits.
    labeled
        Ids of the objects with a label.
    buckets
        Buckets that the objects lie in.
    """

    def __init__(
        self,
        attribute: str | None,
        label_categories: tuple[str, ...] | None = None,
        stratify_by: str | None = None,
        label_kind: str | None = None,
        show: Callable[[Row], object] | None = None,
        path: str = "manifest_uri",
        labeled_only: bool = False,
        elsewhere: Set[str] = frozenset(),
    ) -> None:
        self.path = path
        self._attribute = attribute
        self._label_categories = label_categories
        self._stratify_by = stratify_by
        self._label_kind = label_kind
        self._show = show
        self._labeled_only = labeled_only
        self._elsewhere = elsewhere
        self.rows = 0
        self.candidates: list[Candidate] = []
        self.labeled: set[str] = set()
        self.buckets: set[str] = set()
        self._faults: dict[Kind, _Faults] = {}
        self._line_of: dict[str, int] = {}
        self._sample: list[tuple[int, Reference]] = []

    def feed(self, number: int, line: bytes) -> None:
        """Take in one line, without its line end; a blank one is no row."""
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            self._fault(NOT_UTF8, number, f"byte {error.start + 1} is 0x{line[error.start]:02x}")
            return
        if not text.strip():
            return
        if len(text) > _LINE_LIMIT:
            self._fault(TOO_LONG, number, f"{len(text)} characters")
        try:
            row = decode_row(text)
        except InvalidManifest as error:
            self._fault(NOT_A_ROW, number, str(error))
            return
        self.rows += 1
        self._check_values(number, row)
        self._check_label(number, row)
        if self._check_source(number, row):
            self._take(number, row)

    def problems(self) -> list[Problem]:
        """One problem for each kind of fault, with its first lines."""
        return [
            Problem(
                self.path,
                f"a manifest with lines that {kind.lines_that}, {faults}",
                kind.allowed,
                kind.remedy,
            )
            for kind, faults in self._faults.items()
        ]

    @property
    def objects(self) -> Set[str]:
        """The ids of the different objects."""
        return self._line_of.keys()

    def sample(self) -> list[Reference]:
        """Up to `SAMPLE_SIZE` objects from all over the manifest, the same ones every time."""
        return [reference for _, reference in sorted(self._sample, key=lambda item: item[0])]

    def _check_values(self, number: int, row: Row) -> None:
        for key, value in row.items():
            if key.startswith("$"):
                self._fault(BAD_KEY, number, key)
            length = len(value if isinstance(value, str) else encode_row({"": value})) if value else 0
            if length > VALUE_CHARACTERS_MAXIMUM:
                self._fault(VALUE_TOO_LONG, number, f"{key}, {length} characters")

    def _check_source(self, number: int, row: Row) -> bool:
        sources = [key for key in (SOURCE, SOURCE_REF) if key in row]
        if len(sources) != 1 or not isinstance(row[sources[0]], str) or not row[sources[0]].strip():
            self._fault(BAD_SOURCE, number, " and ".join(sources) or "neither")
            return False
        if VERSION_ID in row and (sources != [SOURCE_REF] or not isinstance(row[VERSION_ID], str)):
            self._fault(BAD_VERSION, number, repr(row[VERSION_ID]))
            return False
        if sources == [SOURCE_REF] and S3_OBJECT.refusal(row[SOURCE_REF]) is not None:
            self._fault(BAD_REFERENCE, number, row[SOURCE_REF])
            return False
        if sources == [SOURCE_REF] and not row[SOURCE_REF].lower().endswith(_IMAGE_EXTENSIONS):
            self._fault(BAD_FORMAT, number, row[SOURCE_REF])
        if self._show is not None:
            try:
                self._show(row)
            except TruthloopError as error:
                self._fault(NOT_SHOWABLE, number, str(error))
        return True

    def _check_label(self, number: int, row: Row) -> None:
        if self._attribute is None:
            return
        metadata = row.get(metadata_key(self._attribute), {})
        if not isinstance(metadata, dict):
            self._fault(BAD_METADATA, number, repr(metadata))
            return
        if not is_labeled(row, self._attribute):
            if self._labeled_only:
                self._fault(NO_LABEL, number, self._attribute)
            return
        if self._label_categories is None or self._label_kind is None:
            return
        refusal = labels.refusal(self._label_kind, row, self._attribute, self._label_categories)
        if refusal is not None:
            self._fault(BAD_LABEL[self._label_kind], number, refusal)

    def _take(self, number: int, row: Row) -> None:
        identifier = stable_id(row)
        first = self._line_of.setdefault(identifier, number)
        if first != number:
            self._fault(DUPLICATE, number, f"as line {first}")
            return
        if identifier in self._elsewhere:
            self._fault(IN_CAMPAIGN, number, row.get(SOURCE_REF) or row[SOURCE])
        if self._attribute is not None:
            self.candidates.append(candidate(identifier, row, self._attribute, self._stratify_by))
            if is_labeled(row, self._attribute):
                self.labeled.add(identifier)
        if SOURCE_REF in row:
            self.buckets.add(parse_uri(row[SOURCE_REF]).bucket)
            # The smallest ids are a sample from all over the manifest, because ids are hashes.
            entry = (-int(identifier, 16), Reference(row[SOURCE_REF], row.get(VERSION_ID)))
            if len(self._sample) < SAMPLE_SIZE:
                heapq.heappush(self._sample, entry)
            else:
                heapq.heappushpop(self._sample, entry)

    def _fault(self, kind: Kind, number: int, detail: str) -> None:
        self._faults.setdefault(kind, _Faults()).add(number, detail)


class _Faults:
    """The lines with one kind of fault: all are counted, the first are kept."""

    def __init__(self) -> None:
        self._count = 0
        self._examples: list[str] = []

    def add(self, number: int, detail: str) -> None:
        self._count += 1
        if len(self._examples) < EXAMPLES_MAXIMUM:
            shown = detail if len(detail) <= _SHOWN_CHARACTERS else detail[: _SHOWN_CHARACTERS - 1] + "…"
            self._examples.append(f"line {number} ({shown})")

    def __str__(self) -> str:
        more = self._count - len(self._examples)
        tail = [f"and {more} more"] if more else []
        return f"{self._count} in all: " + ", ".join([*self._examples, *tail])
