output "execution_role_arn" {
  description = "ARN of the role that starts the jobs."
  value       = aws_iam_role.execution.arn
}

output "job_definition_name" {
  description = "Name of the job definition; its newest revision is the one to submit."
  value       = aws_batch_job_definition.this.name
}

output "job_queue_arn" {
  description = "ARN of the job queue, the module's own or the given one."
  value       = local.makes_queue ? aws_batch_job_queue.this[0].arn : var.job_queue_arn
}

output "job_role_arn" {
  description = "ARN of the program's role."
  value       = aws_iam_role.job.arn
}

output "log_group_name" {
  description = "Name of the jobs' log group."
  value       = aws_cloudwatch_log_group.this.name
}
