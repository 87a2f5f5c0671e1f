data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

# Every name is made here, and every ARN that one part of the stack needs of another is made from its name. So no part
# waits for another one only to learn its ARN, and nothing is circular. What exists already (var.existing) takes the place
# of what the stack would make.
locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  dns_suffix = data.aws_partition.current.dns_suffix

  # The functions' metrics of one stack don't mix with another's.
  metrics_namespace = "Truthloop/${var.name_prefix}"

  names = {
    answers_table       = "${var.name_prefix}-answers"
    audit_state_machine = "${var.name_prefix}-label-audit"
    auditors_workteam   = "${var.name_prefix}-auditors"
    data_bucket         = "${var.name_prefix}-data-${local.account_id}"
    dead_letter_queue   = "${var.name_prefix}-dead-letters"
    jobs_table          = "${var.name_prefix}-jobs"
    labeling_role       = "${var.name_prefix}-labeling"
    ledger_table        = "${var.name_prefix}-ledger"
    notifications       = "${var.name_prefix}-notifications"
    state_machine       = "${var.name_prefix}-active-learning-loop"
    workers_table       = "${var.name_prefix}-workers"
    workteam            = "${var.name_prefix}-labelers"
  }

  arns = {
    answers_table       = "arn:${local.partition}:dynamodb:${var.aws_region}:${local.account_id}:table/${local.names.answers_table}"
    audit_executions    = "arn:${local.partition}:states:${var.aws_region}:${local.account_id}:execution:${local.names.audit_state_machine}:*"
    audit_state_machine = "arn:${local.partition}:states:${var.aws_region}:${local.account_id}:stateMachine:${local.names.audit_state_machine}"
    # Empty where nobody audits unless a request names a team.
    auditors_workteam = (
      local.makes_auditors_workteam
      ? "arn:${local.partition}:sagemaker:${var.aws_region}:${local.account_id}:workteam/private-crowd/${local.names.auditors_workteam}"
      : var.existing.auditors_workteam_arn == null ? "" : var.existing.auditors_workteam_arn
    )
    data_bucket    = "arn:${local.partition}:s3:::${local.data_bucket_name}"
    executions     = "arn:${local.partition}:states:${var.aws_region}:${local.account_id}:execution:${local.names.state_machine}:*"
    image          = coalesce(var.existing.image_repository_arn, "arn:${local.partition}:ecr:${var.aws_region}:${local.account_id}:repository/${var.image_repository_name}")
    input_buckets  = [for bucket in var.input_buckets : "arn:${local.partition}:s3:::${bucket}"]
    job_definition = "arn:${local.partition}:batch:${var.aws_region}:${local.account_id}:job-definition/${var.name_prefix}-program"
    job_queue      = coalesce(var.existing.job_queue_arn, "arn:${local.partition}:batch:${var.aws_region}:${local.account_id}:job-queue/${var.name_prefix}-jobs")
    jobs_table     = "arn:${local.partition}:dynamodb:${var.aws_region}:${local.account_id}:table/${local.names.jobs_table}"
    labeling_jobs  = "arn:${local.partition}:sagemaker:${var.aws_region}:${local.account_id}:labeling-job/*"
    labeling_role  = "arn:${local.partition}:iam::${local.account_id}:role/${local.names.labeling_role}"
    ledger_table   = "arn:${local.partition}:dynamodb:${var.aws_region}:${local.account_id}:table/${local.names.ledger_table}"
    notifications  = "arn:${local.partition}:sns:${var.aws_region}:${local.account_id}:${local.names.notifications}"
    state_machine  = "arn:${local.partition}:states:${var.aws_region}:${local.account_id}:stateMachine:${local.names.state_machine}"
    workers_table  = "arn:${local.partition}:dynamodb:${var.aws_region}:${local.account_id}:table/${local.names.workers_table}"
    workteam       = coalesce(var.existing.workteam_arn, "arn:${local.partition}:sagemaker:${var.aws_region}:${local.account_id}:workteam/private-crowd/${local.names.workteam}")
    workteams      = "arn:${local.partition}:sagemaker:${var.aws_region}:${local.account_id}:workteam/private-crowd/*"
  }

  data_bucket_name = coalesce(var.existing.data_bucket_name, local.names.data_bucket)
  # A queue's name is the end of its ARN.
  dead_letter_queue_name = try(split(":", var.existing.dead_letter_queue_arn)[5], local.names.dead_letter_queue)

  # Of the two teams each is made where none exists; that of the auditors only where their user group is named.
  makes_auditors_workteam = var.existing.auditors_workteam_arn == null && try(var.workforce.auditor_user_group, null) != null

  # A key that is not given has its default in the code.
  standalone_audits = merge(var.standalone_audits, {
    policy = { for key, value in var.standalone_audits.policy : key => value if value != null }
  })

  # The labels of stand-alone jobs lie where their makers have them written; one list of all buckets, or none.
  standalone_buckets = var.standalone_audits.job_name_prefix == null ? [] : [local.arns.input_buckets]

  # These two come from the modules, so that what uses them waits for them.
  dead_letter_queue_arn = var.existing.dead_letter_queue_arn == null ? module.dead_letter_queue[0].queue_arn : var.existing.dead_letter_queue_arn
  kms_key_arn           = var.create_kms_key ? module.kms_key[0].key_arn : var.kms_key_arn

  # Null leaves the choice to the module: what Fargate needs.
  interface_endpoints = (
    var.batch.compute_type == "EC2" || var.batch.compute_type == "SPOT"
    ? ["ecr.api", "ecr.dkr", "ecs", "ecs-agent", "ecs-telemetry", "logs"]
    : null
  )

  # The functions that other parts of the stack refer to.
  function_arns = {
    for folder in [
      "advance_audit",
      "create_labeling_job",
      "decide",
      "finish_audit",
      "merge_audit",
      "merge_labels",
      "post_annotation",
      "pre_annotation",
      "preflight",
      "prepare",
      "record_outcome",
      "start_audit",
    ] : folder => "arn:${local.partition}:lambda:${var.aws_region}:${local.account_id}:function:${var.name_prefix}-${replace(folder, "_", "-")}"
  }

  # An ECR repository's address follows from its ARN: arn:<partition>:ecr:<region>:<account>:repository/<name>.
  image_repository     = regex("^arn:[^:]+:ecr:(?P<region>[^:]+):(?P<account_id>[^:]+):repository/(?P<name>.+)$", local.arns.image)
  image_repository_url = "${local.image_repository.account_id}.dkr.ecr.${local.image_repository.region}.${local.dns_suffix}/${local.image_repository.name}"

  # Relative to this folder, so that they are also found when the stack is called as a module.
  lambda_package_dir = coalesce(var.lambda_package_dir, "${path.module}/../dist/lambdas")
  layer_package_dir  = coalesce(var.layer_package_dir, "${path.module}/../dist/layers")
  ui_templates_dir   = "${path.module}/../ui_templates"

  # One template per folder of ui_templates; the folder's name is the task type.
  template_paths = {
    for path in fileset(local.ui_templates_dir, "*/template.liquid.html") : dirname(path) => "${local.ui_templates_dir}/${path}"
  }
}
