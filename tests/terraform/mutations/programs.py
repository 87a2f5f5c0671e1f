"""Mistakes in how the Batch program is started."""

from __future__ import annotations

from terraform.mutations.places import LOOP, MAIN, MODULES

MUTATIONS = [
    (
        "every_job_is_a_subcommand_and_every_subcommand_a_job",
        LOOP,
        '"subcommand": "evaluate"',
        '"subcommand": "evaluation"',
        "state Evaluate asks for evaluation",
    ),
    (
        "every_job_is_a_subcommand_and_every_subcommand_a_job",
        "batch_image/truthloop_batch/__main__.py",
        "SUBCOMMANDS = {",
        'SUBCOMMANDS = {"explain": Subcommand("truthloop_batch.explanation", "", ""),',
        "no state asks for the subcommand explain",
    ),
    (
        "every_subcommand_has_its_module",
        "batch_image/truthloop_batch/__main__.py",
        '"truthloop_batch.scoring"',
        '"truthloop_batch.score"',
        "names truthloop_batch.score",
    ),
    (
        "every_subcommand_has_its_module",
        "batch_image/truthloop_batch/training.py",
        "def run(context: Context)",
        "def run(context: Context, seed: int)",
        "the subcommand train names",
    ),
    (
        "the_job_passes_the_arguments_that_the_program_takes",
        MAIN,
        '"--campaign-uri"',
        '"--campaign"',
        "passes --campaign, which",
    ),
    (
        "the_job_passes_the_arguments_that_the_program_takes",
        MAIN,
        ', "--round", "Ref::round"',
        "",
        "does not pass --round",
    ),
    (
        "the_job_passes_the_arguments_that_the_program_takes",
        MAIN,
        '"--round", "Ref::round"',
        '"--round", "Ref::campaign_uri"',
        "passes Ref::campaign_uri as --round",
    ),
    (
        "the_job_passes_the_arguments_that_the_program_takes",
        MAIN,
        '["Ref::subcommand", ',
        '["run", ',
        "begins with run",
    ),
    (
        "the_image_starts_the_program_as_nobody_in_particular",
        "batch_image/Dockerfile",
        '"-m", "truthloop_batch"',
        '"-m", "truthloop_program"',
        "starts no program",
    ),
    (
        "the_image_starts_the_program_as_nobody_in_particular",
        "batch_image/Dockerfile",
        "USER 10001",
        "USER root",
        "runs the program as root",
    ),
    (
        "the_image_starts_the_program_as_nobody_in_particular",
        "batch_image/Dockerfile",
        "COPY lambdas/shared/truthloop ",
        "COPY shared/truthloop ",
        "does not copy lambdas/shared/truthloop",
    ),
    (
        "the_image_starts_the_program_as_nobody_in_particular",
        f"{MODULES}/batch/main.tf",
        "image = var.image",
        'image = var.image\n entryPoint = ["python"]',
        "overrides what the image starts",
    ),
    (
        "the_image_starts_the_program_as_nobody_in_particular",
        "batch_image/Dockerfile",
        "COPY batch_image/requirements.txt",
        "COPY requirements.txt",
        "copies requirements.txt, which does not exist",
    ),
]
