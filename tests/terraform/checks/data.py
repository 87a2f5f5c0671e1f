"""Data is private, encrypted and can be restored; what runs is shut to the world and leaves traces."""

from __future__ import annotations

import re
from collections.abc import Iterator

from terraform.checks.registry import check
from terraform.checks.rights import statements
from terraform.expressions import references
from terraform.repository import Repository, parse_hcl, some

_BUCKET_COMPANIONS = (
    "aws_s3_bucket_lifecycle_configuration",
    "aws_s3_bucket_ownership_controls",
    "aws_s3_bucket_policy",
    "aws_s3_bucket_public_access_block",
    "aws_s3_bucket_server_side_encryption_configuration",
    "aws_s3_bucket_versioning",
)
# Arguments of a bucket that are resources of their own by now.
_INLINE = {
    "acl",
    "cors_rule",
    "lifecycle_rule",
    "logging",
    "policy",
    "server_side_encryption_configuration",
    "versioning",
}
# The argument with the KMS key of everything that keeps something.
_KEYS = {
    "aws_cloudwatch_log_group": "kms_key_id",
    "aws_dynamodb_table": "kms_key_arn",
    "aws_ecr_repository": "kms_key",
    "aws_lambda_function": "kms_key_arn",
    "aws_s3_bucket_server_side_encryption_configuration": "kms_master_key_id",
    "aws_sns_topic": "kms_master_key_id",
    "aws_sqs_queue": "kms_master_key_id",
}
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
_RETENTIONS = {
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
}  # fmt: skip
# Resources that take no tags; all others must.
_UNTAGGABLE = {
    "aws_batch_scheduling_policy_attachment",
    "aws_cloudwatch_dashboard",
    "aws_cloudwatch_event_target",
    "aws_cloudwatch_log_metric_filter",
    "aws_cloudwatch_log_subscription_filter",
    "aws_cloudwatch_query_definition",
    "aws_ecr_lifecycle_policy",
    "aws_iam_role_policy",
    "aws_kms_alias",
    "aws_lambda_function_event_invoke_config",
    "aws_lambda_layer_version",
    "aws_lambda_permission",
    "aws_route_table_association",
    "aws_s3_bucket_cors_configuration",
    "aws_s3_bucket_lifecycle_configuration",
    "aws_s3_bucket_logging",
    "aws_s3_bucket_notification",
    "aws_s3_bucket_ownership_controls",
    "aws_s3_bucket_policy",
    "aws_s3_bucket_public_access_block",
    "aws_s3_bucket_server_side_encryption_configuration",
    "aws_s3_bucket_versioning",
    "aws_sns_topic_policy",
    "aws_sns_topic_subscription",
    "aws_sqs_queue_policy",
}
_WORLD = {"0.0.0.0/0", "::/0"}
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
    for key in sorted(_INLINE & storage.resource("aws_s3_bucket").keys()):
        yield f"the bucket sets {key} itself, which a resource of its own must"


@check
def the_buckets_policy_covers_the_bucket_and_its_objects(repository: Repository) -> Iterator[str]:
    storage = repository.module("storage")
    document = storage.typed("data").get(("aws_iam_policy_document", "this"), {})
    for statement in some(statements(document), "statements in the bucket's policy"):
        if statement["resources"] != ["${aws_s3_bucket.this.arn}", "${aws_s3_bucket.this.arn}/*"]:
            yield f"the bucket's policy {statement.get('sid')} does not cover the bucket and all its objects"
    policy = storage.resource("aws_s3_bucket_policy")
    if policy.get("depends_on") != ["${aws_s3_bucket_public_access_block.this}"]:
        yield "the bucket's policy and its public access block are changed at the same time, which S3 refuses"


@check
def browsers_may_only_read(repository: Repository) -> Iterator[str]:
    rules = repository.module("storage").resource("aws_s3_bucket_cors_configuration").get("cors_rule", [])
    for rule in some(rules, "CORS rules"):
        if rule.get("allowed_methods") != ["GET"]:
            yield f"browsers may {rule.get('allowed_methods')} objects"
        if rule.get("allowed_origins") != "${var.cors_allowed_origins}":
            yield "the origins of the CORS rule are written down"


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
def every_table_declares_its_keys_and_nothing_else(repository: Repository) -> Iterator[str]:
    module = repository.module("table")
    table = module.resource("aws_dynamodb_table")
    declared = [block["attribute"] for block in table.get("dynamic", []) if "attribute" in block]
    if "attribute" in table or [block.get("for_each") for block in declared] != ["${local.key_names}"]:
        yield "the table declares other attributes than local.key_names"
    keys = str(module.locals().get("key_names"))
    for key in ("var.hash_key", "var.range_key", "index.hash_key", "index.range_key"):
        if key not in keys:
            yield f"local.key_names of the module table lacks {key}"


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
def logs_are_kept_for_a_time_that_cloudwatch_knows(repository: Repository) -> Iterator[str]:
    kept = [
        (f"{stack.path}: the default of {name}", body["default"])
        for stack in repository.stacks()
        for name, body in stack.named("variable").items()
        if name == "log_retention_in_days" and "default" in body
    ]
    for path, text in repository.matching("terraform/envs/*.tfvars").items():
        if (days := parse_hcl(text).get("log_retention_in_days")) is not None:
            kept.append((path, days))
    for where, days in some(kept, "times that logs are kept"):
        if days not in _RETENTIONS:
            yield f"{where} keeps logs for {days} days, which CloudWatch does not offer"


@check
def what_keeps_data_takes_the_stacks_key(repository: Repository) -> Iterator[str]:
    stores = [
        (f"{stack.path}: {type_}.{name}", str(body), _KEYS[type_])
        for stack in repository.modules()
        for (type_, name), body in stack.typed("resource").items()
        if type_ in _KEYS
    ]
    for where, body, key in some(stores, "resources that keep data"):
        if not re.search(rf"'{key}': '[^']*var\.kms_key_arn", body):
            yield f"{where} does not take var.kms_key_arn as its {key}"


@check
def every_key_rotates_and_says_who_may_use_it(repository: Repository) -> Iterator[str]:
    keys = [
        (f"{stack.path}: key {name}", body)
        for stack in repository.modules()
        for (type_, name), body in stack.typed("resource").items()
        if type_ == "aws_kms_key"
    ]
    for where, body in some(keys, "KMS keys"):
        if body.get("enable_key_rotation") is not True:
            yield f"{where} does not rotate"
        if not re.fullmatch(r"\$\{data\.aws_iam_policy_document\.\w+\.json\}", str(body.get("policy"))):
            yield f"{where} has no policy of its own"


@check
def images_are_scanned_encrypted_and_tidied_away(repository: Repository) -> Iterator[str]:
    module = repository.module("ecr_repository")
    images = module.resource("aws_ecr_repository")
    if images.get("image_scanning_configuration") != [{"scan_on_push": True}]:
        yield "images are not scanned when they are pushed"
    if "encryption_type" not in images.get("encryption_configuration", [{}])[0]:
        yield "images are not encrypted with the stack's key"
    if "imageCountMoreThan" not in str(module.resource("aws_ecr_lifecycle_policy").get("policy")):
        yield "images are kept for ever"


@check
def what_can_be_tagged_is(repository: Repository) -> Iterator[str]:
    tagged = [
        (f"{stack.path}: {type_}.{name}", str(body.get("tags")))
        for stack in repository.modules()
        for (type_, name), body in stack.typed("resource").items()
        if type_ not in _UNTAGGABLE
    ]
    for where, tags in some(tagged, "resources that can be tagged"):
        if not re.match(r"\$\{(merge\()?var\.tags\b", tags):
            yield f"{where} does not take var.tags"


@check
def nobody_from_outside_reaches_what_runs(repository: Repository) -> Iterator[str]:
    resources = [
        (f"{stack.path}: {type_}.{name}", type_, body)
        for stack in repository.modules()
        for (type_, name), body in stack.typed("resource").items()
    ]
    for where, type_, body in some(resources, "resources"):
        if type_ in ("aws_internet_gateway", "aws_nat_gateway", "aws_eip", "aws_lambda_function_url"):
            yield f"{where} opens a way to or from the internet"
        if (
            type_ == "aws_vpc_security_group_ingress_rule"
            and {body.get("cidr_ipv4"), body.get("cidr_ipv6")} & _WORLD
        ):
            yield f"{where} lets the whole world in"
        if type_ in ("aws_security_group", "aws_default_security_group") and body.keys() & {
            "ingress",
            "egress",
        }:
            yield f"{where} has rules of its own; give each its resource, with a description"
        if type_ == "aws_subnet" and body.get("map_public_ip_on_launch") is True:
            yield f"{where} gives out public addresses"
        if type_.startswith("aws_vpc_security_group_") and not body.get("description"):
            yield f"{where} does not say what it is for"


@check
def the_network_admits_nothing_unless_told_and_is_watched(repository: Repository) -> Iterator[str]:
    network = repository.module("network")
    if "vpc_id" not in network.resource("aws_default_security_group"):
        yield "the VPC's default security group admits everything"
    if network.resource("aws_flow_log").get("traffic_type") != "ALL":
        yield "the network's traffic is not logged"
    for (type_, name), body in network.typed("resource").items():
        if type_ == "aws_vpc_endpoint" and "policy" not in body:
            yield f"the endpoint {name} lets everything pass"
