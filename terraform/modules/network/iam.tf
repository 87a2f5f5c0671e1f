data "aws_partition" "current" {}

# From names, so that a plan shows the policies whole.
locals {
  log_group_name = "/aws/vpc/${var.name}"
  log_groups_arn = "arn:${data.aws_partition.current.partition}:logs:${var.aws_region}:${var.account_id}:log-group"
}

# What an identity may do is said by its own policies. This says whose identities may pass: with credentials of another
# account nothing can be carried out of the network.
data "aws_iam_policy_document" "endpoint" {
  for_each = { for name, prefix in local.action_prefixes : name => prefix if contains(["dynamodb", "s3"], name) || contains(var.interface_endpoints, name) }

  statement {
    sid = "AdmitIdentitiesOfAccount"
    # Every action of the endpoint's own service.
    actions = ["${each.value}:*"]
    # A team's bucket, image or key may be another account's.
    resources = ["*"]

    principals {
      # Whom the condition admits: the only way to say "this account's identities" to a gateway endpoint.
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:PrincipalAccount"
      values   = [var.account_id]
    }
  }
}

# ECR hands out the layers of images as links to a bucket of its own, which are signed with its own identity.
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
data "aws_iam_policy_document" "s3_endpoint" {
  source_policy_documents = [data.aws_iam_policy_document.endpoint["s3"].json]

  statement {
    sid       = "PullLayersOfImages"
    actions   = ["s3:GetObject"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::prod-${var.aws_region}-starport-layer-bucket/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }
  }
}

data "aws_iam_policy_document" "flow_logs_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["vpc-flow-logs.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }
  }
}

# https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
data "aws_iam_policy_document" "flow_logs" {
  statement {
    sid       = "WriteLogs"
    actions   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    resources = ["${local.log_groups_arn}:${local.log_group_name}:*"]
  }

  statement {
    sid       = "FindLogGroup"
    actions   = ["logs:DescribeLogGroups"]
    resources = ["${local.log_groups_arn}:*"]
  }
}

resource "aws_iam_role" "flow_logs" {
  name                 = "${var.name}-flow-logs"
  description          = "What the flow logs of ${var.name} may do to be written."
  assume_role_policy   = data.aws_iam_policy_document.flow_logs_trust.json
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags
}

resource "aws_iam_role_policy" "flow_logs" {
  name   = "flow-logs"
  role   = aws_iam_role.flow_logs.id
  policy = data.aws_iam_policy_document.flow_logs.json
}
