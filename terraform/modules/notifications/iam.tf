data "aws_partition" "current" {}

# Who in the account may publish is said by the roles' own policies.
data "aws_iam_policy_document" "this" {
  statement {
    sid       = "RefuseUnencryptedTransport"
    effect    = "Deny"
    actions   = ["sns:Publish"]
    resources = ["arn:${data.aws_partition.current.partition}:sns:${var.aws_region}:${var.account_id}:${var.name}"]

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
