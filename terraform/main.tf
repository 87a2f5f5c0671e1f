module "kms_key" {
  source = "./modules/kms_key"
  count  = var.create_kms_key ? 1 : 0

  alias_name = var.name_prefix
  account_id = local.account_id
  aws_region = var.aws_region
}

module "storage" {
  source = "./modules/storage"
  count  = var.existing.data_bucket_name == null ? 1 : 0

  bucket_name            = local.names.data_bucket
  access_log_bucket_name = var.access_log_bucket_name
  cors_allowed_origins   = var.cors_allowed_origins
  force_destroy          = !var.protect_data
  kms_key_arn            = local.kms_key_arn
}

# What happened in each campaign: its status, and per round the decision, the labels, the cost and the quality.
module "ledger_table" {
  source = "./modules/table"

  name                        = local.names.ledger_table
  hash_key                    = "campaign"
  range_key                   = "entry"
  deletion_protection_enabled = var.protect_data
  kms_key_arn                 = local.kms_key_arn
}

# The labelling jobs, and the task token of the execution that waits for each of them.
module "jobs_table" {
  source = "./modules/table"

  name                        = local.names.jobs_table
  hash_key                    = "job_name"
  deletion_protection_enabled = var.protect_data
  kms_key_arn                 = local.kms_key_arn

  global_secondary_indexes = {
    by-state = { hash_key = "state", range_key = "created_at" }
  }
}

module "notifications" {
  source = "./modules/notifications"

  name        = local.names.notifications
  account_id  = local.account_id
  aws_region  = var.aws_region
  emails      = var.notification_emails
  kms_key_arn = local.kms_key_arn
}

module "dead_letter_queue" {
  source = "./modules/dead_letter_queue"
  count  = var.existing.dead_letter_queue_arn == null ? 1 : 0

  name        = local.names.dead_letter_queue
  account_id  = local.account_id
  aws_region  = var.aws_region
  kms_key_arn = local.kms_key_arn
}

module "layer" {
  source   = "./modules/lambda_layer"
  for_each = local.layers

  layer_name   = "${var.name_prefix}-${each.key}"
  description  = each.value
  package_path = "${local.layer_package_dir}/${each.key}.zip"
}

module "function" {
  source   = "./modules/lambda_function"
  for_each = local.functions

  function_name            = "${var.name_prefix}-${replace(each.key, "_", "-")}"
  service_name             = each.key
  description              = each.value.description
  package_path             = "${local.lambda_package_dir}/${each.key}.zip"
  layer_arns               = [for name in each.value.layers : module.layer[name].layer_arn]
  policy_json              = each.value.policy_json
  environment              = each.value.environment
  timeout_seconds          = each.value.timeout_seconds
  memory_mb                = each.value.memory_mb
  failure_queue            = each.value.asynchronous ? { arn = local.dead_letter_queue_arn } : null
  kms_key_arn              = local.kms_key_arn
  log_level                = var.log_level
  metrics_namespace        = local.metrics_namespace
  log_retention_in_days    = var.log_retention_in_days
  permissions_boundary_arn = var.permissions_boundary_arn
}

module "network" {
  source = "./modules/network"
  count  = var.network == null && var.existing.job_queue_arn == null ? 1 : 0

  name                     = var.name_prefix
  account_id               = local.account_id
  aws_region               = var.aws_region
  interface_endpoints      = local.interface_endpoints
  kms_key_arn              = local.kms_key_arn
  log_retention_in_days    = var.log_retention_in_days
  permissions_boundary_arn = var.permissions_boundary_arn
}

module "batch" {
  source = "./modules/batch"

  name_prefix              = var.name_prefix
  account_id               = local.account_id
  aws_region               = var.aws_region
  vpc_id                   = var.network == null ? one(module.network[*].vpc_id) : var.network.vpc_id
  subnet_ids               = var.network == null ? one(module.network[*].subnet_ids) : var.network.subnet_ids
  job_queue_arn            = var.existing.job_queue_arn
  compute_type             = var.batch.compute_type
  instance_types           = var.batch.instance_types
  max_vcpus                = var.batch.max_vcpus
  job                      = var.batch.job
  root_volume              = var.batch.root_volume
  image                    = "${local.image_repository_url}:${var.image_tag}"
  image_repository_arn     = local.arns.image
  command                  = ["Ref::subcommand", "--campaign-uri", "Ref::campaign_uri", "--round", "Ref::round"]
  job_policy_json          = data.aws_iam_policy_document.batch_job.json
  kms_key_arn              = local.kms_key_arn
  log_retention_in_days    = var.log_retention_in_days
  permissions_boundary_arn = var.permissions_boundary_arn
}

module "labeling" {
  source = "./modules/labeling"

  account_id               = local.account_id
  bucket_name              = var.existing.data_bucket_name == null ? module.storage[0].bucket_name : var.existing.data_bucket_name
  role_name                = local.names.labeling_role
  policy_json              = data.aws_iam_policy_document.labeling.json
  template_paths           = local.template_paths
  workforce                = var.existing.workteam_arn == null ? var.workforce : null
  workteam_name            = local.names.workteam
  workteam_description     = "Labels what the campaigns of ${var.name_prefix} select."
  kms_key_arn              = local.kms_key_arn
  permissions_boundary_arn = var.permissions_boundary_arn
}

module "active_learning_loop" {
  source = "./modules/state_machine"

  name                     = local.names.state_machine
  account_id               = local.account_id
  aws_region               = var.aws_region
  policy_json              = data.aws_iam_policy_document.active_learning_loop.json
  kms_key_arn              = local.kms_key_arn
  log_execution_data       = var.log_execution_data
  log_retention_in_days    = var.log_retention_in_days
  permissions_boundary_arn = var.permissions_boundary_arn

  definition = templatefile("${path.module}/state_machines/active_learning_loop.asl.json", {
    preflight_function_arn           = local.function_arns.preflight
    prepare_function_arn             = local.function_arns.prepare
    create_labeling_job_function_arn = local.function_arns.create_labeling_job
    merge_labels_function_arn        = local.function_arns.merge_labels
    decide_function_arn              = local.function_arns.decide
    record_outcome_function_arn      = local.function_arns.record_outcome
    job_queue_arn                    = local.arns.job_queue
    # Without a revision it means the newest one.
    job_definition_arn = local.arns.job_definition
  })
}

# The event carries a job's ARN and status alone, and a job's name says nothing about the stack: the function itself
# passes over jobs that are not in the table.
module "labeling_job_state_change" {
  source = "./modules/event_rule"

  name                  = "${var.name_prefix}-labeling-job-state-change"
  description           = "A labelling job has ended: resume the execution that waits for it."
  function_arn          = module.function["release_labeling_job"].function_arn
  dead_letter_queue_arn = local.dead_letter_queue_arn

  event_pattern = jsonencode({
    source      = ["aws.sagemaker"]
    detail-type = ["SageMaker Ground Truth Labeling Job State Change"]
    detail      = { LabelingJobStatus = ["Completed", "Failed", "Stopped"] }
  })
}

module "reconcile_labeling_jobs" {
  source = "./modules/event_rule"

  name                  = "${var.name_prefix}-reconcile-labeling-jobs"
  description           = "Resume executions whose labelling job has ended but whose event was lost; tell the others that their job is alive."
  schedule_expression   = "rate(15 minutes)"
  function_arn          = module.function["reconcile_labeling_jobs"].function_arn
  dead_letter_queue_arn = local.dead_letter_queue_arn
}

module "monitoring" {
  source = "./modules/monitoring"

  name_prefix            = var.name_prefix
  aws_region             = var.aws_region
  alarm_topic_arn        = module.notifications.topic_arn
  dead_letter_queue_name = local.dead_letter_queue_name
  function_names         = { for folder, function in module.function : folder => function.function_name }
  metrics_namespace      = local.metrics_namespace
  monthly_budget_usd     = var.monitoring.monthly_budget_usd
  state_machine_arn      = local.arns.state_machine
  thresholds             = var.monitoring.thresholds
}
