output "log_group_arn" {
  description = "ARN of the log group whose entries are delivered."
  value       = local.log_group_arn
}
