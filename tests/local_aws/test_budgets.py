"""A budget with notifications and tags can be made, read back, changed and deleted, as Terraform does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from conftest import Account

OWNER = "123456789012"
NOTIFICATION = {
    "NotificationType": "ACTUAL",
    "ComparisonOperator": "GREATER_THAN",
    "Threshold": 80.0,
    "ThresholdType": "PERCENTAGE",
}
SUBSCRIBERS = [{"SubscriptionType": "SNS", "Address": f"arn:aws:sns:us-east-1:{OWNER}:alarms"}]


@pytest.fixture
def budgets(account: Account) -> Any:
    client = account.client("budgets")
    client.create_budget(
        AccountId=OWNER,
        Budget={
            "BudgetName": "monthly",
            "BudgetType": "COST",
            "TimeUnit": "MONTHLY",
            "BudgetLimit": {"Amount": "1000", "Unit": "USD"},
        },
        NotificationsWithSubscribers=[{"Notification": NOTIFICATION, "Subscribers": SUBSCRIBERS}],
        ResourceTags=[{"Key": "Stack", "Value": "team"}],
    )
    yield client
    client.delete_budget(AccountId=OWNER, BudgetName="monthly")


def subscribers(budgets: Any, **changes: Any) -> list[dict[str, Any]]:
    answer = budgets.describe_subscribers_for_notification(
        AccountId=OWNER, BudgetName="monthly", Notification={**NOTIFICATION, **changes}
    )
    found: list[dict[str, Any]] = answer["Subscribers"]
    return found


def test_a_notification_keeps_its_subscribers(budgets: Any) -> None:
    assert subscribers(budgets) == SUBSCRIBERS


def test_another_notification_is_not_found(budgets: Any) -> None:
    with pytest.raises(ClientError, match="NotFoundException"):
        subscribers(budgets, Threshold=100.0)


def test_tags_come_back_and_change(budgets: Any) -> None:
    arn = f"arn:aws:budgets::{OWNER}:budget/monthly"
    budgets.tag_resource(ResourceARN=arn, ResourceTags=[{"Key": "Owner", "Value": "me"}])
    budgets.untag_resource(ResourceARN=arn, ResourceTagKeys=["Stack"])
    assert budgets.list_tags_for_resource(ResourceARN=arn)["ResourceTags"] == [
        {"Key": "Owner", "Value": "me"}
    ]


def test_a_changed_limit_is_read_back(budgets: Any) -> None:
    changed = {
        "BudgetName": "monthly",
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": "500", "Unit": "USD"},
    }
    budgets.update_budget(AccountId=OWNER, NewBudget=changed)
    budget = budgets.describe_budget(AccountId=OWNER, BudgetName="monthly")["Budget"]
    assert budget["BudgetLimit"] == {"Amount": "500", "Unit": "USD"}
