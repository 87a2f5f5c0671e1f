data "aws_partition" "current" {}

locals {
  log_group_arn = "arn:${data.aws_partition.current.partition}:logs:${var.aws_region}:${var.account_id}:log-group:${var.log_group_name}"
}

resource "aws_cloudwatch_log_group" "this" {
  count = var.create_log_group ? 1 : 0

  name              = var.log_group_name
  retention_in_days = var.log_retention_in_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

resource "aws_lambda_permission" "this" {
  statement_id   = var.name
  action         = "lambda:InvokeFunction"
  function_name  = var.function_arn
  principal      = "logs.${var.aws_region}.${data.aws_partition.current.dns_suffix}"
  source_account = var.account_id
  source_arn     = "${local.log_group_arn}:*"
}

# CloudWatch Logs tries whether it may invoke the function before it accepts the filter.
resource "aws_cloudwatch_log_subscription_filter" "this" {
  name            = var.name
  log_group_name  = var.log_group_name
  filter_pattern  = var.filter_pattern
  destination_arn = var.function_arn

  depends_on = [aws_cloudwatch_log_group.this, aws_lambda_permission.this]
}
