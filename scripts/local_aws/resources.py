"""What IAM checks for a request: the actions with the ARNs that they act on, as IAM names both.

The Service Authorization Reference says for each action which resources it has, and which actions one request
needs: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import unescape

from local_aws import settings

# The services whose clients sign with another name than IAM has for them.
_PREFIXES = {"monitoring": "cloudwatch", "email": "ses"}

# Everybody may: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
_ALWAYS_ALLOWED = {("sts", "GetCallerIdentity")}


class UnknownResources(Exception):
    """Nobody has said yet what IAM checks for an operation."""

    def __init__(self, service: str, name: str) -> None:
        super().__init__(
            f"The embedded AWS does not know what IAM checks for {service}:{name}, so it refuses it to every "
            "role. Add it to scripts/local_aws/resources.py."
        )


@dataclass(frozen=True)
class Need:
    """An action that a caller must be allowed on a resource.

    Attributes
    ----------
    action
        Such as ``s3:GetObject``.
    resource
        An ARN, or ``*`` where the action knows no resources.
    context
        The condition keys of this action.
    """

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """A request to a service.

    Attributes
    ----------
    service
        As the signature names it, such as ``states``.
    name
        The operation, such as ``ListObjectsV2``.
    parameters
        What the request names, in its path or its body.
    region
        The region of the signature.
    environ
        The WSGI environment.
    """

    service: str
    name: str
    parameters: Mapping[str, Any]
    region: str = settings.REGION
    environ: dict[str, Any] = field(default_factory=dict)

    def need(self, resource: str, name: str | None = None, **context: str) -> Need:
        """Return the need of the operation's own action, or of another of the service, on a resource."""
        prefix = _PREFIXES.get(self.service, self.service)
        return Need(f"{prefix}:{name or self.name}", resource, context)

    def arn(self, resource: str, service: str | None = None) -> str:
        """Return the ARN of a resource in the account and the region of the call."""
        return f"arn:aws:{service or self.service}:{self.region}:{settings.ACCOUNT_ID}:{resource}"

    def unknown(self) -> UnknownResources:
        """Return the error of an operation that is in no table."""
        return UnknownResources(_PREFIXES.get(self.service, self.service), self.name)


def needs(call: Call) -> list[Need]:
    """Return all that the caller must be allowed; nothing for what everybody may.

    Raises
    ------
    UnknownResources
        If it isn't known here.
    """
    if (call.service, call.name) in _ALWAYS_ALLOWED:
        return []
    if call.service not in _SERVICES:
        raise call.unknown()
    return [*_SERVICES[call.service](call), *_passed_roles(call)]


# iam:PassRole: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html


def _passed_roles(call: Call) -> Iterator[Need]:
    service, found = _PASSED_TO.get(call.service, ("", ()))
    for name, where in found:
        if re.fullmatch(name, call.name):
            for role in _values(call.parameters, where.split(".")):
                yield Need("iam:PassRole", role, {"iam:passedtoservice": service})


_PASSED_TO: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "batch": (
        "ecs-tasks.amazonaws.com",
        (
            ("RegisterJobDefinition", "containerProperties.executionRoleArn"),
            ("RegisterJobDefinition", "containerProperties.jobRoleArn"),
        ),
    ),
    "events": ("events.amazonaws.com", (("PutTargets", "Targets.*.RoleArn"), ("PutRule", "RoleArn"))),
    "logs": ("logs.amazonaws.com", (("PutSubscriptionFilter", "roleArn"),)),
    "lambda": ("lambda.amazonaws.com", (("CreateFunction|UpdateFunctionConfiguration", "Role"),)),
    "sagemaker": (
        "sagemaker.amazonaws.com",
        (("Create.*", "RoleArn"), ("CreateModel", "ExecutionRoleArn")),
    ),
    "states": ("states.amazonaws.com", (("(Create|Update)StateMachine", "roleArn"),)),
}


def _values(document: Any, path: list[str]) -> Iterator[str]:
    if not path:
        yield document
    elif path[0] == "*":
        for item in document:
            yield from _values(item, path[1:])
    elif isinstance(document, Mapping) and document.get(path[0]):
        yield from _values(document[path[0]], path[1:])


# S3: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html

_S3_ACTIONS = {
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "GetBucketCors": "GetBucketCORS",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListBuckets": "ListAllMyBuckets",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListParts": "ListMultipartUploadParts",
    "PutBucketCors": "PutBucketCORS",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
}
# With a version's id, these are actions of their own.
_S3_VERSIONED = {"DeleteObject", "GetObject", "GetObjectAcl", "GetObjectAttributes", "GetObjectTagging"}
_S3_LISTS = {"ListBucket", "ListBucketVersions"}
_S3_ENCRYPTION = ("x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id")


def s3_arn(bucket: str, key: str | None = None) -> str:
    """Return the ARN of a bucket, or of an object in it."""
    return f"arn:aws:s3:::{bucket}" if key is None else f"arn:aws:s3:::{bucket}/{key}"


def _s3(call: Call) -> Iterator[Need]:
    bucket, key = call.parameters.get("Bucket"), call.parameters.get("Key")
    query = parse_qs(call.environ.get("QUERY_STRING", ""), keep_blank_values=True)
    action = _S3_ACTIONS.get(call.name, call.name)
    context = {}
    if bucket is None:
        if action != "ListAllMyBuckets":
            raise call.unknown()
        yield call.need("*", action)
        return
    if call.name == "DeleteObjects":
        for name in _keys_in_body(call.environ):
            yield call.need(s3_arn(bucket, name), "DeleteObject")
        return
    if "versionId" in query and action in _S3_VERSIONED:
        action = f"{action}Version" if action != "GetObjectTagging" else "GetObjectVersionTagging"
        context["s3:versionid"] = query["versionId"][0]
    if action in _S3_LISTS:
        asked = {name: query[name][0] for name in ("prefix", "delimiter", "max-keys") if name in query}
        context |= {f"s3:{name}": value for name, value in asked.items()}
    if action == "PutObject":
        yield from _s3_beside_put(call, bucket, key)
        for header in _S3_ENCRYPTION:
            if value := _header(call, header):
                context[f"s3:{header}"] = value
    yield call.need(s3_arn(bucket, key), action, **context)
    if call.name in ("GetObject", "HeadObject"):
        yield from missing_object(bucket, str(key), query.get("versionId", [None])[0])


def missing_object(bucket: str, key: str, version_id: str | None = None) -> Iterator[Need]:
    """Yield what must be allowed beside s3:GetObject to be told that an object does not exist.

    Without it the answer is that the object may not be read:
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """
    from local_aws import s3

    if not s3.has_object(bucket, key, version_id):
        yield Need("s3:ListBucket", s3_arn(bucket))


def _s3_beside_put(call: Call, bucket: str, key: str | None) -> Iterator[Need]:
    if source := _header(call, "x-amz-copy-source"):
        where, _, version = unquote(source).lstrip("/").partition("?versionId=")
        from_bucket, _, from_key = where.partition("/")
        yield call.need(s3_arn(from_bucket, from_key), "GetObjectVersion" if version else "GetObject")
    if _header(call, "x-amz-tagging"):
        yield call.need(s3_arn(bucket, key), "PutObjectTagging")
    if _header(call, "x-amz-acl"):
        yield call.need(s3_arn(bucket, key), "PutObjectAcl")
    if _header(call, "if-match"):
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        yield call.need(s3_arn(bucket, key), "GetObject")


def _header(call: Call, name: str) -> str:
    return str(call.environ.get(f"HTTP_{name.upper().replace('-', '_')}", ""))


def _keys_in_body(environ: dict[str, Any]) -> list[str]:
    body = environ["wsgi.input"].read()
    environ["wsgi.input"] = io.BytesIO(body)
    return [unescape(key) for key in re.findall(r"<Key>([^<]*)</Key>", body.decode())]


# DynamoDB: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html

_TRANSACTIONS = {"Get": "GetItem", "Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem"}


def _dynamodb(call: Call) -> Iterator[Need]:
    def table(name: str) -> str:
        return name if name.startswith("arn:") else call.arn(f"table/{name}")

    parameters = call.parameters
    if call.name in ("BatchGetItem", "BatchWriteItem"):
        for name in parameters.get("RequestItems", {}):
            yield call.need(table(name))
    elif call.name in ("TransactGetItems", "TransactWriteItems"):
        for item in parameters.get("TransactItems", []):
            ((kind, operation),) = item.items()
            yield call.need(table(operation["TableName"]), _TRANSACTIONS.get(kind, "ConditionCheckItem"))
    elif "TableName" in parameters:
        arn = table(parameters["TableName"])
        yield call.need(f"{arn}/index/{parameters['IndexName']}" if "IndexName" in parameters else arn)
    elif call.name in ("DescribeLimits", "ListTables"):
        yield call.need("*")
    else:
        raise call.unknown()


# The other services


def _lambda(call: Call) -> Iterator[Need]:
    if "FunctionName" not in call.parameters:
        if call.name != "ListFunctions":
            raise call.unknown()
        yield call.need("*")
        return
    yield call.need(
        function_arn(call.parameters["FunctionName"], _query(call, "Qualifier"), call.region),
        {"Invoke": "InvokeFunction"}.get(call.name),
    )


def function_arn(name: str, qualifier: str | None = None, region: str = settings.REGION) -> str:
    """Return the ARN of a function that is named by its name, its ARN or the end of its ARN."""
    found = unquote(name).rpartition("function:")[2]
    suffix = f":{qualifier}" if qualifier and ":" not in found else ""
    return f"arn:aws:lambda:{region}:{settings.ACCOUNT_ID}:function:{found}{suffix}"


def _query(call: Call, name: str) -> str | None:
    return parse_qs(call.environ.get("QUERY_STRING", "")).get(name, [None])[0]


def _states(call: Call) -> Iterator[Need]:
    if call.name.startswith("SendTask"):
        from local_aws import step_functions

        # A token that was never given out is nobody's; the operation says so.
        if machine := step_functions.machine_of(str(call.parameters.get("taskToken"))):
            yield call.need(machine)
        return
    if call.name in ("ListStateMachines", "ListActivities", "ValidateStateMachineDefinition"):
        yield call.need("*")
        return
    if call.name == "CreateStateMachine":
        yield call.need(call.arn(f"stateMachine:{call.parameters.get('name')}"))
        return
    for name in ("executionArn", "stateMachineArn", "stateMachineVersionArn", "resourceArn"):
        if name in call.parameters:
            yield call.need(call.parameters[name])
            return
    raise call.unknown()


def _sagemaker(call: Call) -> Iterator[Need]:
    parameters = call.parameters
    if call.name.startswith("List") and call.name != "ListTags":
        yield call.need("*")
        return
    if "ResourceArn" in parameters:
        yield call.need(parameters["ResourceArn"])
        return
    for name, kind in _SAGEMAKER_RESOURCES.items():
        if name in parameters:
            # The names in SageMaker's ARNs are written small, whatever the request says.
            resource = call.arn(f"{kind}/{str(parameters[name]).lower()}")
            yield call.need(resource)
            if call.name.startswith("Create") and parameters.get("Tags"):
                yield call.need(resource, "AddTags")
            return
    raise call.unknown()


_SAGEMAKER_RESOURCES = {
    "LabelingJobName": "labeling-job",
    "ProcessingJobName": "processing-job",
    "TrainingJobName": "training-job",
    "TransformJobName": "transform-job",
    "WorkteamName": "workteam/private-crowd",
    "WorkforceName": "workforce",
}


def _batch(call: Call) -> Iterator[Need]:
    parameters = call.parameters
    if call.name == "SubmitJob":
        yield call.need(_batch_arn(call, "job-queue", parameters["jobQueue"]))
        # As the request names it, with a revision or without.
        yield call.need(_batch_arn(call, "job-definition", parameters["jobDefinition"]))
        if parameters.get("tags"):
            yield call.need(call.arn("job/*"), "TagResource")
    elif call.name in ("CancelJob", "TerminateJob"):
        yield call.need(call.arn(f"job/{parameters['jobId']}"))
    elif call.name.startswith(("Describe", "List")):
        yield call.need("*")
    elif call.name == "RegisterJobDefinition":
        yield call.need(call.arn(f"job-definition/{parameters['jobDefinitionName']}"))
    else:
        raise call.unknown()


def _batch_arn(call: Call, kind: str, name: str) -> str:
    return name if name.startswith("arn:") else call.arn(f"{kind}/{name}")


def _logs(call: Call) -> Iterator[Need]:
    group = call.parameters.get("logGroupName")
    if group is None:
        if not call.name.startswith("Describe"):
            raise call.unknown()
        yield call.need("*")
        return
    yield log_need(call.name, group, call.parameters.get("logStreamName", ""), call.region)


def log_need(name: str, group: str, stream: str = "", region: str = settings.REGION) -> Need:
    """Return what an action on a log group or stream needs.

    The resource ends in ``:log-stream:`` also where there is no stream, as AWS's own messages about refused
    requests show: that is why a policy must say ``log-group:NAME:*``.
    """
    arn = f"arn:aws:logs:{region}:{settings.ACCOUNT_ID}:log-group:{group}:log-stream:{stream}"
    return Need(f"logs:{name}", arn)


_ECR_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[\w-]+)\.amazonaws\.com/(?P<repository>[^:@]+)([:@].*)?"
)


def image_needs(image: str) -> list[Need]:
    """Return what is needed to pull an image; nothing for one of another registry than ECR."""
    found = _ECR_IMAGE.fullmatch(image)
    if found is None:
        return []
    arn = f"arn:aws:ecr:{found['region']}:{found['account']}:repository/{found['repository']}"
    return [
        Need("ecr:GetAuthorizationToken", "*"),
        Need("ecr:BatchCheckLayerAvailability", arn),
        Need("ecr:GetDownloadUrlForLayer", arn),
        Need("ecr:BatchGetImage", arn),
    ]


def _events(call: Call) -> Iterator[Need]:
    if call.name == "PutEvents":
        for bus in {entry.get("EventBusName", "default") for entry in call.parameters.get("Entries", [])}:
            yield call.need(bus if bus.startswith("arn:") else call.arn(f"event-bus/{bus}"))
        return
    rule = call.parameters.get("Rule") or call.parameters.get("Name")
    if not rule or not re.search("Rule|Targets", call.name):
        raise call.unknown()
    bus = call.parameters.get("EventBusName", "default")
    yield call.need(call.arn(f"rule/{rule}" if bus == "default" else f"rule/{bus}/{rule}"))


def _sns(call: Call) -> Iterator[Need]:
    arn = call.parameters.get("TopicArn") or call.parameters.get("TargetArn")
    if arn is None and call.name not in ("ListTopics", "Publish"):
        raise call.unknown()
    # A text message to a telephone has no resource.
    yield call.need(arn or "*")


def _sqs(call: Call) -> Iterator[Need]:
    name = call.parameters.get("QueueName") or str(call.parameters.get("QueueUrl", "")).rpartition("/")[2]
    if not name and call.name != "ListQueues":
        raise call.unknown()
    yield call.need(call.arn(name) if name else "*", call.name.removesuffix("Batch"))


def _cloudwatch(call: Call) -> Iterator[Need]:
    if call.name not in ("GetMetricData", "GetMetricStatistics", "ListMetrics", "PutMetricData"):
        raise call.unknown()
    yield call.need("*")


def _cognito(call: Call) -> Iterator[Need]:
    pool = call.parameters.get("UserPoolId")
    if pool is None and call.name != "ListUserPools":
        raise call.unknown()
    yield call.need(call.arn(f"userpool/{pool}") if pool else "*")


_SERVICES: dict[str, Callable[[Call], Iterator[Need]]] = {
    "batch": _batch,
    "cognito-idp": _cognito,
    "dynamodb": _dynamodb,
    "events": _events,
    "lambda": _lambda,
    "logs": _logs,
    "monitoring": _cloudwatch,
    "s3": _s3,
    "sagemaker": _sagemaker,
    "sns": _sns,
    "sqs": _sqs,
    "states": _states,
}
