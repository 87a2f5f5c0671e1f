"""Every check notices the mistake that it is there for."""

from __future__ import annotations

import pytest

from terraform.checks import CHECKS
from terraform.repository import Repository

MAIN = "terraform/main.tf"
POLICIES = "terraform/iam_policies.tf"
LOOP = "terraform/state_machines/active_learning_loop.asl.json"
MODULES = "terraform/modules"

# Check, file, what stands there, what shall stand there instead (None: no file), part of the problem.
MUTATIONS = [
    # shape
    ("every_stack_has_its_files", f"{MODULES}/batch/README.md", None, None, "modules/batch lacks README.md"),
    (
        "every_variable_is_described_and_typed",
        "terraform/variables.tf",
        'description = "Tag of the Batch image."',
        "",
        "image_tag has no description",
    ),
    (
        "every_variable_is_described_and_typed",
        f"{MODULES}/batch/variables.tf",
        "type        = list(string)",
        "type        = list(any)",
        "command has no exact type",
    ),
    (
        "a_variable_is_null_only_where_null_means_something",
        f"{MODULES}/table/variables.tf",
        "nullable    = false",
        "",
        "hash_key needs",
    ),
    (
        "every_validation_says_what_is_allowed",
        f"{MODULES}/table/variables.tf",
        "The table name must have",
        "the table name must have",
        "variable name",
    ),
    (
        "every_output_is_described",
        "terraform/outputs.tf",
        'description = "ARN of the Batch job queue."',
        "",
        "job_queue_arn",
    ),
    (
        "every_readme_lists_the_inputs_and_outputs",
        f"{MODULES}/storage/variables.tf",
        "default     = 90",
        "default     = 30",
        "| `30` |",
    ),
    (
        "every_readme_lists_the_inputs_and_outputs",
        f"{MODULES}/storage/outputs.tf",
        'output "bucket_arn"',
        'output "arn"',
        "## Outputs",
    ),
    (
        "every_module_readme_has_an_example_with_a_pinned_source",
        f"{MODULES}/table/README.md",
        "?ref=v0.1.0",
        "",
        "modules/table/README.md",
    ),
    (
        "all_stacks_want_the_same_versions",
        f"{MODULES}/table/versions.tf",
        ">= 5.100",
        ">= 6.0",
        "modules/table/versions.tf differs",
    ),
    (
        "all_stacks_want_the_same_versions",
        "terraform/versions.tf",
        "required_providers {",
        'required_providers {\n    random = { source = "hashicorp/random" }',
        "requires random, aws",
    ),
    (
        "modules_leave_provider_and_backend_to_the_root",
        f"{MODULES}/table/main.tf",
        'resource "aws_dynamodb_table"',
        'provider "aws" {}\nresource "aws_dynamodb_table"',
        "modules/table configures a provider",
    ),
    (
        "the_root_only_composes",
        MAIN,
        'module "storage" {',
        'resource "aws_s3_bucket" "data" {}\nmodule "storage" {',
        "aws_s3_bucket.data",
    ),
    (
        "terraform_builds_and_runs_nothing",
        f"{MODULES}/lambda_layer/main.tf",
        "compatible_runtimes",
        'provisioner "local-exec" { command = "zip" }\n  compatible_runtimes',
        "has a provisioner",
    ),
    (
        "terraform_builds_and_runs_nothing",
        f"{MODULES}/lambda_layer/main.tf",
        'resource "aws_lambda_layer_version"',
        'data "archive_file" "this" {}\nresource "aws_lambda_layer_version"',
        "archive_file.this is nothing of AWS",
    ),
    (
        "only_what_both_majors_of_the_provider_accept_is_used",
        f"{MODULES}/batch/main.tf",
        'type  = "MANAGED"',
        'type  = "MANAGED"\n  name = var.name_prefix',
        "sets name",
    ),
    (
        "only_what_both_majors_of_the_provider_accept_is_used",
        f"{MODULES}/network/main.tf",
        'data "aws_availability_zones"',
        'data "aws_region" "current" {}\ndata "aws_availability_zones"',
        "data.aws_region",
    ),
    # wiring
    (
        "every_reference_resolves_and_nothing_is_declared_in_vain",
        MAIN,
        "var.notification_emails",
        "var.emails",
        "refers to var.emails",
    ),
    (
        "every_reference_resolves_and_nothing_is_declared_in_vain",
        MAIN,
        "var.notification_emails",
        "[]",
        "declares var.notification_emails",
    ),
    (
        "every_reference_resolves_and_nothing_is_declared_in_vain",
        f"{MODULES}/batch/main.tf",
        "aws_iam_role.job.arn",
        "aws_iam_role.program.arn",
        "refers to aws_iam_role.program",
    ),
    (
        "every_reference_resolves_and_nothing_is_declared_in_vain",
        f"{MODULES}/lambda_function/main.tf",
        "/aws/lambda/${var.function_name}",
        "/aws/lambda/${var.name}",
        "refers to var.name",
    ),
    ("every_module_call_fits_the_module", MAIN, "hash_key ", "partition_key ", "has no input partition_key"),
    ("every_module_call_fits_the_module", MAIN, "hash_key ", "tags ", "is not given hash_key"),
    ("every_module_call_fits_the_module", MAIN, "./modules/table", "./modules/tables", "which is no module"),
    ("every_module_call_fits_the_module", MAIN, ".queue_arn", ".arn", "module.dead_letter_queue.arn"),
    (
        "every_module_call_fits_the_module",
        "terraform/bootstrap/main.tf",
        "../modules/ecr_repository",
        "../modules/storage",
        "modules/ecr_repository is used by no root",
    ),
    # names and environments
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
        "every_environment_sets_the_same_variables",
        "terraform/envs/dev.tfvars",
        "protect_data ",
        "protected ",
        "dev.tfvars does not set protect_data",
    ),
    (
        "every_environment_sets_the_same_variables",
        "terraform/envs/local.tfvars",
        "protect_data ",
        "protected ",
        "local.tfvars sets protected, which is no variable",
    ),
    (
        "every_environment_has_a_locked_state_of_its_own",
        "terraform/envs/dev.s3.tfbackend",
        "use_lockfile = true",
        "use_lockfile = false",
        "use_lockfile = true",
    ),
    (
        "every_environment_has_a_locked_state_of_its_own",
        "terraform/envs/dev.s3.tfbackend",
        "use_lockfile = true",
        'use_lockfile = true\ndynamodb_table = "locks"',
        "sets dynamodb_table",
    ),
    ("every_environment_has_a_locked_state_of_its_own", "terraform/envs/dev.tfvars", None, None, "envs/dev"),
    (
        "the_provider_is_held_to_its_accounts_and_tags_everything",
        "terraform/bootstrap/providers.tf",
        "allowed_account_ids = var.allowed_account_ids",
        "",
        "terraform/bootstrap: the provider has no allowed_account_ids",
    ),
    (
        "no_account_region_or_partition_is_written_down",
        "terraform/locals.tf",
        "arn:${local.partition}:iam",
        "arn:aws:iam",
        "a partition",
    ),
    (
        "no_account_region_or_partition_is_written_down",
        "terraform/locals.tf",
        "${local.account_id}.dkr",
        "111122223333.dkr",
        "an account id",
    ),
    (
        "no_account_region_or_partition_is_written_down",
        "terraform/locals.tf",
        ".ecr.${var.aws_region}",
        ".ecr.ap-northeast-1",
        "a region",
    ),
    # functions
    (
        "every_function_folder_is_deployed_and_no_other",
        "terraform/functions.tf",
        "    decide = {",
        "    decision = {",
        "lambdas/decide is not among",
    ),
    (
        "every_function_folder_is_deployed_and_no_other",
        "lambdas/decide/handler.py",
        None,
        None,
        "no lambdas/decide/handler.py",
    ),
    (
        "every_handler_exists",
        "lambdas/decide/handler.py",
        "def lambda_handler(",
        "def handle(",
        "lambdas/decide has no handler.lambda_handler",
    ),
    (
        "every_function_gets_exactly_the_environment_that_it_declares",
        "terraform/functions.tf",
        "LEDGER_TABLE ",
        "LEDGER ",
        "lambdas/decide declares LEDGER_TABLE, which Terraform does not set",
    ),
    (
        "every_function_gets_exactly_the_environment_that_it_declares",
        "lambdas/decide/handler.py",
        "    LEDGER_TABLE: str\n",
        "",
        "Terraform sets LEDGER_TABLE, which lambdas/decide does not declare",
    ),
    (
        "every_function_gets_exactly_the_environment_that_it_declares",
        "lambdas/decide/handler.py",
        "settings = environment.load(Environment)",
        'settings = os.environ["X"]',
        "past its declaration",
    ),
    (
        "packages_are_built_for_the_python_that_runs_them",
        f"{MODULES}/lambda_function/main.tf",
        "python3.12",
        "python3.11",
        "functions run on python3.11",
    ),
    (
        "a_package_that_changes_is_deployed",
        f"{MODULES}/lambda_function/main.tf",
        "filebase64sha256(",
        "filesha1(",
        "source_code_hash",
    ),
    (
        "what_fails_after_an_event_is_kept",
        "terraform/functions.tf",
        "asynchronous    = true",
        "asynchronous    = false",
        "invokes release_labeling_job",
    ),
    (
        "every_task_type_has_a_template_that_is_uploaded",
        "terraform/locals.tf",
        "*/template.liquid.html",
        "*/template.html",
        "does not upload",
    ),
    # the loop
    (
        "the_loop_gets_exactly_what_it_names",
        LOOP,
        "${decide_function_arn}",
        "${decision_function_arn}",
        "names decision_function_arn",
    ),
    (
        "the_loop_gets_exactly_what_it_names",
        LOOP,
        '"${decide_function_arn}"',
        '"${decide_function_arn}:live"',
        "not the whole of a text",
    ),
    (
        "the_loop_may_invoke_its_functions_and_no_other",
        POLICIES,
        "      local.function_arns.decide,\n",
        "",
        "${local.function_arns.decide}, but may not",
    ),
    (
        "the_loop_may_invoke_its_functions_and_no_other",
        POLICIES,
        "      local.function_arns.decide,\n",
        "      local.function_arns.decide,\n      local.function_arns.pre_annotation,\n",
        "pre_annotation}, but does not",
    ),
    (
        "the_loop_may_submit_its_jobs",
        POLICIES,
        "[local.arns.job_queue, ",
        "[",
        "JobQueue ${local.arns.job_queue}, but may not",
    ),
    (
        "every_job_gets_exactly_the_parameters_of_its_command",
        MAIN,
        "Ref::campaign_uri",
        "Ref::campaign",
        "does not pass campaign",
    ),
    (
        "every_job_gets_exactly_the_parameters_of_its_command",
        LOOP,
        '"subcommand": "train"',
        '"command": "train"',
        "state Train passes command",
    ),
    (
        "no_function_may_run_longer_than_its_state_waits",
        "terraform/functions.tf",
        "timeout_seconds = 300",
        "timeout_seconds = 900",
        "for decide, which may run 900 s",
    ),
    # rights
    (
        "every_star_has_its_reason_above_it",
        POLICIES,
        "    # The action knows no resources.\n",
        "",
        "has a star without a reason",
    ),
    (
        "every_star_has_its_reason_above_it",
        POLICIES,
        "resources = [local.arns.ledger_table]",
        'resources = [\n      "*",\n    ]',
        "has a star without a reason",
    ),
    ("no_action_is_allowed_by_a_star", POLICIES, '"sns:Publish"', '"sns:*"', "allows sns:*"),
    (
        "everybody_is_only_ever_refused",
        f"{MODULES}/storage/iam.tf",
        'effect = "Deny"',
        'effect = "Allow"',
        "allows something to everybody",
    ),
    (
        "roles_are_passed_one_by_one_and_to_one_service",
        POLICIES,
        "iam:PassedToService",
        "iam:AssociatedResourceArn",
        "without iam:PassedToService",
    ),
    (
        "roles_are_passed_one_by_one_and_to_one_service",
        POLICIES,
        "resources = [local.arns.labeling_role]",
        'resources = ["${local.arns.labeling_role}*"]',
        "by a star",
    ),
    (
        "services_take_roles_only_for_this_account",
        f"{MODULES}/labeling/iam.tf",
        "aws:SourceAccount",
        "aws:SourceOrgID",
        "lets sagemaker.amazonaws.com",
    ),
    (
        "roles_have_inline_policies_and_a_boundary",
        f"{MODULES}/labeling/iam.tf",
        "permissions_boundary = var.permissions_boundary_arn",
        "",
        "takes no permissions boundary",
    ),
    (
        "roles_have_inline_policies_and_a_boundary",
        f"{MODULES}/labeling/iam.tf",
        'resource "aws_iam_role_policy"',
        'resource "aws_iam_policy_attachment"',
        "aws_iam_policy_attachment.this",
    ),
    (
        "options_of_the_stack_reach_every_module",
        MAIN,
        "  kms_key_arn = var.kms_key_arn\n",
        "",
        "does not pass kms_key_arn on to module",
    ),
    (
        "every_function_has_a_policy_of_its_own",
        "terraform/functions.tf",
        "aws_iam_policy_document.merge_labels.json",
        "aws_iam_policy_document.prepare.json",
        "function merge_labels has the policy",
    ),
    (
        "what_invokes_a_function_is_named",
        f"{MODULES}/event_rule/main.tf",
        "source_arn    = aws_cloudwatch_event_rule.this.arn",
        "",
        "names no source_arn",
    ),
    # data
    (
        "the_bucket_is_private_encrypted_versioned_and_tidy",
        f"{MODULES}/storage/main.tf",
        "block_public_policy     = true",
        "block_public_policy     = false",
        "block_public_policy",
    ),
    (
        "the_bucket_is_private_encrypted_versioned_and_tidy",
        f"{MODULES}/storage/main.tf",
        '"aws_s3_bucket_versioning"',
        '"aws_s3_bucket_logging"',
        "no aws_s3_bucket_versioning",
    ),
    (
        "nothing_waits_for_the_slowest_resource",
        f"{MODULES}/storage/main.tf",
        "depends_on = [aws_s3_bucket_public_access_block.this]",
        "depends_on = [aws_s3_bucket_lifecycle_configuration.this]",
        "most of a minute",
    ),
    (
        "unencrypted_transport_is_refused",
        f"{MODULES}/notifications/iam.tf",
        "aws:SecureTransport",
        "aws:ViaAWSService",
        "module notifications",
    ),
    (
        "every_table_is_encrypted_protected_and_can_be_restored",
        f"{MODULES}/table/main.tf",
        "point_in_time_recovery {\n    enabled = true",
        "point_in_time_recovery {\n    enabled = false",
        "point-in-time",
    ),
    (
        "every_table_is_encrypted_protected_and_can_be_restored",
        MAIN,
        "= var.protect_data",
        "= false",
        "module jobs_table is not protected",
    ),
    (
        "what_runs_leaves_logs_that_expire_and_traces",
        f"{MODULES}/batch/main.tf",
        "retention_in_days = var.log_retention_in_days",
        "",
        "modules/batch: log group this",
    ),
    (
        "what_runs_leaves_logs_that_expire_and_traces",
        f"{MODULES}/lambda_function/main.tf",
        "depends_on = [aws_cloudwatch_log_group.this, ",
        "depends_on = [",
        "before its log group",
    ),
    (
        "the_compute_environment_can_be_changed_and_replaced",
        f"{MODULES}/batch/main.tf",
        "create_before_destroy = true",
        "create_before_destroy = false",
        "before its successor",
    ),
    (
        "a_job_definition_always_means_the_same_program",
        f"{MODULES}/ecr_repository/main.tf",
        '"IMMUTABLE"',
        '"MUTABLE"',
        "image tags may move",
    ),
]


@pytest.fixture(scope="module")
def repository() -> Repository:
    return Repository.load()


@pytest.mark.parametrize(("name", "path", "old", "new", "problem"), MUTATIONS)
def test_a_check_notices_its_mistake(
    name: str, path: str, old: str | None, new: str | None, problem: str, repository: Repository
) -> None:
    gone = old is None or new is None
    changed = repository.without(path) if gone else repository.edited(path, old, new)
    found = list(CHECKS[name](changed))
    assert any(problem in text for text in found), found


def test_every_check_has_been_seen_to_notice_something() -> None:
    assert {name for name, *_ in MUTATIONS} == set(CHECKS)
