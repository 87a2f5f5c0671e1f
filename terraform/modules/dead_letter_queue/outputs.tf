output "queue_arn" {
  description = "ARN of the queue."
  value       = aws_sqs_queue.this.arn
}

output "queue_url" {
  description = "Address of the queue, as the SQS commands take it."
  value       = aws_sqs_queue.this.url
}
