"""The checks before anything is spent: every problem of a campaign request at once, and what it will cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from truthloop import gold, prices, task_types
from truthloop.campaign import find_campaign
from truthloop.errors import (
    AccessRefused,
    InvalidRequest,
    MissingPrice,
    ObjectNotFound,
    Problem,
    TruthloopError,
)
from truthloop.inspection import Inspection, Reference
from truthloop.layout import AUDIT_TEMPLATE, CampaignLayout, template
from truthloop.manifest import SOURCE, SOURCE_REF
from truthloop.prices import Prices
from truthloop.request import (
    NO_AUDIT,
    CampaignRequest,
    parse_audit,
    read_request,
    same_team_problems,
    value_of,
)
from truthloop.s3 import S3Gateway, parse_uri
from truthloop.splits import Splits, draw

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CORSRuleOutputTypeDef
    from mypy_boto3_sagemaker import SageMakerClient

# https://docs.aws.amazon.com/sagemaker/latest/dg/input-data-limits.html
_IMAGE_BYTES_MAXIMUM = 40_000_000
_OBJECTS_PER_JOB = 100_000

_PRIVATE_TEAM = ":workteam/private-crowd/"


@dataclass(frozen=True)
class Estimate:
    """What a campaign asks of people, when no rule ends it before its last round.

    Attributes
    ----------
    rows, labeled, test, validation, pool
        Of the manifest: all rows, those with a label, the splits, the rows outside them.
    pool_unlabeled
        Rows outside the splits that people can label.
    seed_round_objects, round_objects, objects
        Objects that people label: in round 0, in each round after it at most, and in the whole campaign.
    gold_objects
        How often people are shown an object whose label is known, beside these.
    audited_objects
        Labels that auditors look at, when they reject none.
    labeling_usd, audit_usd
        What the labels of all rounds cost, known objects included, and what the verdicts on them cost.
    first_rounds_usd
        Both together for the first two rounds. Computing is not included in any.
    """

    rows: int
    labeled: int
    test: int
    validation: int
    pool: int
    pool_unlabeled: int
    seed_round_objects: int
    round_objects: int
    objects: int
    gold_objects: int
    audited_objects: int
    first_rounds_usd: float
    labeling_usd: float
    audit_usd: float


@dataclass(frozen=True)
class Clearance:
    """A request that can be run; the estimate is None for a campaign that is resumed."""

    request: CampaignRequest
    estimate: Estimate | None

    def to_document(self) -> dict[str, Any]:
        estimate = None if self.estimate is None else asdict(self.estimate)
        return {"request": self.request.to_document(), "estimate": estimate}


def check(
    document: Any,
    s3: S3Gateway,
    sagemaker: SageMakerClient,
    data_bucket: str,
    workteam_arn: str,
    now: datetime,
    auditors_workteam_arn: str | None = None,
) -> Clearance:
    """Check a campaign request and all that it points to; nothing is created.

    What a wrong key leaves unknown is not checked, everything else is. The request of a campaign that exists
    resumes it: its manifests have been taken over and aren't read again.

    Parameters
    ----------
    workteam_arn, auditors_workteam_arn
        The stack's own teams, for a request that names none; a stack may have no auditors.

    Raises
    ------
    InvalidRequest
        Carries every problem that was found.
    """
    request, found = read_request(document)
    problems = list(found)
    estimate = None
    if isinstance(document, Mapping):
        region = sagemaker.meta.region_name
        labelers = value_of(document, "labeling", "workteam_arn") or workteam_arn
        problems += team_problems(labelers, region, sagemaker)
        problems += _auditor_problems(document, labelers, auditors_workteam_arn, region, sagemaker)
        is_resumed = False
        try:
            problems += _template_problems(document, s3, data_bucket)
            name_problems, is_resumed = _name_problems(document, request, s3, data_bucket)
            problems += name_problems
        except AccessRefused as error:
            problems.append(
                Problem(
                    "campaign", f"not to be looked up in {data_bucket}", "a readable data bucket", str(error)
                )
            )
        if not is_resumed:
            problems += _deadline_problems(document, now)
            estimate = _check_manifests(document, s3, region, problems)
    if request is None or problems:
        raise InvalidRequest(problems)
    return Clearance(request, estimate)


def size_problems(document: Mapping[str, Any], estimate: Estimate) -> Iterator[Problem]:
    """What is wrong between the number of rows and the sizes of splits, seed set and rounds."""
    rows, seed_size = estimate.rows, value_of(document, "selection", "seed_size")
    categories = value_of(document, "label_categories")
    if not estimate.test:
        yield Problem(
            "splits.test_fraction",
            f"{value_of(document, 'splits', 'test_fraction'):g} of {rows} rows, which is no row",
            "a fraction that makes a test split of at least 1 row",
            "Add rows, or raise it.",
        )
    if categories is not None and estimate.pool < len(categories):
        yield Problem(
            "manifest_uri",
            f"a manifest with {rows} rows, {estimate.pool} of them outside the splits",
            f"at least {len(categories)} rows outside the splits, one for each label category",
            "Add rows, or lower test_fraction and validation_fraction.",
        )
    elif not estimate.pool_unlabeled:
        yield Problem(
            "manifest_uri",
            f"a manifest with {rows} rows and no unlabelled one outside the splits",
            "a manifest with rows for people to label",
            "Add unlabelled rows, or choose another label_attribute.",
        )
    elif seed_size is not None and seed_size > estimate.pool_unlabeled:
        yield Problem(
            "selection.seed_size",
            str(seed_size),
            f"at most {estimate.pool_unlabeled}, the unlabelled rows outside the splits",
            "Lower it, or add unlabelled rows.",
        )
    elif seed_size is not None and categories is not None:
        labeled = estimate.pool - estimate.pool_unlabeled
        if seed_size + labeled < len(categories):
            yield Problem(
                "selection.seed_size",
                f"{seed_size}, beside {labeled} labelled rows outside the splits",
                f"at least {len(categories) - labeled}, so that each label category can occur",
                "Raise it.",
            )
    for path, objects in (
        ("selection.seed_size", estimate.seed_round_objects),
        ("selection.round_size", estimate.round_objects),
    ):
        if objects > _OBJECTS_PER_JOB:
            yield Problem(
                path,
                f"{value_of(document, *path.split('.'))}, which makes a labelling job of {objects} objects",
                f"at most {_OBJECTS_PER_JOB} objects in a job, unlabelled rows of the splits included",
                "Lower it, or the fractions of the splits.",
            )


def team_problems(
    workteam_arn: str, region: str, sagemaker: SageMakerClient, path: str = "labeling.workteam_arn"
) -> Iterator[Problem]:
    """Whether a work team exists where the labelling job will run; `path` is the request's key for it."""
    if workteam_arn.split(":")[3] != region:
        yield Problem(path, workteam_arn, f"a work team in {region}", "Name a team of this region.")
        return
    if _PRIVATE_TEAM not in workteam_arn:
        # Teams of vendors and the public crowd belong to other accounts and can't be described.
        return
    try:
        team = sagemaker.describe_workteam(WorkteamName=workteam_arn.rpartition("/")[2])["Workteam"]
    except ClientError as error:
        yield Problem(
            path,
            f"{workteam_arn}, of which SageMaker says: {error.response['Error'].get('Message', '')}",
            "a work team that exists in this account",
            "Create the team, or name another one.",
        )
        return
    if team["WorkteamArn"] != workteam_arn:
        yield Problem(
            path,
            workteam_arn,
            f"a team of this account, such as {team['WorkteamArn']}",
            "Correct it.",
        )


def _auditor_problems(
    document: Mapping[str, Any],
    labelers_arn: str,
    stacks_arn: str | None,
    region: str,
    sagemaker: SageMakerClient,
) -> Iterator[Problem]:
    """Whether there are auditors and experts where labels are audited, and whether they are others."""
    if value_of(document, "audit", "policy") in (None, NO_AUDIT):
        return
    named = value_of(document, "audit", "workteam_arn")
    auditors = named or stacks_arn
    if auditors:
        yield from team_problems(auditors, region, sagemaker, "audit.workteam_arn")
        # Two teams that the request names itself are compared where it is read.
        if named is None or value_of(document, "labeling", "workteam_arn") is None:
            yield from same_team_problems(auditors, labelers_arn)
    else:
        yield Problem(
            "audit.workteam_arn",
            "missing",
            "the ARN of a work team, because the stack has no auditors of its own",
            "Name a team of auditors, deploy the stack with one, or audit nothing.",
        )
    experts = value_of(document, "audit", "expert_workteam_arn")
    if experts is not None:
        yield from team_problems(experts, region, sagemaker, "audit.expert_workteam_arn")


def allows_labeling(rules: Iterable[CORSRuleOutputTypeDef]) -> bool:
    """Whether one of a bucket's CORS rules lets the worker portal load objects.

    https://docs.aws.amazon.com/sagemaker/latest/dg/sms-cors-update.html
    """
    return any(
        "GET" in rule["AllowedMethods"]
        and "*" in rule["AllowedOrigins"]
        and "access-control-allow-origin" in (header.lower() for header in rule.get("ExposeHeaders", []))
        for rule in rules
    )


def budget_problems(document: Mapping[str, Any], estimate: Estimate) -> Iterator[Problem]:
    """Whether the budget covers the seed round and one round after it; less teaches a model nothing.

    That it ends the campaign before `stop.max_rounds` is what a budget is for, and no problem.
    """
    budget = value_of(document, "stop", "budget_usd")
    if budget is not None and estimate.first_rounds_usd > budget:
        yield Problem(
            "stop.budget_usd",
            f"{budget:.2f}",
            f"at least {estimate.first_rounds_usd:.2f}, the labels of the first rounds and their audit",
            "Raise it, or lower seed_size, round_size, workers_per_object, the fractions of the splits, or "
            "what is audited.",
        )


def _check_manifests(
    document: Mapping[str, Any], s3: S3Gateway, region: str, problems: list[Problem]
) -> Estimate | None:
    manifest_uri = value_of(document, "manifest_uri")
    inspection = _inspection(document)
    if manifest_uri is not None:
        _check_manifest(manifest_uri, inspection, s3, region, problems)
    gold_uri = value_of(document, "gold", "manifest_uri")
    gold_items = None
    if gold_uri is not None:
        known = _inspection(document, "gold.manifest_uri", labeled_only=True, elsewhere=inspection.objects)
        _check_manifest(gold_uri, known, s3, region, problems)
        gold_items = len(known.objects)
    if not inspection.rows:
        return None
    estimate = _estimate(document, inspection, gold_items, problems)
    if estimate is not None:
        problems += size_problems(document, estimate)
        problems += budget_problems(document, estimate)
    return estimate


def _check_manifest(
    uri: str, inspection: Inspection, s3: S3Gateway, region: str, problems: list[Problem]
) -> None:
    """Read a manifest into its inspection, and note what is wrong with it and its objects."""
    found: list[Problem] = []
    try:
        for number, line in s3.lines(uri).encoded():
            inspection.feed(number, line)
    except TruthloopError as error:
        found.append(
            Problem(inspection.path, f"not readable: {error}", "an augmented manifest", "Correct that.")
        )
    found += inspection.problems()
    if not inspection.rows and not found:
        found.append(Problem(inspection.path, "a manifest with no rows", "one row per object", "Add rows."))
    problems += found
    problems += _object_problems(inspection, s3, region)


def _inspection(document: Mapping[str, Any], path: str = "manifest_uri", **limits: Any) -> Inspection:
    task_type, categories = value_of(document, "task_type"), value_of(document, "label_categories")
    module = None if task_type is None else task_types.get(task_type)
    return Inspection(
        attribute=value_of(document, "label_attribute"),
        label_categories=categories,
        stratify_by=value_of(document, "splits", "stratify_by"),
        label_kind=None if module is None else module.LABEL_KIND,
        # The object alone: whether the row's label is one is looked at by itself.
        show=None
        if module is None
        else lambda row: module.task_input(
            {key: row[key] for key in (SOURCE, SOURCE_REF) if key in row}, categories or ()
        ),
        path=path,
        **limits,
    )


def _estimate(
    document: Mapping[str, Any],
    inspection: Inspection,
    gold_items: int | None,
    problems: list[Problem],
) -> Estimate | None:
    splits = _draw(document, inspection)
    if splits is None:
        return None
    pool = len(inspection.candidates) - len(splits.held_out)
    pool_unlabeled = pool - len(inspection.labeled - splits.held_out)
    seed_size = value_of(document, "selection", "seed_size") or 0
    per_round = (value_of(document, "selection", "round_size") or 0) * (
        2 if value_of(document, "selection", "random_control") else 1
    )
    seed_round = len(splits.held_out - inspection.labeled) + min(seed_size, pool_unlabeled)
    after_seed = max(pool_unlabeled - seed_size, 0)
    later_rounds = (value_of(document, "stop", "max_rounds") or 1) - 1
    round_objects = min(per_round, after_seed)
    rounds = [seed_round]
    while len(rounds) <= later_rounds and after_seed > 0 < per_round:
        rounds.append(min(per_round, after_seed))
        after_seed -= rounds[-1]
    known = [_gold_objects(document, gold_items, objects) for objects in rounds]
    verdicts = [_verdicts(document, objects, by_model=bool(number)) for number, objects in enumerate(rounds)]
    labeling_price, audit_price = _prices_per_object(document, problems)
    labeling_usd = [(new + old) * labeling_price for new, old in zip(rounds, known, strict=True)]
    audit_usd = [objects * audit_price for objects in verdicts]
    return Estimate(
        rows=len(inspection.candidates),
        labeled=len(inspection.labeled),
        test=len(splits.test),
        validation=len(splits.validation),
        pool=pool,
        pool_unlabeled=pool_unlabeled,
        seed_round_objects=seed_round,
        round_objects=round_objects,
        objects=sum(rounds),
        gold_objects=sum(known),
        audited_objects=sum(verdicts),
        first_rounds_usd=round(sum(labeling_usd[:2]) + sum(audit_usd[:2]), 2),
        labeling_usd=round(sum(labeling_usd), 2),
        audit_usd=round(sum(audit_usd), 2),
    )


def _gold_objects(document: Mapping[str, Any], gold_items: int | None, objects: int) -> int:
    """The known objects in a job of `objects` rows."""
    share = value_of(document, "gold", "share")
    if not gold_items or share is None:
        return 0
    return min(gold.items_in_job(objects, share), gold_items)


def _verdicts(document: Mapping[str, Any], objects: int, by_model: bool) -> int:
    """The labels of a round that auditors look at; before there is a model, it labels nothing."""
    try:
        policy = parse_audit(document.get("audit", {}))
    except InvalidRequest:
        return 0
    by_model = by_model and value_of(document, "auto_labeling", "target_precision") is not None
    return policy.expected_verdicts(objects, by_model)


def _prices_per_object(document: Mapping[str, Any], problems: list[Problem]) -> tuple[float, float]:
    """What a label costs in USD, and what auditing one does; nothing while the request leaves it unknown."""
    task_type, overrides = value_of(document, "task_type"), value_of(document, "prices")
    workers = value_of(document, "labeling", "workers_per_object")
    if task_type is None or overrides is None or workers is None:
        return 0.0, 0.0
    try:
        found: Prices = prices.resolve(
            task_type, overrides, value_of(document, "labeling", "price_per_answer_usd")
        )
    except MissingPrice as error:
        problems.append(Problem("prices", "incomplete", "a price for all that is bought", str(error)))
        return 0.0, 0.0
    auditors = value_of(document, "audit", "auditors_per_object") or 0
    verdict_usd = value_of(document, "audit", "price_per_answer_usd")
    return (
        found.labeling(objects=1, answers=workers),
        found.auditing(objects=1, verdicts=auditors, verdict_usd=verdict_usd),
    )


def _draw(document: Mapping[str, Any], inspection: Inspection) -> Splits | None:
    test = value_of(document, "splits", "test_fraction")
    validation = value_of(document, "splits", "validation_fraction")
    seed = value_of(document, "seed")
    if test is None or validation is None or seed is None or not inspection.candidates:
        return None
    return draw(inspection.candidates, test, validation, seed)


def _name_problems(
    document: Mapping[str, Any], request: CampaignRequest | None, s3: S3Gateway, data_bucket: str
) -> tuple[list[Problem], bool]:
    """What is wrong with the campaign's name, and whether the request resumes the campaign that has it."""
    name = value_of(document, "campaign")
    if name is None:
        return [], False
    layout = CampaignLayout(data_bucket, name)
    campaign = find_campaign(s3, layout)
    if campaign is None:
        return [], False
    if request is not None and campaign.request_sha256 == request.sha256():
        return [], s3.exists(layout.master_manifest())
    problem = Problem(
        "campaign",
        f"{name}, the name of a campaign of {campaign.created_at:%Y-%m-%d %H:%M} with another request",
        "a new name, or the other campaign's own request",
        "Choose another name; to resume that campaign, start its own request again.",
    )
    return [problem], False


def _deadline_problems(document: Mapping[str, Any], now: datetime) -> Iterator[Problem]:
    deadline = value_of(document, "stop", "deadline")
    if deadline is not None and deadline <= now:
        yield Problem("stop.deadline", deadline.isoformat(), "a time in the future", "Set a later one.")


def _template_problems(document: Mapping[str, Any], s3: S3Gateway, data_bucket: str) -> Iterator[Problem]:
    task_type = value_of(document, "task_type")
    if task_type is not None and not s3.exists(template(data_bucket, task_type)):
        yield Problem(
            "task_type",
            f"{task_type}, whose worker template {template(data_bucket, task_type)} does not exist",
            "a task type with a deployed template",
            "Deploy the stack again; it uploads the templates.",
        )
    policy = value_of(document, "audit", "policy")
    if policy not in (None, NO_AUDIT) and not s3.exists(template(data_bucket, AUDIT_TEMPLATE)):
        yield Problem(
            "audit.policy",
            f"{policy}, but the auditors' template {template(data_bucket, AUDIT_TEMPLATE)} does not exist",
            f"{NO_AUDIT} where none is deployed",
            "Deploy the stack again; it uploads the templates.",
        )


def _object_problems(inspection: Inspection, s3: S3Gateway, region: str) -> Iterator[Problem]:
    reachable = set()
    for bucket in sorted(inspection.buckets):
        try:
            found = s3.bucket_region(bucket)
            rules = s3.cors_rules(bucket)
        except (ObjectNotFound, AccessRefused) as error:
            yield Problem(
                inspection.path,
                f"a manifest of objects in the bucket {bucket}",
                "readable buckets",
                str(error),
            )
            continue
        reachable.add(bucket)
        if found != region:
            yield Problem(
                inspection.path,
                f"a manifest of objects in the bucket {bucket} in {found}",
                f"buckets in {region}, the region of the labelling job",
                "Copy the objects to a bucket there.",
            )
        if not allows_labeling(rules):
            yield Problem(
                inspection.path,
                f"a manifest of objects in the bucket {bucket}, whose CORS rules hide them from workers",
                "a bucket with the CORS rule AllowedMethods GET, AllowedOrigins *, ExposeHeaders "
                "Access-Control-Allow-Origin",
                "Add the rule; without it every task fails and is billed.",
            )
    for reference in inspection.sample():
        if parse_uri(reference.uri).bucket in reachable:
            yield from _sampled_object_problems(reference, inspection.path, s3)


def _sampled_object_problems(reference: Reference, path: str, s3: S3Gateway) -> Iterator[Problem]:
    try:
        size = s3.head(reference.uri, reference.version_id).size
        # Reading a byte shows what a look at the object doesn't: that its key may be used to decrypt it.
        if size:
            s3.read_bytes(reference.uri, reference.version_id, first=1)
    except (ObjectNotFound, AccessRefused) as error:
        yield Problem(path, f"a manifest of objects such as {reference.uri}", "readable objects", str(error))
        return
    if not 0 < size <= _IMAGE_BYTES_MAXIMUM:
        yield Problem(
            path,
            f"a manifest of objects such as {reference.uri} with {size} bytes",
            f"objects of 1 to {_IMAGE_BYTES_MAXIMUM} bytes",
            "Replace the object, or remove its row.",
        )
