data "aws_iam_policy_document" "this" {
  statement {
    sid    = "RefuseUnencryptedTransport"
    effect = "Deny"
    # Every action and everybody: a deny is safe only when it covers all.
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"]

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
