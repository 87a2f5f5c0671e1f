"""Data is private, encrypted and can be restored; what runs leaves logs and traces."""

from __future__ import annotations

from collections.abc import Iterator

from terraform.checks.registry import check
from terraform.checks.rights import statements
from terraform.expressions import references
from terraform.repository import Repository, some

_BUCKET_COMPANIONS = (
    "aws_s3_bucket_lifecycle_configuration",
    "aws_s3_bucket_ownership_controls",
    "aws_s3_bucket_policy",
    "aws_s3_bucket_public_access_block",
    "aws_s3_bucket_server_side_encryption_configuration",
    "aws_s3_bucket_versioning",
)
_PUBLIC_ACCESS = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")


@check
def the_bucket_is_private_encrypted_versioned_and_tidy(repository: Repository) -> Iterator[str]:
    storage = repository.module("storage")
    for kind in _BUCKET_COMPANIONS:
        if not storage.resource(kind):
            yield f"the bucket has no {kind}"
    for key in _PUBLIC_ACCESS:
        if storage.resource("aws_s3_bucket_public_access_block").get(key) is not True:
            yield f"{key} of the bucket is not true"
    if "BucketOwnerEnforced" not in str(storage.resource("aws_s3_bucket_ownership_controls")):
        yield "objects may have owners of their own"
    if "abort_incomplete_multipart_upload" not in str(
        storage.resource("aws_s3_bucket_lifecycle_configuration")
    ):
        yield "unfinished uploads are kept for ever"
    for stack in repository.stacks():
        if any(type_ == "aws_s3_bucket" for type_, _ in stack.typed("resource")) and stack != storage:
            yield f"{stack.path} makes a bucket past the module storage"


@check
def nothing_waits_for_the_slowest_resource(repository: Repository) -> Iterator[str]:
    for address, _ in some(
        list(references(repository.module("storage"))), "references in the module storage"
    ):
        if address.startswith("aws_s3_bucket_lifecycle_configuration."):
            yield "something waits for the bucket's lifecycle configuration, which takes most of a minute"


@check
def unencrypted_transport_is_refused(repository: Repository) -> Iterator[str]:
    for name in ("storage", "dead_letter_queue", "notifications"):
        refused = [
            (condition["variable"], condition["values"])
            for (type_, _), document in repository.module(name).typed("data").items()
            if type_ == "aws_iam_policy_document"
            for statement in statements(document)
            if statement.get("effect") == "Deny"
            for condition in statement["condition"]
        ]
        if ("aws:SecureTransport", ["false"]) not in refused:
            yield f"module {name} does not refuse unencrypted transport"


@check
def every_table_is_encrypted_protected_and_can_be_restored(repository: Repository) -> Iterator[str]:
    table = repository.module("table").resource("aws_dynamodb_table")
    if table.get("point_in_time_recovery") != [{"enabled": True}]:
        yield "the table has no point-in-time recovery"
    if table.get("server_side_encryption", [{}])[0].get("enabled") is not True:
        yield "the table is not encrypted"
    if table.get("billing_mode") != "PAY_PER_REQUEST":
        yield "the table has a fixed capacity"
    tables = {
        name: body
        for name, body in repository.root.named("module").items()
        if body["source"] == "./modules/table"
    }
    for name, body in some(tables, "tables").items():
        if body.get("deletion_protection_enabled") != "${var.protect_data}":
            yield f"module {name} is not protected by protect_data"


@check
def what_runs_leaves_logs_that_expire_and_traces(repository: Repository) -> Iterator[str]:
    groups = {
        f"{stack.path}: log group {name}": body
        for stack in repository.modules()
        for (type_, name), body in stack.typed("resource").items()
        if type_ == "aws_cloudwatch_log_group"
    }
    for where, body in some(groups, "log groups").items():
        if body.get("retention_in_days") != "${var.log_retention_in_days}":
            yield f"{where} is not kept for log_retention_in_days"
    function = repository.module("lambda_function").resource("aws_lambda_function")
    if "${aws_cloudwatch_log_group.this}" not in function.get("depends_on", []):
        yield "a function may be made before its log group, and would make one that is kept for ever"
    if function.get("tracing_config") != [{"mode": "Active"}]:
        yield "functions are not traced"
    machine = repository.module("state_machine").resource("aws_sfn_state_machine")
    logging = machine.get("logging_configuration", [{}])[0]
    if not {"level", "include_execution_data", "log_destination"} <= logging.keys():
        yield "the state machine's logging is not stated in full"
    if machine.get("tracing_configuration") != [{"enabled": True}]:
        yield "the state machine is not traced"


@check
def the_compute_environment_can_be_changed_and_replaced(repository: Repository) -> Iterator[str]:
    environment = repository.module("batch").resource("aws_batch_compute_environment")
    if environment.get("lifecycle", [{}])[0].get("create_before_destroy") is not True:
        yield "the compute environment is destroyed before its successor is made"
    if "service_role" in environment:
        yield "with a service role of its own the compute environment can't be changed in place"
    if "tags" in environment.get("compute_resources", [{}])[0]:
        yield "a change of compute_resources' tags would replace the compute environment"


@check
def a_job_definition_always_means_the_same_program(repository: Repository) -> Iterator[str]:
    definition = repository.module("batch").resource("aws_batch_job_definition")
    if definition.get("deregister_on_new_revision") is not False:
        yield "a new revision of the job definition ends what runs with the last one"
    for key in ("timeout", "retry_strategy"):
        if key not in definition:
            yield f"the job definition has no {key}"
    if (
        repository.module("ecr_repository").resource("aws_ecr_repository").get("image_tag_mutability")
        != "IMMUTABLE"
    ):
        yield "image tags may move"
