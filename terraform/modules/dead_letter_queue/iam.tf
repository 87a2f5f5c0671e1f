data "aws_partition" "current" {}

locals {
  queue_arn = "arn:${data.aws_partition.current.partition}:sqs:${var.aws_region}:${var.account_id}:${var.name}"
}

data "aws_iam_policy_document" "this" {
  statement {
    sid       = "TakeEventsThatCouldNotBeDelivered"
    actions   = ["sqs:SendMessage"]
    resources = [local.queue_arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }
  }

  statement {
    sid    = "RefuseUnencryptedTransport"
    effect = "Deny"
    # Every action and everybody: a deny is safe only when it covers all.
    actions   = ["sqs:*"]
    resources = [local.queue_arn]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}
