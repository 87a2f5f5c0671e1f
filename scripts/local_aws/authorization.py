"""What the roles and resource policies of this account allow, as IAM would decide on each call."""

from __future__ import annotations

import json

from moto.awslambda.models import lambda_backends
from moto.iam.models import Role, iam_backends
from moto.s3.models import s3_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from local_aws import calls, policies, settings
from local_aws.policies import Caller, Decision, Kind, Outcome, Policy, Request, Undecidable
from local_aws.resources import Need
from local_aws.roles import Session

# Lambda alone tells a role's trust policy nothing about the function that it takes the role for.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
_WITHOUT_SOURCE = ("lambda.amazonaws.com",)


class Refused(Exception):
    """A call that is not allowed; the message is AWS's."""

    def __init__(self, user: str, need: Need, decision: Decision) -> None:
        article = "an" if decision.kind is Kind.IDENTITY else "a"
        if decision.outcome is Outcome.EXPLICITLY_DENIED:
            reason = f"with an explicit deny in {article} {decision.kind}"
        else:
            reason = f"because no {decision.kind} allows the {need.action} action"
        # S3 alone puts the resource into quotes.
        resource = f'"{need.resource}"' if need.action.startswith("s3:") else need.resource
        super().__init__(
            f"User: {user} is not authorized to perform: {need.action} on resource: {resource} {reason}"
        )
        self.need = need
        self.decision = decision


def check(session: Session, *needs: Need) -> None:
    """Record the calls of a role, up to the first that is not allowed.

    Raises
    ------
    Refused
        If a call is not allowed.
    policies.Undecidable
        If it cannot be decided.
    """
    for need in needs:
        service, action = need.action.split(":")
        allowed = False
        try:
            decision = decide(session, need)
            allowed = decision.allowed
        finally:
            calls.record(session.role_arn, service, action, need.resource, allowed)
        if not allowed:
            raise Refused(session.arn, need, decision)


def decide(session: Session, need: Need) -> Decision:
    """Decide on a call of a role by the policies as they are now; a role that is gone may nothing."""
    context = {
        "aws:principalaccount": settings.ACCOUNT_ID,
        "aws:principalarn": session.role_arn,
        "aws:principalisawsservice": "false",
        "aws:principaltype": "AssumedRole",
        "aws:sourceowner": settings.ACCOUNT_ID,
        **need.context,
    }
    request = _request(Caller(session.arn, session.role_arn), need, context)
    role = _role(session.role_arn)
    if role is None:
        return policies.decide(request)
    return policies.decide(request, _identity(role), _boundary(role), _resource_policy(need.resource))


def lets_in(service: str, source_arn: str, need: Need) -> bool:
    """Tell whether the policy of a resource lets an AWS service in, on behalf of another resource.

    Parameters
    ----------
    service
        Such as ``events.amazonaws.com``.
    source_arn
        On whose behalf, such as the ARN of a rule.
    need
        What the service wants to do with the resource.
    """
    return _lets_in(service, source_arn, need, _resource_policy(need.resource))


def trusts(role_arn: str, service: str, source_arn: str) -> bool:
    """Tell whether a role exists and its trust policy lets a service take it on behalf of a resource."""
    role = _role(role_arn)
    return role is not None and _lets_in(
        service,
        source_arn,
        Need("sts:AssumeRole", role_arn),
        policies.parse(f"{role.name} (trust policy)", role.assume_role_policy_document),
    )


def _lets_in(service: str, source_arn: str, need: Need, policy: Policy | None) -> bool:
    context = {
        "aws:principalisawsservice": "true",
        "aws:principalservicename": service,
        **need.context,
    }
    if service not in _WITHOUT_SOURCE:
        context |= {"aws:sourceaccount": settings.ACCOUNT_ID, "aws:sourcearn": source_arn}
    return policies.decide(_request(Caller(service), need, context), resource=policy).allowed


def _request(caller: Caller, need: Need, context: dict[str, str]) -> Request:
    everywhere = {
        "aws:requestedregion": settings.REGION,
        "aws:resourceaccount": settings.ACCOUNT_ID,
        # The embedded AWS has no certificate; a call is taken for what it is in AWS.
        "aws:securetransport": "true",
        "aws:viaawsservice": "false",
    }
    return Request(caller, need.action, need.resource, everywhere | context)


def _role(arn: str) -> Role | None:
    found = list(iam_backends[settings.ACCOUNT_ID]["aws"].roles.values())
    return next((role for role in found if role.arn == arn), None)


def _identity(role: Role) -> list[Policy]:
    inline = list(role.policies.items())
    attached = [(policy.name, policy) for policy in list(role.managed_policies.values())]
    return [
        *(policies.parse(f"{role.name}/{name}", document) for name, document in inline),
        *(policies.parse(name, _document(policy)) for name, policy in attached),
    ]


def _boundary(role: Role) -> Policy | None:
    arn = role.permissions_boundary_arn
    if not arn:
        return None
    found = iam_backends[settings.ACCOUNT_ID]["aws"].managed_policies.get(arn)
    if found is None:
        raise Undecidable(f"The permissions boundary {arn} of the role {role.name} does not exist here.")
    return policies.parse(found.name, _document(found))


def _document(managed: object) -> str:
    return next(version.document for version in managed.versions if version.is_default)  # type: ignore[attr-defined]


def _resource_policy(arn: str) -> Policy | None:
    text = _resource_policy_text(arn)
    return policies.parse(arn, text) if text else None


def _resource_policy_text(arn: str) -> str | None:
    if arn == "*":
        return None
    _, _, service, region, _, resource = arn.split(":", 5)
    account = settings.ACCOUNT_ID
    if service == "s3":
        bucket = s3_backends[account]["aws"].buckets.get(resource.partition("/")[0])
        return bucket.policy.decode() if bucket is not None and bucket.policy else None
    if service == "sqs":
        queue = sqs_backends[account][region].queues.get(resource)
        return queue.policy if queue is not None else None
    if service == "sns":
        topic = sns_backends[account][region].topics.get(arn)
        return topic.policy if topic is not None else None
    if service == "lambda":
        function = lambda_backends[account][region].get_function_by_arn(arn)
        return json.dumps({"Statement": function.policy.statements}) if function is not None else None
    return None
