output "alarm_arns" {
  description = "ARN of each alarm, by what it is about."
  value       = local.alarm_arns
}

output "dashboard_name" {
  description = "Name of the dashboard."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}
