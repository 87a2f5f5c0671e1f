"""Mistakes in alarms and metrics."""

from __future__ import annotations

from terraform.mutations.places import ALARMS, MAIN, MODULES

MUTATIONS = [
    (
        "every_alarm_tells_somebody",
        ALARMS,
        "alarm_actions = [var.alarm_topic_arn]",
        "alarm_actions = []",
        "does not notify the topic",
    ),
    (
        "every_alarm_tells_somebody",
        ALARMS,
        "alarm_actions = [var.alarm_topic_arn]",
        "alarm_actions = [var.alarm_topic_arn]\n  actions_enabled = false",
        "is silent",
    ),
    (
        "every_alarm_says_what_no_data_means",
        ALARMS,
        'treat_missing_data = "notBreaching"',
        "",
        "does not say what missing data mean",
    ),
    (
        "every_alarm_says_what_no_data_means",
        ALARMS,
        "insufficient_data_actions = [var.alarm_topic_arn]",
        "",
        "tells nobody",
    ),
    (
        "every_alarm_says_what_to_do_as_its_readme_does",
        f"{MODULES}/monitoring/README.md",
        "| `dead-letters` |",
        "| `dead-events` |",
        "no row for the alarm dead-letters",
    ),
    (
        "every_alarm_says_what_to_do_as_its_readme_does",
        f"{MODULES}/monitoring/README.md",
        "| `dead-letters` |",
        "| `dead-events` |",
        "describes dead-events, which is no alarm",
    ),
    (
        "every_alarm_says_what_to_do_as_its_readme_does",
        ALARMS,
        "Events or calls failed for good",
        "Events failed",
        "says something else than its row",
    ),
    (
        "every_metric_that_is_watched_is_one_that_a_function_writes",
        "lambdas/shared/truthloop/metrics.py",
        '"HoursWithoutProgress"',
        '"HoursAtRest"',
        "watches HoursWithoutProgress of reconcile_labeling_jobs",
    ),
    (
        "every_metric_that_is_watched_is_one_that_a_function_writes",
        "lambdas/shared/truthloop/metrics.py",
        '"ObjectsFailed"',
        '"ObjectsGivenUp"',
        "merge_labels writes ObjectsGivenUp, which nothing watches",
    ),
    (
        "metrics_of_functions_come_under_the_name_that_is_watched",
        MAIN,
        "metrics_namespace = local.metrics_namespace\n  monthly",
        'metrics_namespace = "Truthloop"\n  monthly',
        "Truthloop is watched",
    ),
    (
        "metrics_of_functions_come_under_the_name_that_is_watched",
        f"{MODULES}/lambda_function/main.tf",
        "POWERTOOLS_METRICS_NAMESPACE = var.metrics_namespace",
        "POWERTOOLS_METRICS_NAMESPACE = var.service_name",
        "does not tell its function the namespace",
    ),
    (
        "metrics_of_functions_come_under_the_name_that_is_watched",
        MAIN,
        "service_name = each.key",
        "service_name = var.name_prefix",
        "not named after their folders",
    ),
    (
        "what_notifies_the_topic_is_let_in_by_it_and_by_its_key",
        f"{MODULES}/notifications/iam.tf",
        "cloudwatch.amazonaws.com",
        "events.amazonaws.com",
        "module notifications does not let cloudwatch.amazonaws.com",
    ),
    (
        "what_notifies_the_topic_is_let_in_by_it_and_by_its_key",
        f"{MODULES}/kms_key/iam.tf",
        "budgets.amazonaws.com",
        "events.amazonaws.com",
        "module kms_key does not let budgets.amazonaws.com",
    ),
    (
        "what_notifies_the_topic_is_let_in_by_it_and_by_its_key",
        f"{MODULES}/notifications/main.tf",
        "kms_master_key_id = var.kms_key_arn",
        'kms_master_key_id = coalesce(var.kms_key_arn, "alias/aws/sns")',
        "a key that lets no service in",
    ),
]
