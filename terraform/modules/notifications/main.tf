# Without a key of your own SNS encrypts its disks. The key that AWS manages for SNS (alias/aws/sns) is no way out: its
# policy admits neither CloudWatch nor Budgets, and alarms would be lost without a word.
# https://repost.aws/knowledge-center/cloudwatch-configure-alarm-sns
resource "aws_sns_topic" "this" {
  name              = var.name
  kms_master_key_id = var.kms_key_arn
  policy            = data.aws_iam_policy_document.this.json
  tags              = var.tags
}

# Each address gets a message with a link that confirms the subscription.
resource "aws_sns_topic_subscription" "email" {
  for_each = var.emails

  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = each.value
}
