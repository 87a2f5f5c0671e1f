"""SageMaker: the API of labelling jobs, work teams and the private workforce."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import moto.sagemaker.urls
from moto.awslambda.models import lambda_backends
from moto.core.base_backend import BackendDict, BaseBackend
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import get_service_model
from moto.iam.models import iam_backends
from moto.sagemaker.responses import SageMakerResponse
from werkzeug.exceptions import HTTPException

from labeling_engine import InvalidAnnotators, InvalidJobRequest, JobSpecification, ObjectUnreadable
from local_aws import authorization, labeling_jobs, patches, settings, training_jobs
from local_aws.labeling_jobs import Job

# An account has one private workforce per region, which exists before anything is deployed.
WORKFORCE = "default"
USER_POOL = "us-east-1_LOCALPOOL"
CLIENT_ID = "local-client"

# Source: "Ground Truth" in the AWS General Reference (quotas).
_MOST_WORKTEAMS = 25
_PAGE = 100

# Labelling jobs


def list_jobs() -> list[dict[str, Any]]:
    """Return all labelling jobs of all accounts and regions as JSON can hold them, oldest first."""
    return [
        {
            "name": job.engine.specification.name,
            "arn": job.arn,
            "status": str(job.engine.status),
            "failure_reason": job.engine.failure_reason,
            "counters": job.engine.counters,
            "workteam_arn": job.request["HumanTaskConfig"]["WorkteamArn"],
            "output_manifest_uri": job.engine.specification.output_manifest_uri,
            "created_at": job.created_at.isoformat(),
        }
        for job in all_jobs()
    ]


def all_jobs() -> list[Job]:
    """Return all labelling jobs of all accounts and regions, oldest first."""
    jobs = [job for backend in _all_backends() for job in backend.labeling_jobs()]
    return sorted(jobs, key=lambda job: job.created_at)


# The state of an account and region


class ApiError(ServiceException):
    """The error code and message of a refused request."""


class GroundTruthBackend(BaseBackend):
    """Labelling jobs, work teams and the workforce of one account and region."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.lock = threading.RLock()
        self.jobs: dict[str, Job] = {}
        self.workteams: dict[str, dict[str, Any]] = {}
        self.workforces: dict[str, dict[str, Any]] = {}
        self.tags: dict[str, dict[str, str]] = {}
        cognito = {"UserPool": USER_POOL, "ClientId": CLIENT_ID}
        self.create_workforce({"WorkforceName": WORKFORCE, "CognitoConfig": cognito})

    def reset(self) -> None:
        """Forget everything; jobs that run end without a trace."""
        with self.lock:
            for job in self.jobs.values():
                job.abandon()
        super().reset()

    def arn(self, resource: str) -> str:
        """Return the ARN of a resource such as ``workforce/default``."""
        return f"arn:{self.partition}:sagemaker:{self.region_name}:{self.account_id}:{resource}"

    # Labelling jobs

    def create_labeling_job(self, request: dict[str, Any]) -> str:
        """Create and start a job, return its ARN."""
        name = request["LabelingJobName"]
        arn = self.arn(f"labeling-job/{name}")
        try:
            specification = JobSpecification.from_request(request, arn)
        except InvalidJobRequest as error:
            raise _invalid(error.problems) from error
        with self.lock:
            if name.lower() in self.jobs:
                raise ApiError(
                    "ResourceInUse",
                    f"A labeling job named {name} already exists; names differ not by case alone.",
                )
            if problems := list(self._missing(specification, request)):
                raise _invalid(problems)
            team = self.workteam_of(request["HumanTaskConfig"]["WorkteamArn"])
            issuer, identity_provider = self.identity_provider(team)
            job = self.jobs[name.lower()] = Job(
                request, specification, self.account_id, self.region_name, issuer, identity_provider
            )
            self.set_tags(arn, request.get("Tags", []))
        job.start()
        return arn

    def labeling_job(self, name: str) -> Job:
        """Return a job by its name in whatever case."""
        with self.lock:
            if name.lower() not in self.jobs:
                raise ApiError("ResourceNotFound", f"Labeling job {name} does not exist.")
            return self.jobs[name.lower()]

    def labeling_jobs(self) -> list[Job]:
        """Return all jobs, oldest first."""
        with self.lock:
            return list(self.jobs.values())

    def _missing(self, specification: JobSpecification, request: dict[str, Any]) -> Iterator[str]:
        """Yield what the request names and does not exist, or cannot be used."""
        yield from self.role_problems(specification.role_arn, specification.arn)
        try:
            self.workteam_of(request["HumanTaskConfig"]["WorkteamArn"])
        except ApiError as error:
            yield error.message.rstrip(".")
        for arn in (specification.pre_annotation_arn, specification.post_annotation_arn):
            try:
                lambda_backends[self.account_id][self.region_name].get_function(arn)
            except (HTTPException, ServiceException):
                yield f"The Lambda function {arn} does not exist"
        for uri in (
            specification.manifest_uri,
            specification.template_uri,
            specification.label_categories_uri,
        ):
            if uri is not None:
                try:
                    labeling_jobs.stored_object(self.account_id, uri)
                except ObjectUnreadable as error:
                    yield str(error)

    def role_problems(self, arn: str, job_arn: str) -> Iterator[str]:
        """Yield why a job cannot have a role."""
        if all(role.arn != arn for role in iam_backends[self.account_id][self.partition].get_roles()):
            yield f"The role {arn} does not exist"
        elif not authorization.trusts(arn, "sagemaker.amazonaws.com", job_arn):
            yield f"SageMaker cannot assume the role {arn}: its trust policy refuses sagemaker.amazonaws.com"

    # Work teams

    def create_workteam(self, request: dict[str, Any]) -> str:
        """Create a work team, return its ARN."""
        name = request["WorkteamName"]
        with self.lock:
            workforce = self.workforce(request.get("WorkforceName") or next(iter(self.workforces), WORKFORCE))
            self._check_members(request["MemberDefinitions"], workforce)
            if name in self.workteams:
                raise ApiError("ResourceInUse", f"Work team {name} already exists.")
            if len(self.workteams) >= _MOST_WORKTEAMS:
                raise ApiError(
                    "ResourceLimitExceeded",
                    f"The account has {_MOST_WORKTEAMS} work teams, which is the maximum.",
                )
            arn = self.arn(f"workteam/private-crowd/{name}")
            now = datetime.now(UTC)
            self.workteams[name] = {
                "WorkteamName": name,
                "WorkteamArn": arn,
                "WorkforceArn": workforce["WorkforceArn"],
                "SubDomain": workforce["SubDomain"],
                "CreateDate": now,
                "LastUpdatedDate": now,
                **_members(request, *_WORKTEAM_MEMBERS),
            }
            self.set_tags(arn, request.get("Tags", []))
            return arn

    def workteam(self, name: str) -> dict[str, Any]:
        """Return a work team as DescribeWorkteam does."""
        with self.lock:
            if name not in self.workteams:
                # The AWS provider for Terraform takes a team for gone by the first words.
                raise _invalid([f"The work team {name} doesn't exist"])
            return self.workteams[name]

    def update_workteam(self, request: dict[str, Any]) -> dict[str, Any]:
        """Change what the request names, return the work team."""
        with self.lock:
            team = self.workteam(request["WorkteamName"])
            if "MemberDefinitions" in request:
                self._check_members(request["MemberDefinitions"], next(iter(self.workforces.values())))
            team |= {**_members(request, *_WORKTEAM_MEMBERS), "LastUpdatedDate": datetime.now(UTC)}
            return team

    def delete_workteam(self, name: str) -> None:
        """Delete a work team."""
        with self.lock:
            self.tags.pop(self.workteam(name)["WorkteamArn"])
            del self.workteams[name]

    def workteam_of(self, arn: str) -> dict[str, Any]:
        """Return a work team by its ARN."""
        with self.lock:
            for team in self.workteams.values():
                if team["WorkteamArn"] == arn:
                    return team
        raise ApiError("ResourceNotFound", f"The work team {arn} doesn't exist.")

    def identity_provider(self, team: dict[str, Any]) -> tuple[str, str]:
        """Return the issuer and the type of the provider that a team's members sign in with."""
        member = team["MemberDefinitions"][0]
        if "CognitoMemberDefinition" in member:
            pool = member["CognitoMemberDefinition"]["UserPool"]
            return f"https://cognito-idp.{self.region_name}.amazonaws.com/{pool}", "Cognito"
        return next(iter(self.workforces.values()))["OidcConfig"]["Issuer"], "Oidc"

    @staticmethod
    def _check_members(definitions: list[dict[str, Any]], workforce: dict[str, Any]) -> None:
        kind = "CognitoMemberDefinition" if "CognitoConfig" in workforce else "OidcMemberDefinition"
        if wrong := [number for number, member in enumerate(definitions, start=1) if list(member) != [kind]]:
            name = workforce["WorkforceName"]
            raise _invalid([f"memberDefinitions.{wrong[0]}: the workforce {name} needs a {kind} alone"])

    # Workforces

    def create_workforce(self, request: dict[str, Any]) -> str:
        """Create the account's workforce, return its ARN."""
        name = request["WorkforceName"]
        with self.lock:
            if self.workforces:
                raise _invalid(
                    [f"Cannot create more than one workforce; there is {next(iter(self.workforces))}"]
                )
            if ("CognitoConfig" in request) == ("OidcConfig" in request):
                raise _invalid(["Give one of CognitoConfig and OidcConfig"])
            arn = self.arn(f"workforce/{name}")
            subdomain = (
                f"{hashlib.sha256(arn.encode()).hexdigest()[:10]}.labeling.{self.region_name}.sagemaker.aws"
            )
            now = datetime.now(UTC)
            self.workforces[name] = {
                "WorkforceName": name,
                "WorkforceArn": arn,
                "SubDomain": subdomain,
                "Status": "Active",
                "CreateDate": now,
                "LastUpdatedDate": now,
                "SourceIpConfig": {"Cidrs": []},
                **_members(request, "CognitoConfig", *_WORKFORCE_MEMBERS),
            }
            self.set_tags(arn, request.get("Tags", []))
            return arn

    def workforce(self, name: str) -> dict[str, Any]:
        """Return a workforce as DescribeWorkforce does."""
        with self.lock:
            if name not in self.workforces:
                # The AWS provider for Terraform takes a workforce for gone by the first words.
                raise _invalid([f"No workforce found with the name {name}"])
            return self.workforces[name]

    def update_workforce(self, request: dict[str, Any]) -> dict[str, Any]:
        """Change what the request names, return the workforce."""
        with self.lock:
            workforce = self.workforce(request["WorkforceName"])
            workforce |= {**_members(request, *_WORKFORCE_MEMBERS), "LastUpdatedDate": datetime.now(UTC)}
            return workforce

    def delete_workforce(self, name: str) -> None:
        """Delete the workforce, which may have no work teams."""
        with self.lock:
            arn = self.workforce(name)["WorkforceArn"]
            if self.workteams:
                raise ApiError("ResourceInUse", f"Workforce {name} has work teams; delete them first.")
            self.tags.pop(arn)
            del self.workforces[name]

    # Tags

    def set_tags(self, arn: str, tags: list[dict[str, str]]) -> None:
        """Add tags to a resource, replacing those of the same key."""
        with self.lock:
            self.tags.setdefault(arn, {}).update({tag["Key"]: tag["Value"] for tag in tags})

    def tags_of(self, arn: str) -> dict[str, str]:
        """Return a resource's tags, to be changed in place."""
        with self.lock:
            if arn not in self.tags:
                raise _invalid([f"The resource {arn} does not exist"])
            return self.tags[arn]


_WORKTEAM_MEMBERS = (
    "MemberDefinitions",
    "Description",
    "NotificationConfiguration",
    "WorkerAccessConfiguration",
)
_WORKFORCE_MEMBERS = ("OidcConfig", "SourceIpConfig", "WorkforceVpcConfig", "IpAddressType")

backends = BackendDict(GroundTruthBackend, "sagemaker")


def _all_backends() -> list[GroundTruthBackend]:
    return [backend for account in list(backends.values()) for backend in list(account.values())]


# The API


class LocalSageMakerResponse(SageMakerResponse):
    """moto's SageMaker API with the operations of Ground Truth that it lacks."""

    @property
    def ground_truth(self) -> GroundTruthBackend:
        """The state of the request's account and region."""
        return backends[self.current_account][self.region]

    def create_labeling_job(self) -> ActionResult:
        return ActionResult({"LabelingJobArn": self.ground_truth.create_labeling_job(self._request())})

    def describe_labeling_job(self) -> ActionResult:
        job = self.ground_truth.labeling_job(self._request()["LabelingJobName"])
        asked = _members(
            job.request,
            "LabelAttributeName",
            "OutputConfig",
            "RoleArn",
            "LabelCategoryConfigS3Uri",
            "StoppingConditions",
            "HumanTaskConfig",
        )
        return ActionResult(
            {
                **asked,
                **job.summary(),
                "JobReferenceCode": job.engine.specification.reference_code,
                "Tags": self._tags(job.arn),
            }
        )

    def list_labeling_jobs(self) -> ActionResult:
        request = self._request()
        found = []
        for job in self.ground_truth.labeling_jobs():
            task = job.request["HumanTaskConfig"]
            summary = {
                **job.summary(),
                "WorkteamArn": task["WorkteamArn"],
                "PreHumanTaskLambdaArn": task["PreHumanTaskLambdaArn"],
                **task["AnnotationConsolidationConfig"],
            }
            if (
                request.get("NameContains", "") in summary["LabelingJobName"]
                and request.get("StatusEquals") in (None, summary["LabelingJobStatus"])
                and _is_between(request, "CreationTime", summary["CreationTime"])
                and _is_between(request, "LastModifiedTime", summary["LastModifiedTime"])
            ):
                found.append(summary)
        keys = {"Name": "LabelingJobName", "Status": "LabelingJobStatus"}
        return _page(
            request, "LabelingJobSummaryList", found, keys.get(request.get("SortBy", ""), "CreationTime")
        )

    def list_labeling_jobs_for_workteam(self) -> ActionResult:
        request = self._request()
        arn = request["WorkteamArn"]
        self.ground_truth.workteam_of(arn)
        found = []
        for job in self.ground_truth.labeling_jobs():
            code, counters = job.engine.specification.reference_code, job.engine.counters
            if (
                job.request["HumanTaskConfig"]["WorkteamArn"] == arn
                and request.get("JobReferenceCodeContains", "") in code
                and _is_between(request, "CreationTime", job.created_at)
            ):
                found.append(
                    {
                        "LabelingJobName": job.engine.specification.name,
                        "JobReferenceCode": code,
                        "WorkRequesterAccountId": self.current_account,
                        "CreationTime": job.created_at,
                        "LabelCounters": {
                            "HumanLabeled": counters["HumanLabeled"],
                            "PendingHuman": counters["Unlabeled"],
                            "Total": sum(
                                counters[key]
                                for key in ("TotalLabeled", "FailedNonRetryableError", "Unlabeled")
                            ),
                        },
                        "NumberOfHumanWorkersPerDataObject": job.engine.specification.workers_per_object,
                    }
                )
        return _page(request, "LabelingJobSummaryList", found, "CreationTime")

    def stop_labeling_job(self) -> ActionResult:
        self.ground_truth.labeling_job(self._request()["LabelingJobName"]).stop()
        return EmptyResult()

    def create_workteam(self) -> ActionResult:
        return ActionResult({"WorkteamArn": self.ground_truth.create_workteam(self._request())})

    def describe_workteam(self) -> ActionResult:
        return ActionResult({"Workteam": self.ground_truth.workteam(self._request()["WorkteamName"])})

    def update_workteam(self) -> ActionResult:
        return ActionResult({"Workteam": self.ground_truth.update_workteam(self._request())})

    def delete_workteam(self) -> ActionResult:
        self.ground_truth.delete_workteam(self._request()["WorkteamName"])
        return ActionResult({"Success": True})

    def list_workteams(self) -> ActionResult:
        request = self._request()
        found = [
            team
            for name, team in list(self.ground_truth.workteams.items())
            if request.get("NameContains", "") in name
        ]
        key = "WorkteamName" if request.get("SortBy") == "Name" else "CreateDate"
        return _page(request, "Workteams", found, key)

    def create_workforce(self) -> ActionResult:
        return ActionResult({"WorkforceArn": self.ground_truth.create_workforce(self._request())})

    def describe_workforce(self) -> ActionResult:
        return ActionResult({"Workforce": self.ground_truth.workforce(self._request()["WorkforceName"])})

    def update_workforce(self) -> ActionResult:
        return ActionResult({"Workforce": self.ground_truth.update_workforce(self._request())})

    def delete_workforce(self) -> ActionResult:
        self.ground_truth.delete_workforce(self._request()["WorkforceName"])
        return EmptyResult()

    def list_workforces(self) -> ActionResult:
        request = self._request()
        found = [
            workforce
            for name, workforce in self.ground_truth.workforces.items()
            if request.get("NameContains", "") in name
        ]
        key = "WorkforceName" if request.get("SortBy") == "Name" else "CreateDate"
        return _page(request, "Workforces", found, key)

    def add_tags(self) -> ActionResult:
        if not self._tags_something_of_ours():
            return super().add_tags()
        request = self._request()
        self.ground_truth.tags_of(request["ResourceArn"])
        self.ground_truth.set_tags(request["ResourceArn"], request["Tags"])
        return ActionResult({"Tags": self._tags(request["ResourceArn"])})

    def list_tags(self) -> ActionResult:
        if not self._tags_something_of_ours():
            return super().list_tags()
        return ActionResult({"Tags": self._tags(self._request()["ResourceArn"])})

    def delete_tags(self) -> ActionResult:
        if not self._tags_something_of_ours():
            return super().delete_tags()
        request = self._request()
        tags = self.ground_truth.tags_of(request["ResourceArn"])
        for key in request["TagKeys"]:
            tags.pop(key, None)
        return EmptyResult()

    def create_training_job(self) -> ActionResult:
        arn = self.ground_truth.arn(f"training-job/{self._get_param('TrainingJobName')}")
        if problems := list(self.ground_truth.role_problems(self._get_param("RoleArn"), arn)):
            raise _invalid(problems)
        answer = super().create_training_job()
        training_jobs.start(self._training_job(), self._get_param("Environment"))
        return answer

    def stop_training_job(self) -> EmptyResult:
        training_jobs.stop(self._training_job())
        return EmptyResult()

    def _training_job(self) -> Any:
        name = self._get_param("TrainingJobName")
        self.sagemaker_backend.describe_training_job(name)
        return self.sagemaker_backend.training_jobs[name]

    def _request(self) -> dict[str, Any]:
        """Return the request's members; raise a ValidationException for all that break the API model."""
        shape = get_service_model("sagemaker").operation_model(self._get_action()).input_shape
        request = self._get_params()
        problems = list(_constraint_problems(shape, request, ""))
        if problems:
            several = "s" if len(problems) > 1 else ""
            raise ApiError(
                "ValidationException",
                f"{len(problems)} validation error{several} detected: {'; '.join(problems)}",
            )
        return request

    def _tags_something_of_ours(self) -> bool:
        resource = str(self._get_param("ResourceArn")).split(":", 5)[-1]
        return resource.startswith(("labeling-job/", "workteam/", "workforce/"))

    def _tags(self, arn: str) -> list[dict[str, str]]:
        return [{"Key": key, "Value": value} for key, value in self.ground_truth.tags_of(arn).items()]


# The rules of the API model, which botocore checks in part only


# Unicode classes that Python's patterns lack, inside of square brackets.
_UNICODE_CLASSES = {
    r"\p{L}": r"\w",
    r"\p{M}": r"\w",
    r"\p{N}": r"\d",
    r"\p{Z}": r"\s",
    r"\p{S}": r"$+<=>^`|~\u00a1-\uffff",
    r"\p{P}": r"!-#%-*,-/:;?@\[-\]_{}\u00a1-\uffff",
}


@functools.cache
def _pattern(text: str) -> re.Pattern[str]:
    for unicode_class, ours in _UNICODE_CLASSES.items():
        text = text.replace(unicode_class, ours)
    return re.compile(text)


def _constraint_problems(shape: Any, value: Any, path: str) -> Iterator[str]:
    """Yield what the service says of a value that breaks the constraints of its shape."""

    def told(rule: str) -> str:
        return f"Value '{value}' at '{path}' failed to satisfy constraint: Member must {rule}"

    limits = shape.metadata
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            member_path = f"{path}.{name[0].lower()}{name[1:]}".lstrip(".")
            if value.get(name) is not None:
                yield from _constraint_problems(member, value[name], member_path)
            elif name in shape.required_members:
                yield f"Value null at '{member_path}' failed to satisfy constraint: Member must not be null"
    elif shape.type_name == "integer":
        if value < limits.get("min", value):
            yield told(f"have value greater than or equal to {limits['min']}")
        if value > limits.get("max", value):
            yield told(f"have value less than or equal to {limits['max']}")
    elif shape.type_name in ("list", "string"):
        if len(value) < limits.get("min", 0):
            yield told(f"have length greater than or equal to {limits['min']}")
        if len(value) > limits.get("max", len(value)):
            yield told(f"have length less than or equal to {limits['max']}")
        if shape.type_name == "list":
            for number, item in enumerate(value, start=1):
                yield from _constraint_problems(shape.member, item, f"{path}.{number}.member")
        elif "enum" in limits and value not in limits["enum"]:
            yield told(f"satisfy enum value set: [{', '.join(limits['enum'])}]")
        elif "pattern" in limits and not _pattern(limits["pattern"]).fullmatch(value):
            yield told(f"satisfy regular expression pattern: {limits['pattern']}")


# Small things


def _invalid(problems: list[str]) -> ApiError:
    return ApiError("ValidationException", f"{'; '.join(problems)}.")


def _members(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: document[name] for name in names if name in document}


def _is_between(request: dict[str, Any], what: str, moment: datetime) -> bool:
    after, before = request.get(f"{what}After"), request.get(f"{what}Before")
    return (after is None or moment > _aware(after)) and (before is None or moment < _aware(before))


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _page(request: dict[str, Any], name: str, found: list[dict[str, Any]], key: str) -> ActionResult:
    """Return one page of sorted results under a name, with the token of the next."""
    found.sort(key=lambda item: item[key], reverse=request.get("SortOrder") == "Descending")
    start = int(request.get("NextToken") or 0)
    end = start + request.get("MaxResults", _PAGE)
    more = {"NextToken": str(end)} if end < len(found) else {}
    return ActionResult({name: found[start:end], **more})


# For the server


def reset() -> None:
    """Forget all jobs, work teams and workforces; the annotators stay."""
    training_jobs.reset()
    for backend in _all_backends():
        backend.reset()


def install() -> None:
    """Add the operations to moto and routes to the control plane, and call the settings' annotators."""
    from local_aws import control

    patches.route(moto.sagemaker.urls.url_paths, "{0}/$", SageMakerResponse, LocalSageMakerResponse)
    control.route("POST", "annotators", _post_annotators)
    control.route("GET", "labeling-jobs", lambda _groups, _body: (200, list_jobs()))
    control.reset_hooks.append(reset)
    if settings.current.annotators is not None:
        labeling_jobs.set_annotators(json.loads(settings.current.annotators.read_text(encoding="utf-8")))


def _post_annotators(_groups: dict[str, str], body: Any) -> tuple[int, Any]:
    try:
        # Without a body the annotators go home.
        labeling_jobs.set_annotators(body or None)
    except InvalidAnnotators as error:
        return 400, {"message": str(error)}
    return 200, {}
