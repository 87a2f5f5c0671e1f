"""What moto's AWS Budgets lacks and Terraform asks for: subscribers, tags, and a budget's change."""

from __future__ import annotations

import json
from typing import Any

from moto.budgets.exceptions import NotFoundException
from moto.budgets.models import Budget, BudgetsBackend
from moto.budgets.responses import BudgetsResponse

from local_aws import patches

# What tells one notification of a budget from another; the rest is its state.
_IDENTITY = ("NotificationType", "ComparisonOperator", "Threshold", "ThresholdType")


def install() -> None:
    """Add the operations to moto's class of responses."""
    for operation in (
        describe_subscribers_for_notification,
        list_tags_for_resource,
        tag_resource,
        untag_resource,
        update_budget,
    ):
        patches.add(BudgetsResponse, operation.__name__, operation)
    patches.add(Budget, "resource_tags", None)

    @patches.method(BudgetsResponse)
    def create_budget(self: BudgetsResponse) -> str:
        answer: str = create_budget.original(self)
        _budget(self, self._get_param("Budget")["BudgetName"]).resource_tags = {
            tag["Key"]: tag["Value"] for tag in self._get_param("ResourceTags") or []
        }
        return answer


def describe_subscribers_for_notification(self: BudgetsResponse) -> str:
    """https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_budgets_DescribeSubscribersForNotification.html"""
    wanted = _identity(self._get_param("Notification"))
    for notification in _budget(self, self._get_param("BudgetName")).notifications:
        if _identity(notification.details) == wanted:
            return json.dumps({"Subscribers": notification.subscribers})
    raise NotFoundException(f"Unable to find the notification {wanted} of the budget.")


def list_tags_for_resource(self: BudgetsResponse) -> str:
    """https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_budgets_ListTagsForResource.html"""
    tags = _tagged(self).resource_tags
    return json.dumps({"ResourceTags": [{"Key": key, "Value": value} for key, value in tags.items()]})


def tag_resource(self: BudgetsResponse) -> str:
    """https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_budgets_TagResource.html"""
    _tagged(self).resource_tags |= {tag["Key"]: tag["Value"] for tag in self._get_param("ResourceTags")}
    return "{}"


def untag_resource(self: BudgetsResponse) -> str:
    """https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_budgets_UntagResource.html"""
    for key in self._get_param("ResourceTagKeys"):
        _tagged(self).resource_tags.pop(key, None)
    return "{}"


def update_budget(self: BudgetsResponse) -> str:
    """https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_budgets_UpdateBudget.html"""
    changed = self._get_param("NewBudget")
    budget = _budget(self, changed["BudgetName"])
    budget.budget = {**budget.budget, **changed}
    return "{}"


def _budget(response: BudgetsResponse, name: str) -> Any:
    backend: BudgetsBackend = response.backend
    budgets = backend.budgets[response._get_param("AccountId") or response.current_account]
    if name not in budgets:
        raise NotFoundException(f"Unable to get budget: {name} - the budget doesn't exist.")
    return budgets[name]


def _tagged(response: BudgetsResponse) -> Any:
    # arn:aws:budgets::<account>:budget/<name>
    return _budget(response, str(response._get_param("ResourceARN")).partition(":budget/")[2])


def _identity(notification: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(notification.get(key) for key in _IDENTITY)
