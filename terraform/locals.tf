data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

# Every name is made here, and every ARN that one part of the stack needs of another is made from its name. So no part
# waits for another one only to learn its ARN, and nothing is circular.
locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  dns_suffix = data.aws_partition.current.dns_suffix

  names = {
    data_bucket       = "${var.name_prefix}-data-${local.account_id}"
    dead_letter_queue = "${var.name_prefix}-dead-letters"
    jobs_table        = "${var.name_prefix}-jobs"
    labeling_role     = "${var.name_prefix}-labeling"
    ledger_table      = "${var.name_prefix}-ledger"
    notifications     = "${var.name_prefix}-notifications"
    powertools_layer  = "${var.name_prefix}-powertools"
    state_machine     = "${var.name_prefix}-active-learning-loop"
    workteam          = "${var.name_prefix}-labelers"
  }

  arns = {
    data_bucket    = "arn:${local.partition}:s3:::${local.names.data_bucket}"
    executions     = "arn:${local.partition}:states:${var.aws_region}:${local.account_id}:execution:${local.names.state_machine}:*"
    image          = "arn:${local.partition}:ecr:${var.aws_region}:${local.account_id}:repository/${var.image_repository_name}"
    input_buckets  = [for bucket in var.input_buckets : "arn:${local.partition}:s3:::${bucket}"]
    job_definition = "arn:${local.partition}:batch:${var.aws_region}:${local.account_id}:job-definition/${var.name_prefix}-program"
    job_queue      = "arn:${local.partition}:batch:${var.aws_region}:${local.account_id}:job-queue/${var.name_prefix}-jobs"
    jobs_table     = "arn:${local.partition}:dynamodb:${var.aws_region}:${local.account_id}:table/${local.names.jobs_table}"
    labeling_jobs  = "arn:${local.partition}:sagemaker:${var.aws_region}:${local.account_id}:labeling-job/*"
    labeling_role  = "arn:${local.partition}:iam::${local.account_id}:role/${local.names.labeling_role}"
    ledger_table   = "arn:${local.partition}:dynamodb:${var.aws_region}:${local.account_id}:table/${local.names.ledger_table}"
    notifications  = "arn:${local.partition}:sns:${var.aws_region}:${local.account_id}:${local.names.notifications}"
    state_machine  = "arn:${local.partition}:states:${var.aws_region}:${local.account_id}:stateMachine:${local.names.state_machine}"
    workteam       = "arn:${local.partition}:sagemaker:${var.aws_region}:${local.account_id}:workteam/private-crowd/${local.names.workteam}"
    workteams      = "arn:${local.partition}:sagemaker:${var.aws_region}:${local.account_id}:workteam/private-crowd/*"
  }

  # The functions that other parts of the stack refer to.
  function_arns = {
    for folder in [
      "create_labeling_job",
      "decide",
      "merge_labels",
      "post_annotation",
      "pre_annotation",
      "preflight",
      "prepare",
      "record_outcome",
    ] : folder => "arn:${local.partition}:lambda:${var.aws_region}:${local.account_id}:function:${var.name_prefix}-${replace(folder, "_", "-")}"
  }

  image_repository_url = "${local.account_id}.dkr.ecr.${var.aws_region}.${local.dns_suffix}/${var.image_repository_name}"

  # One template per folder of ui_templates; the folder's name is the task type.
  ui_templates_dir = "${path.root}/../ui_templates"
  template_paths = {
    for path in fileset(local.ui_templates_dir, "*/template.liquid.html") : dirname(path) => "${local.ui_templates_dir}/${path}"
  }
}
