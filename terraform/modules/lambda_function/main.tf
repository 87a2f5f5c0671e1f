locals {
  environment = merge(
    {
      LOG_LEVEL                    = var.log_level
      POWERTOOLS_METRICS_NAMESPACE = var.metrics_namespace
      POWERTOOLS_SERVICE_NAME      = var.service_name
    },
    var.environment,
  )
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${var.function_name}"
  retention_in_days = var.log_retention_in_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

resource "aws_lambda_function" "this" {
  # checkov:skip=CKV_AWS_116:What fails goes to failure_queue by an on-failure destination, which keeps the error too; a dead_letter_config would not
  # checkov:skip=CKV_AWS_117:Functions call nothing but AWS APIs, signed and over TLS; inside a VPC they would need an endpoint for each of them
  # checkov:skip=CKV_AWS_272:The archive is built from sources and deployed by its hash; a team that signs its archives gives code_signing_config_arn

  function_name    = var.function_name
  description      = var.description
  role             = aws_iam_role.this.arn
  runtime          = "python3.12"
  handler          = "handler.lambda_handler"
  filename         = var.package_path
  source_code_hash = filebase64sha256(var.package_path)
  layers           = var.layer_arns
  timeout          = var.timeout_seconds
  memory_size      = var.memory_mb
  kms_key_arn      = var.kms_key_arn
  tags             = var.tags

  code_signing_config_arn        = var.code_signing_config_arn
  reserved_concurrent_executions = var.reserved_concurrency

  environment {
    variables = local.environment
  }

  tracing_config {
    mode = "Active"
  }

  # Without its log group the function would make one that is kept for ever; without its policy its first calls fail.
  depends_on = [aws_cloudwatch_log_group.this, aws_iam_role_policy.this]
}

# A resource of its own, so that the function need not wait for the queue.
resource "aws_lambda_function_event_invoke_config" "this" {
  count = var.failure_queue == null ? 0 : 1

  function_name          = aws_lambda_function.this.function_name
  maximum_retry_attempts = 2

  destination_config {
    on_failure {
      destination = var.failure_queue.arn
    }
  }

  depends_on = [aws_iam_role_policy.failure_queue]
}
