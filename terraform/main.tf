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

# Every answer of a worker, by the labelling job and the object in it: when it was given, how long it took, what it agrees
# with, and what auditors say. People are pseudonyms here.
module "answers_table" {
  source = "./modules/table"

  name                        = local.names.answers_table
  hash_key                    = "answer_of"
  range_key                   = "worker"
  deletion_protection_enabled = var.protect_data
  kms_key_arn                 = local.kms_key_arn

  global_secondary_indexes = {
    by-campaign = { hash_key = "campaign", range_key = "submitted_at" }
    by-worker   = { hash_key = "worker", range_key = "submitted_at" }
  }
}

# Who is behind a pseudonym, apart from the answers, so that it can be forgotten without them.
module "workers_table" {
  source = "./modules/table"

  name                        = local.names.workers_table
  hash_key                    = "worker"
  deletion_protection_enabled = var.protect_data
  kms_key_arn                 = local.kms_key_arn
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
  kms_key_arn              = local.kms_key_arn
  permissions_boundary_arn = var.permissions_boundary_arn

  workforce = var.workforce == null ? null : {
    user_pool          = var.workforce.user_pool
    client_id          = var.workforce.client_id
    user_group         = var.existing.workteam_arn == null ? var.workforce.user_group : null
    auditor_user_group = local.makes_auditors_workteam ? var.workforce.auditor_user_group : null
  }

  workteam_name                 = local.names.workteam
  workteam_description          = "Labels what the campaigns of ${var.name_prefix} select."
  auditors_workteam_name        = local.names.auditors_workteam
  auditors_workteam_description = "Audits the labels of ${var.name_prefix}."
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
    start_audit_function_arn         = local.function_arns.start_audit
    merge_audit_function_arn         = local.function_arns.merge_audit
    decide_function_arn              = local.function_arns.decide
    record_outcome_function_arn      = local.function_arns.record_outcome
    job_queue_arn                    = local.arns.job_queue
    # Without a revision it means the newest one.
    job_definition_arn = local.arns.job_definition
  })
}

# Audits run beside the campaigns: that of a stand-alone job has none, and that of a round outlives a campaign that failed.
module "label_audit" {
  source = "./modules/state_machine"

  name                     = local.names.audit_state_machine
  account_id               = local.account_id
  aws_region               = var.aws_region
  policy_json              = data.aws_iam_policy_document.label_audit.json
  kms_key_arn              = local.kms_key_arn
  log_execution_data       = var.log_execution_data
  log_retention_in_days    = var.log_retention_in_days
  permissions_boundary_arn = var.permissions_boundary_arn

  definition = templatefile("${path.module}/state_machines/label_audit.asl.json", {
    advance_audit_function_arn       = local.function_arns.advance_audit
    create_labeling_job_function_arn = local.function_arns.create_labeling_job
    finish_audit_function_arn        = local.function_arns.finish_audit
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

# A job that failed has no labels to audit; those of a stopped one are kept. The function passes over audits' own jobs, and
# over those whose policy wants no audit.
module "labeling_job_to_audit" {
  source = "./modules/event_rule"

  name                  = "${var.name_prefix}-labeling-job-to-audit"
  description           = "A labelling job has ended with labels: start the audit that its campaign or its name asks for."
  function_arn          = module.function["start_audit"].function_arn
  dead_letter_queue_arn = local.dead_letter_queue_arn

  event_pattern = jsonencode({
    source      = ["aws.sagemaker"]
    detail-type = ["SageMaker Ground Truth Labeling Job State Change"]
    detail      = { LabelingJobStatus = ["Completed", "Stopped"] }
  })
}

# Below labeling/ of a campaign or jobs/ of an audit Ground Truth keeps every answer, and the functions what they make of
# them; an audit's verdicts lie beside its steps.
module "answer_arrived" {
  source = "./modules/event_rule"

  name                  = "${var.name_prefix}-answer-arrived"
  description           = "An answer of a worker, what it agrees with, or a verdict on a label has been written: record it."
  function_arn          = module.function["record_answers"].function_arn
  dead_letter_queue_arn = local.dead_letter_queue_arn

  event_pattern = jsonencode({
    source      = ["aws.s3"]
    detail-type = ["Object Created"]
    detail = {
      bucket = { name = [local.data_bucket_name] }
      object = {
        key = [
          { wildcard = "*/annotations/worker-response/*.json" },
          { wildcard = "*/annotations/consolidated-annotation/workers/*.json" },
          { wildcard = "audits/*/steps/*.verdicts.json" },
          { wildcard = "campaigns/*/audits/*/steps/*.verdicts.json" },
        ]
      }
    }
  })
}

module "worker_activity" {
  source = "./modules/log_subscription"
  count  = var.worker_activity == null ? 0 : 1

  name                  = "${var.name_prefix}-worker-activity"
  account_id            = local.account_id
  aws_region            = var.aws_region
  log_group_name        = var.worker_activity.log_group_name
  create_log_group      = var.worker_activity.create_log_group
  function_arn          = module.function["record_activity"].function_arn
  kms_key_arn           = local.kms_key_arn
  log_retention_in_days = var.log_retention_in_days
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

  name_prefix             = var.name_prefix
  aws_region              = var.aws_region
  alarm_topic_arn         = module.notifications.topic_arn
  dead_letter_queue_name  = local.dead_letter_queue_name
  function_names          = { for folder, function in module.function : folder => function.function_name }
  metrics_namespace       = local.metrics_namespace
  monthly_budget_usd      = var.monitoring.monthly_budget_usd
  state_machine_arn       = local.arns.state_machine
  audit_state_machine_arn = local.arns.audit_state_machine
  thresholds              = var.monitoring.thresholds
}
