data "aws_partition" "current" {}

locals {
  partition  = data.aws_partition.current.partition
  dns_suffix = data.aws_partition.current.dns_suffix
}

# In a key's own policy the resource "*" means that key and no other.
data "aws_iam_policy_document" "this" {
  # checkov:skip=CKV_AWS_109:The policy stands in the key itself, where a star means this key, and its managers must be able to grant it
  # checkov:skip=CKV_AWS_111:The policy stands in the key itself, where a star means this key alone
  # checkov:skip=CKV_AWS_356:The policy stands in the key itself, where a star means this key alone

  # Without this statement nobody could change the key any more, and no role's policy could give rights to it.
  statement {
    sid = "LetTheAccountsPoliciesDecide"
    actions = [
      "kms:CancelKeyDeletion",
      "kms:CreateAlias",
      "kms:CreateGrant",
      "kms:Decrypt",
      "kms:DeleteAlias",
      "kms:DescribeKey",
      "kms:DisableKey",
      "kms:DisableKeyRotation",
      "kms:EnableKey",
      "kms:EnableKeyRotation",
      "kms:Encrypt",
      "kms:GenerateDataKey",
      "kms:GenerateDataKeyWithoutPlaintext",
      "kms:GetKeyPolicy",
      "kms:GetKeyRotationStatus",
      "kms:ListGrants",
      "kms:ListKeyPolicies",
      "kms:ListKeyRotations",
      "kms:ListResourceTags",
      "kms:PutKeyPolicy",
      "kms:ReEncryptFrom",
      "kms:ReEncryptTo",
      "kms:RetireGrant",
      "kms:RevokeGrant",
      "kms:RotateKeyOnDemand",
      "kms:ScheduleKeyDeletion",
      "kms:TagResource",
      "kms:UntagResource",
      "kms:UpdateAlias",
      "kms:UpdateKeyDescription",
    ]
    # The key itself, see above.
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${var.account_id}:root"]
    }
  }

  statement {
    sid = "EncryptLogs"
    actions = [
      "kms:Decrypt",
      "kms:Encrypt",
      "kms:GenerateDataKey",
      "kms:GenerateDataKeyWithoutPlaintext",
      "kms:ReEncryptFrom",
      "kms:ReEncryptTo",
    ]
    # The key itself, see above.
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["logs.${var.aws_region}.${local.dns_suffix}"]
    }

    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = ["arn:${local.partition}:logs:${var.aws_region}:${var.account_id}:log-group:*"]
    }
  }

  # EventBridge does not tell KMS for which account it works, so what SQS and SNS tell is asked: the queue or the topic.
  statement {
    sid     = "KeepUndeliveredEvents"
    actions = ["kms:Decrypt", "kms:GenerateDataKey"]
    # The key itself, see above.
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:sqs:arn"
      values   = ["arn:${local.partition}:sqs:${var.aws_region}:${var.account_id}:*"]
    }
  }

  statement {
    sid     = "PublishAlarms"
    actions = ["kms:Decrypt", "kms:GenerateDataKey"]
    # The key itself, see above.
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["budgets.amazonaws.com", "cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:sns:topicArn"
      values   = ["arn:${local.partition}:sns:${var.aws_region}:${var.account_id}:*"]
    }
  }
}
