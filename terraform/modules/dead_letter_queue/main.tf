# The policy stands inside the queue: each separate SQS resource waits about 25 s for SQS to settle.
resource "aws_sqs_queue" "this" {
  name                              = var.name
  message_retention_seconds         = var.message_retention_seconds
  sqs_managed_sse_enabled           = var.kms_key_arn == null ? true : null
  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = var.kms_key_arn == null ? null : 300
  policy                            = data.aws_iam_policy_document.this.json
  tags                              = var.tags
}
