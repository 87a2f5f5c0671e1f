"""Mistakes in the examples."""

from __future__ import annotations

from terraform.mutations.places import EXAMPLES

MUTATIONS = [
    (
        "every_module_and_the_stack_have_an_example",
        f"{EXAMPLES}/table/main.tf",
        "../../modules/table",
        "../../modules/storage",
        "examples/table does not call terraform/modules/table",
    ),
    (
        "every_module_and_the_stack_have_an_example",
        f"{EXAMPLES}/complete/main.tf",
        '"../.."',
        '"../../modules/table"',
        "examples/complete does not call terraform",
    ),
    (
        "every_example_has_its_two_files",
        f"{EXAMPLES}/table/versions.tf",
        ">= 1.11",
        ">= 1.5",
        "examples/table/versions.tf differs",
    ),
    (
        "every_example_has_its_two_files",
        f"{EXAMPLES}/table/versions.tf",
        None,
        None,
        "examples/table lacks versions.tf",
    ),
    (
        "every_example_has_its_two_files",
        f"{EXAMPLES}/table/main.tf",
        'module "',
        'provider "aws" {}\nmodule "',
        "examples/table must run as it stands",
    ),
    (
        "every_module_and_the_stack_have_an_example",
        f"{EXAMPLES}/table/main.tf",
        None,
        None,
        "examples/table is missing",
    ),
    (
        "every_module_and_the_stack_have_an_example",
        f"{EXAMPLES}/cache/main.tf",
        None,
        'module "cache" {\n  source = "../../modules/cache"\n}\n',
        "examples/cache is an example of nothing",
    ),
    (
        "every_example_has_its_two_files",
        f"{EXAMPLES}/table/README.md",
        None,
        "# An example\n",
        "has a README.md of its own",
    ),
]
