"""The campaign request: every key declared once, for parsing, for the messages and for the schema table."""

# The calls in the dataclasses' defaults only declare fields, like dataclasses.field.
# ruff: noqa: RUF009

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any, cast, get_type_hints

from truthloop import palette, prices
from truthloop.errors import InvalidRequest, Problem
from truthloop.layout import CAMPAIGN_NAME
from truthloop.manifest import METADATA_SUFFIX, RESERVED_KEYS

_SHOWN_CHARACTERS = 80
_HELD_OUT_MAXIMUM = 0.9

# A label that is an S3 URI has to stand under a name that says so, and no other one may:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateLabelingJob.html
_REFERENCE_SUFFIX = "-ref"

# Amazon Mechanical Turk: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_HumanTaskConfig.html
_PUBLIC_CROWD = ":workteam/public-crowd/"
_PUBLIC_AVAILABILITY_MAXIMUM = 43_200


class Rule(ABC):
    """What a key's value may be: `refusal` says why a value is not allowed, `read` makes it ours."""

    @property
    @abstractmethod
    def allowed(self) -> str:
        """What is allowed, as the end of a sentence."""

    @abstractmethod
    def refusal(self, value: Any) -> str | None:
        """What to do about a value that is not allowed, None for one that is."""

    def read(self, value: Any) -> Any:
        """The value of the dataclass field for a JSON value that is allowed."""
        return value

    def write(self, value: Any) -> Any:
        """The JSON value of a field; `read` of it gives the field again."""
        return value


@dataclass(frozen=True)
class Text(Rule):
    """A text of bounded length, optionally of one form."""

    maximum: int
    minimum: int = 1
    pattern: re.Pattern[str] | None = None
    form: str = ""

    @property
    def allowed(self) -> str:
        length = f"a text of {self.minimum} to {self.maximum} characters"
        return f"{length}, {self.form}" if self.form else length

    def refusal(self, value: Any) -> str | None:
        if not isinstance(value, str):
            return "Write it as a JSON string, in double quotes."
        if len(value) > self.maximum:
            return f"It has {len(value)} characters: shorten it."
        if len(value) < self.minimum:
            return "Fill it in."
        if self.pattern is not None and self.pattern.fullmatch(value) is None:
            return "Change it to that form."
        if not _is_encodable(value):
            return "It holds half of a surrogate pair: write whole characters."
        return None


@dataclass(frozen=True)
class Choice(Rule):
    """One of some texts or numbers; `options` is asked when it is needed."""

    options: Callable[[], Sequence[str | int]]

    @property
    def allowed(self) -> str:
        return ", ".join(json.dumps(option) for option in self.options())

    def refusal(self, value: Any) -> str | None:
        options = self.options()
        if value in options and not isinstance(value, bool):
            return None
        return "Choose one of them." + _suggestion(value, [str(option) for option in options])


@dataclass(frozen=True)
class Integer(Rule):
    """An integer within bounds, both included."""

    minimum: int
    maximum: int

    @property
    def allowed(self) -> str:
        return f"an integer from {self.minimum} to {self.maximum}"

    def refusal(self, value: Any) -> str | None:
        if isinstance(value, str) and re.fullmatch(r"-?\d+", value):
            return "Write the number without quotes."
        if isinstance(value, bool) or not isinstance(value, int):
            return "Write an integer."
        if value < self.minimum:
            return "Raise it."
        return "Lower it." if value > self.maximum else None


@dataclass(frozen=True)
class Number(Rule):
    """A number within bounds; the lower one is excluded when `above` is set."""

    minimum: float
    maximum: float
    above: bool = False

    @property
    def allowed(self) -> str:
        lower = "above" if self.above else "from"
        return f"a number {lower} {self.minimum:g} to {self.maximum:g}"

    def refusal(self, value: Any) -> str | None:
        if isinstance(value, str):
            return "Write the number without quotes."
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "Write a number."
        if value < self.minimum or (self.above and value == self.minimum):
            return "Raise it."
        return None if value <= self.maximum else "Lower it."

    def read(self, value: Any) -> float:
        return float(value)


class Boolean(Rule):
    """true or false."""

    @property
    def allowed(self) -> str:
        return "true, false"

    def refusal(self, value: Any) -> str | None:
        return None if isinstance(value, bool) else "Write true or false, without quotes."


@dataclass(frozen=True)
class Texts(Rule):
    """A list of different texts."""

    item: Text
    minimum: int
    maximum: int

    @property
    def allowed(self) -> str:
        return f"a list of {self.minimum} to {self.maximum} different items, each {self.item.allowed}"

    def refusal(self, value: Any) -> str | None:
        if not isinstance(value, list):
            return "Write a JSON list of strings."
        for position, item in enumerate(value):
            if (advice := self.item.refusal(item)) is not None:
                return f"Item {position + 1}, {_shown(item)}, is not allowed. {advice}"
        repeated = sorted({item for item in value if value.count(item) > 1})
        if repeated:
            return f"Name {', '.join(_shown(item) for item in repeated)} only once."
        if len(value) < self.minimum:
            return f"It has {len(value)}: add some."
        return f"It has {len(value)}: remove some." if len(value) > self.maximum else None

    def read(self, value: Any) -> tuple[str, ...]:
        return tuple(value)

    def write(self, value: Any) -> list[str]:
        return list(value)


class Moment(Rule):
    """A point in time, with its offset from UTC."""

    @property
    def allowed(self) -> str:
        return "an ISO 8601 time with its offset, such as 2030-01-31T18:00:00+09:00"

    def refusal(self, value: Any) -> str | None:
        try:
            moment = datetime.fromisoformat(value)
        except (TypeError, ValueError):
            return "Write date and time in that form."
        return None if moment.tzinfo else "Add the offset from UTC, or Z for UTC itself."

    def read(self, value: Any) -> datetime:
        return datetime.fromisoformat(value)

    def write(self, value: Any) -> str:
        return cast("datetime", value).isoformat()


class Settings(Rule):
    """A JSON object whose keys belong to somebody else, such as a model's hyperparameters."""

    @property
    def allowed(self) -> str:
        return "a JSON object"

    def refusal(self, value: Any) -> str | None:
        if not isinstance(value, dict):
            return "Write a JSON object, in braces."
        if not _is_encodable(json.dumps(value, ensure_ascii=False)):
            return "It holds half of a surrogate pair: write whole characters."
        return None


class PriceOverrides(Rule):
    """Prices in USD by the names of the price list."""

    @property
    def allowed(self) -> str:
        return f"a JSON object of numbers from 0, in USD, under {', '.join(prices.NAMES)}"

    def refusal(self, value: Any) -> str | None:
        if not isinstance(value, dict):
            return "Write a JSON object, in braces."
        for name, price in value.items():
            if name not in prices.NAMES:
                return f"There is no price {_shown(name)}." + _suggestion(name, prices.NAMES)
            if isinstance(price, bool) or not isinstance(price, int | float) or not 0 <= price < float("inf"):
                return f"{name} is {_shown(price)}: write a number from 0."
        return None

    def read(self, value: Any) -> dict[str, float]:
        return {name: float(price) for name, price in value.items()}


def _registered_task_types() -> tuple[str, ...]:
    # Imported late: the task types' modules import this package's other modules.
    from truthloop import task_types

    return tuple(task_types.names())


def _label_kind(task_type: str) -> str:
    from truthloop import task_types

    return task_types.get(task_type).LABEL_KIND


def _is_labeled_by_reference(task_type: str) -> bool:
    from truthloop import labels

    return labels.is_by_reference(_label_kind(task_type))


_REQUIRED: Any = dataclasses.MISSING


def _key(rule: Rule, meaning: str, default: Any = _REQUIRED) -> Any:
    """Declare a key; one whose default is None may be null."""
    metadata = {"rule": rule, "meaning": meaning}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def _section(section: type[Any], meaning: str) -> Any:
    return dataclasses.field(default_factory=section, metadata={"meaning": meaning})


S3_OBJECT = Text(
    1024,
    pattern=re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.*[^/]"),
    form="of the form s3://bucket/key",
)
_KEYWORD = Text(
    30,
    pattern=re.compile(r"[A-Za-z0-9]+( [A-Za-z0-9]+)*"),
    form="of ASCII letters, digits and single blanks",
)
_WORKTEAM = Text(
    256,
    pattern=re.compile(r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:\d{12}:workteam/.+"),
    form="an ARN such as arn:aws:sagemaker:eu-west-1:123456789012:workteam/private-crowd/annotators",
)
_LABEL_ATTRIBUTE = Text(
    127,
    pattern=re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,126}"),
    form="of ASCII letters, digits and inner hyphens, no underscore",
)


# The bounds of the labelling section are CreateLabelingJob's, which botocore does not check:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_HumanTaskConfig.html
@dataclass(frozen=True)
class Labeling:
    """How people label."""

    backend: str = _key(
        Choice(lambda: ("ground-truth",)), "The service that shows the tasks.", "ground-truth"
    )
    workteam_arn: str | None = _key(_WORKTEAM, "The work team; null for the stack's own.", None)
    workers_per_object: int = _key(Integer(1, 9), "People who label each object.", 3)
    task_title: str = _key(Text(128), "What workers see in their list of tasks.", "Choose the label")
    task_description: str = _key(
        Text(255),
        "What workers see before they start.",
        "Look at the item and choose the label that fits it.",
    )
    instructions: str = _key(
        Text(4_000, minimum=0), "What workers read beside the template's own instructions.", ""
    )
    task_keywords: tuple[str, ...] = _key(Texts(_KEYWORD, 1, 5), "Search words for workers.", ("labeling",))
    task_time_limit_seconds: int = _key(Integer(30, 28_800), "Time that a worker has for one task.", 600)
    task_availability_seconds: int = _key(
        Integer(60, 2_592_000), "Time after which a task that nobody took expires.", 864_000
    )
    max_concurrent_tasks: int = _key(Integer(1, 5_000), "Objects that are out to workers at once.", 1_000)
    price_per_answer_usd: float | None = _key(
        Number(0, 1_000), "What one answer of one worker costs; null for the price list's.", None
    )


@dataclass(frozen=True)
class Selection:
    """What people label next."""

    strategy: str = _key(Choice(lambda: ("margin", "random")), "The acquisition score.", "margin")
    seed_size: int = _key(Integer(1, 100_000), "Rows in the seed set, which round 0 labels.", 50)
    round_size: int = _key(Integer(1, 100_000), "Rows that each later round labels.", 50)
    random_control: bool = _key(
        Boolean(), "Whether a random selection of equal size is labelled beside it, for comparison.", False
    )

    @property
    def rows_per_round(self) -> int:
        """The rows that a round after the seed round sends to people, at most."""
        return self.round_size * (2 if self.random_control else 1)


@dataclass(frozen=True)
class SplitFractions:
    """What is held out from the beginning."""

    test_fraction: float = _key(Number(0, 0.5, above=True), "Part of the rows that measures quality.", 0.2)
    validation_fraction: float = _key(Number(0, 0.5), "Part of the rows that tunes the model.", 0.1)
    stratify_by: str | None = _key(
        Text(1_000), "Key of the rows that splits the unlabelled ones in proportion.", None
    )


@dataclass(frozen=True)
class Model:
    """What is trained."""

    adapter: str | None = _key(
        Text(63, pattern=re.compile(r"[a-z0-9](-?[a-z0-9])*"), form="of a-z, 0-9 and inner hyphens"),
        "The model adapter of the Batch program; null for the task type's own.",
        None,
    )
    hyperparameters: Mapping[str, Any] = _key(Settings(), "Passed to the adapter.", {})


@dataclass(frozen=True)
class Scoring:
    """How the pool is scored."""

    # The bounds of an array job: https://docs.aws.amazon.com/batch/latest/userguide/array_jobs.html
    shards: int = _key(Integer(2, 10_000), "Children of the array job that scores the pool.", 2)


@dataclass(frozen=True)
class Stop:
    """When the campaign ends; the first rule that holds ends it."""

    max_rounds: int = _key(Integer(1, 1_000), "Rounds, the seed round included.", 10)
    budget_usd: float | None = _key(Number(0, 1e9, above=True), "Money that may be spent in all.", None)
    target_quality: float | None = _key(
        Number(0, 1, above=True),
        "Quality on the test split (accuracy, macro-F1, mAP@0.5 or mean IoU) that the lower end of its 95 % "
        "interval reaches.",
        None,
    )
    plateau_rounds: int | None = _key(Integer(1, 100), "Rounds without a significant gain.", None)
    deadline: datetime | None = _key(Moment(), "Time after which no further round starts.", None)


NO_AUDIT = "none"
ALL_AUDITED = "all"


@dataclass(frozen=True)
class Audit:
    """Whether and how other people look at the labels."""

    policy: str = _key(
        Choice(lambda: (NO_AUDIT, "sample", ALL_AUDITED)),
        "Which labels of a round are audited: none, a sample by risk and at random, or all.",
        NO_AUDIT,
    )
    random_share: float = _key(
        Number(0, 1), "Part of a job's labels audited at random: the unbiased estimate rests on it.", 0.05
    )
    risk_share: float = _key(
        Number(0, 1), "Part of a job's labels audited because they look most doubtful.", 0.05
    )
    minimum: int = _key(
        Integer(1, 10_000), "Labels that the random part has at least, if there are so many.", 20
    )
    auto_sample: int = _key(
        Integer(1, 10_000), "Labels of a round by the model that are audited at random.", 50
    )
    final_sample: int = _key(
        Integer(0, 10_000), "Labels audited once more at random in the end, for the final error rate.", 0
    )
    auditors_per_object: int = _key(Integer(1, 9), "Auditors who look at each label.", 1)
    relabel_rounds: int = _key(
        Integer(0, 9), "How often a rejected label is given by others before an expert gives it.", 2
    )
    workteam_arn: str | None = _key(_WORKTEAM, "The auditors' work team; null for the stack's own.", None)
    expert_workteam_arn: str | None = _key(
        _WORKTEAM, "The work team that has the last word; null for the auditors'.", None
    )
    price_per_answer_usd: float | None = _key(
        Number(0, 1_000), "What one verdict costs; null for the price of an answer.", None
    )

    @property
    def is_wanted(self) -> bool:
        """Whether any label is audited."""
        return self.policy != NO_AUDIT

    def expected_verdicts(self, labels: int, by_model: bool) -> int:
        """How many labels of a round auditors will look at, when they reject none.

        Parameters
        ----------
        labels
            That people give in the round.
        by_model
            Whether the model may label too; as many of its labels as are ever audited are counted then.
        """
        if not self.is_wanted:
            return 0
        if self.policy == ALL_AUDITED:
            chosen = labels
        else:
            at_random, by_risk = (
                int(labels * Fraction(repr(share)) + Fraction(1, 2))
                for share in (self.random_share, self.risk_share)
            )
            chosen = min(max(at_random, self.minimum) + by_risk, labels)
        final = min(self.final_sample, labels)
        return chosen + final + (self.auto_sample if by_model else 0)

    def to_document(self) -> dict[str, Any]:
        """The section as JSON with every key; `parse_audit` gives it back."""
        return _write(self)


@dataclass(frozen=True)
class Gold:
    """Objects whose labels are known, mixed into the jobs to see how well each worker does."""

    manifest_uri: str | None = _key(
        S3_OBJECT, "The augmented manifest of objects with known labels; null for none.", None
    )
    share: float = _key(
        Number(0, 0.5, above=True), "Known objects in a job, as a part of those to label.", 0.05
    )


@dataclass(frozen=True)
class AutoLabeling:
    """What the model may label by itself in each round."""

    target_precision: float | None = _key(
        Number(0.5, 0.9999),
        "The promise: part of the model's labels that are right, at 95 % confidence on the validation split; "
        "null to leave all to people.",
        None,
    )


@dataclass(frozen=True)
class CampaignRequest:
    """A valid campaign request; made by `parse_request`."""

    campaign: str = _key(
        Text(64, pattern=CAMPAIGN_NAME, form="of at most 32 of a-z and 0-9 with single inner hyphens"),
        "The campaign's name.",
    )
    task_type: str = _key(Choice(_registered_task_types), "What people are asked.")
    manifest_uri: str = _key(S3_OBJECT, "The augmented manifest; its rows may carry labels.")
    label_categories: tuple[str, ...] = _key(
        Texts(Text(256), 2, 1_000), "The labels; a label is an index into this list."
    )
    schema_version: int = _key(Choice(lambda: (1,)), "The version of this schema.", 1)
    label_attribute: str = _key(_LABEL_ATTRIBUTE, "The key of a row that holds its label.", "label")
    labeling: Labeling = _section(Labeling, "How people label.")
    selection: Selection = _section(Selection, "What people label next.")
    splits: SplitFractions = _section(SplitFractions, "What is held out from the beginning.")
    audit: Audit = _section(Audit, "Whether and how other people look at the labels.")
    gold: Gold = _section(Gold, "Objects with known labels, which measure the workers.")
    auto_labeling: AutoLabeling = _section(AutoLabeling, "What the model may label by itself.")
    model: Model = _section(Model, "What is trained.")
    scoring: Scoring = _section(Scoring, "How the pool is scored.")
    label_remaining: str = _key(
        Choice(lambda: ("model", "nobody")), "Who labels the rows that are left at the end.", "model"
    )
    stop: Stop = _section(Stop, "When the campaign ends; the first rule that holds ends it.")
    prices: Mapping[str, float] = _key(PriceOverrides(), "Overrides of the price list.", {})
    seed: int = _key(Integer(0, 2**31 - 1), "Seed of every random choice.", 1)

    def to_document(self) -> dict[str, Any]:
        """The request as JSON with every key; `parse_request` gives the same request back."""
        return _write(self)

    def sha256(self) -> str:
        """Hexadecimal digest that is the same for requests that mean the same."""
        canonical = json.dumps(self.to_document(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def parse_request(document: Any) -> CampaignRequest:
    """Check a campaign request and fill in the defaults.

    Parameters
    ----------
    document
        The parsed JSON of a request. Unknown keys are refused by name.

    Raises
    ------
    InvalidRequest
        Carries every problem of every key, and of the keys with each other.
    """
    request, problems = read_request(document)
    if request is None or problems:
        raise InvalidRequest(problems)
    return request


def read_request(document: Any) -> tuple[CampaignRequest | None, tuple[Problem, ...]]:
    """Like `parse_request`, but hands the problems back; the request is None when a key is wrong."""
    problems: list[Problem] = []
    request = cast("CampaignRequest | None", _read(CampaignRequest, document, "", problems))
    if isinstance(document, Mapping):
        problems.extend(_relations(document))
    return (None if problems else request), tuple(problems)


def parse_audit(document: Any) -> Audit:
    """Check the settings of an audit that belongs to no campaign; the same keys as a request's `audit`.

    A null stands for the default.

    Raises
    ------
    InvalidRequest
        Carries every problem.
    """
    problems: list[Problem] = []
    if isinstance(document, Mapping):
        document = {key: value for key, value in document.items() if value is not None}
    policy = cast("Audit | None", _read(Audit, document, "audit.", problems))
    if policy is None:
        raise InvalidRequest(problems)
    return policy


def schema_table() -> str:
    """The request's keys as the rows of a Markdown table: key, allowed, default, meaning."""
    lines = ["| Key | Allowed | Default | Meaning |", "|---|---|---|---|"]
    for path, field in _leaves(CampaignRequest, ""):
        rule: Rule = field.metadata["rule"]
        default = _default(field)
        if default is _REQUIRED:
            shown = "required"
        else:
            shown = f"`{json.dumps(None if default is None else rule.write(default), ensure_ascii=False)}`"
        allowed = f"{rule.allowed}, null" if default is None else rule.allowed
        lines.append(f"| `{path}` | {allowed} | {shown} | {field.metadata['meaning']} |".replace("\n", " "))
    return "\n".join(lines)


def _read(section: type[Any], document: Any, path: str, problems: list[Problem]) -> Any | None:
    where = path.rstrip(".") or "the request"
    if not isinstance(document, Mapping):
        problems.append(
            Problem(
                where, _shown(document), "a JSON object", "Write a JSON object with the keys of the schema."
            )
        )
        return None
    found = len(problems)
    fields = {field.name: field for field in dataclasses.fields(section)}
    types = get_type_hints(section)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        rule: Rule | None = field.metadata.get("rule")
        if name not in document:
            if rule is not None and _default(field) is _REQUIRED:
                problems.append(Problem(path + name, "missing", rule.allowed, "Add it."))
        elif rule is None:
            values[name] = _read(types[name], document[name], f"{path}{name}.", problems)
        elif document[name] is None and _default(field) is None:
            values[name] = None
        elif (advice := rule.refusal(document[name])) is not None:
            problems.append(Problem(path + name, _shown(document[name]), rule.allowed, advice))
        else:
            values[name] = rule.read(document[name])
    for name in document:
        if name not in fields:
            problems.append(
                Problem(
                    path + str(name),
                    "an unknown key",
                    ", ".join(sorted(fields)),
                    _where_it_belongs(name, path, fields),
                )
            )
    return None if len(problems) > found else section(**values)


def _write(section: Any) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        rule: Rule | None = field.metadata.get("rule")
        if rule is None:
            document[field.name] = _write(value)
        else:
            document[field.name] = None if value is None else rule.write(value)
    return document


def _relations(document: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong between keys; a key that is wrong in itself is left out."""
    attribute = value_of(document, "label_attribute")
    task_type = value_of(document, "task_type")
    if attribute is not None and (attribute in RESERVED_KEYS or attribute.endswith(METADATA_SUFFIX)):
        yield Problem(
            "label_attribute",
            _shown(attribute),
            f"any name but {', '.join(sorted(RESERVED_KEYS))}, not ending in {METADATA_SUFFIX}",
            "Choose another name, such as label.",
        )
    elif attribute is not None and task_type is not None:
        by_reference = _is_labeled_by_reference(task_type)
        if by_reference != attribute.endswith(_REFERENCE_SUFFIX):
            ending = "ending" if by_reference else "not ending"
            yield Problem(
                "label_attribute",
                _shown(attribute),
                f"a name {ending} in {_REFERENCE_SUFFIX} for the task type {task_type}",
                "Rename it; Ground Truth refuses the job otherwise.",
            )
    categories = value_of(document, "label_categories")
    if (
        task_type is not None
        and categories is not None
        and _is_labeled_by_reference(task_type)
        and len(categories) > palette.CATEGORIES_MAXIMUM
    ):
        yield Problem(
            "label_categories",
            f"a list of {len(categories)} labels",
            f"at most {palette.CATEGORIES_MAXIMUM} for the task type {task_type}, whose labels are colours",
            "Remove some, or join them.",
        )
    test, validation = (
        value_of(document, "splits", "test_fraction"),
        value_of(document, "splits", "validation_fraction"),
    )
    if test is not None and validation is not None and test + validation > _HELD_OUT_MAXIMUM:
        yield Problem(
            "splits",
            f"{test:g} + {validation:g} of the rows",
            f"at most {_HELD_OUT_MAXIMUM:g} of the rows in both splits together",
            "Lower test_fraction or validation_fraction, so that there are rows left to learn from.",
        )
    limit = value_of(document, "labeling", "task_time_limit_seconds")
    availability = value_of(document, "labeling", "task_availability_seconds")
    if limit is not None and availability is not None and limit > availability:
        yield Problem(
            "labeling.task_time_limit_seconds",
            str(limit),
            f"at most task_availability_seconds, {availability}",
            "Lower it, or raise task_availability_seconds.",
        )

    workteam = value_of(document, "labeling", "workteam_arn")
    if workteam is not None and _PUBLIC_CROWD in workteam:
        if value_of(document, "labeling", "price_per_answer_usd") is None:
            yield Problem(
                "labeling.price_per_answer_usd",
                "missing",
                "a price, because the work team is the public crowd",
                "Say what an answer is paid.",
            )
        if availability is not None and availability > _PUBLIC_AVAILABILITY_MAXIMUM:
            yield Problem(
                "labeling.task_availability_seconds",
                str(availability),
                f"at most {_PUBLIC_AVAILABILITY_MAXIMUM} for the public crowd",
                "Lower it.",
            )
    auditors = value_of(document, "audit", "workteam_arn")
    if auditors is not None:
        yield from same_team_problems(auditors, workteam)
    for key in ("workteam_arn", "expert_workteam_arn"):
        team = value_of(document, "audit", key)
        if team is not None and _PUBLIC_CROWD in team:
            yield Problem(
                f"audit.{key}",
                _shown(team),
                "a team whose members are known, private or a vendor's",
                "Have people audit who can be told from those who label.",
            )
    yield from _auto_labeling_problems(document, task_type)


def same_team_problems(auditors_arn: str, labelers_arn: str | None) -> Iterator[Problem]:
    """What is wrong when the auditors are the team that labels: nobody is to judge their own labels."""
    if auditors_arn == labelers_arn:
        yield Problem(
            "audit.workteam_arn",
            f"{_shown(auditors_arn)}, which labels as well",
            "another work team than labeling.workteam_arn",
            "Name a team of auditors.",
        )


def _auto_labeling_problems(document: Mapping[str, Any], task_type: str | None) -> Iterator[Problem]:
    target = value_of(document, "auto_labeling", "target_precision")
    if target is None:
        return
    if task_type is not None and not _may_be_labeled_by_model(task_type):
        yield Problem(
            "auto_labeling.target_precision",
            f"{target:g} for the task type {task_type}",
            "null for it, because only the choice of one category comes with a probability that can be kept",
            "Leave it out; people label all.",
        )
    if value_of(document, "audit", "policy") == NO_AUDIT:
        yield Problem(
            "audit.policy",
            _shown(NO_AUDIT),
            f'"sample" or "{ALL_AUDITED}" where auto_labeling.target_precision is given',
            "Have a sample of the model's labels audited; a promise that nobody checks is none.",
        )
    if value_of(document, "splits", "validation_fraction") == 0:
        yield Problem(
            "splits.validation_fraction",
            "0",
            "a number above 0 where auto_labeling.target_precision is given",
            "Raise it; the threshold is chosen on the validation split.",
        )


def _may_be_labeled_by_model(task_type: str) -> bool:
    from truthloop import labels

    return _label_kind(task_type) == labels.CLASS


def value_of(document: Mapping[str, Any], *path: str) -> Any | None:
    """The value that a key of a request will have, None when it is wrong, missing or null.

    For what can be said about a request that has other problems; a valid one is read with `parse_request`.
    """
    section: type[Any] = CampaignRequest
    for name in path[:-1]:
        section = get_type_hints(section)[name]
        inner = document.get(name, {})
        if not isinstance(inner, Mapping):
            return None
        document = inner
    field = next(field for field in dataclasses.fields(section) if field.name == path[-1])
    rule: Rule = field.metadata["rule"]
    if field.name not in document:
        default = _default(field)
        return None if default is _REQUIRED else default
    value = document[field.name]
    return None if value is None or rule.refusal(value) is not None else rule.read(value)


def _leaves(section: type[Any], path: str) -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    types = get_type_hints(section)
    for field in dataclasses.fields(section):
        if "rule" in field.metadata:
            yield path + field.name, field
        else:
            yield from _leaves(types[field.name], f"{path}{field.name}.")


def _default(field: dataclasses.Field[Any]) -> Any:
    """The default of a field, `_REQUIRED` when it has none."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _where_it_belongs(name: object, path: str, siblings: Mapping[str, Any]) -> str:
    places = [leaf for leaf, _ in _leaves(CampaignRequest, "") if leaf.rpartition(".")[2] == name]
    if places and path + str(name) not in places:
        return f"Write it as {' or '.join(places)}."
    return "Remove it." + _suggestion(name, list(siblings))


def _suggestion(value: object, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(value), known, n=1)
    return f" Did you mean {near[0]}?" if near else ""


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
