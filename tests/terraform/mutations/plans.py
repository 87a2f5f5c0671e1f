"""Mistakes in Terraform's own tests."""

from __future__ import annotations

TESTS = "terraform/tests"

MUTATIONS = [
    (
        "terraform_tests_ask_the_real_provider",
        f"{TESTS}/stack.tftest.hcl",
        'provider "aws" {',
        'mock_provider "aws" {',
        "does not use the real provider",
    ),
    (
        "terraform_tests_ask_the_real_provider",
        f"{TESTS}/stack.tftest.hcl",
        "command = plan",
        "command = apply",
        "applies, for which there is no AWS",
    ),
    (
        "terraform_tests_ask_the_real_provider",
        f"{TESTS}/inputs.tftest.hcl",
        "expect_failures",
        "failures",
        "claims nothing",
    ),
    (
        "terraform_tests_set_and_replace_what_exists",
        f"{TESTS}/stack.tftest.hcl",
        "module.batch.aws_iam_role.execution",
        "module.batch.aws_iam_role.starter",
        "replaces module.batch.aws_iam_role.starter",
    ),
    (
        "terraform_tests_set_and_replace_what_exists",
        "terraform/variables.tf",
        'variable "create_kms_key"',
        'variable "make_kms_key"',
        "sets create_kms_key, which is no input",
    ),
    (
        "every_validation_of_the_stack_is_seen_to_refuse_something",
        "terraform/variables.tf",
        'variable "tags" {',
        'variable "tags" {\n  validation {\n    condition = length(var.tags) < 50\n  }\n',
        "expects tags to be refused",
    ),
    (
        "every_validation_of_the_stack_is_seen_to_refuse_something",
        f"{TESTS}/inputs.tftest.hcl",
        "var.image_tag,",
        "var.tags,",
        "expects tags to be refused, which has no validation",
    ),
]
