"""Mistakes in names."""

from __future__ import annotations

from terraform.mutations.places import MAIN, MODULES

MUTATIONS = [
    (
        "every_name_begins_with_the_prefix",
        "terraform/locals.tf",
        '"${var.name_prefix}-ledger"',
        '"truthloop-ledger"',
        "ledger_table",
    ),
    (
        "every_name_begins_with_the_prefix",
        MAIN,
        '"${var.name_prefix}-reconcile',
        '"reconcile',
        "reconcile-labeling-jobs",
    ),
    (
        "modules_take_their_names_from_their_inputs",
        f"{MODULES}/notifications/main.tf",
        "= var.name\n",
        '= "notifications"\n',
        "fixed name 'notifications'",
    ),
    (
        "no_name_is_longer_than_its_service_allows",
        "terraform/variables.tf",
        "length(var.name_prefix) <= 32",
        "length(var.name_prefix) <= 48",
        "labeling-job-state-change",
    ),
    (
        "no_name_is_longer_than_its_service_allows",
        "terraform/variables.tf",
        "length(var.name_prefix) <= 32",
        "true",
        "no greatest length",
    ),
    (
        "no_name_is_longer_than_its_service_allows",
        f"{MODULES}/batch/iam.tf",
        '"${var.name_prefix}-batch-execution"',
        '"${var.name_prefix}-batch-execution-of-the-programs-jobs"',
        "of aws_iam_role.execution has 69 of 64",
    ),
    (
        "no_name_is_longer_than_its_service_allows",
        f"{MODULES}/batch/main.tf",
        'resource "aws_batch_job_queue"',
        'resource "aws_batch_scheduling_policy"',
        "how long may the name of aws_batch_scheduling_policy.this be",
    ),
    (
        "an_arn_is_made_of_the_name_that_its_module_gives",
        f"{MODULES}/batch/main.tf",
        '"${var.name_prefix}-program"',
        '"${var.name_prefix}-job"',
        "local.arns.job_definition does not end in",
    ),
    (
        "an_arn_is_made_of_the_name_that_its_module_gives",
        MAIN,
        '"${var.name_prefix}-${replace(each.key, "_", "-")}"',
        '"${var.name_prefix}-fn-${replace(each.key, "_", "-")}"',
        "local.function_arns does not end in",
    ),
    (
        "an_arn_is_made_of_the_name_that_its_module_gives",
        "terraform/locals.tf",
        "table/${local.names.ledger_table}",
        "table/${local.names.jobs_table}",
        "local.arns.ledger_table is made of the name of jobs_table",
    ),
    (
        "the_command_line_knows_what_names_are_allowed",
        "terraform/variables.tf",
        "length(var.name_prefix) <= 32",
        "length(var.name_prefix) <= 30",
        "NAME_PREFIX_LONGEST",
    ),
    (
        "the_command_line_knows_what_names_are_allowed",
        "scripts/truthloop_cli/environments.py",
        'NAME_PREFIX_PATTERN = r"^[a-z]',
        'NAME_PREFIX_PATTERN = r"^[a-zA-Z]',
        "NAME_PREFIX_PATTERN is not",
    ),
    (
        "the_command_line_knows_what_names_are_allowed",
        "terraform/variables.tf",
        "[a-zA-Z0-9._-]{0,127}",
        "[a-zA-Z0-9._-]{0,63}",
        "IMAGE_TAG_PATTERN is not",
    ),
    (
        "an_arn_is_made_of_the_name_that_its_module_gives",
        "terraform/locals.tf",
        "table/${local.names.ledger_table}",
        "table/${local.names.ledger}",
        "local.names.ledger, which does not exist",
    ),
    (
        "no_name_is_longer_than_its_service_allows",
        "terraform/bootstrap/variables.tf",
        "length(var.name_prefix) <= 32",
        "length(var.name_prefix) <= 48",
        "terraform/bootstrap: module state",
    ),
]
