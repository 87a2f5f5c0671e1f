"""Who does labelling jobs: simulated annotators, people, or both side by side."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from labeling_engine.job import Worker
from labeling_engine.simulated_annotators import InvalidAnnotators, SimulatedAnnotators, workteam_problems

# Least, most and default of what concerns work beside people.
_RANGES: dict[str, tuple[float, float, float]] = {
    "speed": (0.01, 1_000, 1),
    "patience_seconds": (0, 86_400, 60),
}
_LONGEST_NAME = 100


@dataclass(frozen=True)
class HumanAnnotator:
    """Somebody who labels through a worker portal, in the jobs of one work team.

    Without the name of one, in those of every team that nobody names.
    """

    name: str
    workteam: str | None = None

    def worker(self, region: str, issuer: str, identity_provider: str) -> Worker:
        """Return this person as a member of a private workforce; the same for the same name.

        Never the same as a simulated annotator of whatever name.
        """
        pseudonym = hashlib.sha256(json.dumps(["person", self.name]).encode()).hexdigest()[:16]
        return Worker(
            worker_id=f"private.{region}.{pseudonym}",
            sub=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{issuer}/{self.name}")),
            issuer=issuer,
            identity_provider=identity_provider,
        )


@dataclass(frozen=True)
class Team:
    """Those who do the labelling jobs.

    Attributes
    ----------
    simulated
        The simulated annotators, or None. Without people they work in virtual time.
    people
        With somebody in it, jobs run in real time.
    speed
        How many times faster than at their own pace the simulated annotators answer beside people.
    patience
        How long they leave each object's last places to people who do nothing.
    """

    simulated: SimulatedAnnotators | None
    people: tuple[HumanAnnotator, ...] = ()
    speed: float = 1.0
    patience: timedelta = timedelta(seconds=60)

    @classmethod
    def from_document(cls, document: Any) -> Team:
        """Read ``{"seed", "truth", …, "people": [{"name", "workteam"?}], "speed", "patience_seconds"}``.

        The first ones are those of `SimulatedAnnotators.from_document`, all or none of them; ``speed`` and
        ``patience_seconds`` go with people alone and may be left out.

        Raises
        ------
        InvalidAnnotators
            Lists every unknown key and every value out of range.
        """
        if not isinstance(document, dict) or "people" not in document:
            if isinstance(document, dict) and (alone := [key for key in _RANGES if key in document]):
                raise InvalidAnnotators(f"{' and '.join(alone)} without people; give both or neither")
            return cls(SimulatedAnnotators.from_document(document))
        rest = {key: value for key, value in document.items() if key not in ("people", *_RANGES)}
        problems = []
        simulated = None
        if rest:
            try:
                simulated = SimulatedAnnotators.from_document(rest)
            except InvalidAnnotators as error:
                problems.append(str(error))
        people = _people(document["people"], problems)
        annotators = rest.get("annotators")
        taken = [entry.get("name") for entry in annotators or [] if isinstance(entry, dict)]
        problems += [
            f"the name {name!r} is both a person's and a simulated annotator's"
            for name in (person.name for person in people)
            if name in taken
        ]
        for key, (least, most, default) in _RANGES.items():
            value = document.get(key, default)
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
                problems.append(f"{key} is {value!r}; give a number from {least} to {most}")
        if problems:
            raise InvalidAnnotators("; ".join(problems))
        return cls(
            simulated,
            tuple(people),
            float(document.get("speed", _RANGES["speed"][2])),
            timedelta(seconds=document.get("patience_seconds", _RANGES["patience_seconds"][2])),
        )

    def members_of(self, workteam: str) -> Team | None:
        """Return those who do a work team's jobs; None when nobody does.

        They are those whose description names the team; if there is none, those whose names no team.
        """
        simulated = () if self.simulated is None else self.simulated.annotators
        wanted = workteam if any(each.workteam == workteam for each in (*simulated, *self.people)) else None
        annotators = tuple(each for each in simulated if each.workteam == wanted)
        people = tuple(each for each in self.people if each.workteam == wanted)
        if not annotators and not people:
            return None
        members = replace(self.simulated, annotators=annotators) if self.simulated and annotators else None
        return replace(self, simulated=members, people=people)


def _people(people: Any, problems: list[str]) -> list[HumanAnnotator]:
    if not isinstance(people, list) or not people:
        problems.append(f'people is {people!r}; give a list with at least one {{"name": "…"}}')
        return []
    found: list[HumanAnnotator] = []
    for index, entry in enumerate(people):
        is_known = isinstance(entry, dict) and {"name"} <= set(entry) <= {"name", "workteam"}
        name = entry["name"] if is_known else None
        if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
            problems.append(
                f'people[{index}] is {entry!r}; give {{"name": "…"}} with 1 to {_LONGEST_NAME} characters'
            )
        elif any(name == person.name for person in found):
            problems.append(f"the name {name!r} is given more than once")
        elif wrong := workteam_problems(entry):
            problems += [f"people[{index}]: {problem}" for problem in wrong]
        else:
            found.append(HumanAnnotator(name, entry.get("workteam")))
    return found
