"""Mistakes in what refers to what."""

from __future__ import annotations

from terraform.mutations.places import EXAMPLES, MAIN, MODULES

MUTATIONS = [
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
    (
        "every_module_call_fits_the_module",
        "terraform/bootstrap/main.tf",
        "../modules/ecr_repository",
        "../modules/storage",
        "modules/ecr_repository is used by no root",
    ),
    (
        "every_module_call_fits_the_module",
        MAIN,
        "module.notifications.topic_arn",
        "module.notifications.arn",
        "module.notifications.arn",
    ),
    (
        "every_module_call_fits_the_module",
        f"{EXAMPLES}/table/main.tf",
        "hash_key",
        "partition_key",
        "examples/table: module",
    ),
    (
        "every_reference_resolves_and_nothing_is_declared_in_vain",
        f"{EXAMPLES}/batch/main.tf",
        "module.network.vpc_id",
        "module.vpc.vpc_id",
        "examples/batch refers to module.vpc",
    ),
    (
        "modules_come_from_this_repository",
        MAIN,
        '"./modules/table"',
        '"terraform-aws-modules/dynamodb-table/aws"',
        "not a folder of this repository",
    ),
    (
        "inputs_of_the_stack_have_the_types_of_its_modules",
        "terraform/variables.tf",
        "max_vcpus = optional(number)",
        "max_vcpus = optional(string)",
        "var.batch.max_vcpus to module batch",
    ),
    (
        "inputs_of_the_stack_have_the_types_of_its_modules",
        f"{MODULES}/batch/variables.tf",
        "memory_mib = optional(number",
        "memory_gib = optional(number",
        "var.batch.job to module batch",
    ),
    (
        "every_field_of_the_stacks_inputs_is_used",
        MAIN,
        "var.batch.max_vcpus",
        "64",
        "the root takes batch.max_vcpus",
    ),
]
