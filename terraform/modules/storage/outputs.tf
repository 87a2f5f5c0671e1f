output "bucket_arn" {
  description = "ARN of the bucket."
  value       = aws_s3_bucket.this.arn
}

output "bucket_name" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.this.id

  # An object that were uploaded earlier would have no versions, and leave a marker behind when it is destroyed.
  depends_on = [aws_s3_bucket_versioning.this]
}
