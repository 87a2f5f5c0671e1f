"""Mistakes in event rules."""

from __future__ import annotations

from terraform.mutations.places import MAIN, MODULES

MUTATIONS = [
    (
        "every_rule_reaches_its_target_or_keeps_the_event",
        f"{MODULES}/event_rule/main.tf",
        "dead_letter_config {",
        "other_config {",
        "is lost",
    ),
    (
        "every_rule_reaches_its_target_or_keeps_the_event",
        f"{MODULES}/event_rule/main.tf",
        "rule = aws_cloudwatch_event_rule.this.name",
        'rule = "another"',
        "no target for its rule",
    ),
    (
        "every_rule_reaches_its_target_or_keeps_the_event",
        f"{MODULES}/event_rule/main.tf",
        "retry_policy {",
        "other_policy {",
        "retries are not stated",
    ),
    (
        "every_rule_reaches_its_target_or_keeps_the_event",
        MAIN,
        'schedule_expression = "rate(15 minutes)"',
        "",
        "either a pattern or a schedule",
    ),
    (
        "every_rule_waits_for_events_that_exist",
        MAIN,
        '"SageMaker Ground Truth Labeling Job State Change"',
        '"SageMaker Labeling Job State Change"',
        "which is not known",
    ),
    (
        "every_rule_waits_for_events_that_exist",
        MAIN,
        "LabelingJobStatus",
        "LabelingJobState",
        "filters by LabelingJobState",
    ),
    (
        "every_rule_waits_for_no_more_than_it_needs",
        MAIN,
        'detail = { LabelingJobStatus = ["Completed", "Failed", "Stopped"] }',
        "",
        "takes every event",
    ),
    (
        "every_rule_waits_for_no_more_than_it_needs",
        MAIN,
        '["Completed", "Failed", "Stopped"]',
        '["Completed", "Failed"]',
        "waits for ['Completed', 'Failed']",
    ),
    (
        "no_rule_sets_itself_off",
        MAIN,
        'module.function["release_labeling_job"]',
        'module.function["create_labeling_job"]',
        "which may sagemaker:CreateLabelingJob",
    ),
    (
        "no_rule_sets_itself_off",
        MAIN,
        'module.function["release_labeling_job"].function_arn',
        "local.arns.state_machine",
        "something else than one of the stack's functions",
    ),
]
