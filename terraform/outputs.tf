output "alarm_arns" {
  description = "ARN of each alarm, by what it is about."
  value       = module.monitoring.alarm_arns
}

output "answers_table_name" {
  description = "Name of the table of workers' answers."
  value       = module.answers_table.table_name
}

output "audit_state_machine_arn" {
  description = "ARN of the state machine that runs an audit."
  value       = module.label_audit.state_machine_arn
}

output "auditors_workteam_arn" {
  description = "ARN of the work team that audits where a request names no other; null for none."
  value       = local.makes_auditors_workteam ? module.labeling.auditors_workteam_arn : var.existing.auditors_workteam_arn
}

output "dashboard_name" {
  description = "Name of the CloudWatch dashboard."
  value       = module.monitoring.dashboard_name
}

output "data_bucket_name" {
  description = "Name of the bucket that holds the campaigns."
  value       = var.existing.data_bucket_name == null ? module.storage[0].bucket_name : var.existing.data_bucket_name
}

output "dead_letter_queue_arn" {
  description = "ARN of the queue with the events that could not be delivered or handled."
  value       = local.dead_letter_queue_arn
}

output "ecr_repository_url" {
  description = "Address to push the Batch image to, without a tag."
  value       = local.image_repository_url
}

output "function_names" {
  description = "Name of the Lambda function of each folder in lambdas/."
  value       = { for folder, function in module.function : folder => function.function_name }
}

output "job_definition_name" {
  description = "Name of the Batch job definition."
  value       = module.batch.job_definition_name
}

output "job_queue_arn" {
  description = "ARN of the Batch job queue."
  value       = module.batch.job_queue_arn
}

output "jobs_table_name" {
  description = "Name of the table of labelling jobs."
  value       = module.jobs_table.table_name
}

output "kms_key_arn" {
  description = "ARN of the KMS key that encrypts the stack; null for keys that AWS manages."
  value       = local.kms_key_arn
}

output "ledger_table_name" {
  description = "Name of the table of campaigns and rounds."
  value       = module.ledger_table.table_name
}

output "notification_topic_arn" {
  description = "ARN of the topic that tells how campaigns ended."
  value       = module.notifications.topic_arn
}

output "state_machine_arn" {
  description = "ARN of the state machine that runs a campaign."
  value       = module.active_learning_loop.state_machine_arn
}

output "workers_table_name" {
  description = "Name of the table of who is behind the answers' pseudonyms."
  value       = module.workers_table.table_name
}

output "workteam_arn" {
  description = "ARN of the work team that labels where a request names no other."
  value       = var.existing.workteam_arn == null ? module.labeling.workteam_arn : var.existing.workteam_arn
}
