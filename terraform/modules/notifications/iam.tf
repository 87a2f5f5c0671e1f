data "aws_partition" "current" {}

locals {
  partition = data.aws_partition.current.partition
  topic_arn = "arn:${local.partition}:sns:${var.aws_region}:${var.account_id}:${var.name}"
}

# Which roles of the account may publish is said by their own policies; services have none.
data "aws_iam_policy_document" "this" {
  statement {
    sid       = "PublishAlarms"
    actions   = ["sns:Publish"]
    resources = [local.topic_arn]

    principals {
      type        = "Service"
      identifiers = ["budgets.amazonaws.com", "cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }
  }

  statement {
    sid       = "RefuseUnencryptedTransport"
    effect    = "Deny"
    actions   = ["sns:Publish"]
    resources = [local.topic_arn]

    principals {
      # Everybody: a deny is safe only when it covers all.
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
