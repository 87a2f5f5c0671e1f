output "auditors_workteam_arn" {
  description = "ARN of the auditors' work team; null without an auditor_user_group."
  value       = one(aws_sagemaker_workteam.auditors[*].arn)
}

output "role_arn" {
  description = "ARN of the role that Ground Truth runs labelling jobs with."
  value       = aws_iam_role.this.arn
}

output "template_keys" {
  description = "Key of the worker template of each task type."
  value       = { for task_type, template in aws_s3_object.template : task_type => template.key }
}

output "workteam_arn" {
  description = "ARN of the work team; null without a user_group."
  value       = one(aws_sagemaker_workteam.this[*].arn)
}
