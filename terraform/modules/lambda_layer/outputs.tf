output "layer_arn" {
  description = "ARN of the layer's version, as functions refer to it."
  value       = aws_lambda_layer_version.this.arn
}
