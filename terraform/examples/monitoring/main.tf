data "aws_caller_identity" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
}

module "alarms" {
  source = "../../modules/notifications"

  name       = "my-team-alarms"
  account_id = local.account_id
  aws_region = "us-east-1"
  emails     = ["team@example.com"]
}

module "monitoring" {
  source = "../../modules/monitoring"

  name_prefix             = "my-team"
  aws_region              = "us-east-1"
  metrics_namespace       = "Truthloop/my-team"
  state_machine_arn       = "arn:aws:states:us-east-1:${local.account_id}:stateMachine:my-team-active-learning-loop"
  audit_state_machine_arn = "arn:aws:states:us-east-1:${local.account_id}:stateMachine:my-team-label-audit"
  dead_letter_queue_name  = "my-team-dead-letters"
  alarm_topic_arn         = module.alarms.topic_arn

  function_names = {
    decide                  = "my-team-decide"
    reconcile_labeling_jobs = "my-team-reconcile-labeling-jobs"
  }

  thresholds = {
    stuck_labeling_job_hours = 48
  }
}
