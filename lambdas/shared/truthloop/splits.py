"""The frozen test and validation splits, drawn per stratum by a seeded hash of the rows' ids."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from truthloop.manifest import Row, encode_row, is_labeled


@dataclass(frozen=True)
class Splits:
    """The ids that are held out: never selected, never trained on, never labelled by a model.

    Attributes
    ----------
    seed
        Of the draw.
    test, validation
        Row ids, sorted; no id is in both.
    stratified_by
        "label" when rows had labels, else the key of the rows that was used, None without strata.
    """

    seed: int
    test: tuple[str, ...]
    validation: tuple[str, ...]
    stratified_by: str | None

    @cached_property
    def held_out(self) -> frozenset[str]:
        """Both splits together; the pool is every other row."""
        return frozenset(self.test) | frozenset(self.validation)

    def to_document(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "test": list(self.test),
            "validation": list(self.validation),
            "stratified_by": self.stratified_by,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Splits:
        return cls(
            seed=document["seed"],
            test=tuple(document["test"]),
            validation=tuple(document["validation"]),
            stratified_by=document["stratified_by"],
        )


@dataclass(frozen=True)
class Candidate:
    """A row as the draw sees it: its id, and the stratum that it is drawn from with the stratum's origin."""

    id: str
    stratum: str
    stratified_by: str | None


def candidate(identifier: str, row: Row, attribute: str, stratify_by: str | None) -> Candidate:
    """The stratum of a row: its label when it has one, else its value of `stratify_by`, else one for all.

    Boxes and masks are no strata: hardly any two are the same.
    """
    if is_labeled(row, attribute) and _repeats(row[attribute]):
        return Candidate(identifier, encode_row({"label": row[attribute]}), "label")
    if stratify_by is not None and stratify_by in row:
        return Candidate(identifier, encode_row({"key": row[stratify_by]}), stratify_by)
    return Candidate(identifier, "", None)


def _repeats(label: Any) -> bool:
    """Whether other rows may well have the same label: a class's index, also as a text, or a list of them."""
    return isinstance(label, int | list) or (isinstance(label, str) and label.isdigit())


def random_order(seed: int, identifier: str) -> str:
    """The sort key that puts rows in the seeded random order of a campaign, whatever their order was."""
    return hashlib.sha256(f"{seed}:{identifier}".encode()).hexdigest()


def draw(
    candidates: Iterable[Candidate], test_fraction: float, validation_fraction: float, seed: int
) -> Splits:
    """Draw both splits; the result depends on the set of rows and the seed, not on the rows' order.

    Each split has its fraction of all rows, rounded half up. The places are shared out among the strata in
    proportion by the method of largest remainders, so a stratum is within one row of its own fraction
    unless that leaves it no row.
    """
    strata: dict[str, list[str]] = defaultdict(list)
    origins = set()
    for member in candidates:
        strata[member.stratum].append(member.id)
        origins.add(member.stratified_by)
    sizes = {name: len(members) for name, members in strata.items()}
    in_test = _share_out(sizes, sizes, test_fraction, f"{seed}:test")
    left = {name: size - in_test[name] for name, size in sizes.items()}
    in_validation = _share_out(sizes, left, validation_fraction, f"{seed}:validation")
    test: list[str] = []
    validation: list[str] = []
    for name, members in strata.items():
        # Another order than `random_order`, so that the seed set is not next in line after the splits.
        ordered = sorted(members, key=lambda identifier: _digest(f"{seed}:split:{identifier}"))
        test += ordered[: in_test[name]]
        validation += ordered[in_test[name] : in_test[name] + in_validation[name]]
    named = sorted(origins - {None, "label"}, key=str)
    stratified_by = "label" if "label" in origins else (named[0] if named else None)
    return Splits(seed, tuple(sorted(test)), tuple(sorted(validation)), stratified_by)


def _share_out(
    sizes: Mapping[str, int], capacity: Mapping[str, int], fraction: float, salt: str
) -> dict[str, int]:
    """Places per stratum: in proportion to `sizes`, at most `capacity`, in all the fraction of the sum."""
    # The shortest decimal is what the user wrote: 0.29 of 50 is 14.5, although 0.29 * 50 is less.
    exact = Fraction(repr(fraction))
    total = min(int(sum(sizes.values()) * exact + Fraction(1, 2)), sum(capacity.values()))
    quotas = {name: size * exact for name, size in sizes.items()}
    places = {name: min(int(quota), capacity[name]) for name, quota in quotas.items()}
    # Equal remainders are decided by a hash, not by name, which would favour the same strata every time.
    by_remainder = sorted(
        sizes, key=lambda name: (int(quotas[name]) - quotas[name], _digest(f"{salt}:{name}"))
    )
    while (missing := total - sum(places.values())) > 0:
        open_strata = [name for name in by_remainder if places[name] < capacity[name]]
        for name in open_strata[:missing]:
            places[name] += 1
    return places


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
